// Package people owns the nouns of the whole project: a publisher's
// [Observation] of a person, the signed [Profile] that is made of them, and
// the small things both consist of ([Path], [Value], [Attribute], [Key]).
//
// It refuses to do anything: no input or output, no clock, no logging, no
// rule. What a rule says about these nouns lives in the packages named after
// verbs beside it (correlate, merge, diff, sign).
//
// # Forms
//
// A profile is written in exactly one form, RFC 8785 canonical JSON, so that
// equal profiles are equal bytes and a hash of the bytes identifies them. It
// is read strictly (duplicate keys and invalid UTF-8 are errors) with the two
// tolerances that data of the older system needs: a number or boolean inside
// a "values" map is read as its text, and dates are kept as written, never
// parsed and re-formatted, because a signature covers them.
//
// The only dependency outside the standard library is go-json-experiment/json,
// whose token reader refuses what encoding/json lets pass.
package people
