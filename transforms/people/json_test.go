package people_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
)

// texts draws text that canonical JSON has a rule about: quotes, controls,
// line separators, and characters on both sides of the surrogates.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("a\"\\/\x00\b\t\n\x1f\x7f\u0080é\u2028\u2029\uD7FF\uE000\uFB33\uFFFF\U00010000\U0001F600\U0010FFFF")), 0, 6, -1),
	)
}

func values() *rapid.Generator[people.Value] {
	return rapid.OneOf(
		rapid.Map(rapid.Bool(), people.NullValue),
		rapid.Map(texts(), people.StringValue),
		rapid.Map(rapid.Bool(), people.BoolValue),
		rapid.Custom(func(t *rapid.T) people.Value {
			return people.MapValue(rapid.SliceOfN(entries(), 0, 4).Draw(t, "entries")...)
		}),
	)
}

func entries() *rapid.Generator[people.Entry] {
	return rapid.Custom(func(t *rapid.T) people.Entry {
		e := people.Entry{Key: texts().Draw(t, "key"), Value: texts().Draw(t, "text")}
		if rapid.Bool().Draw(t, "null") {
			e.Null, e.Value = true, ""
		}
		return e
	})
}

func marks() *rapid.Generator[people.Mark] {
	return rapid.Custom(func(t *rapid.T) people.Mark {
		return people.Mark{Alg: texts().Draw(t, "alg"), Typ: "JWS", Name: texts().Draw(t, "name"), Value: texts().Draw(t, "value")}
	})
}

func attributes() *rapid.Generator[people.Attribute] {
	return rapid.Custom(func(t *rapid.T) people.Attribute {
		return people.Attribute{
			Value: values().Draw(t, "value"),
			Metadata: people.Metadata{Classification: "PUBLIC", LastModified: texts().Draw(t, "modified"), Created: texts().Draw(t, "created"),
				Verified: rapid.Bool().Draw(t, "verified"), Display: rapid.SampledFrom([]string{"", "public", "staff"}).Draw(t, "display")},
			Signature: people.Signature{Publisher: marks().Draw(t, "mark"), Additional: rapid.SliceOfN(marks(), 0, 2).Draw(t, "additional")},
		}
	})
}

func profiles() *rapid.Generator[*people.Profile] {
	name := rapid.StringMatching(`[A-Za-z0-9_]{1,3}`)
	return rapid.Custom(func(t *rapid.T) *people.Profile {
		p := &people.Profile{Schema: texts().Draw(t, "schema")}
		containers := rapid.SliceOfN(name, 0, 2).Draw(t, "containers")
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			path := people.Path(name.Draw(t, "name"))
			if len(containers) > 0 && rapid.Bool().Draw(t, "inside") {
				path = people.Path(rapid.SampledFrom(containers).Draw(t, "container")) + "." + path
			} else if slices.Contains(containers, string(path)) {
				continue
			}
			p.Set(path, attributes().Draw(t, "attribute"))
		}
		return p
	})
}

func canonical(t interface{ Fatal(...any) }, b []byte) string {
	v := jsontext.Value(bytes.Clone(b))
	if err := v.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	return string(v)
}

func TestProfileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := profiles().Draw(t, "profile")
		b := p.AppendJSON(nil)
		if want := canonical(t, b); string(b) != want {
			t.Fatalf("not canonical:\n%s\nwant\n%s", b, want)
		}
		got, err := people.ParseProfile(b)
		if err != nil {
			t.Fatal(err)
		}
		if again := got.AppendJSON(nil); !bytes.Equal(again, b) {
			t.Fatalf("written as\n%s\nand again as\n%s", b, again)
		}
		if len(got.Attributes) != len(p.Attributes) || got.Schema != p.Schema {
			t.Fatalf("got %v, want %v", got, p)
		}
		for i, n := range p.Attributes {
			if g := got.Attributes[i]; g.Path != n.Path || !g.Equal(n.Attribute) {
				t.Errorf("%s: got %v, want %v", n.Path, g, n)
			}
		}
		viaJSON := new(people.Profile)
		if out, err := json.Marshal(p); err != nil || json.Unmarshal(out, viaJSON) != nil || !bytes.Equal(viaJSON.AppendJSON(nil), b) {
			t.Errorf("through package json: %v", err)
		}
	})
}

// Keys may stand in any order and be spaced in any way: what is read is the same.
func TestOrderAndSpacesDoNotMatter(t *testing.T) {
	a, err := people.ParseProfile([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	b, err := people.ParseProfile([]byte(canonical(t, []byte(example))))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.AppendJSON(nil), b.AppendJSON(nil)) || string(a.AppendJSON(nil)) != canonical(t, []byte(example)) {
		t.Errorf("got\n%s\nand\n%s", a.AppendJSON(nil), b.AppendJSON(nil))
	}
	want := []people.Path{"access_information.ldap", "active", "first_name", "identities.github_id_v3", "user_id"}
	var got []people.Path
	for _, n := range a.Attributes {
		got = append(got, n.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
	}
}

// example is a profile as older systems write it: keys in no order.
const example = `{
  "user_id": {"value": "ad|Mozilla-LDAP|jdoe", "metadata": {"verified": true, "display": null, "created": "1970-01-01T00:00:00Z",
    "last_modified": "2019-01-01T:10:00:00.000Z", "classification": "PUBLIC"},
    "signature": {"additional": [{"alg": "RS256", "typ": "JWS", "name": null, "value": ""}],
      "publisher": {"alg": "RS256", "typ": "JWS", "name": "ldap", "value": "e30.e30.AA"}}},
  "schema": "https://example.org/schema",
  "first_name": {"value": "Jo\u00eb\u2028\u0007\"", "metadata": {"classification": "PUBLIC", "last_modified": "2026-03-02T08:00:00.000Z",
    "created": "2026-03-02T08:00:00.000Z", "display": "public", "verified": false},
    "signature": {"additional": [], "publisher": {"alg": "RS256", "typ": "JWS", "name": "mozilliansorg", "value": ""}}},
  "access_information": {"ldap": {"values": {"vpn": null, "all-staff": ""}, "metadata": {"classification": "PUBLIC", "last_modified": "2026-03-02T08:00:00.000Z",
    "created": "2026-03-02T08:00:00.000Z", "display": null, "verified": true},
    "signature": {"additional": [], "publisher": {"alg": "RS256", "typ": "JWS", "name": "ldap", "value": ""}}}},
  "identities": {"github_id_v3": {"value": null, "metadata": {"classification": "WORKGROUP CONFIDENTIAL", "last_modified": "2026-03-02T08:00:00.000Z",
    "created": "2026-03-02T08:00:00.000Z", "display": null, "verified": true},
    "signature": {"additional": [], "publisher": {"alg": "RS256", "typ": "JWS", "name": "mozilliansorg", "value": ""}}}},
  "active": {"value": true, "metadata": {"classification": "WORKGROUP CONFIDENTIAL", "last_modified": "2026-03-02T08:00:00.000Z",
    "created": "2026-03-02T08:00:00.000Z", "display": null, "verified": true},
    "signature": {"additional": [], "publisher": {"alg": "RS256", "typ": "JWS", "name": "cis", "value": ""}}}
}`

func TestCanonicalText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Ada", `"Ada"`},
		{"no letter but these is escaped", "\"\\\b\t\n\f\r\x00\x1f", `"\"\\\b\t\n\f\r\u0000\u001f"`},
		{"these are not", "/<>&\x7f\u2028\u2029é\U0001F600", "\"/<>&\x7f\u2028\u2029é\U0001F600\""},
		{"what is not UTF-8 becomes the replacement character", "a\xff", "\"a\ufffd\""},
	} {
		if got := string(people.AppendQuoted(nil, c.in)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// The example of RFC 8785, section 3.2.3, whose keys the orders of bytes and
// of UTF-16 sort differently.
func TestKeysAreOrderedAsUTF16(t *testing.T) {
	var e []people.Entry
	for _, k := range []string{"\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"} {
		e = append(e, people.Entry{Key: k})
	}
	want := `{"\r":"","1":"","` + "\u0080" + `":"","ö":"","€":"","` + "\U0001f600" + `":"","` + "\ufb33" + `":""}`
	m := people.MapValue(e...)
	if got := m.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, x := range e {
		if !m.Has(x.Key) {
			t.Errorf("%q is not found", x.Key)
		}
	}
}

// in puts an attribute's JSON into a profile.
func in(attribute string) string {
	return `{"schema":"s","staff_information":{"title":` + attribute + `}}`
}

func TestRefused(t *testing.T) {
	const at = "/staff_information/title"
	for _, c := range []struct{ name, in, place, says string }{
		{"nothing", ``, "", "nothing"},
		{"no object", `["Secret"]`, "", "want an object"},
		{"cut short", in(`{"value":"Secret"`)[:40], "/staff_information", "cut short"},
		{"more after it", `{} {"a":"Secret"}`, "", "more after"},
		{"twice the same attribute", `{"a":{"value":""},"a":{"value":"Secret"}}`, "", "twice"},
		{"twice the same attribute, escaped", `{"a":{"value":""},"\u0061":{"value":"Secret"}}`, "", "twice"},
		{"twice the same field", in(`{"value":"","value":"Secret"}`), at + "/value", "twice"},
		{"twice the same key", in(`{"values":{"a":"Secret","a":"Secret"}}`), at + "/values/a", "twice"},
		{"not UTF-8", in("{\"value\":\"Secret\xff\"}"), at + "/value", "UTF-8"},
		{"half a surrogate pair", in(`{"value":"Secret\ud800Secret"}`), at + "/value", "UTF-8"},
		{"no such word", in(`{"value":trueSecret}`), at, "not JSON"},
		{"neither value nor values", in(`{"metadata":{}}`), at, "exactly one"},
		{"both", in(`{"value":"Secret","values":null}`), at, "exactly one"},
		{"an empty attribute is a container, which stands in none", in(`{}`), at, "exactly one"},
		{"unknown field of an attribute", in(`{"value":"","colour":"Secret"}`), at + "/colour", "unknown field"},
		{"unknown field of a top attribute", `{"a":{"value":"","colour":{"value":"Secret"}}}`, "/a", "unknown field"},
		{"unknown field of metadata", in(`{"value":"","metadata":{"colour":"Secret"}}`), at + "/metadata/colour", "unknown field"},
		{"unknown field of a signature", in(`{"value":"","signature":{"colour":"Secret"}}`), at + "/signature/colour", "unknown field"},
		{"unknown field of a mark", in(`{"value":"","signature":{"publisher":{"colour":"Secret"}}}`), at + "/signature/publisher/colour", "unknown field"},
		{"a list of marks that is none", in(`{"value":"","signature":{"additional":"Secret"}}`), at + "/signature/additional", "want a list"},
		{"a mark that is none", in(`{"value":"","signature":{"additional":[{},"Secret"]}}`), at + "/signature/additional/1", "want an object"},
		{"verified is text", in(`{"value":"","metadata":{"verified":"Secret"}}`), at + "/metadata/verified", "want a boolean"},
		{"a date is a number", in(`{"value":"","metadata":{"created":20190101}}`), at + "/metadata/created", "want a string"},
		{"schema is a number", `{"schema":1}`, "/schema", "want a string"},
		{"a number", in(`{"value":4711}`), at + "/value", "want a string"},
		{"a list", in(`{"value":["Secret"]}`), at + "/value", "want a string"},
		{"a map under value", in(`{"value":{"a":"Secret"}}`), at + "/value", "cannot stand"},
		{"a string under values", in(`{"values":"Secret"}`), at + "/values", "cannot stand"},
		{"a boolean under values", in(`{"values":true}`), at + "/values", "cannot stand"},
		{"a list in a map", in(`{"values":{"a":["Secret"]}}`), at + "/values/a", "want a string or null"},
		{"a map in a map", in(`{"values":{"a":{"b":"Secret"}}}`), at + "/values/a", "want a string or null"},
		{"an attribute that is text", `{"a":"Secret"}`, "/a", "want an object"},
		{"an attribute without a name", `{"":{"value":"Secret"}}`, "/", "name"},
		{"a container without a name", `{"":{"a":{"value":"Secret"}}}`, "/", "name"},
		{"a dot", `{"a.b":{"value":"Secret"}}`, "/a.b", "name"},
		{"a dot inside", `{"a":{"b.c":{"value":"Secret"}}}`, "/a/b.c", "name"},
		{"a name that sorts before the dot", `{"a-b":{"value":"Secret"}}`, "/a-b", "name"},
		{"an attribute with the name of a field", `{"metadata":{"value":"Secret"}}`, "/metadata", "name"},
		{"three levels", `{"a":{"b":{"c":{"value":"Secret"}}}}`, "/a/b/c", "unknown field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := people.ParseProfile([]byte(c.in))
			if err == nil || p != nil {
				t.Fatalf("got %v, %v; want an error", p, err)
			}
			for _, want := range []string{"people: ", c.place + ":", c.says} {
				if want != ":" && !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, which does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "Secret") || strings.Contains(err.Error(), "4711") {
				t.Errorf("%q repeats a value", err)
			}
			if err := json.Unmarshal([]byte(c.in), new(people.Profile)); err == nil {
				t.Error("package json does not refuse it")
			}
		})
	}
	for _, in := range []string{``, `{"value":""} true`, `{"value":"","value":""}`, `{"value":"`} {
		if a, err := people.ParseAttribute([]byte(in)); err == nil || !a.Equal(people.Attribute{}) {
			t.Errorf("%s: got %v, %v", in, a, err)
		}
	}
}

func TestTolerated(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"numbers and booleans in a map become text", `{"values":{"a":1,"b":true,"c":-1.50e3,"d":null,"e":false}}`,
			`"values":{"a":"1","b":"true","c":"-1.50e3","d":null,"e":"false"}`},
		{"malformed and imprecise dates stay as they are", `{"metadata":{"created":"2019-01-01T:10:00:00.000Z","last_modified":"1970-01-01T00:00:00Z"},"value":null}`,
			`"created":"2019-01-01T:10:00:00.000Z","display":null,"last_modified":"1970-01-01T00:00:00Z"`},
		{"null instead of additional signatures", `{"signature":{"additional":null},"value":""}`, `"additional":[]`},
		{"null values", `{"values":null}`, `"values":null`},
		{"null value", `{"value":null}`, `"value":null`},
		{"empty map", `{"values":{}}`, `"values":{}`},
		{"empty text", `{"value":""}`, `"value":""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := people.ParseAttribute([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(a.AppendJSON(nil, true)); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s in it", got, c.want)
			}
		})
	}
}

func TestContainers(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []people.Path
		out      string
	}{
		{"none", `{"schema":"s"}`, nil, `{"schema":"s"}`},
		{"empty", `{"identities":{},"schema":"s"}`, nil, `{"schema":"s"}`},
		{"before, around and after the schema", `{"z":{"a":{"value":"3"}},"schema":"s","a":{"z":{"value":"1"},"schema":{"value":"2"}}}`,
			[]people.Path{"a.schema", "a.z", "z.a"}, ""},
		{"attribute beside a container that begins alike", `{"ab":{"value":"2"},"schema":"s","a":{"b":{"value":"1"}},"a0":{"value":"3"},"A":{"value":"0"}}`,
			[]people.Path{"A", "a.b", "a0", "ab"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := people.ParseProfile([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []people.Path
			for _, n := range p.Attributes {
				got = append(got, n.Path)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("paths %q, want %q", got, c.want)
			}
			b := p.AppendJSON(nil)
			if c.out != "" && string(b) != c.out || string(b) != canonical(t, b) {
				t.Errorf("written as %s", b)
			}
		})
	}
}

// A source that breaks while it is read is not a malformed profile.
func TestReadErrorsStayReadErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for cut := range len(example) {
		r := io.MultiReader(strings.NewReader(example[:cut]), errReader{broken})
		if err := json.UnmarshalRead(r, new(people.Profile)); !errors.Is(err, broken) {
			t.Fatalf("cut at byte %d: got %v", cut, err)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// A value that stands alone comes back as it was, a null plural or not.
func TestValueAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values().Draw(t, "value")
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got people.Value
		if err := json.Unmarshal(b, &got); err != nil || !got.Equal(v) || got.Plural() != v.Plural() {
			t.Fatalf("%s: got %s, %v; want %s", b, got, err, v)
		}
	})
	for _, in := range []string{`[1]`, `["a"]`, `1`, `{"a":[]}`} {
		if err := json.Unmarshal([]byte(in), new(people.Value)); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

// Everything that plans and evidence are made of survives being written down.
func TestEvidenceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := observations().Draw(t, "observation")
		e := people.Evidence{Observations: []people.Observation{o}, Former: []string{"a", "b"}, Cleared: []people.Cleared{{Path: "a", Publisher: "ldap", At: o.SeenAt}}}
		b, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		var got people.Evidence
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if back, err := json.Marshal(&got); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("got %s, %v; want %s", back, err, b)
		}
		if g := &got.Observations[0]; string(g.AppendContent(nil)) != string(o.AppendContent(nil)) {
			t.Errorf("content %s, want %s", g.AppendContent(nil), o.AppendContent(nil))
		}
	})
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(in(`{"values":{"a":1,"b":true,"c":null}}`)))
	f.Add([]byte(`{"identities":{},"schema":null,"a":{"schema":{"value":"\ud83d\ude00"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := people.ParseProfile(b)
		if err != nil {
			return
		}
		once := p.AppendJSON(nil)
		if string(once) != canonical(t, once) {
			t.Fatalf("not canonical: %s", once)
		}
		q, err := people.ParseProfile(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if !reflect.DeepEqual(normal(p), normal(q)) || !bytes.Equal(q.AppendJSON(nil), once) {
			t.Fatalf("%s read again is %s", once, q.AppendJSON(nil))
		}
	})
}

func FuzzParseAttribute(f *testing.F) {
	f.Add([]byte(`{"value":"Ada","metadata":{"classification":"PUBLIC","display":"public","verified":true},"signature":{"additional":[{"name":null}],"publisher":{"name":"ldap"}}}`))
	f.Add([]byte(`{"values":{"LDAP-1":"+1 555","b":2,"\ud83d\ude00":null,"\ufb33":""}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := people.ParseAttribute(b)
		if err != nil {
			return
		}
		once := a.AppendJSON(nil, true)
		if string(once) != canonical(t, once) {
			t.Fatalf("not canonical: %s", once)
		}
		again, err := people.ParseAttribute(once)
		if err != nil || !again.Equal(a) {
			t.Fatalf("%s read again is %s, %v", once, again.AppendJSON(nil, true), err)
		}
		if signed := a.AppendJSON(nil, false); string(signed) != canonical(t, signed) {
			t.Fatalf("not canonical: %s", signed)
		}
	})
}

// normal returns a profile with the one thing that its JSON does not tell
// apart made equal: a list without entries and none.
func normal(p *people.Profile) *people.Profile {
	p = p.Clone()
	for i := range p.Attributes {
		if a := &p.Attributes[i]; len(a.Signature.Additional) == 0 {
			a.Signature.Additional = nil
		}
	}
	if len(p.Attributes) == 0 {
		p.Attributes = nil
	}
	return p
}
