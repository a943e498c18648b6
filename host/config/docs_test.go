package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
)

const manual = "../../docs/configuration.md"

// TestExamplesOfTheDocuments loads all examples of each document together, each as a file.
func TestExamplesOfTheDocuments(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]struct {
		blocks []doctest.Block
		realms int
	}{
		"architecture":  {doctest.Blocks(t, "docs/architecture.md", "hcl"), 1},
		"configuration": {doctest.Blocks(t, "docs/configuration.md", "hcl"), 4},
		"metrics":       {doctest.Blocks(t, "docs/metrics.md", "hcl"), 0},
		"operations":    {doctest.Blocks(t, "docs/operations.md", "hcl"), 4},
		"plugins":       {doctest.Blocks(t, "docs/plugins.md", "hcl"), 1},
	} {
		var opts Options
		dir := t.TempDir()
		for i, b := range page.blocks {
			opts.Files = append(opts.Files, write(t, dir, fmt.Sprintf("%02d.hcl", i), []byte(b.Text)))
		}
		cfg, diags := Load(opts)
		if len(diags) > 0 {
			t.Fatalf("%s: %v", name, diags)
		}
		if len(cfg.Realms) != page.realms {
			t.Errorf("%s: %d examples with the realms %v", name, len(opts.Files), cfg.Realms)
		}
	}
}

// TestManualIsComplete checks that every key and block that there is has a row or a heading of its own in the manual.
func TestManualIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*block)
	walk = func(b *block) {
		for _, name := range b.names() {
			row := "(?m)^(\\| `([a-z_]+ \\{ )?" + name + "( \\}|`| \\{ )|### .*`" + name + "( \"name\")?`|`" + name + " \\{ \\}`)"
			if !regexp.MustCompile(row).Match(text) {
				t.Errorf("the manual does not explain %s", name)
			}
		}
		for _, inner := range b.blocks {
			walk(inner)
		}
	}
	walk(rootSchema())
	for _, value := range []string{defaultPublicURL, defaultAddress, defaultRolePrefix, defaultAuditPath} {
		if !strings.Contains(string(text), value) {
			t.Errorf("the manual does not name the default %s", value)
		}
	}
}

// Each example has its row in the table of the examples.
func TestExamplesAreListed(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("../../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.Contains(string(table), "| ["+e.Name()+"](") {
			t.Errorf("examples/README.md has no row of %s", e.Name())
		}
	}
}
