package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/internal/oidctest"
)

// Two realms that share a key file: the tokens of one are worth nothing in the other.
func TestRealmsThatShareAKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key.pem")
	writeKey(t, key)
	d := start(t, fmt.Sprintf(`
authentication {
  token_broker {
    type             = "rsa-key-pair"
    private_key_file = %q
  }
}
realm "a" {}
realm "b" {}
realm "c" {
  authentication {
    type = "mixed"
  }
  tenant = "t"
}
tenant "t" {
  identity_provider {
    issuer   = "http://127.0.0.1:1"
    audience = ["x"]
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
`, key))
	a := d.rootToken("a")
	if got := d.check("a", a); got.status != http.StatusOK {
		t.Fatalf("at home: %d %s", got.status, got.text)
	}
	if got := d.check("b", a); got.status != http.StatusUnauthorized {
		t.Errorf("in another realm: %d %s", got.status, got.text)
	}
	if got := d.check("c", a); got.status == http.StatusOK {
		t.Errorf("in a mixed realm: %d %s", got.status, got.text)
	}

	priv := readKey(t, key)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(a, claims); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(a, ".")
	var header map[string]any
	raw, _ := base64.RawURLEncoding.DecodeString(head)
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	forge := func(method jwt.SigningMethod, key any, change func(h map[string]any, c jwt.MapClaims)) string {
		tok := jwt.NewWithClaims(method, jwt.MapClaims{})
		for k, v := range header {
			if k != "alg" {
				tok.Header[k] = v
			}
		}
		c := tok.Claims.(jwt.MapClaims)
		for k, v := range claims {
			c[k] = v
		}
		change(tok.Header, c)
		s, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	nothing := func(map[string]any, jwt.MapClaims) {}
	spki, err := x509.MarshalPKIXPublicKey(&priv.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.check("a", forge(jwt.SigningMethodRS256, priv, nothing)); got.status != http.StatusOK {
		t.Fatalf("the forge makes good tokens otherwise: %d %s", got.status, got.text)
	}
	forged := map[string]string{
		"alg none":                        forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nothing),
		"public key as HMAC secret":       forge(jwt.SigningMethodHS256, public, nothing),
		"public key DER as HMAC secret":   forge(jwt.SigningMethodHS256, spki, nothing),
		"RS512 with the right key":        forge(jwt.SigningMethodRS512, priv, nothing),
		"another key, our kid":            forge(jwt.SigningMethodRS256, other, nothing),
		"another kid":                     forge(jwt.SigningMethodRS256, priv, func(h map[string]any, _ jwt.MapClaims) { h["kid"] = "x" }),
		"no audience":                     forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { delete(c, "aud") }),
		"foreign audience":                forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["aud"] = d.url + "/realms/b" }),
		"issuer of another realm":         forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["iss"] = d.url + "/realms/b" }),
		"issuer with a trailing slash":    forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["iss"] = d.url + "/realms/a/" }),
		"issuer that has ours as prefix":  forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["iss"] = d.url + "/realms/a.evil.example" }),
		"realm claim of another realm":    forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["realm"] = "b" }),
		"expired":                         forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"never expires":                   forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { delete(c, "exp") }),
		"client secret version of nobody": forge(jwt.SigningMethodRS256, priv, func(_ map[string]any, c jwt.MapClaims) { c["csv"] = "99" }),
		"critical extension":              forge(jwt.SigningMethodRS256, priv, func(h map[string]any, _ jwt.MapClaims) { h["crit"] = []string{"x"} }),
	}
	for name, token := range forged {
		if got := d.check("a", token); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readKey(t *testing.T, path string) *rsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*rsa.PrivateKey)
}

// Headers of a token that would have us fetch an attacker's keys cause no request at all, and a flood of key ids only a
// handful to the provider.
func TestTokensThatWouldHaveUsFetch(t *testing.T) {
	t.Parallel()
	idp := oidctest.Start(t, oidctest.Options{})
	d := start(t, strings.ReplaceAll(threeModes, "ISSUER", idp.Issuer))
	good := idp.Token(t, oidctest.TokenOptions{Claims: identity(7, "carol")})
	if a := d.check("outside", good); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text)
	}

	var evil atomic.Int64
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { evil.Add(1) }))
	defer attacker.Close()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(issuer string, header map[string]any) string {
		tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": issuer, "aud": "realmgate", "sub": "x", "exp": time.Now().Add(time.Hour).Unix(), "polaris": identity(7, "carol")["polaris"],
		})
		for k, v := range header {
			tok.Header[k] = v
		}
		s, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	jwk := map[string]any{"kty": "RSA", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes())}
	for name, token := range map[string]string{
		"attacker's issuer": sign(attacker.URL, map[string]any{"kid": "x"}),
		"jku":               sign(idp.Issuer, map[string]any{"kid": "x", "jku": attacker.URL + "/jwks"}),
		"x5u":               sign(idp.Issuer, map[string]any{"kid": "x", "x5u": attacker.URL + "/cert"}),
		"jwk":               sign(idp.Issuer, map[string]any{"jwk": jwk}),
		"issuer prefix":     sign(idp.Issuer+".evil.example", map[string]any{"kid": "x"}),
		"trailing slash":    sign(idp.Issuer+"/", map[string]any{"kid": "x"}),
	} {
		for _, realm := range []string{"outside", "both"} {
			if a := d.check(realm, token); a.status != http.StatusUnauthorized {
				t.Errorf("%s in %s: %d %s", name, realm, a.status, a.text)
			}
		}
	}
	if n := evil.Load(); n != 0 {
		t.Errorf("%d requests to the attacker", n)
	}

	before := idp.JWKSRequests(t)
	token := sign(idp.Issuer, nil)
	_, rest, _ := strings.Cut(token, ".")
	for i := range 2000 {
		sum := sha256.Sum256(fmt.Append(nil, i))
		head := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"%x"}`, sum))
		// 503 where we may not ask the provider again so soon: then nobody can say that there is no such key.
		if a := d.check("outside", head+"."+rest); a.status != http.StatusUnauthorized && a.status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	if n := idp.JWKSRequests(t) - before; n > 5 {
		t.Errorf("2000 random key ids made us fetch the keys %d times", n)
	}
	if a := d.check("outside", good); a.status != http.StatusOK {
		t.Errorf("the good token after the flood: %d %s", a.status, a.text)
	}
}

// A request that is malformed or too large ends at the door.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {\n  hosts = [\"demo.example\"]\n}\nrealm \"other\" {\n  hosts = [\"other.example\"]\n}\n")
	token := d.rootToken("demo")
	raw := func(request string) string {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = c.Write([]byte(request)) // the server may answer and close before it has read all
		head := make([]byte, 64)
		n, _ := c.Read(head)
		status, _, _ := strings.Cut(strings.TrimPrefix(string(head[:n]), "HTTP/1.1 "), "\r\n")
		return status
	}
	ask := func(target string, headers ...string) string {
		return "GET " + target + " HTTP/1.1\r\nConnection: close\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	}
	bearer := "Authorization: Bearer " + token
	tests := []struct{ name, request, want string }{
		{"good", ask("/realms/demo/v1/check", "Host: x", bearer), "200"},
		{"good, by host", ask("/v1/check", "Host: demo.example", bearer), "200"},
		{"host in another case and with a port", ask("/v1/check", "Host: DEMO.Example:8080", bearer), "200"},
		{"host of another realm", ask("/v1/check", "Host: other.example", bearer), "401"},
		{"host of nobody", ask("/v1/check", "Host: evil.example", bearer), "400"},
		{"path and host differ", ask("/realms/demo/v1/check", "Host: other.example", bearer), "400"},
		{"forged forwarded host", ask("/v1/check", "Host: other.example", "X-Forwarded-Host: demo.example", bearer), "401"},
		{"realm header that no listener enables", ask("/v1/check", "Host: other.example", "Realmgate-Realm: demo", bearer), "401"},
		{"dots", ask("/realms/other/../demo/v1/check", "Host: x", bearer), "404"},
		{"encoded dots", ask("/realms/other/%2e%2e/demo/v1/check", "Host: x", bearer), "404"},
		{"encoded slash", ask("/realms/demo%2fv1/check", "Host: x", bearer), "404"},
		{"double slash", ask("//realms/demo/v1/check", "Host: x", bearer), "404"},
		{"realm in another case", ask("/realms/DEMO/v1/check", "Host: x", bearer), "404"},
		{"two credentials", ask("/realms/demo/v1/check", "Host: x", bearer, bearer), "400"},
		{"a token of 20 KB", ask("/realms/demo/v1/check", "Host: x", "Authorization: Bearer "+strings.Repeat("a", 20<<10)), "401"},
		{"a megabyte of dots", ask("/realms/demo/v1/check", "Host: x", "Authorization: Bearer "+strings.Repeat(".", 1<<20)), "431"},
		{"dots that fit", ask("/realms/demo/v1/check", "Host: x", "Authorization: Bearer "+strings.Repeat(".", 15<<10)), "401"},
		{"no credential", ask("/realms/demo/v1/check", "Host: x"), "401"},
		{"another scheme", ask("/realms/demo/v1/check", "Host: x", "Authorization: Basic YTpi"), "401"},
	}
	for _, tt := range tests {
		if got := raw(tt.request); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
