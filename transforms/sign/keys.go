package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/transforms/people"
)

// A Key is one public key of a publisher. The zero Key verifies nothing.
type Key struct {
	id     string
	public crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey, checked
}

// NewKey returns the key with the given kid, "" if it has none: RSA of 2048
// to 8192 bits (*[rsa.PublicKey]) or [ed25519.PublicKey].
func NewKey(kid string, public crypto.PublicKey) (Key, error) {
	if err := checkPublic(public); err != nil {
		return Key{}, fmt.Errorf("sign: %w", err)
	}
	return Key{kid, public}, nil
}

// ID returns the kid.
func (k Key) ID() string { return k.id }

// Algorithm returns the only JWS algorithm that the key is used with.
func (k Key) Algorithm() string {
	switch k.public.(type) {
	case *rsa.PublicKey:
		return RS256
	case ed25519.PublicKey:
		return EdDSA
	}
	return ""
}

// Thumbprint returns the key's SHA-256 thumbprint (RFC 7638) in base64url: the
// same for everybody who has the key, whatever kid they give it.
func (k Key) Thumbprint() string {
	b64 := base64.RawURLEncoding
	var members string // those that the key type requires, sorted
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		e, n := b64.EncodeToString(big.NewInt(int64(p.E)).Bytes()), b64.EncodeToString(p.N.Bytes())
		members = `{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`
	case ed25519.PublicKey:
		members = `{"crv":"Ed25519","kty":"OKP","x":"` + b64.EncodeToString(p) + `"}`
	default:
		return ""
	}
	sum := sha256.Sum256([]byte(members))
	return b64.EncodeToString(sum[:])
}

// Public returns the key itself.
func (k Key) Public() crypto.PublicKey { return k.public }

func (k Key) verifies(alg string, input, signature []byte) bool {
	if alg != k.Algorithm() {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(p, crypto.SHA256, sum[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(p, input, signature)
	}
	return false
}

// AppendJSON appends the public JWK (RFC 7517, RFC 8037), members sorted.
func (k Key) AppendJSON(b []byte) []byte {
	b64 := base64.RawURLEncoding
	member := func(name, value string) {
		b = append(people.AppendQuoted(b, name), ':')
		b = append(people.AppendQuoted(b, value), ',')
	}
	b = append(b, '{')
	member("alg", k.Algorithm())
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		member("e", b64.EncodeToString(big.NewInt(int64(p.E)).Bytes()))
		member("kid", k.id)
		member("kty", "RSA")
		member("n", b64.EncodeToString(p.N.Bytes()))
		member("use", "sig")
	case ed25519.PublicKey:
		member("crv", "Ed25519")
		member("kid", k.id)
		member("kty", "OKP")
		member("use", "sig")
		member("x", b64.EncodeToString(p))
	}
	b[len(b)-1] = '}'
	return b
}

// Keys are the public keys by publisher, the current one first. Older
// clients read the first one only, and only if it is RSA.
type Keys map[people.Publisher][]Key

// MergeKeys returns the keys of several places as they are published: of each
// publisher RSA before others, which older clients could not read, and apart
// from that in the order in which they are given. A key that is there twice
// with the same kid stands once.
func MergeKeys(places ...Keys) Keys {
	all := Keys{}
	for _, keys := range places {
		for publisher, list := range keys {
			for _, k := range list {
				if !slices.ContainsFunc(all[publisher], func(has Key) bool { return has.id == k.id && has.Thumbprint() == k.Thumbprint() }) {
					all[publisher] = append(all[publisher], k)
				}
			}
		}
	}
	rank := func(k Key) int {
		if k.Algorithm() == RS256 {
			return 0
		}
		return 1
	}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b Key) int { return rank(a) - rank(b) })
	}
	return all
}

// AppendJSON appends the form in which well-known documents publish keys
// (api.publishers_jwks), publishers sorted:
//
//	{"<publisher>":{"keys":[{…},…]},…}
func (k Keys) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, publisher := range slices.Sorted(maps.Keys(k)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(people.AppendQuoted(b, string(publisher)), `:{"keys":[`...)
		for j, key := range k[publisher] {
			if j > 0 {
				b = append(b, ',')
			}
			b = key.AppendJSON(b)
		}
		b = append(b, "]}"...)
	}
	return append(b, '}')
}

// ParseKeys reads the keys of all publishers from a well-known document
// (api.publishers_jwks) or from that part of it alone. A key that cannot be
// used (unknown type, wrong size, not for signing) is left out, with a reason
// in skipped; err is for a document that is none.
//
// Certificates (x5c) are not read: where they and n differ, n counts, and in
// documents of the older system they are no certificates.
func ParseKeys(b []byte) (keys Keys, skipped []error, err error) {
	var document struct {
		API *struct {
			Publishers map[people.Publisher]jsontext.Value `json:"publishers_jwks"`
		} `json:"api"`
	}
	publishers := map[people.Publisher]jsontext.Value{}
	if err := json.Unmarshal(b, &document); err != nil {
		return nil, nil, fmt.Errorf("sign: read keys: %w", err)
	}
	if document.API != nil {
		publishers = document.API.Publishers
	} else if err := json.Unmarshal(b, &publishers); err != nil {
		return nil, nil, fmt.Errorf("sign: read keys: %w", err)
	}
	if publishers == nil {
		return nil, nil, errors.New("sign: read keys: no api.publishers_jwks")
	}

	keys = Keys{}
	for _, publisher := range slices.Sorted(maps.Keys(publishers)) {
		var set struct {
			Keys jsontext.Value `json:"keys"`
		}
		if err := json.Unmarshal(publishers[publisher], &set); err != nil {
			skipped = append(skipped, fmt.Errorf("sign: %s: not a set of keys", publisher))
			continue
		}
		list := []jsontext.Value{set.Keys} // a single key may stand without its list
		switch set.Keys.Kind() {
		case '[':
			if err := json.Unmarshal(set.Keys, &list); err != nil {
				return nil, nil, fmt.Errorf("sign: read keys of %s: %w", publisher, err)
			}
		case '{':
		default:
			skipped = append(skipped, fmt.Errorf("sign: %s: no list of keys", publisher))
			continue
		}
		for i, raw := range list {
			key, err := parseKey(raw)
			if err != nil {
				skipped = append(skipped, fmt.Errorf("sign: %s: key %d: %w", publisher, i+1, err))
				continue
			}
			keys[publisher] = append(keys[publisher], key)
		}
	}
	return keys, skipped, nil
}

func parseKey(raw jsontext.Value) (Key, error) {
	var jwk struct {
		Kty string         `json:"kty"`
		Kid string         `json:"kid"`
		Alg string         `json:"alg"`
		Use string         `json:"use"`
		N   string         `json:"n"`
		E   string         `json:"e"`
		Crv string         `json:"crv"`
		X   string         `json:"x"`
		D   jsontext.Value `json:"d"`
	}
	if raw.Kind() != '{' || json.Unmarshal(raw, &jwk) != nil {
		return Key{}, errors.New("not a JWK")
	}
	if jwk.D != nil {
		return Key{}, errors.New("a private key where public ones are published")
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return Key{}, errors.New("not for signatures (use)")
	}
	var k Key
	switch jwk.Kty {
	case "RSA":
		n, nErr := decodeNumber(jwk.N)
		e, eErr := decodeNumber(jwk.E)
		if nErr != nil || eErr != nil || !e.IsInt64() || e.Int64() > 1<<31-1 {
			return Key{}, errors.New("n or e is no base64url number, or e is too large")
		}
		k = Key{jwk.Kid, &rsa.PublicKey{N: n, E: int(e.Int64())}}
	case "OKP":
		if jwk.Crv != "Ed25519" {
			return Key{}, fmt.Errorf("unknown curve %q", jwk.Crv)
		}
		x, err := decodeBase64(jwk.X)
		if err != nil {
			return Key{}, errors.New("x is not base64url")
		}
		k = Key{jwk.Kid, ed25519.PublicKey(x)}
	default:
		return Key{}, fmt.Errorf("unknown key type %q", jwk.Kty)
	}
	if jwk.Alg != "" && jwk.Alg != k.Algorithm() {
		return Key{}, fmt.Errorf("alg %q does not fit the key", jwk.Alg)
	}
	return k, checkPublic(k.public)
}

// decodeNumber reads a big-endian number; some published keys have a leading
// zero octet, which RFC 7518 section 6.3.1.1 forbids and which changes nothing.
func decodeNumber(s string) (*big.Int, error) {
	b, err := decodeBase64(s)
	return new(big.Int).SetBytes(b), err
}

// decodeBase64 reads base64url, padded or not.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}
