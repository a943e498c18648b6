package catalog

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 30 * time.Second
	healthyAfter = time.Minute // a process that ran for so long has earned a fresh start
	lessEager    = 4           // tries that are left out where nothing ever worked: the first pause is about a second
)

// backoff gives growing pauses. The zero backoff starts with the shortest.
type backoff struct{ tries int }

// next gives the next pause: it doubles up to a bound, and half of it is left to chance, so that plugins which die
// together do not start together.
func (b *backoff) next() time.Duration {
	d := longestPause
	if b.tries < 16 && firstPause<<b.tries < longestPause {
		d = firstPause << b.tries
	}
	b.tries++
	return d/2 + rand.N(d/2+1) //nolint:gosec // chance is wanted here, not secrecy
}

func (b *backoff) reset() { b.tries = 0 }

// pause waits; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
