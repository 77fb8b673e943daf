package people

import (
	"slices"
	"strings"
	"time"
)

// A Scheme says what the value of a [Key] is.
type Scheme string

// The schemes by which records and people are found. A record id has the
// scheme "record:" + publisher.
const (
	ByUUID       Scheme = "uuid"
	ByUserID     Scheme = "user_id"
	ByFormerID   Scheme = "former_user_id"
	ByEmail      Scheme = "email"
	ByUsername   Scheme = "username"
	ByPosixID    Scheme = "posix_id"
	ByEmployeeID Scheme = "record:hris"
)

// ByRecord is the scheme of a publisher's immutable record ids.
func ByRecord(p Publisher) Scheme { return "record:" + Scheme(p) }

// A Key is a value that can lead to a person. Emails are lower-case.
type Key struct {
	Scheme Scheme `json:"scheme"`
	Value  string `json:"value"`
}

// A Lifecycle is what a record says of a person's being here at all.
type Lifecycle string

// The states of a record. NotYet counts as present and creates or ends
// nothing. Blocked and Ended are explicit signals. Gone is never said by a
// source: a run concludes it from two complete extracts and a grace.
const (
	Present Lifecycle = "present"
	NotYet  Lifecycle = "not_yet"
	Blocked Lifecycle = "blocked"
	Ended   Lifecycle = "ended"
	Gone    Lifecycle = "gone"
)

// A Claim is what one publisher says of one attribute: a value to set, or
// (Empty) that there is none. An attribute without a claim is one of which
// the publisher is silent.
type Claim struct {
	Path  Path  `json:"path"`
	Empty bool  `json:"empty,omitzero"`
	Value Value `json:"value"`
	// Display is proposed, and counts only where none is set. "" proposes nothing.
	Display string `json:"display,omitzero"`
	// Unverified claims have metadata.verified false.
	Unverified bool `json:"unverified,omitzero"`
	// Signed is the attribute as the publisher itself signed it; it is stored verbatim.
	Signed *Attribute `json:"signed,omitzero"`
	// Since is when the publisher was first seen to say this. The run sets it.
	Since time.Time `json:"since,omitzero"`
}

// Same reports whether c and d say the same, whenever they were said.
func (c Claim) Same(d Claim) bool {
	return c.Path == d.Path && c.Empty == d.Empty && c.Value.Equal(d.Value) && c.Display == d.Display &&
		c.Unverified == d.Unverified && (c.Signed == nil) == (d.Signed == nil) && (c.Signed == nil || c.Signed.Equal(*d.Signed))
}

// An Observation is one publisher's claim about one person: one record, mapped.
type Observation struct {
	Publisher Publisher `json:"publisher"`
	// Record is the id that the source never changes or reuses: LDAP entryUUID
	// (a DN where there is none), Workday EmployeeID.
	Record string `json:"record"`
	// Keys are what the record can be matched by, sorted. An anchor's record
	// has exactly one ByUserID.
	Keys      []Key     `json:"keys,omitzero"`
	Lifecycle Lifecycle `json:"lifecycle"`
	// Claims are sorted by path, one a path.
	Claims []Claim `json:"claims,omitzero"`
	// SeenAt is when the extract began that brought this form of the record. The run sets it.
	SeenAt time.Time `json:"seen_at,omitzero"`
	// Place is where the source had it ("people.ldif:120"), for people who look for it.
	Place string `json:"place,omitzero"`
}

// Sort brings keys and claims into their order.
func (o *Observation) Sort() {
	slices.SortFunc(o.Keys, func(a, b Key) int {
		if c := strings.Compare(string(a.Scheme), string(b.Scheme)); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	slices.SortStableFunc(o.Claims, func(a, b Claim) int { return strings.Compare(string(a.Path), string(b.Path)) })
}

// Key returns the first key of the scheme, "" if there is none.
func (o *Observation) Key(s Scheme) string {
	for _, k := range o.Keys {
		if k.Scheme == s {
			return k.Value
		}
	}
	return ""
}

// Claim returns the claim at path.
func (o *Observation) Claim(path Path) (Claim, bool) {
	i, ok := slices.BinarySearchFunc(o.Claims, path, func(c Claim, p Path) int { return strings.Compare(string(c.Path), string(p)) })
	if !ok {
		return Claim{}, false
	}
	return o.Claims[i], true
}

// AppendContent appends what the record says, without when and where it was
// seen: equal contents are equal bytes, so that their hash tells a changed
// record from an unchanged one.
func (o *Observation) AppendContent(b []byte) []byte {
	b = AppendQuoted(append(b, '['), string(o.Publisher))
	b = AppendQuoted(append(b, ','), o.Record)
	b = AppendQuoted(append(b, ','), string(o.Lifecycle))
	for _, k := range o.Keys {
		b = AppendQuoted(append(b, ','), string(k.Scheme))
		b = AppendQuoted(append(b, ':'), k.Value)
	}
	for i := range o.Claims {
		c := &o.Claims[i]
		b = AppendQuoted(append(b, ",{"...), string(c.Path))
		if c.Empty {
			b = append(b, ":[]"...)
		} else {
			b = c.Value.AppendJSON(append(b, ':'))
		}
		b = AppendQuoted(append(b, ','), c.Display)
		if c.Unverified {
			b = append(b, ",0"...)
		}
		if c.Signed != nil {
			b = c.Signed.AppendJSON(append(b, ','), true)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// A Certificate ends an extract and says what proves that it is whole. Only
// a complete one lets anything follow from what was not seen.
type Certificate struct {
	Source    string    `json:"source"`
	Publisher Publisher `json:"publisher"`
	Complete  bool      `json:"complete"`
	// Reason says why an extract is not complete, without personal data.
	Reason string `json:"reason,omitzero"`
	// Rows counts the source's records of people, those set aside included.
	Rows     int64 `json:"rows"`
	Rejected int64 `json:"rejected"`
	Bytes    int64 `json:"bytes"`
	// Expected is an independent count, where the source gives one; -1 where it gives none.
	Expected int64 `json:"expected"`
	// End is the protocol's own proof of the end ("result 0 and empty cookie").
	End string `json:"end,omitzero"`
	// Scope is what was asked for: base, filter, report, bind identity. A
	// change of it makes the next extract another one. No secrets.
	Scope []string `json:"scope,omitzero"`
	// Mapping is a hash of the attribute mapping; a change of it makes everyone a candidate.
	Mapping string    `json:"mapping,omitzero"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// A Rejection is a datum set aside: a record, or one attribute of one, with
// where it stands and why. Reason never holds a value.
type Rejection struct {
	Source    string    `json:"source"`
	Publisher Publisher `json:"publisher"`
	Stage     string    `json:"stage"` // read, observe, verify, extract, plan, apply
	Record    string    `json:"record,omitzero"`
	Place     string    `json:"place,omitzero"`
	Attribute Path      `json:"attribute,omitzero"` // "" sets aside the whole record
	Reason    string    `json:"reason"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
	// Keys are what can still be read of a record whose id cannot: whoever is
	// missing and has one of them counts as present. They are not kept.
	Keys []Key `json:"-"`
}

// A Case is what cannot be decided without a human: a record that attaches
// to nobody or to more than one, an id that seems recycled.
type Case struct {
	Kind      string    `json:"kind"`
	Publisher Publisher `json:"publisher"`
	Record    string    `json:"record,omitzero"`
	People    []ID      `json:"people,omitzero"`
	Reason    string    `json:"reason"`
	Resolve   string    `json:"resolve"` // what a human can do
	FirstSeen time.Time `json:"first_seen,omitzero"`
}
