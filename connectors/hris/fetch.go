package hris

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxRedirects is how often one host may send us about.
const maxRedirects = 5

// fetch asks for the report, again after each pause as long as nothing of it
// has come and asking again may help.
func (s *Source) fetch(ctx context.Context) (io.ReadCloser, error) {
	password, err := s.secret(ctx)
	switch {
	case err != nil:
		// Its text is left out: it comes from where the password is.
		return nil, &fault{reason: "the password could not be read"}
	case password == "":
		return nil, &fault{reason: "the password is empty"}
	}
	for _, pause := range s.pauses {
		a, err := s.ask(ctx, password)
		var f *fault
		if err == nil || !errors.As(err, &f) || !f.passing {
			return a, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
	return s.ask(ctx, password)
}

// ask asks once, and returns with an answer that is the report or a *fault.
func (s *Source) ask(ctx context.Context, password string) (_ io.ReadCloser, err error) {
	a := &answer{timeout: s.cfg.Timeout}
	ctx, a.cancel = context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	req := &http.Request{Method: http.MethodGet, URL: s.url, Host: s.url.Host, Header: http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"gzip"},
		"User-Agent":      {"cis"},
	}}
	req.SetBasicAuth(s.cfg.Username, password)
	err = a.within(func() (err error) {
		a.response, err = s.client.Do(req.WithContext(ctx))
		return err
	})
	if err != nil {
		return nil, transportFault(ctx, err)
	}
	if err := s.check(a.response); err != nil {
		return nil, err
	}
	a.body = &silence{a, ctx}
	if a.response.Header.Get("Content-Encoding") != "" {
		if a.body, err = gzip.NewReader(a.body); err != nil {
			return nil, (&meter{}).fault(err, 0)
		}
	}
	return a, nil
}

// check judges all of an answer but its body.
func (s *Source) check(r *http.Response) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch code := r.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &fault{reason: fmt.Sprintf("the server refused the credentials (status %d)", code)}
	case code == http.StatusTooManyRequests || code >= 500:
		return &fault{reason: fmt.Sprintf("the server answered with status %d", code), passing: true}
	case code != http.StatusOK:
		return &fault{reason: fmt.Sprintf("the server answered with status %d", code)}
	case err != nil || kind != "application/json" && kind != "text/json":
		return &fault{reason: "the answer is not of type application/json"}
	case params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8"):
		return &fault{reason: "the answer is not in UTF-8"}
	case r.ContentLength > s.cfg.MaxBytes:
		return &fault{reason: fmt.Sprintf("the report is over %d bytes", s.cfg.MaxBytes)}
	}
	if c := r.Header.Values("Content-Encoding"); len(c) > 1 || len(c) == 1 && !strings.EqualFold(c[0], "gzip") {
		return &fault{reason: "the answer is compressed in a way that was not asked for"}
	}
	return nil
}

var (
	errSilent   = errors.New("silent")
	errRedirect = &fault{reason: "the server redirected to another host, or too often"}
)

// sameHost lets redirects stay on the host, and on https. The client sends
// the credentials again wherever it is let go.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" || authority(req.URL) != authority(via[0].URL) || req.URL.User != nil || len(via) > maxRedirects {
		return errRedirect
	}
	return nil
}

func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// An answer is a response whose server may not be silent for long.
type answer struct {
	response *http.Response
	body     io.Reader
	timeout  time.Duration
	cancel   context.CancelCauseFunc
}

func (a *answer) Read(p []byte) (int, error) { return a.body.Read(p) }

func (a *answer) Close() error {
	a.cancel(nil)
	if a.response == nil {
		return nil
	}
	return a.response.Body.Close()
}

// within cancels the request if f takes longer than the timeout. Only waiting
// for the server counts, not what is done with what has come.
func (a *answer) within(f func() error) error {
	timer := time.AfterFunc(a.timeout, func() { a.cancel(errSilent) })
	defer timer.Stop()
	return f()
}

// silence reads the bytes of an answer as they come.
type silence struct {
	*answer
	ctx context.Context // of the request
}

func (s *silence) Read(p []byte) (n int, err error) {
	err = s.within(func() (err error) {
		n, err = s.response.Body.Read(p)
		return err
	})
	short := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && (!short || s.ctx.Err() != nil) {
		err = transportFault(s.ctx, err)
	}
	return n, err
}

// transportFault says in our own words why there is no answer, or no more of
// it: the client's errors quote the URL and what the server sent.
func transportFault(ctx context.Context, err error) error {
	var (
		f         *fault
		dns       *net.DNSError
		untrusted *tls.CertificateVerificationError
		op        *net.OpError
	)
	switch {
	case context.Cause(ctx) == errSilent:
		return &fault{reason: "the server was silent for too long"}
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &f):
		return f
	case errors.As(err, &dns):
		return &fault{reason: "the host's name could not be resolved", passing: true}
	case errors.As(err, &untrusted):
		return &fault{reason: "the server's certificate is not trusted"}
	case errors.As(err, &op) && op.Op == "dial":
		return &fault{reason: "the server could not be reached", passing: true}
	}
	return &fault{reason: "the connection broke", passing: true}
}
