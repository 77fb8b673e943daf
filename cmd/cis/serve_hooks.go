package main

import (
	"context"
	"errors"
	"time"

	"example.org/cis/api"
	"example.org/cis/api/hooks"
	"example.org/cis/pipelines/sync"
	"example.org/cis/transforms/people"
)

// hooks are the routes by which other systems tell that somebody changed.
func (s *serving) hooks() ([]api.Route, error) {
	// What is wrong with the sources shows now, and not when somebody tells.
	_, _, done, err := s.p.job(s.cfg, time.Time{}, false)
	if err != nil {
		return nil, err
	}
	done()
	return hooks.New(hooks.Options{Refresh: s.refresh}), nil
}

// refresh reads somebody anew from the sources.
func (s *serving) refresh(ctx context.Context, userID string) (string, error) {
	job, options, done, err := s.p.job(s.cfg, time.Time{}, false)
	if err != nil {
		return "", err
	}
	defer done()
	did, err := sync.Refresh(ctx, job, options, people.ID{}, userID)
	switch {
	case errors.Is(err, sync.ErrNobody):
		return "", hooks.ErrNobody
	case errors.Is(err, sync.ErrNotLoaded):
		return "", errNotLoaded
	case err != nil:
		return "", err
	}
	for _, source := range did.Sources {
		if source.State == sync.Unread {
			return "", hooks.ErrUnread
		}
	}
	switch {
	case did.New:
		return "create", nil
	case len(did.Changed) > 0:
		return "update", nil
	}
	return "noop", nil
}
