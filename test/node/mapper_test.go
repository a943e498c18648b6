package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/internal/oidctest"
)

const folder = "examples/node-principal-mapper"

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// run runs npm or node in a folder.
func run(t *testing.T, dir string, env []string, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	return cmd.CombinedOutput()
}

// build makes the plugin in a copy of its folder, types checked, and gives its one file.
func build(t *testing.T) string {
	t.Helper()
	need.Command(t, "npm")
	root, dir := buildtest.Root(t), t.TempDir()
	// Read by the test itself, so that go test knows what its result depends on.
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "build.mjs"} {
		raw, err := os.ReadFile(filepath.Join(root, folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{"src": folder + "/src", "proto": folder + "/proto", "contract/realmgate": "proto/realmgate"} {
		if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join(root, from))); err != nil {
			t.Fatal(err)
		}
	}
	install, others, _ := strings.Cut(doctest.Only(t, "examples/node-principal-mapper/README.md", "sh build"), "\n")
	env := []string{"npm_config_audit=false", "npm_config_fund=false", "npm_config_prefer_offline=true", "REALMGATE_PROTO=" + filepath.Join(dir, "contract")}
	if out, err := run(t, dir, env, "bash", "-c", install); err != nil {
		need.Missing(t, "npm cannot install what the plugin needs: %v: %s", err, out)
	}
	if out, err := run(t, dir, env, "bash", "-e", "-c", others); err != nil {
		t.Fatalf("%s: %v\n%s", others, err, out)
	}
	return filepath.Join(dir, "dist", "plugin.cjs")
}

func digest(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// The plugin passes the whole suite, decides in a daemon, and ends with it.
func TestMapper(t *testing.T) {
	t.Parallel()
	node, plugin := need.Command(t, "node"), build(t)
	idp := oidctest.Start(t, oidctest.Options{})
	raw, err := os.ReadFile(filepath.Join(buildtest.Root(t), folder, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	example := strings.NewReplacer(
		`"/usr/bin/node"`, strconv.Quote(node), `["/opt/acme/plugin.cjs"]`, fmt.Sprintf("[%q]\n  files   = { %q = %q }", plugin, plugin, digest(t, plugin)),
		"https://idp.example.com", idp.Issuer,
	).Replace(string(raw))
	_, tenant, ok := strings.Cut(example, "\n}\n")
	if !ok {
		t.Fatal("the example has no plugin block")
	}
	several := strings.NewReplacer(`"acme"`, `"several"`, `["example.com"]`, "[\"example.com\", \"example.org\"]\n    allow_unverified = true", `prefix  = "emp-"`, "").Replace(tenant)
	d := daemontest.New(t, daemontest.Options{HCL: "directory {\n  path = \"data/realmgate.db\"\n}\n" + example + several})
	verify := strings.Fields(strings.Replace(doctest.Only(t, "examples/node-principal-mapper/README.md", "sh verify"), "cases.json", filepath.Join(buildtest.Root(t), folder, "cases.json"), 1))
	if stdout, stderr, err := d.Run(nil, verify[1:]...); err != nil {
		t.Fatalf("verify: %v\n%s%s", err, stdout, stderr)
	}
	d.Start()
	d.Principal("acme", "emp-ada", "reader")
	d.Principal("several", "ada@example.org", "reader")
	for _, c := range []struct {
		name   string
		claims map[string]any
		status int
		who    string
	}{
		{"mapped", map[string]any{"email": "Ada@example.com", "email_verified": true}, 200, "emp-ada"},
		{"not said to be verified", map[string]any{"email": "Ada@example.com"}, 403, "email_not_verified"},
		{"not verified", map[string]any{"email": "Ada@example.com", "email_verified": false}, 403, "email_not_verified"},
		{"no claim", nil, 401, "claim_missing"},
		{"no address", map[string]any{"email": "ada", "email_verified": true}, 401, "claim_invalid"},
		{"another domain", map[string]any{"email": "ada@other.test", "email_verified": true}, 403, "domain_not_allowed"},
	} {
		a := d.Check("acme", idp.Token(t, oidctest.TokenOptions{Claims: c.claims}))
		if who, _ := a.Who(); a.Status != c.status || who != c.who {
			t.Errorf("%s: got %d %s, want %d %s", c.name, a.Status, who, c.status, c.who)
		}
	}
	other := d.Check("several", idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"email": "Ada@Example.org"}}))
	// The header has the name percent-encoded.
	if who, _ := other.Who(); other.Status != 200 || who != "ada%40example.org" {
		t.Errorf("with several domains, verified or not: %d %s", other.Status, who)
	}
	d.Stop()
}
