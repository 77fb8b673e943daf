package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"golang.org/x/sync/errgroup"

	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// A Summary says what is in a vault: two that are equal hold the same.
type Summary struct {
	People     int64 `json:"people"`
	History    int64 `json:"history"`
	Tombstones int64 `json:"tombstones"`
	Documents  int64 `json:"documents"`
	// Root is a SHA-256 over all of it in order: of people the id, the revision,
	// and the profile, observations and history as they are unpacked; of
	// tombstones id and revision; of the ledger's documents kind, key and body.
	// Where people are searched by, times of the store, versions, leases and what
	// subscribers are to be told is not in it.
	Root string `json:"root"`
}

// Sum reads all of a vault. progress, if not nil, is told how many people were read.
func Sum(ctx context.Context, s sinks.Store, progress func(int64)) (sum Summary, err error) {
	root := sha256.New()
	for after := (people.ID{}); ; {
		part, err := s.List(ctx, after, partSize)
		if err != nil {
			return sum, fmt.Errorf("upkeep: list people: %w", err)
		}
		n, err := addPeople(ctx, s, root, part)
		if err != nil {
			return sum, err
		}
		sum.People, sum.History = sum.People+int64(len(part)), sum.History+n
		if progress != nil {
			progress(sum.People)
		}
		if len(part) < partSize {
			break
		}
		after = part[len(part)-1].ID
	}
	for stones, err := range tombstones(ctx, s) {
		if err != nil {
			return sum, fmt.Errorf("upkeep: list tombstones: %w", err)
		}
		for _, t := range stones {
			sum.Tombstones++
			add(root, []byte("tombstone"), t.ID[:], number(t.Revision))
		}
	}
	for _, k := range sync.Kinds() {
		if !k.Copied {
			continue
		}
		for d, err := range sync.Documents(ctx, s, k.Name) {
			if err != nil {
				return sum, err
			}
			sum.Documents++
			add(root, []byte("document"), []byte(d.Kind), []byte(d.Key), d.Body)
		}
	}
	sum.Root = hex.EncodeToString(root.Sum(nil))
	return sum, nil
}

// addPeople adds a part of the people, and returns how many history documents
// they have. Those beyond the revision do not count: they are damage, or of a
// commit since the part was listed.
func addPeople(ctx context.Context, s sinks.Store, root hash.Hash, part []sinks.Stored) (n int64, err error) {
	digests := make([][]byte, len(part))
	counts := make([]int64, len(part))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, p := range part {
		g.Go(func() error {
			docs, err := s.History(gctx, p.ID, 0)
			if err != nil {
				return fmt.Errorf("upkeep: read history: %w", err)
			}
			h := sha256.New()
			add(h, []byte("person"), p.ID[:], number(p.Revision))
			err = addPacked(h, p.Profile)
			switch {
			case err != nil:
			case len(p.Observations) > 0:
				err = addPacked(h, p.Observations)
			default:
				add(h, nil)
			}
			for _, d := range docs {
				if err == nil && d.Revision <= p.Revision {
					counts[i]++
					add(h, number(d.Revision))
					err = addPacked(h, d.Doc)
				}
			}
			if err != nil {
				return fmt.Errorf("upkeep: %s: %w: see `cis vault check`", p.ID, err)
			}
			digests[i] = h.Sum(nil)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	for i := range digests {
		add(root, digests[i])
		n += counts[i]
	}
	return n, nil
}

// add writes each part behind its length, so that none can pass for two.
func add(h hash.Hash, parts ...[]byte) {
	for _, p := range parts {
		h.Write(number(int64(len(p))))
		h.Write(p)
	}
}

func addPacked(h hash.Hash, packed []byte) error {
	body, err := sinks.Unpack(packed)
	if err == nil {
		add(h, body)
	}
	return err
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
