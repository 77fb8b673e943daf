package main

import (
	"context"
	"sync"

	"example.org/cis/sinks"
)

// A pool lets the steps of a pipeline that run in this process share one client
// of a remote store: each would dial again, and nobody would know what the run
// asked for as a whole. Stores that are not metered are local, and cost nothing
// to open.
type pool struct {
	mu   sync.Mutex
	open map[string]*pooled
}

type pooled struct {
	store   sinks.Store
	metered sinks.Metered
	users   int
}

// get returns the store of a spec, opening it if nobody has it open.
func (p *pool) get(ctx context.Context, spec string, open func(context.Context) (sinks.Store, error)) (sinks.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.open[spec]
	if !ok {
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		m, ok := s.(sinks.Metered)
		if !ok {
			return s, nil
		}
		at = &pooled{store: s, metered: m}
		p.open[spec] = at
	}
	at.users++
	return &lent{Store: at.store, Metered: at.metered, giveBack: sync.OnceValue(func() error { return p.giveBack(spec, at) })}, nil
}

func (p *pool) giveBack(spec string, at *pooled) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.users--; at.users > 0 {
		return nil
	}
	delete(p.open, spec)
	return at.store.Close()
}

// A lent store is one user's of the pool.
type lent struct {
	sinks.Store
	sinks.Metered
	giveBack func() error
}

// Close gives the store back, which is closed when nobody has it any more.
func (l *lent) Close() error { return l.giveBack() }
