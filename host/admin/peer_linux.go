package admin

import (
	"net"
	"os"
	"syscall"
)

// mayConnect asks the kernel who is at the other end; who cannot be told may not.
func mayConnect(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	return err == nil && credErr == nil && mayUse(cred.Uid, uint32(os.Geteuid()))
}
