package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
)

// TestMain makes the test binary stand in for the daemon, and for plugins of the tests' own, when it runs under their names.
func TestMain(m *testing.M) {
	child.Main()
	// These tests wait for processes more than they compute; -parallel says otherwise.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	hurryRaceDetector()
	testscript.Main(cleaning{m}, map[string]func(){
		"realmgate":                func() { os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr})) },
		"realmgate-plugin-hostile": hostile,
		"realmgate-plugin-echo":    echoPlugin,
		"realmgate-plugin-asker":   askerPlugin,
		"realmgate-plugin-moody":   moodyPlugin,
		"realmgate-plugin-burglar": burglarPlugin,
		"realmgate-plugin-witness": witnessPlugin,
		"realmgate-plugin-rogue":   roguePlugin,
	})
}

// hurryRaceDetector has processes that this one starts end when they have done their work: with the race detector, which the
// commands of tests are built with, each would sleep for a second first. GORACE says otherwise.
func hurryRaceDetector() {
	if err := os.Setenv("GORACE", strings.TrimSpace("atexit_sleep_ms=50 "+os.Getenv("GORACE"))); err != nil {
		panic(err)
	}
}

type cleaning struct{ m *testing.M }

func (c cleaning) Run() int {
	defer buildtest.Clean()
	return c.m.Run()
}

// gate is a running daemon in a process of its own, with an embedded store and real plugin processes.
type gate struct {
	t    testing.TB
	dir  string
	url  string
	root map[string]rootEntry // by realm
	cmd  *exec.Cmd
	log  *capture.Buffer
	done chan error

	args    []string
	env     []string // of the daemon and of tours
	extra   []*os.File
	stopped bool
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs `realmgate serve` on a configuration that has no listener, plugin_dir and directory of its own, and waits until
// it is ready.
func start(t testing.TB, hcl string, args ...string) *gate {
	t.Helper()
	return startIn(t, t.TempDir(), hcl, args...)
}

// startWith starts a daemon that inherits an open file.
func startWith(t testing.TB, f *os.File, hcl string) *gate {
	t.Helper()
	d := prepare(t, t.TempDir(), hcl)
	d.extra = []*os.File{f}
	d.run()
	return d
}

func startIn(t testing.TB, dir, hcl string, args ...string) *gate {
	t.Helper()
	d := prepare(t, dir, hcl)
	d.args = args
	d.run()
	return d
}

// prepare writes the configuration of a daemon that is not running yet.
func prepare(t testing.TB, dir, hcl string) *gate {
	t.Helper()
	d := &gate{t: t, dir: dir, log: &capture.Buffer{}, done: make(chan error, 1)}
	address := freeAddress(t)
	d.url = "http://" + address
	if strings.Contains(hcl, "tls {") {
		d.url = "https://" + address
	}
	text := fmt.Sprintf("public_url = %q\nplugin_dir = %q\nadmin {\n  socket = \"admin.sock\"\n}\n",
		d.url, buildtest.Plugin(t))
	if !strings.Contains(hcl, "directory {") {
		text += "directory {\n  path = \"data/realmgate.db\"\n}\n"
	}
	if !strings.Contains(hcl, "listener ") {
		text += fmt.Sprintf("listener \"main\" {\n  address = %q\n}\n", address)
	}
	text += strings.ReplaceAll(hcl, "ADDRESS", address)
	if err := os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// run starts the process and waits until it is ready.
func (d *gate) run(env ...string) {
	t := d.t
	t.Helper()
	d.cmd = exec.Command("realmgate", append([]string{"serve"}, d.args...)...)
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr, d.cmd.ExtraFiles = d.dir, d.log, d.log, d.extra
	d.cmd.Env = append(append(os.Environ(), d.env...), env...)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() {
		if !d.stopped {
			_ = d.stop()
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", d.log)
		}
	})
	d.awaitReady()
	d.readRoot()
}

func (d *gate) awaitReady() {
	d.t.Helper()
	ready := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-d.done:
			d.done <- err
			d.t.Fatalf("the daemon ended: %v\n%s", err, d.log)
		default:
		}
		res, err := ready.Get(d.url + "/readyz")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	d.t.Fatalf("the daemon is not ready\n%s", d.log)
}

func (d *gate) readRoot() {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "data", "root-credentials.json"))
	if os.IsNotExist(err) {
		return
	}
	var f rootFile
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.root = f.Realms
}

// stop sends SIGTERM and gives how the daemon ended.
func (d *gate) stop() error {
	d.t.Helper()
	d.stopped = true
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.done:
		return err
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		d.t.Errorf("the daemon did not end after SIGTERM")
		return <-d.done
	}
}

// command runs one of the operator's commands against the daemon.
func (d *gate) command(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("realmgate", args...)
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("realmgate %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) reason() string {
	e, _ := a.body["error"].(map[string]any)
	r, _ := e["reason"].(string)
	return r
}

func (d *gate) do(req *http.Request) answer {
	d.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

// check asks the forward-auth door of a realm.
func (d *gate) check(realm, token string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+"/realms/"+realm+"/v1/check", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return d.do(req)
}

// grant asks the token endpoint of a realm with credentials in the body.
func (d *gate) grant(realm, id, secret, scope string) answer {
	d.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+"/realms/"+realm+"/v1/oauth/tokens", strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return d.do(req)
}

// rootToken gets a token of the root principal of a realm.
func (d *gate) rootToken(realm string) string {
	d.t.Helper()
	r, ok := d.root[realm]
	if !ok {
		d.t.Fatalf("no root credentials of realm %s", realm)
	}
	a := d.grant(realm, r.ClientID, r.ClientSecret, "PRINCIPAL_ROLE:ALL")
	token, _ := a.body["access_token"].(string)
	if token == "" {
		d.t.Fatalf("no token: %d %s", a.status, a.text)
	}
	return token
}
