// Package normalize owns the one written form of the small things that
// sources spell in many ways: addresses, login ids, usernames, text, times
// and the ids that are derived from a login id.
//
// Each function is pure, returns the form or an error, and is idempotent:
// its own result comes back unchanged. Errors say what is wrong and never
// repeat what they were given, because that is personal data.
//
// It refuses to guess: a time without a zone, an address with two signs or a
// text in an unknown encoding is an error, for the caller to set aside.
package normalize
