package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// versions is versions.yaml.
type versions struct {
	Sets     map[string]set `yaml:"module-sets"`
	Excluded []string       `yaml:"excluded-modules"`
}

// set is modules that are released together.
type set struct {
	Version string   `yaml:"version"`
	Modules []string `yaml:"modules"`
}

// tree is a folder of modules. Folders are relative to it, with slashes.
type tree struct {
	root     string
	versions versions
	mods     map[string]*modfile.File // by folder
	work     *modfile.WorkFile
}

func read(root string) (*tree, error) {
	t := &tree{root: root, mods: map[string]*modfile.File{}}
	content, err := os.ReadFile(t.path("versions.yaml"))
	if err != nil {
		return nil, err
	}
	strict := yaml.NewDecoder(bytes.NewReader(content))
	strict.KnownFields(true)
	if err := strict.Decode(&t.versions); err != nil {
		return nil, fmt.Errorf("versions.yaml: %w", err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.IsDir() || d.Name() != "go.mod":
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		mod, err := modfile.Parse(filepath.ToSlash(filepath.Join(folder, "go.mod")), content, nil)
		if err == nil && mod.Module == nil {
			err = fmt.Errorf("%s/go.mod: no module line", folder)
		}
		t.mods[folder] = mod
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.mods["."] == nil {
		return nil, errors.New("go.mod: there is none in the root of the tree")
	}
	content, err = os.ReadFile(t.path("go.work"))
	if err != nil {
		return nil, err
	}
	t.work, err = modfile.ParseWork("go.work", content, nil)
	return t, err
}

func (t *tree) path(elem ...string) string {
	return filepath.Join(append([]string{t.root}, elem...)...)
}

// folders gives the folders of all modules in order.
func (t *tree) folders() []string {
	out := make([]string, 0, len(t.mods))
	for folder := range t.mods {
		out = append(out, folder)
	}
	slices.Sort(out)
	return out
}

// released gives the version of each module that is released.
func (t *tree) released() map[string]string {
	out := map[string]string{}
	for _, s := range t.versions.Sets {
		for _, m := range s.Modules {
			out[m] = s.Version
		}
	}
	return out
}

// check gives all that contradicts versions.yaml.
func (t *tree) check() error {
	return errors.Join(t.checkSets(), t.checkMods(), t.checkWork())
}

// checkSets looks at versions.yaml itself: each module of the tree is named once, and no other one.
func (t *tree) checkSets() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("versions.yaml: "+format, args...)) }
	named := map[string]int{}
	for _, m := range t.versions.Excluded {
		named[m]++
	}
	for _, name := range sorted(t.versions.Sets) {
		s := t.versions.Sets[name]
		if semver.Canonical(s.Version) != s.Version || s.Version == "" {
			fault("set %s: %q is no version; one is v0.1.0, say", name, s.Version)
			continue
		}
		for _, m := range s.Modules {
			named[m]++
			if err := module.Check(m, s.Version); err != nil {
				fault("set %s: %v", name, err)
			}
		}
	}
	there := map[string]bool{}
	for _, folder := range t.folders() {
		path := t.mods[folder].Module.Mod.Path
		there[path] = true
		if named[path] == 0 {
			fault("%s/go.mod: module %s is in no set and not excluded", folder, path)
		}
	}
	for _, m := range sorted(named) {
		if !there[m] {
			fault("there is no module %s in the tree", m)
		}
		if named[m] > 1 {
			fault("module %s is named %d times", m, named[m])
		}
	}
	return errors.Join(errs...)
}

// checkMods looks at the go.mod files: what they require of the tree is what is released, and nothing in a released one keeps
// others from fetching it.
func (t *tree) checkMods() error {
	var errs []error
	released := t.released()
	own := map[string]bool{}
	for _, mod := range t.mods {
		own[mod.Module.Mod.Path] = true
	}
	for _, folder := range t.folders() {
		mod := t.mods[folder]
		at := func(line *modfile.Line, format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d: %s", mod.Syntax.Name, line.Start.Line, fmt.Sprintf(format, args...)))
		}
		for _, r := range mod.Require {
			switch want, ok := released[r.Mod.Path]; {
			case own[r.Mod.Path] && !ok:
				at(r.Syntax, "%s is never released and cannot be required", r.Mod.Path)
			case ok && r.Mod.Version != want:
				at(r.Syntax, "%s is required at %s, versions.yaml has %s", r.Mod.Path, r.Mod.Version, want)
			}
		}
		if _, ok := released[mod.Module.Mod.Path]; !ok {
			continue
		}
		for _, r := range mod.Replace {
			at(r.Syntax, "a module that is released has no replace: go install refuses it")
		}
		for _, r := range mod.Exclude {
			at(r.Syntax, "a module that is released has no exclude: go install refuses it")
		}
		if want := folderOf(mod.Module.Mod.Path, t.mods["."].Module.Mod.Path); want != folder {
			at(mod.Module.Syntax, "module %s must be in the folder %s", mod.Module.Mod.Path, want)
		}
	}
	return errors.Join(errs...)
}

// checkWork looks at go.work: what is released comes from the tree, each module from its own folder.
func (t *tree) checkWork() error {
	var errs []error
	replaced := map[string]string{}
	released := t.released()
	folders := map[string]string{}
	for folder, mod := range t.mods {
		folders[mod.Module.Mod.Path] = folder
	}
	for _, u := range t.work.Use {
		if _, ok := t.mods[filepath.Clean(u.Path)]; !ok {
			errs = append(errs, fmt.Errorf("go.work:%d: there is no module in %s", u.Syntax.Start.Line, u.Path))
		}
	}
	for _, r := range t.work.Replace {
		replaced[r.Old.Path] = r.Old.Version
		if folder, ok := folders[r.Old.Path]; ok && filepath.Clean(r.New.Path) != folder {
			errs = append(errs, fmt.Errorf("go.work:%d: %s is replaced by %s, it is in %s", r.Syntax.Start.Line, r.Old.Path, r.New.Path, folder))
		}
		if want, ok := released[r.Old.Path]; ok && r.Old.Version != want {
			errs = append(errs, fmt.Errorf("go.work:%d: %s is replaced at %s, versions.yaml has %s", r.Syntax.Start.Line, r.Old.Path, r.Old.Version, want))
		}
	}
	for _, m := range sorted(released) {
		if _, ok := replaced[m]; !ok {
			errs = append(errs, fmt.Errorf("go.work: no replace for %s, which is released", m))
		}
	}
	return errors.Join(errs...)
}

// folderOf gives the folder that a module must have below the root's, so that its tags are found.
func folderOf(path, root string) string {
	path, _, _ = module.SplitPathVersion(path)
	root, _, _ = module.SplitPathVersion(root)
	if path == root {
		return "."
	}
	return strings.TrimPrefix(path, root+"/")
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
