package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// company loads three days of a small company and returns a way to run the
// program in it.
func company(t *testing.T, environ ...string) func(code int, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	cis := func(want int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, environ)
		if want >= 0 && code != want {
			t.Fatalf("cis %s ended with %d, want %d: %s%s", strings.Join(args, " "), code, want, &stderr, &stdout)
		}
		return stdout.String()
	}
	for day, at := range []string{"2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"} {
		cis(exitDone, "synth", ".", "--people", "60", "--seed", "3", "--day", strconv.Itoa(day))
		args := []string{"sync", "--now", at + "T06:00:00Z"}
		if day == 0 {
			args = append(args, "--first-load", "--reason", "the first day")
		}
		cis(-1, args...)
	}
	return cis
}

func open(t *testing.T) *opened {
	t.Helper()
	p := &program{env: config.ParseEnv(nil)}
	o, err := p.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// Everybody is explained, within 80 columns, with signatures that hold; the
// values are those of the profile.
func TestExplainEverybody(t *testing.T) {
	if testing.Short() {
		t.Skip("explains a whole company")
	}
	cis := company(t, "COLUMNS=80")
	o := open(t)
	fits := func(what, text string) {
		t.Helper()
		for line := range strings.Lines(text) {
			if n := show.Width(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s has a line of %d columns:\n%s", what, n, line)
			}
		}
	}
	n := 0
	err := each(t.Context(), o.store, func(s sinks.Stored, profile *people.Profile) error {
		id := s.ID.String()
		var x explanation
		if err := json.Unmarshal([]byte(cis(exitDone, "explain", id, "--json")), &x); err != nil {
			t.Fatal(err)
		}
		if x.Person != s.ID || len(x.Attributes) != len(profile.Attributes) || len(x.Records) == 0 {
			t.Fatalf("%s: %d attributes of %d, %d records", id, len(x.Attributes), len(profile.Attributes), len(x.Records))
		}
		for _, a := range x.Attributes {
			now, _ := profile.Find(a.Path)
			if !a.Content.Equal(people.ContentOf(now)) || a.Signature.Wrong != "" || a.Pending != nil {
				t.Errorf("%s of %s: %+v", a.Path, id, a)
			}
			signed := now.Signature.Publisher.Value != ""
			if a.Signature.Verifies != signed || signed && (!a.Signature.Bound || a.Signature.Key == "") {
				t.Errorf("%s of %s: %+v", a.Path, id, a.Signature)
			}
			if !now.Value.IsNull() && a.Since == nil && a.Path != people.LastModified {
				t.Errorf("nobody knows how %s of %s came to be", a.Path, id)
			}
			for _, w := range a.Words {
				if w.Counts && w.By != "" {
					t.Errorf("%s of %s: %+v", a.Path, id, w)
				}
			}
		}
		if n++; n%4 > 0 {
			return nil
		}
		fits("the overview of "+id, cis(exitDone, "explain", id))
		fits("the history of "+id, cis(exitDone, "person", "history", id))
		fits("the past of "+id, cis(exitDone, "person", "at", id, "--run", "latest"))
		for _, path := range []string{"usernames", "active", "access_information.ldap", "primary_email"} {
			fits(path+" of "+id, cis(exitDone, "explain", id, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is set aside or undecided can be asked about by what the lists show.
func TestExplainWhatWasLeftOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at a whole company")
	}
	cis := company(t)
	l, err := open(t).lists(t.Context())
	if err != nil || len(l.Rejections) == 0 || len(l.Cases) == 0 {
		t.Fatalf("%d rejections, %d cases, %v", len(l.Rejections), len(l.Cases), err)
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, r := range l.Rejections {
		for _, key := range []string{r.Record, r.Place} {
			if key == "" {
				continue
			}
			if got := flat(cis(-1, "explain", key)); !strings.Contains(got, "was set aside") || !strings.Contains(got, r.Reason) {
				t.Errorf("%s:\n%s", key, got)
			}
		}
	}
	for _, k := range l.Cases {
		keys := []string{k.Record}
		for _, id := range k.People {
			keys = append(keys, id.String())
		}
		for _, key := range keys {
			got := flat(cis(-1, "explain", key))
			if key != "" && (!strings.Contains(got, k.Reason) || !strings.Contains(got, "To resolve: ")) {
				t.Errorf("%s:\n%s", key, got)
			}
		}
	}
	for _, u := range l.Upcoming {
		if got := cis(exitDone, "explain", u.Person.String()); !strings.Contains(got, u.Source+" does not have the record since ") {
			t.Errorf("%s:\n%s", u.Person, got)
		}
	}
}

// What is rebuilt from the history of a person is what the snapshots had, at
// each run.
func TestHistoryAgreesWithSnapshots(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at a whole company")
	}
	company(t)
	o := open(t)
	runs, err := o.runs(t.Context())
	if err != nil || len(runs) < 5 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	compared, rebuilt := 0, 0
	err = each(t.Context(), o.store, func(s sinks.Stored, now *people.Profile) error {
		revisions, err := o.history(t.Context(), s.ID)
		if err != nil {
			return err
		}
		for _, r := range runs {
			was, err := o.then(t.Context(), s, now, revisions, r.Clock)
			if err != nil {
				if !revisions[0].RecordedAt.After(r.Clock) {
					t.Errorf("%s at %s: %v", s.ID, r.Run, err)
				}
				continue
			}
			if was.From != "snapshot" || was.Run != r.Run {
				t.Errorf("%s at %s is from %s %s", s.ID, r.Run, was.From, was.Run)
			}
			again, paths := rebuild(now, revisions, was.Revision)
			compared, rebuilt = compared+1, rebuilt+len(paths)
			for _, n := range was.Profile.Attributes {
				a, _ := again.Find(n.Path)
				if !people.ContentOf(a).Equal(people.ContentOf(n.Attribute)) {
					t.Errorf("%s of %s at %s is rebuilt otherwise", n.Path, s.ID, r.Run)
				}
				if a.Signature.Publisher.Value != "" && !a.Equal(n.Attribute) {
					t.Errorf("%s of %s at %s has the signature of another time", n.Path, s.ID, r.Run)
				}
			}
		}
		return nil
	})
	if err != nil || compared < 200 || rebuilt < 50 {
		t.Fatalf("%d compared, %d rebuilt, %v", compared, rebuilt, err)
	}
}

// Once snapshots are gone the history tells, and it says where it cannot.
func TestAtWithoutSnapshots(t *testing.T) {
	cis := company(t)
	o := open(t)
	var changed string // somebody who was there on the first day and changed later
	err := each(t.Context(), o.store, func(s sinks.Stored, _ *people.Profile) error {
		revisions, err := o.history(t.Context(), s.ID)
		if err != nil {
			return err
		}
		if s.Revision > 1 && revisions[0].RecordedAt.Before(time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)) {
			changed = s.ID.String()
			return errStop
		}
		return nil
	})
	if err != nil || changed == "" {
		t.Fatal("nobody of the first day changed later: ", err)
	}
	before := cis(exitDone, "person", "at", changed, "2026-03-02")
	if !strings.Contains(before, "As run 20260302t060000z-") {
		t.Error(before)
	}
	if err := os.RemoveAll(filepath.Join("cis-blobs", "snapshots")); err != nil {
		t.Fatal(err)
	}
	after := cis(exitDone, "person", "at", changed, "2026-03-02")
	if !strings.Contains(after, "Rebuilt from the history; of ") {
		t.Error(after)
	}
	table := func(s string) string { _, t, _ := strings.Cut(s, "\n\n"); return t }
	if table(before) != table(after) {
		t.Errorf("from the snapshot:\n%s\nfrom the history:\n%s", before, after)
	}
	cis(exitDone, "person", "at", changed, "2026-03-02", "--all")

	// An import that replaces a profile leaves no trace of what it said.
	profile, err := people.ParseProfile([]byte(cis(exitDone, "person", "get", changed, "--json")))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := profile.Find("description")
	a.Value = people.StringValue("edited elsewhere")
	profile.Set("description", a)
	if err := os.WriteFile("one.jsonl", append(profile.AppendJSON(nil), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	cis(exitDone, "import", "one.jsonl", "--replace", "--reason", "taken back")
	if got := cis(exitDone, "person", "history", changed); !strings.Contains(got, "taken over as it is") || !strings.Contains(got, "import, taken back") {
		t.Error(got)
	}
	if got := cis(exitFailed, "person", "at", changed, "2026-03-02", "--json"); !strings.Contains(got, "replaced by an import") {
		t.Error(got)
	}
}
