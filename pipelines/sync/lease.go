package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/cis/sinks"
)

// The lease of everything that writes people, and its times.
const (
	lease     = "pipelines"
	leaseTTL  = time.Minute
	heartbeat = 15 * time.Second
)

// HoldLease takes the lease of everything that writes people, and renews it
// until end is called. Of o it needs Holder and Now, and Dead and Progress if
// they are set. When the lease is lost, the context that comes back is cancelled: whoever lost it
// must not write.
func HoldLease(ctx context.Context, l sinks.Ledger, o Options) (held context.Context, f sinks.Fence, end func(), err error) {
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	h := holding{l, o}
	if f, err = h.acquire(ctx); err != nil {
		return ctx, f, nil, err
	}
	held, end = h.beat(ctx, f)
	if !o.Copying {
		// Asked under the lease, which whoever copies has as well.
		if err := refuseCopy(ctx, l); err != nil {
			end()
			return ctx, f, nil, err
		}
	}
	return held, f, end, nil
}

type holding struct {
	ledger sinks.Ledger
	Options
}

// acquire takes the lease. Who takes it or waits for it is noted first, so
// that the lease of one that was killed at any time is free at once; another
// one is waited for, for as long as it can last without a heartbeat.
func (h holding) acquire(ctx context.Context) (f sinks.Fence, err error) {
	if _, err := h.ledger.Put(ctx, h.note()); err != nil && !errors.Is(err, sinks.ErrConflict) {
		return f, fmt.Errorf("sync: note who takes the lease: %w", err)
	}
	defer func() {
		if err != nil {
			h.leave(ctx)
		}
	}()
	deadline := h.Now().Add(leaseTTL + 5*time.Second)
	for {
		if err := h.dismiss(ctx); err != nil {
			return f, err
		}
		f, err := h.ledger.Acquire(ctx, lease, h.Holder, leaseTTL)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, sinks.ErrHeld) {
			return f, fmt.Errorf("sync: take the lease: %w", err)
		}
		if h.Now().After(deadline) {
			return f, fmt.Errorf("sync: %w: it is alive; try again when it has ended", sinks.ErrHeld)
		}
		h.Progress("waiting for another run to end", 0, -1)
		select {
		case <-ctx.Done():
			return f, fmt.Errorf("sync: take the lease: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// note says that this process has the lease or waits for it.
func (h holding) note() sinks.Doc { return sinks.Doc{Kind: kindHolder, Key: h.Holder} }

// leave takes the note of this process back. One that stays does no harm:
// whoever finds the process dead removes it.
func (h holding) leave(ctx context.Context) {
	d := h.note()
	d.Version = 1
	_ = h.ledger.Remove(context.WithoutCancel(ctx), d)
}

// dismiss frees the lease of holders that are dead.
func (h holding) dismiss(ctx context.Context) error {
	notes, err := h.ledger.Docs(ctx, kindHolder, "", 1000)
	if err != nil {
		return fmt.Errorf("sync: who has the lease: %w", err)
	}
	for _, d := range notes {
		if d.Key == h.Holder || h.Dead == nil || !h.Dead(d.Key) {
			continue
		}
		// Whoever has the lease can take it again, and so give it up.
		f, err := h.ledger.Acquire(ctx, lease, d.Key, leaseTTL)
		if err == nil {
			err = h.ledger.Release(ctx, f)
		} else if errors.Is(err, sinks.ErrHeld) {
			err = nil // somebody else has it
		}
		if err == nil {
			err = h.ledger.Remove(ctx, d)
		}
		if err != nil {
			return fmt.Errorf("sync: free the lease of a dead process: %w", err)
		}
	}
	return nil
}

// beat renews the lease until its second result is called. When it is lost,
// the context is cancelled.
func (h holding) beat(ctx context.Context, f sinks.Fence) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(heartbeat)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := h.ledger.Renew(ctx, f, leaseTTL); errors.Is(err, sinks.ErrFenced) {
					cancel(err)
					return
				}
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		_ = h.ledger.Release(context.WithoutCancel(ctx), f) // it expires by itself
		h.leave(ctx)
	}
}
