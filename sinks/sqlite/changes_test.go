package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
)

func BenchmarkVersion(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "v.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.Version(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// A commit of anybody, here or in another process, changes the version, and
// nothing else does.
func TestVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.db")
	var stores []*sqlite.Store
	for range 2 {
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	version := func() int64 {
		t.Helper()
		v, err := stores[0].Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	if _, err := stores[0].Count(t.Context()); err != nil || version() != before {
		t.Error("a read changes the version", err)
	}
	for i, s := range stores {
		if _, err := s.Put(t.Context(), sinks.Doc{Kind: "test", Key: string(rune('a' + i)), Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		now := version()
		if now == before {
			t.Errorf("a write by store %d does not change the version", i)
		}
		before = now
	}
	read, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	before, err = read.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stores[0].Put(t.Context(), sinks.Doc{Kind: "test", Key: "c", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if now, err := read.Version(t.Context()); err != nil || now == before {
		t.Error("a store that only reads sees no change", err)
	}
}

// However many ask at the same time, nobody is told a version from before their
// own write.
func TestVersionOfMany(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "v.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 40 {
				before, err := s.Version(t.Context())
				if err != nil {
					t.Error(err)
				}
				if _, err := s.Put(t.Context(), sinks.Doc{Kind: "test", Key: fmt.Sprint(i), Version: int64(n), Body: []byte("x")}); err != nil {
					t.Error(err)
				}
				if after, err := s.Version(t.Context()); err != nil || after == before {
					t.Error("a write is not seen by whoever made it", err)
				}
			}
		})
	}
	wg.Wait()
}
