package sync

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"example.org/cis/sinks"
)

// The kinds of documents in the ledger of a vault.
const (
	kindVault      = "vault"      // the key of its hashes
	kindLink       = "link"       // what humans decided
	kindErasure    = "erasure"    // who was erased, and the receipts
	kindRun        = "run"        // the records of runs
	kindUnfinished = "unfinished" // which of them have not ended
	kindSnapshot   = "snapshot"   // which is current, and when old ones went
	kindHolder     = "holder"     // who has the lease or waits for it
	kindCopy       = "copy"       // that the vault is a copy that is not finished
	kindAnswer     = "answer"     // what the Change API answered, for requests that are repeated
)

// A Kind is one of the kinds of documents that a ledger holds.
type Kind struct {
	Name string
	// Copied kinds go with the people into another vault; the others are about
	// the vault itself, or about who is writing it.
	Copied bool
}

// Kinds lists all kinds. A copy takes them in this order: before the current
// snapshot is known, nobody is refreshed.
func Kinds() []Kind {
	return []Kind{{kindVault, true}, {kindLink, true}, {kindErasure, true}, {kindRun, true}, {kindUnfinished, true}, {kindSnapshot, true}, {kindHolder, false}, {kindCopy, false}, {kindAnswer, false}}
}

// Documents yields those of a kind, by key. An error is the last.
func Documents(ctx context.Context, l sinks.Ledger, kind string) iter.Seq2[sinks.Doc, error] {
	const page = 500
	return func(yield func(sinks.Doc, error) bool) {
		for after := ""; ; {
			docs, err := l.Docs(ctx, kind, after, page)
			if err != nil {
				yield(sinks.Doc{}, fmt.Errorf("sync: list documents of kind %s: %w", kind, err))
				return
			}
			for _, d := range docs {
				if !yield(d, nil) {
					return
				}
				after = d.Key
			}
			if len(docs) < page {
				return
			}
		}
	}
}

// CopyMark is the document of a vault that is being filled from another one:
// Version and Body are not set.
func CopyMark() sinks.Doc { return sinks.Doc{Kind: kindCopy, Key: "unfinished"} }

// ErrCopying is returned by whatever would write people into a vault that is an
// unfinished copy.
var ErrCopying = errors.New("sync: the vault is a copy that is not finished: run the same `cis vault copy` again")

// refuseCopy is ErrCopying of an unfinished copy.
func refuseCopy(ctx context.Context, l sinks.Ledger) error {
	switch _, err := l.Doc(ctx, kindCopy, CopyMark().Key); {
	case err == nil:
		return ErrCopying
	case errors.Is(err, sinks.ErrNotFound):
		return nil
	default:
		return fmt.Errorf("sync: is the vault a copy: %w", err)
	}
}
