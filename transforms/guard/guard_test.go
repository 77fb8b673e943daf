package guard_test

import (
	"strings"
	"testing"

	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/people"
)

func count(class people.Class, source people.Publisher, n int64) guard.Count {
	return guard.Count{Class: class, Source: source, N: n}
}

// More than three people and more than one in a hundred of the active ones are
// not ended in one run, whoever says so.
func TestLimitOfDeactivations(t *testing.T) {
	for _, c := range []struct {
		active, deactivate, limit int64
		held                      bool
	}{
		{0, 0, 3, false},
		{0, 3, 3, false},
		{0, 4, 3, true},
		{4, 3, 3, false},
		{4, 4, 3, true},
		{399, 3, 3, false},
		{399, 4, 3, true},
		{400, 4, 4, false},
		{400, 5, 4, true},
		{499, 5, 4, true},
		{500, 5, 5, false},
		{100_000, 1000, 1000, false},
		{100_000, 1001, 1000, true},
	} {
		// Split over two sources: together they count.
		counts := []guard.Count{count(people.Update, people.LDAP, 50_000), count(people.Deactivate, people.LDAP, c.deactivate/2), count(people.Deactivate, people.HRIS, c.deactivate-c.deactivate/2)}
		holds := guard.Judge(guard.Plan{Counts: counts, Active: c.active})
		if held := len(holds) > 0; held != c.held {
			t.Errorf("%d of %d: held is %v, want %v", c.deactivate, c.active, held, c.held)
			continue
		}
		if !c.held {
			continue
		}
		h := holds[0]
		if len(holds) != 1 || h.Class != people.Deactivate || h.Source != "" || h.N != c.deactivate || h.Limit != c.limit || h.Reason == "" {
			t.Errorf("%d of %d: got %+v", c.deactivate, c.active, holds)
		}
		for _, o := range []people.Operation{{Class: people.Deactivate, Source: people.LDAP}, {Class: people.Deactivate, Source: people.HRIS}} {
			if !h.Covers(o) {
				t.Errorf("%s by %s is not held", o.Class, o.Source)
			}
		}
		for _, class := range people.Classes() {
			if class != people.Deactivate && h.Covers(people.Operation{Class: class, Source: people.LDAP}) {
				t.Errorf("%s is held too", class)
			}
		}
	}
}

func TestFirstRun(t *testing.T) {
	creations := []guard.Count{count(people.Create, people.LDAP, 1000)}
	for _, c := range []struct {
		name string
		plan guard.Plan
		says string // "" lets it through
	}{
		{"an empty vault only plans", guard.Plan{Counts: creations, Empty: true}, "first run only plans"},
		{"unless declared a first load", guard.Plan{Counts: creations, Empty: true, FirstLoad: true}, ""},
		{"of whole sources", guard.Plan{Counts: creations, Empty: true, FirstLoad: true, Incomplete: []string{"workday", "ldap"}}, "workday was not"},
		{"undeclared, and not whole", guard.Plan{Counts: creations, Empty: true, Incomplete: []string{"ldap"}}, "first run only plans"},
		{"with nothing to do there is nothing to hold", guard.Plan{Empty: true}, ""},
		{"a vault that has people needs no declaration", guard.Plan{Counts: creations, Active: 1}, ""},
		{"nor whole sources", guard.Plan{Counts: creations, Active: 1, Incomplete: []string{"ldap"}}, ""},
		{"a first load is held to the other limits", guard.Plan{Counts: []guard.Count{count(people.Deactivate, people.LDAP, 4)}, Empty: true, FirstLoad: true}, "deactivated"},
		{"and so is a declaration where somebody is", guard.Plan{Counts: []guard.Count{count(people.Deactivate, people.LDAP, 4)}, Active: 10, FirstLoad: true}, "deactivated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			holds := guard.Judge(c.plan)
			if c.says == "" {
				if len(holds) > 0 {
					t.Fatalf("held: %+v", holds)
				}
				return
			}
			if len(holds) != 1 || !strings.Contains(holds[0].Reason, c.says) {
				t.Fatalf("got %+v; want one that says %q", holds, c.says)
			}
			if everything := c.says != "deactivated"; holds[0].Covers(people.Operation{Class: people.Create, Source: people.LDAP}) != everything {
				t.Errorf("got %+v", holds[0])
			}
		})
	}
}

func TestCovers(t *testing.T) {
	o := people.Operation{Class: people.Relink, Source: people.LDAP}
	for _, c := range []struct {
		hold guard.Hold
		want bool
	}{
		{guard.Hold{}, true},
		{guard.Hold{Class: people.Relink}, true},
		{guard.Hold{Source: people.LDAP}, true},
		{guard.Hold{Class: people.Relink, Source: people.LDAP}, true},
		{guard.Hold{Class: people.Relink, Source: people.HRIS}, false},
		{guard.Hold{Class: people.Clear}, false},
		{guard.Hold{Class: people.Clear, Source: people.LDAP}, false},
	} {
		if got := c.hold.Covers(o); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.hold, got, c.want)
		}
	}
}
