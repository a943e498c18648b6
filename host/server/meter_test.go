package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/sdk"
)

// meter keeps what it is told.
type meter struct{ told []string }

func (m *meter) Decided(realm, outcome, reason string, _ time.Duration) {
	m.told = append(m.told, fmt.Sprintf("%s %s %s", realm, outcome, reason))
}

func (m *meter) Answered(realm, endpoint string, status int) {
	m.told = append(m.told, fmt.Sprintf("%s %s %d", realm, endpoint, status))
}

// Each decision and each answer of a token endpoint is told once, as it was answered; no realm that is not there ever is.
func TestMeter(t *testing.T) {
	full := errors.New("the disk is full")
	tests := map[string]struct {
		path, token string
		act         func(*sdk.State) error
		audit       error
		gone        bool
		want        string // empty: nothing
	}{
		"allowed":                {path: check, token: "x", want: "a allowed "},
		"at the connections":     {path: "/realms/a/v1/connections", token: "x", want: "a allowed "},
		"no bearer token there":  {path: "/realms/a/v1/connections", want: "a denied credential_missing"},
		"denied":                 {path: check, token: "x", act: func(*sdk.State) error { return sdk.Deny("token_expired", "x") }, want: "a denied token_expired"},
		"no credential":          {path: check, want: "a denied credential_missing"},
		"a fault":                {path: check, token: "x", act: func(*sdk.State) error { return errors.New("x") }, want: "a unavailable "},
		"the caller has gone":    {path: check, token: "x", act: func(*sdk.State) error { return context.Canceled }, gone: true, want: "a abandoned "},
		"not audited":            {path: check, token: "x", audit: full, want: "a unavailable "},
		"broken realm":           {path: "/realms/broken/v1/check", token: "x", want: "broken unavailable "},
		"unknown realm":          {path: "/realms/nowhere/v1/check", token: "x"},
		"no token service":       {path: "/realms/a/v1/oauth/tokens", want: "a token 501"},
		"its revocation":         {path: "/realms/a/v1/oauth/revoke", want: "a revoke 501"},
		"its introspection":      {path: "/realms/a/v1/oauth/introspect", want: "a introspect 501"},
		"broken token service":   {path: "/realms/broken/v1/oauth/tokens", want: "broken token 503"},
		"unknown token service":  {path: "/realms/nowhere/v1/oauth/tokens"},
		"keys are not measured":  {path: "/realms/a/v1/jwks"},
		"readyz is not measured": {path: "/readyz"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(t, false), &meter{}
			if tt.act != nil {
				w.legs["a"].act = func(_ context.Context, s *sdk.State) error { return tt.act(s) }
			}
			d := w.deps()
			d.Meter = m
			if tt.audit != nil {
				d.Audit = unaudited{tt.audit}
			}
			s, err := New(Config{Listeners: []Listener{{Name: "x"}}}, d)
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest("GET", tt.path, nil)
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			if tt.gone {
				ctx, cancel := context.WithCancel(req.Context())
				cancel()
				req = req.WithContext(ctx)
			}
			s.Handler(Listener{}).ServeHTTP(httptest.NewRecorder(), req)
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if !slices.Equal(m.told, want) {
				t.Errorf("%q, want %q", m.told, want)
			}
		})
	}
}

type unaudited struct{ err error }

func (u unaudited) Decided(context.Context, audit.Event) error { return u.err }

// The listener for metrics has them, and nothing else.
func TestMetricsListener(t *testing.T) {
	if _, err := New(Config{Listeners: []Listener{{Name: "x"}}, MetricsAddress: "127.0.0.1:0"}, newWorld(t, false).deps()); err == nil {
		t.Error("an address for metrics that there are none of")
	}
	d := newWorld(t, false).deps()
	d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	s, err := New(Config{Listeners: []Listener{{Name: "x", Address: "127.0.0.1:0"}}, MetricsAddress: "127.0.0.1:0", Grace: 10 * time.Second}, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	for path, want := range map[string]int{"/metrics": 200, check: 404, "/readyz": 404, "/metrics/": 404} {
		res, err := http.Get("http://" + s.Addr(MetricsListener).String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want || want == 200 && string(body) != "metrics" {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	res, err := http.Get("http://" + s.Addr("x").String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("a listener for callers has metrics: %d", res.StatusCode)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
