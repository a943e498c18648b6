package vault

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/plugins/vault/secrets"
	"github.com/realmgate/realmgate/sdk"
)

func TestMain(m *testing.M) {
	// The tests wait for leases and logins to end more than they compute; -parallel still counts.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// host is the daemon's side: secrets of other stores, by path.
type host struct {
	sdk.Host // nothing else is asked for

	mu     sync.Mutex
	values map[string]string
	asked  int
}

func (h *host) set(path, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.values == nil {
		h.values = map[string]string{}
	}
	h.values[path] = value
}

func (h *host) get(path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.values[path]
}

// ResolveSecret is sdk.Host's.
func (h *host) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	v, ok := h.values[ref.Path()]
	if !ok {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	return sdk.NewSecret([]byte(v)), nil
}

func ref(text string) sdk.SecretRef {
	r, err := sdk.ParseSecretRef("urn:realmgate-secret:" + text)
	if err != nil {
		panic(err)
	}
	return r
}

type settings map[string]any

// with gives the settings with further ones.
func (s settings) with(more settings) settings {
	out := maps.Clone(s)
	maps.Copy(out, more)
	return out
}

func (s settings) json(t testing.TB) []byte {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// world is a server, the daemon's side, and what makes parts.
type world struct {
	*vaulttest.Server
	host *host
	pool *login.Pool
	ctx  context.Context
}

func newWorld(t testing.TB, s *vaulttest.Server) *world {
	t.Helper()
	w := &world{Server: s, host: &host{}, pool: &login.Pool{}}
	w.ctx = sdk.WithHost(t.Context(), w.host)
	w.host.set("token", s.Token)
	return w
}

// base are the settings to reach the server, without a login.
func (w *world) base() settings {
	s := settings{"address": w.URL, "max_age": "PT0S"}
	if w.Authority != nil {
		s["ca_file"] = w.CAFile
	}
	return s
}

// asRoot are settings with the root token.
func (w *world) asRoot() settings {
	return w.base().with(settings{"token": "urn:realmgate-secret:ops:token"})
}

// newStore builds a store that is closed with the test.
func (w *world) newStore(t testing.TB, s settings) *secrets.Store {
	t.Helper()
	var decoded secrets.Settings
	if err := sdk.Decode(s.json(t), &decoded); err != nil {
		t.Fatal(err)
	}
	st, err := secrets.New(w.pool)(w.ctx, sdk.Setup{Store: "s"}, decoded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// read gives what a reference names, as the daemon takes it out of the whole secret.
func (w *world) read(t testing.TB, st sdk.SecretResolver, path string) string {
	t.Helper()
	r := ref("s:" + path)
	s, err := st.Resolve(w.ctx, r.Whole())
	if err == nil {
		s, err = s.Field(r.Field())
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Reveal())
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func sha256hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// storeFault is what is wrong with settings of a store.
func (w *world) storeFault(t testing.TB, s settings) error {
	t.Helper()
	var decoded secrets.Settings
	if err := sdk.Decode(s.json(t), &decoded); err != nil {
		t.Fatal(err)
	}
	st, err := secrets.New(w.pool)(w.ctx, sdk.Setup{Store: "s"}, decoded)
	if err == nil {
		_ = st.Close()
	}
	return err
}

// ecKey makes a private key in PEM.
func ecKey(t testing.TB) string {
	t.Helper()
	key, _ := newSigner(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
