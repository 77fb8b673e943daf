package firestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// refusals are what concerns one person of a batch and no other.
var refusals = []error{sinks.ErrConflict, sinks.ErrTaken, sinks.ErrTooLarge}

var errErasing = fmt.Errorf("their erasure was cut off, `cis vault erase` finishes it: %w", sinks.ErrConflict)

func isRefusal(err error) bool {
	return slices.ContainsFunc(refusals, func(target error) bool { return errors.Is(err, target) })
}

// Commit runs a transaction a person, many at once.
func (s *Store) Commit(ctx context.Context, fence sinks.Fence, commits []sinks.Commit) ([]error, error) {
	type result struct {
		done bool
		err  error
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("firestore: commit: %w", err)
	}
	results := make([]result, len(commits))
	group, inside := errgroup.WithContext(ctx)
	group.SetLimit(cap(s.writers))
	for _, mine := range perPerson(commits) {
		group.Go(func() error {
			for _, i := range mine {
				c := &commits[i]
				err := c.Validate()
				if err == nil {
					err = s.commit(inside, fence, c)
					if err != nil && !isRefusal(err) {
						return fmt.Errorf("%s: %w", c.ID, err)
					}
				}
				if err != nil {
					err = fmt.Errorf("firestore: commit %s: %w", c.ID, err)
				}
				results[i] = result{true, err}
			}
			return nil
		})
	}
	err := group.Wait()
	prefix := make([]error, 0, len(commits))
	for _, r := range results {
		if !r.done {
			break
		}
		prefix = append(prefix, r.err)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return prefix, fmt.Errorf("firestore: commit: %w", err)
	}
	return prefix, nil
}

// perPerson groups the indexes of commits of the same person.
func perPerson(commits []sinks.Commit) [][]int {
	at := make(map[people.ID]int, len(commits))
	groups := make([][]int, 0, len(commits))
	for i := range commits {
		g, ok := at[commits[i].ID]
		if !ok {
			g = len(groups)
			at[commits[i].ID] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

func (s *Store) commit(ctx context.Context, fence sinks.Fence, c *sinks.Commit) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	expected := 3
	if c.Expect == 0 {
		expected += len(c.Unique) + len(c.Records)
	}
	if c.Notify != "" {
		expected += int(s.subscribers.Load())
	}
	return s.transact(ctx, expected, func(t *tx) error { return t.commit(fence, c, token) })
}

// commit reads, in one request for a creation and in one or two else, and then
// writes.
func (t *tx) commit(fence sinks.Fence, c *sinks.Commit, token []byte) error {
	s := t.s
	names := claimNames(c.Records)
	notify := c.Notify
	if c.Revision == c.Expect {
		notify = "" // observations are told to nobody
	} else {
		names = append(claimNames(c.Unique), names...)
	}
	var more []*firestore.DocumentRef
	if notify != "" {
		more = append(more, s.subscribersRef())
	}
	first := len(more)
	if c.Expect == 0 { // whoever is not there holds nothing
		more = s.appendClaims(more, names)
	}
	was, docs, err := t.fencedPerson(fence, c.ID, more...)
	if err != nil {
		return err
	}
	if was.Revision != c.Expect || c.Revision == c.Expect && was.Erased {
		if t.again && c.Revision != c.Expect && was.Revision >= c.Revision {
			return t.own(c, token)
		}
		return sinks.ErrConflict
	}
	if was.Erasing {
		return errErasing
	}
	claims := docs[first:]
	var gone []*firestore.DocumentSnapshot
	if c.Expect != 0 {
		held := slices.Clone(was.Records)
		if c.Revision != c.Expect {
			held = append(held, was.Unique...)
		}
		fresh := without(names, held)
		if claims, err = t.all(s.appendClaims(nil, append(fresh, without(held, names)...))); err != nil {
			return err
		}
		claims, gone = claims[:len(fresh)], claims[len(fresh):]
	}
	if err := free(c.ID, claims); err != nil {
		return err
	}
	var subscribers subscribersDoc
	if notify != "" && docs[0].Exists() {
		if err := decode(docs[0], &subscribers); err != nil {
			return err
		}
		s.subscribers.Store(int64(len(subscribers.Names)))
	}
	var rows []*firestore.DocumentSnapshot
	if notify == sinks.NotifyRelink {
		if rows, err = t.all(s.rowRefs(subscribers.Names, c)); err != nil {
			return err
		}
	}
	if err := t.put(&was, c, token, gone); err != nil {
		return err
	}
	if notify == "" {
		return nil
	}
	return t.notify(c, subscribers.Names, rows)
}

// own answers for an attempt whose answer was lost: nil if the revision was
// written by this call.
func (t *tx) own(c *sinks.Commit, token []byte) error {
	docs, err := t.all([]*firestore.DocumentRef{t.s.historyRef(c.ID, c.Revision)})
	if err != nil {
		return err
	}
	var h historyDoc
	if docs[0].Exists() {
		if err := decode(docs[0], &h); err != nil {
			return err
		}
	}
	if !bytes.Equal(h.Token, token) {
		return sinks.ErrConflict
	}
	return nil
}

func (s *Store) appendClaims(refs []*firestore.DocumentRef, names []string) []*firestore.DocumentRef {
	for _, n := range names {
		refs = append(refs, s.claimRef(n))
	}
	return refs
}

// free is ErrTaken if somebody else has one of the claims.
func free(id people.ID, claims []*firestore.DocumentSnapshot) error {
	for _, d := range claims {
		if !d.Exists() {
			continue
		}
		var claim claimDoc
		if err := decode(d, &claim); err != nil {
			return err
		}
		if !bytes.Equal(claim.Person, id[:]) {
			return sinks.ErrTaken
		}
	}
	return nil
}

// put writes all of a person but the outbox. Whatever they do not hold yet is
// known to be free, and gone are the claims that they give up.
func (t *tx) put(was *personDoc, c *sinks.Commit, token []byte, gone []*firestore.DocumentSnapshot) error {
	s := t.s
	is := *was
	is.Revision, is.Moved, is.Shard = c.Revision, s.clock(), shard(c.ID)
	is.Erased, is.Observed = false, observed(c.Observations)
	keys := c.Keys
	if len(c.Profile) > 0 {
		is.Profile = c.Profile
		is.setKeys(&keys)
	} else {
		is.Records, is.Lookups = claimNames(c.Records), hashes(c.Lookups)
		keys.Unique = nil
	}
	if err := t.set(s.personRef(c.ID), &is); err != nil {
		return err
	}
	if err := t.putObservations(c, was.Observed, is.Observed); err != nil {
		return err
	}
	if len(c.History) > 0 && len(c.Profile) > 0 {
		if err := t.set(s.historyRef(c.ID, c.Revision), &historyDoc{c.History, token}); err != nil {
			return err
		}
	}
	return t.putClaims(c.ID, &keys, append(slices.Clone(was.Unique), was.Records...), gone)
}

func (t *tx) putObservations(c *sinks.Commit, was, is []byte) error {
	switch {
	case bytes.Equal(was, is):
		return nil
	case is == nil:
		return t.remove(t.s.observationsRef(c.ID))
	default:
		return t.set(t.s.observationsRef(c.ID), &observationsDoc{c.Observations})
	}
}

// putClaims takes what is not had and gives up gone, which has been read: what
// leads to somebody else is theirs, whatever the person's document says.
func (t *tx) putClaims(id people.ID, keys *sinks.Keys, had []string, gone []*firestore.DocumentSnapshot) error {
	for _, d := range gone {
		var c claimDoc
		if !d.Exists() || decode(d, &c) != nil || !bytes.Equal(c.Person, id[:]) {
			continue
		}
		if err := t.remove(d.Ref); err != nil {
			return err
		}
	}
	done := make(map[string]bool, len(had))
	for _, n := range had {
		done[n] = true
	}
	for _, list := range [...][]people.Key{keys.Unique, keys.Records} {
		for _, k := range list {
			n := claimName(k)
			if done[n] {
				continue
			}
			done[n] = true
			if err := t.set(t.s.claimRef(n), &claimDoc{id[:], string(k.Scheme)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// without returns the names that are not among others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(others, n) })
}

func (s *Store) rowRefs(subscribers []string, c *sinks.Commit) []*firestore.DocumentRef {
	refs := make([]*firestore.DocumentRef, len(subscribers))
	for i, name := range subscribers {
		refs[i] = s.rowRef(name, c.ID, c.Notify)
	}
	return refs
}

// notify writes the outbox rows. Those that are there are raised; of a relink
// they have been read, for the ids that they name.
func (t *tx) notify(c *sinks.Commit, subscribers []string, rows []*firestore.DocumentSnapshot) error {
	for i, ref := range t.s.rowRefs(subscribers, c) {
		row := rowDoc{Person: c.ID[:], Operation: c.Notify, UserID: []byte(c.NotifyID), Former: []byte(c.NotifyFormer), Revision: c.Revision}
		if rows != nil && rows[i].Exists() {
			var was rowDoc
			if err := decode(rows[i], &was); err != nil {
				return err
			}
			row.Former = bytes.Join([][]byte{was.Former, row.Former}, []byte("\n"))
		}
		if err := t.set(ref, &row); err != nil {
			return err
		}
	}
	return nil
}

// The size of one transaction of a load.
const (
	maxLoadWrites = 400
	maxLoadBytes  = 4 << 20
	// factBytes is about what the index entries of a fact take, which count.
	factBytes = 300
)

// Load is one part of everybody.
func (s *Store) Load(ctx context.Context, fence sinks.Fence, commits []sinks.Commit) error {
	return s.LoadPart(ctx, fence, people.ID{}, sinks.LastID(), commits)
}

// LoadPart writes many people a transaction, many of them at once. If one is
// refused, each of its people is tried alone, to know whom it is about.
func (s *Store) LoadPart(ctx context.Context, fence sinks.Fence, after, last people.ID, commits []sinks.Commit) error {
	byID := make(map[people.ID]*sinks.Commit, len(commits))
	for i := range commits {
		c := &commits[i]
		err := c.ValidateLoad(after, last)
		if err == nil && byID[c.ID] != nil {
			err = sinks.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("firestore: load %s: %w", c.ID, err)
		}
		byID[c.ID] = c
	}
	if err := s.load(ctx, fence, after, last, commits, byID); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("firestore: load: %w", err)
	}
	return nil
}

func (s *Store) load(ctx context.Context, fence sinks.Fence, after, last people.ID, commits []sinks.Commit, byID map[people.ID]*sinks.Commit) error {
	// The fence is looked at even if nobody is loaded.
	if err := s.transact(ctx, 0, func(t *tx) error { return t.fenced(fence) }); err != nil {
		return err
	}
	there := map[people.ID]bool{}
	err := s.heads(ctx, after, last, func(h sinks.Head) error {
		c := byID[h.ID]
		switch {
		case c == nil && h.Erased:
			return nil
		case c == nil:
			return fmt.Errorf("others are in the vault: %w", sinks.ErrConflict)
		case h.Erased && c.Revision <= h.Revision, !h.Erased && c.Revision < h.Revision:
			return fmt.Errorf("%s: %w", h.ID, sinks.ErrConflict)
		}
		there[h.ID] = true
		return nil
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(s.writers))
	var part []*sinks.Commit
	writes, size := 0, 0
	flush := func() {
		if len(part) > 0 {
			mine := part
			group.Go(func() error { return s.loadNew(ctx, fence, mine) })
		}
		part, writes, size = nil, 0, 0
	}
	for i := range commits {
		c := &commits[i]
		if there[c.ID] {
			group.Go(func() error { return s.loadOne(ctx, fence, c) })
			continue
		}
		n, b := 3+len(c.Unique)+len(c.Records), len(c.Profile)+len(c.Observations)+len(c.History)+factBytes*len(c.Facts)
		if writes+n > maxLoadWrites || size+b > maxLoadBytes {
			flush()
		}
		part, writes, size = append(part, c), writes+n, size+b
	}
	flush()
	return group.Wait()
}

// loadNew writes people who were not there when the load began.
func (s *Store) loadNew(ctx context.Context, fence sinks.Fence, part []*sinks.Commit) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	expected := 0
	for _, c := range part {
		expected += 3 + len(c.Unique) + len(c.Records)
	}
	err = s.transact(ctx, expected, func(t *tx) error {
		if err := t.fenced(fence); err != nil {
			return err
		}
		for _, c := range part {
			if err := t.loadNew(c, token); err != nil {
				return err
			}
		}
		return nil
	})
	if status.Code(err) != codes.AlreadyExists && !errors.Is(err, errInvalid) { // of many, that they are too large
		return err
	}
	for _, c := range part {
		if err := s.loadOne(ctx, fence, c); err != nil {
			return err
		}
	}
	return nil
}

// loadNew demands of each document that it is not there.
func (t *tx) loadNew(c *sinks.Commit, token []byte) error {
	s := t.s
	p := personDoc{Revision: c.Revision, Moved: s.clock(), Shard: shard(c.ID), Profile: c.Profile, Observed: observed(c.Observations)}
	p.setKeys(&c.Keys)
	if err := t.create(s.personRef(c.ID), &p); err != nil {
		return err
	}
	if err := t.create(s.historyRef(c.ID, c.Revision), &historyDoc{c.History, token}); err != nil {
		return err
	}
	if p.Observed != nil {
		if err := t.create(s.observationsRef(c.ID), &observationsDoc{c.Observations}); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, k := range slices.Concat(c.Unique, c.Records) {
		n := claimName(k)
		if seen[n] {
			continue
		}
		seen[n] = true
		if err := t.create(s.claimRef(n), &claimDoc{c.ID[:], string(k.Scheme)}); err != nil {
			return err
		}
	}
	return nil
}

// loadOne writes somebody who may be there with the same or an earlier revision.
func (s *Store) loadOne(ctx context.Context, fence sinks.Fence, c *sinks.Commit) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	err = s.transact(ctx, 3+len(c.Unique)+len(c.Records), func(t *tx) error {
		names := append(claimNames(c.Unique), claimNames(c.Records)...)
		was, docs, err := t.fencedPerson(fence, c.ID, s.appendClaims(nil, names)...)
		switch {
		case err != nil:
			return err
		case was.Erasing:
			return errErasing
		case was.Erased && c.Revision <= was.Revision, was.there() && was.Revision > c.Revision:
			return sinks.ErrConflict
		}
		if err := free(c.ID, docs); err != nil {
			return err
		}
		gone, err := t.all(s.appendClaims(nil, without(append(slices.Clone(was.Unique), was.Records...), names)))
		if err != nil {
			return err
		}
		return t.put(&was, c, token, gone)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.ID, err)
	}
	return nil
}
