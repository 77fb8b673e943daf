package directory

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/transforms/people"
)

const (
	// maxRecord bounds one profile, and with it the memory of the reader. A
	// profile with every attribute signed is some 40 KB; the contract lets
	// nobody send more than this.
	maxRecord = 1 << 20
	// maxAttributes bounds what one profile can have to say, and to be set
	// aside. Profile v2 knows some 60.
	maxAttributes = 256
	maxName       = 64
)

// unnamed stands for an attribute whose name cannot be told.
const unnamed people.Path = "?"

// A part is what a profile has at one path, before it is read.
type part struct {
	path people.Path
	raw  []byte
	flaw string // why it cannot be read; it is known to be there and no more
}

// isNull reports whether there is nothing at the path.
func (p part) isNull() bool { return p.flaw == "" && string(p.raw) == "null" }

const flawTwice = "a name that is there twice"

// split takes a profile apart. The parts are sorted by path, one a path. If
// there is a reason to set the profile aside, the parts are what could be read
// of it nevertheless.
func split(raw []byte) (parts []part, reason string) {
	tops := map[string]bool{}
	err := members(raw, func(name string, value []byte) {
		switch {
		case name == "schema":
			return
		case !isName(name):
			parts = append(parts, part{path: unnamed, flaw: "a name that no attribute can have"})
			return
		case tops[name]:
			parts = append(parts, part{path: people.Path(name), flaw: flawTwice})
		}
		tops[name] = true
		parts = append(parts, inside(name, value)...)
	})
	switch {
	case err == errNoObject:
		reason = "not a JSON object"
	case err != nil:
		reason = "not JSON"
	case len(parts) > maxAttributes:
		reason = "more than 256 attributes"
	}
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(string(a.path), string(b.path)) })
	twice := map[string]bool{}
	for _, p := range parts {
		if p.flaw == flawTwice {
			twice[string(p.path)] = true
		}
	}
	once := parts[:0]
	for _, p := range parts {
		if container, _ := p.path.Split(); twice[container] {
			p.flaw = flawTwice
		}
		switch n := len(once); {
		case n == 0 || once[n-1].path != p.path:
			once = append(once, p)
		case once[n-1].flaw == "":
			once[n-1].flaw = flawTwice
		}
	}
	return once, reason
}

// inside returns the attribute that value is, or those that stand in it: an
// object is an attribute if it has a field of one, else a container.
func inside(name string, value []byte) (parts []part) {
	whole := part{path: people.Path(name), raw: value}
	if whole.isNull() {
		return []part{whole}
	}
	attribute := false
	err := members(value, func(second string, value []byte) {
		p := part{path: people.Path(name + "." + second), raw: value}
		if attribute = attribute || isField(second); !isName(second) {
			p = part{path: people.Path(name), flaw: "a name that no attribute can have"}
		}
		parts = append(parts, p)
	})
	switch {
	case err != nil:
		whole.flaw = "not a JSON object"
		return []part{whole}
	case attribute:
		return []part{whole}
	}
	return parts
}

var (
	errNoObject = errors.New("not an object")
	errMore     = errors.New("more after the end")
)

// lenient reads what is judged later, piece by piece.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// members calls each for every member of an object, which must be the whole
// of raw. Names may recur; text may be no UTF-8.
func members(raw []byte, each func(name string, value []byte)) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), lenient)
	if k := dec.PeekKind(); k != '{' && k != 0 {
		return errNoObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if tok.Kind() == '}' {
			break
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := dec.InputOffset()
		each(name, raw[end-int64(len(value)):end])
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return errMore
	}
	return nil
}

// isName reports whether an attribute or a container can have the name.
func isName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxName && !isField(name)
}

func isField(name string) bool {
	return name == "signature" || name == "metadata" || name == "value" || name == "values"
}

// find returns the part at path.
func find(parts []part, path people.Path) (part, bool) {
	i, ok := slices.BinarySearchFunc(parts, path, func(p part, q people.Path) int { return strings.Compare(string(p.path), string(q)) })
	if !ok {
		return part{}, false
	}
	return parts[i], true
}

// text returns the string that an attribute has for its value, whatever else
// is wrong with it, "" if there is none or more than one.
func text(parts []part, path people.Path) string {
	p, ok := find(parts, path)
	if !ok || p.flaw != "" {
		return ""
	}
	var s string
	n := 0
	err := members(p.raw, func(name string, value []byte) {
		if name != "value" {
			return
		}
		if n++; value[0] != '"' || json.Unmarshal(value, &s) != nil {
			s = ""
		}
	})
	if err != nil || n != 1 {
		return ""
	}
	return s
}

// publisher returns who is named in the signature of an attribute that is
// otherwise malformed, "" if that cannot be told.
func publisher(raw []byte) people.Publisher {
	var a struct {
		Signature struct {
			Publisher struct {
				Name people.Publisher `json:"name"`
			} `json:"publisher"`
		} `json:"signature"`
	}
	if json.Unmarshal(raw, &a, lenient) != nil {
		return ""
	}
	return a.Signature.Publisher.Name
}

// flaw says what is wrong with an attribute that people.ParseAttribute
// refuses, without the names in it, which may be a person's own words.
func flaw(raw []byte) string {
	var a struct {
		Signature jsontext.Value `json:"signature"`
		Metadata  jsontext.Value `json:"metadata"`
		Value     jsontext.Value `json:"value"`
		Values    jsontext.Value `json:"values"`
	}
	err := json.Unmarshal(raw, &a, json.RejectUnknownMembers(true))
	reads := func(name string, value jsontext.Value, beside string) bool {
		if value == nil {
			return true
		}
		_, err := people.ParseAttribute(slices.Concat([]byte(`{"`+name+`":`), value, []byte(beside+`}`)))
		return err == nil
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return flawTwice
	case errors.As(err, &syntax):
		return "text that is not Unicode"
	case err != nil:
		return "not an attribute, or with a field that none has"
	case (a.Value == nil) == (a.Values == nil):
		return "want exactly one of value and values"
	case !reads("value", a.Value, ""):
		return "the value is not a string, a boolean or null"
	case !reads("values", a.Values, ""):
		return "the values are not a map of strings, or null"
	case !reads("metadata", a.Metadata, `,"value":null`):
		return "the metadata are malformed"
	}
	return "the signature is malformed"
}
