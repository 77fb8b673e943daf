package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// A Link is what a human decided about a record: that it is the person's, or,
// Apart, that it is not. It is kept in the ledger (kind "link") and holds until
// another decision about the record takes its place; runs carry it out.
type Link struct {
	Publisher people.Publisher `json:"publisher"`
	Record    string           `json:"record"`
	Person    people.ID        `json:"person"`
	Apart     bool             `json:"apart,omitzero"`
	By        string           `json:"by"`
	Reason    string           `json:"reason"`
	At        time.Time        `json:"at"`
	// Earlier are the decisions that this one took the place of, newest first.
	Earlier []Link `json:"earlier,omitzero"`
}

func linkKey(p people.Publisher, record string) string { return string(p) + "/" + record }

// Decide records a decision about a record. Decided twice the same it is
// recorded once.
func Decide(ctx context.Context, l sinks.Ledger, d Link) error {
	for {
		doc, err := l.Doc(ctx, kindLink, linkKey(d.Publisher, d.Record))
		if err != nil && !errors.Is(err, sinks.ErrNotFound) {
			return fmt.Errorf("sync: read the link: %w", err)
		}
		next := d
		if err == nil {
			var was Link
			if err := json.Unmarshal(doc.Body, &was); err != nil {
				return fmt.Errorf("sync: link: %w", err)
			}
			if was.Person == d.Person && was.Apart == d.Apart {
				return nil
			}
			next.Earlier = append([]Link{was}, was.Earlier...)
			next.Earlier[0].Earlier = nil
		}
		body, err := json.Marshal(next, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("sync: link: %w", err)
		}
		_, err = l.Put(ctx, sinks.Doc{Kind: kindLink, Key: linkKey(d.Publisher, d.Record), Version: doc.Version, Body: body})
		if errors.Is(err, sinks.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sync: record the link: %w", err)
		}
		return nil
	}
}

// Links lists all decisions, by publisher and record.
func Links(ctx context.Context, l sinks.Ledger) (links []Link, err error) {
	for d, err := range Documents(ctx, l, kindLink) {
		if err != nil {
			return nil, err
		}
		var k Link
		if err := json.Unmarshal(d.Body, &k); err != nil {
			return nil, fmt.Errorf("sync: link: %w", err)
		}
		links = append(links, k)
	}
	return links, nil
}

// readLink returns the decision about one record, nil if there is none.
func readLink(ctx context.Context, l sinks.Ledger, p people.Publisher, record string) (*Link, error) {
	d, err := l.Doc(ctx, kindLink, linkKey(p, record))
	if errors.Is(err, sinks.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sync: read the link: %w", err)
	}
	k := new(Link)
	if err := json.Unmarshal(d.Body, k); err != nil {
		return nil, fmt.Errorf("sync: link: %w", err)
	}
	return k, nil
}
