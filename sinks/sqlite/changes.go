package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
)

// A watch is a connection of its own that asks whether anything was committed.
type watch struct {
	// begun counts how often it was asked.
	begun atomic.Int64
	mu    sync.Mutex
	conn  *sql.Conn
	ask   *sql.Stmt
	// last is what the asking of that number found.
	last, number int64
}

// Version returns a number that is another one after every commit to the vault,
// of this process or of another: what was read at the same Version still holds.
// It says nothing across openings. See https://sqlite.org/pragma.html#pragma_data_version.
func (s *Store) Version(ctx context.Context) (version int64, err error) {
	before := s.watch.begun.Load()
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	if s.watch.number > before {
		return s.watch.last, nil // somebody else asked after this call began
	}
	if s.watch.ask == nil {
		// The number belongs to a connection, so that it must be the same one each time.
		if s.watch.conn, err = s.readers.Conn(ctx); err == nil {
			s.watch.ask, err = s.watch.conn.PrepareContext(context.WithoutCancel(ctx), `PRAGMA data_version`)
		}
		if err != nil {
			return 0, fmt.Errorf("sqlite: version: %w", err)
		}
	}
	number := s.watch.begun.Add(1)
	if err := s.watch.ask.QueryRowContext(ctx).Scan(&version); err != nil {
		s.watch.ask.Close()
		s.watch.conn.Close()
		s.watch.ask = nil // the next one begins anew
		return 0, fmt.Errorf("sqlite: version: %w", err)
	}
	s.watch.last, s.watch.number = version, number
	return version, nil
}
