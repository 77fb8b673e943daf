package sinks

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Packed documents begin with one byte that names their form, so that a later
// form can be told from this one.
const packZstd = 1

// maxUnpacked bounds what a packed document may expand to.
const maxUnpacked = 64 << 20

var (
	packers = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // options are constants
		}
		return &packer{encoder: e}
	}}
	decoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// A packer packs one document after the other.
type packer struct {
	encoder *zstd.Encoder
	packed  []byte // the last one
}

// Pack compresses a document (zstd, RFC 8878). Equal documents pack to equal
// bytes under one version of this program; stores compare what is inside.
func Pack(doc []byte) []byte {
	p := packers.Get().(*packer)
	defer packers.Put(p)
	p.packed = p.encoder.EncodeAll(doc, append(p.packed[:0], packZstd))
	return bytes.Clone(p.packed)
}

// IsPacked reports whether Unpack can read a document.
func IsPacked(packed []byte) bool {
	_, err := Unpack(packed)
	return err == nil
}

// Unpack is the reverse of Pack.
func Unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 || packed[0] != packZstd {
		return nil, fmt.Errorf("sinks: not a packed document")
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	doc, err := d.DecodeAll(packed[1:], nil)
	if err != nil {
		return nil, fmt.Errorf("sinks: unpack: %w", err)
	}
	return doc, nil
}
