package main

import (
	"context"
	"fmt"
	"os"

	"example.org/cis/api"
	"example.org/cis/api/wellknown"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// wellknown are the documents by which callers find the service. Both faces have
// them; only one that signs signs them.
func (s *serving) wellknown(signs bool) ([]api.Route, error) {
	o := wellknown.Options{
		Path: s.cfg.API.WellKnown, URL: s.cfg.API.URL, OIDC: s.cfg.API.OIDC, Audience: s.cfg.API.Audience,
		Scopes: scopeNames(), Catalogue: s.cat, Keys: s.readKeys, Now: s.p.now, Log: s.log,
	}
	if file := s.cfg.API.AccessFile; file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cis: api.access_file: %w", err)
		}
		o.AccessFile = b
	}
	if signs {
		o.Signer = func(context.Context) (sign.Signer, error) { return s.p.openKeys(s.cfg).signer(people.CIS) }
	}
	routes, err := wellknown.New(o)
	if err != nil {
		return nil, usageError{err}
	}
	return routes, nil
}
