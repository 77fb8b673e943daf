package synth

import (
	"testing"

	"pgregory.net/rapid"
)

// TestOrder: in each cycle every place has a turn of its own, and everything
// happens on the day that its number says.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCompany(rapid.Int64().Draw(t, "seed"), castSize+rapid.IntRange(1, 3000).Draw(t, "places"))
		on := rapid.SampledFrom([]topic{joining, leaving, moving, regrouping, missing}).Draw(t, "topic")
		cycle := rapid.IntRange(0, 50).Draw(t, "cycle")
		seen := make([]bool, c.places)
		for place := range c.places {
			turn := c.order(on, cycle, place)
			if turn < 0 || turn >= c.places || seen[turn] {
				t.Fatalf("turn %d of place %d is taken or none", turn, place)
			}
			seen[turn] = true
			if back := c.placeAt(on, cycle, turn); back != place {
				t.Fatalf("place %d has turn %d, which is place %d's", place, turn, back)
			}
		}
		n := rapid.IntRange(0, 100_000).Draw(t, "n")
		if day := c.dayOf(on, n); c.count(on, day) <= n || c.count(on, day-1) > n {
			t.Fatalf("number %d is on day %d, by when there were %d, after %d", n, day, c.count(on, day), c.count(on, day-1))
		}
	})
}

// TestLives: whoever leaves has joined, and nobody else has their mail while
// it is theirs.
func TestLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCompany(rapid.Int64().Draw(t, "seed"), rapid.IntRange(castSize+1, 5000).Draw(t, "people"))
		day := rapid.IntRange(0, 3000).Draw(t, "day")
		i := rapid.IntRange(castSize, c.indexes(day)-1).Draw(t, "index")
		p := c.at(i, day)
		if p.left <= p.starts || p.left <= p.account || p.closed < p.left || p.back <= p.closed {
			t.Fatalf("%+v", p)
		}
		if p.heir >= 0 {
			if q := c.at(p.heir, p.account); q.inLDAP() || q.inHRIS() || q.local != p.local && p.uidToo {
				t.Fatalf("%+v has the mail of %+v", p, q)
			}
		}
	})
}
