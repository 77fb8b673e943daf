package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A devServer is what `cis serve --dev` tells the commands that talk to it: its
// issuer of tokens, and the client that it gives them to. It stands in a file
// beside the configuration that only the user may read, while the server runs.
type devServer struct {
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	ClientID string `json:"client_id"`
	Secret   string `json:"client_secret"`
}

// String leaves the secret out, as does every other way of printing it.
func (d devServer) String() string { return d.Issuer }

// GoString is String.
func (d devServer) GoString() string { return d.Issuer }

// devPath is where the devServer of the configuration stands.
func (p *program) devPath() string {
	return filepath.Join(filepath.Dir(p.configPath()), "cis-dev.json")
}

// readDev reads the devServer.
func (p *program) readDev() (devServer, error) {
	var d devServer
	b, err := os.ReadFile(p.devPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d, usageError{fmt.Errorf("there is no %s: `cis serve --dev` must be running in this folder, or --config must name its cis.yaml; --from asks another issuer", nearby(p.devPath()))}
	case err != nil:
		return d, fmt.Errorf("cis: %w", err)
	}
	if err := json.Unmarshal(b, &d); err != nil || d.Issuer == "" {
		return d, fmt.Errorf("cis: %s is not what `cis serve --dev` writes: start that anew", p.devPath())
	}
	return d, nil
}

// writeDev writes the devServer, whole or not at all, for the user alone.
func (p *program) writeDev(d devServer) error {
	b, err := json.Marshal(d, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("cis: %w", err)
	}
	return writePrivate(p.devPath(), append(b, '\n'))
}

// writePrivate writes a file, whole or not at all, for the user alone.
func writePrivate(name string, b []byte) error {
	// Files that CreateTemp makes are readable by the user alone. An older file
	// might not be, so that it is replaced and not written into.
	f, err := os.CreateTemp(filepath.Dir(name), ".cis-*")
	if err != nil {
		return fmt.Errorf("cis: write %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name()) // the first error is the one to tell
		return fmt.Errorf("cis: write %s: %w", name, err)
	}
	return nil
}
