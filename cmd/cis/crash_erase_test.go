//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	stdsync "sync"
	"testing"

	"github.com/go-json-experiment/json"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// An erasing is a company in which somebody is to be erased, of whom the sources
// know until then.
type erasing struct {
	*lab
	folder string
	uuid   string
	words  []string // that are in their profile and nobody else's
}

// erasePlaces are the places that an erasure passes.
func erasePlaces() []string {
	if testing.Short() {
		return []string{"erase.vault", "erase.blob"}
	}
	return append(slices.DeleteFunc(failpoint.Names(), func(place string) bool { return !strings.HasPrefix(place, "erase.") }), "blob.deleted")
}

func newErasing(t *testing.T) *erasing {
	t.Helper()
	l := newLab(t, 1)
	company := filepath.Join(t.TempDir(), "company")
	l.run(t, "", []string{"synth", company, "--people", "40"}, 0)
	first := l.after(t, company, nil, firstLoad())
	l.run(t, "", in(first, "link", "sndiaye", "ldap", "00000000-nowhere", "--reason", "sndiaye says so"), 0)
	e := &erasing{lab: l, folder: l.after(t, first, synthDay(t, 40, 1), at(1))}
	var p struct {
		UUID  struct{ Value string } `json:"uuid"`
		Email struct{ Value string } `json:"primary_email"`
		User  struct{ Value string } `json:"user_id"`
	}
	check(t, json.Unmarshal(l.run(t, "", in(e.folder, "person", "get", "sndiaye", "--json"), 0).out.Bytes(), &p, json.MatchCaseInsensitiveNames(true)))
	e.uuid, e.words = p.UUID.Value, []string{p.User.Value, p.Email.Value, "00000000-nowhere"}
	for _, word := range e.words {
		if len(e.scan(t, e.folder, word)) == 0 {
			t.Fatalf("%q is nowhere", word)
		}
	}
	return e
}

func (e *erasing) order(dir string) []string {
	return in(dir, "vault", "erase", e.uuid, "--reason", "a request", "--force", "--json")
}

// scan looks for words in the vault and the blobs of a folder.
func (e *erasing) scan(t *testing.T, dir string, words ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, dir+"/")
		if err != nil || d.IsDir() || !strings.HasPrefix(name, "cis.db") && !strings.HasPrefix(name, "cis-blobs/") {
			return err
		}
		body, err := os.ReadFile(path)
		for _, word := range synctest.Holding(body, words) {
			found = append(found, word+" in "+name)
		}
		return err
	})
	check(t, err)
	return found
}

// gone checks that nothing is left of the person, once those who are to be told
// of it have been.
func (e *erasing) gone(t *testing.T, dir, said string) {
	t.Helper()
	for _, word := range e.words {
		if strings.Contains(said, word) {
			t.Errorf("the command says %q", word)
		}
	}
	deliver(t, dir)
	again := e.run(t, "", e.order(dir), 0)
	if !bytes.Contains(again.out.Bytes(), []byte(`"already": true`)) {
		t.Errorf("called again it does something: %s", again.out.Bytes())
	}
	wipe(t, dir, e.uuid)
	for _, found := range e.scan(t, dir, e.words...) {
		t.Errorf("left: %s", found)
	}
}

// deliver has the subscriber take all notifications, and wipe overwrites what that
// leaves in the file.
func deliver(t *testing.T, dir string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cis.db"), sqlite.Options{})
	check(t, err)
	defer s.Close()
	rows, err := s.Outbox(t.Context(), "test", 10_000)
	check(t, err)
	for _, r := range rows {
		_, err := s.Delivered(t.Context(), r)
		check(t, err)
	}
}

func wipe(t *testing.T, dir, uuid string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cis.db"), sqlite.Options{})
	check(t, err)
	defer s.Close()
	id, err := people.ParseID(uuid)
	check(t, err)
	_, err = s.Erase(t.Context(), sinks.Fence{}, id, "")
	check(t, err)
}

// whole checks that the snapshot is that of the vault, to the byte.
func whole(t *testing.T, dir string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cis.db"), sqlite.Options{ReadOnly: true})
	check(t, err)
	defer s.Close()
	b, err := blobdir.Open(filepath.Join(dir, "cis-blobs"))
	check(t, err)
	defer b.Close()
	head, err := sync.Head(t.Context(), s)
	check(t, err)
	w, err := snapshots.Open(t.Context(), b, head)
	check(t, err)
	defer w.Close()
	n := 0
	err = each(t.Context(), s, func(p sinks.Stored, _ *people.Profile) error {
		n++
		row, ok := w.Rows.Find(p.ID)
		if !ok || row.Revision != p.Revision {
			t.Errorf("%s is at revision %d, and at %d in the snapshot", p.ID, p.Revision, row.Revision)
			return nil
		}
		body, err := w.Packed(t.Context(), row)
		if err == nil && !bytes.Equal(body, p.Profile) {
			t.Errorf("%s is another in the snapshot", p.ID)
		}
		return err
	})
	check(t, err)
	if n != w.Rows.Len() {
		t.Errorf("%d are in the vault, and %d in the snapshot", n, w.Rows.Len())
	}
}

// TestCrashErase proves that an erasure which is killed anywhere is finished when
// it is called again, whatever runs in between, and that a run which is killed
// anywhere brings nothing back that was erased in between, and goes on.
func TestCrashErase(t *testing.T) {
	e := newErasing(t)
	tomorrow, next := synthDay(t, 40, 2), at(2)
	// after lets the next day go by: the sources have the person, who comes back.
	after := func(t *testing.T, dir string) {
		lay(t, dir, tomorrow)
		e.run(t, "", in(dir, next...), 0, 3)
		e.run(t, "", in(dir, "verify", "--all"), 0)
		e.run(t, "", in(dir, "diff", "--json"), 0)
		whole(t, dir)
		if out := e.run(t, "", in(dir, "person", "history", e.uuid, "--json"), 0).out.String(); strings.Count(out, `"recorded_at"`) != 1 {
			t.Errorf("who came back has more than one revision: %s", out)
		}
	}
	var passed stdsync.Map
	t.Run("erasure", func(t *testing.T) {
		for _, place := range erasePlaces() {
			e.trial(t, place, func(t *testing.T, _ *rand.Rand) {
				for n := 1; n <= 2; n++ {
					dir := copyFolder(t, e.folder)
					if e.run(t, fmt.Sprintf("%s:%d", place, n), e.order(dir), killed, 0).ProcessState.Exited() {
						break
					}
					passed.Store(place, true)
					if found := e.run(t, "", in(dir, "vault", "check", "--json"), 0, 3).out.String(); place == "erase.vault" && !strings.Contains(found, `"kind": "erasure"`) {
						t.Errorf("a check does not find an erasure that was cut off: %s", found)
					}
					between := copyFolder(t, dir)
					p := e.run(t, "", e.order(dir), 0)
					e.gone(t, dir, p.out.String()+p.complaint.String())
					after(t, dir)
					if n > 1 {
						continue
					}
					e.run(t, "", in(between, at(2)...), 0, 3) // which may bring them back
					p = e.run(t, "", e.order(between), 0)
					e.gone(t, between, p.out.String()+p.complaint.String())
				}
			})
		}
	})
	t.Run("run", func(t *testing.T) {
		places := runPlaces()
		if testing.Short() {
			places = []string{"run.sealed"}
		}
		for _, place := range places {
			e.trial(t, place, func(t *testing.T, _ *rand.Rand) {
				dir := copyFolder(t, e.folder)
				lay(t, dir, tomorrow)
				if e.run(t, place, in(dir, next...), killed, 0, 3).ProcessState.Exited() {
					return
				}
				p := e.run(t, "", e.order(dir), 0)
				e.gone(t, dir, p.out.String()+p.complaint.String())
				after(t, dir)
			})
		}
	})
	for _, place := range erasePlaces() {
		if _, ok := passed.Load(place); !ok && !t.Failed() {
			t.Errorf("no erasure passed %s", place)
		}
	}
}
