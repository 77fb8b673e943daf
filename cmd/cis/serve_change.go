package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	stdsync "sync"
	"time"

	"example.org/cis/api"
	"example.org/cis/api/change"
	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// Keys that are read anew are used at most this late; those that cannot be read
// anew, because whoever publishes them is down, are used for a while longer.
const (
	freshKeys = time.Minute
	staleKeys = time.Hour
)

// changeRoutes are the routes of the Change API over a vault that is open. The
// secret is that of the vault, of which what it gives out is made.
func (p *program) changeRoutes(ctx context.Context, cfg *config.Config, cat *catalogue.Catalogue, store sinks.Store, secret []byte, log *slog.Logger) ([]api.Route, error) {
	salt, err := cfg.Salt.Read(p.env)
	if err != nil {
		return nil, err
	}
	blobs, err := openBlobs(cfg.Blobs)
	if err != nil {
		return nil, err
	}
	trusted := &recent[sign.Keys]{now: p.now, read: func(ctx context.Context) (sign.Keys, error) { return p.trusted(ctx, cfg) }}
	signers := &recent[map[people.Publisher]sign.Signer]{now: p.now, read: func(context.Context) (map[people.Publisher]sign.Signer, error) {
		signers, err := keydir.Signers(p.openKeys(cfg).dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // whoever needs one says which
		}
		return signers, err
	}}
	o := sync.DoorOptions{Store: store, Blobs: blobs, Catalogue: cat, Salt: salt, Protected: cfg.Protected, Trusted: trusted.get, Signers: signers.get,
		Policy: verifyCommand{}.policy(cfg), ReportOnly: cfg.Publishing.ReportOnly, Now: p.now, Random: p.random}
	for _, s := range cfg.Sources {
		o.Sources = append(o.Sources, sync.Source{Name: s.Name, Publisher: sourceTypes()[s.Type].publisher})
	}
	door, err := sync.OpenDoor(ctx, o)
	if err != nil {
		return nil, err
	}
	key := hmac.New(sha256.New, secret)
	key.Write([]byte("change API")) // so that it is no other hash of the vault
	return change.New(change.Options{Publish: publishThrough(door), People: store, Ledger: store, Catalogue: cat, Key: key.Sum(nil), Now: p.now, Random: p.random,
		Log: log})
}

// publishThrough lets the Change API publish through a door.
func publishThrough(d *sync.Door) func(context.Context, change.Request) (change.Result, error) {
	return func(ctx context.Context, r change.Request) (change.Result, error) {
		out, err := d.Publish(ctx, sync.Publication{UserID: r.UserID, Profile: r.Profile, Unfit: r.Unfit, By: r.By, ValidateOnly: r.ValidateOnly})
		res := change.Result{Person: out.Person, Revision: out.Revision, Created: out.Created, Written: out.Written, Reported: out.Reported}
		for _, j := range out.Attributes {
			res.Attributes = append(res.Attributes, change.Attribute(j))
		}
		return res, err
	}
}

// recent is what was read a moment ago, so that not every request reads it.
type recent[T any] struct {
	read func(context.Context) (T, error)
	now  func() time.Time

	mu   stdsync.Mutex
	last T
	at   time.Time
	// tried is when it was read last, in vain or not.
	tried time.Time
}

// get reads anew what is a minute old. What cannot be read stands for an hour
// longer, and is asked for once a minute.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.at.IsZero() && now.Sub(r.tried) < freshKeys {
		return r.last, nil
	}
	// One request asks for all that wait: its end must not be theirs.
	read, err := r.read(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		r.last, r.at = read, now
	case r.at.IsZero() || now.Sub(r.at) >= staleKeys:
		r.at = time.Time{}
		var none T
		return none, err
	}
	r.tried = now
	return r.last, nil
}
