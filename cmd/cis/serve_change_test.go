package main

import (
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/cis/api"
	"example.org/cis/pipelines/sync"
)

// TestRecent reads keys anew each minute, and does without for an hour.
func TestRecent(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	read, down := 0, false
	r := &recent[int]{now: func() time.Time { return now }, read: func(context.Context) (int, error) {
		read++
		if down {
			return 0, errors.New("down")
		}
		return read, nil
	}}
	for _, c := range []struct {
		after time.Duration
		down  bool
		want  int // 0 is an error
		reads int
	}{
		{0, true, 0, 1},
		{failedKeys - 1, false, 0, 1}, // what was never read is not asked for each time
		{1, false, 2, 2},
		{freshKeys - 1, false, 2, 2},
		{1, false, 3, 3},
		{freshKeys, true, 3, 4},
		{freshKeys - 1, true, 3, 4},
		{1, true, 3, 5},
		{staleKeys, true, 0, 6},
		{failedKeys, true, 0, 7},
		{failedKeys, false, 8, 8},
	} {
		now, down = now.Add(c.after), c.down
		got, err := r.get(t.Context())
		if got != c.want || (err != nil) != (c.want == 0) || read != c.reads {
			t.Errorf("%+v: got %d, %v after %d reads", c, got, err, read)
		}
	}
}

// TestRecentSlow has many ask while one reads: it is read once, each waits as
// long as it likes, and what was read before is used meanwhile.
func TestRecentSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, slow := 0, time.Hour
		r := &recent[int]{now: time.Now, read: func(ctx context.Context) (int, error) {
			reads++
			select {
			case <-time.After(slow):
				return reads, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}}
		var g stdsync.WaitGroup
		for range 5 {
			g.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if _, err := r.get(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
					t.Errorf("got %v after %s", err, time.Since(began))
				}
			})
		}
		g.Wait()
		if _, err := r.get(t.Context()); err == nil || reads != 1 {
			t.Errorf("got %v after %d reads", err, reads)
		}
		time.Sleep(failedKeys)
		slow = time.Second
		if got, err := r.get(t.Context()); got != 2 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		time.Sleep(freshKeys)
		g.Go(func() {
			if got, err := r.get(t.Context()); got != 3 || err != nil {
				t.Errorf("whoever reads got %d, %v", got, err)
			}
		})
		synctest.Wait()
		if got, err := r.get(t.Context()); got != 2 || err != nil {
			t.Errorf("meanwhile got %d, %v", got, err)
		}
		g.Wait()
	})
}

// TestToldError says what to do about what a door cannot do.
func TestToldError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{{sync.ErrBusy, "busy"}, {fmt.Errorf("x: %w", sync.ErrNotLoaded), "not_loaded"}, {sync.ErrCopying, "copying"}, {errors.New("x"), "unavailable"}} {
		if e := api.ErrorOf(toldError(c.err)); e.Status != 503 || e.Code != c.want || !errors.Is(e, c.err) {
			t.Errorf("%v: got %+v", c.err, e)
		}
	}
	if toldError(nil) != nil {
		t.Error("no error is one")
	}
}
