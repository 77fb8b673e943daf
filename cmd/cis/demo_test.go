package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestDemoFirestore shows the company in Firestore, and leaves a folder whose
// configuration goes on there. Into a vault with people it does not go.
func TestDemoFirestore(t *testing.T) {
	spec, _ := emulated(t)
	dir := filepath.Join(t.TempDir(), "company")
	demo := func(dir string) (int, string) {
		code, _, stderr := try(t.Context(), "demo", dir, "--people", "60", "--days", "1", "--vault", spec)
		return code, stderr
	}
	if code, stderr := demo(dir); code != exitDone {
		t.Fatalf("it ended with %d: %s", code, stderr)
	}
	if out := cisIn(t, dir, exitDone, "config", "check"); !strings.Contains(out, spec) {
		t.Errorf("the configuration names another vault: %s", out)
	}
	if out := cisIn(t, dir, exitDone, "verify", "--all"); !strings.Contains(out, "0 wrong") {
		t.Error(out)
	}
	if code, stderr := demo(dir + "-2"); code != exitUsage || !strings.Contains(stderr, "people are in "+spec+" already") {
		t.Errorf("into a vault with people it ended with %d: %s", code, stderr)
	}
}
