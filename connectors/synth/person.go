package synth

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A kind says which sources a person is in.
type kind uint8

const (
	worker   kind = iota // HRIS and LDAP
	field                // HRIS only: has no account
	external             // LDAP only
	service              // LDAP only, and nobody in particular
)

// longestNotice is how many days before the first one an ordinary worker's
// row can appear.
const longestNotice = 3

// A person is somebody as they are on a day.
type person struct {
	index, day int
	kind       kind
	part       *part // of the cast
	culture    *culture

	// The days of: the row in the HRIS, the first day, the LDAP entry, the
	// last day and one more, the end of the LDAP entry, the return, and the
	// one day of absence.
	row, starts, account, left, closed, back, absent int
	// How many times each has changed.
	titles, teams, managers, offices, centres, families, firsts, uids, edits int
	renamed                                                                  int // the day of the last time that the uid may have changed; 0 if never
	// heir is the index of whom the mail comes from, and the uid too if uidToo; else -1.
	heir   int
	uidToo bool
	fault  Story // of the day; numStories is none
	told   uint64

	given, family, display string
	uid, local             string // local is what stands before the sign in the mail
	branch                 string
	traits                 trait
}

func (p *person) tell(s Story, on int) {
	if on == p.day {
		p.told |= 1 << s
	}
}

// gone reports whether p has left and not returned.
func (p *person) gone() bool { return p.day >= p.left && p.day < p.back }

// inHRIS and inLDAP report whether the sources show p.
func (p *person) inHRIS() bool {
	return p.kind <= field && p.day >= p.row && !p.gone() && p.day != p.absent
}

func (p *person) inLDAP() bool {
	return p.kind != field && p.day >= p.account && (p.day < p.closed || p.day >= p.back)
}

// at returns a person as they are on a day, with names.
func (c *company) at(i, day int) *person {
	p := &person{index: i, day: day, left: never, closed: never, back: never, absent: -1, heir: -1, fault: numStories}
	d := c.dice(being, i, 0)
	p.culture = &c.cultures[d.n(len(c.cultures))]
	if i < castSize {
		c.live(p)
	} else {
		c.drawLife(p, &d)
	}
	p.keepTrue()
	c.name(p)
	return p
}

// keepTrue takes back what is told of people whom no source shows it of.
func (p *person) keepTrue() {
	const ofHRIS = 1<<Moved | 1<<NoEmployeeID | 1<<NotYesOrNo | 1<<DuplicateID
	const ofLDAP = 1<<Edited | 1<<NoUID | 1<<BrokenBase64
	if !p.inHRIS() || p.day < p.starts {
		p.told &^= ofHRIS
	}
	if !p.inLDAP() {
		p.told &^= ofLDAP
	}
	if p.gone() || p.day < p.starts {
		p.told &^= 1 << Renamed
	}
	for s := NoEmployeeID; s <= BrokenBase64; s++ {
		if s != DuplicateID && p.told&(1<<s) != 0 {
			p.fault = s
		}
	}
}

// live follows the events of a character.
func (c *company) live(p *person) {
	p.part = &cast[p.index]
	p.kind = p.part.kind
	p.traits = p.part.trait
	announced, opened := false, false
	for _, e := range p.part.events {
		if e.Story > BrokenBase64 {
			continue // of other sources: see persona
		}
		p.tell(e.Story, e.Day)
		past := e.Day <= p.day
		switch e.Story {
		case PreHired:
			p.row, announced = e.Day, true
		case Joined:
			p.starts = e.Day
			if !announced {
				p.row = e.Day
			}
			if !opened {
				p.account = e.Day
			}
		case AccountOpened:
			p.account, opened = e.Day, true
		case Left:
			p.left, p.closed = e.Day, e.Day
		case AccountClosed:
			p.closed = e.Day
		case Returned:
			p.back = e.Day
		case Absent:
			p.absent = e.Day
		case UIDRecycled:
			p.tell(MailRecycled, e.Day)
		case Edited:
			p.edits += count(past)
		case Moved:
			p.move(e.Of, past)
		case Renamed:
			p.families += count(past && e.Of == ofFamily)
			p.firsts += count(past && e.Of == ofFirst)
			p.uids += count(past && e.Of == ofUID)
			if past {
				p.renamed = e.Day
			}
		}
	}
	p.branch = "com"
	if p.kind >= external {
		p.branch = "net"
	}
}

func (p *person) move(of string, past bool) {
	p.titles += count(past && of == ofTitle)
	p.teams += count(past && of == ofTeam)
	p.managers += count(past && of == ofManager)
	p.offices += count(past && of == ofOffice)
	p.centres += count(past && of == ofCentre)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// drawLife decides the life of an ordinary person.
func (c *company) drawLife(p *person, d *dice) {
	ordinal := p.index - castSize
	p.branch = "com"
	switch roll := d.n(100); {
	case c.rank(p.index) >= 0 || roll >= 20:
	case roll < 5:
		p.kind, p.branch = external, "net"
	case roll < 6:
		p.kind, p.branch = service, "net"
	case roll < 7:
		p.kind = field
	default:
		p.branch = "org"
	}
	switch roll := d.n(1000); {
	case roll < 3:
		p.traits = longDescription
	case roll < 10:
		p.traits = oddDescription
	case roll < 20:
		p.traits = nickname
	case roll < 30:
		p.traits = emoji
	}
	if k := p.index - c.firstNew; k >= 0 {
		c.drawJoining(p, d, k)
	}
	n := ordinal/c.places*c.places + c.order(leaving, ordinal/c.places, ordinal%c.places)
	p.left = c.dayOf(leaving, n)
	p.closed = p.left
	if p.kind == worker {
		p.closed += 1 + d.n(2)
		p.tell(AccountClosed, p.closed)
	}
	if d.n(6) == 0 {
		p.back = p.left + 3 + d.n(3)
		p.tell(Returned, p.back)
	}
	p.tell(Left, p.left)
	if p.kind <= field {
		for _, on := range c.events(missing, p.index, p.day) {
			p.absent = on
		}
		if p.absent == p.day && p.day > p.starts && !p.gone() {
			p.tell(Absent, p.absent)
		}
	}
	c.drawChanges(p)
}

// drawJoining decides how the k-th new person joins.
func (c *company) drawJoining(p *person, d *dice, k int) {
	p.starts = c.dayOf(joining, k)
	p.row, p.account = p.starts, p.starts
	notice, around := d.n(2*longestNotice), d.n(5)
	p.tell(Joined, p.starts)
	if p.kind > field {
		return
	}
	if notice < longestNotice {
		p.row -= notice + 1
		p.tell(PreHired, p.row)
	}
	if p.kind == worker && around < 2 {
		p.account += 2*around - 1
		p.tell(AccountOpened, p.account)
	}
	// Somebody who left four days ago, if anybody, may leave the mail to the
	// day's last new worker, who has the same name as well.
	if n := c.count(leaving, p.starts-4); p.kind == worker && p.starts > 4 && d.n(8) == 0 &&
		k+1 == c.count(joining, p.starts) && n > c.count(leaving, p.starts-5) {
		from := (n-1)/c.places*c.places + c.placeAt(leaving, (n-1)/c.places, (n-1)%c.places) + castSize
		if leaver := c.at(from, p.starts-5); leaver.kind == worker && leaver.back == never && leaver.heir < 0 {
			p.heir, p.uidToo, p.branch = from, d.n(2) == 0, leaver.branch
			p.culture = leaver.culture
			p.tell(MailRecycled, p.starts)
			if p.uidToo {
				p.tell(UIDRecycled, p.starts)
			}
		}
	}
}

// drawChanges decides what has changed in an ordinary person by the day.
func (c *company) drawChanges(p *person) {
	kinds := []string{ofTitle, ofOffice, ofCentre, ofTeam, ofManager}
	if c.rank(p.index) >= 0 {
		kinds = kinds[:3] // whoever manages a team stays with it
	}
	if p.kind <= field {
		for cycle, on := range c.events(moving, p.index, p.day) {
			d := c.dice(moving, p.index, cycle)
			p.move(kinds[d.n(len(kinds))], true)
			p.tell(Moved, on)
		}
	}
	if p.kind != service && p.heir < 0 {
		for cycle, on := range c.events(renaming, p.index, p.day) {
			d := c.dice(renaming, p.index, cycle)
			switch roll := d.n(4); {
			case roll < 2 || p.culture.form == mononym:
				p.families++
			case roll == 2:
				p.firsts++
			case p.kind == field:
				continue // has no uid to change
			default:
				p.uids++
			}
			p.renamed = on
			p.tell(Renamed, on)
		}
	}
	if p.kind != field {
		for _, on := range c.events(editing, p.index, p.day) {
			p.edits++
			p.tell(Edited, on)
		}
	}
	for cycle, on := range c.events(faulting, p.index, p.day) {
		d := c.dice(faulting, p.index, cycle)
		faults := []Story{NoEmployeeID, NotYesOrNo, NoUID, BrokenBase64}
		switch p.kind {
		case field:
			faults = faults[:2]
		case external, service:
			faults = faults[2:]
		}
		p.tell(faults[d.n(len(faults))], on)
	}
	if p.kind <= field {
		for _, on := range c.events(duplicating, p.index, p.day) {
			p.tell(DuplicateID, on)
		}
	}
}

// name gives p a name, a uid and an address. Those of ordinary people end in
// their number, so that nobody else has them.
func (c *company) name(p *person) {
	if p.part != nil {
		t := p.part
		p.given, p.family, p.uid = t.given, t.family, t.login
		if p.firsts > 0 {
			p.given = t.nextGiven
		}
		if p.families > 0 {
			p.family, p.uid = t.nextFamily, t.nextLogin
		}
		p.local = p.uid
		if t.mail != "" {
			p.local = t.mail
		}
		if p.uids > 0 {
			p.uid = t.nextLogin
		}
		p.display = t.form.display(p.given, p.family)
		if p.traits&nickname != 0 {
			p.display = `Roberto "Robbo" ` + p.family
		}
		p.decorate()
		return
	}
	number := strconv.Itoa(p.index)
	d := c.dice(naming, p.index, 0)
	switch {
	case p.heir >= 0:
		leaver := c.at(p.heir, p.starts-5)
		p.given, p.family, p.display = leaver.given, leaver.family, leaver.display
		p.local, p.uid = leaver.local, leaver.uid
		if !p.uidToo {
			p.uid = letters(p.local) + "x" + number
		}
		return
	case p.kind == service:
		what := [...]string{"backup", "build", "mirror", "scanner", "mailer"}[d.n(5)]
		p.family, p.uid = what+" robot "+number, "svc-"+what+number
		p.display, p.local = p.family, p.uid
		// Some have the mail of a person.
		if d.n(4) == 0 && p.index > castSize {
			if owner := c.at(p.index-1, p.day); owner.kind == worker && owner.heir < 0 {
				p.local = owner.local
			}
		}
		return
	}
	first, family := d.n(len(p.culture.given)), d.n(len(p.culture.family))
	given := p.culture.given[(first+p.firsts)%len(p.culture.given)]
	p.family = p.culture.family[(family+p.families)%len(p.culture.family)].native
	roman := p.culture.family[(family+p.families)%len(p.culture.family)].roman
	if p.culture.form != mononym {
		p.given = given.native
	}
	p.display = p.culture.form.display(p.given, p.family)
	if p.traits&nickname != 0 && p.given != "" {
		p.display = p.given + ` "` + [...]string{"Bob", "Kiki", "Doc", "La Jefa", "T-Rex"}[d.n(5)] + `" ` + p.family
	}
	p.decorate()
	// Mail and uid follow the family name, not another first name.
	p.uid = letters(roman) + number
	if known := p.culture.given[first].roman; p.culture.form != mononym {
		p.uid = letters(known)[:1] + p.uid
		p.local = strings.ToLower(known + "." + roman + number)
	}
	switch roll := d.n(20); {
	case roll == 0 && p.kind == external:
		p.local = p.uid + "+ext"
	case roll < 12 || p.culture.form == mononym:
		p.local = p.uid
	}
	if p.uids%2 == 1 {
		p.uid = letters(given.roman) + "." + number
	}
}

func (p *person) decorate() {
	if p.traits&emoji != 0 {
		p.display += " 🦊"
	}
}

// letters returns the letters of an ASCII name in lower case.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, s)
}

func (p *person) mail() string { return p.local + "@" + domain }

const (
	domain = "example.com"
	suffix = "dc=example"
)

// appendDN appends the name of the LDAP entry.
func (p *person) appendDN(b []byte) []byte {
	if p.kind == service {
		b = append(append(b, "uid="...), p.uid...)
	} else {
		b = append(b, "mail="...)
		for i := range len(p.local) {
			if p.local[i] == '+' { // RFC 4514 section 2.4
				b = append(b, '\\')
			}
			b = append(b, p.local[i])
		}
		b = append(b, "@"+domain...)
	}
	return append(append(append(b, ",o="...), p.branch...), ","+suffix...)
}

// employeeID is the text that Workday knows p by: digits, some with leading
// zeros, and older ones that begin with a letter.
func (p *person) employeeID() string {
	n := strconv.Itoa(1_000_000 + p.index)
	switch {
	case p.index%11 == 3:
		return "E" + n
	case p.index%13 == 5:
		return "00" + n
	}
	return n
}

// appendUUID appends a random uuid (RFC 9562 section 5.4) of the dice.
func appendUUID(b []byte, d dice) []byte {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:], d.pcg.Uint64())
	binary.BigEndian.PutUint64(u[8:], d.pcg.Uint64())
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			b = append(b, '-')
		}
		at := [...]int{0, 4, 6, 8, 10}[i]
		b = hex.AppendEncode(b, u[at:at+n])
	}
	return b
}

// rank returns which team somebody manages, -1 for none. The chief's is 0.
func (c *company) rank(i int) int {
	switch {
	case i == 0:
		return 0
	case i >= castSize && i-castSize+1 < c.bosses:
		return i - castSize + 1
	}
	return -1
}

// A post is where a worker stands in the company.
type post struct {
	team, rank, office int
	boss               *person // nil for the chief
	centre             int
	dice               dice
}

// post returns where p stands.
func (c *company) post(p *person) post {
	t := post{rank: c.rank(p.index), dice: c.dice(working, p.index, 0)}
	t.team = (t.dice.n(c.bosses) + p.teams) % c.bosses
	t.office = (t.dice.n(c.offices) + p.offices) % c.offices
	over := (t.team + p.managers) % c.bosses
	if t.rank >= 0 {
		t.team, over = t.rank, above(t.rank)
	}
	t.centre = t.team + p.centres
	if t.rank != 0 {
		t.boss = c.boss(over, p.day)
	}
	return t
}

// above returns the rank that a rank reports to.
func above(rank int) int { return max(0, rank-1) / 6 }

// boss returns who leads a team on a day: its manager, or while there is none
// whoever that one reported to.
func (c *company) boss(rank, day int) *person {
	for {
		if rank == 0 {
			return c.at(0, day)
		}
		if b := c.at(castSize-1+rank, day); !b.gone() {
			return b
		}
		rank = above(rank)
	}
}

// teamName returns what Workday calls a team.
func teamName(team int) string {
	n := len(areas) * len(crafts)
	s := areas[team%len(areas)] + " " + crafts[team/len(areas)%len(crafts)]
	if team >= n {
		s += " " + strconv.Itoa(team/n+1)
	}
	return s
}

// costCentre returns a cost centre as Workday writes it: four digits, some
// with a subdivision, and a name.
func costCentre(n int) string {
	s := fmt.Sprintf("%04d", (990+430*n)%10_000)
	if n%9 == 4 {
		s += ".5"
	}
	return s + " - " + areas[n%len(areas)]
}

// groupsOf returns the numbers of the access groups that p is in, from 0.
//
// Groups stand in levels of twice the size each. A level is as likely as
// another, so that the n-th group has a share in proportion to 1/n. In large
// companies the first levels are missing, so that no group is huge.
func (c *company) groupsOf(p *person, in []int) []int {
	d := c.dice(belonging, p.index, 0)
	switch {
	case p.part != nil && p.part.groups != nil:
		for _, g := range p.part.groups {
			in = append(in, slices.Index(accessGroups[:], g))
		}
	default:
		for range [...]int{0, 1, 1, 2, 2, 3, 3, 4, 5, 7}[d.n(10)] {
			in, _ = c.joinGroup(in, &d)
		}
	}
	if p.part != nil {
		for _, e := range p.part.events {
			g := slices.Index(accessGroups[:], e.Of)
			switch {
			case e.Day > p.day || g < 0:
			case e.Story == GroupJoined:
				in = append(in, g)
			case e.Story == GroupLost || e.Story == LastGroupLost:
				in = slices.DeleteFunc(in, func(have int) bool { return have == g })
			}
			if e.Story == LastGroupLost {
				p.tell(GroupLost, e.Day)
			}
		}
		return in
	}
	for cycle, on := range c.events(regrouping, p.index, p.day) {
		d := c.dice(belonging, p.index, cycle+1)
		if d.n(5) < 3 || len(in) == 0 {
			var ok bool
			if in, ok = c.joinGroup(in, &d); ok {
				p.tell(GroupJoined, on)
			}
			continue
		}
		in = in[:copy(in, in[1:])]
		p.tell(GroupLost, on)
		if len(in) == 0 && p.kind != worker { // workers have those of team and office
			p.tell(LastGroupLost, on)
		}
	}
	return in
}

// joinGroup draws one more group, unless it is one of in already.
func (c *company) joinGroup(in []int, d *dice) ([]int, bool) {
	low := 1 << (c.low + d.n(c.high-c.low))
	g := low + d.n(low) - 1<<c.low
	if slices.Contains(in, g) {
		return in, false
	}
	return append(in, g), true
}

// clean takes away what is wrong with p on purpose.
func (p *person) clean() {
	p.fault = numStories
	p.told &^= 1<<NoEmployeeID | 1<<NotYesOrNo | 1<<DuplicateID | 1<<NoUID | 1<<BrokenBase64
}
