package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// failures is what is remembered of a pair, of a peer or of a client.
type failures struct {
	mu     sync.Mutex
	count  int
	last   time.Time // failure, or success after which there was none
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
func (f *failures) succeed(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.last, f.until, f.proven = 0, now, time.Time{}, true
}

// lesser says whether there is less to lose with f than with o: pairs that were right stay, then those of late.
func (f *failures) lesser(o *failures) bool {
	fProven, fLast := f.worth()
	oProven, oLast := o.worth()
	if fProven != oProven {
		return oProven
	}
	return fLast.Before(oLast)
}

func (f *failures) worth() (proven bool, last time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.proven, f.last
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

// client is what is remembered of a client.
type client struct {
	requests [endpoints]share
	failures failures // from anywhere

	mu    sync.Mutex
	pairs map[netip.Prefix]*failures // by the network of the peer
}

// pair gives what is remembered of the client at a peer; grown says that there is one pair more. A client that has most of
// them gives up the one that matters least.
func (c *client) pair(network netip.Prefix, most int) (f *failures, grown bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f = c.pairs[network]; f != nil {
		return f, false
	}
	if c.pairs == nil {
		c.pairs = map[netip.Prefix]*failures{}
	}
	if len(c.pairs) >= most {
		var least netip.Prefix
		var of *failures
		for n, o := range c.pairs {
			if of == nil || o.lesser(of) {
				least, of = n, o
			}
		}
		delete(c.pairs, least)
	}
	f = new(failures)
	c.pairs[network] = f
	return f, len(c.pairs) > 1
}

// weight is how many pairs the client has; the first one weighs nothing beside the client itself.
func (c *client) weight() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint32(max(len(c.pairs), 1))
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
