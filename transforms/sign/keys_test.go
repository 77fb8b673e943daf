package sign_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

func TestParseKeys(t *testing.T) {
	b64 := base64.RawURLEncoding
	n := b64.EncodeToString(rsaKey().N.Bytes())
	odd := func(bits uint) string {
		x := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return b64.EncodeToString(x.SetBit(x, 0, 1).Bytes())
	}
	x := b64.EncodeToString(edKey("ldap")[ed25519.SeedSize:])
	for _, tc := range []struct {
		name string
		key  string
		alg  string // "" if it is left out
		why  string // part of the reason
	}{
		{"as the older system publishes it", `{"alg":"RS256","kty":"RSA","use":"sig","x5c":["bm90IHRoaXMga2V5"],"n":"` + n + `","e":"AQAB","kid":"LDAPKeyId"}`, "RS256", ""},
		{"bare", `{"kty":"RSA","n":"` + n + `","e":"AQAB"}`, "RS256", ""},
		{"leading zero octet", `{"kty":"RSA","n":"` + b64.EncodeToString(append([]byte{0}, rsaKey().N.Bytes()...)) + `","e":"AAEAAQ"}`, "RS256", ""},
		{"padded", `{"kty":"RSA","n":"` + base64.URLEncoding.EncodeToString(rsaKey().N.Bytes()) + `","e":"AQAB"}`, "RS256", ""},
		{"Ed25519", `{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"` + x + `","use":"sig"}`, "EdDSA", ""},
		{"8192 bits", `{"kty":"RSA","n":"` + odd(8192) + `","e":"Aw"}`, "RS256", ""},

		{"1024 bits", `{"kty":"RSA","n":"` + odd(1024) + `","e":"AQAB"}`, "", "1024 bits"},
		{"16384 bits", `{"kty":"RSA","n":"` + odd(16384) + `","e":"AQAB"}`, "", "16384 bits"},
		{"even exponent", `{"kty":"RSA","n":"` + n + `","e":"AQAA"}`, "", "exponent"},
		{"exponent 1", `{"kty":"RSA","n":"` + n + `","e":"AQ"}`, "", "exponent"},
		{"exponent beyond 31 bits", `{"kty":"RSA","n":"` + n + `","e":"AQAAAAE"}`, "", "too large"},
		{"certificate only", `{"kty":"RSA","x5c":["bm90IHRoaXMga2V5"]}`, "", "0 bits"},
		{"n is no base64url", `{"kty":"RSA","n":"*","e":"AQAB"}`, "", "n or e"},
		{"for encryption", `{"kty":"RSA","use":"enc","n":"` + n + `","e":"AQAB"}`, "", "use"},
		{"another algorithm", `{"kty":"RSA","alg":"PS256","n":"` + n + `","e":"AQAB"}`, "", "PS256"},
		{"a private key", `{"kty":"RSA","n":"` + n + `","e":"AQAB","d":"AQ"}`, "", "private"},
		{"another curve", `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, "", "X25519"},
		{"a short point", `{"kty":"OKP","crv":"Ed25519","x":"AQ"}`, "", "1 bytes"},
		{"elliptic", `{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`, "", `"EC"`},
		{"a secret", `{"kty":"oct","k":"AQ"}`, "", `"oct"`},
		{"kid no string", `{"kty":"RSA","kid":1,"n":"` + n + `","e":"AQAB"}`, "", "not a JWK"},
		{"n twice", `{"kty":"RSA","n":"` + n + `","n":"AQ","e":"AQAB"}`, "", "not a JWK"},
		{"null", `null`, "", "not a JWK"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := `{"ldap":{"keys":[` + tc.key + `]}}`
			if tc.name == "n twice" {
				if _, _, err := sign.ParseKeys([]byte(doc)); err == nil {
					t.Error("a document with a member twice was read")
				}
				return
			}
			for _, form := range []string{doc, `{"oidc_discovery_uri":"x","api":{"audience":"x","publishers_jwks":` + doc + `}}`, `{"ldap":{"keys":` + tc.key + `}}`} {
				keys, skipped, err := sign.ParseKeys([]byte(form))
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case tc.alg != "" && (len(skipped) > 0 || len(keys[people.LDAP]) != 1 || keys[people.LDAP][0].Algorithm() != tc.alg):
					t.Errorf("left out: %v", skipped)
				case tc.alg == "" && (len(keys[people.LDAP]) != 0 || len(skipped) != 1):
					t.Errorf("not left out")
				case tc.alg == "" && tc.key != "null" && !strings.Contains(skipped[0].Error(), tc.why):
					t.Errorf("reason %q, want %q", skipped[0], tc.why)
				}
			}
		})
	}
}

func TestParseKeysDocument(t *testing.T) {
	for _, tc := range []struct {
		doc     string
		fails   bool
		skipped int
	}{
		{``, true, 0},
		{`null`, true, 0},
		{`[]`, true, 0},
		{`{"api":{"audience":"x"}}`, true, 0},
		{`{"api":{"publishers_jwks":{}},"api":{}}`, true, 0},
		{`{"ldap":{"keys":[]}}`, false, 0},
		{`{"ldap":{"keys":"none"},"hris":[],"cis":{}}`, false, 3},
	} {
		keys, skipped, err := sign.ParseKeys([]byte(tc.doc))
		if (err != nil) != tc.fails || len(skipped) != tc.skipped || len(keys) != 0 {
			t.Errorf("%s: %v, %v, %v", tc.doc, keys, skipped, err)
		}
	}
}

func TestKeysComeBackAsPublished(t *testing.T) {
	keys := sign.Keys{
		people.LDAP: {keyOf(t, "rsa", rsaKey()), keyOf(t, "ed", edKey("ldap"))},
		people.CIS:  {keyOf(t, `"quoted"`, edKey("cis"))},
	}
	doc := keys.AppendJSON(nil)
	back, skipped, err := sign.ParseKeys(doc)
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	if again := back.AppendJSON(nil); !bytes.Equal(doc, again) {
		t.Errorf("published\n%s came back as\n%s", doc, again)
	}
	if got := fmt.Sprintf("%s %s %s", back[people.LDAP][0].ID(), back[people.LDAP][1].ID(), back[people.CIS][0].ID()); got != `rsa ed "quoted"` {
		t.Error("order or ids changed:", got)
	}
}

// Whatever the document, the keys that are read can be published and read
// again.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"api":{"publishers_jwks":{"ldap":{"keys":{"kty":"EC"}}}}}`))
	f.Add([]byte(`{"ldap":{"keys":[null,1,{}]},"cis":[]}`))
	f.Add(sign.Keys{people.LDAP: {keyOf(f, "rsa", rsaKey()), keyOf(f, "ed", edKey("ldap"))}}.AppendJSON(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, _, err := sign.ParseKeys(b)
		if err != nil {
			return
		}
		doc := keys.AppendJSON(nil)
		back, skipped, err := sign.ParseKeys(doc)
		if err != nil || len(skipped) > 0 || !bytes.Equal(back.AppendJSON(nil), doc) {
			t.Errorf("%v, %v:\n%s", err, skipped, doc)
		}
	})
}

func TestMergeKeys(t *testing.T) {
	ed, r, other := keyOf(t, "ed", edKey("a")), keyOf(t, "rsa", rsaKey()), keyOf(t, "rsa", edKey("b"))
	got := sign.MergeKeys(sign.Keys{people.LDAP: {ed}, people.CIS: {ed}}, nil, sign.Keys{people.LDAP: {other, ed, r}})
	want := `{"cis":{"keys":[` + string(ed.AppendJSON(nil)) + `]},"ldap":{"keys":[` + string(r.AppendJSON(nil)) + `,` + string(ed.AppendJSON(nil)) + `,` + string(other.AppendJSON(nil)) + `]}}`
	if string(got.AppendJSON(nil)) != want {
		t.Errorf("got %s, want %s", got.AppendJSON(nil), want)
	}
}
