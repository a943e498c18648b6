package catalog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Parts end what they have elsewhere when the catalog is closed, whoever still has them: what was configured first goes last.
func TestPartsEndBeforeTheirProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	notes := filepath.Join(t.TempDir(), "notes")
	settings := fmt.Appendf(nil, `{"do":"note the end in %s"}`, notes)
	for n, in := range []Instance{
		{Kind: sdk.KindSecretResolver, Type: "badge", Setup: sdk.Setup{Store: "store"}, Settings: settings},
		{Kind: sdk.KindPrincipalMapper, Type: "badge", Setup: sdk.Setup{Tenant: "tenant"}, Settings: settings},
	} {
		if hs, ds := w.Configure(t.Context(), []Instance{in}); len(ds) > 0 || hs[0].IsZero() {
			t.Fatal(n, ds)
		}
	}
	if err := w.Catalog.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(notes); err != nil || string(got) != "tenant;store;" {
		t.Errorf("%q %v", got, err)
	}
}

// hung gives a world of a plugin with a part that notes its end, configured first, and of one that is stopped, which is released
// first.
func hung(t *testing.T) (w *world, notes string) {
	t.Helper()
	w = newWorld(t, func(o *Options) { o.DescribeTimeout = 5 * time.Minute }, source(t, "p", "good"), source(t, "q", "other"))
	notes = filepath.Join(t.TempDir(), "notes")
	for _, in := range []Instance{
		{Kind: sdk.KindPrincipalMapper, Type: "badge", Setup: sdk.Setup{Tenant: "t"}, Settings: fmt.Appendf(nil, `{"do":"note the end in %s"}`, notes)},
		{Kind: sdk.KindPrincipalMapper, Type: "other"},
	} {
		if hs, ds := w.Configure(t.Context(), []Instance{in}); len(ds) > 0 || hs[0].IsZero() {
			t.Fatal(ds)
		}
	}
	suspend(t, w.pids()[1])
	return w, notes
}

// A plugin that hangs does not keep the others from ending what they have, and not for ever the daemon.
func TestHungPluginKeepsNobodyFromTheEnd(t *testing.T) {
	t.Parallel()
	w, notes := hung(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.Catalog.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(notes); err != nil || string(got) != "t;" {
		t.Errorf("%q %v", got, err)
	}
	for l := range strings.Lines(w.log.String()) { // it was told, and did not only end in order
		if strings.Contains(l, "instances could not be released") && strings.Contains(l, `"plugin":"p"`) {
			t.Error(l)
		}
	}
}

// What a plugin that hangs was asked has ended with the time that there was for it: nothing of it goes on beside what comes after.
func TestHungPluginIsNotAskedAnyMore(t *testing.T) {
	t.Parallel()
	w, _ := hung(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	w.letGo(ctx)
	if log := w.log.String(); !strings.Contains(log, "does not release its instances in time") || !strings.Contains(log, "instances could not be released") {
		t.Error("it is still being asked")
	}
}

// Nor the plugins of a set that is closed.
func TestHungPluginOfASet(t *testing.T) {
	t.Parallel()
	w, notes := hung(t)
	pids := w.pids()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.Set.Close(context.Background())
	}()
	waitFor(t, "the other plugin has ended", func() bool { return !alive(pids[0]) })
	if got, err := os.ReadFile(notes); err != nil || string(got) != "t;" || !alive(pids[1]) {
		t.Errorf("%q %v", got, err)
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-closed
}

// What was let go is not made again while its process lives on for what comes after.
func TestLetGoIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	w.mapper(t, "")
	w.letGo(t.Context())
	if left := w.plugins[0].unbound(); len(left) > 0 {
		t.Errorf("%d instances are to be made again", len(left))
	}
}
