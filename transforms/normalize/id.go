package normalize

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"

	"example.org/cis/transforms/people"
)

// ErrNoSalt is a missing salt. It must end the program at its start: ids made
// without one can be recomputed by anybody who knows a login id.
var ErrNoSalt = errors.New("normalize: no salt for uuids")

// generated begins every primary_username that nobody chose.
const generated = "r--"

var usernames = base64.URLEncoding.Strict()

// namespaceURL is NAMESPACE_URL of RFC 9562, section 6.6.
var namespaceURL = [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// ID derives the uuid and the first username of a new person from the login
// id, which must be in its normal form: the uuid is the UUIDv5 (RFC 9562,
// section 5.5) of "<salt>#<user_id>" in the namespace of URLs.
func ID(salt, userID string) (people.ID, string, error) {
	if salt == "" {
		return people.ID{}, "", ErrNoSalt
	}
	if userID == "" {
		return people.ID{}, "", errors.New("normalize: id: no user_id")
	}
	sum := sha1.Sum(append(namespaceURL[:], salt+"#"+userID...))
	id := people.ID(sum[:16])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id, generated + usernames.EncodeToString(id[:]), nil
}
