package synth

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
)

// An ldif appends entries to a buffer, in the form of RFC 2849.
type ldif struct{ b []byte }

// fold is how many bytes a line has at most, its break aside.
const fold = 76

// attribute appends a line, folded, in base64 if its value needs it.
func (l *ldif) attribute(name string, value []byte) {
	if safe(value) {
		l.line(name, ": ", value)
		return
	}
	l.line(name, ":: ", base64.StdEncoding.AppendEncode(nil, value))
}

func (l *ldif) text(name, value string) { l.attribute(name, []byte(value)) }

func (l *ldif) line(name, colon string, value []byte) {
	l.b = append(append(l.b, name...), colon...)
	room := fold - len(name) - len(colon)
	for len(value) > room {
		l.b = append(append(l.b, value[:room]...), "\n "...)
		value, room = value[room:], fold-1
	}
	l.b = append(append(l.b, value...), '\n')
}

// end ends an entry.
func (l *ldif) end() { l.b = append(l.b, '\n') }

// safe reports whether a value is a SAFE-STRING of RFC 2849 that does not end
// in a space either.
func safe(value []byte) bool {
	if len(value) == 0 {
		return true
	}
	if c := value[0]; c == ' ' || c == ':' || c == '<' || value[len(value)-1] == ' ' {
		return false
	}
	for _, c := range value {
		if c == 0 || c == '\n' || c == '\r' || c >= 0x80 {
			return false
		}
	}
	return true
}

// generalizedTime is the form of RFC 4517 section 3.3.13 that directories write.
const generalizedTime = "20060102150405Z"

// base appends what stands above people and groups.
func (c *company) base(l *ldif) {
	for i, e := range [...]struct{ dn, class, name, value string }{
		{suffix, "organization", "o", "Example"},
		{"o=com," + suffix, "organization", "o", "com"},
		{"o=org," + suffix, "organization", "o", "org"},
		{"o=net," + suffix, "organization", "o", "net"},
		{groupsDN, "organizationalUnit", "ou", "groups"},
	} {
		l.text("dn", e.dn)
		l.text("objectClass", e.class)
		if i == 0 {
			l.text("objectClass", "dcObject")
			l.text("dc", "example")
		}
		l.attribute("entryUUID", appendUUID(nil, c.dice(identifying, i, 2)))
		l.text(e.name, e.value)
		l.end()
	}
}

// account appends the LDAP entry of a person. What identifies it comes first,
// so that it is known whose entry it is if a later line cannot be read.
func (c *company) account(l *ldif, p *person, start time.Time) {
	d := c.dice(owning, p.index, p.edits)
	l.attribute("dn", p.appendDN(nil))
	for _, class := range [...]string{"inetOrgPerson", "posixAccount", "ldapPublicKey", "synthPerson"} {
		l.text("objectClass", class)
	}
	l.attribute("entryUUID", appendUUID(nil, c.dice(identifying, p.index, 0)))
	l.text("createTimestamp", c.opened(p, start).Format(generalizedTime))
	l.text("cn", p.display)
	if p.given != "" {
		l.text("givenName", p.given)
	}
	l.text("sn", p.family)
	l.text("displayName", p.display)
	if p.fault != NoUID {
		l.text("uid", p.uid)
	}
	number := strconv.Itoa(20_000 + p.index)
	l.text("uidNumber", number)
	l.text("gidNumber", "100")
	l.text("homeDirectory", "/home/"+number)
	l.text("mail", p.mail())
	if p.fault == BrokenBase64 {
		l.b = append(l.b, "description:: %%% this is not base64 %%%\n"...)
	} else if s := describe(p, d.n(len(sentences))); s != "" {
		l.text("description", s)
	}
	if p.kind == service {
		l.end()
		return
	}
	if p.index%3 == 1 {
		l.text("title", funTitles[p.index/3%len(funTitles)])
	}
	phones := [...]int{0, 0, 1, 1, 1, 2}[d.n(6)]
	if p.edits > 0 {
		phones++
	}
	for i := range phones {
		l.text("mobile", fmt.Sprintf("+49 30 5550%d %04d", i, d.n(10_000)))
	}
	for i := range [...]int{0, 0, 0, 1, 1, 2}[d.n(6)] {
		l.text("sshPublicKey", sshKey(&d, i == 1)+" "+p.uid+"@laptop")
	}
	if d.n(7) == 0 {
		l.text("pgpFingerprint", fingerprint(&d))
	}
	if d.n(4) == 0 {
		l.text("zimbraAlias", letters(p.local)+".alias"+strconv.Itoa(p.index)+"@"+domain)
	}
	switch d.n(10) {
	case 0:
		l.text("im", "irc: "+p.uid)
		l.text("im", "matrix: @"+p.uid+":"+domain)
	case 1:
		l.text("im", p.uid+" ✨")
	}
	l.end()
}

// opened is when an account was made.
func (c *company) opened(p *person, start time.Time) time.Time {
	if p.account > 0 {
		return start.AddDate(0, 0, p.account).Add(-time.Duration(1+p.index%3600) * time.Second)
	}
	d := c.dice(identifying, p.index, 1)
	return start.AddDate(0, 0, -1-d.n(6000)).Add(time.Duration(d.n(86_400)) * time.Second)
}

// describe returns a description, "" for most.
func describe(p *person, n int) string {
	switch {
	case p.kind == service:
		return ": runs at night; see " + p.uid + " in the wiki"
	case p.traits&longDescription != 0:
		s := "A long story in several parts.\n"
		for i := range 50 {
			s += strconv.Itoa(i+1) + ". " + sentences[(n+i)%len(sentences)] + " " + sentences[(n+5*i+1)%len(sentences)] + "\n"
		}
		return s
	case p.traits&oddDescription != 0:
		return [...]string{" : first a space, then a colon", ": first a colon", "<b>first an angle bracket</b>", "last a space "}[(p.index+1)%4]
	case p.index%10 < 3:
		return sentences[n]
	}
	return ""
}

// sshKey returns the text of an OpenSSH public key: the format of RFC 4253
// section 6.6 and RFC 8709, of random bytes.
func sshKey(d *dice, rsa bool) string {
	algorithm := "ssh-ed25519"
	parts := [][]byte{random(d, 32)}
	if rsa {
		algorithm = "ssh-rsa"
		parts = [][]byte{{1, 0, 1}, append([]byte{0}, random(d, 256)...)}
		parts[1][1] |= 0x80
	}
	var b []byte
	for _, p := range append([][]byte{[]byte(algorithm)}, parts...) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return algorithm + " " + base64.StdEncoding.EncodeToString(b)
}

func random(d *dice, n int) []byte {
	b := make([]byte, 0, n+7)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, d.pcg.Uint64())
	}
	return b[:n]
}

// fingerprint returns an OpenPGP fingerprint in one of the ways people write them.
func fingerprint(d *dice) string {
	b := random(d, 20)
	switch d.n(3) {
	case 0:
		return fmt.Sprintf("0x%X", b)
	case 1:
		return fmt.Sprintf("%X", b)
	}
	s := ""
	for i := range 10 {
		if i == 5 {
			s += " "
		}
		s += fmt.Sprintf("%X ", b[2*i:2*i+2])
	}
	return s[:len(s)-1]
}
