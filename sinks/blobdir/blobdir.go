// Package blobdir keeps blobs as files of a directory on a local disk: the
// blob "runs/7/plan" is the file runs/7/plan in it.
//
// A blob is written under another name beside them, synced and renamed, so
// that whoever looks sees all of it or nothing, after a crash as well. Files
// are readable by their owner only (0600, directories 0700). No name and no
// symbolic link leads out of the directory, and a directory goes with the last
// blob in it. What a killed process left half written is removed when the next
// blob is begun: a writer holds a lock (flock) on its file, which ends with
// it. The package knows no owners and no versions: of two writers of one name
// the later one wins.
package blobdir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.org/cis/sinks"
)

const (
	// unfinished holds what is being written. It is no part of a name.
	unfinished = "~unfinished"
	// abandoned is how long nobody has written to a file that is taken for
	// left behind where the file system has no locks.
	abandoned = 24 * time.Hour
)

// Blobs are the blobs of a directory. They are safe for concurrent use, also
// by several processes.
type Blobs struct {
	root *os.Root
}

var _ sinks.Blobs = (*Blobs)(nil)

// Open opens the directory, and makes it if it is not there.
func Open(dir string) (*Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("blobdir: open: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blobdir: open: %w", err)
	}
	if err := root.Mkdir(unfinished, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(fmt.Errorf("blobdir: open: %w", err), root.Close())
	}
	return &Blobs{root}, nil
}

// Close closes the directory.
func (b *Blobs) Close() error { return b.root.Close() }

// Create begins a blob.
func (b *Blobs) Create(ctx context.Context, name string) (sinks.BlobWriter, error) {
	err := check(ctx, name)
	w := &writer{blobs: b, name: name}
	if err == nil {
		err = w.begin()
	}
	if err == nil {
		if err = b.sweep(w); err != nil {
			err = errors.Join(err, w.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("blobdir: create: %w", err)
	}
	return w, nil
}

// begin makes the file to write to, and locks it.
func (w *writer) begin() (err error) {
	for {
		w.temporary = path.Join(unfinished, rand.Text())
		if w.file, err = w.blobs.root.OpenFile(w.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		// Until it is locked, a sweep can take it for left behind.
		if !errors.Is(lock(w.file), syscall.EWOULDBLOCK) {
			if _, err := w.blobs.root.Lstat(w.temporary); err == nil {
				return nil
			}
		}
		w.file.Close()
	}
}

// lock takes the lock of a file, which ends when it is closed, or fails with
// EWOULDBLOCK.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// sweep removes what killed processes left behind.
func (b *Blobs) sweep(w *writer) error {
	now, err := w.file.Stat() // by the clock of the disk
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(b.root.FS(), unfinished)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(unfinished, e.Name())
		if name == w.temporary {
			continue
		}
		if err := b.sweepOne(name, now.ModTime()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // one that is gone meanwhile was finished
		}
	}
	return nil
}

func (b *Blobs) sweepOne(name string, now time.Time) error {
	f, err := b.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	switch err := lock(f); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil
	case err != nil && now.Sub(st.ModTime()) <= abandoned:
		return nil
	}
	return b.root.Remove(name)
}

// Open opens a blob.
func (b *Blobs) Open(ctx context.Context, name string) (sinks.Blob, error) {
	r, err := b.open(ctx, name)
	if absent(err) {
		err = sinks.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("blobdir: open: %w", err)
	}
	return r, nil
}

func (b *Blobs) open(ctx context.Context, name string) (*blob, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	f, err := b.root.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &blob{f, st.Size()}, nil
}

// A blob is a file whose content nobody changes any more.
type blob struct {
	*os.File
	size int64
}

func (b *blob) Size() int64 { return b.size }

// Names walks the part of the tree that can have the prefix.
func (b *Blobs) Names(ctx context.Context, prefix string) ([]string, error) {
	top := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		top = prefix[:i]
		if checkName(top) != nil {
			return nil, nil // no blob has such a name
		}
	}
	var names []string
	err := fs.WalkDir(b.root.FS(), top, func(name string, e fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile, or never there
		case err != nil:
			return err
		case e.IsDir() && name != "." && checkName(name) != nil:
			return fs.SkipDir
		case e.Type().IsRegular() && strings.HasPrefix(name, prefix) && checkName(name) == nil:
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("blobdir: names: %w", err)
	}
	slices.Sort(names) // a walk takes "a/b" before "a-b"
	return names, nil
}

// Delete removes a blob.
func (b *Blobs) Delete(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil {
		err = b.remove(name)
	}
	if err != nil {
		return fmt.Errorf("blobdir: delete: %w", err)
	}
	return nil
}

func (b *Blobs) remove(name string) error {
	st, err := b.root.Lstat(name)
	if err == nil && st.Mode().IsRegular() {
		if err = b.root.Remove(name); err == nil {
			return b.sync(b.removeEmpty(path.Dir(name)))
		}
	}
	if absent(err) {
		return nil
	}
	return err
}

// removeEmpty removes a directory, and those above it, if nothing is in them,
// and returns the lowest that stays.
func (b *Blobs) removeEmpty(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if st, err := b.root.Lstat(dir); err != nil || !st.IsDir() || b.root.Remove(dir) != nil {
			break
		}
	}
	return dir
}

// absent reports whether err says that there is no such file, or that what
// would be its directory is one itself.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// sync makes the entries of a directory durable, if it is still there.
func (b *Blobs) sync(dir string) error {
	d, err := b.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory with those above it, durably.
func (b *Blobs) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	if st, err := b.root.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := b.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	if err := b.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return b.sync(path.Dir(dir))
}

// A writer writes one blob.
type writer struct {
	blobs           *Blobs
	name, temporary string
	file            *os.File // nil once it is committed or dropped
}

var errDone = errors.New("blobdir: the blob is committed or dropped already")

func (w *writer) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, errDone
	}
	return w.file.Write(p)
}

// Commit drops the blob if it cannot make it durable.
func (w *writer) Commit() error {
	if w.file == nil {
		return errDone
	}
	err := w.file.Sync()
	if err == nil {
		if err = w.rename(); err == nil {
			err = errors.Join(w.file.Close(), w.blobs.sync(path.Dir(w.name)))
			w.file = nil
		}
	}
	if err != nil {
		return fmt.Errorf("blobdir: commit: %w", errors.Join(err, w.Close()))
	}
	return nil
}

// rename gives the file its name. The directory for it can go again before it
// is used, with the last blob in it.
func (w *writer) rename() (err error) {
	for range 100 {
		if err = w.blobs.makeDir(path.Dir(w.name)); err == nil {
			err = w.blobs.root.Rename(w.temporary, w.name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

func (w *writer) Close() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Close(), w.blobs.root.Remove(w.temporary))
	w.file = nil
	if err != nil {
		return fmt.Errorf("blobdir: drop: %w", err)
	}
	return nil
}

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkName(name)
}

// checkName refuses what sinks.Blobs does not call a name.
func checkName(name string) error {
	if len(name) > sinks.MaxNameBytes {
		return errors.New("a name that is too long")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > maxPart {
			return fmt.Errorf("%q is no name of a blob", name)
		}
		for i := range len(part) {
			if c := part[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
				return fmt.Errorf("%q is no name of a blob", name)
			}
		}
	}
	return nil
}

// maxPart leaves a file system's 255 bytes room.
const maxPart = 200
