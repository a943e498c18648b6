package introspection

import (
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	base := map[string]any{
		"endpoint": "https://idp.example.com/introspect", "client_id": "c", "client_secret": "urn:realmgate-secret:s:x", "audience": []string{"polaris"},
	}
	for name, tt := range map[string]struct {
		key       string
		value     any
		path, err string
	}{
		"good":               {"auth_method", "post", "", ""},
		"loopback":           {"endpoint", "http://127.0.0.1:1/x", "", ""},
		"plain http":         {"endpoint", "http://idp.example.com/x", "/endpoint", "https is needed"},
		"a user":             {"endpoint", "https://a:b@idp.example.com/x", "/endpoint", "user"},
		"no endpoint":        {"endpoint", nil, "/endpoint", "required"},
		"no client":          {"client_id", "", "/client_id", "needed"},
		"a pasted secret":    {"client_secret", "hunter2", "/client_secret", "not the secret itself"},
		"no secret":          {"client_secret", nil, "/client_secret", "required"},
		"a method":           {"auth_method", "none", "/auth_method", "basic and post"},
		"no audience":        {"audience", nil, "/audience", "require_audience"},
		"an empty audience":  {"audience", []string{""}, "/audience", "empty"},
		"skew":               {"clock_skew", "PT6M", "/clock_skew", "PT5M"},
		"a long memory":      {"max_age", "PT2H", "/max_age", "revoked"},
		"no time":            {"timeout", "PT0S", "/timeout", "PT30S"},
		"too much time":      {"timeout", "PT31S", "/timeout", "PT30S"},
		"no requests":        {"requests_per_second", 0, "/requests_per_second", "between"},
		"no authorities":     {"ca_file", "/nonexistent", "/ca_file", "no such file"},
		"an empty role path": {"role_claim_path", "a//b", "/role_claim_path", "empty segment"},
	} {
		s := map[string]any{}
		for k, v := range base {
			s[k] = v
		}
		if s[tt.key] = tt.value; tt.value == nil {
			delete(s, tt.key)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sdk.IdentityProviderType("introspection", NewProvider).Build(t.Context(), sdk.Setup{}, raw)
		ps := sdk.Problems(err)
		if tt.err == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.err != "" && (len(ps) != 1 || ps[0].Path != tt.path || !strings.Contains(ps[0].Summary, tt.err) || strings.Contains(ps[0].Summary, "hunter2")) {
			t.Errorf("%s: %v, want one fault at %s with %q", name, err, tt.path, tt.err)
		}
	}
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(active(nil))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	newTenant(t, server.URL, nil).want(t, "token", "unavailable")
	newTenant(t, server.URL, map[string]any{"ca_file": ca}).want(t, "token", "")
}
