package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sinktest"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

func open(t *testing.T, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fresh(t *testing.T, now func() time.Time) sinks.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "cis.db"), sqlite.Options{Now: now})
}

// TestLinearizable has one file open twice, as two processes would.
func TestLinearizable(t *testing.T) {
	sinktest.Linearizable(t, func(t *testing.T) (list []sinks.Store) {
		path := filepath.Join(t.TempDir(), "cis.db")
		for range 2 {
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			list = append(list, s)
		}
		return list
	})
}

func TestVault(t *testing.T)  { sinktest.Vault(t, fresh) }
func TestLedger(t *testing.T) { sinktest.Ledger(t, fresh) }

// person returns the commit of the n-th person that follows expect.
func person(n byte, expect int64) sinks.Commit {
	doc := func(what string) []byte { return fmt.Appendf(nil, "%s %d %d", what, n, expect+1) }
	return sinks.Commit{
		ID: people.ID{n, 1}, Expect: expect, Revision: expect + 1,
		Profile: doc("profile"), Observations: doc("observations"), History: doc("history"),
		Keys: sinks.Keys{Unique: []people.Key{{Scheme: people.ByUserID, Value: fmt.Sprint(n)}}},
	}
}

func commit(t *testing.T, s *sqlite.Store, fence sinks.Fence, c sinks.Commit) {
	t.Helper()
	results, err := s.Commit(t.Context(), fence, []sinks.Commit{c})
	if err == nil {
		err = results[0]
	}
	if err != nil {
		t.Fatal(err)
	}
}

func closed(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStaysWhenClosed(t *testing.T) {
	// A path may hold what means something in a URI.
	path := filepath.Join(t.TempDir(), "a?b#c%41 d&e;.db")
	s := open(t, path, sqlite.Options{})
	commit(t, s, sinks.Fence{}, person(1, 0))
	fence, err := s.Acquire(t.Context(), "sync", "one", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, path, sqlite.Options{})
	defer closed(t, s)
	commit(t, s, fence, person(1, 1))
	if p, err := s.Person(t.Context(), people.ID{1, 1}); err != nil || string(p.Profile) != "profile 1 2" {
		t.Errorf("%q, %v", p.Profile, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	for _, e := range entries { // the database, -wal and -shm
		st, err := e.Info()
		if err != nil || st.Mode().Perm() != 0o600 || !strings.HasPrefix(e.Name(), filepath.Base(path)) {
			t.Errorf("%s has mode %v, %v; want 0600", e.Name(), st.Mode(), err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a vault that is not there: %v", err)
	}
	w := open(t, path, sqlite.Options{})
	commit(t, w, sinks.Fence{}, person(1, 0))
	r := open(t, path, sqlite.Options{ReadOnly: true})
	commit(t, w, sinks.Fence{}, person(1, 1)) // a reader beside a writer sees what it commits
	if p, err := r.Person(t.Context(), people.ID{1, 1}); err != nil || p.Revision != 2 {
		t.Errorf("revision %d, %v, want 2", p.Revision, err)
	}
	writes := map[string]func() error{
		"Commit": func() error {
			_, err := r.Commit(t.Context(), sinks.Fence{}, []sinks.Commit{person(2, 0)})
			return err
		},
		"Load":        func() error { return r.Load(t.Context(), sinks.Fence{}, []sinks.Commit{person(2, 0)}) },
		"Put":         func() error { _, err := r.Put(t.Context(), sinks.Doc{Kind: "k", Key: "k"}); return err },
		"Remove":      func() error { return r.Remove(t.Context(), sinks.Doc{Kind: "k", Key: "k"}) },
		"Subscribers": func() error { return r.Subscribers(t.Context(), nil) },
		"Delivered":   func() error { _, err := r.Delivered(t.Context(), sinks.OutboxRow{}); return err },
		"Acquire":     func() error { _, err := r.Acquire(t.Context(), "l", "h", time.Hour); return err },
		"Renew":       func() error { return r.Renew(t.Context(), sinks.Fence{Lease: "l"}, time.Hour) },
		"Erase": func() error {
			_, err := r.Erase(t.Context(), sinks.Fence{}, people.ID{1, 1}, "")
			return err
		},
		"Restore": func() error { return r.Restore(t.Context(), sinks.Fence{}, nil, nil) },
		"Mend":    func() error { return r.Mend(t.Context(), sinks.Fence{}, people.ID{1, 1}, 2, sinks.Keys{}) },
		"Release": func() error { return r.Release(t.Context(), sinks.Fence{Lease: "l"}) },
	}
	for name, write := range writes {
		if err := write(); err == nil || !strings.Contains(err.Error(), "read only") {
			t.Errorf("%s: %v, want that it is read only", name, err)
		}
	}
	closed(t, r)
	closed(t, w)
	r = open(t, path, sqlite.Options{ReadOnly: true}) // and with nobody else there
	if n, err := r.Count(t.Context()); err != nil || n != 1 {
		t.Errorf("count %d, %v", n, err)
	}
	closed(t, r)
}

func TestRefusesOtherFiles(t *testing.T) {
	made := func(statements ...string) string {
		path := filepath.Join(t.TempDir(), "other.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	text, empty := filepath.Join(t.TempDir(), "notes.txt"), filepath.Join(t.TempDir(), "empty")
	if err := errors.Join(os.WriteFile(text, []byte(strings.Repeat("no database ", 1000)), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	later := filepath.Join(t.TempDir(), "later.db")
	closed(t, open(t, later, sqlite.Options{}))
	db, err := sql.Open("sqlite", later)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, test := range []struct {
		path, want string
		readOnly   bool
	}{
		{made("CREATE TABLE notes (text)"), "another program", false},
		{made("CREATE TABLE notes (text)"), "another program", true},
		{made("PRAGMA user_version = 1"), "another program", false},
		{text, "not a database", false},
		{empty, "empty file", true},
		{later, "format 99", false},
		{later, "format 99", true},
		{t.TempDir(), "not a file", false},
		{filepath.Join(t.TempDir(), "no", "folder", "cis.db"), "no such file", false},
	} {
		s, err := sqlite.Open(t.Context(), test.path, sqlite.Options{ReadOnly: test.readOnly})
		if err == nil {
			closed(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", filepath.Base(test.path), err, test.want)
		}
	}
}

// Several connections stand for several processes: they share nothing but
// the files.
func TestProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	const processes, rounds = 4, 30
	var wg sync.WaitGroup
	var won [processes][]int64
	for i := range processes {
		wg.Go(func() {
			// Whoever comes first makes the tables.
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer closed(t, s)
			for len(won[i]) < rounds && !t.Failed() {
				p, err := s.Person(t.Context(), people.ID{1, 1})
				if err != nil && !errors.Is(err, sinks.ErrNotFound) {
					t.Error(err)
					return
				}
				results, err := s.Commit(t.Context(), sinks.Fence{}, []sinks.Commit{person(1, p.Revision)})
				switch {
				case err != nil:
					t.Error(err)
					return
				case results[0] == nil:
					won[i] = append(won[i], p.Revision+1)
				case !errors.Is(results[0], sinks.ErrConflict):
					t.Error(results[0])
					return
				}
			}
		})
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(won[:]...)))
	for i, r := range all {
		if r != int64(i+1) {
			t.Fatalf("revision %d was written by two, or by none", i+1)
		}
	}
	s := open(t, path, sqlite.Options{})
	defer closed(t, s)
	if docs, err := s.History(t.Context(), people.ID{1, 1}, 0); err != nil || len(docs) != processes*rounds {
		t.Errorf("history of %d revisions, %v, want %d", len(docs), err, processes*rounds)
	}
}

// A paused holder is fenced by a lease that another process took.
func TestFencedByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	paused := open(t, path, sqlite.Options{Now: func() time.Time { return now }})
	defer closed(t, paused)
	other := open(t, path, sqlite.Options{Now: func() time.Time { return now.Add(time.Hour) }})
	defer closed(t, other)
	fence, err := paused.Acquire(t.Context(), "sync", "paused", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, paused, fence, person(1, 0))
	if _, err := other.Acquire(t.Context(), "sync", "other", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := paused.Commit(t.Context(), fence, []sinks.Commit{person(1, 1)}); !errors.Is(err, sinks.ErrFenced) {
		t.Errorf("commit of the paused one: %v", err)
	}
}

// A writer that waits for another process's lock gives up with its context.
func TestWaitEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	defer closed(t, s)
	db, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Commit(ctx, sinks.Fence{}, []sinks.Commit{person(1, 0)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("commit while another writes: %v", err)
	}
	if n, err := s.Count(t.Context()); err != nil || n != 0 { // readers do not wait
		t.Errorf("count %d, %v", n, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, sinks.Fence{}, person(1, 0))
}
