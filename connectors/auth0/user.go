package auth0

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// lenient is how users are told apart, before each is judged.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// A profile is what one login says of its person: Auth0 has it of the login in
// the user_id at the top, and of a linked one in profileData.
type profile struct {
	Email         jsontext.Value `json:"email"`
	EmailVerified jsontext.Value `json:"email_verified"`
	NodeID        jsontext.Value `json:"node_id"` // GitHub's
}

// A userJSON is a user as Auth0 has it, in what is read of it. Forms are judged
// value by value, so that a bad one costs no other.
type userJSON struct {
	UserID      jsontext.Value `json:"user_id"`
	GivenName   jsontext.Value `json:"given_name"`
	FamilyName  jsontext.Value `json:"family_name"`
	CreatedAt   jsontext.Value `json:"created_at"`
	Blocked     jsontext.Value `json:"blocked"`
	Identities  jsontext.Value `json:"identities"`
	AppMetadata jsontext.Value `json:"app_metadata"`

	Email         jsontext.Value `json:"email"`
	EmailVerified jsontext.Value `json:"email_verified"`
	NodeID        jsontext.Value `json:"node_id"`
}

type identityJSON struct {
	Provider    jsontext.Value `json:"provider"`
	Connection  jsontext.Value `json:"connection"`
	UserID      jsontext.Value `json:"user_id"`
	ProfileData jsontext.Value `json:"profileData"`
}

// A login is one way in which the person logs in.
type login struct {
	provider, connection, id string
	profile
}

// A user is one, with the login in the user_id apart from those linked to it.
type user struct {
	id     string
	raw    userJSON
	own    login
	linked []login
	reason string // why some of the identities could not be read
}

// parseUser reads one user. A reason is why it is set aside; then id is still
// the user's, if it can be told, so that the person does not seem to have left.
func parseUser(raw []byte) (u user, reason string) {
	if len(raw) == 0 || raw[0] != '{' {
		return user{}, "not an object"
	}
	if err := json.Unmarshal(raw, &u.raw); err != nil {
		switch {
		case !jsontext.Value(raw).IsValid(lenient...):
			reason = "not JSON"
		case errors.Is(err, jsontext.ErrDuplicateName):
			reason = "a key occurs twice"
		default:
			reason = "text that is not Unicode"
		}
		return salvage(raw), reason
	}
	if u.id, reason = userID(u.raw.UserID); reason != "" {
		return u, reason
	}
	u.own, u.linked, u.reason = logins(u.id, u.raw)
	return u, ""
}

// userID reads a user_id, which must be in its normal form: what it would
// become is not what Auth0 knows.
func userID(v jsontext.Value) (id, reason string) {
	if absent(v) {
		return "", "no user_id"
	}
	if v.Kind() != '"' {
		return "", "user_id is not a string"
	}
	id = text(v)
	if normal, err := normalize.UserID(id); err != nil || normal != id {
		return "", "user_id is not a connection and an id with | between them, in normal form"
	}
	return id, ""
}

// salvage finds the user_id of a user that cannot be read.
func salvage(raw []byte) (u user) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), lenient...)
	if _, err := dec.ReadToken(); err != nil {
		return user{}
	}
	times := map[string]int{}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			break
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			break // what stands before it can still be told
		}
		value = slices.Clone(value)
		switch times[key]++; key {
		case "user_id":
			u.raw.UserID = value
		case "email":
			u.raw.Email = value
		}
	}
	if id, reason := userID(u.raw.UserID); reason == "" && times["user_id"] == 1 && !strings.ContainsRune(id, utf8.RuneError) {
		u.id = id
	}
	if times["email"] != 1 {
		u.raw.Email = nil
	}
	return u
}

// keys are what can still be read of a user whose id cannot.
func (u *user) keys() []people.Key {
	if u.id != "" || u.raw.Email.Kind() != '"' {
		return nil
	}
	mail, err := normalize.Email(text(u.raw.Email))
	if err != nil || strings.ContainsRune(mail, utf8.RuneError) {
		return nil
	}
	return []people.Key{{Scheme: people.ByEmail, Value: mail}}
}

// logins tells the login in the user_id, "<provider>|<id>" or
// "<provider>|<connection>|<id>", from those linked to it.
func logins(userID string, raw userJSON) (own login, linked []login, reason string) {
	provider, id, _ := strings.Cut(userID, "|")
	own = login{provider, provider, id, profile{raw.Email, raw.EmailVerified, raw.NodeID}}
	if connection, rest, ok := strings.Cut(id, "|"); ok && connection != "" && rest != "" {
		own.connection, own.id = connection, rest
	}
	if absent(raw.Identities) {
		return own, nil, ""
	}
	var list []jsontext.Value
	if json.Unmarshal(raw.Identities, &list) != nil {
		return own, nil, "identities is not a list"
	}
	for _, v := range list {
		l, bad := identity(v)
		isOwn := l.provider == provider && l.id == id
		if l.id == "" { // old users have identities of which only the connection is known
			isOwn = l.connection == own.connection || len(list) == 1
		}
		switch {
		case bad != "":
			reason = bad
		case isOwn:
			own.connection = cmp.Or(l.connection, own.connection)
			if absent(own.NodeID) {
				own.NodeID = l.NodeID
			}
		default:
			l.id = strings.TrimPrefix(l.id, l.connection+"|") // "firefoxaccounts|…"
			linked = append(linked, l)
		}
	}
	return own, linked, reason
}

func identity(v jsontext.Value) (l login, reason string) {
	var raw identityJSON
	if v.Kind() != '{' || json.Unmarshal(v, &raw) != nil {
		return login{}, "an identity is not an object"
	}
	if !absent(raw.ProfileData) && (raw.ProfileData.Kind() != '{' || json.Unmarshal(raw.ProfileData, &l.profile) != nil) {
		return login{}, "the profileData of an identity is not an object"
	}
	for _, f := range []struct {
		to   *string
		v    jsontext.Value
		name string
	}{{&l.provider, raw.Provider, "provider"}, {&l.connection, raw.Connection, "connection"}, {&l.id, raw.UserID, "user_id"}} {
		switch {
		case absent(f.v):
		case f.v.Kind() == '0' && f.name == "user_id": // GitHub's are numbers
			*f.to = string(f.v)
		default:
			if *f.to, reason = line(f.v, "the "+f.name+" of an identity"); reason != "" {
				return login{}, reason
			}
		}
	}
	return l, ""
}

// login returns the user's login at a service, nil if there is none: the one
// in the user_id, else the linked one. A reason is why none is taken.
func (u *user) login(s *service) (l *login, reason string) {
	if s.is(&u.own) {
		l = &u.own
	} else {
		for i := range u.linked {
			switch next := &u.linked[i]; {
			case !s.is(next) || next.id == "":
			case l != nil && l.id != next.id:
				return nil, "several logins at the service are linked, and none of them is that of the user_id"
			default:
				l = next
			}
		}
	}
	switch {
	case l == nil:
		return nil, ""
	case s.digits && strings.ContainsFunc(l.id, func(r rune) bool { return r < '0' || r > '9' }):
		return nil, "the id of the login is no number"
	}
	return l, ""
}

// An address is an email with what is known of it.
type address struct {
	written  string // "" if there is none
	key      string
	verified bool // the person was seen to read what is sent there, or did not choose it
	usable   bool // as a key
	reason   string
}

func (l *login) mail() (a address) {
	if a.written, a.reason = line(l.Email, "email"); a.written == "" {
		return a
	}
	var err error
	if a.key, err = normalize.Email(a.written); err != nil {
		return address{reason: "email is no address"}
	}
	said, reason := truth(l.EmailVerified, "email_verified")
	if reason != "" {
		return address{reason: reason}
	}
	directory := slices.Contains(managed, l.provider)
	// A passwordless login proves the address with each use.
	a.verified = said == yes || said == silent && (directory || l.provider == "email")
	a.usable = a.verified || directory
	return a
}

// memberships returns the groups in app_metadata at the path below it. said
// reports whether there is a list at all.
func memberships(metadata jsontext.Value, path []string) (groups []people.Entry, said bool, reason string) {
	v := metadata
	for _, name := range path {
		if absent(v) {
			return nil, false, ""
		}
		var object map[string]jsontext.Value
		if v.Kind() != '{' || json.Unmarshal(v, &object) != nil {
			return nil, false, "what holds the groups is not an object"
		}
		v = object[name]
	}
	if absent(v) {
		return nil, false, ""
	}
	var list []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &list) != nil {
		return nil, false, "the groups are not a list"
	}
	for _, v := range list {
		name, reason := line(v, "a group")
		if reason == "" && name == "" {
			reason = "a group has no name"
		}
		if reason != "" {
			return nil, false, reason
		}
		groups = append(groups, people.Entry{Key: name})
	}
	return groups, true, ""
}

// absent reports whether a value is left out or null, which say nothing.
func absent(v jsontext.Value) bool { return len(v) == 0 || v.Kind() == 'n' }

// text returns the string of a value that is one.
func text(v jsontext.Value) string {
	b, _ := jsontext.AppendUnquote(nil, v) // what is no Unicode becomes utf8.RuneError
	return string(b)
}

// line returns the text of a value in its normal form, "" if it says nothing.
func line(v jsontext.Value, name string) (s, reason string) {
	if absent(v) {
		return "", ""
	}
	if v.Kind() != '"' {
		return "", name + " is not a string"
	}
	s, err := normalize.Line(text(v))
	if err != nil {
		return "", name + " is too long or holds control characters"
	}
	return s, ""
}

// An answer is what a value says that is true or false, or left out.
type answer byte

const (
	silent answer = iota
	no
	yes
)

func truth(v jsontext.Value, name string) (answer, string) {
	switch {
	case absent(v):
		return silent, ""
	case v.Kind() == 't':
		return yes, ""
	case v.Kind() == 'f':
		return no, ""
	}
	return silent, fmt.Sprintf("%s is neither true nor false", name)
}
