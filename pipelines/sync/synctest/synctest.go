// Package synctest runs whole syncs in tests: real connectors on files, a
// vault in SQLite, keys in a directory, blobs in memory unless they are asked
// for on disk, and a clock that stands still until it is told otherwise.
//
// A [World] is one company in a temporary folder. A [Story] is what happens to
// a company day by day, written as a txtar file that a domain expert can read
// and check; see testdata/scenarios.
//
// The openers of pipelines are one table a process: tests that use this
// package must not run in parallel.
package synctest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/connectors"
	"example.org/cis/connectors/auth0"
	"example.org/cis/connectors/directory"
	"example.org/cis/connectors/github"
	"example.org/cis/connectors/hris"
	"example.org/cis/connectors/ldap"
	"example.org/cis/connectors/web"
	"example.org/cis/pipelines/spec"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/keydir"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// The files of the sources in a world's folder.
const (
	PeopleFile    = "people.ldif"
	WorkersFile   = "workers.json"
	AccountsFile  = "accounts.jsonl"
	DirectoryFile = "directory.jsonl"
	GitHubFile    = "github.json"
)

// Salt is the salt of every world, so that worlds agree on uuids.
const Salt = "a salt for tests"

// Subscriber is the one subscriber of every world.
const Subscriber = "directory"

// A World is one company: the sources "people" (LDIF) and "workers" (a
// Workday report) in Dir, with AddSource also "accounts" (Auth0), "directory"
// and "github", and what is kept of them.
type World struct {
	Dir       string
	LDAP      ldap.Config
	HRIS      hris.Config
	Accounts  auth0.Config
	Directory directory.Config
	GitHub    github.Config
	// Job and Options are what each run begins with; the clock is set by Sync.
	Job     sync.Job
	Options sync.Options
	// WrapStore and WrapBlobs, if set, stand between every step and what it opens.
	WrapStore func(sinks.Store) sinks.Store
	WrapBlobs func(sinks.Blobs) sinks.Blobs
	// StoreClock is the vault's clock; nil is the world's own.
	StoreClock func() time.Time
	Catalogue  *catalogue.Catalogue

	now   atomic.Pointer[time.Time]
	blobs sinks.Blobs
	store sinks.Store // opened once, by Store
}

// shared is the one store of a world: steps open and close it in name only,
// which saves most of the time that a small run takes.
type shared struct{ sinks.Store }

func (shared) Close() error { return nil }

// metered is one that counts.
type metered struct {
	shared
	sinks.Metered
}

func share(s sinks.Store) sinks.Store {
	if m, ok := s.(sinks.Metered); ok {
		return metered{shared{s}, m}
	}
	return shared{s}
}

// New makes a world without records, with Ed25519 keys that are the same in
// every run of the test.
func New(t testing.TB) *World {
	t.Helper()
	dir := t.TempDir()
	w := &World{
		Dir:       dir,
		LDAP:      ldap.Config{Name: "people", File: filepath.Join(dir, PeopleFile)},
		HRIS:      hris.Config{Name: "workers", File: filepath.Join(dir, WorkersFile)},
		Accounts:  auth0.Config{Name: "accounts", File: filepath.Join(dir, AccountsFile)},
		Directory: directory.Config{Name: "directory", File: filepath.Join(dir, DirectoryFile)},
		GitHub:    github.Config{Name: "github", File: filepath.Join(dir, GitHubFile)},
		Catalogue: catalogue.Default(),
		blobs:     new(Memory),
	}
	w.At(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
	random := rand.NewChaCha8([32]byte{1})
	for _, p := range []people.Publisher{people.CIS, people.HRIS, people.LDAP, people.AccessProvider, people.Directory, people.GitHub} {
		if _, err := keydir.New(filepath.Join(dir, "keys"), p, sign.EdDSA, 256, random, w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keydir.New(w.directoryKeys(), people.Directory, sign.EdDSA, 256, random, w.Now()); err != nil {
		t.Fatal(err)
	}
	day := int64(24 * time.Hour / time.Second)
	w.Job = sync.Job{
		Vault: filepath.Join(dir, "vault.db"), Blobs: "blobs", Work: "blobs", Keys: filepath.Join(dir, "keys"),
		Sources: []sync.Source{
			{Name: "people", Publisher: people.LDAP, Spec: "people", Confirm: day, Grace: 3 * day},
			{Name: "workers", Publisher: people.HRIS, Spec: "workers", Confirm: day, Grace: day},
		},
	}
	w.Options = sync.Options{Holder: "test", Now: w.Now, Random: random, Subscribers: []string{Subscriber}}
	return w
}

// AddSource gives the world one more source, by the name of its file.
func (w *World) AddSource(file string) {
	day := int64(24 * time.Hour / time.Second)
	s := map[string]sync.Source{
		AccountsFile:  {Name: "accounts", Publisher: people.AccessProvider, Confirm: day, Grace: 3 * day},
		DirectoryFile: {Name: "directory", Publisher: people.Directory},
		GitHubFile:    {Name: "github", Publisher: people.GitHub},
	}[file]
	s.Spec = s.Name
	w.Job.Sources = append(w.Job.Sources, s)
}

// directoryKeys is where the people directory has the key of its own.
func (w *World) directoryKeys() string { return filepath.Join(w.Dir, "directory-keys") }

// check verifies what the directory signed, with its key or with that which
// signs here in its name.
func (w *World) check(context.Context) (directory.Check, error) {
	keys, err := keydir.Keys(w.Job.Keys)
	if err != nil {
		return nil, err
	}
	own, err := keydir.Keys(w.directoryKeys())
	if err != nil {
		return nil, err
	}
	keys[people.Directory] = append(keys[people.Directory], own[people.Directory]...)
	return func(id people.ID, path people.Path, a people.Attribute) error {
		if who, _, bound := sign.Bound(a); bound && id.IsZero() {
			id = who
		}
		return sign.Verify(keys, id, path, a, sign.Policy{})
	}, nil
}

// Now is the world's time.
func (w *World) Now() time.Time { return *w.now.Load() }

// At sets the world's time.
func (w *World) At(now time.Time) { w.now.Store(&now) }

// Write gives a source its file; Remove takes it away, which is a source that is down.
func (w *World) Write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.Dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Remove takes a source's file away.
func (w *World) Remove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(w.Dir, name)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// Use makes the process open this world. A blobs spec other than "blobs" is a
// directory.
func (w *World) Use() {
	spec.Use(spec.Openers{
		Store: func(ctx context.Context, path string) (s sinks.Store, err error) {
			if path == w.Job.Vault && w.store != nil {
				s = share(w.store)
			} else if s, err = sqlite.Open(ctx, path, sqlite.Options{Now: w.clock}); err != nil {
				return nil, err
			}
			if w.WrapStore != nil {
				s = w.WrapStore(s)
			}
			return s, nil
		},
		Blobs: func(_ context.Context, dir string) (b sinks.Blobs, err error) {
			b = w.blobs
			if dir != "blobs" {
				b, err = blobdir.Open(dir)
			}
			if err == nil && w.WrapBlobs != nil {
				b = w.WrapBlobs(b)
			}
			return b, err
		},
		Source: func(_ context.Context, name string, now time.Time) (connectors.Source, error) {
			switch name {
			case "people":
				return ldap.Open(w.LDAP, nil)
			case "accounts":
				return auth0.Open(w.Accounts, nil, web.Options{})
			case "directory":
				return directory.Open(w.Directory, directory.Options{Verify: w.check, Fits: w.Catalogue.Fits})
			case "github":
				return github.Open(w.GitHub, nil, github.Options{})
			}
			return hris.Open(w.HRIS, nil, w.Now, web.Options{})
		},
		Signers: func(_ context.Context, dir string) (map[people.Publisher]sign.Signer, error) {
			return keydir.Signers(dir)
		},
		Catalogue: func(context.Context, string) (*catalogue.Catalogue, error) { return w.Catalogue, nil },
		Salt:      func(context.Context, string) (string, error) { return Salt, nil },
	})
}

// Sync runs one sync at a time of the world.
func (w *World) Sync(ctx context.Context, at time.Time, change ...func(*sync.Job, *sync.Options)) (sync.Record, error) {
	w.At(at)
	w.Use()
	j, o := w.Job, w.Options
	j.Clock = at
	for _, f := range change {
		f(&j, &o)
	}
	return sync.Run(ctx, j, o)
}

// OnDisk makes the world keep its blobs in Dir from now on.
func (w *World) OnDisk(t testing.TB) {
	t.Helper()
	b, err := blobdir.Open(filepath.Join(w.Dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	w.blobs = b
}

// FirstLoad lets the first run on an empty vault through.
func FirstLoad(j *sync.Job, _ *sync.Options) { j.FirstLoad, j.Reason = true, "a test" }

// Blobs are the world's blobs.
func (w *World) Blobs() sinks.Blobs { return w.blobs }

func (w *World) clock() time.Time {
	if w.StoreClock != nil {
		return w.StoreClock()
	}
	return w.Now()
}

// Store is the vault as it is, without WrapStore; it is closed with the test.
// From the first call on all steps share it; before it each opens its own.
func (w *World) Store(t testing.TB) sinks.Store {
	t.Helper()
	if w.store == nil {
		s, err := sqlite.Open(context.Background(), w.Job.Vault, sqlite.Options{Now: w.clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		w.store = s
	}
	return w.store
}

// KeepIn makes s the vault of the world, in the place of its own. Whoever opened
// it closes it.
func (w *World) KeepIn(s sinks.Store) { w.store = s }

// Clock is the vault's clock.
func (w *World) Clock() time.Time { return w.clock() }

// Keys are the published keys, those of the people directory itself included.
func (w *World) Keys(t testing.TB) sign.Keys {
	t.Helper()
	k, err := keydir.Keys(w.Job.Keys)
	if err != nil {
		t.Fatal(err)
	}
	own, err := keydir.Keys(w.directoryKeys())
	if err != nil {
		t.Fatal(err)
	}
	k[people.Directory] = append(k[people.Directory], own[people.Directory]...)
	return k
}

// A Person is somebody as the vault has them.
type Person struct {
	ID       people.ID
	Revision int64
	Profile  *people.Profile
	Evidence people.Evidence
}

// People reads everybody, sorted by uuid.
func People(ctx context.Context, r sinks.Reader) ([]Person, error) {
	var all []Person
	var after people.ID
	for {
		page, err := r.List(ctx, after, 500)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			p, err := Unpack(s)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
			after = s.ID
		}
		if len(page) < 500 {
			return all, nil
		}
	}
}

// Unpack reads what the vault has of a person.
func Unpack(s sinks.Stored) (Person, error) {
	p := Person{ID: s.ID, Revision: s.Revision}
	body, err := sinks.Unpack(s.Profile)
	if err != nil {
		return p, err
	}
	if p.Profile, err = people.ParseProfile(body); err != nil || len(s.Observations) == 0 {
		return p, err
	}
	if body, err = sinks.Unpack(s.Observations); err != nil {
		return p, err
	}
	return p, json.Unmarshal(body, &p.Evidence)
}

// Dump writes all that the vault has of people, but for its own clock and the
// names of runs: profiles, evidence, history and outbox, sorted.
func Dump(ctx context.Context, v sinks.Vault) ([]byte, error) {
	all, err := People(ctx, v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, p := range all {
		evidence, err := json.Marshal(&p.Evidence, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s %d\n%s\n%s\n", p.ID, p.Revision, p.Profile.AppendJSON(nil), evidence)
		docs, err := v.History(ctx, p.ID, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			body, err := sinks.Unpack(d.Doc)
			if err != nil {
				return nil, err
			}
			var rev people.Revision
			if err := json.Unmarshal(body, &rev); err != nil {
				return nil, err
			}
			rev.Cause.Run, _, _ = strings.Cut(rev.Cause.Run, "-")
			if err := json.MarshalWrite(&out, &rev, json.Deterministic(true)); err != nil {
				return nil, err
			}
			out.WriteByte('\n')
		}
	}
	rows, err := v.Outbox(ctx, Subscriber, 1_000_000)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		fmt.Fprintf(&out, "%s %s %s %s %d\n", r.Subscriber, r.Operation, r.ID, r.UserID, r.Revision)
	}
	return out.Bytes(), nil
}
