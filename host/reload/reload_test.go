package reload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/capture"
)

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// world is a daemon without doors: the real default plugin, a directory, and a reloader.
type world struct {
	*Reloader
	t       *testing.T
	deps    Deps
	log     *capture.Buffer
	cancel  context.CancelFunc
	applied []string // the log levels that were put into force

	mu  sync.Mutex
	hcl string
}

func (w *world) set(hcl string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hcl = hcl
}

func (w *world) load() (*config.Config, config.Diagnostics) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return config.Load(config.Options{Default: []byte(w.hcl), DefaultName: "test.hcl"})
}

func newWorld(t *testing.T, hcl string, change func(*Deps)) *world {
	t.Helper()
	w := &world{t: t, hcl: hcl, log: &capture.Buffer{}}
	dir, err := directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: filepath.Join(t.TempDir(), "d.db")})
	if err != nil {
		t.Fatal(err)
	}
	logger := hclog.New(&hclog.LoggerOptions{Output: w.log})
	cat, err := catalog.New(catalog.Options{Logger: logger, Version: "test", Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.deps = Deps{
		Load: w.load,
		Sources: func(*config.Config) ([]catalog.Source, lock.State, error) {
			all, err := catalog.Bundled(buildtest.Plugin(t))
			return all, lock.State{}, err
		},
		Catalog: cat, Holder: &generation.Holder{},
		Build: generation.Deps{Directory: dir, LookupEnv: func(string) (string, bool) { return "", false }, Logger: hclog.NewNullLogger()},
		Outside: func(cfg *config.Config) (func(), error) {
			return func() { w.applied = append(w.applied, cfg.Log.Level) }, nil
		},
		Logger: logger,
	}
	if change != nil {
		change(&w.deps)
	}
	sources, locked, err := w.deps.Sources(nil)
	if err != nil {
		t.Fatal(err)
	}
	first := Serving{Sources: sources, Lock: locked, Set: cat.Prepare(ctx, sources), Apply: func() {}}
	first.Set.Activate()
	cfg, diags := w.load()
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	build := w.deps.Build
	build.Plugins = first.Set
	gen, diags := generation.Build(ctx, cfg, build)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	first.Held = generation.Hold(gen)
	w.deps.Holder.Switch(first.Held)
	w.Reloader = New(ctx, w.deps, first)
	t.Cleanup(func() {
		cancel()
		if err := w.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(cat.Close(context.Background()), dir.Close()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(w.log)
		}
	})
	return w
}

// realms gives the realms of the generation that serves.
func (w *world) realms() []string {
	g, leave := w.deps.Holder.Enter()
	defer leave()
	return g.Internal()
}

// A reload that comes while another one runs waits for it, and those that come while it waits join it if they ask for the
// same: each sees the files as they are after it was asked for.
func TestReloadsJoin(t *testing.T) {
	var loads atomic.Int64
	began, goOn := make(chan struct{}, 8), make(chan struct{})
	w := newWorld(t, `realm "a" {}`, func(d *Deps) {
		load := d.Load
		d.Load = func() (*config.Config, config.Diagnostics) {
			loads.Add(1)
			began <- struct{}{}
			<-goOn
			return load()
		}
	})
	var all sync.WaitGroup
	ask := func(o Options) {
		all.Go(func() {
			if _, err := w.Reload(t.Context(), o, nil); err != nil {
				t.Error(err)
			}
		})
	}
	ask(Options{})
	<-began
	ask(Options{}) // waits
	wait(t, func() bool { return w.waits(Options{}) })
	for range 3 {
		ask(Options{}) // join
	}
	ask(Options{DryRun: true}) // asks for something else
	wait(t, func() bool { return w.waits(Options{DryRun: true}) })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Reload(gone, Options{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v", err)
	}
	w.set("realm \"a\" {}\nrealm \"b\" {}\n")
	close(goOn)
	all.Wait()
	if n := loads.Load(); n != 3 {
		t.Errorf("%d reloads were done, want 3", n)
	}
	if got := w.realms(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v", got)
	}
}

func (r *Reloader) waits(o Options) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting[o] != nil
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to pass")
		}
	}
}

// What keeps a configuration from serving leaves nothing behind: no instance, no switch, nothing put into force.
func TestNothingIsLeftOfARefusedReload(t *testing.T) {
	w := newWorld(t, `realm "a" {}`, nil)
	before := w.deps.Catalog.Plugins()[0]
	for _, hcl := range []string{"nonsense", "realm \"a\" {}\nrealm \"b\" {\n  authentication {\n    token_broker {\n      type = \"symmetric-key\"\n    }\n  }\n}\n", "realm \"a\" {}\nadmin {\n  socket = \"x\"\n}\n"} {
		w.set(hcl)
		for _, o := range []Options{{}, {DryRun: true}, {Fresh: true}, {AllowUnavailable: true}} {
			if _, err := w.Reload(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "test.hcl:") {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
	w.set("realm \"a\" {}\nrealm \"b\" {}\n")
	report, err := w.Reload(t.Context(), Options{DryRun: true}, nil)
	if err != nil || len(report.Blocks) != 1 || report.Blocks[0].Change != config.Added {
		t.Errorf("%+v %v", report, err)
	}
	if now := w.deps.Catalog.Plugins(); len(now) != 1 || now[0].PID != before.PID || now[0].Instances != before.Instances {
		t.Errorf("plugins %+v, before %+v", now, before)
	}
	if got := w.realms(); !slices.Equal(got, []string{"a"}) || len(w.applied) > 0 {
		t.Errorf("%v, applied %v", got, w.applied)
	}
}

// A reload that no line can be written of is not done.
func TestReloadIsAudited(t *testing.T) {
	var log *audit.Log
	w := newWorld(t, `realm "a" {}`, func(d *Deps) {
		var err error
		if log, err = audit.Open(audit.Config{Path: filepath.Join(t.TempDir(), "audit.log"), Refuse: true, Logger: hclog.NewNullLogger()}); err != nil {
			t.Fatal(err)
		}
		d.Audit = log
	})
	w.set("realm \"a\" {}\nrealm \"b\" {}\n")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	before := w.deps.Catalog.Plugins()[0].Instances
	if _, err := w.Reload(t.Context(), Options{}, nil); !errors.Is(err, audit.ErrUnwritten) {
		t.Errorf("%v", err)
	}
	if got := w.realms(); !slices.Equal(got, []string{"a"}) || w.deps.Catalog.Plugins()[0].Instances != before {
		t.Errorf("%v, %+v", got, w.deps.Catalog.Plugins())
	}
}

// What a daemon has to do before a generation serves can refuse it.
func TestBefore(t *testing.T) {
	w := newWorld(t, `realm "a" {}`, func(d *Deps) {
		d.Before = func(_ context.Context, g *generation.Generation) error {
			if len(g.Internal()) > 1 {
				return errors.New("no root principal for b")
			}
			return nil
		}
	})
	w.set("realm \"a\" {}\nrealm \"b\" {}\n")
	if _, err := w.Reload(t.Context(), Options{}, nil); err == nil || !strings.Contains(err.Error(), "no root principal") {
		t.Errorf("%v", err)
	}
	if got := w.realms(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
	w.set("log {\n  level = \"warn\"\n}\nrealm \"c\" {}\n")
	if _, err := w.Reload(t.Context(), Options{}, nil); err != nil || !slices.Equal(w.realms(), []string{"c"}) || fmt.Sprint(w.applied) != "[warn]" {
		t.Errorf("%v %v %v", err, w.realms(), w.applied)
	}
}

// Many reloads leave no more behind than one.
func TestReloadsLeaveNothing(t *testing.T) {
	w := newWorld(t, "realm \"a\" {}\nrealm \"b\" {}\n", nil)
	for n := range 8 {
		w.set(fmt.Sprintf("realm \"a\" {}\nrealm \"b%d\" {}\n", n))
		if _, err := w.Reload(t.Context(), Options{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := w.deps.Catalog.Plugins()[0].PID
	w.set("realm \"a\" {}\n")
	if _, err := w.Reload(t.Context(), Options{}, nil); err != nil {
		t.Fatal(err)
	}
	g, leave := w.deps.Holder.Enter()
	parts := len(g.Parts())
	leave()
	wait(t, func() bool { return w.deps.Catalog.Plugins()[0].Instances == parts })
	if got := w.deps.Catalog.Plugins(); len(got) != 1 || got[0].PID != want {
		t.Errorf("%+v", got)
	}
}

// What became of the lock file is a change, also if the file has as many entries as before.
func TestLockChange(t *testing.T) {
	none, one, other := lock.State{File: "f"}, lock.State{File: "f", InForce: true, Entries: 1, Digest: "x"}, lock.State{File: "f", InForce: true, Entries: 1, Digest: "y"}
	for _, tt := range []struct {
		before, after lock.State
		change, said  string
	}{
		{none, none, "", "nothing"}, {one, one, "", "nothing"},
		{none, one, config.Added, "+lock file"}, {one, none, config.Removed, "-lock file"}, {one, other, config.Changed, "~lock file"},
	} {
		got := lockChange(tt.before, tt.after)
		if said := summary(Report{Lock: got}); got != tt.change || said != tt.said {
			t.Errorf("%+v, then %+v: %q, %q", tt.before, tt.after, got, said)
		}
	}
}

// A daemon that stops takes no configuration any more, and waits for none.
func TestStopping(t *testing.T) {
	w := newWorld(t, `realm "a" {}`, nil)
	w.cancel()
	if _, err := w.Reload(t.Context(), Options{}, nil); !errors.Is(err, ErrStopping) {
		t.Errorf("%v", err)
	}
	if err := w.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// A stop does not wait for ever for what a reload does.
func TestStopIsBounded(t *testing.T) {
	w := newWorld(t, `realm "a" {}`, nil)
	release := make(chan struct{})
	w.work.Go(func() { <-release })
	w.cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(release)
}

// Who waits for a reload hears that plugins are watched. A daemon that stops meanwhile has switched: nothing says that it failed.
func TestStopsWhileItWatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	env := map[string]string{}
	w := newWorld(t, `realm "a" {}`, func(d *Deps) {
		log, err := audit.Open(audit.Config{Path: path, Refuse: true, Logger: hclog.NewNullLogger()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		d.Audit = log
		bundled := d.Sources
		d.Sources = func(cfg *config.Config) ([]catalog.Source, lock.State, error) {
			all, locked, err := bundled(cfg)
			for n := range all {
				all[n].Env = maps.Clone(env) // another one is another process
			}
			return all, locked, err
		}
	})
	env["NEW"] = "1"
	w.set("plugin_health_window = \"1h\"\nrealm \"a\" {}\nrealm \"b\" {}\n")
	heard := 0
	report, err := w.Reload(t.Context(), Options{}, func(x Watched) {
		if heard++; !slices.Equal(x.Plugins, []string{"default"}) || x.For != time.Hour || !slices.Equal(w.realms(), []string{"a", "b"}) {
			t.Errorf("%+v, and %v serve", x, w.realms())
		}
		w.cancel()
	})
	if !errors.Is(err, ErrUnwatched) || !errors.Is(err, ErrStopping) || heard != 1 || len(report.Blocks) == 0 {
		t.Errorf("%v, heard %d times, %+v", err, heard, report)
	}
	if err := w.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"attempted"`) || !strings.Contains(lines[1], `"done"`) || !strings.Contains(lines[1], "not watched to the end") {
		t.Errorf("%s", text)
	}
	if strings.Contains(w.log.String(), "serves on") {
		t.Error("the log says that the former configuration serves on")
	}
}
