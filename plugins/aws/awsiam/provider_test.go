package awsiam_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
	"github.com/realmgate/realmgate/sdk"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user, role, stranger)
	x := newTenant(t, s.URL, nil)
	for _, form := range []string{login.FormK8s, login.FormVault} {
		for _, tt := range []struct {
			caller           ststest.Caller
			subject, session string
			resourceType     string
			unique           string
		}{
			{user, "arn:aws:iam::111122223333:user/team/alice", "", "user", "AIDAALICE"},
			{role, "arn:aws:iam::111122223333:role/deployer", "run-7", "assumed-role", "AROADEPLOYER"},
			{stranger, "arn:aws:iam::999988887777:role/deployer", "run-7", "assumed-role", "AROAOTHER"},
		} {
			signed := x.now().Truncate(time.Second)
			id, reason, hint := x.identify(t.Context(), sign(t, tt.caller, form, s.URL, signed))
			if reason != "" || id.Subject != tt.subject || id.Issuer != s.URL || !slices.Equal(id.Audience, []string{audience}) || !id.AuthTime.Equal(signed) ||
				!id.Expires.Equal(signed.Add(16*time.Minute)) || !slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:ALL"}) || len(id.TokenID) != 16 {
				t.Errorf("%s: %+v, %q", form, id, reason)
			}
			for name, want := range map[string]string{
				"account": tt.caller.Account, "arn": tt.caller.ARN, "canonical_arn": tt.subject, "partition": "aws", "resource_type": tt.resourceType,
				"user_id": tt.caller.UserID, "unique_id": tt.unique, "session_name": tt.session, "access_key_id": tt.caller.AccessKeyID,
			} {
				if got, _ := id.Claims.String(name); got != want {
					t.Errorf("%s: the claim %s is %q, want %q", form, name, got, want)
				}
			}
			if hint.NoStore || hint.MaxAge <= 15*time.Minute || hint.MaxAge > 16*time.Minute {
				t.Errorf("%s: %+v", form, hint)
			}
		}
	}
	for _, r := range []sdk.Request{{Scheme: "basic", Token: sign(t, user, login.FormK8s, s.URL, x.now())}, {Scheme: "bearer", Token: "a.b.c"}, {Scheme: "bearer"}} {
		if _, err := x.Identify(t.Context(), r); sdk.AsDenial(err) == nil || sdk.AsDenial(err).Reason != sdk.ReasonNotMine {
			t.Errorf("another credential: %v", err)
		}
	}
}

// The SDK's own clients are callers: its presigning client with the header that aws-iam-authenticator adds, and its STS
// client, whose request is taken off the wire as Vault's clients do.
func TestClientsOfTheSDK(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, role)
	x := newTenant(t, s.URL, nil)
	var caught *http.Request
	var body []byte
	client := sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return role.Credentials(), nil }),
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			caught = r
			body, _ = io.ReadAll(r.Body)
			return nil, errors.New("enough")
		})},
	})
	header := func(name string) func(*sts.Options) {
		return func(o *sts.Options) { o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(name, audience)) }
	}
	presigned, err := sts.NewPresignClient(client).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, header("x-k8s-aws-id"))
		o.Presigner = legacyPresigner{v4.NewSigner()}
	})
	if err != nil {
		t.Fatal(err)
	}
	x.want(t, "presigned", wrap(presigned.URL), "")
	x.advance(14 * time.Minute) // though X-Amz-Expires says 60 seconds: the clients rely on it
	x.want(t, "presigned, later", wrap(presigned.URL), "")
	x.advance(-14 * time.Minute)

	if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, header("X-Vault-AWS-IAM-Server-ID")); err == nil || caught == nil {
		t.Fatal("the request was not caught")
	}
	h := caught.Header.Clone()
	h.Set("Host", caught.URL.Host)
	token, err := login.VaultToken(caught.Method, caught.URL.String(), body, h)
	if err != nil {
		t.Fatal(err)
	}
	x.want(t, "caught", token, "")
}

// legacyPresigner adds what aws-iam-authenticator's clients write.
type legacyPresigner struct{ *v4.Signer }

func (l legacyPresigner) PresignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time,
	opts ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	q := r.URL.Query()
	q.Set("X-Amz-Expires", "60")
	r.URL.RawQuery = q.Encode()
	return l.Signer.PresignHTTP(ctx, c, r, hash, service, region, at, opts...)
}

// One answer of STS is shared by equal proofs, at the same time and later, until the proof ends; another proof of the same
// caller has its own.
func TestSharedAnswer(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user, role)
	x := newTenant(t, s.URL, nil)
	token := sign(t, user, login.FormK8s, s.URL, x.now())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { x.want(t, "together", token, "") })
	}
	wg.Wait()
	x.advance(15 * time.Minute)
	x.want(t, "later", token, "")
	if n := s.Requests(); n != 1 {
		t.Errorf("%d requests for one proof", n)
	}
	x.advance(61 * time.Second)
	x.want(t, "behind its end", token, "token_expired")
	x.want(t, "another", sign(t, user, login.FormK8s, s.URL, x.now().Add(-5*time.Minute)), "")
	if n := s.Requests(); n != 2 {
		t.Errorf("%d requests for two proofs", n)
	}
}

// What STS refused is remembered for a short while, and does not count against others.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user)
	x := newTenant(t, s.URL, nil)
	wrong := user
	wrong.Secret = "x"
	token := sign(t, wrong, login.FormVault, s.URL, x.now())
	for range 3 {
		x.want(t, "a wrong secret", token, "proof_refused")
	}
	if n := s.Requests(); n != 1 {
		t.Errorf("%d requests for one proof", n)
	}
	x.advance(11 * time.Second)
	x.want(t, "later", token, "proof_refused")
	if n := s.Requests(); n != 2 {
		t.Errorf("%d requests: a refusal is remembered for too long", n)
	}
	_, _, hint := x.identify(t.Context(), token)
	if hint.MaxAge <= 0 || hint.MaxAge > 10*time.Second {
		t.Errorf("%+v", hint)
	}
	unknown := user
	unknown.AccessKeyID = "AKIANOBODY"
	x.want(t, "an unknown key", sign(t, unknown, login.FormK8s, s.URL, x.now()), "proof_refused")
	x.want(t, "the right one", sign(t, user, login.FormK8s, s.URL, x.now()), "")
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, role, stranger)
	x := newTenant(t, s.URL, map[string]any{"accounts": []string{role.Account}})
	x.want(t, "ours", sign(t, role, login.FormK8s, s.URL, x.now()), "")
	st := &sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: sign(t, stranger, login.FormK8s, s.URL, x.now())}}
	if d := sdk.AsDenial(sdk.Step(t.Context(), sdk.KindIdentityProvider, x.Provider, st)); d == nil || d.Reason != "account_not_allowed" || !d.Forbidden {
		t.Errorf("%+v", d)
	}
	// Their keys do not become regulars, although STS confirms them.
	x = newTenant(t, s.URL, map[string]any{"accounts": []string{role.Account}, "requests_per_second": 1})
	for i, want := range []string{"account_not_allowed", "account_not_allowed", "unavailable"} {
		x.want(t, "theirs", sign(t, stranger, login.FormK8s, s.URL, x.now().Add(-time.Duration(i)*time.Second)), want)
	}
}

// A flood of made-up proofs does not keep out those whose key STS has confirmed, not even if it uses the key id of one of
// them, and nothing that can be told without STS is asked about.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user, role)
	x := newTenant(t, s.URL, map[string]any{"requests_per_second": 10})
	x.want(t, "before", sign(t, user, login.FormK8s, s.URL, x.now()), "")
	x.want(t, "before", sign(t, role, login.FormK8s, s.URL, x.now()), "")
	flood := func(keyID string, n int) {
		for i := range n {
			forged := ststest.Caller{AccessKeyID: keyID, Secret: strings.Repeat("x", i+1)}
			if keyID == "" {
				forged.AccessKeyID = "AKIA" + strings.Repeat("X", i+1)
			}
			_, _, _ = x.identify(t.Context(), sign(t, forged, login.FormK8s, s.URL, x.now()))
		}
	}
	n := s.Requests()
	flood("", 100)
	flood(role.AccessKeyID, 100)
	if got := s.Requests() - n; got > 20+2 {
		t.Errorf("200 made-up proofs are %d requests to STS", got)
	}
	if _, reason, _ := x.identify(t.Context(), sign(t, ststest.Caller{AccessKeyID: "AKIAOTHER", Secret: "x"}, login.FormK8s, s.URL, x.now())); !strings.Contains(reason, sdk.ErrBusy.Error()) {
		t.Errorf("%q does not say that it was not tried", reason)
	}
	x.want(t, "a newcomer", sign(t, ststest.Caller{AccessKeyID: "AKIANEW", Secret: "x"}, login.FormK8s, s.URL, x.now()), "unavailable")
	x.want(t, "a regular", sign(t, user, login.FormVault, s.URL, x.now()), "")
	x.advance(time.Second)
	x.want(t, "a newcomer, later", sign(t, ststest.Caller{AccessKeyID: "AKIANEW", Secret: "x"}, login.FormK8s, s.URL, x.now()), "proof_refused")
}

// A caller that gives up does not take the answer from the others.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user)
	x := newTenant(t, s.URL, nil)
	began, goOn := make(chan struct{}), make(chan struct{})
	s.Instead(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-goOn
		ststest.Answer(w, user)
	})
	token := sign(t, user, login.FormK8s, s.URL, x.now())
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan string)
	go func() {
		_, reason, _ := x.identify(ctx, token)
		first <- reason
	}()
	<-began
	cancel()
	if reason := <-first; !strings.HasPrefix(reason, "unavailable") {
		t.Errorf("given up: %q", reason)
	}
	close(goOn)
	x.want(t, "the next one", token, "")
	if n := s.Requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x.want(t, "released", sign(t, role, login.FormK8s, s.URL, x.now()), "unavailable")
}

var _ sdk.IdentityProvider = (*awsiam.Provider)(nil)
