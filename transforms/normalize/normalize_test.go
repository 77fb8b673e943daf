package normalize

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.org/cis/transforms/people"
)

// forms is one table for every function from text to text: want "" is an
// error that holds the words in says.
type form struct{ name, in, want, says string }

func check(t *testing.T, normalize func(string) (string, error), table []form) {
	t.Helper()
	for _, f := range table {
		t.Run(f.name, func(t *testing.T) {
			got, err := normalize(f.in)
			if f.says != "" {
				if err == nil || !strings.Contains(err.Error(), f.says) {
					t.Fatalf("%q: got %q, %v; want an error that says %q", f.in, got, err, f.says)
				}
				if len(f.in) > 8 && strings.Contains(err.Error(), f.in) {
					t.Fatalf("the error repeats what it was given: %v", err)
				}
				return
			}
			if err != nil || got != f.want {
				t.Fatalf("%q: got %q, %v; want %q", f.in, got, err, f.want)
			}
			if again, err := normalize(got); err != nil || again != got {
				t.Fatalf("not idempotent: %q became %q, %v", got, again, err)
			}
		})
	}
}

func TestEmail(t *testing.T) {
	check(t, Email, []form{
		{"plain", "jdoe@example.com", "jdoe@example.com", ""},
		{"case and spaces around", "  J.Doe@Example.COM\n", "j.doe@example.com", ""},
		{"plus and apostrophe", "miles.o'brien+ds9@example.com", "miles.o'brien+ds9@example.com", ""},
		{"composed", "Jo\u0308rg@example.com", "jörg@example.com", ""},
		{"one label", "root@localhost", "root@localhost", ""},
		{"too long", strings.Repeat("a", 309) + "@example.com", "", "longer than 320"},
		{"empty", " ", "", "empty"},
		{"no sign", "jdoe.example.com", "", "one @"},
		{"two signs", "jdoe@work@example.com", "", "one @"},
		{"no local part", "@example.com", "", "one @"},
		{"no domain", "jdoe@", "", "one @"},
		{"two addresses", "jdoe@example.com j@example.com", "", "one @"},
		{"space within", "j doe@example.com", "", "space"},
		{"zero width", "j\u200bdoe@example.com", "", "invisible"},
		{"line break", "jdoe@example.com\nBcc:x", "", "control"},
		{"NUL", "jdoe\x00@example.com", "", "control"},
		{"latin-1", "j\xf6rg@example.com", "", "UTF-8"},
	})
}

func TestUserID(t *testing.T) {
	check(t, UserID, []form{
		{"LDAP", " ad|Mozilla-LDAP|jdoe ", "ad|Mozilla-LDAP|jdoe", ""},
		{"case is kept", "github|ABC", "github|ABC", ""},
		{"composed", "ad|Mozilla-LDAP|jo\u0308rg", "ad|Mozilla-LDAP|jörg", ""},
		{"percent, plus and at", "email|a%40b+c@d", "email|a%40b+c@d", ""},
		{"no connection", "jdoe", "", "connection"},
		{"empty connection", "|jdoe", "", "connection"},
		{"empty id", "github|", "", "connection"},
		{"control", "github|1\x002", "", "control"},
		{"too long", "github|" + strings.Repeat("1", 600), "", "longer"},
	})
}

func TestUsername(t *testing.T) {
	check(t, Username, []form{
		{"chosen", " j_doe-2 ", "j_doe-2", ""},
		{"shortest", "jd", "jd", ""},
		{"longest", strings.Repeat("j", 64), strings.Repeat("j", 64), ""},
		{"generated", "r--0QBWut43W2S-Zheo-yRcCA==", "r--0QBWut43W2S-Zheo-yRcCA==", ""},
		{"too short", "j", "", "2 to 64"},
		{"too long", strings.Repeat("j", 65), "", "2 to 64"},
		{"capital", "Jdoe", "", "a-z"},
		{"umlaut", "jörg", "", "a-z"},
		{"dot", "j.doe", "", "a-z"},
		{"chosen as if generated", "r--mine", "", "generated"},
		{"generated, cut off", "r--0QBWut43W2S-Zheo-yRcCA=", "", "generated"},
	})
}

func TestText(t *testing.T) {
	check(t, Text, []form{
		{"empty", " \t ", "", ""},
		{"composed", " Ame\u0301lie ", "Amélie", ""},
		{"two lines", "one\r\ntwo\tthree\n", "one\ntwo\tthree", ""},
		{"joined letters and signs", "می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻", ""},
		{"longest", strings.Repeat("x", MaxText), strings.Repeat("x", MaxText), ""},
		{"too long", strings.Repeat("x", MaxText+1), "", "longer than 16384"},
		{"far too long", strings.Repeat("x", 5*MaxText), "", "longer than 16384"},
		{"escape", "one\x1b[31mtwo", "", "control"},
		{"NUL", "one\x00two", "", "control"},
		{"C1 control", "one\u0085two", "", "control"},
		{"latin-1", "Am\xe9lie", "", "UTF-8"},
	})
	check(t, Line, []form{
		{"one line", " Ame\u0301lie\n", "Amélie", ""},
		{"two lines", "one\ntwo", "", "control"},
		{"tab", "one\ttwo", "", "control"},
	})
}

func TestTimestamp(t *testing.T) {
	check(t, Timestamp, []form{
		{"as written here", "2026-03-02T08:00:00.000Z", "2026-03-02T08:00:00.000Z", ""},
		{"whole seconds", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", ""},
		{"the older system's slip", "2019-01-01T:10:00:00.000Z", "2019-01-01T10:00:00.000Z", ""},
		{"microseconds, offset", "2019-02-27T11:23:00.123999+00:00", "2019-02-27T11:23:00.123Z", ""},
		{"offset over midnight", "2019-12-31T23:30:00-05:00", "2020-01-01T04:30:00.000Z", ""},
		{"offset without a colon", "2019-12-31T23:30:00+0530", "2019-12-31T18:00:00.000Z", ""},
		{"space, small letters", "2019-12-31 23:30:00z", "2019-12-31T23:30:00.000Z", ""},
		{"generalizedTime", "20240229081500Z", "2024-02-29T08:15:00.000Z", ""},
		{"generalizedTime of a directory from Redmond", "20240229081500.0Z", "2024-02-29T08:15:00.000Z", ""},
		{"generalizedTime, offset and fraction", "20240229081500,25+0100", "2024-02-29T07:15:00.250Z", ""},
		{"generalizedTime, minutes", "202402290815Z", "2024-02-29T08:15:00.000Z", ""},
		{"generalizedTime, fraction of a minute", "202402290815.5Z", "2024-02-29T08:15:30.000Z", ""},
		{"generalizedTime, fraction of an hour", "2024022908.25Z", "2024-02-29T08:15:00.000Z", ""},
		{"leap second", "20161231235960Z", "2017-01-01T00:00:00.000Z", ""},
		{"no zone", "2019-01-01T10:00:00", "", "zone"},
		{"no zone, generalizedTime", "20190101100000", "", "zone"},
		{"no time", "2019-01-01", "", "RFC 3339"},
		{"no such day", "20230229000000Z", "", "no such day"},
		{"month 13", "2023-13-01T00:00:00Z", "", "no such day"},
		{"hour 24", "20230228240000Z", "", "time of day"},
		{"offset of a day", "2023-01-01T00:00:00+24:00", "", "offset"},
		{"before year 0", "0000-01-01T00:00:00+01:00", "", "years"},
		{"empty", "", "", "RFC 3339"},
		{"words", "yesterday at noon", "", "RFC 3339"},
	})
}

func TestID(t *testing.T) {
	// The uuid of "salt#github|1" by Python's uuid.uuid5(uuid.NAMESPACE_URL, …).
	id, name, err := ID("salt", "github|1")
	if err != nil || id.String() != "689583e1-bac5-5ae9-a64f-b0b872b634b6" || name != "r--aJWD4brFWummT7C4crY0tg==" {
		t.Errorf("got %v, %v, %v", id, name, err)
	}
	if _, err := Username(name); err != nil {
		t.Error(err)
	}
	if _, _, err := ID("", "github|1"); !errors.Is(err, ErrNoSalt) {
		t.Errorf("no salt: got %v", err)
	}
	if _, _, err := ID("salt", ""); err == nil {
		t.Error("no user_id: no error")
	}
}

// TestVectorsIdentifiers meets the older system's own ids. A vector without a
// salt must be listed as an accepted difference, and then be refused here.
func TestVectorsIdentifiers(t *testing.T) {
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: the older system's identifiers are not compared")
	}
	var vectors []struct {
		Salt     string `json:"salt"`
		UserID   string `json:"user_id"`
		UUID     string `json:"uuid"`
		Username string `json:"primary_username"`
	}
	read(t, filepath.Join(dir, "identifiers.json"), &vectors)
	var accepted []struct {
		Salt *string `json:"salt"`
		Fix  string  `json:"fix"`
	}
	read(t, "../../testdata/vectors/accepted-identifiers.json", &accepted)
	for _, v := range vectors {
		fix := ""
		for _, a := range accepted {
			if a.Salt != nil && *a.Salt == v.Salt {
				fix = a.Fix
			}
		}
		id, username, err := ID(v.Salt, v.UserID)
		switch {
		case fix != "":
			if !errors.Is(err, ErrNoSalt) {
				t.Errorf("%q: got %v; want a refusal, because of %q", v.UserID, err, fix)
			}
		case err != nil || id.String() != v.UUID || username != v.Username:
			t.Errorf("%q: got %v %v %v; want %v %v", v.UserID, id, username, err, v.UUID, v.Username)
		}
	}
	t.Logf("%d identifiers", len(vectors))
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// fuzz checks what holds for every function here: no panic, valid UTF-8
// comes out, and the form's own form is itself.
func fuzz(f *testing.F, normalize func(string) (string, error), longest int, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := normalize(s)
		if err != nil {
			return
		}
		if !utf8.ValidString(got) || len(got) > longest {
			t.Fatalf("%q became %q", s, got)
		}
		if again, err := normalize(got); err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", s, got, again, err)
		}
	})
}

func FuzzEmail(f *testing.F) { fuzz(f, Email, MaxEmail, "J.Doe@Example.COM ", "İ@ı", "Jo\u0308rg@x") }
func FuzzText(f *testing.F)  { fuzz(f, Text, MaxText, " one\r\ntwo", "e\u0301", "\u2000x") }
func FuzzUserID(f *testing.F) {
	fuzz(f, UserID, MaxUserID, "ad|Mozilla-LDAP|jdoe")
}
func FuzzUsername(f *testing.F) { fuzz(f, Username, 64, "jdoe", "r--0QBWut43W2S-Zheo-yRcCA==") }

func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"2019-01-01T:10:00:00.000Z", "20240229081500,25+0100", "2024022908.5Z", "2019-12-31 23:30:00z"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Timestamp(s)
		if err != nil {
			return
		}
		if !form.MatchString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		parsed, err := time.Parse(people.TimeFormat, got)
		if err != nil || parsed.Format(people.TimeFormat) != got {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		// Where the standard library reads it as well, it is the same instant.
		if std, err := time.Parse(time.RFC3339Nano, s); err == nil && !std.Truncate(time.Millisecond).Equal(parsed) {
			t.Fatalf("%q is %v, became %v", s, std, parsed)
		}
	})
}
