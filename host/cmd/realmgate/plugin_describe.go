package main

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/catalog"
)

// describe starts plugins without settings, secrets or a directory, has them say what they are, and ends them again. The
// error names those that did not start.
func describe(ctx context.Context, std streams, sources []catalog.Source) (out []catalog.Status, err error) {
	c, err := catalog.New(catalog.Options{
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "realmgate", Level: hclog.Warn, Output: std.err}),
		Version: version, RuntimeDir: os.Getenv("RUNTIME_DIRECTORY"),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		err = errors.Join(err, c.Close(ctx))
	}()
	set := c.Prepare(ctx, sources)
	if err := errors.Join(set.Failed()...); err != nil {
		return nil, err
	}
	return c.Plugins(), nil
}
