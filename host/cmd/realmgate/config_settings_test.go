package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

const odd = `{"properties": {
	"plain": {"default": "x"}, "api_key": {"default": "k"}, "key_file": {}, "token_age": {"format": "duration"}, "ref": {"format": "realmgate-secret-ref", "default": "d"},
	"pass": {"format": "password"}, "hush": {"writeOnly": true, "properties": {"in": {}}}, "list": {"items": {"properties": {"a": {"default": 1}, "token": {}}}},
	"refs": {"items": {"format": "realmgate-secret-ref"}}, "block": {"properties": {"b": {"default": "\u001b[2J"}, "deep": {"properties": {"c": {"default": true}}}}}
}}`

// TestPartSettingsShow: what is declared, is no secret by the schema, and, of others' plugins, not by its name.
func TestPartSettingsShow(t *testing.T) {
	t.Parallel()
	schema, err := readSchema([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	bundled := schema
	bundled.bundled = true
	s := partSettings{known: map[partType]settingSchema{{"k", "theirs"}: schema, {"k", "ours"}: bundled}, unknown: map[partType]bool{}}
	for _, c := range []struct {
		path, text   string
		theirs, ours bool
	}{
		{"plain", "x", true, true},
		{"plain", "host=db password=hunter2", false, false},
		{"plain.below", "x", false, false},
		{"unknown", "x", false, false},
		{"api_key", "x", false, true},
		{"key_file", "/x", true, true},
		{"token_age", "PT1S", true, true},
		{"ref", "x", false, false},
		{"refs", "x", false, false},
		{"pass", "x", false, false},
		{"hush.in", "x", false, false},
		{"list.a", "x", true, true},
		{"list.token", "x", false, true},
		{"block.deep.c", "x", true, true},
	} {
		for typ, want := range map[string]bool{"theirs": c.theirs, "ours": c.ours, "other": false} {
			if got := s.Shows("k", typ, strings.Split(c.path, "."), c.text); got != want {
				t.Errorf("%s of %s, %q: %v", c.path, typ, c.text, got)
			}
		}
	}
	if got := s.missing(); got != `k "other"` {
		t.Errorf("missing: %s", got)
	}
	block := map[string]any{"deep": []any{map[string]any{}}}
	var got []string
	for _, d := range s.Defaults("k", "theirs", map[string]any{"plain": "y", "list": []any{map[string]any{"a": 2}, map[string]any{}}, "block": []any{block}}) {
		got = append(got, fmt.Sprintf("%s=%v", strings.Join(d.Path, "."), d.Value))
	}
	if want := `api_key=k block.b=[2J block.deep.c=true list.1.a=1`; strings.Join(got, " ") != want {
		t.Errorf("the defaults are %s, not %s", strings.Join(got, " "), want)
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
