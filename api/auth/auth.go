// Package auth owns the question whose a bearer token is: it verifies JSON Web
// Tokens (RFC 7519) in compact form against the published keys of the issuers
// that are configured, and says which [api.Caller] a token speaks for.
//
// It refuses whatever it does not need, as RFC 8725 advises. A token cannot
// bring or point to its own key (jwk, jku, x5u, x5c), cannot ask for extensions
// (crit, b64), and cannot choose how it is verified: its algorithm must be one
// that its issuer is configured with, and must be that of the key that its kid
// names. There are no shared secrets (HS256) and no tokens without signature.
// JSON with a member twice, and base64 that is not canonical, are refused, so
// that no two readers can understand one token in two ways.
//
// # Errors
//
// A token that is not accepted is an [api.Error] of status 401:
//
//	invalid_header  its form, header, key or signature is wrong
//	token_expired   it was right once
//	invalid_claims  it is signed, but says what is not accepted here; or it
//	                names an issuer that is not one of ours
//
// That an issuer's keys cannot be read is another error: it says nothing about
// the token. Descriptions say what to do. No error holds anything of a token.
//
// # Keys
//
// A set of keys is read when it is first needed and again when it is older than
// Options.Refresh. What is read replaces what was there: a key that its issuer
// withdrew is dead from then on, together with what is remembered of tokens that
// it signed. A key that is withdrawn while tokens come in is dead after one and
// a half times Refresh. If the issuer cannot be read, the last set serves until
// it is older than Options.MaxStale. A token with a kid that is not in the set
// makes the set be read at once, but while there is a set its issuer is never
// asked twice within Options.Pause, whatever comes in.
package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.org/cis/api"
)

// Options are those of a [Verifier]. Only Audience and Issuers must be given.
type Options struct {
	// Audience names this service. A token must be for it (RFC 7519, aud).
	Audience string
	// Issuers are those whose tokens are accepted.
	Issuers []Issuer
	// Client asks the issuers, nil for one of the Verifier's own. Its redirects
	// are limited to the host that was asked.
	Client *http.Client
	// Now is the clock, nil for that of the system.
	Now func() time.Time
	// Log is told when keys change or cannot be read, nil for nobody.
	Log *slog.Logger

	// Refresh is the age at which a set of keys is read again. Default: 10 minutes.
	Refresh time.Duration
	// MaxStale is the age up to which a set serves while its issuer cannot be
	// read. Default: an hour.
	MaxStale time.Duration
	// Pause is between two readings of one issuer's keys; where there are none that
	// may be used, a tenth of it. Default: a minute.
	Pause time.Duration
	// Timeout bounds one reading. Default: 4 seconds, since clients give up after 5.
	Timeout time.Duration
	// Remember is how many verified tokens are remembered, so that verifying them
	// again costs no signature. Default: 10000; negative: none.
	Remember int
}

// An Issuer is one whose tokens are accepted.
type Issuer struct {
	// Issuer is the exact iss of its tokens, an https URL; http is for loopback.
	Issuer string
	// JWKSURL is where its keys are. If it is "", the issuer's metadata says so
	// (OpenID Connect Discovery 1.0), which is read each time the keys are.
	JWKSURL string
	// Algorithms are those that it signs with: RS256, RS384, RS512, PS256, ES256 or
	// EdDSA. Default: RS256.
	Algorithms []string
	// Accounts, unless empty, are the addresses of which a token's verified email
	// must be one. It is for issuers that give tokens to anybody, such as Google.
	Accounts []string
	// Scopes are granted to the Accounts of an issuer whose tokens have no scopes;
	// those that they might have do not count. If it is empty, a token has the
	// scopes that its claim scope says, with spaces between them (RFC 8693).
	Scopes []string
}

// A Verifier verifies tokens. It is for any number of goroutines.
type Verifier struct {
	audience string
	now      func() time.Time
	rings    map[string]*ring // by the iss of tokens
	known    *memory
	reading  sync.WaitGroup
	idle     func()
}

var _ api.Authenticator = (*Verifier)(nil)

// Open checks the options. No issuer is asked yet.
func Open(o Options) (*Verifier, error) {
	if o.Audience == "" {
		return nil, errors.New("auth: there is no audience: without it a token for any other service would be accepted")
	}
	if len(o.Issuers) == 0 {
		return nil, errors.New("auth: there are no issuers")
	}
	o.Refresh = cmp.Or(o.Refresh, 10*time.Minute)
	o.MaxStale = cmp.Or(o.MaxStale, time.Hour)
	o.Pause = cmp.Or(o.Pause, time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 4*time.Second)
	o.Remember = cmp.Or(o.Remember, 10_000)
	if o.Refresh < 0 || o.Pause < 0 || o.Timeout < 0 || o.MaxStale < o.Refresh {
		return nil, errors.New("auth: want bounds of time that are positive, and MaxStale not below Refresh")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{audience: o.Audience, now: o.Now, rings: map[string]*ring{}, known: newMemory(o.Remember), idle: func() {}}
	if o.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		o.Client, v.idle = &http.Client{Transport: transport}, transport.CloseIdleConnections
	}
	client := *o.Client
	client.CheckRedirect = sameHost
	client.Jar = nil
	for n, i := range o.Issuers {
		err := i.check()
		if err == nil && v.rings[i.Issuer] != nil {
			err = errors.New("it is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("auth: issuer %d: %w", n+1, err)
		}
		if len(i.Algorithms) == 0 {
			i.Algorithms = []string{string(jose.RS256)}
		}
		i.Scopes = slices.Compact(slices.Sorted(slices.Values(i.Scopes)))
		v.rings[i.Issuer] = &ring{Issuer: i, opts: o, client: &client, reading: &v.reading}
	}
	return v, nil
}

// check returns the first complaint about an issuer.
func (i Issuer) check() error {
	if err := checkURL(i.Issuer); err != nil {
		return err
	}
	if strings.Contains(i.Issuer, "?") {
		return errors.New("want a URL without query")
	}
	if i.JWKSURL != "" {
		if err := checkURL(i.JWKSURL); err != nil {
			return fmt.Errorf("its keys: %w", err)
		}
	}
	for _, alg := range i.Algorithms {
		if kindOf[alg] == "" {
			return fmt.Errorf("algorithm %q is not one of RS256, RS384, RS512, PS256, ES256 and EdDSA", alg)
		}
	}
	if len(i.Scopes) > 0 && len(i.Accounts) == 0 {
		return errors.New("scopes are for accounts, and there are none: anybody with a token of it would have them")
	}
	if slices.Contains(i.Accounts, "") {
		return errors.New("an account is empty")
	}
	for _, s := range i.Scopes {
		if s == "" || strings.ContainsAny(s, " \t\r\n") {
			return errors.New("a scope is not one word")
		}
	}
	return nil
}

// checkURL demands https, except of this machine itself, and refuses what could
// hold a secret. Its errors hold nothing of the URL.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("want an https URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("want a URL without user and fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("want an https URL; http is for 127.0.0.1, ::1 and localhost")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Close ends what the Verifier does in the background, which is reading keys. It
// is of no use afterwards.
func (v *Verifier) Close() error {
	for _, r := range v.rings {
		r.close()
	}
	v.reading.Wait()
	v.idle()
	return nil
}

// Ready reports whether tokens can be verified: nil if there are usable keys of
// every issuer. It reads those that are missing.
func (v *Verifier) Ready(ctx context.Context) error {
	var bad []error
	for _, r := range v.rings {
		_, err := r.current(ctx, func(set) bool { return true })
		bad = append(bad, err)
	}
	return errors.Join(bad...)
}

// Authenticate returns whom the token speaks for. Others may be given the same
// Caller, which is not to be changed.
func (v *Verifier) Authenticate(ctx context.Context, token string) (*api.Caller, error) {
	if len(token) > maxToken {
		return nil, invalidHeader(fmt.Sprintf("the token is over %d bytes: get one with fewer claims", maxToken))
	}
	sum := sha256.Sum256([]byte(token))
	if k, ok := v.known.find(sum); ok && v.now().Before(k.until) {
		keys, err := k.ring.current(ctx, func(s set) bool { return s[k.key.id] != nil })
		if err != nil {
			return nil, err
		}
		if keys[k.key.id] == k.key {
			return k.caller, nil
		}
	}

	t, err := parse(token)
	if err != nil {
		return nil, err
	}
	r := v.rings[t.claims.text("iss")]
	if r == nil {
		return nil, invalidClaims(noIssuer)
	}
	if !slices.Contains(r.Algorithms, t.alg) {
		return nil, invalidHeader("the algorithm of the token is not accepted: of this issuer it has to be " + strings.Join(r.Algorithms, " or "))
	}
	keys, err := r.current(ctx, func(s set) bool { return s[t.kid] != nil })
	if err != nil {
		return nil, err
	}
	k := keys[t.kid]
	if k == nil || !k.fits(t.alg) {
		return nil, invalidHeader("no key that the issuer publishes has the kid and the algorithm of the token: get a new one")
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.alg)})
	if err == nil {
		_, err = signed.Verify(k.public)
	}
	if err != nil {
		return nil, invalidHeader("the signature of the token is wrong: send it as the issuer gave it, or get a new one")
	}
	caller, until, err := t.claims.accept(v.now(), v.audience, r.Issuer)
	if err != nil {
		return nil, err
	}
	v.known.keep(sum, verified{caller: caller, until: until, ring: r, key: k})
	return caller, nil
}

const noIssuer = "the issuer of the token is not accepted here: get one of an issuer that the service is configured with (api.issuers)"

func invalidHeader(description string) error {
	return &api.Error{Status: http.StatusUnauthorized, Code: "invalid_header", Description: description}
}

func invalidClaims(description string) error {
	return &api.Error{Status: http.StatusUnauthorized, Code: "invalid_claims", Description: description}
}

func expired() error {
	return &api.Error{Status: http.StatusUnauthorized, Code: "token_expired", Description: "the token has expired: get a new one"}
}
