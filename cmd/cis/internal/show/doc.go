// Package show owns how the program prints: tables, durations and colours for
// people, JSON for programs, and a line of progress.
//
// What a source says is not to be trusted with a terminal: control characters
// and those that reverse the direction of writing never reach it.
package show

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"
)

// JSON writes v as one indented document that is the same for the same v.
func JSON(w io.Writer, v any) error {
	err := json.MarshalWrite(w, v, json.Deterministic(true), json.FormatNilSliceAsNull(false), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("show: write JSON: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("show: write JSON: %w", err)
	}
	return nil
}

// IsTerminal reports whether w is one.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Colours reports whether w takes colours: it is a terminal, not a dumb one,
// and NO_COLOR (https://no-color.org) is not set.
func Colours(w io.Writer, env map[string]string) bool {
	return IsTerminal(w) && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
}

// Clean returns s fit for one line of a terminal: what would move the cursor,
// ring, colour or turn the direction of writing is replaced by U+FFFD.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Duration returns d in at most two units, as one says it: "350 ms", "2.4 s",
// "3 min 10 s", "2 h 5 min", "4 d 3 h".
func Duration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	two := func(big time.Duration, name string, small time.Duration, smallName string) string {
		d := d.Round(small)
		s := fmt.Sprintf("%s%d %s", sign, d/big, name)
		if rest := d % big / small; rest > 0 {
			s += fmt.Sprintf(" %d %s", rest, smallName)
		}
		return s
	}
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%s%d µs", sign, d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%s%d ms", sign, d.Milliseconds())
	case d < time.Minute-50*time.Millisecond:
		return sign + strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour-500*time.Millisecond:
		return two(time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour-30*time.Second:
		return two(time.Hour, "h", time.Minute, "min")
	}
	return two(24*time.Hour, "d", time.Hour, "h")
}

// Count returns n with a comma at every thousand.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural returns "1 person", "2 people" and so on.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}
