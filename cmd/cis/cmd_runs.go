package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

type runsCommand struct {
	Limit int `default:"20" help:"How many, the newest first; 0 for all."`
}

func (runsCommand) Help() string {
	return `Lists the runs, the newest first.

Examples:

    cis runs
    cis runs --limit 0 --json`
}

func (c runsCommand) Run(ctx context.Context, p *program) error {
	w, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	runs, err := w.runs(ctx)
	if err != nil {
		return err
	}
	if c.Limit > 0 && len(runs) > c.Limit {
		runs = runs[:c.Limit]
	}
	return p.print(map[string]any{"runs": runs}, func(out io.Writer) error {
		if len(runs) == 0 {
			_, err := fmt.Fprintln(out, "No runs yet: `cis sync` makes the first.")
			return err
		}
		t := p.table("run", "time", "outcome", "operations", "held", "set aside")
		for _, r := range runs {
			t.Row(r.Run, r.Clock.Format("2006-01-02 15:04"), r.Outcome, operations(r.Operations), operations(r.Held), r.Rejected)
		}
		_, err := t.WriteTo(out)
		return err
	})
}

func operations(m map[people.Class]int64) string {
	var parts []string
	for _, c := range people.Classes() {
		if m[c] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", c, m[c]))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

type runCommands struct {
	Show runShowCommand `cmd:"" help:"Say what became of one run."`
}

type runShowCommand struct {
	ID string `arg:"" help:"The run, or the beginning of its id; \"latest\" is the newest."`
}

func (runShowCommand) Help() string {
	return `Says what a run read, did, held and set aside.

Examples:

    cis run show latest
    cis run show 20260302t060000z --json`
}

func (c runShowCommand) Run(ctx context.Context, p *program) error {
	w, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	r, err := w.run(ctx, c.ID)
	if err != nil {
		return err
	}
	return p.print(r, func(out io.Writer) error {
		if err := p.showRun(out, r); err != nil {
			return err
		}
		if r.Reason != "" {
			fmt.Fprintf(out, "Reason: %s\n", show.Clean(r.Reason))
		}
		if r.Error != "" {
			fmt.Fprintf(out, "Error: %s\n", show.Clean(r.Error))
		}
		_, err := fmt.Fprintf(out, "Started %s, took %s; base %s\n", r.Started.Format("2006-01-02 15:04:05 MST"), r.Finished.Sub(r.Started).Round(1e6), orNone(r.Base))
		return err
	})
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// opened is what commands that look at things open.
type opened struct {
	store sinks.Store
	blobs sinks.Blobs
}

// open opens what the configuration names, to look at it.
func (p *program) open(ctx context.Context) (*opened, error) {
	c, err := p.load()
	if err != nil {
		return nil, err
	}
	store, err := p.openVault(ctx, c, true)
	if err != nil {
		return nil, err
	}
	blobs, err := openBlobs(c.Blobs)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &opened{store, blobs}, nil
}

func (o *opened) Close() error { return o.store.Close() }

// runs returns all runs, the newest first.
func (o *opened) runs(ctx context.Context) ([]sync.Record, error) {
	var runs []sync.Record
	err := sync.EachRun(ctx, o.store, func(r sync.Record, _ sinks.Doc) error {
		runs = append(runs, r)
		return nil
	})
	slices.Reverse(runs)
	return runs, err
}

// run finds one run by id, the beginning of one, or "latest".
func (o *opened) run(ctx context.Context, id string) (sync.Record, error) {
	runs, err := o.runs(ctx)
	if err != nil {
		return sync.Record{}, err
	}
	if id == "latest" && len(runs) > 0 {
		return runs[0], nil
	}
	var found []sync.Record
	for _, r := range runs {
		if r.Run == id {
			return r, nil
		}
		if strings.HasPrefix(r.Run, id) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return sync.Record{}, usageError{fmt.Errorf("no run %q: `cis runs` lists them", id)}
	}
	return sync.Record{}, usageError{fmt.Errorf("%d runs begin with %q: say more of the id", len(found), id)}
}

// lists returns what the newest run left open: from the current snapshot, or
// from the plan of a first run that is held whole.
func (o *opened) lists(ctx context.Context) (snapshots.Lists, error) {
	head, err := sync.Head(ctx, o.store)
	if err != nil {
		return snapshots.Lists{}, err
	}
	if head == "" {
		runs, err := o.runs(ctx)
		if err != nil || len(runs) == 0 {
			return snapshots.Lists{}, err
		}
		plan, err := sync.ReadPlan(ctx, o.blobs, runs[0].Run)
		if errors.Is(err, sinks.ErrNotFound) {
			return snapshots.Lists{}, nil
		}
		return plan.Correlated.Lists, err
	}
	w, err := snapshots.Open(ctx, o.blobs, head)
	if err != nil {
		return snapshots.Lists{}, err
	}
	defer w.Close()
	return w.Lists(ctx)
}
