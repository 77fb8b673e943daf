package sync_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/go-json-experiment/json"

	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
)

// byHand makes the job of a run whose steps the test carries out itself.
func byHand(t testing.TB, w *synctest.World, at time.Time) sync.Job {
	t.Helper()
	ctx := context.Background()
	w.At(at)
	w.Use()
	s := w.Store(t)
	j := w.Job
	j.Run, j.Clock, j.Wall, j.Base = at.Format("20060102t150405z")+"-by-hand", at, at, head(t, w)
	synctest.FirstLoad(&j, nil)
	var err error
	if j.Fence, err = s.Acquire(ctx, sync.Lease, "by hand", time.Hour); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Release(context.Background(), j.Fence) })
	if err := sync.MakeVaultKey(ctx, s, func(b []byte) error { copy(b, "a key"); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribers(ctx, []string{synctest.Subscriber}); err != nil {
		t.Fatal(err)
	}
	e, err := sync.OpenStep(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := sync.Begin(ctx, e); err != nil {
		t.Fatal(err)
	}
	return j
}

// contents are the hashes of all blobs, by name.
func contents(t testing.TB, w *synctest.World) string {
	t.Helper()
	names, err := w.Blobs().Names(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range names {
		body, err := snapshots.Read(context.Background(), w.Blobs(), name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", name, sha256.Sum256(body))
	}
	return b.String()
}

// twice does a step twice and returns the outcome of the first time: the
// second has the same outcome and leaves the same blobs.
func twice[T any](t testing.TB, w *synctest.World, what string, do func() (T, error)) T {
	t.Helper()
	var out [2]T
	var ref, blobs [2]string
	for i := range 2 {
		var err error
		if out[i], err = do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		b, err := json.Marshal(out[i], json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		ref[i], blobs[i] = string(b), contents(t, w)
	}
	same(t, "outcome of "+what, ref[0], ref[1])
	same(t, "blobs of "+what, blobs[0], blobs[1])
	return out[0]
}

// TestStepsTwice carries out each step twice in a row, as a runner does that
// lost the first outcome. A twin world, in which each day is one ordinary run,
// has the same vault in the end.
func TestStepsTwice(t *testing.T) {
	ctx := t.Context()
	w, twin := synctest.New(t), synctest.New(t)
	for n := range 2 {
		company(t, w, 50, n)
		company(t, twin, 50, n)
		must(t, twin, day(n), synctest.FirstLoad)
		e, err := sync.OpenStep(ctx, byHand(t, w, day(n)))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		before := dump(t, w)
		var extracts []sync.Extracted
		for i, s := range w.Job.Sources {
			extracts = append(extracts, twice(t, w, "extract "+s.Name, func() (sync.Extracted, error) { return sync.Extract(ctx, e, i) }))
		}
		c := twice(t, w, "correlate", func() (sync.Correlated, error) { return sync.Correlate(ctx, e, extracts) })
		if c.Parts != 1 {
			t.Fatalf("day %d: %d parts, want one", n, c.Parts)
		}
		part := twice(t, w, "propose", func() (sync.PlanPart, error) { return sync.Propose(ctx, e, c, 0) })
		p := twice(t, w, "seal", func() (sync.Plan, error) { return sync.Seal(ctx, e, c, []sync.PlanPart{part}) })
		same(t, "vault after the plan", before, dump(t, w))
		var did [2]sync.Applied // how often it wrote may differ, and nothing else
		var vault [2]string
		for i := range did {
			if did[i], err = sync.ApplyPart(ctx, e, &p, 0); err != nil {
				t.Fatal(err)
			}
			vault[i] = dump(t, w)
		}
		same(t, "vault after the plan was applied again", vault[0], vault[1])
		if did[0].Writes == 0 {
			t.Fatalf("day %d: nothing was written", n)
		}
		did[1].Writes, did[1].Signatures = did[0].Writes, did[0].Signatures
		if a, b := fmt.Sprintf("%+v", did[0]), fmt.Sprintf("%+v", did[1]); a != b {
			t.Errorf("day %d: applied again, the outcome is\n%s\nand was\n%s", n, b, a)
		}
		twice(t, w, "apply", func() (sync.Applied, error) { return sync.ApplyPart(ctx, e, &p, 0) })
		twice(t, w, "finish", func() (sync.Finished, error) { return sync.Finish(ctx, e, &p, did[:1]) })
		old, _ := w.Store(t).Doc(ctx, "snapshot", "head")
		if _, err := w.Store(t).Put(ctx, sinks.Doc{Kind: "snapshot", Key: "head", Version: old.Version, Body: []byte(e.Run)}); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("day %d: the vault beside its twin's", n), dump(t, twin), dump(t, w))
	}
}

// TestShuffles counts what passes between the steps of both graphs, on prism,
// which tells: a few references, as small for parts of 100 people as of ten.
func TestShuffles(t *testing.T) {
	for _, size := range []int{20, 200} {
		t.Run(fmt.Sprint(size, " people"), func(t *testing.T) {
			w := synctest.New(t)
			company(t, w, size, 0)
			w.Job.PartSize = size / 2
			j := byHand(t, w, day(0))
			measure := func(build func(beam.Scope) error) {
				t.Helper()
				p, s := beam.NewPipelineWithRoot()
				if err := build(s); err != nil {
					t.Fatal(err)
				}
				res, err := beam.Run(context.Background(), "prism", p)
				if err != nil {
					t.Fatal(err)
				}
				passed := int64(0)
				for _, c := range res.Metrics().AllMetrics().PCols() {
					m := c.Committed
					passed += m.ElementCount
					if m.ElementCount > 6 || m.SampledByteSize.Max > 1<<10 {
						t.Errorf("%d elements of at most %d bytes passed through %v", m.ElementCount, m.SampledByteSize.Max, c.Key)
					}
				}
				if passed == 0 {
					t.Error("prism counted nothing")
				}
			}
			measure(func(s beam.Scope) error { return sync.BuildPlan(s, j) })
			p, err := sync.ReadPlan(t.Context(), w.Blobs(), j.Run)
			if err != nil {
				t.Fatal(err)
			}
			measure(func(s beam.Scope) error { return sync.BuildApply(s, &p) })
			if n, err := w.Store(t).Count(t.Context()); err != nil || n < int64(size)/2 {
				t.Errorf("%d people, %v", n, err)
			}
		})
	}
}
