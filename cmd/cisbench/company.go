package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	ed25519Name = "Ed25519"
	rs256Name   = "RS256"
)

// monday is the time of day 0 of the companies.
var monday = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

// A bench is the programs that are measured.
type bench struct {
	cis, self string
	progress  io.Writer
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "cisbench: "+format+"\n", args...)
}

// A company is one size and algorithm, in a folder of its own.
type company struct {
	*bench
	dir    string
	people int
	alg    string
	runs   int
}

// A record is what is read of the output of cis sync --json.
type record struct {
	Signatures int64 `json:"signatures"`
	Writes     int64 `json:"vault_writes"`
	People     int64 `json:"people"`
}

// A result is one line of the table.
type result struct {
	Case   string `json:"case"`
	Alg    string `json:"alg"`
	People int64  `json:"people"`
	Runs   int    `json:"runs"`
	figure
	Floor      figure `json:"floor"`
	Signatures int64  `json:"signatures"`
	Writes     int64  `json:"vault_writes"`
	// Bytes of the vault's file and of the snapshots after the case.
	Vault     int64 `json:"vault_bytes"`
	Snapshots int64 `json:"snapshot_bytes"`
}

func (c *company) path(name string) string { return filepath.Join(c.dir, name) }

// measure measures the cases one after the other, on one vault.
func (c *company) measure(ctx context.Context) ([]result, error) {
	if err := c.found(ctx); err != nil {
		return nil, err
	}
	first := c.runs
	if c.alg == rs256Name && c.people > 1000 {
		first = 1 // minutes each
	}
	var results []result
	for _, x := range []struct {
		name  string
		runs  int
		clock time.Time
		args  []string
		// before prepares the i-th run.
		before func(i int) error
	}{
		{"first load", first, monday, []string{"--first-load", "--reason", "benchmark"}, func(int) error { return c.clear() }},
		{"nothing changed", c.runs, monday.Add(6 * time.Hour), nil, func(int) error { return nil }},
		{"next day", c.runs, monday.AddDate(0, 0, 1), nil, func(i int) error {
			if i > 0 {
				return c.restore()
			}
			if err := c.write(ctx, 1); err != nil {
				return err
			}
			return c.save()
		}},
	} {
		c.say("%d people, %s: %s", c.people, c.alg, x.name)
		var costs []cost
		var rec record
		for i := range x.runs {
			if err := x.before(i); err != nil {
				return nil, err
			}
			took, r, err := c.sync(ctx, x.clock.Add(time.Duration(i)*time.Minute), x.args...)
			if err != nil {
				return nil, err
			}
			costs, rec = append(costs, took), r
		}
		clock := x.clock.Add(time.Duration(x.runs-1) * time.Minute)
		res := result{Case: x.name, Alg: c.alg, People: rec.People, Runs: x.runs, figure: figureOf(costs), Signatures: rec.Signatures, Writes: rec.Writes}
		var err error
		if res.Floor, err = c.floor(ctx, clock, rec, x.runs); err != nil {
			return nil, err
		}
		if res.Vault, err = c.vaultSize(); err != nil {
			return nil, err
		}
		if res.Snapshots, err = size(c.path("cis-blobs/snapshots")); err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

// found writes day 0 and makes the keys.
func (c *company) found(ctx context.Context) error {
	if err := c.write(ctx, 0); err != nil {
		return err
	}
	if c.alg != rs256Name {
		return nil
	}
	if err := c.remove("cis-keys"); err != nil {
		return err
	}
	if _, err := execute(ctx, nil, nil, c.cis, "keys", "new", "--all", "--config", c.path("cis.yaml")); err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // the floor's own
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("floor.key"), x509.MarshalPKCS1PrivateKey(key), 0o600)
}

// write writes the source files of a day.
func (c *company) write(ctx context.Context, day int) error {
	_, err := execute(ctx, nil, nil, c.cis, "synth", c.dir, "--people", fmt.Sprint(c.people), "--seed", "1", "--day", fmt.Sprint(day))
	return err
}

func (c *company) sync(ctx context.Context, clock time.Time, args ...string) (cost, record, error) {
	var out bytes.Buffer
	took, err := execute(ctx, nil, &out, c.cis, append([]string{"sync", "--json", "--config", c.path("cis.yaml"), "--now", clock.Format(time.RFC3339)}, args...)...)
	if err != nil {
		return took, record{}, err
	}
	var r record
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return took, r, fmt.Errorf("output of cis sync: %w", err)
	}
	return took, r, nil
}

// floor measures the floor of a run that was made at clock.
func (c *company) floor(ctx context.Context, clock time.Time, rec record, runs int) (figure, error) {
	args := []string{"floor", "--ldif", c.path("people.ldif"), "--report", c.path("workers.json")}
	if rec.Signatures > 0 {
		n, err := c.payloads(ctx, clock)
		if err != nil {
			return figure{}, err
		}
		if n != rec.Signatures {
			return figure{}, fmt.Errorf("cis made %d signatures, and %d are found in the vault", rec.Signatures, n)
		}
		args = append(args, "--payloads", c.path("payloads"))
		if c.alg == rs256Name {
			args = append(args, "--key", c.path("floor.key"))
		}
	}
	args = append(args, c.path("accounts.jsonl"), c.path("directory.jsonl"), c.path("github.json"))
	var costs []cost
	for range runs {
		took, err := execute(ctx, nil, nil, c.self, args...)
		if err != nil {
			return figure{}, err
		}
		costs = append(costs, took)
	}
	return figureOf(costs), nil
}

// payloads writes the sizes of what was signed at clock to a file, and
// returns how many there are.
func (c *company) payloads(ctx context.Context, clock time.Time) (n int64, err error) {
	if _, err := execute(ctx, nil, nil, c.cis, "dump", "--config", c.path("cis.yaml"), "-o", c.path("dump.jsonl")); err != nil {
		return 0, err
	}
	dump, err := os.Open(c.path("dump.jsonl"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(dump.Name())
	defer dump.Close()
	var list bytes.Buffer
	if _, err := execute(ctx, dump, &list, c.self, "payloads", clock.Format(millis)); err != nil {
		return 0, err
	}
	sizes, err := readPayloads(bytes.NewReader(list.Bytes()))
	for _, p := range sizes {
		n += p.count
	}
	if err != nil {
		return n, err
	}
	return n, os.WriteFile(c.path("payloads"), list.Bytes(), 0o600)
}

// remove removes files and folders.
func (c *company) remove(names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// The vault is a file, and what SQLite may leave beside it.
var vault = []string{"cis.db", "cis.db-wal", "cis.db-shm"}

// clear removes vault and blobs.
func (c *company) clear() error { return c.remove(append(vault, "cis-blobs")...) }

// save keeps a copy of vault and blobs, and restore brings it back.
func (c *company) save() error { return c.copyState("", "saved/") }

func (c *company) restore() error {
	if err := c.clear(); err != nil {
		return err
	}
	return c.copyState("saved/", "")
}

func (c *company) copyState(from, to string) error {
	if err := os.CopyFS(c.path(to+"cis-blobs"), os.DirFS(c.path(from+"cis-blobs"))); err != nil {
		return err
	}
	for _, name := range vault {
		if err := copyFile(c.path(from+name), c.path(to+name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// vaultSize returns the bytes of the vault's files, but for the shared memory.
func (c *company) vaultSize() (n int64, err error) {
	for _, name := range vault[:2] {
		m, err := size(c.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
		n += m
	}
	return n, nil
}

// size returns the bytes of a file, or of the files below a folder.
func size(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			n += st.Size()
		}
		return err
	})
	return n, err
}
