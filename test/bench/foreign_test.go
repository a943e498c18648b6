package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// foreign is an identity provider as far as its tokens are checked: an RS256 key, which it publishes.
type foreign struct {
	signer jose.Signer
	*httptest.Server
}

const audience = "bench"

func newForeign(t *testing.T) *foreign {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: string(jose.RS256), Use: "sig"}
	f := &foreign{}
	if f.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jwk}, (&jose.SignerOptions{}).WithType("at+jwt")); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(set) // whoever asked has gone
	}))
	t.Cleanup(f.Close)
	return f
}

// token makes a token like those of usual providers. No two are the same.
func (f *foreign) token(who string, roles []string) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": f.URL, "aud": audience, "sub": who, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
		"azp": "service", "sid": rand.Text(), "scope": "openid profile email", "name": "A Name", "email": who + "@example.com", "email_verified": true, "roles": roles,
	})
	if err != nil {
		return "", err
	}
	signed, err := f.signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// tenant is the configuration of a tenant with the provider.
func (f *foreign) tenant(name string) string {
	return fmt.Sprintf(`
tenant %q {
  identity_provider {
    type            = "oidc"
    issuer          = %q
    jwks_uri        = %q
    audience        = [%q]
    role_claim_path = "roles"
  }
  principal_mapper {
    name_claim_path = "sub"
  }
  principal_roles_mapper {
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
`, name, f.URL, f.URL+"/keys", audience)
}

// keyFiles makes a private key for each algorithm in a folder: RS256.pem and so on.
func keyFiles(t *testing.T, dir string) {
	t.Helper()
	for name, make := range map[string]func() (crypto.PrivateKey, error){
		"RS256": func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		"ES256": func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		"EdDSA": func() (crypto.PrivateKey, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err },
	} {
		key, err := make()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
