// Package hris owns the reading of a Workday report of workers, over HTTPS or
// from a file, and the mapping of its rows to observations of the publisher
// hris.
//
// A report is {"Report_Entry":[{…},…]}. It has no paging and no count, so the
// only proof that it is whole is that it closes: the brackets, the end of
// input after them, and below them whatever package web or file looks after
// (length, chunks, checksum). It is read as a stream; of a report of any size
// one row is in memory.
//
// It refuses: to find one worker (a report cannot be asked for one), to take a
// report of no rows for an answer, to judge rows against each other (the same
// EmployeeID twice is for the caller to see, who keeps the records), and to
// take names, because only preferred names may be published and people set
// those themselves.
package hris

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"example.org/cis/connectors"
	"example.org/cis/connectors/file"
	"example.org/cis/connectors/web"
	"example.org/cis/transforms/people"
)

// The limits that hold where [Config] sets none.
const (
	// DefaultTimeout is long because Workday answers only when it has
	// computed the whole report.
	DefaultTimeout  = 5 * time.Minute
	DefaultMaxBytes = 4 << 30
)

// Config says where the report is. Exactly one of URL and File is set.
type Config struct {
	// Name is the source's name, unique in the configuration.
	Name string `yaml:"name"`
	// The URL is that of the report as a web service; a format=json that is
	// missing is added. MaxBytes bounds a report in a file too.
	web.Config `yaml:",inline"`
	// Username is that of the integration system user, for basic
	// authentication. The password is given to Open.
	Username string `yaml:"username"`
	// Credentials are those of an API client of Workday, for OAuth 2.0, instead
	// of Username. The client's secret is then the password.
	web.Credentials `yaml:",inline"`
	// File is the path of a report, compressed if its name says so.
	File string `yaml:"file"`
	// TerminationField names the report's column with the worker's last
	// date (YYYY-MM-DD), if it has one: from that date on, in the worker's
	// time zone, the record says that the person has left.
	TerminationField string `yaml:"termination_field"`
}

// Validate returns all complaints, joined. They repeat no URL, which may hold
// secrets.
func (c Config) Validate() error {
	var bad []error
	complain := func(format string, args ...any) { bad = append(bad, fmt.Errorf("hris: "+format, args...)) }
	if c.Name == "" {
		complain("name is missing")
	}
	for _, err := range web.Complaints(c.Config.Validate()) {
		complain("%w", err)
	}
	switch {
	case (c.URL == "") == (c.File == ""):
		complain("exactly one of url and file must be set")
	case c.File != "":
		if c.Username != "" || c.Credentials != (web.Credentials{}) {
			complain("username, client_id and token_url go with url, not with file")
		}
	default:
		switch oauth := c.Credentials != (web.Credentials{}); {
		case c.Username == "" && !oauth:
			complain("username is missing (or, for OAuth 2.0, client_id and token_url)")
		case c.Username != "" && oauth:
			complain("username goes with basic authentication, client_id and token_url with OAuth 2.0: want one of them")
		case oauth:
			for _, err := range web.Complaints(c.Credentials.Validate()) {
				complain("%w", err)
			}
		}
		if strings.Contains(c.Username, ":") {
			complain("username holds a colon, which basic authentication cannot carry")
		}
		if _, err := reportURL(c.URL); err != nil {
			complain("url %w", err)
		}
	}
	if _, used := columns("")[c.TerminationField]; used {
		complain("termination_field %q has another meaning", c.TerminationField)
	}
	return errors.Join(bad...)
}

// reportURL makes a report's URL ask for JSON. What else may be wrong with it
// package web says. Its errors hold nothing of it.
func reportURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return &url.URL{}, nil
	}
	switch q := u.Query(); {
	case q.Has("format") && (len(q["format"]) != 1 || q.Get("format") != "json"):
		return nil, errors.New("asks for another format than json")
	case !q.Has("format") && u.RawQuery != "":
		u.RawQuery += "&format=json"
	case !q.Has("format"):
		u.RawQuery = "format=json"
	}
	return u, nil
}

// A Source is one report.
type Source struct {
	cfg     Config
	mapping mapping
	scope   []string
	place   string // begins the place of each row
	now     func() time.Time
	// open begins to read the report. Its errors are a *web.Fault, or those
	// of ctx.
	open   func(ctx context.Context) (io.ReadCloser, error)
	client *web.Client // of a report over HTTPS
}

var _ connectors.Source = (*Source)(nil)

// Open prepares to read; nothing is asked for before Extract. secret returns
// the password; a report from a file needs none. now is the run's clock.
func Open(cfg Config, secret web.Secret, now func() time.Time, o web.Options) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	s := &Source{cfg: cfg, mapping: newMapping(cfg.TerminationField), now: now}
	if cfg.File != "" {
		s.open = s.openFile
		s.scope = []string{"file " + filepath.Base(cfg.File)}
		s.place = filepath.Base(cfg.File)
		return s, nil
	}
	if secret == nil {
		return nil, errors.New("hris: a report over https needs a password")
	}
	u, err := reportURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("hris: url %w", err)
	}
	cfg.URL = u.String()
	who, authorize := "user "+cfg.Username, web.Basic(cfg.Username, secret)
	if cfg.ClientID != "" {
		who, authorize = "client "+cfg.ClientID, web.ClientCredentials(cfg.Credentials, secret)
	}
	if s.client, err = web.New(cfg.Config, authorize, o); err != nil {
		return nil, fmt.Errorf("hris: %w", err)
	}
	s.open = s.fetch
	// A query narrows the report as much as a path does, and may hold
	// secrets: of it the scope shows only whether it is still the same.
	query := sha256.Sum256([]byte(u.RawQuery))
	s.scope = []string{"host " + u.Host, "path " + u.EscapedPath(), "query " + hex.EncodeToString(query[:4]), who}
	s.place = path.Base("/" + u.EscapedPath())
	return s, nil
}

// Name returns the source's name in the configuration.
func (s *Source) Name() string { return s.cfg.Name }

// Publisher returns people.HRIS.
func (s *Source) Publisher() people.Publisher { return people.HRIS }

// Close drops idle connections.
func (s *Source) Close() error {
	if s.client != nil {
		return s.client.Close()
	}
	return nil
}

// Extract reads the report and emits one observation a row, as
// connectors.Source says. A report whose end was not seen, or that has no
// rows, is incomplete.
func (s *Source) Extract(ctx context.Context, out connectors.Out) (people.Certificate, error) {
	cert := people.Certificate{
		Source:    s.cfg.Name,
		Publisher: people.HRIS,
		Expected:  -1,
		Scope:     s.scope,
		Mapping:   s.mapping.hash(),
	}
	var outErr error
	m := &meter{limit: s.cfg.MaxBytes}
	rows, err := s.read(ctx, m, func(e entry) error {
		outErr = s.emit(out, e)
		return outErr
	})
	cert.Bytes = m.n
	var f *web.Fault
	switch {
	case outErr != nil:
		return cert, outErr
	case ctx.Err() != nil:
		return cert, ctx.Err()
	case errors.As(err, &f):
		cert.Reason = f.Reason
	case err != nil:
		// Every error of reading is a fault; one that is not must not pass for success.
		cert.Reason = "the report could not be read"
	case rows == 0:
		cert.Reason = "no rows"
	default:
		cert.Complete, cert.End = true, "closing brace"
	}
	return cert, nil
}

func (s *Source) read(ctx context.Context, m *meter, each func(entry) error) (rows int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	body, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	m.in = body
	return readReport(m, func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return each(e)
	})
}

// emit gives out what one row says.
func (s *Source) emit(out connectors.Out, e entry) error {
	place := fmt.Sprintf("%s:row %d (byte %d)", s.place, e.number, e.offset)
	reject := func(stage string, rejections ...people.Rejection) error {
		for _, r := range rejections {
			r.Source, r.Publisher, r.Stage, r.Place = s.cfg.Name, people.HRIS, stage, place
			if err := out.Rejection(r); err != nil {
				return err
			}
		}
		return nil
	}
	r, reason := s.mapping.parse(e.raw)
	if reason != "" {
		return reject("read", people.Rejection{Record: s.mapping.recordOf(e.raw), Reason: reason})
	}
	o, ok, rejections := s.mapping.observe(r, s.now())
	if err := reject("observe", rejections...); err != nil || !ok {
		return err
	}
	o.Place = place
	return out.Observation(o)
}

// fetch asks for the report.
func (s *Source) fetch(ctx context.Context) (io.ReadCloser, error) {
	a, err := s.client.Do(ctx, web.Request{})
	if err != nil {
		return nil, err
	}
	if err = a.JSON(); a.Status != http.StatusOK {
		err = &web.Fault{Reason: fmt.Sprintf("the server answered with status %d", a.Status)}
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// openFile opens the report's file.
func (s *Source) openFile(context.Context) (io.ReadCloser, error) {
	r, err := file.Open(s.cfg.File)
	if err == nil {
		return r, nil
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // "no such file or directory", without the path
	}
	return nil, &web.Fault{Reason: "the file could not be opened: " + err.Error()}
}
