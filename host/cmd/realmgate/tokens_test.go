package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/need"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// post sends a form to a path of a realm; authorization may be empty.
func (d *gate) post(realm, path, authorization, form string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+"/realms/"+realm+path, strings.NewReader(form))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return d.do(req)
}

func (d *gate) exchange(realm, token string, more ...string) answer {
	d.t.Helper()
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {accessTokenType}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return d.post(realm, "/v1/oauth/tokens", "Bearer "+token, form.Encode())
}

// get asks for a path, under a host that is not the daemon's.
func (d *gate) get(path string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Host = "attacker.example"
	return d.do(req)
}

func (a answer) token() string { s, _ := a.body["access_token"].(string); return s }

// testClient is a principal that a test created.
type testClient struct{ ID, Secret string }

func (d *gate) create(realm string, args ...string) testClient {
	d.t.Helper()
	var made struct {
		Credentials struct {
			ClientID     string `json:"client_id"`
			ClientSecret string `json:"client_secret"`
		} `json:"credentials"`
	}
	out := d.command(append([]string{"principal", "create", "-r", realm, "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		d.t.Fatalf("%v\n%s", err, out)
	}
	return testClient{made.Credentials.ClientID, made.Credentials.ClientSecret}
}

func (c testClient) basic() string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(c.ID, c.Secret)
	return r.Header.Get("Authorization")
}

// A token's life through the whole daemon: it is exchanged, introspected, revoked, and ended by what an operator does.
func TestLifeOfAToken(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"a\" {}\nrealm \"b\" {}\n")
	d.command("role", "create", "-r", "a", "x")
	d.command("role", "create", "-r", "a", "y")
	alice := d.create("a", "alice", "--role", "x", "--role", "y")
	bob := d.create("a", "bob")
	root := d.root["b"]
	stranger := testClient{root.ClientID, root.ClientSecret}
	get := func(c testClient, scope string) string {
		t.Helper()
		a := d.grant("a", c.ID, c.Secret, scope)
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.text)
		}
		return a.token()
	}
	ok := func(what string, a answer) answer {
		t.Helper()
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.status, a.text)
		}
		return a
	}
	refused := func(what string, a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.body["error"] != code || a.token() != "" {
			t.Errorf("%s: %d %s, want %d %s", what, a.status, a.text, status, code)
		}
	}
	introspect := func(c testClient, token string) answer {
		t.Helper()
		return d.post("a", "/v1/oauth/introspect", c.basic(), url.Values{"token": {token}}.Encode())
	}
	active := func(token string) bool {
		t.Helper()
		a := introspect(bob, token)
		yes, _ := a.body["active"].(bool)
		if a.status != http.StatusOK || !yes && strings.TrimSpace(a.text) != `{"active":false}` {
			t.Errorf("introspection: %d %s", a.status, a.text)
		}
		if check := d.check("a", token).status == http.StatusOK; check != yes {
			t.Errorf("introspection says %v, the check door %v", yes, check)
		}
		return yes
	}

	t.Run("exchange", func(t *testing.T) {
		all, x := get(alice, "PRINCIPAL_ROLE:ALL"), get(alice, "PRINCIPAL_ROLE:x")
		again := ok("all", d.exchange("a", all)).token()
		if again == all || d.check("a", again).header.Get("Realmgate-Roles") != "x,y" || !active(all) {
			t.Error("an exchanged token is another one, with the same roles, beside the first")
		}
		narrow := ok("narrowed", d.exchange("a", again, "scope", "PRINCIPAL_ROLE:y")).token()
		if roles := d.check("a", narrow).header.Get("Realmgate-Roles"); roles != "y" {
			t.Errorf("roles %s", roles)
		}
		refused("widened", d.exchange("a", narrow, "scope", "PRINCIPAL_ROLE:ALL"), 400, "invalid_scope")
		refused("widened by an alias", d.exchange("a", x, "scope", "catalog"), 400, "invalid_scope")
		refused("another role", d.exchange("a", x, "scope", "PRINCIPAL_ROLE:y"), 400, "invalid_scope")
		refused("in another realm", d.exchange("b", all), 400, "invalid_request")
		refused("damaged", d.exchange("a", damaged(all)), 400, "invalid_request")
	})
	t.Run("introspection", func(t *testing.T) {
		token := get(alice, "PRINCIPAL_ROLE:x")
		a := ok("introspection", introspect(bob, token))
		if iat, _ := a.body["iat"].(float64); time.Since(time.Unix(int64(iat), 0)) > time.Hour {
			t.Errorf("issued at %v", a.body["iat"])
		}
		for k, want := range map[string]any{"active": true, "username": "alice", "client_id": alice.ID, "scope": "PRINCIPAL_ROLE:x", "token_type": "Bearer", "iss": d.url + "/realms/a"} {
			if a.body[k] != want {
				t.Errorf("%s: %v, want %v", k, a.body[k], want)
			}
		}
		refused("a client of another realm", introspect(stranger, token), 401, "invalid_client")
		refused("no client", d.post("a", "/v1/oauth/introspect", "", "token="+token), 401, "invalid_client")
		if b := d.post("b", "/v1/oauth/introspect", stranger.basic(), "token="+token); strings.TrimSpace(b.text) != `{"active":false}` {
			t.Errorf("a token of another realm: %s", b.text)
		}
	})
	t.Run("revocation", func(t *testing.T) {
		token, other := get(alice, "catalog"), get(alice, "catalog")
		ok("not bob's", d.post("a", "/v1/oauth/revoke", bob.basic(), "token="+token))
		if !active(token) {
			t.Fatal("bob revoked a token of alice's")
		}
		ok("alice's", d.post("a", "/v1/oauth/revoke", alice.basic(), "token="+token+"&token_type_hint=access_token"))
		if active(token) || !active(other) {
			t.Error("one token ends, and only one")
		}
		refused("the exchange of a revoked token", d.exchange("a", token), 400, "invalid_request")
		// What stems from one authentication ends together, wherever it is revoked.
		for _, which := range []int{0, 1, 2, 3} {
			family := []string{get(alice, "catalog")}
			for _, from := range []int{0, 1, 0} {
				family = append(family, ok("an exchange", d.exchange("a", family[from])).token())
			}
			ok("one of a family", d.post("a", "/v1/oauth/revoke", alice.basic(), "token="+family[which]))
			for i, member := range family {
				if active(member) {
					t.Errorf("token %d is active after token %d of its session was revoked", i, which)
				}
			}
		}
		if !active(other) {
			t.Error("another session ended, too")
		}
		ok("again", d.post("a", "/v1/oauth/revoke", alice.basic(), "token="+token))
		ok("by itself", d.post("a", "/v1/oauth/revoke", "Bearer "+other, "token="+other))
		if active(other) {
			t.Error("a token that gave itself up is active")
		}
		late := get(alice, "PRINCIPAL_ROLE:y")
		d.command("role", "revoke", "-r", "a", "y", "alice")
		ok("while a role is missing", d.post("a", "/v1/oauth/revoke", alice.basic(), "token="+late))
		d.command("role", "grant", "-r", "a", "y", "alice")
		if active(late) {
			t.Error("a token that was revoked while it was refused counts again")
		}
	})
	t.Run("an operator ends tokens", func(t *testing.T) {
		token := get(alice, "catalog")
		d.command("principal", "disable", "-r", "a", "alice")
		if active(token) {
			t.Error("disabled")
		}
		refused("an exchange while disabled", d.exchange("a", token), 400, "invalid_request")
		refused("a grant while disabled", d.grant("a", alice.ID, alice.Secret, "catalog"), 401, "invalid_client")
		d.command("principal", "enable", "-r", "a", "alice")
		if active(token) {
			t.Error("a token counts again after its principal was enabled again")
		}
		refused("an exchange afterwards", d.exchange("a", token), 400, "invalid_request")

		token = get(alice, "catalog")
		d.command("principal", "rotate", "-r", "a", "alice")
		if !active(token) {
			t.Error("a rotation leaves clients time to change over")
		}
		refused("an exchange after a rotation", d.exchange("a", token), 400, "invalid_request")
		token = get(alice, "catalog") // still with the former secret
		d.command("principal", "reset", "-r", "a", "alice")
		if active(token) {
			t.Error("reset")
		}
		refused("an exchange after a reset", d.exchange("a", token), 400, "invalid_request")
		token = get(bob, "catalog")
		d.command("principal", "delete", "-r", "a", "bob")
		refused("an exchange after a deletion", d.exchange("a", token), 400, "invalid_request")
	})
	for _, secret := range []string{alice.Secret, bob.Secret} {
		if strings.Contains(d.log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
	if strings.Contains(d.log.String(), "eyJ") {
		t.Error("the log has a token")
	}
}

// What Apache's Java client sends (OAuth2Util): a credential as client credentials, a refresh by token exchange with Bearer,
// and with Basic after the token has expired.
func TestIcebergForms(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, fmt.Sprintf("realm \"demo\" {\n  authentication {\n    token_broker {\n      private_key_file = %q\n    }\n  }\n}\n", file))
	root := d.root["demo"]
	basic := testClient{root.ClientID, root.ClientSecret}.basic()
	first := d.post("demo", "/v1/oauth/tokens", "", "grant_type=client_credentials&client_id="+root.ClientID+"&client_secret="+root.ClientSecret+"&scope=catalog")
	refresh := func(token string) string {
		return "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&scope=catalog&subject_token=" + token + "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
	}
	second := d.post("demo", "/v1/oauth/tokens", "Bearer "+first.token(), refresh(first.token()))
	expired := aged(t, second.token(), key)
	if a := d.check("demo", expired); a.reason() != "token_expired" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := d.post("demo", "/v1/oauth/tokens", "Bearer "+expired, refresh(expired)); a.status != http.StatusBadRequest || a.body["error"] != "invalid_request" {
		t.Errorf("an expired token as Bearer: %d %s", a.status, a.text)
	}
	third := d.post("demo", "/v1/oauth/tokens", basic, refresh(expired))
	for i, a := range []answer{first, second, third} {
		if a.status != http.StatusOK || a.token() == "" || a.body["token_type"] != "Bearer" || a.body["issued_token_type"] != accessTokenType || a.body["expires_in"] == nil {
			t.Errorf("%d: %d %s", i+1, a.status, a.text)
		}
	}
	if a := d.check("demo", third.token()); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// aged gives a token as it would be had it expired, signed with the realm's own key.
func aged(t *testing.T, token string, key *rsa.PrivateKey) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	claims["iat"], claims["exp"] = time.Now().Add(-2*time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	out, err := parsed.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A relying party finds the keys by discovery and verifies our tokens by itself.
func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	d := start(t, `
realm "a" {
  audience = ["lake", "pond"]
}
realm "b" {}
realm "quiet" {
  authentication {
    token_service {
      type = "disabled"
    }
  }
}
`)
	issuer := d.url + "/realms/a"
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	if provider.Endpoint().TokenURL != issuer+"/v1/oauth/tokens" {
		t.Errorf("%+v", provider.Endpoint())
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "lake"})
	token := d.rootToken("a")
	got, err := verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Name  string `json:"principal_name"`
		Realm string `json:"realm"`
	}
	if err := got.Claims(&claims); err != nil || claims.Name != "root" || claims.Realm != "a" || got.Subject == "" || time.Until(got.Expiry) > time.Hour+time.Second {
		t.Errorf("%+v %+v %v", got, claims, err)
	}
	for what, token := range map[string]string{"a token of another realm": d.rootToken("b"), "a damaged one": damaged(token)} {
		if _, err := verifier.Verify(t.Context(), token); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if _, err := provider.Verifier(&oidc.Config{ClientID: "puddle"}).Verify(t.Context(), token); err == nil {
		t.Error("another audience is accepted")
	}

	var texts []string
	for _, path := range []string{"/realms/a/.well-known/openid-configuration", "/realms/a/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/realms/a"} {
		a := d.get(path)
		if a.status != http.StatusOK || a.body["issuer"] != issuer || a.body["jwks_uri"] != issuer+"/v1/jwks" || a.header.Get("ETag") == "" {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
		texts = append(texts, a.text)
	}
	if texts[0] != texts[1] || texts[1] != texts[2] || strings.Contains(texts[0], "attacker") {
		t.Errorf("%q", texts)
	}
	keys := d.get("/realms/a/v1/jwks")
	if keys.status != http.StatusOK || !strings.HasPrefix(keys.header.Get("Cache-Control"), "public, max-age=") || strings.Contains(keys.text, `"d"`) {
		t.Errorf("%d %v %s", keys.status, keys.header, keys.text)
	}
	for _, path := range []string{"/realms/quiet/v1/jwks", "/realms/quiet/.well-known/openid-configuration"} {
		if a := d.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
}

// A realm with an issuer of its own is discovered on its host; its endpoints stay below public_url. Keys that are shared
// secrets are not published.
func TestIssuerOfItsOwn(t *testing.T) {
	t.Parallel()
	d := prepare(t, t.TempDir(), `
secret_store "vars" {
  type      = "env"
  variables = ["SHARED_KEY"]
}
realm "shared" {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:vars:SHARED_KEY"
    }
  }
}
realm "a" {
  issuer = "https://issuer.example/deep"
  hosts  = ["issuer.example"]
}
realm "outside" {
  tenant = "idp"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
tenant "idp" {
  identity_provider {
    type     = "oidc"
    issuer   = "http://127.0.0.1:1"
    audience = ["x"]
  }
  principal_mapper {
    name_claim_path = "sub"
  }
}
`)
	d.run("SHARED_KEY=" + strings.Repeat("k", 40))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/.well-known/openid-configuration", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "issuer.example"
	a := d.do(req)
	if a.status != http.StatusOK || a.body["issuer"] != "https://issuer.example/deep" || a.body["token_endpoint"] != d.url+"/realms/a/v1/oauth/tokens" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := d.get("/realms/shared/.well-known/openid-configuration"); a.status != http.StatusOK || a.body["jwks_uri"] != nil || a.body["token_endpoint"] == nil {
		t.Errorf("a shared secret: %d %s", a.status, a.text)
	}
	if a := d.get("/realms/shared/v1/jwks"); a.status != http.StatusNotFound || strings.Contains(a.text, "kkk") {
		t.Errorf("the keys of a shared secret: %d %s", a.status, a.text)
	}
	for path, status := range map[string]int{"/v1/jwks": 404, "/.well-known/openid-configuration": 404, "/v1/oauth/revoke": 501, "/v1/oauth/introspect": 501} {
		method := http.MethodGet
		if status == 501 {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, d.url+"/realms/outside"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := d.do(req); a.status != status {
			t.Errorf("external, %s: %d %s", path, a.status, a.text)
		}
	}
}

// Python's standard library, as a client that nobody here wrote.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	python := need.Command(t, "python3")
	d := start(t, "realm \"demo\" {}\n")
	root := d.root["demo"]
	cmd := exec.Command(python, filepath.Join(buildtest.Root(t), "host", "cmd", "realmgate", "testdata", "client.py"), d.url+"/realms/demo", root.ClientID, root.ClientSecret)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all good") {
		t.Errorf("%v\n%s", err, out)
	}
}
