package person

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// user answers with one profile, or {} if there is nobody.
func (s *service) user(w http.ResponseWriter, r *http.Request, by people.Path) error {
	_, wish, err := s.ask(r)
	if err != nil {
		return err
	}
	vs, err := values(r, "value")
	if err != nil {
		return err
	}
	found, err := s.current(r.Context(), by, vs, wish.active)
	if err != nil {
		return err
	}
	body := &served{body: []byte("{}\n")}
	if found != nil {
		body, err = s.serve(r.Context(), *found, wish)
		if errors.Is(err, errMoved) { // somebody wrote while this was asked
			if found, err = s.find(r.Context(), by, vs, wish.active); err == nil && found != nil {
				body, err = s.serve(r.Context(), *found, wish)
			} else {
				body = &served{body: []byte("{}\n")}
			}
		}
		if err != nil {
			return err
		}
	}
	return body.write(w, r)
}

// errMoved is when somebody is not any more as they were found.
var errMoved = errors.New("person: changed meanwhile")

// A served is a body and its tag.
type served struct {
	body []byte
	tag  string
}

// serve is what a wish shows of a person.
func (s *service) serve(ctx context.Context, found person, wish wish) (*served, error) {
	key := viewKey{found.id, found.revision, wish.Grant, wish.fields}
	if v := s.views.view(key); v != nil {
		return v, nil
	}
	d, err := s.doc(ctx, found)
	if err != nil {
		return nil, err
	}
	v := &served{body: append(s.append(nil, d, wish), '\n')}
	// The tag says nothing but what the caller sees: it is made of the body alone.
	sum := sha256.Sum256(v.body)
	v.tag = `W/"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
	s.views.keep(key, v)
	return v, nil
}

// write answers with a body, or that the caller has it.
func (v *served) write(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Authorization")
	if v.tag != "" {
		h.Set("ETag", v.tag)
		if api.Has(r, v.tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return api.Body(w, http.StatusOK, "application/json", v.body)
}

// A person is somebody found: as they are stored, read, or neither.
type person struct {
	id       people.ID
	revision int64
	brief    brief
	stored   []byte
	read     *view.Doc
}

// doc is the profile of somebody found.
func (s *service) doc(ctx context.Context, p person) (*view.Doc, error) {
	switch {
	case p.read != nil:
		return p.read, nil
	case p.stored != nil:
		return read(sinks.Stored{ID: p.id, Profile: p.stored})
	}
	stored, err := s.Store.Person(ctx, p.id)
	if errors.Is(err, sinks.ErrNotFound) || err == nil && stored.Revision != p.revision {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	return read(stored)
}

// current is find, which asks a store that can tell only if it has changed.
func (s *service) current(ctx context.Context, by people.Path, values []string, active *bool) (*person, error) {
	store, ok := s.Store.(sinks.Versioned)
	if !ok {
		return s.find(ctx, by, values, active)
	}
	version, err := store.Version(ctx)
	if err != nil {
		return nil, err
	}
	asked := question{by, fmt.Sprintf("%q", values), "any"}
	if active != nil {
		asked.active = strconv.FormatBool(*active)
	}
	if p, known := s.views.answer(asked, version); known {
		return p, nil
	}
	p, err := s.find(ctx, by, values, active)
	if err != nil {
		return nil, err
	}
	kept := p
	if p != nil { // without the profile
		kept = &person{id: p.id, revision: p.revision, brief: p.brief}
	}
	s.views.keepAnswer(asked, version, kept)
	return p, nil
}

// find finds whom a value leads to, nil if there is nobody.
func (s *service) find(ctx context.Context, by people.Path, values []string, active *bool) (*person, error) {
	var lists [][]people.ID
	if by == people.UUID {
		for _, v := range values {
			if id, err := people.ParseID(strings.ToLower(v)); err == nil {
				lists = append(lists, []people.ID{id})
			}
		}
	} else {
		var keys []people.Key
		for _, v := range values {
			keys = append(keys, keysOf(by, v)...)
		}
		var err error
		if lists, err = s.Store.Lookup(ctx, keys); err != nil {
			return nil, err
		}
	}
	for _, ids := range lists {
		found, err := s.among(ctx, by, ids, values, active)
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// keysOf are the keys by which a value leads to somebody, the better one first.
func keysOf(by people.Path, v string) []people.Key {
	switch by {
	case people.UserID: // a former one leads to whom it was, until somebody else has it
		return []people.Key{{Scheme: people.ByUserID, Value: v}, {Scheme: people.ByFormerID, Value: v}}
	case people.PrimaryEmail:
		return []people.Key{{Scheme: people.ByEmail, Value: strings.ToLower(v)}}
	}
	return []people.Key{{Scheme: people.ByUsername, Value: v}}
}

// among picks one of several: an active one before others, and then by uuid, so
// that it is the same one each time.
func (s *service) among(ctx context.Context, by people.Path, ids []people.ID, values []string, active *bool) (*person, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := s.Store.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	var found []person
	for _, stored := range list {
		p, err := s.person(stored)
		if err != nil {
			return nil, err
		}
		if active != nil && *active != p.brief.active {
			continue
		}
		if by == people.PrimaryEmail && !slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, p.brief.mail) }) {
			continue // it leads to whose record has it, too
		}
		found = append(found, p)
	}
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b person) int {
		if a.brief.active != b.brief.active {
			if a.brief.active {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	return &found[0], nil
}

// person is somebody as they are stored. The brief is read once a revision, as
// long as it is remembered.
func (s *service) person(stored sinks.Stored) (p person, err error) {
	p = person{id: stored.ID, revision: stored.Revision, stored: stored.Profile}
	var known bool
	if p.brief, known = s.views.brief(stored.ID, stored.Revision); known {
		return p, nil
	}
	if p.read, err = read(stored); err != nil {
		return p, err
	}
	var errs [3]error
	p.brief.active, errs[0] = isActive(p.read)
	p.brief.login, errs[1] = text(p.read, people.UserID)
	p.brief.mail, errs[2] = text(p.read, people.PrimaryEmail)
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	s.views.keepBrief(stored.ID, stored.Revision, p.brief)
	return p, nil
}

// metadata says whether an address is known, to anybody: login pages ask it
// before they know who is there. It says nothing else.
func (s *service) metadata(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	active, err := activeOf(q)
	if err != nil {
		return err
	}
	vs, err := values(r, "email")
	if err != nil {
		return err
	}
	found, err := s.find(r.Context(), people.PrimaryEmail, vs, active)
	if err != nil {
		return err
	}
	inLDAP := false
	if found != nil {
		d, err := s.doc(r.Context(), *found)
		if err != nil {
			return err
		}
		dn, err := text(d, "identities.mozilla_ldap_id")
		if err != nil {
			return err
		}
		inLDAP = dn != ""
	}
	return api.JSON(w, http.StatusOK, map[string]any{"exists": map[string]bool{"cis": found != nil, "ldap": inLDAP}})
}

// seen is what an attribute says if a grant shows it.
func seen(d *view.Doc, g view.Grant, path people.Path) (string, error) {
	a, _, err := d.Seen(g, path)
	return a.Value.Text(), err
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
