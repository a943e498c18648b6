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

// Server is a PostgreSQL on a port of 127.0.0.1, and of 127.0.0.2 where the machine has it.
type Server struct {
	port   int
	binary string
	dir    string // of data/ and of the socket
	attr   *syscall.SysProcAttr
	cmd    *exec.Cmd
	gone   chan error // how the process ended
}

// DSN is the address of a database for the user test, who may do everything; the driver is "pgx".
func (p *Server) DSN(database string) string { return p.DSNAs("test", "", database) }

// Address is where it listens, as host:port.
func (p *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// DSNAs is the address of a database for a user. Passwords are not asked for.
func (p *Server) DSNAs(user, password, database string) string {
	if password != "" {
		user += ":" + password
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, p.Address(), database)
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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	setup := exec.CommandContext(ctx, initdb, "-D", filepath.Join(dir, "data"), "-U", "test", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8")
	setup.SysProcAttr, setup.Dir = attr, dir
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := &Server{port: freePort(t), binary: server, dir: dir, attr: attr}
	t.Cleanup(p.Stop)
	p.Restart(t)
	return p
}

// Restart starts the server again after [Server.Stop], at the same address, and waits until it answers.
func (p *Server) Restart(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var log capture.Buffer
	p.cmd = exec.Command(p.binary, "-D", p.data(), "-p", strconv.Itoa(p.port), "-k", p.dir, "-c", "listen_addresses=127.0.0.1,127.0.0.2", "-c", "fsync=off", "-c", "max_connections=400")
	p.cmd.SysProcAttr, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.attr, p.dir, &log, &log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.gone = make(chan error, 1)
	go func(cmd *exec.Cmd, gone chan error) { gone <- cmd.Wait() }(p.cmd, p.gone)
	p.await(ctx, t, &log)
}

// Stop ends the server at once, with all of its connections. The end of the test does so, too.
func (p *Server) Stop() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its children, too
	p.gone <- <-p.gone                        // how it ended does not matter
}

func (p *Server) data() string { return filepath.Join(p.dir, "data") }

// Write puts a file into the server's data folder, which only the server may read.
func (p *Server) Write(t testing.TB, name string, content []byte) {
	t.Helper()
	file := filepath.Join(p.data(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if p.attr.Credential != nil {
		if err := os.Chown(file, int(p.attr.Credential.Uid), int(p.attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Server) await(ctx context.Context, t testing.TB, log *capture.Buffer) {
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
		case end := <-p.gone:
			p.gone <- end
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
