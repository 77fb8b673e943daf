package sync

import (
	"context"
	"fmt"
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
	if b.Moved, b.VaultTime, err = e.moved(ctx, world); err != nil {
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
// and the store's time up to which that is known.
func (e *env) moved(ctx context.Context, w *snapshots.World) (moved []people.ID, until time.Time, err error) {
	until = w.Manifest.VaultTime
	if e.Wall.After(until) {
		until = e.Wall
	}
	again := map[people.ID]bool{}
	all := w.Manifest.Run != "" && w.Manifest.Form < snapshots.Form // whose rows lack what this program finds people by
	for i := range w.Rows.Len() {
		if r := w.Rows.At(i); r.Again || all {
			again[r.ID] = true
			moved = append(moved, r.ID)
		}
	}
	err = e.store.Moved(ctx, w.Manifest.VaultTime, func(h sinks.Head) error {
		if h.MovedAt.After(until) {
			until = h.MovedAt
		}
		if r, ok := w.Rows.Find(h.ID); (!ok || r.Revision != h.Revision) && !again[h.ID] {
			again[h.ID] = true
			moved = append(moved, h.ID)
		}
		return nil
	})
	if err != nil {
		return nil, until, fmt.Errorf("sync: who moved: %w", err)
	}
	return moved, until, nil
}

// decisions is what humans said, by the keys of records.
func (e *env) decisions(links []Link) map[snapshot.Short]correlate.Decision {
	m := make(map[snapshot.Short]correlate.Decision, len(links))
	for _, l := range links {
		m[e.hash.Record(l.Publisher, l.Record)] = correlate.Decision{Person: l.Person, Apart: l.Apart}
	}
	return m
}
