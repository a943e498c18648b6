package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/identity"
	"github.com/realmgate/realmgate/sdk"
)

func (w *world) newProvider(t testing.TB, s settings) *identity.Provider {
	t.Helper()
	var decoded identity.Settings
	if err := sdk.Decode(s.json(t), &decoded); err != nil {
		t.Fatal(err)
	}
	p, err := identity.New(w.pool)(w.ctx, sdk.Setup{Tenant: "t"}, decoded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// people is a server with a user of an entity, who has logged in.
type people struct {
	*world
	token, entity string
}

func newPeople(t *testing.T, s *vaulttest.Server) *people {
	t.Helper()
	w := newWorld(t, s)
	w.Do(t, http.MethodPost, "sys/auth/userpass", map[string]any{"type": "userpass"})
	w.Do(t, http.MethodPost, "auth/userpass/users/alice", map[string]any{"password": "p", "token_policies": "ops", "token_ttl": "1h"})
	p := &people{world: w, token: w.logIn(t, "alice")}
	about := w.Do(t, http.MethodPost, "auth/token/lookup", map[string]any{"token": p.token})
	p.entity, _ = about["entity_id"].(string)
	w.Do(t, http.MethodPost, "identity/entity/id/"+p.entity, map[string]any{"name": "alice-entity", "metadata": map[string]any{"team": "lake"}, "policies": []string{"catalog"}})
	return p
}

func (w *world) logIn(t *testing.T, user string) string {
	t.Helper()
	token, _ := w.Do(t, http.MethodPost, "auth/userpass/login/"+user, map[string]any{"password": "p"})["client_token"].(string)
	if token == "" {
		t.Fatal("no token")
	}
	return token
}

func TestVaultTokenIdentity(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	id, err := w.newProvider(t, w.base()).Identify(w.ctx, bearer(w.token))
	if err != nil {
		t.Fatal(err)
	}
	claims := id.Claims.Map()
	for at, want := range map[string]any{
		"sub": w.entity, "entity_id": w.entity, "display_name": "userpass-alice", "path": "auth/userpass/login/alice", "iss": w.URL, "type": "service", "orphan": true,
		"policies": []any{"catalog", "default", "ops"}, "identity_policies": []any{"catalog"}, "meta": map[string]any{"username": "alice"},
	} {
		if !reflect.DeepEqual(claims[at], want) {
			t.Errorf("%s is %v, want %v", at, claims[at], want)
		}
	}
	if id.Subject != w.entity || id.Issuer != w.URL || !slices.Equal(id.Roles, []string{"catalog", "default", "ops"}) || id.TokenID == "" {
		t.Errorf("%+v", id)
	}
	if left := time.Until(id.Expires); left > time.Hour || left < 59*time.Minute {
		t.Errorf("it expires in %v", left)
	}
	accessor, _ := w.Do(t, http.MethodPost, "auth/token/lookup", map[string]any{"token": w.token})["accessor"].(string)
	if all := fmt.Sprintf("%+v %s", id, id.Claims.Raw()); strings.Contains(all, w.token) || accessor == "" || strings.Contains(all, accessor) {
		t.Error("the token or its accessor is in the identity")
	}
	// With a login of its own the provider says who the entity is.
	full, err := w.newProvider(t, w.asRoot().with(settings{"role_claim_path": "entity_metadata/team", "issuer": "https://vault.example.com"})).Identify(w.ctx, bearer(w.token))
	if err != nil {
		t.Fatal(err)
	}
	claims = full.Claims.Map()
	aliases, _ := claims["entity_aliases"].([]any)
	if claims["entity_name"] != "alice-entity" || len(aliases) != 1 || aliases[0].(map[string]any)["name"] != "alice" || aliases[0].(map[string]any)["mount_type"] != "userpass" ||
		!slices.Equal(full.Roles, []string{"lake"}) || full.Issuer != "https://vault.example.com" {
		t.Errorf("%+v %s", full, full.Claims.Raw())
	}
}

func TestVaultTokenRefuses(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	p := w.newProvider(t, w.base())
	limited := w.NewToken(t, map[string]any{"num_uses": 5, "ttl": "1h"})
	w.Policy(t, "mute", `path "auth/token/lookup-self" { capabilities = ["deny"] }`)
	for name, x := range map[string]struct {
		p          sdk.IdentityProvider
		token      string
		want       string
		wantScheme string
	}{
		"good":                   {p, w.token, "", ""},
		"another scheme":         {p, w.token, "not_mine", "basic"},
		"a JWT":                  {p, "eyJhbGciOiJub25lIn0.e30.", "not_mine", ""},
		"empty":                  {p, "", "not_mine", ""},
		"a prefix":               {p, "hvs.", "not_mine", ""},
		"a recovery token":       {p, "hvr.x", "not_mine", ""},
		"odd characters":         {p, "hvs.a\r\nX-Vault-Namespace: x", "token_malformed", ""},
		"a megabyte":             {p, "hvs." + strings.Repeat("x", 1<<20), "token_malformed", ""},
		"made up":                {p, "hvs." + rand.Text(), "token_inactive", ""},
		"made up, batch":         {p, "hvb." + rand.Text(), "token_inactive", ""},
		"made up, old":           {p, "s." + rand.Text(), "token_inactive", ""},
		"made up, old batch":     {p, "b." + rand.Text(), "token_inactive", ""},
		"root":                   {w.newProvider(t, w.base().with(settings{"require_entity": false})), w.NewToken(t, map[string]any{"policies": []string{"root"}}), "token_root", ""},
		"no entity":              {p, w.NewToken(t, map[string]any{"policies": []string{"ops"}, "ttl": "1h"}), "entity_missing", ""},
		"no entity, allowed":     {w.newProvider(t, w.base().with(settings{"require_entity": false})), w.NewToken(t, map[string]any{"policies": []string{"ops"}, "ttl": "1h"}), "", ""},
		"so many uses":           {p, limited, "token_limited", ""},
		"one use":                {p, w.NewToken(t, map[string]any{"num_uses": 1, "ttl": "1h"}), "token_limited", ""},
		"bound to addresses":     {p, w.boundToken(t), "token_bound", ""},
		"that may not look":      {p, w.NewToken(t, map[string]any{"policies": []string{"mute"}, "ttl": "1h", "no_default_policy": true}), "token_inactive", ""},
		"a batch token":          {w.newProvider(t, w.base().with(settings{"require_entity": false})), w.NewToken(t, map[string]any{"type": "batch", "policies": []string{"ops"}, "ttl": "1h"}), "", ""},
		"another login":          {w.newProvider(t, w.base().with(settings{"auth_paths": []string{"auth/oidc/"}})), w.token, "auth_path_not_allowed", ""},
		"a login like it":        {w.newProvider(t, w.base().with(settings{"auth_paths": []string{"auth/user"}})), w.token, "auth_path_not_allowed", ""},
		"that login":             {w.newProvider(t, w.base().with(settings{"auth_paths": []string{"auth/userpass/"}})), w.token, "", ""},
		"no policy of those":     {w.newProvider(t, w.base().with(settings{"policies": []string{"admin"}})), w.token, "policy_missing", ""},
		"a policy of the entity": {w.newProvider(t, w.base().with(settings{"policies": []string{"catalog"}})), w.token, "", ""},
		"a claim of no list":     {w.newProvider(t, w.base().with(settings{"role_claim_path": "meta"})), w.token, "claim_invalid", ""},
		"another namespace":      {w.newProvider(t, w.base().with(settings{"namespace": "team"})), w.token, "namespace_mismatch", ""},
	} {
		r := bearer(x.token)
		if x.wantScheme != "" {
			r.Scheme = x.wantScheme
		}
		id, err := x.p.Identify(w.ctx, r)
		if reason(err) != x.want || err != nil && id.Subject != "" {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
		if err != nil && len(x.token) > 8 && strings.Contains(err.Error(), x.token) {
			t.Errorf("%s: the token is in the error", name)
		}
	}
	// One question was asked with the token that has five uses.
	if uses := w.Do(t, http.MethodPost, "auth/token/lookup", map[string]any{"token": limited})["num_uses"]; uses != 4.0 {
		t.Errorf("%v uses are left", uses)
	}
	w.Do(t, http.MethodPost, "identity/entity/id/"+w.entity, map[string]any{"disabled": true})
	if _, err := w.newProvider(t, w.base()).Identify(w.ctx, bearer(w.token)); reason(err) != "token_inactive" {
		t.Errorf("a disabled entity: %v", err)
	}
}

// boundToken gives a token that only this machine may use.
func (w *people) boundToken(t *testing.T) string {
	t.Helper()
	w.Do(t, http.MethodPost, "auth/userpass/users/bound", map[string]any{"password": "p", "token_bound_cidrs": "127.0.0.1/32"})
	return w.logIn(t, "bound")
}

// What was asked is remembered for max_age, never beyond the token's end; that it was revoked is noticed then.
func TestVaultTokenMemory(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	m := newMeddler(t, w.world)
	p := w.newProvider(t, w.base().with(settings{"address": m.URL, "max_age": "PT1S"}))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 4 {
				if _, err := p.Identify(w.ctx, bearer(w.token)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := m.asked.Load(); n > 3 {
		t.Errorf("200 requests cause %d questions", n)
	}
	w.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": w.token})
	eventually(t, "a revoked token is refused", func() bool {
		_, err := p.Identify(w.ctx, bearer(w.token))
		return reason(err) == "token_inactive"
	})
	w.Do(t, http.MethodPost, "auth/userpass/users/alice", map[string]any{"token_ttl": "3s", "token_max_ttl": "3s"})
	short := w.logIn(t, "alice")
	long := w.newProvider(t, w.base().with(settings{"max_age": "PT10M"}))
	id, err := long.Identify(w.ctx, bearer(short))
	if err != nil || time.Until(id.Expires) > 3*time.Second {
		t.Errorf("%v %v", id.Expires, err)
	}
	eventually(t, "a token is refused after its end", func() bool {
		_, err := long.Identify(w.ctx, bearer(short))
		return reason(err) == "token_inactive"
	})
}

// A flood of made up tokens reaches the server so often and no more, and leaves room for those that were good before.
func TestVaultTokenFlood(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	m := newMeddler(t, w.world)
	p := w.newProvider(t, w.base().with(settings{"address": m.URL, "max_age": "PT0S", "requests_per_second": 20}))
	if _, err := p.Identify(w.ctx, bearer(w.token)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	open := 0
	for range 2000 {
		_, err := p.Identify(w.ctx, bearer("hvs."+rand.Text()))
		switch reason(err) {
		case "unavailable":
			if !errors.Is(err, sdk.ErrBusy) {
				t.Fatal(err)
			}
			open++
		case "token_inactive":
		default:
			t.Fatal(err)
		}
	}
	if n, most := m.asked.Load(), 25+int64(10*time.Since(began).Seconds()); n > most || open == 0 {
		t.Errorf("2000 made up tokens cause %d questions in %v, %d are left open", n, time.Since(began), open)
	}
	if _, err := p.Identify(w.ctx, bearer(w.token)); err != nil {
		t.Errorf("a token that was good before: %v", err)
	}
}

// What something in between says, in place of the server, denies nobody.
func TestVaultTokenBehindAProxyThatSaysNo(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	for what, answer := range map[string]string{"a page": "<html><title>403 Forbidden</title></html>", "JSON of its own": `{"message":"Forbidden"}`} {
		wall := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusForbidden)
			fmt.Fprint(rw, answer)
		}))
		t.Cleanup(wall.Close)
		p := w.newProvider(t, w.base().with(settings{"address": wall.URL, "max_retries": 0}))
		if _, err := p.Identify(w.ctx, bearer(w.token)); reason(err) != "unavailable" || !strings.Contains(err.Error(), "something between here and the server answers 403") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A token without the default policy is one as any other if its policies let it look itself up; else nothing is known of it.
func TestVaultTokenWithoutTheDefaultPolicy(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	w.Policy(t, "looks", `path "auth/token/lookup-self" { capabilities = ["read"] }`)
	p := w.newProvider(t, w.base().with(settings{"require_entity": false}))
	for policy, want := range map[string]string{"looks": "", "ops": "token_inactive"} {
		token := w.NewToken(t, map[string]any{"policies": []string{policy}, "ttl": "1h", "no_default_policy": true})
		id, err := p.Identify(w.ctx, bearer(token))
		if reason(err) != want || err == nil && !slices.Equal(id.Roles, []string{policy}) {
			t.Errorf("%s: %v %v", policy, id.Roles, err)
		}
	}
}

// A server that does not answer makes a decision unavailable, and denies nobody.
func TestVaultTokenWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Start(t))
	s := w.base().with(settings{"timeout": "PT0.5S", "max_retries": 0})
	kept := w.newProvider(t, s.with(settings{"max_age": "PT10M"}))
	if _, err := kept.Identify(w.ctx, bearer(w.token)); err != nil {
		t.Fatal(err)
	}
	asks := w.newProvider(t, s)
	away := func(what string) {
		t.Helper()
		if _, err := asks.Identify(w.ctx, bearer(w.token)); reason(err) != "unavailable" || !strings.HasPrefix(err.Error(), "the server ") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := kept.Identify(w.ctx, bearer(w.token)); err != nil {
			t.Errorf("%s: an answer that is remembered: %v", what, err)
		}
	}
	w.Seal(t)
	away("sealed")
	w.Stop()
	away("gone")
	w.Resume(t)
	w.Unseal(t)
	if _, err := asks.Identify(w.ctx, bearer(w.token)); err != nil {
		t.Error(err)
	}
}

func TestVaultTokenSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &vaulttest.Server{URL: "http://127.0.0.1:1"})
	for at, x := range map[string]settings{
		"/auth_paths/0": {"auth_paths": []string{"userpass/"}}, "/max_age": {"max_age": "PT1H"}, "/requests_per_second": {"requests_per_second": 1},
		"/policies": {"policies": []string{""}}, "/address": {"address": "x"}, "/approle/role_id": {"approle": settings{"role_id": ""}},
	} {
		var decoded identity.Settings
		if err := sdk.Decode(w.base().with(x).json(t), &decoded); err != nil {
			t.Fatal(err)
		}
		_, err := identity.New(w.pool)(w.ctx, sdk.Setup{Tenant: "t"}, decoded)
		if problems := sdk.Problems(err); len(problems) != 1 || problems[0].Path != at {
			t.Errorf("%v: %v, want a fault at %q", x, err, at)
		}
	}
}

// The longest are batch tokens, which have all in them: a caller may have one, and a login too.
func TestLongTokens(t *testing.T) {
	t.Parallel()
	w := newPeople(t, vaulttest.Dev(t))
	p := w.newProvider(t, w.base().with(settings{"require_entity": false}))
	long := w.NewToken(t, map[string]any{"type": "batch", "policies": []string{"default"}, "ttl": "1h", "meta": map[string]any{"x": strings.Repeat("x", 5500)}})
	if len(long) < 7<<10 || len(long) > client.MaxToken {
		t.Fatalf("it has %d bytes", len(long))
	}
	if _, err := p.Identify(w.ctx, bearer(long)); err != nil {
		t.Error(err)
	}
	if _, err := p.Identify(w.ctx, bearer(long+strings.Repeat("x", client.MaxToken))); reason(err) != "token_malformed" || !strings.Contains(err.Error(), "longer than 8192 bytes") {
		t.Error(err)
	}
	w.host.set("long", long)
	if _, err := w.open(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:long"})).Do(w.ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self"}); err != nil {
		t.Errorf("as a login: %v", err)
	}
}
