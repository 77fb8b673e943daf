//go:build unix

package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// crashPath names the vault to the process that is going to be killed.
const crashPath = "CIS_TEST_CRASH_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		fmt.Fprintln(os.Stderr, commitForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashPeople = 16

// crashing is the commit of revision r of the n-th person: all that it writes
// says which revision it is of, also the claim and the lookup.
func crashing(n int, r int64) sinks.Commit {
	doc := func(what string) []byte {
		return []byte(strings.Repeat(fmt.Sprintf("%s %d %d\n", what, n, r), 300))
	}
	value := fmt.Sprintf("%d at %d", n, r)
	return sinks.Commit{
		ID: people.ID{byte(n), 7}, Expect: r - 1, Revision: r,
		Profile: doc("profile"), Observations: doc("observations"), History: doc("history"),
		Keys: sinks.Keys{
			Unique:  []people.Key{{Scheme: people.ByUserID, Value: value}},
			Records: []people.Key{{Scheme: "record:ldap", Value: value}},
			Lookups: []people.Key{{Scheme: people.ByEmail, Value: value}},
			Facts:   []people.Key{{Scheme: "access_information.ldap", Value: value}},
			Active:  true,
		},
		Notify: "update", NotifyID: value,
	}
}

// commitForEver moves everybody on by a revision, again and again, and prints
// the revision that everybody has for certain.
func commitForEver(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	if err := s.Subscribers(ctx, []string{"wiki"}); err != nil {
		return err
	}
	for {
		var batch []sinks.Commit
		for n := range crashPeople {
			p, err := s.People(ctx, []people.ID{{byte(n), 7}})
			if err != nil {
				return err
			}
			r := int64(1)
			if len(p) > 0 {
				r = p[0].Revision + 1
			}
			batch = append(batch, crashing(n, r))
		}
		results, err := s.Commit(ctx, sinks.Fence{}, batch)
		if err != nil {
			return err
		}
		for i, err := range results {
			if err != nil {
				return err
			}
			fmt.Println(i, batch[i].Revision)
		}
	}
}

// TestKilled kills a process that commits, at moments that nobody chose: what
// it said was written is there, and everybody is whole at some revision.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.db")
	var said [crashPeople]int64
	for round := range 6 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), crashPath+"="+path)
		var complaint strings.Builder
		child.Stderr = &complaint
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines, want := bufio.NewScanner(out), rand.IntN(160)
		var timer *time.Timer
		for i := 0; lines.Scan(); i++ {
			if i == want { // and a little later, in the midst of something
				timer = time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { child.Process.Kill() })
			}
			var n int
			var r int64
			if _, err := fmt.Sscan(lines.Text(), &n, &r); err != nil {
				break // cut off
			}
			said[n] = r
		}
		if timer == nil {
			child.Process.Kill()
			t.Errorf("round %d: the process ended by itself", round)
		}
		child.Wait() // says that it was killed
		if complaint.Len() > 0 {
			t.Fatalf("round %d: %s", round, complaint.String())
		}
		checkCrashed(t, path, said[:], round%2 == 0)
	}
}

func checkCrashed(t *testing.T, path string, said []int64, readOnly bool) {
	t.Helper()
	s := open(t, path, sqlite.Options{ReadOnly: readOnly})
	defer closed(t, s)
	rows, err := s.Outbox(t.Context(), "wiki", 1000)
	if err != nil || len(rows) != len(said) {
		t.Fatalf("%d outbox rows, %v, want %d", len(rows), err, len(said))
	}
	for n := range said {
		id := people.ID{byte(n), 7}
		p, err := s.Person(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if p.Revision < said[n] {
			t.Errorf("person %d is at %d, and was said to be at %d", n, p.Revision, said[n])
		}
		want := crashing(n, p.Revision)
		if string(p.Profile) != string(want.Profile) || string(p.Observations) != string(want.Observations) {
			t.Errorf("person %d at %d holds documents of another revision", n, p.Revision)
		}
		docs, err := s.History(t.Context(), id, 0)
		if err != nil || len(docs) != int(p.Revision) {
			t.Errorf("person %d at %d: %d history documents, %v", n, p.Revision, len(docs), err)
		}
		var keys []people.Key
		for i, d := range docs {
			past := crashing(n, int64(i+1))
			if d.Revision != past.Revision || string(d.Doc) != string(past.History) {
				t.Errorf("person %d: history document %d is of %d", n, i+1, d.Revision)
			}
			keys = append(keys, past.Unique[0], past.Lookups[0], past.Records[0])
		}
		holders, err := s.Lookup(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range holders {
			// Claims, records and lookups are those of the last revision.
			if want := i >= len(keys)-3; (len(got) == 1 && got[0] == id) != want {
				t.Errorf("person %d at %d: %s %q leads to %v", n, p.Revision, keys[i].Scheme, keys[i].Value, got)
			}
		}
		page, err := s.Search(t.Context(), sinks.Query{Fact: want.Facts[0], Limit: 10})
		if err != nil || len(page.People) != 1 || page.People[0].ID != id {
			t.Errorf("person %d at %d: %d people have the fact, %v", n, p.Revision, len(page.People), err)
		}
		if row := (sinks.OutboxRow{Subscriber: "wiki", ID: id, Operation: "update", UserID: want.NotifyID, Revision: p.Revision}); rows[n] != row {
			t.Errorf("person %d: outbox row %v, want %v", n, rows[n], row)
		}
	}
}
