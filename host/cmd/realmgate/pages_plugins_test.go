package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

// The page about plugins: its mapper is the example's, takes a note, is tested and verified as the page does it.
func TestPageOfPlugins(t *testing.T) {
	t.Parallel()
	dir := mapperModule(t)
	file := filepath.Join(dir, "main.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "\n"+doctest.Only(t, "docs/plugins.md", "go mapper")) {
		t.Error("the page and examples/realmgate-plugin-acme/main.go have another mapper")
	}
	const done = "\treturn sdk.PrincipalRef{Name: m.Prefix + badge}, nil\n"
	noted := strings.NewReplacer("MapPrincipal(_ context", "MapPrincipal(ctx context", done, doctest.Only(t, "docs/plugins.md", "go notes")+done).Replace(string(text))
	put(t, dir, map[string]string{
		"main.go": noted,
		"conformance_test.go": "package main\n\nimport (\n\t\"context\"\n\t\"testing\"\n\n\t\"github.com/realmgate/realmgate/sdk\"\n\t\"github.com/realmgate/realmgate/sdk/plugintest\"\n)\n\n" +
			doctest.Only(t, "docs/plugins.md", "go conformance"),
		"config.hcl": "public_url = \"http://127.0.0.1\"\n" + strings.NewReplacer("/opt/acme", dir, "\n  sha256 =", "\n  # sha256 =").Replace(doctest.Only(t, "docs/plugins.md", "hcl")),
	})
	out, ok := script(t, dir, "export GOWORK=off; go build -o realmgate-plugin-acme . && go test .\n"+doctest.Only(t, "docs/plugins.md", "sh verify"))
	if !ok || strings.Count(out, "\nprincipal-mapper badge") != 2 || strings.Count(out, " ok, 0 failed, ") != 2 {
		t.Error(out)
	}
}

// What a report has of a plugin that does not hear.
func TestPageOfReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"config.hcl": fmt.Sprintf(rogueConfig, testPlugin(t, "rogue"), "does not hear")})
	out, ok := script(t, dir, "realmgate plugin verify --step 20s --config config.hcl rogue")
	if ok {
		t.Error("it passes")
	}
	doctest.Shown(t, strings.ReplaceAll(doctest.Only(t, "docs/plugins.md", "text verify"), "badge", "rogue"), strings.Replace(out, "rogue tenant t\n", "rogue\n", 1))
}

// The daemon for development runs the page's plugin, answers its question, and prints what the page shows.
func TestPageOfDev(t *testing.T) {
	t.Parallel()
	words := strings.Fields(doctest.Only(t, "docs/dev.md", "sh dev"))
	if len(words) < 4 || strings.Join(words[:3], " ") != "realmgate dev --plugin" {
		t.Fatal(words)
	}
	plugin := filepath.Join(t.TempDir(), words[3])
	if err := os.Symlink(buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"), plugin); err != nil {
		t.Fatal(err)
	}
	d, told := develop(t, plugin, words[4:]...)
	root, token := d.root["tokens"], d.rootToken("tokens")
	eventually(t, "the provider, which is the daemon itself, is asked", func() bool { return d.check("dev", token).status == http.StatusOK })
	out, ok := script(t, d.dir, doctest.Only(t, "docs/dev.md", "sh tour"), "GATE="+d.url, "CLIENT_ID="+root.ClientID, "CLIENT_SECRET="+root.ClientSecret)
	if !ok || !strings.Contains(out, "HTTP/1.1 200") || !strings.Contains(out, "Realmgate-Principal: root") {
		t.Error(out)
	}
	eventually(t, "the script's decision is printed", func() bool { // the one before it asked for all roles
		_, of, ok := strings.Cut(told.String(), "requested PRINCIPAL_ROLE:service_admin")
		return ok && strings.Contains(of, "host-checks: done")
	})
	doctest.Shown(t, doctest.Only(t, "docs/dev.md", "text printed"), told.String())
}
