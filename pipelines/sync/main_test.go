package sync_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"example.org/cis/pipelines/beamrun"
	"example.org/cis/sinks/firestore/emulator"
)

func TestMain(m *testing.M) {
	// Prism has a goroutine a stage and is slow on fewer.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	if err := beamrun.Init(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(emulator.M{M: m}.Run())
}
