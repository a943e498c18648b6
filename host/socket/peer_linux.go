package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// maxSocketPath is what fits into sun_path, with the NUL behind it.
const maxSocketPath = 107

// peerOf asks the kernel who is at the other end; who cannot be told may not connect.
func peerOf(conn *net.UnixConn) (peer, bool) {
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
	return peer(fmt.Sprintf("uid=%d pid=%d", cred.Uid, cred.Pid)), mayUse(cred.Uid, uint32(os.Geteuid()))
}
