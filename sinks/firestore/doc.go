// Package firestore keeps the vault and the ledger in a database of Google
// Cloud Firestore, in native mode.
//
// # Documents
//
//	people/{id}                        the person: profile (packed), revision, and all that queries look at
//	people/{id}/history/{revision}     what a revision changed (packed)
//	observations/{id}                  the current observations (packed), if there are any
//	claims/{key}                       whose a unique key is: user_id, username, record id
//	subscribers/all                    who gets outbox rows
//	outbox/{subscriber}/rows/{id}.{op} outbox rows
//	ledger/{kind}/docs/{key}           documents of the ledger
//	fences/{lease}                     the token of a lease, written when it changes hands and read by every commit
//	heartbeats/{lease}                 when it expires, written by every renewal and read by no commit
//
// {id} is the text of a uuid, which is random and so spreads writes over the
// key space. Whatever else stands in a path may be any string, which the name
// of a document may not, so its SHA-256 does ({key}, {subscriber}, {kind},
// {lease}; the string itself is a field where it is asked for). Nothing that
// rises with time is indexed over all people at once: the time at which a
// person was written stands behind one of sixteen shards.
//
// Somebody who was erased keeps a document in people with the last revision
// and no value.
//
// # Indexes
//
// indexes.json, in the form of the Firebase command line, declares the
// composite indexes and what is exempt from the automatic ones. Terraform reads
// it, and a test compares it with every query that this package makes.
//
// # What is promised
//
// A commit is one transaction of one person, which reads the fence, so that
// whoever has lost a lease writes nothing, and the revision. It is tried
// again with growing pauses while Firestore says that it is contended,
// throttled or out of reach, for [Options.Patience]; an attempt whose answer
// was lost is recognised by a token that its history has. No failure to read is
// taken for "not there", and no list ends early without an error.
//
// Times are those of the clock of whoever writes. [Store.Moved] looks ten
// minutes further back, and leases are given away by the clock of whoever
// asks: keep the clocks of hosts within some seconds of one another. Fences do
// not depend on it.
//
// # What is not
//
// Backups and point-in-time recovery keep what was erased for as long as they
// are configured to.
package firestore
