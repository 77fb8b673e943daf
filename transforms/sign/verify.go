package sign

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/transforms/people"
)

// What can be wrong with a signature. Errors of Verify wrap one of these and
// say what it is about; they never hold a value.
var (
	ErrUnsigned         = errors.New("sign: no signature")
	ErrUnknownPublisher = errors.New("sign: publisher without published keys")
	// ErrHeader is a mark or JWS that is malformed, or has a header that is
	// not accepted.
	ErrHeader = errors.New("sign: signature not of an accepted form")
	// ErrBadSignature is a signature by none of the publisher's keys.
	ErrBadSignature = errors.New("sign: signature by none of the publisher's keys")
	// ErrMoved is a good signature made for another person or attribute.
	ErrMoved = errors.New("sign: signed for another place")
	// ErrUnbound is a good signature that names no place, where the policy
	// demands one.
	ErrUnbound = errors.New("sign: signature not bound to person and attribute")
	// ErrMismatch is a good signature of something else than the attribute.
	ErrMismatch = errors.New("sign: attribute differs from what was signed")
)

// A Policy says what Verify demands beyond a good signature.
type Policy struct {
	// RequireBinding refuses signatures that name neither person nor
	// attribute, as all those of the older system.
	RequireBinding bool
	// Algorithms lists, for publishers that are in it, the JWS algorithms that
	// are accepted of them; others may use any that Verify knows.
	Algorithms map[people.Publisher][]string
}

// Verify checks the publisher's signature of an attribute that stands at path
// in the profile of the person id: a JWS by one of the keys of the publisher
// that it names, bound to this place or (unless the policy demands it) not
// bound at all, whose payload means the same as the attribute.
//
// Meaning is compared, not bytes: order of keys, escapes and the precision of
// equal instants may differ between producers.
func Verify(keys Keys, id people.ID, path people.Path, a people.Attribute, policy Policy) error {
	mark := a.Signature.Publisher
	if mark.Value == "" {
		return ErrUnsigned
	}
	candidates := keys[people.Publisher(mark.Name)]
	if mark.Name == "" || len(candidates) == 0 {
		return ErrUnknownPublisher
	}

	input, signature, err := splitLast(mark.Value)
	if err != nil {
		return err
	}
	first, second, ok := strings.Cut(input, ".")
	if !ok {
		return fmt.Errorf("%w: not three parts", ErrHeader)
	}
	plain, err := decodePart(first)
	if err != nil {
		return err
	}
	h, err := parseHeader(plain, typAttribute)
	if err != nil {
		return err
	}
	name, _ := markOf(h.alg)
	if mark.Typ != typJWS || mark.Alg != name && !(h.alg == RS256 && mark.Alg == "RSA") {
		return fmt.Errorf("%w: typ or alg beside the signature contradicts it", ErrHeader)
	}
	if accepted, ok := policy.Algorithms[people.Publisher(mark.Name)]; ok && !slices.Contains(accepted, h.alg) {
		return fmt.Errorf("%w: %s is not accepted of this publisher", ErrHeader, h.alg)
	}
	payload, err := decodePart(second)
	if err != nil {
		return err
	}

	if !verifiesAny(candidates, h, []byte(input), signature) {
		return ErrBadSignature
	}
	switch {
	case !h.bound && policy.RequireBinding:
		return ErrUnbound
	case h.bound && h.sub != id.String():
		return fmt.Errorf("%w: another person", ErrMoved)
	case h.bound && h.attr != string(path):
		return fmt.Errorf("%w: another attribute", ErrMoved)
	}

	signed, err := people.ParseAttribute(payload)
	if err != nil {
		return fmt.Errorf("%w: the payload is no attribute", ErrMismatch)
	}
	if what := difference(signed, a); what != "" {
		return fmt.Errorf("%w: %s", ErrMismatch, what)
	}
	return nil
}

// Bound returns the person and the attribute that the signature of a says it
// was made for; ok is false if it names none that Verify could accept. It
// verifies nothing: it is for saying whom a good signature would be about.
func Bound(a people.Attribute) (id people.ID, path people.Path, ok bool) {
	first, _, _ := strings.Cut(a.Signature.Publisher.Value, ".")
	plain, err := decodePart(first)
	if err != nil {
		return people.ID{}, "", false
	}
	h, err := parseHeader(plain, typAttribute)
	if err != nil || !h.bound {
		return people.ID{}, "", false
	}
	id, err = people.ParseID(h.sub)
	return id, people.Path(h.attr), err == nil
}

// KeyID returns the kid that the signature of a names, "" if it names none. It
// verifies nothing.
func KeyID(a people.Attribute) string {
	first, _, _ := strings.Cut(a.Signature.Publisher.Value, ".")
	plain, err := decodePart(first)
	if err != nil {
		return ""
	}
	h, err := parseHeader(plain, typAttribute)
	if err != nil {
		return ""
	}
	return h.kid
}

// A Finding is an attribute whose signature does not hold, and why not.
type Finding struct {
	Path people.Path
	Err  error
}

// Profile verifies every attribute of a profile, against the person that its
// own uuid names. Attributes that are null need no signature; if one has one
// nevertheless, it must hold.
func Profile(keys Keys, p *people.Profile, policy Policy) []Finding {
	// Without a uuid nothing can be bound to this person, and the zero ID fails
	// each signature that is bound.
	id, _ := people.ParseID(p.Value(people.UUID).Text())
	var findings []Finding
	for _, n := range p.Attributes {
		if n.Value.IsNull() && n.Signature.Publisher.Value == "" {
			continue
		}
		if err := Verify(keys, id, n.Path, n.Attribute, policy); err != nil {
			findings = append(findings, Finding{n.Path, err})
		}
	}
	return findings
}

// splitLast separates the signing input from the signature.
func splitLast(jws string) (input string, signature []byte, err error) {
	i := strings.LastIndexByte(jws, '.')
	if i < 0 {
		return "", nil, fmt.Errorf("%w: not three parts", ErrHeader)
	}
	signature, err = decodePart(jws[i+1:])
	return jws[:i], signature, err
}

// decodePart reads one part of a JWS in the only form that encoding gives:
// no padding, no line breaks (which encoding/base64 skips), no stray bits.
func decodePart(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: base64url is not canonical", ErrHeader)
	}
	return b, nil
}

type header struct {
	alg, kid  string
	bound     bool
	sub, attr string
}

// refused are the header parameters that would change what is verified, or
// bring a key of their own (RFC 7515 section 4.1, RFC 7797).
var refused = [...]string{"crit", "b64", "jwk", "jku", "x5u", "x5c"}

// typAttribute is the typ of a header of a signed attribute, which may be left
// out there.
const typAttribute = "JWT"

// parseHeader reads a protected header, whose typ must be the one that is given;
// duplicate members are refused by the reader.
func parseHeader(b []byte, want string) (header, error) {
	var members map[string]jsontext.Value
	if json.Unmarshal(b, &members) != nil || members == nil {
		return header{}, fmt.Errorf("%w: the header is no JSON object, or has a member twice", ErrHeader)
	}
	for _, name := range refused {
		if _, ok := members[name]; ok {
			return header{}, fmt.Errorf("%w: header has %s", ErrHeader, name)
		}
	}
	text := map[string]string{}
	for _, name := range [...]string{"alg", "typ", "kid", "sub", "attr"} {
		raw, ok := members[name]
		if !ok {
			continue
		}
		var s string
		if raw.Kind() != '"' || json.Unmarshal(raw, &s) != nil || s == "" {
			return header{}, fmt.Errorf("%w: header's %s is empty or no string", ErrHeader, name)
		}
		text[name] = s
	}
	h := header{alg: text["alg"], kid: text["kid"], sub: text["sub"], attr: text["attr"], bound: text["sub"] != ""}
	if h.alg != RS256 && h.alg != EdDSA {
		return header{}, fmt.Errorf("%w: header's alg is neither RS256 nor EdDSA", ErrHeader)
	}
	if typ, ok := text["typ"]; typ != want && (ok || want != typAttribute) {
		return header{}, fmt.Errorf("%w: header's typ is not %s", ErrHeader, want)
	}
	if (h.sub == "") != (h.attr == "") {
		return header{}, fmt.Errorf("%w: header has one of sub and attr", ErrHeader)
	}
	return h, nil
}

// verifiesAny tries the keys with the header's kid first. A kid only saves
// time: older producers gave all their keys the same one.
func verifiesAny(keys []Key, h header, input, signature []byte) bool {
	for _, named := range [...]bool{true, false} {
		for _, k := range keys {
			if (h.kid != "" && k.id == h.kid) == named && k.verifies(h.alg, input, signature) {
				return true
			}
		}
	}
	return false
}

// difference names what of an attribute, signature apart, differs from what
// was signed.
func difference(signed, a people.Attribute) string {
	s, m := signed.Metadata, a.Metadata
	switch {
	case signed.Signature.Publisher != people.Mark{} || len(signed.Signature.Additional) > 0:
		return "a signature inside the signed payload"
	case !signed.Value.Equal(a.Value) || signed.Value.Plural() != a.Value.Plural():
		return "value"
	case s.Display != m.Display:
		return "display"
	case s.Verified != m.Verified:
		return "verified"
	case s.Classification != m.Classification:
		return "classification"
	case !sameTime(s.Created, m.Created):
		return "created"
	case !sameTime(s.LastModified, m.LastModified):
		return "last_modified"
	}
	return ""
}

// sameTime compares two dates as instants if both are dates, else as text.
func sameTime(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := parseTime(a)
	y, errY := parseTime(b)
	return errX == nil && errY == nil && x.Equal(y)
}

// parseTime reads RFC 3339, and the form 2019-01-01T:10:00:00.000Z that stands
// in old data.
func parseTime(s string) (time.Time, error) {
	return time.Parse(time.RFC3339, strings.Replace(s, "T:", "T", 1))
}
