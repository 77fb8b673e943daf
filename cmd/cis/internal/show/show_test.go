package show

import (
	"strings"
	"testing"
	"time"
)

func TestTableAlignsWideText(t *testing.T) {
	table := NewTable(false, "NAME", ">ROWS", "NOTE")
	table.Row("Ana", 7, "plain")
	table.Row("王小明", 12345, "wide")
	table.Row("Jose\u0301", 3, "a combining accent")
	table.Row("👩‍💻 Eve", -1234567, "")
	var b strings.Builder
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"NAME          ROWS  NOTE\n" +
		"Ana              7  plain\n" +
		"王小明      12,345  wide\n" +
		"Jose\u0301             3  a combining accent\n" +
		"👩‍💻 Eve  -1,234,567\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestTableOfNothing(t *testing.T) {
	var b strings.Builder
	if _, err := NewTable(true, "NAME").WriteTo(&b); err != nil || b.Len() != 0 {
		t.Errorf("wrote %q, %v", b.String(), err)
	}
}

func TestTextCannotSteerTheTerminal(t *testing.T) {
	hostile := "a\x1b[2Jb\r\n\u202ec\u009bd"
	if got, want := Clean(hostile), "a\ufffd[2Jb\ufffd\ufffd\ufffdc\ufffdd"; got != want {
		t.Errorf("Clean gives %q, want %q", got, want)
	}
	if got, want := Red.Paint("x\x1by", true), "\x1b[31mx\ufffdy\x1b[0m"; got != want {
		t.Errorf("Paint gives %q, want %q", got, want)
	}
	if got := Red.Paint("x", false); got != "x" {
		t.Errorf("Paint without colours gives %q", got)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                          "0 µs",
		350 * time.Millisecond:     "350 ms",
		2440 * time.Millisecond:    "2.4 s",
		59980 * time.Millisecond:   "1 min",
		190 * time.Second:          "3 min 10 s",
		2 * time.Hour:              "2 h",
		125 * time.Minute:          "2 h 5 min",
		99 * time.Hour:             "4 d 3 h",
		-72 * time.Hour:            "-3 d",
		24*time.Hour - time.Second: "1 d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -100: "-100", -1000: "-1,000", 1234567: "1,234,567"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Plural(1, "person", "people") + ", " + Plural(2000, "person", "people"); got != "1 person, 2,000 people" {
		t.Error(got)
	}
}

func TestJSONIsDeterministic(t *testing.T) {
	v := map[string]any{"b": []string(nil), "a": map[string]int{"z": 1, "y": 2}}
	var one, two strings.Builder
	if err := JSON(&one, v); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&two, v); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"a\": {\n    \"y\": 2,\n    \"z\": 1\n  },\n  \"b\": []\n}\n"
	if one.String() != want || two.String() != want {
		t.Errorf("got %s", one.String())
	}
}

func TestProgressIsSilentWithoutTerminal(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, "reading", 10)
	p.Set(3)
	p.Set(10)
	p.Close()
	if b.Len() != 0 {
		t.Errorf("wrote %q", b.String())
	}
}
