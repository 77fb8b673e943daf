package catalogue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// Judge says whether a publisher may make a change, attribute by attribute.
func ExampleCatalogue_Judge() {
	c := catalogue.Default()
	with := func(path people.Path, v people.Value) people.Attribute {
		a := c.Null(path) // classification and display as they are by default
		a.Value = v
		return a
	}
	none := people.Attribute{}
	ada := with("first_name", people.StringValue("Ada"))
	augusta := with("first_name", people.StringValue("Augusta"))

	fmt.Println("create:", c.Judge(people.LDAP, "first_name", none, ada))
	fmt.Println("update:", c.Judge(people.LDAP, "first_name", ada, augusta))
	fmt.Println("by the person:", c.Judge(people.Directory, "first_name", ada, augusta))

	err := c.Judge(people.HRIS, "primary_email", none, with("primary_email", people.BoolValue(true)))
	var fault catalogue.Fault
	fmt.Println(errors.As(err, &fault), fault.Path, "-", fault.Reason)
	fmt.Println(errors.Is(c.Judge(people.GitHub, "first_name", none, ada), catalogue.ErrPublisher))
	// Output:
	// create: <nil>
	// update: catalogue: "ldap" may not update "first_name", only mozilliansorg may: publisher not allowed
	// by the person: <nil>
	// true primary_email - the value is not a string
	// true
}

// Check finds what no publisher may write, in a whole or a partial profile.
func ExampleCatalogue_Check() {
	c := catalogue.Default()
	p := c.NullProfile()
	title := c.Null("staff_information.title")
	title.Value = people.MapValue()
	title.Metadata.Classification = "PUBLIC"
	p.Set("staff_information.title", title)
	p.Set("shoe_size", people.Attribute{Value: people.StringValue("42")})
	for _, f := range c.Check(p) {
		fmt.Println(f.Path, "-", f.Reason)
	}
	// Output:
	// shoe_size - no such attribute
	// staff_information.title - the value is not a string
	// staff_information.title - the classification is not MOZILLA CONFIDENTIAL
}

// What is known about an attribute.
func ExampleCatalogue_Find() {
	a, ok := catalogue.Default().Find("staff_information.cost_center")
	fmt.Println(ok, a.Kind, a.Classification, a.Display)
	fmt.Println(a.MayCreate(people.LDAP), a.MayUpdate(people.LDAP), a.Update)
	// Output:
	// true string WORKGROUP CONFIDENTIAL: STAFF ONLY staff
	// true false hris
}

// A partial profile begins with the null attributes of the catalogue, which
// have all metadata that an attribute must have.
func ExampleCatalogue_Null() {
	c := catalogue.Default()
	a := c.Null("pronouns")
	a.Value = people.StringValue("she/her")
	a.Metadata.Created, a.Metadata.LastModified = "2026-03-02T08:00:00.000Z", "2026-03-02T08:00:00.000Z"
	p := &people.Profile{Schema: c.SchemaURI}
	p.Set("pronouns", a)
	fmt.Println(string(p.AppendJSON(nil)))
	// Output:
	// {"pronouns":{"metadata":{"classification":"WORKGROUP CONFIDENTIAL","created":"2026-03-02T08:00:00.000Z","display":null,"last_modified":"2026-03-02T08:00:00.000Z","verified":true},"signature":{"additional":[{"alg":"RS256","name":null,"typ":"JWS","value":""}],"publisher":{"alg":"RS256","name":"mozilliansorg","typ":"JWS","value":""}},"value":"she/her"},"schema":"https://auth.mozilla.com/.well-known/profile.schema"}
}

// The rules for publishers as clients read them.
func ExampleCatalogue_Rules() {
	var rules struct {
		Create map[string]json.RawMessage
		Update map[string]json.RawMessage
	}
	if err := json.Unmarshal(catalogue.Default().Rules(), &rules); err != nil {
		panic(err)
	}
	var create bytes.Buffer
	if err := json.Compact(&create, rules.Create["first_name"]); err != nil {
		panic(err)
	}
	fmt.Println(create.String(), string(rules.Update["first_name"]))
	// Output:
	// ["ldap","hris","access_provider","mozilliansorg"] "mozilliansorg"
}

// The JSON Schema of a profile, for whatever reads schemas.
func ExampleCatalogue_Schema() {
	var schema struct {
		Schema      string `json:"$schema"`
		Definitions map[string]struct {
			Enum []any `json:"enum"`
		}
	}
	if err := json.Unmarshal(catalogue.Default().Schema(), &schema); err != nil {
		panic(err)
	}
	fmt.Println(schema.Schema)
	fmt.Println(schema.Definitions["Display"].Enum...)
	// Output:
	// http://json-schema.org/draft-04/schema#
	// public authenticated vouched ndaed staff private <nil>
}

// The profile of somebody of whom nobody has said anything.
func ExampleCatalogue_NullProfile() {
	p := catalogue.Default().NullProfile()
	fmt.Println(p.Schema)
	for _, n := range p.Attributes[:3] {
		fmt.Println(n.Path, n.Value)
	}
	// Output:
	// https://auth.mozilla.com/.well-known/profile.schema
	// access_information.access_provider null
	// access_information.github null
	// access_information.hris null
}

// An operator's catalogue extends the one that is built in.
func ExampleParse() {
	c, err := catalogue.Parse("ours.yaml", []byte(`
extends: default
publishers:
  badges:
    title: Badge system
    extension: true
attributes:
  access_information.badges:
    title: Badges
    description: Doors that open for the person.
    kind: map
    classification: "WORKGROUP CONFIDENTIAL: STAFF ONLY"
    create: [badges]
    update: badges
    optional: true
`))
	if err != nil {
		panic(err)
	}
	fmt.Println(c.May(people.Create, "badges", "access_information.badges"), c.May(people.Create, people.LDAP, "access_information.badges"))

	_, err = catalogue.Parse("mistaken.yaml", []byte("extends: default\npublishers:\n  badges:\n    titel: Badge system\n"))
	fmt.Println(err)
	// Output:
	// true false
	// mistaken.yaml:4: no key is called "titel" (did you mean title?)
}
