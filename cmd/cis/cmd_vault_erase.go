package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

type vaultEraseCommand struct {
	Who     string `arg:"" name:"person" help:"The person, by anything that leads to one; once they are gone, by uuid."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why, for the receipt. It is kept: it must not name the person."`
	Force   bool   `help:"Erase somebody whom a source still has: the next sync that reads it makes them anew."`
	Receipt string `placeholder:"FILE" help:"Write the signed receipt to a file, and not to standard output."`
}

func (vaultEraseCommand) Help() string {
	return `Erases a person: profile, history, records and keys in the vault, decisions about their records, and what snapshots, plans and extracts say of them. It waits for a run to end, and finishes one that died. Subscribers are told (delete).

Whom a source still has is refused: the next sync would bring them back. End them there first, or say --force.

What stays is a tombstone (uuid and revision), keyed hashes in old snapshots, and the receipt, which holds no value and is signed by cis; "cis verify FILE" verifies it. What backups hold is not reached. If it is cut off, call it again with the uuid: it goes on. Called again after that it changes nothing and prints the receipt.

Exit codes: 0 erased, now or before; 1 failed; 2 wrong usage, or a source still has the person: nothing was erased.

Examples:

    cis vault erase jdoe --reason "request 4711" --receipt 4711.json
    cis verify 4711.json`
}

// An erasedResult is what the command prints as JSON. The first two members are
// what "cis verify" reads.
type erasedResult struct {
	sync.SignedReceipt
	Already bool     `json:"already"` // it had been done before
	Resumed []string `json:"resumed"` // runs that were finished first
}

func (c vaultEraseCommand) Run(ctx context.Context, p *program) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("an erasure needs a reason: --reason TEXT")}
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	id, err := p.whomToErase(ctx, cfg, c.Who)
	if err != nil {
		return err
	}
	job, options, done, err := p.job(cfg, time.Time{}, false)
	if err != nil {
		return err
	}
	defer done()
	if err := beamrun.Init(nil); err != nil { // to finish a run that died
		return err
	}
	erased, err := sync.Erase(ctx, job, options, sync.Order{Person: id, Door: "vault erase", Reason: c.Reason, Force: c.Force})
	var still *sync.StillThereError
	switch {
	case errors.As(err, &still):
		return usageError{fmt.Errorf("%s still has the person, and the next sync would bring them back: end them there first, or say --force", strings.Join(still.Sources, ", "))}
	case errors.Is(err, sync.ErrNamed):
		return usageError{errors.New("--reason names the person, and is kept after them: say it without")}
	case errors.Is(err, sync.ErrKeys):
		return usageError{err}
	case err != nil:
		return err
	}
	if c.Receipt != "" {
		if err := writeWhole(c.Receipt, func(w io.Writer) error { return show.JSON(w, erased.Signed) }); err != nil {
			return err
		}
	}
	result := erasedResult{erased.Signed, erased.Already, erased.Resumed}
	return p.print(result, func(w io.Writer) error {
		r := erased.Receipt
		for _, run := range erased.Resumed {
			fmt.Fprintf(w, "Finished run %s first, which had been cut off.\n", run)
		}
		when := "Erased"
		if erased.Already {
			when = "Erased before, on " + r.FinishedAt.Format("2006-01-02 15:04 MST") + "; nothing was left to do:"
		}
		fmt.Fprintf(w, "%s %s, up to revision %d.\n", when, r.Person, r.Revision)
		fmt.Fprintf(w, "%s rewritten and %d deleted in snapshots, plans and extracts; %s of the ledger rewritten and %d removed.\n",
			show.Plural(r.Stores.BlobsRewritten, "blob", "blobs"), r.Stores.BlobsDeleted, show.Plural(r.Stores.LedgerRewritten, "document", "documents"), r.Stores.LedgerRemoved)
		fmt.Fprintln(w, "What remains:")
		for _, what := range r.Remains {
			fmt.Fprintf(w, "  %s\n", what)
		}
		if c.Receipt != "" {
			_, err := fmt.Fprintf(w, "The signed receipt is in %s.\n", show.Clean(c.Receipt))
			return err
		}
		fmt.Fprintln(w, "The signed receipt:")
		return show.JSON(w, erased.Signed)
	})
}

// whomToErase finds a person, also one of whom no more than the tombstone is
// left: by uuid, or by the user_id that the uuid was made of.
func (p *program) whomToErase(ctx context.Context, c *config.Config, who string) (people.ID, error) {
	store, err := p.openVault(ctx, c, true) // which makes none
	if errors.Is(err, fs.ErrNotExist) {
		return people.ID{}, usageError{sync.ErrNotLoaded}
	}
	if err != nil {
		return people.ID{}, err
	}
	o := &opened{store: store}
	defer o.Close()
	s, _, err := o.find(ctx, who)
	switch {
	case errors.Is(err, errErased):
		return people.ParseID(strings.ToLower(who))
	case !errors.Is(err, errNobody):
		return s.ID, err
	}
	salt, serr := c.Salt.Read(p.env)
	if serr != nil {
		return s.ID, err
	}
	id, _, serr := normalize.ID(salt, who)
	if serr != nil {
		return s.ID, err
	}
	if gone, gerr := store.Person(ctx, id); errors.Is(gerr, sinks.ErrNotFound) && gone.Revision > 0 {
		return id, nil
	}
	return s.ID, err
}
