package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served starts cis serve in a folder and returns where it listens. It ends with
// the test.
func served(t *testing.T, dir string, args ...string) (url string) {
	t.Helper()
	return servedBy(t, dir, new(int), args...)
}

// servedBy says by which process as well.
func servedBy(t *testing.T, dir string, pid *int, args ...string) (url string) {
	t.Helper()
	cmd := exec.Command("cis", append([]string{"serve", "--listen", "127.0.0.1:0", "--json"}, args...)...)
	cmd.Dir = dir
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	*pid = cmd.Process.Pid
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("cis serve ended with %v: %s", err, log.String())
		}
	})
	var says struct{ URL string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&says); err != nil {
		t.Fatalf("cis serve says %v: %s", err, log.String())
	}
	return says.URL
}

// TestAPIGuide does what docs/api.md says, command by command, and compares what
// it shows with what the page shows. With -update it is written anew.
func TestAPIGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("the guide takes ten seconds")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	page := filepath.Join("..", "..", "docs", "api.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sh := func(command string) string {
		cmd := exec.CommandContext(t.Context(), "bash", "-uc", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	sh("cis demo --people 80")
	dir = filepath.Join(dir, "cis-demo")
	at := strings.TrimPrefix(served(t, dir, "--dev"), "http://")
	const shown = "127.0.0.1:8080"
	got := block.ReplaceAllStringFunc(string(text), func(b string) string {
		parts := block.FindStringSubmatch(b)
		var out strings.Builder
		for line := range strings.Lines(parts[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				said := sh(strings.ReplaceAll(command, shown, at))
				out.WriteString(line + steady(strings.ReplaceAll(said, at, shown)))
			}
		}
		return "```console\n" + out.String() + "```\n"
	})
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("docs/api.md shows something else; if what is shown now is right, run go test ./cmd/cis -run APIGuide -update\n%s", diff)
	}
}

var (
	anyToken  = regexp.MustCompile(`eyJ[A-Za-z0-9_.-]{40,}`)
	pageToken = regexp.MustCompile(`("nextPage":(?:{"id":)?")[A-Za-z0-9_-]{40,}`)
	bodySum   = regexp.MustCompile(`("sha256":")[0-9a-f]{64}`)
	asOf      = regexp.MustCompile(`("as_of":")20[0-9TZ:.-]*`)
)

// steady replaces what differs from run to run.
func steady(s string) string {
	s = stable(s)
	s = anyToken.ReplaceAllString(s, "eyJ…")
	s = pageToken.ReplaceAllString(s, "${1}…")
	s = bodySum.ReplaceAllString(s, "${1}…")
	return asOf.ReplaceAllString(s, "${1}…")
}
