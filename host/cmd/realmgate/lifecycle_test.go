package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLifeOfADaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startIn(t, dir, "realm \"demo\" {}\n")
	root := d.root["demo"]
	token := d.rootToken("demo")

	info, err := os.Stat(filepath.Join(dir, "data", "root-credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the root secret: %v %v", info.Mode(), err)
	}
	for _, socket := range []string{"admin.sock"} {
		if info, err = os.Stat(filepath.Join(dir, socket)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", socket, info.Mode(), err)
		}
	}
	if strings.Contains(d.log.String(), root.ClientSecret) || strings.Contains(d.log.String(), token) {
		t.Error("the log has a secret")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := http.Get(d.url + path)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, res, err)
		}
		res.Body.Close()
	}

	t.Run("SIGHUP", func(t *testing.T) {
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return strings.Contains(d.log.String(), "SIGHUP") })
		if a := d.check("demo", token); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.text)
		}
	})
	t.Run("a second daemon on the same socket", func(t *testing.T) {
		second := exec.Command("realmgate", "serve")
		second.Dir = dir
		second.Env = append(os.Environ(), "REALMGATE_LISTENER__MAIN__ADDRESS="+freeAddress(t), "REALMGATE_AUDIT__PATH=second.log")
		out, err := second.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "admin.sock") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("SIGTERM", func(t *testing.T) {
		children := childrenOf(t, d.cmd.Process.Pid)
		if len(children) == 0 {
			t.Error("no plugin processes were seen")
		}
		if err := d.stop(); err != nil {
			t.Errorf("exit: %v", err)
		}
		for _, pid := range children {
			await(t, func() bool { return syscall.Kill(pid, 0) != nil })
		}
		if _, err := os.Stat(filepath.Join(dir, "admin.sock")); !os.IsNotExist(err) {
			t.Errorf("the admin socket is still there: %v", err)
		}
	})
	t.Run("restart", func(t *testing.T) {
		again := startIn(t, dir, "realm \"demo\" {}\n")
		if again.root["demo"].ClientSecret != root.ClientSecret {
			t.Error("the root principal was made again")
		}
		if a := again.check("demo", again.rootToken("demo")); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.text)
		}
	})
}

// A file that the daemon was started with is open in no plugin.
func TestPluginsInheritNoFiles(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := startWith(t, f, "realm \"demo\" {}\n")
	holds := func(pid int) bool {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && to == secret {
				return true
			}
		}
		return false
	}
	children := childrenOf(t, d.cmd.Process.Pid)
	if len(children) == 0 || !holds(d.cmd.Process.Pid) {
		t.Fatal("the test does not see what it is about")
	}
	for _, pid := range children {
		if holds(pid) {
			t.Errorf("process %d has it open", pid)
		}
	}
}

// systemd is told when the daemon serves and when it stops (sd_notify).
func TestNotify(t *testing.T) {
	t.Parallel()
	told, env := systemd(t)
	d := prepare(t, t.TempDir(), "realm \"demo\" {}\n")
	d.run(env)
	if got := told(); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	if err := d.stop(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if got := told(); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
}

// systemd stands in for the service manager of the daemon that has the variable, and gives what it is told next.
func systemd(t *testing.T) (told func() string, env string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return func() string {
		t.Helper()
		_ = socket.SetReadDeadline(time.Now().Add(patience))
		text := make([]byte, 256)
		n, err := socket.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}, "NOTIFY_SOCKET=" + path
}

// patience is how long a condition is waited for: the machine may have much else to do.
const patience = time.Minute

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to pass")
		}
	}
}

// childrenOf reads the process table.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("no /proc on this machine")
	}
	var out []int
	for _, f := range stats {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		var child, parent int
		var state string
		rest := string(text[strings.LastIndexByte(string(text), ')')+1:])
		if n, _ := fmt.Sscan(string(text), &child); n != 1 {
			continue
		}
		if n, _ := fmt.Sscan(rest, &state, &parent); n == 2 && parent == pid {
			out = append(out, child)
		}
	}
	return out
}

// A secret that was rotated twice, or reset, ends the tokens that it obtained; a deleted principal ends all of its own.
func TestSecretsRotateAndTokensEnd(t *testing.T) {
	t.Parallel()
	d := start(t, "realm \"demo\" {}\n")
	root := d.root["demo"]
	first := d.rootToken("demo")
	d.command("principal", "rotate", "-r", "demo", "root")
	if a := d.check("demo", first); a.status != http.StatusOK {
		t.Errorf("after one rotation both secrets are valid: %d %s", a.status, a.text)
	}
	if a := d.grant("demo", root.ClientID, root.ClientSecret, "PRINCIPAL_ROLE:ALL"); a.status != http.StatusOK {
		t.Errorf("the old secret after one rotation: %d %s", a.status, a.text)
	}
	d.command("principal", "reset", "-r", "demo", "root")
	if a := d.check("demo", first); a.status != http.StatusUnauthorized || a.reason() != "token_revoked" {
		t.Errorf("after a reset: %d %s", a.status, a.text)
	}
	if a := d.grant("demo", root.ClientID, root.ClientSecret, "PRINCIPAL_ROLE:ALL"); a.status != http.StatusUnauthorized || a.body["error"] != "invalid_client" {
		t.Errorf("the old secret after a reset: %d %s", a.status, a.text)
	}
}

// Two daemons on one directory: what one changes, the other one notices.
func TestTwoDaemonsOnOneDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key.pem")
	writeKey(t, key)
	hcl := fmt.Sprintf("realm \"demo\" {\n  issuer = \"https://gate.example/demo\"\n  authentication {\n    token_broker {\n      private_key_file = %q\n    }\n  }\n}\n", key)
	one := startIn(t, dir, hcl)
	token := one.rootToken("demo")
	two := startIn(t, t.TempDir(), "directory {\n  path = "+fmt.Sprintf("%q", filepath.Join(dir, "data", "realmgate.db"))+"\n}\n"+hcl)
	if a := two.check("demo", token); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text)
	}
	one.command("principal", "delete", "-r", "demo", "root")
	if a := one.check("demo", token); a.status != http.StatusForbidden {
		t.Errorf("where it was deleted, at once: %d %s", a.status, a.text)
	}
	await(t, func() bool { return two.check("demo", token).status == http.StatusForbidden })
}

func TestTLSListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := selfSigned(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	d := startIn(t, dir, `
realm "demo" {}
listener "main" {
  address = "ADDRESS"
  tls {
    cert_file = "cert.pem"
    key_file  = "key.pem"
  }
}
`)
	get := func(c *tls.Config) error {
		res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c}}).Get(d.url + "/healthz")
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	if err := get(&tls.Config{RootCAs: ca, MinVersion: tls.VersionTLS12}); err != nil {
		t.Error(err)
	}
	if err := get(&tls.Config{RootCAs: ca, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// selfSigned writes a certificate for 127.0.0.1 with its key, and gives a pool that trusts it.
func selfSigned(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{certFile: cert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}
