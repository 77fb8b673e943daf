package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Vault runs the suite of sinks.Vault.
func Vault(t *testing.T, open OpenStore) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"a person comes back as they were written", roundTrip},
		{"odd values are distinct keys", oddKeys},
		{"who is not there is ErrNotFound and nothing else", notFound},
		{"a failure to read is never ErrNotFound", readFault},
		{"a stale revision conflicts for that person only", staleRevision},
		{"a repeated commit has no second effect", repeated},
		{"commits of one person in a batch follow their order", sameInBatch},
		{"of concurrent creations with one claim one wins", claimRace},
		{"of concurrent writers of a person one wins", revisionRace},
		{"unique claims are taken, given up and taken again", uniqueClaims},
		{"a refused commit writes nothing", refusedWhole},
		{"record claims are never given up", recordClaims},
		{"observations alone change nothing else", observationsOnly},
		{"lookups are replaced and shared", lookups},
		{"List is ordered, whole and resumable", list},
		{"Moved knows who was written since", moved},
		{"history has one document a revision", history},
		{"outbox rows come with the commit", outboxRows},
		{"outbox rows are raised in place", outboxRaised},
		{"outbox rows keep every user_id given up", outboxRelinked},
		{"Delivered compares and deletes", delivered},
		{"subscribers are replaced", subscribers},
		{"a lost lease fences", fences},
		{"a batch has any length", longBatch},
		{"what is too large says so", tooLarge},
		{"a commit of the largest form is written", largest},
		{"a commit out of form is refused alone", outOfForm},
		{"Load fills an empty vault and can be repeated", load},
		{"Load is refused where others are", loadRefused},
		{"LoadPart looks at its part alone", loadParts},
		{"RestoreOutbox writes rows as they are", restoreOutbox},
		{"a cancelled context ends it", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(set(t, open)) })
	}
}

func roundTrip(b *bench) {
	c := next(1, 0)
	b.must(c)
	b.holds(c)
	if got := b.stored(c.ID).MovedAt; !got.Equal(b.clock.Now()) {
		b.Errorf("moved at %v, want %v", got, b.clock.Now())
	}
	c = next(1, 1)
	c.Observations = nil
	b.must(c)
	b.holds(c) // a writer reads its own write at once
	if n, err := b.Count(b.ctx); err != nil || n != 1 {
		b.Errorf("count %d, %v, want 1", n, err)
	}
	b.must(next(2, 0), next(3, 0))
	got, err := b.People(b.ctx, []people.ID{id(3), id(9), id(1), id(3), id(2), id(1)})
	if err != nil {
		b.Fatal(err)
	}
	var ids []people.ID
	for _, p := range got {
		ids = append(ids, p.ID)
		if string(p.Profile) != string(b.stored(p.ID).Profile) {
			b.Errorf("People and Person differ for %s", p.ID)
		}
	}
	if want := []people.ID{id(3), id(1), id(2)}; !slices.Equal(ids, want) {
		b.Errorf("People in the order %v, want %v", ids, want)
	}
	if n, err := b.Count(b.ctx); err != nil || n != 3 {
		b.Errorf("count %d, %v, want 3", n, err)
	}
}

func oddKeys(b *bench) {
	var commits []sinks.Commit
	for i, value := range oddValues {
		c := next(i, 0)
		c.Unique = []people.Key{key(people.ByUserID, value), key(people.ByUsername, value)}
		c.Records = []people.Key{key("record:ldap", value), key("record:hris", value)}
		c.Lookups = []people.Key{key(people.ByEmail, value)}
		commits = append(commits, c)
	}
	// Where a scheme ends and its value begins must not be guessed.
	for i, k := range []people.Key{key("record:a", "b:c"), key("record:a:b", "c"), key("record:a|b", "c"), key("record:a/b", "c")} {
		c := next(len(oddValues)+i, 0)
		c.Records = []people.Key{k}
		commits = append(commits, c)
	}
	b.must(commits...)
	var keys []people.Key
	var want [][]people.ID
	for _, c := range commits {
		for _, k := range slices.Concat(c.Unique, c.Records, c.Lookups) {
			keys = append(keys, k)
			want = append(want, []people.ID{c.ID})
		}
	}
	got, err := b.Lookup(b.ctx, keys)
	if err != nil {
		b.Fatal(err)
	}
	for i, k := range keys {
		if !slices.Equal(got[i], want[i]) {
			b.Errorf("%s %.40q leads to %v, want %v", k.Scheme, k.Value, got[i], want[i])
		}
	}
}

func notFound(b *bench) {
	b.must(next(1, 0))
	_, err := b.Person(b.ctx, id(2))
	wantError(b.T, err, sinks.ErrNotFound)
	_, err = b.History(b.ctx, id(2), 0)
	wantError(b.T, err, sinks.ErrNotFound)
	if got, err := b.People(b.ctx, []people.ID{id(2), {}}); err != nil || len(got) != 0 {
		b.Errorf("People: %d, %v, want none", len(got), err)
	}
	if got, err := b.People(b.ctx, nil); err != nil || len(got) != 0 {
		b.Errorf("People of nobody: %d, %v, want none", len(got), err)
	}
	if got, err := b.Lookup(b.ctx, nil); err != nil || len(got) != 0 {
		b.Errorf("Lookup of nothing: %d, %v, want none", len(got), err)
	}
	b.leads(key(people.ByEmail, "nobody@example.com"))
	if got := b.outbox("nobody"); len(got) != 0 {
		b.Errorf("outbox of nobody: %d rows", len(got))
	}
	c := next(2, 3)
	b.refused(c, sinks.ErrConflict) // there is nothing to change
	b.refused(observed(2, 1, "seen"), sinks.ErrConflict)
}

func readFault(b *bench) {
	b.must(next(1, 0))
	gone, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := b.Person(gone, id(1))
	wantFault(b.T, "Person", err)
	_, err = b.Person(gone, id(2))
	wantFault(b.T, "Person not there", err)
	_, err = b.People(gone, []people.ID{id(2)})
	wantFault(b.T, "People", err)
	_, err = b.Lookup(gone, []people.Key{key(people.ByEmail, "x@example.com")})
	wantFault(b.T, "Lookup", err)
	_, err = b.List(gone, people.ID{}, 10)
	wantFault(b.T, "List", err)
	_, err = b.History(gone, id(2), 0)
	wantFault(b.T, "History", err)
	_, err = b.Count(gone)
	wantFault(b.T, "Count", err)
	wantFault(b.T, "Moved", b.Moved(gone, time.Time{}, func(sinks.Head) error { return nil }))
	_, err = b.Outbox(gone, "a", 1)
	wantFault(b.T, "Outbox", err)
}

func staleRevision(b *bench) {
	b.must(next(1, 0), next(2, 0), next(3, 0))
	stale := next(2, 4)
	stale.Lookups = nil
	results := b.commit(next(1, 1), stale, next(3, 1), next(4, 0))
	for i, err := range results {
		if i == 1 {
			wantError(b.T, err, sinks.ErrConflict)
		} else if err != nil {
			b.Errorf("commit %d beside a stale one: %v", i, err)
		}
	}
	b.holds(next(1, 1))
	b.holds(next(2, 0))
	b.holds(next(3, 1))
	b.holds(next(4, 0))
}

func repeated(b *bench) {
	b.subscribe("a")
	first, second := next(1, 0), next(1, 1)
	first.Notify, second.Notify = "create", "update"
	b.must(first)
	b.must(second)
	b.refused(first, sinks.ErrConflict)
	b.refused(second, sinks.ErrConflict)
	b.holds(second)
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{1, 2}) {
		b.Errorf("history %v, want 1 and 2", got)
	}
	if got := b.outbox("a"); len(got) != 2 {
		b.Errorf("%d outbox rows, want 2", len(got))
	}
	// Observations say the same when they are said again.
	b.must(observed(1, 2, "seen"))
	b.must(observed(1, 2, "seen"))
}

func sameInBatch(b *bench) {
	results := b.commit(next(1, 0), next(1, 1), next(1, 1), next(1, 2))
	for i, want := range []error{nil, nil, sinks.ErrConflict, nil} {
		if !errors.Is(results[i], want) {
			b.Errorf("commit %d: %v, want %v", i, results[i], want)
		}
	}
	b.holds(next(1, 2))
}

func claimRace(b *bench) {
	for _, scheme := range []people.Scheme{people.ByUserID, people.ByUsername, "record:hris"} {
		k := key(scheme, "wanted")
		errs := at(contenders, func(i int) error {
			c := next(100+i, 0)
			c.ID = id(len(scheme)*1000 + i)
			c.Unique = []people.Key{key(people.ByUserID, fmt.Sprintf("own %s %d", scheme, i))}
			c.Records = nil
			if scheme == "record:hris" {
				c.Records = append(c.Records, k)
			} else {
				c.Unique = append(c.Unique, k)
			}
			results, err := b.Commit(b.ctx, sinks.Fence{}, []sinks.Commit{c})
			if err != nil {
				return err
			}
			return results[0]
		})
		oneWins(b.T, errs, sinks.ErrTaken)
		if i := slices.Index(errs, nil); i >= 0 {
			b.leads(k, id(len(scheme)*1000+i))
		}
	}
	// In one batch as well.
	x, y := next(1, 0), next(2, 0)
	x.Unique = append(x.Unique, key(people.ByUsername, "both"))
	y.Unique = append(y.Unique, key(people.ByUsername, "both"))
	oneWins(b.T, b.commit(x, y), sinks.ErrTaken)
}

func revisionRace(b *bench) {
	b.must(next(1, 0))
	oneWins(b.T, at(contenders, func(i int) error {
		c := next(1, 1)
		c.Profile = packed(fmt.Sprint("profile of ", i), c.ID, 2)
		results, err := b.Commit(b.ctx, sinks.Fence{}, []sinks.Commit{c})
		if err != nil {
			return err
		}
		return results[0]
	}), sinks.ErrConflict)
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{1, 2}) {
		b.Errorf("history %v, want 1 and 2", got)
	}
}

func uniqueClaims(b *bench) {
	name := key(people.ByUsername, "shared-name")
	has := func(c sinks.Commit) sinks.Commit {
		c.Unique = append(c.Unique, name, name) // named twice is claimed once
		return c
	}
	b.must(has(next(1, 0)))
	b.refused(has(next(2, 0)), sinks.ErrTaken)
	b.must(next(2, 0))
	b.refused(has(next(2, 1)), sinks.ErrTaken)
	b.must(has(next(1, 1))) // keeping it is no conflict with oneself
	b.leads(name, id(1))
	b.must(next(1, 2)) // not listed: given up
	b.leads(name)
	b.must(has(next(2, 1)))
	b.leads(name, id(2))
	b.refused(has(next(1, 3)), sinks.ErrTaken)
}

func refusedWhole(b *bench) {
	b.subscribe("a")
	b.must(next(1, 0), next(2, 0))
	before := b.stored(id(2))
	c := next(2, 1)
	c.Unique = []people.Key{key(people.ByUserID, "new"), next(1, 0).Unique[0]} // the second one is taken
	c.Records = []people.Key{key("record:hris", "new")}
	c.Lookups = []people.Key{key(people.ByEmail, "new@example.com")}
	c.Notify = "update"
	b.refused(c, sinks.ErrTaken)
	created := next(3, 0)
	created.Records = append(created.Records, next(1, 0).Records[0])
	created.Notify = "create"
	b.refused(created, sinks.ErrTaken)
	seen := observed(2, 1, "seen")
	seen.Records = next(1, 0).Records
	b.refused(seen, sinks.ErrTaken)

	if got := b.stored(id(2)); got.Revision != 1 || !bytes.Equal(got.Observations, before.Observations) || !got.MovedAt.Equal(before.MovedAt) {
		b.Errorf("a refused commit left revision %d, moved at %v", got.Revision, got.MovedAt)
	}
	b.holds(next(2, 0))
	_, err := b.Person(b.ctx, id(3))
	wantError(b.T, err, sinks.ErrNotFound)
	b.leads(c.Unique[0])
	b.leads(c.Records[0])
	b.leads(c.Lookups[0])
	b.leads(created.Unique[0])
	b.leads(created.Lookups[0])
	if got := b.revisions(id(2), 0); !slices.Equal(got, []int64{1}) {
		b.Errorf("history %v, want 1", got)
	}
	if got := b.outbox("a"); len(got) != 0 {
		b.Errorf("outbox of refused commits: %v", got)
	}
}

func recordClaims(b *bench) {
	b.must(next(1, 0))
	record, other := next(1, 0).Records[0], key("record:hris", "77")
	c := next(1, 1)
	c.Records = []people.Key{record, other}
	b.must(c)
	b.leads(record, id(1))
	b.leads(other, id(1))
	taker := next(2, 0)
	taker.Records = append(taker.Records, record)
	b.refused(taker, sinks.ErrTaken)
	c = next(1, 2)
	c.Records = []people.Key{other} // not listed: given up
	b.must(c)
	b.leads(record)
	b.must(taker)
	b.leads(record, id(2))
	seen := observed(1, 3, "seen") // of observations only as well
	seen.Records = nil
	b.must(seen)
	b.leads(other)
	b.leads(c.Unique[0], id(1))
}

func observationsOnly(b *bench) {
	b.subscribe("a")
	created := next(1, 0)
	b.must(created)
	b.clock.advance(time.Hour)
	seen := observed(1, 1, "seen")
	seen.Records, seen.Lookups = []people.Key{key("record:github", "5")}, []people.Key{key(people.ByEmail, "other@example.com")}
	b.must(seen)
	want := created
	want.Observations, want.Records, want.Lookups = seen.Observations, seen.Records, seen.Lookups
	b.holds(want)
	b.leads(created.Records[0])
	b.leads(created.Lookups[0])
	if got := b.stored(id(1)).MovedAt; !got.Equal(b.clock.Now()) {
		b.Errorf("moved at %v, want %v", got, b.clock.Now())
	}
	// What only a profile brings is not looked at.
	seen.Records, seen.Notify, seen.Unique, seen.Lookups = nil, "update", []people.Key{}, nil
	seen.Observations = nil
	b.must(seen)
	want.Observations, want.Records, want.Lookups = nil, nil, nil
	b.holds(want)
	b.leads(key(people.ByEmail, "other@example.com"))
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{1}) {
		b.Errorf("history %v, want 1", got)
	}
	if got := b.outbox("a"); len(got) != 0 {
		b.Errorf("outbox %v, want none", got)
	}
	b.must(next(1, 1))
}

func lookups(b *bench) {
	email := func(s string) people.Key { return key(people.ByEmail, s) }
	with := func(c sinks.Commit, lookups ...people.Key) sinks.Commit {
		c.Lookups = lookups
		return c
	}
	b.must(
		with(next(1, 0), email("one@example.com"), email("both@example.com"), email("both@example.com")),
		with(next(2, 0), email("both@example.com"), key(people.ByPosixID, "both@example.com")),
		with(next(3, 0), key(people.ByFormerID, next(1, 0).Unique[0].Value)),
	)
	b.leads(email("both@example.com"), id(1), id(2))
	b.leads(key(people.ByPosixID, "both@example.com"), id(2))
	b.leads(email("one@example.com"), id(1))
	b.leads(next(1, 0).Unique[0], id(1)) // a former id of another is another key
	b.must(with(next(1, 1), email("new@example.com")))
	b.leads(email("both@example.com"), id(2))
	b.leads(email("one@example.com"))
	b.leads(email("new@example.com"), id(1))
	b.must(with(next(1, 2)))
	b.leads(email("new@example.com"))
	// The order of the answers is that of the keys, however many.
	var keys []people.Key
	for i := range 700 {
		keys = append(keys, email(fmt.Sprint(i)))
	}
	keys[5], keys[650], keys[651] = email("both@example.com"), key(people.ByPosixID, "both@example.com"), email("both@example.com")
	got, err := b.Lookup(b.ctx, keys)
	if err != nil || len(got) != len(keys) {
		b.Fatalf("%d answers, %v, want %d", len(got), err, len(keys))
	}
	for i, ids := range got {
		want := 0
		if i == 5 || i == 650 || i == 651 {
			want = 1
		}
		if len(ids) != want || want == 1 && ids[0] != id(2) {
			b.Errorf("key %d leads to %v", i, ids)
		}
	}
}

func list(b *bench) {
	const n = 23
	var commits []sinks.Commit
	var want []people.ID
	for i := range n {
		commits = append(commits, next(i, 0))
		want = append(want, id(i))
	}
	b.must(commits...)
	slices.SortFunc(want, compareIDs)
	for _, limit := range []int{1, 5, 23, 100} {
		var got []people.ID
		for after := (people.ID{}); ; {
			page, err := b.List(b.ctx, after, limit)
			if err != nil {
				b.Fatal(err)
			}
			if len(page) > limit {
				b.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			for _, p := range page {
				got = append(got, p.ID)
				sameDoc(b.T, "profile", p.Profile, packed("profile", p.ID, 1))
				sameDoc(b.T, "observations", p.Observations, packed("observations", p.ID, 1))
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			b.Errorf("pages of %d give %d people in another order or number", limit, len(got))
		}
	}
}

func moved(b *bench) {
	heads := func(since time.Time) map[people.ID]int64 {
		got := make(map[people.ID]int64)
		err := b.Moved(b.ctx, since, func(h sinks.Head) error {
			got[h.ID] = h.Revision
			if stored := b.stored(h.ID); !stored.MovedAt.Equal(h.MovedAt) {
				b.Errorf("head moved at %v, stored at %v", h.MovedAt, stored.MovedAt)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return got
	}
	check := func(since time.Time, want map[people.ID]int64) {
		b.Helper()
		got := heads(since)
		if len(got) != len(want) {
			b.Errorf("%d moved since %v, want %d", len(got), since, len(want))
		}
		for id, revision := range want {
			if got[id] != revision {
				b.Errorf("%s moved to %d, want %d", id, got[id], revision)
			}
		}
	}
	start := b.clock.Now()
	b.must(next(1, 0), next(2, 0), next(3, 0))
	b.clock.advance(24 * time.Hour)
	b.must(next(1, 1), observed(2, 1, "seen"), next(4, 0))
	check(time.Time{}, map[people.ID]int64{id(1): 2, id(2): 1, id(3): 1, id(4): 1})
	check(start, map[people.ID]int64{id(1): 2, id(2): 1, id(3): 1, id(4): 1})
	check(start.Add(12*time.Hour), map[people.ID]int64{id(1): 2, id(2): 1, id(4): 1})
	check(b.clock.Now(), map[people.ID]int64{id(1): 2, id(2): 1, id(4): 1})
	// A clock that is a little ahead must not lose anybody.
	check(b.clock.Now().Add(time.Minute), map[people.ID]int64{id(1): 2, id(2): 1, id(4): 1})
	check(b.clock.Now().Add(24*time.Hour), nil)

	stop := errors.New("stop")
	calls := 0
	if err := b.Moved(b.ctx, start, func(sinks.Head) error { calls++; return stop }); err != stop || calls != 1 {
		b.Errorf("an error of yield: %v after %d calls, want itself after one", err, calls)
	}
}

func history(b *bench) {
	for r := range int64(5) {
		b.must(next(1, r))
	}
	b.must(next(2, 0))
	for after, want := range map[int64][]int64{0: {1, 2, 3, 4, 5}, 3: {4, 5}, 5: nil, 99: nil} {
		if got := b.revisions(id(1), after); !slices.Equal(got, want) {
			b.Errorf("history after %d: %v, want %v", after, got, want)
		}
	}
	if got := b.revisions(id(2), 0); !slices.Equal(got, []int64{1}) {
		b.Errorf("history of another: %v, want 1", got)
	}
}

func (b *bench) subscribe(names ...string) {
	b.Helper()
	if err := b.Subscribers(b.ctx, names); err != nil {
		b.Fatalf("subscribers: %v", err)
	}
}

// notifying sets the notification of c.
func notifying(c sinks.Commit, operation string) sinks.Commit {
	c.Notify, c.NotifyID = operation, c.Unique[0].Value
	return c
}

func outboxRows(b *bench) {
	b.must(notifying(next(9, 0), "create")) // nobody listens yet
	b.subscribe("payroll", "wiki")
	b.must(notifying(next(1, 0), "create"), notifying(next(2, 0), "create"), next(3, 0))
	for _, name := range []string{"payroll", "wiki"} {
		want := []sinks.OutboxRow{
			{Subscriber: name, ID: id(1), Operation: "create", UserID: next(1, 0).Unique[0].Value, Revision: 1},
			{Subscriber: name, ID: id(2), Operation: "create", UserID: next(2, 0).Unique[0].Value, Revision: 1},
		}
		slices.SortFunc(want, func(a, b sinks.OutboxRow) int { return compareIDs(a.ID, b.ID) })
		if got := b.outbox(name); !slices.Equal(got, want) {
			b.Errorf("outbox of %s: %v, want %v", name, got, want)
		}
	}
	if got, err := b.Outbox(b.ctx, "wiki", 1); err != nil || len(got) != 1 {
		b.Errorf("outbox with limit 1: %d rows, %v", len(got), err)
	}
}

func outboxRaised(b *bench) {
	b.subscribe("wiki")
	b.must(notifying(next(1, 0), "create"))
	b.must(notifying(next(1, 1), "update"))
	c := notifying(next(1, 2), "update")
	c.NotifyID = "renamed"
	b.must(c)
	want := []sinks.OutboxRow{
		{Subscriber: "wiki", ID: id(1), Operation: "create", UserID: next(1, 0).Unique[0].Value, Revision: 1},
		{Subscriber: "wiki", ID: id(1), Operation: "update", UserID: "renamed", Revision: 3},
	}
	if got := b.outbox("wiki"); !slices.Equal(got, want) {
		b.Errorf("outbox %v, want %v", got, want)
	}
}

func outboxRelinked(b *bench) {
	b.subscribe("wiki")
	b.must(notifying(next(1, 0), "create"))
	for revision, change := range [][2]string{{"a|1", "b|1"}, {"b|1", "c|1"}} {
		c := notifying(next(1, int64(revision)+1), sinks.NotifyRelink)
		c.NotifyFormer, c.NotifyID = change[0], change[1]
		b.must(c)
	}
	want := sinks.OutboxRow{Subscriber: "wiki", ID: id(1), Operation: sinks.NotifyRelink, UserID: "c|1", Former: "a|1\nb|1", Revision: 3}
	if got := b.outbox("wiki"); len(got) != 2 || got[1] != want {
		b.Errorf("outbox %v, want %v last", got, want)
	}
	c := notifying(next(1, 3), sinks.NotifyRelink)
	if results, err := b.Commit(b.ctx, sinks.Fence{}, []sinks.Commit{c}); err != nil || results[0] == nil {
		b.Errorf("a relink without a former user_id was written: %v, %v", results, err)
	}
}

func delivered(b *bench) {
	b.subscribe("payroll", "wiki")
	b.must(notifying(next(1, 0), "update"))
	old := b.outbox("wiki")[0]
	b.must(notifying(next(1, 1), "update"))
	is := func(row sinks.OutboxRow, want bool) {
		b.Helper()
		if got, err := b.Delivered(b.ctx, row); err != nil || got != want {
			b.Errorf("delivered %v, %v, want %v", got, err, want)
		}
	}
	is(old, false) // it was raised meanwhile
	row := b.outbox("wiki")[0]
	for _, other := range []sinks.OutboxRow{
		{Subscriber: "wiki", ID: id(2), Operation: row.Operation, Revision: row.Revision},
		{Subscriber: "wiki", ID: row.ID, Operation: "create", Revision: row.Revision},
		{Subscriber: "nobody", ID: row.ID, Operation: row.Operation, Revision: row.Revision},
	} {
		is(other, false)
	}
	is(row, true)
	is(row, false)
	if got := b.outbox("wiki"); len(got) != 0 {
		b.Errorf("outbox %v, want none", got)
	}
	if got := b.outbox("payroll"); len(got) != 1 {
		b.Errorf("outbox of the other %v, want one row", got)
	}
	b.must(notifying(next(1, 2), "update"))
	if got := b.outbox("wiki"); len(got) != 1 || got[0].Revision != 3 {
		b.Errorf("outbox %v, want revision 3", got)
	}
}

func subscribers(b *bench) {
	names := make([]string, sinks.MaxSubscribers+1)
	for i := range names {
		names[i] = fmt.Sprint("subscriber ", i)
	}
	wantError(b.T, b.Subscribers(b.ctx, names), sinks.ErrTooLarge)
	b.subscribe("a", "b")
	b.must(notifying(next(1, 0), "create"))
	b.subscribe("b", "c")
	b.must(notifying(next(2, 0), "create"))
	for name, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
		if got := b.outbox(name); len(got) != want {
			b.Errorf("outbox of %s: %d rows, want %d", name, len(got), want)
		}
	}
	b.subscribe()
	b.must(notifying(next(3, 0), "create"))
	if got := b.outbox("b"); len(got) != 2 {
		b.Errorf("outbox of nobody's subscriber: %d rows, want 2", len(got))
	}
}

func (b *bench) acquire(holder string) sinks.Fence {
	b.Helper()
	f, err := b.Acquire(b.ctx, "sync", holder, time.Minute)
	if err != nil {
		b.Fatalf("acquire: %v", err)
	}
	return f
}

func fences(b *bench) {
	refused := func(f sinks.Fence, c sinks.Commit) {
		b.Helper()
		results, err := b.Commit(b.ctx, f, []sinks.Commit{c})
		wantError(b.T, err, sinks.ErrFenced)
		if len(results) != 0 {
			b.Errorf("%d results of a fenced commit", len(results))
		}
	}
	first := b.acquire("first")
	b.fence = first
	b.must(next(1, 0))

	// The first holder sleeps through its lease; nobody minds until another
	// one takes it.
	b.clock.advance(time.Hour)
	b.must(next(1, 1))
	b.clock.advance(time.Hour)
	second := b.acquire("second")
	refused(first, next(1, 2)) // it wakes up
	refused(first, observed(1, 2, "seen"))
	refused(first, next(2, 0))
	wantError(b.T, b.Load(b.ctx, first, []sinks.Commit{next(1, 0)}), sinks.ErrFenced)
	b.holds(next(1, 1))
	_, err := b.Person(b.ctx, id(2))
	wantError(b.T, err, sinks.ErrNotFound)
	b.leads(next(2, 0).Unique[0])
	if got := b.revisions(id(1), 0); !slices.Equal(got, []int64{1, 2}) {
		b.Errorf("history %v, want 1 and 2", got)
	}

	b.fence = second
	b.must(next(1, 2))
	again := b.acquire("second")
	refused(second, next(1, 3)) // the same holder, an earlier token
	b.fence = again
	b.must(next(1, 3))
	if err := b.Release(b.ctx, again); err != nil {
		b.Fatal(err)
	}
	refused(again, next(1, 4))
	third := b.acquire("third")
	refused(again, next(1, 4))
	refused(sinks.Fence{Lease: "sync"}, next(1, 4))
	refused(sinks.Fence{Lease: "another", Token: third.Token}, next(1, 4))
	refused(sinks.Fence{Token: 1}, next(1, 4))
	b.fence = sinks.Fence{} // needs no lease
	b.must(next(1, 4))
}

func longBatch(b *bench) {
	const n = 2*sinks.MaxDocuments + 50
	var commits []sinks.Commit
	var ids []people.ID
	for i := range n {
		commits = append(commits, next(i, 0))
		ids = append(ids, id(i))
	}
	commits[n-5].Unique = commits[3].Unique // of two with one claim, one is refused
	results := b.commit(commits...)
	for i, err := range results {
		if i == 3 || i == n-5 {
			continue
		}
		if err != nil {
			b.Errorf("commit %d: %v", i, err)
		}
	}
	oneWins(b.T, []error{results[3], results[n-5]}, sinks.ErrTaken)
	if got, err := b.People(b.ctx, ids); err != nil || len(got) != n-1 {
		b.Errorf("%d people, %v, want %d", len(got), err, n-1)
	}
	if got := b.commit(); len(got) != 0 {
		b.Errorf("%d results of an empty batch", len(got))
	}
}

// keys returns n keys of the longest values.
func keys(n int, scheme people.Scheme) []people.Key {
	got := make([]people.Key, n)
	for i := range got {
		value := bytes.Repeat([]byte{'k'}, sinks.MaxKeyBytes)
		copy(value, fmt.Sprint(i))
		got[i] = key(scheme, string(value))
	}
	return got
}

func tooLarge(b *bench) {
	for what, enlarge := range map[string]func(*sinks.Commit){
		"profile":      func(c *sinks.Commit) { c.Profile = make([]byte, sinks.MaxProfileBytes+1) },
		"observations": func(c *sinks.Commit) { c.Observations = make([]byte, sinks.MaxDocBytes+1) },
		"history":      func(c *sinks.Commit) { c.History = make([]byte, sinks.MaxDocBytes+1) },
		"unique":       func(c *sinks.Commit) { c.Unique = keys(sinks.MaxUnique+1, people.ByUserID) },
		"records":      func(c *sinks.Commit) { c.Records = keys(sinks.MaxRecords+1, "record:ldap") },
		"documents":    func(c *sinks.Commit) { c.Records = keys(sinks.MaxDocuments, "record:ldap") },
		"lookups":      func(c *sinks.Commit) { c.Lookups = keys(sinks.MaxLookups+1, people.ByEmail) },
		"key": func(c *sinks.Commit) {
			c.Lookups = []people.Key{key(people.ByEmail, string(make([]byte, sinks.MaxKeyBytes+1)))}
		},
	} {
		c := next(1, 0)
		enlarge(&c)
		results := b.commit(c, next(2, 0))
		wantError(b.T, results[0], sinks.ErrTooLarge)
		if results[1] != nil && !errors.Is(results[1], sinks.ErrConflict) { // created in an earlier round
			b.Errorf("beside too large %s: %v", what, results[1])
		}
		wantError(b.T, b.Load(b.ctx, sinks.Fence{}, []sinks.Commit{c, next(2, 0)}), sinks.ErrTooLarge)
	}
	_, err := b.Person(b.ctx, id(1))
	wantError(b.T, err, sinks.ErrNotFound)
	b.holds(next(2, 0))
}

func largest(b *bench) {
	names := make([]string, sinks.MaxSubscribers)
	for i := range names {
		names[i] = fmt.Sprint("subscriber ", i)
	}
	b.subscribe(names...)
	// Packed bytes that do not shrink, so that none is spared.
	incompressible := func(n int) []byte {
		doc := make([]byte, n-64)
		x := uint64(88172645463325252)
		for i := range doc {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			doc[i] = byte(x >> 32)
		}
		return sinks.Pack(doc)
	}
	c := next(1, 0)
	c.Profile, c.Observations, c.History = incompressible(sinks.MaxProfileBytes), incompressible(sinks.MaxDocBytes), incompressible(sinks.MaxDocBytes)
	c.Unique, c.Records, c.Lookups = keys(sinks.MaxUnique, people.ByUserID), keys(sinks.MaxRecords, "record:ldap"), keys(sinks.MaxLookups, people.ByEmail)
	b.must(notifying(c, "create"))
	b.holds(c)
	if got, err := b.History(b.ctx, c.ID, 0); err != nil || len(got) != 1 || !bytes.Equal(got[0].Doc, c.History) {
		b.Errorf("history %d documents, %v", len(got), err)
	}
	// Every claim given up while as many others are taken.
	c.Expect, c.Revision = 1, 2
	c.Unique, c.Records = keys(sinks.MaxUnique, people.ByUsername), keys(sinks.MaxRecords, "record:hris")
	b.must(notifying(c, "update"))
	b.holds(c)
	b.leads(keys(1, people.ByUserID)[0])
	b.leads(keys(1, "record:ldap")[0])
	for _, name := range names {
		if got := b.outbox(name); len(got) != 2 {
			b.Errorf("outbox of %s: %d rows, want 2", name, len(got))
		}
	}
}

func outOfForm(b *bench) {
	for what, spoil := range map[string]func(*sinks.Commit){
		"nobody":             func(c *sinks.Commit) { c.ID = people.ID{} },
		"a leap of revision": func(c *sinks.Commit) { c.Revision = 2 },
		"no revision":        func(c *sinks.Commit) { c.Revision = 0 },
		"no profile":         func(c *sinks.Commit) { c.Profile = nil },
		"no history":         func(c *sinks.Commit) { c.History = nil },
		"a profile of the revision that was there": func(c *sinks.Commit) { c.Expect = 1 },
		"a record among the claims":                func(c *sinks.Commit) { c.Unique = c.Records },
		"a claim among the records":                func(c *sinks.Commit) { c.Records = c.Unique },
		"an empty value":                           func(c *sinks.Commit) { c.Lookups = []people.Key{{Scheme: people.ByEmail}} },
	} {
		c := next(1, 0)
		spoil(&c)
		results := b.commit(c, next(2, 0))
		wantFault(b.T, what, results[0])
		if results[1] != nil && !errors.Is(results[1], sinks.ErrConflict) {
			b.Errorf("beside %s: %v", what, results[1])
		}
	}
	if n, err := b.Count(b.ctx); err != nil || n != 1 {
		b.Errorf("count %d, %v, want 1", n, err)
	}
}

func load(b *bench) {
	b.subscribe("wiki")
	const n = 250
	var commits []sinks.Commit
	for i := range n {
		commits = append(commits, notifying(next(i, 0), "create"))
	}
	commits[7].Revision = 12 // a copy keeps its revisions
	commits[7].Profile, commits[7].History = packed("profile", id(7), 12), packed("history", id(7), 12)
	if err := b.Load(b.ctx, b.fence, nil); err != nil {
		b.Fatalf("load of nobody: %v", err)
	}
	if err := b.Load(b.ctx, b.fence, commits[:n/2]); err != nil { // and then it was killed
		b.Fatal(err)
	}
	b.must(observed(3, 1, "seen"))
	for range 2 {
		if err := b.Load(b.ctx, b.fence, commits); err != nil {
			b.Fatal(err)
		}
	}
	if count, err := b.Count(b.ctx); err != nil || count != n {
		b.Errorf("count %d, %v, want %d", count, err, n)
	}
	for _, i := range []int{0, 3, 7, n/2 - 1, n / 2, n - 1} {
		b.holds(commits[i])
		if got := b.revisions(id(i), 0); !slices.Equal(got, []int64{commits[i].Revision}) {
			b.Errorf("history %v, want %d", got, commits[i].Revision)
		}
	}
	if got := b.outbox("wiki"); len(got) != 0 {
		b.Errorf("a load wrote %d outbox rows", len(got))
	}
	b.must(next(0, 1), next(n, 0))
}

func restoreOutbox(b *bench) {
	b.subscribe("wiki")
	b.must(notifying(next(1, 0), "create"))
	rows := []sinks.OutboxRow{
		{Subscriber: "wiki", ID: id(1), Operation: "create", UserID: "another", Revision: 7},
		{Subscriber: "wiki", ID: id(2), Operation: sinks.NotifyDelete, UserID: "gone", Former: "a\nb", Revision: 3}, // nobody is there
		{Subscriber: "phonebook", ID: id(1), Operation: "update", UserID: "one", Revision: 2},                       // not on the list
	}
	for range 2 {
		if err := b.RestoreOutbox(b.ctx, b.fence, rows); err != nil {
			b.Fatal(err)
		}
	}
	wiki := slices.Clone(rows[:2])
	slices.SortFunc(wiki, func(x, y sinks.OutboxRow) int { return slices.Compare(x.ID[:], y.ID[:]) })
	if got := b.outbox("wiki"); !slices.Equal(got, wiki) {
		b.Errorf("rows %v, want %v", got, wiki)
	}
	if got := b.outbox("phonebook"); !slices.Equal(got, rows[2:]) {
		b.Errorf("rows %v, want %v", got, rows[2:])
	}
	if err := b.RestoreOutbox(b.ctx, b.fence, nil); err != nil {
		b.Error(err)
	}
	lost, err := b.Acquire(b.ctx, "a lease", "one", time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.Acquire(b.ctx, "a lease", "one", time.Minute); err != nil {
		b.Fatal(err)
	}
	wantError(b.T, b.RestoreOutbox(b.ctx, lost, rows[:1]), sinks.ErrFenced)
}

func loadParts(b *bench) {
	var commits []sinks.Commit
	for i := range 9 {
		commits = append(commits, next(i, 0))
	}
	slices.SortFunc(commits, func(x, y sinks.Commit) int { return slices.Compare(x.ID[:], y.ID[:]) })
	middle := commits[4].ID
	part := func(after, last people.ID, commits ...sinks.Commit) error {
		return b.LoadPart(b.ctx, b.fence, after, last, commits)
	}
	b.must(commits[7], commits[2])
	wantError(b.T, part(people.ID{}, middle, commits[:2]...), sinks.ErrConflict) // one is left out who is there
	for range 2 {
		if err := part(people.ID{}, middle, commits[:5]...); err != nil { // whoever comes later does not count
			b.Fatal(err)
		}
	}
	if n, err := b.Count(b.ctx); err != nil || n != 6 {
		b.Errorf("count %d, %v, want 6", n, err)
	}
	if err := part(people.ID{}, middle, commits[3:6]...); err == nil {
		b.Error("somebody who comes after the part was loaded")
	}
	if err := part(middle, sinks.LastID(), commits[4:]...); err == nil {
		b.Error("somebody who comes before the part was loaded")
	}
	wantError(b.T, part(middle, sinks.LastID()), sinks.ErrConflict)
	if err := part(commits[7].ID, sinks.LastID()); err != nil {
		b.Errorf("a part in which nobody is: %v", err)
	}
	raised := commits[7]
	raised.Revision, raised.Profile, raised.History = 4, packed("profile", raised.ID, 4), packed("history", raised.ID, 4)
	if err := part(middle, sinks.LastID(), commits[5], commits[6], raised, commits[8]); err != nil {
		b.Fatal(err)
	}
	b.holds(raised)
	if got := b.revisions(raised.ID, 0); !slices.Equal(got, []int64{1, 4}) {
		b.Errorf("history %v, want 1 and 4", got)
	}
	wantError(b.T, part(middle, sinks.LastID(), commits[5:]...), sinks.ErrConflict) // it is not lowered
	for _, i := range []int{0, 2, 4, 5, 8} {
		b.holds(commits[i])
	}
}

func loadRefused(b *bench) {
	both := []sinks.Commit{next(1, 0), next(2, 0)}
	b.must(next(3, 0))
	wantError(b.T, b.Load(b.ctx, b.fence, both), sinks.ErrConflict)
	wantError(b.T, b.Load(b.ctx, b.fence, nil), sinks.ErrConflict)
	if n, err := b.Count(b.ctx); err != nil || n != 1 {
		b.Errorf("count %d, %v, want 1", n, err)
	}
	if err := b.Load(b.ctx, b.fence, append(both, next(3, 0))); err != nil {
		b.Error(err)
	}
	b.must(next(2, 1))
	wantError(b.T, b.Load(b.ctx, b.fence, append(both, next(3, 0))), sinks.ErrConflict) // moved on meanwhile
	b.holds(next(2, 1))
	twins := []sinks.Commit{next(1, 0), next(2, 0), next(3, 0), next(4, 0)}
	twins[1].Expect, twins[1].Revision = 0, 2
	twins[3].Unique = twins[0].Unique
	wantError(b.T, b.Load(b.ctx, b.fence, twins), sinks.ErrTaken)
	wantError(b.T, b.Load(b.ctx, b.fence, []sinks.Commit{next(1, 0), next(1, 0)}), sinks.ErrConflict)
}

func cancelled(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	results, err := b.Commit(ctx, b.fence, []sinks.Commit{next(1, 0)})
	if !errors.Is(err, context.Canceled) || len(results) != 0 {
		b.Errorf("commit: %v, want the context's error", err)
	}
	if err := b.Load(ctx, b.fence, []sinks.Commit{next(1, 0)}); !errors.Is(err, context.Canceled) {
		b.Errorf("load: %v, want the context's error", err)
	}
	_, err = b.Person(b.ctx, id(1))
	wantError(b.T, err, sinks.ErrNotFound)
	b.must(next(1, 0)) // and the store is as good as before
}
