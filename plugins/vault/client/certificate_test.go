package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// files are those of a client certificate, in a folder of the test.
type files struct{ cert, key string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	return files{cert: filepath.Join(dir, "client.pem"), key: filepath.Join(dir, "client.key")}
}

// put makes a certificate for a name and has it take the place of what is there, as a tool does that renews it.
func (f files) put(t *testing.T, name string) {
	t.Helper()
	cert, key := pair(t, name)
	f.write(t, f.cert, cert)
	f.write(t, f.key, key)
}

func (f files) write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func (f files) settings() string {
	return fmt.Sprintf(`,"client_cert_file":%q,"client_key_file":%q`, f.cert, f.key)
}

// pair is a certificate that signs itself, and its key, in PEM.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// mutual is a server that says who its client is. Where it is asked for slow, it answers when the test has said so twice.
func mutual(t *testing.T, slow <-chan struct{}) (url, settings string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "slow") {
			<-slow // it is under way
			<-slow
		}
		fmt.Fprintf(w, `{"request_id":"r","data":{"x":%q}}`, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	s.EnableHTTP2 = true // one connection for all, as with a real server
	s.StartTLS()
	t.Cleanup(s.Close)
	ca, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	if err != nil {
		t.Fatal(err)
	}
	return s.URL, `,"ca_pem":` + string(ca)
}

func who(t *testing.T, c *Client, path string) string {
	t.Helper()
	out, err := c.Do(t.Context(), Request{Method: http.MethodGet, Path: path})
	if err != nil {
		t.Error(err)
		return ""
	}
	name, _ := out.Data["x"].(string)
	return name
}

// A certificate that takes the place of another is used from the next question on, whatever the connections of the former one do.
func TestClientCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	url, settings := mutual(t, slow)
	f := newFiles(t)
	f.put(t, "one")
	c := newClient(t, settings+f.settings(), url)
	var all sync.WaitGroup
	all.Go(func() {
		if got := who(t, c, "slow"); got != "one" {
			t.Errorf("a question that was under way is asked by %q", got)
		}
	})
	slow <- struct{}{}
	if got, again := who(t, c, "x"), c.Certificate(); got != "one" || again != c.Certificate() {
		t.Errorf("%q", got)
	}
	before := c.Certificate()
	f.put(t, "two")
	if got := who(t, c, "x"); got != "two" || c.Certificate() == before {
		t.Errorf("after the change it is %q", got)
	}
	close(slow)
	all.Wait()
	transport := c.transport.now()
	if who(t, c, "x") != "two" || c.transport.now() != transport {
		t.Error("without a change the connections are not kept")
	}
}

// While the files are in disorder the former certificate goes on.
func TestClientCertificateInDisorder(t *testing.T) {
	t.Parallel()
	url, settings := mutual(t, nil)
	f := newFiles(t)
	for what, disorder := range map[string]func(){
		"a certificate without its key": func() { cert, _ := pair(t, "two"); f.write(t, f.cert, cert) },
		"half a certificate":            func() { f.write(t, f.cert, []byte("-----BEGIN CERTIF")) },
		"no certificate":                func() { _ = os.Remove(f.cert) },
		"no key":                        func() { _ = os.Remove(f.key) },
		"a key for everybody":           func() { f.put(t, "two"); _ = os.Chmod(f.key, 0o604) },
	} {
		f.put(t, "one")
		c := newClient(t, settings+f.settings(), url)
		disorder()
		if got := who(t, c, "x"); got != "one" {
			t.Errorf("%s: it is %q", what, got)
		}
		f.put(t, "three")
		if got := who(t, c, "x"); got != "three" {
			t.Errorf("%s, and then order: it is %q", what, got)
		}
	}
}

func TestFilesOfTheClientCertificate(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		disorder func(f files) error
		want     string
	}{
		"in order":             {func(files) error { return nil }, ""},
		"a key for everybody":  {func(f files) error { return os.Chmod(f.key, 0o604) }, "is accessible to others (mode 0604)"},
		"a key of a group":     {func(f files) error { return os.Chmod(f.key, 0o640) }, ""},
		"a pipe for the key":   {func(f files) error { _ = os.Remove(f.key); return syscall.Mkfifo(f.key, 0o600) }, "client.key: it is not a regular file"},
		"a pipe":               {func(f files) error { _ = os.Remove(f.cert); return syscall.Mkfifo(f.cert, 0o600) }, "client.pem: it is not a regular file"},
		"a key of another":     {func(f files) error { _, key := pair(t, "two"); return os.WriteFile(f.key, key, 0o600) }, "are not a pair in PEM"},
		"no key":               {func(f files) error { return os.Remove(f.key) }, "no such file"},
		"a certificate of GiB": {func(f files) error { return os.Truncate(f.cert, 1<<30) }, "longer than 1048576 bytes"},
	} {
		f := newFiles(t)
		f.put(t, "one")
		if err := x.disorder(f); err != nil {
			t.Fatal(err)
		}
		var s Server
		if err := sdk.Decode([]byte(`{"address":"https://vault.example.com"`+f.settings()+`}`), &s); err != nil {
			t.Fatal(err)
		}
		_, err := New(t.Context(), s)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v, want %q", what, err, x.want)
		}
	}
}
