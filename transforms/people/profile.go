package people

import (
	"slices"
	"strings"
)

// A Publisher is a source's name on data and signatures.
type Publisher string

// The publishers that this project itself gives a meaning; a catalogue may
// name others.
const (
	LDAP           Publisher = "ldap"
	HRIS           Publisher = "hris"
	AccessProvider Publisher = "access_provider"
	Directory      Publisher = "mozilliansorg"
	GitHub         Publisher = "github"
	CIS            Publisher = "cis"
)

// A Path names an attribute: "first_name", or "container.name" for one that
// stands in a container.
type Path string

// Split returns the container ("" at the top level) and the name.
func (p Path) Split() (container, name string) {
	if c, n, ok := strings.Cut(string(p), "."); ok {
		return c, n
	}
	return "", string(p)
}

// The attributes that the core itself reads or writes.
const (
	UUID            Path = "uuid"
	UserID          Path = "user_id"
	PrimaryUsername Path = "primary_username"
	GitHubID        Path = "identities.github_id_v3" // the number of an account, as text
	PrimaryEmail    Path = "primary_email"
	Active          Path = "active"
	LastModified    Path = "last_modified"
	Created         Path = "created"
)

// TimeFormat is the form of every date that is written here: RFC 3339 in
// UTC with exactly three decimals, the only form that signatures of Rust
// clients survive.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// Metadata describes one attribute. Dates are kept as written. Display "" is
// null.
type Metadata struct {
	Classification string
	LastModified   string
	Created        string
	Verified       bool
	Display        string
}

// A Mark is one signature: a compact JWS in Value, "" when there is none.
// Name "" is null.
type Mark struct {
	Alg, Typ, Name, Value string
}

// A Signature is the publisher's mark and any number of others, which are
// never touched.
type Signature struct {
	Publisher  Mark
	Additional []Mark
}

// An Attribute is one value with what is known about it.
type Attribute struct {
	Value     Value
	Metadata  Metadata
	Signature Signature
}

// SameContent reports whether a and b agree in value, display and verified:
// everything else about an attribute is no change.
func (a Attribute) SameContent(b Attribute) bool {
	return a.Value.Equal(b.Value) && a.Metadata.Display == b.Metadata.Display && a.Metadata.Verified == b.Metadata.Verified
}

// Equal reports whether a and b agree in everything.
func (a Attribute) Equal(b Attribute) bool {
	return a.Value.Equal(b.Value) && a.Value.plural == b.Value.plural && a.Metadata == b.Metadata &&
		a.Signature.Publisher == b.Signature.Publisher && slices.Equal(a.Signature.Additional, b.Signature.Additional)
}

// A Named is an attribute and where it stands.
type Named struct {
	Path Path
	Attribute
}

// A Profile is the whole of what is published about one person. Attributes
// are sorted by path and unique; use Set to keep them so.
type Profile struct {
	Schema     string
	Attributes []Named
}

// Find returns the attribute at path.
func (p *Profile) Find(path Path) (Attribute, bool) {
	i, ok := p.index(path)
	if !ok {
		return Attribute{}, false
	}
	return p.Attributes[i].Attribute, true
}

// Value returns the value at path, null if there is none.
func (p *Profile) Value(path Path) Value {
	a, _ := p.Find(path)
	return a.Value
}

// Set puts a at path, in the place of what stood there.
func (p *Profile) Set(path Path, a Attribute) {
	i, ok := p.index(path)
	if ok {
		p.Attributes[i].Attribute = a
		return
	}
	p.Attributes = slices.Insert(p.Attributes, i, Named{path, a})
}

// Clone returns a copy that can be changed with Set; values and additional
// signatures are shared, nobody changes those.
func (p *Profile) Clone() *Profile {
	return &Profile{Schema: p.Schema, Attributes: slices.Clone(p.Attributes)}
}

func (p *Profile) index(path Path) (int, bool) {
	return slices.BinarySearchFunc(p.Attributes, path, func(n Named, q Path) int { return strings.Compare(string(n.Path), string(q)) })
}
