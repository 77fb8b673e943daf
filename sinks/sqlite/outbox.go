package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Subscribers replaces the list.
func (s *Store) Subscribers(ctx context.Context, names []string) error {
	if len(names) > sinks.MaxSubscribers {
		return fmt.Errorf("sqlite: %d subscribers, at most %d: %w", len(names), sinks.MaxSubscribers, sinks.ErrTooLarge)
	}
	err := s.writes.do(ctx, func(t tx) error {
		if err := t.exec(`DELETE FROM subscriber`); err != nil {
			return err
		}
		for _, name := range names {
			if err := t.exec(`INSERT INTO subscriber VALUES (?)`, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: subscribers: %w", err)
	}
	return nil
}

// Outbox lists a subscriber's rows.
func (s *Store) Outbox(ctx context.Context, subscriber string, limit int) ([]sinks.OutboxRow, error) {
	var rows []sinks.OutboxRow
	err := s.read(ctx, `SELECT person, operation, user_id, former, revision FROM outbox WHERE subscriber = ? ORDER BY person, operation LIMIT ?`, []any{subscriber, max(limit, 0)}, func(scan scanner) error {
		r := sinks.OutboxRow{Subscriber: subscriber}
		var id storedID
		if err := scan(&id, &r.Operation, &r.UserID, &r.Former, &r.Revision); err != nil {
			return err
		}
		r.ID = people.ID(id)
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: outbox: %w", err)
	}
	return rows, nil
}

// Delivered removes a row unless it was raised meanwhile.
func (s *Store) Delivered(ctx context.Context, row sinks.OutboxRow) (bool, error) {
	err := s.writes.do(ctx, func(t tx) error {
		return t.swap(`DELETE FROM outbox WHERE subscriber = ? AND person = ? AND operation = ? AND revision = ?`, row.Subscriber, row.ID[:], row.Operation, row.Revision)
	})
	if errors.Is(err, sinks.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sqlite: delivered: %w", err)
	}
	return true, nil
}

// RestoreOutbox writes as many rows a transaction as the lock's sharing allows.
func (s *Store) RestoreOutbox(ctx context.Context, fence sinks.Fence, rows []sinks.OutboxRow) error {
	for done := 0; ; {
		err := s.writes.do(ctx, func(t tx) error {
			if _, err := s.batch(t, fence); err != nil {
				return err
			}
			for begun := time.Now(); done < len(rows) && time.Since(begun) < slice; done++ {
				r := rows[done]
				if err := errors.Join(ctx.Err(), t.exec(`INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?)`, r.Subscriber, r.ID[:], r.Operation, r.UserID, r.Former, r.Revision)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sqlite: restore the outbox: %w", err)
		}
		if done == len(rows) {
			return nil
		}
	}
}
