package firestore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/sinktest"
)

var n atomic.Int64

func fresh(t *testing.T, now func() time.Time) sinks.Store {
	s, err := firestore.Open(t.Context(), fmt.Sprintf("p%d-%d", time.Now().UnixNano(), n.Add(1)), firestore.Options{Now: now, Unramped: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVault(t *testing.T)  { sinktest.Vault(t, fresh) }
func TestLedger(t *testing.T) { sinktest.Ledger(t, fresh) }
