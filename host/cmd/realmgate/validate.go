package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/realmgate/realmgate/host/directory"
)

type validateCmd struct{}

// Run loads the configuration, starts its plugins, has them check their settings, and stops them again. The directory of
// the configuration is not touched: an empty one stands in for it.
func (validateCmd) Run(ctx context.Context, c *cli, std streams) (err error) {
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return err
	}
	cfg.Log.Level = "error"
	scratch, err := os.MkdirTemp("", "realmgate-validate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r, err := open(ctx, std, cfg, directory.Config{Type: "sqlite", Path: filepath.Join(scratch, "directory.db")})
	if err != nil {
		return err
	}
	if err := errors.Join(r.broken(), r.close(ctx, closeLimit)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s is valid: %d realms, %d tenants\n", name, len(cfg.Realms), len(cfg.Tenants))
	return err
}
