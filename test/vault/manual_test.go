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

// The whole example of docs/vault.md works as it stands.
func TestManual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vaulttest.Start(t))
	g := newGate(t, strings.ReplaceAll(doctest.Only(t, "docs/vault.md", "hcl example"), "https://vault.example.com:8200", w.URL))
	ca, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "vault-ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", doctest.Only(t, "docs/vault.md", "sh example"))
	sh.Dir = g.Dir
	sh.Env = []string{
		"PATH=" + filepath.Dir(vaulttest.Binary(t)) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "VAULT_ADDR=" + w.URL, "VAULT_TOKEN=" + w.Token, "VAULT_CACERT=" + w.CAFile,
	}
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.Start()
	token := g.Token("realm1")
	if a := g.check("realm1", token); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}
