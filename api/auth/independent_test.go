package auth

import (
	"crypto"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// TestAgreesWithAnotherLibrary verifies tokens that another library has made,
// with the keys as it publishes them; the two agree on every one, whole or with
// any character replaced.
func TestAgreesWithAnotherLibrary(t *testing.T) {
	l := newLab(t, func(o *Options) {
		o.Issuers[0].Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"}
	})
	public := jwk.NewSet()
	private := map[string]jwk.Key{}
	for alg, raw := range map[jwa.SignatureAlgorithm]crypto.Signer{
		jwa.RS256(): rsaKey(), jwa.RS384(): rsaKey(), jwa.RS512(): rsaKey(), jwa.PS256(): rsaKey(), jwa.ES256(): ecKey(), jwa.EdDSA(): edKey("ed"),
	} {
		key, err := jwk.Import(raw)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]any{jwk.KeyIDKey: "key of " + alg.String(), jwk.AlgorithmKey: alg, jwk.KeyUsageKey: jwk.ForSignature} {
			if err := key.Set(name, v); err != nil {
				t.Fatal(err)
			}
		}
		half, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := public.AddKey(half); err != nil {
			t.Fatal(err)
		}
		private[alg.String()] = key
	}
	b, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	set := string(b)
	l.keys.Store(&set)

	for name, key := range private {
		t.Run(name, func(t *testing.T) {
			made, err := jwt.NewBuilder().Issuer(l.issuer).Subject("abc@clients").Audience([]string{audience}).
				IssuedAt(noon).NotBefore(noon).Expiration(noon.Add(time.Hour)).Claim("scope", "write read:all").Build()
			if err != nil {
				t.Fatal(err)
			}
			alg, ok := key.Algorithm()
			if !ok {
				t.Fatal("the key has no algorithm")
			}
			signed, err := jwt.Sign(made, jwt.WithKey(alg, key))
			if err != nil {
				t.Fatal(err)
			}
			if c := l.accepts(string(signed)); c.Subject != "abc@clients" || strings.Join(c.Scopes, " ") != "read:all write" {
				t.Errorf("it is for %+v", c)
			}
			theirs := func(token string) bool {
				_, err := jws.Verify([]byte(token), jws.WithKeySet(public))
				return err == nil
			}
			if !theirs(string(signed)) {
				t.Fatal("the other library refuses its own token")
			}
			// The last character of a part may hold bits that count for nothing, which
			// are refused here and may be accepted there.
			for i := 0; i < len(signed); i += 7 {
				for _, with := range "Ab0-.= " {
					token := string(signed[:i]) + string(with) + string(signed[i+1:])
					_, err := l.Authenticate(t.Context(), token)
					if ours := err == nil; ours && !theirs(token) || ours && token != string(signed) {
						t.Errorf("accepted here with %q at %d", with, i)
					}
				}
			}
		})
	}
}
