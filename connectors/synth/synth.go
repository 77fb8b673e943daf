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
	PeopleFile  = "people.ldif"
	WorkersFile = "workers.json"
	ConfigFile  = "cis.yaml"
)

// The largest company and the last day: what the arithmetic is good for.
const (
	MaxPeople = 10_000_000
	MaxDay    = 36_500
)

// Options say which company, and which of its days.
type Options struct {
	// People is how many there are on day 0, a few of the cast that join later
	// included. The whole cast is in a company of 50.
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
	var drafts [2]*draft
	for i, name := range [...]string{PeopleFile, WorkersFile} {
		if drafts[i], err = newDraft(dir, name); err != nil {
			return s, err
		}
		defer drafts[i].drop()
	}
	if s, err = report(ctx, o, drafts[0], drafts[1]); err != nil {
		return s, err
	}
	for _, d := range drafts {
		if err := d.finish(); err != nil {
			return s, err
		}
	}
	// Both are whole: only now the files of another day go.
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

// report writes a day's people and workers.
func report(ctx context.Context, o Options, ldifTo, jsonTo io.Writer) (Summary, error) {
	c := newCompany(o.Seed, o.People)
	s := Summary{Now: o.Start.AddDate(0, 0, o.Day), Stories: map[Story]int{}}
	var l ldif
	var rows []byte
	var members roster
	var access []int
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := ldifTo.Write(l.b)
		_, err2 := jsonTo.Write(rows)
		l.b, rows = l.b[:0], rows[:0]
		return errors.Join(err, err2)
	}
	if !o.Clean {
		l.b = append(l.b, "version: 1\n\n"...)
	}
	c.base(&l)
	rows = append(rows, `{"Report_Entry": [`...)
	addRow := func(p *person, t post, second bool) {
		if s.Workers > 0 {
			rows = append(rows, ',')
		}
		rows = c.worker(append(rows, '\n'), p, t, o.Start, second)
		s.Workers++
	}
	total := c.indexes(o.Day)
	for i := range total {
		if !c.exists(i) {
			continue
		}
		p := c.at(i, o.Day)
		if o.Clean {
			p.clean()
		}
		var t post
		if p.kind <= field && (p.inHRIS() || p.inLDAP()) {
			t = c.post(p)
		}
		if p.inHRIS() {
			addRow(p, t, false)
			if p.told&(1<<DuplicateID) != 0 {
				addRow(p, t, true)
			}
		}
		if p.inLDAP() {
			access = c.groupsOf(p, access[:0])
			c.enrol(&members, p, t, access)
			c.account(&l, p, o.Start)
			s.People++
		}
		for told := p.told; told != 0; told &= told - 1 {
			s.Stories[Story(bits.TrailingZeros32(told))]++
		}
		if i%1000 == 999 {
			if err := flush(); err != nil {
				return s, err
			}
			o.Progress(i+1, total)
		}
	}
	rows = append(rows, "\n]}\n"...)
	if err := flush(); err != nil {
		return s, err
	}
	var err error
	if s.Groups, err = c.writeGroups(&l, &members, o.Day, flush); err != nil {
		return s, err
	}
	o.Progress(total, total)
	return s, nil
}
