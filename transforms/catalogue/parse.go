package catalogue

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"example.org/cis/transforms/people"
)

var word = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// isName reports whether a publisher, a container or an attribute may have
// the name: a small word, the same in JSON, in a path and in a column of a
// table, and none that a profile or an attribute has a field of.
func isName(s string) bool {
	switch s {
	case "schema", "signature", "metadata", "value", "values", "nobody":
		return false
	}
	return word.MatchString(s)
}

// Parse reads a catalogue in the form of catalogue.yaml, whose head describes
// it. The error joins every complaint, one a line, as "name:line: what".
func Parse(name string, b []byte) (*Catalogue, error) {
	r := &reader{c: &Catalogue{index: map[people.Path]int{}, containers: map[string]int{}}, at: map[people.Path]place{}}
	own := r.file(name, b)
	files := []sections{own}
	if n, ok := own.entry["extends"]; ok {
		r.in = name
		if r.text(n) == "default" {
			files = []sections{r.file("built-in catalogue.yaml", builtIn), own}
		} else {
			r.complain(n, `extends: want "default"`)
		}
	}
	if len(own.entry) > 0 { // what is no catalogue at all is missing everything: one complaint is enough
		r.read(files)
	}
	if len(r.complaints) == 0 {
		return r.c, nil
	}
	slices.SortStableFunc(r.complaints, func(a, b complaint) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		return a.line - b.line
	})
	errs := make([]error, len(r.complaints))
	for i, c := range r.complaints {
		errs[i] = fmt.Errorf("%s:%d: %s", c.file, c.line, c.what)
	}
	return nil, errors.Join(errs...)
}

// sections are the top-level keys of one file.
type sections struct {
	name  string
	entry map[string]ast.Node
}

type place struct {
	file string
	line int
}

type complaint struct {
	place
	what string
}

// A reader builds one catalogue and collects what is wrong with its files.
type reader struct {
	c          *Catalogue
	in         string // the file that is being read
	at         map[people.Path]place
	removed    struct{ publishers, attributes []string }
	complaints []complaint
}

func (r *reader) complain(n ast.Node, format string, args ...any) {
	r.complaints = append(r.complaints, complaint{r.placeOf(n), fmt.Sprintf(format, args...)})
}

func (r *reader) placeOf(n ast.Node) place {
	// A block's own token is its first colon, in the line of its first key.
	return place{r.in, n.GetToken().Position.Line}
}

// file reads the top level of a file.
func (r *reader) file(name string, b []byte) sections {
	r.in = name
	s := sections{name, map[string]ast.Node{}}
	f, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, what := place{name, 1}, "not YAML"
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			what += ": " + syntax.GetMessage()
			if t := syntax.GetToken(); t != nil {
				at.line = t.Position.Line
			}
		}
		r.complaints = append(r.complaints, complaint{at, what})
		return s
	}
	known := []string{"extends", "remove", "schema_uri", "publishers", "containers", "attributes", "default_rule"}
	switch {
	case len(f.Docs) == 0 || f.Docs[0].Body == nil:
		r.complaints = append(r.complaints, complaint{place{name, 1}, "empty"})
	case len(f.Docs) > 1:
		r.complain(f.Docs[1].Body, "a second document")
	default:
		r.object(f.Docs[0].Body, "the catalogue", func(key string, at, value ast.Node) {
			if r.known(at, key, "key", known) {
				s.entry[key] = value
			}
		})
		if len(s.entry) == 0 && len(r.complaints) == 0 {
			r.complain(f.Docs[0].Body, "empty")
		}
	}
	return s
}

// read builds the catalogue from files, of which a later one's entries
// replace those of the same name in an earlier one.
func (r *reader) read(files []sections) {
	own := files[len(files)-1]
	section := func(key string, read func(key string, at, value ast.Node, last bool)) {
		for _, f := range files {
			r.in = f.name
			if n, ok := f.entry[key]; ok {
				r.object(n, key, func(name string, at, value ast.Node) { read(name, at, value, f.name == own.name) })
			}
		}
	}
	for _, f := range files {
		r.in = f.name
		if n, ok := f.entry["schema_uri"]; ok {
			r.c.SchemaURI = r.text(n)
		}
	}
	if len(files) > 1 {
		r.remove(files[0], own)
	} else if n, ok := own.entry["remove"]; ok {
		r.complain(n, "remove: there is nothing to remove from without extends")
	}
	section("publishers", func(name string, at, value ast.Node, last bool) {
		if last || !slices.Contains(r.removed.publishers, name) {
			r.publisher(name, at, value)
		}
	})
	section("containers", func(name string, at, value ast.Node, _ bool) { r.container(name, at, value) })
	section("attributes", func(name string, at, value ast.Node, last bool) {
		if !last {
			n := own.entry["attributes"]
			if slices.Contains(r.removed.attributes, name) || n != nil && has(n, name) {
				return
			}
		}
		r.listed(people.Path(name), at, value)
	})
	for _, f := range slices.Backward(files) {
		r.in = f.name
		if n, ok := f.entry["default_rule"]; ok {
			a := r.attribute(n, n, "default_rule", "")
			r.c.DefaultRule = &a
			break
		}
	}
	slices.SortFunc(r.c.Attributes, func(a, b Attribute) int { return strings.Compare(string(a.Path), string(b.Path)) })
	for i, a := range r.c.Attributes {
		r.c.index[a.Path] = i
	}
	r.whole(own.name)
}

// whole makes the complaints that are about the catalogue as a whole.
func (r *reader) whole(name string) {
	missing := func(what string, args ...any) {
		r.complaints = append(r.complaints, complaint{place{name, 1}, fmt.Sprintf(what, args...)})
	}
	if r.c.SchemaURI == "" {
		missing("schema_uri: missing")
	}
	if _, ok := r.c.Publisher(people.CIS); !ok {
		missing("publishers: no %q, who signs what several publishers or none have said", people.CIS)
	}
	// These the service itself reads and writes.
	core := map[people.Path]people.Kind{
		people.UUID: people.String, people.UserID: people.String, people.PrimaryUsername: people.String, people.PrimaryEmail: people.String,
		people.Active: people.Bool, people.LastModified: people.String, people.Created: people.String,
	}
	for _, path := range slices.Sorted(maps.Keys(core)) {
		i, ok := r.c.index[path]
		if !ok {
			missing("attributes: no %q, which every profile has", path)
		} else if k := r.c.Attributes[i].Kind; k != core[path] && k != people.Null {
			r.complaints = append(r.complaints, complaint{r.at[path], fmt.Sprintf("%s: a %s, and the service writes a %s", path, k, core[path])})
		}
	}
	for _, k := range r.c.Containers {
		used := slices.ContainsFunc(r.c.Attributes, func(a Attribute) bool { c, _ := a.Path.Split(); return c == k.Name })
		if !used {
			r.complaints = append(r.complaints, complaint{r.at[people.Path(k.Name)], fmt.Sprintf("%s: a container without attributes", k.Name)})
		}
	}
}

// remove reads what the own file takes out of the one it extends.
func (r *reader) remove(base, own sections) {
	r.in = own.name
	n, ok := own.entry["remove"]
	if !ok {
		return
	}
	r.object(n, "remove", func(key string, at, value ast.Node) {
		if !r.known(at, key, "key", []string{"publishers", "attributes"}) {
			return
		}
		for _, e := range r.list(value, "remove."+key) {
			name := r.text(e)
			if !has(base.entry[key], name) {
				r.complain(e, "remove: the built-in catalogue has no %q%s", name, suggest(name, keys(base.entry[key])))
			}
			if key == "publishers" {
				r.removed.publishers = append(r.removed.publishers, name)
			} else {
				r.removed.attributes = append(r.removed.attributes, name)
			}
		}
	})
}

func (r *reader) publisher(name string, at, n ast.Node) {
	if !isName(name) {
		r.complain(at, "publishers: %q is no name for a publisher", name)
	}
	p := Publisher{Name: people.Publisher(name)}
	r.object(n, name, func(key string, at, value ast.Node) {
		switch {
		case !r.known(at, key, "key", []string{"title", "may_edit_display", "extension"}):
		case key == "title":
			p.Title = r.text(value)
		case key == "extension":
			p.Extension = r.bool(value)
		default:
			p.MayEditDisplay = r.bool(value)
		}
	})
	if i := slices.IndexFunc(r.c.publishers, func(q Publisher) bool { return q.Name == p.Name }); i >= 0 {
		r.c.publishers[i] = p
		return
	}
	r.c.publishers = append(r.c.publishers, p)
}

func (r *reader) container(name string, at, n ast.Node) {
	if !isName(name) {
		r.complain(at, "containers: %q is no name for a container", name)
	}
	k := Container{Name: name}
	r.object(n, name, func(key string, at, value ast.Node) {
		switch {
		case !r.known(at, key, "key", []string{"title", "description", "update", "optional"}):
		case key == "title":
			k.Title = r.text(value)
		case key == "description":
			k.Description = r.text(value)
		case key == "update":
			k.Updater = r.publisherName(value)
		default:
			k.Optional = r.bool(value)
		}
	})
	r.at[people.Path(name)] = r.placeOf(at)
	if i, ok := r.c.containers[name]; ok {
		r.c.Containers[i] = k
		return
	}
	r.c.containers[name] = len(r.c.Containers)
	r.c.Containers = append(r.c.Containers, k)
}

// listed reads one entry of attributes.
func (r *reader) listed(path people.Path, at, n ast.Node) {
	container, name := path.Split()
	var updater people.Publisher
	switch i, isContainer := r.c.containers[string(path)]; {
	case !isName(name):
		r.complain(at, "%s: no name for an attribute", path)
	case isContainer:
		r.complain(at, "%s: is a container (%s)", path, r.c.Containers[i].Name)
	case container != "":
		i, ok := r.c.containers[container]
		if !ok {
			r.complain(at, "%s: no container %q%s", path, container, suggest(container, slices.Collect(maps.Keys(r.c.containers))))
		} else {
			updater = r.c.Containers[i].Updater
		}
	}
	a := r.attribute(at, n, string(path), updater)
	a.Path = path
	r.at[path] = r.placeOf(at)
	r.c.Attributes = append(r.c.Attributes, a)
}

// attribute reads what holds for an attribute. Complaints about what is
// missing are made at the entry's name, those about the rest in their line.
func (r *reader) attribute(at, n ast.Node, name string, updater people.Publisher) Attribute {
	a := Attribute{Update: updater, Displays: Displays()}
	isDefault := name == "default_rule"
	given := map[string]ast.Node{}
	known := []string{"title", "description", "kind", "classification", "display", "displays", "create", "update", "propose", "publisher", "optional", "proven_by", "composed_by", "keys"}
	r.object(n, name, func(key string, at, value ast.Node) {
		if !r.known(at, key, "key", known) {
			return
		}
		given[key] = value
		switch key {
		case "title":
			a.Title = r.text(value)
		case "description":
			a.Description = r.text(value)
		case "kind":
			if w := r.text(value); r.known(value, w, "kind", []string{"string", "boolean", "map"}) {
				a.Kind = map[string]people.Kind{"string": people.String, "boolean": people.Bool, "map": people.Map}[w]
			}
		case "classification":
			a.Classification = r.text(value)
			r.known(value, a.Classification, "classification", Classifications())
		case "display":
			a.Display = r.display(value)
		case "displays":
			a.Displays = r.displays(value)
		case "create":
			a.Create = r.publisherNames(value, key)
		case "update":
			if updater != "" {
				r.complain(at, "%s: update: its container says already that %s updates", name, updater)
			} else if w := r.text(value); r.known(value, w, "publisher", append(r.publisherWords(), "nobody")) && w != "nobody" {
				a.Update = people.Publisher(w)
			}
		case "propose":
			a.Propose = r.publisherNames(value, key)
		case "publisher":
			a.Publisher = r.publisherName(value)
		case "optional":
			a.Optional = r.bool(value)
		case "proven_by":
			a.ProvenBy = r.publisherName(value)
		case "composed_by":
			a.ComposedBy = r.publisherName(value)
		case "keys":
			a.Keys = r.patterns(value)
		}
	})
	for _, key := range []string{"kind", "classification", "create", "update"} {
		if given[key] == nil && !(key == "kind" && isDefault) && !(key == "update" && updater != "") {
			r.complain(at, "%s: %s: missing", name, key)
		}
	}
	if isDefault {
		for _, key := range []string{"optional", "proven_by", "composed_by", "keys"} {
			if v := given[key]; v != nil {
				r.complain(v, "default_rule: %s: is for attributes that are listed", key)
			}
		}
	}
	if len(a.Displays) > 0 && !a.Allows(a.Display) {
		v := given["display"]
		if v == nil {
			v = given["displays"]
		}
		r.complain(v, "%s: display: %s is not in displays", name, displayWord(a.Display))
	}
	if v := given["propose"]; v != nil && a.Update == "" {
		r.complain(v, "%s: propose: nobody updates", name)
	}
	if v := given["composed_by"]; v != nil && a.Kind != people.Map {
		r.complain(v, "%s: composed_by: only maps are composed", name)
	}
	if (given["composed_by"] == nil) != (given["keys"] == nil) && !isDefault {
		r.complain(at, "%s: composed_by and keys go together", name)
	}
	if a.Publisher == "" {
		a.Publisher = a.Update
		if a.Publisher == "" && len(a.Create) > 0 {
			a.Publisher = a.Create[0]
		}
	}
	return a
}

// patterns reads whose the keys of a composed map are. Two publishers cannot
// own one key.
func (r *reader) patterns(n ast.Node) map[people.Publisher][]string {
	out := map[people.Publisher][]string{}
	owner := map[string]string{}
	r.object(n, "keys", func(name string, at, value ast.Node) {
		r.known(at, name, "publisher", r.publisherWords())
		for _, e := range r.list(value, "keys") {
			p := r.text(e)
			start, open := strings.CutSuffix(p, "*")
			if start == "" || strings.Contains(start, "*") || strings.ContainsFunc(start, unicode.IsControl) {
				r.complain(e, `keys: want a key, or the beginning of keys and "*"`)
				continue
			}
			for q, other := range owner {
				if other != name && (matches(q, start) || open && strings.HasPrefix(q, start)) {
					r.complain(e, "keys: %q may be a key of %s too (%q)", p, other, q)
				}
			}
			owner[p] = name
			out[people.Publisher(name)] = append(out[people.Publisher(name)], p)
		}
	})
	return out
}

// object calls field for each entry of a mapping, once a key.
func (r *reader) object(n ast.Node, what string, field func(key string, at, value ast.Node)) {
	seen := map[string]int{}
	entries, ok := entriesOf(n)
	if !ok {
		r.complain(n, "%s: want keys and values", what)
		return
	}
	for _, e := range entries {
		key, ok := textOf(e.Key)
		if !ok {
			r.complain(e.Key, "%s: a key that is not a word", what)
			continue
		}
		line := e.Key.GetToken().Position.Line
		if first, ok := seen[key]; ok {
			r.complain(e.Key, "%s: %s: is in line %d already", what, key, first)
			continue
		}
		seen[key] = line
		field(key, e.Key, e.Value)
	}
}

func (r *reader) list(n ast.Node, what string) []ast.Node {
	s, ok := n.(*ast.SequenceNode)
	if !ok || len(s.Values) == 0 {
		r.complain(n, "%s: want a list", what)
		return nil
	}
	seen := map[string]bool{}
	for _, v := range s.Values {
		if t, ok := textOf(v); ok && seen[t] {
			r.complain(v, "%s: %q is there twice", what, t)
		} else {
			seen[t] = true
		}
	}
	return s.Values
}

func (r *reader) text(n ast.Node) string {
	s, _ := textOf(n)
	if s == "" {
		r.complain(n, "want a text")
	}
	return s
}

func (r *reader) bool(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.complain(n, "want true or false")
		return false
	}
	return b.Value
}

// display reads one audience; null is "".
func (r *reader) display(n ast.Node) string {
	if _, ok := n.(*ast.NullNode); ok {
		return ""
	}
	d := r.text(n)
	r.known(n, d, "display", Displays()[:len(Displays())-1])
	return d
}

func (r *reader) displays(n ast.Node) []string {
	if t, ok := textOf(n); ok && t == "any" {
		return Displays()
	}
	var out []string
	for _, e := range r.list(n, "displays") {
		out = append(out, r.display(e))
	}
	return out
}

func (r *reader) publisherNames(n ast.Node, what string) []people.Publisher {
	var out []people.Publisher
	for _, e := range r.list(n, what) {
		out = append(out, r.publisherName(e))
	}
	return out
}

func (r *reader) publisherName(n ast.Node) people.Publisher {
	name := r.text(n)
	r.known(n, name, "publisher", r.publisherWords())
	return people.Publisher(name)
}

func (r *reader) publisherWords() []string {
	words := make([]string, len(r.c.publishers))
	for i, p := range r.c.publishers {
		words[i] = string(p.Name)
	}
	return words
}

// known complains of a word that is none of the words, and names the one that
// may have been meant.
func (r *reader) known(n ast.Node, word, what string, words []string) bool {
	if slices.Contains(words, word) {
		return true
	}
	if word == "" { // text has complained
		return false
	}
	r.complain(n, "no %s is called %q%s", what, word, suggest(word, words))
	return false
}

func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

func entriesOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func keys(n ast.Node) []string {
	entries, _ := entriesOf(n)
	var out []string
	for _, e := range entries {
		if key, ok := textOf(e.Key); ok {
			out = append(out, key)
		}
	}
	return out
}

func has(n ast.Node, key string) bool { return slices.Contains(keys(n), key) }

// suggest returns " (did you mean …?)" for the word nearest to what was
// written, "" if none is near.
func suggest(word string, words []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, w := range slices.Sorted(slices.Values(words)) {
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	row := func() []int { return make([]int, len(b)+1) }
	before, last, this := row(), row(), row()
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		this[0] = i
		for j := 1; j <= len(b); j++ {
			d := last[j-1]
			if a[i-1] != b[j-1] {
				d = 1 + min(d, last[j], this[j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, 1+before[j-2])
			}
			this[j] = d
		}
		before, last, this = last, this, before
	}
	return last[len(b)]
}
