package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// workpiece is a plugin under development.
type workpiece struct {
	name   string
	folder string // of its sources; empty: it is a binary
	binary string
	built  string // the sum of the sources that were built last; empty: they are still to be built
	watch  watched
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
	if path, err = filepath.EvalSymlinks(path); err != nil { // the name is the link's
		return nil, fmt.Errorf("--plugin: %w", err)
	}
	sources, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil || len(sources) == 0 {
		return nil, fmt.Errorf("--plugin %s: the folder has no Go files; give the binary of a plugin in another language", path)
	}
	p.folder, p.binary = path, filepath.Join(dir, "realmgate-plugin-"+p.name)
	return p, nil
}

// block has the plugin run, and lets it ask for what its parts want; store is one whose secrets are granted to the realm "dev", if
// there is one.
func (p *workpiece) block(offers []rpc.Offer, store string) string {
	var b, allow strings.Builder
	for _, want := range []struct {
		of  sdk.Want
		key string
	}{
		{sdk.WantPrincipals, "principals = true"},
		{sdk.WantAccessKeys, "access_keys = true"},
		{sdk.WantGrantedSecrets, fmt.Sprintf("secret_stores = [%s]", config.Quote(store))},
	} {
		if want.of == sdk.WantGrantedSecrets && store == "" {
			continue
		}
		if slices.ContainsFunc(offers, func(o rpc.Offer) bool { return slices.Contains(o.Wants, want.of) }) {
			fmt.Fprintf(&allow, "    %s\n", want.key)
		}
	}
	fmt.Fprintf(&b, "plugin %s {\n  path = %s\n", config.Quote(p.name), config.Quote(p.binary))
	if allow.Len() > 0 {
		fmt.Fprintf(&b, "  allow {\n%s  }\n", allow.String())
	}
	b.WriteString("}\n")
	return b.String()
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
func (p *workpiece) build(ctx context.Context, out io.Writer) (err error) {
	if p.folder == "" {
		return nil
	}
	defer func() {
		if err != nil && !judged(err) { // it says nothing about the sources, so that they are still to be built
			p.built = ""
		}
	}()
	if err := p.look(ctx); err != nil {
		return err
	}
	fresh := p.binary + ".new"
	cmd := p.goCommand(ctx, "build", "-o", fresh, ".")
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	if err := child.Run(cmd); err != nil {
		return fmt.Errorf("go build in %s: %w", p.folder, err)
	}
	if err := os.Rename(fresh, p.binary); err != nil {
		return err
	}
	fmt.Fprintf(out, "realmgate dev: built %s in %v\n", p.binary, time.Since(start).Round(10*time.Millisecond))
	return nil
}

// errNotMain is in the chain when what is to be built is no program: of another package, go build makes a file that is none.
var errNotMain = errors.New("that of a plugin is main")

// look finds out what the plugin is built of, and notes how that is now: what is saved later may not be in what is built.
func (p *workpiece) look(ctx context.Context) error {
	known := p.watch
	if known.folders == nil {
		known.folders = map[string][]string{p.folder: nil}
	}
	before := known.sources()
	name, err := p.list(ctx)
	if p.built = p.watch.sources(); before != known.sources() {
		p.built = "" // it was saved while it was looked at: the list may be one of before
	}
	switch {
	case isExit(err): // go build says why, in words for people
		return nil
	case err != nil:
		return fmt.Errorf("--plugin %s: %w", p.folder, err)
	case name != "" && name != "main":
		return fmt.Errorf("--plugin %s: its package is %s, and %w", p.folder, name, errNotMain)
	}
	return nil
}

// judged says whether a build ended because of the sources: neither a signal nor a fault of the system ended it.
func judged(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e) && e.Exited() || errors.Is(err, errNotMain)
}

// goCommand is one that is asked to end, so that it takes its processes and files with it, before it is ended.
func (p *workpiece) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.folder
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = goEnds
	return cmd
}

// goEnds is how long a go command that was asked to end may take.
const goEnds = 3 * time.Second

// goOutput gives what a go command prints.
func (p *workpiece) goOutput(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := p.goCommand(ctx, args...)
	cmd.Stdout = &out
	err := child.Run(cmd)
	return out.Bytes(), err
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
		now := p.watch.sources()
		if now == last && now != p.built {
			return true
		}
		last = now
	}
}

// follow builds the plugin anew with each change, until ctx ends. The daemon sees the binary change.
func (p *workpiece) follow(ctx context.Context, out io.Writer) {
	said := ""
	for p.changed(ctx) {
		err := p.build(ctx, out)
		if err == nil || ctx.Err() != nil {
			said = ""
			continue
		}
		if judged(err) || err.Error() != said { // what is tried again and again is told once
			fmt.Fprintln(out, "realmgate dev: the former plugin serves on:", err)
		}
		said = err.Error()
	}
}
