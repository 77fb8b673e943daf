package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
	"example.org/cis/api/apitest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// canary is in every value and key that is sent, and must be in no answer and
// no line of the log.
const canary = "kanarienvogel"

// A desk is the API over a publisher that does what it is told.
type desk struct {
	t      *testing.T
	routes []api.Route
	store  *counting
	log    bytes.Buffer
	now    time.Time
	asked  []Request
	does   func(Request) (Result, error)
}

// counting counts the writes of a ledger.
type counting struct {
	sinks.Store
	writes atomic.Int64
	fails  error
}

func (c *counting) Put(ctx context.Context, d sinks.Doc) (int64, error) {
	c.writes.Add(1)
	return c.Store.Put(ctx, d)
}

func (c *counting) Remove(ctx context.Context, d sinks.Doc) error {
	c.writes.Add(1)
	return c.Store.Remove(ctx, d)
}

func (c *counting) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	switch {
	case c.fails != nil:
		return sinks.Stored{}, c.fails
	case id == somebody:
		return sinks.Stored{ID: id, Revision: 5}, nil
	}
	return sinks.Stored{}, sinks.ErrNotFound
}

var somebody = people.ID{1, 2, 3}

func took(paths ...string) func(Request) (Result, error) {
	return func(Request) (Result, error) {
		r := Result{Person: somebody, Revision: 5, Written: true}
		for _, p := range paths {
			r.Attributes = append(r.Attributes, Attribute{Path: people.Path(p), State: Taken})
		}
		return r, nil
	}
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), does: took("first_name")}
	store, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "vault.db"), sqlite.Options{Now: func() time.Time { return d.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d.store = &counting{Store: store}
	d.routes, err = New(Options{
		Publish: func(_ context.Context, r Request) (Result, error) {
			d.asked = append(d.asked, r)
			return d.does(r)
		},
		People: d.store, Ledger: d.store, Catalogue: catalogue.Default(), Key: []byte("a key for tests, of 32 bytes ...."),
		Now: func() time.Time { return d.now }, Random: rand.NewChaCha8([32]byte{2}), Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask makes a request as the server would, and returns what is answered.
func (d *desk) ask(method, target, body string, headers ...string) (status int, answer string) {
	d.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if r.Header.Get("As") == "" {
		r.Header.Set("As", "a publisher")
	}
	r = r.WithContext(api.WithCaller(r.Context(), &api.Caller{Issuer: "https://issuer.example/", Subject: r.Header.Get("As"), Scopes: []string{Scope}}))
	i := slices.IndexFunc(d.routes, func(x api.Route) bool { return x.Method == method && x.Path == r.URL.Path })
	if i < 0 {
		d.t.Fatalf("no route for %s %s", method, target)
	}
	w := httptest.NewRecorder()
	if err := d.routes[i].Serve(w, r); err != nil {
		e := api.ErrorOf(err)
		w.Code = e.Status
		_ = api.JSON(w, e.Status, map[string]string{"code": e.Code, "description": e.Description})
	}
	r.Header.Set("Authorization", "Bearer it") // the server has looked at it
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	apitest.Conforms(d.t, r, w)
	if told := w.Body.String() + d.log.String(); strings.Contains(strings.ToLower(told), canary) {
		d.t.Errorf("%s %s: a value is told: %s", method, target, told)
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

// attribute is one with a value.
func attribute(value string) string {
	word := "value"
	if strings.HasPrefix(value, "{") {
		word = "values"
	}
	return `{"signature":{"publisher":{"alg":"RS256","typ":"JWS","name":"ldap","value":"x"},"additional":[]},"metadata":{"classification":"PUBLIC","created":"2026-03-02T08:00:00.000Z","last_modified":"2026-03-02T08:00:00.000Z","verified":true,"display":null},"` + word + `":` + value + `}`
}

func profile(members ...string) string {
	var b strings.Builder
	for i := 0; i < len(members); i += 2 {
		fmt.Fprintf(&b, `,%q:%s`, members[i], attribute(members[i+1]))
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

const userID = `email|` + canary

var body = profile("user_id", `"`+userID+`"`, "first_name", `"`+canary+`"`)

func TestRoutes(t *testing.T) {
	for _, r := range newDesk(t).routes {
		get := r.Method == http.MethodGet
		if r.Open != get || r.PerAddress != get || !get && r.Scope != "write" || r.Cross {
			t.Errorf("%s %s is open %t, with scope %q", r.Method, r.Path, r.Open, r.Scope)
		}
	}
}

func TestOne(t *testing.T) {
	sequence := newDesk(t).sequenceOf(5)
	refused := func(list ...string) func(Request) (Result, error) {
		return func(r Request) (Result, error) {
			res := Result{Person: somebody, Revision: 5}
			for i := 0; i < len(list); i += 2 {
				a := Attribute{Path: people.Path(list[i]), State: Refused, Code: list[i+1], Reason: "a reason"}
				if list[i+1] == Taken || list[i+1] == Unchanged {
					a.State, a.Code, a.Reason = list[i+1], "", ""
				}
				res.Written = res.Written || a.State == Taken
				res.Attributes = append(res.Attributes, a)
			}
			return res, nil
		}
	}
	created := func(r Request) (Result, error) {
		res, err := took("user_id")(r)
		res.Created = true
		return res, err
	}
	for _, c := range []struct {
		name, query, body string
		headers           []string
		does              func(Request) (Result, error)
		status            int
		want              string
	}{
		{name: "an update", body: body, status: 200, want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "a creation", body: body, does: created, status: 200, want: `{"condition":"create","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "nothing new", body: body, does: refused("first_name", Unchanged), status: 200, want: `{"condition":"noop","sequence_number":null,"status_code":202}`},
		{name: "whose it is only in the query", query: "?user_id=" + userID, body: profile("first_name", `"x"`), status: 200, want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "and null in the body", query: "?user_id=" + userID, body: profile("user_id", `null`), status: 200, want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "in both alike", query: "?user_id=" + userID, body: body, status: 200, want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "in both and not alike", query: "?user_id=email|other", body: body, status: 400, want: `{"code":"integration_exception","description":"the parameter user_id is not that of the profile"}`},
		{name: "in neither", body: profile("first_name", `"x"`), status: 400, want: `{"code":"integration_exception","description":"neither the parameter user_id nor the profile says whose it is"}`},
		{name: "in no form", query: "?user_id=" + canary, body: "{}", status: 400, want: `{"code":"integration_exception","description":"not a user_id: want a connection and an id with | between them"}`},
		{name: "encoded twice", body: quoted(body), status: 200, want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200}`},
		{name: "only asked", query: "?validate_only=true", body: body, status: 200, want: `{"condition":"update","sequence_number":null,"status_code":200}`},
		{name: "asked in other words", query: "?validate_only=1", body: body, status: 400, want: `{"code":"bad_request","description":"validate_only is true or false"}`},
		{name: "some refused", body: body, does: refused("first_name", Taken, "last_name", "invalid_publisher", "picture", Unchanged), status: 200,
			want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200,"refused":[{"attribute":"last_name","code":"invalid_publisher"}]}`},
		{name: "all that is new refused", body: body, does: refused("first_name", "invalid_signature", "last_name", "invalid_publisher", "picture", Unchanged), status: 403,
			want: `{"code":"invalid_signature","description":"first_name: a reason; and 1 more"}`},
		{name: "by the wrong publisher", body: body, does: refused("first_name", "invalid_publisher"), status: 403, want: `{"code":"invalid_publisher","description":"first_name: a reason"}`},
		{name: "with a uuid", body: body, does: refused("uuid", "uuid_or_primary_username_set"), status: 403, want: `{"code":"uuid_or_primary_username_set","description":"uuid: a reason"}`},
		{name: "a name that nobody knows", body: body, does: refused(canary, "invalid_value"), status: 403, want: `{"code":"invalid_value","description":"*: a reason"}`},
		{name: "told of each", body: body, headers: []string{"Prefer: return=representation"}, does: refused("first_name", Taken, "last_name", "invalid_publisher", "picture", Unchanged), status: 200,
			want: `{"condition":"update","sequence_number":"` + sequence + `","status_code":200,"refused":[{"attribute":"last_name","code":"invalid_publisher"}],"attributes":[{"attribute":"first_name","outcome":"taken"},{"attribute":"last_name","outcome":"refused","code":"invalid_publisher","reason":"a reason"},{"attribute":"picture","outcome":"unchanged"}]}`},
		{name: "what could not be done", body: body, does: func(Request) (Result, error) { return Result{}, errors.New(canary) }, status: 503,
			want: `{"code":"unavailable","description":"the service cannot answer this at the moment; try again"}`},
		{name: "compressed", body: body, headers: []string{"Content-Encoding: gzip"}, status: 415, want: `{"code":"unsupported_encoding","description":"bodies are not compressed"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{http.MethodPost, http.MethodPut} {
				d := newDesk(t)
				if c.does != nil {
					d.does = c.does
				}
				status, got := d.ask(method, "/v2/user"+c.query, c.body, c.headers...)
				if status != c.status || got != c.want {
					t.Errorf("%s: got %d %s\nwant %d %s", method, status, got, c.status, c.want)
				}
				if want := status == 200 || status == 403 || status == 503; (len(d.asked) == 1) != want {
					t.Errorf("%s: published %d times", method, len(d.asked))
				}
				if len(d.asked) == 1 && (d.asked[0].UserID != userID || d.asked[0].By != "https://issuer.example/ a publisher" || d.asked[0].ValidateOnly != strings.Contains(c.query, "validate")) {
					t.Errorf("asked for %+v", d.asked[0])
				}
			}
		})
	}
}

// sequenceOf is the sequence number of a revision.
func (d *desk) sequenceOf(revision int64) string {
	f := &face{Options: Options{Key: []byte("a key for tests, of 32 bytes ....")}}
	return f.sequence(somebody, revision)
}

func quoted(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestList(t *testing.T) {
	d := newDesk(t)
	n := 0
	results := []Result{
		{Person: somebody, Revision: 1, Created: true, Written: true, Attributes: []Attribute{{Path: "first_name", State: Taken}}},
		{Person: somebody, Revision: 2, Written: true, Attributes: []Attribute{{Path: "first_name", State: Taken}, {Path: "picture", State: Refused, Code: "invalid_value"}}},
		{Person: somebody, Revision: 3, Attributes: []Attribute{{Path: "first_name", State: Unchanged}}},
		{Person: somebody, Revision: 4, Attributes: []Attribute{{Path: "first_name", State: Refused, Code: "invalid_signature", Reason: "a reason"}}},
	}
	d.does = func(Request) (Result, error) { n++; return results[n-1], nil }
	four := "[" + strings.Join([]string{body, quoted(body), body, body}, ",") + "]"
	status, got := d.ask("POST", "/v2/users", four)
	want := `{"creates":{"sequence_numbers":["` + d.sequenceOf(1) + `"],"status":200},"updates":{"sequence_numbers":["` + d.sequenceOf(2) + `"],"status":200},"status":200,` +
		`"refused":[{"index":1,"attribute":"picture","code":"invalid_value"},{"index":3,"attribute":"first_name","code":"invalid_signature"}]}`
	if status != 200 || got != want {
		t.Errorf("got %d %s\nwant %s", status, got, want)
	}
	many := "[" + strings.Repeat(body+",", MaxPeople) + body + "]"
	for _, c := range []struct {
		name, query, body string
		from              int
		status            int
		want              string
	}{
		{"nobody", "", "[]", 0, 200, `{"creates":null,"updates":null,"status":202}`},
		{"nothing new", "", "[" + body + "]", 2, 200, `{"creates":null,"updates":null,"status":202}`},
		{"all refused", "", "[" + body + "]", 3, 403, `{"code":"invalid_signature","description":"first_name: a reason"}`},
		{"no list", "", body, 0, 400, `{"code":"invalid_body","description":"the body: want a list of profiles"}`},
		{"one is none", "", "[" + body + ",7]", 0, 400, `{"code":"invalid_body","description":"/1: want an object"}`},
		{"one says nobody", "", "[" + body + ",{}]", 0, 400, `{"code":"integration_exception","description":"neither the parameter user_id nor the profile says whose it is"}`},
		{"too many", "", many, 0, 400, `{"code":"invalid_body","description":"the body: more than 100 profiles"}`},
		{"with a user_id for all", "?user_id=email|a", "[]", 0, 400, `{"code":"integration_exception","description":"a list names its people itself"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, d.asked = c.from, nil
			status, got := d.ask("PUT", "/v2/users"+c.query, c.body)
			if status != c.status || got != c.want {
				t.Errorf("got %d %s\nwant %d %s", status, got, c.status, c.want)
			}
			if status == 400 && len(d.asked) > 0 {
				t.Error("something was published of a list that is refused")
			}
		})
	}
}

func TestBody(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	var entries []string
	for i := range 2001 {
		entries = append(entries, fmt.Sprintf(`"%s%d":null`, canary, i))
	}
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "the body: the JSON is cut short"},
		{"no JSON", canary, "the body: not JSON in UTF-8"},
		{"no object", "[]", "the body: want an object"},
		{"cut short", body[:len(body)-20], "/first_name: the JSON is cut short"},
		{"more than one", body + body, "the body: something follows the JSON"},
		{"a name twice", profile("first_name", `"x"`, "first_name", `"y"`), "/first_name: a name that is there twice"},
		{"a key twice", profile("usernames", `{"`+canary+`":"x","`+canary+`":"y"}`), "/usernames/values/*: a name that is there twice"},
		{"half a surrogate pair", profile("first_name", `"\ud800"`), "/first_name/value: not JSON in UTF-8"},
		{"not UTF-8", profile("first_name", "\"\xff\""), "/first_name/value: not JSON in UTF-8"},
		{"a large number", profile("usernames", `{"`+canary+`":9007199254740993}`), "/usernames/values/*: a number that not everybody can read"},
		{"a huge number", profile("usernames", `{"x":1e400}`), "/usernames/values/*: a number that not everybody can read"},
		{"a deep one", `{"first_name":` + deep + `}`, "/first_name/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*: deeper than any profile"},
		{"one with many entries", profile("usernames", "{"+strings.Join(entries, ",")+"}"), "/usernames/values: more entries than any profile"},
		{"a list for a value", profile("first_name", `["`+canary+`"]`), "/first_name/value: want a string, a boolean, null or a map of strings"},
		{"a number for a value", profile("first_name", `7`), "/first_name/value: want a string, a boolean, null or a map of strings"},
		{"a list in a map", profile("usernames", `{"`+canary+`":[]}`), "/usernames/values/*: want a string or null"},
		{"a field that nobody knows", `{"first_name":{"value":"x","` + canary + `":1}}`, "/first_name/*: want an object"},
		{"no name of an attribute", `{"` + canary + `-":{"value":"x"}}`, "/*: not an attribute's name"},
		{"no value", `{"first_name":{"metadata":{}}}`, "/first_name: want exactly one of value and values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			status, got := d.ask("POST", "/v2/user?user_id=email|a", c.body)
			var e struct {
				Code        string `json:"code"`
				Description string `json:"description"`
			}
			if err := json.Unmarshal([]byte(got), &e); err != nil || status != 400 || e.Code != "invalid_body" || e.Description != c.want {
				t.Errorf("got %d %s, want %s", status, got, c.want)
			}
			if len(d.asked) > 0 {
				t.Error("it was published")
			}
		})
	}
	d := newDesk(t)
	if status, got := d.ask("POST", "/v2/user", profile("user_id", `"email|`+strings.Repeat("x", MaxProfile)+`"`)); status != 413 {
		t.Errorf("a body that is too large: %d %s", status, got)
	}
	if status, got := d.ask("POST", "/v2/users", "["+profile("user_id", `"email|`+strings.Repeat("x", MaxProfile)+`"`)+"]"); status != 413 {
		t.Errorf("a profile of a list that is too large: %d %s", status, got)
	}
	d.ask("POST", "/v2/user", profile("user_id", `"email|a"`, "usernames", `{"a":7,"b":true}`, "languages", `{"a":"b"}`))
	if want := []catalogue.Fault{{Path: "usernames", Reason: "a map with something else than text and null in it"}}; len(d.asked) != 1 || !slices.Equal(d.asked[0].Unfit, want) {
		t.Errorf("unfit: %+v", d.asked)
	}
}

func TestStatus(t *testing.T) {
	d := newDesk(t)
	there := d.sequenceOf(5)
	last := there[:len(there)-1] + string('0'+(there[len(there)-1]-'0'+1)%10)
	elsewhere := (&face{Options: Options{Key: []byte("another key, of 32 bytes as well..")}}).sequence(somebody, 5)
	nobody := (&face{Options: Options{Key: []byte("a key for tests, of 32 bytes ....")}}).sequence(people.ID{9}, 5)
	for _, c := range []struct {
		number string
		want   bool
	}{{there, true}, {d.sequenceOf(1), true}, {d.sequenceOf(6), false}, {last, false}, {elsewhere, false}, {nobody, false}, {"", false}, {"285229813155718975995433494324446866394", false},
		{canary, false}, {"-" + there, false}, {"+" + there, false}, {"0" + there, true}, {there + "0", false}, {strings.Repeat("9", 1000), false}, {"0x1f", false}, {"1_0", false}} {
		status, got := d.ask("GET", "/v2/status?sequenceNumber="+strings.ReplaceAll(c.number, "+", "%2B"), "")
		if status != 200 || got != fmt.Sprintf(`{"identity_vault":%t}`, c.want) {
			t.Errorf("%s: got %d %s", c.number, status, got)
		}
	}
	d.store.fails = errors.New("the store is down")
	if status, _ := d.ask("GET", "/v2/status?sequenceNumber="+there, ""); status != 503 {
		t.Errorf("when it cannot tell: %d", status)
	}
	if n := d.store.writes.Load(); n > 0 {
		t.Errorf("GET wrote %d times", n)
	}
}

func TestErase(t *testing.T) {
	d := newDesk(t)
	if status, _ := d.ask("DELETE", "/v2/user", body); status != 405 || len(d.asked) > 0 {
		t.Errorf("got %d", status)
	}
}

func TestIdempotency(t *testing.T) {
	const key = "Idempotency-Key: 4711"
	d := newDesk(t)
	revision := int64(0)
	d.does = func(r Request) (Result, error) {
		revision++
		res, err := took("first_name")(r)
		res.Revision = revision
		return res, err
	}
	ask := func(method, target, body string, headers ...string) string {
		status, got := d.ask(method, target, body, headers...)
		return fmt.Sprintf("%d %s", status, got)
	}
	first := ask("POST", "/v2/user", body, key)
	if again := ask("POST", "/v2/user", body, key); again != first || revision != 1 {
		t.Errorf("again: %s, first %s; published %d times", again, first, revision)
	}
	for _, other := range []string{ask("POST", "/v2/user", body+" ", key), ask("POST", "/v2/user?user_id="+userID, body, key), ask("POST", "/v2/users", "["+body+"]", key)} {
		if !strings.HasPrefix(other, `422 {"code":"idempotency_key_reused"`) {
			t.Errorf("another request: %s", other)
		}
	}
	if other := ask("POST", "/v2/user", body, key, "As: another"); other == first || revision != 2 {
		t.Errorf("another caller: %s", other)
	}
	d.now = d.now.Add(keepAnswers)
	if later := ask("POST", "/v2/user", body, key); later == first || revision != 3 {
		t.Errorf("a day later: %s", later)
	}

	refusedOnce := 0
	d.does = func(Request) (Result, error) {
		refusedOnce++
		return Result{Attributes: []Attribute{{Path: "first_name", State: Refused, Code: "invalid_signature", Reason: "a reason"}}}, nil
	}
	refused := ask("POST", "/v2/user", body, "Idempotency-Key: refused")
	if again := ask("POST", "/v2/user", body, "Idempotency-Key: refused"); again != refused || refusedOnce != 1 || !strings.HasPrefix(again, "403 ") {
		t.Errorf("refused again: %s, published %d times", again, refusedOnce)
	}

	d.does = func(Request) (Result, error) { return Result{}, errors.New("down") }
	if got := ask("POST", "/v2/user", body, "Idempotency-Key: down"); !strings.HasPrefix(got, "503 ") {
		t.Error(got)
	}
	d.does = took("first_name")
	if got := ask("POST", "/v2/user", body, "Idempotency-Key: down"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("after a failure: %s", got)
	}

	var inside string
	d.does = func(r Request) (Result, error) {
		d.does = took("first_name")
		inside = ask("POST", "/v2/user", body, "Idempotency-Key: slow")
		return took("first_name")(r)
	}
	if got := ask("POST", "/v2/user", body, "Idempotency-Key: slow"); !strings.HasPrefix(got, "200 ") || !strings.HasPrefix(inside, `409 {"code":"idempotency_key_in_use"`) {
		t.Errorf("at the same time: %s, %s", got, inside)
	}
	if got := ask("POST", "/v2/user", body, "Idempotency-Key: "+strings.Repeat("x", 256)); !strings.HasPrefix(got, "400 ") {
		t.Errorf("a long key: %s", got)
	}
}

// TestAnswersExpire keeps many answers for many days: those that are there are
// never many more than a day's.
func TestAnswersExpire(t *testing.T) {
	d := newDesk(t)
	n := 0
	for range 5 {
		for range 60 {
			n++
			d.ask("POST", "/v2/user", body, fmt.Sprintf("Idempotency-Key: %d", n))
		}
		d.now = d.now.Add(keepAnswers)
	}
	docs, err := d.store.Docs(context.Background(), kindAnswer, "", 1000)
	if err != nil || len(docs) > 120 {
		t.Errorf("%d answers are kept, %v", len(docs), err)
	}
	for _, doc := range docs {
		if strings.Contains(string(doc.Body), canary) {
			t.Errorf("a value is kept: %s", doc.Body)
		}
	}
}

// TestAnswersAreShort keeps nothing of what only asks, and little of a long answer.
func TestAnswersAreShort(t *testing.T) {
	d := newDesk(t)
	d.ask("POST", "/v2/user?validate_only=true", body, "Idempotency-Key: asks")
	d.ask("POST", "/v2/users?validate_only=true", "["+body+"]", "Idempotency-Key: asks")
	if n := d.store.writes.Load(); n > 0 || len(d.asked) != 2 {
		t.Errorf("what only asks wrote %d times", n)
	}
	d.does = func(Request) (Result, error) {
		res := Result{Person: somebody, Revision: 5, Written: true, Attributes: []Attribute{{Path: "first_name", State: Taken}}}
		for range 10_000 {
			res.Attributes = append(res.Attributes, Attribute{Path: "last_name", State: Refused, Code: "invalid_publisher", Reason: strings.Repeat("x", 100)})
		}
		return res, nil
	}
	const prefer = "Prefer: return=representation"
	_, first := d.ask("POST", "/v2/users", "["+body+"]", "Idempotency-Key: long", prefer)
	status, again := d.ask("POST", "/v2/users", "["+body+"]", "Idempotency-Key: long", prefer)
	if status != 200 || len(first) < maxKept || len(again) > maxKept || strings.Contains(again, `"attributes"`) || !strings.Contains(again, d.sequenceOf(5)) || !strings.Contains(again, `"refused"`) {
		t.Errorf("of %d bytes %d are kept: %d", len(first), len(again), status)
	}
	docs, err := d.store.Docs(context.Background(), kindAnswer, "", 10)
	if err != nil || len(docs) != 1 || len(docs[0].Body) > maxKept+1000 {
		t.Errorf("%d answers are kept, %v", len(docs), err)
	}
}

// TestListsWait has more lists come than may be in memory.
func TestListsWait(t *testing.T) {
	d := newDesk(t)
	f := &face{Options: Options{Catalogue: catalogue.Default(), Publish: func(_ context.Context, r Request) (Result, error) { return took("first_name")(r) }, Key: make([]byte, 32)},
		names: names(catalogue.Default()), lists: make(chan struct{}, 1)}
	f.lists <- struct{}{}
	ask := func() (*httptest.ResponseRecorder, error) {
		ctx, cancel := context.WithTimeout(api.WithCaller(t.Context(), &api.Caller{}), 10*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		return w, f.list(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v2/users", strings.NewReader("["+body+"]")))
	}
	w, err := ask()
	if e := api.ErrorOf(err); err == nil || e.Status != 503 || e.Code != "overloaded" || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %v", err)
	}
	<-f.lists
	if _, err := ask(); err != nil || len(f.lists) > 0 {
		t.Errorf("got %v", err)
	}
	// Each list gives its place back, whether it is taken or not.
	for range 2 * maxLists {
		if status, _ := d.ask("POST", "/v2/users", canary); status != 400 {
			t.Errorf("got %d", status)
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(body))
	f.Add([]byte("[" + body + "]"))
	f.Add([]byte(profile("usernames", `{"a":7,"b":true,"c":null}`)))
	f.Add([]byte(quoted(body)))
	face := &face{Options: Options{Catalogue: catalogue.Default()}, names: names(catalogue.Default())}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := face.profile(b, "")
		if err != nil {
			if e := api.ErrorOf(err); e.Status != 400 && e.Status != 413 {
				t.Errorf("%d", e.Status)
			}
		} else if again, err := people.ParseProfile(req.Profile.AppendJSON(nil)); err != nil || len(again.Attributes) != len(req.Profile.Attributes) {
			t.Errorf("what was read is not what is written: %v", err)
		}
		if _, err := face.profiles(b); err != nil {
			if e := api.ErrorOf(err); e.Status != 400 && e.Status != 413 {
				t.Errorf("%d", e.Status)
			}
		}
	})
}
