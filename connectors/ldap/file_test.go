package ldap_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/ldap"
	"example.org/cis/transforms/people"
)

func company(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/company.ldif")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const malformed = `dn: uid=mal,o=com,dc=example,dc=org
objectClass: inetOrgPerson
uid: mal
description:: hunter2%

garbage hunter2

`

func TestSuiteOnFile(t *testing.T) {
	of := func(content func(*testing.T) string) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source { return fromFile(t, content(t)) }
	}
	connectortest.Run(t, connectortest.Config{
		Good:   of(company),
		People: 3,
		Malformed: of(func(t *testing.T) string {
			before, after, _ := strings.Cut(company(t), "dn: uid=bo,")
			return before + malformed + "dn: uid=bo," + after
		}),
		Broken: func(t *testing.T) connectors.Source {
			return open(t, ldap.Config{Name: "ldap", File: filepath.Join(t.TempDir(), "none.ldif")}, nil)
		},
		Truncated: func(t *testing.T) connectors.Source {
			path := filepath.Join(t.TempDir(), "people.ldif.gz")
			whole := packed(t, company(t))
			if err := os.WriteFile(path, whole[:len(whole)-5], 0o600); err != nil {
				t.Fatal(err)
			}
			return open(t, ldap.Config{Name: "ldap", File: path}, nil)
		},
		Empty:   of(func(*testing.T) string { return "version: 1\n" }),
		Secrets: []string{"hunter2"},
		FindBy:  []people.Scheme{people.ByUserID, people.ByPosixID, people.ByRecord(people.LDAP)},
	})
}

func packed(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A file that ends anywhere but at the end of a line was cut short.
func TestFileCutWithinALine(t *testing.T) {
	whole := company(t)
	path := filepath.Join(t.TempDir(), "people.ldif")
	s := open(t, ldap.Config{Name: "ldap", File: path}, nil)
	for n := 1; n < len(whole); n += 5 {
		if whole[n-1] == '\n' {
			continue
		}
		if err := os.WriteFile(path, []byte(whole[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		cert, err := s.Extract(t.Context(), &connectortest.Recorder{})
		if err != nil || cert.Complete || !strings.Contains(cert.Reason, "cut short at line") {
			t.Fatalf("cut at %d: complete %v, reason %q, error %v", n, cert.Complete, cert.Reason, err)
		}
	}
}

// A file that is replaced between the two passes is not read whole.
func TestFileReplacedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.ldif")
	write := func() {
		if err := os.WriteFile(path+".new", []byte(company(t)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write()
	s := open(t, ldap.Config{Name: "ldap", File: path}, nil)
	out := connectortest.Recorder{}
	out.OnObservation = func(people.Observation) error { write(); return nil }
	cert, err := s.Extract(t.Context(), &out)
	if err != nil || cert.Complete || !strings.Contains(cert.Reason, "changed while") {
		t.Errorf("complete %v, reason %q, error %v", cert.Complete, cert.Reason, err)
	}
}

// One record of a size that no directory has costs neither memory nor others.
func TestFileHugeRecord(t *testing.T) {
	var b strings.Builder
	b.WriteString("dn: uid=huge,o=com\nobjectClass: inetOrgPerson\nuid: huge\n")
	for range 9 {
		b.WriteString("jpegPhoto: ")
		b.WriteString(strings.Repeat("x", 1<<20))
		b.WriteString("\n")
	}
	b.WriteString("\n")
	b.WriteString(company(t))
	got := story(t, fromFile(t, strings.Replace(b.String(), "\nversion: 1\n", "\n", 1)))
	if !strings.Contains(got, "set aside at people.ldif:1 (read): record of \"uid=huge,o=com\": line 11: record is longer than 8388608 bytes") ||
		strings.Count(got, "\nrecord ") != 2 || !strings.HasPrefix(got, "record ") {
		t.Error(got)
	}
}

// The order of values and of records changes nothing.
func TestOrderChangesNothing(t *testing.T) {
	contents := func(content string) map[string][32]byte {
		var out connectortest.Recorder
		if _, err := fromFile(t, content).Extract(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		return out.Contents()
	}
	want := contents(company(t))
	r := rand.New(rand.NewPCG(3, 4))
	unfolded := strings.ReplaceAll(strings.TrimPrefix(company(t), "version: 1\n"), "\n ", "")
	for range 20 {
		records := strings.Split(strings.TrimSpace(unfolded), "\n\n")
		for i, rec := range records {
			lines := strings.Split(rec, "\n")
			if lines[0][0] == '#' {
				lines = lines[1:]
			}
			r.Shuffle(len(lines)-1, func(a, b int) { lines[a+1], lines[b+1] = lines[b+1], lines[a+1] })
			records[i] = strings.Join(lines, "\n")
		}
		r.Shuffle(len(records), func(a, b int) { records[a], records[b] = records[b], records[a] })
		got := contents(strings.Join(records, "\n\n") + "\n")
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for record, c := range want {
			if got[record] != c {
				t.Errorf("record %s differs in another order", record)
			}
		}
	}
}
