package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxBody      = 256 << 10 // bytes of an issuer's answer; 100 RSA keys of 8192 bits take 150 KiB
	maxKeys      = 100
	minRSA       = 2048 // bits, as RFC 7518 section 3.3 demands
	maxRSA       = 8192 // bits; verifying takes time that grows with their square
	maxRedirects = 3
)

// kindOf says which kind of key an algorithm is for: RFC 7518 section 3.1 and
// RFC 8037. What is not in here is never accepted.
var kindOf = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA",
	"ES256": "P-256",
	"EdDSA": "Ed25519",
}

// A key is a public key of an issuer.
type key struct {
	id     string
	kind   string // as in kindOf
	alg    string // the only algorithm that it is for, "" if it does not say
	public interface{ Equal(crypto.PublicKey) bool }
}

// fits reports whether a token of the algorithm may be verified with the key.
func (k *key) fits(alg string) bool {
	return kindOf[alg] == k.kind && (k.alg == "" || k.alg == alg)
}

func (k *key) equal(other *key) bool {
	return other != nil && k.id == other.id && k.kind == other.kind && k.alg == other.alg && k.public.Equal(other.public)
}

// A set is the keys of an issuer by their kid. It is never changed.
type set map[string]*key

// A ring is the keys of one issuer, kept fresh.
type ring struct {
	Issuer
	opts    Options
	client  *http.Client
	reading *sync.WaitGroup // owns the goroutines that read

	mu     sync.Mutex
	keys   set           // as last read, nil before
	read   time.Time     // when the reading of keys began
	tried  time.Time     // when the last reading began
	err    error         // of the last reading
	done   chan struct{} // closed when the reading that goes on ends, nil if there is none
	cancel func()        // ends that reading
	closed bool
}

// current returns the keys. If has says that they lack what it looks for, they
// are read before, as often as that is allowed. The error is that the keys cannot
// be had, or not read to see whether they still lack it, or that of ctx.
func (r *ring) current(ctx context.Context, has func(set) bool) (set, error) {
	// A reading that others began might have begun too early, so one of our own
	// may follow it.
	for range 2 {
		done := r.due(ctx, has)
		if done == nil {
			break
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.err
	switch {
	case r.closed:
		return nil, errors.New("auth: closed")
	case r.usable() && (err == nil || has(r.keys)):
		return r.keys, nil
	case err == nil:
		err = errors.New("too old")
	}
	return nil, fmt.Errorf("auth: keys of the issuer %s: %w", r.Issuer.Issuer, err)
}

// usable reports whether there are keys, and not too old.
func (r *ring) usable() bool {
	return r.keys != nil && r.opts.Now().Sub(r.read) < r.opts.MaxStale
}

// due begins to read the keys if that is due and allowed. It returns what is to
// be waited for: nobody waits for keys that are merely old, until they are too
// old to go on with as long as there might be others.
func (r *ring) due(ctx context.Context, has func(set) bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, usable := r.opts.Now(), r.usable()
	age, lacks := now.Sub(r.read), !usable || !has(r.keys)
	pause := r.opts.Pause
	if !usable {
		pause /= 10
	}
	if (lacks || age >= r.opts.Refresh) && r.done == nil && !r.closed && (r.tried.IsZero() || now.Sub(r.tried) >= pause) {
		r.start(ctx, now)
	}
	if lacks || age >= r.opts.Refresh*3/2 {
		return r.done
	}
	return nil
}

// start begins to read the keys. Whoever made it begin may go away: others wait
// for it too.
func (r *ring) start(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Timeout)
	r.done, r.cancel, r.tried = make(chan struct{}), cancel, now
	r.reading.Go(func() {
		defer cancel()
		keys, skipped, err := r.fetch(ctx)
		issuer := slog.String("issuer", r.Issuer.Issuer)
		if err != nil {
			r.opts.Log.LogAttrs(ctx, slog.LevelWarn, "the keys of an issuer cannot be read", issuer, slog.String("error", err.Error()))
		} else {
			r.opts.Log.LogAttrs(ctx, slog.LevelDebug, "the keys of an issuer were read", issuer, slog.Int("keys", len(keys)), slog.Int("skipped", skipped))
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err = err; err == nil {
			r.replace(keys, now)
		}
		close(r.done)
		r.done = nil
	})
}

// replace puts keys in the place of those that were there. A key that is still
// the same stays the same pointer, which is what remembered tokens hold.
func (r *ring) replace(keys set, at time.Time) {
	for id, k := range keys {
		if was := r.keys[id]; k.equal(was) {
			keys[id] = was
		}
	}
	r.keys, r.read = keys, at
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.done != nil {
		r.cancel()
	}
}

// fetch reads the keys, and says how many are of no use here.
func (r *ring) fetch(ctx context.Context) (keys set, skipped int, err error) {
	where := r.JWKSURL
	if where == "" {
		if where, err = r.discover(ctx); err != nil {
			return nil, 0, err
		}
	}
	b, err := r.ask(ctx, where)
	if err != nil {
		return nil, 0, fmt.Errorf("read them: %w", err)
	}
	return parseSet(b)
}

// discover reads from the issuer's metadata where its keys are (OpenID Connect
// Discovery 1.0, section 4).
func (r *ring) discover(ctx context.Context) (string, error) {
	b, err := r.ask(ctx, strings.TrimSuffix(r.Issuer.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("read the metadata: %w", err)
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	switch err := json.Unmarshal(b, &found); {
	case err != nil:
		return "", errors.New("the metadata is not the JSON of an issuer")
	case found.Issuer != r.Issuer.Issuer:
		return "", errors.New("the metadata is that of another issuer")
	case strings.HasPrefix(r.Issuer.Issuer, "https:") && !strings.HasPrefix(found.Keys, "https:"):
		return "", errors.New("the metadata names keys without https")
	}
	if err := checkURL(found.Keys); err != nil {
		return "", fmt.Errorf("the metadata names keys at a wrong place: %w", err)
	}
	return found.Keys, nil
}

// ask gets what is at a URL, which its errors do not name.
func (r *ring) ask(ctx context.Context, where string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, errors.New("the URL is wrong")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := r.client.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return nil, u.Err
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = fmt.Errorf("the answer is over %d bytes", maxBody)
	}
	return b, err
}

// sameHost lets redirects stay where they are: keys come from whom they are
// said to come from.
func sameHost(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return errors.New("a redirect leads to another host")
	}
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

// parseSet reads a JWK set (RFC 7517). Keys that are for something else, or that
// this package does not know, are skipped, as its section 5 demands. A kid that
// is there twice names no key.
func parseSet(b []byte) (keys set, skipped int, err error) {
	var found struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(b, &found); err != nil || found.Keys == nil {
		return nil, 0, errors.New("they are not a JWK set")
	}
	if len(found.Keys) > maxKeys {
		return nil, 0, fmt.Errorf("there are over %d", maxKeys)
	}
	keys, seen := set{}, map[string]int{}
	for _, v := range found.Keys {
		m, ok := object(v)
		if !ok {
			return nil, 0, errors.New("they are not a JWK set")
		}
		id := m.text("kid")
		seen[id]++
		if k := parseKey(m); k != nil {
			keys[id] = k
		}
	}
	delete(keys, "")
	for id, times := range seen {
		if times > 1 {
			delete(keys, id)
		}
	}
	return keys, len(found.Keys) - len(keys), nil
}

// parseKey reads a public JWK (RFC 7518 section 6, RFC 8037), nil if it is not
// one that signatures of tokens can be verified with.
func parseKey(m members) *key {
	k := &key{id: m.text("kid"), alg: m.text("alg")}
	if _, has := m["use"]; has && m.text("use") != "sig" {
		return nil
	}
	if ops, has := m["key_ops"]; has {
		var list []string
		if json.Unmarshal(ops, &list) != nil || !slices.Contains(list, "verify") {
			return nil
		}
	}
	// A private key that is published is nobody's any more.
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, has := m[private]; has {
			return nil
		}
	}
	if _, has := m["alg"]; has && kindOf[k.alg] == "" {
		return nil
	}
	switch kty, crv := m.text("kty"), m.text("crv"); {
	case kty == "RSA":
		n, e := new(big.Int).SetBytes(m.bytes("n")), new(big.Int).SetBytes(m.bytes("e"))
		if n.BitLen() < minRSA || n.BitLen() > maxRSA || n.Bit(0) == 0 || e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
			return nil
		}
		k.kind, k.public = kty, &rsa.PublicKey{N: n, E: int(e.Int64())}
	case kty == "EC" && crv == "P-256":
		x, y := m.bytes("x"), m.bytes("y")
		if len(x) != 32 || len(y) != 32 {
			return nil
		}
		point := append(append([]byte{4}, x...), y...) // uncompressed, SEC 1 section 2.3.4
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil
		}
		k.kind, k.public = crv, public
	case kty == "OKP" && crv == "Ed25519":
		x := m.bytes("x")
		if len(x) != ed25519.PublicKeySize {
			return nil
		}
		k.kind, k.public = crv, ed25519.PublicKey(x)
	default:
		return nil
	}
	if k.alg != "" && !k.fits(k.alg) {
		return nil
	}
	return k
}

// bytes is the value of a member in base64url, else nil.
func (m members) bytes(name string) []byte {
	b, _ := decode(m.text(name))
	return b
}
