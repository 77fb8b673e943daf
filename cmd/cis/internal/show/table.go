package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rivo/uniseg"
)

// A Style is how a cell stands out, where colours are to be had.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Paint returns s cleaned, and in the style if colours is true.
func (st Style) Paint(s string, colours bool) string {
	s = Clean(s)
	if st == Plain || !colours || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// A Cell is a text with a style.
type Cell struct {
	Text  string
	Style Style
}

// A Table collects rows and writes them in aligned columns, also of wide
// characters (UAX #11) and those made of several (UAX #29).
type Table struct {
	colours bool
	right   []bool
	rows    [][]Cell
}

// NewTable begins a table with a line of headings; those that begin with ">"
// are of columns aligned at the right.
func NewTable(colours bool, headings ...string) *Table {
	t := &Table{colours: colours}
	head := make([]Cell, len(headings))
	for i, h := range headings {
		name, right := strings.CutPrefix(h, ">")
		t.right = append(t.right, right)
		head[i] = Cell{name, Bold}
	}
	t.rows = append(t.rows, head)
	return t
}

// Len returns how many rows were added.
func (t *Table) Len() int { return len(t.rows) - 1 }

// Row adds a row. Cells are of type Cell, string, int, int64, time.Duration
// or anything else that fmt prints.
func (t *Table) Row(cells ...any) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case Cell:
			row[i] = c
		case int:
			row[i].Text = Count(int64(c))
		case int64:
			row[i].Text = Count(c)
		case time.Duration:
			row[i].Text = Duration(c)
		default:
			row[i].Text = fmt.Sprint(c)
		}
	}
	t.rows = append(t.rows, row)
}

// WriteTo writes the table, nothing if it has no rows.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	if t.Len() == 0 {
		return 0, nil
	}
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], width(c.Text))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			if i > 0 {
				line += "  "
			}
			pad := strings.Repeat(" ", widths[i]-width(c.Text))
			if t.right[i] {
				line += pad
			}
			line += c.Style.Paint(c.Text, t.colours)
			if !t.right[i] {
				line += pad
			}
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	if err != nil {
		return int64(n), fmt.Errorf("show: write a table: %w", err)
	}
	return int64(n), nil
}

// width is how many columns of a terminal s takes.
func width(s string) int { return uniseg.StringWidth(Clean(s)) }
