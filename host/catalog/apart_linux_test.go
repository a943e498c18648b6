package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/sdk"
)

// seat is the first user of the ranges of these tests; no machine has them.
const seat = 3_110_000_000

// apartWorld has the good plugin in a process for each realm, with size users from first on.
func apartWorld(t *testing.T, first, size uint32) (*world, Source) {
	t.Helper()
	if err := child.MayBecome(); err != nil {
		need.Missing(t, "users for realms need root: %v", err)
	}
	w := newWorld(t, nil)
	if err := os.Chmod(w.runtime, 0o755); err != nil {
		t.Fatal(err)
	}
	src := source(t, "acme", "good")
	src.PerRealm = &child.Range{First: first, Last: first + size - 1}
	w.Set = w.Prepare(t.Context(), []Source{src})
	if err := errors.Join(w.Failed()...); err != nil {
		t.Fatal(err)
	}
	return w, src
}

func ofRealm(realm string) Instance {
	return Instance{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{}`), Setup: sdk.Setup{Tenant: "t", Realm: realm}}
}

// processes gives the process of each realm and store, by Status.For.
func (w *world) processes() map[string]int {
	out := map[string]int{}
	for _, s := range w.Plugins() {
		out[s.For] = s.PID
	}
	return out
}

func uidOf(t *testing.T, pid int) uint32 {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// TestApart: no process of a plugin that keeps realms apart, and no user, is two realms'.
func TestApart(t *testing.T) {
	t.Parallel()
	w, src := apartWorld(t, seat, 100)
	store := Instance{Kind: sdk.KindSecretResolver, Type: "badge", Settings: []byte(`{}`), Setup: sdk.Setup{Store: "s"}}
	second := ofRealm("r1")
	second.Kind = sdk.KindAuthenticator
	hs, ds := w.Configure(t.Context(), []Instance{ofRealm("r1"), ofRealm("r2"), store, second})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	got := w.processes()
	users := map[uint32]string{}
	for owner, pid := range got {
		uid := uidOf(t, pid)
		if other, ok := users[uid]; ok || uid < src.PerRealm.First || uid > src.PerRealm.Last {
			t.Errorf("%q runs as %d, as %q does", owner, uid, other)
		}
		users[uid] = owner
	}
	if _, err := w.mapSubject(t, hs[0], "r1", "x"); err != nil || len(got) != 4 || got["realm r1"] == 0 || got["realm r2"] == 0 || got["secret store s"] == 0 {
		t.Errorf("%v %v", got, err)
	}
	if hs[0].inst.p != hs[3].inst.p {
		t.Error("a realm has two processes")
	}
	if _, err := w.mapSubject(t, hs[0], "r2", "x"); !errors.Is(err, errOtherRealm) {
		t.Errorf("r2 was served by the process of r1: %v", err)
	}
	if fresh := w.Fresh(); !slices.Equal(fresh, []string{"acme"}) {
		t.Error(fresh)
	}
	if err := w.Healthy(t.Context(), nil, time.Millisecond); err != nil {
		t.Error(err)
	}

	next := w.Prepare(t.Context(), []Source{src})
	defer next.Close(context.Background())
	if _, ds := next.Configure(t.Context(), []Instance{ofRealm("r1")}); len(ds) > 0 {
		t.Fatal(ds)
	}
	if now := w.processes(); now["realm r1"] != got["realm r1"] || len(now) != 4 {
		t.Errorf("the next set has other processes: %v, had %v", now, got)
	}
	w.Set.Close(t.Context())
	if now := w.processes(); len(now) != 2 || now["realm r1"] != got["realm r1"] || now[""] != got[""] {
		t.Errorf("left: %v of %v", now, got)
	}
}

// TestVendorOfOneRealm: a vendor that a realm has for itself is called for no other one.
func TestVendorOfOneRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "a", "good"))
	h, ds := w.Configure(t.Context(), []Instance{{Kind: sdk.KindCredentialVendor, Type: "badge", Settings: []byte(`{}`), Setup: sdk.Setup{AuthenticationType: "X", Realm: "r1"}}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	if _, err := w.Vendor(h[0], "r2").Vend(t.Context(), sdk.VendRequest{Connection: sdk.Connection{Realm: "r2"}}); !errors.Is(err, errOtherRealm) {
		t.Error(err)
	}
}

func TestApartNeedsRealm(t *testing.T) {
	t.Parallel()
	w, _ := apartWorld(t, seat+100, 100)
	hs, ds := w.Configure(t.Context(), []Instance{ofRealm("")})
	if len(ds) != 1 || ds[0].Unavailable || !hs[0].IsZero() || !strings.Contains(ds[0].Summary, "has a process for each realm (per_realm), and this principal-mapper is for none") {
		t.Errorf("%+v", ds)
	}
}

// TestApartRange: a realm that no user is left for is unavailable, and nobody else.
func TestApartRange(t *testing.T) {
	t.Parallel()
	w, _ := apartWorld(t, seat+200, 2)
	hs, ds := w.Configure(t.Context(), []Instance{ofRealm("r1")})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	_, ds = w.Configure(t.Context(), []Instance{ofRealm("r2")})
	if len(ds) != 1 || !ds[0].Unavailable || !strings.Contains(ds[0].Summary, "plugin acme (realm r2): ") ||
		!strings.Contains(ds[0].Summary, fmt.Sprintf("of the users %d-%d none is left", seat+200, seat+201)) {
		t.Errorf("%+v", ds)
	}
	if _, err := w.mapSubject(t, hs[0], "r1", "x"); err != nil {
		t.Error(err)
	}
}

// TestApartCrash: a realm whose process ends takes no other realm with it, and comes back as the user that it was.
func TestApartCrash(t *testing.T) {
	t.Parallel()
	w, _ := apartWorld(t, seat+300, 100)
	hs, ds := w.Configure(t.Context(), []Instance{ofRealm("r1"), ofRealm("r2")})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	before := w.processes()
	uid := uidOf(t, before["realm r1"])
	if err := syscall.Kill(before["realm r1"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := w.mapSubject(t, hs[1], "r2", "x"); err != nil {
		t.Error(err)
	}
	waitFor(t, "r1 is served again", func() bool {
		now := w.processes()["realm r1"]
		return now != 0 && now != before["realm r1"] && w.Ready(hs[0]) == nil
	})
	after := w.processes()
	if after["realm r1"] == before["realm r1"] || uidOf(t, after["realm r1"]) != uid || after["realm r2"] != before["realm r2"] {
		t.Errorf("%v, was %v", after, before)
	}
}
