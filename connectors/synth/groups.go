package synth

import (
	"slices"
	"strconv"
	"strings"
)

const groupsDN = "ou=groups," + suffix

// A roster is who is in which group, in eight bytes a membership. Groups are
// numbered: teams, offices, access groups.
type roster struct {
	groups, people []uint32
}

func (r *roster) add(group, person int) {
	r.groups = append(r.groups, uint32(group))
	r.people = append(r.people, uint32(person))
}

// enrol adds the memberships of somebody with an account. access are the
// numbers of their access groups.
func (c *company) enrol(r *roster, p *person, t post, access []int) {
	if p.kind == worker {
		r.add(t.team, p.index)
		r.add(c.bosses+t.office, p.index)
	}
	for _, g := range access {
		r.add(c.bosses+c.offices+g, p.index)
	}
}

// byGroup returns the members of every group, sorted.
func (r *roster) byGroup(groups int) (members []uint32, ends []int) {
	ends = make([]int, groups+1)
	for _, g := range r.groups {
		ends[g+1]++
	}
	for g := range groups {
		ends[g+1] += ends[g]
	}
	next := slices.Clone(ends)
	members = make([]uint32, len(r.people))
	for i, g := range r.groups {
		members[next[g]] = r.people[i]
		next[g]++
	}
	return members, ends
}

// A groupKind is one of the three ways in which groups hold members.
type groupKind struct{ class, attribute string }

var groupKinds = [...]groupKind{
	{"groupOfNames", "member"},
	{"groupOfUniqueNames", "uniqueMember"},
	{"posixGroup", "memberUid"},
}

// group returns the name and the kind of a group: teams have uniqueMember,
// offices member, access groups any.
func (c *company) group(g int) (cn string, k groupKind) {
	n := g - c.bosses - c.offices
	switch {
	case g < c.bosses:
		slug := strings.ToLower(strings.Map(func(r rune) rune {
			if r == ' ' || r == '(' || r == ')' {
				return '-'
			}
			return r
		}, teamName(g)))
		return "team-" + strconv.Itoa(g) + "-" + strings.Trim(slug, "-"), groupKinds[1]
	case n < 0:
		o := g - c.bosses
		cn = offices[o%len(offices)].group
		if o >= len(offices) {
			cn += "-" + strconv.Itoa(o/len(offices)+1)
		}
		return cn, groupKinds[0]
	case n < len(accessGroups):
		return accessGroups[n], groupKinds[n%3]
	}
	return "access-" + strconv.Itoa(n) + "-" + strings.ToLower(strings.ReplaceAll(areas[n%len(areas)], " ", "-")), groupKinds[n%3]
}

// groupDN returns the DN of a group by its name (RFC 4514 section 2.4).
func groupDN(cn string) string {
	return "cn=" + strings.ReplaceAll(cn, ",", `\,`) + "," + groupsDN
}

// writeGroups appends all groups that have members, calling flush after
// each. It returns how many there are.
func (c *company) writeGroups(l *ldif, r *roster, day int, flush func() error) (int, error) {
	all := c.bosses + c.offices + c.access()
	members, ends := r.byGroup(all)
	written := 0
	begin := func(g int, cn string, k groupKind) {
		l.text("dn", groupDN(cn))
		l.text("objectClass", k.class)
		l.attribute("entryUUID", appendUUID(nil, c.dice(identifying, g, 3)))
		l.text("cn", cn)
		if k.class == "posixGroup" {
			l.text("gidNumber", strconv.Itoa(500_000+g))
		}
		written++
	}
	var nested []string
	for g := range all {
		list := members[ends[g]:ends[g+1]]
		if len(list) == 0 {
			continue // groupOfNames and groupOfUniqueNames must have a member
		}
		cn, k := c.group(g)
		begin(g, cn, k)
		for _, i := range list {
			p := c.at(int(i), day)
			if k.class == "posixGroup" {
				l.text(k.attribute, p.uid)
			} else {
				l.attribute(k.attribute, p.appendDN(nil))
			}
		}
		// Some access groups hold a whole team as well.
		if g >= c.bosses+c.offices && k.class != "posixGroup" && g%5 == 0 {
			if team := g % c.bosses; ends[team] < ends[team+1] {
				cn, _ := c.group(team)
				l.text(k.attribute, groupDN(cn))
			}
		}
		l.end()
		if g >= c.bosses && g < c.bosses+c.offices {
			nested = append(nested, groupDN(cn))
		}
		if err := flush(); err != nil {
			return 0, err
		}
	}
	if len(nested) > 0 {
		begin(all, "everyone", groupKinds[0])
		for _, dn := range nested {
			l.text("member", dn)
		}
		l.end()
	}
	// Two groups hold one another: a cycle.
	admins, oncall := groupDN("platform-admins"), groupDN("platform-oncall")
	for i, other := range [...]string{oncall, admins} {
		begin(all+1+i, [...]string{"platform-admins", "platform-oncall"}[i], groupKinds[0])
		l.text("member", other)
		if index := 25 + i; index < c.people {
			l.attribute("member", c.at(index, day).appendDN(nil))
		}
		l.end()
	}
	return written, flush()
}
