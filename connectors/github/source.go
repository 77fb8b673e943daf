package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// Options are what a Source needs of the process it runs in; the zero Options
// are those of a program that keeps nothing.
type Options struct {
	// Memory keeps validators and what they validate between extracts. Without
	// one, every extract reads everything anew.
	Memory connectors.Memory
	// Now is the real clock, not that of a run: GitHub compares what an app
	// signs with its own. nil is time.Now.
	Now func() time.Time
	// Note tells a person of a wait, in a line without an end. nil is silence.
	Note func(string)
	// Pauses are those before each time a request is repeated that failed
	// without a word about when to come back. nil is 2 s and 10 s; an empty
	// list is no repetition.
	Pauses []time.Duration
	// Sleep waits, or returns the error of ctx. nil really waits.
	Sleep func(ctx context.Context, d time.Duration) error
}

// withDefaults fills in what o leaves out.
func (o Options) withDefaults() Options {
	if o.Memory == nil {
		o.Memory = nothing{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Pauses == nil {
		o.Pauses = []time.Duration{2 * time.Second, 10 * time.Second}
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// A Source is some organisations. It is safe for concurrent use.
type Source struct {
	cfg    Config
	secret web.Secret
	opts   Options
	scope  []string

	// The rest is for organisations that are read from the API.
	client  *web.Client
	base    *url.URL
	perPage int

	mu     sync.Mutex
	tokens map[int64]installationToken
}

var (
	_ connectors.Source = (*Source)(nil)
	_ connectors.Finder = (*Source)(nil)
)

// Open prepares to read; nothing is asked for yet. secret returns the token,
// or with an App its private key in PEM, and is called once an extract; a file
// needs none.
func Open(cfg Config, secret web.Secret, o Options) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = web.DefaultMaxBytes
	}
	s := &Source{cfg: cfg, secret: secret, opts: o.withDefaults(), tokens: map[int64]installationToken{}}
	if cfg.File != "" {
		s.scope = []string{"file " + filepath.Base(cfg.File)}
	} else {
		if secret == nil {
			return nil, errors.New("github: a token, or with an app its private key, is missing")
		}
		s.cfg = cfg.withURL()
		var err error
		if s.client, err = web.New(s.cfg.Config, nil, web.Options{}); err != nil {
			return nil, fmt.Errorf("github: %w", err)
		}
		if s.base, err = url.Parse(s.cfg.URL); err != nil {
			return nil, errors.New("github: url is not a URL")
		}
		s.perPage = 100 // the most that GitHub gives
		s.scope = []string{"host " + s.base.Host, "path " + s.base.EscapedPath(), "token"}
		if cfg.App.AppID != 0 {
			s.scope[2] = "app " + strconv.FormatInt(cfg.App.AppID, 10)
		}
	}
	for _, o := range cfg.Organizations {
		s.scope = append(s.scope, "organisation "+strings.ToLower(o))
	}
	slices.Sort(s.scope)
	return s, nil
}

// Name returns the source's name in the configuration.
func (s *Source) Name() string { return s.cfg.Name }

// Publisher returns people.GitHub.
func (s *Source) Publisher() people.Publisher { return people.GitHub }

// Close drops idle connections.
func (s *Source) Close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// Extract reads all organisations and emits one observation an account, as
// connectors.Source says.
func (s *Source) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	cert := people.Certificate{
		Source: s.cfg.Name, Publisher: people.GitHub, Expected: -1,
		Scope: s.scope, Mapping: s.cfg.hash(),
	}
	if err := ctx.Err(); err != nil {
		return cert, err
	}
	var r *reading
	var err error
	end := "closing brace"
	if s.cfg.File != "" {
		r, cert.Bytes, err = s.readFile(ctx)
	} else {
		end = "the last page of every list"
		r, cert.Bytes, err = s.readAPI(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return cert, ctx.Err()
	case err != nil:
		cert.Reason = web.FaultOf(err).Reason
		return cert, nil
	}
	observations := r.observe()
	for _, j := range r.rejections {
		if err := s.reject(ctx, out, j); err != nil {
			return cert, err
		}
	}
	for _, o := range observations {
		if err := ctx.Err(); err != nil {
			return cert, err
		}
		if err := out.Observation(o); err != nil {
			return cert, err
		}
	}
	// Whoever stops the last one stops the extract.
	if err := ctx.Err(); err != nil {
		return cert, err
	}
	switch {
	case len(observations) > 0:
		cert.Complete, cert.End = true, end
	case len(r.rejections) > 0:
		cert.Reason = "no rows of use: all are set aside"
	default:
		cert.Reason = "no rows"
	}
	return cert, nil
}

func (s *Source) reject(ctx context.Context, out connectors.Out, j people.Rejection) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.Source, j.Publisher = s.cfg.Name, people.GitHub
	return out.Rejection(j)
}

// Find reads one account by its number. An account that is in none of the
// organisations in any way is not found.
func (s *Source) Find(ctx context.Context, key people.Key) (people.Observation, error) {
	if key.Scheme != people.ByRecord(people.GitHub) {
		return people.Observation{}, fmt.Errorf("github: cannot find by %s", key.Scheme)
	}
	id, err := strconv.ParseInt(key.Value, 10, 64)
	if err != nil || id <= 0 || record(id) != key.Value {
		return people.Observation{}, connectors.ErrNotFound // no account has such a number
	}
	var r *reading
	if s.cfg.File != "" {
		r, _, err = s.readFile(ctx)
	} else {
		r, err = s.readAccount(ctx, id)
	}
	switch {
	case ctx.Err() != nil:
		return people.Observation{}, ctx.Err()
	case errors.Is(err, connectors.ErrNotFound):
		return people.Observation{}, err
	case err != nil:
		return people.Observation{}, errors.New("github: find: " + web.FaultOf(err).Reason)
	}
	for _, o := range r.observe() {
		if o.Record == key.Value {
			return o, nil
		}
	}
	for _, j := range r.rejections {
		if j.Record == key.Value || j.Record == "" && j.Attribute == "" {
			return people.Observation{}, errors.New("github: find: the record is set aside, or may be one that is: " + j.Reason)
		}
	}
	return people.Observation{}, connectors.ErrNotFound
}
