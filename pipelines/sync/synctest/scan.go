package synctest

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Holding returns which words are in the bytes, as they are, in base64 as a JWS
// has them, or compressed.
func Holding(body []byte, words []string) (found []string) {
	plain := [][]byte{body}
	for _, magic := range [][]byte{{0x28, 0xb5, 0x2f, 0xfd}} {
		for at := 0; ; {
			i := bytes.Index(body[at:], magic)
			if i < 0 {
				break
			}
			at += i
			if text := inflate(body[at:]); len(text) > 0 {
				plain = append(plain, text)
			}
			at += len(magic)
		}
	}
	for _, word := range words {
		if slices.ContainsFunc(plain, func(b []byte) bool { return holds(b, word) }) {
			found = append(found, word)
		}
	}
	return found
}

// holds looks for a word in all three ways in which base64 can have it.
func holds(b []byte, word string) bool {
	if bytes.Contains(b, []byte(word)) {
		return true
	}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + word))
		coded = coded[(shift*8+5)/6 : (shift+len(word))*8/6] // those that are of the word alone
		if bytes.Contains(b, []byte(coded)) || bytes.Contains(b, []byte(strings.NewReplacer("+", "-", "/", "_").Replace(coded))) {
			return true
		}
	}
	return false
}

// inflate returns what of a frame can be had, however it ends.
func inflate(b []byte) []byte {
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil
	}
	defer r.Close()
	var out bytes.Buffer
	_, _ = out.ReadFrom(r)
	return out.Bytes()
}
