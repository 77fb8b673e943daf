package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type verifyCommand struct {
	Who string `arg:"" optional:"" help:"uuid, user_id, username, email, employee id or uid."`
	All bool   `help:"Verify everybody."`
}

func (verifyCommand) Help() string {
	return `Verifies every signature of a person, or of everybody, against the published keys, and names what is wrong. Ends with 1 if anything is.

Signatures that are bound to a person and an attribute must be theirs; older ones without a binding verify unless signing.require_binding is set.

Examples:

    cis verify jdoe
    cis verify --all --json`
}

type finding struct {
	ID        people.ID   `json:"uuid"`
	Attribute people.Path `json:"attribute"`
	Wrong     string      `json:"wrong"`
}

func (c verifyCommand) Run(ctx context.Context, p *program) error {
	if (c.Who == "") != c.All {
		return usageError{errors.New("say whom to verify, or --all")}
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	keys, err := p.openKeys(cfg).public()
	if err != nil {
		return err
	}
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	policy := sign.Policy{RequireBinding: cfg.Signing.RequireBinding, Algorithms: map[people.Publisher][]string{}}
	for publisher, accepted := range cfg.Signing.Algorithms {
		policy.Algorithms[people.Publisher(publisher)] = accepted
	}
	var checked, signatures int64
	findings := []finding{}
	check := func(s sinks.Stored, profile *people.Profile) error {
		checked++
		for _, n := range profile.Attributes {
			if n.Signature.Publisher.Value != "" {
				signatures++
			}
		}
		for _, f := range sign.Profile(keys, profile, policy) {
			findings = append(findings, finding{s.ID, f.Path, f.Err.Error()})
		}
		if id, _ := people.ParseID(profile.Value(people.UUID).Text()); id != s.ID {
			findings = append(findings, finding{s.ID, people.UUID, "the profile is of another person"})
		}
		return ctx.Err()
	}
	if c.All {
		err = each(ctx, o.store, check)
	} else {
		s, profile, ferr := o.find(ctx, c.Who)
		if err = ferr; err == nil {
			err = check(s, profile)
		}
	}
	if err != nil {
		return err
	}
	result := map[string]any{"people": checked, "signatures": signatures, "wrong": findings}
	err = p.print(result, func(w io.Writer) error {
		if len(findings) > 0 {
			t := p.table("person", "attribute", "wrong")
			for _, f := range findings {
				t.Row(f.ID.String(), string(f.Attribute), f.Wrong)
			}
			if _, err := t.WriteTo(w); err != nil {
				return err
			}
			fmt.Fprintln(w)
		}
		_, err := fmt.Fprintf(w, "%s of %s verified, %d wrong.\n", show.Plural(signatures, "signature", "signatures"), show.Plural(checked, "person", "people"), len(findings))
		return err
	})
	if err == nil && len(findings) > 0 {
		err = fmt.Errorf("cis: %s", show.Plural(int64(len(findings)), "attribute is wrong", "attributes are wrong"))
	}
	return err
}
