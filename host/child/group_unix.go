//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

// renounce can be had on Linux only.
func renounce() error { return nil }

// isolate gives the process its own group. A death signal is known to Linux only: elsewhere a host that is killed leaves
// its plugins behind.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// waitable is false: waiting without freeing the process id is not to be had everywhere.
func waitable(int) bool { return false }

// killGroup ends the process group that pid leads.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) } // nothing left to kill is what is wanted
