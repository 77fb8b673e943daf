package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// bare answers every path with a file: what a handler costs that does nothing
// but write the same bytes. Its arguments are paths and files by turns.
func bare(args []string) error {
	bodies := map[string][]byte{}
	for i := 0; i+1 < len(args); i += 2 {
		b, err := os.ReadFile(args[i+1])
		if err != nil {
			return err
		}
		bodies[args[i]] = b
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"url\": \"http://%s\"}\n", l.Addr())
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := bodies[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	})}
	return srv.Serve(l)
}

// A server is a process that answers.
type server struct {
	addr string
	cmd  *exec.Cmd
}

// start starts a program that prints where it listens as {"url": …}.
func start(ctx context.Context, dir, name string, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var says struct{ URL string }
	if err := json.NewDecoder(out).Decode(&says); err != nil {
		return nil, fmt.Errorf("%s %s does not say where it listens: %w", name, strings.Join(args, " "), err)
	}
	return &server{strings.TrimPrefix(says.URL, "http://"), cmd}, nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// resident is what the process has in memory now, in bytes.
func (s *server) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// A client is one connection, which reads answers and looks at their status.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// ask sends a request and reads the whole answer.
func (c *client) ask(request []byte) (status, size int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, 0, err
	}
	size, chunked := -1, false
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch name, value, _ := bytes.Cut(line, []byte(": ")); {
		case first:
			status, _ = strconv.Atoi(string(line[9:12]))
		case len(line) == 0:
			if chunked {
				return status, 0, errors.New("a chunked answer")
			}
			if status == http.StatusNotModified {
				return status, 0, nil
			}
			_, err := c.r.Discard(max(size, 0))
			return status, size, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			size, _ = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}

// closed asks as fast as n connections can, and returns requests a second.
func closed(addr string, n int, took time.Duration, request func() []byte, want int) (float64, error) {
	var count atomic.Int64
	deadline := time.Now().Add(took)
	errs := make(chan error, n)
	began := time.Now()
	for range n {
		go func() {
			c, err := dial(addr)
			for err == nil && time.Now().Before(deadline) {
				var status int
				if status, _, err = c.ask(request()); err == nil && status != want {
					err = fmt.Errorf("answered %d", status)
				}
				count.Add(1)
			}
			if c != nil {
				c.conn.Close()
			}
			errs <- err
		}()
	}
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	return float64(count.Load()) / time.Since(began).Seconds(), errors.Join(all...)
}

// open asks at a rate, whether or not answers come, and returns how long they
// took from when they were due: waiting for a slow one counts for those behind it.
func open(addr string, rate float64, took time.Duration, request func() []byte) (p50, p99 time.Duration, err error) {
	const n = 64
	due := make(chan time.Time, 1<<16)
	var mu sync.Mutex
	var latencies []time.Duration
	errs := make(chan error, n)
	for range n {
		go func() {
			c, err := dial(addr)
			var mine []time.Duration
			for at := range due {
				if err != nil {
					continue
				}
				if _, _, err = c.ask(request()); err == nil {
					mine = append(mine, time.Since(at))
				}
			}
			if c != nil {
				c.conn.Close()
			}
			mu.Lock()
			latencies = append(latencies, mine...)
			mu.Unlock()
			errs <- err
		}()
	}
	began := time.Now()
	for i := 0; ; i++ {
		at := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if at.Sub(began) > took {
			break
		}
		if wait := time.Until(at); wait > 0 {
			time.Sleep(wait)
		}
		due <- at
	}
	close(due)
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	if len(latencies) == 0 {
		return 0, 0, errors.Join(append(all, errors.New("no answers"))...)
	}
	slices.Sort(latencies)
	return latencies[len(latencies)/2], latencies[len(latencies)*99/100], errors.Join(all...)
}

// A route is what is asked, of one person or another.
type route struct {
	name string
	path func() string
	// header beside the token.
	header string
	want   int
}

// A rating is what a route does beside the bare handler.
type rating struct {
	Route    string  `json:"route"`
	Bytes    int     `json:"bytes"`
	Bare     float64 `json:"bare_requests_per_second"`
	Cis      float64 `json:"requests_per_second"`
	P50, P99 float64 // milliseconds, at 70 % of what it can
	BareP99  float64 // of the bare handler at the same rate
}

// serveBench measures the person service.
func serveBench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cisbench serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	people := flags.Int("people", 100_000, "how many people the company has")
	took := flags.Duration("for", 4*time.Second, "how long each route is asked")
	idle := flags.Int("idle", 10_000, "how many idle connections")
	dir := flags.String("dir", "", "a folder with a loaded company, or to load it into; a temporary one if it is not given")
	out := flags.String("out", "", "rewrite the measured part of this file, such as BENCHMARKS.md")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	tmp, err := os.MkdirTemp("", "cisbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if *dir == "" {
		*dir = filepath.Join(tmp, "company")
	}
	cis := filepath.Join(tmp, "cis")
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	say("building cis")
	if _, err := execute(ctx, nil, nil, "go", "build", "-o", cis, "./cmd/cis"); err != nil {
		return err
	}
	config := filepath.Join(*dir, "cis.yaml")
	if _, err := os.Stat(filepath.Join(*dir, "cis.db")); err != nil {
		say("loading %d people", *people)
		if _, err := execute(ctx, nil, nil, cis, "synth", *dir, "--people", strconv.Itoa(*people)); err != nil {
			return err
		}
		if _, err := execute(ctx, nil, nil, cis, "sync", "--config", config, "--first-load", "--reason", "a benchmark"); err != nil {
			return err
		}
	}
	srv, err := start(ctx, *dir, cis, "serve", "--dev", "--listen", "127.0.0.1:0", "--json")
	if err != nil {
		return err
	}
	defer srv.stop()
	var tokenOut bytes.Buffer
	if _, err := execute(ctx, nil, &tokenOut, cis, "token", "--config", config); err != nil {
		return err
	}
	b := &serving{addr: srv.addr, token: strings.TrimSpace(tokenOut.String()), host: srv.addr}
	if err := b.ids(); err != nil {
		return err
	}
	say("%d active people", len(b.people))
	routes, err := b.routes()
	if err != nil {
		return err
	}
	// What each answers, for the bare handler.
	var bareArgs = []string{"bare"}
	sizes := make([]int, len(routes))
	for i, r := range routes {
		body, err := b.body(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		sizes[i] = len(body)
		file := filepath.Join(tmp, "body"+strconv.Itoa(i))
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return err
		}
		bareArgs = append(bareArgs, "/"+strconv.Itoa(i), file)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	floor, err := start(ctx, tmp, self, bareArgs...)
	if err != nil {
		return err
	}
	defer floor.stop()
	var ratings []rating
	for i, r := range routes {
		say("%s", r.name)
		path := "/" + strconv.Itoa(i)
		plain := func() []byte { return b.request(path, "") }
		asked := func() []byte { return b.request(r.path(), r.header) }
		var bares, ours []float64
		for range 3 { // by turns
			n, err := closed(floor.addr, 16, *took/2, plain, 200)
			if err != nil {
				return err
			}
			bares = append(bares, n)
			if n, err = closed(srv.addr, 16, *took/2, asked, r.want); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			ours = append(ours, n)
		}
		rate := rating{Route: r.name, Bytes: sizes[i], Bare: spreadOf(bares).Median, Cis: spreadOf(ours).Median}
		p50, p99, err := open(srv.addr, .7*rate.Cis, *took, asked)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		_, bareP99, err := open(floor.addr, .7*rate.Cis, *took, plain)
		if err != nil {
			return err
		}
		rate.P50, rate.P99, rate.BareP99 = ms(p50), ms(p99), ms(bareP99)
		ratings = append(ratings, rate)
	}
	say("%d idle connections, and as slow headers", *idle)
	single := func() []byte { return b.request(routes[0].path(), "") }
	_, before, err := open(srv.addr, .3*ratings[0].Cis, *took, single)
	if err != nil {
		return err
	}
	release, err := hang(srv.addr, *idle)
	if err != nil {
		return err
	}
	_, during, err := open(srv.addr, .3*ratings[0].Cis, *took, single)
	release()
	if err != nil {
		return err
	}
	say("a sync beside it")
	if _, err := execute(ctx, nil, nil, cis, "synth", *dir, "--people", strconv.Itoa(*people), "--day", "1"); err != nil {
		return err
	}
	synced := make(chan error, 1)
	go func() {
		_, err := execute(ctx, nil, nil, cis, "sync", "--config", config)
		synced <- err
	}()
	_, beside, err := open(srv.addr, .3*ratings[0].Cis, *took, single)
	if err := errors.Join(err, <-synced); err != nil {
		return err
	}
	text := serveReport(ratings, *people, len(b.people), srv.resident(), *idle, before, during, beside, args)
	if *out != "" {
		return rewrite(*out, serveBegin, serveEnd, text)
	}
	_, err = io.WriteString(stdout, text)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// hang opens connections that say nothing, or the beginning of a request and then
// a byte from time to time.
func hang(addr string, n int) (release func(), err error) {
	var conns []net.Conn
	stop := make(chan struct{})
	release = func() {
		close(stop)
		for _, c := range conns {
			c.Close()
		}
	}
	for i := range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			release()
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
		conns = append(conns, c)
	}
	slow := conns[:n/10]
	go func() {
		for {
			for _, c := range slow {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nX-Slow: a")
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	return release, nil
}

// A serving is a service that is measured.
type serving struct {
	addr, token, host string
	people            []struct {
		UUID   string
		UserID string `json:"user_id"`
		Email  string `json:"primary_email"`
	}
}

func (b *serving) request(path, header string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + b.host + "\r\nAuthorization: Bearer " + b.token + "\r\n" + header + "\r\n")
}

func (b *serving) get(path string, header http.Header) (*http.Response, []byte, error) {
	r, err := http.NewRequest("GET", "http://"+b.addr+path, nil)
	if err != nil {
		return nil, nil, err
	}
	for name, v := range header {
		r.Header[name] = v
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (b *serving) body(r route) ([]byte, error) {
	resp, body, err := b.get(r.path(), nil)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("answered %d: %s", resp.StatusCode, body)
	}
	if r.want == http.StatusNotModified {
		body = nil
	}
	return body, err
}

// ids reads who there is.
func (b *serving) ids() error {
	next := ""
	for {
		path := "/v2/users/id/all"
		if next != "" {
			path += "?nextPage=" + next
		}
		_, body, err := b.get(path, nil)
		if err != nil {
			return err
		}
		page := struct {
			Users []struct {
				UUID   string
				UserID string `json:"user_id"`
				Email  string `json:"primary_email"`
			}
			NextPage string
		}{}
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		b.people = append(b.people, page.Users...)
		if next = page.NextPage; next == "" {
			return nil
		}
	}
}

func (b *serving) routes() ([]route, error) {
	random := func(n int) int { return rand.IntN(min(n, len(b.people))) }
	hot := func() string { return "/v2/user/uuid/" + b.people[random(500)].UUID }
	one := "/v2/user/uuid/" + b.people[0].UUID
	resp, _, err := b.get(one, nil)
	if err != nil {
		return nil, err
	}
	tag := resp.Header.Get("ETag")
	_, body, err := b.get("/v2/groups", nil)
	if err != nil {
		return nil, err
	}
	var groups struct {
		Groups []struct{ Source, Name string }
	}
	if err := json.Unmarshal(body, &groups); err != nil || len(groups.Groups) == 0 {
		return nil, fmt.Errorf("no groups: %w", err)
	}
	group := groups.Groups[len(groups.Groups)/2]
	fixed := func(path string) func() string { return func() string { return path } }
	at := "/v2/group/" + group.Source + "/" + url.PathEscape(group.Name)
	return []route{
		{name: "a profile by uuid, of 500 who are asked for often", path: hot, want: 200},
		{name: "a profile by uuid, of everybody", path: func() string { return "/v2/user/uuid/" + b.people[random(1<<30)].UUID }, want: 200},
		{name: "a profile by user_id, of everybody", path: func() string { return "/v2/user/user_id/" + url.PathEscape(b.people[random(1<<30)].UserID) }, want: 200},
		{name: "a profile that did not change (304)", path: fixed(one), header: "If-None-Match: " + tag + "\r\n", want: 304},
		{name: "three attributes of a profile", path: func() string { return hot() + "?fields=user_id,first_name,access_information" }, want: 200},
		{name: "a page of 50 profiles", path: fixed("/v2/users"), want: 200},
		{name: "a page of 500 ids", path: fixed("/v2/users/id/all"), want: 200},
		{name: "a search by group", path: fixed("/v2/users/id/all/by_attribute_contains?access_information." + group.Source + "=" + url.QueryEscape(group.Name)), want: 200},
		{name: "all groups, counted", path: fixed("/v2/groups"), want: 200},
		{name: "the members of a group", path: fixed(at + "/members"), want: 200},
		{name: "why a first name is what it is", path: func() string { return "/v2/person/" + b.people[random(1<<30)].UUID + "/explain?attribute=first_name" }, want: 200},
		{name: "the history of a profile", path: func() string { return "/v2/person/" + b.people[random(1<<30)].UUID + "/history" }, want: 200},
	}, nil
}

const (
	serveBegin = "<!-- cisbench serve:begin, written by go run ./cmd/cisbench serve -->\n"
	serveEnd   = "<!-- cisbench serve:end -->\n"
)

func serveReport(ratings []rating, people, active int, resident int64, idle int, before, during, beside time.Duration, args []string) string {
	r := newReport(strings.TrimSpace("go run ./cmd/cisbench serve "+strings.Join(args, " ")), time.Now())
	var s strings.Builder
	fmt.Fprintf(&s, "Measured %s on %s, %s, with `%s`: a company of %s people in SQLite (%s active), the service, the bare handler and whoever asks on the same processors.\n\n", r.Date, r.Machine, r.Go, r.Command, thousands(int64(people)), thousands(int64(active)))
	s.WriteString("| what is asked | bytes | bare, requests/s | cis, requests/s | cis / bare | p50 at 70 %, ms | p99 at 70 %, ms | bare p99 at that rate, ms |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, x := range ratings {
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %.2f | %.2f | %.2f | %.2f |\n", x.Route, thousands(int64(x.Bytes)), thousands(int64(x.Bare)), thousands(int64(x.Cis)), x.Cis/x.Bare, x.P50, x.P99, x.BareP99)
	}
	fmt.Fprintf(&s, "\n%s connections that say nothing, a tenth of them headers a byte at a time: p99 of a single read at 30 %% of what it can, %.2f ms before and %.2f ms with them. Beside a sync of the next day, which takes a processor: %.2f ms. Resident memory after all of it: %d MB.\n", thousands(int64(idle)), ms(before), ms(during), ms(beside), resident/1e6)
	return s.String()
}
