package connectortest

import (
	"crypto/sha256"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

// A Recorder is a connectors.Out that keeps what it is given. The zero
// Recorder is ready.
type Recorder struct {
	Observations []people.Observation
	Rejections   []people.Rejection
	// OnObservation and OnRejection, when set, are called after the keeping;
	// their error goes to the source.
	OnObservation func(people.Observation) error
	OnRejection   func(people.Rejection) error
}

// Observation keeps o.
func (r *Recorder) Observation(o people.Observation) error {
	r.Observations = append(r.Observations, o)
	if r.OnObservation != nil {
		return r.OnObservation(o)
	}
	return nil
}

// Rejection keeps j.
func (r *Recorder) Rejection(j people.Rejection) error {
	r.Rejections = append(r.Rejections, j)
	if r.OnRejection != nil {
		return r.OnRejection(j)
	}
	return nil
}

// Sorted returns the observations by record id, because a source may emit
// them in any order.
func (r *Recorder) Sorted() []people.Observation {
	return slices.SortedFunc(slices.Values(r.Observations), func(a, b people.Observation) int {
		return strings.Compare(a.Record, b.Record)
	})
}

// Contents returns the SHA-256 of each observation's content by record id:
// equal maps are equal extracts, whatever their order, time and place.
func (r *Recorder) Contents() map[string][sha256.Size]byte {
	m := make(map[string][sha256.Size]byte, len(r.Observations))
	for i := range r.Observations {
		m[r.Observations[i].Record] = sha256.Sum256(r.Observations[i].AppendContent(nil))
	}
	return m
}
