package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/sdk"
)

// bound is a token broker that denies with the client certificate that it was given.
type bound struct{ witness }

func (bound) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	c, err := x509.ParseCertificate(r.PeerCertificate)
	if err != nil {
		return sdk.Credential{}, sdk.Deny("no_certificate", "there is no certificate")
	}
	return sdk.Credential{}, sdk.Deny("bound_to_another", "the token is not bound to %s", c.Subject)
}

// identified is a certificate with its key.
type identified struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certify makes a certificate of an authority, or that of the authority if there is none yet.
func certify(t *testing.T, name string, by *identified) *identified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: by == nil,
	}
	if by == nil {
		by = &identified{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &identified{c, key}
}

// file writes the certificate, and the key where it is wanted.
func (i *identified) file(t *testing.T, withKey bool) string {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
	if withKey {
		der, err := x509.MarshalPKCS8PrivateKey(i.key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	path := filepath.Join(t.TempDir(), i.cert.Subject.CommonName+".pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A part that looks at the client certificate gets it as at the door; that nobody has proven to have its key is said, and which
// listener would take it.
func TestExplainWithAClientCertificate(t *testing.T) {
	clients, strangers := certify(t, "clients", nil), certify(t, "strangers", nil)
	alice, mallory := certify(t, "alice", clients), certify(t, "mallory", strangers)
	dir, address := t.TempDir(), freeAddress(t)
	serverCA := selfSigned(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	d := prepare(t, dir, "listener \"main\" {\n  address = \"ADDRESS\"\n}\nlistener \"mutual\" {\n  address = \""+address+"\"\n  tls {\n    cert_file = \"cert.pem\"\n    key_file = \"key.pem\"\n    client_ca_file = \""+
		clients.file(t, false)+"\"\n  }\n}\nplugin \"witness\" {\n  path = \""+testPlugin(t, "witness")+"\"\n}\nrealm \"bound\" {\n  authentication {\n    token_broker {\n      type = \"bound\"\n    }\n  }\n}\n")
	d.url = strings.Replace(d.url, "https:", "http:", 1) // of the listener main
	d.run()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/realms/bound/v1/check", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer some-token")
	door := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: serverCA, Certificates: []tls.Certificate{{Certificate: [][]byte{alice.cert.Raw}, PrivateKey: alice.key}},
	}}}
	resp, err := door.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	got, text := d.explained("some-token", "-r", "bound", "--client-certificate", alice.file(t, false))
	if got.Status != resp.StatusCode || got.Reason != resp.Header.Get("Realmgate-Reason") || got.Reason != "bound_to_another" || !strings.Contains(got.Summary, "not bound to CN=alice") {
		t.Errorf("the door says %d %s\n%s", resp.StatusCode, resp.Header.Get("Realmgate-Reason"), text)
	}
	c := got.Certificate
	if c == nil || c.Subject != "CN=alice" || c.Issuer != "CN=clients" || c.Possession != "not_proven" || !listensTo(c, "mutual") || listensTo(c, "main") {
		t.Errorf("%+v", c)
	}
	if read := string(got.Routes[0].Stages[0].Read); !strings.Contains(read, `"client_certificate": "CN=alice"`) {
		t.Errorf("the stage was given %s", read)
	}
	people, err := d.tryExplain("some-token", "-r", "bound", "--client-certificate", mallory.file(t, false))
	if err != nil || !strings.Contains(people, "was not proven") || !strings.Contains(people, "listener mutual does not take it: x509: ") || !strings.Contains(people, "listener main does not take it: it serves no TLS") {
		t.Errorf("%v\n%s", err, people)
	}
	if got, text := d.explained("some-token", "-r", "bound"); got.Reason != "no_certificate" || got.Certificate != nil {
		t.Errorf("%s", text)
	}
	for path, want := range map[string]string{alice.file(t, true): "private key", filepath.Join(dir, "cert.pem") + "x": "no such file", filepath.Join(dir, "config.hcl"): "no certificate"} {
		if out, err := d.tryExplain("some-token", "-r", "bound", "--client-certificate", path); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
	cl := admin.NewClient(filepath.Join(dir, "admin.sock"))
	_, err = cl.Explain(t.Context(), admin.ExplainRequest{Realm: "bound", Token: "some-token", ClientCertificate: "nonsense"})
	if err == nil || !strings.Contains(err.Error(), "client_certificate") {
		t.Errorf("%v", err)
	}
}

func listensTo(c *admin.ExplainedCertificate, name string) bool {
	for _, l := range c.Listeners {
		if l.Name == name {
			return l.Takes
		}
	}
	return false
}
