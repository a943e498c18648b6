package login

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate that signs itself and puts it and its key in place of those that are there.
func writePair(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "realmgate"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

// A login belongs to a certificate: another one in the files is tried although the former was refused, and has a token of its own.
func TestLoginFollowsTheCertificate(t *testing.T) {
	t.Parallel()
	const certLogin = "auth/cert/login"
	f := newFake(t)
	f.on(certLogin, says(400, "invalid certificate or no client certificate supplied"))
	certFile, keyFile := filepath.Join(t.TempDir(), "client.pem"), filepath.Join(t.TempDir(), "client.key")
	writePair(t, certFile, keyFile)
	s := f.open(t, map[string]any{"client_cert_file": certFile, "client_key_file": keyFile, "cert": map[string]any{}})
	if err := ask1(t.Context(), s); err == nil || !strings.Contains(err.Error(), "the login with the client certificate: the server answers 400") {
		t.Fatal(err)
	}
	s.change(func() { s.trouble.until = time.Now().Add(time.Hour) })
	f.on(certLogin, nil)
	time.Sleep(2 * lookEvery) // it looks so often
	if ask1(t.Context(), s) == nil {
		t.Fatal("the same certificate is tried again")
	}
	writePair(t, certFile, keyFile)
	eventually(t, "another certificate is tried", func() bool { return ask1(t.Context(), s) == nil })
	for range 3 {
		must(t, s)
	}
	if n := len(f.askedAt(certLogin)); n != 2 {
		t.Fatalf("%d logins", n)
	}
	writePair(t, certFile, keyFile)
	eventually(t, "a token of the new certificate", func() bool {
		must(t, s)
		return slices.Contains(f.askedAt("kv/x"), "t2")
	})
}
