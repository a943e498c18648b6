package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/openbao/openbao/api/v2"
	"golang.org/x/sync/singleflight"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// loginTimeout bounds one login, for which several may wait.
	loginTimeout = 10 * time.Second
	// rest is how long a login that failed is not tried again while the former token still serves.
	rest = 5 * time.Second
	// young is for how long nobody doubts a token that was just got.
	young = 5 * time.Second
	// closeTimeout bounds the revocation of the token at the end.
	closeTimeout = 2 * time.Second
)

// Session asks a server with a token that it gets, renews and gets anew. It is safe for concurrent use.
type Session struct {
	client *client.Client
	method method
	flight singleflight.Group
	ctx    context.Context // ends with the session
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	current   *token
	last      uint64
	notBefore time.Time // of the next login while the former token serves
}

// token is one that was got. Its fields are guarded by the session's lock.
type token struct {
	id      uint64
	value   string
	life    time.Duration // when it was got
	expires time.Time     // zero: never
	tired   bool          // it is not renewed any more: a fresh login is due
	dead    bool          // the server does not know it any more
	proven  time.Time     // when the server last said that it knows it
	ours    bool
}

func newSession(c *client.Client, m method) *Session {
	s := &Session{client: c, method: m}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Answer is one of the server, and which login it was given to.
type Answer struct {
	*api.Secret // nil if the answer is empty
	Login       uint64
}

// Error is a login that failed. It does not unwrap: what the server said to a login is not what it says to a question.
type Error struct{ text string }

// Error says why.
func (e *Error) Error() string { return "login: " + e.text }

// Do asks the server. Where it does not know the token any more, the session logs in again and asks once more. An error of
// the server is a [*client.Failure], one of a login an [*Error].
func (s *Session) Do(ctx context.Context, r client.Request) (Answer, error) {
	for again := false; ; again = true {
		t, err := s.token(ctx)
		if err != nil {
			return Answer{}, err
		}
		r.Token = t.value
		out, err := s.client.Do(ctx, r)
		if err == nil {
			return Answer{Secret: out, Login: t.id}, nil
		}
		if again || !client.Denied(err) || s.knows(ctx, t, err) {
			return Answer{}, err
		}
	}
}

// Current says whether a login is still the one that the session asks with.
func (s *Session) Current(login uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.current.id == login && !s.current.dead
}

// held is a token's value as a caller sees it.
type held struct {
	id    uint64
	value string
}

// token gives one that is valid as far as is known. A login is made at most once for all who wait.
func (s *Session) token(ctx context.Context) (held, error) {
	now := time.Now()
	s.mu.Lock()
	t := s.current
	usable := t != nil && !t.dead && (t.expires.IsZero() || now.Before(t.expires))
	rested := !now.Before(s.notBefore)
	due := !usable || t.tired && rested
	var h held
	if usable {
		h = held{t.id, t.value}
	}
	s.mu.Unlock()
	if f, ok := s.method.(*sink); ok && rested && f.changed() {
		due = true
	}
	if !due {
		return h, nil
	}
	fresh, err := s.logIn(ctx)
	if err == nil {
		return fresh, nil
	}
	if usable {
		s.mu.Lock()
		s.notBefore = now.Add(rest)
		s.mu.Unlock()
		sdk.Logger(ctx).WarnContext(ctx, "a fresh login failed; the former token goes on until its end", "error", err.Error())
		return h, nil
	}
	return held{}, err
}

// logIn joins the login that is under way, or makes one on behalf of the caller.
func (s *Session) logIn(ctx context.Context) (held, error) {
	for {
		mine := false
		done := s.flight.DoChan("", func() (v any, err error) {
			mine = true
			err = sdk.Guard(func() error {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginTimeout)
				defer cancel()
				h, err := s.enter(ctx)
				v = h
				return err
			})
			return v, err
		})
		select {
		case <-ctx.Done():
			return held{}, fmt.Errorf("login: %w", ctx.Err())
		case r := <-done:
			if r.Err == nil {
				return r.Val.(held), nil
			}
			if mine || client.As(r.Err) != nil {
				return held{}, &Error{r.Err.Error()}
			}
			// It was another's, and may have failed since the call that it was made for is over.
		}
	}
}

func (s *Session) enter(ctx context.Context) (held, error) {
	if s.ctx.Err() != nil {
		return held{}, errors.New("the session is closed")
	}
	before := time.Now()
	g, err := s.method.login(ctx, s.client)
	if err != nil {
		return held{}, err
	}
	t := &token{value: g.value, life: g.ttl, ours: g.ours, proven: time.Now()}
	if g.ttl > 0 {
		t.expires = before.Add(g.ttl)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.value == t.value && !s.current.dead {
		t.id = s.current.id
	} else {
		s.last++
		t.id = s.last
	}
	s.current = t
	if t.life > 0 && (g.renewable || g.ours) { // what is neither is somebody else's to keep fresh
		s.work.Go(func() { s.keep(t, g.renewable) })
	}
	return held{t.id, t.value}, nil
}

// keep renews a token when two thirds of its life are over, for as long as that helps. Then a fresh login is due.
func (s *Session) keep(t *token, renewable bool) {
	left := t.life
	for {
		if !s.sleep(left*2/3, t) {
			return
		}
		if !renewable {
			s.change(func() { t.tired = true })
			return
		}
		ttl, more, err := s.renew(t)
		switch {
		case err == nil:
			s.change(func() { t.expires, t.proven = time.Now().Add(ttl), time.Now() })
			if !more || ttl < t.life/2 { // its greatest life is near
				renewable = false
			}
			left = ttl
		case client.Status(err) >= 400 && client.Status(err) < 500 && client.Status(err) != http.StatusTooManyRequests:
			s.change(func() { t.tired, t.dead = true, client.Denied(err) })
			return
		default:
			s.mu.Lock()
			left = time.Until(t.expires) / 2
			s.mu.Unlock()
			if left < time.Second/2 {
				return
			}
		}
	}
}

// sleep waits; false if the token is no longer the session's.
func (s *Session) sleep(d time.Duration, t *token) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current == t && !t.dead
}

func (s *Session) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

func (s *Session) renew(t *token) (ttl time.Duration, more bool, err error) {
	out, err := s.client.Do(s.ctx, client.Request{Method: http.MethodPost, Path: "auth/token/renew-self", Token: t.value, Body: map[string]any{}})
	if err != nil {
		return 0, false, err
	}
	if out == nil || out.Auth == nil || out.Auth.LeaseDuration <= 0 {
		return 0, false, errors.New("the server does not say for how long")
	}
	return time.Duration(out.Auth.LeaseDuration) * time.Second, out.Auth.Renewable, nil
}

// knows says whether the server knows the token with which it denied something. If not, the token is given up.
func (s *Session) knows(ctx context.Context, h held, denied error) bool {
	now := time.Now()
	s.mu.Lock()
	t := s.current
	switch {
	case t == nil || t.id != h.id || t.dead: // given up by another
		s.mu.Unlock()
		return false
	case !client.As(denied).TokenInvalid() && now.Sub(t.proven) < young:
		s.mu.Unlock()
		return true
	}
	s.mu.Unlock()
	if !client.As(denied).TokenInvalid() {
		_, err := s.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self", Token: h.value})
		if !client.Denied(err) {
			if err == nil {
				s.change(func() { t.proven = now })
			}
			return true
		}
	}
	s.change(func() { t.dead = true })
	return false
}

// Close ends the renewal and revokes a token of the session's own.
func (s *Session) Close() {
	s.stop()
	s.work.Wait()
	s.mu.Lock()
	t := s.current
	s.current = nil
	s.mu.Unlock()
	if t != nil && t.ours && !t.dead {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_, _ = s.client.Do(ctx, client.Request{Method: http.MethodPost, Path: "auth/token/revoke-self", Token: t.value}) // it also ends by itself
	}
	s.client.Close()
}
