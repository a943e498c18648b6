package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// A wish that has no session is asked about again after firstBackoff, then at twice the distance each time. This is beside the
	// breaker of STS, which is for all: what STS says no to is one wish, at the first time already, or a caller who asks too often.
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// throttledBackoff is the first one where STS wants fewer questions.
	throttledBackoff = 2 * time.Second
	lastThrottled    = time.Minute
	// maxFailing bounds what is remembered of wishes that have no session. It is apart from the sessions, so that what fails
	// pushes out nothing that works.
	maxFailing = 10_000
	// leastLife is what a session must have left to be of use to anyone.
	leastLife = 10 * time.Second
)

// key stands for a wish: an HMAC with a key of this process over all its parts. No two realms have one.
type key [sha256.Size]byte

// entry is what is known of a wish. Its fields are guarded by the lock of sessions.
type entry struct {
	session   session // zero: none yet
	flight    *flight // nil: STS is not being asked
	failures  int     // in a row
	failed    error
	notBefore time.Time
}

// flight is a question to STS. Its results are set when done is closed.
type flight struct {
	done    chan struct{}
	session session
	err     error
}

// sessions remembers sessions until they end. Equal wishes share one, and one question to STS.
type sessions struct {
	window, timeout time.Duration
	now             func() time.Time
	secret          [32]byte
	base            context.Context // of questions, which outlive who asked first
	stop            context.CancelFunc
	asking          sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	good    *simplelru.LRU[key, *entry]
	failing *simplelru.LRU[key, *entry]
}

func newSessions(size int, window, timeout time.Duration, now func() time.Time) (*sessions, error) {
	s := &sessions{window: window, timeout: timeout, now: now}
	if _, err := rand.Read(s.secret[:]); err != nil {
		return nil, err
	}
	var err error
	if s.good, err = simplelru.NewLRU[key, *entry](size, nil); err != nil {
		return nil, err
	}
	if s.failing, err = simplelru.NewLRU[key, *entry](maxFailing, nil); err != nil {
		return nil, err
	}
	s.base, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// close ends what is under way.
func (s *sessions) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.asking.Wait()
}

func (s *sessions) keyOf(parts []string) key {
	m := hmac.New(sha256.New, s.secret[:])
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		_, _ = m.Write(size[:]) // a hash takes everything
		_, _ = m.Write([]byte(p))
	}
	return key(m.Sum(nil))
}

// get gives a session that lives for atLeast, asking STS if need be. One that ends soon is renewed meanwhile, and serves until
// its end if STS cannot be asked.
func (s *sessions) get(ctx context.Context, parts []string, atLeast time.Duration, ask func(context.Context) (session, error)) (session, error) {
	k := s.keyOf(parts)
	s.mu.Lock()
	e := s.entry(k)
	now := s.now()
	left := e.session.keys.Expires.Sub(now) // far below zero without one
	usable := left >= max(atLeast, leastLife)
	if usable && left > s.window {
		defer s.mu.Unlock()
		return e.session, nil
	}
	if e.flight == nil && !now.Before(e.notBefore) && !s.closed {
		s.begin(ctx, k, e, ask)
	}
	f, had, failed := e.flight, e.session, e.failed
	s.mu.Unlock()
	switch {
	case usable:
		return had, nil
	case f == nil && failed != nil:
		return session{}, fmt.Errorf("%w (STS is left alone for a moment)", failed)
	case f == nil:
		return session{}, errors.New("the vendor is being closed")
	}
	select {
	case <-ctx.Done():
		return session{}, ctx.Err()
	case <-f.done:
	}
	if f.err == nil && f.session.keys.Expires.Sub(s.now()) < max(atLeast, leastLife) {
		return session{}, fmt.Errorf("STS answers a session that ends at %s, which is too soon", f.session.keys.Expires.UTC().Format(time.RFC3339))
	}
	return f.session, f.err
}

// entry finds or makes what is known of a wish.
func (s *sessions) entry(k key) *entry {
	if e, ok := s.good.Get(k); ok {
		return e
	}
	if e, ok := s.failing.Get(k); ok {
		return e
	}
	e := &entry{}
	s.failing.Add(k, e)
	return e
}

// begin asks STS, for everybody who waits and whoever of them gives up.
func (s *sessions) begin(ctx context.Context, k key, e *entry, ask func(context.Context) (session, error)) {
	f := &flight{done: make(chan struct{})}
	e.flight = f
	log := sdk.Logger(ctx)
	s.asking.Go(func() {
		ctx, cancel := context.WithTimeout(s.base, s.timeout)
		defer cancel()
		defer close(f.done)
		f.err = sdk.Guard(func() (err error) {
			f.session, err = ask(ctx)
			return err
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		e.flight = nil
		if f.err != nil {
			e.fail(f.err, s.now())
			if sdk.AsDenial(f.err) != nil {
				e.session = session{} // it was taken away
			}
			if e.session.keys.HasKeys() && !isAlone(f.err) { // that it is left alone is logged by itself
				log.Warn("a session cannot be renewed; the former one goes on until its end", "error", f.err, "ends", e.session.keys.Expires.UTC())
			}
			return
		}
		e.session, e.failures, e.failed, e.notBefore = f.session, 0, nil, time.Time{}
		s.failing.Remove(k)
		s.good.Add(k, e)
	})
}

// isAlone says whether STS was not asked since it failed again and again.
func isAlone(err error) bool {
	var f *client.Failure
	return errors.As(err, &f) && f.Alone
}

// fail leaves STS alone for a while.
func (e *entry) fail(err error, now time.Time) {
	first, last := firstBackoff, lastBackoff
	var f *client.Failure
	switch {
	case isAlone(err): // nothing was tried
		e.failed = err
		return
	case errors.As(err, &f) && f.Throttled():
		first, last = throttledBackoff, lastThrottled
	}
	e.failed, e.notBefore = err, now.Add(min(first<<min(e.failures, 10), last))
	e.failures++
}
