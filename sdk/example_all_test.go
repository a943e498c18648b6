package sdk_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// Every function of the package, and every constructor and option in it, has an example that runs.
func TestEveryFunctionHasAnExample(t *testing.T) {
	t.Parallel()
	of := func(tests bool) []*ast.File {
		//nolint:staticcheck // a package of one folder, without build tags
		found, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return strings.HasSuffix(f.Name(), "_test.go") == tests }, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		var files []*ast.File
		for _, p := range found {
			for _, f := range p.Files {
				files = append(files, f)
			}
		}
		return files
	}
	var examples []string
	for _, e := range doc.Examples(of(true)...) {
		name, _, _ := strings.Cut(e.Name, "_")
		if e.Output == "" && !e.EmptyOutput && !callsAnother(e.Code) {
			t.Errorf("Example%s is not run: it says no output", e.Name)
		}
		examples = append(examples, name)
	}
	without := []string{"WithCall"} // for the serving side
	n := 0
	for _, f := range of(false) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || slices.Contains(without, fn.Name.Name) {
				continue
			}
			if n++; !slices.Contains(examples, fn.Name.Name) {
				t.Errorf("%s has no example", fn.Name.Name)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d functions were looked at", n)
	}
}

// callsAnother says whether an example shows another one, which is run, under a second name.
func callsAnother(code ast.Node) bool {
	b, ok := code.(*ast.BlockStmt)
	if !ok || len(b.List) != 1 {
		return false
	}
	x, ok := b.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := x.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && strings.HasPrefix(name.Name, "Example")
}
