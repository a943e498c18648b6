package sigv4

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
)

// reflected is what a server repeats of what it was sent; it must appear nowhere.
const reflected = "reflected text"

func answer(change func(*awstest.Session)) func(http.ResponseWriter, url.Values, int) {
	return func(w http.ResponseWriter, form url.Values, n int) {
		s := awstest.Session{ARN: form.Get("RoleArn"), Name: form.Get("RoleSessionName"), Expires: time.Now().Add(time.Hour), N: n}
		change(&s)
		s.Write(w)
	}
}

func failing(status int, code string) func(http.ResponseWriter, url.Values, int) {
	return func(w http.ResponseWriter, _ url.Values, _ int) { awstest.Fail(w, status, code) }
}

// STS that answers anything but a session for the role that was asked for gives nobody any keys.
func TestSTSFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do     func(http.ResponseWriter, url.Values, int)
		reason string // of a denial; empty: unavailable
		want   []string
	}{
		"not allowed":     {failing(403, "AccessDenied"), ReasonDenied, []string{roleARN, identityARN, "roleArn: ", "externalId"}},
		"policy":          {failing(400, "MalformedPolicyDocument"), ReasonConnection, []string{"sessionPolicy: "}},
		"policy too long": {failing(400, "PackedPolicyTooLarge"), ReasonConnection, []string{"sessionPolicy: "}},
		"validation":      {failing(400, "ValidationError"), ReasonConnection, []string{"roleArn: ", "1h0m0s"}},
		"unknown keys":    {failing(403, "InvalidClientTokenId"), "", []string{"the keys of the service identity " + identityARN, "InvalidClientTokenId"}},
		"expired keys":    {failing(403, "ExpiredToken"), "", []string{"the keys of the service identity"}},
		"region":          {failing(403, "RegionDisabledException"), "", []string{"RegionDisabledException"}},
		"code with text":  {failing(400, "x "+reflected), "", []string{"status 400"}},
		"down":            {down, "", []string{"STS answers status 503"}},
		"no XML":          {func(w http.ResponseWriter, _ url.Values, _ int) { _, _ = io.WriteString(w, reflected) }, "", []string{"status 200"}},
		"JSON":            {func(w http.ResponseWriter, _ url.Values, _ int) { _, _ = io.WriteString(w, `{"x":"reflected text"}`) }, "", []string{"STS answers"}},
		"empty":           {func(http.ResponseWriter, url.Values, int) {}, "", []string{"STS answers"}},
		"endless":         {func(w http.ResponseWriter, _ url.Values, _ int) { _, _ = w.Write(make([]byte, 3<<20)) }, "", []string{"STS cannot be asked: the answer is too long"}},
		"hangs up":        {func(http.ResponseWriter, url.Values, int) { panic(http.ErrAbortHandler) }, "", []string{"STS cannot be reached: EOF"}},
		"another account": {answer(func(s *awstest.Session) { s.ARN = "arn:aws:iam::999999999999:role/catalog" }), "", []string{"the account 999999999999", roleARN}},
		"another role":    {answer(func(s *awstest.Session) { s.ARN = "arn:aws:iam::210987654321:role/admin" }), "", []string{"another role or name"}},
		"another name":    {answer(func(s *awstest.Session) { s.Name = "somebody" }), "", []string{"another role or name"}},
		"odd name":        {answer(func(s *awstest.Session) { s.Name = "x/y b" }), "", []string{"whose session"}},
		"expired":         {answer(func(s *awstest.Session) { s.Expires = time.Now().Add(-time.Second) }), "", []string{"expired at"}},
		"about to expire": {answer(func(s *awstest.Session) { s.Expires = time.Now().Add(5 * time.Second) }), "", []string{"too soon"}},
		"no token":        {answer(func(s *awstest.Session) { s.NoToken = true }), "", []string{"without a session token"}},
		"no keys":         {answer(func(s *awstest.Session) { s.NoKeys = true }), "", []string{"none can be used"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.sts.Do(tt.do)
			c, err := f.Vend(f.ctx, request("r1", nil))
			if err == nil || len(c.Properties) != 0 {
				t.Fatalf("%+v", c)
			}
			if d := sdk.AsDenial(err); (d == nil) != (tt.reason == "") || d != nil && d.Reason != tt.reason {
				t.Errorf("%v, want the reason %q", err, tt.reason)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
			for _, secret := range []string{reflected, "service-secret", "secret-1", "token-1"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v has %q in it", err, secret)
				}
			}
			s, err := f.Sign(f.ctx, sdk.SignRequest{Connection: request("r1", nil).Connection, Caller: request("r1", nil).Caller, HTTP: get("/")})
			if err == nil || s.URL != "" || s.Header != nil {
				t.Errorf("signed %+v", s)
			}
		})
	}
}

func get(target string) sdk.HTTPMessage {
	return sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "lake.example.com", RawTarget: target}
}

// The credentials go nowhere but to the endpoint that is configured.
func TestRedirect(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		f := newFixture(t, nil)
		f.sts.Do(func(w http.ResponseWriter, _ url.Values, _ int) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
		})
		if err := second(f.Vend(f.ctx, request("r1", nil))); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if len(asked) != 0 {
		t.Errorf("%d requests followed", len(asked))
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(s *Settings) { s.Timeout = sdk.Duration(200 * time.Millisecond) })
	gate := make(chan struct{})
	defer close(gate)
	f.sts.Do(func(http.ResponseWriter, url.Values, int) { <-gate })
	if err := second(f.Vend(f.ctx, request("r1", nil))); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "STS does not answer in time") {
		t.Error(err)
	}
}

// STS that wants fewer questions is asked fewer.
func TestThrottled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.sts.Do(failing(400, "Throttling"))
	vend := func() error { return second(f.Vend(f.ctx, request("r1", nil))) }
	if err := vend(); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "Throttling") {
		t.Fatal(err)
	}
	asked := len(f.sts.Asked())
	for range 50 {
		if err := vend(); err == nil || !strings.Contains(err.Error(), "left alone") {
			t.Fatal(err)
		}
		f.clock.forward(30 * time.Millisecond)
	}
	if n := len(f.sts.Asked()); n != asked {
		t.Errorf("asked %d times more", n-asked)
	}
	f.sts.Do(nil)
	f.clock.forward(time.Minute)
	if err := vend(); err == nil {
		return
	}
	t.Error("it is never asked again")
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	long := strings.Repeat("x", 2100)
	for name, tt := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"no ARN":             {map[string]any{"roleArn": "catalog"}, "roleArn: "},
		"ARN of a user":      {map[string]any{"roleArn": "arn:aws:iam::210987654321:user/x"}, "roleArn: "},
		"account of letters": {map[string]any{"roleArn": "arn:aws:iam::21098765432x:role/x"}, "roleArn: "},
		"ARN with more":      {map[string]any{"roleArn": roleARN + "\n"}, "roleArn: "},
		"no role, no keys":   {map[string]any{"roleArn": nil}, "roleArn: "},
		"role and keys":      {map[string]any{"accessKeyId": "AKIDX", "secretAccessKey": staticRef}, "roleArn: it excludes"},
		"keys of a half":     {map[string]any{"roleArn": nil, "externalId": nil, "accessKeyId": "AKIDX"}, "secretAccessKey: "},
		"keys with a policy": {map[string]any{"roleArn": nil, "externalId": nil, "accessKeyId": "AKIDX", "secretAccessKey": staticRef, "sessionPolicy": `{"Statement":[]}`}, "accessKeyId: "},
		"short name":         {map[string]any{"roleSessionName": "x"}, "roleSessionName: "},
		"name with a slash":  {map[string]any{"roleSessionName": "a/b"}, "roleSessionName: "},
		"long name":          {map[string]any{"roleSessionName": long[:65]}, "roleSessionName: "},
		"external id":        {map[string]any{"externalId": "a b"}, "externalId: "},
		"long external id":   {map[string]any{"externalId": long}, "externalId: "},
		"policy of text":     {map[string]any{"sessionPolicy": "allow"}, "sessionPolicy: "},
		"policy of a list":   {map[string]any{"sessionPolicy": "[]"}, "sessionPolicy: "},
		"policy of nothing":  {map[string]any{"sessionPolicy": "{}"}, "sessionPolicy: "},
		"long policy":        {map[string]any{"sessionPolicy": `{"Statement":"` + long + `"}`}, "sessionPolicy: "},
		"no region":          {map[string]any{"signingRegion": nil}, "signingRegion: "},
		"region of a host":   {map[string]any{"signingRegion": "x.evil.example#"}, "signingRegion: "},
		"all regions":        {map[string]any{"signingRegion": "*"}, "signingRegion: signatures for several regions"},
		"service":            {map[string]any{"signingName": "a/b"}, "signingName: "},
		"pasted secret":      {map[string]any{"secretAccessKey": "hunter2"}, "authenticationParameters: "},
		"wrong kind":         {map[string]any{"roleArn": 7}, "authenticationParameters: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sdk.AsDenial(second(f.Vend(f.ctx, request("r1", tt.changes))))
			if d == nil || !d.Forbidden || d.Reason != ReasonConnection || !strings.HasPrefix(d.Detail, tt.want) || strings.Contains(d.Detail, "hunter2") {
				t.Errorf("%+v, want %q", d, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(f.sts.Asked()); n != 0 {
			t.Errorf("STS was asked %d times", n)
		}
	})
}

// Without good keys of the service identity there are none at all.
func TestIdentities(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*sdk.Connection)
		secret string
		want   string
	}{
		"none":         {change: func(c *sdk.Connection) { c.ServiceIdentity = nil }, want: "no service identity"},
		"another type": {change: func(c *sdk.Connection) { c.ServiceIdentity.Type = "GCP" }, want: "not AWS_IAM"},
		"no keys":      {change: func(c *sdk.Connection) { c.ServiceIdentity.Credentials = sdk.SecretRef{} }, want: "neither a secret"},
		"both":         {change: func(c *sdk.Connection) { c.ServiceIdentity.DefaultChain = true }, want: "or both"},
		"no secret":    {change: func(c *sdk.Connection) { c.ServiceIdentity.Credentials = awstest.Ref(identityRef + "2") }, want: identityARN + ": there is no such secret"},
		"wrong secret": {secret: "AKIDSERVICE:hunter2", want: "the keys of the service identity " + identityARN + " are not accepted"},
		"no text":      {secret: "hunter2", want: "neither a JSON object"},
		"half":         {secret: `{"access_key_id":"AKIDSERVICE","secret":"hunter2"}`, want: "no secret access key"},
		"broken":       {secret: `{"access_key_id":"hunter2`, want: "but is none"},
		"a number":     {secret: `{"access_key_id":7,"secret_access_key":"hunter2"}`, want: "access_key_id of the secret is no string"},
		"line break":   {secret: `{"access_key_id":"A","secret_access_key":"hunter2\nx"}`, want: "not in ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			if tt.secret != "" {
				f.secrets.Set(identityRef, tt.secret)
			}
			r := request("r1", nil)
			if tt.change != nil {
				tt.change(&r.Connection)
			}
			c, err := f.Vend(f.ctx, r)
			if err == nil || sdk.AsDenial(err) != nil || len(c.Properties) != 0 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// The default chain is asked only where the service identity says so.
func TestDefaultChain(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDNEW")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "new-secret")
	f := newFixture(t, nil)
	r := request("r1", nil)
	r.Connection.ServiceIdentity.Credentials, r.Connection.ServiceIdentity.DefaultChain = sdk.SecretRef{}, true
	if c, err := f.Vend(f.ctx, r); err != nil || text(c, "s3.access-key-id") == "" {
		t.Errorf("%+v, %v", c, err)
	}
	r.Connection.ServiceIdentity.DefaultChain = false
	if err := second(f.Vend(f.ctx, r)); err == nil {
		t.Error("the environment's keys serve a connection whose identity has none")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(s *Settings) { s.MaxSessions = 3 })
	for i := range 5 {
		if _, err := f.Vend(f.ctx, f.realm(fmt.Sprint("r", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.sessions.good.Len(); n != 3 {
		t.Errorf("%d sessions are remembered", n)
	}
	f.sts.Do(failing(403, "AccessDenied"))
	for i := range 5 {
		_ = second(f.Vend(f.ctx, f.realm(fmt.Sprint("x", i))))
	}
	asked := len(f.sts.Asked())
	if _, err := f.Vend(f.ctx, f.realm("r4")); err != nil || len(f.sts.Asked()) != asked {
		t.Errorf("what fails pushes out what works: %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second(f.Vend(f.ctx, request("r1", nil))); err == nil {
		t.Error("a closed vendor vends")
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	r := request("r1", nil)
	r.MinLifetime = 58 * time.Minute
	c, err := f.Vend(f.ctx, r)
	if err != nil || time.Until(c.Expires) < r.MinLifetime {
		t.Errorf("%v, %v", c.Expires, err)
	}
	r.MinLifetime = 12 * time.Hour
	if d := sdk.AsDenial(second(f.Vend(f.ctx, r))); d == nil || d.Reason != ReasonLifetime {
		t.Error(d)
	}
	f.sts.Do(answer(func(s *awstest.Session) { s.Expires = time.Now().Add(240 * time.Hour) }))
	if c, err := f.Vend(f.ctx, request("r2", nil)); err != nil || time.Until(c.Expires) > time.Hour {
		t.Errorf("a session that never ends: %v, %v", c.Expires, err)
	}
}
