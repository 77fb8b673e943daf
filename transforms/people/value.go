package people

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// A Kind says which of the four forms a [Value] has.
type Kind uint8

// The kinds of value that profile v2 knows.
const (
	Null Kind = iota
	String
	Bool
	Map
)

func (k Kind) String() string {
	return [...]string{"null", "string", "boolean", "map"}[k]
}

// An Entry is one key of a map value: a string, or null, which in groups
// means the same as "" (membership is presence of the key).
type Entry struct {
	Key   string
	Value string
	Null  bool
}

// A Value is what an attribute says: null, a string, a boolean or a map of
// string to string-or-null. The zero Value is null.
//
// Profile v2 writes maps under "values" and everything else under "value";
// plural keeps that distinction for a null, where the kind no longer tells.
type Value struct {
	kind    Kind
	plural  bool
	bit     bool
	str     string
	entries []Entry // sorted by compareKeys, unique
}

// NullValue returns null, as "values" if plural and as "value" otherwise.
func NullValue(plural bool) Value { return Value{plural: plural} }

// StringValue returns a string value.
func StringValue(s string) Value { return Value{kind: String, str: s} }

// BoolValue returns a boolean value.
func BoolValue(b bool) Value { return Value{kind: Bool, bit: b} }

// MapValue returns a map of the entries, in any order; of entries with the
// same key the last one counts.
func MapValue(entries ...Entry) Value {
	e := slices.Clone(entries)
	slices.SortStableFunc(e, func(a, b Entry) int { return compareKeys(a.Key, b.Key) })
	out := e[:0]
	for i, x := range e {
		if i+1 < len(e) && e[i+1].Key == x.Key {
			continue
		}
		if x.Null {
			x.Value = ""
		}
		out = append(out, x)
	}
	return Value{kind: Map, plural: true, entries: out}
}

// Kind returns the form of v.
func (v Value) Kind() Kind { return v.kind }

// Plural reports whether v is written under "values".
func (v Value) Plural() bool { return v.plural }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.kind == Null }

// IsEmpty reports whether v is null, "" or a map without entries.
func (v Value) IsEmpty() bool {
	return v.kind == Null || v.kind == String && v.str == "" || v.kind == Map && len(v.entries) == 0
}

// Text returns the string of a string value, "true" or "false" of a boolean,
// and "" of the others.
func (v Value) Text() string {
	if v.kind == Bool {
		if v.bit {
			return "true"
		}
		return "false"
	}
	return v.str
}

// True reports whether v is the boolean true.
func (v Value) True() bool { return v.kind == Bool && v.bit }

// Entries returns the entries of a map, sorted by key; the caller must not
// change them.
func (v Value) Entries() []Entry { return v.entries }

// Has reports whether v is a map with key.
func (v Value) Has(key string) bool {
	_, ok := slices.BinarySearchFunc(v.entries, key, func(e Entry, k string) int { return compareKeys(e.Key, k) })
	return ok
}

// Lookup returns the entry of key.
func (v Value) Lookup(key string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(v.entries, key, func(e Entry, k string) int { return compareKeys(e.Key, k) })
	if !ok {
		return Entry{}, false
	}
	return v.entries[i], true
}

// Equal reports whether v and w say the same. A null is equal to a null,
// plural or not.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.bit == w.bit && v.str == w.str && slices.Equal(v.entries, w.entries)
}

// AppendJSON appends the canonical JSON of v.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case String:
		return AppendQuoted(b, v.str)
	case Bool:
		return append(b, v.Text()...)
	case Map:
		b = append(b, '{')
		for i, e := range v.entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(AppendQuoted(b, e.Key), ':')
			if e.Null {
				b = append(b, "null"...)
			} else {
				b = AppendQuoted(b, e.Value)
			}
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// String returns the canonical JSON of v.
func (v Value) String() string { return string(v.AppendJSON(nil)) }

// MarshalJSONTo writes v; a plural null is written as [], so that a value
// standing alone (in plans, observations, history) comes back as it was.
func (v Value) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(v.appendAlone(enc.AvailableBuffer()))
}

func (v Value) appendAlone(b []byte) []byte {
	if v.kind == Null && v.plural {
		return append(b, "[]"...)
	}
	return v.AppendJSON(b)
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (v *Value) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '[' {
		raw, err := dec.ReadValue()
		if err == nil && string(raw) != "[]" {
			err = fmt.Errorf("people: a list is not a value")
		}
		*v = NullValue(true)
		return err
	}
	got, err := readValue(dec, false)
	*v = got
	return err
}

// readValue reads one value; plural says which key it stood under.
func readValue(dec *jsontext.Decoder, plural bool) (Value, error) {
	switch k := dec.PeekKind(); k {
	case 'n':
		_, err := dec.ReadToken()
		return NullValue(plural), err
	case '"':
		tok, err := dec.ReadToken()
		if err != nil {
			return Value{}, err
		}
		return StringValue(tok.String()), nil
	case 't', 'f':
		_, err := dec.ReadToken()
		return BoolValue(k == 't'), err
	case '{':
		return readMap(dec)
	case 0:
		_, err := dec.ReadToken()
		return Value{}, err
	default:
		return Value{}, fmt.Errorf("people: %s: want a string, a boolean, null or a map of strings", dec.StackPointer())
	}
}

func readMap(dec *jsontext.Decoder) (Value, error) {
	if _, err := dec.ReadToken(); err != nil {
		return Value{}, err
	}
	var entries []Entry
	sorted := true
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return Value{}, err
		}
		e := Entry{Key: tok.String()}
		switch k := dec.PeekKind(); k {
		case 'n':
			e.Null = true
			if _, err := dec.ReadToken(); err != nil {
				return Value{}, err
			}
		case '"', 't', 'f':
			tok, err := dec.ReadToken()
			if err != nil {
				return Value{}, err
			}
			e.Value = tok.String()
		case '0':
			raw, err := dec.ReadValue()
			if err != nil {
				return Value{}, err
			}
			e.Value = string(raw)
		default:
			if _, err := dec.ReadValue(); err != nil {
				return Value{}, err
			}
			return Value{}, fmt.Errorf("people: %s: want a string or null", dec.StackPointer())
		}
		if n := len(entries); n > 0 && compareKeys(entries[n-1].Key, e.Key) >= 0 {
			sorted = false
		}
		entries = append(entries, e)
	}
	if _, err := dec.ReadToken(); err != nil {
		return Value{}, err
	}
	if !sorted {
		return MapValue(entries...), nil
	}
	return Value{kind: Map, plural: true, entries: entries}, nil
}

// AppendQuoted appends s as a JSON string in the form of RFC 8785: only what
// must be escaped is. Invalid UTF-8 is replaced by U+FFFD; readers refuse it
// long before.
func AppendQuoted(b []byte, s string) []byte {
	if isPlain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// isPlain reports whether s is ASCII of which nothing must be escaped. Most
// of a profile are long signatures, so it looks at eight bytes at a time: in
// the sums below a byte has its high bit set if it is not plain.
func isPlain(s string) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		c := s[:8]
		w := uint64(c[0]) | uint64(c[1])<<8 | uint64(c[2])<<16 | uint64(c[3])<<24 |
			uint64(c[4])<<32 | uint64(c[5])<<40 | uint64(c[6])<<48 | uint64(c[7])<<56
		quote, slash := w^each*'"', w^each*'\\'
		if (w|(w-each*' ')|(quote-each)|(slash-each))&high != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// compareKeys orders object keys as RFC 8785 section 3.2.3 does: by UTF-16
// code units. It differs from the order of bytes only where one string has a
// character beyond U+FFFF and the other one between U+E000 and U+FFFF.
func compareKeys(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == b[i] {
			continue
		}
		if a[i] < 0xEE || b[i] < 0xEE {
			return strings.Compare(a[i:], b[i:])
		}
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	}
	return len(a) - len(b)
}
