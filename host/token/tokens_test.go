package token

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// ask serves a request at one of the endpoints beside the token endpoint.
func ask(t *testing.T, h http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("not JSON: %q", w.Body)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("may be cached: %v", w.Header())
	}
	return w, body
}

func tokenBody(token string, more ...string) string {
	v := url.Values{"token": {token}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v.Encode()
}

func TestRevoke(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	tests := []struct {
		name    string
		body    string
		header  []string
		status  int
		code    string
		revoked bool
	}{
		{"basic", tokenBody("good"), good, 200, "", true},
		{"body", tokenBody("good", "client_id", testID, "client_secret", testSecret), nil, 200, "", true},
		{"with a hint", tokenBody("good", "token_type_hint", "refresh_token"), good, 200, "", true},
		{"the token itself", tokenBody("good"), []string{"Authorization", "Bearer good"}, 200, "", true},
		{"refused today because of a role", tokenBody("ungranted"), good, 200, "", true},
		{"refused today, the token itself", tokenBody("ungranted"), []string{"Authorization", "Bearer ungranted"}, 200, "", true},
		{"another's", tokenBody("bobs"), good, 200, "", false},
		{"unknown", tokenBody("junk"), good, 200, "", false},
		{"expired", tokenBody("expired"), good, 200, "", false},
		{"not a token", tokenBody("a b"), good, 200, "", false},
		{"too long", tokenBody(strings.Repeat("a", maxToken+1)), good, 200, "", false},
		{"unknown, the token itself", tokenBody("junk"), []string{"Authorization", "Bearer junk"}, 200, "", false},
		{"another token as bearer", tokenBody("good"), []string{"Authorization", "Bearer other"}, 401, CodeInvalidClient, false},
		{"no client", tokenBody("good"), nil, 401, CodeInvalidClient, false},
		{"wrong secret", tokenBody("good"), []string{"Authorization", basic(testID, "x")}, 401, CodeInvalidClient, false},
		{"unknown client", tokenBody("good"), []string{"Authorization", basic("x", testSecret)}, 401, CodeInvalidClient, false},
		{"secret only", tokenBody("good", "client_secret", "x"), []string{"Authorization", "Bearer good"}, 400, CodeInvalidRequest, false},
		{"no token", "token=", good, 400, CodeInvalidRequest, false},
		{"twice", "token=good&token=good", good, 400, CodeInvalidRequest, false},
		{"we are down", tokenBody("down"), good, 503, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newExchange()
			f.admit.tokens["ungranted"] = held(func(d *pipeline.Decision) {
				d.Verdict, d.Denial = pipeline.Denied, &sdk.Denial{Reason: "role_not_granted"}
			})
			f.admit.tokens["bobs"] = held(func(d *pipeline.Decision) { d.Credential.Principal.ID = "8" })
			var revoked []string
			f.Directory = clients{revoked: &revoked}
			w, body := ask(t, f.service(t).ServeRevoke, post(tt.body, tt.header...))
			if got, _ := body["error"].(string); w.Code != tt.status || got != tt.code {
				t.Errorf("%d %v, want %d %q", w.Code, body, tt.status, tt.code)
			}
			if tt.status == 200 && len(body) != 0 {
				t.Errorf("the answer tells tokens apart: %v", body)
			}
			if want := []string{"r https://gate/realms/r " + session + " 1800039600"}; tt.revoked && !slices.Equal(revoked, want) || !tt.revoked && revoked != nil {
				t.Errorf("revoked %v", revoked)
			}
		})
	}
	f := newExchange()
	f.Directory = clients{err: errors.New("disk /dev/x is full")}
	if w, body := ask(t, f.service(t).ServeRevoke, post(tokenBody("good"), "Authorization", "Bearer good")); w.Code != 503 || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("a revocation that is not kept: %d %v", w.Code, body)
	}
	if w, _ := ask(t, f.service(t).ServeRevoke, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != 405 || w.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d", w.Code)
	}
}

func TestIntrospect(t *testing.T) {
	good := []string{"Authorization", basic(testID, testSecret)}
	tests := []struct {
		name   string
		body   string
		header []string
		status int
		code   string
		active bool
	}{
		{"basic", tokenBody("good"), good, 200, "", true},
		{"body", tokenBody("good", "client_id", testID, "client_secret", testSecret), nil, 200, "", true},
		{"another's", tokenBody("bobs"), good, 200, "", true},
		{"expired", tokenBody("expired"), good, 200, "", false},
		{"revoked", tokenBody("revoked"), good, 200, "", false},
		{"disabled", tokenBody("disabled"), good, 200, "", false},
		{"deleted", tokenBody("gone"), good, 200, "", false},
		{"unknown", tokenBody("junk"), good, 200, "", false},
		{"not a token", tokenBody("a b"), good, 200, "", false},
		{"no client", tokenBody("good"), nil, 401, CodeInvalidClient, false},
		{"bearer", tokenBody("good"), []string{"Authorization", "Bearer good"}, 401, CodeInvalidClient, false},
		{"wrong secret", tokenBody("good"), []string{"Authorization", basic(testID, "x")}, 401, CodeInvalidClient, false},
		{"no token", "x=y", good, 400, CodeInvalidRequest, false},
		{"we are down", tokenBody("down"), good, 503, "", false},
		{"a plan that lies", tokenBody("lying"), good, 503, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, body := ask(t, newExchange().service(t).ServeIntrospect, post(tt.body, tt.header...))
			if got, _ := body["error"].(string); w.Code != tt.status || got != tt.code {
				t.Fatalf("%d %v, want %d %q", w.Code, body, tt.status, tt.code)
			}
			if tt.status == 200 && body["active"] != tt.active || !tt.active && tt.status == 200 && len(body) != 1 {
				t.Errorf("%v", body)
			}
		})
	}
	_, body := ask(t, newExchange().service(t).ServeIntrospect, post(tokenBody("good"), good...))
	want := `{"active":true,"aud":["aud"],"client_id":"client 1%/é","exp":1800000060,"iss":"https://gate/realms/r","jti":"` + session + `.` + session + `","scope":"PRINCIPAL_ROLE:a PRINCIPAL_ROLE:b","sub":"7","token_type":"Bearer","username":"alice"}`
	if got, _ := json.Marshal(body); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMetadata(t *testing.T) {
	f := newFixture()
	f.Issuer, f.URL = "https://issuer.example", "https://gate/prefix/realms/r"
	get := func(c Config) (*httptest.ResponseRecorder, metadata) {
		t.Helper()
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/realms/r/.well-known/openid-configuration", nil)
		r.Host = "attacker.example"
		r.Header.Set("X-Forwarded-Host", "attacker.example")
		w := httptest.NewRecorder()
		s.ServeMetadata(w, r)
		if strings.Contains(w.Body.String(), "attacker") {
			t.Errorf("the request has a say in the metadata: %s", w.Body)
		}
		var m metadata
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		return w, m
	}
	w, m := get(f.Config)
	if w.Code != 200 || m.Issuer != "https://issuer.example" || m.TokenEndpoint != "https://gate/prefix/realms/r/v1/oauth/tokens" ||
		m.RevocationEndpoint != "https://gate/prefix/realms/r/v1/oauth/revoke" || m.IntrospectionEndpoint != "https://gate/prefix/realms/r/v1/oauth/introspect" ||
		!slices.Equal(m.GrantTypes, []string{grantClientCredentials, grantTokenExchange}) || !slices.Equal(m.TokenAuth, []string{"client_secret_basic", "client_secret_post"}) ||
		!slices.Equal(m.Scopes, []string{"PRINCIPAL_ROLE:ALL", "catalog"}) {
		t.Errorf("%d %+v", w.Code, m)
	}
	if strings.Contains(w.Body.String(), "jwks_uri") || strings.Contains(w.Body.String(), "id_token_signing") || !strings.Contains(w.Body.String(), `"response_types_supported":[]`) {
		t.Errorf("without keys: %s", w.Body)
	}
	f.Keys = &publisher{sets: []string{twoKeys}}
	if w, m = get(f.Config); m.KeysURI != "https://gate/prefix/realms/r/v1/jwks" || !slices.Equal(m.Algorithms, []string{"ES256", "RS256"}) {
		t.Errorf("%d %+v", w.Code, m)
	}
	if w.Header().Get("Cache-Control") != "public, max-age=300" || w.Header().Get("ETag") == "" {
		t.Errorf("%v", w.Header())
	}
	f.Keys = &publisher{err: errors.New("down")}
	if w, _ = get(f.Config); w.Code != 503 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
