package view

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

// A Doc is a profile in its canonical form, of which it is known where each
// attribute stands and for whom it is. Most of a profile is signatures, which a
// reader of one is given as they are: a Doc copies what is seen and parses
// nothing, which takes a tenth of the time.
//
// It says what the parsed profile would say. Whatever [people.Profile.AppendJSON]
// did not write as it is read here, is parsed and written again first.
type Doc struct {
	schema string
	body   []byte
	at     []place
}

// A place is where an attribute stands, from its brace to after the other one.
type place struct {
	path           people.Path
	class, display string
	from, to       int
}

// Read reads a profile. An error is that of [people.ParseProfile].
func Read(body []byte) (*Doc, error) {
	if d := index(body); d != nil {
		return d, nil
	}
	p, err := people.ParseProfile(body)
	if err != nil {
		return nil, err
	}
	again := p.AppendJSON(nil)
	if d := index(again); d != nil {
		return d, nil
	}
	// Words that have to be escaped: nobody but this profile has them.
	d := &Doc{schema: p.Schema}
	for _, n := range p.Attributes {
		from := len(d.body)
		d.body = n.Attribute.AppendJSON(d.body, true)
		d.at = append(d.at, place{n.Path, n.Metadata.Classification, n.Metadata.Display, from, len(d.body)})
	}
	return d, nil
}

// Append appends as JSON what a grant shows of the profile, with each of the
// containers. Only some attributes are shown if only is not nil.
func (d *Doc) Append(b []byte, g Grant, only func(people.Path) bool, containers []string) []byte {
	paths := make([]people.Path, 0, len(d.at))
	seen := make([]place, 0, len(d.at))
	for _, p := range d.at {
		if g.Sees(p.class, p.display) && (only == nil || only(p.path)) {
			paths, seen = append(paths, p.path), append(seen, p)
		}
	}
	return appendAll(b, d.schema, paths, containers, func(b []byte, i int) []byte { return append(b, d.body[seen[i].from:seen[i].to]...) })
}

// Attribute reads one attribute, the zero Attribute if there is none.
func (d *Doc) Attribute(path people.Path) (people.Attribute, error) {
	i := d.find(path)
	if i < 0 {
		return people.Attribute{}, nil
	}
	a, err := people.ParseAttribute(d.body[d.at[i].from:d.at[i].to])
	if err != nil {
		return a, fmt.Errorf("view: %s: %w", path, err)
	}
	return a, nil
}

func (d *Doc) find(path people.Path) int {
	return slices.IndexFunc(d.at, func(p place) bool { return p.path == path })
}

// Seen reads one attribute if the grant shows it.
func (d *Doc) Seen(g Grant, path people.Path) (a people.Attribute, seen bool, err error) {
	if i := d.find(path); i < 0 || !g.Sees(d.at[i].class, d.at[i].display) {
		return people.Attribute{}, false, nil
	}
	a, err = d.Attribute(path)
	return a, err == nil, err
}

// index finds the attributes of a canonical profile, nil if it is none, or has
// escapes where it looks.
func index(body []byte) *Doc {
	s := &scanner{b: body}
	d := &Doc{body: body, at: make([]place, 0, 64)}
	s.object(func(name string) {
		switch {
		case name == "schema":
			d.schema = strings.Clone(s.text())
		case s.starts(`{"metadata":{"classification":`):
			d.attribute(s, people.Path(name))
		default:
			s.object(func(inner string) {
				if s.starts(`{"metadata":{"classification":`) {
					d.attribute(s, people.Path(name+"."+inner))
				} else {
					s.bad = true
				}
			})
		}
	})
	if s.bad || s.i != len(body) {
		return nil
	}
	return d
}

func (d *Doc) attribute(s *scanner, path people.Path) {
	p := place{path: path, from: s.i}
	s.take(`{"metadata":{"classification":`)
	p.class = known(classes, s.text())
	s.take(`,"created":`)
	s.text()
	s.take(`,"display":`)
	p.display = known(displays, s.text())
	// The rest of the metadata is flat, up to its brace; then come objects and values.
	s.skip(2)
	p.to = s.i
	d.at = append(d.at, p)
}

// known is a word without a string of its own, if it is one of a list.
func known(list []string, word string) string {
	if i := slices.Index(list, word); i >= 0 {
		return list[i]
	}
	return strings.Clone(word)
}

// A scanner reads canonical JSON. Once it is bad it stays where it is.
type scanner struct {
	b   []byte
	i   int
	bad bool
}

func (s *scanner) starts(with string) bool {
	return !s.bad && len(s.b)-s.i >= len(with) && string(s.b[s.i:s.i+len(with)]) == with
}

func (s *scanner) take(what string) {
	if s.starts(what) {
		s.i += len(what)
	} else {
		s.bad = true
	}
}

// text reads a string without escapes, or null, which is "". It is valid as long
// as the bytes are.
func (s *scanner) text() string {
	if s.starts("null") {
		s.i += 4
		return ""
	}
	s.take(`"`)
	if s.bad {
		return ""
	}
	n := bytes.IndexByte(s.b[s.i:], '"')
	if n < 0 || bytes.IndexByte(s.b[s.i:s.i+n], '\\') >= 0 {
		s.bad = true
		return ""
	}
	text := string(s.b[s.i : s.i+n])
	s.i += n + 1
	return text
}

// object reads an object whose members each reads.
func (s *scanner) object(each func(name string)) {
	s.take("{")
	if s.starts("}") {
		s.i++
		return
	}
	for !s.bad {
		name := s.text()
		s.take(":")
		if s.bad {
			return
		}
		each(name)
		if s.starts("}") {
			s.i++
			return
		}
		s.take(",")
	}
}

// skip goes on until as many braces are closed as are open.
func (s *scanner) skip(open int) {
	for !s.bad && open > 0 {
		if s.i == len(s.b) {
			s.bad = true
			return
		}
		switch s.b[s.i] {
		case '"':
			s.quoted()
			continue
		case '{':
			open++
		case '}':
			open--
		}
		s.i++
	}
}

// quoted goes past a string, with or without escapes.
func (s *scanner) quoted() {
	from := s.i + 1
	for at := from; ; {
		n := bytes.IndexByte(s.b[at:], '"')
		if n < 0 {
			s.bad = true
			return
		}
		at += n + 1
		escapes := 0
		for k := at - 2; k >= from && s.b[k] == '\\'; k-- {
			escapes++
		}
		if escapes%2 == 0 {
			s.i = at
			return
		}
	}
}
