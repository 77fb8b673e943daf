package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Limits bound what one request, one address and all together may use. A zero
// field is the default that stands beside it.
type Limits struct {
	Headers   int           // bytes of a request's headers: 32 KiB
	Header    time.Duration // in which headers must have come: 5 s
	Request   time.Duration // in which a request is answered: 20 s
	Idle      time.Duration // how long a connection may wait for the next request: 2 min
	Long      time.Duration // in which a Long route ends: 1 h
	InFlight  int           // requests at the same time: 256
	OfCaller  int           // of one caller: a quarter of those
	Exports   int           // Long ones at the same time: 8; of one caller 2
	PerMinute int           // requests of an address on routes that count them: 60
	Shutdown  time.Duration // how long requests have to end when the server does: 20 s
}

func (l Limits) orDefault() Limits {
	return Limits{
		Headers: cmp.Or(l.Headers, 32<<10), Header: cmp.Or(l.Header, 5*time.Second), Request: cmp.Or(l.Request, 20*time.Second),
		Idle: cmp.Or(l.Idle, 2*time.Minute), Long: cmp.Or(l.Long, time.Hour), InFlight: cmp.Or(l.InFlight, 256),
		OfCaller: cmp.Or(l.OfCaller, max(1, cmp.Or(l.InFlight, 256)/4)), Exports: cmp.Or(l.Exports, 8), PerMinute: cmp.Or(l.PerMinute, 60),
		Shutdown: cmp.Or(l.Shutdown, 20*time.Second),
	}
}

// Options of a Server.
type Options struct {
	Auth Authenticator
	// Origins whose pages may call the routes that are Cross, such as https://login.example.org.
	Origins []string
	// Proxies is how many proxies stand before the server: the address of a caller
	// is that many entries from the right in X-Forwarded-For. 0 believes no header.
	Proxies int
	Limits  Limits
	Log     *slog.Logger
	// Registry gets the metrics.
	Registry prometheus.Registerer
	Tracer   trace.Tracer
	Now      func() time.Time
	Random   io.Reader
}

// A Server answers requests by routes.
type Server struct {
	o       Options
	mux     *http.ServeMux
	handler http.Handler
	slots   chan struct{}
	exports chan struct{}
	callers callers
	rates   *addresses
	seconds *prometheus.HistogramVec
	total   *prometheus.CounterVec
}

// NewServer makes a server of routes. Nothing is asked of anybody yet.
func NewServer(o Options, routes ...Route) (*Server, error) {
	if o.Auth == nil {
		return nil, errors.New("api: nobody says who a token speaks for")
	}
	o.Limits = o.Limits.orDefault()
	s := &Server{
		o: o, mux: http.NewServeMux(), slots: make(chan struct{}, o.Limits.InFlight), exports: make(chan struct{}, o.Limits.Exports), rates: newAddresses(o.Limits.PerMinute, o.Now),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cis_http_requests_total", Help: "Requests answered."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cis_http_request_seconds", Help: "How long requests took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route"}),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cis_http_requests_in_flight", Help: "Requests that are being answered."},
		func() float64 { return float64(len(s.slots)) })
	for _, c := range []prometheus.Collector{s.total, s.seconds, inFlight} {
		if err := o.Registry.Register(c); err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	preflight := map[string][]string{}
	for _, r := range routes {
		s.mux.Handle(r.Method+" "+r.Path, s.around(r))
		if r.Cross {
			preflight[r.Path] = append(preflight[r.Path], r.Method)
		}
	}
	for path, methods := range preflight {
		s.mux.Handle("OPTIONS "+path, s.around(Route{Method: "OPTIONS", Path: path, Open: true, Cross: true, Serve: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return nil
		}}))
	}
	s.mux.Handle("/", s.around(Route{Path: "(none)", Open: true, Serve: s.none}))
	// Bodies hold no secret beside text that somebody else chose, from whose
	// compressed length it could be guessed: callers bring tokens, not cookies.
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.CompressionLevel(1))
	if err != nil {
		return nil, fmt.Errorf("api: compression: %w", err)
	}
	s.handler = wrap(s.mux)
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// none answers what no route does.
func (s *Server) none(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"DELETE", "GET", "POST", "PUT"} {
		probe := *r
		probe.Method = method
		if _, pattern := s.mux.Handler(&probe); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Description: "this route does not have that method"}
	}
	return &Error{Status: http.StatusNotFound, Code: "not_found", Description: "there is no such route"}
}

// A recorder knows what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written so far, through what compresses it.
func (w *recorder) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// around is what every route has: a request id, a place among those in flight, a
// caller, limits, a log line, metrics and a span.
func (s *Server) around(route Route) http.Handler {
	label := route.Path
	limits := s.o.Limits
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := s.o.Now()
		w := &recorder{ResponseWriter: rw}
		id := s.requestID(r)
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.o.Tracer.Start(ctx, method(r.Method)+" "+label, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method(r.Method)), attribute.String("http.route", label), attribute.String("request.id", id)))
		defer span.End()
		control := http.NewResponseController(rw)
		most := limits.Request
		if route.Long {
			most = limits.Long
		}
		ctx, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		if !route.Long {
			// Later than the context, which then says why. A recorder of tests has none.
			if r.ContentLength != 0 {
				_ = control.SetReadDeadline(start.Add(limits.Request + time.Second))
			}
			_ = control.SetWriteDeadline(start.Add(limits.Request + 2*time.Second))
		}
		caller, err := s.answer(ctx, route, rw, w, r)
		level := slog.LevelInfo
		var fault, code, why string
		if err != nil {
			e := ErrorOf(err)
			if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
				e = &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Description: "a body here has at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
			}
			code, why = e.Code, e.Description
			if e.Status >= 500 {
				level, fault = slog.LevelError, err.Error()
				span.SetStatus(codes.Error, e.Code)
			}
			if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
				level, fault = slog.LevelInfo, "the caller went away"
			}
			if w.status == 0 {
				if e.Status == http.StatusUnauthorized {
					h.Set("WWW-Authenticate", `Bearer realm="cis"`)
				}
				h.Del("ETag")
				h.Set("Cache-Control", "no-store")
				_ = JSON(w, e.Status, map[string]string{"code": e.Code, "description": e.Description})
			} else { // half an answer must not look whole
				defer func() { panic(http.ErrAbortHandler) }()
			}
		}
		took := s.o.Now().Sub(start)
		span.SetAttributes(attribute.Int("http.response.status_code", w.status))
		s.total.WithLabelValues(label, method(r.Method), strconv.Itoa(w.status)).Inc()
		s.seconds.WithLabelValues(label).Observe(took.Seconds())
		if s.o.Log.Enabled(ctx, level) {
			attrs := []slog.Attr{slog.String("request", id), slog.String("method", method(r.Method)), slog.String("route", label), slog.Int("status", w.status),
				slog.Int64("bytes", w.bytes), slog.Float64("ms", float64(took.Microseconds())/1000)}
			if caller.Subject != "" {
				attrs = append(attrs, slog.String("caller", caller.Short()))
			}
			if code != "" {
				attrs = append(attrs, slog.String("code", code), slog.String("why", why))
			}
			if fault != "" {
				attrs = append(attrs, slog.String("error", fault))
			}
			s.o.Log.LogAttrs(ctx, level, "answered", attrs...)
		}
	})
}

// answer lets the route answer, if there is a place for the request and its caller
// may ask. It returns who that is, nobody on a route for anyone.
func (s *Server) answer(ctx context.Context, route Route, rw http.ResponseWriter, w *recorder, r *http.Request) (caller *Caller, err error) {
	caller = &Caller{}
	defer func() {
		if p := recover(); p != nil {
			// A panic's value may hold anything; where it was tells enough.
			err = fmt.Errorf("panic at %s", place(debug.Stack()))
		}
	}()
	h := w.Header()
	if route.Cross {
		s.cross(h, r)
	}
	if !route.Free {
		places := s.slots
		if route.Long {
			places = s.exports
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			h.Set("Retry-After", "1")
			return caller, &Error{Status: http.StatusServiceUnavailable, Code: "overloaded", Description: "too many requests at the same time; try again in a second"}
		}
	}
	if route.PerAddress && !s.rates.allow(s.address(r)) {
		h.Set("Retry-After", "60")
		return caller, &Error{Status: http.StatusTooManyRequests, Code: "too_many_requests", Description: "too many requests from this address; try again in a minute"}
	}
	if !route.Open {
		known, err := s.authenticate(ctx, r)
		if err != nil {
			return caller, err
		}
		caller = known
		if route.Scope != "" && !caller.Has(route.Scope) {
			return caller, Forbidden(route.Scope)
		}
		// Whoever reads slowly holds their own places and nobody else's.
		most := s.o.Limits.OfCaller
		if route.Long {
			most = max(1, s.o.Limits.Exports/4)
		}
		leave, ok := s.callers.enter(caller, route.Long, most)
		if !ok {
			h.Set("Retry-After", "1")
			return caller, &Error{Status: http.StatusTooManyRequests, Code: "too_many_requests", Description: "this caller has " + strconv.Itoa(most) + " such requests that are not answered yet; wait for one"}
		}
		defer leave()
	}
	r = r.WithContext(WithCaller(ctx, caller))
	if r.Body != nil {
		r.Body = http.MaxBytesReader(rw, r.Body, route.MaxBody)
	}
	return caller, route.Serve(w, r)
}

// Forbidden is the answer to a caller who lacks a scope.
func Forbidden(scope string) error {
	return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "this needs the scope " + scope}
}

// Short names a caller in logs: a subject may be somebody's login, so that it is
// a hash.
func (c *Caller) Short() string {
	sum := sha256.Sum256([]byte(c.Issuer + "\x00" + c.Subject))
	return hex.EncodeToString(sum[:6])
}

// method is a method for labels: what a client makes up is not one.
func method(m string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}, m) {
		return m
	}
	return "other"
}

// place is the line of ours where a panic was, out of a stack.
func place(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "panic(") && i+3 < len(lines) {
			at, _, _ := strings.Cut(strings.TrimSpace(lines[i+3]), " ")
			if k := strings.LastIndexByte(at, '/'); k >= 0 {
				at = at[k+1:]
			}
			return at
		}
	}
	return "an unknown place"
}

func (s *Server) authenticate(ctx context.Context, r *http.Request) (*Caller, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return nil, &Error{Status: http.StatusUnauthorized, Code: "authorization_header_missing", Description: "Authorization header is expected"}
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, &Error{Status: http.StatusUnauthorized, Code: "invalid_header", Description: "Authorization header must be: Bearer token"}
	}
	return s.o.Auth.Authenticate(ctx, token)
}

// cross lets a page of an allowed origin read the answer.
func (s *Server) cross(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(s.o.Origins, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// requestID is the caller's own, if it is one, else random.
func (s *Server) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); len(id) >= 8 && len(id) <= 64 && strings.Trim(id, "0123456789abcdefABCDEF-") == "" {
		return id
	}
	var b [12]byte
	_, _ = io.ReadFull(s.o.Random, b[:])
	return hex.EncodeToString(b[:])
}

// callers count what each caller has in flight.
type callers struct {
	mu sync.Mutex
	n  map[callerPlace]int
}

type callerPlace struct {
	issuer, subject string
	long            bool
}

// enter takes a place for a caller, if they have fewer than most.
func (c *callers) enter(who *Caller, long bool, most int) (leave func(), ok bool) {
	at := callerPlace{who.Issuer, who.Subject, long}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[at] >= most {
		return nil, false
	}
	if c.n == nil {
		c.n = map[callerPlace]int{}
	}
	c.n[at]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n[at]--; c.n[at] == 0 {
			delete(c.n, at)
		}
	}, true
}

// address is where a request comes from.
func (s *Server) address(r *http.Request) string {
	if s.o.Proxies > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if i := len(hops) - s.o.Proxies; i >= 0 {
			return network(strings.TrimSpace(hops[i]))
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return network(host)
}

// Serve answers on a listener until ctx ends, and then lets requests end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limits := s.o.Limits
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: limits.Header, IdleTimeout: limits.Idle, MaxHeaderBytes: limits.Headers,
		ErrorLog: slog.NewLogLogger(quiet{s.o.Log.Handler()}, slog.LevelDebug),
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// Whoever still waits gets an answer, however the program was told to end.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Shutdown)
		defer cancel()
		err := srv.Shutdown(ctx)
		if err != nil {
			err = errors.Join(fmt.Errorf("api: requests were still being answered after %s: %w", limits.Shutdown, err), srv.Close())
		}
		ended <- err
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("api: serve: %w", err)
	}
	return <-ended
}

// quiet takes what net/http says of connections that were bad: that holds
// addresses, and nobody can do anything about it.
type quiet struct{ slog.Handler }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if !strings.HasPrefix(r.Message, "http: panic serving") {
		return nil
	}
	return q.Handler.Handle(ctx, slog.NewRecord(r.Time, slog.LevelError, "http: a handler ended its answer", 0))
}
