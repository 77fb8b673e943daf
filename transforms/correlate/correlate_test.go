package correlate_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// A row is one record as a source shows it on one day. Record is the LDAP
// entryUUID or the HRIS employee id; form is anything else it says.
type row struct {
	record, uid, mail, form string
	notYet                  bool
	bad                     bool // it is there and cannot be read
}

// kept is a table as the next run finds it: what records said stands in the
// evidence of whoever has them, and waits only if nobody has.
func kept(t snapshot.Records) snapshot.Records {
	var next []snapshot.Record
	for i := range t.Len() {
		r := t.At(i)
		if !r.Person.IsZero() {
			r.Offset, r.Length = 0, 0
		}
		next = append(next, r)
	}
	return snapshot.NewRecords(next)
}

// entry is an LDAP record, worker an HRIS one.
func entry(record, uid string) row { return row{record: record, uid: uid, mail: uid + "@example.org"} }
func worker(record, mail string) row {
	return row{record: record, mail: mail + "@example.org"}
}
func (r row) says(form string) row { r.form = form; return r }
func (r row) later() row           { r.notYet = true; return r }
func (r row) unreadable() row      { r.bad = true; return r }
func (r row) mailed(m string) row  { r.mail = m; return r }
func (r row) called(uid string) row {
	r.uid = uid
	return r
}

func digest(s ...string) snapshot.Digest { return sha256.Sum256([]byte(strings.Join(s, "\x00"))) }
func short(s ...string) snapshot.Short {
	d := digest(s...)
	return snapshot.Short(d[:16])
}
func idOf(uid string) people.ID { d := digest("id", uid); return people.ID(d[:16]) }

// company is the world between runs, with the vault cut down to who holds
// which user id.
type company struct {
	names   map[people.ID]string // for what a test expects
	records map[snapshot.Short]string
	holders map[string]people.ID // uid -> who has it now
	vault   map[people.ID]bool
	tables  map[people.Publisher]snapshot.Records
	// reverse gives the sources and their rows in the other order.
	reverse bool
}

func newCompany() *company {
	return &company{names: map[people.ID]string{}, records: map[snapshot.Short]string{}, holders: map[string]people.ID{}, vault: map[people.ID]bool{},
		tables: map[people.Publisher]snapshot.Records{}}
}

// imported are people who are in the vault and of whom no record is known.
func (c *company) imported(uids ...string) {
	for _, uid := range uids {
		c.names[idOf(uid)], c.holders[uid], c.vault[idOf(uid)] = uid, idOf(uid), true
	}
}

const hour = time.Hour

var policies = map[people.Publisher]correlate.Policy{
	people.LDAP: {Confirm: 24 * hour, Grace: 72 * hour},
	people.HRIS: {Confirm: 24 * hour, Grace: 24 * hour},
}

// extract is what a run read of one source; nil rows are one that was not
// read whole.
func (c *company) source(p people.Publisher, rows []row, badMails []string) correlate.Source {
	s := correlate.Source{Name: string(p), Publisher: p, Policy: policies[p], Prev: c.tables[p], Complete: rows != nil}
	if c.reverse {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	for _, r := range rows {
		key := short(string(p), r.record)
		c.records[key] = string(p) + " " + r.record
		if r.bad {
			s.Withheld = append(s.Withheld, key)
			continue
		}
		x := snapshot.Record{Key: key, Hash: digest(r.record, r.uid, r.mail, r.form, fmt.Sprint(r.notYet)), NotYet: r.notYet}
		if r.uid != "" {
			x.UserID = short("uid", r.uid)
		}
		if r.mail != "" {
			x.Email = short("mail", r.mail)
		}
		old, known := s.Prev.Find(key)
		if !known || old.Person.IsZero() || old.Hash != x.Hash || old.State == snapshot.Gone {
			x.Offset, x.Length = 7, 1
		}
		if correlate.Anchor(p) && (!known || old.Person.IsZero()) {
			x.Person = idOf(r.uid)
			if c.names[x.Person] == "" {
				c.names[x.Person] = r.uid
			}
		}
		s.Seen = append(s.Seen, x)
	}
	for _, m := range badMails {
		s.WithheldEmails = append(s.WithheldEmails, short("mail", m))
	}
	slices.SortFunc(s.Seen, func(a, b snapshot.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	slices.SortFunc(s.Withheld, func(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) })
	return s
}

// day is one run.
type day struct {
	at         time.Duration // since the beginning
	ldap, hris []row
	badMails   []string // of HRIS rows without a readable employee id
}

var dawn = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// run correlates one day and takes its result over, as the pipeline does.
func (c *company) run(d day) (correlate.Result, []correlate.Source) {
	w := correlate.World{Now: dawn.Add(d.at), Holders: map[snapshot.Short]correlate.Holder{}, Known: func(id people.ID) bool { return c.vault[id] },
		Name: func(_ int, r snapshot.Record) string { return c.records[r.Key] }}
	w.Sources = []correlate.Source{c.source(people.LDAP, d.ldap, nil), c.source(people.HRIS, d.hris, d.badMails)}
	if c.reverse {
		slices.Reverse(w.Sources)
	}
	uids := map[snapshot.Short]string{}
	for _, r := range d.ldap {
		uids[short("ldap", r.record)] = r.uid
		if id, ok := c.holders[r.uid]; ok {
			w.Holders[short("ldap", r.record)] = correlate.Holder{Person: id}
		}
	}
	res := correlate.Run(w)
	for i, s := range w.Sources {
		c.tables[s.Publisher] = kept(res.Tables[i])
	}
	for _, x := range res.Candidates {
		c.vault[x.Person] = true
		for _, l := range x.Links {
			if uid := uids[l.Record.Key]; uid != "" {
				for other, id := range c.holders {
					if id == x.Person {
						delete(c.holders, other)
					}
				}
				c.holders[uid] = x.Person
			}
		}
	}
	return res, w.Sources
}

// tell says in lines, sorted, what a run concluded.
func (c *company) tell(res correlate.Result, sources []correlate.Source) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, x := range res.Candidates {
		who := c.names[x.Person]
		if x.New {
			add("%s is new", who)
		}
		for _, l := range x.Links {
			what := "changed"
			if l.First {
				what = "linked"
			}
			if l.Gone {
				what = "given up"
			}
			add("%s: %s %s", who, c.records[l.Record.Key], what)
		}
	}
	for _, k := range res.Cases {
		var who []string
		for _, id := range k.People {
			who = append(who, c.names[id])
		}
		add("case: %s %s %v: %s", k.Kind, k.Record, who, k.Reason)
	}
	for _, u := range res.Upcoming {
		due := ""
		if !u.Due.IsZero() {
			due = " until " + u.Due.Format("2 15h")
		}
		add("%s: %s missing since %s%s", c.names[u.Person], u.Source, u.Since.Format("2 15h"), due)
	}
	slices.Sort(lines)
	return lines
}

// links says who each record is linked to.
func (c *company) links() map[string]string {
	m := map[string]string{}
	for _, t := range c.tables {
		for i := range t.Len() {
			if r := t.At(i); !r.Person.IsZero() {
				m[c.records[r.Key]] = c.names[r.Person]
			}
		}
	}
	return m
}

type told struct {
	day
	want []string
}

// story runs the days and compares what each concludes. Both orders of
// sources and rows must tell the same.
func story(t *testing.T, begin func(*company), days ...told) {
	t.Helper()
	for _, reverse := range []bool{false, true} {
		c := newCompany()
		c.reverse = reverse
		if begin != nil {
			begin(c)
		}
		for n, d := range days {
			got := c.tell(c.run(d.day))
			want := slices.Sorted(slices.Values(d.want))
			if !slices.EqualFunc(got, want, strings.HasPrefix) {
				t.Errorf("run %d (at %v, reversed %v):\n  got  %s\n  want %s", n+1, d.at, reverse, strings.Join(got, "\n       "), strings.Join(want, "\n       "))
			}
		}
	}
}

func TestJoiner(t *testing.T) {
	story(t, nil,
		told{day{0, []row{entry("e1", "ada")}, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked"}},
		told{day{1 * hour, []row{entry("e1", "ada")}, []row{}, nil}, nil},
		told{day{2 * hour, []row{entry("e1", "ada").says("new title")}, []row{}, nil}, []string{"ada: ldap e1 changed"}},
	)
}

func TestJoinerInBothSourcesAtOnce(t *testing.T) {
	story(t, nil, told{day{0, []row{entry("e1", "ada")}, []row{worker("7", "ada")}, nil}, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked"}})
}

// Everything but the immutable id of a known record may change.
func TestKnownRecordIsNeverLinkedAnew(t *testing.T) {
	story(t, nil,
		told{day{0, []row{entry("e1", "ada"), entry("e2", "eve")}, []row{worker("7", "ada"), worker("8", "eve")}, nil},
			[]string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked", "eve is new", "eve: ldap e2 linked", "eve: hris 8 linked"}},
		// Ada and Eve swap uids and mails in LDAP, and HRIS swaps only the mails.
		told{day{1 * hour, []row{entry("e1", "eve"), entry("e2", "ada")}, []row{worker("7", "eve"), worker("8", "ada")}, nil},
			[]string{"ada: ldap e1 changed", "ada: hris 7 changed", "eve: ldap e2 changed", "eve: hris 8 changed"}},
	)
}

func TestTwoRecordsOneUID(t *testing.T) {
	t.Run("both new: nobody is made", func(t *testing.T) {
		story(t, nil,
			told{day{0, []row{entry("e1", "ada"), entry("e2", "ada")}, []row{}, nil},
				[]string{"case: shared_user_id ldap e1 []", "case: shared_user_id ldap e2 []"}},
			told{day{1 * hour, []row{entry("e1", "ada"), entry("e2", "ada")}, []row{}, nil},
				[]string{"case: shared_user_id ldap e1 []", "case: shared_user_id ldap e2 []"}},
			// Corrected, both are placed.
			told{day{2 * hour, []row{entry("e1", "ada"), entry("e2", "eve")}, []row{}, nil},
				[]string{"ada is new", "ada: ldap e1 linked", "eve is new", "eve: ldap e2 linked"}})
	})
	t.Run("beside a known one: the known one stays as it is", func(t *testing.T) {
		story(t, nil,
			told{day{0, []row{entry("e1", "ada")}, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked"}},
			told{day{1 * hour, []row{entry("e1", "ada").says("title"), entry("e2", "ada")}, []row{}, nil},
				[]string{"ada: ldap e1 changed", "case: shared_user_id ldap e2 [ada]"}})
	})
}

// Which of two would get a uid that a third gives up must not depend on who
// is written first: neither does, until the source says whose it is.
func TestTwoKnownRecordsTakeOneUID(t *testing.T) {
	story(t, nil,
		told{day{0, []row{entry("e1", "ada"), entry("e2", "eve"), entry("e3", "joe")}, []row{}, nil},
			[]string{"ada is new", "ada: ldap e1 linked", "eve is new", "eve: ldap e2 linked", "joe is new", "joe: ldap e3 linked"}},
		told{day{1 * hour, []row{entry("e1", "lovelace"), entry("e2", "ada"), entry("e3", "ada")}, []row{}, nil},
			[]string{"ada: ldap e1 changed", "case: shared_user_id ldap e2 [eve]", "case: shared_user_id ldap e3 [joe]"}},
		told{day{2 * hour, []row{entry("e1", "lovelace"), entry("e2", "ada"), entry("e3", "ada")}, []row{}, nil},
			[]string{"case: shared_user_id ldap e2 [eve]", "case: shared_user_id ldap e3 [joe]"}},
		told{day{3 * hour, []row{entry("e1", "lovelace"), entry("e2", "ada"), entry("e3", "joe").says("title")}, []row{}, nil},
			[]string{"eve: ldap e2 changed", "joe: ldap e3 changed"}})
}

func TestRecycledUID(t *testing.T) {
	const reason = "case: recycled_user_id ldap e2 [ada]"
	t.Run("of somebody who just left", func(t *testing.T) {
		story(t, nil,
			told{day{0, []row{entry("e1", "ada")}, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked"}},
			told{day{24 * hour, []row{entry("e2", "ada")}, []row{}, nil}, []string{reason, "ada: ldap missing since 3 08h"}},
			told{day{48 * hour, []row{entry("e2", "ada")}, []row{}, nil}, []string{reason, "ada: ldap missing since 3 08h until 7 08h"}},
			told{day{120 * hour, []row{entry("e2", "ada")}, []row{}, nil}, []string{reason, "ada: ldap e1 given up"}},
			// And it stays one, however long ago it was.
			told{day{2000 * hour, []row{entry("e2", "ada")}, []row{}, nil}, []string{reason}})
	})
	t.Run("of somebody imported without a record: that is their record", func(t *testing.T) {
		story(t, func(c *company) { c.imported("ada") },
			told{day{0, []row{entry("e1", "ada")}, []row{}, nil}, []string{"ada: ldap e1 linked"}},
			told{day{1 * hour, []row{entry("e1", "ada")}, []row{}, nil}, nil})
	})
	t.Run("of somebody imported, by two records", func(t *testing.T) {
		story(t, func(c *company) { c.imported("ada") },
			told{day{0, []row{entry("e1", "ada"), entry("e2", "ada")}, []row{}, nil},
				[]string{"case: shared_user_id ldap e1 [ada]", "case: shared_user_id ldap e2 [ada]"}})
	})
	t.Run("that somebody had before they were renamed", func(t *testing.T) {
		story(t, nil,
			told{day{0, []row{entry("e1", "ada")}, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked"}},
			told{day{1 * hour, []row{entry("e1", "lovelace")}, []row{}, nil}, []string{"ada: ldap e1 changed"}},
			told{day{2 * hour, []row{entry("e1", "lovelace"), entry("e2", "ada")}, []row{}, nil}, []string{reason}})
	})
	t.Run("that somebody imported had before they were renamed", func(t *testing.T) {
		story(t, func(c *company) {
			c.imported("ada")
			c.holders["lovelace"] = c.holders["ada"]
			delete(c.holders, "ada")
		},
			told{day{0, []row{entry("e1", "lovelace"), entry("e2", "ada")}, []row{}, nil}, []string{"ada: ldap e1 linked", reason}})
	})
	t.Run("while LDAP cannot be read whole nothing is decided", func(t *testing.T) {
		story(t, func(c *company) { c.imported("ada") }, told{day{0, nil, []row{}, nil}, nil})
	})
}

func TestHRISFirstLink(t *testing.T) {
	ada, eve := entry("e1", "ada"), entry("e2", "eve")
	known := told{day{0, []row{ada, eve}, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked", "eve is new", "eve: ldap e2 linked"}}
	unattached := func(record, who, reason string) string {
		return fmt.Sprintf("case: unattached hris %s [%s]: %s", record, who, reason)
	}
	for _, c := range []struct {
		name string
		ldap []row
		hris []row
		want []string
	}{
		{"by the work mail", []row{ada, eve}, []row{worker("7", "ada")}, []string{"ada: hris 7 linked"}},
		{"the mail is that of two HRIS records", []row{ada, eve}, []row{worker("7", "ada"), worker("8", "ada")},
			[]string{unattached("7", "ada", "several HRIS"), unattached("8", "ada", "several HRIS")}},
		{"one of which is not yet here", []row{ada, eve}, []row{worker("7", "ada"), worker("8", "ada").later()}, []string{unattached("7", "ada", "several HRIS")}},
		{"the mail is in no LDAP record", []row{ada, eve}, []row{worker("7", "mallory")}, []string{unattached("7", "", "no LDAP")}},
		{"the record has no mail", []row{ada, eve}, []row{worker("7", "").mailed("")}, []string{unattached("7", "", "the record has no work mail")}},
		{"the mail is that of two LDAP records", []row{ada, eve.mailed("ada@example.org")}, []row{worker("7", "ada")},
			[]string{"eve: ldap e2 changed", "case: unattached hris 7"}},
		{"one of which is missing since today", []row{ada, entry("e3", "bob").mailed("eve@example.org")}, []row{worker("7", "eve")},
			[]string{"bob is new", "bob: ldap e3 linked", "eve: ldap missing since 2 09h", "case: unattached hris 7"}},
		{"the LDAP record is a case", []row{ada, eve, entry("e3", "bob"), entry("e4", "bob").mailed("b@example.org")}, []row{worker("7", "bob")},
			[]string{"case: shared_user_id ldap e3", "case: shared_user_id ldap e4", unattached("7", "", "the LDAP record with the work mail is a case")}},
		{"not yet here: nothing, and no case", []row{ada, eve}, []row{worker("7", "ada").later()}, nil},
		{"never by name or through a third record", []row{ada, eve}, []row{worker("7", "ada.lovelace").says("Ada")}, []string{unattached("7", "", "no LDAP")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, nil, known, told{day{1 * hour, c.ldap, c.hris, nil}, c.want})
		})
	}
}

// Once linked, a person has one employee id: the mail means nothing any more.
func TestHRISSecondRecordOfOnePerson(t *testing.T) {
	ldap := []row{entry("e1", "ada")}
	const again = "case: unattached hris 8 [ada]: the person with the work mail is linked to another HRIS record"
	story(t, nil,
		told{day{0, ldap, []row{worker("7", "ada")}, nil}, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked"}},
		told{day{24 * hour, ldap, []row{worker("7", "former"), worker("8", "ada")}, nil}, []string{"ada: hris 7 changed", again}},
		told{day{48 * hour, ldap, []row{worker("8", "ada")}, nil}, []string{"ada: hris missing since 4 08h", again}},
		told{day{72 * hour, ldap, []row{worker("8", "ada")}, nil}, []string{"ada: hris missing since 4 08h until 6 08h", again}},
		// Also after the first one was given up: hired again is for a human to say.
		told{day{96 * hour, ldap, []row{worker("8", "ada")}, nil}, []string{"ada: hris 7 given up", again}},
		told{day{99 * hour, ldap, []row{worker("8", "ada")}, nil}, []string{again}},
	)
}

// An HRIS row comes before the LDAP record: it waits, and is linked when that
// comes, also on a day on which HRIS cannot be read.
func TestHRISRowWaits(t *testing.T) {
	const waiting = "case: unattached hris 7 []: no LDAP record"
	for _, c := range []struct {
		name string
		hris []row
		want []string
	}{
		{"HRIS is read", []row{worker("7", "ada")}, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked"}},
		{"HRIS is not read whole", nil, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked"}},
		{"the row cannot be read", []row{worker("7", "ada").unreadable()}, []string{"ada is new", "ada: ldap e1 linked", "case: unattached hris 7 [ada]: the record was not read this time"}},
		{"the row is gone again", []row{}, []string{"ada is new", "ada: ldap e1 linked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, nil,
				told{day{0, []row{}, []row{worker("7", "ada")}, nil}, []string{waiting}},
				told{day{1 * hour, []row{}, nil, nil}, []string{waiting}},
				told{day{2 * hour, []row{entry("e1", "ada")}, c.hris, nil}, c.want})
		})
	}
}

func TestHRISNotYet(t *testing.T) {
	ldap := []row{entry("e1", "ada")}
	linked := told{day{0, ldap, []row{worker("7", "ada")}, nil}, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked"}}
	const again = "case: not_yet_again hris 7 [ada]"
	t.Run("it counts as present", func(t *testing.T) {
		story(t, nil,
			told{day{0, ldap, []row{worker("7", "ada").later()}, nil}, []string{"ada is new", "ada: ldap e1 linked"}},
			told{day{48 * hour, ldap, []row{worker("7", "ada").later()}, nil}, nil},
			told{day{96 * hour, ldap, []row{worker("7", "ada")}, nil}, []string{"ada: hris 7 linked"}})
	})
	t.Run("0 after 1 is a case until it is 1 again, and ends nothing", func(t *testing.T) {
		story(t, nil, linked,
			told{day{24 * hour, ldap, []row{worker("7", "ada").later()}, nil}, []string{again, "ada: hris 7 changed"}},
			told{day{120 * hour, ldap, []row{worker("7", "ada").later()}, nil}, []string{again}},
			told{day{144 * hour, ldap, nil, nil}, []string{again}},
			told{day{168 * hour, ldap, []row{worker("7", "ada").later().says("team")}, nil}, []string{again, "ada: hris 7 changed"}},
			told{day{192 * hour, ldap, []row{worker("7", "ada")}, nil}, []string{"ada: hris 7 changed"}},
			told{day{216 * hour, ldap, []row{worker("7", "ada")}, nil}, nil})
	})
	t.Run("it stops the timer of an absence", func(t *testing.T) {
		story(t, nil, linked,
			told{day{24 * hour, ldap, []row{}, nil}, []string{"ada: hris missing since 3 08h"}},
			told{day{48 * hour, ldap, []row{worker("7", "ada").later()}, nil}, []string{again, "ada: hris 7 changed"}},
			told{day{96 * hour, ldap, []row{}, nil}, []string{"ada: hris missing since 6 08h"}})
	})
}

func TestAbsence(t *testing.T) {
	here := []row{entry("e1", "ada"), entry("e2", "eve")}
	left := []row{entry("e2", "eve")}
	joined := told{day{0, here, []row{}, nil}, []string{"ada is new", "ada: ldap e1 linked", "eve is new", "eve: ldap e2 linked"}}
	ldap := func(at time.Duration, rows []row, want ...string) told {
		return told{day{at, rows, []row{}, nil}, want}
	}
	const (
		missing = "ada: ldap missing since 3 08h"
		due     = "ada: ldap missing since 3 08h until 7 08h"
		gone    = "ada: ldap e1 given up"
	)
	for _, c := range []struct {
		name string
		days []told
	}{
		{"two complete extracts, then the grace", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour, left, gone), ldap(144*hour, left)}},
		{"a day must be between the two", []told{ldap(24*hour, left, missing), ldap(48*hour-time.Second, left, missing), ldap(48*hour, left, due)}},
		{"the grace must be over", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour-time.Second, left, due), ldap(120*hour, left, gone)}},
		{"a late confirmation moves the grace", []told{ldap(24*hour, left, missing), ldap(72*hour, left, "ada: ldap missing since 3 08h until 8 08h"), ldap(120*hour, left, "ada: ldap missing since 3 08h until 8 08h")}},
		{"incomplete extracts confirm nothing and end nothing", []told{ldap(24*hour, left, missing), ldap(72*hour, nil, missing), ldap(96*hour, left, "ada: ldap missing since 3 08h until 9 08h"),
			ldap(240*hour, nil, "ada: ldap missing since 3 08h until 9 08h"), ldap(241*hour, left, gone)}},
		{"an incomplete extract is no absence", []told{ldap(24*hour, nil), ldap(48*hour, nil), ldap(200*hour, nil), ldap(201*hour, left, "ada: ldap missing since 10 17h")}},
		{"back while unconfirmed", []told{ldap(24*hour, left, missing), ldap(36*hour, here), ldap(60*hour, left, "ada: ldap missing since 4 20h")}},
		{"back in the grace", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(119*hour, here), ldap(120*hour, left, "ada: ldap missing since 7 08h")}},
		{"back in the grace, changed", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(119*hour, []row{entry("e1", "ada").says("title"), entry("e2", "eve")}, "ada: ldap e1 changed")}},
		{"back when it was over, before it was acted on", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(500*hour, here)}},
		{"back after it was given up, as before", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour, left, gone), ldap(144*hour, here, "ada: ldap e1 changed"), ldap(150*hour, here),
			ldap(168*hour, left, "ada: ldap missing since 9 08h")}},
		{"back with another uid", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour, left, gone), ldap(144*hour, []row{entry("e1", "lovelace"), entry("e2", "eve")}, "ada: ldap e1 changed")}},
		{"set aside is there", []told{ldap(24*hour, []row{entry("e1", "ada").unreadable(), entry("e2", "eve")}), ldap(400*hour, []row{entry("e1", "ada").unreadable(), entry("e2", "eve")}), ldap(401*hour, here)}},
		{"set aside stops the timer", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour, []row{entry("e1", "ada").unreadable(), entry("e2", "eve")}), ldap(144*hour, left, "ada: ldap missing since 8 08h")}},
		{"set aside does not bring back who was given up", []told{ldap(24*hour, left, missing), ldap(48*hour, left, due), ldap(120*hour, left, gone), ldap(144*hour, []row{entry("e1", "ada").unreadable(), entry("e2", "eve")}), ldap(145*hour, left)}},
		{"a clock that goes back ends nothing", []told{ldap(240*hour, left, "ada: ldap missing since 12 08h"), ldap(24*hour, left, "ada: ldap missing since 12 08h")}},
	} {
		t.Run(c.name, func(t *testing.T) { story(t, nil, append([]told{joined}, c.days...)...) })
	}
}

// An employee id that cannot be read is no absence of whoever has the mail.
func TestUnreadableEmployeeID(t *testing.T) {
	ldap := []row{entry("e1", "ada"), entry("e2", "eve").mailed("")}
	story(t, nil,
		told{day{0, ldap, []row{worker("7", "ada")}, nil}, []string{"ada is new", "ada: ldap e1 linked", "ada: hris 7 linked", "eve is new", "eve: ldap e2 linked"}},
		told{day{24 * hour, ldap, []row{}, []string{"ada@example.org"}}, nil},
		told{day{48 * hour, ldap, []row{}, nil}, []string{"ada: hris missing since 4 08h"}},
		told{day{72 * hour, ldap, []row{}, []string{"ada@example.org"}}, nil},
		told{day{96 * hour, ldap, []row{}, []string{"eve@example.org"}}, []string{"ada: hris missing since 6 08h"}})
	c := newCompany()
	c.run(day{0, []row{}, []row{worker("7", "").mailed("")}, nil})
	s := c.source(people.HRIS, []row{}, nil)
	s.WithheldEmails = []snapshot.Short{{}} // a row without mail says nothing of others without
	if res := correlate.Run(correlate.World{Now: dawn, Sources: []correlate.Source{s}, Known: func(people.ID) bool { return false }}); res.Tables[0].Len() != 0 {
		t.Error("a record without mail was kept because of another without")
	}
}

// history draws days on which anything may happen to a few people.
func history(t *rapid.T) []day {
	uids := []string{"ada", "bob", "cyd"}
	var days []day
	at := time.Duration(0)
	pick := func(rows []row, name string) []row {
		if rapid.IntRange(0, 4).Draw(t, name) == 0 {
			return nil
		}
		kept := []row{}
		for _, r := range rows {
			switch rapid.IntRange(0, 5).Draw(t, name+" "+r.record) {
			case 0, 1: // not there
			case 2:
				kept = append(kept, r.unreadable())
			default:
				kept = append(kept, r)
			}
		}
		return kept
	}
	for range rapid.IntRange(3, 14).Draw(t, "days") {
		at += time.Duration(rapid.IntRange(1, 60).Draw(t, "hours")) * hour
		uid, mail := rapid.SampledFrom(uids), rapid.SampledFrom(append(uids, ""))
		var ldap, hris []row
		for _, r := range []string{"e1", "e2", "e3", "e4"} {
			e := entry(r, uids[int(r[1]-'1')%len(uids)])
			if rapid.IntRange(0, 9).Draw(t, "other uid") == 0 {
				e = e.called(uid.Draw(t, "uid"))
			}
			ldap = append(ldap, e)
		}
		for i, r := range []string{"1", "2", "3"} {
			e := worker(r, uids[i])
			if rapid.IntRange(0, 9).Draw(t, "other mail") == 0 {
				e = worker(r, mail.Draw(t, "mail"))
			}
			e.notYet = rapid.IntRange(0, 5).Draw(t, "not yet") == 0
			hris = append(hris, e)
		}
		days = append(days, day{at: at, ldap: pick(ldap, "ldap"), hris: pick(hris, "hris")})
	}
	return days
}

// Whatever happens, nobody is given up without two complete extracts a day
// apart and the grace, everybody is who meets that, and a link never changes.
func TestNobodyIsGivenUpEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCompany()
		absent := map[string][]time.Duration{} // complete extracts without the record, since it was last there
		gone := map[string]bool{}
		var links map[string]string
		for _, d := range history(t) {
			res, _ := c.run(d)
			given := map[string]bool{}
			for _, x := range res.Candidates {
				for _, l := range x.Links {
					if l.Gone {
						given[c.records[l.Record.Key]] = true
					}
				}
			}
			for p, rows := range map[people.Publisher][]row{people.LDAP: d.ldap, people.HRIS: d.hris} {
				if rows == nil {
					continue
				}
				shown := map[string]row{}
				for _, r := range rows {
					shown[string(p)+" "+r.record] = r
				}
				for record := range links {
					if !strings.HasPrefix(record, string(p)) {
						continue
					}
					if r, there := shown[record]; there {
						absent[record] = nil
						gone[record] = gone[record] && r.bad
						continue
					}
					absent[record] = append(absent[record], d.at)
					if want := !gone[record] && over(absent[record], policies[p]); given[record] != want {
						t.Fatalf("at %v: %s given up is %v, want %v; absent at %v", d.at, record, given[record], want, absent[record])
					}
					gone[record] = gone[record] || given[record]
					delete(given, record)
				}
			}
			if len(given) > 0 {
				t.Fatalf("at %v: given up, though there or never linked: %v", d.at, given)
			}
			now := c.links()
			for record, who := range links {
				if now[record] != who {
					t.Fatalf("at %v: %s was linked to %s and is to %q", d.at, record, who, now[record])
				}
			}
			perPerson := map[string]bool{}
			for record, who := range now {
				source, _, _ := strings.Cut(record, " ")
				if perPerson[source+who] {
					t.Fatalf("at %v: %s has two records of %s", d.at, who, source)
				}
				perPerson[source+who] = true
			}
			links = now
		}
	})
}

// over says whether the last of some complete extracts without a record acts:
// one at least Confirm after the first set the due time, which has come.
func over(absent []time.Duration, p correlate.Policy) bool {
	last := len(absent) - 1
	for i, at := range absent[:last] {
		if at-absent[0] >= p.Confirm && i > 0 {
			return absent[last] >= at+p.Grace
		}
	}
	return false
}

// The order in which sources are configured and rows arrive means nothing.
func TestOrderMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := newCompany(), newCompany()
		b.reverse = true
		for _, d := range history(t) {
			x, y := a.tell(a.run(d)), b.tell(b.run(d))
			if !slices.Equal(x, y) {
				t.Fatalf("at %v:\n%s\nand\n%s", d.at, strings.Join(x, "\n"), strings.Join(y, "\n"))
			}
			for p, table := range a.tables {
				if !bytes.Equal(table.Encode(), b.tables[p].Encode()) {
					t.Fatalf("at %v: the tables of %s differ", d.at, p)
				}
			}
		}
	})
}

// The access provider may make people too, and attaches to whom LDAP made.
func TestAccessProviderAttaches(t *testing.T) {
	record := func(p people.Publisher, name, uid string) snapshot.Record {
		return snapshot.Record{Key: short(string(p), name), Person: idOf(uid), Hash: digest(name), UserID: short("uid", uid), Length: 1}
	}
	ldap := correlate.Source{Name: "ldap", Publisher: people.LDAP, Complete: true, Seen: []snapshot.Record{record(people.LDAP, "e1", "ada")}}
	logins := correlate.Source{Name: "logins", Publisher: people.AccessProvider, Complete: true, Seen: []snapshot.Record{record(people.AccessProvider, "a1", "ada")}}
	run := func(known people.ID, sources ...correlate.Source) correlate.Result {
		return correlate.Run(correlate.World{Now: dawn, Sources: sources, Known: func(id people.ID) bool { return id == known }})
	}
	if res := run(people.ID{}, ldap, logins); len(res.Cases) != 0 || len(res.Candidates) != 1 || !res.Candidates[0].New || len(res.Candidates[0].Links) != 2 {
		t.Errorf("both new: got %v", res)
	}
	if res := run(idOf("ada"), logins); len(res.Cases) != 0 || len(res.Candidates) != 1 || res.Candidates[0].New || res.Candidates[0].Person != idOf("ada") {
		t.Errorf("a former login: got %v", res)
	}
	if res := run(idOf("ada"), ldap); len(res.Cases) != 1 || len(res.Candidates) != 0 {
		t.Errorf("a former uid in LDAP: got %v", res)
	}
}
