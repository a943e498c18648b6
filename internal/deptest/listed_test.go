package deptest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/mod/modfile"
)

// What a plugin links with the sdk is listed for its author, with a reason for each module.
func TestDependenciesOfTheSDKAreListed(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	mod, err := modfile.Parse("go.mod", read("sdk/go.mod"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var required, listed []string
	for _, r := range mod.Require {
		if !r.Indirect {
			required = append(required, r.Mod.Path)
		}
	}
	section := regexp.MustCompile(`(?s)\n## What you link\n(.*?)\n## `).FindSubmatch(read("docs/plugins.md"))
	if section == nil {
		t.Fatal("docs/plugins.md has no list")
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]{10,} \\|$").FindAllSubmatch(section[1], -1) {
		listed = append(listed, string(row[1]))
	}
	slices.Sort(required)
	slices.Sort(listed)
	if !slices.Equal(listed, required) || len(required) < 3 {
		t.Errorf("docs/plugins.md lists %q, the sdk requires %q", listed, required)
	}
}
