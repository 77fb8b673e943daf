package synth

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"example.org/cis/transforms/people"
)

// An org is an organisation at GitHub.
type org struct {
	login string
	// teams are the first by name; in large companies there are more.
	teams []string
}

// The last one has only characters, and is emptied.
var orgs = [...]org{
	{"example", []string{"engineering", "build-tools", "docs", "release", "security", "community"}},
	{"example-labs", []string{"sandbox", "compilers", "telemetry"}},
	{"example-archive", []string{"keepers"}},
}

const (
	mainOrg = iota
	labsOrg
)

// buildTools is the team of the first organisation that is put below its
// first team. Only characters are in it.
const buildTools = 1

// nestedFrom is the day from which on it is there.
const nestedFrom = 4

// teams returns how many there are in an organisation.
func (c *company) teams(o int) int {
	n := len(orgs[o].teams)
	switch o {
	case mainOrg:
		n += c.people / 50
	case labsOrg:
		n += c.people / 150
	}
	return n
}

// Seats are numbered: the members of each organisation, then the outside
// collaborators of each, then the teams of each. seatsOf returns the number of
// the first team of an organisation.
func (c *company) seatsOf(o int) int {
	first := 2 * len(orgs)
	for i := range o {
		first += c.teams(i)
	}
	return first
}

// seat returns the number of what a character is in, with the role: "org",
// "org#outside" or "org/team", and "=role" if it is not the usual one.
func (c *company) seat(s string) (g int, role string) {
	s, role, _ = strings.Cut(s, "=")
	o := slices.IndexFunc(orgs[:], func(o org) bool { return o.login == orgOf(s) })
	_, team, inTeam := strings.Cut(s, "/")
	switch {
	case inTeam:
		g = c.seatsOf(o) + slices.Index(orgs[o].teams, team)
	case strings.HasSuffix(s, "#outside"):
		g = len(orgs) + o
	default:
		g = o
	}
	return g, cmp.Or(role, "member")
}

// orgOf returns the organisation of a seat that is written.
func orgOf(s string) string {
	if i := strings.IndexAny(s, "=#/"); i >= 0 {
		return s[:i]
	}
	return s
}

// slug returns the name of a team.
func slug(o, t int) string {
	if t < len(orgs[o].teams) {
		return orgs[o].teams[t]
	}
	return strings.ToLower(strings.ReplaceAll(areas[t%len(areas)], " ", "-")) + "-" + strconv.Itoa(t)
}

// parent returns the team that a team is below, -1 if none.
func parent(o, t, day int) int {
	switch {
	case o == mainOrg && t == buildTools && day >= nestedFrom:
		return 0
	case o == mainOrg && t > 2 && t%4 != 3:
		if up := (t - 3) / 3; up != buildTools {
			return up
		}
		return 2
	case o == labsOrg && t > 1 && t%2 == 0:
		return 0
	}
	return -1
}

// hubID returns what GitHub knows the n-th persona by.
func hubID(n int) int { return 20_000_000 + 13*n }

// nodeID returns the same for its other API, in the form of old or of new accounts.
func nodeID(n int) string {
	if n%6 < 2 {
		return base64.StdEncoding.EncodeToString([]byte("04:User" + strconv.Itoa(hubID(n))))
	}
	return "U_kgDO" + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(hubID(n))))
}

// handle returns the login at GitHub of the n-th persona on a day. That of
// day 0 is what the account was made with.
func (c *company) handle(n, day int) string {
	cal, index, part := &c.calendar, n/2, (*part)(nil)
	if n%2 == 1 {
		cal = &c.outside.calendar
	}
	switch {
	case index >= cal.cast:
	case n%2 == 1:
		part = &outsiders[index]
	default:
		part = &cast[index]
	}
	if part != nil {
		h := part.online.handle
		for _, e := range part.events {
			if e.Story == LoginRenamed && e.Day <= day {
				h = e.Of
			}
		}
		return h
	}
	k := 0
	for range cal.events(handling, index, day) {
		k++
	}
	d := c.dice(hubbing, n, k)
	a, b := hubWords[d.n(len(hubWords))], hubWords[d.n(len(hubWords))]
	return a + [...]string{"", "-"}[d.n(2)] + strings.ToLower(b) + strconv.Itoa(n)
}

// hubMail returns the address that the n-th persona shows at GitHub, "" for most.
func (c *company) hubMail(n int) string {
	switch {
	case n%2 == 0 && n/2 < castSize:
		return cast[n/2].online.hubMail
	case n%2 == 1 && n/2 < len(outsiders):
		return outsiders[n/2].online.hubMail
	}
	if d := c.dice(hubbing, n, 1<<20); d.n(10) < 3 {
		return strings.ToLower(c.handle(n, 0)) + "@users.example.org"
	}
	return ""
}

// role returns what the n-th persona is in a seat.
func (c *company) role(n, g int) string {
	list := [][]part{cast[:], outsiders[:]}[n%2]
	if n/2 < len(list) {
		for _, s := range list[n/2].online.seats {
			if at, role := c.seat(s); at == g {
				return role
			}
		}
		return "member"
	}
	d := c.dice(seating, n, 1<<20+g)
	switch {
	case g < len(orgs) && d.n(50) == 0:
		return "admin"
	case g >= 2*len(orgs) && d.n(7) == 0:
		return "maintainer"
	}
	return "member"
}

// drawSeats decides which seats an ordinary persona has.
func (c *company) drawSeats(o *persona, events func(topic, func(*dice, int, int))) {
	d := c.dice(seating, o.n, 0)
	home, outsider := d.n(100), d.n(100)
	if outsider < 4 || o.connection != viaLDAP && outsider < 35 {
		o.seats = append(o.seats, len(orgs)+home%2)
		return
	}
	inMain, inLabs := home < 82, home >= 70
	events(transferring, func(_ *dice, _, on int) {
		if on <= o.seated || !inMain {
			return
		}
		if inLabs = !inLabs; inLabs {
			o.tell(OrgJoined, on)
		} else {
			o.tell(OrgLeft, on)
		}
	})
	if inLabs {
		o.seats = append(o.seats, labsOrg)
		if d.n(2) == 0 {
			o.seats = append(o.seats, c.seatsOf(labsOrg)+d.n(c.teams(labsOrg)))
		}
	}
	if !inMain {
		return
	}
	o.seats = append(o.seats, mainOrg)
	lasting := len(o.seats)
	d = c.dice(seating, o.n, 1)
	for range [...]int{0, 1, 1, 2, 3}[d.n(5)] {
		c.joinTeam(o, &d)
	}
	events(teaming, func(d *dice, _, on int) {
		switch {
		case on <= o.seated:
		case d.n(5) < 3 || len(o.seats) == lasting:
			if c.joinTeam(o, d) {
				o.tell(TeamJoined, on)
			}
		default:
			o.seats = slices.Delete(o.seats, lasting, lasting+1)
			o.tell(TeamLeft, on)
		}
	})
}

// joinTeam draws one more team of the first organisation, unless o is in it.
func (c *company) joinTeam(o *persona, d *dice) bool {
	t := d.n(1 + d.n(c.teams(mainOrg)-1))
	if t >= buildTools {
		t++
	}
	g := c.seatsOf(mainOrg) + t
	if slices.Contains(o.seats, g) {
		return false
	}
	o.seats = append(o.seats, g)
	return true
}

// A hub is who is where at GitHub.
type hub struct {
	roster
	accounts []uint32
	nameless map[uint32]bool // without id on the day
}

// enrol adds the seats of a persona, and reports whether there are any.
func (h *hub) enrol(o *persona) bool {
	if len(o.seats) == 0 {
		return false
	}
	for _, g := range o.seats {
		h.add(g, o.n)
	}
	h.accounts = append(h.accounts, uint32(o.n))
	if o.fault == NoGitHubID {
		if h.nameless == nil {
			h.nameless = map[uint32]bool{}
		}
		h.nameless[uint32(o.n)] = true
	}
	return true
}

// writeHub writes the organisations with flush, which it calls now and then.
func (c *company) writeHub(h *hub, day int, flush func(*[]byte) error) error {
	members, ends := h.byGroup(c.seatsOf(len(orgs)))
	var b []byte
	var err error
	list := func(name string, of []uint32, each func(r *row, n uint32)) {
		b = append(people.AppendQuoted(b, name), ": ["...)
		for i, n := range of {
			if i > 0 {
				b = append(b, ',')
			}
			r := row{b: append(b, "\n{"...)}
			each(&r, n)
			if b = append(r.b, '}'); i%1000 == 999 && err == nil {
				err = flush(&b)
			}
		}
		b = append(b, ']')
	}
	at := func(g int) []uint32 { return members[ends[g]:ends[g+1]] }
	account := func(r *row, n uint32) {
		if !h.nameless[n] {
			r.number("id", hubID(int(n)))
		}
		r.text("login", c.handle(int(n), day))
		r.text("node_id", nodeID(int(n)))
	}
	b = append(b, `{"organizations": [`...)
	for o := range orgs {
		if o > 0 {
			b = append(b, ',')
		}
		r := row{b: append(b, "\n{"...)}
		r.text("login", orgs[o].login)
		r.number("id", 70_001+o)
		b = append(r.b, ",\n"...)
		list("members", at(o), func(r *row, n uint32) {
			account(r, n)
			r.text("role", c.role(int(n), o))
		})
		b = append(b, ",\n"...)
		list("outside_collaborators", at(len(orgs)+o), account)
		b = append(b, ",\n"+`"teams": [`...)
		for t := range c.teams(o) {
			if t > 0 {
				b = append(b, ',')
			}
			r := row{b: append(b, "\n{"...)}
			r.text("slug", slug(o, t))
			r.key("parent")
			if up := parent(o, t, day); up >= 0 {
				r.b = people.AppendQuoted(r.b, slug(o, up))
			} else {
				r.b = append(r.b, "null"...)
			}
			b = append(r.b, ", "...)
			g := c.seatsOf(o) + t
			list("members", at(g), func(r *row, n uint32) {
				r.number("id", hubID(int(n)))
				r.text("role", c.role(int(n), g))
			})
			b = append(b, '}')
		}
		b = append(b, "]}"...)
	}
	b = append(b, "],\n"...)
	list("users", h.accounts, func(r *row, n uint32) {
		r.number("id", hubID(int(n)))
		r.key("email")
		if mail := c.hubMail(int(n)); mail != "" {
			r.b = people.AppendQuoted(r.b, mail)
		} else {
			r.b = append(r.b, "null"...)
		}
	})
	b = append(b, "}\n"...)
	if err != nil {
		return err
	}
	return flush(&b)
}
