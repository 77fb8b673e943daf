package blobdir_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/sinktest"
)

func open(t *testing.T, dir string) *blobdir.Blobs {
	t.Helper()
	b, err := blobdir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestBlobs(t *testing.T) {
	sinktest.Blobs(t, func(t *testing.T) sinks.Blobs { return open(t, filepath.Join(t.TempDir(), "deep", "blobs")) })
}

func write(t *testing.T, b *blobdir.Blobs, name, body string) {
	t.Helper()
	w, err := b.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	write(t, open(t, dir), "runs/7/plan", "x")
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A process that was killed leaves a file that nobody sees and that the next
// writer removes, but not while somebody writes it, however slowly.
func TestLeftBehind(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	slow, err := b.Create(t.Context(), "plans/slow")
	if err != nil {
		t.Fatal(err)
	}
	begun, err := os.ReadDir(filepath.Join(dir, "~unfinished"))
	if err != nil || len(begun) != 1 {
		t.Fatalf("%d files begun, %v", len(begun), err)
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "~unfinished", begun[0].Name()), long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "~unfinished", "LEFTBEHIND"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, dir), "plans/new", "x")
	if left, err := os.ReadDir(filepath.Join(dir, "~unfinished")); err != nil || len(left) != 1 {
		t.Errorf("%d files left, %v, want the slow one", len(left), err)
	}
	if err := slow.Commit(); err != nil {
		t.Error(err)
	}
	names, err := b.Names(t.Context(), "")
	if err != nil || len(names) != 2 {
		t.Errorf("names %q, %v", names, err)
	}
}

// A directory goes with its last blob, also while others write into it.
func TestNoEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	var g sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprintf("runs/7/%d", i)
		g.Go(func() {
			for range 50 {
				write(t, b, name, "x")
				if err := b.Delete(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%d entries are left, %v, want ~unfinished alone", len(list), err)
	}
}

func TestLinksLeadNowhere(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	b := open(t, dir)
	if _, err := b.Open(t.Context(), "link/secret"); err == nil {
		t.Error("opened a file outside")
	}
	if w, err := b.Create(t.Context(), "link/new"); err == nil {
		if w.Commit() == nil {
			t.Error("wrote a file outside")
		}
	}
	if err := b.Delete(t.Context(), "link/secret"); err == nil {
		t.Error("deleted a file outside")
	}
	if _, err := os.Stat(filepath.Join(outside, "secret")); err != nil {
		t.Error(err)
	}
	if names, err := b.Names(t.Context(), ""); err != nil || len(names) != 0 {
		t.Errorf("names %q, %v, want none", names, err)
	}
}

// A name that leads through a blob is refused, and the blob stays.
func TestNameThroughBlob(t *testing.T) {
	b := open(t, t.TempDir())
	write(t, b, "a", "x")
	w, err := b.Create(t.Context(), "a/b")
	if err == nil {
		err = w.Commit()
	}
	if err == nil {
		t.Error("a blob within a blob")
	}
	if _, err := b.Open(t.Context(), "a/b"); !errors.Is(err, sinks.ErrNotFound) {
		t.Errorf("open: %v, want not found", err)
	}
	if err := b.Delete(t.Context(), "a/b"); err != nil {
		t.Error(err)
	}
	if names, err := b.Names(t.Context(), ""); err != nil || len(names) != 1 {
		t.Errorf("names %q, %v, want a", names, err)
	}
}
