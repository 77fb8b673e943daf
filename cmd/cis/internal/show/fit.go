package show

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// Columns returns how wide text on w may be: COLUMNS if it is set, else what a
// terminal has, else 120; never less than 60.
func Columns(w io.Writer, env map[string]string) int {
	n := 120
	if f, ok := w.(*os.File); ok {
		if wide, _, err := term.GetSize(int(f.Fd())); err == nil && wide > 0 {
			n = wide
		}
	}
	if set, err := strconv.Atoi(env["COLUMNS"]); err == nil && set > 0 {
		n = set
	}
	return max(60, n)
}

// Width returns how many columns of a terminal s takes.
func Width(s string) int { return width(s) }

// Pad fills s up with spaces to so many columns.
func Pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

// Clip returns s cleaned and cut to at most so many columns, with "…" for what
// is left out. It cuts between characters, also those made of several.
func Clip(s string, columns int) string {
	s = Clean(s)
	if width(s) <= columns {
		return s
	}
	head, _ := split(s, columns-1)
	return head + "…"
}

// split cuts s after as many whole characters as fit into columns.
func split(s string, columns int) (head, rest string) {
	used, state, rest := 0, -1, s
	for rest != "" {
		_, next, wide, newState := uniseg.FirstGraphemeClusterInString(rest, state)
		if used+wide > columns {
			break
		}
		used, state, rest = used+wide, newState, next
	}
	return s[:len(s)-len(rest)], rest
}

// Wrap returns s cleaned, as lines of at most so many columns, broken at
// spaces, or within a word that has more. The first line is to stand after
// something of the width of indent, with which the others begin.
func Wrap(s string, columns int, indent string) string {
	room := max(10, columns-width(indent))
	var lines []string
	line, used, begun := "", 0, false
	for word := range strings.SplitSeq(Clean(s), " ") {
		wide := width(word)
		if begun && used+1+wide > room {
			lines = append(lines, strings.TrimRight(line, " "))
			line, used, begun = "", 0, false
		}
		if begun {
			line, used = line+" ", used+1
		}
		for wide > room {
			head, rest := split(word, room)
			if head == "" { // a character wider than the room
				break
			}
			lines = append(lines, head)
			word, wide = rest, width(rest)
		}
		line, used, begun = line+word, used+wide, true
	}
	return strings.Join(append(lines, line), "\n"+indent)
}
