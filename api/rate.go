package api

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// addresses limits each address on its own. What it remembers is bounded: when
// it is full, those that were not seen for longest are forgotten.
type addresses struct {
	mu         sync.Mutex
	perMinute  int
	now        func() time.Time
	young, old map[string]*rate.Limiter
}

const maxAddresses = 1 << 15 // of one generation

func newAddresses(perMinute int, now func() time.Time) *addresses {
	return &addresses{perMinute: perMinute, now: now, young: map[string]*rate.Limiter{}}
}

func (a *addresses) allow(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.young[address]
	if !ok {
		if l, ok = a.old[address]; !ok {
			l = rate.NewLimiter(rate.Limit(float64(a.perMinute)/60), a.perMinute)
		}
		if len(a.young) >= maxAddresses {
			a.old, a.young = a.young, map[string]*rate.Limiter{}
		}
		a.young[address] = l
	}
	return l.AllowN(a.now(), 1)
}

// network is what counts as one address: of IPv6 the first 64 bits, which one
// customer has all of.
func network(host string) string {
	ip, err := netip.ParseAddr(host)
	if at, withPort := netip.ParseAddrPort(host); err != nil && withPort == nil { // as some proxies write it
		ip, err = at.Addr(), nil
	}
	if err != nil {
		return "unknown" // whatever it is, it is one
	}
	if ip = ip.Unmap(); ip.Is6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
