package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Commit writes the batch in as many transactions as the lock's sharing
// demands. A person's conditions are all checked before the first write, so
// one who is refused leaves the others of the transaction alone.
func (s *Store) Commit(ctx context.Context, fence sinks.Fence, commits []sinks.Commit) ([]error, error) {
	results := make([]error, 0, len(commits))
	for len(results) < len(commits) {
		done := len(results)
		err := s.writes.do(ctx, func(t tx) error {
			b, err := s.batch(t, fence)
			if err != nil {
				return err
			}
			for begun := time.Now(); len(results) < len(commits) && time.Since(begun) < slice; {
				c := &commits[len(results)]
				refused, err := b.commit(ctx, c)
				if err != nil {
					return fmt.Errorf("%s: %w", c.ID, err)
				}
				if refused != nil {
					refused = fmt.Errorf("sqlite: commit %s: %w", c.ID, refused)
				}
				results = append(results, refused)
			}
			return nil
		})
		if err != nil {
			return results[:done], fmt.Errorf("sqlite: commit: %w", err)
		}
	}
	return results, nil
}

// Load is one part of everybody.
func (s *Store) Load(ctx context.Context, fence sinks.Fence, commits []sinks.Commit) error {
	return s.LoadPart(ctx, fence, people.ID{}, sinks.LastID(), commits)
}

// LoadPart writes people in the order of their ids, which makes listing them
// fast. A transaction at a time; one that is refused ends the load.
func (s *Store) LoadPart(ctx context.Context, fence sinks.Fence, after, last people.ID, commits []sinks.Commit) error {
	order := make([]*sinks.Commit, len(commits))
	for i := range commits {
		order[i] = &commits[i]
	}
	slices.SortFunc(order, func(a, b *sinks.Commit) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for i, c := range order {
		err := c.ValidateLoad(after, last)
		if err == nil && i > 0 && order[i-1].ID == c.ID {
			err = sinks.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("sqlite: load %s: %w", c.ID, err)
		}
	}
	for first := true; first || len(order) > 0; first = false {
		n := 0
		err := s.writes.do(ctx, func(t tx) error {
			b, err := s.batch(t, fence)
			if err != nil {
				return err
			}
			if first {
				if err := b.onlyThese(after, last, order); err != nil {
					return err
				}
			}
			for begun := time.Now(); n < len(order) && time.Since(begun) < slice; n++ {
				c := order[n]
				refused, err := b.load(ctx, c)
				if err = errors.Join(refused, err); err != nil {
					return fmt.Errorf("%s: %w", c.ID, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlite: load: %w", err)
		}
		order = order[n:]
	}
	return nil
}

// A batch is a transaction with what every commit in it needs.
type batch struct {
	tx
	movedAt     int64
	subscribers []string
}

// batch checks the fence and reads the subscribers.
func (s *Store) batch(t tx, fence sinks.Fence) (batch, error) {
	b := batch{tx: t, movedAt: s.now().UnixMicro()}
	if fence != (sinks.Fence{}) {
		if held, err := t.row(`SELECT 1 FROM lease WHERE name = ? AND token = ?`, []any{fence.Lease, fence.Token}, []any{new(int)}); err != nil {
			return b, err
		} else if !held {
			return b, sinks.ErrFenced
		}
	}
	err := t.rows(`SELECT name FROM subscriber`, nil, func(scan scanner) error {
		var name string
		err := scan(&name)
		b.subscribers = append(b.subscribers, name)
		return err
	})
	return b, err
}

// commit writes one person. It returns why the person was refused, and then
// has written nothing; err is a fault of the store.
func (b batch) commit(ctx context.Context, c *sinks.Commit) (refused, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return err, nil
	}
	revision, there, err := b.revision(c.ID)
	if err != nil {
		return nil, err
	}
	if revision != c.Expect {
		return sinks.ErrConflict, nil
	}
	if c.Revision != c.Expect {
		return b.put(c, there, revision > 0 && !there, b.subscribers)
	}
	if !there {
		return sinks.ErrConflict, nil // observations of somebody erased
	}
	if taken, err := b.taken(c.ID, c.Records); taken || err != nil {
		return refusal(taken), err
	}
	if err := b.giveUp(c.ID, true, c.Records); err != nil {
		return nil, err
	}
	if err := b.claim(c.ID, c.Records); err != nil {
		return nil, err
	}
	added, err := b.replaceLookups(c.ID, c.Lookups)
	if err != nil {
		return nil, err
	}
	if err := b.lookup(c.ID, added); err != nil {
		return nil, err
	}
	return nil, b.exec(`UPDATE person SET moved_at = ?, observations = ? WHERE id = ?`, b.movedAt, optional(c.Observations), c.ID[:])
}

// load writes one person of a load.
func (b batch) load(ctx context.Context, c *sinks.Commit) (refused, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	revision, there, err := b.revision(c.ID)
	if err != nil {
		return nil, err
	}
	erased := revision > 0 && !there
	// A copy from before the erasure does not bring anybody back.
	if there && revision > c.Revision || erased && revision >= c.Revision {
		return sinks.ErrConflict, nil
	}
	return b.put(c, there, erased, nil)
}

// put writes all of a person whose revision has been checked; there says that
// there is one, and erased that there is a tombstone.
func (b batch) put(c *sinks.Commit, there, erased bool, subscribers []string) (refused, err error) {
	claims := slices.Concat(c.Unique, c.Records)
	if taken, err := b.taken(c.ID, claims); taken || err != nil {
		return refusal(taken), err
	}
	id := c.ID[:]
	lookups := c.Lookups
	if there {
		if err := b.giveUp(c.ID, false, claims); err != nil {
			return nil, err
		}
		if lookups, err = b.replaceLookups(c.ID, c.Lookups); err != nil {
			return nil, err
		}
		err = b.exec(`UPDATE person SET revision = ?, moved_at = ?, profile = ?, observations = ? WHERE id = ?`,
			c.Revision, b.movedAt, c.Profile, optional(c.Observations), id)
	} else {
		if erased {
			if err := b.exec(`DELETE FROM tombstone WHERE id = ?`, id); err != nil {
				return nil, err
			}
		}
		err = b.exec(`INSERT INTO person (id, revision, moved_at, profile, observations) VALUES (?, ?, ?, ?, ?)`,
			id, c.Revision, b.movedAt, c.Profile, optional(c.Observations))
	}
	if err != nil {
		return nil, err
	}
	if err := b.claim(c.ID, claims); err != nil {
		return nil, err
	}
	if err := b.lookup(c.ID, lookups); err != nil {
		return nil, err
	}
	if err := b.facts(c.ID, &c.Keys); err != nil {
		return nil, err
	}
	// Only a load that is repeated has the revision already.
	if err := b.exec(`INSERT OR REPLACE INTO history VALUES (?, ?, ?)`, id, c.Revision, c.History); err != nil {
		return nil, err
	}
	if c.Notify == "" {
		return nil, nil
	}
	for _, name := range subscribers {
		err := b.exec(`INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET user_id = excluded.user_id, revision = excluded.revision,
			former = trim(former || char(10) || excluded.former, char(10))`,
			name, id, c.Notify, c.NotifyID, c.NotifyFormer, c.Revision)
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// revision returns the stored revision, or of somebody erased the tombstone's;
// 0 if nobody has been there.
func (b batch) revision(id people.ID) (revision int64, there bool, err error) {
	_, err = b.row(`SELECT revision, 1 FROM person WHERE id = ?1 UNION ALL SELECT revision, 0 FROM tombstone WHERE id = ?1`, []any{id[:]}, []any{&revision, &there})
	return revision, there, err
}

// lookup adds lookups.
func (b batch) lookup(id people.ID, keys []people.Key) error {
	for _, k := range keys {
		if err := b.exec(`INSERT OR IGNORE INTO lookup VALUES (?, ?, ?)`, string(k.Scheme), k.Value, id[:]); err != nil {
			return err
		}
	}
	return nil
}

// facts writes what a person is searched by, if it has changed.
func (b batch) facts(id people.ID, k *sinks.Keys) error {
	return b.exec(`INSERT INTO facts VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET active = excluded.active, hashes = excluded.hashes
		WHERE active <> excluded.active OR hashes <> excluded.hashes`, id[:], k.Active, hashesOf(k.Facts))
}

// hashesOf returns the hashes of facts, each once and sorted, so that the same
// facts give the same bytes.
func hashesOf(facts []people.Key) []byte {
	hashes := make([]hash, len(facts))
	for i, k := range facts {
		hashes[i] = sinks.KeyHash(k)
	}
	slices.SortFunc(hashes, func(a, b hash) int { return bytes.Compare(a[:], b[:]) })
	hashes = slices.Compact(hashes)
	joined := make([]byte, 0, len(hash{})*len(hashes))
	for i := range hashes {
		joined = append(joined, hashes[i][:]...)
	}
	return joined
}

// A hash is a sinks.KeyHash.
type hash = [16]byte

// splitHashes is the reverse of joining them; what is left over is damage.
func splitHashes(joined []byte) (hashes []hash) {
	for part := range slices.Chunk(joined, len(hash{})) {
		if len(part) == len(hash{}) {
			hashes = append(hashes, hash(part))
		}
	}
	return hashes
}

// taken reports whether somebody else holds one of the keys.
func (b batch) taken(id people.ID, keys []people.Key) (bool, error) {
	for _, k := range keys {
		var holder storedID
		if found, err := b.row(`SELECT person FROM claim WHERE scheme = ? AND value = ?`, []any{string(k.Scheme), k.Value}, []any{&holder}); err != nil {
			return false, err
		} else if found && people.ID(holder) != id {
			return true, nil
		}
	}
	return false, nil
}

func refusal(taken bool) error {
	if taken {
		return sinks.ErrTaken
	}
	return nil
}

// claim takes keys that nobody else holds.
func (b batch) claim(id people.ID, keys []people.Key) error {
	for _, k := range keys {
		if err := b.exec(`INSERT OR IGNORE INTO claim VALUES (?, ?, ?)`, string(k.Scheme), k.Value, id[:]); err != nil {
			return err
		}
	}
	return nil
}

// giveUp drops the claims, or the records alone, that are not kept.
func (b batch) giveUp(id people.ID, records bool, kept []people.Key) error {
	query := `SELECT scheme, value FROM claim WHERE person = ?`
	if records {
		query += ` AND scheme GLOB 'record:*'`
	}
	held, err := b.keys(query, id)
	if err != nil {
		return err
	}
	for _, k := range held {
		if !slices.Contains(kept, k) {
			if err := b.exec(`DELETE FROM claim WHERE scheme = ? AND value = ?`, string(k.Scheme), k.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// replaceLookups drops the lookups that c does not list and returns the new ones.
func (b batch) replaceLookups(id people.ID, lookups []people.Key) (added []people.Key, err error) {
	held, err := b.keys(`SELECT scheme, value FROM lookup WHERE person = ?`, id)
	if err != nil {
		return nil, err
	}
	for _, k := range held {
		if !slices.Contains(lookups, k) {
			if err := b.exec(`DELETE FROM lookup WHERE scheme = ? AND value = ? AND person = ?`, string(k.Scheme), k.Value, id[:]); err != nil {
				return nil, err
			}
		}
	}
	for _, k := range lookups {
		if !slices.Contains(held, k) {
			added = append(added, k)
		}
	}
	return added, nil
}

func (b batch) keys(query string, id people.ID) (keys []people.Key, err error) {
	err = b.rows(query, []any{id[:]}, func(scan scanner) error {
		var k people.Key
		err := scan((*string)(&k.Scheme), &k.Value)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// onlyThese is ErrConflict if anybody else is in that part of the vault.
func (b batch) onlyThese(after, last people.ID, load []*sinks.Commit) error {
	return b.rows(`SELECT id FROM person WHERE id > ? AND id <= ?`, []any{after[:], last[:]}, func(scan scanner) error {
		var id storedID
		if err := scan(&id); err != nil {
			return err
		}
		_, ok := slices.BinarySearchFunc(load, id, func(c *sinks.Commit, id storedID) int { return slices.Compare(c.ID[:], id[:]) })
		if !ok {
			return fmt.Errorf("others are in the vault: %w", sinks.ErrConflict)
		}
		return nil
	})
}

// optional makes an empty document NULL.
func optional(doc []byte) []byte {
	if len(doc) == 0 {
		return nil
	}
	return doc
}
