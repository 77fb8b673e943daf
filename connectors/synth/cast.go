package synth

import (
	"cmp"
	"fmt"
	"slices"
)

// A Story is something that happens to one person on one day.
type Story int

// The stories of LDAP and the HRIS come first. Of people who are in both they
// are about the HRIS unless they say otherwise; of people in LDAP only, about
// their entry there.
const (
	// PreHired is a worker's row that appears with CurrentlyActive "0".
	PreHired Story = iota
	// Joined is the first day: CurrentlyActive is "1", or the account opens.
	Joined
	// AccountOpened is a worker's LDAP entry that appears before or after the day of joining.
	AccountOpened
	// Moved is another title, team, manager, office or cost centre.
	Moved
	// Edited is another mobile number, other keys and the like, in LDAP.
	Edited
	// Left is gone, from the HRIS at once.
	Left
	// AccountClosed is a worker who left, gone from LDAP as well.
	AccountClosed
	// Returned is back, under the same ids, after some days.
	Returned
	// Absent is missing from the HRIS for this one day.
	Absent
	// Renamed is another family or first name, mail or uid, under the same entryUUID.
	Renamed
	// GroupJoined and GroupLost are of access groups.
	GroupJoined
	GroupLost
	// LastGroupLost is a GroupLost that leaves none, not of a team or office either.
	LastGroupLost
	// MailRecycled is somebody who joined and has the mail of somebody who left.
	MailRecycled
	// UIDRecycled is a MailRecycled with the uid as well.
	UIDRecycled
	// NoEmployeeID is a row without EmployeeID, for this one day, as the
	// faults that follow are.
	NoEmployeeID
	// NotYesOrNo is a row whose CurrentlyActive is "maybe".
	NotYesOrNo
	// DuplicateID is a second row with the EmployeeID.
	DuplicateID
	// NoUID is an LDAP entry without uid.
	NoUID
	// BrokenBase64 is an LDAP entry with a value that cannot be decoded.
	BrokenBase64

	// FirstLogin is an account that appears at the access provider: of
	// somebody who is new in LDAP, or of a contributor whom nobody knew.
	FirstLogin
	// Blocked and Unblocked are of such an account.
	Blocked
	Unblocked
	// LoginDeleted is a contributor's account that is gone for good.
	LoginDeleted
	// IdentityLinked and IdentityUnlinked are of a second login of the account.
	IdentityLinked
	IdentityUnlinked
	// LinkMade and LinkLost are of a GitHub account, in the people directory.
	LinkMade
	LinkLost
	// LoginRenamed is another login of the same GitHub account.
	LoginRenamed
	OrgJoined
	OrgLeft
	// OrgEmptied is an organisation that loses its last members, told of each.
	OrgEmptied
	TeamJoined
	TeamLeft
	// TeamNested is a team that is put below another, told of each member.
	TeamNested
	// ProfileMade is a profile that appears in the people directory.
	ProfileMade
	// NameEdited, DisplayEdited and ProfileEdited are of a name, of nothing but
	// who may see something, and of anything else in a profile.
	NameEdited
	DisplayEdited
	ProfileEdited
	// Overreached is a profile that says, for some days, what is another
	// publisher's to say.
	Overreached
	// DirectoryGroupJoined and DirectoryGroupLeft are of groups in the people directory.
	DirectoryGroupJoined
	DirectoryGroupLeft
	UsernameChosen
	// UsernameTaken is a username that somebody else has, chosen for some days.
	UsernameTaken
	// NoUserID is an account without user_id, for this one day, as the faults
	// that follow are.
	NoUserID
	// BrokenAccount is an account whose line is cut.
	BrokenAccount
	// NoGitHubID is a member of an organisation without id.
	NoGitHubID
	// NoProfileID is a profile without user_id.
	NoProfileID
	// OddValue is a profile with a number in a map.
	OddValue
	// BrokenProfile is a profile whose line is cut.
	BrokenProfile

	numStories
)

// String returns the story as a word.
func (s Story) String() string {
	if s < 0 || s >= numStories {
		return fmt.Sprintf("story %d", int(s))
	}
	return [...]string{
		"pre_hired", "joined", "account_opened", "moved", "edited", "left", "account_closed", "returned", "absent", "renamed",
		"group_joined", "group_lost", "last_group_lost", "mail_recycled", "uid_recycled",
		"no_employee_id", "not_yes_or_no", "duplicate_id", "no_uid", "broken_base64",
		"first_login", "blocked", "unblocked", "login_deleted", "identity_linked", "identity_unlinked",
		"link_made", "link_lost", "login_renamed", "org_joined", "org_left", "org_emptied", "team_joined", "team_left", "team_nested",
		"profile_made", "name_edited", "display_edited", "profile_edited", "overreached",
		"directory_group_joined", "directory_group_left", "username_chosen", "username_taken",
		"no_user_id", "broken_account", "no_github_id", "no_profile_id", "odd_value", "broken_profile",
	}[s]
}

// MarshalText returns the word.
func (s Story) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Character is one of the people whose stories are the same whatever the
// seed. There is one if the company has more people than the index.
type Character struct {
	Index int
	// Name is the display name on the first day.
	Name string
	// Login is the uid on the first day; of those who are in neither LDAP nor
	// the HRIS, their user_id, or what they call themselves at GitHub.
	Login string
	// UserID is that of the first day, "" of those who have none.
	UserID string
	// Role says in a line who it is.
	Role   string
	Events []Event
}

// An Event is a story on a day.
type Event struct {
	Day   int
	Story Story
	// Of says what moved or was renamed or edited, what a name became, or names
	// the group, organisation or team.
	Of string
}

// What events are of.
const (
	ofTitle   = "title"
	ofTeam    = "team"
	ofManager = "manager"
	ofOffice  = "office"
	ofCentre  = "cost centre"
	ofFamily  = "family name"
	ofFirst   = "first name"
	ofUID     = "uid"
)

// castSize is the number of characters in LDAP or the HRIS. They have the
// first indexes and, the chief apart, manage nobody. Those outside follow:
// see outsiders.
const castSize = 41

// A part is a character as it is written.
type part struct {
	given, family string
	// login is the uid and what stands before the sign in the mail, unless
	// mail says that.
	login, mail string
	form        form
	kind        kind
	// next is the name and login after being renamed.
	nextGiven, nextFamily, nextLogin string
	groups                           []string // access groups on the first day
	trait                            trait
	role                             string
	events                           []Event
	online                           presence
}

// A trait is something odd about a person's values that stays.
type trait uint8

const (
	longDescription trait = 1 << iota
	oddDescription
	nickname
	emoji
)

var cast = [castSize]part{
	0: {given: "Adaeze", family: "Okonkwo", login: "aokonkwo", role: "the chief, whom everybody reports to in the end", events: []Event{{1, OrgEmptied, "example-archive"}},
		online: presence{handle: "AdaezeO", seats: []string{"example=admin", "example-labs=admin", "example-archive=admin", "example/engineering"}, link: byProfile, profile: true, username: "adaeze", circles: []string{"nda", "mentors"}}},
	1: {given: "Zoë", family: "Müller-Lüdenscheidt", login: "zmueller", role: "joins, in both sources at once", events: []Event{{1, Joined, ""}}},
	2: {given: "秀英", family: "王", login: "wangxy", form: joined, role: "is announced before the first day", events: []Event{{0, PreHired, ""}, {2, Joined, ""}}},
	3: {given: "Володимир", family: "Шевченко", login: "vshevchenko", role: "works here, and gets an account later", events: []Event{{3, AccountOpened, ""}}},
	4: {given: "Hoa", family: "Nguyễn", login: "hnguyen", form: familyFirst, role: "has an account a day before joining", events: []Event{{3, AccountOpened, ""}, {4, Joined, ""}, {4, FirstLogin, ""}}},
	5: {given: "Siobhán", family: "O'Brien", login: "sobrien", mail: "siobhan.o'brien", role: "changes team, and with it manager and cost centre; links GitHub", events: []Event{{1, Moved, ofTeam}, {2, LinkMade, ""}},
		online: presence{handle: "siobhan-ob", seats: []string{"example", "example/docs"}, profile: true}},
	6: {given: "Γιώργος", family: "Παπαδόπουλος", login: "gpapado", role: "gets another manager", events: []Event{{3, Moved, ofManager}}},
	7: {given: "Marco", family: "D’Angelo", login: "mdangelo", role: "the mover of day 2: another title; loses the GitHub link", events: []Event{{2, Moved, ofTitle}, {3, LinkLost, ""}},
		online: presence{handle: "mdangelo-dev", seats: []string{"example"}, link: byProfile, profile: true}},
	8: {given: "花子", family: "佐藤", login: "hsato", form: familyFirst, role: "moves to another office and time zone; has another login at GitHub, which the profile does not follow", events: []Event{{3, LoginRenamed, "hana-sato"}, {4, Moved, ofOffice}, {4, TeamNested, "example/build-tools"}},
		online: presence{handle: "hsato2003", seats: []string{"example", "example/build-tools"}, link: byProfile, profile: true}},
	9: {given: "민준", family: "김", login: "mjkim", form: joined, role: "is paid by another cost centre", events: []Event{{2, BrokenAccount, ""}, {5, Moved, ofCentre}}},
	10: {given: "Chloé", family: "Lefèvre-Dubois", login: "clefevre", role: "has a new phone and new keys; leaves a team at GitHub", events: []Event{{2, TeamLeft, "example/docs"}, {3, Edited, ""}},
		online: presence{handle: "chloe-ld", seats: []string{"example", "example/docs", "example/engineering"}, link: byAccount}},
	11: {given: "John", family: "Doe", login: "jdoe", role: "leaves; the mail goes to Jane Doe", events: []Event{{1, Left, ""}, {2, AccountClosed, ""}}},
	12: {given: "Jane", family: "Doe", login: "janedoe", mail: "jdoe", role: "joins with the mail that was John Doe's", events: []Event{{5, Joined, ""}, {5, MailRecycled, ""}}},
	13: {given: "Rafael", family: "Souza", login: "rsouza", role: "leaves; mail and uid go to Renata Souza", events: []Event{{4, Left, ""}, {6, AccountClosed, ""}}},
	14: {given: "Renata", family: "Souza", login: "rsouza", role: "joins with the mail and uid that were Rafael Souza's", events: []Event{{7, Joined, ""}, {7, UIDRecycled, ""}}},
	15: {given: "สมชาย", family: "ใจดี", login: "sjaidee", role: "leaves", events: []Event{{5, Left, ""}, {6, AccountClosed, ""}}},
	16: {given: "Katarzyna", family: "Woźniak", login: "kwozniak", kind: external, groups: []string{"vpn", "lab-access"}, role: "an external, in LDAP only; leaves", events: []Event{{2, Left, ""}}},
	17: {given: "أحمد", family: "الحسن", login: "aalhassan", role: "leaves, and returns as the same person", events: []Event{{3, Left, ""}, {4, AccountClosed, ""}, {6, Returned, ""}}},
	18: {given: "נועה", family: "כהן", login: "ncohen", role: "is missing from the report for one day", events: []Event{{4, Absent, ""}}},
	19: {given: "Emily", family: "Carter", login: "ecarter", nextFamily: "Hernández-Carter", nextLogin: "ehernandez", role: "takes a married name: sn, displayName, mail, uid and DN change", events: []Event{{3, Renamed, ofFamily}}},
	20: {given: "अनन्या", family: "शर्मा", login: "asharma", nextLogin: "ananya", role: "gets another uid", events: []Event{{5, Renamed, ofUID}}},
	21: {given: "Wilhelmina", family: "van 't Hoff", login: "wvanthoff", nextGiven: "Billie", role: "goes by another first name", events: []Event{{6, Renamed, ofFirst}}},
	22: {given: "Łukasz", family: "Brzęczyszczykiewicz", login: "lbrzecz", groups: []string{"wiki-editors"}, role: "joins an access group and later loses the other, and so in the people directory", events: []Event{{2, GroupJoined, "vpn"}, {3, DirectoryGroupJoined, "nda"}, {5, GroupLost, "wiki-editors"}, {6, DirectoryGroupLeft, "mentors"}},
		online: presence{profile: true, circles: []string{"mentors"}}},
	23: {given: "João", family: "Falcão", login: "jfalcao", kind: external, groups: []string{"legal, finance"}, role: "an external; loses the only group; is in an organisation that is emptied", events: []Event{{1, OrgEmptied, "example-archive"}, {4, LastGroupLost, "legal, finance"}},
		online: presence{handle: "falcaoj", seats: []string{"example-archive", "example-archive/keepers"}, link: byProfile, profile: true}},
	24: {given: "Þór", family: "Guðmundsson", login: "thorg", kind: external, groups: []string{}, role: "an external; joins a first group, and for some days a second organisation", events: []Event{{2, OrgJoined, "example-labs"}, {3, GroupJoined, "vpn"}, {6, OrgLeft, "example-labs"}},
		online: presence{handle: "thor-gud", seats: []string{"example"}, link: byAccount}},
	25: {given: "Thandiwe", family: "Ndlovu", login: "tndlovu", groups: []string{"builders"}, role: "in platform-admins, which holds platform-oncall, which holds platform-admins; joins a team at GitHub", events: []Event{{5, TeamJoined, "example/docs"}},
		online: presence{handle: "thandi", seats: []string{"example=admin", "example/engineering=maintainer"}, link: byProfile, profile: true}},
	26: {given: "Sékou", family: "N'Diaye", login: "sndiaye", groups: []string{"ビルド"}, role: "in platform-oncall: see Thandiwe Ndlovu; has usernames from LDAP, GitHub and the people directory", events: []Event{{4, TeamNested, "example/build-tools"}},
		online: presence{handle: "sekou-nd", seats: []string{"example", "example/build-tools=maintainer"}, link: byProfile, profile: true,
			usernames: [][2]string{{"MATRIX", "@sekou:example.org"}}}},
	27: {given: "Δήμητρα", family: "Ξενάκη", login: "dxenaki", role: "is CurrentlyActive \"maybe\" for a day", events: []Event{{2, NotYesOrNo, ""}, {4, BrokenProfile, ""}},
		online: presence{profile: true}},
	28: {given: "Иван", family: "Черных", login: "ichernykh", role: "has no uid in LDAP for a day", events: []Event{{3, NoUID, ""}, {5, NoUserID, ""}}},
	29: {given: "ნინო", family: "ბერიძე", login: "nberidze", role: "has broken base64 in LDAP for a day", events: []Event{{2, NoGitHubID, ""}, {5, BrokenBase64, ""}},
		online: presence{handle: "nberidze", seats: []string{"example"}}},
	30: {given: "ሰላም", family: "ተስፋዬ", login: "stesfaye", role: "has no EmployeeID in the report for a day", events: []Event{{4, NoEmployeeID, ""}, {6, OddValue, ""}},
		online: presence{profile: true}},
	31: {given: "فاطمة", family: "بن علي", login: "fbenali", role: "shares an EmployeeID with another row for a day", events: []Event{{3, NoProfileID, ""}, {6, DuplicateID, ""}},
		online: presence{profile: true}},
	32: {given: "Friederike", family: "Leutheusser-Schnarrenberger", login: "fleut", trait: longDescription, role: "has a description of several KB; is Fritzi in the people directory", events: []Event{{2, NameEdited, "Fritzi"}},
		online: presence{profile: true}},
	33: {family: "Suharto", login: "suharto", role: "has one name only, and chooses it as username", events: []Event{{2, UsernameChosen, "suharto"}},
		online: presence{profile: true}},
	34: {given: "Roberto", family: "dell'Acqua", login: "rdellacqua", trait: nickname | emoji, role: "has quotes and an emoji in the display name; is somebody else in each of the five sources",
		online: presence{handle: "robbo", hubMail: "robbo@users.example.org", seats: []string{"example"}, link: byProfile, profile: true, given: "Bob", mail: "bob.dellacqua@example.com",
			texts: [][2]string{{"first_name", "Robbo"}, {"fun_title", "Bug Poet"}, {"location", "Napoli"}, {"timezone", "UTC+0100 Europe/Rome"}, {"identities.custom_1_primary_email", "robbo@example.net"}}}},
	35: {given: "Nia", family: "Ní Bhriain", login: "nnibhriain", trait: oddDescription, role: "has a description that begins with a space and a colon; shows the mail to more people", events: []Event{{3, DisplayEdited, "primary_email"}},
		online: presence{profile: true}},
	36: {given: "Iñigo", family: "Güell", login: "iguell", mail: "iguell+studio", kind: external, groups: []string{"blog-authors"}, role: "an external, with a plus sign in mail and DN; says in the people directory what is not for it to say", events: []Event{{4, Overreached, "primary_email"}, {4, ProfileEdited, "fun_title"}},
		online: presence{profile: true}},
	37: {given: "Oksana", family: "Honchar", login: "ohonchar", role: "shares the mail with an external; links a Google account", events: []Event{{2, IdentityLinked, ""}}},
	38: {given: "Petro", family: "Honchar", login: "phonchar", mail: "ohonchar", kind: external, groups: []string{"vpn"}, role: "an external, with the mail of Oksana Honchar; is blocked for two days", events: []Event{{3, Blocked, ""}, {5, Unblocked, ""}}},
	39: {family: "Backup robot", login: "svc-backup", kind: service, groups: []string{"lab-access"}, role: "a service account"},
	40: {given: "Keʻala", family: "Kaʻaʻawa", login: "kkaaawa", role: "is announced long before the first day", events: []Event{{1, PreHired, ""}, {10, Joined, ""}}},
}

// outsiders are the characters who are in neither LDAP nor the HRIS.
var outsiders = [...]part{
	{given: "Inês", family: "Duarte", role: "helps at GitHub; logs in with it for the first time", events: []Event{{2, FirstLogin, ""}},
		online: presence{connection: viaGitHub, handle: "inesd", seats: []string{"example-labs#outside"}}},
	{given: "Tomasz", family: "Zieliński", role: "logs in by mail; is blocked for three days", events: []Event{{2, Blocked, ""}, {5, Unblocked, ""}},
		online: presence{connection: viaMail, mail: "tomasz@example.net"}},
	{given: "美玲", family: "蔡", form: joined, role: "logs in with Google; links a Firefox account, and takes it away again", events: []Event{{3, IdentityLinked, ""}, {6, IdentityUnlinked, ""}},
		online: presence{connection: viaGoogle, mail: "meiling@example.net", handle: "meilingc", seats: []string{"example"}, link: byProfile, profile: true}},
	{given: "Anahera", family: "Parata", role: "logs in with a Firefox account; makes a profile, and chooses a username", events: []Event{{1, ProfileMade, ""}, {4, UsernameChosen, "anahera"}},
		online: presence{connection: viaFirefox, mail: "anahera@example.net", profile: true}},
	{family: "Kestrel", role: "is known to GitHub only, in an organisation that is emptied", events: []Event{{1, OrgEmptied, "example-archive"}},
		online: presence{connection: nowhere, handle: "kestrel-nobody", seats: []string{"example-archive", "example-archive/keepers=maintainer"}}},
	{given: "Lotte", family: "Verloren", role: "has a profile under a user_id that nobody has",
		online: presence{connection: viaMail, mail: "lotte@example.net", ghost: true, profile: true, circles: []string{"nda"}}},
	{given: "Siobhán", family: "O'Brien", role: "logs in by mail as well: the same mail, and another account",
		online: presence{connection: viaMail, mail: "siobhan.o'brien@example.com"}},
	{given: "Kofi", family: "Mensah", role: "helps at GitHub; has the account deleted", events: []Event{{3, LoginDeleted, ""}},
		online: presence{connection: viaGitHub, mail: "kofi@example.net", handle: "kofi-m", seats: []string{"example"}, profile: true}},
	{given: "勇気", family: "新井", form: familyFirst, role: "logs in with Google; chooses a username that is taken", events: []Event{{5, UsernameTaken, "suharto"}},
		online: presence{connection: viaGoogle, mail: "yuki@example.net", profile: true}},
}

// Cast returns the characters, by index: first those in LDAP or the HRIS.
func Cast() []Character {
	all := make([]Character, 0, castSize+len(outsiders))
	for i, p := range cast {
		c := p.character(i)
		c.Login, c.UserID = p.login, ldapLogin+p.login
		all = append(all, c)
	}
	for j, p := range outsiders {
		c := p.character(castSize + j)
		if p.online.connection != nowhere {
			c.UserID = p.online.connection.userID(2*j + 1)
		}
		c.Login = cmp.Or(c.UserID, p.online.handle)
		all = append(all, c)
	}
	return all
}

func (p *part) character(index int) Character {
	return Character{Index: index, Name: p.form.display(p.given, p.family), Role: p.role, Events: slices.Clone(p.events)}
}
