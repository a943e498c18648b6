package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/oidctest"
)

// The example's mapper stands in the middle of the bundled parts, by the configuration that comes with it: its settings reach it as they are written, one tenant
// uses it, the other one does not, and its mistakes are shown at their place.
func TestThirdPartyMapper(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	config, err := os.ReadFile(filepath.Join(buildtest.Root(t), "examples", "realmgate-plugin-acme", "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, strings.NewReplacer(
		"/usr/local/libexec/realmgate/realmgate-plugin-acme", buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"),
		"https://idp.example.com", idp.Issuer,
	).Replace(string(config)))
	token := idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"sub": "eve", "badge": "7", "roles": []string{"PRINCIPAL_ROLE:dev"}}})
	for realm, want := range map[string]string{"badges": "emp-7", "plain": "eve"} {
		if a := d.check(realm, token); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != want || a.header.Get("Realmgate-Roles") != "dev" {
			t.Errorf("%s: %d %v %s", realm, a.status, a.header, a.text)
		}
	}
	bare := idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"sub": "eve"}})
	if a := d.check("badges", bare); a.status != http.StatusUnauthorized || a.reason() != "claim_missing" || !strings.Contains(a.text, `no text in the claim \"badge\"`) {
		t.Errorf("without a badge: %d %s", a.status, a.text)
	}
	if text := d.command("plugin", "list"); !strings.Contains(text, "principal-mapper/badge") {
		t.Errorf("plugin list:\n%s", text)
	}
}
