//go:build unix

package main

import (
	"bytes"
	"path/filepath"
	"testing"
)

// TestCrashFirestore lives through days in Firestore in which each run is
// killed, at one place after the other, and simply run again. Beside it the
// same company lives through the same days in SQLite, where nobody is killed:
// after each day both have the same people.
func TestCrashFirestore(t *testing.T) {
	vault, _ := emulated(t)
	l := newLab(t, 1)
	quiet := filepath.Join(t.TempDir(), "company")
	l.run(t, "", []string{"synth", quiet, "--people", "50"}, 0)
	killedOften := copyFolder(t, quiet)
	inFirestore := func(args ...string) []string { return append(in(killedOften, args...), "--vault", vault) }
	places := runPlaces()
	if testing.Short() {
		places = []string{"apply.committed", "snapshot.head"}
	}
	same := func(day int, place string) {
		t.Helper()
		want, got := l.run(t, "", in(quiet, "dump"), 0), l.run(t, "", inFirestore("dump"), 0)
		if !bytes.Equal(got.out.Bytes(), want.out.Bytes()) {
			t.Errorf("day %d, killed at %s: the dump differs from that of SQLite", day, place)
		}
	}
	l.run(t, "", in(quiet, firstLoad()...), 0, 3)
	l.run(t, "apply.committed", inFirestore(firstLoad()...), killed)
	l.run(t, "", inFirestore(firstLoad()...), 0, 3)
	same(0, "apply.committed")
	for day := 1; len(places) > 0; day++ {
		if day > 60 {
			t.Fatalf("no run passed %q", places)
		}
		place, sources := places[0], synthDay(t, 50, day)
		lay(t, quiet, sources)
		lay(t, killedOften, sources)
		l.run(t, "", in(quiet, at(day)...), 0, 3)
		if l.run(t, place, inFirestore(at(day)...), killed, 0, 3).ProcessState.Exited() {
			continue // on a day on which nobody changed some places are not passed
		}
		l.run(t, "", inFirestore(at(day)...), 0, 3)
		same(day, place)
		places = places[1:]
	}
	l.run(t, "", inFirestore("verify", "--all"), 0)
	l.run(t, "", inFirestore("vault", "check"), 0)
}
