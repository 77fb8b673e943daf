package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const password = "correct horse battery staple"

func secret(context.Context) (string, error) { return password, nil }

// noon is the time on the clock of the tests.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// serve starts a server and returns the configuration of a client that trusts
// it.
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
	return Config{URL: srv.URL + "/api", CAFile: ca, Timeout: 30 * time.Second}
}

// impatient is a timeout for servers that do not answer anyway, longer than
// it takes them to take a question.
const impatient = time.Second

// A diary is a clock whose waiting takes no time and is written down.
type diary struct {
	mu     sync.Mutex
	now    time.Time
	waits  []time.Duration
	noted  []string
	onWait func()
}

func (d *diary) options() Options {
	return Options{
		Now: func() time.Time {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.now
		},
		Note: func(s string) { d.noted = append(d.noted, s) },
		Sleep: func(ctx context.Context, wait time.Duration) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.now = d.now.Add(wait)
			d.waits = append(d.waits, wait)
			if d.onWait != nil {
				d.onWait()
			}
			return ctx.Err()
		},
	}
}

// open opens a client that waits for nobody.
func open(t *testing.T, cfg Config, a Authorizer) (*Client, *diary) {
	t.Helper()
	d := &diary{now: noon}
	c, err := New(cfg, a, d.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, d
}

// get reads an answer whole.
func get(ctx context.Context, c *Client, r Request) (string, error) {
	a, err := c.Do(ctx, r)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := io.ReadAll(a)
	return string(b), err
}

// fault demands a *Fault that says want and repeats no secret.
func fault(t *testing.T, err error, want string) *Fault {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v, want a fault", err)
	}
	if !strings.Contains(f.Reason, want) {
		t.Errorf("fault %q, want %q", f.Reason, want)
	}
	for _, s := range []string{password, "s3cret", "127.0.0.1", "tr0ub4dor"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q holds %q", err, s)
		}
	}
	return f
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// answers gives text to who knows the password.
func answers(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "cis" || pass != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, text)
	}
}

func TestRequests(t *testing.T) {
	c, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Encoding", "gzip")
		answers(gzipped(strings.Join([]string{
			r.Method, r.URL.RequestURI(), r.Header.Get("Accept"), r.Header.Get("Accept-Encoding"), r.Header.Get("User-Agent"), r.Header.Get("Content-Type"), string(b),
		}, " ")))(w, r)
	}), Basic("cis", secret))
	for _, r := range []struct {
		Request
		want string
	}{
		{Request{}, "GET /api application/json gzip cis  "},
		{Request{Path: "users"}, "GET /api/users application/json gzip cis  "},
		{Request{Path: "/users/", Accept: "application/x-ndjson"}, "GET /api/users/ application/x-ndjson gzip cis  "},
		{Request{Path: "users/github%7C12%2F3"}, "GET /api/users/github%7C12%2F3 application/json gzip cis  "},
		{Request{Path: "users?page=2", Query: url.Values{"q": {"a b"}}}, "GET /api/users?page=2&q=a+b application/json gzip cis  "},
		{Request{Path: "https://" + c.Host() + "/other?next=3"}, "GET /other?next=3 application/json gzip cis  "},
		{Request{Method: "POST", Path: "jobs", Body: []byte("{}")}, "POST /api/jobs application/json gzip cis application/json {}"},
		{Request{Method: "POST", Body: []byte("a=b"), ContentType: "text/plain"}, "POST /api application/json gzip cis text/plain a=b"},
	} {
		if got, err := get(t.Context(), c, r.Request); err != nil || got != r.want {
			t.Errorf("%+v: %q, %v, want %q", r.Request, got, err, r.want)
		}
	}
	for path, want := range map[string]string{
		"https://elsewhere.invalid/s3cret":       "leads to another host",
		"//elsewhere.invalid/s3cret":             "leads to another host",
		"http://" + c.Host() + "/s3cret":         "leads to another host",
		"https://cis:s3cret@" + c.Host() + "/":   "leads to another host",
		"https:///s3cret":                        "leads to another host",
		"github:s3cret/x":                        "leads to another host",
		"%zz/s3cret":                             "may be asked for",
		"users/../../s3cret":                     "may be asked for",
		"users/%2e%2e/s3cret":                    "may be asked for",
		"users/.":                                "may be asked for",
		"https://" + c.Host() + ":1/x\x00s3cret": "may be asked for",
	} {
		_, err := c.Do(t.Context(), Request{Path: path})
		fault(t, err, want)
	}
	_, err := c.Do(t.Context(), Request{Method: "GE T"})
	fault(t, err, "may be asked for")
}

// TestQuery adds the query of a request to that of the configuration.
func TestQuery(t *testing.T) {
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.RequestURI()) })
	cfg.URL += "?a=1"
	c, _ := open(t, cfg, nil)
	for _, r := range []struct {
		Request
		want string
	}{
		{Request{}, "/api?a=1"},
		{Request{Path: "x"}, "/api/x?a=1"},
		{Request{Path: "x?b=2", Query: url.Values{"c": {"3"}}}, "/api/x?a=1&b=2&c=3"},
		{Request{Query: url.Values{"c": {"3"}}}, "/api?a=1&c=3"},
	} {
		if got, err := get(t.Context(), c, r.Request); err != nil || got != r.want {
			t.Errorf("%+v: %q, %v, want %q", r.Request, got, err, r.want)
		}
	}
}

// FuzzLocate demands that no path leads to another host or out of the URL.
func FuzzLocate(f *testing.F) {
	for _, s := range []string{"", "users?page=2", "/a/b", "https://example.com/next", "../x", "//x", "a%2f..%2f..", "?x#y", "https://example.com:443"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, path string, anonymous bool) {
		base, err := url.Parse("https://example.com/api/v2")
		if err != nil {
			t.Fatal(err)
		}
		u, err := (&Client{base: base}).locate(Request{Path: path, Anonymous: anonymous})
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q leads to %s", path, u)
		}
		link := strings.Contains(path, "//")
		if authority(u) != authority(base) && !(anonymous && link) {
			t.Errorf("%q leads to another host, %s", path, u)
		}
		if !link && !strings.HasPrefix(u.Path, base.Path) {
			t.Errorf("%q leads out, to %s", path, u)
		}
	})
}

// TestFaults holds the answers that are none, and how often the server is
// asked.
func TestFaults(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, `{"error":"tr0ub4dor"}`)
		}
	}
	// raw writes an answer as it is and hangs up.
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, answer)
			conn.Close()
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	const limit = 4096
	big := strings.Repeat("tr0ub4dor", limit)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		reason  string
		status  int
		passing bool
		asked   int
	}{
		"refused":             {status(401), "refused the credentials (status 401)", 401, false, 1},
		"forbidden":           {status(403), "refused the credentials (status 403)", 403, false, 1},
		"not found":           {status(404), "status 404", 404, false, 1},
		"bad request":         {status(400), "status 400", 400, false, 1},
		"not modified":        {status(304), "status 304", 304, false, 1},
		"redirect to nowhere": {status(302), "status 302", 302, false, 1},
		"unreadable redirect": {status(302, "Location", "://s3cret"), "redirected to nowhere", 0, false, 1},
		"a part":              {status(206), "status 206", 206, false, 1},
		"too many":            {status(429), "status 429", 429, true, 3},
		"error":               {status(500), "status 500", 500, true, 3},
		"gateway":             {status(502), "status 502", 502, true, 3},
		"busy":                {status(503), "status 503", 503, true, 3},
		"refused, compressed": {status(401, "Content-Encoding", "br"), "status 401", 401, false, 1},
		"refused, badly":      {status(401, "Content-Encoding", "gzip"), "status 401", 401, false, 1},
		"unasked encoding":    {status(200, "Content-Encoding", "br"), "compressed in a way", 200, false, 1},
		"two encodings":       {status(200, "Content-Encoding", "gzip, gzip"), "compressed in a way", 200, false, 1},
		"gzip that is none":   {status(200, "Content-Encoding", "gzip"), "compression of the answer is broken", 0, false, 1},
		"gzip of no bytes":    {raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"), "ends too early", 0, true, 1},
		"damaged gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			b := []byte(gzipped("whole"))
			b[len(b)-5] ^= 1
			w.Write(b)
		}, "compression of the answer is broken", 0, false, 1},
		"more after the gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, gzipped("whole")+big[:20])
		}, "compression of the answer is broken", 0, false, 1},
		"declared too long": {status(200, "Content-Length", "4097"), "over 4096 bytes", 0, false, 1},
		"too long":          {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) }, "over 4096 bytes", 0, false, 1},
		"gzip bomb": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, gzipped(big))
		}, "over 4096 bytes", 0, false, 1},
		"less than declared":   {status(200, "Content-Length", "1000"), "ends too early", 0, true, 1},
		"chunks without end":   {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "ends too early", 0, true, 1},
		"half a chunk":         {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"), "ends too early", 0, true, 1},
		"a chunk of no size":   {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n{}"), "connection broke", 0, true, 1},
		"ends with connection": {raw("HTTP/1.1 200 OK\r\n\r\n{}"), "does not say where it ends", 200, false, 1},
		"HTTP/1.0":             {raw("HTTP/1.0 200 OK\r\n\r\n{}"), "does not say where it ends", 200, false, 1},
		"no HTTP":              {raw("s3cret\r\n\r\n"), "connection broke", 0, true, 3},
		"endless header":       {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 128<<10)), "connection broke", 0, true, 3},
		"hangs up":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection broke", 0, true, 3},
		"silent before":        {hang, "silent for too long", 0, false, 1},
		"silent within": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			hang(w, r)
		}, "silent for too long", 0, false, 1},
		"silent within gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, gzipped("whole")[:5])
			w.(http.Flusher).Flush()
			hang(w, r)
		}, "silent for too long", 0, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan bool, 10)
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- true
				c.handler(w, r)
			})
			cfg.MaxBytes = limit
			if strings.HasPrefix(name, "silent") {
				cfg.Timeout = impatient
			}
			client, d := open(t, cfg, Basic("cis", secret))
			_, err := get(t.Context(), client, Request{Path: "s3cret?q=s3cret"})
			f := fault(t, err, c.reason)
			if f.Status != c.status || f.Passing != c.passing {
				t.Errorf("status %d, passing %v", f.Status, f.Passing)
			}
			if len(asked) != c.asked || len(d.noted) != c.asked-1 {
				t.Errorf("asked %d times, want %d, and noted %q", len(asked), c.asked, d.noted)
			}
		})
	}
}

// TestSlowBody is silent for longer in sum than it may be at once.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces = 10
		in, out := io.Pipe()
		b := &body{timeout: DefaultTimeout, maxBytes: DefaultMaxBytes, caller: t.Context(), wire: in}
		b.ctx, b.cancel = context.WithCancelCause(t.Context())
		b.reader = wire{b}
		context.AfterFunc(b.ctx, func() { in.Close() }) // as of a request
		go func() {
			for range pieces {
				time.Sleep(DefaultTimeout - 1)
				io.WriteString(out, "x")
			}
		}()
		got, err := io.ReadAll(b)
		if fault(t, err, "silent for too long"); len(got) != pieces {
			t.Errorf("%d pieces", len(got))
		}
	})
}

// TestTruncated cuts a compressed body everywhere, behind every framing.
func TestTruncated(t *testing.T) {
	whole := gzipped("whole")
	var cut int
	var chunked bool
	c, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, whole[:cut])
		if chunked {
			w.(http.Flusher).Flush()
		}
	}), nil)
	for cut = range len(whole) + 1 {
		for _, chunked = range []bool{false, true} {
			got, err := get(t.Context(), c, Request{})
			if cut == len(whole) {
				if err != nil || got != "whole" {
					t.Errorf("%q, %v", got, err)
				}
			} else if fault(t, err, "ends too early"); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut at %d: %v is no unexpected EOF", cut, err)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12345") })
	for limit, want := range map[int64]string{5: "12345", 4: "1234", 6: "12345"} {
		cfg.MaxBytes = limit
		c, _ := open(t, cfg, nil)
		a, err := c.Do(t.Context(), Request{Method: "GET"})
		if limit < 5 {
			fault(t, err, "over 4 bytes") // as declared
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(a); err != nil || string(b) != want {
			t.Errorf("limit %d: %q, %v", limit, b, err)
		}
		a.Close()
	}
}

// TestBomb unfolds a small answer to the limit and not beyond.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.CopyN(z, zeros{}, 2<<20)
	z.Close()
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(b.Bytes())
	})
	cfg.MaxBytes = 1 << 20
	c, _ := open(t, cfg, nil)
	got, err := get(t.Context(), c, Request{})
	if fault(t, err, "over 1048576 bytes"); len(got) != 1<<20 {
		t.Errorf("%d bytes", len(got))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRedirects follows a server's own redirects, with the credentials, and
// no others.
func TestRedirects(t *testing.T) {
	elsewhere := func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked, with credentials %q", r.Header.Get("Authorization"))
	}
	plain := httptest.NewServer(http.HandlerFunc(elsewhere))
	defer plain.Close()
	other := httptest.NewTLSServer(http.HandlerFunc(elsewhere))
	defer other.Close()
	for to, follows := range map[string]bool{
		"/moved":                       true,
		"https://USERHOST/moved":       true,
		"/loop":                        false,
		plain.URL:                      false,
		other.URL:                      false,
		"http://USERHOST/moved":        false,
		"https://cis:other@USERHOST/":  false,
		"https://sub.USERHOST/moved":   false,
		"https://elsewhere.invalid/s3": false,
	} {
		t.Run(to, func(t *testing.T) {
			c, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					answers("moved")(w, r)
					return
				}
				http.Redirect(w, r, strings.ReplaceAll(to, "USERHOST", r.Host), http.StatusFound)
			}), Basic("cis", secret))
			got, err := get(t.Context(), c, Request{})
			if follows && (err != nil || got != "moved") {
				t.Errorf("%q, %v", got, err)
			}
			if !follows {
				fault(t, err, "redirected to another host, or too often")
			}
			if _, err = c.Do(t.Context(), Request{Method: "POST"}); !follows || err != nil {
				fault(t, err, "redirected") // it would become a GET
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	cfg := serve(t, answers("{}"))
	closed, untrusted := cfg, cfg
	closed.URL = "https://127.0.0.1:1/s3cret"
	untrusted.CAFile = ""
	noName, _ := open(t, cfg, nil)
	noName.own.base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "s3cret.invalid", IsNotFound: true}
	}
	client := func(cfg Config, a Authorizer) *Client { c, _ := open(t, cfg, a); return c }
	is := func(s string, err error) Secret {
		return func(context.Context) (string, error) { return s, err }
	}
	for name, c := range map[string]struct {
		client  *Client
		reason  string
		passing bool
	}{
		"nobody listens":  {client(closed, nil), "could not be reached", true},
		"no such host":    {noName, "could not be resolved", true},
		"untrusted":       {client(untrusted, nil), "certificate is not trusted", false},
		"no password":     {client(cfg, Basic("cis", is("", errors.New("the store says "+password)))), "password could not be read", false},
		"empty password":  {client(cfg, Basic("cis", is("", nil))), "password is empty", false},
		"nobody's secret": {client(cfg, Basic("cis", nil)), "there is no password", false},
		"no token":        {client(cfg, Bearer(is("", errors.New("the store says "+password)))), "token could not be read", false},
		"empty token":     {client(cfg, Bearer(is("", nil))), "token is empty", false},
		"two lines":       {client(cfg, Bearer(is(password+"\n", nil))), "one line", false},
		"wrong token":     {client(cfg, Bearer(is("s3cret", nil))), "refused the credentials (status 401)", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t.Context(), c.client, Request{})
			if f := fault(t, err, c.reason); f.Passing != c.passing {
				t.Errorf("passing %v", f.Passing)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	c, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) }),
		Bearer(func(context.Context) (string, error) { return "s3cret", nil }))
	if got, err := get(t.Context(), c, Request{}); err != nil || got != "Bearer s3cret" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAnonymous sends no credentials, also to other hosts, which the system
// or the file may vouch for.
func TestAnonymous(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "["+r.Header.Get("Authorization")+"]") }
	bucket := serve(t, h)
	c, _ := open(t, serve(t, h), Basic("cis", secret))
	for _, path := range []string{"x", bucket.URL + "?signature=s3cret"} {
		if got, err := get(t.Context(), c, Request{Path: path, Anonymous: true}); err != nil || got != "[]" {
			t.Errorf("%q, %v", got, err)
		}
	}
	_, err := c.Do(t.Context(), Request{Path: bucket.URL})
	fault(t, err, "another host")
}

func TestHTTP(t *testing.T) {
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, "https://elsewhere.invalid/s3cret", http.StatusFound)
		case "/none":
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusNoContent)
		case "/stalls":
			<-r.Context().Done()
		case "/long":
			io.WriteString(w, strings.Repeat("x", 41))
		default:
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, gzipped(r.Header.Get("Authorization")))
		}
	})
	cfg.Timeout, cfg.MaxBytes = impatient, 40
	c, _ := open(t, cfg, Basic("cis", secret))
	for path, want := range map[string]string{
		"/elsewhere": "the server redirected to another host, or too often",
		"/stalls":    "the server was silent for too long",
		"/long":      "the answer is over 40 bytes",
		"/none":      "",
		"/":          "",
	} {
		resp, err := c.HTTP().Get("https://" + c.Host() + path)
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(resp.Body); len(b) != 0 || resp.Header.Get("Content-Encoding") != "" && path == "/" {
				t.Errorf("%s: %q with %v", path, b, resp.Header)
			}
			resp.Body.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || FaultOf(err).Reason != want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	_, err := c.HTTP().Get("http://" + c.Host())
	if got := FaultOf(err).Reason; got != "only https is asked" {
		t.Errorf("fault %q", got)
	}
	if got := FaultOf(errors.New("GET https://s3cret")).Reason; got != "the server could not be read" {
		t.Errorf("fault %q", got)
	}
}

// TestCancelled ends with the error of the context, whatever is going on.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case "/api/body":
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
		}
		cancel()
		<-r.Context().Done()
	})
	for _, path := range []string{"answer", "body", "busy"} {
		c, d := open(t, cfg, nil)
		d.onWait = cancel
		if _, err := get(ctx, c, Request{Path: path}); err != context.Canceled {
			t.Errorf("%s: %v", path, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
	}
	cancel()
	c, _ := open(t, cfg, ClientCredentials(Credentials{}, secret))
	if _, err := c.Do(ctx, Request{}); err != context.Canceled {
		t.Errorf("before: %v", err)
	}
	c, _ = open(t, cfg, Bearer(func(context.Context) (string, error) { return "", context.Canceled }))
	if _, err := c.Do(ctx, Request{}); err != context.Canceled {
		t.Errorf("before the token: %v", err)
	}
}

func TestJSON(t *testing.T) {
	for kind, want := range map[string]string{
		"application/json":                "",
		"application/json;charset=UTF-8":  "",
		"application/scim+json":           "",
		"text/json":                       "",
		"text/html; charset=utf-8":        "not of type application/json",
		"":                                "not of type application/json",
		"application/json; charset=utf-7": "not in UTF-8",
		"/; s3cret":                       "not of type application/json",
	} {
		err := (&Answer{Header: http.Header{"Content-Type": {kind}}}).JSON()
		if want == "" && err == nil {
			continue
		}
		fault(t, err, want)
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		Config
		want []string
	}{
		"good":      {Config{URL: "https://example.com/s3cret?a=b"}, nil},
		"none":      {Config{}, nil},
		"negative":  {Config{Timeout: -1, MaxBytes: -1}, []string{"timeout", "max_bytes"}},
		"ca only":   {Config{CAFile: "x"}, []string{"ca_file means nothing"}},
		"http":      {Config{URL: "http://127.0.0.1/s3cret"}, []string{"url must begin with https://"}},
		"no host":   {Config{URL: "https:///s3cret"}, []string{"url has no host"}},
		"no URL":    {Config{URL: "https://%zz/s3cret"}, []string{"url is not a URL"}},
		"bad query": {Config{URL: "https://example.com/?s3cret=%zz"}, []string{"malformed"}},
		"password":  {Config{URL: "https://cis:s3cret@example.com/"}, []string{"credentials"}},
		"fragment":  {Config{URL: "https://example.com/#s3cret"}, []string{"fragment"}},
	} {
		complain(t, name, c.Config.Validate(), c.want)
	}
	good := Credentials{TokenURL: "https://example.com/token", ClientID: "cis"}
	for name, c := range map[string]struct {
		change func(*Credentials)
		want   []string
	}{
		"good":    {func(*Credentials) {}, nil},
		"header":  {func(c *Credentials) { c.ClientAuth = "header" }, nil},
		"nothing": {func(c *Credentials) { *c = Credentials{} }, []string{"token_url is missing", "client_id is missing"}},
		"http":    {func(c *Credentials) { c.TokenURL = "http://127.0.0.1/s3cret" }, []string{"token_url must begin with https://"}},
		"auth":    {func(c *Credentials) { c.ClientAuth = "s3cret" }, []string{"client_auth"}},
	} {
		cfg := good
		c.change(&cfg)
		complain(t, name, cfg.Validate(), c.want)
	}
}

// complain demands as many complaints as are wanted, in their order.
func complain(t *testing.T, name string, err error, want []string) {
	t.Helper()
	got := Complaints(err)
	if len(got) != len(want) || (err == nil) != (len(want) == 0) {
		t.Errorf("%s: %v, want %q", name, err, want)
		return
	}
	for i := range got {
		fault(t, &Fault{Reason: got[i].Error()}, want[i])
	}
}

func TestNewRefuses(t *testing.T) {
	noCert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCert, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"no URL":         {},
		"bad URL":        {URL: "http://example.com"},
		"no CA file":     {URL: "https://example.com", CAFile: "none.pem"},
		"no certificate": {URL: "https://example.com", CAFile: noCert},
	} {
		if c, err := New(cfg, nil, Options{}); err == nil || c != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := New(Config{URL: "https://example.com"}, nil, Options{}); err != nil || c.Host() != "example.com" {
		t.Errorf("%v", err)
	}
}
