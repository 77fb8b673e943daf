package show

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"Ana", 3, "Ana"},
		{"Anna", 3, "An…"},
		{"王小明です", 6, "王小…"}, // of two columns each
		{"王小明です", 5, "王小…"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👩‍💻👩‍💻", 3, "👩‍💻…"},
		{"a\x1b[2J", 9, "a\ufffd[2J"},
	} {
		if got := Clip(c.text, c.most); got != c.want || Width(got) > c.most {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		indent  string
		want    string
	}{
		{"", 20, "  ", ""},
		{"one two three", 20, "", "one two three"},
		{"one  two", 20, "", "one  two"},
		{"one two    three", 10, "", "one two\nthree"},
		{"one two three four", 12, "", "one two\nthree four"},
		{"one two three four", 14, "  ", "one two\n  three four"},
		{"a abcdefghijklmnopqrs", 12, "  ", "a\n  abcdefghij\n  klmnopqrs"},
		{"王小明です王小明です 王", 10, "", "王小明です\n王小明です\n王"},
	} {
		if got := Wrap(c.text, c.columns, c.indent); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestWrapLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé王👩 ]{0,60}`).Draw(t, "text")
		columns := rapid.IntRange(12, 40).Draw(t, "columns")
		got := Wrap(text, columns, "  ")
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(got) != squeeze(text) {
			t.Fatalf("%q became %q", text, got)
		}
		for i, line := range strings.Split(got, "\n") {
			if most := columns - 2*min(1, 1-min(i, 1)); Width(line) > most {
				t.Fatalf("%q has %d columns, at most %d", line, Width(line), most)
			}
		}
	})
}

func TestColumns(t *testing.T) {
	for set, want := range map[string]int{"": 120, "80": 80, "20": 60, "x": 120} {
		if got := Columns(&strings.Builder{}, map[string]string{"COLUMNS": set}); got != want {
			t.Errorf("COLUMNS=%s is %d, want %d", set, got, want)
		}
	}
}
