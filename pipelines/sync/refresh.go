package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// What a refresh saw of one source.
const (
	Found     = "found"
	NotThere  = "not there" // from which nothing follows: only whole extracts tell who left
	Unread    = "unread"
	CannotAsk = "cannot find one person"
	NoKey     = "nothing to ask for"
	Elsewhere = "somebody else's"
	KeptApart = "kept apart by hand"
)

// A Refreshed is what a refresh of one person did. Its form is also that of
// `cis sync --only PERSON --json`.
type Refreshed struct {
	Person     people.ID              `json:"person"`
	New        bool                   `json:"new,omitzero"`
	Revision   int64                  `json:"revision"`
	Sources    map[string]SourceFound `json:"sources"`
	Operations map[people.Class]int64 `json:"operations"`
	Changed    []people.Path          `json:"changed,omitzero"`
	Cases      []people.Case          `json:"cases,omitzero"`
	Signatures int64                  `json:"signatures"`
	Writes     int64                  `json:"vault_writes"`
	Clock      time.Time              `json:"clock"`
}

// A SourceFound is what one source answered.
type SourceFound struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitzero"`
}

// Attention reports whether something waits for a human.
func (r *Refreshed) Attention() bool {
	for _, s := range r.Sources {
		if s.State == Unread {
			return true
		}
	}
	return len(r.Cases) > 0
}

// ErrNobody is returned when nobody is found by the key that a refresh was
// asked for, neither in the vault nor in a source that may make people.
var ErrNobody = errors.New("sync: nobody has that login, here or in a source that makes people")

// ErrNotLoaded is returned by a refresh of a vault that was never loaded.
var ErrNotLoaded = errors.New("sync: the vault has not been loaded yet: run `cis sync --first-load` first")

// Refresh reads one person anew from every source that can find one and is not
// idle, and writes what changed at once: no graph, no snapshot, no lease. It
// commits under the person's revision alone, and whoever else writes the person
// meanwhile makes it decide again. The next run sees that the person moved and
// looks at all their records.
//
// Nothing follows from a record that is not found: who left is told only by
// complete extracts. who is a person in the vault, or, if zero, userID the login
// of somebody who may be new.
func Refresh(ctx context.Context, j Job, o Options, who people.ID, userID string) (Refreshed, error) {
	j.Wall = o.Now().UTC()
	if j.Clock.IsZero() {
		j.Clock = j.Wall
	}
	j.Clock = j.Clock.UTC().Truncate(time.Millisecond)
	out := Refreshed{Person: who, Sources: map[string]SourceFound{}, Operations: zero(), Clock: j.Clock}
	e, err := open(ctx, j)
	if err != nil {
		return out, err
	}
	defer e.Close()
	if head, err := Head(ctx, e.store); err != nil || head == "" {
		return out, errors.Join(err, ErrNotLoaded)
	}
	if err := refuseCopy(ctx, e.store); err != nil {
		return out, err
	}
	signers, err := spec.Current().Signers(ctx, j.Keys)
	if err != nil {
		return out, err
	}
	links, err := Links(ctx, e.store)
	if err != nil {
		return out, err
	}
	r := &refresh{e: e, links: links, out: &out, found: map[people.Publisher]people.Observation{}}
	defer r.close()
	if who.IsZero() {
		if who, err = r.identify(ctx, userID); err != nil {
			return out, err
		}
		out.Person = who
	}
	for try := 0; ; try++ {
		a := &application{e: e, plan: &Plan{}, door: "refresh", signers: signers, nameless: map[people.ID]bool{}}
		err := r.write(ctx, a, who, userID, o.DryRun)
		if !errors.Is(err, sinks.ErrConflict) || try == 5 {
			return out, err
		}
	}
}

type refresh struct {
	e     *env
	links []Link
	out   *Refreshed
	// found are the records that were read, each once.
	found map[people.Publisher]people.Observation
	open  map[string]connectors.Source
}

func (r *refresh) close() {
	for _, s := range r.open {
		s.Close()
	}
}

// identify finds out who a login that the vault does not know would be.
func (r *refresh) identify(ctx context.Context, userID string) (people.ID, error) {
	found, err := r.e.store.Lookup(ctx, []people.Key{{Scheme: people.ByUserID, Value: userID}, {Scheme: people.ByFormerID, Value: userID}})
	if err != nil {
		return people.ID{}, fmt.Errorf("sync: look up a user id: %w", err)
	}
	for _, ids := range found {
		if len(ids) == 1 {
			return ids[0], nil
		}
	}
	id, _, err := normalize.ID(r.e.salt, userID)
	if err != nil {
		return people.ID{}, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	return id, nil
}

// write decides about the person as they are stored now, and writes that.
func (r *refresh) write(ctx context.Context, a *application, who people.ID, userID string, dryRun bool) error {
	e := r.e
	prop := people.Proposal{Person: who}
	in := merge.Input{ID: who, Catalogue: e.cat, Now: e.Clock}
	s, err := e.store.Person(ctx, who)
	switch {
	case errors.Is(err, sinks.ErrNotFound):
		s = sinks.Stored{ID: who}
	case err != nil:
		return fmt.Errorf("sync: read %s: %w", who, err)
	default:
		if err := e.stored(&in, s); err != nil {
			return err
		}
		userID = in.Stored.Value(people.UserID).Text()
	}
	prop.Base = s.Revision
	// GitHub comes last: which account is the person's may be what the others say.
	for _, p := range []people.Publisher{people.LDAP, people.AccessProvider, people.HRIS, people.Directory, people.GitHub} {
		if p == people.GitHub {
			preview := in
			preview.Username = "r--"
			if len(in.Evidence.Observations) > 0 {
				if err := r.follow(ctx, &in, preview); err != nil {
					return err
				}
			}
		}
		for i := range e.Sources {
			if e.Sources[i].Publisher == p && !e.Sources[i].Idle {
				noted, err := r.read(ctx, i, &in, userID)
				if err != nil {
					return err
				}
				prop.Noted = prop.Noted || noted
			}
		}
	}
	if s.Revision == 0 {
		anchored := slices.ContainsFunc(in.Evidence.Observations, func(o people.Observation) bool { return correlate.Anchor(o.Publisher) })
		if !anchored {
			for _, src := range e.Sources {
				if f := r.out.Sources[src.Name]; f.State == Unread && correlate.Anchor(src.Publisher) {
					return fmt.Errorf("sync: nobody here has that login, and %s could not be asked: %s", src.Name, f.Reason)
				}
			}
			return ErrNobody
		}
		r.out.New = true
		if in.Username, err = e.username(&in.Evidence); err != nil {
			return fmt.Errorf("sync: %s: %w", who, err)
		}
	}
	prop.Noted = prop.Noted || len(in.Withdrawn) > 0
	if err := e.merge(ctx, &prop, in); err != nil {
		return err
	}
	r.out.Revision = s.Revision
	if len(prop.Operations) == 0 && !prop.Noted {
		return nil
	}
	p, err := a.person(ctx, prop, s, new([]byte))
	if err != nil {
		return err
	}
	if !dryRun && p.commit != nil {
		if err := r.commit(ctx, a, p); err != nil {
			return err
		}
	}
	for _, o := range p.done {
		r.out.Operations[o.Class]++
		for _, ch := range o.Changes {
			r.out.Changed = append(r.out.Changed, ch.Path)
		}
	}
	r.out.Cases = append(r.out.Cases, a.out.Cases...)
	return nil
}

// commit writes a prepared person; without the username they chose, if that is
// somebody else's.
func (r *refresh) commit(ctx context.Context, a *application, p *person) error {
	for {
		failpoint.Hit("refresh.commit")
		results, err := r.e.store.Commit(ctx, sinks.Fence{}, []sinks.Commit{*p.commit})
		failpoint.Hit("refresh.committed")
		if err == nil {
			err = results[0]
		}
		switch {
		case err == nil:
			r.out.Revision, r.out.Signatures, r.out.Writes = p.commit.Revision, p.signatures, 1
			return nil
		case errors.Is(err, sinks.ErrTaken) && !a.nameless[p.prop.Person]:
			free, without := a.withoutUsername(ctx, p)
			if without != nil || !free {
				return errors.Join(without, fmt.Errorf("sync: commit %s: %w", p.prop.Person, err))
			}
			if p.commit == nil {
				return nil
			}
		default:
			return fmt.Errorf("sync: commit %s: %w", p.prop.Person, err)
		}
	}
}

// follow takes the GitHub record away from a person whose profile will not name
// its account any more.
func (r *refresh) follow(ctx context.Context, in *merge.Input, preview merge.Input) error {
	id, err := r.account(preview)
	if err != nil {
		return err
	}
	if o := in.Evidence.Find(people.GitHub); o != nil && o.Record != id && !r.byHand(people.GitHub, o.Record, in.ID) {
		withdraw(in, people.GitHub)
	}
	return nil
}

// account is the verified GitHub account that the profile will name, "" if none.
func (r *refresh) account(in merge.Input) (string, error) {
	decisions, _ := merge.Merge(in)
	for _, d := range decisions {
		if d.Path == people.GitHubID {
			if !d.New.Verified {
				return "", nil
			}
			return d.New.Value.Text(), nil
		}
	}
	if in.Stored != nil {
		if a, ok := in.Stored.Find(people.GitHubID); ok && a.Metadata.Verified {
			return a.Value.Text(), nil
		}
	}
	return "", nil
}

func (r *refresh) byHand(p people.Publisher, record string, who people.ID) bool {
	return slices.ContainsFunc(r.links, func(l Link) bool {
		return l.Publisher == p && l.Record == record && l.Person == who && !l.Apart
	})
}

// keys are what a source is asked for, until it has one of them: of a login, the
// current one and then the one that is known.
func (r *refresh) keys(p people.Publisher, in *merge.Input, userID string) (keys []people.Key, err error) {
	add := func(k people.Key) {
		if k.Value != "" && !slices.ContainsFunc(keys, func(x people.Key) bool { return x.Value == k.Value }) {
			keys = append(keys, k)
		}
	}
	known := in.Evidence.Find(p)
	for _, l := range r.links {
		if l.Publisher == p && l.Person == in.ID && !l.Apart {
			add(people.Key{Scheme: people.ByRecord(p), Value: l.Record})
			return keys, nil
		}
	}
	switch {
	case p == people.AccessProvider || p == people.Directory || p == people.LDAP && known == nil:
		add(people.Key{Scheme: people.ByUserID, Value: userID})
	case p == people.GitHub && known == nil:
		id, err := r.account(*in)
		if err != nil {
			return nil, err
		}
		add(people.Key{Scheme: people.ByRecord(p), Value: id})
	}
	if known != nil {
		add(people.Key{Scheme: people.ByRecord(p), Value: known.Record})
	}
	return keys, nil
}

// read asks one source and takes its record into the evidence.
func (r *refresh) read(ctx context.Context, i int, in *merge.Input, userID string) (noted bool, err error) {
	src := r.e.Sources[i]
	say := func(state, reason string) { r.out.Sources[src.Name] = SourceFound{state, reason} }
	o, known := r.found[src.Publisher]
	if !known {
		if done, asked := r.out.Sources[src.Name]; asked && done.State != Found {
			return false, nil // asked before, when somebody else wrote meanwhile
		}
		s, err := r.source(ctx, i)
		if err != nil {
			say(Unread, err.Error())
			return false, nil
		}
		finder, ok := s.(connectors.Finder)
		if !ok {
			say(CannotAsk, "")
			return false, nil
		}
		keys, err := r.keys(src.Publisher, in, userID)
		if err != nil {
			return false, err
		}
		if len(keys) == 0 {
			say(NoKey, "")
			return false, nil
		}
		for _, key := range keys {
			if o, err = finder.Find(ctx, key); !errors.Is(err, connectors.ErrNotFound) {
				break
			}
		}
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, connectors.ErrNotFound):
			say(NotThere, "")
			return false, nil
		case err != nil:
			say(Unread, err.Error())
			return false, nil
		}
		o.SeenAt = r.e.Clock
		r.found[src.Publisher] = o
	}
	for _, l := range r.links {
		if l.Publisher == o.Publisher && l.Record == o.Record && (l.Apart == (l.Person == in.ID)) {
			say(KeptApart, "")
			return false, nil
		}
	}
	if was := in.Evidence.Find(o.Publisher); was == nil || was.Record != o.Record {
		holders, err := r.e.store.Lookup(ctx, []people.Key{{Scheme: people.ByRecord(o.Publisher), Value: o.Record}})
		if err != nil {
			return false, fmt.Errorf("sync: look up a record: %w", err)
		}
		if len(holders[0]) > 0 && holders[0][0] != in.ID {
			say(Elsewhere, "the record belongs to "+holders[0][0].String())
			return false, nil
		}
		in.First = append(in.First, o.Publisher)
	}
	r.out.Cases = append(r.out.Cases, foreign(&o, in.ID, r.e.Clock)...)
	say(Found, "")
	return merge.Fold(&in.Evidence, o), nil
}

func (r *refresh) source(ctx context.Context, i int) (connectors.Source, error) {
	name := r.e.Sources[i].Name
	if s, ok := r.open[name]; ok {
		return s, nil
	}
	s, err := r.e.source(ctx, i)
	if err != nil {
		return nil, err
	}
	if r.open == nil {
		r.open = map[string]connectors.Source{}
	}
	r.open[name] = s
	return s, nil
}
