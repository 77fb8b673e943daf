package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"example.org/cis/connectors"
	"example.org/cis/transforms/people"
)

// A Source is one directory. It implements connectors.Source and
// connectors.Finder, and holds nothing open between two reads.
type Source struct {
	config  Config
	secret  Secret
	tls     *tls.Config
	observe *observer
	people  query
	groups  query
	path    people.Path // of the groups, "" if they are not wanted
}

// A query says which entries are wanted, and what of them.
type query struct {
	bases      []string
	filter     string
	attributes []string
}

// A reader reads entries in one of the two ways.
type reader interface {
	// read yields the entries of q, one by one, and says what proves that
	// they were all. Errors are of the directory, of ctx, or those of yield as
	// they are; they hold no data of entries.
	read(ctx context.Context, q query, yield func(*entry) error) (bytes int64, end string, err error)
	close()
}

// Open makes a source of c. It reads c's CA file and nothing else. The secret
// may be nil if nobody binds.
func Open(c Config, secret Secret) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if c.BindDN != "" && secret == nil {
		return nil, errors.New("ldap: bind_dn needs a password")
	}
	observe, err := newObserver(c)
	if err != nil {
		return nil, fmt.Errorf("ldap: %w", err)
	}
	s := &Source{config: c, secret: secret, observe: observe}
	if c.URL != "" {
		if s.tls, err = tlsConfig(c); err != nil {
			return nil, fmt.Errorf("ldap: %w", err)
		}
	}
	s.people = query{c.PeopleBases, c.PeopleFilter, []string{"entryUUID", "memberOf"}}
	for _, r := range c.Mapping {
		if r.Form == formGroups {
			s.path = r.To
		} else if !strings.EqualFold(r.From, "dn") {
			s.people.attributes = append(s.people.attributes, r.From)
		}
	}
	slices.Sort(s.people.attributes)
	s.people.attributes = slices.Compact(s.people.attributes)
	s.groups = query{c.GroupBases, c.GroupFilter, append([]string{"entryUUID", "cn"}, membership...)}
	return s, nil
}

func tlsConfig(c Config) (*tls.Config, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("url cannot be read")
	}
	t := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: no certificate in %s", c.CAFile)
		}
	}
	return t, nil
}

// Name returns the name in the configuration.
func (s *Source) Name() string { return s.config.Name }

// Publisher returns people.LDAP.
func (s *Source) Publisher() people.Publisher { return people.LDAP }

// Close does nothing: connections end with the read that opened them.
func (s *Source) Close() error { return nil }

// open begins a read.
func (s *Source) open(ctx context.Context) (reader, error) {
	if s.config.File != "" {
		return &ldifFile{path: s.config.File}, nil
	}
	return dial(ctx, s.config, s.tls, s.secret)
}

// outError is an error of Out, to be told from those of the directory.
type outError struct{ error }

// Extract reads groups, then people.
func (s *Source) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	c := people.Certificate{
		Source: s.config.Name, Publisher: people.LDAP, Expected: -1,
		Scope: s.scope(), Mapping: s.config.hash(),
	}
	rows, emitted := 0, 0
	var err error
	c.Bytes, c.End, err = s.each(ctx, s.people, out.Rejection, func(o people.Observation, ok bool) error {
		rows++
		if !ok {
			return nil
		}
		emitted++
		return out.Observation(o)
	})
	var refused outError
	switch {
	case errors.As(err, &refused):
		return c, refused.error
	case ctx.Err() != nil:
		return c, ctx.Err()
	case err != nil:
		c.End, c.Reason = "", err.Error()
	case rows == 0:
		c.Reason = "no rows"
	case emitted == 0:
		c.Reason = fmt.Sprintf("no rows of use: all %d are set aside", rows)
	default:
		c.Complete = true
	}
	return c, nil
}

// each reads groups and then the people of q. It calls reject for each
// rejection, and observation for each person, ok false for one set aside.
// Their errors come back as outError.
func (s *Source) each(ctx context.Context, q query, reject func(people.Rejection) error, observation func(people.Observation, bool) error) (bytes int64, end string, err error) {
	r, err := s.open(ctx)
	if err != nil {
		return 0, "", err
	}
	defer r.close()
	g := newGroups()
	unreadable := map[string]bool{} // places of groups that could not be read
	if s.path != "" {
		_, _, err := r.read(ctx, s.groups, func(e *entry) error {
			if e.fault != "" && !looksLikeGroup(e) {
				return nil // the pass of people lists it
			}
			fault := g.add(e)
			if fault == nil {
				return nil
			}
			unreadable[e.place] = true
			record, _, _ := s.observe.identify(e)
			return asOut(reject(people.Rejection{
				Source: s.config.Name, Publisher: people.LDAP, Stage: "read", Record: record, Place: e.place, Attribute: s.path, Reason: fault.Error(),
			}))
		})
		if err != nil {
			return 0, "", err
		}
		if s.config.URL != "" && len(g.names) == 0 {
			return 0, "", errors.New("no groups: there are none, or they are hidden from the bind")
		}
	}
	g.link()
	return r.read(ctx, q, func(e *entry) error {
		if e.fault != "" && unreadable[e.place] {
			return nil
		}
		o, aside, ok := s.observe.observe(e, g)
		for _, a := range aside {
			if err := reject(a); err != nil {
				return outError{err}
			}
		}
		return asOut(observation(o, ok))
	})
}

func asOut(err error) error {
	if err != nil {
		return outError{err}
	}
	return nil
}

// scope says what is asked for, without secrets.
func (s *Source) scope() []string {
	c := s.config
	if c.File != "" {
		return append([]string{"file " + filepath.Base(c.File)}, s.bounds()...)
	}
	who := "bind " + c.BindDN
	if c.Anonymous {
		who = "anonymous"
	}
	return append([]string{c.URL, who}, s.bounds()...)
}

func (s *Source) bounds() []string {
	var b []string
	for _, base := range s.config.PeopleBases {
		b = append(b, "people base "+base)
	}
	b = append(b, "people filter "+s.config.PeopleFilter)
	for _, base := range s.config.GroupBases {
		b = append(b, "group base "+base)
	}
	return append(b, "group filter "+s.config.GroupFilter)
}

// Find reads one person by record id, posix id or user_id, and all groups,
// because those of a person stand in the groups. Records that are set aside
// make the answer an error and never ErrNotFound: the one that is looked for
// may be among them.
func (s *Source) Find(ctx context.Context, key people.Key) (people.Observation, error) {
	q := s.people
	var attribute, value string
	switch key.Scheme {
	case people.ByRecord(people.LDAP):
		attribute, value = "entryUUID", key.Value
	case people.ByPosixID:
		attribute, value = s.observe.uid, key.Value
	case people.ByUserID:
		uid, ok := strings.CutPrefix(key.Value, s.config.Connection)
		if !ok {
			return people.Observation{}, fmt.Errorf("ldap: find by %s: %w", key.Scheme, connectors.ErrNotFound)
		}
		attribute, value = s.observe.uid, uid
	default:
		return people.Observation{}, fmt.Errorf("ldap: find: want a record id, posix_id or user_id, not %s", key.Scheme)
	}
	if s.config.URL != "" { // a file is read whole; its record ids may be DNs
		q.filter = "(&" + q.filter + "(" + attribute + "=" + ldap.EscapeFilter(value) + "))"
	}
	var found []people.Observation
	aside := 0
	_, _, err := s.each(ctx, q, func(people.Rejection) error { return nil }, func(o people.Observation, ok bool) error {
		if !ok {
			aside++
		} else if o.Key(key.Scheme) == key.Value {
			found = append(found, o)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return people.Observation{}, ctx.Err()
	case err != nil:
		return people.Observation{}, fmt.Errorf("ldap: find by %s: %w", key.Scheme, err)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return people.Observation{}, fmt.Errorf("ldap: find by %s: %d records have it", key.Scheme, len(found))
	case aside > 0:
		return people.Observation{}, fmt.Errorf("ldap: find by %s: not found, but %d records are set aside", key.Scheme, aside)
	}
	return people.Observation{}, fmt.Errorf("ldap: find by %s: %w", key.Scheme, connectors.ErrNotFound)
}
