package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/sinks/sinktest"
	"example.org/cis/transforms/people"
)

func TestMain(m *testing.M) { os.Exit(emulator.M{M: m}.Run()) }

// open opens a database of the emulator.
func open(tb testing.TB, project string, o firestore.Options) *firestore.Store {
	tb.Helper()
	if o.Client == nil {
		o.Client = emulator.Start(tb).Options()
	}
	o.Unramped = true
	s, err := firestore.Open(tb.Context(), project, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func fresh(t *testing.T, now func() time.Time) sinks.Store {
	return open(t, emulator.Start(t).Project(t), firestore.Options{Now: now, Query: declared(t).watch(t)})
}

func TestVault(t *testing.T)  { sinktest.Vault(t, fresh) }
func TestLedger(t *testing.T) { sinktest.Ledger(t, fresh) }

// several opens one database more than once, as several processes would.
func several(options func(i int) []option.ClientOption) func(t *testing.T) []sinks.Store {
	return func(t *testing.T) (list []sinks.Store) {
		project := emulator.Start(t).Project(t)
		for i := range 3 {
			list = append(list, open(t, project, firestore.Options{Client: options(i)}))
		}
		return list
	}
}

func TestLinearizable(t *testing.T) {
	e := emulator.Start(t)
	sinktest.Linearizable(t, several(func(int) []option.ClientOption { return e.Options() }))
}

// What a network and a busy service do to a client.
var (
	contended   = emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Aborted}, Rate: 0.1}
	throttled   = emulator.Fault{Codes: []codes.Code{codes.ResourceExhausted}, Rate: 0.05}
	unavailable = emulator.Fault{Codes: []codes.Code{codes.Unavailable, codes.Internal, codes.DeadlineExceeded}, Rate: 0.05}
	// Written, and the answer lost.
	unanswered = emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Unknown, codes.Aborted}, Rate: 0.1, After: true}
	cutOff     = emulator.Fault{Methods: []string{"BatchGetDocuments", "RunQuery"}, Codes: []codes.Code{codes.Unavailable, codes.ResourceExhausted}, Rate: 0.05, After: true}
)

// TestFaults runs the suites on a connection that fails again and again: a
// store that tries again must answer as if nothing had happened.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("two minutes")
	}
	e := emulator.Start(t)
	faults := emulator.NewFaults(1, contended, throttled, unavailable, unanswered, cutOff)
	failing := func(t *testing.T, now func() time.Time) sinks.Store {
		return open(t, e.Project(t), firestore.Options{Now: now, Client: e.Options(faults)})
	}
	t.Run("vault", func(t *testing.T) { sinktest.Vault(t, failing) })
	t.Run("ledger", func(t *testing.T) { sinktest.Ledger(t, failing) })
	t.Run("linearizable", func(t *testing.T) {
		sinktest.Linearizable(t, several(func(i int) []option.ClientOption {
			return e.Options(emulator.NewFaults(uint64(i), contended, throttled, unavailable, unanswered, cutOff))
		}))
	})
	if faults.Count() < 100 {
		t.Errorf("%d faults were injected: the test tests nothing", faults.Count())
	}
}

// person returns the n-th person's commit that follows expect.
func person(n int, expect int64) sinks.Commit {
	text := fmt.Sprint("person ", n)
	return sinks.Commit{
		ID: people.ID{byte(n), 1}, Expect: expect, Revision: expect + 1,
		Profile: fmt.Append(nil, "profile ", n, expect), Observations: fmt.Append(nil, "observations ", n, expect), History: fmt.Append(nil, "history ", n, expect),
		Keys: sinks.Keys{Unique: []people.Key{{Scheme: people.ByUserID, Value: text}}, Lookups: []people.Key{{Scheme: people.ByEmail, Value: text}}, Active: true},
	}
}

func must(tb testing.TB, s sinks.Vault, commits ...sinks.Commit) {
	tb.Helper()
	results, err := s.Commit(tb.Context(), sinks.Fence{}, commits)
	if err := errors.Join(append(results, err)...); err != nil {
		tb.Fatal(err)
	}
}

// TestNetwork does to the connection what networks do.
func TestNetwork(t *testing.T) {
	e := emulator.Start(t)
	// Some are over after a while, or nothing would ever come through.
	after := func(heal func()) <-chan struct{} {
		over := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() { heal(); close(over) })
		return over
	}
	for name, trouble := range map[string]func(p *emulator.Proxy) (over <-chan struct{}){
		"slow answers": func(p *emulator.Proxy) <-chan struct{} {
			p.Latency(emulator.Answers, 60*time.Millisecond, 40*time.Millisecond)
			return nil
		},
		"slow requests": func(p *emulator.Proxy) <-chan struct{} {
			p.Latency(emulator.Requests, 60*time.Millisecond, 40*time.Millisecond)
			return nil
		},
		"a cut connection": func(p *emulator.Proxy) <-chan struct{} { p.Cut(); p.Restore(); return nil },
		"an outage":        func(p *emulator.Proxy) <-chan struct{} { p.Cut(); return after(p.Restore) },
		"resets": func(p *emulator.Proxy) <-chan struct{} {
			p.Reset(emulator.Answers, time.Millisecond)
			return after(p.Heal)
		},
		"answers cut short": func(p *emulator.Proxy) <-chan struct{} {
			p.LimitData(emulator.Answers, 200)
			return after(p.Heal)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := e.Proxy(t)
			s := open(t, e.Project(t), firestore.Options{Client: p.Options()})
			must(t, s, person(1, 0))
			if over := trouble(p); over != nil {
				defer func() { <-over }()
			}
			for r := range int64(5) {
				must(t, s, person(1, r+1), person(2, r))
				if got, err := s.Person(t.Context(), person(1, 0).ID); err != nil || got.Revision != r+2 {
					t.Errorf("revision %d, %v, want %d", got.Revision, err, r+2)
				}
			}
		})
	}
}

// TestOutOfReach demands an error of every method when the service does not
// answer, and never "not found" or a short list.
func TestOutOfReach(t *testing.T) {
	e := emulator.Start(t)
	for name, code := range map[string]codes.Code{"throttled": codes.ResourceExhausted, "down": codes.Unavailable, "forbidden": codes.PermissionDenied} {
		t.Run(name, func(t *testing.T) {
			// What is to succeed is asked of one that waits for a slow machine.
			project, faults := e.Project(t), emulator.NewFaults(1)
			patient := open(t, project, firestore.Options{})
			s := open(t, project, firestore.Options{Client: e.Options(faults), Patience: 150 * time.Millisecond})
			must(t, patient, person(1, 0), person(2, 0))
			faults.Set(emulator.Fault{Codes: []codes.Code{code}})
			for what, call := range map[string]func(ctx context.Context) error{
				"Person":         func(ctx context.Context) error { _, err := s.Person(ctx, person(1, 0).ID); return err },
				"nobody":         func(ctx context.Context) error { _, err := s.Person(ctx, person(9, 0).ID); return err },
				"People":         func(ctx context.Context) error { _, err := s.People(ctx, []people.ID{person(1, 0).ID}); return err },
				"Lookup, unique": func(ctx context.Context) error { _, err := s.Lookup(ctx, person(1, 0).Unique); return err },
				"Lookup":         func(ctx context.Context) error { _, err := s.Lookup(ctx, person(1, 0).Lookups); return err },
				"List":           func(ctx context.Context) error { _, err := s.List(ctx, people.ID{}, 10); return err },
				"Search":         func(ctx context.Context) error { _, err := s.Search(ctx, sinks.Query{Limit: 10}); return err },
				"Moved": func(ctx context.Context) error {
					return s.Moved(ctx, time.Time{}, func(sinks.Head) error { return nil })
				},
				"History":    func(ctx context.Context) error { _, err := s.History(ctx, person(1, 0).ID, 0); return err },
				"Count":      func(ctx context.Context) error { _, err := s.Count(ctx); return err },
				"Outbox":     func(ctx context.Context) error { _, err := s.Outbox(ctx, "x", 10); return err },
				"Doc":        func(ctx context.Context) error { _, err := s.Doc(ctx, "x", "y"); return err },
				"Docs":       func(ctx context.Context) error { _, err := s.Docs(ctx, "x", "", 10); return err },
				"Tombstones": func(ctx context.Context) error { _, err := s.Tombstones(ctx, people.ID{}, 10); return err },
				"Put":        func(ctx context.Context) error { _, err := s.Put(ctx, sinks.Doc{Kind: "x", Key: "y"}); return err },
				"Acquire":    func(ctx context.Context) error { _, err := s.Acquire(ctx, "x", "y", time.Minute); return err },
				"Commit": func(ctx context.Context) error {
					_, err := s.Commit(ctx, sinks.Fence{}, []sinks.Commit{person(1, 1)})
					return err
				},
				"Load": func(ctx context.Context) error { return s.Load(ctx, sinks.Fence{}, []sinks.Commit{person(1, 0)}) },
				"Erase": func(ctx context.Context) error {
					_, err := s.Erase(ctx, sinks.Fence{}, person(1, 0).ID, "")
					return err
				},
				"Mend of nobody": func(ctx context.Context) error { return s.Mend(ctx, sinks.Fence{}, person(9, 0).ID, 0, sinks.Keys{}) },
				"Delivered": func(ctx context.Context) error {
					_, err := s.Delivered(ctx, sinks.OutboxRow{Subscriber: "x", Operation: "y"})
					return err
				},
				"the subscribers": func(ctx context.Context) error { return s.Subscribers(ctx, nil) },
			} {
				err := call(t.Context())
				if err == nil || slices.ContainsFunc([]error{sinks.ErrNotFound, sinks.ErrConflict, sinks.ErrTaken, sinks.ErrFenced, sinks.ErrHeld}, func(e error) bool { return errors.Is(err, e) }) {
					t.Errorf("%s: %v, want a failure", what, err)
				}
			}
			faults.Set()
			if n, err := patient.Count(t.Context()); err != nil || n != 2 {
				t.Errorf("%d people, %v, want both", n, err)
			}
			// The one that was cut off works again, in one of many tries.
			n, err := s.Count(t.Context())
			for range 50 {
				if err == nil {
					break
				}
				n, err = s.Count(t.Context())
			}
			if err != nil || n != 2 {
				t.Errorf("afterwards %d people, %v, want both", n, err)
			}
		})
	}
}

// TestListCutOff demands an error, and nobody, of a list whose later pages do not
// come, or come in part.
func TestListCutOff(t *testing.T) {
	e := emulator.Start(t)
	project, faults := e.Project(t), emulator.NewFaults(1)
	patient := open(t, project, firestore.Options{})
	hasty := open(t, project, firestore.Options{Client: e.Options(faults), Patience: time.Second})
	var commits []sinks.Commit
	for n := range 300 {
		c := person(n, 0)
		c.ID = people.ID{1, byte(n >> 8), byte(n)}
		commits = append(commits, c)
	}
	if err := patient.Load(t.Context(), sinks.Fence{}, commits); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"RunQuery", "BatchGetDocuments"} {
		for _, after := range []bool{false, true} {
			faults.Set(emulator.Fault{Methods: []string{method}, Codes: []codes.Code{codes.Unavailable}, Skip: 1, After: after})
			if got, err := hasty.List(t.Context(), people.ID{}, len(commits)); err == nil || len(got) > 0 {
				t.Errorf("%s fails (after its answer: %v): a list of %d, %v", method, after, len(got), err)
			}
		}
	}
	if faults.Count() == 0 {
		t.Error("nothing failed: the test tests nothing")
	}
	if got, err := patient.List(t.Context(), people.ID{}, 1000); err != nil || len(got) != len(commits) {
		t.Errorf("%d people, %v, want %d", len(got), err, len(commits))
	}
}

// TestReadOnly writes nothing.
func TestReadOnly(t *testing.T) {
	e := emulator.Start(t)
	project := e.Project(t)
	s := open(t, project, firestore.Options{})
	must(t, s, person(1, 0))
	reader := open(t, project, firestore.Options{ReadOnly: true})
	if _, err := reader.Person(t.Context(), person(1, 0).ID); err != nil {
		t.Error(err)
	}
	if _, err := reader.Commit(t.Context(), sinks.Fence{}, []sinks.Commit{person(1, 1)}); err == nil {
		t.Error("a reader wrote")
	}
	if _, err := reader.Put(t.Context(), sinks.Doc{Kind: "a", Key: "b"}); err == nil {
		t.Error("a reader wrote into the ledger")
	}
}

// TestDatabases of one project are apart, and a spec that names none is refused.
func TestDatabases(t *testing.T) {
	e := emulator.Start(t)
	project := e.Project(t)
	first, second := open(t, project, firestore.Options{}), open(t, project+"/second", firestore.Options{})
	must(t, first, person(1, 0))
	if n, err := second.Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d people in the other database, %v", n, err)
	}
	e.Clear(t, project, "second")
	for _, where := range []string{"", "/x", "x/", "x/y/z"} {
		if _, err := firestore.Open(t.Context(), where, firestore.Options{Client: e.Options()}); err == nil {
			t.Errorf("%q was opened", where)
		}
	}
}

// TestDamage is an error that names the person and no value.
func TestDamage(t *testing.T) {
	e := emulator.Start(t)
	project := e.Project(t)
	s := open(t, project, firestore.Options{})
	must(t, s, person(1, 0), person(2, 0))
	c, err := client.NewClient(t.Context(), project, e.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Collection("people").Doc(person(1, 0).ID.String()).Update(t.Context(), []client.Update{{Path: "revision", Value: "secret"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collection("observations").Doc(person(2, 0).ID.String()).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if _, err := s.Person(t.Context(), person(n+1, 0).ID); err == nil || errors.Is(err, sinks.ErrNotFound) {
			t.Errorf("person %d: %v, want a failure", n+1, err)
		}
	}
	if _, err := s.List(t.Context(), people.ID{}, 10); err == nil {
		t.Error("a list with damaged people")
	}
}
