package directory

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/directory/directorytest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

const (
	ada = "ad|Example-LDAP|ada"
	bob = "github|4711"
	eve = "email|5d41402a/bc4b2a76+b9719d"
)

func secret(context.Context) (string, error) { return directorytest.ClientSecret, nil }

// options are those of a source that repeats nothing.
func options() Options {
	return Options{Secret: secret, Web: web.Options{Pauses: []time.Duration{}}}
}

func open(t *testing.T, cfg Config, o Options) *Source {
	t.Helper()
	s, err := Open(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// server starts a directory with three people.
func server(t *testing.T) *directorytest.Server {
	srv := directorytest.Start(t)
	for id, name := range map[string]string{ada: "Ada", bob: "Bob", eve: "Eve"} {
		srv.Put(id, directorytest.Profile(id, directorytest.Said("first_name", people.StringValue(name))))
	}
	return srv
}

// of is the configuration of a source that reads srv.
func of(srv *directorytest.Server) Config {
	return Config{
		Name:        "directory",
		Config:      web.Config{URL: srv.URL, CAFile: srv.CAFile, Timeout: 30 * time.Second},
		Credentials: web.Credentials{TokenURL: srv.TokenURL, ClientID: directorytest.ClientID, Audience: directorytest.Audience},
	}
}

// serve starts a server that gives everybody a token and answers the list with
// h.
func serve(t *testing.T, h http.HandlerFunc) Config {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"t0ken","token_type":"Bearer"}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	})
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{
		Name:        "directory",
		Config:      web.Config{URL: srv.URL + "/people?active=any&key=s3cret", CAFile: ca, Timeout: 30 * time.Second},
		Credentials: web.Credentials{TokenURL: srv.URL + "/token", ClientID: "cis"},
	}
}

func openFile(t *testing.T, name, content string) *Source {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, Config{Name: "directory", File: p}, Options{})
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

// impatient is a timeout for servers that do not answer anyway.
const impatient = time.Second

// The profiles of the tests, and some that are set aside with values that
// nothing may repeat.
var (
	one   = `{"schema":"x","user_id":{"value":"github|1"},"first_name":{"metadata":{"verified":true},"value":"Ada"}}`
	two   = `{"user_id":{"value":"github|2"},"access_information":{"mozilliansorg":{"metadata":{"verified":true},"values":{"nda":""}}}}`
	wrong = []string{
		`{"user_id":{"value":"tr0ub4dor"},"first_name":{"value":"tr0ub4dor"}}`,
		`{"user_id":{"value":["tr0ub4dor"]}}`,
		`"tr0ub4dor"`,
		`{"user_id":{"value":"github|3"},"user_id":{"value":"tr0ub4dor|3"}}`,
		`{"user_id":{"value":"github|4"},"first_name":{"value":"` + "\xff" + `tr0ub4dor"},"tr0ub4dor@example.com":{}}`,
		`{"user_id":{"value":"github|5"},"tags":{"values":{"tr0ub4dor@example.com":["tr0ub4dor"]}}}`,
	}
)

func TestSuiteHTTPS(t *testing.T) {
	with := func(prepare func(*directorytest.Server, *Config)) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source {
			srv := server(t)
			cfg := of(srv)
			if prepare != nil {
				prepare(srv, &cfg)
			}
			return open(t, cfg, options())
		}
	}
	fault := func(f directorytest.Fault) func(*testing.T) connectors.Source {
		return with(func(srv *directorytest.Server, cfg *Config) {
			srv.Break(f)
			if f == directorytest.Stalled {
				cfg.Timeout = impatient
			}
		})
	}
	config := connectortest.Config{
		Good:   with(nil),
		People: 3,
		Malformed: with(func(srv *directorytest.Server, _ *Config) {
			for i, w := range wrong {
				srv.Put(fmt.Sprintf("bad|%d", i), []byte(w))
			}
		}),
		Broken:    fault(directorytest.Broken),
		Truncated: fault(directorytest.Truncated),
		Repeated:  fault(directorytest.RepeatedToken),
		Stalled:   fault(directorytest.Stalled),
		Empty: with(func(srv *directorytest.Server, _ *Config) {
			for _, id := range []string{ada, bob, eve} {
				srv.Remove(id)
			}
		}),
		Redirected: fault(directorytest.Redirected),
		Refused:    fault(directorytest.Refused),
		Secrets:    []string{directorytest.ClientSecret, "token-1-of", "tr0ub4dor"},
		FindBy:     []people.Scheme{people.ByUserID, people.ByRecord(people.Directory)},
	}
	connectortest.Run(t, config)
	t.Run("no token", func(t *testing.T) {
		connectortest.Run(t, connectortest.Config{
			Good: config.Good, People: 3, Refused: fault(directorytest.NoTokens), Secrets: config.Secrets, FindBy: config.FindBy,
		})
	})
}

func TestSuiteFile(t *testing.T) {
	bad := strings.Join(wrong, ",\n")
	zipped := gzipped(one + "\n" + two + "\n")
	for name, c := range map[string]struct{ good, malformed, broken, truncated, empty string }{
		"people.json":     {"[" + one + ",\n" + two + "]", "[" + one + "," + bad + "," + two + "]", "[" + one + "\x00", "[" + one + "," + two, "[]"},
		"page.json":       {page(one, two), page(one, bad, two), `{"Items":[` + one + "}", strings.TrimSuffix(page(one, two), "}"), page()},
		"people.jsonl":    {one + "\n" + two + "\n", one + "\n{\n" + strings.Join(wrong, "\n") + "\n" + two, "", one + "\n" + two[:50], ""},
		"people.jsonl.gz": {zipped, gzipped(one + "\n" + strings.Join(wrong, "\n") + "\n" + two), zipped[:60] + "\xff\xff\xff" + zipped[63:], zipped[:len(zipped)-4], gzipped("\n")},
	} {
		t.Run(name, func(t *testing.T) {
			file := func(content string) func(*testing.T) connectors.Source {
				return func(t *testing.T) connectors.Source { return openFile(t, name, content) }
			}
			config := connectortest.Config{
				Good:      file(c.good),
				People:    2,
				Malformed: file(c.malformed),
				Broken:    file(c.broken),
				Truncated: file(c.truncated),
				Empty:     file(c.empty),
				Secrets:   []string{"tr0ub4dor"},
				FindBy:    []people.Scheme{people.ByUserID, people.ByRecord(people.Directory)},
			}
			if c.broken == "" {
				config.Broken = nil // a plain line that is wrong is set aside
			}
			connectortest.Run(t, config)
		})
	}
}

func page(items ...string) string {
	return `{"Items":[` + strings.Join(items, ",") + `],"nextPage":null}`
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// TestPages reads lists of several pages, and those that must not be taken for
// whole.
func TestPages(t *testing.T) {
	followed := func(next string) string { return `{"nextPage":` + next + `,"Items":[` + one + `]}` }
	for name, c := range map[string]struct {
		first, second string
		people        int
		reason        string // "" is complete
	}{
		"one page":          {page(one, two), "", 2, ""},
		"keys in any order": {`{"nextPage":null,"Items":[` + two + `]}`, "", 1, ""},
		"a token":           {followed(`"n+/=&xt"`), page(two), 2, ""},
		"a token's object":  {followed(`{"id":"n+/=&xt"}`), page(two), 2, ""},
		"an empty page":     {`{"Items":[],"nextPage":"n+/=&xt"}`, page(two), 1, ""},
		"empty at the end":  {followed(`"n+/=&xt"`), page(), 1, ""},
		"the same again":    {followed(`"n+/=&xt"`), followed(`"n+/=&xt"`), 2, "page 2 names a next page that was read already"},
		"no nextPage":       {`{"Items":[` + one + `]}`, "", 1, "without nextPage"},
		"no nextPage later": {followed(`"n+/=&xt"`), `{"Items":[]}`, 1, "without nextPage"},
		"no Items":          {`{"nextPage":null}`, "", 0, "without Items"},
		"nothing":           {`{}`, "", 0, "without Items"},
		"null":              {`null`, "", 0, "not a JSON object"},
		"a list":            {`[` + one + `]`, "", 0, "not a JSON object"},
		"Items null":        {`{"Items":null,"nextPage":null}`, "", 0, "Items are not a list"},
		"Items twice":       {`{"Items":[],"nextPage":null,"Items":[]}`, "", 0, "one of them twice"},
		"nextPage twice":    {`{"nextPage":null,"Items":[],"nextPage":"x"}`, "", 0, "one of them twice"},
		"another key":       {`{"Items":[],"nextPage":null,"Count":3}`, "", 0, "a key beside Items"},
		"empty token":       {followed(`""`), "", 0, "neither null nor a token"},
		"number":            {followed(`2`), "", 0, "neither null nor a token"},
		"false":             {followed(`false`), "", 0, "neither null nor a token"},
		"empty object":      {followed(`{}`), "", 0, "neither null nor a token"},
		"null in object":    {followed(`{"id":null}`), "", 0, "neither null nor a token"},
		"other object":      {followed(`{"id":"x","more":true}`), "", 0, "neither null nor a token"},
		"long token":        {followed(`"` + strings.Repeat("x", maxPageToken+1) + `"`), "", 0, "neither null nor a token"},
		"more after":        {page(one) + page(two), "", 1, "more after the end"},
		"cut":               {`{"Items":[` + one + `,`, "", 1, "ends too early, after people:page 1 item 1"},
		"cut later":         {followed(`"n+/=&xt"`), `{"Items":[` + two, 2, "ends too early"},
		"long profile":      {`{"Items":["` + strings.Repeat("x", maxRecord) + `"],"nextPage":null}`, "", 0, "over 1048576 bytes"},
		"error":             {`{"code":"s3cret","description":"s3cret"}`, "", 0, "a key beside Items"},
		"no rows":           {page(), "", 0, "no rows"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				if q.Get("active") != "any" || q.Get("key") != "s3cret" || r.Header.Get("Authorization") != "Bearer t0ken" || r.URL.Path != "/people" {
					t.Errorf("asked %s", r.URL)
				}
				switch q.Get("nextPage") {
				case "":
					io.WriteString(w, c.first)
				case "n+/=&xt":
					io.WriteString(w, c.second)
				default:
					t.Errorf("asked for another page")
				}
			})
			cert, out := extract(t, open(t, cfg, options()))
			if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || strings.Contains(cert.Reason, "s3cret") {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
			if name == "the same again" { // which profile is which is for whoever keeps them to see
				c.people = len(out.Observations)
			}
			if len(out.Observations) != c.people && c.reason == "" {
				t.Errorf("%d people, want %d", len(out.Observations), c.people)
			}
			if cert.Complete && cert.End != "nextPage null" {
				t.Errorf("end %q", cert.End)
			}
		})
	}
}

// TestServer reads the server that other tests use.
func TestServer(t *testing.T) {
	srv := server(t)
	cfg := of(srv)
	s := open(t, cfg, options())
	for i := range 20 {
		id := fmt.Sprintf("github|%d", i)
		srv.Put(id, directorytest.Profile(id))
	}
	for size := 1; size < 25; size += 5 {
		srv.SetPageSize(size)
		cert, out := extract(t, s)
		if !cert.Complete || len(out.Observations) != 23 || len(out.Contents()) != 23 {
			t.Errorf("pages of %d: %d people, reason %q", size, len(out.Observations), cert.Reason)
		}
	}
	srv.Break(directorytest.EmptyPage)
	if cert, out := extract(t, s); !cert.Complete || len(out.Observations) != 23 {
		t.Errorf("after a page of nobody: %d people, reason %q", len(out.Observations), cert.Reason)
	}
	for f, want := range map[directorytest.Fault]string{
		directorytest.NoNextPage:    "without nextPage",
		directorytest.RepeatedToken: "was read already",
		directorytest.Down:          "status 503",
		directorytest.Refused:       "refused the credentials (status 401)",
	} {
		srv.Break(f)
		if cert, _ := extract(t, s); cert.Complete || !strings.Contains(cert.Reason, want) {
			t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, want)
		}
	}
	srv.Break(directorytest.None)
	before := srv.Tokens()
	srv.ExpireToken()
	if cert, _ := extract(t, s); !cert.Complete || srv.Tokens() != before+1 {
		t.Errorf("%d new tokens, reason %q", srv.Tokens()-before, cert.Reason)
	}
	for i := range 20 {
		srv.Remove(fmt.Sprintf("github|%d", i))
	}
	srv.SetPageSize(10)
	_, out := extract(t, s)
	if got, want := out.Sorted()[0].Place, "users:page 1 item "; len(out.Observations) != 3 || !strings.HasPrefix(got, want) {
		t.Errorf("%d people, the first at %q", len(out.Observations), got)
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		reason string
	}{
		"not found":  {func(w http.ResponseWriter) { w.WriteHeader(404) }, "status 404"},
		"no content": {func(w http.ResponseWriter) { w.WriteHeader(204) }, "status 204"},
		"partial":    {func(w http.ResponseWriter) { w.WriteHeader(206); io.WriteString(w, page(one)) }, "status 206"},
		"login page": {func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html"); io.WriteString(w, page(one)) }, "not of type application/json"},
		"too long":   {func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat(" ", 5000)+page(one)) }, "over 4096 bytes"},
	} {
		cfg := serve(t, func(w http.ResponseWriter, _ *http.Request) { c.answer(w) })
		cfg.MaxBytes = 4096
		if cert, _ := extract(t, open(t, cfg, options())); cert.Complete || !strings.Contains(cert.Reason, c.reason) {
			t.Errorf("%s: complete %v, reason %q, want %q", name, cert.Complete, cert.Reason, c.reason)
		}
	}
}

func TestFind(t *testing.T) {
	answer := ""
	asked := ""
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.EscapedPath() + "?" + r.URL.RawQuery
		if answer == "" {
			w.WriteHeader(404)
		}
		io.WriteString(w, answer)
	})
	byURL := cfg
	byURL.FindURL = strings.Replace(cfg.URL, "/people?active=any&key=s3cret", "/person/{id}/all?x=y", 1)
	for name, c := range map[string]struct {
		id, answer, failure string // "nobody" is ErrNotFound
	}{
		"found":         {"github|1", one, ""},
		"empty":         {"github|1", `{}`, "nobody"},
		"404":           {"github|1", "", "nobody"},
		"no user_id":    {"github", one, "nobody"},
		"other form":    {" github|1", one, "nobody"},
		"somebody else": {"github|1", two, "somebody else"},
		"a list":        {"github|1", page(one), "set aside: no user_id"},
		"cut":           {"github|1", one[:40], "set aside: not JSON"},
		"nothing":       {"github|1", " ", "set aside: not JSON"},
		"too long":      {"github|1", `{"a":"` + strings.Repeat("x", maxRecord) + `"}`, "set aside: over 1048576 bytes"},
		"dots":          {"x|/../../admin", `{}`, "cannot be asked for"},
	} {
		for where, cfg := range map[string]Config{"/people/user_id/github%7C1?active=any&key=s3cret": cfg, "/person/github%7C1/all?x=y": byURL} {
			answer, asked = c.answer, ""
			o, err := open(t, cfg, options()).Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: c.id})
			switch {
			case c.failure == "" && (err != nil || o.Record != c.id || o.Place == ""):
				t.Errorf("%s: %v", name, err)
			case c.failure == "nobody" && !errors.Is(err, connectors.ErrNotFound):
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			case c.failure != "" && c.failure != "nobody" && (errors.Is(err, connectors.ErrNotFound) || !strings.Contains(fmt.Sprint(err), c.failure)):
				t.Errorf("%s: %v, want %q", name, err, c.failure)
			}
			if c.id == "github|1" && asked != where {
				t.Errorf("%s: asked %s, want %s", name, asked, where)
			}
		}
	}
}

func TestFindInFile(t *testing.T) {
	for content, want := range map[string]string{
		one + "\n" + two:               "",
		two:                            "nobody",
		one + "\n" + one + "\n" + two:  "2 profiles have it",
		two + "\n" + wrong[0]:          "not found, but 1 profiles are set aside",
		wrong[0] + "\n" + one:          "",
		one + "\n" + two[:30]:          "too early",
		"[" + one + "," + two + "]x":   "not JSON",
		page(two) + " ":                "nobody",
		`{"Items":[],"nextPage":"x"}`:  "names another one",
		"[" + strings.Repeat("[", 2e4): "not JSON",
	} {
		_, err := openFile(t, "p.json", content).Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: "github|1"})
		if want == "nobody" && errors.Is(err, connectors.ErrNotFound) || want == "" && err == nil {
			continue
		}
		if err == nil || errors.Is(err, connectors.ErrNotFound) || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", content, err, want)
		}
	}
}

// TestTruncated cuts every form of file at every byte. Only a plain file of
// lines may be cut between two of them and not look it.
func TestTruncated(t *testing.T) {
	for name, whole := range map[string]string{
		"p.json": "[" + one + "," + two + "]", "q.json": page(one, two), "p.jsonl": one + "\n\n" + two + "\n",
		"p.json.gz": gzipped("[" + one + "]"), "p.jsonl.gz": gzipped(one + "\n" + two + "\n"),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		s := open(t, Config{Name: "d", File: path}, Options{})
		for i := range len(whole) {
			if err := os.WriteFile(path, []byte(whole[:i]), 0o600); err != nil {
				t.Fatal(err)
			}
			cert, _ := extract(t, s)
			atLine := name == "p.jsonl" && (i == len(one) || i == len(one)+1 || i == len(one)+2 || i == len(whole)-1)
			if cert.Complete != atLine || !cert.Complete && cert.Reason == "" {
				t.Errorf("%s: complete %v when cut after %d of %d bytes", name, cert.Complete, i, len(whole))
			}
		}
	}
}

func TestFileForms(t *testing.T) {
	long := `{"user_id":{"value":"github|9"},"description":{"value":"` + strings.Repeat("x", maxRecord) + `"}}`
	for content, c := range map[string]struct {
		people, aside int
		reason        string
	}{
		" \n[" + one + "]\n": {1, 0, ""},
		"{\n \"Items\" : [" + one + "],\"nextPage\":null}": {1, 0, ""},
		"{\"nextPage\":null,\"Items\":[" + one + "]}":      {1, 0, ""},
		one + "\r\n\r\n" + two + "\r\n":                    {2, 0, ""},
		one + "\n" + two:                                   {2, 0, ""},
		one + "\nnull\n[]\n{}\n" + two:                     {2, 3, ""},
		one + "\n" + long + "\n" + two:                     {2, 1, ""},
		one + one + "\n" + two:                             {1, 1, ""},
		one + "\n" + long:                                  {1, 0, "too early"},
		"[" + long + "]":                                   {0, 0, "over 1048576 bytes"},
		"[" + one + "]" + two:                              {1, 0, "more after"},
		"[" + one + ",null," + two + "]":                   {2, 1, ""},
		`{"Items":[` + one + `],"nextPage":"x"}`:           {1, 0, "names another one"},
		"":                                                 {0, 0, "no rows"},
		"\n\n":                                             {0, 0, "no rows"},
		"[]":                                               {0, 0, "no rows"},
		"{}":                                               {0, 1, ""},
	} {
		cert, out := extract(t, openFile(t, "p.json", content))
		if cert.Complete != (c.reason == "") || !strings.Contains(cert.Reason, c.reason) || len(out.Observations) != c.people || len(out.Rejections) != c.aside {
			t.Errorf("%.60q: complete %v, reason %q, %d people, %d set aside; want %+v", content, cert.Complete, cert.Reason, len(out.Observations), len(out.Rejections), c)
		}
	}
}

func TestPlaces(t *testing.T) {
	for content, want := range map[string]string{
		"\n" + one + "\n" + wrong[0] + "\n": "p.json:line 2 p.json:line 3",
		"[" + one + "," + wrong[0] + "]":    "p.json:item 1 p.json:item 2",
	} {
		_, out := extract(t, openFile(t, "p.json", content))
		if got := out.Observations[0].Place + " " + out.Rejections[0].Place; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFileLimit(t *testing.T) {
	whole := "[" + one + "]"
	for limit, complete := range map[int64]bool{int64(len(whole)): true, int64(len(whole)) - 1: false, 1: false, 0: true} {
		s := openFile(t, "p.json", whole)
		cfg := s.cfg
		cfg.MaxBytes = limit
		if cert, _ := extract(t, open(t, cfg, Options{})); cert.Complete != complete {
			t.Errorf("limit %d: complete %v, reason %q", limit, cert.Complete, cert.Reason)
		}
	}
	for name, want := range map[string]string{"none.json": "no such file", ".": "is a directory", "p.zip": ".zip files are not read"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.zip"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		cert, _ := extract(t, open(t, Config{Name: "d", File: filepath.Join(dir, name)}, Options{}))
		if cert.Complete || !strings.Contains(cert.Reason, want) || strings.Contains(cert.Reason, dir) {
			t.Errorf("%s: reason %q, want %q", name, cert.Reason, want)
		}
	}
}

func TestScope(t *testing.T) {
	cfg := serve(t, nil)
	a := open(t, cfg, options())
	if got := fmt.Sprint(a.scope); strings.Contains(got, "s3cret") || !strings.Contains(got, "path /people") || !strings.Contains(got, "client cis") {
		t.Errorf("scope %s", got)
	}
	cfg.URL += "&x=y"
	if b := open(t, cfg, options()); fmt.Sprint(a.scope) == fmt.Sprint(b.scope) {
		t.Error("another query is the same scope")
	}
	no := false
	cfg.GroupsAreWhole = &no
	if b := open(t, cfg, options()); a.mapping.hash() == b.mapping.hash() {
		t.Error("another mapping has the same hash")
	}
}

func TestValidate(t *testing.T) {
	good := Config{
		Name: "d", Config: web.Config{URL: "https://people.example.org/v2/users"},
		Credentials: web.Credentials{TokenURL: "https://auth.example.org/token", ClientID: "cis"},
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"https":       {func(*Config) {}, nil},
		"file":        {func(c *Config) { *c = Config{Name: "d", File: "p.json"} }, nil},
		"find":        {func(c *Config) { c.FindURL = "https://People.example.org/v2/user/user_id/{id}" }, nil},
		"nothing":     {func(c *Config) { *c = Config{Config: web.Config{Timeout: -1, MaxBytes: -1}} }, []string{"name", "exactly one", "timeout", "max_bytes"}},
		"both":        {func(c *Config) { c.File = "p.json" }, []string{"exactly one"}},
		"file, find":  {func(c *Config) { *c = Config{Name: "d", File: "p.json", FindURL: "https://s3cret/{id}"} }, []string{"go with url"}},
		"file, token": {func(c *Config) { c.URL, c.File = "", "p.json" }, []string{"go with url"}},
		"no token":    {func(c *Config) { c.Credentials = web.Credentials{} }, []string{"token_url is missing", "client_id is missing"}},
		"http":        {func(c *Config) { c.URL = "http://s3cret/" }, []string{"url must begin with https://"}},
		"other host":  {func(c *Config) { c.FindURL = "https://s3cret.org/{id}" }, []string{"another host"}},
		"find http":   {func(c *Config) { c.FindURL = "http://people.example.org/{id}" }, []string{"find_url must begin"}},
		"find user":   {func(c *Config) { c.FindURL = "https://u:s3cret@people.example.org/{id}" }, []string{"without credentials"}},
		"find no id":  {func(c *Config) { c.FindURL = "https://people.example.org/id" }, []string{"{id} in its path"}},
		"find ids":    {func(c *Config) { c.FindURL = "https://people.example.org/{id}/{id}" }, []string{"{id} in its path"}},
		"find query":  {func(c *Config) { c.FindURL = "https://people.example.org/{id}?id={id}" }, []string{"{id} in its path"}},
		"find no url": {func(c *Config) { c.FindURL = "https://%zz/s3cret" }, []string{"find_url is not a URL"}},
	} {
		cfg := good
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v quotes the URL", name, err)
		}
	}
	noCA := good
	noCA.CAFile = "testdata/none.pem"
	for name, open := range map[string]func() (*Source, error){
		"configuration": func() (*Source, error) { return Open(Config{}, options()) },
		"no secret":     func() (*Source, error) { return Open(good, Options{}) },
		"no CA file":    func() (*Source, error) { return Open(noCA, options()) },
	} {
		if s, err := open(); err == nil || s != nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// rows is a file of lines of a given number that is never anywhere whole.
type rows struct {
	left, n int
	buf     []byte
}

func (r *rows) Read(p []byte) (int, error) {
	if len(r.buf) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.n++
		r.buf = fmt.Appendf(r.buf, `{"user_id":{"value":"github|%d"},"description":{"metadata":{"verified":true},"value":"%s"}}`+"\n", r.n, notes)
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

var notes = strings.Repeat("what I say of myself ", 75)

// TestStreams reads 15 MiB with a heap that does not grow with them.
func TestStreams(t *testing.T) {
	const count = 10_000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := openFile(t, "p.jsonl", "")
	before, grown, seen := heap(), int64(0), 0
	m := &meter{in: &rows{left: count}}
	end, err := read(m, "p", func(e entry) error {
		if o, ok, _ := s.observe(e, nil); !ok || len(o.Claims) != 2 {
			t.Fatal("set aside")
		}
		if seen++; seen%2500 == 0 {
			grown = max(grown, heap()-before)
		}
		return nil
	})
	if err != nil || end == "" || seen != count || m.n < 15<<20 {
		t.Fatalf("error %v, %d profiles, %d bytes", err, seen, m.n)
	}
	if grown > 6<<20 {
		t.Errorf("the heap grew by %d bytes while %d were read", grown, m.n)
	}
}
