package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/plugins/default/parts"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(
		[]plugintest.Case{oidcCase(t), introspectionCase(t), claimsCase(), rolesCase(), activeRolesCase(), envCase(), fileCase(t), sealedCase(t)},
		authenticatorCases(), brokerCases(t), vendorCases(t),
	)
	plugintest.Run(t, plugintest.InProcess(parts.Implementations()...), cases...)
	plugintest.Run(t, plugintest.Binary(buildBinary(t)), cases...)
}

func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "realmgate-plugin-default")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func settings(v map[string]any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// oidcCase has an issuer of its own, which publishes one key.
func oidcCase(t *testing.T) plugintest.Case {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	}))
	t.Cleanup(issuer.Close)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": issuer.URL, "aud": "polaris", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "groups": "a b",
	})
	token.Header["kid"] = "k"
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return plugintest.Case{
		Kind: sdk.KindIdentityProvider, Type: "oidc", Setup: sdk.Setup{Tenant: "tenant1"},
		Settings: settings(map[string]any{"issuer": issuer.URL, "jwks_uri": issuer.URL, "audience": []string{"polaris"}, "role_claim_path": "groups"}),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Request: &sdk.Request{Realm: "realm1", Scheme: "bearer", Token: text}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Identity.Subject != "alice" || st.Identity.Tenant != "tenant1" || !slices.Equal(st.Identity.Roles, []string{"a", "b"}) {
				return fmt.Errorf("identified %+v", st.Identity)
			}
			return nil
		},
	}
}

// introspectionCase has an endpoint of its own, which knows one token and one client.
func introspectionCase(t *testing.T) plugintest.Case {
	t.Helper()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != "hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer := map[string]any{"active": false}
		if r.PostFormValue("token") == "opaque" {
			answer = map[string]any{"active": true, "sub": "alice", "aud": "polaris", "scope": "a b"}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(endpoint.Close)
	return plugintest.Case{
		Kind: sdk.KindIdentityProvider, Type: "introspection", Setup: sdk.Setup{Tenant: "tenant1"},
		Settings: settings(map[string]any{
			"endpoint": endpoint.URL, "client_id": "c", "client_secret": "urn:realmgate-secret:s:key", "audience": []string{"polaris"},
			"issuer": "https://idp.example.com", "role_claim_path": "scope",
		}),
		Secrets: map[string]string{"urn:realmgate-secret:s:key": "hunter2"},
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Request: &sdk.Request{Realm: "realm1", Scheme: "bearer", Token: "opaque"}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if x := st.Identity; x.Subject != "alice" || x.Issuer != "https://idp.example.com" || !slices.Equal(x.Roles, []string{"a", "b"}) || st.Cache.MaxAge <= 0 {
				return fmt.Errorf("identified %+v, %+v", x, st.Cache)
			}
			st = sdk.State{Request: &sdk.Request{Realm: "realm1", Scheme: "bearer", Token: "made-up"}}
			err := i.Step(ctx, &st)
			if d := sdk.AsDenial(err); d == nil || d.Reason != "token_inactive" {
				return fmt.Errorf("a made-up token: %w", err)
			}
			return nil
		},
	}
}

func claimsCase() plugintest.Case {
	return plugintest.Case{
		Kind: sdk.KindPrincipalMapper, Type: "default",
		Settings: settings(map[string]any{"id_claim_path": "polaris/principal_id", "name_claim_path": "polaris/principal_name"}),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"polaris":{"principal_id":1,"principal_name":"root"}}`))}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if *st.Ref != (sdk.PrincipalRef{ID: "1", Name: "root"}) {
				return fmt.Errorf("mapped to %+v", st.Ref)
			}
			return nil
		},
	}
}

func rolesCase() plugintest.Case {
	return plugintest.Case{
		Kind: sdk.KindPrincipalRolesMapper, Type: "default",
		Settings: settings(map[string]any{"filter": "^(?!email$).*", "mapping": []any{map[string]any{"regex": "^.*$", "replacement": "PRINCIPAL_ROLE:$0"}}}),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Identity: &sdk.Identity{Roles: []string{"a", "email"}}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if !slices.Equal(st.Mapped, []string{"PRINCIPAL_ROLE:a"}) {
				return fmt.Errorf("mapped to %q", st.Mapped)
			}
			return nil
		},
	}
}

func activeRolesCase() plugintest.Case {
	return plugintest.Case{
		Kind: sdk.KindActiveRolesProvider, Type: "default",
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{
				Principal:  &sdk.Principal{ID: "1", Enabled: true, Roles: []string{"b", "a"}},
				Credential: &sdk.Credential{RequestedRoles: []string{"PRINCIPAL_ROLE:ALL"}},
			}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if !slices.Equal(st.Active, []string{"a", "b"}) {
				return fmt.Errorf("activated %q", st.Active)
			}
			return nil
		},
	}
}

func authenticatorCases() []plugintest.Case {
	call := func(ctx context.Context, i *plugintest.Instance) error {
		st := sdk.State{Credential: &sdk.Credential{
			Realm: "realm1", Source: sdk.SourceExternal, Principal: sdk.PrincipalRef{ID: "1", Name: "root"}, RequestedRoles: []string{"PRINCIPAL_ROLE:a"},
		}}
		if err := i.Step(ctx, &st); err != nil {
			return err
		}
		if p := st.Principal; p.Name != "root" || !p.Enabled || !slices.Equal(p.Roles, []string{"a"}) {
			return fmt.Errorf("authenticated %+v", p)
		}
		return nil
	}
	realm1 := sdk.Setup{Realm: "realm1", Issuer: "https://auth.example.com/realms/realm1", Audience: []string{"realm1"}}
	return []plugintest.Case{
		{
			Kind: sdk.KindAuthenticator, Type: "default", Setup: realm1, Call: call,
			Principals: []sdk.Principal{{Realm: "realm1", ID: "1", Name: "root", Enabled: true, Roles: []string{"a"}}},
		},
		{Kind: sdk.KindAuthenticator, Type: "claims", Setup: realm1, Call: call},
	}
}

func brokerCases(t *testing.T) []plugintest.Case {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := keyset.Generate(dir, keyset.NewKeySpec{Algorithm: keyset.EdDSA}, time.Now()); err != nil {
		t.Fatal(err)
	}
	setup := sdk.Setup{Realm: "realm1", Issuer: "https://auth.example.com/realms/realm1", Audience: []string{"realm1"}}
	roundTrip := func(ctx context.Context, i *plugintest.Instance) error {
		g := sdk.Grant{
			Principal: sdk.PrincipalRef{ID: "1", Name: "root"}, ClientID: "c", Scope: []string{"PRINCIPAL_ROLE:ALL"}, Realm: setup.Realm, Issuer: setup.Issuer,
			Audience: setup.Audience, Lifetime: time.Minute, TokenID: "t", AuthTime: time.Now(), SecretVersion: "1",
		}
		token, err := i.Issue(ctx, g)
		if err != nil {
			return err
		}
		st := sdk.State{Request: &sdk.Request{Realm: setup.Realm, Scheme: "bearer", Token: token.Value}}
		if err := i.Step(ctx, &st); err != nil {
			return err
		}
		if c := st.Credential; c.Principal != g.Principal || c.TokenID != "t" || c.SecretVersion != "1" || c.Source != sdk.SourceInternal {
			return fmt.Errorf("verified %+v", c)
		}
		return nil
	}
	published := func(algorithm string) func(context.Context, *plugintest.Instance) error {
		return func(ctx context.Context, i *plugintest.Instance) error {
			keys, until, err := i.Keys(ctx)
			if err == nil && (!bytes.Contains(keys, []byte(`"`+algorithm+`"`)) || !until.After(time.Now())) {
				err = fmt.Errorf("the keys are %s until %v", keys, until)
			}
			return errors.Join(err, roundTrip(ctx, i))
		}
	}
	return []plugintest.Case{
		{
			Kind: sdk.KindTokenBroker, Type: "symmetric-key", Setup: setup, Call: roundTrip,
			Settings: settings(map[string]any{"secret": "urn:realmgate-secret:s:key"}),
			Secrets:  map[string]string{"urn:realmgate-secret:s:key": "0123456789abcdef0123456789abcdef"},
		},
		{Kind: sdk.KindTokenBroker, Type: "rsa-key-pair", Setup: setup, Call: published("RS256")},
		{Name: "ephemeral", Kind: sdk.KindTokenBroker, Type: "key-pair", Setup: setup, Call: published("ES256")},
		{Name: "folder", Kind: sdk.KindTokenBroker, Type: "key-pair", Setup: setup, Call: published("EdDSA"), Settings: settings(map[string]any{"key_dir": dir})},
	}
}

func ref(text string) sdk.SecretRef {
	r, err := sdk.ParseSecretRef("urn:realmgate-secret:store:" + text)
	if err != nil {
		panic(err)
	}
	return r
}

func resolve(ctx context.Context, i *plugintest.Instance, path, want string) error {
	s, err := i.Resolve(ctx, ref(path))
	if err == nil && string(s.Reveal()) != want {
		err = fmt.Errorf("%s is %d bytes of something else", path, len(s.Reveal()))
	}
	return err
}

func envCase() plugintest.Case {
	return plugintest.Case{
		Kind: sdk.KindSecretResolver, Type: "env",
		Setup: sdk.Setup{Store: "store", Environment: map[string]sdk.Secret{"KEY": sdk.NewSecret([]byte("hunter2"))}},
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			if _, err := i.Resolve(ctx, ref("PATH")); err == nil {
				return errors.New("the plugin's own environment is given")
			}
			return resolve(ctx, i, "KEY", "hunter2")
		},
	}
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func fileCase(t *testing.T) plugintest.Case {
	t.Helper()
	dir := private(t)
	if err := os.WriteFile(filepath.Join(dir, "json"), []byte(`{"user":"alice"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return plugintest.Case{
		Kind: sdk.KindSecretResolver, Type: "file", Setup: sdk.Setup{Store: "store"}, Settings: settings(map[string]any{"dir": dir}),
		Elsewhere: settings(map[string]any{"dir": private(t)}),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			name := "written/" + rand.Text()
			_, err := i.WriteSecret(ctx, ref(name), []byte("hunter2\n"))
			return errors.Join(err, resolve(ctx, i, name, "hunter2\n"), i.DeleteSecret(ctx, ref(name)), resolve(ctx, i, "json", `{"user":"alice"}`))
		},
	}
}

// sealedCase shares folder and key with another store: the name alone keeps them apart.
func sealedCase(t *testing.T) plugintest.Case {
	t.Helper()
	dir := t.TempDir()
	shared := settings(map[string]any{"dir": filepath.Join(dir, "values"), "key_file": filepath.Join(dir, "key")})
	return plugintest.Case{
		Kind: sdk.KindSecretResolver, Type: "sealed-file", Setup: sdk.Setup{Store: "store"}, Settings: shared, Elsewhere: shared,
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			name := "written/" + rand.Text()
			_, err := i.WriteSecret(ctx, ref(name), []byte(`{"user":"alice"}`))
			return errors.Join(err, resolve(ctx, i, name, `{"user":"alice"}`), i.DeleteSecret(ctx, ref(name)))
		},
	}
}
