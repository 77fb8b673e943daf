// Package sign owns the signatures of attributes: it makes them with any
// [Signer], checks them against a publisher's published [Keys], and says what
// is wrong with those that do not hold.
//
// It refuses to keep keys, to read files or to judge who may say what: a key
// directory or a key service is a [Signer], and authority is the catalogue's.
//
// # Form
//
// The signed bytes are the attribute without its signature, as canonical JSON
// ([people.Attribute.AppendJSON]), in a compact JWS (RFC 7515) whose protected
// header is, byte for byte,
//
//	{"alg":"RS256","typ":"JWT","kid":"…","sub":"<uuid>","attr":"<path>"}
//
// sub and attr bind the value to one person and one attribute, so that it
// cannot be moved to another; verifiers that know neither ignore them, and
// [Unbound] leaves them out for publishers who do not know the uuid. alg is
// RS256 (PKCS #1 v1.5, SHA-256) or EdDSA (Ed25519, RFC 8037): both give the
// same bytes each time, so signing again changes nothing.
//
// # Two things that other verifiers need
//
// Dates in the metadata have exactly three decimals, because widely used
// clients write them in that form before they compare. A value that is null
// has no signature: the caller leaves it away.
//
// # Why there is no JOSE library here
//
// What remains of one after a fixed header on the way out and a header that
// is checked member by member on the way in is two calls of the standard
// library. The tests have independent libraries read what is signed here.
package sign
