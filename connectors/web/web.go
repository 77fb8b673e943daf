// Package web owns what the sources that are read over HTTPS have in common:
// whom to trust, where redirects may lead, how long a server may be silent and
// how much it may say, when to ask again, how long to wait for a rate limit,
// and the credentials.
//
// An [Answer] proves as much of its wholeness as HTTP can: its body ends in
// io.EOF only where the declared length, the last chunk and the checksum of
// the compression all say so, and an answer that declares no end is refused.
// That the JSON in it closes and that no page is missing is for the source to
// see, which reads every body to its io.EOF.
//
// It refuses anything but https, a redirect to another host, a compression
// that it did not ask for, and to wait long. What goes wrong is said in words
// of its own, as a [Fault]: the errors of clients and the bodies of servers
// quote URLs, tokens and people, and none of those get out of here.
package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// The limits that hold where [Config] sets none.
const (
	DefaultTimeout  = time.Minute
	DefaultMaxBytes = 256 << 20
)

// A Secret reads a password, a client's secret or a token. It is called where
// it is needed, never before.
type Secret = func(context.Context) (string, error)

// Config says where a server is and how patiently it is read. A source's own
// Config holds it inline.
type Config struct {
	// URL is what the paths of requests are below of, https only.
	URL string `yaml:"url"`
	// CAFile holds the certificates in PEM that the server's is checked
	// against, "" for those of the system.
	CAFile string `yaml:"ca_file"`
	// Timeout is how long the server may be silent, before its answer and
	// within it. 0 is DefaultTimeout.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBytes bounds one answer, uncompressed. 0 is DefaultMaxBytes.
	MaxBytes int64 `yaml:"max_bytes"`
}

// Validate returns all complaints, joined. They hold nothing of the URL, which
// may hold secrets. A URL that is missing is no complaint here, because many
// sources may read a file instead: New refuses it.
func (c Config) Validate() error {
	var bad []error
	if c.URL == "" {
		if c.CAFile != "" {
			bad = append(bad, errors.New("ca_file means nothing without url"))
		}
	} else if _, err := parseURL(c.URL); err != nil {
		bad = append(bad, fmt.Errorf("url %w", err))
	}
	if c.Timeout < 0 {
		bad = append(bad, errors.New("timeout is negative"))
	}
	if c.MaxBytes < 0 {
		bad = append(bad, errors.New("max_bytes is negative"))
	}
	return errors.Join(bad...)
}

// Complaints takes what Validate returned apart, so that a source can list it
// among its own complaints.
func Complaints(joined error) []error {
	if j, ok := joined.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return nil
}

// parseURL checks a URL. Its errors hold nothing of it.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	_, err = url.ParseQuery(u.RawQuery)
	switch {
	case u.Scheme != "https":
		return nil, errors.New("must begin with https://")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not hold credentials")
	case u.Fragment != "":
		return nil, errors.New("must not have a fragment")
	case err != nil:
		return nil, errors.New("has a query that is malformed")
	}
	return u, nil
}

// Options are what a Client needs of the process it runs in. The zero Options
// are those of a program; tests do not want to wait.
type Options struct {
	// Now is the real clock, not that of a run: it is compared with what
	// servers say of the time. nil is time.Now.
	Now func() time.Time
	// Note tells a person of a wait, as "example.com: rate limit: waiting 40s".
	// It is called from where Do is. nil is silence.
	Note func(string)
	// Pauses are those before each time a request is repeated that failed
	// without a word about when to come back. nil is 2 s and 10 s; an empty
	// list is no repetition.
	Pauses []time.Duration
	// Sleep waits, or returns the error of ctx. nil really waits.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A Client reads from one server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	auth Authorizer
	opts Options
	// own is for the server, whose certificate the file of the configuration
	// vouches for; other is for everybody else, such as a token endpoint in the
	// cloud, and trusts the system too.
	own, other *transport
}

// New prepares to ask; nothing is asked yet. An Authorizer of nil asks without
// credentials.
func New(c Config, a Authorizer, o Options) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.URL == "" {
		return nil, errors.New("url is missing")
	}
	base, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	own, either, err := trust(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if a == nil {
		a = nobody{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Pauses == nil {
		o.Pauses = []time.Duration{2 * time.Second, 10 * time.Second}
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return &Client{
		base: base, auth: a, opts: o,
		own:   newTransport(own, c.Timeout, c.MaxBytes),
		other: newTransport(either, c.Timeout, c.MaxBytes),
	}, nil
}

// trust reads certificates: own are those of the file or, as nil, of the
// system; either are both.
func trust(name string) (own, either *x509.CertPool, err error) {
	if name == "" {
		return nil, nil, nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	own = x509.NewCertPool()
	if !own.AppendCertsFromPEM(pem) {
		return nil, nil, errors.New("no certificate in it")
	}
	if either, err = x509.SystemCertPool(); err != nil {
		return nil, nil, err
	}
	either.AppendCertsFromPEM(pem)
	return own, either, nil
}

func newTransport(trust *x509.CertPool, timeout time.Duration, maxBytes int64) *transport {
	return &transport{timeout: timeout, maxBytes: maxBytes, base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // asked for and undone in transport, where the limits are
		MaxResponseHeaderBytes: 64 << 10,
	}}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Host returns the server's host, with its port if the URL has one.
func (c *Client) Host() string { return c.base.Host }

// HTTP returns a client for SDKs that bring their own requests and
// credentials. Redirects, silence, sizes and compression are watched as in Do;
// nothing is repeated or waited for. Its errors hold URLs, as http.Client
// makes them: [FaultOf] says what happened without.
func (c *Client) HTTP() *http.Client {
	return &http.Client{CheckRedirect: sameHost, Transport: c.own}
}

// sender returns what sends requests to a host.
func (c *Client) sender(to *url.URL, redirect func(*http.Request, []*http.Request) error) *http.Client {
	t := c.other
	if authority(to) == authority(c.base) {
		t = c.own
	}
	return &http.Client{CheckRedirect: redirect, Transport: t}
}

// Close drops idle connections.
func (c *Client) Close() error {
	c.own.CloseIdleConnections()
	c.other.CloseIdleConnections()
	return nil
}

// A Request is what to ask for.
type Request struct {
	// Method is GET if it is "". Only GET and HEAD are repeated after failures
	// that leave open whether the server did what it was asked.
	Method string
	// Path is appended to the URL of the configuration and may have a query.
	// It may also be a whole URL on the same host, as links to next pages are.
	// Ids in it must be escaped with url.PathEscape.
	Path string
	// Query is added to what the URL and the path have.
	Query url.Values
	// Body is sent as ContentType, which is application/json if it is "".
	Body        []byte
	ContentType string
	// Accept is application/json if it is "".
	Accept string
	// Anonymous asks without credentials; then Path may be a whole URL of
	// another host, as where a server put a file to download.
	Anonymous bool
}

// An Answer is a response of status 2xx. Its body must be read to io.EOF to
// be known to be whole; errors of Read are a *Fault, or those of ctx.
type Answer struct {
	Status int
	Header http.Header
	body   io.ReadCloser
}

// Read reads the body, uncompressed.
func (a *Answer) Read(p []byte) (int, error) { return a.body.Read(p) }

// Close ends the answer, read or not.
func (a *Answer) Close() error { return a.body.Close() }

// JSON returns a *Fault unless the answer says that it is JSON in UTF-8.
func (a *Answer) JSON() error { return checkJSON(a.Header) }

// Do asks, again after a pause where that may help, after waiting where the
// server says for how long, and once more with a new token where the old one
// was refused. Its errors are a *Fault, or that of ctx.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	for renewed := false; ; renewed = true {
		credentials := ""
		if !r.Anonymous {
			if credentials, err = c.auth.authorization(ctx, c); err != nil {
				return nil, err
			}
			if credentials != "" {
				req.Header.Set("Authorization", credentials)
			}
		}
		resp, err := c.persist(c.sender(req.URL, sameHost), req, req.Method == http.MethodGet || req.Method == http.MethodHead)
		if err == nil {
			return &Answer{resp.StatusCode, resp.Header, resp.Body}, nil
		}
		var f *Fault
		if renewed || r.Anonymous || !errors.As(err, &f) || f.Status != http.StatusUnauthorized || !c.auth.forget(ctx, credentials) {
			return nil, err
		}
	}
}

// request makes the request that r describes.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u, err := c.locate(r)
	if err != nil {
		return nil, err
	}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, errAsk
	}
	req.Header.Set("Accept", "application/json")
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
		if r.ContentType != "" {
			req.Header.Set("Content-Type", r.ContentType)
		}
	}
	return req, nil
}

// errAsk is the fault of a path that cannot be part of a question.
var errAsk = &Fault{Reason: "a link or path is not one that may be asked for"}

// locate returns where to ask.
func (c *Client) locate(r Request) (*url.URL, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, errAsk
	}
	switch {
	case u.IsAbs() || u.Host != "":
		if u.Scheme != "https" || u.User != nil || u.Hostname() == "" || !r.Anonymous && authority(u) != authority(c.base) {
			return nil, &Fault{Reason: "a link leads to another host"}
		}
	case r.Path != "":
		// An id of ".." must not climb out of the path that it was put into.
		for segment := range strings.SplitSeq(u.Path, "/") {
			if segment == "." || segment == ".." {
				return nil, errAsk
			}
		}
		query := u.RawQuery
		u = c.base.JoinPath(u.EscapedPath())
		u.RawQuery = and(c.base.RawQuery, query)
	default:
		base := *c.base
		u = &base
	}
	u.RawQuery, u.Fragment = and(u.RawQuery, r.Query.Encode()), ""
	return u, nil
}

// and joins two queries.
func and(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}
