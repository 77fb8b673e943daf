package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/upkeep"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type vaultCheckCommand struct {
	Fix bool `help:"Mend what can be mended, and check again."`
}

func (vaultCheckCommand) Help() string {
	return `Reads all of a vault and says what is wrong: people who are not found by what should lead to them or are found by what should not, what is left of nobody, revisions without history, what cannot be read, and signatures that do not verify. It names no values.

With --fix it first shows what is wrong, and then makes what leads to each person what their profile and records say, takes away what is left of nobody, and checks again. No profile, record or history is written. What it cannot mend is said with what can.

Whatever is written while a vault is checked may be reported though it is right; nobody but a refresh writes while it is fixed.

A vault that an earlier version wrote has nothing yet that people are searched by: --fix writes it, and nothing else is missing then.

Ends with 3 if something is wrong, or is left to mend.

Examples:

    cis vault check
    cis vault check --fix
    cis vault check --vault sqlite:backup.db --json`
}

// A checkedVault is what a check found, and what was done about it.
type checkedVault struct {
	People   int64           `json:"people"`
	Problems []checkedDetail `json:"problems"`
	// Mended people, and what is wrong after that; only with --fix.
	Mended *int64           `json:"mended,omitzero"`
	Left   *[]checkedDetail `json:"left,omitzero"`
}

type checkedDetail struct {
	upkeep.Problem
	Text     string `json:"text"`
	Mendable bool   `json:"mendable"`
	Resolve  string `json:"resolve"`
}

func detailed(problems []upkeep.Problem) []checkedDetail {
	list := make([]checkedDetail, len(problems))
	for i := range problems {
		p := &problems[i]
		list[i] = checkedDetail{*p, p.Text(), p.Mendable(), p.Resolve()}
	}
	return list
}

// maxRounds is how often a vault is mended: what somebody has without right
// must be given up before whoever should have it can take it.
const maxRounds = 3

func (c vaultCheckCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	keys, err := p.trusted(ctx, cfg)
	if err != nil {
		return err
	}
	store, err := p.openVault(ctx, cfg, true) // which makes none
	if err == nil && c.Fix {
		if err = store.Close(); err == nil {
			store, err = p.openVault(ctx, cfg, false)
		}
	}
	if err != nil {
		return err
	}
	defer store.Close()
	progress := &stages{w: p.stderr}
	defer progress.close()
	var fence sinks.Fence
	if c.Fix {
		held, f, end, err := sync.HoldLease(ctx, store, sync.Options{Holder: holder(), Dead: dead, Now: p.now, Progress: progress.set})
		if err != nil {
			return fmt.Errorf("cis: vault check: %w", err)
		}
		defer end()
		ctx, fence = held, f
	}
	total, err := store.Count(ctx)
	if err != nil {
		return fmt.Errorf("cis: vault check: %w", err)
	}
	check := func(what string, verify func(*people.Profile) []sign.Finding) (upkeep.Checked, error) {
		defer progress.close()
		return upkeep.Check(ctx, store, verify, func(n int64) { progress.set(what, n, total) })
	}
	policy := verifyCommand{}.policy(cfg)
	found, err := check("checking", func(profile *people.Profile) []sign.Finding { return sign.Profile(keys, profile, policy) })
	if err != nil {
		return err
	}
	result := checkedVault{People: found.People, Problems: detailed(found.Problems)}
	if !p.JSON {
		if err := p.printProblems(found.Problems); err != nil {
			return err
		}
	}
	left := found.Problems
	if c.Fix {
		mended, err := p.mend(ctx, store, fence, &left, check)
		if err != nil {
			return err
		}
		rest := detailed(left)
		result.Mended, result.Left = &mended, &rest
	}
	err = p.print(result, func(w io.Writer) error {
		sum := fmt.Sprintf("%s checked, %s.", show.Plural(found.People, "person", "people"), wrong(len(found.Problems)))
		if c.Fix && len(found.Problems) > 0 {
			sum += fmt.Sprintf("\n%s mended, %s now.", show.Plural(*result.Mended, "person", "people"), wrong(len(left)))
		}
		if _, err := fmt.Fprintln(w, sum); err != nil || !c.Fix || len(left) == 0 || *result.Mended == 0 {
			return err
		}
		fmt.Fprintln(w, "\nLeft:")
		return p.printProblems(left)
	})
	if err == nil && len(left) > 0 {
		err = heldError(wrong(len(left)) + " in the vault")
	}
	return err
}

func wrong(n int) string {
	if n == 0 {
		return "nothing is wrong"
	}
	return show.Plural(int64(n), "thing is wrong", "things are wrong")
}

// mend mends until nothing is left that can be, and puts into problems what is
// wrong then. Signatures are not verified again: nothing here changes them.
func (p *program) mend(ctx context.Context, store sinks.Store, fence sinks.Fence, problems *[]upkeep.Problem,
	check func(string, func(*people.Profile) []sign.Finding) (upkeep.Checked, error)) (mended int64, err error) {
	var signatures []upkeep.Problem
	for _, x := range *problems {
		if x.Kind == upkeep.FaultSignature {
			signatures = append(signatures, x)
		}
	}
	for range maxRounds {
		n, err := upkeep.Fix(ctx, store, fence, *problems)
		mended += n
		if cause := context.Cause(ctx); err != nil && errors.Is(err, context.Canceled) && cause != nil {
			err = fmt.Errorf("cis: vault check: %w", cause) // the lease is lost
		}
		if err != nil || n == 0 {
			return mended, err
		}
		again, err := check("checking again", nil)
		if err != nil {
			return mended, err
		}
		*problems = append(again.Problems, signatures...)
	}
	return mended, nil
}

// maxProblems is how many people a table of problems names.
const maxProblems = 100

// printProblems prints one line for each person and what resolves it.
func (p *program) printProblems(problems []upkeep.Problem) error {
	type line struct {
		person        people.ID
		text, resolve string
	}
	var lines []line
	for i := range problems {
		x := &problems[i]
		if last := len(lines) - 1; last >= 0 && lines[last].person == x.Person && lines[last].resolve == x.Resolve() {
			lines[last].text += "; " + x.Text()
			continue
		}
		lines = append(lines, line{x.Person, x.Text(), x.Resolve()})
	}
	t := p.table("person", "wrong", "what mends it")
	for _, l := range lines[:min(len(lines), maxProblems)] {
		who := "-"
		if !l.person.IsZero() {
			who = l.person.String()
		}
		t.Row(who, strings.TrimSpace(l.text), l.resolve)
	}
	if t.Len() == 0 {
		return nil
	}
	if _, err := t.WriteTo(p.stdout); err != nil {
		return err
	}
	if n := len(lines) - maxProblems; n > 0 {
		fmt.Fprintf(p.stdout, "… and %d more lines: --json has all of them.\n", n)
	}
	_, err := fmt.Fprintln(p.stdout)
	return err
}
