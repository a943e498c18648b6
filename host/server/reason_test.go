package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Every reason of this room stands in the document, and in reason.go only.
func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "http.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literals := map[string]map[string]bool{} // by file
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		literals[name] = map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				text, _ := strconv.Unquote(l.Value)
				literals[name][text] = true
			}
			return true
		})
	}
	reasons := literals["reason.go"]
	if len(reasons) < 10 {
		t.Fatalf("reasons: %v", reasons)
	}
	for reason := range reasons {
		if !strings.Contains(string(doc), "`"+reason+"`") {
			t.Errorf("docs/http.md does not explain %s", reason)
		}
		for name, l := range literals {
			if name != "reason.go" && l[reason] {
				t.Errorf("%s writes %s as a literal", name, reason)
			}
		}
	}
}
