package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/realmgate/realmgate/host/directory"
)

type validateCmd struct {
	Check bool `help:"Also ask each part whether it can do its work now: whether its provider answers, its secret store lets it in, its key can be read."`
}

// Run loads the configuration, starts its plugins, has them check their settings, and stops them again. The directory of
// the configuration is not touched: an empty one stands in for it.
func (v validateCmd) Run(ctx context.Context, c *cli, std streams) (err error) {
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return err
	}
	if _, err := listeners(cfg); err != nil {
		return err
	}
	ctx, stop := stopSignals(ctx)
	defer stop()
	cfg.Log.Level = "error"
	scratch, err := os.MkdirTemp("", "realmgate-validate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r, err := open(ctx, std, cfg, logger(cfg.Log, std), directory.Config{Type: "sqlite", Path: filepath.Join(scratch, "directory.db")}, nil, development{})
	if err != nil {
		return err
	}
	problems := r.broken()
	if v.Check {
		problems = append(problems, r.check(ctx)...)
	}
	shown := report(std, problems.Sort())
	unremembered := r.first.Held.Unremembered()
	if err := r.close(ctx, closeLimit); err != nil {
		return err
	}
	if shown != nil {
		return shown
	}
	for _, u := range unremembered {
		fmt.Fprintf(std.err, "realmgate: note: decisions are not remembered in %s, because of the %s of plugin %s: %s\n", realmsNamed(u.Realms), u.Part, u.Plugin, u.Why)
	}
	if len(cfg.Realms) == 0 {
		fmt.Fprintln(std.err, "warning: the configuration has no realm: it answers nobody")
	}
	_, err = fmt.Fprintf(std.out, "%s is valid: %d realms, %d tenants\n", name, len(cfg.Realms), len(cfg.Tenants))
	return err
}
