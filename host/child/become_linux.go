package child

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// meet becomes the plugin; it returns only if that fails.
func (f fate) meet() error {
	const first = 3 // after standard error
	if f.Path == "" {
		unix.CloseOnExec(first)
		f.Path = descriptor(first)
	}
	for _, l := range f.Limits {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.Resource, &now); err != nil {
			return os.NewSyscallError("getrlimit", err)
		}
		most := min(l.Most, now.Max)
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil { // that of package unix is undone by Exec
			return os.NewSyscallError("setrlimit", err)
		}
	}
	return syscall.Exec(f.Path, f.Args, os.Environ())
}
