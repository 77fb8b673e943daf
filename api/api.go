// Package api owns what all faces of the person service share: who calls
// ([Caller]), how an error is said ([Error]), what a route is ([Route]), and the
// [Server] around the routes, which knows nothing of people.
//
// A face is a package below this one (person, change, wellknown, console). It is
// a list of routes over small interfaces; what it needs of sources or of the
// pipelines comes to it as a function. Each route says who may call it, so that
// nothing is open by forgetting to close it: a route without Open is answered
// with 401 before its handler is asked.
//
// No answer, header, log line, metric or trace has a value of a person in it that
// the caller may not see: errors and logs name routes, codes and ids of requests.
package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Caller is whom a token speaks for.
type Caller struct {
	// Issuer and Subject are the token's iss and sub: together they name a caller.
	Issuer, Subject string
	// Scopes that the token has, sorted.
	Scopes []string
}

// Has reports whether the caller has a scope.
func (c *Caller) Has(scope string) bool {
	_, has := slices.BinarySearch(c.Scopes, scope)
	return has
}

type callerKey struct{}

// WithCaller returns a context of a request that the caller makes.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who makes a request; on a route that is open to anyone it is
// a caller without name and scopes.
func CallerOf(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}

// An Authenticator says whom a bearer token speaks for. The errors are an [Error]
// of status 401 for a token that is not accepted, and anything else for not being
// able to tell.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*Caller, error)
}

// A Route is one thing that can be asked of the service.
type Route struct {
	// Method and Path are a pattern of [http.ServeMux]. GET stands for HEAD too.
	Method, Path string
	// Open routes are for anyone. All others need a token, and the Scope, if it is not "".
	Open  bool
	Scope string
	// Cross routes may be called by pages of the origins that are allowed.
	Cross bool
	// PerAddress limits how often one address may call.
	PerAddress bool
	// MaxBody bounds the bytes of a body that is read; 0 is none at all.
	MaxBody int64
	// Long routes stream for as long as [Limits.Long]; others have
	// [Limits.Request]. Few run at the same time, of one caller fewer.
	Long bool
	// Free routes take nobody's place: they answer with what is at hand.
	Free bool
	// Serve answers. An error that it returns is answered by the server, as long as
	// nothing has been written.
	Serve func(w http.ResponseWriter, r *http.Request) error
}

// An Error is an answer that is no success. Code and Description are for the
// caller and hold no personal data; Cause is not told to them.
type Error struct {
	Status            int
	Code, Description string
	Cause             error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Cause.Error()
	}
	return e.Code + ": " + e.Description
}

func (e *Error) Unwrap() error { return e.Cause }

// Bad is the answer to a request that cannot be understood.
func Bad(description string) error {
	return &Error{Status: http.StatusBadRequest, Code: "bad_request", Description: description}
}

// ErrorOf is what an error is answered with: itself, if it is an [Error], and
// otherwise that the service could not do it.
func ErrorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Description: "the service cannot answer this at the moment; try again", Cause: err}
}

// Has reports whether the caller says to have the answer of that tag already,
// so that 304 is the answer (RFC 9110, section 13.1.2).
func Has(r *http.Request, tag string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values("If-None-Match"), ","), ","), func(has string) bool {
		has = strings.TrimSpace(has)
		return has == "*" || strings.TrimPrefix(has, "W/") == strings.TrimPrefix(tag, "W/")
	})
}

// JSON answers with v as JSON.
func JSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.EscapeForHTML(true))
	if err != nil {
		return err
	}
	return Body(w, status, "application/json", append(b, '\n'))
}

// Body answers with bytes.
func Body(w http.ResponseWriter, status int, contentType string, b []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b))) // it goes out in one piece
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}
