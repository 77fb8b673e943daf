package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/cis/api"
	"example.org/cis/cmd/cis/internal/config"
)

// A service is a vault with Ada in it behind a Change API on this machine, and
// a folder in which files for it are written and signed.
type service struct {
	t   *testing.T
	dir string
	url string
	// failing is how many requests are answered with 503 first.
	failing atomic.Int64
	keys    sync.Map // the idempotency keys that were seen
}

const serviceConfig = `vault: sqlite:cis.db
blobs: dir:cis-blobs
keys: dir:cis-keys
salt: file:cis-salt
signing: {trusted: [hris-keys.json]}
sources:
  - {name: ldap, type: ldap, file: people.ldif}
`

const serviceLDIF = `dn: uid=ada,o=com,dc=example
objectClass: inetOrgPerson
entryUUID: 00000000-0000-4000-8000-000000000001
uid: ada
mail: ada@example.com
givenName: Ada
sn: Lovelace
`

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, dir: t.TempDir()}
	s.write("cis.yaml", serviceConfig)
	s.write("people.ldif", serviceLDIF)
	s.write("cis-salt", "a salt for tests")
	s.write("token", "t0ken")
	for _, publisher := range []string{"cis", "ldap", "mozilliansorg"} {
		s.must("", "keys", "new", publisher, "--alg", "EdDSA")
	}
	// The HR system has a key of its own, and publishes it.
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s.write("hris.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	s.write("hris-keys.json", s.must("", "sign", "--publisher", "hris", "--key", filepath.Join(s.dir, "hris.pem"), "--public"))
	s.must("", "sync", "--first-load", "--reason", "a test")

	p := &program{env: config.Env{}, now: time.Now, random: rand.Reader, notes: new(sync.Mutex), stderr: io.Discard}
	p.Config = filepath.Join(s.dir, "cis.yaml")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := openCatalogue(cfg)
	if err != nil {
		t.Fatal(err)
	}
	store, err := p.openVault(t.Context(), cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	routes, err := p.changeRoutes(t.Context(), cfg, cat, store, []byte("a secret"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, req *http.Request) {
			s.keys.Store(req.Header.Get("Idempotency-Key"), true)
			err := error(&api.Error{Status: http.StatusUnauthorized, Code: "invalid_header", Description: "no token that is accepted"})
			if s.failing.Add(-1) >= 0 {
				w.Header().Set("Retry-After", "0")
				err = errors.New("busy")
			} else if r.Open || req.Header.Get("Authorization") == "Bearer t0ken" {
				err = r.Serve(w, req.WithContext(api.WithCaller(req.Context(), &api.Caller{Issuer: "https://issuer.example/", Subject: "hr", Scopes: []string{"write"}})))
			}
			if err != nil {
				e := api.ErrorOf(err)
				_ = api.JSON(w, e.Status, map[string]string{"code": e.Code, "description": e.Description})
			}
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *service) write(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *service) run(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(s.t.Context(), args, strings.NewReader(stdin), &out, &errs, []string{"CIS_CONFIG=" + filepath.Join(s.dir, "cis.yaml"), "TOKEN=t0ken"})
	return code, out.String(), errs.String()
}

func (s *service) must(stdin string, args ...string) string {
	s.t.Helper()
	code, out, errs := s.run(stdin, args...)
	if code != exitDone {
		s.t.Fatalf("%v ended with %d: %s", args, code, errs)
	}
	return out
}

// profile is Ada's, as `cis person` prints it.
func (s *service) profile() string {
	s.t.Helper()
	return s.must("", "dump")
}

func (s *service) publish(file string, more ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return s.run("", append([]string{"publish", filepath.Join(s.dir, file), "--to", s.url, "--token", "env:TOKEN"}, more...)...)
}

// TestPublish signs with a key of one's own and publishes: through the command,
// the API, the door, the merge and the vault, and then a sync.
func TestPublish(t *testing.T) {
	s := startService(t)
	var ada struct {
		UUID struct{ Value string } `json:"uuid"`
	}
	if err := json.Unmarshal([]byte(s.profile()), &ada); err != nil || ada.UUID.Value == "" {
		t.Fatalf("no uuid: %v", err)
	}
	const userID = "ad|Mozilla-LDAP|ada"
	sign := func(name, publisher, text string, more ...string) {
		file := s.write("unsigned-"+name, text)
		s.must("", append([]string{"sign", file, "--publisher", publisher, "-o", filepath.Join(s.dir, name)}, more...)...)
	}
	key := []string{"--key", filepath.Join(s.dir, "hris.pem")}
	uuid := `{"uuid": {"value": "` + ada.UUID.Value + `"}, `
	sign("title.json", "hris", uuid+`"staff_information": {"title": {"value": "Analyst"}, "team": {"value": "Engines"}}}`, key...)

	code, out, errs := s.publish("title.json", "--user-id", userID, "--validate-only")
	if code != exitDone || strings.Contains(s.profile(), "Analyst") || !strings.Contains(out, "would be taken") ||
		!strings.Contains(out, "Nothing was written: 2 attributes would be taken, 0 unchanged, 0 refused.") {
		t.Fatalf("only asked: %d %s%s", code, out, errs)
	}
	s.failing.Store(2)
	code, out, errs = s.publish("title.json", "--user-id", userID)
	if code != exitDone || !strings.Contains(out, userID+"  staff_information.title  taken") || !strings.Contains(out, "1 profile: 2 attributes taken, 0 unchanged, 0 refused.") ||
		!strings.Contains(errs, "answered 503: trying again in 0s") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	keys := 0
	s.keys.Range(func(any, any) bool { keys++; return true })
	if keys != 2 { // one a profile, however often it is sent
		t.Errorf("%d idempotency keys", keys)
	}
	before := s.profile()
	if !strings.Contains(before, "Analyst") {
		t.Errorf("not written: %s", before)
	}
	if out := s.must("", "person", "history", userID); !strings.Contains(out, "api, by https://issuer.example/ hr") {
		t.Errorf("the history does not say who called: %s", out)
	}
	s.must("", "verify", "--all")
	s.must("", "sync")
	if after := s.profile(); after != before {
		t.Errorf("a sync changed it:\n%s\n%s", before, after)
	}

	code, out, errs = s.publish("title.json", "--user-id", userID, "--json")
	var told struct{ Profiles []publishedProfile }
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != exitDone || len(told.Profiles) != 1 || told.Profiles[0].Condition != "noop" || told.Profiles[0].Attributes[0].Outcome != "unchanged" || told.Profiles[0].UserID != userID {
		t.Errorf("again: %d %s%s, %v", code, out, errs, err)
	}

	// Several at once: one of whom nobody knows, and one with a part that is not the publisher's.
	sign("more.jsonl", "ldap", uuid+`"pronouns": {"value": "she"}}`)
	sign("user.json", "mozilliansorg", uuid+`"fun_title": {"value": "Countess"}}`)
	more, err := os.ReadFile(filepath.Join(s.dir, "more.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.ReadFile(filepath.Join(s.dir, "user.json"))
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.ReplaceAll(string(user), "fun_title", "description")
	s.write("several.jsonl", string(more)+moved+string(user))
	code, out, errs = s.publish("several.jsonl", "--user-id", userID)
	if code != exitHeld || !strings.Contains(out, "pronouns") || !strings.Contains(out, "refused  invalid_signature") || !strings.Contains(out, "3 profiles: 2 attributes taken, 0 unchanged, 0 refused; nothing of 1 profile.") || !strings.Contains(errs, "something was refused") {
		t.Errorf("several: %d %s%s", code, out, errs)
	}
	sign("part.json", "hris", uuid+`"staff_information": {"team": {"value": "Bridges"}}}`, key...)
	part, err := os.ReadFile(filepath.Join(s.dir, "part.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("part.json", strings.Replace(string(part), `{`, `{"pronouns": {"value": "they"}, `, 1))
	if code, out, errs = s.publish("part.json", "--user-id", userID); code != exitHeld || !strings.Contains(out, "refused  invalid_value  the classification is not") || !strings.Contains(out, "1 attribute taken, 0 unchanged, 1 refused.") || !strings.Contains(errs, "1 attribute was refused") {
		t.Errorf("a part that is not signed: %d %s%s", code, out, errs)
	}
	if code, out, errs = s.publish("unsigned-title.json", "--user-id", userID); code != exitUsage || !strings.Contains(errs, "unsigned-title.json is signed: sign it with cis sign") {
		t.Errorf("nothing is signed: %d %s%s", code, out, errs)
	}
	s.write("moved.json", moved)
	if code, out, errs = s.publish("moved.json", "--user-id", userID); code != exitFailed || !strings.Contains(out, "invalid_signature") || !strings.Contains(errs, "nothing was taken") {
		t.Errorf("all refused: %d %s%s", code, out, errs)
	}
	if code, out, errs = s.publish("user.json", "--user-id", "ad|Mozilla-LDAP|bob"); code != exitFailed || !strings.Contains(out, "invalid_signature") {
		t.Errorf("of nobody: %d %s%s", code, out, errs)
	}
	if code, out, errs = s.publish("user.json"); code != exitFailed || !strings.Contains(out, "integration_exception") || !strings.Contains(out, "--user-id") {
		t.Errorf("of nobody said: %d %s%s", code, out, errs)
	}

	file := filepath.Join(s.dir, "user.json")
	for _, c := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"a wrong token", exitFailed, []string{"--to", s.url, "--token", "file:" + s.write("other-token", "other")}, "the service answered 401 invalid_header: no token that is accepted"},
		{"no such host", exitFailed, []string{"--to", "https://change.invalid", "--token", "env:TOKEN"}, "cis: ask change.invalid"},
		{"no token", exitUsage, []string{"--to", s.url, "--token", "env:NOBODY"}, "cis: --token: the variable NOBODY is not set"},
		{"a token in the open", exitUsage, []string{"--to", "http://change.example.org", "--token", "env:TOKEN"}, "want https"},
		{"no URL", exitUsage, []string{"--to", "change.example.org", "--token", "env:TOKEN"}, "want a URL"},
	} {
		code, out, errs := s.run("", append([]string{"publish", file, "--user-id", userID}, c.args...)...)
		if strings.Contains(errs, "trying again") {
			t.Errorf("%s: tried again: %s", c.name, errs)
		}
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d %s%s", c.name, code, out, errs)
		}
		if strings.Contains(out+errs, "t0ken") || strings.Contains(errs, "Countess") {
			t.Errorf("%s: told too much: %s%s", c.name, out, errs)
		}
	}
}

// TestPublishDown has a service that does not answer at first: that is said at
// once, and it is asked again.
func TestPublishDown(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"condition":"noop","sequence_number":null,"status_code":202,"attributes":[{"attribute":"fun_title","outcome":"refused","code":"outdated","reason":"it is old"}]}`)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "signed.json")
	if err := os.WriteFile(file, []byte(`{"fun_title": {"value": "x", "signature": {"publisher": {"alg": "RS256", "typ": "JWS", "name": "hris", "value": "a.b.c"}, "additional": []}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"publish", file, "--user-id", "github|1", "--to", server.URL, "--token", "env:TOKEN"}, nil, &out, &errs, []string{"TOKEN=t0ken"})
	if code != exitHeld || asked != 2 || !strings.Contains(errs.String(), "trying again for 16s") || strings.Contains(errs.String(), "github") || !strings.Contains(out.String(), "outdated  it is old") {
		t.Errorf("%d after %d times: %s%s", code, asked, out.String(), errs.String())
	}
}
