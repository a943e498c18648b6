package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// What every part must keep to; its key comes from the host, as in a daemon.
func TestConformance(t *testing.T) {
	const ref, issuer = "urn:realmgate-secret:files:paseto.pem", "https://gate/realms/acme"
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	plugintest.Run(t, plugintest.InProcess(sdk.TokenBrokerType("paseto", newBroker, sdk.Cacheable())), plugintest.Case{
		Name: "tokens", Kind: sdk.KindTokenBroker, Type: "paseto", Settings: `{"private_key":"` + ref + `"}`,
		Secrets: map[string]string{ref: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))},
		Setup:   sdk.Setup{Realm: "acme", Issuer: issuer, Audience: []string{issuer}, RolePrefix: "PRINCIPAL_ROLE:"},
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			token, err := i.Issue(ctx, sdk.Grant{Principal: sdk.PrincipalRef{ID: "1"}, Realm: "acme", Issuer: issuer,
				Audience: []string{issuer}, TokenID: "t1", SecretVersion: "3", Lifetime: time.Minute})
			if err != nil {
				return err
			}
			st := sdk.State{Request: &sdk.Request{Realm: "acme", Scheme: "bearer", Token: token.Value}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if c := st.Credential; c.Principal.ID != "1" || c.TokenID != "t1" || c.SecretVersion != "3" {
				return errors.New("the credential is not what the token was issued for")
			}
			return nil
		},
	})
}
