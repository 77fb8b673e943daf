package console_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.org/cis/api"
	"example.org/cis/api/console"
	"example.org/cis/api/person"
	runs "example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

// everything are scopes with which all of a profile is seen.
var everything = []string{"read:fullprofile", "display:all", "read:explain", "read:history"}

// token makes one that looks like those of issuers, which the tests accept.
func token(scopes ...string) string {
	payload, _ := json.Marshal(map[string]any{"exp": time.Now().Add(50 * time.Minute).Unix(), "scope": strings.Join(scopes, " ")})
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".secret-part-of-a-token"
}

type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (*api.Caller, error) {
	parts := strings.Split(token, ".")
	refused := &api.Error{Status: 401, Code: "invalid_header", Description: "Unable to parse authentication token"}
	if len(parts) != 3 {
		return nil, refused
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Scope string `json:"scope"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return nil, refused
	}
	scopes := strings.Fields(claims.Scope)
	slices.Sort(scopes)
	if slices.Contains(scopes, "barred") {
		return nil, &api.Error{Status: 403, Code: "barred", Description: "this is not for you"}
	}
	return &api.Caller{Issuer: "https://issuer.example.org/", Subject: "tests", Scopes: scopes}, nil
}

// A reader fails while it is told to.
type reader struct {
	*sqlite.Store
	fail atomic.Bool
}

func (r *reader) Version(ctx context.Context) (int64, error) {
	if r.fail.Load() {
		return 0, errors.New("out of reach")
	}
	return r.Store.Version(ctx)
}

func (r *reader) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	if r.fail.Load() {
		return nil, errors.New("out of reach")
	}
	return r.Store.Lookup(ctx, keys)
}

// A safe buffer is written and read by several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A world is a vault with people, and the Person API and the page over it.
type world struct {
	store *reader
	url   string
	stop  func()
	log   safe
	// asked are the addresses and referrers that browsers sent.
	asked safe
}

var cat = catalogue.Default()

func newWorld(t *testing.T, profiles ...*people.Profile) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "cis.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{store: &reader{Store: store}}
	for _, p := range profiles {
		w.put(t, p)
	}
	seal, err := person.NewSeal([]byte("a secret"), rand.Reader, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	routes := append(console.New(), person.New(person.Options{
		Store: w.store, Catalogue: cat, Seal: seal, Version: "1", Now: time.Now, Explain: explain, Revisions: w.revisions,
		Everybody: func(context.Context) (person.Snapshot, error) { return person.Snapshot{}, person.ErrNoSnapshot },
	})...)
	server, err := api.NewServer(api.Options{
		Auth: tokens{}, Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Registry: prometheus.NewRegistry(),
		Tracer: noop.NewTracerProvider().Tracer(""), Now: time.Now, Random: rand.Reader,
	}, routes...)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(&w.asked, "%s %s referrer=%q cookie=%q\n", r.Method, r.RequestURI, r.Referer(), r.Header.Get("Cookie"))
		server.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	w.url, w.stop = srv.URL, srv.Close
	return w
}

// put writes a profile as the next revision of the person.
func (w *world) put(t *testing.T, p *people.Profile) {
	t.Helper()
	id, err := people.ParseID(p.Value(people.UUID).Text())
	if err != nil {
		t.Fatal(err)
	}
	before := cat.NullProfile()
	s, err := w.store.Person(t.Context(), id)
	switch {
	case err == nil:
		body, err := sinks.Unpack(s.Profile)
		if err != nil {
			t.Fatal(err)
		}
		if before, err = people.ParseProfile(body); err != nil {
			t.Fatal(err)
		}
	case !errors.Is(err, sinks.ErrNotFound):
		t.Fatal(err)
	}
	op := people.Operation{Class: people.Create, Source: "hris"}
	if s.Revision > 0 {
		op.Class = people.Update
	}
	content := func(a people.Attribute) people.Content {
		return people.Content{Value: a.Value, Display: a.Metadata.Display, Verified: a.Metadata.Verified}
	}
	for _, a := range p.Attributes {
		old, _ := before.Find(a.Path)
		if !old.Value.Equal(a.Value) || old.Metadata.Display != a.Metadata.Display {
			op.Changes = append(op.Changes, people.Change{Path: a.Path, Old: content(old), New: content(a.Attribute), Publisher: "hris", Rule: "updater", Source: "hris"})
		}
	}
	at := time.Date(2026, 3, 1+int(s.Revision), 6, 0, 0, 0, time.UTC)
	rev := people.Revision{Number: s.Revision + 1, RecordedAt: at, Cause: people.Cause{Run: at.Format("20060102t150405z") + "-0badcafe", Door: "sync"}, Operations: []people.Operation{op}}
	results, err := w.store.Commit(t.Context(), sinks.Fence{}, []sinks.Commit{{ID: id, Expect: s.Revision, Revision: s.Revision + 1,
		Profile: sinks.Pack(p.AppendJSON(nil)), Keys: runs.Keys(p, &people.Evidence{}), History: sinks.Pack(rev.AppendJSON(nil))}})
	if err != nil || results[0] != nil {
		t.Fatal(err, results)
	}
}

func (w *world) revisions(ctx context.Context, id people.ID) (list []people.Revision, err error) {
	docs, err := w.store.History(ctx, id, 0)
	for _, d := range docs {
		rev, err := runs.UnpackRevision(d.Doc)
		if err != nil {
			return nil, err
		}
		list = append(list, rev)
	}
	return list, err
}

// explain says of every attribute that the HR system said it. The signature of
// what is wrongly signed does not verify.
func explain(_ context.Context, s sinks.Stored, p *people.Profile, _ people.Path) (person.Explanation, error) {
	seen := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	x := person.Explanation{Person: s.ID, Revision: s.Revision, Authority: "hris", Records: []person.Record{
		{Publisher: "hris", Source: "hris", Lifecycle: people.Present, SeenAt: seen}, {Publisher: "access_provider", Source: "auth0", Lifecycle: people.Gone, SeenAt: seen}}}
	for _, a := range p.Attributes {
		if a.Value.IsEmpty() {
			continue
		}
		sig := person.Signature{Publisher: a.Signature.Publisher.Name, Algorithm: a.Signature.Publisher.Alg, Key: "NA5wpgTOfpTOpbP-", Bound: true, Verifies: true}
		if a.Signature.Publisher.Value == "broken" {
			sig.Verifies, sig.Wrong = false, "it is not made with that key"
		}
		x.Attributes = append(x.Attributes, person.Explained{Explanation: merge.Explanation{
			Path: a.Path, Content: people.Content{Value: a.Value, Display: a.Metadata.Display, Verified: true}, Source: "hris", Rule: merge.RuleUpdater,
			Words: []merge.Word{
				{Publisher: "hris", Says: merge.SaysValue, Value: a.Value, Display: a.Metadata.Display, Verified: true, Counts: true, Code: merge.Updates, Reason: merge.Because(merge.RuleUpdater)},
				{Publisher: "ldap", Says: merge.SaysValue, Value: people.StringValue("<b>something else</b>"), Display: a.Metadata.Display, Verified: true, Code: merge.Later, Reason: "comes after the HR system", By: "hris"},
				{Publisher: "mozilliansorg", Says: merge.NoRecord, Code: merge.Absent, Reason: "has no record of the person"},
			},
			Display: "proposed by the HR system", Outlook: "The HR system can change it by saying something else.",
		}, Since: seen, RecordedAt: seen, Signature: sig})
	}
	return x, nil
}

func idOf(n int) people.ID { return people.ID{byte(n >> 8), byte(n), 0x40, 15: 1} }

func signed(class, display, publisher string, v people.Value) people.Attribute {
	a := people.Attribute{Value: v, Metadata: people.Metadata{Classification: class, Display: display, Verified: true, Created: "2026-03-02T08:00:00.000Z", LastModified: "2026-03-02T08:00:00.000Z"}}
	a.Signature.Publisher = people.Mark{Alg: "ED25519", Typ: "JWS", Name: publisher, Value: "e30.e30.e30"}
	return a
}

func text(s string) people.Value { return people.StringValue(s) }

// jane is somebody with a value of every kind, class and display.
func jane(change ...func(*people.Profile)) *people.Profile {
	p := cat.NullProfile()
	p.Set(people.UUID, signed("PUBLIC", "public", "cis", text(idOf(1).String())))
	p.Set(people.UserID, signed("PUBLIC", "public", "access_provider", text("ad|Mozilla-LDAP|jdoe")))
	p.Set(people.PrimaryUsername, signed("PUBLIC", "public", "cis", text("r--AHCQaNDWVr66plswZV90ug==")))
	p.Set(people.PrimaryEmail, signed("PUBLIC", "staff", "access_provider", text("jane.doe@example.org")))
	p.Set(people.Active, signed("WORKGROUP CONFIDENTIAL", "", "cis", people.BoolValue(true)))
	p.Set("first_name", signed("PUBLIC", "public", "hris", text("Jane")))
	p.Set("last_name", signed("PUBLIC", "staff", "hris", text("Doe-Ağaoğlu")))
	p.Set("pronouns", signed("WORKGROUP CONFIDENTIAL", "vouched", "mozilliansorg", text("she/her")))
	p.Set("picture", signed("PUBLIC", "public", "mozilliansorg", text("https://pictures.example.org/jane.png?size=264&of=somebody-whose-picture-has-a-very-long-address")))
	p.Set("phone_numbers", signed("WORKGROUP CONFIDENTIAL", "private", "mozilliansorg", people.MapValue(people.Entry{Key: "mobile", Value: "+49 30 55500 3046"})))
	p.Set("identities.mozilla_ldap_id", signed("WORKGROUP CONFIDENTIAL", "staff", "ldap", text("mail=jane.doe@example.org,o=com,dc=example")))
	p.Set("identities.github_id_v3", signed("WORKGROUP CONFIDENTIAL", "", "access_provider", text("20001924")))
	p.Set("staff_information.staff", signed("MOZILLA CONFIDENTIAL", "staff", "hris", people.BoolValue(true)))
	p.Set("staff_information.title", signed("MOZILLA CONFIDENTIAL", "staff", "hris", text("Staff Product Designer")))
	p.Set("staff_information.cost_center", signed("WORKGROUP CONFIDENTIAL: STAFF ONLY", "staff", "hris", text("1850")))
	p.Set("access_information.ldap", signed("PUBLIC", "staff", "ldap", groups("everyone", "office-montréal", "team-2-payments-engineering")))
	for _, c := range change {
		c(p)
	}
	return p
}

func groups(names ...string) people.Value {
	var entries []people.Entry
	for _, n := range names {
		entries = append(entries, people.Entry{Key: n, Null: true})
	}
	return people.MapValue(entries...)
}

// nina is another person.
func nina(p *people.Profile) {
	p.Set(people.UUID, signed("PUBLIC", "public", "cis", text(idOf(2).String())))
	p.Set(people.UserID, signed("PUBLIC", "public", "access_provider", text("email|nina")))
	p.Set(people.PrimaryUsername, signed("PUBLIC", "public", "cis", text("r--nina")))
	p.Set(people.PrimaryEmail, signed("PUBLIC", "staff", "access_provider", text("nina@example.org")))
	p.Set("first_name", signed("PUBLIC", "public", "hris", text("Nina")))
}

// moved is jane after a while: another title, other groups, and an attribute
// whose signature does not verify.
func moved(p *people.Profile) {
	p.Set("staff_information.title", signed("MOZILLA CONFIDENTIAL", "staff", "hris", text("Principal Product Designer")))
	p.Set("access_information.ldap", signed("PUBLIC", "staff", "ldap", groups("everyone", "office-berlin", "team-2-payments-engineering", "g1", "g2", "g3", "g4", "g5", "g6", "g7")))
	bad := signed("PUBLIC", "public", "hris", text("Janet"))
	bad.Signature.Publisher.Value = "broken"
	p.Set("first_name", bad)
}

// A tab is a browser that shows the page of a world.
type tab struct {
	t     *testing.T
	ctx   context.Context
	world *world
	// said is what the browser's log has of errors, but not that an answer was no
	// success; loaded is every address that it asked for.
	said, loaded safe
}

// limit is how long one step may take.
const limit = time.Minute

// browse opens the page in a headless Chromium. Tests without one are skipped,
// or fail if CIS_REQUIRE_ALL is 1.
func browse(t *testing.T, w *world, fragment string) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		if os.Getenv("CIS_REQUIRE_ALL") == "1" {
			t.Fatal("chromium-headless-shell is not installed")
		}
		t.Skip("chromium-headless-shell is not installed")
	}
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("no-proxy-server", true))
	ctx, end := chromedp.NewExecAllocator(t.Context(), o...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, world: w}
	err = chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Source != log.EntrySourceNetwork {
				fmt.Fprintf(&b.said, "%s %s: %s\n", ev.Entry.Level, ev.Entry.Source, ev.Entry.Text)
			}
		case *runtime.EventConsoleAPICalled:
			fmt.Fprintf(&b.said, "console.%s\n", ev.Type)
		case *runtime.EventExceptionThrown:
			fmt.Fprintf(&b.said, "exception: %s\n", ev.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			fmt.Fprintln(&b.loaded, ev.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do(command(network.Enable, network.EnableParams{}))
	b.size(1280, 900)
	b.open(fragment)
	t.Cleanup(func() {
		if s := b.said.String(); s != "" {
			t.Errorf("the browser's log says:\n%s", s)
		}
		for line := range strings.Lines(b.loaded.String()) {
			if !strings.HasPrefix(line, w.url+"/") && !strings.HasPrefix(line, "data:image/svg+xml,") {
				t.Errorf("the page asked for %s", line)
			}
		}
	})
	return b
}

// command is a command of the protocol as an action.
func command[P, R any](c cdp.Command[P, R], p P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(fragment string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(b.world.url+"/"+fragment))
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// keys presses keys where the focus is.
func (b *tab) keys(s string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(s))
}

// slash presses / as a keyboard does: in one event, of which a page can prevent
// that it writes a character. The two that KeyEvent makes do not let it.
func (b *tab) slash() {
	b.t.Helper()
	b.do(command(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: "keyDown", Key: "/", Code: "Slash", Text: "/"}),
		command(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: "keyUp", Key: "/", Code: "Slash"}))
}

// eval evaluates an expression, such as "…" of text.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait waits until an expression is true: it is looked at for each frame.
// (What chromedp has for that makes functions of strings, which the page's policy
// forbids.)
func (b *tab) wait(expression string) {
	b.t.Helper()
	if !eval[bool](b, `new Promise((done) => {
		const end = performance.now() + 25000;
		(function look() {
			if (`+expression+`) done(true);
			else if (performance.now() > end) done(false);
			else requestAnimationFrame(look);
		})();
	})`) {
		b.t.Fatalf("%s never becomes true; the page says: %s", expression, eval[string](b, `document.body.innerText`))
	}
}

// focused is the id of what has the focus, or its label.
const focused = `(document.activeElement.id || document.activeElement.getAttribute("aria-label") || "")`

func (b *tab) hasFocus(id string) { b.t.Helper(); b.wait(fmt.Sprintf("%s === %q", focused, id)) }

// visible is the text of what is shown, "" if it is not.
func (b *tab) visible(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.checkVisibility()).map((e) => e.innerText).join("\n")`, selector))
}

func (b *tab) shows(selector string, want ...string) {
	b.t.Helper()
	got := b.visible(selector)
	for _, w := range want {
		if !strings.Contains(got, w) {
			b.t.Errorf("%s does not say %q but %q", selector, w, got)
		}
	}
}

const enter = "\r"

// login pastes a token, by keyboard alone.
func (b *tab) login(token string) {
	b.t.Helper()
	b.hasFocus("token")
	b.keys(token + enter)
}

// lookUp looks somebody up by keyboard alone and waits for their profile.
func (b *tab) lookUp(who string) {
	b.t.Helper()
	b.hasFocus("who")
	b.keys(who + enter)
	b.hasFocus("name")
}

// picture takes one, into the folder that CIS_SCREENSHOTS names.
func (b *tab) picture(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if len(png) < 5000 {
		b.t.Errorf("the picture of %s has %d bytes", name, len(png))
	}
	dir := cmp.Or(os.Getenv("CIS_SCREENSHOTS"), b.t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// fits demands that nothing is wider than the window.
func (b *tab) fits() {
	b.t.Helper()
	if wide := eval[string](b, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return "";
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1).map((e) => e.tagName + "." + e.className).join(" ") || "the page";
	})()`); wide != "" {
		b.t.Errorf("wider than the window: %s", wide)
	}
}

func TestLookUpByKeyboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jane(), jane(nina))
	w.put(t, jane(moved))
	b := browse(t, w, "")
	b.picture("start")
	secret := token(everything...)
	b.login(secret)
	b.lookUp("Jane.Doe@example.org")
	b.shows("#name", "Janet Doe-Ağaoğlu")
	b.shows("#status", "attributes with a value that you may see")
	b.shows(".person", "active", "revision 2")
	b.shows(".ids", "ad|Mozilla-LDAP|jdoe", "jane.doe@example.org", idOf(1).String())
	b.shows(`[data-path="first_name"]`, "Janet", "shown to public", "public data", "signature does not verify: it is not made with that key")
	b.shows(`[data-path="phone_numbers"]`, "mobile", "+49 30 55500 3046", "private", "workgroup confidential", "hris", "signature of mozilliansorg verifies")
	b.shows(`#part-staff_information`, "cost_center", "1850", "workgroup confidential: staff only")
	b.shows("#sources", "hris says whether the person is here", "access_provider (auth0)", "is gone")
	b.shows("#history", "2026-03-02 06:00 UTC", "revision 2", "run 20260302t060000z-0badcafe", "Staff Product Designer", "Principal Product Designer", "office-montréal", "+ office-berlin")
	if got := b.visible(`[data-path="timezone"]`); got != "" {
		t.Errorf("without a value, and shown: %q", got)
	}
	b.picture("desktop")

	// Onwards by Tab, to the first Why, which Enter opens and closes.
	for range 40 {
		b.keys("\t")
		if eval[string](b, focused) == "Why: first_name" {
			break
		}
	}
	b.hasFocus("Why: first_name")
	if eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
		t.Error("the focus is not seen")
	}
	b.keys(enter)
	why := `[data-path="first_name"] .why`
	b.wait(`document.querySelector('` + why + `').checkVisibility()`)
	b.shows(why, "says Janet", "counts", "it is the one that may change the value", "says <b>something else</b>", "comes after the HR system", "has no record of the person",
		"The HR system can change it by saying something else.", "Display public (proposed by the HR system), classification PUBLIC.", "Jane→Janet", "sync, run 20260302t060000z-0badcafe")
	b.picture("why")
	b.keys(enter)
	b.wait(`!document.querySelector('` + why + `').checkVisibility()`)

	// A slash leads back to the search, where what was asked is selected.
	b.slash()
	b.hasFocus("who")
	b.lookUp(idOf(1).String())
	b.slash()
	b.lookUp("jdoe") // a login
	b.slash()
	b.lookUp("r--AHCQaNDWVr66plswZV90ug==")

	// The address names whom it shows, and nothing else.
	if at := eval[string](b, `location.href`); at != w.url+"/#"+idOf(1).String() {
		t.Errorf("the address is %s", at)
	}
	b.open("#" + idOf(1).String())
	b.hasFocus("name")
	b.slash()
	b.lookUp("nina@example.org")
	b.shows("#name", "Nina Doe-Ağaoğlu")
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.wait(`document.title.startsWith("Janet ")`)
	b.do(chromedp.Evaluate[chromedp.Void](`history.forward()`))
	b.wait(`document.title.startsWith("Nina ")`)
	b.do(chromedp.Evaluate[chromedp.Void](`void document.getElementById("forget").focus()`))
	b.keys(enter)
	b.hasFocus("token")
	b.shows("#status", "The token is forgotten")
	if title := eval[string](b, `document.title`); strings.Contains(title, "Jane") {
		t.Errorf("the title is still %q", title)
	}
	if left := eval[string](b, `location.hash + document.getElementById("result").textContent + JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie`); left != "{}{}" {
		t.Errorf("of a forgotten token is left: %s", left)
	}
	for name, s := range map[string]string{"address": b.loaded.String() + w.asked.String(), "log": w.log.String()} {
		if strings.Contains(s, "secret-part") || strings.Contains(s, secret[:20]) || strings.Contains(s, `cookie="e`) {
			t.Errorf("the token is in an %s: %s", name, s)
		}
	}
	if !strings.Contains(w.asked.String(), "/v2/user/primary_email/Jane.Doe%40example.org?active=any referrer=\"\"") {
		t.Errorf("asked was:\n%s", w.asked.String())
	}
}

func TestEmptyAttributesOnDemand(t *testing.T) {
	t.Parallel()
	b := browse(t, newWorld(t, jane()), "")
	b.login(token(everything...))
	b.lookUp("jane.doe@example.org")
	b.do(chromedp.Evaluate[chromedp.Void](`void document.getElementById("empties").focus()`))
	b.keys(" ")
	b.wait(`document.querySelector('[data-path="timezone"]').checkVisibility()`)
	b.shows(`[data-path="timezone"]`, "empty", "nobody yet")
	b.shows(`#part-access_information`, "hris")
	b.keys(" ")
	b.wait(`!document.querySelector('[data-path="timezone"]').checkVisibility()`)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jane())
	b := browse(t, w, "")
	b.login("two words")
	b.shows("#error", "That is not a token", "cis token")
	b.login("no-token-of-anybody")
	b.hasFocus("who")
	b.keys("jdoe" + enter)
	b.hasFocus("token") // a refused token is forgotten
	b.shows("#error", "The token is not accepted. The service says: Unable to parse authentication token.", "`cis token` prints one where cis serve --dev runs")
	if kept := eval[string](b, `JSON.stringify(sessionStorage)`); kept != "{}" {
		t.Errorf("a refused token is kept: %s", kept)
	}
	b.login("Bearer " + token(everything...)) // goes on where the refused one ended
	b.hasFocus("name")
	b.shows(".ids", "ad|Mozilla-LDAP|jdoe")
	if said := b.visible("#error"); said != "" {
		t.Errorf("an old error stays: %s", said)
	}
	b.slash()
	b.hasFocus("who")
	b.keys("nobody@example.org" + enter)
	b.wait(`document.getElementById("status").innerText.startsWith("Nobody")`)
	b.shows("#status", "Nobody found. Type the whole email, user_id, uuid or username.")
	b.hasFocus("who")
	b.picture("nobody")
	w.store.fail.Store(true)
	b.keys("janet@example.org" + enter)
	b.wait(`document.getElementById("error").checkVisibility()`)
	b.shows("#error", "cannot answer at the moment", "Try again in a minute", "The number of the request is ")
	b.hasFocus("who")
	b.picture("unavailable")
	w.store.fail.Store(false)
	b.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("who").select()`))
	b.lookUp("ad|Mozilla-LDAP|jdoe")
	if said := b.visible("#error"); said != "" {
		t.Errorf("an old error stays: %s", said)
	}
	w.stop()
	b.slash()
	b.hasFocus("who")
	b.keys("jdoe" + enter)
	b.wait(`document.getElementById("error").checkVisibility()`)
	b.shows("#error", "The service does not answer")
	if left := eval[string](b, `document.getElementById("result").textContent`); left != "" {
		t.Errorf("of the last person is left: %s", left)
	}
}

// A token without the scopes for them hides why and history, with a word.
func TestWithoutScopes(t *testing.T) {
	t.Parallel()
	b := browse(t, newWorld(t, jane()), "")
	b.login(token("display:staff"))
	b.lookUp("jdoe")
	b.shows("#no-why", "hidden", "read:explain")
	b.shows("#history", "Hidden", "read:history")
	b.shows(`[data-path="last_name"]`, "Doe-Ağaoğlu", "signed, not verified here")
	if got := b.visible("#result button, #sources, [data-path=\"phone_numbers\"], [data-path=\"staff_information.title\"]"); got != "" {
		t.Errorf("shown is %q", got)
	}
	b.picture("few-scopes")
}

// An answer of 403 that names no scope leads to whoever runs the service.
func TestBarred(t *testing.T) {
	t.Parallel()
	b := browse(t, newWorld(t, jane()), "")
	b.login(token("barred"))
	b.hasFocus("who")
	b.keys("jdoe" + enter)
	b.wait(`document.getElementById("error").checkVisibility()`)
	b.shows("#error", "Your token does not allow this. The service says: this is not for you. Ask whoever runs the service")
	if said := b.visible("#error"); strings.Contains(said, "scope") {
		t.Errorf("a scope that nobody named: %s", said)
	}
}

// Markup in a profile is text: nothing of it becomes part of the page.
func TestMarkupIsText(t *testing.T) {
	t.Parallel()
	const evil = `<img src="/v2/evil" onerror="window.ran=1"><script>window.ran=1</script><a href="javascript:window.ran=1">x</a>`
	w := newWorld(t, jane(), jane(func(p *people.Profile) {
		for _, path := range []people.Path{"first_name", "last_name", "alternative_name", "picture", "staff_information.title", "description"} {
			p.Set(path, signed("PUBLIC", "public", evil, text(evil)))
		}
		p.Set("access_information.ldap", signed("PUBLIC", "staff", "ldap", people.MapValue(people.Entry{Key: evil, Value: evil}, people.Entry{Key: evil + "2", Null: true})))
	}))
	b := browse(t, w, "")
	b.login(token(everything...))
	b.lookUp("jdoe")
	b.do(chromedp.Evaluate[chromedp.Void](`for (const e of document.querySelectorAll("#result button")) e.click(); for (const e of document.querySelectorAll("details")) e.open = true; document.getElementById("empties").click()`))
	b.shows("#name", evil+" "+evil)
	b.shows(`[data-path="picture"] .value`, evil)
	b.shows(`[data-path="access_information.ldap"] .value`, evil, evil+"2")
	b.shows("#history", evil)
	if made := eval[int](b, `document.querySelectorAll("#result img, #result script, #result iframe, #result a:not(.tools a), #result b").length + (window.ran ? 1000 : 0)`); made != 0 {
		t.Errorf("%d elements of markup", made)
	}
	if strings.Contains(w.asked.String(), "evil") || strings.Contains(b.loaded.String(), "pictures.example.org") {
		t.Errorf("something of a profile was loaded:\n%s", b.loaded.String())
	}
	b.size(390, 844)
	b.fits()
}

func TestPhoneAndDark(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jane())
	w.put(t, jane(moved))
	b := browse(t, w, "")
	b.size(390, 844)
	b.fits()
	b.login(token(everything...))
	b.hasFocus("who")
	b.fits()
	b.lookUp("jane.doe@example.org")
	b.fits()
	b.picture("phone")
	b.do(chromedp.Evaluate[chromedp.Void](`for (const e of document.querySelectorAll("#result button")) e.click(); for (const e of document.querySelectorAll("details")) e.open = true; document.getElementById("empties").click()`))
	b.fits()
	b.picture("phone-open")
	b.size(820, 1100)
	b.fits()
	b.open("#" + idOf(1).String())
	b.hasFocus("name")
	b.picture("tablet")
	b.size(1280, 900)
	b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}))
	b.wait(`matchMedia("(prefers-color-scheme: dark)").matches`)
	b.fits()
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-path="staff_information.title"] button').click()`))
	b.picture("dark")
}
