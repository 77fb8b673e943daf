package hris

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"example.org/cis/transforms/people"
)

// A differs is a rule by which our value may differ from the older system's.
// It computes the older one from the row, so that it accepts that value only.
type differs func(row map[string]string, older, ours string, silent bool) bool

// rules are those that testdata/vectors/accepted-hris.json may name.
var rules = map[string]differs{
	"first word as written": func(row map[string]string, older, ours string, silent bool) bool {
		first := strings.Split(row["Cost_Center"], " ")[0]
		number, err := strconv.ParseFloat(first, 64)
		return err == nil && !silent && ours == first && older == pythonFloat(number)
	},
	"one form of offset": func(row map[string]string, older, ours string, silent bool) bool {
		offset, zone, _ := strings.Cut(older, " ")
		name := row["Time_Zone"]
		digits := strings.Replace(offsetOf(name), ":", "", 1)
		switch name {
		case "GMT Western European Time (Casablanca)":
			digits = "+0100"
		case "GMT+01:00 Central European Time (Amsterdam)":
			digits = "+0200"
		}
		return !silent && offset == "UTC"+digits && ours == "UTC"+offsetOf(name)+" "+zone
	},
	"unknown zone was London": func(row map[string]string, older, ours string, silent bool) bool {
		if older != "UTC+0000 Europe/London" || strings.Contains(row["Time_Zone"], "(London)") {
			return false
		}
		return silent || strings.HasPrefix(ours, "UTC"+offsetOf(row["Time_Zone"])+" ")
	},
}

// pythonFloat writes f as str(float) does in Python.
func pythonFloat(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// offsetOf returns the offset in Workday's name of a zone, "+00:00" for none.
func offsetOf(name string) string {
	offset, _, _ := strings.Cut(strings.TrimPrefix(name, "GMT"), " ")
	if offset == "" {
		return "+00:00"
	}
	return offset
}

type accepted struct {
	Attribute people.Path `json:"attribute"`
	Rule      string      `json:"rule"`
	Fix       string      `json:"fix"`
}

func readAccepted(t *testing.T) []accepted {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/accepted-hris.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []accepted
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAccepted keeps the list and the rules in step.
func TestAccepted(t *testing.T) {
	named := map[string]bool{}
	for _, a := range readAccepted(t) {
		if rules[a.Rule] == nil || a.Attribute == "" || a.Fix == "" {
			t.Errorf("%q of %q: no such rule, or no attribute or fix", a.Rule, a.Attribute)
		}
		named[a.Rule] = true
	}
	for rule := range rules {
		if !named[rule] {
			t.Errorf("rule %q is not in the list", rule)
		}
	}
}

// TestRules holds examples of what the rules accept and what they do not.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		rule, field, value, older, ours string
		want                            bool
	}{
		{"first word as written", "Cost_Center", "0990 - Ops", "990.0", "0990", true},
		{"first word as written", "Cost_Center", "1337.1 - Team", "1337.1", "1337.1", true},
		{"first word as written", "Cost_Center", "0990 - Ops", "991.0", "0990", false},
		{"first word as written", "Cost_Center", "0990 - Ops", "990.0", "990", false},
		{"first word as written", "Cost_Center", "Ops", "Ops", "Ops", false},
		{"one form of offset", "Time_Zone", "GMT-08:00 Pacific Time", "UTC-0800 US/Pacific", "UTC-08:00 US/Pacific", true},
		{"one form of offset", "Time_Zone", "GMT+01:00 Central European Time (Amsterdam)", "UTC+0200 Europe/Amsterdam", "UTC+01:00 Europe/Amsterdam", true},
		{"one form of offset", "Time_Zone", "GMT Western European Time (Casablanca)", "UTC+0100 Africa/Casablanca", "UTC+00:00 Africa/Casablanca", true},
		{"one form of offset", "Time_Zone", "GMT-08:00 Pacific Time", "UTC-0700 US/Pacific", "UTC-08:00 US/Pacific", false},
		{"one form of offset", "Time_Zone", "GMT-08:00 Pacific Time", "UTC-0800 US/Pacific", "UTC-08:00 America/Los_Angeles", false},
		{"unknown zone was London", "Time_Zone", "GMT+01:00 Atlantis Time (Atlantis)", "UTC+0000 Europe/London", "", true},
		{"unknown zone was London", "Time_Zone", "GMT+02:00 Israel Time (Jerusalem)", "UTC+0000 Europe/London", "UTC+02:00 Asia/Jerusalem", true},
		{"unknown zone was London", "Time_Zone", "GMT+02:00 Israel Time (Jerusalem)", "UTC+0000 Europe/London", "UTC+03:00 Asia/Jerusalem", false},
		{"unknown zone was London", "Time_Zone", "GMT United Kingdom Time (London)", "UTC+0000 Europe/London", "", false},
	} {
		if got := rules[c.rule](map[string]string{c.field: c.value}, c.older, c.ours, c.ours == ""); got != c.want {
			t.Errorf("%s: %s to %q for %q: accepted %v", c.rule, c.older, c.ours, c.value, got)
		}
	}
}

// TestVectorsHRIS compares the mapping with the older system's own results,
// attribute by attribute. They differ by the rules accepted, and by no others.
func TestVectorsHRIS(t *testing.T) {
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: the vectors of the older system were not compared")
	}
	b, err := os.ReadFile(filepath.Join(dir, "hris.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Report struct {
			Rows []json.RawMessage `json:"Report_Entry"`
		} `json:"report"`
		Known    map[string]string                 `json:"known_users"`
		Profiles map[string]map[people.Path]vector `json:"profiles"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	list := readAccepted(t)
	used := map[string]int{}
	m := newMapping("")
	seen := map[string]bool{}
	for i, raw := range vectors.Report.Rows {
		r, reason := m.parse(raw)
		if reason != "" {
			t.Errorf("row %d: %s", i+1, reason)
			continue
		}
		mail := strings.ToLower(r[workMail].text)
		if r[currentlyActive].text != "1" || vectors.Known[mail] == "" {
			continue
		}
		seen[mail] = true
		claims, _ := m.claims(r, true)
		ours := map[people.Path]people.Claim{}
		for _, c := range claims {
			ours[c.Path] = c
		}
		older := vectors.Profiles[mail]
		if older == nil {
			t.Errorf("row %d: no profile in the vectors", i+1)
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(older)) {
			want, got := older[path], ours[path]
			if want.Publisher != string(people.HRIS) {
				t.Errorf("row %d, %s: published by %s", i+1, path, want.Publisher)
			}
			if want.Value.Equal(got.Value) {
				if !got.Value.IsNull() && want.Display != got.Display {
					t.Errorf("row %d, %s: display %q, want %q", i+1, path, got.Display, want.Display)
				}
				continue
			}
			rule := slices.IndexFunc(list, func(a accepted) bool {
				return a.Attribute == path && (got.Value.IsNull() || want.Display == got.Display) && rules[a.Rule] != nil &&
					rules[a.Rule](texts(raw), want.Value.Text(), got.Value.Text(), got.Value.IsNull())
			})
			if rule < 0 {
				t.Errorf("row %d, %s: %s, want %s", i+1, path, got.Value, want.Value)
				continue
			}
			used[list[rule].Rule]++
		}
		for path := range ours {
			if _, ok := older[path]; !ok {
				t.Errorf("row %d, %s: not in the vectors", i+1, path)
			}
		}
	}
	for mail := range vectors.Profiles {
		if !seen[mail] {
			t.Errorf("a profile of the vectors has no row that is active")
		}
	}
	t.Logf("%d profiles equal but for accepted differences %v", len(seen), used)
}

// A vector is one attribute as the older system published it. A null within a
// map is left out here, and so is a key whose column is.
type vector struct {
	Display   string       `json:"display"`
	Publisher string       `json:"publisher"`
	Value     people.Value `json:"-"`
}

func (v *vector) UnmarshalJSON(b []byte) error {
	type plain vector
	var raw struct {
		plain
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*v = vector(raw.plain)
	if err := jsonv2.Unmarshal(raw.Value, &v.Value); err != nil {
		return err
	}
	if v.Value.Kind() == people.Map {
		v.Value = people.MapValue(slices.DeleteFunc(slices.Clone(v.Value.Entries()), func(e people.Entry) bool { return e.Null })...)
	}
	return nil
}

// texts returns the columns of a row that are strings.
func texts(raw []byte) map[string]string {
	var columns map[string]any
	if json.Unmarshal(raw, &columns) != nil {
		return nil
	}
	out := map[string]string{}
	for name, v := range columns {
		if s, ok := v.(string); ok {
			out[name] = s
		}
	}
	return out
}
