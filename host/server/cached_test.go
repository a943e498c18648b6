package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/sdk"
)

type oneEpoch struct{}

func (oneEpoch) Epoch(string) uint64 { return 1 }

// remembering gives the realms of a world a memory.
func (w *world) remembering(t testing.TB) *remember.Memory {
	t.Helper()
	m := remember.New(remember.Limits{Allowed: 8 << 20, Denied: 1 << 20}, oneEpoch{})
	s := m.Section()
	for realm, l := range w.legs {
		p, err := pipeline.NewPlan(pipeline.Config{
			Realm: realm, Tenant: "idp", Mode: pipeline.ModeExternal, Timeout: 10 * time.Second, MaxCache: time.Minute, MaxDenied: time.Minute, Standing: goodStanding{},
			External: pipeline.Route{Schemes: []string{"bearer"}, Legs: []pipeline.Leg{l}}, Memory: s,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.plans[realm] = p
	}
	return m
}

// unwritten is an answer that nobody reads; it is used again and again.
type unwritten struct {
	header http.Header
	status int
	n      int
}

func (u *unwritten) Header() http.Header         { return u.header }
func (u *unwritten) WriteHeader(status int)      { u.status = status }
func (u *unwritten) Write(b []byte) (int, error) { u.n += len(b); return len(b), nil }

func (u *unwritten) reset() { clear(u.header); u.status, u.n = 0, 0 }

// BenchmarkCached is a check whose decision is remembered, beside a handler that answers the same headers and body without any
// work, and one that answers the body alone.
func BenchmarkCached(b *testing.B) {
	w := newWorld(b, false)
	w.remembering(b)
	d := w.deps()
	d.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	s, err := New(Config{Listeners: []Listener{{Name: "main"}}}, d)
	if err != nil {
		b.Fatal(err)
	}
	w.legs["a"].forget = true
	gate := s.Handler(Listener{Name: "main"})
	r := httptest.NewRequest(http.MethodGet, check, nil)
	r.Header.Set("Authorization", "Bearer x")
	first := httptest.NewRecorder()
	gate.ServeHTTP(first, r)
	if first.Code != http.StatusOK {
		b.Fatal(first.Code, first.Body)
	}
	header, body := first.Header(), first.Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header().Set(name, values[0])
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	})
	empty := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	})
	for _, h := range []struct {
		name string
		http.Handler
	}{{"empty", empty}, {"bare", bare}, {"cached", gate}} {
		b.Run(h.name, func(b *testing.B) {
			out := &unwritten{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				out.reset()
				h.ServeHTTP(out, r)
				if out.status != http.StatusOK || out.n != len(body) {
					b.Fatal(out)
				}
			}
		})
	}
}

// What is remembered at the check door opens no connection: there each decision is made anew.
func TestConnectionsDecideAnew(t *testing.T) {
	w := newWorld(t, false)
	m := w.remembering(t)
	for range 2 {
		if rec := w.ask(t, Listener{}, check, "Authorization", "Bearer x"); rec.Code != http.StatusOK {
			t.Fatal(rec.Code)
		}
	}
	if n := w.legs["a"].count(); n != 1 || m.Stats().Memory != 1 {
		t.Fatalf("asked %d times", n)
	}
	w.legs["a"].act = func(context.Context, *sdk.State) error { return sdk.Deny("token_revoked", "") }
	if rec := w.ask(t, Listener{}, "/realms/a/v1/connections", "Authorization", "Bearer x"); rec.Code != http.StatusUnauthorized {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
