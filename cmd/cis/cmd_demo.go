package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/connectors/synth"
	"example.org/cis/pipelines/beamrun"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/transforms/people"
)

type demoCommand struct {
	Dir    string `arg:"" optional:"" help:"The folder to write into (default: cis-demo, or the next name that is free)."`
	People int    `default:"1000" help:"How many people the company has."`
	Seed   int64  `default:"1" help:"Another seed is another company."`
	Days   int    `default:"7" help:"How many days after the first load."`
}

func (demoCommand) Help() string {
	return `Makes a company that does not exist, loads it into a vault, and lives through a week of it on a simulated clock: every day the sources change, a sync runs, and what it did is shown. Everything stays in a folder to play with. It needs no account, no network and no configuration.

Examples:

    cis demo
    cis demo /tmp/company --people 5000 --days 3
    cis demo --vault firestore:PROJECT/DATABASE`
}

// A demoDay is one day of the demonstration.
type demoDay struct {
	Day     int                 `json:"day"`
	Stories map[synth.Story]int `json:"stories"`
	Run     sync.Record         `json:"run"`
	Diff    map[string]int64    `json:"diff"`
}

func (c demoCommand) Run(ctx context.Context, p *program) error {
	if c.People < 50 || c.Days < 0 {
		return usageError{errors.New("want --people of at least 50 and --days of at least 0")}
	}
	dir, err := demoDir(c.Dir)
	if err != nil {
		return err
	}
	out := p.stdout
	if p.JSON {
		out = io.Discard
	}
	d := &demo{program: p, command: c, dir: dir, out: out, cast: map[string]bool{}}
	for _, ch := range synth.Cast() {
		d.cast[ch.Name] = true
	}
	d.Config = filepath.Join(dir, "cis.yaml")
	if d.config, err = demoConfig(ctx, p); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if err := beamrun.Init(nil); err != nil {
		return fmt.Errorf("cis: demo: %w", err)
	}
	began := time.Now()
	for day := range c.Days + 1 {
		if err := d.day(ctx, day); err != nil {
			return err
		}
	}
	if p.JSON {
		return show.JSON(p.stdout, map[string]any{"dir": dir, "days": d.days})
	}
	d.say("That was %d days in %.1f s. All of it is in %s.\n", c.Days+1, time.Since(began).Seconds(), dir)
	d.end()
	return nil
}

type demo struct {
	*program
	command demoCommand
	dir     string
	config  []byte
	out     io.Writer
	cast    map[string]bool
	days    []demoDay
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// demoDir picks the folder: the one that was named, which must be new or
// empty, else the first free name.
func demoDir(named string) (string, error) {
	free := func(dir string) (bool, error) {
		list, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return true, nil
		}
		return len(list) == 0, err
	}
	if named != "" {
		ok, err := free(named)
		if err == nil && !ok {
			err = usageError{fmt.Errorf("%s is not empty: name another folder", named)}
		}
		return named, err
	}
	for n := 1; ; n++ {
		dir := "cis-demo"
		if n > 1 {
			dir = fmt.Sprintf("cis-demo-%d", n)
		}
		if ok, err := free(dir); ok || err != nil {
			return dir, err
		}
	}
}

// demoConfig is the configuration of the company, with the vault that was asked
// for, in which there must be nobody.
func demoConfig(ctx context.Context, p *program) ([]byte, error) {
	if p.Vault == "" {
		return synthConfig, nil
	}
	var c config.Config
	if err := c.SetVault(p.Vault, choices()); err != nil {
		return nil, usageError{err}
	}
	if !strings.HasPrefix(c.Vault, "sqlite:") || there(c.Vault) != missing {
		store, err := p.openVault(ctx, &c, true)
		if err != nil {
			return nil, err
		}
		defer store.Close()
		anybody, err := store.List(ctx, people.ID{}, 1)
		if err != nil {
			return nil, err
		}
		if len(anybody) > 0 {
			return nil, usageError{fmt.Errorf("--vault: people are in %s already: a demonstration needs an empty one", c.Vault)}
		}
	}
	quoted, err := json.Marshal(c.Vault) // which is YAML as well
	if err != nil {
		return nil, fmt.Errorf("cis: demo: %w", err)
	}
	return bytes.Replace(synthConfig, []byte("vault: sqlite:cis.db"), append([]byte("vault: "), quoted...), 1), nil
}

func (d *demo) prepare(ctx context.Context) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("cis: demo: %w", err)
	}
	// Nobody in the company exists, so its salt need not be secret; a fixed one
	// makes the same people have the same uuids in every demonstration.
	salt := fmt.Sprintf("a company that does not exist, seed %d\n", d.command.Seed)
	if err := write(filepath.Join(d.dir, "cis-salt"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600, []byte(salt)); err != nil {
		return fmt.Errorf("cis: demo: %w", err)
	}
	if _, err := d.write(ctx, 0); err != nil {
		return err
	}
	made, err := d.furnish(d.Config)
	if err != nil {
		return err
	}
	d.say("Made %s that sign with Ed25519. Elsewhere RS256 is the default, because clients of\nthe older system verify nothing else; Ed25519 signs forty times faster.\n\n", show.Plural(int64(len(made)), "key", "keys"))
	return nil
}

func (d *demo) write(ctx context.Context, day int) (synth.Summary, error) {
	progress := show.NewProgress(d.stderr, "writing the sources", -1)
	defer progress.Close()
	return synth.Write(ctx, d.dir, synth.Options{People: d.command.People, Seed: d.command.Seed, Day: day, Config: d.config,
		Progress: func(done, _ int) { progress.Set(int64(done)) }})
}

// day lives through one day.
func (d *demo) day(ctx context.Context, n int) error {
	s, err := d.write(ctx, n)
	if err != nil {
		return err
	}
	cfg, err := config.Load(d.Config, d.env, choices())
	if err != nil {
		return err
	}
	job, options, done, err := d.job(cfg, s.Now, false)
	if err != nil {
		return err
	}
	defer done()
	d.say("Day %d, %s\n", n, s.Now.Format("Monday 2 January 2006"))
	if n == 0 {
		job.FirstLoad, job.Reason = true, "the demonstration begins"
		d.say("The first load: %s in LDAP, %s in the HRIS report, %s of the access provider,\n                %s in the people directory, %s in GitHub.\n", show.Plural(int64(s.People), "person", "people"), show.Plural(int64(s.Workers), "worker", "workers"),
			show.Plural(int64(s.Accounts), "login", "logins"), show.Plural(int64(s.Profiles), "profile", "profiles"), show.Plural(int64(s.GitHub), "account", "accounts"))
	} else if told := tell(s.Stories); told != "" {
		d.say("In the sources: %s.\n", told)
	}
	rec, err := d.sync(ctx, job, options)
	if err != nil {
		return err
	}
	d.say("The plan:       %s", operations(rec.Operations))
	if sum(rec.Held) > 0 {
		d.say("; held: %s", operations(rec.Held))
	}
	d.say("\n")
	for _, h := range rec.Holds {
		d.say("Held:           %s.\n", h.Reason)
	}
	d.say("Written:        %s, %s; %s, %d active\n", show.Plural(rec.Signatures, "signature", "signatures"), show.Plural(rec.Writes, "vault write", "vault writes"), show.Plural(rec.People, "person", "people"), rec.Active)
	o, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	res, err := o.diff(ctx, rec.Base, rec.Run)
	if err != nil {
		return err
	}
	d.days = append(d.days, demoDay{n, s.Stories, rec, res.Summary})
	l, err := o.lists(ctx)
	if err != nil {
		return err
	}
	d.showOpen(rec, l)
	if n > 0 {
		d.showPeople(res)
	}
	d.say("\n")
	return nil
}

// tell says what happened in the sources: the most frequent things, and how
// many others.
func tell(stories map[synth.Story]int) string {
	const most = 10
	type told struct {
		what string
		n    int
	}
	var list []told
	for s, n := range stories {
		list = append(list, told{strings.ReplaceAll(s.String(), "_", " "), n})
	}
	slices.SortFunc(list, func(a, b told) int { return cmp.Or(b.n-a.n, strings.Compare(a.what, b.what)) })
	var parts []string
	others := 0
	for i, t := range list {
		if i < most {
			parts = append(parts, fmt.Sprintf("%s %d", t.what, t.n))
		} else {
			others += t.n
		}
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", others))
	}
	return strings.Join(parts, ", ")
}

// showOpen says what waits, is set aside or undecided.
func (d *demo) showOpen(rec sync.Record, l snapshots.Lists) {
	var parts []string
	if n := len(l.Upcoming); n > 0 {
		due := 0
		for _, u := range l.Upcoming {
			if !u.Due.IsZero() {
				due++
			}
		}
		parts = append(parts, fmt.Sprintf("%d missing from a source (%d confirmed)", n, due))
	}
	if n := len(l.Rejections); n > 0 {
		parts = append(parts, fmt.Sprintf("%d set aside", n))
	}
	if n := len(l.Cases); n > 0 {
		parts = append(parts, fmt.Sprintf("%d undecided", n))
	}
	if len(parts) > 0 {
		d.say("Waiting:        %s\n", strings.Join(parts, ", "))
	}
	for _, r := range l.Rejections {
		d.say("  set aside     %s %s: %s\n", r.Source, r.Place, r.Reason)
	}
}

// showPeople prints those of the cast first, and then others, up to a screenful.
func (d *demo) showPeople(res diffResult) {
	const most, changes = 8, 3
	list := slices.Clone(res.People)
	rank := func(p personDiff) int {
		switch {
		case d.cast[p.Name] || d.castLogin(p.UserID):
			return 0
		case p.What != "changed":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b personDiff) int { return rank(a) - rank(b) })
	for i, p := range list {
		if i == most {
			d.say("  … and %s more: cis diff --config %s %s %s\n", show.Plural(int64(len(list)-most), "person", "people"), d.Config, res.From, res.To)
			return
		}
		d.say("  %-8s %s (%s)\n", p.What, show.Clean(p.Name), show.Clean(strings.TrimPrefix(p.UserID, "ad|Mozilla-LDAP|")))
		if p.What == "joined" {
			continue
		}
		for k, ch := range p.Changes {
			if k == changes {
				d.say("             … and %s more\n", show.Plural(int64(len(p.Changes)-changes), "attribute", "attributes"))
				break
			}
			d.say("       ")
			d.showChange(d.out, ch.Path, ch.Old, ch.New)
		}
	}
}

func (d *demo) castLogin(userID string) bool {
	for _, ch := range synth.Cast() {
		if userID == ch.UserID {
			return true
		}
	}
	return false
}

// end says what to try next.
func (d *demo) end() {
	c := " --config " + d.Config
	if d.Config == "cis-demo/cis.yaml" {
		c = ""
		d.say("Go there with `cd cis-demo` (and build once: go build -o cis ./cmd/cis), then try:\n\n")
	} else {
		d.say("Try next (after go build -o cis ./cmd/cis):\n\n")
	}
	for _, line := range [][2]string{
		{"person get jdoe", "John Doe, who left on day 1"},
		{"person get ananya", "who was asharma until day 5"},
		{"explain sndiaye usernames", "three sources, each with keys of its own"},
		{"diff", "what the last day changed"},
		{"runs", "what every day did"},
		{"upcoming", "who is missing, and when that acts"},
		{"cases", "what a human must decide"},
		{"rejections", "what was set aside, where and why"},
		{"verify --all", "every signature against the published keys"},
		{"serve --dev", "look people up at http://127.0.0.1:8080/"},
		{fmt.Sprintf("synth %s --people %d --seed %d --day %d", d.where(), d.command.People, d.command.Seed, d.command.Days+1), "the next day of the sources, and then"},
		{fmt.Sprintf("sync --now %s", time.Date(2026, 3, 2+d.command.Days+1, 6, 0, 0, 0, time.UTC).Format(time.RFC3339)), "let it happen"},
	} {
		cmd := line[0]
		if !strings.HasPrefix(cmd, "synth") {
			cmd += c
		}
		d.say("  cis %-58s # %s\n", cmd, line[1])
	}
}

// where is the folder as the commands at the end see it.
func (d *demo) where() string {
	if d.dir == "cis-demo" {
		return "."
	}
	return d.dir
}
