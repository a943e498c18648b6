package pgtest

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
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/need"
)

// Server is a running PostgreSQL on a loopback port.
type Server struct{ port int }

// DSN is the address of a database for the user test, who may do everything; the driver is "pgx".
func (p *Server) DSN(database string) string { return p.DSNAs("test", "", database) }

// DSNAs is the address of a database for a user. Passwords are not asked for.
func (p *Server) DSNAs(user, password, database string) string {
	if password != "" {
		user += ":" + password
	}
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, p.port, database)
}

// Start runs a server without durability in a folder of its own until the test ends.
func Start(t testing.TB) *Server {
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
	p := &Server{port: freePort(t)}
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

func (p *Server) await(ctx context.Context, t testing.TB, gone chan error, log *capture.Buffer) {
	t.Helper()
	db, err := sql.Open("pgx", p.DSN("postgres"))
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
func nobody(t testing.TB, dir string) *syscall.Credential {
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

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
