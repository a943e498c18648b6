package deptest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// fileFaults checks what stands in the files of the tree at root: that a package has a doc.go with its package comment and
// a name that says something, and that no hand-written file has an init function.
func fileFaults(root string) ([]string, error) {
	var out []string
	packages := map[string]bool{} // with hand-written code; true once its doc.go was seen
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "data", "node_modules", "out", "testdata"}, d.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || ast.IsGenerated(file) {
			return nil //nolint:nilerr // a file that does not parse is the compiler's to report
		}
		if hasInit(file) {
			out = append(out, rel+": func init: what a package needs is passed in, not registered when it is linked")
		}
		if dir := path.Dir(rel); !strings.HasSuffix(rel, "_test.go") && !within(dir, "examples") {
			packages[dir] = packages[dir] || path.Base(rel) == "doc.go" && strings.TrimSpace(file.Doc.Text()) != ""
		}
		return nil
	})
	for dir, documented := range packages {
		if !documented {
			out = append(out, dir+": no doc.go with a package comment: a room says what it owns")
		}
		if slices.Contains(vague, path.Base(dir)) {
			out = append(out, dir+": the name says nothing: name a package after what it owns")
		}
	}
	slices.Sort(out)
	return out, err
}

func hasInit(file *ast.File) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Recv == nil && f.Name.Name == "init"
	})
}

// requireFaults says which published module has more direct dependencies than it may, our own modules included, and which
// module that is to be free of clouds requires one.
func requireFaults(root string) ([]string, error) {
	var out []string
	for _, dir := range []string{".", "proto", "sdk"} {
		name := filepath.Join(root, dir, "go.mod")
		at := path.Join(dir, "go.mod")
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		mod, err := modfile.Parse(name, content, nil)
		if err != nil {
			return nil, err
		}
		direct := 0
		for _, r := range mod.Require {
			if !r.Indirect {
				direct++
			}
			if slices.ContainsFunc(clouds, func(c string) bool { return within(r.Mod.Path, c) }) {
				out = append(out, fmt.Sprintf("%s requires %s: whoever requires this module would get a cloud's SDK", at, r.Mod.Path))
			}
		}
		if limit, ok := maxRequires[dir]; ok && direct > limit {
			out = append(out, fmt.Sprintf("%s: %d direct dependencies, at most %d: each one is the dependency of every plugin", at, direct, limit))
		}
	}
	return out, nil
}
