package reload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
)

// What is built beside keeps no reload waiting: it is ended and built again after it, and ends with who asked for it.
func TestBesideGivesWay(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, `realm "a" {}`, func(d *Deps) {
		bundled := d.Sources
		d.Sources = func(cfg *config.Config) ([]catalog.Source, lock.State, error) {
			all, locked, err := bundled(cfg)
			if cfg != nil && cfg.Log.Level == "debug" {
				s := catalog.Source{Name: "slow"}
				s.Path = slow
				all = append(all, s)
			}
			return all, locked, err
		}
	})
	other, diags := config.Load(config.Options{Default: []byte("log {\n  level = \"debug\"\n}\nrealm \"a\" {}\n"), DefaultName: "other.hcl"})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	type result struct {
		begun []string
		err   error
	}
	ended := make(chan result, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		begun, err := w.Beside(ctx, other, func(context.Context, *generation.Generation) error { return errors.New("it was used") })
		ended <- result{begun, err}
	}()
	starts := func() bool {
		return slices.ContainsFunc(w.deps.Catalog.Plugins(), func(p catalog.Status) bool { return p.Name == "slow" })
	}
	wait(t, starts)
	before := w.Turns()
	w.set("realm \"a\" {}\nrealm \"b\" {}\n")
	if _, err := w.Reload(t.Context(), Options{}, nil); err != nil || !slices.Equal(w.realms(), []string{"a", "b"}) {
		t.Errorf("%v, %v", err, w.realms())
	}
	wait(t, starts) // again
	if n := w.Turns() - before; n != 2 {
		t.Errorf("the turns moved by %d, of one reload", n)
	}
	cancel()
	if got := <-ended; !errors.Is(got.err, context.Canceled) || !slices.Equal(got.begun, []string{"slow", "slow"}) {
		t.Errorf("%+v", got)
	}
	if starts() {
		t.Error("the plugin was left behind")
	}
}

// Who asked does not wait longer than it wants to, and a stop waits for what is built.
func TestBesideIsBounded(t *testing.T) {
	w := newWorld(t, `realm "a" {}`, nil)
	cfg, _ := w.load()
	w.turn <- struct{}{}
	gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.Beside(gone, cfg, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	<-w.turn
	_, err := w.Beside(t.Context(), cfg, func(ctx context.Context, _ *generation.Generation) error {
		w.cancel()
		<-ctx.Done()
		short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if err := w.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the stop did not wait: %v", err)
		}
		return context.Cause(ctx)
	})
	if !errors.Is(err, ErrStopping) {
		t.Errorf("%v", err)
	}
	if _, err := w.Beside(t.Context(), cfg, nil); !errors.Is(err, ErrStopping) {
		t.Errorf("after the stop: %v", err)
	}
}
