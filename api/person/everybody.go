package person

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// ErrNoSnapshot is when there is no run whose snapshot could be read.
var ErrNoSnapshot = errors.New("person: there is no snapshot yet")

// A Snapshot is the world as a run saw it.
type Snapshot struct {
	Run string
	// AsOf is the run's time. Moved is the store's, from which on people were
	// written that the snapshot need not have.
	AsOf, Moved time.Time
	// Each calls yield for each person, sorted by uuid, with what Stored.Profile
	// holds. Whoever was erased since is left out.
	Each  func(ctx context.Context, yield func(id people.ID, packed []byte) error) error
	Close func() error
}

// everybody calls yield for each person as they are now: those who did not move
// since the snapshot as it has them, and the others as the store does. So it costs
// no document of the store for whom nothing changed, and nothing is shown that
// was closed meanwhile.
func (s *service) everybody(ctx context.Context, yield func(*view.Doc) error) (run string, asOf time.Time, err error) {
	snap, err := s.Everybody(ctx)
	if errors.Is(err, ErrNoSnapshot) {
		return "", time.Time{}, &api.Error{Status: http.StatusServiceUnavailable, Code: "no_snapshot", Description: "no run has made a snapshot yet; the next cis sync does", Cause: err}
	}
	if err != nil {
		return "", time.Time{}, err
	}
	defer snap.Close()
	moved := map[people.ID]bool{}
	var ids []people.ID
	err = s.Store.Moved(ctx, snap.Moved, func(h sinks.Head) error {
		if !moved[h.ID] && !h.Erased {
			ids = append(ids, h.ID)
		}
		moved[h.ID] = true
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	one := func(id people.ID, packed []byte) error {
		d, err := read(sinks.Stored{ID: id, Profile: packed})
		if err != nil {
			return err
		}
		return yield(d)
	}
	err = snap.Each(ctx, func(id people.ID, packed []byte) error {
		if moved[id] {
			return nil
		}
		return one(id, packed)
	})
	if err != nil {
		return "", time.Time{}, err
	}
	slices.SortFunc(ids, func(a, b people.ID) int { return slices.Compare(a[:], b[:]) })
	for part := range slices.Chunk(ids, 100) {
		list, err := s.Store.People(ctx, part)
		if err != nil {
			return "", time.Time{}, err
		}
		for _, stored := range list {
			if err := one(stored.ID, stored.Profile); err != nil {
				return "", time.Time{}, err
			}
		}
	}
	return snap.Run, snap.AsOf, nil
}

// An end is the last line of an export. Without it the export is not whole.
type end struct {
	Count int64 `json:"count"`
	// SHA256 of all bytes before this line, in hex.
	SHA256 string    `json:"sha256"`
	Run    string    `json:"run"`
	AsOf   time.Time `json:"as_of"`
}

// flushBytes is after how many bytes an export is sent on.
const flushBytes = 256 << 10

// export writes everybody, a line each.
func (s *service) export(w http.ResponseWriter, r *http.Request) error {
	_, wish, err := s.ask(r)
	if err != nil {
		return err
	}
	var out end
	var b []byte
	hash, waiting := sha256.New(), 0
	control := http.NewResponseController(w)
	out.Run, out.AsOf, err = s.everybody(r.Context(), func(d *view.Doc) error {
		if wish.active != nil {
			if active, err := isActive(d); err != nil || active != *wish.active {
				return err
			}
		}
		if out.Count++; out.Count == 1 {
			w.Header().Set("Content-Type", "application/jsonl")
		}
		b = append(s.append(b[:0], d, wish), '\n')
		hash.Write(b)
		if waiting == 0 { // whoever does not take that much in a minute has gone
			_ = control.SetWriteDeadline(s.Now().Add(time.Minute))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if waiting += len(b); waiting > flushBytes {
			waiting = 0
			return control.Flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	out.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if b, err = json.Marshal(out); err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}
