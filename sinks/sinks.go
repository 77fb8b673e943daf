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

// Head is what a listing says of a person. Of somebody erased, Revision is the
// tombstone's and MovedAt is when it was.
type Head struct {
	ID       people.ID
	Revision int64
	MovedAt  time.Time
	Erased   bool
}

// A Tombstone is what is left of a person who was erased: no value, and the
// last revision, so that none is used again if the person comes back.
type Tombstone struct {
	ID       people.ID
	Revision int64
	ErasedAt time.Time
}

// A Query asks for people by what their profiles say. The zero Query asks for
// everybody, in the order of ids.
type Query struct {
	// Active keeps those who are active, or those who are not; nil keeps both.
	Active *bool
	// Fact keeps those who have it among their facts; the zero Key keeps all.
	Fact people.Key
	// Login keeps those whose user_id begins with it, and has them in the
	// order of the user_id's bytes. It does not go with Fact.
	Login string
	// After is the Next of the page before, "" at first.
	After string
	// Limit is how many a page has at most, from 1.
	Limit int
}

// A Page is one of a search. The people have no Observations. Next is where the
// next page begins, "" after the last; a page may be empty and not the last.
type Page struct {
	People []Stored
	Next   string
}

// Keys are all that leads to a person.
type Keys struct {
	// Unique are the unique claims (user_id, username).
	Unique []people.Key
	// Records are the record ids (scheme "record:…"), unique as well. A record
	// whose link was undone can be somebody else's.
	Records []people.Key
	// Lookups are the keys that lead to the person without being unique
	// (email, former_user_id, posix_id).
	Lookups []people.Key
	// Facts are what the person can be searched by: groups and staff facts, the
	// scheme being the attribute's path. See [Reader.Search].
	Facts []people.Key
	// Active is the profile's attribute.
	Active bool
}

// UserID is the value of the claim of that scheme, "" if there is none.
func (k *Keys) UserID() string {
	for _, u := range k.Unique {
		if u.Scheme == people.ByUserID {
			return u.Value
		}
	}
	return ""
}

// A Commit is the only write of a person: all or nothing.
//
// Revision is Expect+1 if the profile changes (then Profile and History are
// set, and Keys say all that there is) and equal to Expect if only the
// observations do (then Profile is nil, and nothing but Observations, Records,
// Lookups and MovedAt is touched). Expect 0 creates, and so does the revision of the
// [Tombstone] of somebody who was erased. The stored revision must be Expect,
// else ErrConflict; so a commit of a new revision that is repeated has no
// second effect.
type Commit struct {
	ID               people.ID
	Expect, Revision int64
	Profile          []byte
	// Observations are all current observations after the commit, packed;
	// empty if there are none.
	Observations []byte
	// Keys are all that leads to the person after the commit: what is not
	// listed is given up. A commit of observations only says its Records and
	// Lookups, which the observations may change, and leaves the others.
	Keys
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

// NotifyDelete is the operation of an erasure.
const NotifyDelete = "delete"

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
	// Person reads one person. Of somebody erased the result beside ErrNotFound
	// has ID and Revision, from which a creation goes on.
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
	// Moved calls yield for each person written or erased at or after since, by
	// the store's clock, in no order. Implementations widen the window for skew.
	// An error of yield ends it and is returned as it is.
	Moved(ctx context.Context, since time.Time, yield func(Head) error) error
	// History returns the packed history documents of a person, oldest
	// first, with revision > after: none is ErrNotFound only if the person is
	// not there.
	History(ctx context.Context, id people.ID, after int64) ([]HistoryDoc, error)
	// Count returns how many people there are.
	Count(ctx context.Context) (int64, error)
	// Search returns a page of those whom q asks for. Whoever is there from the
	// first page to the last is in one of them and in no two, if neither their
	// user_id (of a search by it) nor what q asks for changes meanwhile.
	Search(ctx context.Context, q Query) (Page, error)
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
	// of the whole batch come as err: then the results are those of a prefix of
	// the batch, and what of the rest was written is to be read.
	Commit(ctx context.Context, fence Fence, commits []Commit) (results []error, err error)
	// Load fills an empty vault fast; not atomic as a whole, safe to repeat
	// with the same people. It is refused with ErrConflict if anybody not in
	// the load is there, or somebody of it at a later revision; an earlier one
	// is raised. Expect is 0 and Revision any from 1, so that a copy keeps the
	// revisions it was made of; of somebody erased it is to be above the
	// tombstone's. Load writes no outbox rows.
	Load(ctx context.Context, fence Fence, commits []Commit) error
	// LoadPart is Load of those whose ids are greater than after and at most
	// last, so that a load need not be in memory as a whole: whoever else is
	// there counts only if their id is. See [LastID].
	LoadPart(ctx context.Context, fence Fence, after, last people.ID, commits []Commit) error
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
	Keeper
	io.Closer
}

// A Keeper looks after a vault: it erases, copies, checks and mends.
type Keeper interface {
	// Erase takes a person out for good: profile, observations, history, keys
	// and outbox rows. A tombstone is left, and with notify not "" one outbox
	// row a subscriber of the operation [NotifyDelete], which names that user_id
	// and all former ones that were not yet told of. What was cut off goes on when
	// it is called again, and once all is gone it changes nothing; ErrNotFound if
	// nobody has been there.
	Erase(ctx context.Context, fence Fence, id people.ID, notify string) (Tombstone, error)
	// Tombstones lists up to limit of them after the given id, sorted by id.
	Tombstones(ctx context.Context, after people.ID, limit int) ([]Tombstone, error)
	// Restore writes what a copy has beside people loaded: the tombstones of
	// those who are not there, and history of those who are, below their
	// revision. Restoring again changes nothing; ErrConflict if the person is
	// there, or not there, or the revision is not below theirs.
	Restore(ctx context.Context, fence Fence, tombstones []Tombstone, histories []History) error
	// RestoreOutbox writes outbox rows as they are, over those that are there of
	// the same subscriber, person and operation; whether the subscriber is on the
	// list, or the person there, does not matter.
	RestoreOutbox(ctx context.Context, fence Fence, rows []OutboxRow) error
	// Audit reads all of the vault and yields what is wrong with what leads to
	// people, or hangs from them: want says what leads to somebody, and is not
	// asked about whom the store cannot unpack. An error of want or yield ends it
	// and is returned as it is. What is written meanwhile may be yielded though it
	// is right.
	Audit(ctx context.Context, want func(Stored) (Keys, error), yield func(Fault) error) error
	// Mend makes the keys those that lead to the person, and nothing else: with
	// the person's revision, else ErrConflict; ErrTaken if somebody has one
	// rightly. With revision 0, of nobody who is there, it drops all that leads to
	// them or hangs from them.
	Mend(ctx context.Context, fence Fence, id people.ID, revision int64, keys Keys) error
}

// History is a part of a person's history.
type History struct {
	ID   people.ID
	Docs []HistoryDoc
}

// A Fault is what an audit finds. ID is whose it is, who need not be there.
type Fault struct {
	ID   people.ID
	Kind FaultKind
	// Scheme of the key, "" if it is none, or the store does not know.
	Scheme people.Scheme
	// Revision of a history document, 0 if it is none.
	Revision int64
}

// A FaultKind says what is wrong.
type FaultKind string

// What Audit finds. Mend sets right all but the last three.
const (
	FaultMissing FaultKind = "missing" // a key does not lead to whom it should
	FaultExtra   FaultKind = "extra"   // a key leads to somebody who is there and has it not
	FaultOrphan  FaultKind = "orphan"  // something is of somebody who is not there
	FaultTaken   FaultKind = "taken"   // a unique key leads to another, who is there
	FaultHistory FaultKind = "history" // a revision since the first that has some has no history
	FaultDamaged FaultKind = "damaged" // something cannot be read
)

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

// A Usage is what was asked of a store that is paid by the document. A query
// that finds nobody is one read.
type Usage struct {
	Reads   int64 `json:"reads"`
	Writes  int64 `json:"writes"`
	Deletes int64 `json:"deletes"`
	// Retries are requests that were made again.
	Retries int64 `json:"retries"`
}

// A Metered is a store that counts what is asked of it.
type Metered interface{ Usage() Usage }

// A Versioned store can tell cheaply that nothing was written: what was read
// after Version gave a number still holds while it gives the same one.
type Versioned interface {
	Version(ctx context.Context) (int64, error)
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
