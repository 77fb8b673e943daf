package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"example.org/cis/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tokens accepts one, of a caller with one scope.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (*api.Caller, error) {
	switch token {
	case "good":
		return &api.Caller{Issuer: "i", Subject: "ad|jdoe", Scopes: []string{"read"}}, nil
	case "unknown":
		return nil, errors.New("keys of the issuer cannot be read")
	}
	return nil, &api.Error{Status: 401, Code: "invalid_header", Description: "no"}
}

// A log is what was logged, for any number of goroutines.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type fixture struct {
	*api.Server
	log     *log
	metrics *prometheus.Registry
	spans   *tracetest.SpanRecorder
}

func serve(t testing.TB, change func(*api.Options), routes ...api.Route) *fixture {
	t.Helper()
	f := &fixture{log: new(log), metrics: prometheus.NewRegistry(), spans: tracetest.NewSpanRecorder()}
	o := api.Options{
		Auth: tokens{}, Origins: []string{"https://login.example.org"}, Log: slog.New(slog.NewJSONHandler(f.log, nil)), Registry: f.metrics,
		Tracer: trace.NewTracerProvider(trace.WithSpanProcessor(f.spans)).Tracer("test"), Now: time.Now, Random: rand.Reader,
	}
	if change != nil {
		change(&o)
	}
	s, err := api.NewServer(o, routes...)
	if err != nil {
		t.Fatal(err)
	}
	f.Server = s
	return f
}

func (f *fixture) ask(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	return rec
}

func hello(w http.ResponseWriter, r *http.Request) error {
	return api.JSON(w, 200, map[string]any{"caller": api.CallerOf(r.Context()).Subject})
}

func TestWhoMayCall(t *testing.T) {
	f := serve(t, nil,
		api.Route{Method: "GET", Path: "/closed", Serve: hello},
		api.Route{Method: "GET", Path: "/scoped", Scope: "write", Serve: hello},
		api.Route{Method: "GET", Path: "/open", Open: true, Serve: hello},
	)
	for _, c := range []struct {
		path, header string
		status       int
		code         string
	}{
		{"/closed", "", 401, "authorization_header_missing"},
		{"/closed", "Basic good", 401, "invalid_header"},
		{"/closed", "Bearer", 401, "invalid_header"},
		{"/closed", "Bearer bad", 401, "invalid_header"},
		{"/closed", "Bearer unknown", 503, "unavailable"}, // who cannot be told is not refused
		{"/closed", "bearer good", 200, ""},
		{"/scoped", "Bearer good", 403, "insufficient_scope"},
		{"/open", "", 200, ""},
		{"/open", "Bearer bad", 200, ""},
		{"/none", "Bearer good", 404, "not_found"},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{"Authorization", c.header}
		}
		rec := f.ask("GET", c.path, headers...)
		var e struct{ Code string }
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != c.status || e.Code != c.code {
			t.Errorf("%s with %q: %d %s", c.path, c.header, rec.Code, rec.Body)
		}
		if (rec.Code == 401) != (rec.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s with %q: challenge %q", c.path, c.header, rec.Header().Get("WWW-Authenticate"))
		}
		if rec.Header().Get("X-Content-Type-Options") != "nosniff" || rec.Header().Get("X-Request-Id") == "" || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", c.path, rec.Header())
		}
	}
	if rec := f.ask("POST", "/closed"); rec.Code != 405 || rec.Header().Get("Allow") != "GET" {
		t.Errorf("POST: %d %v", rec.Code, rec.Header())
	}
}

func TestPagesOfOthers(t *testing.T) {
	f := serve(t, nil, api.Route{Method: "GET", Path: "/x/{name}", Open: true, Cross: true, Serve: hello}, api.Route{Method: "GET", Path: "/y", Open: true, Serve: hello})
	for origin, want := range map[string]string{"https://login.example.org": "https://login.example.org", "https://evil.example.com": "", "null": "", "": ""} {
		if got := f.ask("GET", "/x/a", "Origin", origin).Header().Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%q is told %q", origin, got)
		}
		pre := f.ask("OPTIONS", "/x/a", "Origin", origin, "Access-Control-Request-Method", "GET")
		if pre.Code != 204 || pre.Header().Get("Access-Control-Allow-Origin") != want || pre.Header().Get("Access-Control-Allow-Methods") != "GET" {
			t.Errorf("%q asks first: %d %v", origin, pre.Code, pre.Header())
		}
	}
	if got := f.ask("GET", "/y", "Origin", "https://login.example.org").Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Error("a route that is not for pages is told to them")
	}
}

// What is logged, counted and traced has the route, not the path, and names a
// caller by a hash.
func TestWhatIsWrittenDown(t *testing.T) {
	f := serve(t, nil,
		api.Route{Method: "GET", Path: "/who/{name}", Serve: hello},
		api.Route{Method: "GET", Path: "/fault/{name}", Serve: func(http.ResponseWriter, *http.Request) error { return errors.New("the disk is full") }},
		api.Route{Method: "GET", Path: "/panic/{name}", Serve: func(_ http.ResponseWriter, r *http.Request) error { panic(r.PathValue("name")) }},
	)
	for _, path := range []string{"/who/jdoe?x=jdoe", "/fault/jdoe", "/panic/jdoe", "/nothing/jdoe"} {
		f.ask("GET", path, "Authorization", "Bearer good", "X-Request-Id", "0123456789abcdef", "User-Agent", "jdoe", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	f.ask("JDOE", "/who/jdoe")
	metrics, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var spans []string
	for _, s := range f.spans.Ended() {
		spans = append(spans, fmt.Sprint(s.Name(), s.Attributes(), s.Status(), s.Events(), s.SpanContext().TraceID()))
	}
	for what, text := range map[string]string{"log": f.log.String(), "metrics": fmt.Sprint(metrics), "spans": strings.Join(spans[:4], "\n")} {
		if strings.Contains(text, "jdoe") {
			t.Errorf("the %s has a value: %s", what, text)
		}
	}
	for _, want := range []string{`"route":"/who/{name}"`, `"request":"0123456789abcdef"`, `"caller":"`, `"error":"the disk is full"`, `panic at server_test.go:`, `"method":"other"`} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, f.log)
		}
	}
	if !strings.Contains(spans[0], "GET /who/{name}") || !strings.Contains(spans[0], "0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("the span is %s", spans[0])
	}
}

func TestAddresses(t *testing.T) {
	few := func(o *api.Options) { o.Limits.PerMinute, o.Proxies = 3, 1 }
	f := serve(t, few, api.Route{Method: "GET", Path: "/x", Open: true, PerAddress: true, Serve: hello})
	for _, c := range []struct {
		forwarded string
		status    int
	}{
		{"10.0.0.1", 200}, {"10.0.0.1", 200}, {"10.0.0.1", 200}, {"10.0.0.1", 429},
		{"10.9.9.9, 10.0.0.1", 429}, // what the caller wrote before is not believed
		{"10.0.0.2", 200},
		{"2001:db8::1", 200}, {"2001:db8::2", 200}, {"2001:db8::3", 200}, {"2001:db8::4", 429}, // one network
		{"2001:db8:0:1::1", 200},
		{"10.0.0.9:1", 200}, {"10.0.0.9:2", 200}, {"10.0.0.9:3", 200}, {"10.0.0.9:4", 429}, // a port makes no other address
	} {
		rec := f.ask("GET", "/x", "X-Forwarded-For", c.forwarded)
		if rec.Code != c.status {
			t.Errorf("%s: %d", c.forwarded, rec.Code)
		}
		if rec.Code == 429 && rec.Header().Get("Retry-After") == "" {
			t.Error("it is not said when to come again")
		}
	}
	f = serve(t, func(o *api.Options) { o.Limits.PerMinute = 1 }, api.Route{Method: "GET", Path: "/x", Open: true, PerAddress: true, Serve: hello})
	f.ask("GET", "/x", "X-Forwarded-For", "10.0.0.1")
	if rec := f.ask("GET", "/x", "X-Forwarded-For", "10.0.0.2"); rec.Code != 429 {
		t.Error("a header is believed though no proxy stands before the service")
	}
}

func TestBodies(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.ReadAll(r.Body); err != nil {
			return err
		}
		return api.JSON(w, 200, "read")
	}
	f := serve(t, nil, api.Route{Method: "POST", Path: "/x", Open: true, MaxBody: 10, Serve: read})
	for body, status := range map[string]int{"0123456789": 200, "0123456789a": 413} {
		r := httptest.NewRequest("POST", "/x", strings.NewReader(body))
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, r)
		if rec.Code != status {
			t.Errorf("%d bytes: %d %s", len(body), rec.Code, rec.Body)
		}
	}
}

// An answer that fails in its middle breaks the connection: it does not look
// whole.
func TestHalfAnAnswer(t *testing.T) {
	f := serve(t, nil, api.Route{Method: "GET", Path: "/x", Open: true, Serve: func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = w.Write(bytes.Repeat([]byte("half "), 1<<16))
		return errors.New("the store is gone")
	}})
	srv := httptest.NewServer(f)
	defer srv.Close()
	for _, encoding := range []string{"identity", "gzip"} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/x", nil)
		r.Header.Set("Accept-Encoding", encoding)
		resp, err := srv.Client().Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: it looks whole", encoding)
		}
	}
	if !strings.Contains(f.log.String(), "the store is gone") {
		t.Error("it is not logged")
	}
}

// live serves on a real listener until stop.
func (f *fixture) live(t *testing.T) (addr string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ctx, l) }()
	return l.Addr().String(), func() error { cancel(); return <-ended }
}

// Whoever is being answered when the server is told to end gets the answer.
func TestShutdown(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	f := serve(t, nil, api.Route{Method: "GET", Path: "/x", Open: true, Serve: func(w http.ResponseWriter, r *http.Request) error {
		close(began)
		<-goOn
		return hello(w, r)
	}})
	addr, stop := f.live(t)
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + addr + "/x")
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for { // until it does not listen any more
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		c.Close()
	}
	close(goOn)
	if got := <-answered; got != 200 {
		t.Errorf("answered %d", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestShutdownOfWhatDoesNotEnd(t *testing.T) {
	began := make(chan struct{})
	f := serve(t, func(o *api.Options) { o.Limits.Shutdown = 50 * time.Millisecond }, api.Route{Method: "GET", Path: "/x", Open: true, Long: true, Serve: func(_ http.ResponseWriter, r *http.Request) error {
		close(began)
		<-r.Context().Done() // it ends when its connection is closed
		return r.Context().Err()
	}})
	addr, stop := f.live(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	if err := stop(); err == nil || !strings.Contains(err.Error(), "still being answered") {
		t.Errorf("ended with %v", err)
	}
}

func TestOverload(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	f := serve(t, func(o *api.Options) { o.Limits.InFlight = 1 }, api.Route{Method: "GET", Path: "/x", Open: true, Serve: func(w http.ResponseWriter, r *http.Request) error {
		close(began)
		<-goOn
		return hello(w, r)
	}}, api.Route{Method: "GET", Path: "/y", Open: true, Serve: hello})
	first := make(chan int)
	go func() { first <- f.ask("GET", "/x").Code }()
	<-began
	if rec := f.ask("GET", "/y"); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d", rec.Code)
	}
	close(goOn)
	if got := <-first; got != 200 {
		t.Errorf("the first: %d", got)
	}
	if rec := f.ask("GET", "/y"); rec.Code != 200 {
		t.Errorf("after it: %d", rec.Code)
	}
}

// Headers that do not come, and requests that take too long, end by themselves.
func TestSlow(t *testing.T) {
	f := serve(t, func(o *api.Options) { o.Limits.Header, o.Limits.Request = 50*time.Millisecond, 100*time.Millisecond },
		api.Route{Method: "GET", Path: "/x", Open: true, Serve: func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}})
	addr, stop := f.live(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /x HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if b, err := io.ReadAll(c); err != nil || strings.Contains(string(b), "200 OK") { // it is closed by the server
		t.Errorf("%q, %v", b, err)
	}
	c2, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	fmt.Fprint(c2, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c2), nil)
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("%v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	ready := errors.New("no vault")
	registry := prometheus.NewRegistry()
	f := serve(t, func(o *api.Options) { o.Registry = registry }, api.Health(func(context.Context) error { return ready }, registry)...)
	if rec := f.ask("GET", "/healthz"); rec.Code != 200 {
		t.Error(rec.Code)
	}
	if rec := f.ask("GET", "/readyz"); rec.Code != 503 || strings.Contains(rec.Body.String(), "vault") {
		t.Error(rec.Code, rec.Body)
	}
	ready = nil
	if rec := f.ask("GET", "/readyz"); rec.Code != 200 {
		t.Error(rec.Code)
	}
	if rec := f.ask("GET", "/metrics", "Authorization", "Bearer good"); rec.Code != 403 {
		t.Error(rec.Code)
	}
}

// A caller who reads slowly holds their own places, and nobody else's; health and
// documents need none.
func TestSlowCallers(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	wait := func(w http.ResponseWriter, r *http.Request) error {
		began <- struct{}{}
		<-goOn
		return hello(w, r)
	}
	f := serve(t, func(o *api.Options) { o.Limits.InFlight, o.Limits.OfCaller, o.Limits.Exports = 4, 2, 4 },
		api.Route{Method: "GET", Path: "/x", Serve: wait}, api.Route{Method: "GET", Path: "/export", Long: true, Serve: wait},
		api.Route{Method: "GET", Path: "/open", Open: true, Serve: wait}, api.Route{Method: "GET", Path: "/free", Open: true, Free: true, Serve: hello})
	answers := make(chan int, 10)
	ask := func(path string) { go func() { answers <- f.ask("GET", path, "Authorization", "Bearer good").Code }() }
	for _, path := range []string{"/x", "/x", "/export"} {
		ask(path)
		<-began
	}
	for _, path := range []string{"/x", "/export"} {
		if rec := f.ask("GET", path, "Authorization", "Bearer good"); rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%s: one more is answered %d", path, rec.Code)
		}
	}
	for range 2 { // others still have theirs
		ask("/open")
		<-began
	}
	if rec := f.ask("GET", "/open"); rec.Code != 503 {
		t.Errorf("one more than there are places: %d", rec.Code)
	}
	if rec := f.ask("GET", "/free"); rec.Code != 200 {
		t.Errorf("what needs no place: %d", rec.Code)
	}
	close(goOn)
	for range 5 {
		if got := <-answers; got != 200 {
			t.Errorf("answered %d", got)
		}
	}
	go func() { <-began }()
	if rec := f.ask("GET", "/x", "Authorization", "Bearer good"); rec.Code != 200 {
		t.Errorf("after them: %d", rec.Code)
	}
}
