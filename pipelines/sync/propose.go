package sync

import (
	"bufio"
	"bytes"
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
	body, err := snapshots.Read(ctx, e.work, e.candidatesBlob(part))
	if err != nil {
		return out, err
	}
	var list []candidate
	for line := range bytes.Lines(body) {
		var x candidate
		if err := json.Unmarshal(line, &x); err != nil {
			return out, fmt.Errorf("sync: decode candidates: %w", err)
		}
		list = append(list, x)
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
	results := make([][]byte, len(batches))
	counts := make([][]guard.Count, len(batches))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for i, batch := range batches {
		g.Go(func() (err error) {
			results[i], counts[i], err = p.batch(gctx, batch)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
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
}

func (p *proposer) batch(ctx context.Context, batch []candidate) ([]byte, []guard.Count, error) {
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
			return nil, nil, fmt.Errorf("sync: read people: %w", err)
		}
		for _, s := range list {
			stored[s.ID] = s
		}
	}
	var out []byte
	var counts []guard.Count
	for _, c := range batch {
		s, found := stored[c.Person]
		if !found && !c.New {
			return nil, nil, fmt.Errorf("sync: %s is in the snapshot and not in the vault", c.Person)
		}
		prop, err := p.person(c, s)
		if err != nil {
			return nil, nil, err
		}
		if len(prop.Operations) == 0 && !prop.Noted && !prop.Reindex {
			continue
		}
		for _, o := range prop.Operations {
			counts = addCount(counts, guard.Count{Class: o.Class, Source: o.Source, N: 1})
		}
		out = append(prop.AppendJSON(out), '\n')
	}
	return out, counts, nil
}

// person merges one candidate.
func (p *proposer) person(c candidate, s sinks.Stored) (people.Proposal, error) {
	e := p.e
	prop := people.Proposal{Person: c.Person, Base: s.Revision, Reindex: c.Reindex}
	in := merge.Input{ID: c.Person, Catalogue: e.cat, Now: e.Clock}
	var err error
	if s.Revision > 0 {
		if in.Stored, err = unpackProfile(s.Profile); err != nil {
			return prop, fmt.Errorf("sync: %s: %w", c.Person, err)
		}
		if in.Evidence, err = unpackEvidence(s.Observations); err != nil {
			return prop, fmt.Errorf("sync: %s: %w", c.Person, err)
		}
		in.Protected = slices.Contains(e.Protected, in.Stored.Value(people.UserID).Text()) ||
			slices.ContainsFunc(in.Evidence.Former, func(id string) bool { return slices.Contains(e.Protected, id) })
	}
	for _, l := range c.Links {
		publisher := e.Sources[l.Source].Publisher
		if l.First {
			in.First = append(in.First, publisher)
		}
		if l.Gone {
			prop.Noted = merge.GiveUp(&in.Evidence, publisher, e.Clock) || prop.Noted
			continue
		}
		if l.Length == 0 {
			return prop, fmt.Errorf("sync: %s: a record of %s was not kept", c.Person, e.Sources[l.Source].Name)
		}
		body, err := readPayload(p.payloads[l.Source], l.Offset, l.Length)
		if err != nil {
			return prop, err
		}
		o, err := people.ParseObservation(body)
		if err != nil {
			return prop, fmt.Errorf("sync: decode an observation of %s: %w", e.Sources[l.Source].Name, err)
		}
		prop.Noted = merge.Fold(&in.Evidence, o) || prop.Noted
	}
	if c.New {
		userID := ""
		for i := range in.Evidence.Observations {
			if u := in.Evidence.Observations[i].Key(people.ByUserID); u != "" {
				userID = u
				break
			}
		}
		if _, in.Username, err = normalize.ID(e.salt, userID); err != nil {
			return prop, fmt.Errorf("sync: %s: %w", c.Person, err)
		}
	}
	decisions, marks := merge.Merge(in)
	prop.Operations = diff.Operations(decisions)
	prop.Evidence = in.Evidence
	prop.Evidence.Cleared = marks
	for _, d := range decisions {
		if d.Path == people.UserID && !d.Old.Value.IsNull() {
			prop.Evidence.Former = former(prop.Evidence.Former, d.Old.Value.Text(), d.New.Value.Text())
			prop.Noted = true
		}
	}
	return prop, nil
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
