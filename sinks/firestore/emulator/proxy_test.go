package emulator_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.org/cis/sinks/firestore/emulator"
)

// ask asks the emulator at addr whether it is well, and returns what it answers
// within a second, or until the connection ends.
func ask(addr string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); err != nil {
		return "", err
	}
	var answer strings.Builder
	for b := make([]byte, 100); !strings.HasSuffix(answer.String(), wellSaid); {
		n, err := conn.Read(b)
		answer.Write(b[:n])
		if err != nil {
			return answer.String(), err
		}
	}
	return answer.String(), nil
}

// wellSaid is how the answer of an emulator ends that is well.
const wellSaid = "Ok\n"

// TestTrouble makes each kind, sees it on a connection made afterwards, and
// heals it.
func TestTrouble(t *testing.T) {
	proxy := emulator.Start(t).Proxy(t)
	whole := func(t *testing.T) {
		t.Helper()
		if answer, err := ask(proxy.Addr()); err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.HasSuffix(answer, wellSaid) {
			t.Fatalf("got %q, %v", answer, err)
		}
	}
	whole(t)
	for _, test := range []struct {
		name   string
		make   func()
		length int           // of what comes of the answer
		err    error         // nil if the answer is whole
		least  time.Duration // that it takes
	}{
		{"latency", func() { proxy.Latency(emulator.Answers, 300*time.Millisecond, 0) }, 0, nil, 300 * time.Millisecond},
		{"latency with jitter", func() { proxy.Latency(emulator.Answers, 300*time.Millisecond, 100*time.Millisecond) }, 0, nil, 200 * time.Millisecond},
		{"latency again", func() {
			proxy.Latency(emulator.Answers, time.Hour, 0)
			proxy.Latency(emulator.Answers, 100*time.Millisecond, 0)
		}, 0, nil, 100 * time.Millisecond},
		{"reset", func() { proxy.Reset(emulator.Answers, 0) }, 0, syscall.ECONNRESET, 0},
		{"reset later", func() { proxy.Reset(emulator.Requests, 100*time.Millisecond) }, 0, syscall.ECONNRESET, 100 * time.Millisecond},
		{"limit", func() { proxy.LimitData(emulator.Answers, 15) }, 15, io.EOF, 0},
		{"black hole", func() { proxy.BlackHole(emulator.Requests, 0) }, 0, os.ErrDeadlineExceeded, 0},
		{"black hole for answers", func() { proxy.BlackHole(emulator.Answers, 100*time.Millisecond) }, 0, io.EOF, 0},
		{"cut", proxy.Cut, 0, syscall.ECONNREFUSED, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.make()
			began := time.Now()
			answer, err := ask(proxy.Addr())
			if !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
			if took := time.Since(began); took < test.least {
				t.Errorf("it took %v", took)
			}
			if err != nil && len(answer) != test.length {
				t.Errorf("got %q", answer)
			}
			proxy.Heal()
			proxy.Restore()
			whole(t)
		})
	}
}

// TestTroubleForClient makes trouble on the connection of a Firestore client.
// Whether it wrote depends on which way is troubled, and it never learns. (That
// of a limit on answers is by chance: HTTP/2 has frames of its own, which may
// use it up before.)
func TestTroubleForClient(t *testing.T) {
	e := emulator.Start(t)
	for _, test := range []struct {
		name  string
		make  func(*emulator.Proxy)
		wrote string // "no", "yes" or "maybe"
	}{
		{"reset requests", func(p *emulator.Proxy) { p.Reset(emulator.Requests, 0) }, "no"},
		{"reset answers", func(p *emulator.Proxy) { p.Reset(emulator.Answers, 50*time.Millisecond) }, "yes"},
		{"limit requests", func(p *emulator.Proxy) { p.LimitData(emulator.Requests, 10) }, "no"},
		{"limit answers", func(p *emulator.Proxy) { p.LimitData(emulator.Answers, 10) }, "maybe"},
		{"no requests", func(p *emulator.Proxy) { p.BlackHole(emulator.Requests, 0) }, "no"},
		{"no answers", func(p *emulator.Proxy) { p.BlackHole(emulator.Answers, 0) }, "yes"},
		{"late answers", func(p *emulator.Proxy) { p.Latency(emulator.Answers, time.Minute, 0) }, "yes"},
		{"cut", (*emulator.Proxy).Cut, "no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			proxy, project := e.Proxy(t), e.Project(t)
			through, direct := client(t, project, "", proxy.Options()), client(t, project, "", e.Options())
			if err := write(brief(t, 20*time.Second), through, "before"); err != nil {
				t.Fatal(err)
			}
			test.make(proxy)
			err := write(brief(t, time.Second), through, "after")
			if code := status.Code(err); !errors.Is(err, context.DeadlineExceeded) && code != codes.DeadlineExceeded && code != codes.Unavailable {
				t.Errorf("got %v", err)
			}
			switch test.wrote {
			case "no":
				expect(t, direct, "before")
			case "yes":
				expect(t, direct, "after")
			}
			proxy.Heal()
			proxy.Restore()
			if err := write(brief(t, 20*time.Second), through, "healed"); err != nil {
				t.Error(err)
			}
			expect(t, direct, "healed")
		})
	}
}
