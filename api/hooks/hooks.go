// Package hooks owns what other systems tell the service: that somebody changed
// there. It is told whom, and never what: the sources are asked for that, and have
// the same authority as in a run. So whoever may tell can cause reading, and no
// change of theirs.
//
// What is sent is the notification of CIS v2, the same that subscribers get:
//
//	POST /v2/hook   {"operation": "update", "id": "ad|Mozilla-LDAP|jdoe", "time": 1772437200}
//
// The person is read anew from every source that can find one before it is
// answered. Whatever the operation, it is the same work, and sending it again
// does no harm. From a record that is not found nothing follows: who left is told
// by whole extracts alone.
package hooks

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"

	"example.org/cis/api"
)

// Scope is what telling needs.
const Scope = "hook"

// The limits of a notification, and of the work that they cause together.
const (
	MaxBody = 8 << 10
	maxID   = 1500 // bytes of a user_id
	atOnce  = 8    // people who are read anew at the same time
)

// ErrNobody is when no source that makes people has that login.
var ErrNobody = errors.New("hooks: nobody has that login")

// ErrUnread is when a source could not be asked: what the others said was taken.
var ErrUnread = errors.New("hooks: a source could not be asked")

// Options of the routes.
type Options struct {
	// Refresh reads a person anew and says what came of it: create, update or
	// noop. Its errors are ErrNobody, ErrUnread, and those of the service.
	Refresh func(ctx context.Context, userID string) (condition string, err error)
}

// A notification is what is sent.
type notification struct {
	Operation string `json:"operation"`
	ID        string `json:"id"`
	// Time is when it happened, in seconds since 1970. It is a number without a
	// fraction, and nothing follows from it.
	Time *int64 `json:"time"`
}

// New returns the routes.
func New(o Options) []api.Route {
	turns := make(chan struct{}, atOnce)
	return []api.Route{{Method: http.MethodPost, Path: "/v2/hook", Scope: Scope, MaxBody: MaxBody, Serve: func(w http.ResponseWriter, r *http.Request) error {
		n, err := read(r)
		if err != nil {
			return err
		}
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-r.Context().Done():
			return r.Context().Err()
		}
		did, err := o.Refresh(r.Context(), n.ID)
		switch {
		case errors.Is(err, ErrNobody):
			return &api.Error{Status: http.StatusNotFound, Code: "not_found", Description: "no source that makes people has that login", Cause: err}
		case errors.Is(err, ErrUnread):
			w.Header().Set("Retry-After", "30")
			return &api.Error{Status: http.StatusServiceUnavailable, Code: "source_unread", Description: "a source could not be asked; send it again", Cause: err}
		case err != nil:
			return err
		}
		return api.JSON(w, http.StatusOK, map[string]string{"condition": did})
	}}}
}

// read reads a notification. Members that it does not know, it does not mind.
func read(r *http.Request) (n notification, err error) {
	if err := json.UnmarshalRead(r.Body, &n); err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return n, large
		}
		return n, api.Bad(`want JSON such as {"operation": "update", "id": "…", "time": 1772437200}`)
	}
	switch {
	case n.Operation != "create" && n.Operation != "update" && n.Operation != "delete":
		return n, api.Bad("operation is create, update or delete")
	case n.ID == "" || len(n.ID) > maxID:
		return n, api.Bad("id is the user_id of whom it is about")
	case n.Time == nil:
		return n, api.Bad("time is in whole seconds since 1970")
	}
	return n, nil
}
