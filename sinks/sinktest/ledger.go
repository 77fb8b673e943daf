package sinktest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/cis/sinks"
)

// Ledger runs the suite of sinks.Ledger.
func Ledger(t *testing.T, open OpenStore) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"a document comes back as it was written", docRoundTrip},
		{"odd kinds and keys are distinct", oddDocs},
		{"a document is written by compare and swap", swap},
		{"of concurrent writers one wins each version", swapRace},
		{"a document is removed by its version", removeDoc},
		{"documents are listed in order and resumably", docsList},
		{"a document has a largest size", docSize},
		{"a lease has one holder", lease},
		{"a lease expires", leaseExpires},
		{"a lease is renewed", leaseRenewed},
		{"a lease is released", leaseReleased},
		{"of concurrent takers of a lease one wins", leaseRace},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(set(t, open)) })
	}
}

// put writes a document and returns it with its new version.
func (b *bench) put(d sinks.Doc) sinks.Doc {
	b.Helper()
	v, err := b.Put(b.ctx, d)
	if err != nil {
		b.Fatalf("put version %d: %v", d.Version, err)
	}
	if v != d.Version+1 {
		b.Fatalf("put over version %d gives %d", d.Version, v)
	}
	d.Version = v
	return d
}

// reads checks that the document is there.
func (b *bench) reads(want sinks.Doc) {
	b.Helper()
	got, err := b.Doc(b.ctx, want.Kind, want.Key)
	if err != nil {
		b.Errorf("read %.40q: %v", want.Key, err)
		return
	}
	if got.Kind != want.Kind || got.Key != want.Key || got.Version != want.Version || !bytes.Equal(got.Body, want.Body) {
		b.Errorf("read %.40q version %d, %d bytes; want %.40q version %d, %d bytes", got.Key, got.Version, len(got.Body), want.Key, want.Version, len(want.Body))
	}
}

func docRoundTrip(b *bench) {
	for _, body := range [][]byte{[]byte(`{"a":1}`), {}, nil, {0, 0xff, 0}, bytes.Repeat([]byte("run "), 1000)} {
		d := b.put(sinks.Doc{Kind: "run", Key: fmt.Sprint(len(body), body == nil), Body: body})
		b.reads(d)
	}
	_, err := b.Doc(b.ctx, "run", "not there")
	wantError(b.T, err, sinks.ErrNotFound)
	_, err = b.Doc(b.ctx, "not there", "0true")
	wantError(b.T, err, sinks.ErrNotFound)
	for _, d := range []sinks.Doc{{Key: "k"}, {Kind: "k"}} {
		_, err := b.Put(b.ctx, d)
		wantFault(b.T, "put without kind or key", err)
	}
	gone, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err = b.Doc(gone, "run", "not there")
	wantFault(b.T, "a read that failed", err)
	_, err = b.Docs(gone, "run", "", 1)
	wantFault(b.T, "a list that failed", err)
	_, err = b.Put(gone, sinks.Doc{Kind: "run", Key: "cancelled"})
	wantFault(b.T, "a write that failed", err)
}

func oddDocs(b *bench) {
	var want []sinks.Doc
	for _, odd := range oddValues {
		want = append(want,
			b.put(sinks.Doc{Kind: "run", Key: odd, Body: []byte("key " + odd)}),
			b.put(sinks.Doc{Kind: odd, Key: "k", Body: []byte("kind " + odd)}))
	}
	for _, d := range want {
		b.reads(d)
	}
	got, err := b.Docs(b.ctx, "run", "", len(want))
	if err != nil || len(got) != len(oddValues) {
		b.Fatalf("%d documents listed, %v, want %d", len(got), err, len(oddValues))
	}
	for i, k := range slices.Sorted(slices.Values(oddValues)) {
		if got[i].Key != k {
			b.Errorf("document %d listed is %.40q, want %.40q", i, got[i].Key, k)
		}
	}
	if got, err := b.Docs(b.ctx, oddValues[0], "", 10); err != nil || len(got) != 1 {
		b.Errorf("%d documents of one kind, %v, want 1", len(got), err)
	}
}

func swap(b *bench) {
	conflict := func(d sinks.Doc, version int64) {
		b.Helper()
		d.Version, d.Body = version, []byte("wrong")
		_, err := b.Put(b.ctx, d)
		wantError(b.T, err, sinks.ErrConflict)
	}
	d := sinks.Doc{Kind: "hold", Key: "k", Body: []byte("1")}
	conflict(d, 1)
	d = b.put(d)
	conflict(d, 0)
	conflict(d, 2)
	for i := range 5 {
		d.Body = fmt.Append(nil, "next ", i)
		d = b.put(d)
		b.reads(d)
	}
	conflict(d, d.Version-1)
	conflict(d, -1)
	b.reads(d)
}

func swapRace(b *bench) {
	d := sinks.Doc{Kind: "window", Key: "k"}
	for version := range int64(3) {
		d.Version = version
		errs := at(contenders, func(i int) error {
			mine := d
			mine.Body = fmt.Append(nil, i)
			_, err := b.Put(b.ctx, mine)
			return err
		})
		oneWins(b.T, errs, sinks.ErrConflict)
		b.reads(sinks.Doc{Kind: d.Kind, Key: d.Key, Version: version + 1, Body: fmt.Append(nil, slices.Index(errs, nil))})
	}
}

func removeDoc(b *bench) {
	d := b.put(sinks.Doc{Kind: "hold", Key: "k", Body: []byte("1")})
	other := b.put(sinks.Doc{Kind: "hold", Key: "other"})
	stale := d
	d = b.put(d)
	wantError(b.T, b.Remove(b.ctx, stale), sinks.ErrConflict)
	b.reads(d)
	for range 2 {
		if err := b.Remove(b.ctx, d); err != nil {
			b.Error(err)
		}
	}
	_, err := b.Doc(b.ctx, d.Kind, d.Key)
	wantError(b.T, err, sinks.ErrNotFound)
	b.reads(other)
	_, err = b.Put(b.ctx, d)
	wantError(b.T, err, sinks.ErrConflict) // what it followed is gone
	d.Version = 0
	b.put(d)
}

func docsList(b *bench) {
	var want []string
	for i := range 25 {
		k := fmt.Sprintf("%03d|x", i*37%101)
		want = append(want, k)
		b.put(sinks.Doc{Kind: "run", Key: k, Body: []byte(k)})
		b.put(sinks.Doc{Kind: "run2", Key: k})
	}
	for _, k := range []string{"Z", "a", "é", "\uffff", "😀"} { // by bytes, not by an alphabet or UTF-16
		want = append(want, k)
		b.put(sinks.Doc{Kind: "run", Key: k, Body: []byte(k)})
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 30, 100} {
		var got []string
		for after := ""; ; {
			page, err := b.Docs(b.ctx, "run", after, limit)
			if err != nil {
				b.Fatal(err)
			}
			if len(page) > limit {
				b.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			for _, d := range page {
				got = append(got, d.Key)
				if d.Kind != "run" || d.Version != 1 || string(d.Body) != d.Key {
					b.Errorf("document %q is %q version %d", d.Key, d.Body, d.Version)
				}
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Key
		}
		if !slices.Equal(got, want) {
			b.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
	if got, err := b.Docs(b.ctx, "none", "", 10); err != nil || len(got) != 0 {
		b.Errorf("documents of no kind: %d, %v", len(got), err)
	}
}

func docSize(b *bench) {
	d := b.put(sinks.Doc{Kind: "plan", Key: "k", Body: make([]byte, sinks.MaxDocBytes)})
	b.reads(d)
	large := d
	large.Body = make([]byte, sinks.MaxDocBytes+1)
	_, err := b.Put(b.ctx, large)
	wantError(b.T, err, sinks.ErrTooLarge)
	b.reads(d)
	for _, d := range []sinks.Doc{{Kind: "plan", Key: string(make([]byte, sinks.MaxKeyBytes+1))}, {Kind: string(make([]byte, sinks.MaxKeyBytes+1)), Key: "k"}} {
		_, err := b.Put(b.ctx, d)
		wantError(b.T, err, sinks.ErrTooLarge)
	}
}

func (b *bench) held(holder string) {
	b.Helper()
	_, err := b.Acquire(b.ctx, "sync", holder, time.Minute)
	wantError(b.T, err, sinks.ErrHeld)
}

func lease(b *bench) {
	first := b.acquire("first")
	b.held("second")
	again := b.acquire("first")
	if again.Token <= first.Token || again.Lease != first.Lease {
		b.Errorf("taken again under %v, before under %v", again, first)
	}
	wantError(b.T, b.Renew(b.ctx, first, time.Minute), sinks.ErrFenced)
	for _, odd := range oddValues {
		if _, err := b.Acquire(b.ctx, odd, "second", time.Minute); err != nil {
			b.Errorf("another lease: %v", err)
		}
	}
	for _, bad := range []struct {
		lease, holder string
		ttl           time.Duration
	}{{"", "h", time.Minute}, {"l", "", time.Minute}, {"l", "h", 0}, {"l", "h", -1}} {
		_, err := b.Acquire(b.ctx, bad.lease, bad.holder, bad.ttl)
		wantFault(b.T, "a lease without name, holder or time", err)
	}
}

func leaseExpires(b *bench) {
	first := b.acquire("first")
	b.clock.advance(time.Minute - time.Second)
	b.held("second")
	b.clock.advance(time.Second)
	second := b.acquire("second")
	if second.Token <= first.Token {
		b.Errorf("token %d after %d", second.Token, first.Token)
	}
	b.held("first")
	wantError(b.T, b.Renew(b.ctx, first, time.Minute), sinks.ErrFenced)
	if err := b.Release(b.ctx, first); err != nil { // too late to matter
		b.Error(err)
	}
	b.held("first")
}

func leaseRenewed(b *bench) {
	first := b.acquire("first")
	for range 3 {
		b.clock.advance(50 * time.Second)
		if err := b.Renew(b.ctx, first, time.Minute); err != nil {
			b.Fatal(err)
		}
		b.held("second")
	}
	b.clock.advance(time.Hour) // late, but nobody has taken it
	if err := b.Renew(b.ctx, first, time.Minute); err != nil {
		b.Fatal(err)
	}
	b.held("second")
	b.clock.advance(time.Hour)
	b.acquire("second")
	wantError(b.T, b.Renew(b.ctx, first, time.Minute), sinks.ErrFenced)
	wantError(b.T, b.Renew(b.ctx, sinks.Fence{Lease: "never", Token: 1}, time.Minute), sinks.ErrFenced)
}

func leaseReleased(b *bench) {
	first := b.acquire("first")
	for range 2 {
		if err := b.Release(b.ctx, first); err != nil {
			b.Fatal(err)
		}
	}
	wantError(b.T, b.Renew(b.ctx, first, time.Minute), sinks.ErrFenced)
	second := b.acquire("second") // at once
	if second.Token <= first.Token {
		b.Errorf("token %d after %d", second.Token, first.Token)
	}
	if err := b.Release(b.ctx, sinks.Fence{Lease: "never", Token: 1}); err != nil {
		b.Error(err)
	}
	b.held("first")
}

func leaseRace(b *bench) {
	oneWins(b.T, at(contenders, func(i int) error {
		_, err := b.Acquire(b.ctx, "sync", fmt.Sprint("holder ", i), time.Minute)
		return err
	}), sinks.ErrHeld)
}
