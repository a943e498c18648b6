package sigv4

import (
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings string
		want     []string // places of faults
	}{
		"defaults":          {`{}`, nil},
		"all":               {`{"sts_region":"eu-west-1","sts_fips":true,"duration":"PT12H","session_tags":["realm","principal"],"session_name":"{caller}@{realm}","deny_addresses":[]}`, nil},
		"own endpoint":      {`{"sts_endpoint":"https://sts.example.com:9000"}`, nil},
		"loopback":          {`{"sts_endpoint":"http://127.0.0.1:9000"}`, nil},
		"http":              {`{"sts_endpoint":"http://sts.example.com"}`, []string{"/sts_endpoint"}},
		"user in the URL":   {`{"sts_endpoint":"https://u:hunter2@sts.example.com"}`, []string{"/sts_endpoint"}},
		"metadata":          {`{"sts_endpoint":"https://169.254.169.254"}`, []string{"/sts_endpoint"}},
		"metadata allowed":  {`{"sts_endpoint":"https://169.254.169.254","deny_addresses":[]}`, nil},
		"endpoint and FIPS": {`{"sts_endpoint":"https://sts.example.com","sts_fips":true}`, []string{"/sts_fips"}},
		"region":            {`{"sts_region":"a.b"}`, []string{"/sts_region"}},
		"short":             {`{"duration":"PT14M"}`, []string{"/duration"}},
		"long":              {`{"duration":"PT13H"}`, []string{"/duration"}},
		"window":            {`{"duration":"PT1H","expiry_window":"PT30M"}`, []string{"/expiry_window"}},
		"name":              {`{"session_name":"a/b"}`, []string{"/session_name"}},
		"placeholder":       {`{"session_name":"{user}"}`, []string{"/session_name"}},
		"tags":              {`{"session_tags":["realm","realm","x"]}`, []string{"/session_tags/1", "/session_tags/2"}},
		"sessions":          {`{"max_sessions":0}`, []string{"/max_sessions"}},
		"addresses":         {`{"deny_addresses":["x"]}`, []string{"/deny_addresses"}},
		"timeout":           {`{"timeout":"PT2M"}`, []string{"/timeout"}},
		"no such file":      {`{"ca_file":"/nowhere"}`, []string{"/ca_file"}},
		"several":           {`{"sts_region":"a.b","timeout":"PT2M"}`, []string{"/sts_region", "/timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s Settings
			if err := sdk.Decode([]byte(tt.settings), &s); err != nil {
				t.Fatal(err)
			}
			v, err := NewVendor(t.Context(), sdk.Setup{}, s)
			if err == nil {
				defer v.Close()
			}
			var got []string
			for _, p := range sdk.Problems(err) {
				got = append(got, p.Path)
				if strings.Contains(p.Error(), "hunter2") {
					t.Errorf("%v", p)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOtherAuthenticationTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if _, err := NewVendor(t.Context(), sdk.Setup{AuthenticationType: "BEARER"}, f.settings); err == nil || !strings.Contains(err.Error(), "not for BEARER") {
		t.Error(err)
	}
	r := request("r1", nil)
	r.Connection.AuthenticationType = "OAUTH"
	if d := sdk.AsDenial(second(f.Vend(f.ctx, r))); d == nil || !strings.HasPrefix(d.Detail, "authenticationType: ") {
		t.Error(d)
	}
}

func TestNarrowed(t *testing.T) {
	t.Parallel()
	got, err := narrowed("aws-cn", "", []string{"s3://bucket/a/b", "s3a://other"})
	const want = `{"Statement":[{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:GetObject","s3:GetObjectVersion","s3:ListMultipartUploadParts",` +
		`"s3:PutObject"],"Resource":"arn:aws-cn:s3:::bucket/a/b/*"},{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":"arn:aws-cn:s3:::bucket","Condition":{"StringLike":{"s3:prefix":["a/b/*"]}}},` +
		`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:GetObject","s3:GetObjectVersion","s3:ListMultipartUploadParts","s3:PutObject"],"Resource":"arn:aws-cn:s3:::other/*"},` +
		`{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":"arn:aws-cn:s3:::other"}],"Version":"2012-10-17"}`
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	many := make([]string, 21)
	for i := range many {
		many[i] = "s3://bucket"
	}
	for name, tt := range map[string]struct {
		policy string
		uris   []string
	}{
		"a policy beside it": {`{"Statement":[]}`, []string{"s3://bucket/a"}},
		"wildcard":           {"", []string{"s3://bucket/a*"}},
		"encoded wildcard":   {"", []string{"s3://bucket/%2A"}},
		"variable":           {"", []string{"s3://bucket/${aws:username}"}},
		"quote":              {"", []string{`s3://bucket/a"b`}},
		"all buckets":        {"", []string{"s3://*/a"}},
		"no bucket":          {"", []string{"s3:///a"}},
		"another scheme":     {"", []string{"gs://bucket/a"}},
		"no URI":             {"", []string{"bucket/a"}},
		"empty":              {"", []string{""}},
		"query":              {"", []string{"s3://bucket/a?b"}},
		"one is bad":         {"", []string{"s3://bucket/a", "x"}},
		"many":               {"", many},
		"long":               {"", []string{"s3://bucket/" + strings.Repeat("x", 2000)}},
	} {
		got, err := narrowed("aws", tt.policy, tt.uris)
		if d := sdk.AsDenial(err); d == nil || d.Reason != ReasonNarrowing || got != "" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
