// Package beamrun runs a Beam pipeline with real cancellation and an honest
// outcome.
//
// The runner "direct" is the default: it runs inside the process and opens no
// socket. It is deprecated by Beam and checks less than the portable runners,
// so the graphs are tested on "prism" too, which opens sockets on all
// interfaces while it runs; prefer a network namespace there. "universal"
// hands the job to a job service such as Flink's.
package beamrun

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	beamlog "github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	//lint:ignore SA1019 deprecated, and the only runner that opens no socket; the graphs are tested on prism as well.
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/direct"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal"
)

// Init makes the process able to run pipelines, or, if it was started as a
// worker (--worker=true), turns it into one and does not return. Beam keeps
// its options in package flag; options ("endpoint=localhost:8099") are set
// there.
func Init(options []string) error {
	for _, o := range options {
		name, value := o, "true"
		for i := range o {
			if o[i] == '=' {
				name, value = o[:i], o[i+1:]
				break
			}
		}
		if flag.Lookup(name) == nil {
			return fmt.Errorf("beamrun: no runner option %q", name)
		}
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("beamrun: runner option %q: %w", name, err)
		}
	}
	beam.Init()
	// beam.Init sets a default logger that says much; runners log to the default.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	beamlog.SetLogger(quiet{})
	return nil
}

// Worker reports whether the arguments are those with which a runner starts a worker.
func Worker(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "--worker" || a == "--worker=true" || a == "-worker=true" })
}

// quiet passes on what Beam logs from warnings up.
type quiet struct{}

func (quiet) Log(ctx context.Context, sev beamlog.Severity, _ int, msg string) {
	switch {
	case sev >= beamlog.SevError:
		slog.ErrorContext(ctx, msg)
	case sev == beamlog.SevWarn:
		slog.DebugContext(ctx, msg)
	}
}

// running serialises pipelines: a runner's options are process-wide.
var running sync.Mutex

// Run builds and runs one pipeline.
//
// The direct runner is given the context as it is, without its deadline: the
// steps see a cancellation themselves. Portable runners panic on a deadline
// and report a cancelled job as done, so they get a context that is never
// cancelled, and the caller's own proof of completion counts.
func Run(ctx context.Context, runner string, build func(beam.Scope) error) error {
	running.Lock()
	defer running.Unlock()
	p, s := beam.NewPipelineWithRoot()
	if err := build(s); err != nil {
		return err
	}
	if runner != "direct" {
		defer sweep()
		done := make(chan error, 1)
		go func() {
			_, err := beam.Run(context.WithoutCancel(ctx), runner, p)
			done <- err
		}()
		select {
		case err := <-done:
			return outcome(ctx, runner, err)
		case <-ctx.Done():
			return fmt.Errorf("beamrun: %s: %w", runner, context.Cause(ctx))
		}
	}
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	_, err := beam.Run(inner, runner, p)
	return outcome(ctx, runner, err)
}

// sweep removes the empty files that loopback workers leave behind
// (https://github.com/apache/beam/issues/27569).
func sweep() {
	names, _ := filepath.Glob(filepath.Join(os.TempDir(), "beamloopbackworker-*"))
	for _, name := range names {
		if st, err := os.Stat(name); err == nil && st.Size() == 0 {
			_ = os.Remove(name)
		}
	}
}

func outcome(ctx context.Context, runner string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("beamrun: %s: %w", runner, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("beamrun: %s: %w", runner, root(err))
	}
	return nil
}

// root unwraps Beam's own layers, each of which repeats the text in a frame of
// its own.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
