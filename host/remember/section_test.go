package remember

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// What differs in anything that an answer depends on is another request.
func TestWhatIsAnotherRequest(t *testing.T) {
	w, l := newWorld(), &leg{}
	s := w.Section()
	a, b := w.plan(t, "a", l, s), w.plan(t, "b", l, s)
	ask := func(p *pipeline.Plan, r sdk.Request) func() {
		return func() {
			if d := p.Decide(t.Context(), r); d.Verdict != pipeline.Allowed || d.Realm != p.Realm() {
				t.Errorf("%+v", d)
			}
		}
	}
	cert := func(raw string) sdk.Request { r := bearer("x"); r.PeerCertificate = []byte(raw); return r }
	first := ask(a, bearer("x"))
	for _, tt := range []struct {
		name string
		do   func()
		anew bool
	}{
		{"the first", first, true},
		{"the same", first, false},
		{"from another peer", ask(a, sdk.Request{Scheme: "bearer", Token: "x", Peer: "192.0.2.1:5"}), false},
		{"another realm", ask(b, bearer("x")), true},
		{"another token", ask(a, bearer("y")), true},
		{"a longer token", ask(a, bearer("xx")), true},
		{"another scheme", ask(a, sdk.Request{Scheme: "dpop", Token: "x"}), true},
		{"with a certificate", ask(a, cert("1")), true},
		{"with it again", ask(a, cert("1")), false},
		{"with another certificate", ask(a, cert("2")), true},
		{"what was there", first, false},
		{"in another epoch", func() { w.epochs.set("a", 2); first() }, true},
		{"again in it", first, false},
		{"the other realm has its own epoch", ask(b, bearer("x")), false},
		{"in another generation", ask(w.plan(t, "a", l, w.Section()), bearer("x")), true},
		{"back in the first", first, false},
		{"while nothing may be remembered", func() { w.epochs.set("a", 0); first(); first() }, true},
		{"a huge token", ask(a, bearer(strings.Repeat("x", maxKeyed))), true},
	} {
		before := l.count()
		tt.do()
		if (l.count() > before) != tt.anew {
			t.Errorf("%s: decided anew: %v", tt.name, !tt.anew)
		}
		if tt.name == "while nothing may be remembered" {
			if l.count() != before+2 {
				t.Errorf("%s: decided %d times, want 2", tt.name, l.count()-before)
			}
			w.epochs.set("a", 3)
		}
	}
	before := l.count()
	for range 2 {
		ask(a, bearer(strings.Repeat("x", maxKeyed)))()
	}
	if l.count() != before+2 {
		t.Error("a huge token was remembered")
	}
}

// Parts of different lengths never make one text.
func TestKeysTellPartsApart(t *testing.T) {
	k := newKeys()
	seen := map[key]sdk.Request{}
	for _, r := range []sdk.Request{
		{Scheme: "a", Token: "bc"}, {Scheme: "ab", Token: "c"}, {Scheme: "a", Token: "b", PeerCertificate: []byte("c")}, {Scheme: "", Token: "abc"}, {Scheme: "abc"},
		{Scheme: "a", Token: "b\x00\x00\x00\x01c"},
	} {
		sum := k.of(1, "r", r)
		if other, dup := seen[sum]; dup {
			t.Errorf("%+v and %+v have one key", r, other)
		}
		seen[sum] = r
		if sum != k.of(1, "r", r) {
			t.Error("a key changes")
		}
		if sum == newKeys().of(1, "r", r) {
			t.Error("two processes have one key")
		}
	}
	if k.of(1, "ra", sdk.Request{Scheme: "b"}) == k.of(1, "r", sdk.Request{Scheme: "ab"}) {
		t.Error("a realm runs into the scheme")
	}
}

// An answer without a credential cannot be told from another: it is never kept.
func TestWithoutCredential(t *testing.T) {
	w, l := newWorld(), &leg{}
	p := w.plan(t, "a", l, w.Section(), func(c *pipeline.Config) { c.External.Schemes = []string{"", "bearer"} })
	for i, r := range []sdk.Request{{PeerCertificate: []byte("x")}, {Scheme: "bearer"}, {Token: "x"}, {Scheme: "bearer", Token: "x", HTTP: &sdk.HTTPMessage{}}} {
		p.Decide(t.Context(), r)
		p.Decide(t.Context(), r)
		if n := 2 * (i + 1); l.count() != n || w.Stats().Passed != uint64(n) {
			t.Errorf("%+v was remembered: %+v", r, w.Stats())
		}
	}
}

func TestHowLong(t *testing.T) {
	deny := func(context.Context, *sdk.State) error { return sdk.Deny("signature_invalid", "no") }
	live := func(d time.Duration) func(context.Context, *sdk.State) error {
		return func(_ context.Context, s *sdk.State) error { s.Credential.Expires = start.Add(d); return nil }
	}
	hint := func(h sdk.CacheHint, err error) func(context.Context, *sdk.State) error {
		return func(_ context.Context, s *sdk.State) error { s.Cache = h; return err }
	}
	for _, tt := range []struct {
		name         string
		act          func(context.Context, *sdk.State) error
		wall, steady time.Duration
		anew         bool
	}{
		{"the maximum, not yet", nil, 59 * time.Second, 59 * time.Second, false},
		{"the maximum", nil, time.Minute, time.Minute, true},
		{"a clock put forward", nil, time.Hour, time.Second, true},
		{"a clock put back", nil, -time.Hour, 59 * time.Second, false},
		{"a clock put back does not prolong", nil, -time.Hour, time.Minute, true},
		{"expiry, not yet", live(5 * time.Second), 4 * time.Second, 4 * time.Second, false},
		{"expiry", live(5 * time.Second), 5 * time.Second, 5 * time.Second, true},
		{"expiry by the wall clock", live(5 * time.Second), 5 * time.Second, 0, true},
		{"a stage, not yet", hint(sdk.CacheHint{MaxAge: time.Second}, nil), 0, time.Second - 1, false},
		{"a stage", hint(sdk.CacheHint{MaxAge: time.Second}, nil), 0, time.Second, true},
		{"never", hint(sdk.CacheHint{NoStore: true}, nil), 0, 0, true},
		{"a denial, not yet", deny, 0, 2*time.Second - 1, false},
		{"a denial", deny, 0, 2 * time.Second, true},
		{"a denial, never", hint(sdk.CacheHint{NoStore: true}, sdk.Deny("key_unknown", "")), 0, 0, true},
		{"unavailable", hint(sdk.CacheHint{MaxAge: time.Minute}, errors.New("down")), 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, l := newWorld(), &leg{act: tt.act}
			p := w.plan(t, "a", l, w.Section())
			first := p.Decide(t.Context(), bearer("x"))
			w.pass(tt.wall, tt.steady)
			again := p.Decide(t.Context(), bearer("x"))
			if (l.count() == 2) != tt.anew || first.Verdict != again.Verdict && !strings.HasPrefix(tt.name, "expiry") {
				t.Errorf("decided %d times: %v, %v", l.count(), first.Verdict, again.Verdict)
			}
			if l.count() == 1 && (again.CacheFor <= 0 || again.CacheFor > first.CacheFor-max(tt.wall, tt.steady)) {
				t.Errorf("it holds for another %v, of %v", again.CacheFor, first.CacheFor)
			}
			stats := w.Stats()
			counted := stats.Plan
			if strings.HasSuffix(tt.name, "never") || tt.name == "unavailable" {
				counted = stats.Unremembered
			}
			if counted != uint64(l.count()) || stats.Plan+stats.Unremembered != counted {
				t.Errorf("decided %d times, counted %+v", l.count(), stats)
			}
		})
	}
}

// What a realm does not want remembered is not, and it does not take the other kind with it.
func TestOffByRealm(t *testing.T) {
	deny := func(context.Context, *sdk.State) error { return sdk.Deny("signature_invalid", "no") }
	for name, tt := range map[string]struct {
		change func(*pipeline.Config)
		act    func(context.Context, *sdk.State) error
		want   int
	}{
		"allowed, off":             {func(c *pipeline.Config) { c.MaxCache = 0 }, nil, 2},
		"allowed, denials off":     {func(c *pipeline.Config) { c.MaxDenied = 0 }, nil, 1},
		"denied, off":              {func(c *pipeline.Config) { c.MaxDenied = 0 }, deny, 2},
		"denied, allowed off":      {func(c *pipeline.Config) { c.MaxCache = 0 }, deny, 1},
		"the request is looked at": {func(c *pipeline.Config) { c.External.NeedsHTTP = true }, nil, 2},
	} {
		w, l := newWorld(), &leg{act: tt.act}
		p := w.plan(t, "a", l, w.Section(), tt.change)
		p.Decide(t.Context(), bearer("x"))
		p.Decide(t.Context(), bearer("x"))
		if l.count() != tt.want {
			t.Errorf("%s: decided %d times, want %d", name, l.count(), tt.want)
		}
	}
}

// An answer that was worked out while the realm changed may be of the time before: it is given, but not kept.
func TestChangeDuringADecision(t *testing.T) {
	w, l := newWorld(), &leg{}
	p := w.plan(t, "a", l, w.Section())
	l.act = func(context.Context, *sdk.State) error { w.epochs.set("a", 2); return nil }
	p.Decide(t.Context(), bearer("x"))
	if n := w.Stats().AllowedEntries; n != 0 {
		t.Errorf("%d answers are kept", n)
	}
	// Also if the epoch comes to be the one of the request again, which a directory never does.
	w.epochs.set("a", 1)
	p.Decide(t.Context(), bearer("x"))
	if l.count() != 2 {
		t.Error("the answer of the time before was given again")
	}
}

// A generation that has ended leaves nothing behind, also nothing that comes late, and takes nothing of others with it.
func TestClose(t *testing.T) {
	w, l := newWorld(), &leg{}
	old, next := w.Section(), w.Section()
	before, after := w.plan(t, "a", l, old), w.plan(t, "a", l, next)
	denied := &leg{act: func(context.Context, *sdk.State) error { return sdk.Deny("token_expired", "") }}
	bad := w.plan(t, "b", denied, old)
	for _, p := range []*pipeline.Plan{before, after, bad} {
		p.Decide(t.Context(), bearer("x"))
	}
	if s := w.Stats(); s.AllowedEntries != 2 || s.DeniedEntries != 1 {
		t.Fatalf("%+v", s)
	}
	l.act = func(context.Context, *sdk.State) error { old.Close(); return nil }
	if d := before.Decide(t.Context(), bearer("late")); d.Verdict != pipeline.Allowed {
		t.Errorf("%v", d.Verdict)
	}
	if s := w.Stats(); s.AllowedEntries != 1 || s.DeniedEntries != 0 {
		t.Errorf("%+v", s)
	}
	n := l.count()
	if after.Decide(t.Context(), bearer("x")); l.count() != n {
		t.Error("the other generation's answer went, too")
	}
}

// What a caller does with an answer, nobody else sees.
func TestAnswersAreNotShared(t *testing.T) {
	w, l := newWorld(), &leg{}
	p := w.plan(t, "a", l, w.Section())
	want := p.DecideAnew(t.Context(), bearer("x"))
	for range 3 {
		d := p.Decide(t.Context(), bearer("x"))
		if !reflect.DeepEqual(d, want) {
			t.Fatalf("%+v\nwant %+v", d, want)
		}
		_ = append(d.Roles, "admin")
		_ = append(d.Principal.Roles, "admin")
		if len(d.Principal.Roles) != 2 || d.Principal.Roles[0] != "ops" {
			t.Errorf("one list ran into the other: %v", d.Principal.Roles)
		}
		d.Roles[0], d.Principal.Roles[0], d.Principal.Attributes["team"], d.Principal.Name = "admin", "admin", "b", "root"
	}
	l.act = func(context.Context, *sdk.State) error { return &sdk.Denial{Reason: "no"} }
	for range 3 {
		if d := p.Decide(t.Context(), bearer("bad")); d.Denial.Reason != "no" {
			t.Errorf("%+v", d.Denial)
		} else {
			d.Denial.Reason = "yes"
		}
	}
}

// Bad tokens push out bad ones only.
func TestFloodOfBadTokens(t *testing.T) {
	w, l := newWorld(), &leg{}
	p := w.plan(t, "a", l, w.Section())
	p.Decide(t.Context(), bearer("good"))
	l.act = func(context.Context, *sdk.State) error { return sdk.Deny("signature_invalid", "no") }
	const flood = 5000
	for i := range flood {
		p.Decide(t.Context(), bearer("bad"+strings.Repeat("x", i)))
	}
	w.denied.CleanUp()
	if s := w.Stats(); s.DeniedBytes > 1<<20 || s.DeniedEntries == 0 || s.DeniedEntries >= flood {
		t.Errorf("%+v", s)
	}
	n := l.count()
	if d := p.Decide(t.Context(), bearer("good")); d.Verdict != pipeline.Allowed || l.count() != n {
		t.Errorf("%v, decided anew: %v", d.Verdict, l.count() > n)
	}
	w.Limit(Limits{Allowed: 1, Denied: 1})
	w.allowed.CleanUp()
	w.denied.CleanUp()
	if s := w.Stats(); s.AllowedEntries+s.DeniedEntries != 0 {
		t.Errorf("other limits are not kept: %+v", s)
	}
}

// Where a stage does not say that its answers may be remembered, no request waits for the answer to an equal one, from the first on:
// it would take the time that it needs to be decided itself.
func TestAloneFromTheFirst(t *testing.T) {
	w := newWorld()
	var inside atomic.Int32
	both := make(chan struct{})
	l := &leg{act: func(ctx context.Context, st *sdk.State) error {
		if inside.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
		case <-ctx.Done():
			return ctx.Err()
		}
		st.Cache.NoStore = true
		return nil
	}}
	p := w.plan(t, "a", l, w.Section(), func(c *pipeline.Config) { c.Alone = true })
	var users sync.WaitGroup
	for range 2 {
		users.Go(func() {
			if d := p.Decide(t.Context(), bearer("x")); d.Verdict != pipeline.Allowed {
				t.Errorf("%v %v", d.Verdict, d.Err)
			}
		})
	}
	users.Wait()
}
