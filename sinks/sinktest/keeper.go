package sinktest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

func conflicts(err error) bool { return errors.Is(err, sinks.ErrConflict) }

// suiteKeys says of everybody the keys that next gives them. It is asked about
// people of the suite only.
func suiteKeys(p sinks.Stored) (sinks.Keys, error) {
	for n := range 100 {
		if id(n) == p.ID {
			return next(n, 0).Keys, nil
		}
	}
	return sinks.Keys{}, fmt.Errorf("who is %s?", p.ID)
}

// erased erases somebody.
func (b *bench) erased(id people.ID, notify string) sinks.Tombstone {
	b.Helper()
	t, err := b.Erase(b.ctx, b.fence, id, notify)
	if err != nil {
		b.Fatalf("erase: %v", err)
	}
	return t
}

// gone checks that nothing of c is left but the tombstone, whose revision it is
// given.
func (b *bench) gone(c sinks.Commit, revision int64) {
	b.Helper()
	p, err := b.Person(b.ctx, c.ID)
	wantError(b.T, err, sinks.ErrNotFound)
	if p.ID != c.ID || p.Revision != revision || p.Profile != nil || p.Observations != nil {
		b.Errorf("erased %s at revision %d with %d bytes of profile, want %s at %d without", p.ID, p.Revision, len(p.Profile), c.ID, revision)
	}
	if got, err := b.People(b.ctx, []people.ID{c.ID}); err != nil || len(got) != 0 {
		b.Errorf("People finds %d erased, %v", len(got), err)
	}
	_, err = b.History(b.ctx, c.ID, 0)
	wantError(b.T, err, sinks.ErrNotFound)
	for _, k := range slices.Concat(c.Unique, c.Records, c.Lookups) {
		if slices.Contains(b.holders(k), c.ID) {
			b.Errorf("%s %.40q leads to somebody erased", k.Scheme, k.Value)
		}
	}
	queries := []sinks.Query{{}, {Active: &c.Active}}
	for _, k := range c.Facts {
		queries = append(queries, sinks.Query{Fact: k})
	}
	for _, k := range c.Unique {
		queries = append(queries, sinks.Query{Login: k.Value})
	}
	for _, q := range queries {
		q.Limit = 100
		if slices.Contains(b.search(q, nil), c.ID) {
			b.Error("a search finds somebody erased")
		}
	}
	page, err := b.List(b.ctx, people.ID{}, 1000)
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range page {
		if p.ID == c.ID {
			b.Error("a list has somebody erased")
		}
	}
	if stone, err := b.Erase(b.ctx, b.fence, c.ID, "again"); err != nil || stone.ID != c.ID || stone.Revision != revision {
		b.Errorf("erased again: %v at revision %d, %v, want %d", stone.ID, stone.Revision, err, revision)
	}
}

func erase(b *bench) {
	b.subscribe("wiki")
	other := next(2, 0)
	other.Lookups = next(1, 0).Lookups
	b.must(next(1, 0), other)
	b.must(next(1, 1))
	b.must(notifying(next(1, 2), "update"), notifying(next(2, 1), "update"))
	b.clock.advance(24 * time.Hour)
	before := b.clock.Now()
	stone := b.erased(id(1), "")
	if want := (sinks.Tombstone{ID: id(1), Revision: 4, ErasedAt: before}); stone.ID != want.ID || stone.Revision != want.Revision || !stone.ErasedAt.Equal(want.ErasedAt) {
		b.Errorf("tombstone %v, want %v", stone, want)
	}
	b.gone(next(1, 2), 4)
	b.holds(next(2, 1))
	if got := b.outbox("wiki"); len(got) != 1 || got[0].ID != id(2) {
		b.Errorf("outbox %v, want the row of the other", got)
	}
	if n, err := b.Count(b.ctx); err != nil || n != 1 {
		b.Errorf("count %d, %v, want 1", n, err)
	}

	b.clock.advance(24 * time.Hour)
	if again := b.erased(id(1), "said again"); again.Revision != stone.Revision || !again.ErasedAt.Equal(stone.ErasedAt) {
		b.Errorf("erased again: %v, want %v", again, stone)
	}
	if got := b.outbox("wiki"); len(got) != 1 {
		b.Errorf("erasing again wrote %v", got)
	}
	heads := func(since time.Time) (erased []sinks.Head) {
		err := b.Moved(b.ctx, since, func(h sinks.Head) error {
			if h.ID == id(1) {
				erased = append(erased, h)
			} else if h.Erased {
				b.Errorf("%s is said to be erased", h.ID)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return erased
	}
	for _, since := range []time.Time{{}, before.Add(-12 * time.Hour), before} {
		if got := heads(since); len(got) != 1 || !got[0].Erased || got[0].Revision != 4 || !got[0].MovedAt.Equal(stone.ErasedAt) {
			b.Errorf("moved since %v: %v, want one erased at revision 4", since, got)
		}
	}
	if got := heads(before.Add(12 * time.Hour)); len(got) != 0 {
		b.Errorf("moved since then: %v", got)
	}

	for _, nobody := range []people.ID{id(3), {}} {
		_, err := b.Erase(b.ctx, b.fence, nobody, "")
		wantError(b.T, err, sinks.ErrNotFound)
	}
	// What was theirs is anybody's.
	c := next(3, 0)
	c.Unique, c.Records, c.Lookups = next(1, 0).Unique, next(1, 0).Records, next(1, 0).Lookups
	b.must(c)
	b.holds(c)
	if got := b.revisions(id(2), 0); !slices.Equal(got, []int64{1, 2}) {
		b.Errorf("history of the other %v, want 1 and 2", got)
	}
}

func eraseTells(b *bench) {
	b.subscribe("payroll", "wiki")
	b.must(notifying(next(1, 0), "create"))
	for revision, change := range [][2]string{{"a|1", "b|1"}, {"b|1", "c|1"}} {
		c := notifying(next(1, int64(revision)+1), sinks.NotifyRelink)
		c.NotifyFormer, c.NotifyID = change[0], change[1]
		b.must(c)
		if revision == 0 { // payroll knows of the first one
			for _, row := range b.outbox("payroll") {
				if told, err := b.Delivered(b.ctx, row); err != nil || !told {
					b.Fatalf("delivered %v, %v", told, err)
				}
			}
		}
	}
	b.erased(id(1), "c|1")
	rows := map[string]sinks.OutboxRow{
		"payroll": {Subscriber: "payroll", ID: id(1), Operation: sinks.NotifyDelete, UserID: "c|1", Former: "b|1", Revision: 4},
		"wiki":    {Subscriber: "wiki", ID: id(1), Operation: sinks.NotifyDelete, UserID: "c|1", Former: "a|1\nb|1", Revision: 4},
	}
	for name, want := range rows {
		if got := b.outbox(name); !slices.Equal(got, []sinks.OutboxRow{want}) {
			b.Errorf("outbox of %s %v, want %v", name, got, want)
		}
	}
	b.erased(id(1), "c|1")
	for name, want := range rows {
		if got := b.outbox(name); !slices.Equal(got, []sinks.OutboxRow{want}) {
			b.Errorf("erased again, outbox of %s %v, want %v", name, got, want)
		}
	}
	// Somebody who comes back and is erased again before all were told.
	if told, err := b.Delivered(b.ctx, rows["payroll"]); err != nil || !told {
		b.Fatalf("delivered %v, %v", told, err)
	}
	b.must(next(1, 4))
	b.erased(id(1), "d|1")
	for name, want := range map[string]sinks.OutboxRow{
		"payroll": {Subscriber: "payroll", ID: id(1), Operation: sinks.NotifyDelete, UserID: "d|1", Revision: 6},
		"wiki":    {Subscriber: "wiki", ID: id(1), Operation: sinks.NotifyDelete, UserID: "d|1", Former: "a|1\nb|1\nc|1", Revision: 6},
	} {
		if got := b.outbox(name); !slices.Equal(got, []sinks.OutboxRow{want}) {
			b.Errorf("erased twice, outbox of %s %v, want %v", name, got, want)
		}
	}
}

func comesBack(b *bench) {
	b.must(next(1, 0))
	b.must(next(1, 1))
	b.erased(id(1), "")
	b.refused(next(1, 0), sinks.ErrConflict) // as if nobody had been there
	b.refused(next(1, 1), sinks.ErrConflict)
	b.refused(next(1, 2), sinks.ErrConflict) // as if they were still there
	b.refused(next(1, 4), sinks.ErrConflict)
	b.refused(observed(1, 2, "seen"), sinks.ErrConflict)
	b.refused(observed(1, 3, "seen"), sinks.ErrConflict)
	b.gone(next(1, 1), 3)
	b.must(next(1, 3))
	b.holds(next(1, 3))
	b.found(sinks.Query{Fact: next(1, 0).Facts[1]}, id(1))
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{4}) {
		b.Errorf("history %v, want 4 alone", got)
	}
	if stones, err := b.Tombstones(b.ctx, people.ID{}, 10); err != nil || len(stones) != 0 {
		b.Errorf("tombstones %v, %v of who is there", stones, err)
	}
	err := b.Moved(b.ctx, time.Time{}, func(h sinks.Head) error {
		if h.Erased || h.Revision != 4 {
			b.Errorf("moved: %v, want revision 4", h)
		}
		return nil
	})
	if err != nil {
		b.Error(err)
	}
	b.sound(suiteKeys)
	b.must(next(1, 4))
	if stone := b.erased(id(1), ""); stone.Revision != 6 {
		b.Errorf("erased at revision %d, want 6", stone.Revision)
	}
	b.gone(next(1, 4), 6)
}

// eraseRace erases people while others write them: in either order, and in no
// order is something of them left.
func eraseRace(b *bench) {
	b.subscribe("wiki")
	const n = 2
	for i := range n {
		b.must(next(i, 0))
		var mu sync.Mutex
		committed := int64(1)
		for _, err := range at(contenders, func(j int) error {
			if j%4 == 0 {
				_, err := b.Erase(b.ctx, sinks.Fence{}, id(i), "told")
				return err
			}
			c := notifying(next(i, 1), "update")
			if j%2 == 0 {
				c = observed(i, 1, "seen")
			}
			results, err := b.Commit(b.ctx, sinks.Fence{}, []sinks.Commit{c})
			if err != nil || conflicts(results[0]) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			committed = max(committed, c.Revision)
			return results[0]
		}) {
			if err != nil {
				b.Errorf("erasing while writing: %v", err)
			}
		}
		b.gone(next(i, 1), committed+1)
	}
	rows := b.outbox("wiki")
	if len(rows) != n {
		b.Errorf("%d outbox rows, want %d", len(rows), n)
	}
	for _, r := range rows {
		if r.Operation != sinks.NotifyDelete {
			b.Errorf("an outbox row of operation %s of somebody erased", r.Operation)
		}
	}
	b.sound(suiteKeys)
}

func loadErased(b *bench) {
	commits := []sinks.Commit{next(1, 0), next(2, 0)}
	if err := b.Load(b.ctx, b.fence, commits); err != nil {
		b.Fatal(err)
	}
	b.erased(id(1), "")
	wantError(b.T, b.Load(b.ctx, b.fence, commits), sinks.ErrConflict)
	b.gone(commits[0], 2)
	commits[0] = next(1, 2)
	commits[0].Expect = 0
	if err := b.Load(b.ctx, b.fence, commits); err != nil { // a copy made after they came back
		b.Fatal(err)
	}
	b.holds(commits[0])
	if stones, err := b.Tombstones(b.ctx, people.ID{}, 10); err != nil || len(stones) != 0 {
		b.Errorf("tombstones %v, %v of who is there", stones, err)
	}
}

func tombstones(b *bench) {
	list := func(limit int) (got []sinks.Tombstone) {
		for after := (people.ID{}); ; {
			page, err := b.Tombstones(b.ctx, after, limit)
			if err != nil {
				b.Fatal(err)
			}
			if len(page) > limit {
				b.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			got = append(got, page...)
			if len(page) < limit {
				return got
			}
			after = page[len(page)-1].ID
		}
	}
	if got := list(5); len(got) != 0 {
		b.Errorf("%d tombstones of a new vault", len(got))
	}
	const n = 8
	var commits []sinks.Commit
	for i := range 2 * n {
		commits = append(commits, next(i, 0))
	}
	b.must(commits...)
	var want []sinks.Tombstone
	for i := range n {
		b.clock.advance(time.Second)
		want = append(want, b.erased(id(i), ""))
	}
	slices.SortFunc(want, func(a, b sinks.Tombstone) int { return compareIDs(a.ID, b.ID) })
	for _, limit := range []int{1, 3, n, n + 1} {
		if got := list(limit); !slices.EqualFunc(got, want, sameStone) {
			b.Errorf("pages of %d: %v, want %v", limit, got, want)
		}
	}
}

func sameStone(a, b sinks.Tombstone) bool {
	return a.ID == b.ID && a.Revision == b.Revision && a.ErasedAt.Equal(b.ErasedAt)
}

func historyOf(n int, revisions ...int64) sinks.History {
	h := sinks.History{ID: id(n)}
	for _, r := range revisions {
		h.Docs = append(h.Docs, sinks.HistoryDoc{Revision: r, Doc: packed("history", id(n), r)})
	}
	return h
}

func restore(b *bench) {
	b.subscribe("wiki")
	loaded := []sinks.Commit{next(1, 4), next(2, 0), next(3, 9)}
	for i := range loaded {
		loaded[i].Expect = 0
	}
	if err := b.Load(b.ctx, b.fence, loaded); err != nil {
		b.Fatal(err)
	}
	stones := []sinks.Tombstone{
		{ID: id(5), Revision: 7, ErasedAt: b.clock.Now().Add(-time.Hour)},
		{ID: id(6), Revision: 2, ErasedAt: b.clock.Now().Add(-48 * time.Hour)},
	}
	histories := []sinks.History{historyOf(1, 1, 2, 3, 4), historyOf(3, 7, 8, 9), historyOf(2)}
	if err := b.Restore(b.ctx, b.fence, nil, nil); err != nil {
		b.Fatalf("restore of nothing: %v", err)
	}
	if err := b.Restore(b.ctx, b.fence, stones[:1], histories[:1]); err != nil { // and then it was killed
		b.Fatal(err)
	}
	for range 2 {
		if err := b.Restore(b.ctx, b.fence, stones, histories); err != nil {
			b.Fatal(err)
		}
		slices.SortFunc(stones, func(a, b sinks.Tombstone) int { return compareIDs(a.ID, b.ID) })
		if got, err := b.Tombstones(b.ctx, people.ID{}, 10); err != nil || !slices.EqualFunc(got, stones, sameStone) {
			b.Errorf("tombstones %v, %v, want %v", got, err, stones)
		}
		for n, want := range map[int][]int64{1: {1, 2, 3, 4, 5}, 2: {1}, 3: {7, 8, 9, 10}} {
			if got := b.revisions(id(n), 0); !slices.Equal(got, want) {
				b.Errorf("history of %d: %v, want %v", n, got, want)
			}
		}
	}
	for _, c := range loaded {
		b.holds(c)
	}
	if got := b.outbox("wiki"); len(got) != 0 {
		b.Errorf("a restore wrote %v", got)
	}
	b.sound(suiteKeys)
	b.refused(next(5, 0), sinks.ErrConflict)
	b.must(next(5, 7), next(1, 5))
}

func restoreRefused(b *bench) {
	b.must(next(1, 0), next(2, 0))
	b.must(next(1, 1))
	b.erased(id(2), "")
	for what, r := range map[string]struct {
		stones    []sinks.Tombstone
		histories []sinks.History
	}{
		"a tombstone of who is there":       {stones: []sinks.Tombstone{{ID: id(1), Revision: 9, ErasedAt: b.clock.Now()}}},
		"history of nobody":                 {histories: []sinks.History{historyOf(3, 1)}},
		"history of somebody erased":        {histories: []sinks.History{historyOf(2, 1)}},
		"history of the revision there is":  {histories: []sinks.History{historyOf(1, 1, 2)}},
		"history of a revision still to be": {histories: []sinks.History{historyOf(1, 3)}},
	} {
		b.Log(what)
		wantError(b.T, b.Restore(b.ctx, b.fence, r.stones, r.histories), sinks.ErrConflict)
	}
	large := sinks.History{ID: id(1), Docs: []sinks.HistoryDoc{{Revision: 1, Doc: make([]byte, sinks.MaxDocBytes+1)}}}
	wantError(b.T, b.Restore(b.ctx, b.fence, nil, []sinks.History{large}), sinks.ErrTooLarge)
	b.holds(next(1, 1))
	b.gone(next(2, 0), 2)
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{1, 2}) {
		b.Errorf("history %v, want 1 and 2", got)
	}
}

// audit returns what is wrong, sorted.
func (b *bench) audit(want func(sinks.Stored) (sinks.Keys, error)) (faults []sinks.Fault) {
	b.Helper()
	err := b.Audit(b.ctx, want, func(f sinks.Fault) error {
		faults = append(faults, f)
		return nil
	})
	if err != nil {
		b.Fatalf("audit: %v", err)
	}
	slices.SortFunc(faults, compareFaults)
	return faults
}

func compareFaults(a, b sinks.Fault) int {
	return cmp.Or(compareIDs(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.Revision, b.Revision))
}

// sound checks that an audit finds nothing.
func (b *bench) sound(want func(sinks.Stored) (sinks.Keys, error)) {
	b.Helper()
	if got := b.audit(want); len(got) != 0 {
		b.Errorf("an audit finds %v, want nothing", got)
	}
}

// kinds are the faults of somebody, without the schemes of facts, which a store
// need not know, and each once.
func kinds(faults []sinks.Fault, id people.ID) (kinds []string) {
	for _, f := range faults {
		if f.ID != id {
			continue
		}
		kind := string(f.Kind)
		switch f.Scheme {
		case people.ByUserID, people.ByUsername, people.ByEmail, "record:ldap":
			kind += " " + string(f.Scheme)
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func auditClean(b *bench) {
	b.sound(suiteKeys)
	b.subscribe("wiki")
	var commits []sinks.Commit
	for i := range 20 {
		commits = append(commits, notifying(next(i, 0), "create"))
	}
	b.must(commits...)
	b.must(next(1, 1), observed(2, 1, "seen"), next(3, 1))
	b.must(next(3, 2))
	b.erased(id(4), "told")
	b.erased(id(5), "")
	b.must(next(5, 2))
	seen := make(map[people.ID]int)
	b.sound(func(p sinks.Stored) (sinks.Keys, error) {
		seen[p.ID]++
		stored := b.stored(p.ID)
		if p.Revision != stored.Revision || string(p.Profile) != string(stored.Profile) || string(p.Observations) != string(stored.Observations) {
			b.Errorf("an audit has %s otherwise than they are stored", p.ID)
		}
		return suiteKeys(p)
	})
	if len(seen) != 19 || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		b.Errorf("an audit asks about %d people, want 19 once each", len(seen))
	}
}

// auditKeys writes keys that are not the ones that profiles give, as a program
// with a bug would have.
func auditKeys(b *bench) {
	// Nothing of the first is there, and all of it is somebody's the second.
	few, many, other := next(1, 0), next(2, 0), next(3, 0)
	few.Unique, few.Records, few.Lookups, few.Facts = nil, nil, nil, nil
	many.Unique = append(many.Unique, key(people.ByUserID, "extra"))
	many.Records = append(many.Records, key("record:ldap", "extra"))
	many.Lookups = append(many.Lookups, key(people.ByEmail, "extra@example.com"))
	many.Facts = append(many.Facts, group("extra"))
	other.Active = !other.Active
	b.must(few, many, other, next(4, 0))
	faults := b.audit(suiteKeys)
	for n, want := range map[int][]string{
		1: {"missing", "missing email", "missing record:ldap", "missing user_id", "missing username"},
		2: {"extra", "extra email", "extra record:ldap", "extra user_id"},
		4: nil,
	} {
		got := kinds(faults, id(n))
		// A store that keeps hashes does not know the scheme of a lookup that it
		// should not have.
		if !slices.Equal(got, want) && !slices.Equal(got, slices.DeleteFunc(slices.Clone(want), func(k string) bool { return k == "extra email" })) {
			b.Errorf("an audit finds of %d %q, want %q", n, got, want)
		}
	}
	if got := kinds(faults, id(3)); len(got) == 0 {
		b.Error("an audit does not find who is active only in the search")
	}
	moved := b.stored(id(1)).MovedAt
	b.clock.advance(time.Hour)
	for _, n := range []int{1, 2, 3, 3} {
		if err := b.Mend(b.ctx, b.fence, id(n), 1, next(n, 0).Keys); err != nil {
			b.Fatal(err)
		}
	}
	b.sound(suiteKeys)
	for _, n := range []int{1, 2, 3, 4} {
		b.holds(next(n, 0))
		if got := b.revisions(id(n), 0); !slices.Equal(got, []int64{1}) {
			b.Errorf("history %v, want 1", got)
		}
	}
	if got := b.stored(id(1)).MovedAt; !got.Equal(moved) {
		b.Errorf("mended, and moved at %v, want %v", got, moved)
	}
	b.leads(key(people.ByUserID, "extra"))
	b.leads(key("record:ldap", "extra"))
	b.leads(key(people.ByEmail, "extra@example.com"))
	b.found(sinks.Query{Fact: group("extra")})
	b.found(sinks.Query{Fact: group("everybody")}, id(1), id(2), id(3), id(4))
	b.must(next(1, 1), next(2, 1)) // and they go on
}

func auditTaken(b *bench) {
	thief := next(1, 0)
	thief.Unique = append(thief.Unique, next(2, 0).Unique...)
	robbed := next(2, 0)
	robbed.Unique = nil
	b.must(thief, robbed)
	faults := b.audit(suiteKeys)
	if got, want := kinds(faults, id(2)), []string{"taken user_id", "taken username"}; !slices.Equal(got, want) {
		b.Errorf("an audit finds %q, want %q", got, want)
	}
	if got, want := kinds(faults, id(1)), []string{"extra user_id", "extra username"}; !slices.Equal(got, want) {
		b.Errorf("an audit finds of the other %q, want %q", got, want)
	}
	// The one who has too much is mended first.
	wantError(b.T, b.Mend(b.ctx, b.fence, id(2), 1, next(2, 0).Keys), sinks.ErrTaken)
	b.leads(next(2, 0).Unique[0], id(1))
	for _, n := range []int{1, 2} {
		if err := b.Mend(b.ctx, b.fence, id(n), 1, next(n, 0).Keys); err != nil {
			b.Fatal(err)
		}
	}
	b.sound(suiteKeys)
}

func auditDamaged(b *bench) {
	profile, history := next(1, 0), next(2, 0)
	profile.Profile, history.History = []byte("not packed"), []byte("not packed")
	b.must(profile, history, next(3, 0))
	want := []sinks.Fault{{ID: id(1), Kind: sinks.FaultDamaged}, {ID: id(2), Kind: sinks.FaultDamaged, Revision: 1}}
	slices.SortFunc(want, compareFaults)
	got := b.audit(func(p sinks.Stored) (sinks.Keys, error) {
		if p.ID == id(1) {
			b.Error("an audit asks about who cannot be read")
		}
		return suiteKeys(p)
	})
	if !slices.Equal(got, want) {
		b.Errorf("an audit finds %v, want %v", got, want)
	}
}

func auditEnds(b *bench) {
	wrong := func(c sinks.Commit) sinks.Commit {
		c.Lookups = nil
		return c
	}
	b.must(wrong(next(1, 0)), wrong(next(2, 0)), wrong(next(3, 0)))
	stop := errors.New("stop")
	calls := 0
	if err := b.Audit(b.ctx, suiteKeys, func(sinks.Fault) error { calls++; return stop }); err != stop || calls != 1 {
		b.Errorf("an error of yield: %v after %d calls, want itself after one", err, calls)
	}
	calls = 0
	if err := b.Audit(b.ctx, func(sinks.Stored) (sinks.Keys, error) { calls++; return sinks.Keys{}, stop }, func(sinks.Fault) error { return nil }); err != stop || calls != 1 {
		b.Errorf("an error of want: %v after %d calls, want itself after one", err, calls)
	}
	// What is found can be mended at once.
	err := b.Audit(b.ctx, suiteKeys, func(f sinks.Fault) error {
		keys, err := suiteKeys(b.stored(f.ID))
		if err != nil {
			return err
		}
		return b.Mend(b.ctx, b.fence, f.ID, 1, keys)
	})
	if err != nil {
		b.Error(err)
	}
	b.sound(suiteKeys)
}

func mendNobody(b *bench) {
	b.subscribe("wiki")
	b.must(notifying(next(1, 0), "create"), notifying(next(2, 0), "create"))
	b.erased(id(1), "told")
	want := b.outbox("wiki")
	for _, n := range []int{1, 3} { // somebody erased, and nobody
		if err := b.Mend(b.ctx, b.fence, id(n), 0, sinks.Keys{}); err != nil {
			b.Error(err)
		}
	}
	b.gone(next(1, 0), 2)
	if got := b.outbox("wiki"); !slices.Equal(got, want) { // it is not told yet
		b.Errorf("outbox %v, want %v", got, want)
	}
	_, err := b.Person(b.ctx, id(3))
	wantError(b.T, err, sinks.ErrNotFound)
	b.holds(next(2, 0))
	b.must(next(3, 0))
}

func mendRefused(b *bench) {
	b.must(next(1, 0), next(2, 0))
	b.must(next(1, 1))
	b.erased(id(2), "")
	for what, m := range map[string]struct{ n, revision int }{
		"an earlier revision":         {1, 1},
		"a later revision":            {1, 3},
		"nobody, who is there":        {1, 0},
		"somebody who never was":      {3, 1},
		"somebody erased, by theirs":  {2, 1},
		"somebody erased, as a stone": {2, 2},
	} {
		b.Log(what)
		wantError(b.T, b.Mend(b.ctx, b.fence, id(m.n), int64(m.revision), sinks.Keys{}), sinks.ErrConflict)
	}
	wantError(b.T, b.Mend(b.ctx, b.fence, id(1), 2, sinks.Keys{Lookups: keys(sinks.MaxLookups+1, people.ByEmail)}), sinks.ErrTooLarge)
	b.holds(next(1, 1))
	b.gone(next(2, 0), 2)
	b.sound(suiteKeys)
}
