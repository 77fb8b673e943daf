package firestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		err = s.eraseHistory(ctx, fence, id)
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
func (s *Store) eraseHistory(ctx context.Context, fence sinks.Fence, id people.ID) error {
	return inParts(func(n int) (done bool, err error) {
		err = s.transact(ctx, n, func(t *tx) error {
			p, _, err := t.fencedPerson(fence, id)
			if err != nil {
				return err
			}
			if done = !p.Erasing; done { // by another
				return nil
			}
			docs, err := s.drain(t.Documents(s.build(historyOf(id, s, n))))
			if err != nil {
				return err
			}
			for _, d := range docs {
				if err := t.remove(d.Ref); err != nil {
					return err
				}
			}
			if done = len(docs) < n; done {
				p.Erasing = false
				return t.set(s.personRef(id), &p)
			}
			return nil
		})
		return done, err
	})
}

// historyOf are the names of up to n documents of a person's history.
func historyOf(id people.ID, s *Store, n int) search {
	return search{Query: Query{Collection: historyName}, from: s.personRef(id).Collection(historyName), fields: []string{}, limit: n}
}

// inParts calls f until it is done with deleting n documents at a time; with
// fewer if so many are refused, since what is deleted counts towards the 10 MiB
// of a transaction.
func inParts(f func(n int) (done bool, err error)) error {
	for n := eraseChunk; ; {
		switch done, err := f(n); {
		case errors.Is(err, errInvalid) && n > 1:
			n = max(1, n/4)
		case done || err != nil:
			return err
		}
	}
}

// Tombstones lists those who were erased.
func (s *Store) Tombstones(ctx context.Context, after people.ID, limit int) ([]sinks.Tombstone, error) {
	q := search{Query: Query{Collection: peopleName, Filters: []Filter{{"erased", "==", true}}}, after: afterID(after)}
	stones, err := first(ctx, s, q, limit, func(d *firestore.DocumentSnapshot) (sinks.Tombstone, error) {
		h, err := head(d)
		return sinks.Tombstone{ID: h.ID, Revision: h.Revision, ErasedAt: h.MovedAt}, err
	})
	if err != nil {
		return nil, fmt.Errorf("firestore: tombstones: %w", err)
	}
	return stones, nil
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
		var has []string // of the claims
		for i, d := range docs {
			mine, err := t.rightly(d, id, wanted[i])
			if err != nil {
				return err
			}
			if mine {
				has = append(has, wanted[i])
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
		return t.putClaims(id, keys, has, gone)
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

// sweep drops what leads to nobody, or hangs from them. Outbox rows of an erasure
// stay: they are still to be told.
func (s *Store) sweep(ctx context.Context, fence sinks.Fence, id people.ID) error {
	return inParts(func(n int) (done bool, err error) {
		err = s.transact(ctx, n, func(t *tx) error {
			p, docs, err := t.fencedPerson(fence, id, s.observationsRef(id))
			if err != nil {
				return err
			}
			if p.there() {
				return sinks.ErrConflict
			}
			docs = slices.DeleteFunc(docs, func(d *firestore.DocumentSnapshot) bool { return !d.Exists() })
			history, err := s.drain(t.Documents(s.build(historyOf(id, s, n))))
			if err != nil {
				return err
			}
			claims, err := s.drain(t.Documents(s.build(claimsOf(id))))
			if err != nil {
				return err
			}
			rows, err := s.drain(t.Documents(s.build(rowsOf(id))))
			if err != nil {
				return err
			}
			rows = slices.DeleteFunc(rows, func(d *firestore.DocumentSnapshot) bool {
				r, err := row("", d)
				return err == nil && p.Erased && r.Operation == sinks.NotifyDelete
			})
			done = len(history) < n
			for _, d := range slices.Concat(docs, history, claims, rows) {
				if err := t.remove(d.Ref); err != nil {
					return err
				}
			}
			return nil
		})
		return done, err
	})
}
