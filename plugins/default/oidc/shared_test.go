package oidc

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestTenantsShareWhatTheyKnow: after some tenants have found out that a server is down the others do not wait for it, those of
// another server do not notice, and when it is back one finds out for all.
func TestTenantsShareWhatTheyKnow(t *testing.T) {
	t.Parallel()
	// The clock stands unless it is moved.
	began := time.Now()
	var ahead atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
	ctx := breaker.WithOutbound(t.Context(), breaker.NewOutbound(breaker.Config{Now: now}, nil))
	tenant := func(f *fakeIssuer) *Provider {
		raw, err := json.Marshal(map[string]any{"issuer": f.URL, "audience": []string{"polaris"}})
		if err != nil {
			t.Fatal(err)
		}
		impl, err := sdk.IdentityProviderType("oidc", NewProvider).Build(ctx, sdk.Setup{Tenant: "tenant"}, raw)
		if err != nil {
			t.Fatal(err)
		}
		p := impl.(*Provider)
		p.keys.now = now
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	f, other := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public())), newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	f.change(func() { f.down = true })
	text := f.sign(t, token{})
	for range 5 {
		identify(t, tenant(f), text, "unavailable")
	}
	p := tenant(f)
	asked := f.discoveries.Load()
	for range 3 { // not even after a rest of its own
		_, err := p.Identify(t.Context(), bearer(text))
		if reason(err) != "unavailable" || !strings.Contains(err.Error(), "is left alone for a while (it answers 502)") {
			t.Errorf("%v", err)
		}
	}
	if n := f.discoveries.Load() - asked; n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	identify(t, tenant(other), other.sign(t, token{}), "")
	f.change(func() { f.down = false })
	ahead.Add(int64(5 * time.Second))
	identify(t, p, text, "")
	identify(t, tenant(f), text, "")
}

// TestRotationWhileLeftAlone: while a server is left alone, tokens with a new key use up nothing: as soon as it is back the key is there.
func TestRotationWhileLeftAlone(t *testing.T) {
	t.Parallel()
	// The clock of the breakers stands unless it is moved.
	at := time.Unix(1_800_000_000, 0)
	o := breaker.NewOutbound(breaker.Config{Now: func() time.Time { return at }}, nil)
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	raw, err := json.Marshal(map[string]any{"issuer": f.URL, "audience": []string{"polaris"}})
	if err != nil {
		t.Fatal(err)
	}
	impl, err := sdk.IdentityProviderType("oidc", NewProvider).Build(breaker.WithOutbound(t.Context(), o), sdk.Setup{Tenant: "tenant"}, raw)
	if err != nil {
		t.Fatal(err)
	}
	p := impl.(*Provider)
	t.Cleanup(func() { _ = p.Close() })
	identify(t, p, f.sign(t, token{}), "")
	f.change(func() {
		f.down = true
		f.keys = append([]jose.JSONWebKey{jwk("new", "", "", rsaKey2().Public())}, f.keys...)
	})
	neighbour := newFetcher(Settings{Issuer: f.URL}, nil, o)
	for range 5 {
		_, _ = neighbour.locate(t.Context())
	}
	for n := range 2 * unknownBurst {
		rotated := f.sign(t, token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: map[string]any{"kid": fmt.Sprint("new", n)}})
		if _, err := p.Identify(t.Context(), bearer(rotated)); reason(err) != "unavailable" || !strings.Contains(err.Error(), "is left alone for a while") {
			t.Errorf("%v", err)
		}
	}
	if p.keys.failed != nil {
		t.Errorf("what was not tried is remembered as a failure: %v", p.keys.failed)
	}
	f.change(func() { f.down = false })
	at = at.Add(5 * time.Second)
	identify(t, p, f.sign(t, token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: map[string]any{"kid": "new"}}), "")
}
