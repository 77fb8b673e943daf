package apitest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/api/change"
	"example.org/cis/api/console"
	"example.org/cis/api/hooks"
	"example.org/cis/api/person"
	"example.org/cis/api/wellknown"
	"example.org/cis/transforms/catalogue"
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

// All routes of the service are described, and nothing else is.
func TestCovers(t *testing.T) {
	cat := catalogue.Default()
	routes := slices.Concat(api.Health(func(context.Context) error { return nil }, prometheus.NewRegistry()), person.New(person.Options{Catalogue: cat}), console.New())
	changes, err := change.New(change.Options{Catalogue: cat, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	discovery, err := wellknown.New(wellknown.Options{Catalogue: cat})
	if err != nil {
		t.Fatal(err)
	}
	routes = slices.Concat(routes, changes, discovery, hooks.New(hooks.Options{}))
	apitest.Covers(t, routes)
	for name, faulty := range map[string][]api.Route{
		"GET /secret is not described":                               append(slices.Clone(routes), api.Route{Method: "GET", Path: "/secret"}),
		"GET /healthz is described, and there is no such route":      routes[1:],
		"GET /healthz is described with another scope than it needs": append([]api.Route{{Method: "GET", Path: "/healthz", Scope: "write"}}, routes[1:]...),
	} {
		if got := apitest.Uncovered(t, faulty); !slices.Equal(got, []string{name}) {
			t.Errorf("got %q, want %q", got, name)
		}
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
