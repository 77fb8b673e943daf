package auth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.org/cis/api"
)

// FuzzParse takes any text for a token: it is refused with 401, or it is one
// way, and the only one, of writing what was read.
func FuzzParse(f *testing.F) {
	good := `{"iss":"https://issuer.example.org/","sub":"a","aud":["b"],"exp":1772456400.5,"scope":"x y","email":"a@b","email_verified":true}`
	f.Add(compact(header("EdDSA", "ed"), good, byEd("ed")))
	f.Add(compact(`{"alg":"none"}`, `{}`, byNobody))
	f.Add(compact(`{"alg":"RS256","kid":"a","crit":["exp"]}`, good, byEd("ed")))
	f.Add(compact(`{"alg":"RS256","kid":"a","kid":"b"}`, `{"exp":1e400}`, byEd("ed")))
	f.Add("..")
	f.Add("eyJ.\n.=")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parse(token)
		if e, is := errors.AsType[*api.Error](err); err != nil && (!is || e.Status != http.StatusUnauthorized) {
			t.Fatalf("the error %v is no answer", err)
		}
		if err != nil {
			return
		}
		if p.alg == "" || p.kid == "" || strings.Count(token, ".") != 2 {
			t.Fatalf("accepted without algorithm, key or form")
		}
		for part := range strings.SplitSeq(token, ".") {
			b, ok := decode(part)
			if !ok || b64(string(b)) != part {
				t.Fatal("accepted what is written in another way")
			}
		}
		for _, i := range []Issuer{{Issuer: p.claims.text("iss")}, {Issuer: p.claims.text("iss"), Accounts: []string{"a@b"}, Scopes: []string{"z"}}} {
			caller, until, err := p.claims.accept(noon, "b", i)
			switch e, is := errors.AsType[*api.Error](err); {
			case err != nil && (!is || e.Status != http.StatusUnauthorized):
				t.Fatalf("the error %v is no answer", err)
			case err == nil && (caller.Subject == "" || !until.After(noon) || until.After(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))):
				t.Fatalf("accepted for %+v until %v", caller, until)
			}
		}
	})
}

// FuzzSet reads any text as the keys of an issuer.
func FuzzSet(f *testing.F) {
	f.Add(jwks(edJWK("ed"), rsaJWK(), ecJWK()))
	f.Add(`{"keys":[{"kty":"RSA","kid":"a","n":"","e":""}]}`)
	f.Add(`{"keys":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, skipped, err := parseSet([]byte(text))
		if err == nil && (keys == nil || skipped < 0) || err != nil && keys != nil {
			t.Fatalf("%v keys, %d skipped, %v", keys, skipped, err)
		}
		for kid, k := range keys {
			if kid == "" || k == nil || k.id != kid || k.public == nil || k.kind == "" || !k.equal(k) {
				t.Fatalf("key %q is %+v", kid, k)
			}
		}
	})
}
