package verified

import (
	"context"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/mac"
)

// maxKeyed bounds what is hashed for a key, in bytes.
const maxKeyed = 32 << 10

// Memory knows which tokens were verified by one instance. It is safe for concurrent use. A nil Memory remembers nothing.
type Memory struct {
	store  *Store
	number uint64 // in the store; what another one verified is not known to this one
	life   time.Duration
}

// New makes the memory of the instance whose constructor ctx is for, in the store of the process; nil settings are the defaults.
// With a max_age of 0 there is none. In a call it is an error.
func New(ctx context.Context, s *Settings) (*Memory, error) {
	if s == nil {
		s = &defaults
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	store, err := forNew(ctx)
	if err != nil || s.MaxAge == 0 {
		return nil, err
	}
	return &Memory{store: store, number: store.memories.Add(1), life: s.MaxAge.Std()}, nil
}

// Token is a token that is to be verified.
type Token struct {
	Realm   string // that is being served
	Keys    string // names the keys that verify it: with other keys it is not known
	Text    string // all of it, the signature too
	Now     time.Time
	Expires time.Time // not beyond; zero: it does not say
}

// Verify says whether the token's signature is good: because it was a while ago, under the same keys and in the same epoch of the
// realm (see [sdk.Epoch]), or because check finds so now. What is not good is never remembered.
func (m *Memory) Verify(ctx context.Context, t Token, check func() bool) bool {
	epoch := sdk.Epoch(ctx)
	if m == nil || epoch == 0 || len(t.Keys)+len(t.Text) > maxKeyed {
		return check()
	}
	k, now := m.key(t), t.Now.Sub(m.store.start)
	if g, ok := m.store.known.Get(k); ok {
		if g.epoch == epoch && now >= g.until-m.life && now < g.until { // a clock that was put back proves nothing
			return true
		}
		m.store.known.Remove(k)
	}
	if !check() {
		return false
	}
	until := now + m.life
	if !t.Expires.IsZero() {
		until = min(until, t.Expires.Sub(m.store.start))
	}
	m.store.known.Add(k, good{epoch, until})
	return true
}

// key stands for a token and all that its verification depended on.
func (m *Memory) key(t Token) mac.Sum {
	l := m.store.hasher.Begin()
	l.Number(m.number)
	l.Text(t.Realm)
	l.Text(t.Keys)
	l.Text(t.Text)
	return l.Sum()
}
