package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

type syncCommand struct {
	FirstLoad    bool     `help:"Let the first run on an empty vault through. Every source must be whole, and a reason given; nobody is notified."`
	Reason       string   `placeholder:"TEXT" help:"Why, for the record."`
	DryRun       bool     `help:"Plan and say what would be done; write nothing."`
	Source       []string `placeholder:"NAME" help:"Ask only this source; what the others said last stands. May be repeated."`
	Only         string   `placeholder:"PERSON" help:"Refresh one person from the sources that can find one, now and without a snapshot. A user_id that nobody has makes that person, if a source that may says who it is."`
	Show         bool     `help:"List every operation with old and new values (personal data: not for logs)."`
	Now          string   `placeholder:"TIME" help:"Take this for the present, as 2026-03-02T06:00:00Z: for rehearsals and tests."`
	Runner       string   `default:"direct" enum:"direct,prism,universal" help:"Which Beam runner carries the pipeline: direct (in this process, no sockets), prism, universal (a job service, such as Flink's)."`
	RunnerOption []string `placeholder:"NAME=VALUE" sep:"none" help:"An option for the runner, such as endpoint=localhost:8099; may be repeated."`
}

func (syncCommand) Help() string {
	return `Reads every source whole, finds out who each record belongs to, merges what the sources say under the authority rules, plans, lets the guards judge the plan, signs what changed, writes it, and keeps a snapshot.

A source that cannot be read whole changes nothing: what it said last stays, the others go on. A run that died is finished first.

The first run on an empty vault only plans: look at it, then say --first-load.

Each source may have its own schedule: --source reads one, and leaves the others' last word standing. When a source tells of one person (a first login, somebody joined a group), --only takes that person over at once; nothing follows from a record that is not found, since only a whole extract tells who left.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but something is held, set aside or unread.

Examples:

    cis sync --dry-run --show
    cis sync --first-load --reason "going live"
    cis sync --source github
    cis sync --only 'github|20131'
    cis sync --json`
}

func (c syncCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	if c.FirstLoad && strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("--first-load needs a reason: --reason TEXT")}
	}
	if c.FirstLoad && len(c.Source) > 0 {
		return usageError{errors.New("a first load asks every source: leave out --source")}
	}
	var clock time.Time
	if c.Now != "" {
		if clock, err = time.Parse(time.RFC3339, c.Now); err != nil {
			return usageError{errors.New("--now wants a time such as 2026-03-02T06:00:00Z")}
		}
	}
	job, options, done, err := p.job(cfg, clock, c.DryRun)
	if err != nil {
		return err
	}
	defer done()
	job.FirstLoad, job.Reason = c.FirstLoad, c.Reason
	if err := c.choose(job.Sources); err != nil {
		return err
	}
	if c.Only != "" {
		return c.refresh(ctx, p, cfg, job, options)
	}
	options.Runner = c.Runner
	if err := beamrun.Init(c.RunnerOption); err != nil {
		return usageError{err}
	}
	rec, err := p.sync(ctx, job, options)
	if err != nil && rec.Run != "" && p.JSON {
		rec.Outcome, rec.Error = sync.Failed, err.Error()
		return printedError{errors.Join(err, show.JSON(p.stdout, rec))}
	}
	if err != nil {
		return err
	}
	err = p.print(rec, func(w io.Writer) error {
		if c.Show {
			if err := p.showPlan(ctx, w, job, rec); err != nil {
				return err
			}
		}
		return p.showRun(w, rec)
	})
	if err == nil && rec.Attention() {
		err = heldError(attention(rec))
	}
	return err
}

// choose makes the sources idle that were not asked for.
func (c syncCommand) choose(sources []sync.Source) error {
	if len(c.Source) == 0 {
		return nil
	}
	var names []string
	for i := range sources {
		names = append(names, sources[i].Name)
		sources[i].Idle = !slices.Contains(c.Source, sources[i].Name)
	}
	for _, name := range c.Source {
		if !slices.Contains(names, name) {
			return usageError{fmt.Errorf("no source is called %s: there are %s", name, strings.Join(names, ", "))}
		}
	}
	return nil
}

// refresh takes one person over.
func (c syncCommand) refresh(ctx context.Context, p *program, cfg *config.Config, job sync.Job, options sync.Options) error {
	if c.FirstLoad {
		return usageError{errors.New("--only is for a vault that has been loaded: it does not go with --first-load")}
	}
	store, err := p.openVault(ctx, cfg, true)
	if errors.Is(err, os.ErrNotExist) {
		return usageError{sync.ErrNotLoaded}
	}
	if err != nil {
		return err
	}
	found, _, err := (&opened{store: store}).find(ctx, c.Only)
	if err = errors.Join(err, store.Close()); err != nil && !errors.Is(err, errNobody) {
		return err
	}
	done, err := sync.Refresh(ctx, job, options, found.ID, c.Only)
	switch {
	case errors.Is(err, sync.ErrNotLoaded):
		return usageError{err}
	case err != nil:
		return err
	}
	err = p.print(done, func(w io.Writer) error { return p.showRefreshed(w, done, c.DryRun) })
	if err == nil && done.Attention() {
		err = heldError("see what was not read or not taken above")
	}
	return err
}

// showRefreshed prints what became of a refresh.
func (p *program) showRefreshed(w io.Writer, r sync.Refreshed, dryRun bool) error {
	switch {
	case r.New && dryRun:
		fmt.Fprintf(w, "%s is new and would be made.\n\n", r.Person)
	case r.New:
		fmt.Fprintf(w, "%s is new.\n\n", r.Person)
	default:
		fmt.Fprintf(w, "%s, revision %d\n\n", r.Person, r.Revision)
	}
	t := p.table("source", "record", "why")
	for _, name := range sortedKeys(r.Sources) {
		t.Row(name, r.Sources[name].State, r.Sources[name].Reason)
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	for _, k := range r.Cases {
		fmt.Fprintf(w, "\n%s: %s. To resolve: %s.\n", k.Kind, k.Reason, k.Resolve)
	}
	if len(r.Changed) == 0 {
		_, err := fmt.Fprintln(w, "\nNothing changed.")
		return err
	}
	what := "Changed"
	if dryRun {
		what = "Would change"
	}
	paths := make([]string, len(r.Changed))
	for i, path := range r.Changed {
		paths[i] = string(path)
	}
	slices.Sort(paths)
	_, err := fmt.Fprintf(w, "\n%s: %s.\n", what, strings.Join(paths, ", "))
	return err
}

// sync runs one job with a progress line.
func (p *program) sync(ctx context.Context, job sync.Job, options sync.Options) (sync.Record, error) {
	var progress *show.Progress
	var now string
	options.Progress = func(what string, done, total int64) {
		if stage := fmt.Sprint(what, total); stage != now {
			progress.Close()
			progress, now = show.NewProgress(p.stderr, what, total), stage
		}
		progress.Set(done)
	}
	rec, err := sync.Run(ctx, job, options)
	progress.Close()
	if errors.Is(err, sync.ErrKeys) || errors.Is(err, sync.ErrEarlier) {
		err = usageError{err}
	}
	return rec, err
}

// job makes the job of a configuration at a time, the zero time being now.
// Call done when it has run.
func (p *program) job(c *config.Config, clock time.Time, dryRun bool) (job sync.Job, o sync.Options, done func(), err error) {
	p.useOpeners()
	done = func() {}
	job = sync.Job{Clock: clock, Vault: c.Vault, Blobs: c.Blobs, Work: c.Blobs, Keys: c.Keys, Salt: string(c.Salt), Catalogue: c.Catalogue, Protected: c.Protected}
	for _, s := range c.Sources {
		spec, err := sourceSpec(s, around(c, s, dryRun))
		if err != nil {
			return job, o, done, err
		}
		confirm, grace := c.Absence.ConfirmAfter, c.Absence.Grace
		publisher := sourceTypes()[s.Type].publisher
		switch publisher {
		case people.HRIS:
			grace = c.Absence.GraceHRIS
		case people.GitHub, people.Directory:
			// Their absence ends nobody: it takes access away, which must not wait
			// longer than it takes to be sure. A second whole extract is, unless
			// both fall into one hour of a bad day.
			confirm, grace = min(confirm, time.Hour), 0
		}
		job.Sources = append(job.Sources, sync.Source{Name: s.Name, Publisher: publisher, Spec: spec, Confirm: int64(confirm / time.Second), Grace: int64(grace / time.Second)})
	}
	o = sync.Options{DryRun: dryRun, Holder: holder(), Dead: dead, Now: p.now, Random: p.random, Subscribers: c.Subscribers}
	if dryRun {
		dir, err := os.MkdirTemp("", "cis-dry-run-")
		if err != nil {
			return job, o, done, fmt.Errorf("cis: dry run: %w", err)
		}
		done = func() { os.RemoveAll(dir) }
		job.Work = "dir:" + dir
		if path, ok := strings.CutPrefix(c.Blobs, "dir:"); ok {
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				job.Blobs = job.Work
			}
		}
		if path, ok := strings.CutPrefix(c.Vault, "sqlite:"); ok {
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				job.Vault = "sqlite:" + dir + "/empty.db" // there is no vault yet, and a dry run makes none
			}
		}
	}
	return job, o, done, nil
}

// attention says in a line what is left to look at.
func attention(r sync.Record) string {
	var parts []string
	if n := sum(r.Held); n > 0 {
		parts = append(parts, show.Plural(n, "operation held", "operations held"))
	}
	if n := sum(r.Moved); n > 0 {
		parts = append(parts, show.Plural(n, "operation left because somebody else changed the same", "operations left because somebody else changed the same"))
	}
	if r.Rejected > 0 {
		parts = append(parts, show.Plural(r.Rejected, "record or attribute set aside (see cis rejections)", "records or attributes set aside (see cis rejections)"))
	}
	for _, name := range sortedKeys(r.Sources) {
		if s := r.Sources[name]; !s.Complete && !s.Idle {
			parts = append(parts, "source "+name+" not read")
		}
	}
	return strings.Join(parts, "; ")
}

func sum(m map[people.Class]int64) (n int64) {
	for _, x := range m {
		n += x
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// showRun prints what became of a run.
func (p *program) showRun(w io.Writer, r sync.Record) error {
	what := "Run"
	if r.DryRun {
		what = "Dry run"
	}
	fmt.Fprintf(w, "%s %s at %s: %s\n", what, r.Run, r.Clock.Format("2006-01-02 15:04 MST"), r.Outcome)
	for _, id := range r.Resumed {
		fmt.Fprintf(w, "Finished run %s first, which had been cut off.\n", id)
	}
	t := p.table("source", "records", "state")
	for _, name := range sortedKeys(r.Sources) {
		s := r.Sources[name]
		state := "read whole"
		switch {
		case s.Idle:
			state = "not asked"
		case !s.Complete:
			state = "not read: " + s.Reason
		}
		t.Row(name, s.Rows, state)
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	t = p.table("operation", applied(r), "held")
	for _, c := range people.Classes() {
		if r.Operations[c]+r.Held[c] > 0 {
			t.Row(string(c), r.Operations[c], r.Held[c])
		}
	}
	fmt.Fprintln(w)
	if t.Len() == 0 {
		fmt.Fprintln(w, "Nothing changed.")
	} else if _, err := t.WriteTo(w); err != nil {
		return err
	}
	for _, h := range r.Holds {
		fmt.Fprintf(w, "\nHeld: %s.\n", h.Reason)
	}
	fmt.Fprintln(w)
	var line []string
	if r.Snapshot {
		line = append(line, show.Plural(r.People, "person", "people")+fmt.Sprintf(" (%d active)", r.Active),
			show.Plural(r.Signatures, "signature", "signatures"), show.Plural(r.Writes, "vault write", "vault writes"))
	}
	if d := r.Documents; d != nil {
		line = append(line, fmt.Sprintf("%d documents read, %d written, %d deleted", d.Reads, d.Writes, d.Deletes))
	}
	line = append(line, fmt.Sprintf("%d set aside, %d undecided, %d upcoming", r.Rejected, r.Cases, r.Upcoming))
	_, err := fmt.Fprintln(w, strings.Join(line, ", "))
	return err
}

func applied(r sync.Record) string {
	if r.DryRun || !r.Snapshot {
		return "planned"
	}
	return "applied"
}

// showPlan lists the operations of a run's plan.
func (p *program) showPlan(ctx context.Context, w io.Writer, job sync.Job, rec sync.Record) error {
	blobs, err := openBlobs(job.Work)
	if err != nil {
		return err
	}
	plan, err := sync.ReadPlan(ctx, blobs, rec.Run)
	if errors.Is(err, sinks.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, part := range plan.Parts {
		err := plan.EachProposal(ctx, blobs, part.Part, func(prop people.Proposal) error {
			for _, o := range prop.Operations {
				fmt.Fprintf(w, "%s  %s by %s\n", prop.Person, o.Class, o.Source)
				if o.Class == people.Create {
					fmt.Fprintf(w, "    %s\n", show.Plural(int64(len(o.Changes)), "attribute", "attributes"))
					continue
				}
				for _, ch := range o.Changes {
					p.showChange(w, ch.Path, ch.Old, ch.New)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w)
	return err
}

// showChange prints one attribute's change: a map by its keys, the rest as
// old and new.
func (p *program) showChange(w io.Writer, path people.Path, old, now people.Content) {
	fmt.Fprintf(w, "    %-32s %s\n", path, show.Clean(changeText(old, now)))
}

// changeText says what became another in an attribute.
func changeText(old, now people.Content) string {
	var parts []string
	if old.Value.Kind() == people.Map || now.Value.Kind() == people.Map {
		for _, e := range old.Value.Entries() {
			if x, ok := now.Value.Lookup(e.Key); !ok {
				parts = append(parts, "- "+entry(e))
			} else if x != e {
				parts = append(parts, "- "+entry(e), "+ "+entry(x))
			}
		}
		for _, e := range now.Value.Entries() {
			if !old.Value.Has(e.Key) {
				parts = append(parts, "+ "+entry(e))
			}
		}
	} else if !old.Value.Equal(now.Value) {
		parts = append(parts, brief(old.Value)+" -> "+brief(now.Value))
	}
	if old.Display != now.Display && !old.Value.IsNull() {
		parts = append(parts, fmt.Sprintf("display %s -> %s", orNull(old.Display), orNull(now.Display)))
	}
	if old.Verified != now.Verified && !old.Value.IsNull() {
		parts = append(parts, fmt.Sprintf("verified %t -> %t", old.Verified, now.Verified))
	}
	return strings.Join(parts, ", ")
}

func entry(e people.Entry) string {
	if e.Null || e.Value == "" {
		return e.Key
	}
	return e.Key + "=" + cut(e.Value)
}

func brief(v people.Value) string {
	switch v.Kind() {
	case people.Null:
		return "none"
	case people.String:
		return fmt.Sprintf("%q", cut(v.Text()))
	}
	return v.String()
}

// cut shortens long text for a terminal.
func cut(s string) string {
	r := []rune(s)
	if len(r) > 60 {
		return string(r[:57]) + "…"
	}
	return s
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}
