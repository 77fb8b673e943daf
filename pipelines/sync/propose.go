package sync

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/sinks"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// batchSize is how many people are read from the vault at once.
const batchSize = 100

func (j Job) planDir() string              { return "plans/" + j.Run + "/" }
func (j Job) planBlob(n int) string        { return fmt.Sprintf("%spart-%04d.jsonl", j.planDir(), n) }
func (j Job) planManifest() string         { return j.planDir() + "manifest.json" }
func (j Job) correlatedBlob() string       { return j.dir() + "correlated.json" }
func (j Job) appliedBlob(n int) string     { return fmt.Sprintf("%sapplied-%04d.json", j.dir(), n) }
func (j Job) rowsBlob(n int) string        { return fmt.Sprintf("%srows-%04d", j.dir(), n) }
func (j Job) segmentBlob(n int) string     { return fmt.Sprintf("%sbody-%04d", snapshots.Dir(j.Run), n) }
func (j Job) finishedBlob() string         { return j.dir() + "finished.json" }
func (j Job) snapshotFile(f string) string { return snapshots.Dir(j.Run) + f }

// A planPart refers to one part of a plan.
type planPart struct {
	Part   int           `json:"part"`
	Hash   string        `json:"hash"` // SHA-256 of the blob
	People int64         `json:"people"`
	Counts []guard.Count `json:"counts"`
	// Cases are what only merging found.
	Cases []people.Case `json:"cases,omitzero"`
}

// A Plan is the sealed head of a plan; its parts hold a people.Proposal a line.
type Plan struct {
	// ID is the hash of everything below and of all parts.
	ID         string       `json:"id"`
	Job        Job          `json:"job"`
	Correlated correlated   `json:"correlated"`
	Parts      []planPart   `json:"parts"`
	Holds      []guard.Hold `json:"holds,omitzero"`
	Catalogue  string       `json:"catalogue"`
}

// propose makes one part of the plan: it merges each candidate's evidence and
// writes what should change.
func propose(ctx context.Context, e *env, c correlated, part int) (planPart, error) {
	out := planPart{Part: part}
	list, err := e.readCandidates(ctx, part)
	if err != nil {
		return out, err
	}
	p := &proposer{e: e, payloads: make([]sinks.Blob, len(c.Payloads))}
	for i, name := range c.Payloads {
		if name.Name == "" {
			continue
		}
		if p.payloads[i], err = e.openPayload(ctx, name); err != nil {
			return out, err
		}
		defer p.payloads[i].Close()
	}
	batches := slices.Collect(slices.Chunk(list, batchSize))
	p.again = !c.Empty
	results := make([][]byte, len(batches))
	counts := make([][]guard.Count, len(batches))
	cases := make([][]people.Case, len(batches))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for i, batch := range batches {
		g.Go(func() (err error) {
			results[i], counts[i], cases[i], err = p.batch(gctx, batch)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	out.Cases = slices.Concat(cases...)
	all := bytes.Join(results, nil)
	out.Hash = fmt.Sprintf("%x", sha256.Sum256(all))
	for _, list := range counts {
		for _, n := range list {
			out.Counts = addCount(out.Counts, n)
		}
	}
	out.People = int64(bytes.Count(all, []byte{'\n'}))
	if err := snapshots.Write(ctx, e.work, e.planBlob(part), all); err != nil {
		return out, err
	}
	failpoint.Hit("plan.part")
	return out, nil
}

func (e *env) readCandidates(ctx context.Context, part int) (list []candidate, err error) {
	body, err := snapshots.Read(ctx, e.work, e.candidatesBlob(part))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(body) {
		var x candidate
		if err := json.Unmarshal(line, &x); err != nil {
			return nil, fmt.Errorf("sync: decode candidates: %w", err)
		}
		list = append(list, x)
	}
	return list, nil
}

func addCount(list []guard.Count, n guard.Count) []guard.Count {
	i := slices.IndexFunc(list, func(c guard.Count) bool { return c.Class == n.Class && c.Source == n.Source })
	if i < 0 {
		return append(list, n)
	}
	list[i].N += n.N
	return list
}

type proposer struct {
	e        *env
	payloads []sinks.Blob
	// again says that somebody new may have been there before, and was erased.
	// Nobody asks that of each person of a first load: the commit finds out.
	again bool
}

func (p *proposer) batch(ctx context.Context, batch []candidate) (out []byte, counts []guard.Count, cases []people.Case, err error) {
	var ids []people.ID
	for _, c := range batch {
		if !c.New {
			ids = append(ids, c.Person)
		}
	}
	stored := map[people.ID]sinks.Stored{}
	if len(ids) > 0 {
		list, err := p.e.store.People(ctx, ids)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("sync: read people: %w", err)
		}
		for _, s := range list {
			stored[s.ID] = s
		}
	}
	for _, c := range batch {
		s, found := stored[c.Person]
		if !found && !c.New {
			return nil, nil, nil, fmt.Errorf("sync: %s is in the snapshot and not in the vault", c.Person)
		}
		if c.New && p.again {
			if s, err = p.e.person(ctx, c.Person); err != nil {
				return nil, nil, nil, err
			}
		}
		prop, foreign, err := p.person(ctx, c, s)
		if err != nil {
			return nil, nil, nil, err
		}
		cases = append(cases, foreign...)
		if len(prop.Operations) == 0 && !prop.Noted && !prop.Reindex {
			continue
		}
		for _, o := range prop.Operations {
			counts = addCount(counts, guard.Count{Class: o.Class, Source: o.Source, N: 1})
		}
		out = append(prop.AppendJSON(out), '\n')
	}
	return out, counts, cases, nil
}

// The cases that only merging finds.
const (
	foreignSignature = "foreign_signature"
	noAuthority      = "no_authority"
)

// foreign takes out of an observation what was signed for somebody else: a
// record may carry another person's attributes and their uuid, so that only
// here, where it is known whose record it is, can the two be compared.
func foreign(o *people.Observation, id people.ID, now time.Time) (cases []people.Case) {
	o.Claims = slices.DeleteFunc(o.Claims, func(c people.Claim) bool {
		if c.Signed == nil {
			return false
		}
		who, path, bound := sign.Bound(*c.Signed)
		if !bound || who == id && path == c.Path {
			return false
		}
		cases = append(cases, people.Case{Kind: foreignSignature, Publisher: o.Publisher, Record: o.Record, People: []people.ID{id}, FirstSeen: now,
			Reason: string(c.Path) + " was signed for somebody else, or for another attribute; it was not taken", Resolve: "find out how it came into this record"})
		return true
	})
	return cases
}

// person merges one candidate.
func (p *proposer) person(ctx context.Context, c candidate, s sinks.Stored) (prop people.Proposal, cases []people.Case, err error) {
	e := p.e
	prop = people.Proposal{Person: c.Person, Base: s.Revision, Reindex: c.Reindex}
	in := merge.Input{ID: c.Person, Catalogue: e.cat, Now: e.Clock}
	if s.Profile != nil {
		if err = e.stored(&in, s); err != nil {
			return prop, nil, err
		}
	}
	for _, l := range c.Links {
		publisher := e.Sources[l.Source].Publisher
		if l.Lost {
			if withdraw(&in, publisher) {
				prop.Noted = true
			}
			continue
		}
		if l.First {
			in.First = append(in.First, publisher)
		}
		if l.Gone {
			prop.Noted = merge.GiveUp(&in.Evidence, publisher, e.Clock) || prop.Noted
			continue
		}
		if l.Length == 0 {
			return prop, nil, fmt.Errorf("sync: %s: a record of %s was not kept", c.Person, e.Sources[l.Source].Name)
		}
		from := l.Source
		if l.Recalled {
			from = len(e.Sources)
		}
		body, err := readPayload(p.payloads[from], l.Offset, l.Length)
		if err != nil {
			return prop, nil, err
		}
		o, err := people.ParseObservation(body)
		if err != nil {
			return prop, nil, fmt.Errorf("sync: decode an observation of %s: %w", e.Sources[l.Source].Name, err)
		}
		cases = append(cases, foreign(&o, c.Person, e.Clock)...)
		prop.Noted = merge.Fold(&in.Evidence, o) || prop.Noted
	}
	if c.New {
		if in.Username, err = e.username(&in.Evidence); err != nil {
			return prop, nil, fmt.Errorf("sync: %s: %w", c.Person, err)
		}
	}
	if in.Stored != nil && in.Stored.Value(people.Active).True() && merge.Authority(&in.Evidence) == "" {
		cases = append(cases, people.Case{Kind: noAuthority, Publisher: people.CIS, People: []people.ID{c.Person}, FirstSeen: e.Clock,
			Reason: "no source that may say whether the person is here has a record of them any more; they stay active", Resolve: "link a record of theirs (cis link)"})
	}
	err = e.merge(ctx, &prop, in)
	return prop, cases, err
}

// person reads a person. Of nobody the Profile is nil; of somebody erased the
// Revision says what a creation goes on from.
func (e *env) person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	s, err := e.store.Person(ctx, id)
	if errors.Is(err, sinks.ErrNotFound) {
		return sinks.Stored{ID: id, Revision: s.Revision}, nil
	}
	if err != nil {
		return s, fmt.Errorf("sync: read %s: %w", id, err)
	}
	return s, nil
}

// stored puts what is stored of a person into a merge's input.
func (e *env) stored(in *merge.Input, s sinks.Stored) (err error) {
	if in.Stored, err = unpackProfile(s.Profile); err != nil {
		return fmt.Errorf("sync: %s: %w", s.ID, err)
	}
	if in.Evidence, err = unpackEvidence(s.Observations); err != nil {
		return fmt.Errorf("sync: %s: %w", s.ID, err)
	}
	in.Protected = slices.Contains(e.Protected, in.Stored.Value(people.UserID).Text()) ||
		slices.ContainsFunc(in.Evidence.Former, func(id string) bool { return slices.Contains(e.Protected, id) })
	return nil
}

// username makes the first username of somebody new, from the user_id that
// LDAP gives them, else from that of whoever else gives one.
func (e *env) username(evidence *people.Evidence) (string, error) {
	userID := ""
	for _, p := range []people.Publisher{people.AccessProvider, people.LDAP} {
		if o := evidence.Find(p); o != nil {
			userID = cmp.Or(o.Key(people.ByUserID), userID)
		}
	}
	_, name, err := normalize.ID(e.salt, userID)
	return name, err
}

// withdraw takes the observation of a publisher out, whose record is no longer
// the person's.
func withdraw(in *merge.Input, p people.Publisher) bool {
	before := len(in.Evidence.Observations)
	in.Evidence.Observations = slices.DeleteFunc(in.Evidence.Observations, func(o people.Observation) bool { return o.Publisher == p })
	in.Withdrawn = append(in.Withdrawn, p)
	return len(in.Evidence.Observations) < before
}

// merge decides what a proposal proposes.
func (e *env) merge(ctx context.Context, prop *people.Proposal, in merge.Input) (err error) {
	if len(in.Withdrawn) > 0 {
		if in.Origin, err = e.origin(ctx, prop.Person); err != nil {
			return err
		}
	}
	decisions, marks := merge.Merge(in)
	prop.Operations = diff.Operations(decisions)
	prop.Evidence = in.Evidence
	prop.Evidence.Cleared = marks
	for _, d := range decisions {
		if d.Path == people.UserID && !d.Old.Value.IsNull() && !d.New.Value.Equal(d.Old.Value) {
			prop.Evidence.Former = former(prop.Evidence.Former, d.Old.Value.Text(), d.New.Value.Text())
			prop.Noted = true
		}
	}
	return nil
}

// origin says whose word each value of a person is, by their history.
func (e *env) origin(ctx context.Context, id people.ID) (map[people.Path]people.Publisher, error) {
	docs, err := e.store.History(ctx, id, 0)
	if err != nil {
		return nil, fmt.Errorf("sync: read history of %s: %w", id, err)
	}
	m := map[people.Path]people.Publisher{}
	for _, d := range docs {
		rev, err := UnpackRevision(d.Doc)
		if err != nil {
			return nil, fmt.Errorf("sync: %s: %w", id, err)
		}
		for _, o := range rev.Operations {
			for _, ch := range o.Changes {
				if from := cmp.Or(ch.Source, o.Source); !ch.Old.Value.Equal(ch.New.Value) && from != "" {
					m[ch.Path] = from
				}
			}
		}
	}
	return m, nil
}

// former adds an id that is given up, and takes out the one that is current again.
func former(list []string, old, now string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == old || s == now })
	return append(list, old)
}

func unpackProfile(packed []byte) (*people.Profile, error) {
	body, err := sinks.Unpack(packed)
	if err != nil {
		return nil, err
	}
	return people.ParseProfile(body)
}

func unpackEvidence(packed []byte) (e people.Evidence, err error) {
	if len(packed) == 0 {
		return e, nil
	}
	body, err := sinks.Unpack(packed)
	if err != nil {
		return e, err
	}
	if e, err = people.ParseEvidence(body); err != nil {
		return e, fmt.Errorf("evidence: %w", err)
	}
	return e, nil
}

// seal judges the whole plan and writes its head, last of all.
func seal(ctx context.Context, e *env, c correlated, parts []planPart) (Plan, error) {
	slices.SortFunc(parts, func(a, b planPart) int { return a.Part - b.Part })
	p := Plan{Job: e.Job, Correlated: c, Parts: parts, Catalogue: e.cat.Hash()}
	judged := guard.Plan{Active: c.Active, Empty: c.Empty, FirstLoad: e.FirstLoad}
	for _, part := range parts {
		for _, n := range part.Counts {
			judged.Counts = addCount(judged.Counts, n)
		}
	}
	for _, x := range c.Extracts {
		if !x.Certificate.Complete {
			judged.Incomplete = append(judged.Incomplete, x.Certificate.Source)
		}
	}
	p.Holds = guard.Judge(judged)
	body, err := encode(p)
	if err != nil {
		return p, fmt.Errorf("sync: seal: %w", err)
	}
	p.ID = fmt.Sprintf("%x", sha256.Sum256(body))
	if err := snapshots.WriteJSON(ctx, e.work, e.planManifest(), p); err != nil {
		return p, err
	}
	failpoint.Hit("plan.sealed")
	return p, nil
}

// Counts sums the operations of a plan by class and source, those a hold
// covers apart.
func (p *Plan) Counts() (through, held []guard.Count) {
	for _, part := range p.Parts {
		for _, n := range part.Counts {
			if p.holds(people.Operation{Class: n.Class, Source: n.Source}) {
				held = addCount(held, n)
			} else {
				through = addCount(through, n)
			}
		}
	}
	return through, held
}

func (p *Plan) holds(o people.Operation) bool {
	return slices.ContainsFunc(p.Holds, func(h guard.Hold) bool { return h.Covers(o) })
}

// EachProposal calls yield for every proposal of one part.
func (p *Plan) EachProposal(ctx context.Context, b sinks.Blobs, part int, yield func(people.Proposal) error) error {
	r, err := b.Open(ctx, p.Job.planBlob(part))
	if err != nil {
		return fmt.Errorf("sync: open plan: %w", err)
	}
	defer r.Close()
	lines := bufio.NewReaderSize(io.NewSectionReader(r, 0, r.Size()), 256<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				return fmt.Errorf("sync: part %d of the plan is cut short", part)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("sync: read plan: %w", err)
		}
		prop, err := people.ParseProposal(line)
		if err != nil {
			return fmt.Errorf("sync: decode plan: %w", err)
		}
		if err := yield(prop); err != nil {
			return err
		}
	}
}

// stamp is a time as run ids and file names have it.
func stamp(t time.Time) string {
	return strings.ToLower(t.UTC().Format("20060102t150405z"))
}
