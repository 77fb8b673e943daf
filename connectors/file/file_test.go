package file_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

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
	one, two := compressed(t, ".xz", []byte("one\n")), compressed(t, ".xz", []byte("two\n"))
	if _, err := read(t, "people.ldif.xz", slices.Concat(one, unchecked)); err == nil {
		t.Error("a second stream without a check: no error")
	}
	if _, err := read(t, "people.ldif.xz", slices.Concat(one, unchecked, two)); err == nil {
		t.Error("a stream without a check between two others: no error")
	}
	// Streams may be followed by zeros, four at a time.
	if got, err := read(t, "people.ldif.xz", slices.Concat(one, make([]byte, 4), compressed(t, ".xz", nil), two, make([]byte, 8))); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("streams with padding: got %q, %v", got, err)
	}
	for n := 1; n < 4; n++ {
		if _, err := read(t, "people.ldif.xz", slices.Concat(one, make([]byte, n))); err == nil {
			t.Errorf("%d bytes of padding: no error", n)
		}
	}
	if _, err := read(t, "people.ldif.xz", slices.Concat(one, []byte("dn: o=com\n\n\n"))); err == nil {
		t.Error("text after a stream: no error")
	}
}

// A header may ask for more memory than anybody is given.
func TestOpenXZDictionary(t *testing.T) {
	whole := compressed(t, ".xz", []byte("one\n"))
	// After the stream's header of 12 bytes, the block's: its size, flags, the
	// filter's number and its properties' size, the dictionary's, zeros, CRC32.
	block := whole[12:24]
	block[4] = 40 // 4 GiB less a byte
	binary.LittleEndian.PutUint32(block[8:], crc32.ChecksumIEEE(block[:8]))
	if _, err := read(t, "people.ldif.xz", whole); !errors.Is(err, xz.ErrMemlimit) {
		t.Errorf("a dictionary of 4 GiB: %v", err)
	}
}

// FuzzOpen opens anything: what reads to its end does not without its last
// byte, unless that stood where another stream might have begun.
func FuzzOpen(f *testing.F) {
	for i, name := range []string{"nothing", "one", "random", "unchecked"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".xz"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(2), b)
		f.Add(uint8(2), append(b, b...))
		var gz, zst bytes.Buffer
		w := gzip.NewWriter(&gz)
		w.Write(random(i * 50))
		w.Close()
		z, err := zstd.NewWriter(&zst)
		if err != nil {
			f.Fatal(err)
		}
		z.Write(random(i * 50))
		z.Close()
		f.Add(uint8(0), gz.Bytes())
		f.Add(uint8(1), zst.Bytes())
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		name := "x" + []string{".gz", ".zst", ".xz"}[kind%3]
		if _, err := readSome(t, name, b); err != nil {
			return
		}
		if _, err := readSome(t, name, b[:len(b)-1]); err == nil {
			t.Error("whole without its last byte")
		}
	})
}

// readSome is read of at most a megabyte: the rest of more is dropped.
func readSome(t *testing.T, name string, content []byte) (int64, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := file.Open(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.CopyN(io.Discard, r, 1<<20)
	if err == io.EOF {
		return n, nil
	}
	return n, cmp.Or(err, errors.New("more than anybody reads here"))
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
