package github

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	stdjson "encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-github/v60/github"

	"example.org/cis/connectors/web"
)

// A credential is what requests are made with. GitHub counts the requests of
// each on its own.
type credential struct {
	authorization func(context.Context) (string, error)
	// forget is told of a value that was refused, and reports whether there
	// may be another.
	forget func(string) bool
	// wait is how long to wait before the next request.
	wait time.Duration
}

// An installationToken is one of an app's installation.
type installationToken struct {
	text    string
	expires time.Time
}

// margin is how long before its end a token is no longer used, so that it
// does not expire on its way.
const margin = 5 * time.Minute

// denied is the fault of what the reader may not see: it is about one
// organisation and says nothing of others.
func denied(reason string) error {
	return &web.Fault{Reason: reason, Status: http.StatusForbidden}
}

// reveal reads the secret, once a read. The text of its error is left out: it
// comes from where the secret is.
func (x *session) reveal(ctx context.Context) (string, error) {
	if x.secret == "" {
		secret, err := x.s.secret(ctx)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", &web.Fault{Reason: "the token or private key could not be read"}
		case secret == "":
			return "", &web.Fault{Reason: "the token or private key is empty"}
		}
		x.secret = secret
	}
	return x.secret, nil
}

// personal makes requests with the token that is the secret.
func (x *session) personal() *credential {
	return &credential{
		authorization: func(ctx context.Context) (string, error) {
			token, err := x.reveal(ctx)
			if err == nil && strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
				err = &web.Fault{Reason: "the token is not one line of printable characters"}
			}
			return "Bearer " + token, err
		},
		forget: func(string) bool { return false },
	}
}

// asApp makes requests as the app itself, which may do little but get tokens.
func (x *session) asApp() *credential {
	return &credential{
		authorization: func(ctx context.Context) (string, error) {
			text, err := x.reveal(ctx)
			if err != nil {
				return "", err
			}
			key, err := parseKey(text)
			if err != nil {
				return "", err
			}
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				return "", errKey
			}
			now := x.s.opts.Now()
			// GitHub allows ten minutes; our clock may be a little ahead of its.
			token, err := jwt.Signed(signer).Claims(jwt.Claims{
				Issuer:   strconv.FormatInt(x.s.cfg.App.AppID, 10),
				IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)),
				Expiry:   jwt.NewNumericDate(now.Add(8 * time.Minute)),
			}).Serialize()
			if err != nil {
				return "", errKey
			}
			return "Bearer " + token, nil
		},
		forget: func(string) bool { return false },
	}
}

var errKey = &web.Fault{Reason: "the app's private key is not an RSA key in PEM"}

// parseKey reads a key as GitHub gives it (PKCS #1) or as others keep it
// (PKCS #8).
func parseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := any.(*rsa.PrivateKey); ok && err == nil {
		return key, nil
	}
	return nil, errKey
}

// installation makes requests as the app's installation in an organisation,
// if that may read its members.
func (x *session) installation(ctx context.Context, login string) (*credential, error) {
	app := x.asApp()
	a, err := x.ask(ctx, app, http.MethodGet, "orgs/"+url.PathEscape(login)+"/installation", "", nil)
	if err != nil {
		if web.FaultOf(err).Status == http.StatusNotFound {
			err = denied("the app is not installed in it")
		}
		return nil, err
	}
	var in github.Installation
	switch err := stdjson.Unmarshal(a.body, &in); {
	case err != nil || in.GetID() == 0:
		return nil, &web.Fault{Reason: "the app's installation is not described as it should be"}
	case x.s.cfg.App.InstallationID != 0 && x.s.cfg.App.InstallationID != in.GetID():
		return nil, denied("the installation_id is not that of the app's installation in it")
	case in.SuspendedAt != nil:
		return nil, denied("the app's installation is suspended")
	case !slices.Contains([]string{"read", "write"}, in.GetPermissions().GetMembers()):
		return nil, denied("the app may not read members (organization permissions, Members: read)")
	}
	id := in.GetID()
	return &credential{
		authorization: func(ctx context.Context) (string, error) { return x.installationToken(ctx, app, id) },
		forget: func(value string) bool {
			x.s.mu.Lock()
			defer x.s.mu.Unlock()
			if "Bearer "+x.s.tokens[id].text == value {
				delete(x.s.tokens, id)
			}
			return true
		},
	}, nil
}

// installationToken returns a token that lives for a while yet.
func (x *session) installationToken(ctx context.Context, app *credential, id int64) (string, error) {
	x.s.mu.Lock()
	t := x.s.tokens[id]
	x.s.mu.Unlock()
	if t.text != "" && x.s.opts.Now().Add(margin).Before(t.expires) {
		return "Bearer " + t.text, nil
	}
	a, err := x.ask(ctx, app, http.MethodPost, "app/installations/"+strconv.FormatInt(id, 10)+"/access_tokens", "",
		&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Members: github.String("read")}})
	if f := (*web.Fault)(nil); errors.As(err, &f) {
		return "", &web.Fault{Reason: "a token of the installation: " + f.Reason, Status: f.Status, Passing: f.Passing}
	}
	if err != nil {
		return "", err
	}
	var got github.InstallationToken
	if err := stdjson.Unmarshal(a.body, &got); err != nil || got.ExpiresAt == nil || got.GetToken() == "" || strings.ContainsAny(got.GetToken(), " \r\n") {
		return "", &web.Fault{Reason: "a token of the installation: the answer holds none"}
	}
	x.s.mu.Lock()
	x.s.tokens[id] = installationToken{got.GetToken(), got.GetExpiresAt().Time}
	x.s.mu.Unlock()
	return "Bearer " + got.GetToken(), nil
}
