package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cisbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] { // what it starts itself as
		case "floor":
			return floor(args[1:])
		case "payloads":
			return payloads(args[1:], stdin, stdout)
		case "bare":
			return bare(args[1:])
		case "serve":
			return serveBench(ctx, args[1:], stdout, stderr)
		}
	}
	flags := flag.NewFlagSet("cisbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes := flags.String("people", "1000,10000", "how many people the companies have")
	runs := flags.Int("runs", 3, "how often each case is measured; of an RS256 first load of more than 1,000 people it is once")
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	out := flags.String("out", "", "rewrite the measured part of this file, such as BENCHMARKS.md")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // flag has said why
	}
	if *runs < 1 || flags.NArg() > 0 {
		return errors.New("want --runs of at least 1, and no arguments")
	}
	var people []int
	for s := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 50 {
			return errors.New("--people: want numbers of at least 50 with commas between them")
		}
		people = append(people, n)
	}
	command := "go run ./cmd/cisbench"
	if len(args) > 0 {
		command += " " + strings.Join(args, " ")
	}
	rep := newReport(command, time.Now())
	if err := rep.measure(ctx, people, *runs, stderr); err != nil {
		return err
	}
	if *out != "" {
		if err := rewrite(*out, begin, end, rep.markdown()); err != nil {
			return err
		}
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	_, err := io.WriteString(stdout, rep.markdown())
	return err
}

// measure builds cis and measures all cases of all sizes.
func (r *report) measure(ctx context.Context, people []int, runs int, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "cisbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{cis: filepath.Join(dir, "cis"), progress: progress}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.say("building cis")
	if _, err := execute(ctx, nil, nil, "go", "build", "-o", b.cis, "./cmd/cis"); err != nil {
		return err
	}
	for _, n := range people {
		for _, alg := range []string{ed25519Name, rs256Name} {
			c := &company{bench: b, dir: filepath.Join(dir, fmt.Sprintf("%d-%s", n, alg)), people: n, alg: alg, runs: runs}
			cases, err := c.measure(ctx)
			if err != nil {
				return fmt.Errorf("%d people, %s: %w", n, alg, err)
			}
			r.Cases = append(r.Cases, cases...)
			if err := os.RemoveAll(c.dir); err != nil {
				return err
			}
		}
	}
	return nil
}
