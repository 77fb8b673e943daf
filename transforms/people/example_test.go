package people_test

import (
	"fmt"

	"example.org/cis/transforms/people"
)

// Read a profile, whole or partial, and look at an attribute of it.
func ExampleParseProfile() {
	p, err := people.ParseProfile([]byte(`{
		"schema": "https://example.org/profile.schema",
		"first_name": {
			"value": "Ada",
			"metadata": {"classification": "PUBLIC", "display": "staff", "verified": true,
				"created": "2026-03-02T08:00:00.000Z", "last_modified": "2026-03-02T08:00:00.000Z"},
			"signature": {"publisher": {"alg": "RS256", "typ": "JWS", "name": "ldap", "value": ""}, "additional": []}
		},
		"access_information": {
			"ldap": {"values": {"team_engines": null, "all_staff": ""}}
		}
	}`))
	if err != nil {
		panic(err)
	}

	// Value is for whoever wants to know what it says …
	fmt.Println(p.Value("first_name").Text())
	fmt.Println(p.Value("access_information.ldap").Has("team_engines"))
	fmt.Println(p.Value("pronouns").IsNull())

	// … and Find for who says so, since when, and who may see it.
	if a, ok := p.Find("first_name"); ok {
		fmt.Println(a.Signature.Publisher.Name, a.Metadata.LastModified, a.Metadata.Display)
	}
	for _, n := range p.Attributes {
		fmt.Println(n.Path, n.Value.Kind(), n.Value)
	}
	// Output:
	// Ada
	// true
	// true
	// ldap 2026-03-02T08:00:00.000Z staff
	// access_information.ldap map {"all_staff":"","team_engines":null}
	// first_name string "Ada"
}

// What is no profile is refused, with the place and without the value.
func ExampleParseProfile_refused() {
	for _, text := range []string{
		`{"first_name": {"value": 5}}`,
		`{"languages": {"value": {"en": ""}}}`,
		`{"first_name": {"value": "Ada", "value": "Eve"}}`,
		`{"first_name": {"value": "Ada"`,
	} {
		_, err := people.ParseProfile([]byte(text))
		fmt.Println(err)
	}
	// Output:
	// people: /first_name/value: want a string, a boolean, null or a map of strings
	// people: /languages/value: a map cannot stand under "value"
	// people: /first_name/value: a name that is there twice
	// people: /first_name: cut short
}

// Build a partial profile, the way a publisher writes what it knows of a
// person, and write it as canonical JSON (RFC 8785).
func ExampleProfile_Set() {
	p := &people.Profile{Schema: "https://example.org/profile.schema"}
	metadata := people.Metadata{
		Classification: "WORKGROUP CONFIDENTIAL",
		Display:        "staff",
		Verified:       true,
		Created:        "2026-03-02T08:00:00.000Z",
		LastModified:   "2026-03-02T08:00:00.000Z",
	}
	p.Set("pronouns", people.Attribute{Value: people.StringValue("she/her"), Metadata: metadata})
	p.Set("languages", people.Attribute{
		Value:    people.MapValue(people.Entry{Key: "en"}, people.Entry{Key: "de"}),
		Metadata: metadata,
	})
	fmt.Println(string(p.AppendJSON(nil)))
	// Output:
	// {"languages":{"metadata":{"classification":"WORKGROUP CONFIDENTIAL","created":"2026-03-02T08:00:00.000Z","display":"staff","last_modified":"2026-03-02T08:00:00.000Z","verified":true},"signature":{"additional":[],"publisher":{"alg":"","name":null,"typ":"","value":""}},"values":{"de":"","en":""}},"pronouns":{"metadata":{"classification":"WORKGROUP CONFIDENTIAL","created":"2026-03-02T08:00:00.000Z","display":"staff","last_modified":"2026-03-02T08:00:00.000Z","verified":true},"signature":{"additional":[],"publisher":{"alg":"","name":null,"typ":"","value":""}},"value":"she/her"},"schema":"https://example.org/profile.schema"}
}

// The canonical form of an attribute without its signature: the bytes that
// are signed. However the attribute was written, they are the same.
func ExampleAttribute_AppendJSON() {
	a, err := people.ParseAttribute([]byte(`{
		"values": {"b": "\u00e9", "a": null},
		"metadata": {"verified": true, "display": null, "classification": "PUBLIC",
			"created": "2026-03-02T08:00:00.000Z", "last_modified": "2026-03-02T08:00:00.000Z"},
		"signature": {}
	}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(string(a.AppendJSON(nil, false)))
	// Output:
	// {"metadata":{"classification":"PUBLIC","created":"2026-03-02T08:00:00.000Z","display":null,"last_modified":"2026-03-02T08:00:00.000Z","verified":true},"values":{"a":null,"b":"é"}}
}

// A change is one of value, display or verified; dates and signatures alone
// are none.
func ExampleAttribute_SameContent() {
	stored := people.Attribute{
		Value:    people.StringValue("Ada"),
		Metadata: people.Metadata{LastModified: "2026-03-02T08:00:00.000Z"},
	}
	later := stored
	later.Metadata.LastModified = "2026-03-09T08:00:00.000Z"
	shown := stored
	shown.Metadata.Display = "public"
	fmt.Println(later.SameContent(stored), shown.SameContent(stored))
	// Output:
	// true false
}

// An observation is what one record of one publisher says: per attribute a
// value, that there is none, or nothing at all.
func ExampleObservation() {
	o := people.Observation{
		Publisher: people.LDAP,
		Record:    "5ab3b9f2-63d5-4a3f-9d0b-4f3c5a1d2e77",
		Lifecycle: people.Present,
		Keys: []people.Key{
			{Scheme: people.ByUserID, Value: "ad|Mozilla-LDAP|ada"},
			{Scheme: people.ByEmail, Value: "ada@example.org"},
		},
		Claims: []people.Claim{
			{Path: "first_name", Value: people.StringValue("Ada")},
			{Path: "access_information.ldap", Empty: true},
		},
	}
	o.Sort()
	groups, said := o.Claim("access_information.ldap")
	fmt.Println(groups.Empty, said)
	_, said = o.Claim("pronouns")
	fmt.Println(said)
	fmt.Println(o.Key(people.ByEmail))
	// Output:
	// true true
	// false
	// ada@example.org
}
