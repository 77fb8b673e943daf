package synth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"example.org/cis/connectors/synth"
)

// An entry is one of people.ldif, read by the test itself.
type entry struct {
	dn     string
	values map[string][]string
	broken bool // a value is not base64
}

func (e entry) one(name string) string {
	if len(e.values[name]) != 1 {
		return ""
	}
	return e.values[name][0]
}

func (e entry) is(class string) bool { return slices.Contains(e.values["objectClass"], class) }

// A day is the files of a day.
type day struct {
	summary synth.Summary
	ldif    []byte
	json    []byte
	entries []entry
	rows    []map[string]any
	online
}

// byUID returns the account with the uid.
func (d *day) byUID(uid string) *entry {
	for i := range d.entries {
		if slices.Contains(d.entries[i].values["uid"], uid) {
			return &d.entries[i]
		}
	}
	return nil
}

func (d *day) byDN(dn string) *entry {
	for i := range d.entries {
		if d.entries[i].dn == dn {
			return &d.entries[i]
		}
	}
	return nil
}

// byMail returns the rows with the mail.
func (d *day) byMail(mail string) (rows []map[string]any) {
	for _, r := range d.rows {
		if r["PrimaryWorkEmail"] == mail {
			rows = append(rows, r)
		}
	}
	return rows
}

// groups returns the names of the groups that name the DN or the uid.
func (d *day) groups(dn, uid string) (cns []string) {
	for _, e := range d.entries {
		if slices.Contains(e.values["member"], dn) || slices.Contains(e.values["uniqueMember"], dn) || slices.Contains(e.values["memberUid"], uid) {
			cns = append(cns, e.one("cn"))
		}
	}
	slices.Sort(cns)
	return cns
}

func write(t testing.TB, dir string, o synth.Options) synth.Summary {
	t.Helper()
	s, err := synth.Write(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generate(t testing.TB, o synth.Options) *day {
	t.Helper()
	dir := t.TempDir()
	d := &day{summary: write(t, dir, o)}
	d.ldif, d.json = read(t, filepath.Join(dir, synth.PeopleFile)), read(t, filepath.Join(dir, synth.WorkersFile))
	d.entries = parseLDIF(t, d.ldif)
	var report struct {
		Entries []map[string]any `json:"Report_Entry"`
	}
	if err := json.Unmarshal(d.json, &report); err != nil {
		t.Fatal(err)
	}
	d.rows = report.Entries
	d.parse(t, dir)
	return d
}

var attribute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// parseLDIF reads LDIF as RFC 2849 has it, strictly but for base64.
func parseLDIF(t testing.TB, b []byte) (entries []entry) {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("version: 1\n")) || !bytes.HasSuffix(b, []byte("\n\n")) || bytes.Contains(b, []byte("\n\n\n")) {
		t.Fatal("want a version first, and an empty line after every entry")
	}
	var lines []string
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n\n"), "\n") {
		if len(line) > 76 {
			t.Fatalf("line %d has %d bytes", i+1, len(line))
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("line %d is not printable ASCII", i+1)
		}
		if rest, ok := strings.CutPrefix(line, " "); ok {
			lines[len(lines)-1] += rest
			continue
		}
		lines = append(lines, line)
	}
	var e *entry
	for _, line := range lines[1:] {
		if line == "" {
			e = nil
			continue
		}
		if line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !attribute.MatchString(name) {
			t.Fatalf("no attribute: %q", line)
		}
		broken := false
		switch {
		case strings.HasPrefix(value, ": "):
			raw, err := base64.StdEncoding.DecodeString(value[2:])
			value, broken = string(raw), err != nil
			if !broken && (!utf8.Valid(raw) || safeString(value)) {
				t.Fatalf("base64 without need, or not UTF-8: %q", line)
			}
		case strings.HasPrefix(value, " "):
			if value = value[1:]; !safeString(value) || strings.HasSuffix(value, " ") {
				t.Fatalf("not a safe string: %q", line)
			}
		default:
			t.Fatalf("no value: %q", line)
		}
		if e == nil {
			if name != "dn" {
				t.Fatalf("want dn first: %q", line)
			}
			entries = append(entries, entry{dn: value, values: map[string][]string{}})
			e = &entries[len(entries)-1]
			continue
		}
		e.broken = e.broken || broken
		if slices.Contains(e.values[name], value) {
			t.Fatalf("%s has a value twice", name)
		}
		e.values[name] = append(e.values[name], value)
	}
	return entries
}

func safeString(s string) bool {
	return s != "" && !strings.ContainsAny(s[:1], " :<") && !strings.HasSuffix(s, " ") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == 0 || r == '\n' || r == '\r' || r > 127 })
}

// sources are the names of all files but the configuration.
var sources = [...]string{synth.PeopleFile, synth.WorkersFile, synth.GitHubFile, synth.DirectoryFile, synth.AccountsFile}

// TestSameBytes pins the bytes: they are the same on every machine, and a
// change of them is seen.
func TestSameBytes(t *testing.T) {
	for _, g := range []struct {
		o    synth.Options
		sums [5]string
	}{
		{synth.Options{People: 50, Seed: 1, Day: 3}, [...]string{"095dd73a3439905b", "4fd8b94df5dcc5cb", "0cb232a0b2a519fc", "c84e2c3b28aa1569", "c6a335ca5ca1aea8"}},
		{synth.Options{People: 1000, Seed: -7, Day: 40}, [...]string{"0041699a81705bec", "b4a55c4410d83ee7", "1fbe32c53e2c715c", "345b8373e0a3e6c3", "898e3dd440998795"}},
	} {
		dir := t.TempDir()
		write(t, dir, g.o)
		for i, name := range sources {
			if got := sum(read(t, filepath.Join(dir, name))); got != g.sums[i] {
				t.Errorf("%d people, day %d: %s is %s, want %s", g.o.People, g.o.Day, name, got, g.sums[i])
			}
		}
	}
	// The order of days does not matter, the seed does.
	dir := t.TempDir()
	for _, n := range []int{6, 0, 3} {
		write(t, dir, synth.Options{People: 200, Seed: 5, Day: n})
	}
	want := generate(t, synth.Options{People: 200, Seed: 5, Day: 3})
	for i, name := range sources {
		if !bytes.Equal(read(t, filepath.Join(dir, name)), [...][]byte{want.ldif, want.json, want.hubJSON, want.profileLines, want.accountLines}[i]) {
			t.Errorf("%s of day 3 differs after other days", name)
		}
	}
	if bytes.Equal(generate(t, synth.Options{People: 200, Seed: 6, Day: 3}).ldif, want.ldif) {
		t.Error("another seed is the same company")
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// TestWeek checks the first days of a small and a middling company.
func TestWeek(t *testing.T) {
	for _, people := range []int{50, 1000} {
		var days []*day
		for n := range 9 {
			days = append(days, generate(t, synth.Options{People: people, Day: n, Seed: 1}))
		}
		for _, check := range []struct {
			name string
			of   func(*testing.T, []*day)
		}{{"LDAP", checkLDAP}, {"HRIS", checkHRIS}, {"GitHub", checkHub}, {"directory", checkProfiles}, {"access provider", checkAccounts}, {"cast", follow}, {"cast online", followOnline}} {
			t.Run(fmt.Sprintf("%d people, %s", people, check.name), func(t *testing.T) { check.of(t, days) })
		}
	}
}

// checkLDAP checks what holds for people.ldif as a whole: the bad entries are
// the told ones, ids are unique and members exist.
func checkLDAP(t *testing.T, days []*day) {
	for n, d := range days {
		people, groups, noUID, broken := 0, 0, 0, 0
		dns, uuids, uids := map[string]bool{}, map[string]bool{}, map[string]bool{}
		unique := func(what string, set map[string]bool, v string) {
			if set[v] {
				t.Errorf("day %d: %s twice: %q", n, what, v)
			}
			set[v] = true
		}
		for _, e := range d.entries {
			unique("dn", dns, e.dn)
			unique("entryUUID", uuids, e.one("entryUUID"))
			switch {
			case e.is("inetOrgPerson"):
				people++
				if e.broken {
					broken++
				}
				if e.one("uid") == "" {
					noUID++
				} else {
					unique("uid", uids, e.one("uid"))
				}
				made, err := time.Parse("20060102150405Z", e.one("createTimestamp"))
				if err != nil || made.After(d.summary.Now) {
					t.Errorf("day %d: createTimestamp %q", n, e.one("createTimestamp"))
				}
				if e.one("mail") == "" || e.one("cn") == "" || e.one("sn") == "" || e.one("uidNumber") == "" {
					t.Errorf("day %d: %s lacks something", n, e.dn)
				}
			case e.is("groupOfNames"), e.is("groupOfUniqueNames"), e.is("posixGroup"):
				groups++
			}
		}
		for _, e := range d.entries {
			for _, dn := range append(e.values["member"], e.values["uniqueMember"]...) {
				if !dns[dn] {
					t.Errorf("day %d: %s has a member that is not there: %s", n, e.dn, dn)
				}
			}
			for _, uid := range e.values["memberUid"] {
				if !uids[uid] && noUID == 0 {
					t.Errorf("day %d: %s has a uid that is not there: %s", n, e.dn, uid)
				}
			}
		}
		s := d.summary
		if people != s.People || groups != s.Groups || noUID != s.Stories[synth.NoUID] || broken != s.Stories[synth.BrokenBase64] {
			t.Errorf("day %d: %d people, %d groups, %d without uid, %d broken; the summary says %+v", n, people, groups, noUID, broken, s)
		}
	}
}

var (
	zone   = regexp.MustCompile(`^GMT([+-]\d\d:\d\d)? [^()]+( \([^()]+\))?$`)
	centre = regexp.MustCompile(`^\d{4}(\.\d)? - \S`)
)

// checkHRIS checks what holds for workers.json as a whole.
func checkHRIS(t *testing.T, days []*day) {
	forms := map[string]bool{}
	for n, d := range days {
		s := d.summary
		if len(d.rows) != s.Workers {
			t.Errorf("day %d: %d rows, the summary says %d", n, len(d.rows), s.Workers)
		}
		noID, maybe, twice := 0, 0, 0
		seen := map[any]bool{}
		mails := map[any]any{}
		boss := map[any]any{}
		for _, r := range d.rows {
			id := r["EmployeeID"]
			switch {
			case id == nil:
				noID++
			case seen[id]:
				twice++
			default:
				seen[id] = true
				mails[id], boss[id] = r["PrimaryWorkEmail"], r["WorkersManagersEmployeeID"]
			}
			switch r["CurrentlyActive"] {
			case "maybe":
				maybe++
			case "0", "1":
			default:
				t.Errorf("day %d: CurrentlyActive %v", n, r["CurrentlyActive"])
			}
			if z, ok := r["Time_Zone"].(string); ok {
				if !zone.MatchString(z) {
					t.Errorf("time zone %q", z)
				}
				m := zone.FindStringSubmatch(z)
				forms[fmt.Sprint(m[1] != "", m[2] != "")] = true
			}
			if c := r["Cost_Center"].(string); !centre.MatchString(c) {
				t.Errorf("cost centre %q", c)
			}
			for _, column := range []string{"LastName", "Preferred_Name", "businessTitle", "Team", "WorkerType", "HireDate", "IsManager", "isDirectorOrAbove", "LocationDescription", "EgenciaPOSCountry"} {
				if r[column] == nil {
					t.Errorf("day %d: no %s", n, column)
				}
			}
		}
		if noID != s.Stories[synth.NoEmployeeID] || maybe != s.Stories[synth.NotYesOrNo] || twice != s.Stories[synth.DuplicateID] {
			t.Errorf("day %d: %d without id, %d maybe, %d twice; the summary says %v", n, noID, maybe, twice, s.Stories)
		}
		// Managers are a tree with one root, where nobody's id is missing today.
		for id := range boss {
			at, steps := id, 0
			for boss[at] != nil && steps < 50 {
				at = boss[at]
				steps++
			}
			if steps == 50 {
				t.Fatalf("day %d: %v reports to themselves", n, id)
			}
			if at != "1000000" && seen[at] {
				t.Errorf("day %d: %v ends at %v", n, id, at)
			}
		}
		for _, r := range d.rows {
			if m := r["WorkersManagersEmployeeID"]; m != nil && seen[m] && mails[m] != nil &&
				!strings.EqualFold(mails[m].(string), r["Worker_s_Manager_s_Email_Address"].(string)) {
				t.Errorf("day %d: a manager's mail is not that of the id", n)
			}
		}
	}
	if len(days[0].rows) > 100 && (!forms["false true"] || !forms["true false"] || !forms["true true"]) {
		t.Errorf("forms of time zones: %v", forms)
	}
}

// TestVariety asks for the values that are hard to read.
func TestVariety(t *testing.T) {
	d := generate(t, synth.Options{People: 1000, Seed: 3})
	has := func(what string, found func(e entry) bool) {
		if !slices.ContainsFunc(d.entries, found) {
			t.Errorf("nobody has %s", what)
		}
	}
	for _, script := range []string{"Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hiragana", "Hangul", "Thai", "Georgian", "Armenian", "Ethiopic", "Tamil"} {
		has(script+" letters", func(e entry) bool {
			return strings.ContainsFunc(e.one("displayName"), func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) })
		})
	}
	description := func(prefix string) func(entry) bool {
		return func(e entry) bool { return strings.HasPrefix(e.one("description"), prefix) }
	}
	has("a description that begins with a space", description(" "))
	has("a description that begins with a colon", description(":"))
	has("a description that begins with an angle bracket", description("<"))
	has("a description of 4 KB", func(e entry) bool { return len(e.one("description")) > 3500 && len(e.one("description")) < 16<<10 })
	has("an apostrophe in the name", func(e entry) bool { return strings.Contains(e.one("sn"), "'") })
	has("a typographic apostrophe", func(e entry) bool { return strings.Contains(e.one("sn"), "’") })
	has("an apostrophe in the mail", func(e entry) bool { return strings.Contains(e.one("mail"), "'") })
	has("a plus sign in the mail", func(e entry) bool { return strings.Contains(e.one("mail"), "+") && strings.Contains(e.dn, `\+`) })
	has("a hyphen", func(e entry) bool { return strings.Contains(e.one("sn"), "-") })
	has("quotes", func(e entry) bool { return strings.Contains(e.one("displayName"), `"`) })
	has("an emoji", func(e entry) bool { return strings.Contains(e.one("displayName"), "🦊") })
	has("one name only", func(e entry) bool { return e.is("inetOrgPerson") && e.values["givenName"] == nil })
	has("two keys", func(e entry) bool { return len(e.values["sshPublicKey"]) == 2 })
	has("a fingerprint with spaces", func(e entry) bool { return strings.Contains(e.one("pgpFingerprint"), "  ") })
	has("a fingerprint with 0x", func(e entry) bool { return strings.HasPrefix(e.one("pgpFingerprint"), "0x") })
	has("an alias", func(e entry) bool { return e.values["zimbraAlias"] != nil })
	has("two chat handles", func(e entry) bool { return len(e.values["im"]) == 2 })
	has("a group with a comma", func(e entry) bool { return e.dn == `cn=legal\, finance,ou=groups,dc=example` })
	has("a group that is not ASCII", func(e entry) bool { return strings.HasPrefix(e.dn, "cn=office-東京,") })
	for _, class := range []string{"groupOfNames", "groupOfUniqueNames", "posixGroup"} {
		has("a "+class, func(e entry) bool { return e.is(class) })
	}
	mails := map[string]int{}
	for _, e := range d.entries {
		if e.is("inetOrgPerson") {
			mails[e.one("mail")]++
		}
	}
	shared, ldapOnly, hrisOnly := 0, 0, 0
	for _, n := range mails {
		if n > 1 {
			shared++
		}
	}
	inHRIS := map[string]bool{}
	for _, r := range d.rows {
		mail, _ := r["PrimaryWorkEmail"].(string)
		inHRIS[strings.ToLower(mail)] = true
		if r["CurrentlyActive"] == "1" && mails[strings.ToLower(mail)] == 0 {
			hrisOnly++
		}
	}
	for mail := range mails {
		if !inHRIS[mail] {
			ldapOnly++
		}
	}
	if shared < 1 || shared > 10 || ldapOnly < 30 || ldapOnly > 120 || hrisOnly < 3 || hrisOnly > 30 {
		t.Errorf("%d mails are shared, %d people are in LDAP only and %d in HRIS only", shared, ldapOnly, hrisOnly)
	}
	// Sizes of groups differ as they do: many small ones, few large ones.
	var sizes []int
	for _, e := range d.entries {
		if n := len(e.values["member"]) + len(e.values["uniqueMember"]) + len(e.values["memberUid"]); n > 0 {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	if median, most := sizes[len(sizes)/2], sizes[len(sizes)-1]; median > 30 || most < 200 {
		t.Errorf("groups have %d members in the middle and at most %d", median, most)
	}
}

// TestRates checks how much happens, and that leavers stay within what a run
// would let through.
func TestRates(t *testing.T) {
	const days = 20
	dir := t.TempDir()
	total := map[synth.Story]int{}
	for n := 1; n <= days; n++ {
		s := write(t, dir, synth.Options{People: 1000, Seed: 9, Day: n})
		for story, count := range s.Stories {
			total[story] += count
		}
		bad := 0
		for _, story := range []synth.Story{synth.NoEmployeeID, synth.NotYesOrNo, synth.NoUID, synth.BrokenBase64} {
			bad += s.Stories[story]
		}
		if bad > 3 || s.Stories[synth.Joined] > 4 || s.Stories[synth.Moved] > 6 {
			t.Errorf("day %d: %v", n, s.Stories)
		}
	}
	for _, want := range []struct {
		story    synth.Story
		low, top int
	}{
		{synth.Joined, 38, 48}, {synth.Moved, 50, 75}, {synth.Left, 20, 28}, {synth.AccountClosed, 12, 26}, {synth.Returned, 1, 9},
		{synth.Renamed, 6, 18}, {synth.GroupJoined, 40, 80}, {synth.GroupLost, 15, 55}, {synth.LastGroupLost, 1, 6}, {synth.PreHired, 10, 32},
		{synth.AccountOpened, 6, 28}, {synth.Absent, 3, 12}, {synth.Edited, 6, 15}, {synth.DuplicateID, 2, 7}, {synth.MailRecycled, 2, 9}, {synth.UIDRecycled, 1, 6},
	} {
		if got := total[want.story]; got < want.low || got > want.top {
			t.Errorf("%s: %d in %d days, want %d to %d", want.story, got, days, want.low, want.top)
		}
	}
	for _, people := range []int{50, 300, 2000} {
		for n := 1; n <= 9; n++ {
			s := write(t, dir, synth.Options{People: people, Seed: 2, Day: n})
			if limit := max(3, people*9/1000); s.Stories[synth.Left] > limit {
				t.Errorf("%d people, day %d: %d leave, more than %d", people, n, s.Stories[synth.Left], limit)
			}
		}
	}
}

// follow follows the characters through the files.
func follow(t *testing.T, days []*day) {
	// presence returns a mark a day: H of an active row, h of one with
	// CurrentlyActive "0", L of an account, - of neither.
	presence := func(uid, mail string) (s string) {
		for _, d := range days {
			mark := ""
			for _, r := range d.byMail(mail) {
				mark += map[any]string{"1": "H", "0": "h", "maybe": "?"}[r["CurrentlyActive"]]
			}
			if e := d.byUID(uid); e != nil && e.one("mail") == mail {
				mark += "L"
			}
			if mark == "" {
				mark = "-"
			}
			s += mark + " "
		}
		return strings.TrimSpace(s)
	}
	const always = "HL HL HL HL HL HL HL HL HL"
	for _, c := range []struct{ uid, mail, want string }{
		{"aokonkwo", "", always},
		{"zmueller", "", "- HL HL HL HL HL HL HL HL"},
		{"wangxy", "", "h h HL HL HL HL HL HL HL"},
		{"vshevchenko", "", "H H H HL HL HL HL HL HL"},
		{"hnguyen", "", "- - - L HL HL HL HL HL"},
		{"jdoe", "jdoe", "HL L - - - H H H H"}, // from day 5 on, the row is Jane's
		{"janedoe", "jdoe", "H - - - - HL HL HL HL"},
		{"rsouza", "", "HL HL HL HL L L - HL HL"},
		{"sjaidee", "", "HL HL HL HL HL L - - -"},
		{"kwozniak", "", "L L - - - - - - -"},
		{"aalhassan", "", "HL HL HL L - - HL HL HL"},
		{"ncohen", "", "HL HL HL HL L HL HL HL HL"},
		{"ecarter", "", "HL HL HL - - - - - -"},
		{"ehernandez", "", "- - - HL HL HL HL HL HL"},
		{"asharma", "asharma", "HL HL HL HL HL H H H H"},
		{"ananya", "asharma", "H H H H H HL HL HL HL"},
		{"dxenaki", "", "HL HL ?L HL HL HL HL HL HL"},
		{"ichernykh", "", "HL HL HL H HL HL HL HL HL"}, // no uid on day 3
		{"phonchar", "ohonchar", always},
		{"svc-backup", "", "L L L L L L L L L"},
		{"kkaaawa", "", "- h h h h h h h h"},
	} {
		mail := c.mail
		if mail == "" {
			mail = c.uid
		}
		if got := presence(c.uid, mail+"@example.com"); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.uid, got, c.want)
		}
	}
	row := func(n int, mail string) map[string]any {
		rows := days[n].byMail(mail + "@example.com")
		if len(rows) == 0 {
			t.Fatalf("day %d: no row of %s", n, mail)
		}
		return rows[0]
	}
	// changed returns what differs between a day and the day before.
	changed := func(n int, mail string) (columns []string) {
		before, after := row(n-1, mail), row(n, mail)
		for k := range after {
			if fmt.Sprint(before[k]) != fmt.Sprint(after[k]) {
				columns = append(columns, k)
			}
		}
		slices.Sort(columns)
		return columns
	}
	manager := []string{"Worker_s_Manager_s_Email_Address", "WorkersManager", "WorkersManagersEmployeeID"}
	for _, c := range []struct {
		mail string
		day  int
		want []string
	}{
		{"siobhan.o'brien", 1, append([]string{"Cost_Center", "Cost_Center_Hierarchy", "Team"}, manager...)},
		{"mdangelo", 2, []string{"businessTitle"}},
		{"gpapado", 3, manager},
		{"mjkim", 5, []string{"Cost_Center", "Cost_Center_Hierarchy"}},
	} {
		if got := changed(c.day, c.mail); !slices.Equal(got, c.want) {
			t.Errorf("%s, day %d: %v changed, want %v", c.mail, c.day, got, c.want)
		}
	}
	if got := changed(4, "hsato"); !slices.Contains(got, "LocationDescription") || !slices.Contains(got, "Time_Zone") || slices.Contains(got, "Team") {
		t.Errorf("hsato, day 4: %v changed", got)
	}
	if a, b := days[2].byUID("clefevre"), days[3].byUID("clefevre"); slices.Equal(a.values["mobile"], b.values["mobile"]) || b.values["mobile"] == nil {
		t.Error("clefevre has no new phone on day 3")
	}
	// Ids stay through renames and returns, and differ where names were recycled.
	same := func(what string, a, b *entry, want bool) {
		if (a.one("entryUUID") == b.one("entryUUID")) != want {
			t.Errorf("%s: the same entryUUID: %v, want %v", what, !want, want)
		}
	}
	same("married name", days[2].byUID("ecarter"), days[3].byUID("ehernandez"), true)
	same("uid", days[4].byUID("asharma"), days[5].byUID("ananya"), true)
	same("return", days[2].byUID("aalhassan"), days[6].byUID("aalhassan"), true)
	same("recycled uid", days[3].byUID("rsouza"), days[7].byUID("rsouza"), false)
	same("recycled mail", days[0].byUID("jdoe"), days[5].byUID("janedoe"), false)
	if a, b := row(2, "aalhassan")["EmployeeID"], row(6, "aalhassan")["EmployeeID"]; a != b {
		t.Errorf("return: EmployeeID %v became %v", a, b)
	}
	if a, b := row(0, "jdoe")["EmployeeID"], row(5, "jdoe")["EmployeeID"]; a == b {
		t.Error("recycled mail: the same EmployeeID")
	}
	if e := days[6].byUID("wvanthoff"); e.one("givenName") != "Billie" || e.one("displayName") != "Billie van 't Hoff" || days[5].byUID("wvanthoff").one("givenName") != "Wilhelmina" {
		t.Error("wvanthoff is not Billie from day 6 on")
	}
	// Access groups, those of teams and offices aside.
	access := func(n int, uid string) string {
		e := days[n].byUID(uid)
		return strings.Join(slices.DeleteFunc(days[n].groups(e.dn, uid), func(cn string) bool {
			return strings.HasPrefix(cn, "team-") || strings.HasPrefix(cn, "office-")
		}), "; ")
	}
	for _, c := range []struct {
		uid, when, want string
		day             int
	}{
		{"lbrzecz", "before", "wiki-editors", 1},
		{"lbrzecz", "joined one", "vpn; wiki-editors", 2},
		{"lbrzecz", "lost the other", "vpn", 5},
		{"jfalcao", "before", "legal, finance", 3},
		{"jfalcao", "lost the last", "", 4},
		{"thorg", "before", "", 2},
		{"thorg", "joined the first", "vpn", 3},
		{"tndlovu", "cycle", "builders; platform-admins", 0},
		{"sndiaye", "cycle", "platform-oncall; ビルド", 0},
	} {
		if got := access(c.day, c.uid); got != c.want {
			t.Errorf("%s, %s: in %q, want %q", c.uid, c.when, got, c.want)
		}
	}
	oncall, admins := days[0].byDN("cn=platform-oncall,ou=groups,dc=example"), days[0].byDN("cn=platform-admins,ou=groups,dc=example")
	if !slices.Contains(oncall.values["member"], admins.dn) || !slices.Contains(admins.values["member"], oncall.dn) {
		t.Error("the two platform groups do not hold one another")
	}
	// One bad day each.
	for n, d := range days {
		if got := d.byDN("mail=ichernykh@example.com,o=com,dc=example").values["uid"] == nil; got != (n == 3) {
			t.Errorf("ichernykh, day %d: no uid: %v", n, got)
		}
		if got := d.byUID("nberidze").broken; got != (n == 5) {
			t.Errorf("nberidze, day %d: broken base64: %v", n, got)
		}
		if got := row(n, "stesfaye")["EmployeeID"] == nil; got != (n == 4) {
			t.Errorf("stesfaye, day %d: no EmployeeID: %v", n, got)
		}
		id, rows := row(n, "fbenali")["EmployeeID"], 0
		for _, r := range d.rows {
			if r["EmployeeID"] == id {
				rows++
			}
		}
		if (rows == 2) != (n == 6) {
			t.Errorf("fbenali, day %d: %d rows with the EmployeeID", n, rows)
		}
	}
	// Every story happens, and on the days that the cast says.
	happened := map[synth.Story]bool{}
	for _, c := range synth.Cast() {
		for _, e := range c.Events {
			if e.Day < len(days) && days[e.Day].summary.Stories[e.Story] == 0 {
				t.Errorf("day %d does not tell of %s", e.Day, e.Story)
			}
		}
	}
	for _, d := range days {
		for s := range d.summary.Stories {
			happened[s] = true
		}
	}
	for s := synth.PreHired; s <= synth.BrokenProfile; s++ {
		if !happened[s] {
			t.Errorf("nobody is %s in the week", s)
		}
	}
}

// TestCastTable compares the table in the package documentation with the cast.
func TestCastTable(t *testing.T) {
	var table strings.Builder
	for _, c := range synth.Cast() {
		fmt.Fprintf(&table, "//	%2d %s (%s): %s\n", c.Index, c.Name, c.Login, c.Role)
		for _, e := range c.Events {
			line := fmt.Sprintf("//	   day %d: %s", e.Day, strings.ReplaceAll(e.Story.String(), "_", " "))
			if e.Of != "" {
				line += " (" + e.Of + ")"
			}
			table.WriteString(line + "\n")
		}
	}
	if !strings.Contains(string(read(t, "doc.go")), table.String()) {
		t.Errorf("doc.go lacks this table:\n%s", table.String())
	}
}

// contents returns what is in the files.
func contents(t *testing.T, dir string) (all [][]byte) {
	for _, name := range sources {
		all = append(all, read(t, filepath.Join(dir, name)))
	}
	return all
}

// TestFiles: a later day replaces the sources and nothing else, and a write
// that ends early changes nothing.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	o := synth.Options{People: 60, Seed: 1, Config: []byte("first: true\n")}
	write(t, dir, o)
	names := func() (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"accounts.jsonl", "cis.yaml", "directory.jsonl", "github.json", "people.ldif", "workers.json"}) {
		t.Fatalf("the folder holds %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "cis.db"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"accounts.jsonl", "cis.db", "cis.yaml", "directory.jsonl", "github.json", "people.ldif", "workers.json"}
	before := contents(t, dir)
	o.Day, o.Config = 1, []byte("second: true\n")
	s := write(t, dir, o)
	if want := time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC); !s.Now.Equal(want) {
		t.Errorf("day 1 is %s, want %s", s.Now, want)
	}
	if got := names(); !slices.Equal(got, all) {
		t.Errorf("the folder holds %v", got)
	}
	if string(read(t, filepath.Join(dir, "cis.yaml"))) != "first: true\n" || string(read(t, filepath.Join(dir, "cis.db"))) != "mine" {
		t.Error("other files were touched")
	}
	after := contents(t, dir)
	for i, name := range sources {
		if bytes.Equal(before[i], after[i]) {
			t.Errorf("%s is that of day 0", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Day, o.People = 2, 5000
	o.Progress = func(int, int) { cancel() }
	if _, err := synth.Write(ctx, dir, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if got := names(); !slices.Equal(got, all) || !slices.EqualFunc(after, contents(t, dir), bytes.Equal) {
		t.Errorf("cancelled: the folder holds %v, or other contents", got)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []synth.Options{{}, {People: -1}, {People: synth.MaxPeople + 1}, {People: 50, Day: -1}, {People: 50, Day: synth.MaxDay + 1}} {
		if _, err := synth.Write(t.Context(), t.TempDir(), o); err == nil || !strings.HasPrefix(err.Error(), "synth: ") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	var steps []int
	start := time.Date(2030, 1, 1, 9, 0, 0, 0, time.FixedZone("", 3600))
	s := write(t, t.TempDir(), synth.Options{People: 2500, Day: 10, Start: start, Progress: func(done, total int) { steps = append(steps, done, total) }})
	if want := time.Date(2030, 1, 11, 8, 0, 0, 0, time.UTC); s.Now != want {
		t.Errorf("got %v, want %v", s.Now, want)
	}
	if n := len(steps); n != 8 || steps[0] != 1000 || steps[6] != steps[7] || steps[1] != steps[7] {
		t.Errorf("progress: %v", steps)
	}
	b, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(b), `"joined":`) {
		t.Errorf("got %s, %v", b, err)
	}
}

// TestAnySize writes companies of odd sizes, and days far away.
func TestAnySize(t *testing.T) {
	for _, people := range []int{1, 2, 12, 40, 41, 42, 43, 49, 90} {
		for _, n := range []int{0, 1, 7, 600} {
			d := generate(t, synth.Options{People: people, Seed: int64(people), Day: n})
			if d.summary.People == 0 || d.summary.Workers == 0 {
				t.Errorf("%d people, day %d: %+v", people, n, d.summary)
			}
		}
	}
}

// TestLastDay is the end of the arithmetic.
func TestLastDay(t *testing.T) {
	if s := write(t, t.TempDir(), synth.Options{People: 43, Seed: 1, Day: synth.MaxDay}); s.People < 43 {
		t.Errorf("got %+v", s)
	}
}

// TestSlapadd loads a clean company into OpenLDAP.
func TestSlapadd(t *testing.T) {
	slapadd, err := exec.LookPath("slapadd")
	if err != nil {
		slapadd, err = exec.LookPath("/usr/sbin/slapadd")
	}
	if err != nil {
		if os.Getenv("CIS_REQUIRE_ALL") == "1" {
			t.Fatal("slapadd is not installed")
		}
		t.Skip("slapadd (OpenLDAP) is not installed")
	}
	dir := t.TempDir()
	write(t, dir, synth.Options{People: 1000, Seed: 4, Day: 6, Clean: true})
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/nis.schema\n" +
		"include /etc/ldap/schema/inetorgperson.schema\ninclude " + file("people.schema", synth.Schema) + "\n" +
		"modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix dc=example\ndbnosync\nmaxsize 104857600\ndirectory " + dir + "\n"
	if out, err := exec.CommandContext(t.Context(), slapadd, "-f", file("slapd.conf", conf), "-l", filepath.Join(dir, synth.PeopleFile)).CombinedOutput(); err != nil {
		t.Errorf("slapadd: %v\n%s", err, out)
	}
}

func BenchmarkWrite(b *testing.B) {
	const people = 20_000
	dir := b.TempDir()
	for i := 0; b.Loop(); i++ {
		write(b, dir, synth.Options{People: people, Seed: 1, Day: i % 8})
	}
	b.ReportMetric(float64(people*b.N)/b.Elapsed().Seconds(), "people/s")
}
