package correlate

import (
	"maps"
	"slices"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// lose takes a record from the person to whom it is linked.
func (c *correlation) lose(i, k int) {
	r := &c.tables[i][k]
	c.withdraw(r.Person, i)
	c.touch(r.Person, Link{Source: i, Record: *r, Lost: true})
	c.free(i, k)
}

// free makes a record nobody's. One that is not there is forgotten.
func (c *correlation) free(i, k int) {
	r := &c.tables[i][k]
	c.had[r.Key] = r.Person
	r.Person, r.State, r.Since, r.Due, r.Regressed = people.ID{}, snapshot.Present, 0, 0, false
	if !c.there(i, r.Key) {
		r.State = snapshot.Gone
	}
}

// there reports whether a record is in its source, as far as that was read.
func (c *correlation) there(i int, key snapshot.Short) bool {
	s := &c.Sources[i]
	_, seen := slices.BinarySearchFunc(s.Seen, key, func(x snapshot.Record, key snapshot.Short) int { return compare(x.Key, key) })
	_, withheld := slices.BinarySearchFunc(s.Withheld, key, compare)
	return seen || withheld || !s.Complete
}

// attach gives a record that belongs to nobody to a person.
func (c *correlation) attach(i, k int, id people.ID) {
	r := &c.tables[i][k]
	r.Person = id
	c.touch(id, Link{Source: i, Record: *r, First: true})
}

// owners says which record of a source each person has, by its place in the table.
func (c *correlation) owners(i int) map[people.ID]int {
	m := map[people.ID]int{}
	for k := range c.tables[i] {
		if id := c.tables[i][k].Person; !id.IsZero() {
			m[id] = k
		}
	}
	return m
}

// apart reports whether a human said that the record is not the person's.
func (c *correlation) apart(r snapshot.Record, id people.ID) bool {
	d, ok := c.Decisions[r.Key]
	return ok && d.Apart && d.Person == id
}

const (
	keptApart   = "somebody said that the record is not that person's"
	apartInLDAP = "give the record a uid of its own, or link it (cis link)"
	unlinkFirst = "undo the link of one of them (cis unlink)"
	notRead     = "the record was not read this time"
)

// decide carries out what humans said about records: what is to be taken away
// first, so that its place is free, and what goes from one to another when the
// place that it goes to has become free. Two who should change places stay: the
// vault writes one person at a time, and neither could be the first.
func (c *correlation) decide() {
	type move struct {
		source, at int // in the source's table
		to         people.ID
	}
	var moves []move
	for _, key := range slices.SortedFunc(maps.Keys(c.Decisions), compare) {
		d := c.Decisions[key]
		for i := range c.tables {
			k, found := slices.BinarySearchFunc(c.tables[i], key, func(r snapshot.Record, key snapshot.Short) int { return compare(r.Key, key) })
			if !found {
				continue
			}
			r := c.tables[i][k]
			switch {
			case d.Apart:
				if r.Person == d.Person {
					c.lose(i, k)
				}
			case r.Person == d.Person || r.State != snapshot.Present:
			case r.Length == 0: // the link waits for the record to be read
			case !c.Known(d.Person):
				c.undecided(i, r, "link", "the record was linked by hand to somebody who is not in the vault", "link it to somebody else, or undo the link (cis unlink)")
			default:
				moves = append(moves, move{i, k, d.Person})
			}
		}
	}
	for before := len(moves) + 1; len(moves) < before; {
		before = len(moves)
		moves = slices.DeleteFunc(moves, func(m move) bool {
			if _, taken := c.owners(m.source)[m.to]; taken {
				return false
			}
			if !c.tables[m.source][m.at].Person.IsZero() {
				c.lose(m.source, m.at)
			}
			c.attach(m.source, m.at, m.to)
			return true
		})
	}
	for _, m := range moves {
		c.undecided(m.source, c.tables[m.source][m.at], "link", "the record was linked by hand to a person who has another record of the source", unlinkFirst, m.to)
	}
}

// anchor places the LDAP records that belong to nobody yet.
func (c *correlation) anchor(i int) {
	s, table := &c.Sources[i], c.tables[i]
	for _, r := range table {
		if was := c.had[r.Key]; r.Person.IsZero() && r.State == snapshot.Present && !was.IsZero() { // a human took it away; whom it would make is asked from the next run on
			c.undecided(i, r, "kept_apart", keptApart, apartInLDAP, was)
		}
	}
	if !s.Complete {
		return
	}
	linked := c.owners(i)
	holders := map[snapshot.Short]int{}
	for k := range table {
		if table[k].State == snapshot.Present { // of one that is missing the uid may be recycled
			holders[table[k].UserID]++
		}
	}
	const giveEach = "give each record a uid of its own"
	for k := range table {
		r := &table[k]
		if r.State != snapshot.Present {
			continue
		}
		old, known := s.Prev.Find(r.Key)
		if !r.Person.IsZero() {
			if known && r.Person == old.Person && r.UserID != old.UserID && holders[r.UserID] > 1 {
				c.undecided(i, *r, "shared_user_id", "the record took a uid that another record of the source has as well; nothing of it was used", giveEach, r.Person)
				c.withdraw(r.Person, i)
				if old.State == snapshot.Missing {
					old.State, old.Since, old.Due = snapshot.Present, 0, 0
				}
				*r = old // so that the next run looks again
			}
			continue
		}
		id := c.makes[r.Key]
		if id.IsZero() || r.Length == 0 {
			continue
		}
		h, held := c.Holders[r.Key]
		if held {
			id = h.Person
		}
		_, taken := linked[id]
		switch {
		case holders[r.UserID] > 1:
			c.undecided(i, *r, "shared_user_id", "several records of the source have the same uid; none of the new ones was used", giveEach, h.Person)
		case c.apart(*r, id):
			c.undecided(i, *r, "kept_apart", keptApart, apartInLDAP, id)
		case held && (taken || h.Former), !held && c.Known(id):
			c.undecided(i, *r, "recycled_user_id", "a new record has the uid of somebody who has another record, or who had that uid formerly",
				"say whether it is the same person (cis link), or give the record a uid of its own", id)
		default:
			linked[id] = k
			c.attach(i, k, id)
		}
	}
}

// userIDs are the user ids of a source's records.
type userIDs struct {
	of       map[people.ID]snapshot.Short // of whom a record is, there or not
	who      map[snapshot.Short]people.ID // whose record, the only one, is there
	anybodys map[snapshot.Short]bool      // any record that is there has it, be it somebody's or not
}

func (c *correlation) userIDs(p people.Publisher) userIDs {
	u := userIDs{map[people.ID]snapshot.Short{}, map[snapshot.Short]people.ID{}, map[snapshot.Short]bool{}}
	several := map[snapshot.Short]bool{}
	for i := range c.Sources {
		if c.Sources[i].Publisher != p {
			continue
		}
		for _, r := range c.tables[i] {
			if r.UserID == (snapshot.Short{}) {
				continue
			}
			if !r.Person.IsZero() {
				u.of[r.Person] = r.UserID
			}
			if r.State != snapshot.Present {
				continue // it may be recycled
			}
			u.anybodys[r.UserID] = true
			if !r.Person.IsZero() {
				_, another := u.who[r.UserID]
				several[r.UserID] = several[r.UserID] || another
				u.who[r.UserID] = r.Person
			}
		}
	}
	maps.DeleteFunc(u.who, func(id snapshot.Short, _ people.ID) bool { return several[id] })
	return u
}

// logins places the records whose id is the user_id: those of the access
// provider, which make people, and those of the people directory, which do not.
func (c *correlation) logins(i int) {
	s, table := &c.Sources[i], c.tables[i]
	if Anchor(s.Publisher) && !s.Complete {
		return // what it would make is not known
	}
	var changed []int // linked records that say something new
	for _, x := range c.byPerson {
		for _, l := range x.Links {
			if k, found := slices.BinarySearchFunc(table, l.Record.Key, func(r snapshot.Record, key snapshot.Short) int { return compare(r.Key, key) }); l.Source == i && found && table[k].Person == x.Person {
				changed = append(changed, k)
			}
		}
	}
	if len(changed) == 0 && !slices.ContainsFunc(table, func(r snapshot.Record) bool { return r.Person.IsZero() }) {
		return
	}
	inLDAP := c.userIDs(people.LDAP)
	// A login that the person had formerly goes when it says something new and
	// LDAP has given its user_id to another record: it is that one's login now.
	for _, k := range changed {
		r := table[k]
		old, _ := s.Prev.Find(r.Key)
		d, decided := c.Decisions[r.Key]
		if now, ok := inLDAP.of[r.Person]; ok && now != r.UserID && inLDAP.anybodys[r.UserID] && r.State == snapshot.Present && old.Hash != r.Hash && !(decided && d.Person == r.Person) {
			c.lose(i, k)
		}
	}
	waiting := map[snapshot.Short]people.ID{} // whose the user ids are that are looked for
	look := func() {
		for _, r := range table {
			if r.Person.IsZero() && r.State == snapshot.Present {
				waiting[r.UserID] = people.ID{}
			}
		}
		if len(waiting) == 0 {
			return
		}
		for n := range c.Rows.Len() {
			r := c.Rows.At(n)
			if _, wanted := waiting[r.UserID]; wanted {
				waiting[r.UserID] = r.ID
			}
		}
	}
	if look(); len(waiting) == 0 {
		return
	}
	var inLogins userIDs
	if s.Publisher != people.AccessProvider {
		inLogins = c.userIDs(people.AccessProvider)
	}
	// unknown reports whether it waits for LDAP to say whose login it is.
	unknown := func(r snapshot.Record, h Holder, held bool) bool {
		_, ok := inLDAP.who[r.UserID]
		return inLDAP.anybodys[r.UserID] && !ok && (!held || h.Former)
	}
	holder := func(r snapshot.Record) (h Holder, held bool) {
		if id, ok := inLDAP.who[r.UserID]; ok {
			return Holder{Person: id}, true
		}
		if id := waiting[r.UserID]; !id.IsZero() {
			h, held = Holder{Person: id}, true
		} else if id, ok := inLogins.who[r.UserID]; ok {
			h, held = Holder{Person: id}, true
		} else if h, held = c.Holders[r.Key]; !held {
			if id := c.makes[r.Key]; c.Known(id) { // the first user_id that the person had
				h, held = Holder{id, true}, true
			}
		}
		now, known := inLDAP.of[h.Person]
		if !known {
			now, known = inLogins.of[h.Person]
		}
		h.Former = h.Former || known && now != r.UserID
		return h, held
	}
	linked := c.owners(i)
	// Records with the current user_id come first: the others get what is left. One
	// that takes an earlier one's place may set free the current one of somebody
	// else, wherever in the table, who gets it in the same run.
	for former, again := false, false; ; {
		again = false
		for k := range table {
			r := &table[k]
			if !r.Person.IsZero() || r.State != snapshot.Present {
				continue
			}
			h, held := holder(*r)
			if held && h.Former != former || !held && former || unknown(*r, h, held) {
				continue
			}
			was := c.had[r.Key]
			if r.Length == 0 && (was.IsZero() || !held || c.Recall == nil) {
				continue
			}
			if !held {
				if id := c.makes[r.Key]; !id.IsZero() && !c.apart(*r, id) && !c.Waits[r.Key] {
					linked[id] = k
					c.attach(i, k, id)
				}
				continue
			}
			if c.apart(*r, h.Person) {
				continue
			}
			other, taken := linked[h.Person]
			if taken {
				if d, ok := c.Decisions[table[other].Key]; former && table[other].State == snapshot.Present || ok && !d.Apart || was == h.Person {
					continue
				}
			}
			if r.Length == 0 && !c.Recall(i, *r, was) {
				continue
			}
			if taken {
				c.withdraw(h.Person, i) // its place is taken
				c.free(i, other)
				again = true
			}
			linked[h.Person] = k
			c.attach(i, k, h.Person)
		}
		if again {
			look()
		} else if former {
			break
		} else {
			former = true
		}
	}
	for k := range table {
		r := table[k]
		if !r.Person.IsZero() || r.State != snapshot.Present {
			continue
		}
		h, held := holder(r)
		waits := unknown(r, h, held)
		if id := c.had[r.Key]; !id.IsZero() {
			h, held = Holder{id, true}, true
		}
		switch {
		case waits && !c.apart(r, h.Person):
			c.undecided(i, r, "unattached", "the LDAP record that has the login is a case itself", "decide that case first", ids(h.Person)...)
		case !held && c.Waits[r.Key]:
			c.undecided(i, r, "unattached", "nobody has or had the login, and LDAP, which may have renamed somebody, was not read", "nothing: the next run that reads LDAP places it")
		case held && c.apart(r, h.Person):
			c.undecided(i, r, "kept_apart", keptApart, "nothing, or link it to somebody else (cis link)", h.Person)
		case held:
			c.undecided(i, r, "second_login", "the record is of a login that the person had formerly, and has the record of another one", "remove the earlier login in the source", h.Person)
		case r.Length == 0:
			c.undecided(i, r, "unattached", notRead, "nothing: the next run reads it")
		default:
			c.undecided(i, r, "unattached", "nobody has or had the login", "nothing, if the person is about to arrive; else correct the login, or link the record (cis link)")
		}
	}
}

// firstLink attaches HRIS records that belong to nobody yet.
func (c *correlation) firstLink(i int) {
	table := c.tables[i]
	inHRIS := map[snapshot.Short]int{} // mail -> current records
	linked := map[people.ID]bool{}
	waiting := false
	for k := range table {
		r := &table[k]
		if r.State != snapshot.Gone && r.Email != (snapshot.Short{}) {
			inHRIS[r.Email]++
		}
		if r.Person.IsZero() {
			waiting = true
		} else {
			linked[r.Person] = true
		}
	}
	if !waiting {
		return
	}
	type owner struct {
		n   int
		who []people.ID
	}
	others, what := people.LDAP, "LDAP record"
	if !slices.ContainsFunc(c.Sources, func(s Source) bool { return s.Publisher == people.LDAP }) {
		others, what = people.AccessProvider, "login"
	}
	byMail := map[snapshot.Short]owner{}
	for j := range c.Sources {
		if c.Sources[j].Publisher != others {
			continue
		}
		for _, r := range c.tables[j] {
			if r.State != snapshot.Gone && r.Email != (snapshot.Short{}) {
				o := byMail[r.Email]
				byMail[r.Email] = owner{o.n + 1, append(o.who, ids(r.Person)...)}
			}
		}
	}
	for k := range table {
		r := &table[k]
		if !r.Person.IsZero() || r.NotYet || r.State == snapshot.Gone {
			continue
		}
		o := byMail[r.Email]
		reason, resolve := "", "nothing, if they are about to arrive; else correct the mail in one of the sources, or link the record (cis link)"
		switch {
		case r.Email == (snapshot.Short{}):
			reason = "the record has no work mail, and is linked to nobody"
		case inHRIS[r.Email] > 1:
			reason = "several HRIS records have the same work mail"
		case o.n == 0:
			reason = "no " + what + " has the work mail"
		case o.n > 1:
			reason = "several " + what + "s have the work mail"
		case r.Length == 0:
			reason = notRead
		case len(o.who) == 0:
			reason = "the " + what + " with the work mail is a case itself"
		case c.apart(*r, o.who[0]):
			reason = keptApart
		case linked[o.who[0]]:
			reason = "the person with the work mail is linked to another HRIS record"
			resolve = "say whether the person was hired again under another employee id: undo the earlier link (cis unlink), then link this record (cis link)"
		}
		if reason != "" {
			c.undecided(i, *r, "unattached", reason, resolve, sorted(o.who)...)
			continue
		}
		linked[o.who[0]] = true
		c.attach(i, k, o.who[0])
	}
}

// accounts lets GitHub accounts follow the identities that name them.
func (c *correlation) accounts(i int) {
	names := map[people.ID]snapshot.Short{}
	for n := range c.Rows.Len() {
		if r := c.Rows.At(n); r.GitHub != (snapshot.Short{}) {
			names[r.ID] = r.GitHub
		}
	}
	for j, s := range c.Sources {
		for _, r := range c.tables[j] {
			if r.Person.IsZero() || !r.SaysGitHub || r.State == snapshot.Gone {
				continue
			}
			_, said := names[r.Person]
			switch {
			case s.Publisher == people.Directory: // the updater
				names[r.Person] = r.GitHub
			case s.Publisher == people.AccessProvider && !said && r.GitHub != (snapshot.Short{}):
				names[r.Person] = r.GitHub
			}
		}
	}
	whose := map[snapshot.Short][]people.ID{}
	for id, key := range names {
		if key != (snapshot.Short{}) {
			whose[key] = append(whose[key], id)
		}
	}
	inactive := func(id people.ID) bool { r, ok := c.Rows.Find(id); return ok && !r.Active }
	for key, who := range whose { // somebody who came in by another login before may still name it
		if here := slices.DeleteFunc(slices.Clone(who), inactive); len(here) == 1 {
			whose[key] = here
		}
	}
	table := c.tables[i]
	for k := range table {
		r := table[k]
		d, decided := c.Decisions[r.Key]
		if r.Person.IsZero() || decided && !d.Apart {
			continue
		}
		if who := whose[r.Key]; !slices.Contains(who, r.Person) {
			c.lose(i, k)
		}
	}
	linked := c.owners(i)
	for k := range table {
		r := table[k]
		if !r.Person.IsZero() || r.State != snapshot.Present {
			continue
		}
		was := c.had[r.Key]
		who := sorted(whose[r.Key])
		resolve := "nothing, if it is nobody's who is known here; else let the person link the account in the people directory, or link it (cis link)"
		if len(who) > 0 {
			resolve = unlinkFirst
		}
		reason := ""
		switch {
		case len(who) == 0:
			reason = "no profile has the verified account"
		case len(who) > 1:
			reason = "several profiles have the same verified account"
		case c.apart(r, who[0]):
			reason, resolve = keptApart, "nothing, or link it to somebody else (cis link)"
		case r.Length == 0 && (was.IsZero() || c.Recall == nil || !c.Recall(i, r, was)):
			reason, resolve = notRead, "nothing: the next run reads it"
		}
		if _, taken := linked[append(who, people.ID{})[0]]; reason == "" && taken {
			reason = "the person is linked to another account by hand"
		}
		if reason != "" {
			c.undecided(i, r, "unattached", reason, resolve, who...)
			continue
		}
		linked[who[0]] = k
		c.attach(i, k, who[0])
	}
}
