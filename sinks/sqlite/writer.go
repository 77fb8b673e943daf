package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// How the one write lock of a file is shared between goroutines and
// processes. The aim is that nobody waits much longer than 50 ms.
const (
	// slice is how long a transaction may take before it is committed, which
	// takes about as long again.
	slice = 25 * time.Millisecond
	// pause is how long the lock is left alone once it was held for a slice,
	// and poll, much shorter, how often another process asks for it:
	// SQLite's own waiting falls back to asking every 100 ms and would hardly
	// ever meet a pause.
	pause = 5 * time.Millisecond
	poll  = time.Millisecond
)

var errReadOnly = errors.New("opened to read only")

// A writer is the one connection that writes. Whoever holds turn may use it.
type writer struct {
	db         *sql.DB
	conn       *sql.Conn
	turn       chan struct{}
	statements map[string]*sql.Stmt
	held       time.Duration // since the last pause
	released   time.Time
}

// openWriter opens the writer of the file at path, which if it is new gets the
// mode of the file modeOf.
func openWriter(ctx context.Context, path, modeOf string) (_ *writer, err error) {
	w := &writer{turn: make(chan struct{}, 1), statements: make(map[string]*sql.Stmt)}
	if w.db, err = connect(path, url.Values{"_journal_mode": {"wal"}, "modeof": {modeOf}}, 1); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return nil, err
	}
	if err = w.cleanse(ctx); err != nil {
		return nil, err
	}
	// From here on waiting is ours, see poll.
	if _, err = w.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return nil, err
	}
	err = w.do(ctx, func(t tx) error {
		version, err := checkVersion(ctx, w.conn)
		if err != nil && !errors.Is(err, errEmpty) || version == schemaVersion {
			return err
		}
		_, err = w.conn.ExecContext(ctx, fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d", strings.Join(schema[version:], ""), applicationID, schemaVersion))
		return err
	})
	return w, err
}

// cleanse writes a file of version 1 anew, before it is raised: that version
// did not overwrite what it removed or replaced, which an erasure could not
// find any more. It takes as much room again for a while, and seconds a GB.
func (w *writer) cleanse(ctx context.Context) error {
	version, err := checkVersion(ctx, w.conn)
	if version != 1 {
		if errors.Is(err, errEmpty) {
			return nil
		}
		return err
	}
	// The copy goes to a file, which SQLite removes as soon as it has opened it.
	_, err = w.conn.ExecContext(ctx, "PRAGMA temp_store = file; VACUUM; PRAGMA temp_store = memory")
	return err
}

func (w *writer) close() error {
	var errs []error
	if w.conn != nil {
		// What is in the log goes into the file, so that a closed vault is one
		// file; if others are reading, it stays in the log, which is as good.
		_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}

// do runs f in one transaction, which is undone if f fails.
func (w *writer) do(ctx context.Context, f func(tx) error) error {
	if w == nil {
		return errReadOnly
	}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil { // select takes either
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	begun := time.Now()
	defer func() {
		w.released = time.Now()
		w.held += w.released.Sub(begun)
	}()
	// The context is looked at between statements, by f: one that ends in
	// the middle of a statement would cost each of them a goroutine.
	t := tx{w, context.WithoutCancel(ctx)}
	err := f(t)
	if err == nil {
		if err = ctx.Err(); err == nil {
			if err = t.exec("COMMIT"); err == nil {
				return nil
			}
		}
	}
	// After some faults SQLite has rolled back itself, and then this fails.
	_ = t.exec("ROLLBACK")
	return err
}

// begin takes the write lock, after a pause if it is due.
func (w *writer) begin(ctx context.Context) error {
	if rest := pause - time.Since(w.released); rest <= 0 {
		w.held = 0
	} else if w.held >= slice {
		if err := sleep(ctx, rest); err != nil {
			return err
		}
		w.held = 0
	}
	for began := time.Now(); ; {
		err := tx{w, context.WithoutCancel(ctx)}.exec("BEGIN IMMEDIATE")
		var fault *sqlite.Error
		if !errors.As(err, &fault) || fault.Code()&0xff != 5 { // SQLITE_BUSY and its kin
			return err
		}
		if time.Since(began) > busyTimeout {
			return fmt.Errorf("another process has been writing for %v: %w", busyTimeout, err)
		}
		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A tx is the writer in a transaction.
type tx struct {
	w   *writer
	ctx context.Context
}

func (t tx) statement(query string) (*sql.Stmt, error) {
	if s := t.w.statements[query]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.w.statements[query] = s
	return s, nil
}

func (t tx) exec(query string, args ...any) error {
	_, err := t.execCount(query, args...)
	return err
}

// execCount returns how many rows changed.
func (t tx) execCount(query string, args ...any) (int64, error) {
	s, err := t.statement(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row reads one row; found is false if there is none.
func (t tx) row(query string, args, into []any) (found bool, err error) {
	s, err := t.statement(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(t.ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
