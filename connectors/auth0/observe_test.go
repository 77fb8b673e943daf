package auth0

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// TestGolden states everything that a file with every kind of user gives.
func TestGolden(t *testing.T) {
	s, err := Open(Config{Name: "auth0", File: "testdata/users.json", Groups: Groups{Field: "app_metadata.groups"}}, nil, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out connectortest.Recorder
	cert, err := s.Extract(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(struct {
		Certificate  people.Certificate   `json:"certificate"`
		Observations []people.Observation `json:"observations"`
		Rejections   []people.Rejection   `json:"rejections"`
	}{cert, out.Observations, out.Rejections}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/users.golden.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (go test -update rewrites it):\n%s", golden, got)
	}
}

// said is what a user of the JSON gives: claims, keys and what was set aside,
// in the order of paths.
func said(m mapping, raw string) string {
	r := m.observe([]byte(raw))
	var lines []string
	for _, k := range r.observation.Keys {
		if k.Scheme == people.ByEmail {
			lines = append(lines, "key "+k.Value)
		}
	}
	for _, c := range r.observation.Claims {
		if slices.Contains([]people.Path{people.UserID, "login_method", "first_name", "last_name", people.Created}, c.Path) {
			continue
		}
		line := fmt.Sprintf("%s=%s", c.Path, c.Value)
		if c.Unverified {
			line += "?"
		}
		lines = append(lines, line)
	}
	for _, j := range r.rejected {
		lines = append(lines, fmt.Sprintf("%s: %s", j.Attribute, j.Reason))
	}
	return strings.Join(lines, "; ")
}

// TestEmails holds which addresses are keys, and which are verified.
func TestEmails(t *testing.T) {
	const key, claim = "key a@example.org; ", `primary_email="A@example.org"`
	for user, want := range map[string]string{
		`"user_id":"auth0|1","email":"A@example.org","email_verified":true`:        key + claim,
		`"user_id":"auth0|1","email":"A@example.org","email_verified":false`:       claim + "?",
		`"user_id":"auth0|1","email":"A@example.org"`:                              claim + "?",
		`"user_id":"email|1","email":"A@example.org"`:                              key + claim,
		`"user_id":"email|1","email":"A@example.org","email_verified":false`:       claim + "?",
		`"user_id":"ad|Corp|1","email":"A@example.org"`:                            key + claim,
		`"user_id":"ad|Corp|1","email":"A@example.org","email_verified":false`:     key + claim + "?",
		`"user_id":"samlp|idp|1","email":" A@example.org ","email_verified":null`:  key + claim,
		`"user_id":"oauth2|corp|1","email":"A@example.org"`:                        claim + "?",
		`"user_id":"auth0|1","email":"A@example.org","email_verified":"true"`:      "primary_email: email_verified is neither true nor false",
		`"user_id":"ad|Corp|1","email":"a b@example.org"`:                          "primary_email: email is no address",
		`"user_id":"ad|Corp|1","email":["A@example.org"]`:                          "primary_email: email is not a string",
		`"user_id":"ad|Corp|1","email":"a@example.org\u0000"`:                      "primary_email: email is too long or holds control characters",
		`"user_id":"ad|Corp|1","email":""`:                                         "",
		`"user_id":"ad|Corp|1","email":null,"email_verified":{}`:                   "",
		`"user_id":"ad|Corp|1","email":"A@example.org","Email":"b@example.org"`:    key + claim,
		`"user_id":"ad|Corp|1","user_metadata":{"email":"b@example.org"},"x":null`: "",
	} {
		if got := said(mapping{}, "{"+user+"}"); got != want {
			t.Errorf("%s\n  gives %s\n   want %s", user, got, want)
		}
	}
}

// TestIdentities holds which logins become identities.
func TestIdentities(t *testing.T) {
	const many = "several logins at the service are linked, and none of them is that of the user_id"
	for user, want := range map[string]string{
		`"user_id":"github|1"`:                                        `identities.github_id_v3="1"`,
		`"user_id":"github|1","node_id":"N"`:                          `identities.github_id_v3="1"; identities.github_id_v4="N"`,
		`"user_id":"github|1","identities":[{"connection":"github"}]`: `identities.github_id_v3="1"`,
		`"user_id":"github|1","identities":[{"provider":"github","user_id":1,"profileData":{"node_id":"N"}}]`:                                                 `identities.github_id_v3="1"; identities.github_id_v4="N"`,
		`"user_id":"github|1","identities":[{"provider":"github","connection":"github","user_id":2},{"provider":"github","connection":"github","user_id":1}]`: `identities.github_id_v3="1"`,
		`"user_id":"github|one"`:                                                                       "identities.github_id_v3: the id of the login is no number",
		`"user_id":"google-oauth2|1"`:                                                                  `identities.google_oauth2_id="1"`,
		`"user_id":"oauth2|firefoxaccounts|f"`:                                                         `identities.firefox_accounts_id="f"`,
		`"user_id":"oauth2|github|1"`:                                                                  "", // a connection that somebody called so
		`"user_id":"firefoxaccounts|f"`:                                                                "",
		`"user_id":"auth0|1","identities":[{"connection":"github"}]`:                                   "", // all that is known of the login in the user_id
		`"user_id":"auth0|1","identities":[{"connection":"db"},{"connection":"github"}]`:               "", // of this one there is no id
		`"user_id":"auth0|1","identities":[{"connection":"db"},{"connection":"github","user_id":"7"}]`: `identities.github_id_v3="7"`,
		`"user_id":"auth0|1","identities":[{"connection":"db"},{"connection":"firefoxaccounts","user_id":"firefoxaccounts|f"}]`:                 `identities.firefox_accounts_id="f"`,
		`"user_id":"auth0|1","identities":[{"provider":"github","user_id":7},{"provider":"github","user_id":8}]`:                                "identities.github_id_v3: " + many,
		`"user_id":"auth0|1","identities":[{"provider":"github","user_id":7},{"provider":"github","user_id":"7"}]`:                              `identities.github_id_v3="7"`,
		`"user_id":"auth0|1","identities":[{"provider":"github","user_id":1e3}]`:                                                                "identities.github_id_v3: the id of the login is no number",
		`"user_id":"auth0|1","identities":[{"provider":"google-oauth2","user_id":"7","profileData":{"email":"G@x.org","email_verified":true}}]`: `identities.google_oauth2_id="7"; identities.google_primary_email="G@x.org"`,
		`"user_id":"auth0|1","identities":[{"provider":"google-oauth2","user_id":"7","profileData":{"email":"G@x.org"}}]`:                       `identities.google_oauth2_id="7"; identities.google_primary_email="G@x.org"?`,
		`"user_id":"auth0|1","identities":[{"provider":"google-oauth2","user_id":"7","profileData":{"email":"nobody"}}]`:                        `identities.google_oauth2_id="7"; identities.google_primary_email: email is no address`,
		`"user_id":"auth0|1","identities":[{"provider":"google-oauth2","user_id":"7","profileData":7}]`:                                         "identities: the profileData of an identity is not an object",
		`"user_id":"auth0|1","identities":[7,{"provider":"github","user_id":7}]`:                                                                `identities.github_id_v3="7"; identities: an identity is not an object`,
		`"user_id":"auth0|1","identities":[{"provider":7}]`:                                                                                     "identities: the provider of an identity is not a string",
		`"user_id":"github|1","identities":"x"`:                                                                                                 `identities.github_id_v3="1"; identities: identities is not a list`,
		`"user_id":"github|1","identities":null`:                                                                                                `identities.github_id_v3="1"`,
	} {
		if got := said(mapping{}, "{"+user+"}"); got != want {
			t.Errorf("%s\n  gives %s\n   want %s", user, got, want)
		}
	}
}

// TestLoginMethod holds the connection of a user.
func TestLoginMethod(t *testing.T) {
	for user, want := range map[string]string{
		`"user_id":"github|1"`:                 "github",
		`"user_id":"ad|Mozilla-LDAP|jdoe"`:     "Mozilla-LDAP",
		`"user_id":"oauth2|firefoxaccounts|f"`: "firefoxaccounts",
		`"user_id":"auth0|1","identities":[{"provider":"auth0","connection":"db","user_id":"1"}]`:                                                         "db",
		`"user_id":"auth0|1","identities":[{"provider":"github","connection":"github","user_id":1},{"provider":"auth0","connection":"db","user_id":"1"}]`: "db",
		`"user_id":"auth0|1","identities":[{"provider":"github","connection":"github","user_id":1}]`:                                                      "auth0",
		`"user_id":"ad|Corp|jdoe","identities":[{"provider":"ad","connection":"Corp-AD","user_id":"Corp|jdoe"}]`:                                          "Corp-AD",
		`"user_id":"auth0|1","identities":[{"connection":"db"}]`:                                                                                          "db",
		`"user_id":"auth0|1","identities":[]`: "auth0",
	} {
		r := (&mapping{}).observe([]byte("{" + user + "}"))
		if c, _ := r.observation.Claim("login_method"); c.Value.Text() != want {
			t.Errorf("%s: %s, want %s", user, c.Value, want)
		}
	}
}

// TestGroups holds what a list of groups says, and one that is not there.
func TestGroups(t *testing.T) {
	const path = "access_information.access_provider"
	silent := newMapping(Config{Groups: Groups{Field: "app_metadata.authorization.groups"}})
	empty := newMapping(Config{Groups: Groups{Field: "app_metadata.authorization.groups", Absent: "empty"}})
	for metadata, want := range map[string][2]string{ // for each mapping; "" is silence
		`{"authorization":{"groups":["b","a","b"]}}`:  {path + `={"a":"","b":""}`, path + `={"a":"","b":""}`},
		`{"authorization":{"groups":[]}}`:             {path + "=null", path + "=null"},
		`{"authorization":{"groups":null}}`:           {"", path + "=null"},
		`{"authorization":{}}`:                        {"", path + "=null"},
		`{"authorization":null}`:                      {"", path + "=null"},
		`{}`:                                          {"", path + "=null"},
		`null`:                                        {"", path + "=null"},
		`{"authorization":[]}`:                        {path + ": what holds the groups is not an object", path + ": what holds the groups is not an object"},
		`{"authorization":{"groups":{"a":true}}}`:     {path + ": the groups are not a list", path + ": the groups are not a list"},
		`{"authorization":{"groups":["a",null]}}`:     {path + ": a group has no name", path + ": a group has no name"},
		`{"authorization":{"groups":["a\nb"]}}`:       {path + ": a group is too long or holds control characters", path + ": a group is too long or holds control characters"},
		`{"groups":["a"],"authorization.groups":[1]}`: {"", path + "=null"},
	} {
		for i, m := range []mapping{silent, empty} {
			if got := said(m, `{"user_id":"sms|1","app_metadata":`+metadata+"}"); got != want[i] {
				t.Errorf("%s: %s, want %s", metadata, got, want[i])
			}
		}
		if got := said(mapping{}, `{"user_id":"sms|1","app_metadata":`+metadata+"}"); got != "" {
			t.Errorf("%s, not mapped: %s", metadata, got)
		}
	}
	if none := newMapping(Config{}); slices.Contains(none.fields(), "app_metadata") || !slices.Contains(silent.fields(), "app_metadata") {
		t.Error("app_metadata is asked for exactly if it is mapped")
	}
	if none := newMapping(Config{}); none.hash() == silent.hash() || silent.hash() == empty.hash() {
		t.Error("different mappings have the same hash")
	}
}

// TestSetAside holds what can be told of users that are set aside.
func TestSetAside(t *testing.T) {
	for raw, want := range map[string][3]string{ // id, key, reason
		`{"user_id":"github|1","blocked":"no"}`:                                 {"github|1", "", "blocked is neither true nor false"},
		`{"user_id":"github|1","a":1,"a":2}`:                                    {"github|1", "", "a key occurs twice"},
		`{"user_id":"github|1","a":{"b":1,"b":2}}`:                              {"github|1", "", "a key occurs twice"},
		`{"user_id":"github|1","user_id":"github|1"}`:                           {"", "", "a key occurs twice"},
		`{"email":"A@x.org","a":1,"a":2}`:                                       {"", "a@x.org", "a key occurs twice"},
		`{"email":"A@x.org","email":"b@x.org"}`:                                 {"", "", "a key occurs twice"},
		"{\"user_id\":\"github|1\",\"a\":\"\xff\"}":                             {"github|1", "", "text that is not Unicode"},
		"{\"user_id\":\"github|\xff\",\"email\":\"a@x.org\"}":                   {"", "a@x.org", "text that is not Unicode"},
		`{"user_id":"github|1","a":"\udead"}`:                                   {"github|1", "", "text that is not Unicode"},
		`{"user_id":"github|1","email":`:                                        {"github|1", "", "not JSON"},
		`{"email":"a@x.org" "user_id":"github|1"}`:                              {"", "a@x.org", "not JSON"},
		`{"user_id":"github|1"}{}`:                                              {"github|1", "", "not JSON"},
		`{}`:                                                                    {"", "", "no user_id"},
		`{"user_id":"","email":"a@x.org"}`:                                      {"", "a@x.org", "user_id is not a connection and an id with | between them, in normal form"},
		`{"user_id":"github|` + strings.Repeat("1", normalize.MaxUserID) + `"}`: {"", "", "user_id is not a connection and an id with | between them, in normal form"},
		`{"user_id":"ad|Corp|jo\u0308rg"}`:                                      {"", "", "user_id is not a connection and an id with | between them, in normal form"},
		`{"user_id":1,"email":"nobody"}`:                                        {"", "", "user_id is not a string"},
		`[]`:                                                                    {"", "", "not an object"},
		``:                                                                      {"", "", "not an object"},
	} {
		r := (&mapping{}).observe([]byte(raw))
		if !r.aside || len(r.rejected) != 1 {
			t.Errorf("%s: not set aside: %+v", raw, r)
			continue
		}
		j, key := r.rejected[0], ""
		for _, k := range j.Keys {
			key += k.Value
		}
		if j.Record != want[0] || r.record() != want[0] || key != want[1] || j.Reason != want[2] || j.Attribute != "" {
			t.Errorf("%s: record %q, key %q, reason %q, want %q", raw, j.Record, key, j.Reason, want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := `{name: auth0, url: "https://acme.auth0.com", client_id: c}`
	for config, want := range map[string][]string{
		good: nil,
		`{name: auth0, url: "https://acme.auth0.com/", ca_file: ca.pem, timeout: 5s, max_bytes: 9}`:                                                                     nil,
		`{name: auth0, url: "https://acme.auth0.com", client_id: c, token_url: "https://login.acme.org/oauth/token", audience: a, paging: page, connections: [github]}`: nil,
		`{name: auth0, url: "https://acme.auth0.com", client_id: c, paging: export, export_hosts: ["*.auth0.com", "exports:8443"]}`:                                     nil,
		`{name: auth0, file: users.jsonl.gz, max_bytes: 9, groups: {field: app_metadata.groups, absent: empty}}`:                                                        nil,
		`{}`:                                   {"name is missing", "exactly one of url and file"},
		`{name: a, url: "https://x", file: f}`: {"exactly one"},
		`{name: a, file: f, client_id: c}`:     {"go with url"},
		`{name: a, file: f, paging: page}`:     {"go with url"},
		`{name: a, file: f, ca_file: f}`:       {"ca_file means nothing without url"},
		`{name: a, url: "http://x/s3cret", timeout: -1s, max_bytes: -1}`:        {"https://", "timeout", "max_bytes"},
		`{name: a, url: "https://x", audience: s3cret}`:                         {"client_id is missing"},
		`{name: a, url: "https://x", client_id: c, token_url: "http://s3cret"}`: {"token_url must begin with https://"},
		`{name: a, url: "https://x", paging: scroll}`:                           {"paging must be"},
		`{name: a, url: "https://x", paging: page, export_hosts: [x]}`:          {"goes with paging: export"},
		`{name: a, url: "https://x", export_hosts: ["https://x", "[", ""]}`:     {`"https://x" is no pattern`, `"[" is no pattern`, `"" is no pattern`},
		`{name: a, file: f, connections: [""]}`:                                 {"empty name"},
		`{name: a, file: f, groups: {field: user_metadata.groups}}`:             {"below app_metadata"},
		`{name: a, file: f, groups: {field: app_metadata}}`:                     {"below app_metadata"},
		`{name: a, file: f, groups: {field: app_metadata..x}}`:                  {"below app_metadata"},
		`{name: a, file: f, groups: {field: app_metadata.x, absent: none}}`:     {"groups.absent must be"},
		`{name: a, file: f, groups: {absent: empty}}`:                           {"means nothing without groups.field"},
	} {
		var c Config
		if err := yaml.UnmarshalWithOptions([]byte(config), &c, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		err := c.Validate()
		if (err == nil) != (len(want) == 0) {
			t.Errorf("%s: %v", config, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v, want %q in it", config, err, w)
			}
		}
	}
	var c Config
	if err := yaml.Unmarshal([]byte(good), &c); err != nil {
		t.Fatal(err)
	}
	if d := c.withDefaults(); d.TokenURL != "https://acme.auth0.com/oauth/token" || d.Audience != "https://acme.auth0.com/api/v2/" || d.Paging != Export {
		t.Errorf("defaults: %+v", d)
	}
}

func TestOpenRefuses(t *testing.T) {
	tenant := Config{Name: "auth0", Config: web.Config{URL: "https://acme.auth0.com"}}
	noCA := tenant
	noCA.CAFile = "testdata/none.pem"
	for name, c := range map[string]struct {
		Config
		secret web.Secret
	}{
		"configuration": {Config{}, nil},
		"no secret":     {tenant, nil},
		"no CA file":    {noCA, func(context.Context) (string, error) { return "token", nil }},
	} {
		if s, err := Open(c.Config, c.secret, web.Options{}); err == nil || s != nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestIdentitiesAreASet shuffles the logins of users: what is said of them does
// not depend on the order in which they stand, nor on what is not mapped.
func TestIdentitiesAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		login := rapid.Custom(func(t *rapid.T) string {
			service := rapid.SampledFrom([]string{"github", "google-oauth2", "oauth2", "auth0"}).Draw(t, "provider")
			connection, id := service, fmt.Sprintf("%q", fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "id")))
			if service == "oauth2" {
				connection, id = "firefoxaccounts", `"firefoxaccounts|f"`
			}
			return fmt.Sprintf(`{"provider":%q,"connection":%q,"user_id":%s,"profileData":{"email":"%s@x.org"}}`,
				service, connection, id, rapid.StringMatching(`[a-c]`).Draw(t, "mail"))
		})
		// Two that differ only in what they say of the same login have no order.
		logins := rapid.SliceOfNDistinct(login, 0, 5, func(l string) string { return l[:strings.Index(l, `,"profileData"`)] }).Draw(t, "logins")
		own := rapid.SampledFrom([]string{"github|1", "auth0|1", "google-oauth2|2", "oauth2|firefoxaccounts|f"}).Draw(t, "user_id")
		user := func(logins []string, more string) string {
			return said(mapping{}, fmt.Sprintf(`{%s"user_id":%q,"identities":[%s]}`, more, own, strings.Join(logins, ",")))
		}
		want := user(logins, "")
		if got := user(rapid.Permutation(logins).Draw(t, "order"), `"last_ip":"192.0.2.1","user_metadata":{"email":"z@x.org"},`); got != want {
			t.Fatalf("%v\n%s\n%s", logins, want, got)
		}
	})
}

// FuzzUser observes anything: what is not set aside is well-formed, and a user
// who is has an id only if it is one.
func FuzzUser(f *testing.F) {
	users, err := os.ReadFile("testdata/users.json")
	if err != nil {
		f.Fatal(err)
	}
	var list []jsontext.Value
	if err := json.Unmarshal(users, &list, lenient[0]); err != nil {
		f.Fatal(err)
	}
	for _, u := range list {
		f.Add([]byte(u))
	}
	f.Add([]byte("{\"user_id\":\"github|1\",\"a\":\"\xff\"}"))
	m := newMapping(Config{Groups: Groups{Field: "app_metadata.groups", Absent: "empty"}})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := m.observe(raw)
		if id := r.record(); id != "" {
			if normal, err := normalize.UserID(id); err != nil || normal != id {
				t.Errorf("record %q: %v", id, err)
			}
		}
		if r.aside {
			if len(r.rejected) != 1 || r.rejected[0].Reason == "" || r.rejected[0].Attribute != "" {
				t.Errorf("set aside with %+v", r.rejected)
			}
			return
		}
		o := r.observation
		if o.Key(people.ByUserID) != o.Record || o.Key(people.ByRecord(people.AccessProvider)) != o.Record {
			t.Errorf("keys %v of %q", o.Keys, o.Record)
		}
		if mail := o.Key(people.ByEmail); mail != strings.ToLower(mail) {
			t.Errorf("key %q is not lower-case", mail)
		}
		paths := map[people.Path]int{}
		for i, c := range o.Claims {
			if paths[c.Path]++; c.Empty != c.Value.IsNull() || i > 0 && o.Claims[i-1].Path > c.Path {
				t.Errorf("claim %+v", c)
			}
		}
		for _, j := range r.rejected {
			if paths[j.Attribute] > 0 || j.Attribute == "" || j.Record != o.Record {
				t.Errorf("rejection %+v of an attribute that is claimed", j)
			}
		}
		for path, n := range paths {
			if n > 1 {
				t.Errorf("%d claims of %s", n, path)
			}
		}
		again := m.observe(raw)
		if !bytes.Equal(o.AppendContent(nil), again.observation.AppendContent(nil)) {
			t.Error("observed twice, it differs")
		}
	})
}

// read reads a body in a way, and returns the users in it.
func read(body string, page bool) (users []string, err error) {
	r := newReader(strings.NewReader(body), 1<<20, func(e entry) error {
		users = append(users, string(e.raw))
		return nil
	})
	if page {
		_, err = r.page()
	} else {
		_, err = r.file()
	}
	return users, err
}

// TestCut cuts what is read at every byte.
func TestCut(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		page bool
	}{
		"page":  {`{"start":0,"users":[{"user_id":"a|1"},{"user_id":"a|2"}],"total":2}`, true},
		"list":  {`[{"user_id":"a|1"},{"user_id":"a|2"}]`, true},
		"array": {`[{"user_id":"a|1"},{"user_id":"a|2"}]`, false},
	} {
		for i := range len(c.body) {
			if users, err := read(c.body[:i], c.page); err == nil && (c.page || len(users) > 0) {
				t.Errorf("%s: whole when cut after %d bytes", name, i)
			}
		}
		if users, err := read(c.body, c.page); err != nil || len(users) != 2 {
			t.Errorf("%s: %d users, %v", name, len(users), err)
		}
	}
	// Lines end with themselves: between two of them nothing tells.
	const line = `{"user_id":"a|1"}`
	for i := 1; i < len(line); i++ {
		if _, err := read(line+"\r\n"+line[:i], false); err == nil {
			t.Errorf("lines: whole when cut after %d bytes of the second", i)
		}
	}
	for body, want := range map[string]int{line: 1, line + "\n": 1, "\n" + line + "\r\n\r\n" + line: 2, "": 0, "\n": 0} {
		if users, err := read(body, false); err != nil || len(users) != want {
			t.Errorf("%q: %d users, %v", body, len(users), err)
		}
	}
}

// lines are users of a given number that are never anywhere whole.
type lines struct {
	left int
	buf  []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.buf) == 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		l.buf = fmt.Appendf(nil, `{"user_id":"github|%d","email":"u%d@example.org","email_verified":true,"user_metadata":{"notes":%q}}`+"\n", l.left, l.left, notes)
		l.left--
	}
	n := copy(p, l.buf)
	l.buf = l.buf[n:]
	return n, nil
}

var notes = strings.Repeat("long and of no use. ", 75)

// drops drops what it is given, and now and then looks at what is in use.
type drops struct {
	users int
	heap  uint64
}

func (d *drops) Observation(people.Observation) error {
	if d.users++; d.users%5000 == 0 {
		var m runtime.MemStats
		runtime.GC() // without it the figure is of garbage
		runtime.ReadMemStats(&m)
		d.heap = max(d.heap, m.HeapAlloc)
	}
	return nil
}

func (d *drops) Rejection(people.Rejection) error { return nil }

// TestStreams reads 30 MiB; of a user only 32 bytes stay.
func TestStreams(t *testing.T) {
	const count = 20_000
	s, err := Open(Config{Name: "auth0", File: "users.jsonl"}, nil, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var out drops
	x := &extraction{Source: s, out: &out, seen: map[digest]digest{}}
	if err := x.stream(t.Context(), &lines{left: count}, "users"); err != nil || out.users != count || x.bytes < 30<<20 {
		t.Fatalf("%v, %d users, %d bytes", err, out.users, x.bytes)
	}
	if grown := int64(out.heap) - int64(before.HeapAlloc); grown > 6<<20 {
		t.Errorf("the heap grew by %d bytes while %d were read", grown, x.bytes)
	}
}

func BenchmarkUsers(b *testing.B) {
	s, err := Open(Config{Name: "auth0", File: "users.jsonl"}, nil, web.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		x := &extraction{Source: s, out: &drops{}, seen: map[digest]digest{}}
		if err := x.stream(b.Context(), &lines{left: 1000}, "users"); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(x.bytes)
	}
}

// FuzzUsers reads anything: what is taken for whole has every user of the JSON
// that it is.
func FuzzUsers(f *testing.F) {
	f.Add(`{"users":[{"user_id":"a|1"}],"total":1,"next":"x"}`, true)
	f.Add(`[{"user_id":"a|1"}, 2]`, true)
	f.Add(`[{"user_id":"a|1"}]`, false)
	f.Add("{\"user_id\":\"a|1\"}\n\xff\n{", false)
	f.Fuzz(func(t *testing.T, body string, page bool) {
		users, err := read(body, page)
		if err != nil {
			if f := (*web.Fault)(nil); !errors.As(err, &f) || f.Reason == "" {
				t.Errorf("error %v is no fault", err)
			}
			return
		}
		trimmed := strings.TrimLeft(body, " \t\r\n")
		if !page && !strings.HasPrefix(trimmed, "[") {
			lines := slices.DeleteFunc(strings.Split(body, "\n"), func(s string) bool { return len(bytes.TrimSpace([]byte(s))) == 0 })
			if len(lines) != len(users) {
				t.Errorf("%d users in %d lines", len(users), len(lines))
			}
			return
		}
		var doc any
		if err := json.Unmarshal([]byte(body), &doc, lenient...); err != nil {
			t.Fatalf("whole, but not JSON: %v", err)
		}
		list, ok := doc.([]any)
		if object, is := doc.(map[string]any); is {
			list, ok = object["users"].([]any)
		}
		if !ok || len(list) != len(users) {
			t.Errorf("%d users of %d", len(users), len(list))
		}
	})
}
