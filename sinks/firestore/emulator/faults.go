package emulator

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A Fault says which calls of a client fail, and how.
type Fault struct {
	// Methods are the RPCs that it befalls, such as Commit, BatchGetDocuments,
	// RunQuery or BeginTransaction. None is all.
	Methods []string
	// Codes are what the client is told; of several one is drawn.
	Codes []codes.Code
	// After lets the call be made and succeed, and then says that it failed. A
	// stream delivers all there is before it fails. Otherwise the server never
	// hears of the call.
	After bool
	// Rate is the share of the calls that fail. 0 is all.
	Rate float64
	// Skip is how many calls are let through first.
	Skip int
	// Limit is how many fail at most. 0 is no limit.
	Limit int
}

// Faults makes calls of a gRPC client fail. Which of the calls that a fault may
// befall do fail depends on the seed and their number alone: the same seed and
// the same order of calls give the same failures.
type Faults struct {
	seed     uint64
	mu       sync.Mutex
	rules    []*rule
	injected map[Injected]int
}

// Injected is a failure that [Faults] made.
type Injected struct {
	Method string
	Code   codes.Code
	After  bool
}

type rule struct {
	Fault
	random *rand.Rand
	seen   int
	hits   int
}

// NewFaults returns faults for [Emulator.Options] or [Proxy.Options]. Of
// several that befall a call the first counts.
func NewFaults(seed uint64, faults ...Fault) *Faults {
	f := &Faults{seed: seed, injected: map[Injected]int{}}
	f.Set(faults...)
	return f
}

// Set replaces the faults by others, which begin anew with the seed; without
// any, calls no longer fail.
func (f *Faults) Set(faults ...Fault) {
	var rules []*rule
	for i, fault := range faults {
		// Each has its own sequence, which others do not disturb.
		rules = append(rules, &rule{Fault: fault, random: rand.New(rand.NewPCG(f.seed, uint64(i)))})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
}

// Injected returns how often which failures were made.
func (f *Faults) Injected() map[Injected]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.injected)
}

// Count returns how many failures were made.
func (f *Faults) Count() int {
	n := 0
	for _, times := range f.Injected() {
		n += times
	}
	return n
}

// draw decides about a call; nil lets it be.
func (f *Faults) draw(method string) *pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit *pending
	for _, r := range f.rules {
		if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) || len(r.Codes) == 0 {
			continue
		}
		// All are drawn, so that the sequence of one depends on no other.
		r.seen++
		chosen := r.Rate == 0 || r.random.Float64() < r.Rate
		code := r.Codes[r.random.IntN(len(r.Codes))]
		if hit == nil && chosen && r.seen > r.Skip && (r.Limit == 0 || r.hits < r.Limit) {
			r.hits++
			hit = &pending{faults: f, rule: r, what: Injected{method, code, r.After}}
		}
	}
	return hit
}

// A pending is a failure that is decided upon.
type pending struct {
	faults *Faults
	rule   *rule
	what   Injected
}

// fail counts the failure and returns it.
func (p *pending) fail() error {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.injected[p.what]++
	when := "before"
	if p.what.After {
		when = "after"
	}
	return status.Errorf(p.what.Code, "emulator: a fault injected %s %s", when, p.what.Method)
}

// drop takes the failure back, for the call failed by itself.
func (p *pending) drop() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.rule.hits--
}

// Unary is a [grpc.UnaryClientInterceptor].
func (f *Faults) Unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	p := f.draw(path.Base(method))
	if p != nil && !p.what.After {
		return p.fail()
	}
	err := invoke(ctx, method, req, reply, conn, opts...)
	switch {
	case p == nil:
		return err
	case err != nil:
		p.drop()
		return err
	default:
		return p.fail()
	}
}

// Stream is a [grpc.StreamClientInterceptor].
func (f *Faults) Stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	p := f.draw(path.Base(method))
	if p != nil && !p.what.After {
		// A server says so when the client first listens, not when it opens
		// the stream.
		return &deadStream{ctx: ctx, err: p.fail()}, nil
	}
	s, err := open(ctx, desc, conn, method, opts...)
	switch {
	case p == nil:
		return s, err
	case err != nil:
		p.drop()
		return nil, err
	default:
		return &failingStream{ClientStream: s, pending: p}, nil
	}
}

// A deadStream is one that the server never hears of.
type deadStream struct {
	ctx context.Context // of the call, which Context must return
	err error
}

func (s *deadStream) Header() (metadata.MD, error) { return nil, s.err }
func (s *deadStream) Trailer() metadata.MD         { return nil }
func (s *deadStream) CloseSend() error             { return nil }
func (s *deadStream) Context() context.Context     { return s.ctx }
func (s *deadStream) SendMsg(any) error            { return nil }
func (s *deadStream) RecvMsg(any) error            { return s.err }

// A failingStream fails where it would have ended well.
type failingStream struct {
	grpc.ClientStream
	mu      sync.Mutex
	pending *pending // until it has ended
	err     error
}

func (s *failingStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		s.err = err
		if errors.Is(err, io.EOF) {
			s.err = s.pending.fail()
		} else {
			s.pending.drop()
		}
		s.pending = nil
	}
	return s.err
}
