// Package snapshot owns the form of a snapshot's tables: the world as a run
// saw it, cut down to what the next run needs in order to leave everybody
// alone who has not changed.
//
// A table is a header and rows of one fixed width, sorted by key, so that it
// is searched where it lies and compared with a newer one in one pass. The
// people table has a [Row] a person; each source has a table with a [Record]
// a record. Both hold keyed hashes ([Hasher]) and no values: whoever has a
// table and not the vault's key cannot guess a short value from its hash.
//
// The package does no input or output; bodies, manifests and blobs belong to
// the pipelines.
package snapshot

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"sort"
	"sync"

	"example.org/cis/transforms/people"
)

// A Digest is a keyed hash, HMAC-SHA-256.
type Digest [32]byte

// A Short is the first half of a Digest: enough to find by.
type Short [16]byte

// A Hasher makes keyed hashes. It is safe for concurrent use.
type Hasher struct{ pool sync.Pool }

// NewHasher returns a hasher under the vault's key.
func NewHasher(key []byte) *Hasher {
	key = bytes.Clone(key)
	return &Hasher{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Sum hashes b within a domain: equal bytes in different domains have
// different hashes.
func (h *Hasher) Sum(domain string, b []byte) (d Digest) {
	m := h.pool.Get().(hash.Hash)
	defer h.pool.Put(m)
	m.Reset()
	m.Write(append([]byte(domain), 0))
	m.Write(b)
	m.Sum(d[:0])
	return d
}

// Record hashes a record id of a publisher.
func (h *Hasher) Record(p people.Publisher, record string) Short {
	d := h.Sum("record", []byte(string(p)+"\x00"+record))
	return Short(d[:16])
}

// Key hashes a match key; a zero Short stands for no key.
func (h *Hasher) Key(k people.Key) Short {
	if k.Value == "" {
		return Short{}
	}
	d := h.Sum("key", []byte(string(k.Scheme)+"\x00"+k.Value))
	return Short(d[:16])
}

// Content hashes what of a profile decides that it changed: path, value,
// display and verified of each attribute. The date of the last write is left
// out, it changes with every one.
func (h *Hasher) Content(p *people.Profile) Digest {
	b := make([]byte, 0, 4096)
	for _, n := range p.Attributes {
		if n.Path == people.LastModified {
			continue
		}
		b = people.AppendQuoted(b, string(n.Path))
		b = n.Value.AppendJSON(append(b, ':'))
		b = people.AppendQuoted(append(b, ','), n.Metadata.Display)
		if n.Metadata.Verified {
			b = append(b, '1')
		}
		b = append(b, '\n')
	}
	return h.Sum("content", b)
}

// Exact hashes the stored bytes of a profile.
func (h *Hasher) Exact(canonical []byte) Digest {
	sum := sha256.Sum256(canonical)
	return h.Sum("exact", sum[:])
}

// A Row is one person in the people table.
type Row struct {
	ID       people.ID
	Revision int64
	Content  Digest
	Exact    Digest
	Active   bool
	// UserID is the key of the current user_id, and GitHub that of the account
	// (Hasher.Record) that a verified identity in the profile names: records
	// attach by them, and no profile has to be read to find out. Zero if there
	// is none.
	UserID, GitHub Short
	// Again says that the run that wrote the row did so over a write that it
	// had not read the sources after: the next one looks at the person again.
	Again bool
	// Where the packed profile lies: segment number, offset and length.
	Segment uint32
	Offset  uint64
	Length  uint32
}

// A State is where a record stands between being seen and being given up.
type State uint8

// The states of a record.
const (
	Present State = iota
	Missing       // not seen since Since; Due is set once a second extract confirmed it
	Gone          // given up at Due: its absence has been acted on
)

// A Record is one record in a source's table.
type Record struct {
	Key    Short     // Hasher.Record
	Person people.ID // zero if it attaches to nobody
	Hash   Digest    // of the observation's content
	UserID Short     // match keys, zero if there is none
	Email  Short
	// GitHub is the key of the account that the record says is the person's,
	// zero if it names none; SaysGitHub tells "none" from silence.
	GitHub     Short
	SaysGitHub bool
	State      State
	NotYet     bool // the last seen form says "not yet here"
	// Regressed marks a record that went back to not yet: a case until it returns.
	Regressed bool
	Since     int64 // unix seconds: missing since
	Due       int64 // unix seconds: when absence acts; 0 while unconfirmed
	// Spare marks an observation that was kept though the record is linked and
	// unchanged, because it may be somebody else's in the same run.
	Spare bool
	// Again says that what the record said last has not been acted on, and that
	// this is an earlier form: the next run looks again, also if the record says
	// then what it says here.
	Again bool
	// Where the observation lies in the extract: Length 0 if it was not kept.
	Offset uint64
	Length uint32
}

const (
	rowWidth    = 16 + 8 + 32 + 32 + 1 + 4 + 8 + 4 + 16 + 16
	recordWidth = 16 + 16 + 32 + 16 + 16 + 1 + 8 + 8 + 8 + 4 + 16
	headerWidth = 16
)

var le = binary.LittleEndian

func (r *Row) append(b []byte) []byte {
	b = append(b, r.ID[:]...)
	b = le.AppendUint64(b, uint64(r.Revision))
	b = append(b, r.Content[:]...)
	b = append(b, r.Exact[:]...)
	b = append(b, bit(r.Active, 1)|bit(r.Again, 2))
	b = le.AppendUint32(b, r.Segment)
	b = le.AppendUint64(b, r.Offset)
	b = le.AppendUint32(b, r.Length)
	b = append(b, r.UserID[:]...)
	return append(b, r.GitHub[:]...)
}

func (r *Row) read(b []byte) {
	copy(r.ID[:], b)
	r.Revision = int64(le.Uint64(b[16:]))
	copy(r.Content[:], b[24:])
	copy(r.Exact[:], b[56:])
	r.Active = b[88]&1 != 0
	r.Again = b[88]&2 != 0
	r.Segment = le.Uint32(b[89:])
	r.Offset = le.Uint64(b[93:])
	r.Length = le.Uint32(b[101:])
	copy(r.UserID[:], b[105:])
	copy(r.GitHub[:], b[121:])
}

func (r *Record) append(b []byte) []byte {
	b = append(b, r.Key[:]...)
	b = append(b, r.Person[:]...)
	b = append(b, r.Hash[:]...)
	b = append(b, r.UserID[:]...)
	b = append(b, r.Email[:]...)
	b = append(b, byte(r.State)|bit(r.NotYet, 4)|bit(r.Regressed, 8)|bit(r.SaysGitHub, 16)|bit(r.Spare, 32)|bit(r.Again, 64))
	b = le.AppendUint64(b, uint64(r.Since))
	b = le.AppendUint64(b, uint64(r.Due))
	b = le.AppendUint64(b, r.Offset)
	b = le.AppendUint32(b, r.Length)
	return append(b, r.GitHub[:]...)
}

func (r *Record) read(b []byte) {
	copy(r.Key[:], b)
	copy(r.Person[:], b[16:])
	copy(r.Hash[:], b[32:])
	copy(r.UserID[:], b[64:])
	copy(r.Email[:], b[80:])
	r.State = State(b[96] & 3)
	r.NotYet = b[96]&4 != 0
	r.Regressed = b[96]&8 != 0
	r.SaysGitHub = b[96]&16 != 0
	r.Spare = b[96]&32 != 0
	r.Again = b[96]&64 != 0
	r.Since = int64(le.Uint64(b[97:]))
	r.Due = int64(le.Uint64(b[105:]))
	r.Offset = le.Uint64(b[113:])
	r.Length = le.Uint32(b[121:])
	copy(r.GitHub[:], b[125:])
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

// Rows is a people table.
type Rows struct{ body []byte }

// Records is a source's table.
type Records struct{ body []byte }

// NewRows makes a table of rows, in any order, and sorts them; ids must be unique.
func NewRows(rows []Row) Rows {
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	b := make([]byte, 0, len(rows)*rowWidth)
	for i := range rows {
		b = rows[i].append(b)
	}
	return Rows{b}
}

// NewRecords makes a table of records, in any order, and sorts them; keys must
// be unique.
func NewRecords(records []Record) Records {
	slices.SortFunc(records, func(a, b Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	b := make([]byte, 0, len(records)*recordWidth)
	for i := range records {
		b = records[i].append(b)
	}
	return Records{b}
}

// Len returns how many rows there are.
func (t Rows) Len() int { return len(t.body) / rowWidth }

// At returns the i-th row.
func (t Rows) At(i int) (r Row) {
	r.read(t.body[i*rowWidth:])
	return r
}

// Find returns the row of a person.
func (t Rows) Find(id people.ID) (Row, bool) {
	i := sort.Search(t.Len(), func(i int) bool { return bytes.Compare(t.body[i*rowWidth:i*rowWidth+16], id[:]) >= 0 })
	if i == t.Len() || !bytes.Equal(t.body[i*rowWidth:i*rowWidth+16], id[:]) {
		return Row{}, false
	}
	return t.At(i), true
}

// Active counts the active people.
func (t Rows) Active() (n int64) {
	for i := 0; i < len(t.body); i += rowWidth {
		n += int64(t.body[i+88] & 1)
	}
	return n
}

// Root returns a hash over who there is, in which revision and exact form,
// but not over where bodies lie.
func (t Rows) Root() [32]byte {
	h := sha256.New()
	for i := 0; i < len(t.body); i += rowWidth {
		h.Write(t.body[i : i+88])
		h.Write([]byte{t.body[i+88] & 1})
	}
	return [32]byte(h.Sum(nil))
}

// Patch returns the table with rows put in, in the place of those with the
// same id. The rows must be sorted by id and unique.
func (t Rows) Patch(rows []Row) Rows {
	b := make([]byte, 0, len(t.body)+len(rows)*rowWidth)
	i := 0
	for k := range rows {
		at := i + sort.Search(t.Len()-i, func(j int) bool {
			return bytes.Compare(t.body[(i+j)*rowWidth:(i+j)*rowWidth+16], rows[k].ID[:]) >= 0
		})
		b = append(b, t.body[i*rowWidth:at*rowWidth]...)
		b = rows[k].append(b)
		i = at
		if i < t.Len() && bytes.Equal(t.body[i*rowWidth:i*rowWidth+16], rows[k].ID[:]) {
			i++
		}
	}
	return Rows{append(b, t.body[i*rowWidth:]...)}
}

// Len returns how many records there are.
func (t Records) Len() int { return len(t.body) / recordWidth }

// At returns the i-th record.
func (t Records) At(i int) (r Record) {
	r.read(t.body[i*recordWidth:])
	return r
}

// Without returns the table without the rows of some people.
func (t Rows) Without(ids map[people.ID]bool) Rows {
	return Rows{without(t.body, rowWidth, 0, ids)}
}

// Without returns the table without the records of some people.
func (t Records) Without(ids map[people.ID]bool) Records {
	return Records{without(t.body, recordWidth, 16, ids)}
}

// without leaves out the rows that have one of the ids at a place.
func without(body []byte, width, at int, ids map[people.ID]bool) []byte {
	if len(ids) == 0 {
		return body
	}
	kept := make([]byte, 0, len(body))
	for i := 0; i < len(body); i += width {
		if !ids[people.ID(body[i+at:i+at+16])] {
			kept = append(kept, body[i:i+width]...)
		}
	}
	return kept
}

// Find returns the record with the key.
func (t Records) Find(key Short) (Record, bool) {
	i := sort.Search(t.Len(), func(i int) bool { return bytes.Compare(t.body[i*recordWidth:i*recordWidth+16], key[:]) >= 0 })
	if i == t.Len() || !bytes.Equal(t.body[i*recordWidth:i*recordWidth+16], key[:]) {
		return Record{}, false
	}
	return t.At(i), true
}

// The forms of tables, newest last. An earlier one lacks the last columns.
const (
	rowForm, rowForm1       = "CISPEOP2", "CISPEOP1"
	recordForm, recordForm1 = "CISRECS2", "CISRECS1"
	rowWidth1               = rowWidth - 32
	recordWidth1            = recordWidth - 16
)

// Encode returns the table with its header, as a blob holds it.
func (t Rows) Encode() []byte { return encode(rowForm, rowWidth, t.body) }

// Encode returns the table with its header, as a blob holds it.
func (t Records) Encode() []byte { return encode(recordForm, recordWidth, t.body) }

// ParseRows reads what Rows.Encode wrote; the table may keep b. A table of the
// first form has people without UserID and GitHub.
func ParseRows(b []byte) (Rows, error) {
	if bytes.HasPrefix(b, []byte(rowForm1)) {
		body, err := parse(rowForm1, rowWidth1, b, 88, func(flags byte) bool { return flags <= 1 })
		return Rows{widen(body, rowWidth1, rowWidth)}, err
	}
	body, err := parse(rowForm, rowWidth, b, 88, func(flags byte) bool { return flags <= 3 })
	return Rows{body}, err
}

// ParseRecords reads what Records.Encode wrote; the table may keep b. Records
// of a table of the first form say nothing of GitHub.
func ParseRecords(b []byte) (Records, error) {
	known := func(max byte) func(byte) bool {
		return func(flags byte) bool { return flags <= max && State(flags&3) <= Gone }
	}
	if bytes.HasPrefix(b, []byte(recordForm1)) {
		body, err := parse(recordForm1, recordWidth1, b, 96, known(15))
		return Records{widen(body, recordWidth1, recordWidth)}, err
	}
	body, err := parse(recordForm, recordWidth, b, 96, known(127))
	return Records{body}, err
}

// widen gives the rows of an earlier form the columns that they lack.
func widen(body []byte, from, to int) []byte {
	wide := make([]byte, 0, len(body)/from*to)
	for i := 0; i < len(body); i += from {
		wide = append(wide, body[i:i+from]...)
		wide = append(wide, make([]byte, to-from)...)
	}
	return wide
}

func encode(magic string, width int, body []byte) []byte {
	b := make([]byte, 0, headerWidth+len(body))
	b = append(b, magic...)
	b = le.AppendUint32(b, uint32(width))
	b = le.AppendUint32(b, uint32(len(body)/width))
	return append(b, body...)
}

// parse checks a table; at is where each of its rows has its flags.
func parse(magic string, width int, b []byte, at int, known func(flags byte) bool) ([]byte, error) {
	if len(b) < headerWidth || string(b[:8]) != magic {
		return nil, fmt.Errorf("snapshot: not a table of the form %s", magic)
	}
	if int64(le.Uint32(b[8:])) != int64(width) || int64(le.Uint32(b[12:]))*int64(width) != int64(len(b)-headerWidth) {
		return nil, fmt.Errorf("snapshot: table of the form %s is cut short or of another width", magic)
	}
	body := b[headerWidth:]
	for i := 0; i < len(body); i += width {
		if i > 0 && bytes.Compare(body[i-width:i-width+16], body[i:i+16]) >= 0 {
			return nil, fmt.Errorf("snapshot: table of the form %s is not sorted", magic)
		}
		if !known(body[i+at]) {
			return nil, fmt.Errorf("snapshot: table of the form %s has a row with unknown flags", magic)
		}
	}
	return body, nil
}
