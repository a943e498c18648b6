package catalog

import "sync"

// underway counts the calls that are under way in a process, and keeps how many there were when the first of them was lost.
// A plugin that a call has ended cannot be told from one that ended by itself, but for this: a call that was alone is the
// likeliest cause.
type underway struct {
	mu   sync.Mutex
	now  int
	last int // when the first was lost; zero: none was
}

// enter is for a call that begins.
func (u *underway) enter() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now++
}

// leave is for a call that ends. It says whether the call was lost, and alone when that happened.
func (u *underway) leave(lost bool) (alone bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if lost && u.last == 0 {
		u.last = u.now
	}
	u.now--
	return lost && u.last == 1
}
