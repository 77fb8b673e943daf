package people

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends the attribute as canonical JSON, without its signature
// if signed is false: those are the bytes that get signed.
func (a Attribute) AppendJSON(b []byte, signed bool) []byte {
	b = append(b, `{"metadata":`...)
	b = a.Metadata.appendJSON(b)
	if signed {
		b = append(b, `,"signature":{"additional":[`...)
		for i, m := range a.Signature.Additional {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.appendJSON(b)
		}
		b = append(b, `],"publisher":`...)
		b = append(a.Signature.Publisher.appendJSON(b), '}')
	}
	if a.Value.plural {
		b = append(b, `,"values":`...)
	} else {
		b = append(b, `,"value":`...)
	}
	return append(a.Value.AppendJSON(b), '}')
}

func (m Metadata) appendJSON(b []byte) []byte {
	b = append(b, `{"classification":`...)
	b = AppendQuoted(b, m.Classification)
	b = append(b, `,"created":`...)
	b = appendOptional(b, m.Created)
	b = append(b, `,"display":`...)
	b = appendOptional(b, m.Display)
	b = append(b, `,"last_modified":`...)
	b = appendOptional(b, m.LastModified)
	if m.Verified {
		return append(b, `,"verified":true}`...)
	}
	return append(b, `,"verified":false}`...)
}

func (m Mark) appendJSON(b []byte) []byte {
	b = append(b, `{"alg":`...)
	b = AppendQuoted(b, m.Alg)
	b = append(b, `,"name":`...)
	b = appendOptional(b, m.Name)
	b = append(b, `,"typ":`...)
	b = AppendQuoted(b, m.Typ)
	b = append(b, `,"value":`...)
	return append(AppendQuoted(b, m.Value), '}')
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return AppendQuoted(b, s)
}

// AppendJSON appends the profile as RFC 8785 canonical JSON.
func (p *Profile) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	first, schema, in := true, false, ""
	sep := func() {
		if !first {
			b = append(b, ',')
		}
		first = false
	}
	writeSchema := func() {
		sep()
		b = append(b, `"schema":`...)
		b = AppendQuoted(b, p.Schema)
		schema = true
	}
	for _, n := range p.Attributes {
		container, name := n.Path.Split()
		if in != "" && container != in {
			b, in, first = append(b, '}'), "", false
		}
		if top := string(n.Path); !schema && in == "" && compareKeys("schema", top) < 0 {
			writeSchema()
		}
		if container != in {
			sep()
			b = append(AppendQuoted(b, container), ':', '{')
			in, first = container, true
		}
		sep()
		b = append(AppendQuoted(b, name), ':')
		b = n.Attribute.AppendJSON(b, true)
	}
	if in != "" {
		b, first = append(b, '}'), false
	}
	if !schema {
		writeSchema()
	}
	return append(b, '}')
}

// ParseProfile reads one profile, which must be the whole of b. An error
// names the place as a JSON pointer and never a value.
func ParseProfile(b []byte) (*Profile, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(b))
	p := new(Profile)
	if err := p.read(dec); err != nil {
		return nil, placed(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, fmt.Errorf("people: more after the end of the profile")
	}
	return p, nil
}

// ParseAttribute reads one attribute, which must be the whole of b.
func ParseAttribute(b []byte) (Attribute, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(b))
	a, err := readAttribute(dec)
	if err != nil {
		return Attribute{}, placed(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return Attribute{}, fmt.Errorf("people: more after the end of the attribute")
	}
	return a, nil
}

// placed says where JSON breaks without what stands there, which jsontext
// quotes.
func placed(err error) error {
	var s *jsontext.SyntacticError
	switch {
	case err == io.EOF:
		return errors.New("people: nothing there")
	case !errors.As(err, &s):
		return err
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Errorf("people: %s: a name that is there twice", s.JSONPointer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("people: %s: cut short", s.JSONPointer)
	}
	return fmt.Errorf("people: %s: not JSON in UTF-8 at byte %d", s.JSONPointer, s.ByteOffset)
}

// MarshalJSONTo writes the canonical form.
func (p *Profile) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(p.AppendJSON(enc.AvailableBuffer()))
}

// UnmarshalJSONFrom reads as ParseProfile does.
func (p *Profile) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*p = Profile{}
	return p.read(dec)
}

// MarshalJSONTo writes the canonical form, signature included.
func (a Attribute) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(a.AppendJSON(enc.AvailableBuffer(), true))
}

// UnmarshalJSONFrom reads as ParseAttribute does.
func (a *Attribute) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	got, err := readAttribute(dec)
	*a = got
	return err
}

func (p *Profile) read(dec *jsontext.Decoder) error {
	sorted := true
	add := func(path Path, a Attribute) {
		if n := len(p.Attributes); n > 0 && p.Attributes[n-1].Path >= path {
			sorted = false
		}
		p.Attributes = append(p.Attributes, Named{path, a})
	}
	err := readObject(dec, func(name string) error {
		if name == "schema" {
			s, err := readString(dec)
			p.Schema = s
			return err
		}
		if !isName(name) {
			return fmt.Errorf("people: %s: not an attribute's name", dec.StackPointer())
		}
		// An object is an attribute if it has a field of one, else a container.
		a, inside := attributeReader{}, 0
		err := readObject(dec, func(second string) error {
			switch {
			case isField(second):
				return a.field(dec, second)
			case !isName(second):
				return fmt.Errorf("people: %s: not an attribute's name", dec.StackPointer())
			}
			inside++
			got, err := readAttribute(dec)
			add(Path(name+"."+second), got)
			return err
		})
		switch {
		case err != nil || a.fields == 0:
			return err
		case inside > 0:
			return fmt.Errorf("people: %s: unknown field, or attributes inside an attribute", dec.StackPointer())
		}
		add(Path(name), a.Attribute)
		return a.check(dec)
	})
	if err != nil {
		return err
	}
	if !sorted {
		slices.SortFunc(p.Attributes, func(a, b Named) int { return strings.Compare(string(a.Path), string(b.Path)) })
	}
	return nil
}

// isName reports whether an attribute or a container can have the name: only
// letters, digits and "_", whose order is the same in names, in paths and in
// canonical JSON, and not the name of an attribute's own field.
func isName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && !isField(name)
}

func isField(name string) bool {
	return name == "signature" || name == "metadata" || name == "value" || name == "values"
}

func readAttribute(dec *jsontext.Decoder) (Attribute, error) {
	var a attributeReader
	if err := readObject(dec, func(name string) error { return a.field(dec, name) }); err != nil {
		return Attribute{}, err
	}
	return a.Attribute, a.check(dec)
}

// An attributeReader counts the fields that it reads, and those of them that
// hold the value.
type attributeReader struct {
	Attribute
	fields, values int
}

func (a *attributeReader) field(dec *jsontext.Decoder, name string) (err error) {
	a.fields++
	switch name {
	case "signature":
		a.Signature, err = readSignature(dec)
	case "metadata":
		a.Metadata, err = readMetadata(dec)
	case "value", "values":
		a.values++
		a.Value, err = readValue(dec, name == "values")
		if err == nil && !a.Value.IsNull() && a.Value.plural != (name == "values") {
			err = fmt.Errorf("people: %s: a %s cannot stand under %q", dec.StackPointer(), a.Value.kind, name)
		}
	default:
		err = fmt.Errorf("people: %s: unknown field", dec.StackPointer())
	}
	return err
}

func (a *attributeReader) check(dec *jsontext.Decoder) error {
	if a.values != 1 {
		return fmt.Errorf("people: %s: want exactly one of value and values", dec.StackPointer())
	}
	return nil
}

func readMetadata(dec *jsontext.Decoder) (Metadata, error) {
	var m Metadata
	err := readObject(dec, func(name string) (err error) {
		switch name {
		case "classification":
			m.Classification, err = readString(dec)
		case "last_modified":
			m.LastModified, err = readString(dec)
		case "created":
			m.Created, err = readString(dec)
		case "display":
			m.Display, err = readString(dec)
		case "verified":
			switch k := dec.PeekKind(); k {
			case 't', 'f', 0:
				_, err = dec.ReadToken()
				m.Verified = k == 't'
			default:
				err = fmt.Errorf("people: %s: want a boolean", dec.StackPointer())
			}
		default:
			err = fmt.Errorf("people: %s: unknown field", dec.StackPointer())
		}
		return err
	})
	return m, err
}

func readSignature(dec *jsontext.Decoder) (Signature, error) {
	var s Signature
	err := readObject(dec, func(name string) (err error) {
		switch name {
		case "publisher":
			s.Publisher, err = readMark(dec)
		case "additional":
			switch dec.PeekKind() {
			case 'n', 0:
				_, err = dec.ReadToken()
				return err
			case '[':
			default:
				return fmt.Errorf("people: %s: want a list", dec.StackPointer())
			}
			if _, err = dec.ReadToken(); err != nil {
				return err
			}
			for dec.PeekKind() != ']' {
				m, err := readMark(dec)
				if err != nil {
					return err
				}
				s.Additional = append(s.Additional, m)
			}
			_, err = dec.ReadToken()
		default:
			err = fmt.Errorf("people: %s: unknown field", dec.StackPointer())
		}
		return err
	})
	return s, err
}

func readMark(dec *jsontext.Decoder) (Mark, error) {
	var m Mark
	err := readObject(dec, func(name string) (err error) {
		switch name {
		case "alg":
			m.Alg, err = readString(dec)
		case "typ":
			m.Typ, err = readString(dec)
		case "name":
			m.Name, err = readString(dec)
		case "value":
			m.Value, err = readString(dec)
		default:
			err = fmt.Errorf("people: %s: unknown field", dec.StackPointer())
		}
		return err
	})
	return m, err
}

// readString reads a string, or null as "".
func readString(dec *jsontext.Decoder) (string, error) {
	switch dec.PeekKind() {
	case 'n':
		_, err := dec.ReadToken()
		return "", err
	case '"':
		tok, err := dec.ReadToken()
		if err != nil {
			return "", err
		}
		return tok.String(), nil
	case 0:
		_, err := dec.ReadToken()
		return "", err
	}
	return "", fmt.Errorf("people: %s: want a string", dec.StackPointer())
}

// readObject calls field for each key of an object, with the decoder before
// the value.
func readObject(dec *jsontext.Decoder, field func(name string) error) error {
	switch dec.PeekKind() {
	case '{':
	case 0:
		_, err := dec.ReadToken()
		return err
	default:
		if _, err := dec.ReadValue(); err != nil { // now the pointer points to it, also in a list
			return err
		}
		return fmt.Errorf("people: %s: want an object", dec.StackPointer())
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := field(tok.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}
