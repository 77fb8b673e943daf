package web

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken bounds the answer of a token endpoint.
const maxToken = 256 << 10

// An Authorizer gives requests their credentials.
type Authorizer interface {
	// authorization returns a value of the header of that name, "" for none.
	// Its errors are a *Fault, or that of ctx.
	authorization(ctx context.Context, c *Client) (string, error)
	// forget is told of a value that the server refused, and reports whether
	// there may be another.
	forget(ctx context.Context, authorization string) bool
}

type nobody struct{}

func (nobody) authorization(context.Context, *Client) (string, error) { return "", nil }
func (nobody) forget(context.Context, string) bool                    { return false }

// Basic is a name and a password (RFC 7617). The password is read once a
// request.
func Basic(username string, password Secret) Authorizer { return basic{username, password} }

type basic struct {
	username string
	password Secret
}

func (b basic) authorization(ctx context.Context, _ *Client) (string, error) {
	password, err := reveal(ctx, "password", b.password)
	if err != nil {
		return "", err
	}
	return basicValue(b.username, password), nil
}

func (b basic) forget(context.Context, string) bool { return false }

func basicValue(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// Bearer is a token (RFC 6750) that somebody else keeps fresh. It is read once
// a request.
func Bearer(token Secret) Authorizer { return bearer{token} }

type bearer struct{ token Secret }

func (b bearer) authorization(ctx context.Context, _ *Client) (string, error) {
	token, err := reveal(ctx, "token", b.token)
	if err != nil {
		return "", err
	}
	if !isToken(token) {
		return "", &Fault{Reason: "the token is not one line of printable characters"}
	}
	return "Bearer " + token, nil
}

func (b bearer) forget(context.Context, string) bool { return false }

// reveal reads a secret. The text of its error is left out: it comes from
// where the secret is.
func reveal(ctx context.Context, what string, secret Secret) (string, error) {
	if secret == nil {
		return "", &Fault{Reason: "there is no " + what}
	}
	s, err := secret(ctx)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", &Fault{Reason: "the " + what + " could not be read"}
	case s == "":
		return "", &Fault{Reason: "the " + what + " is empty"}
	}
	return s, nil
}

// isToken reports whether s can be sent as a token.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Credentials are those of an OAuth 2.0 client (RFC 6749 section 4.4). The
// client's secret is given to ClientCredentials.
type Credentials struct {
	// TokenURL is the token endpoint, https only.
	TokenURL string `yaml:"token_url"`
	// ClientID is the client's public name.
	ClientID string `yaml:"client_id"`
	// ClientAuth says where the client's secret is sent: in the "body" of the
	// request, where most servers take it, or in its "header", as basic
	// authentication, which some insist on. "" is body.
	ClientAuth string `yaml:"client_auth"`
	// Audience names the API that the token is for, where the endpoint has
	// tokens for several, as Auth0 does.
	Audience string `yaml:"audience"`
	// Scope is what the token may do, in words with spaces between them, "" for
	// what the server gives without being asked.
	Scope string `yaml:"scope"`
}

// Validate returns all complaints, joined. They hold nothing of the URL.
func (c Credentials) Validate() error {
	var bad []error
	if c.TokenURL == "" {
		bad = append(bad, errors.New("token_url is missing"))
	} else if _, err := parseURL(c.TokenURL); err != nil {
		bad = append(bad, fmt.Errorf("token_url %w", err))
	}
	if c.ClientID == "" {
		bad = append(bad, errors.New("client_id is missing"))
	}
	if c.ClientAuth != "" && c.ClientAuth != "body" && c.ClientAuth != "header" {
		bad = append(bad, errors.New("client_auth is neither body nor header"))
	}
	return errors.Join(bad...)
}

// ClientCredentials are tokens that are got with the credentials. A token is
// kept until shortly before it expires or, if its endpoint does not say when
// it does, until it is refused.
func ClientCredentials(c Credentials, secret Secret) Authorizer {
	return &client{Credentials: c, secret: secret, turn: make(chan struct{}, 1)}
}

type client struct {
	Credentials
	secret Secret
	turn   chan struct{} // full while somebody uses the fields below
	value  string        // of the header, "" where there is none yet
	until  time.Time     // zero if nobody said
}

// lock waits for its turn, which may take as long as getting a token does.
func (a *client) lock(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *client) unlock() { <-a.turn }

func (a *client) authorization(ctx context.Context, c *Client) (string, error) {
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.value != "" && (a.until.IsZero() || c.opts.Now().Before(a.until)) {
		return a.value, nil
	}
	token, life, err := a.fetch(ctx, c)
	if f := (*Fault)(nil); errors.As(err, &f) {
		return "", &Fault{Reason: "token endpoint: " + f.Reason, Passing: f.Passing}
	}
	if err != nil {
		return "", err
	}
	a.value, a.until = "Bearer "+token, time.Time{}
	if life > 0 {
		// It must not expire on its way.
		a.until = c.opts.Now().Add(life - min(time.Minute, life/2))
	}
	return a.value, nil
}

func (a *client) forget(ctx context.Context, value string) bool {
	if a.lock(ctx) != nil {
		return false
	}
	defer a.unlock()
	if a.value == value {
		a.value = ""
	}
	return true
}

// fetch gets a token and how long it lives, 0 if nobody says.
func (a *client) fetch(ctx context.Context, c *Client) (string, time.Duration, error) {
	secret, err := reveal(ctx, "client's secret", a.secret)
	if err != nil {
		return "", 0, err
	}
	req, err := a.request(ctx, secret)
	if err != nil {
		return "", 0, errAsk
	}
	// No redirect is followed, because the request holds the secret.
	resp, err := c.persist(c.sender(req.URL, nowhere), req, true)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	if err := checkJSON(resp.Header); err != nil {
		return "", 0, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxToken+1))
	if err != nil {
		return "", 0, err
	}
	var got struct {
		Token   string         `json:"access_token"`
		Type    string         `json:"token_type"`
		Expires jsontext.Value `json:"expires_in"`
	}
	switch err := json.Unmarshal(b, &got); {
	case len(b) > maxToken:
		return "", 0, &Fault{Reason: fmt.Sprintf("the answer is over %d bytes", maxToken)}
	case err != nil:
		return "", 0, &Fault{Reason: "the answer is not the JSON of a token"}
	case !isToken(got.Token):
		return "", 0, &Fault{Reason: "the answer holds no token"}
	case !strings.EqualFold(got.Type, "bearer"):
		return "", 0, &Fault{Reason: "the token is not of type Bearer"}
	}
	// Some write the number as text; what is no number says nothing.
	seconds, _ := strconv.ParseUint(strings.Trim(string(got.Expires), `"`), 10, 31)
	return got.Token, time.Duration(seconds) * time.Second, nil
}

// request makes the request for a token.
func (a *client) request(ctx context.Context, secret string) (*http.Request, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if a.Audience != "" {
		form.Set("audience", a.Audience)
	}
	if a.Scope != "" {
		form.Set("scope", a.Scope)
	}
	header := a.ClientAuth == "header"
	if !header {
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if header {
		// RFC 6749 section 2.3.1 has both encoded as in forms.
		req.Header.Set("Authorization", basicValue(url.QueryEscape(a.ClientID), url.QueryEscape(secret)))
	}
	return req, nil
}
