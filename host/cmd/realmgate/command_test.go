package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A plugin may be a runtime with files: what it reads is pinned, and a file that was changed does not run.
func TestCommandPlugin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "main.sh")
	text := fmt.Appendf(nil, "exec %s\n", hostilePath(t))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, fmt.Sprintf(`
plugin "hostile" {
  command = "/bin/sh"
  args    = [%q]
  files   = { %q = "%x" }
  limits {
    memory     = "unlimited" # for the race detector
    open_files = 333
  }
}
active_roles_provider {
  type = "generous"
}
realm "a" {}
`, file, file, sha256.Sum256(text)))
	pid := d.process("hostile")
	if pid == 0 {
		t.Fatalf("the plugin does not run:\n%s", d.command("plugin", "list"))
	}
	if limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid)); err == nil { // not everywhere
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max open files 333 333 files") {
			t.Errorf("%s", limits)
		}
	}
	if err := os.WriteFile(file, []byte("exec /bin/false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("realmgate", "validate", "--config", "config.hcl")
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	if want := "plugin hostile: /bin/sh: the file " + file + ": the SHA-256 checksum is "; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, want %s:\n%s", err, want, out)
	}
}
