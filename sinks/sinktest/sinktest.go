// Package sinktest holds the suites that every implementation of an interface
// of package sinks passes: [Vault] and [Ledger] for a store, [Blobs].
//
// They ask for what sinks promises and nothing more, and so are written to
// the limits of a document database: no order between people of a batch, no
// transaction over several of them, no scan that a commit depends on, at most
// eight writers contending for one document. They know no technology: what a
// store promises beyond (a crash survived, a second process) it tests itself.
package sinktest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// An OpenStore returns a new, empty store whose clock is now. The suite
// closes it.
type OpenStore func(t *testing.T, now func() time.Time) sinks.Store

// contenders is how many writers meet at one document.
const contenders = 8

// A clock stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A bench is a store on the table, with what the tests do to it.
type bench struct {
	*testing.T
	sinks.Store
	ctx   context.Context
	clock *clock
	fence sinks.Fence
}

func set(t *testing.T, open OpenStore) *bench {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)}
	b := &bench{T: t, Store: open(t, c.Now), ctx: t.Context(), clock: c}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// oddValues are values of keys that some store or other cannot take for a
// name, or takes for one another.
var oddValues = []string{
	"ad|Mozilla-LDAP|jdoe", "github|123", "a/b", "a//b", "/", ".", "..", "../up", "__x__", "a+b@example.com", "a%2Fb", "a%2fb", "%",
	"Twin", "twin", "twin ", " twin", "o'brien", `"quoted"`, `back\slash`, "a b", "a,b", "a:b", "a#b", "a?b", "*", "$x", "`x`", "[x]", "null", "0", "00",
	"uid=jdoe,ou=People,dc=example,dc=com", "Zoë", "Zoe\u0308", "李小龍", "😀", "\ufb01", "a\nb", "a\tb",
	strings.Repeat("x", sinks.MaxKeyBytes), strings.Repeat("x", sinks.MaxKeyBytes-1), strings.Repeat("é", sinks.MaxKeyBytes/2),
}

// id returns the n-th person's id; ids are not in the order of n.
func id(n int) people.ID {
	sum := sha256.Sum256(fmt.Append(nil, "person ", n))
	return people.ID(sum[:16])
}

func key(scheme people.Scheme, value string) people.Key {
	return people.Key{Scheme: scheme, Value: value}
}

// packed is a document that says what it is of.
func packed(what string, id people.ID, revision int64) []byte {
	return sinks.Pack(fmt.Appendf(nil, `{"what":%q,"of":%q,"revision":%d}`, what, id, revision))
}

// next returns the commit of the n-th person that follows revision expect, with
// claims and lookups of their own.
func next(n int, expect int64) sinks.Commit {
	p := id(n)
	return sinks.Commit{
		ID: p, Expect: expect, Revision: expect + 1,
		Profile:      packed("profile", p, expect+1),
		Observations: packed("observations", p, expect+1),
		Keys: sinks.Keys{
			Unique:  []people.Key{key(people.ByUserID, fmt.Sprintf("ad|Example|user%d", n)), key(people.ByUsername, fmt.Sprintf("user%d", n))},
			Records: []people.Key{key("record:ldap", fmt.Sprintf("entry-%d", n))},
			Lookups: []people.Key{key(people.ByEmail, fmt.Sprintf("user%d@example.com", n))},
			Facts:   []people.Key{key("access_information.ldap", "everybody"), key("staff_information.team", fmt.Sprint("team ", n%5))},
			Active:  n%3 != 0,
		},
		History: packed("history", p, expect+1),
	}
}

// observed returns a commit of the n-th person's observations only.
func observed(n int, revision int64, what string) sinks.Commit {
	return sinks.Commit{ID: id(n), Expect: revision, Revision: revision, Observations: packed(what, id(n), revision), Keys: sinks.Keys{Records: next(n, 0).Records, Lookups: next(n, 0).Lookups}}
}

// commit commits and returns the results, one a commit.
func (b *bench) commit(commits ...sinks.Commit) []error {
	b.Helper()
	results, err := b.Commit(b.ctx, b.fence, commits)
	if err != nil {
		b.Fatalf("commit of %d: %v", len(commits), err)
	}
	if len(results) != len(commits) {
		b.Fatalf("commit of %d: %d results", len(commits), len(results))
	}
	return results
}

// must commits what nobody may refuse.
func (b *bench) must(commits ...sinks.Commit) {
	b.Helper()
	for i, err := range b.commit(commits...) {
		if err != nil {
			b.Fatalf("commit %d of %d: %v", i, len(commits), err)
		}
	}
}

// refused commits one that is to be refused with want.
func (b *bench) refused(c sinks.Commit, want error) {
	b.Helper()
	wantError(b.T, b.commit(c)[0], want)
}

// stored returns the person, who must be there.
func (b *bench) stored(id people.ID) sinks.Stored {
	b.Helper()
	p, err := b.Person(b.ctx, id)
	if err != nil {
		b.Fatalf("person %s: %v", id, err)
	}
	return p
}

// holds checks that the person is stored exactly as c wrote them.
func (b *bench) holds(c sinks.Commit) {
	b.Helper()
	p := b.stored(c.ID)
	if p.ID != c.ID || p.Revision != c.Revision {
		b.Errorf("stored %s at revision %d, want %s at %d", p.ID, p.Revision, c.ID, c.Revision)
	}
	sameDoc(b.T, "profile", p.Profile, c.Profile)
	sameDoc(b.T, "observations", p.Observations, c.Observations)
	for _, k := range slices.Concat(c.Unique, c.Records, c.Lookups) {
		if got := b.holders(k); !slices.Contains(got, c.ID) {
			b.Errorf("%s %.40q leads to %v, want %s among them", k.Scheme, k.Value, got, c.ID)
		}
	}
}

// holders returns who holds the key.
func (b *bench) holders(k people.Key) []people.ID {
	b.Helper()
	got, err := b.Lookup(b.ctx, []people.Key{k})
	if err != nil {
		b.Fatalf("lookup: %v", err)
	}
	if len(got) != 1 {
		b.Fatalf("lookup of one key: %d answers", len(got))
	}
	return got[0]
}

// leads checks who holds the key.
func (b *bench) leads(k people.Key, want ...people.ID) {
	b.Helper()
	slices.SortFunc(want, compareIDs)
	if got := b.holders(k); !slices.Equal(got, want) {
		b.Errorf("%s %.40q leads to %v, want %v", k.Scheme, k.Value, got, want)
	}
}

// history returns the revisions of the person's history.
func (b *bench) revisions(id people.ID, after int64) []int64 {
	b.Helper()
	docs, err := b.History(b.ctx, id, after)
	if err != nil {
		b.Fatalf("history: %v", err)
	}
	var got []int64
	for _, d := range docs {
		got = append(got, d.Revision)
		sameDoc(b.T, "history", d.Doc, packed("history", id, d.Revision))
	}
	return got
}

func (b *bench) outbox(subscriber string) []sinks.OutboxRow {
	b.Helper()
	rows, err := b.Outbox(b.ctx, subscriber, 1000)
	if err != nil {
		b.Fatalf("outbox: %v", err)
	}
	return rows
}

func compareIDs(a, b people.ID) int { return slices.Compare(a[:], b[:]) }

// sameDoc compares what is inside two packed documents.
func sameDoc(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if (len(got) == 0) != (len(want) == 0) {
		t.Errorf("%s: %d bytes, want %d", what, len(got), len(want))
		return
	}
	if len(want) == 0 {
		return
	}
	g, err := sinks.Unpack(got)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	w, err := sinks.Unpack(want)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if string(g) != string(w) {
		t.Errorf("%s: %.80s, want %.80s", what, g, w)
	}
}

// sentinels are the errors that callers tell apart.
var sentinels = []error{sinks.ErrNotFound, sinks.ErrConflict, sinks.ErrTaken, sinks.ErrFenced, sinks.ErrTooLarge, sinks.ErrHeld}

// wantError checks that err is want and none of the other sentinels.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	for _, s := range sentinels {
		if s != want && errors.Is(err, s) {
			t.Errorf("error %v is %v as well", err, s)
		}
	}
}

// wantFault checks that err is an error and none of the sentinels.
func wantFault(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			t.Errorf("%s: %v, which a fault is not", what, err)
		}
	}
}

// at runs f so many times at once and returns what each returned.
func at(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

// oneWins checks that one of the errors is nil and all others are want.
func oneWins(t *testing.T, errs []error, want error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantError(t, err, want)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won, want 1", won, len(errs))
	}
}
