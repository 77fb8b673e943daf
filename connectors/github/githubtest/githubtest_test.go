package githubtest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A witness is a test that may fail: it keeps what failed it.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func start(t *testing.T) (*Server, *witness, *http.Client) {
	t.Helper()
	w := &witness{TB: t}
	s := New(w, Example(), nil)
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return s, w, &http.Client{Transport: transport}
}

// ask asks with the example's token, and some headers.
func ask(t *testing.T, c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+PersonalToken)
	req.Header.Set("Accept", "application/vnd.github+json")
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		req.Header.Set(key, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// What GitHub does not describe fails the test, whichever side it is on.
func TestViolations(t *testing.T) {
	s, w, c := start(t)
	for name, q := range map[string]struct {
		method, path, body string
		headers            []string
		want               string // "" is no violation
	}{
		"good":               {"GET", "orgs/acme/members?role=admin&per_page=2", "", nil, ""},
		"unknown path":       {"GET", "orgs/acme/people", "", nil, "the request is not one"},
		"method":             {"DELETE", "orgs/acme/members", "", nil, "the request is not one"},
		"unknown parameter":  {"GET", "orgs/acme/members?rol=admin", "", nil, "no parameter is named rol"},
		"odd parameter":      {"GET", "orgs/acme/members?role=owner", "", nil, "role"},
		"no number":          {"GET", "orgs/acme/members?page=last", "", nil, "page"},
		"id that is none":    {"GET", "user/ada", "", nil, "account_id"},
		"another type":       {"GET", "orgs/acme", "", []string{"Accept: text/html"}, "Accept"},
		"odd body":           {"POST", "app/installations/301/access_tokens", `{"permissions":{"members":"all"}}`, []string{"Content-Type: application/json"}, "the request is not one"},
		"untyped body":       {"POST", "app/installations/301/access_tokens", `{}`, nil, "not said to be JSON"},
		"unknown by its id":  {"GET", "organizations/7/members", "", nil, "no such organisation"},
		"a team by its id":   {"GET", "organizations/101/team/203/members", "", nil, ""},
		"no team by that id": {"GET", "organizations/101/team/7/members", "", nil, "no such team"},
	} {
		w.said = nil
		ask(t, c, q.method, s.URL+q.path, q.body, q.headers...)
		if said := strings.Join(w.said, "\n"); q.want == "" && said != "" || !strings.Contains(said, q.want) {
			t.Errorf("%s: %q, want %q", name, said, q.want)
		}
	}
	w.said = nil
	ask(t, c, "GET", strings.TrimSuffix(s.URL, "api/v3/")+"orgs/acme", "")
	if len(w.said) != 1 || !strings.Contains(w.said[0], "not below /api/v3") {
		t.Errorf("not where the API is: %q", w.said)
	}
	w.said = nil
	s.Change(func(w *World) { w.User(11).Email = "a@b" }) // no such address can be told
	ask(t, c, "GET", s.URL+"user/11", "")
	s.Change(func(w *World) { w.Organization("acme").Members[12] = "billing" })
	ask(t, c, "GET", s.URL+"orgs/acme/memberships/bob", "")
	if len(w.said) != 1 || !strings.Contains(w.said[0], "the answer is not one") {
		t.Errorf("an answer that is none: %q", w.said)
	}
}

// Everything that the server can say is as GitHub describes it.
func TestAnswers(t *testing.T) {
	s, w, c := start(t)
	for path, want := range map[string]int{
		"orgs/acme": 200, "orgs/ACME": 200, "orgs/none": 404,
		"orgs/acme/members": 200, "orgs/acme/outside_collaborators": 200, "orgs/acme/teams": 200,
		"orgs/acme/teams/on-call/members": 200, "orgs/acme/teams/none/members": 404,
		"orgs/acme/teams/engineering/memberships/Cyd-X": 200, "orgs/acme/teams/engineering/memberships/sync-bot": 404,
		"orgs/acme/teams/engineering/memberships/dana": 404, "orgs/acme/memberships/ada": 200, "orgs/acme/memberships/eve": 200,
		"orgs/acme/memberships/dana": 404, "user/memberships/orgs/acme": 200, "user/11": 200, "user/12": 200, "user/99": 404,
		"orgs/acme/installation": 401,
	} {
		if resp, body := ask(t, c, "GET", s.URL+path, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d: %s", path, resp.StatusCode, want, body)
		}
	}
	s.Throttle(1, time.Minute)
	if resp, _ := ask(t, c, "GET", s.URL+"orgs/acme", ""); resp.StatusCode != 403 || resp.Header.Get("Retry-After") != "60" {
		t.Errorf("throttled: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, c, "GET", s.URL+"orgs/acme", "", "Authorization: Bearer none"); resp.StatusCode != 401 {
		t.Errorf("nobody: %d", resp.StatusCode)
	}
	if len(w.said) != 0 {
		t.Error(w.said)
	}
}

// TestVisibility holds what is hidden from whom.
func TestVisibility(t *testing.T) {
	s, w, c := start(t)
	count := func(path string) int {
		resp, body := ask(t, c, "GET", s.URL+path, "")
		if resp.StatusCode != 200 {
			return -resp.StatusCode
		}
		var list []any
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for role, want := range map[string][3]int{"admin": {4, 5, 1}, "member": {4, 4, -403}, "": {1, -403, -403}} {
		s.Change(func(w *World) {
			w.Organization("acme").Members[1] = role
			if role == "" {
				delete(w.Organization("acme").Members, 1)
			}
		})
		got := [3]int{count("orgs/acme/members"), count("orgs/acme/teams"), count("orgs/acme/outside_collaborators")}
		if got != want {
			t.Errorf("role %q sees %v, want %v", role, got, want)
		}
	}
	if len(w.said) != 0 {
		t.Error(w.said)
	}
}

// TestValidators holds what costs and what does not.
func TestValidators(t *testing.T) {
	s, w, c := start(t)
	s.Change(func(w *World) { w.Tokens["other"] = &Token{User: 1} })
	s.SetRemaining(10)
	at := s.URL + "orgs/acme/members?per_page=4"
	first, _ := ask(t, c, "GET", at, "")
	etag := "If-None-Match: " + first.Header.Get("ETag")
	again, body := ask(t, c, "GET", at, "", etag)
	if again.StatusCode != 304 || body != "" || again.Header.Get("X-RateLimit-Remaining") != "9" {
		t.Errorf("unchanged: %d, %s remaining", again.StatusCode, again.Header.Get("X-RateLimit-Remaining"))
	}
	// The page is what it was, and no longer the last.
	s.Change(func(w *World) { w.Organization("acme").Members[15] = "member" })
	if resp, _ := ask(t, c, "GET", at, "", etag); resp.StatusCode != 304 || resp.Header.Get("Link") != "" {
		t.Errorf("one more on another page: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, c, "GET", at, "", etag, "Authorization: Bearer other"); resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Link"), `organizations/101/members?page=2&per_page=4>; rel="next"`) {
		t.Errorf("with another token: %d, %s", resp.StatusCode, resp.Header.Get("Link"))
	}
	s.Change(func(w *World) { w.User(11).Login = "ada-l" })
	if resp, _ := ask(t, c, "GET", at, "", etag); resp.StatusCode != 200 {
		t.Errorf("changed: %d", resp.StatusCode)
	}
	if got := s.Counts(); got != (Counts{Requests: 5, Unchanged: 2, Charged: 3}) {
		t.Errorf("%+v", got)
	}
	s.SetRemaining(0)
	if resp, _ := ask(t, c, "GET", at, "", etag); resp.StatusCode != 403 || resp.Header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("exhausted: %d", resp.StatusCode)
	}
	if len(w.said) != 0 {
		t.Error(w.said)
	}
}
