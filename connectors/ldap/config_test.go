package ldap_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"example.org/cis/connectors/ldap"
)

func TestValidate(t *testing.T) {
	server := func(change func(*ldap.Config)) ldap.Config {
		c := ldap.Config{Name: "ldap", URL: "ldaps://ldap.example.org", BindDN: "cn=reader,o=com", PeopleBases: []string{"o=com"}, GroupBases: []string{"ou=groups"}}
		change(&c)
		return c
	}
	file := func(change func(*ldap.Config)) ldap.Config {
		c := ldap.Config{Name: "ldap", File: "people.ldif"}
		change(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		config ldap.Config
		want   []string // parts of the complaints; none means it is right
	}{
		{"server", server(func(*ldap.Config) {}), nil},
		{"file", file(func(*ldap.Config) {}), nil},
		{"nothing", ldap.Config{}, []string{"name is missing", "either url or file"}},
		{"both", server(func(c *ldap.Config) { c.File = "x" }), []string{"either url or file"}},
		{"anonymous", server(func(c *ldap.Config) { c.BindDN, c.Anonymous = "", true }), nil},
		{"anonymous not asked for", server(func(c *ldap.Config) { c.BindDN = "" }), []string{"anonymous: true"}},
		{"anonymous and bind", server(func(c *ldap.Config) { c.Anonymous = true }), []string{"anonymous: true"}},
		{"socket", server(func(c *ldap.Config) { c.URL = "ldapi:///run/slapd" }), []string{"url must be"}},
		{"password in url", server(func(c *ldap.Config) { c.URL = "ldaps://me:hunter2@h" }), []string{"url must be"}},
		{"base in url", server(func(c *ldap.Config) { c.URL = "ldaps://h/o=com" }), []string{"url must be"}},
		{"no bases", server(func(c *ldap.Config) { c.PeopleBases, c.GroupBases = nil, nil }), []string{"people_bases is missing", "group_bases is missing"}},
		{"bases overlap", server(func(c *ldap.Config) { c.PeopleBases = []string{"o=com", "OU=x, O=Com"} }), []string{"read twice"}},
		{"base", server(func(c *ldap.Config) { c.PeopleBases = []string{"com"} }), []string{"no DN"}},
		{"filter", server(func(c *ldap.Config) { c.PeopleFilter = "uid=*" }), []string{"people_filter is no filter"}},
		{"filter of a server", server(func(c *ldap.Config) { c.PeopleFilter = "(uidNumber>=5)" }), nil},
		{"filter of a file", file(func(c *ldap.Config) { c.PeopleFilter = "(uidNumber>=5)" }), []string{"people_filter: a file is filtered"}},
		{"file with bind", file(func(c *ldap.Config) { c.BindDN = "cn=x" }), []string{"mean nothing for a file"}},
		{"page", file(func(c *ldap.Config) { c.PageSize = -1 }), []string{"page_size"}},
		{"connection", file(func(c *ldap.Config) { c.Connection = "ad" }), []string{"strategy|name|"}},
		{"staff", file(func(c *ldap.Config) { c.StaffRDNs = []string{"o=com,dc=x"} }), []string{"one RDN each"}},
		{"mapping", file(func(c *ldap.Config) {
			c.Mapping = []ldap.Rule{{From: "sn;lang-de", To: "uuid", Form: "shout"}, {From: "im", To: "usernames", Form: "list"}, {To: "usernames", Form: "groups", Absent: "empty"}}
		}), []string{"mapping 1: form must", "mapping 1: from must", "uuid is not for rules", "mapping 2: key belongs", "mapping 3: rules of usernames differ", "exactly one rule of the form user_id"}},
		{"two rules", file(func(c *ldap.Config) {
			c.Mapping = append(ldap.DefaultMapping(), ldap.Rule{From: "cn", To: "first_name"}, ldap.Rule{From: "fax", To: "usernames", Form: "entry", Key: "LDAP-posix_id"})
		}), []string{"first_name has a rule already", "key LDAP-posix_id of usernames is used already"}},
	} {
		err := c.config.Validate()
		if len(c.want) == 0 && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want %q", c.name, err, w)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestConfigFromYAML(t *testing.T) {
	var c ldap.Config
	err := yaml.UnmarshalWithOptions([]byte(`
name: ldap
url: ldap://ldap.example.org
ca_file: ca.pem
bind_dn: cn=reader,o=com
people_bases: [o=com, o=org]
group_bases: [ou=groups]
timeout: 5s
page_size: 100
mapping:
  - {from: uid, to: user_id, form: user_id}
  - {from: labeledURI, to: uris, form: list, key: LDAP, absent: empty, display: none}
`), &c, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Timeout.Seconds() != 5 || len(c.PeopleBases) != 2 || c.Mapping[1].Absent != "empty" {
		t.Errorf("%+v", c)
	}
}

func TestOpenNeedsASecretToBind(t *testing.T) {
	_, err := ldap.Open(ldap.Config{Name: "ldap", URL: "ldaps://h", BindDN: "cn=r", PeopleBases: []string{"o=com"}, GroupBases: []string{"o=com"}}, nil)
	if err == nil {
		t.Error("no error")
	}
}
