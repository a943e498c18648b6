package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
)

// rooms are what a configuration needs to be built and served.
type rooms struct {
	log       hclog.Logger
	directory *directory.Directory
	catalog   *catalog.Catalog
	set       *catalog.Set
	gen       *generation.Generation
	audit     *audit.Log
}

// open opens the directory, starts the plugins and builds the configuration. Diagnostics are printed. The audit log, nil if
// nothing is audited, belongs to the rooms. On an error nothing is left open.
func open(ctx context.Context, std streams, cfg *config.Config, dir directory.Config, audited *audit.Log) (r *rooms, err error) {
	r = &rooms{log: logger(cfg.Log, std), audit: audited}
	if err := child.AdoptOrphans(); err != nil { // nothing else starts processes from here on
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
	sources, err := sources(cfg)
	if err != nil {
		return r, err
	}
	if r.catalog, err = catalog.New(catalog.Options{
		Logger: r.log, Version: version, Directory: r.directory, AccessKeys: r.directory, RuntimeDir: os.Getenv("RUNTIME_DIRECTORY"),
	}); err != nil {
		return r, err
	}
	r.set = r.catalog.Prepare(ctx, sources)
	door, err := limit.New(limit.DefaultEntries, nil)
	if err != nil {
		return r, err
	}
	var diags config.Diagnostics
	r.gen, diags = generation.Build(ctx, cfg, generation.Deps{
		Plugins: r.set, Directory: r.directory, LookupEnv: os.LookupEnv, Door: door, Audit: r.audit, Logger: r.log,
	})
	r.set.Activate()
	return r, report(std, diags)
}

// closeLimit bounds the end of the plugins when a start fails.
const closeLimit = 10 * time.Second

// openAudit opens the audit log of a configuration.
func openAudit(cfg *config.Config, std streams) (*audit.Log, error) {
	c := cfg.Audit
	return audit.Open(audit.Config{
		Path: c.Path, Refuse: c.Refuse, MaxSizeMB: c.MaxSizeMB, MaxBackups: c.MaxBackups, MaxAgeDays: c.MaxAgeDays, Compress: c.Compress,
		Stdout: std.out, Logger: logger(cfg.Log, std).Named("audit"),
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

// broken gives the realms that cannot be served now, as one error.
func (r *rooms) broken() error {
	state := r.gen.Realms()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if err := state[name]; err != nil {
			errs = append(errs, fmt.Errorf("realm %s is not served: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func logger(c config.Log, std streams) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "realmgate", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json", Output: std.err, TimeFormat: time.RFC3339Nano,
	})
}

// sources lists the bundled plugins and those that the configuration declares. A plugin block with the name of a bundled one
// replaces it.
func sources(cfg *config.Config) ([]catalog.Source, error) {
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
		src := catalog.Source{Name: p.Name, Program: run}
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
