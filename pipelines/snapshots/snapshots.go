// Package snapshots keeps snapshots in blobs: the tables of
// transforms/snapshot, the bodies of profiles in immutable segments, what
// waits and what was set aside, and last of all a manifest, so that a
// snapshot is whole or not there.
//
//	snapshots/RUN/people          the people table
//	snapshots/RUN/records-SOURCE  one table a source
//	snapshots/RUN/waiting-SOURCE  observations that attach to nobody yet
//	snapshots/RUN/body-N          packed profiles of those who changed in RUN
//	snapshots/RUN/lists.json      cases, rejections, upcoming absences
//	snapshots/RUN/manifest.json
//
// Nobody changes a blob, with one exception: an [Erasure] puts zeros in place of
// what somebody who was erased left in it.
//
// A run in which nothing changed writes lists and a manifest that names the
// earlier blobs. The ledger document snapshot/head names the current run.
package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// Form is the version of the layout that this package writes. The first one is
// read as well; after it everybody is looked at once.
const Form = 2

// A Segment is a blob of packed profiles.
type Segment struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Live int64  `json:"live"` // bytes that a row still points to
}

// A Source is what a snapshot holds of one source.
type Source struct {
	Name      string           `json:"name"`
	Publisher people.Publisher `json:"publisher"`
	Records   string           `json:"records"`
	Waiting   string           `json:"waiting"`
	// Certificate is of the extract that the table comes from.
	Certificate people.Certificate `json:"certificate"`
}

// A Manifest is the head of a snapshot.
type Manifest struct {
	Form  int       `json:"form"`
	Run   string    `json:"run"`
	Base  string    `json:"base,omitzero"`
	Clock time.Time `json:"clock"`
	// VaultTime is the store's time when the run began to look: who moved
	// after it is looked at again by the next run.
	VaultTime time.Time `json:"vault_time"`
	Catalogue string    `json:"catalogue"`
	People    string    `json:"people"`
	Count     int64     `json:"count"`
	Active    int64     `json:"active"`
	Root      string    `json:"root"`
	Segments  []Segment `json:"segments"`
	Sources   []Source  `json:"sources"`
	Lists     string    `json:"lists"`
}

// Lists are the answers that are neither yes nor no.
type Lists struct {
	Cases      []people.Case        `json:"cases"`
	Rejections []people.Rejection   `json:"rejections"`
	Upcoming   []correlate.Upcoming `json:"upcoming"`
}

// Dir returns the prefix of a run's snapshot.
func Dir(run string) string { return "snapshots/" + run + "/" }

// Write writes a blob from bytes.
func Write(ctx context.Context, b sinks.Blobs, name string, body []byte) error {
	w, err := b.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("snapshots: create %s: %w", name, err)
	}
	defer w.Close()
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("snapshots: write %s: %w", name, err)
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("snapshots: commit %s: %w", name, err)
	}
	return nil
}

// Read reads a whole blob.
func Read(ctx context.Context, b sinks.Blobs, name string) ([]byte, error) {
	r, err := b.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("snapshots: open %s: %w", name, err)
	}
	defer r.Close()
	body := make([]byte, r.Size())
	if _, err := r.ReadAt(body, 0); err != nil && !(errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("snapshots: read %s: %w", name, err)
	}
	return body, nil
}

// WriteJSON writes v as indented JSON.
func WriteJSON(ctx context.Context, b sinks.Blobs, name string, v any) error {
	body, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("snapshots: encode %s: %w", name, err)
	}
	return Write(ctx, b, name, append(body, '\n'))
}

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(ctx context.Context, b sinks.Blobs, name string, v any) error {
	body, err := Read(ctx, b, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("snapshots: decode %s: %w", name, err)
	}
	return nil
}

// A World is a snapshot that was opened. The zero World is the empty one
// before the first run.
type World struct {
	Manifest Manifest
	Rows     snapshot.Rows
	blobs    sinks.Blobs
	segments map[uint32]sinks.Blob
	gone     map[people.ID]bool // see Forget
}

// ErrErased is returned for the profile of somebody who was erased, of whom the
// snapshot has only the row. See [Erasure].
var ErrErased = errors.New("snapshots: the person was erased")

// Open opens the snapshot of a run; run "" is the empty world.
func Open(ctx context.Context, b sinks.Blobs, run string) (*World, error) {
	w := &World{blobs: b, segments: map[uint32]sinks.Blob{}}
	if run == "" {
		return w, nil
	}
	if err := ReadJSON(ctx, b, Dir(run)+"manifest.json", &w.Manifest); err != nil {
		return nil, err
	}
	if w.Manifest.Form < 1 || w.Manifest.Form > Form {
		return nil, fmt.Errorf("snapshots: %s has form %d, this program reads 1 to %d", run, w.Manifest.Form, Form)
	}
	body, err := Read(ctx, b, w.Manifest.People)
	if err != nil {
		return nil, err
	}
	if w.Rows, err = snapshot.ParseRows(body); err != nil {
		return nil, fmt.Errorf("snapshots: %s: %w", w.Manifest.People, err)
	}
	if root := fmt.Sprintf("%x", w.Rows.Root()); root != w.Manifest.Root {
		return nil, fmt.Errorf("snapshots: the people table of %s does not have the root that its manifest names", run)
	}
	return w, nil
}

// Close closes the segments that were opened.
func (w *World) Close() error {
	var errs []error
	for _, b := range w.segments {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// Forget takes people out of the world, with their records, as if the snapshot
// had never known them. Nothing is written, and the manifest stays as it is. It
// returns the rows that they had.
func (w *World) Forget(ids []people.ID) (had []snapshot.Row) {
	if len(ids) == 0 {
		return nil
	}
	if w.gone == nil {
		w.gone = map[people.ID]bool{}
	}
	for _, id := range ids {
		if r, ok := w.Rows.Find(id); ok && !w.gone[id] {
			had = append(had, r)
		}
		w.gone[id] = true
	}
	if len(had) > 0 {
		w.Rows = w.Rows.Without(w.gone)
	}
	return had
}

// Records returns a source's table, empty if the snapshot has none.
func (w *World) Records(ctx context.Context, source string) (snapshot.Records, error) {
	s := w.Source(source)
	if s == nil {
		return snapshot.Records{}, nil
	}
	body, err := Read(ctx, w.blobs, s.Records)
	if err != nil {
		return snapshot.Records{}, err
	}
	t, err := snapshot.ParseRecords(body)
	if err != nil {
		return t, fmt.Errorf("snapshots: %s: %w", s.Records, err)
	}
	return t.Without(w.gone), nil
}

// Source returns what the manifest says of a source, nil if nothing.
func (w *World) Source(name string) *Source {
	i := slices.IndexFunc(w.Manifest.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &w.Manifest.Sources[i]
}

// Lists reads the snapshot's lists.
func (w *World) Lists(ctx context.Context) (l Lists, err error) {
	if w.Manifest.Lists == "" {
		return l, nil
	}
	err = ReadJSON(ctx, w.blobs, w.Manifest.Lists, &l)
	return l, err
}

// Packed reads the packed profile a row points to. Not safe for concurrent use.
func (w *World) Packed(ctx context.Context, r snapshot.Row) ([]byte, error) {
	if int(r.Segment) >= len(w.Manifest.Segments) {
		return nil, fmt.Errorf("snapshots: a row of %s points to segment %d of %d", w.Manifest.Run, r.Segment, len(w.Manifest.Segments))
	}
	b, ok := w.segments[r.Segment]
	if !ok {
		var err error
		name := w.Manifest.Segments[r.Segment].Name
		if b, err = w.blobs.Open(ctx, name); err != nil {
			return nil, fmt.Errorf("snapshots: open %s: %w", name, err)
		}
		w.segments[r.Segment] = b
	}
	body := make([]byte, r.Length)
	if _, err := b.ReadAt(body, int64(r.Offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("snapshots: read segment %d: %w", r.Segment, err)
	}
	return body, nil
}

// Profile reads the profile a row points to; ErrErased if that was taken out.
func (w *World) Profile(ctx context.Context, r snapshot.Row) (*people.Profile, error) {
	packed, err := w.Packed(ctx, r)
	if err != nil {
		return nil, err
	}
	if blank(packed) {
		return nil, ErrErased
	}
	body, err := sinks.Unpack(packed)
	if err != nil {
		return nil, err
	}
	return people.ParseProfile(body)
}

// Each calls yield for each person of the snapshot, sorted by id, with their
// packed profile. Whoever was erased is left out. An error of yield ends it and is
// returned as it is.
func (w *World) Each(ctx context.Context, yield func(id people.ID, packed []byte) error) error {
	for i := range w.Rows.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		row := w.Rows.At(i)
		packed, err := w.Packed(ctx, row)
		if err != nil {
			return err
		}
		if blank(packed) {
			continue
		}
		if err := yield(row.ID, packed); err != nil {
			return err
		}
	}
	return nil
}

// Keep is how long bodies that a later snapshot superseded are kept.
const Keep = 35 * 24 * time.Hour

// Prune deletes the blobs of snapshots older than Keep before now that no
// younger snapshot names. A manifest goes last of its snapshot, and stays as
// long as a blob of it is needed: it is what a later prune, or one after this
// was cut short, finds the rest by.
func Prune(ctx context.Context, b sinks.Blobs, head string, now time.Time) error {
	names, err := b.Names(ctx, "snapshots/")
	if err != nil {
		return fmt.Errorf("snapshots: list: %w", err)
	}
	used := map[string]bool{}
	old, needed := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		run, file, _ := strings.Cut(strings.TrimPrefix(name, "snapshots/"), "/")
		if file != "manifest.json" {
			continue
		}
		var m Manifest
		if err := ReadJSON(ctx, b, name, &m); err != nil {
			return err
		}
		if run != head && now.Sub(m.Clock) > Keep {
			old[run] = true
			continue
		}
		used[m.People], used[m.Lists] = true, true
		for _, s := range m.Segments {
			used[s.Name] = true
		}
		for _, s := range m.Sources {
			used[s.Records], used[s.Waiting] = true, true
		}
	}
	for name := range used {
		run, _, _ := strings.Cut(strings.TrimPrefix(name, "snapshots/"), "/")
		needed[run] = true
	}
	var last []string
	for _, name := range names {
		run, file, _ := strings.Cut(strings.TrimPrefix(name, "snapshots/"), "/")
		switch {
		case !old[run] || used[name]:
		case file == "manifest.json":
			if !needed[run] {
				last = append(last, name)
			}
		default:
			if err := b.Delete(ctx, name); err != nil {
				return fmt.Errorf("snapshots: delete %s: %w", name, err)
			}
		}
	}
	for _, name := range last {
		if err := b.Delete(ctx, name); err != nil {
			return fmt.Errorf("snapshots: delete %s: %w", name, err)
		}
	}
	return nil
}

// View opens bodies by a manifest that is not written yet; it has no rows.
func View(b sinks.Blobs, m Manifest) *World {
	return &World{Manifest: m, blobs: b, segments: map[uint32]sinks.Blob{}}
}
