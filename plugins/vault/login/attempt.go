package login

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// firstRest is how long no login is made after one that failed. Each further failure doubles it, up to longestRest, or to
	// refusedRest where the server says no: what it says may change on its side only, or what the login is made with does.
	firstRest   = 500 * time.Millisecond
	longestRest = 5 * time.Second
	refusedRest = 30 * time.Second
	// countedRest is between logins that the server counts: after five of them in a row it locks the role out, for all nodes, for a
	// quarter of an hour, and it forgets them when there was none for as long.
	countedRest = 16 * time.Minute
	// lookEvery is how often it is seen, during a rest, whether what the login is made with is another; lookTimeout bounds that.
	lookEvery   = 250 * time.Millisecond
	lookTimeout = 500 * time.Millisecond
)

// mark tells one proof from another.
type mark [sha256.Size]byte

// trouble is what is remembered of logins that failed; nothing after one that did not.
type trouble struct {
	fault *Error // of the last one
	tried mark   // what that was made with
	until time.Time
	times int

	counted int // of those, how many the server counts
}

// resting gives the failure of the last login, for as long as it is not to be tried again.
func (s *Session) resting(ctx context.Context) *Error {
	s.mu.Lock()
	x := s.trouble
	s.mu.Unlock()
	if x.fault == nil || !time.Now().Before(x.until) || s.anew(ctx, x.tried) {
		return nil
	}
	return x.fault
}

// anew says whether what a login is made with is another than it was. It looks so often and no more.
func (s *Session) anew(ctx context.Context, than mark) bool {
	s.mu.Lock()
	now := time.Now()
	if now.Before(s.nextLook) {
		s.mu.Unlock()
		return false
	}
	s.nextLook = now.Add(lookEvery)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	proof, err := s.method.proof(ctx)
	return err == nil && sha256.Sum256([]byte(proof)) != than
}

// enter logs in, unless somebody did since there were so many attempts.
func (s *Session) enter(ctx context.Context, attempts uint64) (held, error) {
	s.mu.Lock()
	if s.attempts != attempts {
		t, fault := s.current, s.trouble.fault
		if fault != nil || t.usable(time.Now()) {
			s.mu.Unlock()
			if fault != nil {
				return held{}, fault
			}
			return t.held(), nil
		}
	}
	s.mu.Unlock()
	proof, err := s.method.proof(ctx)
	if err != nil { // the server was not asked, and this caller's call may be over
		return held{}, flight.Own(&Error{err.Error()})
	}
	made := mark(sha256.Sum256([]byte(proof)))
	before := time.Now()
	g, err := s.method.login(ctx, s.client, proof)
	if err == nil {
		err = s.refuse(g)
	}
	if f := client.As(err); f != nil && f.Alone() { // no login was made, and none has failed
		return held{}, &Error{err.Error()}
	}
	if err != nil {
		return held{}, s.failed(ctx, made, err)
	}
	return s.take(g, made, before), nil
}

// failed notes that the server gave no token.
func (s *Session) failed(ctx context.Context, made mark, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.rest(made, err, s.trouble.times, now)
	if s.current.lives(now) {
		sdk.Logger(ctx).WarnContext(ctx, "a fresh login failed; the former token goes on until its end", "error", err.Error())
	}
	return s.trouble.fault
}

// giveUp notes that the server does not know a token any more. A second one in a row that it gave just now is a login that
// failed: another one for each question might end the same way.
func (s *Session) giveUp(t *token, denied error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.dead {
		return
	}
	t.dead = true
	now := time.Now()
	if now.Sub(t.got) >= young {
		s.disowned = 0
		return
	}
	if s.disowned++; s.disowned > 1 {
		s.rest(t.made, fmt.Errorf("the server does not know a token any more that it knew a moment ago: %w", denied), s.disowned-2, now)
	}
}

// rest begins one after so many failures before; the caller has the lock.
func (s *Session) rest(made mark, err error, before int, now time.Time) {
	longest := longestRest
	if status := client.Status(err); status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		longest = refusedRest
	}
	d := min(firstRest<<min(before, 8), longest)
	d = d/2 + rand.N(d/2) //nolint:gosec // no secret: it spreads repetitions
	x := trouble{fault: &Error{err.Error()}, tried: made, times: before + 1, counted: s.trouble.counted}
	if counted(err) {
		if x.counted++; x.counted > 1 {
			d = countedRest
		} else {
			d = refusedRest
		}
	}
	x.until = now.Add(d)
	s.attempts++
	s.trouble = x
}
