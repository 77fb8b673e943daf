package synth

import (
	"iter"
	"math/bits"
	"math/rand/v2"

	"example.org/cis/transforms/people"
)

// never is a day that does not come.
const never = 1 << 30

// A topic keeps apart what is drawn for one person for several purposes.
type topic uint64

// Topics with a rate are of what happens: see rate. The others are of what is.
const (
	joining topic = iota + 1
	leaving
	moving
	renaming
	editing
	regrouping
	faulting
	duplicating
	missing
	being
	naming
	working
	owning
	belonging
	identifying
	arriving
	vanishing
	blocking
	pairing
	linking
	handling
	transferring
	teaming
	profiling
	gathering
	nicknaming
	misfiling
	meeting
	hubbing
	seating
	describing
)

// rate is how many of 10,000 ordinary people something happens to in a day,
// the characters' stories aside: to those of them who have what it happens to,
// an account or a profile. More join than leave, and arrive than vanish, so
// that whoever is to leave has joined before.
func (t topic) rate() int {
	switch t {
	case joining, handling:
		return 20
	case leaving, vanishing, faulting, misfiling, nicknaming, pairing:
		return 10
	case moving, arriving, linking:
		return 30
	case renaming, editing, blocking:
		return 5
	case transferring:
		return 15
	case regrouping, teaming, gathering:
		return 50
	case profiling:
		return 60
	case duplicating:
		return 2
	case missing:
		return 3
	}
	panic("synth: this topic has no rate")
}

// A company is everybody there ever is, as a function of the seed.
//
// People are numbered: first the cast, then the ordinary people of day 0,
// then those who join, in that order. Ordinary people that are the number of
// the ordinary people of day 0 apart share their days: in each cycle,
// everything happens once to each of these places, in an order of its own.
type company struct {
	calendar
	people   int // indexes of day 0 and of the cast
	firstNew int // index of the first who joins
	bosses   int // people who manage others, and teams
	offices  int
	// low and high bound the levels of access groups: see groupsOf.
	low, high int
	cultures  []culture
	outside   outside
	known     map[people.Path]people.Attribute // to the people directory, as they are when nobody has said anything
}

// A calendar says when things happen to the ordinary people of a company, or
// to the ordinary outsiders.
type calendar struct {
	seed   uint64
	cast   int // how many come first and have days of their own
	places int // ordinary ones of day 0
}

func newCompany(seed int64, size int) *company {
	c := &company{
		calendar: calendar{uint64(seed), castSize, max(0, size-castSize)},
		people:   size, firstNew: max(size, castSize), cultures: cultures(),
		outside: newOutside(uint64(seed), size), known: vocabulary(),
	}
	c.bosses = 1 + min(size/8, c.places)
	c.offices = len(offices) + size/2000
	c.low = bits.Len(uint(size / 250_000))
	c.high = max(4, bits.Len(uint(size/40)))
	return c
}

// indexes is one more than the last index of anybody seen on the day.
func (c *company) indexes(day int) int { return c.firstNew + c.count(joining, day+longestNotice) }

// access returns the number of access groups.
func (c *company) access() int { return 1<<c.high - 1<<c.low }

// exists reports whether the index is anybody's.
func (c *company) exists(i int) bool { return i < c.people || i >= c.firstNew }

// dice are an endless row of draws.
type dice struct{ pcg rand.PCG }

// dice returns those of one person and purpose.
func (c *company) dice(t topic, i, k int) (d dice) {
	d.pcg.Seed(mix(c.seed+uint64(t)), uint64(i)<<24^uint64(k))
	return d
}

// n draws one of 0 to n-1. (The bias is below 2^-40 for all n used here.)
func (d *dice) n(n int) int {
	hi, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(hi)
}

// mix is the finaliser of SplitMix64: a permutation that scatters.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// order returns when in a cycle the turn of a place comes: a permutation of
// the places, made of a Feistel network on the least even number of bits and
// walked until it is in range, so that no list of it need be kept.
func (c *calendar) order(t topic, cycle, place int) int {
	return c.walk(place, func(round int) uint64 { return c.roundKey(t, cycle, round) }, false)
}

// placeAt is the inverse of order.
func (c *calendar) placeAt(t topic, cycle, turn int) int {
	return c.walk(turn, func(round int) uint64 { return c.roundKey(t, cycle, round) }, true)
}

const rounds = 4

func (c *calendar) roundKey(t topic, cycle, round int) uint64 {
	return mix(c.seed ^ uint64(t)<<56 ^ uint64(cycle)<<8 ^ uint64(round))
}

func (c *calendar) walk(x int, key func(round int) uint64, back bool) int {
	half := (bits.Len(uint(c.places-1)) + 1) / 2
	mask := uint64(1)<<half - 1
	var keys [rounds]uint64
	for i := range keys {
		keys[i] = key(i)
	}
	for {
		l, r := uint64(x)>>half, uint64(x)&mask
		for i := range rounds {
			if back {
				l, r = r^mix(keys[rounds-1-i]^l)&mask, l
			} else {
				l, r = r, l^mix(keys[i]^r)&mask
			}
		}
		if x = int(l<<half | r); x < c.places {
			return x
		}
	}
}

// count returns how many times something has happened by the end of the day;
// the first is on day 1.
func (c *calendar) count(t topic, day int) int {
	return int(int64(day) * int64(c.places) * int64(t.rate()) / 10_000)
}

// dayOf returns the day of the n-th time, from 0.
func (c *calendar) dayOf(t topic, n int) int {
	r := int64(c.places) * int64(t.rate())
	return int(((int64(n)+1)*10_000 + r - 1) / r)
}

// events yields the cycles and days of something that happens to a person
// again and again, up to a day.
func (c *calendar) events(t topic, i, day int) iter.Seq2[int, int] {
	return func(yield func(cycle, day int) bool) {
		if i < c.cast || c.places == 0 {
			return
		}
		place := (i - c.cast) % c.places
		for cycle := 0; ; cycle++ {
			// The turn is needed only where the cycle has begun.
			if c.count(t, day) <= cycle*c.places {
				return
			}
			d := c.dayOf(t, cycle*c.places+c.order(t, cycle, place))
			if d > day || !yield(cycle, d) {
				return
			}
		}
	}
}
