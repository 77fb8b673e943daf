//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/sinks/sqlite"
)

// copiedBy is what a copy says in JSON.
type copiedBy struct {
	People, History, Tombstones, Documents, Outbox int64
	Root                                           string
	Resumed, Already                               bool
}

func copyVault(t *testing.T, dir, from, to string) (r copiedBy) {
	t.Helper()
	if err := json.Unmarshal([]byte(cisIn(t, dir, exitDone, "vault", "copy", from, to, "--json")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVaultCopyThereAndBack copies a vault to Firestore and back, which gives
// the same vault, and goes on with the one in between.
func TestVaultCopyThereAndBack(t *testing.T) {
	spec, _ := emulated(t)
	dir := synthVault(t)
	for _, now := range []string{"2026-03-03T08:00:00Z", "2026-03-03T10:00:00Z"} { // what is seen twice is confirmed
		cisIn(t, dir, exitDone, "sync", "--now", now)
	}
	cisIn(t, dir, exitDone, "unlink", "sndiaye", "github", "--reason", "to be kept")
	file, back := "sqlite:"+filepath.Join(dir, "cis.db"), "sqlite:"+filepath.Join(dir, "back.db")
	want := cisIn(t, dir, exitDone, "dump")
	there, home := copyVault(t, dir, file, spec), copyVault(t, dir, spec, back)
	if there != home || there.People == 0 || there.History <= there.People || there.Outbox == 0 {
		t.Errorf("there went %+v, back came %+v", there, home)
	}
	again := copyVault(t, dir, file, back)
	again.Outbox = there.Outbox // which is not compared
	if there.Already = true; again != there {
		t.Errorf("the first and the last have %+v and %+v", there, again)
	}
	for _, vault := range []string{spec, back} {
		if got := cisIn(t, dir, exitDone, "dump", "--vault", vault); got != want {
			t.Errorf("%s has another dump", vault)
		}
		if got := cisIn(t, dir, exitDone, "vault", "check", "--vault", vault); !strings.Contains(got, "nothing is wrong") {
			t.Error(got)
		}
		if got := cisIn(t, dir, exitDone, "links", "sndiaye", "--vault", vault); !strings.Contains(got, "to be unlinked") {
			t.Error(got)
		}
	}
	got := cisIn(t, dir, exitDone, "sync", "--vault", spec, "--now", "2026-03-03T12:00:00Z", "--json")
	if !strings.Contains(got, `"vault_writes": 1`) { // what was decided
		t.Error(got)
	}
	if got := cisIn(t, dir, exitDone, "vault", "check", "--vault", spec); !strings.Contains(got, "nothing is wrong") {
		t.Error(got)
	}
}

// TestVaultCopyKilled kills copies at each of their places; the same command
// goes on, and nothing else does before it has.
func TestVaultCopyKilled(t *testing.T) {
	l := newLab(t, 1)
	dir := synthVault(t)
	file := "sqlite:" + filepath.Join(dir, "cis.db")
	want := cisIn(t, dir, exitDone, "dump")
	root := copyVault(t, dir, file, "sqlite:"+filepath.Join(t.TempDir(), "whole.db")).Root
	for _, to := range []string{"sqlite", "firestore"} {
		for _, place := range failpoint.Names() {
			if !strings.HasPrefix(place, "copy.") {
				continue
			}
			t.Run(to+"/"+place, func(t *testing.T) {
				spec := "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
				if to == "firestore" {
					spec, _ = emulated(t)
				}
				l.run(t, place, in(dir, "vault", "copy", file, spec), killed)
				refused := l.run(t, "", in(dir, "sync", "--vault", spec), exitFailed)
				if said := refused.complaint.String(); !strings.Contains(said, "copy that is not finished") {
					t.Error(said)
				}
				var r copiedBy
				check(t, json.Unmarshal(l.run(t, "", in(dir, "vault", "copy", file, spec, "--json"), exitDone).out.Bytes(), &r))
				if !r.Resumed || r.Root != root {
					t.Errorf("the copy went on: %v, with root %s, want %s", r.Resumed, r.Root, root)
				}
				if got := cisIn(t, dir, exitDone, "dump", "--vault", spec); got != want {
					t.Error("the dump differs")
				}
				for _, vault := range []string{file, spec} {
					path, ok := strings.CutPrefix(vault, "sqlite:")
					if !ok {
						continue
					}
					s, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
					check(t, err)
					if docs, err := s.Docs(t.Context(), "holder", "", 10); err != nil || len(docs) != 0 {
						t.Errorf("the lease was not given back: %s, %v", fmt.Sprint(docs), err)
					}
					check(t, s.Close())
				}
			})
		}
	}
}
