package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/reload"
	"github.com/realmgate/realmgate/host/server"
)

// reloads readies the daemon to take new configurations, from the same files, environment and flags.
func (r *rooms) reloads(ctx context.Context, std streams, srv *server.Server, files []string, flags map[string]any) {
	apply := func(cfg *config.Config, all []server.Listener) func() {
		return func() {
			r.log.SetLevel(hclog.LevelFromString(cfg.Log.Level))
			srv.SetGrace(cfg.ShutdownGrace)
			r.memory.Limit(cacheLimits(cfg))
			for _, l := range all {
				if l.TLS == nil {
					continue
				}
				if err := srv.SetTLS(l.Name, l.TLS); err != nil {
					r.log.Error("the certificates of a listener were not replaced", "listener", l.Name, "error", err)
				}
			}
		}
	}
	now := r.first.Held.Config()
	first, err := listeners(now)
	if err != nil { // they were read a moment ago
		r.log.Warn("the certificates of a listener cannot be read any more", "error", err)
	}
	r.first.Apply = apply(now, first)
	r.reloader = reload.New(ctx, reload.Deps{
		Load:    func() (*config.Config, config.Diagnostics) { return read(files, flags) },
		Sources: sources, Catalog: r.catalog, Build: r.build, Holder: &r.holder,
		Outside: func(cfg *config.Config) (func(), error) {
			all, err := listeners(cfg)
			return apply(cfg, all), err
		},
		Before: func(ctx context.Context, gen *generation.Generation) error {
			r.directory.Forget() // whatever became of the store: a reload is the operator's wish for what is true now
			old, leave := r.holder.Enter()
			defer leave()
			return r.bootstrap(ctx, std, gen, old)
		},
		Notify: func(begun bool) {
			if begun {
				r.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
				return
			}
			r.notify(daemon.SdNotifyReady)
		},
		Meter: r.metrics, Audit: r.audit, Logger: r.log.Named("reload"),
	}, r.first)
	r.first = reload.Serving{} // it belongs to the reloader, which gives it up with the next one
	r.reloader.Follow()
}

// watch reloads when a file changes that the configuration is made of, until ctx ends.
func (r *rooms) watch(ctx context.Context, files []string) {
	log := r.log.Named("watch")
	reload.Watch(ctx, func() []string {
		paths := append([]string{}, files...)
		for _, s := range r.reloader.Sources() {
			paths = append(paths, s.Path)
			paths = slices.AppendSeq(paths, maps.Keys(s.Files))
		}
		gen, leave := r.holder.Enter()
		defer leave()
		paths = append(paths, lockPath(gen.Config()))
		for _, l := range gen.Config().Listeners {
			if l.TLS != nil {
				paths = append(paths, l.TLS.CertFile, l.TLS.KeyFile, l.TLS.ClientCAFile)
			}
		}
		return paths
	}, r.reloader.Turns, func(changed []string) {
		log.Info("changed: reloading the configuration", "paths", list(changed))
		_, _ = r.reloader.Reload(ctx, reload.Options{}, nil) // it tells the log what comes of it
	})
}

// reload serves a reload that came over the admin socket.
func (r *rooms) reload(ctx context.Context, o admin.ReloadOptions, watched func(admin.ReloadWatched)) (admin.ReloadReport, error) {
	got, err := r.reloader.Reload(ctx, reload.Options(o), func(w reload.Watched) {
		watched(admin.ReloadWatched{Plugins: w.Plugins, Seconds: w.For.Seconds()})
	})
	out := admin.ReloadReport{
		DryRun: o.DryRun, Plugins: admin.PluginChanges{Started: got.Plugins.Started, Stopped: got.Plugins.Stopped, Lost: got.Plugins.Lost},
		Lock: got.Lock, Unserved: got.Unserved, Unavailable: got.Unavailable,
	}
	for _, p := range got.Plugins.Replaced {
		out.Plugins.Replaced = append(out.Plugins.Replaced, admin.Replaced(p))
	}
	for _, d := range got.Warnings {
		out.Warnings = append(out.Warnings, d.String())
	}
	for _, b := range got.Blocks {
		x := admin.BlockChange{Kind: b.Kind, Name: b.Name, Change: b.Change, At: b.Pos.String()}
		for _, k := range b.Keys {
			x.Keys = append(x.Keys, admin.KeyChange{Key: k.Key, Old: k.Old, New: k.New, At: k.Pos.String()})
		}
		out.Blocks = append(out.Blocks, x)
	}
	if errors.Is(err, reload.ErrStopping) {
		err = stopping(err)
	}
	return out, err
}

// stopping says over the admin socket that the daemon stops.
func stopping(err error) error {
	return &admin.Error{Status: http.StatusServiceUnavailable, Code: admin.CodeStopping, Message: err.Error()}
}

type reloadCmd struct {
	door
	DryRun           bool `help:"Check the configuration, with the plugins that it names, and print what would change. Nothing does."`
	Fresh            bool `help:"Build every part anew, also those whose settings have not changed."`
	AllowUnavailable bool `help:"Reload also if a part cannot do its work now, or a plugin does not start; without it that is refused, unless it was so before."`
	WithoutLock      bool `help:"Reload also if the lock file of the plugins is gone that was in force: from then on every plugin runs that is there."`
}

// Run has the daemon take its configuration, and prints what has changed.
func (r reloadCmd) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Reload(ctx, admin.ReloadOptions{DryRun: r.DryRun, Fresh: r.Fresh, AllowUnavailable: r.AllowUnavailable, WithoutLock: r.WithoutLock}, func(w admin.ReloadWatched) {
		fmt.Fprintf(std.err, "the new configuration serves; watching %s for %v\n", strings.Join(w.Plugins, ", "), time.Duration(w.Seconds*float64(time.Second)))
	})
	if err != nil {
		if e, ok := errors.AsType[*admin.Error](err); ok && e.Code == admin.CodeRefused { // by a daemon that serves on
			return fmt.Errorf("not reloaded; the daemon serves what it did before\n%w", err)
		}
		return err
	}
	for _, w := range got.Warnings {
		fmt.Fprintln(std.err, w)
	}
	return r.print(std, got, func(w io.Writer) { reloadRows(w, got, r.Fresh) })
}

// reloadRows tells what has changed; fresh says that every part was built anew, whatever changed.
func reloadRows(w io.Writer, got admin.ReloadReport, fresh bool) {
	verb := "changed"
	if got.DryRun {
		verb = "would change"
	}
	n := 0
	for _, b := range got.Blocks {
		n++
		fmt.Fprintf(w, "%s: %s%s\n", b, b.Change, place(b.At))
		for _, k := range b.Keys {
			fmt.Fprintf(w, "    %s: %s -> %s%s\n", k.Key, orUnset(k.Old), orUnset(k.New), place(k.At))
		}
	}
	if got.Lock != "" {
		n++
		fmt.Fprintf(w, "lock file: %s\n", got.Lock)
	}
	for _, p := range got.Plugins.Replaced {
		n++
		fmt.Fprintf(w, "plugin process %s: replaced: %s\n", p.Name, p.Why)
	}
	for _, p := range []struct {
		what, change string
		names        []string
	}{
		{"plugin process", "started", got.Plugins.Started},
		{"plugin process", "stopped", got.Plugins.Stopped},
		{"plugin process", "lost: it ends, and the one in its place does not start", got.Plugins.Lost},
		{"realm", "served until now, and not any more", got.Unserved},
	} {
		for _, name := range p.names {
			n++
			fmt.Fprintf(w, "%s %s: %s\n", p.what, name, p.change)
		}
	}
	for _, why := range got.Unavailable {
		fmt.Fprintf(w, "not available, and taken all the same: %s\n", why)
	}
	switch {
	case n == 0 && fresh && !got.DryRun:
		fmt.Fprintln(w, "nothing changed in the configuration; every part was built anew")
	case n == 0:
		fmt.Fprintf(w, "nothing %s\n", verb)
	case got.DryRun:
		fmt.Fprintln(w, "this is what would change; nothing has")
	}
}

func place(at string) string {
	if at == "" {
		return ""
	}
	return " (" + at + ")"
}

func orUnset(value string) string {
	if value == "" {
		return "unset"
	}
	return value
}
