package sign

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"example.org/cis/transforms/people"
)

// The JWS algorithms (RFC 7518 section 3.3, RFC 8037 section 3.1): no other
// is signed or verified.
const (
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

// The errors of signing that a caller tells apart.
var (
	// ErrNull is an attempt to sign null; leave such an attribute unsigned.
	ErrNull = errors.New("sign: null cannot be signed")
	// ErrDate is a date in the metadata that is not in [people.TimeFormat].
	ErrDate = errors.New("sign: date without exactly three decimals")
	// ErrBinding is an attempt to sign for nobody or for no attribute.
	ErrBinding = errors.New("sign: no person or no attribute to sign for")
)

// A Signer is one private key, wherever it is kept.
type Signer interface {
	// KeyID is the kid under which the public key is published.
	KeyID() string
	// Algorithm is RS256 or EdDSA.
	Algorithm() string
	// Sign returns the raw signature of payload, a JWS signing input: it does
	// the hashing, and neither keeps nor changes payload. The same payload
	// gives the same signature.
	Sign(ctx context.Context, payload []byte) ([]byte, error)
}

// NewSigner returns a Signer for a key in memory or behind a [crypto.Signer]:
// RSA of 2048 to 8192 bits, or Ed25519. Printing the Signer never shows the
// key.
func NewSigner(kid string, key crypto.Signer) (Signer, error) {
	public, err := NewKey(kid, key.Public())
	if err != nil {
		return nil, err
	}
	if kid == "" {
		return nil, errors.New("sign: a signing key needs a key id")
	}
	s := local{kid: kid, alg: public.Algorithm()}
	// The key stays inside a function: no printing verb reaches it there.
	if s.alg == EdDSA {
		s.sign = func(payload []byte) ([]byte, error) { return key.Sign(nil, payload, crypto.Hash(0)) }
	} else {
		s.sign = func(payload []byte) ([]byte, error) {
			sum := sha256.Sum256(payload)
			return key.Sign(nil, sum[:], crypto.SHA256)
		}
	}
	return s, nil
}

type local struct {
	kid, alg string
	sign     func(payload []byte) ([]byte, error)
}

func (s local) KeyID() string     { return s.kid }
func (s local) Algorithm() string { return s.alg }

func (s local) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.sign(payload)
}

// Attribute returns a with the publisher's signature for the attribute at
// path of the person id. The additional signatures stay as they are. The
// errors are ErrNull, ErrDate, ErrBinding and those of the signer.
func Attribute(ctx context.Context, s Signer, publisher people.Publisher, id people.ID, path people.Path, a people.Attribute) (people.Attribute, error) {
	if id.IsZero() || path == "" {
		return people.Attribute{}, ErrBinding
	}
	var usual [128]byte
	binding := append(usual[:0], `,"sub":"`...)
	binding = append(append(binding, id.String()...), `","attr":`...)
	return attribute(ctx, s, publisher, path, a, people.AppendQuoted(binding, string(path)))
}

// Unbound does what Attribute does, but the signature names neither person nor
// attribute: whoever holds it can move it to others, and a verifier may refuse
// it ([Policy]). It is for publishers of the older system, who do not know the
// uuid of the person they speak of. path is for errors only.
func Unbound(ctx context.Context, s Signer, publisher people.Publisher, path people.Path, a people.Attribute) (people.Attribute, error) {
	return attribute(ctx, s, publisher, path, a, nil)
}

// attribute signs with a header that ends in the members of binding.
func attribute(ctx context.Context, s Signer, publisher people.Publisher, path people.Path, a people.Attribute, binding []byte) (people.Attribute, error) {
	if a.Value.IsNull() {
		return people.Attribute{}, fmt.Errorf("%w: %s", ErrNull, path)
	}
	if !isSignedDate(a.Metadata.Created) || !isSignedDate(a.Metadata.LastModified) {
		return people.Attribute{}, fmt.Errorf("%w: %s", ErrDate, path)
	}
	alg := s.Algorithm()
	mark, ok := markOf(alg)
	if !ok {
		return people.Attribute{}, fmt.Errorf("sign: signer of unknown algorithm %q", alg)
	}

	plain := append(make([]byte, 0, 512), `{"alg":"`...)
	plain = append(plain, alg...)
	plain = append(plain, `","typ":"JWT","kid":`...)
	plain = people.AppendQuoted(plain, s.KeyID())
	plain = append(append(plain, binding...), '}')
	header := len(plain)
	plain = a.AppendJSON(plain, false)

	const usual = 2048 / 8 // bytes of a signature; longer ones make jws grow
	b64 := base64.RawURLEncoding
	jws := make([]byte, 0, b64.EncodedLen(header)+b64.EncodedLen(len(plain)-header)+b64.EncodedLen(usual)+2)
	jws = append(b64.AppendEncode(jws, plain[:header]), '.')
	jws = b64.AppendEncode(jws, plain[header:])
	raw, err := s.Sign(ctx, jws)
	if err != nil {
		return people.Attribute{}, fmt.Errorf("sign: %s: %w", path, err)
	}
	jws = b64.AppendEncode(append(jws, '.'), raw)
	a.Signature.Publisher = people.Mark{Alg: mark, Typ: typJWS, Name: string(publisher), Value: string(jws)}
	return a, nil
}

// typJWS is the typ of a mark that holds a compact JWS.
const typJWS = "JWS"

// markOf returns the profile's own name of a JWS algorithm.
func markOf(alg string) (mark string, ok bool) {
	switch alg {
	case RS256:
		return "RS256", true
	case EdDSA:
		return "ED25519", true
	}
	return "", false
}

// isSignedDate reports whether s is a date in exactly people.TimeFormat. The
// places of the dot and the Z leave time.Parse, whose path for RFC 3339 is its
// fast one, none of its tolerances (a comma, an hour of one digit).
func isSignedDate(s string) bool {
	if len(s) != len(people.TimeFormat) || s[19] != '.' || s[23] != 'Z' {
		return false
	}
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

// checkPublic reports what is wrong with a public key.
func checkPublic(public crypto.PublicKey) error {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < 2048 || bits > 8192 || p.N.Bit(0) == 0 {
			return fmt.Errorf("an RSA key of %d bits, or an even one; want 2048 to 8192", bits)
		}
		if p.E < 3 || p.E > 1<<31-1 || p.E%2 == 0 {
			return errors.New("an RSA exponent that is even, below 3 or above 31 bits")
		}
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return fmt.Errorf("an Ed25519 key of %d bytes; want %d", len(p), ed25519.PublicKeySize)
		}
	default:
		return fmt.Errorf("a key of type %T; want RSA or Ed25519", public)
	}
	return nil
}
