package sync

// The steps as functions, and what they hand on, for tests that carry them out
// by hand.
type (
	Extracted  = extracted
	Correlated = correlated
	PlanPart   = planPart
	Applied    = applied
	Finished   = finished
)

var (
	OpenStep     = open
	MakeVaultKey = makeVaultKey
	Begin        = begin
	Extract      = extract
	Correlate    = correlateAll
	Propose      = propose
	Seal         = seal
	ApplyPart    = apply
	Finish       = finish
)

// Lease is the name of the lease of runs.
const Lease = lease
