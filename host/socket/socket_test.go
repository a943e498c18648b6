package socket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// kill leaves a socket as a daemon does that was killed.
func kill(t *testing.T, ln net.Listener) {
	t.Helper()
	l := ln.(*listener)
	if err := errors.Join(l.UnixListener.Close(), l.lock.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestSocket(t *testing.T) {
	dir := shortDir(t)
	at := filepath.Join(dir, "run", "s")
	ln, err := Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{at: 0o600, filepath.Dir(at): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	if _, err := Listen(at); !errors.Is(err, ErrInUse) {
		t.Errorf("a second daemon: %v", err)
	}
	kill(t, ln)
	if ln, err = Listen(at); err != nil {
		t.Fatalf("a stale socket is not replaced: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
	if err := os.WriteFile(at, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(at); err == nil {
		t.Error("a file is replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "run", ".s*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Of daemons that find a stale socket at the same moment one gets it.
func TestOneOfManyGetsTheSocket(t *testing.T) {
	at := filepath.Join(shortDir(t), "s")
	for range 20 {
		ln, err := Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		kill(t, ln)
		var wg sync.WaitGroup
		won := make(chan net.Listener, 8)
		for range cap(won) {
			wg.Go(func() {
				ln, err := Listen(at)
				switch {
				case err == nil:
					won <- ln
				case !errors.Is(err, ErrInUse):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			t.Errorf("%d daemons have the socket", len(won))
		}
		for ln := range won {
			if c, err := net.Dial("unix", at); err != nil {
				t.Error(err)
			} else {
				_ = c.Close()
			}
			_ = ln.Close()
		}
	}
}

func TestPathThatIsTooLong(t *testing.T) {
	dir := shortDir(t)
	for _, at := range []string{
		filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir))),
		filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)-5), "s"),
	} {
		if _, err := Listen(at); err == nil || !strings.Contains(err.Error(), "too long: it may have 1") {
			t.Errorf("%d bytes: %v", len(at), err)
		}
	}
	at := filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)-tmpName-1), strings.Repeat("s", tmpName-1))
	ln, err := Listen(at)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(at), err)
	}
	defer func() { _ = ln.Close() }()
	c, err := net.Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestWhoMayUse(t *testing.T) {
	for _, tt := range []struct {
		uid, self uint32
		want      bool
	}{{0, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {1000, 0, false}, {65534, 1000, false}} {
		if mayUse(tt.uid, tt.self) != tt.want {
			t.Errorf("uid %d of a daemon of %d: %v", tt.uid, tt.self, !tt.want)
		}
	}
}

// shortDir gives a folder whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
