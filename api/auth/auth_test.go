package auth

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAccepts says whom good tokens speak for.
func TestAccepts(t *testing.T) {
	l := newLab(t)
	for name, token := range map[string]string{
		"RS256":                   compact(header("RS256", "rsa"), l.claims(nil), byRSA),
		"ES256":                   compact(header("ES256", "ec"), l.claims(nil), byEC),
		"EdDSA":                   compact(header("EdDSA", "ed"), l.claims(nil), byEd("ed")),
		"without typ":             compact(`{"alg":"EdDSA","kid":"ed"}`, l.claims(nil), byEd("ed")),
		"an access token":         compact(`{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, l.claims(nil), byEd("ed")),
		"typ in full":             compact(`{"alg":"EdDSA","kid":"ed","typ":"application/at+JWT"}`, l.claims(nil), byEd("ed")),
		"members nobody knows":    compact(`{"alg":"EdDSA","kid":"ed","x5t":"AAAA","nonce":"1"}`, l.claims(map[string]any{"azp": "x", "deep": map[string]any{"a": 1}}), byEd("ed")),
		"white space in the JSON": compact("{ \"alg\" : \"EdDSA\",\n\"kid\":\"ed\" }", "\n"+l.claims(nil)+" ", byEd("ed")),
		"several audiences":       compact(header("EdDSA", "ed"), l.claims(map[string]any{"aud": []string{"other", audience}}), byEd("ed")),
		"scopes in disorder":      compact(header("EdDSA", "ed"), l.claims(map[string]any{"scope": " write  read:all write "}), byEd("ed")),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time it is remembered
				c := l.accepts(token)
				if c.Issuer != l.issuer || c.Subject != "abc@clients" || !slices.Equal(c.Scopes, []string{"read:all", "write"}) || !c.Has("write") {
					t.Errorf("it is for %+v", c)
				}
			}
		})
	}
	if n := l.read.Load(); n != 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

// TestClaims has everything right but one claim.
func TestClaims(t *testing.T) {
	l := newLab(t)
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	const accepted, late, wrong = "", "token_expired", "invalid_claims"
	for _, c := range []struct {
		claim string
		value any // nil is none
		want  string
	}{
		{"iss", nil, wrong},
		{"iss", "", wrong},
		{"iss", 1, wrong},
		{"iss", strings.TrimSuffix(l.issuer, "/"), wrong},
		{"iss", strings.ToUpper(l.issuer), wrong},
		{"iss", l.issuer + "/", wrong},
		{"iss", []string{l.issuer}, wrong},
		{"iss", "https://accounts.google.com", wrong},

		{"aud", nil, wrong},
		{"aud", "", wrong},
		{"aud", "API.example.org", wrong},
		{"aud", audience + " ", wrong},
		{"aud", audience + "." + audience, wrong},
		{"aud", []string{}, wrong},
		{"aud", []string{"other"}, wrong},
		{"aud", []any{audience, 1}, wrong},
		{"aud", []any{[]string{audience}}, wrong},
		{"aud", map[string]any{audience: 1}, wrong},

		{"exp", nil, wrong},
		{"exp", json.RawMessage("null"), wrong},
		{"exp", "tomorrow", wrong},
		{"exp", json.RawMessage(`"1972540800"`), wrong},
		{"exp", true, wrong},
		{"exp", json.RawMessage("1e400"), wrong},
		{"exp", json.RawMessage("1e300"), wrong},
		{"exp", -1, wrong},
		{"exp", 0, late},
		{"exp", at(-time.Second), late},
		{"exp", at(0), late},
		{"exp", json.RawMessage("1772452800.5"), accepted}, // half a second after noon
		{"exp", at(time.Second), accepted},
		{"exp", json.RawMessage("1.9e9"), accepted},

		{"nbf", at(61 * time.Second), wrong},
		{"nbf", at(60 * time.Second), accepted},
		{"nbf", at(-time.Hour), accepted},
		{"nbf", "now", wrong},
		{"nbf", json.RawMessage("null"), wrong},
		{"iat", at(61 * time.Second), wrong},
		{"iat", at(60 * time.Second), accepted},
		{"iat", nil, accepted},
		{"iat", json.RawMessage("1e999"), wrong},

		{"sub", nil, wrong},
		{"sub", "", wrong},
		{"sub", 7, wrong},
		{"scope", nil, accepted},
		{"scope", "", accepted},
		{"scope", 7, wrong},
		{"scope", []string{"write"}, wrong},
	} {
		b, _ := json.Marshal(c.value)
		t.Run(c.claim+" "+string(b), func(t *testing.T) {
			token := compact(header("EdDSA", "ed"), l.claims(map[string]any{c.claim: c.value}), byEd("ed"))
			if c.want != accepted {
				l.refuses(token, c.want)
				return
			}
			caller := l.accepts(token)
			if c.claim == "scope" && len(caller.Scopes) > 0 {
				t.Errorf("it has the scopes %q", caller.Scopes)
			}
		})
	}
	if n := l.read.Load(); n > 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

// TestExpiresWhileRemembered refuses a token that was accepted before.
func TestExpiresWhileRemembered(t *testing.T) {
	l := newLab(t)
	token := compact(header("EdDSA", "ed"), l.claims(map[string]any{"exp": noon.Add(time.Minute).Unix()}), byEd("ed"))
	l.accepts(token)
	l.pass(time.Minute - 1)
	l.accepts(token)
	l.pass(1)
	l.refuses(token, "token_expired")
}

// TestRemembers bounds what is remembered, and verifies the rest anew.
func TestRemembers(t *testing.T) {
	for _, most := range []int{-1, 1, 2, 10} {
		l := newLab(t, func(o *Options) { o.Remember = most })
		for range 3 {
			for i := range 40 {
				l.accepts(compact(header("EdDSA", "ed"), l.claims(map[string]any{"n": i}), byEd("ed")))
				if n := len(l.known.young) + len(l.known.old); n > max(most, 0) {
					t.Fatalf("%d tokens are remembered, want at most %d", n, most)
				}
			}
		}
	}
	// What is used stays, whatever else comes.
	l := newLab(t, func(o *Options) { o.Remember = 10 })
	kept := l.token("ed")
	first := l.accepts(kept)
	for i := range 40 {
		l.accepts(compact(header("EdDSA", "ed"), l.claims(map[string]any{"n": i}), byEd("ed")))
		if l.accepts(kept) != first {
			t.Fatal("it was verified anew")
		}
	}
}

// TestAccounts takes tokens of an issuer that has tokens for anybody from the
// accounts that are named, as Google's scheduler sends them.
func TestAccounts(t *testing.T) {
	google := newLab(t, func(o *Options) {
		o.Issuers[0].Accounts = []string{"scheduler@project.iam.gserviceaccount.com", "second@example.org"}
		o.Issuers[0].Scopes = []string{"sync", "publish"}
	})
	only := newLab(t, func(o *Options) { o.Issuers[0].Accounts = []string{"second@example.org"} })
	for _, c := range []struct {
		name            string
		l               *lab
		email, verified any
		scopes          string // "" if it is refused
	}{
		{"the first", google, "scheduler@project.iam.gserviceaccount.com", true, "publish sync"},
		{"the second", google, "second@example.org", true, "publish sync"},
		{"somebody else", google, "somebody@example.org", true, ""},
		{"a part of it", google, "second@example", true, ""},
		{"in capitals", google, "Second@example.org", true, ""},
		{"both", google, []string{"second@example.org"}, true, ""},
		{"nobody", google, nil, true, ""},
		{"empty", google, "", true, ""},
		{"not verified", google, "second@example.org", false, ""},
		{"nothing of verified", google, "second@example.org", nil, ""},
		{"verified as text", google, "second@example.org", "true", ""},
		{"verified as number", google, "second@example.org", 1, ""},
		{"with scopes of its own", only, "second@example.org", true, "read:all write"},
		{"somebody else with scopes", only, "scheduler@project.iam.gserviceaccount.com", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := compact(header("EdDSA", "ed"), c.l.claims(map[string]any{"email": c.email, "email_verified": c.verified}), byEd("ed"))
			if c.scopes == "" {
				c.l.refuses(token, "invalid_claims")
			} else if caller := c.l.accepts(token); strings.Join(caller.Scopes, " ") != c.scopes {
				t.Errorf("it has the scopes %q", caller.Scopes)
			}
		})
	}
}

// TestOpen refuses options with which too much would be accepted, and tells no
// secret that a URL has.
func TestOpen(t *testing.T) {
	good := func(i Issuer) Options { return Options{Audience: audience, Issuers: []Issuer{i}} }
	const at = "https://issuer.example.org/"
	for _, c := range []struct {
		name string
		o    Options
		want string // "" if it is right
	}{
		{"right", good(Issuer{Issuer: at}), ""},
		{"all of it", good(Issuer{Issuer: at, JWKSURL: at + "keys?version=2", Algorithms: []string{"RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"}, Accounts: []string{"a@b"}, Scopes: []string{"x"}}), ""},
		{"loopback", good(Issuer{Issuer: "http://[::1]:80", JWKSURL: "http://localhost/keys"}), ""},
		{"no audience", Options{Issuers: []Issuer{{Issuer: at}}}, "audience"},
		{"no issuers", Options{Audience: audience}, "no issuers"},
		{"an issuer twice", Options{Audience: audience, Issuers: []Issuer{{Issuer: at}, {Issuer: at}}}, "issuer 2: it is there twice"},
		{"no URL", good(Issuer{}), "https"},
		{"http", good(Issuer{Issuer: "http://issuer.example.org/"}), "https"},
		{"almost loopback", good(Issuer{Issuer: "http://127.0.0.1.example.org/"}), "https"},
		{"http for the keys", good(Issuer{Issuer: at, JWKSURL: "http://issuer.example.org/keys"}), "its keys: want an https URL"},
		{"another scheme", good(Issuer{Issuer: at, JWKSURL: "file:///etc/keys"}), "https"},
		{"a password", good(Issuer{Issuer: "https://user:s3cret@issuer.example.org/"}), "without user"},
		{"a password that is no URL", good(Issuer{Issuer: "https://user:s3cret@ /"}), "https"},
		{"a query", good(Issuer{Issuer: at + "?key=s3cret"}), "without query"},
		{"HS256", good(Issuer{Issuer: at, Algorithms: []string{"RS256", "HS256"}}), "HS256"},
		{"none", good(Issuer{Issuer: at, Algorithms: []string{"none"}}), "none"},
		{"an empty algorithm", good(Issuer{Issuer: at, Algorithms: []string{""}}), `""`},
		{"scopes for anybody", good(Issuer{Issuer: at, Scopes: []string{"write"}}), "anybody"},
		{"an empty account", good(Issuer{Issuer: at, Accounts: []string{""}}), "empty"},
		{"two scopes in one", good(Issuer{Issuer: at, Accounts: []string{"a@b"}, Scopes: []string{"a b"}}), "one word"},
		{"stale before it is due", Options{Audience: audience, Issuers: []Issuer{{Issuer: at}}, MaxStale: time.Minute}, "MaxStale"},
		{"a negative bound", Options{Audience: audience, Issuers: []Issuer{{Issuer: at}}, Pause: -1}, "positive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Open(c.o)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				v.Close()
			} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
