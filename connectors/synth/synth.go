package synth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"time"
)

// The names of the files.
const (
	PeopleFile    = "people.ldif"
	WorkersFile   = "workers.json"
	GitHubFile    = "github.json"
	DirectoryFile = "directory.jsonl"
	AccountsFile  = "accounts.jsonl"
	ConfigFile    = "cis.yaml"
)

// The largest company and the last day: what the arithmetic is good for.
const (
	MaxPeople = 10_000_000
	MaxDay    = 36_500
)

// Options say which company, and which of its days.
type Options struct {
	// People is how many there are in LDAP or the HRIS on day 0, a few of the
	// cast that join later included; contributors come on top. The whole cast is
	// in a company of 50.
	People int
	// Seed makes another company of everybody but the cast.
	Seed int64
	// Day is the day from 0.
	Day int
	// Start is when day 0 is. Default: 2026-03-02T06:00:00Z.
	Start time.Time
	// Clean leaves out what is wrong on purpose, and the version line that RFC
	// 2849 asks for: slapadd takes neither, and slapcat does not write it.
	Clean bool
	// Config is written as cis.yaml, if there is none yet. nil writes none.
	Config []byte
	// Progress, if set, is called now and then, and at the end, with how many
	// people of how many are done.
	Progress func(done, total int)
}

// A Summary says what was written.
type Summary struct {
	// Now is the time on the day: Start and Day days.
	Now time.Time `json:"now"`
	// People, Groups and Workers are the LDAP entries of people and of groups,
	// and the rows of the HRIS report.
	People  int `json:"people"`
	Groups  int `json:"groups"`
	Workers int `json:"workers"`
	// GitHub are the accounts in organisations, Profiles the lines of the people
	// directory and Accounts those of the access provider.
	GitHub   int `json:"github"`
	Profiles int `json:"profiles"`
	Accounts int `json:"accounts"`
	// Stories counts what happens on the day.
	Stories map[Story]int `json:"stories"`
}

// Write writes the source files of a day into a folder, which it makes if it
// is not there. Files of another day are replaced when the new ones are
// whole; a cis.yaml that is there stays.
func Write(ctx context.Context, dir string, o Options) (Summary, error) {
	switch {
	case o.People < 1 || o.People > MaxPeople:
		return Summary{}, fmt.Errorf("synth: people: want 1 to %d", MaxPeople)
	case o.Day < 0 || o.Day > MaxDay:
		return Summary{}, fmt.Errorf("synth: day: want 0 to %d", MaxDay)
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	}
	o.Start = o.Start.UTC()
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	s, err := write(ctx, dir, o)
	if err != nil {
		return Summary{}, fmt.Errorf("synth: %w", err)
	}
	return s, nil
}

func write(ctx context.Context, dir string, o Options) (s Summary, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, err
	}
	var drafts [5]*draft
	for i, name := range [...]string{PeopleFile, WorkersFile, GitHubFile, DirectoryFile, AccountsFile} {
		if drafts[i], err = newDraft(dir, name); err != nil {
			return s, err
		}
		defer drafts[i].drop()
	}
	if s, err = report(ctx, o, outputs{drafts[0], drafts[1], drafts[2], drafts[3], drafts[4]}); err != nil {
		return s, err
	}
	for _, d := range drafts {
		if err := d.finish(); err != nil {
			return s, err
		}
	}
	// All are whole: only now the files of another day go.
	for _, d := range drafts {
		if err := d.publish(); err != nil {
			return s, err
		}
	}
	return s, configure(dir, o.Config)
}

// configure writes the configuration if there is none.
func configure(dir string, config []byte) error {
	if config == nil {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, err := newDraft(dir, ConfigFile)
	if err != nil {
		return err
	}
	defer d.drop()
	if _, err := d.Write(config); err != nil {
		return err
	}
	if err := d.finish(); err != nil {
		return err
	}
	return d.publish()
}

// A draft is a file under a temporary name beside its own.
type draft struct {
	*bufio.Writer
	f    *os.File
	name string
}

func newDraft(dir, name string) (*draft, error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return nil, err
	}
	return &draft{bufio.NewWriterSize(f, 1<<20), f, filepath.Join(dir, name)}, nil
}

// finish writes everything to the disk.
func (d *draft) finish() error {
	return errors.Join(d.Flush(), d.f.Chmod(0o644), d.f.Sync(), d.f.Close())
}

// publish gives the file its name.
func (d *draft) publish() error { return os.Rename(d.f.Name(), d.name) }

// drop removes what was not published. Its errors come after another one, or
// say that the file is closed and gone.
func (d *draft) drop() {
	d.f.Close()
	os.Remove(d.f.Name())
}

// outputs are where the files go.
type outputs struct{ people, workers, hub, directory, accounts io.Writer }

// A writing is a day that is being written.
type writing struct {
	c       *company
	o       Options
	to      outputs
	s       Summary
	members roster
	hub     hub
	access  []int // of one person

	// What is not written yet, of each file.
	l                     ldif
	rows, lines, accounts []byte
}

// report writes a day.
func report(ctx context.Context, o Options, to outputs) (Summary, error) {
	c := newCompany(o.Seed, o.People)
	w := &writing{c: c, o: o, to: to}
	w.s = Summary{Now: o.Start.AddDate(0, 0, o.Day), Stories: map[Story]int{}}
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return errors.Join(drain(to.people, &w.l.b), drain(to.workers, &w.rows), drain(to.directory, &w.lines), drain(to.accounts, &w.accounts))
	}
	if !o.Clean {
		w.l.b = append(w.l.b, "version: 1\n\n"...)
	}
	c.base(&w.l)
	w.rows = append(w.rows, `{"Report_Entry": [`...)
	inside := c.indexes(o.Day)
	total := inside + c.outside.indexes(o.Day)
	for i := range total {
		switch {
		case i >= inside:
			if j := i - inside; c.outside.exists(j) {
				q := c.outsider(j, o.Day)
				w.online(&q)
				w.tally(q.told)
			}
		case c.exists(i):
			w.person(i)
		}
		if i%1000 == 999 {
			if err := flush(); err != nil {
				return w.s, err
			}
			o.Progress(i+1, total)
		}
	}
	w.rows = append(w.rows, "\n]}\n"...)
	if err := flush(); err != nil {
		return w.s, err
	}
	var err error
	if w.s.Groups, err = c.writeGroups(&w.l, &w.members, o.Day, flush); err != nil {
		return w.s, err
	}
	if err := c.writeHub(&w.hub, o.Day, func(b *[]byte) error { return errors.Join(ctx.Err(), drain(to.hub, b)) }); err != nil {
		return w.s, err
	}
	o.Progress(total, total)
	return w.s, nil
}

// drain writes what is in b, and empties it.
func drain(to io.Writer, b *[]byte) error {
	_, err := to.Write(*b)
	*b = (*b)[:0]
	return err
}

// tally counts what is told.
func (w *writing) tally(told uint64) {
	for ; told != 0; told &= told - 1 {
		w.s.Stories[Story(bits.TrailingZeros64(told))]++
	}
}

// person writes what the sources have of somebody in LDAP or the HRIS.
func (w *writing) person(i int) {
	p := w.c.at(i, w.o.Day)
	if w.o.Clean {
		p.clean()
	}
	var t post
	if p.kind <= field && (p.inHRIS() || p.inLDAP()) {
		t = w.c.post(p)
	}
	if p.inHRIS() {
		w.worker(p, t, false)
		if p.told&(1<<DuplicateID) != 0 {
			w.worker(p, t, true)
		}
	}
	if p.inLDAP() {
		w.access = w.c.groupsOf(p, w.access[:0])
		w.c.enrol(&w.members, p, t, w.access)
		w.c.account(&w.l, p, w.o.Start)
		w.s.People++
	}
	if p.kind == worker || p.kind == external {
		q := w.c.personaOf(p)
		w.online(&q)
		p.told |= q.told
	}
	w.tally(p.told)
}

// worker writes a row of the report.
func (w *writing) worker(p *person, t post, second bool) {
	if w.s.Workers > 0 {
		w.rows = append(w.rows, ',')
	}
	w.rows = w.c.worker(append(w.rows, '\n'), p, t, w.o.Start, second)
	w.s.Workers++
}

// online writes what the other sources have of a persona.
func (w *writing) online(o *persona) {
	if w.o.Clean {
		o.clean()
	}
	if o.account {
		w.accounts = w.c.login(w.accounts, o, w.o.Start)
		w.s.Accounts++
	}
	if o.profile {
		w.lines = w.c.directoryRecord(w.lines, o, w.o.Start)
		w.s.Profiles++
	}
	if w.hub.enrol(o) {
		w.s.GitHub++
	}
}
