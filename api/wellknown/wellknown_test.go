package wellknown_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/api/wellknown"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

var update = flag.Bool("update", false, "write the golden files anew")

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func edKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(t *testing.T, kid string, k crypto.Signer) sign.Key {
	t.Helper()
	key, err := sign.NewKey(kid, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signer(t *testing.T, kid string, k crypto.Signer) sign.Signer {
	t.Helper()
	s, err := sign.NewSigner(kid, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A desk is the documents over keys that can change and fail.
type desk struct {
	t      *testing.T
	routes []api.Route
	keys   sign.Keys
	err    error
	signer sign.Signer
	reads  int
	// described is whether the paths are those of the description.
	described bool
	now       time.Time
	log       bytes.Buffer
}

func open(t *testing.T, change ...func(*wellknown.Options)) *desk {
	t.Helper()
	d := &desk{t: t, described: true, now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
	d.keys = sign.Keys{
		people.CIS:       {public(t, "cis-1", rsaKey())},
		people.LDAP:      {public(t, "ldap-ed", edKey(1)), public(t, "ldap-rsa", rsaKey())},
		people.Directory: {public(t, "theirs", edKey(2))},
	}
	d.signer = signer(t, "cis-1", rsaKey())
	o := wellknown.Options{
		URL: "https://cis.example.org/", OIDC: "https://auth.example.org/.well-known/openid-configuration", Audience: "api.example.org",
		AccessFile: []byte(`{"endpoint":"https://cdn.example.org/apps.yml","aai_mapping":{"LOW":["A"]},"z":1.50}`),
		Scopes:     []string{"read:fullprofile", "write", "display:none"}, Catalogue: catalogue.Default(),
		Keys: func(context.Context) (sign.Keys, error) {
			d.reads++
			return d.keys, d.err
		},
		Signer: func(context.Context) (sign.Signer, error) { return d.signer, nil },
		Now:    func() time.Time { return d.now }, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	routes, err := wellknown.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.routes = routes
	return d
}

// try asks for a document; of an error the answer has the status and the words.
func (d *desk) try(path string, header ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	i := slices.IndexFunc(d.routes, func(r api.Route) bool { return r.Path == path })
	if i < 0 {
		d.t.Fatalf("no route %s", path)
	}
	r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if err := d.routes[i].Serve(w, r); err != nil {
		e := api.ErrorOf(err)
		w = httptest.NewRecorder()
		if err := api.JSON(w, e.Status, map[string]string{"code": e.Code, "description": e.Description}); err != nil {
			d.t.Fatal(err)
		}
	}
	if d.described {
		apitest.Conforms(d.t, r, w)
	}
	return w
}

func (d *desk) get(path string) []byte {
	d.t.Helper()
	w := d.try(path)
	if w.Code != 200 {
		d.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func TestDocument(t *testing.T) {
	d := open(t)
	got := d.get(wellknown.Path)
	// The RSA key is another one each time.
	n := base64.RawURLEncoding.EncodeToString(rsaKey().N.Bytes())
	shown := bytes.ReplaceAll(got, []byte(n), []byte("(n of the key)"))
	golden := filepath.Join("testdata", "mozilla-iam.golden")
	if *update {
		if err := os.WriteFile(golden, shown, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown, want) {
		t.Errorf("got\n%s", shown)
	}
	if again := open(t).get(wellknown.Path); !bytes.Equal(got, again) {
		t.Error("two services with the same keys serve different bytes")
	}
	// What is read out of it is what was put into it.
	keys, skipped, err := sign.ParseKeys(got)
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	if keys[people.LDAP][0].ID() != "ldap-rsa" || keys[people.LDAP][1].ID() != "ldap-ed" || keys[people.Directory][0].ID() != "theirs" || len(keys) != 3 {
		t.Errorf("keys %v", keys)
	}
	var doc struct {
		Access json.RawMessage `json:"access_file"`
	}
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	var flat bytes.Buffer
	if err := json.Compact(&flat, doc.Access); err != nil {
		t.Fatal(err)
	}
	if flat.String() != `{"endpoint":"https://cdn.example.org/apps.yml","aai_mapping":{"LOW":["A"]},"z":1.50}` {
		t.Errorf("the access file became %s", &flat)
	}
}

func TestEveryDocument(t *testing.T) {
	d := open(t)
	for path, contentType := range map[string]string{
		wellknown.Path: "application/json", wellknown.Path + ".asc": "application/jose", wellknown.Schema: "application/json",
		wellknown.Rules: "application/json", wellknown.Null: "application/json", wellknown.OpenAPI: "application/yaml",
	} {
		w := d.try(path)
		h := w.Header()
		tag := h.Get("ETag")
		if w.Code != 200 || h.Get("Content-Type") != contentType || h.Get("Cache-Control") != "public, max-age=900" || !strings.HasPrefix(tag, `W/"`) || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		for _, has := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
			if w := d.try(path, "If-None-Match", has); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, has, w.Code)
			}
		}
		if w := d.try(path, "If-None-Match", `"x"`); w.Code != 200 {
			t.Errorf("%s with another tag: %d", path, w.Code)
		}
	}
	for _, r := range d.routes {
		if !r.Open || !r.Cross || r.Method != "GET" {
			t.Errorf("%s is not open to every page", r.Path)
		}
	}
}

func TestSchemaOfNullProfile(t *testing.T) {
	d := open(t)
	read := func(path string) any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.get(path)))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.AssertFormat()
	if err := c.AddResource("profile.schema", read(wellknown.Schema)); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("profile.schema")
	if err != nil {
		t.Fatal(err)
	}
	if schema.DraftVersion != 4 {
		t.Errorf("draft %d", schema.DraftVersion)
	}
	null := read(wellknown.Null).(map[string]any)
	if err := schema.Validate(null); err != nil {
		t.Errorf("the null profile: %v", err)
	}
	null["shoe_size"] = "43"
	if schema.Validate(null) == nil {
		t.Error("the schema lets anything through")
	}
	if rules := read(wellknown.Rules).(map[string]any); len(rules) != 2 || rules["create"] == nil || rules["update"] == nil {
		t.Errorf("the rules have %v", rules)
	}
}

// Another library verifies the signature, by the keys in the document.
func TestSignature(t *testing.T) {
	for name, k := range map[string]crypto.Signer{"RS256": rsaKey(), "EdDSA": edKey(3)} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.keys[people.CIS], d.signer = []sign.Key{public(t, "k", k)}, signer(t, "k", k)
			doc, asc := d.get(wellknown.Path), d.get(wellknown.Path+".asc")
			var published struct {
				API struct {
					Keys map[string]json.RawMessage `json:"publishers_jwks"`
				} `json:"api"`
			}
			if err := json.Unmarshal(doc, &published); err != nil {
				t.Fatal(err)
			}
			set, err := jwk.Parse(published.API.Keys["cis"])
			if err != nil {
				t.Fatal(err)
			}
			verify := func(doc, asc []byte) error {
				_, err := jws.Verify(asc, jws.WithKeySet(set), jws.WithDetachedPayload(doc))
				return err
			}
			if err := verify(doc, asc); err != nil {
				t.Fatal(err)
			}
			keys, _, err := sign.ParseKeys(doc)
			if err != nil {
				t.Fatal(err)
			}
			ours := func(doc, asc []byte) error {
				return sign.VerifyDetached(keys, people.CIS, wellknown.Typ, string(asc), doc, sign.Policy{})
			}
			if err := ours(doc, asc); err != nil {
				t.Error(err)
			}
			for i := 0; i < len(doc); i += 11 { // each takes a while
				touched := bytes.Clone(doc)
				touched[i] ^= 1
				if ours(touched, asc) == nil || verify(touched, asc) == nil {
					t.Fatalf("byte %d of the document can be another", i)
				}
			}
			for i := range asc {
				touched := bytes.Clone(asc)
				touched[i] ^= 1
				// The other library takes a payload between the dots for none, and does
				// not mind the bits of a part's last letter that are of no byte.
				lax := asc[i] == '.' || i == len(asc)-1 || asc[i+1] == '.'
				if ours(doc, touched) == nil || !lax && verify(doc, touched) == nil {
					t.Fatalf("byte %d of the signature can be another: %s", i, touched)
				}
			}
		})
	}
}

func TestSignatureThatThereIsNot(t *testing.T) {
	for name, change := range map[string]func(*wellknown.Options){
		"a face without keys": func(o *wellknown.Options) { o.Signer = nil },
		"no key of cis": func(o *wellknown.Options) {
			o.Signer = func(context.Context) (sign.Signer, error) { return nil, nil }
		},
	} {
		d := open(t, change)
		if w := d.try(wellknown.Path + ".asc"); w.Code != 404 || !strings.Contains(w.Body.String(), `"not_signed"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		d.get(wellknown.Path)
	}
	for name, change := range map[string]func(*wellknown.Options){
		"a signer that fails": func(o *wellknown.Options) {
			o.Signer = func(context.Context) (sign.Signer, error) { return nil, errors.New("out of order") }
		},
		"a key that is not published": func(o *wellknown.Options) {
			o.Signer = func(context.Context) (sign.Signer, error) { return signer(t, "cis-2", edKey(9)), nil }
		},
	} {
		d := open(t, change)
		if w := d.try(wellknown.Path + ".asc"); w.Code != 503 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		d.get(wellknown.Path)
	}
}

func TestRotation(t *testing.T) {
	d := open(t)
	before, first := d.get(wellknown.Path), d.get(wellknown.Path+".asc")
	next := edKey(4)
	d.keys[people.CIS] = append(d.keys[people.CIS], public(t, "cis-2", next))
	d.signer = signer(t, "cis-2", next)
	d.now = d.now.Add(wellknown.Life - time.Second)
	if !bytes.Equal(d.get(wellknown.Path), before) || d.reads != 1 {
		t.Errorf("keys were read %d times in a minute", d.reads)
	}
	d.now = d.now.Add(time.Second)
	after, second := d.get(wellknown.Path), d.get(wellknown.Path+".asc")
	if bytes.Equal(after, before) || !bytes.Contains(after, []byte("cis-2")) || d.reads != 2 {
		t.Errorf("a new key does not show, after %d readings", d.reads)
	}
	keys, _, err := sign.ParseKeys(after)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(doc, asc []byte) error {
		return sign.VerifyDetached(keys, people.CIS, wellknown.Typ, string(asc), doc, sign.Policy{})
	}
	if verify(after, second) != nil || verify(after, first) == nil || verify(before, first) != nil {
		t.Error("a signature is of another document")
	}
}

func TestKeysThatCannotBeRead(t *testing.T) {
	d := open(t)
	whole := d.keys
	d.keys, d.err = nil, errors.New("the disk is gone")
	for _, path := range []string{wellknown.Path, wellknown.Path + ".asc"} {
		if w := d.try(path); w.Code != 503 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if d.reads != 1 {
		t.Errorf("keys that cannot be read are read %d times", d.reads)
	}
	d.err = nil // but there are none: no document, either
	d.now = d.now.Add(time.Minute)
	if w := d.try(wellknown.Path); w.Code != 503 {
		t.Errorf("without keys: %d %s", w.Code, w.Body)
	}
	d.keys = whole
	d.now = d.now.Add(time.Minute)
	doc, asc := d.get(wellknown.Path), d.get(wellknown.Path+".asc")

	for _, fail := range []func(){
		func() { d.err = errors.New("the disk is gone") },
		func() { d.keys, d.err = sign.Keys{}, nil },
	} {
		fail()
		d.now = d.now.Add(24 * time.Hour)
		if !bytes.Equal(d.get(wellknown.Path), doc) || !bytes.Equal(d.get(wellknown.Path+".asc"), asc) {
			t.Error("the last document is not there any more")
		}
	}
	if n := strings.Count(d.log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d lines say so: %s", n, &d.log)
	}
	d.keys = sign.Keys{people.CIS: whole[people.CIS]}
	d.now = d.now.Add(time.Minute)
	if bytes.Equal(d.get(wellknown.Path), doc) {
		t.Error("the document stays when keys can be read again")
	}
}

// Keys that are slow to come hold up nobody, once there is a document, and are
// read once for all who wait.
func TestSlowKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, wait := 0, make(chan struct{})
		d := open(t)
		o := wellknown.Options{URL: "https://cis.example.org", Catalogue: catalogue.Default(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Keys: func(ctx context.Context) (sign.Keys, error) {
				reads++
				<-wait
				return d.keys, ctx.Err()
			}}
		var err error
		if d.routes, err = wellknown.New(o); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		answers := make(chan int, 10)
		ask := func(ctx context.Context) {
			w := httptest.NewRecorder()
			if err := d.routes[0].Serve(w, httptest.NewRequestWithContext(ctx, "GET", wellknown.Path, nil)); err != nil {
				w.Code = http.StatusServiceUnavailable
			}
			answers <- w.Code
		}
		go ask(gone)
		synctest.Wait()
		for range 4 {
			go ask(t.Context())
		}
		synctest.Wait()
		cancel() // whoever goes away does not fail the others
		close(wait)
		for range 5 {
			if code := <-answers; code != 200 {
				t.Errorf("got %d", code)
			}
		}
		if reads != 1 {
			t.Errorf("%d readings for five who wait", reads)
		}
		wait = make(chan struct{})
		time.Sleep(wellknown.Life)
		go ask(t.Context())
		synctest.Wait()
		ask(t.Context())
		if code := <-answers; code != 200 || reads != 2 {
			t.Errorf("got %d while keys are read", code)
		}
		close(wait)
		<-answers
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]wellknown.Options{
		"a path elsewhere":           {Path: "/mozilla-iam"},
		"a path that is a pattern":   {Path: "/.well-known/{x}"},
		"a path of another document": {Path: wellknown.Schema},
		"no name":                    {Path: "/.well-known/.."},
		"an access file of a list":   {AccessFile: []byte(`[]`)},
		"an access file cut short":   {AccessFile: []byte(`{"a":`)},
		"an access file twofold":     {AccessFile: []byte(`{"a":1,"a":2}`)},
	} {
		o.Catalogue = catalogue.Default()
		if _, err := wellknown.New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	d := open(t, func(o *wellknown.Options) { o.Path, o.Person = "/.well-known/cis", "https://person.example.org" })
	d.described = false
	if doc := d.get("/.well-known/cis"); !bytes.Contains(doc, []byte(`"person": "https://person.example.org"`)) || !bytes.Contains(doc, []byte(`"change": "https://cis.example.org"`)) {
		t.Errorf("got %s", doc)
	}
	d.get("/.well-known/cis.asc")
}
