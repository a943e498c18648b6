package sigv4

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
)

// recorder notes where a question would go.
type recorder struct{ host string }

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	r.host = q.URL.Scheme + "://" + q.URL.Host
	return nil, errors.New("nobody is asked")
}

// Which STS is asked: the region's, the one that FIPS demands, or the operator's own.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ settings, region, want string }{
		{`{}`, "eu-central-1", "https://sts.eu-central-1.amazonaws.com"},
		{`{}`, "us-east-1", "https://sts.us-east-1.amazonaws.com"},
		{`{}`, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"},
		{`{"sts_region":"eu-west-1"}`, "eu-central-1", "https://sts.eu-west-1.amazonaws.com"},
		{`{"sts_fips":true}`, "us-east-1", "https://sts-fips.us-east-1.amazonaws.com"},
		{`{"sts_fips":true}`, "us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"}, // it meets FIPS as it is
		{`{"sts_endpoint":"https://vpce-1.sts.eu-central-1.vpce.amazonaws.com"}`, "eu-central-1", "https://vpce-1.sts.eu-central-1.vpce.amazonaws.com"},
	} {
		var s Settings
		if err := sdk.Decode([]byte(tt.settings), &s); err != nil {
			t.Fatal(err)
		}
		v, err := NewVendor(t.Context(), sdk.Setup{}, s)
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{}
		v.sts.http.Transport = r
		ctx := sdk.WithHost(t.Context(), awstest.NewSecrets(map[string]string{identityRef: "AKID:secret"}))
		if err := second(v.Vend(ctx, request("r1", map[string]any{"signingRegion": tt.region}))); err == nil || r.host != tt.want {
			t.Errorf("%s in %s: %s, %v, want %s", tt.settings, tt.region, r.host, err, tt.want)
		}
		_ = v.Close()
	}
}

// A name that leads to a refused address is not connected to.
func TestRefusedAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(s *Settings) { s.Deny = &[]string{"127.0.0.0/8", "::1"}; s.STSEndpoint = "http://localhost:1" })
	err := second(f.Vend(f.ctx, request("r1", nil)))
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "127.0.0.0/8: the address is refused") || len(f.sts.Asked()) != 0 {
		t.Error(err)
	}
}
