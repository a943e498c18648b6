package doctest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// claim is the blocks of a page that a test takes.
type claim struct{ page, info string }

// claims reads all tests below root, and gives what they take with where.
func claims(root string) (map[claim]string, error) {
	out := map[claim]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "doctest.") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if c, ok := claimOf(n); ok {
				out[c] = files.Position(n.Pos()).String()
			}
			return true
		})
		return nil
	})
	return out, err
}

// claimOf tells doctest.Blocks(t, "page", "info") and doctest.Only, whose page and info stand there as they are.
func claimOf(n ast.Node) (c claim, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 3 {
		return c, false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Blocks" && f.Sel.Name != "Only" {
		return c, false
	}
	if from, ok := f.X.(*ast.Ident); !ok || from.Name != "doctest" {
		return c, false
	}
	page, ok := literal(call.Args[1])
	if !ok {
		return c, false
	}
	info, ok := literal(call.Args[2])
	return claim{page, info}, ok
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
