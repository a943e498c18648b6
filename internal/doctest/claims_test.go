package doctest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

// faults is every block that no test takes, and every call that takes none.
func faults(t *testing.T, root string) (out []string) {
	t.Helper()
	blocks, err := All(root)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := claims(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		reason, not := b.NotRun()
		at := claim{b.Page, b.Info}
		_, ok := taken[at]
		switch {
		case not && reason == "":
			out = append(out, b.String()+" does not say why it is not run")
		case !not && !ok:
			out = append(out, b.String()+" is taken by no test; internal/doctest/doc.go says how one does")
		}
	}
	there := map[claim]bool{}
	for _, b := range blocks {
		there[claim{b.Page, b.Info}] = true
	}
	for c, at := range taken {
		if !there[c] {
			out = append(out, at+": "+c.page+" has no block \"```"+c.info+"\"")
		}
	}
	return out
}

func TestEveryBlockIsTaken(t *testing.T) {
	t.Parallel()
	for _, fault := range faults(t, buildtest.Root(t)) {
		t.Error(fault)
	}
}

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"page.md":           "# A page\n\n```sh\nnew\n```\n\n```sh tour\nrun\n```\n\n```sh not-run: it needs a cloud\nx\n```\n\n```sh not-run:\nx\n```\n",
		"folder/page.md":    "* a list\n\n  ```hcl\n  x = 1\n  ```\n",
		"folder/x_test.go":  "package x\n\nfunc TestX(t *testing.T) {\n\tdoctest.Blocks(t, \"page.md\", \"sh tour\")\n\tdoctest.Only(t, \"page.md\", \"gone\")\n\tother.Blocks(t, \"page.md\", \"sh\")\n}\n",
		"node_modules/x.md": "```sh\nnobody's\n```\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(faults(t, root), "\n")
	for _, want := range []string{"page.md:3: the block \"```sh\" is taken by no test", "folder/page.md:3: the block \"```hcl\" is taken by no test", "page.md:15: the block", "does not say why", "x_test.go:5:2: page.md has no block \"```gone\""} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not found:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 4 {
		t.Errorf("%d faults:\n%s", n, got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse("p.md", "text\n\n  ```sh tour\n  a\n    b\n  #> c\n  ```\n```\n` `` \n```\n")
	want := []Block{{"p.md", 3, "sh tour", "a\n  b\n#> c\n"}, {"p.md", 8, "", "` `` \n"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %q", err, got)
	}
	if script, shown := Script(got[:1]); script != "a\n  b\n" || !reflect.DeepEqual(shown, []string{"c"}) {
		t.Errorf("%q %q", script, shown)
	}
	if _, err := parse("p.md", "```sh\nx\n"); err == nil || !strings.Contains(err.Error(), "p.md:1") {
		t.Errorf("a block without an end: %v", err)
	}
}
