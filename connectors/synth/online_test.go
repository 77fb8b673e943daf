package synth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/connectors/synth"
)

// An online is the files of GitHub, the people directory and the access
// provider, read by the test itself.
type online struct {
	hubJSON, profileLines, accountLines []byte

	orgs  []hubOrg
	users []hubUser
	// profiles and accounts are the lines that are JSON; the rest is counted.
	profiles, accounts             []object
	brokenProfiles, brokenAccounts int
}

type hubOrg struct {
	Login   string       `json:"login"`
	ID      int          `json:"id"`
	Members []hubAccount `json:"members"`
	Outside []hubAccount `json:"outside_collaborators"`
	Teams   []hubTeam    `json:"teams"`
}

type hubAccount struct {
	ID    int    `json:"id"`
	Login string `json:"login"`
	Node  string `json:"node_id"`
	Role  string `json:"role"`
}

type hubTeam struct {
	Slug    string       `json:"slug"`
	Parent  *string      `json:"parent"`
	Members []hubAccount `json:"members"`
}

type hubUser struct {
	ID    int     `json:"id"`
	Email *string `json:"email"`
}

// An object is one of JSON.
type object map[string]any

// at returns what stands under keys, one below the other; nil if nothing does.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// text returns a string, "" if there is none.
func (o object) text(path ...string) string {
	s, _ := o.at(path...).(string)
	return s
}

// attribute returns the attribute of a profile at "name" or "container.name".
func (o object) attribute(path string) object {
	a, _ := o.at(strings.Split(path, ".")...).(map[string]any)
	return a
}

// said returns what a profile says there in the directory's name: the value,
// the sorted keys of a map, "silent" for nothing or null.
func (o object) said(path string) string {
	a := o.attribute(path)
	v := a["value"]
	if v == nil {
		v = a["values"]
	}
	switch v := v.(type) {
	case map[string]any:
		if a.text("signature", "publisher", "name") == "mozilliansorg" {
			return strings.Join(slices.Sorted(maps.Keys(v)), ", ")
		}
	case nil:
	default:
		if a.text("signature", "publisher", "name") == "mozilliansorg" {
			return fmt.Sprint(v)
		}
	}
	return "silent"
}

func (d *day) parse(t testing.TB, dir string) {
	t.Helper()
	d.hubJSON = read(t, filepath.Join(dir, synth.GitHubFile))
	d.profileLines = read(t, filepath.Join(dir, synth.DirectoryFile))
	d.accountLines = read(t, filepath.Join(dir, synth.AccountsFile))
	dec := json.NewDecoder(bytes.NewReader(d.hubJSON))
	dec.DisallowUnknownFields()
	var file struct {
		Organizations []hubOrg  `json:"organizations"`
		Users         []hubUser `json:"users"`
	}
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	d.orgs, d.users = file.Organizations, file.Users
	d.profiles, d.brokenProfiles = parseLines(t, d.profileLines)
	d.accounts, d.brokenAccounts = parseLines(t, d.accountLines)
}

func parseLines(t testing.TB, b []byte) (all []object, broken int) {
	t.Helper()
	for line := range bytes.Lines(b) {
		var o object
		switch {
		case !bytes.HasSuffix(line, []byte("\n")):
			t.Fatal("the last line has no end")
		case json.Unmarshal(line, &o) != nil:
			broken++
		default:
			all = append(all, o)
		}
	}
	return all, broken
}

// profile and account return those of a user_id.
func (d *day) profile(id string) object {
	for _, p := range d.profiles {
		if p.text("user_id", "value") == id {
			return p
		}
	}
	return nil
}

func (d *day) account(id string) object {
	for _, a := range d.accounts {
		if a.text("user_id") == id {
			return a
		}
	}
	return nil
}

// seats returns what an account at GitHub is in, with roles, and its login.
func (d *day) seats(id int) (in []string, login string) {
	for _, o := range d.orgs {
		for _, m := range o.Members {
			if m.ID == id {
				in, login = append(in, o.Login+"="+m.Role), m.Login
			}
		}
		for _, m := range o.Outside {
			if m.ID == id {
				in, login = append(in, o.Login+"#outside"), m.Login
			}
		}
		for _, team := range o.Teams {
			for _, m := range team.Members {
				if m.ID == id {
					in = append(in, o.Login+"/"+team.Slug+"="+m.Role)
				}
			}
		}
	}
	return in, login
}

var handle = regexp.MustCompile(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)

// checkHub checks what holds for github.json as a whole.
func checkHub(t *testing.T, days []*day) {
	for n, d := range days {
		if len(d.orgs) != 3 {
			t.Fatalf("day %d: %d organisations", n, len(d.orgs))
		}
		accounts := map[int]hubAccount{}
		logins, nodes := map[string]int{}, map[string]int{}
		nameless, nested := 0, 0
		meet := func(a hubAccount) {
			if a.ID == 0 {
				nameless++
				return
			}
			a.Role = ""
			if b, known := accounts[a.ID]; known && a != b {
				t.Errorf("day %d: %+v and %+v", n, a, b)
			}
			accounts[a.ID], logins[strings.ToLower(a.Login)], nodes[a.Node] = a, a.ID, a.ID
			if !handle.MatchString(a.Login) || len(a.Login) > 39 || a.Node == "" {
				t.Errorf("day %d: %+v", n, a)
			}
		}
		for _, o := range d.orgs {
			members := map[int]bool{}
			for _, a := range o.Members {
				meet(a)
				if members[a.ID] || a.Role != "member" && a.Role != "admin" {
					t.Errorf("day %d: %+v in %s", n, a, o.Login)
				}
				members[a.ID] = true
			}
			for _, a := range o.Outside {
				meet(a)
				if members[a.ID] || a.Role != "" {
					t.Errorf("day %d: %+v outside of %s", n, a, o.Login)
				}
			}
			parents := map[string]*string{}
			for _, team := range o.Teams {
				if _, twice := parents[team.Slug]; twice {
					t.Errorf("day %d: two teams %s", n, team.Slug)
				}
				parents[team.Slug] = team.Parent
				seen := map[int]bool{}
				for _, m := range team.Members {
					if !members[m.ID] || seen[m.ID] || m.Role != "member" && m.Role != "maintainer" || m.Login != "" {
						t.Errorf("day %d: %+v in %s/%s", n, m, o.Login, team.Slug)
					}
					seen[m.ID] = true
				}
			}
			for slug, up := range parents {
				for steps := 0; up != nil; steps++ {
					parent, known := parents[*up]
					if !known || steps > len(parents) {
						t.Fatalf("day %d: %s has no ancestors", n, slug)
					}
					up = parent
					nested++
				}
			}
		}
		if len(logins) != len(accounts) || len(nodes) != len(accounts) {
			t.Errorf("day %d: %d accounts have %d logins and %d node ids", n, len(accounts), len(logins), len(nodes))
		}
		if s := d.summary; nameless != s.Stories[synth.NoGitHubID] || len(accounts)+nameless != s.GitHub || len(d.users) != s.GitHub {
			t.Errorf("day %d: %d accounts, %d without id, details of %d; the summary says %+v", n, len(accounts), nameless, len(d.users), s)
		}
		unknown := 0
		for _, u := range d.users {
			if _, known := accounts[u.ID]; !known {
				unknown++
			}
		}
		if unknown != nameless || nested == 0 {
			t.Errorf("day %d: %d of users are unknown, %d teams above others", n, unknown, nested)
		}
	}
}

var (
	username = regexp.MustCompile(`^[a-z0-9_-]{2,64}$`)
	audience = []any{nil, "public", "authenticated", "vouched", "ndaed", "staff", "private"}
)

// checkProfiles checks what holds for directory.jsonl as a whole.
func checkProfiles(t *testing.T, days []*day) {
	for n, d := range days {
		// The directory follows a uid some days later.
		known := map[string]bool{}
		for _, d := range days[max(0, n-2) : n+1] {
			for _, e := range d.entries {
				known["ad|Mozilla-LDAP|"+e.one("uid")] = true
			}
		}
		for _, a := range d.accounts {
			known[a.text("user_id")] = true
		}
		seen, links := map[string]bool{}, map[string]bool{}
		nobodys, noID, odd, echoes, whole := 0, 0, 0, 0, 0
		for _, p := range d.profiles {
			id := p.text("user_id", "value")
			switch {
			case id == "":
				noID++
			case seen[id]:
				t.Errorf("day %d: %s twice", n, id)
			case !known[id]:
				nobodys++
			}
			seen[id] = true
			attributes := 0
			each(p, func(path string, a object) {
				attributes++
				publisher := a.text("signature", "publisher", "name")
				if publisher != "mozilliansorg" && path != "user_id" {
					echoes++
				}
				if !slices.Contains(audience, a.at("metadata", "display")) || a.text("metadata", "classification") == "" || publisher == "" {
					t.Errorf("day %d: %s: %v", n, path, a)
				}
				for _, date := range []string{"created", "last_modified"} {
					at, err := time.Parse("2006-01-02T15:04:05.000Z", a.text("metadata", date))
					if err != nil || at.After(d.summary.Now) {
						t.Errorf("day %d: %s %s: %v", n, path, date, a.at("metadata", date))
					}
				}
				values, _ := a["values"].(map[string]any)
				for _, v := range values {
					switch v.(type) {
					case string, nil:
					default:
						odd++
					}
				}
			})
			if attributes > 50 {
				whole++
			}
			if name := p.said("primary_username"); name != "silent" && !username.MatchString(name) {
				t.Errorf("day %d: username %q", n, name)
			}
			if link := p.said("identities.github_id_v3"); link != "silent" && link != "" {
				if links[link] {
					t.Errorf("day %d: %s is linked twice", n, link)
				}
				links[link] = true
			}
		}
		s := d.summary
		if noID != s.Stories[synth.NoProfileID] || odd != s.Stories[synth.OddValue] || d.brokenProfiles != s.Stories[synth.BrokenProfile] ||
			len(d.profiles)+d.brokenProfiles != s.Profiles {
			t.Errorf("day %d: %d profiles, %d without user_id, %d odd, %d broken; the summary says %+v", n, len(d.profiles), noID, odd, d.brokenProfiles, s)
		}
		if most := 1 + s.Profiles/50; nobodys < 1 || nobodys > most || echoes == 0 || whole == 0 {
			t.Errorf("day %d: %d profiles are nobody's, %d echoes, %d whole", n, nobodys, echoes, whole)
		}
		lost := 0
		for link := range links {
			var id int
			fmt.Sscan(link, &id)
			if in, _ := d.seats(id); in == nil {
				lost++
			}
		}
		if most := 1 + s.Stories[synth.NoGitHubID]; lost > most {
			t.Errorf("day %d: %d linked accounts are not at GitHub", n, lost)
		}
	}
}

// each calls f for every attribute of a profile.
func each(p object, f func(path string, a object)) {
	for name, v := range p {
		o, ok := v.(map[string]any)
		switch {
		case !ok:
		case o["metadata"] != nil:
			f(name, o)
		default:
			for second, v := range o {
				f(name+"."+second, v.(map[string]any))
			}
		}
	}
}

// checkAccounts checks what holds for accounts.jsonl as a whole.
func checkAccounts(t *testing.T, days []*day) {
	const ldap = "ad|Mozilla-LDAP|"
	for n, d := range days {
		mails := map[string]string{}
		for _, e := range d.entries {
			if uid := e.one("uid"); uid != "" && !strings.HasPrefix(uid, "svc-") {
				mails[ldap+uid] = e.one("mail")
			}
		}
		seen, logins := map[string]bool{}, map[string]bool{}
		noID, inside, strange, otherMail := 0, 0, 0, 0
		for _, a := range d.accounts {
			id := a.text("user_id")
			identities := a.at("identities").([]any)
			for i, l := range identities {
				l := object(l.(map[string]any))
				login := l.text("provider") + "|" + l.text("user_id")
				if number, ok := l["user_id"].(float64); ok {
					login += fmt.Sprintf("%.0f", number)
				}
				if logins[login] || i == 0 && id != "" && login != id || (i > 0) != (l["profileData"] != nil) {
					t.Errorf("day %d: %s: login %d is %s", n, id, i, login)
				}
				logins[login] = true
			}
			created, err := time.Parse(time.RFC3339, a.text("created_at"))
			if err != nil || created.After(d.summary.Now) || a.text("email") == "" {
				t.Errorf("day %d: %s: created_at %q", n, id, a.text("created_at"))
			}
			mail, isLDAP := mails[id]
			switch {
			case id == "":
				noID++
				continue
			case seen[id]:
				t.Errorf("day %d: %s twice", n, id)
			case isLDAP:
				inside++
				if mail != a.text("email") {
					otherMail++
				}
			case strings.HasPrefix(id, ldap):
				strange++
			}
			seen[id] = true
		}
		s := d.summary
		if noID != s.Stories[synth.NoUserID] || d.brokenAccounts != s.Stories[synth.BrokenAccount] || len(d.accounts)+d.brokenAccounts != s.Accounts {
			t.Errorf("day %d: %d accounts, %d without user_id, %d broken; the summary says %+v", n, len(d.accounts), noID, d.brokenAccounts, s)
		}
		// Whoever has no uid in LDAP today is a stranger; one person logs in under another mail.
		if strange > s.Stories[synth.NoUID] || otherMail != 1 || inside < len(mails)*9/10-2 {
			t.Errorf("day %d: %d of %d in LDAP have an account, %d accounts are not in LDAP, %d have another mail", n, inside, len(mails), strange, otherMail)
		}
	}
}

// TestProportions checks how large the sources of a company of 1,000 are.
func TestProportions(t *testing.T) {
	d := generate(t, synth.Options{People: 1000, Seed: 9})
	linked := map[string]bool{}
	contributors := map[string]int{}
	blocked, second := 0, 0
	for _, p := range d.profiles {
		linked[p.said("identities.github_id_v3")] = true
	}
	for _, a := range d.accounts {
		provider, _, _ := strings.Cut(a.text("user_id"), "|")
		contributors[provider]++
		if a["blocked"] == true {
			blocked++
		}
		identities := a.at("identities").([]any)
		if len(identities) > 1 {
			second++
		}
		for _, l := range identities {
			if l := object(l.(map[string]any)); l.text("provider") == "github" {
				linked[fmt.Sprintf("%.0f", l["user_id"])] = true
			}
		}
	}
	github := 0
	for _, u := range d.users {
		if linked[fmt.Sprint(u.ID)] {
			github++
		}
	}
	within := func(what string, got, low, high int) {
		if got < low || got > high {
			t.Errorf("%s: %d, want %d to %d", what, got, low, high)
		}
	}
	s := d.summary
	within("accounts of people in LDAP", contributors["ad"], 870, 950)
	within("accounts of contributors", s.Accounts-contributors["ad"], 130, 170)
	for _, provider := range []string{"github", "google-oauth2", "oauth2", "email"} {
		within("contributors by "+provider, contributors[provider], 8, 100)
	}
	within("blocked accounts", blocked, 1, 15)
	within("accounts with several logins", second, 40, 200)
	within("profiles", s.Profiles, 550, 650)
	within("accounts at GitHub", s.GitHub, 270, 340)
	within("linked ones", github, 190, 260)
}

// TestClean: nothing is wrong with a clean company.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	for n := range 8 {
		s := write(t, dir, synth.Options{People: 1000, Seed: 2, Day: n, Clean: true})
		for _, fault := range []synth.Story{synth.NoUserID, synth.BrokenAccount, synth.NoGitHubID, synth.NoProfileID, synth.OddValue, synth.BrokenProfile} {
			if s.Stories[fault] > 0 {
				t.Errorf("day %d: %s", n, fault)
			}
		}
		var d day
		d.parse(t, dir)
		if d.brokenProfiles+d.brokenAccounts > 0 || d.profile("") != nil || d.account("") != nil {
			t.Errorf("day %d: bad rows", n)
		}
		for _, o := range d.orgs {
			if slices.ContainsFunc(o.Members, func(a hubAccount) bool { return a.ID == 0 }) {
				t.Errorf("day %d: a member without id", n)
			}
		}
	}
}

// followOnline follows the characters through the three files.
func followOnline(t *testing.T, days []*day) {
	ids := map[string]string{}
	for _, c := range synth.Cast() {
		if _, twice := ids[c.Name]; !twice || c.Index < 41 {
			ids[c.Name] = c.UserID
		}
	}
	// each day's value, in the form of "a*3 b*6".
	over := func(what func(d *day) string) string {
		var runs []string
		last, times := "", 0
		for i, d := range days {
			if v := what(d); i == 0 || v != last {
				if i > 0 {
					runs = append(runs, fmt.Sprintf("%s*%d", last, times))
				}
				last, times = v, 0
			}
			times++
		}
		return strings.Join(append(runs, fmt.Sprintf("%s*%d", last, times)), " ")
	}
	account := func(name string, of func(a object) string) func(d *day) string {
		return func(d *day) string {
			if a := d.account(ids[name]); a != nil {
				return of(a)
			}
			return "-"
		}
	}
	logins := func(a object) string {
		var all []string
		for _, l := range a.at("identities").([]any) {
			all = append(all, object(l.(map[string]any)).text("connection"))
		}
		return strings.Join(all, "+")
	}
	blocked := func(a object) string { return fmt.Sprint(a["blocked"] == true) }
	said := func(name, path string) func(d *day) string {
		return func(d *day) string {
			if p := d.profile(ids[name]); p != nil {
				return p.said(path)
			}
			return "-"
		}
	}
	shown := func(name, path string) func(d *day) string {
		return func(d *day) string {
			a := d.profile(ids[name]).attribute(path)
			return fmt.Sprintf("%v/%v", a.text("signature", "publisher", "name"), a.at("metadata", "display"))
		}
	}
	hub := func(id int) func(d *day) string {
		return func(d *day) string { in, _ := d.seats(id); return strings.Join(in, ",") }
	}
	person, outsider := func(i int) int { return 20_000_000 + 26*i }, func(j int) int { return 20_000_013 + 26*j }
	for _, c := range []struct {
		what string
		is   func(d *day) string
		want string
	}{
		{"first login of Inês Duarte", account("Inês Duarte", logins), "-*2 github*7"},
		{"who was at GitHub before", hub(outsider(0)), "example-labs#outside*9"},
		{"account of Nguyễn Hoa", account("Nguyễn Hoa", logins), "-*4 Mozilla-LDAP*5"},
		{"account of Zoë Müller-Lüdenscheidt", account("Zoë Müller-Lüdenscheidt", logins), "-*1 Mozilla-LDAP*8"},
		{"Tomasz Zieliński is blocked", account("Tomasz Zieliński", blocked), "false*2 true*3 false*4"},
		{"Petro Honchar is blocked", account("Petro Honchar", blocked), "false*3 true*2 false*4"},
		{"logins of Oksana Honchar", account("Oksana Honchar", logins), "Mozilla-LDAP*2 Mozilla-LDAP+google-oauth2*7"},
		{"logins of Mei-Ling", account("蔡美玲", logins), "google-oauth2*3 google-oauth2+firefoxaccounts*3 google-oauth2*3"},
		{"Kofi Mensah is deleted", account("Kofi Mensah", logins), "github*3 -*6"},
		{"logins of Chloé", account("Chloé Lefèvre-Dubois", logins), "Mozilla-LDAP+github*9"},
		{"account under the new uid", func(d *day) string {
			return fmt.Sprint(d.account("ad|Mozilla-LDAP|asharma") != nil, d.account("ad|Mozilla-LDAP|ananya") != nil)
		}, "true false*5 false true*4"},
		{"no user_id", account("Иван Черных", logins), "Mozilla-LDAP*5 -*1 Mozilla-LDAP*3"},
		{"broken account", account("김민준", logins), "Mozilla-LDAP*2 -*1 Mozilla-LDAP*6"},

		{"link made", said("Siobhán O'Brien", "identities.github_id_v3"), "silent*2 20000130*7"},
		{"link lost", said("Marco D’Angelo", "identities.github_id_v3"), "20000182*3 *6"},
		{"and the login with it", said("Marco D’Angelo", "usernames"), "HACK#GITHUB*3 *6"},
		{"first name of Friederike", said("Friederike Leutheusser-Schnarrenberger", "first_name"), "silent*2 Fritzi*7"},
		{"display of Nia's mail", shown("Nia Ní Bhriain", "primary_email"), "/<nil>*3 mozilliansorg/vouched*6"},
		{"value of Nia's mail", said("Nia Ní Bhriain", "primary_email"), "silent*3 nnibhriain@example.com*6"},
		{"Iñigo overreaches", said("Iñigo Güell", "primary_email"), "silent*4 someone.else@example.com*3 silent*2"},
		{"and says more on the same day", said("Iñigo Güell", "fun_title"), "silent*4 Maker of Maps*5"},
		{"groups of Łukasz", said("Łukasz Brzęczyszczykiewicz", "access_information.mozilliansorg"), "mentors*3 mentors, nda*3 nda*3"},
		{"username of Suharto", said("Suharto", "primary_username"), "silent*2 suharto*7"},
		{"the same, wanted by Yuki", said("新井 勇気", "primary_username"), "silent*5 suharto*3 silent*1"},
		{"Anahera's profile", said("Anahera Parata", "primary_username"), "-*1 silent*3 anahera*5"},
		{"nobody's profile", said("Lotte Verloren", "access_information.mozilliansorg"), "nda*9"},
		{"broken profile", said("Δήμητρα Ξενάκη", "fun_title"), "silent*4 -*1 silent*4"},
		{"no profile id", said("فاطمة بن علي", "fun_title"), "silent*3 -*1 silent*5"},
		{"odd value", said("ሰላም ተስፋዬ", "tags"), "silent*6 bees*1 silent*2"},

		{"login of Hanako", func(d *day) string { _, login := d.seats(person(8)); return login }, "hsato2003*3 hana-sato*6"},
		{"her profile", func(d *day) string {
			return d.profile("ad|Mozilla-LDAP|hsato").text("usernames", "values", "HACK#GITHUB")
		}, "hsato2003*9"},
		{"organisation emptied", func(d *day) string { return fmt.Sprint(len(d.orgs[2].Members), len(d.orgs[2].Teams[0].Members)) }, "3 2*1 0 0*8"},
		{"the chief stays in others", hub(person(0)), "example=admin,example/engineering=member,example-labs=admin,example-archive=admin*1 example=admin,example/engineering=member,example-labs=admin*8"},
		{"João is nowhere", hub(person(23)), "example-archive=member,example-archive/keepers=member*1 *8"},
		{"organisation joined and left", hub(person(24)), "example=member*2 example=member,example-labs=member*4 example=member*3"},
		{"team left", hub(person(10)), "example=member,example/engineering=member,example/docs=member*2 example=member,example/engineering=member*7"},
		{"team joined", hub(person(25)), "example=admin,example/engineering=maintainer*5 example=admin,example/engineering=maintainer,example/docs=member*4"},
		{"team nested", func(d *day) string {
			if up := d.orgs[0].Teams[1].Parent; up != nil {
				return *up
			}
			return "-"
		}, "-*4 engineering*5"},
		{"no GitHub id", hub(person(29)), "example=member*2 *1 example=member*6"},
	} {
		if got := over(c.is); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.what, got, c.want)
		}
	}

	// The sources say different things of Roberto, and three of them know usernames of Sékou.
	d := days[0]
	r, a, p := d.byUID("rdellacqua"), d.account("ad|Mozilla-LDAP|rdellacqua"), d.profile("ad|Mozilla-LDAP|rdellacqua")
	row := d.byMail("rdellacqua@example.com")[0]
	different := func(what string, values ...string) {
		slices.Sort(values)
		if len(slices.Compact(slices.Clone(values))) != len(values) || values[0] == "" || values[0] == "silent" {
			t.Errorf("%s: %q", what, values)
		}
	}
	hubMail := ""
	for _, u := range d.users {
		if u.ID == person(34) && u.Email != nil {
			hubMail = *u.Email
		}
	}
	different("first names", r.one("givenName"), a.text("given_name"), p.said("first_name"))
	different("titles", r.one("title"), row["businessTitle"].(string), p.said("fun_title"))
	different("mails", r.one("mail"), a.text("email"), p.said("identities.custom_1_primary_email"), hubMail)
	different("zones", row["Time_Zone"].(string), p.said("timezone"))
	if _, login := d.seats(person(26)); login != "sekou-nd" || d.byUID("sndiaye") == nil || d.profile("ad|Mozilla-LDAP|sndiaye").said("usernames") != "HACK#GITHUB, MATRIX" {
		t.Error("usernames of Sékou N'Diaye")
	}
	// Two accounts of one human, with one mail.
	if again := synth.Cast()[47]; d.account(again.UserID).text("email") != d.account("ad|Mozilla-LDAP|sobrien").text("email") {
		t.Errorf("%s has another mail", again.Name)
	}
}
