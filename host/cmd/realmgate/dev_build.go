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
	if err := p.isMain(ctx); err != nil {
		return err
	}
	fresh := p.binary + ".new"
	cmd := p.goCommand(ctx, "build", "-o", fresh, ".")
	cmd.Stdout, cmd.Stderr = out, out
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

func (p *workpiece) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.folder
	return cmd
}

// isMain makes sure that what is built is a program: of another package, go build makes a file that is none.
func (p *workpiece) isMain(ctx context.Context) error {
	out, err := p.goCommand(ctx, "list", "-e", "-f", "{{.Name}}", ".").Output()
	if isExit(err) { // go build says why, in words for people
		return nil
	}
	if err != nil {
		return fmt.Errorf("--plugin %s: %w", p.folder, err)
	}
	if name := strings.TrimSpace(string(out)); name != "" && name != "main" {
		return fmt.Errorf("--plugin %s: its package is %s, and that of a plugin is main", p.folder, name)
	}
	return nil
}

func isExit(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}

// buildFirst builds the plugin, again with each change until it builds. What no change of its files can help is an error.
func (p *workpiece) buildFirst(ctx context.Context, out io.Writer) error {
	for {
		err := p.build(ctx, out)
		if !isExit(err) || ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(out, "realmgate dev: %v; waiting for a change\n", err)
		if !p.changed(ctx) {
			return ctx.Err()
		}
	}
}

// lookInterval is the pause between two looks at the sources.
const lookInterval = 500 * time.Millisecond

// changed waits until the sources are not those that were built, and rest; false: ctx ended before.
func (p *workpiece) changed(ctx context.Context) bool {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	last := p.built
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		now := p.sources()
		if now == last && now != p.built {
			return true
		}
		last = now
	}
}

// follow builds the plugin anew with each change, until ctx ends. The daemon sees the binary change.
func (p *workpiece) follow(ctx context.Context, out io.Writer) {
	for p.changed(ctx) {
		if err := p.build(ctx, out); err != nil && ctx.Err() == nil {
			fmt.Fprintln(out, "realmgate dev: the former plugin serves on:", err)
		}
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
