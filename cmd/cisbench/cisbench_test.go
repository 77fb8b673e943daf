package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const ldif = `version: 1

dn: o=com

dn: mail=a@example.com,o=com
cn:: w4luZQ==
description: folded
  over
 lines

dn: mail=b@example.com,o=com
cn: last
`

const workers = `{"Report_Entry": [
{"EmployeeID": "1", "Team": "a"},
{"EmployeeID": "2"}
]}
`

func TestFloor(t *testing.T) {
	if n, err := readLDIF(strings.NewReader(ldif)); n != 3 || err != nil {
		t.Errorf("LDIF: %d entries, %v", n, err)
	}
	if n, err := readReport(strings.NewReader(workers)); n != 2 || err != nil {
		t.Errorf("report: %d rows, %v", n, err)
	}
	if n, err := readLines(strings.NewReader("{}\nwrong\n{\"a\": 1}\n")); n != 2 || err != nil {
		t.Errorf("lines: %d values, %v", n, err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"more.json": "{\n}", "people": ldif, "workers": workers, "payloads": "10 2\n3000 5\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := floor([]string{"--ldif", filepath.Join(dir, "people"), "--report", filepath.Join(dir, "workers"), "--payloads", filepath.Join(dir, "payloads"), filepath.Join(dir, "more.json")}); err != nil {
		t.Error(err)
	}
}

func TestSignAll(t *testing.T) {
	var small, large, others atomic.Int64
	err := signAll([]payload{{10, 2}, {20, 0}, {3000, 500}}, func(b []byte) error {
		switch len(b) {
		case 10:
			small.Add(1)
		case 3000:
			large.Add(1)
		default:
			others.Add(1)
		}
		return nil
	})
	if small.Load() != 2 || large.Load() != 500 || others.Load() != 0 || err != nil {
		t.Errorf("signed %d small, %d large, %d others, %v", small.Load(), large.Load(), others.Load(), err)
	}
}

func TestPayloads(t *testing.T) {
	const now, earlier = "2026-03-02T06:00:00.000Z", "2026-03-01T06:00:00.000Z"
	attr := func(modified, value, jws string) string {
		return `{"metadata":{"last_modified":"` + modified + `"},"signature":{"publisher":{"value":"` + jws + `"}},"value":` + value + `}`
	}
	profile := func(written string) string {
		return `{"schema":"s","last_modified":` + attr(written, `"`+written+`"`, "aa.bb.x") + `,"active":` + attr(earlier, "true", "aaa.bbb.x") +
			`,"first_name":` + attr(earlier, `"A"`, "aaaa.bbbb.x") + `,"identities":{"custom":` + attr(written, `"A"`, "aa.bb.xyz") + `,"none":` + attr(written, "null", "") + "}}\n"
	}
	var out bytes.Buffer
	if err := payloads([]string{now}, strings.NewReader(profile(now)+profile(earlier)), &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "5 2\n7 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   string
	}{
		{[]float64{2}, "2.00"},
		{[]float64{3, 1, 2}, "2.00 (1.00–3.00)"},
		{[]float64{400, 1, 2, 3}, "2.50 (1.00–400)"},
	} {
		if got := spreadOf(test.values).text(); got != test.want {
			t.Errorf("%v: %s, want %s", test.values, got, test.want)
		}
	}
}

func TestBetween(t *testing.T) {
	got, err := between("# Title\n"+begin+"old\n"+end+"rest\n", begin, end, "new\n")
	if want := "# Title\n" + begin + "\nnew\n\n" + end + "rest\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := between("# Title\n", begin, end, "new\n"); err == nil {
		t.Error("wrote into a file without the comments")
	}
}

func TestMarkdown(t *testing.T) {
	r := newReport("go run ./cmd/cisbench", time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	r.Cases = []result{{
		Case: "first load", Alg: ed25519Name, People: 9909, Runs: 3, Signatures: 276489, Writes: 9909, Vault: 99_090_000, Snapshots: 9_909_000,
		figure: figureOf([]cost{{Wall: 10 * time.Second, CPU: 18 * time.Second, Peak: 250e6}}),
		Floor:  figureOf([]cost{{Wall: 5 * time.Second, CPU: 9 * time.Second, Peak: 10e6}}),
	}}
	got := r.markdown()
	for _, want := range []string{
		"Measured 2026-03-02 on ",
		"| first load | Ed25519 | 9,909 | 3 | 10.00 | 18.00 | 250 | 990 | 5.00 | 9.00 | 2.00 | 2.00 | 276,489 | 9,909 |\n",
		"| first load | Ed25519 | 9,909 | 10,000 | 1,000 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not in the table: %s", want)
		}
	}
}
