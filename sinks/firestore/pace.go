package firestore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What Firestore asks of a program that begins to write: 500 documents a second
// at first, and half as much again every five minutes.
const (
	rampStart = 500
	rampEvery = 5 * time.Minute
	rampBy    = 1.5
)

// A pace holds writes back to what Firestore can take. It begins when the first
// document is written.
type pace struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	most    float64
	ramped  bool
	begun   time.Time
}

func newPace(most int, unramped bool) *pace {
	p := &pace{most: float64(most), ramped: !unramped}
	first := p.most
	if p.ramped {
		first = min(first, rampStart)
	}
	// The burst is the largest commit, or it could never go.
	p.limiter = rate.NewLimiter(rate.Limit(first), max(int(first), maxLoadWrites))
	return p
}

// wait returns when n documents may be written.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.ramped {
		p.mu.Lock()
		now := time.Now()
		if p.begun.IsZero() {
			p.begun = now
		}
		if l := rate.Limit(p.at(now.Sub(p.begun))); l != p.limiter.Limit() {
			p.limiter.SetLimit(l)
		}
		p.mu.Unlock()
	}
	err := p.limiter.WaitN(ctx, min(n, p.limiter.Burst()))
	if err != nil && ctx.Err() == nil { // it would take longer than the caller gives it
		err = fmt.Errorf("%d documents at %.0f a second: %w", n, float64(p.limiter.Limit()), context.DeadlineExceeded)
	}
	return err
}

// at is how many documents a second may be written so long after the first.
func (p *pace) at(since time.Duration) float64 {
	return min(p.most, rampStart*math.Pow(rampBy, math.Floor(float64(since)/float64(rampEvery))))
}
