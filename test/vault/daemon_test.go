package vault

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
)

// gate is a running daemon with the plugins default, aws and vault.
type gate struct {
	t    *testing.T
	dir  string
	url  string
	root map[string]struct { // by realm
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	cmd  *exec.Cmd
	log  *capture.Buffer
	said strings.Builder // every answer
}

// newGate builds what is needed and writes the configuration.
func newGate(t *testing.T, hcl string) *gate {
	t.Helper()
	daemon := buildtest.Command(t, "host/cmd/realmgate", "realmgate")
	for _, name := range []string{"default", "aws", "vault"} {
		buildtest.Command(t, "plugins/"+name, "realmgate-plugin-"+name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	g := &gate{t: t, dir: t.TempDir(), url: "http://" + address, log: &capture.Buffer{}}
	text := fmt.Sprintf("public_url = %q\nplugin_dir = %q\nlog {\n  level = \"trace\"\n}\nlistener \"main\" {\n  address = %q\n}\nadmin {\n  socket = \"admin.sock\"\n}\n",
		g.url, filepath.Dir(daemon), address)
	if err := os.WriteFile(filepath.Join(g.dir, "config.hcl"), []byte(text+hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command(daemon, "serve", "--config", "config.hcl")
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = g.dir, g.log, g.log
	return g
}

// start runs the daemon until the test ends and waits until it serves.
func (g *gate) start() {
	t := g.t
	t.Helper()
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = g.cmd.Wait() // how it ended is in its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = g.cmd.Process.Kill()
			<-done
			t.Error("the daemon did not end after SIGTERM")
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", g.log)
		}
	})
	eventually(t, "the daemon is ready", func() bool {
		answer, err := http.Get(g.url + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	raw, err := os.ReadFile(filepath.Join(g.dir, "data", "root-credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Realms json.RawMessage }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file.Realms, &g.root); err != nil {
		t.Fatal(err)
	}
}

// answered is an answer of the daemon.
type answered struct {
	status int
	text   string
	body   map[string]any
}

func (g *gate) ask(method, path, token, contentType, body string) answered {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	a := answered{status: res.StatusCode, text: string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	return a
}

// check asks the forward-auth door of a realm.
func (g *gate) check(realm, token string) answered {
	a := g.ask(http.MethodGet, "/realms/"+realm+"/v1/check", token, "", "")
	fmt.Fprintln(&g.said, a.text)
	return a
}

// issue asks for a token of the root principal of a realm.
func (g *gate) issue(realm string) answered {
	g.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {g.root[realm].ID}, "client_secret": {g.root[realm].Secret}, "scope": {"PRINCIPAL_ROLE:ALL"}}
	return g.ask(http.MethodPost, "/realms/"+realm+"/v1/oauth/tokens", "", "application/x-www-form-urlencoded", form.Encode())
}

func (g *gate) token(realm string) string {
	g.t.Helper()
	a := g.issue(realm)
	token, _ := a.body["access_token"].(string)
	if token == "" {
		g.t.Fatalf("no token of %s: %d %s", realm, a.status, a.text)
	}
	return token
}

// connection asks about connections of a realm.
func (g *gate) connection(method, realm, rest, token, body string) answered {
	g.t.Helper()
	return g.ask(method, "/realms/"+realm+"/v1/connections"+rest, token, "application/json", body)
}

// processes are the daemon and its plugins, by name.
func (g *gate) processes() map[string]int {
	g.t.Helper()
	out := map[string]int{"realmgate": g.cmd.Process.Pid}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(all) == 0 {
		g.t.Skip("there is no /proc")
	}
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(g.cmd.Process.Pid) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		command, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(string(command), "\x00")
		out[filepath.Base(name)] = pid
	}
	return out
}

// written gives everything that the daemon and its plugins wrote, answered, or keep in their environment and folder, by place.
func (g *gate) written() map[string]string {
	g.t.Helper()
	out := map[string]string{"the log": g.log.String(), "the answers": g.said.String()}
	for name, pid := range g.processes() {
		for _, file := range []string{"environ", "cmdline"} {
			raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
			if err == nil {
				out[name+"'s "+file] = string(raw)
			}
		}
	}
	err := filepath.WalkDir(g.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		out[path] = string(raw)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}
