package synctest

import (
	"context"
	"testing"

	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// Door opens the door for publishers of the world's vault.
func (w *World) Door(t testing.TB, change ...func(*sync.DoorOptions)) *sync.Door {
	t.Helper()
	o := sync.DoorOptions{
		Store: w.Store(t), Blobs: w.blobs, Catalogue: w.Catalogue, Salt: Salt, Sources: w.Job.Sources, Protected: w.Job.Protected,
		Trusted: func(context.Context) (sign.Keys, error) { return w.Keys(t), nil },
		Signers: func(context.Context) (map[people.Publisher]sign.Signer, error) { return keydir.Signers(w.Job.Keys) },
		Now:     w.Now, Random: w.Options.Random,
	}
	if w.WrapStore != nil {
		o.Store = w.WrapStore(o.Store)
	}
	for _, f := range change {
		f(&o)
	}
	d, err := sync.OpenDoor(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Signed is an attribute that a publisher signs now, for the person at the path;
// for nobody, if id is zero.
func (w *World) Signed(t testing.TB, by people.Publisher, id people.ID, path people.Path, v people.Value, change ...func(*people.Attribute)) people.Attribute {
	t.Helper()
	signers, err := keydir.Signers(w.Job.Keys)
	if err != nil {
		t.Fatal(err)
	}
	a := w.Catalogue.Null(path)
	now := w.Now().UTC().Format(people.TimeFormat)
	a.Value, a.Metadata.Created, a.Metadata.LastModified = v, now, now
	for _, f := range change {
		f(&a)
	}
	if id.IsZero() {
		a, err = sign.Unbound(context.Background(), signers[by], by, path, a)
	} else {
		a, err = sign.Attribute(context.Background(), signers[by], by, id, path, a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}
