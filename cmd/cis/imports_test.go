package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "example.org/cis"

const (
	jsonLib = "github.com/go-json-experiment/json/"
	beamLib = "github.com/apache/beam/sdks/v2/"
	xsync   = "golang.org/x/sync/errgroup"
)

// The rooms of the house and what each may import, apart from the standard
// library. The first room that covers a package counts; a package that none
// covers fails. A trailing slash means "and below". Data flows from
// connectors through transforms into sinks, pipelines join them, and cmd alone
// knows everybody.
var rooms = []struct {
	room string
	may  []string
}{
	{"transforms/people", []string{jsonLib}},
	{"transforms/catalogue", []string{"transforms/people", "transforms/normalize", "github.com/goccy/go-yaml/", jsonLib}},
	{"transforms/normalize", []string{"transforms/people", "golang.org/x/text/"}},
	{"transforms/snapshot", []string{"transforms/people"}},
	{"transforms/correlate", []string{"transforms/people", "transforms/snapshot"}},
	{"transforms/merge", []string{"transforms/people", "transforms/catalogue"}},
	{"transforms/diff", []string{"transforms/people", "transforms/catalogue", "transforms/merge", "transforms/normalize"}},
	{"transforms/guard", []string{"transforms/people"}},
	{"transforms/sign", []string{"transforms/people", jsonLib}},

	{"connectors", []string{"transforms/people"}},
	{"connectors/file", []string{"github.com/klauspost/compress/", "github.com/mikelolasagasti/xz/"}},
	{"connectors/web", []string{jsonLib}},
	{"connectors/connectortest", []string{"connectors", "transforms/people", "github.com/google/go-cmp/"}},
	{"connectors/ldap", []string{"connectors", "connectors/file", "transforms/people", "transforms/normalize", "github.com/go-ldap/ldap/v3/", "github.com/go-asn1-ber/asn1-ber/"}},
	{"connectors/ldap/ldaptest", nil},
	{"connectors/auth0", []string{"connectors", "connectors/file", "connectors/web", "transforms/people", "transforms/normalize", jsonLib}},
	{"connectors/auth0/auth0test", []string{"connectors/auth0", "connectors/web"}},
	{"connectors/directory", []string{"connectors", "connectors/file", "connectors/web", "transforms/people", "transforms/normalize", jsonLib}},
	{"connectors/directory/directorytest", []string{"transforms/people"}},
	{"connectors/github", []string{"connectors", "connectors/file", "connectors/web", "transforms/people", "transforms/normalize", jsonLib, "github.com/google/go-github/v60/", "github.com/go-jose/go-jose/v4/", "github.com/klauspost/compress/"}},
	{"connectors/github/githubtest", []string{"connectors/", "github.com/getkin/kin-openapi/", "..."}}, // for tests only
	{"connectors/hris", []string{"connectors", "connectors/file", "connectors/web", "transforms/people", "transforms/normalize", jsonLib, "golang.org/x/text/"}},
	{"connectors/synth", []string{"transforms/people", "golang.org/x/text/"}},

	{"sinks", []string{"transforms/people", "github.com/klauspost/compress/"}},
	{"sinks/sinktest", []string{"sinks", "transforms/people", "github.com/anishathalye/porcupine/", "github.com/google/go-cmp/", xsync}},
	{"sinks/firestore", []string{"sinks", "transforms/people", "cloud.google.com/go/firestore/", "github.com/googleapis/gax-go/v2/", "golang.org/x/time/rate", "google.golang.org/", xsync}},
	{"sinks/firestore/emulator", []string{"..."}}, // for tests only
	{"sinks/sqlite", []string{"sinks", "transforms/people", "modernc.org/sqlite/", "golang.org/x/sys/"}},
	{"sinks/blobdir", []string{"sinks"}},
	{"sinks/keydir", []string{"transforms/people", "transforms/sign", "github.com/go-jose/go-jose/v4/"}},

	{"pipelines/spec", []string{"connectors", "sinks", "transforms/"}},
	{"pipelines/failpoint", nil},
	{"pipelines/beamrun", []string{beamLib}},
	{"pipelines/snapshots", []string{"pipelines/failpoint", "sinks", "transforms/", jsonLib}},
	{"pipelines/sync/synctest", []string{"pipelines/", "connectors", "connectors/", "sinks", "sinks/", "transforms/", "..."}}, // for tests only
	{"pipelines/", []string{"pipelines/", "connectors", "sinks", "transforms/", beamLib, jsonLib, xsync}},

	{"api", []string{jsonLib, "..."}}, // the server around the faces; nothing of ours
	{"api/view", []string{"transforms/people", "transforms/catalogue"}},
	{"api/auth", []string{"api", jsonLib, "github.com/go-jose/go-jose/v4/", "golang.org/x/sync/", "golang.org/x/time/rate"}},
	{"api/auth/issuer", []string{"api", jsonLib, "github.com/go-jose/go-jose/v4/"}},
	{"api/console", []string{"api"}},
	{"api/apitest", []string{"api", "api/wellknown", "..."}}, // for tests only
	{"api/", []string{"api", "api/view", "sinks", "transforms/", jsonLib}},

	{"cmd/", []string{"cmd/", "api", "api/", "pipelines/", "connectors", "connectors/", "sinks", "sinks/", "transforms/", "..."}},
}

// TestImports reads the files itself: go test runs a test again only when a
// file that it opened has changed.
func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || strings.HasPrefix(d.Name(), "cis-demo")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		may, ok := mayImport(path.Dir(rel))
		if !ok {
			t.Errorf("%s: no room covers its package", rel)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range f.Imports {
			p, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			if !permits(may, p) {
				t.Errorf("%s may not import %s", rel, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mayImport(pkg string) ([]string, bool) {
	for _, r := range rooms {
		if covers(r.room, pkg) {
			return r.may, true
		}
	}
	return nil, false
}

func permits(may []string, imported string) bool {
	ours, local := strings.CutPrefix(imported, module+"/")
	first, _, _ := strings.Cut(imported, "/")
	if !local && !strings.Contains(first, ".") {
		return true // standard library
	}
	for _, m := range may {
		switch {
		case m == "..." && !local, local && covers(m, ours), !local && (covers(m, imported) || m == imported+"/"):
			return true
		}
	}
	return false
}

func covers(pattern, p string) bool {
	return p == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(p, pattern)
}
