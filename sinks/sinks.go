// Package sinks owns the interfaces of what keeps things: the [Vault] of
// current profiles, the [Ledger] of small documents about runs, and [Blobs]
// for extracts, plans and snapshots. Implementations are one package a
// technology below this one; the suites that all of them pass are in
// sinktest.
//
// The interfaces are cut to what a document database such as Firestore can
// promise: a commit touches one person, at most [MaxDocuments] documents and
// [MaxCommitBytes] bytes, and reads by key only; nothing scans inside a
// transaction.
package sinks

import (
	"context"
	"errors"
	"io"
	"time"

	"example.org/cis/transforms/people"
)

// The limits of one commit. Firestore allows 500 documents (here 100, to
// leave room for what it counts itself) and 10 MiB.
const (
	MaxDocuments    = 100
	MaxCommitBytes  = 8 << 20
	MaxProfileBytes = 900 << 10 // packed; a Firestore document holds 1 MiB
	MaxSubscribers  = 50
	// MaxDocBytes bounds one ledger document, and one document of
	// observations or history.
	MaxDocBytes = 900 << 10
	// MaxNameBytes bounds the name of a blob; a part of it has at most 200.
	MaxNameBytes = 800
)

// The errors that callers tell apart. Everything else is a fault of the
// store, and never means that something is not there.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict is a version or revision that is not the expected one.
	ErrConflict = errors.New("conflict: changed meanwhile")
	// ErrTaken is a unique claim that another person holds.
	ErrTaken = errors.New("taken by another person")
	// ErrFenced is a commit under a lease that is no longer held.
	ErrFenced = errors.New("lease lost: another run has taken over")
	// ErrTooLarge is a person or document beyond the limits above.
	ErrTooLarge = errors.New("too large")
	// ErrHeld is a lease that another holder has.
	ErrHeld = errors.New("lease held by another run")
)

// Stored is a person as the vault has them. Profile and Observations are
// packed ([Pack]); History and the rest are read separately.
type Stored struct {
	ID       people.ID
	Revision int64
	// Profile is the packed canonical JSON of a people.Profile.
	Profile []byte
	// Observations is the packed JSON of []people.Observation, nil if none.
	Observations []byte
	MovedAt      time.Time
}

// Head is what a listing says of a person.
type Head struct {
	ID       people.ID
	Revision int64
	MovedAt  time.Time
}

// A Commit is the only write of a person: all or nothing.
//
// Revision is Expect+1 if the profile changes (then Profile and History are
// set, and Unique and Lookups say all that there is) and equal to Expect if
// only the observations do (then Profile is nil, and nothing but
// Observations, Records and MovedAt is touched). Expect 0 creates. The stored
// revision must be Expect, else ErrConflict; so a commit of a new revision
// that is repeated has no second effect.
type Commit struct {
	ID               people.ID
	Expect, Revision int64
	Profile          []byte
	// Observations are all current observations after the commit, packed;
	// empty if there are none.
	Observations []byte
	// Unique are all unique claims of the person after the commit (user_id,
	// username): those it held before and does not list are given up.
	Unique []people.Key
	// Records are all record ids (scheme "record:…") of the person after the
	// commit, unique as well: those held before and not listed are given up, so
	// that a record whose link was undone can be somebody else's. A commit of
	// observations only says them too.
	Records []people.Key
	// Lookups are all keys that lead to the person without being unique
	// (email, former_user_id, posix_id), replacing the earlier ones.
	Lookups []people.Key
	// History is the packed history document of this revision.
	History []byte
	// Notify is the operation word of the outbox rows, one a subscriber; ""
	// writes none.
	Notify string
	// NotifyID is the user_id that the notification names.
	NotifyID string
	// NotifyFormer is the user_id that the person gives up, with the operation
	// [NotifyRelink].
	NotifyFormer string
}

// A Fence is the right to commit: a lease's name and the token it was taken
// under. The zero Fence is for a writer that needs no lease (import into an
// empty vault, the API).
type Fence struct {
	Lease string
	Token int64
}

// NotifyRelink is the operation of a changed user_id. It is one row, so that a
// commit stays within its documents; on the wire it is a "delete" of each
// former user_id and a "create" of the current one.
const NotifyRelink = "relink"

// An OutboxRow says that a subscriber is to be told of an operation on a
// person up to a revision. A later commit of the same person raises the
// revision in place, and adds to the former ids.
type OutboxRow struct {
	Subscriber string
	ID         people.ID
	Operation  string
	UserID     string
	// Former are user ids given up and not yet told of, a line each, oldest first.
	Former   string
	Revision int64
}

// A Reader reads people. A missing person is ErrNotFound; any other error is
// a failure to read.
type Reader interface {
	// Person reads one person.
	Person(ctx context.Context, id people.ID) (Stored, error)
	// People reads many; those that are not there are left out. The order is
	// that of ids, without duplicates.
	People(ctx context.Context, ids []people.ID) ([]Stored, error)
	// Lookup returns who holds each key, as a claim or as a lookup, in the
	// order of keys: no one, one, or for lookups that are not unique several,
	// sorted. The uuid is not a key of this kind: see Person.
	Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error)
	// List returns up to limit people after the given id, sorted by id. A
	// result shorter than limit is the end; a failure is an error, never a
	// short result.
	List(ctx context.Context, after people.ID, limit int) ([]Stored, error)
	// Moved calls yield for each person written at or after since, by the
	// store's clock, in no order. Implementations widen the window for skew.
	// An error of yield ends it and is returned as it is.
	Moved(ctx context.Context, since time.Time, yield func(Head) error) error
	// History returns the packed history documents of a person, oldest
	// first, with revision > after: none is ErrNotFound only if the person is
	// not there.
	History(ctx context.Context, id people.ID, after int64) ([]HistoryDoc, error)
	// Count returns how many people there are.
	Count(ctx context.Context) (int64, error)
}

// A HistoryDoc is one revision's packed history.
type HistoryDoc struct {
	Revision int64
	Doc      []byte
}

// A Vault keeps the current profiles.
type Vault interface {
	Reader
	// Commit writes people, each of them atomically and on its own, and
	// returns one result a commit: nil, ErrConflict, ErrTaken, ErrTooLarge or
	// what Commit.Validate says. A batch has any length; commits of the same
	// person are applied in their order, others in any. ErrFenced and faults
	// of the whole batch come as err, with nothing or a prefix of the batch
	// written: then the results are those of the prefix.
	Commit(ctx context.Context, fence Fence, commits []Commit) (results []error, err error)
	// Load fills an empty vault fast; not atomic as a whole, safe to repeat
	// with the same people. It is refused with ErrConflict if anybody not in
	// the load is there, or somebody of it at another revision. Expect is 0
	// and Revision any from 1, so that a copy keeps the revisions it was made
	// of. Load writes no outbox rows.
	Load(ctx context.Context, fence Fence, commits []Commit) error
	// Outbox lists the outbox rows of a subscriber, sorted by person and
	// operation.
	Outbox(ctx context.Context, subscriber string, limit int) ([]OutboxRow, error)
	// Delivered removes a row if it still has the revision, and reports
	// whether it did.
	Delivered(ctx context.Context, row OutboxRow) (bool, error)
	// Subscribers replaces the list of who gets outbox rows: distinct names,
	// at most MaxSubscribers (ErrTooLarge beyond). Rows of those no longer in
	// it stay until they are delivered.
	Subscribers(ctx context.Context, names []string) error
	io.Closer
}

// A Doc is a small document of the ledger. Version starts at 1 and rises by
// one a write.
type Doc struct {
	Kind, Key string
	Version   int64
	Body      []byte
}

// A Ledger keeps small documents by kind and key, written by compare and
// swap, and leases.
type Ledger interface {
	// Doc reads one document, or ErrNotFound.
	Doc(ctx context.Context, kind, key string) (Doc, error)
	// Put writes d.Body if the stored version is d.Version (0: there is
	// none), else ErrConflict; beyond MaxDocBytes it is ErrTooLarge. It
	// returns the new version. Kind and key are not empty and have at most
	// MaxKeyBytes each.
	Put(ctx context.Context, d Doc) (int64, error)
	// Remove deletes the document if it has the version; ErrConflict
	// otherwise, nil if there is none.
	Remove(ctx context.Context, d Doc) error
	// Docs lists documents of a kind with key > after, sorted, at most limit.
	Docs(ctx context.Context, kind, after string, limit int) ([]Doc, error)
	// Acquire takes the lease for ttl, if nobody else holds it unexpired by
	// the store's clock (ErrHeld names no one); taking it again as the same
	// holder extends it under a new token. Fences of earlier tokens are dead
	// from then on. An expired lease that nobody has taken is still its
	// holder's: time alone fences no one, so that commits compare tokens and
	// never clocks.
	Acquire(ctx context.Context, lease, holder string, ttl time.Duration) (Fence, error)
	// Renew is the heartbeat; ErrFenced if the token is no longer current.
	Renew(ctx context.Context, fence Fence, ttl time.Duration) error
	// Release gives the lease up and kills its fence; nothing happens if it
	// is lost already.
	Release(ctx context.Context, fence Fence) error
}

// Store is a vault and a ledger in one technology.
type Store interface {
	Vault
	Ledger
}

// A Blob is a named, immutable sequence of bytes that is whole or not there.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Blobs keep blobs by name: slash-separated, of [a-z0-9._-] parts other than
// "." and "..", at most [MaxNameBytes] long. Other names are refused by every
// method that takes one; a blob's name is not the leading parts of another's.
type Blobs interface {
	// Create returns a writer for name. Nothing is visible until Commit;
	// Close without Commit drops what was written. Writing a name again
	// replaces it.
	Create(ctx context.Context, name string) (BlobWriter, error)
	// Open opens a blob, or ErrNotFound.
	Open(ctx context.Context, name string) (Blob, error)
	// Names lists the names with the prefix, sorted.
	Names(ctx context.Context, prefix string) ([]string, error)
	// Delete removes a blob; nil if there is none.
	Delete(ctx context.Context, name string) error
}

// A BlobWriter writes one blob.
type BlobWriter interface {
	io.Writer
	// Commit makes the blob durable and visible.
	Commit() error
	// Close drops the blob unless it was committed.
	Close() error
}
