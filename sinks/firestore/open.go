package firestore

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"

	"example.org/cis/sinks"
)

// DefaultDatabase is the one that a project has without naming it.
const DefaultDatabase = firestore.DefaultDatabaseID

// Options of Open; the zero value is for everyday use.
type Options struct {
	// Now is the store's clock, of MovedAt and of leases; time.Now if nil.
	Now func() time.Time
	// Random is where tokens come from; crypto/rand if nil.
	Random io.Reader
	// ReadOnly refuses every write.
	ReadOnly bool
	// Writers is how many transactions run at once, 32 if 0.
	Writers int
	// MaxWrites is how many documents are written a second at most, 10,000 if 0.
	// It is reached by and by, see Unramped.
	MaxWrites int
	// Unramped writes at MaxWrites from the start. Firestore asks for 500 a
	// second and half as much again every five minutes, which an emulator does
	// not need (https://firebase.google.com/docs/firestore/best-practices).
	Unramped bool
	// Patience is how long a call is tried that Firestore refuses for a while, 2
	// minutes if 0. Waiting for MaxWrites takes none of it.
	Patience time.Duration
	// Client are options of the client. Without any it uses Google's default
	// credentials, or the emulator at FIRESTORE_EMULATOR_HOST.
	Client []option.ClientOption
	// Query, if set, is told of the shape of every query.
	Query func(Query)
}

// A Store is a vault and a ledger in one database. It is safe for concurrent
// use.
type Store struct {
	client   *firestore.Client
	now      func() time.Time
	random   io.Reader
	readOnly bool
	writers  chan struct{}
	pace     *pace
	patience time.Duration
	query    func(Query)

	reads, writes, deletes, retries atomic.Int64
	subscribers                     atomic.Int64 // how many there were last
}

var (
	_ sinks.Store   = (*Store)(nil)
	_ sinks.Metered = (*Store)(nil)
)

// Open opens the database that where names, PROJECT/DATABASE or PROJECT alone
// for the default one. No document is read.
func Open(ctx context.Context, where string, o Options) (*Store, error) {
	project, database, ok := strings.Cut(where, "/")
	if !ok {
		database = DefaultDatabase
	}
	if project == "" || database == "" || strings.Contains(database, "/") {
		return nil, fmt.Errorf("firestore: open %q: want PROJECT/DATABASE", where)
	}
	client, err := firestore.NewClientWithDatabase(ctx, project, database, o.Client...)
	if err != nil {
		return nil, fmt.Errorf("firestore: open %s: %w", where, err)
	}
	s := &Store{client: client, now: o.Now, random: o.Random, readOnly: o.ReadOnly, patience: o.Patience, query: o.Query}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if o.Writers == 0 {
		o.Writers = 32
	}
	if o.MaxWrites == 0 {
		o.MaxWrites = 10_000
	}
	if s.patience == 0 {
		s.patience = 2 * time.Minute
	}
	s.writers = make(chan struct{}, o.Writers)
	s.pace = newPace(o.MaxWrites, o.Unramped)
	return s, nil
}

// clock is now in what Firestore keeps of a time.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Close gives up the connections.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("firestore: close: %w", err)
	}
	return nil
}

// Usage returns what was asked of Firestore so far.
func (s *Store) Usage() sinks.Usage {
	return sinks.Usage{Reads: s.reads.Load(), Writes: s.writes.Load(), Deletes: s.deletes.Load(), Retries: s.retries.Load()}
}
