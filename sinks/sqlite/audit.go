package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// Audit reads one state of the vault, person after person. What is written
// meanwhile stays in the WAL until it ends.
func (s *Store) Audit(ctx context.Context, want func(sinks.Stored) (sinks.Keys, error), yield func(sinks.Fault) error) error {
	current, err := s.isCurrent(ctx)
	if err == nil && !current {
		err = errEarlier
	}
	a := audit{want: want, yield: yield}
	if err == nil {
		err = s.snapshot(ctx, func(t tx) error {
			a.tx = t
			return errors.Join(a.structure(), a.people(ctx), a.orphans(ctx))
		})
	}
	if a.stopped != nil {
		return a.stopped
	}
	if err != nil {
		return fmt.Errorf("sqlite: audit: %w", err)
	}
	return nil
}

// snapshot lets f read one state of the vault.
func (s *Store) snapshot(ctx context.Context, f func(tx) error) (err error) {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	// As in writer.do, the context is looked at between rows.
	t := tx{&writer{conn: conn, statements: make(map[string]*sql.Stmt)}, context.WithoutCancel(ctx)}
	err = f(t)
	_, ended := conn.ExecContext(t.ctx, "ROLLBACK")
	for _, s := range t.w.statements {
		ended = errors.Join(ended, s.Close())
	}
	return errors.Join(err, ended)
}

// An audit is one under way. Its methods do nothing once it was stopped.
type audit struct {
	tx
	want    func(sinks.Stored) (sinks.Keys, error)
	yield   func(sinks.Fault) error
	stopped error // by want or yield
}

func (a *audit) fault(kind sinks.FaultKind, id people.ID, scheme people.Scheme, revision int64) error {
	a.stopped = a.yield(sinks.Fault{ID: id, Kind: kind, Scheme: scheme, Revision: revision})
	return a.stopped
}

// structure asks SQLite itself, who reads every page and compares the indexes
// with the tables.
func (a *audit) structure() error {
	var verdict string
	if _, err := a.row(`PRAGMA integrity_check(1)`, nil, []any{&verdict}); err != nil || verdict == "ok" {
		return err
	}
	return a.fault(sinks.FaultDamaged, people.ID{}, "", 0)
}

// people compares what each person has with what they should have.
func (a *audit) people(ctx context.Context) error {
	if a.stopped != nil {
		return nil
	}
	return a.rows(selectStored, nil, func(scan scanner) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var id []byte
		var moved int64
		var p sinks.Stored
		if err := scan(&id, &p.Revision, &moved, &p.Profile, &p.Observations); err != nil {
			return err
		}
		if len(id) != len(p.ID) {
			return a.fault(sinks.FaultDamaged, people.ID{}, "", 0)
		}
		p.ID, p.MovedAt = people.ID(id), time.UnixMicro(moved).UTC()
		return a.person(p)
	})
}

func (a *audit) person(p sinks.Stored) error {
	if err := a.history(p.ID, p.Revision); err != nil {
		return err
	}
	if !sinks.IsPacked(p.Profile) || len(p.Observations) > 0 && !sinks.IsPacked(p.Observations) {
		return a.fault(sinks.FaultDamaged, p.ID, "", 0) // want could only fail
	}
	keys, err := a.want(p)
	if err != nil {
		a.stopped = err
		return err
	}
	b := batch{tx: a.tx}
	held, err := b.keys(`SELECT scheme, value FROM claim WHERE person = ?`, p.ID)
	if err != nil {
		return err
	}
	if err := a.compare(p.ID, held, slices.Concat(keys.Unique, keys.Records), a.holderIsThere); err != nil {
		return err
	}
	if held, err = b.keys(`SELECT scheme, value FROM lookup WHERE person = ?`, p.ID); err != nil {
		return err
	}
	if err := a.compare(p.ID, held, keys.Lookups, nil); err != nil {
		return err
	}
	return a.facts(p.ID, &keys)
}

// compare yields how the keys held differ from the ones wanted. Of unique ones,
// taken reports whether somebody who is there has one.
func (a *audit) compare(id people.ID, held, wanted []people.Key, taken func(people.Key) (bool, error)) error {
	for i, k := range wanted {
		if slices.Contains(held, k) || slices.Contains(wanted[:i], k) {
			continue
		}
		kind := sinks.FaultMissing
		if taken != nil {
			if there, err := taken(k); err != nil {
				return err
			} else if there {
				kind = sinks.FaultTaken
			}
		}
		if err := a.fault(kind, id, k.Scheme, 0); err != nil {
			return err
		}
	}
	for _, k := range held {
		if !slices.Contains(wanted, k) {
			if err := a.fault(sinks.FaultExtra, id, k.Scheme, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *audit) holderIsThere(k people.Key) (bool, error) {
	return a.row(`SELECT 1 FROM claim c JOIN person p ON p.id = c.person WHERE c.scheme = ? AND c.value = ?`, []any{string(k.Scheme), k.Value}, []any{new(int)})
}

// facts compares hashes, of which one too many does not say its scheme.
func (a *audit) facts(id people.ID, k *sinks.Keys) error {
	var active bool
	var joined []byte
	found, err := a.row(`SELECT active, hashes FROM facts WHERE person = ?`, []any{id[:]}, []any{&active, &joined})
	if err != nil {
		return err
	}
	if !found { // an earlier version wrote them
		return a.fault(sinks.FaultMissing, id, "", 0)
	}
	if active != k.Active {
		if err := a.fault(sinks.FaultMissing, id, people.Scheme(people.Active), 0); err != nil {
			return err
		}
	}
	wanted := hashesOf(k.Facts)
	if string(joined) == string(wanted) {
		return nil
	}
	held := splitHashes(joined)
	for i, f := range k.Facts {
		if h := sinks.KeyHash(f); !slices.Contains(held, h) && !slices.Contains(k.Facts[:i], f) {
			if err := a.fault(sinks.FaultMissing, id, f.Scheme, 0); err != nil {
				return err
			}
		}
	}
	extra := len(joined)%len(hash{}) != 0
	for _, h := range held {
		extra = extra || !slices.Contains(splitHashes(wanted), h)
	}
	if extra {
		return a.fault(sinks.FaultExtra, id, "", 0)
	}
	return nil
}

// history yields which revisions have no history, from the first that has: a
// copy need not have the earlier ones, nor has somebody who came back after an
// erasure.
func (a *audit) history(id people.ID, revision int64) error {
	due := revision
	first := true
	err := a.rows(`SELECT revision, doc FROM history WHERE person = ? ORDER BY revision`, []any{id[:]}, func(scan scanner) error {
		var r int64
		var doc []byte
		if err := scan(&r, &doc); err != nil {
			return err
		}
		if first {
			due, first = min(r, revision), false
		}
		for ; due < min(r, revision+1); due++ {
			if err := a.fault(sinks.FaultHistory, id, "", due); err != nil {
				return err
			}
		}
		due = max(due, r+1)
		if r > revision || !sinks.IsPacked(doc) {
			return a.fault(sinks.FaultDamaged, id, "", r)
		}
		return nil
	})
	for ; err == nil && due <= revision; due++ {
		err = a.fault(sinks.FaultHistory, id, "", due)
	}
	return err
}

// orphans yields what is of nobody who is there. A row of an outbox can also be
// of somebody erased.
func (a *audit) orphans(ctx context.Context) error {
	for _, query := range [...]string{
		`SELECT person, scheme, 0 FROM claim`,
		`SELECT person, scheme, 0 FROM lookup`,
		`SELECT person, '', 0 FROM facts`,
		`SELECT person, '', revision FROM history`,
		`SELECT person, '', 0 FROM outbox LEFT JOIN tombstone t ON t.id = person AND operation = '` + sinks.NotifyDelete + `' WHERE t.id IS NULL`,
	} {
		if a.stopped != nil {
			return nil
		}
		err := a.rows(`WITH hanging (person, scheme, revision) AS (`+query+`)
			SELECT * FROM hanging WHERE NOT EXISTS (SELECT 1 FROM person WHERE id = hanging.person)`, nil, func(scan scanner) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var id []byte
			var scheme people.Scheme
			var revision int64
			if err := scan(&id, (*string)(&scheme), &revision); err != nil {
				return err
			}
			if len(id) != len(people.ID{}) {
				return a.fault(sinks.FaultDamaged, people.ID{}, scheme, revision)
			}
			return a.fault(sinks.FaultOrphan, people.ID(id), scheme, revision)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
