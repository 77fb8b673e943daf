package directory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors/file"
	"example.org/cis/connectors/web"
)

// DefaultMaxFile bounds a file where Config sets no MaxBytes.
const DefaultMaxFile = 16 << 30

// maxPageToken bounds what names the next page: it is sent in a URL.
const maxPageToken = 2048

// A fault is why the directory could not be read whole, in words that hold
// nothing of what was read.
type fault string

func (f fault) Error() string { return string(f) }

// An entry is one profile as it was found.
type entry struct {
	place string
	raw   []byte // valid until the next one is read; it may be no JSON at all
	long  bool   // raw is left out, because it is over maxRecord
}

// A list reads profiles from one answer or one file.
type list struct {
	place string // of the whole, with what the numbers count: "users:page 1 item "
	each  func(entry) error
	n     int // profiles so far
}

// found gives out one profile.
func (l *list) found(raw []byte, long bool) error {
	l.n++
	return l.each(entry{fmt.Sprintf("%s%d", l.place, l.n), raw, long})
}

// page reads {"Items":[…],"nextPage":…}, which must be all there is. It
// returns what names the next page, "" if the page says that there is none.
func (l *list) page(in io.Reader) (next string, err error) {
	g := &gate{in: in}
	dec := g.decoder()
	if err := l.expect(g, dec, '{', "the answer is not a JSON object"); err != nil {
		return "", err
	}
	items, token := false, false
	for g.allow(dec); dec.PeekKind() != '}'; g.allow(dec) {
		tok, err := dec.ReadToken()
		if err != nil {
			return "", l.broken(err)
		}
		switch name := tok.String(); {
		case name == "Items" && !items:
			items = true
			if err := l.array(g, dec); err != nil {
				return "", err
			}
		case name == "nextPage" && !token:
			token = true
			g.allow(dec)
			raw, err := dec.ReadValue()
			if err != nil {
				return "", l.broken(err)
			}
			if next, err = pageToken(raw); err != nil {
				return "", err
			}
		default: // it may well say that there is more
			return "", fault("a key beside Items and nextPage, or one of them twice")
		}
	}
	if err := l.end(g, dec, '}'); err != nil {
		return "", err
	}
	switch {
	case !items:
		return "", fault("an answer without Items")
	case !token:
		return "", fault("an answer without nextPage, cut short")
	}
	return next, nil
}

// pageToken reads null as "", or "token" or {"id":"token"}.
func pageToken(raw jsontext.Value) (token string, err error) {
	switch raw.Kind() {
	case 'n':
		return "", nil
	case '{':
		var id struct {
			ID string `json:"id"`
		}
		err = json.Unmarshal(raw, &id, json.RejectUnknownMembers(true))
		token = id.ID
	default:
		err = json.Unmarshal(raw, &token)
	}
	if err != nil || token == "" || len(token) > maxPageToken {
		return "", fault(`nextPage is neither null nor a token, "…" or {"id":"…"}`)
	}
	return token, nil
}

// bare reads a list of profiles that is all there is.
func (l *list) bare(in io.Reader) error {
	g := &gate{in: in}
	dec := g.decoder()
	if err := l.array(g, dec); err != nil {
		return err
	}
	return l.end(g, dec, 0)
}

func (l *list) array(g *gate, dec *jsontext.Decoder) error {
	if err := l.expect(g, dec, '[', "Items are not a list"); err != nil {
		return err
	}
	for g.allow(dec); dec.PeekKind() != ']'; g.allow(dec) {
		raw, err := dec.ReadValue()
		if err != nil {
			return l.broken(err)
		}
		if err := l.found(raw, false); err != nil {
			return err
		}
	}
	return l.expect(g, dec, ']', "")
}

// end demands the closing kind, unless it is 0, and then nothing more.
func (l *list) end(g *gate, dec *jsontext.Decoder, kind jsontext.Kind) error {
	if kind != 0 {
		if err := l.expect(g, dec, kind, ""); err != nil {
			return err
		}
	}
	g.allow(dec)
	switch _, err := dec.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return fault("more after the end of the list")
	default:
		return l.broken(err)
	}
}

func (l *list) expect(g *gate, dec *jsontext.Decoder, kind jsontext.Kind, otherwise fault) error {
	g.allow(dec)
	tok, err := dec.ReadToken()
	switch {
	case err != nil:
		return l.broken(err)
	case tok.Kind() != kind:
		return otherwise
	}
	return nil
}

// lines reads one profile a line. A line that is no profile costs only
// itself; what follows the last line break must be whole.
func (l *list) lines(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return l.broken(err)
		}
		line = bytes.TrimSpace(line)
		if err == io.EOF && (long || len(line) > 0 && members(line, func(string, []byte) {}) != nil) {
			return l.broken(io.ErrUnexpectedEOF)
		}
		if long || len(line) > 0 {
			if err := l.found(line, long); err != nil {
				return err
			}
		} else if err == nil {
			l.n++ // lines are counted, the blank ones too
		}
		if err == io.EOF {
			return nil
		}
	}
}

// broken says in our own words what stopped the reading: errors of parsers
// quote their input.
func (l *list) broken(err error) error {
	var (
		ours   fault
		theirs *web.Fault
		syntax *jsontext.SyntacticError
	)
	after := fmt.Sprintf(" after %s%d", l.place, l.n)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, errTooLong):
		return fault("a profile is over 1048576 bytes," + after)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault("the list ends too early," + after)
	case errors.As(err, &theirs):
		return fault(theirs.Reason + "," + after)
	case errors.As(err, &syntax):
		return fault("not JSON" + after)
	}
	return fault("the reading or the decompression broke" + after)
}

var errTooLong = errors.New("profile too long")

// A gate lets a decoder read so far and no further, so that its memory is
// bounded.
type gate struct {
	in     io.Reader
	n, end int64
}

// decoder returns a decoder behind the gate. Profiles are judged one by one:
// here they need only end.
func (g *gate) decoder() *jsontext.Decoder {
	return jsontext.NewDecoder(g, lenient)
}

// allow lets dec read maxRecord more than it has given out.
func (g *gate) allow(dec *jsontext.Decoder) { g.end = dec.InputOffset() + maxRecord }

func (g *gate) Read(p []byte) (int, error) {
	if g.n >= g.end {
		return 0, errTooLong
	}
	n, err := g.in.Read(p[:min(int64(len(p)), g.end-g.n)])
	g.n += int64(n)
	return n, err
}

// A meter counts what is read. Beyond its limit, if it has one, it fails.
type meter struct {
	in       io.Reader
	n, limit int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	if m.n += int64(n); m.limit > 0 && m.n > m.limit {
		return 0, fault(fmt.Sprintf("the file is over %d bytes", m.limit))
	}
	return n, err
}

// readFile reads a file, and says what ended it. Its errors are a fault, or
// those of each as they are.
func readFile(name, place string, limit int64, each func(entry) error) (bytes int64, end string, err error) {
	in, err := file.Open(name)
	if err != nil {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner // "no such file or directory", without the path
		}
		return 0, "", fault("the file could not be opened: " + err.Error())
	}
	defer in.Close()
	m := &meter{in: in, limit: limit}
	end, err = read(m, place, each)
	return m.n, end, err
}

// read reads what a file may hold. The first bytes tell which form it has: a
// profile has no attribute Items or nextPage.
func read(in io.Reader, place string, each func(entry) error) (end string, err error) {
	buffered := bufio.NewReaderSize(in, maxRecord)
	begin, _ := buffered.Peek(512) // an error comes back with what is read
	begin = bytes.TrimLeft(begin, " \t\r\n")
	inner, isObject := bytes.CutPrefix(begin, []byte("{"))
	inner = bytes.TrimLeft(inner, " \t\r\n")
	switch {
	case bytes.HasPrefix(begin, []byte("[")):
		l := &list{place: place + ":item ", each: each}
		return "closing bracket", l.bare(buffered)
	case isObject && (bytes.HasPrefix(inner, []byte(`"Items"`)) || bytes.HasPrefix(inner, []byte(`"nextPage"`))):
		l := &list{place: place + ":item ", each: each}
		next, err := l.page(buffered)
		if err == nil && next != "" {
			err = fault("the file is a page, and names another one")
		}
		return "closing brace, nextPage null", err
	}
	l := &list{place: place + ":line ", each: each}
	return "end of the last line", l.lines(buffered)
}
