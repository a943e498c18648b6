package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
)

// Keys take long to make: the tests share three.
var testKeys = [3]func() *rsa.PrivateKey{sync.OnceValue(newKey), sync.OnceValue(newKey), sync.OnceValue(newKey)}

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

var (
	realm1 = sdk.Setup{Realm: "realm1", Issuer: "https://auth.example.com/realms/realm1", Audience: []string{"realmgate:realm1"}}
	realm2 = sdk.Setup{Realm: "realm2", Issuer: "https://auth.example.com/realms/realm2", Audience: []string{"realmgate:realm2"}}
)

func grant(s sdk.Setup) sdk.Grant {
	return sdk.Grant{
		Principal: sdk.PrincipalRef{ID: "17", Name: "alice"}, ClientID: "client", Scope: []string{"PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:b"},
		Realm: s.Realm, Issuer: s.Issuer, Audience: s.Audience, Lifetime: 10 * time.Minute, TokenID: "token-1",
		AuthTime: time.Unix(1700000000, 0), SecretVersion: "3",
	}
}

func bearer(token string) sdk.Request { return sdk.Request{Scheme: "bearer", Token: token} }

func privatePEM(k *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
}

func publicPEM(t testing.TB, k *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func file(t testing.TB, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func rsaBroker(t testing.TB, setup sdk.Setup, k *rsa.PrivateKey) *KeyPair {
	t.Helper()
	b, err := new(Ephemeral).NewRSA(t.Context(), setup, KeyPairSettings{PrivateKeyFile: file(t, privatePEM(k), 0o600), MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testECKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func pkcs8PEM(t testing.TB, k any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func keyPairBroker(t testing.TB, setup sdk.Setup, k any) *KeyPair {
	t.Helper()
	b, err := new(Ephemeral).NewKeyPair(t.Context(), setup, KeyPairSettings{PrivateKeyFile: file(t, pkcs8PEM(t, k), 0o600), MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func symmetricBroker(t testing.TB, setup sdk.Setup, secret string) *Symmetric {
	t.Helper()
	b, err := NewSymmetric(t.Context(), setup, SymmetricSettings{SecretFile: file(t, []byte(secret), 0o600), MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func reason(err error) string {
	if d := sdk.AsDenial(err); d != nil {
		return d.Reason
	}
	if err != nil {
		return "unavailable: " + err.Error()
	}
	return ""
}

const secret = "0123456789abcdef0123456789abcdef"

// each gives a broker of each type for a realm, with keys of their own.
func each(t testing.TB, setup sdk.Setup) map[string]*broker {
	return map[string]*broker{
		"key-pair":      &keyPairBroker(t, setup, testECKey()).broker,
		"rsa-key-pair":  &rsaBroker(t, setup, testKeys[0]()).broker,
		"symmetric-key": &symmetricBroker(t, setup, secret+"\n").broker,
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, b := range each(t, realm1) {
		b.now = func() time.Time { return time.Unix(1700000100, 0) }
		g := grant(realm1)
		token, err := b.Issue(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		if token.ID != "token-1" || token.Type != "Bearer" || !token.Expires.Equal(time.Unix(1700000700, 0)) {
			t.Errorf("%s: %+v", name, token)
		}
		got, err := b.Verify(t.Context(), bearer(token.Value))
		want := sdk.Credential{
			Realm: "realm1", Source: sdk.SourceInternal, Principal: g.Principal, RequestedRoles: g.Scope, Issuer: g.Issuer, Audience: g.Audience,
			TokenID: "token-1", ClientID: "client", IssuedAt: time.Unix(1700000100, 0), AuthTime: g.AuthTime, SecretVersion: "3", Expires: token.Expires,
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v,\nwant %+v", name, got, err, want)
		}
		b.now = func() time.Time { return token.Expires }
		if _, err := b.Verify(t.Context(), bearer(token.Value)); reason(err) != "token_expired" {
			t.Errorf("%s: at its expiry: %v", name, err)
		}
	}
}

func TestIssueDefaultsAndBounds(t *testing.T) {
	t.Parallel()
	b := symmetricBroker(t, realm1, secret)
	now := time.Unix(1700000000, 0)
	b.now = func() time.Time { return now }
	for asked, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute, 48 * time.Hour: time.Hour} {
		g := sdk.Grant{Realm: realm1.Realm, Issuer: realm1.Issuer, Principal: sdk.PrincipalRef{Name: "alice"}, Lifetime: asked}
		token, err := b.Issue(t.Context(), g)
		if err != nil || !token.Expires.Equal(now.Add(want)) || token.ID == "" {
			t.Errorf("asked for %v: %+v, %v, want %v", asked, token, err, want)
		}
		c, err := b.Verify(t.Context(), bearer(token.Value))
		if err != nil || !reflect.DeepEqual(c.Audience, realm1.Audience) || c.Principal != g.Principal || !c.AuthTime.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
	}
	// A life ends with a whole second, and is never longer than asked for.
	for _, into := range []time.Duration{time.Millisecond, 999 * time.Millisecond} {
		b.now = func() time.Time { return now.Add(into) }
		token, err := b.Issue(t.Context(), grant(realm1))
		if err != nil || !token.Expires.Equal(now.Add(10*time.Minute)) {
			t.Errorf("%v into a second: %+v, %v", into, token, err)
		}
	}
	for name, change := range map[string]func(*sdk.Grant){
		"another audience": func(g *sdk.Grant) { g.Audience = []string{realm1.Audience[0], realm2.Audience[0]} },
		"another realm":    func(g *sdk.Grant) { g.Realm = "realm2" },
		"another issuer":   func(g *sdk.Grant) { g.Issuer = realm2.Issuer },
		"no principal":     func(g *sdk.Grant) { g.Principal = sdk.PrincipalRef{} },
		"a negative life":  func(g *sdk.Grant) { g.Lifetime = -1 },
		"a huge scope":     func(g *sdk.Grant) { g.Scope = []string{strings.Repeat("x", accesstoken.MaxLength)} },
	} {
		g := grant(realm1)
		change(&g)
		if token, err := b.Issue(t.Context(), g); err == nil || sdk.AsDenial(err) != nil || token.Value != "" {
			t.Errorf("%s: %v, %v; want an error", name, token, err)
		}
	}
}

// forge signs any header and payload.
func forge(t testing.TB, method jwt.SigningMethod, k any, header map[string]any, payload string) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig, err := method.Sign(text, k)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	k := testKeys[0]()
	b := rsaBroker(t, realm1, k)
	kid := b.keys.current(t.Context(), time.Now()).signer.id
	good, err := b.Issue(t.Context(), grant(realm1))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good.Value, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	payload := string(raw)
	header := func(change ...any) map[string]any {
		h := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": kid}
		for i := 0; i < len(change); i += 2 {
			h[change[i].(string)] = change[i+1]
		}
		return h
	}
	rs := func(h map[string]any, p string) string { return forge(t, jwt.SigningMethodRS256, k, h, p) }
	replace := func(old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("%s has no %s", payload, old)
		}
		return strings.Replace(payload, old, new, 1)
	}
	none := forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, header("alg", "none"), payload)
	tests := map[string]struct{ token, reason string }{
		"good":                        {good.Value, ""},
		"the same, signed here":       {rs(header(), payload), ""},
		"not a JWT":                   {"opaque", "not_mine"},
		"empty":                       {"", "not_mine"},
		"three random parts":          {"a.b.c", "not_mine"},
		"a megabyte of dots":          {strings.Repeat(".", 1<<20), "not_mine"},
		"a huge part":                 {strings.Repeat("a", 1<<20) + "." + parts[1] + "." + parts[2], "not_mine"},
		"a payload that is no object": {rs(header(), `"x"`), "not_mine"},
		"another issuer":              {rs(header(), replace(realm1.Issuer, "https://idp.example.com")), "not_mine"},
		"issuer with a slash":         {rs(header(), replace(realm1.Issuer, realm1.Issuer+"/")), "not_mine"},
		"issuer in another case":      {rs(header(), replace(realm1.Issuer, strings.ToUpper(realm1.Issuer))), "not_mine"},
		"claims of wrong kinds":       {rs(header(), `{"aud":{},"iss":"`+realm1.Issuer+`"}`), "token_malformed"},
		"a changed payload":           {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(replace("alice", "mallory"))) + "." + parts[2], "signature_invalid"},
		"no signature":                {parts[0] + "." + parts[1] + ".", "signature_invalid"},
		"another encoding of it":      {good.Value[:len(good.Value)-1] + sloppy(good.Value), "token_malformed"},
		"another key, our kid":        {forge(t, jwt.SigningMethodRS256, testKeys[1](), header(), payload), "signature_invalid"},
		"another key":                 {forge(t, jwt.SigningMethodRS256, testKeys[1](), header("kid", "x"), payload), "key_unknown"},
		"no kid":                      {rs(header("kid", ""), payload), "key_unknown"},
		"kid of another kind":         {rs(header("kid", 7), payload), "key_unknown"},
		"none":                        {none, "algorithm_not_allowed"},
		"None":                        {rs(header("alg", "None"), payload), "algorithm_not_allowed"},
		"an unknown algorithm":        {rs(header("alg", "XX"), payload), "algorithm_not_allowed"},
		"PS256 with our key":          {forge(t, jwt.SigningMethodPS256, k, header("alg", "PS256"), payload), "algorithm_not_allowed"},
		"public key as HMAC secret":   {forge(t, jwt.SigningMethodHS256, publicPEM(t, k), header("alg", "HS256"), payload), "algorithm_not_allowed"},
		"its DER as HMAC secret":      {forge(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&k.PublicKey), header("alg", "HS256"), payload), "algorithm_not_allowed"},
		"another type":                {rs(header("typ", "JWT"), payload), "type_not_allowed"},
		"critical extensions":         {rs(header("crit", []string{"x"}), payload), "token_malformed"},
		"another realm":               {rs(header(), replace(`"realm":"realm1"`, `"realm":"realm2"`)), "realm_mismatch"},
		"another audience":            {rs(header(), replace("realmgate:realm1", "realmgate:realm2")), "audience_mismatch"},
		"no audience":                 {rs(header(), replace(`"aud":["realmgate:realm1"],`, "")), "audience_mismatch"},
		"a single audience":           {rs(header(), replace(`["realmgate:realm1"]`, `"realmgate:realm1"`)), ""},
		"no expiry":                   {rs(header(), replace(`"exp":`, `"xxx":`)), "token_expired"},
		"no principal":                {rs(header(), replace(`"sub":"17","principal_name":"alice",`, "")), "token_malformed"},
		"no id":                       {rs(header(), replace(`"jti":"token-1"`, `"x":""`)), "token_malformed"},
	}
	for name, tt := range tests {
		if c, err := b.Verify(t.Context(), bearer(tt.token)); reason(err) != tt.reason || (err != nil && c.Realm != "") {
			t.Errorf("%s: %v (%v), want %q", name, reason(err), err, tt.reason)
		}
	}
	if _, err := b.Verify(t.Context(), sdk.Request{Scheme: "basic", Token: good.Value}); reason(err) != "not_mine" {
		t.Errorf("another scheme: %v", err)
	}
}

// sloppy gives the last character of a token with other unused bits: the same bytes in an encoding that is not canonical.
func sloppy(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, token[len(token)-1])|1])
}

// Realms that share a key file do not accept each other's tokens, whatever a realm's configuration shares with another.
func TestOneKeyInTwoRealms(t *testing.T) {
	t.Parallel()
	for name, ours := range each(t, realm1) {
		token, err := ours.Issue(t.Context(), grant(realm1))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			change func(*sdk.Setup)
			reason string
		}{
			{func(*sdk.Setup) {}, "not_mine"},
			{func(s *sdk.Setup) { s.Issuer = realm1.Issuer }, "realm_mismatch"},
			{func(s *sdk.Setup) { s.Issuer, s.Realm = realm1.Issuer, realm1.Realm }, "audience_mismatch"},
		} {
			setup := realm2
			tt.change(&setup)
			theirs := each(t, setup)[name]
			if theirs.keys.current(t.Context(), time.Now()).signer.id != ours.keys.current(t.Context(), time.Now()).signer.id {
				t.Fatal("the realms do not share their key")
			}
			if _, err := theirs.Verify(t.Context(), bearer(token.Value)); reason(err) != tt.reason {
				t.Errorf("%s, %+v: %v, want %s", name, setup, err, tt.reason)
			}
		}
	}
}

func TestSymmetricKeyIDIsNoHashOfTheKey(t *testing.T) {
	t.Parallel()
	a, b := symmetricID([]byte(secret)), symmetricID([]byte(secret+"x"))
	if a == b || a == "" || a != symmetricID([]byte(secret)) {
		t.Errorf("%s and %s", a, b)
	}
}

// store is a host whose secrets a test changes.
type store struct {
	sdk.Host // for what it is not asked

	mu     sync.Mutex
	values map[string]string
	until  time.Time
	err    error
	reads  int
}

func (s *store) FindPrincipal(context.Context, sdk.PrincipalRef) (sdk.Principal, error) {
	return sdk.Principal{}, errors.New("there are no principals here")
}

func (s *store) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	v, ok := s.values[ref.Path()]
	if s.err != nil || !ok {
		return sdk.Secret{}, errors.Join(s.err, errors.New("no such secret"))
	}
	out := sdk.NewSecret([]byte(v))
	out.CacheUntil = s.until
	return out, nil
}

func (s *store) set(path, value string, until time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[path], s.until, s.err = value, until, err
}

func BenchmarkBroker(b *testing.B) {
	for name, x := range each(b, realm1) {
		token, err := x.Issue(b.Context(), grant(realm1))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/issue", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Issue(b.Context(), grant(realm1)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Verify(b.Context(), bearer(token.Value)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
