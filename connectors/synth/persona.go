package synth

import (
	"fmt"
	"slices"
	"strings"
)

// A connection is how somebody logs in.
type connection uint8

const (
	viaLDAP connection = iota
	viaGitHub
	viaMail
	viaGoogle
	viaFirefox
	nowhere // has no account
)

const ldapLogin = "ad|Mozilla-LDAP|"

// userID returns the user_id of the n-th persona, who logs in by anything but LDAP.
func (v connection) userID(n int) string {
	provider, _ := v.names()
	return provider + "|" + v.id(n)
}

// names returns the provider and the connection, as Auth0 has them.
func (v connection) names() (provider, connection string) {
	switch v {
	case viaLDAP:
		return "ad", "Mozilla-LDAP"
	case viaGitHub:
		return "github", "github"
	case viaMail:
		return "email", "email"
	case viaGoogle:
		return "google-oauth2", "google-oauth2"
	}
	return "oauth2", "firefoxaccounts"
}

// id returns what the provider knows the n-th persona by.
func (v connection) id(n int) string {
	scattered := mix(uint64(n)<<8 | uint64(v))
	switch v {
	case viaGitHub:
		return fmt.Sprint(hubID(n))
	case viaGoogle:
		return fmt.Sprintf("1%020d", scattered)
	case viaFirefox:
		return fmt.Sprintf("firefoxaccounts|%016x%016x", scattered, mix(scattered))
	}
	return fmt.Sprintf("%016x%016x", scattered, mix(scattered))
}

// A link is how it is known whose a GitHub account is.
type link uint8

const (
	unlinked link = iota
	byProfile
	byAccount // also by logging in with it
)

// A presence is what a character has beyond LDAP and the HRIS on the first day.
type presence struct {
	connection connection
	ghost      bool // has a user_id, and no account under it
	// mail and given are what the account says; "" is what LDAP does.
	mail, given string
	// handle is the login at GitHub, hubMail what is shown there, and seats are
	// organisations and teams: see company.seat.
	handle, hubMail  string
	seats            []string
	link             link
	profile          bool
	username         string
	circles          []string    // groups of the people directory
	texts, usernames [][2]string // of the profile
}

// spell is how many days pass until what soon changes again has done so.
const spell = 3

// A persona is somebody as the access provider, the people directory and
// GitHub know them on a day. People have even numbers, outsiders odd ones.
type persona struct {
	n, index, day int
	cal           *calendar
	part          *part // of the cast
	culture       *culture
	told          uint64
	fault         Story // of the day; numStories is none

	given, family, display, mail string
	connection                   connection
	// userID is the access provider's; the people directory follows a new one
	// some days later.
	userID, profileID string

	// since is when all this begins, 0 if before day 0; login, made and seated
	// are the days of the account, the profile and GitHub. They end with end, but
	// stay some days more at GitHub, and are there again from back on.
	since, login, made, seated int
	end, stay, back            int
	hasAccount, hasProfile     bool
	hasHub                     bool
	link                       link

	// What is there today.
	account, profile, hub bool
	blocked, paired       bool
	seats                 []int
	linked, wasLinked     bool
	names, shown, texts   int // edits of the profile
	over                  int // the cycle of what is not the person's to say, -1 for none
	circles               []string
	username              string
	edited                int // the last day on which anything of the profile changed
	says                  [][2]string
}

func (o *persona) tell(s Story, on int) {
	if on == o.day {
		o.told |= 1 << s
	}
}

// begin tells of what appears on a day after day 0.
func (o *persona) begin(s Story, on int, there bool) {
	if on > 0 && there {
		o.tell(s, on)
	}
}

func (o *persona) there(from, end int) bool {
	return o.day >= from && (o.day < end || o.day >= o.back)
}

// personaOf returns the persona of somebody in LDAP.
func (c *company) personaOf(p *person) persona {
	o := persona{
		n: 2 * p.index, index: p.index, day: p.day, cal: &c.calendar, part: p.part, culture: p.culture, fault: numStories, over: -1,
		given: p.given, family: p.family, display: p.display, mail: p.mail(), userID: ldapLogin + p.uid,
		since: p.account, end: p.closed, back: p.back,
	}
	o.profileID = o.userID
	if p.renamed > 0 && p.day < p.renamed+spell-1 {
		o.profileID = ldapLogin + c.at(p.index, p.renamed-1).uid
	}
	c.liveOnline(&o)
	return o
}

// outside are the people who are in neither LDAP nor the HRIS, beginning with
// the characters among them.
type outside struct {
	calendar
	people   int // of day 0
	firstNew int
}

func newOutside(seed uint64, size int) outside {
	n := size * 18 / 100
	return outside{calendar{mix(seed), len(outsiders), max(0, n-len(outsiders))}, n, max(n, len(outsiders))}
}

// indexes is one more than the last index of anybody seen on the day: at
// GitHub, up to spell days before the account.
func (s *outside) indexes(day int) int { return s.firstNew + s.count(arriving, day+spell) }

func (s *outside) exists(j int) bool { return j < s.people || j >= s.firstNew }

// outsider returns the persona of the j-th outsider: most are contributors
// with an account, some are known to GitHub only, and a few have nothing but
// a profile, under a user_id that nobody has any more.
func (c *company) outsider(j, day int) persona {
	s := &c.outside
	o := persona{n: 2*j + 1, index: j, day: day, cal: &s.calendar, fault: numStories, over: -1, end: never, back: never}
	d := c.dice(meeting, o.n, 1)
	o.culture = &c.cultures[d.n(len(c.cultures))]
	if j < s.cast {
		o.part = &outsiders[j]
		o.given, o.family, o.connection = o.part.given, o.part.family, o.part.online.connection
		o.display = o.part.form.display(o.given, o.family)
	} else {
		given, family := o.culture.given[d.n(len(o.culture.given))], o.culture.family[d.n(len(o.culture.family))]
		o.family = family.native
		if o.culture.form != mononym {
			o.given = given.native
		}
		o.display = o.culture.form.display(o.given, o.family)
		o.mail = fmt.Sprintf("%s.%s%d@%s", letters(given.roman), letters(family.roman), o.n, [...]string{"example.net", "example.org"}[d.n(2)])
		o.connection = [...]connection{viaGitHub, viaGitHub, viaGitHub, viaGitHub, viaGitHub, viaMail, viaMail, viaGoogle, viaGoogle, viaFirefox}[d.n(10)]
		if k := j - s.firstNew; k >= 0 {
			o.since = s.dayOf(arriving, k)
		}
		ordinal := j - s.cast
		o.end = s.dayOf(vanishing, ordinal/s.places*s.places+s.order(vanishing, ordinal/s.places, ordinal%s.places))
	}
	c.liveOnline(&o)
	return o
}

// liveOnline decides what a persona has, and what has happened to it by the day.
func (c *company) liveOnline(o *persona) {
	if o.part != nil {
		c.beginCast(o)
	} else {
		c.drawBeginning(o)
	}
	o.account = o.hasAccount && o.there(o.login, o.end)
	o.profile = o.hasProfile && o.there(o.made, o.end)
	o.hub = o.hasHub && o.there(o.seated, o.end+o.stay)
	o.begin(FirstLogin, o.login, o.hasAccount)
	o.begin(ProfileMade, o.made, o.hasProfile)
	o.begin(OrgJoined, o.seated, o.hasHub)
	if o.connection != viaLDAP && o.hasAccount {
		o.tell(LoginDeleted, o.end)
	}
	if o.hasHub && o.end+o.stay < o.back {
		o.tell(OrgLeft, o.end+o.stay)
	}
	o.edited = max(o.made, 0)
	if !o.account && !o.profile && !o.hub {
		return
	}
	if o.part != nil {
		c.followCast(o)
	} else {
		c.drawEvents(o)
	}
	o.keepTrue()
}

// keepTrue takes back faults that no source shows, and all but one of a day.
func (o *persona) keepTrue() {
	for s := NoUserID; s < numStories; s++ {
		there := o.account
		switch s {
		case NoGitHubID:
			there = o.hub && len(o.seats) > 0
		case NoProfileID, OddValue, BrokenProfile:
			there = o.profile
		}
		if o.told&(1<<s) != 0 && there && o.fault == numStories {
			o.fault = s
			continue
		}
		o.told &^= 1 << s
	}
}

// clean takes away what is wrong with o on purpose.
func (o *persona) clean() {
	o.fault = numStories
	o.told &^= 1<<numStories - 1<<NoUserID
}

// drawBeginning decides what an ordinary persona has, and from which day on.
func (c *company) drawBeginning(o *persona) {
	d := c.dice(meeting, o.n, 0)
	account, hub, profile, how := d.n(100), d.n(100), d.n(100), d.n(100)
	late, later := d.n(spell), 1+d.n(10)
	o.stay = [...]int{0, 0, 0, 30}[d.n(4)]
	if o.connection == viaLDAP {
		o.hasHub = hub < 19
		switch {
		case how < 52:
			o.link = byProfile
		case how < 74:
			o.link = byAccount
		}
		o.hasAccount = account < 92 || o.hasHub && o.link == byAccount
		o.hasProfile = profile < 46 || o.hasHub && o.link == byProfile
		o.login, o.seated = o.since+late, o.since+later
	} else {
		switch {
		case account < 3: // a ghost
			o.hasProfile = true
		case account < 15:
			o.connection, o.hasHub = nowhere, true
		case o.connection == viaGitHub:
			o.hasAccount, o.hasHub, o.link = true, hub < 60, byAccount
		default:
			o.hasAccount, o.hasHub = true, hub < 35
			switch {
			case how < 55:
				o.link = byProfile
			case how < 75:
				o.link = byAccount
			}
		}
		if o.hasAccount {
			o.hasProfile = profile < 45 || o.hasHub && o.link == byProfile
		}
		// Some are known to GitHub before they log in.
		o.login, o.seated = o.since, max(0, o.since-late)
	}
	o.made = o.since + later
	if o.since == 0 {
		o.login, o.seated, o.made = 0, 0, 0
	}
	o.profileID = orElse(o.profileID, o.connection, o.n)
	o.userID = orElse(o.userID, o.connection, o.n)
}

// orElse returns a user_id, that of the connection if it is "".
func orElse(id string, v connection, n int) string {
	if id == "" && v != nowhere {
		return v.userID(n)
	}
	return id
}

// drawEvents decides what has happened to an ordinary persona.
func (c *company) drawEvents(o *persona) {
	events := func(t topic, each func(d *dice, cycle, on int)) {
		for cycle, on := range o.cal.events(t, o.index, o.day) {
			d := c.dice(t, o.n, cycle)
			each(&d, cycle, on)
		}
	}
	d := c.dice(meeting, o.n, 2)
	if o.paired = d.n(16) == 0; o.account {
		o.blocked = o.connection != viaLDAP && d.n(50) == 0
		events(blocking, func(d *dice, _, on int) {
			until := on + 2 + d.n(3)
			if on < o.login || o.blocked {
				return
			}
			o.blocked = o.day < until
			o.tell(Blocked, on)
			o.tell(Unblocked, until)
		})
		events(pairing, func(_ *dice, _, on int) {
			if on <= o.login {
				return
			}
			if o.paired = !o.paired; o.paired {
				o.tell(IdentityLinked, on)
			} else {
				o.tell(IdentityUnlinked, on)
			}
		})
	}
	if o.hub {
		c.drawSeats(o, events)
		events(handling, func(_ *dice, _, on int) { o.tell(LoginRenamed, on) })
	}
	if o.profile {
		c.drawProfile(o, events)
	}
	events(misfiling, func(d *dice, _, on int) {
		var faults []Story
		if o.account {
			faults = append(faults, NoUserID, BrokenAccount)
		}
		if o.profile {
			faults = append(faults, NoProfileID, OddValue, BrokenProfile)
		}
		if len(o.seats) == 1 && o.seats[0] < len(orgs) { // what a team says of the id would be a second fault
			faults = append(faults, NoGitHubID)
		}
		if len(faults) > 0 {
			o.tell(faults[d.n(len(faults))], on)
		}
	})
}

// drawProfile decides what has become of a profile.
func (c *company) drawProfile(o *persona, events func(topic, func(*dice, int, int))) {
	happened := func(s Story, on int) {
		o.tell(s, on)
		o.edited = max(o.edited, on)
	}
	from := max(o.made, o.seated)
	o.linked = o.hasHub && o.link == byProfile && o.day >= from
	o.wasLinked = o.linked
	if o.hub {
		events(linking, func(_ *dice, _, on int) {
			if on <= from {
				return
			}
			o.wasLinked = o.wasLinked || o.linked
			if o.linked = !o.linked; o.linked {
				happened(LinkMade, on)
			} else {
				happened(LinkLost, on)
			}
		})
	}
	events(profiling, func(d *dice, cycle, on int) {
		switch roll := d.n(12); {
		case on <= o.made:
		case roll < 4:
			o.names++
			happened(NameEdited, on)
		case roll < 7:
			o.shown++
			happened(DisplayEdited, on)
		case roll < 11:
			o.texts++
			happened(ProfileEdited, on)
		default:
			if o.day < on+spell {
				o.over = cycle
			}
			happened(Overreached, on)
		}
	})
	d := c.dice(gathering, o.n, 1<<20)
	for range [...]int{0, 0, 1, 1, 2, 3}[d.n(6)] {
		o.joinCircle(&d)
	}
	events(gathering, func(d *dice, _, on int) {
		switch {
		case on <= o.made:
		case d.n(5) < 3 || len(o.circles) == 0:
			if o.joinCircle(d) {
				happened(DirectoryGroupJoined, on)
			}
		default:
			o.circles = o.circles[1:]
			happened(DirectoryGroupLeft, on)
		}
	})
	chosen := 0
	if d.n(7) == 0 {
		chosen = 1
	}
	taken := false
	events(nicknaming, func(d *dice, _, on int) {
		switch {
		case on <= o.made:
		case d.n(4) == 0:
			taken = o.day < on+spell
			happened(UsernameTaken, on)
		default:
			chosen++
			happened(UsernameChosen, on)
		}
	})
	switch {
	case taken:
		o.username = cast[0].online.username
	case chosen > 0:
		o.username = fmt.Sprintf("%s-%d%s", letters(hubWords[o.n%len(hubWords)]), o.n, strings.Repeat("_", chosen-1))
	}
}

// joinCircle draws one more group of the people directory, unless o is in it.
func (o *persona) joinCircle(d *dice) bool {
	name := circles[d.n(1+d.n(len(circles)))]
	if slices.Contains(o.circles, name) {
		return false
	}
	o.circles = append(o.circles, name)
	return true
}

// beginCast reads what a character has, and from which day on.
func (c *company) beginCast(o *persona) {
	is := &o.part.online
	o.login, o.made, o.seated = o.since, o.since, o.since
	o.hasAccount = is.connection != nowhere && !is.ghost
	o.hasProfile, o.hasHub, o.link, o.stay = is.profile, is.handle != "", is.link, never
	if o.connection = is.connection; o.connection != viaLDAP {
		o.profileID, o.userID = orElse("", o.connection, o.n), orElse("", o.connection, o.n)
		o.mail = is.mail
		if o.mail == "" {
			o.mail = strings.ToLower(is.handle) + "@users.example.org"
		}
	}
	for _, e := range o.part.events {
		switch e.Story {
		case FirstLogin:
			o.login = e.Day
		case ProfileMade:
			o.made = e.Day
		case LoginDeleted:
			o.end = e.Day
		}
	}
}

// followCast follows the events of a character.
func (c *company) followCast(o *persona) {
	is := &o.part.online
	o.linked = is.link == byProfile
	o.wasLinked = o.linked
	o.username = is.username
	o.circles = slices.Clone(is.circles)
	o.says = slices.Clone(is.texts)
	seats := slices.Clone(is.seats)
	without := func(list []string, gone func(string) bool) []string { return slices.DeleteFunc(list, gone) }
	for _, e := range o.part.events {
		if e.Story <= BrokenBase64 {
			continue
		}
		o.tell(e.Story, e.Day)
		if e.Day > o.day {
			continue
		}
		edited := true
		switch e.Story {
		case LinkMade:
			o.linked, o.wasLinked = true, true
		case LinkLost:
			o.linked = false
		case NameEdited:
			o.says = append(o.says, [2]string{"first_name", e.Of})
		case DisplayEdited:
			o.shown++
		case ProfileEdited:
			o.says = append(o.says, [2]string{e.Of, "Maker of Maps"})
		case Overreached:
			if o.day < e.Day+spell {
				o.over = 0
			}
		case DirectoryGroupJoined:
			o.circles = append(o.circles, e.Of)
		case DirectoryGroupLeft:
			o.circles = without(o.circles, func(s string) bool { return s == e.Of })
		case UsernameChosen:
			o.username = e.Of
		case UsernameTaken:
			if o.day < e.Day+spell {
				o.username = e.Of
			}
		default:
			edited = false
		}
		if edited {
			o.edited = max(o.edited, e.Day)
		}
		switch e.Story {
		case Blocked:
			o.blocked = true
		case Unblocked:
			o.blocked = false
		case IdentityLinked:
			o.paired = true
		case IdentityUnlinked:
			o.paired = false
		case OrgJoined, TeamJoined:
			seats = append(seats, e.Of)
		case OrgLeft, OrgEmptied:
			seats = without(seats, func(s string) bool { return orgOf(s) == e.Of })
		case TeamLeft:
			seats = without(seats, func(s string) bool { s, _, _ = strings.Cut(s, "="); return s == e.Of })
		}
	}
	if o.hub {
		for _, s := range seats {
			g, _ := c.seat(s)
			o.seats = append(o.seats, g)
		}
	}
}
