package firestore_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/transforms/people"
)

var update = flag.Bool("update", false, "write the costs into docs/firestore.md; read the difference before you keep it")

// guide is for operators. Between these lines it has what costs writes.
const (
	guide      = "../../docs/firestore.md"
	guideBegin = "<!-- costs:begin, written by go test ./sinks/firestore -run TestCosts -update -->\n"
	guideEnd   = "<!-- costs:end -->\n"
)

// An amount is what is asked of Firestore, in documents.
type amount struct{ reads, writes, deletes float64 }

func amountOf(u sinks.Usage) amount {
	return amount{float64(u.Reads), float64(u.Writes), float64(u.Deletes)}
}

func (a amount) plus(b amount) amount {
	return amount{a.reads + b.reads, a.writes + b.writes, a.deletes + b.deletes}
}

func (a amount) times(n float64) amount { return amount{a.reads * n, a.writes * n, a.deletes * n} }

// Prices are those of https://firebase.google.com/docs/firestore/pricing (nam5:
// also https://cloud.google.com/datastore/pricing) in a copy that bears no date
// and was read in November 2026; of PITR and backups in us-west1 it says
// nothing, they are assumed to relate as in nam5.
type prices struct {
	location               string
	read, write, remove    float64 // 100,000 documents
	stored, pitr, backedUp float64 // a GiB and month
}

var priceLists = [...]prices{
	{"nam5", 0.06, 0.18, 0.02, 0.18, 0.18, 0.03},
	{"us-west1", 0.03, 0.09, 0.01, 0.15, 0.15, 0.03},
}

func (p prices) of(a amount) float64 {
	return (a.reads*p.read + a.writes*p.write + a.deletes*p.remove) / 100_000
}

// What an organisation is assumed to do. The guide says it in words.
const (
	days        = 30.0
	changed     = 0.02 // of the people, by each daily sync
	asked       = 1.0  // API: profiles by user_id, a person and day
	pages       = 0.01 // API: pages of 50 people, a person and day
	audits      = 1.0  // a month
	exports     = 4.0  // a month
	keptBackups = 7.0
	// runs is what one sync asks for itself: leases, heartbeats, its journal.
	runs = 100.0
	// revisions are how many a person has after a year.
	revisions = 1 + 365*changed
)

// operations are what the guide lists, in its order.
type operations struct {
	names []string
	used  map[string]amount
}

// measured runs each operation and counts.
func measured(t *testing.T) (o operations, document, revision int) {
	d := declared(t)
	p := at(t, d.watch(t))
	ctx := t.Context()
	o.used = map[string]amount{}
	count := func(name string, f func()) {
		before := amountOf(p.Usage())
		f()
		o.names = append(o.names, name)
		o.used[name] = amountOf(p.Usage()).plus(before.times(-1))
	}
	p.must(p.Subscribers(ctx, []string{"hooks"}))
	fence, err := p.Acquire(ctx, "sync", "a test", time.Minute)
	p.must(err)
	notified := func(c sinks.Commit, operation string) sinks.Commit {
		c.Notify, c.NotifyID = operation, c.UserID()
		return c
	}
	one := somebody(1, 0)
	count("create", func() { p.commit(fence, notified(one, "create")) })
	for doc := range p.documents() {
		f := d.weigh(doc)
		switch doc.Ref.Parent.ID {
		case "people", "observations", "claims":
			document += f.document + f.index
		case "history":
			revision += f.document + f.index
		}
	}
	count("update", func() { p.commit(fence, notified(somebody(1, 1), "update")) })
	seen := somebody(1, 2)
	count("observe", func() {
		p.commit(fence, sinks.Commit{ID: one.ID, Expect: 2, Revision: 2, Observations: seen.Observations, Keys: sinks.Keys{Records: seen.Records}})
	})
	rows, err := p.Outbox(ctx, "hooks", 10)
	p.must(err)
	count("deliver", func() {
		_, err := p.Delivered(ctx, rows[0])
		p.must(err)
	})
	count("person", func() {
		_, err := p.Person(ctx, one.ID)
		p.must(err)
	})
	count("lookup", func() {
		_, err := p.Lookup(ctx, one.Unique[:1])
		p.must(err)
	})
	count("history", func() {
		_, err := p.History(ctx, one.ID, 0)
		p.must(err)
	})
	count("heartbeat", func() { p.must(p.Renew(ctx, fence, time.Minute)) })
	count("erase", func() {
		_, err := p.Erase(ctx, fence, one.ID, sinks.NotifyDelete)
		p.must(err)
	})

	// The others are of a crowd, which makes the price of one of them plain.
	const many = 100
	p = at(t, d.watch(t))
	var load []sinks.Commit
	for n := range many {
		load = append(load, somebody(n, 0))
	}
	count("load", func() { p.must(p.Load(ctx, sinks.Fence{}, load)) })
	count("moved", func() { p.must(p.Moved(ctx, p.now, func(sinks.Head) error { return nil })) })
	count("nobody moved", func() {
		p.must(p.Moved(ctx, p.now.Add(time.Hour), func(sinks.Head) error { return nil }))
	})
	count("search", func() {
		_, err := p.Search(ctx, sinks.Query{Limit: 50})
		p.must(err)
	})
	count("list", func() {
		_, err := p.List(ctx, people.ID{}, many)
		p.must(err)
	})
	count("count", func() {
		_, err := p.Count(ctx)
		p.must(err)
	})
	count("audit", func() {
		byID := map[people.ID]sinks.Keys{}
		for _, c := range load {
			byID[c.ID] = c.Keys
		}
		p.must(p.Audit(ctx, func(s sinks.Stored) (sinks.Keys, error) { return byID[s.ID], nil }, func(f sinks.Fault) error { return fmt.Errorf("a fault: %+v", f) }))
	})
	if p.Usage().Retries != 0 {
		t.Errorf("%d calls were made again, and counted twice", p.Usage().Retries)
	}
	return o, document, revision
}

// explained says what each operation is.
var explained = map[string]string{
	"create":       "`Commit` of somebody new: 2 unique keys, 2 records, 1 subscriber",
	"update":       "`Commit` of a changed attribute, with the observation that changed it, 1 subscriber",
	"observe":      "`Commit` of observations only",
	"deliver":      "`Delivered`, an outbox row",
	"person":       "`Person`",
	"lookup":       "`Lookup` of a unique key",
	"history":      "`History` of 2 revisions",
	"heartbeat":    "`Renew`, every 15 seconds of a run",
	"erase":        "`Erase` of somebody with 2 revisions, 1 outbox row, 1 subscriber",
	"load":         "`Load` of 100 people into an empty vault; under a lease one read more, and one each some 57 people",
	"moved":        "`Moved`, 100 people moved",
	"nobody moved": "`Moved`, nobody moved",
	"search":       "`Search`, a page of 50 people",
	"list":         "`List` of 100 people",
	"count":        "`Count`, up to 999 people",
	"audit":        "`Audit` of 100 people with 1 revision each",
}

// monthly is what a month of n people takes; the first entry is paid once.
func monthly(o operations, n float64) (names []string, list []amount) {
	add := func(name string, a amount) { names, list = append(names, name), append(list, a) }
	use := func(name string) amount { return o.used[name] }
	add("first load (once)", use("create").times(n))
	// Each changed person is read to propose and again to apply, told to the
	// subscriber (a row is listed and delivered), and seen by Moved the next day.
	one := use("person").times(2).plus(use("update")).plus(amount{reads: 1}).plus(use("deliver")).plus(use("moved").times(1.0 / 100))
	add("daily sync", one.times(changed*n).plus(amount{runs, runs, 0}).plus(amount{reads: n/1000 + 1}).times(days))
	add("API", use("lookup").plus(use("person")).times(asked*n).plus(use("search").times(pages*n)).times(days))
	history := amount{reads: revisions - 1}
	add("audit", use("audit").times(1.0/100).plus(history).times(n*audits))
	// Everybody's documents, and of each the history, behind which the person is read again.
	add("exports", use("list").times(1.0/100).plus(amount{reads: 1 + revisions}).times(n*exports))
	return names, list
}

// loadTime is how long writes take at the pace that Firestore asks for.
func loadTime(documents float64) time.Duration {
	since := time.Duration(0)
	for documents > 0 {
		documents -= firestore.RampAt(10_000, since)
		since += time.Second
	}
	return since
}

func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", math.Round(n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func dollars(x float64) string {
	cents := int64(math.Round(100 * x))
	return fmt.Sprintf("%s.%02d", thousands(float64(cents/100)), cents%100)
}

// costs writes the part of the guide that is computed.
func costs(o operations, document, revision int) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("### What an operation costs\n\nCounted by the test, in documents:\n")
	say("| operation | reads | writes | deletes |\n|---|--:|--:|--:|")
	for _, name := range o.names {
		a := o.used[name]
		say("| %s | %.0f | %.0f | %.0f |", explained[name], a.reads, a.writes, a.deletes)
	}
	say("| somebody who did not change, in a sync | 0 | 0 | 0 |")

	perPerson := float64(document) + revisions*float64(revision)
	say("\n### What a month costs\n\nPrices in US dollars, of 100,000 documents, and of a GiB and month:\n")
	say("| location | read | write | delete | stored | point-in-time recovery | backup |\n|---|--:|--:|--:|--:|--:|--:|")
	for _, p := range priceLists {
		say("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |", p.location, p.read, p.write, p.remove, p.stored, p.pitr, p.backedUp)
	}
	say("\nA person takes %s bytes with observations, keys and indexes, and each revision %s; after a year that is %s.", thousands(float64(document)), thousands(float64(revision)), thousands(perPerson))
	sizes := []float64{10_000, 100_000, 1_000_000}
	header := "| |"
	for _, n := range sizes {
		header += " " + thousands(n) + " people |"
	}
	for _, p := range priceLists {
		say("\nIn %s:\n\n%s\n|---|--:|--:|--:|", p.location, header)
		rows := map[string]string{}
		var order []string
		put := func(name, value string) {
			if rows[name] == "" {
				order = append(order, name)
			}
			rows[name] += " " + value + " |"
		}
		for _, n := range sizes {
			names, list := monthly(o, n)
			total := 0.0
			for i, a := range list {
				put(names[i], dollars(p.of(a)))
				if i > 0 {
					total += p.of(a)
				}
			}
			gib := n * perPerson / (1 << 30)
			for _, s := range []struct {
				name  string
				price float64
			}{{"storage", p.stored}, {"point-in-time recovery", p.pitr}, {"7 daily backups", keptBackups * p.backedUp}} {
				put(s.name, dollars(gib*s.price))
				total += gib * s.price
			}
			put("**a month**", dollars(total))
		}
		for _, name := range order {
			say("| %s |%s", name, rows[name])
		}
	}
	say("\nThe documents behind them:\n\n%s\n|---|--:|--:|--:|", header)
	names, _ := monthly(o, 1)
	for i, name := range names {
		line := ""
		for _, n := range sizes {
			_, list := monthly(o, n)
			line += fmt.Sprintf(" %s read, %s written or deleted |", thousands(list[i].reads), thousands(list[i].writes+list[i].deletes))
		}
		say("| %s |%s", name, line)
	}
	say("\n### How long a first load takes\n\nAt best, at the pace that Firestore asks for:\n\n%s\n|---|--:|--:|--:|", header)
	line := ""
	for _, n := range sizes {
		line += fmt.Sprintf(" %s |", loadTime(n*o.used["create"].writes).Round(time.Minute))
	}
	say("| first load |%s", strings.ReplaceAll(line, "m0s", " min"))
	line = ""
	for _, n := range sizes {
		line += fmt.Sprintf(" %.1f GiB |", n*perPerson/(1<<30))
	}
	say("| size after a year |%s", line)
	return b.String()
}

// TestCosts compares the guide with what operations take and what follows.
func TestCosts(t *testing.T) {
	o, document, revision := measured(t)
	for _, name := range o.names {
		if explained[name] == "" {
			t.Errorf("the guide says nothing of %s", name)
		}
	}
	b, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), guideBegin)
	was, tail, okEnd := strings.Cut(rest, guideEnd)
	if !ok || !okEnd {
		t.Fatalf("%s has no place for costs", guide)
	}
	is := "\n" + costs(o, document, revision) + "\n"
	if was == is {
		return
	}
	if !*update {
		t.Fatalf("%s does not say what things cost: run go test ./sinks/firestore -run TestCosts -update\n%s", guide, is)
	}
	if err := os.WriteFile(guide, []byte(head+guideBegin+is+guideEnd+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
