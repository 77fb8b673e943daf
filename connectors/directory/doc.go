// Package directory owns one source: the people directory, in which people
// edit their own profiles and join groups. It is read over HTTPS, page by
// page, or from a file, and its profiles (CIS profile v2, whole or partial)
// become observations of the publisher mozilliansorg.
//
// # What makes an extract whole
//
// Over HTTPS (source.go): every answer closed its JSON and ended there, each
// named the next page, and the last one said nextPage null. An answer without
// nextPage was cut, a page of nobody that names another is not the end, and a
// token that comes a second time would go round for ever.
//
// From a file (read.go): the bracket that closes a list, with nextPage null if
// the file is a page; of a file with one profile a line, the end of its last
// line. A plain file of lines that was cut exactly between two of them cannot
// be told from a whole one: compress such files.
//
// Of whatever size it is, one profile at a time is in memory.
//
// # What a profile says
//
// The directory shows what every publisher says of a person, not only what
// the person does. So an attribute that another publisher signed, or would
// have, is an echo of what was published, and says nothing. One by the
// directory, or by nobody, is a claim: a value of null says nothing, "" and {}
// are values. An attribute must say whether it is verified. Group memberships are whole: who is shown in none is in none
// (Config.GroupsAreWhole). The attributes that cis alone decides (uuid,
// active, created, last_modified) are never claimed.
//
// An attribute that the directory signed itself is verified, and then goes on
// verbatim, signature and all; what is not signed is brought into its normal
// form. A signature that names a person is held against the uuid that stands
// in the same profile; nothing here proves that uuid, so whoever attaches the
// record must compare it with the person's.
//
// # Setting aside
//
// A profile is taken apart before it is read, so that an attribute with a
// mistake, or a signature that does not hold, costs that attribute only. A
// profile that is no JSON object, or whose user_id cannot be told, is set
// aside whole.
//
// It refuses to judge authority (which attribute the directory may change is
// the catalogue's to say), to judge profiles against each other, and to follow
// a redirect to another host.
package directory
