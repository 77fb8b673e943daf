// Package ldap owns one source: people and groups of an LDAP directory
// (inetOrgPerson, posixAccount, groups by member, uniqueMember, memberUid and
// memberOf), read from a server or from an LDIF file. Both ways end in the
// same pure step from an entry to an observation, so that the same entries
// give the same observations.
//
// # What makes an extract whole
//
// From a server (client.go): every search of every base ended with result 0,
// a paging control (RFC 2696) and an empty cookie in it. A size or time limit,
// a referral, a server that ignores the paging control, silence for longer
// than the timeout and a lost connection make it incomplete. So does finding
// no group at all where the mapping asks for groups: an access rule that hides
// a subtree answers "success, none", and would cost everybody their groups.
//
// From a file (ldif.go): the file was read to its end, which is the end of a
// line, in both passes (groups, then people), and did not change between them.
//
// Entries are streamed; what is kept in memory is who is in which group.
//
// # What it refuses
//
// Plain text: ldap:// means StartTLS, and there is no switch that turns TLS or
// its checks off. Guessing: anonymous access must be asked for, a bind needs a
// password (a bind with an empty one is an anonymous success, RFC 4513 section
// 5.1.2). LDIF change records, and values by URL.
//
// # Lists are sets
//
// The order in which a server lists values means nothing and changes for no
// reason (RFC 4512 section 2.2). So values are sorted and made unique before
// they are numbered LDAP-1, LDAP-2, …; of an attribute that can say only one
// thing, the value that stands in the entry's own RDN counts, else the first
// in that order.
//
// # Setting aside
//
// A record that cannot be read, or has no usable key, is set aside; a value
// that cannot be right (not UTF-8, longer than 64 KiB) sets aside its
// attribute, of which the observation is then silent. A group without a usable
// name makes its members' groups unknown, thus silent, not fewer.
package ldap
