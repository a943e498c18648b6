package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/polaris"
)

type configCmd struct {
	Print  configPrint  `cmd:"" help:"Print the value of every key as it counts, and where it comes from."`
	Import configImport `cmd:"" help:"Translate the application.properties of an Apache Polaris server into a configuration."`
}

type configImport struct {
	File    string            `arg:"" help:"The application.properties; - is the standard input."`
	Output  string            `short:"o" placeholder:"FILE" help:"Write the configuration there. It must not exist yet. Without it, the standard output."`
	Profile string            `default:"prod" help:"The Quarkus profile whose properties count (%prod.)."`
	Tenant  map[string]string `placeholder:"REALM=TENANT" help:"Which tenant an external or mixed realm uses, where the properties do not say it; may be repeated."`
}

// maxProperties bounds what is read, in bytes; the translation has a bound of its own below it.
const maxProperties = 8 << 20

// Run translates the file. What is written has no fault of the host's own keys; `realmgate validate` asks the parts, too.
func (i configImport) Run(std streams) error {
	name, in := i.File, io.Reader(os.Stdin)
	if name == "-" {
		name = "(standard input)"
	} else {
		f, err := os.Open(i.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxProperties))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	out, diags := polaris.Import(content, polaris.Options{File: name, Profile: i.Profile, Tenants: i.Tenant, Lookup: os.LookupEnv})
	if err := report(std, diags); err != nil {
		return err
	}
	made := i.Output
	if made == "" {
		made = "(imported)"
	}
	if _, diags := config.Load(config.Options{Default: out, DefaultName: made}); diags.Err() != nil {
		fmt.Fprintln(std.err, "realmgate: what the properties say cannot be configured; nothing was written:")
		return report(std, diags)
	}
	if i.Output == "" {
		_, err = std.out.Write(out)
		return err
	}
	f, err := os.OpenFile(i.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: it is not overwritten", i.Output)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(out)
	return errors.Join(err, f.Close())
}
