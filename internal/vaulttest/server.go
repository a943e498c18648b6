package vaulttest

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/capture"
)

// readyTimeout bounds a start; a tenth of a second is usual.
const readyTimeout = time.Minute

// Server is a running Vault on a loopback port.
type Server struct {
	URL   string
	Token string // the root token
	*Authority

	address string
	args    []string
	dir     string
	unseal  string // the one key; empty in dev mode
	http    *http.Client
	cmd     *exec.Cmd
	log     *capture.Buffer
}

// Dev runs a server in dev mode until the test ends: plain HTTP, unsealed, all in memory, a KV store of version 2 at secret/.
func Dev(t testing.TB) *Server {
	t.Helper()
	s := newServer(t, "http")
	s.Token = "root-" + rand.Text()
	s.args = []string{"server", "-dev", "-dev-no-store-token", "-dev-listen-address=" + s.address, "-dev-root-token-id=" + s.Token}
	s.Resume(t)
	s.await(t, http.StatusOK)
	return s
}

// Start runs a server as it is run for real until the test ends: with TLS, its storage in files, sealed whenever it starts.
// It is initialised and unsealed.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, false)
}

// StartMutual is [Start] with a server that talks to nobody without a client certificate of its [Authority].
func StartMutual(t testing.TB) *Server {
	t.Helper()
	return start(t, true)
}

func start(t testing.TB, mutual bool) *Server {
	t.Helper()
	s := newServer(t, "https")
	s.Authority = NewAuthority(t)
	cert, key := s.ServerCertificate(t)
	s.http.Transport = &http.Transport{TLSClientConfig: s.clientTLS(t)}
	config := fmt.Sprintf(`storage "file" {
  path = %q
}
listener "tcp" {
  address       = %q
  tls_cert_file = %q
  tls_key_file  = %q
  tls_require_and_verify_client_cert = %t
  tls_client_ca_file = %q
}
disable_mlock = true
api_addr      = %q
`, filepath.Join(s.dir, "storage"), s.address, cert, key, mutual, s.CAFile, s.URL)
	path := filepath.Join(s.dir, "vault.hcl")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatalf("vaulttest: %v", err)
	}
	s.args = []string{"server", "-config=" + path}
	s.Resume(t)
	s.await(t, http.StatusNotImplemented)
	var made struct {
		Keys  []string `json:"keys"`
		Token string   `json:"root_token"`
	}
	s.call(t, http.MethodPut, "sys/init", "", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made)
	s.unseal, s.Token = made.Keys[0], made.Token
	s.Unseal(t)
	return s
}

func newServer(t testing.TB, scheme string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("vaulttest: %v", err)
	}
	s := &Server{address: l.Addr().String(), dir: t.TempDir(), log: &capture.Buffer{}, http: &http.Client{Timeout: readyTimeout}}
	s.URL = scheme + "://" + s.address
	if err := l.Close(); err != nil {
		t.Fatalf("vaulttest: %v", err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() && s.log.String() != "" {
			t.Logf("vaulttest: the server's log:\n%s", s.log)
		}
	})
	return s
}

// Stop ends the server. What one of [Start] keeps stays.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // "killed" is no news
		s.cmd = nil
		s.http.CloseIdleConnections()
	}
}

// Resume starts the server on the same port: sealed, unless it is one of [Dev], which then has forgotten everything.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(Binary(t), s.args...)
	s.cmd.Env = []string{"HOME=" + s.dir, "VAULT_LOG_LEVEL=warn", "PATH=" + os.Getenv("PATH")}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		t.Fatalf("vaulttest: %v", err)
	}
	if s.unseal != "" {
		s.await(t, http.StatusServiceUnavailable)
	}
}

// Seal makes the server give up its keys: it answers nothing until [Server.Unseal].
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/seal", nil)
	s.await(t, http.StatusServiceUnavailable)
}

// Unseal ends what [Server.Seal], or a start, began.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	s.call(t, http.MethodPut, "sys/unseal", "", map[string]any{"key": s.unseal}, nil)
	s.await(t, http.StatusOK)
}

// await waits until the health endpoint answers with a status: 200 active, 501 not initialised, 503 sealed.
func (s *Server) await(t testing.TB, status int) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if answer, err := s.http.Get(s.URL + "/v1/sys/health"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == status {
				return
			}
		}
		if time.Since(began) > readyTimeout {
			t.Fatalf("vaulttest: not in the state %d after %v\n%s", status, readyTimeout, s.log)
		}
	}
}
