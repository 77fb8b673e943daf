package firestore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

const (
	// window is how much earlier than asked Moved begins, for clocks that differ
	// and for commits that began before and ended after.
	window = 10 * time.Minute
	// chunk is how many documents a request asks for by name, or a page of
	// small ones has.
	chunk      = 250
	headsChunk = 5000
	// anyOf is how many values one filter compares with.
	anyOf = 30
)

// Person reads both documents of a person.
func (s *Store) Person(ctx context.Context, id people.ID) (sinks.Stored, error) {
	docs, err := s.all(ctx, []*firestore.DocumentRef{s.personRef(id), s.observationsRef(id)})
	var p sinks.Stored
	var there bool
	if err == nil {
		p, there, err = s.stored(ctx, docs[0], docs[1])
	}
	if err == nil && !there {
		p, err = sinks.Stored{ID: p.ID, Revision: p.Revision}, sinks.ErrNotFound
	}
	if err != nil {
		return p, fmt.Errorf("firestore: person %s: %w", id, err)
	}
	return p, nil
}

// together makes a person of both documents; o is nil if it was not asked for.
// There is false for somebody erased, of whom only ID and Revision are set, and
// for nobody.
func together(d, o *firestore.DocumentSnapshot) (p sinks.Stored, there bool, err error) {
	doc, err := person(d)
	if err != nil || doc.Revision == 0 {
		return p, false, err
	}
	if p.ID, err = people.ParseID(d.Ref.ID); err != nil {
		return sinks.Stored{}, false, errDamaged
	}
	p.Revision, p.MovedAt, p.Profile = doc.Revision, doc.Moved.UTC(), doc.Profile
	if doc.Observed != nil && o != nil {
		var od observationsDoc
		if o.Exists() {
			if err := decode(o, &od); err != nil {
				return sinks.Stored{}, false, err
			}
		}
		if !slices.Equal(observed(od.Doc), doc.Observed) {
			return sinks.Stored{}, false, fmt.Errorf("%s: observations: %w", p.ID, errDamaged)
		}
		p.Observations = od.Doc
	}
	return p, doc.there(), nil
}

// stored makes a person of both documents. If they do not go together they may
// be of different moments, see all: then both are read anew at one.
func (s *Store) stored(ctx context.Context, d, o *firestore.DocumentSnapshot) (p sinks.Stored, there bool, err error) {
	if p, there, err = together(d, o); !errors.Is(err, errDamaged) {
		return p, there, err
	}
	err = s.still(ctx, func(t *tx) error {
		docs, err := t.all([]*firestore.DocumentRef{d.Ref, o.Ref})
		if err == nil {
			p, there, err = together(docs[0], docs[1])
		}
		return err
	})
	return p, there, err
}

// People reads the documents of a chunk of people a request.
func (s *Store) People(ctx context.Context, ids []people.ID) ([]sinks.Stored, error) {
	seen := make(map[people.ID]bool, len(ids))
	distinct := make([]people.ID, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			distinct = append(distinct, id)
		}
	}
	found := make([]sinks.Stored, 0, len(distinct))
	for part := range slices.Chunk(distinct, chunk/2) {
		refs := make([]*firestore.DocumentRef, 0, 2*len(part))
		for _, id := range part {
			refs = append(refs, s.personRef(id), s.observationsRef(id))
		}
		docs, err := s.all(ctx, refs)
		for i := 0; err == nil && i < len(docs); i += 2 {
			var p sinks.Stored
			var there bool
			if p, there, err = s.stored(ctx, docs[i], docs[i+1]); there {
				found = append(found, p)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("firestore: %d people: %w", len(ids), err)
		}
	}
	return found, nil
}

// Lookup reads the documents of unique keys, and asks for the people who have
// the others.
func (s *Store) Lookup(ctx context.Context, keys []people.Key) ([][]people.ID, error) {
	holders := make([][]people.ID, len(keys))
	err := s.lookup(ctx, keys, func(i int, id people.ID) { holders[i] = append(holders[i], id) })
	if err != nil {
		return nil, fmt.Errorf("firestore: look up %d keys: %w", len(keys), err)
	}
	for _, ids := range holders {
		slices.SortFunc(ids, compareIDs)
	}
	return holders, nil
}

func (s *Store) lookup(ctx context.Context, keys []people.Key, found func(i int, id people.ID)) error {
	var unique, others []int
	for i, k := range keys {
		if sinks.IsUnique(k.Scheme) {
			unique = append(unique, i)
		} else {
			others = append(others, i)
		}
	}
	for part := range slices.Chunk(unique, chunk) {
		refs := make([]*firestore.DocumentRef, len(part))
		for j, i := range part {
			refs[j] = s.claimRef(claimName(keys[i]))
		}
		docs, err := s.all(ctx, refs)
		if err != nil {
			return err
		}
		for j, d := range docs {
			if !d.Exists() {
				continue
			}
			var c claimDoc
			if err := decode(d, &c); err != nil {
				return err
			}
			id, err := personID(c.Person)
			if err != nil {
				return err
			}
			found(part[j], id)
		}
	}
	for part := range slices.Chunk(others, anyOf) {
		at := make(map[string][]int, len(part)) // by hash
		var values [][]byte
		for _, i := range part {
			h := sinks.KeyHash(keys[i])
			if at[string(h[:])] == nil {
				values = append(values, h[:])
			}
			at[string(h[:])] = append(at[string(h[:])], i)
		}
		q := search{Query: Query{Collection: peopleName, Filters: []Filter{{"lookups", "array-contains-any", values}}}, fields: []string{"lookups"}, limit: chunk}
		err := s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
			var p personDoc
			if err := decode(d, &p); err != nil {
				return err
			}
			id, err := people.ParseID(d.Ref.ID)
			if err != nil {
				return errDamaged
			}
			for _, h := range p.Lookups {
				for _, i := range at[string(h)] {
					found(i, id)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func compareIDs(a, b people.ID) int { return slices.Compare(a[:], b[:]) }

// List reads people and their observations at one moment.
func (s *Store) List(ctx context.Context, after people.ID, limit int) ([]sinks.Stored, error) {
	var found []sinks.Stored
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("firestore: list: %w", err)
	}
	for len(found) < limit {
		// However many are asked for, one transaction reads no more than a chunk of
		// whole profiles.
		page, next, err := s.list(ctx, search{Query: Query{Collection: peopleName}, limit: min(limit-len(found), chunk), after: afterID(after)}, true)
		if err != nil {
			return nil, fmt.Errorf("firestore: list: %w", err)
		}
		found = append(found, page...)
		if next == nil {
			break
		}
		if after, err = people.ParseID(next.Ref.ID); err != nil {
			return nil, fmt.Errorf("firestore: list: %w", errDamaged)
		}
	}
	return found, nil
}

func afterID(id people.ID) []any {
	if id.IsZero() {
		return nil
	}
	return []any{id.String()}
}

// list reads one page, of which those erased are left out. Last is where it
// ended, nil if nothing follows.
func (s *Store) list(ctx context.Context, q search, observations bool) (found []sinks.Stored, last *firestore.DocumentSnapshot, err error) {
	built := s.build(q)
	err = s.still(ctx, func(t *tx) error {
		found, last = nil, nil
		docs, err := s.drain(t.Documents(built))
		if err != nil {
			return err
		}
		if len(docs) == q.limit {
			last = docs[len(docs)-1]
		}
		var refs []*firestore.DocumentRef
		if observations {
			for _, d := range docs {
				refs = append(refs, s.collection(observationsName).Doc(d.Ref.ID))
			}
		}
		seen, err := t.all(refs)
		if err != nil {
			return err
		}
		for i, d := range docs {
			var o *firestore.DocumentSnapshot
			if observations {
				o = seen[i]
			}
			p, there, err := together(d, o)
			if err != nil {
				return err
			}
			if there {
				found = append(found, p)
			}
		}
		return nil
	})
	return found, last, err
}

// everyShard is what a query over times asks for.
func everyShard() []int {
	list := make([]int, shards)
	for i := range list {
		list[i] = i
	}
	return list
}

// Moved is one query. It is not of one moment: somebody who is written while it
// goes on may be yielded twice.
func (s *Store) Moved(ctx context.Context, since time.Time, yield func(sinks.Head) error) error {
	var stopped error
	q := search{
		Query:  Query{Collection: peopleName, Filters: []Filter{{"shard", "in", everyShard()}, {"moved", ">=", earlier(since)}}, Order: []string{"moved"}},
		fields: []string{"moved", "revision", "erased"},
		limit:  headsChunk,
	}
	err := s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
		h, err := head(d)
		if err == nil {
			stopped = yield(h)
			err = stopped
		}
		return err
	})
	if err != nil && stopped == nil {
		return fmt.Errorf("firestore: moved: %w", err)
	}
	return err
}

// earlier is where Moved begins. Of the zero time it would be before the year 1,
// which Firestore cannot write down.
func earlier(since time.Time) time.Time {
	if since.Year() < 1970 {
		return time.Unix(0, 0)
	}
	return since.Add(-window)
}

func head(d *firestore.DocumentSnapshot) (sinks.Head, error) {
	p, err := person(d)
	if err != nil {
		return sinks.Head{}, err
	}
	id, err := people.ParseID(d.Ref.ID)
	if err != nil {
		return sinks.Head{}, errDamaged
	}
	return sinks.Head{ID: id, Revision: p.Revision, MovedAt: p.Moved.UTC(), Erased: p.Erased}, nil
}

// heads reads those of a part of everybody, the erased as well, in the order of ids.
func (s *Store) heads(ctx context.Context, after, last people.ID, yield func(sinks.Head) error) error {
	q := search{Query: Query{Collection: peopleName}, fields: []string{"revision", "moved", "erased"}, limit: headsChunk, after: afterID(after), last: []any{last.String()}}
	return s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
		h, err := head(d)
		if err != nil {
			return err
		}
		return yield(h)
	})
}

// History reads a person's history documents.
func (s *Store) History(ctx context.Context, id people.ID, after int64) ([]sinks.HistoryDoc, error) {
	var docs []sinks.HistoryDoc
	q := search{Query: Query{Collection: historyName}, from: s.personRef(id).Collection(historyName), limit: chunk}
	if after > 0 {
		q.after = []any{fmt.Sprintf("%019d", after)}
	}
	err := s.each(ctx, q, func(d *firestore.DocumentSnapshot) error {
		var h historyDoc
		if err := decode(d, &h); err != nil {
			return err
		}
		revision, err := strconv.ParseInt(d.Ref.ID, 10, 64)
		if err != nil {
			return errDamaged
		}
		docs = append(docs, sinks.HistoryDoc{Revision: revision, Doc: h.Doc})
		return nil
	})
	if err == nil {
		var found []*firestore.DocumentSnapshot
		var p personDoc
		if found, err = s.all(ctx, []*firestore.DocumentRef{s.personRef(id)}); err == nil {
			if p, err = person(found[0]); err == nil && !p.there() {
				err = sinks.ErrNotFound
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("firestore: history of %s: %w", id, err)
	}
	return docs, nil
}

// present are those who are there: whoever was erased is neither active nor not.
var present = Filter{"active", "in", []bool{true, false}}

// Count asks the index, which costs a read a thousand people.
func (s *Store) Count(ctx context.Context) (n int64, err error) {
	q := s.build(search{Query: Query{Collection: peopleName, Filters: []Filter{present}}})
	err = s.again(ctx, nil, func(ctx context.Context) error {
		result, err := q.NewAggregationQuery().WithCount("n").Get(ctx)
		if err != nil {
			return err
		}
		v, ok := result["n"].(*firestorepb.Value)
		if !ok {
			return errDamaged
		}
		n = v.GetIntegerValue()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("firestore: count: %w", err)
	}
	s.reads.Add(max(1, (n+999)/1000))
	return n, nil
}

// Search asks for one page.
func (s *Store) Search(ctx context.Context, q sinks.Query) (sinks.Page, error) {
	page, err := s.search(ctx, q)
	if err != nil {
		return sinks.Page{}, fmt.Errorf("firestore: search: %w", err)
	}
	return page, nil
}

func (s *Store) search(ctx context.Context, q sinks.Query) (page sinks.Page, err error) {
	if err := q.Validate(); err != nil {
		return page, err
	}
	built := search{Query: Query{Collection: peopleName}, limit: min(q.Limit, chunk)}
	filter := func(field, operator string, value any) {
		built.Filters = append(built.Filters, Filter{field, operator, value})
	}
	if q.Active != nil {
		filter("active", "==", *q.Active)
	}
	if q.Fact != (people.Key{}) {
		h := sinks.KeyHash(q.Fact)
		filter("facts", "array-contains", h[:])
	}
	if q.Login != "" {
		filter("login", ">=", []byte(q.Login))
		if end := successor([]byte(q.Login)); end != nil {
			filter("login", "<", end)
		}
		built.Order = []string{"login"}
	} else if q.Active == nil && q.Fact == (people.Key{}) {
		built.Filters = append(built.Filters, present)
	}
	if q.After != "" {
		if built.after, err = s.cursor(q); err != nil {
			return page, err
		}
	}
	found, last, err := s.list(ctx, built, false)
	if err != nil {
		return page, err
	}
	page.People = found
	if last == nil {
		return page, nil
	}
	// Where the page ended is an id, behind the user_id of a search by it.
	page.Next = last.Ref.ID
	if q.Login != "" {
		p, err := person(last)
		if err != nil {
			return sinks.Page{}, err
		}
		page.Next += base64.RawURLEncoding.EncodeToString(p.Login)
	}
	return page, nil
}

var errCursor = errors.New("no place of this search")

// cursor reads a Next.
func (s *Store) cursor(q sinks.Query) ([]any, error) {
	const idLength = 36
	if len(q.After) < idLength {
		return nil, errCursor
	}
	id, err := people.ParseID(q.After[:idLength])
	if err != nil {
		return nil, errCursor
	}
	if q.Login == "" {
		if len(q.After) > idLength {
			return nil, errCursor
		}
		return []any{id.String()}, nil
	}
	login, err := base64.RawURLEncoding.DecodeString(q.After[idLength:])
	if err != nil {
		return nil, errCursor
	}
	return []any{login, id.String()}, nil
}

// successor is the first value that is greater than all with the prefix, nil if
// there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := slices.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}
