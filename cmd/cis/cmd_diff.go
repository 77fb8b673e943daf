package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

type diffCommand struct {
	From string `arg:"" optional:"" help:"The earlier run (default: the one before the current)."`
	To   string `arg:"" optional:"" help:"The later run (default: the current)."`
}

func (diffCommand) Help() string {
	return `Compares the snapshots of two runs: who came, who went inactive or came back, and what changed in whom.

Examples:

    cis diff
    cis diff 20260302t060000z 20260309t060000z --json`
}

// A personDiff is one person in whom two snapshots differ.
type personDiff struct {
	ID      people.ID   `json:"uuid"`
	UserID  string      `json:"user_id"`
	Name    string      `json:"name"`
	What    string      `json:"what"` // joined, left, returned, changed, removed, erased
	Changes []attribute `json:"changes"`
}

type attribute struct {
	Path people.Path    `json:"attribute"`
	Old  people.Content `json:"old"`
	New  people.Content `json:"new"`
}

type diffResult struct {
	From    string           `json:"from"`
	To      string           `json:"to"`
	Summary map[string]int64 `json:"summary"`
	People  []personDiff     `json:"people"`
}

func (c diffCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	from, to, err := o.span(ctx, c.From, c.To)
	if err != nil {
		return err
	}
	res, err := o.diff(ctx, from, to)
	if err != nil {
		return err
	}
	return p.print(res, func(w io.Writer) error { return p.showDiff(w, res, -1) })
}

// span finds the two runs to compare; "" is the world before the first run.
func (o *opened) span(ctx context.Context, from, to string) (string, string, error) {
	head, err := sync.Head(ctx, o.store)
	if err != nil {
		return "", "", err
	}
	if head == "" {
		return "", "", usageError{errors.New("there is no snapshot yet: `cis sync` makes the first")}
	}
	find := func(id string) (string, error) {
		r, err := o.run(ctx, id)
		if err == nil && !r.Snapshot {
			err = usageError{fmt.Errorf("run %s made no snapshot (%s)", r.Run, r.Outcome)}
		}
		return r.Run, err
	}
	if to == "" {
		to = head
	} else if to, err = find(to); err != nil {
		return "", "", err
	}
	if from != "" {
		from, err = find(from)
		return from, to, err
	}
	var m snapshots.Manifest
	if err := snapshots.ReadJSON(ctx, o.blobs, snapshots.Dir(to)+"manifest.json", &m); err != nil {
		return "", "", err
	}
	return m.Base, to, nil
}

// diff compares two snapshots. It reads the profiles of those who differ and
// of nobody else.
func (o *opened) diff(ctx context.Context, from, to string) (diffResult, error) {
	res := diffResult{From: from, To: to, Summary: map[string]int64{}, People: []personDiff{}}
	a, err := snapshots.Open(ctx, o.blobs, from)
	if err != nil {
		return res, expired(from, err)
	}
	defer a.Close()
	b, err := snapshots.Open(ctx, o.blobs, to)
	if err != nil {
		return res, expired(to, err)
	}
	defer b.Close()
	add := func(d personDiff) error {
		if d.Changes == nil {
			d.Changes = []attribute{}
		}
		res.Summary[d.What]++
		res.People = append(res.People, d)
		return nil
	}
	compare := func(x, y *snapshot.Row) error {
		id := cmp.Or(x, y).ID
		var old, now *people.Profile
		var err error
		if x != nil {
			if old, err = a.Profile(ctx, *x); errors.Is(err, snapshots.ErrErased) {
				x, old, err = nil, nil, nil
				if y == nil {
					return add(personDiff{What: "erased", ID: id})
				}
			}
			if err != nil {
				return expired(from, err)
			}
		}
		if y != nil {
			if now, err = b.Profile(ctx, *y); errors.Is(err, snapshots.ErrErased) {
				return add(personDiff{What: "erased", ID: id})
			}
			if err != nil {
				return expired(to, err)
			}
		}
		d := personDiff{What: "changed", Changes: []attribute{}}
		shown := now
		switch {
		case x == nil:
			d.What, d.ID = "joined", y.ID
		case y == nil:
			d.What, d.ID, shown = "removed", x.ID, old
		default:
			d.ID = y.ID
			if x.Active && !y.Active {
				d.What = "left"
			} else if !x.Active && y.Active {
				d.What = "returned"
			}
		}
		d.UserID = shown.Value(people.UserID).Text()
		d.Name = nameOf(shown)
		for _, ch := range diff.Profiles(old, now) {
			d.Changes = append(d.Changes, attribute(ch))
		}
		if len(d.Changes) > 0 {
			return add(d)
		}
		return nil
	}
	i, k := 0, 0
	for i < a.Rows.Len() || k < b.Rows.Len() {
		var x, y *snapshot.Row
		order := 0
		if i < a.Rows.Len() {
			r := a.Rows.At(i)
			x = &r
		}
		if k < b.Rows.Len() {
			r := b.Rows.At(k)
			y = &r
		}
		switch {
		case y == nil:
			order = -1
		case x == nil:
			order = 1
		default:
			order = bytes.Compare(x.ID[:], y.ID[:])
		}
		if order < 0 {
			y = nil
		} else if order > 0 {
			x = nil
		}
		if x != nil {
			i++
		}
		if y != nil {
			k++
		}
		if x != nil && y != nil && x.Content == y.Content {
			continue
		}
		if err := compare(x, y); err != nil {
			return res, err
		}
	}
	return res, nil
}

func expired(run string, err error) error {
	if errors.Is(err, sinks.ErrNotFound) {
		return fmt.Errorf("cis: the snapshot of %s is no longer kept (they are kept for %d days): %w", run, int(snapshots.Keep.Hours()/24), err)
	}
	return err
}

// nameOf is what a person is called: the names they chose, else their user_id.
func nameOf(p *people.Profile) string {
	name := strings.TrimSpace(p.Value("first_name").Text() + " " + p.Value("last_name").Text())
	if name == "" {
		return p.Value(people.UserID).Text()
	}
	return name
}

// showDiff prints at most limit people in whole; -1 prints all.
func (p *program) showDiff(w io.Writer, res diffResult, limit int) error {
	fmt.Fprintf(w, "From %s to %s\n", orNone(res.From), res.To)
	if len(res.People) == 0 {
		_, err := fmt.Fprintln(w, "Nothing changed.")
		return err
	}
	var parts []string
	for _, what := range []string{"joined", "left", "returned", "changed", "removed", "erased"} {
		if n := res.Summary[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	fmt.Fprintf(w, "%s\n", strings.Join(parts, ", "))
	for i, d := range res.People {
		if limit >= 0 && i == limit {
			_, err := fmt.Fprintf(w, "\n… and %d more\n", len(res.People)-limit)
			return err
		}
		if d.What == "erased" {
			fmt.Fprintf(w, "\nerased  %s\n", d.ID)
			continue
		}
		fmt.Fprintf(w, "\n%s  %s  (%s)\n", d.What, show.Clean(d.Name), show.Clean(d.UserID))
		if d.What == "joined" {
			fmt.Fprintf(w, "    %s\n", show.Plural(int64(len(d.Changes)), "attribute", "attributes"))
			continue
		}
		for _, ch := range d.Changes {
			p.showChange(w, ch.Path, ch.Old, ch.New)
		}
	}
	return nil
}
