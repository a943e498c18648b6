package vault

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/vaulttest"
)

// The whole example of docs/vault.md works as it stands, and what the page adds to it.
func TestManual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vaulttest.Start(t))
	g := newGate(t, strings.ReplaceAll(doctest.Only(t, "docs/vault.md", "hcl example")+doctest.Only(t, "docs/vault.md", "hcl people"), "https://vault.example.com:8200", w.URL))
	ca, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "vault-ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(script string) string {
		t.Helper()
		sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
		sh.Dir = g.Dir
		sh.Env = []string{
			"PATH=" + filepath.Dir(vaulttest.Binary(t)) + ":" + filepath.Dir(g.Command) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
			"VAULT_ADDR=" + w.URL, "VAULT_TOKEN=" + w.Token, "VAULT_CACERT=" + w.CAFile,
		}
		out, err := sh.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	run(doctest.Only(t, "docs/vault.md", "sh example"))
	g.Start()
	token := g.Token("realm1")
	if a := g.check("realm1", token); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if token := run(doctest.Only(t, "docs/vault.md", "sh wrap")); !strings.HasPrefix(token, "hvs.") {
		t.Error("the wrapping token is none")
	}
	run("vault write -f transit/keys/realm1/rotate")
	run(doctest.Only(t, "docs/vault.md", "sh forget"))
	if text := run("vault read -field=min_decryption_version transit/keys/realm1"); strings.TrimSpace(text) != "2" {
		t.Errorf("the least version is %s", text)
	}
	nodes := newGate(t, strings.ReplaceAll(doctest.Only(t, "docs/vault.md", "hcl nodes"), "/etc/realmgate/vault-ca.pem", w.CAFile)+"realm \"realm1\" {}\n")
	nodes.Operate("validate", "--config", "config.hcl") // the nodes are not asked
	run("vault write identity/entity name=alice")
	run(doctest.Only(t, "docs/vault.md", "sh people"))
	alice := strings.TrimSpace(run("vault read -field=id identity/entity/name/alice"))
	if who := g.Operate("principal", "list", "--realm", "team"); !strings.Contains(who, alice) {
		t.Errorf("%s is not there:\n%s", alice, who)
	}
}

// What the daemon says of a server whose certificate it does not trust.
func TestManualOfFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vaulttest.Start(t))
	hcl := bootstrap(t, map[string]string{"vault-secret-id": "x"}) + `secret_store "vault" {
  type    = "vault"
  address = "` + w.URL + `"
  approle {
    role_id   = "realmgate-1"
    secret_id = "urn:realmgate-secret:bootstrap:vault-secret-id"
  }
}
realm "realm1" {
  authentication {
    token_broker {
      type        = "key-pair"
      private_key = "urn:realmgate-secret:vault:kv/operator/broker#pem"
    }
  }
}
`
	_, told, err := newGate(t, hcl).Run(nil, "validate", "--config", "config.hcl")
	want := strings.Join(strings.Fields(doctest.Only(t, "docs/vault.md", "text log")), " ")
	if err == nil || !strings.Contains(told, want+"\n") {
		t.Errorf("%v, the page has\n%s\nand this came:\n%s", err, want, told)
	}
}
