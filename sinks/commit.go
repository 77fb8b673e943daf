package sinks

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"example.org/cis/transforms/people"
)

// The limits of one commit, chosen so that its documents can be counted
// before anything is read: the person, the observations and the history
// entry, at most MaxUnique claims and MaxRecords records given up and as many
// taken, and MaxSubscribers outbox rows make 97, within [MaxDocuments]. Their
// bytes stay within [MaxCommitBytes] in the same way.
const (
	MaxUnique = 10
	// MaxRecords is twice as many as there are publishers, each of whom has
	// one record of a person.
	MaxRecords = 12
	// MaxLookups keeps the person's document, which carries them beside the
	// profile, within 1 MiB.
	MaxLookups = 60
	// MaxFacts is how many groups and staff facts a person is searched by. Stores
	// keep 16 bytes of each ([KeyHash]), whatever its length.
	MaxFacts = 2000
	// MaxKeyBytes is the length of the longest value of a key in bytes, as
	// long as the name of a Firestore document may be.
	MaxKeyBytes = 1500
)

// recordScheme begins the scheme of every record id.
const recordScheme = "record:"

// IsUnique reports whether a key of the scheme leads to one person at most:
// user_id, username and record ids.
func IsUnique(s people.Scheme) bool {
	return s == people.ByUserID || s == people.ByUsername || strings.HasPrefix(string(s), recordScheme)
}

// LastID returns the greatest id: with the zero one before it, everybody is in
// between.
func LastID() (id people.ID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}

// ValidateLoad reports why no store may load c as one of those whose ids are
// greater than after and at most last.
func (c *Commit) ValidateLoad(after, last people.ID) error {
	asCommit := *c
	asCommit.Expect = c.Revision - 1
	switch err := asCommit.Validate(); {
	case err != nil:
		return err
	case c.Expect != 0:
		return ErrConflict
	case bytes.Compare(c.ID[:], after[:]) <= 0 || bytes.Compare(c.ID[:], last[:]) > 0:
		return errors.New("sinks: somebody who is not of the part that is loaded")
	}
	return nil
}

// Validate reports why no store may search for q.
func (q *Query) Validate() error {
	switch {
	case q.Limit < 1:
		return errors.New("sinks: a page of nobody: the limit is from 1")
	case (q.Fact.Scheme == "") != (q.Fact.Value == ""):
		return errors.New("sinks: a fact without scheme or value")
	case q.Login != "" && q.Fact != (people.Key{}):
		return errors.New("sinks: a search by user_id and by a fact")
	}
	return nil
}

// Validate reports why no store may write c: a form that the doc of Commit
// rules out, or ErrTooLarge with the name of what is.
func (c *Commit) Validate() error {
	switch {
	case c.ID.IsZero():
		return errors.New("sinks: a commit of nobody")
	case c.Expect < 0 || c.Revision < 1 || c.Revision != c.Expect && c.Revision != c.Expect+1:
		return fmt.Errorf("sinks: revision %d cannot follow %d", c.Revision, c.Expect)
	case c.Revision == c.Expect && len(c.Profile) > 0:
		return errors.New("sinks: a profile without a new revision")
	case (c.Notify == NotifyRelink) != (c.NotifyFormer != "") || strings.Contains(c.NotifyFormer, "\n"):
		return errors.New("sinks: a relink names one former user_id, and nothing else does")
	case c.Revision != c.Expect && (len(c.Profile) == 0 || len(c.History) == 0):
		return errors.New("sinks: a new revision without profile or history")
	}
	if err := within([]size{
		{"bytes of packed profile", len(c.Profile), MaxProfileBytes},
		{"bytes of packed observations", len(c.Observations), MaxDocBytes},
		{"bytes of packed history", len(c.History), MaxDocBytes},
	}); err != nil {
		return err
	}
	return c.Keys.Validate()
}

// A size is how much there is of something, and may be at most.
type size struct {
	what    string
	n, most int
}

// within is ErrTooLarge if one of the sizes is.
func within(sizes []size) error {
	for _, s := range sizes {
		if s.n > s.most {
			return fmt.Errorf("sinks: %d %s, at most %d: %w", s.n, s.what, s.most, ErrTooLarge)
		}
	}
	return nil
}

// Validate reports why nothing may lead to anybody by k.
func (k *Keys) Validate() error {
	if err := within([]size{
		{"unique claims", len(k.Unique), MaxUnique},
		{"records", len(k.Records), MaxRecords},
		{"lookups", len(k.Lookups), MaxLookups},
		{"facts", len(k.Facts), MaxFacts},
	}); err != nil {
		return err
	}
	for _, k := range k.Unique {
		if !IsUnique(k.Scheme) || strings.HasPrefix(string(k.Scheme), recordScheme) {
			return fmt.Errorf("sinks: a key of scheme %s among the unique claims", k.Scheme)
		}
	}
	for _, k := range k.Records {
		if !strings.HasPrefix(string(k.Scheme), recordScheme) {
			return fmt.Errorf("sinks: a key of scheme %s among the record ids", k.Scheme)
		}
	}
	for _, k := range k.Lookups {
		if IsUnique(k.Scheme) {
			return fmt.Errorf("sinks: a key of scheme %s among the lookups", k.Scheme)
		}
	}
	for i, keys := range [...][]people.Key{k.Facts, k.Unique, k.Records, k.Lookups} {
		for _, k := range keys {
			if k.Scheme == "" || k.Value == "" {
				return errors.New("sinks: an empty key")
			}
			if i > 0 && len(k.Value) > MaxKeyBytes { // of a fact the hash is kept
				return fmt.Errorf("sinks: a key of scheme %s with %d bytes, at most %d: %w", k.Scheme, len(k.Value), MaxKeyBytes, ErrTooLarge)
			}
		}
	}
	return nil
}

// KeyHash is what a store keeps of a fact, so that each takes the same few
// bytes whatever its value: the beginning of the SHA-256 of scheme, a zero byte
// and value.
func KeyHash(k people.Key) [16]byte {
	sum := sha256.Sum256(append(append([]byte(k.Scheme), 0), k.Value...))
	return [16]byte(sum[:16])
}

// ValidateDoc reports why no store may write d, see [Ledger.Put].
func ValidateDoc(d Doc) error {
	switch {
	case d.Kind == "" || d.Key == "":
		return errors.New("sinks: a document without kind or key")
	case len(d.Kind) > MaxKeyBytes || len(d.Key) > MaxKeyBytes:
		return fmt.Errorf("sinks: kind or key beyond %d bytes: %w", MaxKeyBytes, ErrTooLarge)
	case len(d.Body) > MaxDocBytes:
		return fmt.Errorf("sinks: %d bytes, at most %d: %w", len(d.Body), MaxDocBytes, ErrTooLarge)
	}
	return nil
}
