package lifecycle

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// A backup that is restored into the database of a daemon that runs hides no change that is made afterwards, however far behind
// its counts are, from anything that remembers: the decisions, the directory and the plugins. What nothing counts ends with a
// reload.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	g := newGate(t, long, func(*gate) string {
		return `realm "kept" {
  authentication {
    cache {
      max_age = "1h"
    }
    token_broker {
      secret = "urn:realmgate-secret:files:a"
    }
  }
}
`
	})
	g.Start()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(g.Dir, "data", "realmgate.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	for _, realm := range []string{"a", "kept"} { // one in which nothing is remembered of decisions, and one in which much is
		alice := g.client(realm, "alice", []string{"dev"}, "dev")[0]
		bob := g.client(realm, "bob", []string{"ops"}, "ops")[0]
		want := func(token string, status int, when string) {
			t.Helper()
			for range 2 {
				if a := g.Check(realm, token); a.Status != status {
					t.Errorf("realm %s, %s: %d %s", realm, when, a.Status, a.Text)
				}
			}
		}
		want(alice, http.StatusOK, "before")
		want(bob, http.StatusOK, "before")
		exec("UPDATE realms SET epoch = 1 WHERE name = '" + realm + "'")
		g.Operate("principal", "disable", "--realm", realm, "alice")
		want(alice, http.StatusForbidden, "disabled after a restore")
		want(bob, http.StatusOK, "another one")

		exec("UPDATE principals SET enabled = 0 WHERE name = 'bob'")
		g.Operate("reload")
		want(bob, http.StatusForbidden, "disabled behind the daemon's back, and reloaded")
		exec("UPDATE principals SET enabled = 1 WHERE name = 'bob'")
		g.Operate("reload")
		want(bob, http.StatusOK, "enabled likewise")
	}
}
