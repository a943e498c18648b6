package catalog

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"good", "unary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := source(t, "p", mode)
			w := newWorld(t, func(o *Options) { o.CheckTimeout = 2 * time.Second }, s)
			ref, err := sdk.ParseSecretRef(login)
			if err != nil {
				t.Fatal(err)
			}
			keyed := func(k sdk.Kind, su sdk.Setup) Instance {
				return Instance{Kind: k, Type: "badge", Refs: []sdk.SecretRef{ref}, Settings: []byte(`{"key":"` + login + `"}`), Setup: su}
			}
			plain := func(do string) Instance {
				return Instance{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"do":"` + do + `"}`)}
			}
			old, _ := w.Configure(t.Context(), []Instance{keyed(sdk.KindPrincipalMapper, sdk.Setup{})})
			second := w.prepare(t, s)
			hs, ds := second.Configure(t.Context(), []Instance{
				keyed(sdk.KindPrincipalMapper, sdk.Setup{}), keyed(sdk.KindIdentityProvider, sdk.Setup{Tenant: "t"}), keyed(sdk.KindTokenBroker, sdk.Setup{Realm: "r1"}),
				plain(""), plain("hang in a check"), plain("refuse a check"), {Kind: sdk.KindCredentialVendor, Type: "plain-badge"},
			})
			if len(ds) > 0 || hs[0] != old[0] {
				t.Fatal(hs, ds)
			}
			hs = append(hs, Handle{})
			check := func(what string, want ...string) { // index and text
				t.Helper()
				var got []string
				for _, d := range second.Check(t.Context(), hs) {
					if !d.Unavailable || d.Warning {
						t.Errorf("%s: %+v", what, d)
					}
					got = append(got, string(rune('0'+d.Index))+" "+d.Summary)
				}
				if !slices.EqualFunc(got, want, strings.HasPrefix) || strings.Contains(strings.Join(got, ""), "hunter2") {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			late, denied := "4 it does not say within 2s whether it can do its work", "5 denied: no: no, password=[hidden]"
			check("all is well", late, denied)
			w.secrets.setFail(true)
			check("the store is down", "1 the store is down", "2 the store is down", late, denied)
			if ds := w.Check(t.Context(), old); len(ds) != 1 {
				t.Errorf("for the set that made it: %+v", ds)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if ds := w.Check(ctx, old); len(ds) != 1 || ds[0].Summary != context.Canceled.Error() {
				t.Errorf("given up: %+v", ds)
			}
		})
	}
}

// The checks of all parts together have a bound, too; what was not asked in time has not passed.
func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.CheckTimeout, o.ChecksTimeout = 5*time.Minute, 2*time.Second }, source(t, "p", "good"))
	in := make([]Instance, checksAtOnce+2)
	for n := range in {
		in[n] = Instance{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"do":"hang in a check"}`), Setup: sdk.Setup{Tenant: strconv.Itoa(n)}}
	}
	hs, ds := w.Configure(t.Context(), in)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	ds = w.Check(t.Context(), hs)
	if len(ds) != len(in) {
		t.Errorf("%d of %d have something to say", len(ds), len(in))
	}
	for _, d := range ds {
		if want := "it is not known whether it can do its work: not all parts said so within 2s"; d.Summary != want || !d.Unavailable {
			t.Errorf("got  %+v\nwant %s", d, want)
		}
	}
}

// One that could not be built cannot do its work either.
func TestCheckOfWhatIsNotBuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	w.secrets.setFail(true)
	hs, _ := w.Configure(t.Context(), []Instance{early("")})
	if ds := w.Check(t.Context(), hs); len(ds) != 1 || !strings.Contains(ds[0].Summary, "it could not be configured: ") {
		t.Errorf("%+v", ds)
	}
}
