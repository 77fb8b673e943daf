package synctest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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

// publish writes what publishers say, and returns it with what came of it.
func (w *World) publish(t testing.TB, said string, at time.Time) ([]byte, error) {
	t.Helper()
	w.At(at)
	door := w.Door(t)
	var out bytes.Buffer
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, " ") {
			continue // what came of it the last time
		}
		f := strings.SplitN(strings.TrimSpace(line), " ", 5)
		if len(f) != 5 {
			return nil, fmt.Errorf("publish: want PUBLISHER USER_ID PATH DISPLAY VALUE, not %q", line)
		}
		found, err := w.Store(t).Lookup(t.Context(), []people.Key{{Scheme: people.ByUserID, Value: f[1]}})
		if err != nil {
			return nil, err
		}
		id := people.ID{}
		if len(found[0]) == 1 {
			id = found[0][0]
		}
		v, err := valueOf(jsontext.Value(f[4]))
		if err != nil {
			return nil, err
		}
		path := people.Path(f[2])
		p := &people.Profile{}
		p.Set(path, w.Signed(t, people.Publisher(f[0]), id, path, v, func(a *people.Attribute) {
			if a.Metadata.Display = f[3]; f[3] == "null" {
				a.Metadata.Display = ""
			}
		}))
		fmt.Fprintln(&out, strings.TrimSpace(line))
		done, err := door.Publish(t.Context(), sync.Publication{UserID: f[1], Profile: p, By: "a story"})
		if err != nil {
			return nil, err
		}
		for _, j := range done.Attributes {
			fmt.Fprintf(&out, "  %s\n", strings.TrimSuffix(fmt.Sprintf("%s %s: %s", j.State, j.Code, j.Reason), " : "))
		}
		fmt.Fprintf(&out, "  revision %d\n", done.Revision)
	}
	return out.Bytes(), nil
}
