package explain

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

const canary = "canary-7f3a9c51"

// TestNothingSecretIsShown puts a token, its parts, and secrets wherever a plugin can put text.
func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	token := "eyJhbGciOiJSUzI1NiJ9." + "eyJzdWIiOiIxIn0canary" + ".c2lnbmF0dXJlLWNhbmFyeS03ZjNhOWM1MQ"
	h := newHider(sdk.Request{Scheme: "bearer", Token: token})
	signature := token[strings.LastIndexByte(token, '.')+1:]
	claims := sdk.NewClaims([]byte(`{"sub":"1","client_secret":"` + canary + `","deep":{"x":["` + token + `",{"password":"` + canary + `"}]},"text":"password=` + canary + `"}`))
	state := sdk.State{
		Request:  &sdk.Request{Scheme: "bearer", Token: token},
		Identity: &sdk.Identity{Issuer: "https://idp/" + token, Subject: signature, TokenID: token, Claims: claims, Roles: []string{token, "Bearer " + canary}, Audience: []string{signature}},
		Ref:      &sdk.PrincipalRef{ID: signature, Name: token}, Mapped: []string{signature},
		Credential: &sdk.Credential{Principal: sdk.PrincipalRef{ID: token}, RequestedRoles: []string{token}, TokenID: token, Issuer: token, ClientID: signature},
		Principal:  &sdk.Principal{ID: token, Name: signature, Roles: []string{token}, Attributes: map[string]string{"api_key": canary, "note": token}},
		Active:     []string{token},
	}
	seen := 0
	for _, k := range []sdk.Kind{sdk.KindIdentityProvider, sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper, sdk.KindTokenBroker, sdk.KindAuthenticator, sdk.KindActiveRolesProvider} {
		for _, raw := range []json.RawMessage{h.read(k, state), h.made(k, state)} {
			seen++
			if len(raw) < 3 {
				t.Errorf("%v shows nothing: %s", k, raw)
			}
			for _, secret := range []string{canary, token, signature, token[:20]} {
				if strings.Contains(string(raw), secret) {
					t.Errorf("%v shows %q: %s", k, secret, raw)
				}
			}
		}
	}
	if got := string(h.read(sdk.KindPrincipalMapper, state)); seen != 12 || !strings.Contains(got, `"sub":"1"`) {
		t.Errorf("a claim that is no secret is not shown: %s", got)
	}
	for _, secret := range []string{token, signature} {
		if got := h.text("the token " + secret + " is bad"); strings.Contains(got, secret) || !strings.Contains(got, "is bad") {
			t.Errorf("a reason is shown as %q", got)
		}
	}
}

// A text that was cut before it came, or that has a token's part alone, shows no part of the token either.
func TestPartsOfTokensAreHidden(t *testing.T) {
	t.Parallel()
	long := make([]byte, 300)
	for i := range long {
		long[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[i*i*7%64]
	}
	opaque := string(long)
	jwt := "eyJhbGciOiJSUzI1NiJ9." + opaque[:100] + "." + opaque[100:]
	signature := strings.Repeat("0123456789abcdef", 4)
	odd := "Zk3/9+qPw7LmXv2+TnBc8/RyHd5+GjKs1=="
	sigv4 := "Credential=AKIAIOSFODNN7EXAMPLE/20261125/eu-central-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + signature
	for name, tt := range map[string]struct{ token, text, want string }{
		"opaque, cut":        {opaque, "unknown: " + opaque[:200], "unknown: [token]"},
		"opaque, its end":    {opaque, "…" + opaque[150:] + " is unknown", "…[token] is unknown"},
		"opaque, twice":      {opaque, opaque[:50] + " and " + opaque[60:90], "[token] and [token]"},
		"JWT, cut":           {jwt, "bad: " + jwt[:250], "bad: [token]"},
		"JWT, its signature": {jwt, "bad: " + jwt[150:220] + "!", "bad: [token]!"},
		"SigV4":              {sigv4, "AKIAIOSFODNN7EXAMPLE in eu-central-1/execute-api: " + signature[:40], "AKIAIOSFODNN7EXAMPLE in eu-central-1/execute-api: [token]"},
		"percent-encoded":    {odd, "GET /introspect?token=" + url.QueryEscape(odd), "GET /introspect?token=[token]"},
		"in hexadecimal":     {odd, hex.EncodeToString([]byte(odd)) + ".", "[token]."},
		"in base64":          {odd, base64.StdEncoding.EncodeToString([]byte(odd)), "[token]="},
		"in base64 of more":  {odd, base64.RawURLEncoding.EncodeToString([]byte("u:" + odd)), base64.RawURLEncoding.EncodeToString([]byte("u:" + odd))[:4] + "[token]"},
		"Signature= in it":   {"supersecretopaquetoken0123456789Signature=abc", "unknown supersecretopaquetoken0123", "unknown [token]"},
		"less than a piece":  {opaque, "it begins with " + opaque[:4], "it begins with " + opaque[:4]},
	} {
		scheme := "bearer"
		if name == "SigV4" {
			scheme = "aws4-hmac-sha256"
		}
		if got := newHider(sdk.Request{Scheme: scheme, Token: tt.token}).text(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A token of digits alone is not shown as a number.
func TestNumbersAreHidden(t *testing.T) {
	t.Parallel()
	h := newHider(sdk.Request{Scheme: "bearer", Token: "98765432109876543210"})
	got, _ := json.Marshal(h.claims(sdk.NewClaims([]byte(`{"n":98765432109876543210,"m":7}`))))
	if want := `{"m":7,"n":"[token]"}`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a request has beside its credential is hidden too, where it is named like a secret; the rest is what is to be looked at.
func TestSecretsBesideTheCredential(t *testing.T) {
	t.Parallel()
	const signature = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	const scope = "AKIAIOSFODNN7EXAMPLE/20261125/eu-west-1/execute-api/aws4_request"
	basic := func(password string) string { return base64.StdEncoding.EncodeToString([]byte("alice:" + password)) }
	header := func(name, value string) *sdk.HTTPMessage {
		return &sdk.HTTPMessage{Header: []sdk.Header{{Name: name, Value: value}}}
	}
	signed := "Credential=" + scope + ", SignedHeaders=host;x-amz-date, Signature=" + signature
	query := "X-Amz-Credential=" + url.QueryEscape(scope) + "&X-Amz-Signature=" + signature + "&X-Amz-Security-Token=a%2Fcanary%2Bsession"
	for name, tt := range map[string]struct {
		request    sdk.Request
		text, want string
	}{
		"a password":                   {sdk.Request{Scheme: "basic", Token: basic("a-long-canary-word")}, "alice has a-long-canary-word", "alice has [token]"},
		"a short password, in base64":  {sdk.Request{Scheme: "basic", Token: basic("canary-7")}, base64.StdEncoding.EncodeToString([]byte("canary-7")) + ".", "[token]."},
		"another one for a proxy":      {sdk.Request{Scheme: "bearer", Token: "x", HTTP: header("proxy-authorization", "Basic "+basic("a-long-canary-word"))}, "it is a-long-canary-word", "it is [token]"},
		"a cookie":                     {sdk.Request{Scheme: "bearer", Token: "x", HTTP: header("cookie", "theme=dark; sid=\"canary-9\"")}, "no session canary-9 in dark", "no session [token] in dark"},
		"an assertion":                 {sdk.Request{Scheme: "bearer", Token: "x", HTTP: header("x-goog-iap-jwt-assertion", "some-canary-assertion")}, "bad: some-canary-assertion", "bad: [token]"},
		"a parameter":                  {sdk.Request{Scheme: "bearer", Token: "x", HTTP: &sdk.HTTPMessage{RawTarget: "/a?page=12345678&api%5Fkey=canary%2Dcanary"}}, "page=12345678 by canary-canary", "page=12345678 by [token]"},
		"what a signature says":        {sdk.Request{Scheme: "aws4-hmac-sha256", Token: signed, HTTP: header("authorization", "AWS4-HMAC-SHA256 "+signed)}, scope + " host;x-amz-date " + signature, scope + " host;x-amz-date [token]"},
		"what a query says":            {sdk.Request{Scheme: "aws4-hmac-sha256", Token: query, HTTP: &sdk.HTTPMessage{RawTarget: "/?" + query}}, scope + " " + signature + " a/canary+session", scope + " [token] [token]"},
		"a query without a signature":  {sdk.Request{Scheme: "aws4-hmac-sha256", Token: "X-Amz-Algorithm=canary-canary"}, "no canary-canary", "no [token]"},
		"another header, as it is":     {sdk.Request{Scheme: "bearer", Token: "x", HTTP: header("x-request-id", "0123456789abcdef")}, "0123456789abcdef", "0123456789abcdef"},
		"two of a header of one token": {sdk.Request{Scheme: "bearer", Token: "canary-canary-1", HTTP: header("authorization", "Bearer canary-canary-2")}, "canary-canary-1, then: canary-canary-2", "[token], then:[token]"},
	} {
		if got := newHider(tt.request).text(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
