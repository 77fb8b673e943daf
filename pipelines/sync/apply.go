package sync

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
	"example.org/cis/transforms/snapshot"
)

// commitSize is how many people go to the vault in one call.
const commitSize = 64

// applied is what one part's application left.
type applied struct {
	Part       int           `json:"part"`
	Segment    string        `json:"segment,omitzero"` // "" if nobody's profile changed
	Bytes      int64         `json:"bytes"`
	Counts     []guard.Count `json:"counts"`
	Held       []guard.Count `json:"held"`
	Moved      []guard.Count `json:"moved"`
	Signatures int64         `json:"signatures"`
	Writes     int64         `json:"writes"`
	// Kept are people something about whom was not applied: their records
	// keep their old form in the snapshot, so that the next run looks again.
	Kept  []people.ID   `json:"kept,omitzero"`
	Cases []people.Case `json:"cases,omitzero"`
	// Erased are people who were erased after the plan was made.
	Erased []people.ID `json:"erased,omitzero"`
	// Taken are people whose user_id somebody else had: see applyLate.
	Taken []people.ID `json:"taken,omitzero"`
}

// apply carries out one part of a sealed plan: signs, commits, and writes the
// snapshot's bodies and rows of the part.
func apply(ctx context.Context, e *env, p *Plan, part int) (applied, error) {
	return carryOut(ctx, e, p, part, func(a *application) error { return a.all(ctx) })
}

// applyLate carries out what no part could, because somebody had the user_id
// that somebody else is to get. Whoever gives it up in the same plan has done
// so now, in whatever order they came, and in whatever order they come when a
// run that died is finished: each user_id that is free in the end is taken.
func applyLate(ctx context.Context, e *env, p *Plan, parts []applied) (applied, error) {
	late := map[people.ID]bool{}
	var batch []people.Proposal
	for _, done := range parts {
		if len(done.Taken) == 0 {
			continue
		}
		for _, id := range done.Taken {
			late[id] = true
		}
		err := p.EachProposal(ctx, e.work, done.Part, func(prop people.Proposal) error {
			if late[prop.Person] {
				batch = append(batch, prop)
			}
			return nil
		})
		if err != nil {
			return applied{}, err
		}
	}
	return carryOut(ctx, e, p, len(p.Parts), func(a *application) error {
		for before := 0; len(batch) > 0; {
			a.last, before = len(batch) == before, len(batch)
			list, err := a.prepare(ctx, batch)
			if err != nil {
				return err
			}
			a.out.Taken = nil
			if err := a.commit(ctx, list); err != nil {
				return err
			}
			batch = slices.DeleteFunc(batch, func(prop people.Proposal) bool { return !slices.Contains(a.out.Taken, prop.Person) })
		}
		return nil
	})
}

// carryOut does one part's work and writes down what it left. A part whose
// work this run had done before it died is not done again.
func carryOut(ctx context.Context, e *env, p *Plan, part int, work func(*application) error) (out applied, err error) {
	if err := snapshots.ReadJSON(ctx, e.work, e.appliedBlob(part), &out); err == nil || !errors.Is(err, sinks.ErrNotFound) {
		return out, err
	}
	signers, err := spec.Current().Signers(ctx, e.Keys)
	if err != nil {
		return out, err
	}
	body, err := e.blobs.Create(ctx, e.segmentBlob(part))
	if err != nil {
		return out, err
	}
	defer body.Close()
	a := &application{e: e, plan: p, door: "sync", signers: signers, body: body, out: applied{Part: part}, nameless: map[people.ID]bool{}}
	if err := work(a); err != nil {
		return a.out, err
	}
	if a.offset > 0 {
		if err := body.Commit(); err != nil {
			return a.out, fmt.Errorf("sync: bodies: %w", err)
		}
		a.out.Segment, a.out.Bytes = e.segmentBlob(part), int64(a.offset)
	}
	if err := snapshots.Write(ctx, e.work, e.rowsBlob(part), snapshot.NewRows(a.rows).Encode()); err != nil {
		return a.out, err
	}
	slices.SortFunc(a.out.Kept, func(x, y people.ID) int { return strings.Compare(string(x[:]), string(y[:])) })
	if err := snapshots.WriteJSON(ctx, e.work, e.appliedBlob(part), a.out); err != nil {
		return a.out, err
	}
	failpoint.Hit("apply.part")
	return a.out, nil
}

type application struct {
	e       *env
	plan    *Plan
	door    string // of people.Cause
	by      string // the same
	signers map[people.Publisher]sign.Signer
	body    sinks.BlobWriter
	offset  uint64
	rows    []snapshot.Row
	out     applied
	// last says that a user_id that is taken now stays so.
	last bool
	// nameless are people who did not get the username they chose.
	nameless map[people.ID]bool
}

// all carries out every proposal of the part. Signing is spread over the
// processors, commits follow one another, and both go on at the same time.
func (a *application) all(ctx context.Context) error {
	batches := make(chan []people.Proposal, 1)
	ready := make(chan []*person, 2)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		var batch []people.Proposal
		send := func() error {
			select {
			case batches <- batch:
				batch = nil
				return nil
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		err := a.plan.EachProposal(gctx, a.e.work, a.out.Part, func(prop people.Proposal) error {
			if batch = append(batch, prop); len(batch) == commitSize {
				return send()
			}
			return nil
		})
		if err == nil && len(batch) > 0 {
			err = send()
		}
		return err
	})
	g.Go(func() error {
		defer close(ready)
		for batch := range batches {
			list, err := a.prepare(gctx, batch)
			if err != nil {
				return err
			}
			select {
			case ready <- list:
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		return nil
	})
	g.Go(func() error {
		for list := range ready {
			if err := a.commit(gctx, list); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// A person is a proposal on its way into the vault.
type person struct {
	prop       people.Proposal
	commit     *sinks.Commit // nil: nothing to write
	done       []people.Operation
	moved      []people.Operation
	held       []people.Operation
	signatures int64
	row        snapshot.Row
	packed     []byte
	erased     bool // after the plan was made
}

func (a *application) prepare(ctx context.Context, batch []people.Proposal) ([]*person, error) {
	var ids []people.ID
	for _, p := range batch {
		if p.Base > 0 {
			ids = append(ids, p.Person)
		}
	}
	stored := map[people.ID]sinks.Stored{}
	if len(ids) > 0 {
		found, err := a.e.store.People(ctx, ids)
		if err != nil {
			return nil, fmt.Errorf("sync: read people: %w", err)
		}
		for _, s := range found {
			stored[s.ID] = s
		}
	}
	list := make([]*person, len(batch))
	g, gctx := errgroup.WithContext(ctx)
	workers := max(2, runtime.GOMAXPROCS(0))
	for w := range workers {
		g.Go(func() (err error) {
			var scratch []byte
			for i := w; i < len(batch); i += workers {
				s, found := stored[batch[i].Person]
				if !found && batch[i].Base > 0 { // erased: before the plan, or since
					s, err = a.e.person(gctx, batch[i].Person)
				}
				switch {
				case err != nil:
				case s.Revision != batch[i].Base: // this run may have written them before it died
					list[i] = &person{prop: batch[i]}
					err = a.retry(gctx, list[i], s)
				default:
					list[i], err = a.person(gctx, batch[i], s, &scratch)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return list, g.Wait()
}

// person turns a proposal into a commit against what is stored now. It keeps
// nothing of scratch, which it uses up and grows.
func (a *application) person(ctx context.Context, prop people.Proposal, s sinks.Stored, scratch *[]byte) (*person, error) {
	p := &person{prop: prop}
	through := make([]people.Operation, 0, len(prop.Operations))
	for _, o := range prop.Operations {
		if a.plan.holds(o) {
			p.held = append(p.held, o)
		} else {
			through = append(through, o)
		}
	}
	var was *people.Profile
	there := s.Profile != nil
	if there {
		var err error
		if was, err = unpackProfile(s.Profile); err != nil {
			return nil, fmt.Errorf("sync: %s: %w", prop.Person, err)
		}
	} else if len(through) == 0 {
		return p, nil // somebody new, held whole
	}
	res := diff.Apply(a.e.cat, was, through, a.e.Clock)
	p.done, p.moved = res.Done, res.Moved
	evidence := prop.Evidence
	kept := len(p.held)+len(p.moved) > 0
	if there && (kept || s.Revision != prop.Base) {
		now, err := unpackEvidence(s.Observations)
		if err != nil {
			return nil, fmt.Errorf("sync: %s: %w", prop.Person, err)
		}
		evidence = a.settle(now, prop.Evidence, res.Done, kept)
	}
	for i, path := range res.Changed {
		attr, _ := res.Profile.Find(path)
		signer, ok := a.signers[res.Publishers[i]]
		if !ok {
			return nil, fmt.Errorf("sync: no signing key of publisher %s: make one with `cis keys new %s`", res.Publishers[i], res.Publishers[i])
		}
		signed, err := sign.Attribute(ctx, signer, res.Publishers[i], prop.Person, path, attr)
		if err != nil {
			return nil, fmt.Errorf("sync: %s: %s: %w", prop.Person, path, err)
		}
		res.Profile.Set(path, signed)
		p.signatures++
	}
	// One document is written at a time, each over the one before.
	write := func(appendTo func([]byte) []byte) []byte {
		*scratch = appendTo((*scratch)[:0])
		return *scratch
	}
	canonical := write(res.Profile.AppendJSON)
	if len(res.Done) > 0 || prop.Reindex {
		p.packed = sinks.Pack(canonical)
	}
	p.row = a.e.row(prop.Person, s.Revision, res.Profile, canonical)
	p.row.Again = s.Revision != prop.Base // somebody else wrote, and was not planned for
	if len(res.Done) == 0 && (!prop.Noted || kept) {
		return p, nil
	}
	c := &sinks.Commit{ID: prop.Person, Expect: s.Revision, Revision: s.Revision}
	c.Observations = sinks.Pack(write(evidence.AppendJSON))
	c.Keys = Keys(res.Profile, &evidence)
	if len(res.Done) > 0 {
		c.Revision++
		c.Profile = p.packed
		history := people.Revision{Number: c.Revision, RecordedAt: a.e.Clock, Cause: people.Cause{Run: a.e.Run, Door: a.door, Reason: a.e.Reason, By: a.by}, Operations: res.Done}
		c.History = sinks.Pack(write(history.AppendJSON))
		if !(a.e.FirstLoad && a.plan.Correlated.Empty) { // a first load tells nobody
			c.Notify, c.NotifyID = "update", res.Profile.Value(people.UserID).Text()
			if !there {
				c.Notify = "create"
			} else if old := was.Value(people.UserID).Text(); old != "" && old != c.NotifyID {
				c.Notify, c.NotifyFormer = sinks.NotifyRelink, old
			}
		}
		p.row.Revision = c.Revision
	}
	p.commit = c
	return p, nil
}

// settle makes the evidence that goes with what was done, from what is stored
// now. If something was kept back, the person's records keep their old form
// in the snapshot and so do their observations here, or a record that comes
// back as it was would leave one behind that says it is gone.
func (a *application) settle(now, planned people.Evidence, done []people.Operation, kept bool) people.Evidence {
	if !kept {
		for _, o := range planned.Observations {
			if o.Lifecycle == people.Gone {
				merge.GiveUp(&now, o.Publisher, a.e.Clock)
			} else {
				merge.Fold(&now, o)
			}
		}
	}
	touched := map[people.Path]bool{}
	for _, o := range done {
		for _, ch := range o.Changes {
			touched[ch.Path] = true
			if ch.Path == people.UserID && !ch.Old.Value.IsNull() && !ch.New.Value.Equal(ch.Old.Value) {
				now.Former = former(now.Former, ch.Old.Value.Text(), ch.New.Value.Text())
			}
		}
	}
	// Marks of other attributes are those of whoever wrote meanwhile.
	now.Cleared = slices.DeleteFunc(now.Cleared, func(c people.Cleared) bool { return touched[c.Path] })
	for _, c := range planned.Cleared {
		if touched[c.Path] {
			now.Cleared = append(now.Cleared, c)
		}
	}
	return now
}

// Keys returns what leads to a person.
func Keys(p *people.Profile, e *people.Evidence) sinks.Keys {
	k := sinks.Keys{Active: p.Value(people.Active).True()}
	add := func(list *[]people.Key, s people.Scheme, v string) {
		if k := (people.Key{Scheme: s, Value: v}); v != "" && !slices.Contains(*list, k) {
			*list = append(*list, k)
		}
	}
	add(&k.Unique, people.ByUserID, p.Value(people.UserID).Text())
	add(&k.Unique, people.ByUsername, p.Value(people.PrimaryUsername).Text())
	add(&k.Lookups, people.ByEmail, strings.ToLower(p.Value(people.PrimaryEmail).Text()))
	add(&k.Lookups, people.ByPosixID, p.Value("identities.mozilla_posix_id").Text())
	for _, id := range e.Former {
		add(&k.Lookups, people.ByFormerID, id)
	}
	for i := range e.Observations {
		o := &e.Observations[i]
		add(&k.Lookups, people.ByEmail, o.Key(people.ByEmail))
		add(&k.Records, people.ByRecord(o.Publisher), o.Record)
	}
	k.Facts = Facts(p)
	return k
}

// searchable are the attributes by which people are searched, besides the keys
// that name one person: of a map the keys are facts, of anything else the value.
var searchable = [...]people.Path{
	"access_information.ldap", "access_information.mozilliansorg",
	"staff_information.cost_center", "staff_information.director", "staff_information.manager",
	"staff_information.office_location", "staff_information.staff", "staff_information.team",
	"staff_information.title", "staff_information.worker_type",
}

// Searchable lists the attributes by which people are searched.
func Searchable() []people.Path { return slices.Clone(searchable[:]) }

// Facts returns what a person can be searched by. The scheme of each is the
// path of its attribute, and its value a group's name, "true", "false" or text.
func Facts(p *people.Profile) (facts []people.Key) {
	for _, path := range searchable {
		fact := func(v string) {
			if v != "" {
				facts = append(facts, people.Key{Scheme: people.Scheme(path), Value: v})
			}
		}
		switch v := p.Value(path); v.Kind() {
		case people.Map:
			for _, e := range v.Entries() {
				fact(e.Key)
			}
		case people.Bool:
			fact(strconv.FormatBool(v.True()))
		default:
			fact(v.Text())
		}
	}
	return facts
}

// commit writes a batch. Whoever was written by this run before it died is
// recognised and not written again; whoever moved is tried again as they are
// now.
func (a *application) commit(ctx context.Context, list []*person) error {
	for try := 0; ; try++ {
		var commits []sinks.Commit
		var who []*person
		for _, p := range list {
			if p.commit != nil {
				commits, who = append(commits, *p.commit), append(who, p)
			}
		}
		if len(commits) == 0 {
			break
		}
		failpoint.Hit("apply.commit")
		results, err := a.e.store.Commit(ctx, a.e.Fence, commits)
		if err != nil {
			return fmt.Errorf("sync: commit: %w", err)
		}
		failpoint.Hit("apply.committed")
		again := false
		for i, err := range results {
			p := who[i]
			switch {
			case err == nil:
				a.out.Writes++
				a.out.Signatures += p.signatures
				p.commit = nil
			case errors.Is(err, sinks.ErrConflict) && try < 5:
				s, err := a.e.person(ctx, p.prop.Person)
				if err != nil {
					return err
				}
				if err := a.retry(ctx, p, s); err != nil {
					return err
				}
				again = true
			case errors.Is(err, sinks.ErrTaken) && !a.last:
				a.out.Taken = append(a.out.Taken, p.prop.Person)
				list = slices.DeleteFunc(list, func(x *person) bool { return x == p })
			case errors.Is(err, sinks.ErrTaken) && !a.nameless[p.prop.Person]:
				free, err := a.withoutUsername(ctx, p)
				if err != nil {
					return err
				}
				if !free {
					a.refused(p, sinks.ErrTaken)
				}
				again = again || free
			case errors.Is(err, sinks.ErrTaken), errors.Is(err, sinks.ErrTooLarge), errors.Is(err, sinks.ErrConflict):
				a.refused(p, err)
			default:
				return fmt.Errorf("sync: commit %s: %w", p.prop.Person, err)
			}
		}
		if !again {
			break
		}
	}
	for _, p := range list {
		if err := a.record(p); err != nil {
			return err
		}
	}
	return nil
}

// retry prepares a person anew against what is stored now, which is not what
// the plan was made from.
func (a *application) retry(ctx context.Context, p *person, s sinks.Stored) error {
	if s.Profile == nil && !a.creates(p, s) {
		// What the plan says of them was said before they were erased. If a source
		// says it again, the next run takes them for somebody new.
		*p = person{prop: p.prop, moved: p.prop.Operations, erased: true}
		return nil
	}
	if s.Profile != nil && s.Revision > p.prop.Base {
		docs, err := a.e.store.History(ctx, p.prop.Person, p.prop.Base)
		if err != nil {
			return fmt.Errorf("sync: read history of %s: %w", p.prop.Person, err)
		}
		for _, d := range docs {
			rev, err := UnpackRevision(d.Doc)
			if err != nil {
				return fmt.Errorf("sync: %s: %w", p.prop.Person, err)
			}
			if rev.Cause.Run == a.e.Run && rev.Cause.Door == "sync" {
				return a.already(p, s, rev)
			}
		}
	}
	next, err := a.person(ctx, p.prop, s, new([]byte))
	if err != nil {
		return err
	}
	if next.packed == nil { // the snapshot's row follows what moved
		next.packed = s.Profile
	}
	*p = *next
	return nil
}

// creates reports whether the plan makes anew somebody who is not there. The
// plan of a first load is made without asking who was erased, of whom it can know
// nothing but what the sources said after that.
func (a *application) creates(p *person, s sinks.Stored) bool {
	return s.Revision == p.prop.Base || a.plan.Correlated.Empty && p.prop.Base == 0
}

// withoutUsername prepares a person anew without the username they chose, if
// that is somebody else's: it alone is refused, and asked for again by the next
// run.
func (a *application) withoutUsername(ctx context.Context, p *person) (bool, error) {
	for i := range p.prop.Operations {
		o := &p.prop.Operations[i]
		k := slices.IndexFunc(o.Changes, func(ch people.Change) bool {
			return ch.Path == people.PrimaryUsername && ch.Publisher != people.CIS
		})
		if k < 0 {
			continue
		}
		found, err := a.e.store.Lookup(ctx, []people.Key{{Scheme: people.ByUsername, Value: o.Changes[k].New.Value.Text()}})
		if err != nil {
			return false, fmt.Errorf("sync: look up a username: %w", err)
		}
		if len(found[0]) == 0 || found[0][0] == p.prop.Person {
			return false, nil
		}
		c := people.Case{Kind: "username_taken", Publisher: o.Source, People: []people.ID{p.prop.Person}, FirstSeen: a.e.Clock,
			Reason: "the username that the person chose is somebody else's; everything else was taken", Resolve: "let the person choose another one"}
		if from := p.prop.Evidence.Find(o.Source); from != nil {
			c.Record = from.Record
		}
		a.out.Cases = append(a.out.Cases, c)
		s, err := a.e.person(ctx, p.prop.Person)
		if err != nil {
			return false, err
		}
		if s.Profile != nil {
			o.Changes = slices.Delete(slices.Clone(o.Changes), k, k+1)
			p.prop.Operations = slices.DeleteFunc(p.prop.Operations, func(o people.Operation) bool { return len(o.Changes) == 0 })
		} else {
			name, err := a.e.username(&p.prop.Evidence)
			if err != nil {
				return false, fmt.Errorf("sync: %s: %w", p.prop.Person, err)
			}
			null := a.e.cat.Null(people.PrimaryUsername)
			o.Changes = slices.Clone(o.Changes)
			o.Changes[k] = people.Change{Path: people.PrimaryUsername, Old: o.Changes[k].Old, Publisher: people.CIS, Rule: merge.RuleIdentity, Since: a.e.Clock,
				New: people.Content{Value: people.StringValue(name), Display: null.Metadata.Display, Verified: true}}
		}
		a.nameless[p.prop.Person] = true
		return true, a.retry(ctx, p, s)
	}
	return false, nil
}

// already takes a person as this run left them before it died.
func (a *application) already(p *person, s sinks.Stored, rev people.Revision) error {
	profile, err := unpackProfile(s.Profile)
	if err != nil {
		return fmt.Errorf("sync: %s: %w", p.prop.Person, err)
	}
	canonical := profile.AppendJSON(nil)
	p.row = a.e.row(p.prop.Person, s.Revision, profile, canonical)
	p.row.Again = s.Revision != p.prop.Base+1
	p.packed, p.commit, p.done, p.held, p.moved = s.Profile, nil, rev.Operations, nil, nil
	for _, o := range p.prop.Operations {
		switch {
		case a.plan.holds(o):
			p.held = append(p.held, o)
		case !slices.ContainsFunc(p.done, func(d people.Operation) bool { return d.Class == o.Class && d.Source == o.Source }):
			p.moved = append(p.moved, o)
		}
	}
	return nil
}

// UnpackRevision reads a history document of a vault.
func UnpackRevision(packed []byte) (rev people.Revision, err error) {
	body, err := sinks.Unpack(packed)
	if err != nil {
		return rev, err
	}
	if err := json.Unmarshal(body, &rev); err != nil {
		return rev, fmt.Errorf("history: %w", err)
	}
	return rev, nil
}

// refused sets aside a person whom the vault does not take.
func (a *application) refused(p *person, err error) {
	// The case is of the record that asks for a user_id, else of the first that asks for anything.
	c := people.Case{Kind: "refused", Publisher: people.CIS, People: []people.ID{p.prop.Person}, FirstSeen: a.e.Clock}
	for i, o := range p.done {
		if i == 0 || slices.ContainsFunc(o.Changes, func(ch people.Change) bool { return ch.Path == people.UserID }) {
			c.Publisher = o.Source
		}
	}
	if o := p.prop.Evidence.Find(c.Publisher); o != nil {
		c.Record = o.Record
	}
	switch {
	case errors.Is(err, sinks.ErrTaken):
		c.Reason = "somebody else holds the user_id, the username or the record that the person should have"
		c.Resolve = "see who holds it, and correct one of them"
	case errors.Is(err, sinks.ErrTooLarge):
		c.Reason = "the profile, or what the sources say, is too large to be kept"
		c.Resolve = "correct the source: some value, list or number of records is far beyond the usual"
	default:
		c.Reason = "somebody else wrote the person at the same time, again and again"
		c.Resolve = "nothing: the next run tries again"
	}
	a.out.Cases = append(a.out.Cases, c)
	p.moved, p.done, p.commit, p.packed = append(p.moved, p.done...), nil, nil, nil
	p.row.Revision = 0
}

// record counts a person's outcome and writes the snapshot's part of it.
func (a *application) record(p *person) error {
	for _, o := range p.done {
		a.out.Counts = addCount(a.out.Counts, guard.Count{Class: o.Class, Source: o.Source, N: 1})
	}
	for _, o := range p.held {
		a.out.Held = addCount(a.out.Held, guard.Count{Class: o.Class, Source: o.Source, N: 1})
	}
	for _, o := range p.moved {
		a.out.Moved = addCount(a.out.Moved, guard.Count{Class: o.Class, Source: o.Source, N: 1})
	}
	if p.erased {
		a.out.Erased = append(a.out.Erased, p.prop.Person)
	}
	if len(p.held)+len(p.moved) > 0 {
		a.out.Kept = append(a.out.Kept, p.prop.Person)
	}
	if p.packed == nil || p.row.Revision == 0 {
		return nil
	}
	if _, err := a.body.Write(p.packed); err != nil {
		return fmt.Errorf("sync: bodies: %w", err)
	}
	p.row.Again = p.row.Again || a.nameless[p.prop.Person]
	p.row.Segment, p.row.Offset, p.row.Length = uint32(a.out.Part), a.offset, uint32(len(p.packed))
	a.offset += uint64(len(p.packed))
	a.rows = append(a.rows, p.row)
	return nil
}
