package synth

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestOrder: in each cycle every place has a turn of its own, and everything
// happens on the day that its number says.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCompany(rapid.Int64().Draw(t, "seed"), castSize+rapid.IntRange(1, 3000).Draw(t, "places"))
		on := rapid.SampledFrom([]topic{joining, leaving, moving, regrouping, missing, blocking, misfiling}).Draw(t, "topic")
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

// TestOnline: nothing online changes from one day to the next that no story
// tells of, and faults are told of whom the source shows.
func TestOnline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCompany(rapid.Int64().Draw(t, "seed"), rapid.IntRange(50, 500).Draw(t, "people"))
		day := rapid.IntRange(1, 3000).Draw(t, "day")
		for i := castSize; i < c.indexes(day); i++ {
			if p, q := c.at(i, day-1), c.at(i, day); p.kind == worker || p.kind == external {
				compareDays(t, c, c.personaOf(p), c.personaOf(q))
			}
		}
		for j := c.outside.cast; j < c.outside.indexes(day); j++ {
			if c.outside.exists(j) {
				compareDays(t, c, c.outsider(j, day-1), c.outsider(j, day))
			}
		}
	})
}

func compareDays(t *rapid.T, c *company, a, b persona) {
	told := func(changed bool, by ...Story) {
		if changed && !slices.ContainsFunc(by, func(s Story) bool { return b.told&(1<<s) != 0 }) {
			t.Fatalf("none of %v is told of what became of\n%+v:\n%+v", by, a, b)
		}
	}
	returned := b.day == b.back
	closed := b.connection == viaLDAP && b.day == b.end
	told(!a.account && b.account && !returned, FirstLogin)
	told(a.account && !b.account && !closed, LoginDeleted)
	told(!a.profile && b.profile && !returned, ProfileMade)
	told(a.profile && !b.profile && b.day != b.end, numStories)
	told(!a.hub && b.hub && !returned, OrgJoined)
	told(a.hub && !b.hub, OrgLeft)
	if a.account && b.account {
		told(a.blocked != b.blocked, Blocked, Unblocked)
		told(a.paired != b.paired, IdentityLinked, IdentityUnlinked)
	}
	if a.hub && b.hub {
		told(!slices.Equal(a.seats, b.seats), OrgJoined, OrgLeft, TeamJoined, TeamLeft)
		told(c.handle(a.n, a.day) != c.handle(b.n, b.day), LoginRenamed)
	}
	if a.profile && b.profile {
		told(a.linked != b.linked && a.hub && b.hub, LinkMade, LinkLost, OrgJoined)
		told(a.names != b.names, NameEdited)
		told(a.shown != b.shown, DisplayEdited)
		told(a.texts != b.texts, ProfileEdited)
		told(b.over >= 0 && a.over != b.over, Overreached)
		told(!slices.Equal(a.circles, b.circles), DirectoryGroupJoined, DirectoryGroupLeft)
		told(a.username != b.username && a.username != cast[0].online.username, UsernameChosen, UsernameTaken)
		if b.edited < a.edited || b.edited > b.day {
			t.Fatalf("edited on %d, after %d", b.edited, a.edited)
		}
	}
	switch b.fault {
	case numStories:
	case NoUserID, BrokenAccount:
		told(!b.account, numStories)
	case NoGitHubID:
		told(len(b.seats) != 1, numStories)
	default:
		told(!b.profile, numStories)
	}
	if h := b.hasHub && b.there(b.seated, b.end+b.stay); h != (len(b.seats) > 0) {
		t.Fatalf("%+v is nowhere, or should be", b)
	}
}
