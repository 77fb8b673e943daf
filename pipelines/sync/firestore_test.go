package sync_test

import (
	"testing"
	"time"

	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/transforms/people"
)

// inFirestore opens an empty vault in the emulator.
func inFirestore(t testing.TB, now func() time.Time) sinks.Store {
	t.Helper()
	e := emulator.Start(t)
	s, err := firestore.Open(t.Context(), e.Project(t), firestore.Options{Now: now, Unramped: true, Client: e.Options()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// onEach runs a test in a new world on each technology of vaults.
func onEach(t *testing.T, name string, run func(t *testing.T, w *synctest.World)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { run(t, synctest.New(t)) })
	t.Run(name+", in Firestore", func(t *testing.T) {
		w := synctest.New(t)
		w.KeepIn(inFirestore(t, w.Clock))
		run(t, w)
	})
}

// TestScenariosInFirestore lives through every story in Firestore, where each
// goes as it goes in SQLite.
func TestScenariosInFirestore(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes")
	}
	for _, s := range stories(t) {
		s.Open = inFirestore
		t.Run(s.Name, func(t *testing.T) {
			if told, want := s.Run(t, false), s.File(); string(told) != string(want) {
				t.Errorf("in Firestore the story goes another way (-want +got):\n%s", synctest.Difference(want, told))
			}
		})
	}
}

// TestDocuments counts what runs ask of Firestore, which is what they cost: of
// people who did not change nothing, so that the number does not depend on how
// many there are.
func TestDocuments(t *testing.T) {
	asked := func(size int) (unchanged, changed sinks.Usage, updates int64) {
		w := synctest.New(t)
		w.KeepIn(inFirestore(t, w.Clock))
		company(t, w, size, 0)
		must(t, w, day(0), synctest.FirstLoad)
		must(t, w, day(1)) // looks at whom the first load wrote
		rec := must(t, w, day(2))
		if rec.Documents == nil {
			t.Fatal("a run in Firestore does not say what it asked for")
		}
		if rec.Writes != 0 || rec.Outcome != sync.Done {
			t.Errorf("%d writes, %s", rec.Writes, rec.Outcome)
		}
		unchanged = *rec.Documents
		company(t, w, size, 3)
		rec = must(t, w, day(3))
		for _, c := range []people.Class{people.Create, people.Update, people.Deactivate, people.Relink, people.Clear} {
			updates += rec.Operations[c]
		}
		t.Logf("%d people: unchanged %+v; %d operations, %d people written: %+v", rec.People, unchanged, updates, rec.Writes, *rec.Documents)
		return unchanged, *rec.Documents, rec.Writes
	}
	few, _, _ := asked(60)
	many, changed, written := asked(240)
	if few != many {
		t.Errorf("an unchanged run asks for %+v of 60 people and for %+v of 240", few, many)
	}
	if few.Reads > 60 {
		t.Errorf("an unchanged run reads %d documents", few.Reads)
	}
	if written == 0 || changed.Reads-many.Reads > 20*written {
		t.Errorf("%d people were written, and %d documents read more than for none", written, changed.Reads-many.Reads)
	}
}
