package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk/keyset"
	"github.com/realmgate/realmgate/sdk/rpc"
)

type devCmd struct {
	Plugin   string   `required:"" type:"path" placeholder:"PATH" help:"The plugin: a folder with a Go main package, which is built and built again when one of its sources changes, or a binary."`
	Address  string   `default:"127.0.0.1:8642" help:"Where to listen, without --config. On loopback."`
	Set      []string `placeholder:"KEY=VALUE" sep:"none" help:"A setting of the plugin's parts, without --config; may be repeated. The value is JSON, or else a text."`
	LogLevel string   `enum:"trace,debug,info,warn,error" default:"warn" help:"Of the daemon's log: trace, debug, info, warn or error. What the plugin logs and prints is shown from debug on in any case."`
}

// Help is kong's.
func (devCmd) Help() string {
	return `Without --config the realm "dev" uses the parts that the plugin offers, and default parts for the rest; the realm
"tokens" issues tokens that "dev" takes for those of an identity provider. Everything is kept in a folder that is gone
at the end, and no REALMGATE_ variable counts but REALMGATE_PLUGIN_DIR. With --config, typed and not by a variable, that
configuration is served; a plugin block for the plugin is added if it has none. A folder is built into the folder of its
own in any case: the binary that the configuration names is left alone, and what is built runs in its place.

Each decision is printed with what every stage was given and gave, without tokens and secrets. Not for production: nothing
is remembered, and each decision takes longer.`
}

// Run serves a plugin under development until SIGTERM or SIGINT.
func (d devCmd) Run(ctx context.Context, c *cli, std streams, kctx *kong.Context) (err error) {
	// Held until the end: a second signal, as timeout(1) sends it, must not leave the folder with the root credentials behind.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if !slices.ContainsFunc(kctx.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == "config" }) {
		c = &cli{}
		if err := aside(std.err); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "realmgate-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newWorkpiece(d.Plugin, dir)
	if err != nil {
		return err
	}
	files, err := d.files(ctx, c, std, p, dir)
	if ctx.Err() != nil { // it was stopped before there was anything to serve
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var building sync.WaitGroup
	defer building.Wait()
	defer cancel()
	if p.folder != "" {
		building.Go(func() { p.follow(ctx, std.err) })
	}
	told := newDecisions(std.out)
	defer told.end()
	s := serveCmd{Watch: true, LogLevel: d.LogLevel}
	err = s.serve(ctx, &cli{Config: files}, std, development{decide: told.decide, prints: func(plugin string) hclog.Logger {
		if plugin != p.name {
			return nil
		}
		return logger(config.Log{Level: "debug"}, std)
	}})
	if _, shown := errors.AsType[shownError](err); shown && len(c.Config) == 0 { // of a file that dev has written itself
		fmt.Fprintf(std.err, "realmgate dev: settings of the plugin's parts are given by --set KEY=VALUE, lists as --set 'KEY=[\"a\", \"b\"]'\n")
	}
	return err
}

// aside takes the variables out of the environment that are meant for another daemon: the configuration that is made here says
// where to listen and where to keep things, and nothing else does. Where the plugins are that came with the daemon stays.
func aside(told io.Writer) error {
	var names []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "REALMGATE_") || name == "REALMGATE_PLUGIN_DIR" {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		fmt.Fprintf(told, "realmgate dev: without --config these variables do not count: %s\n", strings.Join(names, ", "))
	}
	return nil
}

// files gives the configuration to serve, with the plugin built.
func (d devCmd) files(ctx context.Context, c *cli, std streams, p *workpiece, dir string) ([]string, error) {
	if len(c.Config) == 0 {
		if err := p.buildFirst(ctx, std.err); err != nil {
			return nil, err
		}
		return d.defaults(ctx, std, p, dir)
	}
	if len(d.Set) > 0 {
		return nil, wrongUsage("--set and --config exclude each other: write the settings into %s", strings.Join(c.Config, ", "))
	}
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return nil, err
	}
	if err := local(cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, x := range cfg.Plugins {
		if x.Name != p.name {
			continue
		}
		if err := p.instead(x, dir); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return c.Config, p.buildFirst(ctx, std.err)
	}
	if err := p.buildFirst(ctx, std.err); err != nil {
		return nil, err
	}
	offers, err := p.offers(ctx, std)
	if err != nil {
		return nil, err
	}
	extra := filepath.Join(dir, "plugin.hcl")
	return append(append([]string{}, c.Config...), extra), os.WriteFile(extra, []byte(p.block(offers, "")), 0o600)
}

// defaults writes the configuration for a plugin alone.
func (d devCmd) defaults(ctx context.Context, std streams, p *workpiece, dir string) ([]string, error) {
	if loopback(d.Address) != nil {
		return nil, wrongUsage("--address %s: a daemon for development listens on loopback only, e.g. 127.0.0.1:8642", d.Address)
	}
	offers, err := p.offers(ctx, std)
	if err != nil {
		return nil, err
	}
	text, err := devConfig(d.Address, dir, p, offers, d.Set)
	if err != nil {
		return nil, err
	}
	// Without keys of its own the realm's broker would warn, rightly, that its tokens end with its process.
	if _, err := keyset.Generate(devKeys(dir), keyset.NewKeySpec{Algorithm: keyset.ES256}, time.Now()); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "dev.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	fmt.Fprintf(std.err, "realmgate dev: plugin %s in realm dev, which is to be at http://%s; configuration %s\n", p.name, d.Address, path)
	return []string{path}, nil
}

// offers asks the plugin, in a process for that alone, what it offers.
func (p *workpiece) offers(ctx context.Context, std streams) ([]rpc.Offer, error) {
	all, err := describe(ctx, std, []catalog.Source{{Name: p.name, Program: child.Program{Path: p.binary, TLS: true}}})
	if err != nil {
		return nil, err
	}
	return all[0].Offers, nil
}

// local makes sure that nobody else can reach a daemon for development.
func local(cfg *config.Config) error {
	for _, l := range cfg.Listeners {
		if loopback(l.Address) != nil {
			return fmt.Errorf("listener %q: a daemon for development listens on loopback only, and not on %s", l.Name, l.Address)
		}
	}
	if a := cfg.Metrics.Address; a != "" && loopback(a) != nil {
		return fmt.Errorf("metrics: a daemon for development listens on loopback only, and not on %s", a)
	}
	return nil
}
