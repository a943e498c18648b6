package node

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/need"
)

// certificate makes one as the host does, and its PEM.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Only the host that started it speaks with the plugin, and only in the way that it was started for.
func TestDoor(t *testing.T) {
	t.Parallel()
	node, plugin := need.Command(t, "node"), build(t)
	host, own := certificate(t)
	other, _ := certificate(t)
	dir := t.TempDir()
	cookie, folder := "REALMGATE_PLUGIN=realmgate.plugin.v1", "PLUGIN_UNIX_SOCKET_DIR="+dir
	for _, env := range [][]string{{folder, "PLUGIN_CLIENT_CERT=" + own}, {cookie, folder}, {cookie, "PLUGIN_CLIENT_CERT=" + own}} {
		cmd := exec.CommandContext(t.Context(), node, plugin)
		cmd.Env = env
		if out, err := cmd.Output(); err == nil || len(out) > 0 {
			t.Errorf("started without all that it needs: %v, %q", err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, plugin)
	cmd.Env = []string{cookie, folder, "PLUGIN_CLIENT_CERT=" + own}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Split(strings.TrimSpace(line), "|")
	if err != nil || len(fields) != 6 || filepath.Dir(fields[3]) != dir {
		t.Fatalf("handshake %q: %v", line, err)
	}
	der, err := base64.RawStdEncoding.DecodeString(fields[5])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(theirs)
	for name, c := range map[string]struct {
		with []tls.Certificate
		let  bool
	}{"the host": {[]tls.Certificate{host}, true}, "another": {[]tls.Certificate{other}, false}, "nobody": {nil, false}} {
		conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: "localhost", RootCAs: roots, NextProtos: []string{"h2"}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c.with) == 0 {
				return &tls.Certificate{}, nil
			}
			return &c.with[0], nil
		}}}).DialContext(t.Context(), "unix", fields[3])
		if err == nil { // with TLS 1.3 a client hears no before it reads
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if (err == nil) != c.let {
			t.Errorf("%s: %v", name, err)
		}
	}
}
