package sinktest

import (
	"fmt"
	"slices"
	"strings"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// search asks for all pages and returns who is in them, in their order. Between
// two pages it calls meanwhile, if that is not nil.
func (b *bench) search(q sinks.Query, meanwhile func(page int)) (ids []people.ID) {
	b.Helper()
	for page := 0; ; page++ {
		got, err := b.Search(b.ctx, q)
		if err != nil {
			b.Fatalf("search: %v", err)
		}
		if len(got.People) > q.Limit {
			b.Fatalf("a page of %d, want at most %d", len(got.People), q.Limit)
		}
		for _, p := range got.People {
			ids = append(ids, p.ID)
			if p.Revision < 1 || p.MovedAt.IsZero() || len(p.Profile) == 0 {
				b.Errorf("search finds %s at revision %d, moved at %v, with %d bytes of profile", p.ID, p.Revision, p.MovedAt, len(p.Profile))
			}
		}
		if got.Next == "" {
			return ids
		}
		if q.After = got.Next; page > 1000 {
			b.Fatal("pages without end")
		}
		if meanwhile != nil {
			meanwhile(page)
		}
	}
}

// found checks who is found, in pages of several sizes and in any order.
func (b *bench) found(q sinks.Query, want ...people.ID) {
	b.Helper()
	slices.SortFunc(want, compareIDs)
	for _, limit := range []int{1, 3, 1000} {
		q.Limit = limit
		got := b.search(q, nil)
		slices.SortFunc(got, compareIDs)
		if !slices.Equal(got, want) {
			b.Errorf("search for %s %.40q, user_id %.40q in pages of %d finds %d people, want %d: %v, want %v", q.Fact.Scheme, q.Fact.Value, q.Login, limit, len(got), len(want), got, want)
		}
	}
}

// having returns the commit with other facts.
func having(c sinks.Commit, facts ...people.Key) sinks.Commit {
	c.Facts = facts
	return c
}

func group(name string) people.Key { return key("access_information.ldap", name) }

func searchAll(b *bench) {
	b.found(sinks.Query{})
	var commits []sinks.Commit
	var want []people.ID
	for i := range 10 {
		commits = append(commits, next(i, 0))
		want = append(want, id(i))
	}
	b.must(commits...)
	slices.SortFunc(want, compareIDs)
	for _, limit := range []int{1, 3, 10, 11} {
		if got := b.search(sinks.Query{Limit: limit}, nil); !slices.Equal(got, want) {
			b.Errorf("pages of %d find %v, want %v in this order", limit, got, want)
		}
	}
	page, err := b.Search(b.ctx, sinks.Query{Limit: 10})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range page.People {
		sameDoc(b.T, "profile", p.Profile, packed("profile", p.ID, 1))
		if stored := b.stored(p.ID); p.Revision != stored.Revision || !p.MovedAt.Equal(stored.MovedAt) || p.Observations != nil {
			b.Errorf("search finds revision %d moved at %v with %d bytes of observations, stored is %d moved at %v", p.Revision, p.MovedAt, len(p.Observations), stored.Revision, stored.MovedAt)
		}
	}
}

func searchFacts(b *bench) {
	b.must(
		having(next(1, 0), group("both"), group("one")),
		having(next(2, 0), group("both"), key("access_information.mozilliansorg", "one")),
		having(next(3, 0)),
		having(next(4, 0), group("both"), group("both")), // named twice, found once
	)
	b.found(sinks.Query{Fact: group("both")}, id(1), id(2), id(4))
	b.found(sinks.Query{Fact: group("one")}, id(1))
	b.found(sinks.Query{Fact: key("access_information.mozilliansorg", "one")}, id(2))
	b.found(sinks.Query{Fact: group("none")})
	b.found(sinks.Query{}, id(1), id(2), id(3), id(4))

	b.must(having(next(1, 1), group("new"))) // facts are replaced
	b.found(sinks.Query{Fact: group("both")}, id(2), id(4))
	b.found(sinks.Query{Fact: group("one")})
	b.found(sinks.Query{Fact: group("new")}, id(1))
	seen := observed(1, 2, "seen") // and left by observations
	seen.Facts = []people.Key{group("seen")}
	b.must(seen)
	b.found(sinks.Query{Fact: group("new")}, id(1))
	b.found(sinks.Query{Fact: group("seen")})
	b.must(having(next(1, 2)))
	b.found(sinks.Query{Fact: group("new")})
	stale := having(next(2, 5), group("stale"))
	b.refused(stale, sinks.ErrConflict)
	b.found(sinks.Query{Fact: group("stale")})
}

func searchOddFacts(b *bench) {
	values := append(slices.Clone(oddValues), strings.Repeat("x", sinks.MaxKeyBytes+1), strings.Repeat("x", 4*sinks.MaxKeyBytes), strings.Repeat("x", 4*sinks.MaxKeyBytes)+" ")
	var commits []sinks.Commit
	for i, v := range values {
		commits = append(commits, having(next(i, 0), group(v), group("all")))
	}
	// Where a scheme ends and its value begins must not be guessed.
	for i, k := range []people.Key{key("a", "b:c"), key("a:b", "c"), key("a|b", "c"), key("a", "b|c")} {
		commits = append(commits, having(next(len(values)+i, 0), k, group("all")))
	}
	b.must(commits...)
	for _, c := range commits {
		if got := b.search(sinks.Query{Fact: c.Facts[0], Limit: 5}, nil); !slices.Equal(got, []people.ID{c.ID}) {
			b.Errorf("%s %.40q finds %v, want %s", c.Facts[0].Scheme, c.Facts[0].Value, got, c.ID)
		}
	}
	if got := b.search(sinks.Query{Fact: group("all"), Limit: 7}, nil); len(got) != len(commits) {
		b.Errorf("%d people found by what all have, want %d", len(got), len(commits))
	}
}

func searchActive(b *bench) {
	is := func(c sinks.Commit, active bool) sinks.Commit {
		c.Active = active
		return having(c, group("g"))
	}
	b.must(is(next(1, 0), true), is(next(2, 0), false), is(next(3, 0), true), is(next(4, 0), false), is(next(5, 0), false))
	yes, no := true, false
	check := func(active, inactive []people.ID) {
		b.Helper()
		for _, q := range []sinks.Query{{}, {Fact: group("g")}, {Login: "ad|Example|"}} {
			q.Active = &yes
			b.found(q, active...)
			q.Active = &no
			b.found(q, inactive...)
			q.Active = nil
			b.found(q, slices.Concat(active, inactive)...)
		}
	}
	check([]people.ID{id(1), id(3)}, []people.ID{id(2), id(4), id(5)})
	b.must(is(next(1, 1), false), is(next(2, 1), true))
	b.must(observed(2, 2, "seen")) // says nothing of it
	check([]people.ID{id(2), id(3)}, []people.ID{id(1), id(4), id(5)})
	b.found(sinks.Query{Active: &yes, Fact: group("none")})
}

// oddLogins are user ids that a search by how they begin takes for one another
// where it reads them as patterns, by an alphabet, or in UTF-16.
var oddLogins = []string{
	"a", "A", "aa", "a|", "a|b", "a|c", "a%", "a%b", "a_", "a_b", "axb", "a*", "a*b", "a?", "a[b]", `a\`, `a\b`, "a ", "a b", "a'b", `a"b`, "a/b", "a.b", "a\u00e9", "ae\u0301",
	"\u00ff", "\u00ffx", "\u00ff\u00ff", "\uffff", "\uffffx", "\U0010ffff", "\U0010ffffx", "\U0010ffff\U0010ffff", "\ue000", "\U00010000", "\u007f", "\u007fx", "\u0080",
	"ad|Example|Twin", "ad|Example|twin", "ad|Example|twin ", strings.Repeat("l", sinks.MaxKeyBytes-1), strings.Repeat("l", sinks.MaxKeyBytes),
}

func searchLogin(b *bench) {
	var commits []sinks.Commit
	owners := make(map[string]people.ID)
	for i, login := range oddLogins {
		c := next(i, 0)
		c.Unique = []people.Key{key(people.ByUserID, login), key(people.ByUsername, "a|name"+login)} // a username is no user_id
		if len(c.Unique[1].Value) > sinks.MaxKeyBytes {
			c.Unique = c.Unique[:1]
		}
		commits = append(commits, c)
		owners[login] = c.ID
	}
	b.must(commits...)
	sorted := slices.Sorted(slices.Values(oddLogins))
	for _, prefix := range append([]string{"a|n", "ad", "ad|", "nobody", "\U0010fffe", strings.Repeat("l", 100)}, oddLogins...) {
		var want []people.ID
		for _, login := range sorted { // in the order of bytes
			if strings.HasPrefix(login, prefix) {
				want = append(want, owners[login])
			}
		}
		for _, limit := range []int{1, 3, 100} {
			if got := b.search(sinks.Query{Login: prefix, Limit: limit}, nil); !slices.Equal(got, want) {
				b.Errorf("user_id beginning with %.40q in pages of %d: %d people, want %d; or another order", prefix, limit, len(got), len(want))
			}
		}
	}
	// A user_id that was given up finds nobody, its successor the person.
	c := next(0, 1)
	c.Unique = []people.Key{key(people.ByUserID, "new|a")}
	b.must(c)
	b.found(sinks.Query{Login: "new|"}, id(0))
	if got := b.search(sinks.Query{Login: "a", Limit: 100}, nil); slices.Contains(got, id(0)) {
		b.Error("found by a user_id that was given up")
	}
}

// searchMeanwhile adds and removes people between the pages: those who are
// there all the time are found once each.
func searchMeanwhile(b *bench) {
	yes := true
	for round, q := range []sinks.Query{{Limit: 1}, {Limit: 3}, {Limit: 3, Fact: group("g")}, {Limit: 1, Active: &yes}, {Limit: 1, Login: "ad|"}, {Limit: 3, Login: "ad|Example|", Active: &yes}} {
		const n = 8
		at := func(i int) int { return 1000*round + i }
		of := func(i int) sinks.Commit {
			c := having(next(at(i), 0), group("g"))
			c.Active = true
			return c
		}
		var commits []sinks.Commit
		for i := range 2 * n {
			commits = append(commits, of(i))
		}
		b.must(commits...)
		gone, came := 0, 2*n
		got := b.search(q, func(page int) {
			if gone < n { // the odd ones go
				if _, err := b.Erase(b.ctx, b.fence, id(at(2*gone+1)), ""); err != nil {
					b.Fatal(err)
				}
				b.must(of(came))
				// And whoever stays may change in all else.
				c := having(next(at(2*gone), 1), group("g"), group("other"))
				c.Active = true
				b.must(c)
				gone, came = gone+1, came+1
			}
		})
		seen := make(map[people.ID]int)
		for _, id := range got {
			seen[id]++
		}
		for i := 0; i < 2*n; i += 2 {
			if seen[id(at(i))] != 1 {
				b.Errorf("round %d: who was there all the time was found %d times", round, seen[id(at(i))])
			}
		}
		for id, times := range seen {
			if times != 1 {
				b.Errorf("round %d: %s was found %d times", round, id, times)
			}
		}
	}
}

func searchRefused(b *bench) {
	b.must(next(1, 0), next(2, 0))
	first, err := b.Search(b.ctx, sinks.Query{Limit: 1})
	if err != nil || first.Next == "" {
		b.Fatalf("a page of one of two says that the next is at %q, %v", first.Next, err)
	}
	for what, q := range map[string]sinks.Query{
		"no limit":           {},
		"a negative limit":   {Limit: -1},
		"by fact and login":  {Limit: 1, Login: "ad|", Fact: group("everybody")},
		"a fact of no value": {Limit: 1, Fact: people.Key{Scheme: "access_information.ldap"}},
		"a fact of nothing":  {Limit: 1, Fact: people.Key{Value: "everybody"}},
		"no token":           {Limit: 1, After: "no token"},
	} {
		_, err := b.Search(b.ctx, q)
		wantFault(b.T, what, err)
	}
}

// bothSurvive lets writers change one person at once, each another part: all
// parts are there in the end, because whoever lost reads again.
func bothSurvive(b *bench) {
	b.must(having(next(1, 0), group("start")))
	for i, err := range at(contenders, func(i int) error {
		for {
			p, err := b.Person(b.ctx, id(1))
			if err != nil {
				return err
			}
			doc, err := sinks.Unpack(p.Profile)
			if err != nil {
				return err
			}
			c := next(1, p.Revision)
			c.Profile = sinks.Pack(fmt.Append(doc, " part ", i))
			results, err := b.Commit(b.ctx, sinks.Fence{}, []sinks.Commit{c})
			if err != nil {
				return err
			}
			if results[0] == nil {
				return nil
			}
			if !conflicts(results[0]) {
				return results[0]
			}
		}
	}) {
		if err != nil {
			b.Errorf("writer %d: %v", i, err)
		}
	}
	p := b.stored(id(1))
	doc, err := sinks.Unpack(p.Profile)
	if err != nil {
		b.Fatal(err)
	}
	for i := range contenders {
		if n := strings.Count(string(doc), fmt.Sprint(" part ", i)); n != 1 {
			b.Errorf("part %d is there %d times, want once", i, n)
		}
	}
	if p.Revision != contenders+1 || len(b.revisions(id(1), 0)) != contenders+1 {
		b.Errorf("revision %d after %d writers", p.Revision, contenders)
	}
}
