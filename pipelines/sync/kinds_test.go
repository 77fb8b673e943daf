package sync_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.org/cis/pipelines/sync"
)

// TestKinds compares the table of kinds with every place of the project that
// reads or writes a ledger, so that no copy of a vault forgets one: a kind is a
// constant whose name begins with kind, or comes out of the table itself.
func TestKinds(t *testing.T) {
	constants, used := map[string]string{}, map[string][]string{}
	for _, root := range []string{"../../pipelines", "../../cmd", "../../api"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			kind := func(e ast.Expr) {
				name := "something that is computed"
				switch e := e.(type) {
				case *ast.Ident:
					name = e.Name
				case *ast.SelectorExpr:
					if name = e.Sel.Name; name == "Name" || name == "Kind" {
						return // of a Kind of the table, or of a document that was read
					}
				case *ast.BasicLit:
					name = e.Value
				}
				used[name] = append(used[name], path)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if strings.HasPrefix(name.Name, "kind") && i < len(n.Values) {
							if lit, ok := n.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
								constants[name.Name], _ = strconv.Unquote(lit.Value)
							}
						}
					}
				case *ast.CompositeLit:
					if s, ok := n.Type.(*ast.SelectorExpr); !ok || s.Sel.Name != "Doc" {
						return true
					}
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Kind" {
							kind(kv.Value)
						}
					}
				case *ast.FuncDecl:
					return n.Name.Name != "Documents" // whose kind is its caller's
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "Documents" {
						kind(n.Args[2])
					}
					f, ok := n.Fun.(*ast.SelectorExpr)
					if ok && f.Sel.Name == "Documents" && len(n.Args) == 3 {
						kind(n.Args[2])
					}
					if ok && (f.Sel.Name == "Doc" && len(n.Args) == 3 || f.Sel.Name == "Docs" && len(n.Args) == 4) {
						kind(n.Args[1])
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var table []string
	for _, k := range sync.Kinds() {
		if slices.Contains(table, k.Name) {
			t.Errorf("%s is in the table twice", k.Name)
		}
		table = append(table, k.Name)
	}
	for name, paths := range used {
		if value, ok := constants[name]; !ok {
			t.Errorf("%s: the kind of a document is %s, want a constant whose name begins with kind", paths[0], name)
		} else if !slices.Contains(table, value) {
			t.Errorf("%s: kind %s is not in sync.Kinds: is it copied with a vault?", paths[0], value)
		}
	}
	for _, name := range table {
		found := false
		for constant := range used {
			found = found || constants[constant] == name
		}
		if !found {
			t.Errorf("kind %s is in sync.Kinds, and nobody reads or writes it", name)
		}
	}
}
