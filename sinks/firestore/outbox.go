package firestore

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
)

// Subscribers replaces the list.
func (s *Store) Subscribers(ctx context.Context, names []string) error {
	if len(names) > sinks.MaxSubscribers {
		return fmt.Errorf("firestore: %d subscribers, at most %d: %w", len(names), sinks.MaxSubscribers, sinks.ErrTooLarge)
	}
	err := s.transact(ctx, 1, func(t *tx) error { return t.set(s.subscribersRef(), &subscribersDoc{names}) })
	if err != nil {
		return fmt.Errorf("firestore: subscribers: %w", err)
	}
	return nil
}

// Outbox lists a subscriber's rows.
func (s *Store) Outbox(ctx context.Context, subscriber string, limit int) ([]sinks.OutboxRow, error) {
	q := search{Query: Query{Collection: rowsName}, from: s.rows(subscriber)}
	rows, err := first(ctx, s, q, limit, func(d *firestore.DocumentSnapshot) (sinks.OutboxRow, error) { return row(subscriber, d) })
	if err != nil {
		return nil, fmt.Errorf("firestore: outbox: %w", err)
	}
	return rows, nil
}

func row(subscriber string, d *firestore.DocumentSnapshot) (sinks.OutboxRow, error) {
	var doc rowDoc
	if err := decode(d, &doc); err != nil {
		return sinks.OutboxRow{}, err
	}
	id, err := personID(doc.Person)
	return sinks.OutboxRow{Subscriber: subscriber, ID: id, Operation: doc.Operation, UserID: string(doc.UserID), Former: string(doc.Former), Revision: doc.Revision}, err
}

// Delivered removes a row unless it was raised meanwhile.
func (s *Store) Delivered(ctx context.Context, delivered sinks.OutboxRow) (removed bool, err error) {
	ref := s.rowRef(delivered.Subscriber, delivered.ID, delivered.Operation)
	tried := false // to remove it
	err = s.transact(ctx, 1, func(t *tx) error {
		docs, err := t.all([]*firestore.DocumentRef{ref})
		if err != nil {
			return err
		}
		if !docs[0].Exists() {
			removed = tried // by the attempt before, or by somebody else, which is as good
			return nil
		}
		r, err := row(delivered.Subscriber, docs[0])
		if err != nil {
			return err
		}
		if removed = r.Revision == delivered.Revision; removed {
			tried = true
			return t.remove(ref)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("firestore: delivered: %w", err)
	}
	return removed, nil
}

// RestoreOutbox writes many rows a transaction.
func (s *Store) RestoreOutbox(ctx context.Context, fence sinks.Fence, rows []sinks.OutboxRow) error {
	for first := true; first || len(rows) > 0; first = false {
		part := rows[:min(len(rows), maxLoadWrites)]
		rows = rows[len(part):]
		err := s.transact(ctx, len(part), func(t *tx) error {
			err := t.fenced(fence)
			for i := 0; err == nil && i < len(part); i++ {
				r := &part[i]
				err = t.set(s.rowRef(r.Subscriber, r.ID, r.Operation), &rowDoc{r.ID[:], r.Operation, []byte(r.UserID), []byte(r.Former), r.Revision})
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("firestore: restore the outbox: %w", err)
		}
	}
	return nil
}
