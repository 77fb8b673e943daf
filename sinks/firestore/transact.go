package firestore

import (
	"context"
	"fmt"
	"io"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// A tx is one attempt at a transaction. All reads come before all writes.
type tx struct {
	*firestore.Transaction
	s *Store
	// again says that an earlier attempt may have been written.
	again bool

	writes, deletes int64
}

// transact runs f in a transaction, again and again if need be. About as many
// documents as expected are written by it.
func (s *Store) transact(ctx context.Context, expected int, f func(t *tx) error) error {
	if s.readOnly {
		return errReadOnly
	}
	select {
	case s.writers <- struct{}{}:
		defer func() { <-s.writers }()
	case <-ctx.Done():
		return ctx.Err()
	}
	tried := false // to commit
	wait := func(ctx context.Context) error { return s.pace.wait(ctx, expected) }
	return s.again(ctx, wait, func(ctx context.Context) error {
		t := tx{s: s, again: tried}
		err := s.client.RunTransaction(ctx, func(_ context.Context, inner *firestore.Transaction) error {
			t.Transaction, t.writes, t.deletes = inner, 0, 0
			if err := f(&t); err != nil {
				return err
			}
			tried = true
			return nil
		}, firestore.MaxAttempts(1))
		if err == nil {
			s.writes.Add(t.writes)
			s.deletes.Add(t.deletes)
		}
		return err
	})
}

// all reads documents, in the order asked for.
func (t *tx) all(refs []*firestore.DocumentRef) ([]*firestore.DocumentSnapshot, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	docs, err := t.GetAll(refs)
	if err == nil {
		t.s.reads.Add(int64(len(refs)))
	}
	return docs, err
}

func (t *tx) set(ref *firestore.DocumentRef, doc any) error {
	t.writes++
	return t.Set(ref, doc)
}

func (t *tx) create(ref *firestore.DocumentRef, doc any) error {
	t.writes++
	return t.Create(ref, doc)
}

func (t *tx) remove(ref *firestore.DocumentRef) error {
	t.deletes++
	return t.Delete(ref)
}

// fenceRefs is the document to be read for a fence, if there is one.
func (s *Store) fenceRefs(f sinks.Fence) []*firestore.DocumentRef {
	if f == (sinks.Fence{}) {
		return nil
	}
	return []*firestore.DocumentRef{s.fenceRef(f.Lease)}
}

// checkFence compares the document of fenceRefs with the fence.
func checkFence(f sinks.Fence, docs []*firestore.DocumentSnapshot) error {
	if len(docs) == 0 {
		return nil
	}
	var d fenceDoc
	if !docs[0].Exists() {
		return sinks.ErrFenced
	}
	if err := decode(docs[0], &d); err != nil {
		return err
	}
	if d.Token != f.Token {
		return sinks.ErrFenced
	}
	return nil
}

// fenced reads the fence, of which nothing else depends.
func (t *tx) fenced(f sinks.Fence) error {
	docs, err := t.all(t.s.fenceRefs(f))
	if err != nil {
		return err
	}
	return checkFence(f, docs)
}

// person decodes the document of a person, who need not be there.
func person(d *firestore.DocumentSnapshot) (p personDoc, err error) {
	if d.Exists() {
		err = decode(d, &p)
	}
	return p, err
}

// fencedPerson reads the fence and a person.
func (t *tx) fencedPerson(f sinks.Fence, id people.ID, more ...*firestore.DocumentRef) (p personDoc, rest []*firestore.DocumentSnapshot, err error) {
	fence := t.s.fenceRefs(f)
	docs, err := t.all(append(append(fence, t.s.personRef(id)), more...))
	if err != nil {
		return p, nil, err
	}
	if err := checkFence(f, docs[:len(fence)]); err != nil {
		return p, nil, err
	}
	docs = docs[len(fence):]
	p, err = person(docs[0])
	return p, docs[1:], err
}

// token is of one call of a writer.
func (s *Store) token() ([]byte, error) {
	b := make([]byte, 12)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return nil, fmt.Errorf("a random token: %w", err)
	}
	return b, nil
}
