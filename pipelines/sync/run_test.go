package sync_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/connectors/synth"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// day is when the run of the n-th day begins.
func day(n int) time.Time { return time.Date(2026, 3, 2+n, 6, 0, 0, 0, time.UTC) }

// company writes the sources of a synthetic company's day.
func company(t testing.TB, w *synctest.World, size, n int) {
	t.Helper()
	for _, file := range []string{synctest.AccountsFile, synctest.DirectoryFile, synctest.GitHubFile} {
		if len(w.Job.Sources) < 5 {
			w.AddSource(file)
		}
	}
	if _, err := synth.Write(context.Background(), w.Dir, synth.Options{People: size, Seed: 7, Day: n}); err != nil {
		t.Fatal(err)
	}
}

// must is a run that ends without an error.
func must(t testing.TB, w *synctest.World, at time.Time, change ...func(*sync.Job, *sync.Options)) sync.Record {
	t.Helper()
	rec, err := w.Sync(context.Background(), at, change...)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func dump(t testing.TB, w *synctest.World) string {
	t.Helper()
	b, err := synctest.Dump(context.Background(), w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same fails with the first line that differs.
func same(t testing.TB, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		at := 0
		for at < min(len(a[i]), len(b[i])) && a[i][at] == b[i][at] {
			at++
		}
		around := func(s string) string { return s[max(0, at-300):min(len(s), at+100)] }
		t.Fatalf("%s: line %d differs\nwant …%s\ngot  …%s", what, i+1, around(a[i]), around(b[i]))
	}
	t.Fatalf("%s: %d lines, want %d", what, len(b), len(a))
}

func head(t testing.TB, w *synctest.World) string {
	t.Helper()
	h, err := sync.Head(context.Background(), w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Small companies, written by hand: LDAP accounts and Workday rows.
func account(n int, uid string, more ...string) string {
	return fmt.Sprintf("dn: uid=%s,o=com,dc=example\nobjectClass: inetOrgPerson\nentryUUID: 00000000-0000-4000-8000-%012d\nuid: %s\nmail: %s@example.com\ngivenName: Given\nsn: %s\n%s\n",
		uid, n, uid, uid, uid, strings.Join(more, ""))
}

func group(cn string, members ...string) string {
	b := "dn: cn=" + cn + ",ou=groups,dc=example\nobjectClass: groupOfNames\ncn: " + cn + "\n"
	for _, m := range members {
		b += "member: uid=" + m + ",o=com,dc=example\n"
	}
	return b + "\n"
}

func worker(id, uid, title, team string) string {
	return fmt.Sprintf(`{"EmployeeID":%q,"CurrentlyActive":"1","PrimaryWorkEmail":"%s@example.com","businessTitle":%q,"Team":%q}`, id, uid, title, team)
}

func write(t testing.TB, w *synctest.World, accounts, rows []string) {
	t.Helper()
	w.Write(t, synctest.PeopleFile, strings.Join(accounts, ""))
	w.Write(t, synctest.WorkersFile, `{"Report_Entry":[`+strings.Join(rows, ",\n")+`]}`)
}

// TestRunnersAgree runs the same days on the direct runner and on prism, with
// several parts a plan: the plans and the vaults are the same to the byte.
func TestRunnersAgree(t *testing.T) {
	outcome := func(runner string) (plans []string, vault string) {
		w := synctest.New(t)
		w.Store(t)
		w.Job.PartSize = 25
		for n := range 2 {
			company(t, w, 80, n)
			rec := must(t, w, day(n), synctest.FirstLoad, func(_ *sync.Job, o *sync.Options) { o.Runner = runner })
			p, err := sync.ReadPlan(t.Context(), w.Blobs(), rec.Run)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 && len(p.Parts) < 2 {
				t.Fatalf("%d parts: want several", len(p.Parts))
			}
			p.ID, p.Job = "", sync.Job{} // where things are
			b, err := json.Marshal(p, json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, strings.ReplaceAll(string(b), w.Dir, "DIR"))
		}
		return plans, dump(t, w)
	}
	plans, vault := outcome("direct")
	others, other := outcome("prism")
	for i := range plans {
		same(t, fmt.Sprintf("plan of day %d", i), plans[i], others[i])
	}
	same(t, "vault", vault, other)
}

// TestImportFirst begins with a vault that was filled by an import: it is not
// empty, so the first sync needs no declaration; it attaches the sources'
// records to the people who are there, and neither makes nor relinks anybody.
func TestImportFirst(t *testing.T) {
	ctx := t.Context()
	old, w := synctest.New(t), synctest.New(t)
	for _, w := range []*synctest.World{old, w} {
		write(t, w, []string{account(1, "ada", "mobile: 1\n"), account(2, "bob"), group("vpn", "ada")},
			[]string{worker("E1", "ada", "Chief", "Board"), worker("E2", "bob", "Cook", "Kitchen")})
	}
	must(t, old, day(0), synctest.FirstLoad)
	all, err := synctest.People(ctx, old.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	var commits []sinks.Commit
	for _, p := range all {
		history, err := json.Marshal(people.Revision{Number: 1, RecordedAt: day(0), Cause: people.Cause{Door: "import"}})
		if err != nil {
			t.Fatal(err)
		}
		c := sinks.Commit{ID: p.ID, Revision: 1, Profile: sinks.Pack(p.Profile.AppendJSON(nil)), History: sinks.Pack(history)}
		c.Keys = sync.Keys(p.Profile, &people.Evidence{})
		commits = append(commits, c)
	}
	if results, err := w.Store(t).Commit(ctx, sinks.Fence{}, commits); err != nil || slices.ContainsFunc(results, func(e error) bool { return e != nil }) {
		t.Fatal(results, err)
	}
	rec := must(t, w, day(1))
	for class, n := range rec.Operations {
		if n != 0 {
			t.Errorf("%d operations of class %s, want none: the sources say what was imported", n, class)
		}
	}
	if rec.Outcome != sync.Done || rec.People != 2 || rec.Cases != 0 {
		t.Errorf("outcome %s, %d people, %d cases", rec.Outcome, rec.People, rec.Cases)
	}
	now, err := synctest.People(ctx, w.Store(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range now {
		if len(p.Evidence.Observations) != 2 {
			t.Errorf("%s has %d records, want 2", p.ID, len(p.Evidence.Observations))
		}
		if string(p.Profile.AppendJSON(nil)) != string(all[i].Profile.AppendJSON(nil)) {
			t.Errorf("%s changed", p.ID)
		}
	}
	write(t, w, []string{account(1, "ada", "mobile: 1\n"), account(2, "bob"), group("vpn", "ada")},
		[]string{worker("E1", "ada", "Chief", "Board"), worker("E2", "bob", "Baker", "Kitchen")})
	if rec := must(t, w, day(2)); rec.Operations[people.Update] != 1 || rec.Writes != 1 {
		t.Errorf("the day after: %v, %d writes; want one update", rec.Operations, rec.Writes)
	}
}

// counted is a store that counts what is asked of it, by method.
type counted struct {
	sinks.Store
	calls map[string]*atomic.Int64
}

func newCounted() counted {
	c := counted{calls: map[string]*atomic.Int64{}}
	for _, name := range []string{"Person", "People", "List", "History", "Lookup", "Commit"} {
		c.calls[name] = new(atomic.Int64)
	}
	return c
}

func (c counted) over(s sinks.Store) sinks.Store { c.Store = s; return c }

func (c counted) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	c.calls["Person"].Add(1)
	return c.Store.Person(ctx, id)
}

func (c counted) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	c.calls["People"].Add(1)
	return c.Store.People(ctx, ids)
}

func (c counted) List(ctx context.Context, after people.ID, limit int) ([]sinks.Stored, error) {
	c.calls["List"].Add(1)
	return c.Store.List(ctx, after, limit)
}

func (c counted) History(ctx context.Context, id people.ID, after int64) ([]sinks.HistoryDoc, error) {
	c.calls["History"].Add(1)
	return c.Store.History(ctx, id, after)
}

func (c counted) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	c.calls["Lookup"].Add(1)
	return c.Store.Lookup(ctx, keys)
}

func (c counted) Commit(ctx context.Context, f sinks.Fence, commits []sinks.Commit) ([]error, error) {
	c.calls["Commit"].Add(1)
	return c.Store.Commit(ctx, f, commits)
}

// TestUnchanged looks at what a run does in which no record changed: it reads
// nobody and signs and writes nothing, whatever the size.
func TestUnchanged(t *testing.T) {
	w := synctest.New(t)
	company(t, w, 60, 0)
	must(t, w, day(0), synctest.FirstLoad)
	before := dump(t, w)
	c := newCounted()
	w.WrapStore = c.over
	first := must(t, w, day(1))
	for name, n := range c.calls {
		if n.Load() != 0 {
			t.Errorf("%s was called %d times", name, n.Load())
		}
	}
	if first.Signatures != 0 || first.Writes != 0 || !first.Snapshot || first.Outcome != sync.Done {
		t.Errorf("%d signatures, %d writes, snapshot %v, outcome %s", first.Signatures, first.Writes, first.Snapshot, first.Outcome)
	}
	same(t, "vault", before, dump(t, w))
	names, err := w.Blobs().Names(t.Context(), snapshots.Dir(first.Run))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{snapshots.Dir(first.Run) + "lists.json", snapshots.Dir(first.Run) + "manifest.json"}; !slices.Equal(names, want) {
		t.Errorf("the snapshot of an unchanged run has %v, want %v", names, want)
	}
}

// tree describes every file below a directory, but for the index of SQLite's
// log, in which readers leave their marks.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") {
			return err
		}
		body, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(body))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDryRun plans the same as the run it rehearses, and leaves every file as it was.
func TestDryRun(t *testing.T) {
	w := synctest.New(t)
	w.OnDisk(t)
	company(t, w, 60, 0)
	must(t, w, day(0), synctest.FirstLoad)
	company(t, w, 60, 1)
	before := tree(t, w.Dir)
	work := t.TempDir()
	dry := must(t, w, day(1), func(j *sync.Job, o *sync.Options) { j.Work, o.DryRun = work, true })
	same(t, "files", before, tree(t, w.Dir))
	real := must(t, w, day(1))
	if fmt.Sprint(dry.Operations, dry.Held, dry.Rejected, dry.Cases, dry.Upcoming) != fmt.Sprint(real.Operations, real.Held, real.Rejected, real.Cases, real.Upcoming) {
		t.Errorf("the dry run said %v, and the run did %v", dry.Operations, real.Operations)
	}
	if dry.Operations[people.Create] == 0 || !dry.DryRun || dry.Snapshot {
		t.Errorf("a dry run with something to do: %+v", dry)
	}
}

// TestMissingKey ends a run before anything is read.
func TestMissingKey(t *testing.T) {
	w := synctest.New(t)
	company(t, w, 50, 0)
	keys, err := keydir.List(w.Job.Keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Publisher == people.HRIS {
			if err := os.Remove(filepath.Join(w.Job.Keys, "hris."+k.ID+".jwk.json")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Sync(t.Context(), day(0), synctest.FirstLoad); !errors.Is(err, sync.ErrKeys) {
		t.Errorf("got %v, want ErrKeys", err)
	}
	if n, err := w.Store(t).Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d people, %v", n, err)
	}
}

// meanwhile does something between plan and apply.
func meanwhile(do func()) func(*sync.Job, *sync.Options) {
	return func(_ *sync.Job, o *sync.Options) {
		o.Progress = func(what string, _, total int64) {
			if what == "signing and writing" && total < 0 { // it begins
				do()
			}
		}
	}
}

// another is a second writer, such as the API: it commits one person under no
// lease, with attributes that hris signs.
type another struct {
	t     testing.TB
	w     *synctest.World
	store sinks.Store
}

func (a another) person(uid string) synctest.Person {
	a.t.Helper()
	ids, err := a.store.Lookup(context.Background(), []people.Key{{Scheme: people.ByUserID, Value: "ad|Mozilla-LDAP|" + uid}})
	if err != nil || len(ids[0]) != 1 {
		a.t.Fatal(ids, err)
	}
	s, err := a.store.Person(context.Background(), ids[0][0])
	if err != nil {
		a.t.Fatal(err)
	}
	p, err := synctest.Unpack(s)
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

func (a another) write(uid string, path people.Path, v people.Value) {
	a.t.Helper()
	ctx := context.Background()
	p := a.person(uid)
	attr, _ := p.Profile.Find(path)
	was := people.ContentOf(attr)
	stamp := a.w.Now().Format(people.TimeFormat)
	attr.Value, attr.Metadata.LastModified, attr.Metadata.Verified = v, stamp, true
	if attr.Metadata.Created == "" {
		attr.Metadata.Created = stamp
	}
	signers, err := keydir.Signers(a.w.Job.Keys)
	if err != nil {
		a.t.Fatal(err)
	}
	if !v.IsNull() {
		if attr, err = sign.Attribute(ctx, signers[people.HRIS], people.HRIS, p.ID, path, attr); err != nil {
			a.t.Fatal(err)
		}
	} else {
		p.Evidence.Cleared = append(p.Evidence.Cleared, people.Cleared{Path: path, Publisher: people.Directory, At: a.w.Now()})
		attr = a.w.Catalogue.Null(path)
	}
	p.Profile.Set(path, attr)
	history, err := json.Marshal(people.Revision{Number: p.Revision + 1, RecordedAt: a.w.Now(), Cause: people.Cause{Door: "api"},
		Operations: []people.Operation{{Class: people.Update, Source: people.HRIS, Changes: []people.Change{{Path: path, Old: was, New: people.ContentOf(attr)}}}}})
	if err != nil {
		a.t.Fatal(err)
	}
	evidence, err := json.Marshal(&p.Evidence)
	if err != nil {
		a.t.Fatal(err)
	}
	c := sinks.Commit{ID: p.ID, Expect: p.Revision, Revision: p.Revision + 1, Profile: sinks.Pack(p.Profile.AppendJSON(nil)),
		Observations: sinks.Pack(evidence), History: sinks.Pack(history)}
	c.Keys = sync.Keys(p.Profile, &p.Evidence)
	results, err := a.store.Commit(ctx, sinks.Fence{}, []sinks.Commit{c})
	if err != nil || results[0] != nil {
		a.t.Fatal(results, err)
	}
}

// conflicting calls between once, just before the first commit of a run.
type conflicting struct {
	sinks.Store
	between func()
	done    *atomic.Bool
}

func (c conflicting) Commit(ctx context.Context, f sinks.Fence, commits []sinks.Commit) ([]error, error) {
	if !c.done.Swap(true) {
		c.between()
	}
	return c.Store.Commit(ctx, f, commits)
}

// TestConcurrentWrite lets somebody else write while a run is between plan and
// apply, or between reading and committing. What they wrote stays; of the run,
// the operations on the very attributes are left and reported, whole, and all
// others are applied.
func TestConcurrentWrite(t *testing.T) {
	for name, when := range map[string]func(w *synctest.World, do func()) func(*sync.Job, *sync.Options){
		"after the plan": func(_ *synctest.World, do func()) func(*sync.Job, *sync.Options) { return meanwhile(do) },
		"before the commit": func(w *synctest.World, do func()) func(*sync.Job, *sync.Options) {
			var done atomic.Bool
			w.WrapStore = func(s sinks.Store) sinks.Store { return conflicting{s, do, &done} }
			return func(*sync.Job, *sync.Options) {}
		},
	} {
		onEach(t, name, func(t *testing.T, w *synctest.World) {
			accounts := []string{account(1, "ada"), account(2, "bob"), account(3, "cid", "title: Poet\n")}
			write(t, w, accounts, []string{worker("E1", "ada", "Cook", "Kitchen"), worker("E2", "bob", "Cook", "Kitchen"), worker("E3", "cid", "Cook", "Kitchen")})
			must(t, w, day(0), synctest.FirstLoad)
			other := another{t, w, w.Store(t)}
			write(t, w, append(accounts, group("wiki", "ada", "bob")),
				[]string{worker("E1", "ada", "Baker", "Bakery"), worker("E2", "bob", "Baker", "Kitchen"), worker("E3", "cid", "Baker", "Kitchen")})
			rec := must(t, w, day(1), when(w, func() {
				other.write("ada", "staff_information.title", people.StringValue("Chef"))
				other.write("bob", "pronouns", people.StringValue("they"))
				other.write("cid", "fun_title", people.NullValue(false))
			}))
			w.WrapStore = nil
			if rec.Moved[people.Update] != 1 || !rec.Attention() {
				t.Errorf("moved %v, want one update, and attention", rec.Moved)
			}
			ada, bob, cid := other.person("ada"), other.person("bob"), other.person("cid")
			for _, x := range []struct {
				p    synctest.Person
				path people.Path
				want string
			}{
				{ada, "staff_information.title", `"Chef"`},        // theirs
				{ada, "staff_information.team", `"Kitchen"`},      // left with it: one operation
				{ada, "access_information.ldap", `{"wiki":null}`}, // applied: another operation
				{bob, "pronouns", `"they"`},
				{bob, "staff_information.title", `"Baker"`},
				{bob, "access_information.ldap", `{"wiki":null}`},
				{cid, "fun_title", "null"},
				{cid, "staff_information.title", `"Baker"`},
			} {
				if got := x.p.Profile.Value(x.path).String(); got != x.want {
					t.Errorf("%s of %s is %s, want %s", x.path, x.p.Profile.Value(people.UserID).Text(), got, x.want)
				}
			}
			if len(cid.Evidence.Cleared) != 1 {
				t.Errorf("the mark that somebody emptied the title was lost: %v", cid.Evidence.Cleared)
			}
			for _, p := range []synctest.Person{ada, bob, cid} {
				if p.Revision != 3 {
					t.Errorf("%s has revision %d, want 3", p.ID, p.Revision)
				}
				for _, f := range sign.Profile(w.Keys(t), p.Profile, sign.Policy{RequireBinding: true}) {
					t.Errorf("%s: %v", f.Path, f.Err)
				}
			}
			// The next run looks again, and now nobody is in the way.
			rec = must(t, w, day(2))
			ada = other.person("ada")
			if got := ada.Profile.Value("staff_information.title").Text() + " " + ada.Profile.Value("staff_information.team").Text(); got != "Baker Bakery" || len(rec.Moved) != 0 || rec.Operations[people.Update] != 1 {
				t.Errorf("the next run: %s, %v, moved %v", got, rec.Operations, rec.Moved)
			}
			if rec := must(t, w, day(3)); rec.Writes != 0 {
				t.Errorf("and the one after writes %d", rec.Writes)
			}
		})
	}
}
