package main

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// template is the configuration that init writes.
//
//go:embed init.yaml
var template []byte

type initCommand struct {
	Force bool `help:"Replace a configuration that is there. A salt that is there always stays."`
}

func (initCommand) Help() string {
	return `Writes a configuration with a comment on every setting, and beside it the file cis-salt, readable by you alone, if there is none. The uuids of all people are derived from the salt: keep it as you keep the keys, and never change it.

Examples:

    cis init
    cis init --config /etc/cis/cis.yaml`
}

func (c initCommand) Run(p *program) error {
	path := p.configPath()
	salt := filepath.Join(filepath.Dir(path), "cis-salt")
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	err := write(path, flags, 0o644, template)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already: --force replaces it, --config names another", path)}
	}
	if err != nil {
		return fmt.Errorf("cis: write the configuration: %w", err)
	}
	made, err := makeSalt(salt, p.random)
	if err != nil {
		return err
	}
	result := struct {
		Config   string `json:"config"`
		Salt     string `json:"salt"`
		SaltMade bool   `json:"salt_made"`
	}{path, salt, made}
	return p.print(result, func(w io.Writer) error {
		what := "made " + salt + " (keep it secret, keep a copy, never change it)"
		if !made {
			what = "left " + salt + " as it is"
		}
		option := ""
		if path != "cis.yaml" {
			option = " --config " + path
		}
		_, err := fmt.Fprintf(w, "Wrote %s and %s.\n\nNext:\n"+
			"  say in %s where your sources are\n"+
			"  cis keys new --all%s\n"+
			"  cis config check%s\n", path, what, path, option, option)
		return err
	})
}

// makeSalt writes a fresh salt of 256 bits if there is none, and reports
// whether it did.
func makeSalt(path string, random io.Reader) (bool, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return false, fmt.Errorf("cis: make a salt: %w", err)
	}
	err := write(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600, []byte(base64.RawURLEncoding.EncodeToString(b[:])+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cis: write the salt: %w", err)
	}
	return true, nil
}

// write makes a file of b that is on the disk when it returns.
func write(path string, flags int, mode fs.FileMode, b []byte) error {
	f, err := os.OpenFile(path, flags, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
