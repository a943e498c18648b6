package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good gives the files of a tree in which all is in order.
func good() map[string]string {
	return map[string]string{
		"versions.yaml": `# Kept.
module-sets:
  contract: # kept, too
    version: v0.1.0
    modules:
      - example.test/a/sdk
  daemon:
    version: v0.3.0
    modules:
      - example.test/a
excluded-modules:
  - example.test/a/test
`,
		"go.mod":      "module example.test/a\n\ngo 1.26.0\n\nrequire example.test/a/sdk v0.1.0 // kept\n",
		"sdk/go.mod":  "module example.test/a/sdk\n\ngo 1.26.0\n\nrequire golang.org/x/mod v0.1.0\n",
		"test/go.mod": "module example.test/a/test\n\ngo 1.26.0\n\nrequire (\n\texample.test/a v0.3.0\n\texample.test/a/sdk v0.1.0 // indirect\n)\n",
		"go.work":     "go 1.26.0\n\nuse (\n\t.\n\t./sdk\n)\n\nreplace (\n\texample.test/a v0.3.0 => ./\n\texample.test/a/sdk v0.1.0 => ./sdk\n)\n",
		// Not of the tree.
		"node_modules/x/go.mod": "module example.test/x\n",
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := run(args, &out, &out); got != want {
		t.Fatalf("release %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, &out)
	}
	return out.String()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if out := command(t, 0, "check", write(t, good())); out != "" {
		t.Errorf("a good tree: %s", out)
	}
	for _, c := range []struct{ name, file, old, new, want string }{
		{"unnamed module", "versions.yaml", "  - example.test/a/test\n", "  []\n", "versions.yaml: test/go.mod: module example.test/a/test is in no set and not excluded"},
		{"module that is not there", "versions.yaml", "excluded-modules:\n", "excluded-modules:\n  - example.test/a/gone\n", "there is no module example.test/a/gone in the tree"},
		{"module named twice", "versions.yaml", "excluded-modules:\n", "excluded-modules:\n  - example.test/a\n", "module example.test/a is named 2 times"},
		{"no version", "versions.yaml", "v0.3.0", "0.3", `set daemon: "0.3" is no version`},
		{"version without its path", "versions.yaml", "v0.3.0", "v2.0.0", "set daemon: example.test/a@v2.0.0"},
		{"unknown key", "versions.yaml", "excluded-modules", "excluded", "field excluded not found"},
		{"stale requirement", "go.mod", "sdk v0.1.0", "sdk v0.0.9", "go.mod:5: example.test/a/sdk is required at v0.0.9, versions.yaml has v0.1.0"},
		{"stale indirect requirement", "test/go.mod", "sdk v0.1.0", "sdk v0.0.9", "test/go.mod:7: example.test/a/sdk is required at v0.0.9"},
		{"requires what is not released", "go.mod", "sdk v0.1.0", "test v0.1.0", "go.mod:5: example.test/a/test is never released"},
		{"replace", "sdk/go.mod", "require", "replace example.test/b => ../b\n\nrequire", "sdk/go.mod:5: a module that is released has no replace"},
		{"exclude", "go.mod", "require", "exclude example.test/b v1.0.0\n\nrequire", "go.mod:5: a module that is released has no exclude"},
		{"folder", "sdk/go.mod", "a/sdk\n", "a/kit\n", "sdk/go.mod:1: module example.test/a/kit must be in the folder kit"},
		{"stale workspace", "go.work", "sdk v0.1.0", "sdk v0.0.9", "go.work:10: example.test/a/sdk is replaced at v0.0.9, versions.yaml has v0.1.0"},
		{"workspace without a module", "go.work", "\texample.test/a/sdk v0.1.0 => ./sdk\n", "", "go.work: no replace for example.test/a/sdk"},
		{"workspace with another folder", "go.work", "=> ./sdk", "=> ./test", "go.work:10: example.test/a/sdk is replaced by ./test, it is in sdk"},
		{"workspace that uses no module", "go.work", "\t./sdk\n", "\t./gone\n", "go.work:5: there is no module in ./gone"},
		{"broken go.mod", "sdk/go.mod", "require", "requires", "sdk/go.mod:5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := good()
			if c.name == "folder" { // else the set does not have it
				files["versions.yaml"] = strings.Replace(files["versions.yaml"], "a/sdk", "a/kit", 1)
			}
			changed := strings.Replace(files[c.file], c.old, c.new, 1)
			if changed == files[c.file] {
				t.Fatalf("%s has no %q", c.file, c.old)
			}
			files[c.file] = changed
			if out := command(t, 1, "check", write(t, files)); !strings.Contains(out, c.want) {
				t.Errorf("got:\n%swant %q in it", out, c.want)
			}
		})
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	files := good()
	root := write(t, files)
	command(t, 0, "set", "contract", "v0.2.0-rc.1", root)
	command(t, 0, "check", root)
	for name, content := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(content, "example.test/a/sdk v0.1.0", "example.test/a/sdk v0.2.0-rc.1")
		if name == "versions.yaml" {
			want = strings.Replace(content, "v0.1.0", "v0.2.0-rc.1", 1)
		}
		if string(got) != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	if got, want := command(t, 0, "tags", "all", root), "sdk/v0.2.0-rc.1\nv0.3.0\n"; got != want {
		t.Errorf("tags of all: %q, want %q", got, want)
	}
	command(t, 0, "set", "all", "v0.4.0", root)
	if got, want := command(t, 0, "tags", "daemon", root), "v0.4.0\n"; got != want {
		t.Errorf("tags of a set: %q, want %q", got, want)
	}
	for _, c := range []struct{ set, version, want string }{
		{"kit", "v0.5.0", `there is no set "kit"; there are contract, daemon, or all`},
		{"all", "0.5.0", `"0.5.0" is no version`},
		{"daemon", "v0.3.9", "set daemon is at v0.4.0, and v0.3.9 is lower"},
		{"all", "v0.4.0-rc.1", "v0.4.0-rc.1 is lower"},
		{"all", "v2.0.0", "v2"}, // its path would have to say so
	} {
		if out := command(t, 1, "set", c.set, c.version, root); !strings.Contains(out, c.want) {
			t.Errorf("set %s %s: %s, want %q in it", c.set, c.version, out, c.want)
		}
	}
	command(t, 0, "check", root) // nothing was written
	if out := command(t, 2, "set", "all"); !strings.HasPrefix(out, "usage: ") {
		t.Errorf("no version: %s", out)
	}
}
