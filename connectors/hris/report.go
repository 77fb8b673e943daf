package hris

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors/web"
)

// maxRow bounds one row, and with it the memory of the whole reader. Rows
// with every column that Workday offers are some 10 KB.
const maxRow = 1 << 20

// An entry is one element of the report's list.
type entry struct {
	number int64  // counted from 1
	offset int64  // of its first byte in the report, uncompressed
	raw    []byte // valid until the next one is read; well-formed JSON, but keys may recur and text be no UTF-8
}

// readReport calls each for every row of a report, and returns how many there
// were. The error is nil only if the report was closed and nothing came after
// it; it is that of each as it is, or a *web.Fault.
func readReport(m *meter, each func(entry) error) (rows int64, err error) {
	// Rows are judged one by one (mapping.parse): here they need only end.
	dec := jsontext.NewDecoder(m, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	expect := func(kind jsontext.Kind, otherwise string) (jsontext.Token, error) {
		m.allow(dec)
		tok, err := dec.ReadToken()
		if err != nil {
			return tok, m.fault(err, rows)
		}
		if tok.Kind() != kind {
			return tok, &web.Fault{Reason: otherwise}
		}
		return tok, nil
	}
	// A key that nobody knows may well say that there is more.
	const another = "a key beside Report_Entry"
	if _, err := expect('{', "the report is not a JSON object"); err != nil {
		return rows, err
	}
	if m.allow(dec); dec.PeekKind() != '}' {
		if name, err := expect('"', another); err != nil {
			return rows, err
		} else if name.String() != "Report_Entry" {
			return rows, &web.Fault{Reason: another}
		}
		if _, err := expect('[', "Report_Entry is not a list"); err != nil {
			return rows, err
		}
		for m.allow(dec); dec.PeekKind() != ']'; m.allow(dec) {
			raw, err := dec.ReadValue()
			if err != nil {
				return rows, m.fault(err, rows)
			}
			rows++
			if err := each(entry{rows, dec.InputOffset() - int64(len(raw)), raw}); err != nil {
				return rows, err
			}
		}
		if _, err := expect(']', ""); err != nil {
			return rows, err
		}
	}
	if _, err := expect('}', another); err != nil {
		return rows, err
	}
	m.allow(dec)
	switch _, err := dec.ReadToken(); err {
	case io.EOF:
		return rows, nil
	case nil:
		return rows, &web.Fault{Reason: "more after the closing brace"}
	default:
		return rows, m.fault(err, rows)
	}
}

var (
	errReportTooLong = errors.New("report too long")
	errRowTooLong    = errors.New("row too long")
)

// A meter counts what is read, and fails where a report or a row is too long.
type meter struct {
	in       io.Reader
	n, limit int64
	row      int64 // where the row that is being read must have ended
}

// allow lets dec read maxRow more than it has given out.
func (m *meter) allow(dec *jsontext.Decoder) { m.row = dec.InputOffset() + maxRow }

func (m *meter) Read(p []byte) (int, error) {
	// One byte over the limit is read to see whether there is one.
	room := min(m.row, m.limit+1) - m.n
	if room <= 0 {
		if m.n > m.limit {
			return 0, errReportTooLong
		}
		return 0, errRowTooLong
	}
	n, err := m.in.Read(p[:min(int64(len(p)), room)])
	m.n += int64(n)
	if m.n > m.limit {
		return n, errReportTooLong
	}
	return n, err
}

// fault says in our own words what stopped the reading: errors of parsers
// quote their input.
func (m *meter) fault(err error, rows int64) error {
	var f *web.Fault
	var syntax *jsontext.SyntacticError
	at := fmt.Sprintf(" after row %d, at byte %d", rows, m.n)
	switch {
	case errors.As(err, &f) && !errors.Is(f, io.ErrUnexpectedEOF):
		return &web.Fault{Reason: f.Reason + at}
	case errors.Is(err, errReportTooLong):
		return &web.Fault{Reason: fmt.Sprintf("the report is over %d bytes", m.limit)}
	case errors.Is(err, errRowTooLong):
		return &web.Fault{Reason: fmt.Sprintf("row %d is over %d bytes", rows+1, maxRow)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &web.Fault{Reason: "the report ends too early" + at}
	case errors.As(err, &syntax):
		return &web.Fault{Reason: fmt.Sprintf("not JSON after row %d, at byte %d", rows, syntax.ByteOffset)}
	}
	return &web.Fault{Reason: "the file or its compression is broken" + at}
}

// A cell is what a row says in one column.
type cell struct {
	text string
	kind kind
}

// A kind is the form of a cell. A column left out and one of null say nothing.
type kind byte

const (
	absent kind = iota
	text
	other // a number, a boolean, an object or a list
)

// A row is one worker, in the columns that are mapped.
type row [numColumns]cell

// parse reads one entry. A reason is why it is set aside.
func (m *mapping) parse(raw []byte) (r row, reason string) {
	if len(raw) == 0 || raw[0] != '{' {
		return row{}, "not an object"
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	err := m.cells(dec, func(c column, v cell) { r[c] = v })
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return row{}, "a key occurs twice"
	case err != nil:
		return row{}, "text that is not Unicode"
	}
	return r, ""
}

// recordOf returns the EmployeeID of a row that parse set aside, if it can
// still be told, so that the worker does not seem to have left.
func (m *mapping) recordOf(raw []byte) string {
	if len(raw) == 0 || raw[0] != '{' {
		return ""
	}
	var r row
	times := 0
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := m.cells(dec, func(c column, v cell) {
		if c == employeeID {
			times++
		}
		r[c] = v
	})
	if err != nil || times != 1 || strings.ContainsRune(r[employeeID].text, utf8.RuneError) {
		return ""
	}
	id, _ := r.record()
	return id
}

// cells calls each for every mapped column of the object before dec.
func (m *mapping) cells(dec *jsontext.Decoder, each func(column, cell)) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if tok.Kind() == '}' {
			return nil
		}
		c, mapped := m.columns[tok.String()]
		if !mapped || dec.PeekKind() != '"' {
			k := dec.PeekKind()
			if err := dec.SkipValue(); err != nil {
				return err
			}
			if mapped && k != 'n' {
				each(c, cell{kind: other})
			}
			continue
		}
		if tok, err = dec.ReadToken(); err != nil {
			return err
		}
		each(c, cell{tok.String(), text})
	}
}
