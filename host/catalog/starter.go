package catalog

import (
	"runtime"
	"sync"
)

// starter starts processes from one thread that lives as long as the catalog: the system ties a child's death signal to
// the death of the thread that started it, not of the process.
type starter struct {
	jobs chan func()
	quit chan struct{}
	once sync.Once
	done chan struct{}
}

func newStarter() *starter {
	s := &starter{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *starter) run() {
	defer close(s.done)
	runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
	for {
		select {
		case f := <-s.jobs:
			f()
		case <-s.quit:
			return
		}
	}
}

// do runs f on the thread; errClosed if the starter was stopped.
func (s *starter) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case s.jobs <- func() { result <- f() }:
		return <-result
	case <-s.quit:
		return errClosed
	}
}

// stop ends the thread, and with it every process that it started and that still runs.
func (s *starter) stop() {
	s.once.Do(func() { close(s.quit) })
	<-s.done
}
