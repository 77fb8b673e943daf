package hris

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"flag"
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

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// noon is when the tests run.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

const password = "correct horse battery staple"

func secret(context.Context) (string, error) { return password, nil }

// open opens a source on which no test waits long.
func open(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := Open(cfg, secret, noon, web.Options{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// openFile opens a report as a file of the name.
func openFile(t *testing.T, name, report string) *Source {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, Config{Name: "workday", File: p, TerminationField: "Last_Day"})
}

// serve starts a server and returns the configuration of a source that trusts it.
func serve(t *testing.T, h http.HandlerFunc) Config {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{Name: "workday", Username: "isu", TerminationField: "Last_Day", Config: web.Config{
		URL: srv.URL + "/ccx/service/customreport2/acme/isu/CIS_Report?Effective_Date=s3cret", CAFile: ca, Timeout: 30 * time.Second,
	}}
}

// answers is a server that gives the report to who knows the password.
func answers(report string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "isu" || pass != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		io.WriteString(w, report)
	}
}

// stalls answers half a report.
func stalls(w http.ResponseWriter, r *http.Request) {
	answers(two[:150])(w, r)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// impatient is a timeout for servers that do not answer anyway, longer than
// it takes them to take a question.
const impatient = time.Second

// extract extracts, and fails on an error.
func extract(t *testing.T, s *Source) (people.Certificate, connectortest.Recorder) {
	t.Helper()
	var out connectortest.Recorder
	cert, err := s.Extract(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return cert, out
}

const two = `{"Report_Entry":[
	{"EmployeeID":"1","CurrentlyActive":"1","PrimaryWorkEmail":"Ada@example.com","Team":"Engines"},
	{"EmployeeID":"2","CurrentlyActive":"1","PrimaryWorkEmail":"bob@example.com","Team":"Bridges"}]}`

// withBad is two and rows that are set aside, with values that nothing may repeat.
const withBad = `{"Report_Entry":[
	{"EmployeeID":"1","CurrentlyActive":"1","PrimaryWorkEmail":"Ada@example.com","Team":"Engines"},
	{"EmployeeID":"3","CurrentlyActive":"tr0ub4dor","PrimaryWorkEmail":"eve@example.com"},
	{"CurrentlyActive":"1","Team":"tr0ub4dor"},
	{"EmployeeID":"4","CurrentlyActive":"1","Team":["tr0ub4dor"]},
	{"EmployeeID":"5","Team":"tr0ub4dor","Team":"tr0ub4dor"},
	{"EmployeeID":"6","Team":"` + "\xff" + `tr0ub4dor"},
	"tr0ub4dor",
	{"EmployeeID":"2","CurrentlyActive":"1","PrimaryWorkEmail":"bob@example.com","Team":"Bridges"}]}`

func TestSuiteHTTPS(t *testing.T) {
	over := func(h func(t *testing.T) http.HandlerFunc) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source { return open(t, serve(t, h(t))) }
	}
	fixed := func(h http.HandlerFunc) func(*testing.T) connectors.Source {
		return over(func(*testing.T) http.HandlerFunc { return h })
	}
	connectortest.Run(t, connectortest.Config{
		Good:      fixed(answers(two)),
		People:    2,
		Malformed: fixed(answers(withBad)),
		Broken: fixed(func(w http.ResponseWriter, r *http.Request) {
			answers(two[:150])(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
		Truncated: fixed(answers(two[:150])),
		Stalled: func(t *testing.T) connectors.Source {
			cfg := serve(t, stalls)
			cfg.Timeout = impatient
			return open(t, cfg)
		},
		Empty: fixed(answers(`{"Report_Entry":[]}`)),
		Redirected: over(func(t *testing.T) http.HandlerFunc {
			elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("the other host was asked, with credentials %q", r.Header.Get("Authorization"))
			}))
			t.Cleanup(elsewhere.Close)
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }
		}),
		Refused: fixed(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Authorization")
			answers(two)(w, r)
		}),
		Secrets: []string{password, "s3cret", "tr0ub4dor", "eve@example.com"},
	})
}

func TestSuiteFile(t *testing.T) {
	of := func(name, report string) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source { return openFile(t, name, report) }
	}
	zipped := gzipped(two)
	connectortest.Run(t, connectortest.Config{
		Good:      of("report.json.gz", zipped),
		People:    2,
		Malformed: of("report.json", withBad),
		Broken:    of("report.json.gz", zipped[:60]+"\xff\xff\xff\xff"+zipped[64:]),
		Truncated: of("report.json.gz", zipped[:len(zipped)-4]),
		Empty:     of("report.json", `{"Report_Entry":[]}`),
		Secrets:   []string{"tr0ub4dor", "eve@example.com"},
	})
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// TestGolden states everything that a report of every kind of row gives.
func TestGolden(t *testing.T) {
	s := open(t, Config{Name: "workday", File: "testdata/report.json", TerminationField: "Last_Day"})
	cert, out := extract(t, s)
	got, err := json.Marshal(struct {
		Certificate  people.Certificate   `json:"certificate"`
		Observations []people.Observation `json:"observations"`
		Rejections   []people.Rejection   `json:"rejections"`
	}{cert, out.Observations, out.Rejections}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/report.golden.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (go test -update rewrites it):\n%s", golden, got)
	}
}

// TestIncomplete holds the answers that must not be taken for a report, and
// how often the server is asked.
func TestIncomplete(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			io.WriteString(w, two)
		}
	}
	header := func(key, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set(key, value)
			io.WriteString(w, two)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		reason  string
		asked   int
	}{
		"wrong password":     {status(401), "refused the credentials (status 401)", 1},
		"forbidden":          {status(403), "refused the credentials (status 403)", 1},
		"no such report":     {status(404), "status 404", 1},
		"no content":         {status(204), "status 204", 1},
		"partial content":    {status(206), "status 206", 1},
		"too many requests":  {status(429), "status 429", 3},
		"server error":       {status(500), "status 500", 3},
		"maintenance":        {status(503), "status 503", 3},
		"login page":         {header("Content-Type", "text/html"), "not of type application/json", 1},
		"XML":                {header("Content-Type", "application/xml"), "not of type application/json", 1},
		"no type":            {header("Content-Type", ""), "not of type application/json", 1},
		"another charset":    {header("Content-Type", "application/json; charset=utf-16"), "not in UTF-8", 1},
		"unasked encoding":   {header("Content-Encoding", "br"), "compressed in a way", 1},
		"gzip that is none":  {header("Content-Encoding", "gzip"), "broke", 1},
		"more than declared": {header("Content-Length", "90"), "ends too early", 1},
		"over the limit":     {answers(strings.Repeat(" ", 4096) + two), "over 4096 bytes", 1},
		"less than declared": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answers(two)(w, r)
		}, "ends too early after row 2", 1},
		"chunks without an end": {func(w http.ResponseWriter, r *http.Request) {
			answers(two)(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "ends too early after row 2", 1},
		"silent before the answer": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "silent for too long", 1},
		"silent within the answer": {stalls, "silent for too long after row 1, at byte 150", 1},
		"hangs up":                 {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection broke", 3},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan bool, 10)
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- true
				c.handler(w, r)
			})
			cfg.MaxBytes = 4096
			if strings.HasPrefix(name, "silent") {
				cfg.Timeout = impatient
			}
			cert, _ := extract(t, open(t, cfg))
			if cert.Complete || !strings.Contains(cert.Reason, c.reason) || cert.End != "" {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
			if len(asked) != c.asked {
				t.Errorf("asked %d times, want %d", len(asked), c.asked)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	cfg := serve(t, nil)
	closed := cfg
	closed.URL = "https://127.0.0.1:1/r"
	opened := func(cfg Config, secret web.Secret) *Source {
		s, err := Open(cfg, secret, noon, web.Options{Pauses: []time.Duration{}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	failing := opened(cfg, func(context.Context) (string, error) { return "", errors.New("the vault says " + password) })
	empty := opened(cfg, func(context.Context) (string, error) { return "", nil })
	for name, c := range map[string]struct {
		source *Source
		reason string
	}{
		"nobody listens":   {open(t, closed), "could not be reached"},
		"no password":      {failing, "password could not be read"},
		"empty password":   {empty, "password is empty"},
		"no such file":     {open(t, Config{Name: "w", File: "testdata/none.json"}), "no such file"},
		"a directory":      {open(t, Config{Name: "w", File: "testdata"}), "is a directory"},
		"gzip of no bytes": {openFile(t, "r.gz", ""), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, _ := extract(t, c.source)
			if cert.Complete || !strings.Contains(cert.Reason, c.reason) || strings.Contains(cert.Reason, password) {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.reason)
			}
		})
	}
}

// TestRedirects follows a server's own redirects, with the credentials, and
// no others.
func TestRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a plain http server was asked") }))
	defer plain.Close()
	for to, complete := range map[string]bool{
		"/report":                        true,
		"https://USERHOST/report":        true,
		"/loop":                          false,
		plain.URL:                        false,
		"http://USERHOST/report":         false,
		"https://isu:other@USERHOST/r":   false,
		"https://sub.USERHOST/report":    false,
		"https://elsewhere.invalid/r?s3": false,
		"://":                            false,
	} {
		t.Run(to, func(t *testing.T) {
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/report" {
					answers(two)(w, r)
					return
				}
				w.Header().Set("Location", strings.ReplaceAll(to, "USERHOST", r.Host))
				w.WriteHeader(http.StatusTemporaryRedirect)
			})
			cert, _ := extract(t, open(t, cfg))
			if cert.Complete != complete {
				t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
			}
		})
	}
}

// TestAsks looks at the one request of a good extract.
func TestAsks(t *testing.T) {
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.URL.RawQuery != "Effective_Date=s3cret&format=json" || r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("asked %s with query %s and encoding %q", r.Method, r.URL.RawQuery, r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		answers(gzipped(two))(w, r)
	})
	s := open(t, cfg)
	cert, out := extract(t, s)
	if !cert.Complete || cert.Bytes != int64(len(two)) || len(out.Observations) != 2 {
		t.Errorf("certificate %+v", cert)
	}
	if want := "CIS_Report:row 1 (byte 19)"; out.Observations[0].Place != want {
		t.Errorf("place %q, want %q", out.Observations[0].Place, want)
	}
	want := fmt.Sprint([]string{"host " + s.client.Host(), "path /ccx/service/customreport2/acme/isu/CIS_Report", cert.Scope[2], "user isu"})
	if got := fmt.Sprint(cert.Scope); got != want || strings.Contains(got, "s3cret") {
		t.Errorf("scope %s, want %s", got, want)
	}
	cfg.URL += "&Organization=IT"
	if narrower := open(t, cfg); fmt.Sprint(narrower.scope) == want {
		t.Error("another query is the same scope")
	}
}

// TestOAuth reads a report with a token of the server's token endpoint, and
// says so when that gives none.
func TestOAuth(t *testing.T) {
	tokens := 0
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/oauth2/token":
			if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "cis" || r.FormValue("client_secret") != password {
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, `{"error":"invalid_client"}`)
				return
			}
			tokens++
			io.WriteString(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
		case r.Header.Get("Authorization") == "Bearer t0ken":
			io.WriteString(w, two)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	u, _, _ := strings.Cut(cfg.URL, "/ccx")
	cfg.Username, cfg.ClientID, cfg.TokenURL = "", "cis", u+"/oauth2/token"
	s := open(t, cfg)
	for range 2 {
		if cert, out := extract(t, s); !cert.Complete || len(out.Observations) != 2 || cert.Scope[3] != "client cis" {
			t.Errorf("certificate %+v", cert)
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens were asked for, want one", tokens)
	}
	cfg.ClientID = "somebody"
	if cert, _ := extract(t, open(t, cfg)); cert.Complete || !strings.Contains(cert.Reason, "invalid_client") || strings.Contains(cert.Reason, password) {
		t.Errorf("reason %q", cert.Reason)
	}
	cfg.Username = "isu"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "want one of them") {
		t.Errorf("both ways: %v", err)
	}
}

// TestGzipOverHTTPS cuts a compressed answer everywhere.
func TestGzipOverHTTPS(t *testing.T) {
	whole := gzipped(two)
	var cut int
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		answers(whole[:cut])(w, r)
	})
	s := open(t, cfg)
	for cut = range len(whole) {
		if cert, _ := extract(t, s); cert.Complete {
			t.Errorf("complete when cut after %d of %d bytes", cut, len(whole))
		}
	}
}

// TestTruncated cuts a report at every byte, plain and compressed.
func TestTruncated(t *testing.T) {
	for i := range len(two) {
		s := openFile(t, "r.json", two[:i])
		if cert, _ := extract(t, s); cert.Complete || cert.Reason == "" {
			t.Errorf("complete when cut after %d of %d bytes", i, len(two))
		}
	}
	whole := gzipped(two)
	for i := range len(whole) {
		if cert, _ := extract(t, openFile(t, "r.json.gz", whole[:i])); cert.Complete {
			t.Errorf("complete when the compressed report is cut after %d of %d bytes", i, len(whole))
		}
	}
}

func TestForms(t *testing.T) {
	for report, reason := range map[string]string{
		two:                       "",
		" \n" + two + "\n\n":      "",
		`{}`:                      "no rows",
		`{"Report_Entry":[]}`:     "no rows",
		`{"Report_Entry":null}`:   "Report_Entry is not a list",
		`{"Report_Entry":{}}`:     "Report_Entry is not a list",
		`{"Report_Entry":"["}`:    "Report_Entry is not a list",
		`{"report_entry":[]}`:     "a key beside Report_Entry",
		`{"Report_Entry":[{}]`:    "ends too early after row 1",
		`{"Report_Entry":[{},`:    "ends too early after row 1",
		`{"Report_Entry":[{}{}]}`: "not JSON after row 1, at byte 19",
		`{"Report_Entry":[{}],"Report_Entry":[]}`: "a key beside Report_Entry",
		`{"Report_Entry":[{}],"next":"/2"}`:       "a key beside Report_Entry",
		two + two:                                 "more after the closing brace",
		two + "x":                                 "not JSON after row 2",
		`[{"EmployeeID":"1"}]`:                    "not a JSON object",
		`<html>`:                                  "not JSON after row 0",
		"\xef\xbb\xbf" + two:                      "not JSON after row 0",
		``:                                        "ends too early after row 0",
		`{"Report_Entry":[{"a":"` + strings.Repeat("x", maxRow) + `"}]}`:                        "row 1 is over 1048576 bytes",
		`{"Report_Entry":[{},[` + strings.Repeat(`"`+notes+`",`, maxRow/len(notes)) + `1],{}]}`: "row 2 is over 1048576 bytes",
		`{"Report_Entry":[{},` + strings.Repeat(` `, maxRow) + `{}]}`:                           "row 2 is over 1048576 bytes",
		`{"Report_Entry":[{"a":` + strings.Repeat("[", 20000) + `]}]}`:                          "not JSON after row 0",
		`{"Report_Entry":[` + strings.Repeat(`{"a":"`+notes+`"},`, maxRow/1000) + `{"a":1}]`:    "ends too early after row 1049",
	} {
		cert, _ := extract(t, openFile(t, "r.json", report))
		if cert.Complete != (reason == "") || !strings.Contains(cert.Reason, reason) {
			t.Errorf("%.60q: complete %v, reason %q, want %q", report, cert.Complete, cert.Reason, reason)
		}
	}
}

func TestLimit(t *testing.T) {
	for limit, complete := range map[int64]bool{int64(len(two)): true, int64(len(two)) - 1: false, 1: false} {
		s := openFile(t, "r.json", two)
		s.cfg.MaxBytes = limit
		if cert, _ := extract(t, s); cert.Complete != complete {
			t.Errorf("limit %d: complete %v, reason %q", limit, cert.Complete, cert.Reason)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Name: "workday", Username: "isu", Config: web.Config{URL: "https://hr.example.com/report"}}
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"https":       {func(*Config) {}, nil},
		"file":        {func(c *Config) { *c = Config{Name: "w", File: "r.json"} }, nil},
		"json":        {func(c *Config) { c.URL += "?a=b&format=json" }, nil},
		"nothing":     {func(c *Config) { *c = Config{Config: web.Config{Timeout: -1, MaxBytes: -1}} }, []string{"name", "exactly one", "timeout", "max_bytes"}},
		"both":        {func(c *Config) { c.File = "r.json" }, []string{"exactly one"}},
		"file, CA":    {func(c *Config) { *c = Config{Name: "w", File: "r.json", Config: web.Config{CAFile: "ca.pem"}} }, []string{"ca_file"}},
		"client":      {func(c *Config) { c.Username, c.ClientID, c.TokenURL = "", "cis", "https://hr.example.com/token" }, nil},
		"half client": {func(c *Config) { c.Username, c.ClientID = "", "cis" }, []string{"token_url is missing"}},
		"file, user":  {func(c *Config) { c.URL, c.File = "", "r.json" }, []string{"go with url"}},
		"no user":     {func(c *Config) { c.Username = "" }, []string{"username is missing"}},
		"colon":       {func(c *Config) { c.Username = "a:b" }, []string{"colon"}},
		"http":        {func(c *Config) { c.URL = "http://127.0.0.1/s3cret" }, []string{"https://"}},
		"no host":     {func(c *Config) { c.URL = "https:///s3cret" }, []string{"no host"}},
		"no URL":      {func(c *Config) { c.URL = "https://%zz/s3cret" }, []string{"not a URL"}},
		"bad query":   {func(c *Config) { c.URL += "?s3cret=%zz" }, []string{"malformed"}},
		"password":    {func(c *Config) { c.URL = "https://isu:s3cret@hr.example.com/" }, []string{"credentials"}},
		"fragment":    {func(c *Config) { c.URL += "#s3cret" }, []string{"fragment"}},
		"XML":         {func(c *Config) { c.URL += "?format=s3cret" }, []string{"another format"}},
		"termination": {func(c *Config) { c.TerminationField = "EmployeeID" }, []string{"termination_field"}},
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
}

func TestOpenRefuses(t *testing.T) {
	good := Config{Name: "workday", Username: "isu", Config: web.Config{URL: "https://hr.example.com/report"}}
	noCA, badCA := good, good
	noCA.CAFile, badCA.CAFile = "testdata/none.pem", "testdata/report.json"
	for name, open := range map[string]func() (*Source, error){
		"configuration": func() (*Source, error) { return Open(Config{}, secret, noon, web.Options{}) },
		"no secret":     func() (*Source, error) { return Open(good, nil, noon, web.Options{}) },
		"no CA file":    func() (*Source, error) { return Open(noCA, secret, noon, web.Options{}) },
		"bad CA file":   func() (*Source, error) { return Open(badCA, secret, noon, web.Options{}) },
	} {
		if s, err := open(); err == nil || s != nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// rows is a report of a given size that is never anywhere whole.
type rows struct {
	left int
	buf  []byte
	n    int
}

func (r *rows) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		switch {
		case r.left < 0:
			return 0, io.EOF
		case r.left == 0:
			r.buf = []byte("]}")
		case r.n == 0:
			r.buf = []byte(`{"Report_Entry":[`)
		default:
			r.buf = []byte(",")
		}
		if r.left > 0 {
			r.n++
			r.buf = fmt.Appendf(r.buf, `{"EmployeeID":"%d","CurrentlyActive":"1","PrimaryWorkEmail":"w%d@example.com","Team":"Engines","Notes":"%s"}`, r.n, r.n, notes)
		}
		r.left--
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

var notes = strings.Repeat("long and of no use. ", 75)

// none drops what it is given and now and then looks at what is in use.
type none struct {
	seen int
	heap uint64
}

func (n *none) Observation(people.Observation) error {
	if n.seen++; n.seen%5000 == 0 {
		var m runtime.MemStats
		runtime.GC() // without it the figure is of garbage, and depends on the load
		runtime.ReadMemStats(&m)
		n.heap = max(n.heap, m.HeapAlloc)
	}
	return nil
}

func (n *none) Rejection(people.Rejection) error { return nil }

// TestStreams reads 30 MiB with a heap that does not grow with them.
func TestStreams(t *testing.T) {
	const count = 20_000
	s := openFile(t, "r.json", "")
	s.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&rows{left: count}), nil }
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var out none
	cert, err := s.Extract(t.Context(), &out)
	if err != nil || !cert.Complete || out.seen != count || cert.Bytes < 30<<20 {
		t.Fatalf("error %v, reason %q, %d rows, %d bytes", err, cert.Reason, out.seen, cert.Bytes)
	}
	if grown := int64(out.heap) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes while %d were read", grown, cert.Bytes)
	}
}

func BenchmarkExtract(b *testing.B) {
	s, err := Open(Config{Name: "w", File: "r.json"}, nil, noon, web.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&rows{left: 1000}), nil }
		cert, err := s.Extract(b.Context(), &none{})
		if err != nil || !cert.Complete {
			b.Fatal(err, cert.Reason)
		}
		b.SetBytes(cert.Bytes)
	}
}

// FuzzReport reads anything: what is taken for whole is one JSON document of
// the form, with as many rows as were given out, and is not whole without its
// last byte.
func FuzzReport(f *testing.F) {
	f.Add([]byte(two))
	f.Add([]byte(withBad))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"Report_Entry":[{"EmployeeID":"\ud800"}],"a":1}`))
	f.Add([]byte(`{"Report_Entry":[1,[{}],null]}`))
	read := func(t *testing.T, report []byte) (rows, given int64, err error) {
		m := newMapping("Last_Day")
		rows, err = readReport(&meter{in: bytes.NewReader(report), limit: 1 << 20}, func(e entry) error {
			if given++; !bytes.HasPrefix(report[e.offset:], e.raw) {
				t.Errorf("row %d is not at byte %d", e.number, e.offset)
			}
			if r, reason := m.parse(e.raw); reason == "" {
				o, ok, rejected := m.observe(r, noon())
				if ok == (o.Record == "") || !ok && len(rejected) != 1 {
					t.Errorf("row %d: ok %v with record %q and %d rejections", e.number, ok, o.Record, len(rejected))
				}
			}
			m.recordOf(e.raw)
			return nil
		})
		return rows, given, err
	}
	f.Fuzz(func(t *testing.T, report []byte) {
		rows, given, err := read(t, report)
		if rows != given {
			t.Errorf("%d rows, %d given out", rows, given)
		}
		if err != nil {
			if f := (*web.Fault)(nil); !errors.As(err, &f) || f.Reason == "" {
				t.Errorf("error %v is no fault", err)
			}
			return
		}
		var doc struct {
			Rows []jsontext.Value `json:"Report_Entry"`
		}
		lenient := []json.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), json.RejectUnknownMembers(true)}
		if err := json.Unmarshal(report, &doc, lenient...); err != nil || int64(len(doc.Rows)) != rows {
			t.Errorf("%d rows, but as one document %d, error %v", rows, len(doc.Rows), err)
		}
		whole := bytes.TrimRight(report, " \t\r\n")
		if _, _, err := read(t, whole[:len(whole)-1]); err == nil {
			t.Error("whole without its last byte")
		}
	})
}
