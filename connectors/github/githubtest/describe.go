package githubtest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

//go:embed testdata/ghec.json
var ghec []byte

// A description is GitHub's of its API.
type description struct {
	router routers.Router
	failed *openapi3.Schema // what says that something failed
}

var describe = sync.OnceValues(func() (*description, error) {
	doc, err := openapi3.NewLoader().LoadFromData(ghec)
	if err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &description{router, doc.Components.Schemas["basic-error"].Value}, nil
})

// request finds the operation that is asked for and says what of the request
// is not as it is described.
func (d *description) request(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	route, params, err := d.router.FindRoute(r)
	if err != nil {
		return nil, err
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true,
	}}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return in, fmt.Errorf("no parameter is named %s", name)
		}
	}
	if r.Header.Get("Accept") != "application/vnd.github.v3+json" && r.Header.Get("Accept") != "application/vnd.github+json" {
		return in, errors.New("the header Accept is not what GitHub asks clients to send")
	}
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		return in, errors.New("the body is not said to be JSON")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return in, openapi3filter.ValidateRequest(r.Context(), in)
}

// undescribed are statuses that the description leaves out of operations, and
// that GitHub's documentation says of all of them.
var undescribed = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests}

// answer says what of an answer is not as it is described.
func (d *description) answer(in *openapi3filter.RequestValidationInput, status int, header http.Header, body []byte) error {
	switch {
	case status == http.StatusNotModified:
		if len(body) > 0 || in.Request.Header.Get("If-None-Match") == "" {
			return errors.New("304 with a body, or to a request that was not conditional")
		}
		return nil
	case in.Route.Operation.Responses.Status(status) == nil && slices.Contains(undescribed, status):
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			return err
		}
		return d.failed.VisitJSON(value)
	}
	return openapi3filter.ValidateResponse(in.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
}
