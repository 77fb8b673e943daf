package merge_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

func anyValue(t *rapid.T, kind people.Kind) people.Value {
	word := rapid.SampledFrom([]string{"", "a", "b", "c"})
	switch kind {
	case people.Bool:
		return people.BoolValue(rapid.Bool().Draw(t, "bool"))
	case people.Map:
		var e []people.Entry
		for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"LDAP-1", "LDAP-posix_id", "HACK#GITHUB", "EA#irc", "x"}), 0, 3, rapid.ID[string]).Draw(t, "keys") {
			e = append(e, people.Entry{Key: k, Value: word.Draw(t, "text"), Null: rapid.Bool().Draw(t, "null")})
		}
		return people.MapValue(e...)
	}
	return people.StringValue(word.Draw(t, "text"))
}

func anyAttribute(t *rapid.T, path people.Path) people.Attribute {
	attr, _ := cat.Find(path)
	a := attr.Null()
	if rapid.IntRange(0, 3).Draw(t, "null") > 0 {
		a.Value = anyValue(t, attr.Kind)
	}
	a.Metadata.Display = rapid.SampledFrom(attr.Displays).Draw(t, "display")
	a.Metadata.Verified = rapid.IntRange(0, 5).Draw(t, "verified") > 0
	return a
}

func anyProfile(t *rapid.T) *people.Profile {
	if rapid.IntRange(0, 4).Draw(t, "new") == 0 {
		return nil
	}
	p := &people.Profile{Schema: cat.SchemaURI}
	for _, attr := range cat.Attributes {
		switch rapid.IntRange(0, 5).Draw(t, string(attr.Path)) {
		case 0: // the profile lacks it
		case 1, 2, 3:
			p.Set(attr.Path, anyAttribute(t, attr.Path))
		default:
			p.Set(attr.Path, attr.Null())
		}
	}
	return p
}

var publishers = []people.Publisher{people.AccessProvider, people.GitHub, people.HRIS, people.LDAP, people.Directory}

func anyObservation(t *rapid.T, p people.Publisher) people.Observation {
	o := people.Observation{Publisher: p, Record: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "record"),
		Lifecycle: rapid.SampledFrom([]people.Lifecycle{people.Present, people.Present, people.NotYet, people.Blocked, people.Ended, people.Gone}).Draw(t, "lifecycle"),
		SeenAt:    now.Add(-time.Duration(rapid.IntRange(1, 5).Draw(t, "hours")) * time.Hour)}
	for _, attr := range cat.Attributes {
		if rapid.IntRange(0, 3).Draw(t, string(attr.Path)) > 0 {
			continue
		}
		c := people.Claim{Path: attr.Path, Display: rapid.SampledFrom([]string{"", "staff", "public"}).Draw(t, "proposed"), Unverified: rapid.IntRange(0, 5).Draw(t, "unverified") == 0}
		switch rapid.IntRange(0, 5).Draw(t, "form") {
		case 0:
			c.Empty = true
		case 1:
			if a := anyAttribute(t, attr.Path); !a.Value.IsNull() && attr.ComposedBy == "" {
				a.Signature.Publisher = people.Mark{Alg: "RS256", Typ: "JWS", Name: string(p), Value: "signed"}
				c.Value, c.Unverified, c.Signed = a.Value, !a.Metadata.Verified, &a
				break
			}
			fallthrough
		default:
			c.Value = anyValue(t, attr.Kind)
		}
		o.Claims = append(o.Claims, c)
	}
	o.Sort()
	return o
}

func anyInput(t *rapid.T) merge.Input {
	in := merge.Input{ID: id, Username: "r--x", Stored: anyProfile(t), Catalogue: cat, Now: now, Protected: rapid.Bool().Draw(t, "protected")}
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(publishers), 0, 5, rapid.ID[people.Publisher]).Draw(t, "publishers") {
		merge.Fold(&in.Evidence, anyObservation(t, p))
		if rapid.Bool().Draw(t, "first") {
			in.First = append(in.First, p)
		}
	}
	for _, p := range publishers {
		if in.Stored != nil && in.Evidence.Find(p) == nil && rapid.IntRange(0, 4).Draw(t, "withdrawn") == 0 {
			in.Withdrawn = append(in.Withdrawn, p)
		}
	}
	in.Origin = map[people.Path]people.Publisher{}
	for _, attr := range cat.Attributes {
		if rapid.Bool().Draw(t, "origin known") {
			in.Origin[attr.Path] = rapid.SampledFrom(publishers).Draw(t, "origin")
		}
	}
	for _, attr := range cat.Attributes {
		if in.Stored != nil && in.Stored.Value(attr.Path).IsNull() && rapid.IntRange(0, 5).Draw(t, "cleared") == 0 {
			in.Evidence.Cleared = append(in.Evidence.Cleared, people.Cleared{Path: attr.Path, Publisher: rapid.SampledFrom(publishers).Draw(t, "by"), At: now})
		}
	}
	return in
}

func find(p *people.Profile, path people.Path) people.Attribute {
	if p != nil {
		if a, ok := p.Find(path); ok {
			return a
		}
	}
	return cat.Null(path)
}

func TestOrderOfObservationsMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		a, marks := merge.Merge(in)
		in.Evidence.Observations = rapid.Permutation(in.Evidence.Observations).Draw(t, "order")
		b, otherMarks := merge.Merge(in)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(marks, otherMarks) {
			t.Fatalf("got\n%v\nand\n%v", tell(a), tell(b))
		}
	})
}

// What was merged once is not changed by merging it again.
func TestMergeIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, marks := merge.Merge(in)
		applied := diff.Apply(cat, in.Stored, diff.Operations(decisions), now)
		if len(applied.Moved) > 0 {
			t.Fatalf("moved: %v", applied.Moved)
		}
		for _, d := range decisions {
			if got, _ := applied.Profile.Find(d.Path); !people.ContentOf(got).Equal(d.New) {
				t.Fatalf("%s is %v, want %v", d.Path, people.ContentOf(got), d.New)
			}
		}
		in.Stored, in.Evidence.Cleared, in.Withdrawn = applied.Profile, marks, nil
		if again, after := merge.Merge(in); len(again) > 0 || !reflect.DeepEqual(after, marks) {
			t.Fatalf("merged again:\n%v\nafter\n%v", tell(again), tell(decisions))
		}
	})
}

// Every new value is what somebody claims, or what cis itself decides.
func TestMergeInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, _ := merge.Merge(in)
		for _, d := range decisions {
			cur := find(in.Stored, d.Path)
			if !people.ContentOf(cur).Equal(d.Old) {
				t.Fatalf("%s: the old content is %v, want %v", d.Path, d.Old, people.ContentOf(cur))
			}
			var said []people.Claim
			for _, o := range in.Evidence.Observations {
				if c, ok := o.Claim(d.Path); ok {
					said = append(said, c)
				}
			}
			claimed := slices.ContainsFunc(said, func(c people.Claim) bool {
				return !c.Empty && c.Value.Equal(d.New.Value) || c.Empty && d.New.Value.IsEmpty()
			})
			switch {
			case claimed || d.Rule == merge.RuleIdentity || d.Path == people.Active:
			case d.Rule == merge.RuleUnlinked: // what remains was there, and is nobody's who is gone
				for _, e := range d.New.Value.Entries() {
					if x, ok := cur.Value.Lookup(e.Key); !ok || x != e {
						t.Fatalf("nobody said %v of %s", e, d.Path)
					}
				}
				if !slices.Contains(in.Withdrawn, d.Source) || d.New.Value.Kind() != people.Map && !d.New.Value.IsNull() {
					t.Fatalf("%s: %s is linked, or %v remains", d.Path, d.Source, d.New.Value)
				}
			case d.Rule == merge.RuleDisplay:
				if !d.New.Value.Equal(cur.Value) {
					t.Fatalf("the value of %s changed with its display", d.Path)
				}
			case d.Rule == merge.RuleComposed: // keys go when their owners are heard without them
				if len(said) == 0 && len(in.Withdrawn) == 0 {
					t.Fatalf("nobody spoke of %s", d.Path)
				}
				for _, e := range d.New.Value.Entries() {
					has := func(v people.Value) bool { x, ok := v.Lookup(e.Key); return ok && x == e }
					if !has(cur.Value) && !slices.ContainsFunc(said, func(c people.Claim) bool { return has(c.Value) }) {
						t.Fatalf("nobody said %v of %s", e, d.Path)
					}
				}
			case d.New.Value.IsEmpty(): // a record that is gone gives no access
				if o := in.Evidence.Find(d.Source); o == nil || o.Lifecycle != people.Gone {
					t.Fatalf("nobody emptied %s", d.Path)
				}
			default:
				t.Fatalf("nobody said %v of %s", d.New.Value, d.Path)
			}
			displays := []string{cur.Metadata.Display, cat.Null(d.Path).Metadata.Display}
			for _, c := range said {
				displays = append(displays, c.Display)
				if c.Signed != nil {
					displays = append(displays, c.Signed.Metadata.Display)
				}
			}
			if !slices.Contains(displays, d.New.Display) {
				t.Fatalf("nobody proposed the display %q of %s", d.New.Display, d.Path)
			}
		}
	})
}

// Every change is one that the catalogue grants to who signs it, a proof, or
// the composition of keys of one's own.
func TestMergeStaysWithinAuthority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		decisions, _ := merge.Merge(in)
		for _, d := range decisions {
			attr, _ := cat.Find(d.Path)
			old := find(in.Stored, d.Path)
			// A value that somebody may create may be updated or proved at once.
			creatable := in.Stored == nil && d.Path == people.PrimaryUsername || slices.ContainsFunc(attr.Create, func(p people.Publisher) bool {
				o := in.Evidence.Find(p)
				if o == nil {
					return false
				}
				c, ok := o.Claim(d.Path)
				return ok && !c.Empty
			})
			if !attr.Allows(d.New.Display) {
				t.Fatalf("%s: the display %q is not allowed", d.Path, d.New.Display)
			}
			switch d.Rule {
			case merge.RuleProof:
				if attr.ProvenBy != d.Source || d.Publisher != people.CIS || d.New.Value.IsNull() {
					t.Fatalf("%s: no proof: %v", d.Path, tell([]merge.Decision{d}))
				}
			case merge.RuleComposed:
				if attr.ComposedBy != d.Publisher {
					t.Fatalf("%s: signed by %s", d.Path, d.Publisher)
				}
				heard := func(key string) bool {
					return slices.ContainsFunc(in.Evidence.Observations, func(o people.Observation) bool {
						_, ok := o.Claim(d.Path)
						return ok && attr.Owns(o.Publisher, key)
					})
				}
				for _, e := range slices.Concat(old.Value.Entries(), d.New.Value.Entries()) {
					x, had := old.Value.Lookup(e.Key)
					y, has := d.New.Value.Lookup(e.Key)
					withdrawn := slices.ContainsFunc(in.Withdrawn, func(p people.Publisher) bool { return attr.Owns(p, e.Key) })
					if (had != has || x != y) && !heard(e.Key) && !withdrawn {
						t.Fatalf("%s: %q changed, and no owner of it spoke", d.Path, e.Key)
					}
				}
			case merge.RuleUnlinked:
				if !slices.Contains(in.Withdrawn, d.Source) {
					t.Fatalf("%s: %s is linked", d.Path, d.Source)
				}
			default:
				next := old
				if withdrawn := len(in.Withdrawn) > 0 && !old.Value.IsNull(); withdrawn && d.Rule == merge.RuleCreator {
					old.Value = cat.Null(d.Path).Value
				}
				if d.Rule == merge.RuleUpdater && creatable {
					old.Value = people.StringValue("created by another")
				}
				next.Value, next.Metadata.Display, next.Metadata.Verified = d.New.Value, d.New.Display, d.New.Verified
				if err := cat.Judge(d.Publisher, d.Path, old, next); err != nil {
					t.Fatalf("%v: %v", tell([]merge.Decision{d}), err)
				}
			}
			for _, c := range in.Evidence.Cleared {
				if c.Path == d.Path && c.Path != people.UserID && d.Rule == merge.RuleCreator && d.Source != c.Publisher && !slices.Contains(in.Withdrawn, c.Publisher) {
					t.Fatalf("%s filled what %s emptied", d.Source, c.Publisher)
				}
			}
			if d.Path == people.Active && d.Source != merge.Authority(&in.Evidence) && d.Source != people.AccessProvider {
				t.Fatalf("%s decides who is active", d.Source)
			}
			if in.Protected && d.Class == people.Deactivate && in.Evidence.Find(d.Source).Lifecycle == people.Gone {
				t.Fatal("absence ended somebody protected")
			}
		}
	})
}

// Whether all are heard at once, or one group after the other with a merge after
// each, the same comes out wherever somebody has the last word: an attribute
// whose updater speaks, a map of which each owner has keys. (Where
// the updater is silent, who creates a value first has created it.)
func TestGroupingOfArrivalsMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []people.Observation
		for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(publishers), 1, 5, rapid.ID[people.Publisher]).Draw(t, "publishers") {
			o := anyObservation(t, p)
			for i := range o.Claims { // of an address that is not verified the order is the point
				o.Claims[i].Unverified = o.Claims[i].Unverified && o.Claims[i].Path != people.PrimaryEmail
				if a := o.Claims[i].Signed; a != nil {
					a.Metadata.Verified = !o.Claims[i].Unverified
				}
			}
			all = append(all, o)
		}
		arrive := func(groups [][]people.Observation) *people.Profile {
			in := merge.Input{ID: id, Username: "r--x", Catalogue: cat, Now: now}
			for _, g := range groups {
				for _, o := range g {
					merge.Fold(&in.Evidence, o)
				}
				decisions, marks := merge.Merge(in)
				in.Stored, in.Evidence.Cleared = diff.Apply(cat, in.Stored, diff.Operations(decisions), now).Profile, marks
			}
			return in.Stored
		}
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		order := rapid.Permutation(all).Draw(t, "order")
		groups := [][]people.Observation{order}
		if cut > 0 && cut < len(order) {
			groups = [][]people.Observation{order[:cut], order[cut:]}
		}
		once, parts := arrive([][]people.Observation{all}), arrive(groups)
		for _, attr := range cat.Attributes {
			spoken := attr.ComposedBy != "" || slices.ContainsFunc(all, func(o people.Observation) bool {
				c, ok := o.Claim(attr.Path)
				return ok && o.Publisher == attr.Update && o.Lifecycle != people.Gone && !c.Empty && !c.Value.IsEmpty() &&
					(attr.MayCreate(o.Publisher) || attr.Path == people.UserID)
			})
			if attr.Path == people.UserID || !spoken {
				continue
			}
			if a, b := find(once, attr.Path), find(parts, attr.Path); !a.Value.Equal(b.Value) {
				t.Fatalf("%s is %v, and in parts %v", attr.Path, a.Value, b.Value)
			}
		}
	})
}

// content is what the evidence says, without dates.
func content(e *people.Evidence) []byte {
	var b []byte
	for i := range e.Observations {
		b = append(e.Observations[i].AppendContent(b), '\n')
	}
	return b
}

// Whoever is heard first, the same is known in the end; of one publisher what
// was seen last is known, whatever is folded last.
func TestOrderOfFoldsMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []people.Observation
		newest := map[people.Publisher]people.Observation{}
		for _, p := range publishers {
			for i := range rapid.IntRange(0, 3).Draw(t, "n") {
				o := anyObservation(t, p)
				o.SeenAt = at(i) // no two of a publisher at once
				all = append(all, o)
				newest[p] = o
			}
		}
		var a, b people.Evidence
		for _, o := range all {
			merge.Fold(&a, o)
		}
		for _, o := range rapid.Permutation(all).Draw(t, "order") {
			merge.Fold(&b, o)
		}
		if !bytes.Equal(content(&a), content(&b)) {
			t.Fatalf("got\n%s\nand\n%s", content(&a), content(&b))
		}
		if len(b.Observations) != len(newest) || !slices.IsSortedFunc(b.Observations, func(x, y people.Observation) int { return bytes.Compare([]byte(x.Publisher), []byte(y.Publisher)) }) {
			t.Fatalf("%d observations of %d publishers", len(b.Observations), len(newest))
		}
		for p, want := range newest {
			if got := b.Find(p); !bytes.Equal(got.AppendContent(nil), want.AppendContent(nil)) {
				t.Fatalf("%s: got %s, want %s", p, got.AppendContent(nil), want.AppendContent(nil))
			}
		}
		for _, o := range all { // and again
			if merge.Fold(&b, o) {
				t.Fatalf("an observation of %s at %v was folded twice", o.Publisher, o.SeenAt)
			}
		}
	})
}
