package sync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/go-json-experiment/json"

	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/people"
)

// The states of a run.
const (
	Running   = "running"   // no sealed plan yet
	Sealed    = "sealed"    // its plan may be carried out, and will be by the next run if this one dies
	Done      = "done"      // everything the plan said was applied
	Held      = "held"      // done, but a guard held something
	Failed    = "failed"    // it ended with an error before anything was applied
	Abandoned = "abandoned" // it died before its plan was sealed
)

// A Record is what the ledger keeps of a run (kind "run"). Its form is also
// that of `cis sync --json` and `cis run show --json`.
type Record struct {
	Run     string `json:"run"`
	Outcome string `json:"outcome"` // one of the states
	// Operations that were applied, by class; all classes are there.
	Operations map[people.Class]int64 `json:"operations"`
	// Held operations by class, and Moved ones, which were not applied because
	// somebody changed the same attributes meanwhile.
	Held       map[people.Class]int64 `json:"held"`
	Moved      map[people.Class]int64 `json:"moved,omitzero"`
	Holds      []guard.Hold           `json:"holds,omitzero"`
	Rejected   int64                  `json:"rejected"`
	Cases      int64                  `json:"cases"`
	Upcoming   int64                  `json:"upcoming"`
	Signatures int64                  `json:"signatures"`
	Writes     int64                  `json:"vault_writes"`
	// Documents is what the run asked of a store that is paid by the document.
	Documents *sinks.Usage `json:"documents,omitzero"`
	// People and Active count the vault as the run left it.
	People  int64                   `json:"people"`
	Active  int64                   `json:"active"`
	Sources map[string]SourceRecord `json:"sources"`
	// Clock is the run's time, Started and Finished are real ones.
	Clock     time.Time `json:"clock"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished,omitzero"`
	Base      string    `json:"base,omitzero"`
	Plan      string    `json:"plan,omitzero"`
	Snapshot  bool      `json:"snapshot"`
	FirstLoad bool      `json:"first_load,omitzero"`
	DryRun    bool      `json:"dry_run,omitzero"`
	Reason    string    `json:"reason,omitzero"`
	Resumed   []string  `json:"resumed,omitzero"` // runs that this one finished first
	Error     string    `json:"error,omitzero"`
	Holder    string    `json:"holder,omitzero"`
}

// A SourceRecord is what a run saw of one source.
type SourceRecord struct {
	Complete bool   `json:"complete"`
	Rows     int64  `json:"rows"`
	Reason   string `json:"reason,omitzero"`
	// Idle sources were not asked.
	Idle bool `json:"idle,omitzero"`
}

// Attention reports whether something in the run waits for a human: held,
// moved, set aside or unread.
func (r *Record) Attention() bool {
	for _, s := range r.Sources {
		if !s.Complete && !s.Idle {
			return true
		}
	}
	return r.Outcome == Held || len(r.Moved) > 0 || r.Rejected > 0
}

// Options say how to run a job.
type Options struct {
	Runner string // of beamrun; "" is direct
	DryRun bool   // plan only; nothing is written outside Job.Work
	Holder string // names this process, for the lease
	// Dead reports whether the process that a holder names is known to have ended.
	Dead func(holder string) bool
	// Subscribers get an outbox row of each change.
	Subscribers []string
	Now         func() time.Time // real time
	Random      io.Reader
	// Progress is told what the run is doing, in a few words, and how many of
	// how many people it has done; total is -1 where that is not known.
	Progress func(what string, done, total int64)
	Log      *slog.Logger
	// Copying is of whoever fills the vault from another one: see [CopyMark].
	Copying bool
}

// Run carries out one sync: it finishes what a dead run left, then extracts,
// plans, judges, applies, and records. Job.Run, Wall, Base and Fence are
// filled in. A Record comes back with an error too, if there was a run.
func Run(ctx context.Context, j Job, o Options) (Record, error) {
	return newRunner(j, o).run(ctx)
}

func newRunner(j Job, o Options) *runner {
	r := &runner{job: j, o: o}
	if r.o.Runner == "" {
		r.o.Runner = "direct"
	}
	if r.o.Progress == nil {
		r.o.Progress = func(string, int64, int64) {}
	}
	if r.o.Log == nil {
		r.o.Log = slog.New(slog.DiscardHandler)
	}
	return r
}

type runner struct {
	job   Job
	o     Options
	store sinks.Store
	blobs sinks.Blobs
	work  sinks.Blobs
}

func (r *runner) run(ctx context.Context) (rec Record, err error) {
	open := spec.Current()
	if r.store, err = open.Store(ctx, r.job.Vault); err != nil {
		return rec, err
	}
	defer r.store.Close()
	used := usage(r.store)
	if r.blobs, err = open.Blobs(ctx, r.job.Blobs); err != nil {
		return rec, err
	}
	if r.work, err = open.Blobs(ctx, r.job.Work); err != nil {
		return rec, err
	}
	suffix := make([]byte, 4)
	if _, err := io.ReadFull(r.o.Random, suffix); err != nil {
		return rec, fmt.Errorf("sync: run id: %w", err)
	}
	r.job.Wall = r.o.Now().UTC()
	if r.job.Clock.IsZero() {
		r.job.Clock = r.job.Wall
	}
	r.job.Clock = r.job.Clock.UTC().Truncate(time.Millisecond)
	r.job.Run = fmt.Sprintf("%s-%x", stamp(r.job.Clock), suffix)
	rec = Record{Run: r.job.Run, Outcome: Running, Clock: r.job.Clock, Started: r.job.Wall, FirstLoad: r.job.FirstLoad, DryRun: r.o.DryRun,
		Reason: r.job.Reason, Holder: r.o.Holder, Operations: zero(), Held: map[people.Class]int64{}, Sources: map[string]SourceRecord{}}
	random := func(b []byte) error { _, err := io.ReadFull(r.o.Random, b); return err }
	if r.o.DryRun {
		if r.job.Base, err = r.base(ctx); err != nil {
			return rec, err
		}
		err = r.plan(ctx, &rec)
		rec.Documents = since(used, usage(r.store))
		return rec, err
	}
	if err := r.checkKeys(ctx); err != nil {
		return rec, err
	}
	if err := makeVaultKey(ctx, r.store, random); err != nil {
		return rec, err
	}
	ctx, fence, end, err := HoldLease(ctx, r.store, r.o)
	if err != nil {
		return rec, err
	}
	defer end()
	r.job.Fence = fence
	failpoint.Hit("lease.taken")
	if err := r.store.Subscribers(ctx, r.o.Subscribers); err != nil {
		return rec, fmt.Errorf("sync: subscribers: %w", err)
	}
	if rec.Resumed, err = r.resume(ctx); err != nil {
		return rec, err
	}
	if r.job.Base, err = r.base(ctx); err != nil {
		return rec, err
	}
	rec.Base = r.job.Base
	doc, err := r.put(ctx, rec, 0)
	if err != nil {
		return rec, err
	}
	failpoint.Hit("run.recorded")
	err = r.plan(ctx, &rec)
	if err == nil && rec.Outcome == Sealed {
		if doc, err = r.put(ctx, rec, doc); err == nil {
			failpoint.Hit("run.sealed")
			err = r.apply(ctx, r.job, &rec)
		}
	}
	if err != nil {
		if rec.Outcome != Sealed { // a sealed one is finished by the next run
			rec.Outcome, rec.Finished = Failed, r.o.Now().UTC()
			rec.Error = err.Error()
			_, putErr := r.put(context.WithoutCancel(ctx), rec, doc)
			err = errors.Join(err, putErr)
		}
		return rec, err
	}
	rec.Finished, rec.Documents = r.o.Now().UTC(), since(used, usage(r.store))
	if _, err = r.put(ctx, rec, doc); err != nil {
		return rec, err
	}
	failpoint.Hit("run.finished")
	return rec, r.tidy(ctx, rec)
}

// usage is what was asked of a store so far, nil if it does not count.
func usage(s sinks.Store) *sinks.Usage {
	if m, ok := s.(sinks.Metered); ok {
		u := m.Usage()
		return &u
	}
	return nil
}

func since(then, now *sinks.Usage) *sinks.Usage {
	if then == nil || now == nil {
		return nil
	}
	return &sinks.Usage{Reads: now.Reads - then.Reads, Writes: now.Writes - then.Writes, Deletes: now.Deletes - then.Deletes, Retries: now.Retries - then.Retries}
}

// checkKeys finds a missing signing key before anything is read, rather than
// after everything was planned.
func (r *runner) checkKeys(ctx context.Context) error {
	signers, err := spec.Current().Signers(ctx, r.job.Keys)
	if err != nil {
		return err
	}
	need := []people.Publisher{people.CIS}
	for _, s := range r.job.Sources {
		need = append(need, s.Publisher)
	}
	var errs []error
	for _, p := range need {
		if _, ok := signers[p]; !ok {
			errs = append(errs, fmt.Errorf("no signing key of publisher %s: make one with `cis keys new %s`", p, p))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrKeys, errors.Join(errs...))
	}
	return nil
}

// ErrKeys is returned when a publisher has no signing key.
var ErrKeys = errors.New("sync: signing keys are missing")

// plan runs the first graph and puts what it found into the record.
func (r *runner) plan(ctx context.Context, rec *Record) error {
	r.o.Progress("reading the sources", 0, -1)
	r.job.Together = r.o.Runner == "direct"
	e, err := open(ctx, r.job)
	if err != nil {
		return err
	}
	err = begin(ctx, e)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	if err := beamrun.Run(ctx, r.o.Runner, func(s beam.Scope) error { return BuildPlan(s, r.job) }); err != nil {
		return err
	}
	p, err := ReadPlan(ctx, r.work, r.job.Run)
	if err != nil {
		return err
	}
	rec.Plan = p.ID
	rec.Holds = p.Holds
	through, held := p.Counts()
	for _, c := range through {
		rec.Operations[c.Class] += c.N
	}
	for _, c := range held {
		rec.Held[c.Class] += c.N
	}
	for _, x := range p.Correlated.Extracts {
		rec.Sources[x.Certificate.Source] = SourceRecord{Complete: x.Certificate.Complete, Rows: x.Certificate.Rows, Reason: x.Certificate.Reason, Idle: r.job.Sources[x.Source].Idle}
	}
	rec.Rejected = int64(len(p.Correlated.Lists.Rejections))
	rec.Cases = int64(len(p.Correlated.Lists.Cases))
	for _, part := range p.Parts {
		rec.Cases += int64(len(part.Cases))
	}
	rec.Upcoming = int64(len(p.Correlated.Lists.Upcoming))
	rec.Active = p.Correlated.Active
	rec.FirstLoad = r.job.FirstLoad && p.Correlated.Empty
	rec.Outcome = Sealed
	for _, h := range p.Holds {
		if h.Class == "" { // nothing at all goes through: there is nothing to apply
			rec.Outcome = Held
		}
	}
	if r.o.DryRun {
		rec.Outcome = Done
		if len(p.Holds) > 0 {
			rec.Outcome = Held
		}
	}
	return nil
}

// apply runs the second graph of a sealed job and moves the head on.
func (r *runner) apply(ctx context.Context, j Job, rec *Record) error {
	r.o.Progress("signing and writing", 0, -1)
	p, err := ReadPlan(ctx, r.work, j.Run)
	if err != nil {
		return err
	}
	p.Job.Fence, p.Job.Keys = j.Fence, j.Keys // what is this process's own
	p.Job.Vault, p.Job.Blobs, p.Job.Work, p.Job.Salt, p.Job.Catalogue = j.Vault, j.Blobs, j.Work, j.Salt, j.Catalogue
	stop := r.watch(ctx, &p)
	err = beamrun.Run(ctx, r.o.Runner, func(s beam.Scope) error { return BuildApply(s, &p) })
	stop()
	if err != nil {
		return err
	}
	var done finished
	if err := snapshots.ReadJSON(ctx, r.work, j.finishedBlob(), &done); err != nil {
		return err
	}
	if err := r.moveHead(ctx, j); err != nil {
		return err
	}
	failpoint.Hit("snapshot.head")
	rec.Operations, rec.Held, rec.Moved = zero(), map[people.Class]int64{}, nil
	for _, c := range done.Counts {
		rec.Operations[c.Class] += c.N
	}
	for _, c := range done.Held {
		rec.Held[c.Class] += c.N
	}
	for _, c := range done.Moved {
		if rec.Moved == nil {
			rec.Moved = map[people.Class]int64{}
		}
		rec.Moved[c.Class] += c.N
	}
	rec.Signatures, rec.Writes, rec.People, rec.Active = done.Signatures, done.Writes, done.People, done.Active
	rec.Cases, rec.Upcoming = done.Cases, done.Upcoming
	rec.Snapshot = true
	rec.Outcome = Done
	if len(rec.Held) > 0 {
		rec.Outcome = Held
	}
	return nil
}

// watch tells the progress of a first load, which is the only run that takes
// long, by counting who is in the vault.
func (r *runner) watch(ctx context.Context, p *Plan) (stop func()) {
	if !p.Correlated.Empty {
		return func() {}
	}
	var total int64
	for _, part := range p.Parts {
		total += part.People
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(500 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if n, err := r.store.Count(ctx); err == nil {
					r.o.Progress("signing and writing", n, total)
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// moveHead makes the run's snapshot the current one.
func (r *runner) moveHead(ctx context.Context, j Job) error {
	d, err := r.store.Doc(ctx, kindSnapshot, "head")
	if err != nil && !errors.Is(err, sinks.ErrNotFound) {
		return fmt.Errorf("sync: read the head: %w", err)
	}
	if string(d.Body) == j.Run {
		return nil
	}
	if string(d.Body) != j.Base {
		return fmt.Errorf("sync: the head is no longer %s: %w", j.Base, sinks.ErrFenced)
	}
	if _, err := r.store.Put(ctx, sinks.Doc{Kind: kindSnapshot, Key: "head", Version: d.Version, Body: []byte(j.Run)}); err != nil {
		return fmt.Errorf("sync: move the head: %w", err)
	}
	return nil
}

// base returns the run whose snapshot this one starts from. A run must not be
// earlier than it: what the sources say now would count as older than what
// they said then, and be lost.
func (r *runner) base(ctx context.Context) (string, error) {
	head, err := Head(ctx, r.store)
	if err != nil || head == "" {
		return head, err
	}
	var m snapshots.Manifest
	if err := snapshots.ReadJSON(ctx, r.blobs, snapshots.Dir(head)+"manifest.json", &m); err != nil {
		return "", err
	}
	if r.job.Clock.Before(m.Clock) {
		return "", fmt.Errorf("sync: %w: the last run's time was %s", ErrEarlier, m.Clock.Format(time.RFC3339))
	}
	return head, nil
}

// ErrEarlier is returned when a run's time is before that of the last one.
var ErrEarlier = errors.New("this run's time is before the last run's")

// Head returns the run whose snapshot is current, "" if there is none.
func Head(ctx context.Context, l sinks.Ledger) (string, error) {
	d, err := l.Doc(ctx, kindSnapshot, "head")
	if errors.Is(err, sinks.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("sync: read the head: %w", err)
	}
	return string(d.Body), nil
}

// put writes the run's record and returns its version. Runs that have not
// ended are listed apart, so that nobody reads them all: the mark is made
// before the record, and goes after it.
func (r *runner) put(ctx context.Context, rec Record, version int64) (int64, error) {
	body, err := json.Marshal(rec, json.Deterministic(true))
	if err != nil {
		return version, fmt.Errorf("sync: record: %w", err)
	}
	mark := sinks.Doc{Kind: kindUnfinished, Key: runKey(rec)}
	if version == 0 {
		if _, err := r.store.Put(ctx, mark); err != nil {
			return version, fmt.Errorf("sync: mark the run: %w", err)
		}
		failpoint.Hit("run.marked")
	}
	v, err := r.store.Put(ctx, sinks.Doc{Kind: kindRun, Key: runKey(rec), Version: version, Body: body})
	if err != nil {
		return version, fmt.Errorf("sync: record the run: %w", err)
	}
	if rec.Outcome != Running && rec.Outcome != Sealed {
		failpoint.Hit("run.ended")
		mark.Version = 1
		if err := r.store.Remove(ctx, mark); err != nil {
			return v, fmt.Errorf("sync: unmark the run: %w", err)
		}
	}
	return v, nil
}

// runKey sorts runs by the real time at which they began.
func runKey(rec Record) string { return stamp(rec.Started) + "." + rec.Run }

// resume finishes the runs whose plan was sealed and abandons the others that
// never ended.
func (r *runner) resume(ctx context.Context) (resumed []string, err error) {
	open, err := r.store.Docs(ctx, kindUnfinished, "", 1000)
	if err != nil {
		return nil, fmt.Errorf("sync: read unfinished runs: %w", err)
	}
	for _, mark := range open {
		doc, err := r.store.Doc(ctx, kindRun, mark.Key)
		if errors.Is(err, sinks.ErrNotFound) { // it died before it was recorded
			if err := r.store.Remove(ctx, mark); err != nil {
				return resumed, fmt.Errorf("sync: unmark a run: %w", err)
			}
			continue
		}
		if err != nil {
			return resumed, fmt.Errorf("sync: read run %s: %w", mark.Key, err)
		}
		var rec Record
		if err := json.Unmarshal(doc.Body, &rec); err != nil {
			return resumed, fmt.Errorf("sync: run %s: %w", mark.Key, err)
		}
		switch rec.Outcome {
		case Running:
			rec.Outcome = Abandoned
		case Sealed:
			r.o.Progress("finishing run "+rec.Run, 0, -1)
			j := r.job
			j.Run, j.Base = rec.Run, rec.Base
			err = r.apply(ctx, j, &rec)
			resumed = append(resumed, rec.Run)
		default: // it had ended
			if err := r.store.Remove(ctx, mark); err != nil {
				return resumed, fmt.Errorf("sync: unmark run %s: %w", rec.Run, err)
			}
			continue
		}
		if err != nil {
			return resumed, fmt.Errorf("sync: finish run %s: %w", rec.Run, err)
		}
		rec.Finished = r.o.Now().UTC()
		if _, err := r.put(ctx, rec, doc.Version); err != nil {
			return resumed, err
		}
		// Only now: a run that was taken for dead and sealed its plan meanwhile
		// makes the write above a conflict.
		if rec.Outcome == Abandoned {
			if err := r.drop(ctx, rec.Run); err != nil {
				return resumed, err
			}
		}
	}
	return resumed, nil
}

// EachRun calls yield for every recorded run, oldest first.
func EachRun(ctx context.Context, l sinks.Ledger, yield func(Record, sinks.Doc) error) error {
	for d, err := range Documents(ctx, l, kindRun) {
		if err != nil {
			return err
		}
		var rec Record
		if err := json.Unmarshal(d.Body, &rec); err != nil {
			return fmt.Errorf("sync: run %s: %w", d.Key, err)
		}
		if err := yield(rec, d); err != nil {
			return err
		}
	}
	return nil
}

// ReadPlan reads the sealed plan of a run.
func ReadPlan(ctx context.Context, b sinks.Blobs, run string) (p Plan, err error) {
	err = snapshots.ReadJSON(ctx, b, Job{Run: run}.planManifest(), &p)
	return p, err
}

// drop deletes what an abandoned run left.
func (r *runner) drop(ctx context.Context, run string) error {
	for _, prefix := range []string{snapshots.Dir(run), Job{Run: run}.dir(), Job{Run: run}.planDir()} {
		if err := remove(ctx, r.blobs, prefix); err != nil {
			return err
		}
	}
	return nil
}

// tidy drops extracts, older plans, and once a day snapshots whose time has come.
func (r *runner) tidy(ctx context.Context, rec Record) error {
	for _, prefix := range []string{"runs/", "plans/"} {
		if err := r.sweep(ctx, prefix); err != nil {
			return err
		}
	}
	head, err := Head(ctx, r.store)
	if err != nil {
		return err
	}
	d, err := r.store.Doc(ctx, kindSnapshot, "pruned")
	if err != nil && !errors.Is(err, sinks.ErrNotFound) {
		return fmt.Errorf("sync: read when snapshots were pruned: %w", err)
	}
	today := r.job.Clock.Format(time.DateOnly)
	if string(d.Body) == today {
		return nil
	}
	if err := snapshots.Prune(ctx, r.blobs, head, r.job.Clock); err != nil {
		return err
	}
	if _, err := r.store.Put(ctx, sinks.Doc{Kind: kindSnapshot, Key: "pruned", Version: d.Version, Body: []byte(today)}); err != nil {
		return fmt.Errorf("sync: note that snapshots were pruned: %w", err)
	}
	return nil
}

// sweep deletes what ended runs left below a prefix, and not this run's plan.
// A run that slept long enough to lose its lease may get here while another
// one is at work: which runs have not ended is asked after the blobs were
// listed, so that whatever began meanwhile is not among those.
func (r *runner) sweep(ctx context.Context, prefix string) error {
	names, err := r.blobs.Names(ctx, prefix)
	if err != nil {
		return fmt.Errorf("sync: list %s: %w", prefix, err)
	}
	open, err := r.store.Docs(ctx, kindUnfinished, "", 1000)
	if err != nil {
		return fmt.Errorf("sync: read unfinished runs: %w", err)
	}
	keep := map[string]bool{"plans/" + r.job.Run: true}
	for _, mark := range open {
		_, run, _ := strings.Cut(mark.Key, ".")
		keep["runs/"+run], keep["plans/"+run] = true, true
	}
	for _, name := range names {
		if !keep[path.Dir(name)] {
			if err := r.blobs.Delete(ctx, name); err != nil {
				return fmt.Errorf("sync: delete %s: %w", name, err)
			}
			failpoint.Hit("blob.deleted")
		}
	}
	return nil
}

func remove(ctx context.Context, b sinks.Blobs, prefix string) error {
	names, err := b.Names(ctx, prefix)
	if err != nil {
		return fmt.Errorf("sync: list %s: %w", prefix, err)
	}
	for _, name := range names {
		if err := b.Delete(ctx, name); err != nil {
			return fmt.Errorf("sync: delete %s: %w", name, err)
		}
		failpoint.Hit("blob.deleted")
	}
	return nil
}

func zero() map[people.Class]int64 {
	m := map[people.Class]int64{}
	for _, c := range people.Classes() {
		m[c] = 0
	}
	return m
}
