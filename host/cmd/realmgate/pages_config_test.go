package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

// put writes files into a folder.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// script runs a script in a folder, where it may find the daemon's plugin, and gives what it prints and whether it succeeded.
func script(t *testing.T, dir, text string, env ...string) (out string, done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", text)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t)), env...)
	raw, err := cmd.CombinedOutput()
	return string(raw), err == nil
}

// The page about Polaris shows an import that is taken, with the variables that it names, and one that cannot be decided.
func TestPageOfTheImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{
		"application.properties": doctest.Only(t, "docs/migrating-from-polaris.md", "properties"),
		"broker.key":             "0123456789-0123456789-0123456789\n",
	})
	block := doctest.Only(t, "docs/migrating-from-polaris.md", "sh import")
	if out, done := script(t, dir, block); !done || !strings.Contains(out, "is valid: 2 realms") {
		t.Errorf("%s", out)
	}
	if out, done := script(t, dir, "realmgate validate --config config.hcl"); done || !strings.Contains(out, "BROKER_KEY") {
		t.Errorf("without the variable: %s", out)
	}
	dir = t.TempDir()
	put(t, dir, map[string]string{"application.properties": "polaris.realm-context.realms=sales\npolaris.authentication.sales.type=external\n" +
		"quarkus.oidc.auth-server-url=https://a.example.com\nquarkus.oidc.client-id=a\nquarkus.oidc.idp1.auth-server-url=https://b.example.com\nquarkus.oidc.idp1.client-id=b\nquarkus.oidc.tenant-enabled=true\n"})
	out, done := script(t, dir, "realmgate config import application.properties")
	if done {
		t.Error("what cannot be decided is imported")
	}
	doctest.Shown(t, doctest.Only(t, "docs/migrating-from-polaris.md", "text fault"), out)
}

// The manual shows a fault at its place, and a configuration as it counts.
func TestPageOfTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"config.hcl": `public_url = "https://auth.example.com"
listener "main" {
  address = "127.0.0.1:0"
}

tenant "oidc-tenant1" {
  identity_provider {
    type     = "oidc"
    issuer   = "https://idp.example.com"
    audience = ["realmgate"]
  }
  principal_mapper { id_claim_path = "sub" }
}

realm "realm1" {
  tenant = "oidc-tenat1"
}
`})
	out, done := script(t, dir, "realmgate validate --config config.hcl")
	if done {
		t.Error("the fault is not found")
	}
	doctest.Shown(t, doctest.Only(t, "docs/configuration.md", "text fault"), out)

	put(t, dir, map[string]string{"config.hcl": "public_url = \"https://auth.example.com\"\n\n\n\n\nrealm \"realm1\" {\n  authentication {\n    token_broker {\n      type   = \"symmetric-key\"\n      secert = \"canary\"\n    }\n  }\n}\n"})
	if out, done = script(t, dir, "realmgate validate --config config.hcl"); done || strings.Contains(out, "canary") {
		t.Errorf("%v\n%s", done, out)
	}
	doctest.Shown(t, doctest.Only(t, "docs/configuration.md", "text hidden"), out)

	put(t, dir, map[string]string{"config.hcl": "public_url = \"https://auth.example.com\"\n\nrealm \"realm1\" {\n  authentication {\n    timeout = \"PT2S\"\n  }\n}\n"})
	command, shown, ok := strings.Cut(strings.TrimPrefix(doctest.Only(t, "docs/configuration.md", "text print"), "$ "), "\n")
	if !ok || !strings.HasPrefix(command, "realmgate ") {
		t.Fatalf("what is printed by %q?", command)
	}
	out, done = script(t, dir, command, "REALMGATE_LOG__LEVEL=debug")
	if !done {
		t.Error(out)
	}
	doctest.Shown(t, shown, out)
}
