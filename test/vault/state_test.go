package vault

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/sdk"
)

// A server as it is run for real is sealed, unsealed, stopped and started under a store, which says what it finds and goes on
// as soon as it can.
func TestStatesOfAServer(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Start(t))
	w.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	id := w.approle(t, "app", map[string]any{"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"})
	st := w.newStore(t, w.base().with(settings{"approle": settings{"role_id": id}}))
	fails := func(st sdk.SecretResolver, want string) {
		t.Helper()
		s, err := st.Resolve(w.ctx, ref("s:kv/x"))
		if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), want) || len(s.Reveal()) > 0 {
			t.Errorf("%v, want %q", err, want)
		}
	}
	works := func(st sdk.SecretResolver) { // by itself, once a login that failed is tried again
		t.Helper()
		eventually(t, "it recovers by itself", func() bool {
			s, err := st.Resolve(w.ctx, ref("s:kv/x"))
			return err == nil && string(s.Reveal()) == `{"x":"1"}`
		})
	}
	w.Seal(t)
	fails(st, "the server is sealed")
	w.Unseal(t)
	works(st)
	w.Seal(t)
	fails(st, "the server is sealed")
	w.Unseal(t)
	works(st)
	w.Stop()
	fails(st, "cannot be reached")
	w.Resume(t)
	fails(st, "the server is sealed")
	w.Unseal(t)
	works(st)
	// A store that begins while the server is away.
	w.Stop()
	late := w.newStore(t, w.base().with(settings{"approle": settings{"role_id": id}, "max_retries": 0}))
	fails(late, "cannot be reached")
	w.Resume(t)
	w.Unseal(t)
	works(late)
	// Another authority, and none: the server is not believed, and gets no login.
	fails(w.newStore(t, w.base().with(settings{"approle": settings{"role_id": id}, "ca_file": vaulttest.NewAuthority(t).CAFile})), "certificate signed by unknown authority")
	fails(w.newStore(t, w.base().with(settings{"approle": settings{"role_id": id}, "tls_server_name": "vault.example.com"})), "not vault.example.com")
	pem := w.base().with(settings{"approle": settings{"role_id": id}, "ca_pem": w.CA})
	delete(pem, "ca_file")
	works(w.newStore(t, pem))
}

// A server that does not answer costs no more than the caller has, or the time-out.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	w := newWorld(t, &vaulttest.Server{URL: slow.URL, Token: "root"})
	st := w.newStore(t, w.asRoot().with(settings{"timeout": "PT0.3S"}))
	began := time.Now()
	_, err := st.Resolve(w.ctx, ref("s:kv/x"))
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "does not answer in time") || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// What a server is asked with comes from the settings, and a fault names its key.
func TestStoreSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &vaulttest.Server{URL: "http://127.0.0.1:1"})
	for name, x := range map[string]struct {
		change settings
		path   string
	}{
		"no login":         {settings{"token": ""}, ""},
		"two logins":       {settings{"token_file": "/x"}, ""},
		"a mount":          {settings{"token": "", "approle": settings{"role_id": "x", "mount": "../sys"}}, "/approle/mount"},
		"no role id":       {settings{"token": "", "approle": settings{"role_id": ""}}, "/approle/role_id"},
		"wrapped nothing":  {settings{"token": "", "approle": settings{"role_id": "x", "wrapped": true}}, "/approle/wrapped"},
		"a role's name":    {settings{"token": "", "approle": settings{"role_id": "x", "role_name": "x"}}, "/approle/role_name"},
		"no kubernetes":    {settings{"token": "", "kubernetes": settings{"role": ""}}, "/kubernetes/role"},
		"no JWT":           {settings{"token": "", "jwt": settings{"role": "x"}}, "/jwt/token"},
		"a region":         {settings{"token": "", "aws": settings{"role": "x", "region": "a.b"}}, "/aws/region"},
		"no certificate":   {settings{"token": "", "cert": settings{}}, "/cert"},
		"kv_version":       {settings{"kv_version": "3"}, "/kv_version"},
		"kv_mounts":        {settings{"kv_mounts": []string{"kv"}}, "/kv_mounts"},
		"a KV mount":       {settings{"kv_version": "2", "kv_mounts": []string{"kv", "/x"}}, "/kv_mounts/1"},
		"max_age":          {settings{"max_age": "PT1H"}, "/max_age"},
		"max_leases":       {settings{"max_leases": 0}, "/max_leases"},
		"address":          {settings{"address": "vault"}, "/address"},
		"nothing is wrong": {settings{}, "none"},
	} {
		s := w.asRoot().with(x.change)
		if s["token"] == "" {
			delete(s, "token")
		}
		err := w.storeFault(t, s)
		problems := sdk.Problems(err)
		if x.path == "none" && err != nil || x.path != "none" && (len(problems) != 1 || problems[0].Path != x.path) {
			t.Errorf("%s: %v, want a fault at %q", name, err, x.path)
		}
	}
}
