package iceberg

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const readyTimeout = time.Minute

// gate is the daemon as a client sees it.
type gate struct {
	realmURL   string // http://HOST/realms/REALM
	credential string // id:secret
}

// start gives the daemon of the environment, or one of its own that ends with the test.
func start(t *testing.T) gate {
	t.Helper()
	realm := os.Getenv("REALMGATE_REALM")
	if realm == "" {
		realm = "demo"
	}
	if url := os.Getenv("REALMGATE_URL"); url != "" {
		return gate{realmURL: url + "/realms/" + realm, credential: os.Getenv("REALMGATE_CREDENTIAL")}
	}
	bin := os.Getenv("REALMGATE_BIN")
	if bin == "" {
		bin = t.TempDir()
		build(t, bin, "realmgate", "./host/cmd/realmgate")
		build(t, bin, "realmgate-plugin-default", "./plugins/default/realmgate-plugin-default")
	}
	dir, address := t.TempDir(), freeAddress(t)
	url := "http://" + address
	config := fmt.Sprintf(`public_url = %q
plugin_dir = %q
listener "main" {
  address = %q
}
admin {
  socket = "admin.sock"
}
directory {
  path = "data/realmgate.db"
}
authentication {
  type = "internal"
  token_broker {
    type = "rsa-key-pair"
  }
}
realm %q {
}
`, url, bin, address, realm)
	if err := os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, filepath.Join(bin, "realmgate"), dir, url)
	return gate{realmURL: url + "/realms/" + realm, credential: rootCredential(t, dir, realm)}
}

// build builds a command of the workspace above this module.
func build(t *testing.T, bin, name, pkg string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(root, "go.work"), "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// serve starts the daemon and returns when it is ready.
func serve(t *testing.T, command, dir, url string) {
	t.Helper()
	log := &lockedBuffer{}
	cmd := exec.Command(command, "serve", "--config", "config.hcl")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-done
			t.Error("the daemon does not end after SIGTERM")
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", log)
		}
	})
	deadline := time.After(readyTimeout)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-done:
			t.Fatalf("the daemon ended:\n%s", log)
		case <-deadline:
			t.Fatalf("the daemon is not ready in %s:\n%s", readyTimeout, log)
		case <-tick.C:
		}
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			tick.Stop()
			return
		}
	}
}

// rootCredential reads what the daemon leaves for its operator on a first start without a terminal.
func rootCredential(t *testing.T, dir, realm string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "data", "root-credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Realms map[string]struct {
			ClientID     string `json:"client_id"`
			ClientSecret string `json:"client_secret"`
		} `json:"realms"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	root, ok := file.Realms[realm]
	if !ok {
		t.Fatalf("no root credentials of realm %s", realm)
	}
	return root.ClientID + ":" + root.ClientSecret
}

// lockedBuffer holds the daemon's log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String gives the log so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
