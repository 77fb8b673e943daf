package github

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// The attributes that are claimed.
const (
	access    people.Path = "access_information.github"
	nodeID    people.Path = "identities.github_id_v4"
	email     people.Path = "identities.github_primary_email"
	usernames people.Path = "usernames"
)

// loginKey is the key of GitHub's logins among usernames, one of this source's
// own.
const loginKey = "HACK#GITHUB"

// What members of organisations and teams are.
const (
	roleAdmin      = "admin"
	roleMember     = "member"
	roleMaintainer = "maintainer"
)

// A reading is what was read, from wherever.
type reading struct {
	organizations []organization
	// emails are public ones by account.
	emails map[int64]string
	// rejections lack source and publisher.
	rejections []people.Rejection
}

// An organization is one with everybody in it.
type organization struct {
	login            string
	members, outside []account
	teams            []team
}

// An account is one in a list of an organisation's.
type account struct {
	id            int64
	login, nodeID string
	admin         bool
	place         string
}

// A team has direct members, and may also have those of its descendants.
type team struct {
	slug, parent string // the parent's slug, "" for none
	members      []member
}

type member struct {
	id         int64
	maintainer bool
}

// reject sets aside an attribute of an account or, as "", all of it. An id of
// 0 is one that could not be read.
func (r *reading) reject(stage, place string, id int64, attribute people.Path, reason string) {
	j := people.Rejection{Stage: stage, Place: place, Attribute: attribute, Reason: reason}
	if id > 0 {
		j.Record = record(id)
	}
	r.rejections = append(r.rejections, j)
}

func record(id int64) string { return strconv.FormatInt(id, 10) }

// checkTeams says why an organisation's teams cannot be right, "" if they can.
// Whoever is in a team is in its ancestors as well, so that those must be
// known.
func (o *organization) checkTeams() string {
	parents := make(map[string]string, len(o.teams))
	for _, t := range o.teams {
		if _, twice := parents[t.slug]; twice || t.slug == "" {
			return "two teams have one name, or one has none"
		}
		parents[t.slug] = t.parent
	}
	for slug := range parents {
		generations := 0
		for up := slug; up != ""; generations++ {
			parent, known := parents[up]
			switch {
			case !known:
				return "the parent of a team is not among the teams"
			case generations > len(parents):
				return "a team is its own ancestor"
			}
			up = parent
		}
	}
	return ""
}

// A person is an account with its memberships over all organisations.
type person struct {
	account
	roles map[string]string
}

// observe turns what was read into one observation an account, ordered by id,
// and adds to the rejections of r its own.
func (r *reading) observe() []people.Observation {
	found := map[int64]*person{}
	meet := func(a account) *person {
		p := found[a.id]
		if p == nil {
			p = &person{account: a, roles: map[string]string{}}
			found[a.id] = p
		}
		// Of an account that was renamed in between, the later name counts.
		p.login, p.nodeID = a.login, a.nodeID
		return p
	}
	for i := range r.organizations {
		r.organizations[i].enroll(meet)
	}
	type aside struct {
		record    string
		attribute people.Path // "" is all of it
	}
	set := map[aside]bool{}
	for _, j := range r.rejections {
		set[aside{j.Record, j.Attribute}] = true
	}
	var observations []people.Observation
	for _, id := range slices.Sorted(maps.Keys(found)) {
		p := found[id]
		o := people.Observation{
			Publisher: people.GitHub,
			Record:    record(id),
			Keys:      []people.Key{{Scheme: people.ByRecord(people.GitHub), Value: record(id)}},
			Lifecycle: people.Present,
			Place:     p.place,
		}
		if set[aside{o.Record, ""}] {
			continue
		}
		for _, c := range []struct {
			path  people.Path
			claim func() (people.Claim, string)
		}{
			{access, p.access},
			{nodeID, p.node},
			{email, func() (people.Claim, string) { return public(r.emails[id]) }},
			{usernames, p.names},
		} {
			if set[aside{o.Record, c.path}] {
				continue
			}
			claim, reason := c.claim()
			switch claim.Path = c.path; {
			case reason != "":
				r.reject("observe", o.Place, id, c.path, reason)
			case !claim.Value.IsNull():
				o.Claims = append(o.Claims, claim)
			}
		}
		o.Sort()
		observations = append(observations, o)
	}
	return observations
}

// enroll gives everybody in o their roles.
func (o *organization) enroll(meet func(account) *person) {
	key := strings.ToLower(o.login)
	members := make(map[int64]*person, len(o.members))
	for _, a := range o.members {
		p := meet(a)
		members[a.id] = p
		p.roles[key] = roleMember
		if a.admin {
			p.roles[key] = roleAdmin
		}
	}
	for _, a := range o.outside {
		if members[a.id] == nil {
			meet(a).roles[key+"#outside"] = ""
		}
	}
	parents := make(map[string]string, len(o.teams))
	for _, t := range o.teams {
		parents[t.slug] = t.parent
	}
	for _, t := range o.teams {
		for _, m := range t.members {
			p := members[m.id]
			if p == nil {
				continue
			}
			for slug := t.slug; slug != ""; slug = parents[slug] {
				role := roleMember
				if p.roles[key] == roleAdmin || m.maintainer && slug == t.slug {
					role = roleMaintainer
				}
				in := key + "/" + strings.ToLower(slug)
				if p.roles[in] != roleMaintainer {
					p.roles[in] = role
				}
			}
		}
	}
}

func (p *person) access() (people.Claim, string) {
	entries := make([]people.Entry, 0, len(p.roles))
	for key, role := range p.roles {
		entries = append(entries, people.Entry{Key: key, Value: role})
	}
	return people.Claim{Value: people.MapValue(entries...)}, ""
}

// node claims the node id, of whose form GitHub promises nothing.
func (p *person) node() (people.Claim, string) {
	return line(p.nodeID, "the node id is too long or holds control characters", people.StringValue)
}

func (p *person) names() (people.Claim, string) {
	if p.login == "" {
		return people.Claim{}, "the account has no login"
	}
	return line(p.login, "the login is too long or holds control characters", func(v string) people.Value {
		return people.MapValue(people.Entry{Key: loginKey, Value: v})
	})
}

func public(address string) (people.Claim, string) {
	if address == "" {
		return people.Claim{}, ""
	}
	v, err := normalize.Email(address)
	if err != nil {
		return people.Claim{}, "the public email is not an email address"
	}
	return people.Claim{Value: people.StringValue(v)}, ""
}

// maxLine bounds logins and node ids, in bytes.
const maxLine = 256

// line claims a line of text, nothing if there is none.
func line(text, otherwise string, value func(string) people.Value) (people.Claim, string) {
	v, err := normalize.Line(text)
	if err != nil || len(v) > maxLine {
		return people.Claim{}, otherwise
	}
	if v == "" {
		return people.Claim{}, ""
	}
	return people.Claim{Value: value(v)}, ""
}
