package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/connectors/file"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type signCommand struct {
	File      string   `arg:"" optional:"" help:"A profile, or several: one a line, a JSON array, or {\"Items\": [...]}; \"-\" is standard input."`
	Publisher string   `required:"" placeholder:"NAME" help:"Who signs, such as hris."`
	Key       string   `placeholder:"FILE" help:"The private key, a JWK or PEM (default: the configured key that signs for the publisher)."`
	Kid       string   `placeholder:"KID" help:"The id under which the public half of --key is published (default: the JWK's own, else from its thumbprint)."`
	Public    bool     `help:"Print the public half of --key as it is to be published, and sign nothing."`
	Person    string   `placeholder:"UUID" help:"Whose profile it is (default: what its attribute uuid says)."`
	Unbound   bool     `help:"Sign a profile without a uuid too, bound to nobody."`
	All       bool     `help:"Sign anew what carries the publisher's signature already, such as after a change of key."`
	Attribute []string `placeholder:"PATH" help:"Sign this attribute and no other, whoever signed it before. May be repeated."`
	Catalogue string   `placeholder:"FILE" help:"Use this catalogue and not the configured one."`
	Output    string   `short:"o" placeholder:"FILE" help:"Write to a file (.gz and .zst compress) and not to standard output."`
}

func (signCommand) Help() string {
	return `Signs the attributes that nobody has signed and that name this publisher or none, and prints the profile as canonical JSON, one a line. It needs no configuration if --key is given. {"uuid": {"value": "..."}, "first_name": {"value": "Ada"}} is enough: schema, classification and display come from the catalogue, verified is true and the dates are now if they are missing; dates get three decimals, because older verifiers accept no other. null is never signed.

A signature is bound to the person's uuid and to the attribute, so that it cannot be moved elsewhere. Without a uuid nothing is signed unless --unbound says so: publishers of the older system do not know the uuid, and their verifiers ignore the binding, but a verifier may refuse signatures without one. The uuid itself is signed by cis alone and only says whose the profile is.

What the catalogue refuses is named: an attribute that it does not have, a value of a wrong kind, a display or classification that is not allowed, a publisher who may not write the attribute. One such attribute sets its profile aside. Ends with 1 if no profile was left, with 3 if some were.

Examples:

    cis sign ada.json --publisher hris --key hris.pem -o signed.json
    cis sign people.jsonl --publisher hris > signed.jsonl
    cis sign --publisher hris --key hris.pem --public > keys.json`
}

// A signProblem is a profile that was set aside, and why.
type signProblem struct {
	Place  string `json:"place,omitzero"`
	Reason string `json:"reason"`
}

func (s signProblem) String() string {
	if s.Place == "" {
		return s.Reason
	}
	return s.Place + ": " + s.Reason
}

type signResult struct {
	File     string        `json:"file"`
	Profiles int64         `json:"profiles"`
	Signed   int64         `json:"signed"`
	Unbound  int64         `json:"unbound"`
	Unsigned []people.Path `json:"left_unsigned"`
	SetAside []signProblem `json:"set_aside"`
}

func (c signCommand) Run(ctx context.Context, p *program) error {
	s, key, err := c.prepare(p)
	if err != nil {
		return err
	}
	if c.Public {
		keys := sign.Keys{s.publisher: {key}}
		return show.JSON(p.stdout, jsontext.Value(keys.AppendJSON(nil)))
	}
	in, err := p.openInput(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.Output == "" {
		err = s.all(ctx, in, p.stdout)
	} else {
		err = writeWhole(c.Output, func(w io.Writer) error { return s.all(ctx, in, w) })
	}
	if err != nil {
		return err
	}

	// Standard output may hold the profiles and then nothing else.
	r := s.result
	if c.Output != "" {
		err = p.print(r, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Signed %s of %s: %s.\n", show.Plural(r.Signed, "attribute", "attributes"), show.Plural(r.Profiles, "profile", "profiles"), show.Clean(c.Output))
			return err
		})
	}
	if r.Unbound > 0 {
		fmt.Fprintf(p.stderr, "cis: %s bound to no person or attribute: a verifier may refuse that\n", show.Plural(r.Unbound, "signature is", "signatures are"))
	}
	if len(r.Unsigned) > 0 {
		fmt.Fprintf(p.stderr, "cis: left unsigned, because they name another publisher: %s\n", show.Clean(commas(r.Unsigned)))
	}
	for _, problem := range r.SetAside {
		fmt.Fprintf(p.stderr, "cis: %s\n", show.Clean(problem.String()))
	}
	if n := int64(len(r.SetAside)); err == nil && n > 0 {
		err = heldError(show.Plural(n, "profile set aside", "profiles set aside"))
	}
	return err
}

// prepare checks the command line and gets the key.
func (c signCommand) prepare(p *program) (*signing, sign.Key, error) {
	fail := func(err error) (*signing, sign.Key, error) { return nil, sign.Key{}, err }
	switch {
	case (c.File == "") != c.Public:
		return fail(usageError{errors.New("say which FILE to sign, or --public")})
	case c.Key == "" && c.Public:
		return fail(usageError{errors.New("--public is of a --key: `cis keys jwks` prints the configured ones")})
	case c.Key == "" && c.Kid != "":
		return fail(usageError{errors.New("--kid is of a --key: configured keys have theirs")})
	case c.All && len(c.Attribute) > 0:
		return fail(usageError{errors.New("say either --all or which --attribute")})
	}
	s := &signing{publisher: people.Publisher(c.Publisher), unbound: c.Unbound, again: c.All,
		now: p.now().UTC().Format(people.TimeFormat), seen: map[people.Path]bool{},
		result: signResult{File: c.Output, Unsigned: []people.Path{}, SetAside: []signProblem{}},
	}
	if c.Person != "" {
		id, err := people.ParseID(c.Person)
		if err != nil || id.IsZero() {
			return fail(usageError{errors.New("--person: want a uuid in lower case")})
		}
		s.person = id
	}

	// A publisher who is not us has a key and no configuration.
	cfg := &config.Config{}
	if _, err := os.Stat(p.configPath()); c.Key == "" || p.Config != "" || p.env["CIS_CONFIG"] != "" || !errors.Is(err, fs.ErrNotExist) {
		if cfg, err = p.load(); err != nil {
			return fail(err)
		}
	}
	ours := *cfg
	if c.Catalogue != "" {
		ours.Catalogue, ours.Path = c.Catalogue, "" // complaints are not of the configuration
	}
	var err error
	if s.catalogue, err = openCatalogue(&ours); err != nil {
		return fail(err)
	}
	if err := knownPublisher(&ours, c.Publisher); err != nil {
		return fail(err)
	}
	for _, path := range c.Attribute {
		if _, ok := s.catalogue.Find(people.Path(path)); !ok {
			return fail(usageError{fmt.Errorf("--attribute: the catalogue has no attribute %q", path)})
		}
		s.only = append(s.only, people.Path(path))
	}

	if c.Key == "" {
		keys := p.openKeys(cfg)
		if s.signer, err = keys.signer(s.publisher); err == nil && s.signer == nil {
			err = noKeys(c.Publisher)
		}
		if err == nil {
			s.public, err = keys.public()
		}
		return s, sign.Key{}, err
	}
	b, err := readPrivate(c.Key)
	if err != nil {
		return fail(usageError{fmt.Errorf("--key: %w", err)})
	}
	signer, key, err := sign.ParseSigner(b, c.Kid)
	if err != nil {
		return fail(usageError{fmt.Errorf("--key: %w", err)})
	}
	s.signer, s.public = signer, sign.Keys{s.publisher: {key}}
	return s, key, nil
}

// readPrivate reads a file that holds a private key, and refuses one that
// others can read.
func readPrivate(name string) ([]byte, error) {
	const maxKey = 64 << 10
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: open to other users: chmod 600", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	if err == nil && len(b) > maxKey {
		err = fmt.Errorf("%s: longer than %d bytes", name, maxKey)
	}
	return b, err
}

// A signing signs profiles one after the other.
type signing struct {
	signer    sign.Signer
	public    sign.Keys // the publisher's own
	publisher people.Publisher
	catalogue *catalogue.Catalogue
	person    people.ID     // zero takes the profile's uuid
	only      []people.Path // nil takes what is unsigned
	unbound   bool
	again     bool
	now       string
	seen      map[people.Path]bool // of only
	result    signResult
}

// all signs what it reads. If nothing is left to write, that is the error.
func (s *signing) all(ctx context.Context, in io.Reader, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	unsigned, n := map[people.Path]bool{}, 0
	err := readProfiles(in, func(place string, raw []byte) error {
		n++
		if err := ctx.Err(); err != nil {
			return err
		}
		if n == 2 && !s.person.IsZero() {
			return usageError{errors.New("--person: there is more than one profile")}
		}
		d, err := s.one(ctx, raw)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.result.SetAside = append(s.result.SetAside, signProblem{place, strings.ReplaceAll(err.Error(), "\n", "; ")})
			return nil
		}
		s.result.Profiles++
		s.result.Signed += d.signed
		if d.unbound {
			s.result.Unbound += d.signed
		}
		for _, path := range d.unsigned {
			unsigned[path] = true
		}
		_, err = out.Write(append(d.profile.AppendJSON(nil), '\n'))
		return err
	})
	if err != nil {
		return err
	}
	s.result.Unsigned = slices.AppendSeq(s.result.Unsigned, maps.Keys(unsigned))
	slices.Sort(s.result.Unsigned)
	for _, path := range s.only {
		if !s.seen[path] {
			return fmt.Errorf("no profile has the attribute %s", path)
		}
	}
	if s.result.Profiles == 0 {
		reasons := make([]string, len(s.result.SetAside))
		for i, problem := range s.result.SetAside {
			reasons[i] = problem.String()
		}
		return fmt.Errorf("nothing was signed: %s", strings.Join(reasons, "\n"))
	}
	return out.Flush()
}

// A signedProfile is a profile after signing.
type signedProfile struct {
	profile  *people.Profile
	signed   int64
	unbound  bool
	unsigned []people.Path // values that another publisher is to sign
}

// one signs one profile. Everything that is wrong with it is in the error.
func (s *signing) one(ctx context.Context, raw []byte) (signedProfile, error) {
	p, err := people.ParseProfile(raw)
	if err != nil {
		return signedProfile{}, err
	}
	var written map[string]any // what tells null from nothing, and a number from text
	if err := json.Unmarshal(raw, &written); err != nil {
		return signedProfile{}, errors.New("not JSON")
	}
	id, err := s.whose(p)
	if err != nil {
		return signedProfile{}, err
	}
	if p.Schema == "" {
		p.Schema = s.catalogue.SchemaURI
	}
	d := signedProfile{profile: p, unbound: id.IsZero()}
	var wrong []error
	for i := range p.Attributes {
		n := &p.Attributes[i]
		chosen, err := s.chooses(*n)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if !chosen && (n.Signature.Publisher.Value != "" || s.only != nil) {
			if s.outdated(id, *n) {
				wrong = append(wrong, fmt.Errorf("%s: changed since %s signed it: --all or --attribute signs it again", n.Path, s.publisher))
			}
			continue // it stays as it is
		}
		at := lookUp(written, n.Path)
		if err := s.complete(n, at); err != nil {
			wrong = append(wrong, err)
			continue
		}
		if chosen {
			n.Signature.Publisher = people.Mark{Alg: "RS256", Typ: "JWS", Name: string(s.publisher)}
		}
		if err := s.check(*n, at); err != nil {
			wrong = append(wrong, err)
			continue
		}
		switch {
		case !chosen:
			if !n.Value.IsNull() && n.Path != people.UUID {
				d.unsigned = append(d.unsigned, n.Path)
			}
			continue
		case d.unbound:
			n.Attribute, err = sign.Unbound(ctx, s.signer, s.publisher, n.Path, n.Attribute)
		default:
			n.Attribute, err = sign.Attribute(ctx, s.signer, s.publisher, id, n.Path, n.Attribute)
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		d.signed++
	}
	return d, errors.Join(wrong...)
}

// whose returns the person to bind signatures to, zero for nobody.
func (s *signing) whose(p *people.Profile) (people.ID, error) {
	var id people.ID
	if v := p.Value(people.UUID); !v.IsNull() {
		var err error
		if id, err = people.ParseID(v.Text()); err != nil || id.IsZero() {
			return people.ID{}, fmt.Errorf("%s: want a uuid in lower case", people.UUID)
		}
	}
	switch {
	case s.person.IsZero() && id.IsZero() && !s.unbound:
		return people.ID{}, errors.New("no uuid to bind the signatures to: --person says whose the profile is; --unbound signs without, for publishers who do not know it")
	case !s.person.IsZero() && !id.IsZero() && s.person != id:
		return people.ID{}, fmt.Errorf("%s: --person is somebody else", people.UUID)
	case !s.person.IsZero():
		return s.person, nil
	}
	return id, nil
}

// chooses reports whether to sign an attribute. The error is of one that was
// asked for by name or is the publisher's own, and that it cannot sign.
func (s *signing) chooses(n people.Named) (bool, error) {
	mark := n.Signature.Publisher
	named := slices.Contains(s.only, n.Path)
	if named {
		s.seen[n.Path] = true
	}
	switch {
	case s.only != nil && !named:
		return false, nil
	case n.Value.IsNull() && named:
		return false, fmt.Errorf("%s: null cannot be signed", n.Path)
	case n.Value.IsNull():
		return false, nil
	case named:
	case mark.Value == "" && (mark.Name == "" || mark.Name == string(s.publisher)):
	case mark.Value != "" && mark.Name == string(s.publisher) && s.again:
	default:
		return false, nil
	}
	if rule, ok := s.catalogue.Find(n.Path); ok && !s.may(rule, named) {
		if n.Path == people.UUID && !named {
			return false, nil // it is here to say whose the profile is
		}
		return false, fmt.Errorf("%s: %s may neither set nor change it: the catalogue gives it to %s", n.Path, s.publisher, writers(rule))
	}
	return true, nil
}

// outdated reports whether the publisher's own signature is good, and of
// something else than what stands there now.
func (s *signing) outdated(id people.ID, n people.Named) bool {
	if n.Signature.Publisher.Name != string(s.publisher) || id.IsZero() {
		return false
	}
	err := sign.Verify(s.public, id, n.Path, n.Attribute, sign.Policy{})
	return errors.Is(err, sign.ErrMismatch) || errors.Is(err, sign.ErrMoved)
}

// may reports whether the publisher may write the attribute in some case. A
// change of display alone, which one publisher may make to all of them, is not
// what a value without a signature is for: it has to be asked for by name.
func (s *signing) may(rule catalogue.Attribute, named bool) bool {
	publisher, _ := s.catalogue.Publisher(s.publisher)
	return rule.MayCreate(s.publisher) || rule.MayUpdate(s.publisher) || rule.MayPropose(s.publisher) || named && publisher.MayEditDisplay ||
		rule.ComposedBy == s.publisher || rule.ProvenBy != "" && s.publisher == people.CIS
}

func writers(rule catalogue.Attribute) string {
	all := slices.Clone(rule.Create)
	if rule.Update != "" && !slices.Contains(all, rule.Update) {
		all = append(all, rule.Update)
	}
	return commas(all)
}

// complete adds to an attribute what every attribute must have. What was
// written stays, but dates get their one form.
func (s *signing) complete(n *people.Named, written map[string]any) error {
	rule, ok := s.catalogue.Find(n.Path)
	if !ok {
		return fmt.Errorf("%s: no such attribute", n.Path)
	}
	metadata, _ := written["metadata"].(map[string]any)
	m := &n.Metadata
	m.Classification = cmp.Or(m.Classification, rule.Classification)
	if _, ok := metadata["display"]; !ok {
		m.Display = rule.Display
	}
	if _, ok := metadata["verified"]; !ok {
		m.Verified = true
	}
	for _, date := range []*string{&m.Created, &m.LastModified} {
		t, err := normalize.Timestamp(cmp.Or(*date, s.now))
		if err != nil {
			return fmt.Errorf("%s: created or last_modified is not a date of RFC 3339", n.Path)
		}
		*date = t
	}
	mark := &n.Signature.Publisher
	mark.Alg, mark.Typ, mark.Name = cmp.Or(mark.Alg, "RS256"), cmp.Or(mark.Typ, "JWS"), cmp.Or(mark.Name, string(rule.Publisher))
	return nil
}

// check returns what the catalogue has against an attribute that nobody has
// signed.
func (s *signing) check(n people.Named, written map[string]any) error {
	var wrong []error
	for _, f := range s.catalogue.Check(&people.Profile{Attributes: []people.Named{n}}) {
		wrong = append(wrong, fmt.Errorf("%s: %s", f.Path, f.Reason))
	}
	// Numbers in maps are read, because old data has them, and refused here,
	// because older clients drop a profile with one.
	values, _ := written["values"].(map[string]any)
	for _, v := range values {
		if _, ok := v.(string); !ok && v != nil {
			wrong = append(wrong, fmt.Errorf("%s: the map holds something that is neither a string nor null", n.Path))
			break
		}
	}
	return errors.Join(wrong...)
}

// lookUp returns the attribute at path as it was written.
func lookUp(profile map[string]any, path people.Path) map[string]any {
	container, name := path.Split()
	if container != "" {
		profile, _ = profile[container].(map[string]any)
	}
	at, _ := profile[name].(map[string]any)
	return at
}

func commas[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// openInput opens a file, or standard input if the name is "-".
func (p *program) openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(p.stdin), nil
	}
	in, err := file.Open(name)
	if err != nil {
		return nil, usageError{err}
	}
	return in, nil
}

// maxDocument bounds a file that is one JSON document and not one a line.
const maxDocument = 256 << 20

// readProfiles gives each profile of a file to each, with its place, which is
// "" where there is only one. The file is one profile, or many: one a line, a
// JSON array, or {"Items": […]}. What is given may be no profile at all; what
// cannot be taken apart is the error.
func readProfiles(in io.Reader, each func(place string, raw []byte) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	n, found := 0, false
	counted := func(place string, raw []byte) error {
		found = true
		return each(place, raw)
	}
	next := func() (line []byte, err error) { // without spaces around; none at the end
		for len(line) == 0 && err == nil {
			line, err = readLine(r)
			line = bytes.TrimSpace(line)
			n++
		}
		if err == io.EOF {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("line %d: %w", n, err)
		}
		return line, err
	}
	first, err := next()
	if err != nil {
		return err
	}
	at := n
	second, err := next()
	if err != nil {
		return err
	}
	// A document that goes on in the next line is not one a line.
	object := func(line []byte) bool {
		return bytes.HasPrefix(line, []byte("{")) && bytes.HasSuffix(line, []byte("}"))
	}
	switch {
	case len(first) == 0:
	case len(second) == 0:
		err = expandDocument("", first, counted)
	case object(first) && bytes.HasPrefix(second, []byte("{")):
		if err = expandDocument(fmt.Sprintf("line %d", at), first, counted); err != nil {
			return err
		}
		for line := second; len(line) > 0; {
			if err = expandDocument(fmt.Sprintf("line %d", n), line, counted); err != nil {
				return err
			}
			if line, err = next(); err != nil {
				return err
			}
		}
	default:
		head := append(append(append(first, '\n'), second...), '\n')
		b, rerr := io.ReadAll(io.LimitReader(r, maxDocument+1))
		if rerr != nil {
			return fmt.Errorf("read: %w", rerr)
		}
		if len(head)+len(b) > maxDocument {
			return fmt.Errorf("a document of more than %d bytes: write the profiles one a line", maxDocument)
		}
		err = expandDocument("", append(head, b...), counted)
	}
	if err == nil && !found {
		err = errors.New("there is no profile in it")
	}
	return err
}

// readLine reads a line of at most maxLine bytes, which is not kept.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// expandDocument gives out the profiles of one document.
func expandDocument(place string, raw []byte, each func(place string, raw []byte) error) error {
	list := []jsontext.Value(nil)
	switch bytes.TrimSpace(raw)[0] {
	case '[':
		if json.Unmarshal(raw, &list) != nil {
			return each(place, raw)
		}
	case '{':
		var page struct {
			Items *[]jsontext.Value `json:"Items"`
		}
		if json.Unmarshal(raw, &page) != nil || page.Items == nil {
			return each(place, raw)
		}
		list = *page.Items
	default:
		return each(place, raw)
	}
	for i, item := range list {
		at := fmt.Sprintf("item %d", i+1)
		if place != "" {
			at = place + " " + at
		}
		if err := each(at, item); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole writes a file beside its place and renames it, so that it is
// whole or as before.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".cis-*")
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := io.WriteCloser(nopCloser{f})
	switch {
	case strings.HasSuffix(name, ".gz"):
		w = gzip.NewWriter(f)
	case strings.HasSuffix(name, ".zst"):
		if w, err = zstd.NewWriter(f); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := write(w); err != nil {
		return err
	}
	if err := errors.Join(w.Close(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
