package githubtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

type object = map[string]any

// A view is what somebody may see of an organisation.
type view struct {
	member, owner bool
	user          int64 // of a personal token
}

func (s *Server) view(who identity, o *Organization) view {
	if t := who.installation; t != nil {
		mine := t.in == o && o.Installation != nil && o.Installation.Members != ""
		return view{member: mine, owner: mine}
	}
	role := o.Members[who.personal.User]
	scoped := who.personal.Scopes == nil || slices.ContainsFunc(who.personal.Scopes, func(s string) bool { return strings.HasSuffix(s, ":org") })
	return view{member: scoped && role != "", owner: scoped && role == "admin", user: who.personal.User}
}

// toReader answers what people and installations may ask.
func (s *Server) toReader(who identity, path string, params map[string]string, r *http.Request) answer {
	missing := failed(http.StatusNotFound, "Not Found")
	if path == "/user/{account_id}" {
		id, _ := strconv.ParseInt(params["account_id"], 10, 64)
		u := s.world.User(id)
		if u == nil {
			return missing
		}
		return answer{status: http.StatusOK, body: s.publicUser(u)}
	}
	o := s.world.Organization(params["org"])
	if o == nil {
		return missing
	}
	if who.personal != nil && o.SSO == "required" {
		a := failed(http.StatusForbidden, "Resource protected by organization SAML enforcement.")
		a.header = map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/" + o.Login + "/sso?authorization_request=s3cret"}
		return a
	}
	v := s.view(who, o)
	forbidden := failed(http.StatusForbidden, "Resource not accessible")
	list := func(items []any, at string) answer {
		a := s.page(items, fmt.Sprintf("organizations/%d%s", o.ID, at), r)
		if who.personal != nil && o.SSO == "partial" {
			a.header["X-GitHub-SSO"] = fmt.Sprintf("partial-results; organizations=%d", o.ID)
			a.body = a.body.([]any)[:max(0, len(a.body.([]any))-1)]
		}
		return a
	}
	role := r.URL.Query().Get("role")
	switch path {
	case "/orgs/{org}":
		return answer{status: http.StatusOK, body: s.organization(o)}
	case "/orgs/{org}/members":
		var items []any
		for _, id := range sorted(o.Members) {
			if (v.member || slices.Contains(o.Public, id)) && (role == "" || role == "all" || role == o.Members[id]) {
				items = append(items, s.simpleUser(s.world.User(id)))
			}
		}
		return list(items, "/members")
	case "/orgs/{org}/outside_collaborators":
		if !v.owner {
			return forbidden
		}
		var items []any
		for _, id := range o.Outside {
			items = append(items, s.simpleUser(s.world.User(id)))
		}
		return list(items, "/outside_collaborators")
	case "/orgs/{org}/memberships/{username}":
		if !v.member {
			return forbidden
		}
		return s.membership(o, s.named(params["username"]))
	case "/user/memberships/orgs/{org}":
		if who.personal == nil || who.personal.Scopes != nil && !v.member && o.Members[v.user] != "" {
			return forbidden
		}
		return s.membership(o, s.world.User(v.user))
	case "/orgs/{org}/teams":
		if !v.member {
			return forbidden
		}
		var items []any
		for _, t := range o.Teams {
			if s.sees(v, o, t) {
				items = append(items, s.team(o, t, true))
			}
		}
		return list(items, "/teams")
	}
	t := o.Team(params["team_slug"])
	if t == nil || !s.sees(v, o, t) {
		return missing
	}
	switch path {
	case "/orgs/{org}/teams/{team_slug}/members":
		var items []any
		for _, id := range sorted(o.Members) {
			is, inherited := o.role(t, id)
			if is == "" || role != "" && role != "all" && role != is {
				continue
			}
			u := s.simpleUser(s.world.User(id))
			if o.TeamRoles {
				u["role"], u["inherited"] = is, inherited
			}
			items = append(items, u)
		}
		return list(items, fmt.Sprintf("/team/%d/members", t.ID))
	case "/orgs/{org}/teams/{team_slug}/memberships/{username}":
		u := s.named(params["username"])
		if u == nil || o.Members[u.ID] == "" {
			return missing
		}
		is, _ := o.role(t, u.ID)
		if is == "" {
			return missing
		}
		return answer{status: http.StatusOK, body: object{
			"url": fmt.Sprintf("%sorganizations/%d/team/%d/memberships/%s", s.URL, o.ID, t.ID, u.Login), "role": is, "state": "active",
		}}
	}
	return forbidden
}

// sees reports whether somebody sees a team at all.
func (s *Server) sees(v view, o *Organization, t *Team) bool {
	is, _ := o.role(t, v.user)
	return v.owner || v.member && (!t.Secret || is != "")
}

func (s *Server) named(login string) *User {
	return find(s.world.Users, func(u *User) bool { return strings.EqualFold(u.Login, login) })
}

func (s *Server) membership(o *Organization, u *User) answer {
	state, role := "active", ""
	if u != nil {
		role = o.Members[u.ID]
		if role == "" && slices.Contains(o.Invited, u.ID) {
			state, role = "pending", "member"
		}
	}
	if role == "" {
		return failed(http.StatusNotFound, "Not Found")
	}
	at := s.URL + "orgs/" + o.Login
	return answer{status: http.StatusOK, body: object{
		"url": at + "/memberships/" + u.Login, "state": state, "role": role, "organization_url": at,
		"organization": s.organization(o), "user": s.simpleUser(u),
	}}
}

// page answers with a part of a list, and links to the others.
func (s *Server) page(items []any, at string, r *http.Request) answer {
	q := r.URL.Query()
	number := func(key string, otherwise int) int {
		if n, err := strconv.Atoi(q.Get(key)); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	size, page := min(number("per_page", 30), 100), number("page", 1)
	last := (len(items) + size - 1) / size
	from := min((page-1)*size, len(items))
	a := answer{
		status: http.StatusOK, header: map[string]string{},
		body: append([]any{}, items[from:min(from+size, len(items))]...),
	}
	var links []string
	link := func(rel string, n int) {
		to := url.Values{"page": {strconv.Itoa(n)}}
		for key := range q {
			if key != "page" {
				to.Set(key, q.Get(key))
			}
		}
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", s.URL, at, to.Encode(), rel))
	}
	if page > 1 {
		link("prev", page-1)
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	if page > 1 {
		link("first", 1)
	}
	if links != nil {
		a.header["Link"] = strings.Join(links, ", ")
	}
	return a
}

func (s *Server) account(id int64, login, nodeID, kind string) object {
	at := s.URL + "users/" + login
	return object{
		"login": login, "id": id, "node_id": nodeID, "type": kind, "site_admin": false, "gravatar_id": "",
		"avatar_url": fmt.Sprintf("https://avatars.githubusercontent.com/u/%d?v=4", id),
		"url":        at, "html_url": "https://github.com/" + login,
		"followers_url": at + "/followers", "following_url": at + "/following{/other_user}", "gists_url": at + "/gists{/gist_id}",
		"starred_url": at + "/starred{/owner}{/repo}", "subscriptions_url": at + "/subscriptions", "organizations_url": at + "/orgs",
		"repos_url": at + "/repos", "events_url": at + "/events{/privacy}", "received_events_url": at + "/received_events",
	}
}

func (s *Server) simpleUser(u *User) object {
	o := s.account(u.ID, u.Login, u.NodeID, "User")
	o["user_view_type"] = "public"
	return o
}

// since is when everything was made.
const since = "2020-02-02T02:02:02Z"

func (s *Server) publicUser(u *User) object {
	o := s.simpleUser(u)
	for _, key := range []string{"name", "company", "location", "hireable", "bio", "twitter_username", "email", "notification_email"} {
		o[key] = nil
	}
	if u.Email != "" {
		o["email"] = u.Email
	}
	for _, key := range []string{"public_repos", "public_gists", "followers", "following"} {
		o[key] = 0
	}
	o["blog"], o["created_at"], o["updated_at"] = "", since, since
	return o
}

func (s *Server) organization(o *Organization) object {
	at := s.URL + "orgs/" + o.Login
	x := object{
		"login": o.Login, "id": o.ID, "node_id": fmt.Sprintf("O_%d", o.ID), "url": at, "repos_url": at + "/repos", "events_url": at + "/events",
		"hooks_url": at + "/hooks", "issues_url": at + "/issues", "members_url": at + "/members{/member}",
		"public_members_url": at + "/public_members{/member}", "avatar_url": fmt.Sprintf("https://avatars.githubusercontent.com/u/%d?v=4", o.ID),
		"description": nil, "html_url": "https://github.com/" + o.Login, "has_organization_projects": true, "has_repository_projects": true,
		"type": "Organization", "created_at": since, "updated_at": since, "archived_at": nil,
	}
	for _, key := range []string{"public_repos", "public_gists", "followers", "following"} {
		x[key] = 0
	}
	return x
}

func (s *Server) team(o *Organization, t *Team, withParent bool) object {
	at := fmt.Sprintf("%sorganizations/%d/team/%d", s.URL, o.ID, t.ID)
	privacy := "closed"
	if t.Secret {
		privacy = "secret"
	}
	x := object{
		"id": t.ID, "node_id": fmt.Sprintf("T_%d", t.ID), "url": at, "html_url": fmt.Sprintf("https://github.com/orgs/%s/teams/%s", o.Login, t.Slug),
		"members_url": at + "/members{/member}", "repositories_url": at + "/repos", "name": t.Slug, "slug": t.Slug, "description": nil,
		"permission": "pull", "privacy": privacy, "notification_setting": "notifications_enabled", "type": "organization", "organization_id": o.ID,
	}
	if withParent {
		x["parent"] = nil
		if p := o.Team(t.Parent); p != nil {
			x["parent"] = s.team(o, p, false)
		}
	}
	return x
}

func (s *Server) installation(o *Organization) object {
	i := o.Installation
	permissions := object{"metadata": "read"}
	if i.Members != "" {
		permissions["members"] = i.Members
	}
	x := object{
		"id": i.ID, "app_id": AppID, "app_slug": "cis", "target_id": o.ID, "target_type": "Organization", "single_file_name": nil,
		"repository_selection": "all", "access_tokens_url": fmt.Sprintf("%sapp/installations/%d/access_tokens", s.URL, i.ID),
		"html_url":         fmt.Sprintf("https://github.com/organizations/%s/settings/installations/%d", o.Login, i.ID),
		"repositories_url": s.URL + "installation/repositories", "events": []any{}, "permissions": permissions,
		"account":    s.account(o.ID, o.Login, fmt.Sprintf("O_%d", o.ID), "Organization"),
		"created_at": since, "updated_at": since, "suspended_by": nil, "suspended_at": nil,
	}
	if i.Suspended {
		x["suspended_at"] = since
	}
	return x
}
