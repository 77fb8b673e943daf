package merge_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

// numbersBecomeText is the one rule by which a merged attribute may differ from
// the older system's: it returns the older one with the numbers and booleans
// of its values written as text.
func numbersBecomeText(attribute any) any {
	a, ok := attribute.(map[string]any)
	values, isMap := a["values"].(map[string]any)
	if !ok || !isMap {
		return attribute
	}
	next := map[string]any{}
	for k, v := range values {
		switch v := v.(type) {
		case json.Number:
			next[k] = v.String()
		case bool:
			next[k] = map[bool]string{true: "true", false: "false"}[v]
		default:
			next[k] = v
		}
	}
	out := map[string]any{}
	for k, v := range a {
		out[k] = v
	}
	out["values"] = next
	return out
}

// rules are those that testdata/vectors/accepted-merges.json may name.
var rules = map[string]func(any) any{"numbers in values become text": numbersBecomeText}

// accepted applies every listed rule.
func accepted(t *testing.T) func(any) any {
	t.Helper()
	var list []struct {
		Rule string `json:"rule"`
		Fix  string `json:"fix"`
	}
	read(t, "../../testdata/vectors/accepted-merges.json", &list)
	named := map[string]bool{}
	for _, a := range list {
		if rules[a.Rule] == nil || a.Fix == "" {
			t.Fatalf("%q: no such rule, or no fix", a.Rule)
		}
		named[a.Rule] = true
	}
	return func(x any) any {
		for name := range named {
			x = rules[name](x)
		}
		return x
	}
}

func TestAccepted(t *testing.T) {
	apply := accepted(t)
	for _, c := range []struct{ older, want string }{
		{`{"values":{"a":1,"b":-1.50,"c":true,"d":null,"e":"x"},"metadata":{"verified":true}}`, `{"values":{"a":"1","b":"-1.50","c":"true","d":null,"e":"x"},"metadata":{"verified":true}}`},
		{`{"value":true}`, `{"value":true}`},
		{`{"values":null}`, `{"values":null}`},
	} {
		if got, want := apply(decode(t, []byte(c.older))), decode(t, []byte(c.want)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", c.older, got, want)
		}
	}
}

// TestVectorsMerges puts whole profiles into whole profiles and compares each
// attribute with what the older system made of it, and which it said changed.
func TestVectorsMerges(t *testing.T) {
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: the older system's merges are not compared")
	}
	var vectors []struct {
		Current, Incoming, Merged json.RawMessage
		Changed                   []people.Path
	}
	read(t, filepath.Join(dir, "merges.json"), &vectors)
	apply := accepted(t)
	differences, attributes := 0, 0
	for i, v := range vectors {
		stored, err := people.ParseProfile(v.Current)
		if err != nil {
			t.Fatalf("vector %d: %v", i, err)
		}
		incoming, err := people.ParseProfile(v.Incoming)
		if err != nil {
			t.Fatalf("vector %d: %v", i, err)
		}
		merged, changed := merge.Incoming(stored, incoming)

		got, want := flat(t, merged.AppendJSON(nil)), flat(t, v.Merged)
		for path := range want {
			if _, ok := got[path]; !ok {
				t.Errorf("vector %d: %s is missing", i, path)
			}
		}
		for path, a := range got {
			attributes++
			switch older, ok := want[path]; {
			case !ok:
				t.Errorf("vector %d: %s is too much", i, path)
			case reflect.DeepEqual(a, older):
			case reflect.DeepEqual(a, apply(older)):
				differences++
			default:
				t.Errorf("vector %d: %s differs", i, path)
			}
		}

		older := slices.Sorted(slices.Values(v.Changed))
		// What differed only as the accepted rules say is no change here.
		before, sent := flat(t, v.Current), flat(t, v.Incoming)
		older = slices.DeleteFunc(older, func(path people.Path) bool {
			x, y := before[path], sent[path]
			return !slices.Contains(changed, path) && !sameContent(x, y) && sameContent(apply(x), apply(y))
		})
		if !slices.Equal(changed, older) {
			t.Errorf("vector %d: changed\n%v, want\n%v", i, changed, older)
		}
	}
	if len(vectors) == 0 {
		t.Error("no vectors")
	}
	t.Logf("%d merges, %d attributes, %d accepted differences", len(vectors), attributes, differences)
}

func sameContent(x, y any) bool {
	of := func(v any) []any {
		a, _ := v.(map[string]any)
		m, _ := a["metadata"].(map[string]any)
		return []any{a["value"], a["values"], m["display"], m["verified"]}
	}
	return reflect.DeepEqual(of(x), of(y))
}

// flat reads the attributes of a profile by path, as JSON and without our own
// reader.
func flat(t *testing.T, profile []byte) map[people.Path]any {
	t.Helper()
	out := map[people.Path]any{}
	top, _ := decode(t, profile).(map[string]any)
	for name, v := range top {
		object, ok := v.(map[string]any)
		if !ok {
			continue // the schema
		}
		if _, ok := object["metadata"]; ok {
			out[people.Path(name)] = object
			continue
		}
		for second, v := range object {
			out[people.Path(name+"."+second)] = v
		}
	}
	return out
}

func decode(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
