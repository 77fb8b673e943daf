package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const password = "correct horse battery staple"

func secret(context.Context) (string, error) { return password, nil }

// noon is the time on the clock of the tests.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// serve starts a server and returns the configuration of a client that trusts
// it.
func serve(t *testing.T, h http.HandlerFunc) Config {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{URL: srv.URL + "/api", CAFile: ca, Timeout: 30 * time.Second}
}

// impatient is a timeout for servers that do not answer anyway, longer than
// it takes them to take a question.
const impatient = time.Second

// A diary is a clock whose waiting takes no time and is written down.
type diary struct {
	mu     sync.Mutex
	now    time.Time
	waits  []time.Duration
	noted  []string
	onWait func()
}

func (d *diary) options() Options {
	return Options{
		Now: func() time.Time {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.now
		},
		Note: func(s string) { d.noted = append(d.noted, s) },
		Sleep: func(ctx context.Context, wait time.Duration) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.now = d.now.Add(wait)
			d.waits = append(d.waits, wait)
			if d.onWait != nil {
				d.onWait()
			}
			return ctx.Err()
		},
	}
}

// open opens a client that waits for nobody.
func open(t *testing.T, cfg Config, a Authorizer) (*Client, *diary) {
	t.Helper()
	d := &diary{now: noon}
	c, err := New(cfg, a, d.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, d
}

// get reads an answer whole.
func get(ctx context.Context, c *Client, r Request) (string, error) {
	a, err := c.Do(ctx, r)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := io.ReadAll(a)
	return string(b), err
}

// fault demands a *Fault that says want and repeats no secret.
func fault(t *testing.T, err error, want string) *Fault {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v, want a fault", err)
	}
	if !strings.Contains(f.Reason, want) {
		t.Errorf("fault %q, want %q", f.Reason, want)
	}
	for _, s := range []string{password, "s3cret", "127.0.0.1", "https://", "tr0ub4dor"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q holds %q", err, s)
		}
	}
	return f
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

func TestDo(t *testing.T) {
	c, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "cis" || pass != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Header.Get("Accept-Encoding") != "gzip" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("headers %v", r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, gzipped(r.Method+" "+r.URL.RequestURI()))
	}), Basic("cis", secret))
	for _, r := range []struct {
		Request
		want string
	}{
		{Request{}, "GET /api"},
		{Request{Path: "users"}, "GET /api/users"},
	} {
		if got, err := get(t.Context(), c, r.Request); err != nil || got != r.want {
			t.Errorf("%+v: %q, %v, want %q", r.Request, got, err, r.want)
		}
	}
}
