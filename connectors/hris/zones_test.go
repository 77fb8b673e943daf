package hris

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones that the table names are looked up
)

func TestZones(t *testing.T) {
	z := newZones()
	for name, want := range map[string]string{
		"GMT+01:00 Central European Time (Paris)":            "UTC+01:00 Europe/Paris",
		"GMT+01:00 Central European Time (Amsterdam)":        "UTC+01:00 Europe/Amsterdam",
		"GMT+02:00 Eastern European Time (Helsinki)":         "UTC+02:00 Europe/Helsinki",
		"GMT+02:00 Israel Time (Jerusalem)":                  "UTC+02:00 Asia/Jerusalem",
		"GMT+05:30 India Standard Time (Kolkata)":            "UTC+05:30 Asia/Kolkata",
		"GMT+05:45 Nepal Time (Kathmandu)":                   "UTC+05:45 Asia/Kathmandu",
		"GMT+07:00 Indochina Time (Ho Chi Minh City)":        "UTC+07:00 Asia/Ho_Chi_Minh",
		"GMT+12:00 New Zealand Time (Auckland)":              "UTC+12:00 Pacific/Auckland",
		"GMT+12:45 Chatham Time (Chatham)":                   "UTC+12:45 Pacific/Chatham",
		"GMT+14:00 Line Islands Time (Kiritimati)":           "UTC+14:00 Pacific/Kiritimati",
		"GMT United Kingdom Time (London)":                   "UTC+00:00 Europe/London",
		"GMT Western European Time (Casablanca)":             "UTC+00:00 Africa/Casablanca",
		"GMT Greenwich Mean Time (São Tomé)":                 "UTC+00:00 Africa/Sao_Tome",
		"GMT+00:00 Greenwich Mean Time (Accra)":              "UTC+00:00 Africa/Accra",
		"GMT-00:00 Greenwich Mean Time (Accra)":              "UTC+00:00 Africa/Accra",
		"GMT-01:00 Azores Time (Azores)":                     "UTC-01:00 Atlantic/Azores",
		"GMT-03:00 Argentina Standard Time (Buenos Aires)":   "UTC-03:00 America/Buenos_Aires",
		"GMT-03:30 Newfoundland Time (St. John's)":           "UTC-03:30 America/St_Johns",
		"GMT-03:30 Newfoundland Time (St. John’s)":           "UTC-03:30 America/St_Johns",
		"GMT-05:00 Eastern Time":                             "UTC-05:00 US/Eastern",
		"GMT-05:00 Eastern Time (New York)":                  "UTC-05:00 America/New_York",
		"GMT-05:00 Eastern Time (Indianapolis)":              "UTC-05:00 America/Indiana/Indianapolis",
		"GMT-05:00 Eastern Time (Port-au-Prince)":            "UTC-05:00 America/Port-au-Prince",
		"GMT-06:00 Central Time (Center, North Dakota)":      "UTC-06:00 America/North_Dakota/Center",
		"GMT-08:00 Pacific Time":                             "UTC-08:00 US/Pacific",
		"GMT-08:00 Pacific Time (Los Angeles)":               "UTC-08:00 America/Los_Angeles",
		"GMT-10:00 Hawaii-Aleutian Standard Time (Honolulu)": "UTC-10:00 Pacific/Honolulu",
		"":                                       "",
		"GMT":                                    "",
		"GMT ":                                   "",
		"Paris":                                  "",
		"UTC+01:00 Europe/Paris":                 "",
		"GMT+1 Central European Time (Paris)":    "",
		"GMT+01:00":                              "",
		"GMT+01:00Central European Time (Paris)": "",
		"GMT+01:60 Central European Time (Paris)": "",
		"GMT+15:00 Central European Time (Paris)": "",
		"GMT*01:00 Central European Time (Paris)": "",
		"GMT+01:00 Central European Time ()":      "",
		"GMT+01:00 (Paris)":                       "",
		"GMT+01:00 Atlantis Time (Atlantis)":      "",
		"GMT+01:00 Central European Time":         "",
	} {
		got, ok := z.value(name)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestZonesExist looks every zone of the table up, but for the one that the
// older system misspelt.
func TestZonesExist(t *testing.T) {
	z := newZones()
	if len(z) < 450 {
		t.Errorf("only %d names", len(z))
	}
	for city, zone := range z {
		if _, err := time.LoadLocation(zone); err != nil && zone != "Pakistan/Karachi" {
			t.Errorf("%s: %s is no zone", city, zone)
		}
		if area, _, _ := strings.Cut(zone, "/"); city == "" || area == zone {
			t.Errorf("%q: %q has no area", city, zone)
		}
	}
}
