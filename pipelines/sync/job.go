// Package sync is the main pipeline: it takes records from the sources to
// signed profiles in the vault, in two graphs.
//
//	extract -> correlate -> propose -> seal        (a plan: nothing is written to people)
//	apply -> finish                                (signed profiles, and the next snapshot)
//
// A run begins by writing down whom it must look at whatever the sources show:
// who was written since the base snapshot, and what humans decided about
// records. A refresh of one person ([Refresh]) needs neither graph nor lease: it
// asks the sources that can find one person, and the next run sees that the
// person moved.
//
// What flows through a graph are references to blobs, never records: an
// extract spills what changed, correlate works on fixed-width tables, propose
// and apply each take one part of the candidates. Cost follows change: an
// unchanged record is parsed, hashed, compared and forgotten.
//
// Each step is an ordinary function of a [Job] and a reference; the DoFns in
// graph.go are shims around them. Every step may run twice: blobs are
// replaced whole, and a commit that was made is recognised by its revision
// and run.
//
// Publishers write by themselves through a [Door], one person at a time and like
// a refresh without a lease: what they say becomes their observation, and the
// same merge decides.
//
// An erasure ([Erase]) takes the lease, finishes what a dead run left and takes
// a person out of everything. The next run begins by asking who was erased, and
// what the base snapshot has of them is as if it were not there.
//
// A run takes the lease, is recorded first and finished last. A run that died
// before its plan was sealed is abandoned; one that died after it is finished
// by the next, under its own clock, so that the outcome is the same to the
// byte.
package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/connectors"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// A Source names one source of a run.
type Source struct {
	Name      string           `json:"name"`
	Publisher people.Publisher `json:"publisher"`
	Spec      string           `json:"spec"`
	// Absence waits this many seconds: to be confirmed, and then to act.
	Confirm int64 `json:"confirm_seconds"`
	Grace   int64 `json:"grace_seconds"`
	// Idle sources are not asked in this run: what they said last stands.
	Idle bool `json:"idle,omitzero"`
}

// A Job is everything a step needs to know, in a form that crosses
// processes: specs and names, no clients and no secrets.
type Job struct {
	Run   string    `json:"run"`
	Clock time.Time `json:"clock"` // the run's time, in every date it writes

	// Wall is the real time at which the run began, for what the store dates by its own clock.
	Wall time.Time `json:"wall"`

	Vault     string `json:"vault"`
	Blobs     string `json:"blobs"`
	Work      string `json:"work"` // where extracts and plans go; the same as Blobs but in a dry run
	Keys      string `json:"keys"`
	Salt      string `json:"salt"`
	Catalogue string `json:"catalogue"`

	Sources []Source `json:"sources"`
	// Base is the run whose snapshot this one starts from; "" for none.
	Base string `json:"base,omitzero"`
	// Protected are user ids of people whom absence never ends.
	Protected []string `json:"protected,omitzero"`
	// FirstLoad lets the first run on an empty vault through, and notifies
	// nobody. On a vault that has people it means nothing.
	FirstLoad bool        `json:"first_load,omitzero"`
	Reason    string      `json:"reason,omitzero"`
	Fence     sinks.Fence `json:"fence"`
	// Together reads all sources in one step, at the same time: for a runner in
	// this process, which would read them one after the other.
	Together bool `json:"together,omitzero"`
	// PartSize is how many people one part of a plan has; 0 is 1000.
	PartSize int `json:"part_size,omitzero"`
}

func (j Job) dir() string { return "runs/" + j.Run + "/" }

// env is what a step opens to do its work.
type env struct {
	Job
	store sinks.Store
	blobs sinks.Blobs
	work  sinks.Blobs
	cat   *catalogue.Catalogue
	salt  string
	hash  *snapshot.Hasher
}

// row is what the people table says of a person as they are stored.
func (e *env) row(id people.ID, revision int64, p *people.Profile, canonical []byte) snapshot.Row {
	r := snapshot.Row{ID: id, Revision: revision, Content: e.hash.Content(p), Exact: e.hash.Exact(canonical), Active: p.Value(people.Active).True(),
		UserID: e.hash.Key(people.Key{Scheme: people.ByUserID, Value: p.Value(people.UserID).Text()})}
	if a, ok := p.Find(people.GitHubID); ok && a.Metadata.Verified && a.Value.Text() != "" {
		r.GitHub = e.hash.Record(people.GitHub, a.Value.Text())
	}
	return r
}

// open opens what a job names. Steps close it when they are done.
func open(ctx context.Context, j Job) (*env, error) {
	o := spec.Current()
	e := &env{Job: j}
	var err error
	if e.store, err = o.Store(ctx, j.Vault); err != nil {
		return nil, err
	}
	ok := false
	defer func() {
		if !ok {
			e.store.Close()
		}
	}()
	if e.blobs, err = o.Blobs(ctx, j.Blobs); err != nil {
		return nil, err
	}
	if e.work, err = o.Blobs(ctx, j.Work); err != nil {
		return nil, err
	}
	if e.cat, err = o.Catalogue(ctx, j.Catalogue); err != nil {
		return nil, err
	}
	if e.salt, err = o.Salt(ctx, j.Salt); err != nil {
		return nil, err
	}
	key, err := vaultKey(ctx, e.store, j.Run)
	if err != nil {
		return nil, err
	}
	e.hash = snapshot.NewHasher(key)
	ok = true
	return e, nil
}

func (e *env) Close() error { return e.store.Close() }

func (e *env) source(ctx context.Context, i int) (connectors.Source, error) {
	return spec.Current().Source(ctx, e.Sources[i].Spec, e.Clock)
}

// world opens the base snapshot.
func (e *env) world(ctx context.Context) (*snapshots.World, error) {
	return snapshots.Open(ctx, e.blobs, e.Base)
}

// vaultKey reads the key of the vault's hashes, which lives in the ledger. A
// vault without one was never written: a dry run against it uses a key of its
// own, since there is nothing yet to compare with.
func vaultKey(ctx context.Context, l sinks.Ledger, run string) ([]byte, error) {
	key, err := VaultKey(ctx, l)
	if err == nil && key == nil {
		key = []byte("dry run " + run)
	}
	return key, err
}

// VaultKey reads the key of a vault's hashes, nil if no run has written it.
func VaultKey(ctx context.Context, l sinks.Ledger) ([]byte, error) {
	d, err := l.Doc(ctx, kindVault, "key")
	if errors.Is(err, sinks.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sync: read the vault's key: %w", err)
	}
	return d.Body, nil
}

// Hasher makes the keyed hashes of a vault that a run has written.
func Hasher(ctx context.Context, l sinks.Ledger) (*snapshot.Hasher, error) {
	d, err := l.Doc(ctx, kindVault, "key")
	if err != nil {
		return nil, fmt.Errorf("sync: read the vault's key: %w", err)
	}
	return snapshot.NewHasher(d.Body), nil
}

// makeVaultKey makes the key of a new vault; another process may win.
func makeVaultKey(ctx context.Context, l sinks.Ledger, random func([]byte) error) error {
	if key, err := VaultKey(ctx, l); err != nil || key != nil {
		return err
	}
	key := make([]byte, 32)
	if err := random(key); err != nil {
		return fmt.Errorf("sync: make the vault's key: %w", err)
	}
	if _, err := l.Put(ctx, sinks.Doc{Kind: kindVault, Key: "key", Body: key}); err != nil && !errors.Is(err, sinks.ErrConflict) {
		return fmt.Errorf("sync: write the vault's key: %w", err)
	}
	return nil
}

// encode and decode carry references between steps.
func encode(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

func decode(b []byte, v any) error { return json.Unmarshal(b, v, json.RejectUnknownMembers(true)) }
