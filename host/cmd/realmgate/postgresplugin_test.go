package main

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/internal/pgtest"
)

const examplePassword = "s3cret-of-the-example"

// The example's authenticator finds principals in a real database, by the configuration and the tables of its README, with a
// password that the server asks for. A database that lets nobody in is unavailable, and denies nobody.
func TestThirdPartyAuthenticator(t *testing.T) {
	example := filepath.Join(buildtest.Root(t), "examples", "realmgate-plugin-postgres")
	server := pgtest.Start(t)
	db := exampleDatabase(t, server)
	secrets := t.TempDir()
	if err := os.Chmod(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "postgres"), []byte(examplePassword), 0o600); err != nil {
		t.Fatal(err)
	}
	idp := oidctest.Start(t, oidctest.Options{})
	config, err := os.ReadFile(filepath.Join(example, "realmgate.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, strings.NewReplacer(
		"/usr/local/libexec/realmgate/realmgate-plugin-postgres", buildtest.Command(t, "examples/realmgate-plugin-postgres", "postgres-authenticator"),
		"/etc/realmgate/secrets", secrets,
		"https://idp.example.com", idp.Issuer,
		`"postgres://realmgate@db.example.com:5432/app"`, `"`+server.DSNAs("realmgate", "", "app")+`"`+"\n      cache_for = \"PT0S\"",
	).Replace(string(config)))
	check := func(name, role string, status int, want string) {
		t.Helper()
		a := d.check("acme", idp.Token(t, oidctest.TokenOptions{Claims: map[string]any{"sub": name, "roles": []string{"PRINCIPAL_ROLE:" + role}}}))
		got := a.header.Get("Realmgate-Roles")
		if status == http.StatusForbidden {
			got = a.reason()
		}
		if a.status != status || got != want {
			t.Errorf("%s: %d %v %s, want %d %q", name, a.status, a.header, a.text, status, want)
		}
	}
	check("eve", "ALL", http.StatusOK, "dev,ops")
	check("eve", "dev", http.StatusOK, "dev")
	check("eve", "admin", http.StatusForbidden, "role_not_granted")
	check("bob", "ALL", http.StatusForbidden, "principal_disabled")
	check("mallory", "ALL", http.StatusForbidden, "principal_unknown")
	check("zoe", "ALL", http.StatusForbidden, "principal_unknown") // of another realm

	execute(t, db, `ALTER ROLE realmgate NOLOGIN`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'realmgate'`)
	check("eve", "ALL", http.StatusServiceUnavailable, "") // its connection ended
	check("eve", "ALL", http.StatusServiceUnavailable, "") // and there is no new one
	execute(t, db, `ALTER ROLE realmgate LOGIN`)
	check("eve", "ALL", http.StatusOK, "dev,ops")
}

// exampleDatabase makes the tables of the README, and lets the server ask the example's user for its password.
func exampleDatabase(t *testing.T, server *pgtest.Server) *sql.DB {
	t.Helper()
	admin := openDatabase(t, server.DSN("postgres"))
	execute(t, admin, `CREATE DATABASE app`, `CREATE ROLE realmgate LOGIN PASSWORD '`+examplePassword+`'`)
	db := openDatabase(t, server.DSN("app"))
	execute(t, db, doctest.Only(t, "examples/realmgate-plugin-postgres/README.md", "sql"),
		`INSERT INTO principals VALUES (1, 'acme', 'eve', true), (2, 'acme', 'bob', false), (3, 'other', 'zoe', true)`,
		`INSERT INTO principal_roles VALUES (1, 'ops'), (1, 'dev'), (2, 'dev'), (3, 'dev')`)
	var file string
	if err := db.QueryRow(`SHOW hba_file`).Scan(&file); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append([]byte("host all realmgate all scram-sha-256\n"), rules...), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, db, `SELECT pg_reload_conf()`)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for { // the server reads its rules in its own time
		stranger := openDatabase(t, server.DSNAs("realmgate", "wrong", "app"))
		if err := stranger.PingContext(ctx); err != nil && ctx.Err() == nil {
			return db
		}
		if ctx.Err() != nil {
			t.Fatal("the server does not ask for the password")
		}
	}
}

func openDatabase(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
