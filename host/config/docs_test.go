package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const manual = "../../docs/configuration.md"

// TestExamplesOfTheDocuments loads all examples of each document together, each as a file.
func TestExamplesOfTheDocuments(t *testing.T) {
	t.Parallel()
	for name, realms := range map[string]int{"configuration": 4, "operations": 4, "plugins": 1} {
		text, err := os.ReadFile(filepath.Join("../../docs", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		var opts Options
		dir := t.TempDir()
		for i, m := range regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllSubmatch(text, -1) {
			opts.Files = append(opts.Files, write(t, dir, fmt.Sprintf("%02d.hcl", i), m[1]))
		}
		cfg, diags := Load(opts)
		if len(diags) > 0 {
			t.Fatalf("%s: %v", name, diags)
		}
		if len(opts.Files) == 0 || len(cfg.Realms) != realms {
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
