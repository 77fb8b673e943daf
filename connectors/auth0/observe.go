package auth0

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// mappingVersion changes whenever equal users give other observations.
const mappingVersion = "auth0 1"

// accessPath is where groups go.
const accessPath people.Path = "access_information.access_provider"

// managed are the providers whose emails come from an organisation's own
// directory, and not from the person.
var managed = []string{"ad", "adfs", "google-apps", "okta", "pingfederate", "samlp", "waad"}

// A service is one at which CIS knows identities of people.
type service struct {
	provider, connection string // connection "" is any
	id, email, node      people.Path
	digits               bool // its ids are numbers
}

var services = []service{
	{provider: "github", id: "identities.github_id_v3", email: "identities.github_primary_email", node: "identities.github_id_v4", digits: true},
	{provider: "google-oauth2", id: "identities.google_oauth2_id", email: "identities.google_primary_email", digits: true},
	{provider: "oauth2", connection: "firefoxaccounts", id: "identities.firefox_accounts_id", email: "identities.firefox_accounts_primary_email"},
}

// is reports whether the login is one at the service. Old users have
// identities of which only the connection is known.
func (s *service) is(l *login) bool {
	if l.provider == "" {
		return l.connection == cmp.Or(s.connection, s.provider)
	}
	return l.provider == s.provider && (s.connection == "" || l.connection == s.connection)
}

// A mapping turns users into observations. It holds no state.
type mapping struct {
	connections []string // those wanted; empty is all
	groups      []string // where a user's groups are, nil for nowhere
	absent      bool     // no groups there means that there are none
}

func newMapping(c Config) mapping {
	m := mapping{connections: c.Connections, absent: c.Groups.Absent == "empty"}
	if c.Groups.Field != "" {
		m.groups = strings.Split(c.Groups.Field, ".")
	}
	return m
}

// hash identifies what the mapping does. Which connections are wanted is
// scope, and not mapping.
func (m *mapping) hash() string {
	absent := "silent"
	if m.absent {
		absent = "empty"
	}
	sum := sha256.Sum256([]byte(mappingVersion + "\x00" + strings.Join(m.groups, ".") + "\x00" + absent))
	return hex.EncodeToString(sum[:8])
}

// fields are those of a user that are asked for.
func (m *mapping) fields() []string {
	f := []string{"user_id", "email", "email_verified", "given_name", "family_name", "created_at", "blocked", "identities", "node_id"}
	if m.groups != nil {
		f = append(f, m.groups[0])
	}
	return f
}

// A result is what becomes of one user.
type result struct {
	observation people.Observation
	rejected    []people.Rejection
	// aside says that the user as a whole is set aside; the one rejection says why.
	aside bool
	// unwanted says that the user is of a connection that is not read.
	unwanted bool
}

// record is the user's id, "" if it cannot be read.
func (r *result) record() string {
	if r.aside {
		return r.rejected[0].Record
	}
	return r.observation.Record
}

// observe maps the JSON of one user.
func (m *mapping) observe(raw []byte) result {
	u, reason := parseUser(raw)
	if reason != "" {
		j := people.Rejection{Stage: "read", Record: u.id, Reason: reason, Keys: u.keys()}
		return result{rejected: []people.Rejection{j}, aside: true}
	}
	if len(m.connections) > 0 && !slices.Contains(m.connections, u.own.connection) {
		return result{observation: people.Observation{Record: u.id}, unwanted: true}
	}
	blocked, reason := truth(u.raw.Blocked, "blocked")
	if reason != "" {
		j := people.Rejection{Stage: "observe", Record: u.id, Reason: reason, Keys: u.keys()}
		return result{rejected: []people.Rejection{j}, aside: true}
	}
	r := result{observation: people.Observation{
		Publisher: people.AccessProvider,
		Record:    u.id,
		Keys:      []people.Key{{Scheme: people.ByRecord(people.AccessProvider), Value: u.id}, {Scheme: people.ByUserID, Value: u.id}},
		Lifecycle: people.Present,
	}}
	o := &r.observation
	if blocked == yes {
		o.Lifecycle = people.Blocked
	}
	aside := func(path people.Path, reason string) {
		r.rejected = append(r.rejected, people.Rejection{Stage: "observe", Record: u.id, Attribute: path, Reason: reason})
	}
	say := func(path people.Path, text, reason string, unverified bool) {
		switch {
		case reason != "":
			aside(path, reason)
		case text != "":
			o.Claims = append(o.Claims, people.Claim{Path: path, Value: people.StringValue(text), Unverified: unverified})
		}
	}
	say(people.UserID, u.id, "", false)
	say("login_method", u.own.connection, "", false)
	first, reason := line(u.raw.GivenName, "given_name")
	say("first_name", first, reason, false)
	last, reason := line(u.raw.FamilyName, "family_name")
	say("last_name", last, reason, false)
	created, reason := line(u.raw.CreatedAt, "created_at")
	if created != "" {
		var err error
		if created, err = normalize.Timestamp(created); err != nil {
			reason = "created_at is no time"
		}
	}
	say(people.Created, created, reason, false)
	mail := u.own.mail()
	say(people.PrimaryEmail, mail.written, mail.reason, !mail.verified)
	if mail.usable && mail.reason == "" {
		o.Keys = append(o.Keys, people.Key{Scheme: people.ByEmail, Value: mail.key})
	}
	if u.reason != "" {
		aside("identities", u.reason)
	}
	for i := range services {
		s := &services[i]
		l, reason := u.login(s)
		if reason != "" {
			aside(s.id, reason)
		}
		if l == nil {
			continue
		}
		say(s.id, l.id, "", false)
		mail := l.mail()
		say(s.email, mail.written, mail.reason, !mail.verified)
		if s.node != "" {
			node, reason := line(l.NodeID, "node_id")
			say(s.node, node, reason, false)
		}
	}
	if m.groups != nil {
		groups, said, reason := memberships(u.raw.AppMetadata, m.groups[1:])
		switch {
		case reason != "":
			aside(accessPath, reason)
		case len(groups) > 0:
			o.Claims = append(o.Claims, people.Claim{Path: accessPath, Value: people.MapValue(groups...)})
		case said || m.absent:
			o.Claims = append(o.Claims, people.Claim{Path: accessPath, Empty: true, Value: people.NullValue(true)})
		}
	}
	o.Sort()
	return r
}
