package rpc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// watcher is a host that wants to know which servers are left alone.
type watcher struct {
	fakeHost
	told chan []breaker.PartReport
}

func newWatcher() *watcher { return &watcher{told: make(chan []breaker.PartReport, 100)} }

func (w *watcher) Outbound(p []breaker.PartReport) { w.told <- p }

func (w *watcher) next(t *testing.T) []breaker.PartReport {
	t.Helper()
	select {
	case p := <-w.told:
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("no report")
		return nil
	}
}

// caller is a mapper that calls another server.
type caller struct {
	client *http.Client
	at     string
}

func (c caller) MapPrincipal(ctx context.Context, i sdk.Identity) (sdk.PrincipalRef, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.at, http.NoBody)
	if err != nil {
		return sdk.PrincipalRef{}, err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return sdk.PrincipalRef{}, err
	}
	return sdk.PrincipalRef{Name: i.Subject}, answer.Body.Close()
}

// startCaller gives a process with a caller, the instance 1, of a server that answers a status.
func startCaller(t *testing.T, host HostServices, unary bool) (p *Process, call func(), status *atomic.Int64, at string) {
	t.Helper()
	status = &atomic.Int64{}
	status.Store(http.StatusOK)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(s.Close)
	build := func(ctx context.Context, _ sdk.Setup, _ none) (caller, error) {
		return caller{&http.Client{Transport: breaker.OutboundOf(ctx).Transport("badge", &http.Transport{DisableKeepAlives: true}, nil)}, s.URL}, nil
	}
	p = start(t, &Server{Implementations: []sdk.Implementation{sdk.PrincipalMapperType("badge", build)}, UnaryOnly: unary}, host)
	if ds, err := p.Configure(t.Context(), []Instance{{ID: 1, Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{}`)}}); err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	return p, func() {
		st := request("x")
		st.Identity = &sdk.Identity{Issuer: "i", Subject: "s"}
		_ = p.Run(t.Context(), "r1", []Step{{sdk.KindPrincipalMapper, 1}}, st)
	}, status, s.URL
}

// TestOutbound: the host learns which server is left alone, and when that is over, also where the session was opened again meanwhile.
func TestOutbound(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		w := newWatcher()
		p, call, status, at := startCaller(t, w, unary)
		status.Store(503)
		for range 5 {
			call()
		}
		open := func(got []breaker.PartReport) {
			t.Helper()
			if len(got) != 1 || got[0].Part != "badge" || got[0].Openings != 1 || got[0].Open != 1 || len(got[0].Servers) != 1 || got[0].Servers[0].Authority != at ||
				got[0].Servers[0].Why != "answers 503" || time.Since(got[0].Servers[0].Since) > time.Minute {
				t.Errorf("%+v", got)
			}
		}
		open(w.next(t))
		if err := p.OpenSession(t.Context()); err != nil {
			t.Fatal(err)
		}
		status.Store(200)
		for len(w.told) == 0 {
			call()
			time.Sleep(10 * time.Millisecond) // until the rest is over
		}
		if got := w.next(t); len(got) != 1 || got[0].Openings != 1 || got[0].Open != 0 || len(got[0].Servers) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestOutboundIsWanted: a host that does not say that it takes reports gets none.
func TestOutboundIsWanted(t *testing.T) {
	t.Parallel()
	pl, p := startPlugin(t, &Server{Implementations: (&fake{}).offers()}, &fakeHost{})
	if pl.wantsReports.Load() {
		t.Error("the plugin would send what the host does not know")
	}
	if f := p.features(); len(f) != 1 {
		t.Error(f)
	}
}

// TestForgedReports: what a plugin says is bounded, and what is older than what is known is passed over.
func TestForgedReports(t *testing.T) {
	t.Parallel()
	w := newWatcher()
	ready := make(chan openServer, 2)
	startRaw(t, w, func(s openServer) error {
		ready <- s
		<-s.Context().Done()
		return nil
	})
	s := <-ready
	send := func(reports ...*pluginv1.OutboundReport) {
		t.Helper()
		if err := s.Send(&pluginv1.OpenResponse{Outbound: reports}); err != nil {
			t.Fatal(err)
		}
	}
	many := &pluginv1.OutboundReport{Changes: 5, Parts: []*pluginv1.OutboundPart{{Type: "not a\nname"}}}
	for n := range 2 * maxParts {
		x := &pluginv1.OutboundPart{Type: "t", Open: 1 << 30, Overlooked: 3}
		if n == 0 {
			for range 2 * maxServers {
				x.Servers = append(x.Servers, &pluginv1.OutboundServer{Authority: strings.Repeat("ä", maxAuthority), Reason: strings.Repeat("x", 2*maxReason)})
			}
		}
		many.Parts = append(many.Parts, x)
	}
	send(&pluginv1.OutboundReport{Changes: 9}, many)
	got := w.next(t)
	if len(got) != maxParts-1 || got[0].Open != breaker.MaxServers || got[0].Overlooked != 3 || len(got[0].Servers) != maxServers || len(got[0].Servers[0].Authority) > maxAuthority+4 || len(got[0].Servers[0].Why) > maxReason {
		t.Errorf("%d parts, %d servers", len(got), len(got[0].Servers))
	}
	send(&pluginv1.OutboundReport{Changes: 4, Parts: []*pluginv1.OutboundPart{{Type: "older"}}})
	send(&pluginv1.OutboundReport{Changes: 6, Parts: []*pluginv1.OutboundPart{{Type: "later"}}})
	if got := w.next(t); len(got) != 1 || got[0].Part != "later" {
		t.Errorf("%+v", got)
	}
}
