package sync_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// kitchen is a company of two who change their titles every day.
func kitchen(t testing.TB, w *synctest.World, n int) {
	t.Helper()
	title := []string{"Cook", "Baker", "Chef"}[n%3]
	write(t, w, []string{account(1, "ada"), account(2, "bob"), group("wiki", []string{"ada", "bob"}[n%2])},
		[]string{worker("E1", "ada", title, "Kitchen"), worker("E2", "bob", "Cook", title)})
}

func as(holder string) func(*sync.Job, *sync.Options) {
	return func(_ *sync.Job, o *sync.Options) { o.Holder = holder }
}

// TestStaleLease puts a run to sleep until its lease has expired and another
// run has done its work. When the first one wakes, it writes nothing.
func TestStaleLease(t *testing.T) {
	for _, asleep := range []string{"reading the sources", "signing and writing"} {
		t.Run(asleep, func(t *testing.T) {
			ctx := t.Context()
			w := synctest.New(t)
			clock := day(0)
			w.StoreClock = func() time.Time { return clock }
			w.Store(t)
			kitchen(t, w, 0)
			must(t, w, day(0), synctest.FirstLoad)
			kitchen(t, w, 1)
			var other sync.Record
			var after, headAfter string
			slept := false
			rec, err := w.Sync(ctx, day(1), as("sleeper"), func(_ *sync.Job, o *sync.Options) {
				o.Progress = func(what string, _, _ int64) {
					if what != asleep || slept {
						return
					}
					slept = true
					clock = clock.Add(10 * time.Minute)
					var err error
					if other, err = w.Sync(ctx, day(1), as("other")); err != nil {
						t.Fatal(err)
					}
					after, headAfter = dump(t, w), head(t, w)
				}
			})
			if err == nil {
				t.Fatalf("the sleeper ended well: %+v", rec)
			}
			same(t, "vault", after, dump(t, w))
			if got := head(t, w); got != headAfter {
				t.Errorf("the head is %s, was %s", got, headAfter)
			}
			// The other one finished what was sealed, or did the work itself.
			sealed := asleep == "signing and writing"
			if got := slices.Contains(other.Resumed, rec.Run); got != sealed {
				t.Errorf("the other one finished %v", other.Resumed)
			}
			if !sealed && other.Operations[people.Update] != 3 {
				t.Errorf("the other one did %v, want 3 updates", other.Operations)
			}
			world, err := snapshots.Open(ctx, w.Blobs(), headAfter)
			if err != nil {
				t.Fatal(err)
			}
			defer world.Close()
			for i := range world.Rows.Len() {
				if _, err := world.Profile(ctx, world.Rows.At(i)); err != nil {
					t.Error(err)
				}
			}
			if rec := must(t, w, day(2), as("third")); rec.Writes != 0 || len(rec.Resumed) != 0 {
				t.Errorf("the day after: %d writes, finished %v", rec.Writes, rec.Resumed)
			}
		})
	}
}

// late is a blob store that does something when blobs below runs/ are listed:
// when a run that has ended begins to tidy up.
type late struct {
	sinks.Blobs
	tidying func()
}

func (l late) Names(ctx context.Context, prefix string) ([]string, error) {
	if prefix == "runs/" {
		l.tidying()
	}
	return l.Blobs.Names(ctx, prefix)
}

// TestTidySparesOthers wakes a run that had slept before it tidied up, when
// another one is at work: what that one has written so far is not its to take.
func TestTidySparesOthers(t *testing.T) {
	ctx := t.Context()
	w := synctest.New(t)
	kitchen(t, w, 0)
	must(t, w, day(0), synctest.FirstLoad)
	names := []string{"runs/20260303t060000z-other/extract-people.jsonl", "plans/20260303t060000z-other/part-0000.jsonl"}
	w.WrapBlobs = func(b sinks.Blobs) sinks.Blobs {
		return late{b, func() {
			if _, err := w.Store(t).Put(ctx, sinks.Doc{Kind: "unfinished", Key: "20260303t060000z.20260303t060000z-other"}); err != nil {
				t.Error(err)
			}
			for _, name := range names {
				if err := snapshots.Write(ctx, w.Blobs(), name, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		}}
	}
	must(t, w, day(1))
	for _, name := range names {
		if _, err := snapshots.Read(ctx, w.Blobs(), name); err != nil {
			t.Error(err)
		}
	}
}

// TestDeadHolder takes the lease of a process that is known to have ended, at
// once and not when it expires.
func TestDeadHolder(t *testing.T) {
	ctx := t.Context()
	w := synctest.New(t)
	w.StoreClock = time.Now
	s := w.Store(t)
	kitchen(t, w, 0)
	if _, err := s.Put(ctx, sinks.Doc{Kind: "holder", Key: "killed"}); err != nil {
		t.Fatal(err)
	}
	dead, err := s.Acquire(ctx, sync.Lease, "killed", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rec := must(t, w, day(0), synctest.FirstLoad, func(_ *sync.Job, o *sync.Options) {
		o.Dead = func(h string) bool { return h == "killed" }
		o.Progress = func(what string, _, _ int64) {
			if strings.HasPrefix(what, "waiting") {
				t.Error("it waited for the dead")
			}
		}
	})
	if rec.Operations[people.Create] != 2 {
		t.Errorf("%v, want 2 created", rec.Operations)
	}
	if err := s.Renew(ctx, dead, time.Hour); !errors.Is(err, sinks.ErrFenced) {
		t.Errorf("the fence of the dead: %v, want ErrFenced", err)
	}
}

// TestLiveHolder waits for a process that may be alive, and gives up when it
// has lasted longer than a lease does without a heartbeat.
func TestLiveHolder(t *testing.T) {
	w := synctest.New(t)
	w.StoreClock = time.Now
	kitchen(t, w, 0)
	if _, err := w.Store(t).Acquire(t.Context(), sync.Lease, "alive", time.Hour); err != nil {
		t.Fatal(err)
	}
	now, waited := day(0), 0
	_, err := w.Sync(t.Context(), day(0), synctest.FirstLoad, func(_ *sync.Job, o *sync.Options) {
		o.Now = func() time.Time { now = now.Add(30 * time.Second); return now }
		o.Dead = func(string) bool { return false }
		o.Progress = func(what string, _, _ int64) {
			if strings.HasPrefix(what, "waiting") {
				waited++
			}
		}
	})
	if !errors.Is(err, sinks.ErrHeld) || waited == 0 {
		t.Errorf("got %v after %d waits, want ErrHeld after some", err, waited)
	}
	if n, err := w.Store(t).Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d people, %v", n, err)
	}
}
