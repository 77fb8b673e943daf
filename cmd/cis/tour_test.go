package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTour does what README.md says, command by command, and compares what it
// shows with what the README shows: the README is the golden file. With
// -update it is written anew.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("the tour takes half a minute")
	}
	readme := filepath.Join("..", "..", "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sh := func(dir, command string) string {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "COLUMNS=120", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState.ExitCode() != exitHeld {
			t.Errorf("%s: %v", command, err)
		}
		return string(out)
	}
	demo := sh(dir, "cis demo")
	if !strings.Contains(demo, "Day 7") || !strings.Contains(demo, "verify --all") {
		t.Fatalf("the demo did not go through the week:\n%s", demo)
	}
	play := filepath.Join(dir, "cis-demo")
	var out strings.Builder
	for i, block := range strings.Split(string(text), "```console\n") {
		if i == 0 {
			out.WriteString(block)
			continue
		}
		body, rest, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatal("README.md: a console block does not end")
		}
		out.WriteString("```console\n")
		for line := range strings.Lines(body) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out.WriteString(line)
				out.WriteString(stable(sh(play, strings.TrimSpace(command))))
			}
		}
		out.WriteString("```")
		out.WriteString(rest)
	}
	if *update {
		if err := os.WriteFile(readme, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("README.md shows something else; if what is shown now is right, run go test ./cmd/cis -run Tour -update\n%s", diff)
	}
}

var (
	runSuffix = regexp.MustCompile(`(\d{8}t\d{6}z)-[0-9a-f]{8}`)
	keyID     = regexp.MustCompile(`key [A-Za-z0-9_-]{16}`)
	trailing  = regexp.MustCompile(`(?m)[ \t]+$`)
)

// stable replaces what differs from run to run.
func stable(s string) string {
	s = runSuffix.ReplaceAllString(s, "$1-0a1b2c3d")
	s = keyID.ReplaceAllString(s, "key 0a1b2c3d4e5f6a7b")
	s = trailing.ReplaceAllString(s, "")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}
