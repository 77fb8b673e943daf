package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"example.org/cis/api"
	"example.org/cis/api/auth"
	"example.org/cis/api/auth/issuer"
	"example.org/cis/api/console"
	"example.org/cis/api/hooks"
	"example.org/cis/api/person"
	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/traces"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type serveCommand struct {
	Listen string `placeholder:"ADDRESS" help:"Listen on this address (default: api.listen of the configuration, 127.0.0.1:8080)."`
	Only   string `default:"all" enum:"all,person,change,hooks" help:"Serve one face only: person, change or hooks."`
	Dev    bool   `help:"Bring an issuer of tokens along, on loopback, at the port after --listen: see cis token."`
}

func (serveCommand) Help() string {
	return `Serves the person service: the Person API, the Change API, the hook by which other systems tell that somebody changed, the documents by which callers find both, and a page at / to look people up.

Every request needs a bearer token of an issuer that the configuration names, made for its audience (api.issuers, api.audience). With --dev a small issuer is part of it, for this machine only: "cis token" asks it.

With --only person the vault is opened to be read, and no signing key is; give it the public keys with api.public_keys_file, which "cis keys jwks" writes.

It ends on an interrupt, after it has answered what it was asked. It logs JSON to standard error: ids, counts and codes, no values. Traces go to OTEL_EXPORTER_OTLP_ENDPOINT, if that is set.

Examples:

    cis serve --dev
    cis serve --only person --listen :8080`
}

func (c serveCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	cat, err := openCatalogue(cfg)
	if err != nil {
		return err
	}
	cfg.API.Listen = cmp.Or(c.Listen, cfg.API.Listen)
	if err := c.check(cfg); err != nil {
		return usageError{err}
	}
	log := slog.New(slog.NewJSONHandler(p.stderr, nil))
	if c.Dev { // a human reads it
		log = slog.New(slog.NewTextHandler(p.stderr, nil))
	}
	if p.env["GOGC"] == "" {
		debug.SetGCPercent(100) // what is remembered stays: five times as much would lie about besides
	}
	store, err := p.serveVault(ctx, cfg, c.Only == "person")
	if err != nil {
		return err
	}
	defer store.Close()
	blobs, err := openBlobs(cfg.Blobs)
	if err != nil {
		return err
	}
	listener, err := listen(cfg.API.Listen, "--listen names another address")
	if err != nil {
		return err
	}
	defer listener.Close()
	here := "http://" + listener.Addr().String()
	cfg.API.URL = cmp.Or(cfg.API.URL, here)
	g, ctx := errgroup.WithContext(ctx)
	if c.Dev {
		dev, end, err := p.serveDev(ctx, g, cfg, listener.Addr())
		if err != nil {
			return err
		}
		defer end()
		cfg.API.Audience = dev.Audience
		cfg.API.OIDC = cmp.Or(cfg.API.OIDC, dev.Issuer+".well-known/openid-configuration")
		cfg.API.Issuers = append(cfg.API.Issuers, config.Issuer{Issuer: dev.Issuer})
	}
	verifier, err := auth.Open(authOptions(cfg, p.now, log))
	if err != nil {
		return usageError{err}
	}
	defer verifier.Close()
	tracer, flush, err := traces.Open(ctx, p.env)
	if err != nil {
		return err
	}
	defer flush()
	metrics := prometheus.NewRegistry()
	for _, m := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := metrics.Register(m); err != nil {
			return fmt.Errorf("cis: metrics: %w", err)
		}
	}
	s := &serving{p: p, cfg: cfg, cat: cat, o: &opened{store, blobs}, metrics: metrics, verifier: verifier, log: log}
	if err := s.checkKeys(ctx, c.Only); err != nil {
		return err
	}
	s.public = &recent[sign.Keys]{now: p.now, read: s.readKeys}
	if s.secret, err = sync.VaultKey(ctx, store); err != nil {
		return err
	}
	if s.secret == nil { // nobody is there yet: what this process gives out ends with it
		s.secret = []byte(rand.Text())
	}
	routes, err := s.routes(ctx, c.Only)
	if err != nil {
		return err
	}
	server, err := api.NewServer(api.Options{
		Auth: verifier, Origins: cfg.API.Origins, Proxies: cfg.API.Proxies, Log: log, Registry: metrics, Tracer: tracer, Now: p.now, Random: p.random,
	}, routes...)
	if err != nil {
		return err
	}
	if loaded, err := s.loaded(ctx); err != nil {
		return err
	} else if !loaded {
		log.Warn("nobody is in the vault yet, so that every question about people is answered with 503: cis sync --first-load")
	}
	if err := p.print(map[string]string{"url": cfg.API.URL, "listen": listener.Addr().String()}, func(w io.Writer) error {
		text := "Serving at " + here
		if cfg.API.URL != here {
			text += ", for callers at " + cfg.API.URL
		}
		text += ".\n"
		if c.Only == "all" || c.Only == "person" {
			text += "To look somebody up, open it in a browser.\n"
		}
		if c.Dev {
			text += "For a token: cis token, in another terminal in this folder.\n"
		}
		_, err := io.WriteString(w, text+"Interrupt ends it.\n")
		return err
	}); err != nil {
		return err
	}
	g.Go(func() error { return server.Serve(ctx, listener) })
	if err := g.Wait(); err != nil {
		return err
	}
	if !p.JSON {
		fmt.Fprintln(p.stdout, "Ended.")
	}
	return nil
}

// listen listens on an address, or says what else to do.
func listen(address, instead string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, usageError{fmt.Errorf("%s is taken by another program: %s", address, instead)}
	case err != nil:
		return nil, usageError{fmt.Errorf("%s cannot be listened on: %w", address, err)}
	}
	return l, nil
}

// serveVault opens a vault that is there. Whoever only reads is not able to write.
func (p *program) serveVault(ctx context.Context, cfg *config.Config, readOnly bool) (sinks.Store, error) {
	// A vault that was made because its name is mistyped would say of everybody
	// that they are not there.
	look, err := p.openVault(ctx, cfg, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{fmt.Errorf("there is no vault at %s: cis sync --first-load makes one, --vault names another", cfg.Vault)}
	}
	if err != nil || readOnly {
		return look, err
	}
	if err := look.Close(); err != nil {
		return nil, err
	}
	return p.openVault(ctx, cfg, false)
}

func (c serveCommand) check(cfg *config.Config) error {
	if !c.Dev && len(cfg.API.Issuers) == 0 {
		return errors.New("api.issuers is empty: nobody could call. Name the issuer of your callers' tokens, or try it with --dev")
	}
	if c.Only == "person" && cfg.API.PublicKeysURL+cfg.API.PublicKeysFile == "" {
		return errors.New("the person face holds no signing key, and so needs the public ones: cis keys jwks > keys.json, and api.public_keys_file: keys.json")
	}
	host, _, err := net.SplitHostPort(cfg.API.Listen)
	if err != nil {
		return fmt.Errorf("--listen: want an address and a port, such as 127.0.0.1:8080")
	}
	if ip := net.ParseIP(host); c.Dev && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("--dev is for this machine alone: listen on 127.0.0.1")
	}
	return nil
}

func authOptions(cfg *config.Config, now func() time.Time, log *slog.Logger) auth.Options {
	o := auth.Options{Audience: cfg.API.Audience, Now: now, Log: log}
	for _, i := range cfg.API.Issuers {
		o.Issuers = append(o.Issuers, auth.Issuer{Issuer: i.Issuer, JWKSURL: i.JWKS, Algorithms: i.Algorithms, Accounts: i.Accounts, Scopes: i.Scopes})
	}
	return o
}

// serveDev brings an issuer along, and writes down for cis token how to ask it.
func (p *program) serveDev(ctx context.Context, g *errgroup.Group, cfg *config.Config, beside net.Addr) (dev devServer, end func(), err error) {
	// The port after ours, so that it is the same each time.
	port := "0"
	if at := beside.(*net.TCPAddr); at.Port < 65535 && cfg.API.Listen != "" {
		if _, asked, _ := net.SplitHostPort(cfg.API.Listen); asked != "0" {
			port = strconv.Itoa(at.Port + 1)
		}
	}
	if other, err := p.readDev(); err == nil && answers(ctx, other) {
		return dev, nil, usageError{fmt.Errorf("cis serve --dev runs here already, with its issuer at %s: end that one first", other.Issuer)}
	}
	l, err := listen(net.JoinHostPort("127.0.0.1", port), "the issuer of --dev is at the port after --listen, which names another one")
	if err != nil {
		return dev, nil, err
	}
	dev = devServer{Issuer: "http://" + l.Addr().String() + "/", Audience: cmp.Or(cfg.API.Audience, "cis-dev"), ClientID: "dev", Secret: rand.Text()}
	i, err := issuer.New(issuer.Options{URL: dev.Issuer, Audience: dev.Audience, Now: p.now,
		Clients: []issuer.Client{{ID: dev.ClientID, Secret: dev.Secret, Scopes: scopeNames()}}})
	if err != nil {
		return dev, nil, errors.Join(err, l.Close())
	}
	if err := p.writeDev(dev); err != nil {
		return dev, nil, errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: i, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("cis: serve the issuer of --dev: %w", err)
		}
		return nil
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	return dev, func() {
		if now, err := p.readDev(); err == nil && now == dev {
			os.Remove(p.devPath()) // of no use to anybody now
		}
	}, nil
}

// answers reports whether an issuer of --dev is there.
func answers(ctx context.Context, dev devServer) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, dev.Issuer+".well-known/openid-configuration", nil)
	if err != nil {
		return false
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// A serving is what the routes are made of.
type serving struct {
	p        *program
	cfg      *config.Config
	cat      *catalogue.Catalogue
	o        *opened
	metrics  *prometheus.Registry
	verifier *auth.Verifier
	log      *slog.Logger
	public   *recent[sign.Keys]
	secret   []byte
	// hasPeople says that people were loaded, which does not change any more.
	hasPeople atomic.Bool
}

func (s *serving) routes(ctx context.Context, only string) ([]api.Route, error) {
	routes := api.Health(s.ready, s.metrics)
	discovery, err := s.wellknown(only != "person")
	if err != nil {
		return nil, err
	}
	routes = append(routes, discovery...)
	if only == "all" || only == "person" {
		person, err := s.person()
		if err != nil {
			return nil, err
		}
		for i, r := range person {
			if r.Path != "/v2" && r.Path != "/v2/{$}" && r.Path != "/v2/version" {
				person[i].Serve = s.whenLoaded(r.Serve)
			}
		}
		routes = append(routes, person...)
		routes = append(routes, console.New()...)
	}
	if only == "all" || only == "hooks" {
		hooks, err := s.hooks()
		if err != nil {
			return nil, err
		}
		routes = append(routes, hooks...)
	}
	if only == "all" || only == "change" {
		change, err := s.p.changeRoutes(ctx, s.cfg, s.cat, s.o.store, s.secret, s.log)
		if err != nil {
			return nil, err
		}
		routes = append(routes, change...)
	}
	return routes, nil
}

// ready is nil if people can be read, and tokens and signatures verified.
func (s *serving) ready(ctx context.Context) error {
	loaded, err := s.loaded(ctx)
	if err == nil && !loaded {
		err = errNotLoaded
	}
	if _, keys := s.public.get(ctx); err == nil {
		err = keys
	}
	if err != nil {
		return err
	}
	return s.verifier.Ready(ctx)
}

// errNotLoaded is the answer while a vault is empty: that nobody was loaded must
// not be taken for that somebody is not there.
var errNotLoaded = &api.Error{Status: http.StatusServiceUnavailable, Code: "not_loaded", Description: "nobody has been loaded into the vault yet; whoever runs the service does that with cis sync --first-load"}

// loaded reports whether people were ever loaded into the vault.
func (s *serving) loaded(ctx context.Context) (bool, error) {
	if s.hasPeople.Load() {
		return true, nil
	}
	head, err := sync.Head(ctx, s.o.store)
	if err != nil {
		return false, err
	}
	n := int64(1)
	if head == "" { // it may have been filled by an import
		if n, err = s.o.store.Count(ctx); err != nil {
			return false, err
		}
	}
	if n > 0 {
		s.hasPeople.Store(true)
	}
	return n > 0, nil
}

// whenLoaded answers once people were loaded.
func (s *serving) whenLoaded(serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		loaded, err := s.loaded(r.Context())
		if err != nil {
			return err
		}
		if !loaded {
			return errNotLoaded
		}
		return serve(w, r)
	}
}

// checkKeys looks whether the keys are there that a face needs.
func (s *serving) checkKeys(ctx context.Context, only string) error {
	if only != "person" {
		signer, err := s.p.openKeys(s.cfg).signer(people.CIS)
		if err != nil {
			return err
		}
		if signer == nil {
			return usageError{errors.New("no key signs for cis: cis keys new --all makes what is missing")}
		}
	}
	keys, err := s.readKeys(ctx)
	switch file := s.cfg.API.PublicKeysFile; {
	case err != nil && file != "":
		return usageError{fmt.Errorf("api.public_keys_file: %w: cis keys jwks > %s writes it", err, filepath.Base(file))}
	case err != nil: // whoever publishes them may be back in a moment
		s.log.Warn("public keys cannot be read; until they can, signatures are not verified", "error", err.Error())
	case len(keys) == 0:
		return usageError{errors.New("there are no public keys, so that nobody could verify anything: cis keys new --all")}
	}
	return nil
}

// person are the routes of the Person API.
func (s *serving) person() ([]api.Route, error) {
	seal, err := person.NewSeal(s.secret, s.p.random, s.p.now)
	if err != nil {
		return nil, err
	}
	return person.New(person.Options{
		Store: s.o.store, Catalogue: s.cat, Searchable: sync.Searchable(), Seal: seal, ListScope: s.cfg.API.ListScope, Version: version(), Now: s.p.now,
		Explain: s.explain, Revisions: s.o.history, Everybody: s.everybody,
	}), nil
}

// readKeys reads the public keys of all publishers.
func (s *serving) readKeys(ctx context.Context) (sign.Keys, error) {
	if from := s.cfg.API.PublicKeysURL + s.cfg.API.PublicKeysFile; from != "" {
		keys, _, err := readKeys(ctx, from)
		return keys, err
	}
	return s.p.trusted(ctx, s.cfg)
}

func (s *serving) explain(ctx context.Context, stored sinks.Stored, p *people.Profile, path people.Path) (person.Explanation, error) {
	keys, err := s.public.get(ctx)
	if err != nil {
		return person.Explanation{}, err
	}
	x, err := s.p.explain(ctx, s.o, s.cfg, s.cat, keys, stored, p, path)
	if err != nil {
		return person.Explanation{}, err
	}
	out := person.Explanation{Person: x.Person, Revision: x.Revision, Authority: x.Authority, Records: []person.Record{}, Attributes: make([]person.Explained, 0, len(x.Attributes))}
	for _, r := range x.Records {
		out.Records = append(out.Records, person.Record{Publisher: r.Publisher, Source: r.Source, Lifecycle: r.Lifecycle, SeenAt: r.SeenAt})
	}
	for _, a := range x.Attributes {
		e := person.Explained{Explanation: a.Explanation, Signature: person.Signature(a.Signature)}
		if a.Since != nil {
			e.Since, e.RecordedAt = a.Since.TrueSince, a.Since.RecordedAt
		}
		out.Attributes = append(out.Attributes, e)
	}
	return out, nil
}

// everybody is the snapshot of the last run.
func (s *serving) everybody(ctx context.Context) (person.Snapshot, error) {
	head, err := sync.Head(ctx, s.o.store)
	if err != nil {
		return person.Snapshot{}, err
	}
	if head == "" {
		return person.Snapshot{}, person.ErrNoSnapshot
	}
	w, err := snapshots.Open(ctx, s.o.blobs, head)
	if err != nil {
		return person.Snapshot{}, err
	}
	return person.Snapshot{
		Run: head, AsOf: w.Manifest.Clock, Moved: w.Manifest.VaultTime, Close: w.Close, Each: w.Each,
	}, nil
}

// A scope is what a token may let its caller do.
type scope struct{ name, description string }

// scopes are all that the service knows.
func scopes() []scope {
	return []scope{
		{"read:fullprofile", "Attributes of every classification; display is filtered on its own"},
		{"write", "Send changes; each attribute needs the signature of a publisher that may change it"},
		{"classification:public", "Attributes that are PUBLIC, which every caller sees"},
		{"classification:mozilla_confidential", "Attributes that are MOZILLA CONFIDENTIAL"},
		{"classification:workgroup:staff_only", "Attributes that are WORKGROUP CONFIDENTIAL: STAFF ONLY"},
		{"classification:workgroup", "Attributes that are WORKGROUP CONFIDENTIAL"},
		{"classification:individual", "Attributes that are INDIVIDUAL CONFIDENTIAL"},
		{"display:all", "Attributes of every display, private ones too; classification is filtered on its own"},
		{"display:staff", "Attributes that are shown to staff"},
		{"display:ndaed", "Attributes that are shown to people under an agreement not to disclose"},
		{"display:vouched", "Attributes that are shown to vouched people"},
		{"display:authenticated", "Attributes that are shown to whoever is logged in"},
		{"display:public", "Attributes that are shown to everybody, which every caller sees"},
		{"display:none", "Attributes for which nobody chose a display"},
		{hooks.Scope, "Tell that somebody changed elsewhere, so that they are read anew"},
		{person.Search, "Search people by groups and staff facts, and read groups"},
		{person.Explain, "Read why a profile is what it is"},
		{person.History, "Read what a profile was"},
		{api.MetricsScope, "Read the metrics of the service"},
	}
}

func scopeNames() (names []string) {
	for _, s := range scopes() {
		names = append(names, s.name)
	}
	return names
}
