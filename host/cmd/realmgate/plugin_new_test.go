package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/scaffold"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/need"
)

// newPlugin makes the folder of a plugin on this tree's SDK, and builds it.
func newPlugin(t *testing.T, kind string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "acme")
	inFolder(t, t.TempDir(), "realmgate", "plugin", "new", "acme", "--kind", kind, "--dir", dir, "--module", "acme.example/plugin")
	root := buildtest.Root(t)
	const ours = "github.com/realmgate/realmgate/"
	inFolder(t, dir, "go", "mod", "edit", "-replace", ours+"sdk="+root+"/sdk", "-replace", ours+"proto="+root+"/proto")
	inFolder(t, dir, "go", "mod", "tidy")
	inFolder(t, dir, "go", "build", "-o", "realmgate-plugin-acme", ".")
	return dir
}

const newKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func inFolder(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "ACME_KEY="+newKey, "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Whatever kind is chosen: the module builds, passes its own tests and the suite, and its configuration is taken.
func TestNewPlugins(t *testing.T) {
	for _, kind := range scaffold.Kinds() {
		t.Run(kind, func(t *testing.T) {
			dir := newPlugin(t, kind)
			if text := inFolder(t, dir, "gofmt", "-l", "."); text != "" {
				t.Errorf("not formatted: %s", text)
			}
			inFolder(t, dir, "go", "vet", ".")
			inFolder(t, dir, "go", "test", ".")
			text := inFolder(t, dir, "realmgate", "plugin", "verify", "--case", "case.json", "./realmgate-plugin-acme")
			if !strings.Contains(text, kind+" acme") || !strings.Contains(text, ", 0 failed, 0 skipped") {
				t.Errorf("plugin verify:\n%s", text)
			}
			if text := inFolder(t, dir, "realmgate", "validate", "--config", "realmgate.hcl"); !strings.Contains(text, "is valid: 1 realms") {
				t.Errorf("validate:\n%s", text)
			}
		})
	}
}

// A new identity provider decides in a daemon, with its own configuration.
func TestNewPluginDecides(t *testing.T) {
	dir := newPlugin(t, "identity-provider")
	hcl, err := os.ReadFile(filepath.Join(dir, "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t, dir, string(hcl))
	d.run("ACME_KEY=" + newKey)
	ticket := func(expires time.Time) string {
		body := "acme." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"alice","exp":%d,"roles":["reader"]}`, expires.Unix()))
		m := hmac.New(sha256.New, []byte(newKey))
		m.Write([]byte(body))
		return body + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	good := ticket(time.Now().Add(time.Hour))
	if a := d.check("demo", good); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != "alice" || a.header.Get("Realmgate-Roles") != "reader" {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	for token, reason := range map[string]string{good[:len(good)-3]: "signature_invalid", ticket(time.Now().Add(-time.Hour)): "token_expired", "x": "token_not_recognised"} {
		if a := d.check("demo", token); a.status != http.StatusUnauthorized || a.reason() != reason {
			t.Errorf("wanted %s: %d %s", reason, a.status, a.text)
		}
	}
}

// The pages about writing and shipping a plugin, from an empty folder to an upgrade.
func TestTourOfPlugins(t *testing.T) {
	for _, tool := range []string{"curl", "openssl", "sha256sum"} {
		need.Command(t, tool)
	}
	above := t.TempDir()
	d := &gate{t: t, dir: above, env: []string{"REALMGATE=" + buildtest.Root(t), "ACME_KEY=" + newKey, "GOWORK=off"}, root: map[string]rootEntry{}}
	d.walk(doctest.Blocks(t, "docs/plugins/write.md", "sh make"))
	if t.Failed() {
		return
	}
	dir := filepath.Join(above, "realmgate-plugin-acme")
	hcl, err := os.ReadFile(filepath.Join(dir, "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	running := prepare(t, dir, "plugin_health_window = \"1s\"\n"+string(hcl))
	if err := os.Rename(filepath.Join(dir, "config.hcl"), filepath.Join(dir, "realmgate.hcl")); err != nil { // on a free port
		t.Fatal(err)
	}
	key, serve, ok := strings.Cut(doctest.Only(t, "docs/plugins/write.md", "sh serve"), "echo $ACME_KEY\nrealmgate serve ")
	if out, done := script(t, dir, key+"printf %s $ACME_KEY"); !ok || !done || len(out) != len(newKey) {
		t.Errorf("the page's key is %q", out)
	}
	running.args, running.env = strings.Fields(serve), d.env
	running.run()
	running.walk(doctest.Blocks(t, "docs/plugins/write.md", "sh tour"))
	running.walk(doctest.Blocks(t, "docs/plugins/ship.md", "sh tour"))
}
