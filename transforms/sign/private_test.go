package sign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t testing.TB, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

// jwkOf is a private key as another library writes it.
func jwkOf(t testing.TB, key crypto.PrivateKey, change map[string]any) string {
	t.Helper()
	k, err := jwk.Import(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	maps.Copy(members, change)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	if b, err = json.MarshalIndent(members, "", " "); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseSigner(t *testing.T) {
	ed, rs := edKey("publisher"), rsaKey()
	for _, tc := range []struct {
		name, text, kid string
		key             crypto.Signer
		want            string // the kid; "" is the beginning of the thumbprint
	}{
		{"PKCS #8, RSA", pkcs8(t, rs), "", rs, ""},
		{"PKCS #8, Ed25519", pkcs8(t, ed), "", ed, ""},
		{"PKCS #1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), "", rs, ""},
		{"with a kid", pkcs8(t, ed), "2026-03", ed, "2026-03"},
		{"text and other blocks around it", "Bag\n" + pemOf("CERTIFICATE", []byte{1}) + pkcs8(t, ed), "", ed, ""},
		{"JWK, RSA", jwkOf(t, rs, nil), "", rs, ""},
		{"JWK, Ed25519", jwkOf(t, ed, nil), "", ed, ""},
		{"JWK with a kid", jwkOf(t, rs, map[string]any{"kid": "its own", "alg": "RS256", "use": "sig", "created": "2026-03-02T08:00:00.000Z"}), "", rs, "its own"},
		{"JWK with another kid", jwkOf(t, ed, map[string]any{"kid": "its own"}), "mine", ed, "mine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, key, err := sign.ParseSigner([]byte(tc.text), tc.kid)
			if err != nil {
				t.Fatal(err)
			}
			want := tc.want
			if want == "" {
				want = thumbprint(t, tc.key)[:16]
			}
			if s.KeyID() != want || key.ID() != want {
				t.Errorf("kid %q and %q, want %q", s.KeyID(), key.ID(), want)
			}
			a := signed(t, s, people.HRIS, ada, "first_name", people.StringValue("Ada"))
			keys := sign.Keys{people.HRIS: {keyOf(t, want, tc.key)}}
			if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{}); err != nil {
				t.Error(err)
			}
			if err := sign.Verify(sign.Keys{people.HRIS: {key}}, ada, "first_name", a, sign.Policy{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// thumbprint is what another library makes of a key.
func thumbprint(t testing.TB, key crypto.Signer) string {
	t.Helper()
	k, err := jwk.Import(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestThumbprint(t *testing.T) {
	for _, key := range []crypto.Signer{edKey("x"), rsaKey()} {
		if got, want := keyOf(t, "", key).Thumbprint(), thumbprint(t, key); got != want {
			t.Errorf("%T: %s, want %s", key, got, want)
		}
	}
	if got := (sign.Key{}).Thumbprint(); got != "" {
		t.Errorf("no key has the thumbprint %q", got)
	}
}

func TestParseSignerRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, rs := edKey("publisher"), rsaKey()
	b64 := base64.RawURLEncoding.EncodeToString
	secret := b64(ed.Seed())
	for _, tc := range []struct{ name, text, why string }{
		{"nothing", "", "neither"},
		{"text", "-----BEGIN nothing-----\n" + secret, "neither"},
		{"a public key", pemOf("PUBLIC KEY", []byte(secret)), "neither"},
		{"damaged", pemOf("PRIVATE KEY", []byte(secret)), "damaged"},
		{"encrypted", pemOf("ENCRYPTED PRIVATE KEY", []byte(secret)), "encrypted"},
		{"encrypted, older", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: []byte(secret)})), "encrypted"},
		{"elliptic", pkcs8(t, ec), "ecdsa"},
		{"elliptic, older", pemOf("EC PRIVATE KEY", []byte(secret)), "elliptic"},
		{"JWK cut short", jwkOf(t, ed, nil)[:60], "not a JWK"},
		{"JWK with a member twice", `{"kty":"OKP","kty":"OKP","d":"` + secret + `"}`, "not a JWK"},
		{"public JWK", jwkOf(t, rs, map[string]any{"d": nil}), "private members"},
		{"JWK for encryption", jwkOf(t, rs, map[string]any{"use": "enc"}), "use"},
		{"JWK of another algorithm", jwkOf(t, rs, map[string]any{"alg": "PS256"}), "PS256"},
		{"elliptic JWK", jwkOf(t, ec, nil), `"EC"`},
		{"secret JWK", `{"kty":"oct","k":"` + secret + `"}`, `"oct"`},
		{"RSA without primes", jwkOf(t, rs, map[string]any{"p": nil, "q": nil}), "missing"},
		{"RSA of other primes", jwkOf(t, rs, map[string]any{"p": b64(big.NewInt(7).Bytes())}), "do not make"},
		{"small RSA", jwkOf(t, rs, map[string]any{"n": b64(big.NewInt(77).Bytes())}), "7 bits"},
		{"RSA with a large exponent", jwkOf(t, rs, map[string]any{"e": "AQAAAAE"}), "too large"},
		{"another curve", jwkOf(t, ed, map[string]any{"crv": "X25519"}), "X25519"},
		{"two keys in one", jwkOf(t, ed, map[string]any{"x": b64(edKey("other")[ed25519.SeedSize:])}), "one key"},
		{"half a seed", jwkOf(t, ed, map[string]any{"d": secret[:22]}), "32 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := sign.ParseSigner([]byte(tc.text), "")
			if err == nil || !strings.Contains(err.Error(), tc.why) {
				t.Fatalf("got %v, want an error about %q", err, tc.why)
			}
			for _, part := range []string{secret[:8], fmt.Sprintf("%x", ed.Seed())[:8], b64(rs.D.Bytes())[:8]} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error quotes the key: %v", err)
				}
			}
		})
	}
}

func FuzzParseSigner(f *testing.F) {
	ed := edKey("publisher")
	f.Add([]byte(pkcs8(f, ed)), "")
	f.Add([]byte(jwkOf(f, ed, nil)), "kid")
	f.Add([]byte(jwkOf(f, rsaKey(), nil)), "")
	f.Fuzz(func(t *testing.T, b []byte, kid string) {
		s, key, err := sign.ParseSigner(b, kid)
		if err != nil {
			return
		}
		// Whatever is taken for a key signs what its public half verifies.
		a := signed(t, s, people.HRIS, ada, "first_name", people.StringValue("Ada"))
		if err := sign.Verify(sign.Keys{people.HRIS: {key}}, ada, "first_name", a, sign.Policy{RequireBinding: true}); err != nil {
			t.Error(err)
		}
	})
}

func TestUnbound(t *testing.T) {
	ctx := context.Background()
	s := signerOf(t, "key-1", edKey("hris"))
	keys := sign.Keys{people.HRIS: {keyOf(t, "key-1", edKey("hris"))}}
	a, err := sign.Unbound(ctx, s, people.HRIS, "first_name", attribute(people.StringValue("Ada")))
	if err != nil {
		t.Fatal(err)
	}
	header, _ := base64.RawURLEncoding.DecodeString(strings.Split(a.Signature.Publisher.Value, ".")[0])
	if want := `{"alg":"EdDSA","typ":"JWT","kid":"key-1"}`; string(header) != want {
		t.Errorf("header %s, want %s", header, want)
	}
	if err := sign.Verify(keys, grace, "last_name", a, sign.Policy{}); err != nil {
		t.Error("anywhere:", err)
	}
	if err := sign.Verify(keys, grace, "last_name", a, sign.Policy{RequireBinding: true}); !errors.Is(err, sign.ErrUnbound) {
		t.Error("where binding is required:", err)
	}
	if _, err := sign.Unbound(ctx, s, people.HRIS, "first_name", attribute(people.NullValue(false))); !errors.Is(err, sign.ErrNull) {
		t.Error("null:", err)
	}
}

func TestBound(t *testing.T) {
	s := signerOf(t, "key-1", edKey("hris"))
	id, path, ok := sign.Bound(signed(t, s, people.HRIS, ada, "staff_information.title", people.StringValue("Analyst")))
	if id != ada || path != "staff_information.title" || !ok {
		t.Errorf("got %v %q %v", id, path, ok)
	}
	unbound, err := sign.Unbound(context.Background(), s, people.HRIS, "first_name", attribute(people.StringValue("Ada")))
	if err != nil {
		t.Fatal(err)
	}
	with := func(header string) people.Attribute {
		a := unbound
		a.Signature.Publisher.Value = base64.RawURLEncoding.EncodeToString([]byte(header)) + "..."
		return a
	}
	for name, a := range map[string]people.Attribute{
		"unbound":     unbound,
		"unsigned":    attribute(people.StringValue("Ada")),
		"no header":   with("x"),
		"half":        with(`{"alg":"RS256","sub":"` + ada.String() + `"}`),
		"no uuid":     with(`{"alg":"RS256","sub":"ada","attr":"first_name"}`),
		"refused":     with(`{"alg":"none","sub":"` + ada.String() + `","attr":"first_name"}`),
		"not base64 ": {Signature: people.Signature{Publisher: people.Mark{Value: "*.."}}},
	} {
		if id, _, ok := sign.Bound(a); ok || name == "unbound" && !id.IsZero() {
			t.Errorf("%s: bound to %v", name, id)
		}
	}
}

// A key never prints, however it was read.
func TestParsedSignerNeverPrintsItsKey(t *testing.T) {
	s, key, err := sign.ParseSigner([]byte(pkcs8(t, rsaKey())), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		out := fmt.Sprintf(format, s) + fmt.Sprintf(format, key)
		if strings.Contains(out, fmt.Sprintf("%x", rsaKey().D)[:12]) || strings.Contains(out, rsaKey().D.String()[:12]) {
			t.Errorf("%s prints the key", format)
		}
	}
}
