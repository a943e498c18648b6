package main

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBuildThroughTheProxy(t *testing.T) {
	t.Parallel()
	root, out, use := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, root, map[string]string{
		".gitignore":       "/bin/\n",
		"bin/big":          "not published",
		"go.mod":           "module example.test/a\n\ngo 1.26.0\n\nrequire example.test/a/sdk v0.1.0\n",
		"a.go":             "package a\n\nimport _ \"example.test/a/sdk\"\n",
		"sdk/go.mod":       "module example.test/a/sdk\n\ngo 1.26.0\n",
		"sdk/sdk.go":       "package sdk\n",
		"examples/go.mod":  "module example.test/a/examples\n\ngo 1.26.0\n\nrequire example.test/a v0.2.0\n",
		"examples/main.go": "package main\n\nfunc main() {}\n",
	})
	if b, err := exec.Command("git", "-C", root, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, b)
	}
	if err := run(root, out); err != nil {
		t.Fatal(err)
	}

	r, err := zip.OpenReader(filepath.Join(out, "example.test/a/@v/v0.2.0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var names []string
	for _, f := range r.File {
		names = append(names, strings.TrimPrefix(f.Name, "example.test/a@v0.2.0/"))
	}
	slices.Sort(names)
	if want := []string{".gitignore", "a.go", "go.mod"}; !slices.Equal(names, want) {
		t.Errorf("the zip holds %v, want %v", names, want)
	}

	write(t, use, map[string]string{
		"go.mod":  "module example.test/use\n\ngo 1.26.0\n\nrequire example.test/a v0.2.0\n",
		"main.go": "package main\n\nimport _ \"example.test/a\"\n\nfunc main() {}\n",
	})
	cmd := exec.Command("go", "build", "-o", os.DevNull, ".")
	cmd.Dir = use
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -modcacherw", "GONOSUMDB=example.test", "GOPROXY=file://"+out, "GOMODCACHE="+t.TempDir())
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	if err := run(".", ""); err == nil || !strings.Contains(err.Error(), "-o is required") {
		t.Errorf("no folder: got %v", err)
	}
	root := t.TempDir()
	write(t, root, map[string]string{"sub/go.mod": "nonsense"})
	if b, err := exec.Command("git", "-C", root, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, b)
	}
	if err := run(root, t.TempDir()); err == nil || !strings.Contains(err.Error(), "sub/go.mod:1") {
		t.Errorf("a broken go.mod: got %v", err)
	}
}
