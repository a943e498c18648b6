package python

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/doortest"
	"github.com/realmgate/realmgate/internal/need"
)

const (
	folder  = "examples/python-authenticator"
	runtime = "/usr/bin/python3" // as the example's configuration has it, with Debian's packages
)

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// run runs a script in a folder with the daemon's command on the PATH.
func run(t *testing.T, dir, command, script string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REALMGATE="+buildtest.Root(t), "PATH="+filepath.Dir(command)+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}

// needed ends the test where Python or what the plugin imports is missing.
func needed(t *testing.T) {
	t.Helper()
	need.Command(t, "protoc")
	if out, err := exec.CommandContext(t.Context(), runtime, "-c", "import grpc.aio, cryptography.x509, google.protobuf").CombinedOutput(); err != nil {
		need.Missing(t, "%s has not what the plugin imports (python3-grpcio, python3-cryptography): %v: %s", runtime, err, out)
	}
}

// The way that the page goes ends with a plugin that passes, that only its host speaks with, and by which a daemon decides.
func TestSeal(t *testing.T) {
	t.Parallel()
	needed(t)
	root, dir := buildtest.Root(t), t.TempDir()
	// Read by the test itself, so that go test knows what its result depends on.
	for _, name := range []string{folder + "/plugin.py", folder + "/cases.json"} {
		if _, err := os.ReadFile(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	example, err := os.ReadFile(filepath.Join(root, folder, "config.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	plugin := filepath.Join(dir, "plugin.py")
	const key = "canary-of-the-seal"
	d := daemontest.New(t, daemontest.Options{
		HCL: "directory {\n  path = \"data/realmgate.db\"\n}\n" + strings.ReplaceAll(string(example), "/opt/acme/plugin.py", plugin), Env: []string{"SEAL_KEY=" + key},
	})
	script, want := doctest.Script(doctest.Blocks(t, "docs/plugins/protocol.md", "sh walk"))
	out := run(t, dir, d.Command, script)
	for _, line := range want {
		_, rest, ok := strings.Cut(out, line)
		if !ok {
			t.Fatalf("the page shows %q, which does not come (there):\n%s", line, out)
		}
		out = rest
	}
	command, cert := []string{runtime, plugin}, doortest.HostCertificate(t)
	doortest.Refuses(t, command, doortest.Folder(t), cert)
	doortest.Refuses(t, command, doortest.Cookie, cert)
	doortest.Check(t, command)
	if stdout, stderr, err := d.Run(nil, "plugin", "verify", "--tls", "none", "--case", filepath.Join(dir, "cases.json"), byPath(t, plugin)); err != nil {
		t.Errorf("without TLS: %v\n%s%s", err, stdout, stderr)
	}

	d.Start()
	script = doctest.Only(t, "examples/python-authenticator/README.md", "sh seal")
	seal := strings.TrimSpace(run(t, dir, d.Command, script, "SEAL_KEY="+key))
	d.Operate("role", "create", "--realm", "acme", "reader")
	grant := func(name, attribute string) daemontest.Answer {
		var client struct {
			Credentials struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			}
		}
		made := d.Operate("principal", "create", "--realm", "acme", "--json", "--role", "reader", "--attribute", attribute, name)
		if err := json.Unmarshal([]byte(made), &client); err != nil {
			t.Fatalf("%v: %s", err, made)
		}
		return d.Grant("acme", client.Credentials.ID, client.Credentials.Secret, "PRINCIPAL_ROLE:ALL")
	}
	token := d.TokenIn(grant("alice", "seal="+seal))
	if who, roles := d.Check("acme", token).Who(); who != "alice" || roles != "reader" {
		t.Errorf("alice, with her seal, is %s with %q", who, roles)
	}
	for name, attribute := range map[string]string{"mallory": "seal=" + seal, "bob": "other=" + seal} { // hers, and none
		if a := grant(name, attribute); a.Status != http.StatusBadRequest || a.Body["error"] != "unauthorized_client" {
			t.Errorf("%s gets a token: %d %s", name, a.Status, a.Text)
		}
	}
	d.Operate("principal", "disable", "--realm", "acme", "alice")
	if who, _ := d.Check("acme", token).Who(); who != "principal_disabled" {
		t.Errorf("alice, who is disabled: %s", who)
	}
	d.Stop()
	if strings.Contains(d.Log.String(), key) {
		t.Error("the key is in the log")
	}
}

// byPath makes a script of the plugin, to be given by its path.
func byPath(t *testing.T, plugin string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(plugin), "seal.sh")
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec %s %s\n", runtime, plugin), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
