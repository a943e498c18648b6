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
func describe(ctx context.Context, std streams, sources []catalog.Source) ([]catalog.Status, error) {
	out, failed, err := describeAll(ctx, std, sources)
	if err := errors.Join(append(failed, err)...); err != nil {
		return nil, err
	}
	return out, nil
}

// describeAll is describe, with those that did not start beside what the others say.
func describeAll(ctx context.Context, std streams, sources []catalog.Source) (out []catalog.Status, failed []error, err error) {
	c, err := catalog.New(catalog.Options{
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "realmgate", Level: hclog.Warn, Output: std.err}),
		Version: version, RuntimeDir: os.Getenv("RUNTIME_DIRECTORY"),
	})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		err = errors.Join(err, c.Close(ctx))
	}()
	set := c.Prepare(ctx, sources)
	return c.Plugins(), set.Failed(), nil
}
