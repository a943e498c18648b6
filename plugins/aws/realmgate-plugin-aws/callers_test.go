package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/plugins/aws/awssigv4"
	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// callerCases are those of the identity providers.
func callerCases(t *testing.T) []plugintest.Case {
	t.Helper()
	return []plugintest.Case{iamCase(t), signedCase(t)}
}

// iamCase has an STS of its own, which knows one session of a role.
func iamCase(t *testing.T) plugintest.Case {
	t.Helper()
	role := ststest.Caller{
		AccessKeyID: "ASIAROLE", Secret: "secret", SessionToken: "token", Account: "111122223333",
		ARN: "arn:aws:sts::111122223333:assumed-role/deployer/run-7", UserID: "AROADEPLOYER:run-7",
	}
	sts := ststest.New(t, role)
	proof, err := login.New(t.Context(), role.Credentials(), login.Options{
		Audience: "gate", Region: "us-east-1", Endpoint: sts.URL, Form: login.FormK8s, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return plugintest.Case{
		Kind: sdk.KindIdentityProvider, Type: "aws-iam", Setup: sdk.Setup{Tenant: "tenant1"},
		Settings: settings(map[string]any{"audience": "gate", "sts_endpoint": sts.URL}),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Request: &sdk.Request{Realm: "realm1", Scheme: "bearer", Token: proof.Value}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Identity.Subject != "arn:aws:iam::111122223333:role/deployer" || st.Cache.NoStore || st.Cache.MaxAge <= 0 {
				return fmt.Errorf("identified %+v, %+v", st.Identity, st.Cache)
			}
			return nil
		},
	}
}

func signedCase(t *testing.T) plugintest.Case {
	t.Helper()
	const ref = "urn:realmgate-secret:s:access-keys/RGAKTEST"
	return plugintest.Case{
		Kind: sdk.KindIdentityProvider, Type: "aws-sigv4", Setup: sdk.Setup{Tenant: "tenant1"},
		Settings: settings(map[string]any{"region": "eu-west-1", "service": "execute-api"}),
		AccessKeys: []sdk.AccessKey{
			{ID: "RGAKTEST", Principal: sdk.PrincipalRef{ID: "7", Name: "alice"}, Enabled: true, Secret: awstest.Ref(ref)},
		},
		Secrets: map[string]string{ref: "secret"},
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/x?a=1", nil)
			if err != nil {
				return err
			}
			r.Header.Set("X-Amz-Content-Sha256", awssig.EmptyPayload)
			keys := aws.Credentials{AccessKeyID: "RGAKTEST", SecretAccessKey: "secret"}
			if err := v4.NewSigner().SignHTTP(ctx, keys, r, awssig.EmptyPayload, "execute-api", "eu-west-1", time.Now()); err != nil {
				return err
			}
			m := &sdk.HTTPMessage{Method: r.Method, Scheme: "https", Host: r.Host, RawTarget: "/v1/x?a=1"}
			for name, values := range r.Header {
				m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: values[0]})
			}
			st := sdk.State{Request: &sdk.Request{
				Realm: "realm1", Scheme: awssigv4.Scheme, Token: strings.TrimPrefix(r.Header.Get("Authorization"), awssig.Algorithm+" "), HTTP: m,
			}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if st.Identity.Subject != "7" || !st.Cache.NoStore {
				return fmt.Errorf("identified %+v, %+v", st.Identity, st.Cache)
			}
			return nil
		},
	}
}
