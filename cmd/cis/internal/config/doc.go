// Package config owns the configuration of the program: one strict YAML file,
// overridden by environment variables.
//
// # Strict
//
// A key that nobody reads is a mistake, so it is one: with the line it stands
// on and the key that was probably meant. All complaints are returned
// together, as [Complaints]. Anchors, aliases, tags and further documents are
// refused: the file says what it says in one place.
//
// # Overrides
//
// A variable CIS_ followed by the path of a setting, in capitals and with _
// for every dot and dash, stands in the place of what the file says:
//
//	vault                 CIS_VAULT
//	absence.grace         CIS_ABSENCE_GRACE
//	sources (named ldap)  CIS_SOURCES_LDAP_URL
//
// A list is separated by commas and a map is written as YAML's flow form
// ("{a: b}"). An empty variable overrides nothing. A variable that the file
// refers to as env:NAME holds a secret and overrides nothing. Variables that
// look like a misspelt override are complaints too.
//
// # Paths
//
// Relative paths are relative to the folder of the file, wherever the program
// is started, also those that come from an override.
//
// # Secrets
//
// The file never holds a secret, only a reference to one (see [Secret]): a
// literal in a place for a secret is refused, and so is a password within a
// URL. The value of a setting is never part of a complaint, since it may be
// a secret put into the wrong place.
package config
