package postgres

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/pgtest"
)

// The example's authenticator finds principals in a real database, by the configuration and the tables of its README, with a
// password that the server asks for. A database that lets nobody in, or is gone, is unavailable, and denies nobody.
func TestAuthenticator(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := exampleDatabase(t, server)
	url := server.DSNAs("realmgate", "", "app")
	g := start(t, url, map[string][]string{
		"loose":    {"p.realm = $3::text", "$3::text <> ''"}, // which answers every eve
		"blind":    {" AND p.realm = $3::text", ""},
		"narrow":   {address, `"` + url + "\"\n      cache_for = \"PT0S\"\n      max_connections = 1", "p.enabled,", slow},
		"remember": {address, `"` + url + "\"\n      cache_for = \"PT1M\"", "p.realm = $3::text", "p.realm = 'acme' AND $3::text <> ''"},
	})
	g.want("acme", "eve", "ALL", http.StatusOK, "dev,ops")
	g.want("acme", "eve", "dev", http.StatusOK, "dev")
	g.want("acme", "eve", "admin", http.StatusForbidden, "role_not_granted")
	g.want("acme", "bob", "ALL", http.StatusForbidden, "principal_disabled")
	g.want("acme", "mallory", "ALL", http.StatusForbidden, "principal_unknown")
	g.want("acme", "zoe", "ALL", http.StatusForbidden, "principal_unknown") // of another realm

	t.Run("two rows", func(t *testing.T) {
		g.want("loose", "eve", "ALL", http.StatusServiceUnavailable, "")
		g.want("loose", "zoe", "ALL", http.StatusOK, "dev")
		if log := g.Log.String(); !strings.Contains(log, "too many rows") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
	t.Run("a query that minds no realm", func(t *testing.T) {
		g.want("blind", "zoe", "ALL", http.StatusServiceUnavailable, "")
		if log := g.Log.String(); !strings.Contains(log, "cannot do its work now: the query has 2 parameters, and not $1") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
	t.Run("names", func(t *testing.T) { names(t, g, db) })
	t.Run("connections", func(t *testing.T) { connections(t, g, db) })
	t.Run("remembered", func(t *testing.T) { remembered(t, g, db) })

	execute(t, db, `ALTER ROLE realmgate NOLOGIN`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'realmgate'`)
	g.want("acme", "eve", "ALL", http.StatusServiceUnavailable, "") // its connection ended
	g.want("acme", "eve", "ALL", http.StatusServiceUnavailable, "") // and there is no new one
	execute(t, db, `ALTER ROLE realmgate LOGIN`)
	g.want("acme", "eve", "ALL", http.StatusOK, "dev,ops")

	server.Stop()
	for _, name := range []string{"eve", "bob", "mallory"} {
		g.want("acme", name, "ALL", http.StatusServiceUnavailable, "")
	}
	server.Restart(t)
	g.want("acme", "eve", "ALL", http.StatusOK, "dev,ops")
	g.want("acme", "mallory", "ALL", http.StatusForbidden, "principal_unknown")
}

// A name is a value, whatever it looks like.
func names(t *testing.T, g *gate, db *sql.DB) {
	for _, name := range []string{
		`' OR '1'='1`, `eve' --`, `eve'; DROP TABLE principals; --`, `"; SELECT pg_sleep(10); --`, `$1`, `%`, `eve%`, `\' OR true --`,
		"eve\x00", "\x00", "EVE", "eve\n", "ev\u0435", strings.Repeat("n", 1024),
	} {
		g.want("acme", name, "ALL", http.StatusForbidden, "principal_unknown")
	}
	odd := `o'brien"; --$2`
	execute(t, db, `INSERT INTO principals VALUES (9, 'acme', 'o''brien"; --$2', true)`, `INSERT INTO principal_roles VALUES (9, 'dev')`)
	g.want("acme", odd, "ALL", http.StatusOK, "dev")
}

// slow makes the query of a principal called slow wait for a lock.
const slow = "p.enabled AND CASE WHEN p.name = 'slow' THEN pg_advisory_xact_lock_shared(7) IS NOT NULL ELSE true END,"

// A realm that has no connection to spare waits for one, and cannot tell when its time is over. It never has more than it may.
func connections(t *testing.T, g *gate, db *sql.DB) {
	execute(t, db, `INSERT INTO principals VALUES (10, 'narrow', 'slow', true), (11, 'narrow', 'ann', true)`, `INSERT INTO principal_roles VALUES (10, 'dev'), (11, 'dev')`)
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(t.Context(), `SELECT pg_advisory_lock(7)`); err != nil {
		t.Fatal(err)
	}
	slow, ann := g.token("slow", "ALL"), g.token("ann", "ALL")
	var both sync.WaitGroup
	both.Go(func() { g.wantOf("narrow", "slow", slow, http.StatusServiceUnavailable, "") }) // for want of an answer
	await(t, db, `SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
	both.Go(func() { // who waits for its connection outlasts it by a moment, and may have it then
		if a := g.Check("narrow", ann); a.Status != http.StatusServiceUnavailable && a.Status != http.StatusOK {
			t.Errorf("ann, who waits for a connection: %d %s", a.Status, a.Text)
		}
	})
	both.Wait()
	if _, err := lock.ExecContext(t.Context(), `SELECT pg_advisory_unlock(7)`); err != nil {
		t.Fatal(err)
	}
	g.wantOf("narrow", "slow", slow, http.StatusOK, "dev")
	await(t, db, `SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'realmgate' AND query LIKE '%pg_advisory%'`)
	for range 16 {
		token := g.token("ann", "ALL")
		both.Go(func() { g.wantOf("narrow", "ann", token, http.StatusOK, "dev") })
	}
	both.Wait()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE usename = 'realmgate' AND query LIKE '%pg_advisory%'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d connections, %v", n, err)
	}
	execute(t, db, `ALTER ROLE realmgate CONNECTION LIMIT 0`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'realmgate'`)
	for range 2 { // where its connection ended, and where it gets no other
		g.want("narrow", "ann", "ALL", http.StatusServiceUnavailable, "")
	}
	execute(t, db, `ALTER ROLE realmgate CONNECTION LIMIT -1`)
	g.want("narrow", "ann", "ALL", http.StatusOK, "dev")
}

// await waits until a query answers true.
func await(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for done := false; !done; time.Sleep(5 * time.Millisecond) {
		if err := db.QueryRowContext(ctx, query).Scan(&done); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

// What was answered is remembered for as long as cache_for says, for the very token, and not at all if it says so.
func remembered(t *testing.T, g *gate, db *sql.DB) {
	kept, asked := g.token("eve", "dev"), g.token("eve", "dev")
	for _, realm := range []string{"remember", "acme"} {
		g.wantOf(realm, "eve", kept, http.StatusOK, "dev")
	}
	execute(t, db, `UPDATE principals SET enabled = false WHERE id = 1`)
	g.wantOf("remember", "eve, as before", kept, http.StatusOK, "dev")
	g.wantOf("remember", "eve, with another token", asked, http.StatusForbidden, "principal_disabled")
	g.wantOf("acme", "eve", kept, http.StatusForbidden, "principal_disabled")
	execute(t, db, `UPDATE principals SET enabled = true WHERE id = 1`)
	g.wantOf("acme", "eve", kept, http.StatusOK, "dev")
	g.wantOf("remember", "eve, as before", asked, http.StatusForbidden, "principal_disabled")
}
