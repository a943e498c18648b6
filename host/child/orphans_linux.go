package child

import (
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// AdoptOrphans makes this operating-system process the parent of all that its plugins leave behind, for the rest of its
// life. From then on each of its children that neither a [Starter] nor [Run] started is an orphan: when it ends, it is waited
// for, and when a plugin's process ends, those orphans are ended that do not show that they belong to another one.
func AdoptOrphans() error {
	brood.Lock()
	defer brood.Unlock()
	if brood.adopts {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	brood.adopts = true
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			eachOrphan(func(pid int, zombie bool) {
				if zombie {
					_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it has ended
				}
			})
		}
	}()
	return nil
}

// killOrphans ends what nobody is responsible for any more.
func killOrphans() {
	eachOrphan(func(pid int, zombie bool) {
		dir := mark(pid)
		if !zombie && (dir == "" || !slices.Contains(slices.Collect(maps.Values(brood.dirs)), dir)) {
			_ = unix.Kill(pid, unix.SIGKILL) // nobody else waits for it, so that it is still the same
		}
	})
}

// eachOrphan calls f with each orphan, while no child is born.
func eachOrphan(f func(pid int, zombie bool)) {
	brood.Lock()
	defer brood.Unlock()
	if !brood.adopts {
		return
	}
	for pid, parent := range parents() {
		if _, known := brood.dirs[pid]; parent != os.Getpid() || known {
			continue
		}
		if _, _, zombie, ok := stat(filepath.Join("/proc", strconv.Itoa(pid))); ok {
			f(pid, zombie)
		}
	}
}
