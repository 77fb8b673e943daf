package upkeep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// What a check finds beside the faults that a store knows. None can be mended.
const (
	FaultProfile      sinks.FaultKind = "profile"      // it cannot be read, or is another person's
	FaultObservations sinks.FaultKind = "observations" // what the sources said cannot be read
	FaultSignature    sinks.FaultKind = "signature"    // one does not verify
	FaultErasure      sinks.FaultKind = "erasure"      // it was cut off
)

// A Problem is what is wrong with somebody. It names no value.
type Problem struct {
	Person people.ID       `json:"uuid,omitzero"`
	Kind   sinks.FaultKind `json:"kind"`
	// Scheme is that of the key, and Attribute that of the signature.
	Scheme    people.Scheme `json:"scheme,omitzero"`
	Attribute people.Path   `json:"attribute,omitzero"`
	Revision  int64         `json:"revision,omitzero"`
	// Wrong says more than the kind does, where there is more to say.
	Wrong string `json:"wrong,omitzero"`
	// blocked is what could be mended, but for another problem of the person.
	blocked bool
}

// Mendable reports whether [Fix] can set it right.
func (p *Problem) Mendable() bool { return !p.blocked && p.mendable() }

func (p *Problem) mendable() bool {
	switch p.Kind {
	case sinks.FaultMissing, sinks.FaultExtra, sinks.FaultOrphan:
		return true
	}
	return false
}

// Text says what is wrong.
func (p *Problem) Text() string {
	key := string(p.Scheme)
	of := func(with, without string) string {
		if key == "" {
			return without
		}
		return with + key
	}
	switch p.Kind {
	case sinks.FaultMissing:
		return of("is not found by ", "is not found by all that should lead here")
	case sinks.FaultExtra:
		return of("is found by what is not theirs: ", "is found by what is not theirs")
	case sinks.FaultTaken:
		return of("somebody else has what is theirs: ", "somebody else has what is theirs")
	case sinks.FaultOrphan:
		switch {
		case p.Revision != 0:
			return fmt.Sprintf("nobody is there, and has history of revision %d", p.Revision)
		case key != "":
			return "nobody is there, and is found by " + key
		}
		return "nobody is there, and something is kept of them"
	case sinks.FaultHistory:
		return fmt.Sprintf("there is no history of revision %d", p.Revision)
	case sinks.FaultDamaged:
		if p.Revision != 0 {
			return fmt.Sprintf("the history of revision %d cannot be read, or is later than the profile", p.Revision)
		}
		return "something that is kept cannot be read"
	case FaultSignature:
		return fmt.Sprintf("the signature of %s: %s", p.Attribute, p.Wrong)
	case FaultErasure:
		return "their erasure was cut off: old snapshots may still have something of them"
	}
	return p.Wrong
}

// Resolve says what sets it right.
func (p *Problem) Resolve() string {
	switch p.Kind {
	case sinks.FaultTaken:
		return "see who has it, and correct the source that is wrong; if it is said of them that it is not theirs, --fix does"
	case sinks.FaultHistory:
		return "only a backup has it; the profile is as it should be"
	case FaultErasure:
		return "cis vault erase with this uuid, once more"
	case FaultSignature:
		return "see cis explain and cis keys list: a key is not published, or somebody changed the profile"
	case sinks.FaultDamaged, FaultProfile, FaultObservations:
		return "only a backup has it"
	}
	if p.blocked {
		return "cis vault check --fix, once what else is wrong with them is right"
	}
	return "cis vault check --fix"
}

// A Checked is the result of an audit.
type Checked struct {
	People   int64
	Problems []Problem
}

// Check reads all of a vault and says what is wrong in it. verify looks at the
// signatures of a profile; nil leaves them out.
func Check(ctx context.Context, s sinks.Store, verify func(*people.Profile) []sign.Finding, progress func(int64)) (r Checked, err error) {
	unreadable := map[people.ID]bool{}
	want := func(p sinks.Stored) (sinks.Keys, error) {
		r.People++
		if progress != nil {
			progress(r.People)
		}
		profile, _, bad := parse(p)
		if bad != nil {
			unreadable[p.ID] = true
			kind := FaultProfile
			if errors.Is(bad, errObservations) {
				kind = FaultObservations
			}
			r.Problems = append(r.Problems, Problem{Person: p.ID, Kind: kind, Wrong: bad.Error()})
		}
		if verify != nil && profile != nil {
			for _, f := range verify(profile) {
				r.Problems = append(r.Problems, Problem{Person: p.ID, Kind: FaultSignature, Attribute: f.Path, Wrong: f.Err.Error()})
			}
		}
		if bad != nil {
			return sinks.Keys{}, ctx.Err()
		}
		keys, err := KeysOf(p)
		return keys, errors.Join(err, ctx.Err())
	}
	err = s.Audit(ctx, want, func(f sinks.Fault) error {
		p := Problem{Person: f.ID, Kind: f.Kind, Scheme: f.Scheme, Revision: f.Revision}
		// What leads to somebody who cannot be read is not known to be wrong.
		if f.Kind == sinks.FaultDamaged && f.Revision == 0 {
			unreadable[f.ID] = true
		}
		if p.Kind != sinks.FaultTaken && !p.mendable() || !unreadable[f.ID] {
			r.Problems = append(r.Problems, p)
		}
		return ctx.Err()
	})
	if err != nil {
		return r, fmt.Errorf("upkeep: check: %w", err)
	}
	cutOff, err := sync.CutOff(ctx, s)
	if err != nil {
		return r, err
	}
	for _, id := range cutOff {
		r.Problems = append(r.Problems, Problem{Person: id, Kind: FaultErasure})
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	r.Problems = slices.Compact(r.Problems)
	blocking := map[people.ID]bool{}
	for i := range r.Problems {
		if p := &r.Problems[i]; p.blocks() {
			blocking[p.Person] = true
		}
	}
	for i := range r.Problems {
		p := &r.Problems[i]
		p.blocked = p.mendable() && blocking[p.Person]
	}
	return r, nil
}

// blocks reports whether nothing that leads to the person can be mended.
func (p *Problem) blocks() bool {
	switch p.Kind {
	case sinks.FaultTaken, FaultProfile, FaultObservations:
		return true
	case sinks.FaultDamaged:
		return p.Revision == 0
	}
	return false
}

// A Repair is one person who is mended: of somebody who is there what leads to
// them is made right, of somebody who is not what is left of them goes.
type Repair struct {
	Person   people.ID `json:"uuid"`
	Revision int64     `json:"revision"` // 0 of nobody
	keys     sinks.Keys
}

// Plan says whom it takes to mend the problems, part by part.
func Plan(ctx context.Context, s sinks.Store, problems []Problem, yield func([]Repair) error) error {
	var ids []people.ID
	for i := range problems {
		if p := &problems[i]; p.Mendable() && !p.Person.IsZero() {
			ids = append(ids, p.Person)
		}
	}
	for part := range slices.Chunk(slices.Compact(ids), partSize) {
		found, err := s.People(ctx, part)
		if err != nil {
			return fmt.Errorf("upkeep: read people: %w", err)
		}
		there := make(map[people.ID]sinks.Stored, len(found))
		for _, p := range found {
			there[p.ID] = p
		}
		repairs := make([]Repair, 0, len(part))
		for _, id := range part {
			r := Repair{Person: id}
			if p, ok := there[id]; ok {
				r.Revision = p.Revision
				if r.keys, err = KeysOf(p); err != nil {
					return fmt.Errorf("upkeep: %s: %w", id, err)
				}
			}
			repairs = append(repairs, r)
		}
		if err := yield(repairs); err != nil {
			return err
		}
	}
	return nil
}

// Fix carries out what Plan says of the problems, and returns how many people
// were mended. Whoever has changed since, or has what somebody else needs, is
// left as they are: a second check says so.
func Fix(ctx context.Context, s sinks.Store, fence sinks.Fence, problems []Problem) (mended int64, err error) {
	err = Plan(ctx, s, problems, func(repairs []Repair) error {
		for _, r := range repairs {
			switch err := s.Mend(ctx, fence, r.Person, r.Revision, r.keys); {
			case err == nil:
				mended++
			case errors.Is(err, sinks.ErrConflict), errors.Is(err, sinks.ErrTaken):
			default:
				return fmt.Errorf("upkeep: mend: %w", err)
			}
		}
		return nil
	})
	return mended, err
}
