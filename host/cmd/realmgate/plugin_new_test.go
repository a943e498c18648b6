package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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
func newPlugin(t *testing.T, kind string, args ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "acme")
	inFolder(t, t.TempDir(), "realmgate", append([]string{"plugin", "new", "acme", "--kind", kind, "--dir", dir, "--module", "acme.example/plugin"}, args...)...)
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

// Whatever kind is chosen: the module builds, passes its own tests and the suite, and its configuration is taken. It can what it
// is said to.
func TestNewPlugins(t *testing.T) {
	t.Parallel()
	cases := map[string]string{ // kind, and what it is asked to do besides -> its abilities
		"identity-provider": "checker", "token-broker": "checker key-publisher", "secret-resolver": "checker",
		"secret-resolver secret-writer": "checker secret-writer", "credential-vendor request-signer": "request-signer",
	}
	for _, kind := range scaffold.Kinds() {
		cases[kind] += ""
	}
	for name, abilities := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, with, further := strings.Cut(name, " ")
			var args []string
			if further {
				args = []string{"--with", with}
			}
			dir := newPlugin(t, kind, args...)
			if text := inFolder(t, dir, "gofmt", "-l", "."); text != "" {
				t.Errorf("not formatted: %s", text)
			}
			inFolder(t, dir, "go", "vet", ".")
			inFolder(t, dir, "go", "test", ".")
			text := inFolder(t, dir, unraced(t), "plugin", "verify", "--case", "case.json", "./realmgate-plugin-acme")
			if !strings.Contains(text, kind+" acme") || !strings.Contains(text, ", 0 failed, 0 skipped") {
				t.Errorf("plugin verify:\n%s", text)
			}
			var is inspected
			if err := json.Unmarshal([]byte(inFolder(t, dir, "realmgate", "plugin", "inspect", "--json", "./realmgate-plugin-acme")), &is); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(is.Offers[0].Abilities, " "); got != abilities {
				t.Errorf("abilities %q, wanted %q", got, abilities)
			}
			if text := inFolder(t, dir, "realmgate", "validate", "--config", "realmgate.hcl"); !strings.Contains(text, "is valid: 1 realms") {
				t.Errorf("validate:\n%s", text)
			}
		})
	}
}

// A setting that an author adds has to be given in the other files, too: each of them says so, as the page promises.
func TestNewSettingIsMissed(t *testing.T) {
	t.Parallel()
	dir := newPlugin(t, "principal-mapper")
	file := filepath.Join(dir, "main.go")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const setting = "type mapper struct {\n"
	text := strings.Replace(string(raw), setting, setting+"\tDomains []string `json:\"domains\" doc:\"domains that are let in\"`\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inFolder(t, dir, "go", "build", "-o", "realmgate-plugin-acme", ".")
	const want = `the key "domains" is required`
	for _, c := range []struct{ at, command string }{
		{"", "go test ."},
		{"", "realmgate plugin verify --case case.json ./realmgate-plugin-acme"},
		{"realmgate.hcl:25:", "realmgate validate --config realmgate.hcl"},
	} {
		args := strings.Fields(c.command)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), c.at) {
			t.Errorf("%s: %v\n%s", c.command, err, out)
		}
	}
}

// serveNew runs a daemon in the folder of a new plugin, with its own configuration.
func serveNew(t *testing.T, dir string, env ...string) *gate {
	t.Helper()
	hcl, err := os.ReadFile(filepath.Join(dir, "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t, dir, string(hcl))
	d.run(env...)
	return d
}

// A new token broker issues tokens, and publishes what they are verified with.
func TestNewBrokerIssues(t *testing.T) {
	t.Parallel()
	d := serveNew(t, newPlugin(t, "token-broker"), "ACME_KEY="+string(pasetoKey(t)))
	if a := d.check("demo", d.rootToken("demo")); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != "root" {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	if a := d.get("/realms/demo/v1/jwks"); a.status != http.StatusOK || !strings.Contains(a.text, `"crv":"Ed25519"`) {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// A new secret writer keeps what comes in with a connection, and lets go of it.
func TestNewWriterKeeps(t *testing.T) {
	t.Parallel()
	const handedIn = "a secret that was handed in"
	dir := newPlugin(t, "secret-resolver", "--with", "secret-writer")
	d := serveNew(t, dir)
	kept := func() (n int) {
		err := filepath.WalkDir(filepath.Join(dir, "data", "secrets", "demo"), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if string(raw) != handedIn {
				t.Errorf("%s holds %q", path, raw)
			}
			n++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	root := d.rootToken("demo")
	a := d.connection(http.MethodPost, "demo", "", root, remote("api", remoteURI, bearer(handedIn)))
	if a.status != http.StatusCreated || kept() != 1 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if a := d.connection(http.MethodDelete, "demo", "/api", root, ""); a.status != http.StatusNoContent || kept() != 0 {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// ticket is one that a new identity provider takes, of alice, a reader.
func ticket(expires time.Time) string {
	body := "acme." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"alice","exp":%d,"roles":["reader"]}`, expires.Unix()))
	m := hmac.New(sha256.New, []byte(newKey))
	m.Write([]byte(body))
	return body + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// A new identity provider decides in a daemon, with its own configuration.
func TestNewPluginDecides(t *testing.T) {
	t.Parallel()
	d := serveNew(t, newPlugin(t, "identity-provider"), "ACME_KEY="+newKey)
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
	t.Parallel()
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
