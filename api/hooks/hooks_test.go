package hooks_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/api/hooks"
)

type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (*api.Caller, error) {
	return &api.Caller{Issuer: "i", Subject: "directory", Scopes: []string{token}}, nil
}

func TestHook(t *testing.T) {
	var asked []string
	server, err := api.NewServer(api.Options{Auth: tokens{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registry: prometheus.NewRegistry(),
		Tracer: noop.NewTracerProvider().Tracer(""), Now: time.Now, Random: rand.Reader}, hooks.New(hooks.Options{Refresh: func(_ context.Context, id string) (string, error) {
		asked = append(asked, id)
		switch id {
		case "nobody":
			return "", hooks.ErrNobody
		case "unread":
			return "", hooks.ErrUnread
		case "broken":
			return "", errors.New("the vault is away")
		}
		return "update", nil
	}})...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, scope, body string
		status            int
		says              string
		asked             string
	}{
		{"a change", "hook", `{"operation":"update","id":"ad|Mozilla-LDAP|jdoe","time":1772437200}`, 200, `{"condition":"update"}`, "ad|Mozilla-LDAP|jdoe"},
		{"somebody new", "hook", `{"operation":"create","id":"x","time":0,"more":{"a":[1]}}`, 200, "update", "x"},
		{"somebody gone", "hook", `{"operation":"delete","id":"x","time":1}`, 200, "update", "x"},
		{"another scope", "write", `{"operation":"update","id":"x","time":1}`, 403, "hook", ""},
		{"another word", "hook", `{"operation":"deactivate","id":"x","time":1}`, 400, "operation", ""},
		{"no word", "hook", `{"id":"x","time":1}`, 400, "operation", ""},
		{"nobody named", "hook", `{"operation":"update","time":1}`, 400, "user_id", ""},
		{"a long name", "hook", `{"operation":"update","id":"` + strings.Repeat("x", 1501) + `","time":1}`, 400, "user_id", ""},
		{"no time", "hook", `{"operation":"update","id":"x"}`, 400, "time", ""},
		{"half a second", "hook", `{"operation":"update","id":"x","time":1.5}`, 400, "want JSON", ""},
		{"a name twice", "hook", `{"operation":"update","id":"x","id":"y","time":1}`, 400, "want JSON", ""},
		{"no JSON", "hook", `x`, 400, "want JSON", ""},
		{"more after it", "hook", `{"operation":"update","id":"x","time":1} {}`, 400, "want JSON", ""},
		{"too much", "hook", `{"operation":"` + strings.Repeat("x", 9000) + `"}`, 413, "too_large", ""},
		{"nobody", "hook", `{"operation":"update","id":"nobody","time":1}`, 404, "not_found", "nobody"},
		{"a source that is away", "hook", `{"operation":"update","id":"unread","time":1}`, 503, "source_unread", "unread"},
		{"a vault that is away", "hook", `{"operation":"update","id":"broken","time":1}`, 503, "unavailable", "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked = nil
			r := httptest.NewRequest("POST", "/v2/hook", strings.NewReader(c.body))
			r.Header.Set("Authorization", "Bearer "+c.scope)
			r.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			server.ServeHTTP(rec, r)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) || strings.Contains(rec.Body.String(), "jdoe") {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("asked for %q, want %q", got, c.asked)
			}
			r2 := httptest.NewRequest("POST", "/v2/hook", strings.NewReader(c.body))
			r2.Header = r.Header
			apitest.Conforms(t, r2, rec)
		})
	}
}

func FuzzHook(f *testing.F) {
	f.Add(`{"operation":"update","id":"x","time":1}`)
	f.Add(`{"operation":5}`)
	routes := hooks.New(hooks.Options{Refresh: func(context.Context, string) (string, error) { return "noop", nil }})
	f.Fuzz(func(t *testing.T, body string) {
		rec := httptest.NewRecorder()
		err := routes[0].Serve(rec, httptest.NewRequest("POST", "/v2/hook", strings.NewReader(body)))
		if err != nil && api.ErrorOf(err).Status >= 500 {
			t.Fatal(err)
		}
	})
}
