package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

type dumpCommand struct {
	Output string `short:"o" placeholder:"FILE" help:"Write to a file (.gz and .zst compress) and not to standard output."`
}

func (dumpCommand) Help() string {
	return `Writes every profile as one line of canonical JSON, sorted by uuid: equal vaults give equal bytes.

Examples:

    cis dump | head -1
    cis dump -o people.jsonl.zst`
}

func (c dumpCommand) Run(ctx context.Context, p *program) error {
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if c.Output == "" {
		_, err := dump(ctx, o.store, p.stdout)
		return err
	}
	n, err := dumpFile(ctx, o.store, c.Output)
	if err != nil {
		return err
	}
	return p.print(map[string]any{"file": c.Output, "people": n}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Wrote %s to %s.\n", show.Plural(n, "person", "people"), c.Output)
		return err
	})
}

func dump(ctx context.Context, r sinks.Reader, w io.Writer) (n int64, err error) {
	out := bufio.NewWriterSize(w, 256<<10)
	err = each(ctx, r, func(_ sinks.Stored, profile *people.Profile) error {
		n++
		_, err := out.Write(append(profile.AppendJSON(nil), '\n'))
		return err
	})
	if err != nil {
		return n, err
	}
	return n, out.Flush()
}

// dumpFile writes beside the file and renames, so that it is whole or as before.
func dumpFile(ctx context.Context, r sinks.Reader, name string) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".dump-*")
	if err != nil {
		return 0, fmt.Errorf("cis: dump: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := io.WriteCloser(nopCloser{f})
	switch {
	case strings.HasSuffix(name, ".gz"):
		w = gzip.NewWriter(f)
	case strings.HasSuffix(name, ".zst"):
		if w, err = zstd.NewWriter(f); err != nil {
			return 0, fmt.Errorf("cis: dump: %w", err)
		}
	}
	if n, err = dump(ctx, r, w); err != nil {
		return n, err
	}
	if err := errors.Join(w.Close(), f.Sync(), f.Close()); err != nil {
		return n, fmt.Errorf("cis: dump: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return n, fmt.Errorf("cis: dump: %w", err)
	}
	return n, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
