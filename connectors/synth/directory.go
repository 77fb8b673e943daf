package synth

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/cis/transforms/people"
)

// schemaURI stands in every profile.
const schemaURI = "https://auth.mozilla.com/.well-known/profile.schema"

// displays are who may see what somebody says in the people directory.
var displays = [...]string{"public", "public", "authenticated", "vouched", "vouched", "ndaed", "staff", "private"}

// vocabularyTable has a kind of attribute a line: "classification | display |
// publisher | value or values | paths", as it is when nobody has said anything.
const vocabularyTable = `
PUBLIC | public | cis | value | uuid primary_username
PUBLIC | | access_provider | value | user_id login_method primary_email
PUBLIC | | cis | value | created last_modified
WORKGROUP CONFIDENTIAL | | cis | value | active
PUBLIC | | mozilliansorg | value | first_name last_name picture
WORKGROUP CONFIDENTIAL | | mozilliansorg | value | alternative_name fun_title description location pronouns timezone
WORKGROUP CONFIDENTIAL | | mozilliansorg | values | usernames languages tags uris phone_numbers
PUBLIC | | ldap | values | ssh_public_keys pgp_public_keys access_information.ldap
PUBLIC | | mozilliansorg | values | access_information.mozilliansorg
WORKGROUP CONFIDENTIAL: STAFF ONLY | | hris | values | access_information.hris
WORKGROUP CONFIDENTIAL | | access_provider | values | access_information.access_provider
WORKGROUP CONFIDENTIAL | | mozilliansorg | value | identities.github_id_v3 identities.github_id_v4 identities.github_primary_email identities.mozilliansorg_id identities.bugzilla_mozilla_org_id identities.bugzilla_mozilla_org_primary_email identities.google_oauth2_id identities.google_primary_email identities.firefox_accounts_id identities.firefox_accounts_primary_email identities.custom_1_primary_email identities.custom_2_primary_email identities.custom_3_primary_email
WORKGROUP CONFIDENTIAL | staff | mozilliansorg | value | identities.mozilla_ldap_id identities.mozilla_ldap_primary_email identities.mozilla_posix_id
MOZILLA CONFIDENTIAL | ndaed | hris | value | staff_information.manager staff_information.director staff_information.staff staff_information.title staff_information.team staff_information.wpr_desk_number staff_information.office_location
WORKGROUP CONFIDENTIAL: STAFF ONLY | staff | hris | value | staff_information.cost_center staff_information.worker_type
`

// vocabulary returns the attributes of vocabularyTable.
func vocabulary() map[people.Path]people.Attribute {
	all := map[people.Path]people.Attribute{}
	for line := range strings.Lines(strings.TrimSpace(vocabularyTable)) {
		part := strings.Split(strings.TrimSpace(line), "|")
		for i := range part {
			part[i] = strings.TrimSpace(part[i])
		}
		for path := range strings.FieldsSeq(part[4]) {
			all[people.Path(path)] = people.Attribute{
				Value:     people.NullValue(part[3] == "values"),
				Metadata:  people.Metadata{Classification: part[0], Display: part[1], Verified: true},
				Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: part[2]}},
			}
		}
	}
	return all
}

// A sheet is the n-th persona's profile that is being filled in.
type sheet struct {
	people.Profile
	n                 int
	known             map[people.Path]people.Attribute
	created, modified string
}

// put says something in the name of a publisher.
func (s *sheet) put(by people.Publisher, path people.Path, v people.Value, display string) {
	a := s.known[path]
	a.Value, a.Metadata.Display, a.Signature.Publisher.Name = v, display, string(by)
	a.Metadata.Created, a.Metadata.LastModified = s.created, s.modified
	s.Set(path, a)
}

// say says something in the person's own name, unsigned.
func (s *sheet) say(path people.Path, text string) {
	s.put(people.Directory, path, people.StringValue(text), s.shown(path))
}

// list does the same with a map.
func (s *sheet) list(path people.Path, entries ...people.Entry) {
	s.put(people.Directory, path, people.MapValue(entries...), s.shown(path))
}

// shown is who may see what the person says there.
func (s *sheet) shown(path people.Path) string {
	if path == people.PrimaryUsername {
		return "public" // nothing else is allowed
	}
	x := uint64(s.n)
	for i := range len(path) {
		x = mix(x ^ uint64(path[i]))
	}
	return displays[x%uint64(len(displays))]
}

// echo repeats what another publisher is thought to say.
func (s *sheet) echo(by people.Publisher, path people.Path, v people.Value) {
	if _, said := s.Find(path); !said {
		s.put(by, path, v, s.known[path].Metadata.Display)
	}
}

// directoryRecord appends the profile of a persona as the people directory sends
// it, a line: what the person says of themselves, and with some all that other
// publishers were once known to say.
func (c *company) directoryRecord(b []byte, o *persona, start time.Time) []byte {
	s := sheet{n: o.n, known: c.known}
	s.Schema = schemaURI
	made := c.began(o, o.made, start)
	s.created, s.modified = made.Format(people.TimeFormat), made.Format(people.TimeFormat)
	if o.edited > 0 {
		s.modified = start.AddDate(0, 0, o.edited).Format(people.TimeFormat)
	}
	anchor := people.AccessProvider
	if o.connection == viaLDAP {
		anchor = people.LDAP
	}
	if o.fault != NoProfileID {
		s.put(anchor, people.UserID, people.StringValue(o.profileID), "")
	}
	if o.part == nil {
		c.describe(&s, o)
	}
	for _, t := range o.says {
		s.say(people.Path(t[0]), t[1])
	}
	c.sayLinks(&s, o)
	if o.username != "" {
		s.say(people.PrimaryUsername, o.username)
	}
	sayCircles(&s, o)
	if o.shown > 0 {
		// Another publisher's value as it is: only who may see it is new.
		s.put(people.Directory, people.PrimaryEmail, people.StringValue(o.mail), [...]string{"vouched", "public", "ndaed", "authenticated"}[(o.shown-1)%4])
	}
	if o.over >= 0 {
		c.overreach(&s, o)
	}
	if o.fault == OddValue {
		s.list("tags", people.Entry{Key: "bees", Value: oddNumber})
	}
	c.echoes(&s, o, anchor)
	at := len(b)
	b = s.AppendJSON(b)
	switch o.fault {
	case OddValue:
		b = append(b[:at], bytes.Replace(b[at:], []byte(`"`+oddNumber+`"`), []byte(oddNumber), 1)...)
	case BrokenProfile:
		b = b[:len(b)-3]
	}
	return append(b, '\n')
}

const oddNumber = "31415926"

// describe is what ordinary people say of themselves.
func (c *company) describe(s *sheet, o *persona) {
	d := c.dice(describing, o.n, 0)
	// pick decides whether somebody says it, and which of n things; whoever
	// edits the profile has it in any case.
	pick := func(percent, n, edits int) (int, bool) {
		roll, which := d.n(100), d.n(n)
		return (which + edits) % n, roll < percent || edits > 0
	}
	names := o.culture.given
	first, renamed := pick(25, len(names), o.names)
	switch {
	case o.culture.form == mononym:
		if renamed {
			s.say("alternative_name", o.family+" "+strconv.Itoa(first))
		}
	case renamed:
		s.say("first_name", names[first].native)
	case o.connection != viaLDAP:
		s.say("first_name", o.given)
	}
	if o.connection != viaLDAP {
		s.say("last_name", o.family)
	}
	for _, t := range []struct {
		path    people.Path
		percent int
		of      []string
		edits   int
	}{
		{"fun_title", 20, funTitles[:], o.texts},
		{"pronouns", 40, pronouns[:], 0},
		{"description", 20, sentences[:], o.texts / 2},
		{"location", 35, places[:], 0},
		{"timezone", 15, ownZones[:], 0},
	} {
		if which, says := pick(t.percent, len(t.of), t.edits); says {
			s.say(t.path, t.of[which])
		}
	}
	if _, says := pick(50, 2, 0); says {
		s.say("picture", fmt.Sprintf("https://people.example.org/avatars/%016x.png", mix(uint64(o.n))))
	}
	if which, says := pick(35, 3, 0); says {
		uris := []people.Entry{{Key: "EA#WEBSITE#n", Value: fmt.Sprintf("https://site%d.example.net/", o.n)}}
		if which > 0 {
			uris = append(uris, people.Entry{Key: "EA#MASTODON#n", Value: fmt.Sprintf("https://social.example.net/@p%d", o.n)})
		}
		s.list("uris", uris...)
	}
	if which, says := pick(55, len(languages), 0); says {
		s.list("languages", people.Entry{Key: "English", Null: true}, people.Entry{Key: languages[which], Null: true})
	}
	if which, says := pick(35, len(interests), o.texts); says {
		s.list("tags", people.Entry{Key: interests[which]}, people.Entry{Key: interests[(which+o.n)%len(interests)]})
	}
	if _, says := pick(6, 2, 0); says {
		s.say("identities.bugzilla_mozilla_org_id", strconv.Itoa(400_000+o.n))
		s.say("identities.bugzilla_mozilla_org_primary_email", o.mail)
	}
	if _, says := pick(12, 2, 0); says {
		s.list("usernames", people.Entry{Key: "MATRIX", Value: fmt.Sprintf("@p%d:example.org", o.n)})
	}
}

// sayLinks is what the profile says of GitHub. A link that was lost is "": the
// directory leaves nothing out that once was there.
func (c *company) sayLinks(s *sheet, o *persona) {
	id, node, mail := "", "", ""
	entries := slices.Clone(s.Value("usernames").Entries())
	if o.linked {
		id, node, mail = strconv.Itoa(hubID(o.n)), nodeID(o.n), c.hubMail(o.n)
		// The login is that of the day on which the link was made: nobody tells
		// the directory of another one.
		entries = append(entries, people.Entry{Key: "HACK#GITHUB", Value: c.handle(o.n, 0)})
	}
	if o.part != nil {
		for _, e := range o.part.online.usernames {
			entries = append(entries, people.Entry{Key: e[0], Value: e[1]})
		}
	}
	if len(entries) > 0 || o.wasLinked {
		s.list("usernames", entries...)
	}
	if !o.linked && !o.wasLinked {
		return
	}
	s.say("identities.github_id_v3", id)
	s.say("identities.github_id_v4", node)
	if mail != "" || !o.linked {
		s.say("identities.github_primary_email", mail)
	}
}

// sayCircles says the groups; of who is in none, in one of the ways in which
// the directory says so.
func sayCircles(s *sheet, o *persona) {
	const path = "access_information.mozilliansorg"
	var in []people.Entry
	for _, name := range o.circles {
		in = append(in, people.Entry{Key: name})
	}
	switch {
	case len(in) > 0 || o.n%3 == 0:
		s.list(path, in...)
	case o.n%3 == 1:
		s.put(people.Directory, path, people.NullValue(true), "")
	}
}

// overreach says in the directory's name what is another publisher's to say.
func (c *company) overreach(s *sheet, o *persona) {
	roll := 0
	if o.part == nil {
		d := c.dice(profiling, o.n, 1<<20+o.over)
		roll = d.n(4)
	}
	switch roll {
	case 0:
		s.say(people.PrimaryEmail, "someone.else@example.com")
	case 1:
		s.say("staff_information.title", "Grand Vizier")
	case 2:
		s.put(people.Directory, "access_information.ldap", people.MapValue(people.Entry{Key: "vpn", Null: true}, people.Entry{Key: "platform-admins", Null: true}), "staff")
	case 3:
		s.put(people.Directory, "staff_information.staff", people.BoolValue(true), "public")
	}
}

// echoes repeats other publishers: much of it in whole profiles, which have
// every attribute there is, and a little in some others. One thing was never
// said by anybody.
func (c *company) echoes(s *sheet, o *persona, anchor people.Publisher) {
	d := c.dice(describing, o.n, 1)
	whole, some := d.n(16) == 0, d.n(3) == 0
	if o.part != nil {
		whole, some = o.index == 0, false
	}
	if !whole && !some {
		return
	}
	text := people.StringValue
	s.echo(anchor, "last_name", text(o.family))
	s.echo(anchor, people.PrimaryEmail, text(o.mail))
	s.echo(anchor, "description", text("An echo of something that nobody said."))
	if o.given != "" {
		s.echo(anchor, "first_name", text(o.given))
	}
	if !whole {
		return
	}
	_, connection := o.connection.names()
	s.echo(anchor, "login_method", text(connection))
	s.echo(people.CIS, people.Active, people.BoolValue(true))
	s.echo(people.CIS, people.Created, text(s.created))
	s.echo(people.CIS, people.LastModified, text(s.modified))
	if anchor == people.LDAP {
		s.echo(anchor, "identities.mozilla_posix_id", text(strings.TrimPrefix(o.profileID, ldapLogin)))
		s.echo(anchor, "access_information.ldap", people.MapValue(people.Entry{Key: "everyone", Null: true}))
		s.echo(people.HRIS, "staff_information.staff", people.BoolValue(true))
	}
	for path, a := range s.known {
		if _, said := s.Find(path); !said && path != people.UserID {
			s.put(people.Publisher(a.Signature.Publisher.Name), path, a.Value, a.Metadata.Display)
		}
	}
	for i := range s.Attributes {
		s.Attributes[i].Signature.Additional = []people.Mark{{Alg: "RS256", Typ: "JWS"}}
	}
}
