package sign_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

func TestDocument(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signer, err := sign.NewSigner("k", private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sign.NewKey("k", private.Public())
	if err != nil {
		t.Fatal(err)
	}
	keys := sign.Keys{people.CIS: {key}}
	jws, err := sign.Document(t.Context(), signer, "cis-receipt", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := sign.VerifyDocument(keys, people.CIS, "cis-receipt", jws, sign.Policy{}); err != nil || string(doc) != `{"a":1}` {
		t.Errorf("%s, %v", doc, err)
	}
	for name, test := range map[string]struct {
		keys      sign.Keys
		publisher people.Publisher
		typ, jws  string
		policy    sign.Policy
		want      error
	}{
		"another typ":        {keys, people.CIS, "other", jws, sign.Policy{}, sign.ErrHeader},
		"another publisher":  {keys, people.HRIS, "cis-receipt", jws, sign.Policy{}, sign.ErrUnknownPublisher},
		"touched":            {keys, people.CIS, "cis-receipt", jws[:len(jws)-4] + "AAAA", sign.Policy{}, sign.ErrBadSignature},
		"no JWS":             {keys, people.CIS, "cis-receipt", "a.b", sign.Policy{}, sign.ErrHeader},
		"algorithm refused":  {keys, people.CIS, "cis-receipt", jws, sign.Policy{Algorithms: map[people.Publisher][]string{people.CIS: {sign.RS256}}}, sign.ErrHeader},
		"taken for a JWT":    {keys, people.CIS, "JWT", jws, sign.Policy{}, sign.ErrHeader},
		"nothing of a value": {keys, people.CIS, "cis-receipt", "", sign.Policy{}, sign.ErrHeader},
	} {
		if _, err := sign.VerifyDocument(test.keys, test.publisher, test.typ, test.jws, test.policy); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}

	// An attribute is no document, and a document no attribute.
	a := people.Attribute{Value: people.StringValue("x")}
	a.Signature.Publisher = people.Mark{Alg: "ED25519", Typ: "JWS", Name: string(people.CIS), Value: jws}
	if err := sign.Verify(keys, people.ID{1}, "first_name", a, sign.Policy{}); !errors.Is(err, sign.ErrHeader) {
		t.Errorf("a document verifies as an attribute: %v", err)
	}
	for _, typ := range []string{"", "JWT"} {
		if _, err := sign.Document(t.Context(), signer, typ, nil); err == nil {
			t.Errorf("a document of the typ %q is signed", typ)
		}
	}
}

func TestDetached(t *testing.T) {
	keys := sign.Keys{people.CIS: {keyOf(t, "k", edKey("cis"))}}
	doc := []byte(`{"a":1}`)
	jws, err := sign.Detached(t.Context(), signerOf(t, "k", edKey("cis")), "cis-discovery", doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.VerifyDetached(keys, people.CIS, "cis-discovery", jws, doc, sign.Policy{}); err != nil {
		t.Error(err)
	}
	whole, err := sign.Document(t.Context(), signerOf(t, "k", edKey("cis")), "cis-discovery", doc)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		typ, jws, doc string
		want          error
	}{
		"another document": {"cis-discovery", jws, `{"a":2}`, sign.ErrBadSignature},
		"another typ":      {"cis-receipt", jws, string(doc), sign.ErrHeader},
		"with its payload": {"cis-discovery", whole, string(doc), sign.ErrHeader},
		"nothing":          {"cis-discovery", "", string(doc), sign.ErrHeader},
	} {
		if err := sign.VerifyDetached(keys, people.CIS, test.typ, test.jws, []byte(test.doc), sign.Policy{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
