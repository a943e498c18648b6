package awsiam

import (
	"crypto/sha256"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// refusedFor is for how long it is remembered that a proof is not good, at most.
	refusedFor = 10 * time.Second
	// maxGood and maxRefused bound what is remembered. What was refused has a memory of its own, so that a flood of made-up
	// proofs does not push out the good ones.
	maxGood    = 50_000
	maxRefused = 10_000
	// knownFor is for how long a key that STS has confirmed is asked about before others, maxKnown how many.
	knownFor = time.Hour
	maxKnown = 50_000
)

// proofHash stands for a whole proof (SHA-256): none is kept.
type proofHash [sha256.Size]byte

// verdict is what is known about a proof. It does not change.
type verdict struct {
	identity sdk.Identity
	denial   error // nil if the proof is good
	until    time.Time
}

// memory remembers verdicts until their ends.
type memory struct {
	good, refused *otter.Cache[proofHash, verdict]
}

func newMemory() *memory {
	return &memory{
		good:    otter.Must(&otter.Options[proofHash, verdict]{MaximumSize: maxGood}),
		refused: otter.Must(&otter.Options[proofHash, verdict]{MaximumSize: maxRefused}),
	}
}

func (m *memory) get(at proofHash, now time.Time) (verdict, bool) {
	for _, c := range []*otter.Cache[proofHash, verdict]{m.good, m.refused} {
		if v, ok := c.GetIfPresent(at); ok && now.Before(v.until) {
			return v, true
		}
	}
	return verdict{}, false
}

func (m *memory) keep(at proofHash, v verdict) {
	if v.denial != nil {
		m.refused.Set(at, v)
		return
	}
	m.good.Set(at, v)
}

// turnstile bounds how often STS is asked. Keys that it has confirmed lately have a share of their own, and one of them a
// tenth of it: whoever makes up proofs, of which each has to be asked about, keeps out newcomers at most.
type turnstile struct {
	perSecond        int
	known            *otter.Cache[string, regular] // by key id
	regulars, others *rate.Limiter
}

// regular is a key that STS has confirmed.
type regular struct {
	until  time.Time
	bucket *rate.Limiter
}

func newTurnstile(perSecond int) *turnstile {
	return &turnstile{
		perSecond: perSecond, known: otter.Must(&otter.Options[string, regular]{MaximumSize: maxKnown}),
		regulars: bucket(perSecond), others: bucket(perSecond),
	}
}

func bucket(perSecond int) *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), 2*perSecond) }

// admit says whether STS may be asked about a key now.
func (t *turnstile) admit(keyID string, now time.Time) bool {
	if r, ok := t.known.GetIfPresent(keyID); ok && now.Before(r.until) {
		return r.bucket.AllowN(now, 1) && t.regulars.AllowN(now, 1)
	}
	return t.others.AllowN(now, 1)
}

// confirm notes a key that is good here.
func (t *turnstile) confirm(keyID string, now time.Time) {
	r, ok := t.known.GetIfPresent(keyID)
	if !ok {
		r.bucket = bucket(max(1, t.perSecond/10))
	}
	r.until = now.Add(knownFor)
	t.known.Set(keyID, r)
}
