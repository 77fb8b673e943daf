// Package correlate decides which person each record belongs to, and what
// follows from records that are no longer there. It works on the fixed-width
// tables of the snapshot alone, sees no values, and is pure.
//
// # Who belongs to whom
//
// A record that is linked stays linked: its immutable id decides, whatever
// else about it changes. Sources are placed in this order, whatever the order
// of the configuration: LDAP, access provider, people directory, HRIS, GitHub.
// For a record that belongs to nobody yet:
//
//   - What a human said about it ([Decision]) comes first.
//   - An LDAP record may make a person. It attaches instead to the person who
//     holds its user_id, if nobody's LDAP record is theirs (an imported
//     person). If that person has an LDAP record already, or had the user_id
//     formerly, the uid was recycled and a human decides.
//   - A uid that several records of one extract have is nobody's: neither a
//     new record nor one that changed to it gets it.
//   - A login of the access provider attaches to whoever has its user_id now or
//     had it formerly, and makes a person if nobody did. A record of the people
//     directory does the same and makes nobody. Their record id is the user_id,
//     so that a person who logs in under another one gets another record: the
//     current one takes the earlier one's place. And it is not immutable: when
//     LDAP has given a former user_id to another record, a login with it is that
//     record's, at the latest when it says something new; it waits if that
//     record is a case. New is what differs from what was last acted on: of
//     somebody of whom something was held back it is compared with what they had
//     before, as often as the run is repeated. All of that is settled in one run:
//     what one record sets free is placed in it.
//   - An HRIS record never makes a person. Its first link may use the work
//     mail, when exactly one HRIS record and exactly one LDAP record hold it
//     (a login, where no source is LDAP) and neither's person is linked;
//     afterwards the mail means nothing.
//   - A GitHub account belongs to the one person whose verified identity names
//     its number, for as long as it does: the people directory's word if it
//     has one, else the profile's, else that of the login. Of several it is the
//     only active one's.
//
// Nothing is matched through a third record, and nothing by name.
//
// # Absence
//
// A record that a complete extract does not show is missing since then. A
// second, later complete extract at least Policy.Confirm later sets a due time, a
// grace away; a complete extract at or after it gives the record up. Without a
// grace the confirming extract does. Showing
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
	// Seen are the records of this run, sorted by key and unique. Of an
	// anchor's record that belongs to nobody yet Person is the id it would
	// make, zero otherwise. Length is 0 of those that were not kept because they
	// are linked and unchanged; such a one may be kept all the same (Spare).
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
	// Rows is the people table of the base snapshot.
	Rows snapshot.Rows
	// Holders says who has or had the user_id of a new record, for those that
	// somebody in the vault has or had.
	Holders map[snapshot.Short]Holder
	// Waits are new logins that make nobody now: they may be those of people whom
	// LDAP, which was not read, has renamed.
	Waits map[snapshot.Short]bool
	// Decisions are what humans said about records.
	Decisions map[snapshot.Short]Decision
	// Known reports whether a person is in the vault already.
	Known func(people.ID) bool
	// Name turns a record's key into its id, for cases; it is called for few. The
	// person of a record that was taken away in this run is the one who had it.
	Name func(source int, r snapshot.Record) string
	// Recall finds what a record says that passes from one person to another and
	// was not read, because its source was not: the profile of the former stands
	// on it. It reports whether the record can be had; nil is never. Such a link
	// has a record of Length 0.
	Recall func(source int, r snapshot.Record, from people.ID) bool
}

// A Holder is who has a user_id, or had it and nobody has it now.
type Holder struct {
	Person people.ID
	Former bool
}

// A Decision is what a human said about one record: that it is the person's,
// or, Apart, that it is not.
type Decision struct {
	Person people.ID
	Apart  bool
}

// A Link is a record that concerns a candidate.
type Link struct {
	Source int
	Record snapshot.Record
	Gone   bool // given up in this run
	First  bool // attached in this run
	Lost   bool // no longer the person's: what it said goes back to where it came from
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
	c := &correlation{World: w, byPerson: map[people.ID]*Candidate{}, tables: make([][]snapshot.Record, len(w.Sources)), makes: map[snapshot.Short]people.ID{}, had: map[snapshot.Short]people.ID{}}
	for i := range w.Sources {
		c.advance(i)
	}
	c.decide()
	each := func(p people.Publisher, place func(i int)) {
		for i := range w.Sources {
			if w.Sources[i].Publisher == p {
				place(i)
			}
		}
	}
	each(people.LDAP, c.anchor)
	each(people.AccessProvider, c.logins)
	each(people.Directory, c.logins)
	each(people.HRIS, c.firstLink)
	each(people.GitHub, c.accounts)
	var res Result
	for i, s := range w.Sources {
		c.forget(i)
		for _, r := range c.tables[i] {
			if r.State == snapshot.Missing && !r.Person.IsZero() {
				u := Upcoming{Person: r.Person, Source: s.Name, Since: time.Unix(r.Since, 0).UTC()}
				if r.Due != 0 {
					u.Due = time.Unix(r.Due, 0).UTC()
				}
				res.Upcoming = append(res.Upcoming, u)
			}
			if r.Regressed && r.State == snapshot.Present {
				c.undecided(i, r, "not_yet_again", "the record said that the person is here and now says not yet; nothing was changed",
					"correct the source, or let the record end there", r.Person)
			}
		}
		res.Tables = append(res.Tables, snapshot.NewRecords(c.tables[i]))
	}
	res.Cases = c.cases
	for _, x := range c.byPerson {
		x.New = !w.Known(x.Person)
		res.Candidates = append(res.Candidates, *x)
	}
	slices.SortFunc(res.Candidates, func(a, b Candidate) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	return res
}

// A correlation is a run under way.
type correlation struct {
	World
	tables   [][]snapshot.Record // in the order of sources, each sorted by key
	makes    map[snapshot.Short]people.ID
	had      map[snapshot.Short]people.ID // whose the records were that this run took away
	byPerson map[people.ID]*Candidate
	cases    []people.Case
}

// touch makes a person a candidate.
func (c *correlation) touch(id people.ID, l Link) {
	x := c.byPerson[id]
	if x == nil {
		x = &Candidate{Person: id}
		c.byPerson[id] = x
	}
	x.Links = append(x.Links, l)
}

// withdraw takes back what was told of a source's record of a person.
func (c *correlation) withdraw(id people.ID, source int) {
	x := c.byPerson[id]
	if x == nil {
		return
	}
	if x.Links = slices.DeleteFunc(x.Links, func(l Link) bool { return l.Source == source }); len(x.Links) == 0 {
		delete(c.byPerson, id)
	}
}

func (c *correlation) undecided(i int, r snapshot.Record, kind, reason, resolve string, who ...people.ID) {
	name := ""
	if c.Name != nil {
		if r.Person.IsZero() {
			r.Person = c.had[r.Key]
		}
		name = c.Name(i, r)
	}
	c.cases = append(c.cases, people.Case{Kind: kind, Publisher: c.Sources[i].Publisher, Record: name, People: ids(who...), Reason: reason, Resolve: resolve})
}

// forget drops the records that are not there and belong to nobody any more:
// nothing follows from their absence.
func (c *correlation) forget(i int) {
	c.tables[i] = slices.DeleteFunc(c.tables[i], func(r snapshot.Record) bool { return r.Person.IsZero() && !c.there(i, r.Key) })
}

// advance moves one source's table on: changed, returned and given-up records
// of linked people are told, missing ones get their timers. A record that
// belongs to nobody has no person from here on, and what it would make is in
// c.makes.
func (c *correlation) advance(source int) {
	s := &c.Sources[source]
	table := make([]snapshot.Record, 0, max(s.Prev.Len(), len(s.Seen)))
	defer func() { c.tables[source] = table }()
	tell := func(r snapshot.Record, gone bool) { c.touch(r.Person, Link{Source: source, Record: r, Gone: gone}) }
	if !s.Complete {
		for i := range s.Prev.Len() {
			table = append(table, s.Prev.At(i))
		}
		return
	}
	at := c.Now.Unix()
	absent := func(r snapshot.Record) {
		if _, withheld := slices.BinarySearchFunc(s.Withheld, r.Key, compare); withheld || r.Email != (snapshot.Short{}) && slices.Contains(s.WithheldEmails, r.Email) {
			if r.State == snapshot.Missing { // it is there, only unreadable: the timer stops
				r.State, r.Since, r.Due = snapshot.Present, 0, 0
			}
			r.Offset, r.Length = 0, 0 // what an earlier extract kept is not in this one
			table = append(table, r)
			return
		}
		switch confirmed := at > r.Since && at-r.Since >= int64(s.Policy.Confirm/time.Second); {
		case r.Person.IsZero():
			return // attached to nobody: nothing follows from its absence
		case r.State == snapshot.Gone:
		case r.State == snapshot.Present:
			r.State, r.Since, r.Due = snapshot.Missing, at, 0
		case r.Due == 0 && confirmed && s.Policy.Grace > 0:
			r.Due = at + int64(s.Policy.Grace/time.Second)
		case r.Due != 0 && at >= r.Due, r.Due == 0 && confirmed:
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
		makes, spare := r.Person, r.Spare
		r.Person, r.Spare = people.ID{}, false
		if i < s.Prev.Len() && s.Prev.At(i).Key == r.Key {
			old := s.Prev.At(i)
			i++
			r.State, r.Since, r.Due = snapshot.Present, 0, 0
			r.Person = old.Person
			r.Regressed = r.NotYet && (old.Regressed || !old.NotYet && !old.Person.IsZero())
			if !old.Person.IsZero() && (r.Length > 0 && !spare || old.Hash != r.Hash || old.State == snapshot.Gone) {
				tell(r, false)
			}
		}
		if r.Person.IsZero() && !makes.IsZero() {
			c.makes[r.Key] = makes
		}
		table = append(table, r)
	}
	for ; i < s.Prev.Len(); i++ {
		absent(s.Prev.At(i))
	}
}

func sorted(list []people.ID) []people.ID {
	return slices.SortedFunc(slices.Values(list), func(a, b people.ID) int { return bytes.Compare(a[:], b[:]) })
}

func ids(list ...people.ID) []people.ID {
	return slices.DeleteFunc(list, people.ID.IsZero)
}

func compare(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) }
