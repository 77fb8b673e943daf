package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/sync"
	"example.org/cis/pipelines/upkeep"
	"example.org/cis/sinks"
)

type vaultCopyCommand struct {
	From string `arg:"" help:"The vault to copy, such as sqlite:cis.db or firestore:PROJECT/DATABASE."`
	To   string `arg:"" help:"The vault to fill, which is empty, or a copy that was cut off."`
}

func (vaultCopyCommand) Help() string {
	return `Copies people with their history and revisions, who was erased, runs and decisions. Nobody else can write either vault meanwhile. At the end both are compared, and a root is printed: a hash over all of it, which is the same for both.

A copy that was cut off, or that found at the end that the vault was written meanwhile, goes on when the same command is run again; until it has ended, nothing else writes into it. Done again after it has ended, it says whether both are still the same.

Snapshots stay where they are, in the configured blobs: they go with either vault, and must be used with one only. To go on with the copy, name it in the configuration, and do not sync the other one again. The next sync looks at nobody anew.

Subscribers in the copy are the configured ones, and what they are still to be told is copied as well.

Examples:

    cis vault copy sqlite:cis.db firestore:my-project/people
    cis vault copy firestore:my-project/people sqlite:backup.db --json`
}

func (c vaultCopyCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	from, err := config.ResolveVault(c.From, choices())
	if err != nil {
		return usageError{fmt.Errorf("FROM: %w", err)}
	}
	to, err := config.ResolveVault(c.To, choices())
	if err != nil {
		return usageError{fmt.Errorf("TO: %w", err)}
	}
	if from == to {
		return usageError{errors.New("FROM and TO are the same vault")}
	}
	original, err := p.openThere(ctx, from)
	if err != nil {
		return err
	}
	defer original.Close()
	filled, err := p.openVault(ctx, &config.Config{Vault: to}, false)
	if err != nil {
		return err
	}
	progress := &stages{w: p.stderr}
	r, err := upkeep.Copy(ctx, original, filled, upkeep.Options{
		Lease:       sync.Options{Holder: holder(), Dead: dead, Now: p.now, Progress: progress.set},
		Subscribers: cfg.Subscribers, Progress: progress.set,
	})
	progress.close()
	if err = errors.Join(err, filled.Close()); err != nil {
		if errors.Is(err, upkeep.ErrNobody) || errors.Is(err, upkeep.ErrNotEmpty) {
			err = usageError{err}
		}
		return err
	}
	return p.print(r, func(w io.Writer) error {
		what := "Copied"
		switch {
		case r.Already:
			what = "Nothing to do: both vaults have the same"
		case r.Resumed:
			what = "Went on with a copy that was cut off, and copied"
		}
		fmt.Fprintf(w, "%s %s, %s, %s and %s.\n", what, show.Plural(r.People, "person", "people"), show.Plural(r.History, "revision", "revisions"),
			show.Plural(r.Tombstones, "tombstone", "tombstones"), show.Plural(r.Documents, "document of the ledger", "documents of the ledger"))
		fmt.Fprintf(w, "Both vaults have the root %s.\n", r.Root)
		if cfg.Vault != to {
			fmt.Fprintf(w, "\nThe configuration still names another vault. To go on with the copy: vault: %s\n", show.Clean(to))
		}
		_, err := fmt.Fprintln(w, "Snapshots stay where they are. Use them with one of the two vaults only: do not sync the other one again.")
		return err
	})
}

// openThere opens a vault to write, which is not made if it is not there.
func (p *program) openThere(ctx context.Context, spec string) (sinks.Store, error) {
	c := &config.Config{Vault: spec}
	store, err := p.openVault(ctx, c, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{err}
	}
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		return nil, err
	}
	return p.openVault(ctx, c, false)
}

// stages shows one line of progress after another.
type stages struct {
	w    io.Writer
	line *show.Progress
	now  string
}

func (s *stages) set(what string, done, total int64) {
	if stage := fmt.Sprint(what, total); stage != s.now {
		s.close()
		s.line, s.now = show.NewProgress(s.w, what, total), stage
	}
	s.line.Set(done)
}

func (s *stages) close() {
	s.line.Close()
	s.line, s.now = nil, ""
}
