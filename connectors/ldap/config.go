package ldap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"example.org/cis/transforms/people"
)

// A Secret yields the password of the bind, when it is needed. It stands
// outside of Config so that no print of a configuration can show it.
type Secret func(context.Context) (string, error)

// A Config says which directory is read and how. Zero fields have the
// defaults that they name.
type Config struct {
	// Name is the source's name, unique in the configuration.
	Name string `yaml:"name"`
	// URL is ldaps://host[:port], or ldap://host[:port] with StartTLS.
	URL string `yaml:"url,omitempty"`
	// File is the path of an LDIF file, plain, .gz or .zst, instead of URL.
	File string `yaml:"file,omitempty"`
	// CAFile holds the PEM certificates that the server's may be signed by.
	// Default: those of the system.
	CAFile string `yaml:"ca_file,omitempty"`
	// BindDN is who reads; its password comes from the Secret.
	BindDN string `yaml:"bind_dn,omitempty"`
	// Anonymous says that nobody binds. Without BindDN it must be said.
	Anonymous bool `yaml:"anonymous,omitempty"`
	// PeopleBases and GroupBases are the DNs below which people and groups
	// stand; no base may stand below another of its list. A file may have
	// none, which means all of it.
	PeopleBases []string `yaml:"people_bases,omitempty"`
	GroupBases  []string `yaml:"group_bases,omitempty"`
	// PeopleFilter and GroupFilter are filters of RFC 4515. Defaults:
	// (objectClass=inetOrgPerson), and groupOfNames, groupOfUniqueNames or
	// posixGroup.
	PeopleFilter string `yaml:"people_filter,omitempty"`
	GroupFilter  string `yaml:"group_filter,omitempty"`
	// PageSize is how many entries a page has, at most 10,000. Default 500,
	// which servers allow that are set up as they come.
	PageSize int `yaml:"page_size,omitempty"`
	// Timeout is how long the server may be silent. Default 30 s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// Mapping says what becomes of attributes. Default: DefaultMapping.
	Mapping []Rule `yaml:"mapping,omitempty"`
	// StaffRDNs are RDNs that mark the branches of staff. Default: o=com and
	// o=org.
	StaffRDNs []string `yaml:"staff_rdns,omitempty"`
	// Connection comes before the uid in a user_id, and names the login
	// method between its bars. Default "ad|Mozilla-LDAP|".
	Connection string `yaml:"connection,omitempty"`
}

// A Rule maps one attribute of entries.
type Rule struct {
	// From is an LDAP attribute, or "dn" for the entry's name. It is unused
	// by the form "groups".
	From string `yaml:"from,omitempty" json:"from,omitempty"`
	// To is the attribute's path in the profile. login_method and active are
	// claimed always, and not by rules.
	To people.Path `yaml:"to" json:"to"`
	// Form says what is made of the values:
	//	text     one string (the default)
	//	user_id  the connection and the value, which is a key and the posix id; exactly one rule
	//	email    one address, whose lower case is a key; at most one rule
	//	time     a GeneralizedTime (RFC 4517 section 3.3.13) as RFC 3339
	//	list     a map of Key-1, Key-2, …
	//	pgp      a list without spaces and 0x
	//	entry    a map with the one entry Key
	//	groups   a map of the names of all groups, nested ones too, to null
	// Rules of the last four forms with the same To make one map.
	Form string `yaml:"form,omitempty" json:"form,omitempty"`
	Key  string `yaml:"key,omitempty" json:"key,omitempty"`
	// Absent says what it means if there is no value: silent (the default)
	// or empty.
	Absent string `yaml:"absent,omitempty" json:"absent,omitempty"`
	// Display is what is proposed where none is set. Default: staff for
	// entries of staff branches, else private. "none" proposes nothing.
	Display string `yaml:"display,omitempty" json:"display,omitempty"`
}

// The forms of a Rule.
const (
	formText   = "text"
	formUserID = "user_id"
	formEmail  = "email"
	formTime   = "time"
	formList   = "list"
	formPGP    = "pgp"
	formEntry  = "entry"
	formGroups = "groups"
)

var (
	forms    = []string{formText, formUserID, formEmail, formTime, formList, formPGP, formEntry, formGroups}
	displays = []string{"", "none", "public", "authenticated", "vouched", "ndaed", "staff", "private"}
	// attributeName is an attribute description without options (RFC 4512 section 1.4).
	attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)
	attributePath = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)?$`)
	connection    = regexp.MustCompile(`^[^|\s]+\|[^|]+\|$`)
)

// DefaultMapping returns the mapping of profile v2. Directories say "none" of
// groups and keys by leaving them out, so that absence is empty there.
func DefaultMapping() []Rule {
	return []Rule{
		{From: "uid", To: people.UserID, Form: formUserID},
		{From: "mail", To: people.PrimaryEmail, Form: formEmail},
		// The catalogue allows no other display of the DN.
		{From: "dn", To: "identities.mozilla_ldap_id", Display: "staff"},
		{From: "mail", To: "identities.mozilla_ldap_primary_email"},
		{From: "uid", To: "identities.mozilla_posix_id"},
		{From: "givenName", To: "first_name"},
		{From: "sn", To: "last_name"},
		{From: "displayName", To: "alternative_name"},
		{From: "title", To: "fun_title"},
		{From: "description", To: "description"},
		{From: "mobile", To: "phone_numbers", Form: formList, Key: "LDAP"},
		{From: "sshPublicKey", To: "ssh_public_keys", Form: formList, Key: "LDAP", Absent: "empty"},
		{From: "pgpFingerprint", To: "pgp_public_keys", Form: formPGP, Key: "LDAP", Absent: "empty"},
		{To: "access_information.ldap", Form: formGroups, Absent: "empty"},
		{From: "zimbraAlias", To: "usernames", Form: formList, Key: "LDAP-alias"},
		{From: "im", To: "usernames", Form: formList, Key: "LDAP-im-unverified"},
		{From: "uid", To: "usernames", Form: formEntry, Key: "LDAP-posix_id"},
		{From: "uidNumber", To: "usernames", Form: formEntry, Key: "LDAP-posix_uid"},
		{From: "createTimestamp", To: people.Created, Form: formTime},
	}
}

// withDefaults fills in what c leaves zero.
func (c Config) withDefaults() Config {
	if c.PeopleFilter == "" {
		c.PeopleFilter = "(objectClass=inetOrgPerson)"
	}
	if c.GroupFilter == "" {
		c.GroupFilter = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
	}
	if c.PageSize == 0 {
		c.PageSize = 500
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Mapping == nil {
		c.Mapping = DefaultMapping()
	}
	if c.StaffRDNs == nil {
		c.StaffRDNs = []string{"o=com", "o=org"}
	}
	if c.Connection == "" {
		c.Connection = "ad|Mozilla-LDAP|"
	}
	c.Mapping = slices.Clone(c.Mapping)
	for i := range c.Mapping {
		if c.Mapping[i].Form == "" {
			c.Mapping[i].Form = formText
		}
		if c.Mapping[i].Absent == "" {
			c.Mapping[i].Absent = "silent"
		}
	}
	return c
}

// Validate returns all that is wrong with c, joined.
func (c Config) Validate() error {
	c = c.withDefaults()
	var bad []error
	complain := func(format string, args ...any) { bad = append(bad, fmt.Errorf("ldap: "+format, args...)) }

	if c.Name == "" {
		complain("name is missing")
	}
	switch {
	case c.URL != "" && c.File != "" || c.URL == "" && c.File == "":
		complain("want either url or file")
	case c.File != "":
		if c.BindDN != "" || c.Anonymous || c.CAFile != "" {
			complain("bind_dn, anonymous and ca_file mean nothing for a file")
		}
	default:
		if u, err := url.Parse(c.URL); err != nil {
			complain("url cannot be read") // url.Error quotes it
		} else if u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
			complain("url must be ldaps://host[:port], or ldap://host[:port], which means StartTLS, and nothing else")
		}
		if (c.BindDN == "") != c.Anonymous {
			complain("want either bind_dn, or anonymous: true")
		}
		if _, err := parseName(c.BindDN); err != nil {
			complain("bind_dn is no DN")
		}
		if len(c.PeopleBases) == 0 {
			complain("people_bases is missing")
		}
		if len(c.GroupBases) == 0 && c.wantsGroups() {
			complain("group_bases is missing; without groups, take the rule of the form groups out of the mapping")
		}
	}
	for _, l := range []struct {
		field string
		bases []string
	}{{"people_bases", c.PeopleBases}, {"group_bases", c.GroupBases}} {
		bases, err := parseNames(l.bases)
		if err != nil {
			complain("%s: %w", l.field, err)
		}
		for i, a := range bases {
			for j, b := range bases {
				if i != j && a.under(b) {
					complain("%s: %q stands below %q, its entries would be read twice", l.field, l.bases[i], l.bases[j])
				}
			}
		}
	}
	for _, f := range []struct{ field, filter string }{{"people_filter", c.PeopleFilter}, {"group_filter", c.GroupFilter}} {
		if _, err := ldap.CompileFilter(f.filter); err != nil {
			complain("%s is no filter", f.field)
		} else if _, err := parseFilter(f.filter); err != nil && c.File != "" {
			complain("%s: %w", f.field, err)
		}
	}
	if c.PageSize < 1 || c.PageSize > 10_000 {
		complain("page_size must be from 1 to 10000")
	}
	if c.Timeout < 0 {
		complain("timeout is negative")
	}
	if !connection.MatchString(c.Connection) {
		complain("connection must have the form strategy|name|")
	}
	if names, err := parseNames(c.StaffRDNs); err != nil {
		complain("staff_rdns: %w", err)
	} else if slices.ContainsFunc(names, func(n name) bool { return len(n.rdns) != 1 }) {
		complain("staff_rdns: want one RDN each, such as o=com")
	}
	return errors.Join(append(bad, c.validateMapping()...)...)
}

func (c Config) validateMapping() []error {
	var bad []error
	count := map[string]int{}
	first := map[people.Path]Rule{}
	keys := map[string]bool{}
	for i, r := range c.Mapping {
		complain := func(format string, args ...any) {
			bad = append(bad, fmt.Errorf("ldap: mapping %d: "+format, append([]any{i + 1}, args...)...))
		}
		count[r.Form]++
		if !slices.Contains(forms, r.Form) {
			complain("form must be one of %s", strings.Join(forms, ", "))
		}
		if (r.Form == formGroups) != (r.From == "") || r.From != "" && !attributeName.MatchString(r.From) {
			complain("from must be an LDAP attribute without options, dn, or nothing for groups")
		}
		if !attributePath.MatchString(string(r.To)) {
			complain("to must be an attribute path")
		}
		switch r.To {
		case people.UUID, people.PrimaryUsername, people.Active, people.LastModified, "login_method":
			complain("%s is not for rules to claim", r.To)
		}
		if (r.Form == formUserID) != (r.To == people.UserID) {
			complain("the form user_id belongs to the attribute user_id")
		}
		if keyed := r.Form == formList || r.Form == formPGP || r.Form == formEntry; keyed != (r.Key != "") {
			complain("key belongs to the forms list, pgp and entry")
		}
		if r.Absent != "silent" && r.Absent != "empty" {
			complain("absent must be silent or empty")
		}
		if !slices.Contains(displays, r.Display) {
			complain("display is none of %s", strings.Join(displays[1:], ", "))
		}
		if f, again := first[r.To]; !again {
			first[r.To] = r
		} else if !r.plural() || !f.plural() {
			complain("%s has a rule already", r.To)
		} else if f.Absent != r.Absent || f.Display != r.Display {
			complain("rules of %s differ in absent or display", r.To)
		}
		if k := string(r.To) + " " + r.Key; r.Key != "" && keys[k] {
			complain("key %s of %s is used already", r.Key, r.To)
		} else {
			keys[k] = true
		}
	}
	if count[formUserID] != 1 || count[formEmail] > 1 {
		bad = append(bad, errors.New("ldap: mapping: want exactly one rule of the form user_id and at most one of the form email"))
	}
	return bad
}

// plural reports whether r makes a map.
func (r Rule) plural() bool {
	return r.Form == formList || r.Form == formPGP || r.Form == formEntry || r.Form == formGroups
}

func (c Config) wantsGroups() bool {
	return slices.ContainsFunc(c.Mapping, func(r Rule) bool { return r.Form == formGroups })
}

// version counts changes of the step from entries to observations: a new
// version makes everyone a candidate, as a new mapping does.
const version = 1

// hash identifies what turns entries into observations.
func (c Config) hash() string {
	b, err := json.Marshal([]any{version, c.Connection, c.StaffRDNs, c.Mapping})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func parseNames(dns []string) ([]name, error) {
	names := make([]name, len(dns))
	for i, dn := range dns {
		var err error
		if names[i], err = parseName(dn); err != nil {
			return nil, fmt.Errorf("%q is no DN", dn)
		}
	}
	return names, nil
}
