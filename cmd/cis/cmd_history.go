package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"example.org/cis/cmd/cis/internal/show"
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
	return p.print(result, func(w io.Writer) error {
		fmt.Fprintf(w, "%s  %s\n", show.Clean(nameOf(profile)), s.ID)
		if len(revisions) == 0 {
			_, err := fmt.Fprintln(w, "\nNothing changed.")
			return err
		}
		for _, r := range revisions {
			fmt.Fprintf(w, "\nrevision %d, %s, %s\n", r.Number, moment(r.RecordedAt), show.Clean(causeText(r.Cause)))
			for _, op := range r.Operations {
				fmt.Fprintf(w, "  %s by %s\n", op.Class, cmp.Or(string(op.Source), string(people.CIS)))
				if op.Class == people.Create && c.Attribute == "" {
					fmt.Fprintf(w, "    %s\n", show.Plural(int64(len(op.Changes)), "attribute", "attributes"))
					continue
				}
				for _, ch := range op.Changes {
					p.showChange(w, ch.Path, ch.Old, ch.New)
				}
			}
		}
		if more > 0 {
			fmt.Fprintf(w, "\n… and %s more: --limit 0 lists all.\n", show.Plural(int64(more), "revision", "revisions"))
		}
		return nil
	})
}

type personAtCommand struct {
	Who  string `arg:"" help:"Anything that leads to one person."`
	When string `arg:"" help:"A time as 2026-03-04T06:00:00Z, a day (its end, UTC), or a run."`
	All  bool   `help:"Show attributes without a value too."`
}

func (personAtCommand) Help() string {
	return `Shows a profile as it was at a time, rebuilt from its history. An attribute that is today as it was then has its signature; of the others the values are known, and who had signed them is not.

Examples:

    cis person at jdoe 2026-03-04
    cis person at jdoe 20260304t060000z --json`
}

// then is a profile as it was.
type then struct {
	Person   people.ID `json:"person"`
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"`
	// Rebuilt are the attributes that have changed since: they have no signature here.
	Rebuilt []people.Path   `json:"rebuilt"`
	Profile *people.Profile `json:"profile"`
}

func (c personAtCommand) Run(ctx context.Context, p *program) error {
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
	if len(revisions) > 0 && revisions[0].Number == 1 && revisions[0].RecordedAt.After(at) {
		return fmt.Errorf("cis: that person was not there at %s: they came at %s", moment(at), moment(revisions[0].RecordedAt))
	}
	t := then{s.ID, at, s.Revision, []people.Path{}, profile.Clone()}
	for _, r := range slices.Backward(revisions) {
		if !r.RecordedAt.After(at) {
			break
		}
		t.Revision = r.Number - 1
		for _, op := range slices.Backward(r.Operations) {
			for _, ch := range op.Changes {
				a, _ := t.Profile.Find(ch.Path)
				a.Value, a.Metadata.Display, a.Metadata.Verified = ch.Old.Value, ch.Old.Display, ch.Old.Verified
				a.Signature = people.Signature{Publisher: people.Mark{Typ: "JWS"}}
				t.Profile.Set(ch.Path, a)
				if !slices.Contains(t.Rebuilt, ch.Path) {
					t.Rebuilt = append(t.Rebuilt, ch.Path)
				}
			}
		}
	}
	slices.Sort(t.Rebuilt)
	return p.print(t, func(w io.Writer) error {
		state := "inactive"
		if t.Profile.Value(people.Active).True() {
			state = "active"
		}
		fmt.Fprintf(w, "%s  %s at %s, revision %d of %d\n\n", show.Clean(nameOf(t.Profile)), state, moment(at), t.Revision, s.Revision)
		table := p.table("attribute", "value", "display", "today")
		for _, n := range t.Profile.Attributes {
			if n.Path == people.LastModified || n.Value.IsNull() && !c.All {
				continue
			}
			today := "the same"
			if now, _ := profile.Find(n.Path); !people.ContentOf(now).Equal(people.ContentOf(n.Attribute)) {
				today = valueText(now.Value)
				if now.Value.IsNull() {
					today = "none"
				} else if now.Value.Equal(n.Value) {
					today = "display " + orNull(now.Metadata.Display)
				}
			}
			table.Row(string(n.Path), valueText(n.Value), orNull(n.Metadata.Display), today)
		}
		_, err := table.WriteTo(w)
		return err
	})
}

// time reads when: a time, a day, or a run.
func (c personAtCommand) time(ctx context.Context, o *opened) (time.Time, error) {
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
