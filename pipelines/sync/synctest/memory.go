package synctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"example.org/cis/sinks"
)

// Memory keeps blobs in memory: a run on a disk spends most of its time in
// waiting until small files are safe.
type Memory struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

var _ sinks.Blobs = (*Memory)(nil)

var (
	partOfName = regexp.MustCompile(`^[a-z0-9._-]{1,200}$`)
	errName    = errors.New("no name of a blob")
)

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(name) > sinks.MaxNameBytes || !partOfName.MatchString(part) || part == "." || part == ".." {
			return fmt.Errorf("memory: %q: %w", name, errName)
		}
	}
	return nil
}

// Create begins a blob.
func (m *Memory) Create(ctx context.Context, name string) (sinks.BlobWriter, error) {
	return &memoryWriter{m: m, name: name}, check(ctx, name)
}

// Open opens a blob.
func (m *Memory) Open(ctx context.Context, name string) (sinks.Blob, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[name]
	if !ok {
		return nil, fmt.Errorf("memory: open %q: %w", name, sinks.ErrNotFound)
	}
	return memoryBlob{bytes.NewReader(b)}, nil
}

// Names lists blobs.
func (m *Memory) Names(ctx context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.blobs))
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), ctx.Err()
}

// Delete removes a blob.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, name)
	return nil
}

type memoryBlob struct{ *bytes.Reader }

func (memoryBlob) Close() error { return nil }

type memoryWriter struct {
	bytes.Buffer
	m      *Memory
	name   string
	closed bool
}

func (w *memoryWriter) Commit() error {
	if w.closed {
		return errors.New("memory: commit after close")
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.blobs == nil {
		w.m.blobs = map[string][]byte{}
	}
	w.m.blobs[w.name] = bytes.Clone(w.Bytes())
	return nil
}

func (w *memoryWriter) Close() error {
	w.closed = true
	return nil
}
