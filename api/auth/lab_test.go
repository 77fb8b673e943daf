package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/cis/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "api.example.org"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// The tests sign with the standard library alone, so that nothing that is
// tested takes part in making tokens.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// edKey is an Ed25519 key that follows from its name.
func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// A signer makes the third part of a token from the other two.
type signer func(input []byte) []byte

func byEd(name string) signer {
	return func(input []byte) []byte { return ed25519.Sign(edKey(name), input) }
}

func byRSA(input []byte) []byte {
	sum := sha256.Sum256(input)
	return must(rsa.SignPKCS1v15(nil, rsaKey(), crypto.SHA256, sum[:]))
}

func byEC(input []byte) []byte {
	sum := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, ecKey(), sum[:])
	if err != nil {
		panic(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func byHMAC(secret []byte) signer {
	return func(input []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(input)
		return h.Sum(nil)
	}
}

func byNobody([]byte) []byte { return nil }

// compact signs a header and claims exactly as they are written.
func compact(header, claims string, sign signer) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + b64(string(sign([]byte(input))))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// The public keys as JWKs.
func edJWK(name string) map[string]any {
	return map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": name, "alg": "EdDSA", "use": "sig", "x": b64(string(edKey(name).Public().(ed25519.PublicKey)))}
}

func rsaJWK() map[string]any {
	return map[string]any{"kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig", "n": b64(string(rsaKey().N.Bytes())), "e": "AQAB"}
}

func ecJWK() map[string]any {
	point := must(ecKey().PublicKey.Bytes())
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": "ec", "x": b64(string(point[1:33])), "y": b64(string(point[33:]))}
}

// but is a copy with other members; a nil takes one out.
func but(m map[string]any, changes map[string]any) map[string]any {
	m = maps.Clone(m)
	for name, v := range changes {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	return m
}

func jwks(keys ...map[string]any) string {
	return string(must(json.Marshal(map[string]any{"keys": append([]map[string]any{}, keys...)})))
}

// A lab is an issuer and a Verifier of its tokens, at a time of its own.
type lab struct {
	*Verifier
	t      testing.TB
	issuer string

	clock atomic.Int64 // nanoseconds after noon
	read  atomic.Int64 // how often its keys were
	keys  atomic.Pointer[string]
	down  atomic.Bool
}

// newLab starts an issuer with the keys ed, rsa and ec. What is not a test is
// changed by the functions.
func newLab(t testing.TB, change ...func(*Options)) *lab {
	l := &lab{t: t}
	l.publish(edJWK("ed"), rsaJWK(), ecJWK())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case l.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, l.issuer, l.issuer+"keys")
		case r.URL.Path == "/keys":
			l.read.Add(1)
			fmt.Fprint(w, *l.keys.Load())
		default:
			t.Errorf("the issuer was asked for %s", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	l.issuer = server.URL + "/"
	o := Options{Audience: audience, Now: l.now, Issuers: []Issuer{{Issuer: l.issuer, Algorithms: []string{"RS256", "ES256", "EdDSA"}}}}
	for _, f := range change {
		f(&o)
	}
	v, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	l.Verifier = v
	t.Cleanup(func() { v.Close() })
	return l
}

func (l *lab) now() time.Time              { return noon.Add(time.Duration(l.clock.Load())) }
func (l *lab) pass(d time.Duration)        { l.clock.Add(int64(d)) }
func (l *lab) publish(k ...map[string]any) { s := jwks(k...); l.keys.Store(&s) }

// claims are good ones with changes; a nil takes one out.
func (l *lab) claims(changes map[string]any) string {
	good := map[string]any{"iss": l.issuer, "sub": "abc@clients", "aud": audience, "iat": l.now().Unix(), "exp": l.now().Add(time.Hour).Unix(), "scope": "write read:all"}
	return string(must(json.Marshal(but(good, changes))))
}

func header(alg, kid string) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, kid)
}

// token is a good one of the key of that name.
func (l *lab) token(name string) string {
	return compact(header("EdDSA", name), l.claims(nil), byEd(name))
}

// accepts demands that a token is accepted.
func (l *lab) accepts(token string) *api.Caller {
	l.t.Helper()
	caller, err := l.Authenticate(l.t.Context(), token)
	if err != nil {
		l.t.Errorf("refused: %v", err)
		return &api.Caller{}
	}
	return caller
}

// refuses demands that a token is refused with a code, that the description says
// what to do, and that nothing of the token is told.
func (l *lab) refuses(token, code string) {
	l.t.Helper()
	caller, err := l.Authenticate(l.t.Context(), token)
	e, is := errors.AsType[*api.Error](err)
	if !is || e.Status != http.StatusUnauthorized || code != "" && e.Code != code || caller != nil {
		l.t.Errorf("%v with the error %v, want %s", caller, err, code)
		return
	}
	if what, do, _ := strings.Cut(e.Description, ": "); what == "" || do == "" {
		l.t.Errorf("the error does not say what to do: %v", e)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(e.Error()+e.Description, part) {
			l.t.Errorf("the error tells the token: %v", e)
		}
	}
}

// cannotTell demands an error that says nothing about the token.
func (l *lab) cannotTell(token string) {
	l.t.Helper()
	caller, err := l.Authenticate(l.t.Context(), token)
	if e, is := errors.AsType[*api.Error](err); is || err == nil || caller != nil {
		l.t.Errorf("%v with the error %v, want one that is no answer", caller, e)
	} else if api.ErrorOf(err).Status != http.StatusServiceUnavailable {
		l.t.Errorf("the answer is %v", api.ErrorOf(err))
	}
}

// bigJWK is an RSA key that nobody has, of so many bits.
func bigJWK(bits int) map[string]any {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.SetBit(n, 0, 1)
	return but(rsaJWK(), map[string]any{"n": b64(string(n.Bytes()))})
}
