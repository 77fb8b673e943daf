package change

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// The limits of a body, beside its length.
const (
	maxDepth   = 16
	maxEntries = 2000 // of one object or list
)

// unnamed stands for a name that is not repeated.
const unnamed = "*"

// read reads a body whole.
func (f *face) read(r *http.Request, most int64) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, &api.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding", Description: "bodies are not compressed"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge(most)
	}
	if err != nil {
		return nil, &api.Error{Status: http.StatusBadRequest, Code: invalidBody, Description: "the body was not received whole", Cause: err}
	}
	return body, nil
}

const invalidBody = "invalid_body"

func tooLarge(most int64) error {
	return &api.Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Description: "more than " + strconv.FormatInt(most>>20, 10) + " MiB"}
}

func invalid(place, what string) error {
	if place == "" {
		place = "the body"
	}
	return &api.Error{Status: http.StatusBadRequest, Code: invalidBody, Description: place + ": " + what}
}

// names are the words of profiles, which may be repeated in an answer.
func names(cat *catalogue.Catalogue) map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{"schema", "signature", "metadata", "value", "values", "publisher", "additional", "alg", "typ", "name",
		"classification", "last_modified", "created", "verified", "display"} {
		m[name] = true
	}
	for _, c := range cat.Containers {
		m[c.Name] = true
	}
	for _, a := range cat.Attributes {
		_, name := a.Path.Split()
		m[name] = true
	}
	return m
}

// place is a JSON pointer whose words are known: keys of maps can be anything,
// and are not repeated.
func (f *face) place(path []string) string {
	var b strings.Builder
	for i, word := range path {
		if _, err := strconv.ParseUint(word, 10, 16); err != nil && !f.names[word] || slices.Contains(path[:i], "values") {
			word = unnamed
		}
		b.WriteString("/" + word)
	}
	return b.String()
}

// profiles reads a list of profiles.
func (f *face) profiles(body []byte) ([]Request, error) {
	body, err := f.unquote(body, "")
	if err != nil {
		return nil, err
	}
	if err := f.check(body, nil, nil); err != nil {
		return nil, err
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if dec.PeekKind() != '[' {
		return nil, invalid("", "want a list of profiles")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, invalid("", "not JSON")
	}
	reqs := []Request{}
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, invalid("", "not JSON")
		}
		if len(reqs) == MaxPeople {
			return nil, invalid("", "more than "+strconv.Itoa(MaxPeople)+" profiles")
		}
		req, err := f.profile(raw, strconv.Itoa(len(reqs)))
		if err != nil {
			return nil, err
		}
		reqs = append(reqs, req)
	}
	return reqs, nil
}

// profile reads one profile, which is at index of a list, if that is not "".
func (f *face) profile(body []byte, index string) (req Request, err error) {
	var at []string
	if index != "" {
		at = []string{index}
	}
	if body, err = f.unquote(body, index); err != nil {
		return req, err
	}
	if len(body) > MaxProfile {
		return req, tooLarge(MaxProfile)
	}
	if err := f.check(body, at, &req.Unfit); err != nil {
		return req, err
	}
	if req.Profile, err = people.ParseProfile(body); err != nil {
		place, what := "", strings.TrimPrefix(err.Error(), "people: ")
		if i := strings.LastIndex(what, ": "); i >= 0 {
			place, what = what[:i], what[i+2:]
		}
		if place != "" {
			at = append(at, strings.Split(place[1:], "/")...)
		}
		return req, invalid(f.place(at), what)
	}
	return req, nil
}

// unquote takes the JSON out of a string: older publishers encode twice.
func (f *face) unquote(body []byte, index string) ([]byte, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'"'}) {
		return body, nil
	}
	var text string
	if json.Unmarshal(body, &text) != nil {
		return nil, invalid(strings.TrimSuffix("/"+index, "/"), "not JSON in UTF-8")
	}
	return []byte(text), nil
}

// check reads JSON to its end and refuses what readers disagree about: a name
// that is there twice, half a surrogate pair, a number that is not the same for
// everybody (RFC 7493), and what is deeper or has more entries than any profile.
// Attributes with something else than text and null in their maps go to unfit:
// they are read as text, as old data is.
func (f *face) check(body []byte, at []string, unfit *[]catalogue.Fault) error {
	c := &checker{face: f, dec: jsontext.NewDecoder(bytes.NewBuffer(body)), at: len(at), path: slices.Clone(at), unfit: unfit}
	if err := c.value(); err != nil {
		return err
	}
	if _, err := c.dec.ReadToken(); err != io.EOF {
		return invalid("", "something follows the JSON")
	}
	return nil
}

type checker struct {
	*face
	dec   *jsontext.Decoder
	path  []string // of what is read
	at    int      // where in it the profile begins
	unfit *[]catalogue.Fault
}

func (c *checker) refuse(what string) error { return invalid(c.place(c.path), what) }

// token reads one, and says what is wrong if there is none.
func (c *checker) token() (jsontext.Token, error) {
	t, err := c.dec.ReadToken()
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		at := c.path
		if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			at = append(slices.Clone(at), s.JSONPointer.LastToken())
		}
		return t, invalid(c.place(at), "a name that is there twice")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return t, c.refuse("the JSON is cut short")
	}
	return t, c.refuse("not JSON in UTF-8")
}

func (c *checker) value() error {
	kind := c.dec.PeekKind()
	inside := c.path[c.at:]
	if n := len(inside); n >= 3 && n <= 4 && inside[n-2] == "values" && (kind == '0' || kind == 't' || kind == 'f') && c.unfit != nil {
		fault := catalogue.Fault{Path: people.Path(strings.Join(inside[:n-2], ".")), Reason: "a map with something else than text and null in it"}
		if !slices.Contains(*c.unfit, fault) {
			*c.unfit = append(*c.unfit, fault)
		}
	}
	t, err := c.token()
	if err != nil {
		return err
	}
	switch kind {
	case '0':
		if number, err := strconv.ParseFloat(t.String(), 64); err != nil || number == math.Trunc(number) && math.Abs(number) > 1<<53-1 || len(t.String()) > 32 {
			return c.refuse("a number that not everybody can read")
		}
	case '{', '[':
		if len(c.path)-c.at >= maxDepth {
			return c.refuse("deeper than any profile")
		}
		for n := 0; c.dec.PeekKind() != kind+2; n++ { // '}' and ']' are two after their beginnings
			if n == maxEntries {
				return c.refuse("more entries than any profile")
			}
			name := strconv.Itoa(n)
			if kind == '{' {
				t, err := c.token()
				if err != nil {
					return err
				}
				name = t.String()
			}
			c.path = append(c.path, name)
			if err := c.value(); err != nil {
				return err
			}
			c.path = c.path[:len(c.path)-1]
		}
		_, err := c.token()
		return err
	}
	return nil
}
