package vault

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/pgtest"
	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/secrets"
	"github.com/realmgate/realmgate/sdk"
)

// database is a server whose database engine makes users of a real PostgreSQL.
type database struct {
	*world
	db *sql.DB
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	pg := pgtest.Start(t)
	d := &database{world: newWorld(t, vaulttest.Dev(t))}
	var err error
	if d.db, err = sql.Open("pgx", pg.DSN("postgres")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.db.Close() })
	d.Do(t, http.MethodPost, "sys/mounts/database", map[string]any{"type": "database"})
	d.Do(t, http.MethodPost, "database/config/pg", map[string]any{
		"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": "test", "password": "x",
		"connection_url": pg.DSNAs("{{username}}", "{{password}}", "postgres"),
	})
	return d
}

func (d *database) role(t *testing.T, name, ttl, most string) {
	t.Helper()
	d.Do(t, http.MethodPost, "database/roles/"+name, map[string]any{
		"db_name": "pg", "default_ttl": ttl, "max_ttl": most,
		"creation_statements":   []string{`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`},
		"renew_statements":      []string{`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'`},
		"revocation_statements": []string{`DROP ROLE IF EXISTS "{{name}}"`},
	})
}

// exists says whether a user is in the database.
func (d *database) exists(t *testing.T, user string) bool {
	t.Helper()
	var n int
	if err := d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname = $1", user).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func (d *database) user(t *testing.T, st *secrets.Store, role string) string {
	t.Helper()
	user := d.read(t, st, "database/creds/"+role+"#username")
	if !d.exists(t, user) {
		t.Errorf("the user %s is not in the database", user)
	}
	return user
}

func TestDynamicSecrets(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	for name, x := range map[string]struct{ ttl, most string }{
		"fields": {"1h", "2h"}, "renewed": {"2s", "1h"}, "unused": {"2s", "1h"}, "closed": {"1h", "2h"}, "revoked": {"1h", "2h"}, "old": {"2s", "5s"},
		"a": {"1h", "2h"}, "b": {"1h", "2h"}, "c": {"1h", "2h"}, "kept": {"1h", "2h"},
	} {
		d.role(t, name, x.ttl, x.most)
	}

	t.Run("all fields are of one lease", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot().with(settings{"max_age": "PT1M"}))
		var whole struct{ Username, Password string }
		if err := json.Unmarshal([]byte(d.read(t, st, "database/creds/fields")), &whole); err != nil {
			t.Fatal(err)
		}
		if d.user(t, st, "fields") != whole.Username || d.read(t, st, "database/creds/fields#password") != whole.Password {
			t.Error("the fields are of several leases")
		}
		s, err := st.Resolve(d.ctx, ref("s:database/creds/fields"))
		if left := time.Until(s.CacheUntil); err != nil || left > time.Minute || left < 50*time.Second {
			t.Errorf("it may be kept for %v, %v", left, err)
		}
		if _, err := st.WriteSecret(d.ctx, ref("s:database/creds/fields"), nil); err == nil || !strings.Contains(err.Error(), "nothing can be written there") {
			t.Error(err)
		}
	})
	t.Run("renewed while in use", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot().with(settings{"max_age": "PT1M"}))
		first := d.user(t, st, "renewed")
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if user := d.user(t, st, "renewed"); user != first {
				t.Fatalf("the user changes from %s to %s", first, user)
			}
			s, _ := st.Resolve(d.ctx, ref("s:database/creds/renewed"))
			if left := time.Until(s.CacheUntil); left > 2*time.Second {
				t.Fatalf("it may be kept for %v, beyond its lease", left)
			}
		}
	})
	t.Run("left to its end when unused", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot())
		user := d.user(t, st, "unused")
		eventually(t, "the unused lease ends", func() bool { return !d.exists(t, user) })
		if again := d.user(t, st, "unused"); again == user {
			t.Error("a user that is gone is given again")
		}
	})
	t.Run("revoked on release", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot())
		user := d.user(t, st, "closed")
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if d.exists(t, user) {
			t.Error("the lease outlives the store")
		}
	})
	t.Run("revoked behind our back", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot())
		user := d.user(t, st, "revoked")
		if d.user(t, st, "revoked") != user {
			t.Error("each question makes a user")
		}
		d.Do(t, http.MethodPut, "sys/leases/revoke-prefix/database/creds/revoked", nil)
		if again := d.user(t, st, "revoked"); again == user {
			t.Error("a user that is gone is given again")
		}
	})
	t.Run("a fresh one before the greatest life ends", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot().with(settings{"max_age": "PT1M"}))
		users := map[string]bool{}
		for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			users[d.user(t, st, "old")] = true
		}
		if len(users) < 2 || len(users) > 4 {
			t.Errorf("%d users in 9 seconds", len(users))
		}
	})
	t.Run("a bounded number", func(t *testing.T) {
		t.Parallel()
		st := d.newStore(t, d.asRoot().with(settings{"max_leases": 2, "max_age": "PT1M"}))
		first := d.user(t, st, "a")
		d.user(t, st, "b")
		if _, err := st.Resolve(d.ctx, ref("s:database/creds/c")); err == nil || !strings.Contains(err.Error(), "max_leases") {
			t.Errorf("a third lease: %v", err)
		}
		short := d.newStore(t, d.asRoot().with(settings{"max_leases": 2}))
		idle := d.user(t, short, "a")
		eventually(t, "an idle lease gives room", func() bool {
			if user := d.user(t, short, "b"); user == first {
				t.Fatal("two stores share a lease")
			}
			_, err := short.Resolve(d.ctx, ref("s:database/creds/c"))
			return err == nil
		})
		if d.exists(t, idle) {
			t.Error("the idle lease was not revoked")
		}
	})
}

// A lease that stands by its time serves while the server is away; nothing new is made.
func TestDynamicSecretsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "kept", "1h", "2h")
	st := d.newStore(t, d.asRoot().with(settings{"timeout": "PT0.5S"}))
	user := d.user(t, st, "kept")
	d.Stop()
	if again := d.read(t, st, "database/creds/kept#username"); again != user {
		t.Errorf("%s, then %s", user, again)
	}
	_, err := st.Resolve(d.ctx, ref("s:database/creds/other"))
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Error(err)
	}
}

// What a login got ends with its token: a fresh login gets a fresh lease.
func TestLeasesEndWithTheirLogin(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "2h")
	d.Policy(t, "dyn", `path "database/creds/r" { capabilities = ["read"] }`)
	d.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	d.Do(t, http.MethodPost, "auth/approle/role/app", map[string]any{"token_policies": "dyn", "token_ttl": "1h", "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"})
	id, _ := d.Do(t, http.MethodGet, "auth/approle/role/app/role-id", nil)["role_id"].(string)
	st := d.newStore(t, d.base().with(settings{"approle": settings{"role_id": id}}))
	user := d.user(t, st, "r")
	d.Do(t, http.MethodPut, "sys/leases/revoke-prefix/auth/approle/login", nil)
	eventually(t, "the user goes with the token", func() bool { return !d.exists(t, user) })
	if again := d.user(t, st, "r"); again == user {
		t.Error("a user that is gone is given again")
	}
	user = d.user(t, st, "r")
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	// The policy does not let the store revoke a lease, but its token goes, and takes the lease along.
	eventually(t, "the user goes with the store", func() bool { return !d.exists(t, user) })
}
