package vault

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/vaulttest"
)

// names gives those of the tokens that stand, as their logins name them.
func (w *world) names(t *testing.T) []string {
	t.Helper()
	keys, _ := w.Do(t, "LIST", "auth/token/accessors", nil)["keys"].([]any)
	var out []string
	for _, k := range keys {
		about := w.Do(t, http.MethodPost, "auth/token/lookup-accessor", map[string]any{"accessor": k})
		name, _ := about["display_name"].(string)
		out = append(out, name)
	}
	return out
}

// At its end the daemon gives back what its parts have in the server: the tokens of their logins, and the leases of a store.
func TestTheEndGivesBack(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "24h")
	d.Policy(t, "gate", `
path "database/creds/r"  { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
`)
	d.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	role := d.approle(t, "gate", map[string]any{"token_policies": "gate"})
	reach := fmt.Sprintf("address = %q\n  approle {\n    role_id = %q\n    secret_id = \"urn:realmgate-secret:bootstrap:secret-id\"\n  }", d.URL, role)
	g := newGate(t, bootstrap(t, map[string]string{"secret-id": d.secretID(t, "gate")})+fmt.Sprintf(`
secret_store "vault" {
  type = "vault"
  %s
}
tenant "elsewhere" {
  identity_provider {
    type          = "introspection"
    endpoint      = "http://127.0.0.1:1/introspect"
    client_id     = "gate"
    client_secret = "urn:realmgate-secret:vault:database/creds/r#password"
    audience      = ["gate"]
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
realm "team" {
  tenant = "elsewhere"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
`, reach))
	g.Start()
	if a := g.check("team", "opaque"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	users := func() (n int) {
		if err := d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-approle-%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	tokens := func() int { return strings.Count(strings.Join(d.names(t), " "), "approle") }
	if users() != 1 || tokens() != 1 {
		t.Fatalf("%d users of the database and %d tokens before the end", users(), tokens())
	}
	g.Stop()
	if users() != 0 || tokens() != 0 {
		t.Errorf("%d users of the database and %d tokens after it", users(), tokens())
	}
}

// A secret id in a file that takes the place of one that was refused is tried soon: no server locks out anybody for that.
func TestAnotherSecretIDInAFile(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	role := w.approle(t, "gate", nil)
	dir := t.TempDir()
	put := func(secretID string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "secret-id"), []byte(secretID), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("wrong-" + rand.Text())
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, fmt.Sprintf(`
secret_store "files" {
  type = "file"
  dir  = %q
}
tenant "people" {
  identity_provider {
    type    = "vault-token"
    address = %q
    approle {
      role_id   = %q
      secret_id = "urn:realmgate-secret:files:secret-id"
    }
  }
  principal_mapper {
    name_claim_path = "entity_id"
  }
}
realm "team" {
  tenant = "people"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
`, dir, w.URL, role))
	w.Policy(t, "p", `path "identity/entity/id/*" { capabilities = ["read"] }`)
	token := newUser(t, w)
	g.Start()
	for range 10 { // five would lock the role out
		if a := g.check("team", token); a.Status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", a.Status, a.Text)
		}
	}
	g.explains("team", "login: AppRole: the server answers 400: invalid role or secret ID")
	put(w.secretID(t, "gate"))
	eventually(t, "the other one is tried", func() bool { return g.check("team", token).Status == http.StatusOK })
}
