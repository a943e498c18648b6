//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keyset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock waits until nobody else changes the folder. The lock is on the folder itself: no file of it is left behind, and it
// ends with the process.
func (f *folder) lock() (unlock func(), err error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), dir.Close())
	}
	return func() { _ = dir.Close() }, nil // this unlocks it
}

// inode says which file it is.
func inode(info fs.FileInfo) any {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return nil
}

// giveTo gives a new file to the owner of the folder. Only root may do so, and only root needs to.
func giveTo(file *os.File, folder fs.FileInfo) error {
	s, ok := folder.Sys().(*syscall.Stat_t)
	if !ok || int(s.Uid) == os.Geteuid() {
		return nil
	}
	return file.Chown(int(s.Uid), int(s.Gid))
}
