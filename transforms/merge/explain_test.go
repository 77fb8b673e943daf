package merge_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

func wordOf(e merge.Explanation, p people.Publisher) (merge.Word, bool) {
	i := slices.IndexFunc(e.Words, func(w merge.Word) bool { return w.Publisher == p })
	if i < 0 {
		return merge.Word{}, false
	}
	return e.Words[i], true
}

func TestExplain(t *testing.T) {
	ldap := says(people.LDAP, claim("first_name", "Augusta"), shown(claim("primary_email", "ada@example.org"), "staff"), claim("last_name", "King"),
		claim("usernames", keys("LDAP-posix_id=ada")), empty("pgp_public_keys"), claim("user_id", "ad|Mozilla-LDAP|ada"), claim("identities.mozilla_posix_id", "ada"))
	own := says(people.Directory, shown(claim("first_name", "Ada"), "public"), claim("usernames", keys("EA#irc=countess", "LDAP-posix_id=mine")),
		claim("staff_information.title", "Countess"), claim("identities.github_id_v4", "other"))
	hris := says(people.HRIS, claim("staff_information.title", "Analyst"))
	hub := says(people.GitHub, claim("identities.github_id_v4", "node"))
	login := says(people.AccessProvider, claim("user_id", "email|1"), unverified(claim("primary_email", "new@example.org")))
	all := evidence{ldap, own, hris}
	signed := attribute("Ada", "public")
	badly := claim("first_name", "Ada L")
	badly.Signed = &signed
	badly.Signed.Metadata.Display = "nobody"
	type words map[people.Publisher]string
	for _, c := range []struct {
		name     string
		path     people.Path
		source   people.Publisher
		stored   profile
		evidence evidence
		cleared  []people.Cleared
		protect  bool
		whose    people.Publisher
		words    words
		display  string
		outlook  string
	}{
		{name: "who may change it", path: "first_name", source: people.LDAP, evidence: all, whose: people.Directory,
			words:   words{people.Directory: merge.Updates, people.LDAP: merge.MayNotChange, people.HRIS: merge.Silent, people.AccessProvider: merge.Absent},
			outlook: "The people directory can change it by saying something else. Without the record of the people directory it would be what the LDAP directory says."},
		{name: "set when there was none", path: "last_name", source: people.LDAP, evidence: all, whose: people.LDAP,
			words: words{people.LDAP: merge.Created, people.Directory: merge.Silent}, outlook: "The people directory can change it by saying something else. Without the record of the LDAP directory there would be no value."},
		{name: "not its attribute", path: "staff_information.title", source: people.HRIS, evidence: all, whose: people.HRIS,
			words: words{people.Directory: merge.MayNotChange, people.HRIS: merge.Updates}, outlook: "The HR system can change it"},
		{name: "keys", path: "usernames", source: people.LDAP, evidence: all, whose: people.LDAP,
			words: words{people.Directory: merge.OwnsSome, people.LDAP: merge.OwnsKeys}, outlook: "Each of the LDAP directory and the people directory changes keys of its own. The access provider or GitHub could, and has no record of the person. Without the record of the LDAP directory its keys would go."},
		{name: "no record", path: "primary_email", source: people.LDAP, evidence: all, whose: people.LDAP,
			words: words{people.AccessProvider: merge.Absent, people.LDAP: merge.Created}, display: "proposed by the LDAP directory", outlook: "The access provider could, and has no record of the person."},
		{name: "unverified", path: "primary_email", source: people.LDAP, evidence: evidence{ldap, login}, whose: people.LDAP, words: words{people.AccessProvider: merge.Unverified}},
		{name: "active", path: "active", source: people.HRIS, evidence: all, whose: people.HRIS, words: words{people.LDAP: merge.NotAuthority, people.HRIS: merge.SaysHere},
			outlook: "It becomes false when the HR system says that the person has left, or has them no more. It becomes false when the access provider blocks the login."},
		{name: "blocked", path: "active", stored: profile{"active": false}, evidence: evidence{ldap, with(people.Blocked, login)}, whose: people.AccessProvider,
			words: words{people.LDAP: merge.StaysBlocked, people.AccessProvider: merge.BlocksLogin}, outlook: "access provider"},
		{name: "protected", path: "active", evidence: evidence{with(people.Gone, ldap)}, protect: true, whose: "", words: words{people.LDAP: merge.IsProtected}},
		{name: "not yet here", path: "active", source: people.LDAP, evidence: evidence{ldap, with(people.NotYet, hris)}, whose: people.LDAP, words: words{people.HRIS: merge.NotYetHere}},
		{name: "nothing said", path: "location", evidence: all, words: words{people.LDAP: merge.Silent, people.Directory: merge.Silent},
			display: "no value", outlook: "The LDAP directory or the people directory can set it by saying something."},
		{name: "emptied by another", path: "first_name", stored: profile{"first_name": nil}, evidence: evidence{ldap, says(people.Directory, empty("first_name"))},
			cleared: []people.Cleared{{Path: "first_name", Publisher: people.Directory}}, words: words{people.LDAP: merge.Cleared, people.Directory: merge.Emptied},
			outlook: "The people directory emptied it, and alone can fill it."},
		{name: "emptied map", path: "pgp_public_keys", source: people.LDAP, stored: profile{"pgp_public_keys": keys()}, evidence: all, whose: people.LDAP, words: words{people.LDAP: merge.Emptied}},
		{name: "the login", path: "user_id", source: people.LDAP, evidence: evidence{ldap, login}, whose: people.LDAP,
			words: words{people.LDAP: merge.Proves, people.AccessProvider: merge.Follows}, outlook: "The LDAP directory can change it by saying something else. The access provider could, if the LDAP directory said nothing about it."},
		{name: "a proof", path: "identities.mozilla_posix_id", source: people.LDAP, stored: profile{"identities.mozilla_posix_id": "ada"}, evidence: all, whose: people.LDAP, words: words{people.LDAP: merge.Proves}},
		{name: "a second word", path: "identities.github_id_v4", source: people.Directory, stored: profile{"identities.github_id_v4": "other"}, evidence: evidence{own, hub}, whose: people.Directory,
			words: words{people.Directory: merge.Updates, people.GitHub: merge.SecondWord}, outlook: "GitHub could, if the people directory said nothing about it."},
		{name: "a proof that is gone", path: "identities.github_id_v4", source: people.Directory, stored: profile{"identities.github_id_v4": "older"}, evidence: evidence{with(people.Gone, hub)}, whose: people.Directory,
			words: words{people.GitHub: merge.GoneProof}, outlook: "GitHub could, if its record came back."},
		{name: "signed with a wrong display", path: "first_name", source: people.LDAP, evidence: evidence{ldap, says(people.Directory, badly)}, whose: people.LDAP, words: words{people.Directory: merge.BadDisplay}},
		{name: "of another kind", path: "first_name", source: people.LDAP, evidence: evidence{says(people.Directory, people.Claim{Path: "first_name", Value: people.BoolValue(true)})}, whose: people.LDAP, words: words{people.Directory: merge.OtherKind}},
		{name: "by which people are found", path: "primary_username", source: people.CIS, evidence: evidence{says(people.Directory, empty("primary_username"))}, whose: people.CIS, words: words{people.Directory: merge.Findable}},
		{name: "once set", path: "created", source: people.LDAP, evidence: evidence{says(people.AccessProvider, claim("created", "2020-01-01T00:00:00.000Z"))}, whose: people.LDAP, words: words{people.AccessProvider: merge.Fixed}, outlook: "Nothing that any source says changes it."},
		{name: "to be taken", path: "first_name", source: people.LDAP, stored: profile{"first_name": "Augusta"}, evidence: all, whose: people.LDAP, words: words{people.Directory: merge.Pending, people.LDAP: merge.Created}},
		{name: "before another", path: "first_name", stored: profile{"first_name": nil}, evidence: evidence{ldap, says(people.AccessProvider, claim("first_name", "Bob"))}, words: words{people.LDAP: merge.Pending, people.AccessProvider: merge.Later}},
		{name: "never", path: "uuid", source: people.CIS, evidence: all, whose: people.CIS, outlook: "Nothing changes it.", display: "the only one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			have := known(profile{"first_name": "Ada", "last_name": "King", "usernames": keys("LDAP-posix_id=ada", "EA#irc=countess"), "staff_information.title": "Analyst", "primary_email": stored{"ada@example.org", "staff"}})
			for path, v := range c.stored {
				have[path] = v
			}
			in := merge.Input{ID: id, Stored: have.profile(), Evidence: c.evidence.evidence(), Catalogue: cat, Now: now, Protected: c.protect}
			in.Evidence.Cleared = c.cleared
			e, ok := merge.Explain(in, c.path, c.source)
			if !ok || e.Source != c.whose {
				t.Errorf("the word of %q, want %q", e.Source, c.whose)
			}
			for p, want := range c.words {
				if w, ok := wordOf(e, p); !ok || w.Code != want {
					t.Errorf("%s: %+v, want %s", p, w, want)
				}
			}
			if !strings.Contains(e.Outlook, c.outlook) {
				t.Errorf("outlook %q, want %q", e.Outlook, c.outlook)
			}
			if !strings.Contains(e.Display, c.display) {
				t.Errorf("display %q, want %q", e.Display, c.display)
			}
		})
	}
	in := merge.Input{ID: id, Stored: known(profile{"usernames": keys("LDAP-posix_id=ada", "EA#irc=countess")}).profile(), Evidence: all.evidence(), Catalogue: cat, Now: now}
	if e, _ := merge.Explain(in, "usernames", people.LDAP); e.Keys["EA#irc"] != people.Directory || e.Keys["LDAP-posix_id"] != people.LDAP {
		t.Errorf("keys %v", e.Keys)
	}
	if _, ok := merge.Explain(in, "shoe_size", ""); ok {
		t.Error("an attribute that is none was explained")
	}
	in.Stored = nil
	if _, ok := merge.Explain(in, "first_name", ""); ok {
		t.Error("the profile of nobody was explained")
	}
}

func attribute(v any, display string) people.Attribute {
	a := cat.Null("first_name")
	a.Value, a.Metadata.Display = value("first_name", v), display
	return a
}

// What Merge would do is what Explain says is pending, of every attribute, and
// nothing it says of a word is against what Merge does.
func TestExplainAgreesWithMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		in.Withdrawn = nil
		if in.Stored == nil {
			in.Stored = cat.NullProfile()
		}
		decisions, _ := merge.Merge(in)
		for _, attr := range cat.Attributes {
			e, ok := merge.Explain(in, attr.Path, in.Origin[attr.Path])
			if !ok {
				t.Fatalf("%s is not explained", attr.Path)
			}
			var want *people.Change
			if i := slices.IndexFunc(decisions, func(d merge.Decision) bool { return d.Path == attr.Path }); i >= 0 {
				want = &decisions[i].Change
			}
			if !reflect.DeepEqual(e.Pending, want) {
				t.Fatalf("%s: pending %+v, want %+v", attr.Path, e.Pending, want)
			}
			checkWords(t, in, e)
		}
	})
}

// After a merge whose word won, counts, and nothing is pending.
func TestExplainNamesWhoWon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, marks := merge.Merge(in)
		in.Stored, in.Evidence.Cleared, in.Withdrawn = diff.Apply(cat, in.Stored, diff.Operations(decisions), now).Profile, marks, nil
		if in.Stored == nil {
			return
		}
		again, _ := merge.Merge(in)
		for _, attr := range cat.Attributes {
			var won *merge.Decision
			source := in.Origin[attr.Path]
			if i := slices.IndexFunc(decisions, func(d merge.Decision) bool { return d.Path == attr.Path }); i >= 0 {
				won = &decisions[i]
				source = won.Source
			}
			e, _ := merge.Explain(in, attr.Path, source)
			checkWords(t, in, e)
			if e.Pending != nil && !slices.ContainsFunc(again, func(d merge.Decision) bool { return d.Path == attr.Path }) {
				t.Fatalf("%s: pending %+v", attr.Path, e.Pending)
			}
			if won == nil || e.Pending != nil {
				continue
			}
			switch w, _ := wordOf(e, won.Source); {
			case e.Content.Value.IsNull():
				if e.Source != "" {
					t.Fatalf("%s is nothing by the word of %s", e.Path, e.Source)
				}
			case won.Rule == merge.RuleComposed:
				for key, p := range e.Keys {
					if entry, _ := e.Content.Value.Lookup(key); p == "" || !attr.Owns(p, key) {
						t.Fatalf("%s: %q is said to be of %q: %v", e.Path, entry.Key, p, e.Words)
					}
				}
			case won.Rule == merge.RuleUpdater, won.Rule == merge.RuleCreator, won.Rule == merge.RuleProof, won.Rule == merge.RuleLifecycle:
				if other, _ := wordOf(e, e.Source); w.Code == merge.Agrees && (other.Code == merge.Updates || other.Code == merge.Proves) {
					continue // who has the first word said the same at once
				}
				if e.Source != won.Source || !w.Counts && w.Code != merge.NotYetHere && w.Code != merge.IsProtected {
					t.Fatalf("%v is said to be the word of %q: %+v", tell([]merge.Decision{*won}), e.Source, e.Words)
				}
			}
		}
	})
}

// checkWords holds what is said of each word against the evidence.
func checkWords(t *rapid.T, in merge.Input, e merge.Explanation) {
	if e.Outlook == "" || e.Display == "" {
		t.Fatalf("%+v", e)
	}
	attr, _ := cat.Find(e.Path)
	for _, w := range e.Words {
		o := in.Evidence.Find(w.Publisher)
		if w.Code == "" || w.Reason == "" || (w.Code == merge.Absent) != (o == nil) || (w.Says == merge.NoRecord) != (o == nil) {
			t.Fatalf("%s: %+v", e.Path, w)
		}
		same := w.Value.Equal(e.Content.Value) || w.Says == merge.SaysEmpty && e.Content.Value.IsEmpty()
		if attr.ComposedBy == "" && w.Counts && !same {
			t.Fatalf("%s: it counts, and is not what stands: %+v", e.Path, w)
		}
		if attr.ComposedBy == "" && w.Says != merge.SaysNothing && w.Says != merge.NoRecord && w.Differs() == same {
			t.Fatalf("%s: %+v stands as %v", e.Path, w, e.Content.Value)
		}
		switch w.Code { // by whom it is in the way of, there must be a record that says something
		case merge.Follows, merge.Later, merge.SecondWord, merge.StaysBlocked, merge.NotAuthority:
			if w.By == "" && w.Code == merge.NotAuthority && merge.Authority(&in.Evidence) == "" {
				break
			}
			if in.Evidence.Find(w.By) == nil || w.By == w.Publisher {
				t.Fatalf("%s: %+v, and that has no record", e.Path, w)
			}
		case merge.MayNotChange:
			if attr.Update != w.By || w.By == w.Publisher || e.Content.Value.IsNull() {
				t.Fatalf("%s: %+v", e.Path, w)
			}
		case merge.Cleared:
			if !slices.ContainsFunc(in.Evidence.Cleared, func(c people.Cleared) bool { return c.Path == e.Path && c.Publisher == w.By }) {
				t.Fatalf("%s: %+v", e.Path, w)
			}
		case merge.Pending:
			if e.Pending == nil {
				t.Fatalf("%s: %+v, and nothing is", e.Path, w)
			}
		}
	}
}

// Whoever says something else and is heard, could change it; and who could not,
// is not heard.
func TestExplainKnowsWhoCould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, marks := merge.Merge(in)
		in.Stored, in.Evidence.Cleared, in.Withdrawn = diff.Apply(cat, in.Stored, diff.Operations(decisions), now).Profile, marks, nil
		if in.Stored == nil || len(in.Evidence.Observations) == 0 {
			return
		}
		attr := rapid.SampledFrom(cat.Attributes).Draw(t, "attribute")
		p := rapid.SampledFrom(in.Evidence.Observations).Draw(t, "who").Publisher
		if attr.Path == people.Active {
			return
		}
		e, _ := merge.Explain(in, attr.Path, in.Origin[attr.Path])
		o := in.Evidence.Find(p)
		o.Claims = slices.DeleteFunc(slices.Clone(o.Claims), func(c people.Claim) bool { return c.Path == attr.Path })
		if rapid.IntRange(0, 9).Draw(t, "empty") == 0 {
			return // who could empty it is not asked
		}
		said := people.Claim{Path: attr.Path, Value: anyValue(t, attr.Kind), Since: now}
		if slices.ContainsFunc(in.Evidence.Observations, func(o people.Observation) bool { c, ok := o.Claim(attr.Path); return ok && c.Value.Equal(said.Value) }) {
			return // then it is somebody else's word, too
		}
		o.Claims = append(o.Claims, said)
		o.Sort()
		after, _ := merge.Merge(in)
		changed := slices.ContainsFunc(after, func(d merge.Decision) bool {
			return d.Path == attr.Path && d.Source == p && !d.New.Value.Equal(d.Old.Value) && (d.New.Value.Equal(said.Value) || attr.ComposedBy != "")
		})
		could := slices.ContainsFunc(e.Could, func(q merge.Possibility) bool { return q.Publisher == p && q.Needs == merge.NeedsClaim })
		if changed && !could {
			t.Fatalf("%s: %s changed it, and could not: %+v", attr.Path, p, e.Could)
		}
		fresh := said.Value.Kind() == people.String && said.Value.Text() != "" && !said.Value.Equal(e.Content.Value)
		if fresh && could && !changed {
			t.Fatalf("%s: %s said something else, and did not change it: %+v", attr.Path, p, tell(after))
		}
	})
}
