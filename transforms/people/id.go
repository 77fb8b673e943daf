package people

import (
	"encoding/hex"
	"fmt"
)

// An ID is the uuid of a person: the key of everything, never changed and
// never reused. The zero ID is nobody.
type ID [16]byte

// ParseID reads the canonical text of a uuid: 36 lower-case characters.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("people: not a uuid")
	}
	compact := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	for i := range len(compact) {
		if c := compact[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ID{}, fmt.Errorf("people: not a uuid in lower case")
		}
	}
	if _, err := hex.Decode(id[:], []byte(compact)); err != nil {
		return ID{}, fmt.Errorf("people: not a uuid")
	}
	return id, nil
}

// String returns the canonical text.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[:8], id[:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether id is nobody.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText writes the canonical text, "" for nobody.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.text()), nil }

func (id ID) text() string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	*id, err = ParseID(string(b))
	return err
}
