package vault

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/internal/miniotest"
	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/internal/vaulttest"
)

// everything is a daemon whose secrets are all in a real server. The realm whole has there the key of its broker, its client
// secret at the OpenID provider, the keys of its identity towards AWS, and what its connections keep; the tokens of the realm
// signed are signed by a key of a transit engine; the realm people takes tokens of the server.
type everything struct {
	*gate
	vault  *world
	idp    *oidctest.Provider
	minio  *miniotest.Server
	secret map[string]string // what must be found nowhere, by name
}

func newEverything(t *testing.T) *everything {
	t.Helper()
	e := &everything{vault: newWorld(t, vaulttest.Start(t)), minio: miniotest.Start(t), idp: oidctest.Start(t, oidctest.Options{})}
	v := e.vault
	v.Do(t, http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	v.Do(t, http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"})
	v.newKey(t, "realm1", "ecdsa-p256")
	eventually(t, "the key-value engine is ready", func() bool { return v.Status(t, http.MethodGet, "kv/config", v.Token) == http.StatusOK })
	pem := ecKey(t)
	v.Do(t, http.MethodPost, "kv/data/operator/broker", map[string]any{"data": map[string]any{"pem": pem}})
	v.Do(t, http.MethodPost, "kv/data/operator/idp", map[string]any{"data": map[string]any{"secret": e.idp.ClientSecret}})
	v.Do(t, http.MethodPost, "kv/data/operator/aws", map[string]any{"data": map[string]any{"access_key_id": e.minio.AccessKey, "secret_access_key": e.minio.SecretKey}})
	v.Policy(t, "realmgate", `
path "kv/data/operator/*"     { capabilities = ["read"] }
path "kv/data/whole/*"        { capabilities = ["create", "read", "update"] }
path "kv/metadata/whole/*"    { capabilities = ["delete"] }
path "transit/keys/realm1"    { capabilities = ["read"] }
path "transit/sign/realm1"    { capabilities = ["update"] }
path "identity/entity/id/*"   { capabilities = ["read"] }
`)
	v.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	role := v.approle(t, "realmgate", map[string]any{"token_policies": "realmgate", "token_ttl": "20s"})
	secretID := v.secretID(t, "realmgate")
	e.secret = map[string]string{
		"the broker's key": strings.Split(pem, "\n")[1], "the client secret at the provider": e.idp.ClientSecret, "the keys for AWS": e.minio.SecretKey,
		"the secret id": secretID, "the root token": v.Token, "a token of the server": "hvs.", "the connection's secret": "canary-" + rand.Text(),
	}
	reach := fmt.Sprintf(`
    address = %q
    ca_file = %q
    timeout = "PT2S"
    max_retries = 1
    approle {
      role_id   = %q
      secret_id = "urn:realmgate-secret:bootstrap:secret-id"
    }`, v.URL, v.CAFile, role)
	e.gate = newGate(t, bootstrap(t, map[string]string{"secret-id": secretID})+fmt.Sprintf(`
secret_store "vault" {
  type    = "vault"
  max_age = "PT2S"
  %[1]s
  grant {
    realm  = "whole"
    prefix = "kv/whole/"
  }
}
credential_vendor "SIGV4" {
  type         = "sigv4"
  sts_endpoint = %[2]q
}
connections {
  manage_roles = ["service_admin"]
  use_roles    = ["service_admin", "reader"]
}
realm "plain" {}
realm "signed" {
  authentication {
    token_broker {
      type          = "vault-transit"
      key           = "realm1"
      refresh       = "PT1S"
      publish_ahead = "PT4S"
      %[1]s
    }
  }
}
realm "whole" {
  tenant = "idp"
  authentication {
    type = "mixed"
    token_broker {
      type        = "key-pair"
      private_key = "urn:realmgate-secret:vault:kv/operator/broker#pem"
    }
  }
  service_identity "aws_iam" {
    iam_arn     = "arn:aws:iam::123456789012:user/realmgate"
    credentials = "urn:realmgate-secret:vault:kv/operator/aws"
  }
  connections {
    secret_store  = "vault"
    secret_prefix = "kv/whole/"
  }
}
realm "people" {
  tenant = "vault"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
tenant "idp" {
  identity_provider {
    type            = "introspection"
    endpoint        = %[3]q
    client_id       = %[4]q
    client_secret   = "urn:realmgate-secret:vault:kv/operator/idp#secret"
    audience        = [%[5]q]
    role_claim_path = "roles"
    max_age         = "PT0S"
  }
  principal_mapper {
    type            = "default"
    name_claim_path = "client_id"
  }
  principal_roles_mapper {
    type = "default"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
tenant "vault" {
  identity_provider {
    type       = "vault-token"
    auth_paths = ["auth/userpass/"]
    max_age    = "PT0S"
    %[1]s
  }
  principal_mapper {
    type            = "default"
    name_claim_path = "entity_name"
  }
  principal_roles_mapper {
    type = "default"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
`, reach, e.minio.URL, e.idp.IntrospectionURL, e.idp.ClientID, e.idp.Audience))
	return e
}

// opaque gets a token of the OpenID provider that only it understands.
func (e *everything) opaque() string {
	e.t.Helper()
	return e.idp.Token(e.t, oidctest.TokenOptions{Opaque: true, Claims: map[string]any{"roles": []string{"reader"}}})
}

// lakehouse is a connection that a role is taken on for.
const lakehouse = `{"name":"lake","connectionConfigInfo":{"connectionType":"ICEBERG_REST","uri":"https://203.0.113.7/api","authenticationParameters":` +
	`{"authenticationType":"SIGV4","roleArn":"arn:aws:iam::123456789012:role/catalog","signingRegion":"us-east-1"}}}`

func TestEndToEnd(t *testing.T) {
	t.Parallel()
	e := newEverything(t)
	user := newUser(t, e.vault)
	// The server is away when the daemon starts: what needs it is unavailable, and nothing else.
	e.vault.Stop()
	e.Start()
	e.leavesNoTraceOf(e.secret)
	if a := e.check("plain", e.Token("plain")); a.Status != http.StatusOK {
		t.Errorf("the realm that needs no server: %d %s", a.Status, a.Text)
	}
	for realm, token := range map[string]string{"signed": "x.y.z", "whole": e.opaque(), "people": user} {
		want := http.StatusServiceUnavailable
		if realm == "signed" {
			want = http.StatusUnauthorized // what is not a token of the realm is known without a key
		}
		if a := e.check(realm, token); a.Status != want {
			t.Errorf("%s, while the server is away: %d %s", realm, a.Status, a.Text)
		}
	}
	if a := e.Issue("signed"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a token, while the server is away: %d %s", a.Status, a.Text)
	}
	// It comes back, sealed at first, and all recovers by itself.
	e.vault.Resume(t)
	e.vault.Unseal(t)
	for _, realm := range []string{"signed", "whole"} {
		eventually(t, realm+" recovers", func() bool { return e.Issue(realm).Status == http.StatusOK })
		if a := e.check(realm, e.Token(realm)); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", realm, a.Status, a.Text)
		}
	}
	eventually(t, "the realm of the server's tokens recovers", func() bool { return e.check("people", user).Status == http.StatusOK })
	if a := e.check("people", "hvs."+rand.Text()); a.Status != http.StatusUnauthorized {
		t.Errorf("a made up token of the server: %d %s", a.Status, a.Text)
	}
	e.rotation(t)
	e.threeReferences(t)
	e.connections(t)
	e.gone(t)
	if len(e.processes()) != 4 {
		t.Errorf("not the daemon and three plugins: %v", e.processes())
	}
}

// newUser gives a token of a user of the server.
func newUser(t *testing.T, w *world) string {
	t.Helper()
	w.Do(t, http.MethodPost, "sys/auth/userpass", map[string]any{"type": "userpass"})
	w.Do(t, http.MethodPost, "auth/userpass/users/alice", map[string]any{"password": "p", "token_policies": "ops", "token_ttl": "1h"})
	return w.logIn(t, "alice")
}

// rotation: a rotation in the server refuses no token.
func (e *everything) rotation(t *testing.T) {
	t.Helper()
	first := e.Token("signed")
	e.vault.rotate(t, "realm1")
	eventually(t, "the new version signs", func() bool {
		token := e.Token("signed")
		for _, x := range []string{first, token} {
			if a := e.check("signed", x); a.Status != http.StatusOK {
				t.Fatalf("a token is refused through a rotation: %d %s", a.Status, a.Text)
			}
		}
		return kid(t, token) != kid(t, first)
	})
	keys := e.Ask(http.MethodGet, "/realms/signed/v1/jwks", "", "", "")
	if !strings.Contains(keys.Text, kid(t, first)) {
		t.Errorf("the former version is not published: %d %s", keys.Status, keys.Text)
	}
}

// threeReferences: tokens of the realm itself, whose key is in the server, and of the provider, for which a client secret is
// there, are known; who has either takes a role on at a real STS, with keys that are there; a real S3 takes what comes of it.
func (e *everything) threeReferences(t *testing.T) {
	t.Helper()
	root := e.Token("whole")
	e.Principal("whole", e.idp.ClientID, "reader")
	if a := e.connection(http.MethodPost, "whole", "", root, lakehouse); a.Status != http.StatusCreated {
		t.Fatalf("create: %d %s", a.Status, a.Text)
	}
	for token, want := range map[string]string{root: "root service_admin", e.opaque(): e.idp.ClientID + " reader"} {
		who, roles := e.check("whole", token).Who()
		if who+" "+roles != want {
			t.Errorf("%s %s, want %s", who, roles, want)
		}
		a := e.connection(http.MethodPost, "whole", "/lake/credentials", token, "{}")
		if a.Status != http.StatusOK || strings.Contains(a.Text, e.minio.SecretKey) {
			t.Errorf("%s takes a role on: %d %s", who, a.Status, a.Text)
			continue
		}
		keys, _ := a.Body["properties"].(map[string]any)
		at := func(name string) string { v, _ := keys["s3."+name].(string); return v }
		for _, x := range []struct {
			keys aws.Credentials
			want int
		}{
			{aws.Credentials{AccessKeyID: at("access-key-id"), SecretAccessKey: at("secret-access-key"), SessionToken: at("session-token")}, http.StatusOK},
			{aws.Credentials{AccessKeyID: at("access-key-id"), SecretAccessKey: at("secret-access-key")}, http.StatusForbidden},
		} {
			if got := e.listBuckets(x.keys); got != x.want {
				t.Errorf("%s at S3: %d, want %d: %s", who, got, x.want, a.Text)
			}
		}
	}
}

// listBuckets gives the status of MinIO's answer.
func (e *everything) listBuckets(keys aws.Credentials) int {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.minio.URL+"/", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	nothing := sha256hex(nil)
	r.Header.Set("X-Amz-Content-Sha256", nothing)
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, r, nothing, "s3", miniotest.Region, time.Now()); err != nil {
		e.t.Fatal(err)
	}
	return e.Send(r).Status
}

// connections: secrets of a connection are written to the server and go with it, and no other one can be reached through it.
func (e *everything) connections(t *testing.T) {
	t.Helper()
	root, value := e.Token("whole"), e.secret["the connection's secret"]
	made := e.connection(http.MethodPost, "whole", "", root, fmt.Sprintf(`{"name":"glue","connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://203.0.113.7/api",`+
		`"authenticationParameters":{"authenticationType":"BEARER","bearerToken":%q}}}`, value))
	if made.Status != http.StatusCreated || strings.Contains(made.Text, value) {
		t.Fatalf("create: %d %s", made.Status, made.Text)
	}
	if a := e.connection(http.MethodPost, "whole", "/glue/credentials", root, "{}"); a.Status != http.StatusOK || !strings.Contains(a.Text, value) {
		t.Errorf("credentials: %d %s", a.Status, a.Text)
	}
	if list := e.vault.Status(t, "LIST", "kv/metadata/whole", e.vault.Token); list != http.StatusOK {
		t.Errorf("the secret is not in the server: %d", list)
	}
	if a := e.connection(http.MethodDelete, "whole", "/glue", root, ""); a.Status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.Status, a.Text)
	}
	eventually(t, "the secret goes with the connection", func() bool {
		return e.vault.Status(t, "LIST", "kv/metadata/whole", e.vault.Token) == http.StatusNotFound
	})
	b := e.connection(http.MethodPost, "whole", "", root, `{"name":"thief","connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://203.0.113.7/api",`+
		`"authenticationParameters":{"authenticationType":"BEARER","bearerTokenReference":"urn:realmgate-secret:vault:kv/operator/aws#secret_access_key"}}}`)
	if b.Status < 400 || b.Status >= 500 {
		t.Errorf("a reference to what is not the realm's: %d %s", b.Status, b.Text)
	}
}

// gone: the server goes while the daemon is at work.
func (e *everything) gone(t *testing.T) {
	t.Helper()
	signed, whole := e.Token("signed"), e.Token("whole")
	e.vault.Stop()
	for _, x := range [][2]string{{"signed", signed}, {"whole", whole}} { // their keys are known
		if a := e.check(x[0], x[1]); a.Status != http.StatusOK {
			t.Errorf("%s, while the server is away: %d %s", x[0], a.Status, a.Text)
		}
	}
	if a := e.Issue("whole"); a.Status != http.StatusOK {
		t.Errorf("a token whose key is known: %d %s", a.Status, a.Text)
	}
	if a := e.Issue("signed"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a token whose key is in the server: %d %s", a.Status, a.Text)
	}
	root := whole
	eventually(t, "a secret is unavailable after its configured life", func() bool {
		a := e.connection(http.MethodPost, "whole", "", root, strings.ReplaceAll(lakehouse, "lake", "lake"+rand.Text()[:6]))
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Text)
		}
		name, _ := a.Body["name"].(string)
		c := e.connection(http.MethodPost, "whole", "/"+name+"/credentials", root, "{}")
		if c.Status != http.StatusOK && c.Status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", c.Status, c.Text)
		}
		fmt.Fprintln(&e.said, map[bool]string{true: c.Text}[c.Status != http.StatusOK])
		return c.Status == http.StatusServiceUnavailable
	})
	e.says(t, "urn:realmgate-secret:vault:kv/operator/aws: plugin vault: secret-resolver(vault): the server cannot be reached: dial tcp ")
	for token, words := range map[string]string{whole: "kv/operator/broker#pem", e.opaque(): "kv/operator/idp#secret"} { // what read its own goes on with it
		if a := e.check("whole", token); a.Status != http.StatusOK {
			t.Errorf("%s, when it is not kept any more: %d %s", words, a.Status, a.Text)
		}
		e.says(t, "urn:realmgate-secret:vault:"+words+": plugin vault: secret-resolver(vault): the server cannot be reached: dial tcp ")
	}
	ask := func() {
		t.Helper()
		if c := e.connection(http.MethodPost, "whole", "/lake/credentials", root, "{}"); c.Status != http.StatusServiceUnavailable {
			t.Errorf("while the server is away or sealed: %d %s", c.Status, c.Text)
		}
	}
	eventually(t, "it is shown that the server is left alone", func() bool {
		ask()
		return strings.Contains(e.Operate("plugin", "list"), "vault, vault leaves "+e.vault.URL+" alone for ")
	})
	e.vault.Resume(t) // sealed, as after each start
	eventually(t, "the server is found to be sealed", func() bool {
		ask()
		return strings.Contains(e.Log.String(), "vault:kv/operator/aws: plugin vault: secret-resolver(vault): the server is sealed (status 503)")
	})
	e.vault.Unseal(t)
	eventually(t, "all recovers", func() bool {
		return e.Issue("signed").Status == http.StatusOK && e.check("whole", e.opaque()).Status == http.StatusOK &&
			e.connection(http.MethodPost, "whole", "/lake/credentials", root, "{}").Status == http.StatusOK
	})
}
