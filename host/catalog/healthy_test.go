package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestHealthy(t *testing.T) {
	t.Parallel()
	ended := func(w *world, n syscall.Signal) func(*testing.T) {
		return func(t *testing.T) {
			if err := syscall.Kill(w.pids()[0], n); err != nil {
				t.Fatal(err)
			}
		}
	}
	fast := func(o *Options) { o.ProbeInterval, o.DescribeTimeout = 50*time.Millisecond, 5*time.Second }
	for name, tt := range map[string]struct {
		signal syscall.Signal
		want   string // behind the name and the path
	}{
		"lives":  {0, ""},
		"killed": {syscall.SIGKILL, "started, but did not stay well: the process ended: signal: killed"},
		"hangs":  {syscall.SIGSTOP, "started, but did not stay well: the process d"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fast, source(t, "p", "good"))
			ended(w, tt.signal)(t)
			window := time.Minute
			if tt.want == "" {
				window = 200 * time.Millisecond
			}
			err := w.Healthy(t.Context(), window)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), "plugin p: "+w.Plugins()[0].Path+": "+tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("restarted", func(t *testing.T) { // before anybody looked
		t.Parallel()
		w := newWorld(t, fast, source(t, "p", "good"))
		w.kill(t)
		w.ready(t)
		if err := w.Healthy(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("%v", err)
		}
	})
	t.Run("not of the set", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, fast, source(t, "p", "good"))
		second := w.prepare(t, source(t, "p", "good"), source(t, "q", "other"))
		w.kill(t)
		if err := second.Healthy(t.Context(), 200*time.Millisecond); err != nil {
			t.Errorf("a plugin that ran before: %v", err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil, source(t, "p", "good"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Healthy(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// successor gives a set whose plugin has another binary than the world's, and of each a leg of a provider and a mapper of one tenant
// that do what is said.
func (w *world) successor(t *testing.T, s Source, before, after string) (next *Set, was, is *Leg) {
	t.Helper()
	of := func(set *Set, do string) *Leg {
		hs, ds := set.Configure(t.Context(), []Instance{
			{Kind: sdk.KindIdentityProvider, Type: "badge", Setup: sdk.Setup{Tenant: "t"}},
			{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"do":"` + do + `"}`), Setup: sdk.Setup{Tenant: "t"}},
		})
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		l, err := set.Leg("r1", hs)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	was = of(w.Set, before)
	replace(t, s.Path, s.Path, []byte("changed"))
	next = w.prepare(t, s)
	next.Activate()
	return next, was, of(next, after)
}

// A plugin whose process is well, but of which callers get nothing, did not stay well; unless they got nothing before either.
func TestHealthyAsCallersSeeIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, after string // what the mapper does
		tokens        string // of five rounds of calls, first of the former process and then of the new one
		d             time.Duration
		want          string // behind the name and the path
	}{
		"works":              {"", "", "x", time.Minute, ""},
		"fails":              {"", "fail", "x", time.Minute, "every call of its principal-mapper(badge) of tenant t fails, the last one with: login failed: client_secret=[hidden]"},
		"fails or says no":   {"", "fail or deny", "x no", time.Minute, "every call of its principal-mapper(badge) of tenant t fails"},
		"panics":             {"", "panic", "x", time.Minute, "every call of its principal-mapper(badge) of tenant t fails"},
		"failed before":      {"fail", "fail", "x", time.Minute, ""},
		"says no":            {"", "fail or deny", "no", time.Minute, ""},
		"works now and then": {"", "fail or deny", "x yes", time.Minute, ""},
		"too late":           {"", "wait", "x", 2 * fair, "every call of its "}, // nobody knows which of the two
		"holds on to calls":  {"hang for some", "hang for some", "hang", 2 * fair, "too many calls in a row did not reach it, or were not let go of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			next, was, is := w.successor(t, s, tt.before, tt.after)
			for range enough {
				for token := range strings.FieldsSeq(tt.tokens) {
					ask(t, was, tt.d, token)
					ask(t, is, tt.d, token)
				}
			}
			window := time.Minute
			if tt.want == "" {
				window = 200 * time.Millisecond
			}
			err := next.Healthy(t.Context(), window)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "plugin p: "+s.Path+": started, but did not stay well: "+tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// ask runs a leg with a token.
func ask(t *testing.T, l *Leg, d time.Duration, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_ = l.Run(ctx, &sdk.State{Request: &sdk.Request{Realm: "r1", Scheme: "bearer", Token: token}})
}

// What fails at first, and what nothing stood in the place of, is no reason to go back.
func TestHealthyWithoutPredecessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	l := w.leg(t, w.mapper(t, "fail"))
	for range 2 * enough {
		_ = within(t, l, time.Minute, "x")
	}
	if err := w.Healthy(t.Context(), 200*time.Millisecond); err != nil {
		t.Error(err)
	}
}

// One that could not be built when the window began does not end it: whoever asked for the reload took it as it is.
func TestHealthyWithWhatIsNotBuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	w.secrets.setFail(true)
	if hs, ds := w.Configure(t.Context(), []Instance{early("")}); len(ds) != 1 || hs[0].IsZero() {
		t.Fatal(hs, ds)
	}
	if err := w.Healthy(t.Context(), 200*time.Millisecond); err != nil {
		t.Error(err)
	}
}

// What was started beside a plugin that did not stay well was not watched to the end: the next set watches it anew, also while
// the former one still has it. What did not stay well is not taken again.
func TestHealthyIsProvenAnew(t *testing.T) {
	t.Parallel()
	all := []Source{source(t, "p", "good"), source(t, "q", "other")}
	w := newWorld(t, nil, all...)
	w.Activate()
	w.kill(t)
	if err := w.Healthy(t.Context(), time.Minute); err == nil {
		t.Fatal("a plugin that was killed stayed well")
	}
	w.ready(t)
	pids := w.pids()
	next := w.prepare(t, all...)
	if got := next.Fresh(); !slices.Equal(got, []string{"p", "q"}) {
		t.Errorf("watched anew: %v", got)
	}
	if now := w.pids(); len(now) != 3 || !slices.Contains(now, pids[1]) {
		t.Errorf("%v, then %v", pids, now)
	}
}
