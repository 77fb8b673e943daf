package firestore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Audit reads the collections one after the other. It keeps some 32 bytes of
// each claim and as many of each person in memory.
func (s *Store) Audit(ctx context.Context, want func(sinks.Stored) (sinks.Keys, error), yield func(sinks.Fault) error) error {
	var stopped error // by want or yield
	a := audit{s: s, claims: map[[16]byte]people.ID{}, revisions: map[people.ID]int64{}, damaged: map[people.ID]bool{}}
	a.want = func(p sinks.Stored) (k sinks.Keys, err error) {
		k, stopped = want(p)
		return k, stopped
	}
	a.yield = func(f sinks.Fault) error {
		stopped = yield(f)
		return stopped
	}
	err := a.run(ctx)
	if err != nil && stopped == nil {
		return fmt.Errorf("firestore: audit: %w", err)
	}
	return err
}

type audit struct {
	s     *Store
	want  func(sinks.Stored) (sinks.Keys, error)
	yield func(sinks.Fault) error
	// claims are those that people should have, by the beginning of a hash of
	// their names.
	claims map[[16]byte]people.ID
	// revisions are those of the people who are there, and -1 of the erased.
	revisions map[people.ID]int64
	// damaged are those of whom nobody knows what should lead to them.
	damaged map[people.ID]bool
}

func (a *audit) run(ctx context.Context) error {
	for _, f := range []func(context.Context) error{a.people, a.strayClaims, a.observations, a.history, a.outbox} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

func claimKey(name string) (k [16]byte) {
	copy(k[:], name)
	return k
}

// people compares each person's document, and the claims that they should have.
func (a *audit) people(ctx context.Context) error {
	q := search{Query: Query{Collection: peopleName}, limit: chunk}
	return a.s.pages(ctx, q, func(docs []*firestore.DocumentSnapshot) error {
		var refs []*firestore.DocumentRef
		for _, d := range docs {
			refs = append(refs, a.s.collection(observationsName).Doc(d.Ref.ID))
		}
		seen, err := a.s.all(ctx, refs)
		if err != nil {
			return err
		}
		var all []wanted
		for i, d := range docs {
			id, err := people.ParseID(d.Ref.ID)
			if err != nil {
				id = people.ID{}
			}
			p, there, err := together(d, seen[i])
			if err == nil && there && (!sinks.IsPacked(p.Profile) || p.Observations != nil && !sinks.IsPacked(p.Observations)) {
				err = errDamaged
			}
			doc, _ := person(d)
			a.revisions[id] = -1
			if err != nil {
				a.revisions[id], a.damaged[id] = doc.Revision, true
				if err := a.yield(sinks.Fault{ID: id, Kind: sinks.FaultDamaged}); err != nil {
					return err
				}
				continue
			}
			if !there {
				continue
			}
			a.revisions[id] = p.Revision
			keys, err := a.want(p)
			if err != nil {
				return err
			}
			if err := a.compare(id, &doc, &keys); err != nil {
				return err
			}
			named := map[string]bool{}
			for _, n := range append(slices.Clone(doc.Unique), doc.Records...) {
				named[n] = true
			}
			for _, k := range slices.Concat(keys.Unique, keys.Records) {
				n := claimName(k)
				all = append(all, wanted{id: id, scheme: k.Scheme, name: n, named: named[n] && (k.Scheme != people.ByUserID || bytes.Equal(doc.Login, []byte(k.Value)))})
				delete(named, n)
			}
			for n := range named {
				all = append(all, wanted{id: id, name: n, extra: true})
			}
		}
		return a.wantedClaims(ctx, all)
	})
}

// A wanted claim is one that a person should have, or that their document alone
// names (extra).
type wanted struct {
	id           people.ID
	scheme       people.Scheme
	name         string
	named, extra bool
}

func (a *audit) wantedClaims(ctx context.Context, all []wanted) error {
	for part := range slices.Chunk(all, chunk) {
		var refs []*firestore.DocumentRef
		for _, w := range part {
			refs = append(refs, a.s.claimRef(w.name))
		}
		docs, err := a.s.all(ctx, refs)
		if err != nil {
			return err
		}
		for i, d := range docs {
			kind, err := a.claim(ctx, part[i], d)
			if err != nil {
				return err
			}
			if kind == "" {
				continue
			}
			if err := a.yield(sinks.Fault{ID: part[i].id, Kind: kind, Scheme: part[i].scheme}); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim says what is wrong with one, "" if nothing is.
func (a *audit) claim(ctx context.Context, w wanted, d *firestore.DocumentSnapshot) (sinks.FaultKind, error) {
	var c claimDoc
	mine := d.Exists() && decode(d, &c) == nil && bytes.Equal(c.Person, w.id[:])
	if w.extra {
		if mine {
			return "", nil // strayClaims finds it
		}
		return sinks.FaultExtra, nil
	}
	a.claims[claimKey(w.name)] = w.id
	if mine && w.named {
		return "", nil
	}
	if holder, err := personID(c.Person); err == nil && !mine {
		found, err := a.s.all(ctx, []*firestore.DocumentRef{a.s.personRef(holder)})
		if err != nil {
			return "", err
		}
		if p, err := person(found[0]); err != nil || p.there() && slices.Contains(append(p.Unique, p.Records...), w.name) {
			return sinks.FaultTaken, nil
		}
	}
	return sinks.FaultMissing, nil
}

// compare looks at what the person's own document says, but for claims.
func (a *audit) compare(id people.ID, p *personDoc, k *sinks.Keys) error {
	report := func(kind sinks.FaultKind, scheme people.Scheme) error {
		return a.yield(sinks.Fault{ID: id, Kind: kind, Scheme: scheme})
	}
	if p.Active == nil || *p.Active != k.Active {
		if err := report(sinks.FaultMissing, people.Scheme(people.Active)); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		has  [][]byte
		keys []people.Key
	}{{p.Lookups, k.Lookups}, {p.Facts, k.Facts}} {
		has := make(map[string]bool, len(list.has))
		for _, h := range list.has {
			has[string(h)] = true
		}
		for _, k := range list.keys {
			h := sinks.KeyHash(k)
			if was, ok := has[string(h[:])]; !ok {
				if err := report(sinks.FaultMissing, k.Scheme); err != nil {
					return err
				}
			} else if was {
				has[string(h[:])] = false
			}
		}
		for _, h := range list.has {
			if has[string(h)] {
				if err := report(sinks.FaultExtra, ""); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// strayClaims looks for claims that nobody should have.
func (a *audit) strayClaims(ctx context.Context) error {
	return a.s.each(ctx, search{Query: Query{Collection: claimsName}, limit: headsChunk}, func(d *firestore.DocumentSnapshot) error {
		var c claimDoc
		id := people.ID{}
		err := decode(d, &c)
		if err == nil {
			id, err = personID(c.Person)
		}
		kind := sinks.FaultExtra
		switch {
		case err != nil:
			kind = sinks.FaultDamaged
		case a.claims[claimKey(d.Ref.ID)] == id, a.damaged[id]:
			return nil
		case a.revisions[id] <= 0:
			kind = sinks.FaultOrphan
		}
		return a.yield(sinks.Fault{ID: id, Kind: kind, Scheme: people.Scheme(c.Scheme)})
	})
}

// observations looks for those of nobody.
func (a *audit) observations(ctx context.Context) error {
	return a.s.each(ctx, search{Query: Query{Collection: observationsName}, fields: []string{}, limit: headsChunk}, func(d *firestore.DocumentSnapshot) error {
		id, err := people.ParseID(d.Ref.ID)
		kind := sinks.FaultOrphan
		if err != nil {
			kind = sinks.FaultDamaged
		} else if a.revisions[id] > 0 {
			return nil
		}
		return a.yield(sinks.Fault{ID: id, Kind: kind})
	})
}

// history demands of each person every revision from the first that there is.
func (a *audit) history(ctx context.Context) error {
	var at people.ID
	var last int64
	gaps := func(until int64) error {
		for r := last + 1; r < until; r++ {
			if err := a.yield(sinks.Fault{ID: at, Kind: sinks.FaultHistory, Revision: r}); err != nil {
				return err
			}
		}
		return nil
	}
	ended := map[people.ID]bool{}
	end := func() error {
		ended[at] = true
		if r := a.revisions[at]; r > 0 {
			return gaps(r + 1)
		}
		return nil
	}
	q := search{Query: Query{Collection: historyName, Group: true}, limit: chunk}
	err := a.s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
		id, err := people.ParseID(d.Ref.Parent.Parent.ID)
		revision, badly := strconv.ParseInt(d.Ref.ID, 10, 64)
		if err != nil || badly != nil {
			return a.yield(sinks.Fault{ID: id, Kind: sinks.FaultDamaged})
		}
		if id != at {
			if !at.IsZero() {
				if err := end(); err != nil {
					return err
				}
			}
			at, last = id, revision-1
		}
		if err := gaps(revision); err != nil {
			return err
		}
		last = revision
		var h historyDoc
		var kind sinks.FaultKind
		switch r := a.revisions[id]; {
		case r <= 0:
			kind = sinks.FaultOrphan
		case revision > r, decode(d, &h) != nil, !sinks.IsPacked(h.Doc): // or later than the profile
			kind = sinks.FaultDamaged
		default:
			return nil
		}
		return a.yield(sinks.Fault{ID: id, Kind: kind, Revision: revision})
	})
	if err == nil && !at.IsZero() {
		err = end()
	}
	if err != nil {
		return err
	}
	for id, r := range a.revisions {
		if r > 0 && !ended[id] {
			if err := a.yield(sinks.Fault{ID: id, Kind: sinks.FaultHistory, Revision: r}); err != nil {
				return err
			}
		}
	}
	return nil
}

// outbox looks for rows of nobody, but for those that tell of an erasure.
func (a *audit) outbox(ctx context.Context) error {
	return a.s.each(ctx, search{Query: Query{Collection: rowsName, Group: true}, limit: headsChunk}, func(d *firestore.DocumentSnapshot) error {
		r, err := row("", d)
		kind := sinks.FaultOrphan
		if err != nil {
			kind = sinks.FaultDamaged
		} else if at := a.revisions[r.ID]; at > 0 || at < 0 && r.Operation == sinks.NotifyDelete {
			return nil
		}
		return a.yield(sinks.Fault{ID: r.ID, Kind: kind})
	})
}
