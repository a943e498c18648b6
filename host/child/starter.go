package child

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// ErrClosed answers what is asked of a closed [Starter].
var ErrClosed = errors.New("no plugin is started any more")

// maxSocketDir is how long the directory for sockets may be: the address of a socket is limited to 104 bytes, on Linux 108.
const maxSocketDir = 70

// Starter starts processes from one thread that lives as long as itself: the system ties a child's death signal to the
// death of the thread that started it, not of the process. It is safe for concurrent use and must be closed.
type Starter struct {
	place  *place        // the sockets are in directories below it
	dirs   atomic.Uint64 // directories made
	groups *groups       // nil where the host may make none
	seats  seats         // users that were given to plugins

	jobs chan func()
	quit chan struct{}
	once sync.Once
	done chan struct{}
}

// NewStarter makes a starter whose processes have their sockets in a directory of its own below dir, of mode 0700, or 0711 once one of them has another user; empty is the
// system's directory for temporary files.
func NewStarter(dir string, log hclog.Logger) (*Starter, error) {
	if err := keepInherited(); err != nil {
		log.Warn("plugins inherit the files that the daemon was started with", "error", err)
	}
	if dir == "" {
		dir = os.TempDir()
	}
	base, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	own, err := newPlace(base)
	if err != nil {
		return nil, err
	}
	if len(own.path) > maxSocketDir {
		return nil, errors.Join(fmt.Errorf("%s is too long a directory for sockets: set a runtime directory with a shorter path", own.path), own.remove())
	}
	s := &Starter{place: own, seats: seats{dir: seatsDir, all: map[uint32]*seat{}}, jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	if s.groups, err = newGroups(filepath.Base(own.path)); err != nil {
		log.Info("plugins have no control groups of their own: each process is limited by itself", "reason", err)
	}
	s.sweep(base, log)
	ready := make(chan error)
	go s.run(ready)
	if err := <-ready; err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Starter) run(ready chan<- error) {
	defer close(s.done)
	runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
	ready <- renounce()
	for {
		select {
		case f := <-s.jobs:
			f()
		case <-s.quit:
			return
		}
	}
}

// do runs f on the thread; ErrClosed if the starter was closed.
func (s *Starter) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case s.jobs <- func() { result <- f() }:
		return <-result
	case <-s.quit:
		return ErrClosed
	}
}

// sweep ends and removes what hosts left that could not do so themselves.
func (s *Starter) sweep(base string, log hclog.Logger) {
	for _, dir := range slices.Compact(slices.Sorted(slices.Values([]string{base, os.TempDir()}))) { // sealed files are in the latter
		for _, p := range stale(dir) {
			s.groups.sweep(filepath.Base(p.path))
			n := killMarked(p.path)
			log.Info("cleaned up behind a daemon that was killed", "directory", p.path, "processes", n)
			if err := p.remove(); err != nil {
				log.Warn("what a daemon left cannot be removed", "error", err)
			}
		}
	}
}

// socketDir makes a directory for the socket of one process.
func (s *Starter) socketDir() (string, error) {
	dir := filepath.Join(s.place.path, strconv.FormatUint(s.dirs.Add(1), 36))
	return dir, os.Mkdir(dir, 0o700)
}

// Close ends the thread, and with it every process that it started and that still runs, and removes the directory.
func (s *Starter) Close() error {
	s.once.Do(func() { close(s.quit) })
	<-s.done
	s.groups.close()
	s.seats.close()
	return s.place.remove()
}
