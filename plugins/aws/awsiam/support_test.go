package awsiam_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
	"github.com/realmgate/realmgate/sdk"
)

const audience = "https://gate.example.com"

var (
	user = ststest.Caller{
		AccessKeyID: "AKIAALICE", Secret: "secret/of+alice", Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/team/alice", UserID: "AIDAALICE",
	}
	role = ststest.Caller{
		AccessKeyID: "ASIAROLE", Secret: "secret-of-the-role", SessionToken: "Fwo/tok+en==", Account: "111122223333",
		ARN: "arn:aws:sts::111122223333:assumed-role/deployer/run-7", UserID: "AROADEPLOYER:run-7",
	}
	// stranger has the role of the same name in another account.
	stranger = ststest.Caller{
		AccessKeyID: "ASIASTRANGER", Secret: "secret-of-the-stranger", SessionToken: "x", Account: "999988887777",
		ARN: "arn:aws:sts::999988887777:assumed-role/deployer/run-7", UserID: "AROAOTHER:run-7",
	}
)

// tenant is a provider with a clock that the test moves.
type tenant struct {
	*awsiam.Provider
	at atomic.Int64
}

func (x *tenant) now() time.Time          { return time.Unix(0, x.at.Load()) }
func (x *tenant) advance(d time.Duration) { x.at.Add(int64(d)) }

// newTenant makes a tenant that asks an STS; an empty URL means that of AWS.
func newTenant(t testing.TB, sts string, change map[string]any) *tenant {
	t.Helper()
	return newTenantIn(t.Context(), t, sts, change)
}

// newTenantIn is newTenant in the context of a constructor.
func newTenantIn(ctx context.Context, t testing.TB, sts string, change map[string]any) *tenant {
	t.Helper()
	s := map[string]any{"audience": audience}
	if sts != "" {
		s["sts_endpoint"] = sts
	}
	for k, v := range change {
		if s[k] = v; v == nil {
			delete(s, k)
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	impl, err := sdk.IdentityProviderType("aws-iam", awsiam.NewProvider).Build(ctx, sdk.Setup{Tenant: "t", RolePrefix: "PRINCIPAL_ROLE:"}, raw)
	if err != nil {
		t.Fatal(err)
	}
	x := &tenant{Provider: impl.(*awsiam.Provider)}
	t.Cleanup(func() { _ = x.Close() })
	x.at.Store(time.Now().UnixNano())
	x.SetClock(x.now)
	return x
}

// identify gives the identity, the reason of a denial or "unavailable", and how the decision may be remembered.
func (x *tenant) identify(ctx context.Context, token string) (sdk.Identity, string, sdk.CacheHint) {
	st := &sdk.State{Request: &sdk.Request{Realm: "r", Scheme: "bearer", Token: token}}
	err := sdk.Step(ctx, sdk.KindIdentityProvider, x.Provider, st)
	var id sdk.Identity
	if st.Identity != nil {
		id = *st.Identity
	}
	switch d := sdk.AsDenial(err); {
	case d != nil:
		return id, d.Reason, st.Cache
	case err != nil:
		return id, "unavailable: " + err.Error(), st.Cache
	}
	return id, "", st.Cache
}

// want wants a reason, or "unavailable"; no answer may have the proof in it, or its signature.
func (x *tenant) want(t testing.TB, what, token, reason string) {
	t.Helper()
	id, got, _ := x.identify(t.Context(), token)
	if got != reason && (reason != "unavailable" || !strings.HasPrefix(got, reason)) || reason != "" && id.Subject != "" {
		t.Errorf("%s: %+v, %q, want %q", what, id, got, reason)
	}
	if len(token) > 100 && strings.Contains(got, token[50:100]) || strings.Contains(got, "Signature=") {
		t.Errorf("%s: %q tells the proof", what, got)
	}
}

// sign makes a proof for the STS of a test.
func sign(t testing.TB, c ststest.Caller, form, sts string, at time.Time) string {
	t.Helper()
	tok, err := login.New(t.Context(), c.Credentials(), login.Options{Audience: audience, Region: "us-east-1", Endpoint: sts, Form: form, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Value
}

// wrap makes a token of a presigned URL.
func wrap(url string) string {
	return awsiam.PrefixK8s + base64.RawURLEncoding.EncodeToString([]byte(url))
}

// unwrap gives the presigned URL of a token.
func unwrap(t testing.TB, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, awsiam.PrefixK8s))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// roundTrip is a transport that a test answers for.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
