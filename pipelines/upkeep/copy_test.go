package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"example.org/cis/connectors/synth"
	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/pipelines/upkeep"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	if err := beamrun.Init(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func day(n int) time.Time { return time.Date(2026, 3, 2+n, 6, 0, 0, 0, time.UTC) }

// live gives a world a company, and lives through a day of it.
func live(t *testing.T, w *synctest.World, n int) {
	t.Helper()
	for _, file := range []string{synctest.AccountsFile, synctest.DirectoryFile, synctest.GitHubFile} {
		if len(w.Job.Sources) < 5 {
			w.AddSource(file)
		}
	}
	if _, err := synth.Write(t.Context(), w.Dir, synth.Options{People: 40, Seed: 7, Day: n}); err != nil {
		t.Fatal(err)
	}
	change := func(*sync.Job, *sync.Options) {}
	if n == 0 {
		change = synctest.FirstLoad
	}
	if _, err := w.Sync(t.Context(), day(n), change); err != nil {
		t.Fatal(err)
	}
}

// erase takes out the n-th person.
func erase(t *testing.T, s sinks.Store, n int) people.ID {
	t.Helper()
	list, err := s.List(t.Context(), people.ID{}, n+1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Erase(t.Context(), sinks.Fence{}, list[n].ID, "login"); err != nil {
		t.Fatal(err)
	}
	return list[n].ID
}

func decide(t *testing.T, s sinks.Store, record string) {
	t.Helper()
	err := sync.Decide(t.Context(), s, sync.Link{Publisher: people.HRIS, Record: record, Person: people.ID{1}, By: "a test", Reason: "a test", At: day(0)})
	if err != nil {
		t.Fatal(err)
	}
}

// original is a vault with some days and a decision.
func original(t *testing.T) *synctest.World {
	t.Helper()
	w := synctest.New(t)
	for n := range 3 {
		live(t, w, n)
	}
	decide(t, w.Store(t), "77")
	return w
}

func empty(t *testing.T, w *synctest.World) sinks.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "copy.db"), sqlite.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func options(w *synctest.World) upkeep.Options {
	return upkeep.Options{Lease: sync.Options{Holder: "a copy", Now: w.Now}, Subscribers: []string{synctest.Subscriber}, PartSize: 7}
}

// same demands that a copy is the original in all that can be read.
func same(t *testing.T, from, to sinks.Store) {
	t.Helper()
	ctx := t.Context()
	var dumps [2]string
	var sums [2]upkeep.Summary
	var rows [2][]sinks.OutboxRow
	for i, s := range []sinks.Store{from, to} {
		b, err := synctest.Dump(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		dumps[i] = string(b)
		if sums[i], err = upkeep.Sum(ctx, s, nil); err != nil {
			t.Fatal(err)
		}
		if rows[i], err = s.Outbox(ctx, synctest.Subscriber, 1000); err != nil {
			t.Fatal(err)
		}
		checked, err := upkeep.Check(ctx, s, nil, nil)
		if err != nil || len(checked.Problems) > 0 {
			t.Errorf("vault %d: %v, %v", i, checked.Problems, err)
		}
	}
	if dumps[0] != dumps[1] {
		t.Error("the dumps differ")
	}
	if sums[0] != sums[1] {
		t.Errorf("the copy has %+v, the original %+v", sums[1], sums[0])
	}
	if len(rows[0]) == 0 || fmt.Sprint(rows[0]) != fmt.Sprint(rows[1]) {
		t.Errorf("%d rows of the outbox in the copy, %d in the original", len(rows[1]), len(rows[0]))
	}
	mark := sync.CopyMark()
	if _, err := to.Doc(ctx, mark.Kind, mark.Key); !errors.Is(err, sinks.ErrNotFound) {
		t.Errorf("the mark of an unfinished copy: %v", err)
	}
	if docs, err := to.Docs(ctx, "holder", "", 10); err != nil || len(docs) > 0 {
		t.Errorf("who has the lease: %v, %v", docs, err)
	}
}

func TestCopy(t *testing.T) {
	w := original(t)
	from, to := w.Store(t), empty(t, w)
	erase(t, from, 5)
	r, err := upkeep.Copy(t.Context(), from, to, options(w))
	if err != nil {
		t.Fatal(err)
	}
	same(t, from, to)
	if r.Resumed || r.Already || r.People < 35 || r.History <= r.People || r.Tombstones != 1 || r.Documents < 5 || r.Outbox == 0 || len(r.Root) != 64 {
		t.Errorf("%+v", r)
	}
	again, err := upkeep.Copy(t.Context(), from, to, options(w))
	if err != nil || !again.Already || again.Summary != r.Summary {
		t.Errorf("again: %+v, %v", again, err)
	}
	// Whoever has erased somebody has another vault.
	erase(t, to, 3)
	if _, err := upkeep.Copy(t.Context(), from, to, options(w)); !errors.Is(err, upkeep.ErrNotEmpty) {
		t.Errorf("over another vault: %v", err)
	}
}

// TestSyncAfterCopy goes on with a copy and the same blobs: nobody is read, and
// nothing is written but about the run.
func TestSyncAfterCopy(t *testing.T) {
	w := synctest.New(t)
	live(t, w, 0)
	live(t, w, 1)
	for n := range 2 { // what is seen twice is confirmed
		if _, err := w.Sync(t.Context(), day(1).Add(time.Duration(n+1)*2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	from, to := w.Store(t), empty(t, w)
	if _, err := upkeep.Copy(t.Context(), from, to, options(w)); err != nil {
		t.Fatal(err)
	}
	c := &counted{Store: to}
	w.WrapStore = func(sinks.Store) sinks.Store { return c }
	before, err := upkeep.Sum(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := w.Sync(t.Context(), day(1).Add(5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Writes != 0 || rec.Signatures != 0 || c.people.Load() != 0 {
		t.Errorf("%d writes, %d signatures, %d calls that read or write people", rec.Writes, rec.Signatures, c.people.Load())
	}
	after, err := upkeep.Sum(t.Context(), to, nil)
	if err != nil || after.People != before.People || after.History != before.History {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
	live(t, w, 2)
	if checked, err := upkeep.Check(t.Context(), to, nil, nil); err != nil || len(checked.Problems) > 0 {
		t.Errorf("the next day: %v, %v", checked.Problems, err)
	}
}

type counted struct {
	sinks.Store
	people atomic.Int64
}

func (c *counted) Close() error { return nil }

func (c *counted) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	c.people.Add(1)
	return c.Store.Person(ctx, id)
}

func (c *counted) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	c.people.Add(1)
	return c.Store.People(ctx, ids)
}

func (c *counted) History(ctx context.Context, id people.ID, after int64) ([]sinks.HistoryDoc, error) {
	c.people.Add(1)
	return c.Store.History(ctx, id, after)
}

func (c *counted) Commit(ctx context.Context, f sinks.Fence, commits []sinks.Commit) ([]error, error) {
	c.people.Add(1)
	return c.Store.Commit(ctx, f, commits)
}

var errBroken = errors.New("the network is gone")

// broken is a vault whose n-th write fails, before or after its effect, and all
// later ones.
type broken struct {
	sinks.Store
	writes *atomic.Int64
	at     int64
	late   bool
}

func (b broken) do(write func() error) error {
	n := b.writes.Add(1)
	if n < b.at {
		return write()
	}
	if n == b.at && b.late {
		_ = write()
	}
	return errBroken
}

func (b broken) Put(ctx context.Context, d sinks.Doc) (v int64, err error) {
	err = b.do(func() error { v, err = b.Store.Put(ctx, d); return err })
	return v, err
}

func (b broken) Remove(ctx context.Context, d sinks.Doc) error {
	return b.do(func() error { return b.Store.Remove(ctx, d) })
}

func (b broken) LoadPart(ctx context.Context, f sinks.Fence, after, last people.ID, c []sinks.Commit) error {
	return b.do(func() error { return b.Store.LoadPart(ctx, f, after, last, c) })
}

func (b broken) Restore(ctx context.Context, f sinks.Fence, t []sinks.Tombstone, h []sinks.History) error {
	return b.do(func() error { return b.Store.Restore(ctx, f, t, h) })
}

func (b broken) RestoreOutbox(ctx context.Context, f sinks.Fence, rows []sinks.OutboxRow) error {
	return b.do(func() error { return b.Store.RestoreOutbox(ctx, f, rows) })
}

func (b broken) Subscribers(ctx context.Context, names []string) error {
	return b.do(func() error { return b.Store.Subscribers(ctx, names) })
}

// TestCopyCutOff cuts a copy off at each of its writes and goes on, with an
// original that is as it was, or has gone on meanwhile.
func TestCopyCutOff(t *testing.T) {
	w := original(t)
	writes := new(atomic.Int64)
	if _, err := upkeep.Copy(t.Context(), w.Store(t), broken{Store: empty(t, w), writes: writes, at: 1 << 40}, options(w)); err != nil {
		t.Fatal(err)
	}
	total := writes.Load()
	cut := func(t *testing.T, n int64) (to sinks.Store) {
		t.Helper()
		to = empty(t, w)
		_, err := upkeep.Copy(t.Context(), w.Store(t), broken{to, new(atomic.Int64), n, n%2 == 0}, options(w))
		if !errors.Is(err, errBroken) && n < total-1 { // giving the lease back may fail
			t.Fatalf("cut off at write %d of %d: %v", n, total, err)
		}
		return to
	}
	goOn := func(t *testing.T, to sinks.Store) upkeep.Copied {
		t.Helper()
		r, err := upkeep.Copy(t.Context(), w.Store(t), to, options(w))
		if err != nil {
			t.Fatal(err)
		}
		same(t, w.Store(t), to)
		return r
	}
	for n := int64(1); n <= total; n += 1 + total/40 {
		goOn(t, cut(t, n))
	}

	// Somebody is hired, changes and is erased, and a run is recorded, while the
	// copies wait.
	begun, half, ledger := cut(t, 4), cut(t, total/2), cut(t, total-3)
	live(t, w, 3)
	gone := erase(t, w.Store(t), 0)
	decide(t, w.Store(t), "12")
	for i, to := range []sinks.Store{begun, half, ledger} {
		if r := goOn(t, to); !r.Resumed || r.Tombstones < 1 {
			t.Errorf("copy %d: %+v", i, r)
		}
		if _, err := to.Person(t.Context(), gone); !errors.Is(err, sinks.ErrNotFound) {
			t.Errorf("copy %d has somebody who was erased meanwhile: %v", i, err)
		}
	}
}

// TestCopyRefuses looks at what a copy does not touch, and at what does not
// touch an unfinished copy.
func TestCopyRefuses(t *testing.T) {
	ctx := t.Context()
	w, other := original(t), synctest.New(t)
	if _, err := other.Store(t).Put(ctx, sinks.Doc{Kind: "vault", Key: "key", Body: []byte("another one")}); err != nil { // keys of worlds are the same
		t.Fatal(err)
	}
	live(t, other, 0)
	used := empty(t, w)
	if _, err := used.Put(ctx, sinks.Doc{Kind: "run", Key: "x"}); err != nil {
		t.Fatal(err)
	}
	unfinished := empty(t, w)
	if _, err := upkeep.Copy(ctx, other.Store(t), broken{unfinished, new(atomic.Int64), 9, false}, options(w)); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		from, to sinks.Store
		want     error
	}{
		{"nobody", empty(t, w), empty(t, w), upkeep.ErrNobody},
		{"other people", w.Store(t), other.Store(t), upkeep.ErrNotEmpty},
		{"a run without people", w.Store(t), used, upkeep.ErrNotEmpty},
		{"a copy of another vault", w.Store(t), unfinished, upkeep.ErrNotEmpty},
		{"from an unfinished copy", unfinished, empty(t, w), sync.ErrCopying},
	} {
		before, err := upkeep.Sum(ctx, test.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := upkeep.Copy(ctx, test.from, test.to, options(w)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if after, err := upkeep.Sum(ctx, test.to, nil); err != nil || after != before {
			t.Errorf("%s: %+v became %+v, %v", test.name, before, after, err)
		}
	}
	w.WrapStore = func(sinks.Store) sinks.Store { return &counted{Store: unfinished} }
	if _, err := w.Sync(ctx, day(4)); !errors.Is(err, sync.ErrCopying) {
		t.Errorf("a run on an unfinished copy: %v", err)
	}
}
