package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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
	slow := func(o *Options) { o.ProbeInterval = time.Minute } // its end is what is seen first
	fast := func(o *Options) { o.ProbeInterval, o.DescribeTimeout = 50*time.Millisecond, 5*time.Second }
	for name, tt := range map[string]struct {
		signal syscall.Signal
		probes func(*Options)
		want   string // behind the name and the path
	}{
		"lives":  {0, fast, ""},
		"killed": {syscall.SIGKILL, slow, "started, but did not stay well: the process ended: signal: killed"},
		"hangs":  {syscall.SIGSTOP, fast, "started, but did not stay well: the process d"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.probes, source(t, "p", "good"))
			ended(w, tt.signal)(t)
			window := time.Minute
			if tt.want == "" {
				window = 200 * time.Millisecond
			}
			err := w.Healthy(t.Context(), nil, window)
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
		if err := w.Healthy(t.Context(), nil, time.Minute); err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("%v", err)
		}
	})
	t.Run("not of the set", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, fast, source(t, "p", "good"))
		second := w.prepare(t, source(t, "p", "good"), source(t, "q", "other"))
		w.kill(t)
		if err := second.Healthy(t.Context(), nil, 200*time.Millisecond); err != nil {
			t.Errorf("a plugin that ran before: %v", err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil, source(t, "p", "good"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Healthy(ctx, nil, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// A plugin that a reload is taken back from is not started again in between.
func TestUnwellIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	p, h := w.plugins[0], w.mapper(t, "")
	p.c.doubt(p)
	if err := syscall.Kill(w.pids()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it has stopped, or another process serves", func() bool {
		s := w.Plugins()[0]
		return s.State == StateStopped || s.Restarts > 0
	})
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if s, n := w.Plugins()[0], w.Counts()["p"].Restarts; n != 0 || !strings.Contains(s.LastError, "signal: killed") {
		t.Errorf("started %d times again, %+v", n, s)
	}
	w.Set.Close(t.Context())
	if left := w.Plugins(); len(left) > 0 {
		t.Errorf("%+v", left)
	}
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
		"too late":           {"", "wait", "x", 2 * fair, "every call of its principal-mapper(badge) of tenant t fails, the last one with: "},
		"holds on to calls":  {"hang for some", "hang for some", "hang", 2 * fair, "too many calls in a row did not reach it, or were not let go of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			next, was, is := w.successor(t, s, tt.before, tt.after)
			d := tt.d
			if tt.before == "" { // it answers, if it has the time
				d = time.Minute
			}
			for range enough {
				for token := range strings.FieldsSeq(tt.tokens) {
					ask(t, was, d, token)
					ask(t, is, tt.d, token)
				}
			}
			window := time.Minute
			if tt.want == "" {
				window = 200 * time.Millisecond
			}
			err := next.Healthy(t.Context(), w.Set, window)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "plugin p: "+s.Path+": started, but did not stay well: "+tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A provider that does not answer, before and after a switch, speaks for itself: what stands behind it in the leg is not blamed, be it
// that it works for others. Only where nothing is heard of a call does it speak against all who may have had it.
func TestHealthyBehindWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		provider, mapper string // what they do after the switch
		want             string
	}{
		"the provider waits":        {"wait for some", "", ""},
		"the provider comes late":   {"come late", "", ""},
		"the mapper waits":          {"", "wait", "every call of its principal-mapper(badge) fails, the last one with: "},
		"the provider does not end": {"hang for some", "", "started, but did not stay well: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			legs := func(set *Set, provider, mapper string) (one, other *Leg) {
				hs, ds := set.Configure(t.Context(), []Instance{
					{Kind: sdk.KindIdentityProvider, Type: "badge", Settings: []byte(`{"do":"` + provider + `"}`), Setup: sdk.Setup{Tenant: "t"}},
					{Kind: sdk.KindIdentityProvider, Type: "badge", Setup: sdk.Setup{Tenant: "other"}},
					{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"do":"` + mapper + `"}`)},
				})
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				one, err := set.Leg("r1", []Handle{hs[0], hs[2]})
				if err != nil {
					t.Fatal(err)
				}
				if other, err = set.Leg("r1", []Handle{hs[1], hs[2]}); err != nil {
					t.Fatal(err)
				}
				return one, other
			}
			was, others := legs(w.Set, "wait for some", "")
			ask(t, was, 2*fair, "wait")
			replace(t, s.Path, s.Path, []byte("changed"))
			next := w.prepare(t, s)
			next.Activate()
			is, _ := legs(next, tt.provider, tt.mapper)
			for range enough {
				ask(t, is, 2*fair, "wait")
			}
			ask(t, others, time.Minute, "x") // after what is heard of the first one
			window := time.Minute
			if tt.want == "" {
				window = 2 * stuckAfter
			}
			err := next.Healthy(t.Context(), w.Set, window)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
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

// What fails, and not often enough to go back for, is told of; what worked once, says no, or is of another set, is not.
func TestFailing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do     string
		tokens []string
		want   string
	}{
		"never asked": {"fail", nil, ""},
		"fails":       {"fail", []string{"x"}, "plugin p: every call of its principal-mapper(badge) of tenant t fails, the last one with: login failed: client_secret=[hidden] and more"},
		"says no":     {"fail or deny", []string{"no"}, ""},
		"worked once": {"fail or deny", []string{"yes", "x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			next, _, is := w.successor(t, s, "", tt.do)
			for _, token := range tt.tokens {
				ask(t, is, time.Minute, token)
			}
			if err := next.Healthy(t.Context(), w.Set, 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			got := next.Failing()
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || got[0] != Failing{"p", tt.want}) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got := w.Failing(); len(got) > 0 {
				t.Errorf("of the former set: %q", got)
			}
		})
	}
	w := newWorld(t, nil, source(t, "p", "good"))
	for range 3 {
		_ = within(t, w.leg(t, w.mapper(t, "fail")), time.Minute, "x")
	}
	if got := w.Failing(); len(got) != 1 || !strings.HasSuffix(got[0].Detail, " (so it is with 2 more of its parts)") {
		t.Errorf("%q", got)
	}
}

// What fails at first, and what nothing stood in the place of, is no reason to go back.
func TestHealthyWithoutPredecessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	l := w.leg(t, w.mapper(t, "fail"))
	for range 2 * enough {
		_ = within(t, l, time.Minute, "x")
	}
	if err := w.Healthy(t.Context(), nil, 200*time.Millisecond); err != nil {
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
	if err := w.Healthy(t.Context(), nil, 200*time.Millisecond); err != nil {
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
	if err := w.Healthy(t.Context(), nil, time.Minute); err == nil {
		t.Fatal("a plugin that was killed stayed well")
	}
	pids := w.pids() // the last one is q's
	next := w.prepare(t, all...)
	if got := next.Fresh(); !slices.Equal(got, []string{"p", "q"}) {
		t.Errorf("watched anew: %v", got)
	}
	if now := w.pids(); len(now) != len(pids)+1 || !slices.Contains(now, pids[len(pids)-1]) {
		t.Errorf("%v, then %v", pids, now)
	}
}

// Calls of a set that was given up say nothing about the next one, which has the same process: neither those before it is watched
// nor those meanwhile.
func TestHealthyWithoutCallsOfOthers(t *testing.T) {
	t.Parallel()
	s := own(t, source(t, "p", "good"))
	w := newWorld(t, nil, s)
	given, was, bad := w.successor(t, s, "", "fail")
	ask(t, was, time.Minute, "x")
	given.c.unproven(given.starts())
	next := w.prepare(t, s)
	if got := next.Fresh(); !slices.Equal(got, []string{"p"}) {
		t.Fatalf("watched: %v", got)
	}
	_, ds := next.Configure(t.Context(), []Instance{{Kind: sdk.KindPrincipalMapper, Type: "badge", Setup: sdk.Setup{Tenant: "t"}}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	for range enough {
		ask(t, bad, time.Minute, "x")
	}
	found := make(chan error, 1)
	go func() { found <- next.Healthy(t.Context(), w.Set, time.Second) }()
	p := given.starts()[0].p
	waitFor(t, "it is watched", func() bool { return len(p.ails.watching()) > 0 })
	for range enough {
		ask(t, bad, time.Minute, "x")
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// Only one that did what it was to do when it was asked last shows that the one in its place could.
func TestHealthyBesideWhatNeverWorked(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]struct {
		do     string
		tokens []string
	}{
		"never asked":  {"", nil},
		"failed twice": {"fail", []string{"x", "x"}},
		"fails by now": {"fail or deny", []string{"yes", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			next, was, is := w.successor(t, s, before.do, "fail")
			for _, token := range before.tokens {
				ask(t, was, time.Minute, token)
			}
			for range enough {
				ask(t, is, time.Minute, "x")
			}
			if err := next.Healthy(t.Context(), w.Set, 200*time.Millisecond); err != nil {
				t.Error(err)
			}
		})
	}
}

// A broker that publishes keys, which anybody can ask for, and cannot sign is no better for it; one that is asked too much may be.
func TestHealthyBroker(t *testing.T) {
	t.Parallel()
	for do, want := range map[string]string{"": "", "busy": "", "fail": "every call of its token-broker(badge) of realm r1 (issue) fails, the last one with: this build signs nothing"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			of := func(set *Set, do string) *Broker {
				hs, ds := set.Configure(t.Context(), []Instance{{Kind: sdk.KindTokenBroker, Type: "badge", Settings: []byte(`{"do":"` + do + `"}`), Setup: sdk.Setup{Realm: "r1", Issuer: "i", Audience: []string{"a"}}}})
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				return set.Broker(hs[0], "r1")
			}
			s := own(t, source(t, "p", "good"))
			w := newWorld(t, nil, s)
			was := of(w.Set, "")
			if _, err := was.Issue(t.Context(), sdk.Grant{ClientID: "c"}); err != nil {
				t.Fatal(err)
			}
			replace(t, s.Path, s.Path, []byte("changed"))
			next := w.prepare(t, s)
			next.Activate()
			is := of(next, do)
			for range enough {
				if _, _, err := is.Keys(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := is.Issue(t.Context(), sdk.Grant{ClientID: "c"}); (err == nil) != (do == "") {
					t.Fatal(err)
				}
			}
			err := next.Healthy(t.Context(), w.Set, 200*time.Millisecond)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// There is no way back to a plugin that has no process.
func TestHealthyBesideWhatIsGone(t *testing.T) {
	t.Parallel()
	s := own(t, source(t, "p", "gated")) // nothing starts while there is a mark
	s.Env["MARK"] = filepath.Join(t.TempDir(), "mark")
	w := newWorld(t, nil, s)
	next, was, is := w.successor(t, s, "", "fail")
	ask(t, was, time.Minute, "x")
	for range enough {
		ask(t, is, time.Minute, "x")
	}
	if err := os.WriteFile(s.Env["MARK"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.kill(t)
	gone := w.plugins[0]
	waitFor(t, "it is gone", func() bool { _, err := gone.all()[0].at(); return err != nil })
	if err := next.Healthy(t.Context(), w.Set, 200*time.Millisecond); err != nil {
		t.Error(err)
	}
}
