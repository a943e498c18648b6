package parts

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/sdk"
)

func part(t testing.TB, setup sdk.Setup, k sdk.Kind, typ string, settings map[string]any) any {
	t.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range Implementations() {
		if i.Kind() == k && i.Type() == typ {
			impl, err := i.Build(t.Context(), setup, raw)
			if err != nil {
				t.Fatal(err)
			}
			return impl
		}
	}
	t.Fatalf("there is no %v %s", k, typ)
	return nil
}

type oneRoot struct{ sdk.Host }

func (oneRoot) FindPrincipal(_ context.Context, ref sdk.PrincipalRef) (sdk.Principal, error) {
	if ref != (sdk.PrincipalRef{ID: "1", Name: "root"}) {
		return sdk.Principal{}, sdk.Forbid("principal_unknown", "there is no such principal")
	}
	return sdk.Principal{ID: "1", Name: "root", Enabled: true, Roles: []string{"service_admin", "catalog_admin", "reader"}}, nil
}

func (oneRoot) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, errors.New("there are no secrets here")
}

// TestDecisions takes foreign tokens of a real provider through all five stages, with the configurations that Polaris
// documents.
func TestDecisions(t *testing.T) {
	t.Parallel()
	provider := oidctest.Start(t, oidctest.Options{Audience: "polaris"})
	tests := map[string]struct {
		claims, idp, mapper, roles map[string]any
		prefix                     string
		want                       []string
		reason                     string
	}{
		"nested claims": {
			claims: map[string]any{"polaris": map[string]any{"roles": []string{"PRINCIPAL_ROLE:ALL"}, "principal_name": "root", "principal_id": 1}},
			idp:    map[string]any{"role_claim_path": "polaris/roles"},
			mapper: map[string]any{"id_claim_path": "polaris/principal_id", "name_claim_path": "polaris/principal_name"},
			want:   []string{"catalog_admin", "reader", "service_admin"},
		},
		"generic claims": {
			claims: map[string]any{"uid": "1", "groups": "service_admin catalog_admin profile email", "preferred_username": "root"},
			idp:    map[string]any{"role_claim_path": "groups"},
			mapper: map[string]any{"id_claim_path": "uid", "name_claim_path": "preferred_username"},
			roles:  map[string]any{"filter": "^(?!profile$|email$).*", "mapping": []any{map[string]any{"regex": "^.*$", "replacement": "PRINCIPAL_ROLE:$0"}}},
			want:   []string{"catalog_admin", "service_admin"},
		},
		"prefixed roles": {
			claims: map[string]any{"uid": 1, "username": "root", "roles": []string{"role_service_admin", "role_catalog_admin", "offline_access"}},
			idp:    map[string]any{"role_claim_path": "roles"},
			mapper: map[string]any{"id_claim_path": "uid", "name_claim_path": "username"},
			roles:  map[string]any{"filter": `role\_.*`, "mapping": []any{map[string]any{"regex": `role\_(.*)`, "replacement": `POLARIS\_ROLE:$1`}}},
			prefix: "POLARIS_ROLE:",
			want:   []string{"catalog_admin", "service_admin"},
		},
		"a role that is not granted": {
			claims: map[string]any{"uid": 1, "username": "root", "roles": []string{"PRINCIPAL_ROLE:owner"}},
			idp:    map[string]any{"role_claim_path": "roles"},
			mapper: map[string]any{"id_claim_path": "uid", "name_claim_path": "username"},
			reason: "role_not_granted",
		},
		"another principal": {
			claims: map[string]any{"uid": 2, "username": "root"},
			mapper: map[string]any{"id_claim_path": "uid", "name_claim_path": "username"},
			reason: "principal_unknown",
		},
		"no such claim": {
			claims: map[string]any{},
			mapper: map[string]any{"name_claim_path": "nobody/here"},
			reason: "claim_missing",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := map[string]any{"issuer": provider.Issuer, "audience": []string{"polaris"}}
			for k, v := range tt.idp {
				idp[k] = v
			}
			st := &sdk.State{Request: &sdk.Request{
				Realm: "realm1", Scheme: "bearer",
				Token: provider.Token(t, oidctest.TokenOptions{Alg: "RS256", Claims: tt.claims, TTL: time.Minute}),
			}}
			setup := sdk.Setup{Realm: "realm1", RolePrefix: tt.prefix}
			err := run(sdk.WithHost(t.Context(), oneRoot{}), st,
				stage{sdk.KindIdentityProvider, part(t, setup, sdk.KindIdentityProvider, "oidc", idp)},
				stage{sdk.KindPrincipalMapper, part(t, setup, sdk.KindPrincipalMapper, "default", tt.mapper)},
				stage{sdk.KindPrincipalRolesMapper, part(t, setup, sdk.KindPrincipalRolesMapper, "default", orEmpty(tt.roles))},
				stage{sdk.KindAuthenticator, part(t, setup, sdk.KindAuthenticator, "default", map[string]any{})},
				stage{sdk.KindActiveRolesProvider, part(t, setup, sdk.KindActiveRolesProvider, "default", map[string]any{})},
			)
			if tt.reason != "" {
				if d := sdk.AsDenial(err); d == nil || d.Reason != tt.reason {
					t.Fatalf("%v, want %s", err, tt.reason)
				}
				return
			}
			if err != nil || !slices.Equal(st.Active, tt.want) {
				t.Errorf("%q, %v, want %q", st.Active, err, tt.want)
			}
		})
	}
}

type stage struct {
	kind sdk.Kind
	impl any
}

func run(ctx context.Context, st *sdk.State, stages ...stage) error {
	for _, s := range stages {
		if err := sdk.Step(ctx, s.kind, s.impl, st); err != nil {
			return err
		}
	}
	return nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
