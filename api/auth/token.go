package auth

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
)

const (
	maxToken = 16 << 10 // bytes; servers rarely accept headers that are longer
	leeway   = 60 * time.Second
)

// members are those of a JSON object, each exactly once.
type members map[string]jsontext.Value

// text is the value of a member that is a string, else "".
func (m members) text(name string) string {
	s, _ := textOf(m[name])
	return s
}

func textOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

// A parsed token says things that nobody has verified yet.
type parsed struct {
	alg, kid string
	claims   members
}

// parse takes a token in compact form (RFC 7515 section 7.1) apart.
func parse(token string) (parsed, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" {
		return parsed{}, invalidHeader("the token is not a signed JWT in compact form: send it as the issuer gave it, three parts with dots between them")
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, ok := decode(part)
		if !ok {
			return parsed{}, invalidHeader("the token is not in base64url: send it whole, as the issuer gave it")
		}
		decoded[i] = b
	}
	header, ok := object(decoded[0])
	if !ok {
		return parsed{}, invalidHeader("the header of the token is not a JSON object with each member once: get one of an issuer that makes it so")
	}
	for _, name := range []string{"b64", "crit", "jku", "jwk", "x5c", "x5u"} {
		if _, has := header[name]; has {
			return parsed{}, invalidHeader("the header of the token has the member " + name + ", which is not accepted: get one without it")
		}
	}
	if typ, has := header["typ"]; has && !isType(typ) {
		return parsed{}, invalidHeader("the header of the token says that it is no JWT: send an access token (typ JWT or at+jwt)")
	}
	t := parsed{alg: header.text("alg"), kid: header.text("kid")}
	if t.alg == "" || t.kid == "" {
		return parsed{}, invalidHeader("the header of the token has no alg or no kid: get one that names its algorithm and the key of the issuer")
	}
	if t.claims, ok = object(decoded[1]); !ok {
		return parsed{}, invalidClaims("the claims of the token are not a JSON object with each member once: get one of an issuer that makes it so")
	}
	return t, nil
}

// isType reports whether typ is that of a JWT or of an access token (RFC 9068).
// Types are compared as media types are, without case (RFC 7515 section 4.1.9).
func isType(typ jsontext.Value) bool {
	switch s, _ := textOf(typ); strings.ToLower(s) {
	case "jwt", "at+jwt", "application/at+jwt":
		return true
	}
	return false
}

// decode reads base64url without padding. The decoder of the standard library
// passes over line ends, even where it is strict about the last bits.
func decode(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

func object(b []byte) (members, bool) {
	var m members
	if jsontext.Value(b).Kind() != '{' {
		return nil, false
	}
	return m, json.Unmarshal(b, &m) == nil
}

// accept returns whom verified claims of the issuer speak for, and until when.
func (m members) accept(now time.Time, audience string, issuer Issuer) (*api.Caller, time.Time, error) {
	until, ok := m.date("exp")
	if !ok {
		return nil, until, invalidClaims("exp is missing or no date: get a token that says until when it is valid, in seconds since 1970")
	}
	// Expiry knows no leeway: it is for the client to get a new token in time.
	if !now.Before(until) {
		return nil, until, expired()
	}
	for _, name := range []string{"nbf", "iat"} {
		if _, has := m[name]; !has {
			continue
		}
		switch from, ok := m.date(name); {
		case !ok:
			return nil, until, invalidClaims(name + " is no date: get a token that says it in seconds since 1970")
		case now.Add(leeway).Before(from):
			return nil, until, invalidClaims("the token is not valid yet: use it later, or set the clock of its issuer right")
		}
	}
	if m.text("iss") != issuer.Issuer {
		return nil, until, invalidClaims(noIssuer)
	}
	if !m.isFor(audience) {
		return nil, until, invalidClaims("the token is for another audience: ask the issuer for that of api.audience in /.well-known/mozilla-iam")
	}
	caller := &api.Caller{Issuer: issuer.Issuer, Subject: m.text("sub"), Scopes: issuer.Scopes}
	if caller.Subject == "" {
		return nil, until, invalidClaims("sub is missing or no text: get a token that says who calls")
	}
	if len(issuer.Accounts) > 0 && !(string(m["email_verified"]) == "true" && slices.Contains(issuer.Accounts, m.text("email"))) {
		return nil, until, invalidClaims("the account of the token is not accepted: use one that the service names for this issuer (accounts of api.issuers), with an address that is verified")
	}
	if scope, has := m["scope"]; has && len(issuer.Scopes) == 0 {
		words, ok := textOf(scope)
		if !ok {
			return nil, until, invalidClaims("scope is no text: get a token that says its scopes with spaces between them")
		}
		caller.Scopes = slices.Compact(slices.Sorted(slices.Values(strings.Fields(words))))
	}
	return caller, until, nil
}

// isFor reports whether aud is the audience, or a list of texts with it.
func (m members) isFor(audience string) bool {
	if one, ok := textOf(m["aud"]); ok {
		return one == audience
	}
	var several []jsontext.Value
	if m["aud"].Kind() != '[' || json.Unmarshal(m["aud"], &several) != nil {
		return false
	}
	found := false
	for _, v := range several {
		one, ok := textOf(v)
		if !ok {
			return false
		}
		found = found || one == audience
	}
	return found
}

// date reads a NumericDate: seconds since 1970, perhaps with a fraction. Dates
// after the year 9999 are refused, for they are mistakes and overflow.
func (m members) date(name string) (time.Time, bool) {
	const last = 253402300799
	v := m[name]
	if v.Kind() != '0' {
		return time.Time{}, false
	}
	var seconds float64
	if err := json.Unmarshal(v, &seconds); err != nil || !(seconds >= 0 && seconds <= last) {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}
