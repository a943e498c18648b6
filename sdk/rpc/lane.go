package rpc

import "sync"

// lane runs functions, a bounded number at a time. Those that wait are bounded in number and, with what they hold, in bytes.
type lane struct {
	mu      sync.Mutex
	running int
	bytes   int
	waiting []waiter
}

type waiter struct {
	f     func()
	bytes int
}

// run starts f, which holds so many bytes, now or when another ends; false if too much waits already. It never blocks.
func (l *lane) run(bytes int, f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running < maxHostCalls {
		l.running++
		go l.work(f)
		return true
	}
	if len(l.waiting) >= maxWaitingCalls || l.bytes+bytes > maxQueue {
		return false
	}
	l.bytes += bytes
	l.waiting = append(l.waiting, waiter{f, bytes})
	return true
}

func (l *lane) work(f func()) {
	for f != nil {
		f()
		f = l.next()
	}
}

func (l *lane) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.waiting = nil
		l.running--
		return nil
	}
	w := l.waiting[0]
	l.waiting[0] = waiter{}
	l.waiting = l.waiting[1:]
	l.bytes -= w.bytes
	return w.f
}
