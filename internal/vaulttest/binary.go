package vaulttest

import (
	"crypto/sha1" //nolint:gosec // how git names content, for a name in the cache
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/realmgate/realmgate/internal/need"
)

//go:embed server/go.mod.pinned server/go.sum.pinned
var pins embed.FS

// Binary gives the path of the server's program, its command line too, which .ci/vault builds. Its folder has the name of the pins' content.
func Binary(t testing.TB) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"server/go.mod.pinned", "server/go.sum.pinned"} {
		content, err := pins.ReadFile(name)
		if err != nil {
			t.Fatalf("vaulttest: %v", err)
		}
		all = append(all, content...)
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(all)), all...)) //nolint:gosec // as above
	cache := os.Getenv("XDG_CACHE_HOME")                                       // as the script has it, on every system
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	path := filepath.Join(cache, "realmgate", "tools", "vault-"+hex.EncodeToString(sum[:])[:16], "vault")
	if _, err := os.Stat(path); err != nil {
		need.Missing(t, "the Vault server is not built (a quarter of an hour, once): run .ci/vault")
	}
	return path
}
