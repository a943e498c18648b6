package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/oidctest"
	"github.com/realmgate/realmgate/internal/pgtest"
)

const (
	folder   = "examples/realmgate-plugin-postgres"
	password = "s3cret-of-the-example"
	address  = `"postgres://realmgate@db.example.com:5432/app"` // in the example's configuration
)

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

// binary is the plugin, under a name by which a daemon does not find it.
func binary(t *testing.T) string { return buildtest.Command(t, folder, "postgres-authenticator") }

func file(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(buildtest.Root(t), folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// exampleDatabase makes the tables of the README, and has the server ask the example's user for its password.
func exampleDatabase(t *testing.T, server *pgtest.Server) *sql.DB {
	t.Helper()
	admin := openDatabase(t, server.DSN("postgres"))
	execute(t, admin, `CREATE DATABASE app`, `CREATE ROLE realmgate LOGIN PASSWORD '`+password+`'`)
	db := openDatabase(t, server.DSN("app"))
	execute(t, db, doctest.Only(t, "examples/realmgate-plugin-postgres/README.md", "sql"),
		`INSERT INTO principals VALUES (1, 'acme', 'eve', true), (2, 'acme', 'bob', false), (3, 'other', 'zoe', true), (4, 'other', 'eve', true)`,
		`INSERT INTO principal_roles VALUES (1, 'ops'), (1, 'dev'), (2, 'dev'), (3, 'dev'), (4, 'admin')`)
	server.Write(t, "pg_hba.conf", []byte("host all realmgate all scram-sha-256\nhost all all all trust\n"))
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

// gate is a daemon with the example's configuration, and the provider whose tokens it takes.
type gate struct {
	*daemontest.Daemon
	t   *testing.T
	idp *oidctest.Provider
}

// start runs a daemon with the example's realm, acme, at a database, and with further realms: each is the example's with texts in
// it replaced, old and new by turns.
func start(t *testing.T, url string, further map[string][]string) *gate {
	t.Helper()
	secrets := t.TempDir()
	if err := os.Chmod(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "postgres"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, idp: oidctest.Start(t, oidctest.Options{})}
	above, realm, ok := strings.Cut(file(t, "realmgate.hcl"), "realm \"acme\" {\n")
	if !ok {
		t.Fatal("the example has no realm acme")
	}
	hcl := strings.NewReplacer("/usr/local/libexec/realmgate/realmgate-plugin-postgres", binary(t), "/etc/realmgate/secrets", secrets,
		"https://idp.example.com", g.idp.Issuer).Replace(above)
	further["acme"] = nil
	for name, changes := range further {
		text := strings.NewReplacer(append(changes, address, fmt.Sprintf("%q\n      cache_for = \"PT0S\"", url))...).Replace(realm)
		for n := 0; n < len(changes); n += 2 {
			if !strings.Contains(realm, changes[n]) {
				t.Fatalf("the example has no %s", changes[n])
			}
		}
		hcl += fmt.Sprintf("\nrealm %q {\n%s", name, text)
	}
	g.Daemon = daemontest.New(t, daemontest.Options{HCL: "directory {\n  path = \"data/realmgate.db\"\n}\n" + hcl})
	g.Start()
	return g
}

func (g *gate) token(name, role string) string {
	g.t.Helper()
	return g.idp.Token(g.t, oidctest.TokenOptions{Claims: map[string]any{"sub": name, "roles": []string{"PRINCIPAL_ROLE:" + role}}})
}

// want asks about a principal with a token of its own: for the roles where it is let in, or for the reason.
func (g *gate) want(realm, name, role string, status int, want string) {
	g.t.Helper()
	g.wantOf(realm, name, g.token(name, role), status, want)
}

func (g *gate) wantOf(realm, name, token string, status int, want string) {
	g.t.Helper()
	a := g.Check(realm, token)
	who, roles := a.Who()
	if a.Status == status && (status == 200 && roles == want || status == 403 && who == want || status == 503) {
		return
	}
	g.t.Errorf("%s in %s: %d %v %s, want %d %q", name, realm, a.Status, a.Header, a.Text, status, want)
}
