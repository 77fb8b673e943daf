package people

import "time"

// A Class groups operations by what they do to a person; guards judge
// classes.
type Class string

// The classes of operation.
const (
	Create     Class = "create"
	Update     Class = "update"
	Deactivate Class = "deactivate"
	Reactivate Class = "reactivate"
	Relink     Class = "relink"
	Clear      Class = "clear"
)

// Classes lists the classes in the order in which reports show them.
func Classes() []Class { return []Class{Create, Update, Deactivate, Reactivate, Relink, Clear} }

// Content is what of an attribute decides whether it changed.
type Content struct {
	Value    Value  `json:"value"`
	Display  string `json:"display,omitzero"`
	Verified bool   `json:"verified"`
}

// ContentOf returns the content of a.
func ContentOf(a Attribute) Content {
	return Content{a.Value, a.Metadata.Display, a.Metadata.Verified}
}

// Equal reports whether c and d are the same content.
func (c Content) Equal(d Content) bool {
	return c.Value.Equal(d.Value) && c.Display == d.Display && c.Verified == d.Verified
}

// A Change is one attribute of one operation: what it was, what it will be,
// who said so and why that counted.
type Change struct {
	Path Path    `json:"path"`
	Old  Content `json:"old"`
	New  Content `json:"new"`
	// Publisher signs the new value.
	Publisher Publisher `json:"publisher"`
	// Rule is the authority rule that let it win.
	Rule string `json:"rule"`
	// Source is whose word it is, where that is another than the operation's:
	// of a creation, which is one operation whoever says what.
	Source Publisher `json:"source,omitzero"`
	// Since is when the publisher was first seen to say so.
	Since time.Time `json:"since,omitzero"`
	// Signed is the attribute as its publisher signed it, stored verbatim.
	Signed *Attribute `json:"signed,omitzero"`
}

// An Operation is all changes of one class that one source causes in one
// person. It is applied whole or not at all.
type Operation struct {
	Class   Class     `json:"class"`
	Source  Publisher `json:"source"`
	Changes []Change  `json:"changes"`
}

// Evidence is what a profile stands on, beside the profile itself: every
// current observation of the person and what humans and runs decided.
type Evidence struct {
	// Observations are sorted by publisher and record, one a publisher.
	Observations []Observation `json:"observations,omitzero"`
	// Former are user ids the person had before, oldest first; they lead here
	// until somebody else holds them.
	Former []string `json:"former,omitzero"`
	// Cleared marks attributes that their owner emptied explicitly.
	Cleared []Cleared `json:"cleared,omitzero"`
}

// Cleared says that a publisher emptied an attribute: no lower authority may
// fill it while the mark stands.
type Cleared struct {
	Path      Path      `json:"path"`
	Publisher Publisher `json:"publisher"`
	At        time.Time `json:"at"`
}

// Find returns the observation of a publisher, nil if there is none.
func (e *Evidence) Find(p Publisher) *Observation {
	for i := range e.Observations {
		if e.Observations[i].Publisher == p {
			return &e.Observations[i]
		}
	}
	return nil
}

// A Proposal is one person's part of a plan: what should be done to them and
// the evidence as it will be then.
type Proposal struct {
	Person ID `json:"person"`
	// Base is the revision the proposal was made from; 0 for somebody new, and
	// the tombstone's for somebody who was erased and comes back.
	Base       int64       `json:"base"`
	Operations []Operation `json:"operations,omitzero"`
	Evidence   Evidence    `json:"evidence"`
	// Noted says that the evidence differs from what is stored.
	Noted bool `json:"noted,omitzero"`
	// Reindex says that the snapshot's row of the person is behind the vault.
	Reindex bool `json:"reindex,omitzero"`
}

// A Revision is one entry of a person's history: what a write changed, when
// it was recorded and what caused it.
type Revision struct {
	Number     int64       `json:"revision"`
	RecordedAt time.Time   `json:"recorded_at"`
	Cause      Cause       `json:"cause"`
	Operations []Operation `json:"operations"`
}

// A Cause says which run, or which door and caller, made a write.
type Cause struct {
	Run    string `json:"run,omitzero"`
	Door   string `json:"door"` // sync, refresh, import, api
	Reason string `json:"reason,omitzero"`
	// By is the caller at a door that has callers: a token's issuer and subject.
	By string `json:"by,omitzero"`
}
