package ldap_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/ldap"
)

var update = flag.Bool("update", false, "write what was got into the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLDIF reads each testdata/ldif/*.txtar: a file people.ldif, and in want
// what becomes of it.
func TestLDIF(t *testing.T) {
	paths, err := filepath.Glob("testdata/ldif/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := story(t, fromFile(t, string(a.Files[0].Data)))
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(a.Files[1].Data), got); d != "" {
				t.Errorf("want (-), got (+):\n%s", d)
			}
		})
	}
}

// TestCompany reads the file that the tests on a server read too.
func TestCompany(t *testing.T) {
	ldif, err := os.ReadFile("testdata/company.ldif")
	if err != nil {
		t.Fatal(err)
	}
	got := story(t, fromFile(t, string(ldif)))
	if *update {
		if err := os.WriteFile("testdata/company.want", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/company.want")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("want (-), got (+):\n%s", d)
	}
}

// fromFile opens a source on a file people.ldif of the content.
func fromFile(t *testing.T, content string) connectors.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, ldap.Config{Name: "ldap", File: path}, nil)
}

func open(t *testing.T, c ldap.Config, secret ldap.Secret) *ldap.Source {
	t.Helper()
	s, err := ldap.Open(c, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// story tells an extract as text, one line a fact.
func story(t *testing.T, s connectors.Source) string {
	t.Helper()
	var out connectortest.Recorder
	cert, err := s.Extract(context.Background(), &out)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, o := range out.Observations {
		fmt.Fprintf(&b, "record %s at %s, %s\n", o.Record, o.Place, o.Lifecycle)
		for _, k := range o.Keys {
			fmt.Fprintf(&b, "\tkey %s %s\n", k.Scheme, k.Value)
		}
		for _, c := range o.Claims {
			value := c.Value.String()
			if c.Empty {
				value = "empty"
			}
			fmt.Fprintf(&b, "\t%s = %s (%s)\n", c.Path, value, c.Display)
		}
	}
	for _, r := range out.Rejections {
		what := "record"
		if r.Attribute != "" {
			what = string(r.Attribute)
		}
		fmt.Fprintf(&b, "set aside at %s (%s): %s of %q: %s\n", r.Place, r.Stage, what, r.Record, r.Reason)
	}
	if cert.Complete {
		fmt.Fprintf(&b, "complete: %s\n", cert.End)
	} else {
		fmt.Fprintf(&b, "incomplete: %s\n", cert.Reason)
	}
	return b.String()
}
