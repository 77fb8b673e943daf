// Package directorytest is a people directory for tests: a server over TLS on
// 127.0.0.1 with a token endpoint, whose people can be put, removed and paged,
// and which can be told to misbehave.
package directorytest

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.org/cis/transforms/people"
)

// The client that may read.
const (
	ClientID     = "cis"
	ClientSecret = "open sesame, said the client"
	Audience     = "api.people.example.org"
)

// A Fault is a way to misbehave.
type Fault int

// The faults. But for the token endpoint's they are those of every answer
// about people.
const (
	None          Fault = iota
	Broken              // the connection breaks in the middle of the answer
	Truncated           // half an answer, otherwise well
	Stalled             // half an answer, and then nothing more
	Redirected          // to another host, which fails the test if it is asked
	Refused             // no token is good enough
	NoTokens            // the token endpoint refuses the client
	Down                // status 503
	RepeatedToken       // each page of the list names the same next one
	NoNextPage          // the last page does not say that it is the last
	EmptyPage           // no fault: the list begins with a page of nobody
)

// A Server is a running people directory.
type Server struct {
	URL      string // of the list; one profile is below, at user_id/{id}
	TokenURL string
	CAFile   string

	elsewhere string
	mu        sync.Mutex
	people    map[string][]byte
	size      int
	fault     Fault
	issued    int // tokens so far; only the last one is good
	expired   bool
}

// Start starts a server without people, with two on a page, and stops it when
// the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{people: map[string][]byte{}, size: 2}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", s.token)
	mux.HandleFunc("GET /v2/users", s.guarded(s.list))
	mux.HandleFunc("GET /v2/users/user_id/{id}", s.guarded(s.one))
	srv := start(t, mux)
	elsewhere := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("directorytest: the host that was redirected to was asked")
	}))
	s.URL, s.TokenURL, s.elsewhere = srv.URL+"/v2/users", srv.URL+"/oauth/token", elsewhere.URL
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(s.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t testing.TB, h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// Put stores the JSON of a person's profile, whatever it is, in the place of an
// earlier one.
func (s *Server) Put(userID string, profile []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people[userID] = profile
}

// Remove forgets a person.
func (s *Server) Remove(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.people, userID)
}

// SetPageSize says how many people are on a page.
func (s *Server) SetPageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = n
}

// Break makes the server misbehave until it is told otherwise.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// ExpireToken makes the token that was given out last worthless.
func (s *Server) ExpireToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired = true
}

// Tokens returns how many tokens were given out.
func (s *Server) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

// token is the token endpoint (RFC 6749 section 4.4).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.fault == NoTokens || r.FormValue("grant_type") != "client_credentials" || r.FormValue("audience") != Audience ||
		r.FormValue("client_id") != ClientID || r.FormValue("client_secret") != ClientSecret {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	s.issued, s.expired = s.issued+1, false
	fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":86400}`, s.bearer())
}

func (s *Server) bearer() string { return fmt.Sprintf("token-%d-of-the-directory", s.issued) }

// guarded asks for the token and misbehaves.
func (s *Server) guarded(answer func(*http.Request) (status int, body string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		fault := s.fault
		status, body := http.StatusUnauthorized, `{"code":"invalid_header","description":"no good token"}`
		if fault != Refused && !s.expired && s.issued > 0 && r.Header.Get("Authorization") == "Bearer "+s.bearer() {
			status, body = answer(r)
		}
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch fault {
		case Redirected:
			http.Redirect(w, r, s.elsewhere, http.StatusFound)
			return
		case Down:
			status = http.StatusServiceUnavailable
		case Broken, Truncated, Stalled:
			body = body[:len(body)/2]
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
		switch fault {
		case Broken:
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case Stalled:
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}
}

// list is one page: everybody from the id in the token on, as far as there is
// room. Tokens stand alone and in an object by turns.
func (s *Server) list(r *http.Request) (int, string) {
	const first = "first" // token of the first page that has somebody, after one that has not
	token := r.FormValue("nextPage")
	if token == "" && s.fault == EmptyPage {
		return http.StatusOK, `{"Items":[],"nextPage":"` + first + `"}`
	}
	from := ""
	if token != "" && token != first {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return http.StatusBadRequest, `{"code":"bad_token","description":"no such page"}`
		}
		from = string(b)
	}
	ids := slices.Sorted(maps.Keys(s.people))
	at, _ := slices.BinarySearch(ids, from)
	page := ids[at:min(at+s.size, len(ids))]
	var items []string
	for _, id := range page {
		items = append(items, string(s.people[id]))
	}
	next := "null"
	switch end := at + len(page); {
	case s.fault == RepeatedToken:
		next = `"` + first + `"`
	case end < len(ids):
		next = `"` + base64.RawURLEncoding.EncodeToString([]byte(ids[end])) + `"`
		if at/s.size%2 == 1 {
			next = `{"id":` + next + `}`
		}
	case s.fault == NoNextPage:
		return http.StatusOK, `{"Items":[` + strings.Join(items, ",") + `]}`
	}
	return http.StatusOK, `{"Items":[` + strings.Join(items, ",") + `],"nextPage":` + next + `}`
}

// one is one profile, {} if there is none.
func (s *Server) one(r *http.Request) (int, string) {
	if p, ok := s.people[r.PathValue("id")]; ok {
		return http.StatusOK, string(p)
	}
	return http.StatusOK, "{}"
}

// Profile returns the profile of a person, as the directory shows it: the
// user_id is somebody else's word, the attributes are as they are given.
func Profile(userID string, attributes ...people.Named) []byte {
	p := &people.Profile{Schema: "https://auth.mozilla.com/.well-known/profile.schema"}
	p.Set(people.UserID, By(people.AccessProvider, people.UserID, people.StringValue(userID)).Attribute)
	for _, n := range attributes {
		p.Set(n.Path, n.Attribute)
	}
	return p.AppendJSON(nil)
}

// Said returns an attribute that a person set in the directory, unsigned.
func Said(path people.Path, v people.Value) people.Named {
	return By(people.Directory, path, v)
}

// By returns an attribute of a publisher, unsigned, with the display staff.
func By(publisher people.Publisher, path people.Path, v people.Value) people.Named {
	const at = "2026-03-02T08:00:00.000Z"
	return people.Named{Path: path, Attribute: people.Attribute{
		Value:    v,
		Metadata: people.Metadata{Classification: "PUBLIC", LastModified: at, Created: at, Verified: true, Display: "staff"},
		Signature: people.Signature{
			Publisher:  people.Mark{Alg: "RS256", Typ: "JWS", Name: string(publisher)},
			Additional: []people.Mark{{Alg: "RS256", Typ: "JWS"}},
		},
	}}
}
