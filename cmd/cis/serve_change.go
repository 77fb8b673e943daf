package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
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
	// While there are none, they are not asked for more often than this.
	failedKeys = 10 * time.Second
	// readingKeys is less than a request has.
	readingKeys = 4 * time.Second
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
		return res, toldError(err)
	}
}

// toldError says what to do about an error of the door, if the caller or whoever
// runs the service can do something.
func toldError(err error) error {
	told := func(code, description string) error {
		return &api.Error{Status: http.StatusServiceUnavailable, Code: code, Description: description, Cause: err}
	}
	switch {
	case errors.Is(err, sync.ErrBusy):
		return told(change.Busy, "others wrote the person at the same time, again and again; send it again in a second")
	case errors.Is(err, sync.ErrNotLoaded):
		return told("not_loaded", "nothing has been loaded into the vault yet; whoever runs the service does that with cis sync --first-load")
	case errors.Is(err, sync.ErrCopying):
		return told("copying", "the vault is a copy that is not finished; whoever runs the service goes on with the same cis vault copy")
	}
	return err
}

// recent is what was read a moment ago, so that not every request reads it.
type recent[T any] struct {
	read func(context.Context) (T, error)
	now  func() time.Time

	mu   stdsync.Mutex
	last T
	at   time.Time // of last; zero if there is none
	// tried is when it was read last, in vain or not, and failed why it was in vain.
	tried  time.Time
	failed error
	// reading is closed when whoever reads it is done; nil if nobody does.
	reading chan struct{}
}

// get reads anew what is a minute old. What cannot be read stands for an hour
// longer, and is asked for once a minute; where there is none, the error stands
// for a moment. One reads for all who ask meanwhile: they get what there is, or
// wait as long as they like.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	if v, err, ok := r.known(r.now()); ok {
		r.mu.Unlock()
		return v, err
	}
	done := r.reading
	if done == nil {
		done = make(chan struct{})
		r.reading = done
		go r.make(ctx)
	} else if !r.at.IsZero() && r.now().Sub(r.at) < staleKeys {
		defer r.mu.Unlock()
		return r.last, nil
	}
	r.mu.Unlock()
	var none T
	select {
	case <-done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() {
		return none, r.failed
	}
	return r.last, nil
}

// known is what need not be read: something fresh, or an error that is.
func (r *recent[T]) known(now time.Time) (v T, err error, ok bool) {
	switch age := now.Sub(r.tried); {
	case !r.at.IsZero():
		return r.last, nil, age < freshKeys
	case r.failed != nil:
		return v, r.failed, age < failedKeys
	}
	return v, nil, false
}

// make reads it, for all who wait: the end of the request that began it must not
// be theirs.
func (r *recent[T]) make(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingKeys)
	defer cancel()
	now := r.now()
	read, err := r.read(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.tried, r.failed = now, err; {
	case err == nil:
		r.last, r.at = read, now
	case r.at.IsZero() || now.Sub(r.at) >= staleKeys:
		r.at = time.Time{}
	}
	close(r.reading)
	r.reading = nil
}
