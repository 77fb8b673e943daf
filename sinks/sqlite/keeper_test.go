package sqlite_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// raw runs statements on a vault behind its back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
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
}

// whole is a person whose documents can be read.
func whole(n byte, expect int64) sinks.Commit {
	c := person(n, expect)
	c.Profile, c.Observations, c.History = sinks.Pack(c.Profile), sinks.Pack(c.Observations), sinks.Pack(c.History)
	c.Records = []people.Key{{Scheme: "record:ldap", Value: fmt.Sprint(n)}}
	c.Lookups = []people.Key{{Scheme: people.ByEmail, Value: fmt.Sprint(n)}}
	c.Facts, c.Active = []people.Key{{Scheme: "access_information.ldap", Value: "g"}}, true
	return c
}

func keysOf(p sinks.Stored) (sinks.Keys, error) { return whole(p.ID[0], 0).Keys, nil }

// faults returns what an audit finds.
func faults(t *testing.T, s *sqlite.Store) (faults []string) {
	t.Helper()
	err := s.Audit(t.Context(), keysOf, func(f sinks.Fault) error {
		faults = append(faults, strings.TrimSpace(fmt.Sprintf("%d %s %s %d", f.ID[0], f.Kind, f.Scheme, f.Revision)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(faults)
	return faults
}

// TestAuditOfDamage damages vaults in ways that no interface offers.
func TestAuditOfDamage(t *testing.T) {
	for _, test := range []struct {
		name, damage string
		want         []string
		mends        []byte // who are not there
		lasts        bool
	}{
		{name: "somebody vanished", damage: `DELETE FROM person WHERE id = x'01010000000000000000000000000000'`, mends: []byte{1}, want: []string{
			"1 orphan  0", "1 orphan  0", "1 orphan  1", "1 orphan  2", "1 orphan  3", "1 orphan email 0", "1 orphan record:ldap 0", "1 orphan user_id 0"}},
		{name: "a row of an outbox of somebody erased", damage: `INSERT INTO outbox SELECT 'wiki', id, 'update', '', '', 1 FROM tombstone`, want: []string{"3 orphan  0"}, mends: []byte{3}},
		{name: "facts of an earlier version", damage: `DELETE FROM facts`, want: []string{"1 missing  0", "2 missing  0"}},
		{name: "facts cut off", damage: `UPDATE facts SET hashes = substr(hashes, 1, 15)`, want: []string{
			"1 extra  0", "1 missing access_information.ldap 0", "2 extra  0", "2 missing access_information.ldap 0"}},
		{name: "active of another", damage: `UPDATE facts SET active = 0`, want: []string{"1 missing active 0", "2 missing active 0"}},
		{name: "claims of nobody", damage: `UPDATE claim SET person = x'09010000000000000000000000000000' WHERE value = '1'`, mends: []byte{9}, want: []string{
			"1 missing record:ldap 0", "1 missing user_id 0", "9 orphan record:ldap 0", "9 orphan user_id 0"}},
		{name: "a gap in the history", damage: `DELETE FROM history WHERE revision = 2`, want: []string{"1 history  2"}, lasts: true},
		{name: "history that ends early", damage: `DELETE FROM history WHERE revision >= 2`, want: []string{"1 history  2", "1 history  3"}, lasts: true},
		{name: "no history", damage: `DELETE FROM history`, want: []string{"1 history  3", "2 history  1"}, lasts: true},
		{name: "history that begins late", damage: `DELETE FROM history WHERE person = x'01010000000000000000000000000000' AND revision < 3`},
		{name: "history of what is still to come", damage: `UPDATE history SET revision = 7 WHERE revision = 3`, want: []string{"1 damaged  7", "1 history  3"}, lasts: true},
		{name: "an id that is none", damage: `UPDATE person SET id = x'02' WHERE id = x'02010000000000000000000000000000'`, mends: []byte{2}, want: []string{
			"0 damaged  0", "2 orphan  0", "2 orphan  0", "2 orphan  1", "2 orphan email 0", "2 orphan record:ldap 0", "2 orphan user_id 0"}, lasts: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cis.db")
			s := open(t, path, sqlite.Options{})
			defer closed(t, s)
			if err := s.Subscribers(t.Context(), []string{"wiki"}); err != nil {
				t.Fatal(err)
			}
			first := whole(1, 0)
			first.Notify = "create"
			for _, c := range []sinks.Commit{first, whole(1, 1), whole(1, 2), whole(2, 0), whole(3, 0)} {
				if c.ID[0] == 2 {
					c.Notify = "create"
				}
				commit(t, s, sinks.Fence{}, c)
			}
			if _, err := s.Erase(t.Context(), sinks.Fence{}, people.ID{3, 1}, "told"); err != nil {
				t.Fatal(err)
			}
			if got := faults(t, s); len(got) != 0 {
				t.Fatalf("before the damage: %q", got)
			}
			raw(t, path, test.damage)
			if got := faults(t, s); !slices.Equal(got, test.want) {
				t.Errorf("an audit finds %q, want %q", got, test.want)
			}
			for _, n := range test.mends {
				if err := s.Mend(t.Context(), sinks.Fence{}, people.ID{n, 1}, 0, sinks.Keys{}); err != nil {
					t.Error(err)
				}
			}
			for n := byte(1); n <= 2; n++ {
				if !slices.Contains(test.mends, n) {
					c := whole(n, 0)
					if n == 1 {
						c = whole(1, 2)
					}
					if err := s.Mend(t.Context(), sinks.Fence{}, c.ID, c.Revision, c.Keys); err != nil {
						t.Error(err)
					}
				}
			}
			if got := faults(t, s); (len(got) != 0) != test.lasts {
				t.Errorf("mended, an audit finds %q", got)
			}
			if rows, err := s.Outbox(t.Context(), "wiki", 10); err != nil || !slices.ContainsFunc(rows, func(r sinks.OutboxRow) bool { return r.Operation == sinks.NotifyDelete }) {
				t.Errorf("mended, the row of the erased is gone: %d rows, %v", len(rows), err)
			}
		})
	}
}

// toVersion1 makes a vault one of version 1, which had no facts and overwrote
// nothing that it removed.
func toVersion1(t *testing.T, path string, statements ...string) {
	t.Helper()
	raw(t, path, append([]string{`DROP TABLE facts; DROP TABLE tombstone; PRAGMA user_version = 1`}, statements...)...)
}

func TestRaised(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	for n := byte(1); n <= 3; n++ {
		commit(t, s, sinks.Fence{}, whole(n, 0))
	}
	closed(t, s)
	toVersion1(t, path)
	yes := true
	byFact, byLogin := sinks.Query{Limit: 10, Fact: whole(1, 0).Facts[0]}, sinks.Query{Limit: 10, Login: "1"}
	refused := func(s *sqlite.Store, q sinks.Query) {
		t.Helper()
		if page, err := s.Search(t.Context(), q); err == nil || !strings.Contains(err.Error(), "cis vault check --fix") {
			t.Errorf("search finds %d, %v, want an error that says what to do", len(page.People), err)
		}
	}

	old := open(t, path, sqlite.Options{ReadOnly: true})
	defer closed(t, old)
	if p, err := old.Person(t.Context(), people.ID{1, 1}); err != nil || p.Revision != 1 {
		t.Errorf("revision %d, %v", p.Revision, err)
	}
	if p, err := old.Person(t.Context(), people.ID{9, 1}); !strings.Contains(fmt.Sprint(err), "not found") || !p.ID.IsZero() {
		t.Errorf("nobody: %v, %v", p.ID, err)
	}
	moved := 0
	if err := old.Moved(t.Context(), time.Time{}, func(sinks.Head) error { moved++; return nil }); err != nil || moved != 3 {
		t.Errorf("%d moved, %v", moved, err)
	}
	if stones, err := old.Tombstones(t.Context(), people.ID{}, 10); err != nil || len(stones) != 0 {
		t.Errorf("%d tombstones, %v", len(stones), err)
	}
	refused(old, byFact)
	refused(old, sinks.Query{Limit: 1})
	if err := old.Audit(t.Context(), keysOf, func(sinks.Fault) error { return nil }); err == nil || !strings.Contains(err.Error(), "open it once for writing") {
		t.Errorf("audit: %v", err)
	}

	s = open(t, path, sqlite.Options{})
	defer closed(t, s)
	commit(t, s, sinks.Fence{}, whole(1, 1)) // fills in one of three
	for _, q := range []sinks.Query{byFact, {Limit: 10, Active: &yes}, {Limit: 10, Active: &yes, Login: "2"}} {
		refused(s, q)
	}
	for _, q := range []sinks.Query{byLogin, {Limit: 10}} { // these need no facts
		if page, err := s.Search(t.Context(), q); err != nil || len(page.People) == 0 {
			t.Errorf("search finds %d, %v", len(page.People), err)
		}
	}
	if got, want := faults(t, s), []string{"2 missing  0", "3 missing  0"}; !slices.Equal(got, want) {
		t.Errorf("an audit finds %q, want %q", got, want)
	}
	for n := byte(2); n <= 3; n++ {
		if err := s.Mend(t.Context(), sinks.Fence{}, people.ID{n, 1}, 1, whole(n, 0).Keys); err != nil {
			t.Fatal(err)
		}
	}
	if page, err := s.Search(t.Context(), byFact); err != nil || len(page.People) != 3 {
		t.Errorf("search finds %d, %v", len(page.People), err)
	}
	// Who had it open to read sees that it was raised.
	if page, err := old.Search(t.Context(), byFact); err != nil || len(page.People) != 3 {
		t.Errorf("search of the other finds %d, %v", len(page.People), err)
	}
}

// What version 1 left of values that it replaced is gone once it is raised.
func TestRaisedOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	s := open(t, path, sqlite.Options{})
	random := rand.New(rand.NewPCG(11, 12))
	for n := range 100 {
		commit(t, s, sinks.Fence{}, telling(random, canary, n, 1))
	}
	closed(t, s)
	toVersion1(t, path, `PRAGMA secure_delete = off; DELETE FROM claim WHERE person > x'000a'; DELETE FROM lookup WHERE person > x'000a';
		DELETE FROM history WHERE person > x'000a'; DELETE FROM person WHERE id > x'000a'`)
	before := holding(t, path, canary)
	s = open(t, path, sqlite.Options{})
	defer closed(t, s)
	for n := range 10 {
		if _, err := s.Erase(t.Context(), sinks.Fence{}, people.ID{0, byte(n), 9}, ""); err != nil {
			t.Error(err)
		}
	}
	if n := holding(t, path, canary); n != 0 || before == 0 {
		t.Errorf("%d of %d values of people erased are in the files", n, before)
	}
}
