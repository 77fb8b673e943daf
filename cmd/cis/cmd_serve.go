package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"example.org/cis/api"
	"example.org/cis/api/auth"
	"example.org/cis/api/auth/issuer"
	"example.org/cis/api/console"
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
	Only   string `default:"all" enum:"all,person,change" help:"Serve one face only: person or change."`
	Dev    bool   `help:"Bring an issuer of tokens along, on loopback: see cis token."`
}

func (serveCommand) Help() string {
	return `Serves the person service: the Person API, the Change API, the documents by which callers find both, and a page at / to look people up.

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
	if p.env["GOGC"] == "" {
		debug.SetGCPercent(100) // what is remembered stays: five times as much would lie about besides
	}
	// Whoever only reads is not able to write.
	store, err := p.openVault(ctx, cfg, c.Only == "person")
	if err != nil {
		return err
	}
	defer store.Close()
	blobs, err := openBlobs(cfg.Blobs)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.API.Listen)
	if err != nil {
		return fmt.Errorf("cis: listen: %w", err)
	}
	defer listener.Close()
	if cfg.API.URL == "" {
		cfg.API.URL = "http://" + listener.Addr().String()
	}
	g, ctx := errgroup.WithContext(ctx)
	if c.Dev {
		dev, end, err := p.serveDev(ctx, g, cfg, listener.Addr())
		if err != nil {
			return err
		}
		defer end()
		cfg.API.Audience = dev.Audience
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
	if err := p.print(map[string]string{"url": cfg.API.URL, "listen": listener.Addr().String()}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Serving %s: look at it in a browser. Interrupt ends it.\n", cfg.API.URL)
		return err
	}); err != nil {
		return err
	}
	g.Go(func() error { return server.Serve(ctx, listener) })
	return g.Wait()
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
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return dev, nil, fmt.Errorf("cis: listen for the issuer of --dev: %w", err)
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
	return dev, func() { os.Remove(p.devPath()) }, nil // of no use to anybody now
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
}

func (s *serving) routes(ctx context.Context, only string) ([]api.Route, error) {
	routes := api.Health(s.ready, s.metrics)
	discovery, err := s.wellknown(only != "person")
	if err != nil {
		return nil, err
	}
	routes = append(routes, discovery...)
	if only != "change" {
		person, err := s.person()
		if err != nil {
			return nil, err
		}
		routes = append(routes, person...)
		routes = append(routes, console.New()...)
	}
	if only != "person" {
		change, err := s.p.changeRoutes(ctx, s.cfg, s.cat, s.o.store, s.secret, s.log)
		if err != nil {
			return nil, err
		}
		routes = append(routes, change...)
	}
	return routes, nil
}

// ready is nil if the vault can be read and tokens can be verified.
func (s *serving) ready(ctx context.Context) error {
	if _, err := sync.Head(ctx, s.o.store); err != nil {
		return err
	}
	return s.verifier.Ready(ctx)
}

// person are the routes of the Person API.
func (s *serving) person() ([]api.Route, error) {
	seal, err := person.NewSeal(s.secret, s.p.random, s.p.now)
	if err != nil {
		return nil, err
	}
	return person.New(person.Options{
		Store: s.o.store, Catalogue: s.cat, Seal: seal, ListScope: s.cfg.API.ListScope, Version: version(), Now: s.p.now,
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
