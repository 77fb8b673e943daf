package ldap

import (
	"errors"
	"slices"
	"strings"
)

// groups is who is in which group: read before the people, so that they can
// be streamed. Groups are numbered; members are kept as the normal form of
// their DN, or as folded uid.
type groups struct {
	names  []string // cn; "" for a group without a usable one
	dns    map[string]int32
	byDN   map[string][]int32
	byUID  map[string][]int32
	above  [][]int32 // the groups that a group is itself a direct member of
	seen   []int     // the last walk that came by a group
	walk   int
	unsure bool // there is a group whose members are not all known
}

func newGroups() *groups {
	return &groups{dns: map[string]int32{}, byDN: map[string][]int32{}, byUID: map[string][]int32{}}
}

// membership are the attributes by which a group names its members.
var membership = []string{"member", "uniquemember", "memberuid"}

// looksLikeGroup judges an entry that could not be read: of what may have been
// a group, members are wanted as far as they can be known.
func looksLikeGroup(e *entry) bool {
	return slices.ContainsFunc(membership, func(a string) bool { return len(e.values[a]) > 0 || slices.Contains(e.lost, a) }) ||
		slices.ContainsFunc(e.values["objectclass"], func(c string) bool {
			return slices.Contains([]string{"groupofnames", "groupofuniquenames", "posixgroup"}, fold(c))
		})
}

// add takes one group. A group without a usable name is kept, so that its
// members are known to be in some group; one whose members are not all known
// makes everybody's groups unsure. The error says what is wrong.
func (g *groups) add(e *entry) error {
	n, err := parseName(e.dn)
	if err != nil {
		g.unsure = true
		return errors.New("group: dn cannot be parsed")
	}
	if slices.ContainsFunc(e.lost, func(a string) bool { return a == "" || slices.Contains(membership, a) }) {
		g.unsure = true
	}
	var cn string
	names, fault := texts(e, "cn")
	if e.fault != "" {
		fault = e.fault
	}
	if fault == "" {
		if cn = choose(names, n, "cn"); cn == "" {
			fault = "cn is missing"
		}
	}
	i := int32(len(g.names))
	g.names = append(g.names, cn)
	g.dns[n.String()] = i
	for _, v := range e.values["member"] {
		dn := normalDN(v)
		g.byDN[dn] = append(g.byDN[dn], i)
	}
	for _, v := range e.values["uniquemember"] {
		dn := normalDN(withoutUID(v))
		g.byDN[dn] = append(g.byDN[dn], i)
	}
	for _, v := range e.values["memberuid"] {
		uid := fold(v)
		g.byUID[uid] = append(g.byUID[uid], i)
	}
	if fault != "" {
		return errors.New("group: " + fault)
	}
	return nil
}

// withoutUID cuts the optional bit string off a uniqueMember (RFC 4517
// section 3.3.21): "uid=x,o=com#'0101'B".
func withoutUID(v string) string {
	if i := strings.LastIndex(v, "#'"); i > 0 && strings.HasSuffix(v, "'B") {
		return v[:i]
	}
	return v
}

// link finds out which groups are members of groups, when all are added.
func (g *groups) link() {
	g.above = make([][]int32, len(g.names))
	g.seen = make([]int, len(g.names))
	for dn, i := range g.dns {
		g.above[i] = g.byDN[dn]
	}
}

// of returns the names of all groups that a person is in, directly or through
// other groups, in no order; known is false if that cannot be said.
//
// memberOf counts for groups that were read; others are outside of what the
// configuration asks for.
func (g *groups) of(n name, uid string, memberOf []string) (names []string, known bool) {
	if g.unsure {
		return nil, false
	}
	todo := append(slices.Clone(g.byDN[n.String()]), g.byUID[fold(uid)]...)
	for _, v := range memberOf {
		if i, ok := g.dns[normalDN(v)]; ok {
			todo = append(todo, i)
		}
	}
	g.walk++
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if g.seen[i] == g.walk {
			continue // seen by another way, or a cycle
		}
		g.seen[i] = g.walk
		if g.names[i] == "" {
			return nil, false
		}
		names = append(names, g.names[i])
		todo = append(todo, g.above[i]...)
	}
	return names, true
}
