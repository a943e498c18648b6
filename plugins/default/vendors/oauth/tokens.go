package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// unknownFor is for how long a token is kept of which nobody says when it expires.
	unknownFor = 5 * time.Minute

	// A token that was not issued is asked for again after firstBackoff, then at twice the distance each time. This is beside the
	// breaker of the server: what it says no to is one connection's client, at the first time already.
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
)

// tokenKey stands for all that a token was issued for (SHA-256): neither the secret nor a part of it is kept.
type tokenKey [sha256.Size]byte

// keyOf puts the length before each part, so that no two lists of parts give the same.
func keyOf(parts ...string) tokenKey {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p))) // a hash takes everything
		h.Write([]byte(p))
	}
	return tokenKey(h.Sum(nil))
}

// tokens keeps the tokens of all connections.
type tokens struct {
	refreshBefore time.Duration
	now           func() time.Time
	kept          *otter.Cache[tokenKey, *entry]
	ctx           context.Context // ends with the vendor
	stop          context.CancelFunc
}

func newTokens(maximum int, refreshBefore time.Duration, now func() time.Time) *tokens {
	t := &tokens{refreshBefore: refreshBefore, now: now, kept: otter.Must(&otter.Options[tokenKey, *entry]{MaximumSize: maximum})}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// entry is the token of one connection, or why there is none.
type entry struct {
	mu        sync.Mutex
	token     *issued
	flight    *flight // the request that is under way; nil: none
	failures  int
	failed    error
	notBefore time.Time
}

type flight struct {
	done  chan struct{}
	token *issued
	err   error
}

// get gives the kept token, or has one issued. fetch does not depend on the caller, since others wait for it too; it may go
// on after get has answered.
func (s *tokens) get(ctx context.Context, key tokenKey, atLeast time.Duration, fetch func(context.Context) (issued, error)) (issued, error) {
	e, _ := s.kept.ComputeIfAbsent(key, func() (*entry, bool) { return &entry{}, false })
	now := s.now()
	e.mu.Lock()
	t := e.token
	usable := t != nil && t.left(now) > 0
	if usable && t.fits(t.life(), atLeast) != nil { // nor would another one live longer
		e.mu.Unlock()
		return issued{}, t.fits(t.life(), atLeast)
	}
	usable = usable && t.fits(t.left(now), atLeast) == nil
	if usable && !t.due(now, s.refreshBefore) {
		e.mu.Unlock()
		return *t, nil
	}
	if e.flight == nil {
		if now.Before(e.notBefore) {
			defer e.mu.Unlock()
			if usable {
				return *t, nil
			}
			return issued{}, fmt.Errorf("%w (it is asked again at %s)", e.failed, e.notBefore.UTC().Format(time.RFC3339))
		}
		e.flight = &flight{done: make(chan struct{})}
		go s.fly(e, e.flight, fetch)
	}
	f := e.flight
	e.mu.Unlock()
	if usable {
		return *t, nil // renewed ahead
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return issued{}, ctx.Err()
	}
	if f.err != nil {
		return issued{}, f.err
	}
	return *f.token, f.token.fits(f.token.left(s.now()), atLeast)
}

// fits denies who wants a token that lives longer than this one does. Of a token of which nobody knows when it expires,
// nothing is promised.
func (t *issued) fits(life, atLeast time.Duration) error {
	if t.Expires.IsZero() || life >= atLeast {
		return nil
	}
	return sdk.Forbid(bearer.ReasonLifetime, "minLifetimeSeconds: the token endpoint issues tokens that live for %v", t.life().Round(time.Second))
}

// fly fetches a token and notes what became of it.
func (s *tokens) fly(e *entry, f *flight, fetch func(context.Context) (issued, error)) {
	var t issued
	err := sdk.Guard(func() (err error) {
		t, err = fetch(s.ctx)
		return err
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case errors.Is(err, errLeftAlone): // nothing was tried
		f.err, e.failed = err, err
	case err != nil:
		f.err, e.failed = err, err
		e.notBefore = s.now().Add(min(firstBackoff<<min(e.failures, 10), lastBackoff))
		e.failures++
	default:
		f.token, e.token, e.failures, e.failed = &t, &t, 0, nil
	}
	e.flight = nil
	close(f.done)
}

// life is how long the token lives from the beginning.
func (t *issued) life() time.Duration {
	if t.Expires.IsZero() {
		return unknownFor
	}
	return t.Expires.Sub(t.at)
}

func (t *issued) left(now time.Time) time.Duration { return t.life() - now.Sub(t.at) }

// due says whether the token is to be renewed.
func (t *issued) due(now time.Time, before time.Duration) bool {
	return t.left(now) <= min(before, t.life()/4)
}
