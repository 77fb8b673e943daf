package correlate_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// A town is a company with all five sources, told in words. A day's words are
// parted by semicolons:
//
//	ldap e1:ada e2:bob     entries and their uids, which are their mails, too
//	logins ada bob+1 cyd-  user ids; bob's names the account 1, cyd's says that there is none
//	directory ada+1        profiles, in the same form
//	hris 7:ada             employees and their mails
//	github 1 2             accounts
//	link hris 7 bob        what a human says; or unlink. It holds from then on
//	inactive bob           somebody who is not here any more
//
// A record that begins with ! is there and cannot be read, a login that begins
// with ? waits for LDAP to be read; what follows a ~ is anything else that a
// record says. A source that a story names on another day
// is not read whole.
type town struct {
	company
	at      time.Duration      // since the beginning
	has     []people.Publisher // in order
	current map[people.ID]snapshot.Row
	former  map[string]people.ID
	decided map[snapshot.Short]correlate.Decision
	inLDAP  map[people.ID]bool
	forgets bool // the profile of whoever had an account does not stand on it any more
}

var sourceNames = map[string]people.Publisher{"ldap": people.LDAP, "logins": people.AccessProvider, "directory": people.Directory, "hris": people.HRIS, "github": people.GitHub}

var grace = map[people.Publisher]correlate.Policy{
	people.LDAP: {Confirm: 24 * hour, Grace: 72 * hour}, people.AccessProvider: {Confirm: 24 * hour, Grace: 72 * hour}, people.HRIS: {Confirm: 24 * hour, Grace: 24 * hour},
	people.Directory: {Confirm: 24 * hour}, people.GitHub: {Confirm: 24 * hour},
}

func newTown(steps []step) *town {
	w := &town{company: *newCompany(), current: map[people.ID]snapshot.Row{}, former: map[string]people.ID{}, decided: map[snapshot.Short]correlate.Decision{}, inLDAP: map[people.ID]bool{}}
	for _, name := range slices.Sorted(maps.Keys(sourceNames)) {
		if slices.ContainsFunc(steps, func(s step) bool {
			return slices.ContainsFunc(words(s.says), func(x string) bool { return x == name || strings.HasPrefix(x, name+" ") })
		}) {
			w.has = append(w.has, sourceNames[name])
		}
	}
	return w
}

func words(s string) (list []string) {
	for x := range strings.SplitSeq(s, ";") {
		if x = strings.TrimSpace(x); x != "" {
			list = append(list, x)
		}
	}
	return list
}

func (w *town) id(uid string) people.ID {
	w.names[idOf(uid)] = uid
	return idOf(uid)
}

// record reads one record of a day.
func (w *town) record(p people.Publisher, s string) (r snapshot.Record, uid string, bad bool) {
	s, bad = strings.CutPrefix(strings.TrimPrefix(s, "?"), "!")
	said := s
	s, _, _ = strings.Cut(s, "~")
	s, none := strings.CutSuffix(s, "-")
	s, account, names := strings.Cut(s, "+")
	name, uid, two := strings.Cut(s, ":")
	if !two && p != people.GitHub {
		uid = name
	}
	r = snapshot.Record{Key: short(string(p), name), Hash: digest(said), SaysGitHub: names || none}
	w.records[r.Key] = string(p) + " " + name
	if names {
		r.GitHub = short(string(people.GitHub), account)
	}
	if uid != "" {
		r.Email = short("mail", uid)
		if p != people.HRIS {
			r.UserID = short("uid", uid)
		}
	}
	return r, uid, bad
}

// live correlates a day and takes its result over, as applying it would.
func (w *town) live(says string) correlate.Result {
	world := correlate.World{Now: dawn.Add(w.at), Holders: map[snapshot.Short]correlate.Holder{}, Waits: map[snapshot.Short]bool{}, Decisions: w.decided,
		Known:  func(id people.ID) bool { return w.vault[id] },
		Name:   func(_ int, r snapshot.Record) string { return w.records[r.Key] },
		Recall: func(int, snapshot.Record, people.ID) bool { return !w.forgets }}
	read, uids := map[people.Publisher][]string{}, map[snapshot.Short]string{}
	for _, x := range words(says) {
		f := strings.Fields(x)
		switch p, source := sourceNames[f[0]]; {
		case source:
			read[p] = append([]string{}, f[1:]...)
		case f[0] == "inactive":
			r := w.current[idOf(f[1])]
			r.Active = false
			w.current[r.ID] = r
		default:
			w.decided[short(string(sourceNames[f[1]]), f[2])] = correlate.Decision{Person: w.id(f[3]), Apart: f[0] == "unlink"}
		}
	}
	for _, r := range w.current {
		world.Rows = world.Rows.Patch([]snapshot.Row{r})
	}
	for _, p := range w.has {
		list, whole := read[p]
		s := correlate.Source{Name: string(p), Publisher: p, Policy: grace[p], Prev: w.tables[p], Complete: whole}
		for _, x := range list {
			r, uid, bad := w.record(p, x)
			world.Waits[r.Key] = strings.HasPrefix(x, "?")
			if bad {
				s.Withheld = append(s.Withheld, r.Key)
				continue
			}
			old, known := s.Prev.Find(r.Key)
			d, decided := w.decided[r.Key]
			unchanged := known && !old.Person.IsZero() && old.Hash == r.Hash && old.State != snapshot.Gone && (!decided || d.Apart != (d.Person == old.Person))
			r.Spare = unchanged && p == people.GitHub
			if !unchanged || r.Spare {
				r.Length = 1
			}
			if correlate.Anchor(p) && (!known || old.Person.IsZero()) {
				r.Person = w.id(uid)
			}
			uids[r.Key] = uid
			if id, ok := w.holders[uid]; ok {
				world.Holders[r.Key] = correlate.Holder{Person: id}
			} else if id, ok := w.former[uid]; ok {
				world.Holders[r.Key] = correlate.Holder{Person: id, Former: true}
			}
			s.Seen = append(s.Seen, r)
		}
		slices.SortFunc(s.Seen, func(a, b snapshot.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
		slices.SortFunc(s.Withheld, func(a, b snapshot.Short) int { return bytes.Compare(a[:], b[:]) })
		world.Sources = append(world.Sources, s)
	}
	if w.reverse {
		slices.Reverse(world.Sources)
	}
	res := correlate.Run(world)
	for i, s := range world.Sources {
		w.tables[s.Publisher] = kept(res.Tables[i])
	}
	for _, x := range res.Candidates {
		w.vault[x.Person] = true
		row, known := w.current[x.Person]
		if !known {
			row = snapshot.Row{ID: x.Person, Active: true}
		}
		for _, l := range x.Links {
			p := world.Sources[l.Source].Publisher
			w.inLDAP[x.Person] = (w.inLDAP[x.Person] || p == people.LDAP) && !(p == people.LDAP && l.Lost)
			if uid := uids[l.Record.Key]; uid != "" && !l.Gone && !l.Lost && (p == people.LDAP || p == people.AccessProvider && !w.inLDAP[x.Person]) {
				for other, id := range w.holders {
					if id == x.Person && other != uid {
						delete(w.holders, other)
						w.former[other] = id
					}
				}
				delete(w.former, uid)
				w.holders[uid], row.UserID = x.Person, short("uid", uid)
			}
		}
		w.current[x.Person] = row
	}
	// A profile names the account that the directory says, or else the login.
	for _, p := range []people.Publisher{people.AccessProvider, people.Directory} {
		for k := range w.tables[p].Len() {
			r := w.tables[p].At(k)
			row := w.current[r.Person]
			if r.SaysGitHub && !r.Person.IsZero() && r.State != snapshot.Gone && (p == people.Directory || row.GitHub == (snapshot.Short{})) {
				row.GitHub = r.GitHub
				w.current[r.Person] = row
			}
		}
	}
	w.at += 25 * hour
	return res
}

// told says in lines, sorted, what a day concluded.
func (w *town) told(res correlate.Result) []string {
	var lines []string
	for _, x := range res.Candidates {
		if x.New {
			lines = append(lines, w.names[x.Person]+" is new")
		}
		for _, l := range x.Links {
			what := map[[3]bool]string{{true, false, false}: "given up", {false, true, false}: "linked", {false, false, true}: "lost"}[[3]bool{l.Gone, l.First, l.Lost}]
			if what == "" {
				what = "changed"
			}
			lines = append(lines, fmt.Sprintf("%s: %s %s", w.names[x.Person], w.records[l.Record.Key], what))
		}
	}
	for _, k := range res.Cases {
		var who []string
		for _, id := range k.People {
			who = append(who, w.names[id])
		}
		slices.Sort(who)
		lines = append(lines, fmt.Sprintf("case: %s %s %v: %s", k.Kind, k.Record, who, k.Reason))
	}
	for _, u := range res.Upcoming {
		lines = append(lines, fmt.Sprintf("%s: %s missing, due %v", w.names[u.Person], u.Source, !u.Due.IsZero()))
	}
	slices.Sort(lines)
	return lines
}

// A step is a day, 25 hours after the one before, and what it concludes: lines
// that begin so, parted by semicolons.
type step struct{ says, want string }

func live(t *testing.T, begin func(*town), steps []step) {
	t.Helper()
	for _, reverse := range []bool{false, true} {
		w := newTown(steps)
		w.reverse = reverse
		if begin != nil {
			begin(w)
		}
		for n, s := range steps {
			got, want := w.told(w.live(s.says)), slices.Sorted(slices.Values(words(s.want)))
			if !slices.EqualFunc(got, want, strings.HasPrefix) {
				t.Errorf("day %d (%s; reversed %v):\n  got  %s\n  want %s", n+1, s.says, reverse, strings.Join(got, "\n       "), strings.Join(want, "\n       "))
			}
		}
	}
}

func TestLogins(t *testing.T) {
	const (
		both   = "ldap e1:ada; logins ada"
		made   = "ada is new; ada: ldap e1 linked; ada: access_provider ada linked"
		second = "case: second_login access_provider ada [ada]"
	)
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"a login makes a person, once", []step{{"logins fay", "fay is new; fay: access_provider fay linked"}, {"logins fay", ""}, {"logins fay~name", "fay: access_provider fay changed"}}},
		{"a login is that of the LDAP record with its user_id, also of the same day", []step{{both, made}, {both, ""}}},
		{"LDAP comes later: the same person", []step{{"logins cyd; ldap", "cyd is new; cyd: access_provider cyd linked"}, {"logins cyd; ldap e3:cyd", "cyd: ldap e3 linked"}, {"logins cyd; ldap e3:cyd", ""}}},
		{"the login comes later", []step{{"ldap e1:ada; logins", "ada is new; ada: ldap e1 linked"}, {both, "ada: access_provider ada linked"}}},
		{"after a rename the earlier login stays theirs, and the new one takes its place", []step{{both, made},
			{"ldap e1:king; logins ada", "ada: ldap e1 changed"},
			{"ldap e1:king; logins ada~again", "ada: access_provider ada changed"},
			{"ldap e1:king; logins ada~again king", "ada: access_provider king linked; " + second},
			{"ldap e1:king; logins ada king", second},
			{"ldap e1:king; logins king", ""}}},
		{"a login under a former user_id attaches", []step{{"ldap e1:ada; logins", "ada is new; ada: ldap e1 linked"}, {"ldap e1:king; logins", "ada: ldap e1 changed"},
			{"ldap e1:king; logins ada", "ada: access_provider ada linked"}}},
		{"of two at once the current one is linked", []step{{"ldap e1:ada; logins", "ada is new; ada: ldap e1 linked"}, {"ldap e1:king; logins", "ada: ldap e1 changed"},
			{"ldap e1:king; logins ada king", "ada: access_provider king linked; " + second}}},
		{"the rename and the new login come on one day", []step{{both, made}, {"ldap e1:king; logins king", "ada: ldap e1 changed; ada: access_provider king linked"}, {"ldap e1:king; logins king", ""}}},
		{"the rename, the new login and the earlier one", []step{{both, made}, {"ldap e1:king; logins ada king", "ada: ldap e1 changed; ada: access_provider king linked; " + second}}},
		{"a login that is missing while its place is taken is forgotten", []step{{both, made}, {"ldap e1:king; logins", "ada: ldap e1 changed; ada: access_provider missing, due false"},
			{"ldap e1:king; logins king", "ada: access_provider king linked"}, {"ldap e1:king; logins king", ""}}},
		{"the current login is missing: the earlier one takes its place until it is there again", []step{{both, made}, {"ldap e1:king; logins ada king", "ada: ldap e1 changed; ada: access_provider king linked; " + second},
			{"ldap e1:king; logins ada", "ada: access_provider ada linked"}, {"ldap e1:king; logins ada king", "ada: access_provider king linked; " + second}}},
		{"a uid that somebody else has by now is not the earlier holder's", []step{{"ldap e1:ada e2:bob; logins", "ada is new; ada: ldap e1 linked; bob is new; bob: ldap e2 linked"},
			{"ldap e1:king e2:bob; logins", "ada: ldap e1 changed"}, {"ldap e1:king e2:ada; logins", "bob: ldap e2 changed"},
			{"ldap e1:king e2:ada; logins ada", "bob: access_provider ada linked"}}},
		{"a former login that says something new, when LDAP has given its user_id to somebody else, is theirs", []step{{"ldap e1:ada e2:bob; logins ada", "ada is new; ada: ldap e1 linked; ada: access_provider ada linked; bob is new; bob: ldap e2 linked"},
			{"ldap e1:king e2:ada; logins ada", "ada: ldap e1 changed; bob: ldap e2 changed"},
			{"ldap e1:king e2:ada; logins ada~bob", "ada: access_provider ada lost; bob: access_provider ada linked"},
			{"ldap e1:king e2:ada; logins ada~bob king", "ada: access_provider king linked"}}},
		{"all of that on one day", []step{{"ldap e1:ada e2:bob; logins ada bob", "ada is new; ada: ldap e1 linked; ada: access_provider ada linked; bob is new; bob: ldap e2 linked; bob: access_provider bob linked"},
			{"ldap e1:king e2:ada; logins ada~bob king", "ada: ldap e1 changed; bob: ldap e2 changed; ada: access_provider ada lost; ada: access_provider king linked; bob: access_provider ada linked"},
			{"ldap e1:king e2:ada; logins ada~bob king", ""}}},
		{"who logs in as they are called now leaves the earlier one to whom LDAP has given it, on the same day", []step{{"ldap e1:ada e2:bob; logins ada bob", "ada is new; ada: ldap e1 linked; ada: access_provider ada linked; bob is new; bob: ldap e2 linked; bob: access_provider bob linked"},
			{"ldap e1:king e2:ada; logins ada bob king", "ada: ldap e1 changed; bob: ldap e2 changed; ada: access_provider king linked; bob: access_provider ada linked; case: second_login access_provider bob [bob]"},
			{"ldap e1:king e2:ada; logins ada bob king", "case: second_login access_provider bob [bob]"}}},
		{"of a recycled uid it is nobody's until LDAP's case is decided", []step{{"ldap e1:ada; logins ada", made},
			{"ldap e1:king e2:ada; logins ada~new", "ada: ldap e1 changed; case: recycled_user_id ldap e2 [ada]; ada: access_provider ada lost; case: unattached access_provider ada [ada]: the LDAP record that has the login is a case itself"},
			{"ldap e1:king e2:ada; logins ada~new", "case: recycled_user_id ldap e2 [ada]; case: unattached access_provider ada [ada]: the LDAP record that has the login"},
			{"ldap e1:king e2:ada; logins ada~new king", "case: recycled_user_id ldap e2 [ada]; ada: access_provider king linked; case: unattached access_provider ada [ada]: the LDAP record that has the login"}}},
		{"of a uid that two entries have it makes nobody", []step{{"ldap e1:zoe e2:zoe; logins zoe", "case: shared_user_id ldap e1 []; case: shared_user_id ldap e2 []; case: unattached access_provider zoe []: the LDAP record that has the login"},
			{"ldap e1:zoe e2:eve; logins zoe", "zoe is new; zoe: ldap e1 linked; zoe: access_provider zoe linked; eve is new; eve: ldap e2 linked"}}},
		{"not read whole: nothing is made and nobody is missing", []step{{"ldap e1:ada; logins fay", "ada is new; ada: ldap e1 linked; fay is new; fay: access_provider fay linked"}, {"ldap e1:ada", ""}, {"ldap e1:ada", ""}}},
		{"new, while LDAP is not read, which may have renamed somebody: it waits", []step{{"ldap e1:ada; logins", "ada is new; ada: ldap e1 linked"}, {"logins ?king ?ada", "ada: access_provider ada linked; case: unattached access_provider king []: nobody has or had the login, and LDAP"},
			{"ldap e1:king; logins king", "ada: ldap e1 changed; ada: access_provider king linked"}}},
		{"deleted: two whole extracts and the grace", []step{{"logins fay gil", "fay is new; fay: access_provider fay linked; gil is new; gil: access_provider gil linked"},
			{"logins gil", "fay: access_provider missing, due false"}, {"logins gil", "fay: access_provider missing, due true"}, {"logins gil", "fay: access_provider missing, due true"},
			{"logins gil", "fay: access_provider missing, due true"}, {"logins gil", "fay: access_provider fay given up"}, {"logins gil", ""}, {"logins fay gil", "fay: access_provider fay changed"}}},
		{"set aside is there", []step{{"logins fay", "fay is new; fay: access_provider fay linked"}, {"logins !fay", ""}, {"logins !fay", ""}, {"logins fay", ""}}},
		{"names and mails make nobody the same", []step{{"ldap e1:ada; logins github|1~ada@example.org", "ada is new; ada: ldap e1 linked; github|1 is new; github|1: access_provider github|1 linked"}}},
	} {
		t.Run(c.name, func(t *testing.T) { live(t, nil, c.steps) })
	}
}

func TestDirectoryRecords(t *testing.T) {
	const unknown = "case: unattached mozilliansorg cyd []: nobody has or had the login"
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"of somebody whom LDAP makes on the same day", []step{{"ldap e1:ada; directory ada", "ada is new; ada: ldap e1 linked; ada: mozilliansorg ada linked"}, {"ldap e1:ada; directory ada", ""}}},
		{"of somebody who logs in for the first time on the same day", []step{{"logins fay; directory fay", "fay is new; fay: access_provider fay linked; fay: mozilliansorg fay linked"}}},
		{"of nobody: it waits and makes nobody", []step{{"ldap; directory cyd", unknown}, {"ldap; directory cyd", unknown}, {"ldap; directory cyd~more", unknown},
			{"ldap e3:cyd; directory cyd~more", "cyd is new; cyd: ldap e3 linked; cyd: mozilliansorg cyd linked"}}},
		{"it waits, and is linked also when the directory is not read", []step{{"ldap; directory cyd", unknown}, {"ldap e3:cyd", "cyd is new; cyd: ldap e3 linked; cyd: mozilliansorg cyd linked"}, {"ldap e3:cyd; directory cyd", ""}}},
		{"it waits, and is gone", []step{{"ldap; directory cyd", unknown}, {"ldap; directory", ""}, {"ldap e3:cyd; directory", "cyd is new; cyd: ldap e3 linked"}}},
		{"it waits, and cannot be read when the person comes", []step{{"ldap; directory cyd", unknown}, {"ldap e3:cyd; directory !cyd", "cyd is new; cyd: ldap e3 linked; case: second_login mozilliansorg cyd [cyd]"},
			{"ldap e3:cyd; directory cyd", "cyd: mozilliansorg cyd linked"}}},
		{"under a former user_id", []step{{"ldap e1:ada; directory", "ada is new; ada: ldap e1 linked"}, {"ldap e1:king; directory ada", "ada: ldap e1 changed; ada: mozilliansorg ada linked"},
			{"ldap e1:king; directory ada king", "ada: mozilliansorg king linked; case: second_login mozilliansorg ada [ada]"}}},
		{"deleted: the second whole extract gives it up, and nobody ends", []step{{"ldap e1:ada; directory ada", "ada is new; ada: ldap e1 linked; ada: mozilliansorg ada linked"}, {"ldap e1:ada; directory", "ada: mozilliansorg missing, due false"},
			{"ldap e1:ada", "ada: mozilliansorg missing, due false"}, {"ldap e1:ada; directory", "ada: mozilliansorg ada given up"}, {"ldap e1:ada; directory", ""}, {"ldap e1:ada; directory ada", "ada: mozilliansorg ada changed"}}},
	} {
		t.Run(c.name, func(t *testing.T) { live(t, nil, c.steps) })
	}
}

func TestAccounts(t *testing.T) {
	const (
		ada    = "ada is new; ada: ldap e1 linked"
		bob    = "bob is new; bob: ldap e2 linked"
		nobody = "case: unattached github 1 []: no profile has the verified account"
		two    = "ldap e1:ada e2:bob; "
	)
	for _, c := range []struct {
		name  string
		begin func(*town)
		steps []step
	}{
		{"nobody names it", nil, []step{{"ldap e1:ada; directory; github 1", ada + "; " + nobody}, {"ldap e1:ada; directory; github 1", nobody}}},
		{"the directory names it, later takes it back", nil, []step{{"ldap e1:ada; directory ada+1; github 1 2", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked; case: unattached github 2 []"},
			{"ldap e1:ada; directory ada-; github 1 2", "ada: mozilliansorg ada changed; ada: github 1 lost; " + nobody + "; case: unattached github 2"},
			{"ldap e1:ada; directory ada+2; github 1 2", "ada: mozilliansorg ada changed; ada: github 2 linked; " + nobody}}},
		{"the directory's silence takes nothing", nil, []step{{"ldap e1:ada; directory ada+1; github 1", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked"}, {"ldap e1:ada; directory ada~silent; github 1", "ada: mozilliansorg ada changed"}}},
		{"a login proves its account", nil, []step{{"logins github|1+1; github 1", "github|1 is new; github|1: access_provider github|1 linked; github|1: github 1 linked"}, {"logins github|1+1; github 1", ""}}},
		{"the directory has the word over the login", nil, []step{{"ldap e1:ada; logins ada+1; directory ada+2; github 1 2", ada + "; ada: access_provider ada linked; ada: mozilliansorg ada linked; ada: github 2 linked; " + nobody}}},
		{"the account is exchanged for another", nil, []step{{"ldap e1:ada; directory ada+1; github 1 2", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked; case: unattached github 2"},
			{"ldap e1:ada; directory ada+2; github 1 2", "ada: mozilliansorg ada changed; ada: github 1 lost; ada: github 2 linked; " + nobody}}},
		{"two name it: nobody's", nil, []step{{two + "directory ada+1 bob+1; github 1", ada + "; " + bob + "; ada: mozilliansorg ada linked; bob: mozilliansorg bob linked; case: unattached github 1 [ada bob]: several"},
			{two + "directory ada+1 bob-; github 1", "bob: mozilliansorg bob changed; ada: github 1 linked"}}},
		{"a second claim takes nothing away", nil, []step{{two + "directory ada+1 bob; github 1", ada + "; " + bob + "; ada: mozilliansorg ada linked; bob: mozilliansorg bob linked; ada: github 1 linked"},
			{two + "directory ada+1 bob+1; github 1", "bob: mozilliansorg bob changed"}, {two + "directory ada- bob+1; github 1", "ada: mozilliansorg ada changed; ada: github 1 lost; bob: github 1 linked"}}},
		{"it moves within one day, also while GitHub is not read", nil, []step{{two + "directory ada+1 bob; github 1", ada + "; " + bob + "; ada: mozilliansorg ada linked; bob: mozilliansorg bob linked; ada: github 1 linked"},
			{two + "directory ada- bob+1; github 1", "ada: mozilliansorg ada changed; bob: mozilliansorg bob changed; ada: github 1 lost; bob: github 1 linked"},
			{two + "directory ada+1 bob-", "ada: mozilliansorg ada changed; bob: mozilliansorg bob changed; bob: github 1 lost; ada: github 1 linked"}, {two + "directory ada+1 bob-; github 1", ""}}},
		{"what it said cannot be recalled: it waits for GitHub", func(w *town) { w.forgets = true }, []step{{two + "directory ada+1 bob; github 1", ada + "; " + bob + "; ada: mozilliansorg ada linked; bob: mozilliansorg bob linked; ada: github 1 linked"},
			{two + "directory ada- bob+1", "ada: mozilliansorg ada changed; bob: mozilliansorg bob changed; ada: github 1 lost; case: unattached github 1 [bob]: the record was not read"}, {two + "directory ada- bob+1; github 1", "bob: github 1 linked"}}},
		{"of two it is the active one's", nil, []step{{two + "directory ada+1 bob+1; github 1", ada + "; " + bob + "; ada: mozilliansorg ada linked; bob: mozilliansorg bob linked; case: unattached github 1 [ada bob]: several"},
			{two + "inactive bob; directory ada+1 bob+1; github 1", "ada: github 1 linked"}}},
		{"who is alone in naming it keeps it, active or not", nil, []step{{"ldap e1:ada; directory ada+1; github 1", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked"}, {"ldap e1:ada; inactive ada; directory ada+1; github 1", ""}}},
		{"gone from all organisations", nil, []step{{"ldap e1:ada; directory ada+1; github 1 2", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked; case: unattached github 2"}, {"ldap e1:ada; directory ada+1; github 2", "ada: github missing, due false; case: unattached github 2"},
			{"ldap e1:ada; directory ada+1; github 2", "ada: github 1 given up; case: unattached github 2"}, {"ldap e1:ada; directory ada+1; github 1 2", "ada: github 1 changed; case: unattached github 2"}}},
		{"given back while it is missing: forgotten, and no case", nil, []step{{"ldap e1:ada; directory ada+1; github 1 2", ada + "; ada: mozilliansorg ada linked; ada: github 1 linked; case: unattached github 2"}, {"ldap e1:ada; directory ada+1; github 2", "ada: github missing, due false; case: unattached github 2"},
			{"ldap e1:ada; directory ada-; github 2", "ada: mozilliansorg ada changed; ada: github 1 lost; case: unattached github 2"}, {"ldap e1:ada; directory ada-; github 1 2", nobody + "; case: unattached github 2"}}},
	} {
		t.Run(c.name, func(t *testing.T) { live(t, c.begin, c.steps) })
	}
}

func TestDecisions(t *testing.T) {
	const (
		apart = "somebody said that the record is not that person's"
		begin = "ldap e1:ada e2:bob; "
		made  = "ada is new; ada: ldap e1 linked; bob is new; bob: ldap e2 linked; "
	)
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"an employee who waits is linked", []step{{begin + "hris 7:other", made + "case: unattached hris 7 []: no LDAP record"}, {begin + "hris 7:other; link hris 7 ada", "ada: hris 7 linked"}, {begin + "hris 7:other", ""}}},
		{"an employee is unlinked, and not linked by the mail again", []step{{begin + "hris 7:ada", made + "ada: hris 7 linked"}, {begin + "hris 7:ada; unlink hris 7 ada", "ada: hris 7 lost; case: unattached hris 7 [ada]: " + apart},
			{begin + "hris 7:ada", "case: unattached hris 7 [ada]: " + apart}, {begin + "hris 7:bob", "bob: hris 7 linked"}}},
		{"an employee is given to somebody else", []step{{begin + "hris 7:ada", made + "ada: hris 7 linked"}, {begin + "hris 7:ada; link hris 7 bob", "ada: hris 7 lost; bob: hris 7 linked"}, {begin + "hris 7:ada~title", "bob: hris 7 changed"}}},
		{"a person who has another record gets no second one", []step{{begin + "hris 7:ada 8:other", made + "ada: hris 7 linked; case: unattached hris 8"},
			{begin + "hris 7:ada 8:other; link hris 8 ada", "case: link hris 8 [ada]: the record was linked by hand to a person who has another; case: unattached hris 8"},
			{begin + "hris 7:ada 8:other; unlink hris 7 ada", "ada: hris 7 lost; ada: hris 8 linked; case: unattached hris 7 [ada]: " + apart}}},
		{"nobody is who is meant", []step{{begin + "hris 7:other", made + "case: unattached hris 7"}, {begin + "hris 7:other; link hris 7 zoe", "case: link hris 7 []: the record was linked by hand to somebody who is not in the vault; case: unattached hris 7"}}},
		{"a link waits for its record to be read", []step{{begin + "hris 7:ada", made + "ada: hris 7 linked"}, {begin + "link hris 7 bob", ""}, {begin + "hris 7:ada", "ada: hris 7 lost; bob: hris 7 linked"}}},
		{"an unlink waits for nothing", []step{{begin + "hris 7:ada", made + "ada: hris 7 linked"}, {begin + "unlink hris 7 ada", "ada: hris 7 lost; case: unattached hris 7 [ada]: the record was not read"}, {begin + "hris 7:ada", "case: unattached hris 7 [ada]: " + apart}}},
		{"an LDAP record is unlinked: a case at once, and it makes nobody", []step{{begin + "logins ada", made + "ada: access_provider ada linked"},
			{begin + "logins ada; unlink ldap e1 ada", "ada: ldap e1 lost; case: kept_apart ldap e1 [ada]: " + apart}, {begin + "logins ada", "case: kept_apart ldap e1 [ada]: " + apart},
			{begin + "logins ada; link ldap e1 ada", "ada: ldap e1 linked"}}},
		{"an LDAP record that is unlinked and gets a uid of its own makes a person", []step{{begin, made}, {begin + "unlink ldap e1 ada", "ada: ldap e1 lost; case: kept_apart ldap e1 [ada]"}, {"ldap e1:eve e2:bob", "eve is new; eve: ldap e1 linked"}}},
		{"a recycled uid is somebody's after all", []step{{begin, made}, {"ldap e1:king e2:bob e3:ada", "ada: ldap e1 changed; case: recycled_user_id ldap e3 [ada]"},
			{"ldap e2:bob e3:ada; unlink ldap e1 ada; link ldap e3 ada", "ada: ldap e1 lost; ada: ldap e3 linked"}}},
		{"a missing record is unlinked: it is forgotten", []step{{begin + "hris 7:ada 8:bob", made + "ada: hris 7 linked; bob: hris 8 linked"}, {begin + "hris 8:bob", "ada: hris missing, due false"}, {begin + "hris 8:bob; unlink hris 7 ada", "ada: hris 7 lost"}, {begin + "hris 8:bob", ""}}},
		{"an account stays where a human put it", []step{{begin + "directory ada+1; github 1", made + "ada: mozilliansorg ada linked; ada: github 1 linked"}, {begin + "directory ada+1; github 1; link github 1 bob", "ada: github 1 lost; bob: github 1 linked"},
			{begin + "directory ada+1; github 1", ""}, {begin + "directory ada+1; github 1; unlink github 1 bob", "bob: github 1 lost; ada: github 1 linked"}}},
		{"an account is kept from who names it", []step{{begin + "directory ada+1; github 1", made + "ada: mozilliansorg ada linked; ada: github 1 linked"}, {begin + "directory ada+1; github 1; unlink github 1 ada", "ada: github 1 lost; case: unattached github 1 [ada]: " + apart},
			{begin + "directory ada-; github 1", "ada: mozilliansorg ada changed; case: unattached github 1 []: no profile"}}},
		{"who was given an account gets no other", []step{{begin + "directory ada+2; github 1", made + "ada: mozilliansorg ada linked; case: unattached github 1"}, {begin + "directory ada+2; github 1; link github 1 ada", "ada: github 1 linked"},
			{begin + "directory ada+2; github 1 2", "case: unattached github 2 [ada]: the person is linked to another account by hand"}}},
		{"a login that was given stays, though the current one comes", []step{{"ldap e1:ada; logins ada old", "ada is new; ada: ldap e1 linked; ada: access_provider ada linked; old is new; old: access_provider old linked"},
			{"ldap e1:ada; logins ada old; unlink logins ada ada; link logins old ada", "ada: access_provider ada lost; old: access_provider old lost; ada: access_provider old linked; case: kept_apart access_provider ada [ada]"},
			{"ldap e1:ada; logins ada old", "case: kept_apart access_provider ada [ada]"}}},
		{"a profile of the directory is kept apart", []step{{begin + "directory ada", made + "ada: mozilliansorg ada linked"}, {begin + "directory ada; unlink directory ada ada", "ada: mozilliansorg ada lost; case: kept_apart mozilliansorg ada [ada]"}, {begin + "directory ada; link directory ada bob", "bob: mozilliansorg ada linked"}, {begin + "directory ada", ""}}},
	} {
		t.Run(c.name, func(t *testing.T) { live(t, nil, c.steps) })
	}
}

// Where no source is LDAP, an employee's first link may use the mail of a login.
func TestHRISFirstLinkWithoutLDAP(t *testing.T) {
	const made = "fay is new; fay: access_provider fay linked; gil is new; gil: access_provider gil linked; "
	live(t, nil, []step{
		{"logins fay gil; hris 7:fay 8:zoe 9:gil 10:gil", made + "fay: hris 7 linked; case: unattached hris 8 []: no login has; case: unattached hris 9 [gil]: several HRIS; case: unattached hris 10 [gil]: several HRIS"},
		{"logins fay gil zoe; hris 7:fay 8:zoe 9:gil", "zoe is new; zoe: access_provider zoe linked; zoe: hris 8 linked; gil: hris 9 linked; "},
		{"logins fay gil zoe; hris 7:other 8:zoe 9:gil 11:fay", "fay: hris 7 changed; case: unattached hris 11 [fay]: the person with the work mail is linked to another HRIS record"},
	})
	t.Run("where LDAP is a source, a login's mail is none", func(t *testing.T) {
		live(t, nil, []step{{"ldap; logins fay; hris 7:fay", "fay is new; fay: access_provider fay linked; case: unattached hris 7 []: no LDAP record"}})
	})
}

// Whatever happens over all five sources, each record is told to one person at
// most, each person has one record of a source at most, what is lost was had,
// and whoever has a record now that they had not was told of it.
func TestEveryLinkIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFive()
		for n, d := range drawFive(t) {
			before := maps.Clone(f.tables)
			res := f.live(n, d)
			told, lost := map[string]people.ID{}, map[string]people.ID{}
			for _, c := range res.Candidates {
				has := map[int]bool{}
				for _, l := range c.Links {
					key := string(five[l.Source]) + string(l.Record.Key[:])
					if l.Lost {
						if old, _ := before[five[l.Source]].Find(l.Record.Key); old.Person != c.Person {
							t.Fatalf("day %d: somebody loses a record that was not theirs", n)
						}
						lost[key] = c.Person
						continue
					}
					if other, twice := told[key]; twice {
						t.Fatalf("day %d: a record is told to %s and to %s", n, other, c.Person)
					}
					if told[key] = c.Person; has[l.Source] {
						t.Fatalf("day %d: somebody is told of two records of a source", n)
					}
					has[l.Source] = true
					if p := five[l.Source]; l.First && (p == people.AccessProvider || p == people.Directory) && d.decisions[l.Record.Key] == (correlate.Decision{}) {
						gives, theirs := false, f.people[c.Person].UserID == l.Record.UserID
						for k := range f.tables[people.LDAP].Len() {
							if r := f.tables[people.LDAP].At(k); r.State == snapshot.Present && r.UserID == l.Record.UserID {
								gives, theirs = true, theirs || r.Person == c.Person
							}
						}
						if gives && !theirs {
							t.Fatalf("day %d: a login of %s came to whom LDAP does not give it to", n, p)
						}
					}
				}
			}
			for i, p := range five {
				for k := range res.Tables[i].Len() {
					r := res.Tables[i].At(k)
					key := string(p) + string(r.Key[:])
					old, _ := before[p].Find(r.Key)
					switch {
					case !r.Person.IsZero() && r.Person != old.Person && told[key] != r.Person:
						t.Fatalf("day %d: a record of %s came to somebody who was not told", n, p)
					case !r.Person.IsZero() && !old.Person.IsZero() && r.Person != old.Person && lost[key] != old.Person && p != people.AccessProvider && p != people.Directory:
						t.Fatalf("day %d: a record of %s left somebody who was not told", n, p)
					case r.Person.IsZero() && !told[key].IsZero():
						t.Fatalf("day %d: a record of %s that is nobody's was told to somebody", n, p)
					}
				}
			}
		}
	})
}
