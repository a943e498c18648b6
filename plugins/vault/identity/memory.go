package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// refusedFor is for how long it is remembered that a token is not good, at most.
	refusedFor = 10 * time.Second
	// maxRefused bounds the tokens that are remembered as not good. They have a memory of their own, so that a flood of made
	// up tokens does not push out the good ones.
	maxRefused = 10_000
	// maxGood bounds what is remembered of good tokens, in bytes, each reckoned as its claims, parsed, and goodOverhead.
	maxGood      = 64 << 20
	goodOverhead = 1 << 10
	parsedFactor = 8
)

// mark stands for a token: no token is kept.
type mark [sha256.Size]byte

// verdict is what an answer means for a token. It does not change.
type verdict struct {
	identity sdk.Identity
	denial   error // nil if the token is good
	until    time.Time
	size     int // of the claims in bytes
}

// memory remembers verdicts until their ends, and of good ones that there were some.
type memory struct {
	key           [sha256.Size]byte
	good, refused *otter.Cache[mark, verdict]
}

func newMemory() *memory {
	weigh := func(_ mark, v verdict) uint32 { return uint32(goodOverhead + parsedFactor*v.size) }
	m := &memory{
		good:    otter.Must(&otter.Options[mark, verdict]{MaximumWeight: maxGood, Weigher: weigh}),
		refused: otter.Must(&otter.Options[mark, verdict]{MaximumSize: maxRefused}),
	}
	_, _ = rand.Read(m.key[:]) // it never fails
	return m
}

func (m *memory) mark(token string) (out mark) {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(token))
	h.Sum(out[:0])
	return out
}

// get gives the verdict that holds, if any. known says that the token was good once.
func (m *memory) get(at mark, now time.Time) (v verdict, holds, known bool) {
	v, known = m.good.GetIfPresent(at)
	if known && now.Before(v.until) {
		return v, true, true
	}
	if r, ok := m.refused.GetIfPresent(at); ok && now.Before(r.until) {
		return r, true, known
	}
	return verdict{}, false, known
}

// keep replaces what is remembered of the token.
func (m *memory) keep(at mark, v verdict) {
	if v.denial != nil {
		m.good.Invalidate(at)
		m.refused.Set(at, v)
		return
	}
	m.refused.Invalidate(at)
	m.good.Set(at, v)
}
