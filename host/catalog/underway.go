package catalog

import "sync"

// underway counts the calls that are under way in a process, and keeps how many there were when the first of a session was lost.
// A plugin that a call has ended cannot be told from one that ended by itself, but for this: a call that was alone is the
// likeliest cause.
type underway struct {
	mu   sync.Mutex
	now  int
	last int // when the first of the session was lost; zero: none was
	of   uint64
}

// enter is for a call that begins.
func (u *underway) enter() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now++
}

// leave is for a call that ends, of a session. It says whether the call was lost, and alone when that happened.
func (u *underway) leave(session uint64, lost bool) (alone bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if lost && (u.last == 0 || u.of < session) {
		u.last, u.of = u.now, session
	}
	u.now--
	return lost && u.last == 1 && u.of == session
}
