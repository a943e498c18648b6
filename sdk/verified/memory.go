package verified

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/realmgate/realmgate/sdk"
)

// maxKeyed bounds what is hashed for a key, in bytes.
const maxKeyed = 32 << 10

// Memory knows which tokens were verified. It is of one instance, and safe for concurrent use. A nil Memory remembers nothing.
type Memory struct {
	life  time.Duration
	start time.Time
	known *lru.Cache[key, good]
	macs  sync.Pool
}

// key stands for a token and all that its verification depended on. Nobody who does not know the memory's secret can make two
// tokens with one key.
type key [sha256.Size]byte

// good is what is known of a token whose signature is. Of each token there is one, whatever the epoch: a former epoch's would never
// be asked for again, and take the room of others.
type good struct {
	epoch uint64
	until time.Duration // since the memory's start
}

// state is what one key takes to be made, for use again.
type state struct {
	mac  hash.Hash
	text []byte
	sum  key
}

// New makes a memory; nil settings are the defaults. With a max_age of 0 there is none.
func New(s *Settings) (*Memory, error) {
	if s == nil {
		s = &defaults
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.MaxAge == 0 {
		return nil, nil
	}
	known, err := lru.New[key, good](s.Entries)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(secret) // never fails
	m := &Memory{life: s.MaxAge.Std(), start: time.Now(), known: known}
	m.macs.New = func() any { return &state{mac: hmac.New(sha256.New, secret)} }
	return m, nil
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
	k, now := m.key(t), t.Now.Sub(m.start)
	if g, ok := m.known.Get(k); ok {
		if g.epoch == epoch && now >= g.until-m.life && now < g.until { // a clock that was put back proves nothing
			return true
		}
		m.known.Remove(k)
	}
	if !check() {
		return false
	}
	until := now + m.life
	if !t.Expires.IsZero() {
		until = min(until, t.Expires.Sub(m.start))
	}
	m.known.Add(k, good{epoch, until})
	return true
}

// key makes the key of a token. Every part of varying length has its length before it, so that no two lists of parts make one
// text.
func (m *Memory) key(t Token) key {
	s := m.macs.Get().(*state)
	b := s.text[:0]
	for _, part := range []string{t.Realm, t.Keys, t.Text} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) // at most maxKeyed, or a realm's name
		b = append(b, part...)
	}
	s.mac.Reset()
	_, _ = s.mac.Write(b) // never fails
	s.mac.Sum(s.sum[:0])
	sum := s.sum
	clear(b)
	s.text = b
	m.macs.Put(s)
	return sum
}
