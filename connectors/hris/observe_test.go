package hris

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
)

// parsed is a row of the JSON, which is well-formed.
func parsed(t *testing.T, m mapping, raw string) row {
	t.Helper()
	r, reason := m.parse([]byte(raw))
	if reason != "" {
		t.Fatalf("%s: %s", raw, reason)
	}
	return r
}

// TestRecord holds the keys of rows, and those that set the row aside.
func TestRecord(t *testing.T) {
	m := newMapping("")
	long := strings.Repeat("9", maxRecord)
	for raw, want := range map[string]string{
		`"EmployeeID":"1","PrimaryWorkEmail":"A.B@Example.COM"`:                                         "email a.b@example.com, record:hris 1",
		`"EmployeeID":" 0042\t"`:                                                                        "record:hris 0042",
		`"EmployeeID":"1","PrimaryWorkEmail":""`:                                                        "record:hris 1",
		`"EmployeeID":"1","PrimaryWorkEmail":"nobody"`:                                                  "record:hris 1",
		`"EmployeeID":"1","WorkersManagersEmployeeID":"2","Worker_s_Manager_s_Email_Address":"m@x.org"`: "record:hris 1",
		`"EmployeeID":"` + long + `"`:                                                                   "record:hris " + long,
		`"EmployeeID":"` + long + `9"`:                                                                  "EmployeeID is over 256 bytes",
		`"EmployeeID":" "`:                                                                              "no EmployeeID",
		`"EmployeeID":null`:                                                                             "no EmployeeID",
		`"Team":"t"`:                                                                                    "no EmployeeID",
		`"EmployeeID":1`:                                                                                "EmployeeID is not a string",
		`"EmployeeID":"1\u00002"`:                                                                       "EmployeeID is too long or holds control characters",
		`"EmployeeID":["1"]`:                                                                            "EmployeeID is not a string",
	} {
		o, ok, rejected := m.observe(parsed(t, m, `{"CurrentlyActive":"1",`+raw+`}`), noon())
		var got []string
		for _, k := range o.Keys {
			got = append(got, string(k.Scheme)+" "+k.Value)
		}
		if !ok {
			got = []string{rejected[0].Reason}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%.80s: %s, want %s", raw, s, want)
		}
	}
}

func TestLifecycle(t *testing.T) {
	m := newMapping("Last_Day")
	const (
		paris    = `,"Time_Zone":"GMT+01:00 Central European Time (Paris)"`
		honolulu = `,"Time_Zone":"GMT-10:00 Hawaii-Aleutian Standard Time (Honolulu)"`
		atlantis = `,"Time_Zone":"GMT+05:00 Atlantis Time (Atlantis)"`
	)
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		row  string
		now  time.Time
		want string // lifecycle and claim of active
	}{
		{`"CurrentlyActive":"1"`, noon(), "present true"},
		{`"CurrentlyActive":"0"`, noon(), "not_yet"},
		{`"CurrentlyActive":"1","Last_Day":""`, noon(), "present true"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + paris, at("2026-11-30T22:59:59Z"), "present true"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + paris, at("2026-11-30T23:00:00Z"), "ended false"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + paris, at("2026-12-01T08:59:59+10:00"), "present true"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + honolulu, at("2026-12-01T09:59:59Z"), "present true"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + honolulu, at("2026-12-01T10:00:00Z"), "ended false"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"` + atlantis, at("2026-11-30T19:00:00Z"), "ended false, timezone set aside"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"`, at("2026-12-01T11:59:59Z"), "present true"},
		{`"CurrentlyActive":"1","Last_Day":"2026-12-01"`, at("2026-12-01T12:00:00Z"), "ended false"},
		{`"CurrentlyActive":"0","Last_Day":"2020-01-01"`, noon(), "ended"},
		{`"CurrentlyActive":"0","Last_Day":"2030-01-01"`, noon(), "not_yet"},
		{`"CurrentlyActive":"1","Last_Day":"01.12.2026"`, noon(), "present, active set aside"},
		{`"CurrentlyActive":"1","Last_Day":"2026-02-30"`, noon(), "present, active set aside"},
		{`"CurrentlyActive":"1","Last_Day":20261201`, noon(), "present, active set aside"},
		{`"CurrentlyActive":"1","Last_Day":null`, noon(), "present true"},
		{`"CurrentlyActive":""`, noon(), "row set aside"},
		{`"CurrentlyActive":"true"`, noon(), "row set aside"},
		{`"CurrentlyActive":1`, noon(), "row set aside"},
		{`"Team":"t"`, noon(), "row set aside"},
	} {
		o, ok, rejected := m.observe(parsed(t, m, `{"EmployeeID":"7",`+c.row+`}`), c.now)
		got := string(o.Lifecycle)
		if active, said := o.Claim(people.Active); said {
			got += " " + active.Value.Text()
		}
		for _, r := range rejected {
			if got += ", " + string(r.Attribute) + " set aside"; r.Record != "7" {
				t.Errorf("%s: rejection of record %q", c.row, r.Record)
			}
		}
		if !ok {
			got = "row set aside"
		}
		if got != c.want {
			t.Errorf("%s at %v: %s, want %s", c.row, c.now, got, c.want)
		}
		if c.want == "not_yet" && len(o.Claims) != 0 {
			t.Errorf("%s: claims of someone who is not yet here", c.row)
		}
	}
}

// TestClaims says attribute by attribute what a column gives.
func TestClaims(t *testing.T) {
	m := newMapping("")
	const aside = "set aside: "
	for _, c := range []struct {
		path   people.Path
		column string
		want   map[string]string // by the column's JSON; "" is silent
	}{
		{"staff_information.manager", "IsManager", map[string]string{
			`"yes"`: "true", `"YES"`: "true", `"true"`: "true", `"T"`: "true", `"1"`: "true",
			`"no"`: "false", `"0"`: "false", `""`: "false", `"y"`: "false", `null`: "", `true`: aside + "IsManager is not a string",
		}},
		{"staff_information.director", "isDirectorOrAbove", map[string]string{`"TRUE"`: "true", `"FALSE"`: "false"}},
		{"staff_information.staff", "EmployeeID", map[string]string{`"7"`: "true", `""`: "false", `" "`: "false", `null`: ""}},
		{"staff_information.title", "businessTitle", map[string]string{
			`"Chief cat"`: `"Chief cat"`, `""`: `""`, `"Cafe\u0301"`: `"Café"`, `null`: "", `{}`: aside + "businessTitle is not a string",
			`"a\u0000b"`: aside + "businessTitle is too long or holds control characters",
		}},
		{"staff_information.team", "Team", map[string]string{`"One; Two"`: `"One; Two"`}},
		{"staff_information.cost_center", "Cost_Center", map[string]string{
			`"0990 - Ops"`: `"0990"`, `"1337 - Food"`: `"1337"`, `"1337.1 - Team (Team)"`: `"1337.1"`, `"X9"`: `"X9"`, `""`: `""`,
			`990.0`: aside + "Cost_Center is not a string",
		}},
		{"staff_information.worker_type", "WorkerType", map[string]string{`"Intern"`: `"Intern"`}},
		{"staff_information.wpr_desk_number", "WPRDeskNumber", map[string]string{`""`: `""`, `"SF-1"`: `"SF-1"`}},
		{"staff_information.office_location", "LocationDescription", map[string]string{`"FR Remote"`: `"FR Remote"`}},
		{people.PrimaryEmail, "PrimaryWorkEmail", map[string]string{
			`"A@Example.com"`: `"a@example.com"`, `""`: "", `"a"`: aside + "PrimaryWorkEmail is not an email address",
		}},
		{"timezone", "Time_Zone", map[string]string{
			`"GMT-08:00 Pacific Time"`: `"UTC-08:00 US/Pacific"`, `""`: "", `"GMT+01:00 X (Y)"`: aside + "unknown time zone",
		}},
		{"access_information.hris", "EgenciaPOSCountry", map[string]string{
			`"FR"`: `{"egencia_pos_country":"FR"}`, `""`: `{"egencia_pos_country":""}`, `null`: "empty",
			`1`: aside + "EgenciaPOSCountry is not a string",
		}},
		{"access_information.hris", "PrimaryWorkEmail", map[string]string{
			`"A@B.org"`: `{"primary_work_email":"a@b.org"}`, `"a"`: aside + "PrimaryWorkEmail is not an email address",
		}},
	} {
		for value, want := range c.want {
			claims, rejected := m.claims(parsed(t, m, `{"`+c.column+`":`+value+`}`), true)
			got := ""
			for _, claim := range claims {
				if claim.Path == c.path {
					if got = claim.Value.String(); claim.Empty {
						got = "empty"
					}
				}
			}
			for _, r := range rejected {
				if r.Attribute == c.path {
					got += aside + r.Reason
				}
			}
			if got != want {
				t.Errorf("%s from %s %s: %s, want %s", c.path, c.column, value, got, want)
			}
		}
	}
}

// TestObserveProperties: whatever strings a row holds, an observation is in
// order, says nothing twice, and no rejection repeats a value.
func TestObserveProperties(t *testing.T) {
	m := newMapping("Last_Day")
	zone := regexp.MustCompile(`^UTC[+-]\d\d:\d\d [A-Z][A-Za-z]+/[A-Za-z_/-]+$`)
	names := make([]string, 0, numColumns)
	for name := range m.columns {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		columns := map[string]any{}
		for _, name := range names {
			columns[name] = rapid.OneOf(
				rapid.Just[any](nil), rapid.Just[any](7), rapid.Just[any]([]any{}),
				rapid.SampledFrom([]any{"0", "1", "", "yes", "a@example.com", "0990 - Ops", "2026-11-24", "GMT+01:00 Central European Time (Paris)"}),
				rapid.Map(rapid.StringMatching(`§[a-z ]{5}.*`), func(s string) any { return s }),
			).Draw(t, name)
		}
		raw, err := json.Marshal(columns)
		if err != nil {
			t.Fatal(err)
		}
		r, reason := m.parse(raw)
		if reason != "" {
			t.Fatal(reason)
		}
		o, ok, rejected := m.observe(r, noon())
		for _, r := range rejected {
			if strings.Contains(r.Reason, "§") || r.Reason == "" {
				t.Fatalf("reason %q", r.Reason)
			}
		}
		if !ok {
			if len(rejected) != 1 || rejected[0].Attribute != "" {
				t.Fatalf("set aside with rejections %v", rejected)
			}
			return
		}
		before := string(o.AppendContent(nil))
		if o.Sort(); string(o.AppendContent(nil)) != before {
			t.Fatal("not sorted")
		}
		said := map[people.Path]bool{}
		for _, c := range o.Claims {
			if said[c.Path] {
				t.Fatalf("%s twice", c.Path)
			}
			said[c.Path] = true
			if c.Path == "timezone" && !zone.MatchString(c.Value.Text()) {
				t.Fatalf("time zone %q", c.Value.Text())
			}
		}
		for _, r := range rejected {
			if r.Attribute == "" || said[r.Attribute] {
				t.Fatalf("%q both said and set aside", r.Attribute)
			}
		}
	})
}
