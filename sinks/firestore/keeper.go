package firestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// eraseChunk is how many documents of history one transaction deletes.
const eraseChunk = 200

// Erase leaves the tombstone first, in one transaction with all but the
// history, which may have any length. From then on nobody reads any of it.
func (s *Store) Erase(ctx context.Context, fence sinks.Fence, id people.ID, notify string) (sinks.Tombstone, error) {
	t, err := s.erase(ctx, fence, id, notify)
	if err != nil {
		return sinks.Tombstone{}, fmt.Errorf("firestore: erase %s: %w", id, err)
	}
	return t, nil
}

func (s *Store) erase(ctx context.Context, fence sinks.Fence, id people.ID, notify string) (sinks.Tombstone, error) {
	var p personDoc
	err := s.transact(ctx, 5, func(t *tx) (err error) {
		var docs []*firestore.DocumentSnapshot
		p, docs, err = t.fencedPerson(fence, id, s.subscribersRef())
		switch {
		case err != nil:
			return err
		case p.Revision == 0:
			return sinks.ErrNotFound
		case p.Erased:
			return nil
		}
		var subscribers subscribersDoc
		if notify != "" && docs[0].Exists() {
			if err := decode(docs[0], &subscribers); err != nil {
				return err
			}
		}
		rows, err := s.drain(t.Documents(s.build(rowsOf(id))))
		if err != nil {
			return err
		}
		claims, err := s.drain(t.Documents(s.build(claimsOf(id))))
		if err != nil {
			return err
		}
		return t.bury(id, &p, notify, subscribers.Names, rows, claims)
	})
	if err == nil && p.Erasing {
		err = s.eraseHistory(ctx, fence, id, &p)
	}
	return sinks.Tombstone{ID: id, Revision: p.Revision, ErasedAt: p.Moved.UTC()}, err
}

// rowsOf are the outbox rows of a person, of all subscribers that ever were.
func rowsOf(id people.ID) search {
	return search{Query: Query{Collection: rowsName, Group: true, Filters: []Filter{{"person", "==", id[:]}}}}
}

// bury writes the tombstone of p, which it makes of it, and takes out all but
// the history. Subscribers are told that whoever had the user_id notify is gone.
func (t *tx) bury(id people.ID, p *personDoc, notify string, subscribers []string, rows, claims []*firestore.DocumentSnapshot) error {
	s := t.s
	// Their document may not say all that there is: it is looked for.
	if err := t.remove(s.observationsRef(id)); err != nil {
		return err
	}
	for _, d := range claims {
		if err := t.remove(d.Ref); err != nil {
			return err
		}
	}
	told := map[string]bool{} // the collections that get a row
	if notify == "" {
		subscribers = nil
	}
	for _, name := range subscribers {
		told[s.rows(name).Path] = true
	}
	former := map[string][]string{} // by the subscriber's collection
	for _, d := range rows {
		var r rowDoc
		if err := decode(d, &r); err != nil {
			return err
		}
		ids := strings.Split(string(r.Former), "\n")
		if r.Operation == sinks.NotifyDelete { // of an erasure before they came back
			ids = append(ids, string(r.UserID))
		}
		at := d.Ref.Parent.Path
		for _, id := range ids {
			if id != "" && id != notify && !slices.Contains(former[at], id) {
				former[at] = append(former[at], id)
			}
		}
		if r.Operation == sinks.NotifyDelete && told[at] {
			continue // it is written over
		}
		if err := t.remove(d.Ref); err != nil {
			return err
		}
	}
	*p = personDoc{Revision: p.Revision + 1, Moved: s.clock(), Shard: p.Shard, Erased: true, Erasing: true}
	if err := t.set(s.personRef(id), p); err != nil {
		return err
	}
	for _, name := range subscribers {
		row := rowDoc{Person: id[:], Operation: sinks.NotifyDelete, UserID: []byte(notify), Revision: p.Revision, Former: []byte(strings.Join(former[s.rows(name).Path], "\n"))}
		if err := t.set(s.rowRef(name, id, sinks.NotifyDelete), &row); err != nil {
			return err
		}
	}
	return nil
}

// eraseHistory takes out the history part by part, and then says that all is gone.
func (s *Store) eraseHistory(ctx context.Context, fence sinks.Fence, id people.ID, p *personDoc) error {
	n := eraseChunk
	for done := false; !done; {
		q := s.build(search{Query: Query{Collection: historyName}, from: s.personRef(id).Collection(historyName), fields: []string{}, limit: n})
		err := s.transact(ctx, n, func(t *tx) error {
			now, _, err := t.fencedPerson(fence, id)
			if err != nil {
				return err
			}
			if done = !now.Erasing; done { // by another
				return nil
			}
			docs, err := s.drain(t.Documents(q))
			if err != nil {
				return err
			}
			for _, d := range docs {
				if err := t.remove(d.Ref); err != nil {
					return err
				}
			}
			if done = len(docs) < n; done {
				now.Erasing = false
				return t.set(s.personRef(id), &now)
			}
			return nil
		})
		if err != nil && errors.Is(err, errInvalid) && n > 1 {
			// What is deleted counts towards the 10 MiB of a transaction.
			n, done = max(1, n/4), false
			continue
		}
		if err != nil {
			return err
		}
	}
	p.Erasing = false
	return nil
}

// Tombstones lists those who were erased.
func (s *Store) Tombstones(ctx context.Context, after people.ID, limit int) ([]sinks.Tombstone, error) {
	var list []sinks.Tombstone
	if limit < 1 {
		return nil, nil
	}
	q := search{Query: Query{Collection: peopleName, Filters: []Filter{{"erased", "==", true}}}, limit: min(limit, chunk), after: afterID(after)}
	for {
		docs, err := s.page(ctx, q)
		for i := 0; err == nil && i < len(docs) && len(list) < limit; i++ {
			var h sinks.Head
			h, err = head(docs[i])
			list = append(list, sinks.Tombstone{ID: h.ID, Revision: h.Revision, ErasedAt: h.MovedAt})
		}
		if err != nil {
			return nil, fmt.Errorf("firestore: tombstones: %w", err)
		}
		if len(docs) < q.limit || len(list) == limit {
			return list, nil
		}
		q.after = []any{docs[len(docs)-1]}
	}
}

// Restore writes a transaction a tombstone, and many documents of history one.
func (s *Store) Restore(ctx context.Context, fence sinks.Fence, tombstones []sinks.Tombstone, histories []sinks.History) error {
	for _, stone := range tombstones {
		if err := s.restoreTombstone(ctx, fence, stone); err != nil {
			return fmt.Errorf("firestore: restore %s: %w", stone.ID, err)
		}
	}
	for _, h := range histories {
		for _, d := range h.Docs {
			if len(d.Doc) > sinks.MaxDocBytes {
				return fmt.Errorf("firestore: restore the history of %s: %d bytes: %w", h.ID, len(d.Doc), sinks.ErrTooLarge)
			}
		}
		for rest := h.Docs; ; {
			n, size := 0, 0
			for n < len(rest) && n < maxLoadWrites && size+len(rest[n].Doc) <= maxLoadBytes {
				size += len(rest[n].Doc)
				n++
			}
			if err := s.restoreHistory(ctx, fence, h.ID, rest[:n]); err != nil {
				return fmt.Errorf("firestore: restore the history of %s: %w", h.ID, err)
			}
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	return nil
}

func (s *Store) restoreTombstone(ctx context.Context, fence sinks.Fence, stone sinks.Tombstone) error {
	if stone.ID.IsZero() || stone.Revision < 1 {
		return errors.New("a tombstone of nobody")
	}
	return s.transact(ctx, 1, func(t *tx) error {
		p, _, err := t.fencedPerson(fence, stone.ID)
		switch {
		case err != nil:
			return err
		case p.Erased && p.Revision == stone.Revision:
			return nil
		case p.Revision != 0:
			return sinks.ErrConflict
		}
		return t.set(s.personRef(stone.ID), &personDoc{Revision: stone.Revision, Moved: stone.ErasedAt, Shard: shard(stone.ID), Erased: true})
	})
}

func (s *Store) restoreHistory(ctx context.Context, fence sinks.Fence, id people.ID, docs []sinks.HistoryDoc) error {
	return s.transact(ctx, len(docs), func(t *tx) error {
		p, _, err := t.fencedPerson(fence, id)
		if err != nil {
			return err
		}
		if !p.there() {
			return sinks.ErrConflict
		}
		for _, d := range docs {
			if d.Revision < 1 || d.Revision >= p.Revision {
				return sinks.ErrConflict
			}
			if err := t.set(s.historyRef(id, d.Revision), &historyDoc{Doc: d.Doc}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Mend takes and gives up what differs. Claims that lead to the person without
// being named in their document are found by a query.
func (s *Store) Mend(ctx context.Context, fence sinks.Fence, id people.ID, revision int64, keys sinks.Keys) error {
	var err error
	if revision == 0 {
		err = s.sweep(ctx, fence, id)
	} else if err = keys.Validate(); err == nil {
		err = s.mend(ctx, fence, id, revision, &keys)
	}
	if err != nil {
		return fmt.Errorf("firestore: mend %s: %w", id, err)
	}
	return nil
}

func claimsOf(id people.ID) search {
	return search{Query: Query{Collection: claimsName, Filters: []Filter{{"person", "==", id[:]}}}}
}

func (s *Store) mend(ctx context.Context, fence sinks.Fence, id people.ID, revision int64, keys *sinks.Keys) error {
	wanted := claimNames(slices.Concat(keys.Unique, keys.Records))
	return s.transact(ctx, 1+len(wanted), func(t *tx) error {
		p, docs, err := t.fencedPerson(fence, id, s.appendClaims(nil, wanted)...)
		if err != nil {
			return err
		}
		if !p.there() || p.Revision != revision {
			return sinks.ErrConflict
		}
		var missing []string // claims
		for i, d := range docs {
			mine, err := t.rightly(d, id, wanted[i])
			if err != nil {
				return err
			}
			if !mine {
				missing = append(missing, wanted[i])
			}
		}
		held, err := s.drain(t.Documents(s.build(claimsOf(id))))
		if err != nil {
			return err
		}
		gone := slices.DeleteFunc(held, func(d *firestore.DocumentSnapshot) bool { return slices.Contains(wanted, d.Ref.ID) })
		p.setKeys(keys)
		if err := t.set(s.personRef(id), &p); err != nil {
			return err
		}
		return t.putClaims(id, keys, without(wanted, missing), gone)
	})
}

// rightly reports whether the claim is the person's; ErrTaken if it is that of
// somebody who is there and whose document names it.
func (t *tx) rightly(d *firestore.DocumentSnapshot, id people.ID, name string) (bool, error) {
	if !d.Exists() {
		return false, nil
	}
	var c claimDoc
	if err := decode(d, &c); err != nil {
		return false, nil
	}
	holder, err := personID(c.Person)
	if err != nil || holder == id {
		return holder == id, nil
	}
	docs, err := t.all([]*firestore.DocumentRef{t.s.personRef(holder)})
	if err != nil {
		return false, err
	}
	p, err := person(docs[0])
	if err != nil || p.there() && (slices.Contains(p.Unique, name) || slices.Contains(p.Records, name)) {
		return false, sinks.ErrTaken // if it cannot be read, for all that is known
	}
	return false, nil
}

// sweep drops what leads to nobody.
func (s *Store) sweep(ctx context.Context, fence sinks.Fence, id people.ID) error {
	history := search{Query: Query{Collection: historyName}, from: s.personRef(id).Collection(historyName), fields: []string{}, limit: eraseChunk}
	for done := false; !done; {
		err := s.transact(ctx, 1, func(t *tx) error {
			p, docs, err := t.fencedPerson(fence, id, s.observationsRef(id))
			if err != nil {
				return err
			}
			if p.there() {
				return sinks.ErrConflict
			}
			var refs []*firestore.DocumentRef
			if docs[0].Exists() {
				refs = append(refs, docs[0].Ref)
			}
			for _, q := range []search{claimsOf(id), history, rowsOf(id)} {
				found, err := s.drain(t.Documents(s.build(q)))
				if err != nil {
					return err
				}
				for _, d := range found {
					r, err := row("", d)
					if q.Collection == rowsName && p.Erased && err == nil && r.Operation == sinks.NotifyDelete {
						continue // they are still to be told
					}
					refs = append(refs, d.Ref)
				}
				if q.Collection == historyName {
					done = len(found) < eraseChunk
				}
			}
			for _, ref := range refs {
				if err := t.remove(ref); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Audit reads the collections one after the other. It keeps 33 bytes of each
// claim and 32 of each person in memory.
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

// unpacks reports whether documents can be unpacked.
func unpacks(docs ...[]byte) error {
	for _, d := range docs {
		if len(d) == 0 {
			continue
		}
		if _, err := sinks.Unpack(d); err != nil {
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
	return a.pages(ctx, q, func(docs []*firestore.DocumentSnapshot) error {
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
			p, there, err := stored(d, seen[i])
			if err == nil && there {
				err = unpacks(p.Profile, p.Observations)
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
	return a.pages(ctx, search{Query: Query{Collection: claimsName}, limit: headsChunk}, func(docs []*firestore.DocumentSnapshot) error {
		for _, d := range docs {
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
				continue
			case a.revisions[id] <= 0:
				kind = sinks.FaultOrphan
			}
			if err := a.yield(sinks.Fault{ID: id, Kind: kind, Scheme: people.Scheme(c.Scheme)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// observations looks for those of nobody.
func (a *audit) observations(ctx context.Context) error {
	return a.pages(ctx, search{Query: Query{Collection: observationsName}, fields: []string{}, limit: headsChunk}, func(docs []*firestore.DocumentSnapshot) error {
		for _, d := range docs {
			id, err := people.ParseID(d.Ref.ID)
			kind := sinks.FaultOrphan
			if err != nil {
				kind = sinks.FaultDamaged
			} else if a.revisions[id] > 0 {
				continue
			}
			if err := a.yield(sinks.Fault{ID: id, Kind: kind}); err != nil {
				return err
			}
		}
		return nil
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
	err := a.pages(ctx, q, func(docs []*firestore.DocumentSnapshot) error {
		for _, d := range docs {
			id, err := people.ParseID(d.Ref.Parent.Parent.ID)
			revision, badly := strconv.ParseInt(d.Ref.ID, 10, 64)
			if err != nil || badly != nil {
				if err := a.yield(sinks.Fault{ID: id, Kind: sinks.FaultDamaged}); err != nil {
					return err
				}
				continue
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
			kind := sinks.FaultKind("")
			switch r := a.revisions[id]; {
			case r <= 0:
				kind = sinks.FaultOrphan
			case revision > r, decode(d, &h) != nil, unpacks(h.Doc) != nil: // nobody has written so far
				kind = sinks.FaultDamaged
			}
			if kind != "" {
				if err := a.yield(sinks.Fault{ID: id, Kind: kind, Revision: revision}); err != nil {
					return err
				}
			}
		}
		return nil
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

// outbox looks for rows of people who never were there.
func (a *audit) outbox(ctx context.Context) error {
	return a.pages(ctx, search{Query: Query{Collection: rowsName, Group: true}, limit: headsChunk}, func(docs []*firestore.DocumentSnapshot) error {
		for _, d := range docs {
			r, err := row("", d)
			kind := sinks.FaultOrphan
			if err != nil {
				kind = sinks.FaultDamaged
			} else if at := a.revisions[r.ID]; at > 0 || at < 0 && r.Operation == sinks.NotifyDelete {
				continue
			}
			if err := a.yield(sinks.Fault{ID: r.ID, Kind: kind}); err != nil {
				return err
			}
		}
		return nil
	})
}

// pages yields whole pages.
func (a *audit) pages(ctx context.Context, q search, yield func([]*firestore.DocumentSnapshot) error) error {
	for {
		docs, err := a.s.page(ctx, q)
		if err != nil {
			return err
		}
		if err := yield(docs); err != nil {
			return err
		}
		if len(docs) < q.limit {
			return nil
		}
		q.after = []any{docs[len(docs)-1]}
	}
}
