package synth

import "fmt"

// A Story is something that happens to one person on one day.
type Story int

// The stories. Of people who are in both sources they are about the HRIS
// unless they say otherwise; of people in LDAP only, about their account.
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
	}[s]
}

// MarshalText returns the word.
func (s Story) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Character is one of the people whose stories are the same whatever the
// seed. There is one if the company has more people than the index.
type Character struct {
	Index int
	// Name is the display name, and Login the uid, on the first day.
	Name, Login string
	// Role says in a line who it is.
	Role   string
	Events []Event
}

// An Event is a story on a day.
type Event struct {
	Day   int
	Story Story
	// Of says what moved or was renamed, or names the access group.
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

// castSize is the number of characters. They have the first indexes and,
// the chief apart, manage nobody.
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
	0:  {given: "Adaeze", family: "Okonkwo", login: "aokonkwo", role: "the chief, whom everybody reports to in the end"},
	1:  {given: "Zoë", family: "Müller-Lüdenscheidt", login: "zmueller", role: "joins, in both sources at once", events: []Event{{1, Joined, ""}}},
	2:  {given: "秀英", family: "王", login: "wangxy", form: joined, role: "is announced before the first day", events: []Event{{0, PreHired, ""}, {2, Joined, ""}}},
	3:  {given: "Володимир", family: "Шевченко", login: "vshevchenko", role: "works here, and gets an account later", events: []Event{{3, AccountOpened, ""}}},
	4:  {given: "Hoa", family: "Nguyễn", login: "hnguyen", form: familyFirst, role: "has an account a day before joining", events: []Event{{3, AccountOpened, ""}, {4, Joined, ""}}},
	5:  {given: "Siobhán", family: "O'Brien", login: "sobrien", mail: "siobhan.o'brien", role: "changes team, and with it manager and cost centre", events: []Event{{1, Moved, ofTeam}}},
	6:  {given: "Γιώργος", family: "Παπαδόπουλος", login: "gpapado", role: "gets another manager", events: []Event{{3, Moved, ofManager}}},
	7:  {given: "Marco", family: "D’Angelo", login: "mdangelo", role: "the mover of day 2: another title", events: []Event{{2, Moved, ofTitle}}},
	8:  {given: "花子", family: "佐藤", login: "hsato", form: familyFirst, role: "moves to another office and time zone", events: []Event{{4, Moved, ofOffice}}},
	9:  {given: "민준", family: "김", login: "mjkim", form: joined, role: "is paid by another cost centre", events: []Event{{5, Moved, ofCentre}}},
	10: {given: "Chloé", family: "Lefèvre-Dubois", login: "clefevre", role: "has a new phone and new keys", events: []Event{{3, Edited, ""}}},
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
	22: {given: "Łukasz", family: "Brzęczyszczykiewicz", login: "lbrzecz", groups: []string{"wiki-editors"}, role: "joins an access group and later loses the other", events: []Event{{2, GroupJoined, "vpn"}, {5, GroupLost, "wiki-editors"}}},
	23: {given: "João", family: "Falcão", login: "jfalcao", kind: external, groups: []string{"legal, finance"}, role: "an external; loses the only group", events: []Event{{4, LastGroupLost, "legal, finance"}}},
	24: {given: "Þór", family: "Guðmundsson", login: "thorg", kind: external, groups: []string{}, role: "an external; joins a first group", events: []Event{{3, GroupJoined, "vpn"}}},
	25: {given: "Thandiwe", family: "Ndlovu", login: "tndlovu", groups: []string{"builders"}, role: "in platform-admins, which holds platform-oncall, which holds platform-admins"},
	26: {given: "Sékou", family: "N'Diaye", login: "sndiaye", groups: []string{"ビルド"}, role: "in platform-oncall: see Thandiwe Ndlovu"},
	27: {given: "Δήμητρα", family: "Ξενάκη", login: "dxenaki", role: "is CurrentlyActive \"maybe\" for a day", events: []Event{{2, NotYesOrNo, ""}}},
	28: {given: "Иван", family: "Черных", login: "ichernykh", role: "has no uid in LDAP for a day", events: []Event{{3, NoUID, ""}}},
	29: {given: "ნინო", family: "ბერიძე", login: "nberidze", role: "has broken base64 in LDAP for a day", events: []Event{{5, BrokenBase64, ""}}},
	30: {given: "ሰላም", family: "ተስፋዬ", login: "stesfaye", role: "has no EmployeeID in the report for a day", events: []Event{{4, NoEmployeeID, ""}}},
	31: {given: "فاطمة", family: "بن علي", login: "fbenali", role: "shares an EmployeeID with another row for a day", events: []Event{{6, DuplicateID, ""}}},
	32: {given: "Friederike", family: "Leutheusser-Schnarrenberger", login: "fleut", trait: longDescription, role: "has a description of several KB"},
	33: {family: "Suharto", login: "suharto", role: "has one name only"},
	34: {given: "Roberto", family: "dell'Acqua", login: "rdellacqua", trait: nickname | emoji, role: "has quotes and an emoji in the display name"},
	35: {given: "Nia", family: "Ní Bhriain", login: "nnibhriain", trait: oddDescription, role: "has a description that begins with a space and a colon"},
	36: {given: "Iñigo", family: "Güell", login: "iguell", mail: "iguell+studio", kind: external, groups: []string{"blog-authors"}, role: "an external, with a plus sign in mail and DN"},
	37: {given: "Oksana", family: "Honchar", login: "ohonchar", role: "shares the mail with an external"},
	38: {given: "Petro", family: "Honchar", login: "phonchar", mail: "ohonchar", kind: external, groups: []string{"vpn"}, role: "an external, with the mail of Oksana Honchar"},
	39: {family: "Backup robot", login: "svc-backup", kind: service, groups: []string{"lab-access"}, role: "a service account"},
	40: {given: "Keʻala", family: "Kaʻaʻawa", login: "kkaaawa", role: "is announced long before the first day", events: []Event{{1, PreHired, ""}, {10, Joined, ""}}},
}

// Cast returns the characters, by index.
func Cast() []Character {
	all := make([]Character, castSize)
	for i, p := range cast {
		all[i] = Character{Index: i, Name: p.form.display(p.given, p.family), Login: p.login, Role: p.role, Events: append([]Event(nil), p.events...)}
	}
	return all
}
