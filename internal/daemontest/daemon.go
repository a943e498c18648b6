package daemontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
)

const (
	// readyTimeout bounds a start; a second is usual.
	readyTimeout = time.Minute
	// askTimeout bounds one question whether it is ready.
	askTimeout = 5 * time.Second
	// endTimeout bounds the end after SIGTERM.
	endTimeout = 30 * time.Second
	// maxShown is how much of its log is shown of a daemon whose test has failed.
	maxShown = 64 << 10
)

// Options are what a daemon is made of.
type Options struct {
	Plugins  []string // beside the bundled default one, by their folders below plugins/
	Listener string   // further lines of the one listener's block
	HCL      string   // the configuration, but for public_url, plugin_dir, listener and admin
	Args     []string // of serve
	Env      []string // further variables, as name=value
}

// Daemon is a daemon of the test's own.
type Daemon struct {
	Command string // the path of its binary; the plugins' are beside it
	Dir     string // where it runs, with config.hcl and data/
	URL     string
	Log     *capture.Buffer

	t    *testing.T
	args []string
	env  []string
	cmd  *exec.Cmd
	done chan struct{}
	root map[string]credentials // by realm
}

// credentials are of the root principal of a realm.
type credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// New builds what is needed and writes the configuration. Nothing runs before [Daemon.Start].
func New(t *testing.T, o Options) *Daemon {
	t.Helper()
	for _, name := range o.Plugins {
		buildtest.Bundled(t, name)
	}
	d := &Daemon{t: t, Dir: t.TempDir(), Command: buildtest.Command(t, "host/cmd/realmgate", "realmgate"), Log: &capture.Buffer{}, args: o.Args, env: o.Env}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("daemontest: %v", err)
	}
	address := l.Addr().String()
	_ = l.Close()
	d.URL = "http://" + address
	text := fmt.Sprintf("public_url = %q\nplugin_dir = %q\nlistener \"main\" {\n  address = %q\n  %s\n}\nadmin {\n  socket = \"admin.sock\"\n}\n",
		d.URL, buildtest.Plugin(t), address, o.Listener)
	if err := os.WriteFile(filepath.Join(d.Dir, "config.hcl"), []byte(text+o.HCL), 0o600); err != nil {
		t.Fatalf("daemontest: %v", err)
	}
	return d
}

// Start runs the daemon until the test ends and waits until it serves. It may be called again after [Daemon.Kill].
func (d *Daemon) Start() {
	d.t.Helper()
	d.cmd = exec.Command(d.Command, append([]string{"serve"}, d.args...)...)
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr, d.cmd.Env = d.Dir, d.Log, d.Log, append(os.Environ(), d.env...)
	if err := d.cmd.Start(); err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	d.done = make(chan struct{})
	go func() {
		_ = d.cmd.Wait() // how it ended is in its log
		close(d.done)
	}()
	d.t.Cleanup(d.end)
	for end := time.Now().Add(readyTimeout); !d.ready(); time.Sleep(20 * time.Millisecond) {
		if d.ended() || time.Now().After(end) {
			d.t.Fatal("daemontest: the daemon does not serve")
		}
	}
	d.readRoot()
}

// Stop ends the daemon as its operator does, with SIGTERM, and waits for that. The end of the test does so, too.
func (d *Daemon) Stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(endTimeout):
		_ = d.cmd.Process.Kill()
		<-d.done
		d.t.Error("daemontest: the daemon does not end after SIGTERM")
	}
}

func (d *Daemon) end() {
	d.Stop()
	log := d.Log.String()
	if strings.Contains(log, "WARNING: DATA RACE") { // where it is built to tell, with GOFLAGS=-race
		d.t.Error("daemontest: the daemon has a data race")
	}
	if d.t.Failed() {
		d.t.Logf("daemontest: the end of the daemon's log:\n%s", log[max(0, len(log)-maxShown):])
	}
}

func (d *Daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

func (d *Daemon) ready() bool {
	answer, err := (&http.Client{Timeout: askTimeout}).Get(d.URL + "/readyz") // who accepts and does not answer is not ready
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// readRoot reads what the daemon leaves for its operator on a first start without a terminal, unless no realm has a root principal.
func (d *Daemon) readRoot() {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join(d.Dir, "data", "root-credentials.json"))
	if os.IsNotExist(err) {
		return
	}
	var file struct{ Realms json.RawMessage }
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err == nil {
		err = json.Unmarshal(file.Realms, &d.root)
	}
	if err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
}

// Dump has the daemon write the stacks of its goroutines to its log, which ends it, and waits for that.
func (d *Daemon) Dump() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	select {
	case <-d.done:
	case <-time.After(endTimeout):
		d.t.Fatal("daemontest: the daemon does not end after SIGQUIT")
	}
}

// Kill ends the daemon with SIGKILL, of which it knows nothing, and returns when it has ended.
func (d *Daemon) Kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	<-d.done
}

// Run runs one of the binary's commands in the daemon's folder, with further variables, and gives what it prints.
func (d *Daemon) Run(env []string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(d.Command, args...)
	var out, faults bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = d.Dir, &out, &faults, append(os.Environ(), env...)
	err = cmd.Run()
	return out.String(), faults.String(), err
}

// Operate runs a command that has to succeed, and gives what it prints.
func (d *Daemon) Operate(args ...string) string {
	d.t.Helper()
	out, faults, err := d.Run(nil, args...)
	if err != nil {
		d.t.Fatalf("realmgate %s: %v\n%s", strings.Join(args, " "), err, faults)
	}
	return out
}

// Principal makes a principal without a secret, with a role of its own, in a realm.
func (d *Daemon) Principal(realm, name, role string) {
	d.t.Helper()
	d.Operate("role", "create", "--realm", realm, role)
	d.Operate("principal", "create", "--realm", realm, name, "--without-secret")
	d.Operate("role", "grant", "--realm", realm, role, name)
}

// PID is the daemon's, after [Daemon.Start].
func (d *Daemon) PID() int { return d.cmd.Process.Pid }
