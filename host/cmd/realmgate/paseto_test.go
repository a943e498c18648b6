package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

// pasetoKey is a private key in PKCS #8 and PEM, which the example's broker takes.
func pasetoKey(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// pasetoBinary has no name by which other tests would find it.
func pasetoBinary(t *testing.T) string {
	return buildtest.Command(t, "examples/realmgate-plugin-paseto", "paseto-broker")
}

// The example's broker passes the suite where its key is one.
func TestVerifyThirdPartyBroker(t *testing.T) {
	t.Parallel()
	const ref = "urn:realmgate-secret:files:paseto.pem"
	written, err := json.Marshal(map[string]any{
		"kind": "token-broker", "type": "paseto", "settings": map[string]string{"private_key": ref}, "secrets": map[string]string{ref: string(pasetoKey(t))},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "case.json")
	if err := os.WriteFile(file, written, 0o600); err != nil {
		t.Fatal(err)
	}
	v, code := verifyBy(t, unraced(t), "--case", file, pasetoBinary(t))
	if code != 0 || v.Failed+v.Skipped > 0 || v.OK < 20 {
		t.Errorf("exit code %d: %+v", code, v)
	}
}

// The example's broker issues the tokens of a realm and verifies them, by the configuration that comes with it; its key comes
// out of a secret store.
func TestThirdPartyBroker(t *testing.T) {
	t.Parallel()
	secrets := t.TempDir()
	if err := os.Chmod(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "paseto.pem"), pasetoKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(buildtest.Root(t), "examples", "realmgate-plugin-paseto", "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, strings.NewReplacer(
		"/usr/local/libexec/realmgate/realmgate-plugin-paseto", pasetoBinary(t),
		"/etc/realmgate/secrets", secrets,
	).Replace(string(example)))
	token := d.rootToken("acme")
	if !strings.HasPrefix(token, "v4.public.") {
		t.Fatal("the token is not the example's")
	}
	if a := d.check("acme", token); a.status != http.StatusOK || a.header.Get("Realmgate-Principal") != "root" {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	if a := d.check("acme", token[:20]+"AAAA"+token[24:]); a.status != http.StatusUnauthorized || a.reason() != "signature_invalid" {
		t.Errorf("a changed token: %d %s", a.status, a.text)
	}
}
