package awsiam_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/sdk"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key       string
		value     any
		path, err string
	}{
		"good":                    {"regions", []string{"eu-west-1"}, "", ""},
		"accounts":                {"accounts", []string{"111122223333"}, "", ""},
		"a private endpoint":      {"sts_endpoint", "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", "", ""},
		"of this machine":         {"sts_endpoint", "http://127.0.0.1:9000/", "", ""},
		"no audience":             {"audience", nil, "/audience", "required"},
		"an empty audience":       {"audience", "", "/audience", "another service"},
		"an audience of spaces":   {"audience", " a", "/audience", "spaces"},
		"an audience's line":      {"audience", "a\r\nb", "/audience", "printable"},
		"the host as audience":    {"audience_header", "host", "/audience_header", "of its own"},
		"a signed one":            {"audience_header", "x-amz-date", "/audience_header", "of its own"},
		"upper case":              {"audience_header", "X-Cluster", "/audience_header", "lower case"},
		"a partition":             {"partitions", []string{"mars"}, "/partitions/0", "no partition"},
		"a region":                {"regions", []string{"s3"}, "/regions/0", "not the name of a region"},
		"an account":              {"accounts", []string{"111122223333", "1"}, "/accounts/1", "12 digits"},
		"plain http":              {"sts_endpoint", "http://sts.example.com", "/sts_endpoint", "https is needed"},
		"a user":                  {"sts_endpoint", "https://a:b@sts.example.com", "/sts_endpoint", "user"},
		"a path":                  {"sts_endpoint", "https://sts.example.com/x", "/sts_endpoint", "path"},
		"a host in upper case":    {"sts_endpoint", "https://STS.example.com", "/sts_endpoint", "lower case"},
		"no URL":                  {"sts_endpoint", "sts.example.com", "/sts_endpoint", "neither https nor http"},
		"an empty role":           {"roles", []string{""}, "/roles", "empty"},
		"a skew":                  {"clock_skew", "PT6M", "/clock_skew", "PT5M"},
		"a long life":             {"max_age", "PT16M", "/max_age", "PT15M"},
		"no life":                 {"max_age", "PT0S", "/max_age", "PT1S"},
		"no time":                 {"timeout", "PT0S", "/timeout", "100ms"},
		"too much time":           {"timeout", "PT61S", "/timeout", "PT1M"},
		"no requests":             {"requests_per_second", 0, "/requests_per_second", "between"},
		"a key that is not known": {"audiences", "x", "/audiences", "audience"},
	} {
		s := map[string]any{"audience": audience}
		if s[tt.key] = tt.value; tt.value == nil {
			delete(s, tt.key)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sdk.IdentityProviderType("aws-iam", awsiam.NewProvider).Build(t.Context(), sdk.Setup{}, raw)
		ps := sdk.Problems(err)
		if tt.err == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.err != "" && (len(ps) != 1 || ps[0].Path != tt.path || !strings.Contains(ps[0].Summary, tt.err)) {
			t.Errorf("%s: %v, want one fault at %s with %q", name, err, tt.path, tt.err)
		}
	}
}

// The roles that an identity asks for are the tenant's, with the daemon's prefix if it does not say.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ settings, prefix, want string }{
		"all":           {`{"audience":"a"}`, "R:", "R:ALL"},
		"chosen":        {`{"audience":"a","roles":["R:reader"]}`, "R:", "R:reader"},
		"none":          {`{"audience":"a","roles":[]}`, "R:", ""},
		"older daemons": {`{"audience":"a"}`, "", "PRINCIPAL_ROLE:ALL"},
	} {
		impl, err := sdk.IdentityProviderType("aws-iam", awsiam.NewProvider).Build(t.Context(), sdk.Setup{RolePrefix: tt.prefix}, []byte(tt.settings))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(impl.(*awsiam.Provider).Roles(), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
