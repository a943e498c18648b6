package rpc

import "sync/atomic"

// maxIdle is how many goroutines a crew keeps that have nothing to do.
const maxIdle = 64

// crew runs functions on goroutines that stay for the next one: one that has run a leg before has the stack that a leg takes,
// which a new one grows step by step.
type crew struct {
	next chan func()
	idle atomic.Int32
	done <-chan struct{} // ends those that have nothing to do
}

func newCrew(done <-chan struct{}) *crew { return &crew{next: make(chan func()), done: done} }

// run has f run at once, beside the caller.
func (c *crew) run(f func()) {
	select {
	case c.next <- f: // somebody waits
	default:
		go c.work(f)
	}
}

func (c *crew) work(f func()) {
	for {
		f()
		if c.idle.Add(1) > maxIdle {
			c.idle.Add(-1)
			return
		}
		select {
		case f = <-c.next:
			c.idle.Add(-1)
		case <-c.done:
			return
		}
	}
}
