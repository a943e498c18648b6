package awssigv4_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/plugins/aws/awssigv4"
	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
)

const (
	region  = "eu-west-1"
	service = "execute-api"
	keyID   = "RGAKABCDEFGHIJKLMNOP"
	secret  = "s3cr3t/of+the=key0000000000000000000000000"
)

var when = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// host knows one key.
type host struct {
	sdk.Host // nothing else is asked for

	key       sdk.AccessKey
	secret    string
	err       error // instead of the secret
	lookupErr error // instead of the key
	resolved  int
}

func newHost() *host {
	return &host{secret: secret, key: sdk.AccessKey{
		ID: keyID, Principal: sdk.PrincipalRef{ID: "42", Name: "alice"}, Enabled: true, Secret: awstest.Ref("urn:realmgate-secret:s:access-keys/" + keyID),
	}}
}

func (h *host) FindAccessKey(_ context.Context, id string) (sdk.AccessKey, error) {
	switch {
	case h.lookupErr != nil:
		return sdk.AccessKey{}, h.lookupErr
	case id != h.key.ID:
		return sdk.AccessKey{}, sdk.Deny("access_key_unknown", "there is no such key")
	}
	return h.key, nil
}

func (h *host) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	h.resolved++
	if ref != h.key.Secret {
		return sdk.Secret{}, errors.New("another secret")
	}
	return sdk.NewSecret([]byte(h.secret)), h.err
}

// tenant is a provider with its host and a clock that the test moves.
type tenant struct {
	*awssigv4.Provider
	host *host
	at   atomic.Int64
}

func (x *tenant) now() time.Time          { return time.Unix(0, x.at.Load()) }
func (x *tenant) advance(d time.Duration) { x.at.Add(int64(d)) }

func newTenant(t testing.TB, change map[string]any) *tenant {
	t.Helper()
	s := map[string]any{"region": region, "service": service}
	for k, v := range change {
		s[k] = v
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	impl, err := sdk.IdentityProviderType("aws-sigv4", awssigv4.NewProvider).Build(t.Context(), sdk.Setup{Tenant: "t", RolePrefix: "PRINCIPAL_ROLE:"}, raw)
	if err != nil {
		t.Fatal(err)
	}
	x := &tenant{Provider: impl.(*awssigv4.Provider), host: newHost()}
	x.at.Store(when.UnixNano())
	x.SetClock(x.now)
	return x
}

// identify gives the identity, the reason of a denial or "unavailable", and whether the decision may be remembered.
func (x *tenant) identify(r sdk.Request) (id sdk.Identity, reason string, noStore bool) {
	st := &sdk.State{Request: &r}
	err := sdk.Step(sdk.WithHost(context.Background(), x.host), sdk.KindIdentityProvider, x.Provider, st)
	if st.Identity != nil {
		id = *st.Identity
	}
	switch d := sdk.AsDenial(err); {
	case d != nil:
		return id, d.Reason, st.Cache.NoStore
	case err != nil:
		return id, "unavailable: " + err.Error(), st.Cache.NoStore
	}
	return id, "", st.Cache.NoStore
}

func (x *tenant) want(t testing.TB, what string, r sdk.Request, reason string) {
	t.Helper()
	id, got, noStore := x.identify(r)
	if got != reason && (reason != "unavailable" || !strings.HasPrefix(got, reason)) || reason != "" && id.Subject != "" {
		t.Errorf("%s: %+v, %q, want %q", what, id, got, reason)
	}
	if !noStore {
		t.Errorf("%s: the decision may be remembered", what)
	}
	if strings.Contains(got, secret) {
		t.Errorf("%s: %q tells the secret", what, got)
	}
}

// signing says how a test signs.
type signing struct {
	method, target, body string
	hash                 string // of the body, if not the right one
	header               http.Header
	at                   time.Time
	region, service      string
	id, secret, token    string
	once                 bool // escape the path once
	noHash               bool // no x-amz-content-sha256
	presign              bool
}

// request gives the request as the host hands it on, signed with the SDK's signer.
func (s signing) request(t testing.TB) sdk.Request {
	t.Helper()
	def := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	def(&s.method, http.MethodGet)
	def(&s.target, "/v1/a%2Fb:c?y=2&x=1")
	def(&s.region, region)
	def(&s.service, service)
	def(&s.id, keyID)
	def(&s.secret, secret)
	def(&s.hash, awssig.EmptyPayload)
	if s.at.IsZero() {
		s.at = when
	}
	r, err := http.NewRequestWithContext(t.Context(), s.method, "https://api.example.com"+s.target, strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range s.header {
		r.Header[k] = v
	}
	if !s.noHash {
		r.Header.Set("X-Amz-Content-Sha256", s.hash)
	}
	keys := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s.once })
	out := sdk.Request{Realm: "r", Scheme: awssigv4.Scheme}
	target := s.target
	if s.presign {
		url, _, err := signer.PresignHTTP(t.Context(), keys, r, s.hash, s.service, s.region, s.at)
		if err != nil {
			t.Fatal(err)
		}
		target = strings.TrimPrefix(url, "https://api.example.com")
		_, out.Token, _ = strings.Cut(target, "?")
	} else {
		if err := signer.SignHTTP(t.Context(), keys, r, s.hash, s.service, s.region, s.at); err != nil {
			t.Fatal(err)
		}
		out.Token = strings.TrimPrefix(r.Header.Get("Authorization"), awssig.Algorithm+" ")
	}
	out.HTTP = &sdk.HTTPMessage{Method: s.method, Scheme: "https", Host: r.Host, RawTarget: target}
	for name, values := range r.Header {
		for _, v := range values {
			out.HTTP.Header = append(out.HTTP.Header, sdk.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	if s.body != "" {
		out.HTTP.Header = append(out.HTTP.Header, sdk.Header{Name: "content-length", Value: "3"})
		_, _ = io.ReadAll(r.Body)
	}
	return out
}

// with changes a header of a signed request, adds one, or takes it away (empty value).
func with(r sdk.Request, name, value string) sdk.Request {
	m := *r.HTTP
	m.Header = nil
	for _, h := range r.HTTP.Header {
		if h.Name != name {
			m.Header = append(m.Header, h)
		}
	}
	if value != "" {
		m.Header = append(m.Header, sdk.Header{Name: name, Value: value})
	}
	r.HTTP = &m
	return r
}

// and adds one more value of a header.
func and(r sdk.Request, name, value string) sdk.Request {
	m := *r.HTTP
	m.Header = append(append([]sdk.Header{}, m.Header...), sdk.Header{Name: name, Value: value})
	r.HTTP = &m
	return r
}

// auth changes the authorization.
func auth(t testing.TB, r sdk.Request, from, to string) sdk.Request {
	t.Helper()
	if !strings.Contains(r.Token, from) {
		t.Fatalf("%q is not in %q", from, r.Token)
	}
	r.Token = strings.Replace(r.Token, from, to, 1)
	return with(r, "authorization", awssig.Algorithm+" "+r.Token)
}

// message changes something else.
func message(r sdk.Request, change func(*sdk.HTTPMessage)) sdk.Request {
	m := *r.HTTP
	change(&m)
	r.HTTP = &m
	return r
}
