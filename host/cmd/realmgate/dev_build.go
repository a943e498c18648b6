package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/config"
)

// workpiece is a plugin under development.
type workpiece struct {
	name   string
	folder string // of its sources; empty: it is a binary
	binary string
	built  string // the sum of the sources that were built last
}

// newWorkpiece finds out what is at a path; what is built goes to dir.
func newWorkpiece(path, dir string) (*workpiece, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--plugin: %w", err)
	}
	p := &workpiece{name: strings.TrimPrefix(filepath.Base(path), "realmgate-plugin-"), binary: path}
	if !info.IsDir() {
		return p, nil
	}
	sources, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil || len(sources) == 0 {
		return nil, fmt.Errorf("--plugin %s: the folder has no Go files; give the binary of a plugin in another language", path)
	}
	p.folder, p.binary = path, filepath.Join(dir, "realmgate-plugin-"+p.name)
	return p, nil
}

// block has the plugin run.
func (p *workpiece) block() string {
	return fmt.Sprintf("plugin %s {\n  path = %s\n}\n", config.Quote(p.name), config.Quote(p.binary))
}

// instead has the plugin run in the place of what a configuration names, which itself is left as it is. The variable holds for
// reloads too.
func (p *workpiece) instead(x config.Plugin, dir string) error {
	run, err := program(x, dir)
	switch {
	case err != nil:
		return err
	case p.folder == "" && run.Path != p.binary:
		return fmt.Errorf("plugin %q runs %s, and not %s", x.Name, run.Path, p.binary)
	case p.folder == "":
		return nil
	case x.Command != "":
		return fmt.Errorf("plugin %q runs the command %s, in whose place no binary of %s can run; remove command", x.Name, x.Command, p.folder)
	case x.SHA256 != "":
		return fmt.Errorf("plugin %q has a sha256, which what is built from %s does not have; remove it during development", x.Name, p.folder)
	}
	return os.Setenv(config.Variable("plugin", x.Name, "path"), p.binary)
}

// build builds the plugin, if there is something to build, and puts it in the place of the former binary in one step.
func (p *workpiece) build(ctx context.Context, out io.Writer) error {
	if p.folder == "" {
		return nil
	}
	p.built = p.sources() // before: what is saved meanwhile may not be in what is built
	fresh := p.binary + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", fresh, ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.folder, out, out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build in %s: %w", p.folder, err)
	}
	if err := os.Rename(fresh, p.binary); err != nil {
		return err
	}
	fmt.Fprintf(out, "realmgate dev: built %s in %v\n", p.binary, time.Since(start).Round(10*time.Millisecond))
	return nil
}

// lookInterval is the pause between two looks at the sources.
const lookInterval = 500 * time.Millisecond

// follow builds the plugin anew when its sources are not those that were built and rest, until ctx ends. The daemon sees the binary change.
func (p *workpiece) follow(ctx context.Context, out io.Writer) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	last := p.built
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := p.sources()
		if now == last && now != p.built {
			if err := p.build(ctx, out); err != nil && ctx.Err() == nil {
				fmt.Fprintln(out, "realmgate dev: the former plugin serves on:", err)
			}
		}
		last = now
	}
}

// sources gives a sum that changes with the files in the folder, but for hidden ones and what is built there.
func (p *workpiece) sources() string {
	h := sha256.New()
	err := filepath.WalkDir(p.folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != p.folder && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case e.IsDir(), strings.HasPrefix(path, p.binary):
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // just now
			return nil
		}
		if err == nil {
			fmt.Fprintf(h, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	return fmt.Sprintf("%x %v", h.Sum(nil), err)
}
