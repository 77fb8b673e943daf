package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// window is how much earlier than asked Moved begins: the clocks of two
// processes of one host agree much better, unless one of them is set.
const window = 10 * time.Minute

// chunk is how many keys or ids one query takes.
const chunk = 128

const selectStored = `SELECT id, revision, moved_at, profile, observations FROM person`

// Person reads one person.
func (s *Store) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	var p sinks.Stored
	err := s.read(ctx, selectStored+` WHERE id = ?`, []any{id[:]}, func(scan scanner) (err error) {
		p, err = scanStored(scan)
		return err
	})
	if err == nil && p.ID.IsZero() {
		if p, err = s.erased(ctx, id); err == nil {
			err = sinks.ErrNotFound
		}
	}
	if err != nil {
		if !errors.Is(err, sinks.ErrNotFound) {
			p = sinks.Stored{}
		}
		return p, fmt.Errorf("sqlite: person %s: %w", id, err)
	}
	return p, nil
}

// erased returns what a tombstone says of somebody who is not there.
func (s *Store) erased(ctx context.Context, id people.ID) (p sinks.Stored, err error) {
	if current, err := s.isCurrent(ctx); !current || err != nil {
		return p, err
	}
	err = s.read(ctx, `SELECT revision FROM tombstone WHERE id = ?`, []any{id[:]}, func(scan scanner) error {
		p.ID = id
		return scan(&p.Revision)
	})
	return p, err
}

// People reads a chunk of ids a query.
func (s *Store) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	seen := make(map[people.ID]int, len(ids)) // to the index in found, -1 until it is read
	distinct := make([]people.ID, 0, len(ids))
	for _, id := range ids {
		if _, ok := seen[id]; !ok {
			seen[id] = -1
			distinct = append(distinct, id)
		}
	}
	found := make([]sinks.Stored, 0, len(distinct))
	for rest := distinct; len(rest) > 0; {
		part := rest[:min(chunk, len(rest))]
		rest = rest[len(part):]
		args := make([]any, padded(len(part))) // the rest stays NULL, which equals nothing
		for i := range part {
			args[i] = part[i][:]
		}
		err := s.read(ctx, selectStored+` WHERE id IN (?`+strings.Repeat(",?", len(args)-1)+`)`, args, func(scan scanner) error {
			p, err := scanStored(scan)
			seen[p.ID] = len(found)
			found = append(found, p)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("sqlite: %d people: %w", len(ids), err)
		}
	}
	ordered := make([]sinks.Stored, 0, len(found))
	for _, id := range distinct {
		if i := seen[id]; i >= 0 {
			ordered = append(ordered, found[i])
		}
	}
	return ordered, nil
}

// Lookup asks for a chunk of keys a query.
func (s *Store) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	holders := make([][]people.ID, len(keys))
	for at := 0; at < len(keys); at += chunk {
		part := keys[at:min(at+chunk, len(keys))]
		n := padded(len(part))
		args := make([]any, 2*n)
		for i, k := range part {
			args[2*i], args[2*i+1] = string(k.Scheme), k.Value
		}
		var query strings.Builder
		query.WriteString(`WITH k(i, scheme, value) AS (VALUES `)
		for i := range n {
			fmt.Fprintf(&query, "(%d,?%d,?%d),", i, 2*i+1, 2*i+2)
		}
		query.WriteString(`(-1, NULL, NULL))
			SELECT k.i, c.person FROM k CROSS JOIN claim c ON c.scheme = k.scheme AND c.value = k.value
			UNION SELECT k.i, l.person FROM k CROSS JOIN lookup l ON l.scheme = k.scheme AND l.value = k.value
			ORDER BY 1, 2`)
		err := s.read(ctx, query.String(), args, func(scan scanner) error {
			var i int
			var id storedID
			if err := scan(&i, &id); err != nil {
				return err
			}
			holders[at+i] = append(holders[at+i], people.ID(id))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("sqlite: look up %d keys: %w", len(keys), err)
		}
	}
	return holders, nil
}

// padded rounds n up to one of few lengths, so that few statements do.
func padded(n int) int {
	for _, m := range [...]int{1, 8, 32} {
		if n <= m {
			return m
		}
	}
	return chunk
}

// List reads people in the order of their ids.
func (s *Store) List(ctx context.Context, after people.ID, limit int) ([]sinks.Stored, error) {
	var page []sinks.Stored
	err := s.read(ctx, selectStored+` WHERE id > ? ORDER BY id LIMIT ?`, []any{after[:], max(limit, 0)}, func(scan scanner) error {
		p, err := scanStored(scan)
		page = append(page, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list: %w", err)
	}
	return page, nil
}

// Moved reads one state of the vault, which stays in the WAL until the last
// yield has returned.
func (s *Store) Moved(ctx context.Context, since time.Time, yield func(sinks.Head) error) error {
	current, err := s.isCurrent(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: moved: %w", err)
	}
	query := `SELECT id, revision, moved_at, 0 FROM person WHERE moved_at >= ?1`
	if current {
		query += ` UNION ALL SELECT id, revision, erased_at, 1 FROM tombstone WHERE erased_at >= ?1`
	}
	var stopped error
	err = s.read(ctx, query, []any{since.Add(-window).UnixMicro()}, func(scan scanner) error {
		var h sinks.Head
		var id storedID
		var moved int64
		if err := scan(&id, &h.Revision, &moved, &h.Erased); err != nil {
			return err
		}
		h.ID, h.MovedAt = people.ID(id), time.UnixMicro(moved).UTC()
		stopped = yield(h)
		return stopped
	})
	if err != nil && stopped == nil {
		return fmt.Errorf("sqlite: moved: %w", err)
	}
	return err
}

// History reads a person's history documents.
func (s *Store) History(ctx context.Context, id people.ID, after int64) ([]sinks.HistoryDoc, error) {
	var docs []sinks.HistoryDoc
	err := s.read(ctx, `SELECT revision, doc FROM history WHERE person = ? AND revision > ? ORDER BY revision`, []any{id[:], after}, func(scan scanner) error {
		var d sinks.HistoryDoc
		err := scan(&d.Revision, &d.Doc)
		docs = append(docs, d)
		return err
	})
	if err == nil && docs == nil {
		there := false
		err = s.read(ctx, `SELECT 1 FROM person WHERE id = ?`, []any{id[:]}, func(scanner) error { there = true; return nil })
		if err == nil && !there {
			err = sinks.ErrNotFound
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: history of %s: %w", id, err)
	}
	return docs, nil
}

// Count counts the people.
func (s *Store) Count(ctx context.Context) (n int64, err error) {
	err = s.read(ctx, `SELECT count(*) FROM person`, nil, func(scan scanner) error { return scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("sqlite: count: %w", err)
	}
	return n, nil
}

func scanStored(scan scanner) (sinks.Stored, error) {
	var p sinks.Stored
	var id storedID
	var moved int64
	if err := scan(&id, &p.Revision, &moved, &p.Profile, &p.Observations); err != nil {
		return p, err
	}
	p.ID, p.MovedAt = people.ID(id), time.UnixMicro(moved).UTC()
	return p, nil
}

// A storedID reads an ID from a column.
type storedID people.ID

// Scan refuses what is no ID, which this package has not written.
func (id *storedID) Scan(column any) error {
	b, ok := column.([]byte)
	if !ok || len(b) != len(id) {
		return errors.New("a damaged id")
	}
	copy(id[:], b)
	return nil
}

// A scanner reads the columns of the row at hand.
type scanner func(into ...any) error

// read runs a query on a reader, whose statements are prepared once.
func (s *Store) read(ctx context.Context, query string, args []any, row func(scanner) error) error {
	prepared, ok := s.statements.Load(query)
	if !ok {
		fresh, err := s.readers.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		var raced bool
		if prepared, raced = s.statements.LoadOrStore(query, fresh); raced {
			if err := fresh.Close(); err != nil {
				return err
			}
		}
	}
	return each(ctx, prepared.(*sql.Stmt), args, row)
}

func (t tx) rows(query string, args []any, row func(scanner) error) error {
	s, err := t.statement(query)
	if err != nil {
		return err
	}
	return each(t.ctx, s, args, row)
}

func each(ctx context.Context, s *sql.Stmt, args []any, row func(scanner) error) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			rows.Close() // err says more than what this could
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return ctx.Err()
}
