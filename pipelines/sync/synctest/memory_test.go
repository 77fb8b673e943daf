package synctest_test

import (
	"testing"

	"example.org/cis/pipelines/sync/synctest"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sinktest"
)

func TestMemory(t *testing.T) {
	sinktest.Blobs(t, func(*testing.T) sinks.Blobs { return new(synctest.Memory) })
}
