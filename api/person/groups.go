package person

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/cis/api"
	"example.org/cis/api/view"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
)

// groupLife is how old the counts of groups may be. From half of that on they are
// made anew.
const groupLife = 5 * time.Minute

func groupPath(source string) people.Path { return people.Path("access_information." + source) }

// A shade is a group and who may see that somebody is in it.
type shade struct{ source, name, class, display string }

// A groupIndex counts the members of groups. One reading of everybody serves all
// callers: it counts apart what different ones may see.
type groupIndex struct {
	s  *service
	mu sync.Mutex
	// counts are the last that were made, nil before the first.
	counts *groupCounts
	// making is closed when the counts are made that are being made, nil if none are.
	making chan struct{}
	failed error // why the last ones were not made
}

type groupCounts struct {
	members map[shade]int64
	asOf    time.Time
}

// makeCounts is how long counts may take to be made.
const makeCounts = 10 * time.Minute

func newGroupIndex(s *service) *groupIndex { return &groupIndex{s: s} }

// fresh returns counts that are not too old. Older ones serve while new ones are
// made; without any, whoever asks waits, for as long as they like. Nobody who goes
// away takes the others' counts along.
func (g *groupIndex) fresh(ctx context.Context) (*groupCounts, error) {
	g.mu.Lock()
	counts := g.counts
	if counts != nil && g.s.Now().Sub(counts.asOf) <= groupLife/2 {
		g.mu.Unlock()
		return counts, nil
	}
	making := g.making
	if making == nil {
		making = make(chan struct{})
		g.making = making
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeCounts)
		go func() { // it ends by itself
			defer cancel()
			made, err := g.tried(ctx)
			g.mu.Lock()
			defer g.mu.Unlock()
			if err == nil {
				g.counts = made
			}
			g.failed, g.making = err, nil
			close(making)
		}()
	}
	g.mu.Unlock()
	if counts != nil && g.s.Now().Sub(counts.asOf) <= groupLife {
		return counts, nil
	}
	select {
	case <-making:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts, g.failed
}

// tried is count, of which a panic ends no process.
func (g *groupIndex) tried(ctx context.Context) (c *groupCounts, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("person: counting the members of groups panicked")
		}
	}()
	return g.count(ctx)
}

// count reads everybody.
func (g *groupIndex) count(ctx context.Context) (*groupCounts, error) {
	c := &groupCounts{members: map[shade]int64{}, asOf: g.s.Now()}
	_, _, err := g.s.everybody(ctx, func(d *view.Doc) error {
		if active, err := isActive(d); err != nil || !active {
			return err
		}
		for _, source := range g.s.sources {
			a, err := d.Attribute(groupPath(source))
			if err != nil {
				return err
			}
			for _, e := range a.Value.Entries() {
				c.members[shade{source, e.Key, a.Metadata.Classification, a.Metadata.Display}]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// A Group is one group, with the number of its active members whose membership
// the caller sees.
type Group struct {
	Source  string `json:"source"`
	Name    string `json:"name"`
	Members int64  `json:"members"`
}

// seen are the groups in which the caller sees somebody, by source and name.
func (s *service) seen(r *http.Request) ([]Group, time.Time, error) {
	counts, err := s.groups.fresh(r.Context())
	if err != nil {
		return nil, time.Time{}, err
	}
	grant := view.Of(api.CallerOf(r.Context()).Scopes)
	sums := map[Group]int64{}
	for sh, n := range counts.members {
		if grant.Sees(sh.class, sh.display) {
			sums[Group{Source: sh.source, Name: sh.name}] += n
		}
	}
	groups := make([]Group, 0, len(sums))
	for g, n := range sums {
		g.Members = n
		groups = append(groups, g)
	}
	slices.SortFunc(groups, byName)
	return groups, counts.asOf, nil
}

func byName(a, b Group) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name))
}

// listGroups lists groups with counts, those of one source if it is named.
func (s *service) listGroups(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	source := q.Get("source")
	if source != "" && !slices.Contains(s.sources, source) {
		return api.Bad("source is one of " + strings.Join(s.sources, ", "))
	}
	place, err := s.Seal.place(r, q)
	if err != nil {
		return err
	}
	groups, asOf, err := s.seen(r)
	if err != nil {
		return err
	}
	groups = slices.DeleteFunc(groups, func(g Group) bool { return source != "" && g.Source != source })
	if place != "" { // a place is where the page before ended, so that groups that come and go shift nobody
		last := Group{}
		last.Source, last.Name, _ = strings.Cut(place, "\x00")
		i, there := slices.BinarySearchFunc(groups, last, byName)
		if there {
			i++
		}
		groups = groups[i:]
	}
	next := ""
	if len(groups) > idsPage {
		groups = groups[:idsPage]
		last := groups[idsPage-1]
		if next, err = s.Seal.token(r, q, last.Source+"\x00"+last.Name); err != nil {
			return err
		}
	}
	return api.JSON(w, http.StatusOK, map[string]any{"groups": groups, "as_of": asOf, "nextPage": orNull(next)})
}

// groupOf reads which group a path names: the first of its readings that has
// members whom the caller sees.
func (s *service) groupOf(r *http.Request) (Group, time.Time, error) {
	none := &api.Error{Status: http.StatusNotFound, Code: "not_found", Description: "there is no such group, or nobody in it whom you may see there"}
	if err := s.knownSource(r); err != nil {
		return Group{}, time.Time{}, err
	}
	names, err := values(r, "name")
	if err != nil {
		return Group{}, time.Time{}, err
	}
	groups, asOf, err := s.seen(r)
	if err != nil {
		return Group{}, asOf, err
	}
	for _, name := range names {
		if i, there := slices.BinarySearchFunc(groups, Group{Source: r.PathValue("source"), Name: name}, byName); there {
			return groups[i], asOf, nil
		}
	}
	return Group{}, asOf, none
}

// knownSource is nil if groups come from the source in the path.
func (s *service) knownSource(r *http.Request) error {
	if slices.Contains(s.sources, r.PathValue("source")) {
		return nil
	}
	return &api.Error{Status: http.StatusNotFound, Code: "not_found", Description: "groups have a source, one of " + strings.Join(s.sources, ", ")}
}

// group tells of one group.
func (s *service) group(w http.ResponseWriter, r *http.Request) error {
	g, asOf, err := s.groupOf(r)
	if err != nil {
		return err
	}
	return api.JSON(w, http.StatusOK, map[string]any{"source": g.Source, "name": g.Name, "members": g.Members, "as_of": asOf})
}

// A member of a group: of the profile what the caller sees. Since is when the
// source was first seen to say so, nil if the history does not know.
type member struct {
	UUID   people.ID  `json:"uuid"`
	UserID *string    `json:"user_id"`
	Email  *string    `json:"primary_email"`
	Since  *time.Time `json:"since"`
}

// members lists who is in a group, as the profiles say at this moment.
func (s *service) members(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	source := r.PathValue("source")
	if err := s.knownSource(r); err != nil {
		return err
	}
	active, err := activeOf(q)
	if err != nil {
		return err
	}
	names, err := values(r, "name")
	if err != nil {
		return err
	}
	place, err := s.Seal.place(r, q)
	if err != nil {
		return err
	}
	if place != "" { // the page before knows by which reading of the name it found somebody
		reading, after, _ := strings.Cut(place, "\x00")
		names, place = []string{reading}, after
	}
	path, grant := groupPath(source), view.Of(api.CallerOf(r.Context()).Scopes)
	rows, next := []member{}, ""
	for _, name := range names {
		in := condition{key: people.Key{Scheme: people.Scheme(path), Value: name}}
		next, err = s.looked(r.Context(), sinks.Query{Active: active, After: place, Limit: membersPage}, []condition{in}, func(id people.ID, d *view.Doc) (bool, error) {
			membership, in, err := d.Seen(grant, path)
			if !in || err != nil {
				return false, err
			}
			login, err1 := seen(d, grant, people.UserID)
			mail, err2 := seen(d, grant, people.PrimaryEmail)
			since, err3 := s.since(r.Context(), id, path, name, func(display string) bool { return grant.Sees(membership.Metadata.Classification, display) })
			if err := errors.Join(err1, err2, err3); err != nil {
				return false, err
			}
			rows = append(rows, member{id, orNull(login), orNull(mail), since})
			return len(rows) >= membersPage, nil
		})
		if err != nil {
			return err
		}
		if next != "" {
			next = name + "\x00" + next
		}
		if len(rows) > 0 || next != "" {
			break
		}
	}
	if next, err = s.Seal.token(r, q, next); err != nil {
		return err
	}
	return api.JSON(w, http.StatusOK, map[string]any{"members": rows, "nextPage": orNull(next)})
}

// since is when somebody came into a group for the last time, nil if it was not
// shown to the caller then.
func (s *service) since(ctx context.Context, id people.ID, path people.Path, name string, seen func(display string) bool) (*time.Time, error) {
	revisions, err := s.Revisions(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, rev := range slices.Backward(revisions) {
		for _, o := range rev.Operations {
			for _, ch := range o.Changes {
				if ch.Path == path && ch.New.Value.Has(name) && !ch.Old.Value.Has(name) {
					if !seen(ch.New.Display) {
						return nil, nil
					}
					at := ch.Since
					if at.IsZero() {
						at = rev.RecordedAt
					}
					return &at, nil
				}
			}
		}
	}
	return nil, nil
}
