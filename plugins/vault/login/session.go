package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// loginTimeout bounds one login, for which several may wait.
	loginTimeout = 10 * time.Second
	// young is for how long nobody doubts a token that was just got.
	young = 5 * time.Second
	// maxTries bounds how often a question is asked again with another token.
	maxTries = 2
	// closeTimeout bounds what a login under way still has at the end, and then the revocation of tokens.
	closeTimeout = 2 * time.Second
)

// Session asks a server with a token that it gets, renews and gets anew. It is safe for concurrent use.
type Session struct {
	client    *client.Client
	method    method
	logins    *flight.Group[held]
	looks     *flight.Group[bool] // of tokens at themselves, by their ids
	afterlife time.Duration
	ctx       context.Context // ends with the session
	stop      context.CancelFunc
	work      sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	current    *token
	former     map[*token]struct{} // replaced, and not revoked yet
	last       uint64              // id
	attempts   uint64
	trouble    trouble
	nextLook   time.Time // at what a login is made with
	refreshing bool
	disowned   int  // how many tokens in a row the server did not know soon after their logins
	doubted    bool // a token was given up for what may have been a policy's no
}

func newSession(c *client.Client, m method) *Session {
	s := &Session{
		client: c, method: m, logins: flight.New[held](loginTimeout), looks: flight.New[bool](loginTimeout), afterlife: afterlife, former: map[*token]struct{}{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Answer is one of the server, and which login it was given to.
type Answer struct {
	*api.Secret // nil if the answer is empty
	Login       uint64
}

// Error is a login that failed. It does not unwrap: what the server said to a login is not what it says to a question. Where
// what the login is made with could not be read, it is marked as the caller's (flight.IsOwn).
type Error struct{ text string }

// Error says why.
func (e *Error) Error() string { return "login: " + e.text }

// Do asks the server. Where it does not know the token any more, the session logs in again and asks once more, with the failure
// of a login in the end if that token is not known either. An error of the server is a [*client.Failure], one of a login an [*Error].
func (s *Session) Do(ctx context.Context, r client.Request) (Answer, error) {
	for try := 0; ; try++ {
		t, err := s.token(ctx)
		if err != nil {
			return Answer{}, err
		}
		r.Token = t.value
		out, err := s.client.Do(ctx, r)
		if err == nil {
			return Answer{Secret: out, Login: t.id}, nil
		}
		if try == maxTries || !client.Denied(err) || s.knows(ctx, t, err) {
			return Answer{}, err
		}
	}
}

// Check says whether the session has a token, or gets one, that the server knows. What the token may do is another question.
func (s *Session) Check(ctx context.Context) error {
	_, err := s.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self"})
	if client.Denied(err) && !client.As(err).TokenInvalid() { // its policies do not let it look itself up
		return nil
	}
	return err
}

// Current says whether a login is still the one that the session asks with.
func (s *Session) Current(login uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.current.id == login && !s.current.dead
}

// token gives one that is valid as far as is known. While there is one, a fresh login is not waited for.
func (s *Session) token(ctx context.Context) (held, error) {
	s.mu.Lock()
	t, attempts, now := s.current, s.attempts, time.Now()
	usable := t.usable(now)
	due := !usable || t.tired
	h := t.held()
	s.mu.Unlock()
	if w, ok := s.method.(watched); ok && w.changed() {
		due = true
	}
	if !due {
		return h, nil
	}
	if usable {
		s.refresh(ctx, attempts)
		return h, nil
	}
	fresh, err := s.logIn(ctx, attempts)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.lives(time.Now()) { // to its very end
			return h, nil
		}
	}
	return fresh, err
}

// refresh logs in beside a question that is asked with the token in hand, on behalf of who asks it.
func (s *Session) refresh(ctx context.Context, attempts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refreshing || s.closed {
		return
	}
	s.refreshing = true
	s.work.Go(func() {
		_ = sdk.Guard(func() error { // a failure is logged where it is noted
			_, err := s.logIn(ctx, attempts)
			return err
		})
		s.change(func() { s.refreshing = false })
	})
}

// logIn joins the login that is under way, or makes one on behalf of the caller, unless one has failed just now. attempts is how
// many there were when the caller saw that one is needed.
func (s *Session) logIn(ctx context.Context, attempts uint64) (held, error) {
	if fault := s.resting(ctx); fault != nil {
		return held{}, fault
	}
	h, err := s.logins.Do(ctx, "", func(ctx context.Context) (held, error) { return s.enter(ctx, attempts) })
	switch f := (*Error)(nil); {
	case err == nil:
		return h, nil
	case errors.As(err, &f):
		return held{}, err
	case errors.Is(err, flight.ErrClosed):
		return held{}, &Error{"the session is closed"}
	case ctx.Err() != nil:
		return held{}, fmt.Errorf("login: %w", ctx.Err())
	}
	return held{}, &Error{err.Error()}
}

// knows says whether the server knows the token with which it denied something. If not, the token is given up.
func (s *Session) knows(ctx context.Context, h held, denied error) bool {
	t, isYoung := s.suspect(h)
	switch {
	case t == nil:
		return false
	case client.As(denied).TokenInvalid():
	case isYoung:
		return true
	case !t.looks: // a server may say no more than that to a token that it does not know
		if t.ours || !s.anew(ctx, t.made) {
			return true
		}
	default: // one look for all who were denied something
		unknown, err := s.looks.Do(ctx, strconv.FormatUint(h.id, 10), func(ctx context.Context) (bool, error) { return s.unknown(ctx, h), nil })
		if err != nil || !unknown {
			return true
		}
	}
	s.giveUp(t, denied)
	return false
}

// suspect gives the token that something was denied to, and whether it is too young to doubt; nil if it was given up by another.
func (s *Session) suspect(h held) (t *token, isYoung bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t = s.current
	if t == nil || t.id != h.id || t.dead {
		return nil, false
	}
	return t, time.Since(t.proven) < young
}

// unknown has a token look itself up.
func (s *Session) unknown(ctx context.Context, h held) bool {
	t, isYoung := s.suspect(h)
	if t == nil || isYoung { // after a look that has just ended
		return t == nil
	}
	now := time.Now()
	_, err := s.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self", Token: h.value})
	return s.doubt(t, err, now)
}

// doubt says whether a token is to be given up after what the server said when it looked itself up. A no without the words for a
// token that is not known may be the policies': it counts once, and no more until a token has looked itself up.
func (s *Session) doubt(t *token, err error, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		t.proven, s.doubted = now, false
		return false
	case !client.Denied(err):
		return false
	case client.As(err).TokenInvalid():
		return true
	}
	first := !s.doubted
	s.doubted = true
	return first
}

func (s *Session) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

// Close ends the renewal and revokes the tokens of the session's own.
func (s *Session) Close() {
	s.change(func() { s.closed = true })
	s.looks.Close(0)
	s.logins.Close(closeTimeout) // what one still gets is revoked with the others
	s.stop()
	s.work.Wait()
	s.mu.Lock()
	all := s.former
	if s.current != nil {
		all[s.current] = struct{}{}
	}
	s.current, s.former = nil, map[*token]struct{}{}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var done sync.WaitGroup
	for t := range all {
		if t.ours && !t.over(time.Now()) {
			done.Go(func() { _ = s.revoke(ctx, t) }) // it also ends by itself
		}
	}
	done.Wait()
	s.client.Close()
}
