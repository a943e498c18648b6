package introspection

import (
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/sdk"
)

// TestRealProvider runs against a real OpenID provider as a child process.
func TestRealProvider(t *testing.T) {
	t.Parallel()
	real := oidctest.Start(t, oidctest.Options{ClientID: "realm:gate", Audience: "polaris"})
	claims := map[string]any{"polaris": map[string]any{"roles": []string{"PRINCIPAL_ROLE:ALL"}, "principal_name": "root"}}
	opaque := func(o oidctest.TokenOptions) string {
		o.Opaque = true
		return real.Token(t, o)
	}
	token := opaque(oidctest.TokenOptions{Claims: claims, TTL: 5 * time.Minute})
	for _, method := range []string{methodBasic, methodPost} {
		x := newTenant(t, real.IntrospectionURL, map[string]any{
			"client_id": real.ClientID, "auth_method": method, "issuer": real.Issuer, "role_claim_path": "polaris/roles", "authorized_party": []string{real.ClientID},
		})
		x.host.set(real.ClientSecret, nil)
		before := real.Requests(t, "/token/introspection")
		for range 3 {
			id, reason, _ := x.identify(t.Context(), token)
			path, _ := sdk.ParseClaimPath("polaris/principal_name")
			name, _ := id.Claims.Lookup(path)
			if reason != "" || id.Issuer != real.Issuer || name != "root" || !slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:ALL"}) || id.Expires.Before(time.Now()) {
				t.Errorf("%s: %+v, %q", method, id, reason)
			}
		}
		if n := real.Requests(t, "/token/introspection") - before; n != 1 {
			t.Errorf("%s: %d requests", method, n)
		}
		x.want(t, "made-up", "token_inactive")
		x.want(t, opaque(oidctest.TokenOptions{Audience: "urn:other"}), "audience_mismatch")
		x.host.set("wrong", nil)
		y := newTenant(t, real.IntrospectionURL, map[string]any{"client_id": real.ClientID, "auth_method": method})
		y.host.set("wrong", nil)
		y.want(t, token, "unavailable")
	}
	x := newTenant(t, real.IntrospectionURL, map[string]any{"client_id": real.ClientID, "max_age": "PT1S"})
	x.host.set(real.ClientSecret, nil)
	x.want(t, token, "")
	real.Stop()
	x.advance(time.Second)
	x.want(t, token, "unavailable")
	real.Resume()
	x.want(t, token, "")
}
