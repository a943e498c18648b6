package vault

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/vaulttest"
)

// block gives the first block of a language in a section of docs/vault.md.
func block(t *testing.T, section, language string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(buildtest.Root(t), "docs", "vault.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "\n## "+section+"\n")
	_, rest, ok := strings.Cut(rest, "\n```"+language+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("there is no block %s in %q", language, section)
	}
	return text
}

// The whole example of docs/vault.md works as it stands.
func TestManual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vaulttest.Start(t))
	g := newGate(t, strings.ReplaceAll(block(t, "A whole example", "hcl"), "https://vault.example.com:8200", w.URL))
	ca, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "vault-ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", block(t, "A whole example", "sh"))
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
