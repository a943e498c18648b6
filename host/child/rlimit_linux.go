package child

import (
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// bounds lists the resource limits of a process: those that its control group, which may be none, does not hold.
func bounds(l Limits, g *group) []limit {
	all := l.effective()
	out := []limit{{unix.RLIMIT_CORE, 0}}
	if !g.holdsMemory() {
		out = append(out, limit{unix.RLIMIT_DATA, all.Memory}) // not RLIMIT_AS: runtimes reserve address space
	}
	if l.Processes != 0 && !g.holdsProcesses() { // no default: it counts what others of the user run
		out = append(out, limit{unix.RLIMIT_NPROC, l.Processes})
	}
	return append(out, limit{unix.RLIMIT_NOFILE, all.OpenFiles})
}

// restrict sets the resource limits of a process. A limit that the host itself is held to is not raised.
func restrict(pid int, l Limits, g *group) error {
	for _, l := range bounds(l, g) {
		var now unix.Rlimit
		err := unix.Prlimit(pid, l.Resource, nil, &now)
		if err == nil {
			most := min(l.Most, now.Max)
			err = unix.Prlimit(pid, l.Resource, &unix.Rlimit{Cur: most, Max: most}, nil)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
			return os.NewSyscallError("prlimit", err)
		}
	}
	return nil
}

// admit says what of the limits cannot be kept.
func admit(log hclog.Logger, l Limits, g *group, u *User) {
	if u == nil && l.Processes != 0 && l.Processes != Unlimited && !g.holdsProcesses() && os.Geteuid() == 0 {
		log.Warn("the limit of processes is not kept: the daemon runs as root and may not make control groups", "processes", l.Processes)
	}
}
