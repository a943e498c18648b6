package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// sets gives the names of the sets that a word of the command line means.
func (t *tree) sets(word string) ([]string, error) {
	all := sorted(t.versions.Sets)
	switch {
	case word == "all":
		return all, nil
	case slices.Contains(all, word):
		return []string{word}, nil
	}
	return nil, fmt.Errorf("versions.yaml: there is no set %q; there are %s, or all", word, strings.Join(all, ", "))
}

// set writes a version into versions.yaml, all go.mod files and go.work.
func (t *tree) set(word, version string) error {
	if semver.Canonical(version) != version || version == "" {
		return fmt.Errorf("%q is no version; one is v0.1.0, say", version)
	}
	names, err := t.sets(word)
	if err != nil {
		return err
	}
	moved := map[string]bool{}
	for _, name := range names {
		if old := t.versions.Sets[name].Version; semver.Compare(version, old) < 0 {
			return fmt.Errorf("versions.yaml: set %s is at %s, and %s is lower: whoever asks for the newest would not get it", name, old, version)
		}
		for _, m := range t.versions.Sets[name].Modules {
			if err := module.Check(m, version); err != nil {
				return err
			}
			moved[m] = true
		}
	}
	if err := t.writeVersions(names, version); err != nil {
		return err
	}
	for _, folder := range t.folders() {
		if err := t.writeMod(folder, moved, version); err != nil {
			return err
		}
	}
	return t.writeWork(moved, version)
}

// writeVersions changes the lines with the versions alone, so that comments and blanks stay.
func (t *tree) writeVersions(names []string, version string) error {
	name := t.path("versions.yaml")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var doc struct {
		Sets map[string]struct {
			Version yaml.Node `yaml:"version"`
		} `yaml:"module-sets"`
	}
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return fmt.Errorf("versions.yaml: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	for _, set := range names {
		node := doc.Sets[set].Version
		if node.Line == 0 {
			return fmt.Errorf("versions.yaml: set %s has no version", set)
		}
		line := lines[node.Line-1]
		lines[node.Line-1] = line[:node.Column-1] + strings.Replace(line[node.Column-1:], node.Value, version, 1)
	}
	return os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600)
}

func (t *tree) writeMod(folder string, moved map[string]bool, version string) error {
	mod := t.mods[folder]
	changed := false
	for _, r := range mod.Require {
		if moved[r.Mod.Path] && r.Mod.Version != version {
			if err := mod.AddRequire(r.Mod.Path, version); err != nil {
				return err
			}
			changed = true
		}
	}
	if !changed {
		return nil
	}
	content, err := mod.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(t.path(folder, "go.mod"), content, 0o600)
}

func (t *tree) writeWork(moved map[string]bool, version string) error {
	for _, r := range t.work.Replace {
		if moved[r.Old.Path] && r.Old.Version != "" {
			r.Syntax.Token[slices.Index(r.Syntax.Token, r.Old.Version)] = version // in its place, unlike AddReplace
		}
	}
	return os.WriteFile(t.path("go.work"), modfile.Format(t.work.Syntax), 0o600)
}

// printTags prints a tag per module: the module's folder, then the version. Modules come after those that they require.
func (t *tree) printTags(word string, to io.Writer) error {
	names, err := t.sets(word)
	if err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	released := map[string]string{}
	for _, name := range names {
		for _, m := range t.versions.Sets[name].Modules {
			released[m] = t.versions.Sets[name].Version
		}
	}
	for _, folder := range t.ordered() {
		version, ok := released[t.mods[folder].Module.Mod.Path]
		if !ok {
			continue
		}
		if folder != "." {
			version = folder + "/" + version
		}
		if _, err := fmt.Fprintln(to, version); err != nil {
			return err
		}
	}
	return nil
}

// ordered gives the folders of all modules, each after those of the tree that it requires.
func (t *tree) ordered() []string {
	folders := map[string]string{}
	for folder, mod := range t.mods {
		folders[mod.Module.Mod.Path] = folder
	}
	var out []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(folder string) {
		if seen[folder] {
			return
		}
		seen[folder] = true
		for _, r := range t.mods[folder].Require {
			if other, ok := folders[r.Mod.Path]; ok {
				visit(other)
			}
		}
		out = append(out, folder)
	}
	for _, folder := range t.folders() {
		visit(folder)
	}
	return out
}
