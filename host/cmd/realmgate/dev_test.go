package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// develop runs `realmgate dev` on loopback until it is ready.
func develop(t *testing.T, plugin string, args ...string) (d *gate, told *capture.Buffer) {
	t.Helper()
	return developWith(t, nil, plugin, args...)
}

// developWith is develop with more variables in its environment.
func developWith(t *testing.T, env []string, plugin string, args ...string) (d *gate, told *capture.Buffer) {
	t.Helper()
	address := freeAddress(t)
	dir, err := os.MkdirTemp("", "dev") // with a short name, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d, told = &gate{t: t, dir: dir, url: "http://" + address, log: &capture.Buffer{}, done: make(chan error, 1)}, &capture.Buffer{}
	d.cmd = exec.Command("realmgate", append([]string{"dev", "--plugin", plugin, "--address", address}, args...)...)
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = d.dir, told, d.log
	d.cmd.Env = append(os.Environ(), "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t), "TMPDIR="+d.dir,
		// of another daemon, which is not to be served nor written to
		"REALMGATE_CONFIG=/nowhere.hcl", "REALMGATE_LISTENER__MAIN__ADDRESS=127.0.0.1:1", "REALMGATE_DIRECTORY__PATH="+filepath.Join(d.dir, "other.db"))
	d.cmd.Env = append(d.cmd.Env, env...)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() {
		if !d.stopped {
			_ = d.stop()
		}
		if t.Failed() {
			t.Logf("log:\n%s\noutput:\n%s", d.log, told)
		}
	})
	d.awaitReady()
	if _, err := os.Stat(filepath.Join(d.dir, "other.db")); err == nil || !strings.Contains(d.log.String(), "these variables do not count: REALMGATE_CONFIG, REALMGATE_LISTENER__MAIN__ADDRESS, REALMGATE_DIRECTORY__PATH\n") {
		t.Errorf("another daemon's variables count: %v", err)
	}
	found, err := filepath.Glob(filepath.Join(d.dir, "realmgate-dev-*", "root-credentials.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	var f rootFile
	text, err := os.ReadFile(found[0])
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.root = f.Realms
	return d, told
}

// mapperModule copies the example's mapper into a module of its own.
func mapperModule(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "realmgate-plugin-acme")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root := buildtest.Root(t)
	for _, name := range []string{"realmgate-plugin-acme/main.go", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, "examples", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "mod", "edit", "-replace", "github.com/realmgate/realmgate/sdk="+filepath.Join(root, "sdk"), "-replace", "github.com/realmgate/realmgate/proto="+filepath.Join(root, "proto"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

// An author's folder is built, decides, and is built again with each change; what does not build changes nothing.
func TestDevFollowsSources(t *testing.T) {
	t.Parallel()
	dir := mapperModule(t)
	d, told := develop(t, dir, "--set", "claim=principal_name")
	token := d.rootToken("tokens")
	for _, noise := range []string{"warning", "[WARN]", "cannot do its work now"} {
		if strings.Contains(d.log.String(), noise) {
			t.Errorf("dev warns of what it has made itself:\n%s", d.log)
		}
	}
	principal := func() string {
		a := d.check("dev", token)
		return a.header.Get("Realmgate-Principal")
	}
	eventually(t, "the first decision", func() bool { return principal() == "root" })
	eventually(t, "the decision is printed", func() bool { return strings.Contains(told.String(), "host-checks: done") })
	for _, want := range []string{"principal-mapper(badge): done", "plugin acme 1.0.0", `given what 1. gives`, `"principal_name": "root"`, `gives {"name":"root"}`, `"token":"[token]"`} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("no %q in what is printed", want)
		}
	}
	change := func(old, now string) {
		t.Helper()
		path := filepath.Join(dir, "main.go")
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(old)) {
			t.Fatalf("%v, no %q", err, old)
		}
		if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(now), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("m.Prefix + badge", `"new-" + badge`)
	change("\nfunc main() {", "\nfunc main() {\n\tprintln(\"printed by the author\")\n")
	eventually(t, "the new plugin", func() bool { return principal() == "new-root" })
	eventually(t, "what the plugin prints is shown", func() bool { return strings.Contains(d.log.String(), "printed by the author: plugin=acme") })
	change("package main", "package main\nnonsense")
	eventually(t, "the fault is told", func() bool { return strings.Contains(d.log.String(), "the former plugin serves on") })
	if got := principal(); got != "new-root" {
		t.Errorf("after a change that does not build: %q", got)
	}
	for _, part := range strings.Split(token, ".") {
		if strings.Contains(told.String()+d.log.String(), part) {
			t.Errorf("a part of the token is printed: %s", part)
		}
	}
	if err := d.stop(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.dir, "realmgate-dev-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A configuration of the author's own is served as it is, with the plugin in it.
func TestDevServesAConfiguration(t *testing.T) {
	t.Parallel()
	binary := buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper")
	config := filepath.Join(t.TempDir(), "own.hcl")
	write := func(listen, more string) {
		t.Helper()
		text := "public_url = \"http://localhost\"\nadmin {\n  socket = \"admin.sock\"\n}\nlistener \"main\" {\n  address = \"" + listen + "\"\n}\nrealm \"mine\" {}\n" + more
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string, args ...string) {
		t.Helper()
		cmd := exec.Command("realmgate", append([]string{"dev", "--plugin", binary}, args...)...)
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "REALMGATE_PLUGIN_DIR="+filepath.Dir(binary))
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	write("0.0.0.0:0", "")
	refused("listens on loopback only", "--config", config)
	refused("listens on loopback only", "--address", "0.0.0.0:8642")
	refused("exclude each other", "--config", config, "--set", "a=b")
	refused("write KEY=VALUE", "--set", "A B=c")
	write("127.0.0.1:0", "plugin \"acme-mapper\" {\n  path = \"/elsewhere\"\n}\n")
	refused("and not", "--config", config)

	address := freeAddress(t)
	write(address, "")
	d := &gate{t: t, dir: t.TempDir(), url: "http://" + address, log: &capture.Buffer{}, done: make(chan error, 1)}
	d.args = []string{"--plugin", binary, "--config", config}
	d.cmd = exec.Command("realmgate", append([]string{"dev"}, d.args...)...)
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = d.dir, d.log, d.log
	d.cmd.Env = append(os.Environ(), "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t))
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() { _ = d.stop() })
	d.awaitReady()
	d.readRoot()
	if a := d.check("mine", d.rootToken("mine")); a.status != http.StatusOK {
		t.Errorf("%d\n%s", a.status, d.log)
	}
	eventually(t, "the decision is printed", func() bool { return strings.Contains(d.log.String(), "ALLOWED (200)") })
	list := exec.Command("realmgate", "plugin", "list", "--socket", "admin.sock")
	list.Dir = d.dir
	if out, err := list.CombinedOutput(); err != nil || !strings.Contains(string(out), "principal-mapper/badge") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The configuration for a plugin alone has each kind of stage in its place, and is valid HCL whatever is set.
func TestDevConfig(t *testing.T) {
	t.Parallel()
	p := &workpiece{name: "x", binary: "/tmp/${x}"}
	for k, want := range map[sdk.Kind]string{
		sdk.KindIdentityProvider: "identity_provider {\ntype = \"mine\"\nkey = \"$${a}\"\n", sdk.KindPrincipalMapper: "principal_mapper {\ntype = \"mine\"\n", sdk.KindPrincipalRolesMapper: "principal_roles_mapper {\ntype = \"mine\"\n",
		sdk.KindAuthenticator: "authenticator {\ntype = \"mine\"\n", sdk.KindActiveRolesProvider: "active_roles_provider {\ntype = \"mine\"\n", sdk.KindTokenBroker: "token_broker {\ntype = \"mine\"\n",
		sdk.KindSecretResolver: "secret_store \"mine\" {\ntype = \"mine\"\n", sdk.KindCredentialVendor: "credential_vendor \"BEARER\" {\ntype = \"mine\"\n",
	} {
		text, err := devConfig("127.0.0.1:1", "/tmp", p, []rpc.Offer{{Kind: k, Type: "mine"}}, []string{"key=${a}", "number=7", "odd=a\x01b"})
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, "number = 7\n") {
			t.Errorf("%v: %v\n%s", k, err, text)
			continue
		}
		path := filepath.Join(t.TempDir(), "dev.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, diags := read([]string{path}, nil); diags.Err() != nil {
			t.Errorf("%v: %v\n%s", k, diags.Err(), text)
		}
	}
	offer := []rpc.Offer{{Kind: sdk.KindAuthenticator, Type: "mine"}}
	if _, err := devConfig("127.0.0.1:1", "/tmp", p, offer, []string{"key=urn:realmgate-secret:vault:a"}); err == nil || !strings.Contains(err.Error(), `the secret store "vault"`) {
		t.Errorf("a store that there is not: %v", err)
	}
	if _, err := devConfig("127.0.0.1:1", "/tmp", p, nil, nil); err == nil || !strings.Contains(err.Error(), "offers nothing") {
		t.Errorf("a plugin without a part: %v", err)
	}
}

// A folder takes the place of a configured binary, and what is configured is not written to.
func TestDevLeavesTheConfiguredBinary(t *testing.T) {
	dir, own := t.TempDir(), t.TempDir()
	placed := filepath.Join(dir, "placed")
	if err := os.WriteFile(placed, []byte("in production"), 0o600); err != nil {
		t.Fatal(err)
	}
	source(t, own, "package main\n\nfunc main() {}\n")
	file := filepath.Join(dir, "own.hcl")
	serve := func(more string) (*workpiece, error) {
		t.Helper()
		text := "public_url = \"http://localhost\"\nlistener \"main\" {\n  address = \"127.0.0.1:0\"\n}\nrealm \"mine\" {}\nplugin \"my-own\" {\n" + more + "\n}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &workpiece{name: "my-own", folder: own, binary: filepath.Join(t.TempDir(), "built")}
		_, err := devCmd{}.files(t.Context(), &cli{Config: []string{file}}, streams{out: os.Stdout, err: os.Stderr}, p, t.TempDir())
		return p, err
	}
	path := "path = " + config.Quote(placed)
	for more, want := range map[string]string{"command = \"/bin/true\"": "remove command", path + "\nsha256 = \"" + strings.Repeat("0", 64) + "\"": "has a sha256"} {
		if _, err := serve(more); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", more, err)
		}
	}
	t.Setenv("REALMGATE_PLUGIN__MY_OWN__PATH", placed) // taken back at the end
	p, err := serve(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(placed); err != nil || string(text) != "in production" {
		t.Errorf("%v: the configured binary was written to", err)
	}
	cfg, diags := read([]string{file}, nil)
	if diags.Err() != nil {
		t.Fatal(diags.Err())
	}
	if got := cfg.Plugins[0].Path; got != p.binary {
		t.Errorf("%s runs, and not %s", got, p.binary)
	}
}

// source writes a module's only file.
func source(t *testing.T, dir, text string) {
	t.Helper()
	for name, text := range map[string]string{"go.mod": "module example.test/own\n\ngo 1.24\n", "main.go": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What is saved after the first build has begun is built, also if nothing changes later.
func TestDevFollowsFromTheFirstBuild(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	source(t, dir, "package main\n\nfunc main() {}\n")
	p := &workpiece{name: "own", folder: dir, binary: filepath.Join(t.TempDir(), "own")}
	if err := p.build(ctx, t.Output()); err != nil {
		t.Fatal(err)
	}
	source(t, dir, "package main\n\nfunc main() { println(1) }\n") // before anyone follows
	ctx, stop := context.WithCancel(ctx)
	told, done := &capture.Buffer{}, make(chan struct{})
	go func() { defer close(done); p.follow(ctx, told) }()
	defer func() { stop(); <-done }()
	eventually(t, "built again", func() bool { return strings.Contains(told.String(), "built ") })
}

// Where there is no plugin yet, its first build waits for sources that build.
func TestDevWaitsForTheFirstBuild(t *testing.T) {
	dir, told := t.TempDir(), &capture.Buffer{}
	source(t, dir, "package main\n\nnonsense\n")
	p := &workpiece{name: "own", folder: dir, binary: filepath.Join(t.TempDir(), "own")}
	done := make(chan error, 1)
	go func() { done <- p.buildFirst(t.Context(), told) }()
	eventually(t, "it waits", func() bool { return strings.Contains(told.String(), "waiting for a change") })
	if !strings.Contains(told.String(), "main.go:3:1: syntax error") {
		t.Errorf("the compiler's words are missing:\n%s", told)
	}
	source(t, dir, "package main\n\nfunc main() {}\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(p.binary).CombinedOutput(); err != nil {
		t.Errorf("what was built does not run: %v\n%s", err, out)
	}
	source(t, dir, "package library\n")
	if err := p.buildFirst(t.Context(), told); err == nil || !strings.Contains(err.Error(), "its package is library") {
		t.Errorf("another package than main: %v", err)
	}
	p.folder = filepath.Join(dir, "nowhere")
	if err := p.buildFirst(t.Context(), told); err == nil || isExit(err) {
		t.Errorf("a folder that is gone: %v", err)
	}
}

// While it waits it can be stopped; what no change of its files helps ends it.
func TestDevEndsBeforeTheFirstBuild(t *testing.T) {
	dir, told := t.TempDir(), &capture.Buffer{}
	source(t, dir, "package main\n\nnonsense\n")
	dev := func(plugin string) *exec.Cmd {
		cmd := exec.Command("realmgate", "dev", "--plugin", plugin)
		cmd.Stdout, cmd.Stderr = told, told
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	cmd := dev(dir)
	eventually(t, "it waits", func() bool { return strings.Contains(told.String(), "waiting for a change") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped: %v\n%s", err, told)
	}
	source(t, dir, "package library\n")
	for plugin, want := range map[string]string{dir: "its package is library", filepath.Join(dir, "nowhere"): "no such file", t.TempDir(): "no Go files"} {
		if err := dev(plugin).Wait(); err == nil || !strings.Contains(told.String(), want) {
			t.Errorf("no error with %q: %v\n%s", want, err, told)
		}
	}
}

// However often it is told to end: its folder, with root credentials in it, is gone then.
func TestDevLeavesNothing(t *testing.T) {
	t.Parallel()
	d, _ := develop(t, buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"), "--set", "claim=principal_name")
	for d.cmd.Process.Signal(syscall.SIGTERM) == nil { // until it has ended; one that comes before the last was seen is none
		time.Sleep(time.Millisecond)
	}
	_ = d.stop() // by itself, or by a signal that came when all was done
	if left, err := filepath.Glob(filepath.Join(d.dir, "realmgate-dev-*")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// A setting that is missing is one of the command line, whatever file dev has made of it.
func TestDevNamesTheFlag(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("realmgate", "dev", "--plugin", buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"), "--address", freeAddress(t))
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "REALMGATE_PLUGIN_DIR="+buildtest.Plugin(t))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), `the key "claim" is required`) || !strings.Contains(string(out), "are given by --set KEY=VALUE") {
		t.Errorf("%v\n%s", err, out)
	}
}
