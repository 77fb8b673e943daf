package hris

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A zoneName is one of Workday's names of time zones, taken apart:
// "GMT+01:00 Central European Time (Paris)", "GMT-08:00 Pacific Time",
// "GMT United Kingdom Time (London)".
type zoneName struct {
	offset time.Duration
	label  string // "Pacific Time"
	city   string // "" where the label says it all
}

// parseZone takes a name apart.
func parseZone(s string) (zoneName, bool) {
	var z zoneName
	rest, ok := strings.CutPrefix(s, "GMT")
	if !ok {
		return z, false
	}
	if len(rest) >= 6 && rest[0] != ' ' {
		t, err := time.Parse("-07:00", rest[:6])
		if err != nil || rest[4] > '5' { // time.Parse takes +01:60
			return z, false
		}
		_, seconds := t.Zone()
		z.offset, rest = time.Duration(seconds)*time.Second, rest[6:]
		if z.offset.Abs() > 14*time.Hour {
			return z, false
		}
	}
	if rest, ok = strings.CutPrefix(rest, " "); !ok {
		return z, false
	}
	z.label = rest
	if before, ok := strings.CutSuffix(rest, ")"); ok {
		if z.label, z.city, ok = strings.Cut(before, " ("); !ok || z.city == "" {
			return z, false
		}
	}
	return z, z.label != ""
}

// zones are the names of the IANA time zone database by what Workday calls
// them: the city, or the label where there is no city, both folded.
type zones map[string]string

// value writes a zone as profiles have it, "UTC±hh:mm Area/City". The offset
// is the one in Workday's name. There is none for a zone that is not known.
func (z zones) value(s string) (string, bool) {
	n, ok := parseZone(s)
	if !ok {
		return "", false
	}
	key := n.city
	if key == "" {
		key = n.label
	}
	name, ok := z[fold(key)]
	if !ok {
		return "", false
	}
	sign := '+'
	if n.offset < 0 {
		sign = '-'
	}
	minutes := int(n.offset.Abs().Minutes())
	return fmt.Sprintf("UTC%c%02d:%02d %s", sign, minutes/60, minutes%60, name), true
}

// fold leaves lower-case letters without accents and digits, so that
// "St. John’s" and "St_Johns", "São Paulo" and "Sao_Paulo" are one.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFD.String(s))
}

// newZones makes the table of [zonesByArea] and [zonesByName].
func newZones() zones {
	z := zones{}
	for line := range strings.Lines(zonesByArea) {
		area, names, _ := strings.Cut(line, ":")
		for _, name := range strings.Fields(names) {
			z[fold(name[strings.LastIndexByte(name, '/')+1:])] = area + "/" + name
		}
	}
	for line := range strings.Lines(zonesByName) {
		if names, zone, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			for name := range strings.SplitSeq(names, ";") {
				z[fold(name)] = zone
			}
		}
	}
	return z
}

// zonesByArea are the zones that are found by the last part of their names:
// those of zone.tab of the IANA time zone database (public domain), the list
// that Workday offers too.
const zonesByArea = `
Africa: Abidjan Accra Addis_Ababa Algiers Asmara Bamako Bangui Banjul Bissau Blantyre Brazzaville Bujumbura Cairo Casablanca Ceuta Conakry Dakar
Africa: Dar_es_Salaam Djibouti Douala El_Aaiun Freetown Gaborone Harare Johannesburg Juba Kampala Khartoum Kigali Kinshasa Lagos Libreville Lome
Africa: Luanda Lubumbashi Lusaka Malabo Maputo Maseru Mbabane Mogadishu Monrovia Nairobi Ndjamena Niamey Nouakchott Ouagadougou Porto-Novo Sao_Tome
Africa: Tripoli Tunis Windhoek
America: Adak Anchorage Anguilla Antigua Araguaina Argentina/Buenos_Aires Argentina/Catamarca Argentina/Cordoba Argentina/Jujuy Argentina/La_Rioja
America: Argentina/Mendoza Argentina/Rio_Gallegos Argentina/Salta Argentina/San_Juan Argentina/San_Luis Argentina/Tucuman Argentina/Ushuaia Aruba
America: Asuncion Atikokan Bahia Bahia_Banderas Barbados Belem Belize Blanc-Sablon Boa_Vista Bogota Boise Cambridge_Bay Campo_Grande Cancun Caracas
America: Cayenne Cayman Chicago Chihuahua Ciudad_Juarez Costa_Rica Coyhaique Creston Cuiaba Curacao Danmarkshavn Dawson Dawson_Creek Denver Detroit
America: Dominica Edmonton Eirunepe El_Salvador Fort_Nelson Fortaleza Glace_Bay Goose_Bay Grand_Turk Grenada Guadeloupe Guatemala Guayaquil Guyana
America: Halifax Havana Hermosillo Indiana/Indianapolis Indiana/Knox Indiana/Marengo Indiana/Petersburg Indiana/Tell_City Indiana/Vevay
America: Indiana/Vincennes Indiana/Winamac Inuvik Iqaluit Jamaica Juneau Kentucky/Louisville Kentucky/Monticello Kralendijk La_Paz Lima Los_Angeles
America: Lower_Princes Maceio Managua Manaus Marigot Martinique Matamoros Mazatlan Menominee Merida Metlakatla Mexico_City Miquelon Moncton Monterrey
America: Montevideo Montserrat Nassau New_York Nome Noronha North_Dakota/Beulah North_Dakota/Center North_Dakota/New_Salem Nuuk Ojinaga Panama
America: Paramaribo Phoenix Port-au-Prince Port_of_Spain Porto_Velho Puerto_Rico Punta_Arenas Rankin_Inlet Recife Regina Resolute Rio_Branco Santarem
America: Santiago Santo_Domingo Sao_Paulo Scoresbysund Sitka St_Barthelemy St_Johns St_Kitts St_Lucia St_Thomas St_Vincent Swift_Current Tegucigalpa
America: Thule Tijuana Toronto Tortola Vancouver Whitehorse Winnipeg Yakutat
Antarctica: Casey Davis DumontDUrville Macquarie Mawson McMurdo Palmer Rothera Syowa Troll Vostok
Arctic: Longyearbyen
Asia: Aden Almaty Amman Anadyr Aqtau Aqtobe Ashgabat Atyrau Baghdad Bahrain Baku Bangkok Barnaul Beirut Bishkek Brunei Chita Colombo Damascus
Asia: Dhaka Dili Dubai Dushanbe Famagusta Gaza Hebron Ho_Chi_Minh Hong_Kong Hovd Irkutsk Jakarta Jayapura Jerusalem Kabul Kamchatka Karachi
Asia: Kathmandu Khandyga Kolkata Krasnoyarsk Kuala_Lumpur Kuching Kuwait Macau Magadan Makassar Manila Muscat Nicosia Novokuznetsk Novosibirsk
Asia: Omsk Oral Phnom_Penh Pontianak Pyongyang Qatar Qostanay Qyzylorda Riyadh Sakhalin Samarkand Seoul Shanghai Singapore Srednekolymsk Taipei
Asia: Tashkent Tbilisi Tehran Thimphu Tokyo Tomsk Ulaanbaatar Urumqi Ust-Nera Vientiane Vladivostok Yakutsk Yangon Yekaterinburg Yerevan
Atlantic: Azores Bermuda Canary Cape_Verde Faroe Madeira Reykjavik South_Georgia St_Helena Stanley
Australia: Adelaide Brisbane Broken_Hill Darwin Eucla Hobart Lindeman Lord_Howe Melbourne Perth Sydney
Europe: Amsterdam Andorra Astrakhan Athens Belgrade Berlin Bratislava Brussels Bucharest Budapest Busingen Chisinau Copenhagen Dublin Gibraltar
Europe: Guernsey Helsinki Isle_of_Man Istanbul Jersey Kaliningrad Kirov Kyiv Lisbon Ljubljana London Luxembourg Madrid Malta Mariehamn Minsk Monaco
Europe: Moscow Oslo Paris Podgorica Prague Riga Rome Samara San_Marino Sarajevo Saratov Simferopol Skopje Sofia Stockholm Tallinn Tirane Ulyanovsk
Europe: Vaduz Vatican Vienna Vilnius Volgograd Warsaw Zagreb Zurich
Indian: Antananarivo Chagos Christmas Cocos Comoro Kerguelen Mahe Maldives Mauritius Mayotte Reunion
Pacific: Apia Auckland Bougainville Chatham Chuuk Easter Efate Fakaofo Fiji Funafuti Galapagos Gambier Guadalcanal Guam Honolulu Kanton Kiritimati
Pacific: Kosrae Kwajalein Majuro Marquesas Midway Nauru Niue Norfolk Noumea Pago_Pago Palau Pitcairn Pohnpei Port_Moresby Rarotonga Saipan Tahiti
Pacific: Tarawa Tongatapu Wake Wallis
`

// zonesByName are the zones that go by other names: labels without a city
// first, then spellings and cities that differ from the database's. The zones
// of the United States' labels, Buenos Aires and Karachi are written as the
// older system wrote them, which profiles and their readers have; that the
// last of them is no zone of the database is known.
const zonesByName = `
Eastern Time = US/Eastern
Central Time = US/Central
Mountain Time = US/Mountain
Pacific Time = US/Pacific
Alaska Time = US/Alaska
Hawaii-Aleutian Standard Time = US/Hawaii
Buenos Aires = America/Buenos_Aires
Karachi = Pakistan/Karachi
Godthab = America/Nuuk
Montreal;Thunder Bay;Nipigon = America/Toronto
Rainy River = America/Winnipeg
Yellowknife = America/Edmonton
Pangnirtung = America/Iqaluit
Coral Harbour = America/Atikokan
Ensenada;Santa Isabel = America/Tijuana
Shiprock = America/Denver
Rosario = America/Argentina/Cordoba
Knox, Indiana = America/Indiana/Knox
Marengo, Indiana = America/Indiana/Marengo
Petersburg, Indiana = America/Indiana/Petersburg
Tell City, Indiana = America/Indiana/Tell_City
Vevay, Indiana = America/Indiana/Vevay
Vincennes, Indiana = America/Indiana/Vincennes
Winamac, Indiana = America/Indiana/Winamac
Monticello, Kentucky = America/Kentucky/Monticello
Beulah, North Dakota = America/North_Dakota/Beulah
Center, North Dakota = America/North_Dakota/Center
New Salem, North Dakota = America/North_Dakota/New_Salem
Lower Prince's Quarter = America/Lower_Princes
Ittoqqortoormiit = America/Scoresbysund
Bahia de Banderas = America/Bahia_Banderas
Calcutta = Asia/Kolkata
Katmandu = Asia/Kathmandu
Rangoon = Asia/Yangon
Dacca = Asia/Dhaka
Saigon;Ho Chi Minh City = Asia/Ho_Chi_Minh
Macao = Asia/Macau
Tel Aviv = Asia/Jerusalem
Ashkhabad = Asia/Ashgabat
Thimbu = Asia/Thimphu
Ujung Pandang = Asia/Makassar
Ulan Bator;Choibalsan = Asia/Ulaanbaatar
Chongqing;Chungking;Harbin;Beijing = Asia/Shanghai
Kashgar = Asia/Urumqi
Kostanay = Asia/Qostanay
Asmera = Africa/Asmara
Timbuktu = Africa/Bamako
Faeroe = Atlantic/Faroe
Canberra = Australia/Sydney
Currie = Australia/Hobart
Kiev;Uzhgorod;Uzhhorod;Zaporozhye = Europe/Kyiv
Tiraspol = Europe/Chisinau
Belfast = Europe/London
Truk = Pacific/Chuuk
Ponape = Pacific/Pohnpei
Enderbury;Canton = Pacific/Kanton
Johnston = Pacific/Honolulu
South Pole = Antarctica/McMurdo
`
