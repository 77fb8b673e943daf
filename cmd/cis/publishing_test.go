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

// TestPublishing does what docs/publishing.md says: it runs the scripts, which
// say nothing, and the commands, whose output is compared with the page's.
// With -update it is written anew.
func TestPublishing(t *testing.T) {
	for _, tool := range []string{"openssl", "perl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	page := filepath.Join("..", "..", "docs", "publishing.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sh := func(command string) (string, int) {
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return modulus.ReplaceAllString(string(out), `${1}…"`), cmd.ProcessState.ExitCode()
	}
	got := block.ReplaceAllStringFunc(string(text), func(b string) string {
		parts := block.FindStringSubmatch(b)
		kind, body := parts[1], parts[2]
		if kind == "sh" {
			if out, code := sh(body); out != "" || code != exitDone {
				t.Errorf("a script ended with %d: %s", code, out)
			}
			return b
		}
		var shown strings.Builder
		for line := range strings.Lines(body) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out, code := sh(command)
				// What goes wrong on the page goes wrong because cis says so.
				if code != exitDone && !strings.Contains(out, "cis: ") {
					t.Errorf("%s ended with %d: %s", command, code, out)
				}
				shown.WriteString(line + out)
			}
		}
		return "```console\n" + shown.String() + "```\n"
	})
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("docs/publishing.md shows something else; if what is shown now is right, run go test ./cmd/cis -run Publishing -update\n%s", diff)
	}
}

var (
	block   = regexp.MustCompile("(?ms)^```(console|sh)\n(.*?)^```\n")
	modulus = regexp.MustCompile(`("n": ")[^"]*"`) // differs from key to key
)
