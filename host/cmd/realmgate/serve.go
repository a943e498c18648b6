package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/reload"
	"github.com/realmgate/realmgate/host/server"
	"github.com/realmgate/realmgate/sdk/pace"
)

type serveCmd struct {
	Strict   bool   `help:"Do not start if a plugin does not start, or a part cannot do its work now because of what it needs; without it only the realms that name it are unavailable. Wrong settings never start."`
	Watch    bool   `help:"Reload by itself when a configuration file, a plugin's binary or a listener's certificate changes."`
	LogLevel string `enum:",trace,debug,info,warn,error" default:"" help:"Overrides log { level }: trace, debug, info, warn or error."`
}

// rootCredentialsFile is where the root secrets of a first start go when there is no terminal, beside the database.
const rootCredentialsFile = "root-credentials.json"

// stopSignals gives a context that ends with SIGTERM or SIGINT. From then on these have their usual effect again: a second
// one ends the process at once.
func stopSignals(ctx context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run serves until SIGTERM or SIGINT, then drains.
func (s serveCmd) Run(ctx context.Context, c *cli, std streams) error {
	return s.serve(ctx, c, std, development{})
}

// serve is Run, also for development.
func (s serveCmd) serve(ctx context.Context, c *cli, std streams, dev development) (err error) {
	pace.Follow()
	flags := map[string]any{}
	if s.LogLevel != "" {
		flags["log.level"] = s.LogLevel
	}
	cfg, name, err := c.load(std, flags)
	if err != nil {
		return err
	}
	files, _ := c.files() // those that are there now, also later
	log := logger(cfg.Log, std)
	listeners, err := listeners(cfg)
	if err != nil {
		return err
	}
	ctx, stop := stopSignals(ctx)
	defer stop()
	hangup := make(chan os.Signal, 1) // from now on, so that one during the start does not end us
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	attached := term.IsTerminal(int(os.Stdin.Fd())) // asked while the terminal is there

	// A reader of our output that goes away ends neither us nor, if it read the audit log, the rules for one that is full.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	audited, err := openAudit(cfg, std, log)
	if err != nil {
		return err
	}
	r, err := open(ctx, std, cfg, log, directory.Config{Type: cfg.Directory.Type, Path: cfg.Directory.Path}, audited, dev)
	if err != nil {
		return err
	}
	limit := max(cfg.ShutdownGrace, closeLimit)
	defer func() {
		err = errors.Join(err, r.close(context.WithoutCancel(ctx), limit))
		if err == nil {
			log.Info("stopped")
		}
	}()
	r.log.Info("configuration loaded", "from", name, "realms", len(cfg.Realms), "tenants", len(cfg.Tenants))
	if err := r.fit(ctx, std, s.Strict); err != nil {
		return err
	}
	srv, err := r.server(cfg, listeners)
	if err != nil {
		return err
	}
	if err := srv.Listen(ctx); err != nil {
		return err
	}
	if err := r.bootstrap(ctx, std, r.first.Held.Generation, nil); err != nil {
		return err
	}
	r.reloads(ctx, std, srv, files, flags)
	defer func() {
		stop()
		r.endReloads(context.WithoutCancel(ctx), limit)
	}()
	r.tellAddresses(cfg, srv)
	go func() {
		if !s.Strict {
			r.tellUnfit(ctx)
		}
		debug.FreeOSMemory() // reading, building and checking ten thousand realms takes more than they do
	}()
	go r.hangups(ctx, hangup, attached, stop)
	go r.follow(ctx)
	go r.sweep(ctx)
	if s.Watch {
		go r.watch(ctx, files)
	}
	r.notify(daemon.SdNotifyReady)
	err = srv.Serve(ctx)
	r.notify(daemon.SdNotifyStopping)
	return err
}

// tellAddresses says where the daemon listens.
func (r *rooms) tellAddresses(cfg *config.Config, srv *server.Server) {
	for _, l := range cfg.Listeners {
		r.log.Info("listening", "listener", l.Name, "address", srv.Addr(l.Name), "tls", l.TLS != nil)
	}
	if a := srv.Addr(server.MetricsListener); a != nil {
		r.log.Info("listening for scrapes", "address", a, "path", metricsPath)
	}
}

// endReloads waits for what reloads have begun, but no longer than that.
func (r *rooms) endReloads(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.reloader.Wait(ctx); err != nil {
		r.log.Warn("what a reload began has not ended; the daemon stops all the same", "after", limit)
	}
}

// fit says what is wrong with what was built: as an error to a strict start, to which also counts what a part needs elsewhere; to
// the log otherwise.
func (r *rooms) fit(ctx context.Context, std streams, strict bool) error {
	broken := r.broken()
	if strict {
		if len(broken) == 0 {
			broken = r.check(ctx)
		}
		return report(std, broken)
	}
	for _, d := range broken {
		r.log.Error(d.Summary, at(d)...)
	}
	return nil
}

// tellUnfit tells the log which parts cannot do their work now because of what they need elsewhere. It is called when the
// listeners are open: a realm's keys may be what the provider of another realm needs.
func (r *rooms) tellUnfit(ctx context.Context) {
	gen, leave := r.holder.Enter() // a reload may come before the answers
	defer leave()
	for _, d := range gen.Check(ctx, gen.Parts()) {
		r.log.Warn(d.String())
	}
}

// bootstrap creates the root principals of the realms of a generation that have none yet, and shows their secrets. Realms of
// the generation before, if there is one, have been seen to.
func (r *rooms) bootstrap(ctx context.Context, std streams, gen, before *generation.Generation) error {
	cfg := gen.Config()
	show := rootCredentials{
		out: std.out, note: std.err, file: filepath.Join(filepath.Dir(cfg.Directory.Path), rootCredentialsFile),
		endpoint: func(realm string) string { return endpoint(cfg, realm) },
		scope:    cfg.RolePrefix + "ALL",
	}
	if cfg.Audit.Path == audit.Stdout { // whoever reads the log, be it a terminal, gets lines and nothing else
		show.out, _ = std.err.(*os.File)
	}
	var seen []string
	if before != nil {
		seen = before.Internal()
	}
	fresh := slices.DeleteFunc(gen.Internal(), func(realm string) bool {
		_, found := slices.BinarySearch(seen, realm)
		return found
	})
	fresh, err := r.directory.Unbootstrapped(ctx, fresh)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(fresh, rootsAtOnce) {
		created, err := r.createRoots(ctx, some, show.show)
		if err != nil {
			return fmt.Errorf("create root principals: %w", err)
		}
		if len(created) > 0 {
			r.log.Info("root principals created", "realms", len(created), "first", created[:min(maxNamed, len(created))])
		}
	}
	return nil
}

// rootsAtOnce is how many root principals are created together: ten thousand one by one would take minutes.
const rootsAtOnce = 500

// createRoots bootstraps realms with lines in the audit log around it: the first ones before the secrets are shown. It gives the
// realms that were not bootstrapped before.
func (r *rooms) createRoots(ctx context.Context, realms []string, show func([]directory.Root) error) ([]string, error) {
	var events []audit.Event
	created, err := r.directory.BootstrapAll(ctx, realms, func(all []directory.Root) error {
		for _, p := range all {
			e := audit.Event{Name: audit.RootCreate, Outcome: audit.Attempted, Realm: p.Realm, Principal: directory.RootPrincipal}
			if err := r.audit.Record(ctx, e); err != nil {
				return err
			}
			e.PrincipalID, e.ClientID, e.SecretVersion = p.ID, p.ClientID, p.Secret.Version
			events = append(events, e)
		}
		return show(all)
	})
	for _, e := range events {
		if e.Outcome = audit.Done; err != nil {
			e.Outcome, e.Detail = audit.Failed, err.Error()
		}
		_ = r.audit.Record(ctx, e) // it has happened; the daemon's log has the rest
	}
	return created, err
}

func (r *rooms) server(cfg *config.Config, listeners []server.Listener) (*server.Server, error) {
	var decisions server.Auditor
	if cfg.Audit.Decisions {
		decisions = r.audit
	}
	return server.New(server.Config{Listeners: listeners, AdminSocket: cfg.Admin.Socket, MetricsAddress: cfg.Metrics.Address, Grace: cfg.ShutdownGrace}, server.Deps{
		Enter: func() (server.Snapshot, func()) { return r.holder.Enter() },
		Realms: func() []admin.Realm {
			gen, leave := r.holder.Enter()
			defer leave()
			return realmList(gen)
		},
		Directory: r.directory,
		Audit:     decisions,
		Admin:     http.HandlerFunc(r.serveAdmin),
		Metrics:   r.metrics,
		Meter:     r.metrics,
		Logger:    r.log.Named("server"),
	})
}

// metricsPath is where the admin socket has the metrics.
const metricsPath = "/metrics"

// serveAdmin serves an operator's request with the generation of the moment, and one for a reload without: that waits for
// the requests that began before.
func (r *rooms) serveAdmin(w http.ResponseWriter, req *http.Request) {
	log := r.log.Named("admin")
	if req.URL.Path == admin.ReloadPath {
		admin.ReloadHandler(r.reload, log).ServeHTTP(w, req)
		return
	}
	if req.URL.Path == admin.ExplainPath {
		admin.ExplainHandler(r.explain, log).ServeHTTP(w, req)
		return
	}
	if req.URL.Path == metricsPath {
		r.metrics.ServeHTTP(w, req)
		return
	}
	gen, leave := r.holder.Enter()
	defer leave()
	admin.Handler(admin.Deps{
		Directory: admin.Audited(r.directory, r.audit), Realms: func() []admin.Realm { return realmList(gen) }, Plugins: r.pluginList,
		Connections: gen.Connections, AccessKeys: gen.AccessKeys,
		Secrets: func() admin.Secrets { return admin.AuditedSecrets(gen.Secrets(), r.audit) },
		Logger:  log,
	}).ServeHTTP(w, req)
}

func listeners(cfg *config.Config) ([]server.Listener, error) {
	var out []server.Listener
	for _, l := range cfg.Listeners {
		t, err := tlsConfig(l.TLS)
		if err != nil {
			return nil, l.Diagnose("tls", err.Error(), "")
		}
		out = append(out, server.Listener{Name: l.Name, Address: l.Address, RealmHeader: l.RealmHeader, TrustedProxies: l.TrustedProxies, Forwarded: l.Forwarded, TLS: t})
	}
	return out, nil
}

func realmList(gen *generation.Generation) []admin.Realm {
	var out []admin.Realm
	state := gen.Realms()
	for _, r := range gen.Config().Realms {
		x := admin.Realm{Name: r.Name, Type: r.Authentication.Type, Tenant: r.Tenant, Served: state[r.Name] == nil}
		if !x.Served {
			x.Reason = state[r.Name].Error()
		}
		out = append(out, x)
	}
	return out
}

func (r *rooms) pluginList() []admin.Plugin {
	var out []admin.Plugin
	for _, s := range r.catalog.Plugins() {
		p := admin.Plugin{
			Name: s.Name, For: s.For, Version: s.Version, Path: s.Path, Digest: s.Digest, State: string(s.State), Since: s.Since, Serves: s.Serves, PID: s.PID,
			Restarts: s.Restarts, Instances: s.Instances, Calls: s.Calls, Stuck: s.Stuck, BreakerOpen: s.BreakerOpen, ClosedTo: s.ClosedTo, Reason: s.LastError,
		}
		if s.LastError != "" {
			p.ReasonTime = &s.LastErrorAt
		}
		for _, o := range s.Offers {
			p.Implementations = append(p.Implementations, admin.Implementation{Kind: o.Kind.String(), Type: o.Type})
		}
		for _, o := range s.Outbound {
			x := admin.Outbound{Part: o.Part, Openings: o.Openings, Open: o.Open, Overlooked: o.Overlooked}
			for _, l := range o.Servers {
				x.Servers = append(x.Servers, admin.LeftAlone{Server: l.Authority, Since: l.Since, Reason: l.Why})
			}
			p.Outbound = append(p.Outbound, x)
		}
		out = append(out, p)
	}
	return out
}

// A daemon notices within followInterval what another one changed in the directory that they share. A directory that does
// not answer within followLimit is noted; what it remembers counts for no longer than it says itself.
const (
	followInterval = time.Second
	followLimit    = 2 * time.Second
)

// follow rereads the epochs of the directory, so that changes which another daemon made to it are noticed.
func (r *rooms) follow(ctx context.Context) {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			limited, cancel := context.WithTimeout(ctx, followLimit)
			if err := r.directory.Refresh(limited); err != nil && ctx.Err() == nil {
				r.log.Error("the directory cannot be reread; what other daemons change in it is not noticed", "error", err)
			}
			cancel()
		case <-ctx.Done():
			return
		}
	}
}

// hangups answers SIGHUP. With a terminal it says that the terminal is gone, and the daemon stops; without one it is an
// operator's wish for a new configuration.
func (r *rooms) hangups(ctx context.Context, hangup <-chan os.Signal, attached bool, stop func()) {
	for {
		select {
		case <-hangup:
			if attached {
				r.log.Info("the terminal is gone: stopping")
				stop()
				return
			}
			r.log.Info("SIGHUP: reloading the configuration")
			_, _ = r.reloader.Reload(ctx, reload.Options{}, nil) // it tells the log what comes of it
		case <-ctx.Done():
			return
		}
	}
}

// notify tells systemd, if it runs us, what state the daemon is in (sd_notify).
func (r *rooms) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		r.log.Warn("sd_notify", "state", state, "error", err)
	}
}
