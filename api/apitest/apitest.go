// Package apitest owns the check that the service does what its description
// (wellknown's openapi.yaml) says, for the tests of its faces.
//
// It reads the description strictly: a status, a media type or a parameter that
// is not described is a fault, as is an answer that its schema refuses.
package apitest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.org/cis/api"
	"example.org/cis/api/wellknown"
)

type object = map[string]any

// A description is the document, with what is compiled of it.
type description struct {
	doc      object
	mux      *http.ServeMux
	mu       sync.Mutex // of the compiler, which is not for several at once
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// An operation is one method of one path.
type operation struct {
	place string // in the document, as a JSON pointer
	path  string
	what  object
}

const file = "openapi.yaml"

// methods are the members of a path that are operations, as HTTP has them.
var methods = []string{"GET", "POST", "PUT", "DELETE"}

var describe = sync.OnceValues(func() (*description, error) {
	b, err := yaml.YAMLToJSON(wellknown.Description())
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	d := &description{mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	var ok bool
	if d.doc, ok = v.(object); !ok {
		return nil, errors.New("apitest: the description is not an object")
	}
	if place := hole(v, ""); place != "" { // where an alias of YAML leads nowhere
		return nil, fmt.Errorf("apitest: there is nothing at %s", place)
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(file, v); err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	for _, op := range d.operations() {
		d.mux.Handle(op.method+" "+pattern(op.path), op)
	}
	return d, nil
})

// hole finds a member that is null.
func hole(v any, place string) string {
	switch v := v.(type) {
	case object:
		for name, inner := range v {
			if inner == nil {
				return place + "/" + escape(name)
			}
			if at := hole(inner, place+"/"+escape(name)); at != "" {
				return at
			}
		}
	case []any:
		for i, inner := range v {
			if at := hole(inner, place+"/"+strconv.Itoa(i)); at != "" {
				return at
			}
		}
	}
	return ""
}

// pattern is a path of the document as the server has it: there a slash at the
// end stands for everything below.
func pattern(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

type described struct {
	operation
	method string
}

func (described) ServeHTTP(http.ResponseWriter, *http.Request) {}

// operations are all operations of the document, by path and method.
func (d *description) operations() (list []described) {
	paths := d.doc["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range methods {
			name := strings.ToLower(method)
			if what, ok := paths[path].(object)[name].(object); ok {
				list = append(list, described{operation{"/paths/" + escape(path) + "/" + name, path, what}, method})
			}
		}
	}
	return list
}

func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// resolve follows a $ref, of something that is at place.
func (d *description) resolve(v any, place string) (object, string, error) {
	for range 8 {
		o, ok := v.(object)
		if !ok {
			return nil, place, fmt.Errorf("apitest: nothing is described at %s", place)
		}
		ref, ok := o["$ref"].(string)
		if !ok {
			return o, place, nil
		}
		place = strings.TrimPrefix(ref, "#")
		v = d.doc
		for part := range strings.SplitSeq(strings.TrimPrefix(place, "/"), "/") {
			o, _ := v.(object)
			v = o[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
		}
	}
	return nil, place, fmt.Errorf("apitest: %s refers in a circle", place)
}

// check checks a value by the schema at a place.
func (d *description) check(place string, v any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.schemas[place]
	if s == nil {
		var err error
		// A pointer in a URL is percent-encoded.
		if s, err = d.compiler.Compile(file + "#" + encode(place)); err != nil {
			return fmt.Errorf("apitest: the schema at %s: %w", place, err)
		}
		d.schemas[place] = s
	}
	return s.Validate(v)
}

func encode(place string) string {
	return strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", " ", "%20").Replace(place)
}

// Conforms checks that a request and the answer that was recorded of it are as
// the description says. A request that is not may only be answered with an error;
// of its body is checked what GetBody gives.
func Conforms(t testing.TB, r *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	d, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.conforms(r, rec); err != nil {
		t.Errorf("%s %s is answered with %d, which is not as it is described: %v", r.Method, r.URL.EscapedPath(), rec.Code, err)
	}
}

func (d *description) conforms(r *http.Request, rec *httptest.ResponseRecorder) error {
	body, err := bodyOf(rec)
	if err != nil {
		return err
	}
	if r.Method == http.MethodOptions { // the server's own, for pages of other origins
		if rec.Code < 400 && len(body) > 0 {
			return errors.New("a body that nobody asked for")
		}
		return nil
	}
	probe := *r
	probe.Pattern = ""
	handler, matched := d.mux.Handler(&probe)
	op, ok := handler.(described)
	if matched == "" || !ok {
		if rec.Code != http.StatusNotFound && rec.Code != http.StatusMethodNotAllowed {
			return errors.New("there is no such operation")
		}
		return d.json("/components/schemas/Error", body)
	}
	if err := d.request(op.operation, r); err != nil && rec.Code < 400 {
		return err
	}
	return d.answer(op.operation, r, rec, body)
}

func bodyOf(rec *httptest.ResponseRecorder) ([]byte, error) {
	if rec.Header().Get("Content-Encoding") != "gzip" {
		return rec.Body.Bytes(), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(rec.Body.Bytes()))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// request says what of a request is not as it is described.
func (d *description) request(op operation, r *http.Request) error {
	known := map[string]bool{}
	query := r.URL.Query()
	parameters, _ := op.what["parameters"].([]any)
	for i, v := range parameters {
		p, place, err := d.resolve(v, op.place+"/parameters/"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		name, _ := p["name"].(string)
		var values []string
		switch p["in"] {
		case "query":
			known[name] = true
			values = query[name]
		case "header":
			values = r.Header.Values(name)
		case "path":
			values = pathValues(op.path, r, name)
		default:
			return fmt.Errorf("the parameter %s is nowhere", name)
		}
		if len(values) == 0 && p["required"] == true {
			return fmt.Errorf("the parameter %s is missing", name)
		}
		for _, value := range values {
			if err := d.check(place+"/schema", value); err != nil {
				return fmt.Errorf("the parameter %s: %w", name, err)
			}
		}
	}
	for name := range query {
		if !known[name] {
			return fmt.Errorf("no parameter is named %s", name)
		}
	}
	if len(op.security()) > 0 && r.Header.Get("Authorization") == "" {
		return errors.New("it needs a token")
	}
	content, hasBody := op.what["requestBody"].(object)
	if !hasBody || r.GetBody == nil {
		return nil
	}
	in, err := r.GetBody()
	if err != nil {
		return err
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if _, ok := content["content"].(object)["application/json"]; !ok {
		return errors.New("the body is of no type that is described")
	}
	return d.json(op.place+"/requestBody/content/application~1json/schema", body)
}

// pathValues are the values of a part of the path.
func pathValues(path string, r *http.Request, name string) (values []string) {
	mux := http.NewServeMux()
	mux.HandleFunc(pattern(path), func(_ http.ResponseWriter, r *http.Request) { values = []string{r.PathValue(name)} })
	mux.ServeHTTP(httptest.NewRecorder(), r.Clone(r.Context()))
	return values
}

// security are the scopes of the operation, nil if it is open to anyone, and an
// empty one more for the token itself.
func (op operation) security() []string {
	list, ok := op.what["security"].([]any)
	if !ok {
		return []string{""} // the document's own
	}
	var scopes []string
	for _, s := range list {
		roles, _ := s.(object)["bearer"].([]any)
		scopes = append(scopes, "")
		for _, role := range roles {
			scopes = append(scopes, fmt.Sprint(role))
		}
	}
	return scopes
}

// answer says what of an answer is not as it is described.
func (d *description) answer(op operation, r *http.Request, rec *httptest.ResponseRecorder, body []byte) error {
	responses, _ := op.what["responses"].(object)
	key := strconv.Itoa(rec.Code)
	if responses[key] == nil {
		if rec.Code < 400 {
			return errors.New("no such status")
		}
		key = "default"
	}
	response, place, err := d.resolve(responses[key], op.place+"/responses/"+key)
	if err != nil {
		return err
	}
	if headers, ok := response["headers"].(object); ok {
		for name := range headers {
			// Nobody has no tag.
			if rec.Header().Get(name) == "" && !(name == "ETag" && string(body) == "{}\n") {
				return fmt.Errorf("the header %s is missing", name)
			}
		}
	}
	if r.Method == http.MethodHead { // what a handler writes then, net/http does not send
		return nil
	}
	content, ok := response["content"].(object)
	if !ok {
		if len(body) > 0 {
			return errors.New("a body where none is described")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(rec.Header().Get("Content-Type"))
	if err != nil || content[media] == nil {
		return fmt.Errorf("a body of the type %q", media)
	}
	schema := place + "/content/" + escape(media) + "/schema"
	switch media {
	case "application/json":
		return d.json(schema, body)
	case "application/jsonl":
		for line := range bytes.Lines(body) {
			if err := d.json("/components/schemas/ExportLine", line); err != nil {
				return err
			}
		}
		return nil
	}
	return d.check(schema, string(body))
}

// json checks JSON by the schema at a place.
func (d *description) json(place string, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return d.check(place, v)
}

// Covers checks that every route is an operation of the description, with the
// scope that it needs, and every operation a route.
func Covers(t testing.TB, routes []api.Route) {
	t.Helper()
	for _, fault := range Uncovered(t, routes) {
		t.Error(fault)
	}
}

// Uncovered says where routes and the description differ, a line each, sorted.
func Uncovered(t testing.TB, routes []api.Route) (faults []string) {
	t.Helper()
	d, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	byPattern := map[string]api.Route{}
	for _, r := range routes {
		byPattern[r.Method+" "+r.Path] = r
	}
	for _, op := range d.operations() {
		name := op.method + " " + pattern(op.path)
		r, ok := byPattern[name]
		delete(byPattern, name)
		scopes := []string{""}
		if r.Scope != "" {
			scopes = append(scopes, r.Scope)
		}
		if r.Open {
			scopes = nil
		}
		switch {
		case !ok:
			faults = append(faults, name+" is described, and there is no such route")
		case !slices.Equal(scopes, op.security()):
			faults = append(faults, name+" is described with another scope than it needs")
		}
	}
	for name := range byPattern {
		faults = append(faults, name+" is not described")
	}
	slices.Sort(faults)
	return faults
}
