package people_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
)

func TestID(t *testing.T) {
	const text = "0e8400e2-9b41-54d4-a716-44665544000a"
	id, err := people.ParseID(text)
	if err != nil || id.String() != text || id.IsZero() {
		t.Fatalf("got %v, %v", id, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), strings.Replace(text, "-", "0", 1),
		strings.Replace(text, "0", "g", 1), "{" + text + "}", strings.Repeat("-", 36)} {
		if got, err := people.ParseID(bad); err == nil || !got.IsZero() {
			t.Errorf("%q: got %v, %v", bad, got, err)
		}
	}
	for _, want := range []people.ID{id, {}} {
		b, err := json.Marshal(map[string]people.ID{"id": want})
		var got map[string]people.ID
		if err != nil || json.Unmarshal(b, &got) != nil || got["id"] != want {
			t.Errorf("%s: got %v, %v; want %v", b, got, err, want)
		}
	}
	if b, err := (people.ID{}).MarshalText(); err != nil || len(b) != 0 {
		t.Errorf("nobody is written as %q, %v", b, err)
	}
	if err := new(people.ID).UnmarshalText([]byte("jdoe")); err == nil {
		t.Error("a name was read as an id")
	}
}

func TestIDTextIsOneToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := people.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if got, err := people.ParseID(id.String()); err != nil || got != id {
			t.Fatalf("%v: got %v, %v", id, got, err)
		}
	})
}

func TestMapValue(t *testing.T) {
	given := []people.Entry{{Key: "b", Value: "1"}, {Key: "a", Null: true, Value: "ignored"}, {Key: "b", Value: "2"}, {Key: "c"}}
	before := slices.Clone(given)
	v := people.MapValue(given...)
	if got, want := v.String(), `{"a":null,"b":"2","c":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !slices.Equal(given, before) {
		t.Errorf("the caller's entries became %v", given)
	}
	if !v.Equal(people.MapValue(people.Entry{Key: "c"}, people.Entry{Key: "b", Value: "2"}, people.Entry{Key: "a", Null: true})) {
		t.Error("the order of entries matters")
	}
	if e, ok := v.Lookup("b"); !ok || e.Value != "2" {
		t.Errorf("b: got %v, %v", e, ok)
	}
	if _, ok := v.Lookup("d"); ok || v.Has("") || people.StringValue("a").Has("a") {
		t.Error("a key was found that is not there")
	}
	if v.Equal(people.MapValue(people.Entry{Key: "c"}, people.Entry{Key: "b", Value: "2"}, people.Entry{Key: "a"})) {
		t.Error("null is equal to empty text")
	}
}

func TestValue(t *testing.T) {
	for _, c := range []struct {
		name        string
		v           people.Value
		kind        people.Kind
		text, json  string
		null, empty bool
	}{
		{"zero", people.Value{}, people.Null, "", "null", true, true},
		{"plural null", people.NullValue(true), people.Null, "", "null", true, true},
		{"empty text", people.StringValue(""), people.String, "", `""`, false, true},
		{"text", people.StringValue("Ada"), people.String, "Ada", `"Ada"`, false, false},
		{"true", people.BoolValue(true), people.Bool, "true", "true", false, false},
		{"false is a value", people.BoolValue(false), people.Bool, "false", "false", false, false},
		{"empty map", people.MapValue(), people.Map, "", "{}", false, true},
		{"map", people.MapValue(people.Entry{Key: "a"}), people.Map, "", `{"a":""}`, false, false},
	} {
		if c.v.Kind() != c.kind || c.v.Text() != c.text || c.v.String() != c.json || c.v.IsNull() != c.null || c.v.IsEmpty() != c.empty {
			t.Errorf("%s: got %v %q %s %v %v", c.name, c.v.Kind(), c.v.Text(), c.v, c.v.IsNull(), c.v.IsEmpty())
		}
	}
	if !people.NullValue(true).Equal(people.NullValue(false)) || people.StringValue("").Equal(people.Value{}) || people.MapValue().Equal(people.NullValue(true)) ||
		people.StringValue("true").Equal(people.BoolValue(true)) || people.BoolValue(true).Equal(people.BoolValue(false)) {
		t.Error("what is equal is not, or what is not is")
	}
	if !people.BoolValue(true).True() || people.StringValue("true").True() || people.BoolValue(false).True() {
		t.Error("True is not that of the boolean true only")
	}
}

// Two values are equal exactly if they are written alike.
func TestEqualValuesAreEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := values().Draw(t, "v"), values().Draw(t, "w")
		if v.Equal(w) != (v.String() == w.String()) || !v.Equal(v) || v.Equal(w) != w.Equal(v) {
			t.Fatalf("%s and %s: equal is %v", v, w, v.Equal(w))
		}
	})
}

func TestProfileFindSetClone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, want := new(people.Profile), map[people.Path]people.Attribute{}
		path := rapid.SampledFrom([]people.Path{"a", "a0", "b", "a.b", "a.c", "c.a", "schema.a", "z"})
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			at, a := path.Draw(t, "path"), attributes().Draw(t, "attribute")
			before := p.Clone()
			bytesBefore := before.AppendJSON(nil)
			p.Set(at, a)
			want[at] = a
			if !bytes.Equal(before.AppendJSON(nil), bytesBefore) {
				t.Fatal("a clone changed with its original")
			}
		}
		if len(p.Attributes) != len(want) || !slices.IsSortedFunc(p.Attributes, func(x, y people.Named) int { return strings.Compare(string(x.Path), string(y.Path)) }) {
			t.Fatalf("%d attributes, want %d, sorted", len(p.Attributes), len(want))
		}
		for at, a := range want {
			if got, ok := p.Find(at); !ok || !got.Equal(a) || !p.Value(at).Equal(a.Value) {
				t.Errorf("%s: got %v, %v", at, got, ok)
			}
		}
		if _, ok := p.Find("nobody"); ok || !p.Value("nobody").IsNull() {
			t.Error("found what is not there")
		}
	})
}

func TestPathSplit(t *testing.T) {
	for _, c := range []struct{ path, container, name string }{{"first_name", "", "first_name"}, {"identities.github_id_v3", "identities", "github_id_v3"}} {
		if container, name := people.Path(c.path).Split(); container != c.container || name != c.name {
			t.Errorf("%s: got %q, %q", c.path, container, name)
		}
	}
}

func TestAttributeSame(t *testing.T) {
	a := people.Attribute{Value: people.StringValue("Ada"), Metadata: people.Metadata{Display: "staff", Verified: true, Created: "c", LastModified: "m", Classification: "PUBLIC"},
		Signature: people.Signature{Publisher: people.Mark{Value: "jws"}, Additional: []people.Mark{{}}}}
	for _, c := range []struct {
		name        string
		change      func(*people.Attribute)
		same, equal bool
	}{
		{"nothing", func(*people.Attribute) {}, true, true},
		{"value", func(b *people.Attribute) { b.Value = people.StringValue("Eve") }, false, false},
		{"display", func(b *people.Attribute) { b.Metadata.Display = "" }, false, false},
		{"verified", func(b *people.Attribute) { b.Metadata.Verified = false }, false, false},
		{"created", func(b *people.Attribute) { b.Metadata.Created = "" }, true, false},
		{"last modified", func(b *people.Attribute) { b.Metadata.LastModified = "" }, true, false},
		{"classification", func(b *people.Attribute) { b.Metadata.Classification = "" }, true, false},
		{"signature", func(b *people.Attribute) { b.Signature.Publisher.Value = "" }, true, false},
		{"additional signature", func(b *people.Attribute) { b.Signature.Additional = nil }, true, false},
	} {
		b := a
		c.change(&b)
		if a.SameContent(b) != c.same || a.Equal(b) != c.equal || people.ContentOf(a).Equal(people.ContentOf(b)) != c.same {
			t.Errorf("%s: same %v, equal %v; want %v, %v", c.name, a.SameContent(b), a.Equal(b), c.same, c.equal)
		}
	}
	null, plural := people.Attribute{}, people.Attribute{Value: people.NullValue(true)}
	if !null.SameContent(plural) || null.Equal(plural) {
		t.Error("value null and values null are the same content and not equal")
	}
}

func claims() *rapid.Generator[people.Claim] {
	return rapid.Custom(func(t *rapid.T) people.Claim {
		c := people.Claim{Path: rapid.SampledFrom([]people.Path{"a", "b", "c"}).Draw(t, "path"), Value: values().Draw(t, "value"),
			Display: rapid.SampledFrom([]string{"", "staff"}).Draw(t, "display"), Unverified: rapid.Bool().Draw(t, "unverified")}
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			c.Empty, c.Value = true, people.Value{}
		case 1:
			a := attributes().Draw(t, "signed")
			c.Signed = &a
		}
		return c
	})
}

func observations() *rapid.Generator[people.Observation] {
	return rapid.Custom(func(t *rapid.T) people.Observation {
		o := people.Observation{Publisher: rapid.SampledFrom([]people.Publisher{"ldap", "hris"}).Draw(t, "publisher"), Record: texts().Draw(t, "record"),
			Lifecycle: rapid.SampledFrom([]people.Lifecycle{people.Present, people.NotYet, people.Blocked, people.Ended, people.Gone}).Draw(t, "lifecycle"),
			Claims:    rapid.SliceOfNDistinct(claims(), 0, 3, func(c people.Claim) people.Path { return c.Path }).Draw(t, "claims"),
			SeenAt:    time.Unix(rapid.Int64Range(0, 1e9).Draw(t, "seen"), 0).UTC(), Place: texts().Draw(t, "place")}
		for range rapid.IntRange(0, 2).Draw(t, "keys") {
			o.Keys = append(o.Keys, people.Key{Scheme: rapid.SampledFrom([]people.Scheme{people.ByEmail, people.ByUserID}).Draw(t, "scheme"), Value: texts().Draw(t, "key")})
		}
		o.Sort()
		return o
	})
}

// same is what it means that two observations say the same, spelled out.
func same(a, b people.Observation) bool {
	return a.Publisher == b.Publisher && a.Record == b.Record && a.Lifecycle == b.Lifecycle && slices.Equal(a.Keys, b.Keys) &&
		slices.EqualFunc(a.Claims, b.Claims, people.Claim.Same)
}

func TestEqualContentIsEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := observations().Draw(t, "a")
		b := a
		b.Claims, b.Keys = slices.Clone(a.Claims), slices.Clone(a.Keys)
		switch other := observations().Draw(t, "other"); rapid.IntRange(0, 8).Draw(t, "change") {
		case 0:
			b = other
		case 1:
			b.Record = other.Record
		case 2:
			b.Lifecycle = other.Lifecycle
		case 3:
			b.Keys = other.Keys
		case 4:
			b.Claims = other.Claims
		case 5:
			if len(b.Claims) > 0 && len(other.Claims) > 0 {
				was := b.Claims[0].Path
				b.Claims[0] = other.Claims[0]
				b.Claims[0].Path = was
			}
		case 6:
			if len(b.Claims) > 0 {
				b.Claims[0].Value = values().Draw(t, "value")
				b.Claims[0].Empty = false
			}
		case 7:
			if len(b.Claims) > 0 {
				b.Claims[0].Unverified = !b.Claims[0].Unverified
			}
		case 8: // when and where it was seen is not what it says
			b.SeenAt, b.Place = other.SeenAt, other.Place
			for i := range b.Claims {
				b.Claims[i].Since = other.SeenAt
			}
		}
		x, y := a.AppendContent(nil), b.AppendContent(nil)
		if bytes.Equal(x, y) != same(a, b) {
			t.Fatalf("same is %v of\n%s\n%s", same(a, b), x, y)
		}
	})
}

// The order in which a source gives keys and claims is not what it says.
func TestSortedContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := observations().Draw(t, "a")
		b := a
		b.Claims = rapid.Permutation(a.Claims).Draw(t, "claims")
		b.Keys = rapid.Permutation(a.Keys).Draw(t, "keys")
		b.Sort()
		if !bytes.Equal(a.AppendContent(nil), b.AppendContent(nil)) {
			t.Fatalf("%s and %s", a.AppendContent(nil), b.AppendContent(nil))
		}
		for _, c := range a.Claims {
			if got, ok := b.Claim(c.Path); !ok || !got.Same(c) {
				t.Errorf("%s: got %v, %v", c.Path, got, ok)
			}
		}
		if _, ok := b.Claim("none"); ok {
			t.Error("found a claim that is not there")
		}
	})
}

func TestClaimSame(t *testing.T) {
	signed, other := people.Attribute{Value: people.StringValue("Ada")}, people.Attribute{Value: people.StringValue("Ada"), Metadata: people.Metadata{Created: "c"}}
	c := people.Claim{Path: "a", Value: people.StringValue("Ada"), Display: "staff", Signed: &signed, Since: time.Unix(1, 0)}
	copied := signed
	for _, x := range []struct {
		name   string
		change func(*people.Claim)
		same   bool
	}{
		{"nothing", func(*people.Claim) {}, true},
		{"when", func(d *people.Claim) { d.Since = time.Unix(2, 0) }, true},
		{"an equal signed attribute", func(d *people.Claim) { d.Signed = &copied }, true},
		{"another signed attribute", func(d *people.Claim) { d.Signed = &other }, false},
		{"no signed attribute", func(d *people.Claim) { d.Signed = nil }, false},
		{"path", func(d *people.Claim) { d.Path = "b" }, false},
		{"value", func(d *people.Claim) { d.Value = people.StringValue("Eve") }, false},
		{"empty", func(d *people.Claim) { d.Empty = true }, false},
		{"display", func(d *people.Claim) { d.Display = "" }, false},
		{"unverified", func(d *people.Claim) { d.Unverified = true }, false},
	} {
		d := c
		x.change(&d)
		if c.Same(d) != x.same || d.Same(c) != x.same {
			t.Errorf("%s: %v, want %v", x.name, c.Same(d), x.same)
		}
	}
}

func TestObservationKey(t *testing.T) {
	o := people.Observation{Keys: []people.Key{{Scheme: people.ByUserID, Value: "ad|x|jdoe"}, {Scheme: people.ByEmail, Value: "b@example.org"}, {Scheme: people.ByEmail, Value: "a@example.org"}}}
	o.Sort()
	if o.Key(people.ByUserID) != "ad|x|jdoe" || o.Key(people.ByEmail) != "a@example.org" || o.Key(people.ByUsername) != "" {
		t.Errorf("got %v", o.Keys)
	}
	if people.ByRecord(people.HRIS) != people.ByEmployeeID {
		t.Error("an employee id is not HRIS's record id")
	}
}

func TestEvidenceFind(t *testing.T) {
	e := people.Evidence{Observations: []people.Observation{{Publisher: people.HRIS}, {Publisher: people.LDAP}}}
	if o := e.Find(people.LDAP); o != &e.Observations[1] {
		t.Errorf("got %v", o)
	}
	if e.Find(people.GitHub) != nil {
		t.Error("found who said nothing")
	}
}
