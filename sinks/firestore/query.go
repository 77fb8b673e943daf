package firestore

import (
	"context"
	"errors"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"
)

// A Query is the shape of a query: what indexes it needs depends on nothing
// else.
type Query struct {
	Collection string
	// Group asks for all collections of the name.
	Group   bool
	Filters []Filter
	// Order are fields in ascending order. The name of the document follows.
	Order []string
}

// A Filter compares a field. The operators are those of Firestore: "==", "in",
// "<", ">=", "array-contains", "array-contains-any".
type Filter struct {
	Field, Operator string
	Value           any
}

// A search is a query with what it returns.
type search struct {
	Query
	fields []string // nil for all
	limit  int      // of a page
	// from is the collection if it is not one of the root.
	from *firestore.CollectionRef
	// after are the values of Order and the name, or a document.
	after []any
	// last is where the last page ends, in the same form.
	last []any
}

func (s *Store) build(q search) firestore.Query {
	if s.query != nil {
		s.query(q.Query)
	}
	var built firestore.Query
	switch {
	case q.from != nil:
		built = q.from.Query
	case q.Group:
		built = s.client.CollectionGroup(q.Collection).Query
	default:
		built = s.collection(q.Collection).Query
	}
	for _, f := range q.Filters {
		built = built.Where(f.Field, f.Operator, f.Value)
	}
	for _, field := range q.Order {
		built = built.OrderBy(field, firestore.Asc)
	}
	built = built.OrderBy(firestore.DocumentID, firestore.Asc)
	if q.fields != nil {
		built = built.Select(q.fields...)
	}
	if q.limit > 0 {
		built = built.Limit(q.limit)
	}
	if q.after != nil {
		built = built.StartAfter(q.after...)
	}
	if q.last != nil {
		built = built.EndAt(q.last...)
	}
	return built
}

// drain reads all that an iterator has.
func (s *Store) drain(it *firestore.DocumentIterator) ([]*firestore.DocumentSnapshot, error) {
	defer it.Stop()
	var docs []*firestore.DocumentSnapshot
	for {
		d, err := it.Next()
		if err == iterator.Done {
			s.reads.Add(int64(max(1, len(docs))))
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
}

// page reads the documents of one page, whole or not at all.
func (s *Store) page(ctx context.Context, q search) (docs []*firestore.DocumentSnapshot, err error) {
	built := s.build(q)
	err = s.again(ctx, nil, func(ctx context.Context) (err error) {
		docs, err = s.drain(built.Documents(ctx))
		return err
	})
	return docs, err
}

// pages reads page after page, each whole.
func (s *Store) pages(ctx context.Context, q search, yield func([]*firestore.DocumentSnapshot) error) error {
	for {
		docs, err := s.page(ctx, q)
		if err != nil {
			return err
		}
		if err := yield(docs); err != nil {
			return err
		}
		if len(docs) < q.limit {
			return nil
		}
		q.after = []any{docs[len(docs)-1]}
	}
}

// each reads all documents, page by page.
func (s *Store) each(ctx context.Context, q search, yield func(*firestore.DocumentSnapshot) error) error {
	return s.pages(ctx, q, func(docs []*firestore.DocumentSnapshot) error {
		for _, d := range docs {
			if err := yield(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// first reads at most so many documents as what one makes of them.
func first[T any](ctx context.Context, s *Store, q search, limit int, one func(*firestore.DocumentSnapshot) (T, error)) (list []T, err error) {
	if limit < 1 {
		return nil, nil
	}
	enough := errors.New("enough")
	q.limit = min(limit, chunk)
	err = s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
		v, err := one(d)
		if err != nil {
			return err
		}
		if list = append(list, v); len(list) == limit {
			return enough
		}
		return nil
	})
	if err != nil && err != enough {
		return nil, err
	}
	return list, nil
}

// all reads documents by name, in the order asked for. They are of one moment,
// unless the connection broke meanwhile: the client asks again for those that
// it has not brought.
func (s *Store) all(ctx context.Context, refs []*firestore.DocumentRef) (docs []*firestore.DocumentSnapshot, err error) {
	if len(refs) == 0 {
		return nil, ctx.Err()
	}
	err = s.again(ctx, nil, func(ctx context.Context) (err error) {
		docs, err = s.client.GetAll(ctx, refs)
		return err
	})
	if err == nil {
		s.reads.Add(int64(len(refs)))
	}
	return docs, err
}

// still runs f in a transaction that sees one moment and writes nothing.
func (s *Store) still(ctx context.Context, f func(t *tx) error) error {
	return s.again(ctx, nil, func(ctx context.Context) error {
		return s.client.RunTransaction(ctx, func(_ context.Context, inner *firestore.Transaction) error {
			return f(&tx{Transaction: inner, s: s})
		}, firestore.ReadOnly, firestore.MaxAttempts(1))
	})
}
