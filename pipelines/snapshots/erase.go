package snapshots

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// An Erasure takes a person's values out of all snapshots that are kept.
//
// It is the one that changes blobs which are otherwise never changed: what must
// be gone cannot wait until nobody needs the blob that it is in. A blob is
// replaced whole, by one of the same name and length in which zeros stand for
// the values, so that no table, manifest or root changes and what reads the rest
// finds it where it was. The tables keep the person's rows: those hold keyed
// hashes and no values, and the roots are made over them.
type Erasure struct {
	Person people.ID
	// Records are the keys of the records that are theirs.
	Records []snapshot.Short
	Hash    *snapshot.Hasher
	// Head is the current run. A record in its tables that belongs to nobody is
	// not the person's any more.
	Head string
}

// Run carries the erasure out, and deletes the blobs of snapshots that no
// manifest names, whatever they hold. It calls done for each blob that it has
// replaced or deleted; done again, it finds nothing left to do. Nobody else may
// write snapshots meanwhile.
func (e Erasure) Run(ctx context.Context, b sinks.Blobs, done func(name string, deleted bool) error) error {
	names, err := b.Names(ctx, "snapshots/")
	if err != nil {
		return fmt.Errorf("snapshots: list: %w", err)
	}
	c := &cleaning{Erasure: e, blobs: b, done: done, live: map[string][]span{}, lists: map[string]bool{}}
	var others []string
	for _, name := range names {
		if !strings.HasSuffix(name, "/manifest.json") {
			others = append(others, name)
			continue
		}
		var m Manifest
		if err := ReadJSON(ctx, b, name, &m); err != nil {
			return err
		}
		if m.Form < 1 || m.Form > Form {
			return fmt.Errorf("snapshots: %s has form %d, this program reads 1 to %d", m.Run, m.Form, Form)
		}
		if err := c.survey(ctx, m); err != nil {
			return err
		}
	}
	for _, name := range others {
		spans, body := c.live[name]
		lists, used := c.lists[name]
		switch {
		case body:
			err = c.blank(ctx, name, spans)
		case lists:
			err = c.list(ctx, name)
		case !used: // left by a run that died, or by compaction
			if err = b.Delete(ctx, name); err == nil {
				err = done(name, true)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RecordsOf returns the keys of the records that a person has or had in any
// snapshot that is kept, but for those that are somebody else's, or nobody's, in
// that of the run head.
func RecordsOf(ctx context.Context, b sinks.Blobs, head string, person people.ID) (keys []snapshot.Short, err error) {
	names, err := b.Names(ctx, "snapshots/")
	if err != nil {
		return nil, fmt.Errorf("snapshots: list: %w", err)
	}
	var others []snapshot.Short
	read := map[string]bool{}
	for _, name := range names {
		if !strings.HasSuffix(name, "/manifest.json") {
			continue
		}
		var m Manifest
		if err := ReadJSON(ctx, b, name, &m); err != nil {
			return nil, err
		}
		for _, s := range m.Sources {
			if read[s.Records] && m.Run != head {
				continue
			}
			read[s.Records] = true
			body, err := Read(ctx, b, s.Records)
			if errors.Is(err, sinks.ErrNotFound) && m.Run != head {
				continue // pruned
			}
			if err != nil {
				return nil, err
			}
			table, err := snapshot.ParseRecords(body)
			if err != nil {
				return nil, fmt.Errorf("snapshots: %s: %w", s.Records, err)
			}
			for i := range table.Len() {
				switch r := table.At(i); {
				case r.Person == person:
					keys = append(keys, r.Key)
				case m.Run == head:
					others = append(others, r.Key)
				}
			}
		}
	}
	compare := func(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(keys, compare)
	slices.SortFunc(others, compare)
	return slices.DeleteFunc(slices.Compact(keys), func(k snapshot.Short) bool {
		_, found := slices.BinarySearchFunc(others, k, compare)
		return found
	}), nil
}

// A cleaning is an erasure under way.
type cleaning struct {
	Erasure
	blobs sinks.Blobs
	done  func(string, bool) error
	// live is what of each blob of bodies is pointed to and not the person's.
	live map[string][]span
	// lists are the other blobs that a manifest names, and which are lists.
	lists map[string]bool
}

// A span is a part of a blob.
type span struct{ from, to uint64 }

// survey finds out what of its blobs a snapshot needs. Of one that is pruned up
// to the blobs that later ones need, the tables are not there any more.
func (c *cleaning) survey(ctx context.Context, m Manifest) error {
	c.lists[m.Lists] = true
	body, err := c.table(ctx, m, m.People)
	if err != nil {
		return err
	}
	for _, s := range m.Segments {
		c.live[s.Name] = append(c.live[s.Name], span{}) // it is needed, whatever of it
	}
	if body != nil {
		rows, err := snapshot.ParseRows(body)
		if err != nil {
			return fmt.Errorf("snapshots: %s: %w", m.People, err)
		}
		for i := range rows.Len() {
			r := rows.At(i)
			if int(r.Segment) >= len(m.Segments) {
				return fmt.Errorf("snapshots: a row of %s points to segment %d of %d", m.Run, r.Segment, len(m.Segments))
			}
			if name := m.Segments[r.Segment].Name; r.ID != c.Person {
				c.live[name] = append(c.live[name], span{r.Offset, r.Offset + uint64(r.Length)})
			}
		}
		for _, s := range m.Segments {
			c.live[s.Name] = join(c.live[s.Name])
		}
	}
	for _, s := range m.Sources {
		if body, err = c.table(ctx, m, s.Records); err != nil {
			return err
		}
		c.live[s.Waiting] = append(c.live[s.Waiting], span{})
		if body == nil {
			continue
		}
		records, err := snapshot.ParseRecords(body)
		if err != nil {
			return fmt.Errorf("snapshots: %s: %w", s.Records, err)
		}
		for i := range records.Len() {
			r := records.At(i)
			theirs := r.Person == c.Person || m.Run != c.Head && slices.Contains(c.Records, r.Key)
			if r.Length > 0 && !theirs {
				c.live[s.Waiting] = append(c.live[s.Waiting], span{r.Offset, r.Offset + uint64(r.Length)})
			}
		}
		c.live[s.Waiting] = join(c.live[s.Waiting])
	}
	return nil
}

// table reads a table, nil if it was pruned.
func (c *cleaning) table(ctx context.Context, m Manifest, name string) ([]byte, error) {
	c.lists[name] = false
	body, err := Read(ctx, c.blobs, name)
	if errors.Is(err, sinks.ErrNotFound) && m.Run != c.Head {
		return nil, nil
	}
	return body, err
}

// join sorts spans and joins those that touch.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && s.from <= joined[n-1].to {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// blank puts zeros in place of all that is not live: what is the person's, and
// what nothing points to, of which nobody can say any more whose it is.
func (c *cleaning) blank(ctx context.Context, name string, live []span) error {
	r, err := c.blobs.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("snapshots: open %s: %w", name, err)
	}
	defer r.Close()
	size := uint64(r.Size())
	var dead []span
	at := uint64(0)
	for _, s := range live {
		if s.to > size {
			return fmt.Errorf("snapshots: %s is cut short", name)
		}
		if at < s.from {
			dead = append(dead, span{at, s.from})
		}
		at = s.to
	}
	if at < size {
		dead = append(dead, span{at, size})
	}
	clean, err := zeros(r, dead)
	if err != nil {
		return fmt.Errorf("snapshots: read %s: %w", name, err)
	}
	if clean {
		return nil
	}
	w, err := c.blobs.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("snapshots: create %s: %w", name, err)
	}
	defer w.Close()
	at = 0
	for _, s := range append(dead, span{size, size}) {
		if _, err = io.Copy(w, io.NewSectionReader(r, int64(at), int64(s.from-at))); err == nil {
			_, err = io.Copy(w, io.LimitReader(nothing{}, int64(s.to-s.from)))
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("snapshots: write %s: %w", name, err)
		}
		at = s.to
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("snapshots: commit %s: %w", name, err)
	}
	return c.done(name, false)
}

// nothing reads as zeros without end.
type nothing struct{}

func (nothing) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// zeros reports whether there are only zeros in the spans.
func zeros(r io.ReaderAt, spans []span) (bool, error) {
	buf := make([]byte, 64<<10)
	for _, s := range spans {
		for s.from < s.to {
			part := buf[:min(uint64(len(buf)), s.to-s.from)]
			if n, err := r.ReadAt(part, int64(s.from)); err != nil && !(errors.Is(err, io.EOF) && n == len(part)) {
				return false, err
			}
			if !blank(part) {
				return false, nil
			}
			s.from += uint64(len(part))
		}
	}
	return true, nil
}

// blank reports whether there are only zeros in b, which no packed profile
// begins with.
func blank(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// list takes out of lists what is of the person, or of a record of theirs.
func (c *cleaning) list(ctx context.Context, name string) error {
	var l Lists
	if err := ReadJSON(ctx, c.blobs, name, &l); errors.Is(err, sinks.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	before := len(l.Cases) + len(l.Rejections) + len(l.Upcoming)
	theirs := func(p people.Publisher, record string) bool {
		return record != "" && slices.Contains(c.Records, c.Hash.Record(p, record))
	}
	l.Cases = slices.DeleteFunc(l.Cases, func(k people.Case) bool {
		// A case between several people is also of the others; it names them by uuid.
		return theirs(k.Publisher, k.Record) || len(k.People) == 1 && k.People[0] == c.Person
	})
	l.Rejections = slices.DeleteFunc(l.Rejections, func(r people.Rejection) bool { return theirs(r.Publisher, r.Record) })
	l.Upcoming = slices.DeleteFunc(l.Upcoming, func(u correlate.Upcoming) bool { return u.Person == c.Person })
	if len(l.Cases)+len(l.Rejections)+len(l.Upcoming) == before {
		return nil
	}
	if err := WriteJSON(ctx, c.blobs, name, l); err != nil {
		return err
	}
	return c.done(name, false)
}
