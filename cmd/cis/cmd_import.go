package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/connectors/file"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

type importCommand struct {
	File    string `arg:"" help:"Profiles v2, one a line (.gz and .zst are decompressed), as cis dump writes them."`
	Replace bool   `help:"Replace people who are there and differ; without it they are left and named."`
	Reason  string `placeholder:"TEXT" help:"Why, for the record."`
}

func (importCommand) Help() string {
	return `Takes profiles over as they are, signatures included, and notifies nobody. A profile that the catalogue refuses is set aside and named by its line; the others are imported. Importing the same file again changes nothing.

Ends with 3 if anything was set aside.

Example:

    cis import people.jsonl.zst --reason "moving from the older system"`
}

// An importProblem is a line that was not imported.
type importProblem struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

type importResult struct {
	Created   int64           `json:"created"`
	Replaced  int64           `json:"replaced"`
	Unchanged int64           `json:"unchanged"`
	SetAside  []importProblem `json:"set_aside"`
}

// maxLine bounds one profile of an import.
const maxLine = 16 << 20

func (c importCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	cat, err := openCatalogue(cfg)
	if err != nil {
		return err
	}
	in, err := file.Open(c.File)
	if err != nil {
		return usageError{err}
	}
	defer in.Close()
	store, err := p.openVault(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer store.Close()
	im := &importer{command: c, store: store, catalogue: cat, now: p.now, result: importResult{SetAside: []importProblem{}}}
	held, fence, end, err := sync.HoldLease(ctx, store, sync.Options{Holder: holder(), Dead: dead, Now: p.now})
	if err != nil {
		return fmt.Errorf("cis: import: %w", err)
	}
	defer end()
	im.fence = fence
	if err := im.read(held, in); err != nil {
		return err
	}
	err = p.print(im.result, func(w io.Writer) error {
		r := im.result
		fmt.Fprintf(w, "%d created, %d replaced, %d unchanged, %d set aside.\n", r.Created, r.Replaced, r.Unchanged, len(r.SetAside))
		for _, s := range r.SetAside {
			fmt.Fprintf(w, "  line %d: %s\n", s.Line, show.Clean(s.Reason))
		}
		return nil
	})
	if n := int64(len(im.result.SetAside)); err == nil && n > 0 {
		err = heldError(show.Plural(n, "profile set aside", "profiles set aside"))
	}
	return err
}

type importer struct {
	command   importCommand
	store     sinks.Store
	catalogue *catalogue.Catalogue
	now       func() time.Time
	fence     sinks.Fence
	batch     []incoming
	result    importResult
}

type incoming struct {
	line    int
	id      people.ID
	profile *people.Profile
}

func (im *importer) aside(line int, format string, args ...any) {
	im.result.SetAside = append(im.result.SetAside, importProblem{line, fmt.Sprintf(format, args...)})
}

func (im *importer) read(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		profile, err := people.ParseProfile(lines.Bytes())
		if err != nil {
			im.aside(n, "not a profile: %s", err)
			continue
		}
		id, err := people.ParseID(profile.Value(people.UUID).Text())
		if err != nil {
			im.aside(n, "the profile has no uuid")
			continue
		}
		if faults := im.catalogue.Check(profile); len(faults) > 0 {
			im.aside(n, "%s", faults[0])
			continue
		}
		im.batch = append(im.batch, incoming{n, id, profile})
		if len(im.batch) == 100 {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		im.aside(n+1, "longer than %d bytes; it and what follows was not read", maxLine)
	} else if err != nil {
		return fmt.Errorf("cis: import: after line %d: %w", n, err)
	}
	return im.flush(ctx)
}

func (im *importer) flush(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil { // interrupted, or the lease is lost
		return fmt.Errorf("cis: import: %w", err)
	}
	ids := make([]people.ID, len(im.batch))
	for i, in := range im.batch {
		ids[i] = in.id
	}
	there, err := im.store.People(ctx, ids)
	if err != nil {
		return fmt.Errorf("cis: import: %w", err)
	}
	old := map[people.ID]sinks.Stored{}
	for _, s := range there {
		old[s.ID] = s
	}
	var commits []sinks.Commit
	var lines []int
	for _, in := range im.batch {
		s, found := old[in.id]
		canonical := in.profile.AppendJSON(nil)
		var evidence people.Evidence
		if found {
			was, err := sinks.Unpack(s.Profile)
			if err != nil {
				return fmt.Errorf("cis: import: %s: %w", in.id, err)
			}
			if string(was) == string(canonical) {
				im.result.Unchanged++
				continue
			}
			if !im.command.Replace {
				im.aside(in.line, "the person is there already and differs: --replace takes the imported profile")
				continue
			}
			if len(s.Observations) > 0 {
				b, err := sinks.Unpack(s.Observations)
				if err == nil {
					err = json.Unmarshal(b, &evidence)
				}
				if err != nil {
					return fmt.Errorf("cis: import: %s: %w", in.id, err)
				}
			}
		}
		history, err := json.Marshal(people.Revision{Number: s.Revision + 1, RecordedAt: im.now().UTC(),
			Cause: people.Cause{Door: "import", Reason: im.command.Reason}, Operations: []people.Operation{}}, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("cis: import: %w", err)
		}
		k := sinks.Commit{ID: in.id, Expect: s.Revision, Revision: s.Revision + 1, Profile: sinks.Pack(canonical), Observations: s.Observations, History: sinks.Pack(history)}
		k.Keys = sync.Keys(in.profile, &evidence)
		commits, lines = append(commits, k), append(lines, in.line)
	}
	im.batch = im.batch[:0]
	if len(commits) == 0 {
		return nil
	}
	results, err := im.store.Commit(ctx, im.fence, commits)
	if err != nil {
		return fmt.Errorf("cis: import: %w", err)
	}
	for i, err := range results {
		switch {
		case err == nil && commits[i].Expect == 0:
			im.result.Created++
		case err == nil:
			im.result.Replaced++
		case errors.Is(err, sinks.ErrConflict) && im.erased(ctx, commits[i].ID):
			im.aside(lines[i], "the person was erased, and a file from before brings nobody back")
		case errors.Is(err, sinks.ErrTaken), errors.Is(err, sinks.ErrTooLarge), errors.Is(err, sinks.ErrConflict):
			im.aside(lines[i], "%s", err)
		default:
			return fmt.Errorf("cis: import: line %d: %w", lines[i], err)
		}
	}
	return nil
}

// erased reports whether somebody is known to have been erased.
func (im *importer) erased(ctx context.Context, id people.ID) bool {
	s, err := im.store.Person(ctx, id)
	return errors.Is(err, sinks.ErrNotFound) && s.Revision > 0
}
