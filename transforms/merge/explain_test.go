package merge_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

func TestExplain(t *testing.T) {
	ldap := says(people.LDAP, claim("first_name", "Augusta"), shown(claim("primary_email", "ada@example.org"), "staff"), claim("usernames", keys("LDAP-posix_id=ada")), empty("pgp_public_keys"))
	own := says(people.Directory, shown(claim("first_name", "Ada"), "public"), claim("usernames", keys("EA#irc=countess", "LDAP-posix_id=mine")), claim("staff_information.title", "Countess"))
	hris := says(people.HRIS, claim("staff_information.title", "Analyst"))
	stored := known(profile{"first_name": "Ada", "usernames": keys("LDAP-posix_id=ada", "EA#irc=countess"), "staff_information.title": "Analyst", "primary_email": "ada@example.org"})
	for _, c := range []struct {
		path   people.Path
		source people.Publisher
		counts people.Publisher
		want   map[people.Publisher]string
		more   string
	}{
		{"first_name", people.Directory, people.Directory, map[people.Publisher]string{
			people.Directory: "it alone may change", people.LDAP: "only the people directory may change it", people.HRIS: "says nothing", people.AccessProvider: "no record"}, "The people directory can change it."},
		{"staff_information.title", people.HRIS, people.HRIS, map[people.Publisher]string{people.Directory: "only the HR system may change it"}, "The HR system can change it."},
		{"usernames", people.LDAP, people.LDAP, map[people.Publisher]string{people.Directory: "those are taken that are its own", people.LDAP: "taken as they are"}, "changes its own keys"},
		{"primary_email", people.LDAP, people.LDAP, map[people.Publisher]string{people.AccessProvider: "no record"}, "has no record of the person"},
		{"active", people.HRIS, people.HRIS, map[people.Publisher]string{people.LDAP: "decides nothing", people.HRIS: "says whether the person is here"}, "It follows the HR system"},
		{"location", "", "", map[people.Publisher]string{people.LDAP: "says nothing"}, "The first to say something sets it"},
	} {
		in := merge.Input{ID: id, Stored: stored.profile(), Evidence: evidence{ldap, own, hris}.evidence(), Catalogue: cat, Now: now}
		e, ok := merge.Explain(in, c.path, c.source)
		if !ok {
			t.Fatalf("%s: not explained", c.path)
		}
		for p, want := range c.want {
			i := slices.IndexFunc(e.Words, func(w merge.Word) bool { return w.Publisher == p })
			if i < 0 || !strings.Contains(e.Words[i].Reason, want) {
				t.Errorf("%s: %s: %+v, want %q", c.path, p, e.Words, want)
			}
		}
		if c.counts != "" && !slices.ContainsFunc(e.Words, func(w merge.Word) bool { return w.Publisher == c.counts && w.Counts }) {
			t.Errorf("%s: the word of %s does not count: %+v", c.path, c.counts, e.Words)
		}
		if !strings.Contains(e.Outlook, c.more) {
			t.Errorf("%s: outlook %q, want %q", c.path, e.Outlook, c.more)
		}
	}
	if e, _ := merge.Explain(merge.Input{ID: id, Stored: stored.profile(), Evidence: evidence{ldap, own}.evidence(), Catalogue: cat, Now: now}, "usernames", people.LDAP); e.Keys["EA#irc"] != people.Directory || e.Keys["LDAP-posix_id"] != people.LDAP {
		t.Errorf("keys %v", e.Keys)
	}
	if _, ok := merge.Explain(merge.Input{Stored: stored.profile(), Catalogue: cat}, "shoe_size", ""); ok {
		t.Error("an attribute that is none was explained")
	}
}

// What Merge decides, Explain gives as its reason: after a merge the word of
// whoever won counts, nobody's who lost does, everybody's word has a reason, and
// nothing is pending.
func TestExplainAgreesWithMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, marks := merge.Merge(in)
		in.Stored, in.Evidence.Cleared, in.Withdrawn = diff.Apply(cat, in.Stored, diff.Operations(decisions), now).Profile, marks, nil
		if in.Stored == nil {
			return
		}
		for _, d := range decisions {
			e, ok := merge.Explain(in, d.Path, d.Source)
			if !ok || e.Pending != nil || e.Outlook == "" || e.Display == "" {
				t.Fatalf("%s: %+v", d.Path, e)
			}
			attr, _ := cat.Find(d.Path)
			for _, w := range e.Words {
				if w.Reason == "" || (w.Says == merge.NoRecord) != (in.Evidence.Find(w.Publisher) == nil) {
					t.Fatalf("%s: %+v", d.Path, w)
				}
				different := w.Says == merge.SaysValue && !w.Value.Equal(e.Content.Value)
				if w.Counts && different && attr.ComposedBy == "" && d.Path != people.Active {
					t.Fatalf("%s: the word of %s counts, and is not what stands: %+v", d.Path, w.Publisher, e)
				}
			}
			switch d.Rule {
			case merge.RuleUpdater, merge.RuleCreator, merge.RuleProof:
				if d.New.Value.IsNull() {
					continue
				}
				if !slices.ContainsFunc(e.Words, func(w merge.Word) bool { return w.Publisher == d.Source && w.Counts }) {
					t.Fatalf("%v: does not count by %+v", tell([]merge.Decision{d}), e.Words)
				}
			}
		}
	})
}
