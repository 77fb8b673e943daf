package synth

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"example.org/cis/transforms/people"
)

// began is when something of a persona appeared, on the day from or long ago.
func (c *company) began(o *persona, from int, start time.Time) time.Time {
	d := c.dice(meeting, o.n, 3)
	if from > 0 {
		return start.AddDate(0, 0, from).Add(-time.Duration(1+d.n(3600)) * time.Second)
	}
	return start.AddDate(0, 0, -1-d.n(3000)).Add(time.Duration(d.n(86_400)) * time.Second)
}

// login appends an account as Auth0 exports it. What identifies it comes
// first, so that it is known whose it is if the rest cannot be read.
func (c *company) login(b []byte, o *persona, start time.Time) []byte {
	d := c.dice(meeting, o.n, 4)
	at := len(b)
	r := row{b: append(b, '{')}
	if o.fault != NoUserID {
		r.text("user_id", o.userID)
	}
	mail, given := o.mail, o.given
	if o.part != nil && o.connection == viaLDAP {
		mail, given = cmp.Or(o.part.online.mail, mail), cmp.Or(o.part.online.given, given)
	}
	verified := o.connection != viaGitHub || o.part != nil || d.n(5) > 0
	r.text("email", mail)
	r.flag("email_verified", verified)
	switch o.connection {
	case viaLDAP, viaGoogle:
		r.text("given_name", given)
		r.text("family_name", o.family)
		r.text("name", o.display)
	case viaGitHub:
		r.text("name", o.display)
	default:
		r.text("name", mail)
	}
	local, _, _ := strings.Cut(mail, "@")
	if o.connection == viaGitHub {
		local = c.handle(o.n, o.day)
		r.text("node_id", nodeID(o.n))
	}
	r.text("nickname", local)
	r.text("picture", "https://avatars.example.net/"+fmt.Sprintf("%016x", mix(uint64(o.n)))+".png")
	created := c.began(o, o.login, start)
	r.text("created_at", created.Format(people.TimeFormat))
	// Everybody logs in every few days, which changes nothing else.
	seen := start.AddDate(0, 0, o.day-(o.n+o.day)%7)
	if seen.Before(created) {
		seen = created
	}
	r.text("updated_at", seen.Format(people.TimeFormat))
	r.text("last_login", seen.Format(people.TimeFormat))
	if o.blocked {
		r.flag("blocked", true)
	}
	if group := accountGroups[d.n(len(accountGroups))]; d.n(10) == 0 && o.part == nil {
		r.key("app_metadata")
		r.b = append(people.AppendQuoted(append(r.b, `{"groups": [`...), group), "]}"...)
	}
	r.key("identities")
	r.b = append(r.b, '[')
	provider, _ := o.connection.names()
	r.b = o.connection.identity(r.b, o.n, strings.TrimPrefix(o.userID, provider+"|"), "")
	if o.link == byAccount && o.hub && o.connection != viaGitHub {
		r.b = viaGitHub.identity(append(r.b, ", "...), o.n, viaGitHub.id(o.n), cmp.Or(c.hubMail(o.n), mail))
	}
	if o.paired {
		second := viaGoogle
		if o.connection == viaGoogle {
			second = viaFirefox
		}
		r.b = second.identity(append(r.b, ", "...), o.n, second.id(o.n), fmt.Sprintf("me%d@example.net", o.n))
	}
	b = append(r.b, "]}"...)
	if o.fault == BrokenAccount {
		b = b[:at+(len(b)-at)*2/3]
	}
	return append(b, '\n')
}

// identity appends one login of the n-th persona's account; a mail stands in
// those that were linked to it.
func (v connection) identity(b []byte, n int, id, mail string) []byte {
	provider, connection := v.names()
	r := row{b: append(b, '{')}
	r.text("provider", provider)
	if v == viaGitHub {
		r.key("user_id")
		r.b = append(r.b, id...) // a number
	} else {
		r.text("user_id", id)
	}
	r.text("connection", connection)
	r.flag("isSocial", v != viaLDAP && v != viaMail)
	if mail != "" {
		r.key("profileData")
		data := row{b: append(r.b, '{')}
		data.text("email", mail)
		data.flag("email_verified", true)
		if v == viaGitHub {
			data.text("node_id", nodeID(n))
		}
		r.b = append(data.b, '}')
	}
	return append(r.b, '}')
}
