package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-json-experiment/json"
)

// kidLength is how much of a thumbprint stands for a key without a kid: 96
// bits tell the few keys of a publisher apart.
const kidLength = 16

// ParseSigner reads a private key, and returns what signs with it and the
// public key to publish. The key is a JWK (RFC 7517, RFC 8037) with its private
// members, or PEM of PKCS #8 or PKCS #1 ("openssl genpkey" writes the former);
// an RSA key of two primes, 2048 to 8192 bits, or Ed25519.
//
// The kid is the one given; if that is "" the JWK's own, and else the first 16
// characters of the [Key.Thumbprint]. Errors hold nothing of the key.
func ParseSigner(b []byte, kid string) (Signer, Key, error) {
	var private crypto.Signer
	var err error
	if trimmed := bytes.TrimSpace(b); bytes.HasPrefix(trimmed, []byte("{")) {
		var own string
		if private, own, err = parsePrivateJWK(trimmed); kid == "" {
			kid = own
		}
	} else {
		private, err = parsePEM(b)
	}
	if err != nil {
		return nil, Key{}, fmt.Errorf("sign: read a private key: %w", err)
	}
	key, err := NewKey(kid, private.Public())
	if err != nil {
		return nil, Key{}, err
	}
	if kid == "" {
		key.id = key.Thumbprint()[:kidLength]
	}
	s, err := NewSigner(key.id, private)
	return s, key, err
}

func parsePEM(b []byte) (crypto.Signer, error) {
	var block *pem.Block
	for rest := b; ; {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("neither a JWK nor PEM of PKCS #8 or PKCS #1")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errors.New("it is encrypted: decrypt it first, such as with openssl pkey")
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("it is encrypted: decrypt it first, such as with openssl pkey")
		case "EC PRIVATE KEY":
			return nil, errors.New("an elliptic key; want RSA or Ed25519")
		default: // a certificate or the like beside the key
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: damaged, or of an unknown kind", block.Type)
		}
		private, ok := key.(crypto.Signer)
		if !ok {
			return nil, errors.New("a key that does not sign; want RSA or Ed25519")
		}
		return private, nil
	}
}

func parsePrivateJWK(b []byte) (key crypto.Signer, kid string, err error) {
	var jwk struct {
		Kty string `json:"kty"`
		Kid string `json:"kid"`
		Alg string `json:"alg"`
		Use string `json:"use"`
		N   string `json:"n"`
		E   string `json:"e"`
		D   string `json:"d"`
		P   string `json:"p"`
		Q   string `json:"q"`
		Crv string `json:"crv"`
		X   string `json:"x"`
	}
	if json.Unmarshal(b, &jwk) != nil { // its error could quote the key
		return nil, "", errors.New("not a JWK")
	}
	switch {
	case jwk.Kty != "RSA" && jwk.Kty != "OKP":
		return nil, "", fmt.Errorf("unknown key type %q; want RSA or OKP", jwk.Kty)
	case jwk.D == "":
		return nil, "", errors.New("a JWK without its private members")
	case jwk.Use != "" && jwk.Use != "sig":
		return nil, "", errors.New("not for signatures (use)")
	}
	alg := RS256
	if jwk.Kty == "RSA" {
		key, err = privateRSA(jwk.N, jwk.E, jwk.D, jwk.P, jwk.Q)
	} else {
		alg = EdDSA
		key, err = privateEd25519(jwk.Crv, jwk.X, jwk.D)
	}
	if err == nil && jwk.Alg != "" && jwk.Alg != alg {
		err = fmt.Errorf("alg %q does not fit the key", jwk.Alg)
	}
	return key, jwk.Kid, err
}

// privateRSA reads the members of a key of two primes; the others that a JWK
// has follow from these.
func privateRSA(members ...string) (crypto.Signer, error) {
	var numbers [5]*big.Int
	for i, m := range members {
		x, err := decodeNumber(m)
		if err != nil || x.Sign() == 0 {
			return nil, errors.New("one of n, e, d, p and q is missing or no base64url number")
		}
		numbers[i] = x
	}
	n, e, d, p, q := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	if !e.IsInt64() || e.Int64() > 1<<31-1 || n.BitLen() > 8192 {
		return nil, errors.New("n or e is too large")
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: d, Primes: []*big.Int{p, q}}
	if err := checkPublic(&key.PublicKey); err != nil {
		return nil, err
	}
	if key.Validate() != nil {
		return nil, errors.New("its numbers do not make an RSA key")
	}
	key.Precompute()
	return key, nil
}

func privateEd25519(crv, x, d string) (crypto.Signer, error) {
	if crv != "Ed25519" {
		return nil, fmt.Errorf("unknown curve %q", crv)
	}
	public, err := decodeBase64(x)
	if err != nil {
		return nil, errors.New("x is not base64url")
	}
	seed, err := decodeBase64(d)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("d is not %d bytes in base64url", ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !bytes.Equal(key[ed25519.SeedSize:], public) {
		return nil, errors.New("x and d are not of one key")
	}
	return key, nil
}
