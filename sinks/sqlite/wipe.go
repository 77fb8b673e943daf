package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errStillRead is of an erasure that another process, or a read of this one
// that takes long, keeps from being finished.
var errStillRead = errors.New("it is erased, but somebody is still reading an earlier state, which stays in the log: do it again later")

// wipe overwrites what SQLite leaves of what was removed before it is called.
//
// secure_delete overwrites a cell or a page when it is freed. It does not when
// a page is split: the half that moves is left behind between the cell pointers
// and the cells (rebuildPage), where nothing refers to it, and there it stays
// when the row is removed from the page that it moved to. And the log has every
// earlier state of a page, until it is emptied.
func (s *Store) wipe(ctx context.Context) error {
	for {
		rests, err := s.rests(ctx)
		if err != nil {
			return err
		}
		moved, err := s.clear(ctx, rests)
		if err != nil {
			return err
		}
		if !moved {
			return s.writes.emptyLog(ctx)
		}
	}
}

// A rest is a page with something left in its gap: the numbers of the pages
// that lead to it from the root of its tree, and its own.
type rest []uint32

// rests returns all there are of people. It reads each page of their trees but
// no overflow pages, which SQLite overwrites as a whole.
func (s *Store) rests(ctx context.Context) (found []rest, err error) {
	err = s.snapshot(ctx, func(t tx) error {
		var roots []uint32
		err := t.rows(`SELECT rootpage FROM sqlite_schema WHERE tbl_name IN ('person', 'claim', 'lookup', 'facts', 'history', 'outbox', 'ledger') AND rootpage > 1`, nil, func(scan scanner) error {
			var root uint32
			err := scan(&root)
			roots = append(roots, root)
			return err
		})
		if err != nil {
			return err
		}
		var walk func(path rest) error
		walk = func(path rest) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := t.page(path[len(path)-1])
			if err != nil {
				return err
			}
			if p.dirty() {
				found = append(found, slices.Clone(path))
			}
			for _, child := range p.children() {
				if len(path) > 20 { // SQLite's own limit
					return errors.New("a damaged tree")
				}
				if err := walk(append(path, child)); err != nil {
					return err
				}
			}
			return nil
		}
		for _, root := range roots {
			if err := walk(rest{root}); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// clear overwrites the rests. It reports whether a page was elsewhere by then,
// so that they are to be looked for again: pages that are given to something
// else are overwritten first, but in a tree they can come to be below another one.
func (s *Store) clear(ctx context.Context, rests []rest) (moved bool, err error) {
	for len(rests) > 0 {
		err := s.writes.do(ctx, func(t tx) error {
			for begun := time.Now(); len(rests) > 0 && time.Since(begun) < slice; rests = rests[1:] {
				cleared, err := t.clear(rests[0])
				if err != nil {
					return err
				}
				moved = moved || !cleared
			}
			return nil
		})
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// clear overwrites one rest, unless its path leads there no more. (That the root
// leads to each page on the way says that they are pages of the tree.)
func (t tx) clear(path rest) (found bool, err error) {
	for i, n := range path {
		p, err := t.page(n)
		if err != nil {
			return false, err
		}
		if i < len(path)-1 {
			if !slices.Contains(p.children(), path[i+1]) {
				return false, nil
			}
			continue
		}
		clear(p.gap())
		if err := t.exec(`UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?`, []byte(p), n); err != nil {
			return false, err
		}
	}
	return true, nil
}

// page reads a page of a tree.
func (t tx) page(n uint32) (p page, err error) {
	found, err := t.row(`SELECT data FROM sqlite_dbpage WHERE pgno = ?`, []any{n}, []any{(*[]byte)(&p)})
	if err == nil && (!found || !p.valid()) {
		err = fmt.Errorf("page %d is damaged", n)
	}
	return p, err
}

// A page is one of a tree, other than the first of the file. It has a header,
// pointers to its cells, the gap and the cells
// (https://sqlite.org/fileformat2.html#b_tree_pages).
type page []byte

// interior reports whether the page has children.
func (p page) interior() bool { return p[0] == 2 || p[0] == 5 }

// pointers returns where the pointers to cells begin and end.
func (p page) pointers() (from, to int) {
	from = 8
	if p.interior() {
		from = 12
	}
	return from, from + 2*int(binary.BigEndian.Uint16(p[3:]))
}

// cells returns where the cells begin.
func (p page) cells() int {
	if n := int(binary.BigEndian.Uint16(p[5:])); n > 0 {
		return n
	}
	return 1 << 16
}

func (p page) valid() bool {
	if len(p) < 512 || !p.interior() && p[0] != 10 && p[0] != 13 {
		return false
	}
	_, to := p.pointers()
	return to <= p.cells() && p.cells() <= len(p)
}

// gap returns what is between the pointers and the cells.
func (p page) gap() []byte {
	_, to := p.pointers()
	return p[to:p.cells()]
}

func (p page) dirty() bool {
	return slices.ContainsFunc(p.gap(), func(b byte) bool { return b != 0 })
}

// children returns the pages below.
func (p page) children() (numbers []uint32) {
	if !p.interior() {
		return nil
	}
	for from, to := p.pointers(); from < to; from += 2 {
		if cell := int(binary.BigEndian.Uint16(p[from:])); cell+4 <= len(p) {
			numbers = append(numbers, binary.BigEndian.Uint32(p[cell:]))
		}
	}
	return append(numbers, binary.BigEndian.Uint32(p[8:])) // to the right of all cells
}

// emptyLog brings the log into the file, and cuts it off. It waits for who is
// reading an earlier state, and lets writers in meanwhile as they let others.
func (w *writer) emptyLog(ctx context.Context) error {
	for began := time.Now(); ; {
		emptied, err := w.tryEmptyLog(ctx)
		if emptied || err != nil {
			return err
		}
		if time.Since(began) > busyTimeout {
			return errStillRead
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (w *writer) tryEmptyLog(ctx context.Context) (emptied bool, err error) {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	// SQLite waits with the lock in its hand, so that nobody comes in between.
	t := tx{w, context.WithoutCancel(ctx)}
	if _, err := t.row(fmt.Sprintf("PRAGMA busy_timeout = %d", slice.Milliseconds()), nil, []any{new(int)}); err != nil {
		return false, err
	}
	var busy, frames, moved int
	_, err = t.row("PRAGMA wal_checkpoint(TRUNCATE)", nil, []any{&busy, &frames, &moved})
	_, reset := t.row("PRAGMA busy_timeout = 0", nil, []any{new(int)})
	return err == nil && busy == 0, errors.Join(err, reset)
}
