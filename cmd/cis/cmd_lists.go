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
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/transforms/people"
)

type rejectionsCommand struct{}

func (rejectionsCommand) Help() string {
	return `Lists what was set aside, until it is right in its source: whole records and single attributes, with where they stand and why. Whoever is concerned keeps what was good last.

Examples:

    cis rejections
    cis rejections --json`
}

func (rejectionsCommand) Run(ctx context.Context, p *program) error {
	w, l, err := p.openLists(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	return p.print(map[string]any{"rejections": listed(l.Rejections)}, func(out io.Writer) error {
		if len(l.Rejections) == 0 {
			_, err := fmt.Fprintln(out, "Nothing is set aside.")
			return err
		}
		t := p.table("source", "place", "record", "attribute", "reason", "since")
		for _, r := range l.Rejections {
			t.Row(r.Source, r.Place, orDash(r.Record), orDash(string(r.Attribute)), r.Reason, day(r.FirstSeen))
		}
		if _, err := t.WriteTo(out); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "\nTo resolve: correct them in the source; the next sync reads them again.")
		return err
	})
}

type casesCommand struct {
	Source string `placeholder:"NAME" help:"Only those of this source, by its name or publisher."`
	All    bool   `help:"Show all of those that are alike, too."`
}

func (casesCommand) Help() string {
	return `Lists what cannot be decided without a human: records that attach to nobody, or to more than one, and ids that seem recycled. The rarest come first; of many that are alike a few are shown.

Examples:

    cis cases
    cis cases --source github --all
    cis cases --json`
}

func (c casesCommand) Run(ctx context.Context, p *program) error {
	const alike = 5
	w, l, err := p.openLists(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if c.Source != "" {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		publisher, err := publisherOf(cfg, c.Source)
		if err != nil {
			return err
		}
		l.Cases = slices.DeleteFunc(l.Cases, func(k people.Case) bool { return k.Publisher != publisher })
	}
	return p.print(map[string]any{"cases": listed(l.Cases)}, func(out io.Writer) error {
		if len(l.Cases) == 0 {
			_, err := fmt.Fprintln(out, "There is nothing to decide.")
			return err
		}
		kind := func(k people.Case) string { return k.Kind + "\x00" + string(k.Publisher) + "\x00" + k.Reason }
		count := map[string]int{}
		for _, k := range l.Cases {
			count[kind(k)]++
		}
		slices.SortStableFunc(l.Cases, func(a, b people.Case) int {
			return cmp.Or(cmp.Compare(count[kind(a)], count[kind(b)]), cmp.Compare(kind(a), kind(b)))
		})
		t := p.table("case", "source", "record", "people", "why", "since")
		shown, more := map[string]int{}, 0
		for _, k := range l.Cases {
			if shown[kind(k)]++; shown[kind(k)] > alike && !c.All {
				more++
				continue
			}
			who := "-"
			for i, id := range k.People {
				if i == 0 {
					who = id.String()
				} else {
					who += ", " + id.String()
				}
			}
			t.Row(k.Kind, string(k.Publisher), orDash(k.Record), who, k.Reason, day(k.FirstSeen))
		}
		if _, err := t.WriteTo(out); err != nil {
			return err
		}
		if more > 0 {
			fmt.Fprintf(out, "… and %s like the last of their kind: --all lists them.\n", show.Plural(int64(more), "case", "cases"))
		}
		seen := map[string]bool{}
		fmt.Fprintln(out, "\nTo resolve:")
		for _, k := range l.Cases {
			if !seen[k.Kind+k.Resolve] {
				seen[k.Kind+k.Resolve] = true
				fmt.Fprintf(out, "  %s (%s): %s\n", k.Kind, k.Publisher, k.Resolve)
			}
		}
		return nil
	})
}

type upcomingCommand struct{}

func (upcomingCommand) Help() string {
	return `Lists the people who are missing from a source, and when that will act if they stay away: a second complete extract must confirm it, and a grace must pass.

Examples:

    cis upcoming
    cis upcoming --json`
}

func (upcomingCommand) Run(ctx context.Context, p *program) error {
	w, l, err := p.openLists(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	ids := make([]people.ID, len(l.Upcoming))
	for i, u := range l.Upcoming {
		ids[i] = u.Person
	}
	stored, err := w.store.People(ctx, ids)
	if err != nil {
		return fmt.Errorf("cis: read people: %w", err)
	}
	userID := map[people.ID]string{}
	for _, s := range stored {
		profile, err := unpack(s)
		if err != nil {
			return err
		}
		userID[s.ID] = profile.Value(people.UserID).Text()
	}
	return p.print(map[string]any{"upcoming": listed(l.Upcoming)}, func(out io.Writer) error {
		if len(l.Upcoming) == 0 {
			_, err := fmt.Fprintln(out, "Nobody is missing.")
			return err
		}
		t := p.table("uuid", "user_id", "missing from", "since", "acts")
		for _, u := range l.Upcoming {
			due := "once confirmed"
			if !u.Due.IsZero() {
				due = u.Due.Format("2006-01-02 15:04")
			}
			t.Row(u.Person.String(), userID[u.Person], u.Source, u.Since.Format("2006-01-02 15:04"), due)
		}
		_, err := t.WriteTo(out)
		return err
	})
}

// openLists opens what the configuration names and reads what is left open.
func (p *program) openLists(ctx context.Context) (*opened, snapshots.Lists, error) {
	w, err := p.open(ctx)
	if err != nil {
		return nil, snapshots.Lists{}, err
	}
	l, err := w.lists(ctx)
	if err != nil {
		return nil, l, errors.Join(err, w.Close())
	}
	return w, l, nil
}

// listed makes an empty list of none, so that JSON says [] and not null.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func day(t time.Time) string { return t.Format(time.DateOnly) }
