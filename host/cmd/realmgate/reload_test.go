package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// edit changes the configuration of a daemon.
func (d *gate) edit(old, to string) {
	d.t.Helper()
	path := filepath.Join(d.dir, "config.hcl")
	text, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		d.t.Fatalf("the configuration has no %s:\n%s", old, text)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, to)), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// output runs a command and gives what it prints on the standard output.
func (d *gate) output(args ...string) []byte {
	d.t.Helper()
	cmd := exec.Command("realmgate", args...)
	cmd.Dir = d.dir
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("realmgate %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// refused runs a command that has to fail, and gives what it prints.
func (d *gate) refused(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("realmgate", args...)
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		d.t.Fatalf("realmgate %s succeeded:\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

// has fails unless text has each of the parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in\n%s", p, text)
		}
	}
}

// pids gives the processes of the plugins by name, as the daemon lists them.
func (d *gate) pids() map[string][]int {
	d.t.Helper()
	return d.pidsOf(func(admin.Plugin) bool { return true })
}

// pidsOf gives those of some plugins.
func (d *gate) pidsOf(these func(admin.Plugin) bool) map[string][]int {
	d.t.Helper()
	var got []admin.Plugin
	if err := json.Unmarshal(d.output("plugin", "list", "--json", "--socket", "admin.sock"), &got); err != nil {
		d.t.Fatal(err)
	}
	out := map[string][]int{}
	for _, p := range got {
		if p.PID != 0 && these(p) {
			out[p.Name] = append(out[p.Name], p.PID)
		}
	}
	return out
}

// A realm is added, changed and removed while others serve; their tokens stay good and their plugin process goes on.
func TestReload(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\nrealm \"other\" {}\n")
	token, before := d.rootToken("demo"), d.pids()
	d.edit(`realm "other" {}`, "realm \"new\" {}\n")
	dry := d.command("reload", "--dry-run")
	has(t, dry, `realm "new": added (`, `config.hcl:13:1)`, `realm "other": removed`, "nothing has")
	if a := d.check("new", ""); a.status != http.StatusNotFound {
		t.Errorf("a dry run added a realm: %d", a.status)
	}
	has(t, d.command("reload"), `realm "new": added`, `realm "other": removed`)
	d.readRoot()
	for realm, want := range map[string]int{"demo": http.StatusOK, "new": http.StatusOK, "other": http.StatusNotFound} {
		token := token
		if realm == "new" {
			token = d.rootToken("new")
		}
		if a := d.check(realm, token); a.status != want {
			t.Errorf("%s: %d %s", realm, a.status, a.text)
		}
	}
	if after := d.pids(); len(after) == 0 || len(after["default"]) != 1 || after["default"][0] != before["default"][0] {
		t.Errorf("a plugin was started anew: %v, then %v", before, after)
	}
	has(t, d.command("reload"), "nothing changed")
	if said := d.refused("reload", "--socket", "none.sock"); !strings.Contains(said, "no daemon listens") || strings.Contains(said, "not reloaded") {
		t.Errorf("without a daemon: %s", said)
	}
	has(t, d.audit(), `"listener":"admin"`, `"event":"config.reload","outcome":"attempted","change":"+realm new, -realm other"`, `"event":"config.reload","outcome":"done"`)

	t.Run("SIGHUP", func(t *testing.T) {
		d.edit(`realm "new" {}`, "realm \"third\" {}\n")
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return d.check("third", "").status == http.StatusUnauthorized })
		has(t, d.log.String(), "SIGHUP: reloading the configuration")
		await(t, func() bool { return strings.Contains(d.log.String(), "+realm third") })
	})
	t.Run("JSON", func(t *testing.T) {
		d.edit("realm \"third\" {}", "realm \"third\" {\n  hosts = [\"third.example\"]\n}")
		var got admin.ReloadReport
		if err := json.Unmarshal(d.output("reload", "--dry-run", "--json"), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Blocks) != 1 || got.Blocks[0].String() != `realm "third"` || len(got.Blocks[0].Keys) != 1 {
			t.Fatalf("%+v", got)
		}
		if k := got.Blocks[0].Keys[0]; !got.DryRun || k.Key != "hosts" || k.New != `["third.example"]` || k.Old != "" || !strings.Contains(k.At, "config.hcl:14:3") {
			t.Errorf("%+v", k)
		}
	})
}

func (d *gate) audit() string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "data", "audit.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// The log's level, the grace and the certificates of a listener are taken; connections that are open keep the certificate.
func TestReloadOfTheDaemonItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := selfSigned(t, cert, key)
	d := startIn(t, dir, `
realm "demo" {}
log {
  level = "error"
}
listener "main" {
  address = "ADDRESS"
  tls {
    cert_file = "cert.pem"
    key_file  = "key.pem"
  }
}
`)
	trusts := func(pool *x509.CertPool) bool {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
		res, err := c.Get(d.url + "/healthz")
		return err == nil && res.Body.Close() == nil
	}
	if !trusts(first) {
		t.Fatal("the first certificate is not served")
	}
	second := selfSigned(t, cert, key)
	d.edit(`level = "error"`, `level = "info"`)
	d.command("reload")
	if trusts(first) || !trusts(second) {
		t.Error("the certificate was not replaced")
	}
	await(t, func() bool { return strings.Contains(d.log.String(), "configuration reloaded") }) // a line of the new level
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	has(t, d.refused("reload", "--socket", "admin.sock"), "config.hcl:", "load certificate")
	if !trusts(second) {
		t.Error("a certificate that cannot be read took the listener down")
	}
}

// While configurations are taken one after the other, not one request of a realm that is in all of them is lost.
func TestNoRequestIsLost(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "moody")
	d := start(t, "plugin_health_window = \"0s\"\n"+strings.TrimPrefix(moodyConfig(path, "a"), "plugin_health_window = \"500ms\"\n"))
	token := d.rootToken("calm")
	var stop atomic.Bool
	var asked atomic.Int64
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for !stop.Load() {
				asked.Add(2)
				if a := d.check("calm", token); a.status != http.StatusOK {
					t.Errorf("%d %s", a.status, a.text)
				}
				if a := d.check("mood", "x"); a.reason() != "a" && a.reason() != "b" {
					t.Errorf("%d %s", a.status, a.text)
				}
				time.Sleep(time.Millisecond) // the load is steady, and leaves the machine to others too
			}
		})
	}
	for n, tags := 0, []string{"a", "b"}; n < 10 && !t.Failed(); n++ {
		d.edit(`tag  = "`+tags[n%2]+`"`, `tag  = "`+tags[(n+1)%2]+`"`)
		if n%5 == 4 {
			rebuild(t, path)
		}
		d.command("reload")
		d.answers(t, tags[(n+1)%2])
	}
	stop.Store(true)
	users.Wait()
	t.Logf("%d requests", asked.Load())
	await(t, func() bool { return len(d.pids()["moody"]) == 1 })
}

// serve --watch takes what is written; what is wrong is told of once, and taken when it is right.
func TestWatch(t *testing.T) {
	t.Parallel()
	path := testPlugin(t, "moody")
	d := start(t, moodyConfig(path, "one"), "--watch")
	old := d.pids()
	d.edit(`tag  = "one"`, `tag  = "two"`)
	await(t, func() bool { return d.check("mood", "x").reason() == "two" })
	d.edit(`tag  = "two"`, `tag  = "wrong"`)
	await(t, func() bool { return strings.Contains(d.log.String(), "no broker has this tag") })
	d.edit(`tag  = "wrong"`, `tag  = "three"`)
	await(t, func() bool { return d.check("mood", "x").reason() == "three" })
	if n := strings.Count(d.log.String(), "the former one serves on"); n != 1 {
		t.Errorf("a bad configuration was told of %d times", n)
	}
	rebuild(t, path)
	await(t, func() bool { return len(d.pids()["moody"]) == 1 && d.pids()["moody"][0] != old["moody"][0] })

	late := testPlugin(t, "asker")
	if err := os.Rename(late, late+".away"); err != nil {
		t.Fatal(err)
	}
	d.edit(`realm "calm" {}`, "realm \"calm\" {}\nplugin \"asker\" {\n  path = \""+late+"\"\n}")
	await(t, func() bool { return strings.Contains(d.log.String(), late+": the file does not exist") })
	await(t, func() bool { return strings.Count(d.log.String(), "the former one serves on") == 2 })
	if err := os.Rename(late+".away", late); err != nil { // the binary of what was refused
		t.Fatal(err)
	}
	written := time.Now()
	await(t, func() bool {
		if time.Since(written) > 5*time.Second { // it came before the watch began to look at its place
			rebuild(t, late)
			written = time.Now()
		}
		return len(d.pids()["asker"]) == 1
	})
	if err := os.WriteFile(filepath.Join(d.dir, "realmgate.lock.json"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Contains(d.log.String(), "realmgate.lock.json cannot be used") })
}

// Under serve --watch, too, a lock file that is gone unlocks nothing.
func TestWatchLockGone(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n", "--watch")
	file := filepath.Join(d.dir, "realmgate.lock.json")
	d.command("plugin", "lock")
	locked := "plugins are locked: nothing runs but the one in the lock file " + file
	await(t, func() bool { return strings.Contains(d.log.String(), locked) })
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Contains(d.log.String(), "the lock file "+file+" is gone: without it") })
	d.edit(`realm "demo" {}`, "realm \"demo\" {}\nplugin \"moody\" {\n  path = \""+testPlugin(t, "moody")+"\"\n}")
	await(t, func() bool { return strings.Count(d.log.String(), "the former one serves on") == 2 })
	if now := d.pids(); len(now["moody"]) != 0 {
		t.Errorf("a plugin runs that the lock file did not have: %v", now)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Contains(d.log.String(), "is not in the lock file "+file) })
	d.rootToken("demo")
}

// A lock file that comes, and goes, takes no new process: what a plugin remembers, such as keys, lives on.
func TestLockTakesNoNewProcess(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n")
	file := filepath.Join(d.dir, "realmgate.lock.json")
	has(t, d.log.String(), "plugins are not locked: there is no lock file "+file)
	token, old := d.rootToken("demo"), d.pids()
	d.command("plugin", "lock")
	has(t, d.command("reload", "--dry-run"), "lock file: added\n", "this is what would change")
	has(t, d.log.String(), "a dry run of a reload begins", "the dry run has ended")
	has(t, d.command("reload"), "lock file: added\n")
	has(t, d.audit(), `"change":"+lock file"`)
	has(t, d.command("reload"), "nothing changed")
	locked := "plugins are locked: nothing runs but the one in the lock file " + file
	await(t, func() bool { return strings.Contains(d.log.String(), locked) })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"reload"}, {"reload", "--allow-unavailable"}, {"reload", "--dry-run"}} {
		has(t, d.refused(args...), "the lock file "+file+" is gone", "realmgate plugin lock --config "+filepath.Join(d.dir, "config.hcl")+".", "realmgate reload --without-lock")
	}
	has(t, d.command("reload", "--without-lock"), "the lock file "+file+" is gone: from now on every plugin runs", "lock file: removed\n")
	await(t, func() bool { return strings.Contains(d.log.String(), "is gone: from now on every plugin runs") })
	has(t, d.command("reload"), "nothing changed") // it is no news any more
	d.command("plugin", "lock")
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.Count(d.log.String(), locked) == 3 })
	if now := d.pids(); len(old["default"]) != 1 || len(now["default"]) != 1 || now["default"][0] != old["default"][0] {
		t.Errorf("processes %v, before %v", now, old)
	}
	if a := d.check("demo", token); a.status != http.StatusOK {
		t.Errorf("a token from before: %d %s", a.status, a.text)
	}
}

// systemd is told when a reload begins and when it has ended, also if it is refused (sd_notify, Type=notify-reload).
func TestNotifyReload(t *testing.T) {
	t.Parallel()
	told, env := systemd(t)
	d := prepare(t, t.TempDir(), "realm \"demo\" {}\n")
	d.run(env)
	if got := told(); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	for _, text := range []string{"realm \"more\" {}\n", "nonsense\n"} {
		d.edit("realm \"demo\" {}\n", "realm \"demo\" {}\n"+text)
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		began, usec, _ := strings.Cut(told(), "\n")
		if n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(usec, "MONOTONIC_USEC=")), 10, 64); began != "RELOADING=1" || err != nil || n <= 0 {
			t.Errorf("told %q %q", began, usec)
		}
		if got := told(); got != "READY=1" {
			t.Errorf("told %q", got)
		}
	}
}
