// Package connectors owns the contract between a system of record and the
// rest: a [Source] reads it whole or says that it could not, a [Finder] reads
// one record. Connectors map records to observations and know nothing of
// profiles, people or stores.
//
// The suite that every source passes is in the package connectortest.
package connectors

import (
	"context"
	"errors"
	"io"

	"example.org/cis/transforms/people"
)

// ErrNotFound is what a Finder returns when the system answered and has no
// such record. A read that failed is never ErrNotFound.
var ErrNotFound = errors.New("connectors: no such record")

// Out receives what an extract reads, in any order, from one goroutine. An
// error from it ends the extract at once and is returned by Extract as it is.
type Out interface {
	// Observation takes one record. The receiver keeps nothing of it that the
	// source may change afterwards: sources emit fresh values.
	Observation(people.Observation) error
	// Rejection takes a record, or one attribute of a record, that was set
	// aside. When the record's id could be read, it is in the rejection, and
	// the record counts as present.
	Rejection(people.Rejection) error
}

// A Source extracts one system of record, whole or not at all: every current
// record is emitted once, and the certificate says what proves it. A source
// that fails (refused, cut off, timed out, malformed beyond one record)
// returns a certificate with Complete false and a Reason, and a nil error:
// the run goes on without it. A non-nil error is for a cancelled context and
// for errors of out.
//
// Started, Ended, Rows and Rejected of the certificate are filled in by the
// caller, who has the clock and counts what it was given.
type Source interface {
	// Name is the source's name in the configuration, unique in it.
	Name() string
	// Publisher is whose claims its observations are.
	Publisher() people.Publisher
	Extract(ctx context.Context, out Out) (people.Certificate, error)
	io.Closer
}

// A Finder can read one record by key, for refreshing one person.
type Finder interface {
	Find(ctx context.Context, key people.Key) (people.Observation, error)
}

// A Memory keeps what a source wants to find again at its next extract, such
// as validators (RFC 9110 section 8.8) and what they validate. It is no truth:
// losing it costs requests and nothing else.
type Memory interface {
	// Load returns what was saved last, nil if nothing was.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, b []byte) error
}
