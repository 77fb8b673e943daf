package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Config is the whole configuration. Paths in it are absolute, and specs
// have the form scheme:rest.
type Config struct {
	// Path is where the file was read from.
	Path string `yaml:"-"`
	// Vault is the spec of the store of profiles and ledger.
	Vault string `yaml:"vault"`
	// Blobs is the spec of where extracts, plans and snapshots are.
	Blobs string `yaml:"blobs"`
	// Keys is the spec of where the signing keys are.
	Keys string `yaml:"keys"`
	// Salt refers to what uuids are derived from.
	Salt Secret `yaml:"salt"`
	// Catalogue is the path of a catalogue, "" for the built-in one.
	Catalogue string `yaml:"catalogue"`
	// Subscribers are the names of who gets outbox rows.
	Subscribers []string `yaml:"subscribers"`
	Signing     Signing  `yaml:"signing"`
	// Publishing is what holds for publishers that write by themselves.
	Publishing Publishing `yaml:"publishing"`
	Absence    Absence    `yaml:"absence"`
	// Protected are user_ids of people whom absence never ends.
	Protected []string `yaml:"protected"`
	Sources   []Source `yaml:"sources"`
	API       API      `yaml:"api"`
}

// API is what the person service needs to know beside all that.
type API struct {
	// Listen is the address that is listened on.
	Listen string `yaml:"listen"`
	// URL is how callers reach the service; of Listen if it is "".
	URL string `yaml:"url"`
	// Audience is what the aud of every token must be, or have among others.
	Audience string   `yaml:"audience"`
	Issuers  []Issuer `yaml:"issuers"`
	// Origins whose pages may call the routes that are open to anyone.
	Origins []string `yaml:"origins"`
	// Proxies is how many proxies stand before the service.
	Proxies int `yaml:"proxies"`
	// ListScope is demanded of whoever lists ids, if it is not "".
	ListScope string `yaml:"list_scope"`
	// PublicKeys is a file or an https URL with the public keys of all publishers,
	// for a face that holds no signing keys; "" takes them from the signing keys.
	PublicKeysFile string `yaml:"public_keys_file"`
	PublicKeysURL  string `yaml:"public_keys_url"`
	// WellKnown is the path of the discovery document.
	WellKnown string `yaml:"well_known"`
	// OIDC is the discovery document of whoever logs people in, and AccessFile a
	// JSON file, both to be told to callers.
	OIDC       string `yaml:"oidc_discovery_uri"`
	AccessFile string `yaml:"access_file"`
}

// An Issuer makes tokens that the person service accepts.
type Issuer struct {
	Issuer string `yaml:"issuer"`
	// JWKS is where its keys are; by its own discovery document if it is "".
	JWKS       string   `yaml:"jwks_url"`
	Algorithms []string `yaml:"algorithms"`
	// Accounts are the verified addresses of accounts that it may speak for, who
	// have the Scopes: of an issuer such as Google, whose tokens have none.
	Accounts []string `yaml:"accounts"`
	Scopes   []string `yaml:"scopes"`
}

// Signing is the policy of verification.
type Signing struct {
	// RequireBinding refuses signatures that name neither person nor attribute.
	RequireBinding bool `yaml:"require_binding"`
	// Algorithms lists the JWS algorithms accepted of a publisher; a publisher
	// that is not named may use any that the program knows.
	Algorithms map[string][]string `yaml:"algorithms"`
	// Trusted are files and https URLs of keys that are not made here: a JWKS by
	// publisher, or a well-known document.
	Trusted []string `yaml:"trusted"`
}

// Publishing is the policy of the Change API.
type Publishing struct {
	// ReportOnly lets attributes through that the schema refuses and that can be
	// kept nevertheless, and logs them.
	ReportOnly bool `yaml:"report_only"`
}

// Absence says when somebody who is no longer in a source is taken to have left.
type Absence struct {
	// ConfirmAfter is the least time between the two complete extracts that
	// must both miss the person.
	ConfirmAfter time.Duration `yaml:"confirm_after"`
	// Grace is how long after that the person stays active.
	Grace time.Duration `yaml:"grace"`
	// GraceHRIS is the same where the HRIS is the authority.
	GraceHRIS time.Duration `yaml:"grace_hris"`
}

// A Source is one configured system of record.
type Source struct {
	Name, Type string
	// Config is what [Table.Sources] made for the type, filled in.
	Config any
}

// A Table says what there is to choose from: the program knows the
// implementations, this package does not.
type Table struct {
	// Sources makes an empty configuration by type of source: a pointer to a
	// struct with yaml tags, holding its defaults. A field "name" takes the
	// source's. If it has a method Validate() error, what that says (joined
	// errors, one a complaint, beginning with the type) is added.
	Sources map[string]func() any
	// The schemes of specs.
	Vaults, Blobs, Keys []string
	// Algorithms are the names of JWS algorithms.
	Algorithms []string
}

// A Complaint is one thing that is wrong in the configuration.
type Complaint struct {
	// File and Line are where; Line is 0 for the file as a whole.
	File string `json:"file,omitzero"`
	Line int    `json:"line,omitzero"`
	// Variable is the environment variable that is wrong instead.
	Variable string `json:"variable,omitzero"`
	Message  string `json:"message"`
}

func (c Complaint) String() string {
	switch {
	case c.Variable != "":
		return c.Variable + ": " + c.Message
	case c.Line > 0:
		return fmt.Sprintf("%s:%d: %s", c.File, c.Line, c.Message)
	case c.File != "":
		return c.File + ": " + c.Message
	}
	return c.Message
}

// Complaints is the error of a configuration that is wrong.
type Complaints []Complaint

// Error returns one complaint a line.
func (cs Complaints) Error() string {
	lines := make([]string, len(cs))
	for i, c := range cs {
		lines[i] = c.String()
	}
	return strings.Join(lines, "\n")
}

// An Env is the environment: variables by name.
type Env map[string]string

// ParseEnv reads variables in the form of os.Environ.
func ParseEnv(environ []string) Env {
	env := make(Env, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

// Load reads and validates the configuration at path. Everything that is
// wrong comes back as [Complaints]; other errors are of reading the file.
func Load(path string, env Env, table Table) (*Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Complaints{{File: path, Message: "there is no such file: `cis init` writes one, --config names another"}}
	}
	if err != nil {
		return nil, fmt.Errorf("config: read: %w", err)
	}
	return parse(b, path, env, table)
}

func parse(b []byte, path string, env Env, table Table) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("config: find the folder of %s: %w", path, err)
	}
	c := &Config{
		Path:    path,
		Vault:   "sqlite:cis.db",
		Blobs:   "dir:cis-blobs",
		Keys:    "dir:cis-keys",
		Absence: Absence{ConfirmAfter: 24 * time.Hour, Grace: 72 * time.Hour, GraceHRIS: 24 * time.Hour},
		API:     API{Listen: "127.0.0.1:8080", WellKnown: "/.well-known/mozilla-iam"},
	}
	d := &decoder{file: path, dir: filepath.Dir(abs), table: table, places: map[string]place{}, refs: map[string]bool{}}
	if node := d.root(b); node != nil {
		d.decode(node, reflect.ValueOf(c).Elem(), "", "")
		d.overrides(c, env)
		d.validate(c)
	}
	if len(d.complaints) > 0 {
		slices.SortStableFunc(d.complaints, func(a, b Complaint) int { return a.Line - b.Line })
		return nil, d.complaints
	}
	return c, nil
}

// Names of sources appear in commands, reports and variables.
var sourceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (d *decoder) validate(c *Config) {
	for _, s := range []struct {
		path    string
		spec    *string
		schemes []string
	}{{"vault", &c.Vault, d.table.Vaults}, {"blobs", &c.Blobs, d.table.Blobs}, {"keys", &c.Keys, d.table.Keys}} {
		spec, err := resolve(*s.spec, d.dir, s.schemes)
		if err != nil {
			d.complain(s.path, "%s", err)
		}
		*s.spec = spec
	}
	if c.Salt == "" && !d.complained("salt") {
		d.complain("salt", "missing; uuids are derived from it, so there is no default: write salt: file:cis-salt or salt: env:CIS_SALT")
	}
	for _, publisher := range slices.Sorted(maps.Keys(c.Signing.Algorithms)) {
		for _, alg := range c.Signing.Algorithms[publisher] {
			if !slices.Contains(d.table.Algorithms, alg) {
				d.complain("signing.algorithms", "%s", unknown("algorithm", alg, d.table.Algorithms))
			}
		}
	}
	for i, from := range c.Signing.Trusted {
		switch scheme, _, ok := strings.Cut(from, "://"); {
		case !ok:
			c.Signing.Trusted[i] = within(d.dir, from)
		case scheme != "https":
			d.complain("signing.trusted", "keys are read over https or from a file")
		}
	}
	d.unique("signing.trusted", c.Signing.Trusted)
	for path, v := range map[string]time.Duration{"absence.confirm_after": c.Absence.ConfirmAfter, "absence.grace": c.Absence.Grace, "absence.grace_hris": c.Absence.GraceHRIS} {
		if v < 0 {
			d.complain(path, "want a duration that is not negative")
		}
	}
	d.validateAPI(&c.API)
	d.unique("subscribers", c.Subscribers)
	d.unique("protected", c.Protected)
	if len(c.Sources) == 0 && !d.complained("sources") {
		d.complain("sources", "want at least one source")
	}
	for _, s := range c.Sources {
		if s.Config != nil {
			d.validateSource(s)
		}
	}
}

func (d *decoder) validateAPI(a *API) {
	if _, _, err := net.SplitHostPort(a.Listen); err != nil {
		d.complain("api.listen", "want an address and a port, such as 127.0.0.1:8080")
	}
	for path, text := range map[string]string{"api.url": a.URL, "api.oidc_discovery_uri": a.OIDC, "api.public_keys_url": a.PublicKeysURL} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery+u.Fragment != "") {
			d.complain(path, "want a URL such as https://person.example.org")
		}
	}
	if a.PublicKeysURL != "" && !strings.HasPrefix(a.PublicKeysURL, "https://") {
		d.complain("api.public_keys_url", "want https")
	}
	if a.PublicKeysURL != "" && a.PublicKeysFile != "" {
		d.complain("api.public_keys_file", "at most one of public_keys_file and public_keys_url")
	}
	if !strings.HasPrefix(a.WellKnown, "/.well-known/") {
		d.complain("api.well_known", "want a path that begins with /.well-known/")
	}
	if a.Proxies < 0 {
		d.complain("api.proxies", "want a number that is not negative")
	}
	for i, origin := range a.Origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			d.complain(fmt.Sprintf("api.origins[%d]", i), "want an origin such as https://login.example.org, without a path")
		}
	}
	for i, issuer := range a.Issuers {
		d.validateIssuer(fmt.Sprintf("api.issuers[%d]", i), issuer, a.Issuers[:i])
	}
	if len(a.Issuers) > 0 && a.Audience == "" {
		d.complain("api.audience", "missing: without it a token that was made for somebody else would be accepted")
	}
}

// The algorithms of tokens that the person service knows.
var tokenAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"}

// validateIssuer complains of what the verifier of tokens would refuse.
func (d *decoder) validateIssuer(path string, issuer Issuer, before []Issuer) {
	const want = "want an https URL without user, query and fragment; http is for 127.0.0.1, ::1 and localhost"
	switch {
	case d.complained(path + ".issuer"):
	case issuer.Issuer == "":
		d.complain(path, "an issuer without its issuer: what the iss of its tokens is")
	case !isSafe(issuer.Issuer) || strings.Contains(issuer.Issuer, "?"):
		d.complain(path+".issuer", want)
	case slices.ContainsFunc(before, func(other Issuer) bool { return other.Issuer == issuer.Issuer }):
		d.complain(path+".issuer", "a second one with this issuer")
	}
	if issuer.JWKS != "" && !isSafe(issuer.JWKS) {
		d.complain(path+".jwks_url", "%s", strings.Replace(want, "user, query and", "user and", 1))
	}
	for _, alg := range issuer.Algorithms {
		if !slices.Contains(tokenAlgorithms, alg) {
			d.complain(path+".algorithms", "%s", unknown("algorithm", alg, tokenAlgorithms))
		}
	}
	if len(issuer.Scopes) > 0 && len(issuer.Accounts) == 0 {
		d.complain(path, "scopes are for accounts, of which there are none: every token of the issuer would have them")
	}
	if slices.Contains(issuer.Accounts, "") {
		d.complain(path+".accounts", "holds an empty name")
	}
	for _, scope := range issuer.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			d.complain(path+".scopes", "want a list of scopes, each one word")
		}
	}
}

// isSafe reports whether what is read from a URL cannot be changed on the way,
// and nothing in it is secret.
func isSafe(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && a.IsLoopback())
}

func (d *decoder) unique(path string, list []string) {
	seen := map[string]bool{}
	for _, s := range list {
		switch {
		case s == "":
			d.complain(path, "holds an empty name")
		case seen[s]:
			d.complain(path, "holds a name twice")
		}
		seen[s] = true
	}
}

func (d *decoder) validateSource(s Source) {
	path := "sources." + s.Name
	v, ok := s.Config.(interface{ Validate() error })
	if !ok {
		return
	}
	for _, err := range each(v.Validate()) {
		d.complain(path, "%s", strings.TrimPrefix(err.Error(), s.Type+": "))
	}
}

// each returns the errors that errors.Join put together.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// Schemes whose rest is a path of this machine.
var local = map[string]bool{"sqlite": true, "dir": true, "file": true}

// Resolve returns spec (scheme:rest) with its path, if it has one, made
// absolute from dir.
func resolve(spec, dir string, schemes []string) (string, error) {
	scheme, rest, ok := strings.Cut(spec, ":")
	if !ok || rest == "" {
		return spec, fmt.Errorf("want scheme:where, with a scheme of %s", strings.Join(schemes, ", "))
	}
	if !slices.Contains(schemes, scheme) {
		return spec, errors.New(unknown("scheme", scheme, schemes))
	}
	if local[scheme] {
		rest = within(dir, rest)
	}
	return scheme + ":" + rest, nil
}

// SetVault puts another vault in the place of the configured one, with paths
// relative to the current folder, as everything on a command line is.
func (c *Config) SetVault(spec string, table Table) error {
	abs, err := ResolveVault(spec, table)
	if err != nil {
		return fmt.Errorf("--vault: %w", err)
	}
	c.Vault = abs
	return nil
}

// ResolveVault checks the spec of a vault that stands on a command line, and
// makes its path absolute.
func ResolveVault(spec string, table Table) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("config: find the current folder: %w", err)
	}
	return resolve(spec, dir, table.Vaults)
}

func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
