package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors"
	"example.org/cis/connectors/web"
)

const (
	// maxPasses is how often a list is read that keeps moving.
	maxPasses = 4
	// maxPages bounds a list whose links never end: a million accounts.
	maxPages = 10_000
)

// A session is one read from the API: an extract, or of one account.
type session struct {
	s      *Source
	secret string
	token  *credential      // personal, if there is no app
	pages  map[string]*page // what is known, by URL
	used   map[string]bool  // of them, what this read asked for
}

func (s *Source) session(ctx context.Context) *session {
	x := &session{s: s, pages: s.recall(ctx), used: map[string]bool{}}
	x.token = x.personal()
	return x
}

// readAPI reads all organisations.
func (s *Source) readAPI(ctx context.Context) (*reading, int64, error) {
	x := s.session(ctx)
	r, err := x.all(ctx)
	if ctx.Err() == nil {
		if err == nil {
			maps.DeleteFunc(x.pages, func(u string, _ *page) bool { return !x.used[u] })
		}
		s.keep(ctx, x.pages)
	}
	var bytes int64 // as many as if nothing had been known
	for u := range x.used {
		bytes += x.pages[u].Size
	}
	return r, bytes, err
}

func (x *session) all(ctx context.Context) (*reading, error) {
	r := &reading{emails: map[int64]string{}}
	var c *credential
	var reasons []string
	for _, login := range x.s.cfg.Organizations {
		var err error
		if c, err = x.enter(ctx, login); err == nil {
			err = x.organization(ctx, c, login, r)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f := about("organisation "+login, err)
		reasons = append(reasons, f.Reason)
		if f.Status != http.StatusForbidden && f.Status != http.StatusNotFound {
			break // it is not about this one, or costs too much time to find out
		}
	}
	if reasons != nil {
		return nil, &web.Fault{Reason: strings.Join(reasons, "; ")}
	}
	if x.s.cfg.Users {
		for _, id := range r.ids() {
			u, err := x.user(ctx, c, id)
			switch f := web.FaultOf(err); {
			case err == nil:
				r.emails[id] = u.Email
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case f.Status != http.StatusNotFound: // gone since the lists were read
				return nil, about("details of accounts", err)
			}
		}
	}
	return r, nil
}

// about puts what was asked for before the reason of a fault.
func about(what string, err error) *web.Fault {
	f := *web.FaultOf(err)
	f.Reason = what + ": " + f.Reason
	return &f
}

// ids returns the accounts of r, in order.
func (r *reading) ids() []int64 {
	var ids []int64
	for _, o := range r.organizations {
		for _, a := range slices.Concat(o.members, o.outside) {
			ids = append(ids, a.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// enter returns what an organisation is read with, once it is proved that it
// shows everything.
func (x *session) enter(ctx context.Context, login string) (*credential, error) {
	c := x.token
	if x.s.cfg.App.AppID != 0 {
		var err error
		if c, err = x.installation(ctx, login); err != nil {
			return nil, err
		}
	} else {
		m, err := x.one(ctx, c, "user/memberships/orgs/"+url.PathEscape(login))
		switch {
		case err != nil && web.FaultOf(err).Status == http.StatusNotFound:
			return nil, denied("the token's account does not belong to it")
		case err != nil:
			return nil, about("the token's membership", err)
		case m.State != "active" || m.Role != roleAdmin:
			return nil, denied("the token's account is not an owner of it: secret teams would be hidden")
		}
	}
	o, err := x.one(ctx, c, "orgs/"+url.PathEscape(login))
	if err == nil && !strings.EqualFold(o.Login, login) {
		err = denied("it has another name by now")
	}
	return c, err
}

// organization reads one. Teams come first and members last: whoever is in a
// team and no member then is known to have left.
func (x *session) organization(ctx context.Context, c *credential, login string, r *reading) error {
	o := organization{login: login}
	at := "orgs/" + url.PathEscape(login)
	if err := x.teams(ctx, c, login, &o, func(t *team) error {
		what := "members of the team " + t.slug
		place := login + ": team " + t.slug + ", member"
		path := at + "/teams/" + url.PathEscape(t.slug) + "/members"
		items, err := x.list(ctx, c, path)
		if err != nil {
			return about(what, err)
		}
		maintainers := map[int64]bool{}
		// GitHub gives roles with the members for some organisations only.
		if slices.ContainsFunc(items, func(i item) bool { return i.Role == "" }) {
			leads, err := x.list(ctx, c, path+"?role=maintainer")
			if err == nil {
				maintainers, err = r.roles(place, leads)
			}
			if err != nil {
				return about(what, err)
			}
		}
		in, err := r.roles(place, items)
		if err != nil {
			return about(what, err)
		}
		for _, i := range items {
			if in[i.ID] {
				t.members = append(t.members, member{i.ID, maintainers[i.ID] || i.Role == roleMaintainer})
			}
		}
		return nil
	}); err != nil {
		return err
	}
	outside, err := x.list(ctx, c, at+"/outside_collaborators")
	if err != nil {
		return about("outside collaborators", err)
	}
	owners, err := x.list(ctx, c, at+"/members?role=admin")
	if err != nil {
		return about("owners", err)
	}
	members, err := x.list(ctx, c, at+"/members")
	switch {
	case err != nil:
		return about("members", err)
	case len(members) == 0:
		return &web.Fault{Reason: "no rows: an organisation has members"}
	case len(owners) == 0:
		return &web.Fault{Reason: "no owners, and an organisation has one"}
	}
	admins, err := r.roles(login+": owner", owners)
	if err != nil {
		return about("owners", err)
	}
	o.outside = r.accounts(login+": outside collaborator", outside, nil)
	o.members = r.accounts(login+": member", members, admins)
	r.organizations = append(r.organizations, o)
	return nil
}

// roles returns the accounts of a list of a role. Without an id, the role may
// be anybody's, so that nobody's is known.
func (r *reading) roles(place string, items []item) (map[int64]bool, error) {
	in := make(map[int64]bool, len(items))
	for n, i := range items {
		switch {
		case i.ID == 0:
			return nil, &web.Fault{Reason: "one of them has no id"}
		case i.Aside != "":
			r.reject("read", fmt.Sprintf("%s %d", place, n+1), i.ID, access, i.Aside)
		default:
			in[i.ID] = true
		}
	}
	return in, nil
}

// accounts takes accounts from a list, and sets aside what is none.
func (r *reading) accounts(place string, items []item, admin map[int64]bool) []account {
	accounts := make([]account, 0, len(items))
	for n, i := range items {
		at := fmt.Sprintf("%s %d", place, n+1)
		if i.Aside == "" && i.ID == 0 {
			i.Aside = "no id"
		}
		if i.Aside != "" {
			r.reject("read", at, i.ID, "", i.Aside)
			continue
		}
		accounts = append(accounts, account{i.ID, i.Login, i.NodeID, admin[i.ID], at})
	}
	return accounts
}

// teams reads the teams of an organisation, and calls each for one after the
// other to read its members.
func (x *session) teams(ctx context.Context, c *credential, login string, o *organization, each func(*team) error) error {
	items, err := x.list(ctx, c, "orgs/"+url.PathEscape(login)+"/teams")
	if err != nil {
		return about("teams", err)
	}
	for _, i := range items {
		if i.Aside != "" {
			return &web.Fault{Reason: "a team cannot be read: " + i.Aside}
		}
		o.teams = append(o.teams, team{slug: i.Slug, parent: i.Parent})
	}
	if reason := o.checkTeams(); reason != "" {
		return &web.Fault{Reason: reason}
	}
	for i := range o.teams {
		if err := each(&o.teams[i]); err != nil {
			return err
		}
	}
	return nil
}

// user reads the details of an account.
func (x *session) user(ctx context.Context, c *credential, id int64) (item, error) {
	return x.one(ctx, c, "user/"+strconv.FormatInt(id, 10))
}

// readAccount reads one account in all organisations: ErrNotFound if it does
// not exist. What it is in them is asked for account by account, not list by
// list, but for the outside collaborators, of whom GitHub has only the list.
func (s *Source) readAccount(ctx context.Context, id int64) (*reading, error) {
	x := s.session(ctx)
	r := &reading{emails: map[int64]string{}}
	credentials := make([]*credential, len(s.cfg.Organizations))
	for i, login := range s.cfg.Organizations {
		// Before anything is taken for an answer that nothing is there.
		var err error
		if credentials[i], err = x.enter(ctx, login); err != nil {
			return nil, about("organisation "+login, err)
		}
	}
	u, err := x.user(ctx, credentials[0], id)
	switch {
	case err != nil && web.FaultOf(err).Status == http.StatusNotFound:
		return nil, connectors.ErrNotFound
	case err != nil:
		return nil, about("the account", err)
	case u.ID != id || u.Login == "":
		return nil, &web.Fault{Reason: "the account: the answer is about another one"}
	}
	if s.cfg.Users {
		r.emails[id] = u.Email
	}
	for i, login := range s.cfg.Organizations {
		if err := x.memberships(ctx, credentials[i], login, u, r); err != nil {
			return nil, about("organisation "+login, err)
		}
	}
	// Memberships are asked for by the login, which is nobody's, or another's,
	// once the account has another.
	switch again, err := x.user(ctx, credentials[0], id); {
	case err != nil:
		return nil, about("the account", err)
	case again.Login != u.Login:
		return nil, &web.Fault{Reason: "the account: it was renamed while it was read", Passing: true}
	}
	return r, nil
}

// memberships reads what one account is in one organisation.
func (x *session) memberships(ctx context.Context, c *credential, login string, u item, r *reading) error {
	o := organization{login: login}
	at := "orgs/" + url.PathEscape(login)
	m, err := x.one(ctx, c, at+"/memberships/"+url.PathEscape(u.Login))
	switch {
	case err != nil && web.FaultOf(err).Status != http.StatusNotFound:
		return about("the membership", err)
	case err != nil || m.State != "active":
		outside, err := x.list(ctx, c, at+"/outside_collaborators")
		if err != nil {
			return about("outside collaborators", err)
		}
		if slices.ContainsFunc(outside, func(i item) bool { return i.ID == u.ID }) {
			o.outside = []account{{id: u.ID, login: u.Login, nodeID: u.NodeID, place: login + ": outside collaborator"}}
		}
	default:
		o.members = []account{{u.ID, u.Login, u.NodeID, m.Role == roleAdmin, login + ": member"}}
		err = x.teams(ctx, c, login, &o, func(t *team) error {
			m, err := x.one(ctx, c, at+"/teams/"+url.PathEscape(t.slug)+"/memberships/"+url.PathEscape(u.Login))
			if err != nil && web.FaultOf(err).Status != http.StatusNotFound {
				return about("the membership of the team "+t.slug, err)
			}
			if err == nil && m.State == "active" {
				t.members = []member{{u.ID, m.Role == roleMaintainer}}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.organizations = append(r.organizations, o)
	return nil
}

// one reads a single object.
func (x *session) one(ctx context.Context, c *credential, at string) (item, error) {
	p, _, err := x.page(ctx, c, at, func(body []byte) ([]item, error) {
		if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			return nil, errCut
		}
		i := parseItem(body)
		if i.Aside != "" {
			return nil, &web.Fault{Reason: "the answer is not one of GitHub's: " + i.Aside}
		}
		return []item{i}, nil
	})
	if err != nil {
		return item{}, err
	}
	return p.Items[0], nil
}

// list reads a list until it stands still.
func (x *session) list(ctx context.Context, c *credential, at string) ([]item, error) {
	separator := "?"
	if strings.Contains(at, "?") {
		separator = "&"
	}
	at += separator + "per_page=" + strconv.Itoa(x.s.perPage)
	for range maxPasses {
		items, moved, err := x.pass(ctx, c, at)
		if err != nil || !moved {
			return items, err
		}
	}
	return nil, &web.Fault{Reason: "the list kept changing while it was read"}
}

// pass reads a list once, and reports whether it may have moved meanwhile:
// whether a page of several differs from what was known of it before, or
// somebody stands in it twice.
func (x *session) pass(ctx context.Context, c *credential, at string) (items []item, moved bool, err error) {
	changed, pages := false, 0
	asked, firsts, ids := map[string]bool{}, map[int64]bool{}, map[int64]bool{}
	for at != "" {
		if asked[at] || pages == maxPages {
			return nil, false, &web.Fault{Reason: "the list links to a page twice, or never ends"}
		}
		asked[at] = true
		pages++
		p, fresh, err := x.page(ctx, c, at, parseList)
		if err != nil {
			return nil, false, err
		}
		changed = changed || fresh
		if len(p.Items) > 0 && p.Items[0].ID != 0 {
			if firsts[p.Items[0].ID] {
				return nil, false, &web.Fault{Reason: "a page of the list came twice"}
			}
			firsts[p.Items[0].ID] = true
		}
		for _, i := range p.Items {
			moved = moved || i.ID != 0 && ids[i.ID]
			ids[i.ID] = true
		}
		items = append(items, p.Items...)
		at = p.Next
	}
	return items, moved || changed && pages > 1, nil
}

// page reads one answer, or learns that it is as it was known to be; fresh is
// one that is not.
func (x *session) page(ctx context.Context, c *credential, at string, parse func([]byte) ([]item, error)) (p *page, fresh bool, err error) {
	of, err := x.s.base.Parse(at)
	if err != nil {
		return nil, false, &web.Fault{Reason: "a link or path is not one that may be asked for"}
	}
	u := of.String()
	known := x.pages[u]
	etag := ""
	if known != nil {
		etag = known.ETag
	}
	a, err := x.ask(ctx, c, http.MethodGet, u, etag, nil)
	if err != nil {
		return nil, false, err
	}
	if a.status == http.StatusNotModified {
		if etag == "" {
			return nil, false, &web.Fault{Reason: "the server says that nothing changed, and was not asked"}
		}
		x.used[u] = true
		return known, false, nil
	}
	p = &page{ETag: a.header.Get("ETag"), Size: int64(len(a.body))}
	if p.Items, err = parse(a.body); err != nil {
		return nil, false, err
	}
	if p.Next, err = x.next(of, a.header); err != nil {
		return nil, false, err
	}
	if p.Next == "" && len(p.Items) >= x.s.perPage {
		p.ETag = "" // it would not change if another page came after it
	}
	x.pages[u], x.used[u] = p, true
	return p, known == nil || !p.same(known), nil
}

// parseList reads a list whose elements are judged one by one.
func parseList(body []byte) ([]item, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != '[' {
		return nil, &web.Fault{Reason: "the answer is not a list in JSON"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errCut
	}
	var items []item
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, errCut
		}
		i := parseItem(raw)
		i.Email = "" // only details are asked for it
		items = append(items, i)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errCut
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &web.Fault{Reason: "more after the end of a list"}
	}
	return items, nil
}

var errCut = &web.Fault{Reason: "the answer ends too early, or is not JSON"}

// parseItem takes from an object what is mapped of it.
func parseItem(raw jsontext.Value) item {
	var e struct {
		ID     int64  `json:"id"`
		Login  string `json:"login"`
		NodeID string `json:"node_id"`
		Email  string `json:"email"`
		Role   string `json:"role"`
		State  string `json:"state"`
		Slug   string `json:"slug"`
		Parent struct {
			Slug string `json:"slug"`
		} `json:"parent"`
	}
	if reason := parse(raw, &e); reason != "" {
		return item{ID: idOf(raw), Aside: reason}
	}
	return item{
		ID: max(0, e.ID), Login: e.Login, NodeID: e.NodeID, Email: e.Email,
		Role: e.Role, State: e.State, Slug: e.Slug, Parent: e.Parent.Slug,
	}
}
