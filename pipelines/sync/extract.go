package sync

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// An extracted refers to what was read of one source: three blobs below the
// run's folder, named after the source.
type extracted struct {
	Source      int                `json:"source"`
	Certificate people.Certificate `json:"certificate"`
}

func (j Job) recordsBlob(i int) string    { return j.dir() + "extract-" + j.Sources[i].Name + ".records" }
func (j Job) payloadBlob(i int) string    { return j.dir() + "extract-" + j.Sources[i].Name + ".jsonl" }
func (j Job) setAsideBlob(i int) string   { return j.dir() + "extract-" + j.Sources[i].Name + ".aside" }
func (j Job) nextRecords(i int) string    { return j.dir() + "next-" + j.Sources[i].Name + ".records" }
func (j Job) nextWaiting(i int) string    { return j.dir() + "next-" + j.Sources[i].Name + ".waiting" }
func (j Job) recalledBlob() string        { return j.dir() + "recalled.jsonl" }
func (j Job) candidatesBlob(n int) string { return fmt.Sprintf("%scandidates-%04d.jsonl", j.dir(), n) }

// aside is what an extract set aside.
type aside struct {
	Rejections []people.Rejection `json:"rejections"`
	Withheld   []snapshot.Short   `json:"withheld"` // sorted keys of whole records
	Emails     []snapshot.Short   `json:"emails"`   // of records whose id could not be read
}

// notAsked is the reason of a certificate of an idle source.
const notAsked = "not asked"

// extract reads one source. What it says of an unchanged record is dropped
// here; the others go to the payload blob.
func extract(ctx context.Context, e *env, i int) (extracted, error) {
	s := e.Sources[i]
	out := extracted{Source: i}
	if s.Idle {
		out.Certificate = people.Certificate{Source: s.Name, Publisher: s.Publisher, Expected: -1, Reason: notAsked, Started: e.Clock, Ended: e.Clock}
		return out, nil
	}
	known, err := e.begun(ctx)
	if err != nil {
		return out, err
	}
	world, err := e.world(ctx)
	if err != nil {
		return out, err
	}
	defer world.Close()
	world.Forget(known.Erased)
	prev, err := world.Records(ctx, s.Name)
	if err != nil {
		return out, err
	}
	payload, err := e.work.Create(ctx, e.payloadBlob(i))
	if err != nil {
		return out, err
	}
	defer payload.Close()
	src, err := e.source(ctx, i)
	if err != nil {
		out.Certificate = people.Certificate{Source: s.Name, Publisher: s.Publisher, Expected: -1, Reason: err.Error(), Started: e.Clock, Ended: e.Clock}
		return out, nil
	}
	defer src.Close()
	x := &extraction{e: e, source: s, prev: prev, payload: payload, ids: map[snapshot.Short]bool{}, shared: map[snapshot.Short]string{},
		moved: map[people.ID]bool{}, decisions: e.decisions(known.Links)}
	for _, id := range known.Moved {
		x.moved[id] = true
	}
	if base := world.Source(s.Name); base != nil {
		if x.waiting, err = e.blobs.Open(ctx, base.Waiting); err != nil {
			return out, fmt.Errorf("sync: open %s: %w", base.Waiting, err)
		}
		defer x.waiting.Close()
	}
	out.Certificate, err = src.Extract(ctx, x)
	if err != nil {
		return out, fmt.Errorf("sync: extract %s: %w", s.Name, err)
	}
	c := &out.Certificate
	c.Source, c.Publisher = s.Name, s.Publisher
	c.Started, c.Ended = e.Clock, e.Clock
	c.Rows, c.Rejected = x.rows+x.rejected, x.rejected
	if c.Complete && x.rows == 0 {
		c.Complete, c.Reason = false, "no rows"
	}
	x.finish()
	if err := x.flush(); err != nil {
		return out, err
	}
	if err := payload.Commit(); err != nil {
		return out, fmt.Errorf("sync: extract %s: %w", s.Name, err)
	}
	if err := snapshots.Write(ctx, e.work, e.recordsBlob(i), snapshot.NewRecords(x.seen).Encode()); err != nil {
		return out, err
	}
	if err := snapshots.WriteJSON(ctx, e.work, e.setAsideBlob(i), x.aside); err != nil {
		return out, err
	}
	failpoint.Hit("extract.done")
	return out, nil
}

// extraction is the connectors.Out of one source.
type extraction struct {
	e       *env
	source  Source
	prev    snapshot.Records
	payload sinks.BlobWriter
	waiting sinks.Blob // what the base kept of records that attach to nobody
	// Of whom is in moved, and of records that a human moves, everything is kept.
	moved     map[people.ID]bool
	decisions map[snapshot.Short]correlate.Decision

	rows, rejected int64
	seen           []snapshot.Record
	ids            map[snapshot.Short]bool   // every id so far
	shared         map[snapshot.Short]string // ids that occurred more than once
	aside          aside
	content        []byte
	out            bytes.Buffer
	offset         uint64
}

func (x *extraction) Observation(o people.Observation) error {
	x.rows++
	h := x.e.hash
	x.content = o.AppendContent(x.content[:0])
	r := snapshot.Record{
		Key:    h.Record(o.Publisher, o.Record),
		Hash:   h.Sum("record-content", x.content),
		Email:  h.Key(people.Key{Scheme: people.ByEmail, Value: o.Key(people.ByEmail)}),
		NotYet: o.Lifecycle == people.NotYet,
	}
	if x.ids[r.Key] {
		x.shared[r.Key] = o.Record
	}
	x.ids[r.Key] = true
	userID := o.Key(people.ByUserID)
	r.UserID = h.Key(people.Key{Scheme: people.ByUserID, Value: userID})
	if c, ok := o.Claim(people.GitHubID); ok {
		r.SaysGitHub = true
		if c.Value.Text() != "" && !c.Unverified {
			r.GitHub = h.Record(people.GitHub, c.Value.Text())
		}
	}
	old, known := x.prev.Find(r.Key)
	d, decided := x.decisions[r.Key]
	decided = decided && d.Apart == (d.Person == old.Person)
	if known && old.Hash == r.Hash && !old.Again && !old.Person.IsZero() && old.State != snapshot.Gone && !x.moved[old.Person] && !decided {
		// An account goes with the identity that names it, which may be another
		// person's today: then it is needed, unchanged as it is.
		if r.Spare = o.Publisher == people.GitHub; !r.Spare {
			x.seen = append(x.seen, r)
			return nil
		}
	}
	if correlate.Anchor(o.Publisher) && (!known || old.Person.IsZero()) {
		id, _, err := normalize.ID(x.e.salt, userID)
		if err != nil {
			return x.Rejection(people.Rejection{Record: o.Record, Place: o.Place, Stage: "extract", Reason: "no usable user_id"})
		}
		r.Person = id
	}
	before := x.out.Len()
	if known && old.Hash == r.Hash && old.Length > 0 { // it waits, and says what it said: so since then
		body, err := readPayload(x.waiting, old.Offset, old.Length)
		if err != nil {
			return err
		}
		x.out.Write(body)
	} else {
		o.SeenAt = x.e.Clock
		x.out.Write(append(o.AppendJSON(x.out.AvailableBuffer()), '\n'))
	}
	r.Offset, r.Length = x.offset, uint32(x.out.Len()-before)
	x.offset += uint64(r.Length)
	x.seen = append(x.seen, r)
	if x.out.Len() > 256<<10 {
		return x.flush()
	}
	return nil
}

func (x *extraction) Rejection(r people.Rejection) error {
	r.Source, r.Publisher = x.source.Name, x.source.Publisher
	if r.Stage == "" {
		r.Stage = "observe"
	}
	if r.Attribute == "" {
		x.rejected++
		if r.Record != "" {
			x.aside.Withheld = append(x.aside.Withheld, x.e.hash.Record(r.Publisher, r.Record))
		}
		for _, k := range r.Keys {
			if k.Scheme == people.ByEmail {
				x.aside.Emails = append(x.aside.Emails, x.e.hash.Key(k))
			}
		}
	}
	x.aside.Rejections = append(x.aside.Rejections, r)
	return nil
}

func (x *extraction) flush() error {
	_, err := x.out.WriteTo(x.payload)
	if err != nil {
		return fmt.Errorf("sync: spill %s: %w", x.source.Name, err)
	}
	return nil
}

// finish sorts what was seen. Records that share an id are all set aside:
// which of them is right is not ours to guess.
func (x *extraction) finish() {
	slices.SortFunc(x.seen, func(a, b snapshot.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	kept := x.seen[:0]
	for i := 0; i < len(x.seen); {
		n := i + 1
		for n < len(x.seen) && x.seen[n].Key == x.seen[i].Key {
			n++
		}
		if n == i+1 {
			kept = append(kept, x.seen[i])
		} else {
			x.rows -= int64(n - i)
			x.rejected += int64(n - i)
			x.aside.Withheld = append(x.aside.Withheld, x.seen[i].Key)
			x.aside.Rejections = append(x.aside.Rejections, people.Rejection{
				Source: x.source.Name, Publisher: x.source.Publisher, Stage: "extract",
				Record: x.shared[x.seen[i].Key], Reason: fmt.Sprintf("%d records have the same id; none was used", n-i),
			})
		}
		i = n
	}
	x.seen = kept
	slices.SortFunc(x.aside.Withheld, compareShort)
	x.aside.Withheld = slices.Compact(x.aside.Withheld)
	// A record that was set aside and also read (two rows, one of them bad) counts as set aside.
	x.seen = slices.DeleteFunc(x.seen, func(r snapshot.Record) bool {
		_, found := slices.BinarySearchFunc(x.aside.Withheld, r.Key, compareShort)
		return found
	})
	slices.SortStableFunc(x.aside.Rejections, func(a, b people.Rejection) int {
		return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Reason, b.Reason))
	})
}

func compareShort(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) }
