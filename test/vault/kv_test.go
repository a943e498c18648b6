package vault

import (
	"net/http"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/sdk"
)

// kv mounts engines of both versions.
func kv(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, vaulttest.Dev(t))
	for path, version := range map[string]string{"kv1": "1", "kv2": "2", "team/kv2": "2", "strict": "2"} {
		w.Do(t, http.MethodPost, "sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]any{"version": version}})
	}
	eventually(t, "the engines of version 2 are ready", func() bool {
		return w.Status(t, http.MethodGet, "kv2/config", w.Token) == 200 && w.Status(t, http.MethodGet, "strict/config", w.Token) == 200 &&
			w.Status(t, http.MethodGet, "team/kv2/config", w.Token) == 200
	})
	w.Do(t, http.MethodPost, "strict/config", map[string]any{"cas_required": true})
	return w
}

func TestReadKV(t *testing.T) {
	t.Parallel()
	w := kv(t)
	w.Do(t, http.MethodPost, "kv1/app/db", map[string]any{"user": "alice", "password": "p<1>", "n": 12345678901234567})
	for _, at := range []string{"kv2/data/app/db", "team/kv2/data/app/db"} {
		w.Do(t, http.MethodPost, at, map[string]any{"data": map[string]any{"user": "alice", "password": "old"}})
		w.Do(t, http.MethodPost, at, map[string]any{"data": map[string]any{"user": "alice", "password": "new"}})
	}
	w.Do(t, http.MethodPost, "kv2/data/gone", map[string]any{"data": map[string]any{"x": "1"}})
	w.Do(t, http.MethodPost, "kv2/data/gone", map[string]any{"data": map[string]any{"x": "2"}})
	w.Do(t, http.MethodDelete, "kv2/data/gone", nil)
	w.Do(t, http.MethodPost, "kv2/destroy/gone", map[string]any{"versions": []int{1}})
	auto := w.newStore(t, w.asRoot())
	explicit := w.newStore(t, w.asRoot().with(settings{"kv_version": "2", "kv_mounts": []string{"team/kv2", "kv2"}}))
	first := w.newStore(t, w.asRoot().with(settings{"kv_version": "1"}))
	for _, x := range []struct {
		st                 sdk.SecretResolver
		ref, want, version string
	}{
		{auto, "kv1/app/db", `{"n":12345678901234567,"password":"p<1>","user":"alice"}`, ""},
		{auto, "kv2/app/db?=version=1", `{"password":"old","user":"alice"}`, "1"},
		{auto, "kv2/app/db", `{"password":"new","user":"alice"}`, "2"},
		{auto, "team/kv2/app/db", `{"password":"new","user":"alice"}`, "2"},
		{explicit, "team/kv2/app/db", `{"password":"new","user":"alice"}`, "2"},
		{explicit, "kv2/app/db?=version=1", `{"password":"old","user":"alice"}`, "1"},
		{first, "kv1/app/db", `{"n":12345678901234567,"password":"p<1>","user":"alice"}`, ""},
	} {
		s, err := x.st.Resolve(w.ctx, ref("s:"+x.ref))
		if err != nil || string(s.Reveal()) != x.want || s.Version != x.version {
			t.Errorf("%s: %q version %q, %v", x.ref, s.Reveal(), s.Version, err)
		}
	}
	for _, x := range []struct {
		st        sdk.SecretResolver
		ref, want string
	}{
		{auto, "kv2/none", "there is no such secret"},
		{auto, "kv1/none", "there is no such secret"},
		{auto, "kv2/app/db?=version=7", "there is no such secret"},
		{auto, "kv2/app/db?=version=latest", "a version is a number here"},
		{auto, "kv2/gone", "version 2 of the secret was deleted"},
		{auto, "kv2/gone?=version=1", "version 1 of the secret was destroyed"},
		{auto, "kv1/app/db?=version=1", "only a key-value store of version 2"},
		{auto, "nowhere/x", "give nothing at nowhere/x"},
		{auto, "kv2", "no secret in it"},
		{auto, "auth/token/lookup-self", "no secrets of an engine"},
		{auto, "sys/mounts/kv1/tune", "no secrets of an engine"},
		{auto, "identity/entity/id", "no secrets of an engine"},
		{auto, "cubbyhole/x", "no secrets of an engine"},
		{first, "auth/token/lookup-self", "no secrets of an engine"},
		{explicit, "auth/token/lookup-self", "no secrets of an engine"},
		{explicit, "ns1/auth/token/lookup-self", "no secrets of an engine"},
		{explicit, "ns1/ns2/sys/mounts", "no secrets of an engine"},
		{first, "ns1/auth/token/lookup-self", "no secrets of an engine"},
		{first, "ns1/cubbyhole/x", "needs its mount in kv_mounts"},
	} {
		s, err := x.st.Resolve(w.ctx, ref("s:"+x.ref))
		if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "urn:") || len(s.Reveal()) > 0 {
			t.Errorf("%s: %v, want %q", x.ref, err, x.want)
		}
	}
}

func TestWriteKV(t *testing.T) {
	t.Parallel()
	w := kv(t)
	st := w.newStore(t, w.asRoot())
	for _, at := range []string{"kv1/realm1/c", "kv2/realm1/c", "strict/realm1/c"} {
		for i, value := range []string{"hunter2\n", `{"client_secret": "x<y>",  "id": 7}`, "\xff\x00binary", ""} {
			version, err := st.WriteSecret(w.ctx, ref("s:"+at), []byte(value))
			if err != nil || (at != "kv1/realm1/c") != (version == []string{"1", "2", "3", "4"}[i]) {
				t.Errorf("%s: version %q, %v", at, version, err)
			}
			if got := w.read(t, st, at); got != value {
				t.Errorf("%s: %q, want %q", at, got, value)
			}
		}
		if _, err := st.WriteSecret(w.ctx, ref("s:"+at), []byte(`{"a":"b"}`)); err != nil {
			t.Error(err)
		}
		if got := w.read(t, st, at+"#a"); got != "b" {
			t.Errorf("%s: the field is %q", at, got)
		}
		for range 2 { // what is not there is no error
			if err := st.DeleteSecret(w.ctx, ref("s:"+at)); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
		if _, err := st.Resolve(w.ctx, ref("s:"+at)); err == nil {
			t.Errorf("%s is still there", at)
		}
	}
	for _, at := range []string{"kv2/metadata/realm1/c", "kv2/data/realm1/c?version=1", "strict/metadata/realm1/c"} {
		if status := w.Status(t, http.MethodGet, at, w.Token); status != http.StatusNotFound {
			t.Errorf("%s: %d, something remains", at, status)
		}
	}
	// One that was deleted by hand counts on.
	w.Do(t, http.MethodPost, "strict/data/x", map[string]any{"data": map[string]any{"x": "1"}, "options": map[string]any{"cas": 0}})
	w.Do(t, http.MethodDelete, "strict/data/x", nil)
	if v, err := st.WriteSecret(w.ctx, ref("s:strict/x"), []byte("2")); err != nil || v != "2" {
		t.Errorf("version %q, %v", v, err)
	}
	for text, want := range map[string]string{"kv2": "no secret in it", "auth/a": "no secrets of an engine"} {
		_, err := st.WriteSecret(w.ctx, ref("s:"+text), []byte("x"))
		for _, err := range []error{err, st.DeleteSecret(w.ctx, ref("s:"+text))} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		}
	}
}

// What a policy does not give is said with the reference, the store, the path and the right, and without a value.
func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	w := kv(t)
	w.Do(t, http.MethodPost, "kv2/data/a/x", map[string]any{"data": map[string]any{"x": "canary"}})
	w.Policy(t, "reader", `path "kv2/data/a/*" { capabilities = ["read"] }`)
	w.host.set("reader", w.NewToken(t, map[string]any{"policies": []string{"reader"}, "ttl": "1h"}))
	st := w.newStore(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:reader"}))
	if got := w.read(t, st, "kv2/a/x#x"); got != "canary" {
		t.Errorf("%q", got)
	}
	_, resolve := st.Resolve(w.ctx, ref("s:kv2/b/x"))
	_, write := st.WriteSecret(w.ctx, ref("s:kv2/a/x"), []byte("canary"))
	for what, x := range map[string]struct {
		err  error
		want string
	}{
		"read":   {resolve, `the policies of the store's token do not give "read" on kv2/data/b/x: the server answers 403: permission denied`},
		"write":  {write, `the policies of the store's token do not give "create" and "update" on kv2/data/a/x: the server answers 403: permission denied`},
		"delete": {st.DeleteSecret(w.ctx, ref("s:kv2/a/x")), `the policies of the store's token do not give "delete" on kv2/metadata/a/x: the server answers 403: permission denied`},
	} {
		if x.err == nil || x.err.Error() != x.want {
			t.Errorf("%s: %v\nwant %s", what, x.err, x.want)
		}
	}
	// The policy goes while the store is at work.
	w.Policy(t, "reader", `path "kv2/data/none" { capabilities = ["read"] }`)
	if _, err := st.Resolve(w.ctx, ref("s:kv2/a/x")); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("after the policy was changed: %v", err)
	}
}

// A login that fails is said to be one, and is not taken for an answer about the secret.
func TestALoginThatFailsIsNoAnswer(t *testing.T) {
	t.Parallel()
	w := kv(t)
	w.host.set("wrong", "hvs.none")
	for want, login := range map[string]settings{
		"login: AppRole: the server answers 403":                          {"approle": settings{"role_id": "x"}},
		"login: the token of urn:realmgate-secret:ops:wrong is not valid": {"token": "urn:realmgate-secret:ops:wrong"},
	} {
		st := w.newStore(t, w.base().with(login))
		_, err := st.Resolve(w.ctx, ref("s:kv2/x"))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := st.DeleteSecret(w.ctx, ref("s:kv2/x")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a secret that is not there is deleted: %v", err)
		}
	}
}
