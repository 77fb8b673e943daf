package person

import (
	"sync"

	"example.org/cis/api/view"
	"example.org/cis/transforms/people"
)

// A viewKey names what a kind of caller sees of one revision of somebody: a
// revision is never changed or used again, so that what is remembered of it is
// never out of date.
type viewKey struct {
	id       people.ID
	revision int64
	grant    view.Grant
	fields   string
}

// maxViewBytes bounds one generation of what is remembered.
const maxViewBytes = 32 << 20

// A cache remembers bodies that were served. It has two generations: what was
// not asked for since the younger one began is forgotten when that is full.
//
// It saves the reading and writing of JSON, never the question to the store
// which revision is the current one: a writer reads its own write at once, and
// what is erased is not found.
type cache struct {
	mu         sync.Mutex
	young, old map[viewKey]*served
	bytes      int
	active     map[activeKey]bool
}

type activeKey struct {
	id       people.ID
	revision int64
}

func newCache() *cache {
	return &cache{young: map[viewKey]*served{}, active: map[activeKey]bool{}}
}

func (c *cache) view(k viewKey) *served {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.young[k]; v != nil {
		return v
	}
	v := c.old[k]
	if v != nil {
		c.put(k, v)
	}
	return v
}

func (c *cache) keep(k viewKey, v *served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(k, v)
}

func (c *cache) put(k viewKey, v *served) {
	if c.bytes += len(v.body) + 256; c.bytes > maxViewBytes {
		c.old, c.young, c.bytes = c.young, map[viewKey]*served{}, len(v.body)+256
	}
	c.young[k] = v
}

const maxActive = 1 << 17

func (c *cache) activeOf(id people.ID, revision int64) (active, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	active, known = c.active[activeKey{id, revision}]
	return active, known
}

func (c *cache) keepActive(id people.ID, revision int64, active bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.active) >= maxActive {
		clear(c.active)
	}
	c.active[activeKey{id, revision}] = active
}
