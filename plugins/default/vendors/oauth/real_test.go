package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/sdk"
)

var scopes = []string{"catalog", "PRINCIPAL_ROLE:ALL"}

// TestRealProvider has a real OpenID provider issue the tokens, which knows what it issued.
func TestRealProvider(t *testing.T) {
	t.Parallel()
	provider := oidctest.Start(t, oidctest.Options{ClientID: "realm:gate", ClientSecret: theSecret, Scopes: scopes})
	c := connectionOf(provider.TokenURL, provider.ClientID, scopes...)
	for _, method := range []string{methodBasic, methodPost} {
		x := newRig(t, map[string]any{"auth_method": method})
		got, err := x.vend(t, sdk.VendRequest{Connection: c})
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(got.Expires); left < time.Minute || left > 2*time.Hour {
			t.Errorf("%s: the token lives for %v", method, left)
		}
		token := string(got.Properties["token"].Reveal())
		active, client, granted := introspect(t, provider, token)
		if !active || client != provider.ClientID || !slices.Equal(granted, scopes) {
			t.Errorf("%s: the provider knows the token as %v of %q for %q", method, active, client, granted)
		}
		signed, err := x.Sign(sdk.WithHost(t.Context(), x.host), sdk.SignRequest{Connection: c, HTTP: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "example.com", RawTarget: "/v1/config"}})
		if err != nil || signed.Header[0].Value != "Bearer "+token || !signed.Expires.Equal(got.Expires) {
			t.Errorf("%s: signed %+v, %v", method, signed, err)
		}
		x.host.set("wrong")
		x.failsAs(t, c, "invalid_client")
		x.host.set(theSecret)
		x.failsAs(t, connectionOf(provider.TokenURL, "nobody"), "invalid_client")
		x.failsAs(t, connectionOf(provider.TokenURL, provider.ClientID, "openid"), "invalid_scope")

		before := provider.Requests(t, "/token")
		provider.Stop()
		if again, err := x.vend(t, sdk.VendRequest{Connection: c}); err != nil || string(again.Properties["token"].Reveal()) != token {
			t.Errorf("%s: while the provider is down: %v", method, err)
		}
		x.advance(24 * time.Hour)
		x.failsAs(t, c, "cannot be reached")
		provider.Resume()
		x.advance(lastBackoff)
		if again, err := x.vend(t, sdk.VendRequest{Connection: c}); err != nil || string(again.Properties["token"].Reveal()) == token {
			t.Errorf("%s: after it came back: %v", method, err)
		}
		if n := provider.Requests(t, "/token") - before; n != 1 {
			t.Errorf("%s: %d requests for one token", method, n)
		}
	}
}

func (x *rig) failsAs(t *testing.T, c sdk.Connection, want string) {
	t.Helper()
	_, err := x.vend(t, sdk.VendRequest{Connection: c})
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// introspect asks the provider about a token (RFC 7662).
func introspect(t *testing.T, p *oidctest.Provider, token string) (active bool, client string, scope []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.IntrospectionURL, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(p.ClientID), url.QueryEscape(p.ClientSecret))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var a struct {
		Active bool   `json:"active"`
		Client string `json:"client_id"`
		Scope  string `json:"scope"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a.Active, a.Client, strings.Fields(a.Scope)
}
