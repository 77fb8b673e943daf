package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/connectors"
	"example.org/cis/connectors/auth0"
	"example.org/cis/connectors/directory"
	"example.org/cis/connectors/github"
	"example.org/cis/connectors/hris"
	"example.org/cis/connectors/ldap"
	"example.org/cis/connectors/web"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/keydir"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// This is the only file that names implementations. What can stand in a
// configuration is what its tables hold.

// A sourceType is a type of source: whose claims it makes, what is to be said
// of it in the configuration, where that says it reads, and how it is opened.
type sourceType struct {
	publisher people.Publisher
	config    func() any
	from      func(config any) origin
	open      func(p *program, config any, at surroundings) (connectors.Source, error)
}

// An origin is where a source reads: a file, or a server with a secret that
// stands in the named setting, and a file with the keys that its records are
// signed with.
type origin struct {
	file, url string
	secret    config.Secret
	setting   string
	keys      string
}

// Surroundings are what a source needs of the rest of the configuration, in
// the form of specs.
type surroundings struct {
	Name      string `json:"name"`
	Keys      string `json:"keys"`
	Catalogue string `json:"catalogue,omitzero"`
	// Blobs is where sources keep what they want to find again; ReadOnly
	// forgets it.
	Blobs    string `json:"blobs,omitzero"`
	ReadOnly bool   `json:"read_only,omitzero"`
}

func sourceTypes() map[string]sourceType {
	return map[string]sourceType{
		"ldap": {
			publisher: people.LDAP,
			config:    func() any { return new(ldapEntry) },
			from: func(c any) origin {
				e := c.(*ldapEntry)
				return origin{file: e.File, url: e.URL, secret: e.Password, setting: "password"}
			},
			open: func(p *program, c any, _ surroundings) (connectors.Source, error) {
				e := c.(*ldapEntry)
				return ldap.Open(e.Config, p.secretOf(e.Password))
			},
		},
		"hris": {
			publisher: people.HRIS,
			config:    func() any { return new(hrisEntry) },
			from: func(c any) origin {
				e := c.(*hrisEntry)
				return origin{file: e.File, url: e.URL, secret: e.Password, setting: "password"}
			},
			open: func(p *program, c any, at surroundings) (connectors.Source, error) {
				e := c.(*hrisEntry)
				return hris.Open(e.Config, p.secretOf(e.Password), p.now, web.Options{Note: p.noteOf(at.Name)})
			},
		},
		"auth0": {
			publisher: people.AccessProvider,
			config:    func() any { return new(auth0Entry) },
			from: func(c any) origin {
				e := c.(*auth0Entry)
				return origin{file: e.File, url: e.URL, secret: e.Secret, setting: "secret"}
			},
			open: func(p *program, c any, at surroundings) (connectors.Source, error) {
				e := c.(*auth0Entry)
				return auth0.Open(e.Config, p.secretOf(e.Secret), web.Options{Note: p.noteOf(at.Name)})
			},
		},
		"directory": {
			publisher: people.Directory,
			config:    func() any { return new(directoryEntry) },
			from: func(c any) origin {
				e := c.(*directoryEntry)
				return origin{file: e.File, url: e.URL, secret: e.Secret, setting: "secret", keys: e.KeysFile}
			},
			open: func(p *program, c any, at surroundings) (connectors.Source, error) {
				e := c.(*directoryEntry)
				cat, err := openCatalogue(&config.Config{Catalogue: at.Catalogue})
				if err != nil {
					return nil, err
				}
				return directory.Open(e.Config, directory.Options{Secret: p.secretOf(e.Secret), Fits: cat.Fits,
					Verify: p.checkOf(e, at), Web: web.Options{Note: p.noteOf(at.Name)}})
			},
		},
		"github": {
			publisher: people.GitHub,
			config:    func() any { return new(githubEntry) },
			from: func(c any) origin {
				e := c.(*githubEntry)
				from := origin{file: e.File, url: e.URL, secret: e.Secret, setting: "secret"}
				if from.file == "" && from.url == "" {
					from.url = github.DefaultURL
				}
				return from
			},
			open: func(p *program, c any, at surroundings) (connectors.Source, error) {
				e := c.(*githubEntry)
				o := github.Options{Note: p.noteOf(at.Name)}
				if at.Blobs != "" {
					o.Memory = memory{at}
				}
				return github.Open(e.Config, p.secretOf(e.Secret), o)
			},
		},
	}
}

// vaults open vaults by the scheme of a spec, given what follows it.
func vaults() map[string]func(ctx context.Context, p *program, where string, readOnly bool) (sinks.Store, error) {
	return map[string]func(context.Context, *program, string, bool) (sinks.Store, error){
		"sqlite": func(ctx context.Context, p *program, path string, readOnly bool) (sinks.Store, error) {
			return sqlite.Open(ctx, path, sqlite.Options{Now: p.now, ReadOnly: readOnly})
		},
		"firestore": func(ctx context.Context, p *program, where string, readOnly bool) (sinks.Store, error) {
			return firestore.Open(ctx, where, firestore.Options{Now: p.now, Random: p.random, ReadOnly: readOnly, Unramped: p.env["FIRESTORE_EMULATOR_HOST"] != ""})
		},
	}
}

// choices is what the configuration may name.
func choices() config.Table {
	t := config.Table{
		Sources:    map[string]func() any{},
		Vaults:     slices.Sorted(maps.Keys(vaults())),
		Blobs:      []string{"dir"},
		Keys:       []string{"dir"},
		Algorithms: []string{sign.EdDSA, sign.RS256},
	}
	for name, s := range sourceTypes() {
		t.Sources[name] = s.config
	}
	return t
}

// openSource prepares to read a source; no server is asked yet.
func (p *program) openSource(c *config.Config, s config.Source) (connectors.Source, error) {
	return sourceTypes()[s.Type].open(p, s.Config, around(c, s, true))
}

func around(c *config.Config, s config.Source, readOnly bool) surroundings {
	return surroundings{Name: s.Name, Keys: c.Keys, Catalogue: c.Catalogue, Blobs: c.Blobs, ReadOnly: readOnly}
}

// openVault opens the vault, which is made if it is not there, unless it is
// only read.
func (p *program) openVault(ctx context.Context, c *config.Config, readOnly bool) (sinks.Store, error) {
	scheme, where, _ := strings.Cut(c.Vault, ":")
	return vaults()[scheme](ctx, p, where, readOnly)
}

// openCatalogue reads the catalogue. What is wrong in it comes back as
// config.Complaints.
func openCatalogue(c *config.Config) (*catalogue.Catalogue, error) {
	if c.Catalogue == "" {
		return catalogue.Default(), nil
	}
	b, err := os.ReadFile(c.Catalogue)
	if err != nil {
		return nil, config.Complaints{{File: c.Path, Message: "catalogue: " + err.Error()}}
	}
	parsed, err := catalogue.Parse(c.Catalogue, b)
	if err != nil {
		var complaints config.Complaints
		for line := range strings.Lines(err.Error()) {
			complaints = append(complaints, config.Complaint{Message: strings.TrimSpace(line)})
		}
		return nil, complaints
	}
	return parsed, nil
}

// The entries of sources are the connectors' own configurations and a
// reference to a secret, which those do not hold.
type ldapEntry struct {
	ldap.Config `yaml:",inline"`
	Password    config.Secret `yaml:"password"`
}

func (e ldapEntry) Validate() error {
	return errors.Join(unjoin(e.Config.Validate(), passwordFor(e.BindDN != "", "bind_dn", e.Password))...)
}

type hrisEntry struct {
	hris.Config `yaml:",inline"`
	Password    config.Secret `yaml:"password"`
}

func (e hrisEntry) Validate() error {
	return errors.Join(unjoin(e.Config.Validate(), passwordFor(e.Username+e.ClientID != "", "username or client_id", e.Password))...)
}

type auth0Entry struct {
	auth0.Config `yaml:",inline"`
	Secret       config.Secret `yaml:"secret"`
}

func (e auth0Entry) Validate() error {
	return errors.Join(unjoin(e.Config.Validate(), secretFor(e.URL, "the secret of the client, or a token", e.Secret))...)
}

type directoryEntry struct {
	directory.Config `yaml:",inline"`
	Secret           config.Secret `yaml:"secret"`
	// The keys with which the directory signs, beside those that are made here
	// in its name: a JWKS or well-known document.
	KeysURL  string `yaml:"keys_url"`
	KeysFile string `yaml:"keys_file"`
}

func (e directoryEntry) Validate() error {
	bad := unjoin(e.Config.Validate(), secretFor(e.URL, "the secret of the client", e.Secret))
	if e.KeysURL != "" && e.KeysFile != "" {
		bad = append(bad, errors.New("at most one of keys_url and keys_file"))
	}
	if e.KeysURL != "" && !strings.HasPrefix(e.KeysURL, "https://") {
		bad = append(bad, errors.New("keys_url must begin with https://"))
	}
	return errors.Join(bad...)
}

type githubEntry struct {
	github.Config `yaml:",inline"`
	Secret        config.Secret `yaml:"secret"`
}

func (e githubEntry) Validate() error {
	from := github.DefaultURL
	if e.File != "" {
		from = ""
	}
	return errors.Join(unjoin(e.Config.Validate(), secretFor(from, "a token, or the app's private key", e.Secret))...)
}

func passwordFor(needed bool, who string, password config.Secret) error {
	switch {
	case needed && password == "":
		return fmt.Errorf("%s needs a password: env:NAME or file:PATH", who)
	case !needed && password != "":
		return fmt.Errorf("password means nothing without %s", who)
	}
	return nil
}

func secretFor(url, what string, secret config.Secret) error {
	switch {
	case url != "" && secret == "":
		return fmt.Errorf("a server needs %s: secret: env:NAME or file:PATH", what)
	case url == "" && secret != "":
		return errors.New("secret means nothing for a file")
	}
	return nil
}

// unjoin makes one list of joined errors and one more.
func unjoin(joined, more error) []error {
	if j, ok := joined.(interface{ Unwrap() []error }); ok {
		return append(slices.Clone(j.Unwrap()), more)
	}
	return []error{joined, more}
}

// publishers are those whose keys a sync signs with: that of each source, and
// cis, which signs what follows from several.
func publishers(c *config.Config) []people.Publisher {
	set := map[people.Publisher]bool{people.CIS: true}
	for _, s := range c.Sources {
		set[sourceTypes()[s.Type].publisher] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// secretOf returns what a connector calls when it needs the secret.
func (p *program) secretOf(s config.Secret) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s.Read(p.env) }
}

// noteOf returns what a connector calls to tell a person that it waits.
func (p *program) noteOf(source string) func(string) {
	return func(text string) {
		if p.stderr != nil {
			p.notes.Lock()
			defer p.notes.Unlock()
			fmt.Fprintf(p.stderr, "%s: %s\n", source, text)
		}
	}
}

// checkOf returns what reads the keys of the people directory and then checks
// signatures: the keys it publishes itself, if the configuration says where,
// and those with which its attributes are signed here, which it shows back.
func (p *program) checkOf(e *directoryEntry, at surroundings) func(context.Context) (directory.Check, error) {
	return func(ctx context.Context) (directory.Check, error) {
		keys, err := keyring{dir: strings.TrimPrefix(at.Keys, "dir:")}.public()
		if err == nil {
			keys, err = addKeys(ctx, keys, e)
		}
		if err != nil {
			return nil, err
		}
		return func(person people.ID, path people.Path, a people.Attribute) error {
			if who, _, bound := sign.Bound(a); bound && person.IsZero() {
				person = who // a record without a uuid: whose it is shows when it is placed
			}
			return sign.Verify(keys, person, path, a, sign.Policy{})
		}, nil
	}
}

// addKeys adds the keys that a people directory publishes itself.
func addKeys(ctx context.Context, keys sign.Keys, e *directoryEntry) (sign.Keys, error) {
	from := e.KeysURL + e.KeysFile
	if from == "" {
		return keys, nil
	}
	return joinKeys(ctx, keys, from)
}

// joinKeys adds the keys that somebody publishes.
func joinKeys(ctx context.Context, keys sign.Keys, from string) (sign.Keys, error) {
	more, _, err := readKeys(ctx, from)
	if err != nil {
		return nil, err
	}
	return sign.MergeKeys(keys, more), nil
}

// trusted are the keys by which profiles verify: those that sign here, those of
// sources that sign themselves, and those of publishers that the configuration
// names.
func (p *program) trusted(ctx context.Context, c *config.Config) (sign.Keys, error) {
	keys, err := p.openKeys(c).public()
	for _, s := range c.Sources {
		if e, ok := s.Config.(*directoryEntry); ok && err == nil {
			if keys, err = addKeys(ctx, keys, e); err != nil {
				err = fmt.Errorf("sources.%s: its published keys: %w", s.Name, err)
			}
		}
	}
	for _, from := range c.Signing.Trusted {
		if err != nil {
			return nil, err
		}
		keys, err = joinKeys(ctx, keys, from)
	}
	return keys, err
}

// A memory keeps what a source wants to find again in a blob.
type memory struct{ at surroundings }

func (m memory) name() string { return "sources/" + m.at.Name + ".memory" }

func (m memory) Load(ctx context.Context) ([]byte, error) {
	if _, err := os.Stat(strings.TrimPrefix(m.at.Blobs, "dir:")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // and a dry run makes no folder
	}
	blobs, err := openBlobs(m.at.Blobs)
	if err != nil {
		return nil, err
	}
	b, err := snapshots.Read(ctx, blobs, m.name())
	if errors.Is(err, sinks.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (m memory) Save(ctx context.Context, b []byte) error {
	if m.at.ReadOnly {
		return nil
	}
	blobs, err := openBlobs(m.at.Blobs)
	if err != nil {
		return err
	}
	return snapshots.Write(ctx, blobs, m.name(), b)
}

// A keyring is where signing keys are kept, opened by the spec dir:PATH.
type keyring struct {
	dir    string
	random io.Reader
	now    func() time.Time
}

func (p *program) openKeys(c *config.Config) keyring {
	return keyring{strings.TrimPrefix(c.Keys, "dir:"), p.random, p.now}
}

// list returns all keys in the order in which they are published.
func (r keyring) list() ([]keyRow, error) {
	keys, err := keydir.List(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		rows[i] = rowOf(k)
	}
	return rows, err
}

// add makes a key; it signs at once if it is the publisher's first, or if
// signs is true.
func (r keyring) add(publisher people.Publisher, alg string, bits int, signs bool) (keyRow, error) {
	create := keydir.New
	if signs {
		create = keydir.Rotate
	}
	k, err := create(r.dir, publisher, alg, bits, r.random, r.now())
	return rowOf(k), err
}

// use makes a key the one that signs.
func (r keyring) use(publisher people.Publisher, kid string) error {
	return keydir.Use(r.dir, publisher, kid)
}

// retire deletes a key that does not sign.
func (r keyring) retire(publisher people.Publisher, kid string) error {
	return keydir.Retire(r.dir, publisher, kid)
}

// public returns the public keys of all publishers.
func (r keyring) public() (sign.Keys, error) {
	keys, err := keydir.Keys(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

// signer returns the key of a publisher that signs, nil if it has none.
func (r keyring) signer(publisher people.Publisher) (sign.Signer, error) {
	signers, err := keydir.Signers(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return signers[publisher], err
}

func rowOf(k keydir.Key) keyRow {
	return keyRow{string(k.Publisher), k.ID, k.Algorithm, k.Bits, k.Created, k.Current}
}

func openBlobs(blobs string) (sinks.Blobs, error) {
	path, ok := strings.CutPrefix(blobs, "dir:")
	if !ok {
		return nil, usageError{fmt.Errorf("blobs are in dir:PATH, not %q", blobs)}
	}
	return blobdir.Open(path)
}

// A sourceEntry is what a source's spec holds: its type, its configuration with
// references to secrets, and what it needs of the rest.
type sourceEntry struct {
	Type   string          `json:"type"`
	Config json.RawMessage `json:"config"`
	Around surroundings    `json:"around"`
}

func sourceSpec(s config.Source, at surroundings) (string, error) {
	c, err := json.Marshal(s.Config)
	if err != nil {
		return "", fmt.Errorf("cis: source %s: %w", s.Name, err)
	}
	b, err := json.Marshal(sourceEntry{s.Type, c, at})
	if err != nil {
		return "", fmt.Errorf("cis: source %s: %w", s.Name, err)
	}
	return string(b), nil
}

// sourceOf opens a source by its spec, with the time it is to take for now.
func (p *program) sourceOf(spec string, now time.Time) (connectors.Source, error) {
	var e sourceEntry
	if err := json.Unmarshal([]byte(spec), &e); err != nil {
		return nil, fmt.Errorf("cis: source: %w", err)
	}
	kind, ok := sourceTypes()[e.Type]
	if !ok {
		return nil, errors.New("cis: source of no known type")
	}
	c := kind.config()
	if err := json.Unmarshal(e.Config, c); err != nil {
		return nil, fmt.Errorf("cis: source: %w", err)
	}
	then := *p
	then.now = func() time.Time { return now }
	return kind.open(&then, c, e.Around)
}

// useOpeners tells the pipelines of this process how to open what specs name.
// Sources are told the run's time, stores the real one.
func (p *program) useOpeners() {
	stores := &pool{open: map[string]*pooled{}}
	spec.Use(spec.Openers{
		Store: func(ctx context.Context, s string) (sinks.Store, error) {
			return stores.get(ctx, s, func(ctx context.Context) (sinks.Store, error) {
				return p.openVault(ctx, &config.Config{Vault: s}, false)
			})
		},
		Blobs:  func(_ context.Context, s string) (sinks.Blobs, error) { return openBlobs(s) },
		Source: func(_ context.Context, s string, now time.Time) (connectors.Source, error) { return p.sourceOf(s, now) },
		Signers: func(_ context.Context, s string) (map[people.Publisher]sign.Signer, error) {
			signers, err := keydir.Signers(strings.TrimPrefix(s, "dir:"))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil // no keys yet: whoever needs one says which
			}
			return signers, err
		},
		Catalogue: func(_ context.Context, s string) (*catalogue.Catalogue, error) {
			return openCatalogue(&config.Config{Catalogue: s})
		},
		Salt: func(_ context.Context, s string) (string, error) { return config.Secret(s).Read(p.env) },
	})
}
