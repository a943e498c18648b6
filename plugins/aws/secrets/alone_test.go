package secrets

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestServiceThatIsLeftAlone: after some questions no store waits for a service that fails, those of another endpoint do not notice,
// and when it is back one finds out for all.
func TestServiceThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.stores.Put("prod/db", "value")
	f.stores.Put("/prod/db", "value")
	began := time.Now()
	var ahead atomic.Int64
	o := breaker.NewOutbound(breaker.Config{Now: func() time.Time { return began.Add(time.Duration(ahead.Load())) }}, nil)
	ctx := breaker.WithOutbound(f.ctx, o)
	var down atomic.Bool
	var asked atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		f.stores.ServeHTTP(w, r)
	}))
	defer service.Close()
	open := func(endpoint string) (*Manager, *Parameters) {
		raw := []byte(`{"region":"eu-central-1","endpoint":"` + endpoint + `","credentials":"` + keysRef + `"}`)
		var m ManagerSettings
		var p Settings
		if err := sdk.Decode(raw, &m); err != nil {
			t.Fatal(err)
		}
		if err := sdk.Decode(raw, &p); err != nil {
			t.Fatal(err)
		}
		manager, err := NewManager(ctx, sdk.Setup{}, m)
		if err != nil {
			t.Fatal(err)
		}
		params, err := NewParameters(ctx, sdk.Setup{}, p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = manager.Close(); _ = params.Close() })
		return manager, params
	}
	resolve := func(ctx context.Context, r sdk.SecretResolver) error {
		_, err := r.Resolve(ctx, ref("prod/db"))
		return err
	}
	one, params := open(service.URL)
	two, _ := open(service.URL)
	other, _ := open(f.stores.URL)
	down.Store(true)
	for range 3 { // of two tries
		if err := resolve(f.ctx, one); err == nil {
			t.Fatal("a service that is down answers")
		}
	}
	before := asked.Load()
	err := resolve(f.ctx, two)
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "Secrets Manager was not asked: "+service.URL+": it failed too often and is left alone for a while (it answers 503)") {
		t.Error(err)
	}
	if asked.Load() != before {
		t.Errorf("it was asked %d times", asked.Load()-before)
	}
	if err := resolve(f.ctx, other); err != nil {
		t.Errorf("another endpoint: %v", err)
	}
	down.Store(false)
	if err := resolve(f.ctx, params); err != nil {
		t.Errorf("another service: %v", err)
	}
	ahead.Add(int64(5 * time.Second))
	for _, m := range []*Manager{two, one} {
		if err := resolve(f.ctx, m); err != nil {
			t.Errorf("it is back: %v", err)
		}
	}
	if r, _ := o.Report(); len(r.Parts) != 1 || r.Parts[0].Part != "aws-secrets-manager" || r.Parts[0].Openings != 1 || r.Parts[0].Open != 0 {
		t.Errorf("%+v", r)
	}
}
