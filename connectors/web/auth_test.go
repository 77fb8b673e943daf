package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// An issuer is a token endpoint and an API that takes the last token it gave.
type issuer struct {
	mu     sync.Mutex
	issued int
	asked  int
	header bool // where the client's secret must be
	// answer is what is given out with the token, which is under its key.
	answer map[string]any
	// fails answers instead of the endpoint.
	fails http.HandlerFunc
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		i.give(w, r)
		return
	}
	i.asked++
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer s3cret-%d", i.issued) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_token","error_description":"tr0ub4dor"}`)
		return
	}
	io.WriteString(w, "{}")
}

func (i *issuer) give(w http.ResponseWriter, r *http.Request) {
	if i.fails != nil {
		i.issued++
		i.fails(w, r)
		return
	}
	user, pass, basic := r.BasicAuth()
	if !i.header {
		user, pass = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if r.Method != "POST" || user != "cis" || strings.ReplaceAll(pass, "+", " ") != password || basic != i.header ||
		r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("audience") != "https://api" || r.PostFormValue("scope") != "read:users read:jobs" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"access_denied","error_description":"tr0ub4dor"}`)
		return
	}
	i.issued++
	answer := map[string]any{"token_type": "Bearer", "access_token": fmt.Sprintf("s3cret-%d", i.issued)}
	for key, value := range i.answer {
		answer[key] = value
	}
	json.NewEncoder(w).Encode(answer)
}

// openTokens opens a client of the issuer.
func openTokens(t *testing.T, i *issuer) (*Client, *diary) {
	cfg := serve(t, i.ServeHTTP)
	c := Credentials{TokenURL: strings.TrimSuffix(cfg.URL, "api") + "token", ClientID: "cis", Audience: "https://api", Scope: "read:users read:jobs"}
	if i.header {
		c.ClientAuth = "header"
	}
	return open(t, cfg, ClientCredentials(c, secret))
}

func TestTokenIsKept(t *testing.T) {
	hour := func(seconds any) map[string]any { return map[string]any{"expires_in": seconds} }
	for name, c := range map[string]struct {
		*issuer
		keeps time.Duration // 0 is for ever
	}{
		"an hour":         {&issuer{answer: hour(3600)}, 59 * time.Minute},
		"in the header":   {&issuer{answer: hour(3600), header: true}, 59 * time.Minute},
		"as text":         {&issuer{answer: hour("3600")}, 59 * time.Minute},
		"a minute":        {&issuer{answer: hour(60)}, 30 * time.Second},
		"nobody says":     {&issuer{}, 0},
		"null":            {&issuer{answer: hour(nil)}, 0},
		"zero":            {&issuer{answer: hour(0)}, 0},
		"negative":        {&issuer{answer: hour(-5)}, 0},
		"rubbish":         {&issuer{answer: hour("soon")}, 0},
		"another rubbish": {&issuer{answer: hour([]int{1})}, 0},
		"small letters":   {&issuer{answer: map[string]any{"token_type": "bearer", "expires_in": 3600}}, 59 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			client, d := openTokens(t, c.issuer)
			issued := func(want int) {
				t.Helper()
				if _, err := get(t.Context(), client, Request{}); err != nil {
					t.Fatal(err)
				}
				if c.issued != want {
					t.Errorf("%d tokens, want %d", c.issued, want)
				}
			}
			issued(1)
			if c.keeps == 0 {
				d.now = noon.Add(1000 * time.Hour)
				issued(1)
				return
			}
			d.now = noon.Add(c.keeps - 1)
			issued(1)
			d.now = noon.Add(c.keeps)
			issued(2)
		})
	}
}

// TestTokenRefused gets one new token where the old one is refused, and no
// third.
func TestTokenRefused(t *testing.T) {
	i := &issuer{}
	c, _ := openTokens(t, i)
	if _, err := get(t.Context(), c, Request{}); err != nil {
		t.Fatal(err)
	}
	i.issued++ // the server forgets
	if _, err := get(t.Context(), c, Request{Method: "POST", Body: []byte("{}")}); err != nil || i.issued != 3 || i.asked != 3 {
		t.Errorf("%v with %d tokens after %d requests", err, i.issued, i.asked)
	}
	i.answer = map[string]any{"access_token": "tr0ub4dor"}
	i.issued++
	_, err := get(t.Context(), c, Request{})
	if f := fault(t, err, "the server refused the credentials (status 401, invalid_token)"); f.Status != 401 || f.Passing || i.issued != 5 || i.asked != 5 {
		t.Errorf("fault %+v with %d tokens after %d requests", f, i.issued, i.asked)
	}
}

// TestTokenShared lets many ask at once with one token.
func TestTokenShared(t *testing.T) {
	i := &issuer{}
	c, _ := openTokens(t, i)
	all := func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := get(t.Context(), c, Request{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	all()
	if i.issued != 1 {
		t.Errorf("%d tokens", i.issued)
	}
	i.issued = 2
	all()
	if i.issued != 3 {
		t.Errorf("%d tokens, one of them refused", i.issued)
	}
}

func TestTokenFails(t *testing.T) {
	says := func(code int, kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			io.WriteString(w, text)
		}
	}
	const js = "application/json; charset=utf-8"
	for name, c := range map[string]struct {
		fails   http.HandlerFunc
		reason  string
		passing bool
		asked   int
	}{
		"refused":     {says(401, js, `{"error":"invalid_client","error_description":"tr0ub4dor"}`), "the server refused the credentials (status 401, invalid_client)", false, 1},
		"denied":      {says(403, js, `{"error":"access_denied"}`), "(status 403, access_denied)", false, 1},
		"bad request": {says(400, js, `{"error":"invalid_scope"}`), "the server answered with status 400, invalid_scope", false, 1},
		"own words":   {says(400, js, `{"error":"tr0ub4dor"}`), "the server answered with status 400", false, 1},
		"no words":    {says(400, js, `{"error":["tr0ub4dor"]}`), "the server answered with status 400", false, 1},
		"not found":   {says(404, js, ``), "the server answered with status 404", false, 1},
		"broken":      {says(500, js, `tr0ub4dor`), "the server answered with status 500", true, 3},
		"limited": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1000")
			w.WriteHeader(429)
		}, "status 429, and asks to wait until 2026-11-24T12:16:40Z", true, 1},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection broke", true, 3},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "90")
			says(200, js, `{"access_token":"tr0ub4dor"`)(w, r)
		}, "the answer ends too early", true, 1},
		"a page":        {says(200, "text/html", `<html>tr0ub4dor`), "the answer is not of type application/json", false, 1},
		"no JSON":       {says(200, js, `tr0ub4dor`), "not the JSON of a token", false, 1},
		"nothing":       {says(200, js, ``), "not the JSON of a token", false, 1},
		"two documents": {says(200, js, `{"access_token":"tr0ub4dor","token_type":"Bearer"}{}`), "not the JSON of a token", false, 1},
		"a list":        {says(200, js, `["tr0ub4dor"]`), "not the JSON of a token", false, 1},
		"no token":      {says(200, js, `{"token_type":"Bearer"}`), "holds no token", false, 1},
		"two lines":     {says(200, js, `{"access_token":"tr0ub4dor\nx: y","token_type":"Bearer"}`), "holds no token", false, 1},
		"a number":      {says(200, js, `{"access_token":4,"token_type":"Bearer"}`), "not the JSON of a token", false, 1},
		"another type":  {says(200, js, `{"access_token":"tr0ub4dor","token_type":"tr0ub4dor"}`), "not of type Bearer", false, 1},
		"too long":      {says(200, js, `{"access_token":"`+strings.Repeat("tr0ub4dor", maxToken/9)+`","token_type":"Bearer"}`), "over 262144 bytes", false, 1},
		"redirected": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/api", http.StatusTemporaryRedirect)
		}, "redirected", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{fails: c.fails}
			client, _ := openTokens(t, i)
			_, err := get(t.Context(), client, Request{})
			f := fault(t, err, c.reason)
			// A 404 of the endpoint must not pass for one of the API.
			if !strings.HasPrefix(f.Reason, "token endpoint: ") || f.Status != 0 || f.Passing != c.passing {
				t.Errorf("fault %+v", f)
			}
			if i.asked != 0 || i.issued != c.asked {
				t.Errorf("asked %d and %d times, want 0 and %d", i.asked, i.issued, c.asked)
			}
		})
	}
	i := &issuer{header: true}
	c, _ := openTokens(t, i)
	c.auth.(*client).secret = func(context.Context) (string, error) { return "", fmt.Errorf("the store says %s", password) }
	_, err := get(t.Context(), c, Request{})
	fault(t, err, "token endpoint: the client's secret could not be read")
	c.auth.(*client).secret = func(context.Context) (string, error) { return "wrong", nil }
	_, err = get(t.Context(), c, Request{})
	fault(t, err, "token endpoint: the server refused the credentials (status 401, access_denied)")
}

// TestTokenTrust: the certificates of the file vouch for a token endpoint on
// another host, and the system's would too.
func TestTokenTrust(t *testing.T) {
	i := &issuer{}
	endpoint := serve(t, i.ServeHTTP)
	cfg := serve(t, i.ServeHTTP)
	creds := Credentials{TokenURL: strings.TrimSuffix(endpoint.URL, "api") + "token", ClientID: "cis", Audience: "https://api", Scope: "read:users read:jobs"}
	c, _ := open(t, cfg, ClientCredentials(creds, secret))
	if _, err := get(t.Context(), c, Request{}); err != nil {
		t.Error(err)
	}
}

// TestTokenCancelled does not wait for somebody else who waits for a token.
func TestTokenCancelled(t *testing.T) {
	asked := make(chan bool)
	i := &issuer{}
	cfg := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server watches who has nothing more to say
		asked <- true
		<-r.Context().Done()
	})
	a := ClientCredentials(Credentials{TokenURL: cfg.URL, ClientID: "cis"}, secret)
	c, _ := open(t, serve(t, i.ServeHTTP), a)
	first, cancelFirst := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := c.Do(first, Request{}); done <- err }()
	<-asked
	second, cancelSecond := context.WithCancel(t.Context())
	cancelSecond()
	if _, err := c.Do(second, Request{}); err != context.Canceled {
		t.Errorf("the second: %v", err)
	}
	if a.forget(second, "") {
		t.Error("forgot though it is not its turn")
	}
	cancelFirst()
	if err := <-done; err != context.Canceled {
		t.Errorf("the first: %v", err)
	}
}
