package sync_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// bird is in every value that is published here, and must be in no reason and
// no error.
const bird = "Kanarienvogel"

// A published is a world in which Ada and Bob are in LDAP, and Ada in the HRIS.
type published struct {
	*synctest.World
	t    testing.TB
	door *sync.Door
}

const (
	ada = "ad|Mozilla-LDAP|ada"
	bob = "ad|Mozilla-LDAP|bob"
)

func newPublished(t testing.TB, change ...func(*sync.DoorOptions)) *published {
	w := synctest.New(t)
	write(t, w, []string{account(1, "ada"), account(2, "bob"), group("everyone", "ada", "bob")}, []string{worker("E1", "ada", "Analyst", "Engines")})
	must(t, w, day(0), synctest.FirstLoad)
	w.At(day(0).Add(4 * time.Hour))
	return &published{w, t, w.Door(t, change...)}
}

// of returns a person by user_id.
func (w *published) of(userID string) synctest.Person {
	w.t.Helper()
	found, err := w.Store(w.t).Lookup(context.Background(), []people.Key{{Scheme: people.ByUserID, Value: userID}})
	if err != nil || len(found[0]) != 1 {
		w.t.Fatalf("nobody is %s: %v", userID, err)
	}
	s, err := w.Store(w.t).Person(context.Background(), found[0][0])
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := synctest.Unpack(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func partial(attributes ...people.Named) *people.Profile {
	p := &people.Profile{}
	for _, n := range attributes {
		p.Set(n.Path, n.Attribute)
	}
	return p
}

// says is an attribute that a publisher signs for a person.
func (w *published) says(by people.Publisher, userID string, path people.Path, v people.Value, change ...func(*people.Attribute)) people.Named {
	w.t.Helper()
	return people.Named{Path: path, Attribute: w.Signed(w.t, by, w.of(userID).ID, path, v, change...)}
}

// publish writes, and fails if a value shows in what is said of it.
func (w *published) publish(in sync.Publication) sync.Published {
	w.t.Helper()
	in.By = "https://issuer.example tests"
	out, err := w.door.Publish(context.Background(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", out), bird) {
		w.t.Errorf("a value is in the outcome: %+v", out)
	}
	return out
}

// told is what became of each attribute, in few words.
func told(out sync.Published) string {
	var list []string
	for _, j := range out.Attributes {
		list = append(list, strings.TrimSuffix(fmt.Sprintf("%s %s %s", j.Path, j.State, j.Code), " "))
	}
	return strings.Join(list, "; ")
}

func text(s string) people.Value { return people.StringValue(bird + s) }

func shown(display string) func(*people.Attribute) {
	return func(a *people.Attribute) { a.Metadata.Display = display }
}

func displayOf(p synctest.Person, path people.Path) string {
	a, _ := p.Profile.Find(path)
	return a.Metadata.Display
}

func unverified(a *people.Attribute) { a.Metadata.Verified = false }

func TestPublishJudges(t *testing.T) {
	w := newPublished(t)
	was := w.of(ada)
	stored := func(path people.Path, change ...func(*people.Attribute)) people.Named {
		a, _ := was.Profile.Find(path)
		for _, f := range change {
			f(&a)
		}
		return people.Named{Path: path, Attribute: a}
	}
	says := func(by people.Publisher, path people.Path, v people.Value, change ...func(*people.Attribute)) people.Named {
		return w.says(by, ada, path, v, change...)
	}
	value := func(v people.Value) func(*people.Attribute) { return func(a *people.Attribute) { a.Value = v } }
	for _, c := range []struct {
		name string
		in   []people.Named
		want string
	}{
		{"nothing", nil, ""},
		{"null says nothing", []people.Named{{Path: "fun_title", Attribute: w.Catalogue.Null("fun_title")}}, ""},
		{"what is there is no change, with the signature that it has", []people.Named{stored("first_name"), stored("active"), stored("uuid")}, "active unchanged; first_name unchanged; uuid unchanged"},
		{"or another's", []people.Named{says(people.HRIS, "last_name", was.Profile.Value("last_name"), shown(displayOf(was, "last_name")))}, "last_name unchanged"},
		{"but not without any", []people.Named{stored("first_name", func(a *people.Attribute) { a.Signature = people.Signature{} })}, "first_name refused invalid_signature"},
		{"a user_id that is not signed says whose it is", []people.Named{stored("user_id", func(a *people.Attribute) { a.Signature = people.Signature{} })}, "user_id unchanged"},
		{"dates and classification alone are no change", []people.Named{stored("first_name", func(a *people.Attribute) {
			a.Metadata.LastModified, a.Metadata.Classification = "2019-01-01T:10:00:00.000Z", "MOZILLA CONFIDENTIAL"
		})}, "first_name unchanged"},
		{"the date of the last write is nobody's", []people.Named{says(people.LDAP, people.LastModified, text(""))}, "last_modified unchanged"},
		{"the person says it", []people.Named{says(people.Directory, "fun_title", text(""))}, "fun_title taken"},
		{"the updater changes it", []people.Named{says(people.HRIS, "staff_information.title", text(""))}, "staff_information.title taken"},
		{"another than the updater does not", []people.Named{says(people.LDAP, "first_name", text(""))}, "first_name refused invalid_publisher"},
		{"a creator does, where nothing is", []people.Named{says(people.LDAP, "pronouns", text(""))}, "pronouns taken"},
		{"each for itself", []people.Named{says(people.LDAP, "first_name", text("")), says(people.Directory, "last_name", text("")), says(people.GitHub, "access_information.hris", people.MapValue(people.Entry{Key: bird}))},
			"access_information.hris refused invalid_publisher; first_name refused invalid_publisher; last_name taken"},
		{"who edits displays edits any", []people.Named{says(people.Directory, "primary_email", was.Profile.Value("primary_email"), shown("public"))}, "primary_email taken"},
		{"and what is verified", []people.Named{says(people.Directory, "primary_email", was.Profile.Value("primary_email"), unverified, shown("staff"))}, "primary_email taken"},
		{"but no value with it", []people.Named{says(people.Directory, "primary_email", text("@example.com"), shown("public"))}, "primary_email refused invalid_publisher"},
		{"who does not edit displays edits none", []people.Named{says(people.HRIS, "first_name", was.Profile.Value("first_name"), shown("public"))}, "first_name refused invalid_publisher"},
		{"no such attribute", []people.Named{{Path: "shoe_size", Attribute: says(people.LDAP, "first_name", text("")).Attribute}}, "shoe_size refused invalid_value"},
		{"another kind", []people.Named{{Path: "usernames", Attribute: says(people.Directory, "first_name", text("")).Attribute}}, "usernames refused invalid_value"},
		{"a display that is not allowed", []people.Named{says(people.HRIS, "staff_information.cost_center", text(""), shown("public"))}, "staff_information.cost_center refused invalid_value"},
		{"another classification", []people.Named{says(people.HRIS, "staff_information.title", text(""), func(a *people.Attribute) { a.Metadata.Classification = "PUBLIC" })}, "staff_information.title refused invalid_value"},
		{"changed after it was signed", []people.Named{func() people.Named {
			n := says(people.Directory, "description", text(""))
			value(text("changed"))(&n.Attribute)
			return n
		}()}, "description refused invalid_signature"},
		{"not signed", []people.Named{func() people.Named {
			n := says(people.Directory, "description", text(""))
			n.Signature.Publisher.Value = ""
			return n
		}()}, "description refused invalid_signature"},
		{"signed by another", []people.Named{func() people.Named {
			n := says(people.HRIS, "description", text(""))
			n.Signature.Publisher.Name = "mozilliansorg"
			return n
		}()}, "description refused invalid_signature"},
		{"in nobody's name", []people.Named{func() people.Named {
			n := says(people.Directory, "description", text(""))
			n.Signature.Publisher.Name = ""
			return n
		}()}, "description refused invalid_signature"},
		{"cis decides by itself", []people.Named{says(people.CIS, "created", people.StringValue("2020-01-01T00:00:00.000Z"))}, "created refused invalid_publisher"},
		{"the uuid is nobody's", []people.Named{says(people.LDAP, people.UUID, text(""))}, "uuid refused invalid_publisher"},
		{"a username", []people.Named{says(people.Directory, people.PrimaryUsername, people.StringValue("countess"), shown("public"))}, "primary_username taken"},
		{"no username", []people.Named{says(people.Directory, people.PrimaryUsername, text(" "), shown("public"))}, "primary_username refused invalid_value"},
		{"one that is made here", []people.Named{says(people.Directory, people.PrimaryUsername, people.StringValue("r--"+bird), shown("public"))}, "primary_username refused invalid_value"},
		{"whose lifecycle it is", []people.Named{says(people.HRIS, people.Active, people.BoolValue(false))}, "active taken"},
		{"whose it is not", []people.Named{says(people.LDAP, people.Active, people.BoolValue(false))}, "active refused invalid_publisher"},
		{"a block counts whoever is the authority", []people.Named{says(people.AccessProvider, people.Active, people.BoolValue(false))}, "active taken"},
		{"the directory ends nobody", []people.Named{says(people.Directory, people.Active, people.BoolValue(false))}, "active refused invalid_publisher"},
		{"own keys of a composed map", []people.Named{says(people.Directory, "usernames", people.MapValue(people.Entry{Key: "IRC", Value: bird}))}, "usernames taken"},
		{"only another's keys of one", []people.Named{says(people.Directory, "usernames", people.MapValue(people.Entry{Key: "LDAP-posix_id", Value: bird}))}, "usernames refused invalid_publisher"},
		{"emptied", []people.Named{says(people.LDAP, "access_information.ldap", people.MapValue())}, "access_information.ldap taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := dump(t, w.World)
			out := w.publish(sync.Publication{UserID: ada, Profile: partial(c.in...), ValidateOnly: true})
			if got := told(out); got != c.want {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.want, out.Attributes)
			}
			same(t, "what was only judged", before, dump(t, w.World))
			if out.Written != strings.Contains(c.want, "taken") || out.Created || out.Person != was.ID || out.Revision != was.Revision {
				t.Errorf("got %+v", out)
			}
		})
	}
}

// TestPublishWrites looks at what stands after a write.
func TestPublishWrites(t *testing.T) {
	w := newPublished(t)
	was := w.of(ada)
	name := w.says(people.Directory, ada, "first_name", text(""), shown("public"))
	title := w.says(people.HRIS, ada, "staff_information.title", text("title"))
	out := w.publish(sync.Publication{UserID: ada, Profile: partial(name, title, w.says(people.LDAP, ada, "last_name", text("")))})
	now := w.of(ada)
	if out.Revision != was.Revision+1 || now.Revision != out.Revision || !out.Written {
		t.Fatalf("got %+v, and revision %d", out, now.Revision)
	}
	for _, n := range []people.Named{name, title} {
		if got, _ := now.Profile.Find(n.Path); !got.Equal(n.Attribute) {
			t.Errorf("%s is not what was signed", n.Path)
		}
	}
	if bad := sign.Profile(w.Keys(t), now.Profile, sign.Policy{RequireBinding: true}); len(bad) > 0 {
		t.Errorf("wrong signatures: %v", bad)
	}
	if got := now.Profile.Value(people.LastModified).Text(); got != w.Now().UTC().Format(people.TimeFormat) {
		t.Errorf("last modified %s", got)
	}
	before, _ := was.Profile.Find(people.Active)
	if after, _ := now.Profile.Find(people.Active); !after.SameContent(before) || after.Signature.Publisher.Name != "cis" {
		t.Error("active is another one, or not signed by cis")
	}
	docs, err := w.Store(t).History(context.Background(), was.ID, was.Revision)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d history documents: %v", len(docs), err)
	}
	rev, err := sync.UnpackRevision(docs[0].Doc)
	if err != nil {
		t.Fatal(err)
	}
	if rev.Cause != (people.Cause{Door: "api", By: "https://issuer.example tests"}) || len(rev.Operations) != 2 {
		t.Errorf("history says %+v", rev)
	}
	rows, err := w.Store(t).Outbox(context.Background(), synctest.Subscriber, 10)
	if err != nil || len(rows) != 1 || rows[0].Operation != "update" || rows[0].Revision != out.Revision {
		t.Errorf("outbox %+v, %v", rows, err)
	}
	if o := now.Evidence.Find(people.Directory); o == nil || o.Record != ada || len(o.Claims) != 1 || o.Lifecycle != people.Present {
		t.Errorf("the directory's observation: %+v", o)
	}
	if o := now.Evidence.Find(people.HRIS); o == nil || o.Record != "E1" {
		t.Errorf("the HR system's observation: %+v", o)
	}
	again := w.publish(sync.Publication{UserID: ada, Profile: now.Profile})
	if again.Written || again.Revision != now.Revision || slices.ContainsFunc(again.Attributes, func(j sync.Judgement) bool { return j.State != sync.Unchanged }) {
		t.Errorf("the whole profile again: %+v", again)
	}
}

// TestPublishMoved moves each signed attribute to where it was not signed for.
func TestPublishMoved(t *testing.T) {
	for _, binding := range []bool{false, true} {
		w := newPublished(t, func(o *sync.DoorOptions) { o.Policy.RequireBinding = binding })
		judged := func(userID string, n people.Named) string {
			return told(w.publish(sync.Publication{UserID: userID, Profile: partial(n), ValidateOnly: true}))
		}
		unbound := func(path people.Path) people.Named {
			return people.Named{Path: path, Attribute: w.Signed(t, people.Directory, people.ID{}, path, text(""))}
		}
		for _, attr := range w.Catalogue.Attributes {
			if attr.Kind != people.String || !attr.MayUpdate(people.Directory) || !attr.Allows("") || attr.Path == people.PrimaryUsername {
				continue
			}
			n := w.says(people.Directory, ada, attr.Path, text(""))
			if got, want := judged(ada, n), string(attr.Path)+" taken"; got != want {
				t.Errorf("where it belongs: got %s, want %s", got, want)
			}
			if got, want := judged(bob, n), string(attr.Path)+" refused invalid_signature"; got != want {
				t.Errorf("to another person: got %s, want %s", got, want)
			}
			to := people.Path("fun_title")
			if attr.Path == to {
				to = "description"
			}
			other, _ := w.Catalogue.Find(to)
			moved := people.Named{Path: to, Attribute: n.Attribute}
			want := " refused invalid_signature"
			if other.Classification != attr.Classification {
				want = " refused invalid_value"
			}
			if got := judged(ada, moved); got != string(to)+want {
				t.Errorf("%s to another attribute: got %s, want %s", attr.Path, got, want)
			}
			reclassed := n
			reclassed.Metadata.Classification = other.Classification
			reclassed.Path = to
			if got := judged(ada, reclassed); got != string(to)+" refused invalid_signature" {
				t.Errorf("%s to another class: got %s", attr.Path, got)
			}
			renamed := n
			renamed.Signature.Publisher.Name = "ldap"
			if got := judged(ada, renamed); !strings.Contains(got, "refused invalid_") {
				t.Errorf("%s to another publisher: got %s", attr.Path, got)
			}
			// Without a binding the policy alone says whether it may be moved.
			state := "taken"
			if binding {
				state = "refused invalid_signature"
			}
			if got := judged(bob, unbound(attr.Path)); got != string(attr.Path)+" "+state {
				t.Errorf("%s unbound: got %s, want %s", attr.Path, got, state)
			}
		}
	}
}

func TestPublishCreates(t *testing.T) {
	const userID = "github|4711"
	w := newPublished(t)
	nobody := people.ID{}
	says := func(by people.Publisher, path people.Path, v people.Value) people.Named {
		return people.Named{Path: path, Attribute: w.Signed(t, by, nobody, path, v)}
	}
	id := people.StringValue
	ldaps := id("ad|Mozilla-LDAP|eve")
	for _, c := range []struct {
		name, userID string
		in           []people.Named
		want         string
	}{
		{"by the access provider", userID, []people.Named{says(people.AccessProvider, people.UserID, id(userID)), says(people.AccessProvider, "first_name", text(""))}, "first_name taken; user_id taken"},
		{"by LDAP", "ad|Mozilla-LDAP|eve", []people.Named{says(people.LDAP, people.UserID, ldaps)}, "user_id taken"},
		{"an LDAP login not by the access provider", "ad|Mozilla-LDAP|eve", []people.Named{says(people.AccessProvider, people.UserID, ldaps)}, "user_id refused invalid_publisher"},
		{"not by the HRIS", userID, []people.Named{says(people.HRIS, people.UserID, id(userID))}, "user_id refused invalid_publisher"},
		{"not without a user_id", userID, []people.Named{says(people.AccessProvider, "first_name", text(""))}, "first_name refused invalid_publisher"},
		{"not by the directory", userID, []people.Named{says(people.Directory, "first_name", text(""))}, "first_name refused invalid_publisher"},
		{"not with a uuid", userID, []people.Named{says(people.AccessProvider, people.UserID, id(userID)), says(people.AccessProvider, people.UUID, text(""))},
			"user_id refused uuid_or_primary_username_set; uuid refused uuid_or_primary_username_set"},
		{"not with a username", userID, []people.Named{says(people.AccessProvider, people.UserID, id(userID)), {Path: people.PrimaryUsername, Attribute: w.Signed(t, people.Directory, nobody, people.PrimaryUsername, text(""), shown("public"))}},
			"primary_username refused uuid_or_primary_username_set; user_id refused uuid_or_primary_username_set"},
		{"not with another user_id", userID, []people.Named{says(people.AccessProvider, people.UserID, id("github|4712"))}, "user_id refused invalid_value"},
		{"another's word about being here is another's", userID, []people.Named{says(people.AccessProvider, people.UserID, id(userID)), says(people.HRIS, people.Active, people.BoolValue(false))}, "active refused invalid_publisher; user_id taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := w.publish(sync.Publication{UserID: c.userID, Profile: partial(c.in...), ValidateOnly: true})
			if got := told(out); got != c.want || out.Created != strings.Contains(c.want, "user_id taken") {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.want, out)
			}
		})
	}
	out := w.publish(sync.Publication{UserID: userID, Profile: partial(says(people.AccessProvider, people.UserID, id(userID)), says(people.AccessProvider, "first_name", text("")),
		says(people.Directory, "fun_title", text("")), says(people.HRIS, "staff_information.title", text("")))})
	p := w.of(userID)
	if !out.Created || out.Revision != 1 || p.ID != out.Person || !p.Profile.Value(people.Active).True() || p.Profile.Value(people.UUID).Text() != p.ID.String() {
		t.Errorf("got %+v, %s", out, p.Profile.AppendJSON(nil))
	}
	if o := p.Evidence.Find(people.AccessProvider); o == nil || o.Lifecycle != people.Present || o.Record != userID {
		t.Errorf("the access provider's observation: %+v", o)
	}
	if o := p.Evidence.Find(people.HRIS); o != nil {
		t.Errorf("something was kept of an HR record of which nobody knows the id: %+v", o)
	}
	if bad := sign.Profile(w.Keys(t), p.Profile, sign.Policy{}); len(bad) > 0 {
		t.Errorf("wrong signatures: %v", bad)
	}
	blocked := w.publish(sync.Publication{UserID: "github|1", Profile: partial(says(people.AccessProvider, people.UserID, id("github|1")), says(people.AccessProvider, people.Active, people.BoolValue(false)))})
	if !blocked.Created || w.of("github|1").Profile.Value(people.Active).True() {
		t.Errorf("somebody blocked: %+v", blocked)
	}
}

// TestPublishActive ends people and lets them in again.
func TestPublishActive(t *testing.T) {
	w := newPublished(t)
	set := func(by people.Publisher, userID string, here bool) string {
		w.At(w.Now().Add(time.Minute))
		out := w.publish(sync.Publication{UserID: userID, Profile: partial(w.says(by, userID, people.Active, people.BoolValue(here)))})
		return fmt.Sprintf("%s, %t", told(out), w.of(userID).Profile.Value(people.Active).True())
	}
	for i, step := range []struct {
		by   people.Publisher
		who  string
		here bool
		want string
	}{
		{people.HRIS, ada, false, "active taken, false"},
		{people.AccessProvider, ada, true, "active refused invalid_publisher, false"},
		{people.LDAP, ada, true, "active refused invalid_publisher, false"},
		{people.HRIS, ada, true, "active taken, true"},
		{people.AccessProvider, ada, false, "active taken, false"},
		{people.HRIS, ada, true, "active refused invalid_publisher, false"}, // the login is blocked
		{people.AccessProvider, ada, true, "active taken, true"},
		{people.LDAP, bob, false, "active taken, false"},
		{people.LDAP, bob, true, "active taken, true"},
		{people.HRIS, bob, false, "active refused invalid_publisher, true"},
	} {
		if got := set(step.by, step.who, step.here); got != step.want {
			t.Errorf("step %d: got %s, want %s", i, got, step.want)
		}
	}
	docs, err := w.Store(t).History(context.Background(), w.of(ada).ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	var classes []string
	for _, d := range docs {
		rev, err := sync.UnpackRevision(d.Doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range rev.Operations {
			classes = append(classes, fmt.Sprintf("%s %s by %s", o.Class, o.Source, o.Changes[0].Publisher))
		}
	}
	want := []string{"deactivate hris by cis", "reactivate hris by cis", "deactivate access_provider by cis", "reactivate hris by cis"}
	if !slices.Equal(classes, want) {
		t.Errorf("history has %q, want %q", classes, want)
	}
}

// TestPublishActiveAlone ends somebody whom no sync has seen: LDAP made them, and
// what the access provider published of them gives it no say in that.
func TestPublishActiveAlone(t *testing.T) {
	const eve = "ad|Mozilla-LDAP|eve"
	w := newPublished(t)
	w.publish(sync.Publication{UserID: eve, Profile: partial(people.Named{Path: people.UserID, Attribute: w.Signed(t, people.LDAP, people.ID{}, people.UserID, people.StringValue(eve))})})
	for _, n := range []people.Named{w.says(people.AccessProvider, eve, "login_method", text("")), w.says(people.LDAP, eve, people.Active, people.BoolValue(false))} {
		if got, want := told(w.publish(sync.Publication{UserID: eve, Profile: partial(n)})), string(n.Path)+" taken"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if w.of(eve).Profile.Value(people.Active).True() {
		t.Error("still here")
	}
}

// TestPublishTaken asks for a username that somebody has.
func TestPublishTaken(t *testing.T) {
	w := newPublished(t)
	choose := func(userID string) string {
		return told(w.publish(sync.Publication{UserID: userID, Profile: partial(
			w.says(people.Directory, userID, people.PrimaryUsername, people.StringValue("countess"), shown("public")), w.says(people.Directory, userID, "fun_title", text("")))}))
	}
	if got := choose(ada); got != "fun_title taken; primary_username taken" {
		t.Error(got)
	}
	if got := choose(bob); got != "fun_title taken; primary_username refused username_taken" {
		t.Error(got)
	}
}

// TestPublishOutdated brings back what was replaced.
func TestPublishOutdated(t *testing.T) {
	w := newPublished(t)
	first := w.says(people.Directory, ada, "fun_title", text("first"))
	w.At(w.Now().Add(time.Minute))
	second := w.says(people.Directory, ada, "fun_title", text("second"))
	for i, step := range []struct {
		n    people.Named
		want string
	}{{first, "fun_title taken"}, {second, "fun_title taken"}, {first, "fun_title refused outdated"}, {second, "fun_title unchanged"}} {
		if got := told(w.publish(sync.Publication{UserID: ada, Profile: partial(step.n)})); got != step.want {
			t.Errorf("step %d: got %s, want %s", i, got, step.want)
		}
	}
}

// TestPublishFormer writes under a login that was somebody's.
func TestPublishFormer(t *testing.T) {
	w := newPublished(t)
	write(t, w.World, []string{account(1, "lovelace"), account(2, "bob"), group("everyone", "lovelace", "bob")}, []string{worker("E1", "lovelace", "Analyst", "Engines")})
	must(t, w.World, day(1))
	now := w.of("ad|Mozilla-LDAP|lovelace")
	bound := people.Named{Path: "fun_title", Attribute: w.Signed(t, people.Directory, now.ID, "fun_title", text(""))}
	unbound := people.Named{Path: "description", Attribute: w.Signed(t, people.Directory, people.ID{}, "description", text(""))}
	login := people.Named{Path: people.UserID, Attribute: w.Signed(t, people.AccessProvider, now.ID, people.UserID, people.StringValue(ada))}
	out := w.publish(sync.Publication{UserID: ada, Profile: partial(bound, unbound, login)})
	if got, want := told(out), "description refused invalid_signature; fun_title taken; user_id unchanged"; got != want || out.Person != now.ID {
		t.Errorf("got %s, want %s", got, want)
	}
	if p := w.of("ad|Mozilla-LDAP|lovelace"); p.Evidence.Find(people.Directory).Record != "ad|Mozilla-LDAP|lovelace" {
		t.Error("the observation has the former login for its record")
	}
}

// TestPublishRefused asks for what cannot be.
func TestPublishRefused(t *testing.T) {
	w := newPublished(t)
	ctx := context.Background()
	mark := sync.CopyMark()
	mark.Body = []byte("{}")
	if _, err := w.Store(t).Put(ctx, mark); err != nil {
		t.Fatal(err)
	}
	if _, err := w.door.Publish(ctx, sync.Publication{UserID: ada, Profile: partial()}); !errors.Is(err, sync.ErrCopying) {
		t.Errorf("into an unfinished copy: %v", err)
	}
}

// TestPublishKeptApart writes in the name of a record that somebody said is not
// the person's.
func TestPublishKeptApart(t *testing.T) {
	w := newPublished(t)
	p := w.of(ada)
	if err := sync.Decide(context.Background(), w.Store(t), sync.Link{Publisher: people.Directory, Record: ada, Person: p.ID, Apart: true, By: "somebody", Reason: "a test", At: w.Now()}); err != nil {
		t.Fatal(err)
	}
	out := w.publish(sync.Publication{UserID: ada, Profile: partial(w.says(people.Directory, ada, "fun_title", text("")), w.says(people.Directory, ada, "description", text("")), w.says(people.LDAP, ada, "pronouns", text("")))})
	if got, want := told(out), "description refused invalid_publisher; fun_title refused invalid_publisher; pronouns taken"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPublishAndSync writes and then syncs: the same sources take nothing back,
// nor does an extract that began before the write.
func TestPublishAndSync(t *testing.T) {
	w := newPublished(t)
	w.AddSource(synctest.DirectoryFile)
	w.WriteDirectory(t, `{"user_id": "`+ada+`", "fun_title": {"value": "Countess", "display": "public"}, "pronouns": {"value": "she", "display": "public"}}`+"\n")
	must(t, w.World, day(1))
	w.At(day(1).Add(4 * time.Hour))
	out := w.publish(sync.Publication{UserID: ada, Profile: partial(
		w.says(people.Directory, ada, "pronouns", text("pronouns")),                                               // the directory's extract says something else
		w.says(people.Directory, ada, "primary_email", w.of(ada).Profile.Value("primary_email"), shown("public")), // a display
		w.says(people.Directory, ada, "location", text("location")),                                               // of which it says nothing
		w.says(people.HRIS, ada, "staff_information.wpr_desk_number", text("desk")))})
	if out.Revision != w.of(ada).Revision || strings.Contains(told(out), "refused") {
		t.Fatalf("got %+v", out)
	}
	bobs := w.publish(sync.Publication{UserID: bob, Profile: partial(w.says(people.LDAP, bob, "timezone", text("")), w.says(people.AccessProvider, bob, "login_method", text("")))})
	if strings.Contains(told(bobs), "refused") {
		t.Fatalf("got %+v", bobs)
	}
	profiles := func() string {
		return string(w.of(ada).Profile.AppendJSON(nil)) + "\n" + string(w.of(bob).Profile.AppendJSON(nil))
	}
	before := profiles()
	// A run whose clock is before the write.
	must(t, w.World, day(1).Add(3*time.Hour))
	same(t, "an older extract", before, profiles())
	if rec := must(t, w.World, day(1).Add(3*time.Hour)); rec.Writes != 0 {
		t.Errorf("the same run again wrote %d people", rec.Writes)
	}
	// The directory says now what was written through the API.
	p := w.of(ada).Profile
	w.WriteDirectory(t, fmt.Sprintf(`{"user_id": %q, "fun_title": {"value": "Countess", "display": "public"}, "pronouns": {"value": %q, "display": %s}}`+"\n",
		ada, p.Value("pronouns").Text(), "null"))
	must(t, w.World, day(2))
	same(t, "the source says the same", before, profiles())
	if rec := must(t, w.World, day(3)); rec.Writes != 0 {
		t.Errorf("the next run wrote %d people", rec.Writes)
	}
}

// meanwhileStore lets somebody else write the person just before a commit.
type meanwhileStore struct {
	sinks.Store
	before func()
}

func (m *meanwhileStore) Commit(ctx context.Context, f sinks.Fence, commits []sinks.Commit) ([]error, error) {
	if do := m.before; do != nil {
		m.before = nil
		do()
	}
	return m.Store.Commit(ctx, f, commits)
}

// TestPublishConflict has another writer, who is not of this process, come
// between judging and writing.
func TestPublishConflict(t *testing.T) {
	w := newPublished(t)
	between := &meanwhileStore{Store: w.Store(t)}
	slow := w.Door(t, func(o *sync.DoorOptions) { o.Store = between })
	mine, theirs := w.says(people.Directory, ada, "fun_title", text("mine")), w.says(people.Directory, ada, "description", text("theirs"))
	between.before = func() {
		w.publish(sync.Publication{UserID: ada, Profile: partial(theirs)})
	}
	out, err := slow.Publish(context.Background(), sync.Publication{UserID: ada, Profile: partial(mine)})
	if err != nil || told(out) != "fun_title taken" {
		t.Fatalf("got %+v, %v", out, err)
	}
	p := w.of(ada)
	for _, n := range []people.Named{mine, theirs} {
		if a, _ := p.Profile.Find(n.Path); !a.Equal(n.Attribute) {
			t.Errorf("%s was lost", n.Path)
		}
		if c, ok := p.Evidence.Find(people.Directory).Claim(n.Path); !ok || c.Signed == nil {
			t.Errorf("the claim of %s was lost", n.Path)
		}
	}
}

// TestPublishTogether has many write one person through two doors at the same
// time, each another attribute: none is lost.
func TestPublishTogether(t *testing.T) {
	w := newPublished(t)
	doors := []*sync.Door{w.door, w.Door(t)}
	var all []people.Named
	for _, attr := range w.Catalogue.Attributes {
		if attr.Kind == people.String && attr.MayUpdate(people.Directory) && attr.Allows("") && attr.Path != people.PrimaryUsername {
			all = append(all, w.says(people.Directory, ada, attr.Path, text("")))
		}
	}
	var g stdsync.WaitGroup
	for i, n := range all {
		g.Go(func() {
			for {
				out, err := doors[i%2].Publish(context.Background(), sync.Publication{UserID: ada, Profile: partial(n)})
				if errors.Is(err, sync.ErrBusy) {
					continue
				}
				if err != nil || told(out) != string(n.Path)+" taken" {
					t.Errorf("%s: %+v, %v", n.Path, out, err)
				}
				return
			}
		})
	}
	g.Wait()
	p := w.of(ada)
	for _, n := range all {
		if a, _ := p.Profile.Find(n.Path); !a.Equal(n.Attribute) {
			t.Errorf("%s was lost", n.Path)
		}
	}
}

// TestPublishReportOnly lets through what the schema refuses and can be kept.
func TestPublishReportOnly(t *testing.T) {
	w := newPublished(t, func(o *sync.DoorOptions) { o.ReportOnly = true })
	number := w.says(people.Directory, ada, "languages", people.MapValue(people.Entry{Key: bird, Value: "1"}))
	reclassed := w.says(people.Directory, ada, "fun_title", text(""), func(a *people.Attribute) { a.Metadata.Classification = "PUBLIC" })
	kind := people.Named{Path: "usernames", Attribute: w.says(people.Directory, ada, "description", text("")).Attribute}
	out := w.publish(sync.Publication{UserID: ada, Profile: partial(number, reclassed, kind), Unfit: []catalogue.Fault{{Path: "languages", Reason: "numbers"}}})
	if got, want := told(out), "fun_title refused invalid_value; languages taken; usernames refused invalid_value"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := []catalogue.Fault{{Path: "languages", Reason: "numbers"}}; !slices.Equal(out.Reported, want) {
		t.Errorf("reported %v", out.Reported)
	}
}

// TestPublishTooLarge asks for what the vault does not keep.
func TestPublishTooLarge(t *testing.T) {
	w := newPublished(t)
	mail := w.says(people.AccessProvider, bob, people.PrimaryEmail, text(strings.Repeat("x", sinks.MaxKeyBytes)+"@example.com"))
	for _, only := range []bool{true, false} {
		out := w.publish(sync.Publication{UserID: bob, Profile: partial(mail), ValidateOnly: only})
		if got, want := told(out), "primary_email refused invalid_value"; got != want || out.Written || out.Revision != w.of(bob).Revision {
			t.Errorf("got %s, want %s: %+v", got, want, out)
		}
	}
}

// TestPublishErased makes somebody anew who was erased: their revisions go on.
// What was signed before, it takes more than to have kept it.
func TestPublishErased(t *testing.T) {
	const userID = "github|4711"
	w := newPublished(t)
	login := func() people.Named {
		return people.Named{Path: people.UserID, Attribute: w.Signed(t, people.AccessProvider, people.ID{}, people.UserID, people.StringValue(userID))}
	}
	old := login()
	first := w.publish(sync.Publication{UserID: userID, Profile: partial(old)})
	name := w.says(people.AccessProvider, userID, "first_name", text("old"))
	w.publish(sync.Publication{UserID: userID, Profile: partial(name)})
	kept := w.of(userID).Profile
	w.At(w.Now().Add(time.Minute))
	stone, err := w.Store(t).Erase(context.Background(), sinks.Fence{}, first.Person, userID)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*people.Profile{partial(old), partial(old, name)} {
		out := w.publish(sync.Publication{UserID: userID, Profile: in})
		if out.Written || out.Created || slices.ContainsFunc(out.Attributes, func(j sync.Judgement) bool { return j.State != sync.Refused }) {
			t.Errorf("what was kept of somebody erased: %s", told(out))
		}
	}
	if out := w.publish(sync.Publication{UserID: userID, Profile: kept}); out.Created {
		t.Errorf("the whole profile: %s", told(out))
	}
	w.At(stone.ErasedAt.Add(time.Second))
	again := w.publish(sync.Publication{UserID: userID, Profile: partial(login(), name)})
	if got, want := told(again), "first_name refused outdated; user_id taken"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !again.Created || again.Person != first.Person || again.Revision <= first.Revision {
		t.Errorf("first %+v, again %+v", first, again)
	}
}

// TestPublishReplayed brings back what its publisher has replaced, after
// somebody else or another key has signed what stands there.
func TestPublishReplayed(t *testing.T) {
	for _, c := range []struct {
		name, who string
		by        people.Publisher
		path      people.Path
		then      func(*published) []people.Named
	}{
		{"after another's display", ada, people.HRIS, "staff_information.title", func(w *published) []people.Named {
			return []people.Named{w.says(people.Directory, ada, "staff_information.title", w.of(ada).Profile.Value("staff_information.title"), shown("staff"))}
		}},
		{"after a display, where nothing of the publisher is kept", bob, people.HRIS, "staff_information.title", func(w *published) []people.Named {
			return []people.Named{w.says(people.Directory, bob, "staff_information.title", w.of(bob).Profile.Value("staff_information.title"), shown("staff"))}
		}},
		{"after it was emptied", ada, people.Directory, "description", func(w *published) []people.Named {
			return []people.Named{w.says(people.Directory, ada, "description", people.StringValue(""))}
		}},
		{"in a map that cis signs", ada, people.Directory, "usernames", func(*published) []people.Named { return nil }},
		{"by another kid", ada, people.Directory, "description", func(w *published) []people.Named {
			n := w.says(people.Directory, ada, "description", text("third"))
			n.Attribute = w.byHand(people.Directory, n.Attribute, "another")
			return []people.Named{n}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newPublished(t)
			value := func(s string) people.Value {
				if attr, _ := w.Catalogue.Find(c.path); attr.Kind == people.Map {
					return people.MapValue(people.Entry{Key: "IRC", Value: bird + s})
				}
				return text(s)
			}
			say := func(n people.Named) string {
				return told(w.publish(sync.Publication{UserID: c.who, Profile: partial(n)}))
			}
			first := w.says(c.by, c.who, c.path, value("first"))
			if got := say(first); got != string(c.path)+" taken" {
				t.Fatal(got)
			}
			w.At(w.Now().Add(time.Minute))
			if got := say(w.says(c.by, c.who, c.path, value("second"))); got != string(c.path)+" taken" {
				t.Fatal(got)
			}
			w.At(w.Now().Add(time.Minute))
			for _, n := range c.then(w) {
				if got := say(n); got != string(c.path)+" taken" {
					t.Fatal(got)
				}
			}
			w.At(w.Now().Add(time.Minute))
			before := dump(t, w.World)
			if got, want := say(first), string(c.path)+" refused outdated"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			undated := w.says(c.by, c.who, c.path, value("undated"))
			undated.Metadata.LastModified = "yesterday"
			undated.Attribute = w.byHand(c.by, undated.Attribute, "")
			if got, want := say(undated), string(c.path)+" refused outdated"; got != want {
				t.Errorf("without a date: got %s, want %s", got, want)
			}
			same(t, "what was refused", before, dump(t, w.World))
			if got, want := say(w.says(c.by, c.who, c.path, value("fourth"))), string(c.path)+" taken"; got != want {
				t.Errorf("something newer: got %s, want %s", got, want)
			}
		})
	}
}

// byHand signs what a signer here would not, or under another kid.
func (w *published) byHand(by people.Publisher, a people.Attribute, kid string) people.Attribute {
	w.t.Helper()
	signers, err := keydir.Signers(w.Job.Keys)
	if err != nil {
		w.t.Fatal(err)
	}
	s := signers[by]
	header := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, s.Algorithm(), cmp.Or(kid, s.KeyID()))
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(a.AppendJSON(nil, false))
	signature, err := s.Sign(context.Background(), []byte(input))
	if err != nil {
		w.t.Fatal(err)
	}
	a.Signature.Publisher.Value = input + "." + base64.RawURLEncoding.EncodeToString(signature)
	return a
}

// TestPublishTellsNothing guesses, without a key: what is answered is the same
// whether the guess is right or wrong, and whether there is anybody.
func TestPublishTellsNothing(t *testing.T) {
	w := newPublished(t)
	was := w.of(ada)
	wrong := w.says(people.Directory, ada, "fun_title", text("")).Signature
	for _, only := range []bool{true, false} {
		for _, n := range was.Profile.Attributes {
			if n.Value.IsNull() || n.Path == people.UserID || n.Path == people.LastModified {
				continue
			}
			for name, signature := range map[string]people.Signature{"none": {}, "another": wrong} {
				right := n
				right.Signature = signature
				guess := right
				switch {
				case n.Value.Kind() == people.Map:
					guess.Value = people.MapValue(people.Entry{Key: "x"})
				case n.Value.Kind() == people.Bool:
					guess.Value = people.BoolValue(!n.Value.True())
				default:
					guess.Value = people.StringValue("x")
				}
				var answers []string
				for _, x := range []struct {
					who string
					n   people.Named
				}{{ada, right}, {ada, guess}, {bob, right}, {"ad|Mozilla-LDAP|nobody", right}} {
					answers = append(answers, told(w.publish(sync.Publication{UserID: x.who, Profile: partial(x.n), ValidateOnly: only})))
				}
				if want := string(n.Path) + " refused invalid_signature"; slices.ContainsFunc(answers, func(a string) bool { return a != want }) {
					t.Errorf("%s with %s signature: %q", n.Path, name, answers)
				}
			}
		}
	}
}

// TestPublishWaits has somebody give up who waits for their turn.
func TestPublishWaits(t *testing.T) {
	w := newPublished(t)
	between := &meanwhileStore{Store: w.Store(t)}
	door := w.Door(t, func(o *sync.DoorOptions) { o.Store = between })
	title, other := w.says(people.Directory, ada, "fun_title", text("")), w.says(people.Directory, ada, "description", text(""))
	between.before = func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := door.Publish(ctx, sync.Publication{UserID: ada, Profile: partial(other)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	if out, err := door.Publish(context.Background(), sync.Publication{UserID: ada, Profile: partial(title)}); err != nil || told(out) != "fun_title taken" {
		t.Errorf("got %+v, %v", out, err)
	}
}

// TestPublishDown has a vault that fails: nothing is refused or made because of
// that, it is an error.
func TestPublishDown(t *testing.T) {
	w := newPublished(t)
	down := errors.New("down")
	door := w.Door(t, func(o *sync.DoorOptions) { o.Store = failingReads{o.Store, down} })
	out, err := door.Publish(context.Background(), sync.Publication{UserID: ada, Profile: partial(w.says(people.Directory, ada, "fun_title", text("")))})
	if !errors.Is(err, down) || out.Written || strings.Contains(err.Error(), bird) || strings.Contains(err.Error(), ada) {
		t.Errorf("got %+v, %v", out, err)
	}
}

type failingReads struct {
	sinks.Store
	err error
}

func (f failingReads) Person(context.Context, people.ID) (sinks.Stored, error) {
	return sinks.Stored{}, f.err
}
