package beamrun_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"example.org/cis/pipelines/beamrun"
)

// What the step below is told; it crosses no process here.
var (
	work  atomic.Pointer[func(context.Context) error]
	calls atomic.Int64
)

type workFn struct{}

func (*workFn) ProcessElement(ctx context.Context, _ []byte, out func(int)) error {
	calls.Add(1)
	if err := (*work.Load())(ctx); err != nil {
		return err
	}
	out(1)
	return nil
}

type sinkFn struct{}

func (*sinkFn) ProcessElement(n int, out func(int)) { out(n) }

func TestMain(m *testing.M) {
	register.DoFn3x1[context.Context, []byte, func(int), error](&workFn{})
	register.DoFn2x0[int, func(int)](&sinkFn{})
	register.Emitter1[int]()
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	if err := beamrun.Init(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func run(ctx context.Context, runner string, do func(context.Context) error) error {
	work.Store(&do)
	calls.Store(0)
	return beamrun.Run(ctx, runner, func(s beam.Scope) error {
		beam.ParDo(s, &sinkFn{}, beam.ParDo(s, &workFn{}, beam.Impulse(s)))
		return nil
	})
}

func TestRun(t *testing.T) {
	for _, runner := range []string{"direct", "prism"} {
		t.Run(runner, func(t *testing.T) {
			if err := run(t.Context(), runner, func(context.Context) error { return nil }); err != nil || calls.Load() != 1 {
				t.Errorf("%v after %d calls", err, calls.Load())
			}
			// A step's error comes out with its text.
			err := run(t.Context(), runner, func(context.Context) error { return errors.New("store: the disk is full") })
			if err == nil || !strings.Contains(err.Error(), "store: the disk is full") {
				t.Errorf("got %v", err)
			}
			// A deadline of the caller's is no panic of the runner's.
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := run(ctx, runner, func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
			err = beamrun.Run(t.Context(), runner, func(beam.Scope) error { return errors.New("no graph") })
			if err == nil || err.Error() != "no graph" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCancel cancels while a step is at work: the run ends, with the cause.
func TestCancel(t *testing.T) {
	cause := errors.New("the lease is lost")
	for _, runner := range []string{"direct", "prism"} {
		t.Run(runner, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			over := make(chan struct{})
			defer close(over)
			err := run(ctx, runner, func(step context.Context) error {
				cancel(cause)
				select {
				case <-step.Done(): // direct tells the steps
				case <-over: // prism does not
				}
				return step.Err()
			})
			if !errors.Is(err, cause) {
				t.Errorf("got %v, want the cause", err)
			}
		})
	}
}

func TestInit(t *testing.T) {
	for _, o := range []string{"no_such_option=1", "no_such_option", "parallelism=many"} {
		if err := beamrun.Init([]string{o}); err == nil {
			t.Errorf("%s was taken", o)
		}
	}
	if err := beamrun.Init([]string{"job_name=test"}); err != nil {
		t.Error(err)
	}
}

func TestWorker(t *testing.T) {
	for args, want := range map[string]bool{"--worker=true --id=1": true, "-worker=true": true, "--worker": true, "sync --worker=false": false, "sync": false, "": false} {
		if got := beamrun.Worker(strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}
