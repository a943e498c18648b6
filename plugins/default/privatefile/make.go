package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeDir makes a folder that only its owner may use (mode 0700), with those above it that are missing. One that is there
// stays as it is. What root makes belongs to the owner of the folder that it is in, see [GiveTo].
func MakeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := MakeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // what else it may be is found out when it is opened
	}
	if err != nil {
		return err
	}
	made, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	above, err := os.Stat(filepath.Dir(dir))
	if err == nil {
		err = GiveTo(made, above)
	}
	return errors.Join(err, made.Close())
}

// CanMake says whether [MakeDir] could make a folder, as far as that can be told without doing it.
func CanMake(dir string) error {
	for {
		above := filepath.Dir(dir)
		_, err := os.Stat(above)
		if errors.Is(err, fs.ErrNotExist) && above != dir {
			dir = above
			continue
		}
		if err == nil {
			const write = 2 // W_OK
			err = syscall.Access(above, write)
		}
		if err != nil {
			return &fs.PathError{Op: "make a folder in", Path: above, Err: err}
		}
		return nil
	}
}

// GiveTo gives a new file to the owner of a folder, so that a command of root's leaves nothing behind that the daemon's own
// user cannot open. Only root may do so, and only root needs to: for anybody else it does nothing.
func GiveTo(file *os.File, folder fs.FileInfo) error {
	s, ok := folder.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || s.Uid == 0 {
		return nil
	}
	return file.Chown(int(s.Uid), int(s.Gid))
}
