package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// mappingVersion changes whenever equal profiles give other observations.
const mappingVersion = "people directory 1"

const (
	access = "access_information"
	groups = access + "." + people.Path(people.Directory)
)

// decided are the attributes that cis alone decides: the directory shows them
// and never says them.
var decided = []people.Path{people.UUID, people.Active, people.LastModified, people.Created}

// displays are those of profile v2; "" is null.
var displays = []string{"", "public", "authenticated", "vouched", "ndaed", "staff", "private"}

// generated begins usernames that nobody chose.
const generated = "r--"

// A Check verifies the signature of an attribute that stands at path in the
// profile of person, the zero ID if the profile names none. Its errors hold
// no values.
type Check func(person people.ID, path people.Path, a people.Attribute) error

// A mapping turns profiles into observations. It holds no state.
type mapping struct {
	wholeGroups bool
	fits        func(people.Path, people.Attribute) error // or nil
}

// hash identifies what the mapping does.
func (m *mapping) hash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%t", mappingVersion, m.wholeGroups))
	return hex.EncodeToString(sum[:8])
}

// observe maps one profile. Without ok it is set aside and the last rejection
// says why; otherwise the rejections are of single attributes.
func (m *mapping) observe(raw []byte, check Check) (o people.Observation, ok bool, aside []people.Rejection) {
	parts, reason := split(raw)
	id, err := normalize.UserID(text(parts, people.UserID))
	if err != nil {
		id = ""
	}
	switch {
	case reason != "":
		return o, false, []people.Rejection{{Stage: "read", Record: id, Reason: reason}}
	case id == "":
		return o, false, []people.Rejection{{Stage: "observe", Reason: "no user_id, or one that is none"}}
	}
	o = people.Observation{
		Publisher: people.Directory,
		Record:    id,
		Keys:      []people.Key{{Scheme: people.ByRecord(people.Directory), Value: id}, {Scheme: people.ByUserID, Value: id}},
		Lifecycle: people.Present,
	}
	person, err := people.ParseID(text(parts, people.UUID))
	if err != nil {
		person = people.ID{}
	}
	heard := false // something of groups, if only that they cannot be read
	for _, p := range parts {
		if slices.Contains(decided, p.path) {
			continue
		}
		c, is, reason := m.claim(p, person, check)
		switch is {
		case said:
			o.Claims = append(o.Claims, c)
		case unfit:
			aside = append(aside, people.Rejection{Stage: "observe", Record: id, Attribute: p.path, Reason: reason})
		case unproved:
			aside = append(aside, people.Rejection{Stage: "verify", Record: id, Attribute: p.path, Reason: reason})
		}
		heard = heard || is != nothing && (p.path == groups || p.path == access)
	}
	if m.wholeGroups && !heard {
		o.Claims = append(o.Claims, people.Claim{Path: groups, Empty: true, Value: people.NullValue(true)})
	}
	o.Sort()
	return o, true, aside
}

// An outcome is what becomes of one attribute.
type outcome int

const (
	nothing  outcome = iota // it says nothing
	echo                    // it repeats what another publisher says
	said                    // it is a claim
	unfit                   // it is set aside for what it is
	unproved                // it is set aside for its signature
)

// claim reads one attribute. A reason is why it is set aside.
func (m *mapping) claim(p part, person people.ID, check Check) (c people.Claim, is outcome, reason string) {
	switch {
	case p.flaw != "":
		return c, unfit, p.flaw
	case p.isNull():
		return c, nothing, ""
	}
	a, err := people.ParseAttribute(p.raw)
	name := people.Publisher(a.Signature.Publisher.Name)
	if err != nil {
		name = publisher(p.raw)
	}
	username := p.path == people.PrimaryUsername
	switch {
	case err == nil && a.Value.IsNull():
		return c, nothing, ""
	case name != "" && name != people.Directory, name == "" && p.path == people.UserID:
		return c, echo, "" // a bare user_id is the name of the record, no more
	case err != nil:
		return c, unfit, flaw(p.raw)
	case !a.Metadata.Verified && !saysVerified(p.raw):
		return c, unfit, "the metadata do not say whether it is verified"
	case a.Value.Kind() == people.Map && !textOnly(p.raw):
		return c, unfit, "a map with something else than text and null in it"
	case p.path == groups && a.Value.Kind() != people.Map:
		return c, unfit, "groups that are no map"
	case !slices.Contains(displays, a.Metadata.Display):
		return c, unfit, "an unknown display"
	case username && strings.HasPrefix(a.Value.Text(), generated) && isUsername(a.Value):
		return c, echo, "" // made here, and chosen by nobody
	case username && !isUsername(a.Value):
		return c, unfit, "not a username: want 2 to 64 of a-z, 0-9, _ and -"
	}
	value, ok := tidy(a.Value)
	if !ok {
		return c, unfit, "too long, with control characters, or with a name that is empty or there twice"
	}
	if m.fits != nil {
		if err := m.fits(p.path, a); err != nil {
			return c, unfit, err.Error()
		}
	}
	c = people.Claim{Path: p.path, Value: value, Display: a.Metadata.Display, Unverified: !a.Metadata.Verified}
	switch {
	case a.Signature.Publisher.Value == "":
		return c, said, ""
	case name == "":
		return c, unproved, "a signature that names no publisher"
	case check == nil:
		return c, unproved, "there are no keys to verify it with"
	}
	if err := check(person, p.path, a); err != nil {
		return c, unproved, err.Error()
	}
	c.Value, c.Signed = a.Value, &a // exactly what was signed
	return c, said, ""
}

// saysVerified reports whether the metadata of an attribute have the field:
// without it, false would be a guess that takes away what others have proved.
func saysVerified(raw []byte) bool {
	var a struct {
		Metadata struct {
			Verified *bool `json:"verified"`
		} `json:"metadata"`
	}
	return json.Unmarshal(raw, &a) == nil && a.Metadata.Verified != nil
}

// textOnly reports whether the values of an attribute are text and null only:
// people.ParseAttribute reads the numbers of old data as text.
func textOnly(raw []byte) bool {
	only := true
	err := members(raw, func(name string, value []byte) {
		if name == "values" {
			err := members(value, func(_ string, value []byte) { only = only && (value[0] == '"' || value[0] == 'n') })
			only = only && err == nil
		}
	})
	return only && err == nil
}

func isUsername(v people.Value) bool {
	name, err := normalize.Username(v.Text())
	return err == nil && v.Kind() == people.String && name == v.Text()
}

// tidy returns the normal form of a value, false if it has none.
func tidy(v people.Value) (people.Value, bool) {
	switch v.Kind() {
	case people.String:
		s, err := normalize.Text(v.Text())
		return people.StringValue(s), err == nil
	case people.Map:
		entries := slices.Clone(v.Entries())
		for i, e := range entries {
			key, keyErr := normalize.Line(e.Key)
			value, err := normalize.Text(e.Value)
			if keyErr != nil || err != nil || key == "" {
				return v, false
			}
			entries[i].Key, entries[i].Value = key, value
		}
		w := people.MapValue(entries...)
		return w, len(w.Entries()) == len(entries)
	}
	return v, true
}
