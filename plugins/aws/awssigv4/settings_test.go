package awssigv4_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/awssigv4"
	"github.com/realmgate/realmgate/sdk"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key       string
		value     any
		path, err string
	}{
		"good":             {"clock_skew", "PT1M", "", ""},
		"no region":        {"region", nil, "/region", "required"},
		"an empty region":  {"region", "", "/region", "needed"},
		"a region":         {"region", "EU", "/region", "lower case"},
		"no service":       {"service", nil, "/service", "required"},
		"a service":        {"service", "a/b", "/service", "needed"},
		"no skew":          {"clock_skew", "PT0S", "/clock_skew", "PT1S"},
		"a wide skew":      {"clock_skew", "PT16M", "/clock_skew", "PT15M"},
		"a long life":      {"max_expires", "P8D", "/max_expires", "P7D"},
		"no life":          {"max_expires", "PT0S", "/max_expires", "PT1S"},
		"a negative cache": {"replay_cache", -1, "/replay_cache", "between"},
		"an empty role":    {"roles", []string{""}, "/roles", "empty"},
	} {
		s := map[string]any{"region": region, "service": service}
		if s[tt.key] = tt.value; tt.value == nil {
			delete(s, tt.key)
		}
		build(t, name, s, tt.path, tt.err)
	}
	build(t, "paths of s3", map[string]any{"region": region, "service": "s3", "normalize_path": true}, "/normalize_path", "never")
}

func build(t *testing.T, name string, s map[string]any, path, text string) {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sdk.IdentityProviderType("aws-sigv4", awssigv4.NewProvider).Build(t.Context(), sdk.Setup{}, raw)
	ps := sdk.Problems(err)
	if text == "" && err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if text != "" && (len(ps) != 1 || ps[0].Path != path || !strings.Contains(ps[0].Summary, text)) {
		t.Errorf("%s: %v, want one fault at %s with %q", name, err, path, text)
	}
}

// What is allowed, but weaker, is said when the daemon starts.
func TestWarning(t *testing.T) {
	t.Parallel()
	ctx, warned := sdk.CollectWarnings(t.Context())
	if _, err := awssigv4.NewProvider(ctx, sdk.Setup{}, awssigv4.Settings{
		Region: region, Service: service, ClockSkew: sdk.Duration(1e9), MaxExpires: sdk.Duration(1e9), UnsignedPayload: true,
	}); err != nil {
		t.Fatal(err)
	}
	if ws := warned(); len(ws) != 1 || ws[0].Path != "/unsigned_payload" {
		t.Errorf("%v", ws)
	}
}
