package main

import (
	"context"
	"fmt"

	"github.com/realmgate/realmgate/host/directory"
)

type validateCmd struct{}

// Run loads the configuration, starts its plugins, has them check their settings, and stops them again. The directory is
// not touched.
func (validateCmd) Run(ctx context.Context, c *cli, std streams) error {
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return err
	}
	cfg.Log.Level = "error"
	r, err := open(ctx, std, cfg, directory.Config{Type: "sqlite", Path: ":memory:"})
	if err != nil {
		return err
	}
	err = r.broken()
	if cerr := r.close(ctx, closeLimit); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s is valid: %d realms, %d tenants\n", name, len(cfg.Realms), len(cfg.Tenants))
	return err
}
