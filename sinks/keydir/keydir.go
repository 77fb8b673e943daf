// Package keydir owns signing keys that are kept in a directory: it makes
// them, says which one of a publisher signs, publishes their public halves,
// and hands them out as [sign.Signer].
//
// It refuses directories that others can write, key files that others can
// read, and to show a private key: a [Key] holds none that printing could
// reach, and errors name a file and never quote it.
//
// # Layout
//
//	<publisher>.<kid>.jwk.json  one private key each, a JWK (RFC 7517), 0600
//	<publisher>.current         the kid of the one that signs
//
// kid is the first 16 characters of the key's thumbprint (RFC 7638, SHA-256):
// 96 bits tell the few keys of a publisher apart. The JWK has one member of
// our own, created. Every file is written beside its place and renamed into
// it, so each is whole or not there. A name that begins with a dot is what a
// crash left: it is never read and can be deleted.
//
// # Rotation
//
// A new key is published from the moment that its file is there, and signs
// from the moment that the publisher's current file names it; a crash between
// the two leaves the older key signing. Readers of published keys may be a day
// behind: [New], a day later [Use], loses nobody. [Rotate] does both at once.
// Older keys stay published, because what they signed stays valid, until
// [Retire] removes them.
package keydir

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

const (
	keySuffix     = ".jwk.json"
	currentSuffix = ".current"
	kidLength     = 16      // of the 43 characters of a thumbprint
	maxFile       = 1 << 16 // bytes; an RSA key of 8192 bits takes 7 KiB
)

var (
	// ErrExposed is a key file that others can read, or a directory that
	// others can write.
	ErrExposed = errors.New("open to other users")
	// ErrCorrupt is a file that does not hold the key that its name says.
	ErrCorrupt = errors.New("not the private JWK that its name says")
	// ErrCurrent is an attempt to retire the key that signs.
	ErrCurrent = errors.New("the key that signs cannot be retired")
)

// A Key is what may be known of a key in the directory.
type Key struct {
	Publisher people.Publisher
	ID        string
	Algorithm string // sign.RS256 or sign.EdDSA
	Bits      int
	Created   time.Time // UTC, milliseconds
	Current   bool      // it signs
	Public    sign.Key

	// The private key is closed in here, out of reach of fmt and encoders.
	signer sign.Signer
}

// String names the key, as does every other way of printing it.
func (k Key) String() string {
	return fmt.Sprintf("%s.%s (%s, %d bits)", k.Publisher, k.ID, k.Algorithm, k.Bits)
}

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// New makes a key and publishes it. It signs only if it is the publisher's
// first one. alg is [sign.RS256], with 2048 to 8192 bits, or [sign.EdDSA],
// which has always 256. RSA keys come from the standard library's own source of
// randomness, whatever rand is; Ed25519 keys are the next 32 bytes of rand.
// The directory is made, 0700, if it is not there.
func New(dir string, publisher people.Publisher, alg string, bits int, rand io.Reader, now time.Time) (Key, error) {
	return create(dir, publisher, alg, bits, rand, now, false)
}

// Rotate makes a key as New does, and it signs from now on.
func Rotate(dir string, publisher people.Publisher, alg string, bits int, rand io.Reader, now time.Time) (Key, error) {
	return create(dir, publisher, alg, bits, rand, now, true)
}

func create(dir string, publisher people.Publisher, alg string, bits int, rand io.Reader, now time.Time, use bool) (Key, error) {
	if !isName(string(publisher)) {
		return Key{}, fmt.Errorf("keydir: publisher %q: want 1 to 64 of a-z, 0-9, _ and -", publisher)
	}
	private, err := generate(alg, bits, rand)
	if err != nil {
		return Key{}, fmt.Errorf("keydir: make a key for %s: %w", publisher, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Key{}, fmt.Errorf("keydir: %w", err)
	}
	earlier, err := List(dir)
	if err != nil {
		return Key{}, err
	}
	k, err := describe(publisher, private, now)
	if err != nil {
		return Key{}, fmt.Errorf("keydir: %w", err)
	}
	// Without a current file the newest key signs, so the file comes before a
	// key that is not to.
	signing := k.ID
	for _, e := range earlier {
		if e.Publisher == publisher && e.Current && !use {
			signing = e.ID
		}
	}
	k.Current = signing == k.ID
	if !k.Current {
		if err := writeFile(dir, string(publisher)+currentSuffix, []byte(signing+"\n")); err != nil {
			return Key{}, err
		}
	}
	b, err := encode(k, private)
	if err != nil {
		return Key{}, fmt.Errorf("keydir: encode a key of %s: %w", publisher, err)
	}
	if err := writeFile(dir, fileName(publisher, k.ID), b); err != nil {
		return Key{}, err
	}
	if k.Current {
		return k, writeFile(dir, string(publisher)+currentSuffix, []byte(k.ID+"\n"))
	}
	return k, nil
}

// Use makes the publisher's key kid the one that signs.
func Use(dir string, publisher people.Publisher, kid string) error {
	if _, err := find(dir, publisher, kid); err != nil {
		return err
	}
	return writeFile(dir, string(publisher)+currentSuffix, []byte(kid+"\n"))
}

// Retire deletes the publisher's key kid. It is no longer published, and what
// it signed no longer verifies. The key that signs is refused with ErrCurrent.
func Retire(dir string, publisher people.Publisher, kid string) error {
	k, err := find(dir, publisher, kid)
	if err != nil {
		return err
	}
	if k.Current {
		return fmt.Errorf("keydir: %s: %w", k, ErrCurrent)
	}
	if err := os.Remove(filepath.Join(dir, fileName(publisher, kid))); err != nil {
		return fmt.Errorf("keydir: %w", err)
	}
	return syncDir(dir)
}

func find(dir string, publisher people.Publisher, kid string) (Key, error) {
	keys, err := List(dir)
	if err != nil {
		return Key{}, err
	}
	for _, k := range keys {
		if k.Publisher == publisher && k.ID == kid {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("keydir: %s has no key %q: %w", publisher, kid, fs.ErrNotExist)
}

// List reads all keys, by publisher and in the order in which they are
// published: RSA before Ed25519, because older clients read only the first
// one and know only RSA; then the one that signs, then the newest first.
func List(dir string) ([]Key, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("keydir: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("keydir: %s: %w: chmod go-w", dir, ErrExposed)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keydir: %w", err)
	}
	var keys []Key
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), keySuffix)
		if !ok || strings.HasPrefix(base, ".") {
			continue
		}
		k, err := load(filepath.Join(dir, e.Name()), base)
		if err != nil {
			return nil, fmt.Errorf("keydir: %w", err)
		}
		keys = append(keys, k)
	}
	newest := func(a, b Key) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) }
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Or(cmp.Compare(a.Publisher, b.Publisher), newest(a, b)) })
	for i := range keys {
		first := i == 0 || keys[i-1].Publisher != keys[i].Publisher
		if !first {
			continue
		}
		at, err := current(dir, keys[i:])
		if err != nil {
			return nil, err
		}
		keys[i+at].Current = true
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Publisher, b.Publisher), order(a.Algorithm == sign.RS256, b.Algorithm == sign.RS256),
			order(a.Current, b.Current), newest(a, b))
	})
	return keys, nil
}

// order puts true before false.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// current returns which of keys, whose first ones are one publisher's with
// the newest first, its current file names.
func current(dir string, keys []Key) (int, error) {
	publisher := keys[0].Publisher
	b, err := os.ReadFile(filepath.Join(dir, string(publisher)+currentSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("keydir: %w", err)
	}
	kid := strings.TrimSuffix(string(b), "\n")
	at := slices.IndexFunc(keys, func(k Key) bool { return k.Publisher == publisher && k.ID == kid })
	if at < 0 {
		return 0, fmt.Errorf("keydir: %s%s names a key that is not there", filepath.Join(dir, string(publisher)), currentSuffix)
	}
	return at, nil
}

// Keys returns the public keys of all publishers in publishing order.
func Keys(dir string) (sign.Keys, error) {
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	keys := sign.Keys{}
	for _, k := range list {
		keys[k.Publisher] = append(keys[k.Publisher], k.Public)
	}
	return keys, nil
}

// Signers returns the key that signs of each publisher, ready for use.
func Signers(dir string) (map[people.Publisher]sign.Signer, error) {
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	signers := map[people.Publisher]sign.Signer{}
	for _, k := range list {
		if k.Current {
			signers[k.Publisher] = k.signer
		}
	}
	return signers, nil
}

func generate(alg string, bits int, rand io.Reader) (crypto.Signer, error) {
	switch alg {
	case sign.RS256:
		if bits < 2048 || bits > 8192 {
			return nil, fmt.Errorf("%d bits for RSA; want 2048 to 8192", bits)
		}
		return rsa.GenerateKey(rand, bits)
	case sign.EdDSA:
		var seed [ed25519.SeedSize]byte
		if _, err := io.ReadFull(rand, seed[:]); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		return ed25519.NewKeyFromSeed(seed[:]), nil
	}
	return nil, fmt.Errorf("algorithm %q; want %s or %s", alg, sign.RS256, sign.EdDSA)
}

// describe returns what may be known of a private key.
func describe(publisher people.Publisher, private crypto.Signer, created time.Time) (Key, error) {
	thumbprint, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, err
	}
	k := Key{
		Publisher: publisher,
		ID:        base64.RawURLEncoding.EncodeToString(thumbprint)[:kidLength],
		Bits:      8 * ed25519.PublicKeySize,
		Created:   created.UTC().Truncate(time.Millisecond),
	}
	if r, ok := private.(*rsa.PrivateKey); ok {
		r.Precompute()
		k.Bits = r.N.BitLen()
	}
	if k.Public, err = sign.NewKey(k.ID, private.Public()); err != nil {
		return Key{}, err
	}
	k.Algorithm = k.Public.Algorithm()
	k.signer, err = sign.NewSigner(k.ID, private)
	return k, err
}

// encode returns the content of a key's file.
func encode(k Key, private crypto.Signer) ([]byte, error) {
	b, err := jose.JSONWebKey{Key: private, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var members map[string]string
	if err := json.Unmarshal(b, &members); err != nil {
		return nil, err
	}
	members["created"] = k.Created.Format(people.TimeFormat)
	b, err = json.MarshalIndent(members, "", "  ")
	return append(b, '\n'), err
}

// load reads the key file at path, whose name without suffix is base. Of its
// content nothing gets into an error, not even through a parser's message.
func load(path, base string) (Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return Key{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Key{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("%s: %w: chmod 600", path, ErrExposed)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Key{}, err
	}
	corrupt := fmt.Errorf("%s: %w", path, ErrCorrupt)
	var jwk jose.JSONWebKey
	var own struct {
		Created time.Time `json:"created"`
	}
	if jwk.UnmarshalJSON(b) != nil || json.Unmarshal(b, &own) != nil {
		return Key{}, corrupt
	}
	private, ok := jwk.Key.(crypto.Signer)
	if ed, isEd := jwk.Key.(ed25519.PrivateKey); isEd && !ed.Equal(ed25519.NewKeyFromSeed(ed.Seed())) {
		ok = false
	}
	publisher, kid, _ := strings.Cut(base, ".")
	if !ok || !isName(publisher) {
		return Key{}, corrupt
	}
	k, err := describe(people.Publisher(publisher), private, own.Created)
	if err != nil || k.ID != kid || jwk.KeyID != kid || jwk.Algorithm != k.Algorithm {
		return Key{}, corrupt
	}
	return k, nil
}

func fileName(publisher people.Publisher, kid string) string {
	return string(publisher) + "." + kid + keySuffix
}

// isName reports whether s can be a publisher in a file name.
func isName(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// writeFile puts a file into its place, whole, 0600 and durable.
func writeFile(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("keydir: %w", err)
	}
	defer os.Remove(f.Name()) // there only if it was not renamed
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keydir: write %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("keydir: write %s: %w", name, err)
	}
	return syncDir(dir)
}

// syncDir makes names that were added or removed durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("keydir: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("keydir: sync %s: %w", dir, err)
	}
	return nil
}
