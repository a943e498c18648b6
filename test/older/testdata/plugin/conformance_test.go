package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// TestHost is the suite of the SDK that this is built with, as a host, on the plugin at PLUGIN, built with another one.
func TestHost(t *testing.T) {
	alice := sdk.Principal{Realm: "r", ID: "7", Name: "alice", Enabled: true, Roles: []string{"auditor"}}
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"alice","roles":["auditor"]}`))
	identity := sdk.Identity{Claims: sdk.NewClaims([]byte(`{"sub":"alice"}`)), Roles: []string{"auditor"}}
	step := func(before sdk.State, right func(sdk.State) bool) func(context.Context, *plugintest.Instance) error {
		return func(ctx context.Context, i *plugintest.Instance) error {
			st := before
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if !right(st) {
				return fmt.Errorf("got %+v", st)
			}
			return nil
		}
	}
	setup := sdk.Setup{RolePrefix: "PRINCIPAL_ROLE:"}
	plugintest.Run(t, plugintest.Binary(os.Getenv("PLUGIN")),
		plugintest.Case{
			Kind: sdk.KindTokenBroker, Type: "older", Setup: sdk.Setup{Realm: "r", Issuer: "https://r.example.com", Audience: []string{"r"}},
			Call: func(ctx context.Context, i *plugintest.Instance) error {
				issued, err := i.Issue(ctx, sdk.Grant{
					Realm: "r", Issuer: "https://r.example.com", Audience: []string{"r"}, Principal: sdk.PrincipalRef{ID: "7", Name: "alice"},
					TokenID: "t1", SecretVersion: "1", AuthTime: time.Now(), Lifetime: time.Minute,
				})
				if err != nil {
					return err
				}
				st := sdk.State{Request: &sdk.Request{Realm: "r", Scheme: "bearer", Token: issued.Value}}
				if err := i.Step(ctx, &st); err != nil {
					return err
				}
				if st.Credential == nil || st.Credential.Principal.Name != "alice" {
					return errors.New("the issued token is not verified")
				}
				return nil
			},
		},
		plugintest.Case{
			Kind: sdk.KindIdentityProvider, Type: "older", Setup: sdk.Setup{Tenant: "t"},
			Call: step(sdk.State{Request: &sdk.Request{Realm: "r", Scheme: "bearer", Token: token}}, func(st sdk.State) bool {
				return st.Identity != nil && st.Identity.Subject == "alice" && slices.Equal(st.Identity.Roles, []string{"auditor"})
			}),
		},
		plugintest.Case{
			Kind: sdk.KindPrincipalMapper, Type: "older", Settings: `{"claim":"sub"}`,
			Call: step(sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &identity}, func(st sdk.State) bool {
				return st.Ref != nil && st.Ref.Name == "alice"
			}),
		},
		plugintest.Case{
			Kind: sdk.KindPrincipalRolesMapper, Type: "older", Setup: setup,
			Call: step(sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &identity}, func(st sdk.State) bool {
				return slices.Equal(st.Mapped, []string{"PRINCIPAL_ROLE:auditor"})
			}),
		},
		plugintest.Case{
			Kind: sdk.KindAuthenticator, Type: "older", Principals: []sdk.Principal{alice}, Setup: sdk.Setup{Realm: "r"},
			Call: step(sdk.State{Request: &sdk.Request{Realm: "r"}, Credential: &sdk.Credential{Realm: "r", Principal: sdk.PrincipalRef{Name: "alice"}}}, func(st sdk.State) bool {
				return st.Principal != nil && st.Principal.ID == "7"
			}),
		},
		plugintest.Case{
			Kind: sdk.KindActiveRolesProvider, Type: "older", Setup: setup,
			Call: step(sdk.State{
				Request: &sdk.Request{Realm: "r"}, Principal: &alice, Credential: &sdk.Credential{Realm: "r", RequestedRoles: []string{"PRINCIPAL_ROLE:auditor"}},
			}, func(st sdk.State) bool { return slices.Equal(st.Active, []string{"auditor"}) }),
		})
}
