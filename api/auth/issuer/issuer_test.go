package issuer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"go.uber.org/goleak"

	"example.org/cis/api/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	at       = "http://127.0.0.1:8099"
	audience = "cis-dev"
	secret   = "tr0ub4dor & 3+%2b"
	asForm   = "application/x-www-form-urlencoded"
	asJSON   = "application/json"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, url string) *Issuer {
	i, err := New(Options{URL: url, Audience: audience, Now: func() time.Time { return noon }, Clients: []Client{
		{ID: "dev", Secret: secret, Scopes: []string{"write", "read:all"}},
		{ID: "bare:1", Secret: "another"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ask sends a request for a token.
func ask(i *Issuer, contentType, body string, basic ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, at+"/oauth/token", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if len(basic) == 2 {
		r.SetBasicAuth(basic[0], basic[1])
	} else if len(basic) == 1 {
		r.Header.Set("Authorization", basic[0])
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w
}

func form(changes map[string]string) string {
	f := url.Values{}
	for name, v := range fields(changes) {
		f.Set(name, v)
	}
	return f.Encode()
}

func inJSON(changes map[string]string) string {
	b, err := json.Marshal(fields(changes))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fields are those of a good request with changes; "-" takes one out.
func fields(changes map[string]string) map[string]string {
	f := map[string]string{"grant_type": "client_credentials", "client_id": "dev", "client_secret": secret, "audience": audience}
	maps.Copy(f, changes)
	maps.DeleteFunc(f, func(_, v string) bool { return v == "-" })
	return f
}

func TestToken(t *testing.T) {
	i := open(t, at)
	header := map[string]string{"client_id": "-", "client_secret": "-"}
	for _, c := range []struct {
		name, contentType, body string
		basic                   []string
		subject, scope          string
	}{
		{"a form", asForm, form(nil), nil, "dev@clients", "read:all write"},
		{"a form with its charset", asForm + "; charset=utf-8", form(nil), nil, "dev@clients", "read:all write"},
		{"JSON", asJSON, inJSON(nil), nil, "dev@clients", "read:all write"},
		{"the header", asForm, form(header), []string{"dev", url.QueryEscape(secret)}, "dev@clients", "read:all write"},
		{"the header and the id", asForm, form(map[string]string{"client_secret": "-"}), []string{"dev", url.QueryEscape(secret)}, "dev@clients", "read:all write"},
		{"the header and JSON", asJSON, inJSON(header), []string{url.QueryEscape("bare:1"), "another"}, "bare:1@clients", ""},
		{"one scope", asForm, form(map[string]string{"scope": "write"}), nil, "dev@clients", "write"},
		{"scopes in disorder", asJSON, inJSON(map[string]string{"scope": " write  read:all write"}), nil, "dev@clients", "read:all write"},
		{"more than is needed", asJSON, strings.TrimSuffix(inJSON(nil), "}") + `,"more":[1]}`, nil, "dev@clients", "read:all write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(i, c.contentType, c.body, c.basic...)
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			scope, _ := got["scope"].(string)
			if got["token_type"] != "Bearer" || got["expires_in"] != 3600. || scope != c.scope || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s", w.Body)
			}
			// Another library verifies it, with the keys as they are published.
			token, err := jwt.Parse([]byte(got["access_token"].(string)), jwt.WithKeySet(published(t, i)), jwt.WithClock(jwt.ClockFunc(func() time.Time { return noon })), jwt.WithIssuer(at), jwt.WithAudience(audience))
			if err != nil {
				t.Fatal(err)
			}
			subject, _ := token.Subject()
			expires, _ := token.Expiration()
			scope = ""
			if token.Has("scope") {
				err = token.Get("scope", &scope)
			}
			if err != nil || subject != c.subject || !expires.Equal(noon.Add(time.Hour)) || scope != c.scope {
				t.Errorf("the token is for %s until %v with %q, %v", subject, expires, scope, err)
			}
		})
	}
}

func published(t *testing.T, i *Issuer) jwk.Set {
	w := httptest.NewRecorder()
	i.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at+"/.well-known/jwks.json", nil))
	set, err := jwk.Parse(w.Body.Bytes())
	if err != nil || set.Len() != 1 || strings.Contains(w.Body.String(), `"d"`) {
		t.Fatalf("the keys are %s, %v", w.Body, err)
	}
	return set
}

func TestRefusals(t *testing.T) {
	i := open(t, at)
	with := func(name, value string) string { return form(map[string]string{name: value}) }
	for _, c := range []struct {
		name, contentType, body string
		basic                   []string
		status                  int
		code                    string
	}{
		{"another secret", asForm, with("client_secret", "x"), nil, 401, "invalid_client"},
		{"the secret of another", asForm, with("client_secret", "another"), nil, 401, "invalid_client"},
		{"a part of the secret", asForm, with("client_secret", secret[:4]), nil, 401, "invalid_client"},
		{"no secret", asForm, with("client_secret", "-"), nil, 401, "invalid_client"},
		{"nobody", asForm, with("client_id", "somebody"), nil, 401, "invalid_client"},
		{"nobody with nothing", asJSON, inJSON(map[string]string{"client_id": "", "client_secret": ""}), nil, 401, "invalid_client"},
		{"another secret in the header", asForm, form(map[string]string{"client_id": "-", "client_secret": "-"}), []string{"dev", "x"}, 401, "invalid_client"},
		{"a secret in both", asForm, form(nil), []string{"dev", secret}, 400, "invalid_request"},
		{"two clients", asForm, with("client_secret", "-"), []string{"bare:1", "another"}, 400, "invalid_request"},
		{"a token in the header", asForm, form(nil), []string{"Bearer abc"}, 400, "invalid_request"},

		{"another grant", asForm, with("grant_type", "password"), nil, 400, "unsupported_grant_type"},
		{"no grant", asForm, with("grant_type", "-"), nil, 400, "invalid_request"},
		{"another audience", asForm, with("audience", "other"), nil, 403, "access_denied"},
		{"no audience", asForm, with("audience", "-"), nil, 403, "access_denied"},
		{"a scope too much", asForm, with("scope", "write admin"), nil, 400, "invalid_scope"},
		{"a scope for who has none", asForm, form(map[string]string{"client_id": "bare:1", "client_secret": "another", "scope": "write"}), nil, 400, "invalid_scope"},

		{"nothing", asForm, "", nil, 401, "invalid_client"},
		{"no type", "", form(nil), nil, 400, "invalid_request"},
		{"another type", "text/plain", inJSON(nil), nil, 400, "invalid_request"},
		{"a field twice", asForm, form(nil) + "&scope=write&scope=admin", nil, 400, "invalid_request"},
		{"half a form", asForm, "grant_type=%", nil, 400, "invalid_request"},
		{"a form for JSON", asJSON, form(nil), nil, 400, "invalid_request"},
		{"a list", asJSON, "[]", nil, 400, "invalid_request"},
		{"a member twice", asJSON, strings.TrimSuffix(inJSON(nil), "}") + `,"audience":"x"}`, nil, 400, "invalid_request"},
		{"a number for text", asJSON, `{"client_id":1}`, nil, 400, "invalid_request"},
		{"too long", asForm, with("more", strings.Repeat("x", maxBody)), nil, 413, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(i, c.contentType, c.body, c.basic...)
			var got struct {
				Code        string `json:"error"`
				Description string `json:"error_description"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got.Code != c.code || got.Description == "" {
				t.Errorf("status %d: %s; want %d %s", w.Code, w.Body, c.status, c.code)
			}
			if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (c.status == 401) {
				t.Errorf("the header WWW-Authenticate is there: %v", challenged)
			}
		})
	}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, at+"/oauth/token?"+form(nil), nil),
		httptest.NewRequest(http.MethodPost, at+"/.well-known/jwks.json", nil),
		httptest.NewRequest(http.MethodGet, at+"/", nil),
	} {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "access_token") {
			t.Errorf("%s %s: status %d: %s", r.Method, r.URL.Path, w.Code, w.Body)
		}
	}
	// Fields in the URL do not count: they would stand in logs.
	r := httptest.NewRequest(http.MethodPost, at+"/oauth/token?"+form(nil), nil)
	r.Header.Set("Content-Type", asForm)
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("fields in the URL: status %d: %s", w.Code, w.Body)
	}
}

// TestDiscovered lets the service find the keys of an issuer below a path, and
// accept its tokens until they expire.
func TestDiscovered(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	where := "http://" + server.Listener.Addr().String() + "/dev/"
	i := open(t, where)
	server.Config.Handler = i
	server.Start()
	t.Cleanup(server.Close)
	now := noon
	v, err := auth.Open(auth.Options{Audience: audience, Issuers: []auth.Issuer{{Issuer: where}}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })

	resp, err := server.Client().Post(where+"oauth/token", asForm, strings.NewReader(form(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(time.Hour - 1)
	c, err := v.Authenticate(t.Context(), got.Token)
	if err != nil || c.Issuer != where || c.Subject != "dev@clients" || !c.Has("write") {
		t.Errorf("%+v, %v", c, err)
	}
	now = noon.Add(time.Hour)
	if _, err := v.Authenticate(t.Context(), got.Token); err == nil {
		t.Error("accepted after it expired")
	}
}

func TestNew(t *testing.T) {
	good := Options{URL: at, Audience: audience, Clients: []Client{{ID: "a", Secret: "s3cret"}}}
	for name, change := range map[string]func(*Options){
		"no URL":              func(o *Options) { o.URL = "" },
		"a URL for others":    func(o *Options) { o.URL = "http://192.0.2.1:8080" },
		"a URL with https":    func(o *Options) { o.URL = "https://127.0.0.1" },
		"a URL with password": func(o *Options) { o.URL = "http://u:s3cret@127.0.0.1" },
		"no audience":         func(o *Options) { o.Audience = "" },
		"a negative lifetime": func(o *Options) { o.Lifetime = -1 },
		"no id":               func(o *Options) { o.Clients = []Client{{Secret: "s3cret"}} },
		"no secret":           func(o *Options) { o.Clients = []Client{{ID: "a"}} },
		"one id twice":        func(o *Options) { o.Clients = append(o.Clients[:1:1], o.Clients[0]) },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, good); strings.Contains(s, "s3cret") {
			t.Errorf("printing options shows a secret: %s", s)
		}
	}
}

// FuzzToken asks with anything: nothing but the right id and secret gets a
// token, and every answer is JSON.
func FuzzToken(f *testing.F) {
	i := open(f, at)
	f.Add(asForm, form(nil), "")
	f.Add(asJSON, inJSON(nil), "")
	f.Add(asForm, "grant_type=client_credentials", "Basic "+base64.StdEncoding.EncodeToString([]byte("dev:"+url.QueryEscape(secret))))
	f.Add("multipart/form-data; boundary=x", "--x\r\n", "Bearer abc")
	f.Add(asJSON, `{"client_id":"dev","client_id":"dev"}`, "")
	f.Fuzz(func(t *testing.T, contentType, body, authorization string) {
		var basic []string
		if authorization != "" {
			basic = []string{authorization}
		}
		w := ask(i, contentType, body, basic...)
		b, err := io.ReadAll(w.Body)
		if err != nil || !json.Valid(b) {
			t.Fatalf("status %d: %q", w.Code, b)
		}
		if w.Code != http.StatusOK {
			return
		}
		if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType != asForm && mediaType != asJSON {
			t.Fatalf("a token for a body of type %q", contentType)
		}
		plain, _ := url.QueryUnescape(body)
		if !strings.Contains(body+plain+authorization, "dev") && !strings.ContainsAny(body, `%\`) && !strings.Contains(authorization, "ZGV2") {
			t.Fatalf("a token for nobody: %q", body)
		}
	})
}
