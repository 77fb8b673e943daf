package firestore

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// The names of collections.
const (
	peopleName       = "people"
	historyName      = "history"
	observationsName = "observations"
	claimsName       = "claims"
	subscribersName  = "subscribers"
	outboxName       = "outbox"
	rowsName         = "rows"
	ledgerName       = "ledger"
	docsName         = "docs"
	fencesName       = "fences"
	heartbeatsName   = "heartbeats"
)

// shards is how many parts the index over times is in. A query asks for all of
// them at once, of which Firestore takes up to 30.
const shards = 16

// personDoc is a document of people. Of somebody erased only Revision, Moved,
// Shard and Erased are set.
type personDoc struct {
	Revision int64     `firestore:"revision"`
	Moved    time.Time `firestore:"moved"`
	Shard    int       `firestore:"shard"`
	Erased   bool      `firestore:"erased,omitempty"`
	// Erasing says that history may be left of somebody erased.
	Erasing bool `firestore:"erasing,omitempty"`

	Profile []byte `firestore:"profile,omitempty"`
	// Observed is the beginning of the SHA-256 of the packed observations, empty
	// if there are none: those that did not change are not written again.
	Observed []byte `firestore:"observed,omitempty"`
	// Active is nil of somebody erased, who so is in no index of it.
	Active *bool `firestore:"active,omitempty"`
	// Login is the user_id in bytes, whose order is the one that is promised.
	Login []byte `firestore:"login,omitempty"`
	// Unique and Records are the names of the documents of claims.
	Unique  []string `firestore:"unique,omitempty"`
	Records []string `firestore:"records,omitempty"`
	// Lookups and Facts are hashes of keys.
	Lookups [][]byte `firestore:"lookups,omitempty"`
	Facts   [][]byte `firestore:"facts,omitempty"`
}

func (p *personDoc) there() bool { return p.Revision > 0 && !p.Erased }

type observationsDoc struct {
	Doc []byte `firestore:"doc"`
}

type historyDoc struct {
	Doc []byte `firestore:"doc"`
	// Token is of the call that wrote it.
	Token []byte `firestore:"token,omitempty"`
}

type claimDoc struct {
	Person []byte `firestore:"person"`
	Scheme string `firestore:"scheme"`
}

type subscribersDoc struct {
	Names []string `firestore:"names"`
}

type rowDoc struct {
	Person    []byte `firestore:"person"`
	Operation string `firestore:"operation"`
	UserID    []byte `firestore:"user_id"`
	Former    []byte `firestore:"former"`
	Revision  int64  `firestore:"revision"`
}

type ledgerDoc struct {
	Key     []byte `firestore:"key"`
	Version int64  `firestore:"version"`
	Body    []byte `firestore:"body"`
	Token   []byte `firestore:"token"`
}

type fenceDoc struct {
	Token  int64  `firestore:"token"`
	Holder string `firestore:"holder"`
}

type heartbeatDoc struct {
	Expires time.Time `firestore:"expires"`
}

// name makes the name of a document of any strings: 43 characters.
func name(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func claimName(k people.Key) string { return name(string(k.Scheme), k.Value) }

// claimNames are distinct, in the order of keys.
func claimNames(keys []people.Key) []string {
	names := make([]string, 0, len(keys))
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		if n := claimName(k); !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names
}

// hashes are distinct, in the order of keys.
func hashes(keys []people.Key) [][]byte {
	list := make([][]byte, 0, len(keys))
	seen := make(map[[16]byte]bool, len(keys))
	for _, k := range keys {
		if h := sinks.KeyHash(k); !seen[h] {
			seen[h] = true
			list = append(list, h[:])
		}
	}
	return list
}

func observed(doc []byte) []byte {
	if len(doc) == 0 {
		return nil
	}
	sum := sha256.Sum256(doc)
	return sum[:16]
}

// shard of a person in the index over times.
func shard(id people.ID) int { return int(id[0]) % shards }

// setKeys writes down what leads to the person.
func (p *personDoc) setKeys(k *sinks.Keys) {
	p.Active = &k.Active
	p.Login = []byte(k.UserID())
	p.Unique, p.Records = claimNames(k.Unique), claimNames(k.Records)
	p.Lookups, p.Facts = hashes(k.Lookups), hashes(k.Facts)
}

func (s *Store) collection(name string) *firestore.CollectionRef { return s.client.Collection(name) }

func (s *Store) personRef(id people.ID) *firestore.DocumentRef {
	return s.collection(peopleName).Doc(id.String())
}

func (s *Store) observationsRef(id people.ID) *firestore.DocumentRef {
	return s.collection(observationsName).Doc(id.String())
}

func (s *Store) historyRef(id people.ID, revision int64) *firestore.DocumentRef {
	return s.personRef(id).Collection(historyName).Doc(fmt.Sprintf("%019d", revision))
}

func (s *Store) claimRef(name string) *firestore.DocumentRef {
	return s.collection(claimsName).Doc(name)
}

func (s *Store) subscribersRef() *firestore.DocumentRef {
	return s.collection(subscribersName).Doc("all")
}

func (s *Store) rows(subscriber string) *firestore.CollectionRef {
	return s.collection(outboxName).Doc(name(subscriber)).Collection(rowsName)
}

func (s *Store) rowRef(subscriber string, id people.ID, operation string) *firestore.DocumentRef {
	return s.rows(subscriber).Doc(id.String() + "." + url.PathEscape(operation))
}

func (s *Store) docs(kind string) *firestore.CollectionRef {
	return s.collection(ledgerName).Doc(name(kind)).Collection(docsName)
}

func (s *Store) docRef(kind, key string) *firestore.DocumentRef { return s.docs(kind).Doc(name(key)) }

func (s *Store) fenceRef(lease string) *firestore.DocumentRef {
	return s.collection(fencesName).Doc(name(lease))
}

func (s *Store) heartbeatRef(lease string) *firestore.DocumentRef {
	return s.collection(heartbeatsName).Doc(name(lease))
}

// decode reads what this package has written; whatever else is there is
// damage and has no value in its error.
func decode(d *firestore.DocumentSnapshot, into any) error {
	if err := d.DataTo(into); err != nil {
		return errDamaged
	}
	return nil
}

var errDamaged = errors.New("a damaged document")

func personID(b []byte) (people.ID, error) {
	if len(b) != len(people.ID{}) {
		return people.ID{}, errDamaged
	}
	return people.ID(b), nil
}
