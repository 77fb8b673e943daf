package ldap

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.org/cis/connectors/file"
)

// maxEntry bounds the bytes of one record in a file; photos are the largest
// things that directories hold.
const maxEntry = 8 << 20

// maxAttributes bounds what is remembered of the attributes of a file.
const maxAttributes = 1000

// An ldifFile reads the entries of an LDIF file, once a call of read.
type ldifFile struct {
	path string
	was  os.FileInfo // at the first read
}

func (l *ldifFile) close() {}

// read yields the entries that match q, and those that could not be read far
// enough to know.
func (l *ldifFile) read(ctx context.Context, q query, yield func(*entry) error) (bytesRead int64, end string, err error) {
	match, err := parseFilter(q.filter)
	if err != nil {
		return 0, "", err
	}
	bases, err := parseNames(q.bases)
	if err != nil {
		return 0, "", err
	}
	if err := l.unchanged(); err != nil {
		return 0, "", err
	}
	f, err := file.Open(l.path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	wanted := map[string]bool{"objectclass": true, "entryuuid": true}
	for _, a := range append(match.names, q.attributes...) {
		wanted[strings.ToLower(a)] = true
	}
	p := newLDIFParser(f, filepath.Base(l.path), wanted)
	records := 0
	for ; ; records++ {
		if err := ctx.Err(); err != nil {
			return p.bytes, "", err
		}
		e, err := p.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return p.bytes, "", err
		}
		if e.fault == "" || e.dn != "" {
			n, err := parseName(e.dn)
			if err != nil {
				e.fault = cmp.Or(e.fault, "dn cannot be parsed")
			} else if !underAny(n, bases) {
				continue
			}
		}
		if e.fault != "" || match.match(e) {
			if err := yield(e); err != nil {
				return p.bytes, "", err
			}
		}
	}
	return p.bytes, fmt.Sprintf("end of file after %d records", records), l.unchanged()
}

// unchanged fails if the file is another one than at the first call, or was
// written to.
func (l *ldifFile) unchanged() error {
	now, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	if l.was == nil {
		l.was = now
	}
	if !os.SameFile(l.was, now) || l.was.Size() != now.Size() || !l.was.ModTime().Equal(now.ModTime()) {
		return errors.New("the file changed while it was read")
	}
	return nil
}

func underAny(n name, bases []name) bool {
	for _, b := range bases {
		if n.under(b) {
			return true
		}
	}
	return len(bases) == 0
}

// An ldifParser reads records of LDIF (RFC 2849): content records only, of
// which it keeps the wanted attributes. Beyond the RFC it takes UTF-8 where
// ASCII is asked for, as most writers put it there, and a byte order mark.
type ldifParser struct {
	r      *bufio.Reader
	file   string
	wanted map[string]bool // by lower-case name; nil wants all
	// lower are attributes as they were read so far, in lower case; "" of
	// what is none.
	lower map[string]string

	line   int   // of the physical line read last
	bytes  int64 // read so far
	record int   // bytes of the record so far
	buf    []byte
	begun  bool // something other than comments was read
}

func newLDIFParser(r io.Reader, file string, wanted map[string]bool) *ldifParser {
	return &ldifParser{r: bufio.NewReaderSize(r, 64<<10), file: file, wanted: wanted, lower: map[string]string{}}
}

// next returns the next record. A record that is malformed has a fault; the
// next one is not affected. io.EOF is the end of the file; every other error
// is of the file as a whole.
func (p *ldifParser) next() (*entry, error) {
	p.record = 0
	var e *entry
	for {
		line, at, err := p.logical()
		if err == io.EOF && e != nil {
			return e, nil
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if e != nil {
				return e, nil
			}
			p.record = 0
			continue
		}
		attribute, value, fault := p.split(line)
		if !p.begun {
			p.begun = true
			if attribute == "version" {
				if string(value) != "1" {
					return nil, fmt.Errorf("%s:%d: LDIF of a version other than 1", p.file, at)
				}
				continue
			}
		}
		if attribute == "changetype" || attribute == "control" && e != nil && len(e.values) == 0 {
			return nil, fmt.Errorf("%s:%d: a change record; want the entries themselves, not changes of them", p.file, at)
		}
		if p.record > maxEntry {
			attribute, fault = "", fmt.Sprintf("record is longer than %d bytes", maxEntry)
		}
		if e == nil {
			e = &entry{place: p.file + ":" + strconv.Itoa(at), values: map[string][]string{}}
			if fault == "" && attribute != "dn" {
				fault = "record does not begin with dn"
			}
			if fault == "" && !utf8.Valid(value) {
				fault = "dn is not UTF-8"
			}
			if fault == "" {
				e.dn = string(value)
			}
		} else if fault == "" && attribute == "dn" {
			fault = "a second dn; is there no empty line before it?"
		} else if fault == "" && (p.wanted == nil || p.wanted[attribute]) {
			e.values[attribute] = append(e.values[attribute], string(value))
		}
		if fault != "" {
			e.fault = cmp.Or(e.fault, fmt.Sprintf("line %d: %s", at, fault))
			e.lost = append(e.lost, attribute)
		}
	}
}

// split splits a line at its colon, with the attribute in lower case, and
// decodes the value.
func (p *ldifParser) split(line []byte) (attribute string, value []byte, fault string) {
	a, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return "", nil, "no colon"
	}
	if attribute = p.attribute(a); attribute == "" {
		return "", nil, "no attribute before the colon"
	}
	switch {
	case len(value) > 0 && value[0] == '<':
		return attribute, nil, "a value by URL (:<) is not read"
	case len(value) > 0 && value[0] == ':':
		value = bytes.Trim(value[1:], " ")
		n, err := base64.StdEncoding.Decode(value, value) // shorter than its source
		if err != nil {
			return attribute, nil, "invalid base64"
		}
		return attribute, value[:n], ""
	}
	value = bytes.TrimLeft(value, " ")
	if !utf8.Valid(value) {
		return attribute, nil, "not UTF-8"
	}
	return attribute, value, ""
}

// attribute returns an attribute in lower case, "" of what is none. A file
// has few, which are judged once.
func (p *ldifParser) attribute(read []byte) string {
	attribute, known := p.lower[string(read)]
	if known {
		return attribute
	}
	attribute = strings.ToLower(string(read))
	if description, _, _ := strings.Cut(attribute, ";"); !attributeName.MatchString(description) {
		attribute = ""
	}
	if len(p.lower) < maxAttributes {
		p.lower[string(read)] = attribute
	}
	return attribute
}

// logical reads one line with its continuations, and the number of its first
// physical line. Comments are skipped; an empty line is returned as such. The
// result is valid until the next call.
func (p *ldifParser) logical() (line []byte, at int, err error) {
	for {
		p.buf = p.buf[:0]
		at = p.line + 1
		before := p.record
		if err := p.physical(); err != nil {
			return nil, at, err
		}
		if len(p.buf) == 0 {
			return nil, at, nil
		}
		for {
			next, err := p.r.Peek(1)
			if err == io.EOF || err == nil && next[0] != ' ' {
				break
			}
			if err != nil {
				return nil, at, p.cut(err)
			}
			if _, err := p.r.Discard(1); err != nil {
				return nil, at, p.cut(err)
			}
			p.bytes++
			if err := p.physical(); err != nil {
				return nil, at, err
			}
		}
		if p.buf[0] != '#' {
			return p.buf, at, nil
		}
		p.record = before
	}
}

// physical appends the next physical line to buf, without its end. Of a
// record beyond maxEntry it keeps nothing but whether lines are empty.
func (p *ldifParser) physical() error {
	p.line++
	for n := 0; ; {
		part, err := p.r.ReadSlice('\n')
		n += len(part)
		p.bytes += int64(len(part))
		p.record += len(part)
		if p.record <= maxEntry {
			p.buf = append(p.buf, part...)
		} else if len(p.buf) == 0 && len(bytes.TrimRight(part, "\r\n")) > 0 {
			p.buf = append(p.buf, '?')
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && n == 0 && len(p.buf) == 0:
			return io.EOF
		case err == io.EOF:
			return p.cut(io.ErrUnexpectedEOF)
		case err != nil:
			return p.cut(err)
		}
		if p.line == 1 {
			p.buf = bytes.TrimPrefix(p.buf, []byte("\ufeff"))
		}
		p.buf = bytes.TrimSuffix(bytes.TrimSuffix(p.buf, []byte{'\n'}), []byte{'\r'})
		return nil
	}
}

// cut says where reading ended too early. Writers end every line, so that a
// file that ends within one was cut short.
func (p *ldifParser) cut(err error) error {
	return fmt.Errorf("%s: cut short at line %d: %w", p.file, p.line, err)
}
