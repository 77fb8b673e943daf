package firestore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/transforms/people"
)

// What is checked here the emulator does not: it answers any query, and has no
// limit of index entries. The rules are those of
//
//	https://firebase.google.com/docs/firestore/query-data/index-overview
//	https://firebase.google.com/docs/firestore/query-data/queries
//	https://firebase.google.com/docs/firestore/quotas
//	https://firebase.google.com/docs/firestore/storage-size
//	https://firebase.google.com/docs/reference/firestore/indexes (the form of indexes.json)
//
// Single-field indexes are merged for "equality (==) clauses". Whether they are
// for array-contains beside an equality, the documentation leaves open; the
// table of https://github.com/firebase/agent-skills, which is Firebase's own,
// asks for a composite index, and so does this test.

// An index is declared in indexes.json. Its fields are a name and a mode each.
type index struct {
	collection, scope string
	fields            []indexField
}

type indexField struct{ name, mode string }

func (x index) String() string {
	return fmt.Sprintf("%s %s %v", x.collection, x.scope, x.fields)
}

// scopes of a query and an index.
const (
	inCollection = "COLLECTION"
	inGroup      = "COLLECTION_GROUP"
	ascending    = "ASCENDING"
	contains     = "CONTAINS"
)

// A column is a field of the documents of a collection, in all places where
// collections are called so.
type column struct{ collection, field string }

// A declaration is what indexes.json says.
type declaration struct {
	indexes []index
	// decided has each field about which there is a decision.
	decided map[column]bool

	mu   sync.Mutex
	used map[int]bool // indexes
	// filters are those that a query had, as "field operator".
	filters map[string]bool
}

func declared(tb testing.TB) *declaration {
	tb.Helper()
	type mode struct{ Order, ArrayConfig, QueryScope string }
	var file struct {
		Indexes []struct {
			CollectionGroup, QueryScope string
			Fields                      []struct{ FieldPath, Order, ArrayConfig string }
		}
		FieldOverrides []struct {
			CollectionGroup, FieldPath string
			Indexes                    []mode
		}
	}
	b, err := os.ReadFile("indexes.json")
	if err == nil {
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.DisallowUnknownFields()
		err = d.Decode(&file)
	}
	if err != nil {
		tb.Fatal(err)
	}
	d := &declaration{decided: map[column]bool{}, used: map[int]bool{}, filters: map[string]bool{}}
	add := func(x index) {
		if slices.ContainsFunc(d.indexes, func(y index) bool { return reflect.DeepEqual(x, y) }) {
			tb.Errorf("%v is declared twice", x)
		}
		for _, f := range x.fields {
			if f.mode != ascending && f.mode != contains {
				tb.Errorf("%v: no query of this package needs the mode %q", x, f.mode)
			}
		}
		d.indexes = append(d.indexes, x)
	}
	for _, x := range file.Indexes {
		fields := make([]indexField, len(x.Fields))
		for i, f := range x.Fields {
			fields[i] = indexField{f.FieldPath, f.Order + f.ArrayConfig}
		}
		if len(fields) < 2 {
			tb.Errorf("%v: a composite index of one field is a field override", x)
		}
		add(index{x.CollectionGroup, x.QueryScope, fields})
	}
	for _, o := range file.FieldOverrides {
		c := column{o.CollectionGroup, o.FieldPath}
		if d.decided[c] {
			tb.Errorf("%v is overridden twice", c)
		}
		d.decided[c] = true
		for _, m := range o.Indexes {
			add(index{c.collection, m.QueryScope, []indexField{{c.field, m.Order + m.ArrayConfig}}})
		}
	}
	return d
}

// watch returns what fails a test when a query is made that Firestore would
// refuse with these indexes.
func (d *declaration) watch(tb testing.TB) func(firestore.Query) {
	return func(q firestore.Query) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, f := range q.Filters {
			d.filters[f.Field+" "+f.Operator] = true
		}
		if err := d.serve(q); err != nil {
			tb.Errorf("a query that Firestore refuses: %+v: %v", q, err)
		}
	}
}

// serve finds the indexes that a query needs.
func (d *declaration) serve(q firestore.Query) error {
	equal, order, err := terms(q)
	if err != nil || len(equal)+len(order) == 0 {
		return err // in the order of names documents are without any index
	}
	scope := inCollection
	if q.Group {
		scope = inGroup
	}
	if len(order) == 0 && !slices.ContainsFunc(equal, func(f indexField) bool { return f.mode != ascending }) {
		for _, f := range equal { // merged
			if err := d.use(index{q.Collection, scope, []indexField{f}}, 1); err != nil {
				return err
			}
		}
		return nil
	}
	return d.use(index{q.Collection, scope, slices.Concat(equal, order)}, len(equal))
}

// use finds an index, whose first fields may be in any order.
func (d *declaration) use(want index, free int) error {
	for i, x := range d.indexes {
		if x.collection != want.collection || x.scope != want.scope || len(x.fields) != len(want.fields) || !slices.Equal(x.fields[free:], want.fields[free:]) {
			continue
		}
		missing := func(f indexField) bool { return !slices.Contains(x.fields[:free], f) }
		if !slices.ContainsFunc(want.fields[:free], missing) {
			d.used[i] = true
			return nil
		}
	}
	return fmt.Errorf("no index %v", want)
}

// terms are the fields of the index that a query needs: first those that are
// compared for equality, then those of the order. The name of the document
// follows in every index.
func terms(q firestore.Query) (equal, order []indexField, err error) {
	alternatives, arrays := 1, 0
	for _, f := range q.Filters {
		mode := ascending
		switch f.Operator {
		case "array-contains", "array-contains-any":
			mode = contains
			arrays++
		}
		switch f.Operator {
		case "==", "array-contains":
			equal = append(equal, indexField{f.Field, mode})
		case "in", "array-contains-any":
			equal = append(equal, indexField{f.Field, mode})
			alternatives *= reflect.ValueOf(f.Value).Len()
		case "<", "<=", ">", ">=":
			if len(q.Order) == 0 || q.Order[0] != f.Field {
				return nil, nil, errors.New("a range is not of the first field of the order")
			}
		default:
			return nil, nil, fmt.Errorf("operator %q", f.Operator)
		}
	}
	for _, field := range q.Order {
		order = append(order, indexField{field, ascending})
	}
	switch {
	case alternatives < 1 || alternatives > 30:
		err = fmt.Errorf("%d alternatives, of which there may be 30", alternatives)
	case arrays > 1:
		err = errors.New("more than one filter of arrays")
	}
	return equal, order, err
}

// somebody returns a commit of the n-th person, of the size that profiles have
// with RS256.
func somebody(n int, expect int64) sinks.Commit {
	text := fmt.Sprintf("person%d", n)
	key := func(scheme people.Scheme, value string) people.Key {
		return people.Key{Scheme: scheme, Value: value}
	}
	c := sinks.Commit{
		ID: people.ID{byte(n), 15: byte(n>>8) + 1}, Expect: expect, Revision: expect + 1,
		Profile: packed(12<<10, n), Observations: packed(2<<10, n+int(expect)), History: packed(1<<10, n),
		Keys: sinks.Keys{
			Unique:  []people.Key{key(people.ByUserID, "ad|Example-LDAP|"+text), key(people.ByUsername, text)},
			Records: []people.Key{key("record:ldap", "uid="+text), key("record:hris", text)},
			Lookups: []people.Key{key(people.ByEmail, text+"@example.com"), key(people.ByPosixID, text)},
			Active:  n%2 == 0,
		},
	}
	for j := range 12 {
		c.Facts = append(c.Facts, key("access_information.ldap", fmt.Sprint("group ", j)))
	}
	return c
}

// packed returns a document that takes about n bytes packed, since nothing
// compresses it.
func packed(n, seed int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	random.Read(b)
	return sinks.Pack(b)
}

// bytesOf returns n bytes that differ with the seed.
func bytesOf(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + seed)
	}
	return b
}

// A place is a store with a look at what it has written.
type place struct {
	testing.TB
	*firestore.Store
	raw *client.Client
	now time.Time
}

func at(tb testing.TB, query func(firestore.Query)) *place {
	tb.Helper()
	e := emulator.Start(tb)
	p := &place{TB: tb, now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)}
	project := e.Project(tb)
	s, err := firestore.Open(tb.Context(), project, firestore.Options{Now: func() time.Time { return p.now }, Unramped: true, Query: query, Client: e.Options()})
	if err != nil {
		tb.Fatal(err)
	}
	p.Store = s
	p.raw, err = client.NewClient(tb.Context(), project, e.Options()...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(s.Close(), p.raw.Close()); err != nil {
			tb.Error(err)
		}
	})
	return p
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// commit commits what nobody may refuse.
func (p *place) commit(fence sinks.Fence, commits ...sinks.Commit) {
	p.Helper()
	results, err := p.Commit(p.Context(), fence, commits)
	p.must(errors.Join(append(results, err)...))
}

// documents yields all that there is.
func (p *place) documents() iter.Seq[*client.DocumentSnapshot] {
	return func(yield func(*client.DocumentSnapshot) bool) {
		p.below(p.raw.Collections(p.Context()), yield)
	}
}

// below reports whether to go on.
func (p *place) below(collections *client.CollectionIterator, yield func(*client.DocumentSnapshot) bool) bool {
	all, err := collections.GetAll()
	p.must(err)
	for _, c := range all {
		for refs := c.DocumentRefs(p.Context()); ; {
			ref, err := refs.Next()
			if err == iterator.Done {
				break
			}
			p.must(err)
			docs, err := p.raw.GetAll(p.Context(), []*client.DocumentRef{ref})
			p.must(err)
			if docs[0].Exists() && !yield(docs[0]) || !p.below(ref.Collections(p.Context()), yield) {
				return false
			}
		}
	}
	return true
}

// everything makes every query that there is, and every kind of document.
func (p *place) everything() {
	ctx, yes := p.Context(), true
	fence, err := p.Acquire(ctx, "sync", "a test", time.Minute)
	p.must(err)
	p.must(p.Renew(ctx, fence, time.Minute))
	p.must(p.Subscribers(ctx, []string{"hooks"}))
	_, err = p.Put(ctx, sinks.Doc{Kind: "run", Key: "1", Body: []byte("{}")})
	p.must(err)
	_, err = p.Docs(ctx, "run", "", 10)
	p.must(err)
	p.must(p.Load(ctx, fence, []sinks.Commit{somebody(1, 0), somebody(2, 0)}))
	for n := range 2 {
		c := somebody(n+1, 1)
		c.Notify, c.NotifyID = "update", c.UserID()
		p.commit(fence, c)
	}
	one := somebody(1, 0)
	_, err = p.Lookup(ctx, slices.Concat(one.Lookups, one.Unique))
	p.must(err)
	_, err = p.List(ctx, people.ID{}, 10)
	p.must(err)
	p.must(p.Moved(ctx, p.now, func(sinks.Head) error { return nil }))
	_, err = p.History(ctx, one.ID, 0)
	p.must(err)
	_, err = p.Count(ctx)
	p.must(err)
	_, err = p.Outbox(ctx, "hooks", 10)
	p.must(err)
	for _, q := range []sinks.Query{{}, {Active: &yes}, {Fact: one.Facts[0]}, {Active: &yes, Fact: one.Facts[0]}, {Login: "ad|"}, {Active: &yes, Login: "ad|"}, {Login: "\xff"}} {
		q.Limit = 1
		page, err := p.Search(ctx, q)
		p.must(err)
		q.After = page.Next
		_, err = p.Search(ctx, q)
		p.must(err)
	}
	want := func(s sinks.Stored) (sinks.Keys, error) { return somebody(int(s.ID[0]), 0).Keys, nil }
	p.must(p.Audit(ctx, want, func(f sinks.Fault) error { return fmt.Errorf("a fault: %+v", f) }))
	p.must(p.Mend(ctx, fence, one.ID, 2, one.Keys))
	_, err = p.Erase(ctx, fence, somebody(2, 0).ID, sinks.NotifyDelete)
	p.must(err)
	_, err = p.Tombstones(ctx, people.ID{}, 10)
	p.must(err)
	p.must(p.Mend(ctx, fence, somebody(2, 0).ID, 0, sinks.Keys{}))
	p.must(p.Release(ctx, fence))
}

// TestIndexes makes every query and compares them with indexes.json, both ways.
// The shared suite compares its own, see fresh.
func TestIndexes(t *testing.T) {
	d := declared(t)
	p := at(t, d.watch(t))
	p.everything()
	for i, x := range d.indexes {
		if !d.used[i] {
			t.Errorf("no query needs the index %v", x)
		}
	}
	source := filtersOfSource(t)
	for f := range source {
		if !d.filters[f] {
			t.Errorf("the source has a filter that was not tried: %s", f)
		}
	}
	for f := range d.filters {
		if !source[f] {
			t.Errorf("a filter that this test does not find in the source: %s", f)
		}
	}
	for doc := range p.documents() {
		for field := range doc.Data() {
			if c := (column{doc.Ref.Parent.ID, field}); !d.decided[c] {
				t.Errorf("a document has %v, about which indexes.json says nothing", c)
			}
		}
	}
}

// sourceFiles parses the files of the package.
func sourceFiles(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// filtersOfSource finds Filter{"field", "operator", …} and filter("field",
// "operator", …), as "field operator".
func filtersOfSource(t *testing.T) map[string]bool {
	found := map[string]bool{}
	text := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			s, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return ""
	}
	for _, f := range sourceFiles(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			var args []ast.Expr
			switch n := n.(type) {
			case *ast.CompositeLit:
				args = n.Elts
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "filter" {
					args = n.Args
				}
			}
			if len(args) == 3 && text(args[0]) != "" && slices.Contains([]string{"==", "in", "<", "<=", ">", ">=", "array-contains", "array-contains-any"}, text(args[1])) {
				found[text(args[0])+" "+text(args[1])] = true
			}
			return true
		})
	}
	return found
}

// TestFields demands a decision about each field that the package writes: the
// indexes that queries need, or none. Firestore makes two of each other field,
// which cost storage and time, and of a time also the rate of writes.
func TestFields(t *testing.T) {
	collections := map[string]string{
		"personDoc": "people", "observationsDoc": "observations", "historyDoc": "history", "claimDoc": "claims", "subscribersDoc": "subscribers",
		"rowDoc": "rows", "ledgerDoc": "docs", "fenceDoc": "fences", "heartbeatDoc": "heartbeats",
	}
	written := map[column]bool{}
	for _, f := range sourceFiles(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range fields.Fields.List {
				if field.Tag == nil {
					continue
				}
				tag, err := strconv.Unquote(field.Tag.Value)
				if err != nil {
					t.Fatal(err)
				}
				name, _, _ := strings.Cut(reflect.StructTag(tag).Get("firestore"), ",")
				if name == "" || collections[spec.Name.Name] == "" {
					t.Errorf("%s has a field without name or collection: say in this test whose documents it is of", spec.Name.Name)
				}
				written[column{collections[spec.Name.Name], name}] = true
			}
			return true
		})
	}
	decided := declared(t).decided
	for c := range written {
		if !decided[c] {
			t.Errorf("indexes.json says nothing of %v: exempt it, or declare what queries need", c)
		}
	}
	for c := range decided {
		if !written[c] {
			t.Errorf("indexes.json speaks of %v, which nobody writes", c)
		}
	}
}

// The limits of https://firebase.google.com/docs/firestore/quotas.
const (
	maxDocument = 1 << 20
	maxEntries  = 40_000 // of a document
	maxEntry    = 7_680  // bytes: 7.5 KiB
	maxIndexed  = 1_500  // bytes of a value; what is behind them is not indexed
	maxRequest  = 10 << 20
)

// nameSize of a document; of the root, that of nothing.
func nameSize(ref *client.DocumentRef) int {
	size := 16
	if ref != nil {
		_, path, _ := strings.Cut(ref.Path, "/documents/")
		size += len(path) + 1 // a byte a part, and there is a slash less
	}
	return size
}

func valueSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 1
	case []byte:
		return len(v)
	case bool, nil:
		return 1
	case []any:
		size := 0
		for _, e := range v {
			size += valueSize(e)
		}
		return size
	default: // numbers and times
		return 8
	}
}

// A footprint is what a document takes in Firestore.
type footprint struct{ document, entries, index, largest int }

// weigh computes the size of a document and of what the indexes have of it.
func (d *declaration) weigh(doc *client.DocumentSnapshot) footprint {
	data := doc.Data()
	f := footprint{document: nameSize(doc.Ref) + 32}
	for field, v := range data {
		f.document += len(field) + 1 + valueSize(v)
	}
	for _, x := range d.indexes {
		if x.collection != doc.Ref.Parent.ID {
			continue
		}
		size, entries := nameSize(doc.Ref)+32, 1
		if x.scope == inCollection {
			size += nameSize(doc.Ref.Parent.Parent)
		}
		if len(x.fields) == 1 {
			size += len(x.fields[0].name) + 1
		}
		for _, field := range x.fields {
			v, ok := data[field.name]
			if list, is := v.([]any); is {
				entries = len(list) // no document has the same twice
				if v = nil; entries > 0 {
					v = list[0] // all are hashes
				}
			}
			if !ok {
				entries = 0
			}
			size += min(valueSize(v), maxIndexed)
		}
		f.entries += entries
		f.index += entries * size
		if entries > 0 {
			f.largest = max(f.largest, size)
		}
	}
	return f
}

// TestLargest writes a commit and a document of the largest form and computes
// what Firestore, unlike the emulator, has limits of.
func TestLargest(t *testing.T) {
	d := declared(t)
	p := at(t, d.watch(t))
	long := func(i int) string {
		return fmt.Sprintf("%04d%s", i, strings.Repeat("x", sinks.MaxKeyBytes-4))
	}
	keys := func(n int, scheme func(i int) people.Scheme) []people.Key {
		list := make([]people.Key, n)
		for i := range list {
			list[i] = people.Key{Scheme: scheme(i), Value: long(i)}
		}
		return list
	}
	of := func(s people.Scheme) func(int) people.Scheme { return func(int) people.Scheme { return s } }
	c := sinks.Commit{
		ID: people.ID{1}, Revision: 1, Notify: "create", NotifyID: long(0),
		Profile: bytesOf(sinks.MaxProfileBytes, 1), Observations: bytesOf(sinks.MaxDocBytes, 2), History: bytesOf(sinks.MaxDocBytes, 3),
		Keys: sinks.Keys{
			Unique: keys(sinks.MaxUnique, func(i int) people.Scheme {
				return []people.Scheme{people.ByUserID, people.ByUsername}[i%2]
			}),
			Records: keys(sinks.MaxRecords, func(i int) people.Scheme { return people.Scheme(fmt.Sprint("record:", i)) }),
			Lookups: keys(sinks.MaxLookups, of(people.ByEmail)), Facts: keys(sinks.MaxFacts, of("access_information.ldap")), Active: true,
		},
	}
	var names []string
	for i := range sinks.MaxSubscribers {
		names = append(names, fmt.Sprint("subscriber ", i))
	}
	p.must(p.Subscribers(t.Context(), names))
	p.commit(sinks.Fence{}, c)
	var all, person footprint
	check := func(doc *client.DocumentSnapshot) {
		f := d.weigh(doc)
		t.Logf("%s: %d bytes, %d index entries of %d bytes", doc.Ref.Parent.ID, f.document, f.entries, f.index)
		if f.document > maxDocument || f.entries > maxEntries || f.largest > maxEntry {
			t.Errorf("%s: %+v is beyond the limits of Firestore", doc.Ref.Parent.ID, f)
		}
		all.document, all.index = all.document+f.document, all.index+f.index
		if doc.Ref.Parent.ID == "people" {
			person = f
		}
	}
	for doc := range p.documents() {
		check(doc)
	}
	if all.document+all.index > maxRequest {
		t.Errorf("a commit of the largest form: %+v, which is beyond %d", all, maxRequest)
	}
	b, err := os.ReadFile(guide)
	p.must(err)
	for _, said := range []string{
		"The largest person takes " + thousands(float64(person.document)) + " bytes",
		"The largest person has " + thousands(float64(person.entries)) + " (",
		fmt.Sprintf("The largest commit takes %.1f MiB.", float64(all.document+all.index)/(1<<20)),
	} {
		if !strings.Contains(string(b), said) {
			t.Errorf("%s does not say: %s", guide, said)
		}
	}
	if _, err := p.Put(t.Context(), sinks.Doc{Kind: "k", Key: long(0), Body: bytesOf(sinks.MaxDocBytes, 4)}); err != nil {
		t.Fatal(err)
	}
	for doc := range p.documents() {
		if doc.Ref.Parent.ID == "docs" {
			check(doc)
		}
	}
}
