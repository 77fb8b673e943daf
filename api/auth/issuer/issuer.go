// Package issuer owns an issuer of tokens for development: what Auth0 is to a
// service that runs for real, as far as programs that ask for tokens can tell. It
// gives tokens to the few clients that it is made with (RFC 6749 section 4.4) and
// publishes the key that they verify with.
//
// It is for one machine: it refuses to be made with a URL that others could
// reach. Its key is made with it and ends with it, and it stores nothing.
//
//	GET  /.well-known/openid-configuration  where everything is
//	GET  /.well-known/jwks.json             the public key
//	POST /oauth/token                       a token, for a client's id and secret
//
// A request for a token is JSON or a form; id and secret are in it, or in the
// header as basic authentication. The answer has the members that Auth0 gives, an
// error those of RFC 6749 section 5.2. No answer repeats anything of a request.
package issuer

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"example.org/cis/api"
)

const maxBody = 16 << 10 // bytes of a request

// Options are those of an [Issuer]. URL, Audience and Clients must be given.
type Options struct {
	// URL is the iss of its tokens, and where it is served: http on loopback.
	URL string
	// Audience is the aud of its tokens. It gives tokens for nothing else.
	Audience string
	// Clients are those that get tokens.
	Clients []Client
	// Lifetime is how long a token is good. Default: an hour.
	Lifetime time.Duration
	// Now is the clock, nil for that of the system.
	Now func() time.Time
}

// A Client may get tokens with any of its scopes.
type Client struct {
	ID, Secret string
	Scopes     []string
}

// String names the client, as does every other way of printing it.
func (c Client) String() string { return c.ID }

// GoString is String.
func (c Client) GoString() string { return c.ID }

// An Issuer is a handler for the paths at its URL. It is for any number of
// goroutines.
type Issuer struct {
	opts    Options
	clients map[string]client
	signer  jose.Signer
	mux     *http.ServeMux
}

// A client is one whose secret is only known by its SHA-256, so that comparing
// takes the same time whatever is sent.
type client struct {
	secret [sha256.Size]byte
	scopes []string
}

var _ http.Handler = (*Issuer)(nil)

// New makes an issuer and its key, an RSA key of 2048 bits.
func New(o Options) (*Issuer, error) {
	at, err := url.Parse(o.URL)
	if err != nil || at.Scheme != "http" || !isLoopback(at.Hostname()) || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return nil, errors.New("issuer: want a URL like http://127.0.0.1:8080: this issuer is for one machine")
	}
	if o.Audience == "" || o.Lifetime < 0 {
		return nil, errors.New("issuer: want an audience, and a lifetime that is positive")
	}
	o.Lifetime = cmp.Or(o.Lifetime, time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	i := &Issuer{opts: o, clients: map[string]client{}, mux: http.NewServeMux()}
	for _, c := range o.Clients {
		if _, has := i.clients[c.ID]; has || c.ID == "" || c.Secret == "" {
			return nil, errors.New("issuer: want clients with an id of their own and a secret")
		}
		i.clients[c.ID] = client{sha256.Sum256([]byte(c.Secret)), slices.Compact(slices.Sorted(slices.Values(c.Scopes)))}
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("issuer: make a key: %w", err)
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.RS256), Use: "sig"}
	thumb, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("issuer: name the key: %w", err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("issuer: use the key: %w", err)
	}

	path, base := strings.TrimSuffix(at.Path, "/"), strings.TrimSuffix(o.URL, "/")
	i.publish(path+"/.well-known/jwks.json", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	i.publish(path+"/.well-known/openid-configuration", map[string]any{
		"issuer":                                o.URL,
		"token_endpoint":                        base + "/oauth/token",
		"jwks_uri":                              base + "/.well-known/jwks.json",
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
	i.mux.HandleFunc("POST "+path+"/oauth/token", i.token)
	return i, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// publish serves a document that does not change.
func (i *Issuer) publish(path string, document any) {
	i.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		api.JSON(w, http.StatusOK, document) // whoever does not take it to its end has gone away
	})
}

// ServeHTTP answers a request.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	i.mux.ServeHTTP(w, r)
}

// A request is one for a token.
type request struct {
	GrantType string `json:"grant_type"`
	ClientID  string `json:"client_id"`
	Secret    string `json:"client_secret"`
	Audience  string `json:"audience"`
	Scope     string `json:"scope"`
}

// An answer is a token.
type answer struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope,omitzero"`
}

// A refusal is the answer to a request that gets none.
type refusal struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	asked, refused := read(w, r)
	var got answer
	if refused == nil {
		got, refused = i.grant(asked)
	}
	if refused != nil {
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="cis"`)
		}
		api.JSON(w, refused.status, refused)
		return
	}
	api.JSON(w, http.StatusOK, got)
}

func wrong(description string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", description}
}

// read reads what is asked for.
func read(w http.ResponseWriter, r *http.Request) (request, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return request{}, &refusal{http.StatusRequestEntityTooLarge, "invalid_request", "the request is too long, or broke off"}
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asked, refused := decode(mediaType, body)
	if refused != nil {
		return request{}, refused
	}
	if _, has := r.Header["Authorization"]; has {
		id, secret, ok := r.BasicAuth()
		if !ok {
			return request{}, wrong("the header Authorization is not of basic authentication")
		}
		if asked.Secret != "" || asked.ClientID != "" && asked.ClientID != unescape(id) {
			return request{}, wrong("the client is named twice")
		}
		asked.ClientID, asked.Secret = unescape(id), unescape(secret)
	}
	return asked, nil
}

// unescape undoes the encoding of forms, which RFC 6749 section 2.3.1 has
// inside basic authentication, and which many leave out.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// decode reads the body of a request.
func decode(mediaType string, body []byte) (request, *refusal) {
	var asked request
	switch mediaType {
	case "application/json":
		if err := json.Unmarshal(body, &asked); err != nil {
			return request{}, wrong("the body is not a JSON object of texts, each once")
		}
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return request{}, wrong("the body is not a form")
		}
		for name, to := range map[string]*string{
			"grant_type": &asked.GrantType, "client_id": &asked.ClientID, "client_secret": &asked.Secret, "audience": &asked.Audience, "scope": &asked.Scope,
		} {
			if len(form[name]) > 1 {
				return request{}, wrong("the form has a field twice")
			}
			*to = form.Get(name)
		}
	default:
		return request{}, wrong("the body is neither application/json nor application/x-www-form-urlencoded")
	}
	return asked, nil
}

// grant makes a token.
func (i *Issuer) grant(asked request) (answer, *refusal) {
	known, is := i.clients[asked.ClientID]
	secret := sha256.Sum256([]byte(asked.Secret))
	if same := subtle.ConstantTimeCompare(secret[:], known.secret[:]) == 1; !same || !is {
		return answer{}, &refusal{http.StatusUnauthorized, "invalid_client", "the client is not known, or its secret is another"}
	}
	switch asked.GrantType {
	case "client_credentials":
	case "":
		return answer{}, wrong("grant_type is missing")
	default:
		return answer{}, &refusal{http.StatusBadRequest, "unsupported_grant_type", "the only grant_type is client_credentials"}
	}
	if asked.Audience != i.opts.Audience {
		return answer{}, &refusal{http.StatusForbidden, "access_denied", "there are no tokens for this audience"}
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(strings.Fields(asked.Scope))))
	for _, s := range scopes {
		if !slices.Contains(known.scopes, s) {
			return answer{}, &refusal{http.StatusBadRequest, "invalid_scope", "the client may not have one of the scopes"}
		}
	}
	if len(scopes) == 0 {
		scopes = known.scopes
	}
	token, err := i.sign(asked.ClientID, strings.Join(scopes, " "))
	if err != nil {
		return answer{}, &refusal{http.StatusInternalServerError, "server_error", "the token could not be signed"}
	}
	return answer{Token: token, Type: "Bearer", Expires: int64(i.opts.Lifetime / time.Second), Scope: strings.Join(scopes, " ")}, nil
}

// claims are those that Auth0 gives to programs.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Client   string `json:"azp"`
	Grant    string `json:"gty"`
	Scope    string `json:"scope,omitzero"`
}

func (i *Issuer) sign(clientID, scope string) (string, error) {
	now := i.opts.Now()
	payload, err := json.Marshal(claims{
		Issuer: i.opts.URL, Subject: clientID + "@clients", Audience: i.opts.Audience,
		Issued: now.Unix(), Expires: now.Add(i.opts.Lifetime).Unix(),
		Client: clientID, Grant: "client-credentials", Scope: scope,
	})
	if err != nil {
		return "", err
	}
	signed, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
