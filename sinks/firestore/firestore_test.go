package firestore_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/api/option"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/sinktest"
)

var n atomic.Int64

func projectOf(tb testing.TB) string {
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		tb.Skip("no emulator")
	}
	return fmt.Sprintf("p%d-%d", time.Now().UnixNano(), n.Add(1))
}

func clientOptions(tb testing.TB) []option.ClientOption { return nil }

func open(tb testing.TB, project string, o firestore.Options) *firestore.Store {
	o.Client = append(o.Client, clientOptions(tb)...)
	s, err := firestore.Open(tb.Context(), project, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func fresh(t *testing.T, now func() time.Time) sinks.Store {
	return open(t, projectOf(t), firestore.Options{Now: now, Unramped: true, Query: declared(t).watch(t)})
}

func TestVault(t *testing.T)  { sinktest.Vault(t, fresh) }
func TestLedger(t *testing.T) { sinktest.Ledger(t, fresh) }
