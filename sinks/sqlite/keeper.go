package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Erase takes all of a person out in one transaction. What it then overwrites
// is not undone by an error: called again, it goes on with that.
func (s *Store) Erase(ctx context.Context, fence sinks.Fence, id people.ID, notify string) (sinks.Tombstone, error) {
	stone := sinks.Tombstone{ID: id}
	err := s.writes.do(ctx, func(t tx) error {
		b, err := s.batch(t, fence)
		if err != nil {
			return err
		}
		revision, there, err := b.revision(id)
		if err == nil && revision == 0 {
			err = sinks.ErrNotFound
		}
		if err != nil {
			return err
		}
		if !there {
			stone, _, err = b.tombstone(id)
			return err
		}
		stone.Revision, stone.ErasedAt = revision+1, time.UnixMicro(b.movedAt).UTC()
		return b.erase(stone, notify)
	})
	if err == nil {
		err = s.wipe(ctx)
	}
	if err != nil {
		return sinks.Tombstone{}, fmt.Errorf("sqlite: erase %s: %w", id, err)
	}
	return stone, nil
}

// erase replaces a person by a tombstone.
func (b batch) erase(stone sinks.Tombstone, notify string) error {
	var rows []sinks.OutboxRow
	if notify != "" {
		for _, name := range b.subscribers {
			former, err := b.untold(name, stone.ID, notify)
			if err != nil {
				return err
			}
			rows = append(rows, sinks.OutboxRow{Subscriber: name, UserID: notify, Former: former})
		}
	}
	if err := b.drop(stone.ID, ""); err != nil {
		return err
	}
	if err := b.exec(`DELETE FROM person WHERE id = ?`, stone.ID[:]); err != nil {
		return err
	}
	for _, r := range rows {
		if err := b.exec(`INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)`, r.Subscriber, stone.ID[:], sinks.NotifyDelete, r.UserID, r.Former, stone.Revision); err != nil {
			return err
		}
	}
	return b.exec(`INSERT INTO tombstone VALUES (?, ?, ?)`, stone.ID[:], stone.Revision, stone.ErasedAt.UnixMicro())
}

// untold returns the user ids besides the current one that a subscriber may
// know and was not told the end of: those of an earlier erasure and of changes.
func (b batch) untold(subscriber string, id people.ID, current string) (string, error) {
	var former []string
	err := b.rows(`SELECT operation, user_id, former FROM outbox WHERE subscriber = ? AND person = ? AND operation IN (?, ?)
		ORDER BY revision`, []any{subscriber, id[:], sinks.NotifyDelete, sinks.NotifyRelink}, func(scan scanner) error {
		var operation, userID, ids string
		if err := scan(&operation, &userID, &ids); err != nil {
			return err
		}
		if operation == sinks.NotifyDelete {
			ids += "\n" + userID
		}
		for id := range strings.SplitSeq(ids, "\n") {
			if id != "" && id != current && !slices.Contains(former, id) {
				former = append(former, id)
			}
		}
		return nil
	})
	return strings.Join(former, "\n"), err
}

// drop removes all that leads to somebody, or hangs from them, except outbox
// rows of the operation kept.
func (b batch) drop(id people.ID, kept string) error {
	for _, table := range [...]string{"claim", "lookup", "facts", "history"} {
		if err := b.exec(`DELETE FROM `+table+` WHERE person = ?`, id[:]); err != nil {
			return err
		}
	}
	return b.exec(`DELETE FROM outbox WHERE person = ? AND operation <> ?`, id[:], kept)
}

// tombstone returns the tombstone of somebody, if there is one.
func (b batch) tombstone(id people.ID) (stone sinks.Tombstone, found bool, err error) {
	var erasedAt int64
	found, err = b.row(`SELECT revision, erased_at FROM tombstone WHERE id = ?`, []any{id[:]}, []any{&stone.Revision, &erasedAt})
	stone.ID, stone.ErasedAt = id, time.UnixMicro(erasedAt).UTC()
	return stone, found, err
}

// Tombstones lists tombstones in the order of their ids.
func (s *Store) Tombstones(ctx context.Context, after people.ID, limit int) ([]sinks.Tombstone, error) {
	var page []sinks.Tombstone
	current, err := s.isCurrent(ctx)
	if err == nil && current {
		err = s.read(ctx, `SELECT id, revision, erased_at FROM tombstone WHERE id > ? ORDER BY id LIMIT ?`, []any{after[:], max(limit, 0)}, func(scan scanner) error {
			var t sinks.Tombstone
			var erasedAt int64
			err := scan((*storedID)(&t.ID), &t.Revision, &erasedAt)
			t.ErasedAt = time.UnixMicro(erasedAt).UTC()
			page = append(page, t)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: tombstones: %w", err)
	}
	return page, nil
}

// Restore writes a tombstone or the history of a person at a time, as many a
// transaction as the lock's sharing allows.
func (s *Store) Restore(ctx context.Context, fence sinks.Fence, tombstones []sinks.Tombstone, histories []sinks.History) error {
	for total, done := len(tombstones)+len(histories), 0; ; {
		err := s.writes.do(ctx, func(t tx) error {
			b, err := s.batch(t, fence)
			if err != nil {
				return err
			}
			for begun := time.Now(); done < total && time.Since(begun) < slice; done++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if done < len(tombstones) {
					err = b.restoreTombstone(tombstones[done])
				} else {
					err = b.restoreHistory(histories[done-len(tombstones)])
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlite: restore: %w", err)
		}
		if done == total {
			return nil
		}
	}
}

func (b batch) restoreTombstone(t sinks.Tombstone) error {
	if t.ID.IsZero() || t.Revision < 1 {
		return errors.New("a tombstone of nobody, or without revision")
	}
	revision, there, err := b.revision(t.ID)
	if err != nil {
		return err
	}
	switch {
	case there || revision != 0 && revision != t.Revision:
		return fmt.Errorf("tombstone of %s: %w", t.ID, sinks.ErrConflict)
	case revision != 0:
		return nil
	}
	return b.exec(`INSERT INTO tombstone VALUES (?, ?, ?)`, t.ID[:], t.Revision, t.ErasedAt.UnixMicro())
}

func (b batch) restoreHistory(h sinks.History) error {
	revision, there, err := b.revision(h.ID)
	if err != nil {
		return err
	}
	for _, d := range h.Docs {
		switch {
		case d.Revision < 1 || len(d.Doc) == 0:
			return fmt.Errorf("history of %s: a document without revision, or an empty one", h.ID)
		case len(d.Doc) > sinks.MaxDocBytes:
			return fmt.Errorf("history of %s: %d bytes, at most %d: %w", h.ID, len(d.Doc), sinks.MaxDocBytes, sinks.ErrTooLarge)
		case d.Revision >= revision:
			there = false
		}
	}
	if !there {
		return fmt.Errorf("history of %s: %w", h.ID, sinks.ErrConflict)
	}
	for _, d := range h.Docs {
		if err := b.exec(`INSERT OR IGNORE INTO history VALUES (?, ?, ?)`, h.ID[:], d.Revision, d.Doc); err != nil {
			return err
		}
	}
	return nil
}

// Mend writes the keys in one transaction. Rightly has a key who is there;
// whether it is theirs by their profile an audit has said.
func (s *Store) Mend(ctx context.Context, fence sinks.Fence, id people.ID, revision int64, keys sinks.Keys) error {
	form := sinks.Commit{ID: id, Expect: revision, Revision: revision, Keys: keys}
	if revision == 0 {
		form.Expect, form.Revision, form.Keys = 1, 1, sinks.Keys{} // there is nobody to have them
	}
	err := form.Validate()
	if err == nil {
		err = s.writes.do(ctx, func(t tx) error {
			b, err := s.batch(t, fence)
			if err != nil {
				return err
			}
			stored, there, err := b.revision(id)
			switch {
			case err != nil:
				return err
			case there != (revision != 0) || there && stored != revision:
				return sinks.ErrConflict
			case there:
				return b.mend(id, &keys)
			}
			return b.drop(id, keptOf(stored))
		})
	}
	if err != nil {
		return fmt.Errorf("sqlite: mend %s: %w", id, err)
	}
	return nil
}

// keptOf returns the operation whose outbox rows outlive a person, who has been
// there if there is a tombstone with a revision.
func keptOf(tombstone int64) string {
	if tombstone > 0 {
		return sinks.NotifyDelete
	}
	return ""
}

func (b batch) mend(id people.ID, k *sinks.Keys) error {
	claims := slices.Concat(k.Unique, k.Records)
	for _, k := range claims {
		var holder storedID
		found, err := b.row(`SELECT person FROM claim WHERE scheme = ? AND value = ?`, []any{string(k.Scheme), k.Value}, []any{&holder})
		if err != nil {
			return err
		}
		if !found || people.ID(holder) == id {
			continue
		}
		_, there, err := b.revision(people.ID(holder))
		if err != nil {
			return err
		}
		if there {
			return sinks.ErrTaken
		}
		if err := b.exec(`DELETE FROM claim WHERE scheme = ? AND value = ?`, string(k.Scheme), k.Value); err != nil {
			return err
		}
	}
	if err := b.giveUp(id, false, claims); err != nil {
		return err
	}
	if err := b.claim(id, claims); err != nil {
		return err
	}
	added, err := b.replaceLookups(id, k.Lookups)
	if err != nil {
		return err
	}
	if err := b.lookup(id, added); err != nil {
		return err
	}
	return b.facts(id, k)
}
