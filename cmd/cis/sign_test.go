package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

const adaJSON = `{
	"uuid": {"value": "ada00000-0000-4000-8000-000000000001"},
	"first_name": {"value": "Zo\u00eb \"Ada\" <\u2028>", "metadata": {"created": "2026-03-02T08:00:00Z"}},
	"staff_information": {"staff": {"value": true}, "title": {"value": ""}},
	"access_information": {"hris": {"values": {"b": "", "a": null}}}
}`

// A publication is a key, and what cis signed with it.
type publication struct {
	dir      string
	key      any
	profile  []byte
	keys     []byte
	keysFile string
}

func publish(t *testing.T, key any) publication {
	t.Helper()
	p := publication{dir: t.TempDir(), key: key}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) string {
		name = filepath.Join(p.dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	private := put("hris.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	here := put("ada.json", []byte(adaJSON))
	cis := func(args ...string) []byte {
		t.Helper()
		code, stdout, stderr := try(t.Context(), args...)
		if code != exitDone || stderr != "" {
			t.Fatalf("cis %s ended with %d: %s", args[0], code, stderr)
		}
		return []byte(stdout)
	}
	p.keys = cis("sign", "--publisher", "hris", "--key", private, "--public")
	p.keysFile = put("keys.json", p.keys)
	p.profile = cis("sign", here, "--publisher", "hris", "--key", private)
	return p
}

// testKeys are a key of each kind, made once.
var testKeys = sync.OnceValue(func() map[string]any {
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]any{"RSA": rs, "Ed25519": ed}
})

// What cis signs, another Go library verifies with the keys as cis prints them.
func TestSignedVerifiesWithAnotherLibrary(t *testing.T) {
	for name, key := range testKeys() {
		t.Run(name, func(t *testing.T) {
			pub := publish(t, key)
			var sets map[string]json.RawMessage
			if err := json.Unmarshal(pub.keys, &sets); err != nil {
				t.Fatal(err)
			}
			set, err := jwk.Parse(sets["hris"])
			if err != nil {
				t.Fatal(err)
			}
			p, err := people.ParseProfile(pub.profile)
			if err != nil {
				t.Fatal(err)
			}
			verified := 0
			for _, n := range p.Attributes {
				if n.Path == people.UUID {
					continue
				}
				payload, err := jws.Verify([]byte(n.Signature.Publisher.Value), jws.WithKeySet(set))
				if err != nil {
					t.Fatalf("%s: %v", n.Path, err)
				}
				var got, want any
				if err := errors.Join(json.Unmarshal(payload, &got), json.Unmarshal(n.AppendJSON(nil, false), &want)); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: the payload is not the attribute:\n%s", n.Path, diff)
				}
				verified++
			}
			if verified != 4 {
				t.Errorf("%d signatures verified, want 4", verified)
			}
		})
	}
}

// A library of another language verifies it too, and refuses it once it was
// tampered with.
func TestSignedVerifiesInAnotherLanguage(t *testing.T) {
	missing := func(what string) {
		if os.Getenv("CIS_REQUIRE_ALL") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed")
	}
	jose := os.Getenv("CIS_JOSE")
	if jose == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		jose = filepath.Join(cache, "cis", "jose")
	}
	if _, err := os.Stat(filepath.Join(jose, "node_modules", "jose")); errors.Is(err, fs.ErrNotExist) {
		missing("the npm package jose is not installed in " + jose)
	}
	for name, key := range testKeys() {
		t.Run(name, func(t *testing.T) {
			pub := publish(t, key)
			spoilt := bytes.Replace(pub.profile, []byte(`"value":true`), []byte(`"value":false`), 1)
			in := fmt.Sprintf(`{"keys": %s, "profiles": [%s, %s]}`, pub.keys, pub.profile, spoilt)
			cmd := exec.CommandContext(t.Context(), node, filepath.Join("..", "..", "transforms", "sign", "testdata", "verify.mjs"), jose)
			cmd.Stdin = strings.NewReader(in)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Verified int
				Refused  []string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if got.Verified != 7 || len(got.Refused) != 1 || !strings.HasPrefix(got.Refused[0], "1: staff_information.staff: ") {
				t.Errorf("verified %d of 7, refused %q", got.Verified, got.Refused)
			}
		})
	}
}

// What another library signs, in its own order of keys and with its own
// escapes, cis verifies, bound or not; and refuses once it was tampered with.
func TestVerifiesWhatAnotherLibrarySigned(t *testing.T) {
	const payload = `{ "value": "Ad\u0061", "metadata": {"verified":true, "display":"staff", "classification":"PUBLIC",
		"last_modified":"2026-03-02T09:00:00.000000+01:00", "created":"2026-03-02T08:00:00Z"} }`
	const profile = `{"uuid": {"value": "ada00000-0000-4000-8000-000000000001"}, "first_name": {"value": "Ada",
		"metadata": {"classification": "PUBLIC", "display": "staff", "verified": true, "created": "2026-03-02T08:00:00.000Z", "last_modified": "2026-03-02T08:00:00.000Z"},
		"signature": {"publisher": {"alg": %q, "typ": "JWS", "name": "hris", "value": %q}, "additional": []}}}`
	for name, key := range testKeys() {
		t.Run(name, func(t *testing.T) {
			pub := publish(t, key)
			alg, mark := jwa.RS256(), "RS256"
			if name == "Ed25519" {
				alg, mark = jwa.EdDSA(), "ED25519"
			}
			verify := func(profile string, more ...string) (int, string) {
				t.Helper()
				name := filepath.Join(pub.dir, "theirs.json")
				if err := os.WriteFile(name, []byte(profile), 0o600); err != nil {
					t.Fatal(err)
				}
				code, stdout, _ := try(t.Context(), append([]string{"verify", name, "--keys", pub.keysFile}, more...)...)
				return code, stdout
			}
			for _, bound := range []bool{false, true} {
				headers := jws.NewHeaders()
				if bound {
					if err := errors.Join(headers.Set("sub", "ada00000-0000-4000-8000-000000000001"), headers.Set("attr", "first_name")); err != nil {
						t.Fatal(err)
					}
				}
				signed, err := jws.Sign([]byte(payload), jws.WithKey(alg, key, jws.WithProtectedHeaders(headers)))
				if err != nil {
					t.Fatal(err)
				}
				theirs := fmt.Sprintf(profile, mark, signed)
				if code, out := verify(theirs); code != exitDone {
					t.Errorf("bound %v: ended with %d: %s", bound, code, out)
				}
				if code, out := verify(theirs, "--require-binding"); (code == exitDone) != bound {
					t.Errorf("bound %v, and that is required: ended with %d: %s", bound, code, out)
				}
				for what, spoilt := range map[string]string{
					"value":    strings.Replace(theirs, `"Ada"`, `"Eve"`, 1),
					"verified": strings.Replace(theirs, `"verified": true`, `"verified": false`, 1),
					"header":   strings.Replace(theirs, `"value": "eyJ`, `"value": "eyK`, 1),
				} {
					if code, out := verify(spoilt); code != exitFailed || !strings.Contains(out, "first_name") {
						t.Errorf("bound %v, another %s: ended with %d: %s", bound, what, code, out)
					}
				}
			}
		})
	}
}

// What cis signs is valid under the served schema.
func TestSignedIsValidUnderTheSchema(t *testing.T) {
	c := catalogue.Default()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("profile.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("profile.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range testKeys() {
		part, err := people.ParseProfile(publish(t, key).profile)
		if err != nil {
			t.Fatal(err)
		}
		whole := c.NullProfile()
		whole.Schema = part.Schema
		for _, n := range part.Attributes {
			whole.Set(n.Path, n.Attribute)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(whole.AppendJSON(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Published keys are read over TLS, from one host, and not too much of them.
func TestVerifyReadsPublishedKeys(t *testing.T) {
	pub := publish(t, testKeys()["Ed25519"])
	signed := filepath.Join(pub.dir, "signed.json")
	if err := os.WriteFile(signed, pub.profile, 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(pub.keys) }))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { w.Write(pub.keys) })
	mux.HandleFunc("/well-known", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"api": {"publishers_jwks": %s}}`, pub.keys)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/keys", http.StatusFound)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Write(append(bytes.Repeat([]byte(" "), maxKeys), pub.keys...))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(pub.keys)))
		w.Write(pub.keys[:len(pub.keys)-4])
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>hello</html>")) })
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	roots := filepath.Join(pub.dir, "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, roots string
		code        int
		stderr      string
	}{
		{"/keys", roots, exitDone, ""},
		{"/well-known", roots, exitDone, ""},
		{"/moved", roots, exitDone, ""},
		{"/elsewhere", roots, exitFailed, "another host"},
		{"/large", roots, exitFailed, "1048576 bytes"},
		{"/cut", roots, exitFailed, "cis: --keys: "},
		{"/page", roots, exitFailed, "read keys"},
		{"/none?token=secret", roots, exitFailed, "status 404"},
		{"/keys", os.DevNull, exitFailed, "certificate"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			// A process of its own, because the roots are read once in each.
			cmd := exec.CommandContext(t.Context(), "cis", "verify", signed, "--keys", server.URL+tc.path)
			cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+tc.roots, "SSL_CERT_DIR="+pub.dir)
			if tc.roots == os.DevNull {
				cmd.Env = append(cmd.Env, "SSL_CERT_DIR="+t.TempDir())
			}
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("ended with %d, want %d: %s%s", code, tc.code, stdout.String(), stderr.String())
			}
			if strings.Contains(stderr.String(), "secret") || strings.Contains(stderr.String(), server.URL) {
				t.Errorf("the error repeats the URL: %s", stderr.String())
			}
		})
	}
}

// However a list of profiles is written, each is found, in order and alone.
func TestReadProfiles(t *testing.T) {
	type found struct{ Place, Raw string }
	for _, tc := range []struct {
		name, in string
		want     []found
		err      string
	}{
		{"one", `{"a":1}`, []found{{"", `{"a":1}`}}, ""},
		{"one over lines", "\n{\n\"a\":\n1}\n", []found{{"", "{\n\"a\":\n1}\n"}}, ""},
		{"one whose lines are objects", "{\"a\":{}\n,\"b\":{}}", []found{{"", "{\"a\":{}\n,\"b\":{}}\n"}}, ""},
		{"one a line", "{\"a\":1}\n\n {\"b\":2} \r\n{\"c\"\n", []found{{"line 1", `{"a":1}`}, {"line 3", `{"b":2}`}, {"line 4", `{"c"`}}, ""},
		{"the first broken", "{\"a\":}\n{\"b\":2}", []found{{"line 1", `{"a":}`}, {"line 2", `{"b":2}`}}, ""},
		{"an array", `[{"a":1}, 5]`, []found{{"item 1", `{"a":1}`}, {"item 2", "5"}}, ""},
		{"an array over lines", "[\n{\"a\":1}\n,\n{}]", []found{{"item 1", `{"a":1}`}, {"item 2", "{}"}}, ""},
		{"a page", `{"Items":[{"a":1}],"nextPage":{"id":"x"}}`, []found{{"item 1", `{"a":1}`}}, ""},
		{"pages", "{\"Items\":[{\"a\":1}]}\n{\"Items\":[{},{}]}", []found{{"line 1 item 1", `{"a":1}`}, {"line 2 item 1", "{}"}, {"line 2 item 2", "{}"}}, ""},
		{"a broken array", `[{"a":1}`, []found{{"", `[{"a":1}`}}, ""},
		{"text", "hello", []found{{"", "hello"}}, ""},
		{"nothing", " \n\n", nil, "there is no profile in it"},
		{"an empty array", "[]", nil, "there is no profile in it"},
		{"a line too long", "{\"a\":1}\n{\"b\":\"" + strings.Repeat("x", maxLine) + "\"}", nil, "line 2: longer than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []found
			err := readProfiles(strings.NewReader(tc.in), func(place string, raw []byte) error {
				got = append(got, found{place, string(raw)})
				return nil
			})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err)) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReadProfiles(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"b\":2}"))
	f.Add([]byte("[\n{\"a\":1}\n,{}]"))
	f.Add([]byte(`{"Items":[{"a":1}],"nextPage":null}`))
	f.Add([]byte("{\n}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		places := map[string]bool{}
		err := readProfiles(bytes.NewReader(in), func(place string, raw []byte) error {
			if places[place] || len(raw) == 0 {
				t.Errorf("place %q twice, or of nothing", place)
			}
			places[place] = true
			return nil
		})
		if (err == nil) != (len(places) > 0) {
			t.Errorf("%d profiles, and %v", len(places), err)
		}
	})
}
