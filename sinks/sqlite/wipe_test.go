package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// canary begins every value of whoever is going to be erased.
const canary = "c4n4ry-"

// telling is a commit all of whose values, and the documents, begin with mark.
// They are of many lengths, so that rows move about, and rise in no order.
func telling(random *rand.Rand, mark string, n int, revision int64) sinks.Commit {
	value := func(what string) string {
		return fmt.Sprintf("%s%x %s %d %d %s", mark, random.Uint32(), what, n, revision, strings.Repeat("~", random.IntN(150)))
	}
	doc := func(longest int) []byte {
		var b []byte
		for size := random.IntN(longest); len(b) <= size; {
			b = append(b, value("doc")...)
		}
		return b
	}
	keys := func(scheme people.Scheme, n int) (keys []people.Key) {
		for range n {
			keys = append(keys, people.Key{Scheme: scheme, Value: value(string(scheme))})
		}
		return keys
	}
	c := sinks.Commit{
		ID: people.ID{byte(n >> 8), byte(n), 9}, Expect: revision - 1, Revision: revision,
		Profile: doc(20_000), Observations: doc(9000), History: doc(3000),
		Keys:   sinks.Keys{Unique: keys(people.ByUserID, 1), Records: keys("record:ldap", 3), Lookups: keys(people.ByEmail, 4), Facts: keys("access_information.ldap", 20)},
		Notify: sinks.NotifyRelink, NotifyID: value("to"), NotifyFormer: value("from"),
	}
	return c
}

// holding counts how often the files of a vault hold the mark.
func holding(t *testing.T, path, mark string) (n int) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(mark))
	}
	return n
}

// TestErasedForGood looks for the values of people erased in the files
// themselves. A fifth of a crowd goes, whose rows stood among those of others,
// were replaced, and moved as the trees grew.
func TestErasedForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	defer closed(t, s)
	if err := s.Subscribers(t.Context(), []string{"wiki"}); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const crowd, revisions = 300, 4
	mark := func(n int) string {
		if n%5 == 0 {
			return canary
		}
		return "others-"
	}
	for r := range int64(revisions) {
		var batch []sinks.Commit
		for _, n := range random.Perm(crowd) {
			batch = append(batch, telling(random, mark(n), n, r+1))
		}
		results, err := s.Commit(t.Context(), sinks.Fence{}, batch)
		if err := errors.Join(append(results, err)...); err != nil {
			t.Fatal(err)
		}
	}
	if holding(t, path, canary) == 0 {
		t.Fatal("nothing to be erased is in the files")
	}
	for n := 0; n < crowd; n += 5 {
		if _, err := s.Erase(t.Context(), sinks.Fence{}, people.ID{byte(n >> 8), byte(n), 9}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := holding(t, path, canary); n != 0 {
		t.Errorf("%d values of people erased are in the files", n)
	}
	if holding(t, path, "others-") == 0 {
		t.Error("nothing of the others is in the files")
	}
	err := s.Audit(t.Context(), func(p sinks.Stored) (sinks.Keys, error) { return sinks.Keys{}, nil }, func(f sinks.Fault) error {
		if f.ID.IsZero() {
			t.Error("the file is damaged")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

var _ = sql.ErrNoRows
var _ = time.Now
