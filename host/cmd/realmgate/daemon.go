package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/lock"
	"github.com/realmgate/realmgate/host/metrics"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/reload"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// rooms are what a configuration needs to be built and served.
type rooms struct {
	log       hclog.Logger
	directory *directory.Directory
	catalog   *catalog.Catalog
	audit     *audit.Log
	metrics   *metrics.Metrics
	memory    *remember.Memory
	build     generation.Deps // for a generation, but for its plugins
	holder    generation.Holder
	first     reload.Serving   // until there is a reloader
	reloader  *reload.Reloader // nil until there is a server
}

// development is what a daemon for development does in another way; the zero value is for all others.
type development struct {
	decide func(ctx context.Context, gen *generation.Generation, realm string, req sdk.Request) pipeline.Decision // see generation.Deps
	prints func(plugin string) hclog.Logger                                                                       // see catalog.Options
}

// open opens the directory, starts the plugins and builds the configuration. Diagnostics are printed. The audit log, nil if
// nothing is audited, belongs to the rooms. On an error nothing is left open.
func open(ctx context.Context, std streams, cfg *config.Config, log hclog.Logger, dir directory.Config, audited *audit.Log, dev development) (r *rooms, err error) {
	r = &rooms{log: log, audit: audited}
	if err := child.AdoptOrphans(); err != nil { // whatever else starts a process does so by child.Run
		r.log.Warn("what plugins leave behind may outlive them", "error", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close(context.WithoutCancel(ctx), closeLimit))
			r = nil
		}
	}()
	if r.directory, err = directory.Open(ctx, dir); err != nil {
		return r, err
	}
	if r.first.Sources, r.first.Lock, err = sources(cfg); err != nil {
		return r, err
	}
	r.log.Info(r.first.Lock.String())
	if r.catalog, err = catalog.New(catalog.Options{
		Logger: r.log, Prints: dev.prints, Version: version, Directory: r.directory, AccessKeys: r.directory, Refused: tellRefused(r.audit), RuntimeDir: os.Getenv("RUNTIME_DIRECTORY"),
	}); err != nil {
		return r, err
	}
	var reads secret.Counts
	r.memory = remember.New(cacheLimits(cfg), r.directory)
	r.metrics = metrics.New(metrics.Options{Version: version, Plugins: r.catalog, SecretReads: reads.Reads, Memory: r.remembered, Logger: r.log.Named("metrics")})
	r.first.Set = r.catalog.Prepare(ctx, r.first.Sources)
	door, err := limit.New(limit.DefaultEntries, nil)
	if err != nil {
		return r, err
	}
	r.build = generation.Deps{Directory: r.directory, LookupEnv: os.LookupEnv, Door: door, Audit: r.audit, Memory: r.memory, SecretCounts: &reads, Logger: r.log, Decide: dev.decide}
	deps := r.build
	deps.Plugins = r.first.Set
	gen, diags := generation.Build(ctx, cfg, deps)
	if gen == nil { // else whoever opens says how it is
		diags = append(r.notStarted(cfg), diags...).Sort()
	}
	if err := report(std, diags); err != nil {
		return r, err
	}
	r.first.Set.Activate()
	r.first.Held = generation.Hold(gen)
	r.holder.Switch(r.first.Held)
	return r, nil
}

// remembered tells the metrics about the memory.
func (r *rooms) remembered() metrics.Remembered { return metrics.Remembered(r.memory.Stats()) }

// cacheLimits bounds what a daemon remembers of decisions.
func cacheLimits(cfg *config.Config) remember.Limits {
	return remember.Limits{Allowed: cfg.DecisionCache.Memory, Denied: cfg.DecisionCache.DeniedMemory}
}

// closeLimit bounds the end of the plugins when a start fails; that of a daemon takes no less, see shutdown_grace.
const closeLimit = 10 * time.Second

// openAudit opens the audit log of a configuration.
func openAudit(cfg *config.Config, std streams, log hclog.Logger) (*audit.Log, error) {
	c := cfg.Audit
	return audit.Open(audit.Config{
		Path: c.Path, Refuse: c.Refuse, MaxSizeMB: c.MaxSizeMB, MaxBackups: c.MaxBackups, MaxAgeDays: c.MaxAgeDays, Compress: c.Compress,
		Stdout: std.out, Logger: log.Named("audit"),
	})
}

// close ends the plugins, the directory and the audit log, in this order, within limit.
func (r *rooms) close(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var errs []error
	if r.catalog != nil {
		errs = append(errs, r.catalog.Close(ctx))
	}
	if r.directory != nil {
		errs = append(errs, r.directory.Close())
	}
	errs = append(errs, r.audit.Close())
	return errors.Join(errs...)
}

// check asks every part that the start has made whether it can do its work now.
func (r *rooms) check(ctx context.Context) config.Diagnostics {
	return r.first.Held.Check(ctx, r.first.Held.Parts())
}

func logger(c config.Log, std streams) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "realmgate", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json", Output: std.err, TimeFormat: time.RFC3339Nano,
	})
}

// sources lists the plugins of a configuration. With a lock file nothing runs that it does not have.
func sources(cfg *config.Config) ([]catalog.Source, lock.State, error) {
	all, err := unpinned(cfg)
	if err != nil {
		return nil, lock.State{}, err
	}
	return pin(cfg, all)
}

// unpinned lists the bundled plugins and those that the configuration declares. A plugin block with the name of a bundled one
// replaces it.
func unpinned(cfg *config.Config) ([]catalog.Source, error) {
	dir, err := pluginDir(cfg)
	if err != nil {
		return nil, err
	}
	declared := map[string]bool{}
	var own []catalog.Source
	for _, p := range cfg.Plugins {
		declared[p.Name] = true
		run, err := program(p, dir)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", p.Name, err)
		}
		src := catalog.Source{Name: p.Name, Grants: grants(p), Program: run}
		if err := separate(p, &src); err != nil {
			return nil, err
		}
		own = append(own, src)
	}
	bundled, err := catalog.Bundled(dir)
	if err != nil {
		return nil, fmt.Errorf("look for plugins: %w", err)
	}
	var all []catalog.Source
	for _, s := range bundled {
		if !declared[s.Name] {
			all = append(all, s)
		}
	}
	return append(all, own...), nil
}

// program is what a plugin block has run; dir is where it looks without a path.
func program(p config.Plugin, dir string) (child.Program, error) {
	run := child.Program{
		Path: cmp.Or(p.Command, p.Path, filepath.Join(dir, catalog.BinaryName(p.Name))), SHA256: p.SHA256, Command: p.Command != "",
		TLS: p.TLS != "none", Args: p.Args, Env: p.Env,
		Limits: child.Limits{Memory: p.Limits.Memory, OpenFiles: p.Limits.OpenFiles, Processes: p.Limits.Processes},
	}
	var err error
	if run.Path, err = filepath.Abs(run.Path); err != nil {
		return run, err
	}
	for path, sum := range p.Files {
		if run.Files == nil {
			run.Files = map[string]string{}
		}
		if path, err = filepath.Abs(path); err != nil {
			return run, err
		}
		run.Files[path] = sum
	}
	return run, nil
}

// pluginDir is where the bundled plugins are: configured, or the folder of the running binary.
func pluginDir(cfg *config.Config) (string, error) {
	if cfg.PluginDir != "" {
		return cfg.PluginDir, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("look for plugins beside the binary: %w", err)
	}
	return filepath.Dir(self), nil
}

// endpoint is where a realm's doors are, as clients reach them.
func endpoint(cfg *config.Config, realm string) string {
	return strings.TrimSuffix(cfg.PublicURL, "/") + "/realms/" + realm
}
