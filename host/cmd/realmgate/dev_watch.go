package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sourceEndings are those of the files that go build takes from a package's folder, besides what is embedded.
var sourceEndings = []string{".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso"}

// goPackage is what is read of a package that `go list` names.
type goPackage struct {
	Dir, Name     string
	Standard      bool
	Module        *goModule
	EmbedPatterns []string
	Incomplete    bool // it, or what it imports, has a fault
}

type goModule struct {
	Main    bool
	GoMod   string
	Replace *struct{ Version string }
}

// edited says whether an author may change the package where it is: it is of a module of the workspace, or of one that a folder
// replaces.
func (p goPackage) edited() bool {
	m := p.Module
	return !p.Standard && p.Dir != "" && (m == nil || m.Main || m.Replace != nil && m.Replace.Version == "")
}

// watched are the sources that a plugin is built of: for each package's folder the patterns of what it embeds, and further files.
type watched struct {
	folders map[string][]string
	files   map[string]bool
}

// list asks the go command what the plugin is built of, and gives the name of its package. While there is a fault in the sources the answer is
// not whole, and what was known before is kept.
func (p *workpiece) list(ctx context.Context) (name string, err error) {
	now := watched{folders: map[string][]string{p.folder: nil}, files: map[string]bool{filepath.Join(p.folder, "go.mod"): true}}
	whole := true
	defer func() {
		if err != nil || !whole {
			for dir, patterns := range p.watch.folders {
				now.folders[dir] = append(now.folders[dir], patterns...)
			}
			maps.Copy(now.files, p.watch.files)
		}
		for dir, patterns := range now.folders {
			slices.Sort(patterns)
			now.folders[dir] = slices.Compact(patterns)
		}
		p.watch = now
	}()
	module := func(file string) { // go.sum, and go.work.sum
		if filepath.IsAbs(file) && file != os.DevNull {
			now.files[file], now.files[strings.TrimSuffix(file, ".mod")+".sum"] = true, true
		}
	}
	out, err := p.goOutput(ctx, "env", "GOMOD", "GOWORK")
	if err != nil {
		return name, err
	}
	for file := range strings.Lines(string(out)) {
		module(strings.TrimSpace(file))
	}
	if out, err = p.goOutput(ctx, "list", "-e", "-deps", "-json=Dir,Name,Standard,Module,EmbedPatterns,Incomplete", "."); err != nil {
		return name, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var x goPackage
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return name, nil
		} else if err != nil {
			return name, err
		}
		name, whole = x.Name, whole && !x.Incomplete // the last one is the plugin's
		if !x.edited() {
			continue
		}
		now.folders[x.Dir] = append(now.folders[x.Dir], x.EmbedPatterns...)
		if x.Module != nil {
			module(x.Module.GoMod)
		}
	}
}

// sources gives a sum that changes with the files that the plugin is built of.
func (w watched) sources() string {
	all := map[string]bool{}
	maps.Copy(all, w.files)
	var faults []error
	for _, dir := range slices.Sorted(maps.Keys(w.folders)) { // faults in the same order each time
		patterns := w.folders[dir]
		entries, err := os.ReadDir(dir)
		faults = append(faults, err)
		for _, e := range entries {
			name := e.Name()
			if !e.IsDir() && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "_test.go") && slices.Contains(sourceEndings, filepath.Ext(name)) {
				all[filepath.Join(dir, name)] = true
			}
		}
		for _, pattern := range patterns {
			faults = append(faults, embedded(dir, pattern, all))
		}
	}
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(all)) {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // just now
		case err != nil:
			faults = append(faults, err)
		default:
			fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return fmt.Sprintf("%x %v", h.Sum(nil), errors.Join(faults...))
}

// embedded adds the files that a pattern of go:embed takes.
func embedded(dir, pattern string, all map[string]bool) error {
	pattern, hidden := strings.CutPrefix(pattern, "all:")
	tops, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
	if err != nil {
		return err
	}
	for _, top := range tops {
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // just now
				return nil
			case err != nil:
				return err
			case path != top && !hidden && (strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")):
				if e.IsDir() {
					return fs.SkipDir
				}
			case !e.IsDir():
				all[path] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
