package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/connectors/synth"
	"example.org/cis/transforms/sign"
)

// synthConfig is the configuration that runs on a company that does not exist.
//
//go:embed synth.yaml
var synthConfig []byte

type synthCommand struct {
	Dir    string `arg:"" help:"The folder to write into; it is made if it is not there."`
	People int    `default:"1000" help:"How many people there are on day 0."`
	Seed   int64  `default:"1" help:"Another seed is another company."`
	Day    int    `default:"0" help:"Which day, from 0."`
	Clean  bool   `help:"Leave out the bad rows, so that an LDAP server takes the people as well."`
}

func (synthCommand) Help() string {
	return `Writes people.ldif, workers.json, accounts.jsonl, directory.jsonl and github.json as the sources of a company have them on one day: joiners, movers, leavers, returns, renames, logins, links and bad rows. The same people, seed and day are the same bytes everywhere.

On first use it also writes a cis.yaml, a salt and keys. These sign with EdDSA, which is fast; the default elsewhere is RS256, since older clients verify nothing else. A later day in the same folder replaces the source files and nothing else.

Example:

    cis synth company --people 1000 --seed 1 --day 0
    cis sync --config company/cis.yaml --now 2026-03-02T06:00:00Z --first-load --reason "first day"
    cis synth company --people 1000 --seed 1 --day 1
    cis sync --config company/cis.yaml --now 2026-03-03T06:00:00Z`
}

func (s synthCommand) Run(ctx context.Context, p *program) error {
	if s.People < 1 || s.Day < 0 {
		return usageError{errors.New("want --people of at least 1 and a --day of at least 0")}
	}
	progress := show.NewProgress(p.stderr, "writing people", -1)
	summary, err := synth.Write(ctx, s.Dir, synth.Options{
		People: s.People, Seed: s.Seed, Day: s.Day, Clean: s.Clean, Config: synthConfig,
		Progress: func(done, _ int) { progress.Set(int64(done)) },
	})
	progress.Close()
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, "cis.yaml")
	made, err := p.furnish(path)
	if err != nil {
		return err
	}
	result := struct {
		Config string `json:"config"`
		Day    int    `json:"day"`
		synth.Summary
		KeysMade []keyRow `json:"keys_made"`
	}{path, s.Day, summary, made}
	return p.print(result, func(w io.Writer) error {
		first := ""
		if len(made) > 0 {
			fmt.Fprintf(w, "Made a salt and %s (EdDSA: fast; the default elsewhere is RS256, since older clients verify nothing else).\n",
				show.Plural(int64(len(made)), "key", "keys"))
			first = ` --first-load --reason "first day"`
		}
		_, err := fmt.Fprintf(w, "Wrote day %d of %s: %s and %s in LDAP, %s in the HRIS, %s, %s in the people directory, %s in GitHub.\n\nNext:\n  cis sync --config %s --now %s%s\n", s.Day, s.Dir,
			show.Plural(int64(summary.People), "person", "people"), show.Plural(int64(summary.Groups), "group", "groups"),
			show.Plural(int64(summary.Workers), "worker", "workers"), show.Plural(int64(summary.Accounts), "login", "logins"),
			show.Plural(int64(summary.Profiles), "profile", "profiles"), show.Plural(int64(summary.GitHub), "account", "accounts"), path, summary.Now.Format(time.RFC3339), first)
		return err
	})
}

// furnish makes the salt and keys that the configuration at path names, as
// far as they are not there, and returns the keys made.
func (p *program) furnish(path string) ([]keyRow, error) {
	c, err := config.Load(path, p.env, choices())
	if err != nil {
		return nil, err
	}
	if salt, ok := strings.CutPrefix(string(c.Salt), "file:"); ok {
		if _, err := makeSalt(salt, p.random); err != nil {
			return nil, err
		}
	}
	keys := p.openKeys(c)
	rows, err := keys.list()
	if err != nil {
		return nil, err
	}
	return makeKeys(keys, lacking(rows, publishers(c)), sign.EdDSA, 0)
}
