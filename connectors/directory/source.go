package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"example.org/cis/connectors"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// maxPages ends an extract from a server that always has another page.
const maxPages = 100_000

// Options are what a Source needs beside its Config.
type Options struct {
	// Secret is that of the client; a file needs none.
	Secret web.Secret
	// Verify reads the public keys of the directory, once an extract, and
	// returns what checks signatures with them. An error is keys that cannot be
	// read: nothing is extracted then. If Verify is nil, attributes that the
	// directory signed are set aside.
	Verify func(context.Context) (Check, error)
	// Fits says what of an attribute no publisher may write, because there is
	// none of that name or it has another kind or other displays. Its errors
	// hold no values. nil lets everything through.
	Fits func(people.Path, people.Attribute) error
	// Web is for the client.
	Web web.Options
}

// A Source is one people directory.
type Source struct {
	cfg     Config
	options Options
	mapping mapping
	scope   []string
	place   string // begins the place of each profile
	// client is nil for a file.
	client *web.Client
}

var (
	_ connectors.Source = (*Source)(nil)
	_ connectors.Finder = (*Source)(nil)
)

// Open prepares to read; nothing is asked for before Extract.
func Open(cfg Config, o Options) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, options: o, mapping: mapping{cfg.wholeGroups(), o.Fits}}
	if cfg.File != "" {
		if s.cfg.MaxBytes == 0 {
			s.cfg.MaxBytes = DefaultMaxFile
		}
		s.place = filepath.Base(cfg.File)
		s.scope = []string{"file " + s.place}
		return s, nil
	}
	if o.Secret == nil {
		return nil, errors.New("directory: a directory over https needs a client's secret")
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("directory: url is not a URL")
	}
	s.client, err = web.New(cfg.Config, web.ClientCredentials(cfg.Credentials, o.Secret), o.Web)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	s.place = path.Base("/" + u.EscapedPath())
	// A query narrows the list as much as a path does, and may hold secrets: of
	// it the scope shows only whether it is still the same.
	query := sha256.Sum256([]byte(u.RawQuery))
	s.scope = []string{"host " + u.Host, "path " + u.EscapedPath(), "query " + hex.EncodeToString(query[:4]),
		"client " + cfg.ClientID, "audience " + cfg.Audience, "scope " + cfg.Scope}
	return s, nil
}

// Name returns the source's name in the configuration.
func (s *Source) Name() string { return s.cfg.Name }

// Publisher returns people.Directory.
func (s *Source) Publisher() people.Publisher { return people.Directory }

// Close drops idle connections.
func (s *Source) Close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// Extract reads the directory and emits one observation a profile, as
// connectors.Source says. A list whose end was not seen, or that has nobody in
// it, is incomplete.
func (s *Source) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	cert := people.Certificate{
		Source:    s.cfg.Name,
		Publisher: people.Directory,
		Expected:  -1,
		Scope:     s.scope,
		Mapping:   s.mapping.hash(),
	}
	check, err := s.verify(ctx)
	rows := 0
	var outErr error
	var end string
	if err == nil {
		cert.Bytes, end, err = s.each(ctx, func(e entry) error {
			rows++
			outErr = s.emit(out, e, check)
			return outErr
		})
	}
	switch {
	case outErr != nil:
		return cert, outErr
	case ctx.Err() != nil:
		return cert, ctx.Err()
	case err != nil:
		cert.Reason = reason(err)
	case rows == 0:
		cert.Reason = "no rows"
	default:
		cert.Complete, cert.End = true, end
	}
	return cert, nil
}

// verify reads the keys. The text of an error is left out: it comes from where
// they are.
func (s *Source) verify(ctx context.Context) (Check, error) {
	if err := ctx.Err(); err != nil || s.options.Verify == nil {
		return nil, err
	}
	check, err := s.options.Verify(ctx)
	if err != nil {
		return nil, fault("the directory's public keys could not be read")
	}
	return check, nil
}

// emit gives out what one profile says.
func (s *Source) emit(out connectors.Out, e entry, check Check) error {
	o, ok, aside := s.observe(e, check)
	for _, r := range aside {
		r.Source, r.Publisher, r.Place = s.cfg.Name, people.Directory, e.place
		if err := out.Rejection(r); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	return out.Observation(o)
}

func (s *Source) observe(e entry, check Check) (people.Observation, bool, []people.Rejection) {
	if e.long {
		return people.Observation{}, false, []people.Rejection{{Stage: "read", Reason: "over 1048576 bytes"}}
	}
	o, ok, aside := s.mapping.observe(e.raw, check)
	o.Place = e.place
	return o, ok, aside
}

// each calls found for every profile. Without an error all of them were there;
// the error is a fault, that of ctx, or found's as it is.
func (s *Source) each(ctx context.Context, found func(entry) error) (bytes int64, end string, err error) {
	watched := func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return found(e)
	}
	if s.client == nil {
		return readFile(s.cfg.File, s.place, s.cfg.MaxBytes, watched)
	}
	seen := map[string]bool{}
	next := ""
	for page := 1; page <= maxPages; page++ {
		n, token, err := s.page(ctx, page, next, watched)
		bytes += n
		switch {
		case err != nil:
			return bytes, "", err
		case token == "":
			return bytes, "nextPage null", nil
		case seen[token]:
			return bytes, "", fault(fmt.Sprintf("page %d names a next page that was read already", page))
		}
		seen[token], next = true, token
	}
	return bytes, "", fault(fmt.Sprintf("more than %d pages", maxPages))
}

// page reads one page of the list, the first one if token is "".
func (s *Source) page(ctx context.Context, number int, token string, found func(entry) error) (bytes int64, next string, err error) {
	r := web.Request{Query: url.Values{}}
	if token != "" {
		r.Query.Set("nextPage", token)
	}
	a, err := s.ask(ctx, r)
	if err != nil {
		return 0, "", err
	}
	defer a.Close()
	m := &meter{in: a}
	l := &list{place: fmt.Sprintf("%s:page %d item ", s.place, number), each: found}
	next, err = l.page(m)
	return m.n, next, err
}

// ask returns an answer that says it is JSON.
func (s *Source) ask(ctx context.Context, r web.Request) (*web.Answer, error) {
	a, err := s.client.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		err = fault(fmt.Sprintf("the server answered with status %d", a.Status))
	} else {
		err = a.JSON()
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// reason is what may be said of an error.
func reason(err error) string {
	var f fault
	if errors.As(err, &f) {
		return string(f)
	}
	return web.FaultOf(err).Reason
}

// Find reads one person by record id or user_id, which are the same. A profile
// that is set aside makes the answer an error and never ErrNotFound.
func (s *Source) Find(ctx context.Context, key people.Key) (people.Observation, error) {
	if key.Scheme != people.ByUserID && key.Scheme != people.ByRecord(people.Directory) {
		return people.Observation{}, fmt.Errorf("directory: find: want a record id or user_id, not %s", key.Scheme)
	}
	o, err := s.find(ctx, key.Value)
	switch {
	case ctx.Err() != nil:
		return people.Observation{}, ctx.Err()
	case errors.Is(err, connectors.ErrNotFound):
		return people.Observation{}, fmt.Errorf("directory: find by %s: %w", key.Scheme, err)
	case err != nil:
		return people.Observation{}, fmt.Errorf("directory: find by %s: %s", key.Scheme, reason(err))
	}
	return o, nil
}

func (s *Source) find(ctx context.Context, value string) (o people.Observation, err error) {
	id, err := normalize.UserID(value)
	if err != nil || id != value {
		return o, connectors.ErrNotFound // no record has such an id
	}
	check, err := s.verify(ctx)
	if err != nil {
		return o, err
	}
	if s.client == nil {
		return s.findInFile(ctx, id, check)
	}
	for segment := range strings.SplitSeq(id, "/") {
		if segment == "." || segment == ".." { // somewhere on the way it may be taken for a path
			return o, fault("a user_id that cannot be asked for")
		}
	}
	a, err := s.ask(ctx, s.where(id))
	if err != nil {
		if web.FaultOf(err).Status == http.StatusNotFound {
			err = connectors.ErrNotFound
		}
		return o, err
	}
	defer a.Close()
	raw, err := io.ReadAll(io.LimitReader(a, maxRecord+1))
	if err != nil {
		return o, err
	}
	nobody := true
	if err := members(raw, func(string, []byte) { nobody = false }); err == nil && nobody {
		return o, connectors.ErrNotFound
	}
	o, ok, aside := s.observe(entry{s.place + ":user_id", raw, len(raw) > maxRecord}, check)
	switch {
	case !ok:
		return o, fault("the profile is set aside: " + aside[len(aside)-1].Reason)
	case o.Record != id:
		return o, fault("the answer is about somebody else")
	}
	return o, nil
}

// where says how to ask for one profile.
func (s *Source) where(id string) web.Request {
	id = url.PathEscape(id)
	if s.cfg.FindURL == "" {
		return web.Request{Path: "user_id/" + id}
	}
	return web.Request{Path: strings.Replace(s.cfg.FindURL, placeholder, id, 1)}
}

func (s *Source) findInFile(ctx context.Context, id string, check Check) (people.Observation, error) {
	var got []people.Observation
	aside := 0
	_, _, err := s.each(ctx, func(e entry) error {
		o, ok, _ := s.observe(e, check)
		if !ok {
			aside++
		} else if o.Record == id {
			got = append(got, o)
		}
		return nil
	})
	switch {
	case err != nil:
		return people.Observation{}, err
	case len(got) == 1:
		return got[0], nil
	case len(got) > 1:
		return people.Observation{}, fault(fmt.Sprintf("%d profiles have it", len(got)))
	case aside > 0:
		return people.Observation{}, fault(fmt.Sprintf("not found, but %d profiles are set aside", aside))
	}
	return people.Observation{}, connectors.ErrNotFound
}
