package sync

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// partSize is how many candidates one part of a plan has, unless the job says
// otherwise.
const partSize = 1000

// A candidate is one line of a candidates blob.
type candidate struct {
	Person people.ID `json:"person"`
	New    bool      `json:"new,omitzero"`
	// Reindex says that the vault is ahead of the snapshot's row.
	Reindex bool   `json:"reindex,omitzero"`
	Links   []link `json:"links,omitzero"`
}

type link struct {
	Source int    `json:"source"`
	Offset uint64 `json:"offset,omitzero"`
	Length uint32 `json:"length,omitzero"`
	Gone   bool   `json:"gone,omitzero"`
	First  bool   `json:"first,omitzero"`
	Lost   bool   `json:"lost,omitzero"`
	// Recalled says that the observation is in the last of the payloads.
	Recalled bool `json:"recalled,omitzero"`
}

// correlated is what the correlate step leaves for the others.
type correlated struct {
	Extracts  []extracted     `json:"extracts"`
	Parts     int             `json:"parts"`
	VaultTime time.Time       `json:"vault_time"`
	Empty     bool            `json:"empty,omitzero"` // nobody is in the vault
	Active    int64           `json:"active"`
	Lists     snapshots.Lists `json:"lists"`
	// Payloads are the blobs that links of each source point into; the last one
	// has the observations that were recalled.
	Payloads []payload `json:"payloads"`
}

type payload struct {
	Name string `json:"name"`
	Base bool   `json:"base,omitzero"` // it is in the base snapshot, not in the run's work
}

// correlateAll decides who belongs to whom and writes the candidates in parts.
func correlateAll(ctx context.Context, e *env, extracts []extracted) (correlated, error) {
	slices.SortFunc(extracts, func(a, b extracted) int { return a.Source - b.Source })
	out := correlated{Extracts: extracts, Payloads: make([]payload, len(e.Sources)+1)}
	world, err := e.world(ctx)
	if err != nil {
		return out, err
	}
	defer world.Close()
	known, err := e.begun(ctx)
	if err != nil {
		return out, err
	}
	world.Forget(known.Erased)
	out.Active = world.Rows.Active()
	if world.Rows.Len() == 0 { // which the vault's ledger leads to: so is it, unless somebody else has written
		anybody, err := e.store.List(ctx, people.ID{}, 1)
		if err != nil {
			return out, fmt.Errorf("sync: look whether the vault is empty: %w", err)
		}
		out.Empty = len(anybody) == 0
	}
	base, err := world.Lists(ctx)
	if err != nil {
		return out, err
	}
	out.VaultTime = known.VaultTime
	moved := map[people.ID]bool{}
	for _, id := range known.Moved {
		moved[id] = true
	}

	c := &correlation{e: e, world: world, payloads: out.Payloads, open: make([]sinks.Blob, len(e.Sources)), names: map[snapshot.Short]string{}, recalled: map[snapshot.Short]link{}}
	for _, k := range base.Cases {
		c.names[e.hash.Record(k.Publisher, k.Record)] = k.Record
	}
	defer c.close()
	w := correlate.World{Now: e.Clock, Rows: world.Rows, Holders: map[snapshot.Short]correlate.Holder{}, Waits: map[snapshot.Short]bool{}, Decisions: e.decisions(known.Links), Name: c.name, Recall: c.recall}
	for _, x := range extracts {
		s, set, err := c.load(ctx, x)
		if err != nil {
			return out, err
		}
		w.Sources = append(w.Sources, s)
		if !x.Certificate.Complete { // what it set aside last time is still set aside
			for _, r := range base.Rejections {
				if r.Source == s.Name {
					out.Lists.Rejections = append(out.Lists.Rejections, r)
				}
			}
			for _, k := range base.Cases {
				if k.Publisher == s.Publisher && correlate.Anchor(s.Publisher) {
					out.Lists.Cases = append(out.Lists.Cases, k)
				}
			}
			continue
		}
		for _, k := range base.Cases { // a record that was a case and is set aside now is still one
			if _, withheld := slices.BinarySearchFunc(set.Withheld, e.hash.Record(k.Publisher, k.Record), compareShort); withheld && k.Publisher == s.Publisher && correlate.Anchor(s.Publisher) {
				out.Lists.Cases = append(out.Lists.Cases, k)
			}
		}
		out.Lists.Rejections = append(out.Lists.Rejections, set.Rejections...)
	}
	inVault := map[people.ID]bool{}
	if !out.Empty {
		if err := c.holders(ctx, w, base.Cases, inVault); err != nil {
			return out, err
		}
	}
	w.Known = func(id people.ID) bool {
		_, ok := world.Rows.Find(id)
		return ok || inVault[id]
	}
	res := correlate.Run(w)
	if c.err != nil {
		return out, c.err
	}
	out.Lists.Cases = append(out.Lists.Cases, res.Cases...)
	out.Lists.Upcoming = res.Upcoming
	order(&out.Lists)
	date(&out.Lists, base, e.Clock)
	for i := range e.Sources {
		if err := c.keep(ctx, i, res.Tables[i]); err != nil {
			return out, err
		}
	}
	if c.memory.Len() > 0 {
		out.Payloads[len(e.Sources)] = payload{Name: e.recalledBlob()}
		if err := snapshots.Write(ctx, e.work, e.recalledBlob(), c.memory.Bytes()); err != nil {
			return out, err
		}
	}
	list, err := e.candidates(world, res.Candidates, moved, c.recalled)
	if err != nil {
		return out, err
	}
	out.Parts, err = e.writeCandidates(ctx, list)
	failpoint.Hit("correlate.done")
	return out, err
}

type correlation struct {
	e        *env
	world    *snapshots.World
	payloads []payload
	open     []sinks.Blob
	names    map[snapshot.Short]string // the records of earlier cases
	recalled map[snapshot.Short]link   // where in memory they are
	memory   bytes.Buffer
	err      error
}

func (c *correlation) close() {
	for _, b := range c.open {
		if b != nil {
			b.Close()
		}
	}
}

// load makes a source's part of the world from its extract and the base.
func (c *correlation) load(ctx context.Context, x extracted) (correlate.Source, aside, error) {
	i := x.Source
	src := c.e.Sources[i]
	s := correlate.Source{Name: src.Name, Publisher: src.Publisher, Complete: x.Certificate.Complete,
		Policy: correlate.Policy{Confirm: time.Duration(src.Confirm) * time.Second, Grace: time.Duration(src.Grace) * time.Second}}
	var set aside
	var err error
	if s.Prev, err = c.world.Records(ctx, src.Name); err != nil {
		return s, set, err
	}
	if !s.Complete {
		if base := c.world.Source(src.Name); base != nil {
			c.payloads[i] = payload{Name: base.Waiting, Base: true}
		}
		return s, set, nil
	}
	c.payloads[i] = payload{Name: c.e.payloadBlob(i)}
	body, err := snapshots.Read(ctx, c.e.work, c.e.recordsBlob(i))
	if err != nil {
		return s, set, err
	}
	t, err := snapshot.ParseRecords(body)
	if err != nil {
		return s, set, err
	}
	s.Seen = make([]snapshot.Record, t.Len())
	for k := range s.Seen {
		s.Seen[k] = t.At(k)
	}
	if err := snapshots.ReadJSON(ctx, c.e.work, c.e.setAsideBlob(i), &set); err != nil {
		return s, set, err
	}
	s.Withheld, s.WithheldEmails = set.Withheld, set.Emails
	return s, set, nil
}

// holders asks the vault who has or had the user ids of new records, and
// whether the people they would make are there. Records of the people directory
// that have waited before are not asked for again: who has their user_id now is
// in the tables, and who had it is in the cases of the base.
//
// While LDAP is not read, new logins of its connection wait: they may be those of
// people whom it has renamed.
func (c *correlation) holders(ctx context.Context, w correlate.World, cases []people.Case, inVault map[people.ID]bool) error {
	for _, k := range cases {
		if k.Publisher == people.Directory && k.Record != "" && (k.Kind == "second_login" || k.Kind == "unattached") && len(k.People) == 1 {
			w.Holders[c.e.hash.Record(k.Publisher, k.Record)] = correlate.Holder{Person: k.People[0], Former: true}
		}
	}
	connection := ""
	if slices.ContainsFunc(w.Sources, func(s correlate.Source) bool { return s.Publisher == people.LDAP && !s.Complete }) {
		var err error
		if connection, err = c.e.connection(ctx, c.world); err != nil {
			return err
		}
	}
	for i, s := range w.Sources {
		if !correlate.Anchor(s.Publisher) && s.Publisher != people.Directory {
			continue
		}
		var fresh []snapshot.Record
		for _, r := range s.Seen {
			old, known := s.Prev.Find(r.Key)
			if r.Length > 0 && old.Person.IsZero() && (!r.Person.IsZero() || !known || old.Hash != r.Hash) {
				fresh = append(fresh, r)
			}
		}
		for batch := range slices.Chunk(fresh, 100) {
			var keys []people.Key
			var ids []people.ID
			for _, r := range batch {
				o, err := c.observation(ctx, i, r)
				if err != nil {
					return err
				}
				userID := o.Key(people.ByUserID)
				if connection != "" && s.Publisher == people.AccessProvider && strings.HasPrefix(userID, connection) {
					w.Waits[r.Key] = true
				}
				keys = append(keys, people.Key{Scheme: people.ByUserID, Value: userID}, people.Key{Scheme: people.ByFormerID, Value: userID})
				if !r.Person.IsZero() {
					ids = append(ids, r.Person)
				}
			}
			found, err := c.e.store.Lookup(ctx, keys)
			if err != nil {
				return fmt.Errorf("sync: look up user ids: %w", err)
			}
			for k, r := range batch {
				now, formerly := found[2*k], found[2*k+1]
				for _, id := range slices.Concat(now, formerly) {
					inVault[id] = true
				}
				if len(now) > 0 {
					w.Holders[r.Key] = correlate.Holder{Person: now[0]}
				} else if len(formerly) == 1 {
					w.Holders[r.Key] = correlate.Holder{Person: formerly[0], Former: true}
				}
			}
			there, err := c.e.store.People(ctx, ids)
			if err != nil {
				return fmt.Errorf("sync: look up people: %w", err)
			}
			for _, p := range there {
				inVault[p.ID] = true
			}
		}
	}
	// A human may link a record to somebody whom no snapshot has yet.
	var ids []people.ID
	for _, d := range w.Decisions {
		if _, known := w.Rows.Find(d.Person); !known && !d.Apart {
			ids = append(ids, d.Person)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	there, err := c.e.store.People(ctx, ids)
	if err != nil {
		return fmt.Errorf("sync: look up people: %w", err)
	}
	for _, p := range there {
		inVault[p.ID] = true
	}
	return nil
}

// connection is that by which LDAP's people come in: what their user ids begin
// with. It is "" if LDAP has nobody.
func (e *env) connection(ctx context.Context, w *snapshots.World) (string, error) {
	for _, src := range e.Sources {
		if src.Publisher != people.LDAP {
			continue
		}
		t, err := w.Records(ctx, src.Name)
		if err != nil {
			return "", err
		}
		for k := range t.Len() {
			r := t.At(k)
			if r.Person.IsZero() {
				continue
			}
			s, err := e.store.Person(ctx, r.Person)
			if errors.Is(err, sinks.ErrNotFound) {
				continue
			}
			if err != nil {
				return "", fmt.Errorf("sync: read %s: %w", r.Person, err)
			}
			evidence, err := unpackEvidence(s.Observations)
			if err != nil {
				return "", fmt.Errorf("sync: %s: %w", r.Person, err)
			}
			if o := evidence.Find(people.LDAP); o != nil {
				userID := o.Key(people.ByUserID)
				return userID[:strings.LastIndexByte(userID, '|')+1], nil
			}
		}
	}
	return "", nil
}

// observation reads the payload of a record; its Length is not 0.
func (c *correlation) observation(ctx context.Context, i int, r snapshot.Record) (o people.Observation, err error) {
	b, err := c.payload(ctx, i, r)
	if err != nil {
		return o, err
	}
	if o, err = people.ParseObservation(b); err != nil {
		return o, fmt.Errorf("sync: decode an observation of %s: %w", c.e.Sources[i].Name, err)
	}
	return o, nil
}

func (c *correlation) payload(ctx context.Context, i int, r snapshot.Record) ([]byte, error) {
	if c.open[i] == nil {
		b, err := c.e.openPayload(ctx, c.payloads[i])
		if err != nil {
			return nil, err
		}
		c.open[i] = b
	}
	return readPayload(c.open[i], r.Offset, r.Length)
}

func (e *env) openPayload(ctx context.Context, p payload) (sinks.Blob, error) {
	from := e.work
	if p.Base {
		from = e.blobs
	}
	b, err := from.Open(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("sync: open %s: %w", p.Name, err)
	}
	return b, nil
}

func readPayload(b sinks.Blob, offset uint64, length uint32) ([]byte, error) {
	body := make([]byte, length)
	if n, err := b.ReadAt(body, int64(offset)); err != nil && !(errors.Is(err, io.EOF) && n == len(body)) {
		return nil, fmt.Errorf("sync: read a record: %w", err)
	}
	return body, nil
}

// name gives the record id of a case.
func (c *correlation) name(i int, r snapshot.Record) string {
	if name := c.names[r.Key]; name != "" {
		return name
	}
	if r.Length == 0 && !r.Person.IsZero() {
		if o := c.stands(i, r.Person); o != nil {
			return o.Record
		}
	}
	if r.Length == 0 {
		return fmt.Sprintf("key %x", r.Key[:6])
	}
	o, err := c.observation(context.Background(), i, r)
	if err != nil {
		c.err = err
	}
	return o.Record
}

// stands returns the observation of a source that a person's profile stands
// on, nil if there is none.
func (c *correlation) stands(i int, who people.ID) *people.Observation {
	s, err := c.e.store.Person(context.Background(), who)
	var evidence people.Evidence
	if err == nil {
		evidence, err = unpackEvidence(s.Observations)
	}
	if err != nil && !errors.Is(err, sinks.ErrNotFound) {
		c.err = err
	}
	return evidence.Find(c.e.Sources[i].Publisher)
}

// recall finds what a record says that was not read in the evidence of whoever
// had it. It must be what the record said when it was last read.
func (c *correlation) recall(i int, r snapshot.Record, from people.ID) bool {
	o := c.stands(i, from)
	if o == nil || o.Lifecycle == people.Gone || c.e.hash.Record(o.Publisher, o.Record) != r.Key || c.e.hash.Sum("record-content", o.AppendContent(nil)) != r.Hash {
		return false
	}
	offset := c.memory.Len()
	c.memory.Write(append(o.AppendJSON(nil), '\n'))
	c.recalled[r.Key] = link{Offset: uint64(offset), Length: uint32(c.memory.Len() - offset)}
	return true
}

// keep writes a source's next table, and the observations in it that attach
// to nobody, to which its records point from now on.
func (c *correlation) keep(ctx context.Context, i int, t snapshot.Records) error {
	w, err := c.e.work.Create(ctx, c.e.nextWaiting(i))
	if err != nil {
		return err
	}
	defer w.Close()
	var offset uint64
	next := make([]snapshot.Record, t.Len())
	for k := range next {
		r := t.At(k)
		if r.Person.IsZero() && r.Length > 0 {
			body, err := c.payload(ctx, i, r)
			if err != nil {
				return err
			}
			if _, err := w.Write(body); err != nil {
				return fmt.Errorf("sync: keep %s: %w", c.e.Sources[i].Name, err)
			}
			r.Offset = offset
			offset += uint64(r.Length)
		} else {
			r.Offset, r.Length = 0, 0
		}
		next[k] = r
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("sync: keep %s: %w", c.e.Sources[i].Name, err)
	}
	return snapshots.Write(ctx, c.e.work, c.e.nextRecords(i), snapshot.NewRecords(next).Encode())
}

// order sorts the lists as people read them: by kind, and by when it acts.
func order(l *snapshots.Lists) {
	slices.SortStableFunc(l.Cases, func(a, b people.Case) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Publisher, b.Publisher), cmp.Compare(a.Record, b.Record))
	})
	slices.SortStableFunc(l.Upcoming, func(a, b correlate.Upcoming) int {
		due := func(u correlate.Upcoming) int64 { // what is not confirmed comes last
			if u.Due.IsZero() {
				return math.MaxInt64
			}
			return u.Due.Unix()
		}
		return cmp.Or(cmp.Compare(due(a), due(b)), a.Since.Compare(b.Since), cmp.Compare(a.Source, b.Source), bytes.Compare(a.Person[:], b.Person[:]))
	})
}

// date gives every case and rejection the time it was first seen.
func date(l *snapshots.Lists, base snapshots.Lists, now time.Time) {
	first := map[string]time.Time{}
	for _, r := range base.Rejections {
		first[rejectionKey(r)] = r.FirstSeen
	}
	for _, k := range base.Cases {
		first[caseKey(k)] = k.FirstSeen
	}
	for i := range l.Rejections {
		r := &l.Rejections[i]
		if r.FirstSeen = first[rejectionKey(*r)]; r.FirstSeen.IsZero() {
			r.FirstSeen = now
		}
	}
	for i := range l.Cases {
		k := &l.Cases[i]
		if k.FirstSeen = first[caseKey(*k)]; k.FirstSeen.IsZero() {
			k.FirstSeen = now
		}
	}
}

func rejectionKey(r people.Rejection) string {
	place := ""
	if r.Record == "" {
		place = r.Place
	}
	return fmt.Sprintf("r\x00%s\x00%s\x00%s\x00%s\x00%s", r.Source, r.Record, place, r.Attribute, r.Reason)
}

// caseKey leaves the reason out: a record is undecided since it first was,
// though the reason may change. A case without a record is of a person.
func caseKey(k people.Case) string {
	if k.Record == "" {
		return fmt.Sprintf("c\x00%s\x00%s\x00%s", k.Kind, k.Publisher, k.People)
	}
	return fmt.Sprintf("c\x00%s\x00%s\x00%s", k.Kind, k.Publisher, k.Record)
}

// candidates joins those whom a record concerns with those who moved, and
// with everybody when the catalogue is another one.
func (e *env) candidates(w *snapshots.World, touched []correlate.Candidate, moved map[people.ID]bool, recalled map[snapshot.Short]link) ([]candidate, error) {
	list := make([]candidate, 0, len(touched)+len(moved))
	have := map[people.ID]bool{}
	for _, t := range touched {
		c := candidate{Person: t.Person, New: t.New, Reindex: moved[t.Person]}
		for _, l := range t.Links {
			at := link{Offset: l.Record.Offset, Length: l.Record.Length}
			if l.First && at.Length == 0 {
				at = recalled[l.Record.Key]
				at.Recalled = true
			}
			at.Source, at.Gone, at.First, at.Lost = l.Source, l.Gone, l.First, l.Lost
			c.Links = append(c.Links, at)
		}
		have[t.Person] = true
		list = append(list, c)
	}
	add := func(id people.ID) {
		if !have[id] {
			have[id] = true
			list = append(list, candidate{Person: id, Reindex: moved[id]})
		}
	}
	for id := range moved {
		add(id)
	}
	if w.Manifest.Run != "" && w.Manifest.Catalogue != e.cat.Hash() {
		for i := range w.Rows.Len() {
			add(w.Rows.At(i).ID)
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	return list, nil
}

func (e *env) writeCandidates(ctx context.Context, list []candidate) (parts int, err error) {
	for chunk := range slices.Chunk(list, cmp.Or(e.PartSize, partSize)) {
		var b bytes.Buffer
		for i := range chunk {
			if err := json.MarshalWrite(&b, &chunk[i]); err != nil {
				return 0, fmt.Errorf("sync: candidates: %w", err)
			}
			b.WriteByte('\n')
		}
		if err := snapshots.Write(ctx, e.work, e.candidatesBlob(parts), b.Bytes()); err != nil {
			return 0, err
		}
		parts++
	}
	return parts, nil
}
