package sync

// The steps as functions, for tests that carry them out by hand.
var (
	OpenStep     = open
	MakeVaultKey = makeVaultKey
	Extract      = extract
	Correlate    = correlateAll
	Propose      = propose
	Seal         = seal
	ApplyPart    = apply
	Finish       = finish
	Encode       = encode
)

// PartSize is how many candidates a part of a plan has.
const PartSize = partSize

// Lease is the name of the lease of runs.
const Lease = lease
