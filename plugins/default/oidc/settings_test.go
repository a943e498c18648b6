package oidc

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	junk := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := map[string]any{"issuer": "https://idp.example.com", "audience": []string{"polaris"}}
	for name, tt := range map[string]struct {
		key       string
		value     any
		path, err string
	}{
		"good":                    {"clock_skew", "PT5M", "", ""},
		"loopback":                {"issuer", "http://127.0.0.1:8080/realms/x", "", ""},
		"localhost":               {"issuer", "http://localhost:8080", "", ""},
		"loopback, IPv6":          {"issuer", "http://[::1]:8080", "", ""},
		"plain http":              {"issuer", "http://idp.example.com", "/issuer", "https is needed"},
		"loopback's look-alike":   {"issuer", "http://localhost.example.com", "/issuer", "https is needed"},
		"no URL":                  {"issuer", "idp.example.com", "/issuer", "not an absolute URL"},
		"a query":                 {"issuer", "https://idp.example.com?x", "/issuer", "query"},
		"a user":                  {"issuer", "https://a:b@idp.example.com", "/issuer", "user"},
		"no issuer":               {"issuer", nil, "/issuer", "required"},
		"no audience":             {"audience", nil, "/audience", "required"},
		"an empty list":           {"audience", []string{}, "/audience", "at least one"},
		"an empty audience":       {"audience", []string{"a", ""}, "/audience", "none may be empty"},
		"none":                    {"algorithms", []string{"RS256", "none"}, "/algorithms/1", "not an asymmetric"},
		"HS256":                   {"algorithms", []string{"HS256"}, "/algorithms/0", "not an asymmetric"},
		"ES512":                   {"algorithms", []string{"ES512"}, "", ""},
		"skew":                    {"clock_skew", "PT6M", "/clock_skew", "PT5M"},
		"refresh":                 {"refresh_interval", "PT1S", "/refresh_interval", "every 10s"},
		"stale":                   {"max_stale", "PT1M", "/max_stale", "at least refresh_interval"},
		"keys over plain http":    {"jwks_uri", "http://idp.example.com/jwks", "/jwks_uri", "https is needed"},
		"metadata over plain":     {"discovery_url", "http://idp.example.com/x", "/discovery_url", "https is needed"},
		"keys on this machine":    {"jwks_uri", "http://127.0.0.1:8080/jwks", "/jwks_uri", "the issuer is not this machine"},
		"metadata on it":          {"discovery_url", "http://localhost/x", "/discovery_url", "the issuer is not this machine"},
		"keys on another host":    {"jwks_uri", "https://www.example.com/certs?a=b", "", ""},
		"keys with a fragment":    {"jwks_uri", "https://www.example.com/certs?a=b#c", "/jwks_uri", "fragment"},
		"no authorities":          {"ca_file", junk, "/ca_file", "no certificate"},
		"no authorities' file":    {"ca_file", junk + "x", "/ca_file", "no such file"},
		"an empty path segment":   {"role_claim_path", "a//b", "/role_claim_path", "empty segment"},
		"remembered too long":     {"verified_tokens", []any{map[string]any{"max_age": "PT2H"}}, "/verified_tokens/max_age", "PT1H"},
		"nothing remembered":      {"verified_tokens", []any{map[string]any{"max_age": "PT0S"}}, "", ""},
		"a key that is not known": {"audiance", "x", "/audiance", `did you mean "audience"`},
	} {
		settings := override(map[string]any{}, base)
		settings = override(settings, map[string]any{tt.key: tt.value})
		raw, err := json.Marshal(settings)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sdk.IdentityProviderType("oidc", NewProvider).Build(t.Context(), sdk.Setup{}, raw)
		ps := sdk.Problems(err)
		if tt.err == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.err != "" && (len(ps) != 1 || ps[0].Path != tt.path || !strings.Contains(ps[0].Summary, tt.err)) {
			t.Errorf("%s: %v, want one fault at %s with %q", name, err, tt.path, tt.err)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://IdP.example.com/realms/x": "https://idp.example.com:443",
		"https://idp.example.com:443":      "https://idp.example.com:443",
		"https://idp.example.com:8443/x":   "https://idp.example.com:8443",
		"http://[::1]/jwks":                "http://[::1]:80",
		"https://idp.example.com@evil.com": "https://evil.com:443",
	} {
		u, err := url.Parse(text)
		if err != nil || origin(u) != want {
			t.Errorf("%s: %s, %v, want %s", text, origin(u), err, want)
		}
	}
}

// A provider with a certificate of a private authority, with its keys and its metadata at places of their own.
func TestCAFileAndOverrides(t *testing.T) {
	t.Parallel()
	keys := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metadata" {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": keys.URL, "jwks_uri": keys.URL + "/jwks"})
			return
		}
		keys.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	text := keys.sign(t, token{})
	identify(t, keys.provider(t, map[string]any{"jwks_uri": server.URL + "/jwks"}), text, "unavailable")
	identify(t, keys.provider(t, map[string]any{"jwks_uri": server.URL + "/jwks", "ca_file": ca}), text, "")
	if n := keys.discoveries.Load(); n != 0 {
		t.Errorf("%d fetches of metadata although jwks_uri is set", n)
	}
	identify(t, keys.provider(t, map[string]any{"discovery_url": server.URL + "/metadata", "ca_file": ca}), text, "")
}
