package catalogue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

type object = map[string]any

// Schema returns the JSON Schema of a complete profile, as it is served. It
// is of draft 4 because that is what older validators read; there a $ref
// stands alone, so everything beside one is in an allOf.
//
// It is stricter than the older system's where that one forgot to be:
// classifications and displays hold inside containers too, and maps hold
// nothing but strings and nulls.
func (c *Catalogue) Schema() []byte {
	properties := object{"schema": object{"type": "string"}}
	required := []string{"schema"}
	for _, k := range c.Containers {
		inner, innerRequired := object{}, []string{}
		for _, a := range c.Attributes {
			if container, name := a.Path.Split(); container == k.Name {
				inner[name] = c.schemaOf(a)
				if !a.Optional && !k.Optional {
					innerRequired = append(innerRequired, name)
				}
			}
		}
		container := object{"type": "object", "title": k.Title, "description": k.Description, "properties": inner, "additionalProperties": c.schemaOfOthers()}
		if len(innerRequired) > 0 { // draft 4 refuses an empty list
			container["required"] = innerRequired
		}
		properties[k.Name] = container
		required = append(required, k.Name)
	}
	for _, a := range c.Attributes {
		if container, name := a.Path.Split(); container == "" {
			properties[name] = c.schemaOf(a)
			if !a.Optional {
				required = append(required, name)
			}
		}
	}
	names := make([]people.Publisher, len(c.publishers))
	for i, p := range c.publishers {
		names[i] = p.Name
	}
	mark := func(title string, name object) object {
		return closed(title, object{"alg": ref("Alg"), "typ": ref("Typ"), "name": name, "value": object{"type": "string"}})
	}
	attribute := func(title, key string, value object) object {
		return closed(title, object{"signature": ref("Signature"), "metadata": ref("Metadata"), key: value})
	}
	date := object{"type": "string", "format": "date-time"}
	return served(object{
		"$schema": "http://json-schema.org/draft-04/schema#",
		"$ref":    "#/definitions/Profile",
		"definitions": object{
			"Profile":                  object{"type": "object", "title": "Profile", "properties": properties, "required": required, "additionalProperties": c.schemaOfOthers()},
			"StandardAttributeString":  attribute("StandardAttributeString", "value", object{"type": []string{"null", "string"}}),
			"StandardAttributeBoolean": attribute("StandardAttributeBoolean", "value", object{"type": []string{"null", "boolean"}}),
			"StandardAttributeValues": attribute("StandardAttributeValues", "values",
				object{"type": []string{"null", "object"}, "additionalProperties": object{"type": []string{"null", "string"}}}),
			"Metadata": closed("Metadata", object{
				"classification": ref("Classification"), "display": ref("Display"),
				"created": date, "last_modified": date, "verified": object{"type": "boolean"},
			}),
			"Signature": closed("Signature", object{
				"publisher": ref("Publisher"), "additional": object{"type": "array", "items": ref("PublisherLax")},
			}),
			"Publisher":          mark("Publisher", ref("PublisherAuthority")),
			"PublisherLax":       mark("PublisherLax", object{"type": []string{"null", "string"}}),
			"PublisherAuthority": object{"type": "string", "title": "PublisherAuthority", "enum": names},
			"Classification":     object{"type": "string", "title": "Classification", "enum": Classifications()},
			"Display":            object{"type": []string{"null", "string"}, "title": "Display", "enum": nullable(Displays())},
			"Alg":                object{"type": "string", "title": "Alg", "enum": algs()},
			"Typ":                object{"type": "string", "title": "Typ", "enum": typs()},
		},
	})
}

// schemaOf returns the schema of one attribute: its kind, and what holds for
// this attribute alone.
func (c *Catalogue) schemaOf(a Attribute) object {
	metadata := object{"classification": object{"enum": []string{a.Classification}}}
	if len(a.Displays) < len(Displays()) {
		metadata["display"] = object{"enum": nullable(a.Displays)}
	}
	rule := object{"metadata": object{"properties": metadata}}
	if signers := c.signers(a); len(signers) < len(c.publishers) {
		rule["signature"] = object{"properties": object{"publisher": object{"properties": object{"name": object{"enum": signers}}}}}
	}
	kind := ref(kindDefinitions()[a.Kind])
	if a.Kind == people.Null {
		kind = object{"anyOf": []object{ref("StandardAttributeString"), ref("StandardAttributeBoolean"), ref("StandardAttributeValues")}}
	}
	s := object{"allOf": []object{kind, {"properties": rule}}}
	if a.Title != "" {
		s["title"] = a.Title
	}
	if a.Description != "" {
		s["description"] = a.Description
	}
	return s
}

// schemaOfOthers returns the schema of attributes that are not listed.
func (c *Catalogue) schemaOfOthers() any {
	if c.DefaultRule == nil {
		return false
	}
	return c.schemaOf(*c.DefaultRule)
}

func kindDefinitions() map[people.Kind]string {
	return map[people.Kind]string{people.String: "StandardAttributeString", people.Bool: "StandardAttributeBoolean", people.Map: "StandardAttributeValues"}
}

func ref(definition string) object { return object{"$ref": "#/definitions/" + definition} }

// closed is an object with exactly these properties.
func closed(title string, properties object) object {
	var required []string
	for k := range properties {
		required = append(required, k)
	}
	slices.Sort(required)
	return object{"type": "object", "title": title, "properties": properties, "required": required, "additionalProperties": false}
}

// nullable is displays as JSON has them.
func nullable(displays []string) []any {
	out := make([]any, len(displays))
	for i, d := range displays {
		if d != "" {
			out[i] = d
		}
	}
	return out
}

// Rules returns the publisher rules as they are served, in the older system's
// form: "create" has a list for each attribute, "update" one name ("" is
// nobody), once for a container whose attributes all have the same.
func (c *Catalogue) Rules() []byte {
	create, update := object{}, object{}
	put := func(m object, path people.Path, rule any) {
		container, name := path.Split()
		if container == "" {
			m[name] = rule
			return
		}
		inner, _ := m[container].(object)
		if inner == nil {
			inner = object{}
			m[container] = inner
		}
		inner[name] = rule
	}
	for _, a := range c.Attributes {
		put(create, a.Path, a.Create)
		container, _ := a.Path.Split()
		if i, ok := c.containers[container]; ok && c.Containers[i].Updater != "" {
			update[container] = a.Update
		} else {
			put(update, a.Path, a.Update)
		}
	}
	if d := c.DefaultRule; d != nil {
		create["_default_"], update["_default_"] = d.Create, d.Update
	}
	return served(object{"create": create, "update": update})
}

// served writes a document for the wire: stable, and readable by people.
func served(v object) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // strings, booleans, lists and maps of them cannot fail
	}
	return append(b, '\n')
}

// Markdown returns the attributes as a table for the documentation.
func (c *Catalogue) Markdown() string {
	var b strings.Builder
	b.WriteString("| attribute | kind | classification | display | displays | may create | may update | what it is |\n|---|---|---|---|---|---|---|---|\n")
	for _, a := range c.Attributes {
		displays, update := "any", string(a.Update)
		if len(a.Displays) < len(Displays()) {
			displays = displayList(a.Displays)
		}
		if update == "" {
			update = "nobody"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n",
			a.Path, a.Kind, a.Classification, displayWord(a.Display), displays, join(a.Create), update, strings.ReplaceAll(a.Description, "|", `\|`))
	}
	return b.String()
}
