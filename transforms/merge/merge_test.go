package merge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
)

var (
	cat = catalogue.Default()
	id  = people.ID{0x0e, 0x84}
	now = time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC)
)

// The words in which the tables are written.
type (
	profile  map[people.Path]any // a value, or a stored
	evidence []people.Observation
	stored   struct {
		value   any
		display string
	}
)

func value(path people.Path, v any) people.Value {
	switch v := v.(type) {
	case nil:
		return cat.Null(path).Value
	case string:
		return people.StringValue(v)
	case bool:
		return people.BoolValue(v)
	case []string: // "key" or "key=text"
		var e []people.Entry
		for _, s := range v {
			key, text, found := strings.Cut(s, "=")
			e = append(e, people.Entry{Key: key, Value: text, Null: !found})
		}
		return people.MapValue(e...)
	}
	panic(fmt.Sprintf("no value: %v", v))
}

func keys(s ...string) []string { return s }

func (p profile) profile() *people.Profile {
	if p == nil {
		return nil
	}
	out := cat.NullProfile()
	for path, v := range p {
		a, ok := out.Find(path)
		if !ok {
			a = cat.Null(path)
		}
		s, ok := v.(stored)
		if !ok {
			s = stored{v, a.Metadata.Display}
		}
		a.Value, a.Metadata.Display = value(path, s.value), s.display
		out.Set(path, a)
	}
	return out
}

// known is the profile of somebody who is here already.
func known(more profile) profile {
	p := profile{"uuid": id.String(), "primary_username": "r--x", "user_id": "ad|Mozilla-LDAP|ada", "active": true, "created": "2026-01-01T00:00:00.000Z"}
	for path, v := range more {
		p[path] = v
	}
	return p
}

func claim(path people.Path, v any) people.Claim {
	return people.Claim{Path: path, Value: value(path, v), Since: now}
}
func empty(path people.Path) people.Claim { return people.Claim{Path: path, Empty: true, Since: now} }
func shown(c people.Claim, display string) people.Claim {
	c.Display = display
	return c
}

func unverified(c people.Claim) people.Claim {
	c.Unverified = true
	return c
}

func says(p people.Publisher, claims ...people.Claim) people.Observation {
	o := people.Observation{Publisher: p, Record: "1", Lifecycle: people.Present, Claims: claims, SeenAt: now}
	o.Sort()
	return o
}
func with(l people.Lifecycle, o people.Observation) people.Observation {
	o.Lifecycle = l
	return o
}

func (e evidence) evidence() people.Evidence {
	out := people.Evidence{Observations: slices.Clone(e)}
	slices.SortFunc(out.Observations, func(a, b people.Observation) int { return strings.Compare(string(a.Publisher), string(b.Publisher)) })
	return out
}

// tell writes decisions as lines: class, path, new value, its display if it
// has one, whose claim it is, who signs if that is somebody else, and the rule.
func tell(decisions []merge.Decision) []string {
	var lines []string
	for _, d := range decisions {
		display, by := "", ""
		if d.New.Display != "" {
			display = " [" + d.New.Display + "]"
		}
		if d.Publisher != d.Source {
			by = ", signed by " + string(d.Publisher)
		}
		if !d.New.Verified {
			by += ", unverified"
		}
		lines = append(lines, fmt.Sprintf("%s %s = %s%s by %s%s, %s", d.Class, d.Path, d.New.Value, display, d.Source, by, d.Rule))
	}
	return lines
}

type situation struct {
	name      string
	stored    profile
	says      evidence
	cleared   []people.Cleared
	first     []people.Publisher
	protected bool
	want      []string
}

func (s situation) input() merge.Input {
	e := s.says.evidence()
	e.Cleared = s.cleared
	return merge.Input{ID: id, Username: "r--x", Stored: s.stored.profile(), Evidence: e, Catalogue: cat, Now: now, First: s.first, Protected: s.protected}
}

func decide(t *testing.T, table []situation) {
	t.Helper()
	for _, s := range table {
		t.Run(s.name, func(t *testing.T) {
			decisions, _ := merge.Merge(s.input())
			if got := tell(decisions); !slices.Equal(got, s.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(s.want, "\n  "))
			}
		})
	}
}

func TestSomebodyNew(t *testing.T) {
	ldap := says(people.LDAP, claim("user_id", "ad|Mozilla-LDAP|ada"), claim("first_name", "Ada"), shown(claim("primary_email", "ada@example.org"), "staff"),
		claim("access_information.ldap", keys("vpn")), claim("usernames", keys("LDAP-posix_id=ada")))
	decide(t, []situation{
		{name: "by LDAP", says: evidence{ldap}, want: []string{
			`create access_information.ldap = {"vpn":null} by ldap, updater`,
			`create active = true by ldap, signed by cis, lifecycle`,
			`create created = "2026-03-05T08:00:00.000Z" by cis, identity`,
			`create first_name = "Ada" by ldap, creator`,
			`create primary_email = "ada@example.org" [staff] by ldap, creator`,
			`create primary_username = "r--x" [public] by cis, identity`,
			`create user_id = "ad|Mozilla-LDAP|ada" by ldap, creator`,
			`create usernames = {"LDAP-posix_id":"ada"} by ldap, signed by cis, composed`,
			`create uuid = "0e840000-0000-0000-0000-000000000000" [public] by cis, identity`,
		}},
		{name: "who says since when they are known", says: evidence{says(people.LDAP, claim("created", "2025-01-01T00:00:00.000Z"))}, want: []string{
			`create active = true by ldap, signed by cis, lifecycle`,
			`create created = "2025-01-01T00:00:00.000Z" by ldap, creator`,
			`create primary_username = "r--x" [public] by cis, identity`,
			`create uuid = "0e840000-0000-0000-0000-000000000000" [public] by cis, identity`,
		}},
		{name: "who is ended already", says: evidence{with(people.Ended, says(people.LDAP, claim("created", "2025-01-01T00:00:00.000Z")))}, want: []string{
			`create active = false by ldap, signed by cis, lifecycle`,
			`create created = "2025-01-01T00:00:00.000Z" by ldap, creator`,
			`create primary_username = "r--x" [public] by cis, identity`,
			`create uuid = "0e840000-0000-0000-0000-000000000000" [public] by cis, identity`,
		}},
	})
}

func TestWhoDecidesAValue(t *testing.T) {
	decide(t, []situation{
		{name: "a first name that is there belongs to the person", stored: known(profile{"first_name": "Ada"}), says: evidence{says(people.LDAP, claim("first_name", "Augusta"))}},
		{name: "and the person changes it", stored: known(profile{"first_name": "Ada"}), says: evidence{says(people.LDAP, claim("first_name", "Augusta")), says(people.Directory, claim("first_name", "Adele"))},
			want: []string{`update first_name = "Adele" by mozilliansorg, updater`}},
		{name: "where none is, the person goes before the create list", stored: known(nil), says: evidence{says(people.LDAP, claim("first_name", "Augusta")), says(people.Directory, claim("first_name", "Adele"))},
			want: []string{`update first_name = "Adele" by mozilliansorg, updater`}},
		{name: "then LDAP goes before HRIS", stored: known(nil), says: evidence{says(people.LDAP, claim("first_name", "Augusta")), says(people.HRIS, claim("first_name", "Ada"))},
			want: []string{`update first_name = "Augusta" by ldap, creator`}},
		{name: "and for the time zone HRIS before LDAP", stored: known(nil), says: evidence{says(people.LDAP, claim("timezone", "UTC+01:00 Europe/London")), says(people.HRIS, claim("timezone", "UTC+00:00 Europe/London"))},
			want: []string{`update timezone = "UTC+00:00 Europe/London" by hris, creator`}},
		{name: "who claims that there is none leaves it to the next", stored: known(nil), says: evidence{says(people.LDAP, empty("first_name")), says(people.HRIS, claim("first_name", "Ada"))},
			want: []string{`update first_name = "Ada" by hris, creator`}},
		{name: "HRIS changes a title that LDAP created", stored: known(profile{"staff_information.title": "Engineer"}), says: evidence{says(people.LDAP, claim("staff_information.title", "Wizard")), says(people.HRIS, claim("staff_information.title", "Manager"))},
			want: []string{`update staff_information.title = "Manager" [ndaed] by hris, updater`}},
		{name: "LDAP does not", stored: known(profile{"staff_information.title": "Engineer"}), says: evidence{says(people.LDAP, claim("staff_information.title", "Wizard"))}},
		{name: "false is a value", stored: known(profile{"staff_information.manager": true}), says: evidence{says(people.HRIS, claim("staff_information.manager", false))},
			want: []string{`update staff_information.manager = false [ndaed] by hris, updater`}},
		{name: "what HRIS may not say of anybody", stored: known(nil), says: evidence{says(people.HRIS, claim("fun_title", "x"), claim("description", "x"))}},
		{name: "an attribute that no catalogue lists", stored: known(nil), says: evidence{says(people.LDAP, people.Claim{Path: "shoe_size", Value: people.StringValue("44")})}},
		{name: "silence changes nothing", stored: known(profile{"fun_title": "Countess", "access_information.ldap": keys("vpn")}), says: evidence{says(people.LDAP)}},
		{name: "uuid and username are cis's", stored: known(nil), says: evidence{says(people.LDAP, claim("uuid", "x"), claim("primary_username", "ada"))}},
		{name: "nobody sets a uuid that an imported person lacks", stored: profile{"user_id": "ad|Mozilla-LDAP|ada"}, says: evidence{says(people.Directory, claim("uuid", "x"))}},
		{name: "the person changes a username that is there", stored: known(nil), says: evidence{says(people.LDAP), says(people.Directory, claim("primary_username", "ada"))},
			want: []string{`update primary_username = "ada" [public] by mozilliansorg, updater`}},
		{name: "and creates none", stored: profile{"user_id": "ad|Mozilla-LDAP|ada"}, says: evidence{says(people.Directory, claim("primary_username", "ada"))}},
		{name: "nor an LDAP identity", stored: known(nil), says: evidence{says(people.LDAP), says(people.Directory, claim("identities.mozilla_posix_id", "root"))}},
		{name: "verified is content", stored: known(profile{"fun_title": "Countess"}), says: evidence{says(people.LDAP), says(people.Directory, people.Claim{Path: "fun_title", Value: people.StringValue("Countess"), Unverified: true})},
			want: []string{`update fun_title = "Countess" by mozilliansorg, unverified, updater`}},
		{name: "the date of the last write is nobody's claim", stored: known(nil), says: evidence{says(people.LDAP, claim("last_modified", "2027-01-01T00:00:00.000Z"))}},
	})
}

func TestProof(t *testing.T) {
	const old, moved = "mail=ada@example.org,o=com,dc=example", "mail=lovelace@example.org,o=com,dc=example"
	there := known(profile{"identities.mozilla_ldap_id": old, "identities.mozilla_posix_id": "ada", "primary_email": "ada@example.org"})
	renamed := says(people.LDAP, claim("identities.mozilla_ldap_id", moved), claim("identities.mozilla_posix_id", "lovelace"), claim("user_id", "ad|Mozilla-LDAP|lovelace"),
		claim("primary_email", "lovelace@example.org"))
	decide(t, []situation{
		{name: "a renamed record is a relink, signed by cis", stored: there, says: evidence{renamed}, want: []string{
			`relink identities.mozilla_ldap_id = "` + moved + `" [staff] by ldap, signed by cis, proof`,
			`relink identities.mozilla_posix_id = "lovelace" [staff] by ldap, signed by cis, proof`,
			`relink user_id = "ad|Mozilla-LDAP|lovelace" by ldap, signed by cis, proof`,
		}},
		{name: "a record linked for the first time is none", stored: there, says: evidence{renamed}, first: []people.Publisher{people.LDAP}, want: []string{
			`update identities.mozilla_ldap_id = "` + moved + `" [staff] by ldap, signed by cis, proof`,
			`update identities.mozilla_posix_id = "lovelace" [staff] by ldap, signed by cis, proof`,
			`update user_id = "ad|Mozilla-LDAP|lovelace" by ldap, signed by cis, proof`,
		}},
		{name: "somebody else's first link is not LDAP's", stored: there, says: evidence{renamed}, first: []people.Publisher{people.HRIS}, want: []string{
			`relink identities.mozilla_ldap_id = "` + moved + `" [staff] by ldap, signed by cis, proof`,
			`relink identities.mozilla_posix_id = "lovelace" [staff] by ldap, signed by cis, proof`,
			`relink user_id = "ad|Mozilla-LDAP|lovelace" by ldap, signed by cis, proof`,
		}},
		{name: "an identity that is not there is created, not proved", stored: known(nil), says: evidence{says(people.LDAP, claim("identities.mozilla_posix_id", "ada"))},
			want: []string{`update identities.mozilla_posix_id = "ada" [staff] by ldap, creator`}},
		{name: "the access provider decides the email, and LDAP the login", stored: there,
			says: evidence{says(people.LDAP, claim("user_id", "ad|Mozilla-LDAP|lovelace")), says(people.AccessProvider, claim("user_id", "github|1"), claim("primary_email", "l@example.org"))},
			want: []string{`relink primary_email = "l@example.org" by access_provider, updater`, `relink user_id = "ad|Mozilla-LDAP|lovelace" by ldap, signed by cis, proof`}},
		{name: "but not with an address that nobody verified", stored: known(profile{"primary_email": "ada@example.org"}),
			says: evidence{says(people.AccessProvider, unverified(claim("primary_email", "l@example.org")))}},
		{name: "unless the one that stands is verified no more", stored: known(profile{"primary_email": "ada@example.org"}),
			says: evidence{says(people.AccessProvider, unverified(claim("primary_email", "l@example.org"))), says(people.Directory, unverified(claim("primary_email", "ada@example.org")))},
			want: []string{`relink primary_email = "l@example.org" by access_provider, unverified, updater`}},
		{name: "and the login of whoever is in no LDAP", stored: there,
			says: evidence{says(people.AccessProvider, claim("user_id", "github|1"))}, want: []string{`relink user_id = "github|1" by access_provider, updater`}},
		{name: "a record that is gone proves nothing", stored: there, says: evidence{with(people.Gone, renamed), says(people.HRIS)}},
		{name: "nothing is not a proof", stored: there, says: evidence{says(people.LDAP, empty("identities.mozilla_ldap_id"))}},
		{name: "GitHub proves the node id, in cis's name", stored: known(profile{"identities.github_id_v4": "old"}), says: evidence{says(people.LDAP), says(people.GitHub, claim("identities.github_id_v4", "new"))},
			want: []string{`update identities.github_id_v4 = "new" by github, signed by cis, proof`}},
		{name: "what somebody creates is proved at once", stored: known(nil), says: evidence{says(people.LDAP), says(people.AccessProvider, claim("identities.github_id_v4", "old")), says(people.GitHub, claim("identities.github_id_v4", "new"))},
			want: []string{`update identities.github_id_v4 = "new" by github, signed by cis, proof`}},
		{name: "what nobody created is proved all the same", stored: known(nil), says: evidence{says(people.LDAP), says(people.GitHub, claim("identities.github_id_v4", "new"))},
			want: []string{`update identities.github_id_v4 = "new" by github, signed by cis, proof`}},
		{name: "but not what its owner emptied", stored: known(nil), cleared: []people.Cleared{{Path: "identities.github_id_v4", Publisher: people.Directory}},
			says: evidence{says(people.LDAP), says(people.GitHub, claim("identities.github_id_v4", "new"))}},
		{name: "GitHub does not prove what the person links", stored: known(profile{"identities.github_id_v3": "1"}), says: evidence{says(people.LDAP), says(people.GitHub, claim("identities.github_id_v3", "2"))}},
	})
}

func TestComposedUsernames(t *testing.T) {
	const path = people.Path("usernames")
	there := known(profile{path: keys("LDAP-alias-1=a", "LDAP-posix_id=ada", "HACK#GITHUB=ada-l", "EA#irc=countess")})
	decide(t, []situation{
		{name: "each source replaces its own keys", stored: there,
			says: evidence{says(people.LDAP, claim(path, keys("LDAP-posix_id=lovelace"))), says(people.GitHub, claim(path, keys("HACK#GITHUB=lovelace")))},
			want: []string{`update usernames = {"EA#irc":"countess","HACK#GITHUB":"lovelace","LDAP-posix_id":"lovelace"} by ldap, signed by cis, composed`}},
		{name: "and no others", stored: there, says: evidence{says(people.LDAP, claim(path, keys("LDAP-alias-1=a", "LDAP-posix_id=ada", "HACK#GITHUB=mine", "EA#irc=mine")))}},
		{name: "silence leaves them", stored: there, says: evidence{says(people.LDAP), says(people.GitHub)}},
		{name: "nothing removes them", stored: there, says: evidence{says(people.LDAP, empty(path))},
			want: []string{`update usernames = {"EA#irc":"countess","HACK#GITHUB":"ada-l"} by ldap, signed by cis, composed`}},
		{name: "none left is a clear", stored: known(profile{path: keys("LDAP-posix_id=ada")}), says: evidence{says(people.LDAP, empty(path))},
			want: []string{`clear usernames = {} by ldap, signed by cis, composed`}},
		{name: "none before and none now", stored: known(nil), says: evidence{says(people.LDAP, empty(path)), says(people.GitHub, claim(path, keys()))}},
		{name: "the person's keys go beside the others", stored: there, says: evidence{says(people.LDAP), says(people.AccessProvider), says(people.Directory, claim(path, keys("EA#irc=ada", "LDAP-posix_id=mine")))},
			want: []string{`update usernames = {"EA#irc":"ada","HACK#GITHUB":"ada-l","LDAP-alias-1":"a","LDAP-posix_id":"ada"} by mozilliansorg, signed by cis, composed`}},
		{name: "a key of two owners goes when the updater does not claim it", stored: there, says: evidence{says(people.LDAP), says(people.Directory, claim(path, keys()))},
			want: []string{`update usernames = {"HACK#GITHUB":"ada-l","LDAP-alias-1":"a","LDAP-posix_id":"ada"} by mozilliansorg, signed by cis, composed`}},
		{name: "and stays while the updater is silent", stored: there, says: evidence{says(people.LDAP), says(people.Directory), says(people.AccessProvider, claim(path, keys("EA#irc=countess")))}},
		{name: "and goes when neither claims it", stored: there, says: evidence{says(people.LDAP), says(people.Directory, claim(path, keys())), says(people.AccessProvider, claim(path, keys("login=ada")))},
			want: []string{`update usernames = {"HACK#GITHUB":"ada-l","LDAP-alias-1":"a","LDAP-posix_id":"ada","login":"ada"} by mozilliansorg, signed by cis, composed`}},
		{name: "two owners keep what either claims, and the updater's counts", stored: there,
			says: evidence{says(people.LDAP), says(people.Directory, claim(path, keys("EA#irc=ada", "both=person"))), says(people.AccessProvider, claim(path, keys("both=login", "login=ada")))},
			want: []string{`update usernames = {"EA#irc":"ada","HACK#GITHUB":"ada-l","LDAP-alias-1":"a","LDAP-posix_id":"ada","both":"person","login":"ada"} by mozilliansorg, signed by cis, composed`}},
		{name: "a display is proposed where none is set", stored: known(nil), says: evidence{says(people.LDAP, shown(claim(path, keys("LDAP-posix_id=ada")), "staff"))},
			want: []string{`update usernames = {"LDAP-posix_id":"ada"} [staff] by ldap, signed by cis, composed`}},
		{name: "and is no reason of its own", stored: there, says: evidence{says(people.LDAP, shown(claim(path, keys("LDAP-alias-1=a", "LDAP-posix_id=ada")), "staff"))}},
	})
}

func TestClear(t *testing.T) {
	const groups = people.Path("access_information.ldap")
	by := func(p people.Publisher) []people.Cleared {
		return []people.Cleared{{Path: "fun_title", Publisher: p, At: now}}
	}
	decide(t, []situation{
		{name: "the last group", stored: known(profile{groups: keys("vpn")}), says: evidence{says(people.LDAP, empty(groups))}, want: []string{`clear access_information.ldap = {} by ldap, updater`}},
		{name: "no group before and none now", stored: known(nil), says: evidence{says(people.LDAP, empty(groups))}},
		{name: "no group, as before", stored: known(profile{groups: keys()}), says: evidence{says(people.LDAP, empty(groups))}},
		{name: "text becomes null, its display stays", stored: known(profile{"staff_information.title": stored{"Engineer", "public"}}), says: evidence{says(people.HRIS, empty("staff_information.title"))},
			want: []string{`clear staff_information.title = null [public] by hris, updater`}},
		{name: "only by who may update", stored: known(profile{"fun_title": "Countess"}), says: evidence{says(people.LDAP, empty("fun_title"))}},
		{name: "nobody empties what a person is found by", stored: known(nil), says: evidence{says(people.LDAP), says(people.AccessProvider, empty("user_id")), says(people.Directory, claim("primary_username", ""))}},
		{name: "what the person emptied nobody fills", stored: known(nil), says: evidence{says(people.LDAP, claim("fun_title", "x"))}, cleared: by(people.Directory)},
		{name: "but the person", stored: known(nil), says: evidence{says(people.LDAP, claim("fun_title", "x")), says(people.Directory, claim("fun_title", "y"))}, cleared: by(people.Directory),
			want: []string{`update fun_title = "y" by mozilliansorg, updater`}},
		{name: "who emptied may fill", stored: known(nil), says: evidence{says(people.LDAP, claim("fun_title", "x"))}, cleared: by(people.LDAP), want: []string{`update fun_title = "x" by ldap, creator`}},
	})
}

func TestClearMarks(t *testing.T) {
	mark := func(path people.Path, p people.Publisher) people.Cleared {
		return people.Cleared{Path: path, Publisher: p, At: now}
	}
	for _, c := range []struct {
		name string
		situation
		want []people.Cleared
	}{
		{"emptying leaves a mark", situation{stored: known(profile{"fun_title": "x"}), says: evidence{says(people.LDAP), says(people.Directory, empty("fun_title"))}}, []people.Cleared{mark("fun_title", people.Directory)}},
		{"which stands", situation{stored: known(nil), says: evidence{says(people.LDAP, claim("fun_title", "x")), says(people.Directory, empty("fun_title"))}, cleared: []people.Cleared{mark("fun_title", people.Directory)}},
			[]people.Cleared{mark("fun_title", people.Directory)}},
		{"until there is a value", situation{stored: known(nil), says: evidence{says(people.LDAP), says(people.Directory, claim("fun_title", "y"))}, cleared: []people.Cleared{mark("fun_title", people.Directory), mark("pronouns", people.Directory)}},
			[]people.Cleared{mark("pronouns", people.Directory)}},
		{"an emptied map is a value and needs none", situation{stored: known(profile{"access_information.ldap": keys("vpn")}), says: evidence{says(people.LDAP, empty("access_information.ldap"))}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.input()
			before := slices.Clone(in.Evidence.Cleared)
			if _, got := merge.Merge(in); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if !slices.Equal(in.Evidence.Cleared, before) {
				t.Errorf("the evidence changed: %v", in.Evidence.Cleared)
			}
		})
	}
}

func TestDisplay(t *testing.T) {
	const title, staff, posix = people.Path("fun_title"), people.Path("staff_information.staff"), people.Path("identities.mozilla_posix_id")
	decide(t, []situation{
		{name: "proposed where none is set", stored: known(nil), says: evidence{says(people.LDAP, shown(claim(title, "x"), "private"))}, want: []string{`update fun_title = "x" [private] by ldap, creator`}},
		{name: "proposed instead of the default", stored: known(nil), says: evidence{says(people.HRIS, shown(claim(staff, true), "public"))}, want: []string{`update staff_information.staff = true [public] by hris, updater`}},
		{name: "the default where nothing is proposed", stored: known(nil), says: evidence{says(people.HRIS, claim(staff, true))}, want: []string{`update staff_information.staff = true [ndaed] by hris, updater`}},
		{name: "what is not allowed is not proposed", stored: known(nil), says: evidence{says(people.LDAP, shown(claim("identities.mozilla_ldap_id", "cn=x"), "public"))},
			want: []string{`update identities.mozilla_ldap_id = "cn=x" [staff] by ldap, creator`}},
		{name: "a chosen display sticks", stored: known(profile{staff: stored{false, "private"}}), says: evidence{says(people.HRIS, shown(claim(staff, true), "public"))},
			want: []string{`update staff_information.staff = true [private] by hris, updater`}},
		{name: "also one that is the default", stored: known(profile{staff: stored{false, "ndaed"}}), says: evidence{says(people.HRIS, shown(claim(staff, true), "public"))},
			want: []string{`update staff_information.staff = true [ndaed] by hris, updater`}},
		{name: "also one chosen before there was a value", stored: known(profile{title: stored{nil, "staff"}}), says: evidence{says(people.LDAP, shown(claim(title, "x"), "public"))},
			want: []string{`update fun_title = "x" [staff] by ldap, creator`}},
		{name: "a value without a display takes its updater's", stored: known(profile{staff: stored{true, ""}}), says: evidence{says(people.HRIS, shown(claim(staff, true), "public"))},
			want: []string{`update staff_information.staff = true [public] by hris, updater`}},
		{name: "and nobody else's", stored: known(profile{title: "x"}), says: evidence{says(people.LDAP, shown(claim(title, "x"), "public"))}},
		{name: "a proof keeps it", stored: known(profile{posix: stored{"ada", "private"}}), says: evidence{says(people.LDAP, shown(claim(posix, "lovelace"), "staff"))},
			want: []string{`relink identities.mozilla_posix_id = "lovelace" [private] by ldap, signed by cis, proof`}},
	})
}

func TestForeignSignature(t *testing.T) {
	signed := cat.Null("pronouns")
	signed.Value, signed.Metadata.Display, signed.Metadata.Verified = people.StringValue("she"), "vouched", false
	signed.Signature.Publisher = people.Mark{Alg: "RS256", Typ: "JWS", Name: "mozilliansorg", Value: "a.b.c"}
	c := people.Claim{Path: "pronouns", Value: signed.Value, Signed: &signed}
	s := situation{stored: known(profile{"pronouns": stored{"they", "private"}}), says: evidence{says(people.LDAP), says(people.Directory, c)}}
	got, _ := merge.Merge(s.input())
	if want := []string{`update pronouns = "she" [vouched] by mozilliansorg, unverified, updater`}; !slices.Equal(tell(got), want) || got[0].Signed != &signed {
		t.Errorf("got %v; want %v, verbatim", tell(got), want)
	}
	proved := people.Claim{Path: "identities.mozilla_posix_id", Value: people.StringValue("lovelace"), Signed: &signed}
	s = situation{stored: known(profile{proved.Path: "ada"}), says: evidence{says(people.LDAP, proved)}}
	if got, _ = merge.Merge(s.input()); len(got) != 1 || got[0].Signed != nil || got[0].Publisher != people.CIS {
		t.Errorf("a proof: got %v; want cis's own signature", got)
	}
}

func TestActive(t *testing.T) {
	here, left := known(nil), known(profile{"active": false})
	on := func(p people.Publisher) evidence { return evidence{says(p)} }
	is := func(l people.Lifecycle, p people.Publisher) people.Observation { return with(l, says(p)) }
	ends := func(p string) []string {
		return []string{"deactivate active = false by " + p + ", signed by cis, lifecycle"}
	}
	returns := func(p string) []string {
		return []string{"reactivate active = true by " + p + ", signed by cis, lifecycle"}
	}
	decide(t, []situation{
		{name: "present and here", stored: here, says: on(people.LDAP)},
		{name: "present again", stored: left, says: on(people.LDAP), want: returns("ldap")},
		{name: "LDAP ends whom only LDAP knows", stored: here, says: evidence{is(people.Gone, people.LDAP)}, want: ends("ldap")},
		{name: "but not whom HRIS has", stored: here, says: evidence{is(people.Gone, people.LDAP), says(people.HRIS)}},
		{name: "HRIS ends them, LDAP or not", stored: here, says: evidence{says(people.LDAP), is(people.Gone, people.HRIS)}, want: ends("hris")},
		{name: "and LDAP does not bring them back", stored: left, says: evidence{says(people.LDAP), is(people.Gone, people.HRIS)}},
		{name: "a termination ends at once", stored: here, says: evidence{says(people.LDAP), is(people.Ended, people.HRIS)}, want: ends("hris")},
		{name: "without LDAP and HRIS it is the access provider", stored: here, says: evidence{is(people.Gone, people.AccessProvider)}, want: ends("access_provider")},
		{name: "which ends nobody else by absence", stored: here, says: evidence{says(people.LDAP), is(people.Gone, people.AccessProvider)}},
		{name: "blocked is honoured by HRIS", stored: here, says: evidence{says(people.HRIS), says(people.LDAP), is(people.Blocked, people.AccessProvider)}, want: ends("access_provider")},
		{name: "and by LDAP, for the protected too", stored: here, says: evidence{says(people.LDAP), is(people.Blocked, people.AccessProvider)}, protected: true, want: ends("access_provider")},
		{name: "blocked already", stored: left, says: evidence{says(people.HRIS), is(people.Blocked, people.AccessProvider)}},
		{name: "no longer blocked", stored: left, says: evidence{says(people.HRIS), says(people.AccessProvider)}, want: returns("hris")},
		{name: "absence in the directory and at GitHub ends nobody", stored: here, says: evidence{is(people.Gone, people.Directory), is(people.Gone, people.GitHub)}},
		{name: "nor does being there bring back", stored: left, says: evidence{says(people.Directory), says(people.GitHub)}},
		{name: "not yet ends nobody", stored: here, says: evidence{says(people.LDAP), is(people.NotYet, people.HRIS)}},
		{name: "not yet brings nobody back", stored: left, says: evidence{says(people.LDAP), is(people.NotYet, people.HRIS)}},
		{name: "not yet says nothing of an import that says nothing", stored: known(profile{"active": nil}), says: evidence{says(people.LDAP), is(people.NotYet, people.HRIS)}},
		{name: "who is present does", stored: known(profile{"active": nil}), says: on(people.LDAP), want: []string{"update active = true by ldap, signed by cis, lifecycle"}},
		{name: "absence does not end the protected", stored: here, says: evidence{is(people.Gone, people.LDAP)}, protected: true},
		{name: "and does not bring them back", stored: left, says: evidence{is(people.Gone, people.LDAP)}, protected: true},
		{name: "a termination does", stored: here, says: evidence{is(people.Ended, people.HRIS)}, protected: true, want: ends("hris")},
		{name: "nobody's claim of it counts", stored: here, says: evidence{says(people.LDAP, claim("active", false)), says(people.HRIS, claim("active", false))}},
	})
	t.Run("an import that is not verified is neither ended nor brought back", func(t *testing.T) {
		for _, active := range []bool{true, false} {
			in := situation{stored: known(profile{"active": active}), says: evidence{says(people.LDAP), is(map[bool]people.Lifecycle{true: people.Present, false: people.Ended}[active], people.HRIS)}}.input()
			a, _ := in.Stored.Find(people.Active)
			a.Metadata.Verified = false
			in.Stored.Set(people.Active, a)
			want := []string{fmt.Sprintf("update active = %v by hris, signed by cis, lifecycle", active)}
			if got, _ := merge.Merge(in); !slices.Equal(tell(got), want) {
				t.Errorf("got %v, want %v", tell(got), want)
			}
		}
	})
}

// What a record that is gone says gives no access any more, while somebody
// else keeps the person here. All the rest stays.
func TestRecordGone(t *testing.T) {
	ldap := says(people.LDAP, claim("access_information.ldap", keys("vpn")), claim("usernames", keys("LDAP-posix_id=ada")), claim("ssh_public_keys", keys("LDAP-1=key")),
		claim("identities.mozilla_posix_id", "ada"), claim("fun_title", "Countess"))
	hris := says(people.HRIS, claim("access_information.hris", keys("employee_id=7")), claim("staff_information.title", "Engineer"))
	there := known(profile{"access_information.ldap": keys("vpn"), "usernames": keys("LDAP-posix_id=ada"), "ssh_public_keys": keys("LDAP-1=key"), "identities.mozilla_posix_id": "ada",
		"fun_title": "Countess", "access_information.hris": keys("employee_id=7"), "staff_information.title": "Engineer"})
	decide(t, []situation{
		{name: "nobody is gone", stored: there, says: evidence{ldap, hris}},
		{name: "LDAP, while HRIS has them", stored: there, says: evidence{with(people.Gone, ldap), hris}, want: []string{`clear access_information.ldap = {} by ldap, updater`}},
		{name: "LDAP, who alone had them", stored: there, says: evidence{with(people.Gone, ldap)}, want: []string{`deactivate active = false by ldap, signed by cis, lifecycle`}},
		{name: "HRIS", stored: there, says: evidence{ldap, with(people.Gone, hris)}, want: []string{`deactivate active = false by hris, signed by cis, lifecycle`}},
	})
}

func TestAuthority(t *testing.T) {
	for _, c := range []struct {
		says evidence
		want people.Publisher
	}{
		{nil, ""},
		{evidence{says(people.GitHub), says(people.Directory)}, ""},
		{evidence{says(people.AccessProvider), says(people.Directory)}, people.AccessProvider},
		{evidence{says(people.AccessProvider), says(people.LDAP)}, people.LDAP},
		{evidence{says(people.AccessProvider), says(people.LDAP), with(people.Gone, says(people.HRIS))}, people.HRIS},
	} {
		if e := c.says.evidence(); merge.Authority(&e) != c.want {
			t.Errorf("%v: got %q, want %q", c.says, merge.Authority(&e), c.want)
		}
	}
}

func at(hour int) time.Time { return time.Date(2026, 3, 5, hour, 0, 0, 0, time.UTC) }

// seen is what an extract begun at that hour shows; as in a fresh extract, the
// claims are not dated.
func seen(hour int, o people.Observation) people.Observation {
	o.SeenAt, o.Claims = at(hour), slices.Clone(o.Claims)
	for i := range o.Claims {
		o.Claims[i].Since = time.Time{}
	}
	return o
}

func TestFold(t *testing.T) {
	title := func(s string) people.Claim { return claim("fun_title", s) }
	written := func(hour int, c people.Claim) people.Claim { c.Since = at(hour); return c }
	for _, c := range []struct {
		name  string
		folds evidence
		want  []string
		said  bool // the last one changed something
	}{
		{"first", evidence{seen(9, says(people.LDAP, title("a")))}, []string{`ldap present 9h: fun_title "a" since 9h`}, true},
		{"the same again", evidence{seen(9, says(people.LDAP, title("a"))), seen(10, says(people.LDAP, title("a")))}, []string{`ldap present 9h: fun_title "a" since 9h`}, false},
		{"one claim changed", evidence{seen(9, says(people.LDAP, title("a"), claim("pronouns", "she"))), seen(10, says(people.LDAP, title("b"), claim("pronouns", "she")))},
			[]string{`ldap present 10h: fun_title "b" since 10h, pronouns "she" since 9h`}, true},
		{"one claim gone", evidence{seen(9, says(people.LDAP, title("a"), claim("pronouns", "she"))), seen(10, says(people.LDAP, title("a")))}, []string{`ldap present 10h: fun_title "a" since 9h`}, true},
		{"gone, then back", evidence{with(people.Gone, seen(9, says(people.LDAP, title("a")))), seen(10, says(people.LDAP, title("a")))}, []string{`ldap present 10h: fun_title "a" since 9h`}, true},
		{"two publishers", evidence{seen(9, says(people.LDAP, title("a"))), seen(9, says(people.HRIS, title("b")))}, []string{`hris present 9h: fun_title "b" since 9h`, `ldap present 9h: fun_title "a" since 9h`}, true},
		{"an older one after a newer one", evidence{seen(10, says(people.LDAP, title("b"))), with(people.Ended, seen(9, says(people.LDAP, title("a"), claim("pronouns", "she"))))},
			[]string{`ldap present 10h: fun_title "b" since 10h`}, false},
		{"an extract begun before a write came in does not undo it", evidence{
			{Publisher: people.Directory, Record: "1", Lifecycle: people.Present, SeenAt: at(8), Claims: []people.Claim{written(11, title("mine"))}},
			seen(10, says(people.Directory, title("old"), claim("pronouns", "she")))},
			[]string{`mozilliansorg present 10h: fun_title "mine" since 11h, pronouns "she" since 10h`}, true},
		{"nor by leaving it out", evidence{
			{Publisher: people.Directory, Record: "1", Lifecycle: people.Present, SeenAt: at(8), Claims: []people.Claim{written(11, title("mine"))}},
			seen(10, says(people.Directory, claim("pronouns", "she")))},
			[]string{`mozilliansorg present 10h: fun_title "mine" since 11h, pronouns "she" since 10h`}, true},
		{"one begun after it does", evidence{
			{Publisher: people.Directory, Record: "1", Lifecycle: people.Present, SeenAt: at(8), Claims: []people.Claim{written(11, title("mine"))}},
			seen(12, says(people.Directory, title("newer")))},
			[]string{`mozilliansorg present 12h: fun_title "newer" since 12h`}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e people.Evidence
			said := false
			for _, o := range c.folds {
				said = merge.Fold(&e, o)
			}
			var got []string
			for _, o := range e.Observations {
				var list []string
				for _, k := range o.Claims {
					list = append(list, fmt.Sprintf("%s %s since %dh", k.Path, k.Value, k.Since.Hour()))
				}
				got = append(got, fmt.Sprintf("%s %s %dh: %s", o.Publisher, o.Lifecycle, o.SeenAt.Hour(), strings.Join(list, ", ")))
			}
			if !slices.Equal(got, c.want) || said != c.said {
				t.Errorf("got %q, %v; want %q, %v", got, said, c.want, c.said)
			}
		})
	}
}

func TestFoldKeepsWhatItIsGiven(t *testing.T) {
	o := seen(9, says(people.LDAP, claim("fun_title", "a")))
	var e, f people.Evidence
	merge.Fold(&e, o)
	merge.Fold(&f, o)
	merge.Fold(&f, seen(10, says(people.LDAP, claim("fun_title", "b"))))
	if !o.Claims[0].Since.IsZero() || e.Observations[0].Claims[0].Value.Text() != "a" {
		t.Error("an observation changed after it was folded")
	}
}

func TestGiveUp(t *testing.T) {
	var e people.Evidence
	if merge.GiveUp(&e, people.LDAP, now) {
		t.Error("gave up who was never there")
	}
	merge.Fold(&e, says(people.LDAP))
	if !merge.GiveUp(&e, people.LDAP, at(12)) || e.Observations[0].Lifecycle != people.Gone || !e.Observations[0].SeenAt.Equal(at(12)) {
		t.Errorf("got %v", e)
	}
	if merge.GiveUp(&e, people.LDAP, at(13)) {
		t.Error("gave up twice")
	}
	merge.Fold(&e, with(people.Blocked, says(people.AccessProvider)))
	if merge.GiveUp(&e, people.AccessProvider, at(12)) || e.Find(people.AccessProvider).Lifecycle != people.Blocked {
		t.Error("a block ended because the login is gone")
	}
}

func TestIncoming(t *testing.T) {
	p := known(profile{"fun_title": "Countess", "access_information.ldap": keys("vpn")}).profile()
	was := p.AppendJSON(nil)
	in := &people.Profile{Schema: "another"}
	put := func(path people.Path, change func(*people.Attribute)) {
		a, _ := p.Find(path)
		change(&a)
		in.Set(path, a)
	}
	put("user_id", func(a *people.Attribute) { a.Metadata.LastModified, a.Metadata.Classification = "other", "other" })
	put("active", func(a *people.Attribute) { a.Signature.Publisher.Value = "other" })
	put("access_information.ldap", func(a *people.Attribute) { a.Value = people.NullValue(true) })
	put("fun_title", func(a *people.Attribute) { a.Metadata.Display, a.Signature.Publisher.Value = "staff", "jws" })
	put("created", func(a *people.Attribute) { a.Metadata.Verified = false })
	put("pronouns", func(a *people.Attribute) { a.Value = people.StringValue("she") })
	in.Set("shoe_size", people.Attribute{Value: people.StringValue("44")})
	merged, changed := merge.Incoming(p, in)
	if want := []people.Path{"created", "fun_title", "pronouns", "shoe_size"}; !slices.Equal(changed, want) {
		t.Errorf("changed %v, want %v", changed, want)
	}
	for _, n := range merged.Attributes {
		from := p
		if slices.Contains(changed, n.Path) {
			from = in
		}
		if want, _ := from.Find(n.Path); !want.Equal(n.Attribute) {
			t.Errorf("%s: got %v, want %v", n.Path, n.Attribute, want)
		}
	}
	if len(merged.Attributes) != len(p.Attributes)+1 || merged.Schema != p.Schema || string(p.AppendJSON(nil)) != string(was) {
		t.Error("the stored profile changed, or lost something")
	}
	if again, changed := merge.Incoming(merged, in); len(changed) != 0 || string(again.AppendJSON(nil)) != string(merged.AppendJSON(nil)) {
		t.Errorf("the same again changed %v", changed)
	}
	if all, changed := merge.Incoming(nil, in); all.Schema != "another" || len(all.Attributes) != len(changed) || len(changed) != 6 {
		t.Errorf("nothing stored: got %v, %v", all, changed)
	}
}
