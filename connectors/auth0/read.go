package auth0

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors/web"
)

// maxUser bounds one user, and with it the memory of a reader. Most of a user
// is app_metadata, which Auth0 asks to keep to some kilobytes.
const maxUser = 1 << 20

// A page is what an answer of users says beside them; -1 stands for a number
// that is left out.
type page struct {
	start, limit, total int64
	next                string
	bare                bool // the answer is a list of users and nothing else
}

// An entry is one user as it was read: its number, counted from 1, and JSON
// that is well-formed, but for a line (JSON lines), which may be anything. raw
// is valid until the next one is read.
type entry struct {
	number int64
	raw    []byte
}

// A reader reads users from one body. Its errors are those of each as they
// are, those of ctx, or a *web.Fault.
type reader struct {
	m    meter
	in   *bufio.Reader
	each func(entry) error
	rows int64
}

func newReader(in io.Reader, limit int64, each func(entry) error) *reader {
	r := &reader{m: meter{in: in, limit: limit}, each: each}
	r.in = bufio.NewReaderSize(&r.m, 64<<10)
	return r
}

// emit gives out one user.
func (r *reader) emit(raw []byte) error {
	r.rows++
	return r.each(entry{r.rows, raw})
}

// page reads an answer of the API: {"users":[…],…}, or a list of users.
func (r *reader) page() (p page, err error) {
	p = page{start: -1, limit: -1, total: -1}
	dec := jsontext.NewDecoder(r.in, lenient...)
	switch r.m.allow(); dec.PeekKind() {
	case '[':
		p.bare = true
		if err := r.array(dec); err != nil {
			return p, err
		}
		return p, r.end(dec)
	case '{':
		dec.ReadToken() // the '{' that was just seen
	default:
		if _, err := dec.ReadToken(); err != nil {
			return p, r.fault(err)
		}
		return p, &web.Fault{Reason: "the answer is neither a JSON object nor a list"}
	}
	numbers := map[string]*int64{"start": &p.start, "limit": &p.limit, "total": &p.total}
	seen := map[string]bool{}
	for {
		r.m.allow()
		tok, err := dec.ReadToken()
		if err != nil {
			return p, r.fault(err)
		}
		if tok.Kind() == '}' {
			break
		}
		key := tok.String()
		if seen[key] {
			return p, &web.Fault{Reason: "the answer has a key twice"}
		}
		seen[key] = true
		if key == "users" {
			if err := r.array(dec); err != nil {
				return p, err
			}
			continue
		}
		r.m.allow()
		v, err := dec.ReadValue()
		if err != nil {
			return p, r.fault(err)
		}
		n := numbers[key]
		switch {
		case absent(v):
		case n != nil:
			if *n, err = strconv.ParseInt(string(v), 10, 64); err != nil || *n < 0 {
				return p, &web.Fault{Reason: "the answer's " + key + " is not a number"}
			}
		case key == "next":
			if v.Kind() != '"' {
				return p, &web.Fault{Reason: "the answer's next is not a string"}
			}
			p.next = text(v)
		}
	}
	if !seen["users"] {
		return p, &web.Fault{Reason: "the answer has no users"}
	}
	return p, r.end(dec)
}

// file reads JSON lines or a JSON array, told apart by content. end is what
// proves that it was read whole.
func (r *reader) file() (end string, err error) {
	r.m.allow()
	for {
		b, err := r.in.ReadByte()
		switch {
		case err == io.EOF:
			return "end of file", nil
		case err != nil:
			return "", r.fault(err)
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
			continue
		}
		r.in.UnreadByte() // just read
		if b != '[' {
			return "end of the last line", r.lines()
		}
		dec := jsontext.NewDecoder(r.in, lenient...)
		if err := r.array(dec); err != nil {
			return "", err
		}
		return "closing bracket", r.end(dec)
	}
}

// lines reads a user a line. A line that ends is the user's own affair; the
// last one, if nothing ends it, was cut off unless it is JSON.
func (r *reader) lines() error {
	for {
		r.m.allow()
		line, err := r.in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return r.fault(err)
		}
		line = bytes.TrimSpace(line)
		if err == io.EOF && len(line) > 0 && !jsontext.Value(line).IsValid(lenient...) {
			return r.fault(io.ErrUnexpectedEOF)
		}
		if len(line) > 0 {
			if err := r.emit(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// array reads the list of users before dec.
func (r *reader) array(dec *jsontext.Decoder) error {
	r.m.allow()
	switch tok, err := dec.ReadToken(); {
	case err != nil:
		return r.fault(err)
	case tok.Kind() != '[':
		return &web.Fault{Reason: "the users are not a list"}
	}
	for r.m.allow(); dec.PeekKind() != ']'; r.m.allow() {
		raw, err := dec.ReadValue()
		if err != nil {
			return r.fault(err)
		}
		if err := r.emit(raw); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return r.fault(err)
	}
	return nil
}

// end demands that nothing follows.
func (r *reader) end(dec *jsontext.Decoder) error {
	r.m.allow()
	switch _, err := dec.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return &web.Fault{Reason: "more after the end of the users"}
	default:
		return r.fault(err)
	}
}

// fault says in our own words what stopped the reading: errors of parsers
// quote their input.
func (r *reader) fault(err error) error {
	var f *web.Fault
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errTooLong):
		return &web.Fault{Reason: fmt.Sprintf("the users are over %d bytes", r.m.limit)}
	case errors.Is(err, errUserTooLong):
		return &web.Fault{Reason: fmt.Sprintf("user %d is over %d bytes", r.rows+1, maxUser)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &web.Fault{Reason: fmt.Sprintf("the users end too early after user %d, at byte %d", r.rows, r.m.n)}
	case errors.As(err, &syntax):
		return &web.Fault{Reason: fmt.Sprintf("not JSON after user %d", r.rows)}
	}
	return &web.Fault{Reason: fmt.Sprintf("the users could not be read after user %d, at byte %d", r.rows, r.m.n)}
}

var (
	errTooLong     = errors.New("users too long")
	errUserTooLong = errors.New("user too long")
)

// A meter counts what is read, and fails where all of it or one user is too
// long.
type meter struct {
	in       io.Reader
	n, limit int64
	user     int64 // where the user that is being read must have ended
}

// allow lets maxUser more be read.
func (m *meter) allow() { m.user = m.n + maxUser }

func (m *meter) Read(p []byte) (int, error) {
	// One byte over the limit is read to see whether there is one.
	room := min(m.user, m.limit+1) - m.n
	if room <= 0 {
		if m.n > m.limit {
			return 0, errTooLong
		}
		return 0, errUserTooLong
	}
	n, err := m.in.Read(p[:min(int64(len(p)), room)])
	m.n += int64(n)
	if m.n > m.limit {
		return n, errTooLong
	}
	return n, err
}
