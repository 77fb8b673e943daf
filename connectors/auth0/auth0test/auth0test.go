// Package auth0test is a tenant of Auth0 for tests, in what a source needs of
// it: a token endpoint, users in the three ways in which they can be read, jobs
// that export them to another host, rate limits, and faults. It runs in the
// process, over TLS, and keeps state: users come, change and go.
//
// It answers in the forms that Auth0 documents, and refuses what Auth0 refuses:
// a token of another audience, more than 100 users a page, pages beyond 1,000
// users, and at the host of exports a request that brings a token.
package auth0test

import (
	"bytes"
	"compress/gzip"
	"context"
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
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/cis/connectors/auth0"
	"example.org/cis/connectors/web"
)

// The credentials of the one application that the tenant knows.
const (
	ClientID = "cis-reader"
	Secret   = "a-client-secret-of-cis"
)

// A Tenant is a running tenant. Its methods may be called while it is read.
type Tenant struct {
	URL    string // https://127.0.0.1:PORT
	CAFile string // for the tenant and for the host of exports

	exports *httptest.Server

	mu     sync.Mutex
	users  []stored // in the order in which they are listed
	fault  Fault
	tokens map[string]bool
	given  int // tokens
	jobs   map[string]*job
	asked  []string
	set    Settings
}

// Settings change how the tenant answers. The zero Settings are those of a
// tenant that is well, except that Auth0 itself has no checkpoints of users.
type Settings struct {
	// NoCheckpoints refuses checkpoint paging, as Auth0 does.
	NoCheckpoints bool
	// Polls is how often a job is asked for before it is completed.
	Polls int
	// FailJobs lets jobs fail.
	FailJobs bool
	// ExpiredLinks is how many links to an export are refused, as if too old.
	ExpiredLinks int
	// PlainExports leaves exports uncompressed.
	PlainExports bool
	// ExportsAt is the URL at which exports are said to lie, "" for where they do.
	ExportsAt string
	// OnPage is called after each answer with users.
	OnPage func()
}

type stored struct {
	id   string
	raw  json.RawMessage
	asIs bool // was not put in as a User
}

type job struct {
	polls int
	file  []byte
}

// A User is one in Auth0's form. What is not here can be put in with PutJSON.
type User struct {
	ID            string         `json:"user_id"`
	Email         string         `json:"email,omitempty"`
	EmailVerified *bool          `json:"email_verified,omitempty"`
	GivenName     string         `json:"given_name,omitempty"`
	FamilyName    string         `json:"family_name,omitempty"`
	Name          string         `json:"name,omitempty"`
	Picture       string         `json:"picture,omitempty"`
	NodeID        string         `json:"node_id,omitempty"`
	CreatedAt     string         `json:"created_at,omitempty"`
	Blocked       bool           `json:"blocked,omitempty"`
	Identities    []Identity     `json:"identities,omitempty"`
	AppMetadata   map[string]any `json:"app_metadata,omitempty"`
}

// An Identity is a login of a user. That of the user_id comes first and has no
// ProfileData.
type Identity struct {
	Provider    string       `json:"provider"`
	Connection  string       `json:"connection"`
	UserID      any          `json:"user_id"` // a string, or a number as GitHub's are
	Social      bool         `json:"isSocial"`
	ProfileData *ProfileData `json:"profileData,omitempty"`
}

// ProfileData is what a linked login says of its person.
type ProfileData struct {
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
	Name          string `json:"name,omitempty"`
	NodeID        string `json:"node_id,omitempty"`
}

// Login returns a user who logged in for the first time: the identity is made
// of the id, the email is verified.
func Login(id, email string) User {
	provider, rest, _ := strings.Cut(id, "|")
	i := Identity{Provider: provider, Connection: provider, UserID: rest}
	switch connection, _, ok := strings.Cut(rest, "|"); {
	case ok:
		i.Connection = connection
	case provider == "auth0":
		i.Connection = "Username-Password-Authentication"
	}
	i.Social = provider == "github" || provider == "google-oauth2" || provider == "oauth2"
	if n, err := strconv.Atoi(rest); err == nil && provider == "github" {
		i.UserID = n
	}
	u := User{ID: id, Email: email, Name: email, CreatedAt: "2026-03-02T08:00:00.123Z", Identities: []Identity{i}}
	if email != "" {
		u.EmailVerified = new(bool)
		*u.EmailVerified = true
	}
	return u
}

// Named returns u with a name.
func (u User) Named(given, family string) User {
	u.GivenName, u.FamilyName, u.Name = given, family, given+" "+family
	return u
}

// Linked returns u with another login, whose email is verified.
func (u User) Linked(id, email, nodeID string) User {
	l := Login(id, email).Identities[0]
	l.ProfileData = &ProfileData{Email: email, NodeID: nodeID}
	if email != "" {
		l.ProfileData.EmailVerified = new(bool)
		*l.ProfileData.EmailVerified = true
	}
	u.Identities = append(slices.Clone(u.Identities), l)
	return u
}

// Unverified returns u with an email that nobody verified.
func (u User) Unverified() User {
	u.EmailVerified = new(bool)
	return u
}

// Start starts a tenant with the users, and stops it when the test ends.
func Start(t testing.TB, users ...User) *Tenant {
	t.Helper()
	s := &Tenant{tokens: map[string]bool{}, jobs: map[string]*job{}}
	serve := func(h http.HandlerFunc) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, h) }))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", s.token)
	mux.HandleFunc("GET /api/v2/users", s.authorized(s.list))
	mux.HandleFunc("GET /api/v2/users/{id}", s.authorized(s.user))
	mux.HandleFunc("POST /api/v2/jobs/users-exports", s.authorized(s.export))
	mux.HandleFunc("GET /api/v2/jobs/{id}", s.authorized(s.job))
	tenant := serve(mux.ServeHTTP)
	s.exports = serve(s.download)
	s.URL, s.CAFile = tenant.URL, filepath.Join(t.TempDir(), "auth0-ca.pem")
	// httptest has one certificate for all its servers.
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tenant.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Put(users...)
	return s
}

// Config returns the configuration of a source that reads the tenant in its
// default way.
func (s *Tenant) Config(name string) auth0.Config {
	return auth0.Config{
		Name:        name,
		Config:      web.Config{URL: s.URL, CAFile: s.CAFile},
		Credentials: web.Credentials{ClientID: ClientID},
		ExportHosts: []string{s.ExportHost()},
	}
}

// ExportHost is the host of exports, with its port.
func (s *Tenant) ExportHost() string { return strings.TrimPrefix(s.exports.URL, "https://") }

// ReadSecret returns the secret of the application.
func ReadSecret(context.Context) (string, error) { return Secret, nil }

// Set changes how the tenant answers.
func (s *Tenant) Set(set Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = set
}

// Put puts users in, in the place of those with the same ids.
func (s *Tenant) Put(users ...User) {
	for _, u := range users {
		raw, err := json.Marshal(u)
		if err != nil {
			panic(err) // of app_metadata that is no JSON
		}
		s.put(stored{id: u.ID, raw: raw})
	}
}

// PutJSON puts in a user of any form, who is shown as that, whatever is asked
// for. What is no JSON at all can only be exported.
func (s *Tenant) PutJSON(id, raw string) { s.put(stored{id, json.RawMessage(raw), true}) }

func (s *Tenant) put(u stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.users, func(old stored) bool { return old.id == u.id }); i >= 0 {
		s.users[i] = u
		return
	}
	s.users = append(s.users, u)
}

// PutFirst puts a new user in before all others, who move back by one.
func (s *Tenant) PutFirst(u User) {
	s.Delete(u.ID)
	s.Put(u)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.users) - 1
	s.users = slices.Insert(s.users[:last:last], 0, s.users[last])
}

// Delete removes a user, if there is one.
func (s *Tenant) Delete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(s.users, func(u stored) bool { return u.id == id })
}

// ExpireTokens makes all tokens that were given invalid.
func (s *Tenant) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Asked returns the requests so far: method, path and query.
func (s *Tenant) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Lines returns the users as an export has them.
func (s *Tenant) Lines() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines(nil)
}

func (s *Tenant) lines(fields []string) []byte {
	var b bytes.Buffer
	for _, u := range s.users {
		b.Write(only(u, fields))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// handle lets a fault come before the answer, if there is one.
func (s *Tenant) handle(w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && r.URL.Path != "/oauth/token" {
		fault(w, r, h)
		return
	}
	h(w, r)
}

// fail answers as Auth0 does when it refuses.
func fail(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message, "errorCode": code})
}

func reply(w http.ResponseWriter, status int, v any) {
	// Not json.Encoder: it cannot write what PutJSON was given and is no JSON.
	raw, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			panic(err)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(raw)
}

func (s *Tenant) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != ClientID || r.FormValue("client_secret") != Secret:
		reply(w, http.StatusUnauthorized, map[string]any{"error": "access_denied", "error_description": "Unauthorized"})
		return
	case r.FormValue("audience") != s.URL+"/api/v2/":
		reply(w, http.StatusForbidden, map[string]any{"error": "access_denied", "error_description": "Service not enabled within domain"})
		return
	}
	s.given++
	token := fmt.Sprintf("management-token-%d", s.given)
	s.tokens[token] = true
	reply(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 86400, "scope": "read:users"})
}

func (s *Tenant) authorized(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		known := s.tokens[token]
		s.mu.Unlock()
		if !bearer || !known {
			fail(w, http.StatusUnauthorized, "invalid_token", "Invalid token")
			return
		}
		h(w, r)
	}
}

func (s *Tenant) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	users, set := slices.Clone(s.users), s.set
	s.mu.Unlock()
	if set.OnPage != nil {
		defer set.OnPage()
	}
	q := r.URL.Query()
	fields := fieldsOf(q)
	number := func(key string, otherwise int) int {
		n, err := strconv.Atoi(q.Get(key))
		if err != nil {
			return otherwise
		}
		return n
	}
	cut := func(from, n int) json.RawMessage {
		from = min(max(from, 0), len(users))
		var list [][]byte
		for _, u := range users[from:min(from+n, len(users))] {
			list = append(list, only(u, fields))
		}
		return slices.Concat([]byte("["), bytes.Join(list, []byte(",")), []byte("]"))
	}
	if q.Has("take") || q.Has("from") {
		take, from := number("take", 50), 0
		if id, ok := strings.CutPrefix(q.Get("from"), "after:"); ok {
			from = 1 + slices.IndexFunc(users, func(u stored) bool { return u.id == id })
		}
		if set.NoCheckpoints || take > 100 || from == 0 && q.Has("from") {
			fail(w, http.StatusBadRequest, "invalid_query_string", "Query validation error")
			return
		}
		next := ""
		if last := from + take; last < len(users) {
			next = fmt.Sprintf(`,"next":%q`, "after:"+users[last-1].id)
		}
		reply(w, http.StatusOK, json.RawMessage(fmt.Sprintf(`{"users":%s%s}`, cut(from, take), next)))
		return
	}
	n, perPage := number("page", 0), number("per_page", 50)
	switch {
	case perPage > 100:
		fail(w, http.StatusBadRequest, "invalid_query_string", "Query validation error")
	case n*perPage+perPage > 1000:
		fail(w, http.StatusBadRequest, "invalid_paging", "You can only page through the first 1000 records.")
	case q.Get("include_totals") != "true":
		reply(w, http.StatusOK, cut(n*perPage, perPage))
	default:
		length := min(max(len(users)-n*perPage, 0), perPage)
		reply(w, http.StatusOK, json.RawMessage(fmt.Sprintf(`{"start":%d,"limit":%d,"length":%d,"users":%s,"total":%d}`,
			n*perPage, perPage, length, cut(n*perPage, perPage), len(users))))
	}
}

func (s *Tenant) user(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.id == r.PathValue("id") {
			reply(w, http.StatusOK, json.RawMessage(only(u, fieldsOf(r.URL.Query()))))
			return
		}
	}
	fail(w, http.StatusNotFound, "inexistent_user", "The user does not exist.")
}

func (s *Tenant) export(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Format string `json:"format"`
		Fields []struct {
			Name string `json:"name"`
		} `json:"fields"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Format != "json" {
		fail(w, http.StatusBadRequest, "invalid_body", "Payload validation error")
		return
	}
	var fields []string
	for _, f := range request.Fields {
		fields = append(fields, f.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file := s.lines(fields)
	if !s.set.PlainExports {
		file = Gzip(file)
	}
	id := fmt.Sprintf("job_%016d", len(s.jobs)+1)
	s.jobs[id] = &job{s.set.Polls, file}
	reply(w, http.StatusOK, map[string]any{"type": "users_export", "status": "pending", "format": "json", "id": id, "created_at": "2026-03-02T08:00:00.000Z"})
}

// Gzip compresses b.
func Gzip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b) // a bytes.Buffer takes everything
	w.Close()
	return z.Bytes()
}

func (s *Tenant) job(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	j := s.jobs[id]
	if j == nil {
		fail(w, http.StatusNotFound, "inexistent_job", "The job does not exist.")
		return
	}
	said := map[string]any{"type": "users_export", "format": "json", "id": id, "status": "completed"}
	switch {
	case s.set.FailJobs:
		said["status"] = "failed"
	case j.polls > 0:
		j.polls--
		said["status"], said["percentage_done"], said["time_left_seconds"] = "processing", 100/(j.polls+2), j.polls
	default:
		at := s.exports.URL
		if s.set.ExportsAt != "" {
			at = s.set.ExportsAt
		}
		said["location"] = at + "/" + id + "/tenant.json.gz?Expires=1772438460&Signature=signature-of-" + id
	}
	reply(w, http.StatusOK, said)
}

func (s *Tenant) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	j := s.jobs[id]
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
	case j == nil || r.URL.Query().Get("Signature") != "signature-of-"+id:
		http.Error(w, "AccessDenied", http.StatusForbidden)
	case s.set.ExpiredLinks > 0:
		s.set.ExpiredLinks--
		http.Error(w, "AccessDenied", http.StatusForbidden)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(j.file)))
		w.Write(j.file)
	}
}

func fieldsOf(q url.Values) []string {
	if q.Get("fields") == "" {
		return nil
	}
	return strings.Split(q.Get("fields"), ",")
}

// only returns the user with the fields; nil is all.
func only(u stored, fields []string) []byte {
	if fields == nil || u.asIs {
		return u.raw
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(u.raw, &object); err != nil {
		panic(err) // of JSON that was made of a User
	}
	for key := range object {
		if !slices.Contains(fields, key) {
			delete(object, key)
		}
	}
	raw, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return raw
}

// A Fault answers instead of the tenant, or with what the tenant would say.
// It sees all requests but those for tokens.
type Fault func(w http.ResponseWriter, r *http.Request, well http.Handler)

// Fail lets the tenant and the host of exports answer by a fault; nil ends that.
func (s *Tenant) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// WithUsers lets a fault befall only answers that hold users.
func WithUsers(f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request, well http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/api/v2/jobs/") {
			well.ServeHTTP(w, r)
			return
		}
		f(w, r, well)
	}
}

func record(r *http.Request, well http.Handler) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	well.ServeHTTP(rec, r)
	rec.Body.Truncate(rec.Body.Len() * 2 / 3)
	return rec
}

// part sends a part of the answer.
func part(w http.ResponseWriter, r *http.Request, well http.Handler) {
	rec := record(r, well)
	w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
	w.(http.Flusher).Flush()
}

// Broken breaks the connection within the answer.
func Broken(w http.ResponseWriter, r *http.Request, well http.Handler) {
	part(w, r, well)
	panic(http.ErrAbortHandler)
}

// Truncated ends the answer too early, and well as far as HTTP can tell.
func Truncated(w http.ResponseWriter, r *http.Request, well http.Handler) { part(w, r, well) }

// Stalled begins to answer, and never ends.
func Stalled(w http.ResponseWriter, r *http.Request, well http.Handler) {
	part(w, r, well)
	<-r.Context().Done()
}

// Refused does not know the token.
func Refused(w http.ResponseWriter, r *http.Request, well http.Handler) {
	fail(w, http.StatusUnauthorized, "invalid_token", "Invalid token")
}

// RedirectTo sends the reader elsewhere.
func RedirectTo(elsewhere string) Fault {
	return func(w http.ResponseWriter, r *http.Request, well http.Handler) {
		http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusFound)
	}
}

// Limited answers n times that the rate limit is reached, for the time given.
func Limited(n int, wait time.Duration) Fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, well http.Handler) {
		mu.Lock()
		n--
		limited := n >= 0
		mu.Unlock()
		if !limited {
			well.ServeHTTP(w, r)
			return
		}
		now := time.Now()
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		w.Header().Set("X-RateLimit-Limit", "2")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(wait).Unix(), 10))
		fail(w, http.StatusTooManyRequests, "too_many_requests", "Global limit has been reached")
	}
}
