package person_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/api/person"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

// full are scopes with which everything but private values is seen, and private
// ones too.
var full = []string{"read:fullprofile", "display:all", "search:all", "read:explain", "read:history"}

// Tokens of the tests are "caller scope scope …".
type plainTokens struct{}

func (plainTokens) Authenticate(_ context.Context, token string) (*api.Caller, error) {
	words := strings.Fields(token)
	if len(words) == 0 || words[0] == "bad" {
		return nil, &api.Error{Status: 401, Code: "invalid_header", Description: "no"}
	}
	scopes := slices.Clone(words[1:])
	slices.Sort(scopes)
	return &api.Caller{Issuer: "https://issuer.example.org/", Subject: words[0], Scopes: scopes}, nil
}

// A reader fails when it is told to.
type reader struct {
	sinks.Reader
	searches atomic.Int64
	failAt   int64 // the search that fails, from 1
	fail     bool
}

var errStore = errors.New("the store is out of reach of jdoe@example.org")

func (r *reader) Search(ctx context.Context, q sinks.Query) (sinks.Page, error) {
	if n := r.searches.Add(1); r.fail || n == r.failAt {
		return sinks.Page{}, errStore
	}
	return r.Reader.Search(ctx, q)
}

func (r *reader) Version(ctx context.Context) (int64, error) {
	if r.fail {
		return 0, errStore
	}
	return r.Reader.(sinks.Versioned).Version(ctx)
}

func (r *reader) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	if r.fail {
		return nil, errStore
	}
	return r.Reader.People(ctx, ids)
}

func (r *reader) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	if r.fail {
		return sinks.Stored{}, errStore
	}
	return r.Reader.Person(ctx, id)
}

func (r *reader) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	if r.fail {
		return nil, errStore
	}
	return r.Reader.Lookup(ctx, keys)
}

// A world is a store with people, and the service over it.
type world struct {
	t      testing.TB
	store  *sqlite.Store
	reader *reader
	server *api.Server
	clock  time.Time
	log    bytes.Buffer
	metric *prometheus.Registry
	// snapshot is what the last run saw.
	snapshot []sinks.Stored
	taken    time.Time
	explain  person.Explanation
}

var cat = catalogue.Default()

func newWorld(t testing.TB, profiles ...*people.Profile) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "cis.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t: t, store: store, reader: &reader{Reader: store}, clock: time.Now(), metric: prometheus.NewRegistry()}
	for _, p := range profiles {
		w.put(p)
	}
	now := func() time.Time { return w.clock }
	seal, err := person.NewSeal([]byte("a secret"), rand.NewChaCha8([32]byte{1}), now)
	if err != nil {
		t.Fatal(err)
	}
	routes := person.New(person.Options{
		Store: w.reader, Catalogue: cat, Searchable: sync.Searchable(), Seal: seal, Version: "1", Now: now,
		Explain: func(context.Context, sinks.Stored, *people.Profile, people.Path) (person.Explanation, error) {
			return w.explain, nil
		},
		Revisions: w.revisions,
		Everybody: func(context.Context) (person.Snapshot, error) {
			return person.Snapshot{Run: "run-1", AsOf: w.clock, Moved: w.taken, Close: func() error { return nil },
				Each: func(ctx context.Context, yield func(people.ID, []byte) error) error {
					for _, s := range w.snapshot {
						if err := yield(s.ID, s.Profile); err != nil {
							return err
						}
					}
					return nil
				}}, nil
		},
	})
	w.server, err = api.NewServer(api.Options{
		Auth: plainTokens{}, Origins: []string{"https://login.example.org"}, Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Registry: w.metric,
		Tracer: noop.NewTracerProvider().Tracer(""), Now: now, Random: rand.NewChaCha8([32]byte{2}),
		Limits: api.Limits{PerMinute: 1000, Request: time.Hour},
	}, routes...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func idOf(n int) people.ID { return people.ID{byte(n >> 8), byte(n), 0x40, 15: 1} }

func text(class, display, value string) people.Attribute {
	return people.Attribute{Value: people.StringValue(value), Signature: people.Signature{Publisher: people.Mark{Alg: "RS256", Typ: "JWS", Name: "cis"}}, Metadata: people.Metadata{Classification: class, Display: display, Verified: true, Created: "2026-03-02T08:00:00.000Z", LastModified: "2026-03-02T08:00:00.000Z"}}
}

func boolean(b bool, class, display string) people.Attribute {
	a := text(class, display, "")
	a.Value = people.BoolValue(b)
	return a
}

func groups(display string, names ...string) people.Attribute {
	a := text("PUBLIC", display, "")
	var entries []people.Entry
	for _, n := range names {
		entries = append(entries, people.Entry{Key: n, Null: true})
	}
	a.Value = people.MapValue(entries...)
	return a
}

// somebody makes a profile of a number.
func somebody(n int, change ...func(*people.Profile)) *people.Profile {
	p := cat.NullProfile()
	p.Set(people.UUID, text("PUBLIC", "public", idOf(n).String()))
	p.Set(people.UserID, text("PUBLIC", "public", fmt.Sprintf("ad|Mozilla-LDAP|user%03d", n)))
	p.Set(people.PrimaryUsername, text("PUBLIC", "public", fmt.Sprintf("user%03d", n)))
	p.Set(people.PrimaryEmail, text("PUBLIC", "private", fmt.Sprintf("user%03d@example.org", n)))
	p.Set(people.Active, boolean(true, "WORKGROUP CONFIDENTIAL", ""))
	for _, c := range change {
		c(p)
	}
	return p
}

func set(path people.Path, a people.Attribute) func(*people.Profile) {
	return func(p *people.Profile) { p.Set(path, a) }
}

func inactive(p *people.Profile) {
	p.Set(people.Active, boolean(false, "WORKGROUP CONFIDENTIAL", ""))
}

// put writes a profile, as its next revision.
func (w *world) put(p *people.Profile, operations ...people.Operation) {
	w.t.Helper()
	id, err := people.ParseID(p.Value(people.UUID).Text())
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.store.Person(w.t.Context(), id)
	if err != nil && !errors.Is(err, sinks.ErrNotFound) {
		w.t.Fatal(err)
	}
	rev := people.Revision{Number: s.Revision + 1, RecordedAt: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), Cause: people.Cause{Run: "r", Door: "sync"}, Operations: operations}
	results, err := w.store.Commit(w.t.Context(), sinks.Fence{}, []sinks.Commit{{ID: id, Expect: s.Revision, Revision: s.Revision + 1,
		Profile: sinks.Pack(p.AppendJSON(nil)), Keys: sync.Keys(p, &people.Evidence{}), History: sinks.Pack(rev.AppendJSON(nil))}})
	if err != nil || results[0] != nil {
		w.t.Fatal(err, results)
	}
}

func (w *world) revisions(ctx context.Context, id people.ID) ([]people.Revision, error) {
	docs, err := w.store.History(ctx, id, 0)
	var list []people.Revision
	for _, d := range docs {
		rev, err := sync.UnpackRevision(d.Doc)
		if err != nil {
			return nil, err
		}
		list = append(list, rev)
	}
	return list, err
}

// snap takes a snapshot of everybody.
func (w *world) snap() {
	w.t.Helper()
	list, err := w.store.List(w.t.Context(), people.ID{}, 100000)
	if err != nil {
		w.t.Fatal(err)
	}
	w.snapshot, w.taken = list, time.Now().Add(time.Hour) // whatever is written later is dated by the store
}

// get asks for a path as a caller with scopes.
func (w *world) get(path string, scopes ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.ask("GET", path, "caller "+strings.Join(scopes, " "))
}

func (w *world) ask(method, path, token string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, "http://person.example.org"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec, whole := httptest.NewRecorder(), false
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		w.server.ServeHTTP(rec, r)
		whole = true
	}()
	if whole { // half an answer is not as anything is described
		apitest.Conforms(w.t, r, rec)
	}
	return rec
}

// body reads an answer of 200.
func body[T any](t testing.TB, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if rec.Code != http.StatusOK {
		t.Fatalf("%d: %s", rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	return v
}

type profile = map[string]any

// value is what an attribute of an answered profile says, nil if it is not there.
func value(p profile, path string) any {
	var v any = map[string]any(p)
	for part := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	m, _ := v.(map[string]any)
	if v, ok := m["value"]; ok {
		return v
	}
	return m["values"]
}

func TestOneProfile(t *testing.T) {
	w := newWorld(t,
		somebody(1, set("first_name", text("PUBLIC", "staff", "Ada"))),
		somebody(2, inactive),
		somebody(3, set(people.UserID, text("PUBLIC", "public", "email|a+b@x.org/ü %41|"))),
	)
	esc := url.PathEscape
	for _, c := range []struct {
		name, path string
		scopes     []string
		who        int // 0 is nobody
	}{
		{"by user_id", "/v2/user/user_id/" + esc("ad|Mozilla-LDAP|user001"), nil, 1},
		{"by user_id, as it is", "/v2/user/user_id/ad%7CMozilla-LDAP%7Cuser001", nil, 1},
		{"by user_id, encoded twice", "/v2/user/user_id/" + esc(esc("ad|Mozilla-LDAP|user001")), nil, 1},
		{"an id of odd characters", "/v2/user/user_id/" + esc("email|a+b@x.org/ü %41|"), nil, 3},
		{"an id of odd characters, encoded twice", "/v2/user/user_id/" + esc(esc("email|a+b@x.org/ü %41|")), nil, 3},
		{"by uuid", "/v2/user/uuid/" + idOf(1).String(), nil, 1},
		{"by uuid in capitals", "/v2/user/uuid/" + strings.ToUpper(idOf(1).String()), nil, 1},
		{"by address", "/v2/user/primary_email/user001@example.org", nil, 1},
		{"by address in other letters", "/v2/user/primary_email/User001%40Example.org", nil, 1},
		{"by username", "/v2/user/primary_username/user001", nil, 1},
		{"nobody", "/v2/user/user_id/ad%7Cnobody", nil, 0},
		{"no uuid", "/v2/user/uuid/user001", nil, 0},
		{"inactive people are not meant", "/v2/user/primary_username/user002", nil, 0},
		{"unless asked for", "/v2/user/primary_username/user002?active=FALSE", nil, 2},
		{"or all", "/v2/user/primary_username/user002?active=Any", nil, 2},
		{"and then active ones are not", "/v2/user/primary_username/user001?active=false", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := body[profile](t, w.get(c.path, c.scopes...))
			switch {
			case c.who == 0 && len(got) > 0:
				t.Errorf("got %v", got)
			case c.who > 0 && value(got, "uuid") != idOf(c.who).String():
				t.Errorf("got %v", got)
			}
		})
	}
	p := body[profile](t, w.get("/v2/user/primary_username/user001"))
	for _, c := range []string{"schema", "identities", "staff_information", "access_information"} {
		if _, there := p[c]; !there {
			t.Errorf("there is no %s", c)
		}
	}
	if value(p, "first_name") != nil || value(p, "primary_email") != nil {
		t.Errorf("more than public things are shown: %v", p)
	}
	if p := body[profile](t, w.get("/v2/user/primary_username/user001", "display:staff")); value(p, "first_name") != "Ada" {
		t.Errorf("a name for staff is not shown to staff: %v", p)
	}
	if p := body[profile](t, w.get("/v2/user/primary_username/user001?filterDisplay=vouched", "display:staff")); value(p, "first_name") != nil {
		t.Errorf("a name for staff is shown to vouched people: %v", p)
	}
}

func TestAddressOfSeveral(t *testing.T) {
	mail := set(people.PrimaryEmail, text("PUBLIC", "public", "shared@example.org"))
	w := newWorld(t, somebody(1, mail, inactive), somebody(2, mail), somebody(3, mail, inactive))
	if p := body[profile](t, w.get("/v2/user/primary_email/shared@example.org?active=any")); value(p, "uuid") != idOf(2).String() {
		t.Errorf("an inactive one wins: %v", value(p, "uuid"))
	}
	if p := body[profile](t, w.get("/v2/user/primary_email/shared@example.org?active=false")); value(p, "uuid") != idOf(1).String() {
		t.Errorf("got %v", value(p, "uuid"))
	}
	list := body[struct{ Items []profile }](t, w.get("/v2/users?primaryEmail=shared@example.org"))
	if len(list.Items) != 1 || value(list.Items[0], "uuid") != idOf(2).String() {
		t.Errorf("the list has %v", list)
	}
}

func TestFieldsAndTags(t *testing.T) {
	w := newWorld(t, somebody(1, set("first_name", text("PUBLIC", "public", "Ada")), set("staff_information.title", text("MOZILLA CONFIDENTIAL", "staff", "Countess"))))
	path := "/v2/user/primary_username/user001"
	p := body[profile](t, w.get(path+"?fields=first_name,staff_information", full...))
	if value(p, "first_name") != "Ada" || value(p, "staff_information.title") != "Countess" || value(p, "uuid") != nil {
		t.Errorf("got %v", p)
	}
	if rec := w.get(path + "?fields=first_name,shoe_size"); rec.Code != 400 || !strings.Contains(rec.Body.String(), "entry 2") {
		t.Errorf("an unknown field: %d %s", rec.Code, rec.Body)
	}
	a, b := w.get(path), w.get(path, full...)
	tag := a.Header().Get("ETag")
	if tag == "" || tag == b.Header().Get("ETag") {
		t.Errorf("tags %q and %q", tag, b.Header().Get("ETag"))
	}
	if rec := w.ask("GET", path, "caller", "If-None-Match", `"x", `+tag); rec.Code != 304 || rec.Body.Len() > 0 || rec.Header().Get("ETag") != tag {
		t.Errorf("what the caller has is sent again: %d %s", rec.Code, rec.Body)
	}
	// What changes where the caller does not look changes no tag.
	w.put(somebody(1, set("first_name", text("PUBLIC", "public", "Ada")), set("staff_information.title", text("MOZILLA CONFIDENTIAL", "staff", "Lady"))))
	if again := w.get(path); again.Header().Get("ETag") != tag {
		t.Error("a hidden change shows in the tag")
	}
	if again := w.get(path, full...); again.Header().Get("ETag") == b.Header().Get("ETag") || !strings.Contains(again.Body.String(), "Lady") {
		t.Error("a change does not show")
	}
	head := w.ask("HEAD", path, "caller")
	if head.Code != 200 || head.Header().Get("ETag") != tag {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
	zipped := w.ask("GET", path, "caller "+strings.Join(full, " "), "Accept-Encoding", "gzip")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() > 4000 {
		t.Errorf("not compressed: %d bytes", zipped.Body.Len())
	}
}

func TestUnauthorized(t *testing.T) {
	w := newWorld(t, somebody(1))
	for _, c := range []struct {
		path, token string
		status      int
		code        string
	}{
		{"/v2/users", "", 401, "authorization_header_missing"},
		{"/v2/users", "bad", 401, "invalid_header"},
		{"/v2/users/id/all/by_attribute_contains?staff_information.staff=true", "caller", 403, "insufficient_scope"},
		{"/v2/groups", "caller", 403, "insufficient_scope"},
		{"/v2/person/" + idOf(1).String() + "/history", "caller", 403, "insufficient_scope"},
		{"/v2/person/" + idOf(1).String() + "/explain", "caller", 403, "insufficient_scope"},
		{"/v2/person/" + idOf(9).String() + "/explain", "caller read:explain", 404, "not_found"},
		{"/v2/elsewhere", "caller", 404, "not_found"},
		{"/v2/users?active=perhaps", "caller", 400, "bad_request"},
		{"/v2/users?active=%zz", "caller", 400, "bad_request"},
	} {
		rec := w.ask("GET", c.path, c.token)
		var e struct{ Code, Description string }
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != c.status || e.Code != c.code || e.Description == "" {
			t.Errorf("%s as %q: %d %s", c.path, c.token, rec.Code, rec.Body)
		}
		if c.status == 401 && rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", c.path)
		}
	}
	if rec := w.ask("DELETE", "/v2/users", "caller"); rec.Code != 405 || rec.Header().Get("Allow") != "GET" {
		t.Errorf("DELETE: %d, Allow %q", rec.Code, rec.Header().Get("Allow"))
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t, somebody(1, set("identities.mozilla_ldap_id", text("WORKGROUP CONFIDENTIAL", "staff", "dn"))), somebody(2), somebody(3, inactive))
	for mail, want := range map[string]string{
		"user001@example.org": `{"exists":{"cis":true,"ldap":true}}`, "user002%40example.org": `{"exists":{"cis":true,"ldap":false}}`,
		"user003@example.org": `{"exists":{"cis":false,"ldap":false}}`, "x@example.org": `{"exists":{"cis":false,"ldap":false}}`,
	} {
		rec := w.ask("GET", "/v2/user/metadata/"+mail, "", "Origin", "https://login.example.org")
		if strings.TrimSpace(rec.Body.String()) != want || rec.Header().Get("Access-Control-Allow-Origin") != "https://login.example.org" {
			t.Errorf("%s: %s %v", mail, rec.Body, rec.Header())
		}
	}
	if rec := w.ask("GET", "/v2/user/metadata/x@example.org", "", "Origin", "https://evil.example.com"); rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("any page may ask")
	}
	limited := 0
	for range 1100 {
		if rec := w.ask("GET", "/v2/user/metadata/x@example.org", ""); rec.Code == 429 {
			limited++
		}
	}
	if limited == 0 {
		t.Error("an address may ask as often as it likes")
	}
}

// pages follows a list to its end and returns the uuids in it, or the ids.
func (w *world) pages(path, list, id string, scopes []string, wrap func(string) string, between func()) (all []string) {
	w.t.Helper()
	next := ""
	for n := 0; ; n++ {
		at := path
		if next != "" {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			at += sep + "nextPage=" + url.QueryEscape(wrap(next))
		}
		page := body[map[string]any](w.t, w.get(at, scopes...))
		for _, item := range page[list].([]any) {
			row := item.(map[string]any)
			v := row[id]
			if m, ok := v.(map[string]any); ok {
				v = m["value"]
			}
			all = append(all, v.(string))
		}
		switch token := page["nextPage"].(type) {
		case nil:
			return all
		case string:
			next = token
		case map[string]any:
			next = token["id"].(string)
		}
		if n > 200 {
			w.t.Fatal("the list does not end")
		}
		between()
	}
}

func plain(s string) string { return s }

// Everybody who was there from the first page to the last is in a list once, in
// whichever form the token comes back, whatever is written meanwhile.
func TestPages(t *testing.T) {
	var all []*people.Profile
	for n := range 320 {
		p := somebody(2*n+2, set("staff_information.team", text("MOZILLA CONFIDENTIAL", "ndaed", "Engines")))
		if n%10 == 0 {
			inactive(p)
		}
		all = append(all, p)
	}
	w := newWorld(t, all...)
	nothing := func() {}
	one := 1001
	change := func() { // somebody new on either side, and somebody changed
		for range 3 {
			w.put(somebody(one))
			one += 2
		}
		w.put(somebody(4, set("first_name", text("PUBLIC", "public", fmt.Sprint("Ada", one)))))
	}
	for _, c := range []struct {
		name, path, list, id string
		wrap                 func(string) string
		between              func()
		want                 int
	}{
		{"users", "/v2/users", "Items", "uuid", plain, nothing, 288},
		{"users, of both kinds", "/v2/users?active=any", "Items", "uuid", plain, nothing, 320},
		{"users, token as JSON", "/v2/users?active=false", "Items", "uuid", func(s string) string { return `{"id": "` + s + `"}` }, nothing, 32},
		{"users, token as Python prints it", "/v2/users", "Items", "uuid", func(s string) string { return `{'id': '` + s + `'}` }, nothing, 288},
		{"ids", "/v2/users/id/all?active=any", "users", "uuid", plain, nothing, 320},
		{"ids by connection", "/v2/users/id/all?connectionMethod=ad%7CMozilla-LDAP%7Cuser00", "users", "uuid", plain, nothing, 3},
		{"search", "/v2/users/id/all/by_attribute_contains?staff_information.team=Engines", "users", "id", plain, nothing, 288},
		{"search for whom it is not", "/v2/users/id/all/by_attribute_contains?not_staff_information.team=Engines&active=any", "users", "id", plain, nothing, 0},
		{"users while people come", "/v2/users?active=any", "Items", "uuid", plain, change, 320},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.pages(c.path, c.list, c.id, full, c.wrap, c.between)
			old := slices.DeleteFunc(slices.Clone(got), func(id string) bool {
				parsed, err := people.ParseID(id)
				return err == nil && parsed[1]%2 == 1
			})
			if len(old) != c.want {
				t.Errorf("%d people, want %d", len(old), c.want)
			}
			slices.Sort(got)
			if len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Error("somebody is there twice")
			}
		})
	}
	// It reads with the token as it is, which has nothing that needs to be encoded.
	page := body[struct{ NextPage struct{ ID string } }](t, w.get("/v2/users"))
	if rec := w.get("/v2/users?nextPage=" + page.NextPage.ID); rec.Code != 200 {
		t.Errorf("a raw token: %d %s", rec.Code, rec.Body)
	}
}

// A token is good for who got it, where, for what, and for a day.
func TestTokensOfOthers(t *testing.T) {
	var all []*people.Profile
	for n := range 120 {
		all = append(all, somebody(n+1))
	}
	w := newWorld(t, all...)
	token := body[struct{ NextPage struct{ ID string } }](t, w.get("/v2/users?filterDisplay=staff")).NextPage.ID
	good := "/v2/users?filterDisplay=staff&nextPage="
	if rec := w.get(good + token); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if strings.Contains(token, "user") {
		t.Error("a token can be read")
	}
	refuse := func(name string, rec *httptest.ResponseRecorder) {
		t.Helper()
		if rec.Code != 400 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	refuse("another caller's", w.ask("GET", good+token, "other"))
	refuse("for another filter", w.get("/v2/users?filterDisplay=public&nextPage="+token))
	refuse("for no filter", w.get("/v2/users?nextPage="+token))
	refuse("of another list", w.get("/v2/users/id/all?filterDisplay=staff&nextPage="+token))
	refuse("of another form", w.get(good+url.QueryEscape(`{"id": 5}`)))
	refuse("made up", w.get(good+"AAAA"))
	for i := range token {
		refuse("a beginning", w.get(good+token[:max(i, 1)]))
		refuse("an end", w.get(good+token[min(i+1, len(token)-1):]))
		for _, c := range "Aa0_-" {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				refuse("changed", w.get(good+changed))
			}
		}
	}
	w.clock = w.clock.Add(person.TokenLife + time.Second)
	refuse("of yesterday", w.get(good+token))
}

func TestSearch(t *testing.T) {
	w := newWorld(t,
		somebody(1, set("staff_information.manager", boolean(true, "MOZILLA CONFIDENTIAL", "ndaed")), set("access_information.ldap", groups("private", "all_ldap_users", "engines"))),
		somebody(2, set("staff_information.manager", boolean(false, "MOZILLA CONFIDENTIAL", "ndaed")), set("access_information.ldap", groups("private", "engines_two"))),
		somebody(3, set("access_information.mozilliansorg", groups("private", "nda")), set("access_information.ldap", groups("private", "engines"))),
		somebody(4, inactive, set("access_information.ldap", groups("private", "engines"))),
	)
	for query, want := range map[string]string{
		"access_information.ldap=engines":                                             "user001 user003",
		"access_information.ldap=engines&active=any":                                  "user001 user003 user004",
		"access_information.ldap=engine":                                              "",
		"access_information.ldap=engines&access_information.mozilliansorg=nda":        "user003",
		"access_information.ldap=engines&not_access_information.mozilliansorg=nda":    "user001",
		"access_information.ldap=engines&access_information.ldap=all_ldap_users":      "user001",
		"staff_information.manager=true":                                              "user001",
		"staff_information.manager=True":                                              "user001",
		"staff_information.manager=False":                                             "user002",
		"not_staff_information.manager=true":                                          "user002 user003",
		"not_staff_information.manager=true&not_access_information.mozilliansorg=nda": "user002",
	} {
		got := w.pages("/v2/users/id/all/by_attribute_contains?"+query, "users", "id", full, plain, func() {})
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "ad|Mozilla-LDAP|")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{"", "active=any", "staff_information.manager=perhaps", "staff_information.shoe=1", "access_information.ldap="} {
		if rec := w.get("/v2/users/id/all/by_attribute_contains?"+query, full...); rec.Code != 400 {
			t.Errorf("%q: %d", query, rec.Code)
		}
	}
	page := body[struct {
		Users []struct {
			ID      map[string]any
			Profile profile
		}
	}](t, w.get("/v2/users/id/all/by_attribute_contains?staff_information.manager=true&fullProfiles=true", "search:all"))
	if len(page.Users) != 1 || page.Users[0].ID["value"] != "ad|Mozilla-LDAP|user001" || page.Users[0].ID["metadata"] == nil || value(page.Users[0].Profile, "uuid") != idOf(1).String() || value(page.Users[0].Profile, "staff_information.manager") != nil {
		t.Errorf("full profiles: %v", page)
	}
}

// A store that fails is an error of the service, in whatever place, never a short
// list, and the error says nothing of anybody.
func TestFaults(t *testing.T) {
	var all []*people.Profile
	for n := range 120 {
		all = append(all, somebody(n+1, set("staff_information.team", text("MOZILLA CONFIDENTIAL", "ndaed", "Engines"))))
	}
	w := newWorld(t, all...)
	w.snap()
	bad := func(path string, scopes ...string) {
		t.Helper()
		if rec := w.get(path, scopes...); rec.Code != 503 || strings.Contains(rec.Body.String(), "jdoe") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	for path, list := range map[string]string{"/v2/users": "Items", "/v2/users/id/all/by_attribute_contains?not_staff_information.team=x": "users"} {
		w.reader.searches.Store(0)
		w.reader.failAt = 2
		first := body[map[string]any](t, w.get(path, full...))
		if len(first[list].([]any)) != 50 {
			t.Fatalf("%s: %d", path, len(first[list].([]any)))
		}
		next, _ := first["nextPage"].(string)
		if m, ok := first["nextPage"].(map[string]any); ok {
			next = m["id"].(string)
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		bad(path+sep+"nextPage="+next, full...)
	}
	// A search that fails while it looks for enough people.
	w.reader.searches.Store(0)
	w.reader.failAt = 3
	bad("/v2/users/id/all/by_attribute_contains?not_staff_information.team=Engines", full...)
	w.reader.fail = true
	for _, path := range []string{
		"/v2/user/user_id/x", "/v2/user/uuid/" + idOf(1).String(), "/v2/user/primary_email/x", "/v2/user/primary_username/x", "/v2/user/metadata/x",
		"/v2/users", "/v2/users?primaryEmail=x", "/v2/users/id/all", "/v2/users/id/all?connectionMethod=ad", "/v2/users/id/all/by_attribute_contains?staff_information.team=Engines",
		"/v2/person/" + idOf(1).String() + "/explain", "/v2/person/" + idOf(1).String() + "/history", "/v2/group/ldap/x/members",
	} {
		bad(path, full...)
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t, somebody(1), somebody(2, inactive), somebody(3, set("first_name", text("PUBLIC", "public", "Ada"))))
	w.snap()
	check := func(scopes []string, query string, want int) (lines []string) {
		t.Helper()
		rec := w.get("/v2/users:export"+query, scopes...)
		if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/jsonl" {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		lines = strings.SplitAfter(strings.TrimSuffix(rec.Body.String(), "\n"), "\n")
		var last struct {
			Count       int
			SHA256, Run string
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
			t.Fatal(err)
		}
		lines = lines[:len(lines)-1]
		sum := sha256.Sum256([]byte(strings.Join(lines, "")))
		if last.Count != want || len(lines) != want || last.SHA256 != hex.EncodeToString(sum[:]) || last.Run != "run-1" {
			t.Errorf("%d lines, end %+v", len(lines), last)
		}
		return lines
	}
	check(nil, "", 2)
	check(nil, "?active=any", 3)
	// What was closed since the snapshot is not shown from it, and who is gone is gone.
	w.taken = time.Now().Add(-time.Hour)
	w.put(somebody(3, set("first_name", text("PUBLIC", "private", "Ada"))))
	w.put(somebody(4))
	if _, err := w.store.Erase(t.Context(), sinks.Fence{}, idOf(1), ""); err != nil {
		t.Fatal(err)
	}
	lines := check(nil, "", 2)
	if all := strings.Join(lines, ""); strings.Contains(all, "Ada") || strings.Contains(all, "user001") || !strings.Contains(all, "user004") {
		t.Errorf("the export is out of date: %s", all)
	}
	// An export that fails in its middle ends without its last line, and the connection with it.
	w.snapshot[1].Profile = []byte{0}
	w.taken = time.Now().Add(time.Hour)
	rec := w.get("/v2/users:export?active=any")
	if strings.Contains(rec.Body.String(), "sha256") {
		t.Errorf("half an export looks whole: %s", rec.Body)
	}
}

func TestGroups(t *testing.T) {
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(t)
	came := people.Operation{Class: people.Update, Source: people.LDAP, Changes: []people.Change{{Path: "access_information.ldap", Since: at,
		Old: people.Content{Value: people.MapValue(people.Entry{Key: "all", Null: true})}, New: people.Content{Value: groups("", "all", "engines").Value, Display: "staff"}}}}
	w.put(somebody(1, set("access_information.ldap", groups("staff", "all", "engines"))), came)
	w.put(somebody(2, set("access_information.ldap", groups("staff", "all")), set("access_information.mozilliansorg", groups("public", "a/b"))))
	w.put(somebody(3, set("access_information.ldap", groups("private", "all", "secret"))))
	w.put(somebody(4, inactive, set("access_information.ldap", groups("staff", "all"))))
	w.snap()
	list := func(scopes ...string) string {
		got := body[struct{ Groups []person.Group }](t, w.get("/v2/groups", append(scopes, "search:all")...))
		return fmt.Sprint(got.Groups)
	}
	if got := list(); got != "[{mozilliansorg a/b 1}]" {
		t.Error(got)
	}
	if got := list("display:staff"); got != "[{ldap all 2} {ldap engines 1} {mozilliansorg a/b 1}]" {
		t.Error(got)
	}
	if got := list("display:all"); got != "[{ldap all 3} {ldap engines 1} {ldap secret 1} {mozilliansorg a/b 1}]" {
		t.Error(got)
	}
	for path, status := range map[string]int{
		"/v2/group/ldap/all": 200, "/v2/group/ldap/secret": 404, "/v2/group/ldap/nothing": 404, "/v2/group/hris/all": 404,
		"/v2/group/mozilliansorg/a%2Fb": 200, "/v2/group/mozilliansorg/a%252Fb": 200,
	} {
		if rec := w.get(path, "search:all", "display:staff"); rec.Code != status {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if got := body[map[string]any](t, w.get("/v2/group/ldap/engines/members", "search:all", "display:staff")); !strings.Contains(fmt.Sprint(got), "user001") || !strings.Contains(fmt.Sprint(got), "2026-02-01") || strings.Contains(fmt.Sprint(got), "@") {
		t.Error(got)
	}
	for who, want := range map[string]int{"": 0, "display:staff": 2, "display:all": 3} {
		if got := w.pages("/v2/group/ldap/all/members", "members", "uuid", []string{"search:all", who}, plain, func() {}); len(got) != want {
			t.Errorf("%q sees %v", who, got)
		}
	}
	// Counts are kept for a while, and then taken anew.
	w.taken = time.Now().Add(-time.Hour)
	w.put(somebody(5, set("access_information.ldap", groups("staff", "engines"))))
	if got := list("display:staff"); !strings.Contains(got, "engines 1") {
		t.Error(got)
	}
	w.clock = w.clock.Add(6 * time.Minute)
	if got := list("display:staff"); !strings.Contains(got, "engines 2") {
		t.Error(got)
	}
}

// Whoever writes reads what they wrote, and whoever was erased is gone, however
// often they were asked for before.
func TestReadsItsOwnWrites(t *testing.T) {
	w := newWorld(t, somebody(1))
	path := "/v2/user/primary_username/user001"
	for n := range 20 {
		for range 2 {
			w.get(path)
		}
		w.put(somebody(1, set("first_name", text("PUBLIC", "public", fmt.Sprint("Ada", n)))))
		if p := body[profile](t, w.get(path)); value(p, "first_name") != fmt.Sprint("Ada", n) {
			t.Fatalf("read %v after writing %d", value(p, "first_name"), n)
		}
	}
	if got := body[profile](t, w.get("/v2/user/primary_username/user002")); len(got) > 0 {
		t.Fatal(got)
	}
	w.put(somebody(2))
	if got := body[profile](t, w.get("/v2/user/primary_username/user002")); len(got) == 0 {
		t.Error("somebody new is not found, because they were not before")
	}
	if _, err := w.store.Erase(t.Context(), sinks.Fence{}, idOf(1), ""); err != nil {
		t.Fatal(err)
	}
	if got := body[profile](t, w.get(path)); len(got) > 0 {
		t.Error("somebody erased is found")
	}
}

// A canary in each attribute is in no byte of any answer, header, log line or
// metric, if its caller may not see it.
func TestCanaries(t *testing.T) {
	displays := []string{"public", "authenticated", "vouched", "ndaed", "staff", "private", ""}
	w := newWorld(t)
	w.explain = person.Explanation{Revision: 1, Person: idOf(1)}
	p := somebody(1)
	old := people.Operation{Class: people.Update, Source: people.LDAP}
	type canary struct {
		word, class, display string
	}
	var canaries []canary
	n := 0
	for _, a := range cat.Attributes {
		if a.Path == people.UUID || a.Path == people.Active || a.Kind == people.Bool {
			continue
		}
		display := displays[n%len(displays)]
		n++
		word := fmt.Sprintf("canary%02dx", n)
		at := text(a.Classification, display, word)
		at.Signature.Publisher = people.Mark{Alg: "RS256", Typ: "JWS", Name: "cis", Value: word + "signature"}
		if a.Kind == people.Map {
			at.Value = people.MapValue(people.Entry{Key: word, Value: word})
		}
		p.Set(a.Path, at)
		canaries = append(canaries, canary{word, a.Classification, display})
		// It said something else before, which was for whom it was for then.
		was := displays[(n+3)%len(displays)]
		gone := canary{word: "was" + word, class: a.Classification, display: was}
		canaries = append(canaries, gone)
		old.Changes = append(old.Changes, people.Change{Path: a.Path, Old: people.Content{Value: people.StringValue(gone.word), Display: was}, New: people.ContentOf(at), Signed: &at})
		// And another source says something else, which is for whom it proposes.
		said := canary{"said" + word, a.Classification, cmp.Or(was, display)} // without a display it would stand under this one
		canaries = append(canaries, said)
		w.explain.Attributes = append(w.explain.Attributes, person.Explained{Explanation: merge.Explanation{Path: a.Path, Content: people.ContentOf(at), Outlook: "not " + said.word,
			Words: []merge.Word{{Publisher: people.LDAP, Says: merge.SaysValue, Value: people.StringValue(said.word), Display: was}},
			Could: []merge.Possibility{{Value: people.StringValue(said.word)}}}})
	}
	w.put(p, old)
	w.snap()
	who := p.Value(people.UserID).Text()
	paths := []string{
		"/v2/user/uuid/" + idOf(1).String(), "/v2/user/user_id/" + who, "/v2/users", "/v2/users:export", "/v2/users/id/all/by_attribute_contains?not_staff_information.team=x",
		"/v2/users/id/all/by_attribute_contains?not_staff_information.team=x&fullProfiles=true", "/v2/users/id/all", "/v2/groups", "/v2/group/ldap/" + p.Value("access_information.ldap").Entries()[0].Key,
		"/v2/group/ldap/" + p.Value("access_information.ldap").Entries()[0].Key + "/members", "/v2/person/" + idOf(1).String() + "/explain", "/v2/person/" + idOf(1).String() + "/history",
		"/v2/user/uuid/" + idOf(1).String() + "?filterDisplay=ndaed", "/v2/users?active=perhaps", "/v2/user/uuid/" + idOf(1).String() + "?fields=nothing",
	}
	sets := [][]string{nil, {"display:staff", "display:ndaed"}, {"classification:workgroup", "display:none"}, {"read:fullprofile"}, {"display:all"}, full,
		{"classification:mozilla_confidential", "classification:workgroup:staff_only", "display:vouched", "display:authenticated"}}
	seen := 0
	for _, scopes := range sets {
		for _, path := range paths {
			rec := w.get(path, append(slices.Clone(scopes), "search:all", "read:explain", "read:history")...)
			answer := rec.Body.String() + fmt.Sprint(rec.Result().Header)
			for _, c := range canaries {
				if !strings.Contains(answer, c.word) {
					continue
				}
				seen++
				// A word also occurs within the longer ones.
				if strings.Count(answer, c.word) == strings.Count(answer, "was"+c.word)+strings.Count(answer, "said"+c.word) {
					continue
				}
				asked := strings.Contains(path, c.word) || path == "/v2/users/id/all" && (c.word == who || c.word == p.Value(people.PrimaryEmail).Text())
				if !asked && !sees(scopes, path, c.class, c.display) {
					t.Errorf("%s shows %s (%s, %q) to %v", path, c.word, c.class, c.display, scopes)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("canaries are seen only %d times", seen)
	}
	metrics, err := w.metric.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{w.log.String(), fmt.Sprint(metrics)} {
		if strings.Contains(text, "canary") {
			t.Errorf("a value is in a log line or metric: %s", text)
		}
	}
}

// sees is the contract's filter, as a test reads it.
func sees(scopes []string, path, class, display string) bool {
	has := func(s string) bool { return slices.Contains(scopes, s) }
	classes := map[string]string{"MOZILLA CONFIDENTIAL": "mozilla_confidential", "WORKGROUP CONFIDENTIAL": "workgroup", "WORKGROUP CONFIDENTIAL: STAFF ONLY": "workgroup:staff_only", "INDIVIDUAL CONFIDENTIAL": "individual"}
	byClass := class == "PUBLIC" || has("read:fullprofile") || has("classification:"+classes[class])
	name := display
	if name == "" {
		name = "none"
	}
	byDisplay := display == "public" || has("display:all") || display != "private" && has("display:"+name)
	if strings.Contains(path, "filterDisplay=ndaed") && !slices.Contains([]string{"public", "authenticated", "vouched", "ndaed"}, display) {
		return false
	}
	return byClass && byDisplay
}

// Whoever may not see whether somebody is here does not learn it from their
// records.
func TestRecordsTellLifecycles(t *testing.T) {
	w := newWorld(t, somebody(1))
	w.explain = person.Explanation{Person: idOf(1), Revision: 1, Authority: people.HRIS, Records: []person.Record{{Publisher: people.HRIS, Lifecycle: people.Ended}}}
	path := "/v2/person/" + idOf(1).String() + "/explain"
	if rec := w.get(path, "read:explain", "display:none"); rec.Code != 200 || strings.Contains(rec.Body.String(), "hris") || strings.Contains(rec.Body.String(), "ended") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.get(path, full...); !strings.Contains(rec.Body.String(), "ended") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// An answer to one question is none to another one that looks like it.
func TestQuestionsAreNotMixed(t *testing.T) {
	w := newWorld(t, somebody(1, set(people.UserID, text("PUBLIC", "public", "email|50%zz"))))
	for _, path := range []string{"email%257C50%2525zz%00email%7C50%25zz", "email%7C50%25zz%00", "%00"} {
		if rec := w.get("/v2/user/user_id/" + path); rec.Code != 400 {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	for _, path := range []string{"email%7C50%25zz", "email%257C50%2525zz"} {
		if p := body[profile](t, w.get("/v2/user/user_id/"+path)); value(p, "uuid") != idOf(1).String() {
			t.Errorf("%s: %v", path, p)
		}
	}
}

func TestPanic(t *testing.T) {
	w := newWorld(t, somebody(1))
	w.reader.Reader = nil
	rec := w.get("/v2/users")
	if rec.Code != 503 || !strings.Contains(w.log.String(), "panic at person_test.go") {
		t.Errorf("%d %s, logged %s", rec.Code, rec.Body, w.log.String())
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"active=any&filterDisplay=staff", "nextPage={'id': 'x'}", "nextPage=%7B%22id%22%3A%22AAAA%22%7D", "fields=uuid,,", "staff_information.staff=TRUE&not_access_information.ldap=x", "%"} {
		f.Add(s, "ad%7Cx")
	}
	f.Fuzz(func(t *testing.T, query, value string) {
		w := newWorld(t, somebody(1))
		for _, path := range []string{"/v2/users", "/v2/users/id/all", "/v2/users/id/all/by_attribute_contains", "/v2/user/user_id/" + url.PathEscape(value), "/v2/group/ldap/" + url.PathEscape(value) + "/members"} {
			r, err := http.NewRequest("GET", "http://x"+path, nil)
			if err != nil {
				continue
			}
			r.URL.RawQuery = query
			r.Header.Set("Authorization", "Bearer caller search:all")
			rec := httptest.NewRecorder()
			w.server.ServeHTTP(rec, r)
			if rec.Code >= 500 {
				t.Fatalf("%s?%q: %d %s", path, query, rec.Code, rec.Body)
			}
			_, _ = io.Copy(io.Discard, rec.Body)
		}
	})
}
