package auth0

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"example.org/cis/connectors"
	"example.org/cis/connectors/file"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// A Source is the users of one tenant. It implements connectors.Source and
// connectors.Finder.
type Source struct {
	cfg     Config
	mapping mapping
	scope   []string
	client  *web.Client // nil for a file
	opts    web.Options
}

var (
	_ connectors.Source = (*Source)(nil)
	_ connectors.Finder = (*Source)(nil)
)

// Open prepares to read; nothing is asked for before Extract or Find. secret
// returns the client's secret or, without a client_id, the token; a file needs
// none.
func Open(cfg Config, secret web.Secret, o web.Options) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Source{cfg: cfg, mapping: newMapping(cfg), opts: withDefaults(o)}
	if len(cfg.Connections) > 0 {
		s.scope = []string{"connections " + strings.Join(slices.Sorted(slices.Values(cfg.Connections)), ", ")}
	}
	if cfg.File != "" {
		s.scope = append(s.scope, "file "+filepath.Base(cfg.File))
		return s, nil
	}
	if secret == nil {
		return nil, errors.New("auth0: a tenant needs a client's secret or a token")
	}
	authorizer := web.Bearer(secret)
	who := "token"
	if cfg.ClientID != "" {
		authorizer, who = web.ClientCredentials(cfg.Credentials, secret), "client "+cfg.ClientID
	}
	client, err := web.New(cfg.Config, authorizer, o)
	if err != nil {
		return nil, fmt.Errorf("auth0: %w", err)
	}
	s.client, s.scope = client, append(s.scope, "host "+client.Host(), who)
	return s, nil
}

// Name returns the source's name in the configuration.
func (s *Source) Name() string { return s.cfg.Name }

// Publisher returns people.AccessProvider.
func (s *Source) Publisher() people.Publisher { return people.AccessProvider }

// Close drops idle connections.
func (s *Source) Close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// outError is an error of Out, to be told from those of the reading.
type outError struct{ error }

// Extract reads all users and emits one observation each, as
// connectors.Source says.
func (s *Source) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	cert := people.Certificate{
		Source: s.cfg.Name, Publisher: people.AccessProvider, Expected: -1, Scope: s.scope, Mapping: s.mapping.hash(),
	}
	x := &extraction{Source: s, out: out, seen: map[digest]digest{}, total: -1}
	err := ctx.Err()
	if err == nil {
		err = x.read(ctx)
	}
	cert.Bytes = x.bytes
	if x.total >= 0 {
		cert.Expected = x.total - x.unwanted
	}
	var (
		refused outError
		f       *web.Fault
	)
	switch {
	case errors.As(err, &refused):
		return cert, refused.error
	case ctx.Err() != nil:
		return cert, ctx.Err()
	case errors.As(err, &f):
		cert.Reason = f.Reason
	case err != nil:
		// Every error of reading is a fault; one that is not must not pass for success.
		cert.Reason = "the users could not be read"
	case x.users == 0:
		cert.Reason = "no rows"
	case x.users == x.unwanted:
		cert.Reason = fmt.Sprintf("no rows of use: all %d users are of other connections", x.users)
	case x.emitted == 0:
		cert.Reason = fmt.Sprintf("no rows of use: all %d users are set aside", x.users-x.unwanted)
	default:
		cert.Complete, cert.End = true, x.end
	}
	return cert, nil
}

// read reads in the configured way.
func (x *extraction) read(ctx context.Context) error {
	switch {
	case x.cfg.File != "":
		return x.file(ctx)
	case x.cfg.Paging == Page:
		return x.pages(ctx)
	case x.cfg.Paging == Checkpoint:
		return x.checkpoints(ctx)
	}
	return x.export(ctx)
}

// A digest stands for a user's id or for what an observation says.
type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}

// An extraction is one reading of all users.
type extraction struct {
	*Source
	out      connectors.Out
	seen     map[digest]digest // what was said of each id
	users    int64             // those that came, each once
	unwanted int64             // those of other connections
	emitted  int64
	bytes    int64
	total    int64 // what the tenant says that there are; -1 if it does not say
	end      string
}

// user takes one user, and reports whether it was not seen before.
func (x *extraction) user(raw []byte, place string) (fresh bool, err error) {
	r := x.mapping.observe(raw)
	said := digest{}
	if !r.aside && !r.unwanted {
		said = digestOf(r.observation.AppendContent(nil))
	}
	if id := r.record(); id != "" {
		key := digestOf([]byte(id))
		before, again := x.seen[key]
		x.seen[key] = said
		if again {
			if before == said {
				return false, nil
			}
			return false, x.reject(place, people.Rejection{
				Stage: "read", Record: id, Reason: "the user came twice and differs: it was changed while it was read",
			})
		}
	}
	x.users++
	if r.unwanted {
		x.unwanted++
		return true, nil
	}
	if err := x.reject(place, r.rejected...); err != nil || r.aside {
		return true, err
	}
	x.emitted++
	r.observation.Place = place
	if err := x.out.Observation(r.observation); err != nil {
		return true, outError{err}
	}
	return true, nil
}

func (x *extraction) reject(place string, rejections ...people.Rejection) error {
	for _, r := range rejections {
		r.Source, r.Publisher, r.Place = x.cfg.Name, people.AccessProvider, place
		if err := x.out.Rejection(r); err != nil {
			return outError{err}
		}
	}
	return nil
}

// file reads the configured file.
func (x *extraction) file(ctx context.Context) error {
	name := filepath.Base(x.cfg.File)
	in, err := file.Open(x.cfg.File)
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return &web.Fault{Reason: fmt.Sprintf("%s: %v", name, p.Err)}
	} else if err != nil {
		return &web.Fault{Reason: fmt.Sprintf("%s: %v", name, errors.Unwrap(err))}
	}
	defer in.Close()
	return x.stream(ctx, in, name)
}

// stream reads users that come in one file.
func (x *extraction) stream(ctx context.Context, in io.Reader, name string) error {
	r := newReader(in, x.cfg.MaxBytes, func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := x.user(e.raw, fmt.Sprintf("%s:user %d", name, e.number))
		return err
	})
	var err error
	x.end, err = r.file()
	x.bytes += r.m.n
	return err
}

// Find reads one user by record id or user_id, which are the same. A user who
// is set aside, or who may be among those that are, makes the answer an error
// and never ErrNotFound.
func (s *Source) Find(ctx context.Context, key people.Key) (people.Observation, error) {
	if key.Scheme != people.ByUserID && key.Scheme != people.ByRecord(people.AccessProvider) {
		return people.Observation{}, fmt.Errorf("auth0: find: want a record id or user_id, not %s", key.Scheme)
	}
	o, err := s.find(ctx, key.Value)
	switch {
	case err == nil:
		return o, nil
	case ctx.Err() != nil:
		return o, ctx.Err()
	}
	return o, fmt.Errorf("auth0: find by %s: %w", key.Scheme, err)
}

func (s *Source) find(ctx context.Context, id string) (people.Observation, error) {
	if connection, rest, _ := strings.Cut(id, "|"); connection == "" || rest == "" {
		return people.Observation{}, connectors.ErrNotFound // Auth0 has no such ids
	}
	if s.cfg.File != "" {
		return s.findInFile(ctx, id)
	}
	a, err := s.client.Do(ctx, web.Request{
		Path:  "/api/v2/users/" + url.PathEscape(id),
		Query: url.Values{"fields": {strings.Join(s.mapping.fields(), ",")}, "include_fields": {"true"}},
	})
	if f := (*web.Fault)(nil); errors.As(err, &f) && f.Status == http.StatusNotFound {
		return people.Observation{}, connectors.ErrNotFound
	} else if err != nil {
		return people.Observation{}, err
	}
	defer a.Close()
	raw, err := body(a, maxUser)
	if err != nil {
		return people.Observation{}, err
	}
	r := s.mapping.observe(raw)
	switch {
	case r.aside:
		return people.Observation{}, errors.New("the user is set aside: " + r.rejected[0].Reason)
	case r.record() != id:
		return people.Observation{}, errors.New("the answer is another user")
	case r.unwanted:
		return people.Observation{}, connectors.ErrNotFound
	}
	r.observation.Place = "users by id"
	return r.observation, nil
}

// body reads an answer that is one JSON object.
func body(a *web.Answer, limit int64) ([]byte, error) {
	if err := a.JSON(); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(a, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(raw)) > limit:
		return nil, &web.Fault{Reason: fmt.Sprintf("the answer is over %d bytes", limit)}
	}
	return raw, nil
}

// findInFile looks for a user in the file, which is read to its end: the same
// id may come again, and differ.
func (s *Source) findInFile(ctx context.Context, id string) (people.Observation, error) {
	var found wanted
	found.id = id
	cert, err := s.Extract(ctx, &found)
	switch {
	case err != nil:
		return people.Observation{}, err
	case found.aside != "":
		return people.Observation{}, errors.New("the user is set aside: " + found.aside)
	case !cert.Complete:
		return people.Observation{}, &web.Fault{Reason: cert.Reason}
	case found.observation.Record != "":
		return found.observation, nil
	case found.unknown > 0:
		return people.Observation{}, fmt.Errorf("not found, but %d users are set aside whose id cannot be read", found.unknown)
	}
	return people.Observation{}, connectors.ErrNotFound
}

// wanted keeps one user.
type wanted struct {
	id          string
	observation people.Observation
	aside       string // why the user is set aside
	unknown     int
}

func (w *wanted) Observation(o people.Observation) error {
	if o.Record == w.id {
		w.observation = o
	}
	return nil
}

func (w *wanted) Rejection(r people.Rejection) error {
	switch {
	case r.Attribute != "":
	case r.Record == w.id:
		w.aside = r.Reason
	case r.Record == "":
		w.unknown++
	}
	return nil
}
