package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/cis/api"
)

// TestWithdrawn refuses what a key signed once its issuer has withdrawn it, also
// if the token was accepted before and is remembered.
func TestWithdrawn(t *testing.T) {
	// Nothing but this token comes in: it dies within one and a half times Refresh.
	l := newLab(t)
	token := l.token("ed")
	l.accepts(token)
	l.publish(rsaJWK())
	l.pass(10*time.Minute - 1)
	l.accepts(token)
	l.pass(5*time.Minute + 1)
	l.refuses(token, "invalid_header")

	// Other tokens come in all the time: it dies as soon as the keys are read.
	l = newLab(t)
	token, other := l.token("ed"), compact(header("RS256", "rsa"), l.claims(nil), byRSA)
	l.accepts(token)
	l.publish(rsaJWK())
	l.pass(10 * time.Minute)
	l.accepts(other) // does not wait for the reading that it begins
	l.reading.Wait()
	l.refuses(token, "invalid_header")

	// A kid that nobody knows makes the keys be read.
	l = newLab(t)
	token = l.token("ed")
	l.accepts(token)
	l.publish(rsaJWK())
	l.pass(time.Minute)
	l.refuses(l.token("unknown"), "invalid_header")
	l.refuses(token, "invalid_header")

	// All keys are withdrawn.
	l.publish()
	l.pass(time.Minute)
	l.refuses(l.token("unknown"), "invalid_header")
	l.refuses(compact(header("RS256", "rsa"), l.claims(nil), byRSA), "invalid_header")
}

// TestReplaced refuses what a key signed when another one has taken its kid.
func TestReplaced(t *testing.T) {
	l := newLab(t)
	old := l.token("ed")
	l.accepts(old)
	l.publish(but(edJWK("new"), map[string]any{"kid": "ed"}))
	l.pass(15 * time.Minute)
	l.refuses(old, "invalid_header")
	l.accepts(compact(header("EdDSA", "ed"), l.claims(nil), byEd("new")))
}

// TestNewKey accepts a token of a key that is newer than what is known, at once.
func TestNewKey(t *testing.T) {
	l := newLab(t)
	l.accepts(l.token("ed"))
	l.pass(time.Minute)
	l.publish(edJWK("ed"), edJWK("new"))
	l.accepts(l.token("new"))
	if n := l.read.Load(); n != 2 {
		t.Errorf("the keys were read %d times", n)
	}
}

// TestUnreadable lets the last keys serve while the issuer is down, and then
// says that it cannot tell, which is no answer about a token.
func TestUnreadable(t *testing.T) {
	l := newLab(t)
	token, fresh := l.token("ed"), func() string { return l.token("ed") }
	l.accepts(token)
	l.down.Store(true)
	for range 59 {
		l.pass(time.Minute)
		l.accepts(fresh())
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	// It may be of a key that is new.
	l.cannotTell(l.token("unknown"))
	l.pass(time.Minute)
	l.cannotTell(fresh())
	l.cannotTell(token)
	err := l.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("ready: %v", err)
	}
	// What is wrong without keys is wrong.
	l.refuses("rubbish", "invalid_header")

	l.down.Store(false)
	l.cannotTell(fresh()) // it is not asked again at once
	l.pass(6 * time.Second)
	l.accepts(fresh())
	if err := l.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// TestNeverRead cannot tell before the keys were ever read.
func TestNeverRead(t *testing.T) {
	l := newLab(t)
	l.down.Store(true)
	l.cannotTell(l.token("ed"))
	l.down.Store(false)
	l.pass(6 * time.Second)
	l.accepts(l.token("ed"))
}

// TestFlood lets ten thousand bad tokens of ten minutes come in. The issuer is
// asked once a minute, and good tokens are accepted all the while.
func TestFlood(t *testing.T) {
	l := newLab(t)
	good := l.token("ed")
	l.accepts(good)
	bad := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range bad {
				token := compact(header("EdDSA", fmt.Sprint("unknown-", n)), l.claims(map[string]any{"n": n}), func([]byte) []byte { return make([]byte, 64) })
				l.refuses(token, "invalid_header")
				if n%100 == 0 {
					l.accepts(good)
				}
			}
		})
	}
	for n := range 10_000 {
		bad <- n
		if n%1000 == 999 {
			l.pass(time.Minute)
		}
	}
	close(bad)
	wg.Wait()
	if n := l.read.Load(); n < 9 || n > 11 {
		t.Errorf("the keys were read %d times in ten minutes", n)
	}
}

// TestShared lets a hundred ask for keys at once: one reading is for all, also
// if the one who began it has gone away.
func TestShared(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	reads := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reads++
		close(arrived)
		<-release
		io.WriteString(w, jwks(edJWK("ed")))
	}))
	t.Cleanup(server.Close)
	l := newLab(t, func(o *Options) { o.Issuers[0].JWKSURL = server.URL })
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := l.Authenticate(ctx, l.token("ed"))
		gone <- err
	}()
	<-arrived
	cancel()
	if err := <-gone; err != context.Canceled {
		t.Errorf("who went away was told %v", err)
	}
	var wg sync.WaitGroup
	for n := range 100 {
		token := compact(header("EdDSA", "ed"), l.claims(map[string]any{"n": n}), byEd("ed"))
		wg.Go(func() { l.accepts(token) })
	}
	close(release)
	wg.Wait()
	if reads != 1 {
		t.Errorf("the keys were read %d times", reads)
	}
}

// TestRotation rotates keys while tokens of the newest two are verified, each
// time anew or as they are remembered; none is refused.
func TestRotation(t *testing.T) {
	for _, remember := range []int{-1, 100} {
		l := newLab(t, func(o *Options) { o.Remember = remember })
		name := func(n int) string { return fmt.Sprint("key-", n) }
		l.publish(edJWK(name(0)), edJWK(name(1)))
		for n := 1; n <= 25; n++ {
			tokens := []string{l.token(name(n - 1)), l.token(name(n))}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 5 {
						l.accepts(tokens[0])
						l.accepts(tokens[1])
					}
				})
			}
			// The next key is published before it signs, and meanwhile the keys come
			// to be due.
			l.publish(edJWK(name(n-1)), edJWK(name(n)), edJWK(name(n+1)))
			l.pass(time.Duration(1+n%12) * time.Minute)
			wg.Wait()
			l.publish(edJWK(name(n)), edJWK(name(n+1)))
		}
		l.pass(15 * time.Minute)
		l.refuses(l.token(name(0)), "invalid_header")
		l.refuses(l.token(name(24)), "invalid_header")
	}
}

// TestClose ends a reading that goes on.
func TestClose(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	l := newLab(t, func(o *Options) { o.Issuers[0].JWKSURL = server.URL })
	failed := make(chan struct{})
	go func() {
		l.cannotTell(l.token("ed"))
		close(failed)
	}()
	<-arrived
	l.Close()
	<-failed
	l.cannotTell(l.token("ed"))
	if l.Ready(t.Context()) == nil {
		t.Error("it is ready after it was closed")
	}
}

// TestSet reads sets of keys and says which are of use.
func TestSet(t *testing.T) {
	ed, rs, ec := edJWK("ed"), rsaJWK(), ecJWK()
	one := func(k map[string]any, changes map[string]any) string { return jwks(but(k, changes)) }
	for _, c := range []struct {
		name, set string
		want      string // the kids, or an error
	}{
		{"all", jwks(ed, rs, ec), "ec ed rsa"},
		{"none", jwks(), ""},
		{"what nobody knows", `{"keys":[{"kty":"AKP","kid":"x"},{}],"more":1}`, ""},

		{"not an object", `[]`, "error"},
		{"no keys", `{}`, "error"},
		{"keys that are null", `{"keys":null}`, "error"},
		{"keys that are no objects", `{"keys":[1]}`, "error"},
		{"keys twice", `{"keys":[],"keys":[]}`, "error"},
		{"a member twice", `{"keys":[{"kid":"a","kid":"b"}]}`, "error"},
		{"a web page", `<html>`, "error"},
		{"too many", jwks(slices.Repeat([]map[string]any{ed}, maxKeys+1)...), "error"},
		{"most", jwks(append(slices.Repeat([]map[string]any{but(ed, map[string]any{"kid": nil})}, maxKeys-1), ed)...), "ed"},

		{"a kid twice", jwks(ed, rs, but(rs, map[string]any{"kid": "ed"})), "rsa"},
		{"a kid twice, once of no use", jwks(ed, map[string]any{"kty": "oct", "kid": "ed"}), ""},
		{"no kid", one(ed, map[string]any{"kid": nil}), ""},
		{"a kid that is a number", one(ed, map[string]any{"kid": 1}), ""},
		{"for encryption", one(rs, map[string]any{"use": "enc"}), ""},
		{"a use that is null", `{"keys":[` + strings.Replace(strings.TrimSuffix(strings.TrimPrefix(jwks(ed), `{"keys":[`), `]}`), `"sig"`, "null", 1) + `]}`, ""},
		{"no use", one(rs, map[string]any{"use": nil}), "rsa"},
		{"to verify", one(rs, map[string]any{"key_ops": []string{"verify"}}), "rsa"},
		{"to encrypt", one(rs, map[string]any{"key_ops": []string{"encrypt"}}), ""},
		{"operations that are a text", one(rs, map[string]any{"key_ops": "verify"}), ""},
		{"an algorithm of another kind", one(rs, map[string]any{"alg": "ES256"}), ""},
		{"an algorithm that is not accepted", one(rs, map[string]any{"alg": "RSA-OAEP"}), ""},
		{"an empty algorithm", one(rs, map[string]any{"alg": ""}), ""},

		{"symmetric", `{"keys":[{"kty":"oct","kid":"s","k":"AAAA","alg":"HS256"}]}`, ""},
		{"a private RSA key", one(rs, map[string]any{"d": "AQAB"}), ""},
		{"a private Ed25519 key", one(ed, map[string]any{"d": "AQAB"}), ""},
		{"RSA of 1024 bits", jwks(bigJWK(1024)), ""},
		{"RSA of 2047 bits", jwks(bigJWK(2047)), ""},
		{"RSA of 2048 bits", jwks(bigJWK(2048)), "rsa"},
		{"RSA of 8192 bits", jwks(bigJWK(8192)), "rsa"},
		{"RSA of 8193 bits", jwks(bigJWK(8193)), ""},
		{"an exponent of 1", one(rs, map[string]any{"e": "AQ"}), ""},
		{"an exponent of 3", one(rs, map[string]any{"e": "Aw"}), "rsa"},
		{"an even exponent", one(rs, map[string]any{"e": "BA"}), ""},
		{"a long exponent", one(rs, map[string]any{"e": "AQABAQAB"}), ""},
		{"no exponent", one(rs, map[string]any{"e": nil}), ""},
		{"no modulus", one(rs, map[string]any{"n": nil}), ""},
		{"a modulus with padding", one(rs, map[string]any{"n": rs["n"].(string) + "="}), ""},
		{"another curve", one(ec, map[string]any{"crv": "P-384"}), ""},
		{"a point beside the curve", one(ec, map[string]any{"y": ec["x"]}), ""},
		{"a short point", one(ec, map[string]any{"x": "AA"}), ""},
		{"Ed448", one(ed, map[string]any{"crv": "Ed448"}), ""},
		{"X25519", one(ed, map[string]any{"crv": "X25519"}), ""},
		{"a short key", one(ed, map[string]any{"x": "AAAA"}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, skipped, err := parseSet([]byte(c.set))
			var kids []string
			for kid := range keys {
				kids = append(kids, kid)
			}
			slices.Sort(kids)
			got := strings.Join(kids, " ")
			if err != nil {
				got = "error"
			}
			if got != c.want || skipped < 0 {
				t.Errorf("keys %q, %d skipped, %v; want %q", got, skipped, err, c.want)
			}
		})
	}
}

// TestWhereKeysAre reads keys only from where an issuer says they are, and never
// tells what is wrong in words of the issuer.
func TestWhereKeysAre(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, jwks(edJWK("ed"))) }))
	t.Cleanup(elsewhere.Close)
	to := func(where string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, where, status) }
	}
	says := func(format string, args ...any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, format, args...) }
	}
	good := says("%s", jwks(edJWK("ed")))
	for _, c := range []struct {
		name     string
		metadata func(issuer string) http.HandlerFunc // nil: the URL of the keys is configured
		keys     http.HandlerFunc
		want     string // the error, "" for none
	}{
		{"configured", nil, good, ""},
		{"found", func(i string) http.HandlerFunc { return says(`{"issuer":%q,"jwks_uri":%q}`, i, i+"/keys") }, good, ""},
		{"found at another host", func(i string) http.HandlerFunc { return says(`{"issuer":%q,"jwks_uri":%q}`, i, elsewhere.URL) }, nil, ""},
		{"moved at the same host", nil, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				http.Redirect(w, r, "/keys?moved", http.StatusFound)
				return
			}
			good(w, r)
		}, ""},
		{"metadata of another issuer", func(i string) http.HandlerFunc { return says(`{"issuer":%q,"jwks_uri":%q}`, i+"/", i+"/keys") }, nil, "another issuer"},
		{"metadata without issuer", func(i string) http.HandlerFunc { return says(`{"jwks_uri":%q}`, i+"/keys") }, nil, "another issuer"},
		{"metadata with an issuer twice", func(i string) http.HandlerFunc {
			return says(`{"issuer":%q,"issuer":%q,"jwks_uri":%q}`, i, i, i+"/keys")
		}, nil, "not the JSON"},
		{"metadata without keys", func(i string) http.HandlerFunc { return says(`{"issuer":%q}`, i) }, nil, "wrong place"},
		{"metadata with keys in the clear", func(i string) http.HandlerFunc {
			return says(`{"issuer":%q,"jwks_uri":"http://s3cret.example.org/"}`, i)
		}, nil, "wrong place"},
		{"metadata that is not there", func(string) http.HandlerFunc { return http.NotFound }, nil, "metadata: status 404"},
		{"metadata that moved away", func(string) http.HandlerFunc { return to(elsewhere.URL, http.StatusFound) }, nil, "another host"},
		{"keys that moved away", nil, to(elsewhere.URL, http.StatusMovedPermanently), "another host"},
		{"keys that move for ever", nil, to("/keys", http.StatusFound), "too many redirects"},
		{"keys that are not there", nil, http.NotFound, "status 404"},
		{"keys that are no JSON", nil, says("s3cret"), "not a JWK set"},
		{"keys without end", nil, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxBody+1)) }, "over 262144 bytes"},
		{"keys that break off", nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{")
		}, "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			i := Issuer{Issuer: server.URL, Algorithms: []string{"EdDSA"}}
			if c.metadata != nil {
				mux.HandleFunc("/.well-known/openid-configuration", c.metadata(server.URL))
			} else {
				i.JWKSURL = server.URL + "/keys"
			}
			if c.keys != nil {
				mux.HandleFunc("/keys", c.keys)
			}
			v, err := Open(Options{Audience: audience, Issuers: []Issuer{i}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { v.Close() })
			err = v.Ready(t.Context())
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && api.ErrorOf(err).Status != http.StatusServiceUnavailable {
				t.Errorf("the answer is %v", api.ErrorOf(err))
			}
		})
	}
}
