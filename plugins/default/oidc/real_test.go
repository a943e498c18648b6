package oidc

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/sdk"
)

// TestRealProvider runs against a real OpenID provider as a child process.
func TestRealProvider(t *testing.T) {
	t.Parallel()
	real := oidctest.Start(t, oidctest.Options{Audience: "polaris"})
	p := build(t, map[string]any{
		"issuer": real.Issuer, "audience": []string{"polaris"}, "role_claim_path": "polaris/roles", "authorized_party": []string{real.ClientID},
	})
	claims := map[string]any{"polaris": map[string]any{"roles": []string{"PRINCIPAL_ROLE:ALL"}, "principal_name": "root", "principal_id": 1}}
	var before string
	for _, algorithm := range []string{"RS256", "ES256"} {
		before = real.Token(t, oidctest.TokenOptions{Alg: algorithm, Claims: claims, TTL: 5 * time.Minute})
		id, err := p.Identify(t.Context(), bearer(before))
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		path, _ := sdk.ParseClaimPath("polaris/principal_id")
		v, _ := id.Claims.Lookup(path)
		if id.Issuer != real.Issuer || !slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:ALL"}) || v == nil || id.Expires.Before(time.Now()) {
			t.Errorf("%s: %+v, %s", algorithm, id, id.Claims.Raw())
		}
	}
	if n := real.JWKSRequests(t); n != 1 {
		t.Errorf("%d fetches of the keys", n)
	}

	other := real.Token(t, oidctest.TokenOptions{Alg: "RS256", Audience: "urn:other", TTL: time.Minute})
	identify(t, p, other, "audience_mismatch")
	opaque := real.Token(t, oidctest.TokenOptions{Opaque: true, TTL: time.Minute})
	identify(t, p, opaque, "token_opaque")
	if _, err := p.Identify(t.Context(), bearer(opaque)); !strings.Contains(err.Error(), "reads JWTs only") {
		t.Errorf("%v does not say why", err)
	}

	real.Rotate(t)
	after := real.Token(t, oidctest.TokenOptions{Alg: "RS256", Claims: claims, TTL: 5 * time.Minute})
	identify(t, p, after, "")
	identify(t, p, before, "")
	if n := real.JWKSRequests(t); n != 2 {
		t.Errorf("%d fetches of the keys after a rotation", n)
	}

	real.Stop()
	identify(t, p, after, "")
	late := build(t, map[string]any{"issuer": real.Issuer, "audience": []string{"polaris"}})
	identify(t, late, after, "unavailable")
	real.Resume()
	clock := withClock(late)
	clock.advance(lastBackoff)
	identify(t, late, after, "")
}
