package child

import "sync"

// brood is what is known of the children of this operating-system process, of which there can be one account only.
var brood = struct {
	sync.Mutex
	dirs   map[int]string // directories for sockets of the children that a Starter started and that were not waited for
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
