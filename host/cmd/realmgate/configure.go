package main

import (
	"os"
	"strings"

	"github.com/realmgate/realmgate/host/config"
)

// wellKnown are the configuration files that are looked for without --config, in this order.
var wellKnown = []string{"config.hcl", "/etc/realmgate/config.hcl"}

// files gives the configuration files to read and what to call them; none means the built-in default.
func (c *cli) files() ([]string, string) {
	if len(c.Config) > 0 {
		return c.Config, strings.Join(c.Config, ", ")
	}
	for _, f := range wellKnown {
		if _, err := os.Stat(f); err == nil {
			return []string{f}, f
		}
	}
	return nil, "the built-in default"
}

// load reads the configuration and prints its diagnostics. flags override single keys, see config.Options.
func (c *cli) load(std streams, flags map[string]any) (*config.Config, string, error) {
	files, name := c.files()
	cfg, diags := read(files, flags)
	if err := report(std, diags); err != nil {
		return nil, "", err
	}
	return cfg, name, nil
}

func read(files []string, flags map[string]any) (*config.Config, config.Diagnostics) {
	return config.Load(options(files, flags))
}

func options(files []string, flags map[string]any) config.Options {
	return config.Options{Files: files, Environ: os.Environ(), Flags: flags, Default: config.Default(), DefaultName: config.DefaultName}
}

// at gives the place of a diagnostic as a pair for a log; nothing if it has none.
func at(d config.Diagnostic) []any {
	if place := d.Place(); place != "" {
		return []any{"at", place}
	}
	return nil
}

// report prints diagnostics and gives an error that is already shown if one of them is an error.
func report(std streams, diags config.Diagnostics) error {
	if err := diags.Write(std.err); err != nil {
		return err
	}
	if err := diags.Err(); err != nil {
		return shownError{err}
	}
	return nil
}
