package auth

import (
	"sync"
	"time"

	"example.org/cis/api"
)

// verified is what is remembered of a token. It counts until its time, as long
// as the key is still one of the ring.
type verified struct {
	caller *api.Caller
	until  time.Time
	ring   *ring
	key    *key
}

// A memory remembers verified tokens by their SHA-256, so that the tokens
// themselves are nowhere. Only verified ones come in: nobody can push others out
// with rubbish. It has two halves. When the young one is full it becomes the old
// one, and what was the old one is forgotten; what is found in the old one is
// young again.
type memory struct {
	mu         sync.Mutex
	half       int
	young, old map[[32]byte]verified
}

func newMemory(most int) *memory {
	return &memory{half: max(most, 0) / 2, young: map[[32]byte]verified{}}
}

func (m *memory) find(sum [32]byte) (verified, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.young[sum]; ok {
		return v, true
	}
	v, ok := m.old[sum]
	if ok {
		m.put(sum, v)
	}
	return v, ok
}

func (m *memory) keep(sum [32]byte, v verified) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(sum, v)
}

func (m *memory) put(sum [32]byte, v verified) {
	if m.half == 0 {
		return
	}
	if _, has := m.young[sum]; !has && len(m.young) >= m.half {
		m.old, m.young = m.young, map[[32]byte]verified{}
	}
	m.young[sum] = v
}
