package remember

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// leg answers as a realm's plugins would; act is nil or says what else happens.
type leg struct {
	mu    sync.Mutex
	calls int
	act   func(ctx context.Context, s *sdk.State) error
}

func (l *leg) Run(ctx context.Context, s *sdk.State) error {
	l.mu.Lock()
	l.calls++
	act := l.act
	l.mu.Unlock()
	s.Credential = &sdk.Credential{Realm: s.Request.Realm, Source: sdk.SourceExternal, TokenID: "t1"}
	s.Principal = &sdk.Principal{Realm: s.Request.Realm, ID: "1", Name: "alice", Enabled: true, Roles: []string{"ops", "dev"}, Attributes: map[string]string{"team": "a"}}
	s.Active = []string{"dev"}
	if act != nil {
		return act(ctx, s)
	}
	return nil
}

func (l *leg) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

type standing struct{}

func (standing) CheckStanding(context.Context, sdk.Credential, sdk.Principal) error { return nil }

// epochs are those of realms; all are 1 if none is set.
type epochs struct {
	mu sync.Mutex
	m  map[string]uint64
}

func (e *epochs) Epoch(realm string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n, ok := e.m[realm]; ok {
		return n
	}
	return 1
}

func (e *epochs) set(realm string, n uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil {
		e.m = map[string]uint64{}
	}
	e.m[realm] = n
}

// world is a memory with clocks that a test sets, and plans for it.
type world struct {
	*Memory
	epochs *epochs
	mu     sync.Mutex
	at     moment
}

var start = time.Unix(1_800_000_000, 0)

func newWorld() *world {
	w := &world{epochs: &epochs{}, at: moment{wall: start}}
	w.Memory = newMemory(Limits{Allowed: 8 << 20, Denied: 1 << 20}, w.epochs, w.moment)
	return w
}

func (w *world) moment() moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(wall, steady time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at.wall, w.at.steady = w.at.wall.Add(wall), w.at.steady+steady
}

func (w *world) plan(t testing.TB, realm string, l pipeline.Leg, s *Section, change ...func(*pipeline.Config)) *pipeline.Plan {
	t.Helper()
	c := pipeline.Config{
		Realm: realm, Tenant: "idp", Mode: pipeline.ModeExternal, Timeout: 10 * time.Second, MaxCache: time.Minute, MaxDenied: 2 * time.Second, Standing: standing{},
		External: pipeline.Route{Schemes: []string{"bearer", "dpop"}, Legs: []pipeline.Leg{l}},
		Memory:   s, Now: func() time.Time { return w.moment().wall },
	}
	for _, f := range change {
		f(&c)
	}
	p, err := pipeline.NewPlan(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bearer(token string) sdk.Request { return sdk.Request{Scheme: "bearer", Token: token} }

func denied(context.Context, *sdk.State) error { return sdk.Deny("token_expired", "") }
