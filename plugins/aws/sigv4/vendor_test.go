package sigv4

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

const (
	roleARN     = "arn:aws:iam::210987654321:role/team/catalog"
	identityARN = "arn:aws:iam::123456789012:user/realmgate"
	identityRef = "urn:realmgate-secret:ops:aws"
	staticRef   = "urn:realmgate-secret:local:r1/key"
)

// clock is the time of a vendor; STS' own goes on as it is.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time                   { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration)          { c.ahead.Add(int64(d)) }
func (f *fixture) realm(r string) sdk.VendRequest { return request(r, nil) }

// fixture is a vendor in front of a STS that can misbehave.
type fixture struct {
	*Vendor
	sts      *awstest.STS
	secrets  *awstest.Secrets
	clock    *clock
	outbound *breaker.Outbound
	ctx      context.Context
}

func newFixture(t *testing.T, change func(*Settings)) *fixture {
	t.Helper()
	f := &fixture{
		sts: awstest.NewSTS(t, awstest.Keys{"AKIDSERVICE": "service-secret", "AKIDNEW": "new-secret"}), clock: &clock{},
		secrets: awstest.NewSecrets(map[string]string{
			identityRef: `{"access_key_id":"AKIDSERVICE","secret_access_key":"service-secret"}`, staticRef: "static-secret",
		}),
	}
	var s Settings
	if err := sdk.Decode([]byte(`{"sts_endpoint":"`+f.sts.URL+`"}`), &s); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	f.outbound = breaker.NewOutbound(breaker.Config{Now: f.clock.now}, nil)
	v, err := NewVendorAt(f.clock.now)(breaker.WithOutbound(t.Context(), f.outbound), sdk.Setup{AuthenticationType: "SIGV4"}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	f.Vendor, f.ctx = v, sdk.WithHost(t.Context(), f.secrets)
	return f
}

// request asks for the credentials of a role; changes go over its parameters.
func request(realm string, changes map[string]any) sdk.VendRequest {
	p := map[string]any{"authenticationType": "SIGV4", "roleArn": roleARN, "externalId": "ext-1", "signingRegion": "eu-central-1"}
	for k, v := range changes {
		if v == nil {
			delete(p, k)
		} else {
			p[k] = v
		}
	}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return sdk.VendRequest{
		Caller: sdk.Principal{ID: "1", Name: "alice"},
		Connection: sdk.Connection{
			Realm: realm, Name: "lake", Type: "ICEBERG_REST", URI: "https://lake.example.com", AuthenticationType: "SIGV4", Authentication: raw,
			ServiceIdentity: &sdk.ServiceIdentity{Type: "AWS_IAM", ARN: identityARN, Credentials: awstest.Ref(identityRef)},
		},
	}
}

func text(c sdk.ConnectionCredentials, name string) string {
	return string(c.Properties[name].Reveal())
}

func TestVend(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	c, err := f.Vend(f.ctx, request("r1", map[string]any{"sessionPolicy": `{"Statement":[]}`}))
	if err != nil {
		t.Fatal(err)
	}
	ms := fmt.Sprint(c.Expires.UnixMilli())
	for name, want := range map[string]string{
		"s3.access-key-id": "ASIASESSION00000001", "s3.secret-access-key": "secret-1", "s3.session-token": "token-1", "s3.session-token-expires-at-ms": ms,
		"rest.access-key-id": "ASIASESSION00000001", "rest.secret-access-key": "secret-1", "rest.session-token": "token-1", "expiration-time": ms,
		"rest.sigv4-enabled": "true", "rest.signing-region": "eu-central-1", "rest.signing-name": "execute-api", "client.region": "eu-central-1",
	} {
		if got := text(c, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if left := time.Until(c.Expires); left < 59*time.Minute || left > time.Hour || len(c.Properties) != 12 {
		t.Errorf("expires in %v, %d properties", left, len(c.Properties))
	}
	got := f.sts.Asked()[0]
	name := got.Get("RoleSessionName")
	if !regexp.MustCompile(`^realmgate-r1-alice-[0-9a-f]{16}$`).MatchString(name) || c.AuditID != "AROAEXAMPLE:"+name+"/ASIASESSION00000001" {
		t.Errorf("the session name is %s, the audit id %s", name, c.AuditID)
	}
	for name, want := range map[string]string{
		"Action": "AssumeRole", "RoleArn": roleARN, "ExternalId": "ext-1", "DurationSeconds": "3600", "Policy": `{"Statement":[]}`,
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestStaticKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	r := request("r1", map[string]any{"roleArn": nil, "externalId": nil, "accessKeyId": "AKIDSTATIC", "secretAccessKey": staticRef})
	r.Connection.ServiceIdentity = nil
	c, err := f.Vend(f.ctx, r)
	if err != nil || text(c, "s3.access-key-id") != "AKIDSTATIC" || text(c, "rest.secret-access-key") != "static-secret" || !c.Expires.IsZero() || c.AuditID != "AKIDSTATIC" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, ok := c.Properties["s3.session-token"]; ok || len(f.sts.Asked()) != 0 {
		t.Errorf("a token of %q, STS was asked %d times", text(c, "s3.session-token"), len(f.sts.Asked()))
	}
	r.NarrowTo = []string{"s3://b/p"}
	if d := sdk.AsDenial(second(f.Vend(f.ctx, r))); d == nil || d.Reason != ReasonNarrowing {
		t.Errorf("keys that cannot be narrowed: %v", d)
	}
}

func second(_ sdk.ConnectionCredentials, err error) error { return err }

// Each input that a session depends on makes another one; equal requests share one.
func TestWhatMakesASession(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(s *Settings) { s.SessionTags = []string{"connection"} })
	vend := func(name string, r sdk.VendRequest, want int) {
		t.Helper()
		before := len(f.sts.Asked())
		if _, err := f.Vend(f.ctx, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if asked := len(f.sts.Asked()) - before; asked != want {
			t.Errorf("%s: STS is asked %d times, want %d", name, asked, want)
		}
	}
	vend("first", request("r1", nil), 1)
	vend("equal", request("r1", nil), 0)
	for name, r := range map[string]sdk.VendRequest{
		"realm":   request("r2", map[string]any{"roleSessionName": "same"}),
		"role":    request("r1", map[string]any{"roleArn": "arn:aws:iam::210987654321:role/other"}),
		"account": request("r1", map[string]any{"roleArn": "arn:aws:iam::111111111111:role/team/catalog"}),
		"ext":     request("r1", map[string]any{"externalId": "ext-2"}),
		"no ext":  request("r1", map[string]any{"externalId": nil}),
		"name":    request("r1", map[string]any{"roleSessionName": "same"}),
		"policy":  request("r1", map[string]any{"sessionPolicy": `{"Statement":[]}`}),
		"region":  request("r1", map[string]any{"signingRegion": "us-east-1"}),
	} {
		vend(name, r, 1)
		vend(name+" again", r, 0)
	}
	for name, change := range map[string]func(*sdk.VendRequest){
		"caller":     func(r *sdk.VendRequest) { r.Caller.Name = "bob" },
		"connection": func(r *sdk.VendRequest) { r.Connection.Name = "other" },
		"identity":   func(r *sdk.VendRequest) { r.Connection.ServiceIdentity.ARN = "arn:aws:iam::123456789012:user/other" },
		"narrowing":  func(r *sdk.VendRequest) { r.NarrowTo = []string{"s3://bucket/a"} },
		"lifetime":   func(r *sdk.VendRequest) { r.MinLifetime = 2 * time.Hour },
	} {
		r := request("r1", nil)
		change(&r)
		vend(name, r, 1)
		vend(name+" again", r, 0)
	}
	f.secrets.Set(identityRef, "AKIDNEW:new-secret")
	vend("identity's keys", request("r1", nil), 1)
	f.secrets.Set(identityRef, `{"access_key_id":"AKIDNEW","secret_access_key":"new-secret","session_token":"x"}`)
	vend("identity's token", request("r1", nil), 1)
	// Under the id of good keys another secret gets nothing, though a session is remembered.
	f.secrets.Set(identityRef, "AKIDNEW:another-secret")
	if c, err := f.Vend(f.ctx, request("r1", nil)); err == nil || len(c.Properties) != 0 || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("another secret of the same id: %d properties, %v", len(c.Properties), err)
	}
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	gate := make(chan struct{})
	f.sts.Do(func(w http.ResponseWriter, form url.Values, n int) { <-gate; awstest.Good(w, form, n) })
	gone, leave := context.WithCancel(f.ctx)
	first := make(chan error)
	go func() { first <- second(f.Vend(gone, request("r1", nil))) }()
	for len(f.sts.Asked()) == 0 {
		time.Sleep(time.Millisecond)
	}
	leave() // who asked first gives up; the others get what was asked for
	if err := <-first; err == nil {
		t.Error("a call that was given up succeeds")
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if c, err := f.Vend(f.ctx, request("r1", nil)); err != nil || text(c, "s3.secret-access-key") != "secret-1" {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	close(gate)
	wg.Wait()
	if n := len(f.sts.Asked()); n != 1 {
		t.Errorf("STS was asked %d times", n)
	}
}

func down(w http.ResponseWriter, _ url.Values, _ int) { w.WriteHeader(http.StatusServiceUnavailable) }

// While STS is down, what is valid serves, is renewed once STS is back, and never serves beyond its end.
func TestSTSDown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	vend := func() (string, error) {
		c, err := f.Vend(f.ctx, request("r1", nil))
		return text(c, "s3.secret-access-key"), err
	}
	if got, err := vend(); got != "secret-1" {
		t.Fatal(got, err)
	}
	f.sts.Do(down)
	f.clock.forward(56 * time.Minute) // within the window
	for range 5 {
		if got, err := vend(); got != "secret-1" {
			t.Fatalf("while STS is down: %q, %v", got, err)
		}
		f.clock.forward(10 * time.Second)
	}
	long := request("r1", nil)
	long.MinLifetime = 30 * time.Minute
	if _, err := f.Vend(f.ctx, long); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("a session that ends too soon: %v", err)
	}
	f.clock.forward(10 * time.Minute)
	if got, err := vend(); err == nil || sdk.AsDenial(err) != nil {
		t.Fatalf("after its end: %q, %v", got, err)
	}
	f.sts.Do(func(w http.ResponseWriter, form url.Values, n int) {
		awstest.Session{ARN: form.Get("RoleArn"), Name: form.Get("RoleSessionName"), Expires: f.clock.now().Add(time.Hour), N: n}.Write(w)
	})
	f.clock.forward(time.Minute)
	if got, err := vend(); err != nil || got == "secret-1" {
		t.Fatalf("after STS is back: %q, %v", got, err)
	}
}

// After some realms have found out that STS is down no other waits for it, and none rests beyond the time that STS is left alone.
func TestSTSThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.sts.Do(down)
	for n := range 3 { // of two tries
		if _, err := f.Vend(f.ctx, f.realm(fmt.Sprint("r", n))); err == nil || sdk.AsDenial(err) != nil {
			t.Fatal(err)
		}
	}
	asked := len(f.sts.Asked())
	for range 5 {
		if _, err := f.Vend(f.ctx, f.realm("another")); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "STS was not asked: ") {
			t.Errorf("%v", err)
		}
	}
	if n := len(f.sts.Asked()) - asked; n != 0 {
		t.Errorf("STS was asked %d times", n)
	}
	if r, _ := f.outbound.Report(); len(r.Parts) != 1 || r.Parts[0].Part != "sigv4" || r.Parts[0].Open != 1 {
		t.Errorf("%+v", r)
	}
	f.sts.Do(nil)
	f.clock.forward(time.Second)
	if _, err := f.Vend(f.ctx, f.realm("another")); err != nil {
		t.Errorf("STS is back: %v", err)
	}
}

// A session near its end is renewed while the former one serves.
func TestRefreshAhead(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if _, err := f.Vend(f.ctx, request("r1", nil)); err != nil {
		t.Fatal(err)
	}
	f.sts.Do(func(w http.ResponseWriter, form url.Values, n int) {
		awstest.Session{ARN: form.Get("RoleArn"), Name: form.Get("RoleSessionName"), Expires: f.clock.now().Add(time.Hour), N: n}.Write(w)
	})
	f.clock.forward(56 * time.Minute)
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		c, err := f.Vend(f.ctx, request("r1", nil))
		if err != nil {
			t.Fatal(err)
		}
		if text(c, "s3.secret-access-key") == "secret-2" {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("it is not renewed")
		}
	}
}

// A role that is taken away is given to nobody any more, though its session would go on.
func TestRoleTakenAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if _, err := f.Vend(f.ctx, request("r1", nil)); err != nil {
		t.Fatal(err)
	}
	f.sts.Do(func(w http.ResponseWriter, _ url.Values, _ int) { awstest.Fail(w, 403, "AccessDenied") })
	f.clock.forward(56 * time.Minute)
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if err := second(f.Vend(f.ctx, request("r1", nil))); sdk.AsDenial(err) != nil {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("it goes on")
		}
	}
}
