// Package change is the Change API: publishers put what they know of people,
// signed attribute by attribute, and are told what became of it.
//
//	POST or PUT /v2/user?user_id=…    one profile, whole or partial
//	POST or PUT /v2/users             a list of them, each for itself
//	GET /v2/status?sequenceNumber=…   whether a write is in the vault
//
// It owns what is on the wire: the reading of bodies, which are judged strictly
// before anybody is asked, the answers, sequence numbers, and what makes a
// request that is repeated the same request. What may be written is decided
// where it is written ([Options.Publish]).
//
// # Answers
//
// Each attribute is judged for itself. If anything was taken, or nothing was
// new, the answer is a success; what was refused beside that is listed in
// "refused", by attribute and code, a member that older clients ignore. If all
// that was new was refused, the answer is 403 with the code of the first. With
// "Prefer: return=representation" the answer also has "attributes": what became
// of each. No answer repeats a value, nor a name that the catalogue does not
// know.
//
// # Sequence numbers
//
// A sequence number says of itself which revision of whom it is of, under an
// authentication code, so that nothing is stored for it and nobody can make one
// up. It is written in digits, as it always was. It is of a write that is done:
// whoever has one reads what they wrote at once.
//
// # Repeating
//
// Publishing again what stands changes nothing, so that a client may simply try
// again. With the header Idempotency-Key it is also told again what it was told
// the first time, for a day. The answer of a request that failed on our side is
// not kept, nor is one of a request that only asked (validate_only); of a very long
// one what became of each attribute is left out.
//
// # What it refuses
//
// Nobody is erased through this door, not even where the older system could be
// told to allow it: whoever may publish one attribute could then take out
// anybody, with their history. DELETE is answered with 405; to end somebody is
// to publish active, and to erase them is "cis vault erase".
package change

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"example.org/cis/api"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// Scope is what a token needs to publish.
const Scope = "write"

// The limits of a request.
const (
	MaxProfile = 1 << 20 // bytes of one profile
	MaxList    = 8 << 20 // bytes of a list
	MaxPeople  = 100     // people in a list
	maxLists   = 8       // lists that are in memory at the same time
)

// Busy is the code of a publication that others were in the way of: it may be
// sent again at once.
const Busy = "busy"

// A Request is a profile, whole or partial, to be judged and written.
type Request struct {
	UserID  string
	Profile *people.Profile
	// Unfit are attributes that the schema refuses and that a profile in memory
	// does not show any more.
	Unfit []catalogue.Fault
	// By is who calls.
	By string
	// ValidateOnly judges and writes nothing.
	ValidateOnly bool
}

// What became of an attribute.
const (
	Taken     = "taken"
	Unchanged = "unchanged"
	Refused   = "refused"
)

// An Attribute is what became of one. Reason holds no value.
type Attribute struct {
	Path   people.Path
	State  string
	Code   string
	Reason string
}

// A Result is what became of a request.
type Result struct {
	Person   people.ID
	Revision int64 // after what was written
	Created  bool
	Written  bool
	// Attributes are those that say something.
	Attributes []Attribute
	// Reported are faults that were let through.
	Reported []catalogue.Fault
}

// Options are what the API stands on.
type Options struct {
	// Publish judges a request and writes what may be written. Errors are of what
	// could not be done; what is refused is in the result.
	Publish func(context.Context, Request) (Result, error)
	// People says whether a write is there.
	People interface {
		Person(context.Context, people.ID) (sinks.Stored, error)
	}
	Ledger    sinks.Ledger
	Catalogue *catalogue.Catalogue
	// Key is a secret of the vault, of 16 bytes or more, that stays the same:
	// sequence numbers and what is kept of requests are made with it.
	Key    []byte
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// New returns the routes.
func New(o Options) ([]api.Route, error) {
	if len(o.Key) < 16 {
		return nil, errors.New("change: the key of sequence numbers is too short")
	}
	f := &face{Options: o, names: names(o.Catalogue), lists: make(chan struct{}, maxLists)}
	var routes []api.Route
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		routes = append(routes,
			api.Route{Method: method, Path: "/v2/user", Scope: Scope, MaxBody: MaxProfile, Serve: f.one},
			api.Route{Method: method, Path: "/v2/users", Scope: Scope, MaxBody: MaxList, Serve: f.list})
	}
	return append(routes,
		api.Route{Method: http.MethodDelete, Path: "/v2/user", Scope: Scope, Serve: f.erase},
		api.Route{Method: http.MethodGet, Path: "/v2/status", Open: true, PerAddress: true, Serve: f.status}), nil
}

type face struct {
	Options
	names map[string]bool // that may be repeated
	// lists has an entry for each list that is in memory: they are large.
	lists chan struct{}
}

// mac authenticates parts for a purpose.
func (f *face) mac(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, f.Key)
	for _, part := range append([]string{purpose}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return h.Sum(nil)
}

// A refusal is an attribute that was not taken. Index is which of a list.
type refusal struct {
	Index     *int   `json:"index,omitzero"`
	Attribute string `json:"attribute"`
	Code      string `json:"code"`
}

type outcome struct {
	Index     *int   `json:"index,omitzero"`
	Attribute string `json:"attribute"`
	Outcome   string `json:"outcome"`
	Code      string `json:"code,omitzero"`
	Reason    string `json:"reason,omitzero"`
}

type extra struct {
	Refused    []refusal `json:"refused,omitzero"`
	Attributes []outcome `json:"attributes,omitzero"`
}

type oneAnswer struct {
	Condition      string  `json:"condition"`
	SequenceNumber *string `json:"sequence_number"`
	StatusCode     int     `json:"status_code"`
	extra
}

type written struct {
	SequenceNumbers []string `json:"sequence_numbers"`
	Status          int      `json:"status"`
}

type listAnswer struct {
	Creates *written `json:"creates"`
	Updates *written `json:"updates"`
	Status  int      `json:"status"`
	extra
}

// one publishes one profile.
func (f *face) one(w http.ResponseWriter, r *http.Request) error {
	body, err := f.read(r, MaxProfile)
	if err != nil {
		return err
	}
	validate, err := validateOnly(r)
	if err != nil {
		return err
	}
	req, err := f.profile(body, "")
	if err != nil {
		return err
	}
	if req.UserID, err = whose(req.Profile, r.URL.Query().Get("user_id")); err != nil {
		return err
	}
	req.By, req.ValidateOnly = caller(r), validate
	return f.repeatable(w, r, body, !validate, func() (any, error) {
		res, err := f.publish(w, r, req)
		if err != nil {
			return nil, err
		}
		t := f.tally(r)
		t.add(nil, res)
		if err := t.refusedAll(); err != nil {
			return nil, err
		}
		a := oneAnswer{Condition: "noop", StatusCode: http.StatusAccepted, extra: t.extra}
		if res.Written {
			a.Condition, a.StatusCode = "update", http.StatusOK
			if res.Created {
				a.Condition = "create"
			}
			if !validate {
				a.SequenceNumber = new(f.sequence(res.Person, res.Revision))
			}
		}
		return a, nil
	})
}

// list publishes several profiles, in their order. What is wrong in the form of
// one refuses all of them; what may not be written, that alone.
func (f *face) list(w http.ResponseWriter, r *http.Request) error {
	select {
	case f.lists <- struct{}{}:
		defer func() { <-f.lists }()
	case <-r.Context().Done():
		w.Header().Set("Retry-After", "1")
		return &api.Error{Status: http.StatusServiceUnavailable, Code: "overloaded", Description: "too many lists at the same time; try again in a second", Cause: r.Context().Err()}
	}
	body, err := f.read(r, MaxList)
	if err != nil {
		return err
	}
	validate, err := validateOnly(r)
	if err != nil {
		return err
	}
	if r.URL.Query().Has("user_id") {
		return integration("a list names its people itself")
	}
	reqs, err := f.profiles(body)
	if err != nil {
		return err
	}
	for i := range reqs {
		if reqs[i].UserID, err = whose(reqs[i].Profile, ""); err != nil {
			return err
		}
		reqs[i].By, reqs[i].ValidateOnly = caller(r), validate
	}
	return f.repeatable(w, r, body, !validate, func() (any, error) {
		a, t := listAnswer{Status: http.StatusAccepted}, f.tally(r)
		for i, req := range reqs {
			res, err := f.publish(w, r, req)
			if err != nil {
				return nil, err
			}
			t.add(&i, res)
			if !res.Written {
				continue
			}
			a.Status = http.StatusOK
			list := &a.Updates
			if res.Created {
				list = &a.Creates
			}
			if *list == nil {
				*list = &written{SequenceNumbers: []string{}, Status: http.StatusOK}
			}
			if !validate {
				(*list).SequenceNumbers = append((*list).SequenceNumbers, f.sequence(res.Person, res.Revision))
			}
		}
		if err := t.refusedAll(); err != nil {
			return nil, err
		}
		a.extra = t.extra
		return a, nil
	})
}

func (f *face) publish(w http.ResponseWriter, r *http.Request, req Request) (Result, error) {
	ctx := r.Context()
	res, err := f.Publish(ctx, req)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == Busy {
		w.Header().Set("Retry-After", "1")
	}
	for _, fault := range res.Reported {
		f.Log.WarnContext(ctx, "published against the schema", "attribute", f.name(fault.Path), "reason", fault.Reason, "by", req.By)
	}
	return res, err
}

// erase says that nobody is erased here.
func (f *face) erase(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Allow", "POST, PUT")
	return &api.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Description: "nobody is erased through this API; to end somebody, publish active"}
}

func caller(r *http.Request) string {
	c := api.CallerOf(r.Context())
	return strings.TrimSpace(c.Issuer + " " + c.Subject)
}

func validateOnly(r *http.Request) (bool, error) {
	switch r.URL.Query().Get("validate_only") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, api.Bad("validate_only is true or false")
}

// whose says whom a profile is of: the parameter, the profile, or both alike.
func whose(p *people.Profile, parameter string) (string, error) {
	inside := p.Value(people.UserID).Text()
	switch {
	case parameter == "" && inside == "":
		return "", integration("neither the parameter user_id nor the profile says whose it is")
	case parameter != "" && inside != "" && parameter != inside:
		return "", integration("the parameter user_id is not that of the profile")
	}
	if parameter == "" {
		parameter = inside
	}
	id, err := normalize.UserID(parameter)
	if err != nil || id != parameter {
		return "", integration("not a user_id: want a connection and an id with | between them")
	}
	return id, nil
}

func integration(description string) error {
	return &api.Error{Status: http.StatusBadRequest, Code: "integration_exception", Description: description}
}

// A tally collects what became of attributes.
type tally struct {
	extra
	face  *face
	all   bool // tell of each attribute
	taken bool
	first *Attribute // that was refused
}

func (f *face) tally(r *http.Request) *tally {
	for _, prefer := range r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(prefer, ",") {
			if strings.EqualFold(strings.TrimSpace(p), "return=representation") {
				return &tally{face: f, all: true, extra: extra{Attributes: []outcome{}}}
			}
		}
	}
	return &tally{face: f}
}

func (t *tally) add(index *int, res Result) {
	for _, a := range res.Attributes {
		name := t.face.name(a.Path)
		if t.all {
			t.Attributes = append(t.Attributes, outcome{index, name, a.State, a.Code, a.Reason})
		}
		switch a.State {
		case Taken:
			t.taken = true
		case Refused:
			t.Refused = append(t.Refused, refusal{index, name, a.Code})
			if t.first == nil {
				t.first = &a
			}
		}
	}
}

// refusedAll is the answer if all that was new was refused.
func (t *tally) refusedAll() error {
	if t.taken || t.first == nil {
		return nil
	}
	description := t.face.name(t.first.Path) + ": " + t.first.Reason
	if n := len(t.Refused) - 1; n > 0 {
		description += fmt.Sprintf("; and %d more", n)
	}
	return &api.Error{Status: http.StatusForbidden, Code: t.first.Code, Description: description}
}

// name is an attribute's, unless the catalogue does not know it.
func (f *face) name(path people.Path) string {
	if _, ok := f.Catalogue.Find(path); !ok {
		return unnamed
	}
	return string(path)
}
