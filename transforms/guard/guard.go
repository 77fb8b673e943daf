// Package guard judges a whole plan before its first write: what would do too
// much to people at once is held, all of that class, and everything else goes
// on.
//
// Two rules stand here now: a run that would deactivate more than max(3, 1 %)
// of the active people holds all deactivations, and the first run on an empty
// vault holds everything unless it was declared a first load. Rolling windows,
// limits per source and approvals will join them here.
package guard

import (
	"fmt"

	"example.org/cis/transforms/people"
)

// The limit on deactivations of one run.
const (
	DeactivateFloor   = 3
	DeactivatePercent = 1
)

// A Count is how many operations of a class a source causes.
type Count struct {
	Class  people.Class     `json:"class"`
	Source people.Publisher `json:"source"`
	N      int64            `json:"count"`
}

// A Hold is a class of operations that a guard does not let through. Source
// "" holds the class of every source; Class "" holds everything.
type Hold struct {
	Class  people.Class     `json:"class,omitzero"`
	Source people.Publisher `json:"source,omitzero"`
	N      int64            `json:"count"`
	Limit  int64            `json:"limit"`
	Reason string           `json:"reason"`
}

// Covers reports whether the hold stops an operation.
func (h Hold) Covers(o people.Operation) bool {
	return (h.Class == "" || h.Class == o.Class) && (h.Source == "" || h.Source == o.Source)
}

// Plan is what of a plan is judged.
type Plan struct {
	Counts []Count
	Active int64 // active people before the run
	// Empty says that the vault has nobody yet; FirstLoad that the operator
	// declared it; Incomplete which sources were not read whole.
	Empty, FirstLoad bool
	Incomplete       []string
}

// Judge returns what must be held.
func Judge(p Plan) []Hold {
	var total, deactivate int64
	for _, c := range p.Counts {
		total += c.N
		if c.Class == people.Deactivate {
			deactivate += c.N
		}
	}
	if p.Empty && total > 0 {
		switch {
		case !p.FirstLoad:
			return []Hold{{N: total, Reason: "the vault is empty: a first run only plans; look at the plan, then use --first-load --reason TEXT"}}
		case len(p.Incomplete) > 0:
			return []Hold{{N: total, Reason: fmt.Sprintf("a first load needs every source whole, and %s was not", p.Incomplete[0])}}
		}
	}
	limit := max(DeactivateFloor, p.Active*DeactivatePercent/100)
	if deactivate > limit {
		return []Hold{{Class: people.Deactivate, N: deactivate, Limit: limit,
			Reason: fmt.Sprintf("%d of %d active people would be deactivated in one run; the limit is %d", deactivate, p.Active, limit)}}
	}
	return nil
}
