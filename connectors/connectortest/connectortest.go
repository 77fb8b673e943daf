// Package connectortest owns the suite that every source passes: [Run] opens
// sources against a well-behaved origin and against misbehaving ones, and
// demands what the contract of package connectors promises. What a source
// cannot meet (a file has no redirects) is left nil in [Config], and the suite
// says that it skipped it.
//
// It knows no source and no protocol: the package of the source makes the
// origins.
package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/transforms/people"
)

// soon is how long a source may take to notice that it is no longer wanted,
// or that nothing comes any more. Sources under test have timeouts below it.
const soon = 10 * time.Second

// A Config says how to open a source against each kind of origin. Each
// function is called once per check, opens a new source, and cleans up its
// origin with t.Cleanup; the suite closes the source.
type Config struct {
	// Good answers all of People people, at least two. It is required.
	Good   func(t *testing.T) connectors.Source
	People int
	// Malformed answers what Good does and, not in the last place, records
	// that are malformed, in whatever way the source sets aside.
	Malformed func(t *testing.T) connectors.Source
	// Broken fails after a part of the answer: the connection is reset, the
	// server says that it cannot go on.
	Broken func(t *testing.T) connectors.Source
	// Truncated ends too early, and otherwise as if all were well.
	Truncated func(t *testing.T) connectors.Source
	// Repeated shows a page twice, as if it were the next one.
	Repeated func(t *testing.T) connectors.Source
	// Stalled never answers, or not to the end. The source has a timeout of
	// at most some seconds.
	Stalled func(t *testing.T) connectors.Source
	// Empty answers well that there is nobody.
	Empty func(t *testing.T) connectors.Source
	// Redirected sends the reader to another host.
	Redirected func(t *testing.T) connectors.Source
	// Refused does not accept the credentials.
	Refused func(t *testing.T) connectors.Source
	// Secrets are strings that no error, certificate or rejection may hold:
	// passwords, tokens, and values of the malformed records.
	Secrets []string
	// FindBy are the schemes by which the source, if it is a Finder, finds.
	FindBy []people.Scheme
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	check := func(name string, open func(*testing.T) connectors.Source, f func(subject) error) {
		t.Run(name, func(t *testing.T) {
			if open == nil {
				t.Skip("connectortest: this source has no such origin")
			}
			src := open(t)
			defer func() {
				if err := src.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			if err := f(subject{t, src, c}); err != nil {
				t.Error(err)
			}
		})
	}
	check("complete", c.Good, complete)
	t.Run("same again", func(t *testing.T) {
		var reads [2]Recorder
		for i := range reads {
			src := c.Good(t)
			if _, err := src.Extract(t.Context(), &reads[i]); err != nil {
				t.Fatal(err)
			}
			if err := src.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !maps.Equal(reads[0].Contents(), reads[1].Contents()) {
			t.Error("two extracts of the same records differ")
		}
	})
	check("cancelled before", c.Good, cancelledBefore)
	check("cancelled in mid-read", c.Good, cancelledWithin)
	check("cancelled while stalled", c.Stalled, cancelledStalled)
	check("out fails", c.Good, outFails)
	check("malformed record", c.Malformed, malformed)
	check("out fails on rejection", c.Malformed, outFailsOnRejection)
	check("failure in mid-read", c.Broken, incomplete)
	check("truncated", c.Truncated, incomplete)
	check("repeated page", c.Repeated, incomplete)
	check("stalled", c.Stalled, incomplete)
	check("redirected", c.Redirected, incomplete)
	check("refused", c.Refused, incomplete)
	check("no rows", c.Empty, empty)
	if len(c.FindBy) == 0 {
		t.Log("connectortest: skipped find: this source finds nothing by key")
		return
	}
	check("find", c.Good, finds)
	check("find refused", c.Refused, findFails)
	check("find stalled", c.Stalled, findFails)
	check("find redirected", c.Redirected, findFails)
}

// A subject is an open source and what is known of it.
type subject struct {
	*testing.T
	connectors.Source
	Config
}

// extract extracts, and checks what holds for every extract whatever befell
// it.
func (s subject) extract(ctx context.Context, out *Recorder) (people.Certificate, []error, error) {
	begin := time.Now()
	cert, err := s.Extract(ctx, out)
	var bad []error
	if took := time.Since(begin); took > soon {
		bad = append(bad, fmt.Errorf("extract took %v", took))
	}
	if cert.Complete && (err != nil || cert.Reason != "") {
		bad = append(bad, fmt.Errorf("certificate is complete, with error %v and reason %q", err, cert.Reason))
	}
	if err == nil && !cert.Complete && cert.Reason == "" {
		bad = append(bad, errors.New("certificate is not complete and gives no reason"))
	}
	if err == nil && (cert.Source != s.Name() || cert.Publisher != s.Publisher()) {
		bad = append(bad, fmt.Errorf("certificate is of source %q, publisher %q", cert.Source, cert.Publisher))
	}
	bad = append(bad, s.leaks(err, cert, out.Rejections))
	for _, r := range out.Rejections {
		if r.Source != s.Name() || r.Publisher != s.Publisher() || r.Stage == "" || r.Place == "" || r.Reason == "" {
			bad = append(bad, fmt.Errorf("rejection lacks source, publisher, stage, place or reason: %+v", r))
		}
	}
	return cert, bad, err
}

// leaks looks for secrets in all that a source says for people to read.
func (s subject) leaks(err error, said ...any) error {
	text, jerr := json.Marshal(said)
	if jerr != nil {
		return jerr
	}
	all := string(text)
	if err != nil {
		all += err.Error()
	}
	for i, secret := range s.Secrets {
		if strings.Contains(all, secret) {
			return fmt.Errorf("secret %d stands in an error, certificate or rejection", i)
		}
	}
	return nil
}

func complete(s subject) error {
	var out Recorder
	cert, bad, err := s.extract(s.Context(), &out)
	if err != nil || !cert.Complete {
		bad = append(bad, fmt.Errorf("not complete: error %v, reason %q", err, cert.Reason))
	}
	if cert.End == "" || len(cert.Scope) == 0 || cert.Mapping == "" || cert.Bytes == 0 {
		bad = append(bad, fmt.Errorf("certificate lacks end, scope, mapping or bytes: %+v", cert))
	}
	if n := int64(s.People); cert.Expected != -1 && cert.Expected != n {
		bad = append(bad, fmt.Errorf("certificate expects %d people, want %d or -1", cert.Expected, n))
	}
	if len(out.Observations) != s.People {
		bad = append(bad, fmt.Errorf("%d observations, want %d", len(out.Observations), s.People))
	}
	seen := map[string]bool{}
	for i := range out.Observations {
		o := &out.Observations[i]
		if seen[o.Record] {
			bad = append(bad, fmt.Errorf("record %s emitted twice", o.Record))
		}
		seen[o.Record] = true
		bad = append(bad, wellFormed(o, s.Publisher()))
	}
	return errors.Join(bad...)
}

// wellFormed checks an observation against its own documentation.
func wellFormed(o *people.Observation, p people.Publisher) error {
	if o.Publisher != p || o.Record == "" || o.Lifecycle == "" || o.Place == "" {
		return fmt.Errorf("record %s: publisher, record, lifecycle or place is wrong: %q, %q, %q", o.Record, o.Publisher, o.Lifecycle, o.Place)
	}
	if !o.SeenAt.IsZero() {
		return fmt.Errorf("record %s: seen_at is the run's to set", o.Record)
	}
	if o.Key(people.ByRecord(p)) != o.Record {
		return fmt.Errorf("record %s: its own id is not among its keys", o.Record)
	}
	sorted := *o
	sorted.Keys, sorted.Claims = slices.Clone(o.Keys), slices.Clone(o.Claims)
	sorted.Sort()
	if !slices.Equal(sorted.Keys, o.Keys) || len(slices.Compact(sorted.Keys)) != len(o.Keys) {
		return fmt.Errorf("record %s: keys are not sorted and unique", o.Record)
	}
	for i, c := range o.Claims {
		if i > 0 && o.Claims[i-1].Path >= c.Path {
			return fmt.Errorf("record %s: claims are not sorted and unique at %s", o.Record, c.Path)
		}
		if c.Empty != c.Value.IsNull() {
			return fmt.Errorf("record %s: claim %s must be either empty or have a value", o.Record, c.Path)
		}
		if !c.Since.IsZero() {
			return fmt.Errorf("record %s: claim %s: since is the run's to set", o.Record, c.Path)
		}
	}
	return nil
}

func cancelledBefore(s subject) error {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	return endsCancelled(ctx, s, &Recorder{})
}

func cancelledWithin(s subject) error {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	return endsCancelled(ctx, s, &Recorder{OnObservation: func(people.Observation) error { cancel(); return nil }})
}

func cancelledStalled(s subject) error {
	ctx, cancel := context.WithCancel(s.Context())
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	return endsCancelled(ctx, s, &Recorder{})
}

func endsCancelled(ctx context.Context, s subject, out *Recorder) error {
	_, bad, err := s.extract(ctx, out)
	if !errors.Is(err, context.Canceled) {
		bad = append(bad, fmt.Errorf("error %v, want context.Canceled", err))
	}
	return errors.Join(bad...)
}

func outFails(s subject) error {
	full := errors.New("disk full")
	out := &Recorder{OnObservation: func(people.Observation) error { return full }}
	return endsWith(s, out, full)
}

func outFailsOnRejection(s subject) error {
	full := errors.New("disk full")
	return endsWith(s, &Recorder{OnRejection: func(people.Rejection) error { return full }}, full)
}

// endsWith demands the error of out as it is, and no call of out after it.
func endsWith(s subject, out *Recorder, want error) error {
	_, bad, err := s.extract(s.Context(), out)
	if err != want {
		bad = append(bad, fmt.Errorf("error %v, want that of out as it is", err))
	}
	if out.OnObservation != nil && len(out.Observations) != 1 || out.OnRejection != nil && len(out.Rejections) != 1 {
		bad = append(bad, errors.New("out was called after it had failed"))
	}
	return errors.Join(bad...)
}

// malformed demands that the malformed records cost nobody else.
func malformed(s subject) error {
	src := s.Good(s.T)
	defer src.Close()
	var want, got Recorder
	if _, err := src.Extract(s.Context(), &want); err != nil {
		return err
	}
	cert, bad, err := s.extract(s.Context(), &got)
	if err != nil || !cert.Complete {
		bad = append(bad, fmt.Errorf("not complete: error %v, reason %q", err, cert.Reason))
	}
	if !slices.ContainsFunc(got.Rejections, func(r people.Rejection) bool { return r.Attribute == "" }) {
		bad = append(bad, errors.New("no record was set aside"))
	}
	contents := got.Contents()
	for record, content := range want.Contents() {
		if contents[record] != content {
			bad = append(bad, fmt.Errorf("record %s is gone or changed", record))
		}
	}
	return errors.Join(bad...)
}

func incomplete(s subject) error {
	var out Recorder
	cert, bad, err := s.extract(s.Context(), &out)
	if err != nil {
		bad = append(bad, fmt.Errorf("error %v, want a certificate that says so", err))
	}
	if cert.Complete {
		bad = append(bad, errors.New("certificate is complete"))
	}
	return errors.Join(bad...)
}

func empty(s subject) error {
	var out Recorder
	cert, bad, err := s.extract(s.Context(), &out)
	if err != nil || cert.Complete || !strings.Contains(cert.Reason, "no rows") {
		bad = append(bad, fmt.Errorf(`error %v, complete %v, reason %q: want "no rows"`, err, cert.Complete, cert.Reason))
	}
	if len(out.Observations) != 0 {
		bad = append(bad, fmt.Errorf("%d observations of nobody", len(out.Observations)))
	}
	return errors.Join(bad...)
}

func finds(s subject) error {
	finder, ok := s.Source.(connectors.Finder)
	if !ok {
		return errors.New("source is no Finder")
	}
	var out Recorder
	_, bad, err := s.extract(s.Context(), &out)
	if err != nil {
		bad = append(bad, err)
	}
	contents := out.Contents()
	for _, o := range out.Observations {
		for _, scheme := range s.FindBy {
			got, err := finder.Find(s.Context(), people.Key{Scheme: scheme, Value: o.Key(scheme)})
			found := Recorder{Observations: []people.Observation{got}}
			if err != nil || found.Contents()[o.Record] != contents[o.Record] {
				bad = append(bad, fmt.Errorf("record %s by %s: error %v, or not what the extract had", o.Record, scheme, err))
			}
		}
	}
	for _, scheme := range s.FindBy {
		if _, err := finder.Find(s.Context(), people.Key{Scheme: scheme, Value: "00000000-0000-4000-8000-nobody"}); !errors.Is(err, connectors.ErrNotFound) {
			bad = append(bad, fmt.Errorf("nobody by %s: error %v, want ErrNotFound", scheme, err))
		}
	}
	if _, err := finder.Find(s.Context(), people.Key{Scheme: "shoe_size", Value: "42"}); err == nil || errors.Is(err, connectors.ErrNotFound) {
		bad = append(bad, fmt.Errorf("by a scheme that the source does not know: error %v, want one that is not ErrNotFound", err))
	}
	return errors.Join(bad...)
}

// findFails demands that a failure to read is not taken for an answer.
func findFails(s subject) error {
	finder, ok := s.Source.(connectors.Finder)
	if !ok {
		return errors.New("source is no Finder")
	}
	src := s.Good(s.T)
	defer src.Close()
	var out Recorder
	if _, err := src.Extract(s.Context(), &out); err != nil || len(out.Observations) == 0 {
		return fmt.Errorf("nobody to find: %v", err)
	}
	for _, scheme := range s.FindBy {
		_, err := finder.Find(s.Context(), people.Key{Scheme: scheme, Value: out.Observations[0].Key(scheme)})
		if err == nil || errors.Is(err, connectors.ErrNotFound) {
			return fmt.Errorf("by %s: error %v, want one that is not ErrNotFound", scheme, err)
		}
		if err := s.leaks(err); err != nil {
			return err
		}
	}
	return nil
}
