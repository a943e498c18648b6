package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/capture"
)

// writeAt writes a file, with its folder.
func writeAt(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever the plugin is built of is watched, wherever it is, and nothing else is.
func TestDevWatchesWhatIsBuilt(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GOWORK", "off")
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for name, text := range map[string]string{
		"own/go.mod":                 "module example.test/own\n\ngo 1.24\n\nrequire example.test/other v0.0.0\n\nreplace example.test/other => ../other\n",
		"own/lib/lib.go":             "package lib\n",
		"own/unused/unused.go":       "package unused\n",
		"own/cmd/main.go":            "package main\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.test/other\"\n\t_ \"example.test/own/lib\"\n)\n\n//go:embed pages/*\nvar page string\n\nfunc main() {}\n",
		"own/cmd/pages/a.txt":        "a",
		"own/cmd/realmgate.db":       "data",
		"own/cmd/node_modules/x/y.c": "int x;",
		"other/go.mod":               "module example.test/other\n\ngo 1.24\n",
		"other/other.go":             "package other\n",
	} {
		writeAt(t, at(name), text)
	}
	p := &workpiece{name: "own", folder: at("own/cmd"), binary: filepath.Join(t.TempDir(), "own")}
	if err := p.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := p.built
	for n, c := range []struct {
		name string
		want bool
	}{
		{"own/cmd/realmgate.db", false}, {"own/cmd/notes.txt", false}, {"own/cmd/main_test.go", false}, {"own/cmd/node_modules/x/y.c", false},
		{"own/unused/unused.go", false}, {"own/data/out.txt", false}, {"own/lib/pages/a.txt", false},
		{"own/cmd/main.go", true}, {"own/cmd/more.go", true}, {"own/cmd/pages/a.txt", true}, {"own/cmd/pages/new.txt", true},
		{"own/lib/lib.go", true}, {"own/lib/more.go", true}, {"own/go.mod", true}, {"own/go.sum", true}, {"other/other.go", true}, {"other/go.mod", true},
	} {
		writeAt(t, at(c.name), fmt.Sprintf("%0*d", 200+n, n))
		now := p.watch.sources()
		if changed := now != last; changed != c.want {
			t.Errorf("%s: a change is seen: %v", c.name, changed)
		}
		last = now
	}

	// With a fault in its sources nothing is forgotten of what the plugin was built of.
	if err := p.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	writeAt(t, at("own/lib/lib.go"), "package lib\n\n// mended\n")
	if p.watch.sources() == p.built {
		t.Error("while main.go has a fault, the package that it imported is not watched")
	}
}

// A link to the folder is as good as the folder, and the plugin has the link's name.
func TestDevFollowsALink(t *testing.T) {
	t.Parallel()
	dir, above := t.TempDir(), t.TempDir()
	source(t, dir, "package main\n\nfunc main() {}\n")
	link := filepath.Join(above, "realmgate-plugin-linked")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	p, err := newWorkpiece(link, t.TempDir())
	if err != nil || p.name != "linked" {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := p.build(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	source(t, dir, "package main\n\nfunc main() { println(1) }\n")
	ctx, stop := context.WithCancel(t.Context())
	told, done := &capture.Buffer{}, make(chan struct{})
	go func() { defer close(done); p.follow(ctx, told) }()
	defer func() { stop(); <-done }()
	eventually(t, "built again", func() bool { return strings.Contains(told.String(), "built ") })
}

// goInstead puts a script in the place of the go command, which $GO is.
func goInstead(t *testing.T, script string) {
	t.Helper()
	path, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script+"exec \"$GO\" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GO", path)
	t.Setenv("MARK", filepath.Join(dir, "mark"))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// A build that something killed says nothing about the sources: they are built once more, without a change.
func TestDevBuildsAgainWhatWasKilled(t *testing.T) {
	dir := t.TempDir()
	source(t, dir, "package main\n\nfunc main() {}\n")
	p := &workpiece{name: "own", folder: dir, binary: filepath.Join(t.TempDir(), "own")}
	goInstead(t, "if [ \"$1\" = build ] && [ ! -e \"$MARK\" ]; then : >\"$MARK\"; kill -9 $$; fi\n")
	told := &capture.Buffer{}
	if err := p.buildFirst(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(told.String(), "signal: killed") || !strings.Contains(told.String(), "built ") {
		t.Errorf("%s", told)
	}
}

// A build that is given up is asked to end, and can so remove what it has begun.
func TestDevAsksABuildToEnd(t *testing.T) {
	dir := t.TempDir()
	source(t, dir, "package main\n\nfunc main() {}\n")
	p := &workpiece{name: "own", folder: dir, binary: filepath.Join(t.TempDir(), "own")}
	goInstead(t, "if [ \"$1\" = build ]; then trap 'echo ended >\"$MARK\"; kill $!; exit 1' INT; sleep 600 & echo begun; wait; fi\n")
	ctx, stop := context.WithCancel(t.Context())
	told, done := &capture.Buffer{}, make(chan error, 1)
	go func() { done <- p.build(ctx, told) }()
	eventually(t, "the build has begun", func() bool { return strings.Contains(told.String(), "begun") })
	stop()
	if err := <-done; err == nil {
		t.Error("it was given up, and there is no error")
	}
	if text, err := os.ReadFile(os.Getenv("MARK")); err != nil || string(text) != "ended\n" {
		t.Errorf("%q, %v: it was not asked", text, err)
	}
}
