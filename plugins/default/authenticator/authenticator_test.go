package authenticator

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// directory is a host with a few principals.
type directory map[sdk.PrincipalRef]sdk.Principal

var errDown = errors.New("the directory is down")

func (d directory) FindPrincipal(_ context.Context, ref sdk.PrincipalRef) (sdk.Principal, error) {
	if ref.Name == "down" {
		return sdk.Principal{}, errDown
	}
	p, ok := d[ref]
	if !ok {
		return sdk.Principal{}, sdk.Forbid("principal_unknown", "there is no such principal")
	}
	return p, nil
}

func (directory) FindAccessKey(context.Context, string) (sdk.AccessKey, error) {
	return sdk.AccessKey{}, errDown
}

func (directory) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, errors.New("there are no secrets here")
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	alice := sdk.Principal{ID: "1", Name: "alice", Enabled: true, Roles: []string{"reader"}}
	ctx := sdk.WithHost(t.Context(), directory{
		{Name: "alice"}: alice,
		{Name: "bob"}:   {ID: "2", Name: "bob"},
	})
	for name, tt := range map[string]struct {
		want   sdk.Principal
		reason string
		err    error
	}{
		"alice":   {want: alice},
		"bob":     {reason: "principal_disabled"},
		"mallory": {reason: "principal_unknown"},
		"down":    {err: errDown},
	} {
		a, _ := NewDirectory(ctx, sdk.Setup{}, struct{}{})
		got, err := a.Authenticate(ctx, sdk.Credential{Principal: sdk.PrincipalRef{Name: name}})
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v", name, got)
		}
		d := sdk.AsDenial(err)
		switch {
		case tt.reason != "" && (d == nil || d.Reason != tt.reason || !d.Forbidden):
			t.Errorf("%s: error %v, want a 403 with reason %s", name, err, tt.reason)
		case tt.reason == "" && (d != nil || !errors.Is(err, tt.err)):
			t.Errorf("%s: error %v, want %v and no denial", name, err, tt.err)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prefix string
		ref    sdk.PrincipalRef
		roles  []string
		want   sdk.Principal
	}{
		"both": {"", sdk.PrincipalRef{ID: "1", Name: "root"}, []string{"PRINCIPAL_ROLE:admin", "PRINCIPAL_ROLE:ALL", "email", "PRINCIPAL_ROLE:"},
			sdk.Principal{ID: "1", Name: "root", Enabled: true, Roles: []string{"admin"}}},
		"only a name": {"", sdk.PrincipalRef{Name: "root"}, nil, sdk.Principal{ID: "root", Name: "root", Enabled: true, Roles: []string{}}},
		"only an id":  {"", sdk.PrincipalRef{ID: "1"}, nil, sdk.Principal{ID: "1", Name: "1", Enabled: true, Roles: []string{}}},
		"another prefix": {"POLARIS_ROLE:", sdk.PrincipalRef{ID: "1"}, []string{"POLARIS_ROLE:admin", "POLARIS_ROLE:ALL", "PRINCIPAL_ROLE:owner"},
			sdk.Principal{ID: "1", Name: "1", Enabled: true, Roles: []string{"admin"}}},
	}
	for name, tt := range tests {
		a := buildClaims(t, tt.prefix)
		got, err := a.Authenticate(t.Context(), sdk.Credential{Source: sdk.SourceExternal, Principal: tt.ref, RequestedRoles: tt.roles})
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

func TestClaimsRefusesInternalCredentials(t *testing.T) {
	t.Parallel()
	a := buildClaims(t, "")
	for name, c := range map[string]sdk.Credential{
		"internal": {Source: sdk.SourceInternal, Principal: sdk.PrincipalRef{Name: "root"}},
		"unknown":  {Principal: sdk.PrincipalRef{Name: "root"}},
		"nameless": {Source: sdk.SourceExternal},
	} {
		if p, err := a.Authenticate(t.Context(), c); err == nil || sdk.AsDenial(err) != nil || p.Enabled {
			t.Errorf("%s: %+v, %v; want an error that is not a denial", name, p, err)
		}
	}
}

func buildClaims(t *testing.T, prefix string) *Claims {
	t.Helper()
	impl, err := sdk.AuthenticatorType("claims", NewClaims).Build(t.Context(), sdk.Setup{RolePrefix: prefix}, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return impl.(*Claims)
}

// Who asks why a decision is as it is learns which requested role grants none.
func TestClaimsNotes(t *testing.T) {
	t.Parallel()
	s := sdk.State{
		Credential: &sdk.Credential{Source: sdk.SourceExternal, Principal: sdk.PrincipalRef{Name: "eve"}, RequestedRoles: []string{"PRINCIPAL_ROLE:ops", "PRINCIPAL_ROLE:ALL", "openid"}},
		Notes:      &sdk.Notes{},
	}
	if err := sdk.Step(t.Context(), sdk.KindAuthenticator, buildClaims(t, ""), &s); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"PRINCIPAL_ROLE:ALL" grants no role: it asks for all that were granted, and the credential is all that grants any here`,
		`"openid" grants no role: it does not begin with "PRINCIPAL_ROLE:"`,
	}
	if got := s.Notes.List(); !slices.Equal(got, want) || !slices.Equal(s.Principal.Roles, []string{"ops"}) {
		t.Errorf("%q %q", got, s.Principal.Roles)
	}
}
