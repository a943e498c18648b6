package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// vendorCases have a token endpoint of their own, which knows one client.
func vendorCases(t *testing.T) []plugintest.Case {
	t.Helper()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, secret, _ := r.BasicAuth(); client != "client" || secret != "hunter2" || r.PostFormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"access_token":"issued-token","token_type":"bearer","expires_in":3600}`)
	}))
	t.Cleanup(endpoint.Close)
	secret := map[string]string{"urn:realmgate-secret:s:key": "hunter2"}
	return []plugintest.Case{
		vendorCase("oauth", "OAUTH", fmt.Sprintf(`{"tokenUri":%q,"clientId":"client","clientSecret":"urn:realmgate-secret:s:key"}`, endpoint.URL), secret, "issued-token"),
		vendorCase("bearer", "BEARER", `{"bearerToken":"urn:realmgate-secret:s:key"}`, secret, "hunter2"),
		vendorCase("implicit", "IMPLICIT", `{}`, nil, ""),
	}
}

func vendorCase(typ, authentication, parameters string, secrets map[string]string, token string) plugintest.Case {
	c := sdk.Connection{
		Realm: "realm1", Name: "glue", Version: 1, Type: "ICEBERG_REST", URI: "https://example.com", AuthenticationType: authentication,
		Authentication: []byte(parameters),
	}
	vend := sdk.VendRequest{Connection: c, Caller: sdk.Principal{Realm: "realm1", ID: "1", Name: "root", Enabled: true}}
	sign := sdk.SignRequest{Connection: c, HTTP: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "example.com", RawTarget: "/v1/a%2Fb?x"}}
	return plugintest.Case{
		Kind: sdk.KindCredentialVendor, Type: typ, Setup: sdk.Setup{Realm: "realm1"}, Secrets: secrets, Vend: &vend, Sign: &sign,
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			got, err := i.Vend(ctx, vend)
			if err == nil && string(got.Properties["token"].Reveal()) != token {
				err = errors.New("another token is answered")
			}
			return err
		},
	}
}
