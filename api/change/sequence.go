package change

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"math/big"
	"net/http"

	"example.org/cis/api"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// A sequence number is, in digits, a 1 (so that no zero is lost), the person, the
// revision, and 128 bits that authenticate both.
const (
	sequenceBytes = 1 + 16 + 8 + 16
	maxDigits     = 100 // a number of so many bytes has 97 or 98
)

func (f *face) sequence(id people.ID, revision int64) string {
	b := append(make([]byte, 0, sequenceBytes), 1)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(revision))
	b = append(b, f.mac("sequence", string(b))[:16]...)
	return new(big.Int).SetBytes(b).String()
}

// ofSequence says what a sequence number is of; ok is false of any other text.
func (f *face) ofSequence(text string) (id people.ID, revision int64, ok bool) {
	if len(text) == 0 || len(text) > maxDigits {
		return id, 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return id, 0, false
		}
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return id, 0, false
	}
	b := n.Bytes()
	if len(b) != sequenceBytes || b[0] != 1 || !hmac.Equal(b[25:], f.mac("sequence", string(b[:25]))[:16]) {
		return id, 0, false
	}
	return people.ID(b[1:17]), int64(binary.BigEndian.Uint64(b[17:25])), true
}

// status says whether a write is in the vault. Of a number that nobody was given
// it says what it says of one whose write is not there.
func (f *face) status(w http.ResponseWriter, r *http.Request) error {
	there := false
	if id, revision, ok := f.ofSequence(r.URL.Query().Get("sequenceNumber")); ok {
		s, err := f.People.Person(r.Context(), id)
		if err != nil && !errors.Is(err, sinks.ErrNotFound) {
			return err
		}
		there = err == nil && s.Revision >= revision
	}
	return api.JSON(w, http.StatusOK, map[string]bool{"identity_vault": there})
}
