package sign

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

// Document signs a document that is no attribute: a compact JWS whose header
// has the typ that is given, such as "cis-receipt", so that it can be taken for
// nothing else.
func Document(ctx context.Context, s Signer, typ string, doc []byte) (string, error) {
	alg := s.Algorithm()
	if _, ok := markOf(alg); !ok || typ == "" || typ == typAttribute {
		return "", fmt.Errorf("sign: a document of the typ %q, signed by %q", typ, alg)
	}
	header := append([]byte(`{"alg":"`), alg...)
	header = people.AppendQuoted(append(header, `","typ":`...), typ)
	header = people.AppendQuoted(append(header, `,"kid":`...), s.KeyID())
	b64 := base64.RawURLEncoding
	jws := append(b64.AppendEncode(nil, append(header, '}')), '.')
	jws = b64.AppendEncode(jws, doc)
	raw, err := s.Sign(ctx, jws)
	if err != nil {
		return "", fmt.Errorf("sign: %s: %w", typ, err)
	}
	return string(b64.AppendEncode(append(jws, '.'), raw)), nil
}

// Detached signs a document that travels beside its signature: what [Document]
// makes, with nothing between the two dots (RFC 7515, appendix F). Whoever has
// both puts the document there, in base64url, and has an ordinary JWS.
func Detached(ctx context.Context, s Signer, typ string, doc []byte) (string, error) {
	jws, err := Document(ctx, s, typ, doc)
	if err != nil {
		return "", err
	}
	return jws[:strings.IndexByte(jws, '.')+1] + jws[strings.LastIndexByte(jws, '.'):], nil
}

// VerifyDetached checks what Detached made of a document, by the keys of a
// publisher. The errors are those of [Verify].
func VerifyDetached(keys Keys, publisher people.Publisher, typ, jws string, doc []byte, policy Policy) error {
	header, signature, ok := strings.Cut(jws, "..")
	if !ok {
		return fmt.Errorf("%w: not a header and a signature with two dots between them", ErrHeader)
	}
	_, err := VerifyDocument(keys, publisher, typ, header+"."+base64.RawURLEncoding.EncodeToString(doc)+"."+signature, policy)
	return err
}

// VerifyDocument checks what Document made, by the keys of a publisher, and
// returns the document. The errors are those of [Verify].
func VerifyDocument(keys Keys, publisher people.Publisher, typ, jws string, policy Policy) ([]byte, error) {
	candidates := keys[publisher]
	if len(candidates) == 0 {
		return nil, ErrUnknownPublisher
	}
	input, signature, err := splitLast(jws)
	if err != nil {
		return nil, err
	}
	first, second, ok := strings.Cut(input, ".")
	if !ok {
		return nil, fmt.Errorf("%w: not three parts", ErrHeader)
	}
	plain, err := decodePart(first)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(plain, typ)
	if err != nil {
		return nil, err
	}
	if accepted, ok := policy.Algorithms[publisher]; ok && !slices.Contains(accepted, h.alg) {
		return nil, fmt.Errorf("%w: %s is not accepted of this publisher", ErrHeader, h.alg)
	}
	doc, err := decodePart(second)
	if err != nil {
		return nil, err
	}
	if !verifiesAny(candidates, h, []byte(input), signature) {
		return nil, ErrBadSignature
	}
	return doc, nil
}
