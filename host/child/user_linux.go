package child

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a daemon that is not root needs to start processes of other users, to reach them, and to end them.
var needed = []struct {
	bit  int
	name string
}{
	{unix.CAP_CHOWN, "CAP_CHOWN"}, {unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}, {unix.CAP_KILL, "CAP_KILL"}, {unix.CAP_SETGID, "CAP_SETGID"},
	{unix.CAP_SETUID, "CAP_SETUID"},
}

// MayBecome says why the host cannot start processes of other users; nil if it can.
func MayBecome() error {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	var missing []string
	for _, c := range needed {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the daemon is not root and lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

// become has a process run as the user, in a session of its own: it must not reach the daemon's terminal.
func (u *User) become(cmd *exec.Cmd) {
	if u == nil {
		return
	}
	a := cmd.SysProcAttr
	a.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID} // without Groups it has none
	a.Setpgid, a.Setsid = false, true
	cmd.Dir = u.home()
}

// peerOf gives the user who made the socket at the other end listen.
func peerOf(conn net.Conn) (uint32, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var fault error
	if err := raw.Control(func(fd uintptr) { peer, fault = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if fault != nil {
		return 0, fault
	}
	return peer.Uid, nil
}

// evict ends all processes of a user; an error if some do not end.
func evict(uid uint32) error {
	for end := time.Now().Add(StopGrace); ; time.Sleep(time.Millisecond) { // the system is ending them
		left := processesOf(uid)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			killIf(pid, func() bool { return isOf(pid, uid) })
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d processes of the user %d do not end", len(left), uid)
		}
	}
}

// processesOf lists the processes of a user that live.
func processesOf(uid uint32) (out []int) {
	for pid := range parents() {
		if isOf(pid, uid) {
			out = append(out, pid)
		}
	}
	return out
}

// isOf says whether a living process is a user's by any of its user ids (proc_pid_status(5)).
func isOf(pid int, uid uint32) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false // it has ended
	}
	found := false
	for line := range strings.Lines(string(text)) {
		switch f := strings.Fields(line); {
		case len(f) > 1 && f[0] == "State:" && (f[1] == "Z" || f[1] == "X"):
			return false
		case len(f) > 1 && f[0] == "Uid:":
			for _, id := range f[1:] {
				found = found || id == strconv.FormatUint(uint64(uid), 10)
			}
		}
	}
	return found
}
