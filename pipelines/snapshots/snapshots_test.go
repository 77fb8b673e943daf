package snapshots_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/people"
)

func TestMain(m *testing.M) {
	if err := beamrun.Init(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crew = 30

func day(n int) time.Time { return time.Date(2026, 3, 2+n, 6, 0, 0, 0, time.UTC) }

// write gives the world a crew, of which everybody has the key of a day, and
// the first a team of one.
func write(t testing.TB, w *synctest.World, keys map[int]int) {
	t.Helper()
	var b strings.Builder
	for i := range crew {
		fmt.Fprintf(&b, "dn: uid=crew%d,o=com,dc=example\nobjectClass: inetOrgPerson\nentryUUID: 00000000-0000-4000-8000-%012d\nuid: crew%d\nmail: crew%d@example.com\nsn: Crew\n", i, i, i, i)
		fmt.Fprintf(&b, "sshPublicKey: key %d of %d\n\n", keys[i], i)
	}
	w.Write(t, synctest.PeopleFile, b.String())
	w.Write(t, synctest.WorkersFile, fmt.Sprintf(`{"Report_Entry":[{"EmployeeID":"E0","CurrentlyActive":"1","PrimaryWorkEmail":"crew0@example.com","Team":"%d"}]}`, keys[crew]))
}

func run(t testing.TB, w *synctest.World, n int) string {
	t.Helper()
	rec, err := w.Sync(context.Background(), day(n), synctest.FirstLoad)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Run
}

func open(t testing.TB, w *synctest.World, run string) *snapshots.World {
	t.Helper()
	s, err := snapshots.Open(context.Background(), w.Blobs(), run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// whole fails unless the snapshot holds the vault as it is now.
func whole(t testing.TB, w *synctest.World, s *snapshots.World) {
	t.Helper()
	all, err := synctest.People(t.Context(), w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows.Len() != len(all) || s.Manifest.Count != int64(len(all)) {
		t.Fatalf("%d rows for %d people", s.Rows.Len(), len(all))
	}
	for _, p := range all {
		r, ok := s.Rows.Find(p.ID)
		if !ok || r.Revision != p.Revision {
			t.Fatalf("%s: revision %d, in the snapshot %d", p.ID, p.Revision, r.Revision)
		}
		body, err := s.Profile(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body.AppendJSON(nil), p.Profile.AppendJSON(nil)) {
			t.Errorf("%s is another in the snapshot", p.ID)
		}
	}
	var size, live int64
	for _, g := range s.Manifest.Segments {
		b, err := w.Blobs().Open(t.Context(), g.Name)
		if err != nil {
			t.Fatal(err)
		}
		if b.Size() != g.Size || g.Live < 0 || g.Live > g.Size {
			t.Errorf("%s has %d bytes, the manifest says %d, %d of them live", g.Name, b.Size(), g.Size, g.Live)
		}
		b.Close()
		size, live = size+g.Size, live+g.Live
	}
	rows := int64(0)
	for i := range s.Rows.Len() {
		rows += int64(s.Rows.At(i).Length)
	}
	if rows != live {
		t.Errorf("rows point to %d bytes, the manifest says %d", rows, live)
	}
	if (size-live)*100 > size*20 {
		t.Errorf("%d of %d bytes are dead", size-live, size)
	}
}

// TestCompaction changes somebody every day: each snapshot is a small segment
// more, until a fifth is dead and one segment takes the place of all. Every
// snapshot on the way is whole, at the time and later.
func TestCompaction(t *testing.T) {
	w := synctest.New(t)
	keys := map[int]int{}
	compacted, most := 0, 0
	for n := range 12 {
		keys[n%crew] = n
		write(t, w, keys)
		s := open(t, w, run(t, w, n))
		whole(t, w, s)
		most = max(most, len(s.Manifest.Segments))
		if n > 0 && len(s.Manifest.Segments) == 1 {
			compacted++
			if name := s.Manifest.Segments[0].Name; name != snapshots.Dir(s.Manifest.Run)+"body-all" {
				t.Errorf("day %d: the one segment is %s", n, name)
			}
		}
	}
	if compacted != 1 || most < 5 {
		t.Errorf("compacted %d times, at most %d segments: want once in these days, after some", compacted, most)
	}
}

// TestBetweenRuns compares snapshots of any two runs without the vault.
func TestBetweenRuns(t *testing.T) {
	w := synctest.New(t)
	var runs []string
	keys := map[int]int{}
	for n := range 4 {
		if n > 0 {
			keys[n], keys[20] = n, n
		}
		write(t, w, keys)
		runs = append(runs, run(t, w, n))
	}
	changed := func(from, to string) (uids []string) {
		a, b := open(t, w, from), open(t, w, to)
		for i := range b.Rows.Len() {
			y := b.Rows.At(i)
			x, known := a.Rows.Find(y.ID)
			if known && x.Content == y.Content {
				continue
			}
			now, err := b.Profile(t.Context(), y)
			if err != nil {
				t.Fatal(err)
			}
			var was *people.Profile
			if known {
				if was, err = a.Profile(t.Context(), x); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range diff.Profiles(was, now) {
				if known && d.Path != "ssh_public_keys" {
					t.Errorf("%s changed", d.Path)
				}
			}
			uids = append(uids, now.Value("identities.mozilla_posix_id").Text())
		}
		slices.Sort(uids)
		return uids
	}
	for _, x := range []struct {
		from, to int
		want     string
	}{{0, 1, "crew1 crew20"}, {1, 3, "crew2 crew20 crew3"}, {0, 3, "crew1 crew2 crew20 crew3"}, {2, 2, ""}} {
		if got := strings.Join(changed(runs[x.from], runs[x.to]), " "); got != x.want {
			t.Errorf("from day %d to %d changed %q, want %q", x.from, x.to, got, x.want)
		}
	}
	if got := changed("", runs[0]); len(got) != crew {
		t.Errorf("from nothing to day 0 changed %d, want all %d", len(got), crew)
	}
}

// TestPrune lets two months go by. What is older than Keep goes, what a younger
// snapshot points to stays, the head is always whole, and in the end nothing
// of the first days is left, not even what was needed for long.
func TestPrune(t *testing.T) {
	w := synctest.New(t)
	keys := map[int]int{}
	days := map[string]int{}
	for n := 0; n < 64; n += 4 {
		if n < 40 { // afterwards nothing changes for a while
			keys[n%7] = n
		}
		if n == 60 {
			for i := range crew + 1 {
				keys[i] = n
			}
		}
		write(t, w, keys)
		id := run(t, w, n)
		days[id] = n
		whole(t, w, open(t, w, id))
		names, err := w.Blobs().Names(t.Context(), "snapshots/")
		if err != nil {
			t.Fatal(err)
		}
		for run, day := range days {
			young := n-day <= 35
			if got := slices.Contains(names, snapshots.Dir(run)+"lists.json"); got != young {
				t.Errorf("day %d: the lists of day %d are there: %v", n, day, got)
			}
			if young {
				open(t, w, run)
			}
		}
		for _, name := range names { // every blob can still be found by a manifest
			run, _, _ := strings.Cut(strings.TrimPrefix(name, "snapshots/"), "/")
			if !slices.Contains(names, snapshots.Dir(run)+"manifest.json") {
				t.Errorf("day %d: %s is left without a manifest", n, name)
			}
		}
	}
	id := run(t, w, 120)
	names, err := w.Blobs().Names(t.Context(), "snapshots/")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		run, _, _ := strings.Cut(strings.TrimPrefix(name, "snapshots/"), "/")
		if run != id && days[run] != 60 {
			t.Errorf("%s of day %d is left", name, days[run])
		}
	}
}

// TestOpenRefuses damages a snapshot in every way that one can be damaged in.
func TestOpenRefuses(t *testing.T) {
	ctx := t.Context()
	w := synctest.New(t)
	write(t, w, nil)
	id := run(t, w, 0)
	manifest, table := snapshots.Dir(id)+"manifest.json", snapshots.Dir(id)+"people"
	for name, damage := range map[string]struct {
		blob string
		do   func(b []byte) []byte
	}{
		"a bit of a hash":        {table, func(b []byte) []byte { b[16+30] ^= 1; return b }},
		"a bit of the last row":  {table, func(b []byte) []byte { b[len(b)-92] ^= 4; return b }},
		"cut short":              {table, func(b []byte) []byte { return b[:len(b)-1] }},
		"a row missing":          {table, func(b []byte) []byte { return b[:len(b)-137] }},
		"empty":                  {table, func([]byte) []byte { return nil }},
		"another table":          {table, func(b []byte) []byte { return append([]byte("CISRECS2"), b[8:]...) }},
		"a later form":           {manifest, func(b []byte) []byte { return bytes.Replace(b, []byte(`"form": 2`), []byte(`"form": 3`), 1) }},
		"a manifest cut short":   {manifest, func(b []byte) []byte { return b[:len(b)/2] }},
		"an unknown field":       {manifest, func(b []byte) []byte { return bytes.Replace(b, []byte(`"form"`), []byte(`"more": 1, "form"`), 1) }},
		"the root of some other": {manifest, func(b []byte) []byte { return bytes.Replace(b, []byte(`"root": "`), []byte(`"root": "00`), 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			good, err := snapshots.Read(ctx, w.Blobs(), damage.blob)
			if err != nil {
				t.Fatal(err)
			}
			bad := damage.do(bytes.Clone(good))
			if bytes.Equal(bad, good) {
				t.Fatal("nothing was damaged")
			}
			if err := snapshots.Write(ctx, w.Blobs(), damage.blob, bad); err != nil {
				t.Fatal(err)
			}
			if _, err := snapshots.Open(ctx, w.Blobs(), id); err == nil {
				t.Error("it was opened all the same")
			}
			if _, err := w.Sync(ctx, day(1)); err == nil {
				t.Error("a run began from it")
			}
			if err := snapshots.Write(ctx, w.Blobs(), damage.blob, good); err != nil {
				t.Fatal(err)
			}
			open(t, w, id)
		})
	}
	if _, err := snapshots.Open(ctx, w.Blobs(), "20260302t060000z-never"); !errors.Is(err, sinks.ErrNotFound) {
		t.Errorf("a snapshot that is not there: %v", err)
	}
	if none := open(t, w, ""); none.Rows.Len() != 0 {
		t.Error("the world before the first run has people")
	}
}
