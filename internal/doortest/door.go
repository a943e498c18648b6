package doortest

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
)

// Cookie is the variable without which a plugin ends.
const Cookie = "REALMGATE_PLUGIN=realmgate.plugin.v1"

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

// Refuses has a command started without all that a plugin needs: it must end with an error, and print nothing where the handshake is due.
func Refuses(t *testing.T, command []string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = env
	if out, err := cmd.Output(); err == nil || len(out) > 0 {
		t.Errorf("started without all that it needs: %v, %q", err, out)
	}
}

// Folder is the variable that names a folder for the socket.
func Folder(t *testing.T) string { return "PLUGIN_UNIX_SOCKET_DIR=" + t.TempDir() }

// HostCertificate is the variable that has a host's certificate.
func HostCertificate(t *testing.T) string {
	_, own := certificate(t)
	return "PLUGIN_CLIENT_CERT=" + own
}

// Check starts a plugin as a host does, and knocks: with the host's certificate, with another one, and with none.
func Check(t *testing.T, command []string) {
	t.Helper()
	host, own := certificate(t)
	other, _ := certificate(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = []string{Cookie, "PLUGIN_UNIX_SOCKET_DIR=" + dir, "PLUGIN_CLIENT_CERT=" + own}
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
