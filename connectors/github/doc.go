// Package github owns one source: who is in which organisations and teams of
// GitHub or of a GitHub Enterprise Server, read over its REST API or from a
// file. Both ways end in the same pure step from organisations to observations,
// so that the same people give the same observations.
//
// # What makes an extract whole
//
// From the API: the reader proves that it sees everything (below), every list
// was followed to its last link, and no list of several pages moved while it
// was read. GitHub counts pages by position, so somebody who leaves between two
// pages lets somebody else be skipped; a list of more than one page therefore
// counts only once all of its pages were read again and had not changed, which
// validators make free of charge. A link or a page that comes twice, a team
// whose parent is not in the list, an organisation without a member or without
// an owner (GitHub knows none), and one that has another name by now are
// incomplete. GitHub gives no count of members to compare with: the seats of
// a plan count outside collaborators and invitations too.
//
// From a file: it closes, nothing comes after it, and it says everything of
// each organisation: an organisation without the key teams is no organisation
// without teams.
//
// An extract that is not complete emits nobody: an account has one observation
// over all organisations, and without one of them it would say less than is
// true. The reason names every organisation that could not be read, and why.
//
// # Who may read
//
// GitHub answers whoever is not allowed to see something as if it were not
// there: who is no member gets public members only, who is no owner gets no
// secret teams, a token that single sign-on does not know gets what is left.
// So an app must be installed in every organisation with the permission to
// read members (organization permissions, Members: read), and a personal token
// must be an owner's, with the scope read:org if it is a classic one. Both are
// asked for before anything else, and what does not show it is incomplete,
// never absence. Of an app's permissions, its tokens carry that one only.
//
// # What it costs
//
// Two requests an organisation, for itself and for the reader's membership
// (with an app: for its installation and a token), and one for every hundred
// members, owners, outside collaborators, teams, and members of each team
// (those of the role maintainer apart where GitHub does not give roles with the
// members). With Users, one for every person as well. They are made one after
// the other, as GitHub asks of its clients. Finding one account takes one
// request a team instead.
//
// What was read is kept in the source's Memory with its validators, and asked
// for again only if it changed: an answer that nothing changed does not count
// against the rate limit. GitHub binds validators to tokens, so that an app,
// whose tokens live an hour, pays again where the process that had the token
// has ended. A list's last page is not kept if it is full, because what GitHub
// would validate is the page, and not that it is still the last.
//
// Rate limits are waited for, and shown with Options.Note; a wait of more than
// 15 minutes is incomplete instead, and what was read until then is kept, so
// that the next extract goes on from there.
//
// # The mapping
//
// A record is an account, named by its number, which survives renames. Roles
// are what GitHub says they are: owners of an organisation are maintainers of
// the teams that they are in, members of a team are members of its ancestors.
// Who is in a team and not in its organisation left in between, because teams
// are read first. An outside collaborator who is a member as well is a member.
// Public emails need Users, because only the account's own details have them.
//
// # The file
//
//	{"organizations": [{
//	    "login": "acme", "id": 1,
//	    "members": [{"id": 11, "login": "a", "node_id": "U_a", "role": "admin"}],
//	    "outside_collaborators": [{"id": 12, "login": "b", "node_id": "U_b"}],
//	    "teams": [{"slug": "core", "parent": "eng", "members": [{"id": 11, "role": "maintainer"}]},
//	              {"slug": "eng", "parent": null, "members": []}]}],
//	 "users": [{"id": 11, "email": "a@example.org"}]}
//
// Roles are admin or member of an organisation, maintainer or member of a team.
// The key users, an organisation's id and a team's parent may be left out. A
// team may list the members of its descendants or not.
//
// # What it refuses
//
// To match by login or email; to read more than it maps; to leave the host; to
// print tokens or keys; to take a failed read for an answer.
package github
