package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/cis/sinks"
)

// Doc reads one document.
func (s *Store) Doc(ctx context.Context, kind, key string) (sinks.Doc, error) {
	d := sinks.Doc{Kind: kind, Key: key}
	err := s.read(ctx, `SELECT version, body FROM ledger WHERE kind = ? AND key = ?`, []any{kind, key}, func(scan scanner) error {
		return scan(&d.Version, &d.Body)
	})
	if err == nil && d.Version == 0 {
		err = sinks.ErrNotFound
	}
	if err != nil {
		return sinks.Doc{}, fmt.Errorf("sqlite: read a document of kind %s: %w", kind, err)
	}
	return d, nil
}

// Put writes a document.
func (s *Store) Put(ctx context.Context, d sinks.Doc) (int64, error) {
	err := sinks.ValidateDoc(d)
	if err == nil {
		err = s.writes.do(ctx, func(t tx) error {
			query, args := `UPDATE ledger SET version = version + 1, body = ? WHERE kind = ? AND key = ? AND version = ?`, []any{body(d), d.Kind, d.Key, d.Version}
			if d.Version == 0 {
				query, args = `INSERT OR IGNORE INTO ledger (body, kind, key, version) VALUES (?, ?, ?, 1)`, args[:3]
			}
			return t.swap(query, args...)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("sqlite: write a document of kind %s: %w", d.Kind, err)
	}
	return d.Version + 1, nil
}

// Remove deletes a document.
func (s *Store) Remove(ctx context.Context, d sinks.Doc) error {
	err := s.writes.do(ctx, func(t tx) error {
		err := t.swap(`DELETE FROM ledger WHERE kind = ? AND key = ? AND version = ?`, d.Kind, d.Key, d.Version)
		if !errors.Is(err, sinks.ErrConflict) {
			return err
		}
		if there, fault := t.row(`SELECT 1 FROM ledger WHERE kind = ? AND key = ?`, []any{d.Kind, d.Key}, []any{new(int)}); fault != nil || there {
			return errors.Join(err, fault)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: remove a document of kind %s: %w", d.Kind, err)
	}
	return nil
}

// Docs lists documents in the order of their keys' bytes.
func (s *Store) Docs(ctx context.Context, kind, after string, limit int) ([]sinks.Doc, error) {
	var docs []sinks.Doc
	err := s.read(ctx, `SELECT key, version, body FROM ledger WHERE kind = ? AND key > ? ORDER BY key LIMIT ?`, []any{kind, after, max(limit, 0)}, func(scan scanner) error {
		d := sinks.Doc{Kind: kind}
		err := scan(&d.Key, &d.Version, &d.Body)
		docs = append(docs, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list %s: %w", kind, err)
	}
	return docs, nil
}

// body keeps an empty document apart from NULL.
func body(d sinks.Doc) []byte {
	if d.Body == nil {
		return []byte{}
	}
	return d.Body
}

// swap runs a statement that changes one row, or none if a condition does not hold.
func (t tx) swap(query string, args ...any) error {
	n, err := t.execCount(query, args...)
	if err == nil && n == 0 {
		return sinks.ErrConflict
	}
	return err
}

// Acquire takes a lease. Tokens rise for ever: a released lease keeps its row.
func (s *Store) Acquire(ctx context.Context, lease, holder string, ttl time.Duration) (sinks.Fence, error) {
	fence := sinks.Fence{Lease: lease}
	err := errors.New("a lease without name, holder or time")
	if lease != "" && holder != "" && ttl > 0 {
		err = s.writes.do(ctx, func(t tx) error {
			now := s.now()
			held, err := t.row(`INSERT INTO lease VALUES (?, 1, ?, ?)
				ON CONFLICT DO UPDATE SET token = token + 1, holder = excluded.holder, expires = excluded.expires
				WHERE holder = excluded.holder OR expires <= ?
				RETURNING token`, []any{lease, holder, now.Add(ttl).UnixMicro(), now.UnixMicro()}, []any{&fence.Token})
			if err == nil && !held {
				return sinks.ErrHeld
			}
			return err
		})
	}
	if err != nil {
		return sinks.Fence{}, fmt.Errorf("sqlite: acquire %s: %w", lease, err)
	}
	return fence, nil
}

// Renew moves the expiry of a lease.
func (s *Store) Renew(ctx context.Context, fence sinks.Fence, ttl time.Duration) error {
	err := s.writes.do(ctx, func(t tx) error {
		return t.swap(`UPDATE lease SET expires = ? WHERE name = ? AND token = ?`, s.now().Add(ttl).UnixMicro(), fence.Lease, fence.Token)
	})
	if errors.Is(err, sinks.ErrConflict) {
		err = sinks.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("sqlite: renew %s: %w", fence.Lease, err)
	}
	return nil
}

// Release gives a lease up.
func (s *Store) Release(ctx context.Context, fence sinks.Fence) error {
	err := s.writes.do(ctx, func(t tx) error {
		return t.exec(`UPDATE lease SET token = token + 1, holder = '', expires = 0 WHERE name = ? AND token = ?`, fence.Lease, fence.Token)
	})
	if err != nil {
		return fmt.Errorf("sqlite: release %s: %w", fence.Lease, err)
	}
	return nil
}
