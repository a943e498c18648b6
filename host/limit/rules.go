package limit

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Endpoint is where a request asks. What is asked at one is not counted at the others.
type Endpoint uint8

// The endpoints.
const (
	Token Endpoint = iota
	Introspection
	Revocation

	endpoints = 3
)

// Rules are the limits of one realm.
type Rules struct {
	ClientRate  float64 // authenticated requests of a client per second at an endpoint; zero: no limit
	ClientBurst int     // how many at once
	PeerRate    float64 // requests of a peer per second at an endpoint; zero: no limit
	PeerBurst   int

	// IntrospectionRate and IntrospectionBurst are those of both client and peer at the introspection endpoint: a resource
	// server asks about each token that it sees.
	IntrospectionRate  float64
	IntrospectionBurst int

	// Failures is how many failures of a client from one peer are free; those after it make the pair wait Delay, then twice
	// as long each time up to MaxDelay. A peer that fails PeerFailures times with any clients waits likewise. Zero: no
	// waits, respectively none for the peer.
	Failures, PeerFailures int
	Delay, MaxDelay        time.Duration
	// Forget is the time without a failure after which those before are forgotten.
	Forget time.Duration
}

// Check says what is wrong with rules.
func (r Rules) Check() error {
	switch {
	case !isRate(r.ClientRate) || !isRate(r.PeerRate) || !isRate(r.IntrospectionRate):
		return errors.New("a rate is a number of requests per second, zero or more")
	case r.ClientRate > 0 && r.ClientBurst < 1 || r.PeerRate > 0 && r.PeerBurst < 1 || r.IntrospectionRate > 0 && r.IntrospectionBurst < 1:
		return errors.New("a burst is at least 1 where there is a rate")
	case r.Failures < 0 || r.PeerFailures < 0:
		return errors.New("the number of free failures is not negative")
	case r.Failures+r.PeerFailures > 0 && (r.Delay <= 0 || r.MaxDelay < r.Delay || r.Forget < r.MaxDelay):
		return errors.New("the delay is positive, the longest one not below it, and failures are not forgotten before the longest delay has passed")
	}
	return nil
}

func (r Rules) ofPeer(at Endpoint) (perSecond float64, burst int) {
	if at == Introspection {
		return r.IntrospectionRate, r.IntrospectionBurst
	}
	return r.PeerRate, r.PeerBurst
}

func (r Rules) ofClient(at Endpoint) (perSecond float64, burst int) {
	if at == Introspection {
		return r.IntrospectionRate, r.IntrospectionBurst
	}
	return r.ClientRate, r.ClientBurst
}

func isRate(f float64) bool { return f >= 0 && !math.IsInf(f, 0) }

// wait gives how long n failures have to wait, of which free are free.
func (r Rules) wait(n, free int) time.Duration {
	if n <= free {
		return 0
	}
	d := r.Delay
	for i := free + 1; i < n && d < r.MaxDelay; i++ {
		d *= 2
	}
	return min(d, r.MaxDelay)
}

// Refusal sends a request away that is not to be heard now.
type Refusal struct {
	RetryAfter time.Duration // always positive
	Reason     string        // one of the reasons below
	// First says that nobody was refused for the same cause since it began; it is worth a line in a log, which those after it
	// would only fill.
	First bool
}

// Reasons of a refusal.
const (
	PeerRate     = "peer_rate"     // the peer asks too often
	ClientRate   = "client_rate"   // the client asks too often
	Failures     = "failures"      // the client has failed too often from this peer
	PeerFailures = "peer_failures" // the peer has failed too often
)

// Error gives reason and wait.
func (r *Refusal) Error() string {
	return fmt.Sprintf("too many requests (%s): again in %s", r.Reason, r.RetryAfter)
}

// Seconds gives the wait for a Retry-After header (RFC 9110 section 10.2.3), rounded up.
func (r *Refusal) Seconds() int { return int(math.Ceil(r.RetryAfter.Seconds())) }
