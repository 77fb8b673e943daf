package sign_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// Sign one attribute for one person, publish the key, and verify.
func Example() {
	private := ed25519.NewKeyFromSeed([]byte("an example seed, never use this!"))
	signer, err := sign.NewSigner("example-1", private)
	if err != nil {
		panic(err)
	}
	id, err := people.ParseID("9d5ea2b0-58b4-5d10-8f3a-3f2b6f3f0c11")
	if err != nil {
		panic(err)
	}
	a := people.Attribute{
		Value: people.StringValue("Ada"),
		Metadata: people.Metadata{
			Classification: "PUBLIC",
			Created:        "2026-03-02T08:00:00.000Z",
			LastModified:   "2026-03-02T08:00:00.000Z",
			Verified:       true,
		},
	}
	a, err = sign.Attribute(context.Background(), signer, people.LDAP, id, "first_name", a)
	if err != nil {
		panic(err)
	}
	fmt.Println(a.Signature.Publisher.Alg, len(strings.Split(a.Signature.Publisher.Value, ".")), "parts")

	key, err := sign.NewKey("example-1", private.Public())
	if err != nil {
		panic(err)
	}
	keys := sign.Keys{people.LDAP: {key}}
	fmt.Println("in its place:", sign.Verify(keys, id, "first_name", a, sign.Policy{}))
	fmt.Println("elsewhere:", sign.Verify(keys, id, "last_name", a, sign.Policy{}))
	a.Value = people.StringValue("Eve")
	fmt.Println("altered:", sign.Verify(keys, id, "first_name", a, sign.Policy{}))
	// Output:
	// ED25519 3 parts
	// in its place: <nil>
	// elsewhere: sign: signed for another place: another attribute
	// altered: sign: attribute differs from what was signed: value
}

// A private key comes from wherever the publisher keeps it, as a JWK or as PEM.
// Its public half goes into the document that verifiers read.
func ExampleParseSigner() {
	signer, key, err := sign.ParseSigner([]byte(`{
		"kty": "OKP", "crv": "Ed25519",
		"x": "rki7qiluV_LTVzmLd3tHM8-fXHpkxvzlL1ZI1-8RvRo",
		"d": "YW4gZXhhbXBsZSBzZWVkLCBuZXZlciB1c2UgdGhpcyE"
	}`), "2026-03")
	if err != nil {
		panic(err)
	}
	fmt.Println(signer.KeyID(), signer.Algorithm())
	fmt.Println(string(sign.Keys{people.HRIS: {key}}.AppendJSON(nil)))
	// Output:
	// 2026-03 EdDSA
	// {"hris":{"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"2026-03","kty":"OKP","use":"sig","x":"rki7qiluV_LTVzmLd3tHM8-fXHpkxvzlL1ZI1-8RvRo"}]}}
}

// Keys come from a publisher's well-known document; what cannot be used is
// left out, with a reason.
func ExampleParseKeys() {
	keys, skipped, err := sign.ParseKeys([]byte(`{"api": {"publishers_jwks": {
		"ldap": {"keys": [
			{"kty": "OKP", "crv": "Ed25519", "kid": "2026", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
			{"kty": "EC", "crv": "P-256", "kid": "other"}
		]}
	}}}`))
	fmt.Println(keys[people.LDAP][0].ID(), keys[people.LDAP][0].Algorithm(), err)
	fmt.Println(skipped)
	// Output:
	// 2026 EdDSA <nil>
	// [sign: ldap: key 2: unknown key type "EC"]
}

// Profile checks every attribute of a person.
func ExampleProfile() {
	p, err := people.ParseProfile([]byte(`{
		"schema": "https://example.org/profile.schema",
		"pronouns": {"metadata": {}, "signature": {}, "value": null},
		"first_name": {"metadata": {}, "signature": {}, "value": "Ada"}
	}`))
	if err != nil {
		panic(err)
	}
	for _, f := range sign.Profile(sign.Keys{}, p, sign.Policy{RequireBinding: true}) {
		fmt.Println(f.Path, "-", f.Err)
	}
	// Output:
	// first_name - sign: no signature
}
