package directory_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/directory/directorytest"
	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/need"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := startPostgres(t)
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

// postgres is a real server that the test started.
type postgres struct {
	port      int
	databases atomic.Int64
}

func (p *postgres) dsn(database string) string {
	return fmt.Sprintf("postgres://test@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// config makes an empty database.
func (p *postgres) config(tb testing.TB) directory.Config {
	tb.Helper()
	name := fmt.Sprintf("test%d", p.databases.Add(1))
	db, err := sql.Open("pgx", p.dsn("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// template0 is never connected to, so several tests can copy it at a time.
	if _, err := db.ExecContext(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatal(err)
	}
	return directory.Config{Type: directory.TypePostgres, DSN: p.dsn(name)}
}

// startPostgres starts a server without durability in a folder of its own; it ends with the test.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	initdb, server := need.Command(t, "initdb", versions...), need.Command(t, "postgres", versions...)
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 { // the server refuses to run as root
		attr.Credential = nobody(t, dir)
	}
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	setup := exec.CommandContext(ctx, initdb, "-D", data, "-U", "test", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8")
	setup.SysProcAttr, setup.Dir = attr, dir
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := &postgres{port: freePort(t)}
	cmd := exec.Command(server, "-D", data, "-p", strconv.Itoa(p.port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=400")
	cmd.SysProcAttr, cmd.Dir = attr, dir
	var log capture.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // at once, children too
		<-gone                                  //nolint:errcheck // how the server ended does not matter
	})
	p.await(ctx, t, gone, &log)
	return p
}

func (p *postgres) await(ctx context.Context, t *testing.T, gone chan error, log *capture.Buffer) {
	t.Helper()
	db, err := sql.Open("pgx", p.dsn("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for {
		if err = db.PingContext(ctx); err == nil {
			return
		}
		select {
		case end := <-gone:
			gone <- end
			t.Fatalf("the server ended: %v: %s", end, log)
		case <-ctx.Done():
			t.Fatalf("%v: %s", err, log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// nobody gives the user under which a server runs when the test is root, and the folder to that user.
func nobody(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU != nil || errG != nil {
			continue
		}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	need.Missing(t, "there is no user but root for the server")
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
