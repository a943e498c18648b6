package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/internal/vaulttest"
)

// listener hears what secret ids go to a server.
type listener struct {
	*httptest.Server
	mu  sync.Mutex
	ids []string
}

func newListener(t *testing.T, to string) *listener {
	t.Helper()
	at, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, through := &listener{}, httputil.NewSingleHostReverseProxy(at)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		var body struct {
			SecretID string `json:"secret_id"`
		}
		if json.Unmarshal(raw, &body) == nil && body.SecretID != "" {
			l.mu.Lock()
			l.ids = append(l.ids, body.SecretID)
			l.mu.Unlock()
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

// With whatever the daemon logs in, well or in vain, it and its plugins leave no trace of it.
func TestLoginsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	pem := ecKey(t)
	w.Do(t, http.MethodPost, "kv/broker", map[string]any{"pem": pem})
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	role := w.approle(t, "gate", nil)
	pod := w.podToken(t)
	key, public := newSigner(t)
	w.Do(t, http.MethodPost, "sys/auth/jwt", map[string]any{"type": "jwt"})
	w.Do(t, http.MethodPost, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": []string{public}, "bound_issuer": "https://ci.example.com"})
	w.Do(t, http.MethodPost, "auth/jwt/role/ci", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "p", "token_ttl": "1h"})
	job := signJWT(t, key, jwt.MapClaims{"iss": "https://ci.example.com", "sub": "build-7", "aud": "vault", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	token, revoked := w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"}), w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"})
	w.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": revoked})
	wrap := func() string { return w.Wrap(t, http.MethodPost, "auth/approle/role/gate/secret-id", nil) }
	wrapped, used := wrap(), wrap()
	if status := w.Status(t, http.MethodPost, "sys/wrapping/unwrap", used); status != http.StatusOK {
		t.Fatal(status)
	}
	known := map[string]string{"wrapped": wrapped, "used": used, "job": job, "token": token, "revoked": revoked, "pod": pod}
	dir := t.TempDir()
	for name, value := range known {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	door := newListener(t, w.URL)
	config := bootstrap(t, known)
	for name, x := range map[string]string{
		"wrapped":            fmt.Sprintf("approle {\n  role_id = %q\n  role_name = \"gate\"\n  wrapped = true\n  secret_id = \"urn:realmgate-secret:bootstrap:wrapped\"\n}", role),
		"wrapped-refused":    fmt.Sprintf("approle {\n  role_id = %q\n  role_name = \"gate\"\n  wrapped = true\n  secret_id = \"urn:realmgate-secret:bootstrap:used\"\n}", role),
		"jwt":                "jwt {\n  role = \"ci\"\n  token = \"urn:realmgate-secret:bootstrap:job\"\n}",
		"jwt-refused":        "jwt {\n  role = \"none\"\n  token = \"urn:realmgate-secret:bootstrap:job\"\n}",
		"kubernetes":         fmt.Sprintf("kubernetes {\n  role = \"gate\"\n  token_file = %q\n}", filepath.Join(dir, "pod")),
		"kubernetes-refused": fmt.Sprintf("kubernetes {\n  role = \"none\"\n  token_file = %q\n}", filepath.Join(dir, "pod")),
		"token":              "token = \"urn:realmgate-secret:bootstrap:token\"",
		"token-refused":      "token = \"urn:realmgate-secret:bootstrap:revoked\"",
		"file":               fmt.Sprintf("token_file = %q", filepath.Join(dir, "token")),
		"file-refused":       fmt.Sprintf("token_file = %q", filepath.Join(dir, "revoked")),
	} {
		config += fmt.Sprintf("secret_store %q {\n  type = \"vault\"\n  address = %q\n  max_age = \"PT0S\"\n%s\n}\nrealm %[1]q {\n  authentication {\n    token_broker {\n"+
			"      type = \"key-pair\"\n      private_key = \"urn:realmgate-secret:%[1]s:kv/broker#pem\"\n    }\n  }\n}\n", name, door.URL, x)
	}
	g := newGate(t, config)
	g.Start()
	for _, name := range []string{"job", "pod"} {
		known["the signature of "+name] = known[name][strings.LastIndexByte(known[name], '.')+1:]
	}
	known["a token of the server"], known["the key"] = "hvs.", strings.Split(pem, "\n")[1]
	g.leavesNoTraceOf(known)
	for _, name := range []string{"wrapped", "jwt", "kubernetes", "token", "file"} {
		if a := g.check(name, g.Token(name)); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.Status, a.Text)
		}
		if !g.fails(name + "-refused") {
			t.Errorf("%s-refused is not unavailable", name)
		}
		g.explains(name+"-refused", "urn:realmgate-secret:"+name+"-refused:kv/broker#pem: plugin vault: secret-resolver(vault): login: ")
	}
	door.mu.Lock()
	defer door.mu.Unlock()
	if len(door.ids) == 0 {
		t.Fatal("no secret id went to the server")
	}
	for i, id := range door.ids {
		known[fmt.Sprintf("secret id %d", i)] = id
	}
}
