package person

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/api"
)

// TokenLife is how long the token of a page can be used.
const TokenLife = 24 * time.Hour

// A Seal makes the tokens of pages: AES-256-GCM over the place in the list and
// the time, for one caller, route and set of parameters. Nobody can read, make
// or change one, and nobody can use another's.
type Seal struct {
	aead   cipher.AEAD
	random io.Reader
	now    func() time.Time
}

// NewSeal makes a Seal from a secret, of which it derives a key of its own. All
// instances of a service have the same secret.
func NewSeal(secret []byte, random io.Reader, now func() time.Time) (*Seal, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "cis: tokens of pages", 32)
	if err != nil {
		return nil, fmt.Errorf("person: derive the key of page tokens: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("person: page tokens: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("person: page tokens: %w", err)
	}
	return &Seal{aead, random, now}, nil
}

// about is what a token is bound to: who asks, and for what. The order of
// parameters does not matter.
func about(r *http.Request, q url.Values) []byte {
	rest := url.Values{}
	for name, v := range q {
		if name != "nextPage" {
			rest[name] = v
		}
	}
	c := api.CallerOf(r.Context())
	return []byte(strings.Join([]string{c.Issuer, c.Subject, r.URL.EscapedPath(), rest.Encode()}, "\x00"))
}

// token seals a place, "" for the end.
func (s *Seal) token(r *http.Request, q url.Values, place string) (string, error) {
	if place == "" {
		return "", nil
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+8+len(place)+s.aead.Overhead())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return "", fmt.Errorf("person: page token: %w", err)
	}
	text := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(TokenLife).Unix()))
	sealed := s.aead.Seal(nonce, nonce, append(text, place...), about(r, q))
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// place opens the token of a request, "" if it begins at the beginning. Besides
// the token itself, clients send the objects that they got it in, in the way that
// their language prints them.
func (s *Seal) place(r *http.Request, q url.Values) (string, error) {
	token := unwrap(q.Get("nextPage"))
	if token == "" {
		return "", nil
	}
	bad := api.Bad("nextPage is not a token that this list gave you, or it has expired: begin again without it")
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < s.aead.NonceSize() {
		return "", bad
	}
	text, err := s.aead.Open(nil, b[:s.aead.NonceSize()], b[s.aead.NonceSize():], about(r, q))
	if err != nil || len(text) < 8 || s.now().Unix() > int64(binary.BigEndian.Uint64(text)) {
		return "", bad
	}
	return string(text[8:]), nil
}

// unwrap takes a token out of {"id": "…"} and {'id': '…'}; "None" and "null" are
// the words for none.
func unwrap(s string) string {
	s = strings.TrimSpace(s)
	if s == "null" || s == "None" || len(s) > maxQuery {
		return ""
	}
	if !strings.HasPrefix(s, "{") {
		return s
	}
	var o struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(s), &o) == nil {
		return o.ID
	}
	if json.Unmarshal([]byte(strings.ReplaceAll(s, "'", `"`)), &o) == nil {
		return o.ID
	}
	return s
}
