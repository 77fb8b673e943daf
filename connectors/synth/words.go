package synth

// An office is a place of work: what Workday says of it, and the name of its
// group in LDAP.
type office struct {
	location, desk, city, country, iso, zone, group string
}

// offices begins with those of the old company; the last ones are for people
// who work from home, who have no desk.
var offices = [...]office{
	{"Berlin Office", "BER", "Berlin", "Germany", "DE", "GMT+01:00 Central European Time (Berlin)", "office-berlin"},
	{"San Francisco Office", "SF", "San Francisco", "United States of America", "US", "GMT-08:00 Pacific Time", "office-san-francisco"},
	{"Toronto Office", "TOR", "Toronto", "Canada", "CA", "GMT-05:00 Eastern Time (Toronto)", "office-toronto"},
	{"Paris Office", "PAR", "Paris", "France", "FR", "GMT+01:00 Central European Time (Paris)", "office-paris"},
	{"London Office", "LON", "London", "United Kingdom", "GB", "GMT United Kingdom Time (London)", "office-london"},
	{"Tokyo Office", "TYO", "東京", "Japan", "JP", "GMT+09:00 Japan Standard Time (Tokyo)", "office-東京"},
	{"Taipei Office", "TPE", "Taipei", "Taiwan", "TW", "GMT+08:00 Taipei Standard Time (Taipei)", "office-taipei"},
	{"Auckland Office", "AKL", "Auckland", "New Zealand", "NZ", "GMT+12:00 New Zealand Time (Auckland)", "office-auckland"},
	{"Bureau de Montréal", "MTL", "Montréal", "Canada", "CA", "GMT-05:00 Eastern Time (Montreal)", "office-montréal"},
	{"Bengaluru Office", "BLR", "Bengaluru", "India", "IN", "GMT+05:30 India Standard Time (Kolkata)", "office-bengaluru"},
	{"Nairobi Office", "NBO", "Nairobi", "Kenya", "KE", "GMT+03:00 East Africa Time (Nairobi)", "office-nairobi"},
	{"Escritório de São Paulo", "GRU", "São Paulo", "Brazil", "BR", "GMT-03:00 Brasilia Time (Sao Paulo)", "office-são-paulo"},
	{"US Remote", "", "Portland", "United States of America", "US", "GMT-07:00 Mountain Time", "office-us-remote"},
	{"FR Remote", "", "Nantes", "France", "FR", "GMT+01:00 Central European Time (Paris)", "office-fr-remote"},
	{"GB Remote", "", "St. Andrews", "United Kingdom", "GB", "GMT United Kingdom Time (London)", "office-gb-remote"},
	{"UA Remote", "", "Київ", "Ukraine", "UA", "GMT+02:00 Eastern European Time (Kyiv)", "office-ua-remote"},
}

// zones are further names of time zones, of people who live elsewhere: all
// the forms that Workday has, with and without offset, minutes and city.
var zones = [...]string{
	"GMT Western European Time (Casablanca)", "GMT Greenwich Mean Time (Reykjavik)", "GMT Western European Time (Lisbon)",
	"GMT-08:00 Pacific Time (Tijuana)", "GMT-05:00 Eastern Time", "GMT-06:00 Central Time", "GMT-07:00 Mountain Time", "GMT-09:00 Alaska Time",
	"GMT-10:00 Hawaii-Aleutian Standard Time (Honolulu)", "GMT-03:30 Newfoundland Time (St. Johns)", "GMT-03:00 Argentina Standard Time (Buenos Aires)",
	"GMT-11:00 Samoa Standard Time (Pago Pago)", "GMT-01:00 Azores Time (Azores)", "GMT+02:00 Eastern European Time (Athens)",
	"GMT+01:00 Central European Time (Stockholm)", "GMT+03:30 Iran Time (Tehran)", "GMT+04:30 Afghanistan Time (Kabul)", "GMT+05:45 Nepal Time (Kathmandu)",
	"GMT+06:30 Myanmar Time (Rangoon)", "GMT+07:00 Indochina Time (Ho Chi Minh City)", "GMT+08:00 China Standard Time (Shanghai)",
	"GMT+08:45 Australian Central Western Time (Eucla)", "GMT+09:00 Korean Standard Time (Seoul)", "GMT+09:30 Australian Central Time (Adelaide)",
	"GMT+10:30 Lord Howe Time (Lord Howe)", "GMT+12:45 Chatham Time (Chatham)", "GMT+13:00 Tonga Time (Tongatapu)", "GMT+14:00 Line Islands Time (Kiritimati)",
}

// Teams are an area and a craft; beyond their products they are numbered.
var (
	areas = [...]string{
		"Platform", "Release", "Payments", "Accounts", "Search", "Localisation", "Security", "Networking", "Mobile", "Graphics", "Storage",
		"Community", "Policy", "Facilities", "Recruiting", "Privacy", "Telemetry", "Documentation", "Accessibility", "Partner Relations",
	}
	crafts = [...]string{"Engineering", "Operations", "Design", "Research", "Programme", "Quality", "Support", "Strategy (Core)", "Tooling", "Education"}

	roles = [...]string{
		"Software Engineer", "Site Reliability Engineer", "Product Designer", "Data Scientist", "Programme Coordinator", "Technical Writer",
		"User Researcher", "Security Engineer", "Paralegal", "Accountant", "Recruiter", "Office Coordinator", "Release Engineer", "Policy Analyst",
		"Quality Engineer", "Localisation Specialist", "Support Engineer", "Network Engineer", "Community Builder", "Archivist",
		"Ingénieure système", "Übersetzer", "Counsel, Privacy & Product", "Engineer \"Tools\"",
	}
	grades = [...]string{"", "Senior ", "", "Staff ", "Junior ", "Principal ", "Lead "}

	funTitles = [...]string{
		"Keeper of the Build", "Chief Cat Herder 🐈", "Yak Shaver", "Bug Whisperer", "Tamer of Tickets", "Human Compiler", "Pixel Gardener",
		"Ingeniør og skald", "Weltenbummlerin", "Maître du café ☕", "雑用係", "Minister for Silly Walks",
	}
	sentences = [...]string{
		"I keep bees and build bicycles.", "Ask me about time zones.", "Ich spreche Deutsch, Plattdeutsch und etwas Klingonisch.", "Working from a very small island.",
		"Je réponds aux courriels le matin.", "Здесь с первого дня.", "週末は山にいます。", "On call every third week, asleep every fourth.", "Ex-librarian. Still shelving things.",
		"She/her, they/them on Tuesdays.", "Pager: see wiki → people → me.", "Makes tea. Breaks builds.",
	}
)

// accessGroups are the first groups by name; more are numbered. One has a
// comma in its name, which a DN must escape, and two are not ASCII.
var accessGroups = [...]string{
	"vpn", "wiki-editors", "builders", "legal, finance", "release-drivers", "données-rh", "irc-ops", "pager-rotation", "crash-reports",
	"all-hands-2026", "blog-authors", "ビルド", "badge-printers", "travel-approvers", "lab-access", "alpha-testers",
}

// hubWords make logins at GitHub, and usernames that people choose.
var hubWords = [...]string{
	"Octo", "pixel", "quiet", "Night", "lambda", "fox", "river", "Zero", "null", "patch", "Kernel", "moss", "tiny", "Turbo", "paper", "raven",
}

// circles are the groups of the people directory, the large ones first. Two
// are not ASCII, and one has a comma.
var circles = [...]string{
	"nda", "mentors", "knitters", "bicycle-riders", "open-source-club", "résumé-readers", "welcome-crew", "plants, pots and soil", "book-lovers", "登山部",
	"night-owls", "chess", "alumni",
}

// accountGroups are groups that the access provider itself keeps.
var accountGroups = [...]string{"mfa-exempt", "early-access", "event-guests", "password-reset-2026"}

// What people say of themselves in the people directory.
var (
	pronouns  = [...]string{"she/her", "he/him", "they/them", "sie/ihr", "elle", "any"}
	languages = [...]string{"English", "Deutsch", "Français", "Español", "日本語", "Українська", "العربية", "हिन्दी", "Kiswahili", "ქართული"}
	interests = [...]string{"bees", "bicycles", "rust", "baking", "choir", "typography", "go", "maps", "radio", "accessibility"}
	places    = [...]string{"Berlin", "Oakland, California", "Kyiv", "São Paulo", "東京", "Nairobi", "a small island", "Tāmaki Makaurau"}
	ownZones  = [...]string{"UTC+0100 Europe/Berlin", "UTC-0800 America/Los_Angeles", "UTC+0530 Asia/Kolkata", "UTC+0000 Europe/London", "UTC+0900 Asia/Tokyo"}
)
