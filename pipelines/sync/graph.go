package sync

import (
	"context"
	"fmt"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"golang.org/x/sync/errgroup"

	"example.org/cis/pipelines/snapshots"
)

func init() {
	register.DoFn3x1[context.Context, int, func([]byte), error](&extractFn{})
	register.DoFn4x1[context.Context, []byte, func(*[]byte) bool, func(int), error](&correlateFn{})
	register.DoFn3x1[context.Context, int, func([]byte), error](&proposeFn{})
	register.DoFn4x1[context.Context, []byte, func(*[]byte) bool, func([]byte), error](&sealFn{})
	register.DoFn3x1[context.Context, int, func([]byte), error](&applyFn{})
	register.DoFn4x1[context.Context, []byte, func(*[]byte) bool, func([]byte), error](&finishFn{})
	register.Emitter1[int]()
	register.Emitter1[[]byte]()
	register.Iter1[[]byte]()
}

// BuildPlan builds the graph from sources to a sealed plan. Only references
// pass between its steps.
func BuildPlan(s beam.Scope, j Job) error {
	job, err := encode(j)
	if err != nil {
		return fmt.Errorf("sync: job: %w", err)
	}
	sources := []int{everySource}
	if !j.Together {
		sources = make([]int, len(j.Sources))
		for i := range sources {
			sources[i] = i
		}
	}
	extracts := beam.ParDo(s.Scope("extract"), &extractFn{job}, beam.CreateList(s, sources))
	parts := beam.ParDo(s.Scope("correlate"), &correlateFn{job}, beam.Impulse(s), beam.SideInput{Input: extracts})
	proposed := beam.ParDo(s.Scope("propose"), &proposeFn{job}, beam.Reshuffle(s, parts))
	beam.ParDo(s.Scope("seal"), &sealFn{job}, beam.Impulse(s), beam.SideInput{Input: proposed})
	return nil
}

// BuildApply builds the graph from a sealed plan to the next snapshot.
func BuildApply(s beam.Scope, p *Plan) error {
	job, err := encode(p.Job)
	if err != nil {
		return fmt.Errorf("sync: job: %w", err)
	}
	done := beam.Impulse(s)
	if len(p.Parts) > 0 {
		parts := make([]int, len(p.Parts))
		for i := range parts {
			parts[i] = p.Parts[i].Part
		}
		done = beam.ParDo(s.Scope("apply"), &applyFn{job}, beam.Reshuffle(s, beam.CreateList(s, parts)))
	}
	beam.ParDo(s.Scope("finish"), &finishFn{job}, beam.Impulse(s), beam.SideInput{Input: done})
	return nil
}

// step opens what a job names and does one step of it.
func step(ctx context.Context, job []byte, do func(e *env) error) error {
	var j Job
	if err := decode(job, &j); err != nil {
		return fmt.Errorf("sync: job: %w", err)
	}
	e, err := open(ctx, j)
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

// emit encodes a reference and hands it on.
func emit(out func([]byte), v any) error {
	b, err := encode(v)
	if err != nil {
		return fmt.Errorf("sync: reference: %w", err)
	}
	out(b)
	return nil
}

// collect decodes all references of a side input.
func collect[T any](in func(*[]byte) bool) (list []T, err error) {
	var b []byte
	for in(&b) {
		var v T
		if err := decode(b, &v); err != nil {
			return nil, fmt.Errorf("sync: reference: %w", err)
		}
		list = append(list, v)
	}
	return list, nil
}

// everySource stands for all sources of a job.
const everySource = -1

type extractFn struct{ Job []byte }

func (f *extractFn) ProcessElement(ctx context.Context, source int, out func([]byte)) error {
	return step(ctx, f.Job, func(e *env) error {
		if source != everySource {
			x, err := extract(ctx, e, source)
			if err != nil {
				return err
			}
			return emit(out, x)
		}
		all := make([]extracted, len(e.Sources))
		g, gctx := errgroup.WithContext(ctx)
		for i := range all {
			g.Go(func() (err error) {
				all[i], err = extract(gctx, e, i)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for _, x := range all {
			if err := emit(out, x); err != nil {
				return err
			}
		}
		return nil
	})
}

type correlateFn struct{ Job []byte }

func (f *correlateFn) ProcessElement(ctx context.Context, _ []byte, in func(*[]byte) bool, out func(int)) error {
	return step(ctx, f.Job, func(e *env) error {
		extracts, err := collect[extracted](in)
		if err != nil {
			return err
		}
		c, err := correlateAll(ctx, e, extracts)
		if err != nil {
			return err
		}
		if err := snapshots.WriteJSON(ctx, e.work, e.correlatedBlob(), c); err != nil {
			return err
		}
		for part := range c.Parts {
			out(part)
		}
		return nil
	})
}

type proposeFn struct{ Job []byte }

func (f *proposeFn) ProcessElement(ctx context.Context, part int, out func([]byte)) error {
	return step(ctx, f.Job, func(e *env) error {
		var c correlated
		if err := snapshots.ReadJSON(ctx, e.work, e.correlatedBlob(), &c); err != nil {
			return err
		}
		p, err := propose(ctx, e, c, part)
		if err != nil {
			return err
		}
		return emit(out, p)
	})
}

type sealFn struct{ Job []byte }

func (f *sealFn) ProcessElement(ctx context.Context, _ []byte, in func(*[]byte) bool, out func([]byte)) error {
	return step(ctx, f.Job, func(e *env) error {
		parts, err := collect[planPart](in)
		if err != nil {
			return err
		}
		var c correlated
		if err := snapshots.ReadJSON(ctx, e.work, e.correlatedBlob(), &c); err != nil {
			return err
		}
		if len(parts) != c.Parts {
			return fmt.Errorf("sync: %d of %d parts of the plan arrived", len(parts), c.Parts)
		}
		p, err := seal(ctx, e, c, parts)
		if err != nil {
			return err
		}
		out([]byte(p.ID))
		return nil
	})
}

type applyFn struct{ Job []byte }

func (f *applyFn) ProcessElement(ctx context.Context, part int, out func([]byte)) error {
	return step(ctx, f.Job, func(e *env) error {
		var p Plan
		if err := snapshots.ReadJSON(ctx, e.work, e.planManifest(), &p); err != nil {
			return err
		}
		a, err := apply(ctx, e, &p, part)
		if err != nil {
			return err
		}
		return emit(out, a.Part)
	})
}

type finishFn struct{ Job []byte }

func (f *finishFn) ProcessElement(ctx context.Context, _ []byte, in func(*[]byte) bool, out func([]byte)) error {
	return step(ctx, f.Job, func(e *env) error {
		var p Plan
		if err := snapshots.ReadJSON(ctx, e.work, e.planManifest(), &p); err != nil {
			return err
		}
		arrived := 0
		for b := []byte(nil); in(&b); {
			if len(b) > 0 { // an empty one is the impulse of a plan without parts
				arrived++
			}
		}
		if arrived != len(p.Parts) {
			return fmt.Errorf("sync: %d of %d parts were applied", arrived, len(p.Parts))
		}
		parts := make([]applied, len(p.Parts))
		for i, part := range p.Parts {
			if err := snapshots.ReadJSON(ctx, e.work, e.appliedBlob(part.Part), &parts[i]); err != nil {
				return err
			}
		}
		done, err := finish(ctx, e, &p, parts)
		if err != nil {
			return err
		}
		if err := snapshots.WriteJSON(ctx, e.work, e.finishedBlob(), done); err != nil {
			return err
		}
		out([]byte(p.ID))
		return nil
	})
}
