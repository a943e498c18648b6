package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/oidctest"
)

// importedProperties have three modes, a filter with a look-ahead, escapes, and tokens with roles in a scope.
const importedProperties = `
polaris.realm-context.realms=inside,outside,both
polaris.realm-context.header-name=X-Realm
polaris.authentication.type=internal
polaris.authentication.outside.type=external
polaris.authentication.both.type=mixed
polaris.authentication.token-broker.type=symmetric-key
polaris.authentication.token-broker.symmetric-key.secret=${BROKER_KEY}
quarkus.oidc.tenant-enabled=false
quarkus.oidc.idp.auth-server-url=ISSUER
quarkus.oidc.idp.client-id=realmgate
quarkus.oidc.idp.roles.role-claim-path=scope
polaris.oidc.principal-mapper.id-claim-path=sub
polaris.oidc.idp.principal-mapper.name-claim-path=preferred_username
polaris.oidc.principal-roles-mapper.filter=^(?!profile$|email$).*
polaris.oidc.principal-roles-mapper.mappings[0].regex=role\\_(.*)
polaris.oidc.principal-roles-mapper.mappings[0].replacement=PRINCIPAL\\_ROLE:$1
`

// TestImportedDecisions has a daemon decide by what is made of properties, as Polaris does by them.
func TestImportedDecisions(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	file := filepath.Join(t.TempDir(), "application.properties")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(importedProperties, "ISSUER", idp.Issuer)), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := exec.Command("realmgate", "config", "import", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t, t.TempDir(), strings.Replace(string(made), "listener \"main\" {\n", "listener \"main\" {\n  address = \"ADDRESS\"\n", 1))
	d.run("BROKER_KEY=0123456789-0123456789-0123456789")
	for _, realm := range []string{"outside", "both"} {
		d.command("role", "create", "-r", realm, "auditor")
		d.command("principal", "create", "-r", realm, "--id", "7", "--role", "auditor", "--without-secret", "carol")
	}
	own := d.rootToken("both")
	foreign := func(id, scope string) string {
		return idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"sub": id, "preferred_username": "carol", "scope": scope}})
	}
	carol := foreign("7", "role_auditor profile email")
	for name, c := range map[string]struct {
		realm, token     string
		status           int
		principal, roles string
	}{
		"own, mixed":              {"both", own, 200, "root", "service_admin"},
		"own, external":           {"outside", own, 401, "", ""},
		"foreign, mixed":          {"both", carol, 200, "carol", "auditor"},
		"foreign, external":       {"outside", carol, 200, "carol", "auditor"},
		"foreign, internal":       {"inside", carol, 401, "", ""},
		"a role that is not held": {"both", foreign("7", "role_service_admin"), 403, "", ""},
		"nobody":                  {"outside", foreign("8", "role_auditor"), 403, "", ""},
	} {
		a := d.check(c.realm, c.token)
		if a.status != c.status || a.header.Get("Realmgate-Principal") != c.principal || a.header.Get("Realmgate-Roles") != c.roles {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.text)
		}
	}
	if a := d.grant("outside", "x", "y", "PRINCIPAL_ROLE:ALL"); a.status != http.StatusNotImplemented {
		t.Errorf("the token endpoint of an external realm: %d %s", a.status, a.text)
	}
	req, err := http.NewRequest(http.MethodGet, d.url+"/v1/check", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Realm", "both")
	req.Header.Set("Authorization", "Bearer "+own)
	if a := d.do(req); a.status != http.StatusOK || a.header.Get("Realmgate-Realm") != "both" {
		t.Errorf("the realm of the header: %d %s", a.status, a.text)
	}
}
