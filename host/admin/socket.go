package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrInUse says that another process answers on the socket.
var ErrInUse = errors.New("another process listens on the admin socket")

// Listen opens the admin socket at path: mode 0600, its folder made with 0700 where it is missing. A socket that nobody
// listens on any more is replaced; anything else at path is an error. The listener takes connections of the daemon's own
// user and of root only (where the system tells who connects), and removes the socket when it is closed.
func Listen(path string) (_ net.Listener, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("admin socket %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := stale(path); err != nil {
		return nil, err
	}
	// Bound in a folder of our own and moved once its mode is right: there is no moment at which others could connect.
	tmp, err := os.MkdirTemp(dir, ".s")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	at := filepath.Join(tmp, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	info, err := prepare(at, path)
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	return &listener{UnixListener: ln, path: path, info: info}, nil
}

func prepare(at, path string) (fs.FileInfo, error) {
	if err := os.Chmod(at, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(at, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// stale makes sure that path may be taken.
func stale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something that is not a socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return ErrInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether it is in use: %w", err)
	}
	return nil
}

type listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

// Accept gives the next connection of a peer that may use the API; others are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if mayConnect(conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// Close stops listening and removes the socket, if it is still ours.
func (l *listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// mayUse says whether a user may use the API of a daemon that runs as self.
func mayUse(uid, self uint32) bool { return uid == 0 || uid == self }
