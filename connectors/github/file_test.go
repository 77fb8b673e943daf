package github

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/github/githubtest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// small is a file of one organisation, of which tests replace parts.
const small = `{"organizations":[{"login":"acme","id":1,"members":[{"id":11,"login":"a","node_id":"U_a","role":"admin"},
	{"id":12,"login":"b","node_id":"U_b","role":"member"}],"outside_collaborators":[{"id":13,"login":"c","node_id":"U_c"}],
	"teams":[{"slug":"core","parent":"eng","members":[{"id":12,"role":"maintainer"}]},{"slug":"eng","parent":null,"members":[]}]}],
	"users":[{"id":11,"email":"a@x.org"}]}`

// TestFileIncomplete holds files that must not be taken for whole ones.
func TestFileIncomplete(t *testing.T) {
	for name, c := range map[string]struct{ old, new, reason string }{
		"nothing":                     {small, "", "ends too early, at byte 0"},
		"no object":                   {small, "[]", "the file is not an object"},
		"no organisations":            {small, "{}", "the file lacks the key organizations"},
		"more":                        {small, small + "{}", "more after the closing brace"},
		"garbage":                     {small, small + "x", "not JSON at byte"},
		"unknown key":                 {`"users"`, `"people"`, "the file has a key twice, or one that is not known"},
		"key twice":                   {`"users"`, `"organizations":[],"users"`, "a key twice"},
		"no list":                     {small, `{"organizations":{}}`, "organizations is not a list"},
		"null for a list":             {`"members":[]`, `"members":null`, "members of organisation 1, team 2 is not a list"},
		"no teams":                    {`"teams":[{"slug":"core","parent":"eng","members":[{"id":12,"role":"maintainer"}]},{"slug":"eng","parent":null,"members":[]}]`, `"id":1`, "a key twice"},
		"teams left out":              {`"teams"`, `"users"`, "organisation 1 has a key twice, or one that is not known"},
		"no outside collaborators":    {`"outside_collaborators":[{"id":13,"login":"c","node_id":"U_c"}],`, "", "organisation 1 lacks the key outside_collaborators"},
		"no login":                    {`"login":"acme",`, "", "organisation 1 lacks the key login"},
		"login that is none":          {`"login":"acme"`, `"login":7`, "the login of organisation 1 is not a string"},
		"login that is empty":         {`"login":"acme"`, `"login":" "`, "the login of organisation 1 is empty, or no Unicode"},
		"login that is no Unicode":    {`"login":"acme"`, "\"login\":\"\xff\"", "the login of organisation 1 is empty, or no Unicode"},
		"parent unknown":              {`"parent":"eng"`, `"parent":"other"`, "organisation 1: the parent of a team is not among the teams"},
		"parent of itself":            {`"parent":null`, `"parent":"core"`, "organisation 1: a team is its own ancestor"},
		"slug twice":                  {`"slug":"eng"`, `"slug":"core"`, "organisation 1: two teams have one name"},
		"team's member without an id": {`{"id":12,"role":"maintainer"}`, `{"role":"maintainer"}`, "organisation 1, team 1: member 1 has no id"},
		"organisation twice":          {`[{"login":"acme"`, `[{"login":"ACME","members":[],"outside_collaborators":[],"teams":[]},{"login":"acme"`, "organisation 2 stands there twice"},
		"cut in a string":             {`"acme"` + small[strings.Index(small, `,"id":1,`):], `"ac`, "ends too early"},
	} {
		content := strings.Replace(small, c.old, c.new, 1)
		if content == small {
			t.Errorf("%s: nothing was replaced", name)
		}
		cert, out := extract(t, openFile(t, "github.json", []byte(content)))
		if cert.Complete || !strings.Contains(cert.Reason, c.reason) || cert.End != "" || len(out.Observations) > 0 {
			t.Errorf("%s: complete %v, reason %q, want %q", name, cert.Complete, cert.Reason, c.reason)
		}
	}
	for name, path := range map[string]string{"no such file": filepath.Join(t.TempDir(), "none.json"), "a directory": t.TempDir()} {
		cert, _ := extract(t, open(t, Config{Name: "github", File: path}, nil, Options{}))
		if cert.Complete || !strings.Contains(cert.Reason, "the file could not be opened: ") || strings.Contains(cert.Reason, path) && name != "a directory" {
			t.Errorf("%s: complete %v, reason %q", name, cert.Complete, cert.Reason)
		}
	}
	s := openFile(t, "github.json", []byte(small))
	s.cfg.MaxBytes = int64(len(small)) - 1
	if cert, _ := extract(t, s); cert.Complete || !strings.Contains(cert.Reason, fmt.Sprintf("the file is over %d bytes", len(small)-1)) {
		t.Errorf("too long: complete %v, reason %q", cert.Complete, cert.Reason)
	}
	s.cfg.MaxBytes++
	if cert, _ := extract(t, s); !cert.Complete || cert.Bytes != int64(len(small)) || cert.End != "closing brace" || !slices.Equal(cert.Scope, []string{"file github.json"}) {
		t.Errorf("long enough: %+v", cert)
	}
}

// A file that was cut anywhere is not whole.
func TestFileCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "github.json")
	s := open(t, Config{Name: "github", File: path}, nil, Options{})
	for n := range len(small) {
		if err := os.WriteFile(path, []byte(small[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		if cert, _ := extract(t, s); cert.Complete {
			t.Errorf("complete after %d bytes of %d", n, len(small))
		}
	}
}

// TestFileAside holds what of a file is set aside, and what is left.
func TestFileAside(t *testing.T) {
	const all = `11 access_information.github={"acme":"admin"} identities.github_id_v4="U_a" identities.github_primary_email="a@x.org" usernames={"HACK#GITHUB":"a"}
12 access_information.github={"acme":"member","acme/core":"maintainer","acme/eng":"member"} identities.github_id_v4="U_b" usernames={"HACK#GITHUB":"b"}
13 access_information.github={"acme#outside":""} identities.github_id_v4="U_c" usernames={"HACK#GITHUB":"c"}
`
	without := func(parts ...string) string {
		s := all
		for _, p := range parts {
			if !strings.Contains(s, p) {
				t.Fatalf("%q is not claimed", p)
			}
			s = strings.Replace(s, p, "", 1)
		}
		return s
	}
	lines := strings.SplitAfter(all, "\n")
	for name, c := range map[string]struct{ old, new, left, aside string }{
		"nothing": {" ", "", all, ""},
		"role": {`"role":"admin"`, `"role":"owner"`, without(` access_information.github={"acme":"admin"}`),
			"11 access_information.github read: the role in an organisation is neither member nor admin"},
		"no role": {`,"role":"admin"`, "", without(` access_information.github={"acme":"admin"}`),
			"11 access_information.github read: the role in an organisation is neither member nor admin"},
		"role of an outsider": {`"U_c"`, `"U_c","role":"member"`, without(` access_information.github={"acme#outside":""}`),
			"13 access_information.github read: the role in an organisation is neither member nor admin"},
		"role in a team": {"maintainer", "boss", without(` access_information.github={"acme":"member","acme/core":"maintainer","acme/eng":"member"}`),
			"12 access_information.github read: the role in a team is neither member nor maintainer"},
		"a team's member who is none": {`"id":12,"role":"maintainer"`, `"id":13,"role":"maintainer"`,
			strings.NewReplacer(`,"acme/core":"maintainer","acme/eng":"member"`, "", ` access_information.github={"acme#outside":""}`, "").Replace(all),
			"13 access_information.github observe: in a team, and not in its organisation"},
		"unknown key":        {`"login":"c"`, `"login":"c","since":1`, lines[0] + lines[1], "13  read: a key that is not known"},
		"number for text":    {`"login":"c"`, `"login":3`, lines[0] + lines[1], "13  read: a value is of another type"},
		"no id":              {`"id":13,`, "", lines[0] + lines[1], "  read: no id"},
		"half an id":         {`"id":13`, `"id":13.5`, lines[0] + lines[1], "  read: a value is of another type"},
		"somebody twice":     {`[{"id":13,"login":"c"`, `[{"id":13,"login":"d"},{"id":13,"login":"c"`, lines[0] + lines[1], "13  read: stands in a list twice"},
		"no login":           {`"login":"c",`, "", without(` usernames={"HACK#GITHUB":"c"}`), "13 usernames observe: the account has no login"},
		"odd login":          {`"login":"c"`, `"login":"c\u0007"`, without(` usernames={"HACK#GITHUB":"c"}`), "13 usernames observe: the login is too long or holds control characters"},
		"long node id":       {"U_c", strings.Repeat("x", 300), without(` identities.github_id_v4="U_c"`), "13 identities.github_id_v4 observe: the node id is too long or holds control characters"},
		"no node id":         {`,"node_id":"U_c"`, "", without(` identities.github_id_v4="U_c"`), ""},
		"no mail":            {"a@x.org", "", without(` identities.github_primary_email="a@x.org"`), ""},
		"null for mail":      {`"a@x.org"`, "null", without(` identities.github_primary_email="a@x.org"`), ""},
		"mail that is none":  {"a@x.org", "a", without(` identities.github_primary_email="a@x.org"`), "11 identities.github_primary_email observe: the public email is not an email address"},
		"details twice":      {`"users":[`, `"users":[{"id":11,"email":"b@x.org"},`, without(` identities.github_primary_email="a@x.org"`), "11 identities.github_primary_email read: stands in a list twice"},
		"details of nobody":  {`"users":[`, `"users":[{"id":77,"email":"b@x.org"},`, all, ""},
		"details without id": {`"users":[`, `"users":[{"email":"b@x.org"},7,`, all, "  identities.github_primary_email read: no id\n identities.github_primary_email read: not an object"},
		"no details":         {`,` + "\n\t" + `"users":[{"id":11,"email":"a@x.org"}]`, "", without(` identities.github_primary_email="a@x.org"`), ""},
	} {
		content := strings.Replace(small, c.old, c.new, 1)
		if content == small && name != "nothing" {
			t.Errorf("%s: nothing was replaced", name)
		}
		out := whole(t, openFile(t, "github.json", []byte(content)))
		left := ""
		for _, o := range out.Observations {
			left += o.Record
			for _, claim := range o.Claims {
				left += fmt.Sprintf(" %s=%s", claim.Path, claim.Value)
			}
			left += "\n"
		}
		var aside []string
		for _, j := range out.Rejections {
			aside = append(aside, fmt.Sprintf("%s %s %s: %s", j.Record, j.Attribute, j.Stage, j.Reason))
		}
		if diff := cmp.Diff(c.left, left) + cmp.Diff(strings.ReplaceAll(c.aside, "  identities", " identities"), strings.Join(aside, "\n")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestFileOrganizations reads some of the organisations of a file.
func TestFileOrganizations(t *testing.T) {
	dump := bytes.Replace(githubtest.Example().Dump("acme", "Labs"), []byte(`"role": "admin"`), []byte(`"role": "boss"`), 1)
	s := openFile(t, "github.json", dump)
	s.cfg.Organizations = []string{"labs"}
	out := whole(t, s)
	if len(out.Rejections) > 0 || len(out.Observations) != 3 {
		t.Errorf("%d accounts with %v", len(out.Observations), out.Rejections)
	}
	s.cfg.Organizations = []string{"labs", "other"}
	if cert, _ := extract(t, s); cert.Complete || cert.Reason != "organisation other is not in the file" {
		t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
	}
}

// FuzzFile demands that no file breaks the reader, that what it takes for whole
// ends where it does, and that what it says of people is well formed.
func FuzzFile(f *testing.F) {
	f.Add([]byte(small))
	f.Add(githubtest.Example().Dump("acme", "Labs"))
	for _, m := range malformed {
		f.Add([]byte(strings.Replace(small, `"members":[`, `"members":[`+m+`,`, 1)))
		f.Add([]byte(strings.Replace(small, `"users":[`, `"users":[`+m+`,`, 1)))
	}
	f.Add([]byte("{\"\xff\":1}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(b []byte) (*dump, error) {
			d := newDump(t.Context(), Config{File: "f", Config: web.Config{MaxBytes: 1 << 20}}, bytes.NewReader(b))
			return d, d.read()
		}
		d, err := read(b)
		if err != nil {
			return
		}
		observations := d.observe()
		contents := (&connectortest.Recorder{Observations: observations}).Contents()
		if len(contents) != len(observations) {
			t.Error("an account has two observations")
		}
		for _, o := range observations {
			if o.Record == "" || o.Place == "" || o.Key(people.ByRecord(people.GitHub)) != o.Record {
				t.Errorf("not well formed: %+v", o)
			}
		}
		again, err := read(b)
		if err != nil || !maps.Equal(contents, (&connectortest.Recorder{Observations: again.observe()}).Contents()) {
			t.Error("another reading of the same file")
		}
		whole := bytes.TrimRight(b, " \t\r\n")
		if _, err := read(whole[:len(whole)-1]); err == nil {
			t.Error("whole without its last byte")
		}
	})
}
