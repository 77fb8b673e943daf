package sync_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	firestoreclient "cloud.google.com/go/firestore"
	"github.com/go-json-experiment/json"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// A canary is a company of two in five sources. Every value that they say of
// Ada holds a word that is nowhere else; those of a kind that has to be short
// are words themselves. Bob is there to see that nothing of his goes.
type canary struct {
	w *synctest.World
	// other is the vault, if it is not the world's own; client looks into it.
	other  sinks.Store
	client *firestoreclient.Client
	id     people.ID
	long   string // does not compress
}

const (
	adaUUID   = "c0ffee00-0000-4000-8000-00000000adaa"
	adaNumber = "77310815"
)

func newCanary(t *testing.T) *canary {
	t.Helper()
	w := synctest.New(t)
	w.OnDisk(t)
	for _, file := range []string{synctest.AccountsFile, synctest.DirectoryFile, synctest.GitHubFile} {
		w.AddSource(file)
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	noise := make([]byte, 11<<10) // several pages of SQLite, and nearly all that a value may have
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	c := &canary{w: w, long: base64.RawURLEncoding.EncodeToString(noise)}
	return c
}

// words are what may be nowhere after the erasure. The long one is looked for in
// parts, as it does not lie in one piece.
func (c *canary) words() []string {
	list := []string{"zadaone", "zadatwo", "Zadafirst", "Zadalast", "zadamail", "zadaalias", "Zadatitle", "ZADA-E77", adaUUID, adaNumber, "zadahub", "zadanode", "Zadaoffice", "Zadateam", "zadagroup", "zadapronoun", "zadairc", "Zadareason"}
	for at := 0; at+40 <= len(c.long); at += 997 {
		list = append(list, c.long[at:at+40])
	}
	return list
}

// write lays the sources of a day. Ada is in those that are named.
func (c *canary) write(t *testing.T, n int, login string, in ...string) {
	t.Helper()
	has := func(source string) bool { return slices.Contains(in, source) }
	ldif := "version: 1\n\ndn: uid=bob,o=com,dc=example\nobjectClass: inetOrgPerson\nentryUUID: 00000000-0000-4000-8000-00000000000b\nuid: bob\ncn: Bob\ngivenName: Bob\nsn: Stone\nmail: bob@example.com\n" +
		fmt.Sprintf("title: Day %d\n", n)
	if has("ldap") {
		ldif += fmt.Sprintf("\ndn: uid=%s,o=com,dc=example\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nentryUUID: %s\nuid: %s\nuidNumber: %s\ngidNumber: 100\nhomeDirectory: /home/%s\ncn: Zadafirst Zadalast\ngivenName: Zadafirst\nsn: Zadalast\ntitle: Zadatitle %d\nmail: zadamail@example.com\n",
			login, adaUUID, login, adaNumber, login, n) +
			fmt.Sprintf("\ndn: cn=vpn,ou=groups,dc=example\nobjectClass: groupOfNames\ncn: vpn\nmember: uid=%s,o=com,dc=example\n", login)
	}
	c.w.Write(t, synctest.PeopleFile, ldif)
	rows := `{"EmployeeID": "E1", "CurrentlyActive": "1", "PrimaryWorkEmail": "bob@example.com", "businessTitle": "Mason"}`
	if has("hris") {
		rows += fmt.Sprintf(`, {"EmployeeID": "ZADA-E77", "CurrentlyActive": "1", "PrimaryWorkEmail": "zadamail@example.com", "businessTitle": "Zadatitle %d", "Team": "Zadateam", "LocationDescription": "Zadaoffice"}`, n)
	}
	c.w.Write(t, synctest.WorkersFile, `{"Report_Entry": [`+rows+`]}`)
	accounts := `{"user_id": "ad|Mozilla-LDAP|bob", "email": "bob@example.com", "email_verified": true, "created_at": "2020-01-01T00:00:00.000Z", "identities": [{"connection": "Mozilla-LDAP", "provider": "ad", "user_id": "Mozilla-LDAP|bob"}]}` + "\n"
	if has("auth0") {
		accounts += fmt.Sprintf(`{"user_id": "ad|Mozilla-LDAP|%s", "email": "zadaalias%d@example.com", "email_verified": true, "given_name": "Zadafirst", "family_name": "Zadalast", "created_at": "2020-01-01T00:00:00.000Z", "identities": [{"connection": "Mozilla-LDAP", "provider": "ad", "user_id": "Mozilla-LDAP|%s"}]}`, login, n, login) + "\n"
	}
	c.w.Write(t, synctest.AccountsFile, accounts)
	directory := `{"user_id": "ad|Mozilla-LDAP|bob", "pronouns": "he/him"}` + "\n"
	if has("directory") {
		directory += fmt.Sprintf(`{"user_id": "ad|Mozilla-LDAP|%s", "first_name": {"value": "Zadafirst %d", "display": "public"}, "pronouns": {"value": "zadapronoun", "display": "staff"}, "description": {"value": %q, "display": "staff"}, "alternative_name": "Zadaalias", "usernames": {"value": {"EA#irc": "zadairc"}, "display": "staff"}, "identities.github_id_v3": {"value": %q, "display": "staff"}, "access_information.mozilliansorg": ["zadagroup"]}`,
			login, n, fmt.Sprint(n)+c.long, adaNumber) + "\n"
	}
	c.w.WriteDirectory(t, directory)
	github := `{"organizations": [{"login": "acme", "id": 1, "members": [{"id": 4, "login": "someone", "node_id": "MDQ=", "role": "member"}%s], "outside_collaborators": [], "teams": []}], "users": [{"id": 4, "email": "s@example.net"}%s]}`
	member, user := "", ""
	if has("github") {
		member = `, {"id": ` + adaNumber + `, "login": "zadahub", "node_id": "zadanode", "role": "member"}`
		user = `, {"id": ` + adaNumber + `, "email": "zadahub@example.net"}`
	}
	c.w.Write(t, synctest.GitHubFile, fmt.Sprintf(github, member, user))
}

// everywhere are all sources.
var everywhere = []string{"ldap", "hris", "auth0", "directory", "github"}

// live has Ada come, change, be renamed, be a case and set aside, and leave.
func (c *canary) live(t *testing.T) (last int) {
	t.Helper()
	ctx := t.Context()
	free := func(j *sync.Job, _ *sync.Options) {
		for i := range j.Sources {
			j.Sources[i].Confirm, j.Sources[i].Grace = 0, 0
		}
	}
	// Her HRIS row and her account wait before she comes.
	c.write(t, 0, "zadaone", "hris", "github", "directory")
	must(t, c.w, day(0), synctest.FirstLoad, free)
	c.write(t, 1, "zadaone", everywhere...)
	must(t, c.w, day(1), free, func(j *sync.Job, _ *sync.Options) { j.Reason = "because Zadalast came" })
	var err error
	if c.id, _, err = normalize.ID(synctest.Salt, "ad|Mozilla-LDAP|zadaone"); err != nil {
		t.Fatal(err)
	}
	if err := sync.Decide(ctx, c.store(t), sync.Link{Publisher: people.HRIS, Record: "ZADA-E77", Person: c.id, By: "bob", Reason: "Zadareason", At: day(1)}); err != nil {
		t.Fatal(err)
	}
	c.write(t, 2, "zadaone", everywhere...)
	must(t, c.w, day(2), free)
	c.write(t, 3, "zadatwo", everywhere...) // renamed
	must(t, c.w, day(3), free)
	c.write(t, 4, "zadatwo", everywhere...)
	must(t, c.w, day(4), free)
	for n := 5; n <= 8; n++ { // and gone
		c.write(t, n, "zadatwo")
		must(t, c.w, day(n), free)
	}
	return 8
}

// scan looks into every file of the world's folder but for the sources' own, and
// into whatever is compressed in one, and returns which words are where.
func (c *canary) scan(t *testing.T) map[string][]string {
	t.Helper()
	sources := []string{synctest.PeopleFile, synctest.WorkersFile, synctest.AccountsFile, synctest.DirectoryFile, synctest.GitHubFile}
	found := map[string][]string{}
	err := filepath.WalkDir(c.w.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || slices.Contains(sources, e.Name()) {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, c.w.Dir+"/")
		for _, word := range synctest.Holding(body, c.words()) {
			found[word] = append(found[word], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.client != nil {
		c.documents(t, func(path string, body []byte) {
			for _, word := range synctest.Holding(body, c.words()) {
				found[word] = append(found[word], path)
			}
		})
	}
	return found
}

func (c *canary) order() sync.Order {
	return sync.Order{Person: c.id, Door: "test", Reason: "they asked for it"}
}

func (c *canary) erase(t *testing.T, at time.Time, change func(*sync.Order)) (sync.Erased, error) {
	t.Helper()
	c.w.At(at)
	c.w.Use()
	o := c.order()
	if change != nil {
		change(&o)
	}
	return sync.Erase(t.Context(), c.w.Job, c.w.Options, o)
}

// store is the vault.
func (c *canary) store(t *testing.T) sinks.Store {
	t.Helper()
	if c.other != nil {
		return c.other
	}
	return c.w.Store(t)
}

// open is a store that steps close in name only.
type open struct{ sinks.Store }

func (open) Close() error { return nil }

// onFirestore puts the vault into the emulator.
func (c *canary) onFirestore(t *testing.T) {
	t.Helper()
	e := emulator.Start(t)
	project := e.Project(t)
	s, err := firestore.Open(t.Context(), project, firestore.Options{Now: c.w.Now, Unramped: true, Client: e.Options()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if c.client, err = firestoreclient.NewClient(t.Context(), project, e.Options()...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.client.Close() })
	c.other = s
	c.w.WrapStore = func(sinks.Store) sinks.Store { return open{s} }
}

// documents calls yield with all that every document of the database holds.
func (c *canary) documents(t *testing.T, yield func(path string, body []byte)) {
	t.Helper()
	var collections func(it *firestoreclient.CollectionIterator)
	collections = func(it *firestoreclient.CollectionIterator) {
		list, err := it.GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, collection := range list {
			refs, err := collection.DocumentRefs(t.Context()).GetAll() // those too that only have collections
			if err != nil {
				t.Fatal(err)
			}
			for _, ref := range refs {
				_, path, _ := strings.Cut(ref.Path, "/documents/")
				doc, err := ref.Get(t.Context())
				if err != nil && status.Code(err) != codes.NotFound {
					t.Fatal(err)
				}
				yield(path, []byte(path))
				for _, v := range doc.Data() {
					yield(path, bytesOf(v))
				}
				collections(ref.Collections(t.Context()))
			}
		}
	}
	collections(c.client.Collections(t.Context()))
}

// bytesOf is all text and bytes in a value of Firestore's.
func bytesOf(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	case []any:
		var all []byte
		for _, x := range v {
			all = append(append(all, bytesOf(x)...), 0)
		}
		return all
	case map[string]any:
		var all []byte
		for k, x := range v {
			all = append(append(append(all, k...), bytesOf(x)...), 0)
		}
		return all
	}
	return []byte(fmt.Sprint(v))
}

// delivered has the subscriber take all notifications.
func (c *canary) delivered(t *testing.T) {
	t.Helper()
	rows, err := c.store(t).Outbox(t.Context(), synctest.Subscriber, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if _, err := c.store(t).Delivered(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// bodies are the profiles of everybody else, in all snapshots that are kept.
func (c *canary) bodies(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := c.w.Blobs().Names(t.Context(), "snapshots/")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		run, found := strings.CutSuffix(strings.TrimPrefix(name, "snapshots/"), "/manifest.json")
		if !found {
			continue
		}
		w, err := snapshots.Open(t.Context(), c.w.Blobs(), run)
		if err != nil {
			t.Fatal(err)
		}
		for i := range w.Rows.Len() {
			r := w.Rows.At(i)
			p, err := w.Profile(t.Context(), r)
			switch {
			case errors.Is(err, snapshots.ErrErased):
				out[run+" "+r.ID.String()] = "erased"
			case err != nil:
				t.Fatalf("%s: %s: %v", run, r.ID, err)
			default:
				out[run+" "+r.ID.String()] = string(p.AppendJSON(nil))
			}
		}
		w.Close()
	}
	return out
}

// TestErase has everything that can be known of somebody written down
// everywhere, erases them, and looks whether anything of it is anywhere.
func TestErase(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testErase(t, newCanary(t)) })
	t.Run("firestore", func(t *testing.T) {
		c := newCanary(t)
		c.onFirestore(t)
		testErase(t, c)
	})
}

func testErase(t *testing.T, c *canary) {
	last := c.live(t)
	c.delivered(t)
	before := c.bodies(t)
	found := c.scan(t)
	for _, word := range c.words() { // or the scan proves nothing
		if len(found[word]) == 0 {
			t.Errorf("before the erasure %.20q is nowhere", word)
		}
	}
	where := []string{"vault.db"}
	if c.client != nil {
		where = []string{"people/", "observations/", "ledger/"}
	}
	for _, place := range append(where, "blobs/snapshots/") { // each kind of place
		if !slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(found))...), func(p string) bool { return strings.HasPrefix(p, place) }) {
			t.Errorf("before the erasure nothing is found in %s", place)
		}
	}
	done, err := c.erase(t, day(last).Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.delivered(t) // the last notification names them
	if _, err := c.store(t).Erase(t.Context(), sinks.Fence{}, c.id, ""); err != nil {
		t.Fatal(err)
	}
	for word, places := range c.scan(t) {
		t.Errorf("after the erasure %.20q is in %s", word, places)
	}
	erased := 0
	for key, is := range c.bodies(t) {
		switch {
		case is == "erased" && strings.HasSuffix(key, c.id.String()):
			erased++
		case is != before[key]:
			t.Errorf("%s is another", key)
		}
	}
	if erased < 5 {
		t.Errorf("%d snapshots say that the person was erased", erased)
	}
	r := done.Receipt
	if r.Person != c.id || r.Revision < 2 || r.Stores.BlobsRewritten == 0 || r.Stores.LedgerRemoved != 1 || r.Stores.LedgerRewritten != 1 || done.Already {
		t.Errorf("the receipt says %+v", r)
	}
	doc, err := sign.VerifyDocument(c.w.Keys(t), people.CIS, sync.ReceiptTyp, done.Signed.JWS, sign.Policy{})
	if err != nil || string(doc) != string(done.Signed.Receipt) {
		t.Errorf("the receipt does not verify: %v", err)
	}

	// Once more changes nothing, and says the same.
	again, err := c.erase(t, day(last).Add(2*time.Hour), nil)
	if err != nil || !again.Already || again.Signed.JWS != done.Signed.JWS {
		t.Errorf("erased twice: %v, already %v", err, again.Already)
	}

	// The next run knows nothing of them, and goes on.
	c.write(t, last+1, "zadatwo")
	rec := must(t, c.w, day(last+1))
	w, err := snapshots.Open(t.Context(), c.w.Blobs(), rec.Run)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, ok := w.Rows.Find(c.id); ok || rec.People != 1 {
		t.Errorf("the next snapshot has the person: %v, people %d", ok, rec.People)
	}
	for _, s := range w.Manifest.Sources {
		table, err := w.Records(t.Context(), s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range table.Len() {
			if table.At(i).Person == c.id {
				t.Errorf("the next table of %s has a record of theirs", s.Name)
			}
		}
	}
	for word, places := range c.scan(t) {
		t.Errorf("after the next run %.20q is in %s", word, places)
	}

	// Hired again, they are somebody new whose revisions go on.
	c.write(t, last+2, "zadaone", everywhere...)
	must(t, c.w, day(last+2))
	p, err := c.store(t).Person(t.Context(), c.id)
	if err != nil || p.Revision != r.Revision+1 {
		t.Fatalf("they came back with revision %d after %d: %v", p.Revision, r.Revision, err)
	}
	history, err := c.store(t).History(t.Context(), c.id, 0)
	if err != nil || len(history) != 1 {
		t.Errorf("they came back with %d revisions: %v", len(history), err)
	}
	if rec = must(t, c.w, day(last+3)); rec.Writes != 0 {
		t.Errorf("the day after %d are written", rec.Writes)
	}

	// While the sources have them, they are not erased; unless it must be.
	var still *sync.StillThereError
	if _, err := c.erase(t, day(last+3).Add(time.Hour), nil); !errors.As(err, &still) || len(still.Sources) != 5 {
		t.Errorf("erased while the sources have them: %v", err)
	}
	if _, err := c.erase(t, day(last+3).Add(time.Hour), func(o *sync.Order) { o.Force, o.Reason = true, "says zadamail@example.com" }); !errors.Is(err, sync.ErrNamed) {
		t.Errorf("a reason that names them: %v", err)
	}
	forced, err := c.erase(t, day(last+3).Add(time.Hour), func(o *sync.Order) { o.Force = true })
	if err != nil || !forced.Forced {
		t.Fatalf("forced: %v", err)
	}
	c.delivered(t)
	if _, err := c.store(t).Erase(t.Context(), sinks.Fence{}, c.id, ""); err != nil {
		t.Fatal(err)
	}
	for word, places := range c.scan(t) {
		t.Errorf("after the second erasure %.20q is in %s", word, places)
	}
	d, err := c.store(t).Doc(t.Context(), "erasure", c.id.String())
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Earlier []sync.SignedReceipt `json:"earlier"`
	}
	if err := json.Unmarshal(d.Body, &kept); err != nil || len(kept.Earlier) != 1 || kept.Earlier[0].JWS != done.Signed.JWS {
		t.Errorf("the first receipt is not kept: %v", err)
	}
	must(t, c.w, day(last+4)) // and back
	if p, err = c.store(t).Person(t.Context(), c.id); err != nil || p.Revision != forced.Revision+1 {
		t.Errorf("they came back with revision %d after %d: %v", p.Revision, forced.Revision, err)
	}
}

// A meddler does something behind a run's back, the first time it commits.
type meddler struct {
	sinks.Store
	meddle *func(sinks.Store, []sinks.Commit)
}

func (m meddler) Commit(ctx context.Context, f sinks.Fence, commits []sinks.Commit) ([]error, error) {
	if do := *m.meddle; do != nil {
		*m.meddle = nil
		do(m.Store, commits)
	}
	return m.Store.Commit(ctx, f, commits)
}

// TestErasedMeanwhile erases somebody between a run's plan and its writes, which
// no door does that takes the lease: what the plan has of them was said before.
func TestErasedMeanwhile(t *testing.T) {
	c := newCanary(t)
	ctx := t.Context()
	c.write(t, 0, "zadaone")
	must(t, c.w, day(0), synctest.FirstLoad)
	var err error
	if c.id, _, err = normalize.ID(synctest.Salt, "ad|Mozilla-LDAP|zadaone"); err != nil {
		t.Fatal(err)
	}
	var meddle func(sinks.Store, []sinks.Commit)
	c.w.WrapStore = func(s sinks.Store) sinks.Store { return meddler{s, &meddle} }
	erase := func(s sinks.Store) {
		c.w.At(c.w.Now().Add(time.Minute))
		if _, err := s.Erase(ctx, sinks.Fence{}, c.id, "ad|Mozilla-LDAP|zadaone"); err != nil {
			t.Error(err)
		}
	}
	gone := func(revision int64) {
		t.Helper()
		if s, err := c.w.Store(t).Person(ctx, c.id); !errors.Is(err, sinks.ErrNotFound) || s.Revision != revision {
			t.Errorf("after the run they are at %d, want the tombstone's %d: %v", s.Revision, revision, err)
		}
	}
	back := func(n int, revision int64) {
		t.Helper()
		must(t, c.w, day(n))
		if s, err := c.w.Store(t).Person(ctx, c.id); err != nil || s.Revision != revision {
			t.Errorf("the source has them, and they are at %d, want %d: %v", s.Revision, revision, err)
		}
		if rec := must(t, c.w, day(n).Add(time.Hour)); rec.Writes != 0 || rec.People != 2 {
			t.Errorf("and then %d are written, of %d", rec.Writes, rec.People)
		}
	}

	// Somebody new, whom a login made and who was erased.
	c.write(t, 1, "zadaone", everywhere...)
	meddle = func(s sinks.Store, commits []sinks.Commit) {
		i := slices.IndexFunc(commits, func(k sinks.Commit) bool { return k.ID == c.id })
		if results, err := s.Commit(ctx, sinks.Fence{}, commits[i:i+1]); err != nil || results[0] != nil {
			t.Errorf("%v %v", results, err)
		}
		erase(s)
	}
	must(t, c.w, day(1))
	gone(2)
	back(2, 3)

	// Somebody who was to change.
	c.write(t, 3, "zadaone", everywhere...)
	meddle = func(s sinks.Store, _ []sinks.Commit) { erase(s) }
	must(t, c.w, day(3))
	gone(4)
	back(4, 5)

	// Somebody who was to come back over their tombstone, and is erased again.
	erase(c.w.Store(t))
	meddle = func(s sinks.Store, commits []sinks.Commit) {
		i := slices.IndexFunc(commits, func(k sinks.Commit) bool { return k.ID == c.id })
		if commits[i].Expect != 6 {
			t.Errorf("they come back over revision %d", commits[i].Expect)
		}
		if results, err := s.Commit(ctx, sinks.Fence{}, commits[i:i+1]); err != nil || results[0] != nil {
			t.Errorf("%v %v", results, err)
		}
		erase(s)
	}
	must(t, c.w, day(5))
	gone(8)
	back(6, 9)
	// Of an empty vault nobody asks who was there before.
	all, err := synctest.People(ctx, c.w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	c.w.At(day(7))
	for _, p := range all {
		if _, err := c.w.Store(t).Erase(ctx, sinks.Fence{}, p.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	if rec := must(t, c.w, day(8), synctest.FirstLoad); rec.People != 2 {
		t.Errorf("%d came back of 2", rec.People)
	}
	back(9, 11)
}
