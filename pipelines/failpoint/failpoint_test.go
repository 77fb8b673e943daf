package failpoint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.org/cis/pipelines/failpoint"
)

// TestNames compares the list with every call in the project, so that no place
// is forgotten by whoever tries them all.
func TestNames(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Hit" {
				return true
			}
			if p, ok := f.X.(*ast.Ident); !ok || p.Name != "failpoint" {
				return true
			}
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a place without a literal name", path)
				return true
			}
			s, err := strconv.Unquote(name.Value)
			if err != nil {
				t.Error(err)
			}
			used[s] = true
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := failpoint.Names()
	for name := range used {
		if !slices.Contains(names, name) {
			t.Errorf("%s is in the code and not in Names", name)
		}
	}
	for i, name := range names {
		if !used[name] {
			t.Errorf("%s is in Names and not in the code", name)
		}
		if slices.Contains(names[:i], name) {
			t.Errorf("%s is in Names twice", name)
		}
	}
}

// TestHit passes a place three times in a process of its own.
func TestHit(t *testing.T) {
	if os.Getenv("FAILPOINT_TEST") != "" {
		for range 3 {
			failpoint.Hit("plan.sealed")
			os.Stdout.WriteString("passed\n")
		}
		os.Exit(0)
	}
	for env, want := range map[string]int{"": 3, "CIS_FAILPOINT=plan.part": 3, "CIS_FAILPOINT=plan.sealed": 0, "CIS_FAILPOINT=plan.sealed:3": 2, "CIS_FAILPOINT=plan.sealed:4": 3} {
		t.Run(env, func(t *testing.T) {
			c := exec.Command(os.Args[0], "-test.run=^TestHit$")
			c.Env = append(os.Environ(), "FAILPOINT_TEST=1")
			if env != "" {
				c.Env = append(c.Env, env)
			}
			out, err := c.Output()
			if got := strings.Count(string(out), "passed\n"); got != want {
				t.Errorf("it passed %d times, want %d", got, want)
			}
			killed := c.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != (want < 3) {
				t.Errorf("killed %v: %v", killed, err)
			}
		})
	}
}
