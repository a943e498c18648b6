package admin

import (
	"net"
	"os"
	"strconv"
	"syscall"
)

// maxSocketPath is what fits into sun_path, with the NUL behind it.
const maxSocketPath = 107

// mayConnect asks the kernel who is at the other end; who cannot be told may not.
func mayConnect(conn *net.UnixConn) (uid string, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", false
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return "", false
	}
	return strconv.FormatUint(uint64(cred.Uid), 10), mayUse(cred.Uid, uint32(os.Geteuid()))
}
