package child

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// User is whom a process runs as: this user, this group, no further groups. Own says that the user was given by
// [Starter.Take]: whatever is found of it before a process of it starts, and after it has ended, is ended.
type User struct {
	UID, GID uint32
	Own      bool
}

// admit says why no process may run as the user. That a process is the daemon's, or root's, is what a user is to prevent.
func (u User) admit() error {
	switch {
	case u.UID == 0:
		return errors.New("it is root")
	case u.UID == uint32(os.Geteuid()):
		return errors.New("it is the daemon's own user")
	case u.GID == 0:
		return errors.New("its group is that of root")
	case u.GID == uint32(os.Getegid()):
		return errors.New("its group is that of the daemon")
	}
	return MayBecome()
}

// enters says why the user cannot get into a directory, if it cannot: which one of those that lead there it may not enter.
func (u User) enters(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if !u.may(info, 0o111) {
			return fmt.Errorf("the directory %s cannot be entered by it (%v)", d, info.Mode())
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// may says whether the mode of a file lets the user do what the bits say, of which those count that are the user's.
func (u User) may(info fs.FileInfo, bits fs.FileMode) bool {
	const owner, group, others = 0o700, 0o070, 0o007
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case stat.Uid == u.UID:
		bits &= owner
	case stat.Gid == u.GID:
		bits &= group
	default:
		bits &= others
	}
	return info.Mode().Perm()&bits == bits
}

// settle makes a directory for sockets the user's, and sees to it that a process of an image can be started as it.
func (s *Starter) settle(u *User, i *Image, dir string) error {
	if u == nil {
		return nil
	}
	const passable = 0o711 // the names in it are found by nobody, and each is open to its own user only
	err := u.admit()
	if err == nil && u.Own {
		err = evict(u.UID)
	}
	if err == nil {
		err = os.Chmod(s.place.path, passable)
	}
	if err == nil {
		err = u.enters(s.place.path)
	}
	if err == nil && i.copy == nil {
		err = u.enters(filepath.Dir(i.program.Path))
	}
	if err == nil {
		err = os.Chown(dir, int(u.UID), int(u.GID))
	}
	if err != nil {
		return &Refusal{Reason: ReasonUser, Detail: fmt.Sprintf("cannot run as the user %d: %v", u.UID, err), Err: err}
	}
	return nil
}

// runsAs says why the process is not seen to be the user's. Where the system hides the processes of others (proc(5), hidepid), what
// a plugin leaves behind would be hidden, too.
func (p *Process) runsAs(u *User) error {
	if u == nil || isOf(p.PID(), u.UID) || p.Gone() {
		return nil
	}
	return &Refusal{Reason: ReasonUser, Detail: fmt.Sprintf("is not seen to run as the user %d: if /proc hides the processes of others (hidepid, ProtectProc=), the daemon needs CAP_SYS_PTRACE", u.UID)}
}

// home is the working directory of a process: the daemon's, so that a relative path means what it means in the rest of the
// configuration. A user who could not get there gets nothing of it handed on either.
func (u *User) home() string {
	if u == nil {
		return ""
	}
	dir, err := os.Getwd()
	if err != nil || u.enters(dir) != nil {
		return "/"
	}
	return dir
}

// dial connects to a process that has a user. What a name in its directory leads to is in that user's hands, and may be
// somebody else's socket: what counts is who listens there.
func (c *child) dial(ctx context.Context, _ string) (net.Conn, error) {
	c.mu.Lock()
	address := c.address
	c.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	if uid, err := peerOf(conn); err != nil || uid != c.user.UID {
		c.refuse(ReasonUser, "gave the socket of somebody else as its own")
		c.kill()
		return nil, errors.Join(errors.New("the socket is not that of the plugin's user"), err, conn.Close())
	}
	return conn, nil
}
