package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

const (
	// flightTimeout bounds a refresh: metadata and keys.
	flightTimeout = 2*fetchTimeout + time.Second
	// relocate is how often the metadata is fetched again.
	relocate = time.Hour
	// A refresh that failed is tried again after firstBackoff, then at twice the distance each time. This is beside the breaker of
	// the server, which is that of other tenants too: it begins with the first failure, since every decision wants the refresh, and
	// it is also for a server that answers, but not what this tenant needs.
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
	// Unknown key ids may cause unknownBurst refreshes at once, then one per unknownEvery.
	unknownBurst = 2
	unknownEvery = 30 * time.Second
)

// source keeps the keys of one provider. At most one refresh is under way at a time, whatever asks for it: the first use,
// age, or a key id that is not known.
type source struct {
	fetch              *fetcher
	interval, maxStale time.Duration
	now                func() time.Time
	unknown            absentKeys
	rest               *breaker.Breaker
	bucket             *rate.Limiter
	ctx                context.Context // ends with the source
	stop               context.CancelFunc

	mu      sync.Mutex
	set     *keySet // nil until the first fetch
	flight  *flight // nil if no refresh is under way
	failed  error   // of the last refresh; nil if it went well
	jwksURI string
	located time.Time
}

// flight is a refresh that is under way.
type flight struct {
	done    chan struct{}
	unknown bool  // it was begun for a key id that is not known, and is to be paid for if the provider is asked
	err     error // once done is closed
}

func newSource(f *fetcher, interval, maxStale time.Duration) *source {
	s := &source{
		fetch: f, interval: interval, maxStale: maxStale, now: time.Now,
		bucket: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst),
	}
	s.rest = breaker.New(breaker.Config{Failures: 1, Rest: firstBackoff, MaxRest: lastBackoff, Now: func() time.Time { return s.now() }})
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

func (s *source) close() {
	s.stop()
	s.fetch.close()
}

// current gives the keys. It waits for a refresh only if there are none, or if they are too old to serve.
func (s *source) current(ctx context.Context) (*keySet, error) {
	s.mu.Lock()
	set, now := s.set, s.now()
	if set != nil && now.Sub(set.fetched) < s.interval {
		s.mu.Unlock()
		return set, nil
	}
	f, err := s.refresh()
	s.mu.Unlock()
	if set != nil && now.Sub(set.fetched) < s.maxStale {
		return set, nil
	}
	if err != nil {
		return nil, err
	}
	return s.wait(ctx, f)
}

// errNotAsked answers for a key id that is not known while the provider may not be asked for it.
var errNotAsked = fmt.Errorf("%w: the key id of the token is not known, and the provider was asked for others too often to be asked for it now", sdk.ErrBusy)

// knowing gives keys that have the id kid, after a refresh if need be and if the bucket allows one. A nil set without an
// error says that the provider does not have it: it was asked since the id was seen first, or less than absentFor ago.
//
// While the bucket is empty, nobody can tell whether the provider has it by now, so that the answer is an error, not a no.
// Whoever floods us with key ids gets such errors in return; they do not reach those whose keys are known, and those whose
// key is a new one are to try again, which a no would not tell them.
func (s *source) knowing(ctx context.Context, kid string) (*keySet, error) {
	set, err := s.current(ctx)
	if err != nil || set.has(kid) {
		return set, err
	}
	if s.unknown.has(kid, s.now()) {
		return nil, nil
	}
	s.mu.Lock()
	f, failed := s.flight, s.failed
	if f == nil {
		if s.bucket.TokensAt(s.now()) < 1 {
			s.mu.Unlock()
			return nil, cmp.Or(failed, errNotAsked)
		}
		if f, err = s.refresh(); err != nil {
			s.mu.Unlock()
			return nil, err
		}
		f.unknown = true
	}
	s.mu.Unlock()
	if set, err = s.wait(ctx, f); err != nil || set.has(kid) {
		return set, err
	}
	s.unknown.add(kid, s.now())
	return nil, nil
}

// refresh joins the refresh that is under way, or begins one unless the provider failed a moment ago. It is called with
// the lock held.
func (s *source) refresh() (*flight, error) {
	if s.flight != nil {
		return s.flight, nil
	}
	if s.ctx.Err() != nil {
		return nil, errors.New("the identity provider was released")
	}
	pass, err := s.rest.Enter()
	if err != nil {
		return nil, s.failed
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go s.fly(f, pass)
	return f, nil
}

func (s *source) wait(ctx context.Context, f *flight) (*keySet, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.done:
	}
	if f.err != nil {
		return nil, f.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set, nil
}

// fly does a refresh. It does not depend on the request that asked for it: others wait for it too.
func (s *source) fly(f *flight, pass breaker.Pass) {
	ctx, cancel := context.WithTimeout(s.ctx, flightTimeout)
	defer cancel()
	var set *keySet
	err := sdk.Guard(func() (err error) {
		set, err = s.fetchKeys(ctx)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	alone := errors.Is(err, breaker.ErrOpen) // nothing was tried: what is known of the provider stays, and nothing is to be paid
	if f.unknown && !alone {
		s.bucket.AllowN(s.now(), 1)
	}
	if err != nil {
		f.err = fmt.Errorf("the keys of %s cannot be had: %w", s.fetch.issuer, err)
	}
	switch {
	case alone:
		pass.Leave(breaker.Neither)
	case err != nil:
		s.failed, s.located = f.err, time.Time{}
		pass.Leave(breaker.Bad)
	default:
		pass.Leave(breaker.Good)
		if s.set != nil && !s.set.same(set) {
			s.unknown.forget()
		}
		s.set, s.failed = set, nil
	}
	s.flight = nil
	close(f.done)
}

func (s *source) fetchKeys(ctx context.Context) (*keySet, error) {
	s.mu.Lock()
	at, now := s.jwksURI, s.now()
	fresh := !s.located.IsZero() && now.Sub(s.located) < relocate
	s.mu.Unlock()
	if !fresh {
		var err error
		if at, err = s.fetch.locate(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock() // at once: where the server of the keys is left alone, that of the metadata is not asked each time
		s.jwksURI, s.located = at, now
		s.mu.Unlock()
	}
	raw, err := s.fetch.get(ctx, at, maxJWKS)
	if err != nil {
		return nil, err
	}
	set, err := parseKeySet(raw, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return set, nil
}
