package sync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/cis/pipelines/snapshots"
	"example.org/cis/sinks"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

func (j Job) begunBlob() string { return j.dir() + "begun.json" }

// begun is what a run knows before it reads a source. Whoever is in it is
// looked at with all that the sources say now, not only with what changed in
// them: the vault, or a human, has moved since they were last read.
type begun struct {
	VaultTime time.Time `json:"vault_time"`
	// Moved are people whose stored revision is not that of the base snapshot,
	// or who were written over a write that the base run had not foreseen.
	Moved []people.ID `json:"moved"`
	// Erased are people who were taken out of the vault since: what the base
	// snapshot has of them is as if it were not there.
	Erased []people.ID `json:"erased,omitzero"`
	// Links are all decisions of humans about records.
	Links []Link `json:"links"`
}

// begin writes down what is known before the sources are read.
func begin(ctx context.Context, e *env) error {
	world, err := e.world(ctx)
	if err != nil {
		return err
	}
	defer world.Close()
	var b begun
	if err := e.moved(ctx, world, &b); err != nil {
		return err
	}
	if b.Links, err = Links(ctx, e.store); err != nil {
		return err
	}
	return snapshots.WriteJSON(ctx, e.work, e.begunBlob(), b)
}

func (e *env) begun(ctx context.Context) (b begun, err error) {
	err = snapshots.ReadJSON(ctx, e.work, e.begunBlob(), &b)
	return b, err
}

// moved lists the people whose revision is not the one of the base snapshot,
// those who were erased, and the store's time up to which that is known.
func (e *env) moved(ctx context.Context, w *snapshots.World, b *begun) error {
	b.VaultTime = w.Manifest.VaultTime
	if e.Wall.After(b.VaultTime) {
		b.VaultTime = e.Wall
	}
	again := map[people.ID]bool{}
	all := w.Manifest.Run != "" && w.Manifest.Form < snapshots.Form // whose rows lack what this program finds people by
	for i := range w.Rows.Len() {
		if r := w.Rows.At(i); r.Again || all {
			again[r.ID] = true
			b.Moved = append(b.Moved, r.ID)
		}
	}
	erased := map[people.ID]bool{}
	err := e.store.Moved(ctx, w.Manifest.VaultTime, func(h sinks.Head) error {
		if h.MovedAt.After(b.VaultTime) {
			b.VaultTime = h.MovedAt
		}
		if h.Erased {
			erased[h.ID] = true
			b.Erased = append(b.Erased, h.ID)
			return nil
		}
		if r, ok := w.Rows.Find(h.ID); (!ok || r.Revision != h.Revision) && !again[h.ID] {
			again[h.ID] = true
			b.Moved = append(b.Moved, h.ID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sync: who moved: %w", err)
	}
	b.Moved = slices.DeleteFunc(b.Moved, func(id people.ID) bool { return erased[id] })
	return nil
}

// decisions is what humans said, by the keys of records.
func (e *env) decisions(links []Link) map[snapshot.Short]correlate.Decision {
	m := make(map[snapshot.Short]correlate.Decision, len(links))
	for _, l := range links {
		m[e.hash.Record(l.Publisher, l.Record)] = correlate.Decision{Person: l.Person, Apart: l.Apart}
	}
	return m
}
