package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const manual = "../../docs/configuration.md"

// TestManualExamples loads all examples of the manual together, each as a file.
func TestManualExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
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
		t.Fatal(diags)
	}
	if len(opts.Files) < 7 || len(cfg.Realms) != 4 {
		t.Errorf("got %d examples with the realms %v", len(opts.Files), cfg.Realms)
	}
}

// TestManualIsComplete checks that the manual names every key and block that there is.
func TestManualIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*block)
	walk = func(b *block) {
		for _, name := range b.names() {
			if !regexp.MustCompile("`[^`\n]*\\b" + name + "\\b[^`\n]*`").Match(text) {
				t.Errorf("the manual does not explain %s", name)
			}
		}
		for _, inner := range b.blocks {
			walk(inner)
		}
	}
	walk(rootSchema())
	for _, value := range []string{defaultPublicURL, defaultAddress, defaultRolePrefix} {
		if !strings.Contains(string(text), value) {
			t.Errorf("the manual does not name the default %s", value)
		}
	}
}
