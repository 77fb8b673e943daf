package github

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/github/githubtest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// A clock stands still until somebody waits.
type clock struct {
	mu    sync.Mutex
	t     time.Time
	waits []time.Duration
	notes []string
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

func (c *clock) note(s string) { c.notes = append(c.notes, s) }

// options are those of a source that waits on c and repeats nothing.
func (c *clock) options() Options {
	return Options{Now: c.now, Note: c.note, Sleep: c.sleep, Pauses: []time.Duration{}}
}

// A memory keeps what it is given.
type memory struct{ b []byte }

func (m *memory) Load(context.Context) ([]byte, error)   { return m.b, nil }
func (m *memory) Save(_ context.Context, b []byte) error { m.b = b; return nil }

// config is that of a source that reads both organisations of the server.
func config(srv *githubtest.Server) Config {
	return Config{
		Name: "github", Config: web.Config{URL: srv.URL, CAFile: srv.CAFile, Timeout: 30 * time.Second},
		Organizations: []string{"acme", "Labs"},
	}
}

func open(t *testing.T, cfg Config, secret web.Secret, o Options) *Source {
	t.Helper()
	s, err := Open(cfg, secret, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// serve starts a server with the example and a source that reads it.
func serve(t *testing.T) (*githubtest.Server, *Source, *clock) {
	t.Helper()
	c := newClock()
	srv := githubtest.New(t, githubtest.Example(), c.now)
	return srv, open(t, config(srv), srv.Secret, c.options()), c
}

// openFile opens a file of the name with the content.
func openFile(t *testing.T, name string, content []byte) *Source {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, Config{Name: "github", File: p}, nil, Options{})
}

func extract(t *testing.T, s *Source) (people.Certificate, connectortest.Recorder) {
	t.Helper()
	var out connectortest.Recorder
	cert, err := s.Extract(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return cert, out
}

// whole extracts what must be complete.
func whole(t *testing.T, s *Source) *connectortest.Recorder {
	t.Helper()
	cert, out := extract(t, s)
	if !cert.Complete {
		t.Fatalf("not complete: %s", cert.Reason)
	}
	return &out
}

// says writes what an account's observation claims, by attribute.
func says(out *connectortest.Recorder, record string) map[string]string {
	for _, o := range out.Observations {
		if o.Record == record {
			m := map[string]string{}
			for _, c := range o.Claims {
				m[string(c.Path)] = c.Value.String()
			}
			return m
		}
	}
	return nil
}

// answers puts a handler before the server for requests of a path's end.
func answers(srv *githubtest.Server, end string, f func(w http.ResponseWriter, r *http.Request, server http.Handler)) {
	srv.Wrap(func(server http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, end) {
				f(w, r, server)
			} else {
				server.ServeHTTP(w, r)
			}
		})
	})
}

// change lets f change the body of the answers that end so.
func change(srv *githubtest.Server, end string, f func(r *http.Request, body []byte) []byte) {
	answers(srv, end, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(f(r, rec.Body.Bytes()))
	})
}

// malformed are entries that are none, with values that nothing may repeat.
var malformed = []string{
	`"tr0ub4dor"`, `{"id":"tr0ub4dor"}`, `{"login":"tr0ub4dor"}`, `{"id":99,"login":["tr0ub4dor"]}`,
	`{"id":98,"id":98,"login":"tr0ub4dor"}`, "{\"id\":97,\"login\":\"\xfftr0ub4dor\"}", `{"id":-5,"login":"tr0ub4dor"}`,
}

func TestSuiteAPI(t *testing.T) {
	with := func(f func(t *testing.T, srv *githubtest.Server, cfg *Config)) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source {
			c := newClock()
			srv := githubtest.New(t, githubtest.Example(), c.now)
			cfg := config(srv)
			secret := srv.Secret
			f(t, srv, &cfg)
			if cfg.App != (App{}) {
				secret = srv.AppSecret
			}
			return open(t, cfg, secret, c.options())
		}
	}
	handled := func(end string, f func(w http.ResponseWriter, r *http.Request, server http.Handler)) func(*testing.T) connectors.Source {
		return with(func(_ *testing.T, srv *githubtest.Server, _ *Config) { answers(srv, end, f) })
	}
	connectortest.Run(t, connectortest.Config{
		Good:   with(func(*testing.T, *githubtest.Server, *Config) {}),
		People: 5,
		Malformed: with(func(_ *testing.T, srv *githubtest.Server, _ *Config) {
			change(srv, "acme/members", func(r *http.Request, body []byte) []byte {
				if r.URL.Query().Get("role") != "" {
					return body
				}
				return append([]byte("["+strings.Join(malformed, ",")+","), body[1:]...)
			})
		}),
		Broken: handled("/outside_collaborators", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `[{"id":11`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
		Truncated: with(func(_ *testing.T, srv *githubtest.Server, _ *Config) {
			change(srv, "Labs/members", func(_ *http.Request, body []byte) []byte { return body[:len(body)-1] })
		}),
		Repeated: handled("/outside_collaborators", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", "<https://"+r.Host+r.URL.Path+`?per_page=100>; rel="next"`)
			io.WriteString(w, "[]")
		}),
		Stalled: with(func(_ *testing.T, srv *githubtest.Server, cfg *Config) {
			cfg.Timeout = time.Second
			srv.Wrap(func(http.Handler) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			})
		}),
		Empty: with(func(_ *testing.T, srv *githubtest.Server, cfg *Config) {
			cfg.App.AppID = githubtest.AppID
			srv.Change(func(w *githubtest.World) {
				for _, o := range w.Organizations {
					o.Members, o.Outside = nil, nil
				}
			})
		}),
		Redirected: with(func(t *testing.T, srv *githubtest.Server, _ *Config) {
			elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("the other host was asked, with credentials %q", r.Header.Get("Authorization"))
			}))
			t.Cleanup(elsewhere.Close)
			srv.Wrap(func(http.Handler) http.Handler { return http.RedirectHandler(elsewhere.URL, http.StatusFound) })
		}),
		Refused: with(func(_ *testing.T, srv *githubtest.Server, _ *Config) {
			srv.Change(func(w *githubtest.World) { clear(w.Tokens) })
		}),
		Secrets: []string{githubtest.PersonalToken, "tr0ub4dor", "s3cret"},
		FindBy:  []people.Scheme{people.ByRecord(people.GitHub)},
	})
}

func TestSuiteFile(t *testing.T) {
	dump := githubtest.Example().Dump("acme", "labs")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(dump)
	z.Close()
	zipped := b.Bytes()
	of := func(name string, content []byte) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source { return openFile(t, name, content) }
	}
	bad := bytes.Replace(dump, []byte(`"members": [`), []byte(`"members": [`+strings.Join(malformed, ",")+`,`), 1)
	connectortest.Run(t, connectortest.Config{
		Good:      of("github.json.gz", zipped),
		People:    5,
		Malformed: of("github.json", bad),
		Broken:    of("github.json.gz", slices.Concat(zipped[:60], []byte("\xff\xff\xff\xff"), zipped[64:])),
		Truncated: of("github.json.gz", zipped[:len(zipped)-4]),
		Empty:     of("github.json", []byte(`{"organizations":[]}`)),
		Secrets:   []string{"tr0ub4dor"},
		FindBy:    []people.Scheme{people.ByRecord(people.GitHub)},
	})
}

// TestObservations states everything that the example gives.
func TestObservations(t *testing.T) {
	srv, _, c := serve(t)
	cfg := config(srv)
	cfg.Users = true
	s := open(t, cfg, srv.Secret, c.options())
	want := map[string]map[string]string{
		"1": {
			"access_information.github": `{"acme":"admin","labs":"admin"}`,
			"identities.github_id_v4":   `"U_kgDOsync-bot"`, "usernames": `{"HACK#GITHUB":"sync-bot"}`,
		},
		"11": { // an owner, and so a maintainer wherever she is
			"access_information.github": `{"acme":"admin","acme/engineering":"maintainer","acme/platform":"maintainer","acme/security":"maintainer"}`,
			"identities.github_id_v4":   `"U_kgDOada"`, "identities.github_primary_email": `"ada@example.com"`, "usernames": `{"HACK#GITHUB":"ada"}`,
		},
		"12": {
			"access_information.github": `{"acme":"member","acme/engineering":"maintainer","labs#outside":""}`,
			"identities.github_id_v4":   `"U_kgDObob"`, "usernames": `{"HACK#GITHUB":"bob"}`,
		},
		"13": { // in a team of the third generation
			"access_information.github": `{"acme":"member","acme/engineering":"member","acme/on-call":"maintainer","acme/platform":"member",` +
				`"acme/security":"member","labs":"member","labs/engineering":"member"}`,
			"identities.github_id_v4": `"U_kgDOCyd-X"`, "identities.github_primary_email": `"cyd@example.org"`, "usernames": `{"HACK#GITHUB":"Cyd-X"}`,
		},
		"14": {
			"access_information.github": `{"acme#outside":""}`,
			"identities.github_id_v4":   `"U_kgDOdana"`, "usernames": `{"HACK#GITHUB":"dana"}`,
		},
	}
	for name, s := range map[string]*Source{"API": s, "file": openFile(t, "github.json", srv.Dump("acme", "Labs"))} {
		out := whole(t, s)
		got := map[string]map[string]string{}
		for _, o := range out.Observations {
			got[o.Record] = says(out, o.Record)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(out.Rejections) != 0 {
			t.Errorf("%s: %v\n%s", name, out.Rejections, diff)
		}
	}
}

// TestCertificate states what a complete extract says of itself, first and
// again when nothing is transferred any more.
func TestCertificate(t *testing.T) {
	srv, _, c := serve(t)
	o := c.options()
	o.Memory = new(memory)
	first, _ := extract(t, open(t, config(srv), srv.Secret, o))
	again, _ := extract(t, open(t, config(srv), srv.Secret, o))
	host := strings.TrimSuffix(strings.TrimPrefix(srv.URL, "https://"), "/api/v3/")
	want := people.Certificate{
		Source: "github", Publisher: people.GitHub, Complete: true, Bytes: first.Bytes, Expected: -1, End: "the last page of every list",
		Scope: []string{"host " + host, "organisation acme", "organisation labs", "path /api/v3/", "token"}, Mapping: "ac35f83f662331d9",
	}
	for _, got := range []people.Certificate{first, again} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A login that changes changes nothing but the login.
func TestRename(t *testing.T) {
	srv, s, _ := serve(t)
	before := says(whole(t, s), "13")
	srv.Change(func(w *githubtest.World) { w.User(13).Login = "cyd" })
	after := says(whole(t, s), "13")
	before["usernames"] = `{"HACK#GITHUB":"cyd"}`
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

// What GitHub says of a team's members, with their roles or without, comes to
// the same.
func TestTeamRoles(t *testing.T) {
	srv, s, _ := serve(t)
	with := whole(t, s).Contents()
	srv.Change(func(w *githubtest.World) { w.Organization("acme").TeamRoles = false })
	if without := whole(t, s).Contents(); !maps.Equal(with, without) {
		t.Error("observations differ")
	}
}

// TestUnchanged counts what a second extract costs.
func TestUnchanged(t *testing.T) {
	srv, _, c := serve(t)
	cfg := config(srv)
	cfg.Users = true
	o := c.options()
	o.Memory = new(memory)
	read := func() (charged, unchanged int, out *connectortest.Recorder) {
		before := srv.Counts()
		out = whole(t, open(t, cfg, srv.Secret, o)) // as another process would
		after := srv.Counts()
		return after.Charged - before.Charged, after.Unchanged - before.Unchanged, out
	}
	first, _, want := read()
	charged, unchanged, got := read()
	if charged != 0 || unchanged != first || !maps.Equal(want.Contents(), got.Contents()) {
		t.Errorf("the second extract was charged %d of %d requests, with %d answers of 304, or is another", charged, first, unchanged)
	}
	srv.Change(func(w *githubtest.World) { w.User(12).Email = "bob@example.net" })
	charged, _, got = read()
	if charged != 1 || says(got, "12")["identities.github_primary_email"] != `"bob@example.net"` {
		t.Errorf("one change was charged %d times: %v", charged, says(got, "12"))
	}
	srv.Change(func(w *githubtest.World) { delete(w.Organization("labs").Members, 13) })
	if _, _, got = read(); strings.Contains(says(got, "13")[string(access)], "labs") {
		t.Errorf("who left is still there: %v", says(got, "13"))
	}
}

// TestMemory holds what a source does about what it finds in its memory.
func TestMemory(t *testing.T) {
	srv, s, c := serve(t)
	want := whole(t, s).Contents()
	keep := new(memory)
	o := c.options()
	o.Memory = keep
	whole(t, open(t, config(srv), srv.Secret, o))
	full := keep.b
	one := config(srv)
	one.Organizations = one.Organizations[1:]
	whole(t, open(t, one, srv.Secret, o))
	if b, err := unpack(keep.b); err != nil || bytes.Contains(b, []byte("acme")) || !bytes.Contains(b, []byte("Labs/members")) {
		t.Errorf("what is no longer asked for is kept, or what is asked for is not: %s, error %v", b, err)
	}
	newer, err := unpack(full)
	if err != nil {
		t.Fatal(err)
	}
	newer = bytes.Replace(newer, []byte(`"version":1`), []byte(`"version":2`), 1)
	for name, b := range map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "another version": pack(newer), "cut": full[:len(full)/2], "no JSON": pack([]byte("{")),
		"no pages": pack([]byte(`{"version":1,"pages":{"a":null}}`)),
	} {
		keep.b = b
		before := srv.Counts()
		if out := whole(t, open(t, config(srv), srv.Secret, o)); !maps.Equal(out.Contents(), want) || srv.Counts().Unchanged != before.Unchanged {
			t.Errorf("%s: another extract, or anything of it was used", name)
		}
	}
	o.Memory = broken{}
	if out := whole(t, open(t, config(srv), srv.Secret, o)); !maps.Equal(out.Contents(), want) || len(c.notes) != 2 {
		t.Errorf("a memory that fails: another extract, or notes %q", c.notes)
	}
}

type broken struct{}

func (broken) Load(context.Context) ([]byte, error) { return nil, errors.New("disk s3cret") }
func (broken) Save(context.Context, []byte) error   { return errors.New("disk s3cret") }

// TestAccess holds what readers must not be taken at their word for.
func TestAccess(t *testing.T) {
	acme := func(f func(*githubtest.Organization)) func(*githubtest.World) {
		return func(w *githubtest.World) { f(w.Organization("acme")) }
	}
	token := func(f func(*githubtest.Token)) func(*githubtest.World) {
		return func(w *githubtest.World) { f(w.Tokens[githubtest.PersonalToken]) }
	}
	for name, c := range map[string]struct {
		app    App
		change func(*githubtest.World)
		reason string // "" is complete
	}{
		"fine-grained token": {App{}, token(func(t *githubtest.Token) { t.Scopes = nil }), ""},
		"more scopes":        {App{}, token(func(t *githubtest.Token) { t.Scopes = []string{"repo", "admin:org"} }), ""},
		"lost scope": {App{}, token(func(t *githubtest.Token) { t.Scopes = []string{"repo"} }),
			"organisation acme: the token's membership: the token lacks the scope read:org (status 403); organisation Labs: the token's membership: the token lacks"},
		"no owner": {App{}, acme(func(o *githubtest.Organization) { o.Members[1] = "member" }),
			"organisation acme: the token's account is not an owner of it"},
		"no member": {App{}, acme(func(o *githubtest.Organization) { delete(o.Members, 1) }),
			"organisation acme: the token's account does not belong to it"},
		"invited": {App{}, acme(func(o *githubtest.Organization) { delete(o.Members, 1); o.Invited = append(o.Invited, 1) }),
			"organisation acme: the token's account is not an owner of it"},
		"gone":                 {App{}, func(w *githubtest.World) { w.Organizations = w.Organizations[1:] }, "organisation acme: the token's account does not belong to it"},
		"single sign-on":       {App{}, acme(func(o *githubtest.Organization) { o.SSO = "required" }), "organisation acme: the token's membership: single sign-on does not let"},
		"single sign-on hides": {App{}, acme(func(o *githubtest.Organization) { o.SSO = "partial" }), "organisation acme: teams: single sign-on hides a part"},

		"app":                           {App{AppID: githubtest.AppID}, acme(func(*githubtest.Organization) {}), ""},
		"app behind single sign-on":     {App{AppID: githubtest.AppID}, acme(func(o *githubtest.Organization) { o.SSO = "required" }), ""},
		"app without permission":        {App{AppID: githubtest.AppID}, acme(func(o *githubtest.Organization) { o.Installation.Members = "" }), "organisation acme: the app may not read members"},
		"app suspended":                 {App{AppID: githubtest.AppID}, acme(func(o *githubtest.Organization) { o.Installation.Suspended = true }), "organisation acme: the app's installation is suspended"},
		"app not installed":             {App{AppID: githubtest.AppID}, acme(func(o *githubtest.Organization) { o.Installation = nil }), "organisation acme: the app is not installed in it"},
		"another app":                   {App{AppID: 1}, acme(func(*githubtest.Organization) {}), "organisation acme: the server refused the credentials (status 401)"},
		"the one installation":          {App{AppID: githubtest.AppID, InstallationID: 301}, acme(func(*githubtest.Organization) {}), ""},
		"another than the installation": {App{AppID: githubtest.AppID, InstallationID: 302}, acme(func(*githubtest.Organization) {}), "organisation acme: the installation_id is not that"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, _, clock := serve(t)
			srv.Change(c.change)
			cfg, secret := config(srv), srv.Secret
			cfg.App = c.app
			if c.app.AppID != 0 {
				secret = srv.AppSecret
			}
			if c.app.InstallationID != 0 {
				cfg.Organizations = cfg.Organizations[:1]
			}
			s := open(t, cfg, secret, clock.options())
			cert, out := extract(t, s)
			if cert.Complete != (c.reason == "") || !strings.HasPrefix(cert.Reason, c.reason) || strings.Contains(cert.Reason, "s3cret") {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
			if !cert.Complete && len(out.Observations) > 0 {
				t.Error("emits people though it is not complete")
			}
			_, err := s.Find(t.Context(), people.Key{Scheme: people.ByRecord(people.GitHub), Value: "11"})
			if (err == nil) != cert.Complete || errors.Is(err, connectors.ErrNotFound) {
				t.Errorf("find: %v", err)
			}
		})
	}
}

// TestAnswers holds answers that must not be taken for what was asked.
func TestAnswers(t *testing.T) {
	fixed := func(status int, header, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if key, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(key, value)
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	link := func(to string) string { return fmt.Sprintf(`Link: <%s>; rel="next"`, to) }
	for name, c := range map[string]struct {
		end     string
		handler func(w http.ResponseWriter, r *http.Request, server http.Handler)
		reason  string
	}{
		"login page":              {"acme/members", fixed(200, "Content-Type: text/html", "<html>"), "the answer is not a list in JSON"},
		"no list":                 {"acme/members", fixed(200, "", "{}"), "the answer is not a list in JSON"},
		"more after the list":     {"acme/members", fixed(200, "", "[] []"), "more after the end"},
		"server error":            {"acme/teams", fixed(502, "", ""), "organisation acme: teams: the server answered with status 502"},
		"in the works":            {"acme/teams", fixed(202, "", "{}"), "status 202"},
		"no content":              {"acme/teams", fixed(204, "", ""), "not a list"},
		"unasked 304":             {"acme/teams", fixed(304, "", ""), "was not asked"},
		"forbidden":               {"acme/teams", fixed(403, "", "{}"), "organisation acme: teams: the reader may not see it (status 403)"},
		"team hidden":             {"on-call/members", fixed(404, "", "{}"), "organisation acme: members of the team on-call: it is not there, or the reader may not see it"},
		"refused in between":      {"Labs/teams", fixed(401, "", "{}"), "organisation Labs: teams: the server refused the credentials"},
		"link elsewhere":          {"acme/members", fixed(200, link("https://example.com/api/v3/x"), "[]"), "leads to another host"},
		"link above":              {"acme/members", fixed(200, link("/x"), "[]"), "leads to another host"},
		"link that is none":       {"acme/members", fixed(200, link("https://%"), "[]"), "cannot be read"},
		"link to the same page":   {"acme/outside_collaborators", fixed(200, link("?per_page=100"), "[]"), "a page twice"},
		"the same page again":     {"acme/outside_collaborators", fixed(200, link("?per_page=100&page=2"), `[{"id":7,"login":"x"}]`), "a page of the list came twice"},
		"somebody twice":          {"acme/outside_collaborators", fixed(200, "", `[{"id":7},{"id":7}]`), "kept changing"},
		"nobody":                  {"acme/members", fixed(200, "", "[]"), "no rows"},
		"a team's member unnamed": {"platform/members", fixed(200, "", `[{"login":"x"}]`), "one of them has no id"},
		"a team that is none":     {"acme/teams", fixed(200, "", `["x"]`), "a team cannot be read: not an object"},
		"a team without a name":   {"acme/teams", fixed(200, "", `[{"id":1}]`), "or one has none"},
		"two teams of one name":   {"acme/teams", fixed(200, "", `[{"id":1,"slug":"a"},{"id":2,"slug":"a"}]`), "two teams have one name"},
		"parent hidden":           {"acme/teams", fixed(200, "", `[{"id":1,"slug":"a","parent":{"slug":"b"}}]`), "the parent of a team is not among"},
		"its own ancestor":        {"acme/teams", fixed(200, "", `[{"id":1,"slug":"a","parent":{"slug":"a"}}]`), "its own ancestor"},
		"another organisation":    {"v3/orgs/acme", fixed(200, "", `{"login":"acme-2"}`), "organisation acme: it has another name"},
		"broken object":           {"v3/orgs/acme", fixed(200, "", `{"login":"acme"`), "ends too early, or is not JSON"},
		"odd object":              {"v3/orgs/acme", fixed(200, "", `{"login":7}`), "not one of GitHub's: a value is of another type"},
		"public members only": {"members", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			switch {
			case strings.HasSuffix(r.URL.Path, "acme/members"):
				http.Redirect(w, r, "public_members", http.StatusFound)
			case strings.HasSuffix(r.URL.Path, "/public_members"):
				io.WriteString(w, `[{"id":12,"login":"bob"}]`)
			default:
				server.ServeHTTP(w, r)
			}
		}, "organisation acme: owners: the server answers with something else than was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, s, _ := serve(t)
			answers(srv, c.end, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
				w.Header().Set("Content-Type", "application/json")
				c.handler(w, r, server)
			})
			cert, _ := extract(t, s)
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
		})
	}
}

// Failures that pass are passed by.
func TestPauses(t *testing.T) {
	srv, _, c := serve(t)
	o := c.options()
	o.Pauses = []time.Duration{time.Second, 2 * time.Second}
	fails := 0
	answers(srv, "acme/teams", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		switch fails++; fails {
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "[")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			server.ServeHTTP(w, r)
		}
	})
	whole(t, open(t, config(srv), srv.Secret, o))
	if !slices.Equal(c.waits, o.Pauses) || len(c.notes) != 2 {
		t.Errorf("waited %v with notes %q", c.waits, c.notes)
	}
}

// TestMoving reads lists of several pages that change meanwhile.
func TestMoving(t *testing.T) {
	srv, s, _ := serve(t)
	s.perPage = 2
	// The first of the first page leaves before the second page is read, which
	// then begins one later.
	left := false
	answers(srv, "/members", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.URL.Query().Get("page") == "2" && strings.Contains(r.URL.Path, "organizations/101/members") && !left {
			left = true
			srv.Change(func(w *githubtest.World) { delete(w.Organization("acme").Members, 11) })
		}
		server.ServeHTTP(w, r)
	})
	out := whole(t, s)
	for _, id := range []string{"1", "12", "13"} {
		if !strings.Contains(says(out, id)[string(access)], `"acme":`) {
			t.Errorf("%s is lost: %v", id, says(out, id))
		}
	}
	if !left || says(out, "11") != nil {
		t.Errorf("11 left, and says %v", says(out, "11"))
	}
	// Somebody comes or goes all the time.
	answers(srv, "/members", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.URL.Query().Get("page") == "2" {
			srv.Change(func(w *githubtest.World) {
				if o := w.Organization("acme"); o.Members[11] == "" {
					o.Members[11] = "member"
				} else {
					delete(o.Members, 11)
				}
			})
		}
		server.ServeHTTP(w, r)
	})
	if cert, _ := extract(t, s); cert.Complete || !strings.Contains(cert.Reason, "organisation acme: members: the list kept changing") {
		t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
	}
}

// A page that is full stays as it is when another one comes after it.
func TestFullPage(t *testing.T) {
	srv, _, c := serve(t)
	o := c.options()
	o.Memory = new(memory)
	s := open(t, config(srv), srv.Secret, o)
	s.perPage = 4 // as many as are members of acme
	whole(t, s)
	srv.Change(func(w *githubtest.World) { w.Organization("acme").Members[15] = "member" })
	if out := whole(t, s); says(out, "15") == nil {
		t.Error("the first of a new page is not seen")
	}
}

// TestApp reads for so long that tokens end meanwhile.
func TestApp(t *testing.T) {
	srv, _, c := serve(t)
	cfg := config(srv)
	cfg.App.AppID = githubtest.AppID
	s := open(t, cfg, srv.AppSecret, c.options())
	want := whole(t, s).Contents()
	tokens, requests := 0, 0
	srv.Wrap(func(server http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/access_tokens") {
				tokens++
			}
			requests++
			server.ServeHTTP(w, r)
			c.advance(20 * time.Minute)
		})
	})
	if got := whole(t, s).Contents(); !maps.Equal(got, want) || tokens < requests/4 {
		t.Errorf("%d tokens for %d requests, or another extract", tokens, requests)
	}
	srv.Wrap(nil)
	tokens = 0
	answers(srv, "acme/teams", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if tokens++; tokens == 1 {
			srv.RevokeTokens()
		}
		server.ServeHTTP(w, r)
	})
	if got := whole(t, s).Contents(); !maps.Equal(got, want) || tokens != 2 {
		t.Errorf("a revoked token was used %d times, or another extract", tokens)
	}
	text, _ := srv.AppSecret(t.Context())
	block, _ := pem.Decode([]byte(text))
	key, _ := x509.ParsePKCS1PrivateKey(block.Bytes)
	block.Bytes, _ = x509.MarshalPKCS8PrivateKey(key)
	block.Type = "PRIVATE KEY"
	whole(t, open(t, cfg, func(context.Context) (string, error) { return string(pem.EncodeToMemory(block)), nil }, c.options()))
	for name, secret := range map[string]string{"no key": "hunter2", "another key": "-----BEGIN RSA PRIVATE KEY-----\naHVudGVyMg==\n-----END RSA PRIVATE KEY-----\n", "nothing": ""} {
		s := open(t, cfg, func(context.Context) (string, error) { return secret, nil }, c.options())
		if cert, _ := extract(t, s); cert.Complete || !strings.Contains(cert.Reason, "private key") || strings.Contains(cert.Reason, "hunter") {
			t.Errorf("%s: complete %v, reason %q", name, cert.Complete, cert.Reason)
		}
	}
}

func TestSecrets(t *testing.T) {
	srv, _, c := serve(t)
	for name, secret := range map[string]web.Secret{
		"fails":     func(context.Context) (string, error) { return "", errors.New("the vault says hunter2") },
		"two lines": func(context.Context) (string, error) { return "hunter2\nhunter2", nil },
		"empty":     func(context.Context) (string, error) { return "", nil },
	} {
		cert, _ := extract(t, open(t, config(srv), secret, c.options()))
		if cert.Complete || !strings.Contains(cert.Reason, "token") || strings.Contains(cert.Reason, "hunter2") {
			t.Errorf("%s: complete %v, reason %q", name, cert.Complete, cert.Reason)
		}
	}
	if srv.Counts().Requests != 0 {
		t.Error("the server was asked")
	}
}

// TestLimits holds what is waited for, and what is not.
func TestLimits(t *testing.T) {
	const reset = "the rate limit lasts until 13:00:01 UTC on 24 November"
	for name, c := range map[string]struct {
		limit  func(srv *githubtest.Server, c *clock)
		waits  []time.Duration
		reason string
	}{
		"primary, soon": {func(srv *githubtest.Server, c *clock) { srv.SetRemaining(3); c.advance(50 * time.Minute) },
			[]time.Duration{10*time.Minute + time.Second}, ""},
		"primary, none left": {func(srv *githubtest.Server, c *clock) { srv.SetRemaining(0); c.advance(50 * time.Minute) },
			[]time.Duration{10*time.Minute + time.Second}, ""},
		"primary, late":  {func(srv *githubtest.Server, _ *clock) { srv.SetRemaining(3) }, nil, reset},
		"secondary":      {func(srv *githubtest.Server, _ *clock) { srv.Throttle(2, 40*time.Second) }, []time.Duration{40 * time.Second, 40 * time.Second}, ""},
		"secondary, now": {func(srv *githubtest.Server, _ *clock) { srv.Throttle(2, time.Millisecond) }, []time.Duration{time.Second, 2 * time.Second}, ""},
		"secondary, who knows when": {func(srv *githubtest.Server, _ *clock) { srv.Throttle(2, 0) },
			[]time.Duration{time.Minute, time.Minute}, ""},
		"secondary, late":     {func(srv *githubtest.Server, _ *clock) { srv.Throttle(1, 16*time.Minute) }, nil, "the rate limit lasts until 12:16:00 UTC on 24 November"},
		"secondary, for ever": {func(srv *githubtest.Server, _ *clock) { srv.Throttle(99, 7*time.Minute) }, []time.Duration{7 * time.Minute, 7 * time.Minute}, "12:21:00"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, s, clock := serve(t)
			c.limit(srv, clock)
			cert, _ := extract(t, s)
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || !slices.Equal(clock.waits, c.waits) {
				t.Errorf("complete %v, reason %q, waited %v", cert.Complete, cert.Reason, clock.waits)
			}
			for i, d := range clock.waits {
				if want := "rate limit of " + s.base.Host + ": waiting " + d.String(); clock.notes[i] != want {
					t.Errorf("note %q, want %q", clock.notes[i], want)
				}
			}
		})
	}
}

// An extract that a limit ends goes on in the next one.
func TestLimitGoesOn(t *testing.T) {
	srv, s, c := serve(t)
	want := whole(t, s).Contents()
	o := c.options()
	o.Memory = new(memory)
	for extracts := 1; ; extracts++ {
		c.advance(2 * time.Hour)
		srv.SetRemaining(6)
		cert, out := extract(t, open(t, config(srv), srv.Secret, o))
		if cert.Complete {
			if !maps.Equal(out.Contents(), want) || extracts == 1 {
				t.Errorf("another extract after %d", extracts)
			}
			return
		}
		if extracts > 10 {
			t.Fatal(cert.Reason)
		}
	}
}

// The wait for a limit ends with whoever waits.
func TestLimitCancelled(t *testing.T) {
	srv, _, c := serve(t)
	srv.Throttle(1, 10*time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	o := c.options()
	o.Sleep = nil // really
	o.Note = func(string) { cancel() }
	_, err := open(t, config(srv), srv.Secret, o).Extract(ctx, new(connectortest.Recorder))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestFind(t *testing.T) {
	srv, s, _ := serve(t)
	find := func(value string) error {
		_, err := s.Find(t.Context(), people.Key{Scheme: people.ByRecord(people.GitHub), Value: value})
		return err
	}
	for _, id := range []string{"15" /* invited only */, "999", "0", "-1", "011", "ada", ""} {
		if err := find(id); !errors.Is(err, connectors.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	// Renamed between two requests: what is not found by the old login proves
	// nothing.
	answers(srv, "/memberships/bob", func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		srv.Change(func(w *githubtest.World) { w.User(12).Login = "robert" })
		server.ServeHTTP(w, r)
	})
	if err := find("12"); err == nil || errors.Is(err, connectors.ErrNotFound) {
		t.Errorf("renamed meanwhile: %v", err)
	}
	if err := find("12"); err != nil {
		t.Errorf("renamed: %v", err)
	}
	// What is set aside may be who is looked for.
	f := openFile(t, "github.json", []byte(`{"organizations":[{"login":"a","members":[{"id":1,"login":7},{"id":2,"login":"b","role":"admin"}],"outside_collaborators":[],"teams":[]}]}`))
	if _, err := f.Find(t.Context(), people.Key{Scheme: people.ByRecord(people.GitHub), Value: "1"}); err == nil || errors.Is(err, connectors.ErrNotFound) {
		t.Errorf("set aside: %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := Config{Name: "github", Organizations: []string{"acme"}}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":                {func(*Config) {}, ""},
		"enterprise":          {func(c *Config) { c.URL, c.CAFile = "https://ghe.example.com/api/v3", "ca.pem" }, ""},
		"own certificates":    {func(c *Config) { c.CAFile = "ca.pem" }, ""},
		"file":                {func(c *Config) { *c = Config{Name: "github", File: "f"} }, ""},
		"no name":             {func(c *Config) { c.Name = "" }, "github: name is missing"},
		"no organisation":     {func(c *Config) { c.Organizations = nil }, "github: organizations is missing"},
		"odd organisation":    {func(c *Config) { c.Organizations[0] = "a/b" }, `github: organizations: "a/b" is not the login of one`},
		"organisation twice":  {func(c *Config) { c.Organizations = []string{"a", "A"} }, `github: organizations: "A" occurs twice`},
		"plain text":          {func(c *Config) { c.URL = "http://s3cret" }, "github: url must begin with https://"},
		"query":               {func(c *Config) { c.URL = "https://a/?s3cret" }, "github: url must not have a query"},
		"file and more":       {func(c *Config) { c.File, c.Users = "f", true }, "github: url, ca_file, timeout, app and users mean nothing for a file"},
		"no app":              {func(c *Config) { c.App.InstallationID = 1 }, "github: app: app_id is missing"},
		"negative":            {func(c *Config) { c.App.AppID, c.Timeout = -1, -1 }, "github: timeout is negative\ngithub: app: app_id and installation_id are positive numbers"},
		"one for two":         {func(c *Config) { c.App = App{1, 2}; c.Organizations = []string{"a", "b"} }, "github: app: an installation_id is of one organization; leave it out to use that of each"},
		"all sorts of things": {func(c *Config) { *c = Config{} }, "github: name is missing\ngithub: organizations is missing"},
	} {
		cfg := good
		cfg.Organizations = slices.Clone(good.Organizations)
		c.change(&cfg)
		got := ""
		if err := cfg.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := Open(good, nil, Options{}); err == nil {
		t.Error("opened without a token")
	}
	if s, err := Open(good, (&githubtest.Server{}).Secret, Options{}); err != nil || s.base.String() != DefaultURL {
		t.Errorf("url %v, error %v", s.base, err)
	}
}
