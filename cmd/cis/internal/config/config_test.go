package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/cis/cmd/cis/internal/show"
)

// hr is a source as the program may have one.
type hr struct {
	HRBase   `yaml:",inline"`
	Password Secret `yaml:"password"`
}

type HRBase struct {
	Name    string            `yaml:"name"`
	File    string            `yaml:"file"`
	URL     string            `yaml:"url"`
	CAFile  string            `yaml:"ca_file"`
	Timeout time.Duration     `yaml:"timeout"`
	Rows    int               `yaml:"rows"`
	Strict  bool              `yaml:"strict"`
	Bases   []string          `yaml:"bases"`
	Mapping map[string]column `yaml:"mapping"`
	Secret  func() string
}

type column struct {
	To      string `yaml:"to"`
	Silent  bool   `yaml:"silent"`
	Percent float64
}

func (c HRBase) Validate() error {
	var bad []error
	if (c.File == "") == (c.URL == "") {
		bad = append(bad, errors.New("hr: exactly one of url and file must be set"))
	}
	if c.Rows < 0 {
		bad = append(bad, errors.New("hr: rows is negative"))
	}
	return errors.Join(bad...)
}

var (
	testTable = Table{
		Sources: map[string]func() any{
			"hr":   func() any { return &hr{HRBase: HRBase{Timeout: time.Minute}} },
			"tiny": func() any { return &struct{}{} },
		},
		Vaults: []string{"sqlite"}, Blobs: []string{"dir"}, Keys: []string{"dir"},
		Algorithms: []string{"EdDSA", "RS256"},
	}
	minimal = "salt: file:salt\nsources: [{name: a, type: tiny}]\n"
)

func TestDefaults(t *testing.T) {
	got, err := parse([]byte(minimal), "/etc/cis/cis.yaml", nil, testTable)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:    "/etc/cis/cis.yaml",
		Vault:   "sqlite:/etc/cis/cis.db",
		Blobs:   "dir:/etc/cis/cis-blobs",
		Keys:    "dir:/etc/cis/cis-keys",
		Salt:    "file:/etc/cis/salt",
		Absence: Absence{24 * time.Hour, 72 * time.Hour, 24 * time.Hour},
		Sources: []Source{{Name: "a", Type: "tiny", Config: &struct{}{}}},
		API:     API{Listen: "127.0.0.1:8080", WellKnown: "/.well-known/mozilla-iam"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const whole = `
vault: sqlite:/var/lib/cis.db
blobs: dir:../blobs
keys: dir:keys
salt: env:CIS_SALT
catalogue: own.json
subscribers: [one, two]
signing: {require_binding: true, algorithms: {hris: [RS256, EdDSA]}, trusted: [hris.json, "https://hr.example.org/keys"]}
publishing: {report_only: true}
absence:
  confirm_after: 1h30m
  grace: 0s
protected:
  - ad|Example|root
api:
  listen: :9000
  url: https://person.example.org
  audience: api
  issuers: [{issuer: "https://auth.example.org/", algorithms: [ES256]}, {issuer: "https://accounts.google.com", accounts: [a@example.org], scopes: [write]}]
  origins: [https://login.example.org]
  public_keys_file: keys.json
sources:
  - name: hr-main
    type: hr
    url: https://hr.example.org/report
    ca_file: ca.pem
    timeout: 5s
    rows: 0990
    strict: true
    bases: [x, y]
    password: file:pw
    mapping:
      Team: {to: staff_information.team, silent: true}
  - {name: other, type: hr, file: /data/r.json, password: null}
`

func TestWholeFile(t *testing.T) {
	// CIS_SALT holds the secret itself: it is no override.
	got, err := parse([]byte(whole), "/etc/cis/cis.yaml", Env{"CIS_SALT": "pepper"}, testTable)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:        "/etc/cis/cis.yaml",
		Vault:       "sqlite:/var/lib/cis.db",
		Blobs:       "dir:/etc/blobs",
		Keys:        "dir:/etc/cis/keys",
		Salt:        "env:CIS_SALT",
		Catalogue:   "/etc/cis/own.json",
		Subscribers: []string{"one", "two"},
		Signing:     Signing{RequireBinding: true, Algorithms: map[string][]string{"hris": {"RS256", "EdDSA"}}, Trusted: []string{"/etc/cis/hris.json", "https://hr.example.org/keys"}},
		Publishing:  Publishing{ReportOnly: true},
		Absence:     Absence{90 * time.Minute, 0, 24 * time.Hour},
		Protected:   []string{"ad|Example|root"},
		API: API{
			Listen: ":9000", URL: "https://person.example.org", Audience: "api", Origins: []string{"https://login.example.org"},
			Issuers:        []Issuer{{Issuer: "https://auth.example.org/", Algorithms: []string{"ES256"}}, {Issuer: "https://accounts.google.com", Accounts: []string{"a@example.org"}, Scopes: []string{"write"}}},
			PublicKeysFile: "/etc/cis/keys.json", WellKnown: "/.well-known/mozilla-iam",
		},
		Sources: []Source{
			{"hr-main", "hr", &hr{HRBase{
				Name: "hr-main", URL: "https://hr.example.org/report", CAFile: "/etc/cis/ca.pem", Timeout: 5 * time.Second,
				Rows: 990, Strict: true, Bases: []string{"x", "y"}, Mapping: map[string]column{"Team": {To: "staff_information.team", Silent: true}},
			}, "file:/etc/cis/pw"}},
			{"other", "hr", &hr{HRBase{Name: "other", File: "/data/r.json", Timeout: time.Minute}, ""}},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hr{})); diff != "" {
		t.Error(diff)
	}
}

func TestOverrides(t *testing.T) {
	env := Env{
		"CIS_VAULT":                    "sqlite:elsewhere.db",
		"CIS_SALT":                     "file:other-salt",
		"CIS_SUBSCRIBERS":              "a, b",
		"CIS_ABSENCE_GRACE_HRIS":       "48h",
		"CIS_SIGNING_REQUIRE_BINDING":  "true",
		"CIS_SIGNING_ALGORITHMS":       "{ldap: [EdDSA]}",
		"CIS_SOURCES_HR_MAIN_URL":      "",
		"CIS_SOURCES_HR_MAIN_ROWS":     "7",
		"CIS_SOURCES_HR_MAIN_CA_FILE":  "new.pem",
		"CIS_SOURCES_HR_MAIN_PASSWORD": "env:HR_PASSWORD",
		"CIS_SERVICE_HOST":             "10.0.0.1",
		"CIS_CONFIG":                   "cis.yaml",
		"CIS_VECTORS":                  "/data",
		"HOME":                         "/root",
		"CIS_SOURCES_HR_MAIN_BASES":    "only",
		"CIS_SOURCES_HR_MAIN_MAPPING":  "{Unit: {to: x}}",
		"CIS_SOURCES_HR_MAIN_STRICT":   "false",
		"CIS_SOURCES_HR_MAIN_TIMEOUT":  "1m",
		"CIS_PROTECTED":                "ad|Example|root,email|1",
	}
	got, err := parse([]byte(strings.Replace(whole, "env:CIS_SALT", "file:salt", 1)), "/etc/cis/cis.yaml", env, testTable)
	if err != nil {
		t.Fatal(err)
	}
	source := got.Sources[0].Config.(*hr)
	for what, pair := range map[string][2]any{
		"vault":       {got.Vault, "sqlite:/etc/cis/elsewhere.db"},
		"salt":        {got.Salt, Secret("file:/etc/cis/other-salt")},
		"subscribers": {got.Subscribers, []string{"a", "b"}},
		"absence":     {got.Absence, Absence{90 * time.Minute, 0, 48 * time.Hour}},
		"signing":     {got.Signing, Signing{RequireBinding: true, Algorithms: map[string][]string{"ldap": {"EdDSA"}}, Trusted: []string{"/etc/cis/hris.json", "https://hr.example.org/keys"}}},
		"protected":   {got.Protected, []string{"ad|Example|root", "email|1"}},
		"url":         {source.URL, "https://hr.example.org/report"},
		"rows":        {source.Rows, 7},
		"ca_file":     {source.CAFile, "/etc/cis/new.pem"},
		"password":    {source.Password, Secret("env:HR_PASSWORD")},
		"bases":       {source.Bases, []string{"only"}},
		"mapping":     {source.Mapping, map[string]column{"Unit": {To: "x"}}},
		"strict":      {source.Strict, false},
		"timeout":     {source.Timeout, time.Minute},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestComplaints(t *testing.T) {
	const secret = "hunter2"
	for _, test := range []struct {
		name, file string
		env        Env
		want       []string
	}{
		{"empty", "# nothing\n", nil, []string{"cis.yaml: empty: `cis init` writes a configuration to start from"}},
		{"a list", "- a\n", nil, []string{"cis.yaml:1: want settings of the form key: value"}},
		{"two documents", minimal + "---\nvault: x\n", nil, []string{"cis.yaml:4: a second document: want one"}},
		{"not UTF-8", "salt: \xff\n", nil, []string{"cis.yaml: not UTF-8 text"}},
		{"alias", "salt: &a file:x\nkeys: *a\n", nil, []string{
			"cis.yaml:1: anchors, aliases, merges and tags are not used here: write the value out",
			"cis.yaml:2: anchors, aliases, merges and tags are not used here: write the value out",
		}},
		{"misspelt keys, all of them", "vualt: sqlite:x\nabsence:\n  grase: 1h\n" + minimal, nil, []string{
			`cis.yaml:1: unknown key "vualt": did you mean "vault"?`,
			`cis.yaml:3: absence: unknown key "grase": did you mean "grace"?`,
		}},
		{"a key like no other", "colour: red\n" + minimal, nil, []string{
			`cis.yaml:1: unknown key "colour": want one of absence, api, blobs, catalogue, keys, protected, publishing, salt, signing, sources, subscribers, vault`,
		}},
		{"wrong types", "subscribers: test\nabsence: {grace: 3 days, confirm_after: -1h}\nsigning: {require_binding: yes}\nvault: [a]\n" + minimal, nil, []string{
			"cis.yaml:1: subscribers: want a list, such as [a, b]",
			"cis.yaml:2: absence.grace: want a duration such as 90s, 15m or 24h",
			"cis.yaml:2: absence.confirm_after: want a duration that is not negative",
			"cis.yaml:3: signing.require_binding: want true or false",
			"cis.yaml:4: vault: want text",
		}},
		{"keys in the open", "signing: {trusted: [http://hr.example.org/keys]}\n" + minimal, nil, []string{
			"cis.yaml:1: signing.trusted: keys are read over https or from a file",
		}},
		{"specs", "vault: sqlit:x\nblobs: dir\nkeys: kms:x\n" + minimal, nil, []string{
			`cis.yaml:1: vault: unknown scheme "sqlit": did you mean "sqlite"?`,
			"cis.yaml:2: blobs: want scheme:where, with a scheme of dir",
			`cis.yaml:3: keys: unknown scheme "kms": want one of dir`,
		}},
		{"no salt, no sources", "vault: sqlite:x\n", nil, []string{
			"cis.yaml: salt: missing; uuids are derived from it, so there is no default: write salt: file:cis-salt or salt: env:CIS_SALT",
			"cis.yaml: sources: want at least one source",
		}},
		{"no sources in the list", "salt: file:x\nsources: []\n", nil, []string{"cis.yaml:2: sources: want at least one source"}},
		{"a literal secret", "salt: " + secret + "\nsources: [{name: a, type: hr, file: x, password: " + secret + "}]\n", nil, []string{
			"cis.yaml:1: salt: a secret is never written into the configuration: put it into a variable or a file and write env:NAME or file:PATH",
			"cis.yaml:2: sources.a.password: a secret is never written into the configuration: put it into a variable or a file and write env:NAME or file:PATH",
		}},
		{"a literal secret in a variable", minimal, Env{"CIS_SALT": secret}, []string{
			"CIS_SALT: a secret is never written into the configuration: put it into a variable or a file and write env:NAME or file:PATH",
		}},
		{"a secret in a URL", "salt: file:x\nsources: [{name: a, type: hr, url: 'https://me:" + secret + "@host/'}]\n", nil, []string{
			"cis.yaml:2: sources.a.url: a password within a URL: give it in a setting of its own, by reference (env:NAME or file:PATH)",
			"cis.yaml:2: sources.a: exactly one of url and file must be set",
		}},
		{"a secret under a misspelt key", "salt: file:x\nsources: [{name: a, type: hr, file: x, pasword: " + secret + "}]\n", nil, []string{
			`cis.yaml:2: sources.a: unknown key "pasword": did you mean "password"?`,
		}},
		{"a secret where a number goes", "salt: file:x\nsources: [{name: a, type: hr, file: x, rows: " + secret + ", timeout: " + secret + ", strict: " + secret + "}]\n", nil, []string{
			"cis.yaml:2: sources.a.rows: want a whole number",
			"cis.yaml:2: sources.a.timeout: want a duration such as 90s, 15m or 24h",
			"cis.yaml:2: sources.a.strict: want true or false",
		}},
		{"a secret in broken YAML", "salt: \"" + secret + "\n", nil, []string{"cis.yaml:1: not YAML: could not find end character of double-quoted text"}},
		{"sources", `salt: file:x
sources:
  - {type: hr, file: x}
  - {name: Upper, type: hr, file: x}
  - {name: a, type: hr, file: x, url: https://y}
  - {name: a, type: hr, file: x}
  - {name: b, type: hrr}
  - {name: c}
  - 7
  - {name: d, type: hr, mapping: {Team: {too: x}}, rows: -1}
`, nil, []string{
			"cis.yaml:3: sources[0]: a source without a name",
			"cis.yaml:4: sources[1]: a name is up to 32 of a-z, 0-9 and -, beginning with a letter",
			"cis.yaml:5: sources.a: exactly one of url and file must be set",
			"cis.yaml:6: sources[3]: a second source with the name a",
			`cis.yaml:7: sources.b: unknown type "hrr": did you mean "hr"?`,
			"cis.yaml:8: sources.c: a source without a type: want one of hr, tiny",
			"cis.yaml:9: sources[6]: want settings of the form key: value",
			`cis.yaml:10: sources.d.mapping.Team: unknown key "too": did you mean "to"?`,
			"cis.yaml:10: sources.d: exactly one of url and file must be set",
			"cis.yaml:10: sources.d: rows is negative",
		}},
		{"a key twice", "salt: file:x\nsalt: file:y\n", nil, []string{`cis.yaml:2: not YAML: mapping key "salt" already defined at [1:1]`}},
		{"names twice", "subscribers: [a, a]\nprotected: ['']\n" + minimal, nil, []string{
			"cis.yaml:1: subscribers: holds a name twice",
			"cis.yaml:2: protected: holds an empty name",
		}},
		{"algorithms", "signing: {algorithms: {ldap: [HS256], hris: [RS265]}}\n" + minimal, nil, []string{
			`cis.yaml:1: signing.algorithms: unknown algorithm "RS265": did you mean "RS256"?`,
			`cis.yaml:1: signing.algorithms: unknown algorithm "HS256": did you mean "RS256"?`,
		}},
		{"variables", minimal, Env{"CIS_VAULT": "nowhere", "CIS_VUALT": "x", "CIS_ABSENCE_GRACE": "soon", "CIS_SOURCES_B_URL": "x", "CIS_SIGNING_ALGORITHMS": "[x"}, []string{
			"CIS_ABSENCE_GRACE: want a duration such as 90s, 15m or 24h",
			"CIS_SIGNING_ALGORITHMS: want YAML in one line, such as {a: b} or [a, b]",
			`CIS_SOURCES_B_URL: unknown setting "CIS_SOURCES_B_URL"`,
			`CIS_VUALT: unknown setting "CIS_VUALT": did you mean "CIS_VAULT"?`,
			"CIS_VAULT: want scheme:where, with a scheme of sqlite",
		}},
		{"the person service", minimal + "api:\n  listen: here\n  url: person\n  issuers: [{issuer: x}, {scopes: [write]}]\n  origins: [https://a.example.org/login]\n  public_keys_url: http://x.example.org\n  well_known: /x\n  proxies: -1\n", nil, []string{
			"cis.yaml:3: api.audience: missing: without it a token that was made for somebody else would be accepted",
			"cis.yaml:4: api.listen: want an address and a port, such as 127.0.0.1:8080",
			"cis.yaml:5: api.url: want a URL such as https://person.example.org",
			"cis.yaml:6: api.issuers[0].issuer: want an https URL without user, query and fragment; http is for 127.0.0.1, ::1 and localhost",
			"cis.yaml:6: api.issuers[1]: an issuer without its issuer: what the iss of its tokens is",
			"cis.yaml:6: api.issuers[1]: scopes are for accounts, of which there are none: every token of the issuer would have them",
			"cis.yaml:7: api.origins[0]: want an origin such as https://login.example.org, without a path",
			"cis.yaml:8: api.public_keys_url: want https",
			"cis.yaml:9: api.well_known: want a path that begins with /.well-known/",
			"cis.yaml:10: api.proxies: want a number that is not negative",
		}},
		{"issuers of tokens", minimal + `api:
  audience: a
  issuers:
    - issuer: http://issuer.example.org/
      jwks_url: http://issuer.example.org/keys
      algorithms: [RS265]
    - issuer: http://127.0.0.1:8081/
      jwks_url: http://localhost/keys?v=1
      algorithms: [RS256, RS384, RS512, PS256, ES256, EdDSA]
    - issuer: http://127.0.0.1:8081/
      algorithms: [HS256, none]
    - issuer: https://x.example.org/?y
      accounts: [""]
      scopes: [read write]
    - issuer: https://a:b@x.example.org/
`, nil, []string{
			"cis.yaml:6: api.issuers[0].issuer: want an https URL without user, query and fragment; http is for 127.0.0.1, ::1 and localhost",
			"cis.yaml:7: api.issuers[0].jwks_url: want an https URL without user and fragment; http is for 127.0.0.1, ::1 and localhost",
			`cis.yaml:8: api.issuers[0].algorithms: unknown algorithm "RS265": did you mean "RS256"?`,
			"cis.yaml:12: api.issuers[2].issuer: a second one with this issuer",
			`cis.yaml:13: api.issuers[2].algorithms: unknown algorithm "HS256": did you mean "RS256"?`,
			`cis.yaml:13: api.issuers[2].algorithms: unknown algorithm "none": want one of RS256, RS384, RS512, PS256, ES256, EdDSA`,
			"cis.yaml:14: api.issuers[3].issuer: want an https URL without user, query and fragment; http is for 127.0.0.1, ::1 and localhost",
			"cis.yaml:15: api.issuers[3].accounts: holds an empty name",
			"cis.yaml:16: api.issuers[3].scopes: want a list of scopes, each one word",
			"cis.yaml:17: api.issuers[4].issuer: a password within a URL: give it in a setting of its own, by reference (env:NAME or file:PATH)",
		}},
		{"a variable of two meanings", "salt: file:x\nsources: [{name: a, type: hr, file: x}, {name: a-ca, type: hr, file: x}]\n", nil, []string{
			"cis.yaml:2: sources.a.ca_file: the variable CIS_SOURCES_A_CA_FILE would mean sources.a-ca.file as well: rename a source",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse([]byte(test.file), "cis.yaml", test.env, testTable)
			complaints, ok := errors.AsType[Complaints](err)
			if !ok {
				t.Fatalf("got %v, want complaints", err)
			}
			if diff := cmp.Diff(strings.Join(test.want, "\n"), complaints.Error()); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("a complaint tells a secret")
			}
		})
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil, testTable)
	if _, ok := errors.AsType[Complaints](err); !ok {
		t.Errorf("got %v, want a complaint", err)
	}
}

func TestSecretIsReadLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pw")
	c, err := parse([]byte(minimal), path, nil, testTable)
	if err != nil {
		t.Fatal(err)
	}
	c.Salt = Secret("file:" + path)
	if _, err := c.Salt.Read(nil); err == nil {
		t.Error("read a file that is not there")
	}
	for content, want := range map[string]string{"hunter2\n": "hunter2", "hunter2\r\n": "hunter2", "two\nlines\n\n": "two\nlines\n", "": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := c.Salt.Read(nil)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q reads as %q, %v", content, got, err)
		}
	}
	env := Env{"PW": "hunter2"}
	if got, err := Secret("env:PW").Read(env); err != nil || got != "hunter2" {
		t.Errorf("env:PW reads as %q, %v", got, err)
	}
	if _, err := Secret("env:NONE").Read(env); err == nil {
		t.Error("read a variable that is not set")
	}
	if _, err := Secret("hunter2").Read(env); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a literal gives %v", err)
	}
	var printed strings.Builder
	c.Salt = "env:PW"
	if err := show.JSON(&printed, c.Salt); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&printed, "%v %+v %#v", c, c, c)
	if strings.Contains(printed.String(), "hunter2") {
		t.Error("printing a configuration tells a secret")
	}
}

func TestClosest(t *testing.T) {
	known := []string{"vault", "blobs", "keys", "page_size", "people_bases"}
	for word, want := range map[string]string{
		"vualt": "vault", "valt": "vault", "Vault": "vault", "key": "keys", "blob": "blobs", "pagesize": "page_size",
		"people_base": "people_bases", "x": "", "salt": "", "bases": "",
	} {
		if got := closest(word, known); got != want {
			t.Errorf("closest to %q is %q, want %q", word, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(whole)
	f.Add(minimal)
	f.Add("a: &x [*x]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse([]byte(text), "/x/cis.yaml", Env{"CIS_SOURCES_A_ROWS": "1"}, testTable)
		if (c == nil) == (err == nil) {
			t.Fatal("want either a configuration or an error")
		}
		if err != nil {
			return
		}
		if _, err := c.Salt.Read(nil); strings.HasPrefix(string(c.Salt), "env:") && err == nil {
			t.Error("read a variable out of nothing")
		}
	})
}
