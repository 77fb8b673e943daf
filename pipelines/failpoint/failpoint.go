// Package failpoint lets a test kill the process at a named place, as a
// machine that loses power would: nothing is flushed and nothing deferred
// runs. CIS_FAILPOINT=NAME kills at the first passage, NAME:3 at the third.
// It can only end the process, so it weakens no check.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Names lists every place, in the order of a run; a test compares it with
// the code.
func Names() []string {
	return []string{
		"lease.taken", "run.marked", "run.recorded", "extract.done", "correlate.done", "plan.part", "plan.sealed", "run.sealed",
		"apply.commit", "apply.committed", "apply.part",
		"snapshot.tables", "snapshot.manifest", "snapshot.head", "run.ended", "run.finished", "blob.deleted",
		"refresh.commit", "refresh.committed", // of a refresh, which is no run
		"copy.marked", "copy.loaded", "copy.part", "copy.tombstones", "copy.document", "copy.equal", // of a copy of a vault
	}
}

var passed atomic.Int64

// Hit kills the process if it is the place that CIS_FAILPOINT names.
func Hit(name string) {
	want, ok := os.LookupEnv("CIS_FAILPOINT")
	if !ok {
		return
	}
	place, nth, counted := strings.Cut(want, ":")
	if place != name {
		return
	}
	n := int64(1)
	if counted {
		n, _ = strconv.ParseInt(nth, 10, 64)
	}
	if passed.Add(1) >= n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
