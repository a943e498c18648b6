package login

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// Pool lends sessions to parts: those with the same settings share one, also across a change of the configuration, so that a
// thousand realms are not a thousand logins and a wrapped secret id is not wanted twice. The zero Pool is ready; it is safe
// for concurrent use.
type Pool struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*shared
}

type shared struct {
	*Session
	users int
}

// Lease is a session for as long as it is not closed.
type Lease struct {
	*Session
	once sync.Once
	done func()
}

// Open checks the settings and lends a session. Faults name the key. Nobody is asked yet. The context is that of a constructor.
func (p *Pool) Open(ctx context.Context, c client.Server, l Choice) (*Lease, error) {
	cl, err := client.New(ctx, c)
	m, methodErr := l.method(cl)
	if err := errors.Join(err, methodErr); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("there is no way to log in: one of token, token_file, approle, kubernetes, jwt, aws and cert is needed")
	}
	key, err := keyOf(c, l)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.all[key]
	if s == nil {
		s = &shared{Session: newSession(cl, m)}
		if p.all == nil {
			p.all = map[[sha256.Size]byte]*shared{}
		}
		p.all[key] = s
	}
	s.users++
	return &Lease{Session: s.Session, done: func() { p.release(key, s) }}, nil
}

func (p *Pool) release(key [sha256.Size]byte, s *shared) {
	p.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		delete(p.all, key)
	}
	p.mu.Unlock()
	if last {
		s.Session.Close()
	}
}

// Close gives the session back; the last one ends it.
func (l *Lease) Close() { l.once.Do(l.done) }

// keyOf tells settings apart, and the certificates that a file of theirs has.
func keyOf(c client.Server, l Choice) (out [sha256.Size]byte, err error) {
	ca, err := c.Fingerprint()
	if err != nil {
		return out, sdk.At(err, "ca_file")
	}
	raw, err := json.Marshal([]any{c, l, ca})
	return sha256.Sum256(raw), err
}
