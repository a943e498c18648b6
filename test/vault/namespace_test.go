package vault

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/vaulttest"
)

// A namespace of the settings is that of everything that is asked. The server here has no namespaces: what stands before it
// takes them off, and shows them.
func TestNamespace(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "2h")
	d.Do(t, http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv"})
	d.Policy(t, "p", mayRead+mayRevoke+`path "kv/*" { capabilities = ["create", "update", "read", "delete"] }`)
	d.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	id := d.approle(t, "app", map[string]any{"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"})
	b := newBetween(t, d.world, nil)
	st := d.newStore(t, d.base().with(settings{"address": b.URL, "namespace": "team-a/ops", "approle": settings{"role_id": id}}))
	if _, err := st.WriteSecret(d.ctx, ref("s:kv/x"), []byte("1")); err != nil {
		t.Error(err)
	}
	if got := d.read(t, st, "kv/x"); got != "1" {
		t.Errorf("%q", got)
	}
	if err := st.DeleteSecret(d.ctx, ref("s:kv/x")); err != nil {
		t.Error(err)
	}
	user := d.user(t, st, "r")
	if err := st.Close(); err != nil || d.exists(t, user) {
		t.Errorf("the lease outlives the store: %v", err)
	}
	all := b.questions()
	for _, q := range all {
		if strings.Trim(q.namespace, "/") != "team-a/ops" {
			t.Errorf("%s %s is asked in the namespace %q", q.method, q.path, q.namespace)
		}
	}
	for _, path := range []string{
		"auth/approle/login", "sys/internal/ui/mounts/kv/x", "kv/x", "database/creds/r", "sys/leases/revoke", "auth/token/revoke-self",
	} {
		if !slices.ContainsFunc(all, func(q question) bool { return q.path == path }) {
			t.Errorf("%s was not asked: %v", path, all)
		}
	}
}

// A namespace may also be the first part of a path. The mounts in it are listed, since the store asks in its own namespace only.
func TestNamespaceInAPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, vaulttest.Dev(t))
	const namespace = "team-a/"
	b := newBetween(t, w, func(path string) string { return strings.TrimPrefix(path, namespace) })
	st := w.newStore(t, w.asRoot().with(settings{"address": b.URL, "kv_version": "2", "kv_mounts": []string{"secret", "team-a/secret"}}))
	for _, path := range []string{"team-a/secret/app/db", "secret/app/own"} {
		if v, err := st.WriteSecret(w.ctx, ref("s:"+path), []byte(`{"a":"1"}`)); err != nil || v != "1" {
			t.Errorf("%s: version %q, %v", path, v, err)
		}
		if got := w.read(t, st, path+"?=version=1#a"); got != "1" {
			t.Errorf("%s: %q", path, got)
		}
	}
	if err := st.DeleteSecret(w.ctx, ref("s:team-a/secret/app/db")); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"team-a/sys/mounts", "team-a/auth/token/lookup-self", "team-a/identity/entity/id", "team-a/cubbyhole/x"} {
		if _, err := st.Resolve(w.ctx, ref("s:"+path)); err == nil || !strings.Contains(err.Error(), "no secrets of an engine") {
			t.Errorf("%s: %v", path, err)
		}
	}
	var got []string
	for _, q := range b.questions() {
		if q.namespace != "" {
			t.Errorf("%s %s is asked in the namespace %q", q.method, q.path, q.namespace)
		}
		if rest, ok := strings.CutPrefix(q.path, namespace); ok {
			got = append(got, q.method+" "+rest)
		}
	}
	want := []string{"POST secret/data/app/db", "GET secret/data/app/db", "DELETE secret/metadata/app/db"}
	for n, q := range got { // PUT is POST's other name for a server
		got[n] = strings.Replace(q, "PUT ", "POST ", 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("in the namespace: %v, want %v", got, want)
	}
}
