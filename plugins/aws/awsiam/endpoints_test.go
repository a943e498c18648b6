package awsiam

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// The regions are those of the SDK that is linked: updating it makes this fail until they are written down here too.
func TestRegionsAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal/endpoints/awsrulesfn/partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Partitions []struct {
			ID      string                     `json:"id"`
			Regions map[string]json.RawMessage `json:"regions"`
		} `json:"partitions"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, p := range file.Partitions {
		for _, r := range slices.Sorted(maps.Keys(p.Regions)) {
			if !strings.HasSuffix(r, "-global") {
				want[p.ID] = append(want[p.ID], r)
			}
		}
	}
	if len(want) < 3 || !maps.EqualFunc(want, regions, slices.Equal) {
		t.Errorf("%v\nwant %v", regions, want)
	}
	for p, rs := range regions {
		for _, r := range rs {
			if got, err := partitionOf(r, []string{p}); err != nil || got != p {
				t.Errorf("%s: %q, %v", r, got, err)
			}
		}
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s      Settings
		has    map[string]endpoint
		hasNot []string
	}{
		"all of aws": {Settings{}, map[string]endpoint{
			"sts.amazonaws.com":                {"https", "us-east-1", "aws"},
			"sts.us-east-1.amazonaws.com":      {"https", "us-east-1", "aws"},
			"sts.eu-west-1.amazonaws.com":      {"https", "eu-west-1", "aws"},
			"sts-fips.us-west-2.amazonaws.com": {"https", "us-west-2", "aws"},
		}, []string{"sts.us-gov-west-1.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "sts.s3.amazonaws.com", ""}},
		"one region": {Settings{Regions: []string{"eu-west-1"}}, map[string]endpoint{
			"sts.eu-west-1.amazonaws.com": {"https", "eu-west-1", "aws"}, "sts.amazonaws.com": {"https", "us-east-1", "aws"},
		}, []string{"sts.eu-west-2.amazonaws.com"}},
		"a new region": {Settings{Regions: []string{"eu-west-9"}}, map[string]endpoint{"sts.eu-west-9.amazonaws.com": {"https", "eu-west-9", "aws"}}, nil},
		"gov": {Settings{Partitions: []string{"aws-us-gov"}}, map[string]endpoint{
			"sts.us-gov-west-1.amazonaws.com": {"https", "us-gov-west-1", "aws-us-gov"}, // FIPS as it is
			"sts.us-gov-east-1.amazonaws.com": {"https", "us-gov-east-1", "aws-us-gov"},
		}, []string{"sts.amazonaws.com", "sts.us-east-1.amazonaws.com"}},
		"china": {Settings{Partitions: []string{"aws-cn"}}, map[string]endpoint{
			"sts.cn-north-1.amazonaws.com.cn": {"https", "cn-north-1", "aws-cn"},
		}, []string{"sts.cn-north-1.amazonaws.com"}},
		"another": {Settings{STSEndpoint: "https://sts.internal.example:8443"}, map[string]endpoint{
			"sts.internal.example:8443": {"https", "", ""},
		}, []string{"sts.amazonaws.com", "sts.internal.example"}},
	} {
		es, err := newEndpoints(t.Context(), tt.s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for host, want := range tt.has {
			if got, ok := es[host]; !ok || got != want {
				t.Errorf("%s: %s is %+v, want %+v", name, host, got, want)
			}
		}
		for _, host := range tt.hasNot {
			if got, ok := es[host]; ok {
				t.Errorf("%s: %s is %+v", name, host, got)
			}
		}
	}
}

func TestNoEndpoints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s    Settings
		path string
	}{
		"a partition":              {Settings{Partitions: []string{"aws", "aws-mars"}}, "/partitions/1"},
		"no region":                {Settings{Regions: []string{"eu-west-1", "s3"}}, "/regions/1"},
		"an old bucket's host":     {Settings{Regions: []string{"s3-us-west-2"}}, "/regions/0"},
		"a host":                   {Settings{Regions: []string{"evil.example/"}}, "/regions/0"},
		"of another partition":     {Settings{Regions: []string{"us-gov-west-1"}}, "/regions/0"},
		"a new one, of whom":       {Settings{Partitions: []string{"aws", "aws-cn"}, Regions: []string{"eu-west-9"}}, "/regions/0"},
		"regions beside a private": {Settings{STSEndpoint: "https://sts.example", Regions: []string{"eu-west-1"}}, "/sts_endpoint"},
	} {
		es, err := newEndpoints(t.Context(), tt.s)
		if ps := sdk.Problems(err); len(ps) != 1 || ps[0].Path != tt.path || es != nil {
			t.Errorf("%s: %v, %v, want a fault at %s", name, es, err, tt.path)
		}
	}
}
