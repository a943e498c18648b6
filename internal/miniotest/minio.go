package miniotest

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/need"
)

// Version is the one that .ci/lib.sh pins.
const Version = "v0.0.0-20260212201848-7aac2a2c5b7c"

// readyTimeout bounds the start; a second is usual.
const readyTimeout = time.Minute

// Region is the server's.
const Region = "us-east-1"

// Server is a running MinIO on a loopback port.
type Server struct {
	URL       string // of S3 and STS alike, e.g. http://127.0.0.1:40123
	AccessKey string // of the one user, who may do everything
	SecretKey string

	dir     string
	address string
	env     []string
	cmd     *exec.Cmd
	log     *capture.Buffer
}

// Start runs a server until the test ends. env are further variables of its process, e.g. those of an OpenID provider.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("miniotest: %v", err)
	}
	s := &Server{AccessKey: "AKIDMINIO", SecretKey: rand.Text(), dir: t.TempDir(), address: l.Addr().String(), env: env, log: &capture.Buffer{}}
	s.URL = "http://" + s.address
	if err := l.Close(); err != nil {
		t.Fatalf("miniotest: %v", err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() && s.log.String() != "" {
			t.Logf("miniotest: the server's log:\n%s", s.log)
		}
	})
	s.Resume(t)
	return s
}

// Stop ends the server; what it keeps stays.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // "killed" is no news
		s.cmd = nil
	}
}

// Resume starts the server, on the same port and with what it kept.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	cmd := exec.Command(binary(t), "server", s.dir, "--address", s.address, "--quiet")
	cmd.Env = append([]string{
		"HOME=" + s.dir, "MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
	}, s.env...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("miniotest: %v", err)
	}
	s.cmd = cmd
	for began := time.Now(); !s.answers("/minio/health/ready", http.StatusOK) || !s.answers("/miniotest/", http.StatusForbidden); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > readyTimeout {
			t.Fatalf("miniotest: not ready after %v\n%s", readyTimeout, s.log)
		}
	}
}

// answers says whether an anonymous request is answered in this way. A server that is called ready may still answer 503 to
// everybody where S3 is meant; later an anonymous caller is refused.
func (s *Server) answers(path string, status int) bool {
	answer, err := http.Get(s.URL + path)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == status
}

// binary gives the path of the server's program.
func binary(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME") // as the script has it, on every system
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	path := filepath.Join(cache, "realmgate", "tools", "minio-"+Version, "minio")
	if _, err := os.Stat(path); err != nil {
		need.Missing(t, "the MinIO server is not built (some minutes, once): run .ci/minio")
	}
	return path
}
