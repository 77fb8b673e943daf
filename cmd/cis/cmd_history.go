package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

type personHistoryCommand struct {
	Who       string `arg:"" help:"Anything that leads to one person."`
	Attribute string `placeholder:"PATH" help:"Only the changes of this attribute."`
	Limit     int    `default:"20" help:"How many revisions; 0 for all."`
}

func (personHistoryCommand) Help() string {
	return `Lists what changed in a profile, the newest first: when, through which run or door, on whose word and by which rule, from what to what.

Examples:

    cis person history jdoe
    cis person history jdoe --attribute staff_information.title --json`
}

func (c personHistoryCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	s, profile, err := o.find(ctx, c.Who)
	if err != nil {
		return err
	}
	revisions, err := o.history(ctx, s.ID)
	if err != nil {
		return err
	}
	slices.Reverse(revisions)
	if c.Attribute != "" {
		kept := revisions[:0]
		for _, r := range revisions {
			var ops []people.Operation
			for _, op := range r.Operations {
				op.Changes = slices.DeleteFunc(slices.Clone(op.Changes), func(ch people.Change) bool { return ch.Path != people.Path(c.Attribute) })
				if len(op.Changes) > 0 {
					ops = append(ops, op)
				}
			}
			if r.Operations = ops; len(ops) > 0 {
				kept = append(kept, r)
			}
		}
		revisions = kept
	}
	more := 0
	if c.Limit > 0 && len(revisions) > c.Limit {
		revisions, more = revisions[:c.Limit], len(revisions)-c.Limit
	}
	result := map[string]any{"person": s.ID, "revisions": listed(revisions), "more": more}
	return p.print(result, func(out io.Writer) error {
		w := p.page(out)
		w.say(0, "%s  %s", nameOf(profile), s.ID)
		if len(revisions) == 0 {
			_, err := fmt.Fprintln(w, "\nNothing changed.")
			return err
		}
		for _, r := range revisions {
			fmt.Fprintln(w)
			w.say(0, "revision %d, %s, %s", r.Number, moment(r.RecordedAt), causeText(r.Cause))
			if opaque(r) {
				fmt.Fprintln(w, "  The profile was taken over as it is; what that changed is not in the history.")
			}
			for _, op := range r.Operations {
				w.operation(r, op, c.Attribute != "")
			}
		}
		if more > 0 {
			fmt.Fprintf(w, "\n… and %s more: --limit 0 lists all.\n", show.Plural(int64(more), "revision", "revisions"))
		}
		return nil
	})
}

// opaque reports whether a revision replaced the profile whole.
func opaque(r people.Revision) bool { return r.Cause.Door == "import" && len(r.Operations) == 0 }

// operation prints what an operation changed; of a creation, in which
// everything does, only how much on whose word, unless all is asked for.
func (w page) operation(r people.Revision, op people.Operation, all bool) {
	by := cmp.Or(string(op.Source), string(people.CIS))
	if op.Class == people.Create && !all {
		count := map[people.Publisher]int{}
		for _, ch := range op.Changes {
			count[cmp.Or(ch.Source, op.Source)]++
		}
		var parts []string
		for _, p := range slices.Sorted(maps.Keys(count)) {
			parts = append(parts, fmt.Sprintf("%d by %s", count[p], cmp.Or(p, people.CIS)))
		}
		fmt.Fprint(w, "  ")
		w.say(4, "%s: %s, %s", op.Class, show.Plural(int64(len(op.Changes)), "attribute", "attributes"), strings.Join(parts, ", "))
		return
	}
	fmt.Fprintf(w, "  %s by %s\n", op.Class, by)
	var rows [][]string
	for _, ch := range op.Changes {
		text := changeText(ch.Old, ch.New) + " (" + ch.Rule
		if from := cmp.Or(ch.Source, op.Source); from != op.Source {
			text += " of " + string(from)
		}
		rows = append(rows, []string{"  " + string(ch.Path), text + earlier(ch.Since, r.RecordedAt) + ")"})
	}
	w.items(2, rows)
}

type personAtCommand struct {
	Who  string `arg:"" help:"Anything that leads to one person."`
	When string `arg:"" optional:"" help:"A time as 2026-03-04T06:00:00Z, a day (its end, UTC), or a run."`
	Of   string `name:"run" placeholder:"RUN" help:"The profile as this run left it."`
	All  bool   `help:"Show attributes without a value too."`
}

func (personAtCommand) Help() string {
	return `Shows a profile as it was at a time: from the snapshot of the last run before, signatures included, if that is still kept; else rebuilt from its history. Then an attribute that is today as it was then has its signature; of the others the values are known, and their signatures are not.

Examples:

    cis person at jdoe 2026-03-04
    cis person at jdoe --run 20260304t060000z --json`
}

// then is a profile as it was.
type then struct {
	Person   people.ID `json:"person"`
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"`
	// From says where the profile comes from: snapshot (then Run is whose), or
	// history.
	From string `json:"from"`
	Run  string `json:"run,omitzero"`
	// Rebuilt are the attributes that have changed since: they have no signature here.
	Rebuilt []people.Path   `json:"rebuilt"`
	Profile *people.Profile `json:"profile"`
}

func (c personAtCommand) Run(ctx context.Context, p *program) error {
	if (c.When == "") == (c.Of == "") {
		return usageError{errors.New("say when: a time, a day, or --run RUN")}
	}
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	at, err := c.time(ctx, o)
	if err != nil {
		return err
	}
	s, profile, err := o.find(ctx, c.Who)
	if err != nil {
		return err
	}
	revisions, err := o.history(ctx, s.ID)
	if err != nil {
		return err
	}
	t, err := o.then(ctx, s, profile, revisions, at)
	if err != nil {
		return err
	}
	return p.print(t, func(w io.Writer) error { return p.showThen(p.page(w), t, s.Revision, profile, c.All) })
}

// then finds out what a profile was.
func (o *opened) then(ctx context.Context, s sinks.Stored, profile *people.Profile, revisions []people.Revision, at time.Time) (then, error) {
	t := then{Person: s.ID, At: at, From: "history", Rebuilt: []people.Path{}}
	var blind time.Time // of what came before there is no history
	for _, r := range revisions {
		if !r.RecordedAt.After(at) {
			t.Revision = r.Number
		} else if opaque(r) && r.Number > 1 {
			blind = r.RecordedAt
		}
	}
	if t.Revision == 0 && len(revisions) > 0 {
		return t, fmt.Errorf("cis: that person was not there at %s: they came at %s", moment(at), moment(revisions[0].RecordedAt))
	}
	kept, run, err := o.kept(ctx, s.ID, t.Revision, at)
	if err != nil {
		return t, err
	}
	switch {
	case kept != nil:
		t.From, t.Run, t.Profile = "snapshot", run, kept
	case !blind.IsZero():
		return t, fmt.Errorf("cis: the profile was replaced by an import at %s: what it said before is not in its history, and no snapshot of that time is kept", moment(blind))
	default:
		t.Profile, t.Rebuilt = rebuild(profile, revisions, t.Revision)
	}
	return t, nil
}

// kept reads a profile from the snapshot of the last run before a time, nil if
// that is not kept any more, or if the person was written since.
func (o *opened) kept(ctx context.Context, id people.ID, revision int64, at time.Time) (*people.Profile, string, error) {
	runs, err := o.runs(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, r := range runs {
		if !r.Snapshot || r.Clock.After(at) {
			continue
		}
		w, err := snapshots.Open(ctx, o.blobs, r.Run)
		if errors.Is(err, sinks.ErrNotFound) {
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		defer w.Close()
		row, ok := w.Rows.Find(id)
		if !ok || row.Revision != revision {
			return nil, "", nil
		}
		profile, err := w.Profile(ctx, row)
		if errors.Is(err, sinks.ErrNotFound) {
			return nil, "", nil
		}
		return profile, r.Run, err
	}
	return nil, "", nil
}

// rebuild undoes what came after a revision. What was changed and changed back
// has no signature either: it was signed anew.
func rebuild(now *people.Profile, revisions []people.Revision, revision int64) (*people.Profile, []people.Path) {
	then, paths := now.Clone(), []people.Path{}
	set := func(path people.Path, c people.Content) {
		a, _ := then.Find(path)
		a.Value, a.Metadata.Display, a.Metadata.Verified = c.Value, c.Display, c.Verified
		a.Signature = people.Signature{Publisher: people.Mark{Typ: "JWS"}}
		then.Set(path, a)
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, r := range slices.Backward(revisions) {
		if r.Number == revision && len(paths) > 0 { // the date follows every write
			a, _ := then.Find(people.LastModified)
			c := people.ContentOf(a)
			c.Value = people.StringValue(r.RecordedAt.UTC().Format(people.TimeFormat))
			set(people.LastModified, c)
		}
		if r.Number <= revision {
			break
		}
		for _, op := range slices.Backward(r.Operations) {
			for _, ch := range op.Changes {
				set(ch.Path, ch.Old)
			}
		}
	}
	slices.Sort(paths)
	return then, paths
}

func (p *program) showThen(w page, t then, revision int64, profile *people.Profile, all bool) error {
	state := "inactive"
	if t.Profile.Value(people.Active).True() {
		state = "active"
	}
	w.say(0, "%s  %s at %s, revision %d of %d", nameOf(t.Profile), state, moment(t.At), t.Revision, revision)
	switch {
	case t.From == "snapshot":
		w.say(0, "As run %s left it.", t.Run)
	case len(t.Rebuilt) > 0:
		w.say(0, "Rebuilt from the history; of %s that changed since the signature is not known.", show.Plural(int64(len(t.Rebuilt)), "attribute", "attributes"))
	default:
		w.say(0, "It has not changed since.")
	}
	fmt.Fprintln(w)
	type line struct{ path, value, display, today string }
	var lines []line
	taken, display, today := 0, len("display"), 0 // columns
	for _, n := range t.Profile.Attributes {
		now, _ := profile.Find(n.Path)
		same := people.ContentOf(now).Equal(people.ContentOf(n.Attribute))
		if n.Path == people.LastModified || !all && n.Value.IsNull() && now.Value.IsNull() {
			continue
		}
		l := line{string(n.Path), valueText(n.Value), orNull(n.Metadata.Display), "the same"}
		switch {
		case same:
		case now.Value.IsNull():
			l.today = "none"
		case now.Value.Equal(n.Value):
			l.today = "display " + orNull(now.Metadata.Display)
		default:
			l.today = valueText(now.Value)
		}
		if n.Value.IsNull() {
			l.value = "none"
		}
		lines = append(lines, l)
		taken, display, today = max(taken, show.Width(l.path)), max(display, show.Width(l.display)), max(today, show.Width(l.today))
	}
	room := w.columns - taken - display - 6
	today = min(today, room/2)
	table := p.table("attribute", "value", "display", "today")
	for _, l := range lines {
		table.Row(l.path, show.Clip(l.value, room-today), l.display, show.Clip(l.today, today))
	}
	_, err := table.WriteTo(w)
	return err
}

// time reads when: a time, a day, or a run.
func (c personAtCommand) time(ctx context.Context, o *opened) (time.Time, error) {
	if c.Of != "" {
		rec, err := o.run(ctx, c.Of)
		return rec.Clock, err
	}
	if t, err := time.Parse(time.RFC3339, c.When); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.DateOnly, c.When); err == nil {
		return t.Add(24*time.Hour - time.Millisecond), nil
	}
	rec, err := o.run(ctx, c.When)
	if usage := (usageError{}); errors.As(err, &usage) {
		return time.Time{}, usageError{fmt.Errorf("%q is no time such as 2026-03-04T06:00:00Z, no day such as 2026-03-04, and no run", c.When)}
	}
	return rec.Clock, err
}
