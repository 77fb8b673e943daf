package auth0_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/connectors/auth0"
	"example.org/cis/connectors/auth0/auth0test"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// hasty is how a test waits: not at all, and it keeps what people are told.
func hasty(notes *[]string) web.Options {
	return web.Options{
		Pauses: []time.Duration{},
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Note: func(s string) {
			if notes != nil {
				*notes = append(*notes, s)
			}
		},
	}
}

// open opens a source on which no test waits.
func open(t *testing.T, cfg auth0.Config) *auth0.Source {
	t.Helper()
	s, err := auth0.Open(cfg, auth0test.ReadSecret, hasty(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// extract extracts, and fails on an error.
func extract(t *testing.T, s *auth0.Source) (people.Certificate, connectortest.Recorder) {
	t.Helper()
	var out connectortest.Recorder
	cert, err := s.Extract(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return cert, out
}

var ways = []string{auth0.Export, auth0.Page, auth0.Checkpoint}

// three are users of three connections.
func three() []auth0test.User {
	return []auth0test.User{
		auth0test.Login("ad|Mozilla-LDAP|jdoe", "JDoe@example.org").Named("Jane", "Doe"),
		auth0test.Login("github|11", "gita@example.net").Linked("google-oauth2|987654321098765432109", "gita@gmail.example", ""),
		auth0test.Login("email|5ce405424afaa103b7590dba", "eve@example.com"),
	}
}

// secret stands in users that are set aside; nothing may repeat it.
const secret = "tr0ub4dor"

func putMalformed(s *auth0test.Tenant) {
	s.Delete("email|5ce405424afaa103b7590dba")
	for i, raw := range []string{
		`{"email":"tr0ub4dor@example.org"}`,
		`{"user_id":"tr0ub4dor"}`,
		`{"user_id":17}`,
		`{"user_id":"github|2","blocked":"tr0ub4dor"}`,
		`{"user_id":"github|3","email":"a@example.org","email":"tr0ub4dor@example.org"}`,
		`{"user_id":"github|4","given_name":"` + "\xff" + `tr0ub4dor"}`,
		`{"user_id":"github|5","given_name":"\ud800tr0ub4dor"}`,
		`["tr0ub4dor"]`,
	} {
		s.PutJSON(fmt.Sprint("malformed ", i), raw)
	}
	s.Put(three()[2]) // the bad ones are not in the last place
}

// badAttributes is a user of whom only values are set aside.
const badAttributes = `{"user_id":"github|6","email":"tr0ub4dor","created_at":"tr0ub4dor","given_name":["tr0ub4dor"],"identities":{}}`

func TestSuite(t *testing.T) {
	for _, way := range ways {
		tenant := func(change func(t *testing.T, s *auth0test.Tenant, c *auth0.Config)) func(*testing.T) connectors.Source {
			return func(t *testing.T) connectors.Source {
				s := auth0test.Start(t, three()...)
				c := s.Config("auth0")
				c.Paging, c.Timeout = way, 30*time.Second
				if way != auth0.Export {
					c.ExportHosts = nil
				}
				change(t, s, &c)
				return open(t, c)
			}
		}
		fault := func(f auth0test.Fault) func(*testing.T) connectors.Source {
			return tenant(func(t *testing.T, s *auth0test.Tenant, c *auth0.Config) { s.Fail(f) })
		}
		t.Run(way, func(t *testing.T) {
			t.Parallel() // most of it is waiting for servers that stall
			var repeated func(*testing.T) connectors.Source
			if more, ok := map[string][2]string{auth0.Page: {`"total":3`, `"total":150`}, auth0.Checkpoint: {`]}`, `],"next":"again"}`}}[way]; ok {
				repeated = fault(auth0test.WithUsers(func(w http.ResponseWriter, r *http.Request, well http.Handler) {
					q := r.URL.Query()
					q.Del("from")
					if q.Has("page") {
						q.Set("page", "0")
					}
					r.URL.RawQuery = q.Encode()
					page := httptest.NewRecorder()
					well.ServeHTTP(page, r)
					body := page.Body.String()
					at := strings.LastIndex(body, more[0])
					w.Header().Set("Content-Type", "application/json")
					io.WriteString(w, body[:at]+more[1]+body[at+len(more[0]):])
				}))
			}
			connectortest.Run(t, connectortest.Config{
				Good:   tenant(func(*testing.T, *auth0test.Tenant, *auth0.Config) {}),
				People: 3, Repeated: repeated,
				Malformed: tenant(func(_ *testing.T, s *auth0test.Tenant, _ *auth0.Config) {
					putMalformed(s)
					s.PutJSON("github|6", badAttributes)
					if way == auth0.Export {
						s.PutJSON("no JSON", `{"user_id":"github|7","given_name":tr0ub4dor}`)
					}
				}),
				Broken:    fault(auth0test.WithUsers(auth0test.Broken)),
				Truncated: fault(auth0test.WithUsers(auth0test.Truncated)),
				Stalled: tenant(func(_ *testing.T, s *auth0test.Tenant, c *auth0.Config) {
					c.Timeout = time.Second // longer than it takes the server to take a question
					s.Fail(auth0test.WithUsers(auth0test.Stalled))
				}),
				Empty: tenant(func(_ *testing.T, s *auth0test.Tenant, _ *auth0.Config) {
					for _, u := range three() {
						s.Delete(u.ID)
					}
				}),
				Redirected: tenant(func(t *testing.T, s *auth0test.Tenant, _ *auth0.Config) {
					elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						t.Errorf("another host was asked, with credentials %q", r.Header.Get("Authorization"))
					}))
					t.Cleanup(elsewhere.Close)
					s.Fail(auth0test.WithUsers(auth0test.RedirectTo(elsewhere.URL)))
				}),
				Refused: fault(auth0test.Refused),
				Secrets: []string{auth0test.Secret, "management-token", "signature-of", secret},
				FindBy:  []people.Scheme{people.ByUserID, people.ByRecord(people.AccessProvider)},
			})
		})
	}
}

func TestSuiteFile(t *testing.T) {
	good := auth0test.Start(t, three()...)
	malformed := auth0test.Start(t, three()...)
	putMalformed(malformed)
	array := func(lines []byte) []byte {
		return []byte("[" + strings.ReplaceAll(strings.TrimSpace(string(lines)), "\n", ",\n") + "]\n")
	}
	of := func(name string, content []byte) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source { return openFile(t, name, string(content)) }
	}
	lines, zipped := good.Lines(), auth0test.Gzip(good.Lines())
	broken := slices.Clone(zipped)
	copy(broken[60:], "\xff\xff\xff\xff")
	for name, c := range map[string]connectortest.Config{
		"lines": {
			Good: of("users.jsonl", lines), Malformed: of("users.jsonl", malformed.Lines()),
			Truncated: of("users.jsonl", lines[:len(lines)-5]), Empty: of("users.jsonl", nil),
		},
		"compressed lines": {
			Good: of("users.jsonl.gz", zipped), Broken: of("users.jsonl.gz", broken), Truncated: of("users.jsonl.gz", zipped[:len(zipped)-4]),
			Empty: of("users.jsonl.gz", auth0test.Gzip(nil)),
		},
		"array": {
			Good: of("users.json", array(lines)), Malformed: of("users.json", array(malformed.Lines())),
			Truncated: of("users.json", array(lines)[:len(lines)]), Empty: of("users.json", []byte(" [\n]")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.People, c.Secrets, c.FindBy = 3, []string{secret}, []people.Scheme{people.ByUserID}
			connectortest.Run(t, c)
		})
	}
}

func openFile(t *testing.T, name, content string) *auth0.Source {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, auth0.Config{Name: "auth0", File: p})
}

// TestWaysAgree reads many users in each way, and from what was exported.
func TestWaysAgree(t *testing.T) {
	s := auth0test.Start(t, three()...)
	for i := range 247 {
		u := auth0test.Login(fmt.Sprintf("github|%d", 1000+i), fmt.Sprintf("u%d@example.org", i))
		u.AppMetadata = map[string]any{"groups": []string{"a", fmt.Sprint("g", i)}}
		u.Blocked = i%7 == 0
		s.Put(u)
	}
	exported := filepath.Join(t.TempDir(), "users.jsonl.gz")
	if err := os.WriteFile(exported, auth0test.Gzip(s.Lines()), 0o600); err != nil {
		t.Fatal(err)
	}
	groups := auth0.Groups{Field: "app_metadata.groups", Absent: "empty"}
	cert, want := extract(t, open(t, auth0.Config{Name: "auth0", File: exported, Groups: groups}))
	if !cert.Complete || len(want.Observations) != 250 {
		t.Fatalf("%d users, reason %q", len(want.Observations), cert.Reason)
	}
	for _, way := range ways {
		c := s.Config("auth0")
		c.Paging, c.Groups = way, groups
		if way != auth0.Export {
			c.ExportHosts = nil
		}
		cert, got := extract(t, open(t, c))
		if !cert.Complete || len(got.Rejections) != 0 || way == auth0.Page && cert.Expected != 250 {
			t.Errorf("%s: reason %q, %d rejections, expected %d", way, cert.Reason, len(got.Rejections), cert.Expected)
		}
		wanted := want.Contents()
		for record, content := range got.Contents() {
			if wanted[record] != content {
				t.Errorf("%s: %s differs", way, record)
			}
			delete(wanted, record)
		}
		if len(wanted) > 0 {
			t.Errorf("%s: %d users are missing", way, len(wanted))
		}
	}
	for _, asked := range s.Asked() {
		if strings.Contains(asked, "picture") || strings.Contains(asked, "last_ip") {
			t.Errorf("asked for more than is mapped: %s", asked)
		}
	}
}

// TestBeyondThousand reads a tenant of more users than can be paged.
func TestBeyondThousand(t *testing.T) {
	for count, reason := range map[int]string{999: "", 1000: "set paging to export", 1001: "set paging to export"} {
		s := auth0test.Start(t)
		for i := range count {
			s.Put(auth0test.Login(fmt.Sprintf("github|%d", i+1), ""))
		}
		for _, way := range ways {
			c := s.Config("auth0")
			c.Paging = way
			if way != auth0.Export {
				c.ExportHosts = nil
			}
			want := reason
			if way != auth0.Page {
				want = ""
			}
			cert, out := extract(t, open(t, c))
			if cert.Complete != (want == "") || !strings.Contains(cert.Reason, want) || want == "" && len(out.Observations) != count {
				t.Errorf("%d users by %s: %d came, complete %v, reason %q", count, way, len(out.Observations), cert.Complete, cert.Reason)
			}
		}
	}
}

// many is a tenant of 250 users.
func many(t *testing.T) *auth0test.Tenant {
	s := auth0test.Start(t)
	for i := range 250 {
		s.Put(auth0test.Login(fmt.Sprintf("github|%d", i+1), fmt.Sprintf("u%d@example.org", i)))
	}
	return s
}

// TestUsersMove changes the tenant between two pages.
func TestUsersMove(t *testing.T) {
	newcomer := auth0test.Login("email|new", "new@example.org")
	for name, c := range map[string]struct {
		way      string
		change   func(s *auth0test.Tenant)
		reason   string // "" is complete
		rejected int
	}{
		"somebody comes":           {auth0.Page, func(s *auth0test.Tenant) { s.PutFirst(newcomer) }, "number of users changed", 0},
		"somebody goes":            {auth0.Page, func(s *auth0test.Tenant) { s.Delete("github|1") }, "number of users changed", 0},
		"one comes and one goes":   {auth0.Page, func(s *auth0test.Tenant) { s.PutFirst(newcomer); s.Delete("github|250") }, "249 of 250 users came", 0},
		"one moves, one is missed": {auth0.Page, func(s *auth0test.Tenant) { moveBack(s, "github|1") }, "249 of 250 users came", 0},
		"checkpoint, one comes":    {auth0.Checkpoint, func(s *auth0test.Tenant) { s.PutFirst(newcomer) }, "", 0},
		"checkpoint, moves":        {auth0.Checkpoint, func(s *auth0test.Tenant) { moveBack(s, "github|1") }, "", 0},
		"checkpoint, changes too":  {auth0.Checkpoint, func(s *auth0test.Tenant) { moveBack(s, "github|1"); block(s, "github|1") }, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := many(t)
			pages := 0
			s.Set(auth0test.Settings{OnPage: func() {
				if pages++; pages == 1 {
					c.change(s)
				}
			}})
			cfg := s.Config("auth0")
			cfg.Paging, cfg.ExportHosts = c.way, nil
			cert, out := extract(t, open(t, cfg))
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || len(out.Rejections) != c.rejected {
				t.Errorf("complete %v, reason %q, rejections %v", cert.Complete, cert.Reason, out.Rejections)
			}
			if len(out.Contents()) != len(out.Observations) {
				t.Error("a user was emitted twice")
			}
			if c.rejected > 0 && (out.Rejections[0].Record != "github|1" || out.Rejections[0].Attribute != "") {
				t.Errorf("rejected %+v", out.Rejections[0])
			}
		})
	}
}

func moveBack(s *auth0test.Tenant, id string) {
	u := auth0test.Login(id, "u0@example.org")
	s.Delete(id)
	s.Put(u)
}

func block(s *auth0test.Tenant, id string) {
	u := auth0test.Login(id, "u0@example.org")
	u.Blocked = true
	s.Put(u)
}

// TestAnswers holds answers that must not be taken for all users.
func TestAnswers(t *testing.T) {
	user := func(n int) string { return fmt.Sprintf(`{"user_id":"github|%d"}`, n) }
	page := func(start, total int, users ...string) string {
		return fmt.Sprintf(`{"start":%d,"limit":100,"length":%d,"users":[%s],"total":%d}`, start, len(users), strings.Join(users, ","), total)
	}
	for name, c := range map[string]struct {
		way     string
		answers []string // the last one again and again
		reason  string
	}{
		"no total":               {auth0.Page, []string{`{"start":0,"users":[` + user(1) + `]}`}, "does not say how many"},
		"a list":                 {auth0.Page, []string{`[` + user(1) + `]`}, "does not say how many"},
		"ends before the total":  {auth0.Page, []string{page(0, 3, user(1), user(2)), page(2, 3)}, "2 of 3 users came"},
		"page again":             {auth0.Page, []string{page(0, 3, user(1), user(2))}, "page 1 is not the one"},
		"page again, no start":   {auth0.Page, []string{`{"users":[` + user(1) + `],"total":2}`}, "page 1 is not the one"},
		"more than the total":    {auth0.Page, []string{page(0, 1, user(1), user(2))}, "2 of 1 users came"},
		"no users":               {auth0.Page, []string{`{"total":0}`}, "has no users"},
		"users are null":         {auth0.Page, []string{`{"users":null,"total":0}`}, "not a list"},
		"total is text":          {auth0.Page, []string{`{"users":[],"total":"1"}`}, "total is not a number"},
		"total is negative":      {auth0.Page, []string{`{"users":[],"total":-1}`}, "total is not a number"},
		"key twice":              {auth0.Page, []string{`{"users":[],"total":0,"total":1}`}, "a key twice"},
		"more after it":          {auth0.Page, []string{page(0, 1, user(1)) + `{}`}, "more after the end"},
		"not JSON":               {auth0.Page, []string{`{"users":[}`}, "not JSON"},
		"text":                   {auth0.Page, []string{`"users"`}, "neither a JSON object nor a list"},
		"nothing":                {auth0.Page, []string{``}, "end too early"},
		"checkpoints unknown":    {auth0.Checkpoint, []string{page(0, 1, user(1))}, "set paging to export"},
		"checkpoints ignored":    {auth0.Checkpoint, []string{`[` + user(1) + `]`}, "set paging to export"},
		"checkpoint twice":       {auth0.Checkpoint, []string{`{"users":[` + user(1) + `],"next":"a"}`, `{"users":[` + user(2) + `],"next":"a"}`}, "checkpoint came twice"},
		"page twice, other next": {auth0.Checkpoint, []string{`{"users":[` + user(1) + `],"next":"a"}`, `{"users":[` + user(1) + `],"next":"b"}`}, "had come already"},
		"no users, but a next":   {auth0.Checkpoint, []string{`{"users":[],"next":"a"}`}, "says that there are more"},
		"next is a number":       {auth0.Checkpoint, []string{`{"users":[` + user(1) + `],"next":1}`}, "next is not a string"},
		"fewer than the total":   {auth0.Checkpoint, []string{`{"users":[` + user(1) + `],"total":2}`}, "1 of 2 users came"},
		"well":                   {auth0.Checkpoint, []string{`{"next":"a","users":[` + user(1) + `],"and":{"more":[]}}`, `{"users":[` + user(2) + `],"next":null}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := auth0test.Start(t)
			asked := 0
			s.Fail(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, c.answers[min(asked, len(c.answers)-1)])
				asked++
			})
			cfg := s.Config("auth0")
			cfg.Paging, cfg.ExportHosts = c.way, nil
			cert, _ := extract(t, open(t, cfg))
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || (cert.End == "") == cert.Complete {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
		})
	}
}

// TestAuth0HasNoCheckpoints is the tenant as Auth0 documents it.
func TestAuth0HasNoCheckpoints(t *testing.T) {
	s := auth0test.Start(t, three()...)
	s.Set(auth0test.Settings{NoCheckpoints: true})
	c := s.Config("auth0")
	c.Paging, c.ExportHosts = auth0.Checkpoint, nil
	if cert, _ := extract(t, open(t, c)); cert.Complete || !strings.Contains(cert.Reason, "set paging to export") {
		t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
	}
	if cert, _ := extract(t, open(t, s.Config("auth0"))); !cert.Complete {
		t.Errorf("by default: reason %q", cert.Reason)
	}
}

// TestExport holds what happens to the job and the file.
func TestExport(t *testing.T) {
	stranger := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Error("a stranger was asked") }))
	defer stranger.Close()
	for name, c := range map[string]struct {
		set    auth0test.Settings
		hosts  []string
		reason string
		notes  int
	}{
		"at once":             {},
		"takes its time":      {set: auth0test.Settings{Polls: 3}, notes: 3},
		"never ends":          {set: auth0test.Settings{Polls: 1e9}, reason: "not completed within 1h0m0s", notes: 122},
		"fails":               {set: auth0test.Settings{FailJobs: true}, reason: "job failed"},
		"plain":               {set: auth0test.Settings{PlainExports: true}},
		"link too old":        {set: auth0test.Settings{ExpiredLinks: 1}},
		"links always old":    {set: auth0test.Settings{ExpiredLinks: 2}, reason: "not valid, or no longer"},
		"another host":        {set: auth0test.Settings{ExportsAt: stranger.URL}, reason: "export_hosts does not allow"},
		"host not configured": {hosts: []string{"*.auth0.com"}, reason: "export_hosts does not allow"},
		"plain http":          {set: auth0test.Settings{ExportsAt: "http://127.0.0.1"}, hosts: []string{"*"}, reason: "export_hosts does not allow"},
		"credentials in it":   {set: auth0test.Settings{ExportsAt: "https://a:b@127.0.0.1"}, hosts: []string{"*"}, reason: "another host"},
		"no URL":              {set: auth0test.Settings{ExportsAt: "https://%zz"}, hosts: []string{"*"}, reason: "export_hosts does not allow"},
	} {
		t.Run(name, func(t *testing.T) {
			s := auth0test.Start(t, three()...)
			s.Set(c.set)
			cfg := s.Config("auth0")
			if c.hosts != nil {
				cfg.ExportHosts = c.hosts
			}
			var notes []string
			src, err := auth0.Open(cfg, auth0test.ReadSecret, hasty(&notes))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			cert, out := extract(t, src)
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || cert.Complete && len(out.Observations) != 3 {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
			if len(notes) != c.notes || c.notes > 0 && !strings.Contains(notes[0], "% done, waiting 2s") {
				t.Errorf("%d notes, want %d: %.200q", len(notes), c.notes, notes)
			}
			if strings.Contains(cert.Reason+strings.Join(notes, ""), "signature") {
				t.Error("the signature of the link is told")
			}
		})
	}
}

// TestRateLimits waits for limits, and says so.
func TestRateLimits(t *testing.T) {
	for _, way := range ways {
		s := auth0test.Start(t, three()...)
		s.Fail(auth0test.Limited(2, 40*time.Second))
		c := s.Config("auth0")
		c.Paging = way
		if way != auth0.Export {
			c.ExportHosts = nil
		}
		var waits []time.Duration
		var notes []string
		o := hasty(&notes)
		o.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
		src, err := auth0.Open(c, auth0test.ReadSecret, o)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		cert, _ := extract(t, src)
		if !cert.Complete || len(waits) != 2 || waits[0] < 39*time.Second || waits[0] > 41*time.Second || !strings.Contains(notes[0], "rate limit") {
			t.Errorf("%s: reason %q, waits %v, notes %q", way, cert.Reason, waits, notes)
		}
	}
}

// TestTokens reads with a token that is given, and with one that is refused
// in between.
func TestTokens(t *testing.T) {
	s := many(t)
	pages := 0
	s.Set(auth0test.Settings{OnPage: func() {
		if pages++; pages == 2 {
			s.ExpireTokens()
		}
	}})
	c := s.Config("auth0")
	c.Paging, c.ExportHosts = auth0.Page, nil
	if cert, out := extract(t, open(t, c)); !cert.Complete || len(out.Observations) != 250 {
		t.Errorf("token refused in between: reason %q", cert.Reason)
	}
	c.ClientID = ""
	given, err := auth0.Open(c, func(context.Context) (string, error) { return "management-token-2", nil }, hasty(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	if cert, _ := extract(t, given); !cert.Complete || cert.Scope[1] != "token" {
		t.Errorf("token given: reason %q, scope %q", cert.Reason, cert.Scope)
	}
	c.ClientID = "somebody-else"
	if cert, _ := extract(t, open(t, c)); cert.Complete || !strings.Contains(cert.Reason, "token endpoint") {
		t.Errorf("unknown client: reason %q", cert.Reason)
	}
}

// TestConnections reads users of some connections only.
func TestConnections(t *testing.T) {
	for _, way := range ways {
		s := auth0test.Start(t, three()...)
		c := s.Config("auth0")
		c.Paging, c.Connections = way, []string{"github", "Mozilla-LDAP"}
		if way != auth0.Export {
			c.ExportHosts = nil
		}
		src := open(t, c)
		cert, out := extract(t, src)
		if !cert.Complete || len(out.Observations) != 2 || len(out.Rejections) != 0 || way == auth0.Page && cert.Expected != 2 {
			t.Errorf("%s: %d users, reason %q, expected %d", way, len(out.Observations), cert.Reason, cert.Expected)
		}
		if !slices.Contains(cert.Scope, "connections Mozilla-LDAP, github") {
			t.Errorf("scope %q", cert.Scope)
		}
		if _, err := src.Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: three()[2].ID}); !errors.Is(err, connectors.ErrNotFound) {
			t.Errorf("find of another connection's user: %v", err)
		}
		c.Connections = []string{"samlp"}
		if cert, _ := extract(t, open(t, c)); cert.Complete || !strings.Contains(cert.Reason, "no rows of use: all 3 users are of other connections") {
			t.Errorf("%s: complete %v, reason %q", way, cert.Complete, cert.Reason)
		}
	}
}

// TestFindNewLogin is a person who logs in for the first time, is found at
// once, and is blocked.
func TestFindNewLogin(t *testing.T) {
	s := auth0test.Start(t, three()...)
	src := open(t, s.Config("auth0"))
	find := func(id string) (people.Observation, error) {
		return src.Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: id})
	}
	for _, id := range []string{"email|a%40b/c?d=1#e", "github|77"} {
		if _, err := find(id); !errors.Is(err, connectors.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		u := auth0test.Login(id, "New@example.org")
		s.Put(u)
		o, err := find(id)
		if err != nil || o.Record != id || o.Lifecycle != people.Present || o.Key(people.ByEmail) != "new@example.org" {
			t.Errorf("after: %+v, %v", o, err)
		}
		u.Blocked = true
		s.Put(u)
		if o, err = find(id); err != nil || o.Lifecycle != people.Blocked {
			t.Errorf("blocked: %v, %v", o.Lifecycle, err)
		}
	}
	for raw, reason := range map[string]string{
		`{"user_id":"github|8","blocked":1}`: "blocked is neither",
		`{"user_id":"github|9"}`:             "another user",
		`{"user_id":`:                        "not JSON",
		`{"user_id":"github|8","a":"` + strings.Repeat("a", 1<<20) + `"}`: "over 1048576 bytes",
	} {
		s.PutJSON("github|8", raw)
		if _, err := find("github|8"); err == nil || errors.Is(err, connectors.ErrNotFound) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.40s: %v, want %q", raw, err, reason)
		}
	}
}

// TestFindInFile must not take a user who cannot be read for one who is not there.
func TestFindInFile(t *testing.T) {
	for content, want := range map[string]string{
		`{"user_id":"github|1"}`: "",
		`{"user_id":"github|2"}`: "no such record",
		`{"user_id":"github|2"}` + "\n" + `{"email":"a@example.org"}`:               "1 users are set aside",
		`{"user_id":"github|2"}` + "\n" + `{"user_id":"github|1","blocked":1}`:      "the user is set aside",
		`{"user_id":"github|1"}` + "\n" + `{"user_id":"github|1"}`:                  "",
		`{"user_id":"github|1"}` + "\n" + `{"user_id":"github|1","given_name":"A"}`: "came twice",
		`{"user_id":"github|1"}` + "\n" + `{"user_id":"github|2",`:                  "end too early",
	} {
		_, err := openFile(t, "u.jsonl", content).Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: "github|1"})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || errors.Is(err, connectors.ErrNotFound) != (want == "no such record")) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	for name, c := range map[string]struct{ content, reason string }{
		"users.zip":  {"x", "not read"},
		"users.gz":   {"", "unexpected EOF"},
		"long.json":  {`[{"user_id":"github|1","a":"` + strings.Repeat("a", 1<<21) + `"}]`, "user 1 is over"},
		"long.jsonl": {`{"user_id":"github|1","a":"` + strings.Repeat("a", 1<<21) + `"}`, "user 1 is over"},
		"junk.jsonl": {"a\nb\n", "all 2 users are set aside"},
	} {
		if cert, _ := extract(t, openFile(t, name, c.content)); cert.Complete || !strings.Contains(cert.Reason, c.reason) {
			t.Errorf("%s: complete %v, reason %q, want %q", name, cert.Complete, cert.Reason, c.reason)
		}
	}
	if cert, _ := extract(t, open(t, auth0.Config{Name: "auth0", File: "testdata/none.jsonl"})); !strings.Contains(cert.Reason, "no such file") {
		t.Errorf("reason %q", cert.Reason)
	}
	limited := auth0.Config{Name: "auth0", File: "testdata/users.json", Config: web.Config{MaxBytes: 100}}
	if cert, _ := extract(t, open(t, limited)); !strings.Contains(cert.Reason, "over 100 bytes") {
		t.Errorf("reason %q", cert.Reason)
	}
}

// TestJobAnswers holds what may be said of a job, and of the file it wrote,
// and is neither.
func TestJobAnswers(t *testing.T) {
	const begun = `{"id":"job_1","status":"pending"}`
	for name, c := range map[string]struct{ begun, job, file, reason string }{
		"no id":            {begun: `{"status":"pending"}`, reason: "has no id"},
		"no JSON":          {begun: `{"id":`, reason: "not the JSON of a job"},
		"a list":           {begun: begun, job: `[]`, reason: "not the JSON of a job"},
		"unknown state":    {begun: begun, job: `{"status":"tr0ub4dor"}`, reason: "state that is not known"},
		"no location":      {begun: begun, job: `{"status":"completed"}`, reason: "has no location"},
		"endless":          {begun: begun, job: `{"a":"` + strings.Repeat("a", 1<<18) + `"}`, reason: "over 262144 bytes"},
		"broken file":      {begun: begun, job: `{"status":"completed","location":"LOCATION"}`, file: "\x1f\x8b\x08", reason: "compression is broken"},
		"empty file":       {begun: begun, job: `{"status":"completed","location":"LOCATION"}`, file: "", reason: "no rows"},
		"a page of errors": {begun: begun, job: `{"status":"completed","location":"LOCATION"}`, file: "<html>\n", reason: "all 1 users are set aside"},
		"well":             {begun: begun, job: `{"status":"completed","location":"LOCATION"}`, file: `{"user_id":"github|1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := auth0test.Start(t)
			s.Fail(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.Method == http.MethodPost:
					fmt.Fprint(w, c.begun)
				case strings.HasPrefix(r.URL.Path, "/api/"):
					fmt.Fprint(w, strings.Replace(c.job, "LOCATION", "https://"+s.ExportHost()+"/file", 1))
				default:
					fmt.Fprint(w, c.file)
				}
			})
			cert, _ := extract(t, open(t, s.Config("auth0")))
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || strings.Contains(cert.Reason, secret) {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
		})
	}
}
