package login_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/login"
)

var now = time.Date(2026, 5, 4, 3, 2, 1, 5e8, time.UTC)

func TestToken(t *testing.T) {
	t.Parallel()
	keys := aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "hunter2"}
	soon := keys
	soon.CanExpire, soon.Expires = true, now.Add(time.Minute)
	end := now.Truncate(time.Second).Add(15 * time.Minute)
	for name, tt := range map[string]struct {
		keys   aws.Credentials
		o      login.Options
		at     string
		header string
		end    time.Time
	}{
		"a region":           {keys, login.Options{Region: "eu-west-1"}, "https://sts.eu-west-1.amazonaws.com/?", "x-k8s-aws-id", end},
		"of another":         {keys, login.Options{Region: "cn-north-1"}, "https://sts.cn-north-1.amazonaws.com.cn/?", "x-k8s-aws-id", end},
		"an endpoint":        {keys, login.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000/?", "x-k8s-aws-id", end},
		"a header":           {keys, login.Options{Region: "eu-west-1", AudienceHeader: "x-cluster"}, "https://sts.eu-west-1.amazonaws.com/?", "x-cluster", end},
		"keys that end soon": {soon, login.Options{Region: "eu-west-1"}, "https://sts.eu-west-1.amazonaws.com/?", "x-k8s-aws-id", soon.Expires},
	} {
		tt.o.Audience, tt.o.Form, tt.o.Now = "gate", login.FormK8s, now
		got, err := login.New(t.Context(), tt.keys, tt.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(got.Value, awsiam.PrefixK8s))
		if url := string(raw); err != nil || !strings.HasPrefix(url, tt.at) || !strings.Contains(url, "SignedHeaders=host%3B"+tt.header) ||
			!strings.Contains(url, "X-Amz-Expires=900") || strings.Contains(url, "hunter2") || !got.Expires.Equal(tt.end) {
			t.Errorf("%s: %s until %v, %v", name, url, got.Expires, err)
		}
	}
	for name, o := range map[string]login.Options{
		"no audience": {Region: "eu-west-1", Form: login.FormK8s}, "no region": {Audience: "a", Form: login.FormK8s},
		"no form": {Audience: "a", Region: "eu-west-1", Form: "x"}, "no URL": {Audience: "a", Region: "eu-west-1", Form: login.FormK8s, Endpoint: "sts"},
	} {
		if got, err := login.New(t.Context(), keys, o); err == nil || got != (login.Token{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A script tells a wrong command line (2) from credentials that are not there (1), and reads the token alone.
func TestCommand(t *testing.T) {
	none := t.TempDir() + "/none"
	for name, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "eu-west-1",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, v)
	}
	run := func(args ...string) (int, string, string) {
		var out, faults bytes.Buffer
		return login.Run(t.Context(), args, &out, &faults), out.String(), faults.String()
	}
	for _, form := range []string{awsiam.PrefixK8s, awsiam.PrefixVault} {
		code, out, faults := run("--audience", "a", "--form", strings.TrimSuffix(form, "-aws-v1."))
		if code != 0 || !strings.HasPrefix(out, form) || strings.Count(out, "\n") != 1 || faults != "" {
			t.Errorf("%s: %d, %q, %q", form, code, out, faults)
		}
	}
	code, out, _ := run("--audience", "a", "--json")
	var parsed login.Token
	if err := json.Unmarshal([]byte(out), &parsed); code != 0 || err != nil || parsed.Value == "" || time.Until(parsed.Expires) > 15*time.Minute {
		t.Errorf("%d, %q, %v", code, out, err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help":         {[]string{"--help"}, 0, "--audience-header"},
		"no audience":  {nil, 2, "--audience is needed"},
		"another flag": {[]string{"--audience", "a", "--secret", "x"}, 2, "not defined"},
		"a word more":  {[]string{"--audience", "a", "b"}, 2, "nothing but flags"},
		"no form":      {[]string{"--audience", "a", "--form", "x"}, 1, `there is no form "x"`},
	} {
		if code, out, faults := run(tt.args...); code != tt.code || out != "" || !strings.Contains(faults, tt.says) {
			t.Errorf("%s: %d, %q, %q", name, code, out, faults)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if code, out, faults := run("--audience", "a"); code != 1 || out != "" || !strings.Contains(faults, "no AWS credentials") {
		t.Errorf("no credentials: %d, %q, %q", code, out, faults)
	}
}
