// Package upkeep copies vaults, compares them, and checks what is in one.
package upkeep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

const (
	// partSize is how many people are in memory at once, or documents listed.
	partSize = 500
	// atOnce is how many histories are read, or parts of them written, at once.
	atOnce = 16
)

// The errors that a copy ends with before it has written anything.
var (
	ErrNobody   = errors.New("upkeep: there is nobody to copy")
	ErrNotEmpty = errors.New("upkeep: there is something else in the vault that is to be filled: copy into an empty one")
)

// ErrDiffers is returned when a copy is done and not equal.
var ErrDiffers = errors.New("upkeep: the copy is not equal, so the other vault was written meanwhile: run the same copy again")

// Options of a copy.
type Options struct {
	// Lease says who takes the leases of both vaults, see [sync.HoldLease].
	Lease sync.Options
	// Subscribers are told of changes in the copy, and of what they are still to
	// be told of. What others were to be told is left behind.
	Subscribers []string
	// PartSize is how many people are copied at once, 500 if 0.
	PartSize int
	// Progress is told what is being done, and of how many people it is done.
	Progress func(what string, done, total int64)
}

// A Copied is what a copy did. Its form is also that of `cis vault copy --json`.
type Copied struct {
	Summary
	// Outbox counts what subscribers are still to be told.
	Outbox int64 `json:"outbox"`
	// Resumed says that it went on with a copy that was cut off, and Already that
	// there was nothing to do.
	Resumed bool `json:"resumed"`
	Already bool `json:"already"`
}

// mark is the body of [sync.CopyMark], which an unfinished copy has.
type mark struct {
	// From tells vaults apart: a hash of their key.
	From string `json:"from"`
	// Begun is when the copy began: whoever moved since is looked at again.
	Begun time.Time `json:"begun"`
	// After is the last of the people who are copied.
	After people.ID `json:"after"`
}

// Copy fills an empty vault with all that another one has: people with their
// history, tombstones, and the ledger. It takes the leases of both. One that was
// cut off goes on where it was, and brings in what was written meanwhile; at the
// end both are compared. Until then the copy refuses runs and refreshes.
//
// Of the ledger's documents the versions begin anew: whoever writes one reads it
// first. The people of a copy count as moved at the time of the copy, so the next
// run compares the revisions of all of them with its snapshot, once, and finds
// no difference.
func Copy(ctx context.Context, from, to sinks.Store, o Options) (r Copied, err error) {
	ctx, _, end, err := sync.HoldLease(ctx, from, o.Lease)
	if err != nil {
		return r, err
	}
	defer end()
	o.Lease.Copying = true
	ctx, fence, endTo, err := sync.HoldLease(ctx, to, o.Lease)
	if err != nil {
		return r, err
	}
	defer endTo()
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if o.PartSize == 0 {
		o.PartSize = partSize
	}
	c := &copying{from: from, to: to, fence: fence, o: o}
	err = c.run(ctx, &r)
	if cause := context.Cause(ctx); err != nil && errors.Is(err, context.Canceled) && cause != nil {
		err = fmt.Errorf("upkeep: copy: %w", cause) // a lease is lost, which says more
	}
	return r, err
}

type copying struct {
	from, to sinks.Store
	fence    sinks.Fence // of to
	o        Options
	mark     mark
	version  int64 // of the mark
	total    int64
	rows     int64 // of the outbox
}

func (c *copying) run(ctx context.Context, r *Copied) error {
	already, err := c.begin(ctx, r)
	if err != nil || already {
		return err
	}
	// Whoever is in the copy and nowhere else would refuse the load of their part.
	for _, step := range []func(context.Context) error{c.eraseAgain, c.people, c.eraseAgain, c.catchUp, c.tombstones, c.outbox, c.ledger} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.Outbox = c.rows
	equal, err := c.compare(ctx, r)
	if err == nil && !equal {
		err = ErrDiffers
	}
	if err != nil {
		return err
	}
	failpoint.Hit("copy.equal")
	d := sync.CopyMark()
	d.Version = c.version
	if err := c.to.Remove(ctx, d); err != nil {
		return fmt.Errorf("upkeep: end the copy: %w", err)
	}
	return nil
}

// begin marks an empty vault as an unfinished copy, or finds the mark there. A
// vault that has no mark and all else is a copy already.
func (c *copying) begin(ctx context.Context, r *Copied) (already bool, err error) {
	if c.total, err = c.from.Count(ctx); err != nil {
		return false, fmt.Errorf("upkeep: count: %w", err)
	}
	if c.total == 0 {
		return false, ErrNobody
	}
	key, err := sync.VaultKey(ctx, c.from)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(append([]byte("copy\x00"), key...))
	from := hex.EncodeToString(hash[:16])
	d := sync.CopyMark()
	switch d, err = c.to.Doc(ctx, d.Kind, d.Key); {
	case err == nil:
		if err := json.Unmarshal(d.Body, &c.mark); err != nil {
			return false, fmt.Errorf("upkeep: the mark of a copy: %w", err)
		}
		if c.mark.From != from {
			return false, ErrNotEmpty
		}
		r.Resumed, c.version = true, d.Version
		return false, nil
	case !errors.Is(err, sinks.ErrNotFound):
		return false, fmt.Errorf("upkeep: the mark of a copy: %w", err)
	}
	n, err := c.to.Count(ctx)
	if err != nil {
		return false, fmt.Errorf("upkeep: count: %w", err)
	}
	if n == c.total {
		if already, err = c.compare(ctx, r); err == nil && !already {
			err = ErrNotEmpty
		}
		r.Already = already
		return already, err
	}
	if empty, err := c.isEmpty(ctx); err != nil || n > 0 || !empty {
		return false, errors.Join(err, ErrNotEmpty)
	}
	c.mark = mark{From: from, Begun: c.o.Lease.Now().UTC()}
	if err := c.put(ctx); err != nil {
		return false, err
	}
	failpoint.Hit("copy.marked")
	return false, nil
}

// isEmpty reports whether there is nothing beside people.
func (c *copying) isEmpty(ctx context.Context) (bool, error) {
	stones, err := c.to.Tombstones(ctx, people.ID{}, 1)
	if err != nil || len(stones) > 0 {
		return false, err
	}
	for _, k := range sync.Kinds() {
		if !k.Copied {
			continue
		}
		if docs, err := c.to.Docs(ctx, k.Name, "", 1); err != nil || len(docs) > 0 {
			return false, err
		}
	}
	return true, nil
}

// put writes down how far the copy is.
func (c *copying) put(ctx context.Context) error {
	body, err := json.Marshal(c.mark, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("upkeep: the mark of a copy: %w", err)
	}
	d := sync.CopyMark()
	d.Version, d.Body = c.version, body
	if c.version, err = c.to.Put(ctx, d); err != nil {
		return fmt.Errorf("upkeep: the mark of a copy: %w", err)
	}
	return nil
}

// people copies people in the order of their ids, part by part.
func (c *copying) people(ctx context.Context) error {
	done := int64(0)
	if !c.mark.After.IsZero() {
		n, err := c.to.Count(ctx)
		if err != nil {
			return fmt.Errorf("upkeep: count: %w", err)
		}
		done = n
	}
	for c.mark.After != sinks.LastID() {
		c.o.Progress("copying people", done, c.total)
		part, err := c.from.List(ctx, c.mark.After, c.o.PartSize)
		if err != nil {
			return fmt.Errorf("upkeep: list people: %w", err)
		}
		last := sinks.LastID()
		if len(part) == c.o.PartSize {
			last = part[len(part)-1].ID
		}
		if err := c.load(ctx, c.mark.After, last, part); err != nil {
			return err
		}
		c.mark.After = last
		if err := c.put(ctx); err != nil {
			return err
		}
		failpoint.Hit("copy.part")
		done += int64(len(part))
	}
	return nil
}

// load copies all who are between two ids.
func (c *copying) load(ctx context.Context, after, last people.ID, part []sinks.Stored) error {
	commits := make([]sinks.Commit, len(part))
	histories := make([]sinks.History, len(part))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, p := range part {
		g.Go(func() error {
			docs, err := c.from.History(gctx, p.ID, 0)
			if err != nil {
				return fmt.Errorf("upkeep: read history: %w", err)
			}
			commits[i], histories[i], err = commitOf(p, docs)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.to.LoadPart(ctx, c.fence, after, last, commits); err != nil {
		return fmt.Errorf("upkeep: copy people: %w", hint(err))
	}
	failpoint.Hit("copy.loaded")
	histories = slices.DeleteFunc(histories, func(h sinks.History) bool { return len(h.Docs) == 0 })
	if len(histories) == 0 {
		return nil
	}
	g, gctx = errgroup.WithContext(ctx)
	for some := range slices.Chunk(histories, (len(histories)+atOnce-1)/atOnce) {
		g.Go(func() error {
			if err := c.to.Restore(gctx, c.fence, nil, some); err != nil {
				return fmt.Errorf("upkeep: copy history: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// hint says what a refusal means in a copy.
func hint(err error) error {
	switch {
	case errors.Is(err, sinks.ErrConflict):
		return fmt.Errorf("the vault to be filled has been written by others, or the other one has changed too much since the copy began: begin again with an empty one: %w", err)
	case errors.Is(err, sinks.ErrTaken):
		return fmt.Errorf("two people want the same key: `cis vault check` of the vault that is copied says who, unless it has changed since the copy began: then begin again with an empty one: %w", err)
	}
	return err
}

// commitOf makes what loads a person, and their earlier history.
func commitOf(p sinks.Stored, docs []sinks.HistoryDoc) (c sinks.Commit, earlier sinks.History, err error) {
	keys, err := KeysOf(p)
	if err != nil {
		return c, earlier, fmt.Errorf("upkeep: %s: %w: see `cis vault check`", p.ID, err)
	}
	c = sinks.Commit{ID: p.ID, Revision: p.Revision, Profile: p.Profile, Observations: p.Observations, Keys: keys}
	earlier.ID = p.ID
	for _, d := range docs {
		switch {
		case d.Revision == p.Revision:
			c.History = d.Doc
		case d.Revision < p.Revision: // a later one was written since they were listed
			earlier.Docs = append(earlier.Docs, d)
		}
	}
	if c.History == nil {
		return c, earlier, fmt.Errorf("upkeep: %s has no history of revision %d: see `cis vault check`", p.ID, p.Revision)
	}
	return c, earlier, nil
}

// KeysOf returns what should lead to a person as they are stored.
func KeysOf(p sinks.Stored) (sinks.Keys, error) {
	profile, evidence, err := parse(p)
	if err != nil {
		return sinks.Keys{}, err
	}
	return sync.Keys(profile, &evidence), nil
}

// The errors of parse, which say nothing of what stands there.
var (
	errProfile      = errors.New("the profile cannot be read")
	errOther        = errors.New("the profile is another person's")
	errObservations = errors.New("what the sources said cannot be read")
)

func parse(p sinks.Stored) (profile *people.Profile, evidence people.Evidence, err error) {
	body, err := sinks.Unpack(p.Profile)
	if err == nil {
		profile, err = people.ParseProfile(body)
	}
	if err != nil {
		return nil, evidence, errProfile
	}
	if id, err := people.ParseID(profile.Value(people.UUID).Text()); err != nil || id != p.ID {
		return profile, evidence, errOther
	}
	if len(p.Observations) > 0 {
		if body, err = sinks.Unpack(p.Observations); err == nil {
			evidence, err = people.ParseEvidence(body)
		}
		if err != nil {
			return profile, evidence, errObservations
		}
	}
	return profile, evidence, nil
}

// eraseAgain erases whoever was erased since the copy began.
func (c *copying) eraseAgain(ctx context.Context) error {
	return c.moved(ctx, true, func(erased map[people.ID]int64, _, there []sinks.Stored) error {
		for _, p := range there {
			revision, ok := erased[p.ID]
			if !ok {
				continue
			}
			stone, err := c.to.Erase(ctx, c.fence, p.ID, "")
			if err == nil && stone.Revision != revision {
				err = hint(sinks.ErrConflict)
			}
			if err != nil {
				return fmt.Errorf("upkeep: erase %s, who was erased meanwhile: %w", p.ID, err)
			}
		}
		return nil
	})
}

// catchUp copies again whoever was written since the copy began: while it was
// cut off, or by a refresh, which needs no lease.
func (c *copying) catchUp(ctx context.Context) error {
	c.o.Progress("looking for changes", 0, -1)
	return c.moved(ctx, false, func(_ map[people.ID]int64, now, there []sinks.Stored) error {
		has := make(map[people.ID]sinks.Stored, len(there))
		for _, p := range there {
			has[p.ID] = p
		}
		for _, p := range now {
			q, ok := has[p.ID]
			if ok && q.Revision == p.Revision && bytes.Equal(q.Profile, p.Profile) && bytes.Equal(q.Observations, p.Observations) {
				continue
			}
			if err := c.load(ctx, before(p.ID), p.ID, []sinks.Stored{p}); err != nil {
				return err
			}
		}
		return nil
	})
}

// moved calls yield for whoever was erased since the copy began, or else written,
// part by part: as they are now, and as they are in the copy. Of the erased it
// has the revisions of the tombstones.
func (c *copying) moved(ctx context.Context, erasedOnly bool, yield func(erased map[people.ID]int64, now, there []sinks.Stored) error) error {
	erased := map[people.ID]int64{}
	var moved []people.ID
	err := c.from.Moved(ctx, c.mark.Begun, func(h sinks.Head) error {
		if h.Erased {
			erased[h.ID] = h.Revision
		}
		if h.Erased == erasedOnly {
			moved = append(moved, h.ID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("upkeep: who moved: %w", err)
	}
	slices.SortFunc(moved, func(a, b people.ID) int { return bytes.Compare(a[:], b[:]) })
	for ids := range slices.Chunk(slices.Compact(moved), partSize) {
		now, err := c.from.People(ctx, ids)
		if err != nil {
			return fmt.Errorf("upkeep: read people: %w", err)
		}
		there, err := c.to.People(ctx, ids)
		if err != nil {
			return fmt.Errorf("upkeep: read people: %w", err)
		}
		if err := yield(erased, now, there); err != nil {
			return err
		}
	}
	return nil
}

// before is the id that comes just before another one.
func before(id people.ID) people.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

func (c *copying) tombstones(ctx context.Context) error {
	for stones, err := range tombstones(ctx, c.from) {
		if err == nil {
			err = c.to.Restore(ctx, c.fence, stones, nil)
		}
		if err != nil {
			return fmt.Errorf("upkeep: copy tombstones: %w", hint(err))
		}
	}
	failpoint.Hit("copy.tombstones")
	return nil
}

// outbox makes the rows of each subscriber those of the other vault.
func (c *copying) outbox(ctx context.Context) error {
	if err := c.to.Subscribers(ctx, c.o.Subscribers); err != nil {
		return fmt.Errorf("upkeep: subscribers: %w", err)
	}
	for _, name := range c.o.Subscribers {
		rows, err := c.from.Outbox(ctx, name, math.MaxInt32)
		if err != nil {
			return fmt.Errorf("upkeep: read what is to be told: %w", err)
		}
		there, err := c.to.Outbox(ctx, name, math.MaxInt32)
		if err != nil {
			return fmt.Errorf("upkeep: read what is to be told: %w", err)
		}
		type key struct {
			id        people.ID
			operation string
		}
		due := make(map[key]bool, len(rows))
		for _, r := range rows {
			due[key{r.ID, r.Operation}] = true
		}
		for _, r := range there {
			if due[key{r.ID, r.Operation}] {
				continue
			}
			if _, err := c.to.Delivered(ctx, r); err != nil { // it was told since the copy began
				return fmt.Errorf("upkeep: drop what was told: %w", err)
			}
		}
		if err := c.to.RestoreOutbox(ctx, c.fence, rows); err != nil {
			return fmt.Errorf("upkeep: copy what is to be told: %w", err)
		}
		c.rows += int64(len(rows))
	}
	return nil
}

// tombstones yields all of them, page by page.
func tombstones(ctx context.Context, s sinks.Store) iter.Seq2[[]sinks.Tombstone, error] {
	return func(yield func([]sinks.Tombstone, error) bool) {
		for after := (people.ID{}); ; {
			page, err := s.Tombstones(ctx, after, partSize)
			if (err != nil || len(page) > 0) && !yield(page, err) || len(page) < partSize {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

// ledger makes the documents those of the other vault, which may have changed
// since the copy was begun.
func (c *copying) ledger(ctx context.Context) error {
	c.o.Progress("copying the ledger", 0, -1)
	for _, k := range sync.Kinds() {
		if !k.Copied {
			continue
		}
		if err := c.kind(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (c *copying) kind(ctx context.Context, k sync.Kind) error {
	next, stop := iter.Pull2(sync.Documents(ctx, c.to, k.Name))
	defer stop()
	there, err, more := next()
	// remove takes away what the copy has before a key, and the other vault not.
	remove := func(key string, all bool) error {
		for err == nil && more && (all || there.Key < key) {
			if err := c.to.Remove(ctx, there); err != nil {
				return fmt.Errorf("upkeep: remove a document: %w", err)
			}
			there, err, more = next()
		}
		return err
	}
	for d, failed := range sync.Documents(ctx, c.from, k.Name) {
		if failed != nil {
			return failed
		}
		if err := remove(d.Key, false); err != nil {
			return err
		}
		d.Version = 0
		if more && there.Key == d.Key {
			same := bytes.Equal(there.Body, d.Body)
			d.Version = there.Version
			if there, err, more = next(); same {
				continue
			}
		}
		if _, err := c.to.Put(ctx, d); err != nil {
			return fmt.Errorf("upkeep: copy a document: %w", err)
		}
		failpoint.Hit("copy.document")
	}
	return remove("", true)
}

// compare reports whether both vaults hold the same.
func (c *copying) compare(ctx context.Context, r *Copied) (bool, error) {
	var original Summary
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		original, err = Sum(gctx, c.from, func(n int64) { c.o.Progress("comparing", n, c.total) })
		return err
	})
	g.Go(func() (err error) {
		r.Summary, err = Sum(gctx, c.to, nil)
		return err
	})
	if err := g.Wait(); err != nil {
		return false, err
	}
	return original == r.Summary, nil
}
