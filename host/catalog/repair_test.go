package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// TestBrokenAfterRestart: an instance whose constructor fails after a restart is tried again until it works, and does not
// touch the others.
func TestBrokenAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	in := early("")
	in.Setup.Tenant = "idp"
	hs, ds := w.Configure(t.Context(), []Instance{in})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	fine := w.mapper(t, "")
	w.secrets.setFail(true)
	w.kill(t)
	w.ready(t)
	if got, err := w.mapSubject(t, fine, "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
	if _, err := w.mapSubject(t, hs[0], "r1", "x"); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "it could not be configured: ") {
		t.Errorf("%v", err)
	}
	waitFor(t, "the log says whose it is", func() bool { return strings.Contains(w.log.String(), `"tenant":"idp"`) })
	w.secrets.setFail(false)
	waitFor(t, "the instance is back", func() bool { _, err := w.mapSubject(t, hs[0], "r1", "x"); return err == nil })
	if s := w.Plugins()[0]; s.Restarts != 1 {
		t.Errorf("%+v", s)
	}
}

// TestUnavailableAtFirst: an instance that could not be built now is tried until it works, also if no process was ever
// restarted.
func TestUnavailableAtFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	w.secrets.setFail(true)
	hs, ds := w.Configure(t.Context(), []Instance{early(""), early(""), early("refuse")})
	if len(ds) != 3 || hs[0].IsZero() || hs[1].IsZero() || !ds[0].Unavailable || !ds[1].Unavailable || !strings.Contains(ds[0].Summary, "the store is down") {
		t.Fatalf("%v %+v", hs, ds)
	}
	_, err := w.mapSubject(t, hs[0], "r1", "x")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "it could not be configured: ") || !strings.Contains(err.Error(), "the store is down") {
		t.Errorf("%v", err)
	}
	w.Release(t.Context(), hs[1:])
	w.secrets.setFail(false)
	waitFor(t, "the instance works", func() bool { _, err := w.mapSubject(t, hs[0], "r1", "x"); return err == nil })
	if s := w.Plugins()[0]; s.Restarts != 0 || s.Instances != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := w.mapSubject(t, hs[1], "r1", "x"); !errors.Is(err, ErrUnavailable) || !strings.HasSuffix(err.Error(), "it was released") {
		t.Errorf("%v", err)
	}
	hs, ds = w.Configure(t.Context(), []Instance{early("refuse")})
	if len(ds) != 1 || !hs[0].IsZero() || ds[0].Unavailable {
		t.Errorf("wrong settings: %v %+v", hs, ds)
	}
}

// TestConfigureWhileDown: what is configured while there is no process is served by the next one.
func TestConfigureWhileDown(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "gated")
	s.Env["MARK"] = filepath.Join(t.TempDir(), "mark")
	w := newWorld(t, nil, s)
	if err := os.WriteFile(s.Env["MARK"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.kill(t)
	waitFor(t, "it backs off", func() bool { return strings.Contains(w.Plugins()[0].LastError, "exit status 4") })
	hs, ds := w.Configure(t.Context(), []Instance{early("")})
	if len(ds) != 1 || hs[0].IsZero() || !ds[0].Unavailable {
		t.Fatalf("%v %+v", hs, ds)
	}
	if err := os.Remove(s.Env["MARK"]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the instance works", func() bool { _, err := w.mapSubject(t, hs[0], "r1", "x"); return err == nil })
}

// TestRepairBesideTheWatch: a constructor that hangs does not keep a broken session from being opened again.
func TestRepairBesideTheWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ConfigureTimeout = 5 * time.Minute }, source(t, "p", "good"))
	fine := w.mapper(t, "ask")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	hs, ds := w.Configure(ctx, []Instance{early("hang in the constructor")})
	if len(ds) != 1 || hs[0].IsZero() {
		t.Fatalf("%v %+v", hs, ds)
	}
	waitFor(t, "it is tried again", func() bool { return w.secrets.count() == 2 })
	p := w.plugins[0]
	p.mu.Lock()
	x := p.live
	p.mu.Unlock()
	if err := x.OpenSession(x.session); err != nil { // breaks the one that there is
		t.Fatal(err)
	}
	waitFor(t, "the session is opened again", func() bool { return strings.Contains(w.log.String(), "session was lost and opened again") })
	waitFor(t, "calls work", func() bool { got, err := w.mapSubject(t, fine, "r1", "alice"); return err == nil && got.ID == "42" })
}

// storeSecrets resolves through a resolver that the same plugin serves.
type storeSecrets struct{ r *Resolver }

func (s *storeSecrets) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return s.r.Resolve(ctx, ref)
}

func (s *storeSecrets) ResolveGranted(ctx context.Context, _ string, ref sdk.SecretRef) (sdk.Secret, error) {
	return s.r.Resolve(ctx, ref)
}

// TestGroupAfterGroup: after a restart a constructor finds what was configured before it, without a further try.
func TestGroupAfterGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	store, ds := w.Configure(t.Context(), []Instance{{Kind: sdk.KindSecretResolver, Type: "badge", Setup: sdk.Setup{Store: "ops"}}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	in := early("resolve")
	in.Secrets = &storeSecrets{w.Resolver(store[0])}
	hs, ds := w.Configure(t.Context(), []Instance{in})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	w.kill(t)
	w.ready(t)
	if got, err := w.mapSubject(t, hs[0], "r1", "x"); err != nil || got.Name != "value of login" {
		t.Error(got, err)
	}
	if strings.Contains(w.log.String(), "could not be configured") {
		t.Error("it took a further try")
	}
}
