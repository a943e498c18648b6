package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// The kernel's word counts, not the mode of the socket: another user is cut off even if the file lets them in.
func TestAnotherUserIsCutOff(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := shortDir(t)
	at := filepath.Join(dir, "s")
	ln, err := Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	for path, mode := range map[string]os.FileMode{dir: 0o755, at: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	accepted := make(chan net.Conn, 2)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	type result struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine, and the user with it
		const keep, nobody = ^uintptr(0), 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, nobody, keep); errno != 0 {
			dialled <- result{nil, errno}
			return
		}
		conn, err := net.Dial("unix", at)
		dialled <- result{conn, err}
	}()
	r := <-dialled
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer func() { _ = r.conn.Close() }()
	_ = r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := r.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the connection is open: %v", err)
	}
	own, err := net.Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	_ = own.SetReadDeadline(time.Now().Add(5 * time.Second))
	_ = (<-accepted).Close() // the first one that was let in
	if _, err := own.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || len(accepted) != 0 {
		t.Errorf("another connection than our own was let in: %v", err)
	}
}
