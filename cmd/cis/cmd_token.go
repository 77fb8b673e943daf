package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
)

const (
	tokenTimeout = 30 * time.Second // for all of it
	maxAnswer    = 256 << 10        // bytes
)

type tokenCommand struct {
	Scope    []string `placeholder:"SCOPE" sep:"none" help:"What the token may do; may be repeated, or hold several with spaces between them (default: all that the client may)."`
	From     string   `placeholder:"URL" help:"The issuer (default: that of cis serve --dev)."`
	ClientID string   `name:"client-id" placeholder:"ID" help:"Who asks."`
	Secret   string   `placeholder:"REF" help:"The secret of who asks: env:NAME or file:PATH."`
	Audience string   `placeholder:"NAME" help:"The service that the token is for."`
	Output   string   `short:"o" placeholder:"FILE" help:"Write the token to a file, which you alone may read, and not to standard output."`
}

func (tokenCommand) Help() string {
	var list strings.Builder
	for _, s := range scopes() {
		fmt.Fprintf(&list, "    %-36s %s.\n", s.name, s.description)
	}
	return `Asks an issuer for a token and prints it; with --json, the whole answer. Without --from it is the issuer of "cis serve --dev", which says in cis-dev.json, beside the configuration, who may ask and how; that is never sent to anybody else. A token is as good as a password until it expires.

The scopes of the person service:

` + list.String() + `
Examples:

    curl -H "Authorization: Bearer $(cis token)" http://127.0.0.1:8080/v2/users
    cis token --scope "read:fullprofile display:staff"
    cis token --scope write -o writer
    cis token --from https://example.auth0.com/ --client-id 3kF9 --secret env:CLIENT_SECRET --audience api.example.org --json`
}

func (c tokenCommand) Run(ctx context.Context, p *program) error {
	with, err := c.credentials(p)
	if err != nil {
		return err
	}
	asked := strings.Fields(strings.Join(c.Scope, " "))
	if c.From == "" {
		for _, s := range asked {
			if !slices.Contains(scopeNames(), s) {
				return usageError{fmt.Errorf("unknown scope %s: there are %s", s, strings.Join(scopeNames(), ", "))}
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	// The transport is the command's own, so that no connection outlives it. It
	// follows no redirect: the request holds the secret.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	endpoint, err := tokenEndpoint(ctx, client, with.Issuer)
	if c.From == "" && errors.Is(err, syscall.ECONNREFUSED) {
		return usageError{fmt.Errorf("cis serve --dev is not running any more (%s is left from it): start it again", nearby(p.devPath()))}
	}
	if err != nil {
		return fmt.Errorf("cis: find the token endpoint: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {with.ClientID}, "client_secret": {with.Secret}}
	if with.Audience != "" {
		form.Set("audience", with.Audience)
	}
	if len(asked) > 0 {
		form.Set("scope", strings.Join(asked, " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("cis: ask for a token: the token endpoint is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := askJSON(client, req)
	if err != nil {
		return fmt.Errorf("cis: ask for a token: %w", err)
	}
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	err = json.Unmarshal(body, &answer)
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("cis: the issuer gives no token: status %d%s", status, reason(answer.Error))
	case err != nil || answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("cis: the issuer's answer holds no token")
	}
	if c.Output != "" {
		return p.keepToken(c.Output, answer.Token)
	}
	return p.print(jsontext.Value(body), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, answer.Token)
		return err
	})
}

// keepToken writes a token into a file that is the user's alone, and says so.
func (p *program) keepToken(name, token string) error {
	// Not writeWhole, which compresses by the name.
	if err := writePrivate(name, []byte(token+"\n")); err != nil {
		return err
	}
	return p.print(map[string]string{"file": name}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "The token is in %s, which you alone may read.\n", show.Clean(name))
		return err
	})
}

// credentials are whom to ask as whom. Those of `cis serve --dev` count for
// its own issuer only.
func (c tokenCommand) credentials(p *program) (devServer, error) {
	with := devServer{Issuer: c.From}
	if c.From == "" {
		var err error
		if with, err = p.readDev(); err != nil {
			return with, err
		}
	} else if c.ClientID == "" || c.Secret == "" {
		return with, usageError{errors.New("--from needs --client-id and --secret")}
	}
	if !isSafe(with.Issuer) {
		return with, usageError{errors.New("the issuer must be an https URL; http is for 127.0.0.1, ::1 and localhost")}
	}
	if c.ClientID != "" {
		with.ClientID = c.ClientID
	}
	if c.Audience != "" {
		with.Audience = c.Audience
	}
	if c.Secret != "" {
		secret, err := config.Secret(c.Secret).Read(p.env)
		if err != nil {
			return with, usageError{fmt.Errorf("--secret: %w", err)}
		}
		with.Secret = secret
	}
	return with, nil
}

// isSafe reports whether what is sent to a URL cannot be read on the way.
func isSafe(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && a.IsLoopback())
}

// tokenEndpoint reads from an issuer's metadata where it gives tokens (OpenID
// Connect Discovery 1.0, section 4).
func tokenEndpoint(ctx context.Context, client *http.Client, issuer string) (string, error) {
	issuer = strings.TrimSuffix(issuer, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", errors.New("the issuer is not a URL")
	}
	status, body, err := askJSON(client, req)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("status %d", status)
	}
	var found struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"token_endpoint"`
	}
	switch err := json.Unmarshal(body, &found); {
	case err != nil:
		return "", errors.New("the metadata is not the JSON of an issuer")
	case strings.TrimSuffix(found.Issuer, "/") != issuer:
		return "", errors.New("the metadata is that of another issuer")
	case !isSafe(found.Endpoint) || strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(found.Endpoint, "https:"):
		return "", errors.New("the metadata names no token endpoint with https")
	}
	return found.Endpoint, nil
}

// askJSON sends a request. Its errors do not name the URL.
func askJSON(client *http.Client, req *http.Request) (status int, body []byte, err error) {
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return 0, nil, u.Err
	}
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is over %d bytes", maxAnswer)
	}
	return resp.StatusCode, body, err
}

// reason says what an error of RFC 6749 section 5.2 means. The issuer's own
// words are left out: they might repeat the request.
func reason(code string) string {
	switch code {
	case "invalid_client", "unauthorized_client":
		return ": the client is not known, or its secret is another"
	case "invalid_scope":
		return ": the client may not have one of the scopes"
	case "access_denied":
		return ": the client or the audience is not known to it"
	case "invalid_request", "invalid_grant", "unsupported_grant_type":
		return ": " + code
	}
	return ""
}
