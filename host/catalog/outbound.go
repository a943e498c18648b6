package catalog

import (
	"maps"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// maxOutboundParts bounds the parts of a plugin of whose servers something is counted.
const maxOutboundParts = 64

// outbound is what a process says of other servers that it leaves alone.
type outbound struct {
	mu    sync.Mutex
	parts []breaker.PartReport
}

// now gives what the process said last.
func (o *outbound) now() []breaker.PartReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.parts)
}

// Outbound takes what the process says.
func (h *hostCalls) Outbound(parts []breaker.PartReport) {
	for _, p := range parts {
		for i := range p.Servers { // a plugin's words, which a terminal is shown
			s := &p.Servers[i]
			s.Authority, s.Why = child.Printable(h.p.c.safe(s.Authority), 300), child.Printable(h.p.c.safe(s.Why), 100)
		}
	}
	h.outbound.mu.Lock()
	defer h.outbound.mu.Unlock()
	before := map[string]uint64{}
	for _, p := range h.outbound.parts {
		before[p.Part] = p.Openings
	}
	for _, p := range parts {
		if p.Openings > before[p.Part] { // a process that counts down has no more
			h.p.counts.opened.add(p.Part, p.Openings-before[p.Part])
		}
	}
	h.outbound.parts = parts
}

// openings counts by part how often a server began to be left alone.
type openings struct {
	mu     sync.Mutex
	byPart map[string]uint64
}

func (o *openings) add(part string, n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.byPart[part]; !known && len(o.byPart) >= maxOutboundParts {
		return
	}
	if o.byPart == nil {
		o.byPart = map[string]uint64{}
	}
	o.byPart[part] += n
}

func (o *openings) all() map[string]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.byPart)
}
