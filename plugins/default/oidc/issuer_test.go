package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	rsaKey2  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakKey  = sync.OnceValue(func() *rsa.PublicKey { return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537} })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384Key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return must(k, err)
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func jwk(id, algorithm, use string, k any) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: id, Algorithm: algorithm, Use: use, Key: k}
}

// fakeIssuer is a provider that a test makes fail in many ways.
type fakeIssuer struct {
	*httptest.Server
	discoveries, fetches atomic.Int64

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	metadata map[string]any                           // overrides
	fault    func(http.ResponseWriter, *http.Request) // instead of the keys
	down     bool
}

func newFakeIssuer(t testing.TB, keys ...jose.JSONWebKey) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc(wellKnownPath, func(w http.ResponseWriter, _ *http.Request) {
		f.discoveries.Add(1)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		m := map[string]any{"issuer": f.URL, "jwks_uri": f.URL + "/jwks"}
		for k, v := range f.metadata {
			m[k] = v
		}
		_ = json.NewEncoder(w).Encode(m)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		f.fetches.Add(1)
		f.mu.Lock()
		fault, down, keys := f.fault, f.down, f.keys
		f.mu.Unlock()
		switch {
		case down:
			w.WriteHeader(http.StatusBadGateway)
		case fault != nil:
			fault(w, r)
		default:
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
		}
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeIssuer) change(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}

// provider builds a provider for the issuer; settings override the usual ones.
func (f *fakeIssuer) provider(t testing.TB, settings map[string]any) *Provider {
	t.Helper()
	all := map[string]any{"issuer": f.URL, "audience": []string{"polaris"}, "role_claim_path": "polaris/roles"}
	for k, v := range settings {
		all[k] = v
	}
	return build(t, all)
}

func build(t testing.TB, settings map[string]any) *Provider {
	t.Helper()
	impl, err := sdk.IdentityProviderType("oidc", NewProvider).Build(t.Context(), sdk.Setup{Tenant: "tenant"}, must(json.Marshal(settings)))
	if err != nil {
		t.Fatal(err)
	}
	p := impl.(*Provider)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// token describes a token; the zero token is a good one, signed with RS256.
type token struct {
	method jwt.SigningMethod
	key    crypto.PrivateKey
	header map[string]any // nil values delete
	claims map[string]any // nil values delete
	raw    string         // instead of the claims
}

func (f *fakeIssuer) sign(t testing.TB, want token) string {
	t.Helper()
	if want.method == nil {
		want.method, want.key = jwt.SigningMethodRS256, rsaKey()
	}
	now := time.Now().Unix()
	header := override(map[string]any{"alg": want.method.Alg(), "typ": "at+jwt", "kid": "rsa"}, want.header)
	claims := override(map[string]any{
		"iss": f.URL, "aud": []string{"polaris"}, "sub": "alice", "jti": "1", "exp": now + 600, "iat": now, "auth_time": 1700000000,
		"polaris": map[string]any{"roles": []string{"PRINCIPAL_ROLE:ALL"}, "principal_name": "root", "principal_id": 1},
	}, want.claims)
	body := string(must(json.Marshal(claims)))
	if want.raw != "" {
		body = want.raw
	}
	text := base64.RawURLEncoding.EncodeToString(must(json.Marshal(header))) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	return text + "." + base64.RawURLEncoding.EncodeToString(must(want.method.Sign(text, want.key)))
}

func override(m, by map[string]any) map[string]any {
	for k, v := range by {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	return m
}

func bearer(token string) sdk.Request { return sdk.Request{Scheme: "bearer", Token: token} }

// reason gives the reason of a denial, "unavailable" for another error.
func reason(err error) string {
	if d := sdk.AsDenial(err); d != nil {
		return d.Reason
	}
	if err != nil {
		return "unavailable"
	}
	return ""
}
