//go:build !linux

package admin

import "net"

// mayConnect relies on the mode of the socket and its folder: only Linux is asked who is at the other end.
func mayConnect(*net.UnixConn) bool { return true }
