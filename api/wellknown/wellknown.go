// Package wellknown owns the documents by which others find the service and
// check what it says: the discovery document with the public keys of all
// publishers, its signature, the schema of profiles, the rules of publishers,
// the profile of somebody of whom nothing is known, and the description of the
// API.
//
// It keeps no key and reads no file: keys, the signer and the catalogue come to
// it. It refuses to serve half a document: if the keys cannot be read, the last
// whole one stays.
//
// Keys are published without x5c: they have no certificates, and what stood there
// in documents of the older system was none. A key's n says what it is.
//
// # Verifying the document
//
// Beside the document, under its path and ".asc", is a signature over exactly
// its bytes, by the key of the publisher cis that signs profiles: a JWS in
// compact form whose payload is left out (RFC 7515, appendix F),
//
//	<header>..<signature>
//
// with the header {"alg","typ":"cis-discovery","kid"}. To verify it, put the
// bytes of the document, in base64url without padding, between the two dots, and
// verify that as any JWS by the key that kid names; libraries for JOSE do both
// if they are given a detached payload. The key is one that you know to be of
// cis, such as that of the document that you verified before: the keys in the
// document itself prove no more than that it came whole.
//
// A document and its signature are made together, but fetched one after the
// other. If they do not fit, because the keys changed in between, fetch both
// again.
package wellknown

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// The paths of the documents, the first of which can be another.
const (
	Path     = "/.well-known/mozilla-iam"
	Schema   = "/.well-known/profile.schema"
	Rules    = "/.well-known/mozilla-iam-publisher-rules"
	Null     = "/.well-known/user_profile_null.json"
	OpenAPI  = "/openapi.yaml"
	asc      = ".asc"
	wellDirs = "/.well-known/"
)

// Typ is the typ in the header of the document's signature, so that it can be
// taken for no other signature of cis.
const Typ = "cis-discovery"

const (
	// Life is how old the keys in a document may be.
	Life = time.Minute
	// again is after which time keys that could not be read are tried again.
	again = 10 * time.Second
	// longest is how long reading and signing may take.
	longest = 15 * time.Second
	// Clients read the documents anew after a quarter of an hour at the earliest.
	caching = "public, max-age=900"
)

// Options of the routes.
type Options struct {
	// Path of the document, below /.well-known/; "" is [Path].
	Path string
	// URL is how callers reach the service that has these documents. Person and
	// Change are where the two APIs are; URL if they are "".
	URL, Person, Change string
	// OIDC is the discovery document of whoever logs people in.
	OIDC string
	// AccessFile is a JSON object that is told as it is; empty is {}.
	AccessFile []byte
	// Audience is what tokens are made for.
	Audience string
	// Scopes are all that a token may have, in the order in which they are told.
	Scopes    []string
	Catalogue *catalogue.Catalogue
	// Keys are the public keys of all publishers, current ones first: all by
	// which stored attributes verify.
	Keys func(context.Context) (sign.Keys, error)
	// Signer signs for cis. It is nil, or returns nil, where no key is held.
	Signer func(context.Context) (sign.Signer, error)
	Now    func() time.Time
	Log    *slog.Logger
}

//go:embed openapi.yaml
var openapi []byte

// Description returns what is served as the description of the API.
func Description() []byte { return bytes.Clone(openapi) }

// New returns the routes. What the documents say besides keys is fixed then.
func New(o Options) ([]api.Route, error) {
	if o.Path == "" {
		o.Path = Path
	}
	if name, ok := strings.CutPrefix(o.Path, wellDirs); !ok || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || strings.Trim(name, ".") == "" {
		return nil, fmt.Errorf("wellknown: the path of the document: want %s and a name of letters, digits, -, _ and dots", wellDirs)
	}
	for _, other := range []string{Schema, Rules, Null} {
		if o.Path == other || o.Path+asc == other {
			return nil, fmt.Errorf("wellknown: %s is the path of another document", other)
		}
	}
	if len(o.AccessFile) == 0 {
		o.AccessFile = []byte("{}")
	}
	if access := jsontext.Value(o.AccessFile); !access.IsValid() || access.Kind() != '{' {
		return nil, errors.New("wellknown: the access file is not a JSON object")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Person == "" {
		o.Person = o.URL
	}
	if o.Change == "" {
		o.Change = o.URL
	}
	null := jsontext.Value(o.Catalogue.NullProfile().AppendJSON(nil))
	if err := null.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("wellknown: the null profile: %w", err)
	}
	d := &discovery{Options: o, making: make(chan struct{}, 1)}
	return []api.Route{
		route(o.Path, d.serve),
		route(o.Path+asc, d.serveSignature),
		fixed(Schema, "application/json", o.Catalogue.Schema()),
		fixed(Rules, "application/json", o.Catalogue.Rules()),
		fixed(Null, "application/json", append(null, '\n')),
		fixed(OpenAPI, "application/yaml", openapi),
	}, nil
}

func route(path string, serve func(http.ResponseWriter, *http.Request) error) api.Route {
	return api.Route{Method: http.MethodGet, Path: path, Open: true, Cross: true, Free: true, Serve: serve}
}

// fixed is a document that stays as it is.
func fixed(path, contentType string, body []byte) api.Route {
	doc := newDocument(contentType, body)
	return route(path, doc.write)
}

// A document is some bytes and what is said of them. Their tag is made of them;
// it is weak, since it stays the same when the answer is compressed.
type document struct {
	contentType, tag string
	body             []byte
}

func newDocument(contentType string, body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{contentType, `W/"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`, body}
}

func (d *document) write(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Set("ETag", d.tag)
	if api.Has(r, d.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return api.Body(w, http.StatusOK, d.contentType, d.body)
}

// A discovery serves the document and its signature.
type discovery struct {
	Options
	last   atomic.Pointer[made]
	making chan struct{} // holds one while the document is made
}

// A made is a document and its signature, until when they are not made again.
type made struct {
	doc, signature *document
	// err is why there is no document, unsigned why there is no signature.
	err, unsigned error
	until         time.Time
}

func (d *discovery) serve(w http.ResponseWriter, r *http.Request) error {
	m := d.current(r.Context())
	if m.err != nil {
		return m.err
	}
	return m.doc.write(w, r)
}

func (d *discovery) serveSignature(w http.ResponseWriter, r *http.Request) error {
	m := d.current(r.Context())
	switch {
	case m.err != nil:
		return m.err
	case m.unsigned != nil:
		return m.unsigned
	}
	return m.signature.write(w, r)
}

// current returns what was made last, and makes it anew if it is too old. While
// one caller does that, those after it get the last one; they wait only if there
// never was one.
func (d *discovery) current(ctx context.Context) *made {
	last := d.last.Load()
	if last != nil && d.Now().Before(last.until) {
		return last
	}
	if last == nil || last.err != nil {
		select {
		case d.making <- struct{}{}:
		case <-ctx.Done():
			return &made{err: ctx.Err()}
		}
	} else {
		select {
		case d.making <- struct{}{}:
		default:
			return last
		}
	}
	defer func() { <-d.making }()
	if last = d.last.Load(); last != nil && d.Now().Before(last.until) {
		return last
	}
	// It is made for those who come later, too, whether this caller stays or not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
	defer cancel()
	next := d.make(ctx)
	next.until = d.Now().Add(Life)
	if next.err != nil {
		next.until = d.Now().Add(again)
		if last != nil && last.err == nil {
			d.Log.WarnContext(ctx, "the discovery document is an older one", "error", next.err)
			next = &made{doc: last.doc, signature: last.signature, unsigned: last.unsigned, until: next.until}
		}
	}
	d.last.Store(next)
	return next
}

// errNoKeys is when nobody has a key: a document without keys would make clients
// drop those that they have.
var errNoKeys = errors.New("wellknown: there are no public keys")

func (d *discovery) make(ctx context.Context) *made {
	keys, err := d.Keys(ctx)
	if err == nil && len(keys) == 0 {
		err = errNoKeys
	}
	if err != nil {
		return &made{err: fmt.Errorf("wellknown: read the public keys: %w", err)}
	}
	keys = sign.MergeKeys(keys)
	body, err := d.document(keys)
	if err != nil {
		return &made{err: fmt.Errorf("wellknown: %w", err)}
	}
	m := &made{doc: newDocument("application/json", body)}
	jws, err := d.sign(ctx, keys, body)
	switch {
	case err != nil:
		m.unsigned = fmt.Errorf("wellknown: sign the document: %w", err)
	case jws == "":
		m.unsigned = &api.Error{Status: http.StatusNotFound, Code: "not_signed", Description: "the document is not signed here, because no key that signs is held here"}
	default:
		m.signature = newDocument("application/jose", []byte(jws))
	}
	return m
}

// sign signs a document, unless no key is held: then it returns "". What would
// not verify by the document's own keys is an error.
func (d *discovery) sign(ctx context.Context, keys sign.Keys, doc []byte) (string, error) {
	if d.Signer == nil {
		return "", nil
	}
	signer, err := d.Signer(ctx)
	if signer == nil || err != nil {
		return "", err
	}
	jws, err := sign.Detached(ctx, signer, Typ, doc)
	if err != nil {
		return "", err
	}
	return jws, sign.VerifyDetached(keys, people.CIS, Typ, jws, doc, sign.Policy{})
}

// document is the discovery document with keys, the same bytes each time.
func (d *discovery) document(keys sign.Keys) ([]byte, error) {
	type endpoints struct {
		Change string `json:"change"`
		Person string `json:"person"`
	}
	type service struct {
		Endpoints endpoints      `json:"endpoints"`
		Audience  string         `json:"audience"`
		Schema    string         `json:"profile_schema_uri"`
		Scopes    []string       `json:"scopes_supported"`
		Rules     string         `json:"publishers_rules_uri"`
		Keys      jsontext.Value `json:"publishers_jwks"`
	}
	b, err := json.Marshal(struct {
		OIDC   string         `json:"oidc_discovery_uri"`
		Access jsontext.Value `json:"access_file"`
		API    service        `json:"api"`
	}{d.OIDC, d.AccessFile, service{
		endpoints{d.Change, d.Person}, d.Audience, d.URL + Schema, d.Scopes, d.URL + Rules, keys.AppendJSON(nil),
	}}, json.Deterministic(true), jsontext.WithIndent("  "))
	return append(b, '\n'), err
}
