package sqlite

import (
	"context"
	"errors"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

var errTODO = errors.New("sqlite: not written yet")

func (s *Store) Search(ctx context.Context, q sinks.Query) (sinks.Page, error) {
	return sinks.Page{}, errTODO
}
func (s *Store) Erase(ctx context.Context, fence sinks.Fence, id people.ID, notify string) (sinks.Tombstone, error) {
	return sinks.Tombstone{}, errTODO
}
func (s *Store) Tombstones(ctx context.Context, after people.ID, limit int) ([]sinks.Tombstone, error) {
	return nil, errTODO
}
func (s *Store) Restore(ctx context.Context, fence sinks.Fence, tombstones []sinks.Tombstone, histories []sinks.History) error {
	return errTODO
}
func (s *Store) Audit(ctx context.Context, want func(sinks.Stored) (sinks.Keys, error), yield func(sinks.Fault) error) error {
	return errTODO
}
func (s *Store) Mend(ctx context.Context, fence sinks.Fence, id people.ID, revision int64, keys sinks.Keys) error {
	return errTODO
}
