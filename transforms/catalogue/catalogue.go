// Package catalogue owns what is known about attributes as such: their kinds,
// classifications and displays, and which publisher may say what about which
// of them. All of it is data, read from one file, and everything that repeats
// it is made from that file: the served schema, the served publisher rules,
// the null profile, the tables of the documentation.
//
// The file that is built in is catalogue.yaml; an operator's own file in the
// same form replaces it, or extends it. A file with a mistake is refused
// whole, with every mistake and its line.
//
// The package judges single changes ([Catalogue.Judge]) and profiles as they
// stand ([Catalogue.Check]). It refuses to decide between publishers that may
// both speak (that is merge), and knows nothing of keys and signatures.
package catalogue

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

var (
	//go:embed catalogue.yaml
	builtIn []byte
	//go:embed older.yaml
	older []byte
)

// A Catalogue is one checked catalogue. It is not changed after Parse, so
// that any number of goroutines may read it.
type Catalogue struct {
	// SchemaURI stands in every profile under "schema".
	SchemaURI string
	// Containers in the order of the file.
	Containers []Container
	// Attributes sorted by path.
	Attributes []Attribute
	// DefaultRule holds for attributes that are not listed; nil if they are refused.
	DefaultRule *Attribute

	publishers []Publisher
	index      map[people.Path]int
	containers map[string]int
}

// A Publisher is one who may say something.
type Publisher struct {
	Name  people.Publisher
	Title string `json:"-"`
	// MayEditDisplay publishers may change display and verified of any
	// attribute whose value they leave as it is.
	MayEditDisplay bool
	// Extension publishers are unknown to older clients, which refuse a whole
	// profile in which one signs an attribute that they do know.
	Extension bool
}

// A Container is an object of a profile in which attributes stand.
type Container struct {
	Name        string
	Title       string `json:"-"`
	Description string `json:"-"`
	// Updater, if there is one, updates every attribute in the container, and
	// is served once for all of them.
	Updater people.Publisher
	// Optional containers may be without any of their attributes.
	Optional bool
}

// An Attribute is what holds for one attribute of every profile.
type Attribute struct {
	Path        people.Path
	Title       string `json:"-"`
	Description string `json:"-"`
	// Kind is String, Bool or Map; Null, which only the default rule has,
	// stands for any of them.
	Kind           people.Kind
	Classification string
	// Display is that of a value that nobody has set. "" is null here and in Displays.
	Display  string
	Displays []string
	// Create lists who may set the value while it is null, in order of precedence.
	Create []people.Publisher
	// Update is who may change it afterwards; "" is nobody.
	Update people.Publisher
	// Propose lists who may ask Update, who decides and signs, for a change.
	Propose []people.Publisher
	// Publisher is named in the unsigned attribute of a null profile.
	Publisher people.Publisher
	// Optional attributes may be absent from a complete profile.
	Optional bool
	// ProvenBy is the publisher whose proven record may refresh the value,
	// which cis then signs; "" if none.
	ProvenBy people.Publisher
	// ComposedBy signs a map that several publishers own, each some keys; ""
	// if one owns the whole value. Owns tells whose a key is.
	ComposedBy people.Publisher
	// Keys are the patterns of the keys that a publisher owns: "KEY", or
	// "BEGINNING*".
	Keys map[people.Publisher][]string
}

// Default returns the catalogue that is built in. It parses it each time.
func Default() *Catalogue { return mustParse("catalogue.yaml", builtIn) }

// Older returns the catalogue of the older system, with its five publishers.
func Older() *Catalogue { return mustParse("older.yaml", older) }

// mustParse is for files that a test has proved right.
func mustParse(name string, b []byte) *Catalogue {
	c, err := Parse(name, b)
	if err != nil {
		panic(err)
	}
	return c
}

// Displays lists the audiences of a value, from the widest to the narrowest,
// and then "", which is null.
func Displays() []string {
	return []string{"public", "authenticated", "vouched", "ndaed", "staff", "private", ""}
}

// Classifications lists the classes of data, from the most to the least public.
func Classifications() []string {
	return []string{"PUBLIC", "MOZILLA CONFIDENTIAL", "WORKGROUP CONFIDENTIAL", "WORKGROUP CONFIDENTIAL: STAFF ONLY", "INDIVIDUAL CONFIDENTIAL"}
}

// Publishers lists the publishers in the order of the file.
func (c *Catalogue) Publishers() []Publisher { return slices.Clone(c.publishers) }

// Publisher returns the publisher of that name.
func (c *Catalogue) Publisher(name people.Publisher) (Publisher, bool) {
	for _, p := range c.publishers {
		if p.Name == name {
			return p, true
		}
	}
	return Publisher{}, false
}

// Find returns what holds for the attribute at path: what is listed, or the
// default rule if there is one. It is false for attributes that are neither,
// and for names that no attribute can have.
func (c *Catalogue) Find(path people.Path) (Attribute, bool) {
	if i, ok := c.index[path]; ok {
		return c.Attributes[i], true
	}
	if c.DefaultRule == nil || !c.namable(path) {
		return Attribute{}, false
	}
	a := *c.DefaultRule
	a.Path = path
	return a, true
}

// namable reports whether an attribute at path would stand where neither a
// container nor an attribute's own fields do.
func (c *Catalogue) namable(path people.Path) bool {
	container, name := path.Split()
	if container == "" {
		_, taken := c.containers[name]
		return !taken && isName(name)
	}
	_, taken := c.index[people.Path(container)]
	return !taken && isName(container) && isName(name)
}

// May reports whether the rule for op, [people.Create] or [people.Update],
// names the publisher for the attribute at path.
func (c *Catalogue) May(op people.Class, publisher people.Publisher, path people.Path) bool {
	a, ok := c.Find(path)
	return ok && (op == people.Create && a.MayCreate(publisher) || op == people.Update && a.MayUpdate(publisher))
}

// Allows reports whether a value may have the display.
func (a Attribute) Allows(display string) bool { return slices.Contains(a.Displays, display) }

// MayCreate reports whether the publisher may set the value while it is null.
func (a Attribute) MayCreate(publisher people.Publisher) bool {
	return slices.Contains(a.Create, publisher)
}

// MayUpdate reports whether the publisher may change the value that is there.
func (a Attribute) MayUpdate(publisher people.Publisher) bool {
	return publisher != "" && a.Update == publisher
}

// MayPropose reports whether the publisher may ask for a change of the value
// that is there.
func (a Attribute) MayPropose(publisher people.Publisher) bool {
	return slices.Contains(a.Propose, publisher)
}

// Owns reports whether a key of a composed map is the publisher's to set and
// remove. A key that no pattern names belongs to every publisher that creates
// or updates the attribute and has no pattern.
func (a Attribute) Owns(publisher people.Publisher, key string) bool {
	if a.ComposedBy == "" {
		return false
	}
	if patterns, ok := a.Keys[publisher]; ok {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, key) })
	}
	for _, patterns := range a.Keys {
		if slices.ContainsFunc(patterns, func(p string) bool { return matches(p, key) }) {
			return false
		}
	}
	return a.MayCreate(publisher) || a.MayUpdate(publisher)
}

func matches(pattern, key string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(key, start)
	}
	return pattern == key
}

// null is the date of everything in a null profile.
const null = "1970-01-01T00:00:00.000Z"

// Null returns the attribute of a profile of which nobody has said anything.
func (a Attribute) Null() people.Attribute {
	return people.Attribute{
		Value: people.NullValue(a.Kind == people.Map),
		Metadata: people.Metadata{
			Classification: a.Classification,
			LastModified:   null,
			Created:        null,
			Verified:       true,
			Display:        a.Display,
		},
		Signature: people.Signature{
			Publisher:  people.Mark{Alg: "RS256", Typ: "JWS", Name: string(a.Publisher)},
			Additional: []people.Mark{{Alg: "RS256", Typ: "JWS"}},
		},
	}
}

// Null returns the null attribute at path, the zero Attribute if the
// catalogue has none there.
func (c *Catalogue) Null(path people.Path) people.Attribute {
	a, ok := c.Find(path)
	if !ok {
		return people.Attribute{}
	}
	return a.Null()
}

// NullProfile returns a profile of every attribute, each of them null.
func (c *Catalogue) NullProfile() *people.Profile {
	p := &people.Profile{Schema: c.SchemaURI, Attributes: make([]people.Named, len(c.Attributes))}
	for i, a := range c.Attributes {
		p.Attributes[i] = people.Named{Path: a.Path, Attribute: a.Null()}
	}
	return p
}

// Hash identifies what the catalogue says, titles and descriptions left out:
// after a change of it nothing that was decided by the earlier one still
// holds. It is the SHA-256 of a JSON form that nothing else reads, in hex.
func (c *Catalogue) Hash() string {
	h := sha256.New()
	// Writing strings, booleans and maps of them to a hash cannot fail.
	_ = json.NewEncoder(h).Encode([]any{c.SchemaURI, c.publishers, c.Containers, c.Attributes, c.DefaultRule})
	return hex.EncodeToString(h.Sum(nil))
}
