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
