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
	"github.com/realmgate/realmgate/sdk/breaker"
)

// falling gives a source whose parts end their process when they are told to, and what counts how often they did.
func falling(t *testing.T, mode string) (Source, func() int) {
	mark := filepath.Join(t.TempDir(), "mark")
	s := source(t, "p", mode)
	s.Env["MARK"] = mark
	return s, func() int {
		b, _ := os.ReadFile(mark)
		return len(b)
	}
}

func mustRef(t *testing.T, text string) sdk.SecretRef {
	t.Helper()
	ref, err := sdk.ParseSecretRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// beside makes a decision that goes on until the function is called that it gives; it may be made once more meanwhile.
func (w *world) beside(t *testing.T) (end func()) {
	t.Helper()
	mark := filepath.Join(t.TempDir(), "mark")
	l, done := w.leg(t, w.mapper(t, "await")), make(chan error, 1)
	go func() { done <- within(t, l, 30*time.Second, mark) }()
	waitFor(t, "a call is under way", func() bool { _, err := os.Stat(mark + ".awaited"); return err == nil })
	return func() {
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("the call beside: %v", err)
		}
	}
}

// A call that its process did not live to answer is made once more where the contract lets it, and nowhere else.
func TestLostCalls(t *testing.T) {
	t.Parallel()
	type made struct {
		w                         *world
		mapper, broker, store, vd Handle
	}
	ref := func(t *testing.T, path string) sdk.SecretRef { return mustRef(t, "urn:realmgate-secret:store:"+path) }
	tests := map[string]struct {
		call     func(context.Context, *testing.T, made) error
		repeated bool
	}{
		"decision": {func(ctx context.Context, t *testing.T, m made) error {
			got, err := m.w.mapSubject(t, m.mapper, "r1", "alice")
			if err == nil && got.Name != "alice" {
				t.Error(got)
			}
			return err
		}, true},
		"keys": {func(ctx context.Context, _ *testing.T, m made) error {
			_, _, err := m.w.Broker(m.broker, "r1").Keys(ctx)
			return err
		}, true},
		"resolve": {func(ctx context.Context, t *testing.T, m made) error {
			_, err := m.w.Resolver(m.store).Resolve(ctx, ref(t, "falls/once"))
			return err
		}, true},
		"issue": {func(ctx context.Context, _ *testing.T, m made) error {
			_, err := m.w.Broker(m.broker, "r1").Issue(ctx, sdk.Grant{ClientID: "falls"})
			return err
		}, false},
		"write": {func(ctx context.Context, t *testing.T, m made) error {
			_, err := m.w.Resolver(m.store).WriteSecret(ctx, ref(t, "falls"), []byte("x"))
			return err
		}, false},
		"delete": {func(ctx context.Context, t *testing.T, m made) error {
			return m.w.Resolver(m.store).DeleteSecret(ctx, ref(t, "falls"))
		}, false},
		"vend": {func(ctx context.Context, _ *testing.T, m made) error {
			_, err := m.w.Vendor(m.vd, "r1").Vend(ctx, sdk.VendRequest{Connection: sdk.Connection{Name: "falls", Realm: "r1", Authentication: []byte(`{}`)}})
			return err
		}, false},
		"sign": {func(ctx context.Context, _ *testing.T, m made) error {
			_, err := m.w.Vendor(m.vd, "r1").Sign(ctx, sdk.SignRequest{Connection: sdk.Connection{Name: "falls", Realm: "r1", Authentication: []byte(`{}`)}})
			return err
		}, false},
	}
	for _, mode := range []string{"good", "unary"} {
		for name, tt := range tests {
			t.Run(mode+" "+name, func(t *testing.T) {
				t.Parallel()
				src, fallen := falling(t, mode)
				w := newWorld(t, nil, src)
				once := []byte(`{"do":"exit once"}`)
				hs, ds := w.Configure(t.Context(), []Instance{
					{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: once, Setup: sdk.Setup{Tenant: "t"}},
					{Kind: sdk.KindTokenBroker, Type: "badge", Settings: once, Setup: sdk.Setup{Realm: "r1", Issuer: "i", Audience: []string{"a"}}},
					{Kind: sdk.KindSecretResolver, Type: "badge", Setup: sdk.Setup{Store: "store"}},
					{Kind: sdk.KindCredentialVendor, Type: "badge"},
				})
				if len(ds) > 0 {
					t.Fatal(ds)
				}
				beside := w.beside(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				err := tt.call(ctx, t, made{w, hs[0], hs[1], hs[2], hs[3]})
				beside()
				c := w.Counts()["p"]
				if tt.repeated {
					if err != nil || c.Retries != 2 || c.Calls[OutcomeLost] != 2 || c.Calls[OutcomeDone] != 2 {
						t.Errorf("%v, %+v", err, c)
					}
				} else if !errors.Is(err, ErrUnavailable) || c.Retries != 1 {
					t.Errorf("%v, %+v", err, c)
				}
				waitFor(t, "the plugin was restarted", func() bool { return w.Plugins()[0].Restarts == 1 })
				if n := fallen(); n != 1 {
					t.Errorf("the call came %d times", n)
				}
			})
		}
	}
}

// A plugin that does not come back does not keep a call waiting to the end of its time; nor is a call made a third time.
func TestLostCallIsGivenUp(t *testing.T) {
	t.Parallel()
	src, fallen := falling(t, "good")
	w := newWorld(t, nil, src)
	h := w.mapper(t, "exit always")
	l := w.leg(t, w.mapper(t, "wait"))
	done := make(chan error, 1)
	ctx, giveUp := context.WithTimeout(t.Context(), time.Minute)
	defer giveUp()
	go func() {
		done <- l.Run(ctx, &sdk.State{Request: &sdk.Request{Realm: "r1"}, Identity: &sdk.Identity{Subject: "x"}})
	}()
	waitFor(t, "a call is under way", func() bool { return w.Plugins()[0].Calls == 1 })
	start := time.Now()
	if _, err := w.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if n := fallen(); n != 2 || time.Since(start) > 9*time.Second {
		t.Errorf("the call came %d times, and took %v", n, time.Since(start))
	}
	giveUp()
	if err := <-done; err == nil {
		t.Error("who waits for nothing has an answer")
	}

	gone := newWorld(t, nil, func() Source { s, _ := falling(t, "gated"); return s }())
	h = gone.mapper(t, "exit always") // which leaves the mark without which alone a process starts
	start = time.Now()
	if _, err := gone.mapSubject(t, h, "r1", "x"); !errors.Is(err, ErrUnavailable) || time.Since(start) > 9*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// A call that was alone when its process ended is not made once more, and closes the way of its realm only.
func TestCallThatEndsItsPlugin(t *testing.T) {
	t.Parallel()
	src, fallen := falling(t, "good")
	w := newWorld(t, nil, src)
	falls, fine := w.leg(t, w.mapper(t, "exit always")), w.leg(t, w.mapper(t, ""))
	for n := 1; n <= 5; n++ {
		w.ready(t)
		if err := within(t, falls, 20*time.Second, "x"); !errors.Is(err, ErrUnavailable) || fallen() != n {
			t.Fatalf("call %d: it came %d times: %v", n, fallen(), err)
		}
		waitFor(t, "the plugin was restarted", func() bool { return w.Plugins()[0].Restarts == n })
	}
	w.ready(t)
	waitFor(t, "the way is closed", falls.gate.Open)
	if err := within(t, fine, 20*time.Second, "x"); err != nil {
		t.Errorf("another realm: %v", err)
	}
	if c := w.Counts()["p"]; c.Retries != 0 || w.Plugins()[0].BreakerOpen {
		t.Errorf("%+v", c)
	}
}

// Who was not answered by a process that hung is answered by the one in its place, however long the rest was to be; a way whose
// calls ended the process rests on.
func TestWaysToAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		signal syscall.Signal
		open   bool
	}{"hung": {syscall.SIGSTOP, false}, "ended": {syscall.SIGKILL, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) { o.ProbeInterval, o.DescribeTimeout = 100*time.Millisecond, 2*time.Second }, source(t, "p", "good"))
			l := w.leg(t, w.mapper(t, ""))
			l.gate = breaker.New(breaker.Config{Failures: 1, Rest: time.Hour, MaxRest: time.Hour, Moved: func(open bool) { l.p.ways.move(w.Set, &l.way, open) }})
			pass, err := l.gate.Enter()
			if err != nil {
				t.Fatal(err)
			}
			pass.Leave(breaker.Bad)
			if err := syscall.Kill(w.pids()[0], tt.signal); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "there is another process", func() bool { return w.Plugins()[0].Restarts == 1 })
			w.ready(t)
			err = within(t, l, time.Minute, "x")
			if tt.open != errors.Is(err, ErrUnavailable) || tt.open != l.gate.Open() || !tt.open && err != nil {
				t.Errorf("%v, open %v", err, l.gate.Open())
			}
		})
	}
}

// within runs a leg of one mapper with little time.
func within(t *testing.T, l *Leg, d time.Duration, subject string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return l.Run(ctx, &sdk.State{Request: &sdk.Request{Realm: "r1"}, Identity: &sdk.Identity{Subject: subject}})
}

func (w *world) leg(t *testing.T, h Handle) *Leg {
	t.Helper()
	l, err := w.Leg("r1", []Handle{h})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A realm whose provider hangs is told at once, and nobody else is hindered.
func TestHangingProviderClosesItsOwnWayOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	slow, fine := w.leg(t, w.mapper(t, "wait")), w.leg(t, w.mapper(t, ""))
	for n := range 5 {
		if err := within(t, slow, 2*fair, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	err := within(t, slow, time.Minute, "x")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no answer in time too often") {
		t.Fatalf("after five deadlines: %v", err)
	}
	time.Sleep(stuckAfter + stuckAfter/2) // that nothing happens cannot be waited for
	if err := within(t, fine, time.Minute, "x"); err != nil {
		t.Errorf("another realm: %v", err)
	}
	if s := w.Plugins()[0]; s.State != StateReady || s.BreakerOpen {
		t.Errorf("%+v", s)
	}
	if c := w.Counts()["p"].Calls; c[OutcomeDeadline] != 5 || c[OutcomeUnavailable] != 1 || c[OutcomeDone] != 1 {
		t.Errorf("%v", c)
	}
}

// Whose way is closed can be seen, until it is open again, or the configuration is gone; the log says both once.
func TestClosedWaysAreSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	second := w.prepare(t, source(t, "p", "good")) // keeps the plugin
	leg := w.leg(t, w.mapper(t, "wait for some"))
	hs, ds := w.Configure(t.Context(), []Instance{{Kind: sdk.KindSecretResolver, Type: "badge", Setup: sdk.Setup{Store: "ops"}}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	store := w.Resolver(hs[0])
	for range enough {
		_ = within(t, leg, 2*fair, "wait")
		ctx, cancel := context.WithTimeout(t.Context(), 2*fair)
		_, _ = store.Resolve(ctx, mustRef(t, "urn:realmgate-secret:ops:wait"))
		cancel()
	}
	if got := w.Plugins()[0].ClosedTo; !slices.Equal(got, []string{"realm r1", "secret store ops"}) {
		t.Errorf("closed to %q", got)
	}
	waitFor(t, "the way of the realm opens", func() bool { return within(t, leg, time.Minute, "x") == nil })
	if got := w.Plugins()[0].ClosedTo; !slices.Equal(got, []string{"secret store ops"}) {
		t.Errorf("closed to %q", got)
	}
	log := w.log.String()
	for said, want := range map[string]int{
		`"@message":"there was no answer in time too often, or the plugin ended instead: `: 2, `"@message":"the plugin can be called again"`: 1, `"realm":"r1"`: 2, `"secret_store":"ops"`: 1,
	} {
		if n := strings.Count(log, said); n != want {
			t.Errorf("%s: %d times, want %d", said, n, want)
		}
	}
	w.Set.Close(t.Context())
	if got := w.Plugins()[0].ClosedTo; len(got) > 0 || len(second.Failed()) > 0 {
		t.Errorf("closed to %q, although the set is", got)
	}
}

// A plugin that is well again is found so without a call.
func TestFailingEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ProbeInterval = 100 * time.Millisecond }, source(t, "p", "good"))
	h := w.mapper(t, "hang for a while")
	for range enough {
		if err := within(t, w.leg(t, h), 2*fair, "hang"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	waitFor(t, "it fails", func() bool { return w.Plugins()[0].State == StateFailing })
	waitFor(t, "it is ready", func() bool { s := w.Plugins()[0]; return s.State == StateReady && !s.BreakerOpen })
	if c := w.Counts()["p"].Calls; c[OutcomeDone] != 0 || w.Plugins()[0].Restarts != 0 {
		t.Errorf("%v", c)
	}
}

// A plugin that does not let go of what the host gave up is left alone, and found again by one call after a rest.
func TestHangingPluginIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "hang for some")
	other := w.leg(t, w.mapper(t, ""))
	for range 5 {
		if err := within(t, w.leg(t, h), 2*fair, "hang"); !errors.Is(err, context.DeadlineExceeded) { // each by a way of its own
			t.Fatal(err)
		}
	}
	waitFor(t, "the breaker opens", func() bool { s := w.Plugins()[0]; return s.BreakerOpen && s.Stuck == 5 })
	if s := w.Plugins()[0]; s.State != StateFailing || s.LastError == "" || time.Since(s.Since) > time.Minute {
		t.Errorf("%v %q since %v", s.State, s.LastError, s.Since)
	}
	if err := w.Ready(h); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	if err := within(t, other, time.Minute, "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("while it is left alone: %v", err)
	}
	waitFor(t, "a call closes the breaker", func() bool { return within(t, other, time.Minute, "x") == nil })
	if s := w.Plugins()[0]; s.State != StateReady || s.BreakerOpen {
		t.Errorf("%+v", s)
	}
	if log := w.log.String(); strings.Count(log, "fails again and again") != 1 || strings.Count(log, "can be called again") != 1 {
		t.Error("the log does not say once what became of it")
	}
}

// Whoever answers works: neither a no nor a failure opens anything; and what had no time says nothing.
func TestAnswersOpenNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	fails, panics, waits := w.leg(t, w.mapper(t, "fail")), w.leg(t, w.mapper(t, "panic")), w.leg(t, w.mapper(t, "wait"))
	for range 10 {
		_ = within(t, fails, time.Minute, "x")
		_ = within(t, panics, time.Minute, "x")
		_ = within(t, waits, time.Millisecond, "x")
	}
	for name, l := range map[string]*Leg{"fails": fails, "panics": panics, "waits": waits} {
		if l.gate.Open() {
			t.Errorf("%s: the way is closed", name)
		}
	}
	if c := w.Counts()["p"].Calls; c[OutcomeFailed] != 20 || c[OutcomeDeadline] != 10 || w.Plugins()[0].BreakerOpen {
		t.Errorf("%v %+v", c, w.Plugins()[0])
	}
}

// A process that does not answer a probe makes the plugin failing, before it is killed.
func TestMissedProbeIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ProbeInterval, o.DescribeTimeout = 200*time.Millisecond, 2*time.Second }, source(t, "p", "good"))
	suspend(t, w.pids()[0])
	waitFor(t, "a missed probe", func() bool { return w.Plugins()[0].State == StateFailing })
	waitFor(t, "it is ready again", func() bool { s := w.Plugins()[0]; return s.Restarts == 1 && s.State == StateReady })
}
