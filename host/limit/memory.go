package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// failures is what is remembered of a pair, of a peer or of a client.
type failures struct {
	mu     sync.Mutex
	count  int
	last   time.Time // of the failures
	until  time.Time // the next attempt is heard then
	told   bool      // somebody was refused since until was set
	proven bool      // the last secret was right
}

// blocked says how long it is to wait, and whether nobody was told so before.
func (f *failures) blocked(now time.Time) (wait time.Duration, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if wait = f.until.Sub(now); wait <= 0 {
		return 0, false
	}
	first, f.told = !f.told, true
	return wait, first
}

// fail counts a failure and gives how many there are.
func (f *failures) fail(now time.Time, r Rules, free int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) > r.Forget {
		f.count = 0
	}
	f.count, f.last, f.proven = f.count+1, now, false
	if until := now.Add(r.wait(f.count, free)); until.After(now) && until.After(f.until) {
		f.until, f.told = until, false
	}
	return f.count
}

// succeed forgets the failures.
func (f *failures) succeed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.until, f.proven = 0, time.Time{}, true
}

// isProven says whether the last secret was right.
func (f *failures) isProven() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.proven
}

// recent gives how many failures are not forgotten yet.
func (f *failures) recent(now time.Time, r Rules) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) > r.Forget {
		return 0
	}
	return f.count
}

// share is a bucket of requests.
type share struct {
	mu     sync.Mutex
	bucket *rate.Limiter
	told   bool // somebody was refused since the bucket was last found with something in it
}

// take takes one request out of the bucket. Otherwise it says when there will be one, and whether nobody was told before.
func (s *share) take(now time.Time, perSecond float64, burst int) (wait time.Duration, first bool) {
	if perSecond == 0 {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket == nil || s.bucket.Limit() != rate.Limit(perSecond) || s.bucket.Burst() != burst {
		s.bucket = rate.NewLimiter(rate.Limit(perSecond), burst) // the rules may have changed with the configuration
	}
	if s.bucket.AllowN(now, 1) {
		// A bucket that drips is not a new cause each time a request slips through.
		s.told = s.told && s.bucket.TokensAt(now) < float64(burst)/2
		return 0, false
	}
	missing := 1 - s.bucket.TokensAt(now)
	wait = max(time.Duration(missing/perSecond*float64(time.Second)), time.Millisecond)
	first, s.told = !s.told, true
	return wait, first
}
