package main

import (
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/cis/connectors/file"
)

var writeVault = flag.Bool("write-vault", false, "write testdata/vault/v2 anew: only while its form is not released")

// TestVaultOfEachVersion opens the vaults that earlier versions wrote, which
// stand in testdata/vault: everybody is read as they were, every signature
// verifies, runs compare, and the next day's sync goes on from there.
func TestVaultOfEachVersion(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "vault")
	if *writeVault {
		makeVault(t, filepath.Join(root, "v2"))
	}
	versions, err := os.ReadDir(root)
	if err != nil || len(versions) == 0 {
		t.Fatalf("no vaults: %v", err)
	}
	for _, v := range versions {
		t.Run(v.Name(), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, v.Name()))); err != nil {
				t.Fatal(err)
			}
			private(t, dir)
			packed, err := file.Open(filepath.Join(dir, "dump.jsonl.zst"))
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			want, err := io.ReadAll(packed)
			if err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(dir, "cis.yaml")
			cis := func(code int, args ...string) string {
				t.Helper()
				got, stdout, stderr := try(t.Context(), append(args, "--config", config)...)
				if got != code {
					t.Fatalf("cis %s ended with %d, want %d: %s", strings.Join(args, " "), got, code, stderr)
				}
				return stdout
			}
			if got := cis(exitDone, "dump"); got != string(want) {
				t.Error("the dump is not what that version wrote")
			}
			if got := cis(exitDone, "verify", "--all"); !strings.Contains(got, " 0 wrong") {
				t.Error(got)
			}
			if got := cis(exitDone, "diff"); !strings.Contains(got, "changed") {
				t.Error(got)
			}
			cis(exitDone, "runs")
			cis(exitDone, "person", "get", "mdangelo")
			cis(exitDone, "synth", dir, "--people", "50", "--day", "3")
			got := cis(exitHeld, "sync", "--now", "2026-03-05T06:00:00Z", "--json") // day 3 has a bad row
			if !strings.Contains(got, `"relink": 1`) || !strings.Contains(got, `"complete": true`) {
				t.Error(got)
			}
			// The first run after an earlier form looks at everybody, and writes
			// nobody about whom nothing changed; the next one looks at nobody.
			got = cis(exitHeld, "sync", "--now", "2026-03-05T06:30:00Z", "--json")
			if !strings.Contains(got, `"vault_writes": 0`) {
				t.Error(got)
			}
			if got := cis(exitDone, "explain", "mdangelo", "first_name"); !strings.Contains(got, "it verifies") {
				t.Error(got)
			}
			if v.Name() != "v1" { // what a human decided still holds
				if got := cis(exitDone, "links", "sndiaye"); !strings.Contains(got, "kept apart") {
					t.Error(got)
				}
			}
		})
	}
}

// makeVault writes a small vault as this version does.
func makeVault(t *testing.T, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "cis.yaml")
	for _, day := range []struct{ n, now string }{{"0", "2026-03-02T06:00:00Z"}, {"1", "2026-03-03T06:00:00Z"}, {"2", "2026-03-04T06:00:00Z"}} {
		for _, args := range [][]string{
			{"synth", dir, "--people", "50", "--day", day.n},
			{"sync", "--config", config, "--now", day.now, "--first-load", "--reason", "a vault to keep"},
		} {
			if day.n != "0" && args[0] == "sync" {
				args = args[:5]
			}
			if day.n == "2" && args[0] == "sync" {
				if code, _, stderr := try(t.Context(), "unlink", "sndiaye", "github", "--reason", "to be kept", "--by", "a test", "--config", config); code != exitDone {
					t.Fatal(stderr)
				}
			}
			if code, _, stderr := try(t.Context(), args...); code != exitDone && code != exitHeld {
				t.Fatalf("cis %s: %s", strings.Join(args, " "), stderr)
			}
		}
	}
	if code, _, stderr := try(t.Context(), "dump", "--config", config, "-o", filepath.Join(dir, "dump.jsonl.zst")); code != exitDone {
		t.Fatal(stderr)
	}
	// The last plan goes with the next run, and names where this one was.
	if err := os.RemoveAll(filepath.Join(dir, "cis-blobs", "plans")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"people.ldif", "workers.json", "accounts.jsonl", "directory.jsonl", "github.json", "cis.db-wal", "cis.db-shm"} {
		_ = os.Remove(filepath.Join(dir, name)) // sources are not the vault's; the rest may not be there
	}
}

// private gives files the modes that a checkout does not keep.
func private(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return os.Chmod(name, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
