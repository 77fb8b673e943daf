package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/cis/connectors/auth0/auth0test"
	"example.org/cis/connectors/directory/directorytest"
	"example.org/cis/connectors/github/githubtest"
	"example.org/cis/connectors/ldap/ldaptest"
	"example.org/cis/transforms/people"
)

// TestServers syncs five servers over their own protocols, configured as a user
// writes it: OpenLDAP, a Workday report with OAuth 2.0, Auth0's export, pages of
// the people directory, and GitHub, whose answers and questions are checked
// against its description. The profiles are those of the same company from
// files. Something changes in each; one is down; somebody new is taken over at
// once; and no secret shows anywhere.
func TestServers(t *testing.T) {
	ldif := filepath.Join("..", "..", "connectors", "ldap", "testdata", "company.ldif")
	directoryServer := ldaptest.Start(t, ldif)
	const workdaySecret = "workday-s3cret"
	report := `{"Report_Entry":[{"EmployeeID":"1","CurrentlyActive":"1","PrimaryWorkEmail":"ann@example.org","businessTitle":"Archer"}]}`
	workday := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/token" && r.FormValue("client_secret") == workdaySecret:
			io.WriteString(w, `{"access_token":"workday-t0ken","token_type":"Bearer","expires_in":3600}`)
		case r.URL.Path == "/report" && r.Header.Get("Authorization") == "Bearer workday-t0ken":
			io.WriteString(w, report)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	workday.Config.ErrorLog = log.New(io.Discard, "", 0)
	workday.StartTLS()
	t.Cleanup(workday.Close)
	tenant := auth0test.Start(t, auth0test.Login("ad|Mozilla-LDAP|ann", "ann@example.org").Named("Ann", "Archer"), auth0test.Login("github|14", "dana@example.net").Named("Dana", "Doe"))
	profiles := directorytest.Start(t)
	linked := func(pronouns string) []byte {
		ann := directorytest.Profile("ad|Mozilla-LDAP|ann", directorytest.Said("pronouns", people.StringValue(pronouns)),
			directorytest.Said("identities.github_id_v3", people.StringValue("12")), directorytest.Said("access_information.mozilliansorg", people.MapValue(people.Entry{Key: "nda"})))
		profiles.Put("ad|Mozilla-LDAP|ann", ann)
		return ann
	}
	ann := linked("she/her")
	hub := githubtest.New(t, githubtest.Example(), nil)

	dir := t.TempDir()
	secrets := map[string]string{"ldap": ldaptest.Password, "workday": workdaySecret, "auth0": auth0test.Secret, "directory": directorytest.ClientSecret, "github": githubtest.PersonalToken}
	for name, secret := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name+".secret"), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(dir, "workday.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: workday.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "cis.yaml")
	yaml := fmt.Sprintf(`vault: sqlite:cis.db
blobs: dir:cis-blobs
keys: dir:cis-keys
salt: file:cis-salt
subscribers: [test]
sources:
  - name: ldap
    type: ldap
    url: %s
    ca_file: %s
    bind_dn: %s
    password: file:ldap.secret
    people_bases: ["%s"]
    group_bases: ["ou=groups,%s"]
  - {name: hris, type: hris, url: "%s/report", ca_file: workday.pem, token_url: "%s/token", client_id: cis, password: "file:workday.secret"}
  - {name: auth0, type: auth0, url: "%s", ca_file: "%s", client_id: "%s", secret: "file:auth0.secret", export_hosts: ["%s"]}
  - {name: directory, type: directory, url: "%s", ca_file: "%s", token_url: "%s", client_id: "%s", audience: "%s", secret: "file:directory.secret"}
  - {name: github, type: github, url: "%s", ca_file: "%s", organizations: [acme, Labs], secret: "file:github.secret"}
`, directoryServer.TLSURL, directoryServer.CAFile, ldaptest.Reader, ldaptest.Suffix, ldaptest.Suffix, workday.URL, workday.URL,
		tenant.URL, tenant.CAFile, auth0test.ClientID, tenant.ExportHost(), profiles.URL, profiles.CAFile, profiles.TokenURL, directorytest.ClientID, directorytest.Audience, hub.URL, hub.CAFile)
	for name, text := range map[string]string{"cis.yaml": yaml, "cis-salt": "a salt for tests of some length\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cis := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := try(t.Context(), append(args, "--config", config)...)
		if code != want {
			t.Fatalf("cis %s ended with %d, want %d: %s%s", strings.Join(args, " "), code, want, stderr, stdout)
		}
		for name, secret := range secrets {
			if strings.Contains(stdout+stderr, secret) || strings.Contains(stdout+stderr, "t0ken") {
				t.Errorf("cis %s shows the secret of %s", strings.Join(args, " "), name)
			}
		}
		return stdout
	}
	type outcome struct {
		Writes     int64            `json:"vault_writes"`
		Operations map[string]int64 `json:"operations"`
		Held       map[string]int64 `json:"held"`
		Sources    map[string]struct {
			Complete bool
			Rows     int64
			Reason   string
		}
	}
	sync := func(want int, now string, args ...string) (o outcome) {
		t.Helper()
		if err := json.Unmarshal([]byte(cis(want, append([]string{"sync", "--json", "--now", now}, args...)...)), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	holds := func(who, attribute, want string) {
		t.Helper()
		if got := cis(exitDone, "explain", who, attribute); !strings.Contains(got, want) || !strings.Contains(got, "it verifies") {
			t.Errorf("%s of %s: want %q:\n%s", attribute, who, want, got)
		}
	}

	cis(exitDone, "keys", "new", "--all", "--alg", "EdDSA")
	cis(exitDone, "config", "check")

	// A rehearsal asks them all and keeps nothing, not what GitHub is asked for
	// again either.
	if dry := sync(exitHeld, "2026-03-02T06:00:00Z", "--dry-run"); dry.Operations["create"]+dry.Held["create"] != 4 {
		t.Errorf("a dry run: %+v", dry)
	}
	for _, name := range []string{"cis.db", "cis-blobs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a dry run leaves %s: %v", name, err)
		}
	}
	first := sync(exitDone, "2026-03-02T06:00:00Z", "--first-load", "--reason", "the first day")
	for name, s := range first.Sources {
		if !s.Complete || s.Rows == 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	holds("ann", "access_information.github", "acme/engineering=maintainer")
	holds("ann", "access_information.mozilliansorg", "nda")
	holds("ann", "staff_information.title", "Archer")
	holds("ann", "login_method", "Mozilla-LDAP")
	holds("github|14", "access_information.github", "acme#outside")
	holds("github|14", "first_name", "Dana")

	// The same company from files, under the same keys.
	fromFiles := filepath.Join(dir, "files.yaml")
	head, _, _ := strings.Cut(yaml, "sources:\n")
	company, err := filepath.Abs(ldif)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"files.yaml": strings.NewReplacer("cis.db", "files.db", "cis-blobs", "files-blobs").Replace(head) + "sources:\n" +
			"  - {name: ldap, type: ldap, file: '" + company + "'}\n" +
			"  - {name: hris, type: hris, file: report.json}\n  - {name: auth0, type: auth0, file: users.jsonl}\n" +
			"  - {name: directory, type: directory, file: profiles.jsonl}\n  - {name: github, type: github, file: github.json}\n",
		"report.json": report, "users.jsonl": string(tenant.Lines()), "profiles.jsonl": string(ann) + "\n", "github.json": string(hub.Dump("acme", "Labs")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, stderr := try(t.Context(), "sync", "--config", fromFiles, "--now", "2026-03-02T06:00:00Z", "--first-load", "--reason", "the same day"); code != exitDone {
		t.Fatalf("from files: %d, %s", code, stderr)
	}
	if _, want, _ := try(t.Context(), "dump", "--config", fromFiles); cis(exitDone, "dump") != want {
		t.Errorf("from files the profiles are\n%s\nand from servers\n%s", want, cis(exitDone, "dump"))
	}

	// Nothing changed: nothing is written, and GitHub is asked for free.
	before := hub.Counts()
	if again := sync(exitDone, "2026-03-02T07:00:00Z"); again.Writes != 0 {
		t.Errorf("an unchanged company: %+v", again)
	}
	if after := hub.Counts(); after.Charged != before.Charged || after.Unchanged == before.Unchanged {
		t.Errorf("an unchanged organisation was charged %d requests: %+v", after.Charged-before.Charged, after)
	}

	// Something in each, and then LDAP is down.
	linked("they/them")
	hub.Change(func(w *githubtest.World) { w.User(12).Login = "robert" })
	tenant.Put(auth0test.Login("ad|Mozilla-LDAP|ann", "ann@elsewhere.example").Named("Ann", "Archer"))
	report = strings.ReplaceAll(report, "Archer", "Queen")
	// A rehearsal says so, and leaves what is kept of GitHub as it is.
	kept := filepath.Join(dir, "cis-blobs", "sources", "github.memory")
	held, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if dry := sync(exitDone, "2026-03-03T06:00:00Z", "--dry-run"); dry.Operations["update"]+dry.Operations["relink"] == 0 {
		t.Errorf("a dry run: %+v", dry)
	}
	if now, err := os.ReadFile(kept); err != nil || !bytes.Equal(held, now) {
		t.Errorf("a dry run changed what is kept of GitHub: %v", err)
	}
	directoryServer.Kill()
	second := sync(exitHeld, "2026-03-03T06:00:00Z")
	for name, s := range second.Sources {
		if down := name == "ldap"; s.Complete == down || (s.Reason != "") != down || second.Operations["deactivate"] != 0 {
			t.Errorf("with LDAP down, %s: %+v", name, second)
		}
	}
	holds("ann", "pronouns", "they/them")
	holds("ann", "usernames", "HACK#GITHUB=robert")
	holds("ann", "primary_email", "ann@elsewhere.example")
	holds("ann", "staff_information.title", "Queen")

	// Somebody new, at once; the source that is down is said to be.
	tenant.Put(auth0test.Login("email|0123456789abcdef", "nia@example.net").Named("Nia", "New"))
	if got := cis(exitDone, "sync", "--only", "email|0123456789abcdef", "--now", "2026-03-03T07:00:00Z"); !strings.Contains(got, "is new") {
		t.Error(got)
	}
	if got := cis(exitHeld, "sync", "--only", "ann", "--now", "2026-03-03T07:00:00Z"); !strings.Contains(got, "unread") || !strings.Contains(got, "Nothing changed") {
		t.Error(got)
	}
	holds("email|0123456789abcdef", "first_name", "Nia")
	cis(exitDone, "verify", "--all")
}
