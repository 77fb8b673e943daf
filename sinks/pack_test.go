package sinks_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"example.org/cis/sinks"
)

func TestPackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "doc"), rapid.IntRange(1, 200).Draw(t, "times"))
		packed := sinks.Pack(doc)
		got, err := sinks.Unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, doc) {
			t.Fatalf("%d bytes came back as %d others", len(doc), len(got))
		}
		if !bytes.Equal(sinks.Pack(doc), packed) {
			t.Fatal("packed twice, and differently")
		}
	})
}

func TestPackAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			doc := bytes.Repeat([]byte{byte(i), 'x'}, 10_000)
			if got, err := sinks.Unpack(sinks.Pack(doc)); err != nil || !bytes.Equal(got, doc) {
				t.Errorf("document %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestUnpackRefuses(t *testing.T) {
	packed := sinks.Pack(bytes.Repeat([]byte("profile "), 100))
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := e.EncodeAll(make([]byte, 65<<20), []byte{packed[0]})
	for what, b := range map[string][]byte{
		"nothing":            nil,
		"JSON":               []byte(`{"schema":""}`),
		"another form":       append([]byte{packed[0] + 1}, packed[1:]...),
		"a document cut off": packed[:len(packed)-1],
		"half a document":    packed[:len(packed)/2],
		"garbage":            {packed[0], 1, 2, 3, 4, 5, 6, 7, 8},
		"a bomb":             bomb,
	} {
		if got, err := sinks.Unpack(b); err == nil {
			t.Errorf("%s: unpacked to %d bytes", what, len(got))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(sinks.Pack(nil))
	f.Add(sinks.Pack([]byte(`{"a":1}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := sinks.Unpack(b)
		if err != nil {
			return
		}
		if again, err := sinks.Unpack(sinks.Pack(doc)); err != nil || !bytes.Equal(again, doc) {
			t.Errorf("%d bytes, %v, want %d", len(again), err, len(doc))
		}
	})
}
