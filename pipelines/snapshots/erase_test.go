package snapshots_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
)

// profiles are all profiles in all snapshots that are kept whole, "erased" for
// those that are blank.
func profiles(t *testing.T, w *synctest.World) map[string]string {
	t.Helper()
	all := map[string]string{}
	names, err := w.Blobs().Names(t.Context(), "snapshots/")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		run, found := strings.CutSuffix(strings.TrimPrefix(name, "snapshots/"), "/manifest.json")
		if !found {
			continue
		}
		s, err := snapshots.Open(t.Context(), w.Blobs(), run)
		if errors.Is(err, sinks.ErrNotFound) {
			continue // pruned up to what later ones need
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Rows.Len() {
			r := s.Rows.At(i)
			p, err := s.Profile(t.Context(), r)
			switch key := run + " " + r.ID.String(); {
			case errors.Is(err, snapshots.ErrErased):
				all[key] = "erased"
			case err != nil:
				t.Fatal(err)
			default:
				all[key] = string(p.AppendJSON(nil))
			}
		}
		s.Close()
	}
	return all
}

// TestErasure erases somebody from snapshots that share segments, were
// compacted, and were pruned so that nobody knows any more whose the bytes are
// that the later ones do not need.
func TestErasure(t *testing.T) {
	w := synctest.New(t)
	ctx := t.Context()
	const who = 5
	keys := map[int]int{}
	var head string
	for i, n := range []int{0, 1, 2, 3, 50, 51, 52, 53} { // on day 50 the first ones are pruned
		keys[who], keys[6+i] = n, n
		if n == 52 {
			for k := range crew { // enough to compact
				keys[k] = n
			}
		}
		write(t, w, keys)
		head = run(t, w, n)
	}
	found, err := synctest.People(ctx, w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	id := found[slices.IndexFunc(found, func(p synctest.Person) bool {
		return strings.HasSuffix(p.Profile.Value("user_id").Text(), fmt.Sprint("|crew", who))
	})].ID
	// What is left of a run that died, and belongs to no snapshot.
	if err := snapshots.Write(ctx, w.Blobs(), "snapshots/dead/body-0000", sinks.Pack([]byte("key 1 of 5 was here"))); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, n := range []int{0, 1, 2, 3, 50, 51, 52, 53} {
		words = append(words, fmt.Sprintf("key %d of %d\"", n, who))
	}
	scan := func() (places []string) {
		names, err := w.Blobs().Names(ctx, "snapshots/")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			body, err := snapshots.Read(ctx, w.Blobs(), name)
			if err != nil {
				t.Fatal(err)
			}
			if len(synctest.Holding(body, words)) > 0 {
				places = append(places, name)
			}
		}
		return places
	}
	before := profiles(t, w)
	if places := scan(); len(places) < 5 {
		t.Fatalf("before, only %s have something of them", places)
	}
	hash, err := sync.Hasher(ctx, w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	records, err := snapshots.RecordsOf(ctx, w.Blobs(), head, id)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records: %v", len(records), err)
	}
	e := snapshots.Erasure{Person: id, Records: records, Hash: hash, Head: head}
	var deleted []string
	if err := e.Run(ctx, w.Blobs(), func(name string, gone bool) error {
		if gone {
			deleted = append(deleted, name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if places := scan(); len(places) > 0 {
		t.Errorf("left in %s", places)
	}
	if !slices.Contains(deleted, "snapshots/dead/body-0000") {
		t.Errorf("deleted are %s", deleted)
	}
	erased, after := 0, profiles(t, w)
	for key, was := range before {
		switch is := after[key]; {
		case strings.HasSuffix(key, id.String()) && is == "erased":
			erased++
		case is != was:
			t.Errorf("%s is another", key)
		}
	}
	if erased < 4 || len(after) != len(before) {
		t.Errorf("%d are erased, and there are %d profiles of %d", erased, len(after), len(before))
	}
	if err := e.Run(ctx, w.Blobs(), func(name string, _ bool) error {
		t.Errorf("once more, %s is written or deleted", name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	// The books of the next snapshot are right, in which they come back.
	if _, err := w.Store(t).Erase(ctx, sinks.Fence{}, id, ""); err != nil {
		t.Fatal(err)
	}
	whole(t, w, open(t, w, run(t, w, 54)))
}
