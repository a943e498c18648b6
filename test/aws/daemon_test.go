package aws

import (
	"bytes"
	"fmt"
	"io"
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

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

const readyTimeout = time.Minute

// daemon is a running realmgate with both of its plugins.
type daemon struct {
	t            *testing.T
	dir, command string
	url          string
}

// startDaemon runs a daemon on a configuration that has no listener, admin socket and directory of its own.
func startDaemon(t *testing.T, listener, hcl string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), command: buildtest.Command(t, "host/cmd/realmgate", "realmgate")}
	plugins := buildtest.Plugin(t)
	buildtest.Command(t, "plugins/aws", "realmgate-plugin-aws")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	d.url = "http://" + address
	text := fmt.Sprintf(`public_url = %q
plugin_dir = %q
listener "main" {
  address = %q
  %s
}
admin {
  socket = "admin.sock"
}
directory {
  path = "data/realmgate.db"
}
`, d.url, plugins, address, listener) + hcl
	if err := os.WriteFile(filepath.Join(d.dir, "config.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.serve()
	return d
}

func (d *daemon) serve() {
	t := d.t
	t.Helper()
	log := &capture.Buffer{}
	cmd := exec.Command(d.command, "serve")
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-done
			t.Error("the daemon does not end after SIGTERM")
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", log)
		}
	})
	deadline := time.After(readyTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			t.Fatalf("the daemon ended:\n%s", log)
		case <-deadline:
			t.Fatalf("the daemon is not ready in %s:\n%s", readyTimeout, log)
		case <-tick.C:
		}
		if res, err := http.Get(d.url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
}

// run runs one of the commands, with further variables, and gives what it prints.
func (d *daemon) run(env []string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(d.command, args...)
	var out, faults bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = d.dir, &out, &faults, append(os.Environ(), env...)
	err = cmd.Run()
	return out.String(), faults.String(), err
}

// operate runs a command that has to succeed.
func (d *daemon) operate(args ...string) string {
	d.t.Helper()
	out, faults, err := d.run(nil, args...)
	if err != nil {
		d.t.Fatalf("realmgate %s: %v\n%s", strings.Join(args, " "), err, faults)
	}
	return out
}

// principal makes a principal with a role of its own, in a realm.
func (d *daemon) principal(realm, name, role string) {
	d.t.Helper()
	d.operate("role", "create", "--realm", realm, role)
	d.operate("principal", "create", "--realm", realm, name, "--without-secret")
	d.operate("role", "grant", "--realm", realm, role, name)
}

// check asks the forward-auth door of a realm about a bearer token: the principal or the reason, and the roles.
func (d *daemon) check(realm, token string) (status int, who, roles string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+"/realms/"+realm+"/v1/check", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return answerTo(d.t, r)
}

func answerTo(t *testing.T, r *http.Request) (status int, who, roles string) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	who = res.Header.Get("Realmgate-Principal")
	if res.StatusCode != http.StatusOK {
		who = res.Header.Get("Realmgate-Reason")
	}
	return res.StatusCode, who, res.Header.Get("Realmgate-Roles")
}

// commandAlone builds the commands and gives the path of the daemon's; the plugins are beside it.
func commandAlone(t *testing.T) string {
	t.Helper()
	buildtest.Command(t, "plugins/aws", "realmgate-plugin-aws")
	return buildtest.Command(t, "host/cmd/realmgate", "realmgate")
}
