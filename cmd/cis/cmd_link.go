package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/user"
	"slices"
	"strings"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

type linkCommand struct {
	Who    string `arg:"" help:"The person, by anything that leads to one."`
	Source string `arg:"" help:"The source, by its name or publisher."`
	Record string `arg:"" help:"The record's id in the source, as cis cases shows it."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the record."`
	By     string `placeholder:"NAME" help:"Who decided (default: who runs the command)."`
}

func (linkCommand) Help() string {
	return `Decides that a record is a person's, whatever the rules would make of it: a case is resolved so. The next sync that reads the record carries it out. The record is taken from whoever has it; what it said there goes back to where it came from.

Examples:

    cis link jdoe hris 1000011 --reason "hired again under another number"
    cis sync --source hris`
}

func (c linkCommand) Run(ctx context.Context, p *program) error {
	return p.decide(ctx, c.Who, c.Source, c.Record, c.Reason, c.By, false)
}

type unlinkCommand struct {
	Who    string `arg:"" help:"The person, by anything that leads to one."`
	Source string `arg:"" help:"The source, by its name or publisher."`
	Record string `arg:"" optional:"" help:"The record's id in the source (default: the one that the person has)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the record."`
	By     string `placeholder:"NAME" help:"Who decided (default: who runs the command)."`
}

func (unlinkCommand) Help() string {
	return `Decides that a record is not a person's. The next sync carries it out: each attribute that the record gave goes back to where it came from, which is what the other sources say, else nothing. The record is a case from then on, and is never that person's again unless "cis link" says so.

Examples:

    cis unlink jdoe github --reason "the account is a namesake's"
    cis sync`
}

func (c unlinkCommand) Run(ctx context.Context, p *program) error {
	return p.decide(ctx, c.Who, c.Source, c.Record, c.Reason, c.By, true)
}

// decide records what a human decided about a record.
func (p *program) decide(ctx context.Context, who, source, record, reason, by string, apart bool) error {
	if strings.TrimSpace(reason) == "" {
		return usageError{errors.New("a decision needs a reason: --reason TEXT")}
	}
	c, err := p.load()
	if err != nil {
		return err
	}
	publisher, err := publisherOf(c, source)
	if err != nil {
		return err
	}
	store, err := p.openVault(ctx, c, true) // which makes none
	if errors.Is(err, fs.ErrNotExist) {
		return usageError{sync.ErrNotLoaded}
	}
	if err == nil {
		err = store.Close()
	}
	if err == nil {
		store, err = p.openVault(ctx, c, false)
	}
	if err != nil {
		return err
	}
	o := &opened{store: store}
	defer o.Close()
	s, profile, err := o.find(ctx, who)
	if err != nil {
		return err
	}
	if record == "" {
		evidence, err := unpackEvidence(s)
		if err != nil {
			return err
		}
		has := evidence.Find(publisher)
		if has == nil {
			return usageError{fmt.Errorf("that person has no record of %s", publisher)}
		}
		record = has.Record
	}
	if by == "" {
		by = "unknown"
		if u, err := user.Current(); err == nil {
			by = u.Username
		}
	}
	key := people.Key{Scheme: people.ByRecord(publisher), Value: record}
	found, err := store.Lookup(ctx, []people.Key{key})
	if err != nil {
		return fmt.Errorf("cis: look up the record: %w", err)
	}
	d := sync.Link{Publisher: publisher, Record: record, Person: s.ID, Apart: apart, By: by, Reason: reason, At: p.now().UTC()}
	if err := sync.Decide(ctx, store, d); err != nil {
		return err
	}
	return p.print(d, func(w io.Writer) error {
		name := show.Clean(nameOf(profile))
		switch has := slices.Contains(found[0], s.ID); {
		case apart && has:
			fmt.Fprintf(w, "The record %s of %s will be taken from %s.\n", record, publisher, name)
		case apart:
			fmt.Fprintf(w, "The record %s of %s will not become %s's.\n", record, publisher, name)
		case has:
			fmt.Fprintf(w, "The record %s of %s is %s's, and stays so.\n", record, publisher, name)
			return nil
		case len(found[0]) > 0:
			fmt.Fprintf(w, "The record %s of %s will be taken from %s and given to %s.\n", record, publisher, found[0][0], name)
		default:
			fmt.Fprintf(w, "The record %s of %s will be %s's.\n", record, publisher, name)
		}
		_, err := fmt.Fprintln(w, "The next sync that reads it carries that out: cis sync")
		return err
	})
}

// publisherOf is the publisher of a source, by its name or the publisher's own.
func publisherOf(c *config.Config, name string) (people.Publisher, error) {
	var names []string
	for _, s := range c.Sources {
		publisher := sourceTypes()[s.Type].publisher
		if s.Name == name || string(publisher) == name {
			return publisher, nil
		}
		names = append(names, s.Name)
	}
	return "", usageError{fmt.Errorf("no source is called %s: there are %s", name, strings.Join(names, ", "))}
}

func unpackEvidence(s sinks.Stored) (e people.Evidence, err error) {
	if len(s.Observations) == 0 {
		return e, nil
	}
	body, err := sinks.Unpack(s.Observations)
	if err == nil {
		e, err = people.ParseEvidence(body)
	}
	if err != nil {
		return e, fmt.Errorf("cis: %s: %w", s.ID, err)
	}
	return e, nil
}

type linksCommand struct {
	Who string `arg:"" optional:"" help:"Only this person, by anything that leads to one, with all their records."`
}

func (linksCommand) Help() string {
	return `Lists which records a person has, and what humans decided about records: who, when and why. Without a person it lists all decisions.

Examples:

    cis links jdoe
    cis links --json`
}

// A linkRow is a record that is linked, or a decision about one.
type linkRow struct {
	Publisher people.Publisher `json:"publisher"`
	Record    string           `json:"record"`
	Person    people.ID        `json:"person"`
	// State is linked, gone, or what was decided and is not carried out yet:
	// to be linked, to be unlinked, kept apart.
	State    string     `json:"state"`
	Decision *sync.Link `json:"decision,omitzero"`
}

func (c linksCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	decisions, err := sync.Links(ctx, o.store)
	if err != nil {
		return err
	}
	var rows []linkRow
	has := func(l sync.Link) bool {
		return slices.ContainsFunc(rows, func(r linkRow) bool {
			return r.Publisher == l.Publisher && r.Record == l.Record && r.Person == l.Person
		})
	}
	if c.Who != "" {
		s, _, err := o.find(ctx, c.Who)
		if err != nil {
			return err
		}
		evidence, err := unpackEvidence(s)
		if err != nil {
			return err
		}
		for _, x := range evidence.Observations {
			state := "linked"
			if x.Lifecycle == people.Gone {
				state = "gone"
			}
			rows = append(rows, linkRow{Publisher: x.Publisher, Record: x.Record, Person: s.ID, State: state})
		}
		decisions = slices.DeleteFunc(decisions, func(l sync.Link) bool { return l.Person != s.ID })
	}
	for _, d := range decisions {
		linked := has(d)
		if c.Who == "" {
			found, err := o.store.Lookup(ctx, []people.Key{{Scheme: people.ByRecord(d.Publisher), Value: d.Record}})
			if err != nil {
				return fmt.Errorf("cis: look up a record: %w", err)
			}
			linked = slices.Contains(found[0], d.Person)
		}
		state := map[[2]bool]string{{false, true}: "linked", {false, false}: "to be linked", {true, true}: "to be unlinked", {true, false}: "kept apart"}[[2]bool{d.Apart, linked}]
		if i := slices.IndexFunc(rows, func(r linkRow) bool {
			return r.Publisher == d.Publisher && r.Record == d.Record && r.Person == d.Person
		}); i >= 0 {
			rows[i].Decision, rows[i].State = &d, state
			continue
		}
		rows = append(rows, linkRow{d.Publisher, d.Record, d.Person, state, &d})
	}
	return p.print(map[string]any{"links": rows}, func(w io.Writer) error {
		if len(rows) == 0 {
			_, err := fmt.Fprintln(w, "Nobody decided anything about a record.")
			return err
		}
		t := p.table("publisher", "record", "person", "state", "decided by", "when", "why")
		for _, r := range rows {
			by, when, why := "", "", ""
			if d := r.Decision; d != nil {
				by, when, why = d.By, d.At.Format("2006-01-02 15:04"), d.Reason
			}
			t.Row(string(r.Publisher), r.Record, r.Person.String(), r.State, by, when, why)
		}
		_, err := t.WriteTo(w)
		if c.Who != "" {
			if a := authorityOf(rows); a != "" {
				fmt.Fprintf(w, "\n%s says whether the person is here.\n", a)
			}
		}
		return err
	})
}

func authorityOf(rows []linkRow) people.Publisher {
	var e people.Evidence
	for _, r := range rows {
		if r.State == "linked" || r.State == "gone" {
			e.Observations = append(e.Observations, people.Observation{Publisher: r.Publisher})
		}
	}
	return merge.Authority(&e)
}
