// Package person owns the Person API: what may be asked of people, and how it is
// answered. It reads; whoever may write is another face.
//
// The routes, parameters and bodies are those of the person API of CIS v2, so
// that its clients work unchanged, and beside them groups, an export and why a
// profile is what it is. What a caller sees of a profile is decided by view and
// nowhere else; three routes show more than that, and no others do: the list of
// ids (uuid, user_id, primary_email, active), whether an address is known, and
// the status of a change.
//
// # Where it differs from CIS v2
//
//   - active is heard on every route, and filters of a search are all to be met.
//   - A page of a list ends with a token that is sealed for this caller and these
//     parameters, and lives a day; null is the only end. Somebody who was there
//     from the first page to the last is in exactly one.
//   - A failed read is an error. An answer without somebody means that they are
//     not there.
//   - An address leads to whose primary_email it is: of several an active one.
//   - A search leaves out whose user_id the caller may not see, because that is
//     what it answers with.
//   - There is no GraphQL. The older system had it switched off.
package person

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// Scopes that this package asks for, beside those that view knows.
const (
	Search  = "search:all"   // searches, and groups
	Explain = "read:explain" // why a profile is what it is
	History = "read:history" // what a profile was
)

// Options of the routes.
type Options struct {
	Store     sinks.Reader
	Catalogue *catalogue.Catalogue
	// Searchable are the attributes that the store knows people by: of groups the
	// name of one, of everything else the value.
	Searchable []people.Path
	// Seal seals the tokens of pages.
	Seal *Seal
	// ListScope is demanded of whoever lists ids, if it is not "".
	ListScope string
	// Version is told by /v2/version.
	Version string
	// Explain explains a person, or one attribute if path is not "".
	Explain func(ctx context.Context, s sinks.Stored, p *people.Profile, path people.Path) (Explanation, error)
	// Revisions reads a person's history, oldest first.
	Revisions func(ctx context.Context, id people.ID) ([]people.Revision, error)
	// Everybody reads the people of the current snapshot.
	Everybody func(ctx context.Context) (Snapshot, error)
	Now       func() time.Time
}

// A service answers by Options.
type service struct {
	Options
	containers []string
	// sources of groups: those of access_information that are searchable
	sources []string
	groups  *groupIndex
	views   *cache
}

// New returns the routes of the Person API.
func New(o Options) []api.Route {
	s := &service{Options: o, views: newCache()}
	for _, c := range o.Catalogue.Containers {
		s.containers = append(s.containers, c.Name)
	}
	slices.Sort(s.containers)
	for _, path := range o.Searchable {
		if container, source := path.Split(); container == "access_information" {
			s.sources = append(s.sources, source)
		}
	}
	s.groups = newGroupIndex(s)
	routes := []api.Route{
		{Method: "GET", Path: "/v2", Open: true, Serve: s.title},
		{Method: "GET", Path: "/v2/{$}", Open: true, Serve: s.title},
		{Method: "GET", Path: "/v2/version", Open: true, Serve: s.version},
		{Method: "GET", Path: "/v2/user/metadata/{email}", Open: true, Cross: true, PerAddress: true, Serve: s.metadata},
		{Method: "GET", Path: "/v2/users", Serve: s.users},
		{Method: "GET", Path: "/v2/users/id/all", Scope: o.ListScope, Serve: s.ids},
		{Method: "GET", Path: "/v2/users/id/all/by_attribute_contains", Scope: Search, Serve: s.search},
		{Method: "GET", Path: "/v2/users:export", Long: true, Serve: s.export},
		{Method: "GET", Path: "/v2/person/{id}/explain", Scope: Explain, Serve: s.explain},
		{Method: "GET", Path: "/v2/person/{id}/history", Scope: History, Serve: s.history},
		{Method: "GET", Path: "/v2/groups", Scope: Search, Serve: s.listGroups},
		{Method: "GET", Path: "/v2/group/{source}/{name}", Scope: Search, Serve: s.group},
		{Method: "GET", Path: "/v2/group/{source}/{name}/members", Scope: Search, Serve: s.members},
	}
	for _, by := range []people.Path{people.UserID, people.UUID, people.PrimaryEmail, people.PrimaryUsername} {
		routes = append(routes, api.Route{Method: "GET", Path: "/v2/user/" + string(by) + "/{value}", Serve: func(w http.ResponseWriter, r *http.Request) error {
			return s.user(w, r, by)
		}})
	}
	return routes
}

func (s *service) title(w http.ResponseWriter, _ *http.Request) error {
	return api.Body(w, http.StatusOK, "text/plain; charset=utf-8", []byte("CIS person service: see /openapi.yaml\n"))
}

func (s *service) version(w http.ResponseWriter, _ *http.Request) error {
	return api.JSON(w, http.StatusOK, map[string]string{"message": s.Version})
}

// A wish is what the parameters that all routes know ask for.
type wish struct {
	view.Grant
	fields string // as they were asked for, sorted; "" is all
	active *bool
}

// maxQuery bounds what stands after the question mark.
const maxQuery = 8 << 10

// query reads the parameters of a request. What the route does not know, it does
// not mind: clients send more than they need to.
func query(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, api.Bad("the parameters are too long")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, api.Bad("the parameters are not well-formed")
	}
	return q, nil
}

// ask reads the parameters of a request, and what of them all routes know.
func (s *service) ask(r *http.Request) (q url.Values, w wish, err error) {
	if q, err = query(r); err != nil {
		return nil, w, err
	}
	w.Grant = view.Of(api.CallerOf(r.Context()).Scopes)
	if f := q.Get("filterDisplay"); f != "" {
		w.Grant = w.Narrowed(f)
	}
	if w.active, err = activeOf(q); err != nil {
		return nil, w, err
	}
	w.fields, err = s.fieldsOf(q.Get("fields"))
	return q, w, err
}

// activeOf reads whom a request is about: active people unless it says otherwise.
func activeOf(q url.Values) (*bool, error) {
	switch strings.ToLower(q.Get("active")) {
	case "", "true":
		return new(true), nil
	case "false":
		return new(false), nil
	case "any":
		return nil, nil
	}
	return nil, api.Bad("active is true, false or any")
}

// fieldsOf reads which attributes or containers are asked for.
func (s *service) fieldsOf(list string) (string, error) {
	if list == "" {
		return "", nil
	}
	fields := strings.Split(list, ",")
	for i, f := range fields {
		if _, known := s.Catalogue.Find(people.Path(f)); !known && !slices.Contains(s.containers, f) {
			return "", api.Bad(fmt.Sprintf("fields: entry %d is neither an attribute nor a container: /.well-known/profile.schema has their names", i+1))
		}
	}
	slices.Sort(fields)
	return strings.Join(slices.Compact(fields), ","), nil
}

// append appends what a wish shows of a profile.
func (s *service) append(b []byte, d *view.Doc, w wish) []byte {
	if w.fields == "" {
		return d.Append(b, w.Grant, nil, s.containers)
	}
	fields := strings.Split(w.fields, ",")
	return d.Append(b, w.Grant, func(path people.Path) bool {
		container, _ := path.Split()
		return slices.Contains(fields, string(path)) || container != "" && slices.Contains(fields, container)
	}, s.containers)
}

// read reads a stored profile.
func read(s sinks.Stored) (*view.Doc, error) {
	body, err := sinks.Unpack(s.Profile)
	if err != nil {
		return nil, fmt.Errorf("person: %s: %w", s.ID, err)
	}
	d, err := view.Read(body)
	if err != nil {
		return nil, fmt.Errorf("person: %s: %w", s.ID, err)
	}
	return d, nil
}

// text is what an attribute says, whoever may see it.
func text(d *view.Doc, path people.Path) (string, error) {
	a, err := d.Attribute(path)
	return a.Value.Text(), err
}

func isActive(d *view.Doc) (bool, error) {
	a, err := d.Attribute(people.Active)
	return a.Value.True(), err
}

// values are what a part of a path may mean: decoded once, and, as some clients
// encode twice, once more.
func values(r *http.Request, name string) ([]string, error) {
	once := r.PathValue(name)
	if once == "" || len(once) > 2048 || strings.Contains(once, "\x00") {
		return nil, api.Bad("the path has no value, or one that is too long")
	}
	if twice, err := url.PathUnescape(once); err == nil && twice != once {
		return []string{once, twice}, nil
	}
	return []string{once}, nil
}

// byID reads the person whose uuid stands in the path.
func (s *service) byID(r *http.Request) (sinks.Stored, *people.Profile, error) {
	id, err := people.ParseID(strings.ToLower(r.PathValue("id")))
	if err != nil {
		return sinks.Stored{}, nil, api.Bad("the path has no uuid")
	}
	stored, err := s.Store.Person(r.Context(), id)
	if errors.Is(err, sinks.ErrNotFound) {
		return stored, nil, &api.Error{Status: http.StatusNotFound, Code: "not_found", Description: "nobody has that uuid"}
	}
	if err != nil {
		return stored, nil, err
	}
	body, err := sinks.Unpack(stored.Profile)
	if err != nil {
		return stored, nil, fmt.Errorf("person: %s: %w", id, err)
	}
	p, err := people.ParseProfile(body)
	if err != nil {
		return stored, nil, fmt.Errorf("person: %s: %w", id, err)
	}
	return stored, p, nil
}
