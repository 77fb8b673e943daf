package sqlite_test

import (
	"bytes"
	"context"
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
	sound(t, s)
}

// TestErasedBeside erases people while another process writes others, whose rows
// move the pages about that are being overwritten.
func TestErasedBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s, beside := open(t, path, sqlite.Options{}), open(t, path, sqlite.Options{})
	defer closed(t, s)
	defer closed(t, beside)
	random := rand.New(rand.NewPCG(3, 4))
	const crowd = 40
	for n := range crowd {
		commit(t, s, sinks.Fence{}, telling(random, canary, n, 1))
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(5, 6))
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			n, r := crowd+i%crowd, int64(i/crowd)
			results, err := beside.Commit(t.Context(), sinks.Fence{}, []sinks.Commit{telling(random, "others-", n, r+1)})
			if err := errors.Join(append(results, err)...); err != nil {
				done <- err
				return
			}
		}
	}()
	for n := range crowd {
		if _, err := s.Erase(t.Context(), sinks.Fence{}, people.ID{byte(n >> 8), byte(n), 9}, ""); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := holding(t, path, canary); n != 0 {
		t.Errorf("%d values of people erased are in the files", n)
	}
	sound(t, s)
}

// sound checks that SQLite finds the file whole, and all rows to be of somebody.
func sound(t *testing.T, s *sqlite.Store) {
	t.Helper()
	err := s.Audit(t.Context(), func(p sinks.Stored) (sinks.Keys, error) { return sinks.Keys{}, nil }, func(f sinks.Fault) error {
		if f.ID.IsZero() || f.Kind == sinks.FaultOrphan {
			t.Errorf("an audit finds %v", f)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// An erasure is not over while somebody reads a state from before it. Called
// again after that it is.
func TestErasedWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	defer closed(t, s)
	random := rand.New(rand.NewPCG(7, 8))
	c := telling(random, canary, 1, 1)
	commit(t, s, sinks.Fence{}, c)
	reader, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	read, err := reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := read.QueryRow("SELECT count(*) FROM person").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Erase(ctx, sinks.Fence{}, c.ID, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("erased while somebody reads it: %v", err)
	}
	if _, err := s.Person(t.Context(), c.ID); !errors.Is(err, sinks.ErrNotFound) {
		t.Errorf("half erased: %v", err)
	}
	commit(t, s, sinks.Fence{}, person(2, 0)) // others write meanwhile
	if err := read.Rollback(); err != nil {
		t.Fatal(err)
	}
	if holding(t, path, canary) == 0 {
		t.Error("nobody could have read it")
	}
	if stone, err := s.Erase(t.Context(), sinks.Fence{}, c.ID, ""); err != nil || stone.Revision != 2 {
		t.Errorf("erased again: revision %d, %v", stone.Revision, err)
	}
	if n := holding(t, path, canary); n != 0 {
		t.Errorf("%d values of somebody erased are in the files", n)
	}
}

// What subscribers are still to be told stays, and goes when they were.
func TestErasedAndTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	if err := s.Subscribers(t.Context(), []string{"wiki"}); err != nil {
		t.Fatal(err)
	}
	c := telling(rand.New(rand.NewPCG(9, 10)), canary, 1, 1)
	commit(t, s, sinks.Fence{}, c)
	if _, err := s.Erase(t.Context(), sinks.Fence{}, c.ID, c.Unique[0].Value); err != nil {
		t.Fatal(err)
	}
	if n := holding(t, path, canary); n != 2 {
		t.Errorf("%d values of somebody erased are in the files, want the two user ids that are to be told", n)
	}
	rows, err := s.Outbox(t.Context(), "wiki", 10)
	if err != nil || len(rows) != 1 || rows[0].Former != c.NotifyFormer {
		t.Fatalf("outbox: %d rows, %v", len(rows), err)
	}
	if told, err := s.Delivered(t.Context(), rows[0]); err != nil || !told {
		t.Fatalf("delivered %v, %v", told, err)
	}
	closed(t, s)
	if n := holding(t, path, canary); n != 0 {
		t.Errorf("told and closed, %d values of somebody erased are in the files", n)
	}
}
