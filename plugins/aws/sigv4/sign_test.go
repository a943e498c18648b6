package sigv4

import (
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestSign(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	r := sdk.SignRequest{Connection: request("r1", nil).Connection, Caller: sdk.Principal{Name: "alice"}, HTTP: get("/v1/a:b?x=1")}
	s, err := f.Sign(f.ctx, r)
	if err != nil || s.URL != "https://lake.example.com/v1/a:b?x=1" || time.Until(s.Expires) > 5*time.Minute {
		t.Fatalf("%+v, %v", s, err)
	}
	found := false
	for _, h := range s.Header {
		found = found || h.Name == "authorization" && strings.Contains(h.Value, "Credential=ASIASESSION00000001/") && strings.Contains(h.Value, "/eu-central-1/execute-api/")
	}
	if !found {
		t.Errorf("%+v", s)
	}
	r.Presign = true
	s, err = f.Sign(f.ctx, r)
	if left := time.Until(s.Expires); err != nil || !strings.Contains(s.URL, "X-Amz-Expires=900") || left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("%+v, %v", s, err)
	}
	r.Lifetime = 24 * time.Hour // the session ends before
	if s, err = f.Sign(f.ctx, r); err != nil || time.Until(s.Expires) > time.Hour || !strings.Contains(s.URL, "X-Amz-Security-Token=token-1") {
		t.Errorf("%+v, %v", s, err)
	}
	r.HTTP.Method = ""
	if _, err := f.Sign(f.ctx, r); sdk.AsDenial(err) == nil {
		t.Error(err)
	}
	if n := len(f.sts.Asked()); n != 1 {
		t.Errorf("STS was asked %d times", n)
	}
}

func TestRulesOfAConnection(t *testing.T) {
	t.Parallel()
	r, err := rulesFor("execute-api", map[string]string{propertyNormalize: "false", propertyTwice: "once", propertyToken: "unsigned", "other": "x"})
	if err != nil || r.NormalizePath || r.EncodeTwice || r.SignToken {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = rulesFor("s3", map[string]string{propertyNormalize: "true", propertyTwice: "twice", propertyToken: "signed"})
	if err != nil || !r.NormalizePath || !r.EncodeTwice || !r.SignToken || !r.ContentHash {
		t.Errorf("%+v, %v", r, err)
	}
	for _, name := range []string{propertyNormalize, propertyTwice, propertyToken} {
		if _, err := rulesFor("s3", map[string]string{name: "maybe"}); sdk.AsDenial(err) == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
