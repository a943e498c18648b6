package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	out := flag.String("o", "", "folder of the proxy")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	if err := run(root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "modproxy:", err)
		os.Exit(1)
	}
}

// run puts every module of the tree at root, in every version that a module of the tree requires, into the proxy at out.
func run(root, out string) error {
	if out == "" {
		return errors.New("-o is required")
	}
	tree, err := readTree(root)
	if err != nil {
		return err
	}
	for _, v := range tree.required() {
		if err := tree.publish(v, out); err != nil {
			return fmt.Errorf("%s: %w", v, err)
		}
	}
	return nil
}

// workTree is a folder of modules and the files in it, by slash-separated paths.
type workTree struct {
	root    string
	files   []string
	modules map[string]*modfile.File // by the module's folder, "." for the root
}

func readTree(root string) (*workTree, error) {
	cmd := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Stderr = os.Stderr
	listed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	t := &workTree{root: root, modules: map[string]*modfile.File{}}
	for name := range strings.SplitSeq(strings.TrimRight(string(listed), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(root, name)); err != nil || !info.Mode().IsRegular() {
			continue // deleted in the working tree, or nothing that a module may hold
		}
		t.files = append(t.files, name)
		if path.Base(name) != "go.mod" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		mod, err := modfile.Parse(name, content, nil)
		if err != nil {
			return nil, err
		}
		if mod.Module == nil {
			return nil, fmt.Errorf("%s: no module line", name)
		}
		t.modules[path.Dir(name)] = mod
	}
	return t, nil
}

// required gives the versions of the tree's own modules that the tree's modules ask for, in order.
func (t *workTree) required() []module.Version {
	own := map[string]bool{}
	for _, mod := range t.modules {
		own[mod.Module.Mod.Path] = true
	}
	var out []module.Version
	for _, mod := range t.modules {
		for _, r := range mod.Require {
			if own[r.Mod.Path] && !slices.Contains(out, r.Mod) {
				out = append(out, r.Mod)
			}
		}
	}
	module.Sort(out)
	return out
}

// publish writes what the proxy protocol wants: list, info, mod and zip.
func (t *workTree) publish(v module.Version, out string) error {
	var folder string
	for dir, mod := range t.modules {
		if mod.Module.Mod.Path == v.Path {
			folder = dir
		}
	}
	escaped, err := module.EscapePath(v.Path)
	if err != nil {
		return err
	}
	dir := filepath.Join(out, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{v.Version, time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(t.root, folder, "go.mod"))
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := zip.Create(&archive, v, t.filesOf(folder)); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		v.Version + ".info": info, v.Version + ".mod": goMod, v.Version + ".zip": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	list, err := os.OpenFile(filepath.Join(dir, "list"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(list, v.Version)
	return errors.Join(err, list.Close())
}

// filesOf gives the files of the module in a folder: all below it that are in no module further down.
func (t *workTree) filesOf(folder string) []zip.File {
	var out []zip.File
	for _, name := range t.files {
		if t.folderOf(name) == folder {
			rel := name
			if folder != "." {
				rel = strings.TrimPrefix(name, folder+"/")
			}
			out = append(out, file{path: rel, disk: filepath.Join(t.root, name)})
		}
	}
	return out
}

func (t *workTree) folderOf(name string) string {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if t.modules[dir] != nil || dir == "." {
			return dir
		}
	}
}

type file struct{ path, disk string }

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.disk) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.disk) }
