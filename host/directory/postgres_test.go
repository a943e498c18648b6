package directory_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/directory/directorytest"
	"github.com/realmgate/realmgate/internal/pgtest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := &postgres{Server: pgtest.Start(t)}
	directorytest.Run(t, server.config)
	t.Run("NodesThatStartTogether", func(t *testing.T) {
		t.Parallel()
		openTogether(t, server.config(t))
	})
	t.Run("NewerDatabase", func(t *testing.T) {
		t.Parallel()
		refusesNewer(t, server.config(t), "pgx", func(c directory.Config) string { return c.DSN })
	})
}

func TestPostgresErrorsHideTheDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgres://u:hunter2@[::1/db", "host=127.0.0.1 port=x password=hunter2",
		"postgres://u:hunter2@127.0.0.1:1/db?sslmode=hunter2",
	} {
		_, err := directory.Open(t.Context(), directory.Config{Type: directory.TypePostgres, DSN: dsn})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

// postgres is a real server with a database for each test.
type postgres struct {
	*pgtest.Server
	databases atomic.Int64
}

// config makes an empty database.
func (p *postgres) config(tb testing.TB) directory.Config {
	tb.Helper()
	name := fmt.Sprintf("test%d", p.databases.Add(1))
	db, err := sql.Open("pgx", p.DSN("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// template0 is never connected to, so several tests can copy it at a time.
	if _, err := db.ExecContext(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatal(err)
	}
	return directory.Config{Type: directory.TypePostgres, DSN: p.DSN(name)}
}
