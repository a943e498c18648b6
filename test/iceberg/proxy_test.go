package iceberg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/aws/aws-sdk-go-v2/aws"
)

// signedRealm takes requests that its principals signed, and has a connection to a catalog that is protected so.
const signedRealm = `public_url = %q
plugin_dir = %q
listener "main" {
  address         = %q
  trusted_proxies = ["127.0.0.1/32"]
  forwarded       = "x-original"
}
admin {
  socket = "admin.sock"
}
directory {
  path = "data/realmgate.db"
}
secret_store "local" {
  type     = "sealed-file"
  dir      = "data/secrets"
  key_file = "data/secrets.key"
  grant {
    realm  = "demo"
    prefix = "demo/"
  }
}
connections {
  secret_store = "local"
}
tenant "keys" {
  identity_provider {
    type    = "aws-sigv4"
    region  = "eu-west-1"
    service = "execute-api"
  }
  principal_mapper {
    id_claim_path = "principal_id"
  }
}
realm "demo" {
  tenant = "keys"
  authentication {
    type = "external"
  }
}
`

// signedCatalog is a stub of a catalog that lets signed requests through only, as the daemon decides.
type signedCatalog struct {
	*httptest.Server
	mu       sync.Mutex
	realmURL string
	targets  []string // of requests that were let through, with their principal
	refused  []string
}

func newSignedCatalog(t *testing.T) *signedCatalog {
	t.Helper()
	c := &signedCatalog{}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *signedCatalog) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	who, reason := c.check(r, len(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	if who == "" || r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		c.refused = append(c.refused, r.Method+" "+r.RequestURI+" "+reason)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	c.targets = append(c.targets, who+" "+r.Method+" "+r.RequestURI)
	w.Header().Set("Content-Type", "application/json")
	path, _, _ := strings.Cut(r.RequestURI, "?")
	switch {
	case path == "/v1/config":
		_, _ = io.WriteString(w, `{"defaults": {}, "overrides": {}}`)
	case path == "/v1/namespaces" && r.Method == http.MethodGet:
		_, _ = io.WriteString(w, `{"namespaces": [["accounting"]]}`)
	case path == "/v1/namespaces":
		_, _ = w.Write(body)
	default:
		_, _ = io.WriteString(w, `{"namespace": ["x"], "properties": {"owner": "alice"}}`)
	}
}

// check asks the daemon about a request as a proxy in front of the catalog does.
func (c *signedCatalog) check(r *http.Request, length int) (who, reason string) {
	ask, err := http.NewRequestWithContext(r.Context(), r.Method, c.realmURL+"/v1/check", nil)
	if err != nil {
		return "", err.Error()
	}
	ask.Header = r.Header.Clone()
	ask.Header.Del("Content-Length")
	for k, v := range map[string]string{"Method": r.Method, "Proto": "http", "Host": r.Host, "URI": r.RequestURI, "Content-Length": strconv.Itoa(length)} {
		ask.Header.Set("X-Original-"+k, v)
	}
	if length == 0 {
		ask.Header.Del("X-Original-Content-Length")
	}
	res, err := http.DefaultTransport.RoundTrip(ask)
	if err != nil {
		return "", err.Error()
	}
	_ = res.Body.Close()
	return res.Header.Get("Realmgate-Principal"), res.Header.Get("Realmgate-Reason")
}

// startSigned runs a daemon, makes the connection lake to the catalog, with alice's access key, and runs a proxy for it on a
// socket and on a loopback address.
func startSigned(t *testing.T, c *signedCatalog) (socket, address, token string) {
	t.Helper()
	if os.Getenv("REALMGATE_URL") != "" {
		t.Skip("the daemon of the environment has another configuration")
	}
	bin := os.Getenv("REALMGATE_BIN")
	if bin == "" {
		bin = t.TempDir()
		build(t, bin, "realmgate", "./host/cmd/realmgate")
		build(t, bin, "realmgate-plugin-default", "./plugins/default/realmgate-plugin-default")
	}
	if _, err := os.Stat(filepath.Join(bin, "realmgate-plugin-aws")); err != nil {
		build(t, bin, "realmgate-plugin-aws", "./plugins/aws/realmgate-plugin-aws")
	}
	dir, at := t.TempDir(), freeAddress(t)
	c.realmURL = "http://" + at + "/realms/demo"
	if err := os.WriteFile(filepath.Join(dir, "config.hcl"), fmt.Appendf(nil, signedRealm, "http://"+at, bin, at), 0o600); err != nil {
		t.Fatal(err)
	}
	command := filepath.Join(bin, "realmgate")
	serve(t, command, dir, "http://"+at)
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(command, args...)
		var faults bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &faults
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("realmgate %s: %v\n%s", strings.Join(args, " "), err, faults.String())
		}
		return out
	}
	run("principal", "create", "-r", "demo", "alice", "--without-secret")
	var key struct{ ID, Secret string }
	if err := json.Unmarshal(run("principal", "access-key", "create", "-r", "demo", "alice", "--json"), &key); err != nil || key.ID == "" || key.Secret == "" {
		t.Fatalf("no access key: %v", err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(key.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	run("connection", "create", "-r", "demo", "lake", "--type", "ICEBERG_REST", "--uri", c.URL, "--region", "eu-west-1", "--sigv4-access-key-id", key.ID, "--secret", "@"+secret)
	address = startProxy(t, command, dir)
	raw, err := os.ReadFile(filepath.Join(dir, "p", "token"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "p", "lake.sock"), address, strings.TrimSpace(string(raw))
}

func startProxy(t *testing.T, command, dir string) (address string) {
	t.Helper()
	log := &lockedBuffer{}
	cmd := exec.Command(command, "proxy", "-r", "demo", "--dir", "p", "--connection", "lake", "--connection", "lake=127.0.0.1:0")
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
		<-done
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", log)
		}
	})
	listening := regexp.MustCompile(`at=(127\.0\.0\.1:\d+)`)
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(20 * time.Millisecond) {
		if m := listening.FindStringSubmatch(log.String()); m != nil {
			return m[1]
		}
		select {
		case <-done:
			t.Fatalf("the proxy ended:\n%s", log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the proxy is not ready:\n%s", log)
		}
	}
}

// The client has no key of the catalog, which wants SigV4; the proxy has its requests signed, whichever way the client comes.
func TestClientThroughProxy(t *testing.T) {
	c := newSignedCatalog(t)
	socket, address, token := startSigned(t, c)
	dial := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	own := aws.Config{Region: "us-east-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: token, SecretAccessKey: "any"}, nil
	})}
	for name, x := range map[string]struct {
		url     string
		options []rest.Option
	}{
		"by the socket":                    {"http://lake", []rest.Option{rest.WithCustomTransport(dial)}},
		"with the proxy's token":           {"http://" + address, []rest.Option{rest.WithOAuthToken(token)}},
		"with a signature of no key there": {"http://" + address, []rest.Option{rest.WithSigV4RegionSvc("us-east-1", "glue"), rest.WithAwsConfig(own)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.targets, c.refused = nil, nil
			client, err := rest.NewCatalog(t.Context(), "demo", x.url, x.options...)
			if err != nil {
				t.Fatalf("%v; the catalog refused %v", err, c.refused)
			}
			if got, err := client.ListNamespaces(t.Context(), nil); err != nil || len(got) != 1 || !slices.Equal(got[0], []string{"accounting"}) {
				t.Errorf("namespaces: %v %v", got, err)
			}
			if err := client.CreateNamespace(t.Context(), []string{"new"}, iceberg.Properties{"owner": "ü + x"}); err != nil {
				t.Errorf("create: %v", err)
			}
			for _, ns := range [][]string{{"a b"}, {"a+b"}, {"a:b"}, {"a/b"}, {"ሴ", "ü"}, {"one", "two"}} {
				if _, err := client.LoadNamespaceProperties(t.Context(), ns); err != nil {
					t.Errorf("%q: %v", ns, err)
				}
			}
			if len(c.refused) > 0 {
				t.Errorf("the catalog refused %q", c.refused)
			}
			for _, target := range c.targets {
				if !strings.HasPrefix(target, "alice ") {
					t.Errorf("it was somebody else: %s", target)
				}
			}
		})
	}
	c.targets, c.refused = nil, nil
	if _, err := rest.NewCatalog(t.Context(), "demo", c.URL, rest.WithSigV4RegionSvc("eu-west-1", "execute-api"), rest.WithAwsConfig(own)); err == nil || len(c.targets) > 0 {
		t.Errorf("the catalog lets the proxy's own token in: %v", c.targets)
	}
}
