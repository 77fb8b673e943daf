package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors/file"
	"example.org/cis/connectors/web"
)

// readFile reads the file of the configuration.
func (s *Source) readFile(ctx context.Context) (*reading, int64, error) {
	f, err := file.Open(s.cfg.File)
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // "no such file or directory", without the path
	}
	if err != nil {
		return nil, 0, &web.Fault{Reason: "the file could not be opened: " + err.Error()}
	}
	defer f.Close()
	d := newDump(ctx, s.cfg, f)
	err = d.read()
	return &d.reading, d.n, err
}

func newDump(ctx context.Context, cfg Config, in io.Reader) *dump {
	d := &dump{meter: meter{ctx: ctx, in: in, limit: cfg.MaxBytes}, name: filepath.Base(cfg.File), wanted: map[string]bool{}}
	for _, o := range cfg.Organizations {
		d.wanted[strings.ToLower(o)] = false
	}
	return d
}

// A dump is a file that is read.
type dump struct {
	meter
	reading
	name   string
	wanted map[string]bool // the organisations that must be in it, and whether they are; none are all
	dec    *jsontext.Decoder
}

// read reads all of the file. Its errors are a *web.Fault, or that of ctx.
func (d *dump) read() error {
	// Records are judged one by one: here they need only end.
	d.dec = jsontext.NewDecoder(&d.meter, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	d.emails = map[int64]string{}
	err := d.object("the file", map[string]func() error{
		"organizations": func() error { return d.list("organizations", d.organization) },
		"users?":        d.users,
	})
	if err == nil {
		if _, err = d.dec.ReadToken(); err == io.EOF {
			err = nil
		} else if err == nil {
			err = &web.Fault{Reason: "more after the closing brace"}
		}
	}
	if err != nil {
		return d.fault(err)
	}
	for o, there := range d.wanted {
		if !there {
			return &web.Fault{Reason: "organisation " + o + " is not in the file"}
		}
	}
	return nil
}

// object reads an object that must have all of the keys, but those with a
// question mark, and no others: a key that nobody knows may well say that
// there is more, and a key left out is not known to mean "none".
func (d *dump) object(what string, keys map[string]func() error) error {
	if d.dec.PeekKind() != '{' {
		return d.unexpected(what + " is not an object")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		read := keys[key]
		if read == nil {
			key += "?"
			read = keys[key]
		}
		if read == nil || seen[key] {
			return &web.Fault{Reason: what + " has a key twice, or one that is not known"}
		}
		seen[key] = true
		if err := read(); err != nil {
			return err
		}
	}
	for key := range keys {
		if !seen[key] && !strings.HasSuffix(key, "?") {
			return &web.Fault{Reason: what + " lacks the key " + key}
		}
	}
	_, err := d.dec.ReadToken()
	return err
}

// list reads a list, calling each where an element begins.
func (d *dump) list(what string, each func(n int) error) error {
	if d.dec.PeekKind() != '[' {
		return d.unexpected(what + " is not a list")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	for n := 1; d.dec.PeekKind() != ']'; n++ {
		if err := each(n); err != nil {
			return err
		}
	}
	_, err := d.dec.ReadToken()
	return err
}

// text reads a string that is not empty.
func (d *dump) text(what string, into *string) func() error {
	return func() error {
		if d.dec.PeekKind() != '"' {
			return d.unexpected(what + " is not a string")
		}
		t, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		if *into = t.String(); strings.TrimSpace(*into) == "" || strings.ContainsRune(*into, '\uFFFD') {
			return &web.Fault{Reason: what + " is empty, or no Unicode"}
		}
		return nil
	}
}

// unexpected says that something else stands where it is not JSON that is
// broken.
func (d *dump) unexpected(reason string) error {
	if _, err := d.dec.ReadValue(); err != nil {
		return err
	}
	return &web.Fault{Reason: reason}
}

func (d *dump) organization(n int) error {
	what := fmt.Sprintf("organisation %d", n)
	before := len(d.rejections)
	var o organization
	err := d.object(what, map[string]func() error{
		"login":                 d.text("the login of "+what, &o.login),
		"id?":                   func() error { return d.dec.SkipValue() },
		"members":               d.accounts(what+", member", true, &o.members),
		"outside_collaborators": d.accounts(what+", outside collaborator", false, &o.outside),
		"teams": func() error {
			return d.list("teams of "+what, func(n int) error { return d.team(fmt.Sprintf("%s, team %d", what, n), &o) })
		},
	})
	if err != nil {
		return err
	}
	if reason := o.checkTeams(); reason != "" {
		return &web.Fault{Reason: what + ": " + reason}
	}
	key := strings.ToLower(o.login)
	if there, named := d.wanted[key]; there || slices.ContainsFunc(d.organizations, func(x organization) bool { return strings.EqualFold(x.login, key) }) {
		return &web.Fault{Reason: what + " stands there twice"}
	} else if named {
		d.wanted[key] = true
	} else if len(d.wanted) > 0 {
		d.rejections = d.rejections[:before]
		return nil
	}
	in := make(map[int64]bool, len(o.members))
	for _, a := range o.members {
		in[a.id] = true
	}
	for i, t := range o.teams {
		for _, m := range t.members {
			if !in[m.id] {
				d.reject("observe", fmt.Sprintf("%s:%s, team %d", d.name, what, i+1), m.id, access, "in a team, and not in its organisation")
			}
		}
	}
	d.organizations = append(d.organizations, o)
	return nil
}

func (d *dump) team(what string, o *organization) error {
	var t team
	err := d.object(what, map[string]func() error{
		"slug": d.text("the slug of "+what, &t.slug),
		"parent?": func() error {
			if d.dec.PeekKind() == 'n' {
				return d.dec.SkipValue()
			}
			return d.text("the parent of "+what, &t.parent)()
		},
		"members": func() error {
			return d.list("members of "+what, func(n int) error {
				place, raw, err := d.element(fmt.Sprintf("%s, member %d", what, n))
				if err != nil {
					return err
				}
				var e struct {
					ID   int64  `json:"id"`
					Role string `json:"role"`
				}
				reason := parse(raw, &e, json.RejectUnknownMembers(true))
				if reason == "" && e.Role != roleMember && e.Role != roleMaintainer {
					reason = "the role in a team is neither member nor maintainer"
				}
				switch id := idOf(raw); {
				case id == 0:
					// It may be anybody's, so that nobody's teams are known.
					return &web.Fault{Reason: what + fmt.Sprintf(": member %d has no id", n)}
				case reason != "":
					d.reject("read", place, id, access, reason)
				default:
					t.members = append(t.members, member{id, e.Role == roleMaintainer})
				}
				return nil
			})
		},
	})
	o.teams = append(o.teams, t)
	return err
}

// accounts reads a list of accounts, with their roles in the organisation or
// without.
func (d *dump) accounts(what string, roles bool, into *[]account) func() error {
	return func() error {
		seen := map[int64]bool{}
		return d.list(what+"s", func(n int) error {
			place, raw, err := d.element(fmt.Sprintf("%s %d", what, n))
			if err != nil {
				return err
			}
			var e struct {
				ID     int64   `json:"id"`
				Login  string  `json:"login"`
				NodeID string  `json:"node_id"`
				Role   *string `json:"role"`
			}
			reason, id := parse(raw, &e, json.RejectUnknownMembers(true)), idOf(raw)
			switch {
			case reason == "" && id == 0:
				reason = "no id"
			case reason == "" && seen[id]:
				reason = "stands in a list twice"
			}
			if reason != "" {
				d.reject("read", place, id, "", reason)
				return nil
			}
			seen[id] = true
			if !roles && e.Role != nil || roles && (e.Role == nil || *e.Role != roleMember && *e.Role != roleAdmin) {
				d.reject("read", place, id, access, "the role in an organisation is neither member nor admin")
			}
			*into = append(*into, account{e.ID, e.Login, e.NodeID, roles && e.Role != nil && *e.Role == roleAdmin, place})
			return nil
		})
	}
}

// users reads the details of accounts, which are those of organisations or of
// nobody.
func (d *dump) users() error {
	return d.list("users", func(n int) error {
		place, raw, err := d.element(fmt.Sprintf("user %d", n))
		if err != nil {
			return err
		}
		var e struct {
			ID    int64  `json:"id"`
			Email string `json:"email"`
		}
		reason, id := parse(raw, &e, json.RejectUnknownMembers(true)), idOf(raw)
		switch _, twice := d.emails[id]; {
		case reason == "" && id == 0:
			reason = "no id"
		case reason == "" && twice:
			reason = "stands in a list twice"
		}
		if reason != "" {
			d.reject("read", place, id, email, reason)
			return nil
		}
		d.emails[id] = e.Email
		return nil
	})
}

// element reads one element of a list, and says where it stands.
func (d *dump) element(what string) (place string, raw jsontext.Value, err error) {
	if raw, err = d.dec.ReadValue(); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("%s:%s (byte %d)", d.name, what, d.dec.InputOffset()-int64(len(raw))), raw, nil
}

// parse reads an element. A reason is why it is set aside; it holds nothing of
// the element.
func parse(raw jsontext.Value, into any, opts ...json.Options) (reason string) {
	if raw.Kind() != '{' {
		return "not an object"
	}
	var syntax *jsontext.SyntacticError
	switch err := json.Unmarshal(raw, into, opts...); {
	case err == nil:
		return ""
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a key occurs twice"
	case errors.Is(err, json.ErrUnknownName):
		return "a key that is not known"
	case errors.As(err, &syntax):
		return "text that is not Unicode"
	}
	return "a value is of another type"
}

// idOf returns the id of an element, 0 if it has none that can be told.
func idOf(raw jsontext.Value) int64 {
	var e struct {
		ID jsontext.Value `json:"id"`
	}
	if parse(raw, &e) != "" {
		return 0
	}
	id, err := strconv.ParseInt(string(e.ID), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// A meter counts what is read, and fails where it is too much or no longer
// wanted.
type meter struct {
	ctx      context.Context
	in       io.Reader
	n, limit int64
}

var errTooLong = errors.New("too long")

// Read reads one byte over the limit to see whether there is one.
func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.in.Read(p[:min(int64(len(p)), m.limit+1-m.n)])
	if m.n += int64(n); m.n > m.limit {
		return n, errTooLong
	}
	return n, err
}

// fault says in our own words what stopped the reading: errors of parsers quote
// their input.
func (m *meter) fault(err error) error {
	var f *web.Fault
	var syntax *jsontext.SyntacticError
	switch {
	case m.ctx.Err() != nil:
		return m.ctx.Err()
	case errors.As(err, &f):
		return f
	case errors.Is(err, errTooLong):
		return &web.Fault{Reason: fmt.Sprintf("the file is over %d bytes", m.limit)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &web.Fault{Reason: fmt.Sprintf("the file ends too early, at byte %d", m.n)}
	case errors.As(err, &syntax):
		return &web.Fault{Reason: fmt.Sprintf("not JSON at byte %d", syntax.ByteOffset)}
	}
	return &web.Fault{Reason: fmt.Sprintf("the file or its compression is broken at byte %d", m.n)}
}
