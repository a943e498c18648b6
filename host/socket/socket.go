package socket

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
var ErrInUse = errors.New("another process listens on the socket")

// tmpName is how long the name is, in the socket's folder, under which a socket is bound first: "/.s", a number, "/s".
const tmpName = len("/.s4294967295/s")

// Listen opens a socket at path: mode 0600, its folder made with 0700 where it is missing. A socket that nobody
// listens on any more is replaced; anything else at path is an error. Of processes that start at once the lock on path.lock
// lets one go on; the file stays, since who removes it may take it from another. The listener takes connections of the
// process's own user and of root only (where the system tells who connects), and removes the socket when it is closed.
func Listen(path string) (_ net.Listener, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("socket %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	if len(path) > maxSocketPath || len(dir)+tmpName > maxSocketPath {
		return nil, fmt.Errorf("the path is too long: it may have %d bytes, its folder %d", maxSocketPath, maxSocketPath-tmpName)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := tryLock(lock); err != nil {
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
	return &listener{UnixListener: ln, path: path, info: info, lock: lock}, nil
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
	lock *os.File // held until it is closed
}

// Accept gives the next connection of a peer that may use the socket; others are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if who, ok := peerOf(c); ok {
			return &peerConn{c, who}, nil
		}
		_ = c.Close()
	}
}

// peer is who is at the other end of the socket, as an address: "uid=0 pid=123".
type peer string

// Network gives the kind of address.
func (peer) Network() string { return "unix" }

// String gives the peer.
func (p peer) String() string { return string(p) }

// peerConn is a connection that names its peer as its remote address, so that what is done over it can be told by whom.
type peerConn struct {
	*net.UnixConn
	peer peer
}

// RemoteAddr gives the peer.
func (c *peerConn) RemoteAddr() net.Addr { return c.peer }

// Close stops listening and removes the socket, if it is still ours.
func (l *listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		_ = os.Remove(l.path)
	}
	return errors.Join(l.UnixListener.Close(), l.lock.Close())
}

// mayUse says whether a user may use the socket of a process that runs as self.
func mayUse(uid, self uint32) bool { return uid == 0 || uid == self }
