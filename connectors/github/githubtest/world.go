package githubtest

import (
	"encoding/json"
	"slices"
	"strings"
)

// A World is what the server knows. Accounts are named by their ids, because
// logins change.
type World struct {
	Organizations []*Organization
	Users         []*User
	// Tokens are personal access tokens by their text.
	Tokens map[string]*Token
}

// A User is an account.
type User struct {
	ID     int64
	Login  string
	NodeID string
	Email  string // public; "" for none
}

// A Token is a personal access token.
type Token struct {
	User int64
	// Scopes are those of a classic token; nil makes it a fine-grained one.
	Scopes []string
}

// An Organization has people and teams.
type Organization struct {
	ID    int64
	Login string
	// Members are the roles of members: "admin" or "member".
	Members map[int64]string
	// Public are the members who show it to everybody.
	Public []int64
	// Invited have not accepted yet.
	Invited []int64
	Outside []int64
	Teams   []*Team
	// TeamRoles says that lists of a team's members give their roles, which
	// GitHub does for some organisations.
	TeamRoles bool
	// SSO is what single sign-on does to tokens: "" nothing, "required"
	// refuses them, "partial" leaves out of lists what it protects.
	SSO string
	// Installation is that of the app, nil if it is not installed.
	Installation *Installation
}

// A Team has the members that were put into it, and those of its children.
type Team struct {
	ID     int64
	Slug   string
	Parent string // the slug of another, "" for none
	Secret bool
	// Members are the roles of direct members: "maintainer" or "member".
	Members map[int64]string
}

// An Installation is the app's, in an organisation.
type Installation struct {
	ID int64
	// Members is the permission to see them: "read", "write", or "" for none.
	Members   string
	Suspended bool
}

// PersonalToken is the token of [Example], AppID the app that is installed in
// its organisations.
const (
	PersonalToken = "ghp_n0tAtAllAR3alT0ken"
	AppID         = 4242
)

// Example returns two organisations: acme, with teams in three generations, a
// secret one and an outside collaborator, and Labs, where one of its members
// is outside.
func Example() *World {
	user := func(id int64, login, email string) *User {
		return &User{ID: id, Login: login, NodeID: "U_kgDO" + login, Email: email}
	}
	return &World{
		Users: []*User{
			user(1, "sync-bot", ""), user(11, "ada", "Ada@example.com"), user(12, "bob", ""), user(13, "Cyd-X", "cyd@example.org"),
			user(14, "dana", ""), user(15, "eve", ""),
		},
		Tokens: map[string]*Token{PersonalToken: {User: 1, Scopes: []string{"read:org"}}},
		Organizations: []*Organization{{
			ID: 101, Login: "acme", TeamRoles: true,
			Members: map[int64]string{1: "admin", 11: "admin", 12: "member", 13: "member"},
			Invited: []int64{15}, Outside: []int64{14}, Public: []int64{12},
			Teams: []*Team{
				{ID: 201, Slug: "engineering", Members: map[int64]string{12: "maintainer"}},
				{ID: 202, Slug: "platform", Parent: "engineering", Members: map[int64]string{11: "member"}},
				{ID: 203, Slug: "on-call", Parent: "platform", Members: map[int64]string{13: "maintainer"}},
				{ID: 204, Slug: "security", Secret: true, Members: map[int64]string{11: "maintainer", 13: "member"}},
				{ID: 205, Slug: "empty"},
			},
			Installation: &Installation{ID: 301, Members: "read"},
		}, {
			ID: 102, Login: "Labs", Members: map[int64]string{1: "admin", 13: "member"}, Outside: []int64{12},
			Teams:        []*Team{{ID: 206, Slug: "engineering", Members: map[int64]string{13: "member"}}},
			Installation: &Installation{ID: 302, Members: "write"},
		}},
	}
}

// User returns an account, nil if there is none.
func (w *World) User(id int64) *User {
	return find(w.Users, func(u *User) bool { return u.ID == id })
}

// Organization returns an organisation by its login, nil if there is none.
func (w *World) Organization(login string) *Organization {
	return find(w.Organizations, func(o *Organization) bool { return strings.EqualFold(o.Login, login) })
}

// Team returns a team by its slug, nil if there is none.
func (o *Organization) Team(slug string) *Team {
	return find(o.Teams, func(t *Team) bool { return t.Slug == slug })
}

func find[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

// role returns what somebody is in a team, and whether only through one of
// its children; "" is nothing.
func (o *Organization) role(t *Team, user int64) (role string, inherited bool) {
	role = t.Members[user]
	if role == "" {
		for _, child := range o.Teams {
			if child.Parent == t.Slug {
				if below, _ := o.role(child, user); below != "" {
					role, inherited = "member", true
				}
			}
		}
	}
	if role != "" && o.Members[user] == "admin" {
		role = "maintainer"
	}
	return role, inherited
}

// Dump returns the organisations of the logins as the file that package github
// reads, with the public emails of everybody.
func (w *World) Dump(logins ...string) []byte {
	type member struct {
		ID     int64  `json:"id"`
		Login  string `json:"login,omitempty"`
		NodeID string `json:"node_id,omitempty"`
		Role   string `json:"role,omitempty"`
		Email  string `json:"email,omitempty"`
	}
	type team struct {
		Slug    string   `json:"slug"`
		Parent  *string  `json:"parent"`
		Members []member `json:"members"`
	}
	type organization struct {
		Login   string   `json:"login"`
		ID      int64    `json:"id"`
		Members []member `json:"members"`
		Outside []member `json:"outside_collaborators"`
		Teams   []team   `json:"teams"`
	}
	var dump struct {
		Organizations []organization `json:"organizations"`
		Users         []member       `json:"users"`
	}
	account := func(id int64, role string) member {
		u := w.User(id)
		return member{ID: id, Login: u.Login, NodeID: u.NodeID, Role: role}
	}
	for _, login := range logins {
		o := w.Organization(login)
		d := organization{Login: o.Login, ID: o.ID, Members: []member{}, Outside: []member{}, Teams: []team{}}
		for _, id := range sorted(o.Members) {
			d.Members = append(d.Members, account(id, o.Members[id]))
		}
		for _, id := range o.Outside {
			d.Outside = append(d.Outside, account(id, ""))
		}
		for _, t := range o.Teams {
			x := team{Slug: t.Slug, Members: []member{}}
			if t.Parent != "" {
				x.Parent = &t.Parent
			}
			for _, id := range sorted(t.Members) {
				x.Members = append(x.Members, member{ID: id, Role: t.Members[id]})
			}
			d.Teams = append(d.Teams, x)
		}
		dump.Organizations = append(dump.Organizations, d)
	}
	for _, u := range w.Users {
		if u.Email != "" {
			dump.Users = append(dump.Users, member{ID: u.ID, Email: u.Email})
		}
	}
	b, err := json.MarshalIndent(dump, "", " ")
	if err != nil {
		panic(err) // text and numbers always marshal
	}
	return b
}

func sorted(m map[int64]string) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
