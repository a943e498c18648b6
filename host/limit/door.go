package limit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/origin"
)

// Clients authenticates clients; *directory.Directory is one.
type Clients interface {
	// Authenticate checks a client's secret; directory.ErrBadCredentials says that it is not right.
	Authenticate(ctx context.Context, realm, clientID, secret string) (p directory.Principal, version string, err error)
	// KnowsClient says whether a principal of the realm has the client id.
	KnowsClient(ctx context.Context, realm, clientID string) (bool, error)
}

// DefaultEntries is how many entries each of a door's caches has; a full one takes some megabytes.
const DefaultEntries = 1 << 15

// Door remembers requests and failures of all realms. One serves a daemon, through all its configurations. It is safe for
// concurrent use.
type Door struct {
	now            func() time.Time
	peers          *otter.Cache[peerKey, *peer]
	known, unknown space
}

// space is what is remembered of clients: of those that their realm knows, or of those that it does not. An entry weighs as
// much as it has pairs.
type space struct {
	clients *otter.Cache[clientKey, *client]
	share   int // pairs that one client may have
}

type peerKey struct {
	realm   string
	network netip.Prefix
}

type clientKey struct {
	realm string
	id    [16]byte // of a sum: whoever invents ids does not decide how much memory they take
}

type peer struct {
	requests [endpoints]share
	failures failures
}

// New makes a door whose caches have as many entries each; now is time.Now if it is nil.
func New(entries int, now func() time.Time) (*Door, error) {
	if entries < 1 {
		return nil, errors.New("limit: a door needs room for entries")
	}
	if now == nil {
		now = time.Now
	}
	return &Door{now: now, peers: cache[peerKey, *peer](entries), known: newSpace(entries), unknown: newSpace(entries)}, nil
}

// Of a space's entries one client has at most this part, but some in any case: who knows its id and asks from very many
// networks pushes out what is remembered of that client, and of no other.
const (
	partOfClient  = 64
	leastOfClient = 8
)

func newSpace(entries int) space {
	return space{
		share: max(entries/partOfClient, leastOfClient),
		clients: otter.Must(&otter.Options[clientKey, *client]{
			MaximumWeight: uint64(entries), Weigher: func(_ clientKey, c *client) uint32 { return c.weight() },
		}),
	}
}

func cache[K comparable, V any](entries int) *otter.Cache[K, V] {
	return otter.Must(&otter.Options[K, V]{MaximumSize: entries})
}

// entry finds what is remembered under a key, or begins to remember.
func entry[K comparable, T any](c *otter.Cache[K, *T], key K) *T {
	if v, ok := c.GetIfPresent(key); ok {
		return v
	}
	v, _ := c.SetIfAbsent(key, new(T))
	return v
}

// Guard is a door's rules for one realm before its directory. It is safe for concurrent use.
type Guard struct {
	door    *Door
	realm   string
	rules   Rules
	clients Clients
}

// Guard puts the door before a realm's clients.
func (d *Door) Guard(realm string, r Rules, clients Clients) (*Guard, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("limit: realm %s: %w", realm, err)
	}
	return &Guard{d, realm, r, clients}, nil
}

func (g *Guard) peer(ctx context.Context) *peer {
	return entry(g.door.peers, peerKey{g.realm, origin.From(ctx).Network()})
}

// Admit counts a request at an endpoint against the peer that the context's origin names. The error is a *Refusal.
func (g *Guard) Admit(ctx context.Context, at Endpoint) error {
	perSecond, burst := g.rules.ofPeer(at)
	if perSecond == 0 {
		return nil
	}
	if wait, first := g.peer(ctx).requests[at].take(g.door.now(), perSecond, burst); wait > 0 {
		return &Refusal{wait, PeerRate, first}
	}
	return nil
}

// Forged counts a token that the realm never issued as a failure of the peer that presents it. The error is a *Refusal if
// the peer has to wait because of earlier failures. Tokens cannot be guessed, so that they are judged first and a good one
// is never held up by what else comes from its peer.
func (g *Guard) Forged(ctx context.Context) error {
	if g.rules.PeerFailures == 0 {
		return nil
	}
	f, now := &g.peer(ctx).failures, g.door.now()
	if wait, first := f.blocked(now); wait > 0 {
		return &Refusal{wait, PeerFailures, first}
	}
	f.fail(now, g.rules, g.rules.PeerFailures)
	return nil
}

// Spend counts a request of a client that has proved who it is with a token. The error is a *Refusal.
func (g *Guard) Spend(ctx context.Context, at Endpoint, clientID string) error {
	return g.spend(entry(g.door.known.clients, g.key(clientID)), at)
}

func (g *Guard) spend(c *client, at Endpoint) error {
	perSecond, burst := g.rules.ofClient(at)
	if wait, first := c.requests[at].take(g.door.now(), perSecond, burst); wait > 0 {
		return &Refusal{wait, ClientRate, first}
	}
	return nil
}

// attempt is a client's credentials on their way through the door.
type attempt struct {
	pair, anyone *failures // of the client: from this peer, from anywhere
	peer         *failures
	client       *client
}

func (g *Guard) attempt(ctx context.Context, clientID string, known bool) attempt {
	s := &g.door.unknown
	if known {
		s = &g.door.known
	}
	key := g.key(clientID)
	c := entry(s.clients, key)
	pair, grown := c.pair(origin.From(ctx).Network(), s.share)
	if grown {
		s.clients.Set(key, c) // it weighs more now
	}
	return attempt{pair: pair, client: c, anyone: &c.failures, peer: &g.peer(ctx).failures}
}

func (g *Guard) key(clientID string) clientKey {
	sum := sha256.Sum256([]byte(clientID))
	return clientKey{realm: g.realm, id: [16]byte(sum[:])}
}

// Authenticate checks the secret of a client at an endpoint unless the client or its peer has to wait. The error is a
// *Refusal, or what the directory says.
func (g *Guard) Authenticate(ctx context.Context, at Endpoint, clientID, secret string) (p directory.Principal, version string, err error) {
	known, err := g.clients.KnowsClient(ctx, g.realm, clientID)
	if err != nil {
		return directory.Principal{}, "", fmt.Errorf("limit: look the client up: %w", err)
	}
	a := g.attempt(ctx, clientID, known)
	if r := g.blocked(a); r != nil {
		return directory.Principal{}, "", r
	}
	p, version, err = g.clients.Authenticate(ctx, g.realm, clientID, secret)
	switch {
	case errors.Is(err, directory.ErrBadCredentials):
		g.fail(a)
		return directory.Principal{}, "", err
	case err != nil:
		return directory.Principal{}, "", err
	}
	a.pair.succeed(g.door.now())
	if err := g.spend(a.client, at); err != nil {
		return directory.Principal{}, "", err
	}
	return p, version, nil
}

// Knows says whether the realm has the client; false if the directory does not answer.
func (g *Guard) Knows(ctx context.Context, clientID string) bool {
	if clientID == "" {
		return false
	}
	known, err := g.clients.KnowsClient(ctx, g.realm, clientID)
	return err == nil && known
}

func (g *Guard) blocked(a attempt) *Refusal {
	now := g.door.now()
	if wait, first := a.pair.blocked(now); wait > 0 {
		return &Refusal{wait, Failures, first}
	}
	if a.pair.isProven() {
		return nil
	}
	if wait, first := a.peer.blocked(now); wait > 0 {
		return &Refusal{wait, PeerFailures, first}
	}
	return nil
}

// underAttack is how many times the free failures of one pair a client has failed from anywhere before none are free.
const underAttack = 4

func (g *Guard) fail(a attempt) {
	now, r := g.door.now(), g.rules
	if r.Failures > 0 {
		free := r.Failures
		if a.anyone.recent(now, r) >= underAttack*r.Failures {
			free = 0
		}
		a.pair.fail(now, r, free)
		a.anyone.fail(now, r, int(^uint(0)>>1)) // counts, and never waits
	}
	if r.PeerFailures > 0 {
		a.peer.fail(now, r, r.PeerFailures)
	}
}
