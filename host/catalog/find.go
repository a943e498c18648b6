package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Status is how a plugin is doing.
type Status struct {
	Name, Path     string
	For            string            // realm NAME or secret store NAME, of a plugin with a process for each; empty for the others
	Digest         string            // of what is executed, see child.Image; empty until the plugin has started
	Files          map[string]string // their checksums, by path
	Bundled        bool
	Version, Build string
	State          State
	Since          time.Time // of the state
	Serves         bool      // what serves now has its parts in this process, see [Set.Activate]; else another one, or nobody, does
	PID            int       // 0: no process
	Restarts       int
	Instances      int      // configured ones
	Calls          int      // under way
	Stuck          int      // calls that were given up and have not ended for a second
	BreakerOpen    bool     // calls are answered without asking it
	ClosedTo       []string // "realm NAME" and "secret store NAME", sorted: their calls, or those of some of their parts, are
	LastError      string   // the last one, also of a plugin that is well again; empty if there was none
	LastErrorAt    time.Time
	Offers         []rpc.Offer
	Outbound       []breaker.PartReport // other servers that its parts leave alone, as it says
}

// Plugins lists the plugins of all sets by name, those that failed or drain included: there may be two of one name, of which
// one is on its way out.
func (c *Catalog) Plugins() []Status {
	serving := map[*supervised]bool{}
	if s := c.serving.Load(); s != nil {
		for _, p := range s.running() {
			serving[p] = true
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]Status, 0, len(c.plugins))
	for _, p := range c.plugins {
		s := p.status()
		s.Serves = serving[p]
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (p *supervised) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Name: p.src.Name, Path: p.src.Path, Bundled: p.src.Bundled, State: p.state, Restarts: p.restarts, Instances: len(p.instances),
		Version: child.Printable(p.manifest.Version, 64), Build: child.Printable(p.manifest.Build, 128), Offers: slices.Clone(p.manifest.Offers)}
	s.Since, s.BreakerOpen = p.since, p.breaker.Open()
	s.ClosedTo = p.ways.names()
	if p.hasStarted() {
		s.Digest, s.Files = p.digest, p.src.Files
	}
	if p.live != nil {
		s.PID, s.Calls, s.Stuck = p.live.child.PID(), p.live.Calls(), p.live.Stuck(stuckAfter)
		s.Outbound = p.live.outbound.now()
	}
	if p.err != nil {
		s.LastError, s.LastErrorAt = p.err.Error(), p.erred
	}
	if since, why := p.ails.now(); !since.IsZero() && s.State == StateReady {
		s.State, s.Since = StateFailing, since
		if since.After(s.LastErrorAt) { // what is wrong now, and not what once was
			s.LastError, s.LastErrorAt = why, since
		}
	}
	if !p.drains.IsZero() && p.c.ctx.Err() == nil {
		s.State, s.Since = StateDraining, p.drains
	}
	s.For = p.src.owner
	return s
}

// Offer is an offer and the plugin that makes it.
type Offer struct {
	Plugin   string
	Bundled  bool // it came with the daemon
	Grants   Grants
	PerRealm bool // each realm, and each secret store, has a process of its own: an instance is one realm's
	rpc.Offer
}

// Find finds who offers a kind and type; *UnknownTypeError if no plugin of the set does.
func (s *Set) Find(kind sdk.Kind, typ string) (Offer, error) {
	p, err := s.find(kind, typ)
	if err != nil {
		return Offer{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.manifest.Offers {
		if o.Kind == kind && o.Type == typ {
			return Offer{Plugin: p.src.Name, Bundled: p.src.Bundled, PerRealm: p.src.PerRealm != nil, Grants: p.src.Grants, Offer: o}, nil
		}
	}
	return Offer{}, &UnknownTypeError{Kind: kind, Type: typ} // a restart took it away, while nobody used it
}

func (s *Set) find(kind sdk.Kind, typ string) (*supervised, error) {
	if p := s.offers[offerKey{kind, typ}]; p != nil {
		return p, nil
	}
	e := &UnknownTypeError{Kind: kind, Type: typ}
	for k := range s.offers {
		if k.kind == kind {
			e.Known = append(e.Known, k.typ)
		}
	}
	slices.Sort(e.Known)
	e.Broken = s.broken()
	return nil, e
}

// Types gives what a plugin of the set offers, sorted; false if the set offers nothing of it, since it did not start or is none of
// the set.
func (s *Set) Types(plugin string) (types []string, ok bool) {
	for k, p := range s.offers {
		if p.src.Name == plugin {
			types = append(types, k.typ)
		}
	}
	slices.Sort(types)
	return slices.Compact(types), len(types) > 0
}

// broken names the plugins of which the set offers nothing, since they did not start.
func (s *Set) broken() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.chosen {
		if p.src.owner == "" && !s.admitted[p] {
			out = append(out, p.src.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
