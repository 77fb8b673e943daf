package firestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"example.org/cis/sinks"
)

// Doc reads one document.
func (s *Store) Doc(ctx context.Context, kind, key string) (sinks.Doc, error) {
	docs, err := s.all(ctx, []*firestore.DocumentRef{s.docRef(kind, key)})
	var d ledgerDoc
	if err == nil {
		if d, err = entry(docs[0]); err == nil && d.Version == 0 {
			err = sinks.ErrNotFound
		}
	}
	if err != nil {
		return sinks.Doc{}, fmt.Errorf("firestore: read a document of kind %s: %w", kind, err)
	}
	return d.doc(kind), nil
}

func (d *ledgerDoc) doc(kind string) sinks.Doc {
	return sinks.Doc{Kind: kind, Key: string(d.Key), Version: d.Version, Body: d.Body}
}

// entry decodes a document that need not be there.
func entry(snapshot *firestore.DocumentSnapshot) (d ledgerDoc, err error) {
	if snapshot.Exists() {
		err = decode(snapshot, &d)
	}
	return d, err
}

// Put writes a document. Of an attempt whose answer was lost, and that others
// have written over since, it says ErrConflict as if it had not been made; one
// that others have removed since is written again.
func (s *Store) Put(ctx context.Context, d sinks.Doc) (int64, error) {
	err := sinks.ValidateDoc(d)
	if err == nil {
		err = s.put(ctx, d)
	}
	if err != nil {
		return 0, fmt.Errorf("firestore: write a document of kind %s: %w", d.Kind, err)
	}
	return d.Version + 1, nil
}

func (s *Store) put(ctx context.Context, d sinks.Doc) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	ref := s.docRef(d.Kind, d.Key)
	return s.transact(ctx, 1, func(t *tx) error {
		docs, err := t.all([]*firestore.DocumentRef{ref})
		if err != nil {
			return err
		}
		was, err := entry(docs[0])
		switch {
		case err != nil:
			return err
		case t.again && bytes.Equal(was.Token, token):
			return nil
		case was.Version != d.Version:
			return sinks.ErrConflict
		}
		return t.set(ref, &ledgerDoc{Key: []byte(d.Key), Version: d.Version + 1, Body: d.Body, Token: token})
	})
}

// Remove deletes a document.
func (s *Store) Remove(ctx context.Context, d sinks.Doc) error {
	ref := s.docRef(d.Kind, d.Key)
	var removing []byte // the token of what an earlier attempt may have removed
	err := s.transact(ctx, 1, func(t *tx) error {
		docs, err := t.all([]*firestore.DocumentRef{ref})
		if err != nil {
			return err
		}
		was, err := entry(docs[0])
		switch {
		case err != nil || was.Version == 0:
			return err
		case removing != nil && !bytes.Equal(was.Token, removing): // another one has come since
			return nil
		case was.Version != d.Version:
			return sinks.ErrConflict
		}
		removing = was.Token
		return t.remove(ref)
	})
	if err != nil {
		return fmt.Errorf("firestore: remove a document of kind %s: %w", d.Kind, err)
	}
	return nil
}

// Docs lists documents in the order of their keys' bytes.
func (s *Store) Docs(ctx context.Context, kind, after string, limit int) ([]sinks.Doc, error) {
	q := search{Query: Query{Collection: docsName, Filters: []Filter{{"key", ">", []byte(after)}}, Order: []string{"key"}}, from: s.docs(kind)}
	docs, err := first(ctx, s, q, limit, func(d *firestore.DocumentSnapshot) (sinks.Doc, error) {
		e, err := entry(d)
		return e.doc(kind), err
	})
	if err != nil {
		return nil, fmt.Errorf("firestore: list %s: %w", kind, err)
	}
	return docs, nil
}

// Acquire takes a lease. Tokens rise for ever: a released lease keeps its
// documents.
func (s *Store) Acquire(ctx context.Context, lease, holder string, ttl time.Duration) (sinks.Fence, error) {
	fence := sinks.Fence{Lease: lease}
	err := errors.New("a lease without name, holder or time")
	if lease != "" && holder != "" && ttl > 0 {
		err = s.transact(ctx, 2, func(t *tx) error {
			docs, err := t.all([]*firestore.DocumentRef{s.fenceRef(lease), s.heartbeatRef(lease)})
			if err != nil {
				return err
			}
			var was fenceDoc
			var beat heartbeatDoc
			if docs[0].Exists() {
				if err := decode(docs[0], &was); err != nil {
					return err
				}
			}
			if docs[1].Exists() {
				if err := decode(docs[1], &beat); err != nil {
					return err
				}
			}
			now := s.now()
			if was.Holder != "" && was.Holder != holder && beat.Expires.After(now) {
				return sinks.ErrHeld
			}
			fence.Token = was.Token + 1
			if err := t.set(s.fenceRef(lease), &fenceDoc{fence.Token, holder}); err != nil {
				return err
			}
			return t.set(s.heartbeatRef(lease), &heartbeatDoc{now.Add(ttl)})
		})
	}
	if err != nil {
		return sinks.Fence{}, fmt.Errorf("firestore: acquire %s: %w", lease, err)
	}
	return fence, nil
}

// held runs f if the fence is that of the lease.
func (s *Store) held(ctx context.Context, fence sinks.Fence, f func(t *tx) error) error {
	return s.transact(ctx, 1, func(t *tx) error {
		docs, err := t.all([]*firestore.DocumentRef{s.fenceRef(fence.Lease)})
		if err != nil {
			return err
		}
		if err := checkFence(fence, docs); err != nil {
			return err
		}
		return f(t)
	})
}

// Renew moves the expiry of a lease.
func (s *Store) Renew(ctx context.Context, fence sinks.Fence, ttl time.Duration) error {
	err := s.held(ctx, fence, func(t *tx) error {
		return t.set(s.heartbeatRef(fence.Lease), &heartbeatDoc{s.now().Add(ttl)})
	})
	if err != nil {
		return fmt.Errorf("firestore: renew %s: %w", fence.Lease, err)
	}
	return nil
}

// Release gives a lease up.
func (s *Store) Release(ctx context.Context, fence sinks.Fence) error {
	err := s.held(ctx, fence, func(t *tx) error {
		return t.set(s.fenceRef(fence.Lease), &fenceDoc{Token: fence.Token + 1})
	})
	if err != nil && !errors.Is(err, sinks.ErrFenced) {
		return fmt.Errorf("firestore: release %s: %w", fence.Lease, err)
	}
	return nil
}
