package githubtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// root is where the API is on a server of GitHub Enterprise.
const root = "/api/v3"

// The primary limit: requests an hour and credential.
const (
	hourly = 5000
	window = time.Hour
)

// Counts are of requests since the server began.
type Counts struct {
	Requests  int
	Unchanged int // answered with 304
	Charged   int // counted against a rate limit
}

// A Server is a stand-in for GitHub Enterprise. It is safe for concurrent use.
type Server struct {
	// URL is that of the API, CAFile the file with the certificate that the
	// server's is signed by.
	URL, CAFile string

	t           testing.TB
	now         func() time.Time
	description *description

	mu         sync.Mutex
	world      *World
	wrap       func(http.Handler) http.Handler
	counts     Counts
	rates      map[string]*rate
	tokens     map[string]*token // of installations, by their text
	throttled  int
	retryAfter time.Duration
}

// A rate is what somebody may still ask in a window of time.
type rate struct {
	remaining int
	reset     time.Time
}

// A token is one of an installation.
type token struct {
	in      *Organization
	expires time.Time
}

// New starts a server that ends with the test. now is its clock; nil is the
// real one.
func New(t testing.TB, w *World, now func() time.Time) *Server {
	t.Helper()
	d, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	if now == nil {
		now = time.Now
	}
	s := &Server{t: t, now: now, description: d, world: w, rates: map[string]*rate{}, tokens: map[string]*token{}}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s.URL = srv.URL + root + "/"
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(s.CAFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Secret returns the token of [Example], as sources take secrets.
func (s *Server) Secret(context.Context) (string, error) { return PersonalToken, nil }

// appKey is the app's, one for all servers because making one takes long.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
})

// AppSecret returns the private key of the app in PEM, as sources take secrets.
func (s *Server) AppSecret(context.Context) (string, error) {
	der := x509.MarshalPKCS1PrivateKey(appKey())
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})), nil
}

// Change lets f change the world between two answers.
func (s *Server) Change(f func(*World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.world)
}

// Dump returns what World.Dump does.
func (s *Server) Dump(logins ...string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.Dump(logins...)
}

// Counts returns how often the server was asked.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Wrap puts a handler before the server, in place of the one that is there;
// nil puts none. What it does is not held against the description.
func (s *Server) Wrap(f func(server http.Handler) http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrap = f
}

// SetRemaining leaves everybody n requests until their limits are reset, an
// hour from now.
func (s *Server) SetRemaining(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rates = map[string]*rate{"": {n, s.now().Add(window)}}
}

// Throttle answers the next n requests with the secondary rate limit, which
// asks to retry after some time, or with 0 does not say when.
func (s *Server) Throttle(n int, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttled, s.retryAfter = n, retryAfter
}

// RevokeTokens ends all tokens of installations.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	wrap := s.wrap
	s.mu.Unlock()
	if wrap == nil {
		s.answer(w, r)
	} else {
		wrap(http.HandlerFunc(s.answer)).ServeHTTP(w, r)
	}
}

// An answer is one of the API.
type answer struct {
	status int
	body   any
	header map[string]string
}

func failed(status int, message string) answer {
	return answer{status: status, body: object{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	}}
}

// answer answers one request, and fails the test if either is not as GitHub
// describes it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	asked, err := s.canonical(r)
	if err != nil {
		s.t.Errorf("githubtest: %s %s: %v", r.Method, r.URL.Path, err)
		http.NotFound(w, r)
		return
	}
	in, err := s.description.request(asked, body)
	if err != nil {
		s.t.Errorf("githubtest: the request is not one of GitHub's API: %s %s: %v", r.Method, r.URL, err)
		http.NotFound(w, r)
		return
	}
	who := s.identify(asked)
	a := s.decide(who, in.Route.Path, in.PathParams, asked, body)
	var text []byte
	if a.body != nil {
		if text, err = json.Marshal(a.body); err != nil {
			panic(err) // objects and lists of text and numbers always marshal
		}
	}
	h := w.Header()
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if who.personal != nil && who.personal.Scopes != nil {
		h.Set("X-OAuth-Scopes", strings.Join(who.personal.Scopes, ", "))
	}
	for key, value := range a.header {
		h.Set(key, value)
	}
	if a.status == http.StatusOK {
		sum := sha256.Sum256(append([]byte(r.Header.Get("Authorization")+"\x00"), text...))
		h.Set("ETag", `W/"`+hex.EncodeToString(sum[:])+`"`)
		if r.Header.Get("If-None-Match") == h.Get("ETag") {
			a.status, text = http.StatusNotModified, nil
			h.Del("Link")
			h.Del("Content-Type")
			s.counts.Unchanged++
		}
	}
	if who.rate != nil {
		if a.status != http.StatusNotModified && who.rate.remaining > 0 {
			who.rate.remaining--
			s.counts.Charged++
		}
		h.Set("X-RateLimit-Limit", strconv.Itoa(hourly))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(who.rate.remaining))
		h.Set("X-RateLimit-Used", strconv.Itoa(hourly-who.rate.remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(who.rate.reset.Unix(), 10))
		h.Set("X-RateLimit-Resource", "core")
	}
	if err := s.description.answer(in, a.status, h, text); err != nil {
		s.t.Errorf("githubtest: the answer is not one of GitHub's API: %s %s: %d: %v", r.Method, r.URL, a.status, err)
	}
	w.WriteHeader(a.status)
	w.Write(text)
}

var byID = regexp.MustCompile(`^/organizations/(\d+)(?:/team/(\d+))?(/.*)?$`)

// canonical returns the request with the path that the description has, for
// one that names organisation and team by their ids as links do.
func (s *Server) canonical(r *http.Request) (*http.Request, error) {
	path, ok := strings.CutPrefix(r.URL.Path, root)
	if !ok {
		return nil, fmt.Errorf("not below %s", root)
	}
	if m := byID.FindStringSubmatch(path); m != nil {
		o := find(s.world.Organizations, func(o *Organization) bool { return strconv.FormatInt(o.ID, 10) == m[1] })
		if o == nil {
			return nil, fmt.Errorf("no such organisation")
		}
		path = "/orgs/" + o.Login
		if m[2] != "" {
			t := find(o.Teams, func(t *Team) bool { return strconv.FormatInt(t.ID, 10) == m[2] })
			if t == nil {
				return nil, fmt.Errorf("no such team")
			}
			path += "/teams/" + t.Slug
		}
		path += m[3]
	}
	asked := r.Clone(r.Context())
	asked.URL = &url.URL{Scheme: "https", Host: "api.github.com", Path: path, RawQuery: r.URL.RawQuery}
	return asked, nil
}

// An identity is who asks: a person's token, an installation's or the app.
type identity struct {
	personal     *Token
	installation *token
	app          bool
	rate         *rate
}

func (s *Server) identify(r *http.Request) identity {
	kind, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "bearer") && !strings.EqualFold(kind, "token") {
		return identity{}
	}
	if p := s.world.Tokens[text]; p != nil {
		return identity{personal: p, rate: s.rate(text)}
	}
	if t := s.tokens[text]; t != nil && s.now().Before(t.expires) {
		return identity{installation: t, rate: s.rate(t.in.Login)}
	}
	return identity{app: s.isApp(text)}
}

// isApp checks a token that the app signed, as GitHub asks for it.
func (s *Server) isApp(text string) bool {
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return false
	}
	var c jwt.Claims
	if err := signed.Claims(&appKey().PublicKey, &c); err != nil || c.Issuer != strconv.Itoa(AppID) || c.IssuedAt == nil || c.Expiry == nil {
		return false
	}
	now := s.now()
	return !c.IssuedAt.Time().After(now) && now.Before(c.Expiry.Time()) && !c.Expiry.Time().After(now.Add(10*time.Minute))
}

// rate returns what the owner of a credential may still ask.
func (s *Server) rate(of string) *rate {
	all := s.rates[""] // of those that have not asked yet
	x := s.rates[of]
	if x == nil || !s.now().Before(x.reset) {
		x = &rate{hourly, s.now().Add(window)}
		if all != nil && s.now().Before(all.reset) {
			*x = *all
		}
		s.rates[of] = x
	}
	return x
}

// decide says what the answer is.
func (s *Server) decide(who identity, path string, params map[string]string, r *http.Request, body []byte) answer {
	if s.throttled > 0 {
		s.throttled--
		a := failed(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		a.body.(object)["documentation_url"] = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
		if s.retryAfter > 0 {
			a.header = map[string]string{"Retry-After": strconv.Itoa(int(s.retryAfter.Seconds()))}
		}
		return a
	}
	if who.rate != nil && who.rate.remaining == 0 {
		return failed(http.StatusForbidden, "API rate limit exceeded.")
	}
	if who.app {
		return s.toApp(path, params, body)
	}
	if who.rate == nil {
		return failed(http.StatusUnauthorized, "Bad credentials")
	}
	if path == "/orgs/{org}/installation" || path == "/app/installations/{installation_id}/access_tokens" {
		return failed(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	return s.toReader(who, path, params, r)
}

// toApp answers what apps may ask.
func (s *Server) toApp(path string, params map[string]string, body []byte) answer {
	switch path {
	case "/orgs/{org}/installation":
		o := s.world.Organization(params["org"])
		if o == nil || o.Installation == nil {
			return failed(http.StatusNotFound, "Not Found")
		}
		return answer{status: http.StatusOK, body: s.installation(o)}
	case "/app/installations/{installation_id}/access_tokens":
		o := find(s.world.Organizations, func(o *Organization) bool {
			return o.Installation != nil && strconv.FormatInt(o.Installation.ID, 10) == params["installation_id"]
		})
		var asked struct{ Permissions map[string]string }
		if len(bytes.TrimSpace(body)) > 0 && json.Unmarshal(body, &asked) != nil {
			return failed(http.StatusUnprocessableEntity, "Problems parsing JSON")
		}
		switch {
		case o == nil:
			return failed(http.StatusNotFound, "Not Found")
		case o.Installation.Suspended:
			return failed(http.StatusForbidden, "This installation has been suspended")
		case asked.Permissions["members"] != "" && o.Installation.Members == "":
			return failed(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
		text := "ghs_" + rand.Text()
		expires := s.now().Add(time.Hour)
		s.tokens[text] = &token{o, expires}
		return answer{status: http.StatusCreated, body: object{
			"token": text, "expires_at": expires.UTC().Format(time.RFC3339), "repository_selection": "all",
			"permissions": object{"members": "read", "metadata": "read"},
		}}
	}
	return failed(http.StatusForbidden, "This endpoint does not accept the app's own credentials.")
}
