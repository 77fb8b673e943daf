package apitest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/api/person"
	"example.org/cis/api/wellknown"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/sign"
)

// The description is OpenAPI 3.1, as another library reads it.
func TestDescription(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(wellknown.Description())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("it is %s", doc.OpenAPI)
	}
	if hook := doc.Webhooks["changed"]; hook == nil || hook.Post == nil {
		t.Error("the hook is not described")
	}
}

// The routes that are here are described, and what else is described are the
// routes of the faces that come from other packages.
func TestCovers(t *testing.T) {
	routes := api.Health(func(context.Context) error { return nil }, prometheus.NewRegistry())
	routes = append(routes, person.New(person.Options{Catalogue: catalogue.Default()})...)
	discovery, err := wellknown.New(wellknown.Options{Catalogue: catalogue.Default(), Keys: func(context.Context) (sign.Keys, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	routes = append(routes, discovery...)
	for _, fault := range apitest.Uncovered(t, routes) {
		if !strings.HasSuffix(fault, "there is no such route") {
			t.Error(fault)
		}
		route, _, _ := strings.Cut(fault, " is ")
		switch route {
		case "GET /{$}", "GET /console.css", "GET /console.js", "GET /v2/status",
			"POST /v2/user", "PUT /v2/user", "DELETE /v2/user", "POST /v2/users", "PUT /v2/users":
		default:
			t.Error(fault)
		}
	}
	if faults := apitest.Uncovered(t, append(routes, api.Route{Method: "GET", Path: "/secret"})); len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), "GET /secret is not described") {
		t.Errorf("a route that is not described is let through: %v", faults)
	}
}

// A spy is a test that may fail.
type spy struct {
	testing.TB
	failed bool
}

func (s *spy) Helper()               {}
func (s *spy) Errorf(string, ...any) { s.failed = true }

func TestConforms(t *testing.T) {
	for _, c := range []struct {
		name, method, target, contentType, body string
		code                                    int
		ok                                      bool
	}{
		{"as described", "GET", "/v2/version", "application/json", `{"message":"1"}`, 200, true},
		{"without a member", "GET", "/v2/version", "application/json", `{}`, 200, false},
		{"of another type", "GET", "/v2/version", "text/plain", `{"message":"1"}`, 200, false},
		{"of another status", "GET", "/v2/version", "application/json", `{"message":"1"}`, 201, false},
		{"an unknown parameter", "GET", "/v2/version?x=1", "application/json", `{"message":"1"}`, 200, false},
		{"an error", "GET", "/v2/version?x=1", "application/json", `{"code":"bad_request","description":"no"}`, 400, true},
		{"an error without words", "GET", "/v2/version", "application/json", `{"code":"bad_request"}`, 400, false},
		{"no such route", "GET", "/v3", "application/json", `{"code":"not_found","description":"no"}`, 404, true},
		{"no such route, answered", "GET", "/v3", "application/json", `{}`, 200, false},
		{"a bad parameter", "GET", "/v2/user/metadata/a@example.org?active=yes", "application/json", `{"exists":{"cis":true,"ldap":true}}`, 200, false},
		{"a good parameter", "GET", "/v2/user/metadata/a@example.org?active=Any", "application/json", `{"exists":{"cis":true,"ldap":true}}`, 200, true},
		{"a profile without a token", "GET", "/v2/user/uuid/x", "application/json", "{}\n", 200, false},
	} {
		rec := httptest.NewRecorder()
		rec.Header().Set("Content-Type", c.contentType)
		rec.WriteHeader(c.code)
		_, _ = rec.WriteString(c.body)
		s := &spy{TB: t}
		r := httptest.NewRequest(c.method, c.target, http.NoBody)
		if apitest.Conforms(s, r, rec); s.failed == c.ok {
			t.Errorf("%s: conforms is %v", c.name, !s.failed)
		}
	}
}
