// Package file opens the files that sources read: plain, or compressed with
// gzip (.gz), zstd (.zst) or xz (.xz), told apart by name.
//
// It refuses to guess: a file whose name says a compression that is not read
// here is an error, not a stream of odd bytes. And it never lets a file that
// was cut short look whole: a compressed stream ends in io.EOF only where its
// own format says that it ends. (What no format can tell is a cut exactly
// between two concatenated streams, or in a plain file: the parser of what is
// inside must find that.)
package file

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// maxWindow bounds the memory of a zstd stream, and maxDictionary that of one of
// xz. 128 MiB is what the zstd program itself accepts without being asked (its
// --long=27), 64 MiB what xz -9 makes.
const (
	maxWindow     = 128 << 20
	maxDictionary = 64 << 20
)

// Open opens the file at path for reading once, from its beginning, with
// bounded memory. A truncated or damaged compressed stream makes Read fail
// with an error that is not io.EOF (io.ErrUnexpectedEOF where it was cut).
func Open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	r, err := decompress(path, f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("file: open %s: %w", path, err)
	}
	return r, nil
}

// stream is what Open returns: closing ends the decompression and the file.
type stream struct {
	io.Reader
	close func() error
}

func (s stream) Close() error { return s.close() }

func decompress(path string, f *os.File) (io.ReadCloser, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".gz":
		z, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
		if err != nil {
			return nil, notEOF(err)
		}
		return stream{z, func() error { return errors.Join(z.Close(), f.Close()) }}, nil
	case ".zst":
		b := bufio.NewReaderSize(f, 64<<10)
		// The decoder takes a file of no bytes for a whole stream of none.
		if _, err := b.Peek(1); err != nil {
			return nil, notEOF(err)
		}
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, notEOF(err)
		}
		return stream{z, func() error { z.Close(); return f.Close() }}, nil
	case ".xz":
		z, err := newXZ(bufio.NewReaderSize(f, 64<<10))
		if err != nil {
			return nil, err
		}
		return stream{z, f.Close}, nil
	case ".bz2", ".zip", ".lz4", ".z":
		return nil, fmt.Errorf("%s files are not read: use .gz, .zst or .xz", ext)
	}
	return f, nil
}

// An xzReader reads xz streams that carry a check of what they hold: one
// without could be damaged and look whole. It goes from stream to stream
// itself, because the library would pass over the kind of one that is short.
type xzReader struct{ *xz.Reader }

var errUnchecked = errors.New("an xz stream without a check of its content is not read")

func newXZ(r io.Reader) (*xzReader, error) {
	z, err := xz.NewReader(r, maxDictionary)
	if err != nil {
		return nil, cutShort(err)
	}
	x := &xzReader{z}
	return x, x.begin()
}

// begin begins a stream whose header has been read.
func (z *xzReader) begin() error {
	z.Multistream(false)
	if z.CheckType == xz.CheckNone {
		return errUnchecked
	}
	return nil
}

func (z *xzReader) Read(p []byte) (int, error) {
	for {
		n, err := z.Reader.Read(p)
		if err != io.EOF {
			return n, cutShort(err)
		}
		// The stream has ended, but the file only if there is no other.
		if err = z.Reset(nil); err == io.EOF {
			return n, io.EOF
		}
		if err == nil {
			err = z.begin()
		}
		if n > 0 || err != nil {
			return n, cutShort(err)
		}
	}
}

// cutShort makes the library's word for an early end that of everybody.
func cutShort(err error) error {
	if errors.Is(err, xz.ErrBuf) || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// notEOF makes an end that came before the stream had begun the error that it
// is.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
