package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/need"
)

// What the examples' READMEs have one type: a plugin in its place, its key, and a configuration that is taken. How each decides
// is for tests of its own.
func TestReadmesOfTheExamples(t *testing.T) {
	t.Parallel()
	need.Command(t, "openssl")
	for name, blocks := range map[string][]doctest.Block{
		"acme":     doctest.Blocks(t, "examples/realmgate-plugin-acme/README.md", "sh serve"),
		"paseto":   doctest.Blocks(t, "examples/realmgate-plugin-paseto/README.md", "sh serve"),
		"postgres": doctest.Blocks(t, "examples/realmgate-plugin-postgres/README.md", "sh serve"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, secrets := filepath.Join(buildtest.Root(t), "examples", "realmgate-plugin-"+name), t.TempDir()
			if err := os.Chmod(secrets, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, secrets, map[string]string{"postgres": "of the database"})
			hcl, err := os.ReadFile(filepath.Join(folder, "realmgate.hcl"))
			if err != nil {
				t.Fatal(err)
			}
			here := strings.NewReplacer("/usr/local/libexec/realmgate", secrets, "/etc/realmgate/secrets", secrets, "serve --config realmgate.hcl", "validate --config "+secrets+"/realmgate.hcl")
			put(t, secrets, map[string]string{"realmgate.hcl": here.Replace(string(hcl))})
			text, _ := doctest.Script(blocks)
			if out, done := script(t, folder, here.Replace(text)); !done || !strings.Contains(out, " is valid") {
				t.Error(out)
			}
		})
	}
}
