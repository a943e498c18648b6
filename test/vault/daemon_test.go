package vault

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/realmgate/realmgate/internal/daemontest"
)

// gate is a daemon with the plugins default, aws and vault, of which every trace is searched for secrets.
type gate struct {
	*daemontest.Daemon
	t    *testing.T
	said strings.Builder // answers in which no secret may be
}

func newGate(t *testing.T, hcl string) *gate {
	t.Helper()
	return &gate{t: t, Daemon: daemontest.New(t, daemontest.Options{Plugins: []string{"aws", "vault"}, HCL: "log {\n  level = \"trace\"\n}\n" + hcl})}
}

// bootstrap gives a store of that name in a folder, with secrets. Nothing is remembered of decisions, so that each of them meets
// the server.
func bootstrap(t *testing.T, secrets map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "authentication {\n  cache {\n    max_age = \"0s\"\n  }\n}\n" + fmt.Sprintf("secret_store \"bootstrap\" {\n  type = \"file\"\n  dir  = %q\n}\n", dir)
}

// check asks the forward-auth door of a realm.
func (g *gate) check(realm, token string) daemontest.Answer {
	g.t.Helper()
	a := g.Check(realm, token)
	fmt.Fprintln(&g.said, a.Header, a.Text)
	return a
}

// fails asks for a token of a realm whose key cannot be had.
func (g *gate) fails(realm string) bool {
	g.t.Helper()
	a := g.Issue(realm)
	fmt.Fprintln(&g.said, a.Header, a.Text)
	return a.Status == http.StatusServiceUnavailable
}

// connection asks about connections of a realm.
func (g *gate) connection(method, realm, rest, token, body string) daemontest.Answer {
	g.t.Helper()
	return g.Ask(method, "/realms/"+realm+"/v1/connections"+rest, token, "application/json", body)
}

// says waits until the log says what is wrong, and of which reference.
func (g *gate) says(t *testing.T, words string) {
	t.Helper()
	eventually(t, "the log says "+words, func() bool { return strings.Contains(g.Log.String(), words) })
}

// explains waits until a line of the log has the name of a realm, or of a store that is called so too, and what is wrong.
func (g *gate) explains(realm, words string) {
	g.t.Helper()
	eventually(g.t, "a line of the log has "+realm+" and says "+words, func() bool {
		for line := range strings.Lines(g.Log.String()) {
			if strings.Contains(line, realm) && strings.Contains(line, words) {
				return true
			}
		}
		return false
	})
}

// processes are the daemon and its plugins, by name.
func (g *gate) processes() map[string]int {
	g.t.Helper()
	out := map[string]int{"realmgate": g.PID()}
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
		if len(fields) < 2 || fields[1] != strconv.Itoa(g.PID()) {
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
	out := map[string]string{"the log": g.Log.String(), "the answers": g.said.String()}
	for name, pid := range g.processes() {
		for _, file := range []string{"environ", "cmdline"} {
			raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
			if err == nil {
				out[name+"'s "+file] = string(raw)
			}
		}
	}
	err := filepath.WalkDir(g.Dir, func(path string, e fs.DirEntry, err error) error {
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

// leavesNoTraceOf has the traces of the daemon searched when the test ends, however it does. What it is given may grow until then.
func (g *gate) leavesNoTraceOf(secrets map[string]string) {
	g.t.Cleanup(func() { g.search(secrets) })
}

// search ends the daemon and finds no secret in anything that it and its plugins wrote, answered by mistake, or dumped.
func (g *gate) search(secrets map[string]string) {
	t := g.t
	t.Helper()
	processes, places := g.processes(), g.written() // environments before the processes end
	places["the metrics"], places["the list of plugins"] = g.Metrics(), g.Operate("plugin", "list", "--json")
	if !strings.Contains(places["the metrics"], "realmgate_decisions_total{") || !strings.Contains(places["the list of plugins"], `"vault"`) {
		t.Error("the metrics or the list of plugins were not searched")
	}
	for name := range processes {
		if len(places[name+"'s environ"]) == 0 || !strings.Contains(places[name+"'s cmdline"], name) {
			t.Errorf("%s was not searched", name)
		}
	}
	for name, pid := range processes {
		if name == "realmgate" {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil { // it dumps its goroutines and ends
			t.Error(err)
		}
	}
	eventually(t, "the plugins are started again", func() bool {
		again := g.processes()
		for name, pid := range processes {
			if at := again[name]; at == 0 || name != "realmgate" && at == pid {
				return false
			}
		}
		return true
	})
	eventually(t, "the plugins' dumps are in the log", func() bool { return g.dumps() == len(processes)-1 })
	g.Dump()
	if got := g.dumps(); got != len(processes) {
		t.Errorf("%d dumps of %d processes", got, len(processes))
	}
	for at, text := range g.written() {
		places[at+", at the end"] = text
	}
	for at, text := range places {
		for name, secret := range secrets {
			if secret == "" || strings.Contains(text, secret) {
				t.Errorf("%s is in %s", name, at)
			}
		}
	}
}

// dumps counts the dumps of goroutines in the log.
func (g *gate) dumps() int { return strings.Count(g.Log.String(), "SIGQUIT: quit") }
