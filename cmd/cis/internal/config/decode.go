package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A decoder fills structs from the nodes of a YAML file and from variables,
// and collects what is wrong on the way.
type decoder struct {
	file, dir  string
	table      Table
	complaints Complaints
	// places says where each setting came from, by path.
	places map[string]place
	// refs are the variables that hold secrets.
	refs map[string]bool
}

type place struct {
	line     int
	variable string
}

// complain adds a complaint about the setting at path.
func (d *decoder) complain(path, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	at := d.placeOf(path)
	if at.variable == "" && path != "" {
		message = path + ": " + message
	}
	c := Complaint{Line: at.line, Variable: at.variable, Message: message}
	if c.Variable == "" {
		c.File = d.file
	}
	d.complaints = append(d.complaints, c)
}

// complained reports whether the setting at path is wrong already.
func (d *decoder) complained(path string) bool {
	return slices.ContainsFunc(d.complaints, func(c Complaint) bool {
		return strings.HasPrefix(c.Message, path+": ") || c.Variable == Variable(path)
	})
}

// placeOf is the place of the setting, or of what it stands in.
func (d *decoder) placeOf(path string) place {
	for path != "" {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{}
}

// root parses the file into its one mapping, nil after a complaint.
func (d *decoder) root(b []byte) ast.Node {
	if !utf8.Valid(b) {
		d.complain("", "not UTF-8 text")
		return nil
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		// The message of a syntax error quotes the text around it unless it is
		// taken apart.
		if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
			d.complaints = append(d.complaints, Complaint{File: d.file, Line: e.GetToken().Position.Line, Message: "not YAML: " + e.GetMessage()})
		} else {
			d.complain("", "not YAML")
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.complainAt(doc.Body, "", "a second document: want one")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		d.complain("", "empty: `cis init` writes a configuration to start from")
		return nil
	}
	plain := true
	ast.Walk(visitor(func(n ast.Node) {
		switch n.(type) {
		case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.DirectiveNode:
			d.complainAt(n, "", "anchors, aliases, merges and tags are not used here: write the value out")
			plain = false
		}
	}), body)
	if !plain {
		return nil
	}
	if _, ok := body.(ast.MapNode); !ok {
		d.complainAt(body, "", "want settings of the form key: value")
		return nil
	}
	return body
}

type visitor func(ast.Node)

func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}

func (d *decoder) complainAt(n ast.Node, path, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if path != "" {
		message = path + ": " + message
	}
	d.complaints = append(d.complaints, Complaint{File: d.file, Line: lineOf(n), Message: message})
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// decode puts the node into v. Key is the last key of the path, "" for what
// is an element of something. A null leaves the default.
func (d *decoder) decode(n ast.Node, v reflect.Value, path, key string) {
	if n == nil || n.Type() == ast.NullType {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), path, key)
		return
	}
	if isText(v) || isScalar(v) {
		text, ok := scalar(n)
		if !ok {
			d.complainAt(n, path, "%s", want(v))
			return
		}
		if err := d.set(v, key, text); err != nil {
			d.complainAt(n, path, "%s", err)
		}
		return
	}
	if sources, ok := v.Addr().Interface().(*[]Source); ok {
		d.decodeSources(n, sources, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		known := fields(v)
		d.entries(n, path, func(k string, value *ast.MappingValueNode) {
			f, ok := known[k]
			if !ok {
				d.complainAt(value.Key, path, "%s", unknown("key", k, slices.Sorted(maps.Keys(known))))
				return
			}
			at := join(path, k)
			d.places[at] = place{line: lineOf(value.Key)}
			d.decode(value.Value, f, at, k)
		})
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		d.entries(n, path, func(k string, value *ast.MappingValueNode) {
			elem := reflect.New(v.Type().Elem()).Elem()
			at := join(path, k)
			d.places[at] = place{line: lineOf(value.Key)}
			d.decode(value.Value, elem, at, "")
			m.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), elem)
		})
		v.Set(m)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.complainAt(n, path, "%s", want(v))
			return
		}
		out := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		for i, item := range list.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.places[at] = place{line: lineOf(item)}
			d.decode(item, out.Index(i), at, "")
		}
		v.Set(out)
	default:
		d.complainAt(n, path, "cannot be set in a file")
	}
}

// entries calls f for each entry of a mapping.
func (d *decoder) entries(n ast.Node, path string, f func(key string, value *ast.MappingValueNode)) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.complainAt(n, path, "want settings of the form key: value")
		return
	}
	for it := m.MapRange(); it.Next(); {
		k, ok := scalar(it.Key())
		if !ok {
			d.complainAt(it.Key(), path, "want a plain key")
			continue
		}
		f(k, it.KeyValue())
	}
}

// decodeSources reads the list of sources, each into what the table has for
// its type.
func (d *decoder) decodeSources(n ast.Node, out *[]Source, path string) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.complainAt(n, path, "want a list: each source begins with - name: …")
		return
	}
	seen := map[string]bool{}
	for i, item := range list.Values {
		var s Source
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = place{line: lineOf(item)}
		if _, ok := item.(ast.MapNode); !ok {
			d.complainAt(item, at, "want settings of the form key: value")
			continue
		}
		entries := map[string]*ast.MappingValueNode{}
		d.entries(item, at, func(k string, v *ast.MappingValueNode) { entries[k] = v })
		for key, to := range map[string]*string{"name": &s.Name, "type": &s.Type} {
			if e := entries[key]; e != nil {
				d.decode(e.Value, reflect.ValueOf(to).Elem(), join(at, key), key)
			}
		}
		types := slices.Sorted(maps.Keys(d.table.Sources))
		named := false
		switch {
		case s.Name == "":
			d.complainAt(item, at, "a source without a name")
		case !sourceName.MatchString(s.Name):
			d.complainAt(item, at, "a name is up to 32 of a-z, 0-9 and -, beginning with a letter")
		case seen[s.Name]:
			d.complainAt(item, at, "a second source with the name %s", s.Name)
		default:
			at, named = "sources."+s.Name, true
		}
		seen[s.Name] = true
		d.places[at] = place{line: lineOf(item)}
		fresh := d.table.Sources[s.Type]
		switch {
		case s.Type == "":
			d.complainAt(item, at, "a source without a type: want one of %s", strings.Join(types, ", "))
		case fresh == nil:
			d.complainAt(entries["type"].Value, at, "%s", unknown("type", s.Type, types))
		default:
			s.Config = fresh()
			d.decodeSource(item, s, at)
		}
		if !named {
			s.Config = nil // nothing more is to be said of it
		}
		*out = append(*out, s)
	}
}

func (d *decoder) decodeSource(n ast.Node, s Source, path string) {
	known := fields(reflect.ValueOf(s.Config).Elem())
	if f, ok := known["name"]; ok {
		f.SetString(s.Name)
	}
	d.entries(n, path, func(k string, value *ast.MappingValueNode) {
		if k == "name" || k == "type" {
			return
		}
		f, ok := known[k]
		if !ok {
			names := append(slices.Sorted(maps.Keys(known)), "name", "type")
			slices.Sort(names)
			d.complainAt(value.Key, path, "%s", unknown("key", k, slices.Compact(names)))
			return
		}
		at := join(path, k)
		d.places[at] = place{line: lineOf(value.Key)}
		d.decode(value.Value, f, at, k)
	})
}

// set puts text into v, a scalar. The error never holds the text.
func (d *decoder) set(v reflect.Value, key, text string) error {
	if v.Type() == reflect.TypeFor[Secret]() || isSecret(key) {
		s, err := parseSecret(text, d.dir)
		if err != nil {
			return err
		}
		if name, ok := strings.CutPrefix(string(s), "env:"); ok {
			d.refs[name] = true
		}
		text = string(s)
	} else if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return errors.New("a password within a URL: give it in a setting of its own, by reference (env:NAME or file:PATH)")
		}
	}
	if isText(v) {
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return errors.New("not valid here")
		}
		return nil
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		x, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(want(v))
		}
		v.SetInt(int64(x))
		return nil
	}
	bad := errors.New(want(v))
	switch v.Kind() {
	case reflect.String:
		if isPath(key) {
			text = within(d.dir, text)
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return bad
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetInt(x)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetUint(x)
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetFloat(x)
	}
	return nil
}

// want says in words what v takes.
func want(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return "want a duration such as 90s, 15m or 24h"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "want true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "want a whole number"
	case reflect.Float32, reflect.Float64:
		return "want a number"
	case reflect.Slice:
		return "want a list, such as [a, b]"
	}
	return "want text"
}

// isText reports whether v reads itself from text.
func isText(v reflect.Value) bool {
	return v.CanAddr() && v.Addr().Type().Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func isScalar(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Func, reflect.Interface, reflect.Chan, reflect.Array:
		return false
	}
	return true
}

// scalar returns the text of a plain value, as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// fields returns the settable fields of a struct by their yaml key. A field
// without a yaml tag is not a setting.
func fields(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for f, fv := range v.Fields() {
		tag, tagged := f.Tag.Lookup("yaml")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case !tagged || name == "-" || !f.IsExported():
		case options == "inline":
			maps.Copy(out, fields(fv))
		default:
			out[name] = fv
		}
	}
	return out
}

// isPath reports whether a setting of this key is a path of this machine.
func isPath(key string) bool {
	return key == "file" || key == "catalogue" || strings.HasSuffix(key, "_file")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
