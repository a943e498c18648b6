package buildtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built struct {
	sync.Mutex
	dir  string
	done map[string]string
}

// Command builds the command in a folder of the repository, e.g. "host/cmd/realmgate", under the given name, once for all tests
// of a process, and gives the path of the binary. All binaries of a process are in one folder.
func Command(t testing.TB, folder, name string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if p, ok := built.done[folder]; ok {
		return p
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "realmgate-test-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.done = dir, map[string]string{}
	}
	out := filepath.Join(built.dir, name)
	cmd := exec.Command("go", "build", "-o", out, "./"+folder)
	cmd.Dir = Root(t)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, text)
	}
	built.done[folder] = out
	return out
}

// Bundled builds a bundled plugin, e.g. "vault", and gives the path of the binary.
func Bundled(t testing.TB, name string) string {
	t.Helper()
	binary := "realmgate-plugin-" + name
	return Command(t, "plugins/"+name+"/"+binary, binary)
}

// Plugin builds the bundled default plugin and gives the folder that it is in, for plugin_dir.
func Plugin(t testing.TB) string {
	t.Helper()
	return filepath.Dir(Bundled(t, "default"))
}

// Root gives the root of the repository: the nearest folder upwards with a go.work.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.work above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Clean removes what was built; a TestMain calls it at the end.
func Clean() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}
