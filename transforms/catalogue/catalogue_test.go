package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
)

func TestDefault(t *testing.T) {
	c := Default()
	if len(c.Attributes) != 54 {
		t.Errorf("%d attributes, want 54", len(c.Attributes))
	}
	for i, a := range c.Attributes {
		if i > 0 && c.Attributes[i-1].Path >= a.Path {
			t.Errorf("%s is out of order", a.Path)
		}
		if a.Title == "" || a.Description == "" {
			t.Errorf("%s has no words for people", a.Path)
		}
		if got, ok := c.Find(a.Path); !ok || !reflect.DeepEqual(got, a) {
			t.Errorf("Find(%s) = %v, %v", a.Path, got, ok)
		}
	}
	for _, path := range []people.Path{"", "schema", "identities", "first", "first_name.x", "identities.x", "x.first_name"} {
		if _, ok := c.Find(path); ok {
			t.Errorf("Find(%q) found something", path)
		}
	}
	if c.Hash() != Default().Hash() || c.Hash() == Older().Hash() {
		t.Error("the hash does not identify the catalogue")
	}
}

// TestHash: words for people do not count, everything else does.
func TestHash(t *testing.T) {
	hash := func(old, new string) string {
		c, err := Parse("c", []byte(strings.Replace(string(builtIn), old, new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return c.Hash()
	}
	want := hash("", "")
	if hash("title: UUID", "title: Id") != want || hash("# Who", "# Which") != want {
		t.Error("words for people changed the hash")
	}
	for old, new := range map[string]string{
		"create: [ldap, hris, access_provider]": "create: [hris, ldap, access_provider]",
		"may_edit_display: true":                "may_edit_display: false",
		`{ldap: ["LDAP-*"]`:                     `{ldap: ["LDAP*"]`,
		"schema_uri: https":                     "schema_uri: http",
		"proven_by: ldap":                       "proven_by: hris",
		"displays: [public]":                    "displays: any",
	} {
		if hash(old, new) == want {
			t.Errorf("%s: the same hash as %s", new, old)
		}
	}
}

func TestOwns(t *testing.T) {
	a, _ := Default().Find("usernames")
	for _, test := range []struct {
		key    string
		owners []people.Publisher
	}{
		{"LDAP-posix_id", []people.Publisher{people.LDAP}},
		{"LDAP-", []people.Publisher{people.LDAP}},
		{"LDAP", []people.Publisher{people.AccessProvider, people.Directory}},
		{"HACK#GITHUB", []people.Publisher{people.GitHub}},
		{"HACK#GITHUB2", []people.Publisher{people.AccessProvider, people.Directory}},
		{"irc", []people.Publisher{people.AccessProvider, people.Directory}},
		{"", []people.Publisher{people.AccessProvider, people.Directory}},
	} {
		for _, p := range Default().Publishers() {
			if got, want := a.Owns(p.Name, test.key), slices.Contains(test.owners, p.Name); got != want {
				t.Errorf("%s owns %q: %v", p.Name, test.key, got)
			}
		}
	}
	if tags, _ := Default().Find("tags"); tags.Owns(people.Directory, "x") {
		t.Error("tags are not composed")
	}
}

// at is an attribute as somebody would write it.
func at(a Attribute, v people.Value, display string, verified bool) people.Attribute {
	out := a.Null()
	out.Value, out.Metadata.Display, out.Metadata.Verified = v, display, verified
	return out
}

func TestJudge(t *testing.T) {
	c := Default()
	s := people.StringValue
	none := people.NullValue(false)
	type form struct {
		value    people.Value
		display  string
		verified bool
	}
	groups := func(names ...string) people.Value {
		var e []people.Entry
		for _, n := range names {
			e = append(e, people.Entry{Key: n, Null: true})
		}
		return people.MapValue(e...)
	}
	for _, test := range []struct {
		name      string
		publisher people.Publisher
		path      people.Path
		old, new  form
		want      string // "" allowed, else words of the error
	}{
		{"a creator sets what is null", "hris", "first_name", form{none, "", true}, form{s("Ann"), "staff", true}, ""},
		{"a creator does not update", "ldap", "first_name", form{s("Ann"), "", true}, form{s("Anna"), "", true}, "only mozilliansorg may"},
		{"the updater does", "mozilliansorg", "first_name", form{s("Ann"), "", true}, form{s("Anna"), "public", true}, ""},
		{"an updater who is no creator waits for a value", "mozilliansorg", "primary_username", form{none, "public", true}, form{s("ann"), "public", true}, "only cis may"},
		{"nobody updates the uuid", "cis", "uuid", form{s("1"), "public", true}, form{s("2"), "public", true}, "only nobody may"},
		{"what is unchanged is allowed", "github", "uuid", form{s("1"), "public", true}, form{s("1"), "public", true}, ""},
		{"unchanged, in a display that is no longer allowed", "ldap", "uuid", form{s("1"), "staff", true}, form{s("1"), "staff", true}, ""},
		{"a person chooses a display", "mozilliansorg", "staff_information.title", form{s("Boss"), "staff", true}, form{s("Boss"), "public", true}, ""},
		{"a person chooses one that is not allowed", "mozilliansorg", "access_information.ldap", form{groups("a"), "", true}, form{groups("a"), "public", true}, "display is not one of vouched, ndaed, staff, private, null"},
		{"a person changes the value with it", "mozilliansorg", "staff_information.title", form{s("Boss"), "staff", true}, form{s("Chief"), "public", true}, "only hris may"},
		{"nobody else changes a display alone", "ldap", "staff_information.title", form{s("Boss"), "staff", true}, form{s("Boss"), "public", true}, "only hris may"},
		{"a person verifies", "mozilliansorg", "primary_email", form{s("a@b"), "", false}, form{s("a@b"), "", true}, ""},
		{"the wrong kind", "hris", "staff_information.manager", form{none, "ndaed", true}, form{s("yes"), "ndaed", true}, "not a boolean"},
		{"no such display", "mozilliansorg", "pronouns", form{none, "", true}, form{s("they"), "everyone", true}, "display"},
		{"lifecycle: HR proposes", "hris", "active", form{people.BoolValue(true), "", true}, form{people.BoolValue(false), "", true}, ""},
		{"lifecycle: cis decides", "cis", "active", form{people.BoolValue(true), "", true}, form{people.BoolValue(false), "", true}, ""},
		{"lifecycle: people do not", "mozilliansorg", "active", form{people.BoolValue(true), "", true}, form{people.BoolValue(false), "", true}, "only cis may"},
		{"lifecycle: GitHub does not", "github", "active", form{people.BoolValue(true), "", true}, form{people.BoolValue(false), "", true}, "only cis may"},
		{"GitHub has its own attribute", "github", "access_information.github", form{groups("a"), "", true}, form{groups("a", "b"), "", true}, ""},
		{"and no other", "github", "identities.github_id_v4", form{none, "", true}, form{s("x"), "", true}, "only ldap, hris, access_provider, mozilliansorg may"},
		{"an unknown publisher", "payroll", "first_name", form{none, "", true}, form{s("x"), "", true}, "only"},
		{"no publisher", "", "uuid", form{s("1"), "public", true}, form{s("2"), "public", true}, "only"},
		{"an unknown attribute", "ldap", "shoe_size", form{none, "", true}, form{s("43"), "", true}, "no such attribute"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, _ := c.Find(test.path)
			err := c.Judge(test.publisher, test.path, at(a, test.old.value, test.old.display, test.old.verified), at(a, test.new.value, test.new.display, test.new.verified))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if errors.Is(err, ErrPublisher) != strings.Contains(test.want, "only") {
				t.Fatalf("%v is of the wrong kind", err)
			}
		})
	}
	a, _ := c.Find("first_name")
	if err := c.Judge("ldap", "first_name", people.Attribute{}, at(a, s("Ann"), "", true)); err != nil {
		t.Errorf("nothing stored: %v", err)
	}
	if err := c.Judge("github", "first_name", people.Attribute{}, a.Null()); err != nil {
		t.Errorf("nothing stored and nothing said: %v", err)
	}
}

func TestDefaultRule(t *testing.T) {
	c, err := Parse("c.yaml", []byte(`
extends: default
default_rule: {classification: INDIVIDUAL CONFIDENTIAL, create: [hris, ldap], update: hris}
`))
	if err != nil {
		t.Fatal(err)
	}
	if !c.May(people.Create, "ldap", "shoe_size") || c.May(people.Update, "ldap", "shoe_size") || !c.May(people.Update, "hris", "identities.badge") {
		t.Error("the default rule is not honoured")
	}
	for _, path := range []people.Path{"identities", "uuid.x", "Shoe", "a.b.c", "schema", "", "x.value"} {
		if _, ok := c.Find(path); ok {
			t.Errorf("%q can be the name of an attribute", path)
		}
	}
	var rules map[string]map[string]any
	if err := json.Unmarshal(c.Rules(), &rules); err != nil {
		t.Fatal(err)
	}
	if rules["update"]["_default_"] != "hris" || fmt.Sprint(rules["create"]["_default_"]) != "[hris ldap]" {
		t.Errorf("served as %v and %v", rules["create"]["_default_"], rules["update"]["_default_"])
	}
	p := c.NullProfile()
	p.Set("shoe_size", at(*c.DefaultRule, people.StringValue("43"), "staff", true))
	p.Set("identities.badges", at(*c.DefaultRule, people.MapValue(), "", true))
	if faults := c.Check(p); len(faults) > 0 {
		t.Error(faults)
	}
	if err := compile(t, c.Schema()).Validate(decoded(t, p)); err != nil {
		t.Error(err)
	}
	if Default().Check(p) == nil {
		t.Error("without a default rule, attributes that are not listed are accepted")
	}
}

// TestExtends: an operator adds a publisher, a container and attributes.
func TestExtends(t *testing.T) {
	c, err := Parse("own.yaml", []byte(`
extends: default
schema_uri: https://id.example.org/schema
remove: {attributes: [identities.custom_3_primary_email]}
publishers:
  badge_office: {title: Badge office, extension: true}
containers:
  badge: {update: badge_office}
attributes:
  badge.number: {kind: string, classification: PUBLIC, create: [badge_office]}
  fun_title: {kind: string, classification: PUBLIC, create: [hris], update: hris}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.SchemaURI != "https://id.example.org/schema" || len(c.Attributes) != len(Default().Attributes) {
		t.Errorf("%s, %d attributes", c.SchemaURI, len(c.Attributes))
	}
	if !c.May(people.Update, "badge_office", "badge.number") || c.May(people.Update, "mozilliansorg", "fun_title") {
		t.Error("the own entries do not count")
	}
	if _, ok := c.Find("identities.custom_3_primary_email"); ok {
		t.Error("a removed attribute is there")
	}
	if err := compile(t, c.Schema()).Validate(decoded(t, c.NullProfile())); err != nil {
		t.Error(err)
	}
}

func TestOlder(t *testing.T) {
	c := Older()
	if len(c.Publishers()) != 5 || len(c.Attributes) != 53 {
		t.Errorf("%d publishers and %d attributes, want 5 and 53", len(c.Publishers()), len(c.Attributes))
	}
	if bytes.Contains(c.Rules(), []byte(`"github"`)) {
		t.Error("the older rules name github")
	}
}

// TestWrong: each mistake an operator may make, with its line. A file stands
// for the whole catalogue unless it extends the built-in one.
func TestWrong(t *testing.T) {
	const extends = "extends: default\n"
	attribute := func(lines string) string { return extends + "attributes:\n  x:\n" + lines }
	good := "    kind: string\n    classification: PUBLIC\n    create: [ldap]\n    update: hris\n" // lines 4 to 7
	swap := func(old, new string) string { return attribute(strings.Replace(good, old, new, 1)) }
	if _, err := Parse("c.yaml", []byte(attribute(good))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, file string
		want       []string // lines of the error, in order
	}{
		{"not YAML", "attributes: [", []string{"c.yaml:1: not YAML"}},
		{"empty", "# nothing\n", []string{"c.yaml:1: empty"}},
		{"a list", "- a\n", []string{"c.yaml:1: the catalogue: want keys and values"}},
		{"two documents", extends + "---\na: b\n", []string{"c.yaml:3: a second document"}},
		{"unknown section", extends + "atributes: {}\n", []string{`c.yaml:2: no key is called "atributes" (did you mean attributes?)`}},
		{"section twice", extends + extends, []string{"c.yaml:2: the catalogue: extends: is in line 1 already"}},
		{"extends something else", "extends: defaults\n", []string{`c.yaml:1: extends: want "default"`}},
		{"unknown key", attribute(good + "    displys: any\n"), []string{`c.yaml:8: no key is called "displys" (did you mean displays?)`}},
		{"nothing like it", attribute(good + "    colour: red\n"), []string{`c.yaml:8: no key is called "colour"`}},
		{"attribute twice", attribute(good + "  x: {}\n"), []string{"c.yaml:8: attributes: x: is in line 3 already"}},
		{"unknown kind", swap("string", "strng"), []string{`c.yaml:4: no kind is called "strng" (did you mean string?)`}},
		{"unknown class", swap("PUBLIC", "PUBLC"), []string{`c.yaml:5: no classification is called "PUBLC" (did you mean PUBLIC?)`}},
		{"unknown creator", swap("[ldap]", "[hris, ladp]"), []string{`c.yaml:6: no publisher is called "ladp" (did you mean ldap?)`}},
		{"creator twice", swap("[ldap]", "[ldap, ldap]"), []string{`c.yaml:6: create: "ldap" is there twice`}},
		{"no list of creators", swap("[ldap]", "ldap"), []string{"c.yaml:6: create: want a list"}},
		{"unknown updater", swap("hris", "nobdy"), []string{`c.yaml:7: no publisher is called "nobdy" (did you mean nobody?)`}},
		{"unknown display", attribute(good + "    display: vouchd\n"), []string{`c.yaml:8: no display is called "vouchd" (did you mean vouched?)`, "c.yaml:8: x: display: vouchd is not in displays"}},
		{"default display not allowed", attribute(good + "    display: public\n    displays: [staff, null]\n"), []string{"c.yaml:8: x: display: public is not in displays"}},
		{"no default display, and null not allowed", attribute(good + "    displays: [staff]\n"), []string{"c.yaml:8: x: display: null is not in displays"}},
		{"display a number", attribute(good + "    display: 3\n"), []string{"c.yaml:8: want a text"}},
		{"not a boolean", attribute(good + "    optional: maybe\n"), []string{"c.yaml:8: want true or false"}},
		{"missing keys", attribute("    kind: string\n"), []string{"c.yaml:3: x: classification: missing", "c.yaml:3: x: create: missing", "c.yaml:3: x: update: missing"}},
		{"bad name", extends + "attributes:\n  Shoe-Size: {kind: string, classification: PUBLIC, create: [ldap], update: ldap}\n", []string{"c.yaml:3: Shoe-Size: no name for an attribute"}},
		{"reserved name", extends + "attributes:\n  identities.value: {kind: string, classification: PUBLIC, create: [ldap]}\n", []string{"c.yaml:3: identities.value: no name for an attribute"}},
		{"three levels", extends + "attributes:\n  identities.a.b: {kind: string, classification: PUBLIC, create: [ldap]}\n", []string{"c.yaml:3: identities.a.b: no name for an attribute"}},
		{"unknown container", extends + "attributes:\n  identites.x: {kind: string, classification: PUBLIC, create: [ldap], update: ldap}\n", []string{`c.yaml:3: identites.x: no container "identites" (did you mean identities?)`}},
		{"an attribute named as a container", extends + "attributes:\n  identities: {kind: string, classification: PUBLIC, create: [ldap], update: ldap}\n", []string{"c.yaml:3: identities: is a container"}},
		{"updater twice", extends + "attributes:\n  identities.x:\n    {kind: string, classification: PUBLIC, create: [ldap],\n    update: ldap}\n", []string{"c.yaml:5: identities.x: update: its container says already that mozilliansorg updates"}},
		{"empty container", extends + "containers:\n  badge: {}\n", []string{"c.yaml:3: badge: a container without attributes"}},
		{"publisher without a name", extends + "publishers:\n  nobody: {title: x}\n", []string{`c.yaml:3: publishers: "nobody" is no name for a publisher`}},
		{"remove what is not there", extends + "remove:\n  attributes: [fun_titel]\n", []string{`c.yaml:3: remove: the built-in catalogue has no "fun_titel" (did you mean fun_title?)`}},
		{"remove a publisher who is needed", extends + "remove: {publishers: [github]}\n", []string{`built-in catalogue.yaml:`}},
		{"remove the core", extends + "remove: {attributes: [active]}\n", []string{`c.yaml:1: attributes: no "active", which every profile has`}},
		{"another kind for the core", extends + "attributes:\n  active:\n    {kind: string, classification: PUBLIC, create: [ldap], update: ldap}\n", []string{"c.yaml:3: active: a string, and the service writes a boolean"}},
		{"remove from nothing", "remove: {}\n", []string{"c.yaml:1: remove: there is nothing to remove from without extends", "c.yaml:1: schema_uri: missing"}},
		{"proposals to nobody", swap("hris", "nobody") + "    propose: [ldap]\n", []string{"c.yaml:8: x: propose: nobody updates"}},
		{"composed string", attribute(good + "    composed_by: cis\n    keys: {ldap: [a]}\n"), []string{"c.yaml:8: x: composed_by: only maps are composed"}},
		{"composed without keys", swap("string", "map") + "    composed_by: cis\n", []string{"c.yaml:3: x: composed_by and keys go together"}},
		{"bad pattern", swap("string", "map") + "    composed_by: cis\n    keys:\n      ldap: [\"*\"]\n      hris:\n        - a*b\n", []string{"c.yaml:10: keys: want a key", "c.yaml:12: keys: want a key"}},
		{"patterns that meet", swap("string", "map") + "    composed_by: cis\n    keys:\n      ldap: [\"A-*\"]\n      hris:\n        - A-B\n", []string{`c.yaml:12: keys: "A-B" may be a key of ldap too ("A-*")`}},
		{"anchors", attribute(strings.Replace(good, "[ldap]", "&a [ldap]", 1)), []string{"c.yaml:6: create: want a list"}},
		{"default rule of a listed attribute", extends + "default_rule:\n  {classification: PUBLIC, create: [ldap], update: ldap,\n  proven_by: ldap}\n", []string{"c.yaml:4: default_rule: proven_by: is for attributes that are listed"}},
		{"all at once", swap("[ldap]", "[ladp]") + "    optional: 1\npublishers:\n  a: {titel: x}\n", []string{"c.yaml:6: no publisher", "c.yaml:8: want true or false", `c.yaml:10: no key is called "titel" (did you mean title?)`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("c.yaml", []byte(test.file))
			if err == nil || c != nil {
				t.Fatal("accepted")
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range test.want {
				if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Fatalf("got\n%s\nwant\n%s", err, strings.Join(test.want, "\n"))
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("schema_uri: x\npublishers: {cis: {title: x, extension: true}}\nattributes: {uuid: {kind: string, classification: PUBLIC, display: public, displays: [public], create: [cis], update: nobody}}\n"))
	f.Add([]byte("remove: {}\ndefault_rule: {classification: PUBLIC, create: [cis], update: cis}\ncontainers: {a: {update: cis}}\n"))
	f.Add([]byte("extends: default\nattributes: {x: {kind: map, composed_by: cis, keys: {ldap: [a, b*]}}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("c", b)
		if (c == nil) == (err == nil) {
			t.Fatal("neither or both")
		}
		if err != nil {
			return
		}
		if faults := c.Check(c.NullProfile()); len(faults) > 0 {
			t.Fatalf("its own null profile has faults: %v", faults)
		}
		c.Schema()
		c.Rules()
	})
}

// TestSchemaAgreesWithCheck: the served schema and Check refuse the same
// profiles, whatever is done to a profile.
func TestSchemaAgreesWithCheck(t *testing.T) {
	c := Default()
	schema := compile(t, c.Schema())
	values := []people.Value{people.NullValue(false), people.NullValue(true), people.StringValue("x"), people.BoolValue(true), people.MapValue(), people.MapValue(people.Entry{Key: "a"}, people.Entry{Key: "b", Null: true})}
	var names []string
	for _, p := range c.Publishers() {
		names = append(names, string(p.Name))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := c.NullProfile()
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(c.Attributes)-1).Draw(t, "attribute")
			path := c.Attributes[i].Path
			a, _ := p.Find(path)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				a.Value = rapid.SampledFrom(values).Draw(t, "value")
			case 1:
				a.Metadata.Display = rapid.SampledFrom(append(Displays(), "everyone")).Draw(t, "display")
			case 2:
				a.Metadata.Classification = rapid.SampledFrom(append(Classifications(), "SECRET")).Draw(t, "classification")
			case 3:
				a.Signature.Publisher.Name = rapid.SampledFrom(append(names, "payroll", "")).Draw(t, "publisher")
			case 4:
				a.Signature.Additional = []people.Mark{{Alg: rapid.SampledFrom(append(algs(), "none")).Draw(t, "alg"), Typ: "PGP", Name: "a friend", Value: "x"}}
			case 5:
				container, _ := path.Split()
				path = people.Path(strings.TrimPrefix(container+".shoe_size", "."))
			}
			p.Set(path, a)
		}
		faults, err := c.Check(p), schema.Validate(decoded(t, p))
		if (len(faults) == 0) != (err == nil) {
			t.Fatalf("Check says %v, the schema says %v", faults, err)
		}
	})
}

// TestSchemaIsComplete: a profile without an attribute that is not optional
// is no complete one.
func TestSchemaIsComplete(t *testing.T) {
	c := Default()
	schema := compile(t, c.Schema())
	for _, a := range c.Attributes {
		p := c.NullProfile()
		p.Attributes = slices.DeleteFunc(p.Attributes, func(n people.Named) bool { return n.Path == a.Path })
		container, _ := a.Path.Split()
		if got, want := schema.Validate(decoded(t, p)) == nil, a.Optional || container == "identities"; got != want {
			t.Errorf("a profile without %s is valid: %v", a.Path, got)
		}
	}
	// Numbers in maps make older clients drop the whole profile.
	v := decoded(t, c.NullProfile()).(map[string]any)
	v["tags"].(map[string]any)["values"] = map[string]any{"a": json.Number("1")}
	if schema.Validate(v) == nil {
		t.Error("a number in a map is accepted")
	}
}

func TestMarkdown(t *testing.T) {
	table := Default().Markdown()
	if n := strings.Count(table, "\n"); n != 2+len(Default().Attributes) {
		t.Errorf("%d lines", n)
	}
	if !strings.Contains(table, "| `uuid` | string | PUBLIC | public | public | cis | nobody | ") {
		t.Error("no line for uuid")
	}
}

func BenchmarkFind(b *testing.B) {
	c := Default()
	for b.Loop() {
		for i := range c.Attributes {
			c.Find(c.Attributes[i].Path)
		}
	}
}

// testing.T and rapid.T.
type fatal interface {
	Helper()
	Fatal(...any)
}

func compile(t fatal, schema []byte) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("profile.json", v); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("profile.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decoded is a profile as a validator wants it.
func decoded(t fatal, p *people.Profile) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(p.AppendJSON(nil)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reference returns the directories of the older system's outputs and data.
func reference(t *testing.T) (vectors, data string) {
	t.Helper()
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: nothing is compared with the older system")
	}
	data = filepath.Join(dir, "..", "cis-data")
	if _, err := os.Stat(data); err != nil {
		t.Skip("cis-data is not beside CIS_VECTORS: nothing is compared with the older system's data")
	}
	return dir, data
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func profile(t *testing.T, b []byte) *people.Profile {
	t.Helper()
	p, err := people.ParseProfile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unmarshal(t *testing.T, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// TestVectorsNullProfile: ours is the older system's, and what is beyond it.
func TestVectorsNullProfile(t *testing.T) {
	_, data := reference(t)
	theirs := profile(t, read(t, filepath.Join(data, "user_profile_null.json")))
	for _, test := range []struct {
		name string
		ours *people.Profile
		more []string // what theirs does not have
	}{
		{"default", Default().NullProfile(), []string{"access_information.github"}},
		{"older", Older().NullProfile(), nil},
	} {
		ours := test.ours
		if ours.Schema != theirs.Schema {
			t.Errorf("schema %s, theirs %s", ours.Schema, theirs.Schema)
		}
		for _, n := range theirs.Attributes {
			a, ok := ours.Find(n.Path)
			// Theirs has dates without decimals, which no Rust client can verify.
			a.Metadata.Created, a.Metadata.LastModified = "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"
			if !ok || !a.Equal(n.Attribute) {
				t.Errorf("%s: ours\n%s\ntheirs\n%s", n.Path, a.AppendJSON(nil, true), n.Attribute.AppendJSON(nil, true))
			}
		}
		var more []string
		for _, n := range ours.Attributes {
			if _, ok := theirs.Find(n.Path); !ok {
				more = append(more, string(n.Path))
			}
		}
		if !slices.Equal(more, test.more) {
			t.Errorf("%s: beyond theirs: %v", test.name, more)
		}
	}
}

// TestVectorsRules: the older catalogue is served as production's rules, and
// ours as those and one attribute.
func TestVectorsRules(t *testing.T) {
	_, data := reference(t)
	var theirs, oldest, ours map[string]map[string]any
	unmarshal(t, read(t, filepath.Join(data, "publisher-rules.json")), &theirs)
	unmarshal(t, Older().Rules(), &oldest)
	unmarshal(t, Default().Rules(), &ours)
	if !reflect.DeepEqual(theirs, oldest) {
		t.Errorf("the older catalogue is served as\n%s", Older().Rules())
	}
	theirs["create"]["access_information"].(map[string]any)["github"] = []any{"github"}
	theirs["update"]["access_information"].(map[string]any)["github"] = "github"
	if !reflect.DeepEqual(theirs, ours) {
		t.Errorf("the catalogue is served as\n%s", Default().Rules())
	}
}

// TestVectorsSchema: the older system's profiles against our schema, and ours
// against its.
func TestVectorsSchema(t *testing.T) {
	_, data := reference(t)
	theirs, ours := compile(t, read(t, filepath.Join(data, "profile.schema.json"))), compile(t, Default().Schema())

	// Ours has one attribute that theirs does not know.
	p := Default().NullProfile()
	if theirs.Validate(decoded(t, p)) == nil {
		t.Error("their schema accepts access_information.github")
	}
	p.Attributes = slices.DeleteFunc(p.Attributes, func(n people.Named) bool { return n.Path == "access_information.github" })
	for _, a := range Default().Attributes {
		if _, ok := p.Find(a.Path); !ok {
			continue
		}
		full := map[people.Kind]people.Value{people.String: people.StringValue("x"), people.Bool: people.BoolValue(true), people.Map: people.MapValue(people.Entry{Key: "a"}, people.Entry{Key: "b", Null: true})}
		for _, display := range a.Displays {
			p.Set(a.Path, at(a, full[a.Kind], display, true))
			if err := theirs.Validate(decoded(t, p)); err != nil {
				t.Errorf("their schema refuses %s with display %q: %v", a.Path, display, err)
			}
			if err := ours.Validate(decoded(t, p)); err != nil {
				t.Errorf("our schema refuses %s with display %q: %v", a.Path, display, err)
			}
		}
	}
	if err := theirs.Validate(decoded(t, Older().NullProfile())); err != nil {
		t.Errorf("their schema refuses the older null profile: %v", err)
	}

	// Each profile that ours refuses, with why.
	var signed map[string]json.RawMessage
	unmarshal(t, read(t, filepath.Join(data, "ldap-profiles.signed.json")), &signed)
	profiles := map[string][]byte{
		"null":    read(t, filepath.Join(data, "user_profile_null.json")),
		"example": read(t, filepath.Join(data, "profile.example.json")),
	}
	for i, name := range slices.Sorted(maps.Keys(signed)) {
		profiles[fmt.Sprintf("LDAP %d", i+1)] = signed[name]
	}
	for name, b := range profiles {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.Validate(v); err != nil {
			t.Logf("%s: their own schema refuses it: %v", name, err)
		}
		if err := ours.Validate(v); err != nil {
			t.Errorf("%s: our schema refuses it: %v", name, err)
		}
		if faults := Default().Check(profile(t, b)); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

// A ruling is one case of the older library's judgement.
type ruling struct {
	Attribute people.Path      `json:"attribute"`
	Publisher people.Publisher `json:"publisher"`
	Operation string           `json:"operation"`
	Allowed   bool             `json:"allowed"`
}

// TestVectorsPublishRules meets the older library's judgement, apart from the
// accepted differences: rules of a set of attributes, publishers and
// operations, each with what it is allowed here and the fix that it is part of.
func TestVectorsPublishRules(t *testing.T) {
	vectors, _ := reference(t)
	var rulings []ruling
	unmarshal(t, read(t, filepath.Join(vectors, "publish_rules.json")), &rulings)
	var accepted []struct {
		Attributes []people.Path      `json:"attributes"`
		Publishers []people.Publisher `json:"publishers"`
		Operations []string           `json:"operations"`
		Allowed    bool               `json:"allowed"`
		Fix        string             `json:"fix"`
	}
	unmarshal(t, read(t, "../../testdata/vectors/accepted-publish_rules.json"), &accepted)
	used := map[string]int{}
	for _, c := range []*Catalogue{Default(), Older()} {
		for _, v := range rulings {
			want := v.Allowed
			for _, a := range accepted {
				if slices.Contains(a.Attributes, v.Attribute) && slices.Contains(a.Publishers, v.Publisher) && slices.Contains(a.Operations, v.Operation) {
					want = a.Allowed
					used[a.Fix]++
				}
			}
			if got := judge(t, c, v); (got == nil) != want {
				t.Errorf("%s may %s %s: got %v, want %v", v.Publisher, v.Operation, v.Attribute, got, want)
			}
		}
	}
	for _, a := range accepted {
		t.Logf("%d cases: %s", used[a.Fix], a.Fix)
	}
	t.Logf("%d rulings", len(rulings))
}

// judge makes the change that a case stands for. A display goes from one that
// the attribute does not allow to one that it does where it allows only one.
func judge(t *testing.T, c *Catalogue, v ruling) error {
	t.Helper()
	a, ok := c.Find(v.Attribute)
	if !ok {
		t.Errorf("%s is not in the catalogue", v.Attribute)
		return nil
	}
	one, two := people.StringValue("one"), people.StringValue("two")
	switch a.Kind {
	case people.Bool:
		one, two = people.BoolValue(true), people.BoolValue(false)
	case people.Map:
		one, two = people.MapValue(people.Entry{Key: "one"}), people.MapValue(people.Entry{Key: "two"})
	}
	old := at(a, one, a.Display, true)
	incoming := old
	switch v.Operation {
	case "create":
		old.Value = people.NullValue(a.Kind == people.Map)
	case "update":
		incoming.Value = two
	case "noop":
	case "display_only":
		others := slices.DeleteFunc(Displays(), func(d string) bool { return d == a.Display })
		sort.SliceStable(others, func(i, j int) bool { return a.Allows(others[i]) && !a.Allows(others[j]) })
		if a.Allows(others[0]) {
			incoming.Metadata.Display = others[0]
		} else {
			old.Metadata.Display = others[0]
		}
	case "verified_only":
		incoming.Metadata.Verified = false
	default:
		t.Errorf("unknown operation %q", v.Operation)
	}
	return c.Judge(v.Publisher, v.Attribute, old, incoming)
}
