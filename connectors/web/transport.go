package web

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

// A Fault is why there is no answer, or no more of it, in words that hold
// nothing of the answer, of its URL or of credentials.
type Fault struct {
	Reason string
	// Status is that of the server's answer, 0 where it gave none. A fault of
	// getting a token has none: its status is not about what was asked for.
	Status int
	// Passing says that asking again may help.
	Passing bool

	early bool // the body ended before its end
}

// Error returns the reason.
func (f *Fault) Error() string { return f.Reason }

// Unwrap makes a body that ended too early io.ErrUnexpectedEOF.
func (f *Fault) Unwrap() error {
	if f.early {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// FaultOf returns the fault within an error, such as one from an SDK that uses
// HTTP(); for an error without one it is that the reading failed.
func FaultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Reason: "the server could not be read"}
}

var (
	errSilent   = errors.New("silent")
	errRedirect = &Fault{Reason: "the server redirected to another host, or too often"}
)

// sameHost lets redirects stay on the host, and on https. The client sends
// the credentials again wherever it is let go.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" || authority(req.URL) != authority(via[0].URL) || req.URL.User != nil ||
		req.Method != via[0].Method || len(via) > maxRedirects {
		return errRedirect
	}
	return nil
}

// nowhere follows no redirect: what is sent to a token endpoint is for it alone.
func nowhere(*http.Request, []*http.Request) error { return errRedirect }

func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// A transport watches over single requests and their answers: over https,
// silence, size and compression. Its errors, also of bodies, are a *Fault, or
// that of the request's context.
type transport struct {
	base     *http.Transport
	timeout  time.Duration
	maxBytes int64
}

// CloseIdleConnections is called by http.Client's.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// RoundTrip asks once.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &Fault{Reason: "only https is asked"}
	}
	b := &body{timeout: t.timeout, maxBytes: t.maxBytes, caller: r.Context()}
	b.ctx, b.cancel = context.WithCancelCause(r.Context())
	req := r.Clone(b.ctx)
	req.Header.Set("Accept-Encoding", "gzip")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "cis")
	}
	var resp *http.Response
	err := b.within(func() (err error) {
		resp, err = t.base.RoundTrip(req)
		return err
	})
	if err != nil {
		err = b.fault(err)
		b.cancel(nil)
		return nil, err
	}
	b.wire = resp.Body
	b.reader = wire{b}
	resp.Body = b
	if err := b.open(resp); err != nil {
		b.Close()
		return nil, err
	}
	return resp, nil
}

// A body is that of an answer whose server may not be silent for long.
type body struct {
	timeout     time.Duration
	n, maxBytes int64
	ctx         context.Context // of the request to the server
	caller      context.Context // of whoever asked
	cancel      context.CancelCauseFunc
	wire        io.ReadCloser
	gzipped     bool      // and not yet begun to be undone
	reader      io.Reader // of the wire, or of what undoes the compression
	err         error
}

// open judges how the body is framed and compressed.
func (b *body) open(resp *http.Response) error {
	if code := resp.StatusCode; resp.Request.Method == http.MethodHead || code == http.StatusNoContent || code == http.StatusNotModified {
		return nil
	}
	if resp.StatusCode/100 == 2 {
		switch {
		case resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1:
			// Such a body ends where the connection does, whatever ended it.
			return &Fault{Reason: "the answer does not say where it ends", Status: resp.StatusCode}
		case resp.ContentLength > b.maxBytes:
			return b.tooLong()
		}
	}
	switch c := resp.Header.Values("Content-Encoding"); {
	case len(c) == 0:
	case len(c) == 1 && strings.EqualFold(c[0], "gzip"):
		b.gzipped = true
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength, resp.Uncompressed = -1, true
	case resp.StatusCode/100 == 2:
		return &Fault{Reason: "the answer is compressed in a way that was not asked for", Status: resp.StatusCode}
	}
	return nil
}

// Read reads what the server said, uncompressed, and one byte over the limit
// to see whether there is one.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.gzipped {
		b.gzipped = false
		z, err := gzip.NewReader(b.reader)
		if err != nil {
			b.err = b.broken(err)
			if err == io.EOF { // before the compression has begun
				b.err = b.broken(io.ErrUnexpectedEOF)
			}
			return 0, b.err
		}
		b.reader = z
	}
	n, err = b.reader.Read(p[:min(int64(len(p)), b.maxBytes+1-b.n)])
	b.n += int64(n)
	switch {
	case b.n > b.maxBytes:
		n, b.err = n-1, b.tooLong()
	case err != nil:
		b.err = b.broken(err)
	}
	return n, b.err
}

func (b *body) tooLong() error {
	return &Fault{Reason: fmt.Sprintf("the answer is over %d bytes", b.maxBytes)}
}

// broken says in our own words why there is no more of a body.
func (b *body) broken(err error) error {
	var f *Fault
	switch {
	case err == io.EOF, errors.As(err, &f):
		return err
	case b.caller.Err() != nil:
		return b.caller.Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Fault{Reason: "the answer ends too early", Passing: true, early: true}
	}
	return &Fault{Reason: "the compression of the answer is broken"}
}

// Close ends the request.
func (b *body) Close() error {
	b.cancel(nil)
	return b.wire.Close()
}

// within cancels the request if f takes longer than the timeout. Only waiting
// for the server counts, not what is done with what has come.
func (b *body) within(f func() error) error {
	timer := time.AfterFunc(b.timeout, func() { b.cancel(errSilent) })
	defer timer.Stop()
	return f()
}

// A wire reads the bytes of a body as they come.
type wire struct{ *body }

func (w wire) Read(p []byte) (n int, err error) {
	err = w.within(func() (err error) {
		n, err = w.wire.Read(p)
		return err
	})
	short := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && (!short || w.ctx.Err() != nil) {
		err = w.fault(err)
	}
	return n, err
}

// fault says in our own words why there is no answer, or no more of it: the
// client's errors quote the URL and what the server sent.
func (b *body) fault(err error) error {
	var (
		f         *Fault
		dns       *net.DNSError
		untrusted *tls.CertificateVerificationError
		op        *net.OpError
	)
	switch {
	case b.caller.Err() != nil:
		return b.caller.Err()
	case context.Cause(b.ctx) == errSilent:
		return &Fault{Reason: "the server was silent for too long"}
	case errors.As(err, &f):
		return f
	case errors.As(err, &dns):
		return &Fault{Reason: "the host's name could not be resolved", Passing: true}
	case errors.As(err, &untrusted):
		return &Fault{Reason: "the server's certificate is not trusted"}
	case errors.As(err, &op) && op.Op == "dial":
		return &Fault{Reason: "the server could not be reached", Passing: true}
	}
	return &Fault{Reason: "the connection broke", Passing: true}
}

// checkJSON returns a *Fault unless a header says that JSON in UTF-8 follows.
func checkJSON(h http.Header) error {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json" && kind != "text/json" && !strings.HasSuffix(kind, "+json"):
		return &Fault{Reason: "the answer is not of type application/json"}
	case params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8"):
		return &Fault{Reason: "the answer is not in UTF-8"}
	}
	return nil
}
