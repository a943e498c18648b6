package introspection

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// inactiveFor is for how long it is remembered that a token is not good, at most.
	inactiveFor = 10 * time.Second
	// maxRefused bounds the tokens that are remembered as not good. They have a memory of their own, so that a flood of made
	// up tokens does not push out the good ones.
	maxRefused = 10_000
	// maxGood bounds what is remembered of good tokens, in bytes, each reckoned as its answer, parsed, and goodOverhead.
	maxGood      = 64 << 20
	goodOverhead = 1 << 10
	parsedFactor = 8
	// secretFor is for how long the client's secret is kept where its store does not say.
	secretFor = 5 * time.Minute
	// secretRetry is how long to wait after the secret could not be resolved again, or was not accepted.
	secretRetry = 5 * time.Second
)

// tokenHash stands for a token (SHA-256): no token is kept.
type tokenHash [sha256.Size]byte

// memory remembers verdicts until their ends.
type memory struct {
	verdicts func() verdicts // made when the first token comes: some kilobytes, and there may be thousands of tenants whose callers never come
}

func newMemory() *memory { return &memory{sync.OnceValue(newVerdicts)} }

type verdicts struct {
	good, refused *otter.Cache[tokenHash, verdict]
}

func newVerdicts() verdicts {
	weigh := func(_ tokenHash, v verdict) uint32 { return uint32(goodOverhead + parsedFactor*v.size) }
	return verdicts{
		good:    otter.Must(&otter.Options[tokenHash, verdict]{MaximumWeight: maxGood, Weigher: weigh}),
		refused: otter.Must(&otter.Options[tokenHash, verdict]{MaximumSize: maxRefused}),
	}
}

func (m *memory) get(at tokenHash, now time.Time) (verdict, bool) {
	all := m.verdicts()
	for _, c := range []*otter.Cache[tokenHash, verdict]{all.good, all.refused} {
		if v, ok := c.GetIfPresent(at); ok && now.Before(v.until) {
			return v, true
		}
	}
	return verdict{}, false
}

// knew says whether the token was good when it was last asked about, however long ago.
func (m *memory) knew(at tokenHash) bool {
	_, ok := m.verdicts().good.GetIfPresent(at)
	return ok
}

// keep replaces what is remembered of the token.
func (m *memory) keep(at tokenHash, v verdict) {
	all := m.verdicts()
	if v.denial != nil {
		all.good.Invalidate(at)
		all.refused.Set(at, v)
		return
	}
	all.refused.Invalidate(at)
	all.good.Set(at, v)
}

// secret is the client's, kept for as long as its store says.
type secret struct {
	ref sdk.SecretRef

	mu    sync.Mutex
	kept  sdk.Secret
	until time.Time // zero: there is none
}

// value gives the secret. While it cannot be resolved again the former one goes on.
func (s *secret) value(ctx context.Context, now time.Time) (sdk.Secret, error) {
	s.mu.Lock()
	kept, until := s.kept, s.until
	s.mu.Unlock()
	if now.Before(until) {
		return kept, nil
	}
	fresh, err := s.ref.Value(ctx)
	if err != nil && until.IsZero() {
		return sdk.Secret{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.until = now.Add(secretRetry)
		sdk.Logger(ctx).WarnContext(ctx, "the secret for introspection cannot be resolved again; the former one goes on", "error", err)
		return kept, nil
	}
	s.kept, s.until = fresh, fresh.CacheUntil
	if s.until.IsZero() {
		s.until = now.Add(secretFor)
	}
	return fresh, nil
}

// forget has the secret resolved again soon: it may have been rotated.
func (s *secret) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if soon := now.Add(secretRetry); soon.Before(s.until) {
		s.until = soon
	}
}
