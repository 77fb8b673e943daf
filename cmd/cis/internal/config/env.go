package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/parser"
)

// Prefix begins the name of every override.
const Prefix = "CIS_"

// A setting is one leaf of the configuration.
type setting struct {
	value     reflect.Value
	path, key string
}

// overrides puts the variables that name a setting into its place.
func (d *decoder) overrides(c *Config, env Env) {
	known := map[string]setting{}
	d.settings(reflect.ValueOf(c).Elem(), "", known)
	for _, s := range c.Sources {
		if s.Config != nil && s.Name != "" {
			d.settings(reflect.ValueOf(s.Config).Elem(), "sources."+s.Name, known)
			delete(known, Variable("sources."+s.Name+".name"))
		}
	}
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text := env[name]
		if !strings.HasPrefix(name, Prefix) || text == "" || d.refs[name] {
			continue
		}
		s, ok := known[name]
		if !ok {
			if mistaken(name, names) {
				d.complaints = append(d.complaints, Complaint{Variable: name, Message: unknown("setting", name, names)})
			}
			continue
		}
		d.places[s.path] = place{variable: name}
		d.override(s, text)
	}
}

// settings collects the leaves below v by the names of their variables.
func (d *decoder) settings(v reflect.Value, path string, out map[string]setting) {
	for key, f := range fields(v) {
		at := join(path, key)
		switch {
		case at == "sources":
		case f.Kind() == reflect.Struct && !isText(f):
			d.settings(f, at, out)
		default:
			name := Variable(at)
			if other, taken := out[name]; taken {
				first, second := min(other.path, at), max(other.path, at)
				d.complain(second, "the variable %s would mean %s as well: rename a source", name, first)
			}
			out[name] = setting{f, at, key}
		}
	}
}

func (d *decoder) override(s setting, text string) {
	if isText(s.value) || isScalar(s.value) {
		if err := d.set(s.value, s.key, text); err != nil {
			d.complain(s.path, "%s", err)
		}
		return
	}
	if s.value.Type() == reflect.TypeFor[[]string]() {
		list := strings.Split(text, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		s.value.Set(reflect.ValueOf(list))
		return
	}
	inner := &decoder{dir: d.dir, places: map[string]place{}, refs: d.refs}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil || len(file.Docs) != 1 || file.Docs[0].Body == nil {
		d.complain(s.path, "want YAML in one line, such as {a: b} or [a, b]")
		return
	}
	inner.decode(file.Docs[0].Body, s.value, "", "")
	for _, c := range inner.complaints {
		d.complain(s.path, "%s", c.Message)
	}
}

// Variable returns the name of the variable that overrides the setting at
// path.
func Variable(path string) string {
	return Prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// mistaken reports whether a variable that names no setting was meant to.
// Others are none of our business: a cluster may set CIS_SERVICE_HOST.
func mistaken(name string, known []string) bool {
	for _, section := range []string{"SOURCES_", "SIGNING_", "ABSENCE_"} {
		if strings.HasPrefix(name, Prefix+section) {
			return true
		}
	}
	bare := make([]string, len(known))
	for i, k := range known {
		bare[i] = strings.TrimPrefix(k, Prefix)
	}
	return closest(strings.TrimPrefix(name, Prefix), bare) != ""
}
