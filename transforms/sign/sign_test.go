package sign_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// The cast: two people, three publishers with a key each, and one RSA key.
var (
	ada   = people.ID{0xad, 0xa0, 15: 1}
	grace = people.ID{0x97, 0xac, 0xe0, 15: 2}

	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func edKey(seed string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32s", seed)))
}

func signerOf(t testing.TB, kid string, key crypto.Signer) sign.Signer {
	t.Helper()
	s, err := sign.NewSigner(kid, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keyOf(t testing.TB, kid string, key crypto.Signer) sign.Key {
	t.Helper()
	k, err := sign.NewKey(kid, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func attribute(v people.Value) people.Attribute {
	return people.Attribute{
		Value: v,
		Metadata: people.Metadata{
			Classification: "WORKGROUP CONFIDENTIAL",
			Created:        "2026-03-02T08:00:00.000Z",
			LastModified:   "2026-03-03T09:30:00.125Z",
			Verified:       true,
			Display:        "staff",
		},
		Signature: people.Signature{Additional: []people.Mark{{Alg: "RS256", Typ: "PGP", Value: "kept"}}},
	}
}

func signed(t testing.TB, s sign.Signer, p people.Publisher, id people.ID, path people.Path, v people.Value) people.Attribute {
	t.Helper()
	a, err := sign.Attribute(context.Background(), s, p, id, path, attribute(v))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAttribute(t *testing.T) {
	groups := people.MapValue(people.Entry{Key: "zoo", Null: true}, people.Entry{Key: "all", Value: ""})
	for _, tc := range []struct {
		name    string
		alg     string
		value   people.Value
		header  string
		mark    string
		payload string
	}{
		{"a string", sign.EdDSA, people.StringValue("Zoë \"Z\" <z@example.net>"),
			`{"alg":"EdDSA","typ":"JWT","kid":"key-1","sub":"ada00000-0000-0000-0000-000000000001","attr":"access_information.ldap"}`,
			"ED25519", `"value":"Zoë \"Z\" <z@example.net>"}`},
		{"groups", sign.RS256, groups,
			`{"alg":"RS256","typ":"JWT","kid":"key-1","sub":"ada00000-0000-0000-0000-000000000001","attr":"access_information.ldap"}`,
			"RS256", `"values":{"all":"","zoo":null}}`},
		{"an empty string", sign.EdDSA, people.StringValue(""), "", "ED25519", `"value":""}`},
		{"no groups", sign.EdDSA, people.MapValue(), "", "ED25519", `"values":{}}`},
		{"false", sign.EdDSA, people.BoolValue(false), "", "ED25519", `"value":false}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var key crypto.Signer = edKey("ldap")
			if tc.alg == sign.RS256 {
				key = rsaKey()
			}
			s := signerOf(t, "key-1", key)
			a := signed(t, s, people.LDAP, ada, "access_information.ldap", tc.value)
			again := signed(t, s, people.LDAP, ada, "access_information.ldap", tc.value)
			if !a.Equal(again) {
				t.Error("signing twice gives two signatures")
			}
			mark := a.Signature.Publisher
			if mark.Alg != tc.mark || mark.Typ != "JWS" || mark.Name != "ldap" {
				t.Errorf("mark %q %q %q", mark.Alg, mark.Typ, mark.Name)
			}
			if got := a.Signature.Additional; len(got) != 1 || got[0].Value != "kept" {
				t.Errorf("additional signatures became %v", got)
			}
			parts := strings.Split(mark.Value, ".")
			header, _ := base64.RawURLEncoding.DecodeString(parts[0])
			if tc.header != "" && string(header) != tc.header {
				t.Errorf("header\n%s want\n%s", header, tc.header)
			}
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			want := `{"metadata":{"classification":"WORKGROUP CONFIDENTIAL","created":"2026-03-02T08:00:00.000Z",` +
				`"display":"staff","last_modified":"2026-03-03T09:30:00.125Z","verified":true},` + tc.payload
			if string(payload) != want {
				t.Errorf("payload\n%s want\n%s", payload, want)
			}
			keys := sign.Keys{people.LDAP: {keyOf(t, "key-1", key)}}
			if err := sign.Verify(keys, ada, "access_information.ldap", a, sign.Policy{RequireBinding: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAttributeRefuses(t *testing.T) {
	ctx, cancelled := context.Background(), context.Background()
	cancelled, cancel := context.WithCancel(cancelled)
	cancel()
	s := signerOf(t, "k", edKey("ldap"))
	dated := func(created string) people.Attribute {
		a := attribute(people.StringValue("x"))
		a.Metadata.Created = created
		return a
	}
	for _, tc := range []struct {
		name string
		ctx  context.Context
		id   people.ID
		path people.Path
		a    people.Attribute
		want error
	}{
		{"null", ctx, ada, "pronouns", attribute(people.NullValue(false)), sign.ErrNull},
		{"null groups", ctx, ada, "tags", attribute(people.NullValue(true)), sign.ErrNull},
		{"nobody", ctx, people.ID{}, "pronouns", dated("2026-03-02T08:00:00.000Z"), sign.ErrBinding},
		{"no attribute", ctx, ada, "", dated("2026-03-02T08:00:00.000Z"), sign.ErrBinding},
		{"date without decimals", ctx, ada, "pronouns", dated("2026-03-02T08:00:00Z"), sign.ErrDate},
		{"date with six decimals", ctx, ada, "pronouns", dated("2026-03-02T08:00:00.000000Z"), sign.ErrDate},
		{"date with an offset", ctx, ada, "pronouns", dated("2026-03-02T08:00:00.000+00:00"), sign.ErrDate},
		{"date with a comma", ctx, ada, "pronouns", dated("2026-03-02T08:00:00,000Z"), sign.ErrDate},
		{"date with a colon too many", ctx, ada, "pronouns", dated("2019-01-01T:10:00:00.000Z"), sign.ErrDate},
		{"no such day", ctx, ada, "pronouns", dated("2026-02-30T08:00:00.000Z"), sign.ErrDate},
		{"no date", ctx, ada, "pronouns", dated(""), sign.ErrDate},
		{"cancelled", cancelled, ada, "pronouns", dated("2026-03-02T08:00:00.000Z"), context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := sign.Attribute(tc.ctx, s, people.LDAP, tc.id, tc.path, tc.a)
			if !errors.Is(err, tc.want) || a.Signature.Publisher.Value != "" {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestSignerNeverPrintsItsKey(t *testing.T) {
	key := edKey("a secret seed of 32 bytes")
	s := signerOf(t, "kid", key)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if out := fmt.Sprintf(format, s); strings.Contains(out, "secret") || strings.Contains(out, fmt.Sprintf("%x", key.Seed()[:4])) ||
			strings.Contains(out, "97 32 115") {
			t.Errorf("%s prints the key", format)
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	if _, err := sign.NewSigner("", edKey("x")); err == nil {
		t.Error("a key without an id was accepted")
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no small keys:", err)
	}
	if _, err := sign.NewSigner("k", small); err == nil {
		t.Error("an RSA key of 1024 bits was accepted")
	}
}

// values draws any value that can be signed.
func values() *rapid.Generator[people.Value] {
	return rapid.OneOf(
		rapid.Map(rapid.String(), people.StringValue),
		rapid.Map(rapid.Bool(), people.BoolValue),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.Ptr(rapid.String(), true)), func(m map[string]*string) people.Value {
			var e []people.Entry
			for k, v := range m {
				if v == nil {
					e = append(e, people.Entry{Key: k, Null: true})
				} else {
					e = append(e, people.Entry{Key: k, Value: *v})
				}
			}
			return people.MapValue(e...)
		}),
	)
}

func paths() *rapid.Generator[people.Path] {
	return rapid.SampledFrom([]people.Path{"first_name", "usernames", "staff_information.title", "access_information.ldap"})
}

// What is signed verifies, also after a round trip through JSON, in its own
// place and nowhere else.
func TestSignedVerifiesInItsOwnPlaceOnly(t *testing.T) {
	keys := sign.Keys{
		people.LDAP: {keyOf(t, "1", rsaKey()), keyOf(t, "2", edKey("ldap"))},
		people.HRIS: {keyOf(t, "1", edKey("hris"))},
	}
	signers := []sign.Signer{signerOf(t, "1", rsaKey()), signerOf(t, "2", edKey("ldap"))}
	rapid.Check(t, func(rt *rapid.T) {
		path, other := paths().Draw(rt, "path"), paths().Draw(rt, "other")
		s := rapid.SampledFrom(signers).Draw(rt, "signer")
		a := signed(t, s, people.LDAP, ada, path, values().Draw(rt, "value"))
		stored, err := people.ParseAttribute(a.AppendJSON(nil, true))
		if err != nil {
			rt.Fatal(err)
		}
		strict := sign.Policy{RequireBinding: true}
		if err := sign.Verify(keys, ada, path, stored, strict); err != nil {
			rt.Error("own place:", err)
		}
		accepting := func(alg string) sign.Policy {
			return sign.Policy{Algorithms: map[people.Publisher][]string{people.LDAP: {alg}}}
		}
		if err := sign.Verify(keys, ada, path, stored, accepting(s.Algorithm())); err != nil {
			rt.Error("accepted algorithm:", err)
		}
		if err := sign.Verify(keys, ada, path, stored, accepting("none")); !errors.Is(err, sign.ErrHeader) {
			rt.Error("algorithm that is not accepted:", err)
		}
		if err := sign.Verify(keys, grace, path, stored, sign.Policy{}); !errors.Is(err, sign.ErrMoved) {
			rt.Error("another person:", err)
		}
		if err := sign.Verify(keys, ada, other, stored, sign.Policy{}); path != other && !errors.Is(err, sign.ErrMoved) {
			rt.Error("another attribute:", err)
		}
		stored.Signature.Publisher.Name = "hris"
		if err := sign.Verify(keys, ada, path, stored, sign.Policy{}); !errors.Is(err, sign.ErrBadSignature) {
			rt.Error("another publisher:", err)
		}
	})
}

func TestNoFlippedBitVerifies(t *testing.T) {
	for _, key := range []crypto.Signer{edKey("ldap"), rsaKey()} {
		s := signerOf(t, "k", key)
		keys := sign.Keys{people.LDAP: {keyOf(t, "k", key)}}
		a := signed(t, s, people.LDAP, ada, "first_name", people.StringValue("Ada"))
		jws := a.Signature.Publisher.Value
		for i := range len(jws) * 8 {
			b := []byte(jws)
			b[i/8] ^= 1 << (i % 8)
			a.Signature.Publisher.Value = string(b)
			if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{}); err == nil {
				t.Errorf("%s: bit %d of byte %d flipped, and still good", s.Algorithm(), i%8, i/8)
			}
		}
	}
}

// A null signer leaves what Attribute itself costs.
type nullSigner struct{ sign.Signer }

func (nullSigner) Sign(context.Context, []byte) ([]byte, error) { return make([]byte, 64), nil }

func BenchmarkAttribute(b *testing.B) {
	ed := signerOf(b, "kP3nVqkQz0yX2abc", edKey("ldap"))
	for _, bc := range []struct {
		name string
		s    sign.Signer
	}{
		{"EdDSA", ed}, {"RS256", signerOf(b, "kP3nVqkQz0yX2abc", rsaKey())}, {"without the primitive", nullSigner{ed}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			a := attribute(people.StringValue("ad|Mozilla-LDAP|alovelace"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sign.Attribute(b.Context(), bc.s, people.LDAP, ada, "staff_information.title", a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPrimitive(b *testing.B) {
	payload := make([]byte, 520)
	for _, key := range []crypto.Signer{edKey("ldap"), rsaKey()} {
		s := signerOf(b, "k", key)
		b.Run(s.Algorithm(), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Sign(b.Context(), payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, key := range []crypto.Signer{edKey("ldap"), rsaKey()} {
		s := signerOf(b, "k", key)
		keys := sign.Keys{people.LDAP: {keyOf(b, "k", key)}}
		a := signed(b, s, people.LDAP, ada, "first_name", people.StringValue("Ada"))
		b.Run(s.Algorithm(), func(b *testing.B) {
			for b.Loop() {
				if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
