package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/lock"
)

type pluginLock struct {
	Update []string `placeholder:"NAME" help:"Lock this plugin only, and leave the others as the lock file has them; may be repeated."`
}

// Run writes the lock file anew, or the entries that are named. It starts the plugins to ask what they are.
func (p pluginLock) Run(ctx context.Context, c *cli, std streams) error {
	ctx, stop := stopSignals(ctx)
	defer stop()
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return err
	}
	if len(cfg.Files) == 0 {
		fmt.Fprintln(std.err, "warning: there is no configuration file here: this locks the plugins of the built-in default; --config names another one")
	}
	path := lockPath(cfg)
	before, err := lock.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = &lock.File{}, nil
	}
	if err != nil && len(p.Update) > 0 {
		return fmt.Errorf("%w; write it anew with `realmgate plugin lock`", err)
	}
	if err != nil {
		before = &lock.File{}
	}
	sources, err := unpinned(cfg)
	if err != nil {
		return err
	}
	after := &lock.File{}
	if len(p.Update) > 0 {
		after.Plugins = slices.Clone(before.Plugins)
		if sources, err = p.chosen(sources, after, name); err != nil {
			return err
		}
	}
	all, err := describe(ctx, std, sources)
	if err != nil {
		return err
	}
	for _, s := range all {
		after.Set(lock.Entry{
			Name: s.Name, Path: s.Path, SHA256: s.Digest, Files: s.Files, Version: s.Version, Contract: catalog.Contract(), Offers: catalog.LockOffers(s.Offers),
		})
	}
	if err := after.Write(path); err != nil {
		return err
	}
	return p.told(std, path, name, before, after)
}

// chosen gives the sources that are named. A name that the configuration has no more is dropped from the lock file.
func (p pluginLock) chosen(sources []catalog.Source, f *lock.File, config string) ([]catalog.Source, error) {
	var out []catalog.Source
	for _, name := range p.Update {
		at := slices.IndexFunc(sources, func(s catalog.Source) bool { return s.Name == name })
		switch {
		case at >= 0:
			out = append(out, sources[at])
		case f.Find(name) != nil:
			f.Remove(name)
		default:
			names := make([]string, len(sources))
			for i, s := range sources {
				names[i] = s.Name
			}
			return nil, fmt.Errorf("%s has no plugin %q, only %s", config, name, list(names))
		}
	}
	return out, nil
}

// told says what has changed.
func (p pluginLock) told(std streams, path, config string, before, after *lock.File) error {
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	row(w, "PLUGIN", "VERSION", "SHA256", "CHANGE")
	type line struct{ name, version, sum, change string }
	var lines []line
	for _, e := range after.Plugins {
		change := "unchanged"
		if old := before.Find(e.Name); old == nil {
			change = "added"
		} else if !reflect.DeepEqual(*old, e) {
			change = "changed from " + old.Version + " " + old.SHA256[:12]
		}
		lines = append(lines, line{e.Name, e.Version, e.SHA256, change})
	}
	for _, e := range before.Plugins {
		if after.Find(e.Name) == nil {
			lines = append(lines, line{e.Name, e.Version, e.SHA256, "removed"})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.name, b.name) })
	for _, l := range lines {
		row(w, l.name, l.version, l.sum, l.change)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s is written for %s: %d plugins; nothing else runs\na running daemon takes it with `realmgate reload`\n", path, config, len(after.Plugins))
	return err
}
