package file_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"example.org/cis/connectors/file"
)

func compressed(t *testing.T, ext string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch ext {
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".zst":
		z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case ".xz": // nothing here writes it: what the tests need lies in testdata
		names := map[string]string{"": "nothing", "one\n": "one", "two\n": "two", string(random(400)): "random", string(make([]byte, 24<<20)): "zeros"}
		name, ok := names[string(content)]
		if !ok {
			t.Fatalf("%d bytes are not in testdata", len(content))
		}
		b, err := os.ReadFile(filepath.Join("testdata", name+".xz"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	default:
		return content
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, name string, content []byte) ([]byte, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	return got, errors.Join(err, r.Close())
}

// random is text that compresses a little, long enough for several blocks.
func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnop"[r.IntN(16)]
	}
	return b
}

func TestOpenReadsWhatWasWritten(t *testing.T) {
	for _, name := range []string{"people.ldif", "people.ldif.gz", "people.ldif.zst", "people.ldif.GZ", "report"} {
		for _, content := range [][]byte{{}, []byte("version: 1\n"), random(300 << 10)} {
			ext := map[string]string{".GZ": ".gz"}[filepath.Ext(name)]
			if ext == "" {
				ext = filepath.Ext(name)
			}
			got, err := read(t, name, compressed(t, ext, content))
			if ext == ".zst" && len(content) == 0 {
				continue // this encoder writes no frame for nothing: see TestOpenEmptyFile
			}
			if err != nil {
				t.Errorf("%s of %d bytes: %v", name, len(content), err)
			}
			if !bytes.Equal(got, content) {
				t.Errorf("%s of %d bytes: got %d others", name, len(content), len(got))
			}
		}
	}
}

// Every proper prefix of a compressed stream is a stream cut short.
func TestOpenRefusesEveryTruncation(t *testing.T) {
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		whole := compressed(t, ext, random(400))
		for n := range len(whole) {
			if _, err := read(t, "cut"+ext, whole[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut to %d of %d bytes: error %v, want unexpected EOF", ext, n, len(whole), err)
			}
		}
	}
}

func TestOpenReadsConcatenatedStreams(t *testing.T) {
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		one := compressed(t, ext, []byte("one\n"))
		both := append(bytes.Clone(one), compressed(t, ext, []byte("two\n"))...)
		got, err := read(t, "both"+ext, both)
		if err != nil || string(got) != "one\ntwo\n" {
			t.Errorf("%s: got %q, %v", ext, got, err)
		}
		for n := len(one) + 1; n < len(both); n++ {
			if _, err := read(t, "cut"+ext, both[:n]); err == nil {
				t.Errorf("%s cut in its second stream, at %d of %d bytes: no error", ext, n, len(both))
			}
		}
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		whole := compressed(t, ext, random(400))
		whole[len(whole)/2] ^= 0x10
		if _, err := read(t, "damaged"+ext, whole); err == nil {
			t.Errorf("%s with a flipped bit: no error", ext)
		}
		if _, err := read(t, "plain"+ext, []byte("version: 1\ndn: o=com\n")); err == nil {
			t.Errorf("plain text named %s: no error", ext)
		}
	}
}

func TestOpenEmptyFile(t *testing.T) {
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		if _, err := read(t, "none"+ext, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s of no bytes: error %v, want unexpected EOF", ext, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := file.Open(filepath.Join(t.TempDir(), "none.ldif")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := file.Open(t.TempDir()); err == nil {
		t.Error("a directory: no error")
	}
	if _, err := read(t, "people.ldif.bz2", []byte("x")); err == nil {
		t.Error("bz2: no error")
	}
}

func TestOpenXZ(t *testing.T) {
	for content, name := range map[string]string{"": "nothing", "one\n": "one", string(random(400)): "random"} {
		if got, err := read(t, "people.ldif.xz", compressed(t, ".xz", []byte(content))); err != nil || string(got) != content {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
	unchecked, err := os.ReadFile("testdata/unchecked.xz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, "people.ldif.xz", unchecked); err == nil {
		t.Error("a stream without a check: no error")
	}
	if _, err := read(t, "people.ldif.xz", append(compressed(t, ".xz", []byte("one\n")), unchecked...)); err == nil {
		t.Error("a second stream without a check: no error")
	}
}

// A small file that unfolds to a large one costs no memory.
func TestOpenMemoryIsBounded(t *testing.T) {
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		path := filepath.Join(t.TempDir(), "large"+ext)
		if err := os.WriteFile(path, compressed(t, ext, make([]byte, 24<<20)), 0o600); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := file.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil || n != 24<<20 {
			t.Errorf("%s: read %d bytes, %v", ext, n, err)
		}
		runtime.ReadMemStats(&after)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: allocated %d MiB for 24 MiB of zeros", ext, used>>20)
		}
	}
}
