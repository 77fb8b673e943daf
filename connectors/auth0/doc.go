// Package auth0 owns one source: the users of an Auth0 tenant, CIS's access
// provider, read from Auth0's Management API v2 or from a file. All ways end in
// the same pure step from a user to an observation, so that the same users give
// the same observations.
//
// # The ways to read, and what makes each of them whole
//
// export (the default): a job is created (POST /api/v2/jobs/users-exports) and
// asked for until it is completed; what it wrote is downloaded: JSON lines,
// compressed. It is whole when the compressed stream ends where its own format
// says so, with the right checksum. It is the default because it is the only
// way that Auth0 documents for reading all users of a tenant.
//
// page: GET /api/v2/users?page=N, which Auth0 ends at 1,000 users. It is whole
// when as many users came as every page's total said. Somebody who moves from
// one page to another in between lets somebody else be skipped, which the
// totals show. A total of 1,000 or more is incomplete, because what is beyond
// cannot be asked for.
//
// checkpoint: GET /api/v2/users?take=N&from=NEXT until an answer has no next.
// Auth0 documents it for the users of a role (GET /api/v2/roles/{id}/users),
// the members of an organization, clients and logs, but not for the users of a
// tenant: where it is not offered, the answer is a refusal or looks like that of
// page, and both make the extract incomplete.
//
// A file is JSON lines, as an export writes them, or one JSON array, told apart
// by content. The array is whole when it closes; the lines are when the last of
// them is whole (that lines are missing after it, nothing but the compression
// can tell).
//
// # What it refuses
//
// Plain http. To send the tenant's token anywhere else: an export lies on
// another host, which must be one of those configured, is asked for it without
// a token and may not redirect. To take for an end what is none: a page that
// comes twice, a next that comes twice, an answer of no users. To read
// more of people than is mapped: only those fields are asked for.
//
// # Users that come twice
//
// A user who comes twice, with the same content, is one user: paging moved. One
// whose content differs was changed in between; which form is the right one is
// not guessed: the user is set aside, keeps the last good values and comes with
// the next extract.
//
// # The mapping
//
// A user_id begins with the connection that the person logged in with; other
// logins may be linked to it (identities). Both say something of the identities
// at GitHub, Google and Firefox. Of two linked logins of one kind none is
// claimed, unless one of them is the one in the user_id. Emails count as
// verified when Auth0 says so, or says nothing and the connection is one where
// people do not choose theirs. Names are given_name and family_name: name is
// whatever the connection had. Pictures are not claimed; the access provider may
// not create them.
package auth0
