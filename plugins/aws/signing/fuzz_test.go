package signing_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/plugins/aws/signing"
	"github.com/realmgate/realmgate/sdk"
)

// Whatever can be signed, a verifier of its own takes as it stands in the answer.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{"/", "/a:b/%2F//./..?x=1&x", "/ሴ?%E1%88%B4=+", "/%zz", "/?;", "/..//.", "/?a=%26&a==", "/ a"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		for _, service := range []string{"execute-api", "s3"} {
			in := signing.Input{
				Message: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "example.com", RawTarget: target},
				Keys:    keys(), Region: "eu-central-1", Service: service, Rules: signing.RulesOf(service), At: time.Now(),
			}
			v := awstest.Verifier{Keys: awstest.Keys{keyID: secret}, Region: in.Region, Service: service, Once: service == "s3", AsIs: service == "s3"}
			h, err := signing.Headers(t.Context(), in)
			p, presigned := signing.Presign(t.Context(), in, time.Minute)
			if (err == nil) != (presigned == nil) {
				t.Fatalf("headers %v, URL %v", err, presigned)
			}
			if err != nil {
				if sdk.AsDenial(err) == nil || h.URL != "" {
					t.Fatal(err)
				}
				return
			}
			for _, s := range []sdk.SignedRequest{h, p} {
				r := &http.Request{Method: "GET", Host: "example.com", RequestURI: strings.TrimPrefix(s.URL, "https://example.com"), Header: http.Header{}}
				for _, x := range s.Header {
					r.Header.Add(x.Name, x.Value)
				}
				if _, err := v.Verify(r, []byte{}); err != nil {
					t.Errorf("%s: %v", s.URL, err)
				}
			}
		}
	})
}
