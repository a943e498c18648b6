package introspection

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/sdk"
)

// maxPeers bounds the peers whose refused tokens are counted.
const maxPeers = 4096

var errTooMany = fmt.Errorf("introspection: %w", sdk.ErrBusy)

// budget is how many requests may be sent. What nobody ever found to be good must not use it up for what was: of tokens that
// turn out to be refused only so many are asked about, and fewer of those that come from one peer; and of what may be sent at
// once some is left for tokens that were good before.
type budget struct {
	perSecond int
	all       *rate.Limiter
	refused   *rate.Limiter                                    // tokens, whoever presents them
	peers     func() *otter.Cache[netip.Prefix, *rate.Limiter] // the same, of one peer; made when the first one comes
}

func newBudget(perSecond int) *budget {
	r := rate.Limit(perSecond)
	return &budget{
		perSecond: perSecond, all: rate.NewLimiter(r, 2*perSecond), refused: rate.NewLimiter(r/2, max(perSecond, 1)),
		peers: sync.OnceValue(func() *otter.Cache[netip.Prefix, *rate.Limiter] {
			return otter.Must(&otter.Options[netip.Prefix, *rate.Limiter]{MaximumSize: maxPeers})
		}),
	}
}

// admit takes a request out of the budget; known says that the token was good before.
func (b *budget) admit(now time.Time, peer netip.Prefix, known bool) error {
	if !known {
		switch {
		case b.of(peer).TokensAt(now) < 1:
			return fmt.Errorf("%w: this peer has presented too many tokens that are not good", errTooMany)
		case b.refused.TokensAt(now) < 1:
			return fmt.Errorf("%w: too many tokens were presented that are not good", errTooMany)
		case b.all.TokensAt(now) < 1+float64(b.perSecond)/2:
			return fmt.Errorf("%w: more than %d per second; tokens that were good before go first", errTooMany, b.perSecond)
		}
	}
	if !b.all.AllowN(now, 1) {
		return fmt.Errorf("%w: more than %d per second", errTooMany, b.perSecond)
	}
	return nil
}

// giveBack puts a request back that was admitted and then not sent.
func (b *budget) giveBack(now time.Time) { b.all.ReserveN(now, -1) }

// refuse counts a token that turned out not to be good. Many may have been under way: the debt is paid off first.
func (b *budget) refuse(now time.Time, peer netip.Prefix) {
	b.refused.ReserveN(now, 1)
	b.of(peer).ReserveN(now, 1)
}

func (b *budget) of(peer netip.Prefix) *rate.Limiter {
	peers := b.peers()
	if l, ok := peers.GetIfPresent(peer); ok {
		return l
	}
	l, _ := peers.SetIfAbsent(peer, rate.NewLimiter(rate.Limit(b.perSecond)/4, max(b.perSecond/2, 1)))
	return l
}

// networkOf gives the network that a peer, host:port, stands for: its address with IPv4, the /64 with IPv6. It is invalid for
// a peer that has no address.
func networkOf(peer string) netip.Prefix {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // there are that many
	return p
}
