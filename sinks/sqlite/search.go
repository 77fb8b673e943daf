package sqlite

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// errUnfilled is of a vault from before there were facts. An answer without
// those whose facts are not known would pass for a whole one.
var errUnfilled = errors.New("the vault does not say what everybody is searched by, because an earlier version wrote it: run cis vault check --fix")

// errEnough ends a query whose page is full.
var errEnough = errors.New("enough")

// Search reads a page in one statement, so of one state of the vault. What
// pages are ordered by never changes while a person is there (of a search by
// user_id: while they keep it), so nobody moves from one page to another.
func (s *Store) Search(ctx context.Context, q sinks.Query) (sinks.Page, error) {
	page, err := s.search(ctx, q)
	if err != nil {
		return sinks.Page{}, fmt.Errorf("sqlite: search: %w", err)
	}
	return page, nil
}

func (s *Store) search(ctx context.Context, q sinks.Query) (page sinks.Page, err error) {
	byFact := q.Fact != (people.Key{})
	if err := q.Validate(); err != nil {
		return page, err
	}
	after, err := readToken(q)
	if err != nil {
		return page, err
	}
	if current, err := s.isCurrent(ctx); err != nil {
		return page, err
	} else if !current {
		return page, errEarlier
	}
	var active, fact any // NULL asks for everybody
	if q.Active != nil {
		active = *q.Active
	}
	if byFact {
		hash := sinks.KeyHash(q.Fact)
		fact = hash[:]
	}
	// Whoever has no facts comes along if facts are asked for, and is an error.
	const filter = ` AND (?1 IS NULL AND ?2 IS NULL OR f.person IS NULL OR (?1 IS NULL OR f.active = ?1) AND (?2 IS NULL OR instr(f.hashes, ?2) > 0))`
	query, args := `SELECT p.id, p.revision, p.moved_at, p.profile, NULL, f.person IS NULL, f.hashes, p.id
		FROM person p LEFT JOIN facts f ON f.person = p.id
		WHERE p.id > ?3`+filter+` ORDER BY p.id`, []any{active, fact, after}
	if q.Login != "" {
		// CROSS JOIN keeps the order of the tables, and so that of the claims.
		query, args = `SELECT p.id, p.revision, p.moved_at, p.profile, NULL, f.person IS NULL, f.hashes, CAST(c.value AS BLOB)
			FROM claim c CROSS JOIN person p ON p.id = c.person LEFT JOIN facts f ON f.person = p.id
			WHERE c.scheme = ?4 AND c.value > ?3 AND c.value >= ?5 AND c.value < ?6`+filter+` ORDER BY c.value`,
			[]any{active, fact, string(after), string(people.ByUserID), q.Login, beyond(q.Login)}
	}
	var last []byte
	err = s.read(ctx, query, args, func(scan scanner) error {
		var unfilled bool
		var hashes, at []byte
		p, err := scanStored(func(into ...any) error { return scan(append(into, &unfilled, &hashes, &at)...) })
		switch {
		case err != nil:
			return err
		case unfilled && (q.Active != nil || byFact):
			return errUnfilled
		case byFact && !slices.Contains(splitHashes(hashes), sinks.KeyHash(q.Fact)): // it stood across two
			return nil
		case len(page.People) == q.Limit:
			page.Next = writeToken(q, last)
			return errEnough
		}
		page.People, last = append(page.People, p), at
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}

// beyond returns what is greater than all that begins with prefix, and no
// greater than anything else that is greater. Beyond any text there is a blob.
func beyond(prefix string) any {
	for n := len(prefix); n > 0; n-- {
		if c := prefix[n-1]; c < 0xff {
			return prefix[:n-1] + string([]byte{c + 1})
		}
	}
	return []byte{}
}

// A token is the last id or user_id of a page, after a byte that tells which.
func writeToken(q sinks.Query, last []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{tokenKind(q)}, last...))
}

func readToken(q sinks.Query) (after []byte, err error) {
	if q.After == "" {
		return []byte{}, nil
	}
	token, err := base64.RawURLEncoding.DecodeString(q.After)
	if err != nil || len(token) < 2 || token[0] != tokenKind(q) {
		return nil, errors.New("a page after one of another search")
	}
	return token[1:], nil
}

func tokenKind(q sinks.Query) byte {
	if q.Login != "" {
		return 'u'
	}
	return 'i'
}
