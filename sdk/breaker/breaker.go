package breaker

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a breaker is made of. Zero values are replaced by what is said here.
type Config struct {
	Failures int              // in a row that open it; zero: 5
	Rest     time.Duration    // from its opening until something is tried again; zero: 1 s
	MaxRest  time.Duration    // bounds the rest, which doubles with each try that fails; zero: 30 s
	Now      func() time.Time // nil: time.Now
	// Moved is told when the breaker opens or closes, in this order, and must not call the breaker; nil: nothing is.
	Moved func(open bool)
}

// Breaker is open or closed; it starts closed. It is safe for concurrent use.
type Breaker struct {
	c     Config
	quiet atomic.Bool  // closed, and nothing has failed: nothing is to be done
	epoch atomic.Int64 // moves with each opening and closing: what began before says nothing about what is now

	mu       sync.Mutex
	failures int       // in a row
	rests    int       // in a row
	until    time.Time // the end of the rest; zero: closed
	trying   bool      // somebody is trying
}

// New gives a closed breaker.
func New(c Config) *Breaker {
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.Rest == 0 {
		c.Rest = time.Second
	}
	if c.MaxRest == 0 {
		c.MaxRest = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &Breaker{c: c}
	b.quiet.Store(true)
	return b
}

// ErrOpen says that nothing was tried.
var ErrOpen = errors.New("it failed too often and is left alone for a while")

// Result is what a try says about what was tried.
type Result uint8

// The results.
const (
	Neither Result = iota // nothing: whoever tried went away, say
	Good                  // it works, whether or not it did what it was asked for
	Bad                   // it does not work
)

// Pass is the right to try once. Leave must be called on it.
type Pass struct {
	b     *Breaker
	epoch int64
	try   bool
}

// Enter gives the right to try, or ErrOpen. After a rest one caller at a time has it, until one of them has a result.
func (b *Breaker) Enter() (Pass, error) {
	p := Pass{b: b, epoch: b.epoch.Load()} // before quiet is read: whatever comes between, the pass counts as the older one
	if b.quiet.Load() {
		return p, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.epoch = b.epoch.Load()
	switch {
	case b.until.IsZero():
		return p, nil
	case b.trying || b.c.Now().Before(b.until):
		return Pass{}, ErrOpen
	}
	b.trying, p.try = true, true
	return p, nil
}

// Leave says what came of the try. It is called once.
func (p Pass) Leave(r Result) {
	b := p.b
	if b == nil || r != Bad && b.quiet.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.epoch != b.epoch.Load() {
		return
	}
	if p.try {
		b.trying = false
	}
	switch {
	case r == Good:
		b.close()
	case r == Bad:
		b.failures++
		if p.try || b.failures >= b.c.Failures {
			b.open()
		}
		b.quiet.Store(false)
	}
}

// open begins a rest, half of which is left to chance. b.mu is held.
func (b *Breaker) open() {
	d := b.c.MaxRest
	if b.rests < 16 && b.c.Rest<<b.rests < d {
		d = b.c.Rest << b.rests
	}
	b.rests++
	b.epoch.Add(1)
	if b.until.IsZero() && b.c.Moved != nil {
		b.c.Moved(true)
	}
	b.until = b.c.Now().Add(d/2 + rand.N(d/2+1)) //nolint:gosec // chance is wanted here, not secrecy
}

// close is for a breaker that has seen something work. b.mu is held.
func (b *Breaker) close() {
	if !b.until.IsZero() {
		b.epoch.Add(1)
		if b.c.Moved != nil {
			b.c.Moved(false)
		}
	}
	b.failures, b.rests, b.until, b.trying = 0, 0, time.Time{}, false
	b.quiet.Store(true)
}

// Retry ends a rest: the next one may try, and what began before says nothing. A try that fails is followed by the rest that would
// have come anyway.
func (b *Breaker) Retry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.until.IsZero() {
		b.epoch.Add(1)
		b.until, b.trying = b.c.Now(), false
	}
}

// Reset closes the breaker: what it was about has been replaced.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch.Add(1)
	b.close()
}

// Open says whether the breaker is open, also while somebody tries.
func (b *Breaker) Open() bool {
	if b.quiet.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
