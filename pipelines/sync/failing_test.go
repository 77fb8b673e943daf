package sync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

var errBroken = errors.New("the disk is gone")

// failing is a store that fails at one call, before or after its effect, and
// at every later one.
type failing struct {
	sinks.Store
	calls *atomic.Int64
	at    int64
	late  bool // the call has its effect, and fails all the same
}

// call carries out one call, or not.
func call[T any](f failing, do func() (T, error)) (T, error) {
	n := f.calls.Add(1)
	var none T
	if n < f.at {
		return do()
	}
	if n == f.at && f.late {
		_, _ = do()
	}
	return none, errBroken
}

func only(do func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, do() }
}

func (f failing) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	return call(f, func() (sinks.Stored, error) { return f.Store.Person(ctx, id) })
}

func (f failing) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	return call(f, func() ([]sinks.Stored, error) { return f.Store.People(ctx, ids) })
}

func (f failing) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	return call(f, func() ([][]people.ID, error) { return f.Store.Lookup(ctx, keys) })
}

func (f failing) Moved(ctx context.Context, since time.Time, yield func(sinks.Head) error) error {
	_, err := call(f, only(func() error { return f.Store.Moved(ctx, since, yield) }))
	return err
}

func (f failing) History(ctx context.Context, id people.ID, after int64) ([]sinks.HistoryDoc, error) {
	return call(f, func() ([]sinks.HistoryDoc, error) { return f.Store.History(ctx, id, after) })
}

func (f failing) Count(ctx context.Context) (int64, error) {
	return call(f, func() (int64, error) { return f.Store.Count(ctx) })
}

func (f failing) Commit(ctx context.Context, fence sinks.Fence, commits []sinks.Commit) ([]error, error) {
	return call(f, func() ([]error, error) { return f.Store.Commit(ctx, fence, commits) })
}

func (f failing) Subscribers(ctx context.Context, names []string) error {
	_, err := call(f, only(func() error { return f.Store.Subscribers(ctx, names) }))
	return err
}

func (f failing) Doc(ctx context.Context, kind, key string) (sinks.Doc, error) {
	return call(f, func() (sinks.Doc, error) { return f.Store.Doc(ctx, kind, key) })
}

func (f failing) Docs(ctx context.Context, kind, after string, limit int) ([]sinks.Doc, error) {
	return call(f, func() ([]sinks.Doc, error) { return f.Store.Docs(ctx, kind, after, limit) })
}

func (f failing) Put(ctx context.Context, d sinks.Doc) (int64, error) {
	return call(f, func() (int64, error) { return f.Store.Put(ctx, d) })
}

func (f failing) Remove(ctx context.Context, d sinks.Doc) error {
	_, err := call(f, only(func() error { return f.Store.Remove(ctx, d) }))
	return err
}

func (f failing) Acquire(ctx context.Context, lease, holder string, ttl time.Duration) (sinks.Fence, error) {
	return call(f, func() (sinks.Fence, error) { return f.Store.Acquire(ctx, lease, holder, ttl) })
}

func (f failing) Release(ctx context.Context, fence sinks.Fence) error {
	_, err := call(f, only(func() error { return f.Store.Release(ctx, fence) }))
	return err
}

// TestFailingVault lets the vault fail at every single call of a run, before
// the call's effect and after it, and stay broken until the run has ended. The
// next run must leave what a run leaves that nothing ever happened to. Beside
// a broken one each world has a twin that is never broken.
func TestFailingVault(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the effect", true: "after the effect"}[late], func(t *testing.T) {
			w, twin := synctest.New(t), synctest.New(t)
			w.Store(t)
			twin.Store(t)
			for _, x := range []*synctest.World{w, twin} {
				kitchen(t, x, 0)
				must(t, x, day(0), synctest.FirstLoad)
			}
			stride := 1
			if testing.Short() {
				stride = 7
			}
			failed := 0
			for at := 1; ; at += stride {
				kitchen(t, w, at)
				kitchen(t, twin, at)
				f := failing{calls: new(atomic.Int64), at: int64(at), late: late}
				w.WrapStore = func(s sinks.Store) sinks.Store { f.Store = s; return f }
				_, err := w.Sync(t.Context(), day(at))
				w.WrapStore = nil
				if f.calls.Load() < f.at {
					if err != nil {
						t.Fatalf("at %d nothing was broken: %v", at, err)
					}
					must(t, twin, day(at))
					break
				}
				if err != nil {
					failed++
					if !strings.Contains(err.Error(), errBroken.Error()) {
						t.Fatalf("broken at call %d: the error does not say so: %v", at, err)
					}
				}
				must(t, w, day(at))
				must(t, twin, day(at))
				same(t, fmt.Sprintf("vault, broken at call %d", at), dump(t, twin), dump(t, w))
			}
			if failed < 20/stride {
				t.Errorf("only %d runs failed", failed)
			}
			rec := must(t, w, day(900))
			must(t, twin, day(900))
			same(t, "vault", dump(t, twin), dump(t, w))
			if rec.Writes != 0 || len(rec.Resumed) != 0 {
				t.Errorf("at the end %d writes, finished %v", rec.Writes, rec.Resumed)
			}
			err := sync.EachRun(t.Context(), w.Store(t), func(r sync.Record, _ sinks.Doc) error {
				if r.Outcome == sync.Running || r.Outcome == sync.Sealed {
					t.Errorf("run %s has not ended: %s", r.Run, r.Outcome)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
