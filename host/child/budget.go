package child

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What one plugin may print into the log: this much at once, and then this much per second.
const (
	burstLines, lineRate = 2000, 100
	burstBytes, byteRate = 1 << 20, 64 << 10
)

// tellEvery is the pause between two lines that say how much was dropped.
const tellEvery = 10 * time.Second

// budget is what the processes of one plugin may print together, and counts what they printed beyond it.
type budget struct {
	lines, bytes *rate.Limiter

	mu      sync.Mutex
	dropped int
	size    int
	timer   *time.Timer // runs while something was dropped of which nobody was told
}

func newBudget() *budget {
	return &budget{lines: rate.NewLimiter(lineRate, burstLines), bytes: rate.NewLimiter(byteRate, burstBytes)}
}

// take says whether a line of n bytes may be logged.
func (b *budget) take(n int) bool {
	now := time.Now()
	return b.lines.AllowN(now, 1) && b.bytes.AllowN(now, n)
}

// drop counts a line that is not logged; tell is called later with the sums, once for many.
func (b *budget) drop(n int, tell func(lines, bytes int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped++
	b.size += n
	if b.timer == nil {
		b.timer = time.AfterFunc(tellEvery, func() { b.settle(tell) })
	}
}

// settle tells what was dropped and begins to count anew.
func (b *budget) settle(tell func(lines, bytes int)) {
	b.mu.Lock()
	lines, bytes := b.dropped, b.size
	b.dropped, b.size = 0, 0
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	b.mu.Unlock()
	if lines > 0 {
		tell(lines, bytes)
	}
}
