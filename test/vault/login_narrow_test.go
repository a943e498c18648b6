package vault

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
)

func (w *world) get(l *login.Lease, path string) (login.Answer, error) {
	return l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: path})
}

// A token that may not even look itself up serves, is not taken for one that the server does not know, and is given up when the
// server says that it does not.
func TestLoginWithoutTheDefaultPolicy(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	id := w.approle(t, "narrow", map[string]any{"token_no_default_policy": true, "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32", "token_ttl": "8s"})
	narrow := map[string]any{"policies": []string{"p"}, "ttl": "1h", "no_default_policy": true}
	w.host.set("narrow", w.NewToken(t, narrow))
	for what, s := range map[string]settings{
		"of a role":  {"approle": settings{"role_id": id}},
		"of a store": {"token": "urn:realmgate-secret:ops:narrow"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := w.open(t, w.base().with(s))
			first, err := w.get(l, "kv/x")
			if err != nil {
				t.Fatal(err)
			}
			// For longer than a token that was just got is not doubted.
			for end := time.Now().Add(7 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				if _, err := w.get(l, "other/x"); !client.Denied(err) {
					t.Fatalf("what the policies do not give: %v", err)
				}
				if got, err := w.get(l, "kv/x"); err != nil || got.Login != first.Login && what == "of a store" {
					t.Fatalf("login %d, and now %d: %v", first.Login, got.Login, err)
				}
			}
			if what == "of a role" { // it cannot be renewed: another login was due once, at two thirds of its life
				if got, err := w.get(l, "kv/x"); err != nil || got.Login != first.Login+1 {
					t.Errorf("login %d, and now %d: %v", first.Login, got.Login, err)
				}
				return
			}
			w.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": w.host.get("narrow")})
			w.host.set("narrow", w.NewToken(t, narrow))
			if got, err := w.get(l, "kv/x"); err != nil || got.Login != first.Login+1 {
				t.Errorf("revoked, and another one in its place: login %d: %v", got.Login, err)
			}
		})
	}
}

// Batch tokens are neither renewed nor revoked: a fresh login takes the place of one in time.
func TestLoginWithBatchTokens(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	id := w.approle(t, "batch", map[string]any{"token_type": "batch", "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32", "token_ttl": "3s"})
	l := w.open(t, w.base().with(settings{"approle": settings{"role_id": id}}))
	var ids []uint64
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got, err := w.get(l, "kv/x")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Login)
	}
	if n := len(slices.Compact(ids)); n < 2 || n > 4 {
		t.Errorf("%d logins in 5 seconds", n)
	}
	batch := map[string]any{"type": "batch", "policies": []string{"p"}, "ttl": "2s"}
	w.host.set("batch", w.NewToken(t, batch))
	given := w.open(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:batch"}))
	if _, err := w.get(given, "kv/x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool { _, err := w.get(given, "kv/x"); return err != nil && client.As(err) == nil })
	w.host.set("batch", w.NewToken(t, map[string]any{"type": "batch", "policies": []string{"p"}, "ttl": "1h"}))
	eventually(t, "another one takes its place", func() bool { _, err := w.get(given, "kv/x"); return err == nil })
}

// A token of ours that a fresh login replaced ends with the session, however long its life.
func TestFormerTokensEndWithTheSession(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	id := w.approle(t, "replaced", map[string]any{"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32", "token_ttl": "12s", "token_max_ttl": "12s"})
	l := w.open(t, w.base().with(settings{"approle": settings{"role_id": id}}))
	first, _ := w.whoami(t, l)
	var second string
	eventually(t, "a fresh login", func() bool { second, _ = w.whoami(t, l); return second != first })
	if !w.lives(t, first) {
		t.Fatal("what was made for the former token ended with it at once")
	}
	l.Close()
	if w.lives(t, first) || w.lives(t, second) {
		t.Errorf("former: %v, last: %v", w.lives(t, first), w.lives(t, second))
	}
}

// A server that talks to nobody without a client certificate, whatever the login.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.StartMutual(t))
	w.host.set("p", w.NewToken(t, map[string]any{"policies": []string{"p"}, "ttl": "1h"}))
	s := w.base().with(settings{"token": "urn:realmgate-secret:ops:p", "max_retries": 0})
	if _, err := w.get(w.open(t, s.with(nil)), "kv/x"); err == nil || client.As(err) != nil {
		t.Errorf("without a certificate: %v", err)
	}
	cert, key := w.ClientCertificate(t, "realmgate")
	if _, err := w.get(w.open(t, s.with(settings{"client_cert_file": cert, "client_key_file": key})), "kv/x"); err != nil {
		t.Error(err)
	}
	stranger := vaulttest.NewAuthority(t)
	cert, key = stranger.ClientCertificate(t, "realmgate")
	if _, err := w.get(w.open(t, s.with(settings{"client_cert_file": cert, "client_key_file": key})), "kv/x"); err == nil {
		t.Error("a certificate of another authority")
	}
	cert, key = w.ClientCertificate(t, "tokens")
	p := w.newProvider(t, w.base().with(settings{"require_entity": false, "client_cert_file": cert, "client_key_file": key}))
	if id, err := p.Identify(w.ctx, bearer(w.host.get("p"))); err != nil || !slices.Contains(id.Roles, "p") {
		t.Errorf("a token as a credential: %v %v", id.Roles, err)
	}
}
