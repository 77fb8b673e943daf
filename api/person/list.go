package person

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// How many people a page has, and how many are looked at for one at most: a page
// of a search may be shorter, or empty, and not be the last.
const (
	profilesPage = 50
	idsPage      = 500
	searchPage   = 50
	membersPage  = 100
	maxLooked    = 5000
)

// page reads a page of a search in the store, whose token the caller sent.
func (s *service) page(r *http.Request, q url.Values, query sinks.Query) (found []sinks.Stored, next string, err error) {
	if query.After, err = s.Seal.place(r, q); err != nil {
		return nil, "", err
	}
	page, err := s.Store.Search(r.Context(), query)
	if err != nil {
		return nil, "", err
	}
	next, err = s.Seal.token(r, q, page.Next)
	return page.People, next, err
}

// users lists profiles.
func (s *service) users(w http.ResponseWriter, r *http.Request) error {
	q, wish, err := s.ask(r)
	if err != nil {
		return err
	}
	items, next := [][]byte{}, ""
	if mail := q.Get("primaryEmail"); mail != "" {
		found, err := s.find(r.Context(), people.PrimaryEmail, []string{mail}, wish.active)
		if err != nil {
			return err
		}
		if found != nil {
			v, err := s.serve(r.Context(), *found, wish)
			if err != nil {
				return err
			}
			items = append(items, v.body)
		}
	} else {
		var list []sinks.Stored
		if list, next, err = s.page(r, q, sinks.Query{Active: wish.active, Limit: profilesPage}); err != nil {
			return err
		}
		for _, stored := range list {
			v, err := s.serve(r.Context(), person{id: stored.ID, revision: stored.Revision, stored: stored.Profile}, wish)
			if err != nil {
				return err
			}
			items = append(items, v.body)
		}
	}
	b := append([]byte(`{"Items":[`), bytes.Join(items, []byte(","))...)
	b = append(b, `],"nextPage":`...)
	if next == "" {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, `{"id":"`...), next...), `"}`...)
	}
	return api.Body(w, http.StatusOK, "application/json", append(b, '}', '\n'))
}

// An idRow is what the list of ids says of somebody, whatever the caller's scopes.
type idRow struct {
	UUID   people.ID `json:"uuid"`
	UserID *string   `json:"user_id"`
	Email  *string   `json:"primary_email"`
	Active bool      `json:"active"`
}

// ids lists who there is.
func (s *service) ids(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	active, err := activeOf(q)
	if err != nil {
		return err
	}
	list, next, err := s.page(r, q, sinks.Query{Active: active, Login: q.Get("connectionMethod"), Limit: idsPage})
	if err != nil {
		return err
	}
	rows := make([]idRow, 0, len(list))
	for _, stored := range list {
		p, err := s.person(stored)
		if err != nil {
			return err
		}
		rows = append(rows, idRow{p.id, orNull(p.brief.login), orNull(p.brief.mail), p.brief.active})
	}
	return api.JSON(w, http.StatusOK, map[string]any{"users": rows, "nextPage": orNull(next)})
}

// A condition is one filter of a search.
type condition struct {
	key people.Key
	not bool
}

// conditions reads the filters of a search, in a stable order.
func (s *service) conditions(q url.Values) (list []condition, err error) {
	for _, path := range s.Searchable {
		for _, not := range []bool{false, true} {
			name := string(path)
			if not {
				name = "not_" + name
			}
			for _, v := range q[name] {
				a, _ := s.Catalogue.Find(path)
				if a.Kind == people.Bool {
					b, err := strconv.ParseBool(strings.ToLower(v))
					if err != nil {
						return nil, api.Bad(name + " is true or false")
					}
					v = strconv.FormatBool(b)
				}
				if v == "" {
					return nil, api.Bad(name + " has no value")
				}
				list = append(list, condition{people.Key{Scheme: people.Scheme(path), Value: v}, not})
			}
		}
	}
	for name := range q {
		path := strings.TrimPrefix(name, "not_")
		if strings.Contains(path, ".") && !slices.Contains(s.Searchable, people.Path(path)) {
			return nil, api.Bad("nobody can be searched by that: the filters are " + s.filters())
		}
	}
	if len(list) == 0 {
		return nil, api.Bad("a filter is missing: one or more of " + s.filters())
	}
	return list, nil
}

func (s *service) filters() string {
	names := make([]string, len(s.Searchable))
	for i, p := range s.Searchable {
		names[i] = string(p)
	}
	return strings.Join(names, ", ") + ", each also with not_ before it"
}

// holds reports whether a profile meets it.
func (c condition) holds(d *view.Doc) (bool, error) {
	a, err := d.Attribute(people.Path(c.key.Scheme))
	switch v := a.Value; v.Kind() {
	case people.Map:
		return v.Has(c.key.Value) != c.not, err
	case people.Bool:
		return (strconv.FormatBool(v.True()) == c.key.Value) != c.not, err
	default:
		return (!v.IsNull() && v.Text() == c.key.Value) != c.not, err
	}
}

// search lists who meets all filters.
func (s *service) search(w http.ResponseWriter, r *http.Request) error {
	q, wish, err := s.ask(r)
	if err != nil {
		return err
	}
	conditions, err := s.conditions(q)
	if err != nil {
		return err
	}
	full, err := flag(q, "fullProfiles")
	if err != nil {
		return err
	}
	place, err := s.Seal.place(r, q)
	if err != nil {
		return err
	}
	users := []jsontext.Value{}
	next, err := s.looked(r.Context(), sinks.Query{Active: wish.active, After: place, Limit: searchPage}, conditions, func(_ people.ID, d *view.Doc) (bool, error) {
		login, err := seen(d, wish.Grant, people.UserID)
		if login == "" || err != nil {
			return false, err
		}
		b := append([]byte(`{"id":`), people.AppendQuoted(nil, login)...)
		if full {
			a, err := d.Attribute(people.UserID)
			if err != nil {
				return false, err
			}
			b = append(a.AppendJSON([]byte(`{"id":`), true), `,"profile":`...)
			b = s.append(b, d, wish)
		}
		users = append(users, append(b, '}'))
		return len(users) >= searchPage, nil
	})
	if err != nil {
		return err
	}
	if next, err = s.Seal.token(r, q, next); err != nil {
		return err
	}
	return api.JSON(w, http.StatusOK, map[string]any{"users": users, "nextPage": orNull(next)})
}

func flag(q url.Values, name string) (bool, error) {
	v := q.Get(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil {
		return false, api.Bad(name + " is true or false")
	}
	return b, nil
}

// looked looks through the store for those who meet all conditions, until yield
// has enough, and returns where to go on, "" at the end. The store is asked for
// one condition, and each page of its answer is looked at whole.
func (s *service) looked(ctx context.Context, query sinks.Query, conditions []condition, yield func(people.ID, *view.Doc) (enough bool, err error)) (next string, err error) {
	if i := slices.IndexFunc(conditions, func(c condition) bool { return !c.not }); i >= 0 {
		query.Fact = conditions[i].key
	}
	for seen := 0; ; {
		page, err := s.Store.Search(ctx, query)
		if err != nil {
			return "", err
		}
		full := false
		for _, stored := range page.People {
			d, err := read(stored)
			if err != nil {
				return "", err
			}
			meets := true
			for _, c := range conditions {
				holds, err := c.holds(d)
				if err != nil {
					return "", err
				}
				meets = meets && holds
			}
			if !meets {
				continue
			}
			enough, err := yield(stored.ID, d)
			if err != nil {
				return "", err
			}
			full = full || enough
		}
		seen += len(page.People)
		if query.After = page.Next; page.Next == "" || full || seen >= maxLooked {
			return page.Next, nil
		}
	}
}
