package view

import (
	"slices"

	"example.org/cis/transforms/people"
)

// Append appends a profile as JSON, with each of the containers, sorted, even if
// nothing stands in it. Apart from empty containers it is what
// [people.Profile.AppendJSON] writes.
func Append(b []byte, p *people.Profile, containers []string) []byte {
	empty := slices.DeleteFunc(slices.Clone(containers), func(c string) bool {
		return slices.ContainsFunc(p.Attributes, func(n people.Named) bool { in, _ := n.Path.Split(); return in == c })
	})
	if len(empty) == 0 {
		return p.AppendJSON(b)
	}
	b = append(b, '{')
	names := slices.Sorted(slices.Values(append(empty, "schema"))) // still to be written
	var in string
	open := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(people.AppendQuoted(b, name), ':')
	}
	before := func(top string) { // what comes before that name
		for len(names) > 0 && (top == "" || names[0] < top) {
			open(names[0])
			if names[0] == "schema" {
				b = people.AppendQuoted(b, p.Schema)
			} else {
				b = append(b, "{}"...)
			}
			names = names[1:]
		}
	}
	for _, n := range p.Attributes {
		container, name := n.Path.Split()
		if in != "" && container != in {
			b = append(b, '}')
			in = ""
		}
		if container == "" {
			before(name)
		} else if container != in {
			before(container)
			open(container)
			b, in = append(b, '{'), container
		}
		open(name)
		b = n.Attribute.AppendJSON(b, true)
	}
	if in != "" {
		b = append(b, '}')
	}
	before("")
	return append(b, '}')
}
