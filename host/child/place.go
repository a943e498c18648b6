package child

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	placePattern = "rg"   // what the names of places begin with; short, for the sake of the sockets
	lockName     = "lock" // the file in a place that its owner has locked
)

// place is a private directory that tells, by a lock, whether the host that made it lives: the system gives the lock up
// however that host ends.
type place struct {
	path string

	mu   sync.Mutex
	lock *os.File
	over bool // it was removed for good
}

// newPlace makes a place below base, of mode 0700.
func newPlace(base string) (_ *place, err error) {
	p := &place{}
	if p.path, err = os.MkdirTemp(base, placePattern); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.remove())
		}
	}()
	return p, p.claim()
}

// claim locks the place.
func (p *place) claim() (err error) {
	name := filepath.Join(p.path, lockName)
	if p.lock, err = os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if err = unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return &fs.PathError{Op: "lock", Path: p.lock.Name(), Err: err}
	}
	return os.Rename(name+".new", name) // so that nobody sees it without its lock
}

// restore makes a place that something removed once more, where it was: processes and control groups are known by it. It
// says whether there was anything to do.
func (p *place) restore() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false, ErrClosed
	}
	if _, err := os.Lstat(p.path); err == nil {
		return false, nil // somebody else was quicker
	}
	if err := os.Mkdir(p.path, 0o700); err != nil {
		return false, err
	}
	gone := p.lock
	if err := p.claim(); err != nil {
		p.lock = gone
		return false, errors.Join(err, os.RemoveAll(p.path))
	}
	_ = gone.Close() // of a file that is no more
	return true, nil
}

// remove removes the place and all that is in it. What cannot be removed now is swept by a later host.
func (p *place) remove() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	err := os.RemoveAll(p.path)
	if p.lock != nil {
		_ = p.lock.Close() // it was only locked
	}
	return err
}

// stale lists the places below base whose owners have ended, locked for the caller. Only those of the own user count.
func stale(base string) (out []*place) {
	all, err := filepath.Glob(filepath.Join(base, placePattern+"*"))
	if err != nil {
		return nil
	}
	for _, path := range all {
		info, err := os.Lstat(path)
		if err != nil || !private(info) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_WRONLY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // none of ours, or not ready yet
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = lock.Close() // its owner lives
			continue
		}
		out = append(out, &place{path: path, lock: lock})
	}
	return out
}

// private says whether it is a directory in which nobody but the own user can make or find anything.
func private(info fs.FileInfo) bool {
	return info.Mode()&^0o011 == fs.ModeDir|0o700 && mine(info)
}

func mine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
