package sinktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"example.org/cis/sinks"
)

// Blobs runs the suite of sinks.Blobs; open returns an empty store.
func Blobs(t *testing.T, open func(t *testing.T) sinks.Blobs) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, sinks.Blobs)
	}{
		{"a blob comes back as it was written", blobRoundTrip},
		{"a blob is whole or not there", blobWhole},
		{"a blob is replaced", blobReplaced},
		{"a blob is deleted", blobDeleted},
		{"names are sorted and have the prefix", blobNames},
		{"bad names are refused", blobBadNames},
		{"of concurrent writers one wins whole", blobRace},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// writeBlob writes a blob whole.
func writeBlob(t *testing.T, b sinks.Blobs, name string, parts ...[]byte) {
	t.Helper()
	w, err := b.Create(t.Context(), name)
	if err != nil {
		t.Fatalf("create %q: %v", name, err)
	}
	for _, p := range parts {
		if n, err := w.Write(p); err != nil || n != len(p) {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	if err := w.Close(); err != nil { // which after Commit drops nothing
		t.Fatalf("close: %v", err)
	}
}

// readBlob reads a blob whole.
func readBlob(t *testing.T, b sinks.Blobs, name string) []byte {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %q: %v", name, err)
	}
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %q: %v", name, err)
	}
	return got
}

func blobRoundTrip(t *testing.T, b sinks.Blobs) {
	for name, body := range map[string][]byte{
		"empty": nil, "a": []byte("a"), "runs/2026-11-24/ldap.extract": bytes.Repeat([]byte("0123456789"), 300_000),
		"a.b_c-d/0": {0}, ".hidden": {1}, "-": {2}, "...": {3}, strings.Repeat("x", 200): {4},
		strings.Repeat(strings.Repeat("y", 199)+"/", 3) + strings.Repeat("y", 200): {5},
	} {
		writeBlob(t, b, name, body[:len(body)/3], body[len(body)/3:])
		if got := readBlob(t, b, name); !bytes.Equal(got, body) {
			t.Errorf("%q: %d bytes, want %d", name, len(got), len(body))
		}
	}
	r, err := b.Open(t.Context(), "runs/2026-11-24/ldap.extract")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != 3_000_000 {
		t.Errorf("size %d, want 3000000", r.Size())
	}
	errs := at(contenders, func(i int) error { // ReadAt is for many at once
		got := make([]byte, 10)
		n, err := r.ReadAt(got, int64(1_000_000+i))
		if want := "01234567890123456789"[i : i+10]; err != nil || string(got[:n]) != want {
			return fmt.Errorf("read %q, %v, want %q", got[:n], err, want)
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if n, err := r.ReadAt(make([]byte, 10), r.Size()-4); n != 4 || err != io.EOF {
		t.Errorf("read over the end: %d, %v, want 4 and io.EOF", n, err)
	}
}

func blobWhole(t *testing.T, b sinks.Blobs) {
	w, err := b.Create(t.Context(), "plans/one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half of ")); err != nil {
		t.Fatal(err)
	}
	absent := func(name string) {
		t.Helper()
		_, err := b.Open(t.Context(), name)
		wantError(t, err, sinks.ErrNotFound)
		if names, err := b.Names(t.Context(), ""); err != nil || len(names) != 0 {
			t.Errorf("names %q, %v, want none", names, err)
		}
	}
	absent("plans/one")
	if err := w.Close(); err != nil { // without Commit
		t.Fatal(err)
	}
	absent("plans/one")
	wantFault(t, "commit after close", w.Commit())
	absent("plans/one")
	absent("plans") // a directory, if it is one, is no blob
	absent("never/there")
}

func blobReplaced(t *testing.T, b sinks.Blobs) {
	writeBlob(t, b, "a/b", []byte("a long first one"))
	old, err := b.Open(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	w, err := b.Create(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, b, "a/b"); string(got) != "a long first one" {
		t.Errorf("before the commit: %q", got)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, b, "a/b"); string(got) != "second" {
		t.Errorf("after the commit: %q", got)
	}
	// A blob that is open stays what it was.
	if got, err := io.ReadAll(io.NewSectionReader(old, 0, old.Size())); err != nil || string(got) != "a long first one" {
		t.Errorf("the one that was open: %q, %v", got, err)
	}
	if names, err := b.Names(t.Context(), ""); err != nil || !slices.Equal(names, []string{"a/b"}) {
		t.Errorf("names %q, %v", names, err)
	}
}

func blobDeleted(t *testing.T, b sinks.Blobs) {
	writeBlob(t, b, "a/b", []byte("x"))
	writeBlob(t, b, "a/c", []byte("y"))
	for range 2 {
		if err := b.Delete(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), "never/there"); err != nil {
		t.Error(err)
	}
	_, err := b.Open(t.Context(), "a/b")
	wantError(t, err, sinks.ErrNotFound)
	if got := readBlob(t, b, "a/c"); string(got) != "y" {
		t.Errorf("the other one: %q", got)
	}
	writeBlob(t, b, "a/b", []byte("again"))
	if got := readBlob(t, b, "a/b"); string(got) != "again" {
		t.Errorf("written again: %q", got)
	}
}

func blobNames(t *testing.T, b sinks.Blobs) {
	all := []string{"a-b/c", "a.b", "a/b", "a/b-c", "a/b0/c", "ab", "b/c/d", "b/c/e", "b/cc", "runs/2", "runs/10"}
	for i := range all {
		writeBlob(t, b, all[(i*7)%len(all)], []byte("x"))
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "b/c", "b/c/", "runs/1", "a/b0/c", "none", "none/", "b/c/d/", "/", "../", "a/../", "A", "//", "."} {
		var want []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		got, err := b.Names(t.Context(), prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("names with %q: %q, %v, want %q", prefix, got, err, want)
		}
	}
}

func blobBadNames(t *testing.T, b sinks.Blobs) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "../../etc/passwd", "/etc/passwd",
		"A", "a b", `a\b`, `..\a`, "a\x00b", "a\nb", "a:b", "a%2f..", "~a", "a~", "é", "a*", "a?b", "a+b", "c:/x",
		strings.Repeat("x", 201), strings.Repeat("x/", sinks.MaxNameBytes/2) + "x",
	} {
		_, err := b.Create(t.Context(), name)
		wantFault(t, fmt.Sprintf("create %.20q", name), err)
		_, err = b.Open(t.Context(), name)
		wantFault(t, fmt.Sprintf("open %.20q", name), err)
		wantFault(t, fmt.Sprintf("delete %.20q", name), b.Delete(t.Context(), name))
	}
}

func blobRace(t *testing.T, b sinks.Blobs) {
	body := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 100_000) }
	errs := at(contenders, func(i int) error {
		w, err := b.Create(t.Context(), "plans/same")
		if err != nil {
			return err
		}
		_, err = w.Write(body(i))
		if err == nil {
			err = w.Commit()
		}
		return errors.Join(err, w.Close())
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got := readBlob(t, b, "plans/same")
	for i := range contenders {
		if bytes.Equal(got, body(i)) {
			return
		}
	}
	t.Errorf("a blob of %d bytes that nobody wrote", len(got))
}
