package main

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

// Keys in a folder, as the page handles them.
func TestPageOfKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, done := script(t, dir, strings.ReplaceAll(strings.ReplaceAll(doctest.Only(t, "docs/operations.md", "sh keys"), "/etc/realmgate/keys", "keys"),
		"key rotate ", "key rotate --max-token-generation PT1H "))
	if !done || !strings.Contains(out, "ES256") || !strings.Contains(out, "signing") || !strings.Contains(out, "published") {
		t.Error(out)
	}
}

// A reload shows what it would change, and a new binary and the lock file go along with it.
func TestPageOfReloadAndLock(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(buildtest.Command(t, "examples/realmgate-plugin-acme", "acme-mapper"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	place := func(more string) {
		t.Helper()
		to := filepath.Join(dir, "realmgate-plugin-acme")
		if err := os.WriteFile(to+".new", append(binary, more...), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(to+".new", to); err != nil {
			t.Fatal(err)
		}
	}
	place("")
	// Eleven lines stand before this; so the page has its places.
	d := startIn(t, dir, "authentication {\n  token_broker {\n    max_token_generation = \"PT1H\"\n    type = \"rsa-key-pair\"\n  }\n}\n"+
		"plugin \"acme\" {\n  path = \"realmgate-plugin-acme\"\n}\n\nrealm \"demo\" {}\n")
	place("another build")
	d.edit("PT1H", "PT30M")
	lines := strings.SplitAfter(doctest.Only(t, "docs/operations.md", "sh reload"), "\n")
	if len(lines) < 2 || !strings.Contains(lines[0], "--dry-run") {
		t.Fatal(lines)
	}
	socket := func(command string) string {
		return strings.Replace(command, "realmgate reload", "realmgate reload --config config.hcl", 1)
	}
	out, done := script(t, dir, socket(lines[0]))
	if !done {
		t.Error(out)
	}
	doctest.Shown(t, doctest.Only(t, "docs/operations.md", "text reload"), out)
	d.edit("realm \"demo\" {}", "plugin_health_window = \"100ms\"\nrealm \"demo\" {}")
	if out, done := script(t, dir, socket(lines[1])); !done {
		t.Error(out)
	}
	out, done = script(t, dir, doctest.Only(t, "docs/operations.md", "sh lock"))
	if text, err := os.ReadFile(filepath.Join(dir, "realmgate.lock.json")); err != nil || !done || !strings.Contains(string(text), `"acme"`) {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}

// A copy of the database takes the place of the one that is there, and what was changed since is undone.
func TestPageOfTheRestore(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(filepath.Join(d.dir, "data", "realmgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, d.dir, map[string]string{"copy.db": string(copied)})
	d.stopped, d.done = false, make(chan error, 1)
	d.run()
	d.command("principal", "create", "-r", "demo", "later", "--without-secret")
	blocks := strings.Split(doctest.Only(t, "docs/operations.md", "sh restore"), "systemctl ")
	if len(blocks) != 3 || !strings.HasPrefix(blocks[1], "stop realmgate\n") || blocks[2] != "start realmgate\n" {
		t.Fatalf("%q", blocks)
	}
	if err := d.stop(); err != nil { // systemd would
		t.Fatal(err)
	}
	if out, done := script(t, d.dir, strings.TrimPrefix(blocks[1], "stop realmgate\n")); !done {
		t.Error(out)
	}
	d.stopped, d.done = false, make(chan error, 1)
	d.run()
	if list := d.command("principal", "list", "-r", "demo"); strings.Contains(list, "later") || !strings.Contains(list, "root") {
		t.Errorf("after the restore:\n%s", list)
	}
	if a := d.check("demo", d.rootToken("demo")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}

	// The references of a store that is gone are given up, and none else.
	db, err := sql.Open("sqlite", filepath.Join(d.dir, "data", "realmgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute := func(statement string) {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for reference, state := range map[string]string{"urn:realmgate-secret:gone:a": "doomed", "urn:realmgate-secret:gone:b": "kept", "urn:realmgate-secret:here:c": "doomed"} {
		execute("INSERT INTO written_secrets (realm, reference, owner, state, since) VALUES ('demo', '" + reference + "', 'x', '" + state + "', 0)")
	}
	execute(strings.ReplaceAll(doctest.Only(t, "docs/operations.md", "sql"), "NAME-OF-THE-STORE", "gone"))
	var left int
	if err := db.QueryRow("SELECT count(*) FROM written_secrets").Scan(&left); err != nil || left != 2 {
		t.Errorf("%d are left: %v", left, err)
	}
}
