package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// maxWait bounds what one request waits because its server says so, all in
// all. A run that would be held up longer is better told.
const maxWait = 15 * time.Minute

// persist sends a request until there is an answer of status 2xx, as long as
// sending it again may help. One that is not safe is sent again only if the
// server says that it did not do it. Its errors are a *Fault, or that of ctx.
func (c *Client) persist(client *http.Client, req *http.Request, safe bool) (*http.Response, error) {
	ctx := req.Context()
	var waited time.Duration // as told by the server
	for tries, told := 0, 0; ; {
		again := req.Clone(ctx)
		if req.GetBody != nil {
			again.Body, _ = req.GetBody() // of a bytes.Reader, which does not fail
		}
		resp, err := client.Do(again)
		if err == nil && resp.StatusCode/100 == 2 && resp.StatusCode != http.StatusPartialContent {
			return resp, nil // nobody asks for a part
		}
		f, wait, ok := c.judge(ctx, resp, err)
		if f == nil {
			return nil, ctx.Err()
		}
		if ok {
			// The shortest wait doubles, so that a server that always says
			// "now" is not asked for ever.
			wait = max(wait, time.Second<<told)
			told++
			if wait > maxWait-waited {
				f.Reason += ", and asks to wait until " + c.opts.Now().Add(wait).UTC().Format(time.RFC3339)
				return nil, f
			}
			waited += wait
		} else {
			if !f.Passing || !safe && f.Status != http.StatusTooManyRequests || tries == len(c.opts.Pauses) {
				return nil, f
			}
			wait = c.opts.Pauses[tries]
			tries++
		}
		what := f.Reason
		if f.Status == http.StatusTooManyRequests {
			what = "rate limit"
		}
		c.opts.Note(fmt.Sprintf("%s: %s: waiting %s", req.URL.Host, what, wait.Round(time.Second)))
		if err := c.opts.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// judge says what is wrong with what came instead of an answer, and whether
// the server said how long to wait. No fault stands for the end of ctx.
func (c *Client) judge(ctx context.Context, resp *http.Response, err error) (f *Fault, wait time.Duration, told bool) {
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, 0, false
		case errors.As(err, &f):
			return f, 0, false
		}
		// The transport's errors are faults: this one is of following a redirect.
		return &Fault{Reason: "the server redirected to nowhere"}, 0, false
	}
	defer resp.Body.Close()
	code := resp.StatusCode
	f = &Fault{Reason: fmt.Sprintf("the server answered with status %d", code), Status: code}
	switch {
	case code == http.StatusBadRequest:
		f.Reason += errorCode(resp.Body)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		f.Reason = fmt.Sprintf("the server refused the credentials (status %d%s)", code, errorCode(resp.Body))
	case code == http.StatusTooManyRequests:
		f.Passing = true
		wait, told = c.delay(resp.Header, true)
	case code == http.StatusServiceUnavailable:
		f.Passing = true
		// Many servers tell of their rate limits in every answer: only its
		// own header says when this status passes.
		wait, told = c.delay(resp.Header, false)
	case code >= 500:
		f.Passing = true
	}
	return f, wait, told
}

// codes are the words of RFC 6749 section 5.2, RFC 6750 section 3.1 and Auth0
// for what is wrong with credentials. Only they are repeated of what a server
// says.
var codes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"invalid_token", "insufficient_scope", "access_denied",
}

// errorCode returns the code of a refusal, with a comma before it, or "".
func errorCode(r io.Reader) string {
	var said struct {
		Error string `json:"error"`
	}
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil || json.Unmarshal(b, &said) != nil || !slices.Contains(codes, said.Error) {
		return ""
	}
	return ", " + said.Error
}

// delay returns how long a server asks to wait: Retry-After, in seconds or as
// a date (RFC 9110 section 10.2.3), or with limits the time in Unix seconds
// at which its rate limit is reset. Times are counted from the server's own
// clock, if it says what that shows.
func (c *Client) delay(h http.Header, limits bool) (time.Duration, bool) {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = c.opts.Now()
	}
	after := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(after, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if t, err := http.ParseTime(after); err == nil {
		return t.Sub(now), true
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && limits && reset > 0 && reset < 1<<40 { // beyond that it is no time
		return time.Unix(reset, 0).Sub(now), true
	}
	return 0, false
}
