// Package githubtest owns a stand-in for GitHub, for the tests of whatever
// reads organisations: a [Server] over TLS that answers from a [World], which
// tests change as they go.
//
// Both sides of every exchange are held against GitHub's own description of
// its API (testdata/ghec.json): a request that GitHub does not describe, with a
// parameter that it does not know or a body that is not as it says, fails the
// test, and so does an answer of this server that GitHub could not have given.
// Only what a test puts in front of the server, with [Server.Wrap], is not.
//
// What the description does not say is as GitHub is known to do it:
//   - Validators depend on the credentials and the body, and on nothing else:
//     an answer whose Link alone changed is still 304 (Not Modified). That
//     answer has no Link, and does not count against the rate limit.
//   - Links name organisations and teams by id.
//   - Members of a child team are members of its ancestors; owners of the
//     organisation are maintainers of every team that they are in.
//   - Whoever is no owner does not see secret teams, and whoever is no member
//     sees public members only.
//
// It keeps the description out of the packages that it serves: nothing but
// tests imports it.
package githubtest
