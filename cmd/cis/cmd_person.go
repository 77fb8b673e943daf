package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

type personCommands struct {
	Get     personGetCommand     `cmd:"" help:"Show one person, found by anything that leads to one."`
	List    personListCommand    `cmd:"" help:"List people."`
	History personHistoryCommand `cmd:"" help:"List what changed in a profile."`
	At      personAtCommand      `cmd:"" help:"Show a profile as it was at a time."`
}

type personGetCommand struct {
	Who string `arg:"" help:"uuid, user_id, username, email, employee id or uid."`
	All bool   `help:"Show attributes without a value too."`
}

func (personGetCommand) Help() string {
	return `Shows a person's profile. With --json it is the profile as API clients get it, signatures included.

An email or uid may lead to several people; an active one wins over inactive ones, and if that does not decide it they are listed.

Examples:

    cis person get jdoe
    cis person get 'ad|Mozilla-LDAP|jdoe' --json`
}

func (c personGetCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	s, profile, err := o.find(ctx, c.Who)
	if err != nil {
		return err
	}
	return p.print(profile, func(w io.Writer) error {
		state := "inactive"
		if profile.Value(people.Active).True() {
			state = "active"
		}
		fmt.Fprintf(w, "%s  %s, revision %d\n\n", show.Clean(nameOf(profile)), state, s.Revision)
		t := p.table("attribute", "value", "display", "by", "signed")
		for _, n := range profile.Attributes {
			if n.Value.IsNull() && !c.All {
				continue
			}
			signed := n.Signature.Publisher.Alg
			if n.Signature.Publisher.Value == "" {
				signed = "-"
			}
			t.Row(string(n.Path), valueText(n.Value), orNull(n.Metadata.Display), n.Signature.Publisher.Name, signed)
		}
		_, err := t.WriteTo(w)
		return err
	})
}

func valueText(v people.Value) string {
	if v.Kind() != people.Map {
		return cut(v.Text())
	}
	var parts []string
	for _, e := range v.Entries() {
		parts = append(parts, entry(e))
	}
	if len(parts) == 0 {
		return "(empty)"
	}
	return cut(strings.Join(parts, ", "))
}

// find finds one person by anything that leads to one.
func (o *opened) find(ctx context.Context, who string) (sinks.Stored, *people.Profile, error) {
	var ids []people.ID
	if id, err := people.ParseID(strings.ToLower(who)); err == nil {
		ids = []people.ID{id}
	} else {
		keys := []people.Key{
			{Scheme: people.ByUserID, Value: who},
			{Scheme: people.ByUsername, Value: who},
			{Scheme: people.ByEmployeeID, Value: who},
			{Scheme: people.ByRecord(people.LDAP), Value: who},
			{Scheme: people.ByRecord(people.GitHub), Value: who},
			{Scheme: people.ByRecord(people.AccessProvider), Value: who},
			{Scheme: people.ByRecord(people.Directory), Value: who},
			{Scheme: people.ByPosixID, Value: who},
			{Scheme: people.ByEmail, Value: strings.ToLower(who)},
			{Scheme: people.ByFormerID, Value: who},
		}
		found, err := o.store.Lookup(ctx, keys)
		if err != nil {
			return sinks.Stored{}, nil, fmt.Errorf("cis: look up: %w", err)
		}
		for _, f := range found {
			if len(f) > 0 {
				ids = f
				break
			}
		}
	}
	list, err := o.store.People(ctx, ids)
	if err != nil {
		return sinks.Stored{}, nil, fmt.Errorf("cis: read people: %w", err)
	}
	type candidate struct {
		sinks.Stored
		profile *people.Profile
	}
	var all, active []candidate
	for _, s := range list {
		profile, err := unpack(s)
		if err != nil {
			return s, nil, err
		}
		all = append(all, candidate{s, profile})
		if profile.Value(people.Active).True() {
			active = append(active, candidate{s, profile})
		}
	}
	if len(all) > 1 && len(active) > 0 {
		all = active
	}
	switch len(all) {
	case 0:
		if len(ids) == 1 { // by uuid
			if s, err := o.store.Person(ctx, ids[0]); errors.Is(err, sinks.ErrNotFound) && s.Revision > 0 {
				return sinks.Stored{}, nil, errErased
			}
		}
		return sinks.Stored{}, nil, errNobody
	case 1:
		return all[0].Stored, all[0].profile, nil
	}
	var ids2 []string
	for _, c := range all {
		ids2 = append(ids2, c.ID.String())
	}
	return sinks.Stored{}, nil, fmt.Errorf("cis: that leads to %d people; say which by uuid: %s", len(all), strings.Join(ids2, ", "))
}

// errErased is when a uuid is of somebody who was erased.
var errErased = errors.New("cis: that person was erased; what is left is the receipt: cis vault erase UUID --reason TEXT prints it again")

// errNobody is when nothing leads to anybody.
var errNobody = errors.New("cis: nobody is found by that: `cis person list` lists people, `cis cases` records that attach to nobody")

func unpack(s sinks.Stored) (*people.Profile, error) {
	body, err := sinks.Unpack(s.Profile)
	if err != nil {
		return nil, fmt.Errorf("cis: %s: %w", s.ID, err)
	}
	profile, err := people.ParseProfile(body)
	if err != nil {
		return nil, fmt.Errorf("cis: %s: %w", s.ID, err)
	}
	return profile, nil
}

type personListCommand struct {
	Active string `default:"any" enum:"true,false,any" help:"Only active (true) or inactive (false) people."`
	Limit  int    `default:"50" help:"How many; 0 for all."`
}

func (personListCommand) Help() string {
	return `Lists people, sorted by uuid.

Examples:

    cis person list --active false
    cis person list --limit 0 --json`
}

type listRow struct {
	ID       people.ID `json:"uuid"`
	UserID   string    `json:"user_id"`
	Email    string    `json:"primary_email"`
	Name     string    `json:"name"`
	Active   bool      `json:"active"`
	Revision int64     `json:"revision"`
}

func (c personListCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	rows, more := []listRow{}, false
	err = each(ctx, o.store, func(s sinks.Stored, profile *people.Profile) error {
		active := profile.Value(people.Active).True()
		if c.Active == "true" && !active || c.Active == "false" && active {
			return nil
		}
		if c.Limit > 0 && len(rows) == c.Limit {
			more = true
			return errStop
		}
		rows = append(rows, listRow{s.ID, profile.Value(people.UserID).Text(), profile.Value(people.PrimaryEmail).Text(), nameOf(profile), active, s.Revision})
		return nil
	})
	if err != nil {
		return err
	}
	return p.print(map[string]any{"people": rows, "more": more}, func(w io.Writer) error {
		if len(rows) == 0 {
			_, err := fmt.Fprintln(w, "Nobody.")
			return err
		}
		t := p.table("uuid", "user_id", "email", "name", "active")
		for _, r := range rows {
			t.Row(r.ID.String(), r.UserID, r.Email, r.Name, r.Active)
		}
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
		if more {
			fmt.Fprintln(w, "\n… and more: --limit 0 lists everybody.")
		}
		return nil
	})
}

// errStop ends each early.
var errStop = errors.New("stop")

// each calls yield for every person, sorted by uuid.
func each(ctx context.Context, r sinks.Reader, yield func(sinks.Stored, *people.Profile) error) error {
	const page = 500
	var after people.ID
	for {
		list, err := r.List(ctx, after, page)
		if err != nil {
			return fmt.Errorf("cis: list people: %w", err)
		}
		for _, s := range list {
			profile, err := unpack(s)
			if err != nil {
				return err
			}
			if err := yield(s, profile); errors.Is(err, errStop) {
				return nil
			} else if err != nil {
				return err
			}
			after = s.ID
		}
		if len(list) < page {
			return nil
		}
	}
}
