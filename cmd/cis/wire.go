package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/connectors"
	"example.org/cis/connectors/hris"
	"example.org/cis/connectors/ldap"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

func openBlobs(blobs string) (sinks.Blobs, error) {
	path, ok := strings.CutPrefix(blobs, "dir:")
	if !ok {
		return nil, usageError{fmt.Errorf("blobs are in dir:PATH, not %q", blobs)}
	}
	return blobdir.Open(path)
}

// A sourceEntry is what a source's spec holds: its type, the connector's own
// configuration, and a reference to its password.
type sourceEntry struct {
	LDAP     *ldap.Config  `json:"ldap,omitempty"`
	HRIS     *hris.Config  `json:"hris,omitempty"`
	Password config.Secret `json:"password,omitempty"`
}

func sourceSpec(s config.Source) (string, error) {
	var e sourceEntry
	switch c := s.Config.(type) {
	case *ldapEntry:
		e = sourceEntry{LDAP: &c.Config, Password: c.Password}
	case *hrisEntry:
		e = sourceEntry{HRIS: &c.Config, Password: c.Password}
	default:
		return "", fmt.Errorf("cis: source %s has an unknown type", s.Name)
	}
	b, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("cis: source %s: %w", s.Name, err)
	}
	return string(b), nil
}

// sourceOf opens a source by its spec, with the time it is to take for now.
func (p *program) sourceOf(spec string, now func() time.Time) (connectors.Source, error) {
	var e sourceEntry
	if err := json.Unmarshal([]byte(spec), &e); err != nil {
		return nil, fmt.Errorf("cis: source: %w", err)
	}
	then := *p
	then.now = now
	switch {
	case e.LDAP != nil:
		return then.openSource(config.Source{Type: "ldap", Config: &ldapEntry{*e.LDAP, e.Password}})
	case e.HRIS != nil:
		return then.openSource(config.Source{Type: "hris", Config: &hrisEntry{*e.HRIS, e.Password}})
	}
	return nil, errors.New("cis: source of no known type")
}

// useOpeners tells the pipelines of this process how to open what specs name.
// Sources are told the run's time, stores the real one.
func (p *program) useOpeners(now func() time.Time) {
	spec.Use(spec.Openers{
		Store: func(ctx context.Context, s string) (sinks.Store, error) {
			return p.openVault(ctx, &config.Config{Vault: s}, false)
		},
		Blobs:  func(_ context.Context, s string) (sinks.Blobs, error) { return openBlobs(s) },
		Source: func(_ context.Context, s string) (connectors.Source, error) { return p.sourceOf(s, now) },
		Signers: func(_ context.Context, s string) (map[people.Publisher]sign.Signer, error) {
			return keydir.Signers(strings.TrimPrefix(s, "dir:"))
		},
		Catalogue: func(_ context.Context, s string) (*catalogue.Catalogue, error) {
			return openCatalogue(&config.Config{Catalogue: s})
		},
		Salt: func(_ context.Context, s string) (string, error) { return config.Secret(s).Read(p.env) },
	})
}
