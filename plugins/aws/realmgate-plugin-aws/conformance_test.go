package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/plugins/aws/parts"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

const keysRef = "urn:realmgate-secret:ops:aws"

// Every part keeps to what the contract demands, in process and as the binary that is shipped.
func TestConformance(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(vendorCases(t), storeCases(t), callerCases(t))
	plugintest.Run(t, plugintest.InProcess(parts.Implementations()...), cases...)
	plugintest.Run(t, plugintest.Binary(buildBinary(t)), cases...)
}

func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "realmgate-plugin-aws")
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

func vendorCases(t *testing.T) []plugintest.Case {
	t.Helper()
	sts := awstest.NewSTS(t, awstest.Keys{"AKIDSERVICE": "service-secret"})
	c := plugintest.Case{
		Kind: sdk.KindCredentialVendor, Type: "sigv4", Setup: sdk.Setup{AuthenticationType: "SIGV4"}, Settings: settings(map[string]any{"sts_endpoint": sts.URL}),
		Secrets: map[string]string{keysRef: "AKIDSERVICE:service-secret"},
	}
	role := sdk.Connection{
		Realm: "r1", Name: "lake", Type: "ICEBERG_REST", URI: "https://lake.example.com", AuthenticationType: "SIGV4",
		Authentication:  []byte(`{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::210987654321:role/catalog","signingRegion":"eu-central-1"}`),
		ServiceIdentity: &sdk.ServiceIdentity{Type: "AWS_IAM", ARN: "arn:aws:iam::123456789012:user/realmgate", Credentials: awstest.Ref(keysRef)},
	}
	c.Vend = &sdk.VendRequest{Connection: role, Caller: sdk.Principal{Name: "alice"}}
	c.Sign = &sdk.SignRequest{
		Connection: role, Caller: sdk.Principal{Name: "alice"},
		HTTP: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "lake.example.com", RawTarget: "/v1/a%2Fb", Header: []sdk.Header{{Name: "accept", Value: "*/*"}}},
	}
	vend, sign := c, c
	vend.Name, sign.Name = "vend", "sign"
	vend.Call = func(ctx context.Context, i *plugintest.Instance) error {
		got, err := i.Vend(ctx, *c.Vend)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(got.Properties["s3.access-key-id"].Reveal()), "ASIASESSION") || got.Expires.IsZero() || got.AuditID == "" {
			return fmt.Errorf("vended %d properties until %v", len(got.Properties), got.Expires)
		}
		bad := role
		bad.Authentication = []byte(`{"authenticationType":"SIGV4","roleArn":"x","signingRegion":"eu-central-1"}`)
		_, err = i.Vend(ctx, sdk.VendRequest{Connection: bad})
		if d := sdk.AsDenial(err); d == nil || !d.Forbidden || !strings.HasPrefix(d.Detail, "roleArn: ") {
			return fmt.Errorf("a malformed ARN: %w", err)
		}
		return nil
	}
	sign.Call = func(ctx context.Context, i *plugintest.Instance) error {
		got, err := i.Sign(ctx, *c.Sign)
		if err == nil && (got.URL != "https://lake.example.com/v1/a%2Fb" || !slices.ContainsFunc(got.Header, func(h sdk.Header) bool { return h.Name == "authorization" })) {
			err = fmt.Errorf("signed %+v", got)
		}
		return err
	}
	return []plugintest.Case{vend, sign}
}

func storeCases(t *testing.T) []plugintest.Case {
	t.Helper()
	stores, others := awstest.NewStores(t, awstest.Keys{"AKIDSERVICE": "service-secret"}), awstest.NewStores(t, awstest.Keys{"AKIDSERVICE": "service-secret"})
	stores.Put("db", `{"password":"hunter2"}`)
	out := []plugintest.Case{}
	for _, typ := range []string{"aws-secrets-manager", "aws-ssm-parameters"} {
		out = append(out, plugintest.Case{
			Kind: sdk.KindSecretResolver, Type: typ, Setup: sdk.Setup{Store: "s"},
			Settings:  settings(map[string]any{"region": "eu-central-1", "endpoint": stores.URL, "credentials": keysRef}),
			Elsewhere: settings(map[string]any{"region": "eu-central-1", "endpoint": others.URL, "credentials": keysRef}),
			Secrets:   map[string]string{keysRef: "AKIDSERVICE:service-secret"},
			Call: func(ctx context.Context, i *plugintest.Instance) error {
				s, err := i.Resolve(ctx, awstest.Ref("urn:realmgate-secret:s:db"))
				if err == nil && string(s.Reveal()) != `{"password":"hunter2"}` {
					err = errors.New("another secret")
				}
				return err
			},
		})
	}
	return out
}
