package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"example.org/cis/sinks"
)

const (
	// applicationID marks the file as ours: "CIS2".
	applicationID = 0x43495332
	// schemaVersion is the user_version of the tables below. A later one is
	// refused; an earlier one is raised step by step when it is opened to write.
	schemaVersion = len(schema)
	// readerCount bounds the connections that read at once.
	readerCount = 4
	// busyTimeout is how long a statement waits for another process. A writer
	// lets others in every 50 ms, so only a stuck one takes longer, or one that
	// raises the file of an earlier version.
	busyTimeout = 10 * time.Second
)

// The tables, each version what it adds to the one before.
//
// Keys are text under SQLite's BINARY collation: bytes, so case, trailing
// spaces and forms of Unicode all distinguish. Times are microseconds since
// 1970. Large documents stand in tables with a rowid, where they are appended
// and overflow well; what is looked up by key stands in tables without.
//
// Of facts a row holds all hashes of a person, so that a commit writes one row
// at most, and none if they are as they were. A search reads all rows: 25 MB of
// 100,000 people in a dozen groups, where an index would take a row and two
// pages of every fact of a commit. It has a rowid, so that it is appended to:
// without one, new people would take a tenth more CPU, and searches as long.
var schema = [...]string{`
CREATE TABLE person (
	id BLOB PRIMARY KEY,
	revision INTEGER NOT NULL,
	moved_at INTEGER NOT NULL,
	profile BLOB NOT NULL,
	observations BLOB
);
CREATE INDEX person_moved ON person (moved_at, id, revision);
CREATE TABLE claim (scheme TEXT, value TEXT, person BLOB NOT NULL, PRIMARY KEY (scheme, value)) WITHOUT ROWID;
CREATE INDEX claim_person ON claim (person);
CREATE TABLE lookup (scheme TEXT, value TEXT, person BLOB, PRIMARY KEY (scheme, value, person)) WITHOUT ROWID;
CREATE INDEX lookup_person ON lookup (person);
CREATE TABLE history (person BLOB, revision INTEGER, doc BLOB NOT NULL, PRIMARY KEY (person, revision));
CREATE TABLE subscriber (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE outbox (
	subscriber TEXT, person BLOB, operation TEXT, user_id TEXT NOT NULL, former TEXT NOT NULL, revision INTEGER NOT NULL,
	PRIMARY KEY (subscriber, person, operation)
) WITHOUT ROWID;
CREATE TABLE ledger (kind TEXT, key TEXT, version INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE lease (name TEXT PRIMARY KEY, token INTEGER NOT NULL, holder TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
`, `
CREATE TABLE facts (person BLOB PRIMARY KEY, active INTEGER NOT NULL, hashes BLOB NOT NULL);
CREATE TABLE tombstone (id BLOB PRIMARY KEY, revision INTEGER NOT NULL, erased_at INTEGER NOT NULL) WITHOUT ROWID;
`}

// Options of Open; the zero value is for everyday use.
type Options struct {
	// Now is the store's clock, of MovedAt and of leases; time.Now if nil.
	Now func() time.Time
	// ReadOnly opens a vault that is there and refuses every write.
	ReadOnly bool
}

// A Store is a vault and a ledger in one file. It is safe for concurrent use.
type Store struct {
	now     func() time.Time
	readers *sql.DB
	writes  *writer // nil if read-only
	// statements of readers by their text
	statements sync.Map
	watch      watch
	// current says that the file is known to have the tables of this version,
	// which one that is opened to read only need not have.
	current atomic.Bool
}

var (
	_ sinks.Store     = (*Store)(nil)
	_ sinks.Versioned = (*Store)(nil)
)

// Open opens the vault at path, and unless it is to be read only makes the
// file (mode 0600) and its tables if they are not there.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if name := networkName(filepath.Dir(path)); name != "" {
		return nil, fmt.Errorf("sqlite: %s is on a %s file system, where SQLite's locks are not safe: keep the vault on a local disk", path, name)
	}
	switch st, err := os.Stat(path); {
	case err != nil && (o.ReadOnly || !errors.Is(err, fs.ErrNotExist)):
		return nil, fmt.Errorf("sqlite: open: %w", err)
	case err == nil && !st.Mode().IsRegular():
		return nil, fmt.Errorf("sqlite: open %s: not a file", path)
	}
	s := &Store{now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if !o.ReadOnly {
		if s.writes, err = create(ctx, path); err != nil {
			return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
		}
	}
	if s.readers, err = connect(path, url.Values{"mode": {"ro"}}, readerCount); err == nil {
		_, err = s.isCurrent(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), s.Close())
	}
	return s, nil
}

// create opens the writer and with it makes the file, unless it is there.
// SQLite by itself would let everybody read a new file, so it is told to take
// the mode of another one. (Making the file here, and closing it, could break
// the locks that this process holds on it: https://sqlite.org/howtocorrupt.html,
// section 2.2.)
func create(ctx context.Context, path string) (*writer, error) {
	private, err := os.CreateTemp(filepath.Dir(path), ".cis-*") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(private.Name())
	if err := private.Close(); err != nil {
		return nil, err
	}
	return openWriter(ctx, path, private.Name())
}

// Close closes the file. The last one to do so folds the WAL into it.
func (s *Store) Close() error {
	var errs []error
	if s.watch.ask != nil {
		errs = append(errs, s.watch.ask.Close(), s.watch.conn.Close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.writes != nil {
		errs = append(errs, s.writes.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sqlite: close: %w", err)
	}
	return nil
}

// isCurrent reports whether the file has the tables of this version. One that
// is opened to read only may get them meanwhile, from another process.
func (s *Store) isCurrent(ctx context.Context) (bool, error) {
	if s.current.Load() {
		return true, nil
	}
	version, err := checkVersion(ctx, s.readers)
	if err != nil {
		return false, err
	}
	if version == schemaVersion {
		s.current.Store(true)
	}
	return version == schemaVersion, nil
}

// errEarlier is of what a file of an earlier version cannot answer.
var errEarlier = errors.New("the vault has an earlier format: open it once for writing (cis vault check --fix)")

// connect returns a pool of at most n connections, opened when they are used.
func connect(path string, parameters url.Values, n int) (*sql.DB, error) {
	parameters["_pragma"] = []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		// Of a new file. 16384 would write with a sixth less CPU, and waste
		// up to half of the space of profiles beyond 8 KB.
		"page_size(8192)",
		// In pages: 16 MiB, what a disk takes in about 50 ms.
		"wal_autocheckpoint(2000)",
		"synchronous(full)",
		"foreign_keys(off)",
		// What is removed or replaced is overwritten. It is on at all times,
		// because an erasure could not find what was replaced before it.
		"secure_delete(on)",
		"cache_size(-32768)", // KiB
		"mmap_size(1073741824)",
		"temp_store(memory)",
	}
	// In a URI, unlike in a plain name, a path may hold any character.
	c, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + parameters.Encode())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// checkVersion returns the version of the tables. It refuses a file that is no
// vault, or one of a later version.
func checkVersion(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (version int, err error) {
	var id, tables int
	err = db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&id, &version, &tables)
	switch {
	case err != nil:
		return 0, err
	case id == 0 && version == 0 && tables == 0:
		return 0, errEmpty
	case id != applicationID:
		return 0, errors.New("a database of another program, not a vault")
	case version < 1:
		return 0, errors.New("a damaged vault: it says no format")
	case version > schemaVersion:
		return 0, fmt.Errorf("the vault has format %d, this version of the program knows %d: use a later one", version, schemaVersion)
	}
	return version, nil
}

var errEmpty = errors.New("an empty file, not a vault")
