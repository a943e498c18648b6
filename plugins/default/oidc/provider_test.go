package oidc

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t, jwk("rsa", "", "", rsaKey().Public()))
	p := f.provider(t, nil)
	now := time.Unix(1700000100, 0)
	p.now = func() time.Time { return now }
	id, err := p.Identify(t.Context(), bearer(f.sign(t, token{claims: map[string]any{"exp": 1700000200, "iat": 1700000000}})))
	if err != nil {
		t.Fatal(err)
	}
	if id.Issuer != f.URL || id.Subject != "alice" || !slices.Equal(id.Audience, []string{"polaris"}) || id.TokenID != "1" ||
		!slices.Equal(id.Roles, []string{"PRINCIPAL_ROLE:ALL"}) || !id.AuthTime.Equal(time.Unix(1700000000, 0)) || !id.Expires.Equal(time.Unix(1700000230, 0)) {
		t.Errorf("%+v", id)
	}
	path, _ := sdk.ParseClaimPath("polaris/principal_name")
	if v, ok := id.Claims.Lookup(path); !ok || v != "root" {
		t.Errorf("claims %s", id.Claims.Raw())
	}
	if _, err := p.Identify(t.Context(), sdk.Request{Scheme: "basic", Token: "x"}); reason(err) != sdk.ReasonNotMine {
		t.Errorf("another scheme: %v", err)
	}
}

func TestIdentifyRefuses(t *testing.T) {
	t.Parallel()
	attacker := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the attacker was asked for %s", r.URL)
	}))
	t.Cleanup(attacker.Close)
	f := newFakeIssuer(t, jwk("rsa", "", "sig", rsaKey().Public()), jwk("rs", "RS256", "", rsaKey().Public()), jwk("ec", "", "", ecKey().Public()),
		jwk("ed", "", "", edKey().Public()), jwk("ec384", "", "", ec384Key().Public()), jwk("enc", "", "enc", rsaKey2().Public()))
	public := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: public})
	now := time.Now().Unix()
	good := f.sign(t, token{})
	parts := strings.Split(good, ".")
	c := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	none := token{method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType}
	tests := map[string]struct {
		token    any // token, or a string as it stands
		settings map[string]any
		reason   string
	}{
		"good":                        {token{}, nil, ""},
		"ES256":                       {token{method: jwt.SigningMethodES256, key: ecKey(), header: c("kid", "ec")}, nil, ""},
		"EdDSA":                       {token{method: jwt.SigningMethodEdDSA, key: edKey(), header: c("kid", "ed")}, nil, ""},
		"PS256":                       {token{method: jwt.SigningMethodPS256, key: rsaKey()}, nil, ""},
		"no kid, one key fits":        {token{method: jwt.SigningMethodES256, key: ecKey(), header: c("kid", nil)}, nil, ""},
		"no kid, several fit":         {token{header: c("kid", nil)}, nil, "key_unknown"},
		"ES384, not listed":           {token{method: jwt.SigningMethodES384, key: ec384Key(), header: c("kid", "ec384")}, nil, "algorithm_not_allowed"},
		"ES384, listed":               {token{method: jwt.SigningMethodES384, key: ec384Key(), header: c("kid", "ec384")}, c("algorithms", []string{"ES384"}), ""},
		"RS256, not listed":           {token{}, c("algorithms", []string{"ES256"}), "algorithm_not_allowed"},
		"none":                        {none, nil, "algorithm_not_allowed"},
		"NONE":                        {token{header: c("alg", "NONE")}, nil, "algorithm_not_allowed"},
		"no algorithm":                {token{header: c("alg", nil)}, nil, "algorithm_not_allowed"},
		"public key as HMAC secret":   {token{method: jwt.SigningMethodHS256, key: publicPEM}, nil, "algorithm_not_allowed"},
		"its DER as HMAC secret":      {token{method: jwt.SigningMethodHS256, key: public}, nil, "algorithm_not_allowed"},
		"algorithm not the key's":     {token{method: jwt.SigningMethodES256, key: ecKey()}, nil, "algorithm_not_allowed"},
		"algorithm not the key's alg": {token{method: jwt.SigningMethodPS256, key: rsaKey(), header: c("kid", "rs")}, nil, "algorithm_not_allowed"},
		"another key, known kid":      {token{method: jwt.SigningMethodRS256, key: rsaKey2()}, nil, "signature_invalid"},
		"unknown kid":                 {token{header: c("kid", "x")}, nil, "key_unknown"},
		"a key for encryption":        {token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: c("kid", "enc")}, nil, "key_unknown"},
		"kid of another kind":         {token{header: c("kid", 1)}, nil, "token_malformed"},
		"a huge kid":                  {token{header: c("kid", strings.Repeat("x", 1000))}, nil, "token_malformed"},
		"jku, x5u, jwk, x5c":          {token{method: jwt.SigningMethodRS256, key: rsaKey2(), header: c("kid", "x", "jku", attacker.URL, "x5u", attacker.URL, "jwk", c("kty", "RSA"), "x5c", []string{"x"})}, nil, "key_unknown"},
		"iss of the attacker":         {token{method: jwt.SigningMethodRS256, key: rsaKey2(), claims: c("iss", attacker.URL)}, nil, "issuer_mismatch"},
		"crit":                        {token{header: c("crit", []string{"exp"})}, nil, "token_malformed"},
		"changed claims":              {parts[0] + "." + strings.Split(f.sign(t, token{claims: c("sub", "mallory")}), ".")[1] + "." + parts[2], nil, "signature_invalid"},
		"no signature":                {parts[0] + "." + parts[1] + ".", nil, "signature_invalid"},
		"another encoding of it":      {sloppy(good), nil, "token_malformed"},
		"ES256 with a P-384 key":      {token{method: jwt.SigningMethodES384, key: ec384Key(), header: c("kid", "ec384", "alg", "ES256")}, nil, "algorithm_not_allowed"},
		"padding":                     {good + "==", nil, "token_malformed"},
		"issuer with a slash":         {token{claims: c("iss", f.URL+"/")}, nil, "issuer_mismatch"},
		"issuer's prefix":             {token{claims: c("iss", f.URL[:len(f.URL)-1])}, nil, "issuer_mismatch"},
		"issuer goes on":              {token{claims: c("iss", f.URL+".evil.example")}, nil, "issuer_mismatch"},
		"issuer in another case":      {token{claims: c("iss", strings.ToUpper(f.URL))}, nil, "issuer_mismatch"},
		"no issuer":                   {token{claims: c("iss", nil)}, nil, "issuer_mismatch"},
		"claim names differ in case":  {token{claims: c("iss", nil, "ISS", f.URL)}, nil, "issuer_mismatch"},
		"another audience":            {token{claims: c("aud", []string{"other", "polaris2"})}, nil, "audience_mismatch"},
		"no audience":                 {token{claims: c("aud", nil)}, nil, "audience_mismatch"},
		"an empty audience":           {token{claims: c("aud", []string{})}, nil, "audience_mismatch"},
		"a single audience":           {token{claims: c("aud", "polaris")}, nil, ""},
		"one of several audiences":    {token{claims: c("aud", []string{"x", "polaris"})}, nil, ""},
		"expired":                     {token{claims: c("exp", now-31)}, nil, "token_expired"},
		"expired within the skew":     {token{claims: c("exp", now-5)}, nil, ""},
		"no expiry":                   {token{claims: c("exp", nil)}, nil, "token_expired"},
		"no expiry, allowed":          {token{claims: c("exp", nil)}, c("require_expiry", false), ""},
		"not yet":                     {token{claims: c("nbf", now+120)}, nil, "token_not_yet_valid"},
		"not yet, within the skew":    {token{claims: c("nbf", now+15)}, nil, ""},
		"issued in the future":        {token{claims: c("iat", now+120)}, nil, "token_not_yet_valid"},
		"expiry as text":              {token{claims: c("exp", "9999999999")}, nil, "token_malformed"},
		"a huge expiry":               {token{claims: c("exp", 1e300)}, nil, "token_malformed"},
		"an expiry with a fraction":   {token{claims: c("exp", float64(now)+600.5)}, nil, ""},
		"issuer as a list":            {token{claims: c("iss", []string{f.URL})}, nil, "token_malformed"},
		"audience as an object":       {token{claims: c("aud", c("polaris", 1))}, nil, "token_malformed"},
		"another type":                {token{header: c("typ", "logout+jwt")}, nil, "type_not_allowed"},
		"type of another kind":        {token{header: c("typ", 1)}, nil, "type_not_allowed"},
		"type JWT":                    {token{header: c("typ", "jwt")}, nil, ""},
		"type in long form":           {token{header: c("typ", "Application/AT+JWT")}, nil, ""},
		"no type":                     {token{header: c("typ", nil)}, nil, ""},
		"no type, not listed":         {token{header: c("typ", nil)}, c("token_types", []string{"at+jwt"}), "type_not_allowed"},
		"authorized party":            {token{claims: c("azp", "app")}, c("authorized_party", []string{"app"}), ""},
		"client id instead":           {token{claims: c("client_id", "app")}, c("authorized_party", []string{"app"}), ""},
		"another party":               {token{claims: c("azp", "evil", "client_id", "app")}, c("authorized_party", []string{"app"}), "authorized_party_mismatch"},
		"no party":                    {token{}, c("authorized_party", []string{"app"}), "authorized_party_mismatch"},
		"roles of another kind":       {token{claims: c("polaris", c("roles", 1))}, nil, "claim_invalid"},
		"a role of another kind":      {token{claims: c("polaris", c("roles", []any{"a", 1}))}, nil, "claim_invalid"},
		"claims are a list":           {token{raw: `[]`}, nil, "token_malformed"},
		"claims are null":             {token{raw: `null`}, nil, "token_malformed"},
		"claims are not JSON":         {token{raw: `{`}, nil, "token_malformed"},
		"text behind the claims":      {token{raw: `{} {}`}, nil, "token_malformed"},
		"opaque":                      {"2YotnFZFEjr1zCsicMWpAA", nil, "token_opaque"},
		"opaque with dots":            {"a.b.c", nil, "token_opaque"},
		"a header that is null":       {"bnVsbA." + parts[1] + "." + parts[2], nil, "token_opaque"},
		"encrypted":                   {"a.b.c.d.e", nil, "token_malformed"},
		"empty":                       {"", nil, "token_malformed"},
		"a megabyte of dots":          {strings.Repeat(".", 1<<20), nil, "token_malformed"},
		"dots":                        {strings.Repeat(".", 1000), nil, "token_malformed"},
		"a megabyte":                  {strings.Repeat("a", 1<<20), nil, "token_malformed"},
		"invalid UTF-8":               {"\xff.\xff.\xff", nil, "token_opaque"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, ok := tt.token.(string)
			if !ok {
				text = f.sign(t, tt.token.(token))
			}
			id, err := f.provider(t, tt.settings).Identify(t.Context(), bearer(text))
			if reason(err) != tt.reason {
				t.Errorf("%v (%v), want %q", reason(err), err, tt.reason)
			}
			if err != nil && !reflect.DeepEqual(id, sdk.Identity{}) {
				t.Errorf("an error came with %+v", id)
			}
			if d := sdk.AsDenial(err); d != nil && d.Forbidden {
				t.Error("a bad credential is a 401")
			}
		})
	}
}

// sloppy gives a token whose last character has other unused bits: the same bytes, written in a form that is not
// canonical.
func sloppy(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])|1])
}

func FuzzIdentify(f *testing.F) {
	issuer := newFakeIssuer(f, jwk("rsa", "", "", rsaKey().Public()))
	p := issuer.provider(f, nil)
	good := issuer.sign(f, token{})
	for _, s := range []string{good, "", ".", "..", "a.b.c", good + ".", strings.Repeat(".", 100), "e30.e30.", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := p.Identify(t.Context(), bearer(text))
		if err == nil && text != good {
			t.Fatalf("accepted as %+v", id)
		}
		if err != nil && sdk.AsDenial(err) == nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	f := newFakeIssuer(b, jwk("rsa", "", "", rsaKey().Public()), jwk("ec", "", "", ecKey().Public()))
	p := f.provider(b, nil)
	for name, text := range map[string]string{
		"RS256":   f.sign(b, token{}),
		"ES256":   f.sign(b, token{method: jwt.SigningMethodES256, key: ecKey(), header: map[string]any{"kid": "ec"}}),
		"expired": f.sign(b, token{claims: map[string]any{"exp": 1}}),
		"dots":    strings.Repeat(".", 16<<10),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Identify(b.Context(), bearer(text)); err != nil && sdk.AsDenial(err) == nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A no that time turns into a yes is not remembered for longer than until then.
func TestNotYetIsNotRememberedForLong(t *testing.T) {
	f := newFakeIssuer(t)
	p := f.provider(t, nil)
	at := time.Now().Truncate(time.Second)
	p.now = func() time.Time { return at }
	for claim, in := range map[string]time.Duration{"nbf": 90 * time.Second, "iat": 31 * time.Second} {
		st := sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: f.sign(t, token{claims: map[string]any{claim: at.Add(in).Unix()}})}}
		err := sdk.Step(t.Context(), sdk.KindIdentityProvider, p, &st)
		if want := in - 30*time.Second; reason(err) != "token_not_yet_valid" || st.Cache != (sdk.CacheHint{MaxAge: want}) { // 30 s are the skew
			t.Errorf("%s: %v, to be remembered %+v, want %v", claim, err, st.Cache, want)
		}
	}
}
