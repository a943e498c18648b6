package verified

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// call is one of a realm in an epoch.
type call struct {
	sdk.UnimplementedCall
	epoch uint64
}

func (c call) Epoch() uint64 { return c.epoch }

func in(t testing.TB, epoch uint64) context.Context {
	return sdk.WithCall(t.Context(), call{epoch: epoch})
}

func memory(t testing.TB, s *Settings) *Memory {
	t.Helper()
	m, err := New(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// asked says whether a token's signature had to be checked. It is good.
func asked(t testing.TB, m *Memory, epoch uint64, x Token) bool {
	t.Helper()
	asked := false
	if !m.Verify(in(t, epoch), x, func() bool { asked = true; return true }) {
		t.Fatal("a good token is refused")
	}
	return asked
}

// What a verification depends on is in the key: change any of it, and the token is verified anew.
func TestKnownOnlyAsItWas(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good := Token{Realm: "r", Keys: "k", Text: "a.b.c", Now: now, Expires: now.Add(time.Hour)}
	with := func(f func(*Token)) Token { x := good; f(&x); return x }
	for name, c := range map[string]struct {
		x     Token
		epoch uint64
		asked bool
	}{
		"the same":                     {good, 7, false},
		"at the end of its time":       {with(func(x *Token) { x.Now = now.Add(5*time.Minute - 1) }), 7, false},
		"past its time":                {with(func(x *Token) { x.Now = now.Add(5 * time.Minute) }), 7, true},
		"a clock that was put back":    {with(func(x *Token) { x.Now = now.Add(-time.Second) }), 7, true},
		"another realm":                {with(func(x *Token) { x.Realm = "s" }), 7, true},
		"another signature":            {with(func(x *Token) { x.Text = "a.b.d" }), 7, true},
		"other keys":                   {with(func(x *Token) { x.Keys = "l" }), 7, true},
		"parts that are cut elsewhere": {with(func(x *Token) { x.Keys, x.Text = "ka", ".b.c" }), 7, true},
		"another epoch":                {good, 8, true},
		"nothing may be remembered":    {good, 0, true},
	} {
		m := memory(t, nil)
		if !asked(t, m, 7, good) {
			t.Fatal("known from the start")
		}
		if got := asked(t, m, c.epoch, c.x); got != c.asked {
			t.Errorf("%s: asked %v", name, got)
		}
	}
	m := memory(t, nil)
	soon := with(func(x *Token) { x.Expires = now.Add(time.Second) })
	asked(t, m, 7, soon)
	soon.Now = now.Add(time.Second)
	if !asked(t, m, 7, soon) {
		t.Error("known beyond its expiry")
	}
	never := with(func(x *Token) { x.Expires = time.Time{} })
	asked(t, m, 7, never)
	if asked(t, m, 7, never) {
		t.Error("a token without an expiry is not known")
	}
}

// What is not good is asked about each time, also right after it was good under other keys.
func TestBadIsNeverKnown(t *testing.T) {
	t.Parallel()
	m, n := memory(t, nil), 0
	x := Token{Keys: "k", Text: "bad", Now: time.Now()}
	for range 3 {
		if m.Verify(in(t, 1), x, func() bool { n++; return false }) {
			t.Fatal("a bad token is good")
		}
	}
	if n != 3 {
		t.Errorf("asked %d times", n)
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	m := memory(t, &Settings{})
	x := Token{Text: "t", Now: time.Now()}
	if m != nil || !asked(t, m, 1, x) || !asked(t, m, 1, x) {
		t.Error("max_age = 0 remembers")
	}
	if _, err := New(t.Context(), &Settings{MaxAge: sdk.Duration(time.Hour + 1)}); err == nil {
		t.Error("more than an hour is taken")
	}
	var tagged struct {
		V Settings `json:"v"`
	}
	if err := sdk.Decode([]byte(`{"v":[{}]}`), &tagged); err != nil || tagged.V != defaults {
		t.Errorf("the tags say %+v, %v; without a block it is %+v", tagged.V, err, defaults)
	}
}

// However many tokens come, and to however many instances, a process keeps no more than the documentation says, and none takes more
// memory than it says.
func TestBounded(t *testing.T) {
	const instances = 1000
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	store := NewStore()
	var all []*Memory
	for range instances {
		m, err := New(WithStore(t.Context(), store), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	now := time.Now()
	for n := range 2 * maxTokens {
		asked(t, all[n%instances], 1, Token{Keys: "k", Text: strconv.Itoa(n), Now: now})
	}
	takes := heap() - before
	t.Logf("%d bytes, %d each", takes, takes/maxTokens)
	if store.known.Len() != maxTokens || takes > 20<<20 {
		t.Errorf("%d tokens in %d bytes", store.known.Len(), takes)
	}
	last := 2*maxTokens - 1
	if asked(t, all[last%instances], 1, Token{Keys: "k", Text: strconv.Itoa(last), Now: now}) || !asked(t, all[0], 1, Token{Keys: "k", Text: "0", Now: now}) {
		t.Error("the last ones are not those that are kept")
	}
}

// What one instance found good is not known to another one, though both are of one process.
func TestInstancesApart(t *testing.T) {
	t.Parallel()
	ctx := WithStore(t.Context(), NewStore())
	a, err1 := New(ctx, nil)
	b, err2 := New(ctx, nil)
	if err1 != nil || err2 != nil || a.store != b.store {
		t.Fatal(err1, err2, "or two stores")
	}
	x := Token{Realm: "r", Keys: "k", Text: "t", Now: time.Now()}
	asked(t, a, 1, x)
	if !asked(t, b, 1, x) || asked(t, a, 1, x) {
		t.Error("what an instance knows is known to another one, or forgotten for it")
	}
	if c := memory(t, nil); c.store == a.store {
		t.Error("strangers share a store")
	}
}

func BenchmarkKnown(b *testing.B) {
	m := memory(b, nil)
	x := Token{Realm: "r", Keys: "k", Text: string(make([]byte, 1200)), Now: time.Now()}
	ctx := in(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Verify(ctx, x, func() bool { return true })
	}
}
