package web

import (
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWaits holds what servers say of when to come back, and how long that is
// waited for.
func TestWaits(t *testing.T) {
	at := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	unix := func(d time.Duration) string { return strconv.FormatInt(noon.Add(d).Unix(), 10) }
	const s = time.Second
	doubling := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s}
	for name, c := range map[string]struct {
		status int
		header map[string]string
		times  int // how often the server says so; then it answers
		waits  []time.Duration
		note   string
		fault  string
	}{
		"seconds":           {429, map[string]string{"Retry-After": "40"}, 1, []time.Duration{40 * s}, "rate limit: waiting 40s", ""},
		"busy":              {503, map[string]string{"Retry-After": "120"}, 2, []time.Duration{120 * s, 120 * s}, "status 503: waiting 2m0s", ""},
		"date":              {429, map[string]string{"Retry-After": at(90 * s)}, 1, []time.Duration{90 * s}, "rate limit: waiting 1m30s", ""},
		"date, clock ahead": {429, map[string]string{"Retry-After": at(time.Hour + 9*s), "Date": at(time.Hour)}, 1, []time.Duration{9 * s}, "waiting 9s", ""},
		"date gone by":      {429, map[string]string{"Retry-After": at(-time.Hour)}, 1, []time.Duration{s}, "waiting 1s", ""},
		"reset":             {429, map[string]string{"X-RateLimit-Reset": unix(7 * s)}, 1, []time.Duration{7 * s}, "rate limit: waiting 7s", ""},
		"both":              {429, map[string]string{"X-RateLimit-Reset": unix(7 * s), "Retry-After": "8"}, 1, []time.Duration{8 * s}, "waiting 8s", ""},
		"longest":           {429, map[string]string{"Retry-After": "900"}, 1, []time.Duration{900 * s}, "waiting 15m0s", ""},
		"too long":          {429, map[string]string{"Retry-After": "901"}, 1, nil, "", "status 429, and asks to wait until 2026-11-24T12:15:01Z"},
		"too long at last":  {503, map[string]string{"Retry-After": "600"}, 2, []time.Duration{600 * s}, "waiting 10m0s", "status 503, and asks to wait until 2026-11-24T12:20:00Z"},
		"too long a date":   {503, map[string]string{"Retry-After": at(24 * time.Hour)}, 1, nil, "", "wait until 2026-11-25T12:00:00Z"},
		"too long a limit":  {429, map[string]string{"X-RateLimit-Reset": unix(time.Hour)}, 1, nil, "", "wait until 2026-11-24T13:00:00Z"},
		"for ever":          {429, map[string]string{"X-RateLimit-Reset": strconv.Itoa(math.MaxInt64)}, 1, []time.Duration{2 * s}, "waiting 2s", ""},
		"always now":        {429, map[string]string{"Retry-After": "0"}, 99, doubling, "waiting 1s", "wait until 2026-11-24T12:17:03Z"},
		"busy with a limit": {503, map[string]string{"X-RateLimit-Reset": unix(time.Minute)}, 1, []time.Duration{2 * s}, "status 503: waiting 2s", ""},
		"nothing":           {429, nil, 1, []time.Duration{2 * s}, "rate limit: waiting 2s", ""},
		"rubbish":           {429, map[string]string{"Retry-After": "s3cret", "X-RateLimit-Reset": "s3cret"}, 1, []time.Duration{2 * s}, "waiting 2s", ""},
		"negative":          {429, map[string]string{"Retry-After": "-5", "X-RateLimit-Reset": "-5"}, 1, []time.Duration{2 * s}, "waiting 2s", ""},
		"an error's delay":  {500, map[string]string{"Retry-After": "40"}, 1, []time.Duration{2 * s}, "status 500: waiting 2s", ""},
	} {
		t.Run(name, func(t *testing.T) {
			left := c.times
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil // this machine's, unless the test has one
				if left--; left < 0 {
					answers("{}")(w, r)
					return
				}
				for key, value := range c.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.status)
			})
			d := &diary{now: noon}
			o := d.options()
			o.Pauses = nil // as in a program
			client, err := New(cfg, Basic("cis", secret), o)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = get(t.Context(), client, Request{})
			if c.fault == "" && err != nil {
				t.Error(err)
			}
			if c.fault != "" {
				if f := fault(t, err, c.fault); f.Status != c.status || !f.Passing {
					t.Errorf("fault %+v", f)
				}
			}
			if !slices.Equal(d.waits, c.waits) {
				t.Errorf("waited %v, want %v", d.waits, c.waits)
			}
			if len(d.noted) != len(c.waits) || len(d.noted) > 0 && (!strings.Contains(d.noted[0], c.note) || !strings.HasPrefix(d.noted[0], client.Host()+": ")) {
				t.Errorf("noted %q, want %q", d.noted, c.note)
			}
		})
	}
}

// TestRepeats repeats only what is safe to repeat, or was not done.
func TestRepeats(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		asked  int
	}{
		{"GET", 500, 3}, {"HEAD", 500, 3}, {"POST", 500, 1}, {"DELETE", 503, 1}, {"POST", 429, 3}, {"GET", 404, 1},
	} {
		var bodies []string
		client, _ := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(b))
			w.WriteHeader(c.status)
		}), nil)
		_, err := get(t.Context(), client, Request{Method: c.method, Body: []byte("{}")})
		fault(t, err, "status "+strconv.Itoa(c.status))
		if len(bodies) != c.asked || slices.ContainsFunc(bodies, func(b string) bool { return b != "{}" }) {
			t.Errorf("%s answered with %d: asked %q, want %d times", c.method, c.status, bodies, c.asked)
		}
	}
}

// TestRecovers answers at last, after a failure without a word.
func TestRecovers(t *testing.T) {
	times := 0
	c, d := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if times++; times < 3 {
			panic(http.ErrAbortHandler)
		}
		answers("{}")(w, r)
	}), Basic("cis", secret))
	if got, err := get(t.Context(), c, Request{}); err != nil || got != "{}" {
		t.Errorf("%q, %v", got, err)
	}
	if want := c.Host() + ": the connection broke: waiting 2s"; len(d.noted) != 2 || d.noted[0] != want {
		t.Errorf("noted %q, want %q", d.noted, want)
	}
}

func FuzzDelay(f *testing.F) {
	f.Add("", "", "")
	f.Add("40", "1795608000", "Tue, 24 Nov 2026 12:00:00 GMT")
	f.Add("Tue, 24 Nov 2026 12:00:00 GMT", "-1", "Tue, 24 Nov 1026 12:00:00 GMT")
	c := &Client{opts: Options{Now: func() time.Time { return noon }}}
	f.Fuzz(func(t *testing.T, after, reset, date string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Date": {date}}
		if d, told := c.delay(h, true); !told && d != 0 {
			t.Errorf("%v, though nobody said so", d)
		}
		if _, told := c.delay(h, false); told && after == "" {
			t.Error("took the limit for a delay")
		}
	})
}
