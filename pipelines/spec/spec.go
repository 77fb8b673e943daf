// Package spec turns specs ("sqlite:cis.db") into the things they name.
//
// A step of a pipeline may run in another process or on another machine, so
// what crosses the boundary is a spec, never a client or a secret. Each
// program that runs steps says once, at its start, which openers it has; that
// one table is the only state of its kind in the project.
package spec

import (
	"context"
	"sync/atomic"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// Openers open what specs name. Errors say which spec and never a secret.
type Openers struct {
	Store func(ctx context.Context, spec string) (sinks.Store, error)
	Blobs func(ctx context.Context, spec string) (sinks.Blobs, error)
	// Source opens a source that takes now for the present: the run's time.
	Source    func(ctx context.Context, spec string, now time.Time) (connectors.Source, error)
	Signers   func(ctx context.Context, spec string) (map[people.Publisher]sign.Signer, error)
	Catalogue func(ctx context.Context, spec string) (*catalogue.Catalogue, error)
	Salt      func(ctx context.Context, spec string) (string, error)
}

var current atomic.Pointer[Openers]

// Use sets the openers of this process. Call it before any pipeline runs.
func Use(o Openers) { current.Store(&o) }

// Current returns the openers; it panics if Use was not called, which is a
// mistake in the program.
func Current() *Openers {
	o := current.Load()
	if o == nil {
		panic("spec: Use was not called")
	}
	return o
}
