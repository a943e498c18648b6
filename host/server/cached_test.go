package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
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
// work, and one that answers the body alone: the handlers by themselves, and asked by HTTP.
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
		b.Run("handler/"+h.name, func(b *testing.B) {
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
		if h.name != "empty" {
			b.Run("http/"+h.name, func(b *testing.B) { overHTTP(b, h.Handler) })
		}
	}
}

// overHTTP has eight callers ask a handler over connections that are kept.
func overHTTP(b *testing.B, h http.Handler) {
	b.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.SetParallelism(8 / min(8, runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL+check, nil)
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer x")
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Error(res.Status)
				return
			}
		}
	})
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

// auditor keeps what it is told.
type auditor struct{ told []audit.Event }

func (a *auditor) Decided(_ context.Context, e audit.Event) error {
	a.told = append(a.told, e)
	return nil
}

// Whoever watches sees no difference between an answer that was remembered and one that was not.
func TestRememberedIsSeenAlike(t *testing.T) {
	for name, act := range map[string]func(context.Context, *sdk.State) error{
		"allowed": nil, "denied": func(context.Context, *sdk.State) error { return sdk.Deny("token_expired", "it has expired") },
	} {
		w := newWorld(t, false)
		memory := w.remembering(t)
		w.legs["a"].act = act
		m, audited, log := &meter{}, &auditor{}, &bytes.Buffer{}
		d := w.deps()
		d.Meter, d.Audit, d.Logger = m, audited, hclog.New(&hclog.LoggerOptions{Output: log})
		s, err := New(Config{Listeners: []Listener{{Name: "x"}}}, d)
		if err != nil {
			t.Fatal(err)
		}
		var answers []string
		for range 3 {
			r := httptest.NewRequest(http.MethodGet, check, nil)
			r.Header.Set("Authorization", "Bearer x")
			rec := httptest.NewRecorder()
			s.Handler(Listener{Name: "x"}).ServeHTTP(rec, r)
			id := rec.Header().Get(requestIDHeader)
			rec.Header().Del(requestIDHeader)
			answers = append(answers, fmt.Sprint(rec.Code, rec.Header(), strings.ReplaceAll(rec.Body.String(), id, "ID")))
		}
		if w.legs["a"].count() != 1 || memory.Stats().Memory != 2 {
			t.Fatalf("%s: %+v", name, memory.Stats())
		}
		if answers[0] != answers[1] || answers[1] != answers[2] {
			t.Errorf("%s: the answers differ: %q", name, answers)
		}
		if len(m.told) != 3 || m.told[0] != m.told[1] || m.told[1] != m.told[2] {
			t.Errorf("%s: measured %v", name, m.told)
		}
		if e := audited.told; len(e) != 3 || e[0] != e[1] || e[1] != e[2] || e[0].Outcome == "" {
			t.Errorf("%s: audited %+v", name, e)
		}
		if strings.Count(log.String(), "verdict="+name) != 3 {
			t.Errorf("%s: logged\n%s", name, log)
		}
	}
}
