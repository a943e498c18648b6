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
	var examples []string
	for _, e := range doc.Examples(filesOf(t, ".", true)...) {
		name, _, _ := strings.Cut(e.Name, "_")
		if e.Output == "" && !e.EmptyOutput && !callsAnother(e.Code) {
			t.Errorf("Example%s is not run: it says no output", e.Name)
		}
		examples = append(examples, name)
	}
	without := []string{"WithCall"} // for the serving side
	n := 0
	for _, f := range filesOf(t, ".", false) {
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

// forAuthors are the packages that an author's own code names.
var forAuthors = []string{".", "accesstoken", "breaker", "egress", "keyset", "plugintest", "serve", "verified"}

func filesOf(t *testing.T, folder string, tests bool) (files []*ast.File) {
	t.Helper()
	//nolint:staticcheck // a package of one folder, whose few build tags do not matter here
	found, err := parser.ParseDir(token.NewFileSet(), folder, func(f fs.FileInfo) bool { return strings.HasSuffix(f.Name(), "_test.go") == tests }, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		for _, f := range p.Files {
			files = append(files, f)
		}
	}
	return files
}

// Every name that an author sees says what it is, and every package shows how it is used.
func TestEveryNameIsDocumented(t *testing.T) {
	t.Parallel()
	n := 0
	for _, folder := range forAuthors {
		if len(doc.Examples(filesOf(t, folder, true)...)) == 0 {
			t.Errorf("%s has no example", folder)
		}
		for _, f := range filesOf(t, folder, false) {
			for _, d := range f.Decls {
				for name, documented := range namesIn(d) {
					if n++; !documented {
						t.Errorf("%s: %s has no comment", folder, name)
					}
				}
			}
		}
	}
	if n < 250 {
		t.Errorf("only %d names were looked at", n)
	}
}

// namesIn gives the exported names that a declaration makes, and whether each has a comment.
func namesIn(d ast.Decl) map[string]bool {
	names := map[string]bool{}
	if fn, ok := d.(*ast.FuncDecl); ok {
		if fn.Name.IsExported() && (fn.Recv == nil || receiver(fn).IsExported()) {
			names[fn.Name.Name] = fn.Doc != nil
		}
		return names
	}
	group, ok := d.(*ast.GenDecl)
	if !ok {
		return names
	}
	for _, s := range group.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				names[s.Name.Name] = s.Doc != nil || group.Doc != nil
			}
		case *ast.ValueSpec:
			for _, x := range s.Names {
				if x.IsExported() {
					names[x.Name] = s.Doc != nil || s.Comment != nil || group.Doc != nil
				}
			}
		}
	}
	return names
}

// receiver names the type that a method is of.
func receiver(fn *ast.FuncDecl) *ast.Ident {
	of := fn.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("_")
		}
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
