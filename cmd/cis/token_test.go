package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/cis/api/auth"
	"example.org/cis/api/auth/issuer"
)

const tokenSecret = "tr0ub4dor"

// TestToken asks for tokens as a user does, and verifies them as the service
// does. No message has the secret in it.
func TestToken(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	dev, err := issuer.New(issuer.Options{URL: at, Audience: "cis-dev", Clients: []issuer.Client{{ID: "dev", Secret: tokenSecret, Scopes: []string{"read:fullprofile", "display:all"}}}})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = dev
	server.Start()
	t.Cleanup(server.Close)
	service, err := auth.Open(auth.Options{Audience: "cis-dev", Issuers: []auth.Issuer{{Issuer: at}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })

	config := filepath.Join(t.TempDir(), "cis.yaml")
	cis := func(args ...string) (code int, stdout, stderr string) {
		var out, err bytes.Buffer
		code = run(t.Context(), append(args, "--config", config), strings.NewReader(""), &out, &err, []string{"RIGHT=" + tokenSecret, "WRONG=another"})
		if strings.Contains(err.String(), tokenSecret) {
			t.Errorf("cis %v says the secret: %s", args, &err)
		}
		return code, out.String(), err.String()
	}
	if code, _, stderr := cis("token"); code != exitUsage || !strings.Contains(stderr, "`cis serve --dev` must be running in this folder, or --config must name its cis.yaml") {
		t.Errorf("without a server: %d %s", code, stderr)
	}
	p := &program{everywhere: everywhere{Config: config}}
	if err := os.WriteFile(p.devPath(), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := devServer{Issuer: at, Audience: "cis-dev", ClientID: "dev", Secret: tokenSecret}
	if err := p.writeDev(want); err != nil {
		t.Fatal(err)
	}
	if got, err := p.readDev(); err != nil || got != want {
		t.Errorf("read %v, %v", got, err)
	}
	if info, err := os.Stat(p.devPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the file: %v, %v", info.Mode(), err)
	}

	scopes := func(token, want string) {
		t.Helper()
		caller, err := service.Authenticate(t.Context(), strings.TrimSuffix(token, "\n"))
		if err != nil || strings.Join(caller.Scopes, " ") != want || caller.Subject != "dev@clients" {
			t.Errorf("the token is for %+v, %v; want scopes %s", caller, err, want)
		}
	}
	code, stdout, stderr := cis("token")
	if code != exitDone || stderr != "" {
		t.Fatalf("%d %s", code, stderr)
	}
	scopes(stdout, "display:all read:fullprofile")
	_, stdout, _ = cis("token", "--scope", "display:all")
	scopes(stdout, "display:all")
	_, stdout, _ = cis("token", "--scope", "display:all", "--scope", "read:fullprofile")
	scopes(stdout, "display:all read:fullprofile")

	_, stdout, _ = cis("token", "--json", "--from", at+"/", "--client-id", "dev", "--secret", "env:RIGHT", "--audience", "cis-dev")
	var answer struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string `json:"scope"`
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || answer.Type != "Bearer" || answer.Expires != 3600 || answer.Scope != "display:all read:fullprofile" {
		t.Errorf("with --json: %s", stdout)
	}
	scopes(answer.Token, "display:all read:fullprofile")

	file := filepath.Join(filepath.Dir(config), "writer.gz")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := cis("token", "--scope", "display:all", "-o", file); code != exitDone || stdout != "The token is in "+file+", which you alone may read.\n" {
		t.Errorf("with -o: %d %s %s", code, stdout, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the token: %v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scopes(string(b), "display:all")

	for _, c := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"another secret", "--secret env:WRONG", exitFailed, "status 401: the client is not known, or its secret is another"},
		{"another client", "--client-id somebody", exitFailed, "status 401"},
		{"another audience", "--audience other", exitFailed, "status 403"},
		{"a scope too much", "--scope write", exitFailed, "status 400: the client may not have one of the scopes"},
		{"no such variable", "--secret env:NONE", exitUsage, "the variable NONE is not set"},
		{"no such scope", "--scope nonsense", exitUsage, "cis: unknown scope nonsense: there are read:fullprofile, write, classification:public, "},
		{"a scope of another service", "--scope nonsense --audience cis-dev --from " + at + " --client-id dev --secret env:RIGHT", exitFailed, "status 400: the client may not have one of the scopes"},
		{"a secret on the command line", "--secret " + tokenSecret, exitUsage, "cis: --secret: this is not a reference to a secret: put it in a file and say file:PATH"},
		{"a secret as the name of a variable", "--secret env:-" + tokenSecret, exitUsage, "cis: --secret: what follows env: is not the name of a variable"},
		{"another issuer without a client", "--from " + at, exitUsage, "--from needs --client-id and --secret"},
		{"an issuer that all can listen to", "--from http://issuer.example.org --client-id dev --secret env:RIGHT", exitUsage, "https"},
		{"no issuer", "--from " + at + "/elsewhere --client-id dev --secret env:RIGHT", exitFailed, "find the token endpoint: status 404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := cis(append([]string{"token"}, strings.Fields(c.args)...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("ends with %d, prints %q and says %q", code, stdout, stderr)
			}
		})
	}

	server.Close()
	if code, _, stderr := cis("token"); code != exitUsage || !strings.Contains(stderr, "cis serve --dev is not running any more (") || !strings.Contains(stderr, "cis-dev.json is left from it): start it again") {
		t.Errorf("after the server: %d %s", code, stderr)
	}
}

// TestTokenOfHostileIssuer never sends the secret on, and repeats nothing that
// the issuer says.
func TestTokenOfHostileIssuer(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent to %s", r.URL) }))
	t.Cleanup(elsewhere.Close)
	for _, c := range []struct {
		name     string
		issuer   string // that the metadata names
		endpoint string
		answer   func(http.ResponseWriter)
		says     string
	}{
		{"its metadata is of another", elsewhere.URL, "/t", nil, "another issuer"},
		{"its endpoint is open to all", "", "http://issuer.example.org/t", nil, "no token endpoint with https"},
		{"its endpoint leads away", "", "/t", func(w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "status 307"},
		{"its error is the secret", "", "/t", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"`+tokenSecret+`","error_description":"`+tokenSecret+`"}`)
		}, "status 400"},
		{"its token has two lines", "", "/t", func(w http.ResponseWriter) { io.WriteString(w, `{"access_token":"a\nb"}`) }, "holds no token"},
		{"its answer is no JSON", "", "/t", func(w http.ResponseWriter) { io.WriteString(w, tokenSecret) }, "holds no token"},
		{"its answer never ends", "", "/t", func(w http.ResponseWriter) { w.Write(make([]byte, maxAnswer+1)) }, "over 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			at := "http://" + server.Listener.Addr().String()
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/t" {
					c.answer(w)
					return
				}
				is, endpoint := at, c.endpoint
				if c.issuer != "" {
					is = c.issuer
				}
				if strings.HasPrefix(endpoint, "/") {
					endpoint = at + endpoint
				}
				json.NewEncoder(w).Encode(map[string]string{"issuer": is, "token_endpoint": endpoint})
			})
			server.Start()
			t.Cleanup(server.Close)
			var out, stderr bytes.Buffer
			code := run(t.Context(), []string{"token", "--from", at, "--client-id", "x", "--secret", "env:S"}, strings.NewReader(""), &out, &stderr, []string{"S=" + tokenSecret})
			if code != exitFailed || out.Len() > 0 || !strings.Contains(stderr.String(), c.says) || strings.Contains(stderr.String(), tokenSecret) {
				t.Errorf("ends with %d, prints %q and says %q", code, &out, &stderr)
			}
		})
	}
}
