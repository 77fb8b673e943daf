package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"example.org/cis/connectors/web"
)

// maxWait bounds what one request waits because GitHub says so, all in all. A
// run that would be held up longer is better told.
const maxWait = 15 * time.Minute

// An answer is one of status 2xx, or 304.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask asks for a path below the base, or for a URL, once more with a new token
// where the old one was refused, after a pause where that may help, and after
// waiting for the rate limit. Its errors are a *web.Fault, or that of ctx.
func (x *session) ask(ctx context.Context, c *credential, method, at, etag string, body any) (*answer, error) {
	var waited time.Duration
	renewed := false
	for tries, told := 0, 0; ; {
		if c.wait > 0 {
			wait := c.wait
			if waited += wait; waited > maxWait {
				return nil, &web.Fault{Status: http.StatusTooManyRequests, Reason: "the rate limit lasts until " +
					x.s.opts.Now().Add(wait).UTC().Format("15:04:05 MST on 2 January")}
			}
			x.s.opts.Note(fmt.Sprintf("rate limit of %s: waiting %s", x.s.base.Host, wait.Round(time.Second)))
			if err := x.s.opts.Sleep(ctx, wait); err != nil {
				return nil, err
			}
			c.wait = 0
		}
		authorization, err := c.authorization(ctx)
		if err != nil {
			return nil, err
		}
		a, err := x.send(ctx, authorization, method, at, etag, body)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if a != nil {
			wait, limited := limit(a, err, x.s.opts.Now())
			if limited && a.refused() {
				// The shortest wait doubles, so that a server that always says
				// "now" is not asked for ever.
				c.wait = max(wait, time.Second<<told)
				told++
				continue
			}
			if limited {
				c.wait = wait // before the next request
			}
			err = x.judge(a, err)
		}
		if err == nil {
			return a, nil
		}
		switch f := web.FaultOf(err); {
		case f.Status == http.StatusUnauthorized && !renewed && c.forget(authorization):
			renewed = true
		case f.Passing && tries < len(x.s.opts.Pauses):
			x.s.opts.Note(fmt.Sprintf("%s: %s: waiting %s", x.s.base.Host, f.Reason, x.s.opts.Pauses[tries]))
			if err := x.s.opts.Sleep(ctx, x.s.opts.Pauses[tries]); err != nil {
				return nil, err
			}
			tries++
		default:
			return nil, f
		}
	}
}

// send asks once. With an error, the answer is what there is of one: nil if
// there is none at all.
func (x *session) send(ctx context.Context, authorization, method, at, etag string, body any) (*answer, error) {
	// A client remembers limits and judges them by the wall clock; here they
	// are kept by credential, so that each request has a client of its own.
	client := github.NewClient(x.s.client.HTTP())
	client.BaseURL, client.UserAgent = x.s.base, "cis"
	req, err := client.NewRequest(method, at, body)
	if err != nil {
		return nil, &web.Fault{Reason: "a link or path is not one that may be asked for"}
	}
	req.Header.Set("Authorization", authorization)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.BareDo(ctx, req)
	if resp == nil {
		return nil, web.FaultOf(err)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	// Who may not list the members of an organisation is sent to its public
	// ones, and an organisation that was renamed to its number.
	if path.Base(resp.Request.URL.Path) != path.Base(req.URL.Path) {
		return nil, denied("the server answers with something else than was asked for")
	}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, web.FaultOf(err)
	}
	return a, nil
}

// refused reports whether the answer has a status with which GitHub tells of
// rate limits.
func (a *answer) refused() bool {
	return a.status == http.StatusForbidden || a.status == http.StatusTooManyRequests
}

// limit returns how long to wait before the next request, if the answer says
// that a rate limit was reached. Times are counted from the server's own clock.
func limit(a *answer, err error, now time.Time) (time.Duration, bool) {
	var secondary *github.AbuseRateLimitError
	if seconds, e := strconv.ParseUint(a.header.Get("Retry-After"), 10, 31); e == nil && a.refused() {
		return time.Duration(seconds) * time.Second, true
	}
	if a.header.Get("X-RateLimit-Remaining") == "0" {
		if t, e := http.ParseTime(a.header.Get("Date")); e == nil {
			now = t
		}
		if reset, e := strconv.ParseInt(a.header.Get("X-RateLimit-Reset"), 10, 64); e == nil {
			// Both are whole seconds.
			return max(0, time.Unix(reset, 0).Sub(now)) + time.Second, true
		}
	}
	if errors.As(err, &secondary) || a.status == http.StatusTooManyRequests {
		return time.Minute, true // as GitHub asks for where it does not say
	}
	return 0, false
}

// judge says what of an answer is wrong, as a *web.Fault.
func (x *session) judge(a *answer, err error) error {
	sso, _, _ := strings.Cut(a.header.Get("X-GitHub-SSO"), ";")
	switch sso {
	case "":
	case "partial-results":
		return denied("single sign-on hides a part of the answer from the token")
	default:
		return denied("single sign-on does not let the token in")
	}
	if err == nil || a.status == http.StatusNotModified {
		return nil
	}
	f := &web.Fault{Status: a.status, Reason: fmt.Sprintf("the server answered with status %d", a.status)}
	switch {
	case a.status == http.StatusUnauthorized:
		f.Reason = "the server refused the credentials (status 401)"
	case a.status == http.StatusForbidden && lacksScope(a.header):
		f.Reason = "the token lacks the scope read:org (status 403)"
	case a.status == http.StatusForbidden:
		f.Reason = "the reader may not see it (status 403)"
	case a.status == http.StatusNotFound:
		f.Reason = "it is not there, or the reader may not see it (status 404)"
	case a.status == http.StatusAccepted || a.status >= 500:
		f.Passing = true
	}
	return f
}

// lacksScope reports whether the token is a classic one without a scope that
// shows organisations.
func lacksScope(h http.Header) bool {
	if h.Values("X-OAuth-Scopes") == nil {
		return false
	}
	for scope := range strings.SplitSeq(h.Get("X-OAuth-Scopes"), ",") {
		switch strings.TrimSpace(scope) {
		case "read:org", "write:org", "admin:org":
			return false
		}
	}
	return true
}

// next returns the URL of the page after the one of a URL, "" if there is none.
// A link that cannot be followed is an error: it is not the last page.
func (x *session) next(of *url.URL, h http.Header) (string, error) {
	next := ""
	for _, links := range h.Values("Link") {
		for link := range strings.SplitSeq(links, ",") {
			target, params, _ := strings.Cut(strings.TrimSpace(link), ";")
			if !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
				continue
			}
			u, err := url.Parse(strings.TrimSuffix(strings.TrimPrefix(target, "<"), ">"))
			if err != nil || next != "" {
				return "", &web.Fault{Reason: "the link to the next page cannot be read"}
			}
			u = of.ResolveReference(u)
			if u.Scheme != x.s.base.Scheme || u.Host != x.s.base.Host || u.User != nil || !strings.HasPrefix(u.Path, x.s.base.Path) {
				return "", &web.Fault{Reason: "a link leads to another host"}
			}
			next = u.String()
		}
	}
	return next, nil
}
