package diff_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

var (
	cat = catalogue.Default()
	now = time.Date(2026, 3, 5, 9, 0, 0, 0, time.FixedZone("", 3600))
)

// stamp is how now is written.
const stamp = "2026-03-05T08:00:00.000Z"

func text(s string) people.Content {
	return people.Content{Value: people.StringValue(s), Verified: true}
}

func change(path people.Path, from, to people.Content, by people.Publisher) people.Change {
	return people.Change{Path: path, Old: from, New: to, Publisher: by}
}

func operation(class people.Class, changes ...people.Change) people.Operation {
	return people.Operation{Class: class, Source: changes[0].Publisher, Changes: changes}
}

var nothing = people.Content{Verified: true}

// ada is somebody whose attributes the older system wrote: all of them signed,
// with dates in its forms.
func ada() *people.Profile {
	p := cat.NullProfile()
	for path, v := range map[people.Path]people.Value{
		"user_id": people.StringValue("ad|Mozilla-LDAP|ada"), "first_name": people.StringValue("Ada"), "fun_title": people.StringValue("Countess"),
		people.Active: people.BoolValue(true), people.LastModified: people.StringValue("2019-01-01T:10:00:00.000Z"),
	} {
		a, _ := p.Find(path)
		a.Value = v
		a.Metadata.Created, a.Metadata.LastModified = "1970-01-01T00:00:00Z", "2019-01-01T:10:00:00.000Z"
		a.Signature.Publisher.Value = "older"
		p.Set(path, a)
	}
	return p
}

func lines(ops []people.Operation) []string {
	var out []string
	for _, o := range ops {
		var paths []string
		for _, c := range o.Changes {
			paths = append(paths, string(c.Path))
		}
		out = append(out, fmt.Sprintf("%s %s: %s", o.Class, o.Source, strings.Join(paths, " ")))
	}
	return out
}

func TestOperations(t *testing.T) {
	d := func(class people.Class, source people.Publisher, path people.Path) merge.Decision {
		return merge.Decision{Change: people.Change{Path: path, Publisher: people.CIS}, Class: class, Source: source}
	}
	for _, c := range []struct {
		name string
		in   []merge.Decision
		want []string
	}{
		{"nothing", nil, nil},
		{"by class and source, in the order of reports", []merge.Decision{
			d(people.Clear, people.LDAP, "access_information.ldap"), d(people.Deactivate, people.HRIS, "active"), d(people.Update, people.LDAP, "ssh_public_keys"),
			d(people.Update, people.HRIS, "staff_information.team"), d(people.Update, people.LDAP, "usernames"), d(people.Relink, people.LDAP, "user_id"), d(people.Reactivate, people.LDAP, "x")},
			[]string{"update hris: staff_information.team", "update ldap: ssh_public_keys usernames", "deactivate hris: active", "reactivate ldap: x", "relink ldap: user_id", "clear ldap: access_information.ldap"}},
		{"a creation is one operation, of who claims the user_id", []merge.Decision{
			d(people.Create, people.HRIS, "active"), d(people.Create, people.CIS, "created"), d(people.Create, people.HRIS, "staff_information.team"), d(people.Create, people.LDAP, "user_id"), d(people.Create, people.CIS, "uuid")},
			[]string{"create ldap: active created staff_information.team user_id uuid"}},
		{"or of cis, if nobody does", []merge.Decision{d(people.Create, people.HRIS, "active")}, []string{"create cis: active"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lines(diff.Operations(c.in)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	stored := ada()
	before := string(stored.AppendJSON(nil))
	got := diff.Apply(cat, stored, []people.Operation{operation(people.Update,
		change("fun_title", text("Countess"), people.Content{Value: people.StringValue("Enchantress"), Display: "staff", Verified: true}, people.Directory),
		change("pronouns", nothing, text("she"), people.LDAP)),
	}, now)
	if string(stored.AppendJSON(nil)) != before {
		t.Error("the stored profile changed")
	}
	if len(got.Done) != 1 || len(got.Moved) != 0 {
		t.Fatalf("done %v, moved %v", lines(got.Done), lines(got.Moved))
	}
	if want := []people.Path{"fun_title", "pronouns", "last_modified", "active"}; !slices.Equal(got.Changed, want) {
		t.Errorf("to be signed: %v, want %v", got.Changed, want)
	}
	if want := []people.Publisher{people.Directory, people.LDAP, people.CIS, people.CIS}; !slices.Equal(got.Publishers, want) {
		t.Errorf("signed by %v, want %v", got.Publishers, want)
	}
	for _, c := range []struct {
		path people.Path
		want people.Attribute
	}{
		{"fun_title", people.Attribute{Value: people.StringValue("Enchantress"),
			Metadata:  people.Metadata{Classification: "WORKGROUP CONFIDENTIAL", Created: "1970-01-01T00:00:00.000Z", LastModified: stamp, Display: "staff", Verified: true},
			Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "mozilliansorg"}}}},
		{"pronouns", people.Attribute{Value: people.StringValue("she"),
			Metadata:  people.Metadata{Classification: "WORKGROUP CONFIDENTIAL", Created: stamp, LastModified: stamp, Verified: true},
			Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "ldap"}}}},
		{"last_modified", people.Attribute{Value: people.StringValue(stamp),
			Metadata:  people.Metadata{Classification: "PUBLIC", Created: "1970-01-01T00:00:00.000Z", LastModified: stamp, Verified: true},
			Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "cis"}}}},
		{"active", people.Attribute{Value: people.BoolValue(true),
			Metadata:  people.Metadata{Classification: "WORKGROUP CONFIDENTIAL", Created: "1970-01-01T00:00:00.000Z", LastModified: "2019-01-01T10:00:00.000Z", Verified: true},
			Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "cis"}}}},
	} {
		c.want.Signature.Additional = cat.Null(c.path).Signature.Additional
		if a, _ := got.Profile.Find(c.path); !a.Equal(c.want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.path, a, c.want)
		}
	}
	for _, n := range got.Profile.Attributes {
		if was, _ := stored.Find(n.Path); !slices.Contains(got.Changed, n.Path) && !n.Equal(was) {
			t.Errorf("%s changed", n.Path)
		}
	}
}

func TestApplyToSomebodyNew(t *testing.T) {
	got := diff.Apply(cat, nil, []people.Operation{operation(people.Create, change("user_id", nothing, text("ad|Mozilla-LDAP|eve"), people.LDAP),
		change("active", nothing, people.Content{Value: people.BoolValue(true), Verified: true}, people.CIS))}, now)
	if want := []people.Path{"user_id", "active", "last_modified"}; !slices.Equal(got.Changed, want) {
		t.Errorf("to be signed: %v, want %v", got.Changed, want)
	}
	if faults := cat.Check(got.Profile); len(faults) > 0 || len(got.Profile.Attributes) != len(cat.Attributes) {
		t.Errorf("not a profile: %v", faults)
	}
	if got := diff.Apply(cat, nil, nil, now); len(got.Changed) != 0 || !got.Profile.Value(people.LastModified).IsNull() {
		t.Error("nothing was applied, and something was written")
	}
}

func TestApplyClear(t *testing.T) {
	got := diff.Apply(cat, ada(), []people.Operation{operation(people.Clear, change("fun_title", text("Countess"), nothing, people.Directory))}, now)
	a, _ := got.Profile.Find("fun_title")
	if slices.Contains(got.Changed, "fun_title") || !a.Value.IsNull() || a.Signature.Publisher.Value != "" || a.Metadata.LastModified != stamp {
		t.Errorf("got %+v, to be signed %v", a, got.Changed)
	}
}

func TestApplyForeignSignature(t *testing.T) {
	signed := cat.Null("pronouns")
	signed.Value, signed.Metadata.Created = people.StringValue("she"), "2019-01-01T:10:00:00.000Z"
	signed.Signature = people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "mozilliansorg", Value: "a.b.c"}, Additional: []people.Mark{{Value: "x"}}}
	active := cat.Null("active")
	active.Value, active.Signature.Publisher = people.BoolValue(false), people.Mark{Alg: "RS256", Typ: "JWS", Name: "access_provider", Value: "d.e.f"}
	of := func(a people.Attribute, path people.Path, old people.Content) people.Change {
		return people.Change{Path: path, Old: old, New: people.ContentOf(a), Publisher: people.Directory, Signed: &a}
	}
	got := diff.Apply(cat, ada(), []people.Operation{operation(people.Update, of(signed, "pronouns", nothing), of(active, "active", people.Content{Value: people.BoolValue(true), Verified: true}))}, now)
	if a, _ := got.Profile.Find("pronouns"); !a.Equal(signed) {
		t.Errorf("not verbatim: %+v", a)
	}
	if want := []people.Path{"last_modified", "active"}; !slices.Equal(got.Changed, want) || got.Profile.Value("active").True() {
		t.Errorf("to be signed: %v, want %v: active is always cis's", got.Changed, want)
	}
}

func TestMoved(t *testing.T) {
	title := func(to string) people.Change {
		return change("fun_title", text("Countess"), text(to), people.Directory)
	}
	for _, c := range []struct {
		name        string
		ops         []people.Operation
		done, moved []string
		title       string
	}{
		{"as the plan saw it", []people.Operation{operation(people.Update, title("Enchantress"))}, []string{"update mozilliansorg: fun_title"}, nil, "Enchantress"},
		{"already as it should be", []people.Operation{operation(people.Update, change("fun_title", text("old"), text("Countess"), people.Directory))}, []string{"update mozilliansorg: fun_title"}, nil, "Countess"},
		{"something else", []people.Operation{operation(people.Update, change("fun_title", text("old"), text("new"), people.Directory))}, nil, []string{"update mozilliansorg: fun_title"}, "Countess"},
		{"only its display", []people.Operation{operation(people.Update, change("fun_title", people.Content{Value: people.StringValue("Countess"), Display: "staff", Verified: true}, text("new"), people.Directory))},
			nil, []string{"update mozilliansorg: fun_title"}, "Countess"},
		{"one of two: the operation is left whole", []people.Operation{operation(people.Update, title("Enchantress"), change("first_name", text("Augusta"), text("Adele"), people.Directory))},
			nil, []string{"update mozilliansorg: fun_title first_name"}, "Countess"},
		{"another operation goes on", []people.Operation{operation(people.Update, title("Enchantress")), operation(people.Relink, change("user_id", text("ad|Mozilla-LDAP|other"), text("x"), people.CIS))},
			[]string{"update mozilliansorg: fun_title"}, []string{"relink cis: user_id"}, "Enchantress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stored := ada()
			got := diff.Apply(cat, stored, c.ops, now)
			if !slices.Equal(lines(got.Done), c.done) || !slices.Equal(lines(got.Moved), c.moved) || got.Profile.Value("fun_title").Text() != c.title {
				t.Errorf("done %v, moved %v, title %q", lines(got.Done), lines(got.Moved), got.Profile.Value("fun_title").Text())
			}
			if len(c.done) == 0 && (string(got.Profile.AppendJSON(nil)) != string(stored.AppendJSON(nil)) || len(got.Changed) > 0) {
				t.Error("nothing was done, and something was written")
			}
		})
	}
}

// A profile may lack any attribute: what is not there is null.
func TestApplyToAPartialProfile(t *testing.T) {
	partial := &people.Profile{Schema: "s"}
	got := diff.Apply(cat, partial, []people.Operation{operation(people.Update, change("pronouns", nothing, text("she"), people.LDAP))}, now)
	if want := []people.Path{"pronouns", "last_modified"}; !slices.Equal(got.Changed, want) || got.Profile.Value(people.LastModified).Text() != stamp {
		t.Errorf("to be signed: %v, want %v", got.Changed, want)
	}
	if _, ok := got.Profile.Find(people.Active); ok {
		t.Error("nobody said whether they are active")
	}
	if faults := cat.Check(got.Profile); len(faults) > 0 {
		t.Error(faults)
	}
	got = diff.Apply(cat, partial, []people.Operation{operation(people.Update, change("pronouns", text("they"), text("she"), people.LDAP))}, now)
	if len(got.Moved) != 1 || len(got.Profile.Attributes) != 0 {
		t.Errorf("the attribute that the plan saw is gone: got %v", got)
	}
	null := ada()
	a, _ := null.Find(people.Active)
	a.Value = people.Value{}
	null.Set(people.Active, a)
	if got := diff.Apply(cat, null, []people.Operation{operation(people.Update, change("pronouns", nothing, text("she"), people.LDAP))}, now); slices.Contains(got.Changed, people.Active) {
		t.Error("null is to be signed")
	}
}

// Whatever the dates of what is stored look like, what needs a signature can
// be signed; and applying the same again finds it done.
func TestWhatIsAppliedCanBeSigned(t *testing.T) {
	signer, err := sign.NewSigner("k", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	dates := rapid.SampledFrom([]string{"", "1970-01-01T00:00:00Z", "2019-01-01T:10:00:00.000Z", "2019-02-27T11:23:00.123999+00:00", "2019-02-27 11:23:00", "20190227112300Z", "never", stamp})
	paths := []people.Path{"first_name", "fun_title", "pronouns", people.Active, people.LastModified, "user_id"}
	rapid.Check(t, func(t *rapid.T) {
		stored := ada()
		for _, path := range paths {
			a, _ := stored.Find(path)
			a.Metadata.Created, a.Metadata.LastModified = dates.Draw(t, "created"), dates.Draw(t, "modified")
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				a.Value = people.Value{}
			}
			stored.Set(path, a)
		}
		var changes []people.Change
		for _, path := range paths[:3] {
			if rapid.Bool().Draw(t, "changes") {
				a, _ := stored.Find(path)
				changes = append(changes, change(path, people.ContentOf(a), text(rapid.SampledFrom([]string{"", "new"}).Draw(t, "new")), people.LDAP))
			}
		}
		if len(changes) == 0 {
			return
		}
		ops := []people.Operation{operation(people.Update, changes...)}
		got := diff.Apply(cat, stored, ops, now)
		for i, path := range got.Changed {
			a, _ := got.Profile.Find(path)
			if _, err := sign.Attribute(context.Background(), signer, got.Publishers[i], people.ID{1}, path, a); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		again := diff.Apply(cat, got.Profile, ops, now)
		if len(again.Moved) > 0 || string(again.Profile.AppendJSON(nil)) != string(got.Profile.AppendJSON(nil)) {
			t.Fatalf("applied again: moved %v", lines(again.Moved))
		}
	})
}

func TestProfiles(t *testing.T) {
	p := ada()
	q := p.Clone()
	put := func(path people.Path, v people.Value) {
		a, _ := q.Find(path)
		a.Value = v
		q.Set(path, a)
	}
	put("fun_title", people.Value{})
	put("pronouns", people.StringValue("she"))
	put(people.LastModified, people.StringValue(stamp))
	a, _ := q.Find("first_name")
	a.Metadata.Created, a.Signature.Publisher.Value = "other", "other"
	q.Set("first_name", a)
	q.Set("shoe_size", people.Attribute{})
	paths := func(a, b *people.Profile) (out []people.Path) {
		for _, d := range diff.Profiles(a, b) {
			out = append(out, d.Path)
		}
		return out
	}
	if got, want := paths(p, q), []people.Path{"fun_title", "pronouns"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d := diff.Profiles(p, q)[0]; d.Old.Value.Text() != "Countess" || !d.New.Value.IsNull() {
		t.Errorf("got %v", d)
	}
	if got, want := paths(nil, p), []people.Path{"active", "first_name", "fun_title", "user_id"}; !slices.Equal(got, want) || !slices.Equal(paths(p, nil), want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if paths(nil, nil) != nil || paths(p, p) != nil {
		t.Error("the same differs")
	}
}
