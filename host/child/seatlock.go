package child

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// seatsDir is where daemons of one machine lock the users that they have taken from ranges. It is root's alone, as is what lies
// above it: no plugin can be in the way there.
const seatsDir = "/run/realmgate-users"

// lockSeat marks a user as taken, for all daemons that share the directory and until this process ends; nil if another daemon
// has taken it. The file stays, empty, for the next one.
func lockSeat(ctx context.Context, dir string, uid uint32) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := privateDir(dir); err != nil {
		return nil, fmt.Errorf("daemons lock the users that they have taken from a range in %s, which this one cannot have: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.FormatUint(uint64(uid), 10)), os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return f, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, f.Close()
	default:
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: f.Name(), Err: err}, f.Close())
	}
}

// privateDir makes a directory that only root, and who may do what root does, gets into, or says why the one that is there is not such.
func privateDir(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		if err := os.Chown(dir, 0, 0); err != nil { // so that daemons of other users take it, too
			return errors.Join(err, os.Remove(dir))
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode() != fs.ModeDir|0o700 || stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it must be a directory of root with mode drwx------, and is %v", info.Mode())
	}
	return nil
}
