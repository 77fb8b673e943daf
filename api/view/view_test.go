package view_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/api/view"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

var containers = []string{"access_information", "identities", "staff_information"}

// sees is the filter once more, as the contract says it and not as the package
// does it.
func sees(scopes []string, filterDisplay *string, class string, display *string) bool {
	has := func(s string) bool { return slices.Contains(scopes, s) }
	byClass := class == "PUBLIC" || has("read:fullprofile") ||
		class == "MOZILLA CONFIDENTIAL" && has("classification:mozilla_confidential") ||
		class == "WORKGROUP CONFIDENTIAL" && has("classification:workgroup") ||
		class == "WORKGROUP CONFIDENTIAL: STAFF ONLY" && has("classification:workgroup:staff_only") ||
		class == "INDIVIDUAL CONFIDENTIAL" && has("classification:individual")
	byDisplay := has("display:all")
	switch {
	case display == nil:
		byDisplay = byDisplay || has("display:none")
	case *display == "public":
		byDisplay = true
	case *display == "private":
	default:
		byDisplay = byDisplay || has("display:"+*display)
	}
	asked := true
	if filterDisplay != nil {
		audience := []string{"public", "authenticated", "vouched", "ndaed", "staff", "private"}
		upTo := max(0, slices.Index(audience, *filterDisplay))
		asked = display != nil && slices.Contains(audience[:upTo+1], *display)
	}
	return byClass && byDisplay && asked
}

var (
	classWords   = []string{"PUBLIC", "MOZILLA CONFIDENTIAL", "WORKGROUP CONFIDENTIAL", "WORKGROUP CONFIDENTIAL: STAFF ONLY", "INDIVIDUAL CONFIDENTIAL"}
	displayWords = []string{"public", "authenticated", "vouched", "ndaed", "staff", "private", ""}
	scopeWords   = []string{
		"read:fullprofile", "display:all", "classification:mozilla_confidential", "classification:workgroup:staff_only",
		"classification:workgroup", "classification:individual", "display:authenticated", "display:vouched", "display:ndaed",
		"display:staff", "display:none", "classification:public", "display:public", "display:private", "search:all", "write",
	}
	filterWords = []string{"", "public", "authenticated", "vouched", "ndaed", "staff", "private", "bogus"} // "" is none
)

// Every subset of the scopes, every filterDisplay, every class and display.
func TestEverySubset(t *testing.T) {
	for set := range 1 << len(scopeWords) {
		var scopes []string
		for i, s := range scopeWords {
			if set>>i&1 == 1 {
				scopes = append(scopes, s)
			}
		}
		for _, f := range filterWords {
			grant, asked := view.Of(scopes), (*string)(nil)
			if f != "" {
				grant, asked = grant.Narrowed(f), &f
			}
			for _, class := range classWords {
				for _, display := range displayWords {
					shown := &display
					if display == "" {
						shown = nil
					}
					if got, want := grant.Sees(class, display), sees(scopes, asked, class, shown); got != want {
						t.Fatalf("%v, filterDisplay %q: %s shown to %q is seen %v, want %v", scopes, f, class, display, got, want)
					}
				}
			}
		}
	}
}

func TestUnknownWords(t *testing.T) {
	all := view.Of([]string{"read:fullprofile", "display:all"})
	if !all.Sees("SECRET", "friends") {
		t.Error("whom no filter holds back does not see an unknown class")
	}
	if view.Of(scopeWords[1:]).Sees("SECRET", "public") || view.Of(scopeWords[2:]).Sees("PUBLIC", "friends") || all.Narrowed("private").Sees("PUBLIC", "friends") {
		t.Error("an unknown class or display is seen")
	}
}

// profiles makes random profiles of the catalogue's attributes.
func profiles(t *rapid.T) *people.Profile {
	cat := catalogue.Default()
	p := &people.Profile{Schema: "https://example.org/schema"}
	for _, a := range cat.Attributes {
		if rapid.Bool().Draw(t, "there") {
			null := a.Null()
			null.Metadata.Classification = rapid.SampledFrom(classWords).Draw(t, "class")
			null.Metadata.Display = rapid.SampledFrom(displayWords).Draw(t, "display")
			if a.Kind == people.String {
				null.Value = people.StringValue(rapid.StringN(0, 5, 20).Draw(t, "value"))
			} else if a.Kind == people.Map {
				null.Value = people.MapValue(people.Entry{Key: rapid.StringN(1, 5, 20).Draw(t, "key"), Value: rapid.SampledFrom([]string{`"`, `\`, `\"`, "{", "}", `{"metadata":{"classification":`, ","}).Draw(t, "entry")})
			}
			if rapid.IntRange(0, 20).Draw(t, "odd") == 0 {
				null.Metadata.Created = rapid.SampledFrom([]string{"", `a"b`, `\`, "é"}).Draw(t, "created")
			}
			null.Signature.Publisher.Value = rapid.SampledFrom([]string{"", "a.b.c", `}"{`}).Draw(t, "signature")
			p.Set(a.Path, null)
		}
	}
	return p
}

// What is seen of a profile is what the contract says, as JSON too; the
// containers and the schema stay.
func TestProfile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := profiles(t)
		scopes := rapid.SliceOfDistinct(rapid.SampledFrom(scopeWords), rapid.ID).Draw(t, "scopes")
		f := rapid.SampledFrom(filterWords).Draw(t, "filterDisplay")
		grant, asked := view.Of(scopes), (*string)(nil)
		if f != "" {
			grant, asked = grant.Narrowed(f), &f
		}
		before := p.AppendJSON(nil)
		doc, err := view.Read(before)
		if err != nil {
			t.Fatal(err)
		}
		served := doc.Append(nil, grant, nil, containers)
		for _, n := range p.Attributes {
			if a, err := doc.Attribute(n.Path); err != nil || !bytes.Equal(a.AppendJSON(nil, true), n.Attribute.AppendJSON(nil, true)) {
				t.Fatalf("%s is read as %s, %v", n.Path, a.AppendJSON(nil, true), err)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(served, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"schema": p.Schema}
		for _, c := range containers {
			want[c] = map[string]any{}
		}
		for _, n := range p.Attributes {
			display := &n.Metadata.Display
			if *display == "" {
				display = nil
			}
			if !sees(scopes, asked, n.Metadata.Classification, display) {
				continue
			}
			var a any
			if err := json.Unmarshal(n.Attribute.AppendJSON(nil, true), &a); err != nil {
				t.Fatal(err)
			}
			if c, name := n.Path.Split(); c != "" {
				want[c].(map[string]any)[name] = a
			} else {
				want[name] = a
			}
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Fatalf("served %s\nwant   %s", a, b)
		}
		if again, err := people.ParseProfile(served); err != nil || !strings.Contains(string(served), `"schema"`) {
			t.Fatal(err, again)
		}
	})
}

// A profile in canonical form is read as the parser reads it: to whom everything
// is shown, it is shown as it is.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"s","uuid":{"metadata":{"classification":"PUBLIC","created":null,"display":"public","last_modified":null,"verified":true},"signature":{"additional":[],"publisher":{"alg":"","name":null,"typ":"","value":""}},"value":"x"}}`))
	f.Add([]byte(`{ "uuid": {"value": "x"}, "identities": {"custom_1": {"values": {"{": "}"}}}}`))
	f.Add([]byte(`{"identities":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := people.ParseProfile(b)
		if err == nil {
			d, err := view.Read(p.AppendJSON(nil))
			if err != nil {
				t.Fatal(err)
			}
			all := view.Of([]string{"read:fullprofile", "display:all"})
			if got := d.Append(nil, all, nil, nil); !bytes.Equal(got, p.AppendJSON(nil)) {
				t.Fatalf("got  %s\nwant %s", got, p.AppendJSON(nil))
			}
			for _, g := range []view.Grant{view.Of(nil), view.Of([]string{"display:none"}).Narrowed("staff")} {
				some := &people.Profile{Schema: p.Schema}
				for _, n := range p.Attributes {
					if g.Sees(n.Metadata.Classification, n.Metadata.Display) {
						some.Set(n.Path, n.Attribute)
					}
				}
				if got := d.Append(nil, g, nil, nil); !bytes.Equal(got, some.AppendJSON(nil)) {
					t.Fatalf("got  %s\nwant %s", got, some.AppendJSON(nil))
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	p := catalogue.Default().NullProfile()
	for _, n := range p.Attributes {
		a := n.Attribute
		a.Value, a.Metadata.Display = people.StringValue("something"), "public"
		a.Signature.Publisher.Value = strings.Repeat("abcdefgh", 85)
		p.Set(n.Path, a)
	}
	body, g := p.AppendJSON(nil), view.Of([]string{"read:fullprofile", "display:all"})
	var out []byte
	b.Run("cut", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			d, _ := view.Read(body)
			out = d.Append(out[:0], g, nil, containers)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			p, _ := people.ParseProfile(body)
			out = p.AppendJSON(out[:0])
		}
	})
}
