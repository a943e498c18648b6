//go:build unix && !linux

package child

import (
	"errors"
	"net"
	"os/exec"
)

var errLinuxOnly = errors.New("plugins run as other users on Linux only")

// MayBecome says why the host cannot start processes of other users.
func MayBecome() error { return errLinuxOnly }

func (*User) become(*exec.Cmd) {}

func peerOf(net.Conn) (uint32, error) { return 0, errLinuxOnly }

func evict(uint32) error { return errLinuxOnly }

func isOf(int, uint32) bool { return false }

func processesOf(uint32) []int { return nil }
