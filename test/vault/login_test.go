package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// logins is a server with a secret kv/x that the policy p may read.
func logins(t *testing.T, s *vaulttest.Server) *world {
	t.Helper()
	w := newWorld(t, s)
	w.Do(t, http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv"})
	w.Do(t, http.MethodPost, "kv/x", map[string]any{"x": "1"})
	w.Policy(t, "p", `path "kv/*" { capabilities = ["read"] }`)
	return w
}

// open logs in with settings, whoever else does.
func (w *world) open(t testing.TB, s settings) *login.Lease {
	t.Helper()
	var decoded struct {
		client.Server
		login.Choice
	}
	delete(s, "max_age")
	if err := sdk.Decode(s.json(t), &decoded); err != nil {
		t.Fatal(err)
	}
	l, err := w.pool.Open(t.Context(), decoded.Server, decoded.Choice)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// whoami reads the secret and gives the accessor of the token that it was read with.
func (w *world) whoami(t testing.TB, l *login.Lease) (accessor, displayName string) {
	t.Helper()
	if _, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err != nil {
		t.Fatal(err)
	}
	out, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self"})
	if err != nil {
		t.Fatal(err)
	}
	accessor, _ = out.Data["accessor"].(string)
	displayName, _ = out.Data["display_name"].(string)
	return accessor, displayName
}

// approle makes a role and gives its id.
func (w *world) approle(t testing.TB, name string, change map[string]any) string {
	t.Helper()
	role := map[string]any{"token_policies": "p", "token_ttl": "1h"}
	for k, v := range change {
		role[k] = v
	}
	w.Do(t, http.MethodPost, "auth/approle/role/"+name, role)
	id, _ := w.Do(t, http.MethodGet, "auth/approle/role/"+name+"/role-id", nil)["role_id"].(string)
	return id
}

func (w *world) secretID(t testing.TB, name string) string {
	t.Helper()
	id, _ := w.Do(t, http.MethodPost, "auth/approle/role/"+name+"/secret-id", nil)["secret_id"].(string)
	return id
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	t.Run("from a store", func(t *testing.T) {
		t.Parallel()
		w.host.set("short", w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "2s", "explicit_max_ttl": "1h"}))
		l := w.open(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:short"}))
		first, _ := w.whoami(t, l)
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if at, _ := w.whoami(t, l); at != first {
				t.Fatal("it is another token")
			}
		}
		l.Close()
		if status := w.Status(t, http.MethodGet, "kv/x", w.host.values["short"]); status != http.StatusOK {
			t.Errorf("somebody else's token was revoked: %d", status)
		}
	})
	t.Run("that ends, and another one takes its place in the store", func(t *testing.T) {
		t.Parallel()
		first := w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"})
		w.host.set("rotated", first)
		l := w.open(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:rotated"}))
		before, _ := w.whoami(t, l)
		w.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": first})
		_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
		if err == nil || !strings.Contains(err.Error(), "the token of urn:realmgate-secret:ops:rotated is not valid") || strings.Contains(err.Error(), first) {
			t.Errorf("with a revoked token: %v", err)
		}
		w.host.set("rotated", w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"}))
		eventually(t, "it is another token", func() bool {
			_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
			return err == nil
		})
		if after, _ := w.whoami(t, l); after == before {
			t.Error("it is the same token")
		}
	})
	t.Run("in a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "sink")
		write := func(token string, mode os.FileMode) {
			if err := os.WriteFile(path+".new", []byte(token+"\n"), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		l := w.open(t, w.base().with(settings{"token_file": path}))
		if _, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("without a file: %v", err)
		}
		write(w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"}), 0o644)
		eventually(t, "readable by all", func() bool {
			_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
			return err != nil && strings.Contains(err.Error(), "accessible to others")
		})
		one := w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"})
		write(one, 0o600)
		eventually(t, "it is taken", func() bool {
			_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
			return err == nil
		})
		before, _ := w.whoami(t, l)
		write(w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"}), 0o600)
		eventually(t, "the changed file is read", func() bool {
			after, _ := w.whoami(t, l)
			return after != before
		})
		l.Close()
		if status := w.Status(t, http.MethodGet, "kv/x", one); status != http.StatusOK {
			t.Errorf("somebody else's token was revoked: %d", status)
		}
	})
}

func TestAppRole(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	role := func(id string, more settings) settings {
		return w.base().with(settings{"approle": settings{"role_id": id}.with(more)})
	}
	t.Run("renewed, and logged in again", func(t *testing.T) {
		t.Parallel()
		l := w.open(t, role(w.approle(t, "renewed", map[string]any{"token_ttl": "2s", "token_max_ttl": "5s", "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"}), nil))
		tokens := map[string]int{}
		for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			at, _ := w.whoami(t, l)
			tokens[at]++
		}
		if len(tokens) < 2 || len(tokens) > 4 {
			t.Errorf("%d tokens in 9 seconds: %v", len(tokens), tokens)
		}
	})
	t.Run("revoked behind our back", func(t *testing.T) {
		t.Parallel()
		id := w.approle(t, "revoked", nil)
		w.host.set("sid", w.secretID(t, "revoked"))
		l := w.open(t, role(id, settings{"secret_id": "urn:realmgate-secret:ops:sid"}))
		before, _ := w.whoami(t, l)
		w.Do(t, http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": before})
		if after, _ := w.whoami(t, l); after == before {
			t.Error("it is the same token")
		}
		w.host.set("sid", "hunter2")
		now, _ := w.whoami(t, l)
		w.Do(t, http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": now})
		_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
		if err == nil || err.Error() != "login: AppRole: the server answers 400: invalid role or secret ID" {
			t.Errorf("with a wrong secret id: %v", err)
		}
	})
	t.Run("while a fresh login fails, the former token goes on", func(t *testing.T) {
		t.Parallel()
		id := w.approle(t, "ending", map[string]any{"token_ttl": "2s", "token_max_ttl": "6s"})
		w.host.set("ending", w.secretID(t, "ending"))
		l := w.open(t, role(id, settings{"secret_id": "urn:realmgate-secret:ops:ending"}))
		began := time.Now()
		first, _ := w.whoami(t, l)
		w.host.set("ending", "hunter2")
		for time.Since(began) < 5*time.Second {
			if at, _ := w.whoami(t, l); at != first {
				t.Fatal("it is another token")
			}
			time.Sleep(100 * time.Millisecond)
		}
		eventually(t, "it ends", func() bool {
			_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
			return err != nil && strings.Contains(err.Error(), "invalid role or secret ID")
		})
	})
	t.Run("one login for all who wait, one session for all who share settings", func(t *testing.T) {
		t.Parallel()
		id := w.approle(t, "once", map[string]any{"secret_id_num_uses": 1})
		w.host.set("once", w.secretID(t, "once"))
		s := role(id, settings{"secret_id": "urn:realmgate-secret:ops:once"})
		a, b := w.open(t, s), w.open(t, s)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if _, err := []*login.Lease{a, b}[i%2].Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		accessor, _ := w.whoami(t, a)
		a.Close()
		a.Close()
		if again, _ := w.whoami(t, b); again != accessor {
			t.Error("the session ended with the first of two")
		}
		b.Close()
		if w.lives(t, accessor) {
			t.Error("the token was not revoked at the end")
		}
	})
	t.Run("a wrapped secret id", func(t *testing.T) {
		t.Parallel()
		id := w.approle(t, "wrapped", nil)
		wrap := func() { w.host.set("wrapped", w.Wrap(t, http.MethodPost, "auth/approle/role/wrapped/secret-id", nil)) }
		wrap()
		s := role(id, settings{"secret_id": "urn:realmgate-secret:ops:wrapped", "wrapped": true, "role_name": "wrapped"})
		l := w.open(t, s)
		before, _ := w.whoami(t, l)
		w.Do(t, http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": before})
		if after, _ := w.whoami(t, l); after == before { // with the secret id that was unwrapped once
			t.Error("it is the same token")
		}
		l.Close()
		_, err := w.open(t, s).Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
		if err == nil || !strings.Contains(err.Error(), "was used before") {
			t.Errorf("a wrapping token that was used: %v", err)
		}
	})
	t.Run("a wrapping token of somebody else's making", func(t *testing.T) {
		t.Parallel()
		id := w.approle(t, "victim", nil)
		w.approle(t, "other", nil)
		for from, token := range map[string]string{
			"cubbyhole": w.Wrap(t, http.MethodPost, "sys/wrapping/wrap", map[string]any{"secret_id": w.secretID(t, "victim")}),
			"other":     w.Wrap(t, http.MethodPost, "auth/approle/role/other/secret-id", nil),
		} {
			w.host.set("forged-"+from, token)
			l := w.open(t, role(id, settings{"secret_id": "urn:realmgate-secret:ops:forged-" + from, "wrapped": true, "role_name": "victim"}))
			if _, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err == nil || !strings.Contains(err.Error(), "was not made by auth/approle/role/victim/secret-id") {
				t.Errorf("from %s: %v", from, err)
			}
			if status := w.Status(t, http.MethodPost, "sys/wrapping/unwrap", token); status != http.StatusOK {
				t.Errorf("from %s: it was used all the same: %d", from, status)
			}
		}
	})
}

// lives says whether the server knows an accessor.
func (w *world) lives(t testing.TB, accessor string) bool {
	t.Helper()
	list := w.Do(t, "LIST", "auth/token/accessors", nil)
	all, _ := list["keys"].([]any)
	for _, x := range all {
		if x == accessor {
			return true
		}
	}
	return false
}

func TestJWTLogin(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	key, public := newSigner(t)
	w.Do(t, http.MethodPost, "sys/auth/jwt", map[string]any{"type": "jwt"})
	w.Do(t, http.MethodPost, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": []string{public}, "bound_issuer": "https://ci.example.com"})
	w.Do(t, http.MethodPost, "auth/jwt/role/ci", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "p", "token_ttl": "1h"})
	token := signJWT(t, key, jwt.MapClaims{"iss": "https://ci.example.com", "sub": "build-7", "aud": "vault", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	w.host.set("jwt", token+"\n")
	path := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(path, []byte(token), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range []settings{{"token": "urn:realmgate-secret:ops:jwt"}, {"token_file": path}} {
		l := w.open(t, w.base().with(settings{"jwt": s.with(settings{"role": "ci"})}))
		if _, name := w.whoami(t, l); name != "jwt-build-7" {
			t.Errorf("%v: %s", s, name)
		}
	}
	l := w.open(t, w.base().with(settings{"jwt": settings{"role": "none", "token_file": path}}))
	if _, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "the JWT login with role none") {
		t.Errorf("another role: %v", err)
	}
}

func newSigner(t testing.TB) (key *ecdsa.PrivateKey, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func signJWT(t testing.TB, key *ecdsa.PrivateKey, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
