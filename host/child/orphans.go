package child

import (
	"os/exec"
	"sync"
)

// brood is what is known of the children of this operating-system process, of which there can be one account only.
var brood = struct {
	sync.Mutex
	dirs   map[int]string // directories for sockets of the children that are known and were not waited for; empty: it is no plugin's
	adopts bool
}{dirs: map[int]string{}}

// born notes a child that start starts.
func born(dir string, start func() (pid int, err error)) error {
	brood.Lock() // before it is noted, nobody may take it for an orphan
	defer brood.Unlock()
	pid, err := start()
	if err == nil {
		brood.dirs[pid] = dir
	}
	return err
}

// buried notes that a child was waited for.
func buried(pid int) {
	brood.Lock()
	defer brood.Unlock()
	delete(brood.dirs, pid)
}

// Run runs a command that is no plugin's, and waits for its end. Where orphans are adopted, see [AdoptOrphans], a command that is
// started in another way would be taken for one.
func Run(cmd *exec.Cmd) error {
	err := born("", func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err != nil {
		return err
	}
	defer buried(cmd.Process.Pid)
	return cmd.Wait()
}
