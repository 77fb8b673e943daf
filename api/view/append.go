package view

import (
	"slices"

	"example.org/cis/transforms/people"
)

// appendAll appends an object with the schema and attributes at paths, which are
// sorted, each written by put.
func appendAll(b []byte, schema string, paths []people.Path, containers []string, put func(b []byte, i int) []byte) []byte {
	// What else has to be written: the schema, and containers without attributes.
	rest := make([]string, 0, 8)
	for _, c := range containers {
		if !slices.ContainsFunc(paths, func(p people.Path) bool { in, _ := p.Split(); return in == c }) {
			rest = append(rest, c)
		}
	}
	rest = append(rest, "schema")
	slices.Sort(rest)
	b = append(b, '{')
	open := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(people.AppendQuoted(b, name), ':')
	}
	before := func(top string) { // what comes before that name; "" is the end
		for len(rest) > 0 && (top == "" || rest[0] < top) {
			open(rest[0])
			if rest[0] == "schema" {
				b = people.AppendQuoted(b, schema)
			} else {
				b = append(b, "{}"...)
			}
			rest = rest[1:]
		}
	}
	var in string
	for i, path := range paths {
		container, name := path.Split()
		if in != "" && container != in {
			b, in = append(b, '}'), ""
		}
		if container == "" {
			before(name)
		} else if container != in {
			before(container)
			open(container)
			b, in = append(b, '{'), container
		}
		open(name)
		b = put(b, i)
	}
	if in != "" {
		b = append(b, '}')
	}
	before("")
	return append(b, '}')
}
