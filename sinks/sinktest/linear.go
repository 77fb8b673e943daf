package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

const (
	publishers = 6
	published  = 20 // by each
	subjects   = 3  // people who are published
	names      = 2  // usernames that they want
)

// An asked is one call of a publisher.
type asked struct {
	read, lookup bool // else a commit
	person, name int  // name 0 is none
	expect       int64
	body         int
}

// An answered is what came of it.
type answered struct {
	conflict, taken bool
	revision        int64
	body            int
	holder          int // of a lookup, -1 for nobody
}

// A world is what a vault that does one thing after the other would hold.
type world struct {
	revision [subjects]int64
	body     [subjects]int
	name     [subjects]int
}

func (w world) holder(name int) int {
	for p, n := range w.name {
		if n == name {
			return p
		}
	}
	return -1
}

// step answers a call as such a vault would.
func (w world) step(q asked) (answered, world) {
	switch {
	case q.lookup:
		return answered{holder: w.holder(q.name)}, w
	case q.read:
		return answered{revision: w.revision[q.person], body: w.body[q.person]}, w
	case w.revision[q.person] != q.expect:
		return answered{conflict: true}, w
	}
	if h := w.holder(q.name); q.name != 0 && h >= 0 && h != q.person {
		return answered{taken: true}, w
	}
	w.revision[q.person]++
	w.body[q.person], w.name[q.person] = q.body, q.name
	return answered{}, w
}

// Linearizable lets publishers read, write and look up the same few people at
// the same time, through as many handles of one vault as open returns, and
// demands that there is one order of all calls, true to real time, in which a
// vault that does one thing after the other would have given the same answers.
func Linearizable(t *testing.T, open func(t *testing.T) []sinks.Store) {
	handles := open(t)
	var mu sync.Mutex
	var history []porcupine.Operation
	begun := time.Now()
	var running sync.WaitGroup
	for i := range publishers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			known := [subjects]int64{} // revisions that this publisher has seen
			for n := range published {
				q := asked{person: random.IntN(subjects), name: random.IntN(names + 1), body: i*published + n + 1}
				switch random.IntN(4) {
				case 0:
					q.read = true
				case 1:
					q.lookup, q.name = true, 1+random.IntN(names)
				default:
					q.expect = known[q.person]
				}
				call := time.Since(begun)
				a, err := ask(t.Context(), handles[i%len(handles)], q)
				end := time.Since(begun)
				if err != nil {
					t.Errorf("publisher %d: %v", i, err)
					return
				}
				switch {
				case q.read:
					known[q.person] = a.revision
				case a.conflict: // somebody else was faster: most often by one
					known[q.person]++
				case !q.lookup && !a.taken:
					known[q.person] = q.expect + 1
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: i, Input: q, Output: a, Call: call.Nanoseconds(), Return: end.Nanoseconds()})
				mu.Unlock()
			}
		})
	}
	running.Wait()
	var written int
	for _, o := range history {
		if q, a := o.Input.(asked), o.Output.(answered); !q.read && !q.lookup && !a.conflict && !a.taken {
			written++
		}
	}
	if written < publishers {
		t.Errorf("of %d calls only %d wrote: the test tests nothing", len(history), written)
	}
	model := porcupine.Model{
		Init: func() any { return world{} },
		Step: func(state, input, output any) (bool, any) {
			want, next := state.(world).step(input.(asked))
			return want == output.(answered), next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
	switch porcupine.CheckOperationsTimeout(model, history, time.Minute) {
	case porcupine.Illegal:
		for _, o := range history {
			t.Logf("%d: %v–%v %s", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), model.DescribeOperation(o.Input, o.Output))
		}
		t.Error("no order of these calls explains their answers")
	case porcupine.Unknown:
		t.Error("the order could not be decided in a minute")
	}
}

// ask makes one call.
func ask(ctx context.Context, s sinks.Store, q asked) (a answered, err error) {
	username := func(n int) people.Key { return key(people.ByUsername, fmt.Sprint("wanted ", n)) }
	switch {
	case q.lookup:
		found, err := s.Lookup(ctx, []people.Key{username(q.name)})
		if err != nil {
			return a, err
		}
		a.holder = -1
		for p := range subjects {
			for _, h := range found[0] {
				if h == id(p) {
					a.holder = p
				}
			}
		}
		return a, nil
	case q.read:
		p, err := s.Person(ctx, id(q.person))
		if errors.Is(err, sinks.ErrNotFound) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		doc, err := sinks.Unpack(p.Profile)
		if err != nil {
			return a, err
		}
		a.revision = p.Revision
		a.body, err = strconv.Atoi(string(doc))
		return a, err
	}
	c := next(q.person, q.expect)
	c.Profile = sinks.Pack([]byte(strconv.Itoa(q.body)))
	c.Unique = c.Unique[:1]
	if q.name != 0 {
		c.Unique = append(c.Unique, username(q.name))
	}
	results, err := s.Commit(ctx, sinks.Fence{}, []sinks.Commit{c})
	if err != nil {
		return a, err
	}
	a.conflict, a.taken = errors.Is(results[0], sinks.ErrConflict), errors.Is(results[0], sinks.ErrTaken)
	if results[0] != nil && !a.conflict && !a.taken {
		return a, results[0]
	}
	return a, nil
}
