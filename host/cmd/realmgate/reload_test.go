package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
	var got []admin.Plugin
	if err := json.Unmarshal(d.output("plugin", "list", "--json"), &got); err != nil {
		d.t.Fatal(err)
	}
	out := map[string][]int{}
	for _, p := range got {
		if p.PID != 0 {
			out[p.Name] = append(out[p.Name], p.PID)
		}
	}
	return out
}

// A realm is added, changed and removed while others serve; their tokens stay good and their plugin process goes on.
func TestReload(t *testing.T) {
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
	has(t, d.audit(), `"event":"config.reload","outcome":"attempted","change":"+realm new, -realm other"`, `"event":"config.reload","outcome":"done"`)

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
