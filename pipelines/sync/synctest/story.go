package synctest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/tools/txtar"

	"example.org/cis/connectors/ldap"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/upkeep"
	"example.org/cis/sinks"
	"example.org/cis/transforms/guard"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// A Story is one txtar file.
//
// Its comment tells the story in plain words and may hold options, a line
// each:
//
//	first_load: DAY            a day that runs with --first-load (default: the first day)
//	protected: USER_ID         a person whom absence does not end
//	unsettled: DAY             a day whose run, repeated at once, does the next step
//	ldap_maps: ATTRIBUTE PATH  one more attribute of LDAP
//
// Its files are in folders named after days; each day has one run, at 06:00
// UTC:
//
//	DAY/people.ldif       the LDAP directory
//	DAY/workers.json      the Workday report
//	DAY/accounts.jsonl    the users of Auth0
//	DAY/github.json       organisations and teams
//	DAY/directory         the people directory (see directory.go)
//	DAY/decide            what a human decided before the run, a line each:
//	                      link|unlink PUBLISHER RECORD USER_ID
//	DAY/ask               the only sources that are asked, a name a line
//	DAY/refresh           user ids that are refreshed at noon, and what came of it
//	DAY/expect            what the run did (made by -update, read by people)
//	DAY/publish           what publishers write by themselves at two in the
//	                      afternoon, and what came of it, an attribute a line:
//	                      PUBLISHER USER_ID PATH DISPLAY VALUE
//	DAY/find              keys, and who is found by them after the run
//	DAY/profile-UID.json  the whole profile of everybody whom the run wrote
//
// A source file that says "as on DAY" is the same as on that day. A source that
// has no file on a day is down then; one that has none at all is not in the
// story. Whoever has no profile in a day is byte for byte what they were before
// it.
type Story struct {
	Name    string
	archive *txtar.Archive
	days    []string
	first   []string
	steps   []string
	Protect []string
	Map     []ldap.Rule
	// Open, if set, opens the empty vault in which the story happens.
	Open func(t testing.TB, now func() time.Time) sinks.Store
}

// ReadStory reads a story.
func ReadStory(file string) (*Story, error) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	s := &Story{Name: strings.TrimSuffix(filepath.Base(file), ".txtar"), archive: a}
	for _, f := range a.Files {
		day, _, ok := strings.Cut(f.Name, "/")
		if _, err := time.Parse(time.DateOnly, day); err != nil || !ok {
			return nil, fmt.Errorf("%s: %q is not in the folder of a day", file, f.Name)
		}
		if !slices.Contains(s.days, day) {
			s.days = append(s.days, day)
		}
	}
	if len(s.days) == 0 || !slices.IsSorted(s.days) {
		return nil, fmt.Errorf("%s: want days, in their order", file)
	}
	for line := range strings.Lines(string(a.Comment)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		switch key {
		case "first_load":
			s.first = append(s.first, value)
		case "unsettled":
			s.steps = append(s.steps, value)
		case "protected":
			s.Protect = append(s.Protect, value)
		case "ldap_maps":
			from, to, _ := strings.Cut(value, " ")
			s.Map = append(s.Map, ldap.Rule{From: from, To: people.Path(to)})
		}
	}
	if s.first == nil {
		s.first = s.days[:1]
	}
	return s, nil
}

// Clock is when the run of a day begins.
func Clock(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return t.Add(6 * time.Hour)
}

// Text returns a file of the story.
func (s *Story) Text(name string) (string, bool) {
	for _, f := range s.archive.Files {
		if f.Name != name {
			continue
		}
		if day, same := strings.CutPrefix(string(f.Data), "as on "); same {
			return s.Text(strings.TrimSpace(day) + "/" + path.Base(name))
		}
		return string(f.Data), true
	}
	return "", false
}

// Prepare gives the world the sources of a day, and the story's options.
func (s *Story) Prepare(t testing.TB, w *World, day string) {
	t.Helper()
	w.Job.Protected = s.Protect
	w.Job.FirstLoad, w.Job.Reason = slices.Contains(s.first, day), ""
	if w.Job.FirstLoad {
		w.Job.Reason = "first load"
	}
	w.LDAP.Mapping = slices.Concat(ldap.DefaultMapping(), s.Map)
	for _, name := range sourceFiles {
		if text, ok := s.Text(day + "/" + name); ok && name == directoryWords {
			w.Write(t, DirectoryFile, w.directory(t, text))
		} else if ok {
			w.Write(t, name, text)
		} else if name == directoryWords {
			w.Remove(t, DirectoryFile)
		} else {
			w.Remove(t, name)
		}
	}
	asked, only := s.Text(day + "/ask")
	for i := range w.Job.Sources {
		w.Job.Sources[i].Idle = only && !slices.Contains(strings.Fields(asked), w.Job.Sources[i].Name)
	}
}

// sourceFiles are the files of a day that tell what sources say.
var sourceFiles = []string{PeopleFile, WorkersFile, AccountsFile, directoryWords, GitHubFile}

// has reports whether the story has such a file on any day.
func (s *Story) has(name string) bool {
	return slices.ContainsFunc(s.archive.Files, func(f txtar.File) bool { return path.Base(f.Name) == name })
}

// AddSources gives the world the sources of which the story has files, and
// takes away the others.
func (s *Story) AddSources(w *World) {
	w.Job.Sources = slices.DeleteFunc(w.Job.Sources, func(src sync.Source) bool {
		return src.Publisher == people.LDAP && !s.has(PeopleFile) || src.Publisher == people.HRIS && !s.has(WorkersFile)
	})
	for _, more := range []struct{ in, file string }{{AccountsFile, AccountsFile}, {directoryWords, DirectoryFile}, {GitHubFile, GitHubFile}} {
		if s.has(more.in) {
			w.AddSource(more.file)
		}
	}
}

// Run lives through the story in a new world and returns the story as it
// went, for comparison or in place of what was expected. If each day is run
// twice, the second time at the same clock must change nothing, and the story
// goes on from there.
func (s *Story) Run(t testing.TB, twice bool) (told []byte) {
	t.Helper()
	w := New(t)
	s.AddSources(w)
	if s.Open != nil {
		w.KeepIn(s.Open(t, w.Clock))
	}
	store := w.Store(t)
	ctx := context.Background()
	out := &txtar.Archive{Comment: s.archive.Comment}
	before := map[people.ID]Person{}
	for _, day := range s.days {
		s.Prepare(t, w, day)
		if decided, ok := s.Text(day + "/decide"); ok {
			if err := decide(ctx, store, decided, Clock(day)); err != nil {
				t.Fatalf("%s: %v", day, err)
			}
		}
		rec, err := w.Sync(ctx, Clock(day))
		if err != nil {
			t.Fatalf("%s: %v", day, err)
		}
		now, err := People(ctx, store)
		if err != nil {
			t.Fatal(err)
		}
		checked, err := upkeep.Check(ctx, store, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range checked.Problems { // whatever happens, the vault is in order
			t.Errorf("%s: %s %s", day, p.Person, p.Text())
		}
		for _, name := range append(slices.Clone(sourceFiles), "decide", "ask") {
			for _, f := range s.archive.Files {
				if f.Name == day+"/"+name {
					out.Files = append(out.Files, f)
				}
			}
		}
		account, err := w.account(ctx, store, rec, now)
		if err != nil {
			t.Fatalf("%s: %v", day, err)
		}
		out.Files = append(out.Files, txtar.File{Name: day + "/expect", Data: account})
		if twice && !slices.Contains(s.steps, day) {
			if err := w.again(ctx, store, rec, now); err != nil {
				t.Errorf("%s: %v", day, err)
			}
		}
		if asked, ok := s.Text(day + "/refresh"); ok {
			told, err := w.refresh(ctx, asked, Clock(day).Add(6*time.Hour))
			if err != nil {
				t.Fatalf("%s: %v", day, err)
			}
			out.Files = append(out.Files, txtar.File{Name: day + "/refresh", Data: told})
			if now, err = People(ctx, store); err != nil {
				t.Fatal(err)
			}
		}
		if said, ok := s.Text(day + "/publish"); ok {
			told, err := w.publish(t, said, Clock(day).Add(8*time.Hour))
			if err != nil {
				t.Fatalf("%s: %v", day, err)
			}
			out.Files = append(out.Files, txtar.File{Name: day + "/publish", Data: told})
			if now, err = People(ctx, store); err != nil {
				t.Fatal(err)
			}
		}
		if asked, ok := s.Text(day + "/find"); ok {
			found, err := find(ctx, store, asked, now)
			if err != nil {
				t.Fatalf("%s: %v", day, err)
			}
			out.Files = append(out.Files, txtar.File{Name: day + "/find", Data: found})
		}
		slices.SortFunc(now, func(a, b Person) int { return strings.Compare(uid(a.Profile), uid(b.Profile)) })
		held := map[people.Key]bool{}
		for _, p := range now {
			if slices.Contains(p.Evidence.Former, p.Profile.Value(people.UserID).Text()) {
				t.Errorf("%s: %s had formerly the user_id that they have", day, uid(p.Profile))
			}
			for _, o := range p.Evidence.Observations {
				key := people.Key{Scheme: people.ByRecord(o.Publisher), Value: o.Record}
				if held[key] {
					t.Errorf("%s: two people have the record %s of %s", day, o.Record, o.Publisher)
				}
				held[key] = true
			}
			for _, f := range sign.Profile(w.Keys(t), p.Profile, sign.Policy{RequireBinding: true}) {
				t.Errorf("%s: %s: %s: %v", day, uid(p.Profile), f.Path, f.Err)
			}
			text, err := w.profile(p)
			if err != nil {
				t.Fatalf("%s: %v", day, err)
			}
			was, known := before[p.ID]
			if old, _ := w.profile(was); !known || !bytes.Equal(old, text) {
				out.Files = append(out.Files, txtar.File{Name: day + "/profile-" + uid(p.Profile) + ".json", Data: text})
			} else if !bytes.Equal(was.Profile.AppendJSON(nil), p.Profile.AppendJSON(nil)) {
				t.Errorf("%s: %s was written though nothing about them changed", day, uid(p.Profile))
			}
			before[p.ID] = p
		}
	}
	return txtar.Format(out)
}

// File is the story as it is written.
func (s *Story) File() []byte { return txtar.Format(s.archive) }

// uid is the last part of a user_id: what people are called in stories.
func uid(p *people.Profile) string {
	id := p.Value(people.UserID).Text()
	return id[strings.LastIndexByte(id, '|')+1:]
}

// again runs once more at the clock of a run, and returns what that changed.
func (w *World) again(ctx context.Context, store sinks.Vault, first sync.Record, before []Person) error {
	rec, err := w.Sync(ctx, first.Clock)
	if err != nil {
		return err
	}
	now, err := People(ctx, store)
	if err != nil {
		return err
	}
	var changed []error
	for i, p := range now {
		if i >= len(before) || p.ID != before[i].ID {
			changed = append(changed, errors.New("the same run again made somebody"))
			break
		}
		was := before[i]
		if p.Revision != was.Revision || !bytes.Equal(p.Profile.AppendJSON(nil), was.Profile.AppendJSON(nil)) || !bytes.Equal(p.Evidence.AppendJSON(nil), was.Evidence.AppendJSON(nil)) {
			changed = append(changed, fmt.Errorf("the same run again wrote %s", uid(p.Profile)))
		}
	}
	told, err := store.Outbox(ctx, Subscriber, 1000)
	if err != nil {
		return err
	}
	if rec.Writes > 0 || rec.Outcome != first.Outcome || len(told) > 0 {
		changed = append(changed, fmt.Errorf("the same run again wrote %d people, told of %d, and ended %s instead of %s", rec.Writes, len(told), rec.Outcome, first.Outcome))
	}
	if !first.Snapshot {
		return errors.Join(changed...)
	}
	var lists [2][]byte
	for i, run := range []string{first.Run, rec.Run} {
		world, err := snapshots.Open(ctx, w.blobs, run)
		if err != nil {
			return err
		}
		defer world.Close()
		l, err := world.Lists(ctx)
		if err != nil {
			return err
		}
		if lists[i], err = json.Marshal(l, json.Deterministic(true), jsontext.WithIndent(" ")); err != nil {
			return err
		}
	}
	if !bytes.Equal(lists[0], lists[1]) {
		changed = append(changed, fmt.Errorf("the same run again found something else (-first +again):\n%s", Difference(lists[0], lists[1])))
	}
	return errors.Join(changed...)
}

// account says in words what a run did.
func (w *World) account(ctx context.Context, store sinks.Vault, rec sync.Record, now []Person) ([]byte, error) {
	names := map[people.ID]string{}
	for _, p := range now {
		names[p.ID] = uid(p.Profile)
	}
	name := func(id people.ID) string {
		if n := names[id]; n != "" {
			return n
		}
		return "somebody new"
	}
	plan, err := sync.ReadPlan(ctx, w.blobs, rec.Run)
	if err != nil {
		return nil, err
	}
	var operations, held, rest []string
	for _, part := range plan.Parts {
		err := plan.EachProposal(ctx, w.blobs, part.Part, func(p people.Proposal) error {
			for _, o := range p.Operations {
				who := names[p.Person]
				var what []string
				for _, c := range o.Changes {
					if who == "" && c.Path == people.UserID {
						who = c.New.Value.Text()[strings.LastIndexByte(c.New.Value.Text(), '|')+1:]
					}
					what = append(what, fmt.Sprintf("%s (%s)", c.Path, c.Rule))
				}
				line := fmt.Sprintf("%s %s by %s: %s", o.Class, who, o.Source, strings.Join(what, ", "))
				if o.Class == people.Create {
					line = fmt.Sprintf("%s %s by %s: %d attributes", o.Class, who, o.Source, len(what))
				}
				if slices.ContainsFunc(plan.Holds, func(h guard.Hold) bool { return h.Covers(o) }) {
					held = append(held, line)
				} else {
					operations = append(operations, line)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	lists := plan.Correlated.Lists
	if rec.Snapshot {
		world, err := snapshots.Open(ctx, w.blobs, rec.Run)
		if err != nil {
			return nil, err
		}
		defer world.Close()
		if lists, err = world.Lists(ctx); err != nil {
			return nil, err
		}
	}
	for _, r := range lists.Rejections {
		what := "record"
		if r.Attribute != "" {
			what = string(r.Attribute)
		}
		rest = append(rest, fmt.Sprintf("set aside: %s of %s %s, since %s: %s", what, r.Source, cmp.Or(r.Record, r.Place), date(r.FirstSeen), r.Reason))
	}
	for _, c := range lists.Cases {
		line := fmt.Sprintf("undecided: %s, %s, since %s: %s", c.Kind, strings.TrimSpace(string(c.Publisher)+" "+c.Record), date(c.FirstSeen), c.Reason)
		for _, id := range c.People {
			line += "; concerns " + name(id)
		}
		rest = append(rest, line)
	}
	for _, u := range lists.Upcoming {
		line := fmt.Sprintf("upcoming: %s is missing from %s since %s", name(u.Person), u.Source, date(u.Since))
		if u.Due.IsZero() {
			line += ", not confirmed"
		} else {
			line += ", confirmed, acts on " + date(u.Due)
		}
		rest = append(rest, line)
	}
	rows, err := store.Outbox(ctx, Subscriber, 1000)
	if err != nil {
		return nil, err
	}
	var out []string
	exit := 0
	if rec.Attention() {
		exit = 3
	}
	out = append(out, fmt.Sprintf("outcome: %s, exit %d", rec.Outcome, exit))
	for _, s := range w.Job.Sources {
		r := rec.Sources[s.Name]
		if r.Idle {
			out = append(out, fmt.Sprintf("source: %s, not asked", s.Name))
		} else if r.Complete {
			out = append(out, fmt.Sprintf("source: %s, read whole, %d records", s.Name, r.Rows))
		} else {
			out = append(out, fmt.Sprintf("source: %s, not read: %s", s.Name, strings.ReplaceAll(r.Reason, w.Dir+"/", "")))
		}
	}
	for _, h := range rec.Holds {
		rest = append(rest, "hold: "+h.Reason)
	}
	out = append(out, operations...)
	for _, l := range held {
		rest = append(rest, "held: "+l)
	}
	for class, n := range rec.Moved {
		rest = append(rest, fmt.Sprintf("moved: %d %s", n, class))
	}
	slices.Sort(out[1+len(w.Job.Sources):])
	slices.Sort(rest)
	out = append(out, rest...)
	for _, r := range rows {
		out = append(out, fmt.Sprintf("told: %s %s", r.Operation, name(r.ID)))
		if _, err := store.Delivered(ctx, r); err != nil {
			return nil, err
		}
	}
	slices.Sort(out[len(out)-len(rows):])
	out = append(out, fmt.Sprintf("%d attributes signed, %d writes, %d people, %d active", rec.Signatures, rec.Writes, rec.People, rec.Active))
	return []byte(strings.Join(out, "\n") + "\n"), nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// decide records decisions, a line each: link|unlink PUBLISHER RECORD USER_ID.
func decide(ctx context.Context, store sinks.Store, decided string, at time.Time) error {
	for line := range strings.Lines(decided) {
		f := strings.Fields(line)
		if len(f) != 4 || f[0] != "link" && f[0] != "unlink" {
			return fmt.Errorf("decide: want link|unlink PUBLISHER RECORD USER_ID, not %q", line)
		}
		found, err := store.Lookup(ctx, []people.Key{{Scheme: people.ByUserID, Value: f[3]}})
		if err != nil {
			return err
		}
		if len(found[0]) != 1 {
			return fmt.Errorf("decide: nobody is %s", f[3])
		}
		if err := sync.Decide(ctx, store, sync.Link{Publisher: people.Publisher(f[1]), Record: f[2], Person: found[0][0], Apart: f[0] == "unlink",
			By: "a human", Reason: "a story", At: at}); err != nil {
			return err
		}
	}
	return nil
}

// refresh refreshes people by user_id and tells what came of it.
func (w *World) refresh(ctx context.Context, asked string, at time.Time) ([]byte, error) {
	w.At(at)
	w.Use()
	var out bytes.Buffer
	for line := range strings.Lines(asked) {
		if strings.HasPrefix(line, " ") {
			continue // what came of it the last time
		}
		j := w.Job
		j.Clock, j.Sources = at, slices.Clone(j.Sources)
		for i := range j.Sources {
			j.Sources[i].Idle = false
		}
		userID := strings.TrimSpace(line)
		fmt.Fprintln(&out, userID)
		r, err := sync.Refresh(ctx, j, w.Options, people.ID{}, userID)
		if errors.Is(err, sync.ErrNobody) {
			fmt.Fprintln(&out, "  nobody")
			continue
		}
		if err != nil {
			fmt.Fprintf(&out, "  failed: %s\n", strings.ReplaceAll(err.Error(), w.Dir+"/", ""))
			continue
		}
		for _, s := range j.Sources {
			if f, ok := r.Sources[s.Name]; ok {
				fmt.Fprintf(&out, "  %s: %s\n", s.Name, strings.TrimSuffix(f.State+" ("+f.Reason+")", " ()"))
			}
		}
		for _, c := range people.Classes() {
			if r.Operations[c] > 0 {
				fmt.Fprintf(&out, "  %d %s\n", r.Operations[c], c)
			}
		}
		slices.Sort(r.Changed)
		fmt.Fprintf(&out, "  changed: %v\n", r.Changed)
		for _, c := range r.Cases {
			fmt.Fprintf(&out, "  undecided: %s: %s\n", c.Kind, c.Reason)
		}
	}
	return out.Bytes(), nil
}

// find answers lines of the form "SCHEME VALUE: who".
func find(ctx context.Context, r sinks.Reader, asked string, now []Person) ([]byte, error) {
	var out bytes.Buffer
	for line := range strings.Lines(asked) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ": ")
		scheme, value, ok := strings.Cut(strings.TrimSuffix(key, ":"), " ")
		if !ok {
			return nil, errors.New("find: want SCHEME VALUE")
		}
		found, err := r.Lookup(ctx, []people.Key{{Scheme: people.Scheme(scheme), Value: value}})
		if err != nil {
			return nil, err
		}
		var who []string
		for _, p := range now {
			if slices.Contains(found[0], p.ID) {
				who = append(who, uid(p.Profile))
			}
		}
		slices.Sort(who)
		if len(who) == 0 {
			who = []string{"nobody"}
		}
		fmt.Fprintf(&out, "%s %s: %s\n", scheme, value, strings.Join(who, ", "))
	}
	return out.Bytes(), nil
}

// profile writes a profile for people to read: an attribute a line, the
// signer's name in the place of the signature, and attributes that are null
// as their catalogue has them only by name.
func (w *World) profile(p Person) ([]byte, error) {
	if p.Profile == nil {
		return nil, nil
	}
	type shown struct {
		Value          jsontext.Value `json:"value,omitzero"`
		Values         jsontext.Value `json:"values,omitzero"`
		Display        *string        `json:"display"`
		Verified       bool           `json:"verified"`
		Classification string         `json:"classification"`
		Created        string         `json:"created"`
		LastModified   string         `json:"last_modified"`
		SignedBy       string         `json:"signed_by"`
	}
	var b bytes.Buffer
	line := func(key string, v any, end string) error {
		body, err := json.Marshal(v, json.Deterministic(true), jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true))
		fmt.Fprintf(&b, "  %q: %s%s\n", key, body, end)
		return err
	}
	b.WriteString("{\n")
	fmt.Fprintf(&b, "  \"revision\": %d,\n", p.Revision)
	records := map[string]string{}
	for _, o := range p.Evidence.Observations {
		records[string(o.Publisher)] = fmt.Sprintf("%s, %s", o.Record, o.Lifecycle)
	}
	if err := line("records", records, ","); err != nil {
		return nil, err
	}
	if len(p.Evidence.Former) > 0 {
		if err := line("former_user_ids", p.Evidence.Former, ","); err != nil {
			return nil, err
		}
	}
	if len(p.Evidence.Cleared) > 0 {
		var cleared []string
		for _, c := range p.Evidence.Cleared {
			cleared = append(cleared, fmt.Sprintf("%s by %s", c.Path, c.Publisher))
		}
		if err := line("cleared", cleared, ","); err != nil {
			return nil, err
		}
	}
	var unset []string
	for _, n := range p.Profile.Attributes {
		if n.Value.IsNull() && n.Attribute.Equal(w.Catalogue.Null(n.Path)) {
			unset = append(unset, string(n.Path))
			continue
		}
		s := shown{Verified: n.Metadata.Verified, Classification: n.Metadata.Classification,
			Created: n.Metadata.Created, LastModified: n.Metadata.LastModified, SignedBy: "nobody"}
		if n.Value.Plural() {
			s.Values = n.Value.AppendJSON(nil)
		} else {
			s.Value = n.Value.AppendJSON(nil)
		}
		if n.Metadata.Display != "" {
			s.Display = &n.Metadata.Display
		}
		if n.Signature.Publisher.Value != "" {
			s.SignedBy = n.Signature.Publisher.Name
		}
		if err := line(string(n.Path), s, ","); err != nil {
			return nil, err
		}
	}
	b.WriteString("  \"unset\": [")
	width := 100
	for i, name := range unset {
		if i > 0 {
			b.WriteString(", ")
		}
		if width+len(name) > 110 {
			b.WriteString("\n    ")
			width = 0
		}
		fmt.Fprintf(&b, "%q", name)
		width += len(name) + 4
	}
	b.WriteString("\n  ]\n}\n")
	return bytes.ReplaceAll(b.Bytes(), []byte(", \n"), []byte(",\n")), nil
}

// Rewrite puts the story as it went in the place of its file.
func Rewrite(file string, told []byte) error { return os.WriteFile(file, told, 0o644) }

// Difference lists the lines in which two files differ, with the file of the
// story that they are in.
func Difference(want, got []byte) string {
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	// longest[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	longest := make([][]int32, len(a)+1)
	for i := range longest {
		longest[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var out strings.Builder
	in, said := "", ""
	say := func(mark, line string) {
		if in != said {
			fmt.Fprintln(&out, in)
			said = in
		}
		fmt.Fprintln(&out, mark+line)
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			if strings.HasPrefix(a[i], "-- ") {
				in = a[i]
			}
			i++
			j++
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			say("- ", a[i])
			i++
		default:
			say("+ ", b[j])
			j++
		}
	}
	return out.String()
}
