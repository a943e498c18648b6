package login

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
)

// afterlife is for how long a token of ours that was replaced is not revoked: what the server made for it ends with it, and may
// be in use for as long as a store keeps a value.
const afterlife = 5 * time.Minute

// token is one that was got. What changes is guarded by the session's lock.
type token struct {
	id    uint64
	value string
	made  mark // of the proof
	got   time.Time
	life  time.Duration // when it was got; zero: it does not expire
	ours  bool
	looks bool // it may look itself up

	expires time.Time
	tired   bool      // it is not renewed any more: a fresh login is due
	dead    bool      // the server does not know it any more
	proven  time.Time // when the server last said that it knows it
}

// held is a token's value as a caller sees it.
type held struct {
	id    uint64
	value string
}

func (t *token) held() held {
	if t == nil {
		return held{}
	}
	return held{t.id, t.value}
}

// lives says whether a token is good as far as is known.
func (t *token) lives(now time.Time) bool { return t != nil && !t.dead && !t.over(now) }

// over says whether a token is at its end.
func (t *token) over(now time.Time) bool { return t.life != 0 && !now.Before(t.expires) }

// usable says whether a token is also good for as long as a question is on its way.
func (t *token) usable(now time.Time) bool {
	return t.lives(now) && (t.life == 0 || now.Before(t.expires.Add(-min(t.life/10, time.Second))))
}

// refuse is what is wrong with a token beside what the server said of it.
func (s *Session) refuse(g grant) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.current; t != nil && t.value == g.value && t.looks && !g.looks {
		return errors.New("the token could look itself up before, and cannot any more: it is not valid, or its policies have changed")
	}
	return nil
}

// take makes a token the one that the session asks with.
func (s *Session) take(g grant, made mark, before time.Time) held {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	s.trouble = trouble{}
	now := time.Now()
	t := &token{value: g.value, made: made, got: now, life: g.ttl, ours: g.ours, looks: g.looks, expires: before.Add(g.ttl), proven: now}
	old := s.current
	if old == nil || !old.dead {
		s.disowned = 0
	}
	if old != nil && old.value == t.value && !old.dead {
		t.id = old.id
	} else {
		s.last++
		t.id = s.last
		if old != nil && old.ours && !old.over(now) { // that one node does not know it does not mean that none does
			s.former[old] = struct{}{}
			s.work.Go(func() { s.bury(old) })
		}
	}
	s.current = t
	if t.life > 0 && (g.renewable || g.ours) { // what is neither is somebody else's to keep fresh
		s.work.Go(func() { s.keep(t, g.renewable) })
	}
	return t.held()
}

// keep renews a token when two thirds of its life are over, for as long as that helps. Then a fresh login is due.
func (s *Session) keep(t *token, renewable bool) {
	left := t.life
	for {
		if !s.sleep(left * 2 / 3) {
			return
		}
		s.mu.Lock()
		over := s.current != t || t.dead
		s.mu.Unlock()
		if over {
			return
		}
		if !renewable {
			s.change(func() { t.tired = true })
			return
		}
		before := time.Now()
		ttl, more, err := s.renew(t)
		switch {
		case err == nil:
			s.change(func() { t.expires, t.proven = before.Add(ttl), time.Now() })
			if !more || ttl < t.life/2 { // its greatest life is near
				renewable = false
			}
			left = ttl - time.Since(before)
		case client.Status(err) >= 400 && client.Status(err) < 500 && client.Status(err) != http.StatusTooManyRequests:
			s.change(func() { t.tired, t.dead = true, client.As(err).TokenInvalid() }) // its policies may not let it
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

// sleep waits; false if the session ends.
func (s *Session) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
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

// bury revokes a token that was replaced, when nobody uses any more what the server made for it. The end of the session does too.
func (s *Session) bury(t *token) {
	for {
		s.mu.Lock()
		wait, over := s.afterlife, t.over(time.Now())
		if t.life > 0 {
			wait = min(wait, time.Until(t.expires))
		}
		s.mu.Unlock()
		if over {
			break
		}
		if !s.sleep(wait) {
			return
		}
		if s.revoke(s.ctx, t) == nil {
			break
		}
	}
	s.change(func() { delete(s.former, t) })
}

// revoke gives a token back. What the server says no to is not tried again.
func (s *Session) revoke(ctx context.Context, t *token) error {
	_, err := s.client.Do(ctx, client.Request{Method: http.MethodPost, Path: "auth/token/revoke-self", Token: t.value, Body: map[string]any{}})
	if status := client.Status(err); status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		return nil
	}
	return err
}
