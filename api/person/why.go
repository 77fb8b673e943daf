package person

import (
	"net/http"
	"slices"
	"time"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

// An Explanation says of somebody why their profile is what it is.
type Explanation struct {
	Person    people.ID        `json:"person"`
	Revision  int64            `json:"revision"`
	Authority people.Publisher `json:"lifecycle_authority,omitzero"`
	Records   []Record         `json:"records"`
	// Attributes are those that have a value or a word said about them.
	Attributes []Explained `json:"attributes"`
}

// A Record is what is known of one source's record of the person. What it is
// called there is not told: it may be a number of the person's.
type Record struct {
	Publisher people.Publisher `json:"publisher"`
	Source    string           `json:"source,omitzero"`
	Lifecycle people.Lifecycle `json:"lifecycle"`
	SeenAt    time.Time        `json:"seen_at,omitzero"`
}

// An Explained is one attribute.
type Explained struct {
	merge.Explanation
	// Since is when the source was first seen to say so, RecordedAt when that was
	// written.
	Since      time.Time `json:"since,omitzero"`
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	Signature  Signature `json:"signature"`
}

// A Signature is what can be said of one.
type Signature struct {
	Publisher string `json:"publisher,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
	Key       string `json:"key,omitzero"` // the kid of the published key
	Bound     bool   `json:"bound,omitzero"`
	Verifies  bool   `json:"verifies"`
	Wrong     string `json:"wrong,omitzero"`
}

// explain says why a profile is what it is, of the attributes that the caller
// sees. What another source said of one is shown if the caller would see it,
// had it won.
func (s *service) explain(w http.ResponseWriter, r *http.Request) error {
	stored, p, err := s.byID(r)
	if err != nil {
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	path := people.Path(q.Get("attribute"))
	if _, known := s.Catalogue.Find(path); path != "" && !known {
		return api.Bad("no attribute has that name")
	}
	x, err := s.Explain(r.Context(), stored, p, path)
	if err != nil {
		return err
	}
	grant := view.Of(api.CallerOf(r.Context()).Scopes)
	seen := []Explained{}
	for _, a := range x.Attributes {
		stands, ok := grant.Attribute(p, a.Path)
		if !ok {
			continue
		}
		seen = append(seen, shown(grant, a, stands.Metadata))
	}
	x.Attributes = seen
	if _, ok := grant.Attribute(p, people.Active); !ok { // records tell whether somebody is here
		x.Records, x.Authority = []Record{}, ""
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	return api.JSON(w, http.StatusOK, x)
}

// shown takes out of an explanation what the caller may not see.
func shown(grant view.Grant, a Explained, stands people.Metadata) Explained {
	sees := func(display string) bool {
		if display == "" {
			display = stands.Display // a word without a display would stand under this one
		}
		return grant.Sees(stands.Classification, display)
	}
	a.Content.Value = bare(a.Content.Value)
	a.Words, a.Could = slices.Clone(a.Words), slices.Clone(a.Could)
	for i := range a.Could {
		a.Could[i].Value = bare(a.Could[i].Value)
	}
	hidden := false
	for i, word := range a.Words {
		a.Words[i].Value = bare(word.Value)
		if !sees(word.Display) {
			hidden = true
			a.Words[i].Value, a.Words[i].Display, a.Words[i].Verified = people.Value{}, "", false
		}
	}
	if a.Pending != nil {
		pending := *a.Pending
		pending.Old.Value, pending.New.Value = bare(pending.Old.Value), bare(pending.New.Value)
		a.Pending = &pending
	}
	if a.Pending != nil && !(sees(a.Pending.Old.Display) && sees(a.Pending.New.Display)) {
		a.Pending, hidden = nil, true
	}
	if hidden { // what could stand there is said of values that are not shown
		a.Could, a.Outlook = nil, ""
	}
	return a
}

// bare is a value as callers know it: to them a null is a null, whatever it is
// that is not there.
func bare(v people.Value) people.Value {
	if v.IsNull() {
		return people.Value{}
	}
	return v
}

// A Revised is one revision, as far as the caller sees it.
type Revised struct {
	Revision   int64              `json:"revision"`
	RecordedAt time.Time          `json:"recorded_at"`
	Cause      Cause              `json:"cause"`
	Operations []people.Operation `json:"operations"`
}

// A Cause is which run, or which door, made a revision.
type Cause struct {
	Run  string `json:"run,omitzero"`
	Door string `json:"door"`
}

// history tells what changed, of the attributes that the caller sees. A value
// is shown if the caller sees it where it stood, with the display it had then.
func (s *service) history(w http.ResponseWriter, r *http.Request) error {
	stored, p, err := s.byID(r)
	if err != nil {
		return err
	}
	revisions, err := s.Revisions(r.Context(), stored.ID)
	if err != nil {
		return err
	}
	grant := view.Of(api.CallerOf(r.Context()).Scopes)
	out := make([]Revised, 0, len(revisions))
	for _, rev := range slices.Backward(revisions) {
		row := Revised{Revision: rev.Number, RecordedAt: rev.RecordedAt, Cause: Cause{rev.Cause.Run, rev.Cause.Door}, Operations: []people.Operation{}}
		for _, o := range rev.Operations {
			seen := people.Operation{Class: o.Class, Source: o.Source, Changes: []people.Change{}}
			for _, ch := range o.Changes {
				old, now := s.seesThen(grant, p, ch.Path, ch.Old.Display), s.seesThen(grant, p, ch.Path, ch.New.Display)
				if !old && !now {
					continue
				}
				ch.Signed = nil
				ch.Old.Value, ch.New.Value = bare(ch.Old.Value), bare(ch.New.Value)
				if !old {
					ch.Old = people.Content{}
				}
				if !now {
					ch.New = people.Content{}
				}
				seen.Changes = append(seen.Changes, ch)
			}
			if len(seen.Changes) > 0 {
				row.Operations = append(row.Operations, seen)
			}
		}
		if len(row.Operations) > 0 || len(rev.Operations) == 0 {
			out = append(out, row)
		}
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	return api.JSON(w, http.StatusOK, map[string]any{"person": stored.ID, "revisions": out})
}

// seesThen reports whether the caller sees what had that display. What class it
// had is not kept: it is seen if both that of today and the catalogue's are.
func (s *service) seesThen(grant view.Grant, p *people.Profile, path people.Path, display string) bool {
	if a, ok := p.Find(path); ok && !grant.Sees(a.Metadata.Classification, display) {
		return false
	}
	known, ok := s.Catalogue.Find(path)
	return ok && grant.Sees(known.Classification, display)
}
