// Package diff turns decisions into operations, applies operations to a
// profile, and compares profiles. Pure.
package diff

import (
	"slices"
	"strings"
	"time"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// Operations groups decisions about one person by class and source. All of a
// creation is one operation, of the publisher that first claims the user_id;
// changes that are another's word say so.
func Operations(decisions []merge.Decision) []people.Operation {
	var out []people.Operation
	creator := people.CIS
	for _, d := range decisions {
		if d.Class == people.Create && d.Path == people.UserID {
			creator = d.Source
		}
	}
	for _, d := range decisions {
		if d.Class == people.Create {
			if d.Source != creator {
				d.Change.Source = d.Source
			}
			d.Source = creator
		}
		i := slices.IndexFunc(out, func(o people.Operation) bool { return o.Class == d.Class && o.Source == d.Source })
		if i < 0 {
			i = len(out)
			out = append(out, people.Operation{Class: d.Class, Source: d.Source, Changes: make([]people.Change, 0, len(decisions))})
		}
		out[i].Changes = append(out[i].Changes, d.Change)
	}
	slices.SortFunc(out, func(a, b people.Operation) int {
		if c := slices.Index(people.Classes(), a.Class) - slices.Index(people.Classes(), b.Class); c != 0 {
			return c
		}
		return strings.Compare(string(a.Source), string(b.Source))
	})
	return out
}

// Applied is the outcome of applying operations to one person.
type Applied struct {
	Profile *people.Profile
	// Changed are the paths that need a signature of Publishers[i], in order;
	// nulls and attributes with a foreign signature are not among them.
	Changed    []people.Path
	Publishers []people.Publisher
	Done       []people.Operation
	// Moved are operations whose attributes are no longer what the plan saw.
	Moved []people.Operation
}

// Apply applies operations to a stored profile (nil: a new person), each
// whole or not at all. An operation is compared by what it touches: if an
// attribute is neither what the plan saw nor already what it wants, the whole
// operation has moved and is left.
//
// Every write sets last_modified to now, and active is signed anew with it.
// The dates of all that needs a signature are brought into people.TimeFormat,
// in which alone they can be signed; a date that says nothing becomes now.
func Apply(c *catalogue.Catalogue, stored *people.Profile, operations []people.Operation, now time.Time) Applied {
	var out Applied
	if stored == nil {
		out.Profile = c.NullProfile()
	} else {
		out.Profile = stored.Clone()
	}
	stamp := now.UTC().Format(people.TimeFormat)
	put := func(path people.Path, a people.Attribute, by people.Publisher) {
		if a.Signature.Publisher.Value == "" && !a.Value.IsNull() {
			a.Metadata.Created, a.Metadata.LastModified = date(a.Metadata.Created, stamp), date(a.Metadata.LastModified, stamp)
			out.Changed, out.Publishers = append(out.Changed, path), append(out.Publishers, by)
		}
		out.Profile.Set(path, a)
	}
	for _, o := range operations {
		if slices.ContainsFunc(o.Changes, func(ch people.Change) bool { return moved(out.Profile, ch) }) {
			out.Moved = append(out.Moved, o)
			continue
		}
		for _, ch := range o.Changes {
			a, ok := out.Profile.Find(ch.Path)
			if !ok {
				a = c.Null(ch.Path)
			}
			put(ch.Path, set(c, a, ch, stamp), ch.Publisher)
		}
		out.Done = append(out.Done, o)
	}
	if len(out.Done) == 0 {
		return out
	}
	a, ok := out.Profile.Find(people.LastModified)
	if !ok {
		a = c.Null(people.LastModified)
	}
	put(people.LastModified, set(c, a, people.Change{Path: people.LastModified, Publisher: people.CIS,
		New: people.Content{Value: people.StringValue(stamp), Display: a.Metadata.Display, Verified: true}}, stamp), people.CIS)
	if a, ok := out.Profile.Find(people.Active); ok && !a.Value.IsNull() && !slices.Contains(out.Changed, people.Active) {
		// A store may hold an active that somebody else signed; cis signs it with every write.
		a.Signature.Publisher = people.Mark{Alg: a.Signature.Publisher.Alg, Typ: "JWS", Name: string(people.CIS)}
		put(people.Active, a, people.CIS)
	}
	return out
}

// date returns an older form of a date in the one that is written here.
func date(s, otherwise string) string {
	if s == otherwise { // most are of this very write
		return s
	}
	d, err := normalize.Timestamp(s)
	if err != nil {
		return otherwise
	}
	return d
}

func moved(p *people.Profile, ch people.Change) bool {
	a, ok := p.Find(ch.Path)
	if !ok {
		return !ch.Old.Value.IsNull()
	}
	is := people.ContentOf(a)
	return !is.Equal(ch.Old) && !is.Equal(ch.New)
}

// set returns a with the change's content, unsigned unless the change brings
// a signature of its own.
func set(c *catalogue.Catalogue, a people.Attribute, ch people.Change, stamp string) people.Attribute {
	if ch.Signed != nil {
		return *ch.Signed
	}
	if a.Value.IsNull() && !ch.New.Value.IsNull() {
		a.Metadata.Created = stamp
	}
	if attr, ok := c.Find(ch.Path); ok {
		a.Metadata.Classification = attr.Classification
	}
	a.Value = ch.New.Value
	a.Metadata.Display, a.Metadata.Verified, a.Metadata.LastModified = ch.New.Display, ch.New.Verified, stamp
	a.Signature.Publisher = people.Mark{Alg: a.Signature.Publisher.Alg, Typ: "JWS", Name: string(ch.Publisher)}
	if a.Signature.Publisher.Alg == "" {
		a.Signature.Publisher.Alg = "RS256"
	}
	return a
}

// A Difference is one attribute in which two profiles differ.
type Difference struct {
	Path     people.Path    `json:"path"`
	Old, New people.Content `json:"-"`
}

// Profiles lists the attributes whose content differs between a and b, either
// of which may be nil; the date of the last write is left out.
func Profiles(a, b *people.Profile) []Difference {
	var out []Difference
	paths := map[people.Path]bool{}
	for _, p := range []*people.Profile{a, b} {
		if p == nil {
			continue
		}
		for _, n := range p.Attributes {
			paths[n.Path] = true
		}
	}
	find := func(p *people.Profile, path people.Path) people.Content {
		if p == nil {
			return people.Content{}
		}
		at, _ := p.Find(path)
		return people.ContentOf(at)
	}
	for path := range paths {
		x, y := find(a, path), find(b, path)
		if path == people.LastModified || x.Equal(y) || x.Value.IsNull() && y.Value.IsNull() {
			continue
		}
		out = append(out, Difference{path, x, y})
	}
	slices.SortFunc(out, func(x, y Difference) int { return strings.Compare(string(x.Path), string(y.Path)) })
	return out
}
