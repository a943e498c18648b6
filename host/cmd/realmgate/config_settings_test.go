package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/settings"
	"github.com/realmgate/realmgate/internal/buildtest"
)

// TestPartSettings: what is asked for and not known is told of.
func TestPartSettings(t *testing.T) {
	t.Parallel()
	schema, err := settings.Read([]byte(`{"properties": {"plain": {"default": "x"}}}`), false)
	if err != nil {
		t.Fatal(err)
	}
	s := partSettings{known: map[partType]settings.Schema{{"k", "known"}: schema}, unknown: map[partType]bool{}}
	if !s.Shows("k", "known", []string{"plain"}, "x") || s.Shows("k", "known", []string{"other"}, "x") || s.Shows("k", "other", []string{"plain"}, "x") {
		t.Error("what is shown is not what is known")
	}
	if got := s.Defaults("k", "known", map[string]any{}); len(got) != 1 || got[0].Value != "x" {
		t.Errorf("the defaults are %v", got)
	}
	if got := s.Defaults("k", "built in", nil); got != nil {
		t.Errorf("the defaults are %v", got)
	}
	if got := s.missing(); got != `k "other"` {
		t.Errorf("missing: %s", got)
	}
}

// TestConfigPrintOfThirdParty asks a real plugin that is not bundled.
func TestConfigPrintOfThirdParty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.hcl")
	text := fmt.Sprintf(`
plugin_dir = %q
plugin "postgres" {
  path = %q
}
realm "a" {
  authentication {
    authenticator {
      type     = "postgres"
      url      = "postgres://me:hunter2@db.example.com/x?password=hunter2"
      password = "hunter2"
      query    = "SELECT 1"
    }
  }
}
`, buildtest.Plugin(t), buildtest.Command(t, "examples/realmgate-plugin-postgres", "postgres-authenticator"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("realmgate", "config", "print", "--config", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`url = "…"  # .*c.hcl:10:7`, `password = "…"  # .*c.hcl:11:7`, `query = "SELECT 1"  # .*c.hcl:12:7`, `max_connections = 4  # default`, `cache_for = "PT5S"  # default`,
	} {
		if !regexp.MustCompile(`(?m)^  authentication\.authenticator\.` + want + `$`).Match(out) {
			t.Errorf("%s is missing:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "hunter2") || strings.Contains(string(out), "realmgate: note") {
		t.Errorf("%s", out)
	}
}
