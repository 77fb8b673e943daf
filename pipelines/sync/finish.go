package sync

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// Bodies that no row points to any more are dropped when they are a fifth of
// all, or when the segments get many.
const (
	compactPercent  = 20
	compactSegments = 64
)

// finished is the outcome of a plan's application.
type finished struct {
	Counts     []guard.Count `json:"counts"`
	Held       []guard.Count `json:"held"`
	Moved      []guard.Count `json:"moved"`
	Signatures int64         `json:"signatures"`
	Writes     int64         `json:"writes"`
	Cases      int64         `json:"cases"`
	Upcoming   int64         `json:"upcoming"`
	People     int64         `json:"people"`
	Active     int64         `json:"active"`
	Root       string        `json:"root"`
}

// finish writes the next snapshot from the base and what every part left.
func finish(ctx context.Context, e *env, p *Plan, parts []applied) (finished, error) {
	var out finished
	slices.SortFunc(parts, func(a, b applied) int { return a.Part - b.Part })
	if slices.ContainsFunc(parts, func(a applied) bool { return len(a.Taken) > 0 }) {
		late, err := applyLate(ctx, e, p, parts)
		if err != nil {
			return out, err
		}
		parts = append(parts, late)
	}
	world, err := e.world(ctx)
	if err != nil {
		return out, err
	}
	defer world.Close()
	next := snapshots.Manifest{Form: snapshots.Form, Run: e.Run, Base: e.Base, Clock: e.Clock, VaultTime: p.Correlated.VaultTime,
		Catalogue: p.Catalogue, Segments: slices.Clone(world.Manifest.Segments), People: world.Manifest.People}
	known, err := e.begun(ctx)
	if err != nil {
		return out, err
	}
	erased := known.Erased
	for _, a := range parts {
		erased = append(erased, a.Erased...)
	}
	forgotten := world.Forget(erased) // whoever came back is somebody new
	for _, r := range forgotten {
		next.Segments[r.Segment].Live -= int64(r.Length)
	}
	base, err := world.Lists(ctx)
	if err != nil {
		return out, err
	}
	lists, err := p.lists(ctx, e, base, erased)
	if err != nil {
		return out, err
	}
	var rows []snapshot.Row
	kept := map[people.ID]bool{}
	for _, a := range parts {
		body, err := snapshots.Read(ctx, e.work, e.rowsBlob(a.Part))
		if err != nil {
			return out, err
		}
		t, err := snapshot.ParseRows(body)
		if err != nil {
			return out, err
		}
		for i := range t.Len() {
			r := t.At(i)
			r.Segment = uint32(len(next.Segments))
			rows = append(rows, r)
			if old, ok := world.Rows.Find(r.ID); ok {
				next.Segments[old.Segment].Live -= int64(old.Length)
			}
		}
		if a.Segment != "" {
			next.Segments = append(next.Segments, snapshots.Segment{Name: a.Segment, Size: a.Bytes, Live: a.Bytes})
		}
		for _, id := range a.Kept {
			kept[id] = true
		}
		lists.Cases = append(lists.Cases, a.Cases...)
		for _, c := range a.Counts {
			out.Counts = addCount(out.Counts, c)
		}
		for _, c := range a.Held {
			out.Held = addCount(out.Held, c)
		}
		for _, c := range a.Moved {
			out.Moved = addCount(out.Moved, c)
		}
		out.Signatures += a.Signatures
		out.Writes += a.Writes
	}
	slices.SortFunc(rows, func(a, b snapshot.Row) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	table := world.Rows.Patch(rows)
	if table, err = compact(ctx, e, &next, table, rows); err != nil {
		return out, err
	}
	if len(rows)+len(forgotten) > 0 || next.People == "" {
		next.People = e.snapshotFile("people")
		if err := snapshots.Write(ctx, e.blobs, next.People, table.Encode()); err != nil {
			return out, err
		}
	}
	for i, s := range e.Sources {
		src, waiting, err := finishSource(ctx, e, world, p, i, s, kept)
		if err != nil {
			return out, err
		}
		next.Sources = append(next.Sources, src)
		lists.Upcoming = append(lists.Upcoming, waiting...)
	}
	order(&lists)
	date(&lists, base, e.Clock) // of cases that only the application found
	out.Cases, out.Upcoming = int64(len(lists.Cases)), int64(len(lists.Upcoming))
	next.Lists = e.snapshotFile("lists.json")
	if err := snapshots.WriteJSON(ctx, e.blobs, next.Lists, lists); err != nil {
		return out, err
	}
	failpoint.Hit("snapshot.tables")
	next.Count, next.Active, next.Root = int64(table.Len()), table.Active(), fmt.Sprintf("%x", table.Root())
	if err := snapshots.WriteJSON(ctx, e.blobs, e.snapshotFile("manifest.json"), next); err != nil {
		return out, err
	}
	out.People, out.Active, out.Root = next.Count, next.Active, next.Root
	failpoint.Hit("snapshot.manifest")
	return out, nil
}

// lists are what correlation and merging found. What merging found in an
// earlier run about somebody whom this one did not look at stands, but for those
// who were erased.
func (p *Plan) lists(ctx context.Context, e *env, base snapshots.Lists, erased []people.ID) (snapshots.Lists, error) {
	lists := p.Correlated.Lists
	for _, part := range p.Parts {
		lists.Cases = append(lists.Cases, part.Cases...)
	}
	stands := slices.DeleteFunc(slices.Clone(base.Cases), func(k people.Case) bool {
		return k.Kind != foreignSignature && k.Kind != noAuthority || slices.Contains(erased, k.People[0])
	})
	if len(stands) == 0 {
		return lists, nil
	}
	for _, part := range p.Parts {
		list, err := e.readCandidates(ctx, part.Part)
		if err != nil {
			return lists, err
		}
		for _, c := range list {
			stands = slices.DeleteFunc(stands, func(k people.Case) bool { return k.People[0] == c.Person })
		}
	}
	lists.Cases = append(lists.Cases, stands...)
	return lists, nil
}

// finishSource writes a source's next tables, or names those of the base if
// nothing in them changed. It returns whose absence has come due and is held.
func finishSource(ctx context.Context, e *env, world *snapshots.World, p *Plan, i int, s Source, kept map[people.ID]bool) (snapshots.Source, []correlate.Upcoming, error) {
	var held []correlate.Upcoming
	out := snapshots.Source{Name: s.Name, Publisher: s.Publisher, Certificate: p.Correlated.Extracts[i].Certificate}
	base := world.Source(s.Name)
	if !out.Certificate.Complete && base != nil {
		out.Certificate = base.Certificate
	}
	prev, err := world.Records(ctx, s.Name)
	if err != nil {
		return out, nil, err
	}
	body, err := snapshots.Read(ctx, e.work, e.nextRecords(i))
	if err != nil {
		return out, nil, err
	}
	next, err := snapshot.ParseRecords(body)
	if err != nil {
		return out, nil, err
	}
	if len(kept) > 0 {
		var list []snapshot.Record
		for k := range next.Len() {
			r := next.At(k)
			if kept[r.Person] {
				old, ok := prev.Find(r.Key)
				if !ok {
					continue // seen for the first time, and again the next time
				}
				if old.Person != r.Person && !kept[old.Person] {
					old.Person = people.ID{} // whoever had it has given it up
					old.State, old.Since, old.Due = snapshot.Present, 0, 0
				}
				if old.Person.IsZero() {
					old.Offset, old.Length = 0, 0 // its observation is read anew
				}
				if old.State == snapshot.Missing && r.State == snapshot.Gone {
					held = append(held, correlate.Upcoming{Person: old.Person, Source: s.Name, Since: time.Unix(old.Since, 0).UTC(), Due: time.Unix(old.Due, 0).UTC()})
				}
				r = old
				r.Again = true
			}
			list = append(list, r)
		}
		next = snapshot.NewRecords(list)
		body = next.Encode()
	}
	waiting, err := snapshots.Read(ctx, e.work, e.nextWaiting(i))
	if err != nil {
		return out, nil, err
	}
	var table []byte // as it is in the base, with those who were erased since
	if base != nil {
		if table, err = snapshots.Read(ctx, e.blobs, base.Records); err != nil {
			return out, nil, err
		}
	}
	if base != nil && bytes.Equal(table, body) {
		was, err := snapshots.Read(ctx, e.blobs, base.Waiting)
		if err != nil {
			return out, nil, err
		}
		if bytes.Equal(was, waiting) {
			out.Records, out.Waiting = base.Records, base.Waiting
			return out, held, nil
		}
	}
	out.Records, out.Waiting = e.snapshotFile("records-"+s.Name), e.snapshotFile("waiting-"+s.Name)
	if err := snapshots.Write(ctx, e.blobs, out.Records, body); err != nil {
		return out, nil, err
	}
	return out, held, snapshots.Write(ctx, e.blobs, out.Waiting, waiting)
}

// compact rewrites all bodies into one segment when enough of them are dead.
func compact(ctx context.Context, e *env, next *snapshots.Manifest, t snapshot.Rows, changed []snapshot.Row) (snapshot.Rows, error) {
	var size, live int64
	for _, s := range next.Segments {
		size, live = size+s.Size, live+s.Live
	}
	if len(changed) == 0 || (size-live)*100 <= size*compactPercent && len(next.Segments) <= compactSegments {
		return t, nil
	}
	// A view of the new manifest reads old and new segments alike.
	view := snapshots.View(e.blobs, *next)
	defer view.Close()
	name := e.snapshotFile("body-all")
	w, err := e.blobs.Create(ctx, name)
	if err != nil {
		return t, err
	}
	defer w.Close()
	rows := make([]snapshot.Row, t.Len())
	var offset uint64
	for i := range rows {
		r := t.At(i)
		body, err := view.Packed(ctx, r)
		if err != nil {
			return t, err
		}
		if _, err := w.Write(body); err != nil {
			return t, fmt.Errorf("sync: compact: %w", err)
		}
		r.Segment, r.Offset = 0, offset
		offset += uint64(len(body))
		rows[i] = r
	}
	if err := w.Commit(); err != nil {
		return t, fmt.Errorf("sync: compact: %w", err)
	}
	next.Segments = []snapshots.Segment{{Name: name, Size: int64(offset), Live: int64(offset)}}
	return snapshot.NewRows(rows), nil
}
