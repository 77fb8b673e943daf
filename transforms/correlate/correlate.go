// Package correlate decides which person each record belongs to, and what
// follows from records that are no longer there. It works on the fixed-width
// tables of the snapshot alone, sees no values, and is pure.
//
// # Who belongs to whom
//
// A record that is linked stays linked: its immutable id decides, whatever
// else about it changes. For a record seen for the first time:
//
//   - An LDAP record may make a person. It attaches instead to the person who
//     holds its user_id, if nobody's LDAP record is theirs (an imported
//     person). If that person has an LDAP record already, or had the user_id
//     formerly, the uid was recycled and a human decides.
//   - A uid that several records of one extract have is nobody's: neither a
//     new record nor one that changed to it gets it.
//   - An HRIS record never makes a person. Its first link may use the work
//     mail, when exactly one HRIS record and exactly one LDAP record hold it
//     and neither's person is linked; afterwards the mail means nothing.
//
// Nothing is matched through a third record, and nothing by name.
//
// # Absence
//
// A record that a complete extract does not show is missing since then. A
// second complete extract at least Policy.Confirm later sets a due time, a
// grace away; a complete extract at or after it gives the record up. Showing
// up again at any time before cancels. An incomplete extract changes nothing.
// What giving up means for the person is merge's to say: only their lifecycle
// authority ends them.
//
// The missing state lives in the source's table and nowhere else: one truth,
// carried from snapshot to snapshot, and nothing is written per person while
// a timer runs.
package correlate

import (
	"bytes"
	"slices"
	"time"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// Policy says how long absence waits.
type Policy struct {
	Confirm time.Duration // between the first and the confirming extract
	Grace   time.Duration // from then until it acts
}

// A Source is one source's part of the world.
type Source struct {
	Name      string
	Publisher people.Publisher
	Policy    Policy
	// Prev is its table in the base snapshot.
	Prev snapshot.Records
	// Complete says that Seen is the whole source. Otherwise the source's
	// table is carried over as it is and Seen is not looked at.
	Complete bool
	// Seen are the records of this run, sorted by key and unique. Of a record
	// seen for the first time Person is the id it would make, zero for sources
	// that make nobody.
	Seen []snapshot.Record
	// Withheld are keys of records that are there but were set aside: they
	// count as present and keep their last good form. Sorted.
	Withheld []snapshot.Short
	// WithheldEmails are of records that were set aside because their id could
	// not be read: who is missing and has one of them is taken to be there.
	WithheldEmails []snapshot.Short
}

// Anchor reports whether the publisher's records may make people.
func Anchor(p people.Publisher) bool { return p == people.LDAP || p == people.AccessProvider }

// World is what one run knows.
type World struct {
	Now     time.Time
	Sources []Source
	// Holders says who holds the user_id of an anchor's new record, for those
	// that somebody holds.
	Holders map[snapshot.Short]people.ID
	// Known reports whether a person is in the vault already.
	Known func(people.ID) bool
	// Name turns a record's key into its id, for cases; it is called for few.
	Name func(source int, r snapshot.Record) string
}

// A Link is a record that concerns a candidate.
type Link struct {
	Source int
	Record snapshot.Record
	Gone   bool // given up in this run
	First  bool // attached in this run
}

// A Candidate is a person whom something new concerns.
type Candidate struct {
	Person people.ID
	New    bool
	Links  []Link
}

// An Upcoming is a person whose record is missing, with when it will act.
type Upcoming struct {
	Person people.ID `json:"person"`
	Source string    `json:"source"`
	Since  time.Time `json:"since"`
	Due    time.Time `json:"due,omitzero"` // zero while unconfirmed
}

// Result is what follows.
type Result struct {
	// Tables are the sources' tables as they will be, in the order of sources.
	Tables     []snapshot.Records
	Candidates []Candidate // sorted by person
	Cases      []people.Case
	Upcoming   []Upcoming
}

// Run correlates one run.
func Run(w World) Result {
	var res Result
	byPerson := map[people.ID]*Candidate{}
	touch := func(id people.ID, l Link) *Candidate {
		c := byPerson[id]
		if c == nil {
			c = &Candidate{Person: id}
			byPerson[id] = c
		}
		c.Links = append(c.Links, l)
		return c
	}
	withdraw := func(id people.ID, source int) {
		c := byPerson[id]
		if c.Links = slices.DeleteFunc(c.Links, func(l Link) bool { return l.Source == source }); len(c.Links) == 0 {
			delete(byPerson, id)
		}
	}
	tables := make([][]snapshot.Record, len(w.Sources))
	for i := range w.Sources {
		tables[i] = advance(&w.Sources[i], w.Now, func(r snapshot.Record, gone bool) {
			touch(r.Person, Link{Source: i, Record: r, Gone: gone})
		})
	}
	for i := range w.Sources {
		if Anchor(w.Sources[i].Publisher) {
			res.Cases = append(res.Cases, anchor(w, i, tables[i], touch, withdraw)...)
		}
	}
	for i := range w.Sources {
		if w.Sources[i].Publisher == people.HRIS {
			res.Cases = append(res.Cases, firstLink(w, i, tables, touch)...)
		}
	}
	for i, s := range w.Sources {
		for _, r := range tables[i] {
			if r.State == snapshot.Missing && !r.Person.IsZero() {
				u := Upcoming{Person: r.Person, Source: s.Name, Since: time.Unix(r.Since, 0).UTC()}
				if r.Due != 0 {
					u.Due = time.Unix(r.Due, 0).UTC()
				}
				res.Upcoming = append(res.Upcoming, u)
			}
			if r.Regressed && r.State == snapshot.Present {
				res.Cases = append(res.Cases, people.Case{Kind: "not_yet_again", Publisher: s.Publisher, Record: w.name(i, r), People: ids(r.Person),
					Reason:  "the record said that the person is here and now says not yet; nothing was changed",
					Resolve: "correct the source, or let the record end there"})
			}
		}
		res.Tables = append(res.Tables, snapshot.NewRecords(tables[i]))
	}
	for _, c := range byPerson {
		c.New = !w.Known(c.Person)
		res.Candidates = append(res.Candidates, *c)
	}
	slices.SortFunc(res.Candidates, func(a, b Candidate) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	return res
}

func (w *World) name(source int, r snapshot.Record) string {
	if w.Name == nil {
		return ""
	}
	return w.Name(source, r)
}

// advance moves one source's table on: changed, returned and given-up records
// of linked people are told, missing ones get their timers.
func advance(s *Source, now time.Time, tell func(r snapshot.Record, gone bool)) (table []snapshot.Record) {
	table = make([]snapshot.Record, 0, max(s.Prev.Len(), len(s.Seen)))
	if !s.Complete {
		for i := range s.Prev.Len() {
			table = append(table, s.Prev.At(i))
		}
		return table
	}
	at := now.Unix()
	absent := func(r snapshot.Record) {
		if _, withheld := slices.BinarySearchFunc(s.Withheld, r.Key, compare); withheld || r.Email != (snapshot.Short{}) && slices.Contains(s.WithheldEmails, r.Email) {
			if r.State == snapshot.Missing { // it is there, only unreadable: the timer stops
				r.State, r.Since, r.Due = snapshot.Present, 0, 0
			}
			r.Offset, r.Length = 0, 0 // what an earlier extract kept is not in this one
			table = append(table, r)
			return
		}
		switch {
		case r.State == snapshot.Gone:
		case r.Person.IsZero():
			return // attached to nobody: nothing follows from its absence
		case r.State == snapshot.Present:
			r.State, r.Since, r.Due = snapshot.Missing, at, 0
		case r.Due == 0 && at-r.Since >= int64(s.Policy.Confirm/time.Second):
			r.Due = at + int64(s.Policy.Grace/time.Second)
		case r.Due != 0 && at >= r.Due:
			r.State = snapshot.Gone
			tell(r, true)
		}
		table = append(table, r)
	}
	i := 0
	for k := range s.Seen {
		for i < s.Prev.Len() && compare(s.Prev.At(i).Key, s.Seen[k].Key) < 0 {
			absent(s.Prev.At(i))
			i++
		}
		r := s.Seen[k]
		if i < s.Prev.Len() && s.Prev.At(i).Key == r.Key {
			old := s.Prev.At(i)
			i++
			r.State, r.Since, r.Due = snapshot.Present, 0, 0
			if !old.Person.IsZero() || !Anchor(s.Publisher) {
				r.Person = old.Person // else an anchor's record that could not be placed keeps asking
			}
			r.Regressed = r.NotYet && (old.Regressed || !old.NotYet && !old.Person.IsZero())
			if !old.Person.IsZero() && (old.Hash != r.Hash || old.State == snapshot.Gone) {
				tell(r, false)
			}
		} else if !Anchor(s.Publisher) {
			r.Person = people.ID{}
		}
		table = append(table, r)
	}
	for ; i < s.Prev.Len(); i++ {
		absent(s.Prev.At(i))
	}
	return table
}

// anchor places the new records of a source that may make people, and the
// old ones that no one could place before.
func anchor(w World, i int, table []snapshot.Record, touch func(people.ID, Link) *Candidate, withdraw func(people.ID, int)) (cases []people.Case) {
	s := &w.Sources[i]
	if !s.Complete {
		return nil
	}
	linked := map[people.ID]int{} // who has a record of this source, new ones included
	holders := map[snapshot.Short]int{}
	fresh := func(r *snapshot.Record) bool {
		old, ok := s.Prev.Find(r.Key)
		return !ok || old.Person.IsZero()
	}
	for k := range table {
		r := &table[k]
		if !r.Person.IsZero() && !fresh(r) {
			linked[r.Person]++
		}
		if r.State == snapshot.Present { // of one that is missing the uid may be recycled
			holders[r.UserID]++
		}
	}
	for k := range table {
		r := &table[k]
		if r.State != snapshot.Present {
			continue
		}
		if old, _ := s.Prev.Find(r.Key); !fresh(r) {
			if r.UserID != old.UserID && holders[r.UserID] > 1 {
				cases = append(cases, people.Case{Kind: "shared_user_id", Publisher: s.Publisher, Record: w.name(i, *r), People: ids(r.Person),
					Reason:  "the record took a uid that another record of the source has as well; nothing of it was used",
					Resolve: "give each record a uid of its own"})
				withdraw(r.Person, i)
				if old.State == snapshot.Missing {
					old.State, old.Since, old.Due = snapshot.Present, 0, 0
				}
				*r = old // so that the next run looks again
			}
			continue
		}
		id := r.Person // what it would make
		if id.IsZero() || r.Length == 0 {
			continue
		}
		holder, held := w.Holders[r.Key]
		switch {
		case holders[r.UserID] > 1:
			cases = append(cases, people.Case{Kind: "shared_user_id", Publisher: s.Publisher, Record: w.name(i, *r), People: ids(holder),
				Reason:  "several records of the source have the same uid; none of the new ones was used",
				Resolve: "give each record a uid of its own"})
			r.Person = people.ID{}
			continue
		case held && linked[holder] == 0:
			id = holder
		case !held && w.Known(id) && linked[id] == 0 && s.Publisher != people.LDAP:
			// A former login of somebody whom this source did not show before.
		case held, w.Known(id):
			who := id
			if held {
				who = holder
			}
			cases = append(cases, people.Case{Kind: "recycled_user_id", Publisher: s.Publisher, Record: w.name(i, *r), People: ids(who),
				Reason:  "a new record has the uid of somebody who has another record, or who had that uid formerly",
				Resolve: "say whether it is the same person or a new one"})
			r.Person = people.ID{}
			continue
		}
		r.Person = id
		linked[id]++
		touch(id, Link{Source: i, Record: *r, First: true})
	}
	return cases
}

// firstLink attaches HRIS records that belong to nobody yet.
func firstLink(w World, i int, tables [][]snapshot.Record, touch func(people.ID, Link) *Candidate) (cases []people.Case) {
	s, table := &w.Sources[i], tables[i]
	waiting := false
	for k := range table {
		waiting = waiting || table[k].Person.IsZero()
	}
	if !waiting {
		return nil
	}
	inHRIS := map[snapshot.Short]int{} // mail -> current records
	linked := map[people.ID]bool{}
	for k := range table {
		r := &table[k]
		if r.State != snapshot.Gone && r.Email != (snapshot.Short{}) {
			inHRIS[r.Email]++
		}
		if !r.Person.IsZero() {
			linked[r.Person] = true
		}
	}
	type owner struct {
		n   int
		who []people.ID
	}
	inLDAP := map[snapshot.Short]owner{}
	for j := range w.Sources {
		if w.Sources[j].Publisher != people.LDAP {
			continue
		}
		for _, r := range tables[j] {
			if r.State != snapshot.Gone && r.Email != (snapshot.Short{}) {
				o := inLDAP[r.Email]
				inLDAP[r.Email] = owner{o.n + 1, append(o.who, ids(r.Person)...)}
			}
		}
	}
	for k := range table {
		r := &table[k]
		if !r.Person.IsZero() || r.NotYet {
			continue
		}
		o := inLDAP[r.Email]
		reason, resolve := "", "nothing, if they are about to arrive; else correct the mail in one of the sources"
		switch {
		case r.Email == (snapshot.Short{}):
			reason = "the record has no work mail, and is linked to nobody"
		case inHRIS[r.Email] > 1:
			reason = "several HRIS records have the same work mail"
		case o.n == 0:
			reason = "no LDAP record has the work mail"
		case o.n > 1:
			reason = "several LDAP records have the work mail"
		case r.Length == 0:
			reason = "the record was not read this time"
		case len(o.who) == 0:
			reason = "the LDAP record with the work mail is a case itself"
		case linked[o.who[0]]:
			reason = "the person with the work mail is linked to another HRIS record"
			resolve = "say whether the person was hired again under another employee id"
		}
		if reason != "" {
			cases = append(cases, people.Case{Kind: "unattached", Publisher: s.Publisher, Record: w.name(i, *r), People: sorted(o.who), Reason: reason, Resolve: resolve})
			continue
		}
		r.Person = o.who[0]
		linked[r.Person] = true
		touch(r.Person, Link{Source: i, Record: *r, First: true})
	}
	return cases
}

func sorted(list []people.ID) []people.ID {
	return slices.SortedFunc(slices.Values(list), func(a, b people.ID) int { return bytes.Compare(a[:], b[:]) })
}

func ids(list ...people.ID) []people.ID {
	return slices.DeleteFunc(list, people.ID.IsZero)
}

func compare(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) }
