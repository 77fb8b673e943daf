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
// Which revision is the current one the store is asked each time, or, if it can
// tell, whether anything was written at all: a writer reads its own write at once,
// and what is erased is not found.
type cache struct {
	mu         sync.Mutex
	young, old map[viewKey]*served
	bytes      int
	briefs     map[briefKey]brief
	// found is whom questions led to at a version of the store.
	found   map[question]*person
	version int64
}

// A question is one that find answers.
type question struct {
	by     people.Path
	value  string
	active string
}

// What is remembered of questions: how many, and none that nobody would ask.
const (
	maxFound    = 1 << 15
	maxQuestion = 300 // bytes
)

// answer is whom a question led to at this version of the store.
func (c *cache) answer(q question, version int64) (p *person, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		clear(c.found)
		c.version = version
	}
	p, known = c.found[q]
	return p, known
}

// keepAnswer remembers an answer that was read after the store had the version.
func (c *cache) keepAnswer(q question, version int64, p *person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version || len(q.value) > maxQuestion {
		return
	}
	if len(c.found) >= maxFound {
		clear(c.found)
	}
	c.found[q] = p
}

// A brief is what is asked about somebody most often, whoever asks.
type brief struct {
	active      bool
	login, mail string
}

type briefKey struct {
	id       people.ID
	revision int64
}

func newCache() *cache {
	return &cache{young: map[viewKey]*served{}, briefs: map[briefKey]brief{}, found: map[question]*person{}}
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
	if c.bytes += len(v.body) + len(k.fields) + 256; c.bytes > maxViewBytes {
		c.old, c.young, c.bytes = c.young, map[viewKey]*served{}, len(v.body)+len(k.fields)+256
	}
	c.young[k] = v
}

const maxBriefs = 1 << 17

func (c *cache) brief(id people.ID, revision int64) (b brief, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, known = c.briefs[briefKey{id, revision}]
	return b, known
}

func (c *cache) keepBrief(id people.ID, revision int64, b brief) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.briefs) >= maxBriefs {
		clear(c.briefs)
	}
	c.briefs[briefKey{id, revision}] = b
}
