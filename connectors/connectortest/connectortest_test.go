package connectortest

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"example.org/cis/connectors"
	"example.org/cis/transforms/people"
)

// memory is a source of numbered people; its fields are the faults that the
// suite must find.
type memory struct {
	people    int
	bad       int    // records set aside, after the first person
	fails     string // reason why it breaks off after one person
	stalls    bool   // hangs after one person, as an origin does
	forgives  bool   // fault: takes a cut or an empty answer for whole
	deaf      bool   // fault: never looks at ctx
	wraps     bool   // fault: wraps the errors of out
	unsorted  bool   // fault
	chatty    bool   // fault: quotes the secret
	forgetful bool   // fault: takes a failure for an answer
}

func (m memory) Name() string                { return "memory" }
func (m memory) Publisher() people.Publisher { return people.LDAP }
func (m memory) Close() error                { return nil }

func (m memory) observation(i int) people.Observation {
	id := "id-" + strconv.Itoa(i)
	o := people.Observation{
		Publisher: people.LDAP, Record: id, Lifecycle: people.Present, Place: "memory:" + id,
		Keys:   []people.Key{{Scheme: people.ByUserID, Value: id}, {Scheme: people.ByRecord(people.LDAP), Value: id}},
		Claims: []people.Claim{{Path: people.UserID, Value: people.StringValue(id)}, {Path: people.Active, Value: people.BoolValue(true)}},
	}
	if !m.unsorted {
		o.Sort()
	}
	return o
}

func (m memory) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	cert := people.Certificate{Source: m.Name(), Publisher: m.Publisher(), Expected: -1, End: "end", Bytes: 1, Scope: []string{"all"}, Mapping: "1"}
	incomplete := func(reason string) (people.Certificate, error) {
		if m.forgives {
			reason = ""
		}
		cert.Complete, cert.Reason = m.forgives, reason
		return cert, nil
	}
	for i := range m.people {
		if ctx.Err() != nil && !m.deaf {
			return cert, ctx.Err()
		}
		if err := out.Observation(m.observation(i)); err != nil {
			if m.wraps {
				err = errors.Join(errors.New("memory"), err)
			}
			return cert, err
		}
		if i > 0 {
			continue
		}
		for n := range m.bad {
			reason := "no id"
			if m.chatty {
				reason = "hunter2 is no id"
			}
			r := people.Rejection{Source: m.Name(), Publisher: m.Publisher(), Stage: "read", Place: strconv.Itoa(n), Reason: reason}
			if err := out.Rejection(r); err != nil {
				return cert, err
			}
		}
		if m.fails != "" {
			return incomplete(m.fails)
		}
		if m.stalls {
			ctx, cancel := context.WithTimeout(ctx, soon/50)
			defer cancel()
			<-ctx.Done()
			if context.Cause(ctx) == context.Canceled {
				return cert, context.Canceled
			}
			return incomplete("timeout")
		}
	}
	if ctx.Err() != nil && !m.deaf {
		return cert, ctx.Err()
	}
	if m.people == 0 {
		return incomplete("no rows")
	}
	cert.Complete = true
	return cert, nil
}

func (m memory) Find(ctx context.Context, key people.Key) (people.Observation, error) {
	if m.fails != "" || m.stalls || key.Scheme != people.ByUserID {
		if m.forgetful {
			return people.Observation{}, connectors.ErrNotFound
		}
		return people.Observation{}, errors.New("memory: " + cmp.Or(m.fails, "unread"))
	}
	number, _ := strings.CutPrefix(key.Value, "id-")
	i, err := strconv.Atoi(number)
	if err != nil || i >= m.people {
		return people.Observation{}, connectors.ErrNotFound
	}
	return m.observation(i), nil
}

func opens(m memory) func(*testing.T) connectors.Source {
	return func(*testing.T) connectors.Source { return m }
}

func config() Config {
	return Config{
		Good:      opens(memory{people: 3}),
		People:    3,
		Malformed: opens(memory{people: 3, bad: 2}),
		Broken:    opens(memory{people: 3, fails: "reset"}),
		Truncated: opens(memory{people: 3, fails: "cut"}),
		Stalled:   opens(memory{people: 3, stalls: true}),
		Empty:     opens(memory{}),
		Refused:   opens(memory{people: 3, fails: "refused"}),
		Secrets:   []string{"hunter2"},
		FindBy:    []people.Scheme{people.ByUserID},
	}
}

func TestRunPassesAGoodSource(t *testing.T) { Run(t, config()) }

func TestChecksFindFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		source memory
		check  func(subject) error
	}{
		{"too few", memory{people: 2}, complete},
		{"unsorted", memory{people: 3, unsorted: true}, complete},
		{"deaf before", memory{people: 3, deaf: true}, cancelledBefore},
		{"deaf within", memory{people: 3, deaf: true}, cancelledWithin},
		{"wraps", memory{people: 3, wraps: true}, outFails},
		{"loses a person", memory{people: 2, bad: 1}, malformed},
		{"sets nothing aside", memory{people: 3}, malformed},
		{"chatty", memory{people: 3, bad: 1, chatty: true}, malformed},
		{"forgives a cut", memory{people: 3, fails: "cut", forgives: true}, incomplete},
		{"forgives emptiness", memory{forgives: true}, empty},
		{"forgetful", memory{people: 3, fails: "refused", forgetful: true}, findFails},
	} {
		if err := c.check(subject{t, c.source, config()}); err == nil {
			t.Errorf("%s: not found", c.name)
		}
	}
}
